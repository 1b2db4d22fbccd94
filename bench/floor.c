/* floor.c: the floor server, the least that can keep Kafka's promise of durability.
 *
 * One thread, one epoll loop. A loop turn: read what the sockets hold; take each whole frame; point
 * at the record batches in place (the base offset is written into them, nothing is copied or
 * checked); then one pwritev and one fdatasync for all batches of the turn; then the answers go
 * out. A fetch is an array look-up and a sendfile from the same file. So a broker that also
 * validates, indexes, segments, replicates or recovers can come near this server's figures and not
 * beyond them.
 *
 * The file is a ring of fixed size that is zero-filled before the server listens: writing into
 * allocated blocks makes fdatasync cheaper than growing a file. Nothing is recovered at start.
 *
 * Every topic name means the same --partitions logs. What is spoken is what librdkafka 2.0 asks for
 * when it produces and fetches: ApiVersions 0 and 3, Metadata 4, Produce 7, Fetch 11 (no sessions),
 * ListOffsets 2, InitProducerId 1. Anything else closes the connection.
 */
#include "floor_log.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONN_MAX = 1024,       /* connections = highest descriptor + 1 */
    IN_BYTES = 4 << 20,    /* input buffer of a connection, at first */
    FRAME_MAX = 128 << 20, /* a larger request closes the connection */
    EVENTS_MAX = 64,
};

enum kafka_error {
    KAFKA_OK = 0,
    KAFKA_OFFSET_OUT_OF_RANGE = 1,
    KAFKA_CORRUPT_MESSAGE = 2,
    KAFKA_UNKNOWN_PARTITION = 3,
    KAFKA_UNSUPPORTED_VERSION = 35,
};

/* A piece of an answer: bytes of conn.out, or a range of the journal. */
struct piece {
    bool file;
    uint64_t at;
    size_t bytes;
};

struct conn {
    int fd;
    uint8_t *in;
    size_t in_len, in_cap, in_used;
    struct wire_out out;
    struct piece *pieces;
    size_t piece_count, piece_cap, piece_sent;
    size_t cut; /* where the current memory piece begins in out */
    bool dead, want_write;
    uint64_t wait_until_us; /* a fetch that found too little waits; 0: none */
};

struct floor {
    int epoll_fd, listen_fd;
    uint16_t port;
    struct log log;
    struct conn *conns[CONN_MAX];
    int conn_top; /* one more than the highest descriptor seen */
    int64_t next_producer;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int sig)
{
    (void)sig;
    stop_asked = 1;
}

/* ---- answers ---- */

static void conn_piece(struct conn *c, bool file, uint64_t at, size_t bytes)
{
    if (c->piece_count == c->piece_cap) {
        c->piece_cap = c->piece_cap ? c->piece_cap * 2 : 16;
        c->pieces = wire_alloc(c->pieces, c->piece_cap * sizeof *c->pieces);
    }
    c->pieces[c->piece_count++] = (struct piece){file, at, bytes};
}

/* Ends the memory piece that is being written, so that a file piece can follow. */
static void conn_cut(struct conn *c)
{
    if (c->out.len > c->cut)
        conn_piece(c, false, c->cut, c->out.len - c->cut);
    c->cut = c->out.len;
}

static ssize_t conn_send_piece(struct floor *f, struct conn *c, struct piece *p)
{
    if (p->file) {
        off_t at = (off_t)(p->at % f->log.ring);
        return sendfile(c->fd, f->log.fd, &at, p->bytes);
    }
    int more = c->piece_sent + 1 < c->piece_count ? MSG_MORE : 0;
    return send(c->fd, c->out.p + p->at, p->bytes, MSG_NOSIGNAL | MSG_DONTWAIT | more);
}

static void conn_watch(struct floor *f, struct conn *c, bool want_write)
{
    if (c->want_write == want_write)
        return;
    c->want_write = want_write;
    struct epoll_event ev = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0u), .data.fd = c->fd};
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static void conn_flush(struct floor *f, struct conn *c)
{
    conn_cut(c);
    while (c->piece_sent < c->piece_count) {
        struct piece *p = &c->pieces[c->piece_sent];
        ssize_t n = conn_send_piece(f, c, p);
        if (n < 0 && errno == EAGAIN) {
            conn_watch(f, c, true);
            return;
        }
        if (n <= 0) {
            c->dead = true;
            return;
        }
        p->at += (uint64_t)n;
        p->bytes -= (size_t)n;
        if (!p->bytes)
            c->piece_sent++;
    }
    c->piece_sent = c->piece_count = c->out.len = c->cut = 0;
    conn_watch(f, c, false);
}

/* ---- requests ---- */

struct request {
    int api, version;
    int32_t correlation;
    struct wire_in body;
};

static size_t answer_begin(struct conn *c, const struct request *r)
{
    size_t at = c->out.len;
    wire_put32(&c->out, 0);
    wire_put32(&c->out, r->correlation);
    return at;
}

/* One version each, the highest that librdkafka 2.0 knows; it also looks for the lowest. */
static const struct {
    int key, min, version;
} served[] = {
    {WIRE_PRODUCE, 0, 7},  {WIRE_FETCH, 4, 11},       {WIRE_LIST_OFFSETS, 1, 2},
    {WIRE_METADATA, 0, 4}, {WIRE_API_VERSIONS, 0, 3}, {WIRE_INIT_PRODUCER_ID, 0, 1},
};
enum { SERVED_COUNT = sizeof served / sizeof served[0] };

/* Version 3 in its flexible form; to anything else the error, in version 0, that says what is. */
static void do_api_versions(struct conn *c, struct request *r)
{
    bool flexible = r->version == 3;
    size_t at = answer_begin(c, r);
    wire_put16(&c->out, flexible || r->version == 0 ? KAFKA_OK : KAFKA_UNSUPPORTED_VERSION);
    if (flexible)
        wire_put8(&c->out, SERVED_COUNT + 1);
    else
        wire_put32(&c->out, SERVED_COUNT);
    for (int i = 0; i < SERVED_COUNT; i++) {
        wire_put16(&c->out, served[i].key);
        wire_put16(&c->out, served[i].min);
        wire_put16(&c->out, served[i].version);
        if (flexible)
            wire_put8(&c->out, 0);
    }
    if (flexible) {
        wire_put32(&c->out, 0);
        wire_put8(&c->out, 0);
    }
    wire_end(&c->out, at, 0);
}

static bool is_served(const struct request *r)
{
    for (int i = 0; i < SERVED_COUNT; i++)
        if (served[i].key == r->api)
            return r->api == WIRE_API_VERSIONS || r->version == served[i].version;
    return false;
}

static void put_topic(struct floor *f, struct conn *c, const uint8_t *name, size_t len)
{
    wire_put16(&c->out, KAFKA_OK);
    wire_put16(&c->out, (int)len);
    wire_put(&c->out, name, len);
    wire_put8(&c->out, 0);
    wire_put32(&c->out, f->log.part_count);
    for (int i = 0; i < f->log.part_count; i++) {
        wire_put16(&c->out, KAFKA_OK);
        wire_put32(&c->out, i);
        wire_put32(&c->out, 1);
        for (int list = 0; list < 2; list++) { /* replicas, in sync */
            wire_put32(&c->out, 1);
            wire_put32(&c->out, 1);
        }
    }
}

static void do_metadata(struct floor *f, struct conn *c, struct request *r)
{
    size_t at = answer_begin(c, r);
    wire_put32(&c->out, 0);
    wire_put32(&c->out, 1);
    wire_put32(&c->out, 1);
    wire_put_str(&c->out, "127.0.0.1");
    wire_put32(&c->out, f->port);
    wire_put_str(&c->out, NULL);
    wire_put_str(&c->out, "floor");
    wire_put32(&c->out, 1);
    int32_t topics = wire_get32(&r->body);
    size_t count_at = c->out.len;
    wire_put32(&c->out, 0);
    int32_t i = 0;
    for (; i < topics; i++) {
        size_t len;
        const uint8_t *name = wire_get_str(&r->body, &len);
        if (!name)
            break;
        put_topic(f, c, name, len);
    }
    wire_patch32(c->out.p + count_at, i);
    wire_end(&c->out, at, 0);
}

/* Copies a topic's name and its partition count from request to answer; returns the count. */
static int32_t echo_topic(struct conn *c, struct wire_in *in)
{
    size_t len;
    const uint8_t *name = wire_get_str(in, &len);
    wire_put16(&c->out, (int)len);
    if (name)
        wire_put(&c->out, name, len);
    int32_t partitions = wire_get32(in);
    wire_put32(&c->out, partitions);
    return partitions;
}

static void do_produce_part(struct floor *f, struct conn *c, struct request *r)
{
    int32_t index = wire_get32(&r->body), bytes = wire_get32(&r->body);
    const uint8_t *data = wire_take(&r->body, bytes > 0 ? (size_t)bytes : 0);
    struct log_part *p = log_part(&f->log, index);
    uint64_t base = UINT64_MAX;
    enum kafka_error err = KAFKA_UNKNOWN_PARTITION;
    if (p && data) /* the frame lies in conn.in, which is ours to write */
        err = log_append(&f->log, p, c->in + (data - c->in), (size_t)bytes, &base)
                  ? KAFKA_OK
                  : KAFKA_CORRUPT_MESSAGE;
    wire_put32(&c->out, index);
    wire_put16(&c->out, (int)err);
    wire_put64(&c->out, (int64_t)base);
    wire_put64(&c->out, -1);
    wire_put64(&c->out, p ? (int64_t)log_start(&f->log, p) : -1);
}

static void do_produce(struct floor *f, struct conn *c, struct request *r)
{
    wire_skip_str(&r->body);
    int acks = wire_get16(&r->body);
    wire_get32(&r->body);
    size_t at = answer_begin(c, r);
    int32_t topics = wire_get32(&r->body);
    wire_put32(&c->out, topics);
    for (; topics > 0 && !r->body.bad; topics--)
        for (int32_t n = echo_topic(c, &r->body); n > 0 && !r->body.bad; n--)
            do_produce_part(f, c, r);
    wire_put32(&c->out, 0);
    if (acks == 0)
        c->out.len = at;
    else
        wire_end(&c->out, at, 0);
}

struct fetch {
    int64_t budget; /* bytes that may still be sent */
    size_t sent;    /* record bytes so far */
    bool wait_over, failed;
};

/* Adds the batches from `offset` on as file pieces, joined where they lie side by side. */
static size_t fetch_pieces(struct conn *c, struct log_part *p, uint64_t offset, int64_t limit)
{
    size_t total = 0, i = log_find(p, offset), run = 0;
    uint64_t from = p->entries[i].place;
    for (; i < p->count; i++) {
        struct log_entry *e = &p->entries[i];
        if (total && (int64_t)(total + e->bytes) > limit)
            break;
        if (e->place != from + run) {
            conn_piece(c, true, from, run);
            from = e->place;
            run = 0;
        }
        run += e->bytes;
        total += e->bytes;
    }
    conn_piece(c, true, from, run);
    return total;
}

static void do_fetch_part(struct floor *f, struct conn *c, struct request *r, struct fetch *x)
{
    int32_t index = wire_get32(&r->body);
    wire_get32(&r->body); /* leader epoch */
    uint64_t offset = (uint64_t)wire_get64(&r->body);
    wire_get64(&r->body); /* log start */
    int64_t limit = wire_get32(&r->body);
    struct log_part *p = log_part(&f->log, index);
    uint64_t start = p ? log_start(&f->log, p) : 0, end = p ? p->end : 0;
    enum kafka_error err = !p                               ? KAFKA_UNKNOWN_PARTITION
                           : offset < start || offset > end ? KAFKA_OFFSET_OUT_OF_RANGE
                                                            : KAFKA_OK;
    x->failed |= err != KAFKA_OK;
    wire_put32(&c->out, index);
    wire_put16(&c->out, (int)err);
    wire_put64(&c->out, (int64_t)end);
    wire_put64(&c->out, (int64_t)end);
    wire_put64(&c->out, (int64_t)start);
    wire_put32(&c->out, -1); /* aborted transactions */
    wire_put32(&c->out, -1); /* preferred replica */
    size_t len_at = c->out.len, bytes = 0;
    wire_put32(&c->out, 0);
    if (err == KAFKA_OK && offset < end && x->budget > 0) {
        conn_cut(c);
        bytes = fetch_pieces(c, p, offset, limit < x->budget ? limit : x->budget);
    }
    wire_patch32(c->out.p + len_at, (int64_t)bytes);
    x->budget -= (int64_t)bytes;
    x->sent += bytes;
}

/* False: too little is there yet; the request stays where it is until data or time comes. */
static bool do_fetch(struct floor *f, struct conn *c, struct request *r)
{
    conn_cut(c);
    size_t piece_mark = c->piece_count;
    wire_get32(&r->body);
    int32_t wait_ms = wire_get32(&r->body), min_bytes = wire_get32(&r->body);
    struct fetch x = {.budget = wire_get32(&r->body)};
    wire_take(&r->body, 1 + 8); /* isolation, session */
    size_t at = answer_begin(c, r);
    wire_put32(&c->out, 0);
    wire_put16(&c->out, KAFKA_OK);
    wire_put32(&c->out, 0);
    int32_t topics = wire_get32(&r->body);
    wire_put32(&c->out, topics);
    for (; topics > 0 && !r->body.bad; topics--)
        for (int32_t n = echo_topic(c, &r->body); n > 0 && !r->body.bad; n--)
            do_fetch_part(f, c, r, &x);
    if (x.sent < (size_t)min_bytes && !x.failed && wait_ms > 0) {
        uint64_t now = wire_now_us();
        if (!c->wait_until_us)
            c->wait_until_us = now + (uint64_t)wait_ms * 1000;
        if (now < c->wait_until_us) {
            c->out.len = c->cut = at;
            c->piece_count = piece_mark;
            return false;
        }
    }
    c->wait_until_us = 0;
    wire_end(&c->out, at, x.sent);
    return true;
}

static void do_list_offsets(struct floor *f, struct conn *c, struct request *r)
{
    size_t at = answer_begin(c, r);
    wire_take(&r->body, 4 + 1); /* replica, isolation */
    wire_put32(&c->out, 0);
    int32_t topics = wire_get32(&r->body);
    wire_put32(&c->out, topics);
    for (; topics > 0 && !r->body.bad; topics--) {
        for (int32_t n = echo_topic(c, &r->body); n > 0 && !r->body.bad; n--) {
            int32_t index = wire_get32(&r->body);
            int64_t time = wire_get64(&r->body);
            struct log_part *p = log_part(&f->log, index);
            uint64_t offset = !p ? UINT64_MAX : time == -1 ? p->end : log_start(&f->log, p);
            wire_put32(&c->out, index);
            wire_put16(&c->out, p ? KAFKA_OK : KAFKA_UNKNOWN_PARTITION);
            wire_put64(&c->out, -1);
            wire_put64(&c->out, (int64_t)offset);
        }
    }
    wire_end(&c->out, at, 0);
}

static void do_init_producer_id(struct floor *f, struct conn *c, struct request *r)
{
    size_t at = answer_begin(c, r);
    wire_put32(&c->out, 0);
    wire_put16(&c->out, KAFKA_OK);
    wire_put64(&c->out, f->next_producer++);
    wire_put16(&c->out, 0);
    wire_end(&c->out, at, 0);
}

/* False: the request has to wait. */
static bool conn_request(struct floor *f, struct conn *c, struct request *r)
{
    bool done = true;
    r->body.bad |= !is_served(r);
    switch (r->body.bad ? -1 : r->api) {
    case WIRE_PRODUCE:
        do_produce(f, c, r);
        break;
    case WIRE_FETCH:
        done = do_fetch(f, c, r);
        break;
    case WIRE_LIST_OFFSETS:
        do_list_offsets(f, c, r);
        break;
    case WIRE_METADATA:
        do_metadata(f, c, r);
        break;
    case WIRE_API_VERSIONS:
        do_api_versions(c, r);
        break;
    case WIRE_INIT_PRODUCER_ID:
        do_init_producer_id(f, c, r);
        break;
    }
    if (r->body.bad) {
        fprintf(stderr, "floor: closing a connection: request %d v%d\n", r->api, r->version);
        c->dead = true;
    }
    return done;
}

/* ---- connections ---- */

/* Takes whole frames from the input until it runs out or one has to wait. */
static void conn_frames(struct floor *f, struct conn *c)
{
    while (!c->dead && c->in_len - c->in_used >= 4) {
        const uint8_t *frame = c->in + c->in_used;
        size_t size = wire_load32(frame);
        c->dead = size < 10 || size > FRAME_MAX;
        if (c->dead || c->in_len - c->in_used < 4 + size)
            return;
        struct request r = {.body = {frame + 4, frame + 4 + size, false}};
        r.api = wire_get16(&r.body);
        r.version = wire_get16(&r.body);
        r.correlation = wire_get32(&r.body);
        wire_skip_str(&r.body);
        if (!conn_request(f, c, &r))
            return;
        c->in_used += 4 + size;
    }
}

/* Between turns, when no batch points into the buffer: drop what was used, make room. */
static void conn_compact(struct conn *c)
{
    c->in_len -= c->in_used;
    memmove(c->in, c->in + c->in_used, c->in_len);
    c->in_used = 0;
    if (c->in_len >= 4) {
        size_t need = 4 + (size_t)wire_load32(c->in);
        if (need > c->in_cap && need <= FRAME_MAX) {
            c->in_cap = need;
            c->in = wire_alloc(c->in, c->in_cap);
        }
    }
}

static void conn_read(struct conn *c)
{
    if (c->in_len == c->in_cap)
        return;
    ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        c->dead = true;
    else if (n > 0)
        c->in_len += (size_t)n;
}

static void conn_free(struct floor *f, struct conn *c)
{
    f->conns[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out.p);
    free(c->pieces);
    free(c);
}

static void accept_all(struct floor *f)
{
    int fd;
    while ((fd = accept4(f->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= CONN_MAX) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = wire_alloc(NULL, sizeof *c);
        *c = (struct conn){.fd = fd, .in_cap = IN_BYTES};
        c->in = wire_alloc(NULL, c->in_cap);
        f->conns[fd] = c;
        if (fd >= f->conn_top)
            f->conn_top = fd + 1;
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
            die("epoll_ctl");
    }
}

static int wait_ms(struct floor *f)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < f->conn_top; i++)
        if (f->conns[i] && f->conns[i]->wait_until_us && f->conns[i]->wait_until_us < first)
            first = f->conns[i]->wait_until_us;
    if (first == UINT64_MAX)
        return -1;
    uint64_t now = wire_now_us();
    return first <= now ? 0 : (int)((first - now + 999) / 1000);
}

static void turn(struct floor *f)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(f->epoll_fd, events, EVENTS_MAX, wait_ms(f));
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == f->listen_fd)
            accept_all(f);
        else if (events[i].events & ~(uint32_t)EPOLLOUT)
            conn_read(f->conns[fd]);
    }
    for (int i = 0; i < f->conn_top; i++)
        if (f->conns[i] && !f->conns[i]->wait_until_us)
            conn_frames(f, f->conns[i]);
    /* After all appends of the turn, for they may be what a fetch waits for. */
    for (int i = 0; i < f->conn_top; i++)
        if (f->conns[i] && f->conns[i]->wait_until_us)
            conn_frames(f, f->conns[i]);
    log_commit(&f->log);
    for (int i = 0; i < f->conn_top; i++) {
        struct conn *c = f->conns[i];
        if (!c)
            continue;
        if (!c->dead && (c->out.len || c->piece_count))
            conn_flush(f, c);
        if (c->dead)
            conn_free(f, c);
        else if (c->in_used || c->in_len == c->in_cap)
            conn_compact(c);
    }
}

static void listen_on(struct floor *f)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(f->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(f->listen_fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(f->listen_fd, 64) < 0)
        die("listen");
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = f->listen_fd};
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->listen_fd, &ev) < 0)
        die("epoll_ctl");
}

static void usage(void)
{
    fputs("usage: floor --port N --journal FILE [--ring BYTES] [--partitions N]\n", stderr);
    exit(2);
}

static uint64_t number(const char *s, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno || end == s || *end || v < 1 || v > max) {
        fprintf(stderr, "floor: '%s' is not a number from 1 to %llu\n", s, (unsigned long long)max);
        exit(2);
    }
    return v;
}

int main(int argc, char **argv)
{
    static struct floor f = {.next_producer = 1};
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"journal", required_argument, NULL, 'j'},
                                            {"ring", required_argument, NULL, 'r'},
                                            {"partitions", required_argument, NULL, 'n'},
                                            {0}};
    const char *journal = NULL;
    uint64_t ring = 1 << 20, partitions = 1;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'p')
            f.port = (uint16_t)number(optarg, UINT16_MAX);
        else if (o == 'j')
            journal = optarg;
        else if (o == 'r')
            ring = number(optarg, UINT64_MAX / 4);
        else if (o == 'n')
            partitions = number(optarg, 1000000);
        else
            usage();
    }
    if (!f.port || !journal || optind != argc)
        usage();
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    log_open(&f.log, journal, ring, (int)partitions);
    listen_on(&f);
    while (!stop_asked)
        turn(&f);
    return 0;
}
