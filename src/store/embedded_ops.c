/* The port's calls (broker/store.h) on the embedded store. What they gather is written by
 * embedded_turn.c at the turn's end; reads are answered at once. */
#include "store/embedded_ops.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "io/log.h"

#include <string.h>

/* --- open --- */

static void replay_one(void *arg, const struct batch_head *head, int64_t append_ms)
{
    struct store_open *op = arg;
    op->replay(op, head, append_ms);
}

/* Nothing of the log is looked at unless it has batches that the snapshot does not know. */
static enum err owner_restore(struct store_log *log, struct store_open *op)
{
    struct manifest_log known = {0};
    if (log->entry.len > 0) {
        enum err err = manifest_log_decode(log->entry, &known);
        if (err)
            return err;
    }
    if (op->restore && known.snapshot.len > 0)
        op->restore(op, known.snapshot);
    int64_t from = known.snapshot_from > log->start ? known.snapshot_from : log->start;
    manifest_log_free(&known);
    if (!op->replay || from >= log->end)
        return ERR_OK;
    enum err err = reactor_log_need(log);
    if (!err)
        err = plog_scan(log->plog, from, replay_one, op);
    reactor_log_touch(log); /* the next checkpoint keeps what the owner knows now */
    return err;
}

/* Damage is told with its place; the owner learns only that there is some. */
static enum err open_know(struct store_log *log)
{
    struct err_text text = {""};
    char quoted[512];
    enum err err = reactor_log_know(log, &text);
    if (err)
        log_event(ENV_ERROR, "store.log", "error=%s why=%s", err_name(err),
                  log_quote(quoted, sizeof(quoted), text.s));
    return err;
}

static void open_finish(struct store_log *log, struct store_open *op, enum err err)
{
    if (!err && log->plog)
        plog_configure(log->plog, &log->conf);
    if (!err)
        err = open_know(log);
    if (!err)
        err = owner_restore(log, op);
    if (err) {
        log->open = false;
        op->done(op, err);
        return;
    }
    log->events = op->events;
    log->user = op->user;
    op->log = log;
    op->log_start = log->start;
    op->end = log->end;
    op->done(op, ERR_OK);
}

static void create_done(struct commit_item *item, enum err err)
{
    open_finish(item->first->log, item->user, err);
}

static void log_create(struct store_reactor *r, struct store_open *op)
{
    struct store_log *log = reactor_log_add(r, &op->id, (struct slice){0});
    log->conf = op->conf;
    log->open = true;
    reactor_log_touch(log);
    struct commit_item *item = reactor_item(r, create_done);
    item->user = op;
    reactor_item_mark(item, log, JOURNAL_CREATE, 0);
    reactor_submit(r, item);
}

static void op_open(struct store *s, struct store_open *op)
{
    struct store_reactor *r = reactor_of_store(s);
    struct store_log *log = reactor_log(r, &op->id);
    op->log = NULL;
    if (op->create && (!log || log->dead) && atomic_load(&r->e->closing)) {
        op->done(op, ERR_CLOSED);
    } else if (!log && op->create) {
        log_create(r, op);
    } else if (!log || (log->dead && !op->create)) {
        op->done(op, ERR_NOT_FOUND);
    } else if (log->open || log->waiting) {
        op->done(op, ERR_EXISTS);
    } else if (log->dead) {
        log->waiting = op;
    } else {
        log->open = true;
        log->conf = op->conf;
        open_finish(log, op, ERR_OK);
    }
}

void embedded_log_gone(struct store_log *log)
{
    struct store_reactor *r = log->reactor;
    struct store_open *op = log->waiting;
    reactor_log_free(log);
    if (op)
        log_create(r, op);
}

static void op_close(struct store *s, struct store_log *log)
{
    (void)s;
    weir_check(log, STORE_LOG_MAGIC);
    log->open = false;
    log->events = NULL;
    log->user = NULL;
    log->retain_from = INT64_MAX;
}

static void op_configure(struct store *s, struct store_log *log, const struct store_log_conf *conf)
{
    (void)s;
    weir_check(log, STORE_LOG_MAGIC);
    log->conf = *conf;
    if (log->plog)
        plog_configure(log->plog, conf);
}

/* --- groups --- */

static void op_append(struct store *s, struct store_group *group, struct store_append *append)
{
    (void)s;
    append->next = NULL;
    append->base_offset = -1;
    if (group->tail)
        group->tail->next = append;
    else
        group->head = append;
    group->tail = append;
}

static void group_done(struct commit_item *item, enum err err)
{
    struct store_group *group = item->user;
    group->done(group, err);
}

/* What is written now is synced within this time, whoever else asked for a later one. */
static void interval_arm(struct store_reactor *r, uint32_t flush_ms)
{
    struct env *env = reactor_env(r);
    uint64_t us = (uint64_t)flush_ms * 1000;
    if (!env_timer_armed(&r->interval) || r->interval.node.key > env_mono_us(env) + us)
        env_timer_set(env, &r->interval, us);
}

/* The batch gets its offset and epoch, and its place at the end of its log. */
static enum err batch_place(struct store_log *log, struct store_append *append,
                            struct journal_frame *frame)
{
    struct batch_head head;
    uint8_t *bytes = (uint8_t *)(uintptr_t)append->batch.at;
    if (!list_linked(&log->turn_link)) {
        plog_mark(log->plog);
        list_push(&log->reactor->turn_logs, &log->turn_link);
    }
    batch_set_offset(bytes, plog_next_offset(log->plog));
    batch_set_leader_epoch(bytes, (int32_t)log->reactor->e->meta.incarnation);
    weir_assert(batch_head_read(bytes, append->batch.len, &head) == ERR_OK &&
                head.bytes == append->batch.len);
    *frame = (struct journal_frame){.kind = JOURNAL_PAYLOAD,
                                    .id = log->id,
                                    .offset = head.base_offset,
                                    .next_offset = batch_next_offset(&head),
                                    .append_ms = append->append_ms,
                                    .bytes = head.bytes,
                                    .head_crc = crc32c(0, bytes, BATCH_CRC_FROM),
                                    .batch_crc = head.crc};
    return plog_append(log->plog, &head, append->batch, append->append_ms, &frame->place);
}

static void append_submit(struct store_reactor *r, struct commit_item *item,
                          struct store_append *append)
{
    struct store_log *log = append->log;
    weir_check(log, STORE_LOG_MAGIC);
    weir_assert(log->reactor == r);
    if (r->turn_err || log->dead) /* the turn has failed, or the log went away before this */
        return;
    struct journal_frame head;
    r->turn_err = reactor_log_need(log);
    if (!r->turn_err)
        r->turn_err = batch_place(log, append, &head);
    if (r->turn_err)
        return;
    append->base_offset = head.offset;
    struct commit_frame *frame = reactor_frame(r, item);
    frame->log = log;
    frame->append = append;
    frame->payload = append->batch;
    frame->sync = NULL;
    frame->next_offset = head.next_offset;
    journal_frame_put(frame->head, &head);
    commit_item_add(item, frame);
#ifdef FAULT_watermark_early
    log->end = head.next_offset;
    if (log->events && log->events->end_moved)
        log->events->end_moved(log->user, log->end);
#endif
    item->sync = item->sync || log->conf.flush == STORE_FLUSH_EACH;
    if (log->conf.flush == STORE_FLUSH_INTERVAL)
        interval_arm(r, log->conf.flush_ms);
}

void embedded_group_part(struct store_reactor *r, struct commit_item *item,
                         struct store_append *appends, bool relaxed)
{
    item->appends = true;
    for (struct store_append *next, *a = appends; a; a = next) {
        next = a->next;
        append_submit(r, item, a);
    }
    if (relaxed && item->sync) {
        item->sync = false;
        interval_arm(r, STORE_RELAXED_MS);
    }
    reactor_submit(r, item);
}

static bool group_local(const struct store_reactor *r, const struct store_group *group)
{
    for (const struct store_append *a = group->head; a; a = a->next) {
        if (a->log->reactor != r)
            return false;
    }
    return true;
}

/* A log that cannot be loaded fails the groups that want it, and not the turn. */
static enum err group_load(const struct store_group *group)
{
    enum err err = ERR_OK;
    for (const struct store_append *a = group->head; a && !err; a = a->next)
        err = reactor_log_need(a->log);
    return err;
}

/* A group that touches a vital log is taken as long as the disk itself has room. */
static bool group_taken(struct store_reactor *r, const struct store_group *group)
{
    uint64_t bytes = 0;
    for (const struct store_append *a = group->head; a; a = a->next) {
        if (a->log->conf.vital)
            return true;
        bytes += a->batch.len;
    }
    return writer_takes(&r->e->writer, bytes);
}

static void op_commit(struct store *s, struct store_group *group)
{
    struct store_reactor *r = reactor_of_store(s);
    if (atomic_load(&r->e->closing) || !group_taken(r, group)) {
        group->done(group, atomic_load(&r->e->closing) ? ERR_CLOSED : ERR_DISK_FULL);
        return;
    }
    if (!group_local(r, group)) {
        embedded_group_spread(r, group);
        return;
    }
    if (group_load(group)) {
        group->done(group, ERR_STORAGE);
        return;
    }
    struct commit_item *item = reactor_item(r, group_done);
    item->user = group;
    embedded_group_part(r, item, group->head, group->relaxed);
}

static void op_abort(struct store *s, struct store_group *group)
{
    (void)s;
    group->head = group->tail = NULL;
}

/* --- reads --- */

static void op_read(struct store *s, struct store_read *op)
{
    (void)s;
    struct store_log *log = op->log;
    weir_check(log, STORE_LOG_MAGIC);
    chunkq_init(&op->out);
    op->next_offset = op->from;
    if (op->from < log->start || op->from > log->end) {
        op->done(op, ERR_OFFSET_RANGE);
        return;
    }
    int64_t limit = op->limit < log->end ? op->limit : log->end;
    enum err err = op->from < limit ? reactor_log_need(log) : ERR_OK;
#ifdef FAULT_read_beyond
    limit = log->plog ? plog_next_offset(log->plog) : limit;
#endif
    if (!err && op->from < limit)
        err = plog_read(log->plog, op->from, limit, op->bytes_max, op->min_one, &op->out,
                        &op->next_offset);
    if (!err && op->in_memory)
        err = disk_load_chunks(&op->out);
    if (!err && op->in_memory && op->append_ms)
        err = plog_append_times(log->plog, &op->out, op->append_ms, op->append_ms_max);
    op->done(op, err);
}

static enum err find(struct store_log *log, struct store_find *op)
{
    int64_t limit = op->limit < log->end ? op->limit : log->end;
    op->offset = op->timestamp = -1;
    op->found_epoch = -1;
    enum err err = reactor_log_need(log);
    if (err)
        return err;
    switch (op->what) {
    case STORE_FIND_TIME:
        return plog_find_time(log->plog, op->ts, limit, &op->offset, &op->timestamp,
                              &op->found_epoch);
    case STORE_FIND_MAX_TIME:
        return plog_find_max_time(log->plog, limit, &op->offset, &op->timestamp, &op->found_epoch);
    case STORE_FIND_EPOCH:
        plog_epoch_end(log->plog, op->epoch, &op->found_epoch, &op->offset);
        if (op->offset > limit)
            op->offset = limit;
        return ERR_OK;
    }
    weir_unreachable();
}

static void op_find(struct store *s, struct store_find *op)
{
    (void)s;
    weir_check(op->log, STORE_LOG_MAGIC);
    op->done(op, find(op->log, op));
}

/* --- trim, remove, the rest --- */

static void op_retain(struct store *s, struct store_log *log, int64_t from)
{
    (void)s;
    weir_check(log, STORE_LOG_MAGIC);
    log->retain_from = from;
}

static void trim_done(struct commit_item *item, enum err err)
{
    struct store_trim *op = item->user;
    op->done(op, err);
}

static void op_trim(struct store *s, struct store_trim *op)
{
    struct store_reactor *r = reactor_of_store(s);
    struct store_log *log = op->log;
    weir_check(log, STORE_LOG_MAGIC);
    if (op->log_start <= log->start || op->log_start > log->end) {
        op->done(op, op->log_start > log->end ? ERR_OFFSET_RANGE : ERR_OK);
        return;
    }
    if (atomic_load(&r->e->closing)) {
        op->done(op, ERR_CLOSED);
        return;
    }
    if (reactor_log_need(log)) {
        op->done(op, ERR_STORAGE);
        return;
    }
#ifdef FAULT_trim_forgets
    log->start = op->log_start;
    plog_set_start(log->plog, log->start, env_now_ms(reactor_env(r)));
    op->done(op, ERR_OK);
    return;
#endif
    reactor_log_touch(log); /* it stays loaded until its start has moved */
    struct commit_item *item = reactor_item(r, trim_done);
    item->user = op;
    reactor_item_mark(item, log, JOURNAL_START, op->log_start);
    reactor_submit(r, item);
}

static void remove_done(struct commit_item *item, enum err err)
{
    struct store_delete *op = item->user;
    struct store_log *log = item->first->log;
    op->done(op, err);
    reactor_log_bury(log);
}

static void op_remove(struct store *s, struct store_delete *op)
{
    struct store_reactor *r = reactor_of_store(s);
    struct store_log *log = op->log;
    weir_check(log, STORE_LOG_MAGIC);
    if (atomic_load(&r->e->closing)) {
        op->done(op, ERR_CLOSED);
        return;
    }
    op_close(s, log);
    log->dead = true;
    struct commit_item *item = reactor_item(r, remove_done);
    item->user = op;
    reactor_item_mark(item, log, JOURNAL_DELETE, 0);
    reactor_submit(r, item);
}

static void op_stat(struct store *s, struct store_log *log, struct store_log_stat *out)
{
    weir_check(log, STORE_LOG_MAGIC);
    out->log_start = log->start;
    out->end = log->end;
    out->bytes = log->plog ? plog_bytes(log->plog) : log->bytes;
    out->segments = log->plog ? plog_segments(log->plog) : log->segments;
    out->leader_epoch = (int32_t)reactor_of_store(s)->e->meta.incarnation;
}

static void op_each(struct store *s, void (*fn)(void *arg, const struct store_log_id *id),
                    void *arg)
{
    struct store_reactor *r = reactor_of_store(s);
    for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n)) {
        const struct store_log *log = container_of(n, struct store_log, node);
        if (!log->dead)
            fn(arg, &log->id);
    }
}

const struct store_ops embedded_ops = {
    .open = op_open,
    .close = op_close,
    .configure = op_configure,
    .append = op_append,
    .commit = op_commit,
    .abort = op_abort,
    .read = op_read,
    .find = op_find,
    .retain = op_retain,
    .trim = op_trim,
    .remove = op_remove,
    .stat = op_stat,
    .each = op_each,
};
