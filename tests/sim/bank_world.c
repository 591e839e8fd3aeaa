/* What happens to a bank's server: power cuts, purges, roll-backs, a full disk,
 * strangers' files. And what of it is evidence. */
#include <string.h>

#include "proto/base/mem.h"
#include "tests/sim/bank.h"

#define STRANGER_MAX_MS 20000

struct delivery *bank_delivery(struct sim *s, const char *name)
{
    struct delivery *d = NULL;
    for (unsigned i = 0; d == NULL && i < s->plan.banks; i++) {
        d = bank_delivery_find(&s->banks[i], name);
    }
    return d;
}

void bank_start(struct sim *s)
{
    s->banks = mem_zalloc(SIM_BANKS_MAX, sizeof *s->banks);
    for (unsigned i = 0; i < SIM_BANKS_MAX; i++) {
        s->banks[i] = (struct sim_bank){.sim = s, .index = i};
    }
}

void bank_heal(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.banks; i++) {
        s->banks[i].full_until_us = 0;
        bank_pick_soon(&s->banks[i]);
    }
}

static struct sim_bank *any_bank(struct sim *s)
{
    return &s->banks[sim_below(s, s->plan.banks)];
}

static void fact_add(struct sim_bank *b, enum bank_fact_kind kind, const char *name)
{
    struct bank_fact *f = mem_zalloc(1, sizeof *f);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->kind = kind;
    f->next = b->facts;
    b->facts = f;
}

bool bank_fact(const struct sim *s, unsigned bank, enum bank_fact_kind kind, const char *name)
{
    const struct bank_fact *f = s->banks[bank].facts;
    while (f != NULL && (f->kind != kind || strcmp(f->name, name) != 0)) {
        f = f->next;
    }
    return f != NULL;
}

static struct bank_file *files_copy(const struct bank_file *f)
{
    struct bank_file *head = NULL;
    for (; f != NULL; f = f->next) {
        struct bank_file *copy;
        if (f->is_stranger) {
            continue;
        }
        copy = mem_zalloc(1, sizeof *copy);
        *copy = *f;
        copy->data = BYTES_NONE;
        bytes_append_span(&copy->data, span_bytes(&f->data));
        copy->next = head;
        head = copy;
    }
    return head;
}

/* Everything in staging is gone: a purge that takes all, as the protocol assumes. */
void bank_purge(struct sim *s)
{
    struct sim_bank *b = any_bank(s);
    struct bank_file **p = &b->files;
    sim_trace(s, NULL, "staging of bank # is purged", b->index, 0);
    b->broke_its_word = true;
    while (*p != NULL) {
        if ((*p)->place == BANK_STAGING) {
            fact_add(b, BANK_LOST, (*p)->name);
            bank_unlink(p);
        } else {
            p = &(*p)->next;
        }
    }
}

/* What comes again by the roll-back comes from the bank itself; what goes is
 * lost by it. */
static void restore(struct sim_bank *b)
{
    struct bank_file *now = b->files;
    b->files = b->backup;
    b->backup = NULL;
    b->has_backup = false;
    b->broke_its_word = true;
    for (struct bank_file *f = now; f != NULL; f = f->next) {
        if (f->is_stranger || *bank_find(b, f->place, f->name) != NULL) {
            continue;
        }
        if (f->place == BANK_DROP) {
            bank_delivery_of(b, f->name)->lost = true;
        } else {
            fact_add(b, BANK_LOST, f->name);
        }
    }
    for (struct bank_file *f = b->files; f != NULL; f = f->next) {
        f->is_ghost = true;
        if (f->place == BANK_DROP) {
            bank_delivery_of(b, f->name)->excused = true;
            bank_pick_soon(b);
        }
    }
}

/* The first call remembers, the second goes back: the server is as it was. */
void bank_backup(struct sim *s)
{
    struct sim_bank *b = any_bank(s);
    if (!b->has_backup) {
        b->backup = files_copy(b->files);
        b->has_backup = true;
        return;
    }
    sim_trace(s, NULL, "bank # goes back to a backup", b->index, 0);
    restore(b);
}

/* What was being written is torn. Renames that were not flushed are undone, as
 * far as the file is still there. */
void bank_power_loss(struct sim *s)
{
    struct sim_bank *b = any_bank(s);
    sim_trace(s, NULL, "bank # loses its power", b->index, 0);
    bank_tear(b);
    for (struct bank_file *f = b->files; f != NULL; f = f->next) {
        if (f->is_unsynced && sim_chance(s, 700000)) {
            if (f->place == BANK_DROP) {
                bank_delivery_of(b, f->name)->published--;
            }
            f->place = f->old_place;
            memcpy(f->name, f->old_name, sizeof f->name);
            sim_trace(s, NULL, "bank # has lost a rename that was not flushed", b->index, 0);
        }
        f->is_unsynced = false;
    }
}

void bank_fill(struct sim *s, uint64_t for_us)
{
    struct sim_bank *b = any_bank(s);
    sim_trace(s, NULL, "bank # has no room for # ms", b->index, for_us / 1000);
    b->full_until_us = s->now_us + for_us;
}

static void stranger_leave(void *arg)
{
    struct sim_bank *b = arg;
    struct bank_file **p = &b->files;
    while (*p != NULL && !(*p)->is_stranger) {
        p = &(*p)->next;
    }
    if (*p != NULL) {
        sim_trace(b->sim, NULL, "a stranger's file leaves bank #", b->index, 0);
        bank_unlink(p);
    }
}

void bank_stranger(struct sim *s, unsigned bank, const char *name)
{
    struct sim_bank *b = &s->banks[bank];
    if (*bank_find(b, BANK_DROP, name) != NULL) {
        return;
    }
    sim_trace(s, NULL, "a stranger's file lies at bank # under a name of ours", bank, 0);
    fact_add(b, BANK_STRANGER, name);
    bank_file_add(b, BANK_DROP, name, span_str("somebody else's\n"))->is_stranger = true;
    if (sim_below(s, 3) > 0) {
        (void)sim_at(s, NULL, 1000 * sim_skewed(s, 10, STRANGER_MAX_MS), stranger_leave, b);
    }
}

bool bank_broke_its_word(const struct sim *s, unsigned bank)
{
    return s->banks[bank].broke_its_word;
}

bool bank_has_taken_all(const struct sim *s)
{
    for (unsigned i = 0; i < s->plan.banks; i++) {
        for (const struct bank_file *f = s->banks[i].files; f != NULL; f = f->next) {
            if (f->place == BANK_DROP && !f->is_stranger) {
                return false;
            }
        }
    }
    return true;
}

void bank_each(struct sim *s, void (*f)(void *impl, const struct delivery *d), void *impl)
{
    for (unsigned i = 0; i < s->plan.banks; i++) {
        for (const struct delivery *d = s->banks[i].deliveries; d != NULL; d = d->next) {
            f(impl, d);
        }
    }
}
