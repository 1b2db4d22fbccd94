/* One connected socket.
 *
 * Receiving: epoll says once that bytes came; the stream stays in the loop's list of readable ones
 * until a read comes back short (then the kernel has nothing more) or would block. A stream that
 * has had its share of a turn stays in the list, and the next turn does not wait.
 * Sending: chunks queue up during a turn; at its end they leave in few calls: up to 64 slices of
 * memory in one, a range of a file in another. If the socket takes no more, epoll says when it
 * does. A range that is not in the page cache is read there by a helper thread first (file_warm.h),
 * piece by piece: meanwhile this stream waits, and the others do not.
 */
#include "io/epoll_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/disk.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one stream may receive and send in one turn, bytes. */
#define STREAM_RECEIVE_BUDGET ((size_t)1 << 20)
#define STREAM_SEND_BUDGET ((size_t)4 << 20)
#define STREAM_SLICES_MAX 64
/* How much of a file is looked for in the page cache, and brought there, at once. */
#define STREAM_WARM_BYTES ((size_t)1 << 20)
/* How much of a file is copied at once where sendfile does not work. */
#define STREAM_COPY_BYTES ((size_t)128 << 10)

struct stream {
    struct pipe pipe; /* first */
    struct watch watch;
    struct epoll_loop *el;
    int fd;
    struct list link, read_link, send_link, end_link; /* in the lists of el */
    struct chunkq out;
    size_t out_file_bytes;
    size_t warm_bytes;      /* of the head's file range: they may be sent without a look */
    struct file_warm *warm; /* brings them; NULL: none are awaited */
    struct env_timer close_timer;
    struct env_mail mail;      /* takes a fresh stream to its loop */
    struct acceptor *acceptor; /* then who is to have it */
    bool readable, writable;
    bool hup;    /* the peer ended its direction: read until 0 comes */
    bool broken; /* the connection is gone: read what came, then the error */
    bool paused;
    bool connecting;
    bool over;    /* pipe_send has said false */
    bool closing; /* closes when all is sent */
    bool ended;   /* closed() follows */
    bool no_sendfile;
    enum err why;
};

/* ---- ending ---- */

static void output_clear(struct stream *s)
{
    chunkq_clear(&s->out);
    s->out_file_bytes = s->warm_bytes = 0;
    s->pipe.unsent = 0;
    if (s->warm)
        file_warm_forget(s->warm);
    s->warm = NULL;
}

void stream_end(struct stream *s, enum err why)
{
    if (s->ended)
        return;
    s->ended = true;
    s->why = why;
    output_clear(s);
    list_remove(&s->read_link);
    list_remove(&s->send_link);
    list_push(&s->el->ending, &s->end_link);
}

static enum err stream_errno(int number)
{
    return number == ETIMEDOUT ? ERR_TIMED_OUT : ERR_CLOSED;
}

/* Bytes that nobody read would turn the close into a reset, which may take the last answer with
 * it on its way to the peer. */
static void input_discard(struct stream *s)
{
    char waste[4096];
    for (unsigned i = 0; i < STREAM_RECEIVE_BUDGET / sizeof(waste); i++) {
        if (recv(s->fd, waste, sizeof(waste), MSG_DONTWAIT) <= 0)
            return;
    }
}

static void stream_free(struct stream *s)
{
    output_clear(s);
    env_timer_stop(&s->el->loop.env, &s->close_timer);
    list_remove(&s->link);
    list_remove(&s->read_link);
    list_remove(&s->send_link);
    list_remove(&s->end_link);
    atomic_fetch_sub_explicit(&s->el->loop.streams, 1, memory_order_relaxed);
    epoll_unwatch(s->el, s->fd);
    close(s->fd);
    mem_free(s);
}

void stream_drop(struct stream *s)
{
    stream_free(s);
}

/* ---- the user's side ---- */

static size_t output_weight(const struct stream *s)
{
    return loop_output_weight(s->out.bytes - s->out_file_bytes, s->out_file_bytes);
}

static void sending_add(struct stream *s)
{
    if (s->writable && !s->warm && !s->ended && !list_linked(&s->send_link))
        list_push(&s->el->sending, &s->send_link);
}

static void readable_add(struct stream *s)
{
    if (s->readable && !s->paused && !s->closing && !s->ended && !list_linked(&s->read_link))
        list_push(&s->el->readable, &s->read_link);
}

static void pipe_stream_abort(struct pipe *p, enum err why)
{
    struct stream *s = (struct stream *)p;
    if (s->ended)
        return;
    /* The peer is to see that this was not an ordinary end. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    stream_end(s, why);
}

static bool pipe_stream_send(struct pipe *p, struct chunkq *q)
{
    struct stream *s = (struct stream *)p;
    if (s->ended || s->closing) {
        chunkq_clear(q);
        return true;
    }
    s->out_file_bytes += loop_file_bytes(q);
    chunkq_move(&s->out, q);
    s->pipe.unsent = s->out.bytes;
    size_t weight = output_weight(s);
    if (weight > 4 * LOOP_OUTPUT_MAX) {
        pipe_stream_abort(p, ERR_BUSY);
        return false;
    }
    sending_add(s);
    s->over |= weight > loop_output_max(p);
    return !s->over;
}

static void pipe_stream_resume(struct pipe *p)
{
    struct stream *s = (struct stream *)p;
    s->paused = false;
    readable_add(s);
}

static void close_expired(struct env_timer *timer)
{
    struct stream *s = container_of(timer, struct stream, close_timer);
    pipe_stream_abort(&s->pipe, ERR_TIMED_OUT);
}

static void pipe_stream_close(struct pipe *p)
{
    struct stream *s = (struct stream *)p;
    if (s->ended || s->closing)
        return;
    s->closing = true;
    list_remove(&s->read_link);
    if (s->out.bytes == 0 && !s->connecting) {
        input_discard(s);
        stream_end(s, ERR_OK);
        return;
    }
    s->close_timer.fire = close_expired;
    env_timer_set(&s->el->loop.env, &s->close_timer, LOOP_CLOSE_MAX_MS * UINT64_C(1000));
    sending_add(s);
}

static const struct pipe_ops stream_ops = {
    .send = pipe_stream_send,
    .resume = pipe_stream_resume,
    .close = pipe_stream_close,
    .abort = pipe_stream_abort,
};

/* ---- receiving ---- */

/* One read into the user's space; returns how many bytes came, 0 when the stream has to stop. */
static size_t receive_once(struct stream *s)
{
    size_t cap = 0;
    void *space = s->pipe.user_ops->space(s->pipe.user, &cap);
    if (s->ended || s->closing)
        return 0;
    if (!space) {
        s->paused = true;
        /* Nobody is going to read the error. */
        if (s->broken)
            stream_end(s, ERR_CLOSED);
        return 0;
    }
    weir_assert(cap > 0);
    ssize_t n;
    do {
        n = recv(s->fd, space, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        if ((size_t)n < cap && !s->hup)
            s->readable = false;
        s->pipe.user_ops->received(s->pipe.user, (size_t)n);
        return (size_t)n;
    }
    s->readable = false;
    if (n == 0)
        s->pipe.user_ops->received(s->pipe.user, 0);
    else if (errno != EAGAIN)
        stream_end(s, stream_errno(errno));
    return 0;
}

/* Leaves the stream out of the list, or at its end if there is more than its share. */
static void stream_receive(struct stream *s)
{
    size_t left = STREAM_RECEIVE_BUDGET;
    list_remove(&s->read_link);
    while (s->readable && !s->ended && !s->closing) {
        size_t n = receive_once(s);
        if (n == 0)
            return;
        if (n >= left)
            break;
        left -= n;
    }
    readable_add(s);
}

void streams_receive(struct epoll_loop *el)
{
    struct list now;
    list_init(&now);
    list_move(&now, &el->readable);
    while (!list_empty(&now))
        stream_receive(container_of(now.next, struct stream, read_link));
}

/* ---- sending ---- */

/* A part of a file where sendfile cannot read it: through memory. */
static ssize_t file_copy(struct stream *s, int fd, const struct chunk *c)
{
    size_t n = c->len < STREAM_COPY_BYTES ? c->len : STREAM_COPY_BYTES;
    uint8_t *p = mem_alloc(n);
    ssize_t got = pread(fd, p, n, (off_t)c->at);
    if (got > 0)
        got = send(s->fd, p, (size_t)got, MSG_NOSIGNAL);
    mem_free(p);
    return got;
}

static void warm_done(void *arg)
{
    struct stream *s = arg;
    s->warm = NULL;
    sending_add(s);
}

/* Whether the head's next bytes are in the page cache; else they are brought there. */
static bool file_ready(struct stream *s)
{
    const struct chunk *c = s->out.head;
    if (s->warm_bytes > 0)
        return true;
    s->warm_bytes = c->len < STREAM_WARM_BYTES ? c->len : STREAM_WARM_BYTES;
    if (file_is_warm(((struct disk_file *)c->file)->fd, c->at, s->warm_bytes))
        return true;
    s->warm = file_warm_start(&s->el->warms, c->file, c->at, s->warm_bytes, warm_done, s);
    return false;
}

static ssize_t send_file(struct stream *s, size_t budget)
{
    const struct chunk *c = s->out.head;
    int fd = ((struct disk_file *)c->file)->fd;
    off_t at = (off_t)c->at;
    ssize_t n = -1;
    if (!s->no_sendfile)
        n = sendfile(s->fd, fd, &at, s->warm_bytes < budget ? s->warm_bytes : budget);
    if (s->no_sendfile || (n < 0 && (errno == EINVAL || errno == ENOSYS))) {
        s->no_sendfile = true;
        n = file_copy(s, fd, c);
    }
    if (n == 0) {
        /* The file is shorter than the range: the promised bytes cannot come. */
        errno = EIO;
        return -1;
    }
    if (n > 0) {
        s->out_file_bytes -= (size_t)n;
        s->warm_bytes -= (size_t)n < s->warm_bytes ? (size_t)n : s->warm_bytes;
    }
    return n;
}

static ssize_t send_slices(struct stream *s)
{
    struct iovec iov[STREAM_SLICES_MAX];
    struct msghdr msg = {.msg_iov = iov};
    const struct chunk *c = s->out.head;
    for (; c && !c->file && msg.msg_iovlen < STREAM_SLICES_MAX; c = c->next) {
        struct iovec *v = &iov[msg.msg_iovlen++];
        v->iov_base = (void *)(uintptr_t)c->slice.at;
        v->iov_len = c->len;
    }
    return sendmsg(s->fd, &msg, MSG_NOSIGNAL | (c ? MSG_MORE : 0));
}

/* Sends until the queue, the socket or the budget is exhausted. */
static void output_send(struct stream *s)
{
    size_t left = STREAM_SEND_BUDGET;
    while (s->out.bytes && left > 0) {
        if (s->out.head->file && !file_ready(s))
            return;
        ssize_t n = s->out.head->file ? send_file(s, left) : send_slices(s);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            s->writable = false;
            return;
        }
        if (n < 0) {
            /* Where our side failed, the peer is not to take the bytes for complete. */
            pipe_stream_abort(&s->pipe, errno == EIO ? ERR_IO : stream_errno(errno));
            return;
        }
        chunkq_drop(&s->out, (size_t)n);
        left -= (size_t)n < left ? (size_t)n : left;
    }
}

static void stream_flush(struct stream *s)
{
    list_remove(&s->send_link);
    output_send(s);
    s->pipe.unsent = s->out.bytes;
    if (s->ended)
        return;
    if (s->closing && s->out.bytes == 0) {
        input_discard(s);
        stream_end(s, ERR_OK);
        return;
    }
    if (s->out.bytes)
        sending_add(s);
    if (s->over && output_weight(s) < loop_output_max(&s->pipe) / 2) {
        s->over = false;
        if (s->pipe.user_ops->drained)
            s->pipe.user_ops->drained(s->pipe.user);
    }
}

void streams_send(struct epoll_loop *el)
{
    struct list now;
    list_init(&now);
    list_move(&now, &el->sending);
    while (!list_empty(&now))
        stream_flush(container_of(now.next, struct stream, send_link));
}

/* ---- life ---- */

/* Those that end because of a closed() here are for the next turn. */
void streams_close(struct epoll_loop *el)
{
    struct list now, *at;
    list_init(&now);
    list_move(&now, &el->ending);
    while ((at = list_pop(&now)) != NULL) {
        struct stream *s = container_of(at, struct stream, end_link);
        s->pipe.user_ops->closed(s->pipe.user, s->why);
        stream_free(s);
    }
}

void streams_end_all(struct epoll_loop *el)
{
    list_for_safe (it, &el->streams)
        stream_end(container_of(it, struct stream, link), ERR_CLOSED);
    while (!list_empty(&el->ending))
        streams_close(el);
}

static void local_fill(struct stream *s)
{
    struct addr local = {.len = sizeof(local.ss)};
    if (getsockname(s->fd, (struct sockaddr *)&local.ss, &local.len) == 0)
        addr_format(&local, s->pipe.local);
}

/* The connection stands, or could not be made. */
static void connect_finish(struct stream *s)
{
    int number = 0;
    socklen_t len = sizeof(number);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
        number = errno;
    if (number) {
        stream_end(s, stream_errno(number));
        return;
    }
    local_fill(s);
    s->connecting = false;
    if (s->pipe.user_ops->opened)
        s->pipe.user_ops->opened(s->pipe.user);
}

static void stream_ready(struct epoll_loop *el, struct watch *watch, uint32_t events)
{
    struct stream *s = container_of(watch, struct stream, watch);
    (void)el;
    if (s->ended)
        return;
    if (s->connecting && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        connect_finish(s);
    if (s->connecting || s->ended)
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->hup = true;
    if (events & EPOLLERR)
        s->broken = true;
    if (s->broken && (s->paused || s->closing))
        stream_end(s, ERR_CLOSED);
    readable_add(s);
    if (events & EPOLLOUT) {
        s->writable = true;
        if (s->out.bytes || s->closing)
            sending_add(s);
    }
}

static void socket_tune(int fd)
{
    /* Fails on unix sockets, which need neither. */
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

struct stream *stream_make(struct epoll_loop *el, int fd)
{
    struct stream *s = mem_zalloc(1, sizeof(*s));
    socket_tune(fd);
    s->pipe.ops = &stream_ops;
    s->watch.ready = stream_ready;
    s->el = el;
    s->fd = fd;
    list_init(&s->link);
    list_init(&s->read_link);
    list_init(&s->send_link);
    list_init(&s->end_link);
    chunkq_init(&s->out);
    atomic_fetch_add_explicit(&el->loop.streams, 1, memory_order_relaxed);
    return s;
}

void stream_set_addrs(struct stream *s, const struct addr *local, const struct addr *peer)
{
    addr_format(local, s->pipe.local);
    addr_format(peer, s->pipe.peer);
}

struct pipe *stream_pipe(struct stream *s)
{
    return &s->pipe;
}

void stream_start(struct stream *s, bool connecting)
{
    struct epoll_loop *el = s->el;
    list_push(&el->streams, &s->link);
    s->connecting = connecting;
    if (!epoll_watch(el, s->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &s->watch)) {
        stream_end(s, ERR_BUSY);
        return;
    }
    if (connecting)
        return;
    if (!s->pipe.local[0])
        local_fill(s);
    /* Most clients speak first, and their words are there already. */
    s->readable = s->writable = true;
    readable_add(s);
    if (s->out.bytes || s->closing)
        sending_add(s);
}

/* On the stream's own loop. */
static void handed_run(struct env_mail *mail, struct env *env)
{
    struct stream *s = container_of(mail, struct stream, mail);
    struct acceptor *acceptor = s->acceptor;
    s->acceptor = NULL;
    if (!atomic_load(&acceptor->closed) &&
        acceptor->accept(acceptor->arg, loop_of(env), &s->pipe)) {
        weir_assert(s->pipe.user_ops != NULL);
        stream_start(s, false);
    } else {
        stream_drop(s);
    }
    acceptor_put(acceptor);
}

void stream_hand_over(struct stream *s, struct acceptor *acceptor)
{
    s->acceptor = acceptor;
    s->mail.run = handed_run;
    epoll_post(s->el, &s->mail);
}

bool stream_drop_handed(struct env_mail *mail)
{
    if (mail->run != handed_run)
        return false;
    struct stream *s = container_of(mail, struct stream, mail);
    acceptor_put(s->acceptor);
    stream_drop(s);
    return true;
}
