/* The entry cache against a plain array, and libraft's trail of terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shard/engine/cache.h"
#include "shard/engine/engine.h"
#include "shard/engine/trail.h"
#include "tests/support/engine_rig.h"
#include "tests/support/guard_check.h"
#include "tests/support/test_random.h"

#define INDEXES 4096

/* What should be in the cache: the terms of first .. next - 1. */
struct model {
    uint64_t first, next;
    uint64_t term[INDEXES];
    size_t size[INDEXES];
};

static void check_equal(const struct cache *c, const struct model *m)
{
    size_t size = 0;
    assert_int_equal(c->count, m->next - m->first);
    assert_null(cache_get(c, m->first - 1));
    assert_null(cache_get(c, m->next));
    for (uint64_t i = m->first; i < m->next; i++) {
        const struct cache_entry *e = cache_get(c, i);
        assert_non_null(e);
        assert_int_equal(e->term, m->term[i]);
        assert_int_equal(e->refs, 1);
        size += m->size[i];
    }
    assert_int_equal(c->size_bytes, size);
}

static void cache_step(struct test_random *r, struct cache *c, struct model *m)
{
    uint8_t payload[40] = {0};
    uint64_t what = test_random_below(r, 10);
    if (what < 7) {
        m->term[m->next] = test_random_next(r);
        m->size[m->next] = test_random_below(r, sizeof(payload));
        cache_append(c, m->next, cache_entry_new(m->term[m->next], 1, span_of(payload, m->size[m->next])));
        m->next++;
    } else if (what < 9 && m->next > m->first) {
        cache_evict(c);
        m->first++;
    } else if (m->next > m->first) {
        m->next -= test_random_below(r, m->next - m->first + 1);
        cache_truncate(c, m->next);
    }
}

static void the_cache_is_an_array(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct test_random r = {seed};
        struct cache c = {0};
        static struct model m;
        m.first = m.next = 1 + test_random_below(&r, 1000);
        for (int i = 0; i < 500; i++) {
            cache_step(&r, &c, &m);
            check_equal(&c, &m);
        }
        cache_release(&c);
    }
}

static void a_reference_outlives_the_cache(void **state)
{
    (void)state;
    struct cache c = {0};
    cache_append(&c, 7, cache_entry_new(3, 2, span_str("payload")));
    struct cache_entry *e = cache_entry_ref(cache_get(&c, 7));
    cache_release(&c);
    assert_true(span_is(cache_entry_data(e), "payload"));
    assert_int_equal(e->type, 2);
    cache_entry_unref(e);
}

static void the_trail_knows_every_term(void **state)
{
    (void)state;
    static const uint64_t terms[] = {1, 1, 2, 2, 5, 5, 5, 6};
    struct rig *r = rig_new(3);
    rig_store_hard_state(r, 6, 0);
    rig_store_entries(r, 2, terms, 8);
    assert_int_equal(rig_open(r), SG_OK);
    const struct raft *raft = &r->group->raft;
    assert_int_equal(trail_first(raft), 1);
    assert_int_equal(trail_term(raft, 1), 1);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(trail_term(raft, i + 2), terms[i]);
    }
    assert_int_equal(trail_term(raft, 10), 0);
    assert_int_equal(trail_snapshot_index(raft), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_is_an_array),
        cmocka_unit_test(a_reference_outlives_the_cache),
        cmocka_unit_test(the_trail_knows_every_term),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
