#include "tests/support/state_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shard/ach/build.h"
#include "shard/ach/order.h"
#include "tests/support/ach_sample.h"

#define START_MS 1795446000000ll /* 2026-11-23 15:00 UTC */

void state_rig_init(struct state_rig *rig)
{
    *rig = (struct state_rig){.term = 1, .level = LEVEL_MIN};
    rig->disk = mem_kv_new("rig");
    mem_kv_open(rig->disk, &rig->kv);
}

void state_rig_release(struct state_rig *rig)
{
    kv_close(&rig->kv);
    mem_kv_free(rig->disk);
    arena_release(&rig->arena);
    bytes_release(&rig->before);
    bytes_release(&rig->after);
}

struct settings *state_rig_sample_settings(uint64_t version)
{
    struct settings *s = ach_sample_settings();
    s->version = version;
    s->endpoint = (struct endpoint_settings){
        .name = span_str("bank-a"),
        .kind = ENDPOINT_DIRECTORY,
        .drop_dir = span_str("/srv/bank/in"),
        .staging_dir = span_str("/srv/bank/staging"),
        .confirm = CONFIRM_HASH,
        .verify_window_ms = VERIFY_WINDOW_MS,
    };
    s->shard.endpoint = span_str("bank-a");
    s->shard.calendar = s->calendar.name;
    s->shard.replicas[0] = span_str("n1");
    s->shard.replicas[1] = span_str("n2");
    s->shard.replicas[2] = span_str("n3");
    s->shard.replicas_count = 3;
    return s;
}

static struct kv_txn *begin(struct state_rig *rig, struct rows *rows, bool write)
{
    struct kv_txn *txn = NULL;
    assert_int_equal(kv_begin(&rig->kv, write, &txn), SG_OK);
    rows_init(rows, &rig->kv, txn, STATE_RIG_GROUP);
    return txn;
}

void state_rig_read(struct state_rig *rig, struct rows *rows)
{
    (void)begin(rig, rows, false);
}

void state_rig_read_end(struct rows *rows)
{
    kv_abort(rows->kv, rows->txn);
    rows_release(rows);
}

void state_rig_dump(struct state_rig *rig, struct bytes *out)
{
    struct rows rows;
    struct kv_cursor c;
    state_rig_read(rig, &rows);
    bytes_clear(out);
    rows_cursor(&rows, &c, SPAN_NONE);
    while (kv_next(&c) == SG_OK) {
        be32_put(bytes_extend(out, 4), (uint32_t)c.key.n);
        bytes_append_span(out, c.key);
        be32_put(bytes_extend(out, 4), (uint32_t)c.value.n);
        bytes_append_span(out, c.value);
    }
    kv_cursor_release(&c);
    state_rig_read_end(&rows);
}

/* The chain that every replica must agree on. */
static void extend_digest(struct state_rig *rig, struct digester *changes)
{
    struct digest link = digester_end(changes);
    struct digester chain;
    digester_init(&chain);
    digester_add(&chain, span_of(&rig->digest, DIGEST_SIZE));
    digester_add(&chain, span_of(&link, DIGEST_SIZE));
    rig->digest = digester_end(&chain);
}

struct command_result state_rig_apply_raw(struct state_rig *rig, struct span command)
{
    struct rows rows;
    struct digester changes;
    struct bytes encoded = BYTES_NONE;
    struct command_result result;
    state_rig_dump(rig, &rig->before);
    struct kv_txn *txn = begin(rig, &rows, true);
    digester_init(&changes);
    rows.digester = &changes;
    rows.set = rig->set;
    enum sg_err err = state_apply(&rows, rig->index + 1, rig->term, command, &encoded);
    rows_release(&rows);
    if (err == SG_UNSUPPORTED) {
        kv_abort(&rig->kv, txn);
        bytes_release(&encoded);
        return (struct command_result){.err = err, .reason = span_str(kv_damage())};
    }
    assert_int_equal(err, SG_OK);
    rig->index++;
    rig->set = rows.set;
    extend_digest(rig, &changes);
    assert_int_equal(kv_commit(&rig->kv, txn), SG_OK);

    arena_reset(&rig->arena);
    struct span kept = arena_dup(&rig->arena, span_bytes(&encoded));
    bytes_release(&encoded);
    assert_int_equal(command_result_decode(kept, &rig->arena, &result), SG_OK);
    assert_int_equal(result.index, rig->index);
    if (result.err != SG_OK) {
        assert_true(result.reason.n > 0);
        state_rig_dump(rig, &rig->after);
        assert_true(span_eq(span_bytes(&rig->before), span_bytes(&rig->after)));
    }
    return result;
}

static void encode(struct state_rig *rig, struct command *c, struct bytes *out)
{
    c->time_ms = START_MS + (int64_t)(rig->index + 1) * 1000;
    if (c->level == 0) {
        c->level = rig->level;
    }
    if (c->node.n == 0) {
        c->node = span_str("n1");
    }
    command_encode(c, out);
}

struct command_result state_rig_apply(struct state_rig *rig, struct command *c)
{
    struct bytes encoded = BYTES_NONE;
    encode(rig, c, &encoded);
    struct command_result result = state_rig_apply_raw(rig, span_bytes(&encoded));
    bytes_release(&encoded);
    return result;
}

enum sg_err state_rig_try(struct state_rig *rig, struct command *c)
{
    struct rows rows;
    struct digester changes;
    struct bytes encoded = BYTES_NONE;
    struct bytes result = BYTES_NONE;
    encode(rig, c, &encoded);
    struct kv_txn *txn = begin(rig, &rows, true);
    digester_init(&changes);
    rows.digester = &changes;
    enum sg_err err = state_apply(&rows, rig->index + 1, rig->term, span_bytes(&encoded), &result);
    rows_release(&rows);
    kv_abort(&rig->kv, txn);
    bytes_release(&encoded);
    bytes_release(&result);
    return err;
}

void state_rig_settings(struct state_rig *rig, const struct settings *settings, enum sg_err err)
{
    struct bytes encoded = BYTES_NONE;
    settings_encode(settings, &encoded);
    struct command c = {.kind = COMMAND_SETTINGS, .settings = {.encoded = span_bytes(&encoded)}};
    struct command_result result = state_rig_apply(rig, &c);
    bytes_release(&encoded);
    assert_int_equal(result.err, err);
}

/* --- What a leader does --------------------------------------------------------- */

static struct ach_entry *entries_of(const struct settings *settings, const struct member *members,
                                    size_t count, struct arena *a)
{
    struct ach_entry *entries = arena_array(a, count, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct ach_entry){.transfer = &members[i].transfer,
                                        .seq = members[i].seq,
                                        .effective = members[i].effective,
                                        .same_day = members[i].same_day};
    }
    ach_order(settings, entries, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].seq, members[i].seq); /* They came in the file's order. */
    }
    return entries;
}

static void fill_totals(struct command_seal *seal, const struct ach_totals *t)
{
    seal->totals = (struct file_totals){.batches = t->batches,
                                        .entries = t->entries,
                                        .addenda = t->addenda,
                                        .lines = t->lines,
                                        .debit = t->debit,
                                        .credit = t->credit,
                                        .hash = t->hash};
}

static void fill_seal(struct rows *rows, const struct window_row *w, const struct settings *settings,
                      struct ach_entry *entries, size_t count, struct arena *a, struct command_seal *seal)
{
    struct counters_row counters;
    struct ach_totals totals;
    struct bytes file = BYTES_NONE;
    char modifier = 0;
    assert_int_equal(state_counters(rows, &counters), SG_OK);
    assert_int_equal(state_modifier(rows, w->processing_day, &modifier), SG_OK);
    struct ach_file_header header = {.modifier = modifier,
                                     .creation_day = w->processing_day,
                                     .creation_minute = 13 * 60 + 5,
                                     .trace_start = counters.next_trace};
    count = ach_fit(settings, entries, count, header.trace_start);
    assert_true(count > 0);
    assert_int_equal(ach_build(settings, &header, entries, count, &file, &totals), SG_OK);
    *seal = (struct command_seal){
        .window = w->id,
        .file = counters.next_file,
        .name = span_str(
            arena_printf(a, "%s-%c-%llu.ach", w->id.name, modifier, (unsigned long long)counters.next_file)),
        .modifier = modifier,
        .creation_day = header.creation_day,
        .creation_minute = (uint16_t)header.creation_minute,
        .trace_start = header.trace_start,
        .settings_version = w->settings_version,
        .built_by = span_str("n1"),
        .size_bytes = file.n,
        .sha256 = sha256_of(span_bytes(&file)),
        .members = arena_array(a, count, sizeof(uint64_t)),
        .members_count = count,
    };
    fill_totals(seal, &totals);
    for (size_t i = 0; i < count; i++) {
        seal->members[i] = entries[i].seq;
    }
    bytes_release(&file);
}

bool state_rig_next_seal(struct state_rig *rig, const struct window_id *window, struct arena *a,
                         struct command *out)
{
    struct rows rows;
    struct window_row w;
    struct settings settings;
    struct member *members = NULL;
    size_t count = 0;
    state_rig_read(rig, &rows);
    assert_int_equal(state_window(&rows, window, &w), SG_OK);
    assert_int_equal(state_settings_at(&rows, w.settings_version, 0, a, &settings), SG_OK);
    assert_int_equal(state_window_members(&rows, &w, &settings, (struct processing){.day = w.processing_day},
                                          a, &members, &count),
                     SG_OK);
    *out = (struct command){.kind = COMMAND_SEAL};
    if (count > 0) {
        fill_seal(&rows, &w, &settings, entries_of(&settings, members, count, a), count, a, &out->seal);
    }
    state_rig_read_end(&rows);
    return count > 0;
}
