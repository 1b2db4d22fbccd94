/* One go of a reader:
 *
 *     look at the next part --records--> told --enough--> paused
 *         ^        |  none                 |
 *         +--------+<----------------------+
 *                  | all parts had nothing (or it was told something)
 *                  v
 *               something told, or no more waiting? --> paused
 *               watch every part, and the clock --one is due--> the others are let go --> look
 */
#include "front/http/reader.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

/* ---- parts ---------------------------------------------------------------------------------- */

static struct reader_part *add_part(struct reader *r, int32_t partition, int64_t offset)
{
    struct reader_part *part = http_alloc(r->rq, 1, sizeof *part);
    if (!part || r->parts_n == r->parts_cap)
        return NULL;
    part->place = (struct place){partition, offset};
    part->reader = r;
    r->parts[r->parts_n++] = part;
    return part;
}

/* Those that the topic has got since. ERR_TOPIC_ID_UNKNOWN: it was deleted. */
static enum err follow_growth(struct reader *r)
{
    const struct topic *t = broker_topic_by_id(r->rq->broker, &r->topic);
    if (!t)
        return err_say(&r->text, ERR_TOPIC_UNKNOWN, "the topic was deleted");
    while (r->all && r->parts_n < (uint32_t)t->partitions) {
        if (!add_part(r, (int32_t)r->parts_n, 0))
            return err_say(&r->text, ERR_MEMORY,
                           "the topic has more than %d partitions; read them one by one, with "
                           "?partition=",
                           PLACES_MAX);
    }
    return ERR_OK;
}

enum err reader_make(struct http_request *rq, const struct topic *t, int32_t partition,
                     const struct reader_ops *ops, struct reader **out, struct err_text *text)
{
    struct reader *r = http_alloc(rq, 1, sizeof *r);
    *out = r;
    if (!r)
        return ERR_MEMORY;
    if (partition >= t->partitions)
        return err_say(text, ERR_TOPIC_UNKNOWN, "\"%s\" has the partitions 0 to %d", t->name,
                       t->partitions - 1);
    r->rq = rq;
    r->ops = ops;
    r->topic = t->id;
    r->all = partition < 0;
    r->parts_cap = r->all ? PLACES_MAX : 1;
    r->parts = http_alloc(rq, r->parts_cap, sizeof(struct reader_part *));
    snprintf(r->topic_name, sizeof r->topic_name, "%s", t->name);
    if (!r->parts)
        return ERR_MEMORY;
    if (!r->all)
        return add_part(r, partition, 0) ? ERR_OK : ERR_MEMORY;
    enum err err = follow_growth(r);
    *text = r->text;
    return err;
}

/* ---- where to begin ------------------------------------------------------------------------- */

static void start_done(struct reader *r, enum err err)
{
    if (err)
        r->err = err;
    if (--r->waiting == 0)
        r->ops->started(r, r->err);
}

static void find_start(struct reader_part *part, int64_t timestamp);

static void start_found(struct op *op)
{
    struct reader_part *part = container_of(op, struct reader_part, find.op);
    if (!op->err && part->find.offset < 0) { /* no record is that late */
        find_start(part, LIST_LATEST);
        return;
    }
    part->place.offset = part->find.offset;
    start_done(part->reader, op->err);
}

static void find_start(struct reader_part *part, int64_t timestamp)
{
    struct reader *r = part->reader;
    part->find = (struct list_op){.op.done = start_found,
                                  .actor = &r->rq->actor,
                                  .topic = r->topic,
                                  .partition = part->place.partition,
                                  .timestamp = timestamp,
                                  .leader_epoch = -1,
                                  .committed = true};
    broker_list_offset(r->rq->broker, &part->find);
}

void reader_start(struct reader *r, int64_t timestamp)
{
    uint32_t n = r->parts_n;
    r->waiting = n + 1;
    for (uint32_t i = 0; i < n; i++)
        find_start(r->parts[i], timestamp);
    start_done(r, ERR_OK);
}

void reader_start_at(struct reader *r, const struct place *at, size_t n, uint32_t next)
{
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < r->parts_n; k++) {
            if (r->parts[k]->place.partition == at[i].partition)
                r->parts[k]->place.offset = at[i].offset;
        }
    }
    r->next = next < r->parts_n ? next : 0;
    r->waiting = 1;
    start_done(r, ERR_OK);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void look(struct reader *r);

/* False: it was told that this is enough. */
static bool tell_batch(struct reader *r, struct reader_part *part, const struct records *batch)
{
    uint32_t n = records_count(batch);
    bool control = records_head(batch)->attributes & BATCH_CONTROL;
    for (uint32_t i = records_find(batch, part->place.offset); i < n && !control; i++) {
        struct record record;
        records_get(batch, i, &record);
        int64_t from = part->place.offset;
        part->place.offset = record.offset + 1;
        if (!r->ops->record(r, part, &record)) {
            part->place.offset = from;
            return false;
        }
        r->told++;
    }
    part->place.offset = batch_next_offset(records_head(batch));
    return true;
}

static void tell(struct reader *r, struct reader_part *part)
{
    for (unsigned i = 0; i < r->read.n; i++) {
        if (!r->enough)
            r->enough = !tell_batch(r, part, r->read.batches[i]);
        records_unref(r->read.batches[i]);
    }
    if (!r->enough && r->read.n)
        part->place.offset = r->read.next_offset;
}

/* Not an error of the reader's: what it would have read next is gone. */
static bool bridge_gap(struct reader *r, struct reader_part *part)
{
    int64_t start = r->read.log_start;
    if (r->read.op.err != ERR_OFFSET_RANGE || part->place.offset >= start || !r->ops->gap)
        return false;
    r->ops->gap(r, part, start);
    part->place.offset = start;
    return true;
}

static void was_read(struct op *op)
{
    struct reader *r = container_of(op, struct reader, read.op);
    struct reader_part *part = r->parts[r->next];
    r->reading = false;
    if (op->err && !bridge_gap(r, part)) {
        r->err = op->err;
        if (op->err == ERR_OFFSET_RANGE)
            err_say(&r->text, op->err,
                    "partition %d has the offsets %lld to %lld, not %lld; offset=earliest begins "
                    "with what there is",
                    part->place.partition, (long long)r->read.log_start,
                    (long long)r->read.high_watermark - 1, (long long)part->place.offset);
    }
    bool some = op->err || r->read.n > 0;
    if (!op->err)
        tell(r, part);
    r->looked = some ? 0 : r->looked + 1;
    if (!r->enough)
        r->next = (r->next + 1) % r->parts_n;
    if (!r->looping)
        look(r);
}

static void read_part(struct reader *r)
{
    struct reader_part *part = r->parts[r->next];
    r->reading = true;
    r->read = (struct records_op){.op.done = was_read,
                                  .actor = &r->rq->actor,
                                  .topic = r->topic,
                                  .partition = part->place.partition,
                                  .offset = part->place.offset,
                                  .bytes_max = r->bytes_max};
    broker_records(r->rq->broker, &r->read);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void let_go(struct reader *r)
{
    for (uint32_t i = 0; i < r->parts_n; i++) {
        if (r->parts[i]->watching)
            broker_watch_cancel(r->rq->broker, &r->parts[i]->watch);
    }
}

static void one_less(struct reader *r)
{
    if (--r->waiting)
        return;
    env_timer_stop(broker_env(r->rq->broker), &r->timer);
    r->looked = 0;
    if (!r->looping)
        look(r);
}

static void watched(struct op *op)
{
    struct reader_part *part = container_of(op, struct reader_part, watch.op);
    struct reader *r = part->reader;
    part->watching = false;
    r->waiting++; /* until let_go is through */
    if (op->err != ERR_CLOSED)
        let_go(r);
    r->waiting--;
    one_less(r);
}

static void time_is_up(struct env_timer *timer)
{
    struct reader *r = container_of(timer, struct reader, timer);
    r->waited = true;
    r->waiting++;
    let_go(r);
    one_less(r);
}

static void wait_for_more(struct reader *r)
{
    r->waiting = r->parts_n + 1;
    r->timer.fire = time_is_up;
    if (r->wait_ms != READER_FOREVER)
        env_timer_set(broker_env(r->rq->broker), &r->timer, (uint64_t)r->wait_ms * 1000);
    r->waited = r->wait_ms != READER_FOREVER; /* what wakes it is the last look */
    for (uint32_t i = 0; i < r->parts_n; i++) {
        struct reader_part *part = r->parts[i];
        part->watching = true;
        part->watch = (struct watch_op){.op.done = watched,
                                        .topic = r->topic,
                                        .partition = part->place.partition,
                                        .offset = part->place.offset,
                                        .committed = true};
        broker_watch(r->rq->broker, &part->watch);
    }
    one_less(r);
}

/* ---- going ---------------------------------------------------------------------------------- */

enum next { AGAIN, LATER, PAUSE };

static enum next look_once(struct reader *r)
{
    if (r->cancelled || r->enough || r->err)
        return PAUSE;
    if (r->looked == 0)
        r->err = follow_growth(r);
    if (r->err)
        return PAUSE;
    if (r->looked < r->parts_n) {
        read_part(r);
        return r->reading ? LATER : AGAIN;
    }
    if (r->told || r->wait_ms == 0 || r->waited)
        return PAUSE;
    wait_for_more(r);
    return r->waiting ? LATER : AGAIN;
}

/* What is answered at once comes back here by the loop, not deeper and deeper. */
static void look(struct reader *r)
{
    enum next next;
    r->looping = true;
    do
        next = look_once(r);
    while (next == AGAIN);
    r->looping = false;
    if (next == LATER)
        return;
    r->going = false;
    r->ops->paused(r, r->err);
}

void reader_go(struct reader *r, size_t bytes_max, uint32_t wait_ms)
{
    weir_assert(!r->going);
    r->going = true;
    r->bytes_max = bytes_max;
    r->wait_ms = wait_ms;
    r->told = 0;
    r->looked = 0;
    r->enough = r->waited = false;
    look(r);
}

void reader_cancel(struct reader *r)
{
    r->cancelled = true;
    if (!r->going || r->waiting == 0)
        return;
    r->waiting++;
    let_go(r);
    one_less(r);
}

void reader_write_places(const struct reader *r, struct wr *w)
{
    struct place at[PLACES_MAX];
    for (uint32_t i = 0; i < r->parts_n; i++)
        at[i] = r->parts[i]->place;
    places_write(w, &r->topic, at, r->parts_n, r->next);
}
