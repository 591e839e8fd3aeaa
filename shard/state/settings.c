#include <stdio.h>

#include "shard/ach/validate.h"
#include "shard/state/families.h"

#define WHY_SIZE 256

/* Can files be built by these settings, and are they this shard's? */
static bool is_fit(struct apply *a, struct settings *s, char *why, size_t why_size)
{
    s->level = a->command->level;
    if (s->version == 0 || s->shard.routing_number.n != a->rows->group) {
        (void)snprintf(why, why_size, "settings of another routing number or without a version");
        return false;
    }
    return ach_settings_check(s, why, why_size) == SG_OK;
}

static enum sg_err store_settings(struct apply *a, uint64_t version)
{
    char aba[ABA_TEXT_SIZE];
    struct state_key key = key_number(TABLE_SETTINGS, version);
    enum sg_err err = rows_put(a->rows, key_span(&key), a->command->settings.encoded);
    if (err != SG_OK) {
        return err;
    }
    a->counters.settings_version = version;
    a->counters.settings_ms = a->command->level >= LEVEL_SETTINGS_TIME ? a->command->time_ms : 0;
    return apply_event(a, "settings.changed", span_str(aba_text((struct aba){(uint32_t)a->rows->group}, aba)),
                       EVENT_FIELDS(event_number("version", version)));
}

enum sg_err apply_settings(struct apply *a)
{
    char why[WHY_SIZE] = "not an encoding of settings";
    struct settings s;
    uint64_t current = a->counters.settings_version;
    if (a->command->settings.encoded.n > SETTINGS_SIZE_MAX_BYTES) {
        return apply_refuse(a, SG_TOOBIG, "settings over %u bytes", SETTINGS_SIZE_MAX_BYTES);
    }
    enum sg_err err = settings_decode(a->command->settings.encoded, a->arena, &s);
    if (err == SG_UNSUPPORTED) {
        (void)snprintf(why, sizeof(why), "the settings in log entry %llu", (unsigned long long)a->index);
        return state_newer(a->rows, why, 0, SPAN_NONE);
    }
    if (err != SG_OK || !is_fit(a, &s, why, sizeof(why))) {
        return apply_refuse(a, SG_INVALID, "settings refused: %s", why);
    }
    if (s.version < current) {
        return apply_refuse(a, SG_CONFLICT, "settings version %llu is older than version %llu in use",
                            (unsigned long long)s.version, (unsigned long long)current);
    }
    if (s.version == current) {
        return apply_same(a, "settings version %llu is in use", (unsigned long long)current);
    }
    return store_settings(a, s.version);
}
