/* Features of events and the events that come out, by every kind of value; what does not fit
 * together; files that are read, changed and lost. The folder of models is argv[1]. */
#include "../broker/rig.h"
#include "../check.h"

#include "base/mem.h"
#include "flow/models.h"
#include "io/disk.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct rig rig;
static const char *folder;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 1);
    arena_init(&arena, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    rig_free(&rig);
    return 0;
}

/* ---- documents ---- */

static struct model_conf conf;
static struct str features[8];
static char path[4096];

/* Of the first n of these features, and a file of the folder (NULL: none). */
static void set_conf(size_t n, const char *file)
{
    static const char *const names[] = {"data.a",    "data.b.c", "data['d e']",
                                        "data.f[1]", "subject",  "weight"};
    spec_init(&model_kind, &conf);
    for (size_t i = 0; i < n; i++)
        features[i] = str_of(names[i]);
    conf.features = (struct spec_texts){features, n};
    conf.output_field = STR_LIT("score");
    conf.server_input = STR_LIT("input-0");
    snprintf(path, sizeof path, "%s/%s", folder, file ? file : "");
    if (file)
        conf.file = str_of(path);
}

static void put_done(struct op *op)
{
    op->done = NULL;
}

static struct err_text put_text;

static enum err put(const char *name)
{
    struct document_put_op op = {.op.done = put_done,
                                 .actor = &rig_actor,
                                 .kind = DOCUMENT_MODEL,
                                 .name = str_of(name),
                                 .conf = &conf};
    broker_document_put(rig.brokers[0], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    put_text = op.text;
    document_unref(op.document);
    return op.op.err;
}

static struct model *make(void)
{
    struct model *m = NULL;
    struct err_text why;
    assert_int_equal(put("m"), ERR_OK);
    const struct document *d = broker_document(rig.brokers[0], DOCUMENT_MODEL, STR_LIT("m"));
    assert_int_equal(model_make(d, NULL, &m, &why), ERR_OK);
    return m;
}

/* ---- features ---- */

static struct event event_of(const char *data)
{
    struct event e;
    event_init(&e);
    e.data = str_of(data);
    e.id = STR_LIT("1");
    e.type = STR_LIT("t");
    e.source = STR_LIT("/s");
    return e;
}

static void values_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        float a, c, de, f;
    } cases[] = {
        {"{\"a\": 1.5, \"b\": {\"c\": -2}, \"d e\": 1e3, \"f\": [0, 7]}", 1.5f, -2, 1000, 7},
        {"{\"a\": true, \"b\": {\"c\": false}, \"d e\": null}", 1, 0, NAN, NAN},
        {"{\"a\": \"1\", \"b\": [], \"d e\": {}, \"f\": [1]}", NAN, NAN, NAN, NAN},
        {" {\"a\":1,\"a\":2} ", 2, NAN, NAN, NAN},
        {"{\"a\": 1e999, \"b\": {\"c\": 0.1}}", INFINITY, 0.1f, NAN, NAN},
        {"{}", NAN, NAN, NAN, NAN},
    };
    set_conf(4, NULL);
    conf.url = STR_LIT("http://s");
    struct model *m = make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float row[4], want[4] = {cases[i].a, cases[i].c, cases[i].de, cases[i].f};
        struct event e = event_of(cases[i].data);
        struct err_text why;
        assert_int_equal(model_features(m, &e, row, &why), ERR_OK);
        for (size_t k = 0; k < 4; k++)
            assert_true(row[k] == want[k] || (isnan(row[k]) && isnan(want[k])));
    }
    model_unref(m);
}

static void attributes(void **state)
{
    (void)state;
    float row[6];
    struct err_text why;
    set_conf(6, NULL);
    conf.url = STR_LIT("http://s");
    struct model *m = make();
    struct event e = event_of("{\"a\": 1}");
    e.subject = STR_LIT("12.5");
    assert_int_equal(event_extension_set(&e, STR_LIT("weight"), STR_LIT("-3")), ERR_OK);
    assert_int_equal(model_features(m, &e, row, &why), ERR_OK);
    assert_true(row[4] == 12.5f && row[5] == -3);
    e.subject = STR_LIT("0x10");
    assert_int_equal(event_extension_set(&e, STR_LIT("weight"), STR_LIT("")), ERR_OK);
    assert_int_equal(model_features(m, &e, row, &why), ERR_OK);
    assert_true(isnan(row[4]) && isnan(row[5]));
    model_unref(m);
}

static void no_features(void **state)
{
    (void)state;
    static const char *const cases[] = {"",     "[1]",          "7",           "\"x\"",
                                        "null", "{\"a\": 1",    "{\"a\": 1}x", "{\"a\": 01}",
                                        "{",    "{\"a\": \xff}"};
    float row[4];
    set_conf(4, NULL);
    conf.url = STR_LIT("http://s");
    struct model *m = make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct event e = event_of(cases[i]);
        struct err_text why = {""};
        assert_int_equal(model_features(m, &e, row, &why), ERR_RECORD_INVALID);
        assert_non_null(strstr(why.s, "no JSON object"));
    }
    struct event e = event_of("");
    struct err_text why;
    e.data = (struct str){NULL, 0};
    assert_int_equal(model_features(m, &e, row, &why), ERR_RECORD_INVALID);
    model_unref(m);
}

/* ---- what comes out ---- */

static void assert_outcome(struct model *m, const char *data, double score, bool single,
                           const char *want)
{
    struct event e = event_of(data), out;
    struct err_text why = {""};
    if (model_outcome(m, &e, score, single, MODEL_BY_SERVER, &arena, &out, &why) != ERR_OK)
        fail_msg("%s: %s", data, why.s);
    assert_int_equal(out.data.len, strlen(want));
    assert_memory_equal(out.data.at, want, out.data.len);
    assert_true(str_is(event_extension(&out, STR_LIT("scoredby")), "server"));
    assert_true(str_is(out.datacontenttype, "application/json"));
    assert_true(str_is(out.id, "1") && str_is(out.source, "/s"));
}

static void outcomes(void **state)
{
    (void)state;
    set_conf(1, NULL);
    conf.url = STR_LIT("http://s");
    struct model *m = make();
    assert_outcome(m, "{}", 0.5, true, "{\"score\":0.5}");
    assert_outcome(m, " { \"a\" : [1, {}] } ", 0.1f, true, "{\"a\" : [1, {}],\"score\":0.1}");
    assert_outcome(m, "{\"a\":1}", 0.1f, false, "{\"a\":1,\"score\":0.10000000149011612}");
    assert_outcome(m, "{\"a\":1}", 1e-30, false, "{\"a\":1,\"score\":1e-30}");
    assert_outcome(m, "{\"a\":1}", -7, true, "{\"a\":1,\"score\":-7}");
    assert_outcome(m, "{\"score\":1,\"a\":2,\"sc\\u006fre\":{\"x\":3}}", 1, true,
                   "{\"a\":2,\"score\":1}");
    model_unref(m);
    conf.output_type = STR_LIT("scored");
    conf.output_field = STR_LIT("a\"b");
    m = make();
    struct event e = event_of("{\"a\":1}"), out;
    struct err_text why;
    assert_int_equal(model_outcome(m, &e, 2, true, MODEL_BY_XGBOOST, &arena, &out, &why), ERR_OK);
    assert_true(str_is(out.type, "scored"));
    assert_memory_equal(out.data.at, "{\"a\":1,\"a\\\"b\":2}", out.data.len);
    assert_int_equal(model_outcome(m, &e, NAN, true, MODEL_BY_XGBOOST, &arena, &out, &why),
                     ERR_RECORD_INVALID);
    assert_non_null(strstr(why.s, "no finite number"));
    struct arena full;
    arena_init(&full, 0);
    assert_int_equal(model_outcome(m, &e, 1, true, MODEL_BY_XGBOOST, &full, &out, &why),
                     ERR_MEMORY);
    arena_free(&full);
    model_unref(m);
}

/* ---- files ---- */

static unsigned changes;
static struct models *models;

static void changed(void *arg, struct str name)
{
    (void)arg;
    (void)name;
    changes++;
}

static void start_models(void)
{
    changes = 0;
    models = models_make(
        &(struct models_conf){.broker = rig.brokers[0], .disk = disk_real(), .changed = changed},
        NULL);
}

static void stop_models(void)
{
    rig_run(&rig);
    models_stop(models);
    assert_false(models_busy(models));
    models_free(models);
}

static double score_of(const char *name, enum model_scorer *by)
{
    static const float rows[4] = {1, 2, 3, 4};
    double score = 0;
    struct model *m = models_get(models, str_of(name));
    assert_non_null(m);
    assert_true(model_score(m, rows, 1, &score, by));
    model_unref(m);
    return score;
}

static void refused_files(void **state)
{
    (void)state;
    start_models();
    set_conf(4, "nowhere.json");
    assert_int_equal(put("m"), ERR_CONFIG_INVALID);
    assert_non_null(strstr(put_text.s, "nowhere.json: there is no such file"));
    set_conf(4, "make.py");
    assert_int_equal(put("m"), ERR_CONFIG_INVALID);
    assert_non_null(strstr(put_text.s, "it is no JSON"));
    set_conf(3, "logistic-3.2.0.json");
    assert_int_equal(put("m"), ERR_CONFIG_INVALID);
    assert_non_null(strstr(put_text.s, "a model of 4 features, but features names 3"));
    assert_null(models_get(models, STR_LIT("m")));
    set_conf(4, "logistic-3.2.0.json");
    assert_int_equal(put("m"), ERR_OK);
    stop_models();
}

static void files_change(void **state)
{
    (void)state;
    enum model_scorer by;
    start_models();
    set_conf(4, "squared-3.2.0.json");
    assert_int_equal(put("m"), ERR_OK);
    assert_int_equal(changes, 1); /* nobody asked yet: somebody may want to */
    double first = score_of("m", &by);
    assert_int_equal(by, MODEL_BY_XGBOOST);
    set_conf(4, "poisson-3.2.0.json");
    assert_int_equal(put("m"), ERR_OK);
    assert_int_equal(changes, 2);
    assert_true(score_of("m", &by) != first);
    struct document_delete_op del = {
        .op.done = put_done, .actor = &rig_actor, .kind = DOCUMENT_MODEL, .name = STR_LIT("m")};
    broker_document_delete(rig.brokers[0], &del);
    rig_run(&rig);
    assert_int_equal(changes, 3);
    assert_null(models_get(models, STR_LIT("m")));
    stop_models();
}

/* A file that is gone at the next start: what else scores does, and it is looked for again. */
static void lost_files(void **state)
{
    (void)state;
    char from[PATH_MAX], to[64];
    enum model_scorer by;
    set_conf(4, "logistic-3.2.0.json");
    assert_non_null(realpath(path, from));
    snprintf(to, sizeof to, "/tmp/weir-test-model-%d.json", (int)getpid());
    conf.file = str_of(to);
    conf.fallback_milli = 250;
    assert_int_equal(put("m"), ERR_OK); /* nobody looks: there are no models yet */
    start_models();
    assert_true(score_of("m", &by) == 0.25);
    assert_int_equal(by, MODEL_BY_FALLBACK);
    assert_int_equal(symlink(from, to), 0);
    fake_advance(&rig.world, MODELS_AGAIN_US / 1000);
    rig_run(&rig);
    (void)score_of("m", &by);
    assert_int_equal(by, MODEL_BY_XGBOOST);
    assert_int_equal(changes, 1);
    assert_int_equal(unlink(to), 0);
    stop_models();
}

static void count_total(void *arg, const struct model_total *t)
{
    struct model_total *out = arg;
    *out = *t;
}

static void counters(void **state)
{
    (void)state;
    struct model_total total = {.name = NULL};
    start_models();
    set_conf(4, "logistic-3.2.0.json");
    assert_int_equal(put("m"), ERR_OK);
    model_unref(models_get(models, STR_LIT("m")));
    model_stats_count(models_stats(models, STR_LIT("m")), MODEL_BY_XGBOOST, 7, 100);
    model_stats_count(models_stats(models, STR_LIT("m")), MODEL_BY_XGBOOST, 3, 50);
    rig_run(&rig);
    models_each(models, count_total, &total);
    assert_string_equal(total.name, "m");
    assert_int_equal(total.rows[MODEL_BY_XGBOOST], 10);
    assert_int_equal(total.batches[MODEL_BY_XGBOOST], 2);
    assert_int_equal(total.took_us[MODEL_BY_XGBOOST], 150);
    assert_int_equal(total.rows[MODEL_BY_SERVER], 0);
    assert_true(total.ready);
    stop_models();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_kind), TEST(attributes),   TEST(no_features), TEST(outcomes),
        TEST(refused_files),        TEST(files_change), TEST(lost_files),  TEST(counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
