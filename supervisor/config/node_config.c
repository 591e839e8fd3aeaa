#include "supervisor/config/node_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/catalog/catalog.h"
#include "supervisor/config/yaml_tree.h"

static enum sg_err file_read(const char *path, struct bytes *out, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        (void)snprintf(why, why_size, "%s: %s: name the file that describes this node", path,
                       strerror(errno));
        return errno == ENOENT ? SG_NOTFOUND : SG_IO;
    }
    do {
        uint8_t piece[4096];
        n = read(fd, piece, sizeof piece);
        if (n > 0) {
            bytes_append(out, piece, (size_t)n);
        }
    } while (n > 0 && out->n <= CONFIG_SIZE_MAX_BYTES);
    if (n < 0) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    }
    (void)close(fd);
    return n < 0 ? SG_IO : SG_OK;
}

static bool copy_text(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool required,
                      char *out, size_t size)
{
    struct span text = SPAN_NONE;
    if (!yaml_text(r, map, key, required, size - 1, &text)) {
        return false;
    }
    (void)span_cstr(text, out, size);
    return true;
}

/* A cluster's and a node's name stand in file names, logs and JSON. */
static bool name_is_good(struct yaml_reader *r, size_t line, const char *key, struct span name)
{
    char text[NAME_SIZE_MAX + 1];
    return catalog_is_name(name) ||
           yaml_fail(r, line,
                     "%s: %s: a name has 1 to %d of A-Z a-z 0-9 - _ . and begins with a letter or digit", key,
                     span_cstr(name, text, sizeof text), NAME_SIZE_MAX);
}

static bool copy_name(struct yaml_reader *r, const struct yaml_node *map, const char *key, char *out,
                      size_t size)
{
    return copy_text(r, map, key, true, out, size) &&
           name_is_good(r, yaml_get(map, key)->line, key, span_str(out));
}

/* tcp:// and ipc:// are there; what is not says so. */
static bool address_is_good(struct yaml_reader *r, size_t line, const char *key, const char *address)
{
    if (strncmp(address, "tls+tcp://", 10) == 0) {
        return yaml_fail(r, line,
                         "%s: %s: TLS is not available in this version: use tcp:// on a network of its own",
                         key, address);
    }
    if (strncmp(address, "tcp://", 6) != 0 && strncmp(address, "ipc://", 6) != 0) {
        return yaml_fail(r, line, "%s: %s: an address as tcp://HOST:PORT or ipc:///PATH is expected", key,
                         address);
    }
    return true;
}

static bool read_founder(struct yaml_reader *r, const struct yaml_pair *pair, struct founder *out)
{
    static const char *const known[] = {"peer", "client", NULL};

    if (!name_is_good(r, pair->line, "nodes", pair->key)) {
        return false;
    }
    (void)span_cstr(pair->key, out->name, sizeof out->name);
    return yaml_keys(r, pair->value, "node", known) &&
           copy_text(r, pair->value, "peer", true, out->peer, sizeof out->peer) &&
           copy_text(r, pair->value, "client", true, out->client, sizeof out->client) &&
           address_is_good(r, pair->line, "peer", out->peer) &&
           address_is_good(r, pair->line, "client", out->client);
}

static bool read_founders(struct yaml_reader *r, const struct yaml_node *root, struct node_config *out)
{
    const struct yaml_node *n = yaml_get(root, "nodes");

    if (n == NULL) {
        return yaml_fail(r, root->line,
                         "the key nodes is missing: name the founding members, the same on every node");
    }
    if (n->kind != YAML_MAP || n->count < REPLICAS_MIN || n->count > REPLICAS_MAX) {
        return yaml_fail(r, n->line, "nodes: %d to %d nodes with peer and client are expected", REPLICAS_MIN,
                         REPLICAS_MAX);
    }
    for (size_t i = 0; i < n->count; i++) {
        struct founder *f = &out->founders[out->founders_count];
        if (!read_founder(r, &n->pairs[i], f)) {
            return false;
        }
        for (size_t k = 0; k < out->founders_count; k++) {
            const struct founder *other = &out->founders[k];
            if (strcmp(f->name, other->name) == 0) {
                return yaml_fail(r, n->pairs[i].line, "nodes: %s stands here for the second time", f->name);
            }
            if (strcmp(f->peer, other->peer) == 0) {
                return yaml_fail(r, n->pairs[i].line, "nodes: %s and %s have the same peer address",
                                 other->name, f->name);
            }
        }
        out->founders_count++;
    }
    return true;
}

static bool self_is_there(struct yaml_reader *r, const struct yaml_node *root, const struct node_config *c)
{
    for (size_t i = 0; i < c->founders_count; i++) {
        if (strcmp(c->founders[i].name, c->node) == 0) {
            return true;
        }
    }
    return yaml_fail(r, yaml_get(root, "node")->line, "node: %s is not named under nodes:", c->node);
}

static bool read_clients(struct yaml_reader *r, const struct yaml_node *root, struct node_config *out)
{
    struct span *texts = NULL;
    const struct yaml_node *n = yaml_get(root, "client");

    if (n == NULL) {
        return yaml_fail(r, root->line, "the key client is missing: the address that clients connect to");
    }
    if (!yaml_texts(r, root, "client", SERVER_ADDRESSES_MAX, ADDRESS_SIZE_MAX, &texts, &out->clients_count)) {
        return false;
    }
    if (out->clients_count == 0) {
        return yaml_fail(r, n->line, "client: at least one address is expected");
    }
    for (size_t i = 0; i < out->clients_count; i++) {
        (void)span_cstr(texts[i], out->clients[i], sizeof out->clients[i]);
        if (!address_is_good(r, n->line, "client", out->clients[i])) {
            return false;
        }
    }
    return true;
}

static bool read_map_size(struct yaml_reader *r, const struct yaml_node *root, uint64_t *out)
{
    const struct yaml_node *n = yaml_get(root, "map_size");

    *out = STORE_MAP_SIZE_BYTES;
    if (!yaml_size(r, root, "map_size", out)) {
        return false;
    }
    if (*out < STORE_MAP_SIZE_MIN_BYTES || *out > STORE_MAP_SIZE_MAX_BYTES) {
        return yaml_fail(r, n->line,
                         "map_size: from 1GiB to 16384GiB (it is room, and takes none by itself)");
    }
    return true;
}

static bool read_numbers(struct yaml_reader *r, const struct yaml_node *root, struct node_config *out)
{
    uint64_t lanes = 1;
    int64_t election = ELECTION_TIMEOUT_MS;
    int64_t heartbeat = HEARTBEAT_MS;
    int64_t scrub = SCRUB_EVERY_MS;

    out->trailing_entries = TRAILING_ENTRIES_DEFAULT;
    if (!yaml_number(r, root, "lanes", 1, LANES_MAX, &lanes) ||
        !yaml_number(r, root, "trailing_entries", TRAILING_ENTRIES_MIN, 1u << 20, &out->trailing_entries) ||
        !yaml_duration(r, root, "election_timeout", &election) ||
        !yaml_duration(r, root, "heartbeat", &heartbeat) || !yaml_duration(r, root, "scrub_every", &scrub) ||
        !read_map_size(r, root, &out->map_size_bytes)) {
        return false;
    }
    if (scrub < 1000 || scrub > 86400ll * 1000) {
        return yaml_fail(r, yaml_get(root, "scrub_every")->line, "scrub_every must be 1s to 24h");
    }
    out->scrub_every_ms = (uint64_t)scrub;
    if (heartbeat < 10 || heartbeat * 4 > election || election > 60000) {
        const struct yaml_node *n = yaml_get(root, "election_timeout");
        n = n != NULL ? n : yaml_get(root, "heartbeat");
        return yaml_fail(
            r, n != NULL ? n->line : root->line,
            "election_timeout must be at least four times heartbeat (10ms or more) and at most 60s");
    }
    out->lanes = (size_t)lanes;
    out->election_timeout_ms = (unsigned)election;
    out->heartbeat_ms = (unsigned)heartbeat;
    return true;
}

static bool read_config(struct yaml_reader *r, const struct yaml_node *root, struct node_config *out)
{
    static const char *const known[] = {
        "cluster",   "node",     "data_dir",    "peer", "client",           "http",
        "nodes",     "lanes",    "secrets_dir", "tls",  "trailing_entries", "election_timeout",
        "heartbeat", "map_size", "scrub_every", NULL};
    static const char *const missing[] = {"http", "tls"};

    if (!yaml_keys(r, root, "node configuration", known)) {
        return false;
    }
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        const struct yaml_node *n = yaml_get(root, missing[i]);
        if (n != NULL) {
            return yaml_fail(r, n->line, "%s: is not available in this version: remove it", missing[i]);
        }
    }
    return copy_name(r, root, "cluster", out->cluster, sizeof out->cluster) &&
           copy_name(r, root, "node", out->node, sizeof out->node) &&
           copy_text(r, root, "data_dir", true, out->data_dir, sizeof out->data_dir) &&
           copy_text(r, root, "secrets_dir", false, out->secrets_dir, sizeof out->secrets_dir) &&
           copy_text(r, root, "peer", true, out->peer, sizeof out->peer) &&
           address_is_good(r, yaml_get(root, "peer")->line, "peer", out->peer) &&
           read_clients(r, root, out) && read_founders(r, root, out) && self_is_there(r, root, out) &&
           read_numbers(r, root, out);
}

enum sg_err node_config_load(const char *path, struct node_config *out, char *why, size_t why_size)
{
    struct arena a = ARENA_INIT;
    struct bytes text = BYTES_NONE;
    struct yaml_reader r = {.source = path, .arena = &a, .why = why, .why_size = why_size};
    enum sg_err err;

    memset(out, 0, sizeof *out);
    err = file_read(path, &text, why, why_size);
    if (err == SG_OK) {
        const struct yaml_node *root = yaml_load(&r, span_bytes(&text));
        err = root != NULL && read_config(&r, root, out) ? SG_OK : SG_INVALID;
    }
    bytes_release(&text);
    arena_release(&a);
    return err;
}
