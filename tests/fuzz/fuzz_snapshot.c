/* A snapshot as a peer sends it. The input is what stands in its spool; head
 * and checksum are right, so that it gets as far as the rows. A replica that
 * takes it must have the applied row it was promised; any other stays as it was
 * or stops. */
#include "proto/base/hash.h"
#include "shard/engine/engine.h"
#include "shard/engine/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/engine_rig.h"

#define INDEX 1000u
#define TERM 3u

/* The head of what a good spool begins with, written in front of the input when
 * its first byte says so: else hardly any input would have one. */
static void applied_row(const struct bytes *conf, struct bytes *out)
{
    struct rig *r = rig_new(0);
    struct kv_txn *txn;
    struct applied_row row = {.index = INDEX, .term = TERM, .conf_index = 1, .conf = span_bytes(conf)};
    struct kv_cursor c;
    uint8_t group[8];

    be64_put(group, RIG_GROUP);
    CHECK(kv_begin(&r->kv, true, &txn) == SG_OK);
    CHECK(applied_row_put(&r->kv, txn, RIG_GROUP, &row) == SG_OK);
    kv_cursor_init(&c, &r->kv, txn, KV_STATE, span_of(group, sizeof group));
    CHECK(kv_next(&c) == SG_OK);
    be32_put(bytes_extend(out, 4), (uint32_t)(c.key.n - 8));
    be32_put(bytes_extend(out, 4), (uint32_t)c.value.n);
    bytes_append(out, c.key.p + 8, c.key.n - 8);
    bytes_append_span(out, c.value);
    kv_cursor_release(&c);
    kv_abort(&r->kv, txn);
    rig_free(r);
}

static void send(struct rig *r, const struct bytes *conf, struct span spool)
{
    struct digester d;
    struct message m = {.kind = MESSAGE_SNAPSHOT_CHUNK, .group = RIG_GROUP};

    digester_init(&d);
    digester_add(&d, spool);
    m.snapshot_chunk = (struct message_snapshot_chunk){.version = SNAPSHOT_VERSION,
                                                       .term = TERM,
                                                       .transfer_id = 1,
                                                       .last_index = INDEX,
                                                       .last_term = TERM,
                                                       .conf_index = 1,
                                                       .conf = span_bytes(conf),
                                                       .total_size = spool.n,
                                                       .checksum = snapshot_checksum(&d),
                                                       .data = spool};
    rig_receive(r, 2, &m);
    rig_run(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct bytes conf = BYTES_NONE;
    struct bytes spool = BYTES_NONE;
    const uint64_t nodes[] = {1, 2, 3};
    unsigned how;
    struct rig *r;

    fuzz_begin();
    how = fuzz_choose(&in, 2);
    if (how > 1 || in.n > SNAPSHOT_CHUNK_BYTES) {
        return 0;
    }
    conf_encode(nodes, 3, &conf);
    if (how == 1) {
        applied_row(&conf, &spool);
    }
    bytes_append_span(&spool, in);
    r = rig_new(3);
    CHECK(rig_open(r) == SG_OK);
    send(r, &conf, span_bytes(&spool));
    CHECK(r->failed == SG_OK || r->failed == SG_CORRUPT);
    CHECK_IMPLIES(r->installed > 0, r->installed == INDEX);
    CHECK_IMPLIES(r->installed > 0, rig_status(r).applied_index >= INDEX);
    rig_free(r);
    bytes_release(&conf);
    bytes_release(&spool);
    return 0;
}
