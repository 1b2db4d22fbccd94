/* Accepting and connecting.
 *
 * A listener belongs to the first of its loops; a new socket is counted for the loop with the
 * fewest streams and posted to it, also when that is the accepting loop itself.
 */
#include "io/epoll_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096
/* Sockets accepted in one turn, so that a storm of connections does not starve the streams. */
#define LISTEN_BATCH 64

struct fd_listener {
    struct listener l; /* first */
    struct watch watch;
    struct list link; /* in the loop's listeners */
    struct epoll_loop *el;
    int fd;
    struct addr addr;
    struct loop **loops;
    unsigned n;
    struct acceptor *acceptor;
};

void acceptor_put(struct acceptor *acceptor)
{
    if (atomic_fetch_sub(&acceptor->refs, 1) == 1)
        mem_free(acceptor);
}

/* ---- accepting ---- */

static void socket_accepted(struct fd_listener *l, int fd, const struct addr *peer)
{
    struct addr local = {.len = sizeof(local.ss)};
    if (getsockname(fd, (struct sockaddr *)&local.ss, &local.len) < 0)
        local = l->addr;
    struct loop *loop = loop_least_loaded(l->loops, l->n);
    struct stream *s = stream_make((struct epoll_loop *)loop, fd);
    stream_set_addrs(s, &local, peer);
    atomic_fetch_add(&l->acceptor->refs, 1);
    stream_hand_over(s, l->acceptor);
}

/* No descriptor is left: the connection is taken with the one in reserve and closed, since one that
 * waits would wake the loop again and again. */
static void refuse_one(struct fd_listener *l)
{
    struct epoll_loop *el = l->el;
    if (!el->complained)
        log_event(ENV_ERROR, "listener.no_descriptors",
                  "addr=%s effect=\"connections are refused\"", l->l.addr);
    el->complained = true;
    close(el->reserve_fd);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    el->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    struct fd_listener *l = container_of(watch, struct fd_listener, watch);
    (void)events;
    for (unsigned i = 0; i < LISTEN_BATCH; i++) {
        struct addr peer = {.len = sizeof(peer.ss)};
        int fd =
            accept4(l->fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            el->complained = false;
            socket_accepted(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE) {
            refuse_one(l);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* ---- listening ---- */

/* Why the address cannot be had. */
static enum err bind_fail(const struct addr *addr, int number, struct err_text *text)
{
    char shown[PIPE_ADDR_MAX], owner[128];
    addr_format(addr, shown);
    switch (number) {
    case EADDRINUSE:
        if (addr_port(addr) && addr_port_owner(addr_port(addr), owner, sizeof(owner)))
            return err_say(text, ERR_EXISTS, "address %s is taken by %s", shown, owner);
        return err_say(text, ERR_EXISTS, "address %s is taken by another process", shown);
    case EADDRNOTAVAIL:
        return err_say(text, ERR_REQUEST_INVALID, "this machine has no address %s", shown);
    default:
        return err_say(text, ERR_REQUEST_INVALID, "cannot listen on %s: %s", shown,
                       strerror(number));
    }
}

/* A socket file that nobody listens behind is left over from a process that died. */
static void unix_clear(const struct addr *addr)
{
    const char *path = ((const struct sockaddr_un *)&addr->ss)->sun_path;
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&addr->ss, addr->len) < 0 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

static int socket_open(struct addr *addr)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(addr->ss.ss_family, type, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && addr->ss.ss_family == AF_INET6) {
        /* A machine without IPv6: its IPv4 addresses are all that "every address" can be. */
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->ss;
        if (memcmp(&in6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) != 0)
            return -1;
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = in6->sin6_port};
        memset(&addr->ss, 0, sizeof(addr->ss));
        memcpy(&addr->ss, &any, sizeof(any));
        addr->len = sizeof(any);
        fd = socket(AF_INET, type, 0);
    }
    return fd;
}

static enum err listener_open(struct fd_listener *l, struct err_text *text)
{
    const int on = 1;
    if (l->addr.ss.ss_family == AF_UNIX)
        unix_clear(&l->addr);
    l->fd = socket_open(&l->addr);
    if (l->fd < 0)
        return bind_fail(&l->addr, errno, text);
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l->fd, (const struct sockaddr *)&l->addr.ss, l->addr.len) < 0 ||
        listen(l->fd, LISTEN_BACKLOG) < 0)
        return bind_fail(&l->addr, errno, text);
    l->addr.len = sizeof(l->addr.ss);
    if (getsockname(l->fd, (struct sockaddr *)&l->addr.ss, &l->addr.len) < 0 ||
        !epoll_watch(l->el, l->fd, EPOLLIN, &l->watch))
        return err_say(text, ERR_IO, "cannot listen: %s", strerror(errno));
    addr_format(&l->addr, l->l.addr);
    return ERR_OK;
}

static void fd_listener_free(struct fd_listener *l)
{
    if (l->fd >= 0) {
        epoll_unwatch(l->el, l->fd);
        close(l->fd);
    }
    list_remove(&l->link);
    atomic_store(&l->acceptor->closed, true);
    acceptor_put(l->acceptor);
    mem_free(l->loops);
    mem_free(l);
}

static void fd_listener_close(struct listener *face)
{
    struct fd_listener *l = (struct fd_listener *)face;
    if (l->addr.ss.ss_family == AF_UNIX)
        unlink(((const struct sockaddr_un *)&l->addr.ss)->sun_path);
    fd_listener_free(l);
}

void listeners_end_all(struct epoll_loop *el)
{
    while (!list_empty(&el->listeners))
        fd_listener_close(&container_of(el->listeners.next, struct fd_listener, link)->l);
}

enum err epoll_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                      struct listener **out, struct err_text *text)
{
    struct addr addr;
    enum err e = addr_parse(conf->bind, true, &addr, text);
    if (e)
        return e;
    struct fd_listener *l = mem_zalloc(1, sizeof(*l));
    l->l.close = fd_listener_close;
    l->watch.ready = listener_ready;
    l->el = (struct epoll_loop *)loops[0];
    l->fd = -1;
    l->addr = addr;
    l->loops = mem_alloc(n * sizeof(*loops));
    memcpy(l->loops, loops, n * sizeof(*loops));
    l->n = n;
    l->acceptor = mem_zalloc(1, sizeof(*l->acceptor));
    atomic_init(&l->acceptor->refs, 1);
    l->acceptor->accept = conf->accept;
    l->acceptor->arg = conf->arg;
    list_push(&l->el->listeners, &l->link);
    e = listener_open(l, text);
    if (e)
        fd_listener_free(l);
    else
        *out = &l->l;
    return e;
}

/* ---- connecting ---- */

enum err epoll_connect(struct loop *loop, const char *text, const struct pipe_user_ops *user_ops,
                       void *user, struct pipe **out)
{
    struct addr addr;
    enum err e = addr_parse(text, false, &addr, NULL);
    if (e)
        return e;
    if (((struct epoll_loop *)loop)->freeing)
        return ERR_CLOSED;
    int fd = socket(addr.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_BUSY;
    struct stream *s = stream_make((struct epoll_loop *)loop, fd);
    struct pipe *pipe = stream_pipe(s);
    snprintf(pipe->peer, PIPE_ADDR_MAX, "%s", text);
    pipe->user_ops = user_ops;
    pipe->user = user;
    int r = connect(fd, (const struct sockaddr *)&addr.ss, addr.len);
    bool failed = r < 0 && errno != EINPROGRESS;
    stream_start(s, true); /* epoll tells at once of one that stands already */
    if (failed)
        stream_end(s, ERR_CLOSED);
    *out = pipe;
    return ERR_OK;
}
