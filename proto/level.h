/* The level of formats and rules (docs/upgrade.md).
 *
 * What is replicated must come out the same on every replica, whatever program
 * each of them runs. So everything that a later program does otherwise (a field
 * of a command, row or object of the catalog, a rule of what is accepted, a byte
 * of a file) belongs to a level: it happens only under commands that say this
 * level or a higher one. A shard's level moves by a command of its own log
 * (COMMAND_LEVEL), which its leader proposes when the catalog's level has moved,
 * which happens when every node speaks it.
 *
 *   level  first program  what came with it
 *   1      0.1.0          everything before there were levels
 *   2      0.2.0          levels themselves; events as kind and fields; in the
 *                         catalog: which levels a node speaks, finalize_after;
 *                         WINDOW_DONE looks at the first pending transfers only
 *
 * A new level: raise LEVEL_MAX (limits.h), give it its program in level_program(), a row
 * here, and ask `level >= N` wherever the two differ. The old side goes when
 * LEVEL_MIN passes it, at the earliest one level later: nodes of two programs
 * one level apart run side by side. */
#ifndef PROTO_LEVEL_H
#define PROTO_LEVEL_H

#include <stdint.h>

#include "proto/base/limits.h"

/* Levels with names, for `level >= N`. */
#define LEVEL_EVENT_FIELDS 2u   /* Events hold fields, not sentences. */
#define LEVEL_CATALOG 2u        /* The catalog knows levels. */
#define LEVEL_ATTEMPT_PLACE 2u  /* An attempt knows the settings it was claimed under. */
#define LEVEL_PROOF 2u          /* Every node proves that it hears at its configured address. */
#define LEVEL_SETTINGS_TIME 2u  /* The counters say when the settings came into force. */
#define LEVEL_COMPARE 2u        /* Replicas answer for their rows (I-17); applied rows hold the set hash. */
#define LEVEL_READ 2u           /* Leaders ask a majority before they answer questions. */
#define LEVEL_ACCOUNT_BLANKS 2u /* An account may be typed with blanks, which go. */
#define LEVEL_ORIGIN_ZEROS 2u   /* An immediate origin of zeros, as some banks ask for it. */
#define LEVEL_RELEASE 2u        /* Held windows can be released; windows say what they left behind. */
/* A file's dates are counted from the day of sealing, its batches are what their
 * headers say, only names and descriptions are put in upper case. */
#define LEVEL_WRITTEN 2u

/* Before a window is done only its first pending transfers are looked at once more. */
#define LEVEL_DONE_LOOK 2u

/* The first program that speaks a level, "0.2.0"; NULL: not known to this one. */
const char *level_program(uint32_t level);

#endif
