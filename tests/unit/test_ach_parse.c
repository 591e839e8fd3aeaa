#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/parse.h"
#include "tests/support/test_mutate.h"

/* What a bank might send back: CRLF, short lines, no filler, no line end at the
 * end, an addenda trace that is not the entry's. */
static const char returned[] =
    "101 122105278 0910000192611251000A094101ORIGIN BANK            DEST BANK NA\r\n"
    "5200NORTHWIND LLC                       1987654321PPDPAYROLL         2611243301091000010000001\r\n"
    "6211221052784410023          0000152075EMP0001        MARIA LOPEZ             1091000010000077\r\n"
    "799R03122105270000001      02100002NO SUCH ACCOUNT                             091000010000078\r\n"
    "820000000200122105270000000000000000001520751987654321                         091000010000001\r\n"
    "5220NORTHWIND LLC                       1987654321CORPAYROLL         2611243301091000010000002\r\n"
    "621122105278770091           0000000000EMP0002        KEN ITO                 1091000010000079\r\n"
    "798C01122105270000002      0114015377-0092                                     091000010000079\r\n"
    "822000000200122105270000000000000000000000001987654321                         091000010000002\r\n"
    "9000002000001000000040024421054000000000000000000152075";

static struct span golden(char *buffer, size_t size)
{
    FILE *file = fopen(SHARDGATE_TEST_DIR "/golden/nacha_example.ach", "rb");
    assert_non_null(file);
    size_t n = fread(buffer, 1, size, file);
    (void)fclose(file);
    return span_of(buffer, n);
}

static enum sg_err parse(struct span file, struct arena *a, struct ach_parsed *out, char why[200])
{
    why[0] = '\0';
    enum sg_err err = ach_parse(file, a, out, why, 200);
    assert_int_equal(err == SG_OK, why[0] == '\0');
    return err;
}

#define BATCH_HEADER \
    "5200                                                                          1091000010000001\n"
#define IAT_HEADER \
    "5200                                              IAT                         1091000010000001\n"

#define assert_span(span, text) assert_true(span_is((span), (text)))

static void test_golden(void **state)
{
    (void)state;
    char buffer[4096];
    char why[200];
    struct arena a = ARENA_INIT;
    struct ach_parsed f;
    assert_int_equal(parse(golden(buffer, sizeof buffer), &a, &f, why), SG_OK);
    assert_span(f.destination, "091000019");
    assert_span(f.origin, "122105278");
    assert_span(f.date, "261123");
    assert_span(f.time, "1305");
    assert_int_equal(f.modifier, 'A');
    assert_span(f.destination_name, "DEST BANK NA");
    assert_int_equal(f.batches_count, 3);
    assert_int_equal(f.control_batches, 3);
    assert_int_equal(f.control_blocks, 2);
    assert_int_equal(f.control_count, 5);
    assert_int_equal(f.control_hash, 37567319);
    assert_int_equal(f.control_debit.n, 2599);
    assert_int_equal(f.control_credit.n, 1501975);

    const struct ach_parsed_batch *b = &f.batches[1];
    assert_int_equal(b->service_class, 220);
    assert_span(b->company_name, "NORTHWIND LLC");
    assert_span(b->sec, "CCD");
    assert_span(b->description, "INVOICE 7");
    assert_span(b->effective, "261124");
    assert_span(b->settlement, "");
    assert_int_equal(b->status, '1');
    assert_int_equal(b->odfi, 12210527);
    assert_int_equal(b->number, 2);
    assert_int_equal(b->entries_count, 1);
    assert_int_equal(b->control_credit.n, 1250000);

    const struct ach_parsed_entry *e = &b->entries[0];
    assert_int_equal(e->line, 7);
    assert_int_equal(e->code, 22);
    assert_int_equal(e->rdfi, 322271627);
    assert_span(e->account, "900012345");
    assert_int_equal(e->amount.n, 1250000);
    assert_span(e->individual_id, "INV7");
    assert_span(e->name, "TOOLWORKS INC");
    assert_true(e->has_addenda);
    assert_true(e->trace == 122105270000003);
    assert_int_equal(e->addenda_count, 1);
    assert_int_equal(e->addenda[0].type, 5);
    assert_span(e->addenda[0].text, "RMR*IV*0007**12500.00\\");
    assert_int_equal(e->addenda[0].sequence, 1);
    assert_int_equal(e->addenda[0].trace, 3);
    assert_span(f.batches[2].entries[0].discretionary, "S");
    arena_release(&a);
}

static void test_return_and_change(void **state)
{
    (void)state;
    char why[200];
    struct arena a = ARENA_INIT;
    struct ach_parsed f;
    assert_int_equal(parse(span_str(returned), &a, &f, why), SG_OK);
    assert_int_equal(f.batches_count, 2);
    const struct ach_parsed_entry *e = &f.batches[0].entries[0];
    assert_span(f.batches[0].settlement, "330");
    assert_int_equal(e->code, 21);
    assert_int_equal(e->addenda_count, 1);
    assert_int_equal(e->addenda[0].type, 99);
    assert_span(e->addenda[0].reason, "R03");
    assert_true(e->addenda[0].original_trace == 122105270000001);
    assert_int_equal(e->addenda[0].original_rdfi, 2100002);
    assert_span(e->addenda[0].death, "");
    assert_span(e->addenda[0].text, "NO SUCH ACCOUNT");
    assert_true(e->addenda[0].trace == 91000010000078); /* Not the entry's. */
    assert_true(e->trace == 91000010000077);

    e = &f.batches[1].entries[0];
    assert_span(f.batches[1].sec, "COR");
    assert_int_equal(e->amount.n, 0);
    assert_int_equal(e->addenda[0].type, 98);
    assert_span(e->addenda[0].reason, "C01");
    assert_int_equal(e->addenda[0].original_rdfi, 1140153);
    assert_span(e->addenda[0].text, "77-0092");
    arena_release(&a);
}

static void test_slips_and_faults(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *file;
        const char *why; /* NULL: accepted. */
    } rows[] = {
        {"empty", "", "line 1"},
        {"not an ACH file", "hello\n", "line 1"},
        {"header alone", "101 \n", "line 2"},
        {"header and control", "101 \n9000000\n", NULL},
        {"blank lines at the end", "101 \n9000000\n\n  \n", NULL},
        {"some filler", "101 \n9000000\n99999\n", NULL},
        {"something behind", "101 \n9000000\n5200\n", "line 3"},
        {"a second header", "101 \n101 \n", "line 2"},
        {"a blank line in between", "101 \n\n9000000\n", "line 2"},
        {"a line with 95 blanks",
         "101                                                                           "
         "                 \n9000000\n",
         "line 1, column 95: more than 94"},
        {"a line with 95 characters",
         "101                                                                        "
         "                   x\n9000000\n",
         "line 1, column 95: more than 94"},
        {"nines where the file control should be",
         "101 \n99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
         "99999\n",
         "line 2, column 1: filler"},
        {"short nines", "101 \n99\n9000000\n", "line 2, column 1: filler"},
        {"filler that is too long",
         "101 \n9000000\n9999999999999999999999999999999999999999999999999999999999999999999999999999"
         "9999999999999999999\n",
         "line 3, column 95"},
        {"an addenda type has its column", "101 \n" BATCH_HEADER "710\n", "line 3, column 2"},
        {"a number has its column", "101 \n9ABC\n", "line 2, column 2"},
        {"a tab", "101\t\n9000000\n", "line 1, column 4: a control"},
        {"an entry outside of a batch", "101 \n622\n", "line 2"},
        {"an addenda outside of a batch", "101 \n705\n", "line 2"},
        {"an addenda without an entry", "101 \n" BATCH_HEADER "705\n", "line 3"},
        {"an addenda type not known", "101 \n" BATCH_HEADER "710\n", "line 3"},
        {"a batch control outside of a batch", "101 \n8200\n", "line 2"},
        {"the file ends within a batch", "101 \n" BATCH_HEADER "9000\n", "line 3"},
        {"a batch within a batch", "101 \n" BATCH_HEADER "5200\n", "line 3"},
        {"an IAT batch", "101 \n" IAT_HEADER "", "IAT"},
        {"a number of letters", "101 \n9ABC\n", "FC_BATCHES"},
        {"a number that is half blank", "101 \n9 0001\n", "FC_BATCHES"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[200];
        struct arena a = ARENA_INIT;
        struct ach_parsed f;
        char file[400];
        /* A file control is mandatory in all its numbers: make it whole. */
        (void)snprintf(file, sizeof file, "%s", rows[i].file);
        char *control = strstr(file, "9000000\n");
        if (control != NULL) {
            char rest[100];
            (void)snprintf(rest, sizeof rest, "%s", control + 7);
            (void)snprintf(control, sizeof file - (size_t)(control - file), "9%054d%s", 0, rest);
        }
        enum sg_err err = parse(span_str(file), &a, &f, why);
        if (err != (rows[i].why == NULL ? SG_OK : SG_INVALID) ||
            (rows[i].why != NULL && strstr(why, rows[i].why) == NULL)) {
            fail_msg("%s: %s", rows[i].reason, why);
        }
        arena_release(&a);
    }
}

/* Accepted means usable: walk over everything. */
static void decode(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct ach_parsed f;
    size_t *accepted = arg;
    char why[200];
    if (parse(data, &a, &f, why) == SG_OK) {
        for (size_t i = 0; i < f.batches_count; i++) {
            for (size_t j = 0; j < f.batches[i].entries_count; j++) {
                const struct ach_parsed_entry *e = &f.batches[i].entries[j];
                assert_true(e->account.n <= ACCOUNT_SIZE_MAX);
                assert_in_range(e->amount.n, 0, AMOUNT_MAX_CENTS);
                for (size_t k = 0; k < e->addenda_count; k++) {
                    assert_true(e->addenda[k].text.n <= ADDENDA_TEXT_SIZE);
                }
            }
        }
        (*accepted)++;
    }
    arena_release(&a);
}

static void test_damaged_files(void **state)
{
    (void)state;
    char buffer[4096];
    size_t accepted = 0;
    test_mutate(golden(buffer, sizeof buffer), decode, &accepted, 3000, 3);
    test_mutate(span_str(returned), decode, &accepted, 3000, 4);
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_return_and_change),
        cmocka_unit_test(test_slips_and_faults),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
