/* A list that a node answers in pages, as one list.
 *
 *   pages_init(); pages_next() while pages_go_on(); pages_say_more()
 *
 * or all of it with pages_show(). */
#ifndef SUPERVISOR_CLI_PAGES_H
#define SUPERVISOR_CLI_PAGES_H

#include "supervisor/cli/cli.h"

struct pages {
    struct cli *cli;
    struct aba shard;
    const char *key; /* Of the list in an answer: the first of the verb's layout. */
    bool has_limit;
    uint64_t left; /* Rows that --limit still allows. */
    bool is_begun;
    uint64_t next;
    bool more; /* By the node; before the first page: true. */
};

void pages_init(struct pages *p, struct cli *c, struct aba shard);
/* What asks for the next page; lives in c->arena. */
struct request pages_request(const struct pages *p);
/* A page has come: how far the list is now. CLI_DONE, or said why. */
enum cli_exit pages_take(struct pages *p, const json_t *page);
/* All three: the next page, a new reference. CLI_DONE, or said why and no document. */
enum cli_exit pages_next(struct pages *p, json_t **out);
bool pages_go_on(const struct pages *p);
/* On stderr, when the list is longer than --limit. */
void pages_say_more(const struct pages *p);

/* Shows the list of c's verb to its end or to --limit. Resets c->arena. */
enum cli_exit pages_show(struct cli *c, struct aba shard);

#endif
