/* Every replica keeps the bytes of every sealed file. Private to shard/.
 *
 * A file is built once by each replica, from its own rows and by the rules of the file's
 * level, soon after its SEAL is applied; later reads, uploads and verifications take what
 * was kept. So a program needs to build by the rules of a level only as long as the
 * level is in force: 'upgrade finalize' waits until every file stands everywhere.
 *
 * Building runs on WORKER_READ, keeping is a job of the store's writer, one file at a
 * time. What was sealed while nobody looked (a restart, a snapshot, a program before
 * this one) is found by the mark. A file that comes out otherwise than it was sealed
 * means that this replica's rows are not what they were: damaged() is called, and
 * the replica acts no more. */
#ifndef SHARD_KEEPER_H
#define SHARD_KEEPER_H

#include "proto/base/loop.h"
#include "storage/writer.h"

struct keeper;

struct keeper_options {
    struct loop *loop;
    struct kv *kv;
    struct writer *writer;
    uint64_t group;
    void (*damaged)(void *impl, const char *why);
    void *impl;
};

struct keeper *keeper_new(const struct keeper_options *options);
/* Something may have been sealed: look, at the end of the turn. */
void keeper_look(struct keeper *k);
/* Sealed files whose bytes are not kept yet, as it last saw; 1 before it has looked. */
uint64_t keeper_missing(const struct keeper *k);
void keeper_stop(struct keeper *k);
/* Nothing of it is elsewhere. */
bool keeper_is_idle(const struct keeper *k);
/* It must be stopped and idle. */
void keeper_free(struct keeper *k);

#endif
