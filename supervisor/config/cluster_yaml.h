/* The cluster configuration as YAML (apply -f, export). */
#ifndef SUPERVISOR_CONFIG_CLUSTER_YAML_H
#define SUPERVISOR_CONFIG_CLUSTER_YAML_H

#include "proto/settings.h"

/* Defaults are filled in (line ends lf, max_lines, confirm hash, verify_window
 * 24h, windows on banking-days ...); names are not resolved and nothing is
 * judged beyond its own key. unknown_routing_number is 0 when not given.
 *
 * source names the text in messages ("cluster.yaml"). SG_INVALID: why is one
 * sentence with source and line, what is wrong, what to do; an unknown key names
 * the nearest known one. Everything lives in the arena. */
MUST_USE enum sg_err cluster_yaml_parse(struct span text, const char *source, struct arena *a,
                                        struct cluster_settings *out, char *why, size_t why_size);

/* The same form; parsing it gives the same settings. Appends to out. */
void cluster_yaml_print(const struct cluster_settings *c, struct bytes *out);

#endif
