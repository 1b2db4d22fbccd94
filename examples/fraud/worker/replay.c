#include "replay.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { EVENTS_MAX = 10000, WAIT_SECONDS_MAX = 10, RANGE_NOT_SATISFIABLE = 416 };

/* A connection to the first of the host's addresses that takes one. */
static int dial(const char *weir)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256];
    int fd = -1;
    const char *colon = strrchr(weir, ':');
    snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - weir) : 0, weir);
    if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &found) != 0)
        die("--weir %s: it is a host and a port, such as 127.0.0.1:8080", weir);
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        die("cannot reach weir at %s: %s", weir, strerror(errno));
    struct timeval wait = {.tv_sec = WAIT_SECONDS_MAX};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

/* One request on a connection of its own, which weir closes behind its answer: HTTP/1.0. */
static int get(const char *weir, const char *path, struct text *body)
{
    int fd = dial(weir);
    body->len = 0;
    text_printf(body, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, weir);
    if (send(fd, body->at, body->len, MSG_NOSIGNAL) != (ssize_t)body->len)
        die("cannot ask weir: %s", strerror(errno));
    body->len = 0;
    for (ssize_t n = 1; n > 0; body->len += (size_t)n) {
        text_room(body, 64 << 10);
        n = recv(fd, body->at + body->len, body->room - body->len, 0);
        if (n < 0)
            die("weir does not answer: %s", strerror(errno));
    }
    close(fd);
    char *end = body->len ? memmem(body->at, body->len, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        die("weir's answer is cut off");
    int status = (int)strtol(body->at + strlen("HTTP/1.1 "), NULL, 10);
    text_cut(body, (size_t)(end - body->at) + 4);
    return status;
}

/* What the log has from `offset` on (NULL: from its beginning), as far as one answer goes. */
static struct events ask(const struct replay *r, const char *offset, struct text *body)
{
    char path[512];
    snprintf(path, sizeof path, "/topics/%s?partition=%d&offset=%s&max=%d", r->topic, r->partition,
             offset, EVENTS_MAX);
    int status = get(r->weir, path, body);
    if (status == RANGE_NOT_SATISFIABLE && strcmp(offset, "earliest") != 0) {
        fprintf(stderr, "fraud-worker: %s/%d/%s is not there any more\n", r->topic, r->partition,
                offset);
        return ask(r, "earliest", body);
    }
    struct events e;
    if (status != 200)
        die("GET %s: %d %.*s", path, status, (int)body->len, body->at);
    if (!events_read(&e, body->at, body->len))
        die("GET %s: no events in the answer", path);
    return e;
}

void replay_run(struct replay *r)
{
    struct text body = {0};
    int more = 1;
    while (r->from < r->to && more) {
        char offset[24];
        snprintf(offset, sizeof offset, "%lld", (long long)r->from);
        struct events e = ask(r, offset, &body);
        more = 0;
        for (struct event one; r->from < r->to && events_next(&e, &one); more = 1) {
            if (one.offset >= r->from && one.offset < r->to)
                r->event(r->arg, &one);
            r->from = one.offset + 1;
        }
    }
    text_free(&body);
}
