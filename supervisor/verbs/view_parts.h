/* Shared by the views. Private to the views. */
#ifndef SUPERVISOR_VERBS_VIEW_PARTS_H
#define SUPERVISOR_VERBS_VIEW_PARTS_H

#include "shard/ach/name.h"
#include "supervisor/verbs/view.h"

size_t view_limit(const struct view *v);
/* Takes rows; {"v":1,key:rows,"next","more"}. */
json_t *view_page(const char *key, json_t *rows, uint64_t next, bool more);
/* Notes the error; always false. */
bool view_fail(struct view *v, enum sg_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Name of a node, or its number as text in buffer. */
const char *view_node(const struct view *v, uint64_t id, char buffer[24]);
/* A file's row as the list shows it; NULL with v->err. */
json_t *view_file_row(struct view *v, const struct file_row *f);
/* "2026-11-23 SD1" */
json_t *view_window_name(const struct window_id *w);

#endif
