#include "store/journal_format.h"

#include "base/crc32c.h"
#include "base/mem.h"

#include "../check.h"

#include <string.h>

static struct slice batch_make(int64_t offset)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    batch_add(&b, 1000, STR_LIT("key"), STR_LIT("some value"), NULL, 0);
    struct slice s = batch_end(&b);
    batch_set_offset((uint8_t *)(uintptr_t)s.at, offset);
    return s;
}

static struct journal_frame frame_of(struct slice batch)
{
    struct batch_head head;
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    return (struct journal_frame){.kind = JOURNAL_PAYLOAD,
                                  .id = {.topic = {{1, 2, 3}}, .partition = 77},
                                  .place = {.segment = 5000000000, .at = 123},
                                  .offset = head.base_offset,
                                  .next_offset = batch_next_offset(&head),
                                  .append_ms = 1700000000000,
                                  .bytes = head.bytes,
                                  .head_crc = crc32c(0, batch.at, BATCH_CRC_FROM),
                                  .batch_crc = head.crc};
}

static void test_file_head(void **state)
{
    (void)state;
    uint8_t p[JOURNAL_FILE_HEAD_BYTES];
    struct journal_file_head in = {.number = 3,
                                   .incarnation = 9,
                                   .salt = 0x1234567890abcdef,
                                   .first = 1ull << 40},
                             out;
    journal_file_head_put(p, &in);
    assert_true(journal_file_head_get(p, &out));
    assert_memory_equal(&in, &out, sizeof(in));
    for (size_t i = 0; i < sizeof(p); i++) {
        p[i] ^= 0x10;
        assert_false(journal_file_head_get(p, &out));
        p[i] ^= 0x10;
    }
}

static void test_frame(void **state)
{
    (void)state;
    uint8_t p[JOURNAL_FRAME_BYTES];
    struct slice batch = batch_make(42);
    struct journal_frame in = frame_of(batch), out;
    journal_frame_put(p, &in);
    assert_true(journal_frame_get(p, &out));
    assert_int_equal(out.kind, JOURNAL_PAYLOAD);
    assert_memory_equal(&out.id, &in.id, sizeof(in.id));
    assert_int_equal(out.place.segment, in.place.segment);
    assert_int_equal(out.place.at, in.place.at);
    assert_int_equal(out.offset, 42);
    assert_int_equal(out.next_offset, 43);
    assert_int_equal(out.append_ms, in.append_ms);
    assert_int_equal(out.bytes, batch.len);
    assert_int_equal(out.head_crc, in.head_crc);
    assert_int_equal(out.batch_crc, in.batch_crc);
    slice_unref(batch);
}

static void test_frame_refused(void **state)
{
    (void)state;
    uint8_t p[JOURNAL_FRAME_BYTES];
    struct slice batch = batch_make(42);
    struct journal_frame good = frame_of(batch), bad, out;
    bad = good;
    bad.bytes = BATCH_HEAD_BYTES - 1;
    journal_frame_put(p, &bad);
    assert_false(journal_frame_get(p, &out));
    bad = good;
    bad.next_offset = bad.offset;
    journal_frame_put(p, &bad);
    assert_false(journal_frame_get(p, &out));
    bad = good;
    bad.place.segment = -1;
    journal_frame_put(p, &bad);
    assert_false(journal_frame_get(p, &out));
    bad = (struct journal_frame){.kind = JOURNAL_DELETE, .bytes = 1};
    journal_frame_put(p, &bad);
    assert_false(journal_frame_get(p, &out));
    for (int kind = 0; kind < 256; kind++) {
        bad = (struct journal_frame){.kind = JOURNAL_START, .offset = 1};
        journal_frame_put(p, &bad);
        p[0] = (uint8_t)kind;
        bool marks = kind == JOURNAL_START || kind == JOURNAL_CREATE || kind == JOURNAL_DELETE;
        assert_int_equal(journal_frame_get(p, &out), marks);
    }
    slice_unref(batch);
}

static void test_batch_matches(void **state)
{
    (void)state;
    struct slice batch = batch_make(42);
    struct journal_frame frame = frame_of(batch);
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch.at;
    assert_true(journal_frame_matches(&frame, batch.at));
    for (size_t i = 0; i < batch.len; i++) { /* every byte is covered by one CRC or the other */
        bytes[i] ^= 1;
        assert_false(journal_frame_matches(&frame, batch.at));
        bytes[i] ^= 1;
    }
    slice_unref(batch);
}

#define SNAPSHOT STR_LIT("what the owner knows")

/* A group of three frames: a batch, a new log start with the owner's snapshot, a batch. */
static uint8_t *group_make(struct journal_group_head *head, struct slice a, struct slice b)
{
    struct journal_frame fa = frame_of(a), fb = frame_of(b),
                         mark = {.kind = JOURNAL_START,
                                 .offset = 7,
                                 .next_offset = 9,
                                 .bytes = (uint32_t)SNAPSHOT.len,
                                 .batch_crc = crc32c(0, SNAPSHOT.at, SNAPSHOT.len)};
    *head = (struct journal_group_head){
        .incarnation = 2, .frames = 3, .sequence = 10, .durable = 9, .salt = 99};
    head->bytes = journal_pad(journal_heads_bytes(3) + a.len + SNAPSHOT.len + b.len);
    uint8_t *p = mem_zalloc(1, (size_t)head->bytes);
    uint8_t *at = p + JOURNAL_GROUP_HEAD_BYTES;
    journal_frame_put(at, &fa);
    journal_frame_put(at + JOURNAL_FRAME_BYTES, &mark);
    journal_frame_put(at + 2 * JOURNAL_FRAME_BYTES, &fb);
    memcpy(p + journal_heads_bytes(3), a.at, a.len);
    memcpy(p + journal_heads_bytes(3) + a.len, SNAPSHOT.at, SNAPSHOT.len);
    memcpy(p + journal_heads_bytes(3) + a.len + SNAPSHOT.len, b.at, b.len);
    journal_group_head_put(p, head);
    return p;
}

static void test_group(void **state)
{
    (void)state;
    struct slice a = batch_make(1), b = batch_make(2);
    struct journal_group_head in, out;
    uint8_t *p = group_make(&in, a, b);
    assert_true(journal_group_head_get(p, &out));
    assert_memory_equal(&in, &out, sizeof(in));
    assert_true(journal_group_crc_ok(p, &out));
    struct journal_walk walk;
    struct journal_frame frame;
    const uint8_t *payload;
    journal_walk_init(&walk, p, &out);
    assert_true(journal_walk_next(&walk, &frame, &payload));
    assert_memory_equal(payload, a.at, a.len);
    assert_true(journal_walk_next(&walk, &frame, &payload));
    assert_memory_equal(payload, SNAPSHOT.at, SNAPSHOT.len);
    assert_int_equal(frame.kind, JOURNAL_START);
    assert_int_equal(frame.offset, 7);
    assert_int_equal(frame.next_offset, 9);
    assert_true(journal_walk_next(&walk, &frame, &payload));
    assert_memory_equal(payload, b.at, b.len);
    assert_false(journal_walk_next(&walk, &frame, &payload));
    assert_int_equal(walk.left, 0);
    mem_free(p);
    slice_unref(a);
    slice_unref(b);
}

static bool group_whole(const uint8_t *p)
{
    struct journal_group_head head;
    struct journal_walk walk;
    struct journal_frame frame;
    const uint8_t *payload;
    if (!journal_group_head_get(p, &head) || !journal_group_crc_ok(p, &head))
        return false;
    journal_walk_init(&walk, p, &head);
    while (journal_walk_next(&walk, &frame, &payload)) {
    }
    return walk.left == 0;
}

static void test_group_damage(void **state)
{
    (void)state;
    struct slice a = batch_make(1), b = batch_make(2);
    struct journal_group_head head;
    uint8_t *p = group_make(&head, a, b);
    size_t used = (size_t)journal_heads_bytes(3) + a.len + SNAPSHOT.len + b.len;
    assert_true(group_whole(p));
    for (size_t i = 0; i < used; i++) {
        p[i] ^= 0x04;
        if (group_whole(p))
            fail_msg("a flipped bit in byte %zu is not seen", i);
        p[i] ^= 0x04;
    }
    mem_free(p);
    slice_unref(a);
    slice_unref(b);
}

static void test_head_sizes(void **state)
{
    (void)state;
    uint8_t p[JOURNAL_BLOCK] = {0};
    struct journal_group_head good = {.frames = 1, .sequence = 2, .durable = 1, .bytes = 4096}, bad,
                              out;
    assert_false(journal_group_head_get(p, &out)); /* zeros */
    journal_group_head_put(p, &good);
    assert_true(journal_group_head_get(p, &out));
    bad = good;
    bad.bytes = 4095;
    journal_group_head_put(p, &bad);
    assert_false(journal_group_head_get(p, &out));
    bad = good;
    bad.durable = 2; /* as if it had been durable before it was written */
    journal_group_head_put(p, &bad);
    assert_false(journal_group_head_get(p, &out));
    bad = good;
    bad.bytes = JOURNAL_GROUP_BYTES_MAX + JOURNAL_BLOCK;
    journal_group_head_put(p, &bad);
    assert_false(journal_group_head_get(p, &out));
    journal_group_head_put(p, &good);
    p[12] = 1; /* 16 million frames in one block */
    assert_false(journal_group_head_get(p, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_head),     cmocka_unit_test(test_frame),
        cmocka_unit_test(test_frame_refused), cmocka_unit_test(test_batch_matches),
        cmocka_unit_test(test_group),         cmocka_unit_test(test_group_damage),
        cmocka_unit_test(test_head_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
