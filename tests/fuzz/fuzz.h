/* A fuzz target: bytes from anywhere in, no crash, no leak, and what its file
 * promises of them.
 *
 * fuzz_one() is what libFuzzer calls over and over (as LLVMFuzzerTestOneInput)
 * and what replay.c calls once for each file of a corpus. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* First call in a process: hashes ready, no log lines. */
void fuzz_begin(void);

/* The first byte chooses among count things; the rest is theirs. count with no
 * input. */
unsigned fuzz_choose(struct span *in, unsigned count);

#endif
