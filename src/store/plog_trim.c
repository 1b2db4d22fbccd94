/* The log's beginning: log start, retention, and files on their way out.
 *
 * A segment that lies below the log start is renamed to .deleted at once and unlinked later, so
 * that readers in other processes can end their work; our own hold the open file. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static void unlink_files(struct plog *log, int64_t base, const char *suffix)
{
    char path[SEGMENT_PATH_MAX];
    for (int i = 0; i < SEGMENT_FILES; i++) {
        segment_path(path, log->dir, base, (enum segment_file)i, suffix);
        if (disk_unlink(log->disk, path) != ERR_OK)
            continue; /* was never made; or it stays and the next open removes it */
    }
    log->names++;
}

static void rename_files(struct plog *log, int64_t base)
{
    char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
    for (int i = 0; i < SEGMENT_FILES; i++) {
        segment_path(from, log->dir, base, (enum segment_file)i, "");
        segment_path(to, log->dir, base, (enum segment_file)i, ".deleted");
        if (disk_rename(log->disk, from, to) != ERR_OK)
            continue; /* as above; plog_reap tries both names */
    }
    log->names++;
}

static void delete_later(struct plog *log, int64_t base, uint64_t due_ms)
{
    if (log->deleted_count == log->deleted_cap) {
        log->deleted_cap = log->deleted_cap ? log->deleted_cap * 2 : 4;
        log->deleted = mem_realloc(log->deleted, log->deleted_cap * sizeof *log->deleted);
    }
    log->deleted[log->deleted_count++] = (struct plog_deleted){base, due_ms};
    rename_files(log, base);
}

static void forget_writer(struct plog *log, const struct segment *seg)
{
    struct segment_writer **link = &log->writers;
    while (*link && (*link)->seg != seg)
        link = &(*link)->older;
    struct segment_writer *w = *link;
    if (!w)
        return;
    weir_assert(w->iov_count == 0);
    *link = w->older;
    segment_writer_free(w);
}

static void mark_dropped(struct plog_mark *mark, uint32_t n, uint64_t bytes)
{
    mark->segments = mark->segments > n ? mark->segments - n : 0;
    mark->bytes = mark->bytes > bytes ? mark->bytes - bytes : 0;
}

void plog_drop_segments(struct plog *log, uint32_t n, uint64_t due_ms)
{
    if (n == 0)
        return;
    uint64_t before = log->bytes;
    for (uint32_t i = 0; i < n; i++) {
        struct segment *seg = log->segs[i];
        forget_writer(log, seg);
        log->bytes -= seg->bytes;
        int64_t base = seg->base;
        plog_free_segment(log, seg);
        if (due_ms == 0)
            unlink_files(log, base, "");
        else
            delete_later(log, base, due_ms);
    }
    if (n == log->count)
        log->has_active = false;
    log->count -= n;
    memmove(log->segs, log->segs + n, log->count * sizeof *log->segs);
    log->hint_offset = -1;
    log->dirty = true;
    if (log->marks) {
        mark_dropped(&log->marks->flushed, n, before - log->bytes);
        mark_dropped(&log->marks->turn, n, before - log->bytes);
    }
}

/* How many of the oldest segments are sealed for good: no undo makes one of them active again. */
static uint32_t sealed_for_good(const struct plog *log)
{
    uint32_t n = log->count - log->has_active;
    if (!log->marks)
        return n;
    const struct plog_mark *m = log->marked ? &log->marks->turn : &log->marks->flushed;
    uint32_t marked = m->segments - m->has_active;
    return marked < n ? marked : n;
}

static void drop_below_start(struct plog *log, uint64_t now_ms)
{
    int64_t delay = log->conf.delete_delay_ms;
    uint32_t n = 0, most = sealed_for_good(log);
    while (n < most && plog_segment_end(log, n) <= log->log_start)
        n++;
    uint64_t due = now_ms + (uint64_t)(delay > 0 ? delay : 0);
    plog_drop_segments(log, n, due > 0 ? due : 1);
}

void plog_set_start(struct plog *log, int64_t log_start, uint64_t now_ms)
{
    weir_check(log, PLOG_MAGIC);
    if (log_start <= log->log_start)
        return;
    log->log_start = log_start;
    log->dirty = true;
    plog_epochs_trim(log, log_start);
    drop_below_start(log, now_ms);
}

/* Append time of the segment's last batch: for a segment whose batches carry no timestamps. */
static int64_t last_append_ms(struct plog *log, struct segment *seg)
{
    uint8_t head[SIDECAR_HEAD_BYTES], entry[INDEX_ENTRY_BYTES_MAX];
    struct segment_writer *w = plog_writer_of(log, seg);
    struct index_view view;
    int64_t first;
    size_t got;

    if (plog_trust(log, seg) != ERR_OK || plog_view(log, seg, SEGMENT_SIDECAR, &view) != ERR_OK)
        return INT64_MAX;
    w = plog_writer_of(log, seg);
    uint32_t n = index_view_count(&view);
    if (n == 0 || index_view_get(&view, n - 1, entry) != ERR_OK)
        return INT64_MAX;
    if (w)
        first = w->first_append_ms;
    else if (disk_read(view.file, head, sizeof head, 0, &got) != ERR_OK || got < sizeof head ||
             segment_sidecar_head(head, &first) != ERR_OK)
        return INT64_MAX;
    return first + index_field_get(entry, SIDECAR_TIME);
}

static bool time_is_over(struct plog *log, struct segment *seg, uint64_t now_ms)
{
    int64_t newest;
    if (log->conf.retention_ms < 0 || plog_max_timestamp(log, seg, &newest) != ERR_OK)
        return false;
    if (newest < 0)
        newest = last_append_ms(log, seg);
    int64_t now = now_ms > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)now_ms;
    return newest <= now && now - newest > log->conf.retention_ms;
}

static bool size_is_over(const struct plog *log, uint64_t left, uint64_t bytes)
{
    return log->conf.retention_bytes >= 0 && left >= bytes &&
           left - bytes >= (uint64_t)log->conf.retention_bytes;
}

int64_t plog_too_large(const struct plog *log, int64_t limit)
{
    uint64_t left = log->bytes;
    int64_t start = log->log_start;
    weir_check(log, PLOG_MAGIC);
    for (uint32_t n = 0; n < log->count && plog_segment_end(log, n) <= limit; n++) {
        if (!size_is_over(log, left, log->segs[n]->bytes))
            break;
        left -= log->segs[n]->bytes;
        start = plog_segment_end(log, n);
    }
    return start;
}

int64_t plog_too_old(struct plog *log, uint64_t now_ms, int64_t limit)
{
    int64_t start = log->log_start;
    weir_check(log, PLOG_MAGIC);
    for (uint32_t n = 0; n < log->count && plog_segment_end(log, n) <= limit; n++) {
        if (!time_is_over(log, log->segs[n], now_ms))
            break;
        start = plog_segment_end(log, n);
    }
    return start;
}

int64_t plog_retention(struct plog *log, uint64_t now_ms, int64_t limit)
{
    uint64_t left = log->bytes;
    uint32_t n = 0;

    weir_check(log, PLOG_MAGIC);
    if (log->next_offset != log->written)
        return log->log_start; /* in the middle of a turn */
    for (; n < log->count && plog_segment_end(log, n) <= limit; n++) {
        uint64_t bytes = log->segs[n]->bytes;
        if (!size_is_over(log, left, bytes) && !time_is_over(log, log->segs[n], now_ms))
            break;
        left -= bytes;
    }
    if (n > 0 && n == log->count && log->has_active) {
        if (plog_roll(log) != ERR_OK)
            n--;
        plog_settle(log);
    }
    int64_t start = n > 0 ? plog_segment_end(log, n - 1) : log->log_start;
    return start > log->log_start ? start : log->log_start;
}

uint64_t plog_reap(struct plog *log, uint64_t now_ms)
{
    uint64_t next = 0;
    uint32_t kept = 0;

    weir_check(log, PLOG_MAGIC);
    if (!log->replaying && now_ms != UINT64_MAX)
        drop_below_start(log, now_ms); /* what a turn under way kept from going */
    for (uint32_t i = 0; i < log->deleted_count; i++) {
        struct plog_deleted d = log->deleted[i];
        if (d.due_ms <= now_ms) {
            unlink_files(log, d.base, ".deleted");
            unlink_files(log, d.base, "");
            continue;
        }
        log->deleted[kept++] = d;
        next = next == 0 || d.due_ms < next ? d.due_ms : next;
    }
    log->deleted_count = kept;
    return next;
}

struct remove_list {
    struct disk *disk;
    const char *dir;
    char **name;
    size_t count, cap;
};

static void note_name(void *arg, const char *name, bool is_dir)
{
    struct remove_list *list = arg;
    if (is_dir)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->name = mem_realloc(list->name, list->cap * sizeof *list->name);
    }
    list->name[list->count++] = mem_strdup(name);
}

enum err plog_remove(struct disk *disk, const char *dir)
{
    struct remove_list list = {.disk = disk, .dir = dir};
    char path[SEGMENT_PATH_MAX];
    enum err err = disk_list(disk, dir, note_name, &list);

    for (size_t i = 0; i < list.count; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", dir, list.name[i]);
        if (!err && n > 0 && (size_t)n < sizeof path)
            err = disk_unlink(disk, path);
        mem_free(list.name[i]);
    }
    mem_free(list.name);
    if (!err)
        err = disk_rmdir(disk, dir);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
