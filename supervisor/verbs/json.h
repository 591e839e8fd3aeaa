/* Small helpers for verbs that answer with JSON. Private to supervisor/verbs. */
#ifndef SUPERVISOR_VERBS_JSON_H
#define SUPERVISOR_VERBS_JSON_H

#include <jansson.h>

#include "supervisor/node/call.h"
#include "supervisor/node/node_impl.h"
#include "supervisor/verbs/view.h"

/* Ends the call with the document; takes the reference. */
void call_document(struct call *c, json_t *document);
/* A view on a group of a lane, for a call.
 *
 *   call_view_init(), on the lane; false: the call has been answered
 *   call_view_begin(), on any thread: the read transaction. Unless it answers SG_OK,
 *     view.err and view.why are set, and there is nothing to end.
 *   ... a view ...
 *   call_view_end(), on the same thread */
struct call_view {
    struct view view;
    struct rows rows;
    struct kv_txn *txn;
    struct kv *kv;
};
bool call_view_init(struct call *c, struct call_view *v, struct lane *lane, uint64_t group);
MUST_USE enum sg_err call_view_begin(struct call_view *v);
void call_view_end(struct call_view *v);
/* A decimal argument; fallback when absent. false: malformed, the call has been answered. */
bool call_number(struct call *c, const char *name, uint64_t fallback, uint64_t *out);
/* "true" or absent. */
bool call_flag(const struct call *c, const char *name);

#endif
