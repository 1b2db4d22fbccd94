/* The file, integers big-endian:
 *
 *     magic "WMF1" 4, CRC-32C of all that follows 4,
 *     incarnation 4, clean 4, sequence 8, journal file 4, place in it 8, logs 4,
 *     then for each log: length of the entry 4, entry
 *
 *     entry: topic id 16, partition 4, log start 8, next offset 8, synced segment 8, place in it 4,
 *            epochs 4, each {epoch 4, start 8},
 *            sealed segments 4, each {base 8, bytes 8, index CRC 4, time index CRC 4,
 *                                     sidecar CRC 4, largest timestamp 8},
 *            of the active segment, index, time index and sidecar: bytes 4 each, CRC 4 each,
 *            snapshot from 8, snapshot length 4, snapshot
 */
#include "store/manifest.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "store/layout.h"

#include <string.h>

#define MAGIC 0x574d4631u /* "WMF1" */
#define HEAD_BYTES 40
#define CRC_FROM 8
#define EPOCH_BYTES 12
#define SEAL_BYTES 36

static void state_put(struct wr *w, const struct plog_state *s)
{
    wr_i64(w, s->log_start);
    wr_i64(w, s->next_offset);
    wr_i64(w, s->synced.segment);
    wr_u32(w, s->synced.at);
    wr_i32(w, s->epochs);
    for (int32_t i = 0; i < s->epochs; i++) {
        wr_i32(w, s->epoch[i].epoch);
        wr_i64(w, s->epoch[i].start);
    }
    wr_i32(w, s->sealed);
    for (int32_t i = 0; i < s->sealed; i++) {
        wr_i64(w, s->seal[i].segment);
        wr_u64(w, s->seal[i].log_bytes);
        wr_u32(w, s->seal[i].index_crc);
        wr_u32(w, s->seal[i].timeindex_crc);
        wr_u32(w, s->seal[i].append_crc);
        wr_i64(w, s->seal[i].max_timestamp);
    }
    wr_u32(w, s->active.index_bytes);
    wr_u32(w, s->active.timeindex_bytes);
    wr_u32(w, s->active.append_bytes);
    wr_u32(w, s->active.index_crc);
    wr_u32(w, s->active.timeindex_crc);
    wr_u32(w, s->active.append_crc);
}

struct slice manifest_log_encode(const struct manifest_log *log)
{
    struct wr w;
    size_t state = (size_t)log->state.epochs * EPOCH_BYTES + (size_t)log->state.sealed * SEAL_BYTES;
    wr_init(&w, 96 + state + log->snapshot.len);
    wr_bytes(&w, log->id.topic.b, 16);
    wr_u32(&w, log->id.partition);
    state_put(&w, &log->state);
    wr_i64(&w, log->snapshot_from);
    wr_u32(&w, (uint32_t)log->snapshot.len);
    wr_bytes(&w, log->snapshot.at, log->snapshot.len);
    return wr_take(&w);
}

void manifest_log_id(struct slice entry, struct store_log_id *out)
{
    weir_assert(entry.len >= 20);
    memcpy(out->topic.b, entry.at, 16);
    out->partition = be32_get(entry.at + 16);
}

static void epochs_get(struct rd *r, struct plog_state *s)
{
    s->epochs = rd_i32(r);
    if (s->epochs < 0 || (size_t)s->epochs > rd_left(r) / EPOCH_BYTES)
        rd_fail(r);
    if (r->bad)
        s->epochs = 0;
    struct plog_epoch *epoch = mem_zalloc((size_t)s->epochs, sizeof(*epoch));
    for (int32_t i = 0; i < s->epochs; i++) {
        epoch[i].epoch = rd_i32(r);
        epoch[i].start = rd_i64(r);
    }
    s->epoch = epoch;
}

static void seals_get(struct rd *r, struct plog_state *s)
{
    s->sealed = rd_i32(r);
    if (s->sealed < 0 || (size_t)s->sealed > rd_left(r) / SEAL_BYTES)
        rd_fail(r);
    if (r->bad)
        s->sealed = 0;
    struct plog_sealed *seal = mem_zalloc((size_t)s->sealed, sizeof(*seal));
    for (int32_t i = 0; i < s->sealed; i++) {
        seal[i].segment = rd_i64(r);
        seal[i].log_bytes = rd_u64(r);
        seal[i].index_crc = rd_u32(r);
        seal[i].timeindex_crc = rd_u32(r);
        seal[i].append_crc = rd_u32(r);
        seal[i].max_timestamp = rd_i64(r);
    }
    s->seal = seal;
}

static void active_get(struct rd *r, struct plog_state *s)
{
    s->active.index_bytes = rd_u32(r);
    s->active.timeindex_bytes = rd_u32(r);
    s->active.append_bytes = rd_u32(r);
    s->active.index_crc = rd_u32(r);
    s->active.timeindex_crc = rd_u32(r);
    s->active.append_crc = rd_u32(r);
}

enum err manifest_log_decode(struct slice entry, struct manifest_log *out)
{
    struct rd r;
    memset(out, 0, sizeof(*out));
    rd_init(&r, entry.at, entry.len);
    const uint8_t *topic = rd_bytes(&r, 16);
    if (topic)
        memcpy(out->id.topic.b, topic, 16);
    out->id.partition = rd_u32(&r);
    out->state.log_start = rd_i64(&r);
    out->state.next_offset = rd_i64(&r);
    out->state.synced.segment = rd_i64(&r);
    out->state.synced.at = rd_u32(&r);
    epochs_get(&r, &out->state);
    seals_get(&r, &out->state);
    active_get(&r, &out->state);
    out->snapshot_from = rd_i64(&r);
    size_t n = rd_u32(&r);
    out->snapshot = (struct slice){entry.buf, rd_bytes(&r, n), n};
    if (!r.bad && rd_left(&r) == 0)
        return ERR_OK;
    manifest_log_free(out);
    return ERR_CORRUPT;
}

void manifest_log_free(struct manifest_log *log)
{
    mem_free((void *)(uintptr_t)log->state.epoch);
    mem_free((void *)(uintptr_t)log->state.seal);
    memset(log, 0, sizeof(*log));
}

enum err manifest_write(struct disk *disk, const char *dir, const struct manifest_head *head,
                        const struct slice *entries)
{
    struct wr w;
    size_t bytes = HEAD_BYTES;
    for (uint32_t i = 0; i < head->logs; i++)
        bytes += 4 + entries[i].len;
    if (bytes > MANIFEST_BYTES_MAX)
        return ERR_MEMORY;
    wr_init(&w, bytes);
    wr_u32(&w, MAGIC);
    wr_u32(&w, 0);
    wr_u32(&w, head->incarnation);
    wr_u32(&w, head->clean ? 1 : 0);
    wr_u64(&w, head->sequence);
    wr_u32(&w, head->file);
    wr_u64(&w, head->at);
    wr_u32(&w, head->logs);
    for (uint32_t i = 0; i < head->logs; i++) {
        wr_u32(&w, (uint32_t)entries[i].len);
        wr_bytes(&w, entries[i].at, entries[i].len);
    }
    wr_patch_u32(&w, 4, crc32c(0, w.buf->data + CRC_FROM, w.len - CRC_FROM));
    enum err err = disk_replace_file(disk, dir, "manifest", w.buf->data, w.len);
    wr_free(&w);
    return err;
}

static enum err parse(struct buf *buf, size_t n, struct manifest_head *head, manifest_entry_fn *fn,
                      void *arg)
{
    struct rd r;
    rd_init(&r, buf->data, n);
    uint32_t magic = rd_u32(&r), crc = rd_u32(&r);
    if (r.bad || magic != MAGIC || crc != crc32c(0, buf->data + CRC_FROM, n - CRC_FROM))
        return ERR_CORRUPT;
    head->incarnation = rd_u32(&r);
    head->clean = rd_u32(&r) != 0;
    head->sequence = rd_u64(&r);
    head->file = rd_u32(&r);
    head->at = rd_u64(&r);
    head->logs = rd_u32(&r);
    for (uint32_t i = 0; i < head->logs; i++) {
        size_t len = rd_u32(&r);
        const uint8_t *at = rd_bytes(&r, len);
        if (r.bad || len < 20)
            return ERR_CORRUPT;
        fn(arg, (struct slice){buf, at, len});
    }
    return rd_left(&r) == 0 && !r.bad ? ERR_OK : ERR_CORRUPT;
}

enum err manifest_read(struct disk *disk, const char *dir, struct manifest_head *head,
                       manifest_entry_fn *fn, void *arg, struct err_text *text)
{
    struct layout_path at;
    const char *path = layout_in(&at, dir, "manifest");
    struct buf *buf;
    size_t n;
    enum err err = disk_read_file(disk, path, MANIFEST_BYTES_MAX, &buf, &n);
    if (err == ERR_NOT_FOUND)
        return err;
    if (err)
        return err_say(text, err, "reading %s: %s", path, err_meaning(err));
    err = parse(buf, n, head, fn, arg);
    buf_unref(buf);
    if (err)
        return err_say(text, err, "%s is damaged: restore the data folder from a backup", path);
    return ERR_OK;
}
