/* One epoll set holds the listener, a signalfd and the connections. A connection gathers a request
 * in `in`; when it is whole it is answered into `out`, which is sent as far as the socket takes it;
 * the next request is looked at when all of it has left.
 */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, BACKLOG = 64, RECEIVE_BYTES = 64 << 10 };

struct connection {
    int fd;
    struct text in, out;
    size_t sent;  /* of out */
    bool closing; /* when out has left */
};

struct server {
    const struct http_service *service;
    int epoll, listener, signals, connections;
    struct http_answer answer; /* its memory is used again */
};

static void watch(const struct server *s, int fd, uint32_t events, void *what, int op)
{
    struct epoll_event e = {.events = events, .data.ptr = what};
    if (epoll_ctl(s->epoll, op, fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void server_open(struct server *s, const char *host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
        die("HOST=%s: it is an address, such as 0.0.0.0", host);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    s->signals = signalfd(-1, &ends, SFD_CLOEXEC);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(s->listener, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(s->listener, BACKLOG) < 0)
        die("cannot listen on %s:%u: %s", host, port, strerror(errno));
    watch(s, s->listener, EPOLLIN, &s->listener, EPOLL_CTL_ADD);
    watch(s, s->signals, EPOLLIN, &s->signals, EPOLL_CTL_ADD);
}

static void server_accept(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *c = s->connections < HTTP_CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->fd = fd;
    s->connections++;
    watch(s, fd, EPOLLIN, c, EPOLL_CTL_ADD);
}

static void connection_close(struct server *s, struct connection *c)
{
    /* A child that writes a snapshot has the descriptor too: closing it here alone would neither
     * end the connection nor take it out of the set. */
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    text_free(&c->in);
    text_free(&c->out);
    free(c);
    s->connections--;
}

/* ---- one request ---- */

struct head {
    size_t len; /* with the empty line; 0: not whole yet */
    struct http_request request;
    size_t body_len;
    bool close;
};

/* Cuts the head in `in` into texts, in place. Returns a status for what is wrong, else 0. */
static int head_parse(struct text *in, struct head *h)
{
    char *end = in->len ? memmem(in->at, in->len, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return in->len > HTTP_HEAD_BYTES_MAX ? 431 : 0;
    char *at = strndup(in->at, (size_t)(end - in->at)), *rest = at;
    if (at == NULL)
        die("no memory for a request");
    h->len = (size_t)(end - in->at) + 4;
    char *line = strsep(&rest, "\r");
    h->request.method = strsep(&line, " ");
    h->request.path = strsep(&line, " ");
    h->close = line && strcmp(line, "HTTP/1.0") == 0;
    h->request.type = "";
    while (rest != NULL) {
        line = strsep(&rest, "\r");
        char *name = strsep(&line, ":");
        char *value = line ? line + strspn(line, " ") : "";
        name += *name == '\n';
        if (strcasecmp(name, "content-length") == 0)
            h->body_len = strtoull(value, NULL, 10);
        else if (strcasecmp(name, "content-type") == 0)
            h->request.type = value;
        else if (strcasecmp(name, "connection") == 0)
            h->close = strcasecmp(value, "close") == 0;
        else if (strcasecmp(name, "transfer-encoding") == 0)
            return 411;
    }
    if (h->request.path == NULL)
        return 400;
    return h->body_len > HTTP_BODY_BYTES_MAX ? 413 : 0;
}

static const char *reason(int status)
{
    return status < 300 ? "OK" : status < 500 ? "Refused" : "Failed";
}

static void answer_add(struct connection *c, const struct http_answer *a)
{
    text_printf(&c->out, "HTTP/1.1 %d %s\r\n", a->status, reason(a->status));
    if (a->body.len)
        text_printf(&c->out, "Content-Type: %s\r\n", a->type);
    if (a->status != 204)
        text_printf(&c->out, "Content-Length: %zu\r\n", a->body.len);
    text_printf(&c->out, "%s\r\n", c->closing ? "Connection: close\r\n" : "");
    text_add(&c->out, a->body.at ? a->body.at : "", a->body.len);
}

/* Answers the request at the front of `in`, if it is whole; false: it is not. */
static bool request_answer(struct server *s, struct connection *c)
{
    struct head h = {0};
    struct http_answer *a = &s->answer;
    a->status = head_parse(&c->in, &h);
    a->type = "text/plain";
    a->body.len = 0;
    bool whole = a->status || (h.len && c->in.len >= h.len + h.body_len);
    if (a->status) {
        c->closing = true;
        answer_add(c, a);
    } else if (whole) {
        a->status = 200;
        h.request.body = c->in.at + h.len;
        h.request.body_len = h.body_len;
        c->closing = h.close;
        s->service->answer(s->service->arg, &h.request, a);
        answer_add(c, a);
        text_cut(&c->in, h.len + h.body_len);
    }
    free((void *)h.request.method); /* all texts of the head are one */
    return whole;
}

/* ---- the socket ---- */

/* False: the connection is over. */
static bool connection_send(struct server *s, struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.at + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(s, c->fd, EPOLLOUT, c, EPOLL_CTL_MOD);
            return true;
        }
        if (n < 0)
            return false;
        c->sent += (size_t)n;
    }
    c->out.len = c->sent = 0;
    return !c->closing;
}

static bool connection_receive(struct connection *c)
{
    text_room(&c->in, RECEIVE_BYTES);
    ssize_t n = recv(c->fd, c->in.at + c->in.len, c->in.room - c->in.len, 0);
    if (n > 0)
        c->in.len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void connection_turn(struct server *s, struct connection *c, uint32_t events)
{
    bool open = true;
    if (events & EPOLLOUT) {
        watch(s, c->fd, EPOLLIN, c, EPOLL_CTL_MOD);
        open = connection_send(s, c);
    } else {
        open = connection_receive(c);
    }
    while (open && c->out.len == 0 && request_answer(s, c))
        open = connection_send(s, c);
    if (!open)
        connection_close(s, c);
}

void http_serve(const char *host, uint16_t port, const struct http_service *service)
{
    struct server s = {.service = service};
    server_open(&s, host, port);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(s.epoll, events, EVENTS, service->idle_ms);
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &s.signals)
                goto stopped;
            if (what == &s.listener)
                server_accept(&s);
            else
                connection_turn(&s, what, events[i].events);
        }
        service->idle(service->arg);
    }
stopped:
    close(s.listener);
    close(s.epoll);
    text_free(&s.answer.body);
}
