/* How fast files are ordered, built, verified and parsed: entries per second of
 * one thread, over windows of full files. For people; no test depends on it.
 *
 *   bench_ach [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/mem.h"
#include "shard/ach/build.h"
#include "shard/ach/order.h"
#include "shard/ach/parse.h"
#include "shard/ach/verify.h"

#define TRANSFERS 9900
#define ROUNDS_DEFAULT 200
#define SPAN(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct span originator_names[] = {SPAN("northwind")};
static struct originator_settings originators[] = {
    {.name = SPAN("northwind"), .company_name = SPAN("NORTHWIND LLC"), .company_id = SPAN("1987654321")}};

static struct settings make_settings(void)
{
    return (struct settings){
        .shard = {.routing_number = {91000019},
                  .originators = originator_names,
                  .originators_count = 1,
                  .destination_name = SPAN("DEST BANK NA"),
                  .origin = SPAN("122105278"),
                  .origin_name = SPAN("ORIGIN BANK"),
                  .odfi = SPAN("12210527"),
                  .missed = MISSED_HOLD,
                  .file_name = SPAN("{date}{modifier}"),
                  .line_ends = LINE_ENDS_LF,
                  .max_lines = FILE_LINES_MAX,
                  .max_file_cents = {FILE_CENTS_MAX},
                  .same_day_max = {SAME_DAY_MAX_CENTS}},
        .originators = originators,
        .originators_count = 1,
    };
}

/* Four batches in turn; texts of their own, as after decoding. */
static void make_transfer(struct arena *a, size_t i, struct transfer *out)
{
    static const enum sec secs[] = {SEC_PPD, SEC_CCD, SEC_PPD, SEC_WEB};
    uint32_t first = 1000000 + (uint32_t)(i * 7919 % 11000000);
    *out = (struct transfer){
        .routing_number = {91000019},
        .originator = arena_dup(a, originator_names[0]),
        .sec = secs[i % 4],
        .entry_description = arena_dup(a, span_str(i % 4 == 2 ? "BONUS" : "PAYROLL")),
        .side = i % 4 == 3 ? SIDE_DEBIT : SIDE_CREDIT,
        .account_type = ACCOUNT_CHECKING,
        .rdfi = {first * 10 + aba_check_digit(first)},
        .account = span_str(arena_printf(a, "%zu", 100000000 + i * 31)),
        .amount = {(int64_t)(1 + i * 13)},
        .name = span_str(arena_printf(a, "Receiver Number %zu", i)),
        .individual_id = span_str(arena_printf(a, "EMP%07zu", i)),
        .payment_type = i % 4 == 3 ? 'S' : 0,
        .effective_date = DAY_NONE,
    };
}

struct bench {
    struct settings settings;
    struct transfer *transfers;
    struct ach_entry *entries;
    struct bytes file;
    struct ach_totals totals;
};

static void fill_entries(struct bench *b)
{
    for (size_t i = 0; i < TRANSFERS; i++) {
        b->entries[i] = (struct ach_entry){.transfer = &b->transfers[i], .seq = i + 1, .effective = {20782}};
    }
}

static void do_order(struct bench *b)
{
    fill_entries(b);
    ach_order(&b->settings, b->entries, TRANSFERS);
}

static void do_build(struct bench *b)
{
    struct ach_file_header header = {'A', {20781}, 785, 1};
    CHECK(ach_build(&b->settings, &header, b->entries, TRANSFERS, &b->file, &b->totals) == SG_OK);
}

static void do_verify(struct bench *b)
{
    struct ach_totals found;
    CHECK(ach_verify(span_bytes(&b->file), false, &found, NULL, 0) == SG_OK);
    CHECK(ach_totals_eq(&found, &b->totals));
}

static void do_parse(struct bench *b)
{
    struct arena a = ARENA_INIT;
    struct ach_parsed parsed;
    CHECK(ach_parse(span_bytes(&b->file), &a, &parsed, NULL, 0) == SG_OK);
    CHECK(parsed.batches_count == b->totals.batches);
    arena_release(&a);
}

static void do_build_and_verify(struct bench *b)
{
    do_build(b);
    do_verify(b);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct bench *b);
    } steps[] = {{"order", do_order},
                 {"build", do_build},
                 {"verify", do_verify},
                 {"build+verify", do_build_and_verify},
                 {"parse", do_parse}};
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    struct arena a = ARENA_INIT;
    struct bench b = {.settings = make_settings()};
    b.transfers = mem_zalloc(TRANSFERS, sizeof *b.transfers);
    b.entries = mem_zalloc(TRANSFERS, sizeof *b.entries);
    for (size_t i = 0; i < TRANSFERS; i++) {
        make_transfer(&a, i, &b.transfers[i]);
    }
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        double begin = seconds();
        for (long i = 0; i < rounds; i++) {
            steps[s].run(&b);
        }
        double took = seconds() - begin;
        printf("%-13s %7.2f million entries/s\n", steps[s].name, TRANSFERS * (double)rounds / took / 1e6);
    }
    bytes_release(&b.file);
    mem_free(b.transfers);
    mem_free(b.entries);
    arena_release(&a);
    return 0;
}
