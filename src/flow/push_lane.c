/* One delivery at a time: a call (push_call.c) or an append (push_topic.c), then its settle. */
#include "flow/push_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#define SETTLE_AGAIN_US ((uint64_t)1000000)
#define SETTLE_TRIES 60

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

/* All that is left of the lane becomes available again, as if it had not been acquired; and so does
 * what was acquired behind it, where order counts. */
void push_lane_release(struct push_lane *lane)
{
    lane->n = lane->end - lane->from;
    lane->delivered = false;
    lane->stream->failed = true;
    push_lane_items(lane, lane->n);
    push_lane_settle(lane);
}

/* ---- time to live ---------------------------------------------------------------------------- */

bool push_lane_expired(const struct push_lane *lane, const struct message *m, uint64_t in_ms)
{
    int64_t ttl = lane->p->s->ttl_ms;
    int64_t then = (int64_t)(env_now_ms(lane->p->push->env) + in_ms);
    return ttl >= 0 && m->append_ms + ttl <= then;
}

void push_lane_expire(const struct push_lane *lane, struct settle_item *item)
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
    while (lane->from + n < lane->end && push_lane_expired(lane, push_lane_message(lane, n), 0))
        n++;
    if (n == 0)
        return false;
    lane->n = n;
    lane->delivered = true;
    push_lane_items(lane, n);
    for (uint32_t i = 0; i < n; i++)
        push_lane_expire(lane, &lane->items[i]);
    push_lane_settle(lane);
    return true;
}

/* ---- giving up, or not yet ------------------------------------------------------------------- */

static void judge_item(struct push_lane *lane, uint32_t i, const struct push_verdict *v)
{
    const struct subscription_conf *conf = &lane->p->s->conf;
    const struct message *m = push_lane_message(lane, i);
    struct settle_item *item = &lane->items[i];
    bool last = m->deliveries >= conf->attempts;
    /* After the last attempt the dead letter is asked for here: it tells how that ended. */
    item->verb = v->for_good || last ? SETTLE_REJECT : SETTLE_RELEASE;
    item->reason = v->for_good ? STR_LIT(PUSH_REASON_REFUSED) : STR_LIT(PUSH_REASON_ATTEMPTS);
    item->delay_ms = v->wait_ms;
    item->uncounted = false;
    item->description = v->why;
    item->outcome = str_of(outcome_text(v->outcome));
    if (item->verb == SETTLE_RELEASE && push_lane_expired(lane, m, v->wait_ms))
        push_lane_expire(lane, item);
}

/* What follows where order counts must wait for what failed: it goes back with it. */
static uint32_t failed_items(struct push_lane *lane)
{
    uint32_t n = lane->n;
    uint32_t all = pusher_chained(lane->p) ? lane->end - lane->from : n;
#ifdef FAULT_push_overtakes
    all = n;
#endif
    lane->delivered = false;
    push_lane_items(lane, all);
    lane->n = all;
    lane->stream->failed = true;
    return n;
}

void push_lane_fail(struct push_lane *lane, push_verdict_fn *verdict, void *arg)
{
    uint32_t n = failed_items(lane);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t deliveries = push_lane_message(lane, i)->deliveries;
        struct push_verdict v = verdict(arg, lane, deliveries > 0 ? deliveries : 1);
        judge_item(lane, i, &v);
    }
    lane->settle.outputs = NULL;
    lane->settle.outputs_n = 0;
    push_lane_settle(lane);
}

static struct push_verdict not_stored(void *arg, const struct push_lane *lane, uint32_t attempt)
{
    struct push_verdict v = *(const struct push_verdict *)arg;
    struct retry_policy policy = push_policy(&lane->p->s->conf);
    struct retry_attempt a = {
        .n = attempt, .http = HTTP_ANSWERED, .status = 500, .retry_after_ms = -1};
    env_random(lane->p->push->env, &a.random, sizeof a.random);
    v.wait_ms = retry_judge(&policy, &a).wait_ms;
    return v;
}

void push_lane_not_stored(struct push_lane *lane, enum delivery_outcome outcome, bool for_good,
                          struct str why)
{
    struct push_verdict v = {.outcome = outcome, .for_good = for_good, .why = why};
    push_lane_fail(lane, not_stored, &v);
}

/* ---- settling ------------------------------------------------------------------------------- */

/* Where order counts, what follows in the lane must not overtake what comes again. */
static void not_settled(struct push_lane *lane)
{
    lane->broken = pusher_chained(lane->p);
    lane->stream->failed |= lane->broken;
}

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
    if (lane->settle.outputs_n > 0 && pusher_to_topic(p)) {
        push_topic_failed(lane, err);
    } else if (lane->settle.outputs_n > 0 && pusher_to_model(p)) {
        push_model_failed(lane, err);
    } else if (lane->settle.outputs_n > 0) {
        push_reply_failed(lane, err);
    } else if (drop_lost(lane) > 0) {
        not_settled(lane);
        push_lane_settle(lane);
    } else if (err == ERR_NOT_FOUND || p->push->cut || ++lane->tries == SETTLE_TRIES) {
        /* The subscription is gone, or the locks will run out and bring the messages again. */
        env_log(p->push->env, ENV_WARN, "push.not_settled", "subscription=%s messages=%zu error=%s",
                p->s->name, lane->settle.items_n, err_name(err));
        push_time_settled(lane, false);
        not_settled(lane);
        advance(lane);
    } else {
        push_lane_settle_again(lane, SETTLE_AGAIN_US);
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
    push_reply_settled(lane);
    advance(lane);
}

void push_lane_settle_again(struct push_lane *lane, uint64_t in_us)
{
    lane->again.fire = settle_again;
    env_timer_set(lane->p->push->env, &lane->again, in_us);
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

static void begin(struct push_lane *lane)
{
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
        push_call_begin(lane);
}

void push_lane_cancel(struct push_lane *lane)
{
    push_call_cancel(lane);
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
    lane->stream->lanes--;
    push_fetch_unref(lane->fetch);
    reply_free(&lane->reply);
    arena_free(&lane->arena);
    wr_free(&lane->body);
    mem_free(lane->items);
    mem_free(lane->outputs);
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
    if (!pusher_sessions(p)) {
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
    lane->tries = 0;
    reply_rest(&lane->reply);
    budget_share_drop(&lane->answer);
    if (lane->from == lane->end)
        end(lane);
    else if (lane->broken)
        push_lane_release(lane);
    else
        begin(lane);
}

static struct push_lane *make(struct pusher *p, struct push_fetch *f, uint32_t from, uint32_t end)
{
    struct push_lane *lane = mem_zalloc(1, sizeof *lane);
    weir_assert(from < end && end <= f->op.n);
    lane->p = p;
    lane->fetch = f;
    lane->answer.of = p->push->conf.answers;
    lane->from = from;
    lane->end = end;
    f->refs++;
    arena_init(&lane->arena, PUSH_LANE_BYTES_MAX);
    list_push(&p->lanes, &lane->link);
    p->lanes_n++;
    lane->stream = f->stream;
    lane->stream->lanes++;
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
