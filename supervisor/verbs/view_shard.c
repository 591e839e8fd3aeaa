/* A shard, its events, its log and its digest as JSON. */
#include <stdio.h>
#include <string.h>

#include "shard/engine/group.h"
#include "shard/state/event.h"
#include "storage/log.h"
#include "supervisor/verbs/view_parts.h"

json_t *view_hash(struct view *v)
{
    struct applied_row applied;
    char aba[ABA_TEXT_SIZE];
    char digest[2 * DIGEST_SIZE + 1];
    enum sg_err err = applied_row_get(v->rows, &applied);

    if (err != SG_OK) {
        (void)view_fail(v, err, "the applied state of shard %s cannot be read",
                        aba_text(v->routing_number, aba));
        return NULL;
    }
    return json_pack("{s:i,s:s?,s:s,s:I,s:I,s:s}", "v", 1, "node", v->node, "routing_number",
                     aba_text(v->routing_number, aba), "applied_index", (json_int_t)applied.index,
                     "applied_term", (json_int_t)applied.term, "digest",
                     hex_text(span_of(applied.digest.b, DIGEST_SIZE), digest));
}

json_t *view_events(struct view *v, uint64_t after)
{
    struct arena a = ARENA_INIT;
    struct event_row *rows;
    size_t count;
    json_t *list;
    struct page page = {.after = after, .rows_max = view_limit(v)};
    struct counters_row counters = {.next_event = 1};
    enum sg_err err = state_counters(v->rows, &counters);

    if (err == SG_OK || err == SG_NOTFOUND) {
        err = state_events_page(v->rows, &page, &a, &rows, &count);
    }
    if (err != SG_OK) {
        (void)view_fail(v, err, "the events cannot be read");
        arena_release(&a);
        return NULL;
    }
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        struct bytes text = BYTES_NONE;
        event_sentence(&rows[i], &text);
        view_append(list, json_pack("{s:I,s:I,s:o,s:o,s:o,s:o}", "cursor", (json_int_t)rows[i].cursor,
                                    "index", (json_int_t)rows[i].index, "time", view_time(rows[i].time_ms),
                                    "kind", view_text(rows[i].kind), "subject", view_text(rows[i].subject),
                                    "text", view_text(span_bytes(&text))));
        bytes_release(&text);
    }
    arena_release(&a);
    json_t *answer = view_page("events", list, page.next, page.more);
    view_add(answer, "last", view_number(counters.next_event - 1));
    return answer;
}

/* --- log dump ----------------------------------------------------------------------------------- */

static const char *const command_names[COMMAND_KINDS] = {
    [COMMAND_NONE] = "none",
    [COMMAND_SUBMIT] = "submit",
    [COMMAND_CANCEL] = "cancel",
    [COMMAND_SETTINGS] = "settings",
    [COMMAND_CLOSE] = "close",
    [COMMAND_MISSED] = "missed",
    [COMMAND_SEAL] = "seal",
    [COMMAND_WINDOW_DONE] = "window_done",
    [COMMAND_CLAIM] = "claim",
    [COMMAND_STAGED] = "staged",
    [COMMAND_UPLOADED] = "uploaded",
    [COMMAND_ABANDONED] = "abandoned",
    [COMMAND_HOLD] = "hold",
    [COMMAND_VERIFIED] = "verified",
    [COMMAND_FILE_CANCEL] = "file_cancel",
    [COMMAND_RESOLVE] = "resolve",
    [COMMAND_ALERT] = "alert",
    [COMMAND_LEVEL] = "level",
    [COMMAND_RELEASE] = "release",
};

static json_t *command_summary(const struct command *c)
{
    switch (c->kind) {
    case COMMAND_SUBMIT:
        return json_sprintf("%zu transfers", c->submit.transfers_count);
    case COMMAND_CANCEL:
        return view_text(c->cancel.id);
    case COMMAND_CLOSE:
        return view_text(span_str(c->close.window.name));
    case COMMAND_MISSED:
        return view_text(span_str(c->missed.window.name));
    case COMMAND_WINDOW_DONE:
        return view_text(span_str(c->window_done.window.name));
    case COMMAND_SEAL:
        return view_text(c->seal.name);
    case COMMAND_SETTINGS:
        return json_sprintf("%zu bytes", c->settings.encoded.n);
    case COMMAND_CLAIM:
    case COMMAND_STAGED:
    case COMMAND_UPLOADED:
    case COMMAND_ABANDONED:
    case COMMAND_HOLD:
    case COMMAND_VERIFIED:
    case COMMAND_FILE_CANCEL:
    case COMMAND_RESOLVE:
    case COMMAND_ALERT:
        return json_sprintf("file %llu attempt %llu", (unsigned long long)c->file.file,
                            (unsigned long long)c->file.attempt);
    case COMMAND_RELEASE:
        return view_text(span_str(c->release.window));
    case COMMAND_LEVEL:
        return json_sprintf("to level %u", c->level_change.to);
    case COMMAND_NONE:
    case COMMAND_KINDS:
        break;
    }
    return json_string("");
}

static json_t *entry_json(const struct log_entry *e)
{
    struct arena a = ARENA_INIT;
    struct command c;
    bool is_command = strcmp(group_entry_type_name(e->type), "command") == 0;
    json_t *o = json_pack("{s:I,s:I,s:s,s:I}", "index", (json_int_t)e->index, "term", (json_int_t)e->term,
                          "type", group_entry_type_name(e->type), "bytes", (json_int_t)e->data.n);

    if (is_command && command_decode(e->data, &a, &c) == SG_OK) {
        view_add(o, "command", json_string(command_names[c.kind]));
        view_add(o, "time", view_time(c.time_ms));
        view_add(o, "node", view_text(c.node));
        view_add(o, "summary", command_summary(&c));
    }
    arena_release(&a);
    return o;
}

json_t *view_log(struct view *v, uint64_t from, uint64_t to)
{
    struct log_bounds bounds;
    struct rows *r = v->rows;
    char aba[ABA_TEXT_SIZE];
    json_t *list = json_array();
    enum sg_err err = log_bounds(r->kv, r->txn, r->group, &bounds);
    uint64_t at = err == SG_OK && from < bounds.first ? bounds.first : from;

    uint64_t end = err != SG_OK || to < bounds.last ? to : bounds.last;
    size_t read_bytes = 0;

    for (size_t n = 0;
         err == SG_OK && at <= end && n < view_limit(v) && read_bytes < LOG_DUMP_SIZE_SOFT_BYTES; n++, at++) {
        struct log_entry e;
        err = log_get(r->kv, r->txn, r->group, at, &e);
        if (err == SG_OK) {
            read_bytes += e.data.n;
            view_append(list, entry_json(&e));
        }
    }
    if (err != SG_OK) {
        (void)view_fail(v, err, "entry %llu of shard %s: %s", (unsigned long long)at,
                        aba_text(v->routing_number, aba), sg_err_text(err));
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:i,s:I,s:I,s:o,s:I,s:b}", "v", 1, "first", (json_int_t)bounds.first, "last",
                     (json_int_t)bounds.last, "entries", list, "next", (json_int_t)at, "more", at <= end);
}

/* --- shards show ---------------------------------------------------------------------------------- */

/* What a replica that is not heard from has is not known: a leader counts it from
 * zero. */
static json_t *replicas_json(const struct view *v, const struct group_status *g)
{
    json_t *list = json_array();
    for (size_t i = 0; i < g->replicas_count; i++) {
        const struct group_replica *r = &g->replicas[i];
        char buffer[24];
        bool known = r->is_leader || r->is_recent;
        uint64_t match = r->is_leader ? g->last_index : r->match_index;
        view_append(list, json_pack("{s:s,s:s,s:o,s:o,s:s}", "node", view_node(v, r->node, buffer), "role",
                                    r->is_leader  ? "leader"
                                    : r->is_voter ? "follower"
                                                  : "standby",
                                    "match_index", known ? view_number(match) : json_null(), "lag",
                                    known ? view_number(g->last_index - match) : json_null(), "state",
                                    r->is_rebuilding ? "rebuilding"
                                    : r->installing  ? "installing"
                                    : known          ? "ok"
                                                     : "unreachable"));
    }
    return list;
}

static json_t *uploads_json(const struct shard_status *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->uploads_count; i++) {
        const struct shard_upload_status *u = &s->uploads[i];
        view_append(list,
                    json_pack("{s:I,s:s,s:I,s:o,s:o}", "file", (json_int_t)u->file, "step", u->step,
                              "failures", (json_int_t)u->tries, "last_error",
                              view_text(span_str(u->last_error)), "next_try", view_time(u->next_try_ms)));
    }
    return list;
}

static void add_live(struct view *v, json_t *o, const struct shard_status *live)
{
    char buffer[24];

    view_add(o, "leader",
             live->group.leader == 0 ? json_null() : json_string(view_node(v, live->group.leader, buffer)));
    view_add(o, "term", view_number(live->group.term));
    view_add(o, "commit_index", view_number(live->group.commit_index));
    view_add(o, "replicas", replicas_json(v, &live->group));
    view_add(o, "next_window",
             live->next_window.name[0] == '\0'
                 ? json_null()
                 : json_pack("{s:o,s:o}", "name", view_text(span_str(live->next_window.name)), "closes_at",
                             view_time(live->next_close_ms)));
    view_add(o, "uploads", uploads_json(live));
}

static void add_offline(const struct view *v, json_t *o)
{
    view_add(o, "leader", json_null());
    view_add(o, "term", v->term == 0 ? json_null() : view_number(v->term));
    view_add(o, "commit_index", json_null());
    view_add(o, "replicas", json_array());
    view_add(o, "next_window", json_null());
    view_add(o, "uploads", json_array());
}

static bool add_counters(struct view *v, json_t *o)
{
    struct counters_row c;
    enum sg_err err = state_counters(v->rows, &c);

    if (err == SG_NOTFOUND) {
        memset(&c, 0, sizeof c);
    } else if (err != SG_OK) {
        return view_fail(v, err, "the counters of the shard cannot be read");
    }
    view_add(o, "pending",
             json_pack("{s:I,s:I,s:I}", "entries", (json_int_t)c.pending_count, "debit_cents",
                       (json_int_t)c.pending_debit.n, "credit_cents", (json_int_t)c.pending_credit.n));
    view_add(o, "totals",
             json_pack("{s:{s:I,s:I,s:I},s:{s:I,s:I,s:I},s:{s:I,s:I,s:I}}", "accepted", "entries",
                       (json_int_t)c.accepted_count, "debit_cents", (json_int_t)c.accepted_debit.n,
                       "credit_cents", (json_int_t)c.accepted_credit.n, "in_files", "entries",
                       (json_int_t)c.sealed_count, "debit_cents", (json_int_t)c.sealed_debit.n,
                       "credit_cents", (json_int_t)c.sealed_credit.n, "cancelled", "entries",
                       (json_int_t)c.cancelled_count, "debit_cents", (json_int_t)c.cancelled_debit.n,
                       "credit_cents", (json_int_t)c.cancelled_credit.n));
    return true;
}

/* What should be at the bank by now and is not. Offline nobody knows what time it is. */
static bool add_overdue(struct view *v, json_t *o)
{
    struct arena a = ARENA_INIT;
    struct owed *owed = NULL;
    size_t count = 0;
    json_t *list = json_array();
    enum sg_err err = v->now_ms == 0 ? SG_OK : state_owed(v->rows, &a, &owed, &count);

    for (size_t i = 0; err == SG_OK && i < count; i++) {
        const struct owed *w = &owed[i];
        if (w->upload_by_ms <= v->now_ms) {
            view_append(list, json_pack("{s:o,s:o,s:o,s:o,s:s}", "file",
                                        w->file == 0 ? json_null() : view_number(w->file), "name",
                                        w->file == 0 ? json_null() : view_text(w->name), "window",
                                        view_window_name(&w->window), "upload_by", view_time(w->upload_by_ms),
                                        "state", w->file == 0 ? "closed" : file_state_name(w->state)));
        }
    }
    arena_release(&a);
    view_add(o, "overdue", list);
    return err == SG_OK || view_fail(v, err, "the open files of the shard cannot be read");
}

json_t *view_shard(struct view *v, const struct shard_status *live)
{
    struct arena a = ARENA_INIT;
    struct applied_row applied;
    struct settings settings;
    char aba[ABA_TEXT_SIZE];
    json_t *o = json_object();
    enum sg_err err = applied_row_get(v->rows, &applied);

    view_add(o, "v", json_integer(1));
    view_add(o, "routing_number", json_string(aba_text(v->routing_number, aba)));
    if (err != SG_OK) {
        (void)view_fail(v, err, "shard %s: its applied state cannot be read here", aba);
        goto err_after_object;
    }
    if (live != NULL) {
        add_live(v, o, live);
    } else {
        add_offline(v, o);
    }
    view_add(o, "applied_index", view_number(applied.index));
    if (!add_counters(v, o) || !add_overdue(v, o)) {
        goto err_after_object;
    }
    err = state_settings(v->rows, 0, &a, &settings);
    if (err == SG_OK) {
        view_add(o, "endpoint", view_text(settings.endpoint.name));
        view_add(o, "settings_version", view_number(settings.version));
        view_add(o, "level", json_integer(settings.level));
    } else if (err != SG_NOTFOUND) {
        (void)view_fail(v, err, "shard %s: its settings cannot be read here", aba);
        goto err_after_object;
    }
    arena_release(&a);
    return o;

err_after_object:
    arena_release(&a);
    json_decref(o);
    return NULL;
}
