/* Windows against their cut-offs: none is forgotten, none is late without cause (I-16). */
#include <inttypes.h>
#include <string.h>

#include "shard/ach/window.h"
#include "shard/state/state.h"
#include "tests/sim/sim.h"

struct cutoffs {
    struct sim *sim;
    unsigned shard;
    struct rows *rows;
    const struct settings *settings; /* In force at the end. */
    const struct zone *zone;
};

/* The policy of a shard never changes (config.c), nor does the time of a window but the last. */
static bool is_fixed(const struct cutoffs *c, size_t window)
{
    return window + 1 < c->settings->shard.windows_count;
}

static void late_check(const struct cutoffs *c, const struct window_row *row, size_t window,
                       int64_t scheduled_ms)
{
    const struct shard_settings *s = &c->settings->shard;
    int64_t late_ms = row->closed_ms - scheduled_ms;
    bool in_time = row->closed_ms < window_late_until_ms(s, c->zone, row->id.day, window);
    bool was_missed = row->late || row->hold || row->state == WINDOW_MISSED;
    enum missed_policy policy = row->hold                                           ? MISSED_HOLD
                                : row->late                                         ? MISSED_UPLOAD_LATE_UNTIL
                                : s->missed == MISSED_UPLOAD_LATE_UNTIL && !in_time ? s->missed
                                                                                    : MISSED_NEXT_WINDOW;

    if (late_ms < 0 || was_missed != (late_ms >= WINDOW_GRACE_MS)) {
        sim_fail(c->sim, "I-16", "window %s of shard %u was treated as %s %" PRId64 " ms after its time",
                 row->id.name, c->shard, was_missed ? "missed" : "closed in time", late_ms);
    }
    if (was_missed && (policy != s->missed || (row->late && !row->hold && !in_time))) {
        sim_fail(c->sim, "I-16", "window %s of shard %u was missed, and its policy is another", row->id.name,
                 c->shard);
    }
    c->sim->stats.missed += was_missed;
}

/* Whether it has its row, which must be as the policy says. */
static void window_settle(const struct cutoffs *c, size_t window, struct day day, int64_t close_ms)
{
    struct window_row row;
    struct window_id id = {.day = day};
    (void)span_cstr(c->settings->shard.windows[window].name, id.name, sizeof id.name);
    enum sg_err err = state_window(c->rows, &id, &row);
    if (err == SG_NOTFOUND) {
        sim_fail(c->sim, "I-16", "window %s of shard %u should have closed at %" PRId64 " ms and never was",
                 id.name, c->shard, close_ms);
    }
    if (err == SG_OK && !row.manual && (is_fixed(c, window) || row.scheduled_ms == close_ms)) {
        late_check(c, &row, window, close_ms);
    }
}

/* When the shard began, and when its settings came into force. */
static bool times_read(const struct cutoffs *c, int64_t *began_ms, int64_t *settings_ms)
{
    uint64_t after = 0;
    size_t count = 1;
    enum sg_err err = SG_OK;
    *began_ms = *settings_ms = 0;
    while (err == SG_OK && count > 0) {
        struct arena a = ARENA_INIT;
        struct event_row *events;
        err = state_events(c->rows, after, 500, &a, &events, &count);
        for (size_t i = 0; err == SG_OK && i < count; i++) {
            after = events[i].cursor;
            *began_ms = *began_ms == 0 ? events[i].time_ms : *began_ms;
            *settings_ms = span_is(events[i].kind, "settings.changed") ? events[i].time_ms : *settings_ms;
        }
        arena_release(&a);
    }
    return err == SG_OK && *settings_ms != 0;
}

void cutoffs_settle(struct sim *s, unsigned shard, struct rows *rows)
{
    struct arena a = ARENA_INIT;
    struct settings settings;
    struct cutoffs c = {.sim = s, .shard = shard, .rows = rows, .settings = &settings};
    int64_t now_ms = sim_wall_begin_ms(s) + (int64_t)(s->now_us / 1000) - WINDOW_GRACE_MS;
    int64_t began_ms;
    int64_t settings_ms;

    if (state_settings(rows, 0, &a, &settings) == SG_OK && times_read(&c, &began_ms, &settings_ms)) {
        c.zone = host_zone(NULL, settings.shard.zone);
        struct day last = zone_local(c.zone, now_ms).day;
        for (size_t i = 0; i < settings.shard.windows_count; i++) {
            /* A clock that was behind may have told of newer settings. */
            int64_t since_ms = is_fixed(&c, i) || settings_ms < began_ms ? began_ms : settings_ms;
            for (struct day day = zone_local(c.zone, since_ms).day; day.n <= last.n; day.n++) {
                int64_t close_ms = window_close_ms(&settings.shard, c.zone, day, i);
                if (window_is_day(&settings, day) && close_ms > since_ms && close_ms <= now_ms) {
                    window_settle(&c, i, day, close_ms);
                }
            }
        }
    }
    arena_release(&a);
}
