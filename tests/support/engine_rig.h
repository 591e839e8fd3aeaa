/* One replica (node 1) and peers that are played by the test.
 *
 *   struct rig *r = rig_new(3);          bootstrapped with nodes 1, 2, 3
 *   rig_open(r);
 *   rig_receive(r, 2, &message);
 *   rig_run(r);                          what is due, disk included
 *   m = rig_take(r, MESSAGE_...);        the next message of that kind it sent
 *   rig_free(r);
 *
 * For the engine's inside include shard/engine/engine.h: r->group is its struct. */
#ifndef TESTS_SUPPORT_ENGINE_RIG_H
#define TESTS_SUPPORT_ENGINE_RIG_H

#include "shard/engine/group.h"
#include "storage/log.h"
#include "storage/mem_kv.h"
#include "tests/support/test_loop.h"

#define RIG_GROUP 231380104u
#define RIG_SENT_MAX 4096

struct rig_sent {
    uint64_t to;
    struct message m; /* Spans and entries are gone; counts stay. */
    bool taken;
};

struct rig {
    struct test_loop *loop;
    struct mem_kv *disk;
    struct kv kv;
    struct writer *writer;
    struct group *group; /* NULL: not open. */
    struct transport transport;
    _Atomic uint32_t snapshot_senders;
    size_t nodes_count;
    struct rig_sent sent[RIG_SENT_MAX];
    size_t sent_count;
    enum sg_err failed;
    char why[200];
    bool told_leader;
    uint64_t told_leader_id;
    uint64_t applied; /* Last told. */
    uint64_t installed;
    uint64_t answered, answered_ok; /* Proposals. */
    enum sg_err last_answer;
};

/* nodes_count 0: nothing is stored. */
struct rig *rig_new(size_t nodes_count);
void rig_free(struct rig *r);
enum sg_err rig_open(struct rig *r);
/* Stop in good order; the disk stays. */
void rig_close(struct rig *r);
/* Entries from index on, one for each term given; empty commands. The log must end at index - 1. */
void rig_store_entries(struct rig *r, uint64_t index, const uint64_t *terms, size_t count);
void rig_store_hard_state(struct rig *r, uint64_t term, uint64_t voted_for);

void rig_run(struct rig *r);
void rig_advance(struct rig *r, uint64_t ms);
void rig_receive(struct rig *r, uint64_t from, const struct message *m);
/* Entries are empty commands of the given terms. */
void rig_append(struct rig *r, uint64_t from, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                uint64_t commit, const uint64_t *terms, size_t count);
void rig_ack(struct rig *r, uint64_t from, uint64_t term, uint64_t last_index);
/* The oldest message of the kind not taken yet; NULL. */
const struct message *rig_take(struct rig *r, enum message_kind kind);
void rig_forget_sent(struct rig *r);
size_t rig_count_sent(const struct rig *r, enum message_kind kind);
/* Until node 1 leads and its barrier is applied, with node 2's votes and acks. */
void rig_lead(struct rig *r);
/* An empty-ish command; false: not taken. */
bool rig_propose(struct rig *r);
struct group_status rig_status(struct rig *r);

#endif
