/* Strangers at the ports for nodes. */
#ifndef TESTS_SIM_FORGE_H
#define TESTS_SIM_FORGE_H

#include "tests/sim/sim.h"

/* Somebody who knows every name and identity and reaches h's port for nodes sends
 * it one of the worst things that a member could say. */
void forge_frame(struct sim *s, struct sim_host *h);
/* A frame of nobody's (net.c). */
void net_inject(struct sim *s, unsigned to, struct span data);

#endif
