/* The configuration that people apply: as the text they would write, and when. */
#include "proto/base/check.h"
#include "shard/ach/zone.h"
#include "tests/sim/sim.h"

#define FIRST_EIGHT 11000000u
#define APPLY_TRIES 6u
#define STEP 10007u /* Far enough apart that no typo leads from one to another. */

struct aba sim_shard_aba(unsigned shard)
{
    uint32_t eight = FIRST_EIGHT + shard * STEP;
    return (struct aba){eight * 10 + aba_check_digit(eight)};
}

unsigned sim_shard_of(uint64_t group)
{
    uint64_t eight = group / 10;
    if (eight < FIRST_EIGHT || (eight - FIRST_EIGHT) % STEP != 0) {
        return SIM_SHARDS_MAX;
    }
    uint64_t shard = (eight - FIRST_EIGHT) / STEP;
    return shard < SIM_SHARDS_MAX ? (unsigned)shard : SIM_SHARDS_MAX;
}

unsigned bank_of_shard(const struct sim *s, unsigned shard)
{
    CHECK(s->plan.banks > 0);
    return shard % s->plan.banks;
}

/* Windows that close while the run goes on, by the clock it begins with. */
static void windows_text(struct sim *s, unsigned shard, unsigned generation, struct bytes *out)
{
    struct zone_time start = zone_local(host_zone(NULL, span_str("America/New_York")), sim_wall_begin_ms(s));
    unsigned now = (unsigned)start.minute;
    bytes_printf(out, "    windows:\n      zone: America/New_York\n      on: %s\n      calendar: fed\n",
                 shard % 3 == 0 ? "banking-days" : "every-day");
    if (s->plan.windows > 0) {
        bytes_printf(out, "      at:\n");
    }
    for (unsigned i = 0; i < s->plan.windows; i++) {
        /* One a minute; the last one moves with each generation. */
        unsigned minute = now + 1 + i + (i + 1 == s->plan.windows ? generation % 3 : 0);
        minute %= 1440;
        unsigned by = (minute + 1) % 1440;
        bytes_printf(out, "        - {name: W%u, close_at: \"%02u:%02u\", upload_by: \"%02u:%02u\"}\n", i + 1,
                     minute / 60, minute % 60, by / 60, by % 60);
    }
}

static void shard_text(struct sim *s, unsigned shard, unsigned generation, struct bytes *out)
{
    static const char *const missed[] = {"next_window", "upload_late_until 23:59", "next_window", "hold"};
    char aba[ABA_TEXT_SIZE];

    (void)aba_text(sim_shard_aba(shard), aba);
    bytes_printf(out, "  \"%s\":\n", aba);
    bytes_printf(out, "    endpoint: bank-%u\n", bank_of_shard(s, shard));
    bytes_printf(out,
                 "    destination_name: BANK OF SHARD %u\n    origin: \"%s\"\n    origin_name: ACME ANVILS\n",
                 shard, aba);
    bytes_printf(out, "    originators: [acme, globex]\n    missed_window: %s\n", missed[shard % 4]);
    if (shard % 2 == 1) {
        bytes_printf(out, "    preferred: n%u\n", shard % 3 + 1);
    }
    if (s->plan.nodes == 3 || shard % 2 == 1) {
        bytes_printf(out, "    replicas: [n1, n2, n3]\n");
    }
    bytes_printf(out, "    limits: {max_lines: %u}\n", s->plan.max_lines + 10 * (generation % 4));
    windows_text(s, shard, generation, out);
}

static void config_text(struct sim *s, unsigned shards, unsigned generation, struct bytes *out)
{
    bytes_printf(out, "endpoints:\n");
    for (unsigned i = 0; i < s->plan.banks; i++) {
        bytes_printf(out,
                     "  bank-%u: {kind: directory, drop_dir: /bank/%u/in, staging_dir: /bank/%u/staging, "
                     "verify_window: 20s}\n",
                     i, i, i);
    }
    bytes_printf(out, "originators:\n"
                      "  acme: {company_name: ACME ANVILS, company_id: \"1234567890\"}\n"
                      "  globex: {company_name: GLOBEX FABLES, company_id: \"1987654321\"}\n"
                      "calendars:\n  fed: {holidays: federal-reserve}\nshards:\n");
    for (unsigned i = 0; i < shards; i++) {
        shard_text(s, i, generation, out);
    }
}

/* --- Applying it --------------------------------------------------------------------------- */

static void applied(struct client_call *c, const struct reply *r)
{
    char text[512];
    c->sim->people.apply_open--;
    if (r != NULL && r->err != SG_OK) {
        sim_fail(c->sim, "I-13", "a good configuration is refused: %s",
                 span_cstr(r->text, text, sizeof text));
    }
}

void config_apply(struct sim *s, unsigned tries)
{
    struct bytes text = BYTES_NONE;
    struct request_arg args[2];
    struct request r = {.kind = REQUEST_APPLY, .args = args, .args_count = 2};

    config_text(s, s->people.shards_applied, s->people.generation, &text);
    args[0] = (struct request_arg){span_str("yaml"), span_bytes(&text)};
    args[1] = (struct request_arg){span_str("source"), span_str("cluster.yaml")};
    s->people.apply_open++;
    (void)client_send(s, &r, tries, false, applied, NULL);
    bytes_release(&text);
}

void config_apply_more(void *arg)
{
    struct sim *s = arg;
    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.apply_every_ms), config_apply_more, s);
    if (s->people.apply_open > 0) {
        return; /* Two at once would take turns to undo each other. */
    }
    if (s->people.shards_applied < s->plan.shards) {
        s->people.shards_applied++;
    } else {
        s->people.generation++;
    }
    config_apply(s, APPLY_TRIES);
}
