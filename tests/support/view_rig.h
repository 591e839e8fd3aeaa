/* A small shard to look at through the views of supervisor/verbs: its rows, a view over them, and
 * short ways to what a view answers. Whatever goes wrong fails the test. */
#ifndef TESTS_SUPPORT_VIEW_RIG_H
#define TESTS_SUPPORT_VIEW_RIG_H

#include "supervisor/verbs/view.h"
#include "tests/support/state_rig.h"

#define NOT_TEXT "\xff\xfe\x01 bytes" /* What people gave as reasons. */

struct view_rig {
    struct state_rig rig;
    struct rows rows;
    struct view view;
};

/* Four transfers, a fifth cancelled, one window closed by hand, with this deadline
 * (0: none), and sealed into file 1. The view is open. */
void view_rig_open(struct view_rig *s, int64_t upload_by_ms);
void view_rig_close(struct view_rig *s);

/* Commands are applied while the view is not open. */
void view_rig_begin(struct view_rig *s);
void view_rig_end(struct view_rig *s);
struct command_result view_rig_apply(struct view_rig *s, struct command *c);
void view_rig_submit(struct view_rig *s, const struct transfer *transfers, size_t count);
struct command view_rig_file_command(enum command_kind kind, uint64_t file, uint64_t attempt,
                                     const char *reason);
/* Of the sample: SD1 of 2026-11-23. */
struct window_id view_rig_window(void);

/* Of a JSON object: a text, a number, the i-th of a list. Borrowed. */
const char *view_rig_text(json_t *o, const char *key);
json_int_t view_rig_number(json_t *o, const char *key);
json_t *view_rig_item(json_t *o, const char *list, size_t i);

#endif
