#include "front/kafka/conn.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/access.h"
#include "front/kafka/fetch_session.h"
#include "front/kafka/sasl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define CONN_MAGIC 0x6b636f6eu
#define RX_KEEP_BYTES ((size_t)4 << 20) /* a larger receive buffer is not kept while idle */
#define API_PRODUCE 0
#define API_VERSIONS 18

const struct kafka_conf kafka_conf_default = {
    .frame_max = KAFKA_FRAME_MAX_DEFAULT, .request_memory_max = KAFKA_REQUEST_MEMORY_MAX_DEFAULT};

struct kafka_reactor *kafka_reactor_of(struct kafka_conn *conn)
{
    return &conn->front->reactors[broker_env(conn->broker)->reactor];
}

static void conn_log(struct kafka_conn *conn, enum env_level level, const char *event,
                     const char *why)
{
    env_log(broker_env(conn->broker), level, event, "peer=%s why=\"%s\"", conn->peer, why);
}

/* ---- requests ------------------------------------------------------------------------------- */

void kafka_count(_Atomic uint64_t *counter, int64_t change)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + (uint64_t)change, memory_order_relaxed);
}

/* An error of the client's: the connection goes on to `state` and closes in the end. */
static void conn_fail(struct kafka_conn *conn, enum kafka_conn_state state, const char *why)
{
    if (conn->state >= state)
        return;
    conn->state = state;
    kafka_count(&kafka_reactor_of(conn)->counters.errors, 1);
    conn_log(conn, ENV_INFO, "kafka.close", why);
}

static struct kafka_request *request_make(struct kafka_conn *conn, struct slice frame)
{
    struct kafka_request *rq = mem_zalloc(1, sizeof *rq);
    rq->conn = conn;
    rq->frame = frame;
    rq->late = kafka_sasl_expired(conn);
    arena_init(&rq->arena, conn->front->conf.request_memory_max);
    chunkq_init(&rq->out);
    list_push(&conn->requests, &rq->link);
    conn->requests_n++;
    conn->request_bytes += frame.len;
    return rq;
}

static void request_free(struct kafka_request *rq)
{
    struct kafka_conn *conn = rq->conn;
    list_remove(&rq->link);
    conn->requests_n--;
    conn->request_bytes -= rq->frame.len;
    chunkq_clear(&rq->out);
    arena_free(&rq->arena);
    slice_unref(rq->frame);
    mem_free(rq);
}

void *kafka_alloc(struct kafka_request *rq, size_t count, size_t size)
{
    void *p = arena_zalloc(&rq->arena, count, size);
    rq->starved |= !p;
    return p;
}

struct str kafka_keep(struct kafka_request *rq, struct str s)
{
    const char *p = s.at ? arena_copy(&rq->arena, s.at, s.len) : NULL;
    rq->starved |= s.at && !p;
    return p ? (struct str){p, s.len} : (struct str){0};
}

enum err kafka_topic_name(struct kafka_request *rq, const struct uuid *id, struct str *out)
{
    const struct topic *topic = broker_topic_by_id(rq->conn->broker, id);
    *out = STR_LIT("");
    if (!topic)
        return ERR_TOPIC_ID_UNKNOWN;
    *out = kafka_keep(rq, str_of(topic->name));
    return out->at ? ERR_OK : ERR_MEMORY;
}

enum err kafka_topic_missing(struct kafka_request *rq, struct str name)
{
    bool visible = access_roles(rq->conn->broker, &rq->actor, ACCESS_TOPIC, name) != 0;
    return visible ? ERR_TOPIC_UNKNOWN : ERR_TOPIC_DENIED;
}

static void conn_run(struct kafka_conn *conn);

void kafka_begin(struct kafka_request *rq, struct wr *w)
{
    wr_init(w, 256);
    wr_i32(w, 0);
    wr_i32(w, rq->correlation_id);
    /* An ApiVersions answer keeps the old header, so that a client of any age can read it. */
    if (rq->flexible && rq->api->key != API_VERSIONS)
        wire_put_no_tags(w);
}

/* The frame's length was left open: it is the sum of what follows it. */
static void patch_length(struct chunkq *out)
{
    struct chunk *first = out->head;
    weir_assert(first && !first->file && first->slice.len >= 4);
    size_t at = (size_t)(first->slice.at - first->slice.buf->data);
    be32_put(first->slice.buf->data + at, (uint32_t)(out->bytes - 4));
}

void kafka_respond_chunks(struct kafka_request *rq)
{
    weir_assert(rq->state == KAFKA_RUNNING);
    if (rq->out.bytes)
        patch_length(&rq->out);
    rq->state = KAFKA_DONE;
    kafka_count(&kafka_reactor_of(rq->conn)->counters.requests, 1);
    conn_run(rq->conn);
}

void kafka_respond(struct kafka_request *rq, const void *response)
{
    struct wr w;
    if (rq->starved) {
        kafka_respond_close(rq, "a request that takes more memory than one may");
        return;
    }
    kafka_begin(rq, &w);
    wire_encode(rq->api->response, rq->version, rq->flexible, response, &w);
    chunkq_add_slice(&rq->out, wr_take(&w));
    kafka_respond_chunks(rq);
}

void kafka_respond_nothing(struct kafka_request *rq)
{
    chunkq_clear(&rq->out);
    kafka_respond_chunks(rq);
}

void kafka_respond_close(struct kafka_request *rq, const char *why)
{
    conn_fail(rq->conn, KAFKA_CONN_REFUSING, why);
    kafka_respond_nothing(rq);
}

/* ---- decoding ------------------------------------------------------------------------------- */

/* Request header (KIP-482): key, version, correlation id, client id (v1), tags (v2). */
static enum err header_read(struct kafka_request *rq)
{
    rd_init(&rq->body, rq->frame.at, rq->frame.len);
    struct rd *r = &rq->body;
    int16_t key = rd_i16(r);
    rq->version = rd_i16(r);
    rq->correlation_id = rd_i32(r);
    rq->api = r->bad ? NULL : kafka_api_find(key);
    if (!rq->api)
        return ERR_FRAME;
    bool known = rq->version >= 0 && rq->version <= rq->api->max;
    rq->flexible = known && rq->version >= rq->api->flexible_from;
    rq->actor = (struct actor){ACTOR_TENANT_DEFAULT, rq->conn->principal, wire_get_str(r, false),
                               rq->conn->peer};
    if (rq->flexible)
        wire_skip_tags(r);
    return r->bad ? ERR_FRAME : ERR_OK;
}

static bool version_served(const struct kafka_request *rq)
{
    return rq->version >= rq->api->min && rq->version <= rq->api->max;
}

static enum err body_read(struct kafka_request *rq)
{
    if (rq->api->by_hand)
        return ERR_OK;
    rq->in = kafka_alloc(rq, 1, rq->api->request->size);
    if (!rq->in)
        return ERR_MEMORY;
    return wire_decode(rq->api->request, rq->version, rq->flexible, &rq->body, &rq->arena, rq->in);
}

static void request_start(struct kafka_request *rq)
{
    const char *why;
    rq->state = KAFKA_RUNNING;
    if (kafka_sasl_raw(rq->conn)) {
        kafka_sasl_raw_run(rq);
        return;
    }
    if (header_read(rq)) {
        kafka_respond_close(rq, "not a request that this broker knows");
        return;
    }
    if (!kafka_sasl_admits(rq, &why)) {
        kafka_respond_close(rq, why);
        return;
    }
    /* ApiVersions answers every version itself (KIP-511). */
    bool versions = rq->api->key == API_VERSIONS;
    if (!version_served(rq) && !versions) {
        kafka_respond_close(rq, "a version of the request that this broker does not serve");
        return;
    }
    if (version_served(rq) && body_read(rq)) {
        kafka_respond_close(rq, "a request that does not follow its definition");
        return;
    }
    rq->api->run(rq);
}

/* ---- order ---------------------------------------------------------------------------------- */

static bool is_produce(const struct kafka_request *rq)
{
    return rq->frame.len >= 2 && be16_get(rq->frame.at) == API_PRODUCE;
}

/* The next request that may start: the first of all, or a Produce behind nothing but Produces. */
static struct kafka_request *conn_next(struct kafka_conn *conn)
{
    bool first = true;
    list_for (l, &conn->requests) {
        struct kafka_request *rq = container_of(l, struct kafka_request, link);
        if (rq->state == KAFKA_QUEUED)
            return first || is_produce(rq) ? rq : NULL;
        if (!is_produce(rq))
            return NULL;
        first = false;
    }
    return NULL;
}

/* Sends the answers that are next in order; false: there was none. */
static bool conn_send_done(struct kafka_conn *conn)
{
    struct chunkq out;
    chunkq_init(&out);
    bool moved = false;
    list_for_safe (l, &conn->requests) {
        struct kafka_request *rq = container_of(l, struct kafka_request, link);
#ifdef FAULT_answers_unordered
        if (rq->state != KAFKA_DONE)
            continue;
#endif
        if (rq->state != KAFKA_DONE)
            break;
        chunkq_move(&out, &rq->out);
        request_free(rq);
        moved = true;
    }
    if (out.bytes && conn->state < KAFKA_CONN_CLOSING && !pipe_send(conn->pipe, &out))
        conn->output_full = true;
    chunkq_clear(&out);
    return moved;
}

/* Starts the request whose turn it is; false: there is none. */
static bool conn_start_next(struct kafka_conn *conn)
{
    struct kafka_request *rq = conn->output_full ? NULL : conn_next(conn);
    if (rq)
        request_start(rq);
    return rq != NULL;
}

static bool conn_full(const struct kafka_conn *conn)
{
    return conn->output_full || conn->requests_n >= (conn->known ? KAFKA_REQUESTS_MAX : 1u) ||
           (conn->requests_n && conn->request_bytes >= KAFKA_REQUEST_BYTES_MAX);
}

static void conn_free(struct kafka_conn *conn)
{
    weir_assert(list_empty(&conn->requests));
    list_remove(&conn->link);
    kafka_count(&kafka_reactor_of(conn)->counters.connections, -1);
    for (struct map_node *n = map_next(&conn->seen, NULL), *next; n; n = next) {
        next = map_next(&conn->seen, n);
        map_remove(&conn->seen, n);
        mem_free(container_of(n, struct kafka_seen_topic, node));
    }
    map_free(&conn->seen);
    kafka_sasl_close(conn);
    buf_unref(conn->rx);
    conn->magic = 0;
    mem_free(conn);
}

static void conn_close(struct kafka_conn *conn)
{
    if (conn->state == KAFKA_CONN_CLOSING)
        return;
    conn->state = KAFKA_CONN_CLOSING;
    pipe_close(conn->pipe);
}

/* What was queued and will not be run. */
static void conn_drop_queued(struct kafka_conn *conn)
{
    list_for_safe (l, &conn->requests) {
        struct kafka_request *rq = container_of(l, struct kafka_request, link);
        if (rq->state == KAFKA_QUEUED)
            request_free(rq);
    }
}

/* ---- bytes -> frames ------------------------------------------------------------------------ */

static size_t rx_unread(const struct kafka_conn *conn)
{
    return conn->rx_to - conn->rx_from;
}

/* The bytes of the frame at rx_from with its length field; 0: not known yet. */
static size_t frame_bytes(const struct kafka_conn *conn)
{
    if (rx_unread(conn) < 4)
        return 0;
    return 4 + (size_t)be32_get(conn->rx->data + conn->rx_from);
}

/* Makes room for a frame of `need` bytes from rx_from on, and for one byte at least behind what is
 * there. A buffer that nobody else holds is used again; else a fresh one takes the unread bytes. */
static enum err rx_reserve(struct kafka_conn *conn, size_t need)
{
    size_t unread = rx_unread(conn);
    if (conn->rx && !unread && atomic_load_explicit(&conn->rx->refs, memory_order_acquire) == 1)
        conn->rx_from = conn->rx_to = 0;
    if (conn->rx && conn->rx->cap - conn->rx_from >= need && conn->rx->cap > conn->rx_to)
        return ERR_OK;
    struct buf *fresh = buf_try(need + KAFKA_RX_BYTES);
    if (!fresh)
        return ERR_MEMORY;
    if (unread)
        memcpy(fresh->data, conn->rx->data + conn->rx_from, unread);
    buf_unref(conn->rx);
    conn->rx = fresh;
    conn->rx_from = 0;
    conn->rx_to = unread;
    return ERR_OK;
}

/* The next whole frame becomes a request; false: there is none, or no more may be taken now. */
static bool conn_cut_frame(struct kafka_conn *conn)
{
    size_t bytes = frame_bytes(conn);
    if (!bytes || conn->state != KAFKA_CONN_OPEN || conn_full(conn))
        return false;
    size_t max = conn->known ? conn->front->conf.frame_max : KAFKA_UNKNOWN_FRAME_MAX;
    if (bytes <= 4 || bytes - 4 > max) {
        conn_fail(conn, KAFKA_CONN_FINISHING, "a frame of a size that is not allowed");
        return false;
    }
    if (rx_unread(conn) < bytes)
        return false;
    struct slice frame = {conn->rx, conn->rx->data + conn->rx_from + 4, bytes - 4};
    conn->rx_from += bytes;
    request_make(conn, slice_ref(frame));
    return true;
}

/* ---- the one place that moves a connection on ------------------------------------------------ */

/* Nothing moves by itself any more: what follows from that. May free the connection. */
static void conn_settle(struct kafka_conn *conn)
{
    bool idle = list_empty(&conn->requests);
    if (idle && !conn->pipe) {
        conn_free(conn);
        return;
    }
    if (idle && conn->state >= KAFKA_CONN_FINISHING)
        conn_close(conn);
    if (idle && conn->rx && conn->rx->cap > RX_KEEP_BYTES && !rx_unread(conn)) {
        buf_unref(conn->rx);
        conn->rx = NULL;
        conn->rx_from = conn->rx_to = 0;
    }
    if (conn->reading_stopped && conn->state == KAFKA_CONN_OPEN && !conn_full(conn)) {
        conn->reading_stopped = false;
        pipe_resume(conn->pipe);
    }
}

/* Sends what is done, cuts frames, starts what may start, until nothing changes. An answer given
 * from inside of a start is picked up by the loop that runs already. May free the connection. */
static void conn_run(struct kafka_conn *conn)
{
    if (conn->running)
        return;
    conn->running = true;
    for (bool moved = true; moved;) {
        moved = conn_send_done(conn);
        if (conn->state >= KAFKA_CONN_REFUSING)
            conn_drop_queued(conn);
        moved |= conn_cut_frame(conn);
        moved |= conn_start_next(conn);
    }
    conn->running = false;
    conn_settle(conn);
}

void kafka_conn_finish(struct kafka_conn *conn, const char *why)
{
    conn_fail(conn, KAFKA_CONN_FINISHING, why);
}

void kafka_conn_refuse(struct kafka_conn *conn, const char *why)
{
    conn_fail(conn, KAFKA_CONN_REFUSING, why);
    conn_run(conn);
}

static void *conn_space(void *user, size_t *cap)
{
    struct kafka_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    size_t need = frame_bytes(conn);
    if (conn->state == KAFKA_CONN_OPEN && !conn_full(conn) && rx_reserve(conn, need ? need : 4)) {
        conn_fail(conn, KAFKA_CONN_FINISHING, "no memory for a frame of this size");
        conn_run(conn);
    }
    if (conn->state != KAFKA_CONN_OPEN || conn_full(conn)) {
        conn->reading_stopped = true;
        return NULL;
    }
    *cap = conn->rx->cap - conn->rx_to;
    return conn->rx->data + conn->rx_to;
}

/* A client that ended its direction waits for nothing more, as in Kafka. */
static void conn_received(void *user, size_t n)
{
    struct kafka_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    if (n == 0) {
        conn_close(conn);
        return;
    }
    kafka_sasl_identify(conn);
    conn->rx_to += n;
    conn_run(conn);
}

static void conn_drained(void *user)
{
    struct kafka_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    conn->output_full = false;
    conn_run(conn);
}

/* Answers that come from inside of a cancel wait for the caller's conn_run: the list stays whole
 * while it is walked. */
static void conn_cancel(struct kafka_conn *conn)
{
    weir_assert(!conn->running);
    conn->running = true;
    list_for_safe (l, &conn->requests) {
        struct kafka_request *rq = container_of(l, struct kafka_request, link);
        if (rq->state == KAFKA_RUNNING && rq->cancel)
            rq->cancel(rq);
    }
    conn->running = false;
}

static void conn_closed(void *user, enum err why)
{
    struct kafka_conn *conn = user;
    weir_check(conn, CONN_MAGIC);
    (void)why;
    conn->pipe = NULL;
    conn->state = KAFKA_CONN_CLOSING;
    conn_cancel(conn);
    conn_run(conn);
}

static const struct pipe_user_ops conn_ops = {
    .space = conn_space, .received = conn_received, .drained = conn_drained, .closed = conn_closed};

/* ---- topics that the client has seen -------------------------------------------------------- */

static bool seen_eq(const struct map_node *node, const void *key)
{
    const struct kafka_seen_topic *s = container_of_const(node, struct kafka_seen_topic, node);
    return uuid_eq(s->id, *(const struct uuid *)key);
}

static struct kafka_seen_topic *seen_find(struct kafka_conn *conn, const struct topic *topic)
{
    struct map_node *n = map_find(&conn->seen, uuid_hash(topic->id), seen_eq, &topic->id);
    return n ? container_of(n, struct kafka_seen_topic, node) : NULL;
}

void kafka_topic_shown(struct kafka_conn *conn, const struct topic *topic)
{
    struct kafka_seen_topic *seen = seen_find(conn, topic);
    if (!seen) {
        if (conn->seen.count >= KAFKA_SEEN_MAX)
            return;
        seen = mem_zalloc(1, sizeof *seen);
        seen->id = topic->id;
        map_insert(&conn->seen, &seen->node, uuid_hash(topic->id));
    }
    seen->generation = topic->generation;
}

bool kafka_nudge_due(struct kafka_conn *conn, const struct topic *topic)
{
    struct kafka_seen_topic *seen = seen_find(conn, topic);
    if (!seen) {
        /* Clients ask for metadata on one connection and fetch on another: what this one has not
         * been shown was up to date when it first used the topic here. */
        kafka_topic_shown(conn, topic);
        return false;
    }
    if (seen->generation == topic->generation)
        return false;
    seen->generation = topic->generation;
    return true;
}

/* ---- the front ------------------------------------------------------------------------------ */

struct kafka_front *kafka_front_make(const struct kafka_conf *conf, struct broker **brokers,
                                     unsigned n)
{
    struct kafka_front *front = mem_zalloc(1, sizeof *front);
    front->conf = *conf;
    front->brokers = mem_alloc(n * sizeof(struct broker *));
    memcpy(front->brokers, brokers, n * sizeof(struct broker *));
    front->n = n;
    front->reactors = mem_zalloc(n, sizeof *front->reactors);
    env_random(broker_env(brokers[0]), front->sasl_secret, sizeof front->sasl_secret);
    for (unsigned i = 0; i < n; i++) {
        list_init(&front->reactors[i].conns);
        list_init(&front->reactors[i].checks_waiting);
        front->reactors[i].sessions = fetch_sessions_make(broker_env(brokers[i]));
    }
    return front;
}

void kafka_front_free(struct kafka_front *front)
{
    for (unsigned i = 0; i < front->n; i++)
        fetch_sessions_free(front->reactors[i].sessions);
    mem_free(front->reactors);
    mem_free(front->brokers);
    mem_free(front);
}

bool kafka_front_accept(struct kafka_front *front, unsigned reactor, struct pipe *pipe,
                        const struct kafka_listener *listener)
{
    static const struct kafka_listener silent;
    struct kafka_reactor *r = &front->reactors[reactor];
    if (r->draining)
        return false;
    struct kafka_conn *conn = mem_zalloc(1, sizeof *conn);
    conn->magic = CONN_MAGIC;
    conn->front = front;
    conn->broker = front->brokers[reactor];
    conn->listener = listener ? listener : &silent;
    conn->pipe = pipe;
    list_init(&conn->requests);
    map_init(&conn->seen);
    snprintf(conn->local, sizeof conn->local, "%s", pipe->local);
    snprintf(conn->peer, sizeof conn->peer, "%s", pipe->peer);
    list_push(&r->conns, &conn->link);
    kafka_count(&r->counters.connections, 1);
    kafka_sasl_open(conn);
    pipe->user_ops = &conn_ops;
    pipe->user = conn;
    return true;
}

void kafka_front_drain(struct kafka_front *front, unsigned reactor, bool force)
{
    struct kafka_reactor *r = &front->reactors[reactor];
    r->draining = true;
    list_for_safe (l, &r->conns) {
        struct kafka_conn *conn = container_of(l, struct kafka_conn, link);
        if (!conn->pipe)
            continue;
        if (force) {
            conn->state = KAFKA_CONN_CLOSING;
            pipe_abort(conn->pipe, ERR_CLOSED);
            continue;
        }
        if (conn->state == KAFKA_CONN_OPEN)
            conn->state = KAFKA_CONN_FINISHING;
        conn_cancel(conn);
        conn_run(conn);
    }
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void kafka_front_stats(const struct kafka_front *front, struct kafka_stats *out)
{
    *out = (struct kafka_stats){0};
    for (unsigned i = 0; i < front->n; i++) {
        const struct kafka_counters *c = &front->reactors[i].counters;
        out->connections += counted(&c->connections);
        out->requests += counted(&c->requests);
        out->errors += counted(&c->errors);
        out->fetch_waits += counted(&c->fetch_waits);
    }
}

void kafka_advertised(const struct kafka_conn *conn, struct str *host, int32_t *port)
{
    const struct kafka_listener *conf = conn->listener;
    const char *colon = strrchr(conn->local, ':');
    size_t host_len = colon ? (size_t)(colon - conn->local) : strlen(conn->local);
    struct str reached = {conn->local, host_len};
    if (host_len > 2 && conn->local[0] == '[')
        reached = (struct str){conn->local + 1, host_len - 2};
    *host = conf->advertised_host[0] ? str_of(conf->advertised_host) : reached;
    int64_t p = 0;
    if (!colon || str_to_i64(str_of(colon + 1), &p))
        p = 0;
    *port = conf->advertised_port ? conf->advertised_port : (int32_t)p;
}
