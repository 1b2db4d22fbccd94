/* Checkpoint jobs. The reactor notes what is dirty and copies the entries that are in memory only;
 * another thread writes those, syncs the files and then the folder that names them. It touches
 * nothing of the log itself: the job has paths, references to open files, and copies. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

struct sync_tail {
    uint8_t *p; /* entries to be written first */
    uint32_t at, len;
};

struct sync_item {
    int64_t base;
    uint32_t bytes; /* of the .log when the job began */
    bool data, entries;
    enum err err;                          /* a write for the job that failed when it began */
    struct disk_file *file[SEGMENT_FILES]; /* those that were open */
    struct sync_tail tail[SEGMENT_FILES];
};

struct plog_sync {
    struct list link; /* in log->jobs */
    struct plog *log;
    struct disk *disk;
    char *dir;
    struct sync_item *item;
    uint32_t items;
    uint32_t names;
    bool folder, parent, written;
    bool checkpoint; /* has a state */
    bool failed;     /* a sync, of this job or one before */
    struct plog_state state;
    struct plog_epoch *epoch;
    struct plog_sealed *seal;
};

static bool wants_data(const struct segment *seg)
{
    return seg->bytes > seg->synced_bytes;
}

static void take_tail(const struct index_tail *tail, struct sync_tail *out)
{
    out->at = tail->at;
    out->len = tail->len;
    if (tail->len == 0)
        return;
    out->p = mem_alloc(tail->len);
    memcpy(out->p, tail->mem, tail->len);
}

static void take_item(struct plog *log, struct segment *seg, bool checkpoint, struct sync_item *it)
{
    struct segment_writer *w = plog_writer_of(log, seg);
    it->base = seg->base;
    it->bytes = seg->bytes;
    it->data = wants_data(seg);
    it->entries = checkpoint && seg->entries_unsynced;
    for (int i = 0; i < SEGMENT_FILES; i++)
        if (seg->fd[i] && (i == SEGMENT_LOG ? it->data : it->entries)) {
            it->file[i] = seg->fd[i]->file;
            file_ref_get(&it->file[i]->ref);
        }
    if (!it->entries)
        return;
    seg->entries_unsynced = false;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && w; i++) {
        /* Cutting a file is for the reactor, which may write behind the cut meanwhile. */
        if (w->tail[i].stale && !it->err)
            it->err = plog_write_tail(log, w, (enum segment_file)i);
        take_tail(&w->tail[i], &it->tail[i]);
    }
}

static void take_items(struct plog *log, struct plog_sync *sync)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < log->count; i++)
        n += wants_data(log->segs[i]) || (sync->checkpoint && log->segs[i]->entries_unsynced);
    sync->item = mem_zalloc(n, sizeof *sync->item);
    for (uint32_t i = 0; i < log->count; i++)
        if (wants_data(log->segs[i]) || (sync->checkpoint && log->segs[i]->entries_unsynced))
            take_item(log, log->segs[i], sync->checkpoint, &sync->item[sync->items++]);
    sync->names = log->names;
    sync->folder = log->made && log->names != log->names_synced;
    sync->parent = log->parent_unsynced;
    for (uint32_t i = 0; i < sync->items; i++)
        for (int f = SEGMENT_INDEX; f < SEGMENT_FILES; f++) /* files that this job will make */
            sync->folder |= sync->item[i].tail[f].len > 0 && sync->item[i].tail[f].at == 0;
}

static void take_active_entries(const struct plog *log, struct plog_entries *out)
{
    struct segment *seg = plog_last(log);
    struct segment_writer *w = plog_writer_of(log, seg);
    struct index_mark m[SEGMENT_FILES];
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        m[i] = w ? index_tail_mark(&w->tail[i]) : seg->entries[i];
    *out = (struct plog_entries){
        .index_bytes = m[SEGMENT_INDEX].bytes,
        .timeindex_bytes = m[SEGMENT_TIMEINDEX].bytes,
        .append_bytes = m[SEGMENT_SIDECAR].bytes,
        .index_crc = m[SEGMENT_INDEX].crc,
        .timeindex_crc = m[SEGMENT_TIMEINDEX].crc,
        .append_crc = m[SEGMENT_SIDECAR].crc,
    };
}

static void take_state(struct plog *log, struct plog_sync *sync)
{
    struct plog_state *state = &sync->state;
    struct segment *active = log->has_active ? plog_last(log) : NULL;
    uint32_t sealed = log->count - log->has_active;

    state->log_start = log->log_start;
    state->next_offset = log->next_offset;
    state->synced =
        (struct plog_place){active ? active->base : log->next_offset, active ? active->bytes : 0};
    sync->epoch = mem_alloc((size_t)log->epochs * sizeof *sync->epoch);
    if (log->epochs > 0)
        memcpy(sync->epoch, log->epoch, (size_t)log->epochs * sizeof *sync->epoch);
    state->epochs = log->epochs;
    state->epoch = sync->epoch;
    sync->seal = mem_zalloc(sealed, sizeof *sync->seal);
    for (uint32_t i = 0; i < sealed; i++) {
        const struct segment *seg = log->segs[i];
        sync->seal[i] = (struct plog_sealed){
            .segment = seg->base,
            .log_bytes = seg->bytes,
            .index_crc = seg->entries[SEGMENT_INDEX].crc,
            .timeindex_crc = seg->entries[SEGMENT_TIMEINDEX].crc,
            .append_crc = seg->entries[SEGMENT_SIDECAR].crc,
            .max_timestamp = seg->max_timestamp,
        };
    }
    state->sealed = (int32_t)sealed;
    state->seal = sync->seal;
    if (active)
        take_active_entries(log, &state->active);
}

static struct plog_sync *begin(struct plog *log, bool checkpoint)
{
    struct plog_sync *sync = mem_zalloc(1, sizeof *sync);
    sync->log = log;
    sync->disk = log->disk;
    sync->dir = mem_strdup(log->dir);
    sync->checkpoint = checkpoint;
    sync->failed = log->sync_failed;
    take_items(log, sync);
    list_push(&log->jobs, &sync->link);
    return sync;
}

struct plog_sync *plog_sync_begin(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    weir_assert(!log->checkpointing);
    plog_settle(log);
    struct plog_sync *sync = begin(log, true);
    take_state(log, sync);
    log->checkpointing = true;
    log->dirty = false;
    return sync;
}

struct plog_sync *plog_sync_begin_data(struct plog *log)
{
    weir_check(log, PLOG_MAGIC);
    weir_assert(log->next_offset == log->written);
    return begin(log, false);
}

/* The item's file, opened if the log had it not open. ERR_NOT_FOUND: it was deleted meanwhile. */
static enum err item_file(const struct plog_sync *sync, struct sync_item *it,
                          enum segment_file which, unsigned flags)
{
    char path[SEGMENT_PATH_MAX];
    if (it->file[which])
        return ERR_OK;
    segment_path(path, sync->dir, it->base, which, "");
    return disk_open(sync->disk, path, DISK_READ | DISK_WRITE | flags, &it->file[which]);
}

static enum err write_tail(struct plog_sync *sync, struct sync_item *it, enum segment_file which)
{
    struct sync_tail *tail = &it->tail[which];
    if (tail->len == 0)
        return ERR_OK;
    enum err err = item_file(sync, it, which, DISK_CREATE);
    if (!err)
        err = disk_write(it->file[which], tail->p, tail->len, tail->at);
    return err;
}

static enum err write_item(struct plog_sync *sync, struct sync_item *it)
{
    enum err err = it->err;
    for (int f = SEGMENT_INDEX; f < SEGMENT_FILES && !err; f++)
        err = write_tail(sync, it, (enum segment_file)f);
    return err;
}

static void close_files(struct sync_item *it)
{
    for (int f = 0; f < SEGMENT_FILES; f++) {
        disk_close(it->file[f]);
        it->file[f] = NULL;
    }
}

/* Jobs of thousands of logs run one after the other before any of them ends: none keeps files open
 * that it does not sync itself. */
enum err plog_sync_write(struct plog_sync *sync)
{
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < sync->items && !err; i++) {
        err = write_item(sync, &sync->item[i]);
        close_files(&sync->item[i]);
    }
    sync->written = err == ERR_OK;
    return err;
}

static enum err sync_item(struct plog_sync *sync, struct sync_item *it)
{
    for (int f = 0; f < SEGMENT_FILES; f++) {
        if (!(f == SEGMENT_LOG ? it->data : it->entries))
            continue;
        enum err err = item_file(sync, it, (enum segment_file)f, 0);
        if (!err)
            err = disk_sync(it->file[f]);
        if (err && err != ERR_NOT_FOUND)
            return err;
        disk_close(it->file[f]);
        it->file[f] = NULL;
    }
    return ERR_OK;
}

static enum err sync_parent(struct plog_sync *sync)
{
    char path[SEGMENT_PATH_MAX];
    size_t n = strlen(sync->dir);
    weir_assert(n < sizeof path);
    memcpy(path, sync->dir, n + 1);
    char *slash = strrchr(path, '/');
    if (!slash)
        return disk_sync_dir(sync->disk, ".");
    *slash = '\0';
    return disk_sync_dir(sync->disk, path);
}

static enum err sync_all(struct plog_sync *sync)
{
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < sync->items && !err; i++)
        err = sync_item(sync, &sync->item[i]);
    if (!err && sync->folder)
        err = disk_sync_dir(sync->disk, sync->dir);
    if (!err && sync->parent)
        err = sync_parent(sync);
    return err;
}

enum err plog_sync_run(struct plog_sync *sync)
{
    if (sync->failed)
        return ERR_IO;
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < sync->items && !err && !sync->written; i++)
        err = write_item(sync, &sync->item[i]);
    if (err)
        return err;
    sync->failed = sync_all(sync) != ERR_OK;
    return sync->failed ? ERR_IO : ERR_OK;
}

unsigned plog_sync_files(const struct plog_sync *sync)
{
    unsigned n = (unsigned)sync->folder + sync->parent;
    for (uint32_t i = 0; i < sync->items; i++)
        n += (unsigned)sync->item[i].data + (sync->item[i].entries ? SEGMENT_FILES - 1 : 0);
    return n;
}

const struct plog_state *plog_sync_state(const struct plog_sync *sync)
{
    weir_assert(sync->checkpoint);
    return &sync->state;
}

/* The segment may be gone since. */
static struct segment *item_segment(const struct plog *log, const struct sync_item *it)
{
    int64_t i = plog_segment_of(log, it->base);
    return i >= 0 && log->segs[i]->base == it->base ? log->segs[i] : NULL;
}

static void item_done(struct plog *log, const struct sync_item *it)
{
    struct segment *seg = item_segment(log, it);
    if (!seg)
        return;
    uint32_t bytes = it->bytes < seg->bytes ? it->bytes : seg->bytes;
    if (it->data && bytes > seg->synced_bytes)
        seg->synced_bytes = bytes;
    struct segment_writer *w = plog_writer_of(log, seg);
    for (int f = SEGMENT_INDEX; f < SEGMENT_FILES && w; f++)
        index_tail_written(&w->tail[f], it->tail[f].at + it->tail[f].len);
}

static void item_failed(struct plog *log, const struct sync_item *it)
{
    struct segment *seg = item_segment(log, it);
    if (seg && it->entries)
        seg->entries_unsynced = true;
}

static void free_job(struct plog_sync *sync)
{
    for (uint32_t i = 0; i < sync->items; i++) {
        close_files(&sync->item[i]);
        for (int f = 0; f < SEGMENT_FILES; f++)
            mem_free(sync->item[i].tail[f].p);
    }
    mem_free(sync->item);
    mem_free(sync->epoch);
    mem_free(sync->seal);
    mem_free(sync->dir);
    mem_free(sync);
}

void plog_sync_abandon(struct plog *log)
{
    struct list *at;
    while ((at = list_pop(&log->jobs)))
        free_job(container_of(at, struct plog_sync, link));
}

void plog_sync_end(struct plog_sync *sync, bool ok)
{
    struct plog *log = sync->log;
    weir_check(log, PLOG_MAGIC);
    list_remove(&sync->link);
    log->sync_failed |= sync->failed;
    for (uint32_t i = 0; i < sync->items; i++) {
        if (ok)
            item_done(log, &sync->item[i]);
        else
            item_failed(log, &sync->item[i]);
    }
    if (ok) {
        log->names_synced = sync->names;
        log->parent_unsynced &= !sync->parent;
    }
    if (sync->checkpoint) {
        log->checkpointing = false;
        log->dirty |= !ok;
        if (ok && log->next_offset == log->written && !log->marked) {
            plog_finish_sealed(log);
            plog_unload_writer(log);
        }
    }
    free_job(sync);
}
