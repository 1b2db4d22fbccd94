/* HTTP triggers: requests as handlers are told of them, byte by byte, and their answers. */
#include "flow/function_azure_http.h"

#include "../check.h"

#include "broker/access.h"

#include <stdio.h>
#include <string.h>

static struct arena arena;
static struct wr body;
static struct document doc;
static struct invoke_answer got;
static struct err_text why;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    body = (struct wr){0};
    doc = (struct document){.name = "save"};
    spec_init(&function_kind, &doc.conf.function);
    doc.conf.function.protocol = FUNCTION_AZURE;
    doc.conf.function.azure_trigger_type = TRIGGER_HTTP;
    doc.conf.function.azure_trigger = STR_LIT("req");
    invoke_init_answer(&got);
    why = (struct err_text){""};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    invoke_free(&(struct invoke_op){.answer = got});
    arena_free(&arena);
    wr_free(&body);
    return 0;
}

/* ---- requests ---- */

static const uint8_t random_bytes[AZURE_RANDOM_BYTES] = {[16] = 255, [17] = 255};

static const char *written(const struct invoke_request *request, const char *principal)
{
    const struct actor actor = {.principal = principal};
    const struct azure_http_request r = {.request = request,
                                         .actor = &actor,
                                         .function = &doc,
                                         .now_ms = 1767225601000,
                                         .random = random_bytes,
                                         .arena = &arena};
    body.len = 0;
    assert_int_equal(azure_http_write(&r, &body), ERR_OK);
    if (!json_valid((struct str){(const char *)body.buf->data, body.len}))
        fail_msg("%.*s", (int)body.len, (const char *)body.buf->data);
    wr_u8(&body, 0);
    return (const char *)body.buf->data;
}

#define SYS                                                                                        \
    "\"Metadata\":{\"sys\":{\"MethodName\":\"save\",\"UtcNow\":\"2026-01-01T00:00:01Z\","          \
    "\"RandGuid\":\"ffff0000-0000-4000-8000-000000000000\"}}}"

static void a_request_is_told(void **state)
{
    static const struct http_header headers[] = {{STR_LIT("content-type"), STR_LIT("text/plain")},
                                                 {STR_LIT("x-a"), STR_LIT("1")},
                                                 {STR_LIT("etag"), STR_LIT("\"q\"")},
                                                 {STR_LIT("x-a"), STR_LIT("2")}};
    static const struct http_header query[] = {
        {STR_LIT("n"), STR_LIT("1")}, {STR_LIT("m"), STR_LIT("")}, {STR_LIT("n"), STR_LIT("2")}};
    static const struct http_header params[] = {{STR_LIT("id"), STR_LIT("7")}};
    struct invoke_request r = {.method = "PUT",
                               .url = STR_LIT("http://h/api/save/7?n=1&m&n=2"),
                               .host = STR_LIT("h"),
                               .headers = headers,
                               .headers_n = 4,
                               .query = query,
                               .query_n = 3,
                               .params = params,
                               .params_n = 1,
                               .body = {NULL, (const uint8_t *)"a\"\xff", 3}};
    (void)state;
    assert_string_equal(
        written(&r, "User:alice"),
        "{\"Data\":{\"req\":{\"Url\":\"http://h/api/save/7?n=1&m&n=2\",\"Method\":\"PUT\","
        "\"Query\":{\"n\":\"1,2\",\"m\":\"\"},\"Headers\":{\"Host\":[\"h\"],"
        "\"Content-Type\":[\"text/plain\"],\"X-A\":[\"1\",\"2\"],\"Etag\":[\"\\\"q\\\"\"]},"
        "\"Params\":{\"id\":\"7\"},"
        "\"Identities\":[{\"IsAuthenticated\":true,\"Name\":\"User:alice\"}],"
        "\"Body\":\"a\\\"\xef\xbf\xbd\"}}," SYS);
    const struct http_header binary = {STR_LIT("content-type"),
                                       STR_LIT("Application/Octet-Stream")};
    r.headers = &binary;
    r.headers_n = 1;
    assert_non_null(strstr(written(&r, ACCESS_ANONYMOUS), "\"Body\":\"YSL/\"}}"));
    r.body.len = 0;
    assert_null(strstr(written(&r, ACCESS_ANONYMOUS), "Body"));
    assert_non_null(
        strstr(written(&r, ACCESS_ANONYMOUS), "\"Identities\":[{\"IsAuthenticated\":false}]"));
}

/* ---- answers ---- */

static char said[1024];

/* "STATUS\nname: value\n...\nbody", or why not. */
static const char *answer(const char *json, bool returned)
{
    struct jr j;
    struct jr_value v;
    jr_init(&j, str_of(json));
    assert_true(jr_value(&j, &v) && jr_end(&j));
    invoke_free_answer(&got);
    why.s[0] = '\0';
    if (azure_http_answer(&v, returned, &got, &why) != ERR_OK) {
        assert_true(why.s[0] != '\0');
        return why.s;
    }
    int n = snprintf(said, sizeof said, "%d\n", got.status);
    for (size_t i = 0; i < got.headers_n; i++)
        n += snprintf(said + n, sizeof said - (size_t)n, "%s: %s\n", got.headers[i].name.at,
                      got.headers[i].value.at);
    snprintf(said + n, sizeof said - (size_t)n, "\n%.*s", (int)got.body.len,
             got.body.at ? (const char *)got.body.at : "");
    return said;
}

#define TEXT "content-type: text/plain; charset=utf-8\n\n"
#define JSON "content-type: application/json; charset=utf-8\n\n"

static void answers_are_read(void **state)
{
    (void)state;
    assert_string_equal(answer("{\"statusCode\":201,\"body\":\"a\\n\"}", false),
                        "201\n" TEXT "a\n");
    assert_string_equal(answer("{\"STATUS\":\"404\",\"Body\":{\"n\":[1.50]}}", false),
                        "404\n" JSON "{\"n\":[1.50]}");
    assert_string_equal(answer("{\"body\":\"x\",\"headers\":{\"Content-Type\":\"a/b\",\"X\":7,"
                               "\"Set-Cookie\":[\"a=1\",\"b=2\"],\"Y\":null}}",
                               false),
                        "200\ncontent-type: a/b\nx: 7\nset-cookie: a=1\nset-cookie: b=2\n\nx");
    assert_string_equal(answer("{\"body\":\"x\",\"headers\":{\"Content-Length\":\"9\","
                               "\"Transfer-Encoding\":\"chunked\",\"Connection\":\"close\"}}",
                               false),
                        "200\n" TEXT "x");
    assert_string_equal(answer("{}", false), "200\n\n");
    assert_string_equal(answer("{\"statusCode\":null,\"body\":null}", false), "200\n\n");
    assert_string_equal(answer("null", false), "204\n\n");
    assert_string_equal(answer("\"plain\"", false), "200\n" TEXT "plain");
    assert_string_equal(answer("\"\"", true), "200\n" TEXT);
}

/* What is returned is a body, unless it has one. */
static void return_values_are_bodies(void **state)
{
    (void)state;
    assert_string_equal(answer("{\"n\":1,\"status\":500}", true),
                        "200\n" JSON "{\"n\":1,\"status\":500}");
    assert_string_equal(answer("{\"status\":500,\"body\":\"x\"}", true), "500\n" TEXT "x");
    assert_string_equal(answer("[1,2]", true), "200\n" JSON "[1,2]");
}

static void what_is_no_answer_says_why(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{\"statusCode\":199}", "from 200 to 599"},
        {"{\"status\":\"six\"}", "from 200 to 599"},
        {"{\"status\":600}", "from 200 to 599"},
        {"{\"status\":[]}", "from 200 to 599"},
        {"{\"headers\":[]}", "must be an object"},
        {"{\"headers\":{\"a b\":\"x\"}}", "name is none"},
        {"{\"headers\":{\"\":\"x\"}}", "name is none"},
        {"{\"headers\":{\"a\\r\\nb\":\"x\"}}", "name is none"},
        {"{\"headers\":{\"a\":\"x\\r\\nSet-Cookie: b\"}}", "value must be a text"},
        {"{\"headers\":{\"a\":{}}}", "value must be a text"},
        {"{\"headers\":{\"a\":[[]]}}", "value must be a text"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *is = answer(rows[i].json, false);
        if (strstr(is, rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].json, is);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_told),
        TEST(answers_are_read),
        TEST(return_values_are_bodies),
        TEST(what_is_no_answer_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
