/* index.h: the entries files beside a segment: offset index, time index, sidecar.
 *
 * Each is a file of entries of one size that only grows while its segment does. The newest entries
 * wait in memory (struct index_tail) and are written at a checkpoint, when the segment rolls, or
 * when there are INDEX_TAIL_MAX bytes of them. A view looks at both halves together.
 *
 *     offset index   8 bytes: last offset of a batch - base offset (4), byte position (4)
 *     time index    12 bytes: largest timestamp so far (8), last offset of its batch - base (4)
 *     sidecar       16 bytes: base offset of a batch - base (4), byte position (4),
 *                             append time - that of the segment's first batch, signed ms (4),
 *                             CRC-32C of the batch's 21 head bytes and the 12 above (4)
 *                   The first 16 bytes are its head: "weirappd" (8), first append time (8).
 *
 * Big-endian. Offset and time index are Kafka's (OffsetIndex.java, TimeIndex.java). One thread.
 */
#pragma once

#include "io/disk.h"

#include <stdbool.h>
#include <stdint.h>

#define INDEX_ENTRY_BYTES 8
#define TIMEINDEX_ENTRY_BYTES 12
#define SIDECAR_ENTRY_BYTES 16
#define INDEX_ENTRY_BYTES_MAX 16

/* Entries in memory beyond this are written out when the segment is. */
#define INDEX_TAIL_MAX 4096

struct index_tail {
    uint8_t *mem;      /* entries that are not in the file yet */
    uint32_t len, cap; /* bytes in mem */
    uint32_t at;       /* bytes in the file: mem follows them */
    uint32_t crc;      /* CRC-32C of all bytes */
    bool stale; /* the file may hold other bytes from `at` on: it is cut behind the next write */
};

/* Where a tail was, to come back to it. */
struct index_mark {
    uint32_t bytes, crc;
};

void index_tail_free(struct index_tail *t);
void index_tail_add(struct index_tail *t, const uint8_t *entry, uint32_t n);
static inline uint32_t index_tail_bytes(const struct index_tail *t)
{
    return t->at + t->len;
}
struct index_mark index_tail_mark(const struct index_tail *t);
/* Forgets the entries behind the mark. The file may keep some of them until they are overwritten.
 */
void index_tail_cut(struct index_tail *t, struct index_mark mark);
/* Bytes up to `end` are in the file. */
void index_tail_written(struct index_tail *t, uint32_t end);
/* Anything to write or to cut? */
static inline bool index_tail_pending(const struct index_tail *t)
{
    return t->len > 0 || t->stale;
}
/* Writes what is in memory. */
enum err must_use index_tail_write(struct index_tail *t, struct disk_file *file);

struct index_view {
    struct disk_file *file; /* may be NULL when file_bytes is 0 */
    uint32_t skip;          /* bytes before the first entry (the sidecar's head) */
    uint32_t file_bytes;    /* that count, skip included */
    const uint8_t *mem;     /* behind those of the file */
    uint32_t mem_bytes;
    uint32_t entry_bytes;
};

static inline uint32_t index_view_count(const struct index_view *v)
{
    uint32_t bytes = v->file_bytes + v->mem_bytes;
    return bytes < v->skip ? 0 : (bytes - v->skip) / v->entry_bytes;
}

/* A field of an entry, big-endian and signed: its first byte and its width, 4 or 8. */
struct index_field {
    uint32_t at, width;
};

#define INDEX_OFFSET ((struct index_field){0, 4})
#define INDEX_POSITION ((struct index_field){4, 4})
#define TIMEINDEX_TIME ((struct index_field){0, 8})
#define TIMEINDEX_OFFSET ((struct index_field){8, 4})
#define SIDECAR_OFFSET ((struct index_field){0, 4})
#define SIDECAR_POSITION ((struct index_field){4, 4})
#define SIDECAR_TIME ((struct index_field){8, 4})
#define SIDECAR_CRC ((struct index_field){12, 4})

int64_t index_field_get(const uint8_t *entry, struct index_field field);
enum err must_use index_view_get(const struct index_view *v, uint32_t n, uint8_t *entry);
/* The last entry whose field (which increases from entry to entry) is <= key: its number and bytes.
 * ERR_NOT_FOUND: there is none. */
enum err must_use index_view_floor(const struct index_view *v, struct index_field field,
                                   int64_t key, uint32_t *n, uint8_t *entry);
/* CRC-32C of the first `bytes` bytes of the file; ERR_CORRUPT: it is shorter. */
enum err must_use index_file_crc(struct disk_file *file, uint32_t bytes, uint32_t *crc);
