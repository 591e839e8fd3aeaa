/* A shard's state machine over a store in memory: commands in, results out.
 *
 * Time, term and index are the rig's; every command is encoded, applied in one
 * transaction and its result decoded, as in a node. After each command the rig
 * fails the test when a refused one has written anything. */
#ifndef TESTS_SUPPORT_STATE_RIG_H
#define TESTS_SUPPORT_STATE_RIG_H

#include "proto/base/hash.h"
#include "shard/state/state.h"
#include "storage/mem_kv.h"

#define STATE_RIG_GROUP 91000019u

struct state_rig {
    struct mem_kv *disk;
    struct kv kv;
    uint64_t index; /* Of the command applied last. */
    uint64_t term;
    uint32_t level;       /* Of commands that say none. */
    struct digest digest; /* Over all changes so far. */
    uint64_t set;         /* The set hash, carried on by apply. */
    struct arena arena;   /* Of the last result. */
    struct bytes before, after;
};

/* Without settings. hash_init() first. */
void state_rig_init(struct state_rig *rig);
void state_rig_release(struct state_rig *rig);

/* The settings of ach_sample.h, complete enough to be encoded. */
struct settings *state_rig_sample_settings(uint64_t version);
/* Applies settings; fails the test unless the result is err. */
void state_rig_settings(struct state_rig *rig, const struct settings *settings, enum sg_err err);

/* Stamps time (a second an index), level and node ("n1") unless set. The result is
 * valid until the next call. A command at which a replica would stop has the
 * result SG_UNSUPPORTED with kv_damage(), and no index. */
struct command_result state_rig_apply(struct state_rig *rig, struct command *c);
struct command_result state_rig_apply_raw(struct state_rig *rig, struct span command);
/* What state_apply() returns, in a transaction that is then abandoned. */
enum sg_err state_rig_try(struct state_rig *rig, struct command *c);

/* Questions: between the two no command may be applied. */
void state_rig_read(struct state_rig *rig, struct rows *rows);
void state_rig_read_end(struct rows *rows);
/* Every row, keys and values: equal dumps are equal states. */
void state_rig_dump(struct state_rig *rig, struct bytes *out);

/* What a leader would propose for the window's next file, in the arena. false:
 * no member is left. The creation day is the window's processing day. */
bool state_rig_next_seal(struct state_rig *rig, const struct window_id *window, struct arena *a,
                         struct command *out);

#endif
