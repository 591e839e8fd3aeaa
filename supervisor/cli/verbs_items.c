/* One transfer, one file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/verbs.h"

/* The answer to the verb's request about the item that the first word names. look:
 * the request that finds its shard. */
static enum cli_exit item_ask(struct cli *c, const char *name, enum request_kind look, struct reply *out)
{
    const char *value = c->args.words[0];
    struct request r;
    struct aba shard;
    enum sg_err err;
    enum cli_exit status = cli_find(c, look, name, value, &shard);

    if (status != CLI_DONE) {
        return status;
    }
    r = cli_request(c, c->verb->kind, shard);
    cli_argument(c, &r, name, value);
    err = cli_ask(c, &r, out);
    return err == SG_OK ? CLI_DONE : cli_fail_err(c, err, out->text);
}

static enum cli_exit item_show(struct cli *c, const char *name, enum request_kind look, json_t **out)
{
    struct reply reply;
    enum cli_exit status = item_ask(c, name, look, &reply);

    *out = NULL;
    if (status != CLI_DONE) {
        return status;
    }
    *out = cli_document(c, &reply);
    if (*out == NULL) {
        return CLI_FAILED;
    }
    cli_show(c, *out);
    return CLI_DONE;
}

enum cli_exit run_transfer(struct cli *c)
{
    json_t *document;
    enum cli_exit status = item_show(c, "id", REQUEST_TRANSFERS_SHOW, &document);
    json_decref(document);
    return status;
}

enum cli_exit run_file(struct cli *c)
{
    json_t *document;
    enum cli_exit status = item_show(c, "file", REQUEST_FILES_SHOW, &document);
    json_decref(document);
    return status;
}

enum cli_exit run_file_verify(struct cli *c)
{
    json_t *document;
    enum cli_exit status = item_show(c, "file", REQUEST_FILES_SHOW, &document);

    if (status == CLI_DONE && !json_is_true(json_object_get(document, "ok"))) {
        status =
            cli_fail(c, CLI_CORRUPT, "the file is not what was sealed: do not give it to the bank by hand");
    }
    json_decref(document);
    return status;
}

enum cli_exit run_file_resolve(struct cli *c)
{
    const char *as = c->args.option[OPTION_AS];

    if (as == NULL || (strcmp(as, "uploaded") != 0 && strcmp(as, "abandoned") != 0)) {
        return cli_fail(c, CLI_USAGE, "say what the bank has: --as uploaded or --as abandoned");
    }
    if (c->args.option[OPTION_REASON] == NULL) {
        return cli_fail(c, CLI_USAGE, "--reason TEXT is needed: it stands in the shard's events");
    }
    return run_file(c);
}

/* --- files get ------------------------------------------------------------------------------ */

/* Account numbers stand in it: for its owner only, and never over an old file's rights. */
static enum cli_exit write_file(const struct cli *c, const char *path, struct span data)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t at = 0;
    int error = fd < 0 ? errno : 0;

    while (error == 0 && at < data.n) {
        ssize_t n = write(fd, data.p + at, data.n - at);
        error = n < 0 && errno != EINTR ? errno : 0;
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0 && close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        return cli_fail(c, CLI_FAILED, "%s: %s", path, strerror(error));
    }
    return CLI_DONE;
}

enum cli_exit run_file_get(struct cli *c)
{
    const char *path = c->args.option[OPTION_OUT];
    struct reply reply;
    enum cli_exit status = item_ask(c, "file", REQUEST_FILES_SHOW, &reply);

    if (status != CLI_DONE) {
        return status;
    }
    if (path != NULL) {
        return write_file(c, path, reply.data);
    }
    cli_write(reply.data);
    return CLI_DONE;
}
