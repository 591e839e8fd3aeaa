/* A YAML document as a tree with line numbers, and strict reading of it.
 *
 * yaml_tree.c is the only file that includes yaml.h. Everything lives in the
 * reader's arena. The first error stays in why; every function answers false
 * from then on, so a caller may check once at the end. */
#ifndef SUPERVISOR_CONFIG_YAML_TREE_H
#define SUPERVISOR_CONFIG_YAML_TREE_H

#include "proto/base/arena.h"
#include "proto/base/units.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node;
struct yaml_pair {
    struct span key;
    size_t line;
    struct yaml_node *value;
};
struct yaml_node {
    enum yaml_kind kind;
    size_t line;              /* From 1. */
    struct span text;         /* SCALAR. */
    struct yaml_pair *pairs;  /* MAP. */
    struct yaml_node **items; /* LIST. */
    size_t count;
};

struct yaml_reader {
    const char *source; /* Name of the text in messages. */
    struct arena *arena;
    char *why;
    size_t why_size;
    bool failed;
};

/* NULL: not YAML, several documents, aliases (refused: a typo spreads), too
 * deep; r->why says where. An empty text is an empty map. */
struct yaml_node *yaml_load(struct yaml_reader *r, struct span text);

/* Notes the error "source:line: ..." unless there was one. Always false. */
bool yaml_fail(struct yaml_reader *r, size_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Is n a map whose keys are all in known (NULL-ended) and come once? */
bool yaml_keys(struct yaml_reader *r, const struct yaml_node *n, const char *what, const char *const *known);
/* The value of a key, NULL when absent. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* Each reads key of map into out when present; absent leaves out as it is
 * unless required. min and max bound a text's characters. */
bool yaml_text(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool required, size_t max,
               struct span *out);
bool yaml_number(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t min,
                 uint64_t max, uint64_t *out);
bool yaml_bool(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool *out);
/* "HH:MM" into minutes of the day; false: it is not. */
bool yaml_clock_text(struct span text, int *minute_of_day);
bool yaml_clock(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool required, int *out);
/* "250ms", "2s", "5m", "24h"; at most DURATION_MAX_MS. */
bool yaml_duration(struct yaml_reader *r, const struct yaml_node *map, const char *key, int64_t *out_ms);
/* "256KiB/s", "1MiB/s", "5000B/s", "none" (0). Not "0B/s". */
bool yaml_rate(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t *out_bytes);
/* "64GiB", "512MiB", a number of bytes with B. */
bool yaml_size(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t *out_bytes);
/* One of words (NULL-ended) into its position plus one. */
bool yaml_choice(struct yaml_reader *r, const struct yaml_node *map, const char *key,
                 const char *const *words, int *out);
/* A list of texts (a single text counts as a list of one). */
bool yaml_texts(struct yaml_reader *r, const struct yaml_node *map, const char *key, size_t max,
                size_t max_chars, struct span **out, size_t *count);

#endif
