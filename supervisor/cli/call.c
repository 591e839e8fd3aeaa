/* Asking, and saying why not. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/interrupt.h"
#include "supervisor/cli/offline.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"
#include "supervisor/client/monitor.h"
#include "supervisor/verbs/table.h"

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

const char *cli_look(const struct cli *c, char out[CLI_LOOK_SIZE])
{
    const char *word = c->args.words_count > 0 ? c->args.words[0] : "";
    const char *shard = c->args.option[OPTION_SHARD];
    char of[64] = "";

    out[0] = '\0';
    if (shard != NULL) {
        (void)snprintf(of, sizeof of, " --shard %.32s", shard);
    }
    switch (c->verb == NULL ? 0 : (unsigned)c->verb->kind) {
    case REQUEST_SUBMIT:
        (void)snprintf(out, CLI_LOOK_SIZE, "submit exactly the same again: what was accepted folds");
        break;
    case REQUEST_CANCEL:
        (void)snprintf(out, CLI_LOOK_SIZE,
                       "look with 'shardgate transfers show %.128s%s', or cancel it again", word, of);
        break;
    case REQUEST_WINDOWS_CLOSE:
    case REQUEST_WINDOWS_RELEASE:
        (void)snprintf(out, CLI_LOOK_SIZE, "look with 'shardgate windows list %.128s' before you repeat it",
                       word);
        break;
    case REQUEST_FILES_CANCEL:
    case REQUEST_FILES_RESOLVE:
        (void)snprintf(out, CLI_LOOK_SIZE, "look with 'shardgate files show %.128s%s'", word, of);
        break;
    case REQUEST_LEADER_TRANSFER:
        (void)snprintf(out, CLI_LOOK_SIZE, "look with 'shardgate leader show %.128s'", word);
        break;
    case REQUEST_APPLY:
        (void)snprintf(out, CLI_LOOK_SIZE, "apply it again: what is done already is no difference");
        break;
    default:
        break;
    }
    return out;
}

enum cli_exit cli_fail_err(const struct cli *c, enum sg_err err, struct span text)
{
    bool never_asked = c->client == NULL && c->args.option[OPTION_DATA_DIR] == NULL;
    enum cli_exit status = err == SG_INVALID && never_asked ? CLI_USAGE : cli_exit_of(err);
    char sentence[TEXT_SIZE];
    char look[CLI_LOOK_SIZE] = "";

    text = text.n == 0 ? span_str(sg_err_text(err)) : without_verb(c, text);
    (void)span_cstr(text, sentence, sizeof sentence);
    if (status == CLI_UNKNOWN) {
        (void)cli_look(c, look);
    } else if (status == CLI_UNREACHED && strstr(sentence, "'shardgate ") == NULL) {
        (void)snprintf(look, sizeof look, "'shardgate status' says who is missing");
    }
    return cli_fail(c, status, "%s%s%s", sentence, look[0] == '\0' ? "" : ": ", look);
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
    struct request r = {.kind = kind, .routing_number = routing_number};

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
    interrupt_begin(c); /* Before there are threads: they inherit what is blocked. */
    err = client_new(cli_addresses(c), &c->client, why, sizeof why);
    *out = (struct reply){.err = err, .text = arena_dup(&c->arena, span_str(err == SG_OK ? "" : why))};
    return err;
}

bool cli_is_change(const struct request *r)
{
    return verb_is_change(verb_facts(r->kind)) && request_arg(r, "dry_run").n == 0;
}

void cli_begin_time(struct cli *c)
{
    c->deadline_ms =
        monitor_now_ms() + (c->args.timeout_ms != 0 ? c->args.timeout_ms : (uint64_t)REQUEST_TIMEOUT_MS);
}

uint32_t cli_left_ms(const struct cli *c)
{
    uint64_t now = monitor_now_ms();
    return now < c->deadline_ms ? (uint32_t)(c->deadline_ms - now) : 0;
}

enum sg_err cli_ask_in(struct cli *c, const struct request *r, struct arena *a, struct reply *out)
{
    const char *dir = c->args.option[OPTION_DATA_DIR];
    struct request timed = *r;
    uint32_t left_ms = cli_left_ms(c);
    enum sg_err err;

    if (dir != NULL) {
        return offline_call(dir, r, a, out);
    }
    timed.timeout_ms = r->timeout_ms == 0 || r->timeout_ms > left_ms ? left_ms : r->timeout_ms;
    if (left_ms == 0) {
        *out = (struct reply){
            .err = SG_UNAVAILABLE,
            .text = span_str("the time was over before it was asked: give more with --timeout")};
        return out->err;
    }
    interrupt_asked(&timed);
    err = client_call(c->client, &timed, a, out);
    if ((err == SG_UNKNOWN || err == SG_TIMEOUT) && !cli_is_change(r)) {
        /* What only reads has no outcome that could be unknown. */
        *out = (struct reply){.err = SG_UNAVAILABLE,
                              .text = span_str("no answer came in time: 'shardgate status' says what is "
                                               "missing, --timeout gives more time")};
    }
    return out->err;
}

enum sg_err cli_ask(struct cli *c, const struct request *r, struct reply *out)
{
    enum sg_err err = c->args.option[OPTION_DATA_DIR] != NULL ? SG_OK : cli_connect(c, out);
    return err != SG_OK ? err : cli_ask_in(c, r, &c->arena, out);
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
