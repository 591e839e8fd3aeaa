/* Where the JSON values of a text begin and end, so that each can be judged by
 * itself and a bad one does not take the others with it. */
#ifndef SUPERVISOR_CLI_JSON_SPLIT_H
#define SUPERVISOR_CLI_JSON_SPLIT_H

#include "proto/base/bytes.h"

enum json_form {
    JSON_FORM_EMPTY,
    JSON_FORM_ONE,   /* One value, on however many lines. */
    JSON_FORM_ARRAY, /* The elements of one array. */
    JSON_FORM_LINES  /* One value a line. */
};

struct json_split {
    struct span text;
    enum json_form form;
    size_t at;   /* What comes next. */
    size_t line; /* Of at, from 1. */
    bool ended;
};

struct json_piece {
    struct span text; /* Without blanks around it. */
    size_t line;
    const char *fault; /* Why nothing behind this piece can be found; NULL: fine. */
};

/* Looks at the whole text to tell which form it is, behind a byte order mark if it
 * begins with one. text is borrowed. */
void json_split_init(struct json_split *s, struct span text);
/* The next value, or what stands in the place of one. false: the end. */
bool json_split_next(struct json_split *s, struct json_piece *out);

#endif
