/* Messages that nobody took in time, or for which there is no room any more.
 *
 * The time to live counts from the append, so the oldest message is the first: a job reads the
 * batch in which it is, and either all of that is over (it is told to the ledger, as dead, or left
 * out where nobody wants dead letters of it), and the next one is looked at; or the job comes again
 * when its time is up.
 */
#include "broker/delivery_internal.h"

#include "base/mem.h"

#define BATCHES_MAX 64 /* in one go */
#define READ_BYTES ((size_t)64 << 10)
#define RETRY_MS 1000

struct expiry {
    struct delivery_job job;
    struct delivery_read read;
    struct delivery *d;
    unsigned batches;
    int64_t again_ms; /* when to come again, on the monotonic clock */
    bool going, again;
    enum err err;
};

static void expiry_end(struct expiry *e)
{
    struct delivery *d = e->d;
    d->expiry_ms = e->again_ms;
    d->expiring = false;
    delivery_job_end(d, &e->job);
    delivery_read_clear(&e->read);
    mem_free(e);
    delivery_touch(d);
    delivery_leave(d);
}

/* The offset of the oldest message that may be over; INT64_MAX: there is none. */
static int64_t oldest(const struct delivery *d)
{
    int64_t at = ledger_first(d->ledger, d->expired_to);
    at = at > d->expired_to ? at : d->expired_to;
    return d->at != NULL && at < d->at->end ? at : INT64_MAX;
}

/* All of the batch, whether it was looked at or not. */
static enum err batch_over(struct delivery *d, struct records *batch)
{
    int64_t end = batch_next_offset(records_head(batch));
    enum err err = ERR_OK;
    while (err == ERR_OK && ledger_next(d->ledger) < end) {
        int64_t before = ledger_next(d->ledger);
        err = delivery_look_over(d, batch);
        if (err == ERR_OK && ledger_next(d->ledger) == before)
            err = ERR_BUSY;
    }
    while (ledger_expire(d->ledger, end))
        continue;
    if (err == ERR_OK)
        d->expired_to = end;
    return err;
}

/* When the batch is over, on the monotonic clock; INT64_MIN: it is. */
static int64_t over_at(const struct delivery *d, const struct records *batch)
{
    struct ledger_time now = delivery_now(d->all);
    if (batch_last_offset(records_head(batch)) < d->pressed_to)
        return INT64_MIN;
    if (d->s->ttl_ms < 0)
        return INT64_MAX;
    int64_t left = records_append_ms(batch) + d->s->ttl_ms - now.wall_ms;
    return left <= 0 ? INT64_MIN : now.mono_ms + left;
}

static void expiry_go(struct expiry *e);

static void expiry_read(struct delivery_read *read, enum err err)
{
    struct expiry *e = container_of(read, struct expiry, read);
    e->err = err;
    e->again = true;
    if (!e->going)
        expiry_go(e);
}

/* What was read; true: all of it is over, go on. */
static bool expiry_batches(struct expiry *e)
{
    struct delivery *d = e->d;
    for (size_t i = 0; i < e->read.n; i++) {
        struct records *batch = e->read.at[i];
        if (batch_next_offset(records_head(batch)) <= oldest(d))
            continue;
        e->again_ms = over_at(d, batch);
        if (e->again_ms != INT64_MIN)
            return false;
        e->again_ms = delivery_now(d->all).mono_ms;
        if (batch_over(d, batch) != ERR_OK) {
            e->again_ms += RETRY_MS;
            return false;
        }
        if (++e->batches == BATCHES_MAX)
            return false;
    }
    return true;
}

/* A batch that nobody can look into is left to who takes messages. */
static bool read_failed(struct expiry *e)
{
    struct delivery *d = e->d;
    const struct records_op *op = &e->read.op;
    if (e->err == ERR_OK)
        return false;
    if ((e->err == ERR_CORRUPT || e->err == ERR_COMPRESSION) && op->next_offset > op->offset) {
        d->expired_to = op->next_offset;
        return false;
    }
    e->again_ms = delivery_now(d->all).mono_ms + RETRY_MS;
    return true;
}

/* True: a read is under way. */
static bool expiry_step(struct expiry *e)
{
    struct delivery *d = e->d;
    e->again = false;
    if (d->leaving || read_failed(e) || !expiry_batches(e))
        return false;
    int64_t at = oldest(d);
    if (at == INT64_MAX) { /* what comes from now on has all of its time */
        e->again_ms = d->s->ttl_ms < 0 ? INT64_MAX : delivery_now(d->all).mono_ms + d->s->ttl_ms;
        return false;
    }
    delivery_read_clear(&e->read);
    e->err = ERR_OK;
    delivery_read_start(&e->read, at, READ_BYTES);
    return true;
}

static void expiry_go(struct expiry *e)
{
    bool wait;
    e->going = true;
    do
        wait = expiry_step(e);
    while (wait && e->again);
    e->going = false;
    if (!wait)
        expiry_end(e);
}

static void expiry_job(struct delivery_job *job)
{
    expiry_go(container_of(job, struct expiry, job));
}

void delivery_expire(struct delivery *d)
{
    if (d->expiring || d->leaving || d->at == NULL)
        return;
    struct expiry *e = mem_zalloc(1, sizeof(*e));
    e->d = d;
    e->read.d = d;
    e->read.done = expiry_read;
    e->again_ms = INT64_MAX;
    d->expiring = true;
    delivery_enter(d);
    delivery_job_start(d, &e->job, expiry_job);
}
