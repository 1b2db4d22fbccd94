/* cursor.h: bounds-checked reading and growing writing of big-endian wire data.
 *
 * struct rd reads from borrowed bytes with a sticky error: read on, test once at the end. After an
 * error every read gives 0 or empty. struct wr appends to a buffer that grows; sizes are bounded by
 * the caller's own limits. Integers are big-endian unless the name ends in _le. Varints are
 * Protobuf's (LEB128), signed ones zig-zag, as in Kafka's records and flexible versions.
 *
 * What every record passes through is inline.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed-width access at a place that the caller has checked. */
static inline uint16_t be16_get(const void *p)
{
    uint16_t v;
    __builtin_memcpy(&v, p, 2);
    return __builtin_bswap16(v);
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

struct rd {
    const uint8_t *at, *end; /* after an error end == at, the place of the error */
    bool bad;
};

void rd_init(struct rd *r, const void *p, size_t n);

static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->at);
}

/* Marks the reader bad: a value was out of the format's range. */
static inline void rd_fail(struct rd *r)
{
    r->bad = true;
    r->end = r->at;
}

/* n bytes in place; NULL (and bad) when they are not there. n == 0 gives a non-NULL pointer. */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
    if (__builtin_expect(n > rd_left(r) || r->bad, 0)) {
        rd_fail(r);
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static inline void rd_skip(struct rd *r, size_t n)
{
    (void)rd_bytes(r, n);
}

static inline uint8_t rd_u8(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 1);
    return p != NULL ? *p : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 2);
    return p != NULL ? be16_get(p) : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 4);
    return p != NULL ? be32_get(p) : 0;
}

static inline uint64_t rd_u64(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 8);
    return p != NULL ? be64_get(p) : 0;
}

static inline int8_t rd_i8(struct rd *r)
{
    return (int8_t)rd_u8(r);
}

static inline int16_t rd_i16(struct rd *r)
{
    return (int16_t)rd_u16(r);
}

static inline int32_t rd_i32(struct rd *r)
{
    return (int32_t)rd_u32(r);
}

static inline int64_t rd_i64(struct rd *r)
{
    return (int64_t)rd_u64(r);
}

static inline uint32_t rd_u32_le(struct rd *r)
{
    return __builtin_bswap32(rd_u32(r));
}

static inline uint64_t rd_u64_le(struct rd *r)
{
    return __builtin_bswap64(rd_u64(r));
}

/* The general case of the two below. */
uint32_t rd_uvarint_long(struct rd *r);
uint64_t rd_uvarlong_long(struct rd *r);

/* Unsigned LEB128, at most 5 (uvarint) or 10 (uvarlong) bytes; longer is an error, and so is a
 * value of more than 32 or 64 bits. Zero bits that pad a value within those bytes are accepted. */
static inline uint32_t rd_uvarint(struct rd *r)
{
    if (__builtin_expect(r->at != r->end && *r->at < 0x80, 1))
        return *r->at++;
    if (r->end - r->at >= 2 && r->at[1] < 0x80) { /* lengths of what is not tiny */
        r->at += 2;
        return (uint32_t)r->at[-2] - 0x80 + ((uint32_t)r->at[-1] << 7);
    }
    return rd_uvarint_long(r);
}

static inline uint64_t rd_uvarlong(struct rd *r)
{
    if (__builtin_expect(r->at != r->end && *r->at < 0x80, 1))
        return *r->at++;
    return rd_uvarlong_long(r);
}

/* Zig-zag. */
static inline int32_t rd_varint(struct rd *r)
{
    uint32_t v = rd_uvarint(r);
    return (int32_t)(v >> 1 ^ (0 - (v & 1)));
}

static inline int64_t rd_varlong(struct rd *r)
{
    uint64_t v = rd_uvarlong(r);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

struct wr {
    struct buf *buf; /* owned until wr_take; NULL before the first byte */
    size_t len;
};

void wr_init(struct wr *w, size_t reserve);
void wr_free(struct wr *w);
/* Empties it, and keeps its buffer for what comes next, unless that is larger than `keep` bytes. */
void wr_reuse(struct wr *w, size_t keep);

/* Makes room for n more bytes by doubling; for wr_room. */
void wr_grow(struct wr *w, size_t n);

/* Room for n more bytes, that are not written yet: they need not grow it. */
static inline void wr_reserve(struct wr *w, size_t n)
{
    if (w->buf == NULL || n > w->buf->cap - w->len)
        wr_grow(w, n);
}

/* Room for n more bytes at the returned place, counted as written. */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
    if (__builtin_expect(w->buf == NULL || n > w->buf->cap - w->len, 0))
        wr_grow(w, n);
    uint8_t *p = w->buf->data + w->len;
    w->len += n;
    return p;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
    *wr_room(w, 1) = v;
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
    be16_put(wr_room(w, 2), v);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
    be32_put(wr_room(w, 4), v);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
    be64_put(wr_room(w, 8), v);
}

static inline void wr_i8(struct wr *w, int8_t v)
{
    wr_u8(w, (uint8_t)v);
}

static inline void wr_i16(struct wr *w, int16_t v)
{
    wr_u16(w, (uint16_t)v);
}

static inline void wr_i32(struct wr *w, int32_t v)
{
    wr_u32(w, (uint32_t)v);
}

static inline void wr_i64(struct wr *w, int64_t v)
{
    wr_u64(w, (uint64_t)v);
}

static inline void wr_u32_le(struct wr *w, uint32_t v)
{
    wr_u32(w, __builtin_bswap32(v));
}

static inline void wr_u64_le(struct wr *w, uint64_t v)
{
    wr_u64(w, __builtin_bswap64(v));
}

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
