/* cursor.h: bounds-checked reading and growing writing of big-endian wire data.
 *
 * struct rd reads from borrowed bytes with a sticky error: read on, test once at the end. After an
 * error every read gives 0 or empty. struct wr appends to a buffer that grows; sizes are bounded by
 * the caller's own limits. Integers are big-endian unless the name ends in _le. Varints are
 * Protobuf's (LEB128), signed ones zig-zag, as in Kafka's records and flexible versions.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
    const uint8_t *at, *end;
    bool bad;
};

void rd_init(struct rd *r, const void *p, size_t n);
static inline size_t rd_left(const struct rd *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->at);
}
/* Marks the reader bad: a value was out of the format's range. */
void rd_fail(struct rd *r);

uint8_t rd_u8(struct rd *r);
int8_t rd_i8(struct rd *r);
int16_t rd_i16(struct rd *r);
uint16_t rd_u16(struct rd *r);
int32_t rd_i32(struct rd *r);
uint32_t rd_u32(struct rd *r);
int64_t rd_i64(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint32_t rd_u32_le(struct rd *r);
uint64_t rd_u64_le(struct rd *r);
/* Unsigned LEB128, at most 5 (uvarint) or 10 (uvarlong) bytes; longer is an error. */
uint32_t rd_uvarint(struct rd *r);
uint64_t rd_uvarlong(struct rd *r);
/* Zig-zag. */
int32_t rd_varint(struct rd *r);
int64_t rd_varlong(struct rd *r);
/* n bytes in place; NULL (and bad) when they are not there. n == 0 gives a non-NULL pointer. */
const uint8_t *rd_bytes(struct rd *r, size_t n);
void rd_skip(struct rd *r, size_t n);

struct wr {
    struct buf *buf; /* owned until wr_take; NULL before the first byte */
    size_t len;
};

void wr_init(struct wr *w, size_t reserve);
void wr_free(struct wr *w);
/* Room for n more bytes at the returned place, counted as written. */
uint8_t *wr_room(struct wr *w, size_t n);
void wr_u8(struct wr *w, uint8_t v);
void wr_i8(struct wr *w, int8_t v);
void wr_i16(struct wr *w, int16_t v);
void wr_i32(struct wr *w, int32_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_i64(struct wr *w, int64_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_u32_le(struct wr *w, uint32_t v);
void wr_u64_le(struct wr *w, uint64_t v);
void wr_uvarint(struct wr *w, uint32_t v);
void wr_uvarlong(struct wr *w, uint64_t v);
void wr_varint(struct wr *w, int32_t v);
void wr_varlong(struct wr *w, int64_t v);
void wr_bytes(struct wr *w, const void *p, size_t n);
/* Overwrites what was written before, at byte `at`. */
void wr_patch_i32(struct wr *w, size_t at, int32_t v);
void wr_patch_u32(struct wr *w, size_t at, uint32_t v);
void wr_patch_i64(struct wr *w, size_t at, int64_t v);
/* The written bytes as a slice that owns the buffer's reference; w is empty afterwards. */
struct slice wr_take(struct wr *w);

/* Fixed-width access at a place that the caller has checked. */
static inline uint16_t be16_get(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t be32_get(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t be64_get(const void *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline void be16_put(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    __builtin_memcpy(p, &v, 2);
}
static inline void be32_put(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, 4);
}
static inline void be64_put(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    __builtin_memcpy(p, &v, 8);
}
