/* The store seam in memory: an ordered map that can crash, fail and rot.
 *
 *   struct mem_kv *disk = mem_kv_new("lane-0");
 *   struct kv kv;
 *   mem_kv_open(disk, &kv);
 *   ... use kv, commit ...
 *   mem_kv_crash(disk, MEM_KV_KEEP_COMMITTED);
 *   kv_close(&kv);                  the dead process's handle
 *   mem_kv_open(disk, &kv);         a new process over the same disk
 *   mem_kv_free(disk);
 *
 * struct mem_kv is the disk, struct kv is one open of it. Commits are atomic:
 * a commit is there as a whole or not at all, which is what LMDB promises;
 * what a disk may do beyond that is rot (mem_kv_flip_bit). Readers see the
 * state at their begin. Everything happens on one thread. */
#ifndef STORAGE_MEM_KV_H
#define STORAGE_MEM_KV_H

#include "storage/kv.h"

struct mem_kv;

/* name is copied. Nothing is stored yet. */
struct mem_kv *mem_kv_new(const char *name);
/* No transaction may be open and no handle unclosed. */
void mem_kv_free(struct mem_kv *disk);
/* One handle at a time: an earlier one is dead from here on, as after
 * MEM_KV_KEEP_VISIBLE. kv_close() keeps the content. */
void mem_kv_open(struct mem_kv *disk, struct kv *out);

/* By default a commit is on the disk when it returns. With manual flushing it
 * is there only after mem_kv_flush(): between the two a crash may drop it,
 * which is how a crash in the middle of a commit looks afterwards (the
 * simulator flushes when it delivers the commit's result). */
void mem_kv_set_manual_flush(struct mem_kv *disk, bool manual);
/* Everything committed so far is durable. */
void mem_kv_flush(struct mem_kv *disk);
/* Look at what a crash would leave: a read transaction over it, and a handle of
 * its own. No fault is asked for. End with kv_abort() and kv_close(). */
struct kv_txn *mem_kv_begin_durable(struct mem_kv *disk, struct kv *out);

enum mem_kv_crash_how {
    MEM_KV_KEEP_COMMITTED, /* The open write transaction is lost. */
    MEM_KV_DROP_UNFLUSHED, /* And so is every commit that was not flushed. */
    /* The machine lives on: commits that were not flushed are read by the next
     * process, out of the machine's memory, and are on no disk before the next
     * flush. So it is after kill -9 in the middle of a commit. */
    MEM_KV_KEEP_VISIBLE
};
/* The process that had it open is gone. Its handle and transactions are dead:
 * whatever is asked of them is SG_IO, but they may be aborted and closed. */
void mem_kv_crash(struct mem_kv *disk, enum mem_kv_crash_how how);
/* Commits since the last flush. */
size_t mem_kv_unflushed(const struct mem_kv *disk);
/* A crash in the middle of a flush: of those commits the first ones, in their
 * order, are on the disk and the others are not. keep <= mem_kv_unflushed(). */
void mem_kv_crash_torn(struct mem_kv *disk, size_t keep);
/* A new, empty disk in its place. As mem_kv_crash() otherwise. */
void mem_kv_wipe(struct mem_kv *disk);

enum mem_kv_op {
    MEM_KV_BEGIN_READ,
    MEM_KV_BEGIN_WRITE,
    MEM_KV_GET,
    MEM_KV_SEEK,
    MEM_KV_PUT,
    MEM_KV_DEL,
    MEM_KV_COMMIT,    /* Before it takes effect: the transaction is lost. */
    MEM_KV_COMMITTED, /* After it took effect: an error, and yet it is stored. */
    MEM_KV_OPS
};
/* Asked before each operation; any answer but SG_OK becomes its result (SG_IO,
 * or SG_CORRUPT for a read). NULL: nothing fails. */
typedef enum sg_err (*mem_kv_fault)(void *impl, enum mem_kv_op op);
void mem_kv_set_fault(struct mem_kv *disk, mem_kv_fault fault, void *impl);
/* What free_bytes() answers. Default 1 TiB. */
void mem_kv_set_free_bytes(struct mem_kv *disk, uint64_t bytes);
/* It is moved away under whoever has it open: is_in_place() is false from now on.
 * (Commits go on: they would notice by themselves.) */
void mem_kv_lose(struct mem_kv *disk);

/* Records committed in a table. */
size_t mem_kv_count(const struct mem_kv *disk, enum kv_table table);
/* Bit rot: turn bit (taken modulo the size) of the stored value, checksum
 * included, of a committed record. false: no such record. */
bool mem_kv_flip_bit(struct mem_kv *disk, enum kv_table table, struct span key, uint64_t bit);
/* The same for the n-th record of the table in key order, from 0. */
bool mem_kv_flip_bit_at(struct mem_kv *disk, enum kv_table table, size_t n, uint64_t bit);

/* Rot of keys and pages, which no checksum of a value sees: count records from the
 * n-th on are not found any more, as below a damaged branch page; or one is found
 * under its key with a bit turned. false: no such record. */
bool mem_kv_vanish(struct mem_kv *disk, enum kv_table table, size_t n, size_t count);
bool mem_kv_rename(struct mem_kv *disk, enum kv_table table, size_t n, uint64_t bit);

/* Commits that changed something, since mem_kv_new(). */
uint64_t mem_kv_commits(const struct mem_kv *disk);

#endif
