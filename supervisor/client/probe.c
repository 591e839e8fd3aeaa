#include "supervisor/client/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SCHEME_SIZE 6 /* "tcp://" or "ipc://" */
#define HOST_SIZE 256

static const char *const answers_not = "it takes connections but does not answer";

/* 0 or an errno. */
static int finish_connect(int fd, uint32_t timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    if (poll(&wait, 1, (int)timeout_ms) == 0) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/* NULL: connected; else why not. */
static const char *probe_connect(int family, const struct sockaddr *to, socklen_t size, uint32_t timeout_ms)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return strerror(errno);
    }
    int error = connect(fd, to, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        error = finish_connect(fd, timeout_ms);
    }
    (void)close(fd);
    return error == 0 ? NULL : strerror(error);
}

static const char *probe_tcp(const char *host_and_port, uint32_t timeout_ms)
{
    char host[HOST_SIZE];
    const char *colon = strrchr(host_and_port, ':');
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (colon == NULL) {
        return "no port";
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - host_and_port), host_and_port);
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0) {
        return gai_strerror(rc);
    }
    const char *why = probe_connect(found->ai_family, found->ai_addr, found->ai_addrlen, timeout_ms);
    freeaddrinfo(found);
    return why;
}

static const char *probe_ipc(const char *path, uint32_t timeout_ms)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to.sun_path)) {
        return "the path is too long";
    }
    memcpy(to.sun_path, path, strlen(path));
    return probe_connect(AF_UNIX, (const struct sockaddr *)&to, sizeof(to), timeout_ms);
}

void probe_explain(const char *address, uint32_t timeout_ms, char *why, size_t why_size)
{
    const char *reason = "not an address";
    if (strncmp(address, "tcp://", SCHEME_SIZE) == 0) {
        reason = probe_tcp(address + SCHEME_SIZE, timeout_ms);
    } else if (strncmp(address, "ipc://", SCHEME_SIZE) == 0) {
        reason = probe_ipc(address + SCHEME_SIZE, timeout_ms);
    }
    (void)snprintf(why, why_size, "%s: %s", address, reason != NULL ? reason : answers_not);
}
