#include "world.h"

#include "base/mem.h"
#include "io/file_warm.h"
#include "io/log.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A party to a stream: what it received, what it is to do. */
struct party {
    struct pipe *pipe;
    uint8_t in[1 << 16];
    size_t space_max; /* bytes offered at once */
    size_t received;  /* all of them */
    uint64_t sum;     /* of the bytes, weighted with their places */
    size_t stop_at;   /* closes the stream when so much came; 0: never */
    unsigned ends;    /* received(0) */
    unsigned closes;  /* closed() */
    enum err why;
    unsigned drains;
    bool echo;         /* sends back what comes */
    bool refuse;       /* space() gives NULL */
    bool close_on_end; /* answers the peer's end with pipe_close */
    bool inside;       /* in one of the calls below */
    void (*on_closed)(struct party *p);
    void (*on_received)(struct party *p);
};

static struct listener *listener;
static atomic_uint open_parties; /* world_stop when the last one closes */

static uint64_t sum_of(const uint8_t *p, size_t n, size_t from)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)p[i] * (from + i + 1);
    return sum;
}

static void *party_space(void *user, size_t *cap)
{
    struct party *p = user;
    assert_false(p->inside);
    if (p->refuse)
        return NULL;
    *cap = p->space_max ? p->space_max : sizeof(p->in);
    return p->in;
}

static void party_received(void *user, size_t n)
{
    struct party *p = user;
    p->inside = true;
    if (n == 0) {
        p->ends++;
        if (p->close_on_end)
            pipe_close(p->pipe);
    }
    p->sum += sum_of(p->in, n, p->received);
    p->received += n;
    if (p->echo && n) {
        struct chunkq q;
        chunkq_init(&q);
        chunkq_add_copy(&q, p->in, n);
        pipe_send(p->pipe, &q);
        assert_int_equal(q.bytes, 0);
    }
    if (p->stop_at && p->received >= p->stop_at)
        pipe_close(p->pipe);
    if (p->on_received)
        p->on_received(p);
    p->inside = false;
}

static void party_drained(void *user)
{
    struct party *p = user;
    assert_false(p->inside);
    p->drains++;
}

static void party_closed(void *user, enum err why)
{
    struct party *p = user;
    assert_false(p->inside);
    p->closes++;
    p->why = why;
    p->pipe = NULL;
    if (p->on_closed)
        p->on_closed(p);
    if (atomic_fetch_sub(&open_parties, 1) == 1)
        world_stop();
}

static const struct pipe_user_ops party_ops = {
    .space = party_space,
    .received = party_received,
    .drained = party_drained,
    .closed = party_closed,
};

/* The one server party of tests with one connection. */
static struct party server;
static atomic_uint accepts;

static bool accept_one(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg;
    (void)loop;
    server.pipe = pipe;
    pipe->user_ops = &party_ops;
    pipe->user = &server;
    atomic_fetch_add(&accepts, 1);
    return true;
}

static void party_connect(struct party *p, struct loop *loop)
{
    assert_int_equal(loop_connect(loop, listener_addr(listener), &party_ops, p, &p->pipe), ERR_OK);
}

static void listen_on(const char *bind, loop_accept_fn *accept)
{
    struct err_text text;
    const struct listen_conf conf = {.bind = bind, .accept = accept};
    assert_int_equal(loop_listen(world.loops, world.n, &conf, &listener, &text), ERR_OK);
}

/* A world with a server and one client, both to be configured by the test. */
static struct party client;

static void pair_make(enum world_kind kind)
{
    world_make(kind, 1);
    server = client = (struct party){0};
    atomic_store(&open_parties, 2);
    atomic_store(&accepts, 0);
    listen_on("127.0.0.1:0", accept_one);
    party_connect(&client, world.loops[0]);
}

static void pair_free(void)
{
    listener_close(listener);
    world_free();
}

static struct buf *pattern(size_t n, unsigned seed)
{
    struct buf *b = buf_make(n);
    for (size_t i = 0; i < n; i++)
        b->data[i] = (uint8_t)((i * 31 + seed) ^ (i >> 11));
    return b;
}

static void send_pattern(struct party *p, size_t n, unsigned seed)
{
    struct buf *b = pattern(n, seed);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_slice(&q, (struct slice){b, b->data, n});
    pipe_send(p->pipe, &q);
}

static void check_pattern(const struct party *p, size_t n, unsigned seed)
{
    struct buf *b = pattern(n, seed);
    assert_int_equal(p->received, n);
    assert_true(p->sum == sum_of(b->data, n, 0));
    buf_unref(b);
}

/* ---- one connection ---- */

WORLD_DEFINE(test_echo)
{
    pair_make(kind);
    server.echo = server.close_on_end = true;
    client.stop_at = 100000;
    send_pattern(&client, 100000, 1);
    world_run();
    check_pattern(&client, 100000, 1);
    check_pattern(&server, 100000, 1);
    assert_int_equal(client.why, ERR_OK);
    assert_int_equal(server.why, ERR_OK);
    assert_int_equal(server.ends, 1);
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    assert_int_equal(loop_streams(world.loops[0]), 0);
    pair_free();
}

/* Everything that was queued before pipe_close arrives, then the end. */
WORLD_DEFINE(test_close_sends_the_rest)
{
    pair_make(kind);
    server.close_on_end = true;
    server.space_max = 1000;
    send_pattern(&client, 5 << 20, 7);
    pipe_close(client.pipe);
    pipe_close(client.pipe);
    world_run();
    check_pattern(&server, 5 << 20, 7);
    assert_int_equal(server.ends, 1);
    assert_int_equal(client.why, ERR_OK);
    pair_free();
}

static void remember_addrs(struct party *p)
{
    assert_string_equal(p->pipe->local, listener_addr(listener));
    assert_string_not_equal(p->pipe->peer, "");
    assert_string_not_equal(p->pipe->peer, p->pipe->local);
    pipe_close(p->pipe);
}

WORLD_DEFINE(test_addresses)
{
    pair_make(kind);
    server.on_received = remember_addrs;
    client.close_on_end = true;
    assert_string_equal(client.pipe->peer, listener_addr(listener));
    send_pattern(&client, 1, 0);
    world_run();
    pair_free();
}

/* File ranges between slices, more than a socket takes at once. */
WORLD_DEFINE(test_file_ranges)
{
    enum { SIZE = 3 << 20, PARTS = 100 };
    pair_make(kind);
    server.close_on_end = true;
    struct buf *whole = pattern(SIZE, 3);
    struct disk_file *f;
    assert_int_equal(
        disk_open(world.disk, world_path("f"), DISK_READ | DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_write(f, whole->data, SIZE, 0), ERR_OK);
    struct chunkq q;
    chunkq_init(&q);
    const size_t part = SIZE / PARTS;
    for (size_t i = 0; i < PARTS; i++) {
        size_t n = i == PARTS - 1 ? SIZE - i * part : part;
        if (i % 3)
            chunkq_add_file(&q, file_ref_get(&f->ref), i * part, n);
        else
            chunkq_add_slice(&q, (struct slice){buf_ref(whole), whole->data + i * part, n});
    }
    disk_close(f);
    pipe_send(client.pipe, &q);
    assert_int_equal(client.pipe->unsent, SIZE);
    pipe_close(client.pipe);
    world_run();
    check_pattern(&server, SIZE, 3);
    buf_unref(whole);
    pair_free();
}

/* Ranges that are not in the page cache: all of them arrive, and the loop's own thread reads hardly
 * anything from the disk: a look at a page asks for it, without waiting. */
static void test_cold_file(void **state)
{
    (void)state;
    enum { SIZE = 5 << 20 };
    struct rusage before, after;
    pair_make(WORLD_REAL);
    server.close_on_end = true;
    struct buf *whole = pattern(SIZE, 3);
    struct disk_file *f;
    assert_int_equal(
        disk_open(world.disk, world_path("f"), DISK_READ | DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_write(f, whole->data, SIZE, 0), ERR_OK);
    assert_int_equal(disk_sync(f), ERR_OK);
    assert_int_equal(posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    /* else the loop's thread may ask for what comes next, without waiting for it */
    assert_int_equal(posix_fadvise(f->fd, 0, 0, POSIX_FADV_RANDOM), 0);
    bool cold = !file_is_warm(f->fd, 0, 1); /* not where files live in memory */
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_file(&q, &f->ref, 0, SIZE);
    pipe_send(client.pipe, &q);
    pipe_close(client.pipe);
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    world_run();
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    check_pattern(&server, SIZE, 3);
    if (cold)
        assert_in_range(after.ru_inblock - before.ru_inblock, 0, SIZE / 512 / 10);
    buf_unref(whole);
    pair_free();
}

/* A stream that ends while its range is being read; another one's waits behind it. */
static void test_cold_file_left(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    pair_make(WORLD_REAL);
    struct buf *whole = pattern(SIZE, 3);
    struct disk_file *f;
    assert_int_equal(
        disk_open(world.disk, world_path("f"), DISK_READ | DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_write(f, whole->data, SIZE, 0), ERR_OK);
    assert_int_equal(disk_sync(f), ERR_OK);
    assert_int_equal(posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    struct file_warms warms;
    file_warms_init(&warms, world.loops[0]);
    struct file_warm *w[4];
    for (size_t i = 0; i < 4; i++)
        w[i] = file_warm_start(&warms, &f->ref, i << 20, 1 << 20, NULL, NULL);
    assert_int_equal(warms.running, FILE_WARMS_MAX);
    file_warm_forget(w[3]); /* waits */
    file_warm_forget(w[0]); /* runs */
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_file(&q, &f->ref, 4 << 20, 4 << 20);
    pipe_send(client.pipe, &q);
    pipe_abort(client.pipe, ERR_CLOSED);
    world_run();
    loop_set_quiet(world.n, world.loops);
    file_warms_free(&warms);
    buf_unref(whole);
    pair_free();
}

/* A file that is shorter than the range: the stream must not stand still. */
WORLD_DEFINE(test_file_too_short)
{
    pair_make(kind);
    struct disk_file *f;
    assert_int_equal(
        disk_open(world.disk, world_path("f"), DISK_READ | DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_write(f, "abc", 3, 0), ERR_OK);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_file(&q, &f->ref, 0, 10);
    pipe_send(client.pipe, &q);
    world_run();
    assert_int_equal(client.why, ERR_IO);
    assert_int_equal(server.why, ERR_CLOSED);
    assert_true(server.received <= 3);
    pair_free();
}

/* ---- pressure ---- */

struct resume_timer {
    struct env_timer timer;
    struct party *party;
};

static void resume_fire(struct env_timer *timer)
{
    struct resume_timer *r = container_of(timer, struct resume_timer, timer);
    assert_int_equal(r->party->received, 0);
    r->party->refuse = false;
    pipe_resume(r->party->pipe);
}

WORLD_DEFINE(test_pause_and_resume)
{
    pair_make(kind);
    server.refuse = server.close_on_end = true;
    struct resume_timer r = {.timer.fire = resume_fire, .party = &server};
    env_timer_set(loop_env(world.loops[0]), &r.timer, 20000);
    send_pattern(&client, 1 << 20, 5);
    pipe_close(client.pipe);
    world_run();
    check_pattern(&server, 1 << 20, 5);
    pair_free();
}

static void close_self(struct party *p)
{
    if (p->received >= (size_t)24 << 20)
        pipe_close(p->pipe);
}

/* pipe_send says when it is too much, drained when it is not any more. */
WORLD_DEFINE(test_output_limit)
{
    pair_make(kind);
    client.close_on_end = true;
    server.on_received = close_self;
    struct buf *b = pattern(8 << 20, 2);
    struct chunkq q;
    chunkq_init(&q);
    for (unsigned i = 0; i < 3; i++) {
        chunkq_add_slice(&q, (struct slice){buf_ref(b), b->data, b->cap});
        assert_int_equal(pipe_send(client.pipe, &q), i < 2);
    }
    buf_unref(b);
    assert_int_equal(client.pipe->unsent, 24 << 20);
    world_run();
    assert_int_equal(client.drains, 1);
    assert_int_equal(server.received, 24 << 20);
    pair_free();
}

static void close_at_3000(struct party *p)
{
    if (p->received >= 3000)
        pipe_close(p->pipe);
}

/* The limit is where the pipe's user has set it. */
WORLD_DEFINE(test_output_limit_of_ones_own)
{
    pair_make(kind);
    client.close_on_end = true;
    server.on_received = close_at_3000;
    client.pipe->output_max = 2000;
    struct buf *b = pattern(1000, 2);
    struct chunkq q;
    chunkq_init(&q);
    for (unsigned i = 0; i < 3; i++) {
        chunkq_add_slice(&q, (struct slice){buf_ref(b), b->data, b->cap});
        assert_int_equal(pipe_send(client.pipe, &q), i < 2);
    }
    buf_unref(b);
    world_run();
    assert_int_equal(client.drains, 1);
    pair_free();
}

/* A reader that does not read costs its stream, not our memory. File ranges cost little. */
WORLD_DEFINE(test_slow_reader_is_aborted)
{
    pair_make(kind);
    server.refuse = true;
    struct buf *b = pattern(16 << 20, 2);
    struct disk_file *f;
    assert_int_equal(
        disk_open(world.disk, world_path("f"), DISK_READ | DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 200 << 20), ERR_OK);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_file(&q, &f->ref, 0, 200 << 20);
    assert_true(pipe_send(client.pipe, &q));
    for (unsigned i = 0; i < 4; i++) {
        chunkq_add_slice(&q, (struct slice){buf_ref(b), b->data, b->cap});
        pipe_send(client.pipe, &q);
        assert_int_equal(client.closes, 0);
    }
    assert_int_equal(client.pipe->unsent, 0);
    buf_unref(b);
    world_run();
    assert_int_equal(client.why, ERR_BUSY);
    assert_int_equal(server.why, ERR_CLOSED);
    pair_free();
}

/* pipe_close to a peer that never reads ends all the same. */
WORLD_DEFINE(test_close_is_bounded)
{
    if (kind == WORLD_REAL)
        return; /* ten real seconds; the rule is in loop.h for both */
    pair_make(kind);
    server.refuse = true;
    send_pattern(&client, 8 << 20, 5);
    pipe_close(client.pipe);
    world_run();
    assert_int_equal(client.why, ERR_TIMED_OUT);
    assert_true(sim_mono_us(world.sim) >= LOOP_CLOSE_MAX_MS * UINT64_C(1000));
    pair_free();
}

/* ---- ends ---- */

static void abort_self(struct party *p)
{
    pipe_abort(p->pipe, ERR_FRAME);
    pipe_abort(p->pipe, ERR_IO);
    pipe_close(p->pipe);
    assert_int_equal(p->closes, 0);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, "x", 1);
    pipe_send(p->pipe, &q);
    assert_int_equal(q.bytes, 0);
}

WORLD_DEFINE(test_abort)
{
    pair_make(kind);
    server.on_received = abort_self;
    send_pattern(&client, 10, 1);
    world_run();
    assert_int_equal(server.why, ERR_FRAME);
    assert_int_equal(client.why, ERR_CLOSED);
    assert_int_equal(server.closes + client.closes, 2);
    pair_free();
}

WORLD_DEFINE(test_connection_refused)
{
    pair_make(kind);
    char addr[PIPE_ADDR_MAX];
    snprintf(addr, sizeof(addr), "%s", listener_addr(listener));
    listener_close(listener);
    /* The first client's socket waits behind the listener, or is refused; both end. */
    struct party late = {0};
    atomic_store(&open_parties, 2);
    assert_int_equal(loop_connect(world.loops[0], addr, &party_ops, &late, &late.pipe), ERR_OK);
    send_pattern(&late, 10, 1);
    assert_int_equal(late.closes, 0);
    world_run();
    assert_int_equal(late.why, ERR_CLOSED);
    assert_int_equal(client.why, ERR_CLOSED);
    assert_int_equal(atomic_load(&accepts), 0);
    world_free();
}

WORLD_DEFINE(test_bad_addresses)
{
    static const char *const bad[] = {"",          "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x",
                                      "[::1:9092", "unix:"};
    world_make(kind, 1);
    struct pipe *pipe;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err_text text = {{0}};
        const struct listen_conf conf = {.bind = bad[i], .accept = accept_one};
        assert_int_equal(loop_listen(world.loops, 1, &conf, &listener, &text), ERR_REQUEST_INVALID);
        assert_string_not_equal(text.s, "");
        if (bad[i][0] && strcmp(bad[i], "unix:") != 0)
            assert_int_equal(loop_connect(world.loops[0], bad[i], &party_ops, &client, &pipe),
                             ERR_REQUEST_INVALID);
    }
    world_free();
}

WORLD_DEFINE(test_port_taken)
{
    world_make(kind, 1);
    listen_on("127.0.0.1:0", accept_one);
    struct listener *second;
    struct err_text text = {{0}};
    const struct listen_conf conf = {.bind = listener_addr(listener), .accept = accept_one};
    assert_int_equal(loop_listen(world.loops, 1, &conf, &second, &text), ERR_EXISTS);
    assert_non_null(strstr(text.s, listener_addr(listener)));
    if (kind == WORLD_REAL) {
        char pid[32];
        snprintf(pid, sizeof(pid), "taken by pid %d (", (int)getpid());
        assert_non_null(strstr(text.s, pid));
    }
    /* Free again when it is closed. */
    char addr[PIPE_ADDR_MAX];
    snprintf(addr, sizeof(addr), "%s", listener_addr(listener));
    listener_close(listener);
    listen_on(addr, accept_one);
    listener_close(listener);
    world_free();
}

WORLD_DEFINE(test_unix_socket)
{
    char bind[160];
    world_make(kind, 1);
    server = client = (struct party){0};
    atomic_store(&open_parties, 2);
    snprintf(bind, sizeof(bind), "unix:%s", world_path("sock"));
    listen_on(bind, accept_one);
    assert_string_equal(listener_addr(listener), bind);
    party_connect(&client, world.loops[0]);
    server.echo = server.close_on_end = true;
    client.stop_at = 300000;
    send_pattern(&client, 300000, 1);
    world_run();
    check_pattern(&client, 300000, 1);
    struct listener *second;
    struct err_text text = {{0}};
    const struct listen_conf conf = {.bind = bind, .accept = accept_one};
    assert_int_equal(loop_listen(world.loops, 1, &conf, &second, &text), ERR_EXISTS);
    listener_close(listener);
    world_free(); /* finds the folder empty: the socket file is gone */
}

/* ---- a pipe in between ---- */

/* As TLS will stand: a user to the socket, a carrier to the party. It changes every byte, in both
 * directions, and hands over in parts what the party has no room for. */
struct layer {
    struct pipe pipe; /* first; the party's */
    struct pipe *carrier;
    uint8_t in[5000];
    size_t at, len; /* received and not yet handed over */
};

static void layer_hand_over(struct layer *l)
{
    while (l->len > 0) {
        size_t cap;
        uint8_t *space = l->pipe.user_ops->space(l->pipe.user, &cap);
        if (!space)
            return;
        size_t n = cap < l->len ? cap : l->len;
        for (size_t i = 0; i < n; i++)
            space[i] = l->in[l->at + i] ^ 0x5a;
        l->at += n;
        l->len -= n;
        l->pipe.user_ops->received(l->pipe.user, n);
    }
}

static void *layer_space(void *user, size_t *cap)
{
    struct layer *l = user;
    *cap = sizeof(l->in);
    return l->len ? NULL : l->in;
}

static void layer_received(void *user, size_t n)
{
    struct layer *l = user;
    if (n == 0) {
        l->pipe.user_ops->received(l->pipe.user, 0);
        return;
    }
    l->at = 0;
    l->len = n;
    layer_hand_over(l);
}

static void layer_drained(void *user)
{
    struct layer *l = user;
    l->pipe.user_ops->drained(l->pipe.user);
}

static void layer_closed(void *user, enum err why)
{
    struct layer *l = user;
    l->pipe.user_ops->closed(l->pipe.user, why);
    mem_free(l);
}

static const struct pipe_user_ops layer_user_ops = {
    .space = layer_space,
    .received = layer_received,
    .drained = layer_drained,
    .closed = layer_closed,
};

static bool layer_send(struct pipe *p, struct chunkq *q)
{
    struct layer *l = (struct layer *)p;
    struct chunkq out;
    chunkq_init(&out);
    for (const struct chunk *c = q->head; c; c = c->next) {
        struct buf *b = buf_make(c->len);
        for (size_t i = 0; i < c->len; i++)
            b->data[i] = c->slice.at[i] ^ 0x5a;
        chunkq_add_slice(&out, (struct slice){b, b->data, c->len});
    }
    chunkq_clear(q);
    bool ok = pipe_send(l->carrier, &out);
    p->unsent = l->carrier->unsent;
    return ok;
}

static void layer_resume(struct pipe *p)
{
    struct layer *l = (struct layer *)p;
    layer_hand_over(l);
    pipe_resume(l->carrier);
}

static void layer_close(struct pipe *p)
{
    pipe_close(((struct layer *)p)->carrier);
}

static void layer_abort(struct pipe *p, enum err why)
{
    pipe_abort(((struct layer *)p)->carrier, why);
}

static const struct pipe_ops layer_ops = {
    .send = layer_send,
    .resume = layer_resume,
    .close = layer_close,
    .abort = layer_abort,
};

static struct layer *layer_make(struct party *p)
{
    struct layer *l = mem_zalloc(1, sizeof(*l));
    l->pipe.ops = &layer_ops;
    l->pipe.user_ops = &party_ops;
    l->pipe.user = p;
    p->pipe = &l->pipe;
    return l;
}

static bool accept_layered(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg;
    (void)loop;
    struct layer *l = layer_make(&server);
    l->carrier = pipe;
    pipe->user_ops = &layer_user_ops;
    pipe->user = l;
    return true;
}

WORLD_DEFINE(test_layered)
{
    world_make(kind, 1);
    server = client = (struct party){0};
    atomic_store(&open_parties, 2);
    listen_on("127.0.0.1:0", accept_layered);
    struct layer *l = layer_make(&client);
    assert_int_equal(
        loop_connect(world.loops[0], listener_addr(listener), &layer_user_ops, l, &l->carrier),
        ERR_OK);
    server.echo = server.close_on_end = true;
    server.space_max = 777;
    client.stop_at = 300000;
    send_pattern(&client, 300000, 4);
    world_run();
    check_pattern(&server, 300000, 4);
    check_pattern(&client, 300000, 4);
    assert_int_equal(client.why, ERR_OK);
    pair_free();
}

/* ---- many ---- */

#define MANY 200u
#define MANY_BYTES 30000u

static struct party *many_servers[MANY];
static struct party *many_clients[MANY];
static atomic_uint many_on[WORLD_LOOPS_MAX];

static bool accept_many(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg;
    unsigned i = atomic_fetch_add(&accepts, 1);
    struct party *p = mem_zalloc(1, sizeof(*p));
    many_servers[i] = p;
    p->pipe = pipe;
    p->echo = p->close_on_end = true;
    pipe->user_ops = &party_ops;
    pipe->user = p;
    atomic_fetch_add(&many_on[loop_env(loop)->reactor], 1);
    return true;
}

static void echo_many(enum world_kind kind, unsigned loops)
{
    world_make(kind, loops);
    atomic_store(&open_parties, 2 * MANY);
    atomic_store(&accepts, 0);
    for (unsigned i = 0; i < WORLD_LOOPS_MAX; i++)
        atomic_store(&many_on[i], 0);
    listen_on("127.0.0.1:0", accept_many);
    for (unsigned i = 0; i < MANY; i++) {
        many_clients[i] = mem_zalloc(1, sizeof(**many_clients));
        many_clients[i]->stop_at = MANY_BYTES;
        party_connect(many_clients[i], world.loops[0]);
        send_pattern(many_clients[i], MANY_BYTES, i);
    }
    world_run();
    assert_int_equal(atomic_load(&accepts), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        check_pattern(many_clients[i], MANY_BYTES, i);
        assert_int_equal(many_clients[i]->why, ERR_OK);
        mem_free(many_clients[i]);
        assert_int_equal(many_servers[i]->received, MANY_BYTES);
        mem_free(many_servers[i]);
    }
    for (unsigned i = 0; i < loops; i++)
        assert_int_equal(loop_streams(world.loops[i]), 0);
    pair_free();
}

WORLD_DEFINE(test_echo_many)
{
    echo_many(kind, 1);
}

/* The clients are on loop 0, so the server's ends go to the others first. */
WORLD_DEFINE(test_echo_many_loops)
{
    echo_many(kind, 3);
    assert_true(atomic_load(&many_on[1]) > MANY / 4);
    assert_true(atomic_load(&many_on[2]) > MANY / 4);
}

static bool accept_none(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg;
    (void)loop;
    (void)pipe;
    atomic_fetch_add(&accepts, 1);
    return false;
}

WORLD_DEFINE(test_accept_declines)
{
    world_make(kind, 1);
    client = (struct party){.close_on_end = true};
    atomic_store(&open_parties, 1);
    atomic_store(&accepts, 0);
    listen_on("127.0.0.1:0", accept_none);
    party_connect(&client, world.loops[0]);
    world_run();
    assert_int_equal(atomic_load(&accepts), 1);
    assert_int_equal(client.closes, 1);
    pair_free();
}

/* ---- only real ---- */

static void test_streams_open_at_free(void **state)
{
    (void)state;
    pair_make(WORLD_REAL);
    atomic_store(&open_parties, 3);
    listener_close(listener);
    world_free();
    assert_int_equal(client.closes, 1);
    assert_int_equal(client.why, ERR_CLOSED);
}

static unsigned complaints;

static void count_complaint(const char *line, size_t len)
{
    (void)len;
    complaints += strstr(line, "ERROR listener.no_descriptors addr=127.0.0.1:") != NULL;
}

/* Out of descriptors: connections are refused, not left waiting in a busy loop, and the log says so
 * once; when there are some again, they are taken. */
static void test_no_descriptors(void **state)
{
    (void)state;
    struct rlimit before, low;
    world_make(WORLD_REAL, 1);
    server = client = (struct party){0};
    atomic_store(&open_parties, 1);
    atomic_store(&accepts, 0);
    listen_on("127.0.0.1:0", accept_one);
    /* Three connections wait; each is refused. */
    struct party early[2] = {0};
    party_connect(&early[0], world.loops[0]);
    party_connect(&early[1], world.loops[0]);
    atomic_store(&open_parties, 3);
    party_connect(&client, world.loops[0]);
    client.close_on_end = early[0].close_on_end = early[1].close_on_end = true;
    complaints = 0;
    log_set_sink(count_complaint);
    int top = dup(0);
    close(top);
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = (rlim_t)top;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    world_run();
    setrlimit(RLIMIT_NOFILE, &before);
    log_set_sink(NULL);
    assert_int_equal(complaints, 1);
    assert_int_equal(atomic_load(&accepts), 0);
    assert_int_equal(client.closes + early[0].closes + early[1].closes, 3);
    client = (struct party){.stop_at = 1};
    server = (struct party){.echo = true, .close_on_end = true};
    atomic_store(&open_parties, 2);
    party_connect(&client, world.loops[0]);
    send_pattern(&client, 1, 1);
    world_run();
    assert_int_equal(atomic_load(&accepts), 1);
    pair_free();
}

/* Half-closed: the end of one direction does not end the other. */
static void answer_after_end(struct party *p)
{
    if (p->ends != 1)
        return;
    send_pattern(p, 50000, 9);
    pipe_close(p->pipe);
}

/* A client that blocks: sends, ends its direction, reads until the end. */
struct raw_client {
    struct loop_job job;
    size_t got;
};

static void raw_work(struct loop_job *job)
{
    struct raw_client *raw = container_of(job, struct raw_client, job);
    const char *port = strrchr(listener_addr(listener), ':') + 1;
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char waste[1000];
    ssize_t n;
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && send(fd, "hello", 5, 0) == 5) {
        shutdown(fd, SHUT_WR);
        while ((n = recv(fd, waste, sizeof(waste), 0)) > 0)
            raw->got += (size_t)n;
    }
    close(fd);
}

static void raw_done(struct loop_job *job)
{
    (void)job;
    if (atomic_fetch_sub(&open_parties, 1) == 1)
        world_stop();
}

static void test_half_closed_peer(void **state)
{
    (void)state;
    world_make(WORLD_REAL, 1);
    server = (struct party){.on_received = answer_after_end};
    atomic_store(&open_parties, 2);
    listen_on("127.0.0.1:0", accept_one);
    struct raw_client raw = {.job = {.work = raw_work, .done = raw_done}};
    loop_job_start(world.loops[0], &raw.job);
    world_run();
    assert_int_equal(server.received, 5);
    assert_int_equal(server.ends, 1);
    assert_int_equal(server.why, ERR_OK);
    assert_int_equal(raw.got, 50000);
    pair_free();
}

/* What a killed process left is replaced; a file that is no socket is not touched. */
static void test_stale_unix_socket(void **state)
{
    (void)state;
    char path[160];
    world_make(WORLD_REAL, 1);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", world.dir);
    snprintf(path, sizeof(path), "unix:%s", un.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd);
    listen_on(path, accept_one);
    listener_close(listener);
    struct disk_file *f;
    assert_int_equal(disk_open(world.disk, un.sun_path, DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    disk_close(f);
    struct err_text text;
    const struct listen_conf conf = {.bind = path, .accept = accept_one};
    assert_int_equal(loop_listen(world.loops, 1, &conf, &listener, &text), ERR_EXISTS);
    assert_int_equal(disk_open(world.disk, un.sun_path, DISK_READ, &f), ERR_OK);
    disk_close(f);
    world_free();
}

static void test_ipv6_and_names(void **state)
{
    (void)state;
    world_make(WORLD_REAL, 1);
    listen_on("localhost:0", accept_one);
    assert_int_equal(strncmp(listener_addr(listener), "127.0.0.1:", 10), 0);
    listener_close(listener);
    listen_on(":0", accept_one);
    /* Reached over IPv4, whatever it is bound to; the peer is shown as IPv4. */
    char addr[64];
    snprintf(addr, sizeof(addr), "127.0.0.1%s", strrchr(listener_addr(listener), ':'));
    server = client = (struct party){0};
    server.echo = server.close_on_end = true;
    client.stop_at = 5;
    atomic_store(&open_parties, 2);
    assert_int_equal(loop_connect(world.loops[0], addr, &party_ops, &client, &client.pipe), ERR_OK);
    send_pattern(&client, 5, 1);
    world_run();
    check_pattern(&client, 5, 1);
    pair_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_echo),
        WORLD_TEST(test_close_sends_the_rest),
        WORLD_TEST(test_addresses),
        WORLD_TEST(test_file_ranges),
        WORLD_TEST(test_file_too_short),
        WORLD_TEST(test_pause_and_resume),
        WORLD_TEST(test_output_limit),
        WORLD_TEST(test_output_limit_of_ones_own),
        WORLD_TEST(test_slow_reader_is_aborted),
        WORLD_TEST(test_close_is_bounded),
        WORLD_TEST(test_abort),
        WORLD_TEST(test_connection_refused),
        WORLD_TEST(test_bad_addresses),
        WORLD_TEST(test_port_taken),
        WORLD_TEST(test_unix_socket),
        WORLD_TEST(test_layered),
        WORLD_TEST(test_echo_many),
        WORLD_TEST(test_echo_many_loops),
        WORLD_TEST(test_accept_declines),
        cmocka_unit_test(test_cold_file),
        cmocka_unit_test(test_cold_file_left),
        cmocka_unit_test(test_streams_open_at_free),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_half_closed_peer),
        cmocka_unit_test(test_stale_unix_socket),
        cmocka_unit_test(test_ipv6_and_names),
    };
    return cmocka_run_group_tests_name("io/stream", tests, NULL, NULL);
}
