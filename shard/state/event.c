#include "shard/state/event.h"

#include <string.h>

/* {name} is a text, {name#} a number, {name$} cents; [name?...] stands when the field is there
 * and neither empty nor zero. */
static const struct {
    const char *kind;
    const char *sentence;
} sentences[] = {
    {"transfer.accepted", "{count#} transfers accepted: debit {debit$}, credit {credit$}"},
    {"transfer.cancelled", "cancelled before its window closed[reason?: {reason}]"},
    {"settings.changed", "settings version {version#}"},
    {"level.changed", "level {level#}"},
    {"window.closed",
     "closed[manual? by hand][late? late][hold?, its files on hold,] with {pending#} transfers "
     "pending[reason?: {reason}]"},
    {"window.missed", "nobody could close it in time: [to_next?its transfers go into the next window]"
                      "[closed_late?it is closed late][held?its files are held]"},
    {"window.released", "its files go to the bank[reason?: {reason}]"},
    {"window.sealed", "{entries#} entries in {files#} files: debit {debit$}, credit {credit$}"},
    {"file.sealed",
     "file {file#} of window {window} by {by}: {entries#} entries, debit {debit$}, credit {credit$}"},
    {"file.same_day_late",
     "{entries#} entries are too late to go the same day: the file was sealed after the last "
     "same-day deadline of {day}, they are dated the next banking day"},
    {"file.claimed", "attempt {attempt#} by {by}"},
    {"file.staged", "attempt {attempt#} by {by}"},
    {"file.uploaded", "attempt {attempt#} by {by}[as_said?; as the operator said]"
                      "[overruled?; the evidence overrules the operator, who said abandoned]"
                      "[cancel_late?; the cancel came too late]"},
    {"file.abandoned",
     "not delivered, its {entries#} transfers are cancelled[reason?: {reason}]"
     "[taken_back?; its staged copy was taken back][staging_empty?; nothing is left in staging to "
     "tell]"},
    {"file.resolved",
     "an operator found it at the bank[reason?: {reason}]"
     "[taken_back?; its staged copy was taken back][staging_empty?; nothing is left in staging to "
     "tell]"},
    {"file.attempt_abandoned", "attempt {attempt#} was taken back, the file goes out with a new one"},
    {"file.hold", "an operator must decide: {reason}"},
    {"file.verified", "[uploaded?the upload stood its test, the traces of it are removed]"
                      "[abandoned?the traces of what was not delivered are removed]"},
    {"file.cancel_wanted", "staged already: taking it back[reason?: {reason}]"},
    {"file.resolving", "as {as}: its staged copy is taken back first[reason?: {reason}]"},
    {"alert", "{reason}"},
};

static const struct event_field *field_of(const struct event_row *e, const char *name, size_t size)
{
    for (size_t i = 0; i < e->fields_count; i++) {
        if (span_eq(e->fields[i].name, span_of(name, size))) {
            return &e->fields[i];
        }
    }
    return NULL;
}

static void put_field(const struct event_row *e, const char *name, size_t size, struct bytes *out)
{
    char form = size > 0 ? name[size - 1] : '\0';
    bool is_number = form == '#' || form == '$';
    const struct event_field *f = field_of(e, name, is_number ? size - 1 : size);
    uint64_t number = f != NULL ? f->number : 0;
    if (form == '#') {
        bytes_printf(out, "%llu", (unsigned long long)number);
    } else if (form == '$') {
        bytes_printf(out, "%llu.%02llu", (unsigned long long)(number / 100),
                     (unsigned long long)(number % 100));
    } else if (f != NULL) {
        bytes_append_span(out, f->text);
    }
}

/* s to end, in which no group stands inside another. */
static void put_sentence(const struct event_row *e, const char *s, const char *end, struct bytes *out)
{
    while (s < end) {
        if (*s == '{') {
            const char *close = strchr(s, '}');
            put_field(e, s + 1, (size_t)(close - s - 1), out);
            s = close + 1;
        } else if (*s == '[') {
            const char *mark = strchr(s, '?');
            const char *close = strchr(s, ']');
            const struct event_field *f = field_of(e, s + 1, (size_t)(mark - s - 1));
            if (f != NULL && (f->number != 0 || f->text.n > 0)) {
                put_sentence(e, mark + 1, close, out);
            }
            s = close + 1;
        } else {
            bytes_append(out, s++, 1);
        }
    }
}

static void put_fields(const struct event_row *e, struct bytes *out)
{
    for (size_t i = 0; i < e->fields_count; i++) {
        const struct event_field *f = &e->fields[i];
        bytes_append(out, " ", i > 0 ? 1 : 0);
        bytes_append_span(out, f->name);
        bytes_append(out, "=", 1);
        if (f->text.n > 0) {
            bytes_append_span(out, f->text);
        } else {
            bytes_printf(out, "%llu", (unsigned long long)f->number);
        }
    }
}

void event_sentence(const struct event_row *e, struct bytes *out)
{
    if (e->text.n > 0 || e->fields_count == 0) {
        bytes_append_span(out, e->text);
        return;
    }
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        if (span_is(e->kind, sentences[i].kind)) {
            const char *s = sentences[i].sentence;
            put_sentence(e, s, s + strlen(s), out);
            return;
        }
    }
    put_fields(e, out);
}
