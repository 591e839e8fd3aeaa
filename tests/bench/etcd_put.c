/* Puts into etcd, as a yardstick: N clients, each with one request in flight.
 *
 * Speaks gRPC over cleartext HTTP/2 directly, in one thread on epoll, because
 * the yardstick must not be shortened: the JSON gateway is one more hop inside
 * etcd, and a heavy client takes processor time from it. With --puts M > 1 a
 * request is a transaction of M puts. Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "proto/base/mem.h"
#include "tests/bench/latency.h"

#define ENDPOINTS_MAX 16
#define CONNECTIONS_DEFAULT_MAX 64
#define PUTS_MAX 128 /* etcd's limit for a transaction. */
#define FRAME_HEAD_SIZE 9
#define FRAME_SIZE_MAX 16384
#define READ_SIZE 65536
#define WINDOW_DEFAULT 65535
#define WINDOW_WIDE 0x7fffffff

enum frame_type {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_RST = 3,
    FRAME_SETTINGS,
    FRAME_PING = 6,
    FRAME_GOAWAY,
    FRAME_WINDOW
};
#define FLAG_END_STREAM 0x1
#define FLAG_ACK 0x1
#define FLAG_END_HEADERS 0x4

struct options {
    char *endpoints[ENDPOINTS_MAX];
    size_t endpoints_count;
    unsigned clients, connections, puts, warmup_ms;
    size_t size;
    double seconds;
    uint64_t count;
};

struct client {
    struct client *next; /* Of its connection. */
    uint32_t stream;     /* 0: not asking. */
    bool answered;       /* A response message came. */
    uint64_t start_us;
    uint64_t key;
};

struct connection {
    int fd;
    struct bytes in, out;
    size_t out_sent;
    bool wants_write;
    uint32_t next_stream;
    int64_t window; /* What the server takes before it says more. */
    struct client *clients;
};

struct bench {
    struct options options;
    struct connection *connections;
    struct client *clients;
    struct latency latency;
    struct bytes message; /* The request being built. */
    uint8_t *value;
    int epoll;
    bool measuring, stopping;
    uint64_t started, done, failed;
    unsigned active;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "etcd_put: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- Writing --------------------------------------------------------------- */

static void put_frame_head(struct bytes *out, size_t size, enum frame_type type, uint8_t flags,
                           uint32_t stream)
{
    uint8_t *p = bytes_extend(out, FRAME_HEAD_SIZE);
    be32_put(p, (uint32_t)size << 8);
    p[3] = (uint8_t)type;
    p[4] = flags;
    be32_put(p + 5, stream);
}

static void put_window(struct bytes *out, uint32_t stream, uint32_t more)
{
    put_frame_head(out, 4, FRAME_WINDOW, 0, stream);
    be32_put(bytes_extend(out, 4), more);
}

static void put_preface(struct bytes *out)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t initial_window[2] = {0, 4};
    bytes_append(out, preface, sizeof(preface) - 1);
    put_frame_head(out, 6, FRAME_SETTINGS, 0, 0);
    bytes_append(out, initial_window, sizeof(initial_window));
    be32_put(bytes_extend(out, 4), WINDOW_WIDE);
    put_window(out, 0, WINDOW_WIDE - WINDOW_DEFAULT);
}

/* HPACK without a table of our own: indexed where the static table has it,
 * literals elsewhere. */
static void put_headers(struct bytes *out, uint32_t stream, const char *path)
{
    static const char authority[] = "\x01\x04"
                                    "etcd";
    static const char rest[] = "\x0f\x10\x10"
                               "application/grpc\x00\x02te\x08trailers";
    static const uint8_t post_http[2] = {0x83, 0x86};
    uint8_t path_head[2] = {0x04, (uint8_t)strlen(path)};
    size_t size =
        sizeof(post_http) + sizeof(path_head) + strlen(path) + sizeof(authority) - 1 + sizeof(rest) - 1;
    put_frame_head(out, size, FRAME_HEADERS, FLAG_END_HEADERS, stream);
    bytes_append(out, post_http, sizeof(post_http));
    bytes_append(out, path_head, sizeof(path_head));
    bytes_append(out, path, strlen(path));
    bytes_append(out, authority, sizeof(authority) - 1);
    bytes_append(out, rest, sizeof(rest) - 1);
}

static void put_varint(struct bytes *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *bytes_extend(out, 1) = (uint8_t)(v | 0x80);
    }
    *bytes_extend(out, 1) = (uint8_t)v;
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
}

static void put_field(struct bytes *out, unsigned number, struct span value)
{
    put_varint(out, number << 3 | 2);
    put_varint(out, value.n);
    bytes_append_span(out, value);
}

/* etcdserverpb.PutRequest {key = 1, value = 2}, or a TxnRequest whose
 * success = 2 is a list of RequestOp {request_put = 2}. */
static void build_message(struct bench *b, const struct client *c)
{
    char key[40];
    struct span value = span_of(b->value, b->options.size);
    bytes_clear(&b->message);
    for (unsigned i = 0; i < b->options.puts; i++) {
        int n = snprintf(key, sizeof(key), "bench-%016" PRIx64 "-%02x", c->key, i);
        struct span k = span_of(key, (size_t)n);
        size_t put_size = 2 + k.n + 1 + varint_size(value.n) + value.n;
        if (b->options.puts > 1) {
            put_varint(&b->message, 2 << 3 | 2);
            put_varint(&b->message, 1 + varint_size(put_size) + put_size);
            put_varint(&b->message, 2 << 3 | 2);
            put_varint(&b->message, put_size);
        }
        put_field(&b->message, 1, k);
        put_field(&b->message, 2, value);
    }
}

static void put_data(struct connection *conn, uint32_t stream, struct span message)
{
    uint8_t head[5] = {0};
    struct bytes body = BYTES_NONE;
    be32_put(head + 1, (uint32_t)message.n);
    bytes_append(&body, head, sizeof(head));
    bytes_append_span(&body, message);
    for (size_t at = 0; at < body.n;) {
        size_t n = body.n - at < FRAME_SIZE_MAX ? body.n - at : FRAME_SIZE_MAX;
        put_frame_head(&conn->out, n, FRAME_DATA, at + n == body.n ? FLAG_END_STREAM : 0, stream);
        bytes_append(&conn->out, body.p + at, n);
        at += n;
    }
    conn->window -= (int64_t)body.n;
    bytes_release(&body);
}

/* --- Requests -------------------------------------------------------------- */

static bool is_over(const struct bench *b)
{
    return b->stopping || (b->options.count > 0 && b->started >= b->options.count);
}

static void request(struct bench *b, struct connection *conn, struct client *c)
{
    static const char *const paths[2] = {"/etcdserverpb.KV/Put", "/etcdserverpb.KV/Txn"};
    if (is_over(b)) {
        b->active--;
        return;
    }
    c->key += b->options.clients;
    build_message(b, c);
    b->started += b->options.puts;
    c->stream = conn->next_stream;
    c->answered = false;
    c->start_us = clock_us();
    conn->next_stream += 2;
    put_headers(&conn->out, c->stream, paths[b->options.puts > 1]);
    put_data(conn, c->stream, span_bytes(&b->message));
}

/* All idle clients of a connection, as far as the server's window lets them. */
static void request_idle(struct bench *b, struct connection *conn)
{
    int64_t size = (int64_t)(b->options.puts * (b->options.size + 64) + 16);
    for (struct client *c = conn->clients; c != NULL; c = c->next) {
        if (c->stream == 0 && c->start_us != UINT64_MAX && conn->window >= size) {
            request(b, conn, c);
            if (c->stream == 0) {
                c->start_us = UINT64_MAX; /* Over. */
            }
        }
    }
}

static void finish(struct bench *b, struct client *c)
{
    if (b->measuring && c->answered) {
        b->done++;
        latency_add(&b->latency, clock_us() - c->start_us);
    } else if (!c->answered) {
        b->failed++;
    }
    c->stream = 0;
}

/* --- Reading --------------------------------------------------------------- */

static struct client *client_of(struct connection *conn, uint32_t stream)
{
    for (struct client *c = conn->clients; c != NULL; c = c->next) {
        if (c->stream == stream && stream != 0) {
            return c;
        }
    }
    return NULL;
}

static void on_frame(struct bench *b, struct connection *conn, uint8_t type, uint8_t flags, uint32_t stream,
                     struct span body)
{
    struct client *c = client_of(conn, stream);
    if (type == FRAME_SETTINGS && (flags & FLAG_ACK) == 0) {
        put_frame_head(&conn->out, 0, FRAME_SETTINGS, FLAG_ACK, 0);
    } else if (type == FRAME_PING && (flags & FLAG_ACK) == 0) {
        put_frame_head(&conn->out, body.n, FRAME_PING, FLAG_ACK, 0);
        bytes_append_span(&conn->out, body);
    } else if (type == FRAME_WINDOW && stream == 0 && body.n == 4) {
        conn->window += be32_get(body.p);
    } else if (type == FRAME_DATA && c != NULL && body.n > 0) {
        c->answered = true; /* A failed call has trailers only. */
    } else if (type == FRAME_GOAWAY) {
        (void)fprintf(stderr, "etcd_put: the server closes a connection\n");
        exit(1);
    }
    bool ends = (type == FRAME_DATA || type == FRAME_HEADERS) && (flags & FLAG_END_STREAM) != 0;
    if (c != NULL && (ends || type == FRAME_RST)) {
        finish(b, c);
    }
}

static void parse_frames(struct bench *b, struct connection *conn)
{
    size_t at = 0;
    while (conn->in.n - at >= FRAME_HEAD_SIZE) {
        const uint8_t *p = conn->in.p + at;
        size_t size = be32_get(p) >> 8;
        if (conn->in.n - at < FRAME_HEAD_SIZE + size) {
            break;
        }
        on_frame(b, conn, p[3], p[4], be32_get(p + 5) & 0x7fffffff, span_of(p + FRAME_HEAD_SIZE, size));
        at += FRAME_HEAD_SIZE + size;
    }
    memmove(conn->in.p, conn->in.p + at, conn->in.n - at);
    conn->in.n -= at;
}

static void conn_write(struct bench *b, struct connection *conn)
{
    while (conn->out_sent < conn->out.n) {
        ssize_t n = send(conn->fd, conn->out.p + conn->out_sent, conn->out.n - conn->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            die("send");
        }
        conn->out_sent += (size_t)n;
    }
    bool wants_write = conn->out_sent < conn->out.n;
    if (!wants_write) {
        bytes_clear(&conn->out);
        conn->out_sent = 0;
    }
    if (wants_write != conn->wants_write) {
        struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = conn};
        conn->wants_write = wants_write;
        if (epoll_ctl(b->epoll, EPOLL_CTL_MOD, conn->fd, &event) != 0) {
            die("epoll_ctl");
        }
    }
}

static void conn_read(struct bench *b, struct connection *conn)
{
    uint8_t *p = bytes_extend(&conn->in, READ_SIZE);
    ssize_t n = recv(conn->fd, p, READ_SIZE, 0);
    conn->in.n -= READ_SIZE;
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        die("the server closed a connection");
    }
    if (n > 0) {
        conn->in.n += (size_t)n;
        parse_frames(b, conn);
    }
}

/* --- The run --------------------------------------------------------------- */

static int dial(const char *endpoint)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(endpoint, ':');
    char host[64];
    int one = 1;
    if (colon == NULL) {
        return -1;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - endpoint), endpoint);
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        die(endpoint);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void connect_all(struct bench *b)
{
    const struct options *o = &b->options;
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    b->connections = mem_zalloc(o->connections, sizeof(*b->connections));
    b->clients = mem_zalloc(o->clients, sizeof(*b->clients));
    for (unsigned i = 0; i < o->connections; i++) {
        struct connection *conn = &b->connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->fd = dial(o->endpoints[i % o->endpoints_count]);
        conn->next_stream = 1;
        conn->window = WINDOW_DEFAULT;
        put_preface(&conn->out);
        if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
            die("epoll_ctl");
        }
    }
    for (unsigned i = 0; i < o->clients; i++) {
        struct connection *conn = &b->connections[i % o->connections];
        b->clients[i].next = conn->clients;
        b->clients[i].key = i;
        conn->clients = &b->clients[i];
    }
    b->active = o->clients;
}

static void serve(struct bench *b)
{
    struct epoll_event events[64];
    int n = epoll_wait(b->epoll, events, 64, 5);
    for (int i = 0; i < n; i++) {
        struct connection *conn = events[i].data.ptr;
        if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            conn_read(b, conn);
        }
        request_idle(b, conn);
        conn_write(b, conn);
    }
}

/* Returns the measured time in seconds. */
static double run(struct bench *b)
{
    uint64_t measure_us = clock_us() + (uint64_t)b->options.warmup_ms * 1000;
    uint64_t end_us = b->options.count > 0 ? UINT64_MAX : measure_us + (uint64_t)(b->options.seconds * 1e6);
    b->measuring = b->options.warmup_ms == 0;
    struct connection *connections = b->connections;
    CHECK(connections != NULL);
    for (unsigned i = 0; i < b->options.connections; i++) {
        request_idle(b, &connections[i]);
        conn_write(b, &connections[i]);
    }
    while (b->active > 0) {
        uint64_t now = clock_us();
        if (!b->measuring && !b->stopping && now >= measure_us) {
            measure_us = now;
            b->measuring = true;
        }
        if (now >= end_us && !b->stopping) {
            end_us = now;
            b->measuring = false;
            b->stopping = true;
        }
        serve(b);
    }
    return (double)((end_us == UINT64_MAX ? clock_us() : end_us) - measure_us) / 1e6;
}

static void print_result(struct bench *b, double seconds)
{
    const struct options *o = &b->options;
    json_t *result =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:I, s:f, s:f, s:o}", "v", 1, "clients",
                  (int)o->clients, "connections", (int)o->connections, "puts_per_request", (int)o->puts,
                  "value_bytes", (int)o->size, "seconds", seconds, "requests", (json_int_t)b->done, "failed",
                  (json_int_t)b->failed, "puts_per_second", (double)b->done * o->puts / seconds,
                  "requests_per_second", (double)b->done / seconds, "latency_us", latency_json(&b->latency));
    CHECK(result != NULL);
    (void)json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    (void)putchar('\n');
    json_decref(result);
}

/* --- Command line ---------------------------------------------------------- */

static bool parse_option(struct options *o, int option, char *value)
{
    char *rest = NULL;
    switch (option) {
    case 'e':
        for (char *text = strtok_r(value, ",", &rest); text != NULL && o->endpoints_count < ENDPOINTS_MAX;
             text = strtok_r(NULL, ",", &rest)) {
            o->endpoints[o->endpoints_count++] = text;
        }
        return o->endpoints_count > 0;
    case 'c':
        o->clients = (unsigned)strtoul(value, NULL, 10);
        return o->clients > 0;
    case 'n':
        o->connections = (unsigned)strtoul(value, NULL, 10);
        return o->connections > 0;
    case 'p':
        o->puts = (unsigned)strtoul(value, NULL, 10);
        return o->puts > 0 && o->puts <= PUTS_MAX;
    case 's':
        o->size = strtoul(value, NULL, 10);
        return o->size > 0 && o->size <= 1000000;
    case 't':
        o->seconds = strtod(value, NULL);
        return o->seconds > 0;
    case 'k':
        o->count = strtoull(value, NULL, 10);
        o->warmup_ms = 0;
        return o->count > 0;
    case 'w':
        o->warmup_ms = (unsigned)strtoul(value, NULL, 10);
        return true;
    default:
        return false;
    }
}

static bool parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"endpoints", required_argument, NULL, 'e'},
        {"clients", required_argument, NULL, 'c'},
        {"connections", required_argument, NULL, 'n'},
        {"puts", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'k'},
        {"warmup-ms", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (!parse_option(o, option, optarg)) {
            return false;
        }
    }
    if (o->connections == 0 || o->connections > o->clients) {
        o->connections = o->clients < CONNECTIONS_DEFAULT_MAX ? o->clients : CONNECTIONS_DEFAULT_MAX;
    }
    return optind == argc && o->endpoints_count > 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {.options = {.clients = 1, .puts = 1, .size = 128, .seconds = 5}};
    if (!parse(&b.options, argc, argv)) {
        (void)fprintf(
            stderr, "usage: etcd_put --endpoints HOST:PORT[,HOST:PORT...] [--clients N] [--connections N]\n"
                    "                [--puts M] [--size BYTES] [--seconds T | --count K] [--warmup-ms MS]\n");
        return 2;
    }
    b.value = mem_alloc(b.options.size);
    memset(b.value, 'v', b.options.size);
    connect_all(&b);
    double seconds = run(&b);
    print_result(&b, seconds);
    for (unsigned i = 0; i < b.options.connections; i++) {
        (void)close(b.connections[i].fd);
        bytes_release(&b.connections[i].in);
        bytes_release(&b.connections[i].out);
    }
    bytes_release(&b.message);
    mem_free(b.value);
    mem_free(b.connections);
    mem_free(b.clients);
    return b.failed == 0 && b.done > 0 ? 0 : 1;
}
