/* Who works with the cluster, and what it promised them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/ach/zone.h"
#include "tests/sim/sim.h"

#define TRIES 6u
#define TRIES_CALM 400u
#define FIRST_SHARDS_MAX 3u
#define CLOSE_AGAIN_US 1000000

/* --- Promises ---------------------------------------------------------------------------- */

static struct span dup(const char *text)
{
    return span_str(mem_strdup(text));
}

static struct transfer transfer_make(struct sim *s, struct promise *p)
{
    static const char *const originators[] = {"acme", "globex"};
    struct transfer t = {.routing_number = sim_shard_aba(p->shard), .effective_date = DAY_NONE};
    char text[64];

    t.id = span_str(p->id);
    t.individual_id = span_str(p->individual_id);
    t.originator = span_str(originators[sim_below(s, 2)]);
    t.sec = sim_below(s, 3) == 0 ? SEC_CCD : SEC_PPD;
    t.entry_description = span_str(sim_below(s, 2) == 0 ? "PAYROLL" : "RENT");
    t.side = sim_below(s, 3) == 0 ? SIDE_DEBIT : SIDE_CREDIT;
    t.account_type = sim_below(s, 2) == 0 ? ACCOUNT_CHECKING : ACCOUNT_SAVINGS;
    t.rdfi = sim_shard_aba((unsigned)sim_below(s, SIM_SHARDS_MAX));
    (void)snprintf(text, sizeof text, "%" PRIu64, 1000000 + sim_below(s, 9000000));
    t.account = dup(text);
    t.amount.n = (int64_t)(1 + sim_below(s, 5000000));
    (void)snprintf(text, sizeof text, "RECEIVER %" PRIu64, p->number);
    t.name = dup(text);
    if (s->plan.metadata_max > 0) {
        struct bytes b = BYTES_NONE;
        memset(bytes_extend(&b, s->plan.metadata_max), 'x', s->plan.metadata_max);
        b.p[0] = b.p[s->plan.metadata_max - 1] = '"';
        t.metadata = span_bytes(&b);
    }
    return t;
}

static void spoil(struct sim *s, struct promise *p)
{
    p->bad = true;
    switch (sim_below(s, 3)) {
    case 0:
        p->transfer.rdfi.n ^= 1;
        break;
    case 1:
        p->transfer.amount.n = 0;
        break;
    default:
        p->transfer.originator = span_str("nobody");
    }
}

struct promise *people_new(struct sim *s, unsigned shard)
{
    struct people *w = &s->people;
    struct promise *p = mem_zalloc(1, sizeof *p);

    p->shard = shard;
    p->number = w->count[shard] + 1;
    (void)snprintf(p->id, sizeof p->id, "t%u-%" PRIu64, shard, p->number);
    (void)snprintf(p->individual_id, sizeof p->individual_id, "I%uN%" PRIu64, shard, p->number);
    p->transfer = transfer_make(s, p);
    if (sim_chance(s, s->plan.bad_content)) {
        spoil(s, p);
    } else if (sim_below(s, 40) == 0) {
        struct zone_time now =
            zone_local(host_zone(NULL, span_str("America/New_York")), sim_wall_begin_ms(s));
        p->transfer.effective_date = (struct day){now.day.n + (int32_t)sim_below(s, 10)};
        p->may_wait = true;
    }
    if (w->count[shard] == w->cap[shard]) {
        w->cap[shard] = w->cap[shard] == 0 ? 64 : 2 * w->cap[shard];
        w->of[shard] = mem_realloc(w->of[shard], w->cap[shard] * sizeof w->of[shard][0]);
    }
    w->of[shard][w->count[shard]++] = p;
    w->total++;
    return p;
}

/* text is first, a number, second and a number. */
static bool two_numbers(const char *text, char first, uint64_t *a, char second, uint64_t *b)
{
    char *end;
    if (*text != first) {
        return false;
    }
    *a = strtoull(text + 1, &end, 10);
    if (*end != second) {
        return false;
    }
    *b = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

struct promise *people_promise(struct sim *s, unsigned shard, struct span id)
{
    char text[32];
    uint64_t of;
    uint64_t number;
    struct people *w = &s->people;

    if (!two_numbers(span_cstr(id, text, sizeof text), 't', &of, '-', &number) || of != shard ||
        number == 0 || number > w->count[shard] || !span_is(id, w->of[shard][number - 1]->id)) {
        return NULL;
    }
    return w->of[shard][number - 1];
}

struct promise *people_promise_of_individual(struct sim *s, struct span individual_id)
{
    char text[32];
    uint64_t shard;
    uint64_t number;
    struct people *w = &s->people;

    if (!two_numbers(span_cstr(individual_id, text, sizeof text), 'I', &shard, 'N', &number) ||
        shard >= SIM_SHARDS_MAX || number == 0 || number > w->count[shard]) {
        return NULL;
    }
    return w->of[shard][number - 1];
}

static struct promise *any_promise(struct sim *s, unsigned shard)
{
    struct people *w = &s->people;
    return w->count[shard] == 0 ? NULL : w->of[shard][sim_below(s, w->count[shard])];
}

unsigned people_shard(struct sim *s)
{
    unsigned n = s->people.shards_applied;
    /* Half of the work goes to the first: one is always busy. */
    return n <= 1 || sim_below(s, 2) == 0 ? 0 : (unsigned)sim_below(s, n);
}

/* --- Submitting --------------------------------------------------------------------------- */

struct submission {
    size_t count;
    struct people_item items[];
};

static void promise_kept(struct sim *s, struct promise *p, const struct submit_result *r)
{
    /* Answers overtake each other: "folded" may be heard before "accepted". */
    bool twice = r->outcome == OUTCOME_ACCEPTED && p->heard_accepted;
    if (p->said == SAID_ACCEPTED && (twice || r->index != p->index)) {
        sim_fail(s, "I-5", "transfer %s was accepted at index %" PRIu64 ", and now it is %s at %" PRIu64,
                 p->id, p->index, outcome_name(r->outcome), r->index);
    }
    if (p->said == SAID_REJECTED) {
        sim_fail(s, "I-5", "transfer %s was rejected, and now it is %s", p->id, outcome_name(r->outcome));
    }
    if (p->not_done && r->index <= p->not_before) {
        sim_fail(s, "I-19", "transfer %s was not done, as a client was told, and stands at index %" PRIu64,
                 p->id, r->index);
    }
    if (p->said == SAID_NOTHING) {
        s->stats.accepted++;
    }
    p->said = SAID_ACCEPTED;
    p->heard_accepted = p->heard_accepted || r->outcome == OUTCOME_ACCEPTED;
    p->index = r->index;
}

void people_heard(struct sim *s, const struct people_item *item, const struct submit_result *r)
{
    struct promise *p = item->promise;
    char reason[256];

    if (r->outcome != OUTCOME_REJECTED) {
        check_accepted(s, p->shard, r->index);
    }
    if (!span_is(r->id, p->id) || r->shard.n != sim_shard_aba(p->shard).n) {
        sim_fail(s, "I-13", "the answer for transfer %s is about another one", p->id);
    }
    s->stats.folded += r->outcome == OUTCOME_FOLDED;
    s->stats.rejected += r->outcome == OUTCOME_REJECTED;
    if (r->outcome != OUTCOME_REJECTED) {
        if (p->bad || item->changed) {
            sim_fail(s, "I-5", "transfer %s %s, and is %s all the same", p->id,
                     p->bad ? "breaks the rules" : "came with other content", outcome_name(r->outcome));
        }
        promise_kept(s, p, r);
    } else if (!item->changed) {
        if (!p->bad) {
            sim_fail(s, "I-5", "transfer %s keeps the rules and is rejected: %s", p->id,
                     span_cstr(r->reason, reason, sizeof reason));
        }
        p->said = SAID_REJECTED;
    }
}

static void submitted(struct client_call *c, const struct reply *r)
{
    struct submission *sub = c->impl;
    if (r != NULL && r->err == SG_OK) {
        if (r->results_count != sub->count) {
            sim_fail(c->sim, "I-13", "%zu transfers and %zu answers", sub->count, r->results_count);
        }
        c->sim->people.known[c->shard] = true;
        for (size_t i = 0; i < sub->count; i++) {
            people_heard(c->sim, &sub->items[i], &r->results[i]);
        }
    }
    mem_free(sub);
}

struct transfer people_transfer(struct sim *s, const struct people_item *item)
{
    struct promise *p = item->promise;
    struct transfer t = p->transfer;
    if (p->not_done && p->sends == 1) {
        p->not_before = check_committed(s, p->shard);
    }
    p->sends++;
    t.amount.n += item->changed ? 1 : 0;
    return t;
}

static void submission_send(struct sim *s, unsigned shard, struct submission *sub, unsigned tries)
{
    struct transfer *transfers = mem_zalloc(sub->count, sizeof *transfers);
    struct request r = {.kind = REQUEST_SUBMIT, .routing_number = sim_shard_aba(shard)};

    for (size_t i = 0; i < sub->count; i++) {
        transfers[i] = people_transfer(s, &sub->items[i]);
    }
    r.transfers = transfers;
    r.transfers_count = sub->count;
    (void)client_send(s, &r, tries, false, submitted, sub);
    mem_free(transfers);
}

struct people_item people_item(struct sim *s, unsigned shard)
{
    struct promise *old = sim_chance(s, s->plan.repeat_id) ? any_promise(s, shard) : NULL;

    if (old == NULL) {
        return (struct people_item){.promise = people_new(s, shard)};
    }
    /* Before the first answer, either content might be the one that counts. */
    if (old->said == SAID_ACCEPTED && sim_chance(s, s->plan.change_content)) {
        old->was_changed = true;
        return (struct people_item){.promise = old, .changed = true};
    }
    return (struct people_item){.promise = old};
}

static void submit_some(void *arg)
{
    struct sim *s = arg;
    unsigned shard;
    size_t count;
    struct submission *sub;

    if (s->people.resting || s->people.total >= s->plan.accept_max) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.submit_every_ms), submit_some, s);
    if (s->people.calls_open > 200 || s->now_us < s->dark_until_us) {
        return;
    }
    shard = people_shard(s);
    count = 1 + sim_below(s, s->plan.batch_max);
    sub = mem_zalloc(1, sizeof *sub + count * sizeof sub->items[0]);
    for (size_t i = 0; i < count; i++) {
        sub->items[i] = people_item(s, shard);
    }
    sub->count = count;
    submission_send(s, shard, sub, TRIES);
}

/* --- Cancelling and looking ------------------------------------------------------------------ */

static void cancelled(struct client_call *c, const struct reply *r)
{
    struct promise *p = c->impl;
    char text[256];

    if (r == NULL) {
        return;
    }
    if (r->err == SG_OK) {
        if (p->cancel != CANCEL_DONE) {
            c->sim->stats.cancelled++;
            p->cancelled_us = c->sim->now_us;
        }
        p->cancel = CANCEL_DONE;
    } else if (r->err == SG_CONFLICT) {
        /* Of two that are under way, the first may be answered last: a file is cancelled in between. */
        if (p->cancel == CANCEL_DONE && c->began_us > p->cancelled_us) {
            sim_fail(c->sim, "I-5", "transfer %s was cancelled, and now it is %s", p->id,
                     span_cstr(r->text, text, sizeof text));
        }
        p->cancel = p->cancel == CANCEL_DONE ? CANCEL_DONE : CANCEL_LATE;
    } else if (r->err == SG_NOTFOUND) {
        sim_fail(c->sim, "I-5", "transfer %s was accepted and cannot be cancelled: %s", p->id,
                 span_cstr(r->text, text, sizeof text));
    }
}

static void arg_add(struct request *r, struct request_arg *args, const char *name, struct span value)
{
    args[r->args_count++] = (struct request_arg){span_str(name), value};
    r->args = args;
}

static void cancel_one(void *arg)
{
    struct sim *s = arg;
    unsigned shard = people_shard(s);
    struct promise *p = any_promise(s, shard);
    struct request_arg args[2];
    struct request r = {.kind = REQUEST_CANCEL, .routing_number = sim_shard_aba(shard)};

    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.cancel_every_ms), cancel_one, s);
    if (p != NULL && p->said == SAID_ACCEPTED) {
        arg_add(&r, args, "id", span_str(p->id));
        (void)client_send(s, &r, TRIES, false, cancelled, p);
    }
}

/* What is shown of an accepted transfer is what was answered before the question: one
 * register an id, which is written by its acceptance and its cancellation. A history is
 * linearizable if each id's is (Herlihy and Wing), and one of these two writes is so when
 * no question that began behind an answer shows what was before it. Nodes that begin
 * with a program of level 1 answer from the past. */
static void shown(struct client_call *c, const struct reply *r)
{
    struct promise *p = c->impl;
    char wanted[48];
    char text[1024];

    if (r != NULL && r->err == SG_NOTFOUND && c->sim->plan.earlier == 0) {
        sim_fail(c->sim, "R-6", "transfer %s was accepted and is not found: %s", p->id,
                 span_cstr(r->text, text, sizeof text));
        return;
    }
    if (r == NULL || r->err != SG_OK) {
        return;
    }
    if (p->cancel == CANCEL_DONE && c->began_us > p->cancelled_us && c->sim->plan.earlier == 0 &&
        strstr(span_cstr(r->json, text, sizeof text), "cancelled_index") == NULL) {
        sim_fail(c->sim, "R-6", "transfer %s was cancelled and is shown as %s", p->id, text);
        return;
    }
    (void)snprintf(wanted, sizeof wanted, "\"index\":%" PRIu64, p->index);
    if (strstr(span_cstr(r->json, text, sizeof text), wanted) == NULL) {
        (void)snprintf(wanted, sizeof wanted, "\"index\": %" PRIu64, p->index);
        if (strstr(text, wanted) == NULL) {
            sim_fail(c->sim, "I-5", "transfer %s was accepted at index %" PRIu64 " and is shown as %s", p->id,
                     p->index, text);
        }
    }
}

static void looked(struct client_call *c, const struct reply *r)
{
    (void)c;
    (void)r;
}

/* A page from somewhere; whole lists, which are long, only now and then. */
static void page_choose(struct sim *s, struct request *r, struct request_arg *args, char from[24],
                        char limit[24])
{
    if (sim_below(s, 16) > 0) {
        (void)snprintf(from, 24, "%" PRIu64, sim_below(s, 300));
        (void)snprintf(limit, 24, "%" PRIu64, 1 + sim_below(s, 40));
        arg_add(r, args, "from", span_str(from));
        arg_add(r, args, "limit", span_str(limit));
    }
}

static void look(void *arg)
{
    static const enum request_kind kinds[] = {
        REQUEST_STATUS,      REQUEST_NODES_LIST,   REQUEST_SHARDS_LIST,    REQUEST_SHARDS_SHOW,
        REQUEST_FILES_LIST,  REQUEST_WINDOWS_LIST, REQUEST_TRANSFERS_LIST, REQUEST_EVENTS,
        REQUEST_LEADER_SHOW, REQUEST_EXPORT,       REQUEST_LOG_DUMP,       REQUEST_PING,
        REQUEST_NODES_SHOW};
    struct sim *s = arg;
    unsigned shard = people_shard(s);
    struct promise *p = any_promise(s, shard);
    struct request_arg args[2];
    char from[24];
    char limit[24];
    struct request r = {.kind = REQUEST_TRANSFERS_SHOW, .routing_number = sim_shard_aba(shard)};

    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.read_every_ms), look, s);
    if (p != NULL && p->said == SAID_ACCEPTED && sim_below(s, 4) > 0) {
        arg_add(&r, args, "id", span_str(p->id));
        (void)client_send(s, &r, 2, false, shown, p);
        return;
    }
    r.kind = kinds[sim_below(s, sizeof kinds / sizeof kinds[0])];
    page_choose(s, &r, args, from, limit);
    (void)client_send(s, &r, 2, false, looked, NULL);
}

/* --- Windows, leaders, files ------------------------------------------------------------------- */

static void close_send(struct sim *s, unsigned shard, const char *window, unsigned tries)
{
    bool once = window[0] == '\0'; /* Each is a window of its own. */
    struct request_arg args[2];
    struct request r = {.kind = REQUEST_WINDOWS_CLOSE, .routing_number = sim_shard_aba(shard)};
    arg_add(&r, args, "window", span_str(window));
    (void)client_send(s, &r, tries, once, looked, NULL);
}

static void close_one(void *arg)
{
    struct sim *s = arg;
    unsigned shard = people_shard(s);
    char window[8];

    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.close_every_ms), close_one, s);
    if (s->plan.windows > 0 && sim_below(s, 4) == 0) {
        (void)snprintf(window, sizeof window, "W%u", 1 + (unsigned)sim_below(s, s->plan.windows));
        close_send(s, shard, window, TRIES);
    } else if (s->people.closes[shard] < s->plan.closes_max) {
        s->people.closes[shard]++;
        close_send(s, shard, "", TRIES);
    }
}

static void transfer_one(void *arg)
{
    struct sim *s = arg;
    struct request_arg args[2];
    char to[8];
    struct request r = {.kind = REQUEST_LEADER_TRANSFER, .routing_number = sim_shard_aba(people_shard(s))};

    if (s->people.resting) {
        return;
    }
    arg_add(&r, args, "force", span_str("true")); /* At the worst of moments. */
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.transfer_every_ms), transfer_one, s);
    if (sim_below(s, 3) > 0) {
        (void)snprintf(to, sizeof to, "n%u", 1 + (unsigned)sim_below(s, s->plan.nodes));
        arg_add(&r, args, "to", span_str(to));
    }
    (void)client_send(s, &r, TRIES, true, looked, NULL);
}

static void file_cancel_one(void *arg)
{
    struct sim *s = arg;
    struct request_arg args[2];
    char file[24];
    unsigned shard = people_shard(s);
    uint64_t open = rows_open_file(s, shard);
    struct request r = {.kind = REQUEST_FILES_CANCEL, .routing_number = sim_shard_aba(shard)};

    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.file_cancel_every_ms), file_cancel_one, s);
    (void)snprintf(file, sizeof file, "%" PRIu64, open != 0 ? open : 1 + sim_below(s, 12));
    arg_add(&r, args, "file", span_str(file));
    (void)client_send(s, &r, TRIES, false, looked, NULL);
}

static void resolve_one(void *arg)
{
    struct sim *s = arg;
    if (!s->people.resting) {
        (void)sim_at(s, NULL, sim_gap_us(s, s->plan.resolve_every_ms), resolve_one, s);
        rows_resolve_one(s, people_shard(s));
    }
}

void people_resolve(struct sim *s, unsigned shard, uint64_t file, bool as_uploaded)
{
    struct request_arg args[3];
    char number[24];
    struct request r = {.kind = REQUEST_FILES_RESOLVE, .routing_number = sim_shard_aba(shard)};

    (void)snprintf(number, sizeof number, "%" PRIu64, file);
    arg_add(&r, args, "file", span_str(number));
    arg_add(&r, args, "as", span_str(as_uploaded ? "uploaded" : "abandoned"));
    arg_add(&r, args, "reason", span_str("the bank was asked"));
    (void)client_send(s, &r, TRIES_CALM, false, looked, NULL);
}

/* --- The whole ----------------------------------------------------------------------------------------- */

static void begin(struct sim *s, uint64_t every_ms, uint64_t after_ms, void (*run)(void *arg))
{
    if (every_ms > 0) {
        (void)sim_at(s, NULL, 1000 * after_ms + sim_gap_us(s, every_ms), run, s);
    }
}

void people_start(struct sim *s)
{
    const struct sim_plan *p = &s->plan;
    unsigned first = 1 + (unsigned)sim_below(s, FIRST_SHARDS_MAX);

    s->people.shards_applied = first < p->shards ? first : p->shards;
    if (p->apply_every_ms == 0) {
        s->people.shards_applied = p->shards;
    }
    config_apply(s, 40);
    begin(s, p->submit_every_ms, 500, submit_some);
    begin(s, p->cancel_every_ms, 2000, cancel_one);
    begin(s, p->read_every_ms, 1000, look);
    begin(s, p->read_every_ms, 3000, readers_look);
    begin(s, p->close_every_ms, 2000, close_one);
    begin(s, p->transfer_every_ms, 2000, transfer_one);
    begin(s, p->file_cancel_every_ms, 4000, file_cancel_one);
    begin(s, p->apply_every_ms, 2000, config_apply_more);
    begin(s, p->resolve_every_ms, 4000, resolve_one);
    library_start(s);
}

void people_rest(struct sim *s)
{
    s->people.resting = true;
    s->people.shards_applied = s->plan.shards;
    config_apply(s, TRIES_CALM);
}

void people_repeat_all(struct sim *s)
{
    struct people *w = &s->people;
    for (unsigned shard = 0; shard < s->plan.shards; shard++) {
        for (size_t at = 0; at < w->count[shard];) {
            size_t count = w->count[shard] - at < 300 ? w->count[shard] - at : 300;
            struct submission *sub = mem_zalloc(1, sizeof *sub + count * sizeof sub->items[0]);
            for (size_t i = 0; i < count; i++) {
                sub->items[i].promise = w->of[shard][at + i];
            }
            sub->count = count;
            at += count;
            submission_send(s, shard, sub, TRIES_CALM);
        }
    }
}

struct last_close {
    struct sim *sim;
    unsigned shard;
};

static void last_close_send(void *arg);

/* Leaders move in the calm, too, and find damage: who is not told "done" asks again,
 * and a window too many does no harm. */
static void last_closed(struct client_call *c, const struct reply *r)
{
    if (r == NULL || r->err != SG_OK) {
        (void)sim_at(c->sim, NULL, CLOSE_AGAIN_US, last_close_send, c->impl);
    } else {
        mem_free(c->impl);
    }
}

static void last_close_send(void *arg)
{
    struct last_close *l = arg;
    struct request r = {.kind = REQUEST_WINDOWS_CLOSE, .routing_number = sim_shard_aba(l->shard)};
    (void)client_send(l->sim, &r, TRIES_CALM, false, last_closed, l);
}

void people_close_all(struct sim *s)
{
    for (unsigned shard = 0; shard < s->plan.shards; shard++) {
        struct last_close *l = mem_zalloc(1, sizeof *l);
        *l = (struct last_close){s, shard};
        last_close_send(l);
    }
}
