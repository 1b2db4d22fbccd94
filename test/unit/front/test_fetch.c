/* Fetch: every version's answer as the table says, sizes, waiting and waking, sessions, epochs. */
#include "front_rig.h"

#include "../check.h"

#include <string.h>

#define FETCH 1
#define RESPONSE const struct kafka_fetch_response
#define PART const struct kafka_fetch_response_topic_partition

static struct front f;
static struct client *c;
static struct uuid id;

static void make(unsigned reactors)
{
    front_make(&f, reactors);
    front_topic(&f, "t", 4, 3);
    id = rig_topic_id(&f.rig, "t");
    c = client_open(&f, 0);
}

static int setup(void **state)
{
    (void)state;
    make(1);
    return 0;
}

/* The topic's partitions are of both reactors; the client is on the first. */
static int setup_2(void **state)
{
    (void)state;
    make(2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    front_free(&f);
    return 0;
}

/* ---- asking --------------------------------------------------------------------------------- */

#define ASK_MAX 8

/* A Fetch of t's partitions in order; what a test does not say is harmless. */
struct ask {
    const char *topic;
    int64_t offsets[ASK_MAX];
    int32_t n;
    int32_t epoch, last_epoch, part_bytes, session, session_epoch;
    int32_t max_bytes, min_bytes, wait_ms;
    int8_t isolation;
    int32_t forget; /* a partition, -1: none */
};

static struct ask ask_of(int32_t n, int64_t offset)
{
    struct ask a = {.topic = "t",
                    .n = n,
                    .epoch = -1,
                    .last_epoch = -1,
                    .part_bytes = 1 << 20,
                    .session_epoch = -1,
                    .max_bytes = 1 << 20,
                    .min_bytes = 1,
                    .forget = -1};
    for (int32_t i = 0; i < n; i++)
        a.offsets[i] = offset;
    return a;
}

static void start(struct client *by, int16_t version, const struct ask *a)
{
    struct kafka_fetch_request_topic_partition ps[ASK_MAX];
    struct kafka_fetch_request_topic t = {
        .topic = str_of(a->topic), .topic_id = id, .partitions = ps, .partitions_n = a->n};
    int32_t forgotten[1] = {a->forget};
    struct kafka_fetch_request_forgotten_topic gone = {
        .topic = str_of(a->topic), .topic_id = id, .partitions = forgotten, .partitions_n = 1};
    struct kafka_fetch_request in;
    wire_default(&kafka_fetch_request_table, &in);
    for (int32_t i = 0; i < a->n; i++) {
        wire_default(&kafka_fetch_request_topic_partition_table, &ps[i]);
        ps[i].partition = i;
        ps[i].fetch_offset = a->offsets[i];
        ps[i].current_leader_epoch = a->epoch;
        ps[i].last_fetched_epoch = a->last_epoch;
        ps[i].partition_max_bytes = a->part_bytes;
    }
    in.max_wait_ms = a->wait_ms;
    in.min_bytes = a->min_bytes;
    in.max_bytes = a->max_bytes;
    in.isolation_level = a->isolation;
    in.session_id = a->session;
    in.session_epoch = a->session_epoch;
    in.topics = &t;
    in.topics_n = a->n > 0;
    in.forgotten_topics_data = &gone;
    in.forgotten_topics_data_n = a->forget >= 0;
    client_request(by, FETCH, version, &in);
}

static RESPONSE *fetch(int16_t version, const struct ask *a)
{
    start(c, version, a);
    return client_answer(c, FETCH, version);
}

static PART *part_of(RESPONSE *out, int32_t partition)
{
    for (int32_t i = 0; i < out->responses_n; i++) {
        for (int32_t k = 0; k < out->responses[i].partitions_n; k++) {
            if (out->responses[i].partitions[k].partition_index == partition)
                return &out->responses[i].partitions[k];
        }
    }
    return NULL;
}

static int32_t parts_of(RESPONSE *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < out->responses_n; i++)
        n += out->responses[i].partitions_n;
    return n;
}

static void put(int32_t partition, unsigned records)
{
    assert_int_equal(rig_produce(&f.rig, 0, &id, partition, rig_batch(records, 2000), NULL),
                     ERR_OK);
    front_run(&f);
}

static size_t size_of_batch(unsigned records)
{
    struct slice batch = rig_batch(records, 1000);
    slice_unref(batch);
    return batch.len;
}

static bool answered(struct client *by)
{
    return by->got.len > by->taken;
}

static void pass(uint64_t ms)
{
    fake_advance(&f.rig.world, ms);
    front_run(&f);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void every_version_reads(void **state)
{
    struct ask a = ask_of(2, 0);
    (void)state;
    for (int16_t version = 4; version <= 18; version++) {
        RESPONSE *out = fetch(version, &a);
        assert_int_equal(out->error_code, 0);
        assert_int_equal(out->session_id, 0);
        assert_int_equal(out->responses_n, 1);
        if (version >= 13)
            assert_true(uuid_eq(out->responses[0].topic_id, id));
        else
            assert_true(str_is(out->responses[0].topic, "t"));
        PART *p = part_of(out, 0);
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->high_watermark, 3);
        assert_int_equal(p->last_stable_offset, 3);
        assert_int_equal(p->log_start_offset, version >= 5 ? 0 : -1);
        assert_int_equal(p->aborted_transactions_n, -1);
        assert_int_equal(p->preferred_read_replica, -1);
        assert_null(p->diverging_epoch);
        struct batch_head h;
        assert_int_equal(batch_head_read(p->records.at, p->records.len, &h), ERR_OK);
        assert_int_equal(h.bytes, p->records.len);
        assert_int_equal(h.count, 3);
        p = part_of(out, 1);
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->high_watermark, 0);
        assert_int_equal(p->records.len, 0);
    }
}

static void every_version_tells_errors(void **state)
{
    (void)state;
    for (int16_t version = 4; version <= 18; version++) {
        struct ask a = ask_of(1, 4);
        PART *p = part_of(fetch(version, &a), 0);
        assert_int_equal(p->error_code, 1);
        assert_int_equal(p->high_watermark, 3); /* where it is, for who has lost the way */
        a = ask_of(5, 0);
        p = part_of(fetch(version, &a), 4);
        assert_int_equal(p->error_code, 3);
        assert_int_equal(p->high_watermark, -1);
        a = ask_of(1, 0);
        a.topic = "missing";
        if (version < 13)
            assert_int_equal(part_of(fetch(version, &a), 0)->error_code, 3);
    }
    struct ask a = ask_of(1, 0);
    struct uuid right = id;
    id.b[0] ^= 1;
    assert_int_equal(part_of(fetch(13, &a), 0)->error_code, 100);
    id = right;
}

static void read_committed_has_a_list_of_aborted_ones(void **state)
{
    struct ask a = ask_of(1, 0);
    (void)state;
    a.isolation = 1;
    assert_int_equal(part_of(fetch(11, &a), 0)->aborted_transactions_n, 0);
}

static void epochs_are_checked(void **state)
{
    struct ask a = ask_of(1, 0);
    (void)state;
    a.epoch = 1;
    assert_int_equal(part_of(fetch(12, &a), 0)->error_code, 0);
    a.epoch = 0;
    assert_int_equal(part_of(fetch(12, &a), 0)->error_code, 74);
    a.epoch = 2;
    assert_int_equal(part_of(fetch(12, &a), 0)->error_code, 75);
}

/* The client has read more of epoch 1 than there is here: it is told where that ended. */
static void a_log_that_differs_is_told_where(void **state)
{
    struct ask a = ask_of(1, 4);
    (void)state;
    front_restart(&f);
    c = client_open(&f, 0);
    put(0, 2); /* offsets 3 and 4, epoch 2 */
    a.last_epoch = 1;
    for (int16_t version = 12; version <= 18; version++) {
        PART *p = part_of(fetch(version, &a), 0);
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->records.len, 0);
        assert_non_null(p->diverging_epoch);
        assert_int_equal(p->diverging_epoch->epoch, 1);
        assert_int_equal(p->diverging_epoch->end_offset, 3);
    }
    a.offsets[0] = 3;
    assert_null(part_of(fetch(12, &a), 0)->diverging_epoch);
    a.last_epoch = 3;
    assert_int_equal(part_of(fetch(12, &a), 0)->error_code, 1);
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static void the_first_batch_comes_whole(void **state)
{
    struct ask a = ask_of(1, 0);
    (void)state;
    put(0, 5);
    a.part_bytes = a.max_bytes = 1;
    assert_int_equal(part_of(fetch(11, &a), 0)->records.len, size_of_batch(3));
    a.offsets[0] = 1; /* inside of it: the whole batch again */
    assert_int_equal(part_of(fetch(11, &a), 0)->records.len, size_of_batch(3));
}

static void the_whole_answer_is_bounded(void **state)
{
    (void)state;
    put(1, 3);
    put(2, 3);
    struct ask a = ask_of(4, 0);
    size_t one = part_of(fetch(11, &a), 0)->records.len;
    a.max_bytes = (int32_t)(one + one / 2);
    RESPONSE *out = fetch(11, &a);
    assert_int_equal(parts_of(out), 4);
    assert_int_equal(part_of(out, 0)->records.len, one);
    assert_int_equal(part_of(out, 1)->records.len, 0);
    assert_int_equal(part_of(out, 1)->high_watermark, 3);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void it_waits_as_long_as_it_may(void **state)
{
    struct ask a = ask_of(4, 0);
    (void)state;
    a.offsets[0] = 3;
    a.wait_ms = 500;
    start(c, 11, &a);
    pass(499);
    assert_false(answered(c));
    pass(1);
    RESPONSE *out = client_answer(c, FETCH, 11);
    assert_int_equal(parts_of(out), 4);
    assert_int_equal(part_of(out, 0)->high_watermark, 3);
}

static void an_append_wakes_it(void **state)
{
    (void)state;
    for (int32_t partition = 0; partition < 4; partition++) {
        struct ask a = ask_of(4, 0);
        for (int32_t i = 0; i < 4; i++) /* their ends: each round adds one record */
            a.offsets[i] = (i == 0 ? 3 : 0) + (i < partition);
        a.wait_ms = 30000;
        start(c, 11, &a);
        assert_false(answered(c));
        assert_int_equal(front_stats(&f).fetch_waits, 1);
        put(partition, 1);
        RESPONSE *out = client_answer(c, FETCH, 11);
        assert_true(part_of(out, partition)->records.len > 0);
        assert_int_equal(front_stats(&f).fetch_waits, 0);
    }
}

static void it_waits_on_for_enough_bytes(void **state)
{
    struct ask a = ask_of(2, 0);
    (void)state;
    a.offsets[0] = 3;
    a.wait_ms = 30000;
    a.min_bytes = (int32_t)(2 * size_of_batch(1));
    start(c, 11, &a);
    put(0, 1);
    assert_false(answered(c));
    put(1, 1);
    RESPONSE *out = client_answer(c, FETCH, 11);
    assert_true(part_of(out, 0)->records.len > 0 && part_of(out, 1)->records.len > 0);
}

/* More than may come at all is never waited for. */
static void it_does_not_wait_for_more_than_fits(void **state)
{
    struct ask a = ask_of(1, 0);
    (void)state;
    a.wait_ms = 30000;
    a.min_bytes = 1 << 30;
    a.max_bytes = 10;
    start(c, 11, &a);
    assert_true(part_of(client_answer(c, FETCH, 11), 0)->records.len > 0);
}

static void errors_do_not_wait(void **state)
{
    struct ask a = ask_of(5, 0);
    (void)state;
    a.offsets[0] = 3;
    a.wait_ms = 30000;
    start(c, 11, &a);
    assert_int_equal(part_of(client_answer(c, FETCH, 11), 4)->error_code, 3);
}

static void nothing_to_fetch_does_not_wait(void **state)
{
    struct ask a = ask_of(0, 0);
    (void)state;
    a.wait_ms = 30000;
    assert_int_equal(fetch(11, &a)->responses_n, 0);
}

static void a_deletion_wakes_it(void **state)
{
    struct ask a = ask_of(4, 0);
    (void)state;
    a.offsets[0] = 3;
    a.wait_ms = 30000;
    start(c, 11, &a);
    assert_int_equal(rig_delete(&f.rig, 0, "t"), ERR_OK);
    front_run(&f);
    RESPONSE *out = client_answer(c, FETCH, 11);
    assert_int_equal(part_of(out, 0)->error_code, 3);
}

static void retention_wakes_it(void **state)
{
    struct ask a = ask_of(1, 3);
    (void)state;
    a.wait_ms = 30000;
    start(c, 11, &a);
    fake_disk_retain(f.rig.disk, &(struct store_log_id){id, 0}, 2);
    front_run(&f);
    assert_false(answered(c)); /* it looked, and there was nothing new to read */
    pass(30000);
    assert_int_equal(part_of(client_answer(c, FETCH, 11), 0)->log_start_offset, 2);
}

/* Many that wait for the same are all woken, whatever each does then. */
static void one_append_wakes_many(void **state)
{
    struct ask a = ask_of(4, 0);
    struct client *many[CLIENTS_MAX - 1];
    (void)state;
    a.offsets[0] = 3;
    a.wait_ms = 30000;
    for (size_t i = 0; i < CLIENTS_MAX - 1; i++) {
        many[i] = client_open(&f, (unsigned)i % f.rig.n);
        start(many[i], 11, &a);
    }
    assert_int_equal(front_stats(&f).fetch_waits, CLIENTS_MAX - 1);
    put(2, 1);
    for (size_t i = 0; i < CLIENTS_MAX - 1; i++)
        assert_true(part_of(client_answer(many[i], FETCH, 11), 2)->records.len > 0);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static RESPONSE *fetch_more(int32_t session, int32_t epoch)
{
    struct ask a = ask_of(0, 0);
    a.session = session;
    a.session_epoch = epoch;
    return fetch(11, &a);
}

static int32_t open_session(void)
{
    struct ask a = ask_of(4, 0);
    a.offsets[0] = 3;
    a.session_epoch = 0;
    RESPONSE *out = fetch(11, &a);
    assert_int_equal(parts_of(out), 4);
    assert_int_not_equal(out->session_id, 0);
    return out->session_id;
}

static void a_session_tells_what_is_new(void **state)
{
    (void)state;
    int32_t session = open_session();
    RESPONSE *out = fetch_more(session, 1);
    assert_int_equal(out->session_id, session);
    assert_int_equal(out->responses_n, 0);
    put(2, 1);
    out = fetch_more(session, 2);
    assert_int_equal(parts_of(out), 1);
    assert_true(part_of(out, 2)->records.len > 0);
    /* It was not told to go on: the same again. */
    assert_int_equal(parts_of(fetch_more(session, 3)), 1);
    struct ask a = ask_of(3, 0);
    a.offsets[0] = 3;
    a.offsets[2] = 1;
    a.session = session;
    a.session_epoch = 4;
    assert_int_equal(parts_of(fetch(11, &a)), 0);
}

static void a_session_forgets(void **state)
{
    (void)state;
    int32_t session = open_session();
    struct ask a = ask_of(0, 0);
    a.session = session;
    a.session_epoch = 1;
    a.forget = 2;
    assert_int_equal(parts_of(fetch(11, &a)), 0);
    put(2, 1);
    assert_int_equal(parts_of(fetch_more(session, 2)), 0);
    put(1, 1);
    assert_int_equal(parts_of(fetch_more(session, 3)), 1);
}

/* Of an empty partition, whose marks are 0 all the time. */
static void a_session_tells_the_marks_again_after_an_error(void **state)
{
    struct ask a = ask_of(1, 0);
    (void)state;
    front_topic(&f, "empty", 1, 0);
    a.topic = "empty";
    a.session_epoch = 0;
    int32_t session = fetch(11, &a)->session_id;
    assert_int_equal(rig_grow(&f.rig, 0, "empty", 2), ERR_OK);
    RESPONSE *out = fetch_more(session, 1);
    assert_int_equal(part_of(out, 0)->error_code, 6); /* the nudge */
    out = fetch_more(session, 2);
    assert_int_equal(parts_of(out), 1);
    assert_int_equal(part_of(out, 0)->error_code, 0);
    assert_int_equal(parts_of(fetch_more(session, 3)), 0);
}

static void sessions_are_refused_with_their_errors(void **state)
{
    (void)state;
    int32_t session = open_session();
    assert_int_equal(fetch_more(session, 2)->error_code, 71);
    assert_int_equal(fetch_more(session ^ 1, 1)->error_code, 70);
    struct ask a = ask_of(0, 0);
    a.session = session;
    a.session_epoch = 1;
    assert_int_equal(fetch(13, &a)->error_code, 106);
    assert_int_equal(fetch_more(session, 1)->error_code, 0);
    RESPONSE *last = fetch_more(session, -1);
    assert_int_equal(last->error_code, 0);
    assert_int_equal(last->session_id, 0);
    assert_int_equal(fetch_more(session, 2)->error_code, 70);
}

static void an_idle_session_costs_few_bytes(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&f.rig, 0, "wide", 1000), ERR_OK);
    static struct kafka_fetch_request_topic_partition ps[1000];
    struct kafka_fetch_request_topic t = {.topic = STR_LIT("wide"), .partitions = ps};
    struct kafka_fetch_request in;
    wire_default(&kafka_fetch_request_table, &in);
    for (int32_t i = 0; i < 1000; i++) {
        wire_default(&kafka_fetch_request_topic_partition_table, &ps[i]);
        ps[i].partition = i;
        ps[i].partition_max_bytes = 1 << 20;
    }
    t.partitions_n = 1000;
    in.topics = &t;
    in.topics_n = 1;
    in.session_epoch = 0;
    RESPONSE *out = client_call(c, FETCH, 11, &in);
    assert_int_equal(parts_of(out), 1000);
    size_t before = c->got.len;
    assert_int_equal(fetch_more(out->session_id, 1)->responses_n, 0);
    assert_true(c->got.len - before < 64);
}

/* ---- a store that takes its time ------------------------------------------------------------ */

static void reads_that_take_their_time_are_put_together(void **state)
{
    struct ask a = ask_of(4, 0);
    (void)state;
    put(1, 1);
    put(3, 2);
    rig_defer(&f.rig, true);
    start(c, 11, &a);
    rig_defer(&f.rig, false);
    RESPONSE *out = client_answer(c, FETCH, 11);
    assert_int_equal(parts_of(out), 4);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(part_of(out, i)->records.len > 0, i != 2);
}

static void a_read_that_fails_is_an_error_of_its_partition(void **state)
{
    struct ask a = ask_of(4, 0);
    (void)state;
    put(1, 1);
    fake_disk_fail(f.rig.disk, FAKE_READ, 1, 1, ERR_IO);
    RESPONSE *out = fetch(11, &a);
    int failed = 0;
    for (int32_t i = 0; i < 4; i++)
        failed += part_of(out, i)->error_code == 56;
    assert_int_equal(failed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define BOTH(t) {#t, t, setup, teardown, NULL}, {#t "_2_reactors", t, setup_2, teardown, NULL}
        BOTH(every_version_reads),
        BOTH(every_version_tells_errors),
        TEST(read_committed_has_a_list_of_aborted_ones),
        TEST(epochs_are_checked),
        TEST(a_log_that_differs_is_told_where),
        TEST(the_first_batch_comes_whole),
        TEST(the_whole_answer_is_bounded),
        BOTH(it_waits_as_long_as_it_may),
        BOTH(an_append_wakes_it),
        BOTH(it_waits_on_for_enough_bytes),
        TEST(it_does_not_wait_for_more_than_fits),
        TEST(errors_do_not_wait),
        TEST(nothing_to_fetch_does_not_wait),
        BOTH(a_deletion_wakes_it),
        BOTH(retention_wakes_it),
        BOTH(one_append_wakes_many),
        BOTH(a_session_tells_what_is_new),
        TEST(a_session_forgets),
        TEST(a_session_tells_the_marks_again_after_an_error),
        TEST(sessions_are_refused_with_their_errors),
        TEST(an_idle_session_costs_few_bytes),
        BOTH(reads_that_take_their_time_are_put_together),
        TEST(a_read_that_fails_is_an_error_of_its_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
