/* Sealed files to the bank, exactly once. Private to shard/.
 *
 * The protocol is a machine of named steps for each file
 * (docs/upload.md; the numbers below are its steps). A step does one thing
 * that takes time (a bank request, a command, a rebuild) and its outcome names
 * the next step. What a step may be followed by stands in one table.
 *
 *   start -0-> probe -> rebuild -> claim -1-> witness -2-> put -3-> record -4-> look_final
 *     |            any doubt: start, with a new claim                             5 |
 *     +--- a live STAGED: ---------------------------------------------------------+
 *   look_final -> look_staged -> rename -6-> sync -7-> check_staged -8-> check_dead -9-> check_witness
 *   both there, twice: hold           there again: start |   there: abandoned |    there: uploaded 10
 *                                                                                   gone:  hold
 *   uploaded or abandoned -> clean -> verify -11-> clean -> verified -> ended
 *
 * Before STAGED is applied every doubt leads to a new CLAIM and a new name;
 * after it, every doubt leads to looking again: the staged copy T is the one
 * token, and whoever moves it first decides. The rename's own answer decides
 * nothing. One request of a shard is under way at a time; the lowest file that
 * is due goes first, so files go out in order and one that waits or is on hold
 * stops no other. */
#ifndef SHARD_UPLOAD_UPLOAD_H
#define SHARD_UPLOAD_UPLOAD_H

#include "shard/duties/duty.h"
#include "shard/upload/bank.h"
#include "shard/upload/status.h"

enum upload_step {
    UPLOAD_START,
    UPLOAD_PROBE,
    UPLOAD_REBUILD,
    UPLOAD_CLAIM,
    UPLOAD_WITNESS,
    UPLOAD_PUT,
    UPLOAD_RECORD,
    UPLOAD_LOOK_FINAL,
    UPLOAD_LOOK_STAGED,
    UPLOAD_RENAME,
    UPLOAD_SYNC,
    UPLOAD_CHECK_STAGED,
    UPLOAD_CHECK_DEAD,
    UPLOAD_CHECK_WITNESS,
    UPLOAD_UPLOADED,
    UPLOAD_ABANDONED,
    UPLOAD_HOLD,
    UPLOAD_CLEAN,
    UPLOAD_VERIFY,
    UPLOAD_VERIFIED,
    UPLOAD_ENDED,
    UPLOAD_STEPS
};
const char *upload_step_name(enum upload_step s);
/* A look at the rows (start) is allowed from anywhere. */
bool upload_may_follow(enum upload_step from, enum upload_step to);

/* One file at work; file 0 stands for probing the endpoint. */
struct upload {
    struct uploads *uploads;
    struct upload *next; /* Ascending by file. */
    uint64_t file;
    enum upload_step step;
    uint64_t due_ms; /* Monotonic: not before. */
    uint32_t tries;  /* Failures in a row. */
    bool alerted;
    uint64_t decided;  /* What the next step rests on was applied by then (I-17). */
    uint64_t waits_ms; /* Monotonic: since when a majority has not confirmed that; 0: it has. */
    /* Whose endpoint its requests go to; NULL at start. Those that the attempt was
     * claimed under, whatever was changed since: its names are there. */
    struct duty_settings *settings;
    bool is_placed; /* The attempt knows them; else they are those of the start. */
    /* From the rows, at start: */
    uint64_t attempt;                  /* What is staged; of an ended file the last that was. 0: none. */
    uint64_t attempt_settings;         /* That it was claimed under; 0: not known. */
    bool cancel;                       /* It must not be delivered: T goes to D. */
    bool is_resolving;                 /* An operator has ended its hold. */
    bool is_proved;                    /* It ended by the evidence that the bank got our copy. */
    int64_t ended_ms;                  /* 0: not yet. */
    char name[FILE_NAME_SIZE_MAX + 1]; /* F */
    uint64_t size_bytes;
    struct sha256 sha256;
    /* Between steps: */
    struct bytes data;           /* From rebuild to put. */
    bool is_final_there;         /* look_final saw F. */
    bool were_both_there;        /* And look_staged saw T, then. */
    bool is_over;                /* verify_window has passed. */
    struct attempt_row *garbage; /* What clean found, ascending; see after.c. */
    size_t garbage_count, garbage_at;
    bool is_copy_cleaned;            /* T or D of the next one is gone, W is not yet. */
    char reason[BANK_TEXT_SIZE];     /* Of a HOLD. */
    char last_error[BANK_TEXT_SIZE]; /* "" when none. */
};

struct upload_step_ops;

struct uploads {
    struct duty_env *env;
    const struct upload_step_ops *const *steps; /* By enum upload_step. */
    struct task timer;
    struct upload *head;
    size_t count;
    bool has_more;   /* UPLOADS_OPEN_MAX left some out. */
    bool is_probed;  /* The endpoint keeps the promise, as far as this leader tried. */
    bool is_pending; /* A request, command or rebuild is under way: */
    uint64_t pending_file;
};

void uploads_init(struct uploads *us, struct duty_env *env);
void uploads_start(struct uploads *us);
void uploads_stop(struct uploads *us);
/* Take up files that need something done, and go on. */
void uploads_look(struct uploads *us);
/* A person changed something (settings, cancel, resolve): look at the rows and
 * at the endpoint again, without waiting for back-offs. What is under way in
 * other directories than the settings now name begins anew when it is back. */
void uploads_retry(struct uploads *us);
/* A majority has the rows that were waited for. */
void uploads_confirmed(struct uploads *us);
/* The first file that is on its way to the bank without trouble so far; 0: none. */
uint64_t uploads_under_way(const struct uploads *us);
/* Up to max, those that are under way or in trouble first; returns how many. Texts are borrowed until the loop goes on. */
size_t uploads_status(const struct uploads *us, struct shard_upload_status *out, size_t max);

#endif
