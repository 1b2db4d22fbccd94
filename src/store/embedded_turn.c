/* A loop turn of the embedded store: its items, their logs' writes, and what follows when they are
 * durable.
 *
 * At the turn's end all logs that were appended to are written (plog_flush) before anything goes to
 * the journal. If one of them cannot be, or the journal has no room, the whole turn is taken back:
 * every log returns to its mark, every group of the turn fails with the same error, and the next
 * turn gives the same offsets again. Deletes, creates and trims of the turn go on. A part of a
 * group that spans reactors cannot be taken back alone, since its other parts may be under way:
 * then the process stops in order, and the restart drops the group whole. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "store/embedded_ops.h"

/* In one turn; more large batches than that are carried. */
#define REFERENCES_MAX 2

/* --- pools --- */

struct commit_item *reactor_item(struct store_reactor *r,
                                 void (*done)(struct commit_item *, enum err))
{
    struct commit_item *item = r->items;
    if (item)
        r->items = item->user;
    else
        item = mem_alloc(sizeof(*item));
    commit_item_init(item, done);
    return item;
}

struct commit_frame *reactor_frame(struct store_reactor *r, struct commit_item *item)
{
    if (!item->first)
        return &item->own;
    struct commit_frame *frame = r->frames;
    if (frame)
        r->frames = frame->next;
    else
        frame = mem_alloc(sizeof(*frame));
    return frame;
}

void reactor_item_free(struct store_reactor *r, struct commit_item *item)
{
    for (struct commit_frame *next, *f = item->first; f; f = next) {
        next = f->next;
        if (f->head[0] == JOURNAL_START)
            slice_unref(f->payload);
        if (f == &item->own)
            continue;
        f->next = r->frames;
        r->frames = f;
    }
    item->user = r->items;
    r->items = item;
}

void reactor_item_mark(struct commit_item *item, struct store_log *log, enum journal_kind kind,
                       int64_t offset)
{
    struct journal_frame head = {.kind = kind, .id = log->id, .offset = offset};
    struct commit_frame *frame = reactor_frame(log->reactor, item);
    frame->log = log;
    frame->append = NULL;
    frame->payload = (struct slice){0};
    frame->sync = NULL;
    frame->next_offset = offset;
    journal_frame_put(frame->head, &head);
    commit_item_add(item, frame);
    item->sync = true;
}

/* --- the turn --- */

static void kick_run(struct env_mail *mail, struct env *env)
{
    (void)env;
    container_of(mail, struct store_reactor, kick)->kicked = false;
}

void reactor_submit(struct store_reactor *r, struct commit_item *item)
{
    r->turn_bytes += commit_item_bytes(item);
    r->turn_trims += item->first && item->first->head[0] == JOURNAL_START;
    list_push(&r->turn_items, &item->link);
    /* Submitted behind this turn's hook: another turn must follow without waiting. */
    if (r->hook_us == env_mono_us(reactor_env(r)) && !r->kicked) {
        r->kicked = true;
        r->kick.run = kick_run;
        env_post(reactor_env(r), r->index, &r->kick);
    }
}

static enum err turn_flush(struct store_reactor *r)
{
    if (r->turn_err)
        return r->turn_err;
    if (!writer_admits(&r->e->writer, r->turn_bytes + JOURNAL_GROUP_HEAD_BYTES))
        return ERR_DISK_FULL;
    list_for (it, &r->turn_logs) {
        enum err err = plog_flush(container_of(it, struct store_log, turn_link)->plog);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* --- references (R1) ---
 *
 * One or two large batches in a turn: writing them twice costs more than a second sync, so the
 * journal gets a reference and the batch's segment is synced first. Not for a log whose folder may
 * still be unnamed on disk, and not for items that promise nothing: a reference must be durable
 * before anything behind it is, or it would end the chain. */

struct large {
    struct commit_item *item;
    struct commit_frame *frame;
};

/* False: there are more of them than references are made for, or none. */
static bool turn_large(struct store_reactor *r, struct large out[REFERENCES_MAX], unsigned *n)
{
    *n = 0;
    list_for (it, &r->turn_items) {
        struct commit_item *item = container_of(it, struct commit_item, link);
        if (!item->sync || item->payload_bytes < r->e->conf.reference_bytes)
            continue;
        for (struct commit_frame *f = item->first; f; f = f->next) {
            if (f->payload.len < r->e->conf.reference_bytes || !f->log->rooted)
                continue;
            if (*n == REFERENCES_MAX)
                return false;
            out[(*n)++] = (struct large){item, f};
        }
    }
    return *n > 0;
}

static void turn_refer(struct store_reactor *r)
{
    struct large large[REFERENCES_MAX];
    unsigned n;
    if (!turn_large(r, large, &n))
        return;
    for (unsigned i = 0; i < n; i++) {
        struct commit_frame *f = large[i].frame;
        f->head[0] = JOURNAL_REFERENCE;
        large[i].item->payload_bytes -= f->payload.len;
        f->payload = (struct slice){0};
        /* One job covers all that the turn has written to the log; the first of them may be written
         * to the journal before the others. */
        if (i == 0 || large[i - 1].frame->log != f->log)
            f->sync = plog_sync_begin_data(f->log->plog);
    }
}

/* What a trim removes, the owner cannot be shown again: its frame carries what the owner knows by
 * now. Only here, between completions, since a snapshot leaves out what is being completed. */
static void turn_snapshot(struct commit_item *item)
{
    struct commit_frame *frame = item->first;
    const struct store_log *log = frame ? frame->log : NULL;
    if (!log || frame->head[0] != JOURNAL_START || !log->events || !log->events->snapshot)
        return;
    struct journal_frame head;
    bool whole = journal_frame_get(frame->head, &head);
    weir_assert(whole);
    frame->payload = log->events->snapshot(log->user);
    head.next_offset = log->end;
    head.bytes = (uint32_t)frame->payload.len;
    head.batch_crc = crc32c(0, frame->payload.at, frame->payload.len);
    journal_frame_put(frame->head, &head);
    item->payload_bytes += frame->payload.len;
}

static void turn_snapshots(struct store_reactor *r)
{
    for (struct list *it = r->turn_items.next; r->turn_trims > 0; it = it->next) {
        struct commit_item *item = container_of(it, struct commit_item, link);
        r->turn_trims -= item->first && item->first->head[0] == JOURNAL_START;
        turn_snapshot(item);
    }
}

/* Moves the items that append to `failed`. */
static void turn_split(struct store_reactor *r, struct list *failed)
{
    list_for_safe (it, &r->turn_items) {
        struct commit_item *item = container_of(it, struct commit_item, link);
        if (!item->appends)
            continue;
        if (item->tag)
            embedded_fail(r->e, ERR_DISK_FULL, "a part of a group over several threads");
        list_remove(it);
        list_push(failed, it);
    }
}

/* Every log back to its mark; the items that append leave the turn. */
static void turn_take_back(struct store_reactor *r, struct list *failed)
{
    turn_split(r, failed);
    list_for (it, &r->turn_logs) {
        if (plog_undo(container_of(it, struct store_log, turn_link)->plog))
            embedded_fail(r->e, ERR_IO, "cutting a segment back");
    }
}

/* Whoever is told may append again at once, which belongs to the next turn: nothing of this one may
 * be left to do. */
static void turn_tell_failed(struct store_reactor *r, struct list *failed, enum err err)
{
    struct list *l;
    if (atomic_load(&r->e->failed))
        return;
    while ((l = list_pop(failed))) {
        struct commit_item *item = container_of(l, struct commit_item, link);
        item->done(item, err == ERR_DISK_FULL ? err : ERR_STORAGE);
        reactor_item_free(r, item);
    }
}

static enum err turn_commit(struct store_reactor *r, struct list *failed)
{
    struct list *l;
    struct list items;
    turn_snapshots(r);
    enum err err = turn_flush(r);
    if (err)
        turn_take_back(r, failed);
    else
        turn_refer(r);
    while ((l = list_pop(&r->turn_logs))) {
        if (!err)
            reactor_log_touch(container_of(l, struct store_log, turn_link));
    }
    list_init(&items);
    list_move(&items, &r->turn_items);
    r->turn_err = ERR_OK;
    r->turn_bytes = 0;
    if (!list_empty(&items) && !atomic_load(&r->e->failed))
        writer_hand_over(&r->e->writer, r->index, &items);
    return err;
}

void reactor_turn_end(struct loop_hook *hook)
{
    struct store_reactor *r = container_of(hook, struct store_reactor, hook);
    if (atomic_load(&r->e->failed))
        return;
    r->hook_us = env_mono_us(reactor_env(r));
    struct list failed;
    list_init(&failed);
    enum err err = list_empty(&r->turn_items) ? ERR_OK : turn_commit(r, &failed);
    checkpoint_part_turn(r);
    turn_tell_failed(r, &failed, err);
    if (r->index == 0) {
        checkpoint_tick(r->e);
        writer_run(&r->e->writer);
    }
}

/* --- completion --- */

static void frame_complete(struct commit_frame *frame, struct list *moved)
{
    struct store_log *log = frame->log;
    switch (frame->head[0]) {
    case JOURNAL_PAYLOAD:
    case JOURNAL_REFERENCE:
        if (frame->sync)
            plog_sync_end(frame->sync, true);
        frame->sync = NULL;
        log->end = frame->next_offset;
        if (!list_linked(&log->moved_link))
            list_push(moved, &log->moved_link);
        break;
    case JOURNAL_START:
        if (frame->next_offset > log->start && !log->dead) {
            log->start = frame->next_offset;
            plog_set_start(log->plog, log->start, env_now_ms(reactor_env(log->reactor)));
            reactor_log_touch(log);
        }
        break;
    default:
        break;
    }
}

void reactor_complete(void *arg, unsigned reactor, struct list *items)
{
    struct embedded *e = arg;
    struct store_reactor *r = &e->reactor[reactor];
    struct list *l, moved;
    if (atomic_load(&e->failed)) /* nothing is acknowledged any more */
        return;
    list_init(&moved);
    list_for (it, items) {
        struct commit_item *item = container_of(it, struct commit_item, link);
        for (struct commit_frame *f = item->first; f; f = f->next)
            frame_complete(f, &moved);
    }
    while ((l = list_pop(&moved))) {
        struct store_log *log = container_of(l, struct store_log, moved_link);
        if (log->events && log->events->end_moved)
            log->events->end_moved(log->user, log->end);
    }
    while ((l = list_pop(items))) {
        struct commit_item *item = container_of(l, struct commit_item, link);
        item->done(item, ERR_OK);
        reactor_item_free(r, item);
    }
}
