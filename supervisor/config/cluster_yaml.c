#include "supervisor/config/cluster_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/catalog/catalog.h"
#include "supervisor/config/yaml_tree.h"

static const char *const endpoint_kinds[] = {"directory", "sftp", "ftp", NULL};
static const char *const confirm_words[] = {"size", "hash", "readback", "none", NULL};
static const char *const day_words[] = {"banking-days", "every-day", NULL};
static const char *const line_end_words[] = {"lf", "crlf", NULL};
static const char *const text_words[] = {"upper", "keep", NULL};
static const char *const unknown_words[] = {"refuse", "create", "park", NULL};

/* Runs read() on each named object of a section; counts and room come first. */
static size_t section_count(struct yaml_reader *r, const struct yaml_node *root, const char *key,
                            const struct yaml_node **section)
{
    *section = r->failed ? NULL : yaml_get(root, key);
    if (*section == NULL) {
        return 0;
    }
    if ((*section)->kind != YAML_MAP) {
        (void)yaml_fail(r, (*section)->line, "%s: names with their settings are expected", key);
        *section = NULL;
        return 0;
    }
    return (*section)->count;
}

static bool name_is_good(struct yaml_reader *r, const struct yaml_pair *pair, const char *what)
{
    char name[NAME_SIZE_MAX + 1];
    if (r->failed || catalog_is_name(pair->key)) {
        return !r->failed;
    }
    return yaml_fail(r, pair->line,
                     "%s %s: a name has 1 to %d of A-Z a-z 0-9 - _ . and begins with a letter or digit", what,
                     span_cstr(pair->key, name, sizeof name), NAME_SIZE_MAX);
}

/* Before the other keys are looked at: they depend on it. */
static bool read_kind(struct yaml_reader *r, const struct yaml_pair *pair, int *kind)
{
    if (pair->value->kind != YAML_MAP || yaml_get(pair->value, "kind") == NULL) {
        return yaml_fail(r, pair->line, "endpoint: the key kind is missing (kind: directory)");
    }
    if (!yaml_choice(r, pair->value, "kind", endpoint_kinds, kind)) {
        return false;
    }
    return *kind == ENDPOINT_DIRECTORY ||
           yaml_fail(r, yaml_get(pair->value, "kind")->line,
                     "kind: %s: only directory is available in this version", endpoint_kinds[*kind - 1]);
}

static bool read_endpoint(struct yaml_reader *r, const struct yaml_pair *pair, struct endpoint_settings *out)
{
    static const char *const known[] = {"kind",    "drop_dir",      "staging_dir", "rate_limit",
                                        "confirm", "verify_window", "settle",      NULL};
    int kind = 0;
    int confirm = CONFIRM_HASH;

    *out = (struct endpoint_settings){.name = pair->key,
                                      .verify_window_ms = VERIFY_WINDOW_MS,
                                      .settle_ms = 60000,
                                      .line = (uint32_t)pair->line};
    if (!name_is_good(r, pair, "endpoint") || !read_kind(r, pair, &kind) ||
        !yaml_keys(r, pair->value, "endpoint", known)) {
        return false;
    }
    (void)yaml_text(r, pair->value, "drop_dir", true, ADDRESS_SIZE_MAX, &out->drop_dir);
    (void)yaml_text(r, pair->value, "staging_dir", true, ADDRESS_SIZE_MAX, &out->staging_dir);
    (void)yaml_rate(r, pair->value, "rate_limit", &out->rate_limit_bytes);
    (void)yaml_choice(r, pair->value, "confirm", confirm_words, &confirm);
    (void)yaml_duration(r, pair->value, "verify_window", &out->verify_window_ms);
    (void)yaml_duration(r, pair->value, "settle", &out->settle_ms);
    out->kind = (enum endpoint_kind)kind;
    out->confirm = (enum confirm_kind)confirm;
    return !r->failed;
}

static bool read_originator(struct yaml_reader *r, const struct yaml_pair *pair,
                            struct originator_settings *out)
{
    static const char *const known[] = {"company_name", "company_id", "discretionary", NULL};

    *out = (struct originator_settings){.name = pair->key};
    return name_is_good(r, pair, "originator") && yaml_keys(r, pair->value, "originator", known) &&
           yaml_text(r, pair->value, "company_name", true, 16, &out->company_name) &&
           yaml_text(r, pair->value, "company_id", true, 10, &out->company_id) &&
           yaml_text(r, pair->value, "discretionary", false, 20, &out->discretionary);
}

static bool read_calendar(struct yaml_reader *r, const struct yaml_pair *pair, struct calendar_settings *out)
{
    static const char *const known[] = {"holidays", "extra", NULL};
    static const char *const holidays[] = {"federal-reserve", "none", NULL};
    struct span *days = NULL;
    size_t count = 0;
    int choice = 1;

    *out = (struct calendar_settings){.name = pair->key};
    if (!name_is_good(r, pair, "calendar") || !yaml_keys(r, pair->value, "calendar", known) ||
        !yaml_choice(r, pair->value, "holidays", holidays, &choice) ||
        !yaml_texts(r, pair->value, "extra", CALENDAR_EXTRA_MAX, 10, &days, &count)) {
        return false;
    }
    out->federal_reserve = choice == 1;
    out->extra = arena_array(r->arena, count, sizeof *out->extra);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        struct day day;
        if (day_parse(days[i], &day) != SG_OK) {
            return yaml_fail(r, yaml_get(pair->value, "extra")->line,
                             "extra: days as YYYY-MM-DD are expected");
        }
        for (; at > 0 && out->extra[at - 1].n > day.n; at--) {
            out->extra[at] = out->extra[at - 1];
        }
        if (at > 0 && out->extra[at - 1].n == day.n) {
            char text[DAY_TEXT_SIZE];
            return yaml_fail(r, yaml_get(pair->value, "extra")->line, "extra: %s is there twice",
                             day_text(day, text));
        }
        out->extra[at] = day;
        out->extra_count++;
    }
    return true;
}

/* --- Shards ----------------------------------------------------------------------------------- */

/* The names that closes by hand take (shard/duties/windows.c): a scheduled close of that
 * name would find its window closed already. Only what people bring in is judged:
 * a shard that has such a window goes on. */
static bool is_name_by_hand(struct span name)
{
    for (size_t i = 1; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9') {
            return false;
        }
    }
    return name.n >= 2 && name.p[0] == 'M';
}

static bool read_window_name(struct yaml_reader *r, const struct yaml_node *n, struct span *out)
{
    char name[NAME_SIZE_MAX + 1];
    if (!yaml_text(r, n, "name", true, 16, out)) {
        return false;
    }
    return !is_name_by_hand(*out) ||
           yaml_fail(r, yaml_get(n, "name")->line,
                     "window %s: M and a number is the name of a close by hand, which would take this one's "
                     "place: name it otherwise (SD1, ND)",
                     span_cstr(*out, name, sizeof name));
}

static bool read_window(struct yaml_reader *r, const struct yaml_node *n, struct window_settings *out)
{
    static const char *const known[] = {"name", "close_at", "upload_by", NULL};

    out->upload_by_minute = -1;
    return yaml_keys(r, n, "window", known) && read_window_name(r, n, &out->name) &&
           yaml_clock(r, n, "close_at", true, &out->close_minute) &&
           yaml_clock(r, n, "upload_by", false, &out->upload_by_minute);
}

static bool read_windows(struct yaml_reader *r, const struct yaml_node *shard, struct shard_settings *out)
{
    static const char *const known[] = {"zone", "on", "calendar", "at", NULL};
    const struct yaml_node *n = yaml_get(shard, "windows");
    const struct yaml_node *at;
    int on = 1;

    if (n == NULL) {
        return yaml_fail(r, shard->line, "shard: the key windows is missing here");
    }
    if (!yaml_keys(r, n, "windows", known) || !yaml_text(r, n, "zone", true, 63, &out->zone) ||
        !yaml_choice(r, n, "on", day_words, &on) ||
        !yaml_text(r, n, "calendar", false, NAME_SIZE_MAX, &out->calendar)) {
        return false;
    }
    out->every_day = on == 2;
    at = yaml_get(n, "at");
    if (at == NULL) {
        return true; /* Closed by hand only. */
    }
    if (at->kind != YAML_LIST || at->count > WINDOWS_MAX) {
        return yaml_fail(r, at->line, "at: a list of at most %d windows is expected", WINDOWS_MAX);
    }
    for (size_t i = 0; i < at->count; i++) {
        if (!read_window(r, at->items[i], &out->windows[out->windows_count++])) {
            return false;
        }
    }
    return true;
}

/* "upload_late_until 17:00", "next_window" or "hold". */
static bool read_missed(struct yaml_reader *r, const struct yaml_node *shard, struct shard_settings *out)
{
    static const char late[] = "upload_late_until ";
    const struct yaml_node *n = yaml_get(shard, "missed_window");
    struct span text = n == NULL ? SPAN_NONE : n->text;
    out->missed = MISSED_NEXT_WINDOW;
    if (n == NULL || span_is(text, "next_window")) {
        return true;
    }
    if (span_is(text, "hold")) {
        out->missed = MISSED_HOLD;
        return true;
    }
    if (text.n != sizeof late - 1 + 5 || memcmp(text.p, late, sizeof late - 1) != 0 ||
        !yaml_clock_text(span_of(text.p + sizeof late - 1, 5), &out->late_until_minute)) {
        return yaml_fail(r, n->line,
                         "missed_window: next_window, hold or \"upload_late_until HH:MM\" is expected");
    }
    out->missed = MISSED_UPLOAD_LATE_UNTIL;
    return true;
}

static bool read_output(struct yaml_reader *r, const struct yaml_node *shard, struct shard_settings *out)
{
    static const char *const known[] = {"line_ends", "encoding", NULL};
    static const char *const encodings[] = {"none", NULL};
    const struct yaml_node *n = yaml_get(shard, "output");
    int ends = LINE_ENDS_LF;
    int encoding = 1;

    if (n != NULL &&
        (!yaml_keys(r, n, "output", known) || !yaml_choice(r, n, "line_ends", line_end_words, &ends) ||
         !yaml_choice(r, n, "encoding", encodings, &encoding))) {
        return false;
    }
    out->line_ends = (enum line_ends)ends;
    return true;
}

static bool read_limits(struct yaml_reader *r, const struct yaml_node *shard, struct shard_settings *out)
{
    static const char *const known[] = {"max_lines", "max_file_cents", "same_day_max_cents", NULL};
    const struct yaml_node *n = yaml_get(shard, "limits");
    uint64_t lines = FILE_LINES_DEFAULT;
    uint64_t file = FILE_CENTS_MAX;
    uint64_t same_day = SAME_DAY_MAX_CENTS;

    if (n != NULL &&
        (!yaml_keys(r, n, "limits", known) || !yaml_number(r, n, "max_lines", 10, FILE_LINES_MAX, &lines) ||
         !yaml_number(r, n, "max_file_cents", 1, FILE_CENTS_MAX, &file) ||
         !yaml_number(r, n, "same_day_max_cents", 0, AMOUNT_MAX_CENTS, &same_day))) {
        return false;
    }
    out->max_lines = (uint32_t)lines;
    out->max_file_cents.n = (int64_t)file;
    out->same_day_max.n = (int64_t)same_day;
    return true;
}

/* Zero stands for "not set", and nothing goes out on the same day before 00:01. */
static bool read_same_day_deadline(struct yaml_reader *r, const struct yaml_node *shard,
                                   struct shard_settings *out)
{
    const struct yaml_node *n = yaml_get(shard, "same_day_deadline");
    if (!yaml_clock(r, shard, "same_day_deadline", false, &out->same_day_deadline_minute)) {
        return false;
    }
    return n == NULL || out->same_day_deadline_minute > 0 ||
           yaml_fail(r, n->line, "same_day_deadline: a time from 00:01 to 23:59 is expected");
}

static bool read_replicas(struct yaml_reader *r, const struct yaml_node *shard, struct shard_settings *out)
{
    struct span *names = NULL;
    if (!yaml_texts(r, shard, "replicas", REPLICAS_MAX, NAME_SIZE_MAX, &names, &out->replicas_count)) {
        return false;
    }
    for (size_t i = 0; i < out->replicas_count; i++) {
        out->replicas[i] = names[i];
    }
    return true;
}

static bool read_shard(struct yaml_reader *r, const struct yaml_pair *pair, struct shard_settings *out)
{
    static const char *const known[] = {
        "endpoint", "destination_name", "origin",  "origin_name",       "odfi",      "originators",
        "replicas", "preferred",        "windows", "missed_window",     "file_name", "output",
        "limits",   "balanced",         "text",    "same_day_deadline", NULL};
    const char *why = "";
    int letters = 1;

    *out = (struct shard_settings){.line = (uint32_t)pair->line};
    if (aba_parse(pair->key, &out->routing_number, &why) != SG_OK) {
        char text[32];
        return yaml_fail(r, pair->line, "shard %s: %s", span_cstr(pair->key, text, sizeof text), why);
    }
    if (!yaml_keys(r, pair->value, "shard", known)) {
        return false;
    }
    out->file_name = span_str("ACH-{routing_number}-{date:%Y%m%d}-{window}-{modifier}.ach");
    (void)yaml_text(r, pair->value, "endpoint", true, NAME_SIZE_MAX, &out->endpoint);
    (void)yaml_text(r, pair->value, "destination_name", true, 23, &out->destination_name);
    (void)yaml_text(r, pair->value, "origin", true, 10, &out->origin);
    (void)yaml_text(r, pair->value, "origin_name", true, 23, &out->origin_name);
    (void)yaml_text(r, pair->value, "odfi", false, 8, &out->odfi);
    (void)yaml_text(r, pair->value, "preferred", false, NAME_SIZE_MAX, &out->preferred);
    (void)yaml_text(r, pair->value, "file_name", false, FILE_NAME_SIZE_MAX, &out->file_name);
    (void)yaml_bool(r, pair->value, "balanced", &out->balanced);
    (void)yaml_choice(r, pair->value, "text", text_words, &letters);
    out->keep_case = letters == 2;
    return yaml_texts(r, pair->value, "originators", SHARD_ORIGINATORS_MAX, NAME_SIZE_MAX, &out->originators,
                      &out->originators_count) &&
           read_replicas(r, pair->value, out) && read_windows(r, pair->value, out) &&
           read_missed(r, pair->value, out) && read_output(r, pair->value, out) &&
           read_limits(r, pair->value, out) && read_same_day_deadline(r, pair->value, out);
}

static bool read_all(struct yaml_reader *r, const struct yaml_node *root, struct cluster_settings *out)
{
    static const char *const known[] = {"endpoints", "originators", "calendars", "shards", "defaults", NULL};
    static const char *const known_defaults[] = {"unknown_routing_number", "finalize_upgrade_after", NULL};
    const struct yaml_node *n;
    int unknown = 0;

    if (!yaml_keys(r, root, "cluster configuration", known)) {
        return false;
    }
    out->endpoints = arena_array(r->arena, section_count(r, root, "endpoints", &n), sizeof *out->endpoints);
    for (size_t i = 0; n != NULL && i < n->count && !r->failed; i++) {
        (void)read_endpoint(r, &n->pairs[i], &out->endpoints[out->endpoints_count++]);
    }
    out->originators =
        arena_array(r->arena, section_count(r, root, "originators", &n), sizeof *out->originators);
    for (size_t i = 0; n != NULL && i < n->count && !r->failed; i++) {
        (void)read_originator(r, &n->pairs[i], &out->originators[out->originators_count++]);
    }
    out->calendars = arena_array(r->arena, section_count(r, root, "calendars", &n), sizeof *out->calendars);
    for (size_t i = 0; n != NULL && i < n->count && !r->failed; i++) {
        (void)read_calendar(r, &n->pairs[i], &out->calendars[out->calendars_count++]);
    }
    out->shards = arena_array(r->arena, section_count(r, root, "shards", &n), sizeof *out->shards);
    for (size_t i = 0; n != NULL && i < n->count && !r->failed; i++) {
        (void)read_shard(r, &n->pairs[i], &out->shards[out->shards_count++]);
    }
    n = r->failed ? NULL : yaml_get(root, "defaults");
    if (n != NULL && yaml_keys(r, n, "defaults", known_defaults)) {
        (void)yaml_choice(r, n, "unknown_routing_number", unknown_words, &unknown);
        (void)yaml_duration(r, n, "finalize_upgrade_after", &out->finalize_after_ms);
    }
    out->unknown_routing_number = (enum unknown_policy)unknown;
    return !r->failed;
}

static int by_key_and_line(const void *a, const void *b)
{
    const struct yaml_pair *x = *(const struct yaml_pair *const *)a;
    const struct yaml_pair *y = *(const struct yaml_pair *const *)b;
    int order = span_cmp(x->key, y->key);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static bool names_once_in(struct yaml_reader *r, const struct yaml_node *section)
{
    const struct yaml_pair **sorted = arena_array(r->arena, section->count, sizeof(*sorted));

    for (size_t i = 0; i < section->count; i++) {
        sorted[i] = &section->pairs[i];
    }
    if (section->count > 0) {
        qsort(sorted, section->count, sizeof(*sorted), by_key_and_line);
    }
    for (size_t i = 1; i < section->count; i++) {
        char name[NAME_SIZE_MAX + 1];
        if (span_eq(sorted[i - 1]->key, sorted[i]->key)) {
            return yaml_fail(r, sorted[i]->line, "%s stands here for the second time (first in line %zu)",
                             span_cstr(sorted[i]->key, name, sizeof name), sorted[i - 1]->line);
        }
    }
    return true;
}

/* Names twice under one section come as a map with a key twice. */
static bool names_once(struct yaml_reader *r, const struct yaml_node *root)
{
    for (size_t s = 0; s < root->count; s++) {
        const struct yaml_node *section = root->pairs[s].value;
        if (section->kind == YAML_MAP && !names_once_in(r, section)) {
            return false;
        }
    }
    return true;
}

enum sg_err cluster_yaml_parse(struct span text, const char *source, struct arena *a,
                               struct cluster_settings *out, char *why, size_t why_size)
{
    struct yaml_reader r = {.source = source, .arena = a, .why = why, .why_size = why_size};
    const struct yaml_node *root = yaml_load(&r, text);

    *out = (struct cluster_settings){0};
    if (root == NULL || !read_all(&r, root, out) || !names_once(&r, root)) {
        return SG_INVALID;
    }
    return SG_OK;
}
