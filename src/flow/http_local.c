/* One exchange is a call with its answer; one conn is a connection. An exchange has a conn until
 * its answer is there, a conn has an exchange while it is not idle:
 *
 *     http_call -> exchange --takes an idle conn, or makes one--> request sent -> answer -> done
 *                                                                    |              conn: idle
 *                                time is up, cancelled, broken ------+-> done       conn: aborted
 *
 * The exchange owns the answer's memory, so that the connection is free for the next call before
 * done() runs.
 */
#include "flow/http_local.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "flow/http_answer.h"
#include "flow/http_local_request.h"

#include <stdio.h>
#include <string.h>

#define RECEIVE_BYTES 16384
#define SPARE_MAX 64                  /* exchanges */
#define KEEP_BYTES ((size_t)16 << 10) /* of a spare one's request */

struct http_local {
    struct http_client client;
    struct loop *loop;
    struct env *env;
    struct budget *answers;
    struct map hosts;
    struct list idle;   /* conns of all hosts, the longest idle first */
    struct list spare;  /* exchanges */
    struct list active; /* likewise */
    size_t spare_n, conns;
    struct env_timer sweep;
    bool stopping;
};

/* An address with connections. */
struct host {
    struct map_node node;
    struct list idle; /* conns, the last used first */
    size_t conns;
    char addr[PIPE_ADDR_MAX];
};

struct conn {
    struct list host_link, idle_link; /* while it is idle */
    struct http_local *l;
    struct host *host;
    struct pipe *pipe;
    struct exchange *x; /* NULL: idle, or it is ending */
    uint64_t until_us;  /* not used when idle for so long */
    size_t queued;      /* bytes of the request */
    bool used;          /* by an earlier exchange */
    bool ending;
    uint8_t in[RECEIVE_BYTES];
};

struct exchange {
    struct list link;
    struct http_local *l;
    struct http_call *call;
    struct conn *conn; /* NULL: none any more */
    struct env_timer timer;
    struct env_mail mail; /* ends it in a later turn */
    uint64_t begin_us;
    bool ended;
    char addr[PIPE_ADDR_MAX];
    struct wr head; /* of the request */
    struct http_answer answer;
};

/* ---- ends ----------------------------------------------------------------------------------- */

static void put_back(struct exchange *x)
{
    struct http_local *l = x->l;
    list_remove(&x->link);
    http_answer_rest(&x->answer);
    wr_reuse(&x->head, KEEP_BYTES);
    if (l->spare_n < SPARE_MAX && !l->stopping) {
        list_push_front(&l->spare, &x->link);
        l->spare_n++;
        return;
    }
    http_answer_free(&x->answer);
    wr_free(&x->head);
    mem_free(x);
}

static void finish(struct exchange *x)
{
    struct http_call *call = x->call;
    weir_assert(x->conn == NULL);
    env_timer_stop(x->l->env, &x->timer);
    call->private = NULL;
    call->took_us = env_mono_us(x->l->env) - x->begin_us;
    call->done(call);
    put_back(x);
}

static void set_outcome(struct http_call *call, enum http_outcome outcome, const char *why)
{
    call->outcome = outcome;
    call->status = 0;
    call->answer_headers_n = 0;
    call->answer = (struct str){NULL, 0};
    call->answer_cut = false;
    (void)str_copy(call->error, sizeof call->error, str_of(why));
}

static void detach(struct exchange *x)
{
    if (x->conn)
        x->conn->x = NULL;
    x->conn = NULL;
}

/* Drops what was not sent, too: it is the caller's memory. */
static void conn_abort(struct conn *c)
{
    if (c->x)
        detach(c->x);
    list_remove(&c->host_link);
    list_remove(&c->idle_link);
    if (!c->ending)
        pipe_abort(c->pipe, ERR_CLOSED);
    c->ending = true;
}

/* Not from inside of http_call or http_cancel. */
static void fail(struct exchange *x, enum http_outcome outcome, const char *why)
{
    if (x->conn)
        conn_abort(x->conn);
    set_outcome(x->call, outcome, why);
    finish(x);
}

static void end_by_mail(struct env_mail *mail, struct env *env)
{
    (void)env;
    finish(container_of(mail, struct exchange, mail));
}

static void fail_later(struct exchange *x, enum http_outcome outcome, const char *why)
{
    if (x->conn)
        conn_abort(x->conn);
    set_outcome(x->call, outcome, why);
    env_timer_stop(x->l->env, &x->timer);
    x->ended = true;
    x->mail.run = end_by_mail;
    env_post(x->l->env, x->l->env->reactor, &x->mail);
}

static void timed_out(struct env_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);
    fail(x, HTTP_TIMED_OUT, "no answer in time");
}

/* ---- idle connections ----------------------------------------------------------------------- */

static void sweep_set(struct http_local *l)
{
    if (list_empty(&l->idle) || env_timer_armed(&l->sweep))
        return;
    env_timer_set(l->env, &l->sweep, HTTP_LOCAL_IDLE_US / 2);
}

static void sweep(struct env_timer *timer)
{
    struct http_local *l = container_of(timer, struct http_local, sweep);
    uint64_t now = env_mono_us(l->env);
    list_for_safe (it, &l->idle) {
        struct conn *c = container_of(it, struct conn, idle_link);
        if (c->until_us <= now)
            conn_abort(c);
    }
    sweep_set(l);
}

static uint64_t idle_us(const struct http_answer *a)
{
    uint64_t said = (uint64_t)a->keep_alive_s * 1000000;
    if (said == 0 || said >= HTTP_LOCAL_IDLE_US + 1000000)
        return HTTP_LOCAL_IDLE_US;
    return said > 1000000 ? said - 1000000 : said / 2;
}

static void conn_keep(struct conn *c, uint64_t for_us)
{
    struct http_local *l = c->l;
    c->until_us = env_mono_us(l->env) + for_us;
    c->used = true;
    list_push_front(&c->host->idle, &c->host_link);
    list_push(&l->idle, &c->idle_link);
    sweep_set(l);
}

static struct conn *idle_of(struct host *h, uint64_t now)
{
    while (!list_empty(&h->idle)) {
        struct conn *c = container_of(h->idle.next, struct conn, host_link);
        if (c->until_us <= now) {
            conn_abort(c);
            continue;
        }
        list_remove(&c->host_link);
        list_remove(&c->idle_link);
        return c;
    }
    return NULL;
}

/* ---- connections ---------------------------------------------------------------------------- */

static void conn_free(struct conn *c)
{
    struct host *h = c->host;
    list_remove(&c->host_link);
    list_remove(&c->idle_link);
    c->l->conns--;
    if (--h->conns == 0) {
        map_remove(&c->l->hosts, &h->node);
        mem_free(h);
    }
    mem_free(c);
}

/* The exchange goes on with a fresh connection: nothing was sent on this one. */
static void replace(struct exchange *x);

/* The answer is there. */
static void answered(struct exchange *x)
{
    struct conn *c = x->conn;
    bool keep = x->answer.state == ANSWER_DONE && x->answer.keep_alive && !c->l->stopping &&
                c->pipe->unsent == 0;
    detach(x);
    if (keep)
        conn_keep(c, idle_us(&x->answer));
    else
        conn_abort(c);
    x->call->outcome = HTTP_ANSWERED;
    x->call->error[0] = '\0';
    http_answer_tell(&x->answer, x->call);
    finish(x);
}

static void judge(struct exchange *x, enum answer_state state, bool more_bytes)
{
    switch (state) {
    case ANSWER_MORE:
        return;
    case ANSWER_DONE:
    case ANSWER_CUT:
        if (more_bytes) /* that nobody asked for */
            x->answer.keep_alive = false;
        answered(x);
        return;
    case ANSWER_SHORT:
        fail(x, HTTP_UNREACHABLE, "the connection was closed before the answer was whole");
        return;
    case ANSWER_BAD:
        fail(x, HTTP_ANSWER_BAD, x->answer.error);
        return;
    case ANSWER_NO_ROOM:
        fail(x, HTTP_NO_ROOM, HTTP_NO_ROOM_TEXT);
        return;
    }
}

static void *conn_space(void *user, size_t *cap)
{
    struct conn *c = user;
    *cap = sizeof c->in;
    return c->in;
}

static void conn_ended(struct conn *c)
{
    struct exchange *x = c->x;
    if (c->used && c->pipe->unsent == c->queued)
        replace(x);
    else
        judge(x, http_answer_end(&x->answer), false);
}

static void conn_received(void *user, size_t n)
{
    struct conn *c = user;
    struct exchange *x = c->x;
    size_t used;
    if (c->ending)
        return;
    if (!x) { /* idle: it ends, or says what it was not asked */
        conn_abort(c);
        return;
    }
    if (n == 0) {
        conn_ended(c);
        return;
    }
    enum answer_state state = http_answer_take(&x->answer, c->in, n, &used);
    judge(x, state, used < n);
}

static void conn_closed(void *user, enum err why)
{
    struct conn *c = user;
    struct exchange *x = c->x;
    c->ending = true;
    if (x)
        detach(x);
    conn_free(c);
    if (x)
        fail(x, HTTP_UNREACHABLE,
             why == ERR_TIMED_OUT ? "the connection timed out"
                                  : "no connection, or it broke before the answer was whole");
}

static const struct pipe_user_ops conn_ops = {
    .space = conn_space, .received = conn_received, .closed = conn_closed};

static bool host_is(const struct map_node *node, const void *key)
{
    return strcmp(container_of_const(node, struct host, node)->addr, key) == 0;
}

static struct host *host_of(struct http_local *l, const char *addr)
{
    uint64_t hash = hash_bytes(addr, strlen(addr));
    struct map_node *node = map_find(&l->hosts, hash, host_is, addr);
    if (node)
        return container_of(node, struct host, node);
    struct host *h = mem_zalloc(1, sizeof *h);
    list_init(&h->idle);
    memcpy(h->addr, addr, strlen(addr) + 1);
    map_insert(&l->hosts, &h->node, hash);
    return h;
}

static struct conn *conn_make(struct http_local *l, struct host *h)
{
    struct conn *c = mem_alloc(sizeof *c);
    memset(c, 0, offsetof(struct conn, in));
    c->l = l;
    c->host = h;
    list_init(&c->host_link);
    list_init(&c->idle_link);
    h->conns++;
    l->conns++;
    if (l->conns <= HTTP_LOCAL_CONNECTIONS_MAX &&
        loop_connect(l->loop, h->addr, &conn_ops, c, &c->pipe) == ERR_OK)
        return c;
    conn_free(c);
    return NULL;
}

/* ---- the call ------------------------------------------------------------------------------- */

static void send_request(struct exchange *x, struct conn *c)
{
    struct str body = x->call->body;
    struct chunkq q;
    c->x = x;
    x->conn = c;
    chunkq_init(&q);
    chunkq_add_slice(&q, (struct slice){buf_ref(x->head.buf), x->head.buf->data, x->head.len});
    chunkq_add_slice(&q, (struct slice){NULL, (const uint8_t *)body.at, body.len});
    c->queued = q.bytes;
    pipe_send(c->pipe, &q);
}

/* False: no connection. */
static bool start(struct exchange *x, bool fresh)
{
    struct http_local *l = x->l;
    struct host *h = host_of(l, x->addr);
    struct conn *c = fresh ? NULL : idle_of(h, env_mono_us(l->env));
    if (!c)
        c = conn_make(l, h);
    if (c)
        send_request(x, c);
    return c != NULL;
}

static const char *const no_conn = "no connection could be begun, or there are too many";

static void replace(struct exchange *x)
{
    conn_abort(x->conn);
    if (!start(x, true))
        fail(x, HTTP_UNREACHABLE, no_conn);
}

static struct exchange *exchange_make(struct http_local *l, struct http_call *call)
{
    struct list *spare = list_pop(&l->spare);
    struct exchange *x = spare ? container_of(spare, struct exchange, link) : NULL;
    if (x)
        l->spare_n--;
    else
        x = mem_zalloc(1, sizeof *x);
    x->l = l;
    x->call = call;
    x->ended = false;
    x->timer.fire = timed_out;
    x->begin_us = env_mono_us(l->env);
    x->head.len = 0;
    x->answer.share.of = l->answers;
    call->private = x;
    list_init(&x->link);
    list_push(&l->active, &x->link);
    return x;
}

static size_t most(const struct http_call *call)
{
    size_t n = call->answer_bytes_max;
    return n < HTTP_CALL_ANSWER_BYTES_MAX ? n : HTTP_CALL_ANSWER_BYTES_MAX;
}

static void local_call(struct http_client *client, struct http_call *call)
{
    struct http_local *l = container_of(client, struct http_local, client);
    struct exchange *x = exchange_make(l, call);
    const char *why = NULL;
    enum http_outcome outcome = http_local_request(call, x->addr, &x->head, &why);
    if (outcome != HTTP_ANSWERED) {
        fail_later(x, outcome, why);
        return;
    }
    http_answer_begin(&x->answer, strcmp(call->method, "HEAD") == 0, most(call));
    env_timer_set(l->env, &x->timer, (uint64_t)call->timeout_ms * 1000);
    if (!start(x, false))
        fail_later(x, HTTP_UNREACHABLE, no_conn);
}

static void local_cancel(struct http_client *client, struct http_call *call)
{
    struct exchange *x = call->private;
    (void)client;
    if (x && !x->ended)
        fail_later(x, HTTP_CANCELLED, "cancelled");
}

/* ---- life ----------------------------------------------------------------------------------- */

struct http_local *http_local_make(struct loop *loop, struct budget *answers)
{
    static const struct http_client_ops ops = {local_call, local_cancel};
    struct http_local *l = mem_zalloc(1, sizeof *l);
    l->client.ops = &ops;
    l->loop = loop;
    l->env = loop_env(loop);
    l->answers = answers;
    l->sweep.fire = sweep;
    map_init(&l->hosts);
    list_init(&l->idle);
    list_init(&l->spare);
    list_init(&l->active);
    return l;
}

struct http_client *http_local_client(struct http_local *l)
{
    return &l->client;
}

void http_local_stop(struct http_local *l)
{
    l->stopping = true;
    env_timer_stop(l->env, &l->sweep);
    list_for_safe (it, &l->idle)
        conn_abort(container_of(it, struct conn, idle_link));
}

bool http_local_busy(const struct http_local *l)
{
    return l->conns > 0 || !list_empty(&l->active);
}

void http_local_free(struct http_local *l)
{
    weir_assert(!http_local_busy(l));
    l->stopping = true; /* nothing is spared */
    env_timer_stop(l->env, &l->sweep);
    list_for_safe (it, &l->spare)
        put_back(container_of(it, struct exchange, link));
    map_free(&l->hosts);
    mem_free(l);
}
