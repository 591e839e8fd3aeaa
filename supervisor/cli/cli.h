/* The operator's tool: what all of its parts share.
 *
 * One run is one verb: cli_main() reads the command line, finds the verb and
 * calls its function, which asks (a node, or a data directory), prints, and
 * answers with the status to exit with. */
#ifndef SUPERVISOR_CLI_CLI_H
#define SUPERVISOR_CLI_CLI_H

#include <jansson.h>

#include "proto/client.h"
#include "supervisor/cli/args.h"

/* Fixed: scripts rely on them. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHED = 3, /* No quorum or leader reached; not done. */
    CLI_REFUSED = 4,   /* By a safety check. */
    CLI_UNKNOWN = 5,   /* Done or not. */
    CLI_CORRUPT = 6,
    CLI_DEGRADED = 7 /* status --check. */
};

struct client;
struct cli_verb;

struct cli {
    const struct cli_verb *verb;
    struct args args;      /* Without the verb's own words. */
    struct client *client; /* NULL before the first question, and offline. */
    struct arena arena;    /* Requests and replies. */
    bool is_continued;     /* The table under way has its heads already. */
    uint64_t deadline_ms;  /* Of the command, by the monotonic clock: --timeout. */
};

enum cli_exit cli_main(int argc, char **argv);

/* --- Saying why (supervisor/cli/call.c) ------------------------------------------ */

/* "shardgate VERB: ..." on stderr, made printable. Answers status. */
enum cli_exit cli_fail(const struct cli *c, enum cli_exit status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same for an error and its sentence. An address that is none is a usage error. */
enum cli_exit cli_fail_err(const struct cli *c, enum sg_err err, struct span text);
/* What to run to see whether the verb's change happened, to paste: "...: 'shardgate
 * files show F --shard ABA'"; empty for one that changes nothing. Returns out. */
#define CLI_LOOK_SIZE 512
const char *cli_look(const struct cli *c, char out[CLI_LOOK_SIZE]);
/* The status that an error ends the tool with. */
enum cli_exit cli_exit_of(enum sg_err err);

/* --- Asking (call.c) -------------------------------------------------------------- */

/* Nine digits with a right check digit. false: said why; exit with CLI_USAGE. */
MUST_USE bool cli_aba(const struct cli *c, const char *text, struct aba *out);

/* A request of this kind with the options that are arguments of it. Lives in c->arena. */
struct request cli_request(struct cli *c, enum request_kind kind, struct aba routing_number);
void cli_argument(struct cli *c, struct request *r, const char *name, const char *value);

/* Does it change something, so that a lost answer leaves its outcome unknown? */
bool cli_is_change(const struct request *r);
/* --connect or SHARDGATE_CONNECT; NULL: neither. */
const char *cli_addresses(const struct cli *c);
/* Make c->client if there is none. SG_INVALID, SG_IO: out says why. */
MUST_USE enum sg_err cli_connect(struct cli *c, struct reply *out);
/* What is left of the command's time; 0: it is over. */
uint32_t cli_left_ms(const struct cli *c);
/* The command's time begins now: for one that goes on without end (--follow). */
void cli_begin_time(struct cli *c);
/* Ask a node or the data directory. r->timeout_ms, 0 or more than what is left of the
 * command's time, becomes that. A read without an answer is SG_UNAVAILABLE. Returns out->err; out lives in c->arena.
 * Offline, SG_CORRUPT may come with a document of what could be read. */
enum sg_err cli_ask(struct cli *c, const struct request *r, struct reply *out);
/* The same with an arena of the caller's, from any thread, after cli_connect(). */
enum sg_err cli_ask_in(struct cli *c, const struct request *r, struct arena *a, struct reply *out);
/* The document of an answer, a new reference. NULL: it is none; said why, exit
 * with CLI_FAILED. */
json_t *cli_document(const struct cli *c, const struct reply *r);
/* Both: CLI_DONE with a new reference, or said why. */
enum cli_exit cli_fetch(struct cli *c, const struct request *r, json_t **out);

/* The whole of a file, or of stdin for "-". CLI_DONE, or said why. */
enum cli_exit cli_read(const struct cli *c, const char *path, size_t size_max, struct bytes *out);

/* --- Printing (show.c) ------------------------------------------------------------ */

/* As --output and the verb's layout say. */
void cli_show(const struct cli *c, const json_t *document);
void cli_write(struct span text);
/* Let the cluster go on for a moment before it is asked again. false: nobody reads
 * our output any more. */
MUST_USE bool cli_wait(int ms);

/* --- Which shard (find.c) ----------------------------------------------------------- */

/* All routing numbers, ascending, in c->arena. CLI_DONE, or said why; offline,
 * CLI_CORRUPT may come with those that could be read. */
enum cli_exit cli_shards(struct cli *c, struct aba **out, size_t *count);
/* The shard of a transfer or file: --shard, or the only one of all shards that
 * answers a request of this kind with this argument. CLI_DONE, or said why. */
enum cli_exit cli_find(struct cli *c, enum request_kind kind, const char *name, const char *value,
                       struct aba *out);

/* Is there a node of this name? CLI_DONE; CLI_USAGE with the nearest name, or why
 * nobody could say. */
enum cli_exit cli_node(struct cli *c, const char *name);

#endif
