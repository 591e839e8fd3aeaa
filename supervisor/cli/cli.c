/* One run of the tool. */
#include "supervisor/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"
#include "supervisor/memory.h"

#define COMMON_OPTIONS                                                                     \
    (OPTION_BIT(OPTION_CONNECT) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_OUTPUT) | \
     OPTION_BIT(OPTION_HELP))

static enum cli_exit find_verb(struct cli *c)
{
    struct args *a = &c->args;
    struct bytes help = BYTES_NONE;
    char why[256];
    size_t used = 0;
    const struct verb *v;

    if (a->words_count == 0) {
        bool wanted = a->option[OPTION_HELP] != NULL;
        help_text(NULL, &help);
        (void)fwrite(help.p, 1, help.n, wanted ? stdout : stderr);
        bytes_release(&help);
        return wanted ? CLI_DONE : CLI_USAGE;
    }
    v = verbs_find(a->words, a->words_count, &used);
    if (v == NULL) {
        verbs_explain(a->words, a->words_count, why, sizeof why);
        return cli_fail(c, CLI_USAGE, "%s", why);
    }
    a->words_count -= used;
    memmove(a->words, a->words + used, a->words_count * sizeof a->words[0]);
    c->verb = v;
    return CLI_DONE;
}

static enum cli_exit check_options(const struct cli *c)
{
    const struct verb *v = c->verb;
    uint32_t allowed =
        v->options | COMMON_OPTIONS | (v->where == VERB_BOTH ? OPTION_BIT(OPTION_DATA_DIR) : 0);
    uint32_t foreign = args_given(&c->args) & ~allowed;

    if (foreign == OPTION_BIT(OPTION_DATA_DIR)) {
        return cli_fail(c, CLI_USAGE, "needs a running node: it cannot be done on a data directory");
    }
    for (unsigned i = 0; i < OPTIONS; i++) {
        if ((foreign & OPTION_BIT(i)) != 0) {
            return cli_fail(c, CLI_USAGE, "takes no --%s: see 'shardgate help %s'", args_options()[i].name,
                            v->name);
        }
    }
    if (c->args.option[OPTION_DATA_DIR] != NULL && c->args.option[OPTION_CONNECT] != NULL) {
        return cli_fail(c, CLI_USAGE, "either --connect or --data-dir, not both");
    }
    return CLI_DONE;
}

static enum cli_exit check_words(const struct cli *c)
{
    const struct verb *v = c->verb;

    if (c->args.words_count >= v->words_min && c->args.words_count <= v->words_max) {
        return CLI_DONE;
    }
    return cli_fail(c, CLI_USAGE, "usage: shardgate %s%s%s: see 'shardgate help %s'", v->name,
                    v->words[0] == '\0' ? "" : " ", v->words, v->name);
}

static enum cli_exit check_limit(const struct cli *c)
{
    const char *text = c->args.option[OPTION_LIMIT];
    uint64_t limit;

    if (text != NULL && (!args_number(text, &limit) || limit < 1 || limit > LIST_ROWS_MAX)) {
        return cli_fail(c, CLI_USAGE, "--limit %s: a number from 1 to %d is expected", text, LIST_ROWS_MAX);
    }
    return CLI_DONE;
}

static enum cli_exit check_cluster(const struct cli *c)
{
    if (c->verb->where == VERB_ALONE || c->args.option[OPTION_DATA_DIR] != NULL || cli_addresses(c) != NULL) {
        return CLI_DONE;
    }
    return cli_fail(c, CLI_USAGE,
                    "which cluster? name its nodes with --connect ADDR[,ADDR...] or SHARDGATE_CONNECT%s",
                    c->verb->where == VERB_BOTH ? ", or a data directory with --data-dir" : "");
}

static enum cli_exit run(struct cli *c)
{
    static enum cli_exit (*const checks[])(const struct cli *c) = {check_options, check_words, check_limit,
                                                                   check_cluster};
    struct bytes help = BYTES_NONE;
    enum cli_exit status = CLI_DONE;

    if (c->args.option[OPTION_HELP] != NULL) {
        help_text(c->verb, &help);
        cli_write(span_bytes(&help));
        bytes_release(&help);
        return CLI_DONE;
    }
    for (size_t i = 0; status == CLI_DONE && i < sizeof checks / sizeof checks[0]; i++) {
        status = checks[i](c);
    }
    return status == CLI_DONE ? c->verb->run(c) : status;
}

enum cli_exit cli_main(int argc, char **argv)
{
    struct cli c = {.arena = ARENA_INIT};
    char why[256];
    enum cli_exit status;

    memory_begin();
    tzset();
    if (args_parse(argc, argv, &c.args, why, sizeof why) != SG_OK) {
        return cli_fail(&c, CLI_USAGE, "%s", why);
    }
    status = find_verb(&c);
    if (c.verb != NULL) {
        status = run(&c);
    }
    client_free(c.client);
    arena_release(&c.arena);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == CLI_DONE) {
        status = cli_fail(&c, CLI_FAILED, "the output could not be written: %s", strerror(errno));
    }
    return status;
}
