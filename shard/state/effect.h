/* Applying one command: what the families of commands do with it, each in its own
 * way: refuse it, find nothing to do, or have an effect. */
#ifndef SHARD_STATE_EFFECT_H
#define SHARD_STATE_EFFECT_H

#include "shard/state/event.h"
#include "shard/state/store.h"

struct apply {
    struct rows *rows;
    uint64_t index, term;
    const struct command *command; /* By the rules of command->level. */
    struct arena *arena;           /* For as long as the command is applied. */
    struct counters_row counters;  /* Written back after a command with an effect. */
    struct bytes scratch;
    bool has_effect;
    struct command_result result;
};

/* Refuse the command: err and why, one sentence for a person. Returns SG_OK. */
enum sg_err apply_refuse(struct apply *a, enum sg_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Nothing to do: it was so already. Returns SG_OK. */
enum sg_err apply_same(struct apply *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Append to the events; marks the command as one with an effect. Fields are those that
 * the kind's sentence names (event.c); texts are cut off at REASON_SIZE_MAX. SG_IO. */
MUST_USE enum sg_err apply_event(struct apply *a, const char *kind, struct span subject,
                                 const struct event_field *fields, size_t fields_count);

/* A text of a person as it is kept: printable ASCII, at most size_max bytes. */
struct span apply_text(struct apply *a, struct span text, size_t size_max);
/* "2026-11-23/morning", in the arena. */
const char *apply_window_text(struct apply *a, const struct window_id *id);
/* "1234.05", in the arena. */
const char *apply_cents_text(struct apply *a, struct cents n);

/* Printing spans. */
#define SPAN_FMT "%.*s"
#define SPAN_ARG(s) (int)(s).n, (s).n > 0 ? (const char *)(s).p : ""

#endif
