#include "front/http/gzip.h"

#include "base/assert.h"

#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB, with gzip's head and trailer */
#define GZIP_LEVEL 4          /* most of the gain at a third of the default's time */
#define GZIP_OUT_FIRST ((size_t)16 << 10)

/* More room, up to max + 1 bytes, so that one byte too many shows. */
static enum err grow(struct buf **out, size_t max)
{
    size_t cap = *out ? (*out)->cap * 4 : GZIP_OUT_FIRST;
    struct buf *more = buf_try(cap < max + 1 ? cap : max + 1);
    if (!more)
        return ERR_MEMORY;
    if (*out)
        memcpy(more->data, (*out)->data, (*out)->cap);
    buf_unref(*out);
    *out = more;
    return ERR_OK;
}

static enum err inflate_some(z_stream *z, struct buf **out, size_t max)
{
    size_t used = z->total_out;
    if (used > max)
        return ERR_MESSAGE_TOO_LARGE;
    if (!*out || used == (*out)->cap) {
        enum err err = grow(out, max);
        if (err)
            return err;
    }
    z->next_out = (*out)->data + used;
    z->avail_out = (uInt)((*out)->cap - used);
    switch (inflate(z, Z_NO_FLUSH)) {
    case Z_OK:
        return ERR_OK;
    case Z_STREAM_END:
        return ERR_NOT_FOUND;
    case Z_BUF_ERROR:
        return z->avail_out ? ERR_FRAME : ERR_OK; /* no input is left: it was cut off */
    case Z_MEM_ERROR:
        return ERR_MEMORY;
    default:
        return ERR_FRAME;
    }
}

static enum err inflate_all(z_stream *z, struct buf **out, size_t max)
{
    for (;;) {
        enum err err = inflate_some(z, out, max);
        if (err == ERR_NOT_FOUND && z->avail_in == 0)
            return z->total_out > max ? ERR_MESSAGE_TOO_LARGE : ERR_OK;
        if (err == ERR_NOT_FOUND) { /* another member: its output goes on where this one ended */
            uLong total = z->total_out;
            err = inflateReset(z) == Z_OK ? ERR_OK : ERR_FRAME;
            z->total_out = total;
        }
        if (err)
            return err;
    }
}

enum err gzip_inflate(struct slice in, size_t max, struct slice *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.at, .avail_in = (uInt)in.len};
    struct buf *buf = NULL;
    *out = (struct slice){0};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return ERR_MEMORY;
    enum err err = inflate_all(&z, &buf, max);
    size_t n = z.total_out;
    inflateEnd(&z);
    if (err || n == 0) {
        buf_unref(buf);
        return err;
    }
    *out = (struct slice){buf, buf->data, n};
    return ERR_OK;
}

static int deflate_chunks(z_stream *z, const struct chunkq *q)
{
    for (const struct chunk *c = q->head; c; c = c->next) {
        weir_assert(!c->file);
        z->next_in = (Bytef *)(uintptr_t)c->slice.at;
        z->avail_in = (uInt)c->len;
        if (deflate(z, Z_NO_FLUSH) != Z_OK || z->avail_in)
            return Z_BUF_ERROR;
    }
    return deflate(z, Z_FINISH);
}

struct slice gzip_deflate(const struct chunkq *q)
{
    z_stream z = {0};
    struct buf *buf = buf_try(q->bytes);
    if (!buf)
        return (struct slice){0};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        buf_unref(buf);
        return (struct slice){0};
    }
    z.next_out = buf->data;
    z.avail_out = (uInt)buf->cap;
    int end = deflate_chunks(&z, q);
    size_t n = z.total_out;
    deflateEnd(&z);
    if (end != Z_STREAM_END) {
        buf_unref(buf);
        return (struct slice){0};
    }
    return (struct slice){buf, buf->data, n};
}
