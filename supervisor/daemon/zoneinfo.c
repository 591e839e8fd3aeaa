#include "supervisor/daemon/zoneinfo.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

#define ZONEINFO_DIR "/usr/share/zoneinfo"
#define ZONE_NAME_SIZE 64

struct loaded {
    char name[ZONE_NAME_SIZE];
    struct zone zone;
    struct arena arena;
    struct loaded *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loaded *zones;
static unsigned zones_count;

/* Letters, digits and _ + - / only, no part that starts with a dot: it cannot
 * leave the directory. */
static bool is_zone_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '+' || c == '-' || c == '/';
        if (!good) {
            return false;
        }
    }
    return name.n > 0 && name.n < ZONE_NAME_SIZE && name.p[0] != '/';
}

static bool zone_file_read(const char *name, struct bytes *out)
{
    char path[sizeof ZONEINFO_DIR + ZONE_NAME_SIZE];
    ssize_t n = 0;
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", ZONEINFO_DIR, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    do {
        uint8_t piece[4096];
        n = read(fd, piece, sizeof piece);
        if (n > 0) {
            bytes_append(out, piece, (size_t)n);
        }
    } while (n > 0 && out->n < ZONE_FILE_SIZE_MAX_BYTES);
    (void)close(fd);
    return n == 0;
}

/* NULL: no such zone. That is not remembered: whoever may apply a configuration
 * may try any number of names. */
static struct loaded *zone_load(struct span name)
{
    struct loaded *z = mem_zalloc(1, sizeof *z);
    struct bytes file = BYTES_NONE;
    bool good;

    z->arena = ARENA_INIT;
    (void)span_cstr(name, z->name, sizeof z->name);
    good = zone_file_read(z->name, &file) && zone_parse(span_bytes(&file), &z->arena, &z->zone) == SG_OK;
    bytes_release(&file);
    if (!good) {
        arena_release(&z->arena);
        mem_free(z);
        return NULL;
    }
    z->next = zones;
    zones = z;
    zones_count++;
    return z;
}

const struct zone *zoneinfo_get(void *impl, struct span name)
{
    struct loaded *z;

    (void)impl;
    if (!is_zone_name(name)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&lock);
    for (z = zones; z != NULL && !span_is(name, z->name); z = z->next) {
    }
    if (z == NULL && zones_count < ZONES_MAX) {
        z = zone_load(name);
    }
    (void)pthread_mutex_unlock(&lock);
    return z != NULL ? &z->zone : NULL;
}
