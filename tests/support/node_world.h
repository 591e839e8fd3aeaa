/* Whole nodes in one thread: virtual time, memory disks, links that deliver in
 * order after a millisecond, and a bank that does what it is asked.
 *
 *   struct node_world *w = node_world_new(3, 1);
 *   node_world_start_all(w);
 *   assert_true(node_world_formed(w, 5000));
 *   const struct reply *r = node_world_ask(w, 0, &request, 2000);
 *   ... node_world_kill(), node_world_start(), node_world_leave() ...
 *   node_world_free(w);                 ends every node in good order
 *
 * Nodes are 0 .. count - 1, named n1, n2 ...; their ids are one more. */
#ifndef TESTS_SUPPORT_NODE_WORLD_H
#define TESTS_SUPPORT_NODE_WORLD_H

#include "storage/mem_kv.h"
#include "supervisor/node/node_impl.h"
#include "tests/support/test_loop.h"

struct node_world;

struct node_world *node_world_new(size_t count, size_t lanes);
void node_world_free(struct node_world *w);

/* What node_new() answers; why is kept. A node that was killed starts anew over its disks. */
enum sg_err node_world_start(struct node_world *w, size_t node);
void node_world_start_all(struct node_world *w);
/* From its next start on it speaks levels up to this; 0: LEVEL_MAX. */
void node_world_set_level(struct node_world *w, size_t node, uint32_t level_max);
const char *node_world_why(const struct node_world *w);
/* The process is gone; the others see the connections break. */
void node_world_kill(struct node_world *w, size_t node);
/* As SIGTERM, until it has left. false: not within limit_ms. */
bool node_world_leave(struct node_world *w, size_t node, uint64_t limit_ms);
/* Its disks are new and empty. It must be down. */
void node_world_wipe(struct node_world *w, size_t node);
/* The disks of a and b change places. Both must be down. */
void node_world_swap(struct node_world *w, size_t a, size_t b);
/* Frames between the two are lost, and the connection breaks; or it comes back. */
void node_world_cut(struct node_world *w, size_t a, size_t b, bool cut);

void node_world_advance(struct node_world *w, uint64_t ms);
/* The wall clocks of all that are up jump. */
void node_world_set_wall(struct node_world *w, int64_t unix_ms);
/* Until done(arg); its last answer. */
bool node_world_until(struct node_world *w, bool (*done)(void *arg), void *arg, uint64_t limit_ms);
/* All that are up run, and the catalog knows all nodes. */
bool node_world_formed(struct node_world *w, uint64_t limit_ms);
/* The node that leads this group and may act, or count after limit_ms. */
size_t node_world_leader(struct node_world *w, uint64_t group, uint64_t limit_ms);

struct node *node_world_node(struct node_world *w, size_t node);
struct lane_slot *node_world_slot(struct node_world *w, size_t node, uint64_t group);
struct mem_kv *node_world_disk(struct node_world *w, size_t node, size_t lane);
/* on_fatal was called; nothing of the node runs any more. */
bool node_world_is_fatal(const struct node_world *w, size_t node);

/* Send a request and forget its answer, or keep it for node_world_answer(). */
size_t node_world_send(struct node_world *w, size_t node, const struct request *request);
/* The answer to that request when it came, else NULL. Valid until the world ends. */
const struct reply *node_world_answer(struct node_world *w, size_t call);
/* Times it was answered. */
unsigned node_world_answers(const struct node_world *w, size_t call);
/* Both; NULL: no answer within limit_ms. */
const struct reply *node_world_ask(struct node_world *w, size_t node, const struct request *request,
                                   uint64_t limit_ms);
/* A verb with named arguments: pairs of name and value, the last name NULL. */
const struct reply *node_world_verb(struct node_world *w, size_t node, enum request_kind kind, uint32_t aba,
                                    const char *const *args);
/* Raw bytes, as from anyone who can connect. */
size_t node_world_send_raw(struct node_world *w, size_t node, struct span request);
/* The configuration with these shards (ABA texts separated by blanks), one endpoint and
 * originator "acme", applied through a node. */
const struct reply *node_world_apply(struct node_world *w, size_t node, const char *shards);
/* One good transfer of the shard. The strings must outlive the request. */
struct transfer node_world_transfer(const char *id, uint32_t shard);

/* See each frame before it leaves; false drops it. */
void node_world_set_filter(struct node_world *w,
                           bool (*filter)(void *arg, size_t from, size_t to, struct span frame), void *arg);
/* A frame as if from node from's process came in at node to. */
void node_world_inject(struct node_world *w, size_t to, struct span frame);

#endif
