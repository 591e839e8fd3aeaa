#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/verify.h"
#include "tests/support/ach_sample.h"

#define LINE_SIZE (ACH_RECORD_SIZE + 1)

/* The golden example; the lines are: 1 header, 2 batch PPD, 3 4 entries, 5
 * control, 6 batch CCD, 7 entry, 8 addenda, 9 control, 10 batch WEB, 11 entry,
 * 12 control, 13 file control, 14 to 20 filler. */
static char golden[20 * LINE_SIZE + 1];

static int load(void **state)
{
    (void)state;
    FILE *file = fopen(SHARDGATE_TEST_DIR "/golden/nacha_example.ach", "rb");
    if (file == NULL) {
        return -1;
    }
    size_t n = fread(golden, 1, sizeof golden, file);
    (void)fclose(file);
    return n == sizeof golden - 1 ? 0 : -1;
}

static enum sg_err verify(const char *file, size_t size, char why[200])
{
    struct ach_totals found;
    why[0] = '\0';
    enum sg_err err = ach_verify(span_of(file, size), false, &found, why, 200);
    assert_int_equal(err == SG_OK, why[0] == '\0');
    assert_int_equal(err == SG_OK, found.entries > 0);
    return err;
}

static void put(char *file, size_t line, size_t position, const char *text)
{
    char *p = file + (line - 1) * LINE_SIZE + position - 1;
    for (size_t i = 0; text[i] != '\0'; i++) {
        p[i] = text[i];
    }
}

struct edit {
    size_t line, position;
    const char *text;
};

static const struct {
    const char *reason;
    struct edit edits[4];
    const char *why;
} rejections[] = {
    {"priority code", {{1, 2, "02"}}, "priority"},
    {"destination without its blank", {{1, 4, "0910000191"}}, "destination"},
    {"destination with a wrong check digit", {{1, 4, " 091000018"}}, "destination"},
    {"destination of zeros", {{1, 4, " 000000000"}}, "destination"},
    {"destination with a letter", {{1, 4, " 09100001A"}}, "destination"},
    {"origin of blanks", {{1, 14, "          "}}, "origin"},
    {"origin with a blank and letters", {{1, 14, " 12210527A"}}, "origin"},
    {"origin of ten zeros", {{1, 14, "0000000000"}}, NULL},
    {"origin of a blank and nine zeros", {{1, 14, " 000000000"}}, NULL},
    {"origin of ten digits", {{1, 14, "1987654321"}}, NULL},
    {"origin with letters", {{1, 14, "A12210527x"}}, NULL},
    {"creation date 31 November", {{1, 24, "261131"}}, "creation date"},
    {"creation time 24:00", {{1, 30, "2400"}}, "creation time"},
    {"creation time 23:60", {{1, 30, "2360"}}, "creation time"},
    {"modifier not A-Z 0-9", {{1, 34, "a"}}, "modifier"},
    {"modifier blank", {{1, 34, " "}}, "modifier"},
    {"record size", {{1, 35, "095"}}, "094"},
    {"blocking factor", {{1, 38, "11"}}, "094"},
    {"format code", {{1, 40, "2"}}, "094"},
    {"unknown record type", {{3, 1, "4"}}, "line 3"},
    {"no file header", {{1, 1, "5"}}, "line 1"},
    {"entry outside of a batch", {{2, 1, "6"}}, "line 2"},
    {"batch within a batch", {{3, 1, "5"}}, "line 3"},
    {"batch without entries", {{3, 1, "8"}}, "line 3"},
    {"addenda in front of any entry", {{3, 1, "7"}}, "line 3"},
    {"file control instead of batch control", {{5, 1, "9"}}, "line 5"},
    {"a character outside of ASCII", {{2, 5, "N\xD6"}}, "line 2"},
    {"a control character", {{3, 55, "\t"}}, "line 3"},
    {"a letter in a number", {{3, 39, "O"}}, "line 3"},
    {"a blank in a number", {{3, 30, " "}}, "line 3"},
    {"service class 280", {{2, 2, "280"}, {5, 2, "280"}}, "service class"},
    {"service class of the control", {{5, 2, "200"}}, "differs"},
    {"debits in 220", {{10, 2, "220"}, {12, 2, "220"}}, "220"},
    {"credits in 225", {{2, 2, "225"}, {5, 2, "225"}}, "225"},
    {"mixed is right for both sides", {{2, 2, "200"}, {5, 2, "200"}}, NULL},
    {"company name blank", {{2, 5, "                "}}, "company name"},
    {"company name zeros", {{2, 5, "0000000000000000"}}, "company name"},
    {"company id blank", {{2, 41, "          "}, {5, 45, "          "}}, "company identification"},
    {"description blank", {{2, 54, "          "}}, "description"},
    {"company id of the control", {{5, 45, "1987654320"}}, "differs"},
    {"SEC unknown", {{2, 51, "ABC"}}, "standard entry class"},
    {"SEC in small letters", {{2, 51, "ppd"}}, "standard entry class"},
    {"IAT is out of scope", {{2, 51, "IAT"}}, "standard entry class"},
    {"effective date no date", {{2, 70, "261324"}}, "effective"},
    {"effective date a Sunday", {{2, 70, "261122"}}, "weekend"},
    {"effective date a holiday", {{2, 70, "261126"}}, "holiday"},
    {"effective date the Monday after one", {{1, 24, "270701"}, {2, 70, "270705"}}, "holiday"},
    {"effective date in the past", {{2, 70, "261120"}}, "before the day"},
    {"effective date the creation date", {{2, 70, "261123"}}, NULL},
    {"description Payroll", {{2, 54, "Payroll   "}}, "upper case"},
    {"description ACCTVERIFy", {{2, 54, "ACCTVERIFy"}}, "upper case"},
    {"another description in small letters", {{2, 54, "Payrolls  "}}, NULL},
    {"settlement date on origination", {{2, 76, "328"}}, "line 2"},
    {"originator status", {{2, 79, "2"}}, "status"},
    {"ODFI of the control", {{5, 80, "12210528"}}, "differs"},
    {"ODFI differs from the traces", {{2, 80, "12210528"}, {5, 80, "12210528"}}, "trace"},
    {"batch number not the next", {{6, 88, "0000003"}, {9, 88, "0000003"}}, "batch number"},
    {"batch number of the control", {{5, 88, "0000002"}}, "differs"},
    {"transaction code unknown", {{3, 2, "20"}}, "transaction code"},
    {"transaction code of a return", {{3, 2, "21"}}, "transaction code"},
    {"a debit in a batch of credits", {{3, 2, "27"}}, "220"},
    {"a loan debited without a reversal", {{11, 2, "55"}}, "REVERSAL"},
    {"a loan debited by a reversal", {{11, 2, "55"}, {10, 54, "REVERSAL  "}}, NULL},
    {"zero-dollar code with PPD", {{3, 2, "24"}}, "zero-dollar"},
    {"zero-dollar code with an amount", {{7, 2, "24"}}, "amount"},
    {"prenote with an amount", {{3, 2, "23"}}, "amount"},
    {"live entry with amount zero",
     {{11, 30, "0000000000"}, {12, 21, "000000000000"}, {13, 32, "000000000000"}},
     "amount"},
    {"prenote with amount zero",
     {{11, 2, "28"}, {11, 30, "0000000000"}, {12, 21, "000000000000"}, {13, 32, "000000000000"}},
     NULL},
    {"RDFI check digit", {{3, 12, "2"}}, "check digit"},
    {"RDFI digits exchanged", {{3, 4, "201"}}, "check digit"},
    {"account blank", {{3, 13, "                 "}}, "account"},
    {"account not left justified", {{3, 13, " 4410023"}}, "account"},
    {"account with a blank inside", {{3, 13, "44 0023"}}, "account"},
    {"name blank", {{3, 55, "                      "}}, "name"},
    {"name zeros", {{3, 55, "00000000000           "}}, "name"},
    {"WEB without payment type", {{11, 77, "  "}}, "payment type"},
    {"WEB with another payment type", {{11, 77, "X "}}, "payment type"},
    {"TEL may be without payment type", {{10, 51, "TEL"}, {11, 77, "  "}}, NULL},
    {"TEL with another payment type", {{10, 51, "TEL"}, {11, 77, "RR"}}, "payment type"},
    {"TEL credit", {{2, 51, "TEL"}, {3, 77, "R "}}, "TEL credit"},
    {"TEL with addenda", {{6, 51, "TEL"}, {6, 54, "REVERSAL  "}}, "addenda"},
    {"indicator 0 before an addenda", {{7, 79, "0"}}, "indicator"},
    {"indicator 1 without an addenda", {{3, 79, "1"}}, "indicator"},
    {"indicator 2", {{7, 79, "2"}}, "indicator"},
    {"addenda type", {{8, 2, "99"}}, "addenda"},
    {"addenda sequence", {{8, 84, "0002"}}, "addenda sequence"},
    {"addenda of another entry", {{8, 88, "0000002"}}, "addenda"},
    {"trace prefix is not the ODFI", {{3, 80, "12210528"}}, "trace"},
    {"traces equal", {{4, 94, "1"}}, "ascend"},
    {"traces descending", {{3, 94, "5"}}, "ascend"},
    {"traces descending between batches", {{4, 94, "8"}}, "ascend"},
    {"a gap in traces is allowed", {{11, 94, "9"}}, NULL},
    {"batch count of entries", {{5, 10, "3"}}, "entry/addenda count of the batch"},
    {"batch hash", {{5, 20, "6"}}, "hash of the batch"},
    {"batch debit", {{5, 32, "1"}}, "totals of the batch"},
    {"batch credit", {{5, 44, "6"}}, "totals of the batch"},
    {"an entry's amount against its batch", {{3, 39, "6"}}, "totals of the batch"},
    {"batch out of balance, file in balance", {{3, 39, "6"}, {13, 55, "6"}}, "totals of the batch"},
    {"file count of batches", {{13, 7, "2"}}, "batch count of the file"},
    {"file count of blocks", {{13, 13, "3"}}, "block count"},
    {"file count of entries", {{13, 21, "4"}}, "entry/addenda count of the file"},
    {"file hash", {{13, 31, "0"}}, "hash of the file"},
    {"file debit", {{13, 43, "8"}}, "totals of the file"},
    {"file credit", {{13, 55, "4"}}, "totals of the file"},
    {"filler that is not nines", {{14, 50, "8"}}, "filler"},
    {"CTX layout needs its count", {{6, 51, "CTX"}}, "line 7"},
    {"CTX with the right layout", {{6, 51, "CTX"}, {7, 55, "0001TOOLWORKS INC   "}}, NULL},
    {"CTX with a wrong count", {{6, 51, "CTX"}, {7, 55, "0002TOOLWORKS INC   "}}, "number of addenda"},
    {"CTX without a name", {{6, 51, "CTX"}, {7, 55, "0001                "}}, "name"},
};

/* What the operator rejects (Nacha Operating Rules, appendix 2), one fault in each row. A
 * second or third edit repairs what else would give the fault away. */
static void test_rejections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rejections / sizeof *rejections; i++) {
        char file[sizeof golden];
        char why[200];
        memcpy(file, golden, sizeof golden);
        for (size_t j = 0; j < 4 && rejections[i].edits[j].line > 0; j++) {
            put(file, rejections[i].edits[j].line, rejections[i].edits[j].position,
                rejections[i].edits[j].text);
        }
        enum sg_err err = verify(file, sizeof file - 1, why);
        if (err != (rejections[i].why == NULL ? SG_OK : SG_INVALID) ||
            (rejections[i].why != NULL && strstr(why, rejections[i].why) == NULL)) {
            fail_msg("%s: %s", rejections[i].reason, why);
        }
    }
}

/* Any other printable character, at any place of any control, filler or line
 * end, is found. */
static void test_every_control_character(void **state)
{
    (void)state;
    static const size_t lines[] = {5, 9, 12, 13, 14, 20};
    char file[sizeof golden];
    char why[200];
    memcpy(file, golden, sizeof golden);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (size_t place = 0; place < LINE_SIZE; place++) {
            char *p = file + (lines[i] - 1) * LINE_SIZE + place;
            char saved = *p;
            for (int c = 0; c < 256; c++) {
                *p = (char)c;
                if (*p != saved && verify(file, sizeof file - 1, why) != SG_INVALID) {
                    fail_msg("line %zu place %zu: %d is not found", lines[i], place + 1, c);
                }
            }
            *p = saved;
        }
    }
    assert_int_equal(verify(file, sizeof file - 1, why), SG_OK);
}

/* In an entry, a change to what moves money is found: code, routing number,
 * amount, indicator, trace prefix. (The account has no redundancy.) */
static void test_every_money_character(void **state)
{
    (void)state;
    static const size_t lines[] = {3, 4, 7, 11};
    char file[sizeof golden];
    char why[200];
    memcpy(file, golden, sizeof golden);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (size_t place = 1; place <= 88; place++) {
            bool counts = (place >= 4 && place <= 12) || (place >= 30 && place <= 39) || place == 79 ||
                          (place >= 80 && place <= 87) || place == 1;
            char *p = file + (lines[i] - 1) * LINE_SIZE + place - 1;
            char saved = *p;
            for (int c = 0; counts && c < 256; c++) {
                *p = (char)c;
                if (*p != saved && verify(file, sizeof file - 1, why) != SG_INVALID) {
                    fail_msg("line %zu place %zu: %d is not found", lines[i], place, c);
                }
            }
            *p = saved;
        }
    }
}

static void test_bytes_of_the_file(void **state)
{
    (void)state;
    char why[200];
    char file[2 * sizeof golden];
    size_t size = sizeof golden - 1;
    assert_int_equal(verify(golden, size, why), SG_OK);
    for (size_t n = 0; n < size; n++) { /* Every truncation. */
        assert_int_equal(verify(golden, n, why), SG_INVALID);
    }
    memcpy(file, golden, size);
    memcpy(file + size, golden + size - LINE_SIZE, LINE_SIZE); /* A filler too many. */
    assert_int_equal(verify(file, size + LINE_SIZE, why), SG_INVALID);
    for (int i = 0; i < 10; i++) { /* A block too many. */
        memcpy(file + size + (size_t)i * LINE_SIZE, golden + size - LINE_SIZE, LINE_SIZE);
    }
    assert_int_equal(verify(file, size + (size_t)10 * LINE_SIZE, why), SG_INVALID);
    put(file, 13, 13, "3");
    assert_int_equal(verify(file, size + (size_t)10 * LINE_SIZE, why), SG_INVALID);
    /* A line less. */
    memmove(file, golden + LINE_SIZE, size - LINE_SIZE);
    assert_int_equal(verify(file, size - LINE_SIZE, why), SG_INVALID);
}

static void test_line_ends(void **state)
{
    (void)state;
    char file[2 * sizeof golden];
    char why[200];
    char *p = file;
    for (size_t i = 0; i < 20; i++) {
        memcpy(p, golden + i * LINE_SIZE, ACH_RECORD_SIZE);
        p += ACH_RECORD_SIZE;
        *p++ = '\r';
        *p++ = '\n';
    }
    size_t size = (size_t)(p - file);
    assert_int_equal(verify(file, size, why), SG_OK);
    file[2 * 96 + 94] = '\n'; /* Mixed. */
    assert_int_equal(verify(file, size, why), SG_INVALID);
    file[2 * 96 + 94] = '\r';
    file[size - 1] = '\r';
    assert_int_equal(verify(file, size, why), SG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rejections),
        cmocka_unit_test(test_every_control_character),
        cmocka_unit_test(test_every_money_character),
        cmocka_unit_test(test_bytes_of_the_file),
        cmocka_unit_test(test_line_ends),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
