/* The daemon: a node with its real seams. */
#ifndef SUPERVISOR_DAEMON_DAEMON_H
#define SUPERVISOR_DAEMON_DAEMON_H

#include "supervisor/config/node_config.h"

/* Runs until SIGTERM or SIGINT. Returns the process's exit status; what went
 * wrong has been said on stderr. */
int daemon_run(const struct node_config *config);

#endif
