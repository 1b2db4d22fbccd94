#include "http_script.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 16

struct http_script {
    const struct http_script_step *steps;
    size_t n;
    int listener;
    uint16_t port;
    pthread_t thread;
    unsigned connections;
    char requests[REQUESTS_MAX][HTTP_SCRIPT_REQUEST_MAX];
};

static size_t body_bytes(const char *request)
{
    const char *at = strstr(request, "Content-Length: ");
    return at ? strtoul(at + 16, NULL, 10) : 0;
}

/* False: the connection ended before a whole request had come; *n says how much of it had. */
static bool read_request(int fd, char *out, size_t *got)
{
    size_t n = 0;
    for (;;) {
        out[n] = '\0';
        const char *end = strstr(out, "\r\n\r\n");
        if (end && n >= (size_t)(end - out) + 4 + body_bytes(out))
            return true;
        ssize_t k = n < HTTP_SCRIPT_REQUEST_MAX - 1
                        ? recv(fd, out + n, HTTP_SCRIPT_REQUEST_MAX - 1 - n, 0)
                        : 0;
        if (k <= 0)
            return false;
        n += (size_t)k;
        *got = n;
    }
}

static void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        p += k;
        n -= (size_t)k;
    }
}

static void end_connection(int fd, const struct http_script_step *step)
{
    char rest[256];
    if (step->then == THEN_RESET) {
        struct linger reset = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    while (step->then == THEN_HOLD && recv(fd, rest, sizeof rest, 0) > 0)
        ;
    close(fd);
}

static void *serve(void *arg)
{
    struct http_script *s = arg;
    size_t i = 0;
    while (i < s->n) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            return NULL; /* http_script_end: the client will not come */
        s->connections++;
        for (bool more = true; more && i < s->n; i++) {
            const struct http_script_step *step = &s->steps[i];
            size_t got = 0;
            if (!step->unasked && !read_request(fd, s->requests[i], &got))
                more = false;
            if (!more && got == 0) { /* nobody asked: the step is for the next connection */
                close(fd);
                break;
            }
            if (more && step->answer)
                send_all(fd, step->answer, step->answer_n ? step->answer_n : strlen(step->answer));
            more = more && step->then == THEN_NEXT && i + 1 < s->n;
            if (!more)
                end_connection(fd, step);
        }
    }
    return NULL;
}

struct http_script *http_script_start(const struct http_script_step *steps, size_t n)
{
    struct http_script *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    if (!s || n > REQUESTS_MAX)
        abort();
    s->steps = steps;
    s->n = n;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&at, len) || listen(s->listener, 16) ||
        getsockname(s->listener, (struct sockaddr *)&at, &len))
        abort();
    s->port = ntohs(at.sin_port);
    if (pthread_create(&s->thread, NULL, serve, s))
        abort();
    return s;
}

uint16_t http_script_port(const struct http_script *s)
{
    return s->port;
}

void http_script_end(struct http_script *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    s->listener = -1;
}

const char *http_script_request(const struct http_script *s, size_t i)
{
    return s->requests[i];
}

unsigned http_script_connections(const struct http_script *s)
{
    return s->connections;
}

void http_script_free(struct http_script *s)
{
    free(s);
}
