#include "front/http/places.h"

#include "base/base64.h"
#include "base/mem.h"

#include <string.h>

#define VERSION 1
#define BYTES_MAX ((size_t)7500) /* of the encoded text: more is none of ours */

static void translate(char *p, size_t n, const char from[2], const char to[2])
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == from[0])
            p[i] = to[0];
        else if (p[i] == from[1])
            p[i] = to[1];
    }
}

void places_write(struct wr *w, const struct uuid *topic, const struct place *at, size_t n,
                  uint32_t next)
{
    struct wr raw;
    wr_init(&raw, 32 + 4 * n);
    wr_u8(&raw, VERSION);
    wr_bytes(&raw, topic->b, sizeof topic->b);
    wr_uvarint(&raw, next);
    for (size_t i = 0; i < n; i++) {
        wr_uvarint(&raw, (uint32_t)at[i].partition);
        wr_uvarlong(&raw, (uint64_t)at[i].offset);
    }
    size_t room = BASE64_LEN(raw.len) + 1, len = room - 1;
    char *text = (char *)wr_room(w, room);
    base64_encode(text, raw.buf->data, raw.len);
    wr_free(&raw);
    while (len && text[len - 1] == '=')
        len--;
    translate(text, len, "+/", "-_");
    w->len -= room - len;
}

/* base64url without padding -> bytes in the arena. */
static enum err unpack(struct str text, struct arena *arena, struct rd *out)
{
    size_t padded = (text.len + 3) / 4 * 4, n;
    if (text.len == 0 || text.len > BYTES_MAX)
        return ERR_REQUEST_INVALID;
    char *copy = arena_alloc(arena, padded);
    uint8_t *raw = arena_alloc(arena, padded);
    if (!copy || !raw)
        return ERR_MEMORY;
    memcpy(copy, text.at, text.len);
    memset(copy + text.len, '=', padded - text.len);
    translate(copy, text.len, "-_", "+/");
    if (!base64_decode((struct str){copy, padded}, raw, padded, &n))
        return ERR_REQUEST_INVALID;
    rd_init(out, raw, n);
    return ERR_OK;
}

static bool read_places(struct rd *r, struct place *at, size_t *n)
{
    *n = 0;
    while (rd_left(r) && !r->bad && *n < PLACES_MAX) {
        uint32_t partition = rd_uvarint(r);
        uint64_t offset = rd_uvarlong(r);
        bool rises = *n == 0 || (int32_t)partition > at[*n - 1].partition;
        if (partition > INT32_MAX || offset > INT64_MAX || !rises)
            return false;
        at[(*n)++] = (struct place){(int32_t)partition, (int64_t)offset};
    }
    return !r->bad && rd_left(r) == 0 && *n > 0;
}

enum err places_read(struct str text, const struct uuid *topic, struct arena *arena,
                     struct place **at, size_t *n, uint32_t *next, struct err_text *why)
{
    struct rd r;
    struct uuid id;
    enum err err = unpack(text, arena, &r);
    if (err == ERR_MEMORY)
        return err;
    if (err || rd_u8(&r) != VERSION)
        return err_say(why, ERR_REQUEST_INVALID,
                       "the cursor is none that was given out here; leave it out to begin anew");
    const uint8_t *b = rd_bytes(&r, sizeof id.b);
    if (b)
        memcpy(id.b, b, sizeof id.b);
    *next = rd_uvarint(&r);
    *at = arena_alloc(arena, PLACES_MAX * sizeof **at);
    if (!*at)
        return ERR_MEMORY;
    if (!read_places(&r, *at, n))
        return err_say(why, ERR_REQUEST_INVALID,
                       "the cursor is cut off or was changed; leave it out to begin anew");
    if (!uuid_eq(id, *topic))
        return err_say(why, ERR_REQUEST_INVALID,
                       "the cursor is of another topic, or of one of this name that was deleted "
                       "since; leave it out to begin anew");
    return ERR_OK;
}
