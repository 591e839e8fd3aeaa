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
 * votes and entries that it acknowledged under its old identity.
 *
 * Anybody who reaches the port can write a founder's name into a frame, and an
 * identity is no secret. So each process makes a random value for each other
 * founder, its `ask`, and sends it in hellos to that founder's configured address
 * and nowhere else; it believes only frames that carry it, their proof:
 *
 *   A -> B  hello, ask a                      B can't know who that was: believes nothing,
 *   B -> A  hello, ask b, answer a            and asks at A's own address.
 *   A -> B  hello, ask a, answer b            A knows b from there: it is A. From now on
 *   A <-> B frames with proof b, and a        both prove themselves in each frame.
 *
 * A stranger's frame so leads to a hello at the address of the founder it names, at
 * most one in ASK_REPEAT_MS, which that founder understands and which says nothing
 * against it. Who can read the traffic between the nodes can read proofs as well:
 * against that, only encryption helps.
 *
 * A refusal is believed only with proof, and for as long as it is repeated. */
#include "supervisor/node/forming.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "proto/level.h"
#include "storage/log.h"
#include "supervisor/node/identity.h"
#include "supervisor/node/node_impl.h"

#define REFUSAL_REPEAT_MS 1000
#define REFUSAL_LASTS_MS 5000 /* One that is not repeated for so long counts no more. */
#define HELLO_REPEAT_MS 400
#define ASK_REPEAT_MS 50
#define PROOF_SILENT_MS (3ull * NODE_HEARTBEAT_MS) /* So long without proof: its asking went astray. */

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

/* --- Proofs ------------------------------------------------------------------- */

void forming_init(struct node *n)
{
    for (size_t i = 0; i < n->options.founders_count; i++) {
        be64_put(n->members[i].ours.b, loop_random(n->lanes[0].loop));
        be64_put(n->members[i].ours.b + 8, loop_random(n->lanes[0].loop));
    }
}

/* In the same time however much of it is right. */
static bool shows_ours(const struct node_member *m, struct span proof)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < PROOF_SIZE && proof.n == PROOF_SIZE; i++) {
        differs |= (uint8_t)(m->ours.b[i] ^ proof.p[i]);
    }
    return proof.n == PROOF_SIZE && (differs == 0 || FAULT_BUG("proof-not-compared"));
}

/* Programs of level 1 prove nothing: while the cluster may have such nodes, one that
 * never proved anything is known by its identity alone. */
static bool must_prove(const struct node *n, const struct node_member *m)
{
    return !n->formed || m->is_proven || n->model->level.level >= LEVEL_PROOF;
}

static void show_theirs(struct node *n, struct node_member *m, struct span ask)
{
    if (ask.n == PROOF_SIZE && (!m->has_theirs || memcmp(m->theirs.b, ask.p, PROOF_SIZE) != 0)) {
        memcpy(m->theirs.b, ask.p, PROOF_SIZE);
        m->has_theirs = true;
        node_lanes_prove(n, m->founder->id, &m->theirs);
    }
}

/* --- Talking ------------------------------------------------------------------ */

static void hello_send(struct node *n, struct node_member *to, enum hello_state state, bool reply_wanted,
                       struct span answer, const char *reason)
{
    struct hello_member members[NODES_MAX];
    struct digest founders = founders_digest(n);
    struct message m = {.kind = MESSAGE_HELLO};

    m.hello.state = state;
    m.hello.reply_wanted = reply_wanted;
    m.hello.node_name = span_str(n->self->name);
    m.hello.founders_digest = span_of(founders.b, sizeof founders.b);
    m.hello.reason = span_str(reason);
    m.hello.ask = span_of(to->ours.b, PROOF_SIZE);
    m.hello.answer = answer;
    members_own_formats(n, &m.hello.formats);
    m.hello.members = members;
    if (n->formed) {
        for (size_t i = 0; i < n->options.founders_count; i++) {
            members[i] = (struct hello_member){.node = i + 1, .identity = n->members[i].identity};
        }
        m.hello.members_count = n->options.founders_count;
    }
    transport_send(&n->lanes[0].transport, to->founder->id, &m);
}

static struct span answer_of(const struct node_member *m)
{
    return m->has_theirs ? span_of(m->theirs.b, PROOF_SIZE) : SPAN_NONE;
}

void forming_greet(struct node *n, struct node_member *m, bool reply_wanted)
{
    m->hello_sent_ms = loop_now_ms(n->lanes[0].loop);
    hello_send(n, m, n->formed ? HELLO_FORMED : HELLO_FORMING, reply_wanted, answer_of(m), "");
}

/* A hello without proof came under this member's name: who it is shows at the member's
 * own address. */
static void ask(struct node *n, struct node_member *m, struct span their_ask)
{
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    if (m->asked_ms == 0 || now - m->asked_ms >= ASK_REPEAT_MS) {
        m->asked_ms = now;
        hello_send(n, m, n->formed ? HELLO_FORMED : HELLO_FORMING, true, their_ask, "");
    }
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
    hello_send(n, m, HELLO_REFUSED, false, answer_of(m), reason);
}

bool forming_admits(struct node *n, const struct frame *f)
{
    struct node_member *m = &n->members[f->from - 1];
    bool proven = shows_ours(m, f->proof);

    if (!n->formed || n->state == NODE_REFUSED || (!proven && must_prove(n, m))) {
        return false;
    }
    if (memcmp(&m->identity, &f->identity, sizeof f->identity) == 0 || FAULT_BUG("stranger-admitted")) {
        m->proven_ms = loop_now_ms(n->lanes[0].loop);
        return true;
    }
    if (proven) {
        refuse(n, m,
               "its data directory is not the one this cluster was formed with (empty, replaced or foreign "
               "disk); it must not vote under its old name: bring the old directory back");
    }
    return false;
}

/* --- Forming ------------------------------------------------------------------- */

static void become_refused(struct node *n, const char *reason)
{
    struct log_scope scope = node_scope(n);
    n->refused_ms = loop_now_ms(n->lanes[0].loop);
    if (n->state == NODE_REFUSED) {
        return;
    }
    n->state = NODE_REFUSED;
    (void)snprintf(n->refusal, sizeof n->refusal, "%s", reason);
    logger_line(LOG_ERROR, &scope, "node.refused", "why=%s", LOG_TEXT(reason));
}

/* Nobody says it any more: it goes on where it was. */
static void end_refusal(struct node *n)
{
    struct log_scope scope = node_scope(n);
    n->state = n->formed ? NODE_RUNNING : NODE_FORMING;
    n->refusal[0] = '\0';
    for (size_t i = 0; i < n->options.founders_count; i++) {
        n->members[i].refuses_us_ms = 0;
    }
    logger_line(LOG_INFO, &scope, "node.refused_no_more", "state=%s", node_state_name(n->state));
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
    bool is_refused = n->state == NODE_REFUSED;
    if ((n->state != NODE_FORMING && !is_refused) || hello->members_count != n->options.founders_count ||
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
    if (is_refused) {
        end_refusal(n);
    }
    form(n);
}

/* From one who proved to be a founder. */
static void hello_refused(struct node *n, struct node_member *m, const struct message_hello *hello)
{
    struct log_scope scope = node_scope(n);
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    char reason[sizeof n->refusal];
    size_t refusing = 0;

    m->refuses_us_ms = now;
    for (size_t i = 0; i < n->options.founders_count; i++) {
        uint64_t since_ms = n->members[i].refuses_us_ms;
        refusing += since_ms != 0 && now - since_ms < REFUSAL_LASTS_MS;
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

/* Is it the founder that it says, and (once formed) with the disk of then? */
static bool hello_is_believed(struct node *n, struct node_member *m, const struct frame *f,
                              const struct message_hello *hello)
{
    bool proven = shows_ours(m, f->proof) || shows_ours(m, hello->answer);

    if (!proven && hello->ask.n > 0) {
        ask(n, m, hello->ask);
        return false;
    }
    if (!proven && must_prove(n, m)) {
        return false; /* And of a program that can't. */
    }
    if (proven) {
        m->is_proven = true;
        m->proven_ms = loop_now_ms(n->lanes[0].loop);
        show_theirs(n, m, hello->ask);
    }
    return true;
}

/* For the people of this node: nothing is said to anybody else. Anybody who can connect
 * can cause this line: not more than one a second. */
static void tell_of_other_founders(struct node *n, const struct node_member *m)
{
    struct log_scope scope = node_scope(n);
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    if (n->dropped_logged_ms == 0 || now - n->dropped_logged_ms >= 1000) {
        n->dropped_logged_ms = now;
        logger_line(LOG_WARN, &scope, "peer.stranger", "peer=%s why=%s", m->founder->name,
                    LOG_TEXT("a configuration with other founding members says to be this node: nodes: must "
                             "be the same on every node"));
    }
}

bool forming_hello(struct node *n, const struct frame *f, const struct message_hello *hello)
{
    struct node_member *m = &n->members[f->from - 1];
    struct digest founders = founders_digest(n);
    bool is_known = memcmp(&m->identity, &f->identity, sizeof f->identity) == 0;

    if (!hello_is_believed(n, m, f, hello)) {
        if (!span_eq(hello->founders_digest, span_of(founders.b, sizeof founders.b))) {
            tell_of_other_founders(n, m);
        }
        return false;
    }
    if (hello->state == HELLO_REFUSED) {
        if (!n->formed || is_known) {
            hello_refused(n, m, hello);
        }
        return !n->formed || is_known;
    }
    if (!span_eq(hello->founders_digest, span_of(founders.b, sizeof founders.b))) {
        refuse(n, m, "its configuration names other founding members: nodes: must be the same on every node");
        return false;
    }
    if (n->formed && n->state != NODE_REFUSED && !is_known && !FAULT_BUG("stranger-admitted")) {
        refuse(n, m,
               "its data directory is not the one this cluster was formed with (empty, replaced or foreign "
               "disk); it must not vote under its old name: bring the old directory back");
        return false;
    }
    if (n->formed && n->state == NODE_REFUSED) {
        return false;
    }
    m->identity = f->identity;
    m->has_identity = true;
    m->is_formed = hello->state == HELLO_FORMED;
    member_says(n, m, &hello->formats);
    m->refuses_us_ms = 0;
    m->heard_ms = loop_now_ms(n->lanes[0].loop);
    if (n->formed && m->is_formed) {
        member_usable(n, m);
    }
    if (hello->reply_wanted || (n->formed && hello->state == HELLO_FORMING)) {
        forming_greet(n, m, false);
    }
    if (!n->formed && m->is_formed) {
        adopt(n, f->from, &f->identity, hello);
    }
    form_if_complete(n);
    return true;
}

/* What it said was said by a process that is perhaps gone, and its disk too. A program
 * of level 1 may come back in its place. */
void forming_peer_down(struct node *n, struct node_member *m)
{
    m->refuses_us_ms = 0;
    m->is_proven = false;
    if (!n->formed) {
        m->has_identity = false;
        m->is_formed = false;
    }
}

/* Does it have to be greeted anew? Before there is a cluster, and while refused, again
 * and again; later, one that is connected and has not proved anything for a while: a
 * hello went astray, or it is another process by now. */
static bool wants_greeting(const struct node *n, const struct node_member *m, uint64_t now)
{
    if (m->founder == n->self || (m->hello_sent_ms != 0 && now - m->hello_sent_ms < HELLO_REPEAT_MS)) {
        return false;
    }
    return n->state == NODE_FORMING || n->state == NODE_REFUSED ||
           (m->is_linked && now - m->proven_ms >= PROOF_SILENT_MS);
}

void forming_tick(struct node *n)
{
    uint64_t now = loop_now_ms(n->lanes[0].loop);

    if (n->state == NODE_REFUSED && now - n->refused_ms >= REFUSAL_LASTS_MS) {
        end_refusal(n);
    }
    for (size_t i = 0; i < n->options.founders_count && n->state != NODE_LEFT; i++) {
        if (wants_greeting(n, &n->members[i], now)) {
            forming_greet(n, &n->members[i], true);
        }
    }
}
