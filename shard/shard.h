/* One routing number put together: its group, its state machine, and what only
 * its leader does (take submissions, close windows, build files, upload).
 *
 * Everything on the shard's loop. Memory of callbacks' arguments is borrowed
 * for the call unless said otherwise. */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "proto/client.h"
#include "shard/ach/zone.h"
#include "shard/duties/submission.h"
#include "shard/engine/group.h"
#include "shard/state/state.h"
#include "shard/upload/bank.h"
#include "shard/upload/status.h"

struct shard;

struct shard_options {
    struct group_options group; /* machine is set by shard_open(). */
    struct bank *bank;
    const char *cluster; /* Part of attempt names; must outlive the shard. */
    /* A time zone by name, or NULL when there is no such zone; valid for ever. */
    const struct zone *(*zone)(void *impl, struct span name);
    /* The settings this shard should have by the catalog as this node knows it,
     * encoded, and their version; SPAN_NONE: not known yet. */
    struct span (*settings)(void *impl, struct aba routing_number, uint64_t *version);
    /* The level that the catalog stands at as this node knows it (0: not known yet), and
     * the first program that speaks it. */
    uint32_t (*level)(void *impl, struct span *program);
    /* The highest level that this replica speaks; 0: LEVEL_MAX. Less: a replica of an
     * earlier program, for tests. */
    uint32_t level_max;
    void (*changed)(void *impl, struct shard *s); /* Role, leader or failure changed. */
    void *impl;
};

/* Read what the store has of this group and take part in it. The options are
 * copied; what they point to must outlive the shard. changed() is never called
 * from within.
 * As group_open(), and SG_INVALID: the cluster's name can't be part of a file
 * name. Unless SG_OK there is no shard, and why (why_size bytes) is one sentence
 * for people. */
MUST_USE enum sg_err shard_open(const struct shard_options *options, struct shard **out, char *why,
                                size_t why_size);
/* Its group, for messages and the replicas' care; the shard keeps it. */
struct group *shard_group(struct shard *s);
/* Sealed files whose bytes this replica has not stored yet (keeper.h). */
uint64_t shard_files_missing(const struct shard *s);
/* Of a ready leader: the level in force; else 0. */
uint32_t shard_level(const struct shard *s);
/* The catalog's settings or level may have changed: the leader brings them into the log. */
void shard_settings_changed(struct shard *s);

/* done() is called exactly once, never from within. While this replica is
 * elected and not yet ready, what comes waits for that. */
void shard_submit(struct shard *s, struct shard_submit *submit);

/* Any other command a person gives: CANCEL, CLOSE, FILE_CANCEL, RESOLVE. The
 * shard stamps time and node. CLOSE closes a window of today: the one that
 * close.window.name names, or with "" a cut-off right now, which gets a name
 * ("M1", "M2", ...); command.close.window says which once done() is called.
 * Caller-allocated; done() is called exactly once, never from within, as for a
 * proposal, with the decoded result (borrowed) when SG_OK. What is refused
 * before it is proposed looks the same: SG_OK with result->err and its reason. */
struct shard_command {
    struct command command;
    void (*done)(struct shard_command *c, enum sg_err err, const struct command_result *result);
    struct proposal proposal; /* The shard's. */
    struct bytes encoded;
    struct shard *shard;
    struct shard_command *next; /* The shard's. */
    enum sg_err err;            /* The shard's: why it was not proposed. */
    char why[256];              /* The shard's: with a refusal. */
};
void shard_command(struct shard *s, struct shard_command *c);

struct shard_status {
    struct group_status group;
    bool has_settings;
    uint64_t settings_version;
    uint32_t level;               /* In force here; 0: the rows can't be read. */
    struct window_id next_window; /* "" name: none. */
    int64_t next_close_ms;
    struct shard_upload_status uploads[8];
    size_t parked_count; /* Windows that can't be sealed for now. */
    size_t uploads_count;
    size_t submit_queue_bytes;
};
/* Texts are borrowed until the loop goes on. */
void shard_status(struct shard *s, struct shard_status *out);

/* Of a leader: is this a bad moment to hand over for no other reason than a wish? A
 * window closes within CUTOFF_NEAR_MS, or a file is on its way to the bank: the next
 * leader would begin it anew. One whose upload has failed since is none: another
 * node may do better. why (when true) says which. */
bool shard_is_near_cutoff(struct shard *s, char *why, size_t why_size);

/* Take no more events; submissions and commands end with SG_NOTLEADER or
 * SG_UNKNOWN. What is under way elsewhere comes back first: free when idle. */
void shard_stop(struct shard *s);
bool shard_is_idle(const struct shard *s);
/* The shard must be stopped and idle. */
void shard_free(struct shard *s);

#endif
