/* The parts of HTTP that read bytes: heads, chunks, paths, queries, cursors, gzip.
 *
 * A head that is taken must have one reading: it is parsed again as a stricter and simpler reader
 * would (lines by CR LF, names to the first colon), and both must agree on what frames the body.
 * Chunks must not depend on how they are cut.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "front/http/chunked.h"
#include "front/http/gzip.h"
#include "front/http/head.h"
#include "front/http/places.h"
#include "front/http/route.h"
#include "front/http/uri.h"

#define BODY_MAX 10000

/* The only field of that name in a head, case aside; at NULL: none. More than one: assertion. */
static struct str simple_field(struct str head, const char *name)
{
    struct str found = {0};
    size_t len = strlen(name);
    for (const char *p = memmem(head.at, head.len, "\r\n", 2); p;) {
        p += 2;
        size_t left = head.len - (size_t)(p - head.at);
        const char *eol = memmem(p, left, "\r\n", 2);
        if (!eol)
            break;
        size_t n = (size_t)(eol - p);
        if (n > len && p[len] == ':' && !strncasecmp(p, name, len)) {
            weir_assert(!found.at);
            found = (struct str){p + len + 1, n - len - 1};
        }
        p = eol;
    }
    while (found.len && (*found.at == ' ' || *found.at == '\t'))
        found.at++, found.len--;
    while (found.len && (found.at[found.len - 1] == ' ' || found.at[found.len - 1] == '\t'))
        found.len--;
    return found;
}

static void try_head(const uint8_t *data, size_t size, struct arena *arena)
{
    size_t line = 0, end = 0;
    struct err_text text;
    struct http_head h;
    char *copy = arena_strndup(arena, (const char *)data, size);
    for (size_t n = 0; n <= size && !end; n += 1 + n / 3) {
        if (http_head_end(copy, n, &line, &end, &text))
            return;
    }
    if (!end && http_head_end(copy, size, &line, &end, &text))
        return;
    if (!end || http_head_parse(copy, end, arena, &h, &text))
        return;
    struct str head = {copy, end};
    int64_t length = 0;
    struct str said = simple_field(head, "content-length");
    weir_assert(!said.at || !str_to_i64(said, &length));
    weir_assert((uint64_t)length == h.length);
    said = simple_field(head, "transfer-encoding");
    weir_assert(h.chunked == (said.at != NULL));
    weir_assert(!h.chunked || h.length == 0);
    (void)simple_field(head, "host");
    weir_assert(h.path.len > 0);
    struct route_match match;
    unsigned allowed;
    route_find(http_tables, http_tables_n, h.method, h.path, &match, &allowed);
    const struct http_field *query;
    size_t query_n;
    (void)!uri_query(h.query, arena, &query, &query_n, &text);
}

static enum err take_chunks(const uint8_t *data, size_t size, size_t piece, struct wr *out,
                            size_t *used)
{
    struct chunked c = {0};
    enum err err = ERR_OK;
    *used = 0;
    while (!err && *used < size && c.at != CHUNKED_DONE) {
        size_t n = size - *used < piece ? size - *used : piece, took;
        err = chunked_take(&c, data + *used, n, BODY_MAX, out, &took);
        *used += took;
    }
    return err;
}

static void try_chunks(const uint8_t *data, size_t size)
{
    struct wr whole, bytes;
    size_t used_whole, used_bytes;
    wr_init(&whole, 0);
    wr_init(&bytes, 0);
    enum err a = take_chunks(data, size, size + 1, &whole, &used_whole);
    enum err b = take_chunks(data, size, 1, &bytes, &used_bytes);
    weir_assert(a == b && used_whole == used_bytes && whole.len <= BODY_MAX);
    fuzz_check_equal(whole.len ? whole.buf->data : NULL, whole.len,
                     bytes.len ? bytes.buf->data : NULL, bytes.len);
    wr_free(&whole);
    wr_free(&bytes);
}

static void try_places(const uint8_t *data, size_t size, struct arena *arena)
{
    static const struct uuid topic;
    struct place *at;
    struct err_text why;
    struct wr w;
    size_t n;
    uint32_t next;
    struct str text = {(const char *)data, size};
    if (places_read(text, &topic, arena, &at, &n, &next, &why))
        return;
    wr_init(&w, 0);
    places_write(&w, &topic, at, n, next);
    weir_assert(w.len > 0);
    wr_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct slice plain;
    arena_init(&arena, (size_t)1 << 26);
    try_head(data, size, &arena);
    try_chunks(data, size);
    try_places(data, size, &arena);
    if (!gzip_inflate((struct slice){NULL, data, size}, BODY_MAX, &plain)) {
        weir_assert(plain.len <= BODY_MAX);
        slice_unref(plain);
    }
    arena_free(&arena);
    return 0;
}
