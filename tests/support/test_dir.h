/* A directory of its own for one test. */
#ifndef TESTS_SUPPORT_TEST_DIR_H
#define TESTS_SUPPORT_TEST_DIR_H

#define TEST_DIR_SIZE 256

struct test_dir {
    char path[TEST_DIR_SIZE]; /* Absolute. */
};

/* A new, empty one under $TMPDIR (or /tmp). Aborts when that fails. */
void test_dir_make(struct test_dir *d);
/* Removes it with everything in it. */
void test_dir_remove(struct test_dir *d);

#endif
