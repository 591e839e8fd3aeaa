#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/node_world_impl.h"

static struct world_stored *stored_find(struct node_world *w, enum bank_place place, const char *name)
{
    for (size_t i = 0; i < STORED_MAX; i++) {
        if (w->stored[i].place == place && strcmp(w->stored[i].name, name) == 0) {
            return &w->stored[i];
        }
    }
    return NULL;
}

static enum bank_answer bank_run(struct node_world *w, struct bank_request *r)
{
    struct world_stored *s = stored_find(w, r->place, r->name);
    switch (r->op) {
    case BANK_CREATE:
        if (s != NULL) {
            return BANK_EXISTS;
        }
        for (s = w->stored; s->place != 0; s++) {
            CHECK(s < w->stored + STORED_MAX - 1);
        }
        s->place = r->place;
        s->size = r->data.n;
        memcpy(s->name, r->name, sizeof s->name);
        return BANK_OK;
    case BANK_STAT:
        r->size_bytes = s == NULL ? 0 : s->size;
        return s == NULL ? BANK_ABSENT : BANK_OK;
    case BANK_RENAME:
        if (s == NULL || stored_find(w, r->to_place, r->to_name) != NULL) {
            return s == NULL ? BANK_ABSENT : BANK_EXISTS;
        }
        s->place = r->to_place;
        memcpy(s->name, r->to_name, sizeof s->name);
        return BANK_OK;
    case BANK_REMOVE:
        if (s == NULL) {
            return BANK_ABSENT;
        }
        s->place = 0;
        return BANK_OK;
    case BANK_SYNC:
    case BANK_PROBE:
    case BANK_OPS:
        break;
    }
    return BANK_OK;
}

struct world_request {
    struct task task;
    struct node_world *w;
    struct bank_request *r;
};

static void bank_answer_run(struct task *t)
{
    struct world_request *q = CONTAINER_OF(t, struct world_request, task);
    struct bank_request *r = q->r;
    r->answer = bank_run(q->w, r);
    mem_free(q);
    r->done(r);
}

static void seam_bank_request(void *impl, struct bank_request *r)
{
    struct world_process *p = impl;
    struct world_request *q = mem_zalloc(1, sizeof *q);
    *q = (struct world_request){.task.run = bank_answer_run, .w = p->w, .r = r};
    loop_after(test_loop_seam(p->loop), &q->task, 1);
}

const struct bank_ops node_world_bank_ops = {.request = seam_bank_request};
