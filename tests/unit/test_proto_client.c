#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/level.h"
#include "proto/client.h"
#include "proto/base/mem.h"
#include "tests/support/test_mutate.h"

#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static struct span addenda[] = {TEXT("RMR*IV*0007**12500.00\\")};

/* The second is what no shard would take: it must arrive all the same, so that
 * it can be refused by itself. */
static struct transfer transfers[] = {
    {.id = TEXT("pay-1"),
     .routing_number = {231380104},
     .originator = TEXT("acme"),
     .sec = SEC_CCD,
     .entry_description = TEXT("INVOICE 7"),
     .side = SIDE_DEBIT,
     .account_type = ACCOUNT_SAVINGS,
     .rdfi = {322271627},
     .account = TEXT("900012345"),
     .amount = {1250000},
     .name = TEXT("TOOLWORKS INC"),
     .effective_date = {20780},
     .addenda = addenda,
     .addenda_count = 1},
    {.amount = {-5},
     .effective_date = {INT32_MIN},
     .payment_type = '\xe9',
     .account = TEXT("far too long for an account")},
};

static struct request_arg args[] = {{TEXT("window"), TEXT("SD1")}, {TEXT("reason"), TEXT("")}};

static struct request submit_request(void)
{
    return (struct request){
        .kind = REQUEST_SUBMIT,
        .routing_number = {231380104},
        .timeout_ms = 5000,
        .args = args,
        .args_count = 2,
        .transfers = transfers,
        .transfers_count = 2,
    };
}

static void assert_span_equal(struct span a, struct span b)
{
    assert_true(span_eq(a, b));
}

/* Transfers field by field are test_proto_transfer's; here equal encodings do. */
static void assert_transfer_equal(const struct transfer *a, const struct transfer *b)
{
    struct bytes x = BYTES_NONE;
    struct bytes y = BYTES_NONE;
    transfer_encode(a, &x);
    transfer_encode(b, &y);
    assert_span_equal(span_bytes(&x), span_bytes(&y));
    bytes_release(&x);
    bytes_release(&y);
}

static void assert_request_equal(const struct request *a, const struct request *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->routing_number.n, b->routing_number.n);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->args_count, b->args_count);
    for (size_t i = 0; i < a->args_count; i++) {
        assert_span_equal(a->args[i].name, b->args[i].name);
        assert_span_equal(a->args[i].value, b->args[i].value);
    }
    assert_int_equal(a->transfers_count, b->transfers_count);
    for (size_t i = 0; i < a->transfers_count; i++) {
        assert_transfer_equal(&a->transfers[i], &b->transfers[i]);
    }
}

static void test_request_round_trip(void **state)
{
    (void)state;
    for (unsigned kind = REQUEST_NONE + 1; kind < REQUEST_KINDS; kind++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct request r = submit_request();
        struct request decoded;
        const char *why = "";
        if (kind != REQUEST_SUBMIT) {
            r.kind = (enum request_kind)kind;
            r.transfers_count = 0;
        }
        request_encode(&r, &encoded);
        assert_int_equal(request_decode(span_bytes(&encoded), &a, &decoded, &why), SG_OK);
        assert_request_equal(&r, &decoded);
        assert_span_equal(request_arg(&decoded, "window"), span_str("SD1"));
        assert_span_equal(request_arg(&decoded, "reason"), SPAN_NONE);
        assert_span_equal(request_arg(&decoded, "absent"), SPAN_NONE);
        bytes_release(&encoded);
        arena_release(&a);
    }
}

/* Judged one by one later: the whole request must not fail for one of them. */
static void test_bad_transfers_arrive_as_they_are(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct request r = submit_request();
    struct request decoded;
    const char *why = "";
    char fault[160];
    request_encode(&r, &encoded);
    assert_int_equal(request_decode(span_bytes(&encoded), &a, &decoded, &why), SG_OK);
    assert_int_equal(transfer_check(LEVEL_MAX, &decoded.transfers[0], fault, sizeof(fault)), SG_OK);
    assert_int_equal(transfer_check(LEVEL_MAX, &decoded.transfers[1], fault, sizeof(fault)), SG_INVALID);
    assert_true(decoded.transfers[1].amount.n == -5);
    assert_true(day_is_none(decoded.transfers[1].effective_date));
    bytes_release(&encoded);
    arena_release(&a);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_string_equal(request_kind_name(REQUEST_SUBMIT), "transfers submit");
    assert_string_equal(request_kind_name(REQUEST_KINDS), "");
    assert_string_equal(outcome_name(OUTCOME_ACCEPTED), "accepted");
    assert_string_equal(outcome_name(OUTCOME_FOLDED), "folded");
    assert_string_equal(outcome_name(OUTCOME_REJECTED), "rejected");
    assert_string_equal(outcome_name(OUTCOMES), "");
}

#define CHANGE(name, code)              \
    static void name(struct request *r) \
    {                                   \
        code;                           \
    }

CHANGE(no_kind, (r->kind = REQUEST_NONE, r->transfers_count = 0))
CHANGE(foreign_kind, (r->kind = REQUEST_KINDS, r->transfers_count = 0))
CHANGE(ten_digits, r->routing_number.n = 1000000000)
CHANGE(foreign_sec, r->transfers[0].sec = SECS)
CHANGE(impossible_day, r->transfers[0].effective_date.n = -1)
CHANGE(nameless_arg, r->args[0].name = SPAN_NONE)

static void test_request_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        void (*change)(struct request *r);
        const char *fault; /* In the sentence. */
    } rows[] = {
        {"no kind", no_kind, "kind that this node does not know"},
        {"a kind of a later version", foreign_kind, "kind that this node does not know"},
        {"a routing number of ten digits", ten_digits, "more than nine digits"},
        {"a sec of a later version", foreign_sec, "a transfer of the request has"},
        {"a day that cannot be expressed", impossible_day, "a transfer of the request has"},
        {"an argument without a name", nameless_arg, "an argument of the request"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct transfer own_transfers[] = {transfers[0], transfers[1]};
        struct request_arg own_args[] = {args[0], args[1]};
        struct request r = submit_request();
        struct request decoded;
        const char *why = "";
        r.transfers = own_transfers;
        r.args = own_args;
        rows[i].change(&r);
        request_encode(&r, &encoded);
        enum sg_err err = request_decode(span_bytes(&encoded), &a, &decoded, &why);
        if (err != SG_INVALID || strstr(why, rows[i].fault) == NULL) {
            fail_msg("%s: %s, '%s'", rows[i].why, sg_err_name(err), why);
        }
        bytes_release(&encoded);
        arena_release(&a);
    }
}

static enum sg_err decode_request(const struct bytes *encoded, const char **why)
{
    struct arena a = ARENA_INIT;
    struct request decoded;
    enum sg_err err = request_decode(span_bytes(encoded), &a, &decoded, why);
    arena_release(&a);
    return err;
}

static void test_request_limits(void **state)
{
    (void)state;
    struct bytes encoded = BYTES_NONE;
    const char *why = "";
    struct request r = submit_request();
    r.transfers = mem_zalloc(REQUEST_TRANSFERS_MAX + 1, sizeof(*r.transfers));
    for (size_t i = 0; i <= REQUEST_TRANSFERS_MAX; i++) {
        r.transfers[i] = transfers[0];
    }
    r.transfers_count = REQUEST_TRANSFERS_MAX;
    request_encode(&r, &encoded);
    assert_int_equal(decode_request(&encoded, &why), SG_OK);

    r.transfers_count++;
    bytes_clear(&encoded);
    request_encode(&r, &encoded);
    assert_int_equal(decode_request(&encoded, &why), SG_TOOBIG);
    assert_non_null(strstr(why, "too many transfers"));

    memset(bytes_extend(&encoded, REQUEST_SIZE_MAX_BYTES), 0, REQUEST_SIZE_MAX_BYTES);
    assert_int_equal(decode_request(&encoded, &why), SG_TOOBIG);
    assert_non_null(strstr(why, "size limit"));
    bytes_release(&encoded);
    mem_free(r.transfers);
}

static void test_request_versions(void **state)
{
    (void)state;
    struct bytes encoded = BYTES_NONE;
    const char *why = "";
    struct request r = submit_request();
    request_encode(&r, &encoded);
    encoded.p[1] = CLIENT_VERSION + 1;
    assert_int_equal(decode_request(&encoded, &why), SG_INVALID);
    assert_non_null(strstr(why, "version"));
    encoded.p[1] = CLIENT_VERSION;
    bytes_append(&encoded, "\xf8\x01\x01", 3);
    assert_int_equal(decode_request(&encoded, &why), SG_INVALID);
    assert_non_null(strstr(why, "field"));
    bytes_set(&encoded, span_str("\xff\xff"));
    assert_int_equal(decode_request(&encoded, &why), SG_INVALID);
    assert_non_null(strstr(why, "not readable"));
    bytes_release(&encoded);
}

static struct submit_result results[] = {
    {TEXT("pay-1"), {231380104}, OUTCOME_ACCEPTED, 17, TEXT("")},
    {TEXT("pay-2"), {231380104}, OUTCOME_FOLDED, UINT64_MAX, TEXT("")},
    {TEXT(""), {0}, OUTCOME_REJECTED, 0, TEXT("id is missing")},
};

static struct reply good_reply(void)
{
    return (struct reply){
        .err = SG_NOTLEADER,
        .text = TEXT("n1 does not lead this shard"),
        .leader = TEXT("n2"),
        .json = TEXT("{\"v\":1}"),
        .data = TEXT("101 \0\xff"),
        .results = results,
        .results_count = sizeof(results) / sizeof(results[0]),
    };
}

static void assert_reply_equal(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->err, b->err);
    assert_span_equal(a->text, b->text);
    assert_span_equal(a->leader, b->leader);
    assert_span_equal(a->json, b->json);
    assert_span_equal(a->data, b->data);
    assert_int_equal(a->results_count, b->results_count);
    for (size_t i = 0; i < a->results_count; i++) {
        assert_span_equal(a->results[i].id, b->results[i].id);
        assert_int_equal(a->results[i].shard.n, b->results[i].shard.n);
        assert_int_equal(a->results[i].outcome, b->results[i].outcome);
        assert_true(a->results[i].index == b->results[i].index);
        assert_span_equal(a->results[i].reason, b->results[i].reason);
    }
}

static void test_reply_round_trip(void **state)
{
    (void)state;
    for (unsigned err = SG_OK; err < SG_ERRS; err++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct reply r = good_reply();
        struct reply decoded;
        r.err = (enum sg_err)err;
        reply_encode(&r, &encoded);
        assert_int_equal(reply_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
        assert_reply_equal(&r, &decoded);
        bytes_release(&encoded);
        arena_release(&a);
    }
}

static void test_reply_refused(void **state)
{
    (void)state;
    static const enum outcome bad[] = {OUTCOME_NONE, OUTCOMES};
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct reply decoded;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct submit_result result = results[0];
        struct reply r = good_reply();
        result.outcome = bad[i];
        r.results = &result;
        r.results_count = 1;
        bytes_clear(&encoded);
        reply_encode(&r, &encoded);
        assert_int_equal(reply_decode(span_bytes(&encoded), &a, &decoded), SG_INVALID);
    }
    bytes_set(&encoded, span_str("\x08\x01\x12\x05otter")); /* An error nobody knows. */
    assert_int_equal(reply_decode(span_bytes(&encoded), &a, &decoded), SG_INVALID);
    bytes_set(&encoded, span_str("\x08\x02"));
    assert_int_equal(reply_decode(span_bytes(&encoded), &a, &decoded), SG_INVALID);
    bytes_set(&encoded, span_str("\x08\x01\xf8\x01\x01")); /* Unlike a request: read past it. */
    assert_int_equal(reply_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    bytes_release(&encoded);
    arena_release(&a);
}

static void decode_damaged_request(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct request r;
    const char *why = NULL;
    unsigned *accepted = arg;
    if (request_decode(data, &a, &r, &why) == SG_OK) {
        struct bytes encoded = BYTES_NONE;
        struct request again;
        char fault[160];
        request_encode(&r, &encoded);
        assert_int_equal(request_decode(span_bytes(&encoded), &a, &again, &why), SG_OK);
        assert_request_equal(&r, &again);
        for (size_t i = 0; i < r.transfers_count; i++) {
            enum sg_err err = transfer_check(LEVEL_MAX, &r.transfers[i], fault, sizeof(fault));
            assert_true(err == SG_OK || err == SG_INVALID);
        }
        bytes_release(&encoded);
        ++*accepted;
    } else {
        assert_non_null(why);
    }
    arena_release(&a);
}

static void decode_damaged_reply(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct reply r;
    unsigned *accepted = arg;
    if (reply_decode(data, &a, &r) == SG_OK) {
        struct bytes encoded = BYTES_NONE;
        struct reply again;
        reply_encode(&r, &encoded);
        assert_int_equal(reply_decode(span_bytes(&encoded), &a, &again), SG_OK);
        assert_reply_equal(&r, &again);
        bytes_release(&encoded);
        ++*accepted;
    }
    arena_release(&a);
}

static void test_damaged_encodings(void **state)
{
    (void)state;
    struct bytes encoded = BYTES_NONE;
    struct request request = submit_request();
    struct reply reply = good_reply();
    unsigned accepted = 0;
    request_encode(&request, &encoded);
    test_mutate(span_bytes(&encoded), decode_damaged_request, &accepted, 30000, 31);
    assert_true(accepted > 0);
    accepted = 0;
    bytes_clear(&encoded);
    reply_encode(&reply, &encoded);
    test_mutate(span_bytes(&encoded), decode_damaged_reply, &accepted, 30000, 37);
    assert_true(accepted > 0);
    bytes_release(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_round_trip),
        cmocka_unit_test(test_bad_transfers_arrive_as_they_are),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_request_refused),
        cmocka_unit_test(test_request_limits),
        cmocka_unit_test(test_request_versions),
        cmocka_unit_test(test_reply_round_trip),
        cmocka_unit_test(test_reply_refused),
        cmocka_unit_test(test_damaged_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
