/* Are two directories what an endpoint needs them to be, whatever their names say? */
#ifndef SUPERVISOR_DAEMON_BANKS_DIRECTORY_PLACE_H
#define SUPERVISOR_DAEMON_BANKS_DIRECTORY_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* By device and inode, so that dots, links and mounts hide nothing: staging is neither
 * drop nor within it (the bank would take half-written files), and neither lies in a
 * node's data directory. staging and drop are open directories. false: why is a
 * sentence; nothing was changed. Blocks as the file system does. */
bool directory_places_are_sound(int staging, int drop, char *why, size_t why_size);

#endif
