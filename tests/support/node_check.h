/* What tests of whole nodes expect again and again. A check that does not hold
 * fails the running cmocka test. */
#ifndef TESTS_SUPPORT_NODE_CHECK_H
#define TESTS_SUPPORT_NODE_CHECK_H

#include "tests/support/node_world.h"

#define ABA_A 231380104u
#define ABA_B 121042882u
#define SHARDS_AB "231380104 121042882"

/* The request was answered, and well; or it was answered with this error, and a
 * text that contains part. */
void node_check_ok(const struct reply *r);
void node_check_refused(const struct reply *r, enum sg_err err, const char *part);
/* Does the text contain part? */
bool node_check_has(struct span data, const char *part);

/* A world whose nodes have formed their cluster. */
struct node_world *node_check_formed(size_t count, size_t lanes);
/* Three nodes, and the shards ABA_A and ABA_B have leaders. */
struct node_world *node_check_serving(size_t lanes);

/* Submits one good transfer of this id; its answer. */
const struct reply *node_check_submit(struct node_world *w, size_t node, const char *id, uint32_t aba);

#endif
