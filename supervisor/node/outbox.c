#include "supervisor/node/outbox.h"

#include <stddef.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"

#define MESSAGE_HEAD_BYTES 256u

CHECK_STATIC(FRAME_SIZE_SOFT_BYTES + REQUEST_SIZE_MAX_BYTES + MESSAGE_HEAD_BYTES <= FRAME_SIZE_MAX_BYTES,
             "a forwarded request fits behind what has gathered");

struct outbox_peer {
    uint64_t node;
    struct proof proof; /* When has_proof. */
    bool has_proof;
    struct bytes frame; /* n is 0 when nothing has gathered. */
    size_t messages_count;
};

struct outbox {
    struct loop *loop;
    struct link *link;
    struct frame header;
    struct bytes cluster;
    struct task flush;
    struct outbox_stats stats;
    struct outbox_peer peers[NODES_MAX];
    size_t peers_count;
};

static void peer_flush(struct outbox *o, struct outbox_peer *p)
{
    if (p->messages_count == 0) {
        return;
    }
    CHECK(p->frame.n <= FRAME_SIZE_MAX_BYTES);
    o->stats.frames++;
    o->stats.messages += p->messages_count;
    o->stats.bytes += p->frame.n;
    p->messages_count = 0;
    link_send(o->link, p->node, &p->frame);
    p->frame = BYTES_NONE;
}

void outbox_flush(struct outbox *o)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        peer_flush(o, &o->peers[i]);
    }
}

static void on_turn_end(struct task *task)
{
    outbox_flush(CONTAINER_OF(task, struct outbox, flush));
}

/* NULL: one node too many. */
static struct outbox_peer *peer_of(struct outbox *o, uint64_t node)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        if (o->peers[i].node == node) {
            return &o->peers[i];
        }
    }
    if (o->peers_count == NODES_MAX) {
        return NULL;
    }
    struct outbox_peer *p = &o->peers[o->peers_count++];
    *p = (struct outbox_peer){.node = node, .frame = BYTES_NONE};
    return p;
}

/* A forwarded reply is the one message that may not fit behind what has
 * gathered; limits.h says so of all others. */
static bool has_room(const struct outbox_peer *p, const struct message *m)
{
    return m->kind != MESSAGE_FORWARD_REPLY ||
           p->frame.n + m->forward_reply.reply.n + MESSAGE_HEAD_BYTES <= FRAME_SIZE_MAX_BYTES;
}

static void seam_send(void *impl, uint64_t node, const struct message *m)
{
    struct outbox *o = impl;
    struct outbox_peer *p = peer_of(o, node);
    if (p == NULL || (p->messages_count == 0 && link_pending_bytes(o->link, node) >= PEER_QUEUE_MAX_BYTES)) {
        o->stats.dropped++;
        return;
    }
    if (!has_room(p, m)) {
        peer_flush(o, p);
    }
    if (p->messages_count == 0) {
        o->header.to = node;
        o->header.proof = p->has_proof ? span_of(p->proof.b, PROOF_SIZE) : SPAN_NONE;
        frame_begin(&o->header, &p->frame);
        loop_defer(o->loop, &o->flush);
    }
    frame_add(m, &p->frame);
    p->messages_count++;
    if (p->frame.n >= FRAME_SIZE_SOFT_BYTES || p->messages_count == FRAME_MESSAGES_MAX) {
        peer_flush(o, p);
    }
}

void outbox_prove(struct outbox *o, uint64_t node, const struct proof *proof)
{
    struct outbox_peer *p = peer_of(o, node);
    if (p != NULL) {
        peer_flush(o, p);
        p->proof = *proof;
        p->has_proof = true;
    }
}

static const struct transport_ops seam_ops = {.send = seam_send};

struct outbox *outbox_new(const struct outbox_options *options)
{
    struct outbox *o = mem_zalloc(1, sizeof(*o));
    o->loop = options->loop;
    o->link = options->link;
    bytes_append_span(&o->cluster, options->cluster);
    o->header = (struct frame){
        .version = FRAME_VERSION,
        .cluster = span_bytes(&o->cluster),
        .from = options->self,
        .identity = options->identity,
    };
    o->flush.run = on_turn_end;
    return o;
}

struct transport outbox_transport(struct outbox *o)
{
    return (struct transport){&seam_ops, o};
}

struct outbox_stats outbox_stats(const struct outbox *o)
{
    return o->stats;
}

void outbox_free(struct outbox *o)
{
    loop_cancel(o->loop, &o->flush);
    for (size_t i = 0; i < o->peers_count; i++) {
        bytes_release(&o->peers[i].frame);
    }
    bytes_release(&o->cluster);
    mem_free(o);
}
