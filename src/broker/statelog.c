/* How a state log runs.
 *
 * Load: open, read from the log's start batch by batch, apply each record; an entity's `since` is
 * the offset of the first batch that speaks of it. A log that does not exist is empty, and is made
 * by the first write.
 *
 * Write: one group of one append. An entity's first one gives it its `since`. A join is the same in
 * a group of the caller's: between ready and joined it is under way like any other write.
 *
 * Round: when an ordinary write is done and the log has grown enough, the round's mark is set to
 * the present end. Entities are kept in the order of `since`; as long as the oldest is below the
 * mark, it is written whole (one at a time), gets the new offset and goes to the end of the order;
 * at the end of the round the log is trimmed below the oldest. An entity with writes under way is
 * `held`: later writes about it queue until the former are done and the snapshot is submitted, so
 * that what is in memory then is exactly what the log says before the snapshot. Of one that is
 * paged out the snapshot is the chunk itself, which is read for that; who wants to load it
 * meanwhile waits until it has its new place.
 *
 * Load of a chunk: while it is read its entity does not move, so it cannot be trimmed. The entities
 * that come of it take its place in the order.
 *
 * Failures: a write that fails is told to its caller. A snapshot, the read of a chunk for one, or a
 * trim that fails is tried again by the next round's step: nothing depends on it but disk space.
 *
 * Crash: at any point the log from its start on tells all: a snapshot is one batch, there whole or
 * not at all, and only once it is durable is what it replaces trimmed.
 */
#include "broker/statelog.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/partition.h"

#define SLACK_BYTES_DEFAULT ((uint64_t)4 << 20)
#define LOAD_BYTES ((size_t)256 << 10)
#define SEGMENT_BYTES ((int64_t)16 << 20)

enum statelog_state { LOADING, ABSENT, CREATING, OPEN };

struct statelog {
    struct statelog_conf conf;
    struct store_log *log;
    struct partition *shown; /* as which clients read it; NULL: not shown */
    enum statelog_state state;
    int64_t start, end;
    struct list entities; /* statelog_entity by since */
    struct list waiting;  /* statelog_append: until the log is made, or held */
    struct list loads;    /* statelog_load: of the chunk that is being copied */

    struct store_open open;
    struct store_read read;
    bool reading, read_again;
    enum err load_err;

    uint64_t grown;       /* bytes of ordinary writes since the last round began */
    uint64_t round_bytes; /* that the last round wrote */
    bool round;
    int64_t mark;                     /* the round is over when all since >= mark */
    struct statelog_entity *snapshot; /* being held or written */
    bool writing;                     /* its snapshot is under way */
    bool stepping, step_again;
    struct store_append snapshot_append;
    struct store_group snapshot_group;
    struct slice snapshot_batch;
    struct store_read copy; /* of a chunk */
    struct store_trim trim;
    bool trimming;
};

static void statelog_step(struct statelog *log);

/* ---- entities ---- */

static struct statelog_entity *entity_of(struct list *link)
{
    return container_of(link, struct statelog_entity, link);
}

static void entity_place(struct statelog_entity *e, int64_t since, struct list *before)
{
    if (e->known)
        list_remove(&e->link);
    e->known = true;
    e->since = since;
    list_insert_before(before, &e->link);
}

/* Offsets only grow, so the end of the list is its place. */
static void entity_since(struct statelog *log, struct statelog_entity *e, int64_t since)
{
    entity_place(e, since, &log->entities);
}

void statelog_forget(struct statelog *log, struct statelog_entity *e)
{
    bool snapshotting = log->snapshot == e && log->writing;
    weir_assert(e->pending == (snapshotting ? 1u : 0u) && e->waiting == 0);
    if (log->snapshot == e) /* is on its way, or was waiting for the write that ended it */
        log->snapshot = NULL;
    e->pending = 0;
    e->held = false;
    if (!e->known)
        return;
    list_remove(&e->link);
    e->known = false;
}

int64_t statelog_end(const struct statelog *log)
{
    return log->end;
}

int64_t statelog_start(const struct statelog *log)
{
    return log->start;
}

/* ---- load ---- */

static void show(struct statelog *log)
{
    if (log->shown != NULL)
        partition_attached(log->shown, log->log, log->start, log->end);
}

static void log_end_moved(void *user, int64_t end)
{
    struct statelog *log = user;
    log->end = end;
    show(log);
}

static void log_start_moved(void *user, int64_t log_start)
{
    struct statelog *log = user;
    log->start = log_start;
    show(log);
}

static struct slice log_snapshot(void *user)
{
    (void)user;
    return (struct slice){NULL, NULL, 0};
}

static const struct store_log_events log_events = {
    .end_moved = log_end_moved, .start_moved = log_start_moved, .snapshot = log_snapshot};

static void load_end(struct statelog *log, enum err err)
{
    if (err == ERR_OK && log->log != NULL) {
        log->state = OPEN;
        show(log);
    }
    log->conf.loaded(log->conf.user, log, err);
}

/* Its entities come in the order of `since` where the batch does. */
static enum err apply_batch(struct statelog *log, const uint8_t *p, const struct batch_head *h,
                            struct list *before)
{
    struct record_iter it;
    struct record r;
    enum err err;
    record_iter_init(&it, h, p + BATCH_HEAD_BYTES, h->bytes - BATCH_HEAD_BYTES);
    while ((err = record_iter_next(&it, &r)) == ERR_OK) {
        struct statelog_entity *e =
            log->conf.ops->apply(log->conf.user, r.key, r.value, r.timestamp);
        if (e != NULL && !e->known)
            entity_place(e, h->base_offset, before);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : ERR_CORRUPT;
}

/* Whole batches in order; one that is compressed or broken was not written by this code. */
static enum err apply_slice(struct statelog *log, struct slice s)
{
    struct batch_head h;
    while (s.len > 0) {
        if (batch_head_read(s.at, s.len, &h) != ERR_OK || h.bytes > s.len ||
            (h.attributes & BATCH_CODEC_MASK) != 0)
            return ERR_CORRUPT;
        enum err err = apply_batch(log, s.at, &h, &log->entities);
        if (err != ERR_OK)
            return err;
        log->grown += h.bytes;
        s = slice_sub(s, h.bytes, s.len - h.bytes);
    }
    return ERR_OK;
}

static enum err apply_chunks(struct statelog *log, struct chunkq *q)
{
    enum err err = ERR_OK;
    for (struct chunk *c = q->head; c != NULL && err == ERR_OK; c = c->next) {
        weir_assert(c->file == NULL);
        err = apply_slice(log, c->slice);
    }
    chunkq_clear(q);
    return err;
}

static void load_run(struct statelog *log);

static void load_read(struct store_read *read, enum err err)
{
    struct statelog *log = container_of(read, struct statelog, read);
    if (err == ERR_OK)
        err = apply_chunks(log, &read->out);
    if (err == ERR_OK && read->next_offset <= read->from)
        err = ERR_CORRUPT; /* nothing came, yet the end is not reached */
    log->load_err = err;
    log->read_again = true;
    if (!log->reading)
        load_run(log);
}

/* A loop, not a recursion: a store may answer from inside of the call. */
static void load_run(struct statelog *log)
{
    do {
        if (log->load_err != ERR_OK || log->read.next_offset >= log->end) {
            load_end(log, log->load_err);
            return;
        }
        log->read.from = log->read.next_offset;
        chunkq_init(&log->read.out);
        log->reading = true;
        log->read_again = false;
        store_read(log->conf.store, &log->read);
        log->reading = false;
    } while (log->read_again);
}

static void opened(struct store_open *open, enum err err)
{
    struct statelog *log = container_of(open, struct statelog, open);
    if (err == ERR_NOT_FOUND) {
        log->state = ABSENT;
        load_end(log, ERR_OK);
        return;
    }
    if (err != ERR_OK) {
        load_end(log, err);
        return;
    }
    log->log = open->log;
    log->start = open->log_start;
    log->end = open->end;
    log->read = (struct store_read){
        .log = log->log,
        .next_offset = log->start,
        .limit = log->end,
        .bytes_max = LOAD_BYTES,
        .min_one = true,
        .in_memory = true,
        .done = load_read,
    };
    load_run(log);
}

static void open_restore(struct store_open *open, struct slice snapshot)
{
    (void)open;
    (void)snapshot;
}

static void open_replay(struct store_open *open, const struct batch_head *head, int64_t append_ms)
{
    (void)open;
    (void)head;
    (void)append_ms;
}

/* No retention: the log is trimmed by what is alive. */
static void open_start(struct statelog *log, bool create,
                       void (*done)(struct store_open *open, enum err err))
{
    struct topic_conf conf;
    topic_conf_default(&conf);
    log->open = (struct store_open){
        .id = {log->conf.topic, log->conf.partition},
        .create = create,
        .events = &log_events,
        .user = log,
        .restore = open_restore,
        .replay = open_replay,
        .done = done,
    };
    topic_conf_store(&conf, &log->open.conf);
    log->open.conf.retention_ms = log->open.conf.retention_bytes = -1;
    log->open.conf.segment_bytes = SEGMENT_BYTES; /* so that trimming frees the disk soon */
    log->open.conf.vital = log->conf.vital;
    store_open(log->conf.store, &log->open);
}

void statelog_open(const struct statelog_conf *conf, struct statelog **out)
{
    struct statelog *log = *out = mem_zalloc(1, sizeof(*log));
    log->conf = *conf;
    if (log->conf.slack_bytes == 0)
        log->conf.slack_bytes = SLACK_BYTES_DEFAULT;
    list_init(&log->entities);
    list_init(&log->waiting);
    list_init(&log->loads);
    if (conf->broker != NULL)
        log->shown = partition_find(conf->broker, &conf->topic, (int32_t)conf->partition);
    open_start(log, false, opened);
}

void statelog_free(struct statelog *log)
{
    if (log == NULL)
        return;
    while (!list_empty(&log->entities))
        entity_of(list_pop(&log->entities))->known = false;
    struct list *it;
    while ((it = list_pop(&log->waiting)) != NULL)
        slice_unref(container_of(it, struct statelog_append, link)->append.batch);
    slice_unref(log->snapshot_batch);
    mem_free(log);
}

/* ---- writes ---- */

static void write_enter(struct statelog_append *a)
{
    for (size_t i = 0; i < a->entities_n; i++)
        a->entities[i]->pending++;
}

static void write_leave(struct statelog_append *a)
{
    for (size_t i = 0; i < a->entities_n; i++) {
        weir_assert(a->entities[i]->pending > 0);
        a->entities[i]->pending--;
    }
}

/* What the end of every write has in common. */
static void write_over(struct statelog_append *a, enum err err)
{
    write_leave(a);
    for (size_t i = 0; i < a->entities_n && err == ERR_OK; i++)
        if (!a->entities[i]->known)
            entity_since(a->log, a->entities[i], a->append.base_offset);
    a->log->grown += err == ERR_OK ? a->append.batch.len : 0;
    slice_unref(a->append.batch);
}

static void write_done(struct store_group *group, enum err err)
{
    struct statelog_append *a = container_of(group, struct statelog_append, group);
    struct statelog *log = a->log;
    write_over(a, err);
    a->done(a, err);
    statelog_step(log);
}

void statelog_joined(struct statelog_append *a, enum err err)
{
    struct statelog *log = a->log;
    write_over(a, err);
    if (a->done != NULL)
        a->done(a, err);
    statelog_step(log);
}

/* The end of a join is told later than that of others: nothing from here on may be trimmed. */
static void join_start(struct statelog_append *a)
{
    for (size_t i = 0; i < a->entities_n; i++)
        if (!a->entities[i]->known)
            entity_since(a->log, a->entities[i], a->log->end);
    a->ready(a, ERR_OK);
}

static void write_start(struct statelog_append *a)
{
    struct statelog *log = a->log;
    a->append.log = log->log;
    a->append.append_ms = (int64_t)env_now_ms(log->conf.env);
    if (a->ready != NULL) {
        join_start(a);
        return;
    }
    a->group.done = write_done;
    store_begin(log->conf.store, &a->group);
    a->group.relaxed = a->relaxed;
    store_append(log->conf.store, &a->group, &a->append);
    store_commit(log->conf.store, &a->group);
}

static void write_fail(struct statelog_append *a, enum err err)
{
    write_leave(a);
    slice_unref(a->append.batch);
    if (a->ready != NULL)
        a->ready(a, err);
    else
        a->done(a, err);
}

static void write_wait(struct statelog_append *a)
{
    for (size_t i = 0; i < a->entities_n; i++)
        a->entities[i]->waiting++;
    list_push(&a->log->waiting, &a->link);
}

/* For one that is held, or behind one that waits for such. */
static bool write_must_wait(const struct statelog_append *a)
{
    bool wait = false;
    for (size_t i = 0; i < a->entities_n; i++)
        wait = wait || a->entities[i]->held || a->entities[i]->waiting > 0;
    return wait;
}

/* All that wait. Taken out first: what they cause may add new ones. They are under way from here
 * on, each before the first is started. */
static void waiting_release(struct statelog *log, enum err err)
{
    struct list out;
    list_init(&out);
    list_move(&out, &log->waiting);
    list_for (it, &out) {
        struct statelog_append *a = container_of(it, struct statelog_append, link);
        for (size_t i = 0; i < a->entities_n; i++)
            a->entities[i]->waiting--;
        write_enter(a);
    }
    struct list *it;
    while ((it = list_pop(&out)) != NULL) {
        struct statelog_append *a = container_of(it, struct statelog_append, link);
        if (err == ERR_OK)
            write_start(a);
        else
            write_fail(a, err);
    }
}

static void created(struct store_open *open, enum err err)
{
    struct statelog *log = container_of(open, struct statelog, open);
    if (err == ERR_OK) {
        log->log = open->log;
        log->start = open->log_start;
        log->end = open->end;
        show(log);
    }
    log->state = err == ERR_OK ? OPEN : ABSENT;
    waiting_release(log, err);
}

static void write_submit(struct statelog *log, struct statelog_append *a, struct batch_builder *b)
{
    weir_assert(log->state != LOADING && a->entities_n > 0);
    a->log = log;
    a->append = (struct store_append){.batch = batch_end(b)};
    if (log->state == OPEN && !write_must_wait(a)) {
        write_enter(a);
        write_start(a);
        return;
    }
    write_wait(a);
    if (log->state == ABSENT) {
        log->state = CREATING;
        open_start(log, true, created);
    }
}

void statelog_write(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                    struct statelog_entity *entity)
{
    a->entity = entity;
    statelog_write_all(log, a, b, &a->entity, 1);
}

void statelog_write_all(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                        struct statelog_entity **entities, size_t n)
{
    weir_assert(a->done != NULL);
    a->ready = NULL;
    a->entities = entities;
    a->entities_n = n;
    write_submit(log, a, b);
}

void statelog_join(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                   struct statelog_entity **entities, size_t n,
                   void (*ready)(struct statelog_append *a, enum err err))
{
    a->ready = ready;
    a->entities = entities;
    a->entities_n = n;
    write_submit(log, a, b);
}

/* ---- chunks ---- */

static void chunk_read(struct statelog *log, struct store_read *read, int64_t at,
                       void (*done)(struct store_read *read, enum err err))
{
    *read = (struct store_read){
        .log = log->log,
        .from = at,
        .limit = log->end,
        .bytes_max = 1, /* the one batch, whatever its size */
        .min_one = true,
        .in_memory = true,
        .done = done,
    };
    chunkq_init(&read->out);
    store_read(log->conf.store, read);
}

/* The batch that was asked for, whole; a reference. */
static enum err chunk_take(struct store_read *read, enum err err, struct slice *out)
{
    struct batch_head h;
    struct slice s = {NULL, NULL, 0};
    if (err == ERR_OK && read->out.head != NULL)
        s = read->out.head->slice;
    if (err == ERR_OK && (s.len == 0 || batch_head_read(s.at, s.len, &h) != ERR_OK ||
                          h.bytes > s.len || h.base_offset != read->from ||
                          (h.attributes & BATCH_CODEC_MASK) != 0 || !batch_crc_ok(s.at, &h)))
        err = ERR_CORRUPT;
    if (err == ERR_OK)
        *out = slice_ref(slice_sub(s, 0, h.bytes));
    chunkq_clear(&read->out);
    return err;
}

static void load_end_of(struct statelog_load *load, enum err err)
{
    struct statelog *log = load->log;
    struct slice batch = load->batch;
    load->entity->pending--;
    load->done(load, err); /* may free it */
    slice_unref(batch);
    statelog_step(log);
}

static void load_chunk_read(struct store_read *read, enum err err)
{
    struct statelog_load *load = container_of(read, struct statelog_load, read);
    load_end_of(load, chunk_take(read, err, &load->batch));
}

static void load_start(struct statelog_load *load)
{
    chunk_read(load->log, &load->read, load->entity->since, load_chunk_read);
}

void statelog_load(struct statelog *log, struct statelog_load *load, struct statelog_entity *entity)
{
    weir_assert(entity->chunk && entity->known);
    load->log = log;
    load->entity = entity;
    load->batch = (struct slice){NULL, NULL, 0};
    entity->pending++;
#ifdef FAULT_chunk_where_it_was
    load_start(load);
#else
    if (log->snapshot == entity && log->writing)
        list_push(&log->loads, &load->link);
    else
        load_start(load);
#endif
}

enum err statelog_load_apply(struct statelog_load *load)
{
    struct batch_head h;
    enum err err = batch_head_read(load->batch.at, load->batch.len, &h);
    weir_assert(load->entity->known);
    return err == ERR_OK ? apply_batch(load->log, load->batch.at, &h, &load->entity->link) : err;
}

/* The copy is over: its chunk stays where it is for now. */
static void loads_release(struct statelog *log)
{
    struct list out, *it;
    list_init(&out);
    list_move(&out, &log->loads);
    while ((it = list_pop(&out)) != NULL)
        load_start(container_of(it, struct statelog_load, link));
}

/* ---- rounds ---- */

static void trim_done(struct store_trim *trim, enum err err)
{
    struct statelog *log = container_of(trim, struct statelog, trim);
    log->trimming = false;
    if (err != ERR_OK || trim->log_start <= log->start)
        return;
    log->start = trim->log_start;
    show(log);
}

/* Nothing below the oldest entity's since is needed; without entities, nothing that is durable. */
static void trim_start(struct statelog *log)
{
    int64_t to = list_empty(&log->entities) ? log->end : entity_of(log->entities.next)->since;
    if (log->trimming || to <= log->start)
        return;
    log->trimming = true;
    log->trim = (struct store_trim){.log = log->log, .log_start = to, .done = trim_done};
    store_trim(log->conf.store, &log->trim);
}

/* At most one is held at a time, so all that wait do so because of it. */
static void held_release(struct statelog *log, struct statelog_entity *e)
{
    e->held = false;
    waiting_release(log, ERR_OK);
}

static void snapshot_over(struct statelog *log, enum err err)
{
    struct statelog_entity *e = log->snapshot;
    log->snapshot = NULL;
    log->writing = false;
    if (e != NULL) /* it was not forgotten meanwhile */
        e->pending--;
    if (err == ERR_OK) {
        log->round_bytes += log->snapshot_batch.len;
        if (e != NULL)
            entity_since(log, e, log->snapshot_append.base_offset);
    } else {
        log->round = false; /* no room just now: the next round tries again */
    }
    slice_unref(log->snapshot_batch);
    log->snapshot_batch = (struct slice){NULL, NULL, 0};
    loads_release(log);
    statelog_step(log);
}

static void snapshot_done(struct store_group *group, enum err err)
{
    snapshot_over(container_of(group, struct statelog, snapshot_group), err);
}

/* Takes over the batch, whose only user it must be. */
static void snapshot_append(struct statelog *log, struct slice batch)
{
    log->snapshot_batch = batch;
    log->snapshot_append = (struct store_append){
        .log = log->log,
        .batch = batch,
        .append_ms = (int64_t)env_now_ms(log->conf.env),
    };
    log->snapshot_group.done = snapshot_done;
    store_begin(log->conf.store, &log->snapshot_group);
    store_append(log->conf.store, &log->snapshot_group, &log->snapshot_append);
    store_commit(log->conf.store, &log->snapshot_group);
}

/* One that was forgotten meanwhile is not written: what tells of its end is in the log by now. */
static void copy_read(struct store_read *read, enum err err)
{
    struct statelog *log = container_of(read, struct statelog, copy);
    struct slice chunk = {NULL, NULL, 0};
    err = chunk_take(read, err, &chunk);
    if (log->snapshot == NULL) {
        slice_unref(chunk);
        snapshot_over(log, ERR_OK);
        return;
    }
    log->snapshot->held = false; /* here: who waits to load it may free it */
    if (err == ERR_OK) {
        struct slice copy = slice_copy(chunk.at, chunk.len); /* the store writes into it */
        slice_unref(chunk);
        snapshot_append(log, copy);
    } else {
        env_log(log->conf.env, ENV_WARN, "statelog.copy", "partition=%u offset=%lld error=%s",
                log->conf.partition, (long long)read->from, err_name(err));
        snapshot_over(log, err);
    }
    waiting_release(log, ERR_OK);
}

static void copy_start(struct statelog *log)
{
    log->writing = true;
    log->snapshot->pending++;
    chunk_read(log, &log->copy, log->snapshot->since, copy_read);
}

/* Nothing of the entity is under way: what is in memory is what the log says. */
static void snapshot_write(struct statelog *log)
{
    struct statelog_entity *e = log->snapshot;
    struct batch_builder b;
    if (e->chunk) {
        copy_start(log);
        return;
    }
    batch_begin(&b, 0);
    log->conf.ops->snapshot(log->conf.user, e, &b);
    if (b.count == 0) { /* alive in memory, but without anything to remember */
        wr_free(&b.wr);
        log->snapshot = NULL;
        e->known = false;
        list_remove(&e->link);
        held_release(log, e);
        log->step_again = true;
        return;
    }
    log->writing = true;
    e->pending++;
    snapshot_append(log, batch_end(&b));
    held_release(log, e);
}

static bool round_due(const struct statelog *log)
{
    return log->grown >= log->conf.slack_bytes && log->grown >= log->round_bytes;
}

static void round_step(struct statelog *log)
{
    if (!log->round && round_due(log)) {
        log->round = true;
        log->mark = log->end;
        log->grown = log->round_bytes = 0;
    }
    if (!log->round || log->writing)
        return;
    if (log->snapshot == NULL && !list_empty(&log->entities) &&
        entity_of(log->entities.next)->since < log->mark) {
        log->snapshot = entity_of(log->entities.next);
        log->snapshot->held = true;
    }
    if (log->snapshot == NULL) {
        log->round = false;
        trim_start(log);
    } else if (log->snapshot->pending == 0) {
        snapshot_write(log);
    }
}

/* Once after each write that is done; again while steps are completed from inside. */
static void statelog_step(struct statelog *log)
{
    log->step_again = true;
    if (log->stepping)
        return;
    log->stepping = true;
    while (log->step_again) {
        log->step_again = false;
        round_step(log);
    }
    log->stepping = false;
}
