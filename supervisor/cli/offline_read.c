/* What the child does: one lane's environment, read-only, through the same views
 * as a node's. */
#include <stdio.h>
#include <stdlib.h>

#include "shard/engine/group.h"
#include "storage/lmdb_kv.h"
#include "storage/log.h"
#include "supervisor/cli/args.h"
#include "supervisor/cli/offline.h"
#include "supervisor/verbs/table.h"
#include "supervisor/verbs/view.h"

#define WHY_SIZE 512

struct reading {
    const struct request *request;
    struct kv kv;
    struct kv_txn *txn;
    struct rows rows;
    struct view view;
    struct bytes *reply;
};

static enum lane_found answer(struct reading *g, const struct reply *r)
{
    const struct reply too_big = {.err = SG_TOOBIG,
                                  .text = span_str("the answer is too large: ask for fewer rows (--limit)")};

    bytes_clear(g->reply);
    reply_encode(r, g->reply);
    if (g->reply->n > REPLY_SIZE_MAX_BYTES) {
        bytes_clear(g->reply);
        reply_encode(&too_big, g->reply);
    }
    return LANE_ANSWERED;
}

static enum lane_found answer_error(struct reading *g, enum sg_err err, const char *text)
{
    const struct reply r = {.err = err, .text = span_str(text)};
    return answer(g, &r);
}

/* Takes document. err may come with it. */
static enum lane_found answer_document(struct reading *g, json_t *document, enum sg_err err, const char *text)
{
    char *json = json_dumps(document, JSON_COMPACT);
    const struct reply r = {.err = err, .text = span_str(text), .json = span_str(json == NULL ? "" : json)};

    CHECK(json != NULL);
    json_decref(document);
    (void)answer(g, &r);
    free(json); /* jansson's own allocator. */
    return LANE_ANSWERED;
}

/* --- shards list -------------------------------------------------------------------------- */

static enum sg_err shard_row(struct reading *g, uint64_t group, json_t *row)
{
    struct rows *rows = &g->rows;
    struct log_hard_state hs = {0, 0};
    struct applied_row applied = {.index = 0};
    struct counters_row counters = {.next_seq = 0};
    enum sg_err err = log_hard_state_get(&g->kv, g->txn, group, &hs);

    rows->group = group;
    if (err == SG_OK) {
        err = applied_row_get(rows, &applied);
        err = err == SG_NOTFOUND ? SG_OK : err; /* Bootstrapped and never applied. */
    }
    if (err == SG_OK) {
        err = state_counters(rows, &counters);
        err = err == SG_NOTFOUND ? SG_OK : err;
    }
    if (err != SG_OK) {
        return err;
    }
    CHECK(json_object_update_new(row, json_pack("{s:I,s:I,s:I,s:I,s:I}", "term", (json_int_t)hs.term,
                                                "applied_index", (json_int_t)applied.index, "pending_entries",
                                                (json_int_t)counters.pending_count, "pending_debit_cents",
                                                (json_int_t)counters.pending_debit.n, "pending_credit_cents",
                                                (json_int_t)counters.pending_credit.n)) == 0);
    return SG_OK;
}

static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value == NULL ? json_string("damaged") : value; /* Not UTF-8. */
}

static enum sg_err list_shard(struct reading *g, uint64_t group, json_t *list)
{
    char aba[ABA_TEXT_SIZE];
    json_t *row;
    enum sg_err err;

    if (group > ABA_MAX) {
        return SG_CORRUPT;
    }
    row =
        json_pack("{s:s,s:n,s:s,s:n,s:s,s:n}", "routing_number", aba_text((struct aba){(uint32_t)group}, aba),
                  "leader", "state", "offline", "commit_index", "why", "", "next_close");
    CHECK(row != NULL);
    err = shard_row(g, group, row);
    if (err != SG_OK) {
        const char *why = err == SG_CORRUPT ? kv_damage() : sg_err_text(err);
        CHECK(json_object_set_new(row, "state", json_string("damaged")) == 0);
        CHECK(json_object_set_new(row, "why", text_json(why)) == 0);
    }
    CHECK(json_array_append_new(list, row) == 0);
    return err;
}

static enum lane_found list_shards(struct reading *g)
{
    struct bytes groups = BYTES_NONE;
    json_t *list = json_array();
    enum sg_err err = log_groups(&g->kv, g->txn, &groups);
    const uint64_t *ids = (const uint64_t *)(const void *)groups.p;

    for (size_t i = 0; i < groups.n / sizeof *ids; i++) {
        enum sg_err one = ids[i] == 0 ? SG_OK : list_shard(g, ids[i], list); /* 0: the catalog. */
        err = err == SG_OK ? one : err;
    }
    bytes_release(&groups);
    return answer_document(g, json_pack("{s:o}", "shards", list), err,
                           err == SG_CORRUPT ? kv_damage() : sg_err_text(err));
}

/* --- One shard ------------------------------------------------------------------------------ */

static bool number(struct reading *g, const char *name, uint64_t fallback, uint64_t *out)
{
    struct span text = request_arg(g->request, name);
    char digits[24];

    *out = fallback;
    return text.n == 0 || args_number(span_cstr(text, digits, sizeof digits), out);
}

static enum lane_found view_failed(struct reading *g)
{
    char text[sizeof g->view.why + WHY_SIZE];
    const char *damage = g->view.err == SG_CORRUPT ? kv_damage() : "";

    (void)snprintf(text, sizeof text, "%s%s%s", g->view.why, damage[0] == '\0' ? "" : ": ", damage);
    return answer_error(g, g->view.err, text);
}

/* What the table shows of this verb without a running node. */
static enum lane_found read_view(struct reading *g, const struct view_args *args)
{
    verb_view *show = verb_view_of(g->request->kind);
    struct view_answer a = {.document = NULL, .data = BYTES_NONE};
    enum lane_found found;

    if (show == NULL) {
        g->view.err = SG_UNSUPPORTED;
        (void)snprintf(g->view.why, sizeof g->view.why, "'%s' needs a running node: use --connect",
                       request_kind_name(g->request->kind));
    }
    if (show == NULL || !show(&g->view, args, &a)) {
        found = view_failed(g);
    } else if (a.document != NULL) {
        found = answer_document(g, a.document, SG_OK, "");
    } else {
        const struct reply r = {.err = SG_OK, .data = span_bytes(&a.data)};
        found = answer(g, &r);
    }
    bytes_release(&a.data);
    return found;
}

static enum lane_found read_one(struct reading *g)
{
    struct log_hard_state hs = {0, 0};
    uint64_t group = g->request->routing_number.n;
    enum sg_err err = log_hard_state_get(&g->kv, g->txn, group, &hs);
    struct view_args args = view_args_of(g->request);
    uint64_t limit;

    if (err == SG_NOTFOUND) {
        return LANE_HAS_NOT;
    }
    if (err != SG_OK && g->request->kind == REQUEST_SHARDS_SHOW) { /* The rest can do without it. */
        return answer_error(g, err, err == SG_CORRUPT ? kv_damage() : sg_err_text(err));
    }
    if (!number(g, "from", 0, &args.from) || !number(g, "to", UINT64_MAX, &args.to) ||
        !number(g, "limit", LIST_ROWS_DEFAULT, &limit) || limit < 1 || limit > LIST_ROWS_MAX) {
        return answer_error(g, SG_INVALID, "--from, --to and --limit are numbers, --limit from 1 to 10000");
    }
    g->rows.group = group;
    g->view = (struct view){.rows = &g->rows,
                            .routing_number = g->request->routing_number,
                            .reveal = span_is(request_arg(g->request, "reveal"), "true"),
                            .limit = (size_t)limit,
                            .term = hs.term};
    return read_view(g, &args);
}

enum lane_found offline_read(const char *lane_dir, const struct request *r, struct bytes *reply)
{
    const struct lmdb_options options = {.dir = lane_dir, .name = lane_dir, .read_only = true};
    struct reading g = {.request = r, .reply = reply};
    char why[WHY_SIZE] = "";
    enum lane_found found;
    enum sg_err err = lmdb_kv_open(&options, &g.kv, why, sizeof why);

    if (err != SG_OK) {
        (void)answer_error(&g, err, why);
        return LANE_UNREADABLE;
    }
    err = kv_begin(&g.kv, false, &g.txn);
    if (err != SG_OK) {
        kv_close(&g.kv);
        (void)answer_error(&g, err, err == SG_CORRUPT ? kv_damage() : sg_err_text(err));
        return LANE_UNREADABLE;
    }
    rows_init(&g.rows, &g.kv, g.txn, 0);
    found = r->kind == REQUEST_SHARDS_LIST ? list_shards(&g) : read_one(&g);
    rows_release(&g.rows);
    kv_abort(&g.kv, g.txn);
    kv_close(&g.kv);
    return found;
}
