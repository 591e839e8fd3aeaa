/* Asking, and saying why not. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/offline.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"

#define TEXT_SIZE 1536

enum cli_exit cli_fail(const struct cli *c, enum cli_exit status, const char *fmt, ...)
{
    struct bytes line = BYTES_NONE;
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    bytes_printf(&line, "shardgate%s%s: ", c->verb == NULL ? "" : " ", c->verb == NULL ? "" : c->verb->name);
    table_clean(span_str(text), &line);
    bytes_append(&line, "\n", 1);
    (void)fwrite(line.p, 1, line.n, stderr);
    bytes_release(&line);
    return status;
}

enum cli_exit cli_exit_of(enum sg_err err)
{
    switch (err) {
    case SG_OK:
        return CLI_DONE;
    case SG_NOTLEADER:
    case SG_UNAVAILABLE:
    case SG_BUSY:
    case SG_STOPPED:
        return CLI_UNREACHED;
    case SG_REFUSED:
    case SG_CONFLICT:
        return CLI_REFUSED;
    case SG_UNKNOWN:
    case SG_TIMEOUT:
        return CLI_UNKNOWN;
    case SG_CORRUPT:
        return CLI_CORRUPT;
    case SG_INVALID:
    case SG_NOTFOUND:
    case SG_EXISTS:
    case SG_TOOBIG:
    case SG_IO:
    case SG_UNSUPPORTED:
    case SG_ERRS:
        break;
    }
    return CLI_FAILED;
}

/* What a node says may begin with the verb, which stands in the line already. */
static struct span without_verb(const struct cli *c, struct span text)
{
    const char *name = c->verb == NULL ? "" : c->verb->name;
    size_t n = strlen(name);

    if (n > 0 && text.n > n + 2 && memcmp(text.p, name, n) == 0 && memcmp(text.p + n, ": ", 2) == 0) {
        return span_of(text.p + n + 2, text.n - n - 2);
    }
    return text;
}

enum cli_exit cli_fail_err(const struct cli *c, enum sg_err err, struct span text)
{
    bool never_asked = c->client == NULL && c->args.option[OPTION_DATA_DIR] == NULL;
    enum cli_exit status = err == SG_INVALID && never_asked ? CLI_USAGE : cli_exit_of(err);
    char sentence[TEXT_SIZE];

    text = text.n == 0 ? span_str(sg_err_text(err)) : without_verb(c, text);
    return cli_fail(c, status, "%s", span_cstr(text, sentence, sizeof sentence));
}

bool cli_aba(const struct cli *c, const char *text, struct aba *out)
{
    const char *why = "";
    struct aba with_digit;
    char right[ABA_TEXT_SIZE];
    uint64_t n;

    if (aba_parse(span_str(text), out, &why) == SG_OK) {
        return true;
    }
    if (strlen(text) == ABA_TEXT_SIZE - 1 && args_number(text, &n)) {
        uint32_t eight = (uint32_t)(n / 10);
        with_digit.n = eight * 10 + aba_check_digit(eight);
        if (aba_parse(span_str(aba_text(with_digit, right)), &with_digit, NULL) == SG_OK) {
            (void)cli_fail(c, CLI_USAGE, "%s: %s: did you mean %s?", text, why, right);
            return false;
        }
    }
    (void)cli_fail(c, CLI_USAGE, "%s: %s", text, why);
    return false;
}

/* --- Requests ------------------------------------------------------------------------ */

void cli_argument(struct cli *c, struct request *r, const char *name, const char *value)
{
    CHECK(r->args_count < REQUEST_ARGS_MAX);
    if (r->args == NULL) {
        r->args = arena_array(&c->arena, REQUEST_ARGS_MAX, sizeof *r->args);
    }
    r->args[r->args_count++] = (struct request_arg){span_str(name), span_str(value)};
}

struct request cli_request(struct cli *c, enum request_kind kind, struct aba routing_number)
{
    static const struct {
        enum cli_option option;
        const char *name;
    } passed[] = {
        {OPTION_LIMIT, "limit"},   {OPTION_FROM, "from"},     {OPTION_TO, "to"},
        {OPTION_STATE, "state"},   {OPTION_WINDOW, "window"}, {OPTION_REASON, "reason"},
        {OPTION_AS, "as"},         {OPTION_NODE, "node"},     {OPTION_UNHEALTHY, "unhealthy"},
        {OPTION_REVEAL, "reveal"}, {OPTION_FORCE, "force"},
    };
    struct request r = {.kind = kind, .routing_number = routing_number, .timeout_ms = c->args.timeout_ms};

    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        const char *value = c->args.option[passed[i].option];
        if (value != NULL) {
            cli_argument(c, &r, passed[i].name, value);
        }
    }
    return r;
}

const char *cli_addresses(const struct cli *c)
{
    const char *addresses = c->args.option[OPTION_CONNECT];

    if (addresses == NULL) {
        addresses = getenv("SHARDGATE_CONNECT");
    }
    return addresses == NULL || addresses[0] == '\0' ? NULL : addresses;
}

enum sg_err cli_connect(struct cli *c, struct reply *out)
{
    char why[512];
    enum sg_err err;

    if (c->client != NULL) {
        return SG_OK;
    }
    err = client_new(cli_addresses(c), &c->client, why, sizeof why);
    *out = (struct reply){.err = err, .text = arena_dup(&c->arena, span_str(err == SG_OK ? "" : why))};
    return err;
}

enum sg_err cli_ask(struct cli *c, const struct request *r, struct reply *out)
{
    const char *dir = c->args.option[OPTION_DATA_DIR];
    enum sg_err err;

    if (dir != NULL) {
        return offline_call(dir, r, &c->arena, out);
    }
    err = cli_connect(c, out);
    return err != SG_OK ? err : client_call(c->client, r, &c->arena, out);
}

json_t *cli_document(const struct cli *c, const struct reply *r)
{
    json_t *document = json_loadb(r->json.n == 0 ? "" : (const char *)r->json.p, r->json.n, 0, NULL);

    if (!json_is_object(document)) {
        json_decref(document);
        (void)cli_fail(c, CLI_FAILED, "the answer is no JSON document: is the node of another version?");
        return NULL;
    }
    return document;
}

enum cli_exit cli_fetch(struct cli *c, const struct request *r, json_t **out)
{
    struct reply reply;
    enum sg_err err = cli_ask(c, r, &reply);

    *out = NULL;
    if (err != SG_OK) {
        if (reply.json.n > 0) {
            json_t *partial = cli_document(c, &reply);
            if (partial != NULL) {
                cli_show(c, partial);
            }
            json_decref(partial);
        }
        return cli_fail_err(c, err, reply.text);
    }
    *out = cli_document(c, &reply);
    return *out == NULL ? CLI_FAILED : CLI_DONE;
}

/* --- Files ------------------------------------------------------------------------------ */

static enum cli_exit read_all(const struct cli *c, int fd, const char *path, size_t size_max,
                              struct bytes *out)
{
    static const size_t piece = 64u << 10;

    for (;;) {
        uint8_t *room = bytes_extend(out, piece);
        ssize_t n = read(fd, room, piece);
        out->n -= n > 0 ? piece - (size_t)n : piece;
        if (n == 0) {
            return CLI_DONE;
        }
        if (n < 0 && errno != EINTR) {
            return cli_fail(c, CLI_FAILED, "%s: %s", path, strerror(errno));
        }
        if (out->n > size_max) {
            return cli_fail(c, CLI_FAILED, "%s: more than %zu bytes: give it in parts", path, size_max);
        }
    }
}

enum cli_exit cli_read(const struct cli *c, const char *path, size_t size_max, struct bytes *out)
{
    bool is_stdin = strcmp(path, "-") == 0;
    enum cli_exit status;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return cli_fail(c, CLI_FAILED, "%s: %s", path, strerror(errno));
    }
    status = read_all(c, fd, is_stdin ? "standard input" : path, size_max, out);
    if (!is_stdin) {
        (void)close(fd);
    }
    return status;
}
