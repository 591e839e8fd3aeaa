/* What of each answer is shown as text, under which heads. */
#include "supervisor/cli/verbs.h"

#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])

static const struct column nodes[] = {
    {"NODE", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"LEADERS", "leaders", CELL_NUMBER},
    {"REPLICAS", "replicas", CELL_NUMBER},
    {"STOPPED", "stopped", CELL_NUMBER},
    {"AGE_MS", "age_ms", CELL_NUMBER},
    {"VERSION", "version", CELL_TEXT},
    {"BUILD", "build", CELL_TEXT, true},
    {"CATALOG", "catalog_version", CELL_NUMBER, true},
    {"CLIENT", "client", CELL_TEXT},
    {"STARTED", "started", CELL_TIME, true},
};
static const struct column pace[] = {
    {"LANE", "lane", CELL_NUMBER},
    {"TAKES", "what", CELL_TEXT},
    {"SINCE", "since", CELL_TEXT},
    {"COUNT", "count", CELL_NUMBER},
    {"P50_US", "p50_us", CELL_NUMBER},
    {"P99_US", "p99_us", CELL_NUMBER},
    {"MAX_US", "max_us", CELL_NUMBER},
    {"CPU_P99_US", "cpu_p99_us", CELL_NUMBER},
    {"CPU_MAX_US", "cpu_max_us", CELL_NUMBER},
};
static const struct column attention[] = {
    {"KIND", "kind", CELL_TEXT},
    {"SUBJECT", "subject", CELL_TEXT},
    {"ATTENTION", "text", CELL_TEXT},
};
static const struct column upgrades[] = {
    {"NODE", "name", CELL_TEXT},
    {"FROM LEVEL", "level_min", CELL_NUMBER},
    {"TO LEVEL", "level_max", CELL_NUMBER},
    {"VERSION", "program", CELL_TEXT},
    {"STARTED", "started", CELL_TIME},
    {"FILES TO STORE", "files_missing", CELL_NUMBER},
    {"SHARDS", "shards", CELL_TEXT},
};
static const struct column shards[] = {
    {"SHARD", "routing_number", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"LEADER", "leader", CELL_TEXT},
    {"TERM", "term", CELL_NUMBER, true},
    {"COMMIT", "commit_index", CELL_NUMBER, true},
    {"APPLIED", "applied_index", CELL_NUMBER, true},
    {"PENDING", "pending_entries", CELL_NUMBER},
    {"DEBIT", "pending_debit_cents", CELL_CENTS},
    {"CREDIT", "pending_credit_cents", CELL_CENTS},
    {"NEXT CLOSE", "next_close", CELL_TIME},
    {"WHY", "why", CELL_TEXT},
};
static const struct column damaged[] = {
    {"LANE", "lane", CELL_TEXT},
    {"DAMAGE", "text", CELL_TEXT},
};
static const struct column replicas[] = {
    {"REPLICA", "node", CELL_TEXT}, {"ROLE", "role", CELL_TEXT},   {"MATCH", "match_index", CELL_NUMBER},
    {"LAG", "lag", CELL_NUMBER},    {"STATE", "state", CELL_TEXT},
};
static const struct column uploads[] = {
    {"UPLOAD", "file", CELL_NUMBER},         {"STEP", "step", CELL_TEXT},
    {"FAILURES", "failures", CELL_NUMBER},   {"NEXT TRY", "next_try", CELL_TIME},
    {"LAST ERROR", "last_error", CELL_TEXT},
};
static const struct column overdue[] = {
    {"OVERDUE", "file", CELL_NUMBER},      {"WINDOW", "window", CELL_TEXT}, {"STATE", "state", CELL_TEXT},
    {"UPLOAD BY", "upload_by", CELL_TIME}, {"NAME", "name", CELL_TEXT},
};
static const struct column transfers[] = {
    {"ID", "id", CELL_ID},
    {"STATE", "state", CELL_TEXT},
    {"SIDE", "side", CELL_TEXT},
    {"AMOUNT", "amount", CELL_CENTS},
    {"SEC", "sec", CELL_TEXT},
    {"RDFI", "rdfi", CELL_TEXT, true},
    {"ACCOUNT", "account", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"FILE", "file", CELL_NUMBER, true},
    {"SEQ", "seq", CELL_NUMBER},
    {"ACCEPTED", "accepted_at", CELL_TIME, true},
};
static const struct column steps[] = {
    {"STEP", "what", CELL_TEXT},
    {"TIME", "time", CELL_TIME},
    {"INDEX", "index", CELL_NUMBER},
    {"TEXT", "text", CELL_TEXT},
};
static const struct column windows[] = {
    {"SHARD", "routing_number", CELL_TEXT},
    {"DAY", "day", CELL_TEXT},
    {"WINDOW", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"SCHEDULED", "scheduled", CELL_TIME, true},
    {"CLOSED", "closed_at", CELL_TIME},
    {"UPLOAD BY", "upload_by", CELL_TIME, true},
    {"MANUAL", "manual", CELL_TEXT, true},
    {"LATE", "late", CELL_TEXT, true},
    {"FILES", "files", CELL_NUMBER},
    {"ENTRIES", "entries", CELL_NUMBER},
    {"DEBIT", "debit_cents", CELL_CENTS},
    {"CREDIT", "credit_cents", CELL_CENTS},
};
static const struct column files[] = {
    {"SHARD", "routing_number", CELL_TEXT},
    {"FILE", "id", CELL_NUMBER},
    {"STATE", "state", CELL_TEXT},
    {"OVERDUE", "overdue", CELL_TEXT},
    {"WINDOW", "window", CELL_TEXT, true},
    {"ENTRIES", "entries", CELL_NUMBER},
    {"BATCHES", "batches", CELL_NUMBER, true},
    {"DEBIT", "debit_cents", CELL_CENTS},
    {"CREDIT", "credit_cents", CELL_CENTS},
    {"TRIES", "attempts", CELL_NUMBER, true},
    {"BUILT BY", "built_by", CELL_TEXT, true},
    {"UPLOADED", "uploaded_at", CELL_TIME, true},
    {"NAME", "name", CELL_TEXT},
};
static const struct column checks[] = {
    {"OK", "ok", CELL_TEXT},
    {"CHECK", "check", CELL_TEXT},
    {"FOUND", "text", CELL_TEXT},
};
static const struct column events[] = {
    {"CURSOR", "cursor", CELL_NUMBER}, {"TIME", "time", CELL_TIME}, {"KIND", "kind", CELL_TEXT},
    {"SUBJECT", "subject", CELL_TEXT}, {"TEXT", "text", CELL_TEXT},
};
static const struct column entries[] = {
    {"INDEX", "index", CELL_NUMBER},   {"TERM", "term", CELL_NUMBER},     {"TYPE", "type", CELL_TEXT},
    {"BYTES", "bytes", CELL_NUMBER},   {"TIME", "time", CELL_TIME},       {"NODE", "node", CELL_TEXT},
    {"COMMAND", "command", CELL_TEXT}, {"SUMMARY", "summary", CELL_TEXT},
};
static const struct column hashes[] = {
    {"SHARD", "routing_number", CELL_TEXT}, {"REPLICA", "node", CELL_TEXT},
    {"RESULT", "result", CELL_TEXT},        {"APPLIED", "applied_index", CELL_NUMBER},
    {"DIGEST", "digest", CELL_TEXT},        {"WHY", "why", CELL_TEXT},
};
static const struct column results[] = {
    {"ID", "id", CELL_ID},           {"SHARD", "shard", CELL_TEXT}, {"OUTCOME", "outcome", CELL_TEXT},
    {"INDEX", "index", CELL_NUMBER}, {"LINE", "line", CELL_NUMBER},
};

const struct layout layout_record = {.is_record = true};
const struct layout layout_status = {
    true, {{"nodes", "nodes", COLUMNS(nodes)}, {"attention", "needs attention", COLUMNS(attention)}}, 2};
const struct layout layout_nodes = {false, {{"nodes", NULL, COLUMNS(nodes)}}, 1};
const struct layout layout_node = {true, {{"pace", NULL, COLUMNS(pace)}}, 1};
const struct layout layout_shards = {
    false, {{"shards", NULL, COLUMNS(shards)}, {"damaged", "damaged", COLUMNS(damaged)}}, 2};
const struct layout layout_shard = {true,
                                    {{"replicas", "replicas", COLUMNS(replicas)},
                                     {"overdue", "overdue", COLUMNS(overdue)},
                                     {"uploads", "uploads", COLUMNS(uploads)}},
                                    3};
const struct layout layout_transfers = {false, {{"transfers", NULL, COLUMNS(transfers)}}, 1};
const struct layout layout_trace = {true, {{"steps", "steps", COLUMNS(steps)}}, 1};
const struct layout layout_windows = {false, {{"windows", NULL, COLUMNS(windows)}}, 1};
const struct layout layout_files = {false, {{"files", NULL, COLUMNS(files)}}, 1};
const struct layout layout_verify = {true, {{"checks", "checks", COLUMNS(checks)}}, 1};
const struct layout layout_events = {false, {{"events", NULL, COLUMNS(events)}}, 1};
const struct layout layout_log = {false, {{"entries", NULL, COLUMNS(entries)}}, 1};
const struct layout layout_hash = {false, {{"replicas", NULL, COLUMNS(hashes)}}, 1};
const struct layout layout_submit = {false, {{"results", NULL, COLUMNS(results)}}, 1};
const struct layout layout_upgrade = {true, {{"nodes", "nodes", COLUMNS(upgrades)}}, 1};
