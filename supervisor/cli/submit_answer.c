/* The answer of transfers submit. */
#include "supervisor/cli/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/cli/verbs.h"

#define LINES_SHOWN 5 /* Of those that have a reason in common. */

static const char *const verdict_names[VERDICTS] = {"not_sent", "accepted",    "folded",
                                                    "rejected", "unavailable", "unknown"};

static json_t *result_json(const struct transfer_item *item, const struct result *r)
{
    char aba[ABA_TEXT_SIZE];
    bool has_shard = item->transfer.routing_number.n != 0;
    json_t *o =
        json_pack("{s:o,s:s?,s:s,s:I,s:I}", "id", table_json(item->transfer.id), "shard",
                  has_shard ? aba_text(item->transfer.routing_number, aba) : NULL, "outcome",
                  verdict_names[r->verdict], "index", (json_int_t)r->index, "line", (json_int_t)item->line);

    CHECK(o != NULL);
    if (r->reason.n > 0) {
        CHECK(json_object_set_new(o, "reason", table_json(r->reason)) == 0);
    }
    if (r->state != SUBMIT_STATE_NONE) {
        CHECK(json_object_set_new(o, "state", json_string(submit_state_name(r->state))) == 0);
    }
    if (r->note.n > 0) {
        CHECK(json_object_set_new(o, "note", table_json(r->note)) == 0);
    }
    return o;
}

static json_t *answer_json(const struct transfer_list *list, const struct result *results,
                           size_t counts[VERDICTS])
{
    json_t *rows = json_array();
    json_t *document;

    for (size_t i = 0; i < list->count; i++) {
        CHECK(results[i].verdict != NOT_SENT);
        counts[results[i].verdict]++;
        CHECK(json_array_append_new(rows, result_json(&list->items[i], &results[i])) == 0);
    }
    document = json_pack("{s:i,s:o,s:I,s:I,s:I,s:I,s:I}", "v", 1, "results", rows, "accepted",
                         (json_int_t)counts[ACCEPTED], "folded", (json_int_t)counts[FOLDED], "rejected",
                         (json_int_t)counts[REJECTED], "unavailable", (json_int_t)counts[UNAVAILABLE],
                         "unknown", (json_int_t)counts[UNKNOWN]);
    CHECK(document != NULL);
    return document;
}

/* --- Reasons, each once --------------------------------------------------------------- */

/* What is said of one transfer: why it was not taken, or a note. first: the line of
 * the first of which the same is said. */
struct refusal {
    const char *label;
    struct span text;
    size_t line;
    size_t first;
};

static int by_reason(const void *a, const void *b)
{
    const struct refusal *x = a;
    const struct refusal *y = b;
    int order = strcmp(x->label, y->label);

    order = order != 0 ? order : span_cmp(x->text, y->text);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int by_first(const void *a, const void *b)
{
    const struct refusal *x = a;
    const struct refusal *y = b;
    int order = (x->first > y->first) - (x->first < y->first);
    return order != 0 ? order : by_reason(a, b);
}

static bool same_reason(const struct refusal *x, const struct refusal *y)
{
    return strcmp(x->label, y->label) == 0 && span_eq(x->text, y->text);
}

/* "FILE:LINE: rejected: REASON (2 more: lines 5, 7)"; count of them, all of one reason. */
static void refusals_line(const char *path, const struct refusal *all, size_t count, struct bytes *out)
{
    table_clean(span_str(path), out);
    bytes_printf(out, ":%zu: %s: ", all[0].line, all[0].label);
    table_clean(all[0].text, out);
    for (size_t i = 1; i < count && i <= LINES_SHOWN; i++) {
        if (i == 1) {
            bytes_printf(out, " (%zu more: line%s", count - 1, count == 2 ? "" : "s");
        }
        bytes_printf(out, "%s %zu", i == 1 ? "" : ",", all[i].line);
    }
    bytes_printf(out, "%s%s\n", count - 1 > LINES_SHOWN ? ", ..." : "", count > 1 ? ")" : "");
}

static void refusals_text(const char *path, struct refusal *all, size_t count, struct bytes *out)
{
    size_t n;

    if (count == 0) {
        return;
    }
    qsort(all, count, sizeof *all, by_reason);
    for (size_t i = 0; i < count; i++) {
        all[i].first = i > 0 && same_reason(&all[i - 1], &all[i]) ? all[i - 1].first : all[i].line;
    }
    qsort(all, count, sizeof *all, by_first);
    for (size_t i = 0; i < count; i += n) {
        n = 1;
        while (i + n < count && same_reason(&all[i], &all[i + n])) {
            n++;
        }
        refusals_line(path, &all[i], n, out);
    }
}

static void show_refusals(const char *path, const struct transfer_list *list, const struct result *results)
{
    struct refusal *all = mem_alloc((2 * list->count + 1) * sizeof *all);
    struct bytes out = BYTES_NONE;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct result *r = &results[i];
        const char *label =
            r->state != SUBMIT_STATE_NONE ? submit_state_name(r->state) : verdict_names[r->verdict];
        if (r->reason.n > 0) {
            all[count++] = (struct refusal){label, r->reason, list->items[i].line, 0};
        }
        if (r->note.n > 0) {
            all[count++] = (struct refusal){"note", r->note, list->items[i].line, 0};
        }
    }
    refusals_text(path, all, count, &out);
    cli_write(span_bytes(&out));
    bytes_release(&out);
    mem_free(all);
}

/* Somebody submitted what was cancelled, or what is in a file that was abandoned. */
static bool has_unpaid(const struct transfer_list *list, const struct result *results)
{
    for (size_t i = 0; i < list->count; i++) {
        if (results[i].state != SUBMIT_STATE_NONE) {
            return true;
        }
    }
    return false;
}

enum cli_exit submit_answer(const struct cli *c, const char *path, const struct transfer_list *list,
                            const struct result *results)
{
    size_t counts[VERDICTS] = {0};
    json_t *document = answer_json(list, results, counts);

    cli_show(c, document);
    json_decref(document);
    if (c->args.output == OUTPUT_TEXT) {
        show_refusals(path, list, results);
        (void)printf("%zu accepted, %zu folded, %zu rejected\n", counts[ACCEPTED], counts[FOLDED],
                     counts[REJECTED]);
    }
    if (counts[UNKNOWN] > 0) {
        return cli_fail(
            c, CLI_UNKNOWN,
            "%zu may or may not have been accepted: submit the same again, what was accepted folds",
            counts[UNKNOWN] + counts[UNAVAILABLE]);
    }
    if (counts[UNAVAILABLE] > 0) {
        return cli_fail(c, CLI_UNREACHED,
                        "%zu were not accepted, because no leader could take them: submit them again",
                        counts[UNAVAILABLE]);
    }
    return counts[REJECTED] > 0 || has_unpaid(list, results) ? CLI_FAILED : CLI_DONE;
}
