/* The column of the table that shows: a verb's view of a shard's rows. */
#include "supervisor/verbs/table.h"
#include "supervisor/verbs/view.h"

static bool answered(struct view_answer *out, json_t *document)
{
    out->document = document;
    return document != NULL;
}

static bool view_of_shard(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_shard(v, a->live));
}

static bool view_of_transfer(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_transfer(v, a->id));
}

static bool view_of_transfers(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_transfers(v, a->from, a->state));
}

static bool view_of_trace(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_trace(v, a->id));
}

static bool view_of_windows(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_windows(v, a->from));
}

static bool view_of_files(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_files(v, a->from));
}

static bool view_of_file(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_file(v, a->file));
}

static bool view_of_file_bytes(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return view_file_bytes(v, a->file, &out->data);
}

static bool view_of_file_verify(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_file_verify(v, a->file));
}

static bool view_of_events(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_events(v, a->from));
}

static bool view_of_log(struct view *v, const struct view_args *a, struct view_answer *out)
{
    return answered(out, view_log(v, a->from, a->to));
}

static bool view_of_hash(struct view *v, const struct view_args *a, struct view_answer *out)
{
    (void)a;
    return answered(out, view_hash(v));
}

#define VIEW_ROW(kind, where, repeat, right, run, done_before, view) [kind] = (view),
static verb_view *const views[REQUEST_KINDS] = {VERB_TABLE(VIEW_ROW)};
#undef VIEW_ROW

verb_view *verb_view_of(enum request_kind kind)
{
    return (unsigned)kind < REQUEST_KINDS ? views[kind] : NULL;
}

struct view_args view_args_of(const struct request *r)
{
    return (struct view_args){.id = request_arg(r, "id"),
                              .file = request_arg(r, "file"),
                              .state = request_arg(r, "state"),
                              .to = UINT64_MAX};
}
