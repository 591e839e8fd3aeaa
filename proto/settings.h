/* What people configure, as structs, and their encodings.
 *
 * The catalog stores one object a row; a shard's own log carries struct
 * settings, the objects it needs folded together, so that building a file
 * depends on replicated rows only (I-3). */
#ifndef PROTO_SETTINGS_H
#define PROTO_SETTINGS_H

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/base/units.h"

enum endpoint_kind { ENDPOINT_NONE, ENDPOINT_DIRECTORY, ENDPOINT_SFTP, ENDPOINT_FTP };
enum missed_policy { MISSED_NEXT_WINDOW = 1, MISSED_UPLOAD_LATE_UNTIL, MISSED_HOLD };
enum line_ends { LINE_ENDS_LF = 1, LINE_ENDS_CRLF };
enum confirm_kind { CONFIRM_SIZE = 1, CONFIRM_HASH, CONFIRM_READBACK, CONFIRM_NONE };

struct endpoint_settings {
    struct span name;
    enum endpoint_kind kind;
    struct span drop_dir;
    struct span staging_dir;
    uint64_t rate_limit_bytes; /* A second; 0: none. */
    enum confirm_kind confirm; /* Default hash for a directory. */
    int64_t verify_window_ms;
    int64_t settle_ms;
    uint32_t line; /* Of the text that it was read from; 0: of none. Not encoded. */
};

struct originator_settings {
    struct span name;          /* Key in the configuration. */
    struct span company_name;  /* 16 */
    struct span company_id;    /* 10 */
    struct span discretionary; /* 20, optional */
};

struct calendar_settings {
    struct span name;
    bool federal_reserve; /* holidays: federal-reserve */
    struct day *extra;    /* Further closed days, ascending. */
    size_t extra_count;
};

/* Of a shard that names none: a calendar is never silently empty. */
#define CALENDAR_DEFAULT \
    ((struct calendar_settings){.name = span_str("federal-reserve"), .federal_reserve = true})

struct window_settings {
    struct span name;     /* 1 to 16 of A-Z a-z 0-9 - _ */
    int close_minute;     /* Of the local day, 0 to 1439. */
    int upload_by_minute; /* -1: not set. */
};

struct shard_settings {
    struct aba routing_number;
    struct span endpoint; /* Names. */
    struct span *originators;
    size_t originators_count;
    struct span destination_name;       /* 23 */
    struct span origin;                 /* Immediate origin: 9 digits, or 10 characters as assigned. */
    struct span origin_name;            /* 23 */
    struct span odfi;                   /* 8 digits; default the routing number's first eight. */
    struct span replicas[REPLICAS_MAX]; /* Node names. */
    size_t replicas_count;
    struct span preferred; /* Node name or empty. */
    struct span zone;      /* Time zone name, e.g. America/New_York. */
    struct span calendar;  /* Name. */
    bool every_day;        /* on: banking-days (false) or every-day. */
    struct window_settings windows[WINDOWS_MAX];
    size_t windows_count;
    enum missed_policy missed;
    int late_until_minute; /* With MISSED_UPLOAD_LATE_UNTIL. */
    struct span file_name; /* Template. */
    enum line_ends line_ends;
    uint32_t max_lines;
    struct cents max_file_cents;
    struct cents same_day_max;
    int same_day_deadline_minute; /* Of the local day, from 1; 0: the Federal Reserve's last one. */
    bool keep_case;               /* text: keep. Names and descriptions are not put in upper case. */
    bool balanced;
    uint32_t line; /* Of the text that it was read from; 0: of none. Not encoded. */
};

/* Everything one shard needs. */
struct settings {
    uint64_t version;    /* Catalog index this was made from. */
    uint32_t level;      /* By whose rules they are taken (proto/level.h): of the command or file
                          * at hand. Not encoded: set by the reader. */
    struct span cluster; /* Cluster id: part of attempt names. */
    struct shard_settings shard;
    struct endpoint_settings endpoint;
    struct originator_settings *originators;
    size_t originators_count;
    struct calendar_settings calendar;
};

/* The cluster configuration file as objects (apply -f, export, catalog). */
enum unknown_policy { UNKNOWN_REFUSE = 1, UNKNOWN_CREATE, UNKNOWN_PARK };
struct cluster_settings {
    struct endpoint_settings *endpoints;
    size_t endpoints_count;
    struct originator_settings *originators;
    size_t originators_count;
    struct calendar_settings *calendars;
    size_t calendars_count;
    struct shard_settings *shards;
    size_t shards_count;
    enum unknown_policy unknown_routing_number;
    int64_t finalize_after_ms; /* 0: not given. */
};

/* Deterministic encodings; append to out. Decoders copy into the arena and
 * answer SG_INVALID for anything malformed or out of range: an enum that was
 * never set is out of range too (endpoint kind excepted), as are fewer lines
 * than a block, no cents, an odfi of other than 8 digits (or none), days that do
 * not ascend. So fill the defaults in before encoding. In struct settings an
 * endpoint or calendar without a name is absent. */
void endpoint_settings_encode(const struct endpoint_settings *s, struct bytes *out);
MUST_USE enum sg_err endpoint_settings_decode(struct span data, struct arena *a,
                                              struct endpoint_settings *out);
void originator_settings_encode(const struct originator_settings *s, struct bytes *out);
MUST_USE enum sg_err originator_settings_decode(struct span data, struct arena *a,
                                                struct originator_settings *out);
void calendar_settings_encode(const struct calendar_settings *s, struct bytes *out);
MUST_USE enum sg_err calendar_settings_decode(struct span data, struct arena *a,
                                              struct calendar_settings *out);
void shard_settings_encode(const struct shard_settings *s, struct bytes *out);
MUST_USE enum sg_err shard_settings_decode(struct span data, struct arena *a, struct shard_settings *out);
void settings_encode(const struct settings *s, struct bytes *out);
MUST_USE enum sg_err settings_decode(struct span data, struct arena *a, struct settings *out);

/* The originator of this name, or NULL. */
const struct originator_settings *settings_originator(const struct settings *s, struct span name);

#endif
