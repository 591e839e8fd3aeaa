/* The last line of a process that a damaged page kills.
 *
 * LMDB follows page numbers and offsets that it reads from the file; one that rotted
 * leads outside of the map, and the process ends by SIGSEGV or SIGBUS. Nothing can be
 * saved then, but people must learn which store it was and what was being read. */
#ifndef STORAGE_LMDB_TRAP_H
#define STORAGE_LMDB_TRAP_H

#include "storage/kv.h"

/* Around each call of LMDB that touches the map, on the calling thread. The first one
 * of the process sets the handlers. store and op are borrowed until the end; key may
 * be SPAN_NONE. A trap outside of these is the system's as before. */
void lmdb_trap_begin(const char *store, const char *op, enum kv_table table, struct span key);
void lmdb_trap_end(void);

#endif
