#include "supervisor/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/lmdb_kv.h"
#include "supervisor/daemon/banks/bank_agent.h"
#include "supervisor/daemon/peers.h"
#include "supervisor/daemon/server.h"
#include "supervisor/daemon/uv_loop.h"
#include "supervisor/daemon/zoneinfo.h"
#include "supervisor/node/node.h"
#include "supervisor/verbs/table.h"

#define PATH_SIZE (ADDRESS_SIZE_MAX + 32)

struct daemon_lane {
    struct uvloop *loop;
    struct kv kv;
    bool is_open;
    struct bank *bank;
    struct task give_up;
    struct daemon *daemon;
};

struct daemon {
    const struct node_config *config;
    struct daemon_lane lanes[LANES_MAX];
    struct bank_agent *banks; /* On the loop of lane 0, which runs longest. */
    struct peers *peers;
    struct server *server;
    struct node *node;
    char spool_dir[PATH_SIZE];
};

static bool failed(const struct daemon *d, const char *what, const char *why)
{
    struct log_scope scope = {.node = d->config->node};
    logger_line(LOG_ERROR, &scope, "daemon.failed", "what=%s why=%s", LOG_TEXT(what), LOG_TEXT(why));
    return false;
}

/* --- The node's callbacks -------------------------------------------------------------- */

static void on_fatal(void *impl, enum sg_err err, const char *why)
{
    (void)impl;
    (void)err;
    (void)why;
    /* Already logged. Nothing may run over a failed store, on no thread: no
     * destructors, no flushes. */
    _exit(EXIT_FAILURE);
}

static void on_left(void *impl)
{
    struct daemon *d = impl;
    for (size_t i = 0; i < d->config->lanes; i++) {
        uvloop_stop(d->lanes[i].loop);
    }
}

/* Everything acknowledged is durable, and an upload that is cut off is what its
 * protocol is for: ending here loses nothing. */
static void give_up_run(struct task *t)
{
    struct daemon_lane *l = CONTAINER_OF(t, struct daemon_lane, give_up);
    struct log_scope scope = {.node = l->daemon->config->node};
    logger_line(LOG_WARN, &scope, "daemon.ends_early", "waited_ms=%d", LEAVE_MAX_MS);
    _exit(EXIT_SUCCESS);
}

static void give_up_arm(struct task *t)
{
    struct daemon_lane *l = CONTAINER_OF(t, struct daemon_lane, give_up);
    l->give_up.run = give_up_run;
    loop_after(uvloop_seam(l->loop), &l->give_up, LEAVE_MAX_MS);
}

static void on_signal(void *impl, int signo)
{
    struct daemon *d = impl;
    struct log_scope scope = {.node = d->config->node};
    logger_line(LOG_INFO, &scope, "daemon.signal", "signal=%d", signo);
    for (size_t i = 0; i < d->config->lanes && d->lanes[i].give_up.run == NULL; i++) {
        d->lanes[i].give_up.run = give_up_arm;
        loop_post(uvloop_seam(d->lanes[i].loop), &d->lanes[i].give_up);
    }
    node_leave(d->node);
}

static void on_reply(void *token, struct bytes *reply)
{
    server_reply(token, reply);
}

static void on_request(void *impl, struct server_call *call, struct span data)
{
    struct daemon *d = impl;
    node_request(d->node, data, on_reply, call);
}

static uint64_t on_frame(void *impl, struct bytes *frame)
{
    struct daemon *d = impl;
    return node_frame(d->node, frame);
}

static void on_peer_up(void *impl, uint64_t node)
{
    struct daemon *d = impl;
    node_peer_up(d->node, node);
}

static void on_peer_down(void *impl, uint64_t node)
{
    struct daemon *d = impl;
    node_peer_down(d->node, node);
}

static const struct link_events link_events = {
    .frame = on_frame,
    .peer_up = on_peer_up,
    .peer_down = on_peer_down,
};

/* --- Opening ------------------------------------------------------------------------------ */

static bool make_dir(const struct daemon *d, const char *path)
{
    char parent[PATH_SIZE];

    (void)snprintf(parent, sizeof parent, "%s", path);
    for (char *p = strchr(parent + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(parent, 0755) != 0 && errno != EEXIST) {
            return failed(d, parent, strerror(errno));
        }
        *p = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return failed(d, path, strerror(errno));
    }
    return true;
}

/* The store in it holds every payment. */
static bool is_private(const struct daemon *d, const char *path)
{
    struct log_scope scope = {.node = d->config->node};
    struct stat st;

    if (stat(path, &st) != 0) {
        return failed(d, path, strerror(errno));
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return failed(d, path, "others than its owner may write into it: 'chmod 700' it");
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        logger_line(LOG_WARN, &scope, "daemon.data_dir_open", "dir=%s mode=%03o", LOG_TEXT(path),
                    (unsigned)st.st_mode & 0777u);
    }
    return true;
}

static bool lane_make(struct daemon *d, unsigned i)
{
    struct daemon_lane *l = &d->lanes[i];
    char dir[PATH_SIZE];
    char name[16];
    char why[512];
    struct lmdb_options options = {.dir = dir, .name = name, .map_size_bytes = d->config->map_size_bytes};

    l->daemon = d;
    (void)snprintf(name, sizeof name, "lane-%u", i);
    (void)snprintf(dir, sizeof dir, "%s/%s", d->config->data_dir, name);
    if (lmdb_kv_open(&options, &l->kv, why, sizeof why) != SG_OK) {
        return failed(d, dir, why);
    }
    l->is_open = true;
    l->loop = uvloop_new(name);
    if (i == 0) {
        d->banks = bank_agent_new(uvloop_seam(l->loop));
    }
    l->bank = bank_agent_desk(d->banks, uvloop_seam(l->loop));
    return true;
}

static bool link_open(struct daemon *d)
{
    const struct node_config *c = d->config;
    struct peers_member members[NODES_MAX];
    struct peers_options options = {.loop = uvloop_seam(d->lanes[0].loop),
                                    .sink = {.events = &link_events, .impl = d},
                                    .listen = c->peer,
                                    .members = members,
                                    .members_count = c->founders_count};
    char why[512];

    for (size_t i = 0; i < c->founders_count; i++) {
        /* Ids by the order of names, as the node gives them. */
        uint64_t id = 1;
        for (size_t k = 0; k < c->founders_count; k++) {
            id += strcmp(c->founders[k].name, c->founders[i].name) < 0;
        }
        members[i] = (struct peers_member){.node = id, .address = c->founders[i].peer};
        if (strcmp(c->founders[i].name, c->node) == 0) {
            options.self = id;
        }
    }
    if (peers_open(&options, &d->peers, why, sizeof why) != SG_OK) {
        return failed(d, c->peer, why);
    }
    return true;
}

/* Of the running program's file, so that nodes of different builds are told apart whatever
 * version they say; zeros where it can't be read. */
static struct digest program_digest(void)
{
    struct digest none = {{0}};
    struct digester d;
    uint8_t piece[64u << 10];
    ssize_t n = -1;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return none;
    }
    digester_init(&d);
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        digester_add(&d, span_of(piece, (size_t)n));
    }
    (void)close(fd);
    struct digest whole = digester_end(&d);
    return n == 0 ? whole : none;
}

static bool node_make(struct daemon *d)
{
    const struct node_config *c = d->config;
    struct node_options options = {
        .cluster = c->cluster,
        .name = c->node,
        .founders = c->founders,
        .founders_count = c->founders_count,
        .lanes_count = c->lanes,
        .link = peers_link(d->peers),
        .verbs = verbs_table(),
        .zone = zoneinfo_get,
        .spool_dir = d->spool_dir,
        .trailing_entries = c->trailing_entries,
        .scrub_every_ms = c->scrub_every_ms,
        .election_timeout_ms = c->election_timeout_ms,
        .heartbeat_ms = c->heartbeat_ms,
        .build = program_digest(),
        .on_fatal = on_fatal,
        .on_left = on_left,
        .impl = d,
    };
    char why[512];

    for (size_t i = 0; i < c->lanes; i++) {
        options.lanes[i] = (struct lane_seams){
            .loop = uvloop_seam(d->lanes[i].loop), .kv = &d->lanes[i].kv, .bank = d->lanes[i].bank};
    }
    if (node_new(&options, &d->node, why, sizeof why) != SG_OK) {
        return failed(d, c->data_dir, why);
    }
    return true;
}

static bool port_open(struct daemon *d)
{
    const struct node_config *c = d->config;
    const char *addresses[SERVER_ADDRESSES_MAX];
    struct server_options options = {.loop = uvloop_seam(d->lanes[0].loop),
                                     .request = on_request,
                                     .impl = d,
                                     .addresses = addresses,
                                     .addresses_count = c->clients_count};
    char why[512];

    for (size_t i = 0; i < c->clients_count; i++) {
        addresses[i] = c->clients[i];
    }
    if (server_open(&options, &d->server, why, sizeof why) != SG_OK) {
        return failed(d, c->clients[0], why);
    }
    return true;
}

static bool daemon_open(struct daemon *d)
{
    (void)snprintf(d->spool_dir, sizeof d->spool_dir, "%s/spool", d->config->data_dir);
    if (!make_dir(d, d->config->data_dir) || !is_private(d, d->config->data_dir) ||
        !make_dir(d, d->spool_dir)) {
        return false;
    }
    for (unsigned i = 0; i < d->config->lanes; i++) {
        if (!lane_make(d, i)) {
            return false;
        }
    }
    return link_open(d) && node_make(d) && port_open(d);
}

static void daemon_close(struct daemon *d)
{
    if (d->server != NULL) {
        server_close(d->server);
    }
    if (d->peers != NULL) {
        peers_close(d->peers);
    }
    if (d->node != NULL) {
        node_free(d->node);
    }
    if (d->banks != NULL) {
        bank_agent_free(d->banks);
    }
    for (size_t i = 0; i < d->config->lanes; i++) {
        if (d->lanes[i].loop != NULL) {
            uvloop_free(d->lanes[i].loop);
        }
        if (d->lanes[i].is_open) {
            d->lanes[i].kv.ops->close(d->lanes[i].kv.impl);
        }
    }
}

int daemon_run(const struct node_config *config)
{
    static const int signals[] = {SIGTERM, SIGINT};
    struct daemon d = {.config = config};

    if (!daemon_open(&d)) {
        daemon_close(&d);
        return EXIT_FAILURE;
    }
    uvloop_on_signals(d.lanes[0].loop, signals, 2, on_signal, &d);
    node_start(d.node);
    for (size_t i = 1; i < config->lanes; i++) {
        uvloop_start(d.lanes[i].loop);
    }
    uvloop_run(d.lanes[0].loop);
    for (size_t i = 1; i < config->lanes; i++) {
        uvloop_join(d.lanes[i].loop);
    }
    /* All writes are durable, and the end of the process closes the rest. To close
     * the sockets of NNG 1.5.2 while the other nodes close theirs hung once. */
    _exit(EXIT_SUCCESS);
}
