/* function_worker.c: the least that is a function: a worker that takes CloudEvents, one or many in
 * a call, and answers, so that the figure is what weir's side of a call costs.
 *
 *     function_worker [--reply] [--hold MS | --gate]
 *
 *     --reply    a call is answered with as many events as it brought; else with 204
 *     --hold MS  a call is answered MS after it came
 *     --gate     a call is answered when GET /open has come
 *
 * GET /held is answered at once with {"held": N, "most": N}: calls that are being held now, and the
 * most that were at one time. One thread, epoll, as many connections as come, one call at a time on
 * each. PORT says where it listens. A request is at most REQUEST_MAX; what is larger, or is no
 * request, ends its connection.
 */
#include "server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_FIRST = 4096, /* grows up to: */
    REQUEST_MAX = 4 << 20,
    EVENTS = 256,
};

struct conn {
    int fd;
    char *buf;
    size_t n, cap;
    struct conn *next, *before; /* while held: in the order in which they are due */
    uint64_t due_ms;
    bool is_held, is_batch;
    unsigned events;
};

struct text {
    char *at;
    size_t n, cap;
};

static bool reply, gate;
static uint64_t hold_ms;
static struct conn *first, *last;
static unsigned held, most;
static unsigned long long replies;
static struct text out;

static void die(const char *what)
{
    fprintf(stderr, "function_worker: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *grown(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        die("memory");
    return p;
}

/* ---- answers -------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    if (out.cap - out.n < 512)
        out.at = grown(out.at, out.cap = 2 * out.cap + 4096);
    va_start(args, format);
    out.n += (size_t)vsnprintf(out.at + out.n, out.cap - out.n, format, args);
    va_end(args);
}

/* An array of events. Their ids are padded, so that its length is known beforehand. */
static void say_batch(unsigned events)
{
    static const char item[] =
        "%c{\"specversion\":\"1.0\",\"id\":\"%014llu\",\"type\":\"bench.done\","
        "\"source\":\"/bench\",\"data\":{\"ok\":true}}";
    size_t each = sizeof item - 1 - strlen("%c%014llu") + 1 + 14;
    say("HTTP/1.1 200 OK\r\nContent-Type: application/cloudevents-batch+json\r\n"
        "Content-Length: %zu\r\n\r\n",
        events * each + 1);
    for (unsigned i = 0; i < events; i++)
        say(item, i == 0 ? '[' : ',', ++replies);
    say("]");
}

static void say_event(void)
{
    say("HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\nce-id: %llu\r\nce-type: bench.done\r\n"
        "ce-source: /bench\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
        "{\"ok\":true}",
        ++replies);
}

static void say_held(void)
{
    char body[64];
    int n = snprintf(body, sizeof body, "{\"held\": %u, \"most\": %u}\n", held, most);
    say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n,
        body);
}

/* What weir reads at once fits into the socket's buffer. */
static void send_out(struct conn *c)
{
    if (send(c->fd, out.at, out.n, MSG_NOSIGNAL) != (ssize_t)out.n)
        shutdown(c->fd, SHUT_RDWR);
    out.n = 0;
}

static void answer(struct conn *c)
{
    if (!reply || c->events == 0)
        say("HTTP/1.1 204 No Content\r\n\r\n");
    else if (c->is_batch)
        say_batch(c->events);
    else
        say_event();
    send_out(c);
}

/* ---- calls that are held -------------------------------------------------------------------- */

static void hold(struct conn *c)
{
    c->due_ms = now_ms() + hold_ms;
    c->before = last;
    c->next = NULL;
    *(last ? &last->next : &first) = c;
    last = c;
    c->is_held = true;
    held++;
    most = held > most ? held : most;
}

static void let_go(struct conn *c)
{
    *(c->before ? &c->before->next : &first) = c->next;
    *(c->next ? &c->next->before : &last) = c->before;
    c->is_held = false;
    held--;
}

static void answer_due(void)
{
    while (first && !gate && first->due_ms <= now_ms()) {
        struct conn *c = first;
        let_go(c);
        answer(c);
    }
}

static int until_due(void)
{
    uint64_t now = now_ms();
    if (!first || gate)
        return -1;
    return first->due_ms > now ? (int)(first->due_ms - now) : 0;
}

static void open_gate(void)
{
    gate = false;
    hold_ms = 0;
    for (struct conn *c = first; c; c = c->next)
        c->due_ms = 0;
    say("HTTP/1.1 204 No Content\r\n\r\n");
}

/* ---- requests ------------------------------------------------------------------------------- */

/* How often the text is in there. */
static unsigned occurrences(const char *at, size_t n, const char *text)
{
    const size_t len = strlen(text);
    unsigned found = 0;
    for (const char *end = at + n; (at = memmem(at, (size_t)(end - at), text, len)); at += len)
        found++;
    return found;
}

/* Of the head, which ends with a NUL. */
static size_t body_bytes(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

static void serve(struct conn *c, const char *head, const char *body, size_t n)
{
    if (!strncmp(head, "GET /held", 9)) {
        say_held();
        send_out(c);
        return;
    }
    if (!strncmp(head, "GET /open", 9)) {
        open_gate();
        send_out(c);
        return;
    }
    c->is_batch = strcasestr(head, "cloudevents-batch+json") != NULL;
    c->events = c->is_batch ? occurrences(body, n, "\"specversion\"") : 1;
    if (gate || hold_ms > 0)
        hold(c);
    else
        answer(c);
}

/* Uses up what is there; false: the connection is of no use any more. */
static bool work(struct conn *c)
{
    char *end = memmem(c->buf, c->n, "\r\n\r\n", 4);
    if (!end)
        return c->n < REQUEST_MAX;
    *end = '\0';
    size_t head = (size_t)(end - c->buf) + 4, body = body_bytes(c->buf);
    if (body > REQUEST_MAX)
        return false;
    if (c->n < head + body) {
        *end = '\r';
        return c->n < REQUEST_MAX;
    }
    serve(c, c->buf, c->buf + head, body);
    c->n -= head + body;
    memmove(c->buf, c->buf + head + body, c->n);
    return true;
}

static void receive(struct conn *c)
{
    if (c->cap - c->n < REQUEST_FIRST)
        c->buf = grown(c->buf, c->cap = 2 * c->cap + REQUEST_FIRST);
    ssize_t k = recv(c->fd, c->buf + c->n, c->cap - c->n, 0);
    if (k > 0) {
        c->n += (size_t)k;
        if (work(c))
            return;
    } else if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (c->is_held)
        let_go(c);
    close(c->fd);
    free(c->buf);
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

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--reply")) {
            reply = true;
        } else if (!strcmp(argv[i], "--gate")) {
            gate = true;
        } else if (!strcmp(argv[i], "--hold") && i + 1 < argc) {
            hold_ms = strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: function_worker [--reply] [--hold MS | --gate]\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    const char *port = getenv("PORT");
    parse(argc, argv);
    int listener = server_listen(port ? (uint16_t)strtoul(port, NULL, 10) : 0);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (listener < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
        die("listening");
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, until_due());
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                receive(events[i].data.ptr);
            else
                take(ep, listener);
        }
        answer_due();
    }
}
