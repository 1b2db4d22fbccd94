/* Simulated streams.
 *
 * A connection has two ends. What one end sends becomes segments, events that arrive at the other
 * after a drawn delay, in order. Flow control is a window of bytes that were sent and not yet
 * taken by the receiver: beyond it they stay in the sender's queue, where the output limit counts
 * them, as with a socket whose buffer is full.
 *
 *      connect   SYN ->   the listener's loop accepts   <- ACK
 *      close     FIN ->   received(0)
 *      abort     RST ->   closed(ERR_CLOSED)
 *
 * A connection is freed when both ends are gone and no segment is on its way.
 */
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define SIM_WINDOW ((size_t)256 << 10)
#define SIM_SEGMENT_MAX ((size_t)64 << 10)
/* Bytes that one stream may receive in one turn. */
#define SIM_TURN_BUDGET ((size_t)1 << 20)
#define SIM_PORT_FIRST 40000
#define SIM_HOST_MAX 64

enum segment_kind { SEGMENT_SYN, SEGMENT_ACK, SEGMENT_DATA, SEGMENT_FIN, SEGMENT_RST };

struct sim_segment {
    struct sim_event event;
    struct list link; /* in sim_stream.arrived */
    struct sim_stream *to;
    enum segment_kind kind;
    size_t at, len; /* what is left of the data */
    uint8_t data[];
};

struct sim_stream {
    struct pipe pipe; /* first */
    struct sim_conn *conn;
    struct sim_stream *peer;
    struct sim_loop *loop; /* NULL: this end is gone, or not accepted yet */
    struct list link;      /* in loop->streams */
    struct chunkq out;
    size_t out_file_bytes;
    struct list arrived;
    size_t window_used;              /* bytes on their way to this end or waiting here */
    uint64_t last_due_us;            /* of what is on its way to this end */
    struct sim_listener *fresh_from; /* accepted, the user has not seen it yet */
    bool waits_ack;
    bool opened; /* the user is to be told so */
    bool paused;
    bool reset;   /* the peer is gone */
    bool over;    /* pipe_send has said false */
    bool closing; /* closes when all is sent */
    bool ended;   /* closed() follows at the end of the turn */
    enum err why;
    struct env_timer close_timer;
};

struct sim_conn {
    struct sim_stream end[2];
    unsigned refs; /* ends that live and segments on their way */
};

struct sim_listener {
    struct listener l; /* first */
    struct list link;
    struct sim_loop *home; /* its machine's first loop */
    struct loop **loops;
    unsigned n;
    uint16_t port; /* 0: a unix path */
    loop_accept_fn *accept;
    void *arg;
};

struct sim_net {
    struct sim *sim;
    struct list listeners;
    struct sim_net_faults faults;
    uint16_t next_port;
};

static void conn_put(struct sim_conn *conn)
{
    if (--conn->refs == 0)
        mem_free(conn);
}

/* ---- segments ---- */

static void segment_free(struct sim_segment *seg)
{
    struct sim_conn *conn = seg->to->conn;
    mem_free(seg);
    conn_put(conn);
}

static void segment_arrive(struct sim *sim, struct sim_event *event);

static void segment_send(struct sim *sim, struct sim_stream *to, struct sim_segment *seg)
{
    uint64_t due = sim_local_us(sim) + sim_draw_us(sim, sim->conf.net_delay_us);
    if (sim->net->faults.delay_max_us)
        due += rng_below(&sim->rng, (uint64_t)sim->net->faults.delay_max_us + 1);
    if (due <= to->last_due_us)
        due = to->last_due_us + 1;
    to->last_due_us = due;
    to->conn->refs++;
    to->window_used += seg->len;
    seg->to = to;
    seg->event.run = segment_arrive;
    list_init(&seg->link);
    sim_schedule(sim, &seg->event, due);
}

static struct sim_segment *segment_make(enum segment_kind kind, size_t len)
{
    struct sim_segment *seg = mem_alloc(sizeof(*seg) + len);
    memset(seg, 0, sizeof(*seg));
    seg->kind = kind;
    seg->len = len;
    return seg;
}

static void segment_send_kind(struct sim *sim, struct sim_stream *to, enum segment_kind kind)
{
    segment_send(sim, to, segment_make(kind, 0));
}

/* ---- one end ---- */

static void stream_wake(struct sim_stream *s)
{
    sim_loop_wake(s->loop, sim_local_us(s->loop->sim));
}

static void stream_end(struct sim_stream *s, enum err why)
{
    if (s->ended)
        return;
    s->ended = true;
    s->why = why;
    stream_wake(s);
}

static void stream_init(struct sim_stream *s, struct sim_conn *conn, struct sim_stream *peer)
{
    s->conn = conn;
    s->peer = peer;
    list_init(&s->link);
    list_init(&s->arrived);
    chunkq_init(&s->out);
    conn->refs++;
}

static void stream_attach(struct sim_stream *s, struct sim_loop *sl)
{
    s->loop = sl;
    list_push(&sl->streams, &s->link);
    atomic_fetch_add_explicit(&sl->loop.streams, 1, memory_order_relaxed);
}

static void output_clear(struct sim_stream *s)
{
    chunkq_clear(&s->out);
    s->out_file_bytes = 0;
    s->pipe.unsent = 0;
}

/* The end is gone; its memory stays while the connection lives. */
static void stream_detach(struct sim_stream *s)
{
    struct list *at;
    output_clear(s);
    env_timer_stop(&s->loop->loop.env, &s->close_timer);
    while ((at = list_pop(&s->arrived)) != NULL)
        segment_free(container_of(at, struct sim_segment, link));
    list_remove(&s->link);
    atomic_fetch_sub_explicit(&s->loop->loop.streams, 1, memory_order_relaxed);
    s->loop = NULL;
    conn_put(s->conn);
}

static size_t output_weight(const struct sim_stream *s)
{
    return loop_output_weight(s->out.bytes - s->out_file_bytes, s->out_file_bytes);
}

static void stream_abort(struct pipe *p, enum err why)
{
    struct sim_stream *s = (struct sim_stream *)p;
    if (s->ended)
        return;
    output_clear(s);
    if (!s->reset)
        segment_send_kind(s->loop->sim, s->peer, SEGMENT_RST);
    stream_end(s, why);
}

static bool stream_send(struct pipe *p, struct chunkq *q)
{
    struct sim_stream *s = (struct sim_stream *)p;
    if (s->ended || s->closing) {
        chunkq_clear(q);
        return true;
    }
    s->out_file_bytes += loop_file_bytes(q);
    chunkq_move(&s->out, q);
    s->pipe.unsent = s->out.bytes;
    stream_wake(s);
    if (output_weight(s) > 4 * LOOP_OUTPUT_MAX) {
        stream_abort(p, ERR_BUSY);
        return false;
    }
    s->over |= output_weight(s) > loop_output_max(p);
    return !s->over;
}

static void stream_resume(struct pipe *p)
{
    struct sim_stream *s = (struct sim_stream *)p;
    if (!s->paused || s->ended)
        return;
    s->paused = false;
    stream_wake(s);
}

static void close_expired(struct env_timer *timer)
{
    stream_abort(&container_of(timer, struct sim_stream, close_timer)->pipe, ERR_TIMED_OUT);
}

static void stream_close(struct pipe *p)
{
    struct sim_stream *s = (struct sim_stream *)p;
    if (s->ended || s->closing)
        return;
    s->closing = true;
    s->close_timer.fire = close_expired;
    env_timer_set(&s->loop->loop.env, &s->close_timer, LOOP_CLOSE_MAX_MS * UINT64_C(1000));
    stream_wake(s);
}

static const struct pipe_ops stream_ops = {
    .send = stream_send,
    .resume = stream_resume,
    .close = stream_close,
    .abort = stream_abort,
};

/* ---- arrival ---- */

static struct sim_listener *listener_find(struct sim_net *net, const char *addr)
{
    char host[SIM_HOST_MAX];
    uint16_t port = 0;
    bool is_unix = strncmp(addr, "unix:", 5) == 0;
    if (!is_unix && str_to_host_port(str_of(addr), host, sizeof(host), &port))
        return NULL;
    list_for (it, &net->listeners) {
        struct sim_listener *l = container_of(it, struct sim_listener, link);
        if (is_unix ? strcmp(l->l.addr, addr) == 0 : l->port == port)
            return l;
    }
    return NULL;
}

/* A connection request reached the machine. */
static void syn_arrive(struct sim *sim, struct sim_stream *s)
{
    struct sim_listener *l = listener_find(sim->net, s->pipe.local);
    if (!l) {
        segment_send_kind(sim, s->peer, SEGMENT_RST);
        conn_put(s->conn);
        return;
    }
    s->fresh_from = l;
    s->pipe.ops = &stream_ops;
    stream_attach(s, (struct sim_loop *)loop_least_loaded(l->loops, l->n));
    segment_send_kind(sim, s->peer, SEGMENT_ACK);
    stream_wake(s);
}

/* Draws whether the network breaks the connection here. */
static bool segment_is_cut(struct sim *sim, const struct sim_segment *seg)
{
    uint32_t n = sim->net->faults.cut_one_in;
    return n && seg->kind == SEGMENT_DATA && rng_one_in(&sim->rng, n);
}

static void segment_arrive(struct sim *sim, struct sim_event *event)
{
    struct sim_segment *seg = container_of(event, struct sim_segment, event);
    struct sim_stream *s = seg->to;
    sim_trace_add(sim, 'N', seg->kind, seg->len);
    if (seg->kind == SEGMENT_SYN) {
        syn_arrive(sim, s);
        segment_free(seg);
        return;
    }
    if (!s->loop) {
        bool expects_end = seg->kind == SEGMENT_DATA || seg->kind == SEGMENT_ACK;
        if (expects_end && s->peer->loop)
            segment_send_kind(sim, s->peer, SEGMENT_RST);
        segment_free(seg);
        return;
    }
    if (s->reset) { /* nothing comes through a connection that is broken */
        segment_free(seg);
        return;
    }
    if (segment_is_cut(sim, seg)) {
        seg->kind = SEGMENT_RST;
        segment_send_kind(sim, s->peer, SEGMENT_RST);
    }
    if (seg->kind == SEGMENT_RST)
        s->reset = true;
    if (seg->kind == SEGMENT_ACK) {
        s->waits_ack = false;
        s->opened = true;
    }
    if (seg->kind == SEGMENT_RST || seg->kind == SEGMENT_ACK)
        segment_free(seg);
    else
        list_push(&s->arrived, &seg->link);
    stream_wake(s);
}

/* ---- the turn: receive ---- */

/* The segment was taken: the sender's window opens. */
static void arrived_drop(struct sim_stream *s, struct sim_segment *seg)
{
    list_remove(&seg->link);
    segment_free(seg);
    if (s->peer->loop && s->peer->out.bytes)
        sim_loop_wake(s->peer->loop, sim_local_us(s->loop->sim) + 1);
}

/* Hands over a part of the segment; 0: the user has no room now. */
static size_t segment_take(struct sim_stream *s, struct sim_segment *seg)
{
    size_t cap = 0;
    void *space = s->pipe.user_ops->space(s->pipe.user, &cap);
    if (!space) {
        s->paused = true;
        return 0;
    }
    weir_assert(cap > 0);
    size_t n = seg->len < cap ? seg->len : cap;
    memcpy(space, seg->data + seg->at, n);
    seg->at += n;
    seg->len -= n;
    s->window_used -= n;
    s->pipe.user_ops->received(s->pipe.user, n);
    return n;
}

static void stream_receive(struct sim_stream *s)
{
    size_t budget = SIM_TURN_BUDGET;
    while (!s->ended && !s->paused && budget > 0 && !list_empty(&s->arrived)) {
        struct sim_segment *seg = container_of(s->arrived.next, struct sim_segment, link);
        if (s->closing) {
            s->window_used -= seg->len;
            seg->len = 0;
        } else if (seg->kind == SEGMENT_FIN) {
            s->pipe.user_ops->received(s->pipe.user, 0);
        } else {
            size_t n = segment_take(s, seg);
            budget -= n < budget ? n : budget;
        }
        if (seg->len == 0)
            arrived_drop(s, seg);
    }
    if (s->reset && !s->ended && (s->paused || list_empty(&s->arrived)))
        stream_end(s, ERR_CLOSED);
    else if (!s->ended && !s->paused && !list_empty(&s->arrived))
        stream_wake(s);
}

/* False: the user did not want it; it is gone without a call. */
static bool stream_accept(struct sim_stream *s)
{
    struct sim_listener *l = s->fresh_from;
    s->fresh_from = NULL;
    if (l && l->accept(l->arg, &s->loop->loop, &s->pipe)) {
        weir_assert(s->pipe.user_ops != NULL);
        return true;
    }
    if (!s->reset)
        segment_send_kind(s->loop->sim, s->peer, SEGMENT_RST);
    stream_detach(s);
    return false;
}

void sim_net_receive(struct sim_loop *sl)
{
    list_for_safe (it, &sl->streams) {
        struct sim_stream *s = container_of(it, struct sim_stream, link);
        if (!s->pipe.user_ops && !stream_accept(s))
            continue;
        if (s->opened && !s->ended && s->pipe.user_ops->opened)
            s->pipe.user_ops->opened(s->pipe.user);
        s->opened = false;
        stream_receive(s);
    }
}

/* ---- the turn: send ---- */

/* Moves up to len bytes from the head of the queue to p; fewer: a file ended early. */
static size_t output_copy(struct sim_stream *s, uint8_t *p, size_t len)
{
    size_t done = 0;
    while (done < len) {
        const struct chunk *c = s->out.head;
        size_t n = c->len < len - done ? c->len : len - done;
        if (c->file) {
            size_t got = sim_disk_peek((struct disk_file *)c->file, p + done, n, c->at);
            if (got < n)
                return done;
            s->out_file_bytes -= n;
        } else {
            memcpy(p + done, c->slice.at, n);
        }
        chunkq_drop(&s->out, n);
        done += n;
    }
    return done;
}

/* Sends one segment, or two if the draw says that it arrives in parts. False: cannot now. */
static bool output_send(struct sim_stream *s)
{
    struct sim *sim = s->loop->sim;
    size_t n = s->out.bytes;
    if (n == 0 || s->peer->window_used >= SIM_WINDOW)
        return false;
    if (n > SIM_SEGMENT_MAX)
        n = SIM_SEGMENT_MAX;
    uint32_t one_in = sim->net->faults.short_one_in;
    if (one_in && n > 1 && rng_one_in(&sim->rng, one_in))
        n = 1 + (size_t)rng_below(&sim->rng, n - 1);
    struct sim_segment *seg = segment_make(SEGMENT_DATA, n);
    if (output_copy(s, seg->data, n) < n) {
        mem_free(seg);
        stream_abort(&s->pipe, ERR_IO);
        return false;
    }
    segment_send(sim, s->peer, seg);
    return true;
}

static void stream_flush(struct sim_stream *s)
{
    if (s->waits_ack || s->ended)
        return;
    while (output_send(s))
        ;
    s->pipe.unsent = s->out.bytes;
    if (s->closing && !s->ended && s->out.bytes == 0) {
        segment_send_kind(s->loop->sim, s->peer, SEGMENT_FIN);
        stream_end(s, ERR_OK);
    }
    if (s->over && !s->ended && output_weight(s) < loop_output_max(&s->pipe) / 2) {
        s->over = false;
        if (s->pipe.user_ops->drained)
            s->pipe.user_ops->drained(s->pipe.user);
    }
}

void sim_net_send(struct sim_loop *sl)
{
    list_for_safe (it, &sl->streams)
        stream_flush(container_of(it, struct sim_stream, link));
}

void sim_net_close(struct sim_loop *sl)
{
    list_for_safe (it, &sl->streams) {
        struct sim_stream *s = container_of(it, struct sim_stream, link);
        if (!s->ended || !s->pipe.user_ops)
            continue;
        s->pipe.user_ops->closed(s->pipe.user, s->why);
        stream_detach(s);
    }
}

/* ---- connect and listen ---- */

enum err sim_net_connect(struct loop *loop, const char *addr, const struct pipe_user_ops *user_ops,
                         void *user, struct pipe **out)
{
    struct sim_loop *sl = (struct sim_loop *)loop;
    char host[SIM_HOST_MAX];
    uint16_t port;
    bool is_unix = strncmp(addr, "unix:", 5) == 0;
    if (strlen(addr) >= PIPE_ADDR_MAX ||
        (!is_unix && str_to_host_port(str_of(addr), host, sizeof(host), &port)))
        return ERR_REQUEST_INVALID;
    struct sim_conn *conn = mem_zalloc(1, sizeof(*conn));
    struct sim_stream *near = &conn->end[0], *far = &conn->end[1];
    stream_init(near, conn, far);
    stream_init(far, conn, near);
    snprintf(far->pipe.local, PIPE_ADDR_MAX, "%s", addr);
    snprintf(near->pipe.peer, PIPE_ADDR_MAX, "%s", addr);
    snprintf(near->pipe.local, PIPE_ADDR_MAX, "127.0.0.1:%u", (unsigned)++sl->sim->net->next_port);
    memcpy(far->pipe.peer, near->pipe.local, PIPE_ADDR_MAX);
    near->pipe.ops = &stream_ops;
    near->pipe.user_ops = user_ops;
    near->pipe.user = user;
    near->waits_ack = true;
    stream_attach(near, sl);
    segment_send_kind(sl->sim, far, SEGMENT_SYN);
    *out = &near->pipe;
    return ERR_OK;
}

static void listener_drop(struct sim_listener *l)
{
    list_remove(&l->link);
    mem_free(l->loops);
    mem_free(l);
}

static void sim_listener_close(struct listener *face)
{
    struct sim_listener *l = (struct sim_listener *)face;
    for (unsigned i = 0; i < l->n; i++) {
        list_for (it, &((struct sim_loop *)l->loops[i])->streams) {
            struct sim_stream *s = container_of(it, struct sim_stream, link);
            if (s->fresh_from == l)
                s->fresh_from = NULL;
        }
    }
    listener_drop(l);
}

/* Parses the address and finds a free port. */
static enum err listener_bind(struct sim_net *net, struct sim_listener *l, const char *bind,
                              struct err_text *text)
{
    char host[SIM_HOST_MAX];
    if (strncmp(bind, "unix:", 5) == 0) {
        if (strlen(bind) >= PIPE_ADDR_MAX || !bind[5])
            return err_say(text, ERR_REQUEST_INVALID, "not a socket path: %s", bind);
        snprintf(l->l.addr, PIPE_ADDR_MAX, "%s", bind);
    } else {
        if (str_to_host_port(str_of(bind), host, sizeof(host), &l->port))
            return err_say(text, ERR_REQUEST_INVALID,
                           "not an address: %s; right is HOST:PORT or unix:PATH", bind);
        if (l->port == 0)
            l->port = ++net->next_port;
        snprintf(l->l.addr, PIPE_ADDR_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                 (unsigned)l->port);
    }
    if (listener_find(net, l->l.addr))
        return err_say(text, ERR_EXISTS, "address %s is taken", l->l.addr);
    return ERR_OK;
}

enum err sim_net_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                        struct listener **out, struct err_text *text)
{
    struct sim_loop *home = (struct sim_loop *)loops[0];
    struct sim_net *net = home->sim->net;
    struct sim_listener *l = mem_zalloc(1, sizeof(*l));
    enum err e = listener_bind(net, l, conf->bind, text);
    if (e) {
        mem_free(l);
        return e;
    }
    l->l.close = sim_listener_close;
    l->home = home;
    l->loops = mem_alloc(n * sizeof(*loops));
    memcpy(l->loops, loops, n * sizeof(*loops));
    l->n = n;
    l->accept = conf->accept;
    l->arg = conf->arg;
    list_push(&net->listeners, &l->link);
    *out = &l->l;
    return ERR_OK;
}

static bool port_is_taken(const struct sim_net *net, uint16_t port)
{
    list_for (it, &net->listeners) {
        if (container_of(it, struct sim_listener, link)->port == port)
            return true;
    }
    return false;
}

enum err sim_net_port(struct loop *loop, uint16_t *port)
{
    struct sim_net *net = ((struct sim_loop *)loop)->sim->net;
    do {
        if (++net->next_port < SIM_PORT_FIRST)
            net->next_port = SIM_PORT_FIRST;
    } while (port_is_taken(net, net->next_port));
    *port = net->next_port;
    return ERR_OK;
}

/* ---- life ---- */

void sim_net_set_faults(struct sim *sim, const struct sim_net_faults *faults)
{
    sim->net->faults = *faults;
}

void sim_net_drop_loop(struct sim_net *net, struct sim_loop *sl)
{
    list_for_safe (it, &sl->streams) {
        struct sim_stream *s = container_of(it, struct sim_stream, link);
        if (s->peer->loop || s->waits_ack)
            segment_send_kind(net->sim, s->peer, SEGMENT_RST);
        stream_detach(s);
    }
    list_for_safe (it, &net->listeners) {
        struct sim_listener *l = container_of(it, struct sim_listener, link);
        if (l->home == sl)
            listener_drop(l);
    }
}

struct sim_net *sim_net_make(struct sim *sim)
{
    struct sim_net *net = mem_zalloc(1, sizeof(*net));
    net->sim = sim;
    net->next_port = SIM_PORT_FIRST;
    list_init(&net->listeners);
    return net;
}

/* Segments on their way: only they keep connections alive by now. */
void sim_net_free(struct sim_net *net)
{
    struct heap_node *node;
    while ((node = heap_min(&net->sim->events)) != NULL) {
        struct sim_event *event = container_of(node, struct sim_event, node);
        weir_assert(event->run == segment_arrive);
        struct sim_segment *seg = container_of(event, struct sim_segment, event);
        heap_remove(&net->sim->events, node);
        if (seg->kind == SEGMENT_SYN)
            conn_put(seg->to->conn);
        segment_free(seg);
    }
    mem_free(net);
}
