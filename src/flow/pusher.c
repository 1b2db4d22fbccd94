/* One subscription: acquires messages while there is room for calls, and hands them to lanes. */
#include "flow/push_internal.h"

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
    if (pusher_to_topic(p))
        return TOPIC_MESSAGES;
    if (pusher_to_model(p))
        return p->model ? model_batch(p->model) : 1;
    bool one = p->s->conf.format == FORMAT_CE_BINARY || p->s->conf.format == FORMAT_CE_STRUCTURED;
    return one ? 1 : (uint32_t)p->s->conf.batch_events_max;
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

/* Calls that may begin now. */
static uint32_t room(struct pusher *p)
{
    uint32_t most = most_calls(p);
    if (p->releasing || p->leaving || p->push->stopping || push_validation_of(p->s) != PUSH_VALID)
        return 0;
    if (p->push->calls >= PUSH_CALLS_MAX)
        return 0;
    if (pusher_to_model(p))
        return push_model_room(p);
    if (pusher_to_topic(p))
        return p->lanes_n < most ? most - p->lanes_n : 0;
    return paced(p, endpoint_room(p->user.endpoint, most, p->lanes_n));
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

static void fetch_drop(struct pusher *p)
{
    struct push_fetch *f = p->fetch;
    p->fetch = NULL;
    push_fetch_unref(f);
}

static void fetch_done(struct op *op)
{
    struct push_fetch *f = container_of(op, struct push_fetch, op.op);
    struct pusher *p = f->p;
    f->done = true;
    if (op->err != ERR_OK || f->op.n == 0) {
        bool failed = op->err != ERR_OK && !f->cancelled && !p->leaving;
        fetch_drop(p);
        if (failed) {
            env_timer_set(p->push->env, &p->again, AGAIN_US);
            return;
        }
    }
    pusher_pump(p);
}

static uint32_t lock_ms(const struct pusher *p, uint32_t calls)
{
    int64_t a_call = pusher_to_model(p) ? model_conf(p->model)->timeout_ms : p->s->conf.timeout_ms;
    uint64_t ms = (uint64_t)a_call * (calls + 1) + LOCK_MARGIN_MS;
    return (uint32_t)(ms < LOCK_MS_MAX ? ms : LOCK_MS_MAX);
}

static void fetch_start(struct pusher *p, uint32_t calls)
{
    struct push_fetch *f = mem_zalloc(1, sizeof *f);
    uint64_t a_call = events_a_call(p);
    uint64_t chain = pusher_ordered(p) ? CHAIN_CALLS : calls;
    uint64_t messages = a_call * chain, most = FETCH_MESSAGES_MAX;
    most = a_call > most ? a_call : most;
    f->p = p;
    f->refs = 1;
    f->op = (struct acquire_op){.op.done = fetch_done,
                                .subscription = p->s->id,
                                .partition = -1,
                                .owner = PUSH_OWNER,
                                .messages_max = (uint32_t)(messages < most ? messages : most),
                                .bytes_max = FETCH_BYTES_MAX,
                                .wait_ms = WAIT_MS,
                                .lock_ms = lock_ms(p, pusher_ordered(p) ? CHAIN_CALLS : 1)};
    p->fetch = f;
    broker_acquire(p->push->b, &f->op);
}

/* Not wanted any more: what comes of it is released. */
static void fetch_cancel(struct pusher *p)
{
    struct push_fetch *f = p->fetch;
    if (!f || f->done || f->cancelled)
        return;
    f->cancelled = true;
    broker_acquire_cancel(p->push->b, &f->op);
}

/* ---- pumping -------------------------------------------------------------------------------- */

/* A session's messages are one lane's; else each call is a lane of its own. */
static void start_lane(struct pusher *p)
{
    struct push_fetch *f = p->fetch;
    uint32_t from = f->next, left = f->op.n - from;
    bool whole = pusher_ordered(p) || pusher_to_topic(p) ||
                 (pusher_to_model(p) && p->s->conf.order == ORDER_PARTITION);
    uint32_t n = left;
    if (pusher_to_model(p) && !whole)
        n = left < model_batch(p->model) ? left : model_batch(p->model);
    else if (!whole)
        n = push_request_take(p->s, f->op.messages + from, left);
    f->next += n;
    f->refs++;
    if (f->next == f->op.n)
        fetch_drop(p);
    push_lane_start(p, f, from, from + n);
    push_fetch_unref(f);
}

/* Nothing may begin, but messages are here: they go back. */
static void return_rest(struct pusher *p)
{
    struct push_fetch *f = p->fetch;
    uint32_t from = f->next;
    f->next = f->op.n;
    f->refs++;
    fetch_drop(p);
    push_lane_return(p, f, from, f->op.n);
    push_fetch_unref(f);
}

static void step(struct pusher *p)
{
    uint32_t n = room(p);
    bool have = p->fetch && p->fetch->done;
    while (n > 0 && have) {
        start_lane(p);
        n = room(p);
        have = p->fetch && p->fetch->done;
    }
    if (n > 0 && !p->fetch)
        fetch_start(p, n);
    else if (n == 0 && have && p->lanes_n == 0)
        return_rest(p);
    else if (n == 0 && p->fetch && p->lanes_n == 0)
        fetch_cancel(p);
}

static void free_if_gone(struct pusher *p)
{
    if (!p->leaving || p->pumping || pusher_busy(p))
        return;
    pusher_free(p);
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
    if (pusher_to_model(p))
        push_model_join(p);
    else if (!pusher_to_topic(p))
        endpoint_join(push->endpoints, s->conf.target, &p->user);
    if (push_validation_of(s) == PUSH_PENDING)
        p->handshake = handshake_start(p);
    if (first)
        release_former(p);
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
    fetch_cancel(p);
    p->pumping = false;
    pusher_pump(p);
}

void pusher_leave(struct pusher *p)
{
    p->leaving = true;
    pusher_stop(p, true);
}

bool pusher_busy(const struct pusher *p)
{
    return p->lanes_n > 0 || p->fetch || p->handshake || p->releasing;
}

void pusher_free(struct pusher *p)
{
    weir_assert(!pusher_busy(p));
    env_timer_stop(p->push->env, &p->again);
    endpoint_leave(&p->user);
    model_unref(p->model);
    list_remove(&p->link);
    subscription_unref(p->s);
    mem_free(p);
}
