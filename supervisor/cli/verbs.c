#include "supervisor/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/config/words.h"

#define LIMIT OPTION_BIT(OPTION_LIMIT)
#define SHARD OPTION_BIT(OPTION_SHARD)
#define REVEAL OPTION_BIT(OPTION_REVEAL)
#define REASON OPTION_BIT(OPTION_REASON)
#define FROM OPTION_BIT(OPTION_FROM)
#define TO OPTION_BIT(OPTION_TO)

const struct cli_verb verbs[] = {
    {"status", "", 0, 0, OPTION_BIT(OPTION_CHECK), VERB_ONLINE, REQUEST_STATUS, run_status, &layout_status,
     "cluster, nodes, shards, and everything that needs a person"},
    {"ping", "ADDR", 1, 1, 0, VERB_ALONE, REQUEST_PING, run_ping, NULL, "is the node at this address up?"},
    {"apply", "", 0, 0, OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_NO_WAIT),
     VERB_ONLINE, REQUEST_APPLY, run_apply, NULL,
     "make the configuration what -f FILE says, print the difference, and wait until it is in force"},
    {"export", "", 0, 0, 0, VERB_ONLINE, REQUEST_EXPORT, run_export, NULL,
     "print the configuration in the form that apply takes"},
    {"nodes list", "", 0, 0, 0, VERB_ONLINE, REQUEST_NODES_LIST, run_plain, &layout_nodes,
     "the nodes of the cluster"},
    {"nodes show", "[NODE]", 0, 1, 0, VERB_ONLINE, REQUEST_NODES_SHOW, run_node_show, &layout_node,
     "one node, and how long its loops and store writers take"},
    {"shards list", "", 0, 0, OPTION_BIT(OPTION_NODE) | OPTION_BIT(OPTION_UNHEALTHY), VERB_BOTH,
     REQUEST_SHARDS_LIST, run_shards_list, &layout_shards,
     "the routing numbers, with leader and what is pending"},
    {"shards show", "ABA", 1, 1, 0, VERB_BOTH, REQUEST_SHARDS_SHOW, run_plain, &layout_shard,
     "one routing number: replicas, pending, next window, uploads"},
    {"leader show", "ABA", 1, 1, 0, VERB_ONLINE, REQUEST_LEADER_SHOW, run_leader_show, &layout_record,
     "who leads a routing number"},
    {"leader transfer", "ABA", 1, 1, TO | OPTION_BIT(OPTION_FORCE), VERB_ONLINE, REQUEST_LEADER_TRANSFER,
     run_leader_transfer, &layout_record,
     "hand leadership over, --to a node or to the best replica; a preferred node takes it back after ten "
     "seconds"},
    {"transfers submit", "[FILE|-]", 0, 1, SHARD, VERB_ONLINE, REQUEST_SUBMIT, run_submit, &layout_submit,
     "submit payments: JSON (an object, an array, or one object a line)"},
    {"transfers list", "ABA", 1, 1, LIMIT | FROM | REVEAL | OPTION_BIT(OPTION_STATE), VERB_BOTH,
     REQUEST_TRANSFERS_LIST, run_plain, &layout_transfers, "accepted transfers, in the order of acceptance"},
    {"transfers show", "ID", 1, 1, SHARD | REVEAL, VERB_BOTH, REQUEST_TRANSFERS_SHOW, run_transfer,
     &layout_record, "one transfer"},
    {"transfers trace", "ID", 1, 1, SHARD | REVEAL, VERB_BOTH, REQUEST_TRANSFERS_TRACE, run_transfer,
     &layout_trace, "one transfer's way from acceptance to the bank"},
    {"transfers cancel", "ID", 1, 1, SHARD | REASON, VERB_ONLINE, REQUEST_CANCEL, run_transfer,
     &layout_record, "cancel a transfer that is in no file yet"},
    {"windows list", "[ABA]", 0, 1, LIMIT, VERB_BOTH, REQUEST_WINDOWS_LIST, run_each, &layout_windows,
     "closed windows, newest first"},
    {"windows close", "ABA", 1, 1, OPTION_BIT(OPTION_WINDOW) | REASON, VERB_ONLINE, REQUEST_WINDOWS_CLOSE,
     run_plain, &layout_record, "cut off now: what is pending goes into files"},
    {"windows release", "ABA", 1, 1, OPTION_BIT(OPTION_WINDOW) | REASON, VERB_ONLINE, REQUEST_WINDOWS_RELEASE,
     run_plain, &layout_record, "let the files of windows on hold go to the bank (default: of all of them)"},
    {"files list", "[ABA]", 0, 1, LIMIT, VERB_BOTH, REQUEST_FILES_LIST, run_each, &layout_files,
     "files, newest first"},
    {"files show", "F", 1, 1, SHARD, VERB_BOTH, REQUEST_FILES_SHOW, run_file, &layout_record,
     "one file, by name or number"},
    {"files get", "F", 1, 1, SHARD | OPTION_BIT(OPTION_OUT), VERB_BOTH, REQUEST_FILES_GET, run_file_get, NULL,
     "the bytes of a file, compared with what was sealed"},
    {"files verify", "F", 1, 1, SHARD, VERB_BOTH, REQUEST_FILES_VERIFY, run_file_verify, &layout_verify,
     "compare the bytes of a file with what was sealed, read them back"},
    {"files resolve", "F", 1, 1, SHARD | REASON | OPTION_BIT(OPTION_AS), VERB_ONLINE, REQUEST_FILES_RESOLVE,
     run_file_resolve, &layout_record, "end a hold: say --as what the bank has"},
    {"files cancel", "F", 1, 1, SHARD | REASON, VERB_ONLINE, REQUEST_FILES_CANCEL, run_file, &layout_record,
     "stop a file before the bank has it"},
    {"events", "ABA", 1, 1,
     LIMIT | FROM | OPTION_BIT(OPTION_TAIL) | OPTION_BIT(OPTION_KIND) | OPTION_BIT(OPTION_SINCE) |
         OPTION_BIT(OPTION_FOLLOW),
     VERB_BOTH, REQUEST_EVENTS, run_events, &layout_events, "what happened, the newest last"},
    {"log dump", "ABA", 1, 1, LIMIT | FROM | TO, VERB_BOTH, REQUEST_LOG_DUMP, run_plain, &layout_log,
     "the entries of a routing number's log"},
    {"upgrade status", "", 0, 0, 0, VERB_ONLINE, REQUEST_UPGRADE_STATUS, run_plain, &layout_upgrade,
     "the level of formats in force, what each node speaks, and what a higher one waits for"},
    {"upgrade finalize", "", 0, 0, 0, VERB_ONLINE, REQUEST_UPGRADE_FINALIZE, run_plain, &layout_record,
     "go to the level that all nodes speak: then no node can go back to an earlier version"},
    {"hash", "[ABA]", 0, 1, OPTION_BIT(OPTION_ALL), VERB_BOTH, REQUEST_HASH, run_hash, &layout_hash,
     "do all replicas have the same state?"},
    {"version", "", 0, 0, 0, VERB_ALONE, REQUEST_NONE, run_version, NULL, "the version of this tool"},
    {"help", "[VERB]", 0, 2, 0, VERB_ALONE, REQUEST_NONE, run_help, NULL, "the verbs, or how to use one"},
    {"completion", "bash", 1, 1, 0, VERB_ALONE, REQUEST_NONE, run_completion, NULL,
     "a script that teaches the shell the verbs"},
};
const size_t verbs_count = sizeof verbs / sizeof verbs[0];

/* Named by the design, and of a later version. */
static const char *const later[] = {
    "nodes safe-to-stop",
    "nodes add",
    "nodes remove",
    "shards top",
    "shards create",
    "shards retire",
    "shards pin",
    "shards unpin",
    "shards prefer",
    "shards promote",
    "shards demote",
    "leader history",
    "replica list",
    "replica add",
    "replica remove",
    "replica move",
    "replica rebuild",
    "rebalance",
    "drain",
    "undrain",
    "pause",
    "resume",
    "windows hold",
    "windows release",
    "log verify",
    "fsck",
    "backup take",
    "backup list",
    "backup verify",
    "backup restore",
    "recover collect",
    "recover plan",
    "recover apply",
    "recover verify",
    "doctor",
    "bench disk",
    "bench submit",
    "drill leader-kill",
    "drill pause",
    "drill partition",
    "op show",
    "op wait",
    "op cancel",
};
#define LATER_COUNT (sizeof later / sizeof later[0])
#define NAME_SIZE 96

/* "first second", or only the first. */
static void join(const char *const *words, size_t count, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "%.40s%s%.40s", words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
}

const struct cli_verb *verbs_find(const char *const *words, size_t count, size_t *used)
{
    char name[NAME_SIZE];

    for (size_t n = count < 2 ? count : 2; n > 0; n--) {
        join(words, n, name);
        for (size_t i = 0; i < verbs_count; i++) {
            if (strcmp(verbs[i].name, name) == 0) {
                *used = n;
                return &verbs[i];
            }
        }
    }
    return NULL;
}

static const char *find_later(const char *const *words, size_t count)
{
    char one[NAME_SIZE];
    char two[NAME_SIZE];

    join(words, 1, one);
    join(words, count, two);
    for (size_t i = 0; i < LATER_COUNT; i++) {
        if (strcmp(later[i], one) == 0 || strcmp(later[i], two) == 0) {
            return later[i];
        }
    }
    return NULL;
}

/* "list, show": the second words of a first one, when it is one. */
static size_t second_words(const char *first, char *out, size_t size)
{
    size_t n = strlen(first);
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < verbs_count && used < size; i++) {
        if (strncmp(verbs[i].name, first, n) == 0 && verbs[i].name[n] == ' ') {
            used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     verbs[i].name + n + 1);
        }
    }
    return used;
}

void verbs_explain(const char *const *words, size_t count, char *why, size_t why_size)
{
    const char *known[sizeof verbs / sizeof verbs[0]];
    char name[NAME_SIZE];
    char seconds[128];
    const char *near;

    join(words, count, name);
    near = find_later(words, count);
    if (near != NULL) {
        (void)snprintf(why, why_size, "'%s' is not available in this version", near);
        return;
    }
    for (size_t i = 0; i < verbs_count; i++) {
        known[i] = verbs[i].name;
    }
    /* A family's name alone, or with a word that is near to none of its own. */
    near = count > 1 ? words_nearest(name, known, verbs_count) : NULL;
    if (near == NULL && second_words(words[0], seconds, sizeof seconds) > 0) {
        (void)snprintf(why, why_size, "'%s' is followed by one of: %s", words[0], seconds);
        return;
    }
    near = near == NULL ? words_nearest(words[0], known, verbs_count) : near;
    if (near != NULL) {
        (void)snprintf(why, why_size, "unknown verb '%s': did you mean '%s'?", name, near);
    } else {
        (void)snprintf(why, why_size, "unknown verb '%s': 'shardgate help' lists them", name);
    }
}
