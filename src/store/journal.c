#include "store/journal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

#define ZEROS_BYTES ((size_t)256 << 10)
/* So much of a new file is synced at a time: a group's sync that runs beside it waits for no more
 * than this to be written. With one sync of 64 MB acknowledgements stood still for 30 ms. */
#define ZEROS_SYNC_BYTES (4 * ZEROS_BYTES)

static uint64_t file_room(const struct journal_file *f)
{
    return f->size - JOURNAL_BLOCK;
}

static void file_close(struct journal_file *f)
{
    disk_close(f->file);
    mem_free(f);
}

/* Writes zeros over [0, size): real blocks, since reserved ones would change metadata when they are
 * written for the first time. */
static enum err zero_fill(struct disk_file *file, uint64_t size)
{
    uint8_t *zeros = mem_zalloc(1, ZEROS_BYTES);
    enum err err = ERR_OK;
    for (uint64_t at = 0; at < size && !err; at += ZEROS_BYTES) {
        uint64_t left = size - at;
        err = disk_write(file, zeros, left < ZEROS_BYTES ? (size_t)left : ZEROS_BYTES, at);
        if (!err && (at + ZEROS_BYTES) % ZEROS_SYNC_BYTES == 0 && left > ZEROS_BYTES)
            err = disk_sync(file);
    }
    mem_free(zeros);
    return err ? err : disk_sync(file);
}

/* The name must be durable before a group in the file is acknowledged. */
static enum err sync_folder(const struct journal_conf *conf)
{
#ifdef FAULT_no_dir_sync
    (void)conf;
    return ERR_OK;
#else
    struct layout_path path;
    return disk_sync_dir(conf->disk, layout_in(&path, conf->dir, "journal"));
#endif
}

static enum err file_make(const struct journal_conf *conf, uint32_t number, uint64_t size,
                          struct journal_file **out)
{
    struct layout_path path;
    struct disk_file *file;
    enum err err = disk_open(conf->disk, layout_journal(&path, conf->dir, number),
                             DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNC, &file);
    if (err)
        return err;
    err = zero_fill(file, size);
    if (!err)
        err = sync_folder(conf);
    if (err) {
        disk_close(file);
        /* What is left of it is found at the next start, and is no worse than a small spare. */
        (void)!disk_unlink(conf->disk, path.s);
        return err;
    }
    struct journal_file *f = mem_zalloc(1, sizeof(*f));
    *f = (struct journal_file){.file = file, .number = number, .size = size};
    list_init(&f->link);
    *out = f;
    return ERR_OK;
}

struct numbers {
    uint32_t *at;
    size_t count, cap;
};

static void number_add(void *arg, const char *name, bool is_dir)
{
    struct numbers *n = arg;
    uint32_t number;
    if (is_dir || !layout_journal_parse(name, &number))
        return;
    if (n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 16;
        n->at = mem_realloc(n->at, n->cap * sizeof(*n->at));
    }
    n->at[n->count++] = number;
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static enum err spare_open(struct journal *j, uint32_t number)
{
    struct layout_path path;
    struct disk_file *file;
    uint64_t size;
    layout_journal(&path, j->conf.dir, number);
    enum err err = disk_open(j->conf.disk, path.s, DISK_READ | DISK_WRITE, &file);
    if (err)
        return err;
    err = disk_size(file, &size);
    size &= ~(uint64_t)(JOURNAL_BLOCK - 1);
    if (err || size < 2 * JOURNAL_BLOCK) { /* too short: its making was cut off */
        disk_close(file);
        return err ? err : disk_unlink(j->conf.disk, path.s);
    }
    struct journal_file *f = mem_zalloc(1, sizeof(*f));
    *f = (struct journal_file){.file = file, .number = number, .size = size};
    list_push(&j->spare, &f->link);
    j->total += size;
    return ERR_OK;
}

static enum err spares_open(struct journal *j)
{
    struct layout_path path;
    struct numbers n = {0};
    enum err err =
        disk_list(j->conf.disk, layout_in(&path, j->conf.dir, "journal"), number_add, &n);
    if (n.count)
        qsort(n.at, n.count, sizeof(*n.at), number_compare);
    for (size_t i = 0; i < n.count && !err; i++) {
        err = spare_open(j, n.at[i]);
        j->next_number = n.at[i] + 1;
    }
    mem_free(n.at);
    /* A process that was killed may have made a file and not come to this. */
    return err || list_empty(&j->spare) ? err : sync_folder(&j->conf);
}

enum err journal_open(struct journal *j, const struct journal_conf *conf)
{
    memset(j, 0, sizeof(*j));
    j->conf = *conf;
    list_init(&j->spare);
    list_init(&j->full);
    j->next = conf->next_sequence;
    j->durable = j->next - 1;
    enum err err = spares_open(j);
    if (!err && list_empty(&j->spare)) {
        struct journal_file *f;
        err = file_make(conf, j->next_number++, journal_pad(conf->first_bytes), &f);
        if (!err) {
            list_push(&j->spare, &f->link);
            j->total += f->size;
        }
    }
    if (err)
        journal_close(j);
    return err;
}

void journal_close(struct journal *j)
{
    struct list *l;
    while ((l = list_pop(&j->spare)) || (l = list_pop(&j->full)))
        file_close(container_of(l, struct journal_file, link));
    if (j->current)
        file_close(j->current);
    j->current = NULL;
    if (j->growing && j->grow.file)
        file_close(j->grow.file);
    j->growing = false;
}

static bool current_fits(const struct journal *j, uint64_t bytes)
{
    return j->current && bytes <= j->current->size - j->at;
}

static struct journal_file *spare_for(const struct journal *j, uint64_t bytes)
{
    list_for (it, &j->spare) {
        struct journal_file *f = container_of(it, struct journal_file, link);
        if (bytes <= file_room(f))
            return f;
    }
    return NULL;
}

bool journal_room(const struct journal *j, uint64_t bytes)
{
    return current_fits(j, bytes) || spare_for(j, bytes);
}

uint64_t journal_used(const struct journal *j)
{
    uint64_t used = j->current ? j->at : 0;
    list_for (it, &j->full)
        used += container_of(it, struct journal_file, link)->size;
    return used;
}

/* What nobody waits for leaves the disk's reserve alone, what somebody waits for takes little of
 * it. False: no file is made. */
static bool grow_fit(struct journal *j)
{
    struct journal_grow *g = &j->grow;
    const struct journal_conf *c = &j->conf;
    uint64_t room;
    if (disk_free_bytes(c->disk, c->dir, &room) || room >= g->size + c->reserve_bytes)
        return true;
    if (!g->in_advance && room > 4 * c->first_bytes && g->least < c->first_bytes)
        g->size = journal_pad(c->first_bytes);
    else if (!g->in_advance)
        g->size = g->least;
    return !g->in_advance;
}

static void grow_work(struct loop_job *job)
{
    struct journal *j = container_of(job, struct journal, grow.job);
    if (grow_fit(j))
        j->grow.err = file_make(&j->conf, j->next_number, j->grow.size, &j->grow.file);
}

static void grow_done(struct loop_job *job)
{
    struct journal *j = container_of(job, struct journal, grow.job);
    j->growing = false;
    j->grow_err = j->grow.err;
    j->declined = !j->grow.err && !j->grow.file;
    if (j->grow.file) {
        list_push(&j->spare, &j->grow.file->link);
        j->total += j->grow.size;
        j->next_number++;
    }
    j->grown(j);
}

bool journal_grow_start(struct journal *j, struct loop *loop, uint64_t need, bool in_advance)
{
    const struct journal_conf *c = &j->conf;
    uint64_t least = journal_pad(need + JOURNAL_BLOCK);
    uint64_t size = journal_pad(2 * (j->current ? j->current->size : c->first_bytes));
    if (size > c->file_bytes)
        size = journal_pad(c->file_bytes);
    if (size < least || j->grow_err)
        size = least;
    bool may_advance = !j->grow_err && !j->declined && j->total + size <= c->total_bytes;
    if (j->growing || (in_advance && !may_advance) || (j->grow_err && size >= j->grow.size))
        return false;
    j->growing = true;
    j->grow = (struct journal_grow){.job.work = grow_work,
                                    .job.done = grow_done,
                                    .size = size,
                                    .least = least,
                                    .in_advance = in_advance};
    loop_job_start(loop, &j->grow.job);
    return true;
}

/* The current file is left for a spare one. */
static void file_begin(struct journal *j, uint64_t bytes, struct journal_write *out)
{
    if (j->current) {
        out->sync_first = j->unsynced ? j->current->file : NULL;
        list_push(&j->full, &j->current->link);
    }
    j->current = spare_for(j, bytes);
    weir_assert(j->current != NULL);
    list_remove(&j->current->link);
    j->at = JOURNAL_BLOCK;
    j->unsynced = false;
    struct journal_file_head head = {.number = j->current->number,
                                     .incarnation = j->conf.incarnation,
                                     .salt = j->conf.salt,
                                     .first = j->next};
    journal_file_head_put(j->file_head, &head);
    out->begins_file = true;
}

void journal_place(struct journal *j, uint64_t bytes, bool sync, struct journal_write *out)
{
    weir_assert(bytes % JOURNAL_BLOCK == 0 && (bytes > 0 || j->current));
    memset(out, 0, sizeof(*out));
    if (bytes > 0 && !current_fits(j, bytes))
        file_begin(j, bytes, out);
    out->file = j->current->file;
    out->at = out->begins_file ? 0 : j->at;
    out->bytes = bytes;
    out->sequence = bytes > 0 ? j->next : j->next - 1;
    out->sync = sync;
}

static enum err sync_one(struct disk_file *file)
{
    enum err err = disk_sync(file);
#ifdef FAULT_fsync_retry
    if (err)
        err = disk_sync(file);
#endif
    return err;
}

enum err journal_run(struct journal *j, const struct journal_write *w)
{
    (void)j;
    enum err err = ERR_OK;
    if (w->sync_first)
        err = sync_one(w->sync_first);
    if (!err && w->bytes > 0)
        err = disk_writev(w->file, w->iov, w->count, w->at);
#ifndef FAULT_ack_before_sync
    if (!err && w->sync)
        err = sync_one(w->file);
#endif
    return err;
}

void journal_ran(struct journal *j, const struct journal_write *w)
{
    if (w->bytes > 0) {
        weir_assert(w->sequence == j->next);
        j->at += w->bytes;
        j->current->last = w->sequence;
        j->next++;
        j->unsynced = true;
    }
    if (w->sync_first) /* everything before the file that this group began */
        j->durable = w->sequence - 1;
    if (w->sync) {
        j->durable = w->sequence;
        j->unsynced = false;
    }
}

/* A journal without a file would be taken for a lost one. */
static bool spare_is_needed(const struct journal *j)
{
    return !j->current && list_empty(&j->full) && j->spare.next == j->spare.prev;
}

/* A burst was larger than the journal should be. A file that cannot be removed is found as a spare
 * by the next start. */
static void spare_drop(struct journal *j)
{
    struct list *l = list_pop(&j->spare);
    struct journal_file *f = container_of(l, struct journal_file, link);
    struct layout_path path;
    (void)!disk_unlink(j->conf.disk, layout_journal(&path, j->conf.dir, f->number));
    j->total -= f->size;
    file_close(f);
}

void journal_recycle(struct journal *j, uint64_t sequence, bool idle)
{
    j->declined = false;
    /* The current file too, before it is left half full for a new one; only between groups. */
    if (idle && j->current && j->current->last <= sequence && j->durable >= j->current->last &&
        j->at > j->current->size / 2) {
        list_push(&j->full, &j->current->link);
        j->current = NULL;
    }
    list_for_safe (it, &j->full) {
        struct journal_file *f = container_of(it, struct journal_file, link);
        if (f->last <= sequence) {
            list_remove(&f->link);
            list_push(&j->spare, &f->link);
        }
    }
    while (j->total > j->conf.total_bytes && !list_empty(&j->spare) && !spare_is_needed(j))
        spare_drop(j);
}
