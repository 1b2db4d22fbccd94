#include "store/plog_records.h"

#include "base/codec.h"

static enum err read_batch(struct disk_file *file, uint32_t at, uint32_t n, struct buf **out)
{
    size_t got = 0;
    *out = buf_try(n);
    if (!*out)
        return ERR_MEMORY;
    enum err err = disk_read(file, (*out)->data, n, at, &got);
    if (err)
        return err;
    return got == n ? ERR_OK : ERR_CORRUPT;
}

enum err plog_records_open(struct plog_records *r, struct disk_file *file, uint32_t at,
                           const struct batch_head *head)
{
    size_t n = head->bytes - BATCH_HEAD_BYTES;
    enum codec codec = (enum codec)(head->attributes & BATCH_CODEC_MASK);

    enum err err = read_batch(file, at, head->bytes, &r->buf);
    if (err)
        return err;
    const uint8_t *records = r->buf->data + BATCH_HEAD_BYTES;
    if (codec != CODEC_NONE) {
        struct buf *plain;
        err = codec_decompress(codec, records, n, PLOG_RECORDS_BYTES_MAX, &plain, &n);
        if (err)
            return err == ERR_MEMORY ? err : ERR_COMPRESSION;
        buf_unref(r->buf);
        r->buf = plain;
        records = plain->data;
    }
    record_iter_init(&r->iter, head, records, n);
    return ERR_OK;
}

void plog_records_close(struct plog_records *r)
{
    buf_unref(r->buf);
    r->buf = NULL;
}

enum err plog_records_newest(struct disk_file *file, uint32_t at, const struct batch_head *head,
                             int64_t from, int64_t limit, int64_t *newest)
{
    struct plog_records r;
    struct record record;

    enum err err = plog_records_open(&r, file, at, head);
    if (err == ERR_COMPRESSION)
        *newest = head->max_timestamp;
    while (!err && (err = record_iter_next(&r.iter, &record)) == ERR_OK)
        if (record.offset >= from && record.offset < limit && record.timestamp > *newest)
            *newest = record.timestamp;
    plog_records_close(&r);
    if (err == ERR_NOT_FOUND || err == ERR_COMPRESSION)
        return ERR_OK;
    return err == ERR_RECORD_INVALID ? ERR_CORRUPT : err;
}
