/* Reads by time. A segment whose largest timestamp is too small is passed over, the time index
 * tells where in a segment to begin, batch heads tell which batches to open, and only those are
 * read.
 *
 * Timestamps need not be in order. The answer is the first record, by offset, that is at or behind
 * the wanted time: an entry (t, o) of the time index says that no batch before the one that ends at
 * o has a timestamp of t or more. */
#include "store/plog_internal.h"
#include "store/plog_records.h"

#include "base/assert.h"

struct find {
    int64_t ts;
    int64_t from, limit; /* offsets in [from, limit) count */
    int64_t offset, timestamp;
    int32_t epoch;
};

/* Where to begin in the segment: all batches before have timestamps below ts. */
static enum err start_position(struct plog *log, struct segment *seg, int64_t ts, uint32_t *at)
{
    uint8_t entry[INDEX_ENTRY_BYTES_MAX];
    struct index_view view;
    uint32_t n;

    *at = 0;
    enum err err = plog_trust(log, seg);
    if (!err)
        err = plog_view(log, seg, SEGMENT_TIMEINDEX, &view);
    if (!err)
        err = index_view_floor(&view, TIMEINDEX_TIME, ts, &n, entry);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    return plog_locate(log, seg, seg->base + index_field_get(entry, TIMEINDEX_OFFSET), at);
}

static enum err found(struct find *f, int64_t offset, int64_t timestamp, int32_t epoch)
{
    f->offset = offset;
    f->timestamp = timestamp;
    f->epoch = epoch;
    return ERR_OK;
}

static enum err find_in_records(struct plog_records *r, const struct batch_head *head,
                                struct find *f)
{
    struct record record;
    enum err err;
    while ((err = record_iter_next(&r->iter, &record)) == ERR_OK) {
        if (record.timestamp < f->ts || record.offset < f->from)
            continue;
        return record.offset < f->limit
                   ? found(f, record.offset, record.timestamp, head->leader_epoch)
                   : ERR_NOT_FOUND;
    }
    return err;
}

/* The first record of the batch that counts; ERR_NOT_FOUND: none does. */
static enum err find_in_batch(struct disk_file *file, uint32_t at, const struct batch_head *head,
                              struct find *f)
{
    int64_t first = head->base_offset > f->from ? head->base_offset : f->from;
    struct plog_records r;

    if (head->attributes & BATCH_APPEND_TIME) /* all of its records have the same */
        return found(f, first, head->max_timestamp, head->leader_epoch);
    enum err err = plog_records_open(&r, file, at, head);
    if (err == ERR_COMPRESSION) /* cannot be looked into: its beginning is not too late */
        err = found(f, first, head->max_timestamp, head->leader_epoch);
    else if (!err)
        err = find_in_records(&r, head, f);
    plog_records_close(&r);
    if (err == ERR_RECORD_INVALID &&
        (head->attributes & BATCH_CODEC_MASK)) /* the producer's doing */
        return found(f, first, head->max_timestamp, head->leader_epoch);
    return err == ERR_RECORD_INVALID ? ERR_CORRUPT : err;
}

static enum err find_in_segment(struct plog *log, struct segment *seg, struct find *f)
{
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    uint32_t at, first;

    enum err err = start_position(log, seg, f->ts, &at);
    if (!err && f->from > seg->base) {
        err = plog_locate(log, seg, f->from, &first);
        at = first > at ? first : at;
    }
    if (!err)
        err = plog_file(log, seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    segment_walk_init(&walk, file, at, seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &at, NULL)) == ERR_OK) {
        if (head.base_offset >= f->limit)
            return ERR_NOT_FOUND;
        if (head.max_timestamp < f->ts)
            continue;
        err = find_in_batch(file, at, &head, f);
        if (err != ERR_NOT_FOUND)
            return err;
    }
    return err;
}

enum err plog_find_time(struct plog *log, int64_t ts, int64_t limit, int64_t *offset,
                        int64_t *timestamp, int32_t *epoch)
{
    struct find f = {ts, log->log_start, limit < log->written ? limit : log->written, -1, -1, -1};
    enum err err = ERR_NOT_FOUND;

    weir_check(log, PLOG_MAGIC);
    int64_t first = plog_segment_of(log, f.from);
    for (uint32_t i = first < 0 ? 0 : (uint32_t)first; i < log->count && err == ERR_NOT_FOUND;
         i++) {
        int64_t newest;
        if (log->segs[i]->base >= f.limit)
            break;
        err = plog_max_timestamp(log, log->segs[i], &newest);
        if (!err)
            err = newest < ts ? ERR_NOT_FOUND : find_in_segment(log, log->segs[i], &f);
    }
    *offset = f.offset;
    *timestamp = f.timestamp;
    *epoch = f.epoch;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Largest timestamp of the batches that lie in [from, limit), by their heads. A batch across the
 * edge counts with its own: find_in_batch looks closer. */
struct newest {
    int64_t from, limit;
    int64_t timestamp;
};

static enum err newest_by_walk(struct plog *log, struct segment *seg, struct newest *n)
{
    struct segment_walk walk;
    struct disk_file *file;
    struct batch_head head;
    uint32_t at = 0;

    enum err err = n->from > seg->base ? plog_locate(log, seg, n->from, &at) : ERR_OK;
    if (!err)
        err = plog_file(log, seg, SEGMENT_LOG, 0, &file);
    if (err)
        return err;
    segment_walk_init(&walk, file, at, seg->bytes);
    while ((err = segment_walk_next(&walk, &head, &at, NULL)) == ERR_OK) {
        if (head.base_offset >= n->limit)
            break;
        if (head.max_timestamp <= n->timestamp)
            continue;
        bool whole = head.base_offset >= n->from && batch_next_offset(&head) <= n->limit;
        if (whole) {
            n->timestamp = head.max_timestamp;
            continue;
        }
        err = plog_records_newest(file, at, &head, n->from, n->limit, &n->timestamp);
        if (err)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err plog_find_max_time(struct plog *log, int64_t limit, int64_t *offset, int64_t *timestamp,
                            int32_t *epoch)
{
    struct newest n = {log->log_start, limit < log->written ? limit : log->written, -1};
    enum err err = ERR_OK;

    weir_check(log, PLOG_MAGIC);
    *offset = *timestamp = *epoch = -1;
    for (uint32_t i = 0; i < log->count && !err; i++) {
        struct segment *seg = log->segs[i];
        int64_t newest;
        if (seg->base >= n.limit)
            break;
        if (plog_segment_end(log, i) <= n.from)
            continue;
        err = plog_max_timestamp(log, seg, &newest);
        if (err || newest <= n.timestamp)
            continue;
        if (seg->base >= n.from && plog_segment_end(log, i) <= n.limit)
            n.timestamp = newest;
        else
            err = newest_by_walk(log, seg, &n);
    }
    if (err || n.timestamp < 0)
        return err;
    return plog_find_time(log, n.timestamp, n.limit, offset, timestamp, epoch);
}
