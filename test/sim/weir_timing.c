/* weir_timing: when things happen, by the virtual clock: long polls, sessions, groups, retention;
 * and that what one connection does is not felt by another. Each test is a machine of its own. */
#include "weir_client.h"

#include "base/assert.h"
#include "base/mem.h"

#include "../unit/check.h"

#include <malloc.h>
#include <string.h>

#define SECOND (1000 * WEIR_SIM_MS)
#define SOON (5 * SECOND)

static struct weir_sim w;
static struct client *clients[8];
static unsigned clients_n;

/* ---- the machine ---------------------------------------------------------------------------- */

static void begin(uint64_t seed, unsigned reactors)
{
    struct weir_sim_conf conf;
    weir_sim_defaults(&conf, seed);
    conf.reactors = reactors;
    conf.checkpoint_bytes = 128 << 10; /* the simulated disk lives in this process's memory */
    weir_sim_make(&w, &conf);
    clients_n = 0;
    assert_int_equal(weir_sim_start(&w), WEIR_SERVES);
}

static struct client *connect_client(const char *name)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    c->name = name;
    clients[clients_n++] = c;
    client_start(c, &w);
    assert_true(client_wait_up(c, SOON));
    return c;
}

/* An ordinary stop: nothing may leak. */
static void end(void)
{
    for (unsigned i = 0; i < clients_n; i++) {
        client_stop(clients[i]);
        arena_free(&clients[i]->arena);
        mem_free(clients[i]->rx);
    }
    assert_int_equal(weir_sim_stop(&w), ERR_OK);
    weir_sim_free(&w);
    for (unsigned i = 0; i < clients_n; i++)
        mem_free(clients[i]);
}

static uint64_t now_us(void)
{
    return sim_mono_us(w.sim);
}

static void run_for(uint64_t us)
{
    assert_true(weir_sim_run(&w, us));
}

/* ---- requests ------------------------------------------------------------------------------- */

static void create(struct client *c, const char *name, int32_t partitions, const char *key,
                   const char *value)
{
    struct kafka_create_topics_request_topic_config configs[2] = {
        {STR_LIT("segment.ms"), STR_LIT("10000")}, {str_of(key), str_of(value)}};
    struct kafka_create_topics_request_topic topic;
    struct kafka_create_topics_request rq;
    wire_default(&kafka_create_topics_request_topic_table, &topic);
    wire_default(&kafka_create_topics_request_table, &rq);
    topic.name = str_of(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_n = *key ? 2 : 1;
    rq.topics = &topic;
    rq.topics_n = 1;
    const struct kafka_create_topics_response *r = client_ask(c, 19, 5, &rq, SOON);
    assert_non_null(r);
    assert_int_equal(r->topics[0].error_code, 0);
}

static struct slice batch_of(size_t bytes)
{
    struct batch_builder b;
    char *value = mem_alloc(bytes);
    memset(value, 'v', bytes);
    batch_begin(&b, 0);
    batch_add(&b, (int64_t)env_now_ms(loop_env(w.outside)), (struct str){0},
              (struct str){value, bytes}, NULL, 0);
    mem_free(value);
    return batch_end(&b);
}

/* Answers, or lost calls, whose content is of no interest. */
static unsigned counted;

static void on_counted(void *arg, const void *response)
{
    (void)response;
    ++*(unsigned *)arg;
}

/* out NULL: the answer is counted. */
struct produced {
    bool done;
    int16_t error;
    int64_t offset;
    uint64_t at_us;
};

static void on_produced(void *arg, const void *response)
{
    struct produced *p = arg;
    const struct kafka_produce_response *r = response;
    p->done = true;
    p->error = r ? r->responses[0].partition_responses[0].error_code : -1;
    p->offset = r ? r->responses[0].partition_responses[0].base_offset : -1;
    p->at_us = now_us();
}

static void produce_start(struct client *c, const char *topic, int32_t partition, size_t bytes,
                          struct produced *out)
{
    struct slice batch = batch_of(bytes);
    struct kafka_produce_request_topic_partition part = {partition,
                                                         {(const char *)batch.at, batch.len}};
    struct kafka_produce_request_topic t = {str_of(topic), {{0}}, &part, 1};
    struct kafka_produce_request rq = {{0}, -1, 30000, &t, 1};
    if (out)
        *out = (struct produced){0};
    client_call(c, 0, 9, &rq, out ? on_produced : on_counted, out ? (void *)out : &counted);
    slice_unref(batch);
}

static int64_t produce(struct client *c, const char *topic, int32_t partition, size_t bytes)
{
    struct produced p;
    produce_start(c, topic, partition, bytes, &p);
    assert_true(weir_sim_run_until(&w, &p.done, SOON));
    assert_int_equal(p.error, 0);
    return p.offset;
}

struct fetched {
    bool done;
    int16_t error;      /* of the whole */
    int16_t part_error; /* of the first partition */
    int32_t session;
    int32_t topics, partitions;
    size_t bytes, records_bytes;
    uint64_t at_us;
};

static struct client *fetching;

static void on_fetched(void *arg, const void *response)
{
    struct fetched *f = arg;
    const struct kafka_fetch_response *r = response;
    f->done = true;
    f->at_us = now_us();
    if (!r)
        return;
    f->bytes = fetching->answer_bytes;
    f->error = r->error_code;
    f->session = r->session_id;
    f->topics = r->responses_n;
    for (int32_t i = 0; i < r->responses_n; i++) {
        f->partitions += r->responses[i].partitions_n;
        for (int32_t k = 0; k < r->responses[i].partitions_n; k++)
            f->records_bytes += r->responses[i].partitions[k].records.len;
    }
    if (r->responses_n)
        f->part_error = r->responses[0].partitions[0].error_code;
}

struct fetch_conf {
    const char *topic; /* NULL: none */
    int32_t partitions, wait_ms, min_bytes, session, epoch;
    int64_t offset;
};

static void fetch_start(struct client *c, const struct fetch_conf *conf, struct fetched *out)
{
    size_t n = conf->topic ? (size_t)conf->partitions : 0;
    struct kafka_fetch_request_topic_partition *parts = mem_zalloc(n + 1, sizeof *parts);
    struct kafka_fetch_request_topic t = {
        str_of(conf->topic ? conf->topic : ""), {{0}}, parts, conf->partitions};
    struct kafka_fetch_request rq;
    wire_default(&kafka_fetch_request_table, &rq);
    for (size_t i = 0; i < n; i++) {
        wire_default(&kafka_fetch_request_topic_partition_table, &parts[i]);
        parts[i].partition = (int32_t)i;
        parts[i].fetch_offset = conf->offset;
        parts[i].partition_max_bytes = 1 << 20;
    }
    rq.max_wait_ms = conf->wait_ms;
    rq.min_bytes = conf->min_bytes;
    rq.session_id = conf->session;
    rq.session_epoch = conf->epoch;
    rq.topics = &t;
    rq.topics_n = n > 0;
    if (out)
        *out = (struct fetched){0};
    fetching = c;
    client_call(c, 1, 12, &rq, out ? on_fetched : on_counted, out ? (void *)out : &counted);
    mem_free(parts);
}

static void fetch(struct client *c, const struct fetch_conf *conf, struct fetched *out)
{
    fetch_start(c, conf, out);
    assert_true(weir_sim_run_until(&w, &out->done, 60 * SECOND));
}

/* ---- long polls ----------------------------------------------------------------------------- */

/* Loop turns and other events until then. */
static unsigned events_until(uint64_t until_us)
{
    unsigned n = 0;
    while (now_us() < until_us && sim_step(w.sim))
        n++;
    return n;
}

static void test_idle_fetch(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        struct fetched f;
        begin(1, reactors);
        struct client *c = connect_client("c");
        create(c, "t", 3, "", "");
        run_for(SECOND);
        uint64_t asked = now_us(), calls = sim_disk_calls(w.sim);
        fetch_start(c, &(struct fetch_conf){"t", 3, 500, 1, 0, -1, 0}, &f);
        run_for(2 * WEIR_SIM_MS);
        assert_true(events_until(asked + 490 * WEIR_SIM_MS) <= 2); /* of timers that are due */
        assert_false(f.done);
        assert_true(weir_sim_run_until(&w, &f.done, SECOND));
        assert_in_range(f.at_us - asked, 499 * WEIR_SIM_MS, 505 * WEIR_SIM_MS);
        assert_int_equal(f.records_bytes, 0);
        assert_int_equal(sim_disk_calls(w.sim), calls);
        end();
    }
}

static void test_append_wakes(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 2; reactors++) {
        begin(2, reactors);
        struct client *reader = connect_client("reader"), *writer = connect_client("writer");
        for (int32_t i = 0; i < 4; i++) { /* partitions of both reactors */
            struct fetched f;
            struct produced p;
            char topic[] = {'t', (char)('0' + i), 0};
            create(writer, topic, 4, "", "");
            fetch_start(reader, &(struct fetch_conf){topic, 4, 30000, 1, 0, -1, 0}, &f);
            run_for(50 * WEIR_SIM_MS);
            assert_false(f.done);
            produce_start(writer, topic, i, 100, &p);
            assert_true(weir_sim_run_until(&w, &p.done, SOON));
            assert_true(f.done || weir_sim_run_until(&w, &f.done, SOON));
            assert_true(f.records_bytes > 100);
            assert_true(f.at_us < p.at_us + WEIR_SIM_MS);
        }
        end();
    }
}

static void test_min_bytes(void **state)
{
    (void)state;
    struct fetched f;
    begin(3, 1);
    struct client *reader = connect_client("reader"), *writer = connect_client("writer");
    create(writer, "t", 2, "", "");
    fetch_start(reader, &(struct fetch_conf){"t", 2, 10000, 2000, 0, -1, 0}, &f);
    (void)produce(writer, "t", 0, 800);
    (void)produce(writer, "t", 1, 800);
    run_for(SECOND);
    assert_false(f.done); /* 1,736 bytes */
    (void)produce(writer, "t", 0, 800);
    assert_true(weir_sim_run_until(&w, &f.done, 5 * WEIR_SIM_MS));
    assert_in_range(f.records_bytes, 2400, 3000);
    /* What is there when the time is over is given, though it is less. */
    uint64_t asked = now_us();
    fetch(reader, &(struct fetch_conf){"t", 2, 300, 1 << 20, 0, -1, 0}, &f);
    assert_in_range(f.at_us - asked, 299 * WEIR_SIM_MS, 305 * WEIR_SIM_MS);
    assert_in_range(f.records_bytes, 2400, 3000);
    end();
}

static void test_big_session(void **state)
{
    (void)state;
    struct fetched f;
    begin(4, 1);
    struct client *c = connect_client("c"), *writer = connect_client("writer");
    create(c, "t", 1000, "", "");
    fetch(c, &(struct fetch_conf){"t", 1000, 0, 1, 0, 0, 0}, &f);
    assert_int_equal(f.partitions, 1000);
    assert_true(f.session != 0);
    int32_t session = f.session;
    fetch(c, &(struct fetch_conf){.wait_ms = 500, .min_bytes = 1, .session = session, .epoch = 1},
          &f);
    assert_int_equal(f.error, 0);
    assert_int_equal(f.partitions, 0);
    assert_true(f.bytes < 64);
    fetch_start(
        c, &(struct fetch_conf){.wait_ms = 30000, .min_bytes = 1, .session = session, .epoch = 2},
        &f);
    run_for(10 * WEIR_SIM_MS);
    struct produced p;
    produce_start(writer, "t", 777, 100, &p);
    assert_true(weir_sim_run_until(&w, &p.done, SOON));
    assert_true(f.done || weir_sim_run_until(&w, &f.done, SOON));
    assert_int_equal(f.partitions, 1);
    assert_true(f.at_us < p.at_us + WEIR_SIM_MS);
    end();
}

/* ---- groups --------------------------------------------------------------------------------- */

struct joined {
    bool done;
    int16_t error;
    int32_t generation, members;
    char member[128], leader[128];
    uint64_t at_us;
};

static void on_joined(void *arg, const void *response)
{
    struct joined *j = arg;
    const struct kafka_join_group_response *r = response;
    j->done = true;
    j->at_us = now_us();
    if (!r)
        return;
    j->error = r->error_code;
    j->generation = r->generation_id;
    j->members = r->members_n;
    (void)str_copy(j->member, sizeof j->member, r->member_id);
    (void)str_copy(j->leader, sizeof j->leader, r->leader);
}

static void join_start(struct client *c, const char *member, int32_t session_ms,
                       int32_t rebalance_ms, int16_t version, struct joined *out)
{
    struct kafka_join_group_request_protocol protocol = {STR_LIT("range"), STR_LIT("")};
    struct kafka_join_group_request rq;
    char id[128];
    snprintf(id, sizeof id, "%s", member);
    wire_default(&kafka_join_group_request_table, &rq);
    rq.group_id = STR_LIT("g");
    rq.session_timeout_ms = session_ms;
    rq.rebalance_timeout_ms = rebalance_ms;
    rq.member_id = str_of(id);
    rq.protocol_type = STR_LIT("consumer");
    rq.protocols = &protocol;
    rq.protocols_n = 1;
    *out = (struct joined){0};
    client_call(c, 11, version, &rq, on_joined, out);
}

static void join_wait(struct joined *j)
{
    assert_true(j->done || weir_sim_run_until(&w, &j->done, 120 * SECOND));
}

static int16_t sync_group(struct client *c, const struct joined *j)
{
    struct kafka_sync_group_request_assignment assignment = {str_of(j->member), STR_LIT("a")};
    struct kafka_sync_group_request rq;
    wire_default(&kafka_sync_group_request_table, &rq);
    rq.group_id = STR_LIT("g");
    rq.generation_id = j->generation;
    rq.member_id = str_of(j->member);
    rq.assignments = &assignment;
    rq.assignments_n = !strcmp(j->member, j->leader);
    const struct kafka_sync_group_response *r = client_ask(c, 14, 3, &rq, 60 * SECOND);
    return r ? r->error_code : -1;
}

static int16_t heartbeat(struct client *c, const struct joined *j)
{
    struct kafka_heartbeat_request rq;
    wire_default(&kafka_heartbeat_request_table, &rq);
    rq.group_id = STR_LIT("g");
    rq.generation_id = j->generation;
    rq.member_id = str_of(j->member);
    const struct kafka_heartbeat_response *r = client_ask(c, 12, 3, &rq, SOON);
    return r ? r->error_code : -1;
}

/* Version 3: joins without a round for the member id. */
static void join_first(struct client *c, int32_t session_ms, int32_t rebalance_ms, struct joined *j)
{
    join_start(c, "", session_ms, rebalance_ms, 3, j);
    join_wait(j);
    assert_int_equal(j->error, 0);
    assert_int_equal(sync_group(c, j), 0);
}

static void test_initial_delay(void **state)
{
    (void)state;
    struct joined a, b;
    begin(5, 2);
    struct client *one = connect_client("one"), *two = connect_client("two");
    uint64_t asked = now_us();
    join_start(one, "", 10000, 60000, 3, &a);
    run_for(2 * SECOND);
    assert_false(a.done);
    join_start(two, "", 10000, 60000, 3, &b);
    join_wait(&a);
    join_wait(&b);
    /* 3 s from the first member, and 3 more from the one who came meanwhile; both in one go. */
    assert_in_range(a.at_us - asked, 3 * SECOND, 3 * SECOND + 3 * SECOND + 50 * WEIR_SIM_MS);
    assert_int_equal(a.generation, 1);
    assert_int_equal(b.generation, 1);
    assert_int_equal(a.members + b.members, 2);
    end();
}

static void test_session_timeout(void **state)
{
    (void)state;
    struct joined a, b;
    begin(6, 1);
    struct client *one = connect_client("one"), *two = connect_client("two");
    join_first(one, 6000, 10000, &a);
    for (unsigned i = 0; i < 10; i++) { /* 30 s of life by heartbeats */
        run_for(3 * SECOND);
        assert_int_equal(heartbeat(one, &a), 0);
    }
    uint64_t silent = now_us();
    join_start(two, "", 6000, 60000, 3, &b);
    run_for(5 * SECOND);
    assert_false(b.done); /* it waits for the first one to join again */
    join_wait(&b);        /* until that one's session is over */
    assert_in_range(b.at_us - silent, 5900 * WEIR_SIM_MS, 6100 * WEIR_SIM_MS);
    assert_int_equal(b.members, 1);
    assert_int_equal(b.generation, a.generation + 1);
    assert_int_equal(heartbeat(one, &a), 25); /* UNKNOWN_MEMBER_ID */
    end();
}

static void test_rebalance_timeout(void **state)
{
    (void)state;
    struct joined a, b;
    begin(7, 1);
    struct client *one = connect_client("one"), *two = connect_client("two");
    join_first(one, 30000, 8000, &a);
    uint64_t asked = now_us();
    join_start(two, "", 30000, 8000, 3, &b);
    for (unsigned i = 0; i < 7; i++) { /* alive, but it does not join again */
        run_for(SECOND);
        assert_int_equal(heartbeat(one, &a), 27); /* REBALANCE_IN_PROGRESS */
    }
    join_wait(&b);
    assert_in_range(b.at_us - asked, 7900 * WEIR_SIM_MS, 8100 * WEIR_SIM_MS);
    assert_int_equal(b.members, 1);
    end();
}

static void test_session_bounds(void **state)
{
    static const struct {
        int32_t session_ms;
        int16_t version, error;
    } cases[] = {{5999, 3, 26}, {1800001, 3, 26}, {6000, 4, 79}, {1800000, 9, 79}, {0, 4, 26}};
    (void)state;
    begin(8, 1);
    struct client *c = connect_client("c");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct joined j;
        join_start(c, "", cases[i].session_ms, 60000, cases[i].version, &j);
        join_wait(&j);
        assert_int_equal(j.error, cases[i].error);
        assert_int_equal(j.member[0] != 0, cases[i].error == 79);
    }
    end();
}

/* ---- retention ------------------------------------------------------------------------------ */

static int64_t log_start(struct client *c, const char *topic)
{
    struct kafka_list_offsets_request_topic_partition part = {0, -1, -2, 1};
    struct kafka_list_offsets_request_topic t = {str_of(topic), &part, 1};
    struct kafka_list_offsets_request rq = {-1, 0, &t, 1, 0};
    const struct kafka_list_offsets_response *r = client_ask(c, 2, 4, &rq, SOON);
    assert_non_null(r);
    return r->topics[0].partitions[0].offset;
}

static void test_retention(void **state)
{
    (void)state;
    begin(9, 1);
    struct client *c = connect_client("c");
    create(c, "t", 1, "retention.ms", "60000");
    for (unsigned i = 0; i < 30; i++) { /* a record each 4 s: a segment has three */
        (void)produce(c, "t", 0, 100);
        run_for(4 * SECOND);
    }
    /* 120 s old is the first, 60 s may be the oldest; a segment stays while its last record may,
     * and retention looks each 30 s. */
    int64_t start = log_start(c, "t");
    assert_in_range(start, 4, 15);
    run_for(200 * SECOND);
    assert_int_equal(log_start(c, "t"), 30); /* the last one's time has passed too */
    end();
}

/* A clock that is set wrong for a while must not delete anything. */
static void test_retention_and_a_clock_that_jumps(void **state)
{
    (void)state;
    begin(10, 1);
    struct client *c = connect_client("c");
    create(c, "t", 1, "retention.ms", "3600000");
    for (unsigned i = 0; i < 10; i++) {
        (void)produce(c, "t", 0, 100);
        run_for(15 * SECOND);
    }
    sim_wall_jump(w.sim, INT64_C(10) * 3600 * 1000);
    run_for(300 * SECOND);
    assert_int_equal(log_start(c, "t"), 0);
    sim_wall_jump(w.sim, INT64_C(-10) * 3600 * 1000);
    run_for(300 * SECOND);
    assert_int_equal(log_start(c, "t"), 0);
    run_for(UINT64_C(3600) * SECOND); /* and the hour itself */
    assert_true(log_start(c, "t") >= 9);
    end();
}

/* ---- one connection's doings are not another's ----------------------------------------------- */

/* Frames of all kinds: random bytes, a header with random bytes behind it, a good request with some
 * bytes changed; lengths that lie. */
static size_t hostile_frame(struct rng *r, uint8_t *p, size_t cap)
{
    size_t n = 4 + 8 + (size_t)rng_below(r, 200);
    weir_assert(n <= cap);
    rng_fill(r, p, n);
    be32_put(p, (uint32_t)n - 4);
    if (!rng_one_in(r, 5)) {
        const struct kafka_api *api = &kafka_apis[rng_below(r, kafka_apis_n)];
        be16_put(p + 4, (uint16_t)api->key);
        be16_put(p + 6, (uint16_t)rng_below(r, (uint64_t)api->max + 2));
        be16_put(p + 12, rng_one_in(r, 2) ? 0xffff : 0); /* client id: null or empty */
        if (n > 24)
            memset(p + 14, 0, (size_t)rng_below(r, n - 14));
    }
    if (rng_one_in(r, 50))
        be32_put(p, (uint32_t)rng_next(r));
    return n;
}

static void send_hostile(struct client *c, struct rng *r)
{
    uint8_t frame[256];
    if (c->pipe)
        client_send_raw(c, frame, hostile_frame(r, frame, sizeof frame));
}

/* Its connection takes anything as an answer. */
static void *deaf_space(void *user, size_t *cap)
{
    static uint8_t sink[4096];
    (void)user;
    *cap = sizeof sink;
    return sink;
}

static void deaf_received(void *user, size_t n)
{
    struct client *c = user;
    if (n == 0 && c->pipe)
        pipe_close(c->pipe);
}

static void deaf_closed(void *user, enum err why)
{
    (void)why;
    ((struct client *)user)->pipe = NULL;
}

static const struct pipe_user_ops deaf_ops = {
    .space = deaf_space, .received = deaf_received, .closed = deaf_closed};

static void deaf_connect(struct client *c)
{
    if (!c->pipe)
        assert_int_equal(loop_connect(w.outside, WEIR_SIM_ADDR, &deaf_ops, c, &c->pipe), ERR_OK);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

static void test_hostile_frames(void **state)
{
    (void)state;
    struct client hostile = {0};
    struct rng r;
    rng_seed(&r, 99);
    begin(11, 1);
    struct client *good = connect_client("good");
    create(good, "t", 1, "", "");
    size_t heap = 0;
    for (unsigned round = 0; round < 200; round++) {
        if (round == 100)
            heap = heap_bytes();
        for (unsigned i = 0; i < 50; i++) {
            struct produced p;
            deaf_connect(&hostile);
            send_hostile(&hostile, &r);
            if (i % 10)
                continue;
            produce_start(good, "t", 0, 100, &p);
            assert_true(weir_sim_run_until(&w, &p.done, 100 * WEIR_SIM_MS));
            assert_int_equal(p.error, 0);
            assert_int_equal(p.offset, round * 5 + i / 10);
        }
        struct fetched f;
        fetch(good, &(struct fetch_conf){"t", 1, 0, 1, 0, -1, 0}, &f);
        assert_int_equal(f.part_error, 0);
        assert_true(f.records_bytes > 100);
    }
    assert_int_equal(good->connects, 1);
    /* 5,000 frames later no more is in use than what journal and log have grown by. An
     * instrumented build does not know. */
    if (heap)
        assert_true(heap_bytes() < heap + (1 << 20));
    if (hostile.pipe)
        pipe_abort(hostile.pipe, ERR_CLOSED);
    run_for(SECOND);
    end();
}

static void test_hostile_lengths(void **state)
{
    static const uint32_t lengths[] = {0, 0xffffffff, 0x80000000, (100u << 20) + 1, 0x7fffffff};
    (void)state;
    begin(12, 1);
    struct client *good = connect_client("good");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct client bad = {0};
        uint8_t p[12] = {0};
        be32_put(p, lengths[i]);
        deaf_connect(&bad);
        client_send_raw(&bad, p, sizeof p);
        run_for(10 * WEIR_SIM_MS);
        assert_null(bad.pipe); /* closed at once */
    }
    assert_int_equal(good->connects, 1);
    assert_true(good->is_up);
    end();
}

/* A frame whose end does not come costs nobody anything, and is answered when it does. */
static void test_half_frames(void **state)
{
    (void)state;
    begin(13, 1);
    struct client *good = connect_client("good");
    struct client *slow = connect_client("slow");
    create(good, "t", 1, "", "");
    struct fetched f = {0};
    uint64_t asked = now_us();
    fetching = slow;
    struct sim_net_faults dribble = {.short_one_in = 1};
    sim_net_set_faults(w.sim, &dribble); /* every delivery in parts */
    fetch_start(slow, &(struct fetch_conf){"t", 1, 100, 1, 0, -1, 0}, &f);
    assert_true(weir_sim_run_until(&w, &f.done, SECOND));
    assert_true(f.at_us - asked >= 99 * WEIR_SIM_MS);
    sim_net_set_faults(w.sim, &(struct sim_net_faults){0});
    struct client half = {0};
    deaf_connect(&half);
    client_send_raw(&half, "\0\0\0\x40\0\x01\0\x04", 8);
    for (unsigned i = 0; i < 20; i++)
        (void)produce(good, "t", 0, 1000);
    run_for(60 * SECOND);
    assert_non_null(half.pipe);
    pipe_abort(half.pipe, ERR_CLOSED);
    run_for(SECOND);
    end();
}

/* One that asks and does not read: what waits for it is bounded, and others do not feel it. */
static void test_slow_reader(void **state)
{
    (void)state;
    begin(14, 1);
    struct client *good = connect_client("good"), *slow = connect_client("slow");
    create(good, "t", 1, "max.message.bytes", "8388608");
    for (unsigned i = 0; i < 16; i++)
        (void)produce(good, "t", 0, 1000000);
    size_t heap = heap_bytes();
    counted = 0;
    slow->reading_stopped = true;
    for (unsigned i = 0; i < 100; i++) {
        struct kafka_fetch_request_topic_partition part;
        struct kafka_fetch_request_topic t = {STR_LIT("t"), {{0}}, &part, 1};
        struct kafka_fetch_request rq;
        wire_default(&kafka_fetch_request_table, &rq);
        wire_default(&kafka_fetch_request_topic_partition_table, &part);
        part.partition_max_bytes = 16 << 20;
        rq.session_epoch = -1;
        rq.topics = &t;
        rq.topics_n = 1;
        if (slow->is_up)
            client_call(slow, 1, 12, &rq, on_counted, &counted);
        run_for(5 * WEIR_SIM_MS);
        (void)produce(good, "t", 0, 100);
    }
    run_for(5 * SECOND);
    if (heap)
        assert_true(heap_bytes() < heap + ((size_t)64 << 20));
    assert_int_equal(good->connects, 1);
    client_read_on(slow);
    run_for(30 * SECOND);
    assert_int_equal(counted, 100); /* or lost, when it was cut */
    end();
}

/* Many requests of all kinds at once: every answer comes, in the order of the requests (which the
 * client checks). */
static void test_pipelined(void **state)
{
    (void)state;
    unsigned asked = 0;
    counted = 0;
    begin(15, 2);
    struct client *c = connect_client("c");
    create(c, "t", 4, "", "");
    for (unsigned i = 0; i < 10000; i++, asked++) {
        struct kafka_metadata_request metadata;
        struct kafka_find_coordinator_request find;
        wire_default(&kafka_metadata_request_table, &metadata);
        wire_default(&kafka_find_coordinator_request_table, &find);
        switch (weir_sim_draw(&w, 0, 4)) {
        case 0:
            client_call(c, 3, client_version(&w, 3, 0), &metadata, on_counted, &counted);
            break;
        case 1:
            find.key = STR_LIT("g");
            client_call(c, 10, client_version(&w, 10, 0), &find, on_counted, &counted);
            break;
        case 2:
            fetch_start(c, &(struct fetch_conf){"t", 4, 0, 1, 0, -1, 0}, NULL);
            break;
        default:
            produce_start(c, "t", (int32_t)weir_sim_draw(&w, 0, 3), 100, NULL);
            break;
        }
        if (i % 100 == 99)
            run_for(100);
    }
    run_for(60 * SECOND);
    assert_int_equal(counted, asked);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_fetch),
        cmocka_unit_test(test_append_wakes),
        cmocka_unit_test(test_min_bytes),
        cmocka_unit_test(test_big_session),
        cmocka_unit_test(test_initial_delay),
        cmocka_unit_test(test_session_timeout),
        cmocka_unit_test(test_rebalance_timeout),
        cmocka_unit_test(test_session_bounds),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_retention_and_a_clock_that_jumps),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_hostile_lengths),
        cmocka_unit_test(test_half_frames),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_pipelined),
    };
    return cmocka_run_group_tests_name("sim/weir_timing", tests, NULL, NULL);
}
