/* How a cluster comes to be, and who belongs to it.
 *
 * Each data directory has an identity of its own. The founder with the lowest
 * id waits until it has heard all others in their forming state, writes down
 * all identities (and the catalog's first entry) in one transaction, and from
 * then on answers "formed" with that table; the others adopt it. So exactly one
 * table can exist: nobody else may make one, and its maker makes one only while
 * no other founder has one.
 *
 * Whoever appears later under a founder's name with another identity has lost
 * its disk or has a foreign one. It is refused, because it may have forgotten
 * votes and entries that it acknowledged under its old identity. */
#include "supervisor/node/forming.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "storage/log.h"
#include "supervisor/node/identity.h"
#include "supervisor/node/node_impl.h"

#define REFUSAL_REPEAT_MS 1000
#define HELLO_REPEAT_MS 400

static struct digest founders_digest(const struct node *n)
{
    struct digester d;
    digester_init(&d);
    for (size_t i = 0; i < n->options.founders_count; i++) {
        uint8_t size[4];
        be32_put(size, (uint32_t)strlen(n->founders[i].name));
        digester_add(&d, span_of(size, sizeof size));
        digester_add(&d, span_str(n->founders[i].name));
    }
    return digester_end(&d);
}

/* --- Talking ------------------------------------------------------------------ */

static void hello_send(struct node *n, uint64_t to, enum hello_state state, bool reply_wanted,
                       const char *reason)
{
    struct hello_member members[NODES_MAX];
    struct digest founders = founders_digest(n);
    struct message m = {.kind = MESSAGE_HELLO};

    m.hello.state = state;
    m.hello.reply_wanted = reply_wanted;
    m.hello.node_name = span_str(n->self->name);
    m.hello.founders_digest = span_of(founders.b, sizeof founders.b);
    m.hello.reason = span_str(reason);
    members_own_formats(n, &m.hello.formats);
    m.hello.members = members;
    if (n->formed) {
        for (size_t i = 0; i < n->options.founders_count; i++) {
            members[i] = (struct hello_member){.node = i + 1, .identity = n->members[i].identity};
        }
        m.hello.members_count = n->options.founders_count;
    }
    transport_send(&n->lanes[0].transport, to, &m);
}

void forming_greet(struct node *n, struct node_member *m, bool reply_wanted)
{
    m->hello_sent_ms = loop_now_ms(n->lanes[0].loop);
    hello_send(n, m->founder->id, n->formed ? HELLO_FORMED : HELLO_FORMING, reply_wanted, "");
}

static void refuse(struct node *n, struct node_member *m, const char *reason)
{
    struct log_scope scope = node_scope(n);
    uint64_t now = loop_now_ms(n->lanes[0].loop);

    if (m->refusal_sent_ms != 0 && now - m->refusal_sent_ms < REFUSAL_REPEAT_MS) {
        return;
    }
    m->refusal_sent_ms = now;
    logger_line(LOG_WARN, &scope, "peer.refused", "peer=%s why=%s", m->founder->name, LOG_TEXT(reason));
    hello_send(n, m->founder->id, HELLO_REFUSED, false, reason);
}

bool forming_admits(struct node *n, uint64_t from, const struct identity *identity)
{
    struct node_member *m = &n->members[from - 1];

    if (!n->formed || n->state == NODE_REFUSED) {
        return false;
    }
    if (memcmp(&m->identity, identity, sizeof *identity) == 0 || FAULT_BUG("stranger-admitted")) {
        return true;
    }
    refuse(
        n, m,
        "its data directory is not the one this cluster was formed with (empty, replaced or foreign disk); "
        "it must not vote under its old name: bring the old directory back");
    return false;
}

/* --- Forming ------------------------------------------------------------------- */

static void become_refused(struct node *n, const char *reason)
{
    struct log_scope scope = node_scope(n);
    if (n->state == NODE_REFUSED) {
        return;
    }
    n->state = NODE_REFUSED;
    (void)snprintf(n->refusal, sizeof n->refusal, "%s", reason);
    logger_line(LOG_ERROR, &scope, "node.refused", "why=%s", LOG_TEXT(reason));
}

/* The table and the catalog's first entry, in one transaction. Blocks for one
 * flush: nothing else runs on this node yet. */
static enum sg_err table_write(struct node *n)
{
    uint8_t record[NODES_MAX * MEMBER_RECORD_SIZE];
    uint64_t voters[REPLICAS_MAX];
    size_t voters_count = n->options.founders_count;
    struct kv *kv = n->options.lanes[0].kv;
    struct kv_txn *txn;
    enum sg_err err;

    CHECK(voters_count <= REPLICAS_MAX); /* By node_new(). */
    for (size_t i = 0; i < voters_count; i++) {
        be64_put(record + i * MEMBER_RECORD_SIZE, i + 1);
        memcpy(record + i * MEMBER_RECORD_SIZE + 8, n->members[i].identity.b, IDENTITY_SIZE);
        voters[i] = i + 1;
    }
    err = kv_begin(kv, true, &txn);
    if (err != SG_OK) {
        return err;
    }
    err = meta_put(kv, txn, META_MEMBERS, span_of(record, voters_count * MEMBER_RECORD_SIZE));
    if (err == SG_OK) {
        err = group_bootstrap(kv, txn, 0, voters, voters_count);
    }
    if (err != SG_OK) {
        kv_abort(kv, txn);
        return err;
    }
    return kv_commit(kv, txn);
}

static void form(struct node *n)
{
    struct log_scope scope = node_scope(n);
    enum sg_err err;

    n->members[n->self->id - 1].identity = n->identity;
    n->members[n->self->id - 1].has_identity = true;
    err = table_write(n);
    if (err != SG_OK) {
        node_fatal(n, err, "the founding table cannot be written");
        return;
    }
    n->formed = true;
    logger_line(LOG_INFO, &scope, "cluster.formed", "nodes=%zu", n->options.founders_count);
    /* The table goes out before the catalog's first messages: they follow it in
     * the same frame and are understood. */
    for (size_t i = 0; i < n->options.founders_count; i++) {
        if (&n->founders[i] != n->self) {
            forming_greet(n, &n->members[i], false);
        }
    }
    node_run(n);
}

static void form_if_complete(struct node *n)
{
    if (n->state != NODE_FORMING || n->formed || n->self->id != 1) {
        return;
    }
    for (size_t i = 1; i < n->options.founders_count; i++) {
        if (!n->members[i].has_identity || n->members[i].is_formed) {
            return;
        }
    }
    form(n);
    if (n->catalog != NULL) {
        group_stand(n->catalog); /* Nobody leads it yet. */
    }
}

/* A formed founder told us its table: ours is in it, or we are not its founder. */
static void adopt(struct node *n, uint64_t from, const struct identity *identity,
                  const struct message_hello *hello)
{
    if (n->state != NODE_FORMING || hello->members_count != n->options.founders_count ||
        memcmp(&hello->members[from - 1].identity, identity, sizeof *identity) != 0) {
        return; /* It does not even name its sender. */
    }
    for (size_t i = 0; i < hello->members_count; i++) {
        uint64_t id = hello->members[i].node;
        if (id != i + 1) {
            return;
        }
        if (id == n->self->id && !FAULT_BUG("stranger-admitted") &&
            memcmp(&hello->members[i].identity, &n->identity, sizeof n->identity) != 0) {
            become_refused(n,
                           "the cluster exists and knows this node under another data directory: this one is "
                           "empty or foreign. Bring the old directory back; a node without it must not vote "
                           "under its old name");
            return;
        }
    }
    for (size_t i = 0; i < hello->members_count; i++) {
        n->members[i].identity = hello->members[i].identity;
        n->members[i].has_identity = true;
    }
    form(n);
}

static void hello_refused(struct node *n, struct node_member *m, const struct message_hello *hello)
{
    struct log_scope scope = node_scope(n);
    char reason[sizeof n->refusal];
    size_t refusing = 0;

    m->refuses_us = true;
    for (size_t i = 0; i < n->options.founders_count; i++) {
        refusing += n->members[i].refuses_us;
    }
    (void)node_clean_text(span_cstr(hello->reason, reason, sizeof reason));
    if (n->state == NODE_LEAVING || n->state == NODE_LEFT) {
        return;
    }
    /* By a majority, or not formed and refused by one that is: it is us. By one
     * of several: that one may be the stranger, or have another configuration. */
    if ((!n->formed && hello->members_count > 0) || refusing > n->options.founders_count / 2) {
        become_refused(n, reason);
    } else {
        logger_line(LOG_WARN, &scope, "node.refused_by", "peer=%s why=%s", m->founder->name,
                    LOG_TEXT(reason));
    }
}

void forming_hello(struct node *n, uint64_t from, const struct identity *identity,
                   const struct message_hello *hello)
{
    struct node_member *m = &n->members[from - 1];
    struct digest founders = founders_digest(n);

    if (hello->state == HELLO_REFUSED) {
        hello_refused(n, m, hello);
        return;
    }
    if (!span_eq(hello->founders_digest, span_of(founders.b, sizeof founders.b))) {
        refuse(n, m, "its configuration names other founding members: nodes: must be the same on every node");
        return;
    }
    if (n->formed && !forming_admits(n, from, identity)) {
        return;
    }
    m->identity = *identity;
    m->has_identity = true;
    m->is_formed = hello->state == HELLO_FORMED;
    member_says(n, m, &hello->formats);
    m->refuses_us = false;
    m->heard_ms = loop_now_ms(n->lanes[0].loop);
    if (n->formed && m->is_formed) {
        member_usable(n, m);
    }
    if (hello->reply_wanted || (n->formed && hello->state == HELLO_FORMING)) {
        forming_greet(n, m, false);
    }
    if (!n->formed && m->is_formed) {
        adopt(n, from, identity, hello);
    }
    form_if_complete(n);
}

/* What it said was said by a process that is perhaps gone, and its disk too. */
void forming_peer_down(struct node *n, struct node_member *m)
{
    m->refuses_us = false;
    if (!n->formed) {
        m->has_identity = false;
        m->is_formed = false;
    }
}

void forming_tick(struct node *n)
{
    uint64_t now = loop_now_ms(n->lanes[0].loop);

    if (n->state != NODE_FORMING) {
        return;
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        struct node_member *m = &n->members[i];
        if (m->founder != n->self && (m->hello_sent_ms == 0 || now - m->hello_sent_ms >= HELLO_REPEAT_MS)) {
            forming_greet(n, m, true);
        }
    }
}
