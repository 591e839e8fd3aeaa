/* A client port with nothing behind it: what it answers, a test decides.
 *
 * The port runs on a loop and thread of its own. */
#ifndef TESTS_SUPPORT_FAKE_NODE_H
#define TESTS_SUPPORT_FAKE_NODE_H

#include <stdatomic.h>

#include "proto/client.h"
#include "tests/support/ports.h"

struct server;
struct server_call;
struct uvloop;

/* What to do with a request. ANSWER_SLOWLY: within 20 ms, in another order.
 * KEEP: not answered before fake_node_release(). */
enum fake_answer { ANSWER, ANSWER_SLOWLY, ANSWER_KEEP };

#define FAKE_KEPT_MAX (REQUESTS_INFLIGHT_MAX + 16)

struct fake_node {
    char address[TEST_ADDRESS_SIZE];
    struct uvloop *u;
    struct server *server;
    /* On the node's thread: fill reply for request. Default: json is the value
     * of the argument "echo"; each transfer is accepted with its amount as index. */
    enum fake_answer (*answer)(struct fake_node *n, const struct request *request, struct reply *reply,
                               struct arena *a);
    void *impl; /* The test's. */
    _Atomic unsigned requests;
    struct server_call *kept[FAKE_KEPT_MAX];
    _Atomic unsigned kept_count;
};

/* address NULL: a free one of TCP. n's answer and impl may be set before; the rest is overwritten. */
void fake_node_open(struct fake_node *n, const char *address);
enum fake_answer fake_node_echo(struct fake_node *n, const struct request *request, struct reply *reply,
                                struct arena *a);
/* Answer all that is kept with an empty SG_OK. */
void fake_node_release(struct fake_node *n);
/* Connections break; what was kept stays unanswered. */
void fake_node_close(struct fake_node *n);

#endif
