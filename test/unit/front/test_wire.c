/* Every message in every version: what the encoder writes the decoder reads back to the same bytes;
 * cut short at any byte it is refused; unknown tags are skipped; hostile counts cost nothing. */
#include "front/kafka/messages.h"
#include "front/kafka/wire.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

#define VERSIONS 19 /* 0..18 */

#define ROW(msg, FIELDS) &kafka_##msg##_table,
static const struct wire_message *const all[] = {KAFKA_MESSAGES(ROW)};
#define ALL_N (sizeof all / sizeof all[0])

static void fill(const struct wire_message *m, struct rng *r, struct arena *a, void *out,
                 unsigned depth);

static struct str random_str(struct rng *r, struct arena *a)
{
    size_t n = rng_below(r, 300);
    char *p = arena_alloc(a, n + 1);
    rng_fill(r, p, n);
    return (struct str){p, n};
}

static size_t elem_size(const struct wire_field *f)
{
    switch (f->kind) {
    case WIRE_ARRAY:
        return f->elem->size;
    case WIRE_ARRAY_I32:
        return 4;
    case WIRE_ARRAY_I64:
        return 8;
    case WIRE_ARRAY_STR:
        return sizeof(struct str);
    default:
        return sizeof(struct uuid);
    }
}

static void fill_array(const struct wire_field *f, struct rng *r, struct arena *a, uint8_t *out,
                       unsigned depth)
{
    int32_t n = (int32_t)rng_below(r, depth > 2 ? 2 : 4);
    size_t size = elem_size(f);
    uint8_t *elems = arena_zalloc(a, (size_t)n + 1, size);
    for (int32_t i = 0; i < n; i++) {
        if (f->kind == WIRE_ARRAY)
            fill(f->elem, r, a, elems + (size_t)i * size, depth + 1);
        else if (f->kind == WIRE_ARRAY_STR)
            ((struct str *)(void *)elems)[i] = random_str(r, a);
        else
            rng_fill(r, elems + (size_t)i * size, size);
    }
    memcpy(out + f->offset, &elems, sizeof elems);
    memcpy(out + f->count_offset, &n, sizeof n);
}

static void fill(const struct wire_message *m, struct rng *r, struct arena *a, void *to,
                 unsigned depth)
{
    static const size_t sizes[] = {[WIRE_I8] = 1,
                                   [WIRE_I16] = 2,
                                   [WIRE_U16] = 2,
                                   [WIRE_I32] = 4,
                                   [WIRE_I64] = 8,
                                   [WIRE_F64] = 8,
                                   [WIRE_UUID] = sizeof(struct uuid)};
    uint8_t *out = to;
    wire_default(m, out);
    for (unsigned i = 0; i < m->fields_n; i++) {
        const struct wire_field *f = &m->fields[i];
        if (rng_one_in(r, 5))
            continue;
        if (f->kind >= WIRE_ARRAY) {
            fill_array(f, r, a, out, depth);
        } else if (f->kind == WIRE_STR || f->kind == WIRE_BYTES) {
            struct str s = random_str(r, a);
            memcpy(out + f->offset, &s, sizeof s);
        } else if (f->kind == WIRE_BOOL) {
            out[f->offset] = (uint8_t)rng_below(r, 2);
        } else if (f->kind == WIRE_STRUCT) {
            void *sub = arena_zalloc(a, 1, f->elem->size);
            fill(f->elem, r, a, sub, depth + 1);
            memcpy(out + f->offset, &sub, sizeof sub);
        } else {
            rng_fill(r, out + f->offset, sizes[f->kind]);
        }
    }
}

static enum err decode(const struct wire_message *m, int v, bool flexible, struct slice s,
                       struct arena *a, void **out, size_t *left)
{
    struct rd rd;
    rd_init(&rd, s.at, s.len);
    *out = arena_zalloc(a, 1, m->size + 1u);
    enum err err = wire_decode(m, v, flexible, &rd, a, *out);
    *left = rd_left(&rd);
    return err;
}

static struct slice encode(const struct wire_message *m, int v, bool flexible, const void *in)
{
    struct wr w;
    wr_init(&w, 64);
    wire_encode(m, v, flexible, in, &w);
    return wr_take(&w);
}

static void round_trip(const struct wire_message *m, int v, bool flexible, struct rng *r)
{
    struct arena a;
    size_t left;
    void *back;
    arena_init(&a, (size_t)64 << 20);
    void *in = arena_zalloc(&a, 1, m->size + 1u);
    fill(m, r, &a, in, 0);
    struct slice s = encode(m, v, flexible, in);
    assert_int_equal(decode(m, v, flexible, s, &a, &back, &left), ERR_OK);
    assert_int_equal(left, 0);
    struct slice again = encode(m, v, flexible, back);
    assert_int_equal(again.len, s.len);
    assert_memory_equal(again.at, s.at, s.len);
    for (size_t cut = 0; cut < s.len; cut += 1 + rng_below(r, 1 + s.len / 16)) {
        struct slice part = slice_copy(s.at, cut);
        enum err err = decode(m, v, flexible, part, &a, &back, &left);
        assert_true(err == ERR_FRAME || err == ERR_OK);
        if (err == ERR_OK) /* only where the missing bytes mean nothing: never */
            fail_msg("%s v%d: %zu of %zu bytes were enough", m->name, v, cut, s.len);
        slice_unref(part);
    }
    slice_unref(again);
    slice_unref(s);
    arena_free(&a);
}

static void every_message_survives_the_trip(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < ALL_N; i++) {
        for (int v = 0; v < VERSIONS; v++) {
            for (int n = 0; n < 4; n++) {
                round_trip(all[i], v, false, &r);
                round_trip(all[i], v, true, &r);
            }
        }
    }
}

static void unknown_tags_are_skipped(void **state)
{
    (void)state;
    struct kafka_api_versions_request in = {STR_LIT("client"), STR_LIT("1.0")}, *out;
    struct arena a;
    struct wr w;
    struct rd rd;
    arena_init(&a, 1 << 20);
    wr_init(&w, 64);
    wire_put_str(&w, true, in.client_software_name, false);
    wire_put_str(&w, true, in.client_software_version, false);
    static const uint8_t tags[] = {2, 5, 3, 'a', 'b', 'c', 200, 1, 0};
    wr_bytes(&w, tags, sizeof tags);
    rd_init(&rd, w.buf->data, w.len);
    out = arena_zalloc(&a, 1, sizeof *out);
    assert_int_equal(wire_decode(&kafka_api_versions_request_table, 3, true, &rd, &a, out), ERR_OK);
    assert_int_equal(rd_left(&rd), 0);
    assert_true(str_is(out->client_software_name, "client"));
    wr_free(&w);
    arena_free(&a);
}

static void random_bytes_never_crash(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < ALL_N; i++) {
            uint8_t bytes[200];
            struct arena a;
            struct rd rd;
            size_t n = rng_below(&r, sizeof bytes);
            rng_fill(&r, bytes, n);
            for (size_t k = 0; k < n; k++) /* small numbers reach deeper */
                bytes[k] = rng_one_in(&r, 2) ? (uint8_t)(bytes[k] & 3) : bytes[k];
            arena_init(&a, 1 << 20);
            rd_init(&rd, bytes, n);
            void *out = arena_zalloc(&a, 1, all[i]->size + 1u);
            enum err err =
                wire_decode(all[i], (int)rng_below(&r, VERSIONS), rng_one_in(&r, 2), &rd, &a, out);
            assert_true(err == ERR_OK || err == ERR_FRAME || err == ERR_MEMORY);
            arena_free(&a);
        }
    }
}

/* A count is believed only as far as there are bytes for it. */
static void hostile_counts_are_refused(void **state)
{
    (void)state;
    static const uint8_t plain[] = {0x7f, 0xff, 0xff, 0xff};
    static const uint8_t compact[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    struct kafka_metadata_request out;
    struct arena a;
    struct rd rd;
    arena_init(&a, 1 << 20);
    rd_init(&rd, plain, sizeof plain);
    assert_int_equal(wire_decode(&kafka_metadata_request_table, 1, false, &rd, &a, &out),
                     ERR_FRAME);
    rd_init(&rd, compact, sizeof compact);
    assert_int_equal(wire_decode(&kafka_metadata_request_table, 9, true, &rd, &a, &out), ERR_FRAME);
    assert_int_equal(a.used, 0);
    arena_free(&a);
}

static void null_is_refused_where_it_has_no_meaning(void **state)
{
    (void)state;
    static const uint8_t null_name[] = {0, 0, 0, 1, 0xff, 0xff};
    struct kafka_metadata_request out;
    struct arena a;
    struct rd rd;
    arena_init(&a, 1 << 20);
    rd_init(&rd, null_name, sizeof null_name);
    assert_int_equal(wire_decode(&kafka_metadata_request_table, 1, false, &rd, &a, &out),
                     ERR_FRAME);
    rd_init(&rd, "\xff\xff\xff\xff", 4);
    assert_int_equal(wire_decode(&kafka_metadata_request_table, 1, false, &rd, &a, &out), ERR_OK);
    assert_int_equal(out.topics_n, -1);
    rd_init(&rd, "\xff\xff\xff\xff", 4);
    assert_int_equal(wire_decode(&kafka_metadata_request_table, 0, false, &rd, &a, &out),
                     ERR_FRAME);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_trip),
        cmocka_unit_test(unknown_tags_are_skipped),
        cmocka_unit_test(random_bytes_never_crash),
        cmocka_unit_test(hostile_counts_are_refused),
        cmocka_unit_test(null_is_refused_where_it_has_no_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
