/* Names and settings of topics, and their records. */
#include "../check.h"

#include "broker/topic_internal.h"

#include <string.h>

static void test_names(void **state)
{
    static const char *const good[] = {"a", "A.b_c-9", "...", "_", "__x", "-"};
    static const char *const bad[] = {"",         ".",   "..",  "a b", "a/b",
                                      "\xc3\xa4", "a:b", "a,b", "a\tb"};
    char longest[TOPIC_NAME_MAX + 2];
    struct err_text text;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(topic_name_check(str_of(good[i]), NULL), ERR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text.s[0] = '\0';
        assert_int_equal(topic_name_check(str_of(bad[i]), &text), ERR_TOPIC_INVALID);
        assert_true(text.s[0] != '\0');
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(topic_name_check((struct str){longest, TOPIC_NAME_MAX}, NULL), ERR_OK);
    assert_int_equal(topic_name_check((struct str){longest, TOPIC_NAME_MAX + 1}, NULL),
                     ERR_TOPIC_INVALID);
    assert_int_equal(topic_name_check((struct str){"a\0b", 3}, NULL), ERR_TOPIC_INVALID);
    assert_int_equal(topic_name_check((struct str){NULL, 0}, NULL), ERR_TOPIC_INVALID);
}

static void test_state_ids(void **state)
{
    (void)state;
    struct uuid a = topic_state_id(TOPIC_STATE_CATALOG), b = topic_state_id(TOPIC_STATE_OFFSETS);
    uint8_t random[16];
    assert_false(uuid_eq(a, b));
    assert_true(topic_id_is_state(&a) && topic_id_is_state(&b));
    memcpy(random, a.b, sizeof(random));
    struct uuid c = uuid_from_random(random);
    assert_false(topic_id_is_state(&c));
}

static size_t row(const char *key)
{
    size_t i = 0;
    while (strcmp(topic_conf_row(i)->key, key) != 0)
        i++;
    return i;
}

static enum err set(struct topic_conf *conf, const char *key, const char *value)
{
    struct topic_setting s = {.key = str_of(key)};
    if (value != NULL)
        s.value = str_of(value);
    return topic_conf_set(conf, s, NULL);
}

static const char *get(const struct topic_conf *conf, const char *key)
{
    static char out[4][TOPIC_CONF_VALUE_MAX];
    static unsigned n;
    char *at = out[n++ % 4];
    return topic_conf_get(conf, row(key), at, TOPIC_CONF_VALUE_MAX);
}

/* What Apache Kafka 4.3.0's LogConfig lists: key, type, default. flush.messages differs on purpose.
 */
static const struct {
    const char *key;
    enum topic_conf_type type;
    const char *value;
} kafka[] = {
    {"cleanup.policy", CONF_LIST, "delete"},
    {"compression.gzip.level", CONF_INT, "-1"},
    {"compression.lz4.level", CONF_INT, "9"},
    {"compression.type", CONF_STRING, "producer"},
    {"compression.zstd.level", CONF_INT, "3"},
    {"delete.retention.ms", CONF_LONG, "86400000"},
    {"file.delete.delay.ms", CONF_LONG, "60000"},
    {"flush.messages", CONF_LONG, "1"},
    {"flush.ms", CONF_LONG, "9223372036854775807"},
    {"follower.replication.throttled.replicas", CONF_LIST, ""},
    {"index.interval.bytes", CONF_INT, "4096"},
    {"leader.replication.throttled.replicas", CONF_LIST, ""},
    {"local.retention.bytes", CONF_LONG, "-2"},
    {"local.retention.ms", CONF_LONG, "-2"},
    {"max.compaction.lag.ms", CONF_LONG, "9223372036854775807"},
    {"max.message.bytes", CONF_INT, "1048588"},
    {"message.timestamp.after.max.ms", CONF_LONG, "3600000"},
    {"message.timestamp.before.max.ms", CONF_LONG, "9223372036854775807"},
    {"message.timestamp.type", CONF_STRING, "CreateTime"},
    {"min.cleanable.dirty.ratio", CONF_DOUBLE, "0.5"},
    {"min.compaction.lag.ms", CONF_LONG, "0"},
    {"min.insync.replicas", CONF_INT, "1"},
    {"preallocate", CONF_BOOLEAN, "false"},
    {"remote.log.copy.disable", CONF_BOOLEAN, "false"},
    {"remote.log.delete.on.disable", CONF_BOOLEAN, "false"},
    {"remote.storage.enable", CONF_BOOLEAN, "false"},
    {"retention.bytes", CONF_LONG, "-1"},
    {"retention.ms", CONF_LONG, "604800000"},
    {"segment.bytes", CONF_INT, "1073741824"},
    {"segment.index.bytes", CONF_INT, "10485760"},
    {"segment.jitter.ms", CONF_LONG, "0"},
    {"segment.ms", CONF_LONG, "604800000"},
    {"unclean.leader.election.enable", CONF_BOOLEAN, "false"},
    {"weir.duplicates.window.ms", CONF_LONG, "0"},
    {"weir.flush", CONF_STRING, "each"},
    {"weir.queue", CONF_BOOLEAN, "false"},
    {"weir.retention.until", CONF_STRING, "limits"},
};

#define KAFKA_N (sizeof(kafka) / sizeof(kafka[0]))

static void test_table(void **state)
{
    struct topic_conf conf;
    (void)state;
    topic_conf_default(&conf);
    assert_int_equal(topic_conf_rows(), KAFKA_N);
    for (size_t i = 0; i < KAFKA_N; i++) {
        const struct topic_conf_row *r = topic_conf_row(i);
        assert_string_equal(r->key, kafka[i].key);
        assert_int_equal(r->type, kafka[i].type);
        assert_string_equal(get(&conf, r->key), kafka[i].value);
        assert_true(strlen(r->doc) > 20);
        assert_false(topic_conf_is_set(&conf, i));
    }
}

/* Every default can be given explicitly, and is then marked as set. */
static void test_defaults_can_be_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < KAFKA_N; i++) {
        struct topic_conf conf;
        topic_conf_default(&conf);
        assert_int_equal(set(&conf, kafka[i].key, kafka[i].value), ERR_OK);
        assert_string_equal(get(&conf, kafka[i].key), kafka[i].value);
        assert_true(topic_conf_is_set(&conf, i));
        assert_int_equal(set(&conf, kafka[i].key, NULL), ERR_OK);
        assert_false(topic_conf_is_set(&conf, i));
    }
}

static void test_values(void **state)
{
    static const struct {
        const char *key, *value;
        bool good;
    } cases[] = {
        {"retention.ms", "-1", true},
        {"retention.ms", "-2", false},
        {"retention.ms", "1.5", false},
        {"retention.ms", "", false},
        {"retention.ms", "9223372036854775808", false},
        {"segment.bytes", "1048576", true},
        {"segment.bytes", "1048575", false},
        {"segment.bytes", "2147483648", false},
        {"segment.ms", "0", false},
        {"segment.index.bytes", "3", false},
        {"max.message.bytes", "0", true},
        {"max.message.bytes", "-1", false},
        {"compression.gzip.level", "9", true},
        {"compression.gzip.level", "10", false},
        {"compression.lz4.level", "17", true},
        {"compression.lz4.level", "0", false},
        {"compression.zstd.level", "-131072", true},
        {"compression.zstd.level", "23", false},
        {"min.cleanable.dirty.ratio", "0", true},
        {"min.cleanable.dirty.ratio", "0.25", true},
        {"min.cleanable.dirty.ratio", "1.01", false},
        {"min.cleanable.dirty.ratio", "nan", false},
        {"min.cleanable.dirty.ratio", "x", false},
        {"message.timestamp.type", "LogAppendTime", true},
        {"message.timestamp.type", "logappendtime", false},
        {"preallocate", "TRUE", true},
        {"preallocate", "yes", false},
        {"cleanup.policy", "compact", false},
        {"cleanup.policy", "compact,delete", false},
        {"compression.type", "gzip", false},
        {"remote.storage.enable", "true", false},
        {"min.insync.replicas", "2", false},
        {"flush.messages", "0", false},
        {"flush.ms", "-1", false},
        {"weir.flush", "10ms", true},
        {"weir.flush", "0ms", false},
        {"weir.flush", "sometimes", false},
        {"weir.queue", "true", true},
        {"weir.queue", "1", false},
        {"weir.retention.until", "settled", true},
        {"weir.retention.until", "", false},
        {"retention.mss", "1", false},
        {"", "1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct topic_conf conf, before;
        topic_conf_default(&conf);
        before = conf;
        enum err err = set(&conf, cases[i].key, cases[i].value);
        assert_int_equal(err, cases[i].good ? ERR_OK : ERR_CONFIG_INVALID);
        if (!cases[i].good)
            assert_memory_equal(&conf, &before, sizeof(conf));
    }
}

static void test_texts(void **state)
{
    struct topic_conf conf;
    struct err_text text;
    (void)state;
    topic_conf_default(&conf);
    struct topic_setting s = {STR_LIT("retention.mss"), STR_LIT("1")};
    assert_int_equal(topic_conf_set(&conf, s, &text), ERR_CONFIG_INVALID);
    assert_non_null(strstr(text.s, "retention.ms"));
    s = (struct topic_setting){STR_LIT("cleanup.policy"), STR_LIT("compact")};
    assert_int_equal(topic_conf_set(&conf, s, &text), ERR_CONFIG_INVALID);
    assert_non_null(strstr(text.s, "compaction"));
}

/* The two vocabularies of `flush`, each step on top of the one before. */
static void test_flush(void **state)
{
    static const struct {
        const char *key, *value; /* NULL key: begin anew */
        const char *flush, *messages, *ms;
    } steps[] = {
        {NULL, NULL, "each", "1", "9223372036854775807"},
        {"flush.ms", "10", "10ms", "9223372036854775807", "10"},
        {"flush.messages", "1", "each", "1", "10"},
        {"flush.messages", "9223372036854775807", "10ms", "9223372036854775807", "10"},
        {"flush.ms", NULL, "os", "9223372036854775807", "9223372036854775807"},
        {"flush.messages", NULL, "each", "1", "9223372036854775807"},
        {"weir.flush", "os", "os", "9223372036854775807", "9223372036854775807"},
        {"weir.flush", "2s", "2000ms", "9223372036854775807", "2000"},
        {"flush.ms", NULL, "2000ms", "9223372036854775807", "2000"},
        {"flush.messages", NULL, "2000ms", "9223372036854775807", "2000"},
        {"flush.ms", "7", "7ms", "9223372036854775807", "7"},
        {"weir.flush", "each", "each", "1", "9223372036854775807"},
        {"weir.flush", NULL, "each", "1", "9223372036854775807"},
        {"flush.ms", "0", "each", "9223372036854775807", "0"},
        {NULL, NULL, "each", "1", "9223372036854775807"},
        {"flush.messages", "1000", "each", "1000", "9223372036854775807"},
        {"weir.flush", "os", "os", "9223372036854775807", "9223372036854775807"},
        {"weir.flush", NULL, "each", "1", "9223372036854775807"},
    };
    struct topic_conf conf;
    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].key == NULL)
            topic_conf_default(&conf);
        else
            assert_int_equal(set(&conf, steps[i].key, steps[i].value), ERR_OK);
        assert_string_equal(get(&conf, "weir.flush"), steps[i].flush);
        assert_string_equal(get(&conf, "flush.messages"), steps[i].messages);
        assert_string_equal(get(&conf, "flush.ms"), steps[i].ms);
    }
}

static void test_for_the_store(void **state)
{
    struct topic_conf conf;
    struct store_log_conf store;
    (void)state;
    topic_conf_default(&conf);
    assert_int_equal(set(&conf, "weir.flush", "25ms"), ERR_OK);
    assert_int_equal(set(&conf, "retention.bytes", "123"), ERR_OK);
    assert_int_equal(set(&conf, "retention.ms", "-1"), ERR_OK);
    topic_conf_store(&conf, &store);
    assert_int_equal(store.flush, STORE_FLUSH_INTERVAL);
    assert_int_equal(store.flush_ms, 25);
    assert_int_equal(store.retention_bytes, 123);
    assert_int_equal(store.retention_ms, -1);
    assert_int_equal(store.segment_bytes, 1073741824);
    assert_int_equal(store.index_interval_bytes, 4096);
    assert_int_equal(store.delete_delay_ms, 60000);
}

static struct topic *sample(void)
{
    struct topic *t = topic_make(topic_state_id(TOPIC_STATE_CATALOG), STR_LIT("name"), 7);
    t->generation = 3;
    t->created_ms = 1767225600000;
    assert_int_equal(set(&t->conf, "retention.ms", "1000"), ERR_OK);
    assert_int_equal(set(&t->conf, "message.timestamp.type", "LogAppendTime"), ERR_OK);
    assert_int_equal(set(&t->conf, "weir.flush", "10ms"), ERR_OK);
    return t;
}

static void test_record(void **state)
{
    struct wr w;
    struct topic *t = sample(), *back;
    (void)state;
    wr_init(&w, 0);
    topic_encode(t, &w);
    struct str value = {(const char *)w.buf->data, w.len};
    assert_int_equal(topic_decode(t->id, value, &back, NULL), ERR_OK);
    assert_string_equal(back->name, "name");
    assert_int_equal(back->partitions, 7);
    assert_int_equal(back->generation, 3);
    assert_int_equal(back->created_ms, t->created_ms);
    assert_memory_equal(&back->conf, &t->conf, sizeof(t->conf));
    topic_unref(back);

    for (size_t n = 0; n < w.len; n++)
        assert_int_not_equal(topic_decode(t->id, (struct str){value.at, n}, &back, NULL), ERR_OK);
    w.buf->data[0] = 2;
    assert_int_equal(topic_decode(t->id, value, &back, NULL), ERR_FORMAT_NEWER);
    topic_unref(t);
    wr_free(&w);
}

static void test_copy(void **state)
{
    (void)state;
    struct topic *t = sample(), *copy = topic_copy(t);
    assert_memory_equal(&copy->conf, &t->conf, sizeof(t->conf));
    assert_int_equal(copy->generation, 3);
    assert_true(uuid_eq(copy->id, t->id));
    topic_unref(topic_ref(t));
    topic_unref(t);
    topic_unref(copy);
    topic_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_state_ids),
        cmocka_unit_test(test_table),  cmocka_unit_test(test_defaults_can_be_set),
        cmocka_unit_test(test_values), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_flush),  cmocka_unit_test(test_for_the_store),
        cmocka_unit_test(test_record), cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
