#include "store/segment_writer.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/mem.h"

#include <string.h>

static const uint8_t sidecar_magic[8] = {'w', 'e', 'i', 'r', 'a', 'p', 'p', 'd'};

static void forget_recent(struct segment_writer *w)
{
    for (int i = 0; i < SEGMENT_RECENT; i++)
        w->recent[i].offset = -1;
}

struct segment_writer *segment_writer_make(struct segment *seg)
{
    struct segment_writer *w = mem_zalloc(1, sizeof *w);
    w->seg = seg;
    w->max_timestamp = w->max_offset = -1;
    forget_recent(w);
    return w;
}

void segment_writer_free(struct segment_writer *w)
{
    if (!w)
        return;
    for (int i = 0; i < SEGMENT_FILES; i++)
        index_tail_free(&w->tail[i]);
    mem_free(w->iov);
    mem_free(w);
}

bool segment_writer_fits(const struct segment_writer *w, const struct batch_head *head,
                         int64_t append_ms)
{
    if (w->bytes == 0)
        return true;
    int64_t age = append_ms - w->first_append_ms;
    return head->bytes <= SEGMENT_BYTES_MAX - w->bytes && age <= INT32_MAX && age >= INT32_MIN &&
           batch_last_offset(head) - w->seg->base <= INT32_MAX;
}

uint32_t segment_sidecar_crc(const uint8_t *raw, const uint8_t *entry)
{
    return crc32c(crc32c(0, raw, BATCH_CRC_FROM), entry, SIDECAR_CRC.at);
}

enum err segment_sidecar_head(const uint8_t head[SIDECAR_HEAD_BYTES], int64_t *first_append_ms)
{
    *first_append_ms = (int64_t)be64_get(head + 8);
    return memcmp(head, sidecar_magic, sizeof sidecar_magic) == 0 ? ERR_OK : ERR_CORRUPT;
}

static void sidecar_add(struct segment_writer *w, const struct batch_head *head, const uint8_t *raw,
                        int64_t append_ms)
{
    struct index_tail *tail = &w->tail[SEGMENT_SIDECAR];
    uint8_t entry[SIDECAR_ENTRY_BYTES];

    if (w->bytes == 0) {
        w->first_append_ms = append_ms;
        memcpy(entry, sidecar_magic, sizeof sidecar_magic);
        be64_put(entry + 8, (uint64_t)append_ms);
        index_tail_add(tail, entry, SIDECAR_HEAD_BYTES);
    }
    be32_put(entry + SIDECAR_OFFSET.at, (uint32_t)(head->base_offset - w->seg->base));
    be32_put(entry + SIDECAR_POSITION.at, w->bytes);
    be32_put(entry + SIDECAR_TIME.at, (uint32_t)(append_ms - w->first_append_ms));
    be32_put(entry + SIDECAR_CRC.at, segment_sidecar_crc(raw, entry));
    index_tail_add(tail, entry, SIDECAR_ENTRY_BYTES);
}

static void timeindex_add(struct segment_writer *w)
{
    uint8_t entry[TIMEINDEX_ENTRY_BYTES];
    if (w->max_timestamp <= w->seg->max_timestamp)
        return; /* has not grown since the last entry */
    w->seg->max_timestamp = w->max_timestamp;
    be64_put(entry + TIMEINDEX_TIME.at, (uint64_t)w->max_timestamp);
    be32_put(entry + TIMEINDEX_OFFSET.at, (uint32_t)(w->max_offset - w->seg->base));
    index_tail_add(&w->tail[SEGMENT_TIMEINDEX], entry, TIMEINDEX_ENTRY_BYTES);
}

static void index_add(struct segment_writer *w, const struct batch_head *head)
{
    uint8_t entry[INDEX_ENTRY_BYTES];
    be32_put(entry + INDEX_OFFSET.at, (uint32_t)(batch_last_offset(head) - w->seg->base));
    be32_put(entry + INDEX_POSITION.at, w->bytes);
    index_tail_add(&w->tail[SEGMENT_INDEX], entry, INDEX_ENTRY_BYTES);
}

void segment_writer_count(struct segment_writer *w, const struct batch_head *head,
                          const uint8_t *raw, int64_t append_ms, uint32_t index_interval)
{
    sidecar_add(w, head, raw, append_ms);
    if (head->max_timestamp > w->max_timestamp) {
        w->max_timestamp = head->max_timestamp;
        w->max_offset = batch_last_offset(head);
    }
    if (w->since_index > index_interval) {
        index_add(w, head);
        timeindex_add(w);
        w->since_index = 0;
    }
    w->recent[w->recent_next++ % SEGMENT_RECENT] =
        (struct segment_recent){head->base_offset, w->bytes};
    w->since_index += head->bytes;
    w->bytes += head->bytes;
}

void segment_writer_queue(struct segment_writer *w, struct slice batch)
{
    struct iovec *last = w->iov_count ? &w->iov[w->iov_count - 1] : NULL;
    if (last && (uint8_t *)last->iov_base + last->iov_len == batch.at) {
        last->iov_len += batch.len; /* as batches of one request lie */
        return;
    }
    if (w->iov_count == w->iov_cap) {
        w->iov_cap = w->iov_cap ? w->iov_cap * 2 : 4;
        w->iov = mem_realloc(w->iov, w->iov_cap * sizeof *w->iov);
    }
    w->iov[w->iov_count++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)batch.at, .iov_len = batch.len};
}

void segment_writer_seal(struct segment_writer *w)
{
    timeindex_add(w);
}

bool segment_writer_recent(const struct segment_writer *w, int64_t offset, uint32_t *at)
{
    for (uint32_t i = 0; i < SEGMENT_RECENT; i++) {
        const struct segment_recent *r = &w->recent[(w->recent_next - 1 - i) % SEGMENT_RECENT];
        if (r->offset != offset)
            continue;
        *at = r->at;
        return true;
    }
    return false;
}

struct segment_writer_mark segment_writer_mark(const struct segment_writer *w)
{
    struct segment_writer_mark mark = {
        .bytes = w->bytes,
        .since_index = w->since_index,
        .max_timestamp = w->max_timestamp,
        .max_offset = w->max_offset,
        .seg_max_timestamp = w->seg->max_timestamp,
    };
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        mark.entries[i] = index_tail_mark(&w->tail[i]);
    return mark;
}

void segment_writer_undo(struct segment_writer *w, const struct segment_writer_mark *mark)
{
    w->bytes = mark->bytes;
    w->since_index = mark->since_index;
    w->max_timestamp = mark->max_timestamp;
    w->max_offset = mark->max_offset;
    w->seg->max_timestamp = mark->seg_max_timestamp;
    for (int i = SEGMENT_INDEX; i < SEGMENT_FILES; i++)
        index_tail_cut(&w->tail[i], mark->entries[i]);
    w->iov_count = 0;
    forget_recent(w);
}
