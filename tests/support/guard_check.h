/* How a guard is tested: the same scenario with it and without it. */
#ifndef TESTS_SUPPORT_GUARD_CHECK_H
#define TESTS_SUPPORT_GUARD_CHECK_H

#include <stdbool.h>

/* is_bad() plays the scenario and answers whether the bad thing happened. Fails
 * the test unless it does not happen with the guard and does without it. */
void guard_check(const char *bug, bool (*is_bad)(void));
/* Runs body in a child: does it end in an assertion, or never? For what libraft
 * asserts. SHARDGATE_TEST_VERBOSE shows its stderr. */
bool guard_child_dies(void (*body)(void));
/* No log lines from here on. */
void guard_be_quiet(void);

#endif
