/* transfers submit: several shards at once, the transfers of each in their order,
 * the results in the order of the input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/cli/each.h"
#include "supervisor/cli/submit.h"
#include "supervisor/cli/verbs.h"

#define HEAD_BYTES 1024        /* Of a request, beside its transfers. */
#define TRANSFER_HEAD_BYTES 16 /* Of a transfer, beside its encoding. */

/* All transfers of one routing number. */
struct batch {
    struct aba shard;
    size_t *items; /* Positions in the input. */
    size_t count;
    struct arena arena; /* Of its replies. */
};

struct submission {
    struct cli *cli;
    struct transfer_list list;
    struct result *results; /* One an item. */
    struct batch *batches;
    size_t batches_count;
};

/* --- Sending ---------------------------------------------------------------------------- */

static enum verdict verdict_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_ACCEPTED:
        return ACCEPTED;
    case OUTCOME_FOLDED:
        return FOLDED;
    case OUTCOME_REJECTED:
        return REJECTED;
    case OUTCOME_NONE:
    case OUTCOMES:
        break;
    }
    return UNKNOWN;
}

/* What an error of a whole request says about each of its transfers. What is not
 * certain to be refused or untouched is unknown. */
static enum verdict verdict_of_err(enum sg_err err)
{
    switch (err) {
    case SG_INVALID:
    case SG_NOTFOUND:
    case SG_TOOBIG:
    case SG_UNSUPPORTED:
        return REJECTED;
    case SG_REFUSED: /* A leader whose disk is nearly full: nothing is wrong with the transfers. */
    case SG_NOTLEADER:
    case SG_UNAVAILABLE:
    case SG_BUSY:
    case SG_STOPPED:
        return UNAVAILABLE;
    case SG_OK:
    case SG_EXISTS:
    case SG_CONFLICT:
    case SG_IO:
    case SG_CORRUPT:
    case SG_UNKNOWN:
    case SG_TIMEOUT:
    case SG_ERRS:
        break;
    }
    return UNKNOWN;
}

static void decide(struct submission *s, const struct batch *b, size_t from, size_t to, enum verdict verdict,
                   struct span reason)
{
    for (size_t i = from; i < to; i++) {
        s->results[b->items[i]] = (struct result){.verdict = verdict, .reason = reason};
    }
}

/* How many from there on fit one request: at least one. */
static size_t fitting(const struct submission *s, const struct batch *b, size_t from)
{
    struct bytes encoded = BYTES_NONE;
    size_t size = HEAD_BYTES;
    size_t n = 0;

    while (from + n < b->count && n < REQUEST_TRANSFERS_MAX) {
        bytes_clear(&encoded);
        transfer_encode(&s->list.items[b->items[from + n]].transfer, &encoded);
        size += encoded.n + TRANSFER_HEAD_BYTES;
        if (n > 0 && size > REQUEST_SIZE_MAX_BYTES) {
            break;
        }
        n++;
    }
    bytes_release(&encoded);
    return n;
}

static void take_results(struct submission *s, const struct batch *b, size_t from, size_t n,
                         const struct reply *reply)
{
    for (size_t i = 0; i < n; i++) {
        const struct submit_result *r = &reply->results[i];
        size_t item = b->items[from + i];
        bool mine = span_eq(r->id, s->list.items[item].transfer.id);
        s->results[item] =
            mine ? (struct result){verdict_of(r->outcome), r->index, r->reason, r->state, r->note}
                 : (struct result){.verdict = UNKNOWN,
                                   .reason = span_str("the answer was for another id: submit it again")};
    }
}

static enum verdict send_some(struct submission *s, struct batch *b, size_t from, size_t n)
{
    struct transfer *transfers = mem_alloc(n * sizeof *transfers);
    const struct request request = {
        .kind = REQUEST_SUBMIT, .routing_number = b->shard, .transfers = transfers, .transfers_count = n};
    enum verdict verdict = ACCEPTED;
    struct reply reply;
    enum sg_err err;

    for (size_t i = 0; i < n; i++) {
        transfers[i] = s->list.items[b->items[from + i]].transfer;
    }
    err = cli_ask_in(s->cli, &request, &b->arena, &reply);
    mem_free(transfers);
    if (err != SG_OK) {
        verdict = verdict_of_err(err);
        decide(s, b, from, from + n, verdict, reply.text);
    } else if (reply.results_count != n) {
        verdict = UNKNOWN;
        decide(s, b, from, from + n, verdict,
               span_str("the answer has another number of results: submit again"));
    } else {
        take_results(s, b, from, n, &reply);
    }
    return verdict;
}

/* A shard that does not answer is not asked again for each part: that would take
 * as many time-outs. */
static void send_batch(struct submission *s, struct batch *b)
{
    size_t from = 0;

    while (from < b->count) {
        size_t n = fitting(s, b, from);
        enum verdict verdict = send_some(s, b, from, n);
        from += n;
        if (verdict == UNAVAILABLE || verdict == UNKNOWN) {
            decide(s, b, from, b->count, UNAVAILABLE,
                   span_str("not sent, because the shard did not answer an earlier part"));
            return;
        }
    }
}

static void send_one(void *impl, size_t i)
{
    struct submission *s = impl;
    send_batch(s, &s->batches[i]);
}

/* --- Grouping ----------------------------------------------------------------------------- */

struct place {
    struct aba shard;
    size_t item;
};

static int by_shard_and_item(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    if (x->shard.n != y->shard.n) {
        return x->shard.n < y->shard.n ? -1 : 1;
    }
    return x->item < y->item ? -1 : x->item > y->item;
}

/* The good ones into batches; a bad one is rejected here. */
static void group(struct submission *s, struct arena *a)
{
    struct place *places = arena_array(a, s->list.count, sizeof *places);
    size_t *items = arena_array(a, s->list.count, sizeof *items);
    size_t count = 0;

    s->results = arena_array(a, s->list.count, sizeof *s->results);
    s->batches = arena_array(a, s->list.count, sizeof *s->batches);
    for (size_t i = 0; i < s->list.count; i++) {
        const struct transfer_item *item = &s->list.items[i];
        if (item->reason.n > 0) {
            s->results[i] = (struct result){.verdict = REJECTED, .reason = item->reason};
        } else {
            places[count++] = (struct place){item->transfer.routing_number, i};
        }
    }
    if (count > 0) {
        qsort(places, count, sizeof *places, by_shard_and_item);
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = places[i].item;
        if (i == 0 || places[i - 1].shard.n != places[i].shard.n) {
            s->batches[s->batches_count++] =
                (struct batch){.shard = places[i].shard, .items = &items[i], .arena = ARENA_INIT};
        }
        s->batches[s->batches_count - 1].count++;
    }
}

/* --- All together ---------------------------------------------------------------------------- */

static enum cli_exit submit(struct cli *c, struct span text, struct aba shard, const char *path)
{
    struct submission s = {.cli = c};
    struct reply reply;
    char why[256];
    enum cli_exit status;
    enum sg_err err = transfer_json_parse(text, shard, &c->arena, &s.list, why, sizeof why);

    if (err != SG_OK) {
        return cli_fail(c, err == SG_UNSUPPORTED ? CLI_USAGE : CLI_FAILED, "%s: %s", path, why);
    }
    group(&s, &c->arena);
    err = s.batches_count == 0 ? SG_OK : cli_connect(c, &reply);
    if (err == SG_OK) {
        cli_each(c, s.batches_count, SUBMIT_SHARDS_INFLIGHT_MAX, send_one, &s);
        status = submit_answer(c, path, &s.list, s.results);
    } else {
        status = cli_fail_err(c, err, reply.text);
    }
    for (size_t i = 0; i < s.batches_count; i++) {
        arena_release(&s.batches[i].arena);
    }
    transfer_list_release(&s.list);
    return status;
}

enum cli_exit run_submit(struct cli *c)
{
    const char *path = c->args.words_count == 0 ? "-" : c->args.words[0];
    const char *shard_text = c->args.option[OPTION_SHARD];
    struct bytes text = BYTES_NONE;
    struct aba shard = {0};
    enum cli_exit status;

    if (shard_text != NULL && !cli_aba(c, shard_text, &shard)) {
        return CLI_USAGE;
    }
    status = cli_read(c, path, INPUT_SIZE_MAX_BYTES, &text);
    if (status == CLI_DONE) {
        status = submit(c, span_bytes(&text), shard, strcmp(path, "-") == 0 ? "standard input" : path);
    }
    bytes_release(&text);
    return status;
}
