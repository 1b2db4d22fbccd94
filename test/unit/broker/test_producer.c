/* What a partition knows of producers: cases as a table of batches and verdicts. */
#include "../check.h"

#include "broker/producer.h"

#include <stdio.h>
#include <string.h>

static struct batch_head head(int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct batch_head){
        .producer_id = id,
        .producer_epoch = epoch,
        .base_sequence = sequence,
        .last_offset_delta = count - 1,
        .count = count,
    };
}

static int tags[64];

/* One batch that is stored at once. */
static enum producer_verdict put(struct producers *p, struct batch_head h, int64_t offset,
                                 struct producer_answer *out)
{
    enum producer_verdict v = producers_check(p, &h, 1000, &tags[0], out);
    if (v == PRODUCER_NEW)
        producers_done(p, &h, &tags[0], offset);
    return v;
}

#define MAX INT32_MAX

static void test_rules(void **state)
{
    static const struct {
        const char *what; /* NULL: as before, same producers */
        int16_t epoch;
        int32_t sequence, count;
        enum producer_verdict verdict;
        int64_t known; /* offset of a duplicate; the sequence expected */
    } steps[] = {
        {"first batch at 0", 0, 0, 2, PRODUCER_NEW, 0},
        {NULL, 0, 2, 3, PRODUCER_NEW, 0},
        {NULL, 0, 5, 1, PRODUCER_NEW, 0},
        {NULL, 0, 7, 1, PRODUCER_SEQUENCE, 6},
        {NULL, 0, 5, 2, PRODUCER_SEQUENCE, 6}, /* the same start, another length */
        {NULL, 0, 5, 1, PRODUCER_DUPLICATE, 2},
        {NULL, 0, 2, 3, PRODUCER_DUPLICATE, 1},
        {NULL, 0, 0, 2, PRODUCER_DUPLICATE, 0},
        {NULL, 0, 6, 1, PRODUCER_NEW, 0},
        {"an unknown producer begins anywhere", 3, 17, 1, PRODUCER_NEW, 0},
        {NULL, 3, 18, 1, PRODUCER_NEW, 0},
        {"five are remembered, the sixth is not", 0, 0, 1, PRODUCER_NEW, 0},
        {NULL, 0, 1, 1, PRODUCER_NEW, 0},
        {NULL, 0, 2, 1, PRODUCER_NEW, 0},
        {NULL, 0, 3, 1, PRODUCER_NEW, 0},
        {NULL, 0, 4, 1, PRODUCER_NEW, 0},
        {NULL, 0, 5, 1, PRODUCER_NEW, 0},
        {NULL, 0, 5, 1, PRODUCER_DUPLICATE, 5},
        {NULL, 0, 4, 1, PRODUCER_DUPLICATE, 4},
        {NULL, 0, 3, 1, PRODUCER_DUPLICATE, 3},
        {NULL, 0, 2, 1, PRODUCER_DUPLICATE, 2},
        {NULL, 0, 1, 1, PRODUCER_DUPLICATE, 1},
        {NULL, 0, 0, 1, PRODUCER_SEQUENCE, 6},
        {"a new epoch begins at 0", 0, 0, 4, PRODUCER_NEW, 0},
        {NULL, 1, 4, 1, PRODUCER_SEQUENCE, 0},
        {NULL, 0, 4, 1, PRODUCER_NEW, 0}, /* that did not change the epoch */
        {NULL, 1, 0, 1, PRODUCER_NEW, 0},
        {NULL, 0, 5, 1, PRODUCER_FENCED, 1},
        {NULL, 0, 0, 4, PRODUCER_FENCED, 1}, /* even one that was stored under the old epoch */
        {NULL, 1, 1, 1, PRODUCER_NEW, 0},
        {"sequences wrap", 0, MAX - 1, 2, PRODUCER_NEW, 0},
        {NULL, 0, 1, 1, PRODUCER_SEQUENCE, 0},
        {NULL, 0, 0, 1, PRODUCER_NEW, 0},
        {NULL, 0, 1, 1, PRODUCER_NEW, 0},
        {NULL, 0, MAX - 1, 2, PRODUCER_DUPLICATE, 0},
        {"within a batch too", 0, MAX, 3, PRODUCER_NEW, 0},
        {NULL, 0, 2, 1, PRODUCER_NEW, 0},
        {NULL, 0, MAX, 3, PRODUCER_DUPLICATE, 0},
    };
    struct producers *p = NULL;
    int64_t offset = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct producer_answer a;
        if (steps[i].what != NULL) {
            producers_free(p);
            p = producers_make();
            offset = 0;
        }
        struct batch_head h = head(7, steps[i].epoch, steps[i].sequence, steps[i].count);
        enum producer_verdict v = put(p, h, offset, &a);
        if (v != steps[i].verdict)
            fail_msg("step %zu: %d", i, (int)v);
        if (v == PRODUCER_NEW)
            offset++;
        if (v == PRODUCER_DUPLICATE)
            assert_int_equal(a.offset, steps[i].known);
        if (v == PRODUCER_SEQUENCE)
            assert_int_equal(a.expected, steps[i].known);
        if (v == PRODUCER_FENCED)
            assert_int_equal(a.epoch, steps[i].known);
    }
    producers_free(p);
}

static void test_under_way(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    struct batch_head h[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        h[i] = head(7, 0, i, 1);
        assert_int_equal(producers_check(p, &h[i], 0, &tags[i], &a), PRODUCER_NEW);
    }
    assert_int_equal(producers_check(p, &h[1], 0, &tags[9], &a), PRODUCER_WAIT);
    assert_ptr_equal(a.tag, &tags[1]);
    producers_done(p, &h[0], &tags[0], 100);
    producers_done(p, &h[1], &tags[1], 101);
    producers_done(p, &h[2], &tags[2], 102);
    assert_int_equal(producers_check(p, &h[1], 0, &tags[9], &a), PRODUCER_DUPLICATE);
    assert_int_equal(a.offset, 101);
    producers_free(p);
}

/* What failed had never come, and only its retry may follow. */
static void test_failed(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    struct batch_head h = head(7, 0, 5, 1);
    (void)state;
    assert_int_equal(producers_check(p, &h, 0, &tags[0], &a), PRODUCER_NEW);
    producers_done(p, &h, &tags[0], -1);
    assert_int_equal(put(p, head(7, 0, 6, 1), 0, &a), PRODUCER_SEQUENCE);
    assert_int_equal(a.expected, 5);
    assert_int_equal(put(p, h, 0, &a), PRODUCER_NEW);

    struct batch_head next = head(7, 0, 6, 1);
    assert_int_equal(producers_check(p, &next, 0, &tags[0], &a), PRODUCER_NEW);
    producers_done(p, &next, &tags[0], -1);
    assert_int_equal(put(p, head(7, 0, 7, 1), 1, &a), PRODUCER_SEQUENCE);
    assert_int_equal(put(p, next, 1, &a), PRODUCER_NEW);

    struct batch_head bumped = head(7, 1, 0, 1);
    assert_int_equal(producers_check(p, &bumped, 0, &tags[0], &a), PRODUCER_NEW);
    producers_done(p, &bumped, &tags[0], -1);
    assert_int_equal(put(p, head(7, 1, 1, 1), 2, &a), PRODUCER_SEQUENCE);
    assert_int_equal(put(p, bumped, 2, &a), PRODUCER_NEW);
    producers_free(p);
}

/* As many as a turn takes fail together, after they have pushed out what was stored. */
static void test_many_failed(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    struct batch_head h[7];
    (void)state;
    assert_int_equal(put(p, head(7, 0, 0, 1), 0, &a), PRODUCER_NEW);
    for (int i = 0; i < 7; i++) {
        h[i] = head(7, 0, i + 1, 1);
        assert_int_equal(producers_check(p, &h[i], 0, &tags[i], &a), PRODUCER_NEW);
    }
    for (int i = 0; i < 7; i++)
        producers_done(p, &h[i], &tags[i], -1);
    for (int i = 6; i > 0; i--)
        assert_int_equal(put(p, h[i], 0, &a), PRODUCER_SEQUENCE);
    assert_int_equal(a.expected, 1);
    assert_int_equal(put(p, h[0], 1, &a), PRODUCER_NEW);

    /* What they follow may be under way itself, and be stored afterwards. */
    for (int i = 1; i < 4; i++)
        assert_int_equal(producers_check(p, &h[i], 0, &tags[i], &a), PRODUCER_NEW);
    for (int i = 2; i < 4; i++)
        producers_done(p, &h[i], &tags[i], -1);
    producers_done(p, &h[1], &tags[1], 2);
    assert_int_equal(put(p, h[3], 0, &a), PRODUCER_SEQUENCE);
    assert_int_equal(put(p, h[2], 3, &a), PRODUCER_NEW);
    producers_free(p);
}

/* A batch may be pushed out, by five later ones or a new epoch, before it is stored. */
static void test_pushed_out(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    struct batch_head h[7];
    (void)state;
    for (int i = 0; i < 7; i++) {
        h[i] = head(7, 0, i, 1);
        assert_int_equal(producers_check(p, &h[i], 0, &tags[i], &a), PRODUCER_NEW);
    }
    struct batch_head bumped = head(7, 1, 0, 1);
    producers_done(p, &h[0], &tags[0], 0);
    assert_int_equal(producers_check(p, &bumped, 0, &tags[7], &a), PRODUCER_NEW);
    for (int i = 1; i < 7; i++)
        producers_done(p, &h[i], &tags[i], i);
    producers_done(p, &bumped, &tags[7], 7);
    assert_int_equal(put(p, bumped, 0, &a), PRODUCER_DUPLICATE);
    assert_int_equal(a.offset, 7);
    producers_free(p);
}

static void test_expire(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct batch_head h = head(i, 0, 0, 1);
        assert_int_equal(producers_check(p, &h, (uint64_t)i, &tags[i], &a), PRODUCER_NEW);
        if (i != 2)
            producers_done(p, &h, &tags[i], i);
    }
    producers_expire(p, 5);
    assert_int_equal(producers_count(p), 6); /* 5..9, and 2, which is under way */
    assert_int_equal(put(p, head(4, 0, 9, 1), 0, &a), PRODUCER_NEW);
    assert_int_equal(put(p, head(5, 0, 9, 1), 0, &a), PRODUCER_SEQUENCE);
    producers_free(p);
}

static void test_limit(void **state)
{
    struct producers *p = producers_make();
    struct producer_answer a;
    (void)state;
    for (int i = 0; i < PRODUCERS_MAX + 10; i++)
        assert_int_equal(put(p, head(i, 0, 0, 1), i, &a), PRODUCER_NEW);
    assert_int_equal(producers_count(p), PRODUCERS_MAX);
    assert_int_equal(put(p, head(10, 0, 0, 1), 0, &a), PRODUCER_DUPLICATE);
    assert_int_equal(put(p, head(9, 0, 5, 1), 0, &a), PRODUCER_NEW); /* forgotten */
    producers_free(p);
}

static void test_snapshot(void **state)
{
    struct producers *p = producers_make(), *q = producers_make();
    struct producer_answer a;
    int64_t offset = 0;
    (void)state;
    for (int64_t id = 0; id < 5; id++)
        for (int32_t i = 0; i < 7; i++)
            assert_int_equal(put(p, head(id << 40, (int16_t)id, i, 1), offset++, &a), PRODUCER_NEW);
    struct batch_head open = head(99, 0, 0, 1); /* under way: not in the snapshot */
    assert_int_equal(producers_check(p, &open, 0, &tags[0], &a), PRODUCER_NEW);
    struct slice s = producers_snapshot(p, offset);
    assert_int_equal(producers_restore(q, s), ERR_OK);
    assert_int_equal(producers_count(q), 5);
    for (int64_t id = 0; id < 5; id++) {
        for (int32_t i = 2; i < 7; i++) {
            assert_int_equal(put(q, head(id << 40, (int16_t)id, i, 1), 0, &a), PRODUCER_DUPLICATE);
            assert_int_equal(a.offset, id * 7 + i);
        }
        assert_int_equal(put(q, head(id << 40, (int16_t)id, 1, 1), 0, &a), PRODUCER_SEQUENCE);
        assert_int_equal(put(q, head(id << 40, (int16_t)id, 7, 1), 0, &a), PRODUCER_NEW);
    }
    slice_unref(s);
    producers_free(p);
    producers_free(q);
}

/* Batches below the snapshot's end are in it; the others follow. */
static void test_replay(void **state)
{
    struct producers *p = producers_make(), *q = producers_make();
    struct producer_answer a;
    (void)state;
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(put(p, head(7, 0, i, 1), i, &a), PRODUCER_NEW);
    struct slice s = producers_snapshot(p, 3);
    assert_int_equal(producers_restore(q, s), ERR_OK);
    slice_unref(s);
    for (int32_t i = 2; i < 5; i++) {
        struct batch_head h = head(7, 0, i, 1);
        h.base_offset = i;
        producers_replay(q, &h, 1000);
    }
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(put(q, head(7, 0, i, 1), 0, &a), PRODUCER_DUPLICATE);
        assert_int_equal(a.offset, i);
    }
    struct batch_head bumped = head(7, 1, 0, 1);
    bumped.base_offset = 5;
    producers_replay(q, &bumped, 1000);
    assert_int_equal(put(q, head(7, 0, 5, 1), 0, &a), PRODUCER_FENCED);
    assert_int_equal(put(q, head(7, 1, 1, 1), 6, &a), PRODUCER_NEW);
    producers_free(p);
    producers_free(q);
}

static void test_bad_snapshot(void **state)
{
    struct producers *p = producers_make(), *q = producers_make();
    struct producer_answer a;
    (void)state;
    for (int64_t id = 0; id < 3; id++)
        assert_int_equal(put(p, head(id, 0, 0, 1), id, &a), PRODUCER_NEW);
    struct slice s = producers_snapshot(p, 3);
    for (size_t n = 0; n < s.len; n++) {
        assert_int_equal(producers_restore(q, slice_sub(s, 0, n)), ERR_CORRUPT);
        assert_int_equal(producers_count(q), 0);
    }
    ((uint8_t *)s.at)[0] = 2;
    assert_int_equal(producers_restore(q, s), ERR_FORMAT_NEWER);
    slice_unref(s);
    producers_free(p);
    producers_free(q);
    producers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),      cmocka_unit_test(test_under_way),
        cmocka_unit_test(test_failed),     cmocka_unit_test(test_many_failed),
        cmocka_unit_test(test_pushed_out), cmocka_unit_test(test_expire),
        cmocka_unit_test(test_limit),      cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_replay),     cmocka_unit_test(test_bad_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
