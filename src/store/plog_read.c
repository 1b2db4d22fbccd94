/* Reads by offset: file ranges of whole batches. The start is a batch start from the hint, the
 * newest batches, or the index; the end likewise, so that in the common cases (a reader at the
 * tail, a reader that goes on where it stopped) no batch head is read at all. */
#include "store/plog_internal.h"

#include "base/assert.h"

/* What may still be taken. */
struct want {
    int64_t limit;
    size_t bytes;
    bool min_one;
};

struct span {
    uint32_t at, end;
    int64_t next_offset;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A batch start in [from, ...] from which the end of the span is near: everything before it may be
 * taken. */
static enum err near_end(struct plog *log, struct segment *seg, uint32_t from,
                         const struct want *want, uint32_t *out)
{
    uint32_t by_bytes = seg->bytes, by_limit = by_bytes;
    enum err err = ERR_OK;

    if (want->bytes < seg->bytes - from)
        err = plog_floor_position(log, seg, from + (uint32_t)want->bytes, &by_bytes);
    /* The batch that holds limit - 1, or the one before the limit, starts below the limit. */
    if (!err && want->limit < log->written)
        err = plog_locate(log, seg, want->limit - 1, &by_limit);
    uint32_t at = min_u32(by_bytes, by_limit);
    *out = at > from ? at : from;
    return err;
}

/* Walks on from a place near the end, batch by batch. */
static enum err walk_end(struct segment *seg, struct disk_file *file, uint32_t at,
                         const struct want *want, struct span *span)
{
    struct segment_walk walk;
    struct batch_head head;
    uint32_t pos;
    enum err err;

    span->end = at;
    segment_walk_init(&walk, file, at, seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &pos, NULL)) == ERR_OK) {
        bool fits = pos + head.bytes - span->at <= want->bytes;
        if (batch_last_offset(&head) >= want->limit ||
            (!fits && !(pos == span->at && want->min_one))) {
            if (pos > span->at)
                span->next_offset = head.base_offset;
            return ERR_OK;
        }
        span->end = pos + head.bytes;
        span->next_offset = batch_next_offset(&head);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* What of segment i, from `from` on, may be taken. */
static enum err find_span(struct plog *log, uint32_t i, int64_t from, const struct want *want,
                          struct disk_file **file, struct span *span)
{
    struct segment *seg = log->segs[i];
    struct segment_writer *w = plog_writer_of(log, seg);
    uint32_t near;

    span->next_offset = from;
    enum err err = plog_locate(log, seg, from, &span->at);
    span->end = span->at;
    if (err || span->at == seg->bytes) {
        span->next_offset = plog_segment_end(log, i);
        return err;
    }
    if (want->limit >= plog_segment_end(log, i) && seg->bytes - span->at <= want->bytes) {
        span->end = seg->bytes;
        span->next_offset = plog_segment_end(log, i);
    } else if (w && segment_writer_recent(w, want->limit, &near) && near >= span->at &&
               near - span->at <= want->bytes) {
        span->end = near;
        span->next_offset = near > span->at ? want->limit : from;
    } else {
        err = near_end(log, seg, span->at, want, &near);
        if (!err)
            err = plog_file(log, seg, SEGMENT_LOG, 0, file);
        if (!err)
            err = walk_end(seg, *file, near, want, span);
    }
    return err;
}

static void keep_hint(struct plog *log, struct segment *seg, const struct span *span)
{
    log->hint_offset = span->next_offset;
    log->hint_segment = seg->base;
    log->hint_at = span->end;
}

enum err plog_read(struct plog *log, int64_t from, int64_t limit, size_t bytes_max, bool min_one,
                   struct chunkq *out, int64_t *next_offset)
{
    struct want want = {limit < log->written ? limit : log->written, bytes_max, min_one};

    bool taken = false;

    weir_check(log, PLOG_MAGIC);
    *next_offset = from;
    if (from < log->log_start || from > log->next_offset)
        return ERR_OFFSET_RANGE;
    int64_t first = plog_segment_of(log, from);
    for (uint32_t i = first < 0 ? 0 : (uint32_t)first; i < log->count; i++) {
        struct disk_file *file;
        struct span span;
        if (*next_offset >= want.limit || (want.bytes == 0 && !want.min_one))
            break;
        enum err err = find_span(log, i, *next_offset, &want, &file, &span);
        if (!err && span.end > span.at)
            err = plog_file(log, log->segs[i], SEGMENT_LOG, 0, &file);
        if (err)
            return taken ? ERR_OK : err;
        *next_offset = span.next_offset;
        if (span.end == span.at) {
            if (span.at < log->segs[i]->bytes)
                break; /* nothing more fits */
            continue;
        }
        uint32_t n = span.end - span.at;
        chunkq_add_file(out, file_ref_get(&file->ref), span.at, n);
        keep_hint(log, log->segs[i], &span);
        taken = true;
        want.min_one = false;
        want.bytes = n < want.bytes ? want.bytes - n : 0;
        if (span.end < log->segs[i]->bytes)
            break;
    }
    return ERR_OK;
}

/* The sidecar's entries in step with a walk. */
struct sidecar_walk {
    struct index_view view;
    uint32_t next;
    int64_t first_append_ms;
};

/* From the entry whose field is at most `key` on. The view's file is the walk's own reference, to
 * be closed whatever is returned. */
static enum err sidecar_start(struct plog *log, struct segment *seg, struct index_field field,
                              int64_t key, struct sidecar_walk *s)
{
    uint8_t entry[INDEX_ENTRY_BYTES_MAX];
    struct segment_writer *w = plog_writer_of(log, seg);

    *s = (struct sidecar_walk){0};
    enum err err = plog_view(log, seg, SEGMENT_SIDECAR, &s->view);
    if (err)
        return err;
    if (s->view.file)
        file_ref_get(&s->view.file->ref);
    err = index_view_floor(&s->view, field, key, &s->next, entry);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    if (w) {
        s->first_append_ms = w->first_append_ms;
        return ERR_OK;
    }
    size_t got;
    err = disk_read(s->view.file, entry, SIDECAR_HEAD_BYTES, 0, &got);
    if (err)
        return err;
    return got < SIDECAR_HEAD_BYTES ? ERR_CORRUPT
                                    : segment_sidecar_head(entry, &s->first_append_ms);
}

/* The append time of the batch whose field is `key`, -1 when the sidecar does not know. */
static int64_t sidecar_time(struct sidecar_walk *s, struct index_field field, int64_t key,
                            const uint8_t *raw)
{
    uint8_t entry[INDEX_ENTRY_BYTES_MAX];
    if (s->next >= index_view_count(&s->view) ||
        index_view_get(&s->view, s->next++, entry) != ERR_OK ||
        index_field_get(entry, field) != key ||
        (uint32_t)index_field_get(entry, SIDECAR_CRC) != segment_sidecar_crc(raw, entry))
        return -1;
    return s->first_append_ms + index_field_get(entry, SIDECAR_TIME);
}

typedef void scan_fn(void *arg, const struct batch_head *head, int64_t append_ms);

static enum err scan_from(struct plog *log, struct segment *seg, uint32_t from,
                          struct sidecar_walk *sidecar, scan_fn *fn, void *arg)
{
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    const uint8_t *raw;
    uint32_t at;

    enum err err = plog_file(log, seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    file_ref_get(&file->ref); /* fn may read other files */
    segment_walk_init(&walk, file, from, seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &at, &raw)) == ERR_OK)
        fn(arg, &head, sidecar_time(sidecar, SIDECAR_POSITION, at, raw));
    disk_close(file);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err scan_segment(struct plog *log, struct segment *seg, int64_t from, scan_fn *fn,
                             void *arg)
{
    struct sidecar_walk sidecar;
    uint32_t at = 0;

    enum err err = plog_trust(log, seg);
    if (!err)
        err = plog_locate(log, seg, from, &at);
    if (err || at == seg->bytes)
        return err;
    err = sidecar_start(log, seg, SIDECAR_POSITION, at, &sidecar);
    if (!err)
        err = scan_from(log, seg, at, &sidecar, fn, arg);
    disk_close(sidecar.view.file);
    return err;
}

enum err plog_scan(struct plog *log, int64_t from,
                   void (*fn)(void *arg, const struct batch_head *head, int64_t append_ms),
                   void *arg)
{
    weir_check(log, PLOG_MAGIC);
    int64_t first = plog_segment_of(log, from);
    for (uint32_t i = first < 0 ? 0 : (uint32_t)first; i < log->count; i++) {
        enum err err = scan_segment(log, log->segs[i], from, fn, arg);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* ---- times of what was read ---- */

struct times {
    int64_t *out;
    unsigned n, known;
    const struct chunk *chunk;
    size_t at;              /* in the chunk */
    struct batch_head head; /* of the batch there */
};

/* The next batch of what was read; false: there is none, or times enough are known. */
static bool times_next(struct times *t)
{
    while (t->chunk != NULL && t->at == t->chunk->len) {
        t->chunk = t->chunk->next;
        t->at = 0;
    }
    return t->known < t->n && t->chunk != NULL &&
           batch_head_read(t->chunk->slice.at + t->at, t->chunk->len - t->at, &t->head) == ERR_OK &&
           t->head.bytes <= t->chunk->len - t->at;
}

/* Those of segment i. */
static enum err times_in_segment(struct plog *log, uint32_t i, struct times *t)
{
    struct segment *seg = log->segs[i];
    struct sidecar_walk sidecar;
    enum err err = plog_trust(log, seg);
    if (err)
        return err;
    err = sidecar_start(log, seg, SIDECAR_OFFSET, t->head.base_offset - seg->base, &sidecar);
    while (!err && times_next(t) && t->head.base_offset < plog_segment_end(log, i)) {
        const uint8_t *raw = t->chunk->slice.at + t->at;
        t->out[t->known++] =
            sidecar_time(&sidecar, SIDECAR_OFFSET, t->head.base_offset - seg->base, raw);
        t->at += t->head.bytes;
    }
    disk_close(sidecar.view.file);
    return err;
}

enum err plog_append_times(struct plog *log, const struct chunkq *loaded, int64_t *out, unsigned n)
{
    struct times t = {.out = out, .n = n, .chunk = loaded->head};

    weir_check(log, PLOG_MAGIC);
    while (times_next(&t)) {
        int64_t i = plog_segment_of(log, t.head.base_offset);
        enum err err = i < 0 ? ERR_CORRUPT : times_in_segment(log, (uint32_t)i, &t);
        if (err)
            return err;
    }
    return ERR_OK;
}
