/* The command line: options and words, wherever they stand.
 *
 * As getopt_long() reads them: --name VALUE, --name=VALUE, -o VALUE or -oVALUE, and
 * a long name may be cut where it stays the only one; "--" ends them; "-" is a word.
 * Which verb takes which option is the verb table's
 * business (verbs.h). */
#ifndef SUPERVISOR_CLI_ARGS_H
#define SUPERVISOR_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

/* name, letter (0: none), name of the value (NULL: a flag), help */
#define OPTION_TABLE(X)                                                                                  \
    X(OPTION_CONNECT, "connect", 0, "ADDR[,ADDR...]", "any nodes of the cluster (or SHARDGATE_CONNECT)") \
    X(OPTION_DATA_DIR, "data-dir", 0, "DIR", "read a node's files instead of asking a node")             \
    X(OPTION_OUTPUT, "output", 'o', "text|wide|json|jsonl",                                              \
      "how to print (default: text; wide: all columns)")                                                 \
    X(OPTION_TIMEOUT, "timeout", 0, "TIME", "how long to try, like 500ms, 10s or 2m (default: 10s)")     \
    X(OPTION_HELP, "help", 'h', NULL, "what the verb does")                                              \
    X(OPTION_SHARD, "shard", 0, "ABA", "the routing number")                                             \
    X(OPTION_LIMIT, "limit", 0, "ROWS", "how many rows at most (default: all)")                          \
    X(OPTION_FROM, "from", 0, "N", "start behind this cursor, or at this log index")                     \
    X(OPTION_TO, "to", 0, "N", "end at this log index; or the node to move to")                          \
    X(OPTION_STATE, "state", 0, "STATE", "only transfers that are pending, in_file or cancelled")        \
    X(OPTION_WINDOW, "window", 0, "NAME",                                                                \
      "the window to close or release (default of close: one outside of the schedule)")                  \
    X(OPTION_REASON, "reason", 0, "TEXT", "why; it stands in the shard's events")                        \
    X(OPTION_AS, "as", 0, "uploaded|abandoned", "what the bank has")                                     \
    X(OPTION_NODE, "node", 0, "NAME", "only shards led by this node")                                    \
    X(OPTION_UNHEALTHY, "unhealthy", 0, NULL, "only shards that need a person")                          \
    X(OPTION_REVEAL, "reveal", 0, NULL, "show account numbers in full")                                  \
    X(OPTION_DRY_RUN, "dry-run", 0, NULL, "say what would change, and change nothing")                   \
    X(OPTION_CHECK, "check", 0, NULL, "exit with 7 when the cluster is degraded")                        \
    X(OPTION_TAIL, "tail", 0, "N", "the newest N (default: 100)")                                        \
    X(OPTION_KIND, "kind", 0, "KIND", "only events of this kind, like file.hold, or family, like file")  \
    X(OPTION_SINCE, "since", 0, "TIME", "only those since then: 30m, 2h, 2026-11-30 (UTC)")              \
    X(OPTION_FOLLOW, "follow", 0, NULL, "wait for more, until interrupted")                              \
    X(OPTION_ALL, "all", 0, NULL, "every shard")                                                         \
    X(OPTION_FILE, "file", 'f', "FILE", "the configuration to apply, or -")                              \
    X(OPTION_FORCE, "force", 0, NULL, "also near a cut-off, or while a file goes to the bank")           \
    X(OPTION_NO_WAIT, "no-wait", 0, NULL, "do not wait until the change is in force on every leader")    \
    X(OPTION_OUT, "out", 0, "PATH", "write the bytes to this file")

#define OPTION_ENUM(id, name, letter, value, help) id,
enum cli_option { OPTION_TABLE(OPTION_ENUM) OPTIONS };
#undef OPTION_ENUM

#define OPTION_BIT(option) (1u << (unsigned)(option))
CHECK_STATIC(OPTIONS <= 32, "a set of options is a uint32_t");

struct option_row {
    const char *name;
    char letter;
    const char *value;
    const char *help;
};
/* One row an option, in the order of the enum. */
const struct option_row *args_options(void);

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_JSONL };

struct args {
    const char *option[OPTIONS]; /* NULL: not given; a flag: "true". Of argv. */
    const char *words[COMMAND_WORDS_MAX];
    size_t words_count;
    enum output output;
    bool is_wide;        /* With OUTPUT_TEXT: all columns, and lines as long as they are. */
    uint32_t timeout_ms; /* 0: the default. */
};

/* SG_INVALID: why is a sentence. One thread at a time: getopt_long() has state. */
MUST_USE enum sg_err args_parse(int argc, char *const *argv, struct args *out, char *why, size_t why_size);

/* The options given, as a set. */
uint32_t args_given(const struct args *a);

/* "500ms", "10s", "2m", "3h", "4d" or a number of seconds; at least 1 ms, at most 49 days. */
MUST_USE bool args_duration(const char *text, uint32_t *out_ms);
/* A decimal number of at most 19 digits and nothing else. */
MUST_USE bool args_number(const char *text, uint64_t *out);

#endif
