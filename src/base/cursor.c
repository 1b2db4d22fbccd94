#include "base/cursor.h"

#include "base/assert.h"

#define WR_CAP_FIRST 64
#define UVARINT_BYTES_MAX 5
#define UVARLONG_BYTES_MAX 10

static const uint8_t no_bytes[1];

void rd_init(struct rd *r, const void *p, size_t n)
{
    weir_assert(p != NULL || n == 0);
    r->at = p != NULL ? p : no_bytes;
    r->end = r->at + n;
    r->bad = false;
}

/* bytes_max bytes hold more than `bits` bits: what is beyond must be zero. */
static uint64_t rd_leb128(struct rd *r, unsigned bytes_max, unsigned bits)
{
    uint64_t v = 0;
    size_t left = rd_left(r);
    for (unsigned i = 0; i < bytes_max && i < left; i++) {
        uint8_t b = r->at[i];
        unsigned shift = 7 * i;
        if (bits - shift < 7 && (b & 0x7f) >> (bits - shift) != 0)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0) {
            r->at += i + 1;
            return v;
        }
    }
    rd_fail(r);
    return 0;
}

uint32_t rd_uvarint_long(struct rd *r)
{
    return (uint32_t)rd_leb128(r, UVARINT_BYTES_MAX, 32);
}

uint64_t rd_uvarlong_long(struct rd *r)
{
    return rd_leb128(r, UVARLONG_BYTES_MAX, 64);
}

void wr_init(struct wr *w, size_t reserve)
{
    w->buf = reserve != 0 ? buf_make(reserve) : NULL;
    w->len = 0;
}

void wr_free(struct wr *w)
{
    buf_unref(w->buf);
    *w = (struct wr){NULL, 0};
}

void wr_reuse(struct wr *w, size_t keep)
{
    if (w->buf != NULL && w->buf->cap > keep)
        wr_free(w);
    w->len = 0;
}

void wr_grow(struct wr *w, size_t n)
{
    weir_assert(n <= SIZE_MAX / 4 && w->len <= SIZE_MAX / 4);
    size_t cap = w->buf != NULL ? w->buf->cap : WR_CAP_FIRST;
    while (cap < w->len + n)
        cap *= 2;
    w->buf = w->buf != NULL ? buf_resize(w->buf, cap) : buf_make(cap);
}

static void wr_leb128(struct wr *w, uint64_t v)
{
    uint8_t b[UVARLONG_BYTES_MAX];
    size_t n = 0;
    while (v >= 0x80) {
        b[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (uint8_t)v;
    wr_bytes(w, b, n);
}

void wr_uvarint(struct wr *w, uint32_t v)
{
    if (v < 0x80)
        wr_u8(w, (uint8_t)v);
    else
        wr_leb128(w, v);
}

void wr_uvarlong(struct wr *w, uint64_t v)
{
    if (v < 0x80)
        wr_u8(w, (uint8_t)v);
    else
        wr_leb128(w, v);
}

void wr_varint(struct wr *w, int32_t v)
{
    wr_uvarint(w, (uint32_t)v << 1 ^ (uint32_t)(v >> 31));
}

void wr_varlong(struct wr *w, int64_t v)
{
    wr_uvarlong(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void wr_bytes(struct wr *w, const void *p, size_t n)
{
    if (n != 0)
        __builtin_memcpy(wr_room(w, n), p, n);
}

static uint8_t *wr_written(struct wr *w, size_t at, size_t n)
{
    weir_assert(at <= w->len && n <= w->len - at);
    return w->buf->data + at;
}

void wr_patch_i32(struct wr *w, size_t at, int32_t v)
{
    be32_put(wr_written(w, at, 4), (uint32_t)v);
}

void wr_patch_u32(struct wr *w, size_t at, uint32_t v)
{
    be32_put(wr_written(w, at, 4), v);
}

void wr_patch_i64(struct wr *w, size_t at, int64_t v)
{
    be64_put(wr_written(w, at, 8), (uint64_t)v);
}

struct slice wr_take(struct wr *w)
{
    struct slice s = {w->buf, w->buf != NULL ? w->buf->data : no_bytes, w->len};
    *w = (struct wr){NULL, 0};
    return s;
}
