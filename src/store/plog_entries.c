/* The entries files of a segment: from memory to file and back.
 *
 * A sealed segment's files are compared with their CRCs when they are first used after an open; the
 * active segment's part below `synced` likewise, when its writer is loaded. What does not match is
 * built anew from the batches: both indexes follow from them, and of the sidecar every entry stays
 * whose own CRC fits its batch; where one is lost the batch's largest timestamp takes the append
 * time's place. */
#include "store/plog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* Reading a sidecar into memory to rebuild it: more is not taken. */
#define SIDECAR_BYTES_MAX (512u << 20)

static uint32_t entry_bytes(enum segment_file which)
{
    static const uint32_t bytes[SEGMENT_FILES] = {0, INDEX_ENTRY_BYTES, TIMEINDEX_ENTRY_BYTES,
                                                  SIDECAR_ENTRY_BYTES};
    return bytes[which];
}

enum err plog_write_tail(struct plog *log, struct segment_writer *w, enum segment_file which)
{
    struct disk_file *file;
    struct index_tail *tail = &w->tail[which];

    if (!index_tail_pending(tail))
        return ERR_OK;
    enum err err = plog_file(log, w->seg, which, tail->len > 0 ? DISK_CREATE : 0, &file);
    if (err == ERR_NOT_FOUND) { /* only to be cut */
        tail->stale = false;
        return ERR_OK;
    }
    return err ? err : index_tail_write(tail, file);
}

enum err plog_write_tails(struct plog *log, struct segment_writer *w)
{
    enum err err = ERR_OK;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && !err; i++)
        err = plog_write_tail(log, w, (enum segment_file)i);
    return err;
}

enum err plog_view(struct plog *log, struct segment *seg, enum segment_file which,
                   struct index_view *out)
{
    struct segment_writer *w = plog_writer_of(log, seg);
    *out = (struct index_view){.entry_bytes = entry_bytes(which)};
    out->skip = which == SEGMENT_SIDECAR ? SIDECAR_HEAD_BYTES : 0;
    if (w) {
        out->file_bytes = w->tail[which].at;
        out->mem = w->tail[which].mem;
        out->mem_bytes = w->tail[which].len;
    } else {
        out->file_bytes = seg->entries[which].bytes;
    }
    if (out->file_bytes == 0)
        return ERR_OK;
    return plog_file(log, seg, which, 0, &out->file);
}

/* The old sidecar's entries, as far as they can be read; for rebuild. */
struct old_sidecar {
    uint8_t *p;
    uint32_t bytes, at;
    int64_t first_append_ms;
};

static enum err old_sidecar_read(struct plog *log, struct segment *seg, struct old_sidecar *old)
{
    struct disk_file *file;
    uint64_t size = 0;
    size_t got = 0;

    *old = (struct old_sidecar){.at = SIDECAR_HEAD_BYTES};
    enum err err = plog_file(log, seg, SEGMENT_SIDECAR, 0, &file);
    if (!err)
        err = disk_size(file, &size);
    if (err || size < SIDECAR_HEAD_BYTES || size > SIDECAR_BYTES_MAX)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    old->p = mem_try((size_t)size);
    if (!old->p)
        return ERR_MEMORY;
    err = disk_read(file, old->p, (size_t)size, 0, &got);
    if (!err && got >= SIDECAR_HEAD_BYTES &&
        segment_sidecar_head(old->p, &old->first_append_ms) == ERR_OK)
        old->bytes = (uint32_t)got;
    return err;
}

/* The append time that the entry of the batch at `position` gives, if it is to be believed. */
static int64_t old_sidecar_time(struct old_sidecar *old, uint32_t position,
                                const struct batch_head *head, const uint8_t *raw)
{
    while (old->bytes >= SIDECAR_ENTRY_BYTES && old->at <= old->bytes - SIDECAR_ENTRY_BYTES) {
        const uint8_t *entry = old->p + old->at;
        uint32_t at = (uint32_t)index_field_get(entry, SIDECAR_POSITION);
        if (at > position)
            break;
        old->at += SIDECAR_ENTRY_BYTES;
        if (at == position &&
            (uint32_t)index_field_get(entry, SIDECAR_CRC) == segment_sidecar_crc(raw, entry))
            return old->first_append_ms + index_field_get(entry, SIDECAR_TIME);
    }
    return head->max_timestamp;
}

static enum err count_all(struct plog *log, struct segment_writer *w, struct old_sidecar *old)
{
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    const uint8_t *raw;
    uint32_t at;

    enum err err = plog_file(log, w->seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    segment_walk_init(&walk, file, 0, w->seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &at, &raw)) == ERR_OK) {
        int64_t append_ms = old_sidecar_time(old, at, &head, raw);
        if (!segment_writer_fits(w, &head, append_ms))
            append_ms = w->first_append_ms;
        segment_writer_count(w, &head, raw, append_ms, log->conf.index_interval_bytes);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Entries from the batches alone. The segment's writer afterwards, not yet in the chain. */
static enum err rebuild(struct plog *log, struct segment *seg, struct segment_writer **out)
{
    struct old_sidecar old;
    struct segment_writer *w = segment_writer_make(seg);
    int64_t max_timestamp = seg->max_timestamp;

    seg->max_timestamp = -1;
    enum err err = old_sidecar_read(log, seg, &old);
    if (!err)
        err = count_all(log, w, &old);
    mem_free(old.p);
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        w->tail[i].stale = true;
    if (err) {
        segment_writer_free(w);
        seg->max_timestamp = max_timestamp;
        return err;
    }
    seg->trusted = true;
    seg->entries_unsynced = log->dirty = true;
    *out = w;
    return ERR_OK;
}

static enum err rebuild_sealed(struct plog *log, struct segment *seg)
{
    struct segment_writer *w;
    enum err err = rebuild(log, seg, &w);
    if (err)
        return err;
    segment_writer_seal(w);
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        seg->entries[i] = index_tail_mark(&w->tail[i]);
    if (plog_write_tails(log, w) == ERR_OK) {
        segment_writer_free(w);
        return ERR_OK;
    }
    /* No room for them now: to the chain's end, until plog_finish_sealed can write them. */
    struct segment_writer **link = &log->writers;
    while (*link)
        link = &(*link)->older;
    *link = w;
    return ERR_OK;
}

/* ERR_OK if the file holds what the mark says, ERR_CORRUPT if it does not. whole: and nothing
 * behind it; else what is behind it is cut off. A mark of 0 bytes with a CRC does not know the
 * length. */
static enum err compare(struct plog *log, struct segment *seg, enum segment_file which, bool whole)
{
    struct index_mark *mark = &seg->entries[which];
    struct disk_file *file;
    uint64_t size = 0;
    uint32_t crc = 0;

    enum err err = plog_file(log, seg, which, 0, &file);
    if (err == ERR_NOT_FOUND)
        return mark->bytes == 0 && mark->crc == 0 ? ERR_OK : ERR_CORRUPT;
    if (!err)
        err = disk_size(file, &size);
    if (err || size > UINT32_MAX || size < mark->bytes)
        return err ? err : ERR_CORRUPT;
    if (whole && mark->bytes == 0)
        mark->bytes = (uint32_t)size;
    err = index_file_crc(file, mark->bytes, &crc);
    if (err || crc != mark->crc || (whole && size > mark->bytes))
        return err ? err : ERR_CORRUPT;
    return size > mark->bytes ? disk_truncate(file, mark->bytes) : ERR_OK;
}

static enum err compare_all(struct plog *log, struct segment *seg, bool whole)
{
    enum err err = ERR_OK;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES && !err; i++)
        err = compare(log, seg, (enum segment_file)i, whole);
    return err;
}

enum err plog_trust(struct plog *log, struct segment *seg)
{
    if (seg->trusted)
        return ERR_OK;
    if (log->has_active && seg == plog_last(log))
        return plog_load_writer(log);
    enum err err = compare_all(log, seg, true);
    if (err == ERR_CORRUPT)
        return rebuild_sealed(log, seg);
    seg->trusted = err == ERR_OK;
    return err;
}

/* What the last entries do not tell: the batches behind them. */
static enum err count_rest(struct plog *log, struct segment_writer *w, uint32_t from)
{
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    uint32_t at;

    enum err err = plog_file(log, w->seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    segment_walk_init(&walk, file, from, w->seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &at, NULL)) == ERR_OK) {
        if (head.max_timestamp <= w->max_timestamp)
            continue;
        w->max_timestamp = head.max_timestamp;
        w->max_offset = batch_last_offset(&head);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* The last entry of a view, all zero if it has none. */
static enum err last_entry(struct plog *log, struct segment *seg, enum segment_file which,
                           uint8_t *entry, bool *found)
{
    struct index_view view;
    enum err err = plog_view(log, seg, which, &view);
    if (err)
        return err;
    uint32_t n = index_view_count(&view);
    *found = n > 0;
    return n > 0 ? index_view_get(&view, n - 1, entry) : ERR_OK;
}

/* The totals of a writer whose entries are all in the files. */
static enum err load_totals(struct plog *log, struct segment_writer *w)
{
    struct segment *seg = w->seg;
    uint8_t entry[INDEX_ENTRY_BYTES_MAX];
    struct disk_file *file;
    bool found;
    uint32_t from = 0;
    size_t got = 0;

    seg->max_timestamp = -1;
    enum err err = last_entry(log, seg, SEGMENT_TIMEINDEX, entry, &found);
    if (!err && found) {
        seg->max_timestamp = w->max_timestamp = index_field_get(entry, TIMEINDEX_TIME);
        w->max_offset = seg->base + index_field_get(entry, TIMEINDEX_OFFSET);
    }
    if (!err)
        err = last_entry(log, seg, SEGMENT_INDEX, entry, &found);
    if (!err && found)
        from = (uint32_t)index_field_get(entry, INDEX_POSITION);
    if (!err)
        err = plog_file(log, seg, SEGMENT_SIDECAR, 0, &file);
    if (!err)
        err = disk_read(file, entry, SIDECAR_HEAD_BYTES, 0, &got);
    if (err)
        return err;
    if (got < SIDECAR_HEAD_BYTES || from > seg->bytes)
        return ERR_CORRUPT;
    err = segment_sidecar_head(entry, &w->first_append_ms);
    w->since_index = seg->bytes - from;
    w->bytes = seg->bytes;
    return err ? err : count_rest(log, w, from);
}

static enum err load(struct plog *log, struct segment *seg, struct segment_writer **out)
{
    enum err err = ERR_OK;
    if (!seg->trusted)
        err = seg->entries[SEGMENT_SIDECAR].bytes == 0 ? ERR_CORRUPT : compare_all(log, seg, false);
    if (err)
        return err == ERR_CORRUPT ? rebuild(log, seg, out) : err;
    struct segment_writer *w = segment_writer_make(seg);
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++) {
        w->tail[i].at = seg->entries[i].bytes;
        w->tail[i].crc = seg->entries[i].crc;
    }
    int64_t max_timestamp = seg->max_timestamp;
    err = load_totals(log, w);
    if (err) {
        segment_writer_free(w);
        seg->max_timestamp = max_timestamp;
        return err == ERR_CORRUPT || err == ERR_NOT_FOUND ? rebuild(log, seg, out) : err;
    }
    seg->trusted = true;
    *out = w;
    return ERR_OK;
}

/* The marks were taken before the writer was there; nothing has changed since. */
static void mark_loaded(struct plog *log, struct plog_mark *mark, struct segment_writer *w)
{
    if (!mark->has_active || mark->loaded || mark->segments != log->count)
        return;
    mark->writer = segment_writer_mark(w);
    mark->loaded = true;
}

enum err plog_load_writer(struct plog *log)
{
    struct segment *seg = plog_last(log);
    struct segment_writer *w;

    weir_assert(log->has_active);
    if (log->writers && log->writers->seg == seg)
        return ERR_OK;
    enum err err = load(log, seg, &w);
    if (err)
        return err;
    w->older = log->writers;
    log->writers = w;
    if (log->marks) {
        mark_loaded(log, &log->marks->flushed, w);
        mark_loaded(log, &log->marks->turn, w);
    }
    return ERR_OK;
}

void plog_unload_writer(struct plog *log)
{
    struct segment_writer *w = log->writers;
    if (!log->has_active || !w || w->seg != plog_last(log) || w->iov_count > 0 || log->marked)
        return;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        if (index_tail_pending(&w->tail[i]))
            return;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        w->seg->entries[i] = index_tail_mark(&w->tail[i]);
    w->seg->max_timestamp = w->max_timestamp;
    w->seg->max_known = true;
    log->writers = w->older;
    segment_writer_free(w);
    mem_free(log->marks);
    log->marks = NULL;
}

enum err plog_max_timestamp(struct plog *log, struct segment *seg, int64_t *out)
{
    struct segment_writer *w = plog_writer_of(log, seg);
    bool active = log->has_active && seg == plog_last(log);
    *out = w ? w->max_timestamp : seg->max_timestamp;
    if (w || !active || seg->max_known)
        return ERR_OK;
    enum err err = plog_load_writer(log);
    if (err)
        return err;
    *out = log->writers->max_timestamp;
    plog_unload_writer(log);
    return ERR_OK;
}

/* Position of the last index entry whose field is <= key, 0 when there is none. */
static enum err index_position(struct plog *log, struct segment *seg, struct index_field field,
                               int64_t key, uint32_t *at)
{
    uint8_t entry[INDEX_ENTRY_BYTES_MAX];
    struct index_view view;
    uint32_t n;

    *at = 0;
    enum err err = plog_trust(log, seg);
    if (!err)
        err = plog_view(log, seg, SEGMENT_INDEX, &view);
    if (!err)
        err = index_view_floor(&view, field, key, &n, entry);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    *at = (uint32_t)index_field_get(entry, INDEX_POSITION);
    return *at < seg->bytes ? ERR_OK : ERR_CORRUPT;
}

enum err plog_floor_position(struct plog *log, struct segment *seg, uint32_t at, uint32_t *out)
{
    return index_position(log, seg, INDEX_POSITION, at, out);
}

enum err plog_locate(struct plog *log, struct segment *seg, int64_t offset, uint32_t *at)
{
    struct segment_writer *w = plog_writer_of(log, seg);
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    uint32_t from;

    if (offset == log->hint_offset && seg->base == log->hint_segment) {
        *at = log->hint_at;
        return ERR_OK;
    }
    if (w && segment_writer_recent(w, offset, at) && *at < seg->bytes)
        return ERR_OK;
    enum err err = index_position(log, seg, INDEX_OFFSET, offset - seg->base, &from);
    if (!err)
        err = plog_file(log, seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    segment_walk_init(&walk, file, from, seg->bytes);
    while ((err = segment_walk_next(&walk, &head, at, NULL)) == ERR_OK)
        if (batch_last_offset(&head) >= offset)
            return ERR_OK;
    *at = seg->bytes;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
