/* Every limit of the program, in one place (invariant I-10).
 *
 * Units stand last in the name. Static assertions below state what one limit
 * believes about another. */
#ifndef PROTO_BASE_LIMITS_H
#define PROTO_BASE_LIMITS_H

#include "proto/base/check.h"

/* --- Threads ------------------------------------------------------------ */
#define READ_WORKERS 4     /* Reads of many rows at once on one lane: views, files, snapshots. */
#define TURN_SLOW_US 25000 /* A loop's turn or a writer's job that takes longer is told. */

/* --- Cluster ------------------------------------------------------------ */
#define NODES_MAX 9    /* Founding and later members. */
#define REPLICAS_MAX 5 /* Voters of one group. */
#define REPLICAS_MIN 2 /* G5: never fewer voters than this. */
#define LANES_MAX 16
#define GROUPS_MAX 20000 /* On one node. */
#define NAME_SIZE_MAX 63 /* Nodes, endpoints, originators, calendars, clusters. */
#define ADDRESS_SIZE_MAX 255

/* --- Raft --------------------------------------------------------------- */
#define ENTRY_SIZE_MAX_BYTES (1u << 20) /* One log entry's payload. */
#define HASHES_INFLIGHT_MAX 8    /* Shards that `hash --all` asks at once: each has connections of its own. */
#define INFLIGHT_ENTRIES_MAX 256 /* Per follower, not yet acknowledged. */
#define APPEND_SIZE_MAX_BYTES (2u << 20)          /* Payload of one AppendEntries. */
#define APPEND_ENTRIES_MAX 256                    /* Entries in one AppendEntries. */
#define TRAILING_ENTRIES_MIN INFLIGHT_ENTRIES_MAX /* Kept behind a snapshot (G6c). */
#define TRAILING_ENTRIES_DEFAULT 4096
#define TRIM_ENTRIES_MAX 1024 /* Deleted in one transaction. */
#define APPLY_ENTRIES_MAX 64  /* Applied in one job. */
#define APPLY_SIZE_MAX_BYTES (4u << 20)
#define CACHE_SIZE_MAX_BYTES (8u << 20) /* Recent entries of one group in memory. */
#define LOG_SIZE_SOFT_BYTES (64u << 20) /* Behind it a group's log is trimmed however few the entries. */
#define HELD_MESSAGES_MAX 256           /* Of one group, waiting for term and vote to be durable. */
#define APPEND_PIECES_MAX 4             /* AppendEntries sent for one of libraft's, when it is large. */
/* A message may be ahead of us by this many terms, and entries, and is dropped above it
 * (whoever believes a term of 2^64-1 never has an election again). A sound replica
 * is never further ahead: even one election every 10 ms for a year, while we were away, are fewer
 * terms, and nine million entries a second for a year fewer entries. Who lies in steps
 * that are believed needs four billion messages for the terms to run out. */
#define TERM_AHEAD_MAX (1ull << 32)
#define INDEX_AHEAD_MAX (1ull << 48)
#define ELECTION_TIMEOUT_MS 1200
#define HEARTBEAT_MS 200
/* Replicas of a group with news compare their states, if nobody waits for it. */
#define COMPARE_EVERY_MS 1000
#define SCRUB_EVERY_MS 600000 /* All rows of a group are counted about so often, */
#define SCRUB_SLICE_ROWS 512  /* so many in one read transaction, */
#define SCRUB_SLICE_BYTES (256u << 10)
#define SCRUB_PAUSE_MS 20 /* with this between two. */
#define SCRUB_RETRY_MS 200
#define SCRUB_ASIDE_MAX_BYTES (1u << 20) /* Changes while one slice is read. */
#define REBUILD_AGAIN_MS 10000           /* Rows that are wrong again so soon: this long it doesn't ask. */
#define REBUILD_ASK_MS 500               /* A replica without good rows asks its leader for them. */
#define PROPOSALS_MAX 64                 /* Of one group, not yet applied. */
#define READS_MAX 4096                   /* Of one group, waiting for a majority. */
#define SNAPSHOT_CHUNK_BYTES (256u << 10)
#define SNAPSHOT_CHUNKS_INFLIGHT 4
#define SNAPSHOT_SENDERS_MAX 2         /* At once on one node. */
#define SNAPSHOT_RETRY_MS 2000         /* A chunk not acknowledged is sent again. */
#define SNAPSHOT_TRIES_MAX 5           /* In a row; then the peer is taken for gone. */
#define SNAPSHOT_INSTALL_WAIT_MS 10000 /* After the last chunk, for the peer to have it installed. */
#define SNAPSHOT_SIZE_MAX_BYTES (16ull << 30)
#define SPOOL_MEMORY_MAX_BYTES (8u << 20) /* Larger spools go to an unlinked file. */

/* --- Frames between nodes ------------------------------------------------ */
#define FRAME_SIZE_MAX_BYTES (8u << 20)  /* Hard: the receiver closes the pipe above it. */
#define FRAME_SIZE_SOFT_BYTES (2u << 20) /* A frame is sent when it reaches this. */
#define FRAME_MESSAGES_MAX 65536
#define PEER_QUEUE_MAX_BYTES (64u << 20)  /* To one node; above it messages are dropped. */
#define LANE_FRAMES_MAX_BYTES (64u << 20) /* Received for lanes above 0, which have not looked at them. */
#define NODE_HEARTBEAT_MS 500
#define INBOUND_QUEUE_MAX_BYTES (64u << 20) /* Received and not yet looked at; above it nothing is read. */
#define RECONNECT_MIN_MS 50                 /* Between nodes. */
#define RECONNECT_MAX_MS 500

/* --- Store -------------------------------------------------------------- */
#define KEY_SIZE_MAX_BYTES 500
#define RECORD_SIZE_MAX_BYTES (4u << 20)
#define STORE_MAP_SIZE_BYTES (64ull << 30) /* Sparse; per lane. Node configuration: map_size. */
#define STORE_MAP_SIZE_MIN_BYTES (1ull << 30)
#define STORE_MAP_SIZE_MAX_BYTES (1ull << 44)
#define STORE_READERS_MAX 256
#define KEEPER_RETRY_MS 5000                      /* No room for the bytes of a file, or no reader free. */
#define STORE_FREE_SPACE_MIN_BYTES (256ull << 20) /* New work is refused below it. */
#define WRITER_LAZY_MS 3 /* A transaction of lazy jobs waits this long for company. */
#define WRITER_BATCH_JOBS_MAX 4096
#define WRITER_BATCH_SIZE_MAX_BYTES (32u << 20)
#define WRITER_QUEUE_MAX_BYTES (128u << 20) /* New proposals are refused above it. */

/* --- Requests ----------------------------------------------------------- */
#define REQUEST_SIZE_MAX_BYTES (4u << 20)
#define REPLY_SIZE_MAX_BYTES (6u << 20)
#define REQUESTS_INFLIGHT_MAX 1024 /* On one node. */
#define REQUEST_ARGS_MAX 32        /* Named arguments of one request. */
#define REQUEST_TRANSFERS_MAX 5000 /* In one submit request. */
#define REQUEST_TIMEOUT_MS 10000
#define LEAVE_MAX_MS 10000            /* From the first signal; a slow bank does not keep a process alive. */
#define REQUEST_TIMEOUT_MAX_MS 300000 /* What a client may ask for. */
#define REQUESTS_INFLIGHT_MAX_BYTES (256u << 20) /* Encoded, on one node. */
#define FORWARD_HOPS_MAX 3                       /* Of a request looking for its leader. */
#define SUMMARY_TROUBLE_MAX 4                    /* Troubles of one shard in status; the rest is counted. */
#define CLIENT_REQUESTS_MAX (REQUESTS_INFLIGHT_MAX / 2) /* Of one connection at once. */
#define REQUESTS_TURN_MAX 16    /* Taken in one turn of a loop, so that a crowd of them stops nothing else. */
#define SERVER_ADDRESSES_MAX 8  /* A node listens on for clients. */
#define CLIENT_ADDRESSES_MAX 32 /* Of nodes, that a client is given. */
#define GATHER_FLIGHTS_MAX 2    /* Submit requests of a client to a shard at once. */
#define GATHER_WAIT_MAX_MS 20   /* Of a caller, for those of others. */
#define CONNECTION_CALLS_MAX 4096         /* In flight on one connection of a client. */
#define COMMAND_WORDS_MAX 16              /* On the command line of the tool. */
#define INPUT_SIZE_MAX_BYTES (512u << 20) /* Of transfers given to the tool at once. */
#define SUBMIT_SHARDS_INFLIGHT_MAX 8      /* Shards that the tool submits to at once. */
#define CLI_QUESTIONS_INFLIGHT_MAX 64     /* Shards that the tool asks at once. */
#define CLI_HASHES_INFLIGHT_MAX 8         /* Of these with `hash`: each has connections of its own. */
#define OFFLINE_CPU_MAX_S 300             /* Of a reader of damaged files, which might run in circles. */
#define LIST_ROWS_DEFAULT 1000
#define LIST_ROWS_MAX 10000
#define LIST_VISITS_MAX 10000 /* Records looked at for one answer; then it says where to go on. */
#define LOG_DUMP_SIZE_SOFT_BYTES (4u << 20) /* The same of log entries, which are shown as a line each. */
#define LIST_SIZE_SOFT_BYTES \
    (128u << 10) /* Of records in one answer: it ends with the one that passes this. */
#define SUBMIT_QUEUE_MAX_BYTES (16u << 20) /* Waiting for one shard's next entry. */
#define SUBMIT_BATCH_TRANSFERS_MAX 2000    /* In one log entry. */
#define SUBMIT_BATCH_SIZE_BYTES (512u << 10)
#define SUBMIT_ENTRIES_MAX 2 /* Of one shard under way at once. */
#define TWINS_MAX 65536      /* Transfers of a day that one shard's leader knows again. */

/* --- Transfers (docs/ach.md) ---------------------------------------------- */
#define TRANSFER_ID_SIZE_MAX 64
#define TRANSFER_METADATA_SIZE_MAX 1024
#define TRANSFER_ADDENDA_MAX 999
#define ADDENDA_TEXT_SIZE 80
#define AMOUNT_MAX_CENTS 9999999999ll
#define ACCOUNT_SIZE_MAX 17
#define ACCOUNT_TYPED_SIZE_MAX 34 /* With the blanks that people type. */
#define RECEIVER_NAME_SIZE_MAX 22
#define INDIVIDUAL_ID_SIZE_MAX 15
#define ENTRY_DESCRIPTION_SIZE_MAX 10
#define DISCRETIONARY_SIZE_MAX 2
#define RECEIVER_NAME_SIZE_MAX_CTX 16 /* CTX uses the first four for a count. */
#define EFFECTIVE_YEAR_MIN 2000       /* A file has two digits for the year. */
#define EFFECTIVE_YEAR_MAX 2099

/* --- Files -------------------------------------------------------------- */
#define ACH_RECORD_SIZE 94
#define ACH_BLOCKING_FACTOR 10
#define FILE_LINES_DEFAULT 10000
#define FILE_LINES_MAX 10000 /* Keeps a SEAL within one log entry. */
#define FILE_CENTS_MAX 999999999999ll
#define FILE_MODIFIERS 36 /* A to Z, then 0 to 9, a creation date. */
#define TRACE_SEQUENCE_MAX 9999999
#define FILE_NAME_SIZE_MAX 128
#define SAME_DAY_MAX_CENTS 100000000ll
#define WINDOWS_MAX 16 /* Of one shard a day. */
#define WINDOW_NAME_SIZE_MAX 16
#define MISSED_WINDOW_DAYS_MAX 10    /* How far back a leader looks. */
#define WINDOW_GRACE_MS 60000        /* Closed this much after its time, a window is not yet late. */
#define CUTOFF_NEAR_MS 30000         /* Before a cut-off leadership is not moved by the way. */
#define WINDOW_LOOK_MS 10000         /* A wall clock that jumped is noticed after this. */
#define WINDOW_ALERT_TRIES 5         /* Failures in a row before it needs a person. */
#define SETTINGS_EVENTS_BACK 4096    /* Events looked through for the newest settings. */
#define SEALING_BEHIND_MAX_MS 300000 /* A clock further behind the log's times is an alert. */
#define SEALING_VISITS_MAX 20000     /* Pending transfers that one look for members judges. */
#define DONE_VISITS_MAX 1000         /* And those that are looked at again before a window is done. */
#define SEALING_PARKED_MAX 1024      /* Windows that cannot be sealed and must not stop the others. */

/* --- Levels of formats (proto/level.h) -------------------------------------- */
#define LEVEL_MIN 1u /* What this program speaks. */
#define LEVEL_MAX 2u

/* --- State --------------------------------------------------------------- */
#define REASON_SIZE_MAX 256        /* Kept of what a person or a bank said. */
#define EVENT_SUBJECT_SIZE_MAX 160 /* A transfer id, a window, a file name. */
#define EVENT_TEXT_SIZE_MAX 512
#define EVENT_FIELDS_MAX 8

/* --- Uploads ------------------------------------------------------------ */
#define BANK_WORKERS 16 /* Requests to banks at once on one node. */
#define UPLOAD_RETRY_MIN_MS 200
#define UPLOAD_RETRY_MAX_MS 60000
#define UPLOAD_ALERT_TRIES 5                  /* Failures in a row before it needs a person. */
#define VERIFY_WINDOW_MS (24ll * 3600 * 1000) /* verify_window: step 11. */
#define VERIFY_LOOK_MS (3600ll * 1000)        /* Step 11 looks again after this. */
#define UPLOADS_OPEN_MAX 64                   /* Files of one shard that its leader works on at once. */
#define BANK_SLOW_MS 60000           /* Without an answer: people are told (plus what a rate limit takes). */
#define CONFIRM_SLOW_MS 10000        /* No majority with equal rows: people are told. */
#define BANK_ENDPOINT_WORKERS 4      /* Of BANK_WORKERS, for one endpoint. */
#define BANK_PROBE_FRESH_MS 10000    /* A probe that passed answers for others this long. */
#define BANK_PIECE_BYTES (64u << 10) /* Data goes to a bank in pieces of this size. */
#define RATE_LIMIT_MIN_BYTES 1024    /* Per second, when one is set. */

/* --- Configuration ------------------------------------------------------ */
#define CONFIG_SIZE_MAX_BYTES (1u << 20)
#define CONFIG_DEPTH_MAX 16 /* Nesting of a YAML file. */
#define CONFIG_VALUES_MAX 400000
#define ZONE_FILE_SIZE_MAX_BYTES (64u << 10)
#define ZONES_MAX 256                        /* Different ones in use on a node. */
#define SETTINGS_SIZE_MAX_BYTES (128u << 10) /* Everything one shard needs, encoded. */
#define SHARD_ORIGINATORS_MAX 200
#define CALENDAR_EXTRA_MAX 100
#define PATH_SIZE_MAX 1024 /* Of an endpoint's directory. */
#define COMPANY_NAME_SIZE_MAX 16
#define COMPANY_ID_SIZE_MAX 10
#define COMPANY_DISCRETIONARY_SIZE_MAX 20
#define BANK_NAME_SIZE_MAX 23 /* Destination and origin name. */
#define ORIGIN_SIZE_MAX 10
#define ODFI_SIZE 8
#define FILE_LINES_MIN 10                      /* One block. */
#define FINALIZE_AFTER_MS (86400ll * 1000)     /* finalize_upgrade_after. */
#define DURATION_MAX_MS (366ll * 86400 * 1000) /* Of any setting that is a time span. */

/* --- Memory and texts --------------------------------------------------- */
#define ARENA_BLOCK_MIN_BYTES 4096u
#define ARENA_BLOCK_MAX_BYTES (256u << 10) /* Growth stops here; a larger request gets its own size. */
/* What the wire form of a message may take in memory: so many bytes a byte of
 * input, with a floor and a ceiling. Without it a few megabytes of empty
 * messages would take gigabytes. */
#define PB_MEMORY_FACTOR 32u
#define PB_MEMORY_MIN_BYTES (64u << 10)
#define PB_MEMORY_MAX_BYTES (64u << 20)
#define RAFT_CONFIGURATION_MAX_BYTES 65536u /* Raft's list of servers, encoded. */
#define REFUSAL_SIZE_MAX 1024               /* Of a refusal, between nodes. */
#define CATALOG_CHANGES_MAX 5000            /* Of one command. */
#define CATALOG_OBJECTS_MAX GROUPS_MAX      /* Of one kind. */
#define SEARCH_DAYS_MAX 366                 /* For a banking day, from a given one. */
#define FAULTS_MAX 16                       /* In SHARDGATE_FAULT. */

CHECK_STATIC(FRAME_SIZE_SOFT_BYTES + APPEND_SIZE_MAX_BYTES + ENTRY_SIZE_MAX_BYTES < FRAME_SIZE_MAX_BYTES,
             "the message that crosses the soft limit must still fit");
CHECK_STATIC(REQUEST_SIZE_MAX_BYTES + FRAME_SIZE_SOFT_BYTES < FRAME_SIZE_MAX_BYTES,
             "a forwarded request must fit a frame");
CHECK_STATIC(REPLY_SIZE_MAX_BYTES + 65536u < FRAME_SIZE_MAX_BYTES, "a forwarded reply must fit a frame");
CHECK_STATIC(SUBMIT_BATCH_SIZE_BYTES < ENTRY_SIZE_MAX_BYTES, "a batch of transfers is one entry");
CHECK_STATIC(SETTINGS_SIZE_MAX_BYTES < ENTRY_SIZE_MAX_BYTES, "settings are one entry");
CHECK_STATIC(TRAILING_ENTRIES_MIN >= INFLIGHT_ENTRIES_MAX, "guard G6c");
CHECK_STATIC(ENTRY_SIZE_MAX_BYTES < RECORD_SIZE_MAX_BYTES, "an entry is one record");
CHECK_STATIC(HEARTBEAT_MS * 4 < ELECTION_TIMEOUT_MS, "several heartbeats may be late");
CHECK_STATIC(SNAPSHOT_CHUNK_BYTES < FRAME_SIZE_SOFT_BYTES, "a chunk fits a frame");

CHECK_STATIC(BANK_ENDPOINT_WORKERS < BANK_WORKERS, "one slow bank must not occupy all workers");
CHECK_STATIC(SUBMIT_ENTRIES_MAX < PROPOSALS_MAX, "duties and people must get a word in");

#endif
