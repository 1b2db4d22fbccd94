/* Each decompressor writes to a sink, which starts small and doubles up to one byte more than the
 * limit: that byte shows that there was more, without a second way to ask each library.
 */
#include "base/codec.h"

#include "base/assert.h"
#include "base/cursor.h"
#include "base/mem.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define SINK_BYTES_FIRST ((size_t)4096)

struct sink {
    struct buf *buf;
    size_t len;
    size_t max;
};

/* A first buffer of `hint` bytes, as far as the limit allows. */
static enum err sink_init(struct sink *s, size_t max, size_t hint)
{
    size_t cap = hint > SINK_BYTES_FIRST ? hint : SINK_BYTES_FIRST;
    *s = (struct sink){.buf = buf_try(cap <= max ? cap : max + 1), .max = max};
    return s->buf != NULL ? ERR_OK : ERR_MEMORY;
}

/* Twice the capacity, the bytes kept; ERR_MESSAGE_TOO_LARGE: it has reached the limit. */
static enum err sink_grow(struct sink *s)
{
    size_t cap = s->buf->cap;
    if (cap > s->max)
        return ERR_MESSAGE_TOO_LARGE;
    struct buf *bigger = buf_try(cap <= s->max / 2 ? cap * 2 : s->max + 1);
    if (bigger == NULL)
        return ERR_MEMORY;
    memcpy(bigger->data, s->buf->data, s->len);
    buf_unref(s->buf);
    s->buf = bigger;
    return ERR_OK;
}

static uint8_t *sink_end(const struct sink *s)
{
    return s->buf->data + s->len;
}

static size_t sink_room(const struct sink *s)
{
    return s->buf->cap - s->len;
}

static enum err copy_through(struct sink *s, const uint8_t *p, size_t n)
{
    if (n > s->max)
        return ERR_MESSAGE_TOO_LARGE;
    if (n != 0)
        memcpy(s->buf->data, p, n); /* the hint was n */
    s->len = n;
    return ERR_OK;
}

#define GZIP_WINDOW (15 + 16) /* zlib's largest window; + 16: a gzip header, nothing else */

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return mem_try((size_t)count * size);
}

static void zlib_free(void *opaque, void *p)
{
    (void)opaque;
    mem_free(p);
}

static enum err zlib_err(int rc)
{
    return rc == Z_MEM_ERROR ? ERR_MEMORY : ERR_CORRUPT;
}

/* Inflates up to the end of the input, which must be the end of a member, too. */
static enum err inflate_members(z_stream *z, struct sink *s)
{
    for (;;) {
        z->next_out = sink_end(s);
        z->avail_out = (unsigned)sink_room(s);
        int rc = inflate(z, Z_NO_FLUSH);
        s->len = (size_t)(z->next_out - s->buf->data);
        if (rc == Z_STREAM_END && z->avail_in == 0)
            return ERR_OK;
        if (rc == Z_STREAM_END)
            rc = inflateReset(z);
        else if (z->avail_out == 0 && (rc == Z_OK || rc == Z_BUF_ERROR)) {
            enum err err = sink_grow(s);
            if (err != ERR_OK)
                return err;
            continue;
        }
        if (rc != Z_OK)
            return zlib_err(rc); /* Z_BUF_ERROR: the input ends too early */
    }
}

static enum err gzip_decompress(struct sink *s, const uint8_t *p, size_t n)
{
    z_stream z = {.next_in = p, .avail_in = (unsigned)n, .zalloc = zlib_alloc, .zfree = zlib_free};
    int rc = inflateInit2(&z, GZIP_WINDOW);
    if (rc != Z_OK)
        return zlib_err(rc);
    enum err err = inflate_members(&z, s);
    inflateEnd(&z);
    return err;
}

/* The shortest way to say much in snappy is an element of three bytes that copies 64. */
#define SNAPPY_RATIO_MAX 22

/* Appends one raw block. */
static enum err snappy_block(struct sink *s, const uint8_t *p, size_t n)
{
    size_t len;
    if (n == 0 || snappy_uncompressed_length((const char *)p, n, &len) != SNAPPY_OK)
        return ERR_CORRUPT;
    if (len / SNAPPY_RATIO_MAX > n)
        return ERR_CORRUPT;
    if (len > s->max - s->len)
        return ERR_MESSAGE_TOO_LARGE;
    while (sink_room(s) < len) {
        enum err err = sink_grow(s);
        if (err != ERR_OK)
            return err;
    }
    if (snappy_uncompress((const char *)p, n, (char *)sink_end(s), &len) != SNAPPY_OK)
        return ERR_CORRUPT;
    s->len += len;
    return ERR_OK;
}

/* xerial's frames: this magic, a version and the oldest compatible version (4 bytes each), then
 * blocks, each behind its length of 4 bytes. Streams may be concatenated, header and all. */
static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
#define XERIAL_VERSION_MIN 1

static bool is_xerial(const uint8_t *p, size_t n)
{
    return n >= sizeof(xerial_magic) && memcmp(p, xerial_magic, sizeof(xerial_magic)) == 0;
}

static enum err snappy_decompress(struct sink *s, const uint8_t *p, size_t n)
{
    struct rd r;
    rd_init(&r, p, n);
    if (!is_xerial(p, n))
        return snappy_block(s, p, n);
    while (rd_left(&r) != 0) {
        if (is_xerial(r.at, rd_left(&r))) {
            rd_skip(&r, sizeof(xerial_magic));
            int32_t version = rd_i32(&r);
            rd_skip(&r, 4);
            if (r.bad || version < XERIAL_VERSION_MIN)
                return ERR_CORRUPT;
            continue;
        }
        uint32_t len = rd_u32(&r);
        const uint8_t *block = rd_bytes(&r, len);
        enum err err = block != NULL ? snappy_block(s, block, len) : ERR_CORRUPT;
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

#define LZ4_FRAME_MAGIC 0x184d2204u /* little-endian */

/* The library numbers its errors only for static linking; their names are public. */
static enum err lz4_err(size_t rc)
{
    bool memory = strcmp(LZ4F_getErrorName(rc), "ERROR_allocation_failed") == 0;
    return memory ? ERR_MEMORY : ERR_CORRUPT;
}

static enum err lz4_frame(LZ4F_dctx *d, struct sink *s, const uint8_t *p, size_t n)
{
    for (;;) {
        size_t in = n, room = sink_room(s);
        size_t rc = LZ4F_decompress(d, sink_end(s), &room, p, &in, NULL);
        if (LZ4F_isError(rc))
            return lz4_err(rc);
        p += in;
        n -= in;
        s->len += room;
        if (rc == 0)
            return n == 0 ? ERR_OK : ERR_CORRUPT;
        if (sink_room(s) == 0) {
            enum err err = sink_grow(s);
            if (err != ERR_OK)
                return err;
        } else if (in == 0 && room == 0) {
            return ERR_CORRUPT; /* it waits for input that is not there */
        }
    }
}

static enum err lz4_decompress(struct sink *s, const uint8_t *p, size_t n)
{
    struct rd r;
    rd_init(&r, p, n);
    if (rd_u32_le(&r) != LZ4_FRAME_MAGIC) /* the library takes others too, and skips them */
        return ERR_CORRUPT;
    LZ4F_dctx *d;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return ERR_MEMORY;
    enum err err = lz4_frame(d, s, p, n);
    LZ4F_freeDecompressionContext(d);
    return err;
}

static enum err zstd_err(size_t rc)
{
    return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? ERR_MEMORY : ERR_CORRUPT;
}

/* Makes the room that the frame asks for, if that is possible. */
static enum err zstd_hint(struct sink *s, unsigned long long declared)
{
    while (declared <= s->max && s->buf->cap < declared) {
        enum err err = sink_grow(s);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* In one call, again with twice the room as long as that is too little. The library's streaming
 * would take a window of up to 128 MiB at the word of the frame header, and copy through it. */
static enum err zstd_decompress(struct sink *s, const uint8_t *p, size_t n)
{
    if (n == 0)
        return ERR_CORRUPT;
    enum err err = zstd_hint(s, ZSTD_getFrameContentSize(p, n));
    if (err != ERR_OK)
        return err;
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (d == NULL)
        return ERR_MEMORY;
    size_t rc = ZSTD_decompressDCtx(d, s->buf->data, s->buf->cap, p, n);
    while (err == ERR_OK && ZSTD_getErrorCode(rc) == ZSTD_error_dstSize_tooSmall) {
        err = sink_grow(s);
        if (err == ERR_OK)
            rc = ZSTD_decompressDCtx(d, s->buf->data, s->buf->cap, p, n);
    }
    ZSTD_freeDCtx(d);
    if (err == ERR_OK && ZSTD_isError(rc))
        err = zstd_err(rc);
    if (err == ERR_OK)
        s->len = rc;
    return err;
}

static enum err decompress_to(struct sink *s, enum codec codec, const uint8_t *p, size_t n)
{
    switch (codec) {
    case CODEC_NONE:
        return copy_through(s, p, n);
    case CODEC_GZIP:
        return gzip_decompress(s, p, n);
    case CODEC_SNAPPY:
        return snappy_decompress(s, p, n);
    case CODEC_LZ4:
        return lz4_decompress(s, p, n);
    case CODEC_ZSTD:
        return zstd_decompress(s, p, n);
    }
    return ERR_COMPRESSION;
}

/* What usually suffices for records that are worth compressing. */
#define RATIO_EXPECTED 4

enum err codec_decompress(enum codec codec, const uint8_t *p, size_t n, size_t max_bytes,
                          struct buf **out, size_t *out_len)
{
    weir_assert(max_bytes < INT32_MAX);
    if (n > INT32_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    struct sink s;
    enum err err = sink_init(&s, max_bytes, codec == CODEC_NONE ? n : n * RATIO_EXPECTED);
    if (err == ERR_OK)
        err = decompress_to(&s, codec, p, n);
    if (err == ERR_OK && s.len > max_bytes)
        err = ERR_MESSAGE_TOO_LARGE;
    if (err != ERR_OK) {
        buf_unref(s.buf);
        return err;
    }
    *out = s.buf;
    *out_len = s.len;
    return ERR_OK;
}

static enum err gzip_compress(struct sink *s, const uint8_t *p, size_t n)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    int memory_level = 8; /* zlib's default */
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_MEMORY;
    z.next_in = p;
    z.avail_in = (unsigned)n;
    z.next_out = s->buf->data;
    z.avail_out = (unsigned)s->buf->cap;
    int rc = deflate(&z, Z_FINISH);
    s->len = z.total_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END ? ERR_OK : ERR_MESSAGE_TOO_LARGE;
}

static enum err snappy_compress_to(struct sink *s, const uint8_t *p, size_t n)
{
    s->len = s->buf->cap;
    snappy_status rc = snappy_compress((const char *)p, n, (char *)s->buf->data, &s->len);
    return rc == SNAPPY_OK ? ERR_OK : ERR_MESSAGE_TOO_LARGE;
}

static const LZ4F_preferences_t lz4_preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
};

static enum err lz4_compress(struct sink *s, const uint8_t *p, size_t n)
{
    size_t rc = LZ4F_compressFrame(s->buf->data, s->buf->cap, p, n, &lz4_preferences);
    if (LZ4F_isError(rc))
        return lz4_err(rc) == ERR_MEMORY ? ERR_MEMORY : ERR_MESSAGE_TOO_LARGE;
    s->len = rc;
    return ERR_OK;
}

static enum err zstd_compress(struct sink *s, const uint8_t *p, size_t n)
{
    size_t rc = ZSTD_compress(s->buf->data, s->buf->cap, p, n, ZSTD_defaultCLevel());
    if (ZSTD_isError(rc))
        return zstd_err(rc) == ERR_MEMORY ? ERR_MEMORY : ERR_MESSAGE_TOO_LARGE;
    s->len = rc;
    return ERR_OK;
}

/* Room for whatever the codec makes of n bytes. */
static size_t compressed_bytes_max(enum codec codec, size_t n)
{
    switch (codec) {
    case CODEC_NONE:
        return n;
    case CODEC_GZIP:
        return compressBound(n) + 32; /* gzip's header and trailer are longer than zlib's */
    case CODEC_SNAPPY:
        return snappy_max_compressed_length(n);
    case CODEC_LZ4:
        return LZ4F_compressFrameBound(n, &lz4_preferences);
    case CODEC_ZSTD:
        return ZSTD_compressBound(n);
    }
    return 0;
}

static enum err compress_to(struct sink *s, enum codec codec, const uint8_t *p, size_t n)
{
    switch (codec) {
    case CODEC_NONE:
        return copy_through(s, p, n);
    case CODEC_GZIP:
        return gzip_compress(s, p, n);
    case CODEC_SNAPPY:
        return snappy_compress_to(s, p, n);
    case CODEC_LZ4:
        return lz4_compress(s, p, n);
    case CODEC_ZSTD:
        return zstd_compress(s, p, n);
    }
    return ERR_COMPRESSION;
}

enum err codec_compress(enum codec codec, const uint8_t *p, size_t n, size_t max_bytes,
                        struct buf **out, size_t *out_len)
{
    weir_assert(max_bytes < INT32_MAX);
    if (n >= INT32_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    size_t bound = compressed_bytes_max(codec, n);
    struct sink s;
    enum err err = sink_init(&s, bound, bound);
    if (err == ERR_OK)
        err = compress_to(&s, codec, p, n);
    if (err == ERR_OK && s.len > max_bytes)
        err = ERR_MESSAGE_TOO_LARGE;
    if (err != ERR_OK) {
        buf_unref(s.buf);
        return err;
    }
    *out = s.buf;
    *out_len = s.len;
    return ERR_OK;
}
