/* help, version, completion. */
#include <stdio.h>
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "shardgate/version.h"

#define COMMON                                                                             \
    (OPTION_BIT(OPTION_CONNECT) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_OUTPUT) | \
     OPTION_BIT(OPTION_HELP))

static void option_lines(uint32_t set, struct bytes *out)
{
    const struct option_row *rows = args_options();

    for (unsigned i = 0; i < OPTIONS; i++) {
        char left[64];
        char letter[8] = "    ";
        if ((set & OPTION_BIT(i)) == 0) {
            continue;
        }
        if (rows[i].letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        }
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, rows[i].name,
                       rows[i].value == NULL ? "" : " ", rows[i].value == NULL ? "" : rows[i].value);
        bytes_printf(out, "  %-34s %s\n", left, rows[i].help);
    }
}

static void help_verb(const struct cli_verb *v, struct bytes *out)
{
    uint32_t common = v->where == VERB_ALONE && v->kind == REQUEST_NONE ? OPTION_BIT(OPTION_OUTPUT) : COMMON;

    bytes_printf(out, "usage: shardgate %s%s%s [options]\n\n%s\n\noptions:\n", v->name,
                 v->words[0] == '\0' ? "" : " ", v->words, v->help);
    option_lines(v->options, out);
    option_lines(common | (v->where == VERB_BOTH ? OPTION_BIT(OPTION_DATA_DIR) : 0), out);
}

void help_text(const struct cli_verb *v, struct bytes *out)
{
    if (v != NULL) {
        help_verb(v, out);
        return;
    }
    bytes_printf(out, "usage: shardgate VERB [options]\n\n");
    for (size_t i = 0; i < verbs_count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s %s", verbs[i].name, verbs[i].words);
        bytes_printf(out, "  %-27s %s%s\n", name, verbs[i].help, verbs[i].where == VERB_BOTH ? " *" : "");
    }
    bytes_printf(out, "\n* also with --data-dir DIR, without a running node\n\noptions of every verb:\n");
    option_lines(COMMON, out);
    bytes_printf(out, "\nexit status: 0 done, 1 failed, 2 usage, 3 no quorum or leader reached,\n"
                      "  4 refused by a safety check, 5 outcome unknown, 6 corruption found,\n"
                      "  7 degraded (status --check)\n"
                      "\n'shardgate help VERB' says more about one.\n");
}

enum cli_exit run_help(struct cli *c)
{
    const struct cli_verb *v = NULL;
    struct bytes out = BYTES_NONE;
    char why[256];
    size_t used;

    if (c->args.words_count > 0) {
        v = verbs_find(c->args.words, c->args.words_count, &used);
        if (v == NULL) {
            verbs_explain(c->args.words, c->args.words_count, why, sizeof why);
            return cli_fail(c, CLI_USAGE, "%s", why);
        }
    }
    help_text(v, &out);
    cli_write(span_bytes(&out));
    bytes_release(&out);
    return CLI_DONE;
}

enum cli_exit run_version(struct cli *c)
{
    if (c->args.output == OUTPUT_TEXT) {
        (void)puts("shardgate " SHARDGATE_VERSION_TEXT);
    } else {
        json_t *o = json_pack("{s:i,s:s}", "v", 1, "version", SHARDGATE_VERSION_TEXT);
        CHECK(o != NULL);
        cli_show(c, o);
        json_decref(o);
    }
    return CLI_DONE;
}

/* --- completion ---------------------------------------------------------------------------- */

static size_t first_size(const char *name)
{
    return strcspn(name, " ");
}

/* Each first word once: verbs of a family stand together. */
static bool is_new_first(size_t i)
{
    size_t n = first_size(verbs[i].name);
    return i == 0 || first_size(verbs[i - 1].name) != n || memcmp(verbs[i - 1].name, verbs[i].name, n) != 0;
}

static void case_line(size_t i, struct bytes *out)
{
    size_t n = first_size(verbs[i].name);

    if (verbs[i].name[n] == '\0') {
        return;
    }
    bytes_printf(out, "        %.*s) words='", (int)n, verbs[i].name);
    for (size_t k = i; k < verbs_count && strncmp(verbs[k].name, verbs[i].name, n + 1) == 0; k++) {
        bytes_printf(out, "%s%s", k == i ? "" : " ", verbs[k].name + n + 1);
    }
    bytes_printf(out, "' ;;\n");
}

static void completion(struct bytes *out)
{
    const struct option_row *rows = args_options();

    bytes_printf(out, "_shardgate() {\n    local words='' current=${COMP_WORDS[COMP_CWORD]}\n"
                      "    if [[ $current == -* ]]; then\n        words='");
    for (unsigned i = 0; i < OPTIONS; i++) {
        bytes_printf(out, "%s--%s", i == 0 ? "" : " ", rows[i].name);
    }
    bytes_printf(out, "'\n    elif ((COMP_CWORD == 1)); then\n        words='");
    for (size_t i = 0; i < verbs_count; i++) {
        if (is_new_first(i)) {
            bytes_printf(out, "%s%.*s", i == 0 ? "" : " ", (int)first_size(verbs[i].name), verbs[i].name);
        }
    }
    bytes_printf(out, "'\n    elif ((COMP_CWORD == 2)); then\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < verbs_count; i++) {
        if (is_new_first(i)) {
            case_line(i, out);
        }
    }
    bytes_printf(out, "        esac\n    fi\n"
                      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
                      "complete -o default -F _shardgate shardgate\n");
}

enum cli_exit run_completion(struct cli *c)
{
    struct bytes out = BYTES_NONE;

    if (strcmp(c->args.words[0], "bash") != 0) {
        return cli_fail(c, CLI_USAGE, "only bash is known");
    }
    completion(&out);
    cli_write(span_bytes(&out));
    bytes_release(&out);
    return CLI_DONE;
}
