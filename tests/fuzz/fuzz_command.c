/* Entries of a shard's log, applied: any bytes are a command or are refused,
 * and two replicas come to the same digest and answer (I-3). The input is a list
 * of entries: size (2 bytes, big endian), bytes. */
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "shard/state/state.h"
#include "storage/mem_kv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/state_rig.h"

#define ENTRIES_MAX 16

struct replica {
    struct mem_kv *disk;
    struct kv kv;
    struct digest digest;
    struct bytes result;
};

static void replica_open(struct replica *r)
{
    *r = (struct replica){.disk = mem_kv_new("fuzz")};
    mem_kv_open(r->disk, &r->kv);
}

static void replica_close(struct replica *r)
{
    bytes_release(&r->result);
    kv_close(&r->kv);
    mem_kv_free(r->disk);
}

/* SG_UNSUPPORTED: the replica would stop here; nothing changed. */
static enum sg_err apply(struct replica *r, uint64_t index, struct span command)
{
    struct kv_txn *txn;
    struct rows rows;
    struct digester d;

    bytes_clear(&r->result);
    digester_init(&d);
    digester_add(&d, span_of(r->digest.b, sizeof r->digest.b));
    CHECK(kv_begin(&r->kv, true, &txn) == SG_OK);
    rows_init(&rows, &r->kv, txn, STATE_RIG_GROUP);
    rows.digester = &d;
    enum sg_err err = state_apply(&rows, index, 1, command, &r->result);
    rows_release(&rows);
    if (err == SG_UNSUPPORTED) {
        kv_abort(&r->kv, txn);
        return err;
    }
    CHECK(err == SG_OK);
    CHECK(kv_commit(&r->kv, txn) == SG_OK);
    r->digest = digester_end(&d);
    return err;
}

/* Without settings hardly anything is taken. */
static void settings_apply(struct replica *r)
{
    struct bytes encoded = BYTES_NONE;
    struct bytes command = BYTES_NONE;
    struct command c = {.kind = COMMAND_SETTINGS, .level = LEVEL_MIN, .time_ms = 1, .node = span_str("n1")};

    settings_encode(state_rig_sample_settings(1), &encoded);
    c.settings.encoded = span_bytes(&encoded);
    command_encode(&c, &command);
    CHECK(apply(r, 1, span_bytes(&command)) == SG_OK);
    bytes_release(&encoded);
    bytes_release(&command);
}

static void both(struct replica *a, struct replica *b, uint64_t index, struct span command)
{
    struct arena arena = ARENA_INIT;
    struct command_result result;

    enum sg_err err = apply(a, index, command);
    CHECK(apply(b, index, command) == err);
    if (err != SG_OK) {
        return;
    }
    CHECK(span_eq(span_bytes(&a->result), span_bytes(&b->result)));
    CHECK(span_eq(span_of(a->digest.b, DIGEST_SIZE), span_of(b->digest.b, DIGEST_SIZE)));
    CHECK(command_result_decode(span_bytes(&a->result), &arena, &result) == SG_OK);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replica a;
    struct replica b;
    size_t at = 0;

    fuzz_begin();
    replica_open(&a);
    replica_open(&b);
    settings_apply(&a);
    settings_apply(&b);
    for (uint64_t index = 2; index < 2 + ENTRIES_MAX && size - at >= 2; index++) {
        size_t n = be16_get(data + at);
        at += 2;
        n = n < size - at ? n : size - at;
        both(&a, &b, index, span_of(data + at, n));
        at += n;
    }
    replica_close(&a);
    replica_close(&b);
    return 0;
}
