#include "tests/support/ach_sample.h"

#include "proto/level.h"

#define SPAN(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static struct span originator_names[] = {SPAN("northwind"), SPAN("southwind")};
static struct originator_settings originators[] = {
    {.name = SPAN("northwind"), .company_name = SPAN("Northwind LLC"), .company_id = SPAN("1987654321")},
    {.name = SPAN("southwind"),
     .company_name = SPAN("SOUTHWIND INC"),
     .company_id = SPAN("1123456789"),
     .discretionary = SPAN("EXTRA")},
};
static struct settings settings;

struct settings *ach_sample_settings(void)
{
    settings = (struct settings){
        .level = LEVEL_MAX,
        .version = 1,
        .cluster = SPAN("demo"),
        .shard =
            {
                .routing_number = {91000019},
                .originators = originator_names,
                .originators_count = 2,
                .destination_name = SPAN("Dest Bank NA"),
                .origin = SPAN("122105278"),
                .origin_name = SPAN("Origin Bank"),
                .odfi = SPAN("12210527"),
                .zone = SPAN("America/New_York"),
                .windows = {{.name = SPAN("SD1"),
                             .close_minute = 10 * 60 + 15,
                             .upload_by_minute = 10 * 60 + 30},
                            {.name = SPAN("ND"), .close_minute = 16 * 60 + 15, .upload_by_minute = -1}},
                .windows_count = 2,
                .missed = MISSED_UPLOAD_LATE_UNTIL,
                .late_until_minute = 17 * 60,
                .file_name = SPAN("ACH-{routing_number}-{date:%Y%m%d}-{window}-{modifier}.ach"),
                .line_ends = LINE_ENDS_LF,
                .max_lines = FILE_LINES_DEFAULT,
                .max_file_cents = {FILE_CENTS_MAX},
                .same_day_max = {SAME_DAY_MAX_CENTS},
            },
        .originators = originators,
        .originators_count = 2,
        .calendar = {.name = SPAN("fed"), .federal_reserve = true},
    };
    return &settings;
}

struct transfer ach_sample_transfer(size_t i)
{
    static struct span remittance[] = {SPAN("RMR*IV*0007**12500.00\\")};
    const struct transfer transfers[ACH_SAMPLE_TRANSFERS] = {
        {
            .id = SPAN("t1"),
            .sec = SEC_PPD,
            .entry_description = SPAN("PAYROLL"),
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {21000021},
            .account = SPAN("4410023"),
            .amount = {152075},
            .name = SPAN("Maria Lopez"),
            .individual_id = SPAN("EMP0001"),
        },
        {
            .id = SPAN("t2"),
            .sec = SEC_PPD,
            .entry_description = SPAN("PAYROLL"),
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_SAVINGS,
            .rdfi = {11401533},
            .account = SPAN("77-0091"),
            .amount = {99900},
            .name = SPAN("KEN ITO"),
            .individual_id = SPAN("EMP0002"),
        },
        {
            .id = SPAN("t3"),
            .sec = SEC_CCD,
            .entry_description = SPAN("INVOICE 7"),
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {322271627},
            .account = SPAN("9000 12345"),
            .amount = {1250000},
            .name = SPAN("TOOLWORKS INC"),
            .individual_id = SPAN("INV7"),
            .addenda = remittance,
            .addenda_count = 1,
        },
        {
            .id = SPAN("t4"),
            .sec = SEC_WEB,
            .entry_description = SPAN("PURCHASE"),
            .side = SIDE_DEBIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {21000021},
            .account = SPAN("551"),
            .amount = {2599},
            .name = SPAN("PAT DOE"),
            .individual_id = SPAN("ORD55"),
            .payment_type = 'S',
        },
    };
    CHECK(i < ACH_SAMPLE_TRANSFERS);
    struct transfer t = transfers[i];
    t.routing_number = (struct aba){91000019};
    t.originator = originator_names[0];
    t.effective_date = DAY_NONE;
    return t;
}

struct ach_file_header ach_sample_header(void)
{
    return (struct ach_file_header){
        .modifier = 'A',
        .creation_day = day_of(2026, 11, 23),
        .creation_minute = 13 * 60 + 5,
        .trace_start = 1,
    };
}

void ach_sample_entries(const struct transfer *transfers, size_t count, struct ach_entry *entries)
{
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct ach_entry){
            .transfer = &transfers[i],
            .seq = i + 1,
            .effective = day_of(2026, 11, 24),
        };
    }
}
