/* Load on a cluster's client port: N clients, each with one request of M
 * transfers in flight, for a time or until a number of transfers is done.
 *
 * A request that fails is repeated with the same ids (it folds), so that every
 * transfer counts once. Prints one JSON object. Exit status 0: every transfer was
 * accepted. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/client.h"
#include "proto/base/loop.h"
#include "proto/base/mem.h"
#include "supervisor/client/connection.h"
#include "tests/bench/latency.h"

#define ADDRESSES_MAX 16
#define CONNECTIONS_MAX 1024
#define SHARDS_MAX 20000
#define PAUSE_MS 5 /* Before a failed request is repeated. */

struct options {
    const char *addresses[ADDRESSES_MAX];
    size_t addresses_count;
    struct aba *shards;
    size_t shards_count;
    const char *originator;
    char prefix[TRANSFER_ID_SIZE_MAX / 2];
    unsigned clients, connections, transfers;
    double seconds;
    uint64_t count;
    unsigned warmup_ms, timeout_ms;
    uint32_t rdfi;
};

struct bench;

struct client {
    struct connection_call call;
    struct bench *bench;
    unsigned connection; /* Index; moves on when it fails. */
    struct client *next_waiting;
    struct transfer *transfers;
    char (*ids)[TRANSFER_ID_SIZE_MAX + 1];
    struct arena arena;
    struct bytes request;
    uint64_t sequence, start_us;
    unsigned number;
};

struct bench {
    struct options options;
    struct connection *connections[CONNECTIONS_MAX];
    unsigned connections_count;
    struct client *clients;
    struct latency latency;
    _Atomic uint64_t started, requests, accepted, folded, rejected, last_us, longest_gap_us;
    _Atomic uint64_t errors[SG_ERRS];
    _Atomic bool measuring, stopping;
    uint64_t request_bytes;
    pthread_mutex_t lock; /* Of what follows. */
    pthread_cond_t changed;
    struct client *waiting; /* To repeat their request. */
    unsigned active;
    char reason[256]; /* Of the first rejection or failure. */
};

static void note_reason(struct bench *b, struct span reason)
{
    (void)pthread_mutex_lock(&b->lock);
    if (b->reason[0] == '\0') {
        (void)span_cstr(reason, b->reason, sizeof(b->reason));
    }
    (void)pthread_mutex_unlock(&b->lock);
}

/* --- Requests -------------------------------------------------------------- */

static void build_request(struct client *c)
{
    const struct options *o = &c->bench->options;
    struct aba shard = o->shards[(c->number + c->sequence * o->clients) % o->shards_count];
    for (unsigned i = 0; i < o->transfers; i++) {
        struct transfer *t = &c->transfers[i];
        int n = snprintf(c->ids[i], sizeof(c->ids[i]), "%s-%u-%" PRIu64 "-%u", o->prefix, c->number,
                         c->sequence, i);
        CHECK(n > 0);
        *t = (struct transfer){
            .id = span_of(c->ids[i], (size_t)n),
            .routing_number = shard,
            .originator = span_str(o->originator),
            .sec = SEC_PPD,
            .entry_description = span_str("PAYROLL"),
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {o->rdfi},
            .account = span_str("123456789012"),
            .amount = {(int64_t)(100 + (c->sequence + i) % 100000)},
            .name = span_str("EXAMPLE RECEIVER"),
            .individual_id = span_str("EMPLOYEE-000042"),
            .effective_date = DAY_NONE,
        };
    }
    const struct request request = {
        .kind = REQUEST_SUBMIT,
        .routing_number = shard,
        .timeout_ms = o->timeout_ms,
        .transfers = c->transfers,
        .transfers_count = o->transfers,
    };
    bytes_clear(&c->request);
    request_encode(&request, &c->request);
}

static void send_request(struct client *c)
{
    connection_send(c->bench->connections[c->connection], &c->call, span_bytes(&c->request),
                    c->bench->options.timeout_ms);
}

/* False when there is nothing more to do. */
static bool next_request(struct client *c)
{
    struct bench *b = c->bench;
    uint64_t taken = atomic_fetch_add(&b->started, b->options.transfers);
    if (b->stopping || (b->options.count > 0 && taken >= b->options.count)) {
        return false;
    }
    c->sequence++;
    build_request(c);
    c->start_us = clock_us();
    return true;
}

static void client_ends(struct bench *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->active--;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void client_waits(struct client *c)
{
    struct bench *b = c->bench;
    (void)pthread_mutex_lock(&b->lock);
    c->next_waiting = b->waiting;
    b->waiting = c;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void count_results(struct bench *b, const struct reply *reply)
{
    uint64_t counts[OUTCOMES] = {0};
    for (size_t i = 0; i < reply->results_count; i++) {
        counts[reply->results[i].outcome]++;
        if (reply->results[i].outcome == OUTCOME_REJECTED) {
            note_reason(b, reply->results[i].reason);
        }
    }
    b->accepted += counts[OUTCOME_ACCEPTED];
    b->folded += counts[OUTCOME_FOLDED];
    b->rejected += counts[OUTCOME_REJECTED];
    b->requests++;
}

static void count_time(struct client *c)
{
    struct bench *b = c->bench;
    uint64_t now = clock_us();
    uint64_t before = atomic_exchange(&b->last_us, now);
    latency_add(&b->latency, now - c->start_us);
    uint64_t gap = now > before && before != 0 ? now - before : 0;
    uint64_t longest = b->longest_gap_us;
    while (gap > longest && !atomic_compare_exchange_weak(&b->longest_gap_us, &longest, gap)) {
    }
}

static void on_done(struct connection_call *call, enum sg_err err, struct span data)
{
    struct client *c = CONTAINER_OF(call, struct client, call);
    struct bench *b = c->bench;
    struct reply reply = {.err = err};
    arena_reset(&c->arena);
    if (err == SG_OK && reply_decode(data, &c->arena, &reply) != SG_OK) {
        reply.err = SG_CORRUPT;
    }
    if (reply.err != SG_OK) {
        b->errors[reply.err]++;
        note_reason(b, reply.text);
        client_waits(c); /* Not from here: this may be inside connection_send(). */
        return;
    }
    if (b->measuring) {
        count_results(b, &reply);
        count_time(c);
    }
    if (next_request(c)) {
        send_request(c);
    } else {
        client_ends(b);
    }
}

/* --- The run --------------------------------------------------------------- */

static void on_connection(void *impl)
{
    struct bench *b = impl;
    (void)pthread_mutex_lock(&b->lock);
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void wait_ms(struct bench *b, unsigned ms)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += (long)ms * 1000000;
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&b->lock);
    (void)pthread_cond_timedwait(&b->changed, &b->lock, &limit);
    (void)pthread_mutex_unlock(&b->lock);
}

static bool connect_all(struct bench *b)
{
    const struct options *o = &b->options;
    char why[300];
    for (unsigned i = 0; i < o->connections; i++) {
        const char *address = o->addresses[i % o->addresses_count];
        if (connection_new(address, on_connection, b, &b->connections[i], why, sizeof(why)) != SG_OK) {
            (void)fprintf(stderr, "load: %s\n", why);
            return false;
        }
        b->connections_count++;
    }
    uint64_t limit_us = clock_us() + 10 * 1000000ull;
    for (unsigned i = 0; i < b->connections_count; i++) {
        while (!connection_is_up(b->connections[i]) && clock_us() < limit_us) {
            wait_ms(b, PAUSE_MS);
        }
        if (!connection_is_up(b->connections[i])) {
            (void)fprintf(stderr, "load: no connection to %s\n", o->addresses[i % o->addresses_count]);
            return false;
        }
    }
    return true;
}

static void clients_start(struct bench *b)
{
    const struct options *o = &b->options;
    unsigned connections = b->connections_count;
    CHECK(connections > 0);
    struct client *clients = mem_zalloc(o->clients, sizeof(*clients));
    b->clients = clients;
    b->active = o->clients;
    for (unsigned i = 0; i < o->clients; i++) {
        struct client *c = &clients[i];
        c->bench = b;
        c->number = i;
        c->call.done = on_done;
        c->connection = i % connections;
        c->transfers = mem_zalloc(o->transfers, sizeof(*c->transfers));
        c->ids = mem_zalloc(o->transfers, sizeof(*c->ids));
        if (next_request(c)) {
            send_request(c);
        } else {
            client_ends(b);
        }
    }
}

/* Repeat what failed. Returns how many clients are still at it. */
static unsigned clients_serve(struct bench *b)
{
    (void)pthread_mutex_lock(&b->lock);
    struct client *c = b->waiting;
    b->waiting = NULL;
    unsigned active = b->active;
    (void)pthread_mutex_unlock(&b->lock);
    while (c != NULL) {
        struct client *next = c->next_waiting;
        if (b->stopping) {
            client_ends(b);
        } else {
            c->connection = (c->connection + 1) % b->connections_count;
            send_request(c);
        }
        c = next;
    }
    return active;
}

/* Returns the measured time in seconds. */
static double run(struct bench *b)
{
    uint64_t begin_us = clock_us();
    uint64_t measure_us = begin_us + (uint64_t)b->options.warmup_ms * 1000;
    uint64_t end_us = b->options.count > 0 ? UINT64_MAX : measure_us + (uint64_t)(b->options.seconds * 1e6);
    b->measuring = b->options.warmup_ms == 0;
    clients_start(b);
    while (clients_serve(b) > 0) {
        uint64_t now = clock_us();
        if (!b->measuring && !b->stopping && now >= measure_us) {
            measure_us = now;
            b->measuring = true;
        }
        if (now >= end_us && !b->stopping) {
            b->measuring = false;
            end_us = now;
            b->stopping = true;
        }
        wait_ms(b, PAUSE_MS);
    }
    return (double)((end_us == UINT64_MAX ? clock_us() : end_us) - measure_us) / 1e6;
}

static json_t *errors_json(struct bench *b)
{
    json_t *errors = json_object();
    for (int i = 1; i < SG_ERRS; i++) {
        if (b->errors[i] > 0) {
            (void)json_object_set_new(errors, sg_err_name((enum sg_err)i),
                                      json_integer((json_int_t)b->errors[i]));
        }
    }
    return errors;
}

static void print_result(struct bench *b, double seconds)
{
    const struct options *o = &b->options;
    double done = (double)(b->accepted + b->folded);
    CHECK(b->clients != NULL);
    json_t *result = json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:f, s:o, s:s}", "v", 1,
        "clients", (int)o->clients, "connections", (int)b->connections_count, "transfers_per_request",
        (int)o->transfers, "shards", (int)o->shards_count, "seconds", seconds, "requests",
        (json_int_t)b->requests, "accepted", (json_int_t)b->accepted, "folded", (json_int_t)b->folded,
        "rejected", (json_int_t)b->rejected, "bytes_per_transfer",
        (json_int_t)(b->clients[0].request.n / o->transfers), "transfers_per_second", done / seconds,
        "requests_per_second", (double)b->requests / seconds, "latency_us", latency_json(&b->latency),
        "longest_gap_ms", (double)b->longest_gap_us / 1000, "errors", errors_json(b), "reason", b->reason);
    CHECK(result != NULL);
    (void)json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    (void)putchar('\n');
    json_decref(result);
}

static void bench_release(struct bench *b)
{
    for (unsigned i = 0; i < b->connections_count; i++) {
        connection_free(b->connections[i]);
    }
    for (unsigned i = 0; b->clients != NULL && i < b->options.clients; i++) {
        mem_free(b->clients[i].transfers);
        mem_free(b->clients[i].ids);
        bytes_release(&b->clients[i].request);
        arena_release(&b->clients[i].arena);
    }
    mem_free(b->clients);
    mem_free(b->options.shards);
}

/* --- Command line ---------------------------------------------------------- */

static int usage(const char *why)
{
    (void)fprintf(
        stderr,
        "load: %s\n"
        "usage: load --connect ADDR[,ADDR...] --shards ABA[,ABA...] [--originator NAME] [--rdfi ABA]\n"
        "            [--clients N] [--connections N] [--transfers M] [--seconds T | --count K]\n"
        "            [--warmup-ms MS] [--timeout-ms MS] [--prefix TEXT]\n",
        why);
    return 2;
}

static bool parse_shards(struct options *o, char *list)
{
    char *rest = NULL;
    o->shards = mem_zalloc(SHARDS_MAX, sizeof(*o->shards));
    for (char *text = strtok_r(list, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
        if (o->shards_count == SHARDS_MAX ||
            aba_parse(span_str(text), &o->shards[o->shards_count++], NULL) != SG_OK) {
            return false;
        }
    }
    return o->shards_count > 0;
}

static void parse_addresses(struct options *o, char *list)
{
    char *rest = NULL;
    for (char *text = strtok_r(list, ",", &rest); text != NULL && o->addresses_count < ADDRESSES_MAX;
         text = strtok_r(NULL, ",", &rest)) {
        o->addresses[o->addresses_count++] = text;
    }
}

static bool parse_option(struct options *o, int option, char *value)
{
    struct aba rdfi;
    switch (option) {
    case 'a':
        parse_addresses(o, value);
        return o->addresses_count > 0;
    case 's':
        return o->shards == NULL && parse_shards(o, value);
    case 'o':
        o->originator = value;
        return true;
    case 'r':
        o->rdfi = aba_parse(span_str(value), &rdfi, NULL) == SG_OK ? rdfi.n : 0;
        return o->rdfi != 0;
    case 'p':
        (void)snprintf(o->prefix, sizeof(o->prefix), "%s", value);
        return true;
    case 'c':
        o->clients = (unsigned)strtoul(value, NULL, 10);
        return o->clients > 0;
    case 'n':
        o->connections = (unsigned)strtoul(value, NULL, 10);
        return o->connections > 0 && o->connections <= CONNECTIONS_MAX;
    case 'm':
        o->transfers = (unsigned)strtoul(value, NULL, 10);
        return o->transfers > 0 && o->transfers <= REQUEST_TRANSFERS_MAX;
    case 't':
        o->seconds = strtod(value, NULL);
        return o->seconds > 0;
    case 'k':
        o->count = strtoull(value, NULL, 10);
        return o->count > 0;
    case 'w':
        o->warmup_ms = (unsigned)strtoul(value, NULL, 10);
        return true;
    case 'x':
        o->timeout_ms = (unsigned)strtoul(value, NULL, 10);
        return o->timeout_ms > 0;
    default:
        return false;
    }
}

static bool parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"connect", required_argument, NULL, 'a'},
        {"shards", required_argument, NULL, 's'},
        {"originator", required_argument, NULL, 'o'},
        {"rdfi", required_argument, NULL, 'r'},
        {"prefix", required_argument, NULL, 'p'},
        {"clients", required_argument, NULL, 'c'},
        {"connections", required_argument, NULL, 'n'},
        {"transfers", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'k'},
        {"warmup-ms", required_argument, NULL, 'w'},
        {"timeout-ms", required_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (!parse_option(o, option, optarg)) {
            return false;
        }
    }
    if (o->connections == 0) {
        unsigned most = 4 * (unsigned)o->addresses_count;
        o->connections = o->clients < most ? o->clients : most;
    }
    if (o->count > 0) {
        o->warmup_ms = 0; /* All of them are measured. */
    }
    return optind == argc && o->addresses_count > 0 && o->shards_count > 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {
        .options = {.originator = "acme",
                    .clients = 1,
                    .transfers = 1,
                    .seconds = 5,
                    .timeout_ms = REQUEST_TIMEOUT_MS,
                    .rdfi = 121042882},
    };
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(b.options.prefix, sizeof(b.options.prefix), "load-%llx%05lx",
                   (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec >> 12);
    if (!parse(&b.options, argc, argv)) {
        return usage("bad or missing option");
    }
    CHECK(pthread_mutex_init(&b.lock, NULL) == 0);
    CHECK(pthread_cond_init(&b.changed, NULL) == 0);
    int status = 1;
    if (connect_all(&b)) {
        double seconds = run(&b);
        print_result(&b, seconds);
        status = b.rejected == 0 && b.accepted + b.folded > 0 ? 0 : 1;
    }
    bench_release(&b);
    return status;
}
