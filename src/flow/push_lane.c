/* One call at a time: build the request, call, judge the answer, settle. */
#include "flow/push_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define SETTLE_AGAIN_US ((uint64_t)1000000)
#define SETTLE_TRIES 60
#define ANSWER_BYTES 4096 /* for descriptions */
#define DESCRIPTION_BYTES 200

static void begin(struct push_lane *lane);
static void advance(struct push_lane *lane);

/* ---- items ---------------------------------------------------------------------------------- */

const struct message *push_lane_message(const struct push_lane *lane, uint32_t i)
{
    weir_assert(lane->from + i < lane->end);
    return &lane->fetch->op.messages[lane->from + i];
}

struct settle_item *push_lane_items(struct push_lane *lane, uint32_t n)
{
    mem_free(lane->items);
    lane->items = mem_zalloc(n, sizeof *lane->items);
    lane->settle.items_n = n;
    for (uint32_t i = 0; i < n; i++)
        lane->items[i] = (struct settle_item){
            .token = push_lane_message(lane, i)->token, .verb = SETTLE_RELEASE, .uncounted = true};
    return lane->items;
}

void push_lane_release(struct push_lane *lane)
{
    lane->n = lane->end - lane->from;
    lane->delivered = false;
    push_lane_items(lane, lane->n);
    push_lane_settle(lane);
}

/* ---- time to live ---------------------------------------------------------------------------- */

/* Will its time to live be over then? */
static bool is_expired(const struct push_lane *lane, const struct message *m, uint64_t in_ms)
{
    int64_t ttl = lane->p->s->ttl_ms;
    int64_t then = (int64_t)(env_now_ms(lane->p->push->env) + in_ms);
    return ttl >= 0 && m->append_ms + ttl <= then;
}

static void expire(const struct push_lane *lane, struct settle_item *item)
{
    const struct subscription_conf *conf = &lane->p->s->conf;
    bool buried = conf->dead_letter.at == NULL || conf->dead_letter_expired;
    item->verb = buried ? SETTLE_REJECT : SETTLE_ACCEPT;
    item->reason = STR_LIT(PUSH_REASON_EXPIRED);
    item->uncounted = false;
}

/* Those at the front whose time is over; false: there are none. */
static bool expire_front(struct push_lane *lane)
{
    uint32_t n = 0;
    while (lane->from + n < lane->end && is_expired(lane, push_lane_message(lane, n), 0))
        n++;
    if (n == 0)
        return false;
    lane->n = n;
    lane->delivered = true;
    push_lane_items(lane, n);
    for (uint32_t i = 0; i < n; i++)
        expire(lane, &lane->items[i]);
    push_lane_settle(lane);
    return true;
}

/* ---- settling ------------------------------------------------------------------------------- */

/* Those whose lock is lost are somebody else's by now; the others are settled without them. */
static size_t drop_lost(struct push_lane *lane)
{
    size_t kept = 0;
    for (size_t i = 0; i < lane->settle.items_n; i++) {
        if (lane->items[i].err != ERR_LOCK_LOST)
            lane->items[kept++] = lane->items[i];
    }
    size_t lost = lane->settle.items_n - kept;
    lane->settle.items_n = kept;
    return lost;
}

static void settle_again(struct env_timer *timer)
{
    push_lane_settle(container_of(timer, struct push_lane, again));
}

static void settle_failed(struct push_lane *lane, enum err err)
{
    struct pusher *p = lane->p;
    if (lane->settle.outputs_n > 0) {
        if (pusher_to_model(p))
            push_model_failed(lane, err);
        else
            push_topic_failed(lane, err);
    } else if (drop_lost(lane) > 0) {
        push_lane_settle(lane);
    } else if (err == ERR_NOT_FOUND || p->push->cut || ++lane->tries == SETTLE_TRIES) {
        /* The subscription is gone, or the locks will run out and bring the messages again. */
        env_log(p->push->env, ENV_WARN, "push.not_settled", "subscription=%s messages=%zu error=%s",
                p->s->name, lane->settle.items_n, err_name(err));
        push_time_settled(lane, false);
        advance(lane);
    } else {
        lane->again.fire = settle_again;
        env_timer_set(p->push->env, &lane->again, SETTLE_AGAIN_US);
    }
}

static void settled(struct op *op)
{
    struct push_lane *lane = container_of(op, struct push_lane, settle.op);
    if (op->err != ERR_OK) {
        settle_failed(lane, op->err);
        return;
    }
    push_time_settled(lane, true);
    advance(lane);
}

void push_lane_settle(struct push_lane *lane)
{
    if (lane->settle.items_n == 0) {
        push_time_settled(lane, false);
        advance(lane);
        return;
    }
    lane->settle.op.done = settled;
    lane->settle.subscription = lane->p->s->id;
    lane->settle.items = lane->items;
    push_time_settle(lane);
    broker_settle(lane->p->push->b, &lane->settle);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* What went wrong, and how the endpoint put it. */
struct str push_lane_describe(struct push_lane *lane)
{
    const struct http_call *call = &lane->call;
    char text[DESCRIPTION_BYTES * 2];
    int n = call->outcome == HTTP_ANSWERED
                ? snprintf(text, sizeof text, "HTTP %d: %.*s", call->status,
                           (int)(call->answer.len < DESCRIPTION_BYTES ? call->answer.len
                                                                      : DESCRIPTION_BYTES),
                           call->answer.at ? call->answer.at : "")
                : snprintf(text, sizeof text, "%s", call->error);
    n = n < (int)sizeof text ? n : (int)sizeof text - 1;
    for (int i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e)
            text[i] = ' ';
    }
    return (struct str){arena_strndup(&lane->arena, text, (size_t)n), (size_t)n};
}

struct retry_attempt push_lane_attempt(const struct push_lane *lane)
{
    const struct http_call *call = &lane->call;
    struct env *env = lane->p->push->env;
    struct retry_attempt a = {.n = 1, .http = call->outcome, .status = call->status};
    a.retry_after_ms =
        outcome_retry_after_ms(http_answer_header(call, "retry-after"), env_now_ms(env));
    env_random(env, &a.random, sizeof a.random);
    return a;
}

/* One message's share in a call that ended so: its own number of attempts decides how long it
 * waits. */
static void judge_item(struct push_lane *lane, uint32_t i, struct retry_attempt a, struct str why)
{
    const struct subscription_conf *conf = &lane->p->s->conf;
    struct retry_policy policy = push_policy(conf);
    struct settle_item *item = &lane->items[i];
    uint32_t deliveries = push_lane_message(lane, i)->deliveries;
    a.n = deliveries > 0 ? deliveries : 1;
    struct retry_verdict v = retry_judge(&policy, &a);
    item->outcome = str_of(outcome_text(v.outcome));
    item->uncounted = false;
    item->description = why;
    switch (v.verb) {
    case RETRY_DELIVERED:
        item->verb = SETTLE_ACCEPT;
        break;
    case RETRY_AGAIN:
        /* After the last attempt the dead letter is asked for here: it tells how that ended. */
        item->verb = a.n < conf->attempts ? SETTLE_RELEASE : SETTLE_REJECT;
        item->delay_ms = v.wait_ms;
        item->reason = STR_LIT(PUSH_REASON_ATTEMPTS);
#ifdef FAULT_push_forgets
        item->verb = SETTLE_ACCEPT;
#endif
        if (item->verb == SETTLE_RELEASE && is_expired(lane, push_lane_message(lane, i), v.wait_ms))
            expire(lane, item);
        break;
    case RETRY_GIVE_UP:
        item->verb = SETTLE_REJECT;
        item->reason = STR_LIT(PUSH_REASON_REFUSED);
        break;
    }
}

void push_lane_count(struct push_lane *lane, enum delivery_outcome outcome)
{
    struct push_stats *s = &lane->p->push->stats;
    const struct http_call *call = &lane->call;
    double seconds = (double)call->took_us / 1e6;
    unsigned i = 0;
    while (i < PUSH_BUCKETS && seconds > push_bucket_seconds[i])
        i++;
    atomic_fetch_add_explicit(&s->calls[outcome], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->events[outcome], lane->n, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->took[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->took_us, call->took_us, memory_order_relaxed);
}

/* For `weir trace`. */
static void time_end(struct push_lane *lane, enum delivery_outcome outcome)
{
    char status[16];
    snprintf(status, sizeof status, "%d", lane->call.status);
    bool answered = lane->call.outcome == HTTP_ANSWERED;
    push_time_end(lane, NULL, answered ? status : outcome_text(outcome));
}

void push_lane_judge(struct push_lane *lane, const struct retry_attempt *a, struct str why)
{
    struct retry_policy policy = push_policy(&lane->p->s->conf);
    lane->delivered = retry_judge(&policy, a).verb == RETRY_DELIVERED;
    /* What follows in a session must wait for what failed: it goes back with it. */
    uint32_t all = lane->delivered ? lane->n : lane->end - lane->from;
#ifdef FAULT_push_overtakes
    all = lane->n;
#endif
    push_lane_items(lane, all);
    for (uint32_t i = 0; i < lane->n; i++)
        judge_item(lane, i, *a, why);
    lane->n = all;
    push_lane_settle(lane);
}

static void judge(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    struct retry_policy policy = push_policy(&p->s->conf);
    struct retry_attempt a = push_lane_attempt(lane);
    struct retry_verdict v = retry_judge(&policy, &a);
    bool delivered = v.verb == RETRY_DELIVERED;
    push_lane_count(lane, v.outcome);
    time_end(lane, v.outcome);
    struct str why = delivered ? (struct str){NULL, 0} : push_lane_describe(lane);
    endpoint_end(p->user.endpoint, &a, v.outcome, lane->call.took_us);
    push_lane_judge(lane, &a, why);
}

static void call_over(struct push *push)
{
    atomic_store_explicit(&push->stats.under_way, push->calls - 1, memory_order_relaxed);
    if (push->calls-- < PUSH_CALLS_MAX)
        return;
    list_for_safe (it, &push->pushers) /* who had no room */
        pusher_pump(container_of(it, struct pusher, link));
}

void push_lane_call_over(struct push_lane *lane)
{
    lane->calling = false;
    call_over(lane->p->push);
}

static void called(struct http_call *call)
{
    struct push_lane *lane = call->user;
    push_lane_call_over(lane);
    if (call->outcome != HTTP_CANCELLED) {
        judge(lane);
        return;
    }
    endpoint_abandon(lane->p->user.endpoint);
    time_end(lane, OUTCOME_CANCELED);
    push_lane_count(lane, OUTCOME_CANCELED);
    push_lane_release(lane);
}

/* ---- the call ------------------------------------------------------------------------------- */

void push_lane_call(struct push_lane *lane)
{
    struct push *push = lane->p->push;
    lane->calling = true;
    push->calls++;
    atomic_store_explicit(&push->stats.under_way, push->calls, memory_order_relaxed);
    http_call(push->conf.http, &lane->call);
}

static void call(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    lane->call = (struct http_call){.method = "POST",
                                    .url = lane->request.url,
                                    .headers = lane->request.headers,
                                    .headers_n = lane->request.headers_n,
                                    .body = lane->request.body,
                                    .timeout_ms = (uint32_t)p->s->conf.timeout_ms,
                                    .answer_bytes_max = ANSWER_BYTES,
                                    .done = called,
                                    .user = lane};
    if (p->gap_us > 0)
        p->next_us = env_mono_us(p->push->env) + p->gap_us;
    push_time_begin(lane, HOP_PUSH);
    push_lane_call(lane);
}

/* No request can be made of it: it never will. */
static void refuse(struct push_lane *lane, enum err err, const struct err_text *text)
{
    enum delivery_outcome outcome =
        err == ERR_MEMORY ? OUTCOME_PAYLOAD_TOO_LARGE : OUTCOME_BAD_REQUEST;
    endpoint_abandon(lane->p->user.endpoint);
    push_lane_items(lane, lane->n);
    arena_reset(&lane->arena);
    for (uint32_t i = 0; i < lane->n; i++) {
        struct settle_item *item = &lane->items[i];
        item->verb = SETTLE_REJECT;
        item->uncounted = false;
        item->reason = STR_LIT(PUSH_REASON_REFUSED);
        item->description =
            (struct str){arena_strndup(&lane->arena, text->s, strlen(text->s)), strlen(text->s)};
        item->outcome = str_of(outcome_text(outcome));
    }
    lane->delivered = true; /* what follows may go on */
    push_lane_settle(lane);
}

/* Who was asked whether weir may post is told who posts. */
static const char *origin_of(const struct pusher *p)
{
    bool asked = p->s->conf.validation.at != NULL && p->s->conf.format != FORMAT_EVENTGRID;
    return asked ? p->push->conf.origin : NULL;
}

static void begin_call(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    struct err_text text = {""};
    const struct message *messages = push_lane_message(lane, 0);
    lane->n = push_request_take(p->s, messages, lane->end - lane->from);
    if (p->leaving || p->push->stopping || !endpoint_begin(p->user.endpoint)) {
        push_lane_release(lane);
        return;
    }
    enum err err = push_request_build(p->s, messages, lane->n, origin_of(p), &lane->arena,
                                      &lane->body, &lane->request, &text);
    if (err == ERR_OK)
        call(lane);
    else
        refuse(lane, err, &text);
}

static void begin(struct push_lane *lane)
{
    lane->tries = 0;
    lane->settle = (struct settle_op){.items = NULL};
    lane->time.n = 0;
    arena_reset(&lane->arena);
    lane->body.len = 0;
    if (expire_front(lane))
        return;
    if (pusher_to_topic(lane->p))
        push_topic_begin(lane);
    else if (pusher_to_model(lane->p))
        push_model_begin(lane);
    else
        begin_call(lane);
}

void push_lane_cancel(struct push_lane *lane)
{
    if (lane->calling)
        http_cancel(lane->p->push->conf.http, &lane->call);
    if (env_timer_armed(&lane->again)) { /* its settle failed: it is tried this once more */
        env_timer_stop(lane->p->push->env, &lane->again);
        push_lane_settle(lane);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

void push_lane_free(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    list_remove(&lane->link);
    p->lanes_n--;
    push_fetch_unref(lane->fetch);
    arena_free(&lane->arena);
    wr_free(&lane->body);
    mem_free(lane->items);
    mem_free(lane->outputs);
    reply_free(&lane->reply);
    mem_free(lane);
    pusher_pump(p);
}

static void session_released(struct op *op)
{
    push_lane_free(container_of(op, struct push_lane, session.op));
}

static void end(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    if (!pusher_ordered(p)) {
        push_lane_free(lane);
        return;
    }
    lane->session = (struct session_op){.op.done = session_released,
                                        .subscription = p->s->id,
                                        .session = lane->fetch->op.session_out,
                                        .owner = PUSH_OWNER,
                                        .verb = SESSION_RELEASE};
    broker_session(p->push->b, &lane->session);
}

/* What was being delivered is settled, one way or another. */
static void advance(struct push_lane *lane)
{
    lane->from += lane->n;
    lane->n = 0;
    if (lane->from < lane->end)
        begin(lane);
    else
        end(lane);
}

static struct push_lane *make(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end)
{
    struct push_lane *lane = mem_zalloc(1, sizeof *lane);
    weir_assert(from < end && end <= f->op.n);
    lane->p = p;
    lane->fetch = f;
    lane->from = from;
    lane->end = end;
    f->refs++;
    arena_init(&lane->arena, PUSH_LANE_BYTES_MAX);
    list_push(&p->lanes, &lane->link);
    p->lanes_n++;
    return lane;
}

void push_lane_start(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end)
{
    begin(make(p, f, from, end));
}

void push_lane_return(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end)
{
    push_lane_release(make(p, f, from, end));
}
