/* The shard and the four transfers of tests/golden/nacha_example.ach, for tests
 * to start from. Everything is static: nothing to release, one user at a time. */
#ifndef TESTS_SUPPORT_ACH_SAMPLE_H
#define TESTS_SUPPORT_ACH_SAMPLE_H

#include "shard/ach/file.h"

#define ACH_SAMPLE_TRANSFERS 4

/* Routing number 091000019, originator "northwind", windows SD1 10:15 and ND
 * 16:15 in New York on banking days, default limits, LF. Fresh on each call. */
struct settings *ach_sample_settings(void);

/* The i-th transfer of the example, in the order of its entries. */
struct transfer ach_sample_transfer(size_t i);

/* 2026-11-23 13:05, modifier A, traces from 1. */
struct ach_file_header ach_sample_header(void);

/* One entry for each of count transfers, seq from 1, effective 2026-11-24. */
void ach_sample_entries(const struct transfer *transfers, size_t count, struct ach_entry *entries);

#endif
