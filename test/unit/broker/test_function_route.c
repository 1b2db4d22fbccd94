/* Routes of HTTP triggers: which are none, what they match, which of several rules. */
#include "broker/function_route.h"

#include "broker/invoke.h"
#include "rig.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

/* ---- templates ---- */

static void templates_are_checked(void **state)
{
    static const struct {
        const char *route, *why; /* NULL: it is one */
    } rows[] = {
        {"a", NULL},
        {"a/{b}/c", NULL},
        {"{a:int}/{b:guid?}", NULL},
        {"files/{*path}", NULL},
        {"", "segments"},
        {"/a", "segments"},
        {"a/", "segments"},
        {"a//b", "segments"},
        {"a/{b}c", "whole of a segment"},
        {"a/b}", "whole of a segment"},
        {"{a?}/b", "at its end only"},
        {"{*a}/b", "at its end only"},
        {"{}", "parameters as"},
        {"{1}", "parameters as"},
        {"{a b}", "parameters as"},
        {"{a:regex(x)}", "no constraint but"},
        {"{a}/{A}", "twice"},
        {"V1/x", "weir's own"},
        {"a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "at most 16"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err_text text = {""};
        enum err err = function_route_check(str_of(rows[i].route), &text);
        if ((err == ERR_OK) != (rows[i].why == NULL) ||
            (rows[i].why != NULL && strstr(text.s, rows[i].why) == NULL))
            fail_msg("%s: %s", rows[i].route, text.s);
    }
}

/* ---- matching ---- */

static void put_done(struct op *op)
{
    document_unref(container_of(op, struct document_put_op, op)->document);
}

static void put(const char *name, const char *route, const char *method)
{
    struct function_conf conf;
    struct str methods[] = {str_of(method ? method : "")};
    spec_init(&function_kind, &conf);
    conf.url = STR_LIT("http://127.0.0.1:1");
    conf.protocol = FUNCTION_AZURE;
    conf.azure_trigger_type = TRIGGER_HTTP;
    if (route)
        conf.azure_route = str_of(route);
    if (method)
        conf.azure_methods = (struct spec_texts){methods, 1};
    struct document_put_op op = {.op.done = put_done,
                                 .actor = &rig_actor,
                                 .kind = DOCUMENT_FUNCTION,
                                 .name = str_of(name),
                                 .conf = &conf};
    broker_document_put(rig.brokers[0], &op);
    rig_run(&rig);
    assert_int_equal(op.op.err, ERR_OK);
}

static void del_done(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
}

static char allow[INVOKE_ALLOW_MAX];
static char found[512];

/* "name k=v ...", or the error's name. */
static const char *find(const char *method, const char *path)
{
    struct function_match m;
    struct str segments[32];
    size_t n = 0;
    for (const char *at = path, *slash; at != NULL; at = slash != NULL ? slash + 1 : NULL) {
        slash = strchr(at, '/');
        segments[n++] = (struct str){at, slash != NULL ? (size_t)(slash - at) : strlen(at)};
    }
    enum err err = function_route_find(rig.brokers[0], segments, n, method, &m, allow);
    int len = snprintf(found, sizeof found, "%s", err ? err_name(err) : m.function->name);
    for (size_t i = 0; !err && i < m.params_n; i++)
        len += snprintf(found + len, sizeof found - (size_t)len, " %.*s=%.*s",
                        (int)m.params[i].name.len, m.params[i].name.at, (int)m.params[i].value.len,
                        m.params[i].value.at);
    return found;
}

static void the_more_particular_rules(void **state)
{
    (void)state;
    put("rest", "things/{*path}", NULL);
    put("any", "things/{kind}/{id?}", NULL);
    put("number", "things/{kind}/{id:int}", NULL);
    put("literal", "things/new", NULL);
    put("plain", NULL, NULL);
    assert_string_equal(find("GET", "things/new"), "literal");
    assert_string_equal(find("GET", "THINGS/New"), "literal");
    assert_string_equal(find("GET", "things/old"), "any kind=old");
    assert_string_equal(find("GET", "things/old/7"), "number kind=old id=7");
    assert_string_equal(find("GET", "things/old/-2147483648"), "number kind=old id=-2147483648");
    assert_string_equal(find("GET", "things/old/2147483648"), "any kind=old id=2147483648");
    assert_string_equal(find("GET", "things/a/b/c"), "rest path=a/b/c");
    assert_string_equal(find("GET", "things"), "rest");
    assert_string_equal(find("GET", "Plain"), "plain");
    assert_string_equal(find("GET", "plain/x"), "NOT_FOUND");
    assert_string_equal(find("GET", "thing"), "NOT_FOUND");
    assert_string_equal(find("GET", "things//x"), "rest path=/x");
}

static void constraints_hold(void **state)
{
    (void)state;
    put("word", "w/{a:alpha}", NULL);
    put("guid", "g/{a:guid}", NULL);
    assert_string_equal(find("GET", "w/abcXYZ"), "word a=abcXYZ");
    assert_string_equal(find("GET", "w/a1"), "NOT_FOUND");
    assert_string_equal(find("GET", "g/0af76519-16cd-43dd-8448-eb211c80319C"),
                        "guid a=0af76519-16cd-43dd-8448-eb211c80319C");
    assert_string_equal(find("GET", "g/0af76519-16cd-43dd-8448-eb211c80319"), "NOT_FOUND");
    assert_string_equal(find("GET", "g/0af76519x16cd-43dd-8448-eb211c80319c"), "NOT_FOUND");
}

/* Two share a route; a change and a delete are seen. */
static void methods_divide_a_route(void **state)
{
    (void)state;
    put("reads", "r", "get");
    put("writes", "r", "PUT");
    assert_string_equal(find("GET", "r"), "reads");
    assert_string_equal(find("PUT", "r"), "writes");
    assert_string_equal(find("POST", "r"), "METHOD");
    assert_string_equal(allow, "GET, PUT");
    put("writes", "r", "DELETE");
    assert_string_equal(find("PUT", "r"), "METHOD");
    assert_string_equal(allow, "GET, DELETE");
    struct document_delete_op op = {.op.done = del_done,
                                    .actor = &rig_actor,
                                    .kind = DOCUMENT_FUNCTION,
                                    .name = STR_LIT("reads")};
    broker_document_delete(rig.brokers[0], &op);
    rig_run(&rig);
    assert_string_equal(find("GET", "r"), "METHOD");
    rig_restart(&rig);
    assert_string_equal(find("DELETE", "r"), "writes");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(templates_are_checked),
        TEST(the_more_particular_rules),
        TEST(constraints_hold),
        TEST(methods_divide_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
