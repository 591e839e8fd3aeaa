/* The language of tests/script/state: one line, one command or question about a
 * shard's state machine, and what it prints. Words are name=value; "/" starts
 * another transfer of one SUBMIT. For test_state_script.c. */
#ifndef TESTS_SUPPORT_STATE_SCRIPT_H
#define TESTS_SUPPORT_STATE_SCRIPT_H

#include "tests/support/state_rig.h"

#define SCRIPT_ARGS_MAX 64

struct script_args {
    char *name[SCRIPT_ARGS_MAX];
    char *value[SCRIPT_ARGS_MAX]; /* NULL: a name alone. */
    size_t count;
};

struct script {
    struct state_rig rig;
    struct arena arena; /* Of one line. */
    struct script_args args;
    struct bytes out;
};

/* The verb is args.name[0]. Exactly one of the two is set. */
struct script_verb {
    const char *name;
    void (*command)(struct script *s);
    enum sg_err (*question)(struct script *s, struct rows *rows);
};

/* Both end with an entry without a name. */
extern const struct script_verb script_commands[];
extern const struct script_verb script_questions[];

/* Takes line apart; args point into it. */
void script_split(char *line, struct script_args *args);
/* Of the group that starts at from. NULL: not given. */
const char *script_arg_from(const struct script_args *args, size_t from, const char *name);
const char *script_arg(const struct script *s, const char *name);
uint64_t script_number(const struct script *s, const char *name, uint64_t absent);
struct span script_text(const char *value);
struct day script_day(const char *value);
/* name=2026-11-23/ND */
struct window_id script_window_named(const struct script *s, const char *name);
struct window_id script_window(const struct script *s);

void script_print_result(struct script *s, const struct command_result *r);
/* With node=, and prints the result. */
void script_apply(struct script *s, struct command *c);

#endif
