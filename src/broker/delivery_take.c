/* Messages of one partition for one receiver.
 *
 *     take_run      on the partition's reactor
 *     look          enough is ready, or all of the log was looked at; else read there, again
 *     acquire       offsets and tokens, from the ledger
 *     look_up       payloads: mostly of the batches just read, else read there, again
 *     written       the turn's change is written: the messages may leave
 *
 * One take at a time reads for a delivery; up to `written` each, so that many takes share a turn's
 * change.
 */
#include "broker/delivery_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define LOOK_BYTES_MIN ((size_t)64 << 10)

static struct take *take_of(struct delivery_job *job)
{
    return container_of(job, struct take, job);
}

/* ---- the end ---- */

static void give_back(struct take *t, uint32_t from)
{
    struct delivery *d = t->d;
    struct ledger_time now = delivery_now(d->all);
    if (t->what == TAKE_PEEK)
        return;
    for (uint32_t i = from; i < t->taken_n; i++) {
        struct ledger_ref ref = ledger_ref(d->ledger, &t->taken[i].token);
        enum err err = ledger_unacquire(d->ledger, ref, now);
        (void)err; /* its lock may have run out meanwhile: then it is back already */
    }
    t->taken_n = from;
}

static void messages_drop(struct take *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        message_drop(&t->messages[i]);
    mem_free(t->messages);
    t->messages = NULL;
    t->n = 0;
}

/* Answers. The delivery may be gone afterwards. */
static void take_end(struct take *t, enum err err)
{
    struct delivery *d = t->d;
    struct broker *b = d->all->broker;
    if (err != ERR_OK)
        messages_drop(t);
    mem_free(t->taken);
    t->taken = NULL;
    delivery_read_clear(&t->read);
    t->left = delivery_available(d, &t->holder);
    t->acquired = d->acquired = delivery_acquired(d);
    if (t->left == 0 || t->n == 0 || t->holder != 0)
        delivery_arm(d);
    delivery_leave(d);
    op_finish(b, &t->op, err);
}

static void take_written(struct delivery_call *call, enum err err)
{
    struct take *t = container_of(call, struct take, call);
    if (err != ERR_OK) {
        give_back(t, 0);
        delivery_touch(t->d);
    }
    take_end(t, err);
}

/* Nothing more is read: others may. What was acquired leaves when that is written. */
static void take_ready(struct take *t)
{
    struct delivery *d = t->d;
    bool wait = t->err == ERR_OK && t->what != TAKE_PEEK && (t->n > 0 || t->locked);
    delivery_job_end(d, &t->job);
    if (wait) {
        delivery_tell(d, &t->call);
        return;
    }
    give_back(t, 0);
    delivery_touch(d);
    take_end(t, t->err);
}

/* ---- reading ---- */

static void take_go(struct take *t);

static void take_read_done(struct delivery_read *read, enum err err)
{
    struct take *t = container_of(read, struct take, read);
    t->err = err;
    t->again = true;
    if (!t->going)
        take_go(t);
}

static void take_read(struct take *t, int64_t offset)
{
    size_t bytes = t->bytes_max > LOOK_BYTES_MIN ? t->bytes_max : LOOK_BYTES_MIN;
    delivery_read_start(&t->read, offset, bytes);
}

/* Batches that were read for the look: true: the ledger was told of all that is wanted of them. */
static bool look_at_read(struct take *t)
{
    struct delivery *d = t->d;
    for (size_t i = 0; i < t->read.n; i++) {
        struct records *batch = t->read.at[i];
        while (batch_next_offset(records_head(batch)) > ledger_next(d->ledger)) {
            int64_t before = ledger_next(d->ledger);
            bool all = d->s->conf.order == ORDER_KEY || t->what == TAKE_PEEK;
            uint32_t want = all ? UINT32_MAX : t->max;
            if (want <= ledger_ready(d->ledger))
                return true;
            if (delivery_look(d, batch, want) != ERR_OK || ledger_next(d->ledger) == before)
                return true; /* no room, or a rewind is under way: what there is must do */
        }
    }
    return false;
}

/* To peek, what is not looked at yet is. */
static bool enough_to_peek(const struct take *t)
{
    struct ledger_time now = delivery_now(t->d->all);
    struct ledger_message m;
    int64_t at = t->from;
    for (uint32_t n = 0; n < t->max; n++, at = m.offset + 1)
        if (!ledger_peek(t->d->ledger, at, now, &m))
            return false;
    return true;
}

/* A session that is released over and over does not keep the ledger from those behind it in the
 * log: before it is given once more there is one read on. */
static bool enough_sessions(const struct take *t)
{
    struct ledger *l = t->d->ledger;
    if (t->session.at != NULL || ledger_sessions_ready(l) == 0)
        return false;
    return t->looked || !ledger_session_returns(l);
}

static bool enough(const struct take *t)
{
    if (t->what != TAKE_NEXT)
        return t->what == TAKE_DEFERRED || enough_to_peek(t);
    if (t->d->s->conf.order == ORDER_KEY)
        return enough_sessions(t);
    return ledger_ready(t->d->ledger) >= t->max;
}

/* A batch that nobody can look into is left out: it would stop the subscription for ever. */
static enum err look_over(struct take *t)
{
    struct delivery *d = t->d;
    const struct records_op *op = &t->read.op;
    if ((t->err != ERR_CORRUPT && t->err != ERR_COMPRESSION) || op->next_offset <= op->offset)
        return t->err;
    env_log(d->all->broker->env, ENV_WARN, "delivery.unreadable",
            "subscription=%s partition=%d from=%lld to=%lld", d->s->name, d->index,
            (long long)op->offset, (long long)op->next_offset);
    d->dropped += (uint64_t)(op->next_offset - op->offset);
    return ledger_skip(d->ledger, op->next_offset);
}

/* True: a read is under way, or was done meanwhile. */
static bool look(struct take *t)
{
    struct delivery *d = t->d;
    int64_t next = ledger_next(d->ledger);
    if (look_at_read(t) || enough(t) || d->at == NULL || ledger_room(d->ledger) == 0)
        return false;
    if (ledger_next(d->ledger) >= d->at->end || (t->looked && ledger_next(d->ledger) == next))
        return false;
    t->looked = true;
    take_read(t, ledger_next(d->ledger));
    return true;
}

/* ---- acquiring ---- */

static enum err acquire_session(struct take *t, struct ledger_time now)
{
    struct delivery *d = t->d;
    struct ledger_session s;
    enum err err = ledger_session_lock(d->ledger, t->owner, t->session, t->lock_ms, now, &s);
    if (err == ERR_NOT_FOUND) /* none is free */
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    t->locked = true;
    t->session_out = (struct str){mem_strndup(s.id.at, s.id.len), s.id.len};
    t->session_locked_until_ms = s.locked_until_ms;
    t->taken_n = (uint32_t)ledger_session_acquire(d->ledger, t->owner, t->session_out, now,
                                                  t->taken, t->max);
    return ERR_OK;
}

static bool all_deferred(const struct take *t, struct ledger_time now)
{
    for (uint32_t i = 0; i < t->max; i++) {
        struct ledger_message m;
        ledger_get(t->d->ledger, t->offsets[i], now, &m);
        if (m.state != LEDGER_DEFERRED || m.settling)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (t->offsets[k] == t->offsets[i])
                return false;
    }
    return true;
}

/* All or none. */
static enum err acquire_deferred(struct take *t, struct ledger_time now)
{
    struct delivery *d = t->d;
    if (!all_deferred(t, now))
        return ERR_NOT_FOUND;
    for (uint32_t i = 0; i < t->max; i++) {
        enum err err = ledger_acquire_deferred(d->ledger, t->owner, t->offsets[i], t->lock_ms, now,
                                               &t->taken[t->taken_n]);
        if (err != ERR_OK) /* of a session that this owner does not hold */
            return err;
        t->taken_n++;
    }
    return ERR_OK;
}

static void peek(struct take *t, struct ledger_time now)
{
    struct ledger_message m;
    int64_t at = t->from;
    for (; t->taken_n < t->max && ledger_peek(t->d->ledger, at, now, &m); at = m.offset + 1) {
        if (t->session.at != NULL && !str_eq(t->session, m.session))
            continue;
        t->taken[t->taken_n++] = (struct ledger_taken){.offset = m.offset,
                                                       .deliveries = m.deliveries,
                                                       .first_ms = m.first_ms,
                                                       .locked_until_ms = m.due_ms};
    }
}

static enum err acquire(struct take *t)
{
    struct delivery *d = t->d;
    struct ledger_time now = delivery_now(d->all);
    uint32_t n = t->max;
    t->acquired_us = env_clock_us(d->all->broker->env);
    while (ledger_step(d->ledger, now))
        continue;
    if (t->what == TAKE_NEXT && d->s->conf.order != ORDER_KEY && ledger_ready(d->ledger) < n)
        n = ledger_ready(d->ledger);
    t->taken = mem_alloc((n > 0 ? n : 1) * sizeof(*t->taken));
    if (t->what == TAKE_DEFERRED)
        return acquire_deferred(t, now);
    if (t->what == TAKE_PEEK) {
        peek(t, now);
        return ERR_OK;
    }
    if (d->s->conf.order == ORDER_KEY)
        return acquire_session(t, now);
    t->taken_n = (uint32_t)ledger_acquire(d->ledger, t->owner, t->lock_ms, now, t->taken, n);
    return ERR_OK;
}

/* ---- payloads ---- */

static enum message_state state_of(const struct take *t, int64_t offset)
{
    struct ledger_message m;
    if (t->what != TAKE_PEEK)
        return MESSAGE_ACQUIRED;
    ledger_get(t->d->ledger, offset, delivery_now(t->d->all), &m);
    return m.state == LEDGER_ACQUIRED   ? MESSAGE_ACQUIRED
           : m.state == LEDGER_DEFERRED ? MESSAGE_DEFERRED
                                        : MESSAGE_AVAILABLE;
}

static uint64_t waited_us(const struct take *t, const struct records *batch)
{
    uint64_t visible_us = records_visible_us(batch);
    struct env *env = t->d->all->broker->env;
    int64_t ms = (int64_t)env_now_ms(env) - records_append_ms(batch);
    if (visible_us != 0)
        return t->acquired_us > visible_us ? t->acquired_us - visible_us : 0;
    return ms > 0 ? (uint64_t)ms * 1000 : 0;
}

static void message_set(struct take *t, struct records *batch, const struct record *record)
{
    const struct ledger_taken *taken = &t->taken[t->looked_up];
    t->messages[t->n++] = (struct message){
        .token = taken->token,
        .state = state_of(t, taken->offset),
        .partition = t->partition,
        .offset = taken->offset,
        .deliveries = taken->deliveries,
        .append_ms = records_append_ms(batch),
        .locked_until_ms = taken->locked_until_ms,
        .first_ms = taken->first_ms,
        .acquired_us = t->acquired_us,
        .waited_us = waited_us(t, batch),
        .record = *record,
        .records = records_ref(batch),
    };
    if (t->what != TAKE_PEEK) {
        delivery_stages_received(t->d, &t->messages[t->n - 1]);
        delivery_hop_received(t->d, &t->messages[t->n - 1]);
    }
    t->looked_up++;
}

static size_t record_bytes(const struct record *r)
{
    return r->key.len + r->value.len + rd_left(&r->headers_at);
}

/* What the log does not have any more, or nobody can read, is settled: it would come for ever. */
static void message_lost(struct take *t)
{
    struct delivery *d = t->d;
    if (t->what != TAKE_PEEK) {
        struct ledger_ref ref = ledger_ref(d->ledger, &t->taken[t->looked_up].token);
        enum err err = ledger_reject(delivery_change(d), ref);
        d->dropped += err == ERR_OK;
    }
    env_log(d->all->broker->env, ENV_WARN, "delivery.unreadable",
            "subscription=%s partition=%d offset=%lld", d->s->name, d->index,
            (long long)t->taken[t->looked_up].offset);
    t->taken_n--;
    memmove(&t->taken[t->looked_up], &t->taken[t->looked_up + 1],
            (t->taken_n - t->looked_up) * sizeof(*t->taken));
}

/* Will the log ever give what a read for it did not? */
static bool lost(enum err err)
{
    return err == ERR_OK || err == ERR_OFFSET_RANGE || err == ERR_CORRUPT || err == ERR_COMPRESSION;
}

/* True: a read is under way, or was done meanwhile. */
static bool look_up(struct take *t, bool read)
{
    struct record record;
    if (t->messages == NULL)
        t->messages = mem_alloc(t->taken_n * sizeof(*t->messages)); /* each is written whole */
    while (t->looked_up < t->taken_n) {
        struct records *batch =
            delivery_read_find(&t->read, t->taken[t->looked_up].offset, &record);
        if (batch == NULL && read && !lost(t->err)) {
            give_back(t, t->looked_up);
            return false;
        }
        t->err = ERR_OK;
        if (batch == NULL && read) {
            message_lost(t);
            read = false;
            continue;
        }
        if (batch == NULL) {
            take_read(t, t->taken[t->looked_up].offset);
            return true;
        }
        read = false;
        size_t bytes = record_bytes(&record);
        if (t->n > 0 && t->bytes + bytes > t->bytes_max) {
            give_back(t, t->looked_up);
            return false;
        }
        t->bytes += bytes;
        message_set(t, batch, &record);
    }
    return false;
}

static void settle_all(struct take *t)
{
    struct delivery *d = t->d;
    struct ledger_change *c = delivery_change(d);
    for (uint32_t i = 0; i < t->taken_n; i++) {
        enum err err = ledger_accept(c, ledger_ref(d->ledger, &t->taken[i].token));
        weir_assert(err == ERR_OK);
    }
}

/* ---- the steps ---- */

/* True: wait for a read, or go on. */
static bool take_step(struct take *t)
{
    bool read = t->again; /* what was asked for was read */
    t->again = false;
    if (t->d->leaving) {
        t->err = ERR_NOT_FOUND;
        return false;
    }
    if (t->taken == NULL) {
        if (t->err != ERR_OK)
            t->err = look_over(t);
        if (t->err != ERR_OK)
            return false;
        if (look(t))
            return true;
        t->err = acquire(t);
        if (t->err != ERR_OK || t->taken_n == 0)
            return false;
        read = false;
    }
    if (look_up(t, read))
        return true;
    if (t->n > 0)
        t->err = ERR_OK; /* so many could be read */
    if (t->settled)
        settle_all(t);
    return false;
}

static void take_go(struct take *t)
{
    bool wait;
    t->going = true;
    do
        wait = take_step(t);
    while (wait && t->again);
    t->going = false;
    if (!wait)
        take_ready(t);
}

static void take_job(struct delivery_job *job)
{
    take_go(take_of(job));
}

static void take_run(struct broker *b, struct op *op)
{
    struct take *t = container_of(op, struct take, op);
    enum err err;
    struct delivery *d = delivery_get(b, op, &t->subscription, t->partition, &err);
    if (d == NULL && err != ERR_OK) {
        t->left = err != ERR_NOT_FOUND; /* so that the next receiver asks */
        op_finish(b, op, err);
    }
    if (d == NULL)
        return;
    t->d = t->read.d = d;
    t->read.done = take_read_done;
    if (t->d->s->filter == NULL && t->d->s->conf.order != ORDER_KEY) /* each one is wanted */
        t->read.offsets_max = t->max;
    t->call.written = take_written;
    delivery_enter(d);
    d->asked_ms = delivery_now(d->all).mono_ms;
    delivery_job_start(d, &t->job, take_job);
}

void take_start(struct broker *b, struct take *t)
{
    const struct subscription *s = broker_subscription_by_id(b, &t->subscription);
    t->op.run = take_run;
    t->messages = NULL;
    t->taken = NULL;
    t->n = t->taken_n = t->looked_up = 0;
    t->bytes = 0;
    t->going = t->again = t->locked = t->looked = false;
    t->err = ERR_OK;
    t->read = (struct delivery_read){0};
    t->op.home = b;
    if (s == NULL) { /* deleted meanwhile */
        op_finish(b, &t->op, ERR_NOT_FOUND);
        return;
    }
    op_submit(b, broker_shard_of_partition(&s->topic, t->partition), &t->op);
}
