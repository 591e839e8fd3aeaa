#include "shard/state/effect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"

CHECK_STATIC(EVENT_TEXT_SIZE_MAX > REASON_SIZE_MAX, "an event can quote a reason");
CHECK_STATIC(EVENT_SUBJECT_SIZE_MAX >= FILE_NAME_SIZE_MAX, "a file is a subject");

enum sg_err apply_refuse(struct apply *a, enum sg_err err, const char *fmt, ...)
{
    char why[EVENT_TEXT_SIZE_MAX];
    va_list args;
    CHECK(err != SG_OK);
    CHECK(!a->has_effect);
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    a->result.err = err;
    a->result.reason = apply_text(a, span_str(why), sizeof(why));
    return SG_OK;
}

enum sg_err apply_same(struct apply *a, const char *fmt, ...)
{
    char text[EVENT_TEXT_SIZE_MAX];
    va_list args;
    CHECK(!a->has_effect);
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    a->result.reason = apply_text(a, span_str(text), sizeof(text));
    return SG_OK;
}

/* Rows of level 1 hold the sentence. */
static void fill_text(struct apply *a, struct event_row *event)
{
    struct bytes sentence = BYTES_NONE;
    event_sentence(event, &sentence);
    event->text = apply_text(a, span_bytes(&sentence), EVENT_TEXT_SIZE_MAX);
    event->fields = NULL;
    event->fields_count = 0;
    bytes_release(&sentence);
}

enum sg_err apply_event(struct apply *a, const char *kind, struct span subject,
                        const struct event_field *fields, size_t fields_count)
{
    struct event_field kept[EVENT_FIELDS_MAX];
    CHECK(fields_count <= EVENT_FIELDS_MAX);
    struct event_row event = {
        .cursor = a->counters.next_event,
        .index = a->index,
        .time_ms = FAULT_BUG("apply-reads-clock") ? FAULT_CLOCK_NS() : a->command->time_ms,
        .kind = span_str(kind),
        .subject = apply_text(a, subject, EVENT_SUBJECT_SIZE_MAX),
        .fields = kept,
    };
    for (size_t i = 0; i < fields_count; i++) {
        kept[event.fields_count] = fields[i];
        kept[event.fields_count++].text = apply_text(a, fields[i].text, REASON_SIZE_MAX);
    }
    if (a->command->level < LEVEL_EVENT_FIELDS) {
        fill_text(a, &event);
    }
    struct state_key key = key_number(TABLE_EVENTS, event.cursor);
    a->counters.next_event++;
    a->has_effect = true;
    bytes_clear(&a->scratch);
    event_row_encode(&event, &a->scratch);
    return rows_put(a->rows, key_span(&key), span_bytes(&a->scratch));
}

struct span apply_text(struct apply *a, struct span text, size_t size_max)
{
    size_t n = text.n < size_max ? text.n : size_max;
    if (n == 0) {
        return SPAN_NONE;
    }
    uint8_t *p = arena_room(a->arena, n);
    for (size_t i = 0; i < n; i++) {
        bool printable = text.p[i] >= 0x20 && text.p[i] < 0x7f;
        p[i] = printable ? text.p[i] : '?';
    }
    return span_of(p, n);
}

const char *apply_window_text(struct apply *a, const struct window_id *id)
{
    char day[DAY_TEXT_SIZE];
    return arena_printf(a->arena, "%s/%s", day_text(id->day, day), id->name);
}

const char *apply_cents_text(struct apply *a, struct cents n)
{
    return arena_printf(a->arena, "%lld.%02lld", (long long)(n.n / 100), (long long)(n.n % 100));
}
