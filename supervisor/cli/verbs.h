/* The verbs: one table, from which parsing, help and completion are made. */
#ifndef SUPERVISOR_CLI_VERBS_H
#define SUPERVISOR_CLI_VERBS_H

#include "supervisor/cli/cli.h"
#include "supervisor/cli/table.h"

/* A list within an answer, as a table. */
struct layout_list {
    const char *key;
    const char *title; /* NULL: none. */
    const struct column *columns;
    size_t columns_count;
};

struct layout {
    bool is_record; /* The answer's own fields are shown, too. */
    struct layout_list lists[3];
    size_t lists_count;
};

enum cli_where {
    VERB_ONLINE, /* Asks nodes only. */
    VERB_BOTH,   /* --data-dir, too. */
    VERB_ALONE   /* Asks nobody (or whom its word names). */
};

struct cli_verb {
    const char *name;  /* "shards list" */
    const char *words; /* What follows: "[ABA]" */
    unsigned words_min, words_max;
    uint32_t options; /* Beside those that every verb takes. */
    enum cli_where where;
    enum request_kind kind;
    enum cli_exit (*run)(struct cli *c);
    const struct layout *layout; /* NULL: the verb prints by itself. */
    const char *help;            /* One line. */
};

extern const struct cli_verb verbs[];
extern const size_t verbs_count;

/* The verb that the first words name; used is how many they are. NULL: none. */
const struct cli_verb *verbs_find(const char *const *words, size_t count, size_t *used);
/* Why the words name no verb: a sentence with the nearest one. */
void verbs_explain(const char *const *words, size_t count, char *why, size_t why_size);

/* Layouts (layouts.c). */
extern const struct layout layout_record, layout_status, layout_nodes, layout_node, layout_shards,
    layout_shard, layout_transfers, layout_trace, layout_windows, layout_files, layout_verify, layout_events,
    layout_log, layout_hash, layout_submit, layout_upgrade;

/* Functions of verbs. Each has said why when it does not answer CLI_DONE. */
enum cli_exit run_plain(struct cli *c);  /* [ABA], one request, one answer. */
enum cli_exit run_status(struct cli *c); /* verbs_status.c */
enum cli_exit run_node_show(struct cli *c);
enum cli_exit run_ping(struct cli *c);  /* verbs_cluster.c */
enum cli_exit run_apply(struct cli *c); /* verbs_apply.c */
enum cli_exit run_export(struct cli *c);
enum cli_exit run_hash(struct cli *c);            /* verbs_hash.c */
enum cli_exit run_leader_transfer(struct cli *c); /* verbs_shards.c */
enum cli_exit run_leader_show(struct cli *c);
enum cli_exit run_shards_list(struct cli *c);
enum cli_exit run_each(struct cli *c);     /* [ABA], or every shard. */
enum cli_exit run_submit(struct cli *c);   /* submit.c */
enum cli_exit run_transfer(struct cli *c); /* ID: show, trace, cancel. verbs_items.c */
enum cli_exit run_file(struct cli *c);     /* F: show, cancel. */
enum cli_exit run_file_get(struct cli *c);
enum cli_exit run_file_verify(struct cli *c);
enum cli_exit run_file_resolve(struct cli *c);
enum cli_exit run_events(struct cli *c); /* verbs_log.c */
enum cli_exit run_help(struct cli *c);   /* help.c */
enum cli_exit run_version(struct cli *c);
enum cli_exit run_completion(struct cli *c);

/* What the verb's change did, as a sentence with its line end; false: it is no
 * change, and its answer is shown by its fields (sentence.c). */
bool cli_sentence(const struct cli *c, const json_t *document, struct bytes *out);

/* How to use one verb, or (NULL) what verbs there are; appended. */
void help_text(const struct cli_verb *v, struct bytes *out);

#endif
