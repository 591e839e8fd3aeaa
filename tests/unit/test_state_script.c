/* The state machine by scripts: tests/script/state/<name>.txt.
 *
 * A script is blocks, separated by a blank line: commands, a line "----", and
 * what they must print. Lines that start with # are comments. With
 * SHARDGATE_REWRITE=1 in the environment the outputs are written anew: review
 * the difference. The language: tests/support/state_script.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/state_script.h"

static const struct script_verb *find_verb(const struct script_verb *verbs, const char *name)
{
    while (verbs->name != NULL && strcmp(verbs->name, name) != 0) {
        verbs++;
    }
    return verbs->name == NULL ? NULL : verbs;
}

static void ask(struct script *s, const struct script_verb *verb)
{
    struct rows rows;
    state_rig_read(&s->rig, &rows);
    enum sg_err err = verb->question(s, &rows);
    state_rig_read_end(&rows);
    if (err != SG_OK) {
        bytes_printf(&s->out, "%s\n", sg_err_name(err));
    }
}

static void run_line(struct script *s, const char *line)
{
    char *copy = mem_strdup(line);
    script_split(copy, &s->args);
    assert_true(s->args.count > 0);
    const struct script_verb *command = find_verb(script_commands, s->args.name[0]);
    const struct script_verb *question = find_verb(script_questions, s->args.name[0]);
    if (command != NULL) {
        command->command(s);
    } else if (question != NULL) {
        ask(s, question);
    } else {
        fail_msg("no such verb: %s", line);
    }
    arena_reset(&s->arena);
    mem_free(copy);
}

static struct bytes read_all(const char *path)
{
    struct bytes b = BYTES_NONE;
    uint8_t buffer[4096];
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail_msg("cannot read %s", path);
    }
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), f)) > 0;) {
        bytes_append(&b, buffer, n);
    }
    fclose(f);
    bytes_append(&b, "", 1);
    return b;
}

static void write_all(const char *path, const struct bytes *b)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(b->p, 1, b->n, f), b->n);
    assert_int_equal(fclose(f), 0);
}

/* Cuts the line off text. */
static char *next_line(char **text)
{
    char *line = *text;
    char *end = strchr(line, '\n');
    if (end == NULL) {
        *text = line + strlen(line);
    } else {
        *end = 0;
        *text = end + 1;
    }
    return line;
}

/* Runs the block at *text, copies it with its real output, and compares. */
static void run_block(struct script *s, const char *path, char **text, struct bytes *copy, bool rewrite)
{
    struct bytes expected = BYTES_NONE;
    const char *last = "";
    bytes_clear(&s->out);
    for (char *line; **text != 0 && strcmp(line = next_line(text), "----") != 0;) {
        bytes_printf(copy, "%s\n", line);
        if (line[0] != 0 && line[0] != '#') {
            last = line;
            run_line(s, line);
        }
    }
    for (char *line; **text != 0 && *(line = next_line(text)) != 0;) {
        bytes_printf(&expected, "%s\n", line);
    }
    bytes_printf(copy, "----\n");
    bytes_append_span(copy, span_bytes(&s->out));
    if (!rewrite && !span_eq(span_bytes(&expected), span_bytes(&s->out))) {
        fail_msg("%s, block that ends with '%s'\nexpected:\n%.*s\nfound:\n%.*s", path, last, (int)expected.n,
                 expected.n > 0 ? (const char *)expected.p : "", (int)s->out.n,
                 s->out.n > 0 ? (const char *)s->out.p : "");
    }
    bytes_release(&expected);
}

static void run_script(void **state)
{
    const char *path = *state;
    bool rewrite = getenv("SHARDGATE_REWRITE") != NULL;
    struct script s = {.arena = ARENA_INIT};
    struct bytes content = read_all(path);
    struct bytes copy = BYTES_NONE;
    char *text = (char *)content.p;
    state_rig_init(&s.rig);
    while (*text != 0) {
        run_block(&s, path, &text, &copy, rewrite);
        if (*text != 0) {
            bytes_printf(&copy, "\n");
        }
    }
    if (rewrite) {
        write_all(path, &copy);
    }
    state_rig_release(&s.rig);
    arena_release(&s.arena);
    bytes_release(&s.out);
    bytes_release(&content);
    bytes_release(&copy);
}

#define SCRIPT(name)                                                                            \
    {                                                                                           \
        name, run_script, NULL, NULL, (void *)(SHARDGATE_TEST_DIR "/script/state/" name ".txt") \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRIPT("submit"), SCRIPT("cancel"), SCRIPT("settings"), SCRIPT("windows"),
        SCRIPT("seal"),   SCRIPT("upload"), SCRIPT("file_end"), SCRIPT("level"),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
