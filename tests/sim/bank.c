/* Endpoints as banks are: slow, dropping the line before or after they acted,
 * carrying out requests whose sender is long gone, taking files at once.
 *
 * One endpoint is two directories of one file system. A request travels, is
 * carried out at the server at some moment whether or not its sender still
 * lives, and its answer travels back, or is lost (BANK_DOUBT). */
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "tests/sim/bank.h"

struct errand {
    struct sim_host *host;
    struct sim_lane *lane;
    uint64_t life;
    struct sim_bank *bank;
    struct bank_request *request; /* The sender's memory: not to be touched when it died. */
    /* Copies, since the server goes on without the sender. */
    enum bank_op op;
    enum bank_place place, to_place;
    char name[BANK_NAME_SIZE], to_name[BANK_NAME_SIZE];
    struct bytes data;
    bool answer_lost;
    enum bank_answer answer;
    uint64_t size;
    uint64_t back_us; /* From now until the answer arrives. */
};

struct bank_file **bank_find(struct sim_bank *b, enum bank_place place, const char *name)
{
    struct bank_file **p = &b->files;
    while (*p != NULL && ((*p)->place != place || strcmp((*p)->name, name) != 0)) {
        p = &(*p)->next;
    }
    return p;
}

static void file_free(struct bank_file *f)
{
    bytes_release(&f->data);
    mem_free(f);
}

void bank_unlink(struct bank_file **at)
{
    struct bank_file *f = *at;
    *at = f->next;
    file_free(f);
}

/* --- The bank's own process ---------------------------------------------------------------------- */

struct delivery *bank_delivery_find(struct sim_bank *b, const char *name)
{
    struct delivery *d = b->deliveries;
    while (d != NULL && strcmp(d->name, name) != 0) {
        d = d->next;
    }
    return d;
}

struct delivery *bank_delivery_of(struct sim_bank *b, const char *name)
{
    struct delivery *d = bank_delivery_find(b, name);
    if (d == NULL) {
        d = mem_zalloc(1, sizeof *d);
        (void)snprintf(d->name, sizeof d->name, "%s", name);
        d->next = b->deliveries;
        b->deliveries = d;
    }
    return d;
}

static void pick(void *arg)
{
    struct sim_bank *b = arg;
    struct bank_file **p = &b->files;

    b->picking = false;
    while (*p != NULL) {
        struct bank_file *f = *p;
        struct delivery *d;
        if (f->place != BANK_DROP || f->is_stranger) {
            p = &f->next;
            continue;
        }
        d = bank_delivery_of(b, f->name);
        d->taken++;
        bytes_set(&d->data, span_bytes(&f->data));
        sim_trace(b->sim, NULL, "a bank takes a file of # bytes, for the #. time", f->data.n, d->taken);
        check_delivery(b->sim, d);
        bank_unlink(p);
    }
}

void bank_pick_soon(struct sim_bank *b)
{
    if (!b->picking) {
        b->picking = true;
        (void)sim_at(b->sim, NULL, sim_skewed(b->sim, 0, b->sim->plan.take_us), pick, b);
    }
}

/* A name appeared in the drop directory. */
static void published(struct sim_bank *b, const struct bank_file *f)
{
    struct delivery *d = bank_delivery_of(b, f->name);
    d->published++;
    d->excused |= f->is_ghost;
    bytes_set(&d->data, span_bytes(&f->data));
    sim_trace(b->sim, NULL, "a file comes into the drop directory of bank #, for the #. time", b->index,
              d->published);
    bank_pick_soon(b);
}

/* --- Requests at the server ---------------------------------------------------------------------------- */

struct bank_file *bank_file_add(struct sim_bank *b, enum bank_place place, const char *name, struct span data)
{
    struct bank_file *f = mem_zalloc(1, sizeof *f);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->place = place;
    bytes_append_span(&f->data, data);
    f->next = b->files;
    b->files = f;
    return f;
}

static void do_create(struct errand *e)
{
    struct sim *s = e->bank->sim;
    struct bank_file *f;
    bool is_full = e->bank->full_until_us > s->now_us;
    size_t n = e->data.n;

    if (*bank_find(e->bank, e->place, e->name) != NULL) {
        e->answer = BANK_EXISTS;
        return;
    }
    /* The line may break in the middle, or the disk be full: part of it is
     * there. */
    if (n > 0 && (is_full || (e->answer_lost && sim_chance(s, 500000)))) {
        n = sim_below(s, n);
    }
    f = bank_file_add(e->bank, e->place, e->name, span_of(e->data.p, n));
    f->writer = e;
    f->written_us = s->now_us + sim_below(s, e->back_us + 1);
    e->size = n;
    e->answer = n == e->data.n ? BANK_OK : BANK_DOUBT;
    if (f->place == BANK_DROP) {
        published(e->bank, f);
    }
}

struct second_step {
    struct sim_bank *bank;
    char name[BANK_NAME_SIZE];
};

/* The unlink of a rename that is link and unlink (SFTP v3 as OpenSSH does it). */
static void rename_unlink(void *arg)
{
    struct second_step *st = arg;
    struct bank_file **at = bank_find(st->bank, BANK_STAGING, st->name);
    if (*at != NULL) {
        bank_unlink(at);
    }
    mem_free(st);
}

static void rename_in_two_steps(struct errand *e, const struct bank_file *from)
{
    struct sim *s = e->bank->sim;
    struct second_step *st = mem_zalloc(1, sizeof *st);
    struct bank_file *f = bank_file_add(e->bank, e->to_place, e->to_name, span_bytes(&from->data));

    *st = (struct second_step){.bank = e->bank};
    memcpy(st->name, e->name, sizeof st->name);
    if (f->place == BANK_DROP) {
        published(e->bank, f);
    }
    (void)sim_at(s, NULL, sim_skewed(s, 10, 400000), rename_unlink, st);
}

static void do_rename(struct errand *e)
{
    struct bank_file *f = *bank_find(e->bank, e->place, e->name);

    if (f == NULL) {
        e->answer = BANK_ABSENT;
        return;
    }
    if (*bank_find(e->bank, e->to_place, e->to_name) != NULL) {
        e->answer = BANK_EXISTS;
        return;
    }
    e->answer = BANK_OK;
    if (e->bank->sim->plan.rename_in_two_steps || FAULT_BUG("v3-rename")) {
        rename_in_two_steps(e, f);
        return;
    }
    f->is_unsynced = true;
    f->old_place = f->place;
    memcpy(f->old_name, f->name, sizeof f->old_name);
    f->place = e->to_place;
    memcpy(f->name, e->to_name, sizeof f->name);
    if (f->place == BANK_DROP) {
        published(e->bank, f);
    }
}

static void do_sync(struct errand *e)
{
    for (struct bank_file *f = e->bank->files; f != NULL; f = f->next) {
        f->is_unsynced = false;
    }
    e->answer = BANK_OK;
}

static void do_stat(struct errand *e)
{
    struct bank_file **at = bank_find(e->bank, e->place, e->name);
    e->answer = *at == NULL ? BANK_ABSENT : BANK_OK;
    e->size = *at == NULL ? 0 : (*at)->data.n;
}

static void do_remove(struct errand *e)
{
    struct bank_file **at = bank_find(e->bank, e->place, e->name);
    e->answer = *at == NULL ? BANK_ABSENT : BANK_OK;
    if (*at != NULL) {
        bank_unlink(at);
    }
}

static const char *const op_names[BANK_OPS] = {
    [BANK_CREATE] = "create", [BANK_STAT] = "stat", [BANK_RENAME] = "rename",
    [BANK_REMOVE] = "remove", [BANK_SYNC] = "sync", [BANK_PROBE] = "probe",
};

static void carry_out(struct errand *e)
{
    switch (e->op) {
    case BANK_CREATE:
        do_create(e);
        break;
    case BANK_STAT:
        do_stat(e);
        break;
    case BANK_RENAME:
        do_rename(e);
        break;
    case BANK_REMOVE:
        do_remove(e);
        break;
    case BANK_SYNC:
        do_sync(e);
        break;
    case BANK_PROBE:
        e->answer = BANK_OK;
        break;
    case BANK_OPS:
        break;
    }
    CHECK(e->op < BANK_OPS);
    sim_trace_words(e->bank->sim, NULL, "bank # carries out \"$\" for n#: $", op_names[e->op],
                    bank_answer_name(e->answer), e->bank->index, e->host->index + 1);
}

/* --- Travel ------------------------------------------------------------------------------------------------- */

static void errand_free(void *arg)
{
    struct errand *e = arg;
    for (struct bank_file *f = e->bank->files; f != NULL; f = f->next) {
        f->writer = f->writer == e ? NULL : f->writer;
    }
    bytes_release(&e->data);
    mem_free(e);
}

/* Its sender has ended. */
static void errand_drop(void *arg)
{
    struct errand *e = arg;
    sim_buried(e->request);
    errand_free(e);
}

static void errand_answer(void *arg)
{
    struct errand *e = arg;
    struct bank_request *r = e->request;
    r->answer = e->answer_lost ? BANK_DOUBT : e->answer;
    r->size_bytes = e->size;
    (void)snprintf(r->text, sizeof r->text, "simulated bank: %s", bank_answer_name(r->answer));
    errand_free(e);
    r->done(r);
}

static void errand_arrive(void *arg)
{
    struct errand *e = arg;
    struct sim *s = e->bank->sim;
    struct sim_event *back;

    e->back_us = sim_skewed(s, s->plan.bank_min_us, s->plan.bank_max_us);
    if (e->answer != BANK_FAILED && e->answer != BANK_DOUBT) {
        carry_out(e);
    }
    if (!e->host->up || e->host->life != e->life) {
        errand_drop(e);
        return;
    }
    back = sim_at_lane(e->lane, e->back_us, errand_answer, e);
    back->drop = errand_drop;
}

static unsigned bank_index(const struct bank_request *r)
{
    /* "/bank/N/in": the digit says which. */
    CHECK(r->endpoint->drop_dir.n > 6);
    return (unsigned)(r->endpoint->drop_dir.p[6] - '0');
}

/* An old request that comes to life again, long after: as a queue at the
 * server, or a retransmission, may do it. */
static void late_copy(struct errand *e)
{
    struct sim *s = e->bank->sim;
    struct errand *copy = mem_zalloc(1, sizeof *copy);
    *copy = *e;
    copy->data = BYTES_NONE;
    bytes_append_span(&copy->data, span_bytes(&e->data));
    copy->life = UINT64_MAX; /* Nobody waits for it. */
    (void)sim_at(s, NULL, 1000 * sim_skewed(s, 10, 8000), errand_arrive, copy);
}

static void bank_take_request(void *impl, struct bank_request *r)
{
    struct sim_lane *l = impl;
    struct sim_host *h = l->host;
    struct sim *s = h->sim;
    const struct sim_plan *p = &s->plan;
    struct errand *e = mem_zalloc(1, sizeof *e);
    uint64_t delay = sim_skewed(s, p->bank_min_us, p->bank_max_us);

    check_lane(l, "the bank");
    check_bank_request(l, bank_index(r), r);
    *e = (struct errand){.host = h,
                         .lane = l,
                         .life = h->life,
                         .bank = &s->banks[bank_index(r)],
                         .request = r,
                         .op = r->op,
                         .place = r->place,
                         .to_place = r->to_place};
    memcpy(e->name, r->name, sizeof e->name);
    memcpy(e->to_name, r->to_name, sizeof e->to_name);
    bytes_append_span(&e->data, r->data);
    if (!s->calm && sim_chance(s, p->bank_fails)) {
        e->answer = BANK_FAILED;
    } else if (!s->calm && sim_chance(s, p->line_drop_before)) {
        e->answer = BANK_DOUBT; /* Never carried out. */
        e->answer_lost = true;
    } else if (!s->calm && sim_chance(s, p->line_drop_after)) {
        e->answer_lost = true;
        /* Sometimes the sender gives up long before the server acts. */
        delay += sim_chance(s, p->late_execution) ? 1000 * sim_below(s, 5000) : 0;
    }
    if (!s->calm && sim_chance(s, p->late_execution) && r->op == BANK_RENAME && e->answer_lost &&
        e->answer == 0) {
        late_copy(e);
    }
    (void)sim_at(s, NULL, delay, errand_arrive, e);
}

static const struct bank_ops bank_sim_ops = {.request = bank_take_request};

struct bank bank_seam(struct sim_lane *l)
{
    return (struct bank){.ops = &bank_sim_ops, .impl = l};
}

/* --- Power --------------------------------------------------------------------------------------- */

/* Nobody was told yet that it is there: it is gone, or ends somewhere, or has
 * its length and zeros for bytes. */
static void tear(struct sim_bank *b, struct bank_file **at)
{
    struct bank_file *f = *at;
    size_t n = sim_below(b->sim, f->data.n + 1);

    sim_trace(b->sim, NULL, "bank # has # bytes left of a file that was being written", b->index, n);
    switch (sim_below(b->sim, 3)) {
    case 0:
        bank_unlink(at);
        break;
    case 1:
        f->data.n = n;
        break;
    default:
        if (n < f->data.n) {
            memset(f->data.p + n, 0, f->data.n - n);
        }
    }
}

void bank_tear(struct sim_bank *b)
{
    struct bank_file **p = &b->files;
    while (*p != NULL) {
        struct bank_file *f = *p;
        if (f->written_us > b->sim->now_us) {
            f->written_us = 0;
            if (f->writer != NULL) {
                f->writer->answer = BANK_DOUBT; /* The line broke before it was done. */
            }
            tear(b, p);
        }
        if (*p == f) {
            p = &f->next;
        }
    }
}
