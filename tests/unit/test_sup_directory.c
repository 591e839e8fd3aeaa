/* The bank seam on real directories: each answer for what it says, and a staged
 * file that two nodes push while the bank takes it arrives once. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "supervisor/daemon/banks/bank_agent.h"
#include "supervisor/daemon/banks/directory.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_loop.h"

#define PATH_SIZE (TEST_DIR_SIZE + 64)

struct place {
    struct test_dir dir;
    char staging[PATH_SIZE], drop[PATH_SIZE];
    struct endpoint_settings endpoint;
};

static void place_make(struct place *p)
{
    hash_init();
    test_dir_make(&p->dir);
    (void)snprintf(p->staging, sizeof p->staging, "%s/staging", p->dir.path);
    (void)snprintf(p->drop, sizeof p->drop, "%s/inbox", p->dir.path);
    assert_int_equal(mkdir(p->drop, 0700), 0);
    p->endpoint = (struct endpoint_settings){.kind = ENDPOINT_DIRECTORY,
                                             .staging_dir = span_str(p->staging),
                                             .drop_dir = span_str(p->drop),
                                             .confirm = CONFIRM_HASH};
}

static struct bank_request ask(struct place *p, enum bank_op op, enum bank_place where, const char *name)
{
    struct bank_request r = {.op = op, .endpoint = &p->endpoint, .place = where, .to_place = BANK_DROP};
    (void)snprintf(r.name, sizeof r.name, "%s", name);
    (void)snprintf(r.to_name, sizeof r.to_name, "F");
    r.data = span_str("0123456789");
    r.sha256 = sha256_of(r.data);
    return r;
}

static enum bank_answer answer(struct place *p, enum bank_op op, enum bank_place where, const char *name)
{
    struct bank_request r = ask(p, op, where, name);
    directory_execute(&r);
    return r.answer;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[PATH_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void assert_text(const struct bank_request *r, enum bank_answer wanted, const char *part)
{
    if (r->answer != wanted || strstr(r->text, part) == NULL) {
        fail_msg("%s \"%s\", not %s with \"%s\"", bank_answer_name(r->answer), r->text,
                 bank_answer_name(wanted), part);
    }
}

/* --- One request after the other ------------------------------------------------------- */

static const struct {
    const char *reason;
    enum bank_op op;
    enum bank_place place;
    const char *name;
    enum bank_answer answer;
} life[] = {
    {"a new endpoint keeps the promise", BANK_PROBE, BANK_STAGING, "probe", BANK_OK},
    {"nothing is there yet", BANK_STAT, BANK_STAGING, "T", BANK_ABSENT},
    {"nothing to rename", BANK_RENAME, BANK_STAGING, "T", BANK_ABSENT},
    {"nothing to remove", BANK_REMOVE, BANK_STAGING, "T", BANK_ABSENT},
    {"made", BANK_CREATE, BANK_STAGING, "T", BANK_OK},
    {"never made twice", BANK_CREATE, BANK_STAGING, "T", BANK_EXISTS},
    {"there", BANK_STAT, BANK_STAGING, "T", BANK_OK},
    {"moved", BANK_RENAME, BANK_STAGING, "T", BANK_OK},
    {"made last", BANK_SYNC, BANK_STAGING, "T", BANK_OK},
    {"gone from staging", BANK_STAT, BANK_STAGING, "T", BANK_ABSENT},
    {"there at the bank", BANK_STAT, BANK_DROP, "F", BANK_OK},
    {"another one", BANK_CREATE, BANK_STAGING, "T2", BANK_OK},
    {"F is never replaced", BANK_RENAME, BANK_STAGING, "T2", BANK_EXISTS},
    {"and what was to be moved is still there", BANK_STAT, BANK_STAGING, "T2", BANK_OK},
    {"removed", BANK_REMOVE, BANK_STAGING, "T2", BANK_OK},
    {"a probe beside all that leaves nothing", BANK_PROBE, BANK_STAGING, "probe", BANK_OK},
    {"nothing left of it", BANK_STAT, BANK_STAGING, "probe", BANK_ABSENT},
    {"nor of its second name", BANK_STAT, BANK_STAGING, "probe.2", BANK_ABSENT},
};

static void test_life(void **state)
{
    (void)state;
    static const enum confirm_kind kinds[] = {CONFIRM_SIZE, CONFIRM_HASH, CONFIRM_READBACK, CONFIRM_NONE};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct place p;
        place_make(&p);
        p.endpoint.confirm = kinds[k];
        for (size_t i = 0; i < sizeof life / sizeof life[0]; i++) {
            if (answer(&p, life[i].op, life[i].place, life[i].name) != life[i].answer) {
                fail_msg("confirm %d: %s", (int)kinds[k], life[i].reason);
            }
        }
        test_dir_remove(&p.dir);
    }
}

static void test_missing_directories(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    struct bank_request r = ask(&p, BANK_STAT, BANK_STAGING, "T");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "staging_dir"); /* Never "absent": it may be a lost mount. */
    r = ask(&p, BANK_RENAME, BANK_STAGING, "T");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "staging_dir");
    assert_int_equal(access(p.staging, F_OK), -1);
    assert_int_equal(answer(&p, BANK_CREATE, BANK_STAGING, "T"), BANK_OK);
    struct stat st;
    assert_int_equal(stat(p.staging, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(rmdir(p.drop), 0);
    r = ask(&p, BANK_CREATE, BANK_STAGING, "T2");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "drop_dir");
    assert_int_equal(access(p.drop, F_OK), -1); /* Never made. */
    r = ask(&p, BANK_STAT, BANK_STAGING, "T");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "create or mount it");
    /* A directory in its place is seen at once: nothing is kept open. */
    assert_int_equal(mkdir(p.drop, 0700), 0);
    assert_int_equal(answer(&p, BANK_STAT, BANK_STAGING, "T"), BANK_OK);
    test_dir_remove(&p.dir);
}

static void test_paths(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    p.endpoint.staging_dir = SPAN_NONE;
    struct bank_request r = ask(&p, BANK_PROBE, BANK_STAGING, "probe");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "staging_dir is missing");
    char parent_gone[PATH_SIZE + 32];
    (void)snprintf(parent_gone, sizeof parent_gone, "%s/gone/staging", p.dir.path);
    p.endpoint.staging_dir = span_str(parent_gone);
    r = ask(&p, BANK_PROBE, BANK_STAGING, "probe");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "making staging_dir");
    test_dir_remove(&p.dir);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    assert_int_equal(answer(&p, BANK_PROBE, BANK_STAGING, "probe"), BANK_OK);
    char path[PATH_SIZE + 8];
    (void)snprintf(path, sizeof path, "%s/T", p.staging);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    assert_int_equal(answer(&p, BANK_CREATE, BANK_STAGING, "T"), BANK_EXISTS);
    assert_int_equal(answer(&p, BANK_STAT, BANK_STAGING, "T"), BANK_OK); /* The link itself. */
    test_dir_remove(&p.dir);
}

static void test_wrong_content_is_doubt(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    struct bank_request r = ask(&p, BANK_CREATE, BANK_STAGING, "T");
    r.sha256.b[0] ^= 1;
    directory_execute(&r);
    assert_text(&r, BANK_DOUBT, "read back differ");
    test_dir_remove(&p.dir);
}

static void test_rate_limit(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    struct bytes data = BYTES_NONE;
    memset(bytes_extend(&data, 40000), 'x', 40000);
    struct bank_request r = ask(&p, BANK_CREATE, BANK_STAGING, "T");
    r.data = span_bytes(&data);
    r.sha256 = sha256_of(r.data);
    p.endpoint.rate_limit_bytes = 200000;
    struct timespec a, b;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    directory_execute(&r);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    assert_int_equal(r.answer, BANK_OK);
    assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 199);
    bytes_release(&data);
    test_dir_remove(&p.dir);
}

static void test_two_devices(void **state)
{
    (void)state;
    struct place p;
    struct stat a, b;
    place_make(&p);
    char elsewhere[] = "/dev/shm/shardgate-test-XXXXXX";
    if (mkdtemp(elsewhere) == NULL || stat(elsewhere, &a) != 0 || stat(p.drop, &b) != 0 ||
        a.st_dev == b.st_dev) {
        test_dir_remove(&p.dir);
        print_message("skipped: no second file system at /dev/shm\n");
        skip();
    }
    p.endpoint.staging_dir = span_str(elsewhere);
    struct bank_request r = ask(&p, BANK_PROBE, BANK_STAGING, "probe");
    directory_execute(&r);
    assert_text(&r, BANK_FAILED, "must share a file system");
    assert_int_equal(rmdir(elsewhere), 0);
    test_dir_remove(&p.dir);
}

/* A disk that fills: doubt about the file, and nothing left of the try. */
static void test_full_disk(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    char root[PATH_SIZE];
    (void)snprintf(root, sizeof root, "%s/small", p.dir.path);
    assert_int_equal(mkdir(root, 0700), 0);
    if (mount("none", root, "tmpfs", 0, "size=64k") != 0) {
        test_dir_remove(&p.dir);
        print_message("skipped: may not mount a tmpfs\n");
        skip();
    }
    char staging[PATH_SIZE + 16], drop[PATH_SIZE + 16];
    (void)snprintf(staging, sizeof staging, "%s/staging", root);
    (void)snprintf(drop, sizeof drop, "%s/inbox", root);
    p.endpoint.staging_dir = span_str(staging);
    p.endpoint.drop_dir = span_str(drop);
    bool made = mkdir(drop, 0700) == 0;
    struct bytes data = BYTES_NONE;
    memset(bytes_extend(&data, 100000), 'x', 100000);
    struct bank_request r = ask(&p, BANK_CREATE, BANK_STAGING, "T");
    r.data = span_bytes(&data);
    r.sha256 = sha256_of(r.data);
    directory_execute(&r);
    enum bank_answer there = answer(&p, BANK_STAT, BANK_STAGING, "T");
    struct bank_request small = ask(&p, BANK_CREATE, BANK_STAGING, "S");
    small.data = span_of(data.p, 64000);
    small.sha256 = sha256_of(small.data);
    directory_execute(&small);
    struct bank_request probe = ask(&p, BANK_PROBE, BANK_STAGING, "probe");
    directory_execute(&probe);
    bytes_release(&data);
    int unmounted = umount(root);
    test_dir_remove(&p.dir);
    assert_true(made && unmounted == 0);
    assert_text(&r, BANK_DOUBT, "free space");
    assert_int_equal(there, BANK_ABSENT);
    assert_int_equal(small.answer, BANK_OK);
    assert_text(&probe, BANK_FAILED, "free space"); /* Before any claim. */
}

/* --- Two nodes, one staged file, a quick bank ---------------------------------------------- */

#define ROUNDS 3000

struct race {
    struct place place;
    pthread_barrier_t begin, end;
    atomic_bool stop;
    atomic_uint pushing; /* Nodes that are not through with this round. */
    unsigned taken;      /* In this round, by the bank. */
};

static void *push(void *arg)
{
    struct race *r = arg;
    for (;;) {
        (void)pthread_barrier_wait(&r->begin);
        if (atomic_load(&r->stop)) {
            return NULL;
        }
        for (int i = 0; i < 2; i++) {
            (void)answer(&r->place, BANK_RENAME, BANK_STAGING, "T");
        }
        atomic_fetch_sub(&r->pushing, 1);
        (void)pthread_barrier_wait(&r->end);
    }
}

/* Takes F whenever it is there, until both nodes are through and once more. */
static void *take(void *arg)
{
    struct race *r = arg;
    char from[PATH_SIZE + 8], to[PATH_SIZE + 8];
    (void)snprintf(from, sizeof from, "%s/F", r->place.drop);
    (void)snprintf(to, sizeof to, "%s/taken", r->place.dir.path);
    for (;;) {
        (void)pthread_barrier_wait(&r->begin);
        if (atomic_load(&r->stop)) {
            return NULL;
        }
        bool last = false;
        do {
            last = atomic_load(&r->pushing) == 0;
            r->taken += rename(from, to) == 0;
        } while (!last);
        (void)pthread_barrier_wait(&r->end);
    }
}

/* How many of the rounds delivered once; stops at the first that did not. */
static unsigned race(unsigned rounds)
{
    struct race r = {.taken = 0};
    pthread_t threads[3];
    unsigned good = 0;
    place_make(&r.place);
    assert_int_equal(mkdir(r.place.staging, 0700), 0);
    (void)pthread_barrier_init(&r.begin, NULL, 4);
    (void)pthread_barrier_init(&r.end, NULL, 4);
    (void)pthread_create(&threads[0], NULL, push, &r);
    (void)pthread_create(&threads[1], NULL, push, &r);
    (void)pthread_create(&threads[2], NULL, take, &r);
    bool went_well = true;
    while (good < rounds && went_well) {
        write_file(r.place.staging, "T", "money\n");
        atomic_store(&r.pushing, 2);
        r.taken = 0;
        (void)pthread_barrier_wait(&r.begin);
        (void)pthread_barrier_wait(&r.end);
        went_well = r.taken == 1;
        good += went_well;
    }
    atomic_store(&r.stop, true);
    (void)pthread_barrier_wait(&r.begin);
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_barrier_destroy(&r.begin);
    (void)pthread_barrier_destroy(&r.end);
    test_dir_remove(&r.place.dir);
    return good;
}

static void test_two_nodes_deliver_once(void **state)
{
    (void)state;
    assert_int_equal(race(ROUNDS), ROUNDS);
}

#ifdef SHARDGATE_FAULTS
static void be_slow(void *impl, const char *name)
{
    (void)impl;
    for (int i = 0; strcmp(name, "upload.between-link-and-unlink") == 0 && i < 200; i++) {
        (void)sched_yield();
    }
}

/* The rename of SFTP version 3 (link, then unlink): the race finds it. */
static void test_two_step_rename_is_found(void **state)
{
    (void)state;
    fault_set_bugs("v3-rename");
    fault_set_handler(be_slow, NULL);
    unsigned good = race(ROUNDS);
    fault_set_handler(NULL, NULL);
    fault_set_bugs("");
    assert_true(good < ROUNDS);
}
#endif

/* --- The agent -------------------------------------------------------------------------------- */

struct asked {
    struct bank_request request;
    unsigned done_count;
};

static void on_done(struct bank_request *r)
{
    ((struct asked *)(void *)((char *)r - offsetof(struct asked, request)))->done_count++;
}

static void send(struct bank *bank, struct place *p, struct asked *a, enum bank_op op)
{
    *a = (struct asked){.request = ask(p, op, BANK_STAGING, "T")};
    a->request.done = on_done;
    bank_send(bank, &a->request);
}

static unsigned count_done(const struct asked *a, size_t n)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        count += a[i].done_count;
    }
    return count;
}

static void test_agent_shares_workers(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct bank_agent *agent = bank_agent_new(test_loop_seam(t));
    struct bank *bank = bank_agent_desk(agent, test_loop_seam(t));
    struct place slow, quick;
    place_make(&slow);
    place_make(&quick);
    struct asked many[40], one;
    test_loop_hold(t, WORKER_BANK);
    for (size_t i = 0; i < 40; i++) {
        send(bank, &slow, &many[i], BANK_STAT);
    }
    send(bank, &quick, &one, BANK_STAT);
    assert_int_equal(test_loop_waiting(t, WORKER_BANK), BANK_ENDPOINT_WORKERS + 1);
    assert_int_equal(bank_agent_pending(agent), 41);
    assert_int_equal(one.done_count, 0);
    test_loop_release(t, WORKER_BANK);
    (void)test_loop_run(t);
    assert_int_equal(count_done(many, 40), 40);
    assert_int_equal(one.done_count, 1);
    assert_int_equal(bank_agent_pending(agent), 0);
    bank_agent_free(agent);
    test_loop_free(t);
    test_dir_remove(&slow.dir);
    test_dir_remove(&quick.dir);
}

/* Files share the rate, so they go one after the other; looks do not wait. */
static void test_agent_keeps_the_rate(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct bank_agent *agent = bank_agent_new(test_loop_seam(t));
    struct bank *bank = bank_agent_desk(agent, test_loop_seam(t));
    struct place p;
    place_make(&p);
    p.endpoint.rate_limit_bytes = 1u << 20;
    struct asked a[4];
    test_loop_hold(t, WORKER_BANK);
    send(bank, &p, &a[0], BANK_CREATE);
    send(bank, &p, &a[1], BANK_CREATE);
    send(bank, &p, &a[2], BANK_STAT);
    send(bank, &p, &a[3], BANK_CREATE);
    assert_int_equal(test_loop_waiting(t, WORKER_BANK), 2);
    test_loop_release(t, WORKER_BANK);
    (void)test_loop_run(t);
    assert_int_equal(count_done(a, 4), 4);
    assert_int_equal(a[0].request.answer, BANK_OK);
    assert_int_equal(a[1].request.answer, BANK_EXISTS);
    bank_agent_free(agent);
    test_loop_free(t);
    test_dir_remove(&p.dir);
}

static void test_agent_probes_once(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct bank_agent *agent = bank_agent_new(test_loop_seam(t));
    struct bank *bank = bank_agent_desk(agent, test_loop_seam(t));
    struct place p;
    place_make(&p);
    struct asked a;
    send(bank, &p, &a, BANK_PROBE);
    (void)test_loop_run(t);
    assert_int_equal(a.request.answer, BANK_OK);
    assert_int_equal(rmdir(p.drop), 0);
    send(bank, &p, &a, BANK_PROBE);
    (void)test_loop_run(t);
    assert_int_equal(a.request.answer, BANK_OK); /* Of a moment ago. */
    test_loop_advance(t, BANK_PROBE_FRESH_MS);
    send(bank, &p, &a, BANK_PROBE);
    (void)test_loop_run(t);
    assert_text(&a.request, BANK_FAILED, "drop_dir");
    assert_int_equal(mkdir(p.drop, 0700), 0);
    send(bank, &p, &a, BANK_PROBE);
    (void)test_loop_run(t);
    assert_int_equal(a.request.answer, BANK_OK); /* A failure is not kept. */
    p.endpoint.kind = ENDPOINT_SFTP;
    send(bank, &p, &a, BANK_PROBE);
    (void)test_loop_run(t);
    assert_text(&a.request, BANK_FAILED, "directories only");
    bank_agent_free(agent);
    test_loop_free(t);
    test_dir_remove(&p.dir);
}

/* Another program reads the drop directory, and its group is all that it has in
 * common with us: not staging's group, not the umask's mode. */
static void test_a_file_is_of_the_group_of_the_drop_directory(void **state)
{
    struct place p;
    struct stat st;
    gid_t groups[64];
    int count = getgroups(64, groups);
    gid_t other = geteuid() == 0 ? 4711 : (gid_t)-1;
    (void)state;
    for (int i = 0; i < count && other == (gid_t)-1; i++) {
        other = groups[i] != getegid() ? groups[i] : other;
    }
    if (other == (gid_t)-1) {
        skip(); /* There is no group to give. */
    }
    place_make(&p);
    assert_int_equal(chown(p.drop, (uid_t)-1, other), 0);
    mode_t before = umask(0077);
    struct bank_request r = ask(&p, BANK_CREATE, BANK_STAGING, "a.part");
    directory_execute(&r);
    (void)umask(before);
    assert_int_equal(r.answer, BANK_OK);
    char path[PATH_SIZE + 8];
    (void)snprintf(path, sizeof path, "%s/a.part", p.staging);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_gid, other);
    assert_int_equal(st.st_mode & 0777, 0640);
    test_dir_remove(&p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_missing_directories),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_wrong_content_is_doubt),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_two_nodes_deliver_once),
#ifdef SHARDGATE_FAULTS
        cmocka_unit_test(test_two_step_rename_is_found),
#endif
        cmocka_unit_test(test_agent_shares_workers),
        cmocka_unit_test(test_agent_keeps_the_rate),
        cmocka_unit_test(test_agent_probes_once),
        cmocka_unit_test(test_a_file_is_of_the_group_of_the_drop_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
