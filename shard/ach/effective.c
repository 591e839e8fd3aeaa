#include "shard/ach/effective.h"

#include "shard/ach/calendar.h"

/* Over the limit an entry is not refused: it settles the next day. */
static bool is_same_day_entry(const struct settings *s, const struct transfer *t)
{
    return t->same_day && t->amount.n <= s->shard.same_day_max.n;
}

bool effective_entry_date(const struct settings *s, const struct transfer *t, struct processing p,
                          struct effective *out)
{
    const struct calendar_settings *calendar = &s->calendar;
    bool same_day = is_same_day_entry(s, t);
    struct day wanted = day_is_none(t->effective_date) ? p.day : t->effective_date;
    struct day first = calendar_next(calendar, p.day, 1);
    struct day last = t->side == SIDE_CREDIT ? calendar_next(calendar, p.day, 2) : first;

    if (wanted.n <= p.day.n) {
        same_day = same_day && !p.same_day_over && calendar_is_banking_day(calendar, p.day);
        *out = (struct effective){.day = same_day ? p.day : first, .same_day = same_day};
        return true;
    }
    if (same_day || wanted.n > last.n) {
        return false;
    }
    /* Rolling cannot pass last, which is a banking day itself. */
    *out = (struct effective){.day = calendar_roll(calendar, wanted), .same_day = false};
    return true;
}
