/* The writer: what waits goes in one commit, damage stays with its job, and
 * nothing is reported that is not durable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/mem_kv.h"
#include "storage/writer.h"
#include "tests/support/test_loop.h"

struct fixture {
    struct test_loop *t;
    struct mem_kv *disk;
    struct kv kv;
    struct writer *w;
    unsigned failures_count;
    enum sg_err failure;
    char order[64]; /* Names of the jobs that are done, a small letter for SG_OK. */
    size_t order_n;
    enum mem_kv_op fault_op; /* fault_after 0: this operation fails, 1: the next one, ... */
    int fault_after;         /* -1: nothing fails. */
};

struct job {
    struct writer_job job;
    struct fixture *f;
    char name;
    enum sg_err answer; /* Of run(), after it wrote. */
    unsigned runs_count;
    uint64_t cost_us;     /* Charged by run(). */
    struct job *follower; /* Submitted in done(). */
};

static void on_failure(void *impl, enum sg_err err)
{
    struct fixture *f = impl;
    f->failures_count++;
    f->failure = err;
}

static enum sg_err on_fault(void *impl, enum mem_kv_op op)
{
    struct fixture *f = impl;
    return f->fault_after >= 0 && op == f->fault_op && f->fault_after-- == 0 ? SG_IO : SG_OK;
}

static enum sg_err job_run(struct writer_job *base, struct kv *kv, struct kv_txn *txn)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    j->runs_count++;
    test_loop_charge(j->f->t, j->cost_us);
    enum sg_err err = kv_put(kv, txn, KV_STATE, span_of(&j->name, 1), span_str("x"));
    return err != SG_OK ? err : j->answer;
}

static void job_done(struct writer_job *base, enum sg_err err)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    struct fixture *f = j->f;
    f->order[f->order_n++] = (char)(err == SG_OK ? j->name : j->name - 'a' + 'A');
    if (j->follower != NULL) {
        writer_submit(f->w, &j->follower->job);
    }
}

static struct job job_make(struct fixture *f, char name)
{
    struct job j = {.f = f, .name = name};
    j.job.run = job_run;
    j.job.done = job_done;
    j.job.size_bytes = 10;
    return j;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof(*f));
    f->t = test_loop_new(1);
    f->disk = mem_kv_new("test");
    f->fault_after = -1;
    mem_kv_open(f->disk, &f->kv);
    mem_kv_set_fault(f->disk, on_fault, f);
    f->w = writer_new(test_loop_seam(f->t), &f->kv, on_failure, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    writer_free(f->w);
    kv_close(&f->kv);
    mem_kv_free(f->disk);
    test_loop_free(f->t);
    mem_free(f);
    return 0;
}

static bool is_stored(struct fixture *f, char name)
{
    struct kv_txn *txn;
    struct span value;
    assert_int_equal(kv_begin(&f->kv, false, &txn), SG_OK);
    enum sg_err err = kv_get(&f->kv, txn, KV_STATE, span_of(&name, 1), &value);
    kv_abort(&f->kv, txn);
    assert_true(err == SG_OK || err == SG_NOTFOUND);
    return err == SG_OK;
}

/* Each job by itself, not the batch: what is told is what one caller did. */
static void test_jobs_and_commits_are_timed(void **state)
{
    struct fixture *f = *state;
    struct job a = job_make(f, 'a');
    struct job b = job_make(f, 'b');
    a.cost_us = 30000;
    b.cost_us = 10;
    writer_submit(f->w, &a.job);
    writer_submit(f->w, &b.job);
    test_loop_run(f->t);
    struct meter_figures jobs = meter_all(writer_job_times(f->w));
    assert_int_equal(jobs.count, 2);
    assert_int_equal(jobs.max_us, 30000);
    assert_int_equal(jobs.cpu_max_us, 30000);
    assert_int_equal(jobs.p50_us, 10);
    assert_int_equal(meter_all(writer_commit_times(f->w)).count, 1);
    assert_int_equal(meter_all(writer_commit_times(f->w)).max_us, 0);
}

static void test_a_turn_is_one_commit_in_order(void **state)
{
    struct fixture *f = *state;
    struct job jobs[5];
    for (int i = 0; i < 5; i++) {
        jobs[i] = job_make(f, (char)('a' + i));
        writer_submit(f->w, &jobs[i].job);
    }
    assert_false(writer_is_idle(f->w));
    assert_int_equal(writer_pending_bytes(f->w), 50);
    assert_int_equal(mem_kv_commits(f->disk), 0);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "abcde");
    assert_int_equal(mem_kv_commits(f->disk), 1);
    assert_true(writer_is_idle(f->w));
    assert_int_equal(writer_pending_bytes(f->w), 0);
}

static void test_what_comes_during_a_batch_is_the_next(void **state)
{
    struct fixture *f = *state;
    struct job a = job_make(f, 'a');
    struct job b = job_make(f, 'b');
    struct job c = job_make(f, 'c');
    test_loop_hold(f->t, WORKER_STORE);
    writer_submit(f->w, &a.job);
    (void)test_loop_run(f->t);
    writer_submit(f->w, &b.job);
    (void)test_loop_run(f->t);
    writer_submit(f->w, &c.job);
    (void)test_loop_run(f->t);
    assert_int_equal(test_loop_waiting(f->t, WORKER_STORE), 1); /* One batch at work. */
    assert_int_equal(writer_pending_bytes(f->w), 30);
    test_loop_hold_done(f->t, WORKER_STORE);
    assert_true(test_loop_step(f->t, WORKER_STORE));
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, ""); /* Durable, but the loop has not heard of it. */
    assert_true(is_stored(f, 'a'));
    assert_false(is_stored(f, 'b'));
    test_loop_release(f->t, WORKER_STORE);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "abc");
    assert_int_equal(mem_kv_commits(f->disk), 2);
    struct writer_stats stats = writer_stats(f->w);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.jobs, 3);
    assert_int_equal(stats.bytes, 30);
}

static void test_flush_time_is_measured_by_the_loop(void **state)
{
    struct fixture *f = *state;
    struct job a = job_make(f, 'a');
    struct job b = job_make(f, 'b');
    writer_submit(f->w, &a.job);
    (void)test_loop_run(f->t);
    test_loop_hold(f->t, WORKER_STORE);
    writer_submit(f->w, &b.job);
    test_loop_advance(f->t, 7);
    test_loop_release(f->t, WORKER_STORE);
    (void)test_loop_run(f->t);
    assert_int_equal(writer_stats(f->w).flush_us_max, 7000);
    assert_int_equal(writer_stats(f->w).flush_us_total, 7000);
}

static void test_jobs_submitted_in_done_follow(void **state)
{
    struct fixture *f = *state;
    struct job a = job_make(f, 'a');
    struct job b = job_make(f, 'b');
    struct job c = job_make(f, 'c');
    a.follower = &c;
    writer_submit(f->w, &a.job);
    writer_submit(f->w, &b.job);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "abc");
    assert_int_equal(mem_kv_commits(f->disk), 2);
}

static void test_a_batch_ends_at_its_limits(void **state)
{
    struct fixture *f = *state;
    struct job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = job_make(f, (char)('a' + i));
        jobs[i].job.size_bytes = WRITER_BATCH_SIZE_MAX_BYTES / 2;
    }
    jobs[3].job.size_bytes = WRITER_BATCH_SIZE_MAX_BYTES + 1; /* Still written, by itself. */
    for (int i = 0; i < 4; i++) {
        writer_submit(f->w, &jobs[i].job);
    }
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "abcd");
    assert_int_equal(mem_kv_commits(f->disk), 3);
}

static void count_done(struct writer_job *base, enum sg_err err)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    j->f->order_n += err == SG_OK ? 1 : 0;
}

static void test_a_batch_has_so_many_jobs_at_most(void **state)
{
    struct fixture *f = *state;
    const size_t count = 2 * WRITER_BATCH_JOBS_MAX + 1;
    struct job *jobs = mem_zalloc(count, sizeof(*jobs));
    for (size_t i = 0; i < count; i++) {
        jobs[i] = job_make(f, 'z');
        jobs[i].job.done = count_done;
        writer_submit(f->w, &jobs[i].job);
    }
    (void)test_loop_run(f->t);
    assert_int_equal(f->order_n, count);
    assert_int_equal(writer_stats(f->w).batches, 3);
    mem_free(jobs);
}

static const struct {
    const char *reason;
    const char *jobs; /* A capital: its run() answers SG_CORRUPT. */
    const char *stored;
} damages[] = {
    {"in the middle", "abCde", "abde"},
    {"the first", "Abc", "bc"},
    {"the last", "abC", "ab"},
    {"several", "AbCdE", "bd"},
    {"all: nothing is left to write", "ABC", ""},
};

static void test_damage_stays_with_its_job(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        print_message("%s\n", damages[i].reason);
        size_t n = strlen(damages[i].jobs);
        struct job jobs[8];
        for (size_t k = 0; k < n; k++) {
            char c = damages[i].jobs[k];
            jobs[k] = job_make(f, c >= 'a' ? c : (char)(c - 'A' + 'a'));
            jobs[k].answer = c >= 'a' ? SG_OK : SG_CORRUPT;
            writer_submit(f->w, &jobs[k].job);
        }
        uint64_t commits = mem_kv_commits(f->disk);
        (void)test_loop_run(f->t);
        assert_string_equal(f->order, damages[i].jobs); /* Each got its answer, in order. */
        assert_int_equal(mem_kv_commits(f->disk) - commits, damages[i].stored[0] == '\0' ? 0 : 1);
        /* What a damaged job wrote before it found out is not there either. */
        for (const char *c = "abcdefg"; *c != '\0'; c++) {
            assert_int_equal(is_stored(f, *c), strchr(damages[i].stored, *c) != NULL);
        }
        for (size_t k = 0; k < n; k++) {
            assert_true(jobs[k].answer == SG_OK || jobs[k].runs_count == 1);
        }
        assert_int_equal(f->failures_count, 0);
        kv_close(&f->kv);
        mem_kv_wipe(f->disk);
        mem_kv_open(f->disk, &f->kv);
        memset(f->order, 0, sizeof(f->order));
        f->order_n = 0;
    }
}

static const struct {
    const char *reason;
    enum mem_kv_op op;
    int after;
    enum sg_err answer; /* Of job b; SG_OK: the store fails. */
    enum sg_err failure;
} failures[] = {
    {"begin", MEM_KV_BEGIN_WRITE, 0, SG_OK, SG_IO},
    {"the first put", MEM_KV_PUT, 0, SG_OK, SG_IO},
    {"a later put", MEM_KV_PUT, 1, SG_OK, SG_IO},
    {"commit, nothing stored", MEM_KV_COMMIT, 0, SG_OK, SG_IO},
    {"commit, stored nevertheless", MEM_KV_COMMITTED, 0, SG_OK, SG_IO},
    {"a job's own failure", MEM_KV_OPS, 0, SG_INVALID, SG_INVALID},
};

static void test_any_other_error_is_final(void **state)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        print_message("%s\n", failures[i].reason);
        assert_int_equal(setup(state), 0);
        struct fixture *f = *state;
        struct job a = job_make(f, 'a');
        struct job b = job_make(f, 'b');
        struct job c = job_make(f, 'c');
        struct job later = job_make(f, 'd');
        f->fault_op = failures[i].op;
        f->fault_after = failures[i].after;
        b.answer = failures[i].answer;
        writer_submit(f->w, &a.job);
        writer_submit(f->w, &b.job);
        test_loop_hold(f->t, WORKER_STORE);
        (void)test_loop_run(f->t);
        writer_submit(f->w, &c.job); /* Waits behind the batch that fails. */
        test_loop_release(f->t, WORKER_STORE);
        (void)test_loop_run(f->t);
        assert_int_equal(f->failures_count, 1);
        assert_int_equal(f->failure, failures[i].failure);
        assert_true(writer_is_failed(f->w));
        writer_submit(f->w, &later.job);
        test_loop_advance(f->t, 1000);
        assert_string_equal(f->order, ""); /* Nobody was told anything, */
        assert_int_equal(c.runs_count + later.runs_count, 0);
        assert_int_equal(f->failures_count, 1);
        struct kv_txn *txn; /* and the store takes nothing any more, though it would work again. */
        assert_int_equal(kv_begin(&f->kv, true, &txn), SG_IO);
        assert_int_equal(kv_begin(&f->kv, false, &txn), SG_OK);
        kv_abort(&f->kv, txn);
        assert_int_equal(teardown(state), 0);
    }
}

/* --- Lazy jobs --------------------------------------------------------------------------- */

static void job_ran(struct writer_job *base)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    j->f->order[j->f->order_n++] = (char)(j->name - 'a' + '0'); /* 'a' ran: "0" */
}

static struct job lazy_make(struct fixture *f, char name)
{
    struct job j = job_make(f, name);
    j.job.lazy = true;
    j.job.ran = job_ran;
    return j;
}

static void test_a_lazy_job_is_told_before_its_flush(void **state)
{
    struct fixture *f = *state;
    struct job a = lazy_make(f, 'a');
    uint64_t commits = mem_kv_commits(f->disk);
    writer_submit(f->w, &a.job);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "0");
    assert_int_equal(mem_kv_commits(f->disk), commits);
    assert_false(writer_is_idle(f->w));
    test_loop_advance(f->t, WRITER_LAZY_MS);
    assert_string_equal(f->order, "0a");
    assert_int_equal(mem_kv_commits(f->disk), commits + 1);
    assert_true(is_stored(f, 'a'));
    assert_true(writer_is_idle(f->w));
}

static void test_a_job_that_waits_takes_lazy_ones_along(void **state)
{
    struct fixture *f = *state;
    struct job a = lazy_make(f, 'a');
    struct job b = lazy_make(f, 'b');
    struct job c = job_make(f, 'c');
    uint64_t commits = mem_kv_commits(f->disk);
    writer_submit(f->w, &a.job);
    (void)test_loop_run(f->t);
    writer_submit(f->w, &b.job);
    writer_submit(f->w, &c.job);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "01abc");
    assert_int_equal(mem_kv_commits(f->disk), commits + 1);
}

/* Damage in a later batch abandons the open transaction: the lazy jobs in it run
 * again, and are neither told twice nor lost. */
static void test_damage_does_not_lose_the_open_transaction(void **state)
{
    struct fixture *f = *state;
    struct job a = lazy_make(f, 'a');
    struct job b = job_make(f, 'b');
    struct job c = job_make(f, 'c');
    b.answer = SG_CORRUPT;
    writer_submit(f->w, &a.job);
    (void)test_loop_run(f->t);
    writer_submit(f->w, &b.job);
    writer_submit(f->w, &c.job);
    (void)test_loop_run(f->t);
    assert_string_equal(f->order, "0aBc");
    assert_int_equal(a.runs_count, 2);
    assert_true(is_stored(f, 'a'));
    assert_false(is_stored(f, 'b'));
    assert_true(is_stored(f, 'c'));
}

static void drop_line(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

int main(void)
{
    hash_init();
    logger_set_sink(drop_line, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_turn_is_one_commit_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_during_a_batch_is_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_and_commits_are_timed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_time_is_measured_by_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_submitted_in_done_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_batch_ends_at_its_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_batch_has_so_many_jobs_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_stays_with_its_job, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lazy_job_is_told_before_its_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_job_that_waits_takes_lazy_ones_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_does_not_lose_the_open_transaction, setup, teardown),
        cmocka_unit_test(test_any_other_error_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
