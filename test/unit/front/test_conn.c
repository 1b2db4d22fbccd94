/* A whole connection: bytes in any pieces, requests in order, produce side by side, and every way
 * in which a client can be wrong or go away. */
#include "front_rig.h"

#include "../check.h"

#include <string.h>

#define PRODUCE 0
#define FETCH 1
#define LIST_OFFSETS 2
#define METADATA 3
#define API_VERSIONS 18
#define CREATE_TOPICS 19

static struct front f;

static int setup(void **state)
{
    (void)state;
    front_make(&f, 1);
    front_topic(&f, "t", 1, 0);
    return 0;
}

static int setup_2(void **state)
{
    (void)state;
    front_make(&f, 2);
    front_topic(&f, "t", 2, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    front_free(&f);
    return 0;
}

static struct slice frame_versions(int32_t correlation_id)
{
    struct kafka_api_versions_request in;
    wire_default(&kafka_api_versions_request_table, &in);
    return frame_make(API_VERSIONS, 2, correlation_id, &in);
}

static struct slice frame_list_offsets(int32_t correlation_id)
{
    struct kafka_list_offsets_request_topic_partition p = {.current_leader_epoch = -1,
                                                           .timestamp = LIST_LATEST};
    struct kafka_list_offsets_request_topic t = {
        .name = STR_LIT("t"), .partitions = &p, .partitions_n = 1};
    struct kafka_list_offsets_request in;
    wire_default(&kafka_list_offsets_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    return frame_make(LIST_OFFSETS, 5, correlation_id, &in);
}

static struct slice frame_put(int32_t correlation_id, int16_t acks)
{
    return frame_produce(&f, 7, correlation_id, "t", 0, acks, rig_batch(1, 1000));
}

/* Of the end of partition 0, waiting at most this long for a byte. */
static struct slice frame_fetch(int32_t correlation_id, int32_t wait_ms)
{
    struct kafka_fetch_request_topic_partition p;
    struct kafka_fetch_request_topic t = {.topic = STR_LIT("t"), .partitions_n = 1};
    struct kafka_fetch_request in;
    wire_default(&kafka_fetch_request_topic_partition_table, &p);
    wire_default(&kafka_fetch_request_table, &in);
    p.fetch_offset = rig_list(&f.rig, 0, &rig_topic(&f.rig, 0, "t")->id, 0, LIST_LATEST);
    p.partition_max_bytes = 1 << 20;
    t.partitions = &p;
    in.max_wait_ms = wait_ms;
    in.min_bytes = 1;
    in.topics = &t;
    in.topics_n = 1;
    return frame_make(FETCH, 11, correlation_id, &in);
}

static void push(struct client *c, struct slice frame)
{
    client_send(c, frame.at, frame.len);
    slice_unref(frame);
}

/* The next answers have these correlation ids, and there is no other. */
static void assert_answered(struct client *c, const int32_t *ids, size_t n)
{
    int32_t id;
    struct str body;
    for (size_t i = 0; i < n; i++) {
        assert_true(client_answer_bytes(c, &id, &body));
        assert_int_equal(id, ids[i]);
    }
    assert_false(client_answer_bytes(c, &id, &body));
}

#define ANSWERED(c, ...)                                                                           \
    assert_answered(c, (const int32_t[]){__VA_ARGS__},                                             \
                    sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
#define NOTHING(c) assert_answered(c, NULL, 0)

/* ---- bytes ---------------------------------------------------------------------------------- */

static void frames_come_in_single_bytes(void **state)
{
    struct client *c = client_open(&f, 0);
    struct slice frame = frame_versions(7);
    (void)state;
    for (size_t i = 0; i < frame.len; i++) {
        NOTHING(c);
        client_send(c, frame.at + i, 1);
    }
    slice_unref(frame);
    ANSWERED(c, 7);
}

static void several_frames_come_at_once(void **state)
{
    struct client *c = client_open(&f, 0);
    struct wr w;
    (void)state;
    wr_init(&w, 64);
    for (int32_t i = 1; i <= 3; i++) {
        struct slice frame = i == 2 ? frame_list_offsets(i) : frame_versions(i);
        wr_bytes(&w, frame.at, frame.len);
        slice_unref(frame);
    }
    client_send(c, w.buf->data, w.len);
    wr_free(&w);
    ANSWERED(c, 1, 2, 3);
}

static struct slice random_frame(struct rng *rng, int32_t id)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return frame_versions(id);
    case 1:
        return frame_list_offsets(id);
    case 2:
        return frame_fetch(id, 0);
    default:
        return frame_produce(&f, 7, id, "t", 0, 1,
                             rig_batch(1 + (unsigned)rng_below(rng, 3000), 1));
    }
}

/* Requests of all sizes in random pieces, with a store that answers now and then. */
static void frames_come_in_any_pieces(void **state)
{
    struct rng rng;
    (void)state;
    rng_seed(&rng, 3);
    for (unsigned round = 0; round < 6; round++) {
        struct client *c = client_open(&f, 0);
        struct wr w;
        int32_t sent = 60, id, got = 0;
        struct str body;
        wr_init(&w, 4096);
        for (int32_t i = 0; i < sent; i++) {
            struct slice frame = random_frame(&rng, i);
            wr_bytes(&w, frame.at, frame.len);
            slice_unref(frame);
        }
        rig_defer(&f.rig, round % 2);
        for (size_t at = 0; at < w.len;) {
            size_t n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 20 : 100000);
            at += client_push(c, w.buf->data + at, n < w.len - at ? n : w.len - at);
            if (c->paused || rng_below(&rng, 5) == 0)
                front_run(&f);
        }
        front_run(&f);
        rig_defer(&f.rig, false);
        wr_free(&w);
        for (; client_answer_bytes(c, &id, &body); got++)
            assert_int_equal(id, got);
        assert_int_equal(got, sent);
    }
}

/* ---- order ---------------------------------------------------------------------------------- */

static void produce_requests_run_together_others_take_turns(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice frames[] = {frame_put(1, 1), frame_put(2, -1), frame_put(3, 1), frame_versions(4),
                             frame_put(5, 1)};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(client_push(c, frames[i].at, frames[i].len), frames[i].len);
        slice_unref(frames[i]);
    }
    /* The first three share what the store does; the fifth waits behind the fourth. */
    assert_int_equal(fake_store_pending(f.rig.stores[0]), 3);
    assert_int_equal(front_stats(&f).requests, 0);
    NOTHING(c);
    assert_true(fake_store_step(f.rig.stores[0]));
    ANSWERED(c, 1);
    assert_true(fake_store_step(f.rig.stores[0]));
    assert_true(fake_store_step(f.rig.stores[0]));
    ANSWERED(c, 2, 3, 4);
    assert_int_equal(fake_store_pending(f.rig.stores[0]), 1);
    front_run(&f);
    ANSWERED(c, 5);
    rig_defer(&f.rig, false);
}

static void an_early_answer_waits_for_its_turn(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice frames[] = {frame_put(1, 1),
                             frame_produce(&f, 7, 2, "missing", 0, 1, rig_batch(1, 1))};
    for (size_t i = 0; i < 2; i++) {
        client_push(c, frames[i].at, frames[i].len);
        slice_unref(frames[i]);
    }
    assert_int_equal(front_stats(&f).requests, 1); /* the second was refused at once */
    NOTHING(c);
    front_run(&f);
    ANSWERED(c, 1, 2);
    rig_defer(&f.rig, false);
}

static void a_fetch_that_waits_holds_up_what_follows(void **state)
{
    struct client *c = client_open(&f, 0), *other = client_open(&f, 0);
    (void)state;
    push(c, frame_fetch(1, 500));
    push(c, frame_put(2, 1));
    push(other, frame_versions(9));
    ANSWERED(other, 9);
    NOTHING(c);
    assert_int_equal(front_stats(&f).fetch_waits, 1);
    fake_advance(&f.rig.world, 499);
    front_run(&f);
    NOTHING(c);
    fake_advance(&f.rig.world, 1);
    front_run(&f);
    ANSWERED(c, 1, 2);
    assert_int_equal(front_stats(&f).fetch_waits, 0);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void send_length(struct client *c, uint32_t n)
{
    uint8_t bytes[4];
    be32_put(bytes, n);
    client_send(c, bytes, 4);
}

static void lengths_that_are_not_allowed_close(void **state)
{
    const uint32_t bad[] = {0, 0xffffffff, 0x80000000, 0x7fffffff,
                            (uint32_t)KAFKA_FRAME_MAX_DEFAULT + 1};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct client *c = client_open(&f, 0);
        send_length(c, bad[i]);
        assert_true(c->gone);
        NOTHING(c);
    }
    assert_int_equal(front_stats(&f).errors, sizeof bad / sizeof bad[0]);
}

static void what_came_before_a_bad_frame_is_answered(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice put = frame_put(1, 1), versions = frame_versions(2);
    client_push(c, put.at, put.len);
    client_push(c, versions.at, versions.len);
    client_push(c, "\0\0\0\0", 4);
    assert_false(c->closing);
    front_run(&f);
    ANSWERED(c, 1, 2);
    assert_true(c->gone);
    slice_unref(put);
    slice_unref(versions);
    rig_defer(&f.rig, false);
}

static void send_head(struct client *c, int16_t key, int16_t version, const void *rest, size_t n)
{
    struct wr w;
    wr_init(&w, 64);
    wr_i32(&w, (int32_t)(10 + n));
    wr_i16(&w, key);
    wr_i16(&w, version);
    wr_i32(&w, 5);
    wr_i16(&w, -1);
    wr_bytes(&w, rest, n);
    client_send(c, w.buf->data, w.len);
    wr_free(&w);
}

static void unknown_requests_and_versions_close(void **state)
{
    static const int16_t bad[][2] = {{999, 0},       {-1, 0},        {METADATA, 14},
                                     {METADATA, -1}, {FETCH, 3},     {PRODUCE, 14},
                                     {38, 0},        {METADATA, 99}, {60, -1}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct client *c = client_open(&f, 0);
        push(c, frame_versions(1));
        send_head(c, bad[i][0], bad[i][1], "\0\0\0\0\0\0\0\0", 8);
        ANSWERED(c, 1);
        assert_true(c->gone);
        if (f.n == CLIENTS_MAX) {
            front_free(&f);
            (void)setup(state);
        }
    }
}

static void malformed_requests_close(void **state)
{
    (void)state;
    struct client *c = client_open(&f, 0);
    client_send(c, "\0\0\0\4\0\3\0\1", 8); /* no correlation id */
    assert_true(c->gone);
    c = client_open(&f, 0);
    send_head(c, METADATA, 1, "\0\0\0\5", 4); /* five topics, none there */
    assert_true(c->gone);
    c = client_open(&f, 0);
    send_head(c, PRODUCE, 7, "\xff\xff\0\1\0\0\0\0\0\0\0\1\0\1", 14); /* cut inside a name */
    assert_true(c->gone);
    c = client_open(&f, 0);
    send_head(c, METADATA, 1, "\0\0\0\0more", 8); /* what is behind is not looked at, as in Kafka */
    ANSWERED(c, 5);
    assert_false(c->gone);
}

static void versions_of_the_future_are_told_what_there_is(void **state)
{
    static const int16_t versions[] = {99, 5, -1};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct client *c = client_open(&f, 0);
        struct kafka_api_versions_response *out;
        c->correlation_id = 5;
        send_head(c, API_VERSIONS, versions[i], "\0\0\0", 3);
        out = client_answer(c, API_VERSIONS, 0);
        assert_int_equal(out->error_code, 35);
        assert_int_equal(out->api_keys_n, 1);
        assert_int_equal(out->api_keys[0].api_key, API_VERSIONS);
        assert_int_equal(out->api_keys[0].max_version, 4);
        push(c, frame_versions(6));
        ANSWERED(c, 6);
    }
}

/* A request that decodes to more than one may take: refused, not answered in part. */
static void requests_that_take_too_much_memory_close(void **state)
{
    struct client *c = client_open(&f, 0);
    size_t topics =
        KAFKA_REQUEST_MEMORY_MAX_DEFAULT / sizeof(struct kafka_metadata_request_topic) + 1;
    struct wr w;
    (void)state;
    wr_init(&w, topics * 2 + 64);
    wr_i32(&w, (int32_t)(10 + 4 + 2 * topics));
    wr_bytes(&w, "\0\3\0\1\0\0\0\5\xff\xff", 10);
    wr_i32(&w, (int32_t)topics);
    for (size_t i = 0; i < topics; i++)
        wr_i16(&w, 0);
    client_send(c, w.buf->data, w.len);
    assert_true(c->gone);
    NOTHING(c);
    wr_free(&w);
}

/* As many as just fit: then there is no memory for the answer, nor for the handler itself. */
static void answers_that_take_too_much_memory_close(void **state)
{
    size_t size = sizeof(struct kafka_metadata_request_topic);
    const size_t spare[] = {0, 1, 2, 4, 40, 4000};
    (void)state;
    for (size_t i = 0; i < sizeof spare / sizeof spare[0]; i++) {
        struct client *c = client_open(&f, 0);
        size_t topics = (KAFKA_REQUEST_MEMORY_MAX_DEFAULT - 64) / size - spare[i];
        struct wr w;
        wr_init(&w, topics * 2 + 64);
        wr_i32(&w, (int32_t)(10 + 4 + 2 * topics));
        wr_bytes(&w, "\0\3\0\1\0\0\0\5\xff\xff", 10);
        wr_i32(&w, (int32_t)topics);
        for (size_t k = 0; k < topics; k++)
            wr_i16(&w, 0);
        client_send(c, w.buf->data, w.len);
        assert_true(c->gone);
        NOTHING(c);
        wr_free(&w);
    }
}

/* ---- acks=0 --------------------------------------------------------------------------------- */

static void acks_0_is_not_answered(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    push(c, frame_put(1, 0));
    push(c, frame_list_offsets(2));
    ANSWERED(c, 2);
    struct uuid id = rig_topic_id(&f.rig, "t");
    assert_int_equal(rig_list(&f.rig, 0, &id, 0, LIST_LATEST), 1);
}

/* The answer before it leaves, what was queued behind it is dropped. */
static void acks_0_that_fails_closes(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice frames[] = {frame_put(1, 1),
                             frame_produce(&f, 7, 2, "missing", 0, 0, rig_batch(1, 1)),
                             frame_put(3, 1), frame_versions(4)};
    for (size_t i = 0; i < 4; i++) {
        client_push(c, frames[i].at, frames[i].len);
        slice_unref(frames[i]);
    }
    assert_false(c->closing);
    front_run(&f);
    ANSWERED(c, 1);
    assert_true(c->gone);
    rig_defer(&f.rig, false);
}

static void what_waits_behind_a_failure_is_dropped(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    push(c, frame_fetch(1, 500));
    push(c, frame_produce(&f, 7, 2, "missing", 0, 0, rig_batch(1, 1)));
    push(c, frame_put(3, 1));
    push(c, frame_versions(4));
    fake_advance(&f.rig.world, 500);
    front_run(&f);
    ANSWERED(c, 1);
    assert_true(c->gone);
    struct uuid id = rig_topic_id(&f.rig, "t");
    assert_int_equal(rig_list(&f.rig, 0, &id, 0, LIST_LATEST), 0);
}

/* ---- the client goes away ------------------------------------------------------------------- */

static void the_client_goes_amid_a_produce(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice frames[] = {frame_put(1, 1), frame_put(2, 1), frame_versions(3)};
    for (size_t i = 0; i < 3; i++) {
        client_push(c, frames[i].at, frames[i].len);
        slice_unref(frames[i]);
    }
    c->closing = c->gone = true;
    c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
    assert_int_equal(front_stats(&f).connections, 1); /* until its requests are done */
    front_run(&f);
    NOTHING(c);
    assert_int_equal(front_stats(&f).connections, 0);
    rig_defer(&f.rig, false);
    struct uuid id = rig_topic_id(&f.rig, "t");
    assert_int_equal(rig_list(&f.rig, 0, &id, 0, LIST_LATEST), 2);
}

static void the_client_goes_while_its_fetch_waits(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    push(c, frame_fetch(1, 30000));
    push(c, frame_put(2, 1));
    assert_int_equal(front_stats(&f).fetch_waits, 1);
    client_end(c);
    assert_true(c->gone);
    assert_int_equal(front_stats(&f).fetch_waits, 0);
    assert_int_equal(front_stats(&f).connections, 0);
    NOTHING(c);
    struct uuid id = rig_topic_id(&f.rig, "t");
    assert_int_equal(rig_list(&f.rig, 0, &id, 0, LIST_LATEST), 0); /* it never began */
}

static void the_client_goes_amid_a_read(void **state)
{
    struct client *c = client_open(&f, 0);
    struct slice fetch = frame_fetch(1, 1000);
    (void)state;
    front_topic(&f, "u", 1, 3);
    push(c, frame_put(0, 1));
    ANSWERED(c, 0);
    rig_defer(&f.rig, true);
    client_push(c, fetch.at, fetch.len); /* of offset 0, where there is a record now */
    slice_unref(fetch);
    assert_int_equal(fake_store_pending(f.rig.stores[0]), 1);
    c->closing = c->gone = true;
    c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
    rig_defer(&f.rig, false);
    front_run(&f);
    assert_int_equal(front_stats(&f).connections, 0);
}

/* Topics are made by several steps of the store and, here, of two reactors. */
static void the_client_goes_amid_a_create(void **state)
{
    struct kafka_create_topics_request_topic t = {
        .name = STR_LIT("fresh"), .num_partitions = 3, .replication_factor = 1};
    struct kafka_create_topics_request in = {.topics = &t, .topics_n = 1};
    struct slice frame = frame_make(CREATE_TOPICS, 7, 1, &in);
    (void)state;
    for (unsigned step = 0; step < 12; step++) {
        struct client *c;
        if (f.n == CLIENTS_MAX) {
            front_free(&f);
            (void)setup_2(state);
        }
        c = client_open(&f, step % 2);
        rig_defer(&f.rig, true);
        client_push(c, frame.at, frame.len);
        for (unsigned i = 0; i < step; i++) {
            if (!fake_deliver(&f.rig.world, i % 2))
                (void)fake_store_step(f.rig.stores[i % 2]);
        }
        c->closing = c->gone = true;
        c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
        rig_defer(&f.rig, false);
        front_run(&f);
        assert_int_equal(front_stats(&f).connections, 0);
        if (rig_topic(&f.rig, 0, "fresh"))
            assert_int_equal(rig_delete(&f.rig, 0, "fresh"), ERR_OK);
    }
    slice_unref(frame);
}

/* The watch of a partition that another reactor owns is cancelled by mail, there and back. */
static void the_client_goes_while_another_reactor_is_watched(void **state)
{
    (void)state;
    for (unsigned reactor = 0; reactor < 2; reactor++) {
        struct client *c = client_open(&f, reactor);
        push(c, frame_fetch(1, 30000));
        assert_int_equal(front_stats(&f).fetch_waits, 1);
        c->closing = c->gone = true;
        c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
        front_run(&f);
        assert_int_equal(front_stats(&f).fetch_waits, 0);
        assert_int_equal(front_stats(&f).connections, 0);
    }
}

/* ---- limits --------------------------------------------------------------------------------- */

static void no_more_is_read_than_may_be_queued(void **state)
{
    struct client *c = client_open(&f, 0);
    int32_t sent = 0, id, got = 0;
    struct str body;
    (void)state;
    rig_defer(&f.rig, true);
    while (!c->paused) {
        struct slice frame = frame_put(sent, 1);
        size_t n = client_push(c, frame.at, frame.len);
        assert_true(n == frame.len || c->paused);
        sent += n == frame.len;
        slice_unref(frame);
        assert_true(sent < 2 * KAFKA_REQUESTS_MAX + 1000);
    }
    assert_true(sent >= KAFKA_REQUESTS_MAX);
    assert_int_equal(fake_store_pending(f.rig.stores[0]), KAFKA_REQUESTS_MAX);
    front_run(&f);
    assert_false(c->paused);
    rig_defer(&f.rig, false);
    for (; client_answer_bytes(c, &id, &body); got++)
        assert_int_equal(id, got);
    assert_int_equal(got, sent);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    struct client *c = client_open(&f, 0);
    struct slice frame = frame_versions(1);
    size_t sent = 0;
    int32_t id;
    struct str body;
    (void)state;
    c->output_max = 1000;
    while (!c->paused) {
        sent += client_push(c, frame.at, frame.len) == frame.len;
        assert_true(sent < 5000);
    }
    assert_true(c->got.len < 3000);
    for (unsigned rounds = 0; c->paused || client_answer_bytes(c, &id, &body); rounds++) {
        assert_true(rounds < 10000);
        while (client_answer_bytes(c, &id, &body))
            sent--;
        client_drain(c);
    }
    assert_int_equal(sent, 0);
    slice_unref(frame);
}

static void a_large_receive_buffer_is_not_kept(void **state)
{
    struct client *c = client_open(&f, 0);
    size_t n = 6 << 20;
    struct wr w;
    (void)state;
    wr_init(&w, n + 64);
    wr_i32(&w, (int32_t)n);
    wr_bytes(&w, "\0\3\0\1\0\0\0\5\xff\xff\0\0\0\0", 14);
    memset(wr_room(&w, n - 14), 0, n - 14);
    client_send(c, w.buf->data, w.len);
    wr_free(&w);
    ANSWERED(c, 5);
    assert_null(((struct kafka_conn *)c->pipe.user)->rx);
    push(c, frame_versions(6));
    ANSWERED(c, 6);
    assert_non_null(((struct kafka_conn *)c->pipe.user)->rx);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void a_drain_answers_and_closes(void **state)
{
    struct client *idle = client_open(&f, 0), *waits = client_open(&f, 0),
                  *puts = client_open(&f, 0);
    (void)state;
    push(waits, frame_fetch(1, 30000));
    rig_defer(&f.rig, true);
    struct slice put = frame_put(2, 1);
    client_push(puts, put.at, put.len);
    slice_unref(put);
    kafka_front_drain(f.kafka, 0, false);
    assert_true(idle->closing);
    assert_true(waits->closing);
    ANSWERED(waits, 1);
    assert_false(puts->closing);
    struct client *late = client_open(&f, 0);
    assert_true(late->gone);
    front_run(&f);
    ANSWERED(puts, 2);
    assert_true(puts->gone);
    assert_int_equal(front_stats(&f).connections, 0);
    assert_int_equal(front_stats(&f).errors, 0);
    rig_defer(&f.rig, false);
}

static void a_forced_drain_cuts(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    rig_defer(&f.rig, true);
    struct slice put = frame_put(1, 1);
    client_push(c, put.at, put.len);
    slice_unref(put);
    kafka_front_drain(f.kafka, 0, false);
    assert_false(c->closing);
    kafka_front_drain(f.kafka, 0, true);
    assert_true(c->aborted);
    front_run(&f);
    NOTHING(c);
    assert_int_equal(front_stats(&f).connections, 0);
    rig_defer(&f.rig, false);
}

/* ---- a topic that has grown ----------------------------------------------------------------- */

static int16_t error_of_fetch(struct client *c, int32_t wait_ms)
{
    struct slice frame = frame_fetch(++c->correlation_id, wait_ms);
    push(c, frame);
    const struct kafka_fetch_response *out = client_answer(c, FETCH, 11);
    assert_int_equal(out->responses_n, 1);
    return out->responses[0].partitions[0].error_code;
}

static int16_t error_of_put(struct client *c, int64_t producer, int32_t sequence)
{
    struct slice batch = rig_batch_from(1, 1000, producer, producer < 0 ? -1 : 0, sequence);
    push(c, frame_produce(&f, 7, ++c->correlation_id, "t", 0, 1, batch));
    return only_produced(client_answer(c, PRODUCE, 7))->error_code;
}

static void a_fetch_is_told_once_that_its_topic_has_grown(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    assert_int_equal(error_of_fetch(c, 0), 0);
    assert_int_equal(rig_grow(&f.rig, 0, "t", 3), ERR_OK);
    assert_int_equal(error_of_fetch(c, 0), 6);
    assert_int_equal(error_of_fetch(c, 0), 0);
    /* Who came later knows. */
    assert_int_equal(error_of_fetch(client_open(&f, 0), 0), 0);
}

static void a_fetch_that_waits_is_woken_by_growth(void **state)
{
    struct client *c = client_open(&f, 0);
    (void)state;
    assert_int_equal(error_of_fetch(c, 0), 0);
    push(c, frame_fetch(++c->correlation_id, 30000));
    assert_int_equal(rig_grow(&f.rig, 0, "t", 3), ERR_OK);
    front_run(&f);
    const struct kafka_fetch_response *out = client_answer(c, FETCH, 11);
    assert_int_equal(out->responses[0].partitions[0].error_code, 6);
}

static void of_producers_only_idempotent_ones_are_told(void **state)
{
    struct client *plain = client_open(&f, 0), *idempotent = client_open(&f, 0);
    (void)state;
    assert_int_equal(error_of_put(plain, -1, -1), 0);
    assert_int_equal(error_of_put(idempotent, 9, 0), 0);
    assert_int_equal(rig_grow(&f.rig, 0, "t", 3), ERR_OK);
    assert_int_equal(error_of_put(plain, -1, -1), 0);
    assert_int_equal(error_of_put(idempotent, 9, 1), 6);
    assert_int_equal(error_of_put(idempotent, 9, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define TEST_2(t) cmocka_unit_test_setup_teardown(t, setup_2, teardown)
        TEST(frames_come_in_single_bytes),
        TEST(several_frames_come_at_once),
        TEST(frames_come_in_any_pieces),
        TEST(produce_requests_run_together_others_take_turns),
        TEST(an_early_answer_waits_for_its_turn),
        TEST(a_fetch_that_waits_holds_up_what_follows),
        TEST(lengths_that_are_not_allowed_close),
        TEST(what_came_before_a_bad_frame_is_answered),
        TEST(unknown_requests_and_versions_close),
        TEST(malformed_requests_close),
        TEST(versions_of_the_future_are_told_what_there_is),
        TEST(requests_that_take_too_much_memory_close),
        TEST(answers_that_take_too_much_memory_close),
        TEST(acks_0_is_not_answered),
        TEST(acks_0_that_fails_closes),
        TEST(what_waits_behind_a_failure_is_dropped),
        TEST(the_client_goes_amid_a_produce),
        TEST(the_client_goes_while_its_fetch_waits),
        TEST(the_client_goes_amid_a_read),
        TEST_2(the_client_goes_amid_a_create),
        TEST_2(the_client_goes_while_another_reactor_is_watched),
        TEST(no_more_is_read_than_may_be_queued),
        TEST(a_client_that_does_not_read_is_not_read_from),
        TEST(a_large_receive_buffer_is_not_kept),
        TEST(a_drain_answers_and_closes),
        TEST(a_forced_drain_cuts),
        TEST(a_fetch_is_told_once_that_its_topic_has_grown),
        TEST(a_fetch_that_waits_is_woken_by_growth),
        TEST(of_producers_only_idempotent_ones_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
