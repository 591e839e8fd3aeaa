/* Checks that stay on in every build.
 *
 * CHECK states what must hold. When it does not, the program is broken and
 * stops before a bank sees the result: it prints the place and the condition
 * on stderr and calls abort(). Never use it for what bad input can cause. */
#ifndef PROTO_BASE_CHECK_H
#define PROTO_BASE_CHECK_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0)) {          \
            check_failed(__FILE__, __LINE__, #condition); \
        }                                                 \
    } while (0)

#define CHECK_IMPLIES(a, b) CHECK(!(a) || (b))

/* What a limit's author believes about other limits, tested by the compiler. */
#define CHECK_STATIC(condition, text) _Static_assert(condition, text)

#endif
