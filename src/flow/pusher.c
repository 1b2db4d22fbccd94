/* One subscription: acquires messages while there is room for calls, and hands them to lanes. */
#include "flow/push_internal.h"
#include "flow/reply_topics.h"

#include "base/assert.h"
#include "base/mem.h"
#include "flow/push_validate.h"

#include <string.h>

#define WAIT_MS 60000 /* of one acquisition; then it is asked again */
#define AGAIN_US ((uint64_t)1000000)
#define FETCH_MESSAGES_MAX 2048
#define FETCH_BYTES_MAX ((size_t)8 << 20)
#define TOPIC_MESSAGES 500   /* of one group */
#define CHAIN_CALLS 8        /* of one session, one after the other, before another has its turn */
#define CHAIN_MESSAGES 64u   /* of a partition, at least */
#define AHEAD_LANES 64u      /* beyond them nothing is acquired ahead */
#define LOCK_MARGIN_MS 60000 /* beyond the calls' own time limits */
#define LOCK_MS_MAX ((uint64_t)24 * 3600 * 1000)

/* ---- how many ------------------------------------------------------------------------------- */

static uint32_t most_calls(const struct pusher *p)
{
    if (pusher_to_model(p))
        return p->model ? push_model_lanes(p) : 0;
    return pusher_to_topic(p) ? 1 : (uint32_t)p->s->conf.concurrency;
}

static uint32_t events_a_call(const struct pusher *p)
{
    if (pusher_to_model(p))
        return p->model ? model_batch(p->model) : 1;
    return pusher_to_topic(p) ? TOPIC_MESSAGES : p->how.events_max;
}

/* The endpoint's rate: one call at a time, and not before its time. */
static uint32_t paced(struct pusher *p, uint32_t room)
{
    uint64_t now = env_mono_us(p->push->env);
    if (p->gap_us == 0 || room == 0)
        return room;
    if (now >= p->next_us)
        return 1;
    env_timer_set(p->push->env, &p->again, p->next_us - now);
    return 0;
}

static bool is_paused(struct pusher *p)
{
    uint64_t now = env_mono_us(p->push->env);
    if (now >= p->paused_us)
        return false;
    env_timer_set(p->push->env, &p->again, p->paused_us - now);
    return true;
}

void pusher_pause(struct pusher *p, uint64_t for_us)
{
    p->paused_us = env_mono_us(p->push->env) + for_us;
}

static uint32_t function_calls(struct pusher *p)
{
    if (!p->doc || is_paused(p))
        return 0;
    uint32_t n = function_room(&p->fn, p->slots_out);
    if (!p->user.endpoint || n == 0)
        return n;
    uint32_t allowed = endpoint_room(p->user.endpoint, p->slots_out + n, p->slots_out);
    return n < allowed ? n : allowed;
}

static bool may_begin(const struct pusher *p)
{
    return !p->releasing && !p->succeeds && !p->leaving && !p->push->stopping &&
           push_validation_of(p->s) == PUSH_VALID;
}

/* Calls that may begin now. */
static uint32_t room(struct pusher *p)
{
    uint32_t most = most_calls(p);
    if (!may_begin(p) || push_full(p->push))
        return 0;
    if (p->fn.name.at)
        return function_calls(p);
    if (pusher_to_model(p))
        return push_model_room(p);
    if (pusher_to_topic(p))
        return p->lanes_n < most ? most - p->lanes_n : 0;
    return paced(p, endpoint_room(p->user.endpoint, most, p->lanes_n));
}

/* Where order counts a partition has its own room: one lane. Of a function's partitions each has
 * its worker, whose slots are queued. */
static uint32_t stream_room(struct pusher *p, const struct push_stream *st)
{
    if (st->partition < 0)
        return room(p);
    if (st->lanes > 0)
        return 0;
    if (p->fn.name.at && !p->user.endpoint)
        return may_begin(p) && p->doc && !is_paused(p) && !push_full(p->push);
    if (pusher_to_topic(p))
        return may_begin(p);
    return room(p) > 0 || (pusher_to_model(p) && p->model && !p->user.endpoint && may_begin(p));
}

/* ---- fetches -------------------------------------------------------------------------------- */

void push_fetch_unref(struct push_fetch *f)
{
    weir_assert(f->refs > 0);
    if (--f->refs > 0)
        return;
    for (uint32_t i = 0; i < f->op.n; i++)
        message_drop(&f->op.messages[i]);
    acquire_free(&f->op);
    mem_free(f);
}

static void fetch_drop(struct push_stream *st)
{
    struct push_fetch *f = st->fetch;
    st->fetch = NULL;
    push_fetch_unref(f);
}

static void fetch_done(struct op *op)
{
    struct push_fetch *f = container_of(op, struct push_fetch, op.op);
    struct pusher *p = f->p;
    f->done = true;
    if (op->err != ERR_OK || f->op.n == 0) {
        bool failed = op->err != ERR_OK && !f->cancelled && !p->leaving;
        fetch_drop(f->stream);
        if (failed) {
            pusher_pause(p, AGAIN_US);
            env_timer_set(p->push->env, &p->again, AGAIN_US);
            return;
        }
    } else {
        push_waits_look(p);
    }
    pusher_pump(p);
}

static uint32_t lock_ms(const struct pusher *p, uint32_t calls)
{
    int64_t a_call =
        pusher_to_model(p) ? model_conf(p->model)->timeout_ms : (int64_t)p->how.timeout_ms;
    uint64_t ms = (uint64_t)a_call * (calls + 1) + LOCK_MARGIN_MS;
    return (uint32_t)(ms < LOCK_MS_MAX ? ms : LOCK_MS_MAX);
}

/* Calls of one fetch of a lane that makes them one after the other. */
static uint32_t chain_of(uint32_t a_call)
{
    uint32_t chain = CHAIN_MESSAGES / a_call;
    return chain > CHAIN_CALLS ? chain : CHAIN_CALLS;
}

static void fetch_start(struct pusher *p, struct push_stream *st, uint32_t calls)
{
    struct push_fetch *f = mem_zalloc(1, sizeof *f);
    uint64_t a_call = events_a_call(p);
    bool kept = st->partition >= 0;
    uint32_t chain = kept ? chain_of((uint32_t)a_call) : pusher_sessions(p) ? CHAIN_CALLS : calls;
    uint64_t messages = a_call * chain, most = FETCH_MESSAGES_MAX;
    most = a_call > most ? a_call : most;
    f->p = p;
    f->stream = st;
    f->refs = 1;
    f->op = (struct acquire_op){.op.done = fetch_done,
                                .subscription = p->s->id,
                                .partition = st->partition,
                                .owner = PUSH_OWNER,
                                .messages_max = (uint32_t)(messages < most ? messages : most),
                                .bytes_max = FETCH_BYTES_MAX,
                                .wait_ms = WAIT_MS,
                                .lock_ms = lock_ms(p, kept                 ? 2 * chain
                                                      : pusher_sessions(p) ? CHAIN_CALLS
                                                                           : 2)};
    st->fetch = f;
    broker_acquire(p->push->b, &f->op);
}

/* Not wanted any more: what comes of it is released. */
static void fetch_cancel(struct pusher *p, struct push_stream *st)
{
    struct push_fetch *f = st->fetch;
    if (!f || f->done || f->cancelled)
        return;
    f->cancelled = true;
    broker_acquire_cancel(p->push->b, &f->op);
}

/* ---- pumping -------------------------------------------------------------------------------- */

/* Where order counts all messages are one lane's; else each call is a lane of its own. */
static void start_lane(struct pusher *p, struct push_stream *st)
{
    struct push_fetch *f = st->fetch;
    uint32_t from = f->next, left = f->op.n - from;
    bool whole = pusher_chained(p) || pusher_to_topic(p);
    uint32_t n = left;
    if (pusher_to_model(p) && !whole)
        n = left < model_batch(p->model) ? left : model_batch(p->model);
    else if (!whole)
        n = push_request_take(&p->how, f->op.messages + from, left);
    f->next += n;
    f->refs++;
    if (f->next == f->op.n)
        fetch_drop(st);
    push_lane_start(p, f, from, from + n);
    push_fetch_unref(f);
}

/* Nothing may begin, but messages are here: they go back. */
static void return_rest(struct pusher *p, struct push_stream *st)
{
    struct push_fetch *f = st->fetch;
    uint32_t from = f->next;
    f->next = f->op.n;
    f->refs++;
    fetch_drop(st);
    push_lane_return(p, f, from, f->op.n);
    push_fetch_unref(f);
}

/* What was acquired behind what failed goes back before anything is acquired again: else it would
 * overtake. */
static void step_failed(struct pusher *p, struct push_stream *st)
{
    if (st->fetch && st->fetch->done)
        return_rest(p, st);
    else if (st->fetch)
        fetch_cancel(p, st);
    else if (st->lanes == 0)
        st->failed = false;
}

/* Messages are acquired while others are with workers, so that these need not wait. */
static bool acquires_ahead(const struct pusher *p, const struct push_stream *st)
{
    return may_begin(p) && p->doc && !pusher_sessions(p) && st->lanes > 0 &&
           st->lanes <= AHEAD_LANES;
}

/* A function's calls end while messages are being acquired: there is one for each of them. */
static uint32_t calls_to_fetch(const struct pusher *p, uint32_t n)
{
    uint32_t out = p->slots_out < AHEAD_LANES ? p->slots_out : AHEAD_LANES;
    uint32_t calls = p->doc ? n + out : n;
    return calls > 0 ? calls : 1;
}

static void step_stream(struct pusher *p, struct push_stream *st)
{
    if (st->failed && st->partition >= 0)
        step_failed(p, st);
    if (st->failed && st->partition >= 0)
        return;
    uint32_t n = stream_room(p, st);
    while (n > 0 && st->fetch && st->fetch->done) {
        start_lane(p, st);
        n = stream_room(p, st);
    }
    bool have = st->fetch && st->fetch->done;
    if (!st->fetch && (n > 0 || acquires_ahead(p, st)))
        fetch_start(p, st, calls_to_fetch(p, n));
    else if (n == 0 && have && p->lanes_n == 0)
        return_rest(p, st);
    else if (n == 0 && st->fetch && p->lanes_n == 0)
        fetch_cancel(p, st);
}

static void stream_add(struct pusher *p, int32_t partition)
{
    struct push_stream *st = mem_zalloc(1, sizeof *st);
    st->partition = partition;
    p->streams = mem_realloc(p->streams, (size_t)(p->streams_n + 1) * sizeof(struct push_stream *));
    p->streams[p->streams_n++] = st;
}

/* One for all, or one a partition: topics grow. */
static void look_at_partitions(struct pusher *p)
{
    const struct topic *t = broker_topic_by_id(p->push->b, &p->s->topic);
    bool kept = p->s->conf.order == ORDER_PARTITION;
    int32_t n = !kept ? 1 : t ? t->partitions : 0;
    while (p->streams_n < n)
        stream_add(p, kept ? p->streams_n : -1);
}

static void step(struct pusher *p)
{
    if (!p->leaving)
        look_at_partitions(p);
    for (int32_t i = 0; i < p->streams_n; i++)
        step_stream(p, p->streams[i]);
}

/* Another one of the subscription, that leaves or does not. */
static struct pusher *other_of(struct push *push, const struct subscription *s,
                               const struct pusher *than, bool leaving)
{
    list_for (it, &push->pushers) {
        struct pusher *p = container_of(it, struct pusher, link);
        if (p != than && p->leaving == leaving && uuid_eq(p->s->id, s->id))
            return p;
    }
    return NULL;
}

static void pump_successor(struct push *push, const struct subscription *s)
{
    struct pusher *p = other_of(push, s, NULL, false);
    if (!p)
        return;
    p->succeeds = p->succeeds && other_of(push, s, p, true);
    pusher_pump(p);
}

static void free_if_gone(struct pusher *p)
{
    struct push *push = p->push;
    if (!p->leaving || p->pumping || pusher_busy(p))
        return;
    const struct subscription *s = subscription_ref(p->s);
    bool again = p->again_after;
    pusher_free(p);
    if (again)
        push_begin(push, s, false);
    else
        pump_successor(push, s);
    subscription_unref(s);
}

/* Lanes may end, and acquisitions be answered, inside of what this calls. */
void pusher_pump(struct pusher *p)
{
    p->pump_more = true;
    if (p->pumping)
        return;
    p->pumping = true;
    while (p->pump_more) {
        p->pump_more = false;
        step(p);
    }
    p->pumping = false;
    free_if_gone(p);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void endpoint_moved(struct endpoint_user *user)
{
    pusher_pump(container_of(user, struct pusher, user));
}

static void again(struct env_timer *timer)
{
    pusher_pump(container_of(timer, struct pusher, again));
}

/* The locks of a life that was killed would keep its messages until their time is up. If this
 * fails, they do. */
static void released(struct op *op)
{
    struct pusher *p = container_of(op, struct pusher, release.op);
    p->releasing = false;
    pusher_pump(p);
}

static void release_former(struct pusher *p)
{
    p->releasing = true;
    p->release =
        (struct release_op){.op.done = released, .subscription = p->s->id, .owner = PUSH_OWNER};
    broker_release_all(p->push->b, &p->release);
}

/* ---- functions ------------------------------------------------------------------------------ */

static void join_endpoint(struct pusher *p)
{
    const struct function_conf *f = p->doc ? &p->doc->conf.function : NULL;
    char key[ENDPOINT_KEY_MAX];
    if (f && f->url.at && endpoint_key(f->url, key))
        endpoint_join(p->push->endpoints, f->url, &p->user);
}

static void function_moved(struct function_user *user)
{
    struct pusher *p = container_of(user, struct pusher, fn);
    if (!p->leaving && function_document(user) != p->doc) {
        p->again_after = true; /* calls that are under way end first: their order holds */
        pusher_leave(p, false);
    } else {
        pusher_pump(p);
    }
}

static void join_function(struct pusher *p)
{
    p->fn = (struct function_user){.name = p->s->conf.target, .changed = function_moved};
    function_join(p->push->conf.functions, &p->fn);
    p->doc = function_document(&p->fn);
    if (p->doc)
        document_ref(p->doc);
    join_endpoint(p);
}

static void leave_function(struct pusher *p)
{
    push_waits_stop(p);
    function_leave(&p->fn);
    if (p->doc)
        document_unref(p->doc);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct pusher *pusher_make(struct push *push, const struct subscription *s, bool first)
{
    struct pusher *p = mem_zalloc(1, sizeof *p);
    p->push = push;
    p->s = subscription_ref(s);
    p->again.fire = again;
    p->user.changed = endpoint_moved;
    p->gap_us = push_validation_gap_us(s);
    list_init(&p->lanes);
    list_push(&push->pushers, &p->link);
    p->succeeds = s->conf.order != ORDER_NONE && other_of(push, s, p, true);
    if (s->conf.deliver == DELIVER_FUNCTION)
        join_function(p);
    else if (pusher_to_model(p))
        push_model_join(p);
    else if (!pusher_to_topic(p))
        endpoint_join(push->endpoints, s->conf.target, &p->user);
    push_how_of(s, p->doc, &p->how);
    if (push_validation_of(s) == PUSH_PENDING)
        p->handshake = handshake_start(p);
    if (first)
        release_former(p);
    reply_topics_make(push->b, s);
    return p;
}

void pusher_stop(struct pusher *p, bool cut)
{
    p->pumping = true; /* it stays, whatever ends in here */
    env_timer_stop(p->push->env, &p->again);
    if (p->handshake)
        handshake_stop(p->handshake);
    list_for_safe (it, &p->lanes) {
        if (cut)
            push_lane_cancel(container_of(it, struct push_lane, link));
    }
    for (int32_t i = 0; i < p->streams_n; i++)
        fetch_cancel(p, p->streams[i]);
    p->pumping = false;
    pusher_pump(p);
}

void pusher_leave(struct pusher *p, bool cut)
{
    p->leaving = true;
    p->again_after = p->again_after && !cut;
    pusher_stop(p, cut);
}

bool pusher_busy(const struct pusher *p)
{
    for (int32_t i = 0; i < p->streams_n; i++) {
        if (p->streams[i]->fetch)
            return true;
    }
    return p->lanes_n > 0 || p->handshake || p->releasing || p->waits.asking;
}

void pusher_free(struct pusher *p)
{
    weir_assert(!pusher_busy(p));
    env_timer_stop(p->push->env, &p->again);
    endpoint_leave(&p->user);
    model_unref(p->model);
    if (p->fn.name.at)
        leave_function(p);
    for (int32_t i = 0; i < p->streams_n; i++)
        mem_free(p->streams[i]);
    mem_free(p->streams);
    list_remove(&p->link);
    subscription_unref(p->s);
    mem_free(p);
}
