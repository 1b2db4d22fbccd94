/* Decoded batches: what is read, with every codec; what is kept and what leaves; what is broken. */
#include "../check.h"

#include "base/codec.h"
#include "base/mem.h"
#include "broker/records_cache.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define TS 1767225600000

struct world {
    struct rig r;
    struct uuid id;
};

static void world_make(struct world *w, unsigned reactors, size_t cache_bytes)
{
    rig_prepare(&w->r, reactors);
    w->r.conf.records_cache_bytes = cache_bytes;
    rig_boot(&w->r);
    assert_int_equal(rig_create(&w->r, 0, "t", 4), ERR_OK);
    w->id = rig_topic_id(&w->r, "t");
}

static void done(struct op *op)
{
    struct records_op *r = container_of(op, struct records_op, op);
    assert_ptr_equal(r->op.done, done);
    r->op.done = NULL; /* once */
}

static void read_start(struct world *w, unsigned from, int64_t offset, size_t bytes_max,
                       struct records_op *op)
{
    *op = (struct records_op){.op.done = done,
                              .actor = &rig_actor,
                              .topic = w->id,
                              .partition = 1,
                              .offset = offset,
                              .bytes_max = bytes_max};
    broker_records(w->r.brokers[from], op);
}

static enum err read_at(struct world *w, int64_t offset, size_t bytes_max, struct records_op *op)
{
    read_start(w, w->r.n - 1, offset, bytes_max, op);
    rig_run(&w->r);
    assert_null(op->op.done);
    return op->op.err;
}

static void let_go(struct records_op *op)
{
    for (unsigned i = 0; i < op->n; i++)
        records_unref(op->batches[i]);
    op->n = 0;
}

/* How many batches come from there, to somebody to whom so many offsets are enough. */
static void check_enough(struct world *w, int64_t offset, uint32_t enough, unsigned batches)
{
    struct records_op op = {.op.done = done,
                            .actor = &rig_actor,
                            .topic = w->id,
                            .partition = 1,
                            .offset = offset,
                            .bytes_max = 1 << 20,
                            .offsets_max = enough};
    broker_records(w->r.brokers[w->r.n - 1], &op);
    rig_run(&w->r);
    assert_int_equal(op.op.err, ERR_OK);
    assert_int_equal(op.n, batches);
    let_go(&op);
}

static struct records_stat stat_of(struct world *w)
{
    struct records_stat all = {0}, one;
    for (unsigned i = 0; i < w->r.n; i++) {
        broker_records_stat(w->r.brokers[i], &one);
        all.hits += one.hits;
        all.misses += one.misses;
        all.bytes += one.bytes;
        all.batches += one.batches;
    }
    return all;
}

static void produce(struct world *w, unsigned n)
{
    assert_int_equal(rig_produce(&w->r, 0, &w->id, 1, rig_batch(n, TS), NULL), ERR_OK);
}

static void test_reads(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        struct world w;
        struct records_op op;
        struct record r;
        world_make(&w, reactors, RECORDS_CACHE_BYTES);
        fake_advance(&w.r.world, 60000);
        int64_t now = (int64_t)rig_env(&w.r, 0)->now_ms;
        produce(&w, 3);
        fake_advance(&w.r.world, 1000);
        produce(&w, 1);
        for (int round = 0; round < 2; round++) { /* from the store, then from the cache */
            for (int64_t offset = 0; offset < 3; offset++) {
                assert_int_equal(read_at(&w, offset, 1 << 20, &op), ERR_OK);
                assert_int_equal(op.n, 2);
                assert_int_equal(op.next_offset, 4);
                assert_int_equal(op.high_watermark, 4);
                assert_int_equal(op.log_start, 0);
                assert_int_equal(records_count(op.batches[0]), 3);
                assert_int_equal(records_head(op.batches[0])->base_offset, 0);
                assert_int_equal(records_head(op.batches[1])->base_offset, 3);
                assert_int_equal(records_append_ms(op.batches[0]), now);
                assert_int_equal(records_append_ms(op.batches[1]), now + 1000);
                records_get(op.batches[0], 2, &r);
                assert_int_equal(r.offset, 2);
                assert_int_equal(r.timestamp, TS);
                assert_true(str_is(r.value, "v2") && r.key.at == NULL);
                let_go(&op);
            }
        }
        assert_int_equal(stat_of(&w).misses, 1);
        assert_int_equal(stat_of(&w).hits, 5);
        assert_int_equal(read_at(&w, 4, 100, &op), ERR_OK);
        assert_int_equal(op.n, 0);
        assert_int_equal(op.next_offset, 4);
        assert_int_equal(read_at(&w, 5, 100, &op), ERR_OFFSET_RANGE);
        assert_int_equal(read_at(&w, -1, 100, &op), ERR_OFFSET_RANGE);
        op.topic.b[0] ^= 1;
        w.id.b[0] ^= 1;
        assert_int_equal(read_at(&w, 0, 100, &op), ERR_TOPIC_UNKNOWN);
        rig_free(&w.r);
    }
}

/* A batch of ten records with headers and null keys among them, compressed. */
static struct slice compressed(enum codec codec)
{
    struct batch_builder b;
    struct record_header headers[2] = {{STR_LIT("h"), STR_LIT("1")}, {STR_LIT("none"), {NULL, 0}}};
    batch_begin(&b, (uint16_t)codec);
    for (unsigned i = 0; i < 10; i++) {
        char value[2000];
        memset(value, 'a' + (int)i, sizeof(value));
        struct str key = i % 2 == 0 ? STR_LIT("key") : (struct str){NULL, 0};
        batch_add(&b, TS + i, key, (struct str){value, 200 * i}, headers, i % 3);
    }
    struct slice plain = batch_end(&b);
    if (codec == CODEC_NONE)
        return plain;
    struct buf *packed;
    size_t n;
    assert_int_equal(codec_compress(codec, plain.at + BATCH_HEAD_BYTES,
                                    plain.len - BATCH_HEAD_BYTES, 1 << 20, &packed, &n),
                     ERR_OK);
    struct slice out = {.len = BATCH_HEAD_BYTES + n};
    out.buf = buf_make(out.len);
    out.at = out.buf->data;
    memcpy(out.buf->data, plain.at, BATCH_HEAD_BYTES);
    memcpy(out.buf->data + BATCH_HEAD_BYTES, packed->data, n);
    be32_put(out.buf->data + 8, (uint32_t)(out.len - BATCH_PREFIX_BYTES));
    batch_crc_fix(out.buf->data);
    buf_unref(packed);
    slice_unref(plain);
    return out;
}

static void check_compressed(const struct records *batch)
{
    struct record r;
    struct record_header h;
    assert_int_equal(records_count(batch), 10);
    for (unsigned i = 0; i < 10; i++) {
        records_get(batch, i, &r);
        assert_int_equal(r.timestamp, TS + i);
        assert_int_equal(r.value.len, 200 * i);
        assert_true(i == 0 || r.value.at[r.value.len - 1] == (char)('a' + (int)i));
        assert_int_equal(r.key.at != NULL, i % 2 == 0);
        assert_int_equal(r.headers, i % 3);
        unsigned n = 0;
        for (; record_header_next(&r, &h); n++)
            assert_true(n == 0 ? str_is(h.value, "1") : h.value.at == NULL);
        assert_int_equal(n, i % 3);
    }
}

static void test_codecs(void **state)
{
    struct world w;
    struct records_op op;
    (void)state;
    world_make(&w, 1, RECORDS_CACHE_BYTES);
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        int64_t offset;
        assert_int_equal(rig_produce(&w.r, 0, &w.id, 1, compressed((enum codec)codec), &offset),
                         ERR_OK);
        assert_int_equal(read_at(&w, offset, 1 << 20, &op), ERR_OK);
        assert_int_equal(op.n, 1);
        check_compressed(op.batches[0]);
        assert_int_equal(op.bytes, records_bytes(op.batches[0]));
        let_go(&op);
    }
    rig_free(&w.r);
}

/* The first batch comes whatever its size; what does not fit is cached all the same. */
static void test_bounds(void **state)
{
    struct world w;
    struct records_op op;
    (void)state;
    world_make(&w, 1, RECORDS_CACHE_BYTES);
    for (int i = 0; i < 2 * RECORDS_READ_MAX + 3; i++)
        produce(&w, 2);
    assert_int_equal(read_at(&w, 0, 0, &op), ERR_OK);
    assert_int_equal(op.n, 1);
    assert_int_equal(stat_of(&w).batches, 2 * RECORDS_READ_MAX + 3);
    size_t one = op.bytes;
    let_go(&op);
    assert_int_equal(read_at(&w, 3, 3 * one, &op), ERR_OK);
    assert_int_equal(op.n, 3);
    assert_int_equal(op.next_offset, 8);
    let_go(&op);
    assert_int_equal(read_at(&w, 0, 1 << 20, &op), ERR_OK);
    assert_int_equal(op.n, RECORDS_READ_MAX);
    assert_int_equal(op.next_offset, 2 * RECORDS_READ_MAX);
    let_go(&op);
    check_enough(&w, 0, 1, 1);
    check_enough(&w, 0, 2, 1);
    check_enough(&w, 0, 3, 2);
    check_enough(&w, 1, 2, 2);
    check_enough(&w, 1, UINT32_MAX, RECORDS_READ_MAX);
    assert_int_equal(stat_of(&w).misses, 1);
    rig_free(&w.r);
}

static void test_least_recently_used_leaves(void **state)
{
    struct world w;
    struct records_op op, held;
    struct record r;
    (void)state;
    world_make(&w, 1, 4 * RECORDS_ENTRY_BYTES_MIN);
    for (int i = 0; i < 4; i++)
        produce(&w, 1);
    assert_int_equal(read_at(&w, 1, 0, &held), ERR_OK);
    let_go(&held);
    assert_int_equal(read_at(&w, 0, 0, &held), ERR_OK); /* 1, 2, 3 are there: a miss, then all */
    assert_int_equal(stat_of(&w).batches, 4);
    produce(&w, 1);
    assert_int_equal(read_at(&w, 1, 0, &op), ERR_OK); /* the newest use, of a hit */
    let_go(&op);
    assert_int_equal(read_at(&w, 4, 0, &op), ERR_OK);
    let_go(&op);
    assert_int_equal(stat_of(&w).batches, 4);
    assert_int_equal(stat_of(&w).bytes, 4 * RECORDS_ENTRY_BYTES_MIN);
    fake_disk_fail(w.r.disk, FAKE_READ, 1, 100, ERR_IO); /* what is here needs no read */
    for (int64_t offset = 1; offset <= 4; offset++) {
        assert_int_equal(read_at(&w, offset, 0, &op), ERR_OK);
        let_go(&op);
    }
    assert_int_equal(read_at(&w, 0, 0, &op), ERR_IO);
    records_get(held.batches[0], 0, &r); /* out of the cache, and still valid */
    assert_true(str_is(r.value, "v0") && r.offset == 0);
    let_go(&held);
    rig_free(&w.r);
}

static void test_too_large_for_the_cache(void **state)
{
    struct world w;
    struct records_op op;
    (void)state;
    world_make(&w, 1, 2000);
    assert_int_equal(rig_produce(&w.r, 0, &w.id, 1, compressed(CODEC_LZ4), NULL), ERR_OK);
    assert_int_equal(read_at(&w, 5, 0, &op), ERR_OK);
    check_compressed(op.batches[0]);
    assert_int_equal(stat_of(&w).batches, 0);
    assert_int_equal(stat_of(&w).bytes, 0);
    let_go(&op);
    rig_free(&w.r);
}

static void trimmed(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
}

static void test_what_is_gone_leaves(void **state)
{
    struct world w;
    struct records_op op;
    (void)state;
    world_make(&w, 2, RECORDS_CACHE_BYTES);
    struct store_log_id log = {w.id, 1};
    for (int i = 0; i < 4; i++)
        produce(&w, 2);
    assert_int_equal(read_at(&w, 0, 1 << 20, &op), ERR_OK);
    let_go(&op);
    fake_disk_retain(w.r.disk, &log, 3); /* the middle of a batch, which stays */
    assert_int_equal(stat_of(&w).batches, 3);
    assert_int_equal(read_at(&w, 2, 1 << 20, &op), ERR_OFFSET_RANGE);
    assert_int_equal(read_at(&w, 3, 0, &op), ERR_OK);
    assert_int_equal(records_find(op.batches[0], 3), 1);
    let_go(&op);
    struct trim_op trim = {
        .op.done = trimmed, .actor = &rig_actor, .topic = w.id, .partition = 1, .offset = 6};
    broker_trim(w.r.brokers[0], &trim);
    rig_run(&w.r);
    assert_int_equal(trim.log_start, 6);
    assert_int_equal(stat_of(&w).batches, 1);
    assert_int_equal(rig_delete(&w.r, 0, "t"), ERR_OK);
    assert_int_equal(stat_of(&w).batches, 0);
    assert_int_equal(stat_of(&w).bytes, 0);
    rig_free(&w.r);
}

/* Two readers miss the same batch, then the topic goes while they wait. */
static void test_under_way(void **state)
{
    struct world w;
    struct records_op a, b;
    (void)state;
    world_make(&w, 2, RECORDS_CACHE_BYTES);
    produce(&w, 3);
    rig_defer(&w.r, true);
    read_start(&w, 0, 0, 100, &a);
    read_start(&w, 1, 1, 100, &b);
    rig_run(&w.r);
    assert_true(a.op.err == ERR_OK && b.op.err == ERR_OK);
    assert_ptr_equal(a.batches[0], b.batches[0]);
    assert_int_equal(stat_of(&w).batches, 1);
    let_go(&a);
    let_go(&b);
    rig_defer(&w.r, false);
    produce(&w, 3);
    rig_defer(&w.r, true);
    read_start(&w, 0, 3, 100, &a);
    fake_deliver_all(&w.r.world);
    assert_non_null(a.op.done);
    assert_int_equal(rig_delete(&w.r, 0, "t"), ERR_OK);
    assert_null(a.op.done);
    let_go(&a);
    assert_int_equal(stat_of(&w).bytes, 0);
    rig_free(&w.r);
}

static void test_broken(void **state)
{
    struct world w;
    struct records_op op;
    (void)state;
    world_make(&w, 1, RECORDS_CACHE_BYTES);
    struct store_log_id log = {w.id, 1};
    produce(&w, 2);
    produce(&w, 2);
    produce(&w, 2);
    fake_disk_damage(w.r.disk, &log, 1, BATCH_HEAD_BYTES + 6); /* in a value */
    assert_int_equal(read_at(&w, 0, 1 << 20, &op), ERR_OK);    /* what is good before it */
    assert_int_equal(op.n, 1);
    let_go(&op);
    assert_int_equal(read_at(&w, 2, 1 << 20, &op), ERR_CORRUPT);
    assert_int_equal(op.n, 0);
    assert_int_equal(op.next_offset, 4);
    assert_int_equal(read_at(&w, op.next_offset, 1 << 20, &op), ERR_OK);
    assert_int_equal(op.n, 1);
    let_go(&op);
    rig_free(&w.r);
}

/* Offsets with gaps, as compaction will leave them. */
static void test_find(void **state)
{
    struct slice s = rig_batch(3, TS);
    struct batch_head h;
    struct records *r;
    static const uint8_t deltas[] = {2, 5, 9};
    static const struct {
        int64_t offset;
        uint32_t at;
    } cases[] = {{0, 0},   {100, 0}, {102, 0}, {103, 1}, {105, 1},
                 {106, 2}, {109, 2}, {110, 3}, {111, 3}, {INT64_MAX, 3}};
    uint8_t *p = s.buf->data + BATCH_HEAD_BYTES;
    (void)state;
    for (int i = 0; i < 3; i++) {
        p[3] = (uint8_t)(2 * deltas[i]);
        p += 1 + p[0] / 2;
    }
    be32_put(s.buf->data + 23, 10);
    batch_set_offset(s.buf->data, 100);
    batch_crc_fix(s.buf->data);
    assert_int_equal(batch_head_read(s.at, s.len, &h), ERR_OK);
    assert_int_equal(records_decode(&h, s.at, -1, &r), ERR_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(records_find(r, cases[i].offset), cases[i].at);
    assert_int_equal(records_append_ms(r), TS);
    records_unref(r);
    be32_put(s.buf->data + 57, 4); /* fewer records than the head says */
    batch_crc_fix(s.buf->data);
    assert_int_equal(batch_head_read(s.at, s.len, &h), ERR_OK);
    assert_int_equal(records_decode(&h, s.at, -1, &r), ERR_CORRUPT);
    be32_put(s.buf->data + 57, 0x7fffffff);
    batch_crc_fix(s.buf->data);
    assert_int_equal(batch_head_read(s.at, s.len, &h), ERR_OK);
    assert_int_equal(records_decode(&h, s.at, -1, &r), ERR_CORRUPT);
    slice_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_least_recently_used_leaves),
        cmocka_unit_test(test_too_large_for_the_cache),
        cmocka_unit_test(test_what_is_gone_leaves),
        cmocka_unit_test(test_under_way),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
