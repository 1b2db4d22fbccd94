#include "fake_store.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"

#include <string.h>

struct fake_batch {
    struct batch_head head;
    struct slice bytes; /* owned */
    int64_t append_ms;
};

/* A log on the disk, and, while it is open, its handle. */
struct store_log {
    struct list link;
    struct store_log_id id;
    struct store_log_conf conf;
    struct fake_batch *batches;
    size_t n, cap;
    int64_t start, end, retain_from;
    struct slice snapshot; /* owned */
    int64_t snapshot_end;
    const struct store_log_events *events; /* NULL: not open */
    void *user;
};

struct fake_work {
    struct list link;
    enum fake_kind kind;
    uint64_t seq; /* over all stores of the disk */
    void *op;
};

struct fake_failure {
    unsigned after, times;
    enum err err;
};

struct fake_disk {
    struct list logs, stores;
    int32_t epoch;
    uint64_t seq;
    struct fake_failure fail[FAKE_KINDS];
};

struct fake_store {
    struct store store;
    struct list link;
    struct fake_disk *disk;
    struct env *env;
    bool (*mine)(const struct env *env, const struct store_log_id *id);
    bool deferred;
    struct list work;
};

/* ---- the disk ---- */

static struct store_log *log_of(struct list *link)
{
    return container_of(link, struct store_log, link);
}

static struct store_log *log_find(const struct fake_disk *d, const struct store_log_id *id)
{
    list_for (it, &d->logs) {
        struct store_log *log = log_of(it);
        if (uuid_eq(log->id.topic, id->topic) && log->id.partition == id->partition)
            return log;
    }
    return NULL;
}

static struct store_log *log_get(const struct fake_disk *d, const struct store_log_id *id)
{
    struct store_log *log = log_find(d, id);
    weir_assert(log != NULL);
    return log;
}

static struct store_log *log_add(struct fake_disk *d, const struct store_log_id *id)
{
    struct store_log *log = mem_zalloc(1, sizeof(*log));
    log->id = *id;
    log->retain_from = INT64_MAX;
    list_push(&d->logs, &log->link);
    return log;
}

static void log_drop_first(struct store_log *log, size_t n)
{
    for (size_t i = 0; i < n; i++)
        slice_unref(log->batches[i].bytes);
    log->n -= n;
    if (log->n > 0)
        memmove(log->batches, log->batches + n, log->n * sizeof(*log->batches));
}

static void log_free(struct store_log *log)
{
    log_drop_first(log, log->n);
    mem_free(log->batches);
    slice_unref(log->snapshot);
    list_remove(&log->link);
    mem_free(log);
}

static void log_trim(struct store_log *log, int64_t start)
{
    size_t n = 0;
    if (start <= log->start)
        return;
    log->start = start;
    while (n < log->n && batch_next_offset(&log->batches[n].head) <= start)
        n++;
    log_drop_first(log, n);
}

struct fake_disk *fake_disk_make(void)
{
    struct fake_disk *d = mem_zalloc(1, sizeof(*d));
    list_init(&d->logs);
    list_init(&d->stores);
    d->epoch = 1;
    return d;
}

void fake_disk_free(struct fake_disk *d)
{
    weir_assert(list_empty(&d->stores));
    while (!list_empty(&d->logs))
        log_free(log_of(d->logs.next));
    mem_free(d);
}

void fake_disk_set_epoch(struct fake_disk *d, int32_t epoch)
{
    d->epoch = epoch;
}

void fake_disk_fail(struct fake_disk *d, enum fake_kind kind, unsigned n, unsigned times,
                    enum err err)
{
    d->fail[kind] = (struct fake_failure){n, times, err};
}

static enum err disk_failure(struct fake_disk *d, enum fake_kind kind)
{
    struct fake_failure *f = &d->fail[kind];
    if (f->after == 0 || --f->after > 0)
        return ERR_OK;
    f->after = --f->times > 0;
    return f->err;
}

void fake_disk_checkpoint(struct fake_disk *d)
{
    list_for (it, &d->logs) {
        struct store_log *log = log_of(it);
        if (log->events == NULL || log->events->snapshot == NULL)
            continue;
        slice_unref(log->snapshot);
        log->snapshot = log->events->snapshot(log->user);
        log->snapshot_end = log->end;
    }
}

static void retain(struct store_log *log, int64_t log_start)
{
    log_trim(log, log_start < log->retain_from ? log_start : log->retain_from);
    log->events->start_moved(log->user, log->start);
}

void fake_disk_retain(struct fake_disk *d, const struct store_log_id *id, int64_t log_start)
{
    struct store_log *log = log_get(d, id);
    if (log_start > log->retain_from && log->events->pressed != NULL)
        log->events->pressed(log->user, log_start, true);
    retain(log, log_start);
}

void fake_disk_expire(struct fake_disk *d, const struct store_log_id *id, int64_t log_start)
{
    struct store_log *log = log_get(d, id);
    if (log_start > log->retain_from && log->events->pressed != NULL)
        log->events->pressed(log->user, log_start, false);
    retain(log, log_start);
}

size_t fake_disk_logs(const struct fake_disk *d)
{
    size_t n = 0;
    list_for (it, &d->logs)
        n++;
    return n;
}

bool fake_disk_has(const struct fake_disk *d, const struct store_log_id *id)
{
    return log_find(d, id) != NULL;
}

size_t fake_disk_batches(const struct fake_disk *d, const struct store_log_id *id)
{
    return log_get(d, id)->n;
}

uint64_t fake_disk_bytes(const struct fake_disk *d, const struct store_log_id *id)
{
    const struct store_log *log = log_get(d, id);
    uint64_t bytes = 0;
    for (size_t i = 0; i < log->n; i++)
        bytes += log->batches[i].bytes.len;
    return bytes;
}

const struct store_log_conf *fake_disk_conf(const struct fake_disk *d,
                                            const struct store_log_id *id)
{
    return &log_get(d, id)->conf;
}

struct slice fake_disk_batch(const struct fake_disk *d, const struct store_log_id *id, size_t n)
{
    const struct store_log *log = log_get(d, id);
    weir_assert(n < log->n);
    return log->batches[n].bytes;
}

void fake_disk_damage(struct fake_disk *d, const struct store_log_id *id, size_t n, size_t at)
{
    struct slice s = fake_disk_batch(d, id, n);
    weir_assert(at < s.len);
    ((uint8_t *)s.at)[at] ^= 1;
}

void fake_disk_cut(struct fake_disk *d, const struct store_log_id *id, int64_t end)
{
    struct store_log *log = log_get(d, id);
    while (log->n > 0 && log->batches[log->n - 1].head.base_offset >= end)
        slice_unref(log->batches[--log->n].bytes);
    log->end = end;
}

void fake_disk_add_log(struct fake_disk *d, const struct store_log_id *id)
{
    log_add(d, id);
}

/* ---- what a call does, when it is completed ---- */

static void log_append(struct fake_disk *d, struct store_append *a)
{
    struct store_log *log = a->log;
    uint8_t *p = (uint8_t *)a->batch.at;
    struct fake_batch batch = {.append_ms = a->append_ms};
    batch_set_offset(p, log->end);
    batch_set_leader_epoch(p, d->epoch);
    batch.bytes = slice_copy(a->batch.at, a->batch.len);
    enum err err = batch_head_read(batch.bytes.at, batch.bytes.len, &batch.head);
    weir_assert(err == ERR_OK && batch.head.bytes == a->batch.len);
    if (log->n == log->cap) {
        log->cap = log->cap != 0 ? 2 * log->cap : 8;
        log->batches = mem_realloc(log->batches, log->cap * sizeof(*log->batches));
    }
    log->batches[log->n++] = batch;
    log->end = batch_next_offset(&batch.head);
    a->base_offset = batch.head.base_offset;
}

static void group_apply(struct fake_disk *d, struct store_group *g)
{
    for (struct store_append *a = g->head; a != NULL; a = a->next)
        log_append(d, a);
}

static void commit_complete(struct fake_disk *d, struct store_group *g, enum err err)
{
    if (err == ERR_OK) {
        group_apply(d, g);
        for (struct store_append *a = g->head; a != NULL; a = a->next)
            a->log->events->end_moved(a->log->user, a->log->end);
    }
    g->done(g, err);
}

static void open_complete(struct fake_disk *d, struct store_open *op, enum err err)
{
    struct store_log *log = log_find(d, &op->id);
    if (err == ERR_OK && log == NULL && !op->create)
        err = ERR_NOT_FOUND;
    if (err != ERR_OK) {
        op->done(op, err);
        return;
    }
    if (log == NULL)
        log = log_add(d, &op->id);
    weir_assert(log->events == NULL);
    log->conf = op->conf;
    log->events = op->events;
    log->user = op->user;
    if (log->snapshot.len != 0)
        op->restore(op, log->snapshot);
    for (size_t i = 0; i < log->n; i++)
        if (log->snapshot.len == 0 || log->batches[i].head.base_offset >= log->snapshot_end)
            op->replay(op, &log->batches[i].head, log->batches[i].append_ms);
    op->log = log;
    op->log_start = log->start;
    op->end = log->end;
    op->done(op, ERR_OK);
}

static void read_complete(struct store_read *op, enum err err)
{
    struct store_log *log = op->log;
    size_t left = op->bytes_max;
    unsigned times = 0;
    op->next_offset = op->from;
    if (err == ERR_OK && (op->from < log->start || op->from > log->end))
        err = ERR_OFFSET_RANGE;
    for (size_t i = 0; i < log->n && err == ERR_OK; i++) {
        const struct fake_batch *b = &log->batches[i];
        bool first = op->out.bytes == 0;
        if (batch_next_offset(&b->head) <= op->from)
            continue;
        if (batch_next_offset(&b->head) > op->limit ||
            (b->bytes.len > left && !(first && op->min_one)))
            break;
        left -= b->bytes.len < left ? b->bytes.len : left;
        chunkq_add_slice(&op->out, slice_ref(b->bytes));
        op->next_offset = batch_next_offset(&b->head);
        if (op->append_ms != NULL && times < op->append_ms_max)
            op->append_ms[times++] = b->append_ms;
    }
    op->done(op, err);
}

static void find_in_batch(struct store_find *op, const struct fake_batch *b)
{
    struct record_iter it;
    struct record r;
    record_iter_init(&it, &b->head, b->bytes.at + BATCH_HEAD_BYTES,
                     b->bytes.len - BATCH_HEAD_BYTES);
    while (record_iter_next(&it, &r) == ERR_OK) {
        if (r.offset < op->log->start || r.offset >= op->limit)
            continue;
        bool hit = op->what == STORE_FIND_TIME ? op->offset < 0 && r.timestamp >= op->ts
                                               : op->offset < 0 || r.timestamp > op->timestamp;
        if (!hit)
            continue;
        op->offset = r.offset;
        op->timestamp = r.timestamp;
        op->found_epoch = b->head.leader_epoch;
    }
}

static void find_epoch(struct store_find *op)
{
    const struct store_log *log = op->log;
    for (size_t i = 0; i < log->n; i++) {
        const struct batch_head *h = &log->batches[i].head;
        if (h->leader_epoch > op->epoch)
            break;
        op->found_epoch = h->leader_epoch;
        op->offset = batch_next_offset(h);
    }
}

static void find_complete(struct store_find *op, enum err err)
{
    op->offset = op->timestamp = -1;
    op->found_epoch = -1;
    if (err == ERR_OK && op->what == STORE_FIND_EPOCH)
        find_epoch(op);
    for (size_t i = 0; err == ERR_OK && op->what != STORE_FIND_EPOCH && i < op->log->n; i++)
        find_in_batch(op, &op->log->batches[i]);
    op->done(op, err);
}

static void trim_complete(struct store_trim *op, enum err err)
{
    if (err == ERR_OK && op->log_start > op->log->end)
        err = ERR_OFFSET_RANGE;
    if (err == ERR_OK)
        log_trim(op->log, op->log_start);
    op->done(op, err);
}

static void work_complete(struct fake_disk *d, struct fake_work *w)
{
    enum err err = disk_failure(d, w->kind);
    switch (w->kind) {
    case FAKE_OPEN:
        open_complete(d, w->op, err);
        break;
    case FAKE_COMMIT:
        commit_complete(d, w->op, err);
        break;
    case FAKE_READ:
        read_complete(w->op, err);
        break;
    case FAKE_FIND:
        find_complete(w->op, err);
        break;
    case FAKE_TRIM:
        trim_complete(w->op, err);
        break;
    case FAKE_REMOVE: {
        struct store_delete *op = w->op;
        if (err == ERR_OK)
            log_free(op->log);
        op->done(op, err);
        break;
    }
    case FAKE_KINDS:
        weir_unreachable();
    }
}

/* ---- the port ---- */

static struct fake_store *fake_of(struct store *s)
{
    return container_of(s, struct fake_store, store);
}

static struct fake_work *work_of(struct list *link)
{
    return container_of(link, struct fake_work, link);
}

static void submit(struct store *store, enum fake_kind kind, void *op)
{
    struct fake_store *s = fake_of(store);
    struct fake_work *w = mem_zalloc(1, sizeof(*w));
    *w = (struct fake_work){.kind = kind, .op = op, .seq = s->disk->seq++};
    bool now = !s->deferred && list_empty(&s->work);
    if (!now) {
        list_push(&s->work, &w->link);
        return;
    }
    work_complete(s->disk, w);
    mem_free(w);
}

static void port_open(struct store *s, struct store_open *op)
{
    submit(s, FAKE_OPEN, op);
}

static void port_close(struct store *s, struct store_log *log)
{
    (void)s;
    log->events = NULL;
}

static void port_configure(struct store *s, struct store_log *log,
                           const struct store_log_conf *conf)
{
    (void)s;
    log->conf = *conf;
}

static void port_append(struct store *s, struct store_group *g, struct store_append *a)
{
    (void)s;
    a->next = NULL;
    a->base_offset = -1;
    if (g->tail != NULL)
        g->tail->next = a;
    else
        g->head = a;
    g->tail = a;
}

static void port_commit(struct store *s, struct store_group *g)
{
    submit(s, FAKE_COMMIT, g);
}

static void port_abort(struct store *s, struct store_group *g)
{
    (void)s;
    g->head = g->tail = NULL;
}

static void port_read(struct store *s, struct store_read *op)
{
    submit(s, FAKE_READ, op);
}

static void port_find(struct store *s, struct store_find *op)
{
    submit(s, FAKE_FIND, op);
}

static void port_retain(struct store *s, struct store_log *log, int64_t from)
{
    (void)s;
    log->retain_from = from;
}

static void port_trim(struct store *s, struct store_trim *op)
{
    submit(s, FAKE_TRIM, op);
}

static void port_remove(struct store *s, struct store_delete *op)
{
    op->log->events = NULL;
    submit(s, FAKE_REMOVE, op);
}

static void port_stat(struct store *s, struct store_log *log, struct store_log_stat *out)
{
    *out = (struct store_log_stat){
        .log_start = log->start,
        .end = log->end,
        .segments = log->n > 1 ? (unsigned)log->n : 1,
        .leader_epoch = fake_of(s)->disk->epoch,
    };
    for (size_t i = 0; i < log->n; i++)
        out->bytes += log->batches[i].bytes.len;
}

static void port_each(struct store *store, void (*fn)(void *arg, const struct store_log_id *id),
                      void *arg)
{
    struct fake_store *s = fake_of(store);
    list_for_safe (it, &s->disk->logs) {
        struct store_log *log = log_of(it);
        if (s->mine == NULL || s->mine(s->env, &log->id))
            fn(arg, &log->id);
    }
}

static const struct store_ops port_ops = {
    port_open, port_close,  port_configure, port_append, port_commit, port_abort, port_read,
    port_find, port_retain, port_trim,      port_remove, port_stat,   port_each,
};

struct fake_store *fake_store_make(struct fake_disk *d, struct env *env,
                                   bool (*mine)(const struct env *env,
                                                const struct store_log_id *id))
{
    struct fake_store *s = mem_zalloc(1, sizeof(*s));
    s->store.ops = &port_ops;
    s->store.caps = STORE_RAW_BATCHES | STORE_APPEND_TIME | STORE_EXACT_COUNTS;
    s->disk = d;
    s->env = env;
    s->mine = mine;
    list_init(&s->work);
    list_push(&d->stores, &s->link);
    return s;
}

void fake_store_free(struct fake_store *s)
{
    struct list *it;
    while ((it = list_pop(&s->work)) != NULL)
        mem_free(work_of(it));
    list_remove(&s->link);
    mem_free(s);
}

struct store *fake_store_port(struct fake_store *s)
{
    return &s->store;
}

void fake_store_defer(struct fake_store *s, bool deferred)
{
    s->deferred = deferred;
}

bool fake_store_step(struct fake_store *s)
{
    if (list_empty(&s->work))
        return false;
    struct fake_work *w = work_of(list_pop(&s->work));
    work_complete(s->disk, w);
    mem_free(w);
    return true;
}

bool fake_store_run(struct fake_store *s)
{
    bool any = false;
    while (fake_store_step(s))
        any = true;
    return any;
}

size_t fake_store_pending(const struct fake_store *s)
{
    size_t n = 0;
    list_for (it, &s->work)
        n++;
    return n;
}

/* ---- dying ---- */

static struct fake_work *oldest_commit(const struct fake_disk *d)
{
    struct fake_work *oldest = NULL;
    list_for (s, &d->stores)
        list_for (it, &container_of(s, struct fake_store, link)->work) {
            struct fake_work *w = work_of(it);
            if (w->kind == FAKE_COMMIT && (oldest == NULL || w->seq < oldest->seq))
                oldest = w;
        }
    return oldest;
}

unsigned fake_disk_under_way(const struct fake_disk *d)
{
    unsigned n = 0;
    list_for (s, &d->stores)
        list_for (it, &container_of(s, struct fake_store, link)->work)
            n += work_of(it)->kind == FAKE_COMMIT;
    return n;
}

static void work_drop(struct fake_work *w)
{
    list_remove(&w->link);
    mem_free(w);
}

void fake_disk_crash(struct fake_disk *d, unsigned keep)
{
    struct fake_work *w;
    for (; keep > 0 && (w = oldest_commit(d)) != NULL; keep--) {
        group_apply(d, w->op);
        work_drop(w);
    }
    list_for (s, &d->stores)
        list_for_safe (it, &container_of(s, struct fake_store, link)->work)
            work_drop(work_of(it));
    list_for (it, &d->logs) {
        log_of(it)->events = NULL;
        log_of(it)->retain_from = INT64_MAX;
    }
}
