/* Events as JSON: CloudEvents' format, with the specification's examples, and Event Grid's. */
#include "../check.h"

#include "base/mem.h"
#include "broker/event.h"

#include <stdio.h>
#include <string.h>

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static struct arena arena;
static struct event e;
static struct err_text text;
static struct wr out;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    wr_init(&out, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    wr_free(&out);
    return 0;
}

static bool is(struct str s, const char *wanted)
{
    return wanted == NULL ? s.at == NULL : s.at != NULL && str_is(s, wanted);
}

static void read_event(const char *json)
{
    memset(&e, 0x5a, sizeof(e));
    enum err err = event_of_json(str_of(json), &arena, &e, &text);
    if (err != ERR_OK)
        fail_msg("%s: %s", json, text.s);
}

static void check_written(const char *wanted)
{
    out.len = 0;
    event_write_json(&e, &out);
    char *got = mem_strndup((const char *)out.buf->data, out.len);
    assert_string_equal(got, wanted);
    assert_true(json_valid(str_of(got)));
    mem_free(got);
}

/* What the data member becomes as bytes, and how it is written again. */
static void test_data(void **state)
{
    static const struct {
        const char *members, *type, *data;
        bool json;
        const char *again; /* NULL: as it came */
    } cases[] = {
        {"", NULL, NULL, false, NULL},
        {",\"datacontenttype\":\"a/b\"", "a/b", NULL, false, NULL},
        {",\"data\":{ \"a\": 1.50 }", "application/json", "{ \"a\": 1.50 }", true,
         ",\"datacontenttype\":\"application/json\",\"data\":{ \"a\": 1.50 }"},
        {",\"datacontenttype\":\"application/json\",\"data\":12345678901234567890.10",
         "application/json", "12345678901234567890.10", true, NULL},
        {",\"datacontenttype\":\"application/json\",\"data\":\"I'm just a string\"",
         "application/json", "\"I'm just a string\"", true, NULL},
        {",\"datacontenttype\":\"application/json\",\"data\":null", "application/json", "null",
         true, NULL},
        {",\"datacontenttype\":\"application/x+json\",\"data\":[]", "application/x+json", "[]",
         true, NULL},
        {",\"datacontenttype\":\"application/xml\",\"data\":\"<much wow=\\\"xml\\\"/>\"",
         "application/xml", "<much wow=\"xml\"/>", false, NULL},
        {",\"datacontenttype\":\"text/plain\",\"data\":null", "text/plain", NULL, false,
         ",\"datacontenttype\":\"text/plain\""},
        {",\"data_base64\":\"eyAieHl6IjogMTIzIH0=\"", NULL, "{ \"xyz\": 123 }", false, NULL},
        {",\"data_base64\":\"\"", NULL, "", false, NULL},
        {",\"data_base64\":null", NULL, NULL, false, ""},
        {",\"datacontenttype\":\"application/json\",\"data_base64\":\"WzFd\"", "application/json",
         "[1]", true, ",\"datacontenttype\":\"application/json\",\"data\":[1]"},
        {",\"datacontenttype\":\"application/json\",\"data_base64\":\"WzE=\"", "application/json",
         "[1", true, NULL}, /* not JSON, whatever it says: stays bytes */
        {",\"datacontenttype\":\"text/x+json\",\"data_base64\":\"WzE=\"", "text/x+json", "[1", true,
         NULL},
        {",\"datacontenttype\":\"application/octet-stream\",\"data\":\"abc\"",
         "application/octet-stream", "abc", false,
         ",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"YWJj\""},
    };
    char json[512], wanted[512];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(json, sizeof(json), HEAD "%s}", cases[i].members);
        read_event(json);
        assert_true(is(e.datacontenttype, cases[i].type));
        assert_true(is(e.data, cases[i].data));
        assert_int_equal(e.data_is_json, cases[i].json);
        snprintf(wanted, sizeof(wanted), HEAD "%s}",
                 cases[i].again != NULL ? cases[i].again : cases[i].members);
        check_written(wanted);
    }
}

static void test_attributes(void **state)
{
    (void)state;
    read_event(
        "{\"type\":\"com.example.someevent\",\"time\":\"2018-04-05T17:31:00Z\",\"subject\":null,"
        "\"comexampleextension1\":\"value\",\"comexampleothervalue\":5,\"yes\":true,\"no\":false,"
        "\"unsetextension\":null,\"id\":\"C234-1234-1234\",\"sour\\u0063e\":\"/my\\u002fcontext\","
        "\"specversion\":\"1.0\",\"negative\":-2147483648}");
    assert_true(is(e.id, "C234-1234-1234"));
    assert_true(is(e.source, "/my/context"));
    assert_true(is(e.time, "2018-04-05T17:31:00Z"));
    assert_null(e.subject.at);
    assert_int_equal(e.extensions_n, 5);
    assert_true(is(event_extension(&e, STR_LIT("comexampleothervalue")), "5"));
    assert_true(is(event_extension(&e, STR_LIT("yes")), "true"));
    assert_true(is(event_extension(&e, STR_LIT("no")), "false"));
    assert_true(is(event_extension(&e, STR_LIT("negative")), "-2147483648"));
    check_written("{\"specversion\":\"1.0\",\"id\":\"C234-1234-1234\",\"source\":\"/my/context\","
                  "\"type\":\"com.example.someevent\",\"time\":\"2018-04-05T17:31:00Z\","
                  "\"comexampleextension1\":\"value\",\"comexampleothervalue\":\"5\","
                  "\"yes\":\"true\",\"no\":\"false\",\"negative\":\"-2147483648\"}");
}

static void test_wrong(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "object"},
        {"\"x\"", "object"},
        {"{", "not JSON"},
        {HEAD "} x", "follows"},
        {HEAD ",}", "not JSON"},
        {"{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion"},
        {"{\"specversion\":null,\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion"},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "0.3"},
        {"{\"specversion\":1.0,\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion"},
        {"{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", "id"},
        {"{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}", "id"},
        {"{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", "id"},
        {"{\"specversion\":\"1.0\",\"id\":5,\"source\":\"/s\",\"type\":\"t\"}", "id"},
        {HEAD ",\"id\":\"2\"}", "twice"},
        {HEAD ",\"specversion\":\"1.0\"}", "twice"},
        {HEAD ",\"x\":\"a\",\"x\":\"b\"}", "twice"},
        {HEAD ",\"data\":1,\"data\":2}", "twice"},
        {HEAD ",\"data\":1,\"data_base64\":\"\"}", "data_base64"},
        {HEAD ",\"data_base64\":5}", "data_base64"},
        {HEAD ",\"data_base64\":\"a\"}", "base64"},
        {HEAD ",\"data_base64\":\"YQ\"}", "base64"},
        {HEAD ",\"datacontenttype\":\"text/xml\",\"data\":{}}", "string"},
        {HEAD ",\"x\":1.5}", "integer"},
        {HEAD ",\"x\":2147483648}", "integer"},
        {HEAD ",\"x\":{}}", "object"},
        {HEAD ",\"x\":[]}", "object"},
        {HEAD ",\"myExtension\":\"a\"}", "myExtension"},
        {HEAD ",\"my-ext\":null}", "my-ext"},
        {HEAD ",\"time\":\"now\"}", "time"},
        {HEAD ",\"time\":true}", "time"},
        {HEAD ",\"subject\":\"\"}", "subject"},
        {HEAD ",\"x\":\"a\\nb\"}", "x"},
        {HEAD ",\"x\":\"\\uD800\"}", "not JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text.s[0] = '\0';
        enum err err = event_of_json(str_of(cases[i].json), &arena, &e, &text);
        if (err != ERR_RECORD_INVALID || strstr(text.s, cases[i].says) == NULL)
            fail_msg("%s: %s, \"%s\"", cases[i].json, err_name(err), text.s);
    }
}

static void test_many_extensions(void **state)
{
    char json[4096] = HEAD, name[16];
    (void)state;
    for (int i = 0; i < EVENT_EXTENSIONS_MAX; i++) {
        snprintf(name, sizeof(name), ",\"x%d\":\"v\"", i);
        memcpy(json + strlen(json), name, strlen(name) + 1);
    }
    size_t n = strlen(json);
    memcpy(json + n, "}", 2);
    read_event(json);
    assert_int_equal(e.extensions_n, EVENT_EXTENSIONS_MAX);
    memcpy(json + n, ",\"y\":\"v\"}", 10);
    assert_int_equal(event_of_json(str_of(json), &arena, &e, &text), ERR_RECORD_INVALID);
}

static void test_batch(void **state)
{
    struct jr batch;
    struct str json = STR_LIT("[" HEAD ",\"data\":[1,{}]}, " HEAD ",\"data_base64\":\"YQ==\"}]");
    (void)state;
    assert_int_equal(event_batch_begin(&batch, json, &text), ERR_OK);
    assert_int_equal(event_batch_next(&batch, &arena, &e, &text), ERR_OK);
    assert_true(is(e.data, "[1,{}]"));
    assert_int_equal(event_batch_next(&batch, &arena, &e, &text), ERR_OK);
    assert_true(is(e.data, "a"));
    assert_int_equal(event_batch_next(&batch, &arena, &e, &text), ERR_NOT_FOUND);
    assert_int_equal(event_batch_begin(&batch, STR_LIT(" [] "), &text), ERR_OK);
    assert_int_equal(event_batch_next(&batch, &arena, &e, &text), ERR_NOT_FOUND);
    assert_int_equal(event_batch_begin(&batch, STR_LIT("{}"), &text), ERR_RECORD_INVALID);
    assert_int_equal(event_batch_begin(&batch, STR_LIT(""), &text), ERR_RECORD_INVALID);
    static const char *const wrong[] = {"[" HEAD "}", "[" HEAD "},]", "[" HEAD "}] x", "[1]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        enum err err;
        assert_int_equal(event_batch_begin(&batch, str_of(wrong[i]), &text), ERR_OK);
        while ((err = event_batch_next(&batch, &arena, &e, &text)) == ERR_OK)
            continue;
        assert_int_equal(err, ERR_RECORD_INVALID);
    }
}

/* No memory is an error, wherever it ends. */
static void test_memory(void **state)
{
    const char *json = "{\"specversion\":\"1.0\",\"id\":\"\\u0041\",\"source\":\"\\/s\","
                       "\"type\":\"\\u0041\",\"data_base64\":\"YQ==\"}";
    (void)state;
    bool ok = false;
    for (size_t limit = 0; limit < 512; limit += 16) {
        struct arena small;
        arena_init(&small, limit);
        enum err err = event_of_json(str_of(json), &small, &e, &text);
        assert_true(err == ERR_MEMORY || err == ERR_OK);
        assert_true(!ok || err == ERR_OK);
        ok = err == ERR_OK;
        arena_free(&small);
    }
    assert_true(ok);
}

/* ---- Event Grid ---- */

#define GRID                                                                                       \
    "{\"id\":\"9\",\"subject\":\"/a/b\",\"eventType\":\"T.Created\","                              \
    "\"eventTime\":\"2018-01-25T22:12:19.4556811Z\""

static void read_grid(const char *json)
{
    memset(&e, 0x5a, sizeof(e));
    enum err err = event_of_eventgrid(str_of(json), STR_LIT("/topics/mine"), &arena, &e, &text);
    if (err != ERR_OK)
        fail_msg("%s: %s", json, text.s);
}

static void check_grid(struct str topic, const char *wanted)
{
    out.len = 0;
    event_write_eventgrid(&e, topic, &out);
    char *got = mem_strndup((const char *)out.buf->data, out.len);
    assert_string_equal(got, wanted);
    mem_free(got);
}

static void test_grid(void **state)
{
    struct str none = {NULL, 0};
    (void)state;
    read_grid(GRID ",\"data\":{\"x\":1.0},\"dataVersion\":\"2\",\"extra\":[1]}");
    assert_true(is(e.id, "9") && is(e.source, "/topics/mine") && is(e.subject, "/a/b"));
    assert_true(is(e.type, "T.Created") && is(e.time, "2018-01-25T22:12:19.4556811Z"));
    assert_true(is(e.data, "{\"x\":1.0}") && is(e.datacontenttype, "application/json"));
    assert_true(is(event_extension(&e, STR_LIT("dataversion")), "2") && e.data_is_json);
    check_grid(none, "{\"id\":\"9\",\"topic\":\"/topics/mine\",\"subject\":\"/a/b\","
                     "\"eventType\":\"T.Created\",\"eventTime\":\"2018-01-25T22:12:19.4556811Z\","
                     "\"data\":{\"x\":1.0},\"dataVersion\":\"2\",\"metadataVersion\":\"1\"}");
    out.len = 0;
    check_written("{\"specversion\":\"1.0\",\"id\":\"9\",\"source\":\"/topics/mine\","
                  "\"type\":\"T.Created\",\"subject\":\"/a/b\","
                  "\"time\":\"2018-01-25T22:12:19.4556811Z\","
                  "\"datacontenttype\":\"application/json\",\"dataversion\":\"2\","
                  "\"data\":{\"x\":1.0}}");
    read_grid("{\"id\":\"9\",\"topic\":\"/t\",\"subject\":\"\",\"eventType\":\"T\","
              "\"eventTime\":\"2018-01-25T22:12:19\",\"data\":\"text\",\"dataVersion\":\"\"}");
    assert_true(is(e.source, "/t") && e.subject.at == NULL && is(e.time, "2018-01-25T22:12:19Z"));
    assert_true(is(e.data, "\"text\""));
    check_grid(STR_LIT("/other"),
               "{\"id\":\"9\",\"topic\":\"/other\",\"subject\":\"\",\"eventType\":\"T\","
               "\"eventTime\":\"2018-01-25T22:12:19Z\",\"data\":\"text\",\"dataVersion\":\"\","
               "\"metadataVersion\":\"1\"}");
}

/* Events of other schemas, delivered in this one. */
static void test_grid_of_others(void **state)
{
    (void)state;
    read_event(HEAD ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\\"b\"}");
    e.record_ms = 1500;
    check_grid(
        (struct str){NULL, 0},
        "{\"id\":\"1\",\"topic\":\"/s\",\"subject\":\"\",\"eventType\":\"t\","
        "\"eventTime\":\"1970-01-01T00:00:01.500Z\",\"data\":\"a\\\"b\",\"dataVersion\":\"\","
        "\"metadataVersion\":\"1\"}");
    read_event(HEAD ",\"data_base64\":\"AAE=\"}");
    out.len = 0;
    event_write_eventgrid(&e, STR_LIT("/t"), &out);
    wr_u8(&out, 0);
    assert_non_null(strstr((char *)out.buf->data, "\"data\":\"AAE=\""));
    read_event(HEAD "}");
    out.len = 0;
    event_write_eventgrid(&e, STR_LIT("/t"), &out);
    wr_u8(&out, 0);
    assert_non_null(strstr((char *)out.buf->data, "\"data\":null"));
}

static void test_grid_wrong(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"[]", "object"},
        {"{}", "id"},
        {GRID, "not JSON"},
        {GRID "}x", "follows"},
        {GRID ",\"subject\":\"x\"}", "twice"},
        {GRID ",\"data\":1,\"data\":1}", "twice"},
        {GRID ",\"dataVersion\":1}", "dataVersion"},
        {"{\"id\":\"\",\"subject\":\"s\",\"eventType\":\"t\",\"eventTime\":\"2018-01-25T22:12:"
         "19Z\"}",
         "id"},
        {"{\"id\":\"1\",\"subject\":\"s\",\"eventType\":\"t\",\"eventTime\":\"then\"}",
         "eventTime"},
        {"{\"id\":\"1\",\"eventType\":\"t\",\"eventTime\":\"2018-01-25T22:12:19Z\"}", "subject"},
        {"{\"id\":\"1\",\"subject\":\"s\",\"eventTime\":\"2018-01-25T22:12:19Z\"}", "eventType"},
        {"{\"id\":\"1\",\"subject\":\"s\",\"eventType\":\"t\"}", "eventTime"},
        {"{\"id\":\"1\",\"subject\":\"s\",\"eventType\":null,\"eventTime\":\"x\"}", "eventType"},
    };
    struct jr batch;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text.s[0] = '\0';
        enum err err = event_of_eventgrid(str_of(cases[i].json), STR_LIT("/t"), &arena, &e, &text);
        if (err != ERR_RECORD_INVALID || strstr(text.s, cases[i].says) == NULL)
            fail_msg("%s: %s, \"%s\"", cases[i].json, err_name(err), text.s);
    }
    assert_int_equal(event_batch_begin(&batch, STR_LIT("[" GRID "}," GRID "}]"), &text), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(event_eventgrid_next(&batch, STR_LIT("/t"), &arena, &e, &text), ERR_OK);
    assert_int_equal(event_eventgrid_next(&batch, STR_LIT("/t"), &arena, &e, &text), ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_data),  TEST(test_attributes),      TEST(test_wrong),
        TEST(test_batch), TEST(test_many_extensions), TEST(test_memory),
        TEST(test_grid),  TEST(test_grid_of_others),  TEST(test_grid_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
