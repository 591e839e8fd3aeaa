/* What a change did, as a sentence. JSON has the fields. */
#include <string.h>

#include "supervisor/cli/verbs.h"

static const char *field(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text == NULL ? "" : text;
}

static void say(struct bytes *out, const char *text)
{
    table_clean(span_str(text), out);
}

/* " --shard ABA", when the command line has it: what a pasted command needs. */
static void say_shard(const struct cli *c, struct bytes *out)
{
    if (c->args.option[OPTION_SHARD] != NULL) {
        bytes_printf(out, " --shard ");
        say(out, c->args.option[OPTION_SHARD]);
    }
}

/* What the shard had to add: "cancelled already, at log index 7". */
static void say_text(const json_t *o, struct bytes *out)
{
    if (field(o, "text")[0] != '\0') {
        bytes_printf(out, " (");
        say(out, field(o, "text"));
        bytes_printf(out, ")");
    }
}

static void close_sentence(const struct cli *c, const json_t *o, struct bytes *out)
{
    bytes_printf(out, "window ");
    say(out, field(o, "window"));
    bytes_printf(out, " is closed");
    say_text(o, out);
    bytes_printf(out, ": its files appear in 'shardgate files list ");
    say(out, c->args.words[0]);
    bytes_printf(out, "'\n");
}

static void release_sentence(const struct cli *c, const json_t *o, struct bytes *out)
{
    const char *window = c->args.option[OPTION_WINDOW];

    bytes_printf(out, window == NULL ? "all windows on hold" : "window ");
    say(out, window == NULL ? "" : window);
    bytes_printf(out, window == NULL ? " are released" : " is released");
    say_text(o, out);
    bytes_printf(out, ": the files go to the bank, see 'shardgate files list ");
    say(out, c->args.words[0]);
    bytes_printf(out, "'\n");
}

static void finalize_sentence(const json_t *o, struct bytes *out)
{
    bytes_printf(out, "the cluster %s level %" JSON_INTEGER_FORMAT "%s\n",
                 json_is_true(json_object_get(o, "finalized")) ? "goes to" : "stands already at",
                 json_integer_value(json_object_get(o, "level")),
                 json_is_true(json_object_get(o, "finalized"))
                     ? ": no node can go back to a version that does not speak it"
                     : ": nothing was changed");
}

static void cancel_sentence(const struct cli *c, const json_t *o, struct bytes *out)
{
    bytes_printf(out, "transfer ");
    say(out, c->args.words[0]);
    bytes_printf(out, " is cancelled: it goes into no file");
    say_text(o, out);
    bytes_printf(out, "\n");
}

static void file_sentence(const struct cli *c, const json_t *o, struct bytes *out)
{
    bool resolve = c->verb->kind == REQUEST_FILES_RESOLVE;

    bytes_printf(out, resolve ? "the hold of file " : "file ");
    say(out, c->args.words[0]);
    bytes_printf(out, resolve ? " ends as " : " will not go to the bank");
    say(out, resolve ? c->args.option[OPTION_AS] : "");
    say_text(o, out);
    bytes_printf(out, "; if a copy was staged it is taken back first: 'shardgate files show ");
    say(out, c->args.words[0]);
    say_shard(c, out);
    bytes_printf(out, "'\n");
}

static void transfer_sentence(const struct cli *c, const json_t *o, struct bytes *out)
{
    static const struct {
        const char *outcome, *text;
    } rows[] = {
        {"TRANSFERRED", "moved to"},
        {"ALREADY_LEADER", "was there already, with"},
        {"LEADER_CHANGED", "went to another node than wished,"},
        {"LAG_TOO_HIGH", "stayed, because the replica lags too far behind, with"},
        {"UNREACHABLE", "stayed, because the leader does not hear from that replica, with"},
        {"REFUSED_NEAR_CUTOFF", "stayed with"},
        {"TIMED_OUT", "may have moved; by the last word it is with"},
    };
    const char *leader = field(o, "leader");
    const char *text = "is with";

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text = strcmp(field(o, "outcome"), rows[i].outcome) == 0 ? rows[i].text : text;
    }
    bytes_printf(out, "leadership of ");
    say(out, c->args.words[0]);
    bytes_printf(out, " %s ", text);
    say(out, leader[0] == '\0' ? "nobody" : leader);
    bytes_printf(out, " (");
    say(out, field(o, "outcome"));
    bytes_printf(out, ", term %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " ms)",
                 json_integer_value(json_object_get(o, "term")),
                 json_integer_value(json_object_get(o, "took_ms")));
    if (field(o, "why")[0] != '\0') {
        bytes_printf(out, ": ");
        say(out, field(o, "why"));
    }
    bytes_printf(out, "\n");
}

bool cli_sentence(const struct cli *c, const json_t *document, struct bytes *out)
{
    switch ((unsigned)c->verb->kind) {
    case REQUEST_WINDOWS_CLOSE:
        close_sentence(c, document, out);
        return true;
    case REQUEST_WINDOWS_RELEASE:
        release_sentence(c, document, out);
        return true;
    case REQUEST_UPGRADE_FINALIZE:
        finalize_sentence(document, out);
        return true;
    case REQUEST_CANCEL:
        cancel_sentence(c, document, out);
        return true;
    case REQUEST_FILES_CANCEL:
    case REQUEST_FILES_RESOLVE:
        file_sentence(c, document, out);
        return true;
    case REQUEST_LEADER_TRANSFER:
        transfer_sentence(c, document, out);
        return true;
    default:
        return false;
    }
}
