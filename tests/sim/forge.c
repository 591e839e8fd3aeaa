/* Frames of a stranger. Names, ids and identities are no secrets: it has them all. What
 * a node asks of another it sends to that one's address, where the stranger is not. */
#include <string.h>

#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"
#include "tests/sim/forge.h"

#define LATE_TERM 100000 /* No group comes near it by itself. */

static struct message refusal(void)
{
    struct message m = {.kind = MESSAGE_HELLO};
    m.hello.state = HELLO_REFUSED;
    m.hello.node_name = span_str("n1");
    m.hello.reason = span_str("its data directory is not the one this cluster was formed with");
    return m;
}

/* Whoever believes it follows nobody for a long time. */
static struct message vote_of_a_late_term(uint64_t group, uint64_t from)
{
    struct message m = {.kind = MESSAGE_REQUEST_VOTE, .group = group};
    m.request_vote = (struct message_request_vote){
        .version = 2, .term = LATE_TERM, .candidate_id = from, .disrupt_leader = true};
    return m;
}

static struct message leaving(void)
{
    struct message m = {.kind = MESSAGE_NODE_STATUS};
    m.node_status.leaving = true;
    m.node_status.version = span_str("9.9.9");
    return m;
}

static struct message forming(uint8_t ask[PROOF_SIZE])
{
    struct message m = {.kind = MESSAGE_HELLO};
    m.hello.state = HELLO_FORMING;
    m.hello.reply_wanted = true;
    m.hello.node_name = span_str("n1");
    m.hello.ask = span_of(ask, PROOF_SIZE);
    m.hello.answer = m.hello.ask;
    return m;
}

void forge_frame(struct sim *s, struct sim_host *h)
{
    unsigned other = (h->index + 1 + (unsigned)sim_below(s, s->plan.nodes - 1)) % s->plan.nodes;
    uint64_t group = sim_below(s, 2) == 0 ? 0 : check_group_id(1 + (unsigned)sim_below(s, s->plan.shards));
    uint8_t guess[PROOF_SIZE];
    struct bytes frame = BYTES_NONE;
    struct message m;

    be64_put(guess, sim_random(s));
    be64_put(guess + 8, sim_random(s));
    switch (sim_below(s, 4)) {
    case 0:
        m = refusal();
        break;
    case 1:
        m = vote_of_a_late_term(group, other + 1);
        break;
    case 2:
        m = leaving();
        break;
    default:
        m = forming(guess);
        break;
    }
    if (!h->up || h->node == NULL) {
        return;
    }
    if (node_state(h->node) == NODE_REFUSED && !h->lost) {
        sim_fail(s, "I-14", "node %s is refused, and its disk is the right one", h->name);
        return;
    }
    struct frame head = {.version = FRAME_VERSION,
                         .cluster = span_str("sim"),
                         .from = other + 1,
                         .to = h->index + 1,
                         .identity = h->node->members[other].identity,
                         .proof = sim_below(s, 2) == 0 ? SPAN_NONE : span_of(guess, sizeof guess)};
    frame_begin(&head, &frame);
    frame_add(&m, &frame);
    net_inject(s, h->index, span_bytes(&frame));
    bytes_release(&frame);
}
