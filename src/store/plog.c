/* A batch's way: plog_append finds the segment (a full one is rolled), counts the batch there and
 * queues its bytes; plog_flush writes each segment's queue with one call. Until then nothing has
 * touched the disk, so that a turn that fails half way leaves no trace but a file tail to cut back.
 *
 * Two marks allow to come back: `flushed`, set by every successful flush, for a flush that fails,
 * and `turn`, set by plog_mark, for plog_undo. A sealed segment keeps its writer until neither mark
 * can bring it back to life. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

void plog_close(struct plog *log)
{
    if (!log)
        return;
    weir_check(log, PLOG_MAGIC);
    weir_assert(list_empty(&log->jobs));
    while (log->writers) {
        struct segment_writer *w = log->writers;
        weir_assert(w->iov_count == 0);
        log->writers = w->older;
        segment_writer_free(w);
    }
    for (uint32_t i = 0; i < log->count; i++)
        plog_free_segment(log, log->segs[i]);
    plog_files_free(log->own_files);
    mem_free(log->segs);
    mem_free(log->epoch);
    mem_free(log->deleted);
    mem_free(log->marks);
    mem_free(log->dir);
    log->magic = 0;
    mem_free(log);
}

void plog_abandon(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    plog_sync_abandon(log);
    for (struct segment_writer *w = log->writers; w; w = w->older)
        w->iov_count = 0;
    plog_close(log);
}

void plog_use_files(struct plog *log, struct plog_files *files)
{
    weir_check(log, PLOG_MAGIC);
    weir_assert(!log->files);
    log->files = files;
}

void plog_configure(struct plog *log, const struct store_log_conf *conf)
{
    weir_check(log, PLOG_MAGIC);
    log->conf = *conf;
}

struct segment_writer *plog_writer_of(const struct plog *log, const struct segment *seg)
{
    struct segment_writer *w = log->writers;
    while (w && w->seg != seg)
        w = w->older;
    return w;
}

enum err plog_file(struct plog *log, struct segment *seg, enum segment_file which, unsigned flags,
                   struct disk_file **out)
{
    char path[SEGMENT_PATH_MAX];

    if (!log->files)
        log->files = log->own_files = plog_files_make(PLOG_OWN_FILES);
    *out = plog_files_get(log->files, &seg->fd[which]);
    if (*out)
        return ERR_OK;
    segment_path(path, log->dir, seg->base, which, "");
    enum err err = disk_open(log->disk, path, DISK_READ | DISK_WRITE | flags, out);
    if (err)
        return err;
    if (flags & DISK_CREATE)
        log->names++;
    plog_files_add(log->files, &seg->fd[which], *out);
    return ERR_OK;
}

enum err plog_make_folder(struct plog *log)
{
    if (log->made)
        return ERR_OK;
    enum err err = disk_mkdir(log->disk, log->dir);
    if (err && err != ERR_EXISTS)
        return err;
    log->made = log->parent_unsynced = true;
    return ERR_OK;
}

struct segment *plog_add_segment(struct plog *log, int64_t base)
{
    weir_assert(log->count == 0 || base > plog_last(log)->base);
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 1;
        log->segs = mem_realloc(log->segs, log->cap * sizeof *log->segs);
    }
    struct segment *seg = mem_zalloc(1, sizeof *seg);
    seg->base = base;
    seg->max_timestamp = -1;
    log->segs[log->count++] = seg;
    return seg;
}

void plog_free_segment(struct plog *log, struct segment *seg)
{
    for (int i = 0; i < SEGMENT_FILES; i++)
        if (seg->fd[i])
            plog_files_drop(log->files, &seg->fd[i]);
    mem_free(seg);
}

int64_t plog_segment_of(const struct plog *log, int64_t offset)
{
    uint32_t low = 0, high = log->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (log->segs[mid]->base <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return (int64_t)low - 1;
}

int64_t plog_segment_end(const struct plog *log, uint32_t i)
{
    return i + 1 < log->count ? log->segs[i + 1]->base : log->written;
}

static void take_mark(struct plog *log, struct plog_mark *mark)
{
    struct segment_writer *w = log->has_active ? plog_writer_of(log, plog_last(log)) : NULL;
    mark->segments = log->count;
    mark->has_active = log->has_active;
    mark->loaded = w != NULL;
    mark->next_offset = log->next_offset;
    mark->epochs = log->epochs;
    mark->bytes = log->bytes;
    if (w)
        mark->writer = segment_writer_mark(w);
}

static void need_marks(struct plog *log)
{
    if (log->marks)
        return;
    log->marks = mem_zalloc(1, sizeof *log->marks);
    take_mark(log, &log->marks->flushed);
    log->marks->turn = log->marks->flushed;
}

static bool is_queued(const struct plog *log)
{
    return log->next_offset != log->written;
}

void plog_retake_marks(struct plog *log)
{
    if (!log->marks)
        return;
    take_mark(log, &log->marks->flushed);
    log->marks->turn = log->marks->flushed;
}

void plog_settle(struct plog *log)
{
    weir_assert(!is_queued(log));
    log->marked = false;
    plog_retake_marks(log);
    plog_finish_sealed(log);
}

void plog_finish_sealed(struct plog *log)
{
    struct segment_writer **link = &log->writers;
    while (*link) {
        struct segment_writer *w = *link;
        bool active = log->has_active && w->seg == plog_last(log);
        if (active || plog_write_tails(log, w) != ERR_OK) {
            link = &w->older;
            continue;
        }
        *link = w->older;
        segment_writer_free(w);
    }
}

enum err plog_roll(struct plog *log)
{
    weir_assert(log->has_active);
    enum err err = plog_load_writer(log);
    if (err)
        return err;
    struct segment_writer *w = log->writers;
    segment_writer_seal(w);
    w->seg->trusted = true;
    w->seg->entries_unsynced = true;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        w->seg->entries[i] = index_tail_mark(&w->tail[i]);
    log->has_active = false;
    return ERR_OK;
}

static bool roll_due(const struct plog *log, const struct segment_writer *w,
                     const struct batch_head *head, int64_t append_ms)
{
    if (w->bytes == 0)
        return false;
    return (int64_t)w->bytes + head->bytes > log->conf.segment_bytes ||
           (log->conf.segment_ms > 0 && append_ms - w->first_append_ms > log->conf.segment_ms) ||
           !segment_writer_fits(w, head, append_ms);
}

enum err plog_active(struct plog *log, int64_t base, struct segment_writer **out)
{
    if (log->has_active) {
        enum err err = plog_load_writer(log);
        *out = log->writers;
        return err;
    }
    struct segment_writer *w = segment_writer_make(plog_add_segment(log, base));
    w->seg->trusted = true;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        w->tail[i].stale = log->replaying; /* files of the same name may be left over */
    w->older = log->writers;
    log->writers = w;
    log->has_active = true;
    *out = w;
    return ERR_OK;
}

void plog_count_batch(struct plog *log, struct segment_writer *w, const struct batch_head *head,
                      const uint8_t *raw, int64_t append_ms)
{
    segment_writer_count(w, head, raw, append_ms, log->conf.index_interval_bytes);
    plog_epochs_note(log, head->leader_epoch, head->base_offset);
    w->seg->entries_unsynced = true;
    log->next_offset = batch_next_offset(head);
    log->bytes += head->bytes;
    log->dirty = true;
}

enum err plog_append(struct plog *log, const struct batch_head *head, struct slice batch,
                     int64_t append_ms, struct plog_place *out)
{
    struct segment_writer *w;

    weir_check(log, PLOG_MAGIC);
    weir_assert(head->bytes == batch.len && head->base_offset >= log->next_offset);
    enum err err = log->replaying ? plog_replay_end(log) : ERR_OK;
    if (err)
        return err;
    need_marks(log);
    err = plog_active(log, head->base_offset, &w);
    if (!err && roll_due(log, w, head, append_ms)) {
        err = plog_roll(log);
        if (!err)
            err = plog_active(log, head->base_offset, &w);
    }
    if (err)
        return err;
    *out = (struct plog_place){w->seg->base, w->bytes};
    plog_count_batch(log, w, head, batch.at, append_ms);
    segment_writer_queue(w, batch);
    return ERR_OK;
}

static enum err write_queue(struct plog *log, struct segment_writer *w)
{
    struct disk_file *file;
    unsigned create = w->seg->bytes == 0 ? DISK_CREATE : 0;
    enum err err = plog_file(log, w->seg, SEGMENT_LOG, create, &file);
    if (!err)
        err = disk_writev(file, w->iov, w->iov_count, w->seg->bytes);
    if (err)
        return err;
    w->seg->bytes = w->bytes;
    w->iov_count = 0;
    return ERR_OK;
}

/* The newest segment is gone again: nothing in it counts. */
static void drop_newest(struct plog *log)
{
    char path[SEGMENT_PATH_MAX];
    struct segment *seg = plog_last(log);
    struct segment_writer *w = log->writers;

    weir_assert(w && w->seg == seg);
    log->writers = w->older;
    segment_writer_free(w);
    log->count--;
    for (int i = 0; i < SEGMENT_FILES; i++) {
        segment_path(path, log->dir, seg->base, (enum segment_file)i, "");
        if (disk_unlink(log->disk, path) != ERR_OK)
            continue; /* was not made; or stays as a stray that the next open removes */
    }
    log->names++;
    plog_free_segment(log, seg);
}

static enum err cut_active(struct plog *log, uint32_t bytes)
{
    struct disk_file *file;
    struct segment *seg = plog_last(log);
    enum err err = plog_file(log, seg, SEGMENT_LOG, 0, &file);
    if (!err)
        err = disk_truncate(file, bytes);
    seg->bytes = bytes;
    if (seg->synced_bytes > bytes)
        seg->synced_bytes = bytes;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err restore(struct plog *log, const struct plog_mark *mark)
{
    enum err err = ERR_OK;

    while (log->count > mark->segments)
        drop_newest(log);
    log->has_active = mark->has_active;
    if (mark->has_active && mark->loaded) {
        struct segment_writer *w = log->writers;
        weir_assert(w && w->seg == plog_last(log));
        if (w->bytes != mark->writer.bytes)
            err = cut_active(log, mark->writer.bytes);
        segment_writer_undo(w, &mark->writer);
    }
    log->next_offset = log->written = mark->next_offset;
    log->epochs = mark->epochs;
    log->bytes = mark->bytes;
    log->hint_offset = -1;
    return err;
}

/* Entries in memory do not grow without limit; a failure here can wait for the next time. */
static void spill(struct plog *log, struct segment_writer *w)
{
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        if (w->tail[i].len >= INDEX_TAIL_MAX &&
            plog_write_tail(log, w, (enum segment_file)i) != ERR_OK)
            return;
}

static enum err write_queues(struct plog *log)
{
    enum err err = plog_make_folder(log);
    for (struct segment_writer *w = log->writers; w && !err; w = w->older)
        if (w->iov_count > 0)
            err = write_queue(log, w);
    return err;
}

enum err plog_flush(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    if (!is_queued(log))
        return ERR_OK;
    enum err err = write_queues(log);
    if (err) {
        enum err cut = restore(log, &log->marks->flushed);
        return cut == ERR_OK || err == ERR_DISK_FULL ? err : cut;
    }
    log->written = log->next_offset;
    take_mark(log, &log->marks->flushed);
    if (!log->marked)
        plog_finish_sealed(log);
    spill(log, log->writers);
    return ERR_OK;
}

void plog_mark(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    need_marks(log);
    plog_settle(log);
    log->marked = true;
}

enum err plog_undo(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    weir_assert(log->marked);
    enum err err = restore(log, &log->marks->turn);
    log->marks->flushed = log->marks->turn;
    return err;
}

bool plog_dirty(const struct plog *log)
{
    return log->dirty;
}

bool plog_idle(const struct plog *log)
{
    return !log->dirty && !is_queued(log) && list_empty(&log->jobs) && log->deleted_count == 0;
}

int64_t plog_start(const struct plog *log)
{
    return log->log_start;
}

int64_t plog_next_offset(const struct plog *log)
{
    return log->next_offset;
}

uint64_t plog_bytes(const struct plog *log)
{
    return log->bytes;
}

uint32_t plog_segments(const struct plog *log)
{
    return log->count;
}
