#include "front/http/conn.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

const struct http_conf http_conf_default = {.body_max = HTTP_BODY_MAX_DEFAULT,
                                            .bodies_max = HTTP_BODIES_MAX_DEFAULT,
                                            .connections_max = HTTP_CONNECTIONS_MAX_DEFAULT};

void http_count(_Atomic uint64_t *counter, int64_t change)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + (uint64_t)change, memory_order_relaxed);
}

const uint8_t *http_random(struct http_reactor *r, struct env *env, size_t n)
{
    if (r->random_left < n) {
        env_random(env, r->random, sizeof r->random);
        r->random_left = sizeof r->random;
    }
    r->random_left -= n;
    return r->random + r->random_left;
}

struct http_front *http_front_make(const struct http_conf *conf, struct broker **brokers,
                                   unsigned n)
{
    struct http_front *front = mem_zalloc(1, sizeof *front);
    front->conf = *conf;
    front->brokers = mem_alloc(n * sizeof(struct broker *));
    memcpy(front->brokers, brokers, n * sizeof(struct broker *));
    front->n = n;
    front->reactors = mem_zalloc(n, sizeof *front->reactors);
    for (unsigned i = 0; i < n; i++) {
        list_init(&front->reactors[i].conns);
        list_init(&front->reactors[i].spares);
        env_random(broker_env(brokers[i]), front->reactors[i].passwords.key,
                   sizeof front->reactors[i].passwords.key);
    }
    return front;
}

static void reactor_free(struct http_reactor *r)
{
    struct list *spare;
    weir_assert(list_empty(&r->conns));
    while ((spare = list_pop(&r->spares))) {
        struct http_request *rq = container_of(spare, struct http_request, link);
        arena_free(&rq->arena);
        mem_free(rq);
    }
}

void http_front_free(struct http_front *front)
{
    for (unsigned i = 0; i < front->n; i++)
        reactor_free(&front->reactors[i]);
    mem_free(front->reactors);
    mem_free(front->brokers);
    mem_free(front);
}

void http_front_set_ready(struct http_front *front, bool ready)
{
    atomic_store_explicit(&front->ready, ready, memory_order_relaxed);
}

/* The one without a request that has had none for longest; false: all are busy. */
static bool close_idle(struct http_reactor *r)
{
    list_for (l, &r->conns) {
        struct http_conn *conn = container_of(l, struct http_conn, link);
        if (!list_empty(&conn->requests) || !conn->pipe || conn->step >= HTTP_STEP_FINISH)
            continue;
        http_conn_finish(conn);
        http_conn_run(conn);
        return true;
    }
    return false;
}

bool http_front_accept(struct http_front *front, unsigned reactor, struct pipe *pipe,
                       const struct http_listener *listener)
{
    static const struct http_listener silent;
    struct http_reactor *r = &front->reactors[reactor];
    bool full = r->conns_n >= front->conf.connections_max;
    if (r->closed)
        return false;
    if (r->conns_n >= 2 * front->conf.connections_max || (full && !close_idle(r))) {
        http_count(&r->counters.refused, 1);
        return false;
    }
    return http_conn_open(front, reactor, pipe, listener ? listener : &silent);
}

static bool is_under_way(const struct http_conn *conn)
{
    list_for (l, &conn->requests) {
        const struct http_request *rq = container_of_const(l, struct http_request, link);
        if (rq->counted && rq->run_state != HTTP_DONE)
            return true;
    }
    return false;
}

void http_front_stop(struct http_front *front, unsigned reactor, enum http_stop how)
{
    struct http_reactor *r = &front->reactors[reactor];
    r->draining = true;
    r->closed = how == HTTP_CLOSE;
    list_for_safe (l, &r->conns) {
        struct http_conn *conn = container_of(l, struct http_conn, link);
        if (!conn->pipe)
            continue;
        if (how == HTTP_CUT) {
            if (is_under_way(conn))
                http_conn_cut(conn);
            continue;
        }
        http_conn_finish(conn);
        http_conn_cancel(conn);
        if (how == HTTP_CLOSE)
            http_conn_linger_no_more(conn);
        http_conn_run(conn);
    }
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void http_front_stats(const struct http_front *front, struct http_stats *out)
{
    *out = (struct http_stats){0};
    for (unsigned i = 0; i < front->n; i++) {
        const struct http_counters *c = &front->reactors[i].counters;
        out->connections += counted(&c->connections);
        out->requests += counted(&c->requests);
        out->running += counted(&c->running);
        out->errors += counted(&c->errors);
        out->refused += counted(&c->refused);
        out->streams += counted(&c->streams);
    }
}
