/* The version of this build. */
#ifndef SUPERVISOR_BASE_VERSION_H
#define SUPERVISOR_BASE_VERSION_H

#define SHARDGATE_VERSION_TEXT "0.1.0"

#endif
