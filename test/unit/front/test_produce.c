/* Produce, answered in every version as the table says, with every reason to refuse. */
#include "front_rig.h"

#include "base/codec.h"
#include "base/crc32c.h"

#include "../check.h"

#include <string.h>

#define PRODUCE 0

#define PART struct kafka_produce_response_topic_partition

static struct front f;
static struct client *c;

static int setup(void **state)
{
    (void)state;
    front_make(&f, 1);
    front_topic(&f, "t", 2, 0);
    c = client_open(&f, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    front_free(&f);
    return 0;
}

static const PART *put(int16_t version, const char *topic, int32_t partition, struct slice batch)
{
    struct slice frame =
        frame_produce(&f, version, ++c->correlation_id, topic, partition, -1, batch);
    client_send(c, frame.at, frame.len);
    slice_unref(frame);
    return only_produced(client_answer(c, PRODUCE, version));
}

static int64_t end_of(int32_t partition)
{
    struct uuid id = rig_topic_id(&f.rig, "t");
    return rig_list(&f.rig, 0, &id, partition, LIST_LATEST);
}

static void every_version_appends(void **state)
{
    (void)state;
    for (int16_t version = 3; version <= 13; version++) {
        const PART *p = put(version, "t", 0, rig_batch(2, 1000));
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->index, 0);
        assert_int_equal(p->base_offset, (version - 3) * 2);
        assert_int_equal(p->log_append_time_ms, -1);
        assert_int_equal(p->log_start_offset, version >= 5 ? 0 : -1);
        assert_int_equal(p->record_errors_n, 0);
        assert_null(p->error_message.at);
    }
    assert_int_equal(end_of(0), 22);
}

static void the_oldest_versions_are_refused(void **state)
{
    (void)state;
    for (int16_t version = 0; version < 3; version++)
        assert_int_equal(put(version, "t", 0, rig_batch(1, 1000))->error_code, 43);
    assert_int_equal(end_of(0), 0);
}

static void every_version_refuses(void **state)
{
    (void)state;
    for (int16_t version = 3; version <= 13; version++) {
        const PART *p = put(version, "missing", 0, rig_batch(1, 1000));
        assert_int_equal(p->error_code, version >= 13 ? 100 : 3);
        assert_int_equal(p->base_offset, -1);
        assert_int_equal(p->log_append_time_ms, -1);
        if (version >= 8)
            assert_true(p->error_message.len > 0);
        assert_int_equal(put(version, "t", 2, rig_batch(1, 1000))->error_code, 3);
        assert_int_equal(put(version, "t", -1, rig_batch(1, 1000))->error_code, 3);
        assert_int_equal(put(version, "t", 0, (struct slice){0})->error_code, 87);
    }
}

static void internal_topics_are_refused(void **state)
{
    (void)state;
    assert_int_equal(put(7, "__consumer_offsets", 0, rig_batch(1, 1000))->error_code, 17);
    assert_int_equal(put(13, "__weir_ledger", 0, rig_batch(1, 1000))->error_code, 17);
}

static void a_damaged_batch_is_refused(void **state)
{
    struct slice batch = rig_batch(1, 1000);
    (void)state;
    ((uint8_t *)batch.at)[batch.len - 1] ^= 1;
    const PART *p = put(8, "t", 0, batch);
    assert_int_equal(p->error_code, 2);
    assert_int_equal(p->record_errors_n, 0);
}

/* Records that are not really packed: without the version nobody looks that far. */
static void zstd_needs_version_7(void **state)
{
    (void)state;
    for (int16_t version = 5; version <= 8; version++) {
        struct slice batch = rig_batch(1, 1000);
        uint8_t *p = (uint8_t *)batch.at;
        p[22] |= CODEC_ZSTD;
        be32_put(p + 17, crc32c(0, p + 21, batch.len - 21));
        int16_t code = put(version, "t", 0, batch)->error_code;
        assert_int_not_equal(code, 0);
        assert_int_equal(code == 76, version < 7);
    }
}

/* The record that is wrong is named where the version has a place for it. */
static void a_bad_record_is_named(void **state)
{
    struct slice batch;
    (void)state;
    assert_int_equal(rig_configure(&f.rig, "t", "message.timestamp.before.max.ms", "1000"), ERR_OK);
    for (int16_t version = 7; version <= 9; version++) {
        batch = rig_batch(1, 1);
        const PART *p = put(version, "t", 0, batch);
        assert_int_equal(p->error_code, 32);
        if (version < 8)
            continue;
        assert_int_equal(p->record_errors_n, 1);
        assert_int_equal(p->record_errors[0].batch_index, 0);
        assert_true(p->record_errors[0].batch_index_error_message.len > 0);
    }
}

static void append_time_is_told(void **state)
{
    (void)state;
    assert_int_equal(rig_configure(&f.rig, "t", "message.timestamp.type", "LogAppendTime"), ERR_OK);
    assert_int_equal(put(2 + 1, "t", 0, rig_batch(1, 1))->log_append_time_ms,
                     (int64_t)rig_env(&f.rig, 0)->now_ms);
}

static void the_store_refuses(void **state)
{
    (void)state;
    fake_disk_fail(f.rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    const PART *p = put(9, "t", 0, rig_batch(1, 1000));
    assert_int_equal(p->error_code, 56);
    assert_true(p->error_message.len > 0);
    assert_int_equal(put(9, "t", 0, rig_batch(1, 1000))->base_offset, 0);
}

static void duplicates_get_the_first_offset(void **state)
{
    (void)state;
    assert_int_equal(put(7, "t", 0, rig_batch_from(3, 1000, 5, 0, 0))->base_offset, 0);
    assert_int_equal(put(7, "t", 0, rig_batch_from(3, 1000, 5, 0, 3))->base_offset, 3);
    const PART *p = put(7, "t", 0, rig_batch_from(3, 1000, 5, 0, 0));
    assert_int_equal(p->error_code, 0);
    assert_int_equal(p->base_offset, 0);
    assert_int_equal(put(7, "t", 0, rig_batch_from(3, 1000, 5, 0, 9))->error_code, 45);
    assert_int_equal(end_of(0), 6);
}

/* ---- several partitions --------------------------------------------------------------------- */

static struct kafka_produce_response *put_all(int16_t version, const char *transaction,
                                              int16_t acks)
{
    struct slice a = rig_batch(1, 1000), b = rig_batch(2, 1000), bad = rig_batch(1, 1000);
    ((uint8_t *)bad.at)[30] ^= 1;
    struct kafka_produce_request_topic_partition ps[] = {
        {0, {(const char *)a.at, a.len}},
        {5, {(const char *)a.at, a.len}},
        {1, {(const char *)bad.at, bad.len}},
    };
    struct kafka_produce_request_topic_partition qs[] = {{1, {(const char *)b.at, b.len}}};
    struct kafka_produce_request_topic ts[] = {
        {.name = STR_LIT("t"), .partition_data = ps, .partition_data_n = 3},
        {.name = STR_LIT("nowhere"), .partition_data = qs, .partition_data_n = 1},
        {.name = STR_LIT("t"), .partition_data = qs, .partition_data_n = 1},
        {.name = STR_LIT("t"), .partition_data_n = 0},
    };
    struct kafka_produce_request in;
    wire_default(&kafka_produce_request_table, &in);
    if (transaction)
        in.transactional_id = str_of(transaction);
    in.acks = acks;
    in.topic_data = ts;
    in.topic_data_n = 4;
    client_request(c, PRODUCE, version, &in);
    slice_unref(a);
    slice_unref(b);
    slice_unref(bad);
    return client_answer(c, PRODUCE, version);
}

static void partitions_succeed_and_fail_each_for_itself(void **state)
{
    (void)state;
    const struct kafka_produce_response *out = put_all(9, NULL, 1);
    assert_int_equal(out->responses_n, 4);
    assert_int_equal(out->responses[0].partition_responses_n, 3);
    assert_int_equal(out->responses[0].partition_responses[0].error_code, 0);
    assert_int_equal(out->responses[0].partition_responses[1].error_code, 3);
    assert_int_equal(out->responses[0].partition_responses[2].error_code, 2);
    assert_int_equal(out->responses[1].partition_responses[0].error_code, 3);
    assert_true(str_is(out->responses[1].name, "nowhere"));
    assert_int_equal(out->responses[2].partition_responses[0].error_code, 0);
    assert_int_equal(out->responses[3].partition_responses_n, 0);
    assert_int_equal(end_of(0), 1);
    assert_int_equal(end_of(1), 2);
}

static void assert_all(const struct kafka_produce_response *out, int16_t code)
{
    for (int32_t i = 0; i < out->responses_n; i++) {
        for (int32_t k = 0; k < out->responses[i].partition_responses_n; k++)
            assert_int_equal(out->responses[i].partition_responses[k].error_code, code);
    }
    assert_int_equal(end_of(0), 0);
    assert_int_equal(end_of(1), 0);
}

static void transactions_are_refused(void **state)
{
    (void)state;
    assert_all(put_all(9, "tx", -1), 42);
}

static void other_acks_are_refused(void **state)
{
    (void)state;
    assert_all(put_all(7, NULL, 2), 21);
    assert_all(put_all(7, NULL, -2), 21);
}

static void a_request_without_topics_is_answered(void **state)
{
    struct kafka_produce_request in;
    (void)state;
    wire_default(&kafka_produce_request_table, &in);
    in.acks = 1;
    for (int16_t version = 0; version <= 13; version++) {
        const struct kafka_produce_response *out = client_call(c, PRODUCE, version, &in);
        assert_int_equal(out->responses_n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(every_version_appends),
        TEST(the_oldest_versions_are_refused),
        TEST(every_version_refuses),
        TEST(internal_topics_are_refused),
        TEST(a_damaged_batch_is_refused),
        TEST(zstd_needs_version_7),
        TEST(a_bad_record_is_named),
        TEST(append_time_is_told),
        TEST(the_store_refuses),
        TEST(duplicates_get_the_first_offset),
        TEST(partitions_succeed_and_fail_each_for_itself),
        TEST(transactions_are_refused),
        TEST(other_acks_are_refused),
        TEST(a_request_without_topics_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
