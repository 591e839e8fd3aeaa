/* A routing number put together for real: three replicas with the real engine,
 * writer and directories, one loop under virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/mem.h"
#include "shard/shard.h"
#include "storage/mem_kv.h"
#include "supervisor/daemon/banks/bank_agent.h"
#include "tests/support/ach_sample.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_loop.h"

#define NODES 3
#define GROUP 91000019u

struct net;

struct replica {
    struct net *net;
    uint64_t node; /* From 1. */
    struct mem_kv *disk;
    struct kv kv;
    struct writer *writer;
    struct transport transport;
    struct shard *shard; /* NULL: down. */
    _Atomic uint32_t snapshot_senders;
};

struct net {
    struct test_loop *t;
    struct test_dir dir;
    char staging[TEST_DIR_SIZE + 16], drop[TEST_DIR_SIZE + 16];
    struct bank_agent *agent;
    struct bank *bank;
    struct bytes settings;
    uint64_t version;
    struct replica replicas[NODES];
};

struct packet {
    struct task task;
    struct replica *to;
    uint64_t from;
    struct bytes frame;
};

static const struct zone new_york = {.first_s = -5 * 3600};
static const char *const names[NODES] = {"n1", "n2", "n3"};

/* --- The surroundings ------------------------------------------------------------------ */

static void deliver(struct task *t)
{
    struct packet *p = CONTAINER_OF(t, struct packet, task);
    struct arena a = ARENA_INIT;
    struct frame f;
    CHECK(frame_decode(span_bytes(&p->frame), &a, &f) == SG_OK);
    if (p->to->shard != NULL) {
        group_receive(shard_group(p->to->shard), p->from, &f.messages[0]);
    }
    arena_release(&a);
    bytes_release(&p->frame);
    mem_free(p);
}

static void on_send(void *impl, uint64_t node, const struct message *m)
{
    struct replica *r = impl;
    struct packet *p = mem_zalloc(1, sizeof *p);
    struct frame header = {
        .version = FRAME_VERSION, .cluster = span_str("demo"), .from = r->node, .to = node};
    frame_begin(&header, &p->frame);
    frame_add(m, &p->frame);
    p->from = r->node;
    p->to = &r->net->replicas[node - 1];
    p->task.run = deliver;
    loop_after(test_loop_seam(r->net->t), &p->task, 1);
}

static const struct transport_ops transport_ops = {.send = on_send};

static void on_store_failure(void *impl, enum sg_err err)
{
    (void)impl;
    fail_msg("the store failed: %s", sg_err_text(err));
}

static const struct zone *on_zone(void *impl, struct span name)
{
    (void)impl;
    return span_is(name, "America/New_York") ? &new_york : NULL;
}

static struct span on_settings(void *impl, struct aba routing_number, uint64_t *version)
{
    struct replica *r = impl;
    assert_int_equal(routing_number.n, GROUP);
    *version = r->net->version;
    return span_bytes(&r->net->settings);
}

static void replica_open(struct replica *r)
{
    char why[256];
    struct shard_options o = {
        .group = {.id = GROUP,
                  .node = r->node,
                  .node_name = names[r->node - 1],
                  .loop = test_loop_seam(r->net->t),
                  .kv = &r->kv,
                  .writer = r->writer,
                  .transport = &r->transport,
                  .trailing_entries = TRAILING_ENTRIES_DEFAULT,
                  .election_timeout_ms = ELECTION_TIMEOUT_MS,
                  .heartbeat_ms = HEARTBEAT_MS,
                  .snapshot_senders = &r->snapshot_senders},
        .bank = r->net->bank,
        .cluster = "demo",
        .zone = on_zone,
        .settings = on_settings,
        .impl = r,
    };
    if (shard_open(&o, &r->shard, why, sizeof why) != SG_OK) {
        fail_msg("%s", why);
    }
}

static void replica_make(struct net *n, unsigned i)
{
    static const uint64_t nodes[NODES] = {1, 2, 3};
    struct replica *r = &n->replicas[i];
    struct kv_txn *txn;
    r->net = n;
    r->node = i + 1;
    r->transport = (struct transport){&transport_ops, r};
    r->disk = mem_kv_new(names[i]);
    mem_kv_open(r->disk, &r->kv);
    r->writer = writer_new(test_loop_seam(n->t), &r->kv, on_store_failure, r);
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    assert_int_equal(group_bootstrap(&r->kv, txn, GROUP, nodes, NODES), SG_OK);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    replica_open(r);
}

/* A write that nobody waits for is committed only after WRITER_LAZY_MS. */
static bool shard_idle(void *shard)
{
    return shard_is_idle(shard);
}

static void replica_close(struct replica *r)
{
    shard_stop(r->shard);
    assert_true(test_loop_until(r->net->t, shard_idle, r->shard, 10000));
    shard_free(r->shard);
    r->shard = NULL;
}

static void set_settings(struct net *n)
{
    struct settings *s = ach_sample_settings();
    s->shard.windows_count = 0;
    s->endpoint = (struct endpoint_settings){.name = span_str("bank-a"),
                                             .kind = ENDPOINT_DIRECTORY,
                                             .drop_dir = span_str(n->drop),
                                             .staging_dir = span_str(n->staging),
                                             .confirm = CONFIRM_HASH,
                                             .verify_window_ms = VERIFY_WINDOW_MS};
    n->version = s->version;
    settings_encode(s, &n->settings);
}

static struct net *net_new(void)
{
    struct net *n = mem_zalloc(1, sizeof *n);
    hash_init();
    n->t = test_loop_new(1);
    test_dir_make(&n->dir);
    (void)snprintf(n->staging, sizeof n->staging, "%s/staging", n->dir.path);
    (void)snprintf(n->drop, sizeof n->drop, "%s/inbox", n->dir.path);
    assert_int_equal(mkdir(n->drop, 0700), 0);
    n->agent = bank_agent_new(test_loop_seam(n->t));
    n->bank = bank_agent_desk(n->agent, test_loop_seam(n->t));
    for (unsigned i = 0; i < NODES; i++) {
        replica_make(n, i);
    }
    return n;
}

static void net_free(struct net *n)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (n->replicas[i].shard != NULL) {
            replica_close(&n->replicas[i]);
        }
    }
    test_loop_advance(n->t, 1000);
    for (unsigned i = 0; i < NODES; i++) {
        writer_free(n->replicas[i].writer);
        kv_close(&n->replicas[i].kv);
        mem_kv_free(n->replicas[i].disk);
    }
    bank_agent_free(n->agent);
    bytes_release(&n->settings);
    test_dir_remove(&n->dir);
    test_loop_free(n->t);
    mem_free(n);
}

/* The replica that is ready to act; waits for one. */
static struct replica *leader(struct net *n)
{
    for (unsigned tries = 0; tries < 200; tries++) {
        for (unsigned i = 0; i < NODES; i++) {
            struct group_status s;
            if (n->replicas[i].shard == NULL) {
                continue;
            }
            group_status(shard_group(n->replicas[i].shard), &s);
            if (s.is_ready) {
                return &n->replicas[i];
            }
        }
        test_loop_advance(n->t, 100);
    }
    fail_msg("nobody leads");
    return NULL;
}

static size_t files_in(const char *dir)
{
    DIR *d = opendir(dir);
    size_t count = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return count;
}

/* --- What clients do ---------------------------------------------------------------------- */

static unsigned outcomes[OUTCOMES];
static enum sg_err submit_err;

static void on_submitted(struct shard_submit *s, enum sg_err err, const struct submit_result *results)
{
    submit_err = err;
    for (size_t i = 0; err == SG_OK && i < s->transfers_count; i++) {
        outcomes[results[i].outcome]++;
    }
}

static void submit_samples(struct net *n, struct replica *r)
{
    struct transfer t[ACH_SAMPLE_TRANSFERS];
    for (size_t i = 0; i < ACH_SAMPLE_TRANSFERS; i++) {
        t[i] = ach_sample_transfer(i);
        t[i].account = span_str("4410023");
    }
    struct shard_submit s = {.transfers = t, .transfers_count = ACH_SAMPLE_TRANSFERS, .done = on_submitted};
    memset(outcomes, 0, sizeof outcomes);
    submit_err = SG_TIMEOUT;
    shard_submit(r->shard, &s);
    test_loop_advance(n->t, 500);
    assert_int_not_equal(submit_err, SG_TIMEOUT);
}

static enum sg_err command_err, command_result_err;

static void on_commanded(struct shard_command *c, enum sg_err err, const struct command_result *result)
{
    (void)c;
    command_err = err;
    command_result_err = result != NULL ? result->err : SG_OK;
}

static struct shard_command command(struct net *n, struct replica *r, struct command what)
{
    struct shard_command c = {.command = what, .done = on_commanded};
    command_err = SG_TIMEOUT;
    shard_command(r->shard, &c);
    assert_int_equal(command_err, SG_TIMEOUT); /* Never from within. */
    test_loop_advance(n->t, 500);
    assert_int_not_equal(command_err, SG_TIMEOUT);
    return c;
}

static void test_from_submission_to_the_bank(void **state)
{
    (void)state;
    struct net *n = net_new();
    struct replica *a = leader(n);
    submit_samples(n, a);
    assert_int_equal(submit_err, SG_UNAVAILABLE); /* The catalog has said nothing yet. */
    set_settings(n);
    shard_settings_changed(a->shard);
    test_loop_advance(n->t, 100);
    submit_samples(n, a);
    assert_int_equal(outcomes[OUTCOME_ACCEPTED], ACH_SAMPLE_TRANSFERS);

    struct shard_command c = command(n, a, (struct command){.kind = COMMAND_CLOSE});
    assert_int_equal(command_err, SG_OK);
    assert_int_equal(command_result_err, SG_OK);
    assert_string_equal(c.command.close.window.name, "M1");
    struct command unknown = {.kind = COMMAND_CLOSE, .close.window.name = "XX"};
    (void)command(n, a, unknown);
    assert_int_equal(command_err, SG_OK);
    assert_int_equal(command_result_err, SG_NOTFOUND);
    test_loop_advance(n->t, 2000);
    assert_int_equal(files_in(n->drop), 1);

    struct shard_status s;
    shard_status(a->shard, &s);
    assert_true(s.group.is_ready && s.has_settings);
    assert_int_equal(s.settings_version, 1);
    assert_int_equal(s.uploads_count, 1);
    assert_string_equal(s.uploads[0].step, "verify");
    net_free(n);
}

static void test_the_next_leader_knows(void **state)
{
    (void)state;
    struct net *n = net_new();
    set_settings(n);
    struct replica *a = leader(n);
    test_loop_advance(n->t, 100);
    submit_samples(n, a);
    assert_int_equal(outcomes[OUTCOME_ACCEPTED], ACH_SAMPLE_TRANSFERS);
    (void)command(n, a, (struct command){.kind = COMMAND_CLOSE});
    replica_close(a);

    struct replica *b = leader(n);
    test_loop_advance(n->t, 2000);
    assert_int_equal(files_in(n->drop), 1);
    submit_samples(n, b);
    assert_int_equal(outcomes[OUTCOME_FOLDED], ACH_SAMPLE_TRANSFERS);
    (void)command(n, b, (struct command){.kind = COMMAND_CLOSE});
    test_loop_advance(n->t, 2000);
    assert_int_equal(files_in(n->drop), 1); /* Nothing was pending: no second file. */

    replica_open(a);
    test_loop_advance(n->t, 5000);
    struct shard_status sa, sb;
    shard_status(a->shard, &sa);
    shard_status(leader(n)->shard, &sb);
    assert_int_equal(sa.group.applied_index, sb.group.applied_index);
    assert_memory_equal(&sa.group.digest, &sb.group.digest, sizeof sa.group.digest);
    assert_true(sa.has_settings);
    submit_samples(n, leader(n) == a ? b : a);
    assert_int_equal(submit_err, SG_NOTLEADER);
    net_free(n);
}

static void test_bad_cluster_name(void **state)
{
    (void)state;
    struct net *n = net_new();
    struct shard *s;
    char why[256];
    struct shard_options o = {.group = {.id = GROUP}, .cluster = "a/b"};
    assert_int_equal(shard_open(&o, &s, why, sizeof why), SG_INVALID);
    assert_non_null(strstr(why, "a/b"));
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_submission_to_the_bank),
        cmocka_unit_test(test_the_next_leader_knows),
        cmocka_unit_test(test_bad_cluster_name),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
