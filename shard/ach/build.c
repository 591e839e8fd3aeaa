#include "shard/ach/build.h"

#include <stdlib.h>

#include "proto/level.h"
#include "shard/ach/order.h"
#include "shard/ach/put.h"
#include "shard/ach/records.h"
#include "shard/ach/validate.h"

#define HASH_MODULUS 10000000000u /* Ten digits (docs/ach.md). */
#define SERVICE_CREDITS 220
#define SERVICE_DEBITS 225
#define STATUS_ODFI 1 /* Originator status: a bank under the rules. */

/* A file being written. */
struct writer {
    const struct settings *settings;
    uint8_t *p; /* Where the next record goes. */
    bool is_crlf;
    bool is_upper; /* Names and descriptions are put in upper case. */
    char odfi[9];
    uint32_t sequence; /* Of the next trace number. */
    struct ach_totals *totals;
};

/* The batch being written. */
struct batch {
    const struct originator_settings *originator;
    enum side side;
    uint32_t number;
    uint32_t count; /* Entries and addenda. */
    uint64_t hash;
    int64_t cents;
};

/* A blank record of this type, with its line end; moves on behind it. */
static uint8_t *record_begin(struct writer *w, char type)
{
    uint8_t *record = w->p;
    memset(record, ' ', ACH_RECORD_SIZE);
    record[0] = (uint8_t)type;
    w->p += ACH_RECORD_SIZE;
    if (w->is_crlf) {
        *w->p++ = '\r';
    }
    *w->p++ = '\n';
    w->totals->lines++;
    return record;
}

static void put_day(uint8_t *p, struct day day)
{
    struct civil c = day_civil(day);
    put_digits(p, 2, (uint64_t)c.year % 100);
    put_digits(p + 2, 2, (uint64_t)c.month);
    put_digits(p + 4, 2, (uint64_t)c.day);
}

/* A name or a description. All other texts are other people's signs (accounts,
 * identifications, remittance data), which are matched byte by byte. */
static void put_name_text(const struct writer *w, uint8_t *p, size_t size, struct span s)
{
    put_text(p, size, s);
    if (w->is_upper) {
        put_upper(p, s.n);
    }
}
#define PUT_NAME(w, record, field, s) put_name_text((w), (record) + field##_AT, field##_SIZE, (s))

static void write_file_header(struct writer *w, const struct ach_file_header *header)
{
    const struct shard_settings *s = &w->settings->shard;
    uint8_t *record = record_begin(w, '1');
    PUT_DIGITS(record, FH_PRIORITY, 1);
    put_digits(record + FH_DESTINATION_AT + 1, FH_DESTINATION_SIZE - 1, s->routing_number.n);
    /* A routing number stands behind a blank; an assigned id takes all ten. */
    PUT_TEXT(record + (s->origin.n < FH_ORIGIN_SIZE ? 1 : 0), FH_ORIGIN, s->origin);
    put_day(record + FH_DATE_AT, header->creation_day);
    put_digits(record + FH_TIME_AT, 2, (uint64_t)header->creation_minute / 60);
    put_digits(record + FH_TIME_AT + 2, 2, (uint64_t)header->creation_minute % 60);
    record[FH_MODIFIER_AT] = (uint8_t)header->modifier;
    PUT_DIGITS(record, FH_RECORD_SIZE, ACH_RECORD_SIZE);
    PUT_DIGITS(record, FH_BLOCKING, ACH_BLOCKING_FACTOR);
    PUT_DIGITS(record, FH_FORMAT, 1);
    PUT_NAME(w, record, FH_DESTINATION_NAME, s->destination_name);
    PUT_NAME(w, record, FH_ORIGIN_NAME, s->origin_name);
}

static unsigned service_class(const struct batch *b)
{
    return b->side == SIDE_CREDIT ? SERVICE_CREDITS : SERVICE_DEBITS;
}

static void write_batch_header(struct writer *w, const struct batch *b, const struct ach_entry *first)
{
    const struct transfer *t = first->transfer;
    uint8_t *record = record_begin(w, '5');
    PUT_DIGITS(record, BH_SERVICE_CLASS, service_class(b));
    PUT_NAME(w, record, BH_COMPANY_NAME, b->originator->company_name);
    PUT_TEXT(record, BH_DISCRETIONARY, b->originator->discretionary);
    PUT_TEXT(record, BH_COMPANY_ID, b->originator->company_id);
    PUT_TEXT(record, BH_SEC, span_str(sec_name(t->sec)));
    PUT_NAME(w, record, BH_DESCRIPTION, t->entry_description);
    put_day(record + BH_EFFECTIVE_AT, first->effective);
    PUT_DIGITS(record, BH_STATUS, STATUS_ODFI);
    memcpy(record + BH_ODFI_AT, w->odfi, BH_ODFI_SIZE);
    PUT_DIGITS(record, BH_NUMBER, b->number);
}

static void write_batch_control(struct writer *w, const struct batch *b)
{
    uint8_t *record = record_begin(w, '8');
    PUT_DIGITS(record, BC_SERVICE_CLASS, service_class(b));
    PUT_DIGITS(record, BC_COUNT, b->count);
    PUT_DIGITS(record, BC_HASH, b->hash % HASH_MODULUS);
    PUT_DIGITS(record, BC_DEBIT, b->side == SIDE_DEBIT ? (uint64_t)b->cents : 0);
    PUT_DIGITS(record, BC_CREDIT, b->side == SIDE_CREDIT ? (uint64_t)b->cents : 0);
    PUT_TEXT(record, BC_COMPANY_ID, b->originator->company_id);
    memcpy(record + BC_ODFI_AT, w->odfi, BC_ODFI_SIZE);
    PUT_DIGITS(record, BC_NUMBER, b->number);
}

static void write_addenda(struct writer *w, const struct transfer *t)
{
    for (size_t i = 0; i < t->addenda_count; i++) {
        uint8_t *record = record_begin(w, '7');
        PUT_DIGITS(record, AD_CODE, 5);
        PUT_TEXT(record, AD_TEXT, t->addenda[i]);
        PUT_DIGITS(record, AD_SEQUENCE, i + 1);
        PUT_DIGITS(record, AD_ENTRY, w->sequence);
    }
    w->totals->addenda += (uint32_t)t->addenda_count;
}

static void put_receiver(const struct writer *w, uint8_t *record, const struct transfer *t)
{
    if (t->sec == SEC_CTX) {
        PUT_DIGITS(record, CX_ADDENDA_COUNT, t->addenda_count);
        PUT_NAME(w, record, CX_NAME, t->name);
    } else {
        PUT_NAME(w, record, ED_NAME, t->name);
    }
}

static void write_entry(struct writer *w, struct batch *b, const struct transfer *t)
{
    unsigned code = ach_transaction_code(t);
    CHECK(code != 0);
    CHECK(t->side == b->side);
    CHECK(t->amount.n >= 0);
    uint8_t *record = record_begin(w, '6');
    PUT_DIGITS(record, ED_CODE, code);
    put_digits(record + ED_RDFI_AT, ED_RDFI_SIZE + ED_CHECK_SIZE, t->rdfi.n);
    put_packed(record + ED_ACCOUNT_AT, ED_ACCOUNT_SIZE, t->account);
    PUT_DIGITS(record, ED_AMOUNT, (uint64_t)t->amount.n);
    PUT_TEXT(record, ED_INDIVIDUAL_ID, t->individual_id);
    put_receiver(w, record, t);
    if (t->payment_type != 0) {
        record[ED_DISCRETIONARY_AT] = (uint8_t)t->payment_type;
    } else {
        PUT_TEXT(record, ED_DISCRETIONARY, t->discretionary);
    }
    record[ED_ADDENDA_AT] = t->addenda_count > 0 ? '1' : '0';
    memcpy(record + ED_TRACE_AT, w->odfi, BH_ODFI_SIZE);
    put_digits(record + ED_TRACE_AT + BH_ODFI_SIZE, ED_TRACE_SIZE - BH_ODFI_SIZE, w->sequence);
    write_addenda(w, t);
    b->count += 1 + (uint32_t)t->addenda_count;
    b->hash += t->rdfi.n / 10;
    b->cents += t->amount.n;
    w->sequence++;
}

/* One batch: the leading entries that share the first one's. Returns how many;
 * 0 when its originator is not in the settings. */
static size_t write_batch(struct writer *w, const struct ach_entry *entries, size_t count)
{
    const struct transfer *first = entries[0].transfer;
    struct ach_totals *totals = w->totals;
    struct batch b = {
        .originator = settings_originator(w->settings, first->originator),
        .side = first->side,
        .number = ++totals->batches,
    };
    if (b.originator == NULL) {
        return 0;
    }
    write_batch_header(w, &b, &entries[0]);
    size_t n = 0;
    for (; n < count && entries[n].batch == entries[0].batch; n++) {
        CHECK_IMPLIES(n > 0, entries[n].seq > entries[n - 1].seq);
        write_entry(w, &b, entries[n].transfer);
    }
    write_batch_control(w, &b);
    totals->entries += (uint32_t)n;
    totals->hash = (totals->hash + b.hash) % HASH_MODULUS;
    totals->debit.n += b.side == SIDE_DEBIT ? b.cents : 0;
    totals->credit.n += b.side == SIDE_CREDIT ? b.cents : 0;
    return n;
}

static void write_file_control(struct writer *w)
{
    struct ach_totals *totals = w->totals;
    uint8_t *record = record_begin(w, '9');
    totals->blocks = (totals->lines + ACH_BLOCKING_FACTOR - 1) / ACH_BLOCKING_FACTOR;
    PUT_DIGITS(record, FC_BATCHES, totals->batches);
    PUT_DIGITS(record, FC_BLOCKS, totals->blocks);
    PUT_DIGITS(record, FC_COUNT, (uint64_t)totals->entries + totals->addenda);
    PUT_DIGITS(record, FC_HASH, totals->hash);
    PUT_DIGITS(record, FC_DEBIT, (uint64_t)totals->debit.n);
    PUT_DIGITS(record, FC_CREDIT, (uint64_t)totals->credit.n);
}

static void write_filler(struct writer *w)
{
    uint32_t lines = w->totals->lines;
    while (w->totals->lines < w->totals->blocks * ACH_BLOCKING_FACTOR) {
        memset(record_begin(w, '9'), '9', ACH_RECORD_SIZE);
    }
    w->totals->lines = lines;
}

static bool is_header(const struct ach_file_header *h)
{
    bool modifier = (h->modifier >= 'A' && h->modifier <= 'Z') || (h->modifier >= '0' && h->modifier <= '9');
    return modifier && h->creation_day.n >= 0 && h->creation_minute >= 0 && h->creation_minute < 1440 &&
           h->trace_start >= 1 && h->trace_start <= TRACE_SEQUENCE_MAX;
}

/* Room for everything, filler included. */
static size_t size_max(const struct ach_entry *entries, size_t count)
{
    size_t lines = 2 + ACH_BLOCKING_FACTOR;
    for (size_t i = 0; i < count; i++) {
        bool is_new_batch = i == 0 || entries[i].batch != entries[i - 1].batch;
        lines += 1 + entries[i].transfer->addenda_count + (is_new_batch ? 2 : 0);
    }
    return lines * (ACH_RECORD_SIZE + 2);
}

enum sg_err ach_build(const struct settings *s, const struct ach_file_header *header,
                      const struct ach_entry *entries, size_t count, struct bytes *out,
                      struct ach_totals *totals)
{
    struct writer w = {.settings = s,
                       .is_crlf = s->shard.line_ends == LINE_ENDS_CRLF,
                       .is_upper = s->level >= LEVEL_WRITTEN && !s->shard.keep_case,
                       .totals = totals};
    *totals = (struct ach_totals){0};
    bytes_clear(out);
    if (count == 0 || !is_header(header) || ach_settings_check(s, NULL, 0) != SG_OK) {
        return SG_INVALID;
    }
    if (ach_fit(s, entries, count, header->trace_start) != count) {
        return SG_TOOBIG;
    }
    size_t room = size_max(entries, count);
    uint8_t *begin = bytes_extend(out, room);
    w.p = begin;
    w.sequence = header->trace_start;
    ach_odfi(&s->shard, w.odfi);
    write_file_header(&w, header);
    for (size_t i = 0; i < count;) {
        CHECK_IMPLIES(i > 0, entries[i].batch > entries[i - 1].batch);
        size_t n = write_batch(&w, entries + i, count - i);
        if (n == 0) {
            bytes_clear(out);
            *totals = (struct ach_totals){0};
            return SG_INVALID;
        }
        i += n;
    }
    write_file_control(&w);
    write_filler(&w);
    CHECK((size_t)(w.p - begin) <= room);
    out->n = (size_t)(w.p - begin);
    if (s->level < LEVEL_WRITTEN) {
        put_upper(out->p, out->n);
    }
    uint64_t prefix = strtoull(w.odfi, NULL, 10) * (TRACE_SEQUENCE_MAX + 1);
    totals->trace_first = prefix + header->trace_start;
    totals->trace_last = prefix + w.sequence - 1;
    return SG_OK;
}
