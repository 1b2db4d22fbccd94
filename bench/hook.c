/* hook.c: the least that takes deliveries: an HTTP server that reads requests, counts them, and
 * answers 200, so that the figure is what weir's side of a delivery costs.
 *
 *     hook PORT          0: any free one; prints "port N", then runs until SIGTERM
 *
 * One thread, epoll, keep-alive and pipelining. Bodies are skipped by Content-Length. At GET /count
 * it answers with the number of requests that had a body, and at SIGTERM prints a line of JSON.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER = 1 << 20,
    EVENTS = 256,
};

struct conn {
    int fd;
    size_t n;    /* bytes read and not used */
    size_t skip; /* of a body that is still coming */
    char buf[65536];
};

static uint64_t requests, bytes;
static volatile sig_atomic_t ending;

static void on_term(int signo)
{
    (void)signo;
    ending = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "hook: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t body_bytes(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

static bool send_text(struct conn *c, const char *text, size_t n)
{
    return send(c->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* The answer to one request whose head is whole. */
static bool answer(struct conn *c, bool count)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char text[128], body[32];
    if (!count) {
        requests++;
        return send_text(c, ok, sizeof ok - 1);
    }
    int n = snprintf(body, sizeof body, "%llu\n", (unsigned long long)requests);
    n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
    return send_text(c, text, (size_t)n);
}

/* Uses up what is there; false: the connection is of no use any more. */
static bool work(struct conn *c)
{
    for (;;) {
        size_t drop = c->skip < c->n ? c->skip : c->n;
        c->skip -= drop;
        memmove(c->buf, c->buf + drop, c->n - drop);
        c->n -= drop;
        c->buf[c->n] = '\0';
        char *end = c->skip == 0 ? strstr(c->buf, "\r\n\r\n") : NULL;
        if (!end)
            return c->n < sizeof c->buf - 1;
        *end = '\0';
        size_t head = (size_t)(end - c->buf) + 4, body = body_bytes(c->buf);
        bytes += head + body;
        if (!answer(c, !strncmp(c->buf, "GET /count", 10)))
            return false;
        c->skip = head + body;
    }
}

static void receive(struct conn *c)
{
    ssize_t k = recv(c->fd, c->buf + c->n, sizeof c->buf - 1 - c->n, 0);
    if (k > 0) {
        c->n += (size_t)k;
        if (work(c))
            return;
    } else if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    close(c->fd);
    free(c);
}

static void take(int ep, int listener)
{
    int fd = server_accept(listener);
    if (fd < 0)
        return;
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        die("memory");
    c->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
        die("epoll_ctl");
}

int main(int argc, char **argv)
{
    int listener = server_listen(argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    struct rusage used;
    signal(SIGTERM, on_term);
    if (listener < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
        die("listening");
    printf("port %u\n", server_port(listener));
    fflush(stdout);
    while (!ending) {
        int n = epoll_wait(ep, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                receive(events[i].data.ptr);
            else
                take(ep, listener);
        }
    }
    getrusage(RUSAGE_SELF, &used);
    printf("{\"requests\": %llu, \"bytes\": %llu, \"cpu_seconds\": %.3f}\n",
           (unsigned long long)requests, (unsigned long long)bytes,
           (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
