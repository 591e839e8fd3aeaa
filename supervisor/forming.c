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
#include <stdio.h>
#include <string.h>

#include "proto/mem.h"
#include "storage/log.h"
#include "supervisor/parts.h"

#define META_IDENTITY "identity"
#define META_OWNER "owner"
#define META_MEMBERS "members"
#define REFUSAL_REPEAT_MS 1000
#define HELLO_REPEAT_MS 400
#define MEMBER_RECORD_SIZE (8 + IDENTITY_SIZE)

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

/* "cluster/node/lanes": what a data directory was made for. */
static void owner_text(const struct node *n, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s/%zu", n->cluster, n->self->name, n->options.lanes_count);
}

static enum sg_err members_read(struct node *n, struct span value, char *why, size_t why_size)
{
    if (value.n != n->options.founders_count * MEMBER_RECORD_SIZE) {
        (void)snprintf(why, why_size,
                       "the cluster was formed with %zu nodes, the configuration names %zu: put the founding "
                       "members back under nodes:",
                       value.n / MEMBER_RECORD_SIZE, n->options.founders_count);
        return SG_REFUSED;
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        const uint8_t *p = value.p + i * MEMBER_RECORD_SIZE;
        struct node_member *m = &n->members[be64_get(p) - 1];
        memcpy(m->identity.b, p + 8, IDENTITY_SIZE);
        m->has_identity = true;
    }
    n->formed = true;
    return SG_OK;
}

/* First use of this directory: an identity, and whose it is. Every lane's
 * store gets the same, so that a lost or exchanged lane is noticed. */
static enum sg_err identity_make(struct node *n)
{
    char owner[2 * NAME_SIZE_MAX + 16];

    owner_text(n, owner, sizeof owner);
    be64_put(n->identity.b, loop_random(n->options.lanes[0].loop));
    be64_put(n->identity.b + 8, loop_random(n->options.lanes[0].loop));
    /* Lane 0 last: while it has none, the directory counts as unused. */
    for (size_t i = n->options.lanes_count; i-- > 0;) {
        struct kv *kv = n->options.lanes[i].kv;
        struct kv_txn *txn;
        enum sg_err err = kv_begin(kv, true, &txn);
        if (err != SG_OK) {
            return err;
        }
        err = meta_put(kv, txn, META_IDENTITY, span_of(n->identity.b, IDENTITY_SIZE));
        if (err == SG_OK) {
            err = meta_put(kv, txn, META_OWNER, span_str(owner));
        }
        if (err != SG_OK) {
            kv_abort(kv, txn);
            return err;
        }
        err = kv_commit(kv, txn);
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

/* Reads one lane's identity; SG_NOTFOUND when it was never used. */
static enum sg_err identity_read(struct node *n, size_t lane, struct identity *out, char *why,
                                 size_t why_size)
{
    struct kv *kv = n->options.lanes[lane].kv;
    char owner[2 * NAME_SIZE_MAX + 16];
    struct kv_txn *txn;
    struct span value;
    enum sg_err err = kv_begin(kv, false, &txn);

    if (err != SG_OK) {
        return err;
    }
    err = meta_get(kv, txn, META_IDENTITY, &value);
    if (err == SG_OK && value.n != IDENTITY_SIZE) {
        err = SG_CORRUPT;
    }
    if (err != SG_OK) {
        goto out;
    }
    memcpy(out->b, value.p, IDENTITY_SIZE);
    err = meta_get(kv, txn, META_OWNER, &value);
    owner_text(n, owner, sizeof owner);
    if (err == SG_OK && !span_is(value, owner)) {
        char found[128];
        (void)snprintf(why, why_size,
                       "the data directory was made for %s (cluster/node/lanes), this node is %s: use the "
                       "directory or the configuration that belongs together",
                       span_cstr(value, found, sizeof found), owner);
        err = SG_REFUSED;
    }
    if (err == SG_OK && lane == 0) {
        err = meta_get(kv, txn, META_MEMBERS, &value);
        err = err == SG_NOTFOUND ? SG_OK : err == SG_OK ? members_read(n, value, why, why_size) : err;
    }
out:
    kv_abort(kv, txn);
    return err;
}

enum sg_err forming_load(struct node *n, char *why, size_t why_size)
{
    enum sg_err err;

    (void)snprintf(why, why_size, "the store of lane 0 cannot be read");
    err = identity_read(n, 0, &n->identity, why, why_size);
    if (err == SG_NOTFOUND) {
        err = identity_make(n);
        if (err != SG_OK) {
            (void)snprintf(why, why_size, "the identity of a new data directory cannot be written");
        }
        return err;
    }
    for (size_t i = 1; err == SG_OK && i < n->options.lanes_count; i++) {
        struct identity other;
        err = identity_read(n, i, &other, why, why_size);
        if (err == SG_NOTFOUND || (err == SG_OK && memcmp(&other, &n->identity, sizeof other) != 0)) {
            (void)snprintf(
                why, why_size,
                "the store of lane %zu is empty or of another directory: bring the right one back; its "
                "groups' votes must not be forgotten",
                i);
            err = SG_REFUSED;
        }
    }
    return err;
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
    logger_line(LOG_WARN, &scope, "peer.refused", "peer=%s why=\"%s\"", m->founder->name, reason);
    hello_send(n, m->founder->id, HELLO_REFUSED, false, reason);
}

bool forming_admits(struct node *n, uint64_t from, const struct identity *identity)
{
    struct node_member *m = &n->members[from - 1];

    if (!n->formed || n->state == NODE_REFUSED) {
        return false;
    }
    if (memcmp(&m->identity, identity, sizeof *identity) == 0) {
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
    logger_line(LOG_ERROR, &scope, "node.refused", "why=\"%s\"", reason);
}

/* The table and the catalog's first entry, in one transaction. Blocks for one
 * flush: nothing else runs on this node yet. */
static enum sg_err table_write(struct node *n)
{
    uint8_t record[NODES_MAX * MEMBER_RECORD_SIZE];
    uint64_t voters[REPLICAS_MAX];
    size_t voters_count = n->options.founders_count < REPLICAS_MAX ? n->options.founders_count : REPLICAS_MAX;
    struct kv *kv = n->options.lanes[0].kv;
    struct kv_txn *txn;
    enum sg_err err;

    for (size_t i = 0; i < n->options.founders_count; i++) {
        be64_put(record + i * MEMBER_RECORD_SIZE, i + 1);
        memcpy(record + i * MEMBER_RECORD_SIZE + 8, n->members[i].identity.b, IDENTITY_SIZE);
    }
    for (size_t i = 0; i < voters_count; i++) {
        voters[i] = i + 1;
    }
    err = kv_begin(kv, true, &txn);
    if (err != SG_OK) {
        return err;
    }
    err = meta_put(kv, txn, META_MEMBERS, span_of(record, n->options.founders_count * MEMBER_RECORD_SIZE));
    if (err == SG_OK && n->self->id <= voters_count) {
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
    node_run(n);
    for (size_t i = 0; i < n->options.founders_count; i++) {
        if (&n->members[i] != &n->members[n->self->id - 1]) {
            forming_greet(n, &n->members[i], false);
        }
    }
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
}

/* A formed founder told us its table: ours is in it, or we are not its founder. */
static void adopt(struct node *n, const struct message_hello *hello)
{
    if (n->state != NODE_FORMING || hello->members_count != n->options.founders_count) {
        return;
    }
    for (size_t i = 0; i < hello->members_count; i++) {
        uint64_t id = hello->members[i].node;
        if (id != i + 1) {
            return;
        }
        if (id == n->self->id && memcmp(&hello->members[i].identity, &n->identity, sizeof n->identity) != 0) {
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
    char reason[sizeof n->refusal];
    size_t refusing = 0;

    m->refuses_us = true;
    for (size_t i = 0; i < n->options.founders_count; i++) {
        refusing += n->members[i].refuses_us;
    }
    /* Formed before and refused by one: that one may be the stranger. By a
     * majority, or while still forming: it is us. */
    if (n->state == NODE_FORMING || refusing > n->options.founders_count / 2) {
        become_refused(n, span_cstr(hello->reason, reason, sizeof reason));
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
    if (n->formed) {
        if (!forming_admits(n, from, identity)) {
            return;
        }
        m->is_formed = hello->state == HELLO_FORMED;
        m->refuses_us = false;
    } else {
        m->identity = *identity;
        m->has_identity = true;
        m->is_formed = hello->state == HELLO_FORMED;
    }
    if (hello->reply_wanted || (n->formed && hello->state == HELLO_FORMING)) {
        forming_greet(n, m, false);
    }
    if (!n->formed && m->is_formed) {
        adopt(n, hello);
    }
    form_if_complete(n);
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
