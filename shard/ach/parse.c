#include "shard/ach/parse.h"

#include <stdio.h>
#include <string.h>

/* Reading one file, either counting what is in it or filling the tree. */
struct parser {
    struct arena *arena;
    struct ach_parsed *out;
    struct ach_parsed_batch *batch;   /* NULL between batches. */
    struct ach_parsed_entry *entry;   /* The last of the batch, or NULL. */
    struct ach_parsed_entry *entries; /* Of all batches, one after the other. */
    struct ach_parsed_addenda *addenda;
    size_t entries_count, addenda_count;
    struct ach_record record;
    char *why;
    size_t why_size;
};

static enum sg_err fail(struct parser *p, const char *text)
{
    (void)snprintf(p->why, p->why_size, "line %zu, column 1: %s", p->record.line, text);
    return SG_INVALID;
}

/* A field of digits. Blanks alone count as zero: banks leave optional numbers out. */
static enum sg_err take_number(struct parser *p, enum ach_field_id id, uint64_t *out)
{
    const struct ach_field *field = &ach_fields[id];
    const uint8_t *text = p->record.text + field->start - 1;
    uint64_t n = 0;
    size_t blanks = 0;
    for (size_t i = 0; i < field->size; i++) {
        blanks += text[i] == ' ' ? 1 : 0;
        n = n * 10 + (uint64_t)(text[i] == ' ' ? 0 : text[i] - '0');
        if (text[i] != ' ' && (text[i] < '0' || text[i] > '9')) {
            blanks = field->size + 1;
            break;
        }
    }
    bool may_be_blank = field->need != ACH_MANDATORY;
    if (blanks != 0 && !(may_be_blank && blanks == field->size)) {
        (void)snprintf(p->why, p->why_size, "line %zu, column %d: %s has something else than digits",
                       p->record.line, field->start, field->name);
        return SG_INVALID;
    }
    *out = n;
    return SG_OK;
}

/* Numbers into fields of their own widths; one failed read spoils all. */
struct number_target {
    enum ach_field_id id;
    uint64_t *out;
};

static enum sg_err take_numbers(struct parser *p, const struct number_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum sg_err err = take_number(p, targets[i].id, targets[i].out);
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

/* A copy of the field without the blanks at its end. */
static struct span take_text(struct parser *p, enum ach_field_id id)
{
    const struct ach_field *field = &ach_fields[id];
    const uint8_t *text = p->record.text + field->start - 1;
    size_t n = field->size;
    while (n > 0 && text[n - 1] == ' ') {
        n--;
    }
    return arena_dup(p->arena, span_of(text, n));
}

static struct span without_leading_blanks(struct span s)
{
    while (s.n > 0 && s.p[0] == ' ') {
        s = span_of(s.p + 1, s.n - 1);
    }
    return s;
}

static enum sg_err take_file_header(struct parser *p)
{
    struct ach_parsed *out = p->out;
    out->destination = without_leading_blanks(take_text(p, ACH_FH_DESTINATION));
    out->origin = without_leading_blanks(take_text(p, ACH_FH_ORIGIN));
    out->date = take_text(p, ACH_FH_DATE);
    out->time = take_text(p, ACH_FH_TIME);
    out->modifier = (char)p->record.text[FH_MODIFIER_AT];
    out->destination_name = take_text(p, ACH_FH_DESTINATION_NAME);
    out->origin_name = take_text(p, ACH_FH_ORIGIN_NAME);
    out->reference = take_text(p, ACH_FH_REFERENCE);
    return SG_OK;
}

/* These have layouts of their own; reading them with ours would be a guess. */
static bool has_other_layout(const uint8_t *text)
{
    return memcmp(text + BH_SEC_AT, "IAT", BH_SEC_SIZE) == 0 ||
           memcmp(text + BH_SEC_AT, "ADV", BH_SEC_SIZE) == 0;
}

static enum sg_err take_batch_header(struct parser *p)
{
    uint64_t service = 0;
    uint64_t odfi = 0;
    uint64_t number = 0;
    const struct number_target numbers[] = {
        {ACH_BH_SERVICE_CLASS, &service}, {ACH_BH_ODFI, &odfi}, {ACH_BH_NUMBER, &number}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    if (err != SG_OK) {
        return err;
    }
    if (has_other_layout(p->record.text)) {
        return fail(p, "IAT and ADV batches are not supported");
    }
    p->batch = &p->out->batches[p->out->batches_count++];
    p->entry = NULL;
    *p->batch = (struct ach_parsed_batch){
        .service_class = (unsigned)service,
        .company_name = take_text(p, ACH_BH_COMPANY_NAME),
        .discretionary = take_text(p, ACH_BH_DISCRETIONARY),
        .company_id = take_text(p, ACH_BH_COMPANY_ID),
        .sec = take_text(p, ACH_BH_SEC),
        .description = take_text(p, ACH_BH_DESCRIPTION),
        .descriptive_date = take_text(p, ACH_BH_DESCRIPTIVE_DATE),
        .effective = take_text(p, ACH_BH_EFFECTIVE),
        .settlement = take_text(p, ACH_BH_SETTLEMENT),
        .status = (char)p->record.text[BH_STATUS_AT],
        .odfi = (uint32_t)odfi,
        .number = (uint32_t)number,
        .entries = p->entries + p->entries_count,
    };
    return SG_OK;
}

static enum sg_err take_entry(struct parser *p)
{
    uint64_t code = 0;
    uint64_t rdfi = 0;
    uint64_t check = 0;
    uint64_t amount = 0;
    uint64_t addenda = 0;
    uint64_t trace = 0;
    const struct number_target numbers[] = {{ACH_ED_CODE, &code},       {ACH_ED_RDFI, &rdfi},
                                            {ACH_ED_CHECK, &check},     {ACH_ED_AMOUNT, &amount},
                                            {ACH_ED_ADDENDA, &addenda}, {ACH_ED_TRACE, &trace}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    if (err != SG_OK) {
        return err;
    }
    p->entry = &p->entries[p->entries_count++];
    p->batch->entries_count++;
    *p->entry = (struct ach_parsed_entry){
        .line = p->record.line,
        .code = (unsigned)code,
        .rdfi = (uint32_t)(rdfi * 10 + check),
        .account = take_text(p, ACH_ED_ACCOUNT),
        .amount = {(int64_t)amount},
        .individual_id = take_text(p, ACH_ED_INDIVIDUAL_ID),
        .name = take_text(p, p->record.kind == ACH_ENTRY_CTX ? ACH_CX_NAME : ACH_ED_NAME),
        .discretionary = take_text(p, ACH_ED_DISCRETIONARY),
        .has_addenda = addenda != 0,
        .trace = trace,
        .addenda = p->addenda + p->addenda_count,
    };
    return SG_OK;
}

static enum sg_err take_addenda_05(struct parser *p, struct ach_parsed_addenda *out)
{
    uint64_t sequence = 0;
    const struct number_target numbers[] = {{ACH_AD_SEQUENCE, &sequence}, {ACH_AD_ENTRY, &out->trace}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    out->type = 5;
    out->text = take_text(p, ACH_AD_TEXT);
    out->sequence = (unsigned)sequence;
    return err;
}

/* Types 98 and 99 have the original trace, the original RDFI and their own
 * trace at the same places. */
static enum sg_err take_addenda_9x(struct parser *p, struct ach_parsed_addenda *out)
{
    uint64_t rdfi = 0;
    bool is_return = p->record.kind == ACH_ADDENDA_99;
    const struct number_target numbers[] = {{ACH_AR_ORIGINAL_TRACE, &out->original_trace},
                                            {ACH_AR_ORIGINAL_RDFI, &rdfi},
                                            {ACH_AR_TRACE, &out->trace}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    out->type = is_return ? 99 : 98;
    out->reason = take_text(p, ACH_AR_REASON);
    out->original_rdfi = (uint32_t)rdfi;
    out->death = is_return ? take_text(p, ACH_AR_DEATH) : SPAN_NONE;
    out->text = take_text(p, is_return ? ACH_AR_INFORMATION : ACH_AN_CORRECTED);
    return err;
}

static enum sg_err take_addenda(struct parser *p)
{
    if (p->entry == NULL) {
        return fail(p, "an addenda record does not follow an entry");
    }
    struct ach_parsed_addenda *out = &p->addenda[p->addenda_count++];
    *out = (struct ach_parsed_addenda){0};
    p->entry->addenda_count++;
    return p->record.kind == ACH_ADDENDA_05 ? take_addenda_05(p, out) : take_addenda_9x(p, out);
}

static enum sg_err take_batch_control(struct parser *p)
{
    uint64_t count = 0;
    uint64_t debit = 0;
    uint64_t credit = 0;
    struct ach_parsed_batch *b = p->batch;
    const struct number_target numbers[] = {{ACH_BC_COUNT, &count},
                                            {ACH_BC_HASH, &b->control_hash},
                                            {ACH_BC_DEBIT, &debit},
                                            {ACH_BC_CREDIT, &credit}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    b->control_count = (uint32_t)count;
    b->control_debit.n = (int64_t)debit;
    b->control_credit.n = (int64_t)credit;
    p->batch = NULL;
    return err;
}

static enum sg_err take_file_control(struct parser *p)
{
    uint64_t batches = 0;
    uint64_t blocks = 0;
    uint64_t count = 0;
    uint64_t debit = 0;
    uint64_t credit = 0;
    struct ach_parsed *out = p->out;
    const struct number_target numbers[] = {{ACH_FC_BATCHES, &batches}, {ACH_FC_BLOCKS, &blocks},
                                            {ACH_FC_COUNT, &count},     {ACH_FC_HASH, &out->control_hash},
                                            {ACH_FC_DEBIT, &debit},     {ACH_FC_CREDIT, &credit}};
    enum sg_err err = take_numbers(p, numbers, sizeof numbers / sizeof *numbers);
    out->control_batches = (uint32_t)batches;
    out->control_blocks = (uint32_t)blocks;
    out->control_count = (uint32_t)count;
    out->control_debit.n = (int64_t)debit;
    out->control_credit.n = (int64_t)credit;
    return err;
}

static enum sg_err take_record(struct parser *p)
{
    bool in_batch = p->batch != NULL;
    switch (p->record.kind) {
    case ACH_FILE_HEADER: /* The reader lets only the first record be one. */
        return take_file_header(p);
    case ACH_BATCH_HEADER:
        return in_batch ? fail(p, "a batch begins within a batch") : take_batch_header(p);
    case ACH_ENTRY:
    case ACH_ENTRY_CTX:
        return in_batch ? take_entry(p) : fail(p, "an entry stands outside of a batch");
    case ACH_ADDENDA_05:
    case ACH_ADDENDA_98:
    case ACH_ADDENDA_99:
        return in_batch ? take_addenda(p) : fail(p, "an addenda record stands outside of a batch");
    case ACH_BATCH_CONTROL:
        return in_batch ? take_batch_control(p) : fail(p, "a batch control without its batch");
    case ACH_FILE_CONTROL:
        return in_batch ? fail(p, "the file ends within a batch") : take_file_control(p);
    case ACH_RECORD_KINDS:
        break;
    }
    return fail(p, "an unknown record");
}

/* How many batches, entries and addenda there are at most: records by the first
 * character of their lines. */
static void count_records(struct span file, size_t counts[256])
{
    bool at_begin = true;
    for (size_t i = 0; i < file.n; i++) {
        if (at_begin) {
            counts[file.p[i]]++;
        }
        at_begin = file.p[i] == '\n';
    }
}

enum sg_err ach_parse(struct span file, struct arena *a, struct ach_parsed *out, char *why, size_t why_size)
{
    struct parser p = {.arena = a, .out = out, .why = why, .why_size = why_size};
    struct ach_reader reader;
    size_t counts[256] = {0};
    *out = (struct ach_parsed){0};
    count_records(file, counts);
    out->batches = arena_array(a, counts['5'] + 1, sizeof *out->batches);
    p.entries = arena_array(a, counts['6'] + 1, sizeof *p.entries);
    p.addenda = arena_array(a, counts['7'] + 1, sizeof *p.addenda);
    ach_reader_init(&reader, file);
    for (;;) {
        enum sg_err err = ach_reader_next(&reader, &p.record, why, why_size);
        if (err == SG_NOTFOUND) {
            return SG_OK;
        }
        if (err == SG_OK) {
            err = take_record(&p);
        }
        if (err != SG_OK) {
            return err;
        }
    }
}
