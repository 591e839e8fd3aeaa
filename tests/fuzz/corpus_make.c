/* Writes the first corpus: good inputs of every kind, for the fuzzer to vary.
 *
 *   fuzz_corpus_make tests/fuzz/corpus
 *
 * YAML and JSON examples and ACH files stand there as they are. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/client.h"
#include "proto/command.h"
#include "proto/frame.h"
#include "proto/base/hash.h"
#include "proto/rows.h"
#include "tests/support/ach_sample.h"
#include "tests/support/state_rig.h"

static const char *root;

static void save(const char *target, const char *name, struct span data)
{
    char path[1024];
    FILE *f;
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    f = fopen(path, "wbe");
    if (f == NULL || fwrite(data.p, 1, data.n, f) != data.n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static struct transfer sample_transfer(void)
{
    return (struct transfer){.id = span_str("id-1"),
                             .routing_number = {231380104},
                             .originator = span_str("acme"),
                             .sec = SEC_PPD,
                             .entry_description = span_str("PAYROLL"),
                             .side = SIDE_CREDIT,
                             .account_type = ACCOUNT_CHECKING,
                             .rdfi = {121042882},
                             .account = span_str("12345"),
                             .amount = {12345},
                             .name = span_str("A NAME"),
                             .effective_date = DAY_NONE};
}

/* --- Frames --------------------------------------------------------------------------- */

static void frames(void)
{
    struct message_entry entries[] = {{3, 1, span_str("one")}, {3, 2, SPAN_NONE}};
    struct hello_member members[] = {{1, {{1}}}, {2, {{2}}}};
    const struct message messages[] = {
        {.kind = MESSAGE_APPEND_ENTRIES, .group = 231380104, .append_entries = {1, 2, 3, 4, 5, entries, 2}},
        {.kind = MESSAGE_APPEND_ENTRIES_RESULT, .group = 1, .append_entries_result = {1, 2, 3, 4, 5, 6}},
        {.kind = MESSAGE_REQUEST_VOTE, .group = 1, .request_vote = {1, 2, 3, 4, 5, true, false}},
        {.kind = MESSAGE_REQUEST_VOTE_RESULT, .group = 1, .request_vote_result = {2, 3, true, false, 4, 5}},
        {.kind = MESSAGE_TIMEOUT_NOW, .group = 1, .timeout_now = {1, 2, 3, 4}},
        {.kind = MESSAGE_SNAPSHOT_CHUNK,
         .group = 1,
         .snapshot_chunk = {1, 2, 3, 4, 5, 6, span_str("conf"), 7, 100, 9, span_str("chunk")}},
        {.kind = MESSAGE_SNAPSHOT_ACK, .group = 1, .snapshot_ack = {1, 2, 3}},
        {.kind = MESSAGE_HELLO,
         .hello = {HELLO_FORMED, true, span_str("n1"), span_str("0123456789abcdef0123456789abcdef"), members,
                   2, SPAN_NONE}},
        {.kind = MESSAGE_NODE_STATUS,
         .node_status = {.started_ms = 1795446000000,
                         .leaders = 1,
                         .replicas = 2,
                         .stopped_groups = 3,
                         .leaving = true,
                         .version = span_str("0.1.0")}},
        {.kind = MESSAGE_FORWARD, .group = 231380104, .forward = {1, 2, span_str("request")}},
        {.kind = MESSAGE_FORWARD_REPLY, .forward_reply = {1, span_str("reply")}},
        {.kind = MESSAGE_COMPARE, .group = 1, .compare = {COMPARE_QUESTION, 1, 2, 3, 4, false}},
        {.kind = MESSAGE_READ, .group = 1, .read = {1, 2, false}},
    };
    const struct frame head = {.version = FRAME_VERSION, .cluster = span_str("demo"), .from = 1, .to = 2};
    struct bytes all = BYTES_NONE;

    frame_begin(&head, &all);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct bytes one = BYTES_NONE;
        char name[16];
        frame_begin(&head, &one);
        frame_add(&messages[i], &one);
        frame_add(&messages[i], &all);
        (void)snprintf(name, sizeof name, "kind-%d", (int)messages[i].kind);
        save("frame", name, span_bytes(&one));
        bytes_release(&one);
    }
    save("frame", "all", span_bytes(&all));
    bytes_release(&all);
}

/* --- Requests ---------------------------------------------------------------------------- */

static void requests(void)
{
    struct transfer t = sample_transfer();
    struct request_arg args[] = {{span_str("id"), span_str("id-1")}, {span_str("reason"), span_str("wrong")}};
    struct request r = {
        .kind = REQUEST_SUBMIT, .routing_number = t.routing_number, .transfers = &t, .transfers_count = 1};
    struct submit_result result = {
        .id = t.id, .shard = t.routing_number, .outcome = OUTCOME_ACCEPTED, .index = 7};
    struct reply reply = {.err = SG_OK, .results = &result, .results_count = 1, .json = span_str("{}")};
    struct bytes b = BYTES_NONE;

    *bytes_extend(&b, 1) = 0;
    request_encode(&r, &b);
    save("request", "submit", span_bytes(&b));
    r = (struct request){
        .kind = REQUEST_CANCEL, .routing_number = t.routing_number, .args = args, .args_count = 2};
    b.n = 1;
    request_encode(&r, &b);
    save("request", "cancel", span_bytes(&b));
    bytes_clear(&b);
    *bytes_extend(&b, 1) = 1;
    reply_encode(&reply, &b);
    save("request", "reply", span_bytes(&b));
    bytes_release(&b);
}

/* --- Commands: a life of a file ------------------------------------------------------------- */

static void entry_add(struct bytes *list, const struct command *c)
{
    struct bytes one = BYTES_NONE;
    struct command made = *c;
    made.level = c->level != 0 ? c->level : LEVEL_MIN;
    command_encode(&made, &one);
    be16_put(bytes_extend(list, 2), (uint16_t)one.n);
    bytes_append_span(list, span_bytes(&one));
    bytes_release(&one);
}

static struct command command_of(enum command_kind kind)
{
    return (struct command){.kind = kind, .time_ms = 1772635800000, .node = span_str("n1")};
}

static void commands(void)
{
    const struct settings *s = state_rig_sample_settings(1);
    struct transfer t = sample_transfer();
    struct window_id window = {.day = day_of(2026, 3, 4), .name = "ND"};
    struct bytes list = BYTES_NONE;
    struct command c = command_of(COMMAND_SUBMIT);

    t.routing_number = s->shard.routing_number;
    t.originator = s->originators[0].name;
    c.submit.transfers = &t;
    c.submit.transfers_count = 1;
    entry_add(&list, &c);
    c = command_of(COMMAND_CLOSE);
    c.close.window = window;
    c.close.manual = true;
    c.close.processing_day = window.day;
    entry_add(&list, &c);
    c = command_of(COMMAND_CANCEL);
    c.cancel.id = t.id;
    entry_add(&list, &c);
    c = command_of(COMMAND_WINDOW_DONE);
    c.window_done.window = window;
    entry_add(&list, &c);
    for (int kind = COMMAND_CLAIM; kind < COMMAND_KINDS; kind++) {
        c = command_of((enum command_kind)kind);
        c.file.file = 1;
        c.file.attempt = kind == COMMAND_CLAIM ? 0 : 5;
        entry_add(&list, &c);
    }
    save("command", "life", span_bytes(&list));
    bytes_release(&list);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void row_save(const char *name, uint8_t which, struct bytes *b)
{
    struct bytes out = BYTES_NONE;
    *bytes_extend(&out, 1) = which;
    bytes_append_span(&out, span_bytes(b));
    save("rows", name, span_bytes(&out));
    bytes_release(&out);
    bytes_clear(b);
}

static void rows(void)
{
    struct transfer t = sample_transfer();
    struct bytes b = BYTES_NONE;
    struct bytes encoded = BYTES_NONE;
    struct fold_row fold = {.seq = 1, .index = 2};
    struct event_row event = {
        .cursor = 1, .index = 2, .time_ms = 3, .kind = span_str("file.sealed"), .text = span_str("t")};
    struct counters_row counters = {.next_seq = 2, .next_file = 1, .next_trace = 1, .next_event = 1};

    transfer_encode(&t, &encoded);
    struct transfer_row row = {.seq = 1,
                               .index = 2,
                               .accepted_ms = 3,
                               .state = TRANSFER_PENDING,
                               .effective = DAY_NONE,
                               .encoded = span_bytes(&encoded)};
    transfer_row_encode(&row, &b);
    row_save("transfer-row", 0, &b);
    fold_row_encode(&fold, &b);
    row_save("fold", 1, &b);
    counters_row_encode(&counters, &b);
    row_save("counters", 4, &b);
    event_row_encode(&event, &b);
    row_save("event", 5, &b);
    row_save("transfer", 15, &encoded);
    settings_encode(state_rig_sample_settings(1), &b);
    row_save("settings", 16, &b);
    bytes_release(&b);
    bytes_release(&encoded);
}

/* Rows behind a good applied row: sizes, key, value. */
static void snapshots(void)
{
    static const uint8_t row[] = {1, 0, 0, 0, 3, 0, 0, 0, 2, 1, 'a', 'b', 'x', 'y'};
    save("snapshot", "one-row", span_of(row, sizeof row));
    save("snapshot", "no-row", span_of(row, 1));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "fuzz_corpus_make DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    hash_init();
    frames();
    requests();
    commands();
    rows();
    snapshots();
    return 0;
}
