/* A topic as users declare it: into settings and back. */
#include "../check.h"

#include "broker/topic_internal.h"
#include "broker/topic_resource.h"

#include <string.h>

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static enum err read_spec(const char *yaml, struct topic_spec *out, struct spec_place *where,
                          struct err_text *text)
{
    char all[1024];
    struct spec_documents docs;
    snprintf(all, sizeof(all),
             "apiVersion: weir/v1alpha1\nkind: Topic\nmetadata: {name: t}\nspec: %s\n", yaml);
    if (spec_documents_yaml(str_of(all), NULL, &docs, where, text) != ERR_OK)
        fail_msg("%s", text->s);
    spec_init(&topic_kind, out);
    enum err err = spec_read(&topic_kind, docs.at, &arena, out, where, text);
    spec_documents_free(&docs);
    return err;
}

static struct topic_spec good(const char *yaml)
{
    struct topic_spec spec;
    struct spec_place where;
    struct err_text text;
    if (read_spec(yaml, &spec, &where, &text) != ERR_OK)
        fail_msg("%s: %s", where.path, text.s);
    return spec;
}

static void refused(const char *yaml, const char *path, const char *says)
{
    struct topic_spec spec;
    struct spec_place where;
    struct err_text text;
    assert_int_equal(read_spec(yaml, &spec, &where, &text), ERR_CONFIG_INVALID);
    assert_string_equal(where.path, path);
    if (strstr(text.s, says) == NULL)
        fail_msg("'%s' does not say '%s'", text.s, says);
}

/* The topic that the document makes. */
static struct topic *make(const struct topic_spec *spec)
{
    struct topic *t = topic_make((struct uuid){{1}}, STR_LIT("t"), (int32_t)spec->partitions);
    size_t n;
    const struct topic_setting *settings = topic_spec_settings(spec, &arena, &n);
    topic_conf_default(&t->conf);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(topic_conf_set(&t->conf, settings[i], NULL), ERR_OK);
    return t;
}

static void test_settings(void **state)
{
    (void)state;
    struct topic_spec spec = good("{partitions: 3, retention: {time: 3d, size: none}, flush: 10ms,"
                                  " config: {max.message.bytes: 5, retention.ms: '0'}}");
    spec.config.n = 1;
    struct topic *t = make(&spec);
    assert_int_equal(t->conf.retention_ms, 3 * 86400000);
    assert_int_equal(t->conf.retention_bytes, -1);
    assert_int_equal(t->conf.flush, STORE_FLUSH_INTERVAL);
    assert_int_equal(t->conf.flush_ms, 10);
    assert_int_equal(t->conf.max_message_bytes, 5);
    assert_false(t->conf.queue);
    topic_unref(t);
}

/* What a topic shows makes the same topic. */
static void test_round_trip(void **state)
{
    static const char *const docs[] = {
        "{partitions: 1}",
        "{partitions: 3, retention: {time: 3d, size: 10GiB}, flush: os, queue: {}}",
        "{partitions: 2, retention: {time: none}, config: {segment.ms: 5000, preallocate: true}}",
        "{partitions: 2, config: {retention.ms: 0, flush.ms: 100}}",
        "{partitions: 2, duplicates: {window: 10m}}",
        "{partitions: 2, retention: {until: settled}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
        struct topic_spec spec = good(docs[i]), shown, again;
        struct topic *t = make(&spec);
        assert_int_equal(topic_spec_of(t, &arena, &shown), ERR_OK);
        struct topic *u = make(&shown);
        assert_int_equal(topic_spec_of(u, &arena, &again), ERR_OK);
        assert_true(spec_equal(&topic_kind, &shown, &spec));
        assert_true(spec_equal(&topic_kind, &shown, &again));
        assert_memory_equal(&t->conf, &u->conf, sizeof(t->conf));
        topic_unref(t);
        topic_unref(u);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    refused("{partitions: 0}", "spec.partitions", "from 1 to");
    refused("{retention: {time: 0}}", "spec.retention.time", "config: {retention.ms: 0}");
    refused("{retention: {size: -2}}", "spec.retention.size", "or none");
    refused("{retention: {until: never}}", "spec.retention.until", "limits or settled");
    refused("{flush: sometimes}", "spec.flush", "each, os, or a duration");
    refused("{config: {retention.ms: 5}}", "spec.config", "say it in the field retention.time");
    refused("{config: {weir.queue: true}}", "spec.config", "say it in the field queue");
    refused("{config: {retenton.bytes: 5}}", "spec.config", "the nearest that exists is retention");
    refused("{config: {segment.bytes: 5}}", "spec.config", "segment.bytes must be");
    refused("{config: {cleanup.policy: compact}}", "spec.config", "not there yet");
    refused("{keys: {primary: short}}", "spec.keys.primary", "8 to 128 characters");
    refused("{queue: true}", "spec.queue", "{}");
}

static void test_secrets_stay_inside(void **state)
{
    (void)state;
    struct topic_spec spec = good("{keys: {primary: '0123456789', secondary: abcdefghij}}");
    json_t *json = spec_write(&topic_kind, &spec, false);
    assert_null(json_object_get(json, "keys"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets_stay_inside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
