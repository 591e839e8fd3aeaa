/* Load through the public client library: N threads of one program share one
 * handle; each submits one transfer, waits for its answer, and goes on. That is
 * how a payment service embeds the library. Prints one JSON object, in the form
 * of load.c. Exit status 0: every transfer was accepted. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "shardgate/client.h"
#include "tests/bench/latency.h"

#define CALLERS_MAX 4096
#define STACK_SIZE_BYTES (256u << 10)

struct bench {
    struct shardgate_client *client;
    const char *addresses, *shard, *originator, *prefix;
    unsigned clients;
    double seconds;
    unsigned warmup_ms;
    struct latency latency;
    uint64_t from_us, until_us; /* What is counted. */
    _Atomic uint64_t failed;
    _Atomic unsigned next;
};

static bool submit_one(struct bench *b, unsigned number, uint64_t sequence)
{
    char id[64];
    struct shardgate_result result = SHARDGATE_RESULT_INIT;
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    (void)snprintf(id, sizeof id, "%s-%u-%" PRIu64, b->prefix, number, sequence);
    const struct shardgate_transfer t = {
        .struct_size = sizeof t,
        .id = id,
        .routing_number = b->shard,
        .originator = b->originator,
        .sec = "PPD",
        .entry_description = "PAYROLL",
        .side = "credit",
        .account_type = "checking",
        .rdfi = "121042882",
        .account = "123456789012",
        .amount_cents = (int64_t)(100 + sequence % 100000),
        .name = "EXAMPLE RECEIVER",
        .individual_id = "EMPLOYEE-000042",
    };
    int err = shardgate_client_submit(b->client, &t, 1, &result, &error);
    if (err == SHARDGATE_OK && result.outcome == SHARDGATE_ACCEPTED) {
        return true;
    }
    if (atomic_fetch_add(&b->failed, 1) == 0) {
        (void)fprintf(stderr, "callers: %s %s\n", error.text, err == SHARDGATE_OK ? result.reason : "");
    }
    return false;
}

static void *caller(void *arg)
{
    struct bench *b = arg;
    unsigned number = atomic_fetch_add(&b->next, 1);
    uint64_t begun = clock_us();
    for (uint64_t sequence = 1; begun < b->until_us; sequence++) {
        if (!submit_one(b, number, sequence)) {
            break;
        }
        uint64_t ended = clock_us();
        if (begun >= b->from_us && ended <= b->until_us) {
            latency_add(&b->latency, ended - begun);
        }
        begun = ended;
    }
    return NULL;
}

static void run(struct bench *b)
{
    pthread_t *threads = mem_alloc(b->clients * sizeof *threads);
    pthread_attr_t attributes;
    b->from_us = clock_us() + b->warmup_ms * UINT64_C(1000);
    b->until_us = b->from_us + (uint64_t)(b->seconds * 1e6);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_SIZE_BYTES) == 0);
    for (unsigned i = 0; i < b->clients; i++) {
        CHECK(pthread_create(&threads[i], &attributes, caller, b) == 0);
    }
    (void)pthread_attr_destroy(&attributes);
    for (unsigned i = 0; i < b->clients; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    mem_free(threads);
}

static void report(struct bench *b)
{
    json_t *out = json_pack("{s:i, s:f, s:f, s:I, s:o}", "clients", (int)b->clients, "seconds", b->seconds,
                            "transfers_per_second", (double)atomic_load(&b->latency.n) / b->seconds, "failed",
                            (json_int_t)atomic_load(&b->failed), "latency_us", latency_json(&b->latency));
    CHECK(out != NULL);
    CHECK(json_dumpf(out, stdout, JSON_INDENT(1)) == 0);
    (void)putchar('\n');
    json_decref(out);
}

static bool parse(int argc, char **argv, struct bench *b)
{
    static const struct option options[] = {{"connect", required_argument, NULL, 'c'},
                                            {"shard", required_argument, NULL, 's'},
                                            {"clients", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"warmup-ms", required_argument, NULL, 'w'},
                                            {"prefix", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            b->addresses = optarg;
            break;
        case 's':
            b->shard = optarg;
            break;
        case 'n':
            b->clients = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            b->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            b->warmup_ms = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            b->prefix = optarg;
            break;
        default:
            return false;
        }
    }
    return optind == argc && b->addresses != NULL && b->shard != NULL && b->clients > 0 &&
           b->clients <= CALLERS_MAX && b->seconds > 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {
        .originator = "acme", .prefix = "c", .clients = 1, .seconds = 5, .warmup_ms = 500};
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    if (!parse(argc, argv, &b)) {
        (void)fprintf(stderr,
                      "usage: callers --connect ADDRESS[,ADDRESS...] --shard ABA [--clients N (1 to %d)]\n"
                      "               [--seconds T] [--warmup-ms W] [--prefix TEXT (of the ids)]\n",
                      CALLERS_MAX);
        return 2;
    }
    if (shardgate_client_new(b.addresses, &b.client, &error) != SHARDGATE_OK) {
        (void)fprintf(stderr, "callers: %s\n", error.text);
        return 1;
    }
    run(&b);
    report(&b);
    shardgate_client_free(b.client);
    return atomic_load(&b.failed) == 0 ? 0 : 1;
}
