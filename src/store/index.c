#include "store/index.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/mem.h"

#include <string.h>

#define PROBE_BYTES 4096 /* a search ends with one read of at most this */

void index_tail_free(struct index_tail *t)
{
    mem_free(t->mem);
    *t = (struct index_tail){0};
}

void index_tail_add(struct index_tail *t, const uint8_t *entry, uint32_t n)
{
    if (t->cap - t->len < n) {
        t->cap = t->cap ? t->cap * 2 : 8 * INDEX_ENTRY_BYTES_MAX;
        t->mem = mem_realloc(t->mem, t->cap);
    }
    memcpy(t->mem + t->len, entry, n);
    t->len += n;
    t->crc = crc32c(t->crc, entry, n);
}

struct index_mark index_tail_mark(const struct index_tail *t)
{
    return (struct index_mark){index_tail_bytes(t), t->crc};
}

void index_tail_cut(struct index_tail *t, struct index_mark mark)
{
    weir_assert(mark.bytes <= index_tail_bytes(t));
    if (mark.bytes < t->at) {
        t->at = mark.bytes;
        t->stale = true;
    }
    t->len = mark.bytes - t->at;
    t->crc = mark.crc;
}

void index_tail_written(struct index_tail *t, uint32_t end)
{
    if (end <= t->at)
        return;
    uint32_t n = end - t->at;
    weir_assert(n <= t->len);
    memmove(t->mem, t->mem + n, t->len - n);
    t->len -= n;
    t->at = end;
}

enum err index_tail_write(struct index_tail *t, struct disk_file *file)
{
    enum err err = t->len > 0 ? disk_write(file, t->mem, t->len, t->at) : ERR_OK;
    if (err)
        return err;
    index_tail_written(t, t->at + t->len);
    if (t->stale)
        err = disk_truncate(file, t->at);
    t->stale &= err != ERR_OK;
    return err;
}

int64_t index_field_get(const uint8_t *entry, struct index_field field)
{
    return field.width == 8 ? (int64_t)be64_get(entry + field.at)
                            : (int32_t)be32_get(entry + field.at);
}

/* n bytes of the file, all of which must be there. */
static enum err read_all(struct disk_file *file, void *p, uint32_t n, uint64_t at)
{
    size_t got;
    enum err err = disk_read(file, p, n, at, &got);
    if (err)
        return err;
    return got == n ? ERR_OK : ERR_CORRUPT;
}

static uint32_t count_in_file(const struct index_view *v)
{
    return v->file_bytes < v->skip ? 0 : (v->file_bytes - v->skip) / v->entry_bytes;
}

enum err index_view_get(const struct index_view *v, uint32_t n, uint8_t *entry)
{
    weir_assert(n < index_view_count(v));
    uint32_t at = v->skip + n * v->entry_bytes;
    if (n < count_in_file(v))
        return read_all(v->file, entry, v->entry_bytes, at);
    memcpy(entry, v->mem + (at - v->file_bytes), v->entry_bytes);
    return ERR_OK;
}

/* How many of the n entries at p have the field <= key. */
static uint32_t count_up_to(const uint8_t *p, uint32_t n, uint32_t entry_bytes,
                            struct index_field field, int64_t key)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (index_field_get(p + (size_t)mid * entry_bytes, field) <= key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The same for the entries of the file: single probes until the rest fits into one read. */
static enum err count_in_file_up_to(const struct index_view *v, struct index_field field,
                                    int64_t key, uint32_t *out)
{
    uint8_t block[PROBE_BYTES];
    uint32_t low = 0, high = count_in_file(v);
    enum err err;

    while ((high - low) * v->entry_bytes > sizeof block) {
        uint32_t mid = low + (high - low) / 2;
        err = index_view_get(v, mid, block);
        if (err)
            return err;
        if (index_field_get(block, field) <= key)
            low = mid + 1;
        else
            high = mid;
    }
    *out = low;
    if (low == high)
        return ERR_OK;
    err = read_all(v->file, block, (high - low) * v->entry_bytes, v->skip + low * v->entry_bytes);
    if (!err)
        *out += count_up_to(block, high - low, v->entry_bytes, field, key);
    return err;
}

enum err index_view_floor(const struct index_view *v, struct index_field field, int64_t key,
                          uint32_t *n, uint8_t *entry)
{
    uint32_t in_file = count_in_file(v), in_mem = index_view_count(v) - in_file, below = 0;
    const uint8_t *mem = v->mem;
    if (in_mem > 0 && v->file_bytes < v->skip)
        mem += v->skip - v->file_bytes; /* the head is in memory too */
    if (in_mem > 0)
        below = count_up_to(mem, in_mem, v->entry_bytes, field, key);
    if (below > 0) {
        *n = in_file + below - 1;
    } else {
        enum err err = count_in_file_up_to(v, field, key, &below);
        if (err)
            return err;
        if (below == 0)
            return ERR_NOT_FOUND;
        *n = below - 1;
    }
    return index_view_get(v, *n, entry);
}

enum err index_file_crc(struct disk_file *file, uint32_t bytes, uint32_t *crc)
{
    uint8_t block[8192];
    *crc = 0;
    for (uint32_t at = 0; at < bytes;) {
        uint32_t n = bytes - at < sizeof block ? bytes - at : (uint32_t)sizeof block;
        enum err err = read_all(file, block, n, at);
        if (err)
            return err;
        *crc = crc32c(*crc, block, n);
        at += n;
    }
    return ERR_OK;
}
