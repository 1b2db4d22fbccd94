#include "store/commit.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"

#include <inttypes.h>
#include <string.h>

static const uint8_t zeros[JOURNAL_BLOCK];

/* Items on their way from one reactor to another. */
struct parcel {
    struct env_mail mail;
    struct writer *writer;
    unsigned reactor;
    struct list items;
};

void commit_item_init(struct commit_item *item, void (*done)(struct commit_item *, enum err))
{
    list_init(&item->link);
    item->sync = item->appends = false;
    item->tag = NULL;
    item->frames = 0;
    item->payload_bytes = 0;
    item->first = item->last = NULL;
    item->done = done;
    item->user = NULL;
}

void commit_item_add(struct commit_item *item, struct commit_frame *frame)
{
    frame->next = NULL;
    if (item->last)
        item->last->next = frame;
    else
        item->first = frame;
    item->last = frame;
    item->frames++;
    item->payload_bytes += frame->payload.len;
}

/* --- hand over --- */

static void queue_items(struct writer *w, unsigned reactor, struct list *items)
{
    list_for (it, items) {
        const struct commit_item *item = container_of(it, struct commit_item, link);
        w->queued += commit_item_bytes(item);
        w->tagged += item->tag != NULL;
    }
    list_move(&w->queue[reactor], items);
}

static void parcel_to_writer(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct parcel *p = container_of(mail, struct parcel, mail);
    queue_items(p->writer, p->reactor, &p->items);
    mem_free(p);
}

static struct parcel *parcel_make(struct writer *w, unsigned reactor, struct list *items,
                                  void (*run)(struct env_mail *, struct env *))
{
    struct parcel *p = mem_alloc(sizeof(*p));
    p->mail.run = run;
    p->writer = w;
    p->reactor = reactor;
    list_init(&p->items);
    list_move(&p->items, items);
    return p;
}

void writer_hand_over(struct writer *w, unsigned reactor, struct list *items)
{
    if (reactor == 0) {
        queue_items(w, reactor, items);
        return;
    }
    struct parcel *p = parcel_make(w, reactor, items, parcel_to_writer);
    env_post(loop_env(w->loops[reactor]), 0, &p->mail);
}

bool writer_admits(struct writer *w, uint64_t bytes)
{
    const struct journal_conf *c = &w->journal.conf;
    uint64_t need = journal_pad(bytes), room;
    if (need <= atomic_load(&w->room))
        return true;
    if (atomic_load(&w->short_of_room))
        return false;
    /* A file will have to be made when the turn is in its segments and cannot be taken back. */
    return disk_free_bytes(c->disk, c->dir, &room) || room >= 2 * need + JOURNAL_BLOCK;
}

static void full_set(struct writer *w, bool full, uint64_t room)
{
    if (atomic_exchange(&w->full, full) == full)
        return;
    if (full)
        log_event(ENV_WARN, "store.full", "free=%" PRIu64 " reserve=%" PRIu64 " meaning=\"%s\"",
                  room, w->journal.conf.reserve_bytes,
                  "nothing is appended until there is more; deleting topics or records helps");
    else
        log_event(ENV_INFO, "store.room", "free=%" PRIu64, room);
}

bool writer_takes(struct writer *w, uint64_t bytes)
{
    const struct journal_conf *c = &w->journal.conf;
    uint64_t room, need = 2 * bytes; /* in the segment and in the journal */
    if (atomic_load(&w->budget) >= (long long)need) {
        atomic_fetch_sub(&w->budget, (long long)need);
        return true;
    }
    if (disk_free_bytes(c->disk, c->dir, &room)) /* the write itself will tell */
        return true;
    bool full = room < need + c->reserve_bytes;
    full_set(w, full, room);
    if (full)
        return false;
    uint64_t budget = (room - need - c->reserve_bytes) / 2;
    atomic_store(&w->budget,
                 (long long)(budget < COMMIT_BUDGET_BYTES ? budget : COMMIT_BUDGET_BYTES));
    return true;
}

/* --- which items make the next group --- */

/* Prefixes of at most `limit` bytes together, but at least one item. */
static void cut_by_size(struct writer *w, uint64_t limit)
{
    uint64_t bytes = JOURNAL_GROUP_HEAD_BYTES;
    bool any = false;
    for (unsigned r = 0; r < w->reactors; r++) {
        struct list *it = w->queue[r].next;
        for (; it != &w->queue[r]; it = it->next) {
            bytes += commit_item_bytes(container_of(it, struct commit_item, link));
            if (bytes > limit && any)
                break;
            any = true;
        }
        w->cut[r] = it;
    }
}

static void tags_count(struct writer *w)
{
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned r = 0; r < w->reactors; r++) {
            for (struct list *it = w->queue[r].next; it != w->cut[r]; it = it->next) {
                struct commit_tag *tag = container_of(it, struct commit_item, link)->tag;
                if (tag)
                    tag->seen = pass == 0 ? 0 : tag->seen + 1;
            }
        }
    }
}

/* Cuts every queue at its first item that misses a part; true if that changed anything. */
static bool cut_open_tags(struct writer *w)
{
    bool changed = false;
    tags_count(w);
    for (unsigned r = 0; r < w->reactors; r++) {
        for (struct list *it = w->queue[r].next; it != w->cut[r]; it = it->next) {
            const struct commit_tag *tag = container_of(it, struct commit_item, link)->tag;
            if (tag && tag->seen < tag->parts) {
                w->cut[r] = it;
                changed = true;
                break;
            }
        }
    }
    return changed;
}

/* The sum over the present prefixes. */
struct sum {
    uint32_t items, frames;
    uint64_t bytes;
    bool sync;
};

static struct sum cut_sum(const struct writer *w)
{
    struct sum sum = {.bytes = JOURNAL_GROUP_HEAD_BYTES};
    for (unsigned r = 0; r < w->reactors; r++) {
        for (struct list *it = w->queue[r].next; it != w->cut[r]; it = it->next) {
            const struct commit_item *item = container_of(it, struct commit_item, link);
            sum.items++;
            sum.frames += item->frames;
            sum.bytes += commit_item_bytes(item);
            sum.sync = sum.sync || item->sync;
        }
    }
    sum.bytes = sum.frames ? journal_pad(sum.bytes) : 0;
    return sum;
}

static struct sum cut_closed(struct writer *w, uint64_t limit)
{
    cut_by_size(w, limit);
    while (w->tagged > 0 && cut_open_tags(w)) {
    }
    return cut_sum(w);
}

/* Chooses prefixes for which the journal has room. items == 0: nothing to do now. */
static struct sum choose(struct writer *w, bool *no_room, uint64_t *need)
{
    struct journal *j = &w->journal;
    *no_room = false;
    struct sum sum = cut_closed(w, COMMIT_GROUP_BYTES);
    if (sum.items == 0)
        sum = cut_closed(w, UINT64_MAX); /* a tagged group that the limit had cut */
    if (sum.bytes == 0 || journal_room(j, sum.bytes))
        return sum;
    *need = sum.bytes;
    if (j->current && j->current->size - j->at > 0) { /* a part that the current file still takes */
        sum = cut_closed(w, j->current->size - j->at);
        if (sum.items > 0 && (sum.bytes == 0 || journal_room(j, sum.bytes)))
            return sum;
    }
    *no_room = true;
    return (struct sum){0};
}

static void take(struct writer *w)
{
    for (unsigned r = 0; r < w->reactors; r++) {
        while (w->queue[r].next != w->cut[r]) {
            struct commit_item *item = container_of(w->queue[r].next, struct commit_item, link);
            list_remove(&item->link);
            w->queued -= commit_item_bytes(item);
            w->tagged -= item->tag != NULL;
            list_push(&w->taken[r], &item->link);
        }
    }
}

/* --- one group --- */

static void scratch_reserve(struct writer *w, const struct sum *sum)
{
    unsigned iov = sum->frames + 3; /* file head, heads, payloads, padding */
    if (iov > w->iov_cap) {
        w->iov_cap = iov * 2;
        w->iov = mem_realloc(w->iov, w->iov_cap * sizeof(*w->iov));
    }
    size_t heads = (size_t)journal_heads_bytes(sum->frames);
    if (heads > w->heads_cap) {
        w->heads_cap = heads * 2;
        w->heads = mem_realloc(w->heads, w->heads_cap);
    }
}

static struct iovec iov_of(const void *p, size_t n)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n};
}

static void ref_add(struct writer *w, struct plog_sync *sync)
{
    if (w->ref_count == w->ref_cap) {
        w->ref_cap = w->ref_cap ? w->ref_cap * 2 : 8;
        w->refs = mem_realloc(w->refs, w->ref_cap * sizeof(struct plog_sync *));
    }
    w->refs[w->ref_count++] = sync;
}

/* The group's bytes as an iovec: payloads straight from the batches. */
static void gather(struct writer *w, const struct sum *sum)
{
    struct journal_write *out = &w->write;
    scratch_reserve(w, sum);
    uint8_t *head = w->heads + JOURNAL_GROUP_HEAD_BYTES;
    unsigned n = 2;
    uint64_t bytes = journal_heads_bytes(sum->frames);
    for (unsigned r = 0; r < w->reactors; r++) {
        list_for (it, &w->taken[r]) {
            const struct commit_item *item = container_of(it, struct commit_item, link);
            for (const struct commit_frame *f = item->first; f; f = f->next) {
                memcpy(head, f->head, JOURNAL_FRAME_BYTES);
                head += JOURNAL_FRAME_BYTES;
                if (f->sync)
                    ref_add(w, f->sync);
                if (f->payload.len)
                    w->iov[n++] = iov_of(f->payload.at, f->payload.len);
                bytes += f->payload.len;
            }
        }
    }
    weir_assert(bytes <= out->bytes);
    if (bytes < out->bytes)
        w->iov[n++] = iov_of(zeros, (size_t)(out->bytes - bytes));
    w->iov[0] = iov_of(w->journal.file_head, JOURNAL_BLOCK);
    w->iov[1] = iov_of(w->heads, (size_t)journal_heads_bytes(sum->frames));
    out->iov = w->iov + !out->begins_file;
    out->count = n - !out->begins_file;
    struct journal_group_head group = {.incarnation = w->journal.conf.incarnation,
                                       .frames = sum->frames,
                                       .sequence = out->sequence,
                                       .durable = w->journal.durable,
                                       .bytes = out->bytes,
                                       .salt = w->journal.conf.salt};
    journal_group_head_put(w->heads, &group);
}

static void write_timed(struct writer *w)
{
    uint64_t from = clock_mono_us();
    w->err = ERR_OK;
#ifndef FAULT_no_reference_sync
    for (unsigned i = 0; i < w->ref_count && !w->err; i++)
        w->err = plog_sync_run(w->refs[i]);
#endif
    if (!w->err)
        w->err = journal_run(&w->journal, &w->write);
    w->took_us = clock_mono_us() - from;
}

static void parcel_to_reactor(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct parcel *p = container_of(mail, struct parcel, mail);
    p->writer->ops.complete(p->writer->ops.arg, p->reactor, &p->items);
    mem_free(p);
}

static void complete(struct writer *w)
{
    for (unsigned r = 1; r < w->reactors; r++) {
        if (!list_empty(&w->taken[r])) {
            struct parcel *p = parcel_make(w, r, &w->taken[r], parcel_to_reactor);
            env_post(loop_env(w->loops[0]), r, &p->mail);
        }
    }
    if (!list_empty(&w->taken[0])) {
        struct list items;
        list_init(&items);
        list_move(&items, &w->taken[0]);
        w->ops.complete(w->ops.arg, 0, &items);
    }
}

static void grow_in_advance(struct writer *w)
{
    struct journal *j = &w->journal;
    if (j->current && list_empty(&j->spare) && j->at > j->current->size / 2)
        (void)journal_grow_start(j, w->loops[0], 0, true);
}

static void room_update(struct writer *w)
{
    const struct journal *j = &w->journal;
    uint64_t room = j->current ? j->current->size - j->at : 0;
    list_for (it, &j->spare) {
        uint64_t size = container_of(it, struct journal_file, link)->size - JOURNAL_BLOCK;
        room = size > room ? size : room;
    }
    uint64_t taken = journal_pad(w->queued + JOURNAL_GROUP_HEAD_BYTES);
    atomic_store(&w->room, room > taken ? room - taken : 0);
    atomic_store(&w->short_of_room, j->grow_err != ERR_OK);
}

static void group_ran(struct writer *w)
{
    w->busy = false;
    if (w->err) {
        w->dead = true;
        w->ops.failed(w->ops.arg, w->err, "writing the journal");
        return;
    }
    journal_ran(&w->journal, &w->write);
    w->groups += w->write.bytes > 0;
    w->syncs += w->write.sync;
    w->bytes += w->write.bytes;
    w->average_us = (w->average_us * 7 + w->took_us) / 8;
    grow_in_advance(w);
    room_update(w);
    complete(w);
}

static void job_work(struct loop_job *job)
{
    write_timed(container_of(job, struct writer, job));
}

static void job_done(struct loop_job *job)
{
    struct writer *w = container_of(job, struct writer, job);
    group_ran(w);
    writer_run(w);
}

static bool run_inline(const struct writer *w)
{
    if (w->where == COMMIT_AUTO)
        return w->average_us < COMMIT_INLINE_US;
    return w->where == COMMIT_INLINE;
}

/* False: nothing more can be done now. */
static bool group_next(struct writer *w)
{
    bool no_room;
    uint64_t need = 0;
    struct sum sum = choose(w, &no_room, &need);
    if (no_room && !journal_grow_start(&w->journal, w->loops[0], need, false) &&
        !w->journal.growing)
        w->ops.starved(w->ops.arg);
    if (sum.items == 0)
        return false;
    take(w);
    bool sync = sum.sync && (sum.bytes > 0 || w->journal.unsynced);
    if (sum.bytes == 0 && !sync) { /* barriers, and all before them is durable */
        complete(w);
        return true;
    }
    journal_place(&w->journal, sum.bytes, sync, &w->write);
    w->ref_count = 0;
    if (sum.bytes > 0)
        gather(w, &sum);
    w->busy = true;
    if (!run_inline(w)) {
        w->job.work = job_work;
        w->job.done = job_done;
        loop_job_start(w->loops[0], &w->job);
        return false;
    }
    write_timed(w);
    group_ran(w);
    return true;
}

void writer_run(struct writer *w)
{
    if (w->running) /* called from inside a completion: the loop below goes on */
        return;
    w->running = true;
    while (!w->busy && !w->dead && !w->held && group_next(w)) {
    }
    w->running = false;
    room_update(w);
}

/* --- life --- */

static void journal_grown(struct journal *j)
{
    struct writer *w = container_of(j, struct writer, journal);
    room_update(w);
    writer_run(w);
}

enum err writer_open(struct writer *w, const struct journal_conf *conf,
                     const struct writer_ops *ops, struct loop **loops, unsigned reactors,
                     enum commit_where where)
{
    memset(w, 0, sizeof(*w));
    enum err err = journal_open(&w->journal, conf);
    if (err)
        return err;
    w->journal.grown = journal_grown;
    w->ops = *ops;
    w->loops = loops;
    w->reactors = reactors;
    w->where = where;
    w->queue = mem_zalloc(reactors, sizeof(*w->queue));
    w->taken = mem_zalloc(reactors, sizeof(*w->taken));
    w->cut = mem_zalloc(reactors, sizeof(*w->cut));
    for (unsigned r = 0; r < reactors; r++) {
        list_init(&w->queue[r]);
        list_init(&w->taken[r]);
    }
    return ERR_OK;
}

void writer_abandon(struct writer *w, unsigned reactor, struct list *items)
{
    list_move(items, &w->taken[reactor]);
    list_move(items, &w->queue[reactor]);
}

void writer_close(struct writer *w)
{
    journal_close(&w->journal);
    mem_free(w->queue);
    mem_free(w->taken);
    mem_free(w->cut);
    mem_free(w->refs);
    mem_free(w->iov);
    mem_free(w->heads);
}

bool writer_idle(const struct writer *w)
{
    for (unsigned r = 0; r < w->reactors; r++) {
        if (!list_empty(&w->queue[r]))
            return false;
    }
    return !w->busy;
}

void writer_recycle(struct writer *w, uint64_t sequence)
{
    journal_recycle(&w->journal, sequence, !w->busy);
    w->journal.grow_err = ERR_OK;
    room_update(w);
}
