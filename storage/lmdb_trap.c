#include "storage/lmdb_trap.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

#define STACK_SIZE 16384
#define LINE_SIZE 512

/* What this thread is doing inside of LMDB. */
struct doing {
    const char *store; /* NULL: nothing. */
    const char *op;
    enum kv_table table;
    struct span key;
    bool has_stack;
    uint8_t stack[STACK_SIZE]; /* For the handler: the thread's own may be what broke. */
};

static _Thread_local struct doing doing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Everything below runs in the handler: no memory, no locks, no stdio. */

static size_t put_text(char *line, size_t at, const char *text)
{
    for (; *text != '\0' && at < LINE_SIZE; text++) {
        line[at++] = *text;
    }
    return at;
}

static size_t put_digits(char *line, size_t at, int64_t value, int digits)
{
    char text[20];
    for (int i = digits; i-- > 0; value /= 10) {
        text[i] = (char)('0' + value % 10);
    }
    text[digits] = '\0';
    return put_text(line, at, text);
}

/* As every log line begins; days by the civil calendar. */
static size_t put_time(char *line, size_t at)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t days = now.tv_sec / 86400 + 719468; /* Since 0000-03-01. */
    int64_t era = days / 146097;
    int64_t of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    int64_t day = of_year - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10);
    month = month < 10 ? month + 3 : month - 9;
    int64_t second = now.tv_sec % 86400;
    at = put_digits(line, at, year, 4);
    at = put_digits(line, put_text(line, at, "-"), month, 2);
    at = put_digits(line, put_text(line, at, "-"), day, 2);
    at = put_digits(line, put_text(line, at, "T"), second / 3600, 2);
    at = put_digits(line, put_text(line, at, ":"), second / 60 % 60, 2);
    at = put_digits(line, put_text(line, at, ":"), second % 60, 2);
    at = put_digits(line, put_text(line, at, "."), now.tv_nsec / 1000000, 3);
    return put_text(line, at, "Z");
}

static size_t put_key(char *line, size_t at, struct span key)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < key.n && i < 64 && at + 2 < LINE_SIZE; i++) {
        line[at++] = digits[key.p[i] >> 4];
        line[at++] = digits[key.p[i] & 15];
    }
    return at;
}

/* The handler is gone already (SA_RESETHAND): the instruction traps again, and the
 * process ends as it would have without this. */
static void on_trap(int number)
{
    char line[LINE_SIZE + 1];
    if (doing.store == NULL) {
        return;
    }
    size_t n = put_time(line, 0);
    n = put_text(line, n, " error store.damaged store=");
    n = put_text(line, n, doing.store);
    n = put_text(line, n, " op=");
    n = put_text(line, n, doing.op);
    if (doing.table < KV_TABLES) {
        n = put_text(line, n, " table=");
        n = put_text(line, n, kv_table_name(doing.table));
        n = put_text(line, n, " key=");
        n = put_key(line, n, doing.key);
    }
    n = put_text(line, n, number == SIGBUS ? " signal=SIGBUS" : " signal=SIGSEGV");
    n = put_text(line, n, " why=\"a page of the store leads out of it: the process ends\"");
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written; /* There is nobody left to tell. */
}

static void set_handlers(void)
{
    struct sigaction action = {.sa_handler = on_trap, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    CHECK(sigemptyset(&action.sa_mask) == 0);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

void lmdb_trap_begin(const char *store, const char *op, enum kv_table table, struct span key)
{
    if (!doing.has_stack) {
        stack_t stack = {.ss_sp = doing.stack, .ss_size = sizeof(doing.stack)};
        stack_t own;
        CHECK(pthread_once(&once, set_handlers) == 0);
        CHECK(sigaltstack(NULL, &own) == 0);
        /* A sanitizer has given the thread one, and takes it back as the thread ends. */
        if ((own.ss_flags & SS_DISABLE) != 0) {
            CHECK(sigaltstack(&stack, NULL) == 0);
        }
        doing.has_stack = true;
    }
    doing.op = op;
    doing.table = table;
    doing.key = key;
    atomic_signal_fence(memory_order_seq_cst);
    doing.store = store;
}

void lmdb_trap_end(void)
{
    doing.store = NULL;
}
