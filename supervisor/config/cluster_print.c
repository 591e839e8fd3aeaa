/* The cluster configuration as YAML text, in the form that apply takes. */
#include "supervisor/config/cluster_yaml.h"

/* A text as a double-quoted YAML scalar: safe for whatever stands in it. */
static void quoted(struct bytes *out, struct span s)
{
    bytes_append(out, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            bytes_append(out, "\\", 1);
        }
        bytes_append(out, &s.p[i], 1);
    }
    bytes_append(out, "\"", 1);
}

static void field(struct bytes *out, const char *indent, const char *key, struct span value)
{
    if (value.n > 0) {
        bytes_printf(out, "%s%s: ", indent, key);
        quoted(out, value);
        bytes_append(out, "\n", 1);
    }
}

static void name_line(struct bytes *out, struct span name)
{
    bytes_printf(out, "  ");
    quoted(out, name);
    bytes_printf(out, ":\n");
}

static void list(struct bytes *out, const char *key, const struct span *items, size_t count)
{
    if (count == 0) {
        return;
    }
    bytes_printf(out, "    %s: [", key);
    for (size_t i = 0; i < count; i++) {
        bytes_printf(out, "%s", i == 0 ? "" : ", ");
        quoted(out, items[i]);
    }
    bytes_printf(out, "]\n");
}

static void print_endpoint(const struct endpoint_settings *e, struct bytes *out)
{
    static const char *const kinds[] = {"none", "directory", "sftp", "ftp"};
    static const char *const confirm[] = {"hash", "size", "hash", "readback", "none"};

    name_line(out, e->name);
    bytes_printf(out, "    kind: %s\n", kinds[e->kind]);
    field(out, "    ", "drop_dir", e->drop_dir);
    field(out, "    ", "staging_dir", e->staging_dir);
    if (e->rate_limit_bytes != 0) {
        bytes_printf(out, "    rate_limit: %lluB/s\n", (unsigned long long)e->rate_limit_bytes);
    }
    bytes_printf(out, "    confirm: %s\n    verify_window: %lldms\n    settle: %lldms\n", confirm[e->confirm],
                 (long long)e->verify_window_ms, (long long)e->settle_ms);
}

static void print_calendar(const struct calendar_settings *c, struct bytes *out)
{
    name_line(out, c->name);
    bytes_printf(out, "    holidays: %s\n", c->federal_reserve ? "federal-reserve" : "none");
    for (size_t i = 0; i < c->extra_count; i++) {
        char text[DAY_TEXT_SIZE];
        bytes_printf(out, "%s%s", i == 0 ? "    extra: [" : ", ", day_text(c->extra[i], text));
    }
    bytes_printf(out, "%s", c->extra_count > 0 ? "]\n" : "");
}

static void print_windows(const struct shard_settings *s, struct bytes *out)
{
    bytes_printf(out, "    windows:\n");
    field(out, "      ", "zone", s->zone);
    bytes_printf(out, "      on: %s\n", s->every_day ? "every-day" : "banking-days");
    field(out, "      ", "calendar", s->calendar);
    bytes_printf(out, "%s", s->windows_count > 0 ? "      at:\n" : "");
    for (size_t i = 0; i < s->windows_count; i++) {
        const struct window_settings *w = &s->windows[i];
        bytes_printf(out, "        - {name: ");
        quoted(out, w->name);
        bytes_printf(out, ", close_at: \"%02d:%02d\"", w->close_minute / 60, w->close_minute % 60);
        if (w->upload_by_minute >= 0) {
            bytes_printf(out, ", upload_by: \"%02d:%02d\"", w->upload_by_minute / 60,
                         w->upload_by_minute % 60);
        }
        bytes_printf(out, "}\n");
    }
}

static void print_shard(const struct shard_settings *s, struct bytes *out)
{
    char aba[ABA_TEXT_SIZE];

    name_line(out, span_str(aba_text(s->routing_number, aba)));
    field(out, "    ", "endpoint", s->endpoint);
    field(out, "    ", "destination_name", s->destination_name);
    field(out, "    ", "origin", s->origin);
    field(out, "    ", "origin_name", s->origin_name);
    field(out, "    ", "odfi", s->odfi);
    list(out, "originators", s->originators, s->originators_count);
    list(out, "replicas", s->replicas, s->replicas_count);
    field(out, "    ", "preferred", s->preferred);
    print_windows(s, out);
    if (s->missed == MISSED_UPLOAD_LATE_UNTIL) {
        bytes_printf(out, "    missed_window: upload_late_until %02d:%02d\n", s->late_until_minute / 60,
                     s->late_until_minute % 60);
    } else {
        bytes_printf(out, "    missed_window: %s\n", s->missed == MISSED_HOLD ? "hold" : "next_window");
    }
    field(out, "    ", "file_name", s->file_name);
    bytes_printf(out, "    output: {line_ends: %s, encoding: none}\n",
                 s->line_ends == LINE_ENDS_CRLF ? "crlf" : "lf");
    bytes_printf(out, "    limits: {max_lines: %u, max_file_cents: %lld, same_day_max_cents: %lld}\n",
                 s->max_lines, (long long)s->max_file_cents.n, (long long)s->same_day_max.n);
    if (s->same_day_deadline_minute > 0) {
        bytes_printf(out, "    same_day_deadline: \"%02d:%02d\"\n", s->same_day_deadline_minute / 60,
                     s->same_day_deadline_minute % 60);
    }
    bytes_printf(out, "    text: %s\n", s->keep_case ? "keep" : "upper");
    bytes_printf(out, "    balanced: %s\n", s->balanced ? "true" : "false");
}

void cluster_yaml_print(const struct cluster_settings *c, struct bytes *out)
{
    bytes_printf(out, "%s", c->endpoints_count > 0 ? "endpoints:\n" : "");
    for (size_t i = 0; i < c->endpoints_count; i++) {
        print_endpoint(&c->endpoints[i], out);
    }
    bytes_printf(out, "%s", c->originators_count > 0 ? "originators:\n" : "");
    for (size_t i = 0; i < c->originators_count; i++) {
        const struct originator_settings *o = &c->originators[i];
        name_line(out, o->name);
        field(out, "    ", "company_name", o->company_name);
        field(out, "    ", "company_id", o->company_id);
        field(out, "    ", "discretionary", o->discretionary);
    }
    bytes_printf(out, "%s", c->calendars_count > 0 ? "calendars:\n" : "");
    for (size_t i = 0; i < c->calendars_count; i++) {
        print_calendar(&c->calendars[i], out);
    }
    bytes_printf(out, "%s", c->shards_count > 0 ? "shards:\n" : "");
    for (size_t i = 0; i < c->shards_count; i++) {
        print_shard(&c->shards[i], out);
    }
    bytes_printf(out, "defaults: {unknown_routing_number: refuse");
    if (c->finalize_after_ms != 0) {
        bytes_printf(out, ", finalize_upgrade_after: %lldms", (long long)c->finalize_after_ms);
    }
    bytes_printf(out, "}\n");
}
