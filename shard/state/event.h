/* Events: what happened, as kind and fields, and the sentence that people read.
 *
 * From level LEVEL_EVENT_FIELDS on a row holds the fields, and the sentence is made when it
 * is shown; so the words may change and the rows don't. Rows of level 1 hold the sentence. */
#ifndef SHARD_STATE_EVENT_H
#define SHARD_STATE_EVENT_H

#include "proto/rows.h"

/* A text is printed as it is, a number in digits or, by the kind's sentence, as cents. */
static inline struct event_field event_span(const char *name, struct span text)
{
    return (struct event_field){.name = span_str(name), .text = text};
}
static inline struct event_field event_text(const char *name, const char *text)
{
    return event_span(name, span_str(text));
}
static inline struct event_field event_number(const char *name, uint64_t number)
{
    return (struct event_field){.name = span_str(name), .number = number};
}
static inline struct event_field event_cents(const char *name, struct cents n)
{
    return event_number(name, (uint64_t)n.n);
}

/* Both arguments of a list of fields. */
#define EVENT_FIELDS(...)                      \
    (const struct event_field[]){__VA_ARGS__}, \
        sizeof((const struct event_field[]){__VA_ARGS__}) / sizeof(struct event_field)

/* The event as a sentence: the row's own, or made of its fields. Of a kind that this program
 * does not know: its fields. Appends. */
void event_sentence(const struct event_row *e, struct bytes *out);

#endif
