#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/client/client.h"
#include "supervisor/client/gather.h"

#define TRANSFER_HEAD_BYTES 160 /* Numbers, tags and lengths of one encoded transfer, at most. */
#define REQUEST_HEAD_BYTES 1024

/* A transfer and where it stood. Sorted by shard, then by place, so that each
 * shard's transfers keep their order. */
struct place {
    const struct transfer *transfer;
    size_t index;
};

static int place_order(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    uint32_t p = x->transfer->routing_number.n;
    uint32_t q = y->transfer->routing_number.n;
    if (p != q) {
        return p < q ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static size_t size_bound(const struct transfer *t)
{
    size_t n = TRANSFER_HEAD_BYTES + t->id.n + t->originator.n + t->entry_description.n + t->account.n +
               t->name.n + t->individual_id.n + t->discretionary.n + t->reverses.n + t->metadata.n;
    for (size_t i = 0; i < t->addenda_count; i++) {
        n += 4 + t->addenda[i].n;
    }
    return n;
}

/* How many of the places fit one request: at least one, all of one shard. */
static size_t request_count(const struct place *places, size_t count, size_t *size_bytes)
{
    size_t n = 0;
    *size_bytes = REQUEST_HEAD_BYTES;
    while (n < count && n < REQUEST_TRANSFERS_MAX &&
           places[n].transfer->routing_number.n == places[0].transfer->routing_number.n) {
        size_t size = size_bound(places[n].transfer);
        if (n > 0 && *size_bytes + size > REQUEST_SIZE_MAX_BYTES) {
            break;
        }
        *size_bytes += size;
        n++;
    }
    return n;
}

static enum sg_err submit_some(struct client *c, const struct place *places, size_t count, size_t size_bytes,
                               uint32_t timeout_ms, struct arena *a, struct submit_result *results,
                               struct span *text)
{
    struct transfer *transfers = mem_alloc(count * sizeof(*transfers));
    struct submit_result *answers = mem_zalloc(count, sizeof(*answers));
    for (size_t i = 0; i < count; i++) {
        transfers[i] = *places[i].transfer;
    }
    enum sg_err err =
        gather_submit(client_gather(c), transfers, count, size_bytes, timeout_ms, a, answers, text);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        results[places[i].index] = answers[i];
    }
    mem_free(answers);
    mem_free(transfers);
    return err;
}

enum sg_err client_submit(struct client *c, const struct transfer *transfers, size_t count,
                          uint32_t timeout_ms, struct arena *a, struct submit_result *results,
                          struct span *text)
{
    struct place *places = mem_alloc(count * sizeof(*places));
    enum sg_err first = SG_OK;
    *text = SPAN_NONE;
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){&transfers[i], i};
        results[i] = (struct submit_result){.id = transfers[i].id, .shard = transfers[i].routing_number};
    }
    if (count > 0) {
        qsort(places, count, sizeof(*places), place_order);
    }
    /* One shard without a leader must not keep the others waiting: go on, and
     * tell of the first trouble. */
    for (size_t at = 0; at < count;) {
        struct span why = SPAN_NONE;
        size_t size = 0;
        size_t n = request_count(places + at, count - at, &size);
        enum sg_err err = submit_some(c, places + at, n, size, timeout_ms, a, results, &why);
        if (err != SG_OK && first == SG_OK) {
            first = err;
            *text = why;
        }
        at += n;
    }
    mem_free(places);
    return first;
}
