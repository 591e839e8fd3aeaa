/* Reading a data directory: what is there, what is not, and what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard/engine/group.h"
#include "storage/lmdb_kv.h"
#include "storage/log.h"
#include "supervisor/cli/offline.h"
#include "tests/support/test_dir.h"

#define PATH_SIZE (TEST_DIR_SIZE + 32)
#define PAGE 4096
#define HERE 231380104u  /* In lane 0. */
#define THERE 121042882u /* In lane 1. */
#define NOWHERE 91000019u

struct fixture {
    struct test_dir dir;
    struct arena arena;
    struct reply reply;
};

static char *lane_path(const struct fixture *f, unsigned lane, const char *file, char out[PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%s/lane-%u%s", f->dir.path, lane, file);
    return out;
}

static void open_lane(const struct fixture *f, unsigned lane, struct kv *kv)
{
    char path[PATH_SIZE];
    char why[512];
    const struct lmdb_options options = {.dir = lane_path(f, lane, "", path), .name = "lane"};
    assert_int_equal(lmdb_kv_open(&options, kv, why, sizeof why), SG_OK);
}

/* A lane with one group that was bootstrapped and never led. */
static void make_lane(const struct fixture *f, unsigned lane, uint64_t group)
{
    static const uint64_t nodes[] = {1, 2, 3};
    struct kv kv;
    struct kv_txn *txn;
    open_lane(f, lane, &kv);
    assert_int_equal(kv_begin(&kv, true, &txn), SG_OK);
    assert_int_equal(group_bootstrap(&kv, txn, group, nodes, 3), SG_OK);
    assert_int_equal(kv_commit(&kv, txn), SG_OK);
    kv_close(&kv);
}

static int make(void **state)
{
    static struct fixture f;
    f.arena = ARENA_INIT;
    test_dir_make(&f.dir);
    make_lane(&f, 0, HERE);
    make_lane(&f, 1, THERE);
    *state = &f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    test_dir_remove(&f->dir);
    return 0;
}

static enum sg_err ask(struct fixture *f, enum request_kind kind, uint32_t shard)
{
    const struct request r = {.kind = kind, .routing_number = {shard}};
    enum sg_err err = offline_call(f->dir.path, &r, &f->arena, &f->reply);
    assert_int_equal(err, f->reply.err);
    assert_true(err == SG_OK || f->reply.text.n > 0);
    return err;
}

static json_t *document(const struct fixture *f)
{
    json_t *o = json_loadb((const char *)f->reply.json.p, f->reply.json.n, 0, NULL);
    assert_true(json_is_object(o));
    return o;
}

static void assert_says(const struct fixture *f, const char *wanted)
{
    char text[2048];
    (void)span_cstr(f->reply.text, text, sizeof text);
    if (strstr(text, wanted) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", wanted, text);
    }
}

static void damage(const struct fixture *f, unsigned lane, off_t from_page, off_t to_page)
{
    static const uint8_t junk[PAGE] = {0xa5, 0xa5, 0xa5};
    char path[PATH_SIZE];
    int fd = open(lane_path(f, lane, "/data.mdb", path), O_WRONLY);
    assert_true(fd >= 0);
    for (off_t page = from_page; page < to_page; page++) {
        assert_int_equal(pwrite(fd, junk, PAGE, page * PAGE), PAGE);
    }
    (void)close(fd);
}

static void cut_short(const struct fixture *f, unsigned lane, off_t pages)
{
    char path[PATH_SIZE];
    assert_int_equal(truncate(lane_path(f, lane, "/data.mdb", path), pages * PAGE), 0);
}

static off_t pages_of(const struct fixture *f, unsigned lane)
{
    char path[PATH_SIZE];
    struct stat st;
    assert_int_equal(stat(lane_path(f, lane, "/data.mdb", path), &st), 0);
    return st.st_size / PAGE;
}

static const char *shard_name(const json_t *o, size_t i)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(o, "shards"), i), "routing_number"));
}

static void shards_of_all_lanes_in_order(void **state)
{
    struct fixture *f = *state;
    json_t *o;
    assert_int_equal(ask(f, REQUEST_SHARDS_LIST, 0), SG_OK);
    o = document(f);
    assert_int_equal(json_array_size(json_object_get(o, "shards")), 2);
    assert_string_equal(shard_name(o, 0), "121042882");
    assert_string_equal(shard_name(o, 1), "231380104");
    assert_int_equal(json_array_size(json_object_get(o, "damaged")), 0);
    json_decref(o);
}

static void a_shard_is_found_in_its_lane(void **state)
{
    struct fixture *f = *state;
    const uint32_t shards[] = {HERE, THERE};
    for (size_t i = 0; i < 2; i++) {
        json_t *o;
        assert_int_equal(ask(f, REQUEST_LOG_DUMP, shards[i]), SG_OK);
        o = document(f);
        assert_int_equal(json_array_size(json_object_get(o, "entries")), 1); /* The first configuration. */
        json_decref(o);
    }
}

static void put(const struct fixture *f, enum kv_table table, struct span key, struct span value)
{
    struct kv kv;
    struct kv_txn *txn;
    open_lane(f, 0, &kv);
    assert_int_equal(kv_begin(&kv, true, &txn), SG_OK);
    assert_int_equal(kv_put(&kv, txn, table, key, value), SG_OK);
    assert_int_equal(kv_commit(&kv, txn), SG_OK);
    kv_close(&kv);
}

/* Nobody is asked who leads; the term is the one that this replica has stored. */
static void a_shard_has_the_term_that_is_stored(void **state)
{
    struct fixture *f = *state;
    uint8_t applied_key[9] = {0};
    uint8_t applied[1 + 3 * 8 + DIGEST_SIZE] = {1};
    uint8_t term_key[9] = {'h'};
    uint8_t term[16] = {0};
    be64_put(applied_key, HERE);
    be64_put(applied + 1, 1); /* Index, term, of the configuration. */
    be64_put(applied + 9, 1);
    be64_put(applied + 17, 1);
    put(f, KV_STATE, span_of(applied_key, sizeof applied_key), span_of(applied, sizeof applied));
    be64_put(term_key + 1, HERE);
    be64_put(term, 7);
    put(f, KV_META, span_of(term_key, sizeof term_key), span_of(term, sizeof term));
    assert_int_equal(ask(f, REQUEST_SHARDS_SHOW, HERE), SG_OK);
    json_t *o = document(f);
    assert_int_equal(json_integer_value(json_object_get(o, "term")), 7);
    assert_true(json_is_null(json_object_get(o, "leader")));
    json_decref(o);
    put(f, KV_META, span_of(term_key, sizeof term_key), span_of(term, 1)); /* Damaged. */
    assert_int_equal(ask(f, REQUEST_SHARDS_SHOW, HERE), SG_CORRUPT);
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, HERE), SG_OK); /* It can do without. */
}

static void what_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, NOWHERE), SG_NOTFOUND);
    assert_says(f, "holds no replica of 091000019");
    assert_int_equal(ask(f, REQUEST_TRANSFERS_SHOW, HERE), SG_NOTFOUND);
}

static void what_needs_a_node_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, REQUEST_CANCEL, HERE), SG_UNSUPPORTED);
    assert_says(f, "needs a running node");
}

static void a_directory_of_nothing(void **state)
{
    struct fixture *f = *state;
    const struct request r = {.kind = REQUEST_SHARDS_LIST};
    struct test_dir other;
    test_dir_make(&other);
    assert_int_equal(offline_call(other.path, &r, &f->arena, &f->reply), SG_NOTFOUND);
    assert_says(f, "it is no node's data directory");
    test_dir_remove(&other);
    assert_int_equal(offline_call(other.path, &r, &f->arena, &f->reply), SG_NOTFOUND);
}

static void beside_an_open_store(void **state)
{
    struct fixture *f = *state;
    struct kv kv;
    open_lane(f, 0, &kv); /* As a running node has it. */
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, HERE), SG_OK);
    kv_close(&kv);
}

static void a_damaged_lane_does_not_hide_the_others(void **state)
{
    struct fixture *f = *state;
    json_t *o;
    damage(f, 0, 2, pages_of(f, 0));
    assert_int_equal(ask(f, REQUEST_SHARDS_LIST, 0), SG_CORRUPT);
    o = document(f);
    assert_int_equal(json_array_size(json_object_get(o, "shards")), 1);
    assert_string_equal(shard_name(o, 0), "121042882");
    assert_int_equal(json_array_size(json_object_get(o, "damaged")), 1);
    json_decref(o);
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, THERE), SG_OK);
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, HERE), SG_CORRUPT);
    /* It could be in the lane that cannot be read: not found would be a guess. */
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, NOWHERE), SG_CORRUPT);
}

static void a_file_cut_short_kills_the_child_only(void **state)
{
    struct fixture *f = *state;
    cut_short(f, 0, 2); /* Only LMDB's two meta pages are left: the rest is SIGBUS. */
    assert_int_equal(ask(f, REQUEST_SHARDS_LIST, 0), SG_CORRUPT);
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, HERE), SG_CORRUPT);
    assert_says(f, "damaged or cut short");
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, THERE), SG_OK);
}

static void a_foreign_file(void **state)
{
    struct fixture *f = *state;
    damage(f, 0, 0, 2);
    assert_int_equal(ask(f, REQUEST_LOG_DUMP, HERE), SG_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shards_of_all_lanes_in_order, make, drop),
        cmocka_unit_test_setup_teardown(a_shard_is_found_in_its_lane, make, drop),
        cmocka_unit_test_setup_teardown(a_shard_has_the_term_that_is_stored, make, drop),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, make, drop),
        cmocka_unit_test_setup_teardown(what_needs_a_node_is_refused, make, drop),
        cmocka_unit_test_setup_teardown(a_directory_of_nothing, make, drop),
        cmocka_unit_test_setup_teardown(beside_an_open_store, make, drop),
        cmocka_unit_test_setup_teardown(a_damaged_lane_does_not_hide_the_others, make, drop),
        cmocka_unit_test_setup_teardown(a_file_cut_short_kills_the_child_only, make, drop),
        cmocka_unit_test_setup_teardown(a_foreign_file, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
