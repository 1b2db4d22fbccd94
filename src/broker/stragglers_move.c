/* Copying stragglers.
 *
 *     move      which messages they are; a job of the delivery's, since it reads the log
 *     step      reads the messages that have no copy yet, one after the other
 *     write     the copies, one batch; when it is durable the floor is another one
 */
#include "broker/stragglers.h"

#include "base/mem.h"

#define READ_BYTES ((size_t)64 << 10)
#define MOVE_BYTES_MAX ((size_t)1 << 20) /* in one batch; a larger record goes alone */

struct move {
    struct delivery_job job;
    struct delivery_read read;
    struct delivery *d;
    int64_t offsets[STRAGGLERS_MAX];
    size_t n, at;
    struct straggler *made[STRAGGLERS_MAX];
    struct statelog_entity *entities[STRAGGLERS_MAX];
    size_t made_n, bytes;
    bool going, again;
    enum err err;
    struct statelog_append append;
};

/* ---- the end ---- */

static void move_end(struct move *m, enum err err)
{
    struct delivery *d = m->d;
    d->stragglers->moving = false;
    d->stragglers->stuck = err != ERR_OK;
    for (size_t i = 0; i < m->made_n; i++) {
        m->made[i]->stored = err == ERR_OK;
        if (err != ERR_OK)
            straggler_drop(m->made[i]);
    }
    if (err != ERR_OK)
        env_log(d->all->broker->env, ENV_WARN, "delivery.stragglers",
                "subscription=%s partition=%d error=%s", d->s->name, d->index, err_name(err));
    mem_free(m);
    delivery_touch(d);
    delivery_leave(d);
}

static void copies_written(struct statelog_append *a, enum err err)
{
    move_end(container_of(a, struct move, append), err);
}

static void copies_write(struct move *m)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    for (size_t i = 0; i < m->made_n; i++) {
        m->entities[i] = &m->made[i]->entity.log;
        straggler_put(m->made[i], false, &b);
    }
    m->append.done = copies_written;
#ifdef FAULT_straggler_early
    for (size_t i = 0; i < m->made_n; i++)
        m->made[i]->stored = true;
    stragglers_look_after(m->d);
    floor_moved(m->d);
#endif
    statelog_write_all(m->d->shard->log, &m->append, &b, m->entities, m->made_n);
}

/* ---- reading ---- */

static void move_go(struct move *m);

static void move_read(struct delivery_read *read, enum err err)
{
    struct move *m = container_of(read, struct move, read);
    m->err = err;
    m->again = true;
    if (!m->going)
        move_go(m);
}

static enum err copy_make(struct move *m, const struct record *record, struct records *batch)
{
    struct delivery *d = m->d;
    struct slice value = straggler_value(record, records_append_ms(batch));
    if (value.len == 0)
        return ERR_MESSAGE_TOO_LARGE;
    if (d->all->straggler_bytes + value.len > STRAGGLERS_BYTES_MAX) {
        slice_unref(value);
        return ERR_MEMORY;
    }
    m->bytes += value.len;
    m->made[m->made_n++] = straggler_add(d, record->offset, value);
    return ERR_OK;
}

/* True: a read is under way. What cannot be read is left to who takes messages. */
static bool move_step(struct move *m)
{
    bool read = m->again;
    m->again = false;
    for (; m->at < m->n && m->bytes < MOVE_BYTES_MAX; m->at++, read = false) {
        struct record record;
        int64_t offset = m->offsets[m->at];
        if (m->d->leaving)
            m->err = ERR_NOT_FOUND;
        if (m->err != ERR_OK)
            return false;
        if (stragglers_find(m->d, offset) != NULL)
            continue;
        struct records *batch = delivery_read_find(&m->read, offset, &record);
        if (batch == NULL && !read) {
            delivery_read_start(&m->read, offset, READ_BYTES);
            return true;
        }
        m->err = batch != NULL ? copy_make(m, &record, batch) : ERR_NOT_FOUND;
    }
    return false;
}

static void move_over(struct move *m)
{
    struct delivery *d = m->d;
    delivery_job_end(d, &m->job);
    delivery_read_clear(&m->read);
    if (m->made_n > 0 && !d->leaving)
        copies_write(m);
    else
        move_end(m, m->err);
}

static void move_go(struct move *m)
{
    bool wait;
    m->going = true;
    do
        wait = move_step(m);
    while (wait && m->again);
    m->going = false;
    if (!wait)
        move_over(m);
}

static void move_job(struct delivery_job *job)
{
    move_go(container_of(job, struct move, job));
}

/* ---- which ---- */

static void move_start(struct delivery *d, const int64_t *offsets, size_t n)
{
    struct move *m = mem_zalloc(1, sizeof(*m));
    if (d->stragglers == NULL)
        d->stragglers = mem_zalloc(1, sizeof(*d->stragglers));
    d->stragglers->moving = true;
    m->d = d;
    m->n = n;
    for (size_t i = 0; i < n; i++)
        m->offsets[i] = offsets[i];
    m->read.d = d;
    m->read.done = move_read;
    delivery_enter(d);
    delivery_job_start(d, &m->job, move_job);
}

static bool is_few(size_t n, int64_t from, int64_t to)
{
    return (int64_t)n * STRAGGLERS_FEWER <= to - from;
}

bool stragglers_move(struct delivery *d, int64_t target)
{
    int64_t offsets[STRAGGLERS_MAX], next = ledger_next(d->ledger);
    if (d->leaving || d->at == NULL)
        return false;
    if (d->stragglers != NULL && d->stragglers->moving)
        return true;
    int64_t to = target < next ? target : next;
    size_t n = ledger_stragglers(d->ledger, to, offsets, STRAGGLERS_MAX);
    if (n == 0 || !is_few(n, offsets[0], to) || (d->stragglers != NULL && d->stragglers->stuck))
        return false;
    move_start(d, offsets, n);
    return next >= target;
}

/* The offset behind the widest gap between the first few; -1: there is none that is worth it. */
static int64_t gap_end(const struct ledger *l)
{
    int64_t widest = STRAGGLERS_GAP, end = -1, first = ledger_first(l, 0), at = first;
    for (size_t n = 1; n <= STRAGGLERS_MAX && at < ledger_next(l); n++) {
        int64_t next = ledger_first(l, at + 1);
        if (next - at > widest && is_few(n, first, next)) {
            widest = next - at;
            end = next;
        }
        at = next;
    }
    return end;
}

static bool has_more_segments(const struct partition *p)
{
    struct store_log_stat stat;
    store_stat(p->broker->store, p->log, &stat);
    return stat.segments > 1;
}

void stragglers_sweep(struct delivery *d)
{
    if (d->stragglers != NULL) {
        d->stragglers->stuck = false;
        stragglers_forget(d);
    }
    if (d->leaving || d->at == NULL || !d->at->topic->conf.until_settled || d->at->log == NULL ||
        ledger_next(d->ledger) - d->floor <= STRAGGLERS_GAP || !has_more_segments(d->at))
        return;
    int64_t to = gap_end(d->ledger);
    if (to > d->floor)
        (void)stragglers_move(d, to);
}
