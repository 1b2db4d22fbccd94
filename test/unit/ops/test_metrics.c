/* The metrics page of a broker with topics, records and groups, over two reactors. */
#include "ops/metrics.h"

#include "base/mem.h"
#include "broker/group.h"

#include "../broker/delivery_rig.h"
#include "../check.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static char *page; /* the last one */

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mem_free(page);
    page = NULL;
    rig_free(&rig);
    return 0;
}

static void keep_page(void *arg, struct slice text)
{
    (void)arg;
    mem_free(page);
    page = mem_strndup((const char *)text.at, text.len);
    slice_unref(text);
}

static void extra(void *arg, struct wr *w)
{
    metrics_line(w, arg);
    metrics_value(w, 0.25);
}

static void gather(void)
{
    metrics_gather(rig.brokers[0], extra, "extra_value", keep_page, NULL);
    rig_run(&rig);
    assert_non_null(page);
}

/* Does the page have this line? */
static bool has(const char *line)
{
    size_t n = strlen(line);
    for (const char *p = page; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        if (!strncmp(p, line, n) && p[n] == '\n')
            return true;
    }
    return false;
}

static unsigned count(const char *beginning)
{
    unsigned n = 0;
    for (const char *p = page; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        n += !strncmp(p, beginning, strlen(beginning));
    return n;
}

static void topic(const char *name, int32_t partitions)
{
    assert_int_equal(rig_create(&rig, 0, name, partitions), ERR_OK);
}

static void put(const char *name, int32_t partition, unsigned records)
{
    struct uuid id = rig_topic_id(&rig, name);
    assert_int_equal(rig_produce(&rig, 0, &id, partition, rig_batch(records, 1000), NULL), ERR_OK);
}

static bool committed;

static void commit_done(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
    committed = true;
}

static void commit(struct str group, const char *name, int32_t partition, int64_t offset)
{
    struct group_offset o = {.topic = str_of(name),
                             .partition = partition,
                             .offset = offset,
                             .leader_epoch = -1,
                             .metadata = STR_LIT(""),
                             .commit_ms = -1};
    struct group_commit_op op = {.op.done = commit_done,
                                 .actor = &rig_actor,
                                 .group = group,
                                 .member_id = STR_LIT(""),
                                 .generation = -1,
                                 .retention_ms = -1,
                                 .offsets = &o,
                                 .offsets_n = 1};
    committed = false;
    broker_group_commit(rig.brokers[0], &op);
    rig_run(&rig);
    assert_true(committed);
    assert_int_equal(o.err, ERR_OK);
}

static void an_empty_broker_has_a_page(void **state)
{
    (void)state;
    gather();
    assert_true(has("kafka_brokers 1"));
    assert_true(has("extra_value 0.25"));
    assert_int_equal(count("kafka_topic_partitions{"), 0);
    assert_int_equal(count("kafka_consumergroup_lag{"), 0);
}

/* Every sample stands below the type of its name, as Prometheus wants it. */
static void every_sample_has_its_type(void **state)
{
    char name[128] = "", line[512];
    (void)state;
    topic("a", 2);
    put("a", 0, 1);
    commit(STR_LIT("g"), "a", 0, 1);
    gather();
    char *end = strstr(page, "extra_value");
    assert_non_null(end);
    for (const char *p = page; p < end; p = strchr(p, '\n') + 1) {
        size_t n = strcspn(p, "\n");
        assert_true(n < sizeof line);
        snprintf(line, sizeof line, "%.*s", (int)n, p);
        if (sscanf(line, "# TYPE %127s", name) == 1 || line[0] == '#')
            continue;
        assert_int_equal(strcspn(line, "{ "), strlen(name));
        assert_memory_equal(line, name, strlen(name));
    }
}

static void subscriptions_have_their_numbers(void **state)
{
    (void)state;
    struct topic_setting on = {STR_LIT("weir.queue"), STR_LIT("true")};
    assert_int_equal(rig_create_with(&rig, "q", 2, &on, 1), ERR_OK);
    put("q", 0, 3);
    put("q", 1, 1);
    gather();
    assert_true(has("weir_subscription_ready{topic=\"q\",subscription=\"q\"} 4"));
    assert_true(has("weir_subscription_acquired{topic=\"q\",subscription=\"q\"} 0"));
    assert_true(has("weir_subscription_dead_lettered_total{topic=\"q\",subscription=\"q\"} 0"));
    assert_int_equal(count("weir_subscription_ready{"), 1);
}

static void earliest(struct subscription_conf *conf)
{
    conf->start = START_EARLIEST;
}

static void deliver(const char *name)
{
    struct uuid s = rig_subscribe(&rig, "orders", name, earliest);
    rig_acquire_free(rig_acquire(&rig, 0, s, 1, 1));
}

static void deliveries_have_their_times(void **state)
{
    (void)state;
    topic("orders", 1);
    put("orders", 0, 1);
    fake_advance(&rig.world, 3);
    deliver("a");
    rig_subscribe(&rig, "orders", "b", earliest);
    gather();
#define OF "{topic=\"orders\",subscription=\"a\",stage=\"wait\""
    assert_true(has("# TYPE weir_delivery_seconds histogram"));
    assert_true(has("weir_delivery_seconds_bucket" OF ",le=\"0.0001\"} 0"));
    assert_true(has("weir_delivery_seconds_bucket" OF ",le=\"0.0025\"} 0"));
    assert_true(has("weir_delivery_seconds_bucket" OF ",le=\"0.005\"} 1"));
    assert_true(has("weir_delivery_seconds_bucket" OF ",le=\"60\"} 1"));
    assert_true(has("weir_delivery_seconds_bucket" OF ",le=\"+Inf\"} 1"));
    assert_true(has("weir_delivery_seconds_sum" OF "} 0.003"));
    assert_true(has("weir_delivery_seconds_count" OF "} 1"));
    assert_int_equal(count("weir_delivery_seconds_count"), 1); /* nothing else was delivered */
    assert_true(has("weir_delivery_seconds_left_out 0"));
}

static void only_so_many_have_their_times(void **state)
{
    char name[16];
    (void)state;
    topic("orders", 1);
    put("orders", 0, 1);
    for (int i = 0; i < METRICS_HISTOGRAMS_MAX + 2; i++) {
        snprintf(name, sizeof name, "s%d", i);
        deliver(name);
    }
    gather();
    assert_int_equal(count("weir_delivery_seconds_count"), METRICS_HISTOGRAMS_MAX);
    assert_true(has("weir_delivery_seconds_left_out 2"));
}

static void partitions_have_their_offsets(void **state)
{
    (void)state;
    topic("b", 1);
    topic("a", 3);
    put("a", 1, 5);
    fake_disk_retain(rig.disk, &(struct store_log_id){rig_topic_id(&rig, "a"), 1}, 2);
    gather();
    assert_true(has("kafka_topic_partitions{topic=\"a\"} 3"));
    assert_true(has("kafka_topic_partitions{topic=\"b\"} 1"));
    assert_true(has("kafka_topic_partition_current_offset{topic=\"a\",partition=\"0\"} 0"));
    assert_true(has("kafka_topic_partition_current_offset{topic=\"a\",partition=\"1\"} 5"));
    assert_true(has("kafka_topic_partition_oldest_offset{topic=\"a\",partition=\"1\"} 2"));
    assert_int_equal(count("kafka_topic_partition_current_offset{"), 4);
    assert_int_equal(count("kafka_topic_partitions{topic=\"__"), 0);
}

static void groups_have_their_lag(void **state)
{
    (void)state;
    topic("a", 12);
    topic("ab", 1);
    put("a", 11, 9);
    put("a", 2, 4);
    put("ab", 0, 3);
    commit(STR_LIT("g"), "a", 11, 4);
    commit(STR_LIT("g"), "a", 2, 4);
    commit(STR_LIT("g"), "ab", 0, 1);
    commit(STR_LIT("h"), "a", 11, 0);
    fake_disk_retain(rig.disk, &(struct store_log_id){rig_topic_id(&rig, "a"), 11}, 3);
    gather();
#define LAG "kafka_consumergroup_lag{consumergroup="
#define AT "kafka_consumergroup_current_offset{consumergroup="
    assert_true(has(LAG "\"g\",topic=\"a\",partition=\"11\"} 5"));
    assert_true(has(LAG "\"g\",topic=\"a\",partition=\"2\"} 0"));
    assert_true(has(LAG "\"g\",topic=\"ab\",partition=\"0\"} 2"));
    assert_true(has(LAG "\"h\",topic=\"a\",partition=\"11\"} 6")); /* what is gone is no lag */
    assert_true(has(AT "\"g\",topic=\"a\",partition=\"11\"} 4"));
    assert_true(has(AT "\"h\",topic=\"a\",partition=\"11\"} 0"));
    assert_int_equal(count(LAG), 4);
}

static void names_of_groups_are_escaped(void **state)
{
    (void)state;
    topic("a", 1);
    commit(STR_LIT("a\"b\\c\nd"), "a", 0, 0);
    commit(STR_LIT("gr\xc3\xbc\xc3\x9f"), "a", 0, 0);
    commit(STR_LIT("bad\xff utf"), "a", 0, 0);
    gather();
    assert_true(has(LAG "\"a\\\"b\\\\c\\nd\",topic=\"a\",partition=\"0\"} 0"));
    assert_true(has(LAG "\"gr\xc3\xbc\xc3\x9f\",topic=\"a\",partition=\"0\"} 0"));
    assert_true(has(LAG "\"bad? utf\",topic=\"a\",partition=\"0\"} 0"));
}

/* Two long names that differ in their last letter only are two lines. */
static void long_names_are_not_cut(void **state)
{
    static char a[3000], b[3000];
    (void)state;
    topic("a", 1);
    memset(a, 'g', sizeof a);
    memset(b, 'g', sizeof b);
    b[sizeof b - 1] = 'h';
    commit((struct str){a, sizeof a}, "a", 0, 0);
    commit((struct str){b, sizeof b}, "a", 0, 0);
    gather();
    assert_int_equal(count(LAG), 2);
    const char *first = strstr(page, LAG), *second = strstr(first + 1, LAG);
    assert_true(strcspn(first, "\n") == strcspn(second, "\n"));
    assert_int_not_equal(strncmp(first, second, strcspn(first, "\n")), 0);
}

/* Nobody has made a partition's log readable: it has no line, the others have theirs. */
static void what_cannot_be_asked_has_no_line(void **state)
{
    (void)state;
    topic("a", 1);
    topic("b", 1);
    put("b", 0, 2);
    commit(STR_LIT("g"), "a", 0, 0);
    fake_disk_fail(rig.disk, FAKE_FIND, 1, 1, ERR_IO);
    gather();
    assert_int_equal(count("kafka_topic_partition_oldest_offset{"), 1);
    assert_int_equal(count("kafka_topic_partition_current_offset{"), 2);
}

static void a_topic_may_go_while_it_is_asked(void **state)
{
    (void)state;
    topic("a", 8);
    put("a", 0, 1);
    rig_defer(&rig, true);
    metrics_gather(rig.brokers[0], extra, "extra_value", keep_page, NULL);
    rig_defer(&rig, false);
    assert_int_equal(rig_delete(&rig, 1, "a"), ERR_OK);
    rig_run(&rig);
    assert_non_null(page);
    gather();
    assert_int_equal(count("kafka_topic_partitions{"), 0);
}

static void values_are_written_whole(void **state)
{
    struct wr w;
    (void)state;
    wr_init(&w, 16);
    metrics_line(&w, "a");
    metrics_value(&w, 9007199254740991.0);
    metrics_line(&w, "b");
    metrics_label(&w, "k", STR_LIT(""));
    metrics_value(&w, -0.000463);
    assert_string_equal((metrics_value(&w, 1), wr_u8(&w, 0), (char *)w.buf->data),
                        "a 9007199254740991\nb{k=\"\"} -0.000463\n 1\n");
    wr_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(an_empty_broker_has_a_page),       TEST(every_sample_has_its_type),
        TEST(partitions_have_their_offsets),    TEST(groups_have_their_lag),
        TEST(deliveries_have_their_times),      TEST(only_so_many_have_their_times),
        TEST(subscriptions_have_their_numbers), TEST(names_of_groups_are_escaped),
        TEST(long_names_are_not_cut),           TEST(what_cannot_be_asked_has_no_line),
        TEST(a_topic_may_go_while_it_is_asked), cmocka_unit_test(values_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
