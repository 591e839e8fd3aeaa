/* What people and scripts see: rows as JSON, by the names that docs fix (cli).
 *
 * Used by a node (beside live figures) and by the tool on a node's files, so
 * both print the same. Every function returns a new reference to an object
 * with "v":1, or NULL with *err set (SG_NOTFOUND, SG_CORRUPT, SG_IO) and why.
 *
 * Unless reveal, an account number is six stars and its last four characters, and
 * six stars alone if it has fewer than eight. */
#ifndef SUPERVISOR_VERBS_VIEW_H
#define SUPERVISOR_VERBS_VIEW_H

#include <jansson.h>

#include "shard/shard.h"

/* Where to read from, and how to say why not. */
struct view {
    struct rows *rows; /* A read transaction on the shard's group. */
    struct aba routing_number;
    bool reveal;
    size_t limit;     /* Rows; 0: LIST_ROWS_DEFAULT. */
    const char *node; /* Name of the node that answers; NULL: none (offline). */
    uint64_t term;    /* The one this replica has stored, when there are no live figures; 0: unknown. */
    int64_t now_ms;   /* Wall clock, for what is overdue; 0: nobody can say (offline). */
    enum sg_err err;  /* Set when a function returns NULL. */
    char why[384];    /* What, why, what to do next. */
    /* The name of a node id, or NULL. */
    const char *(*node_name)(void *impl, uint64_t id);
    void *impl;
};

/* What a request asks a view for; the spans are the request's. */
struct view_args {
    struct span id, file, state;
    uint64_t from, to;
    const struct shard_status *live; /* Of a running node; NULL offline. */
};
/* from and to are left to the caller, who says why a number is none: 0, UINT64_MAX. */
struct view_args view_args_of(const struct request *r);

/* One of both. The caller releases them. */
struct view_answer {
    json_t *document;
    struct bytes data;
};

/* transfers show ID: the transfer with its state, file, trace number. */
json_t *view_transfer(struct view *v, struct span id);
/* Lists are given in pages (shard/state/state.h): "next" is the `from` of the next page
 * and "more" whether there is one; a page may have fewer rows than asked for, or none. */

/* transfers list: {"v":1,"transfers":[...],"next":SEQ,"more":BOOL}; state may be empty. */
json_t *view_transfers(struct view *v, uint64_t after_seq, struct span state);
/* transfers trace ID: {"v":1,"id",...,"steps":[{"time","what","index"...}]}: from acceptance to the bank. */
json_t *view_trace(struct view *v, struct span id);
/* Newest first; before: 0, or "next" of the page before. */
json_t *view_windows(struct view *v, uint64_t before);
/* files list: as fixed: {"v":1,"files":[{"id","name","window","state",...}],"next","more"}. */
json_t *view_files(struct view *v, uint64_t before);
/* F is a file's number or its name. */
json_t *view_file(struct view *v, struct span file);
/* files get: the bytes, rebuilt and compared; true or false with v->err. */
bool view_file_bytes(struct view *v, struct span file, struct bytes *out);
/* files verify: {"v":1,"id","name","ok":true,"sha256",...,"checks":[...]}; a
 * difference is "ok":false with the reason, not an error. */
json_t *view_file_verify(struct view *v, struct span file);
/* The number of a file given as number or name; 0 with v->err. */
uint64_t view_file_number(struct view *v, struct span file);
/* events: {"v":1,"events":[{"cursor","time","kind","subject","text","index"}],"next":CURSOR,"more","last":CURSOR}:
 * last is that of the newest there is. Cursors have no gaps. */
json_t *view_events(struct view *v, uint64_t after);
/* log dump: {"v":1,"first","last","entries":[{"index","term","type","command","time","node","summary","bytes"}],
 * "next":INDEX,"more"}. */
json_t *view_log(struct view *v, uint64_t from, uint64_t to);
/* shards show: as fixed; live may be NULL (offline: leader null, term as
 * stored, roles unknown). */
json_t *view_shard(struct view *v, const struct shard_status *live);
/* hash: {"v":1,"node","routing_number","applied_index","digest"}; node null offline. */
json_t *view_hash(struct view *v);

/* RFC 3339 in UTC; null for 0. */
json_t *view_time(int64_t unix_ms);
/* Whatever came from outside, a file or another node: printable ASCII as it is,
 * anything else as '?'. (jansson refuses what is not UTF-8, a request echoed in
 * an answer must not.) */
json_t *view_text(struct span s);
json_t *view_number(uint64_t n);
/* Takes value. */
void view_add(json_t *object, const char *key, json_t *value);
/* Takes value, at the end of the list. */
void view_append(json_t *list, json_t *value);

#endif
