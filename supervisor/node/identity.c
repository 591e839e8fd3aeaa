#include "supervisor/node/identity.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "storage/log.h"
#include "supervisor/node/node_impl.h"

#define META_IDENTITY "identity"
#define META_OWNER "owner"
#define META_STARTED "started" /* Wall clock, milliseconds. */

/* "cluster/node/lanes": what a data directory was made for. */
static void owner_text(const struct node *n, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s/%zu", n->cluster, n->self->name, n->options.lanes_count);
}

static enum sg_err members_read(struct node *n, struct span value, char *why, size_t why_size)
{
    if (value.n != n->options.founders_count * MEMBER_RECORD_SIZE) {
        (void)snprintf(why, why_size,
                       "the cluster was formed with %zu nodes, the configuration names %zu: put the founding "
                       "members back under nodes:",
                       value.n / MEMBER_RECORD_SIZE, n->options.founders_count);
        return SG_REFUSED;
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        const uint8_t *p = value.p + i * MEMBER_RECORD_SIZE;
        if (be64_get(p) != i + 1) {
            (void)snprintf(why, why_size, "the table of founding members makes no sense");
            return SG_CORRUPT;
        }
        memcpy(n->members[i].identity.b, p + 8, IDENTITY_SIZE);
        n->members[i].has_identity = true;
    }
    n->formed = true;
    return SG_OK;
}

/* First use of this directory: an identity, and whose it is. Every lane's
 * store gets the same, so that a lost or exchanged lane is noticed. */
static enum sg_err identity_make(struct node *n)
{
    char owner[2 * NAME_SIZE_MAX + 16];

    owner_text(n, owner, sizeof owner);
    be64_put(n->identity.b, loop_random(n->options.lanes[0].loop));
    be64_put(n->identity.b + 8, loop_random(n->options.lanes[0].loop));
    /* Lane 0 last: while it has none, the directory counts as unused. */
    for (size_t i = n->options.lanes_count; i-- > 0;) {
        struct kv *kv = n->options.lanes[i].kv;
        struct kv_txn *txn;
        enum sg_err err = kv_begin(kv, true, &txn);
        if (err != SG_OK) {
            return err;
        }
        err = meta_put(kv, txn, META_IDENTITY, span_of(n->identity.b, IDENTITY_SIZE));
        if (err == SG_OK) {
            err = meta_put(kv, txn, META_OWNER, span_str(owner));
        }
        if (err != SG_OK) {
            kv_abort(kv, txn);
            return err;
        }
        err = kv_commit(kv, txn);
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

/* Reads one lane's identity; SG_NOTFOUND when it was never used. */
static enum sg_err identity_read(struct node *n, size_t lane, struct identity *out, char *why,
                                 size_t why_size)
{
    struct kv *kv = n->options.lanes[lane].kv;
    char owner[2 * NAME_SIZE_MAX + 16];
    struct kv_txn *txn;
    struct span value;
    enum sg_err err = kv_begin(kv, false, &txn);

    if (err != SG_OK) {
        return err;
    }
    err = meta_get(kv, txn, META_IDENTITY, &value);
    if (err == SG_OK && value.n != IDENTITY_SIZE) {
        err = SG_CORRUPT;
    }
    if (err != SG_OK) {
        goto out;
    }
    memcpy(out->b, value.p, IDENTITY_SIZE);
    err = meta_get(kv, txn, META_OWNER, &value);
    owner_text(n, owner, sizeof owner);
    if (err == SG_OK && !span_is(value, owner)) {
        char found[128];
        (void)snprintf(why, why_size,
                       "the data directory was made for %s (cluster/node/lanes), this node is %s: use the "
                       "directory or the configuration that belongs together",
                       span_cstr(value, found, sizeof found), owner);
        err = SG_REFUSED;
    }
    if (err == SG_OK && lane == 0) {
        err = meta_get(kv, txn, META_MEMBERS, &value);
        err = err == SG_NOTFOUND ? SG_OK : err == SG_OK ? members_read(n, value, why, why_size) : err;
    }
out:
    kv_abort(kv, txn);
    return err;
}

/* No lane but lane 0 has groups before lane 0 has an identity: where it is the
 * other way round, the store of lane 0 was lost. */
static enum sg_err other_lanes_are_new(struct node *n, char *why, size_t why_size)
{
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        struct kv *kv = n->options.lanes[i].kv;
        struct bytes groups = BYTES_NONE;
        struct kv_txn *txn;
        size_t size;
        enum sg_err err = kv_begin(kv, false, &txn);
        if (err != SG_OK) {
            return err;
        }
        err = log_groups(kv, txn, &groups);
        kv_abort(kv, txn);
        size = groups.n;
        bytes_release(&groups);
        if (err != SG_OK) {
            return err;
        }
        if (size > 0) {
            (void)snprintf(why, why_size,
                           "the store of lane 0 is empty, but the one of lane %zu holds groups: bring the "
                           "right store of lane 0 back",
                           i);
            return SG_REFUSED;
        }
    }
    return SG_OK;
}

/* One commit in each store, before anything of it is told (I-1). Commits of a
 * process that was killed, or whose flush failed, may be read from the machine's
 * memory and be on no disk; behind this one they are. */
static enum sg_err start_note(struct node *n, char *why, size_t why_size)
{
    uint8_t started[8];

    be64_put(started, n->started_wall_ms);
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        struct kv *kv = n->options.lanes[i].kv;
        struct kv_txn *txn;
        enum sg_err err = kv_begin(kv, true, &txn);
        if (err == SG_OK) {
            err = meta_put(kv, txn, META_STARTED, span_of(started, sizeof started));
            if (err == SG_OK) {
                err = kv_commit(kv, txn);
            } else {
                kv_abort(kv, txn);
            }
        }
        if (err != SG_OK) {
            (void)snprintf(why, why_size, "the store of lane %zu cannot be written", i);
            return err;
        }
    }
    return SG_OK;
}

static enum sg_err lanes_load(struct node *n, char *why, size_t why_size)
{
    enum sg_err err;

    (void)snprintf(why, why_size, "the store of lane 0 cannot be read");
    err = identity_read(n, 0, &n->identity, why, why_size);
    if (err == SG_NOTFOUND) {
        err = other_lanes_are_new(n, why, why_size);
        if (err != SG_OK) {
            return err;
        }
        err = identity_make(n);
        if (err != SG_OK) {
            (void)snprintf(why, why_size, "the identity of a new data directory cannot be written");
        }
        return err;
    }
    for (size_t i = 1; err == SG_OK && i < n->options.lanes_count; i++) {
        struct identity other;
        err = identity_read(n, i, &other, why, why_size);
        if (err == SG_NOTFOUND || (err == SG_OK && memcmp(&other, &n->identity, sizeof other) != 0)) {
            (void)snprintf(
                why, why_size,
                "the store of lane %zu is empty or of another directory: bring the right one back; its "
                "groups' votes must not be forgotten",
                i);
            err = SG_REFUSED;
        }
    }
    return err;
}

enum sg_err identity_load(struct node *n, char *why, size_t why_size)
{
    enum sg_err err = lanes_load(n, why, why_size);
    if (err != SG_OK) {
        return err;
    }
    return FAULT_BUG("start-unflushed") ? SG_OK : start_note(n, why, why_size);
}
