#include "io/socket.h"

#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct socket {
    int fd;
};

static enum err of_errno(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK || e == EINPROGRESS || e == ETIMEDOUT ? ERR_TIMED_OUT
                                                                                 : ERR_CLOSED;
}

static int connect_one(const struct addrinfo *a, int timeout_ms)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -1;
    struct timeval tv = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

enum err socket_connect(const char *host, const char *port, int timeout_ms, struct socket **out,
                        struct err_text *text)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int failed = getaddrinfo(host, port, &hints, &list);
    if (failed)
        return err_say(text, ERR_NOT_FOUND, "%s: %s", host, gai_strerror(failed));
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = connect_one(a, timeout_ms);
    int e = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return err_say(text, of_errno(e), "cannot connect to %s:%s: %s; is the broker running?",
                       host, port, strerror(e));
    *out = mem_alloc(sizeof **out);
    (*out)->fd = fd;
    return ERR_OK;
}

void socket_close(struct socket *s)
{
    if (!s)
        return;
    close(s->fd);
    mem_free(s);
}

enum err socket_send(struct socket *s, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = send(s->fd, (const char *)p + done, n - done, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return of_errno(errno);
        done += (size_t)k;
    }
    return ERR_OK;
}

enum err socket_receive(struct socket *s, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = recv(s->fd, (char *)p + done, n - done, 0);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            return ERR_CLOSED;
        if (k < 0)
            return of_errno(errno);
        done += (size_t)k;
    }
    return ERR_OK;
}
