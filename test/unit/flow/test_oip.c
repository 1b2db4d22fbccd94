/* The Open Inference Protocol as specification/protocol/inference_rest.md has it: requests to the
 * byte, answers of servers of several kinds, and answers that are none. */
#include "../check.h"

#include "base/mem.h"
#include "flow/oip.h"

#include <math.h>
#include <string.h>

static void assert_url(struct oip_target t, const char *infer, const char *ready)
{
    struct arena arena;
    arena_init(&arena, 4096);
    assert_string_equal(oip_infer_url(&t, &arena), infer);
    assert_string_equal(oip_ready_url(&t, &arena), ready);
    arena_free(&arena);
    arena_init(&arena, 0);
    assert_null(oip_infer_url(&t, &arena));
    arena_free(&arena);
}

static void addresses(void **state)
{
    (void)state;
    struct oip_target t = {.url = STR_LIT("http://triton:8000"), .model = STR_LIT("fraud")};
    assert_url(t, "http://triton:8000/v2/models/fraud/infer",
               "http://triton:8000/v2/models/fraud/ready");
    t.version = STR_LIT("3");
    assert_url(t, "http://triton:8000/v2/models/fraud/versions/3/infer",
               "http://triton:8000/v2/models/fraud/versions/3/ready");
    t.url = STR_LIT("http://h/");
    t.model = STR_LIT("a/b c?\xc3\xa9");
    assert_url(t, "http://h/v2/models/a%2Fb%20c%3F%C3%A9/versions/3/infer",
               "http://h/v2/models/a%2Fb%20c%3F%C3%A9/versions/3/ready");
    t.url = (struct str){NULL, 0};
    assert_url(t, "/v2/models/a%2Fb%20c%3F%C3%A9/versions/3/infer",
               "/v2/models/a%2Fb%20c%3F%C3%A9/versions/3/ready");
}

static void assert_request(const struct oip_request *r, const char *want)
{
    struct wr w = {0};
    oip_write_request(r, &w);
    struct slice s = wr_take(&w);
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.at, want, s.len);
    slice_unref(s);
}

static void requests(void **state)
{
    (void)state;
    static const float rows[] = {1, 2.5f, NAN, -4, 0.1f, 1e30f, 16777216.0f, INFINITY, 0};
    struct oip_request r = {.id = STR_LIT("a\"1"),
                            .input = STR_LIT("input-0"),
                            .rows = rows,
                            .n = 3,
                            .features = 3,
                            .nan_is_null = true};
    assert_request(&r, "{\"id\":\"a\\\"1\",\"inputs\":[{\"name\":\"input-0\",\"shape\":[3,3],"
                       "\"datatype\":\"FP32\",\"data\":[1,2.5,null,-4,0.100000001,1.00000002e+30,"
                       "16777216,null,0]}]}");
    r.n = 1;
    r.output = STR_LIT("predict");
    r.nan_is_null = false;
    assert_request(&r, "{\"id\":\"a\\\"1\",\"inputs\":[{\"name\":\"input-0\",\"shape\":[1,3],"
                       "\"datatype\":\"FP32\",\"data\":[1,2.5,NaN]}],"
                       "\"outputs\":[{\"name\":\"predict\"}]}");
}

/* What MLServer 1.7.1 answered to two rows, and to a model that it does not have. */
#define MLSERVER                                                                                   \
    "{\"model_name\":\"fraud\",\"model_version\":\"v1\",\"id\":\"7\",\"parameters\":{},"           \
    "\"outputs\":[{\"name\":\"predict\",\"shape\":[2,1],\"datatype\":\"FP32\",\"parameters\":"     \
    "{\"content_type\":\"np\"},\"data\":[3.5,15.0]},{\"name\":\"proba\",\"shape\":[2,2],"          \
    "\"datatype\":\"FP64\",\"parameters\":{\"content_type\":\"np\"},"                              \
    "\"data\":[-2.5,3.5,-14.0,15.0]}]}"
#define MLSERVER_ERROR "{\"error\":\"Model nix not found\"}"

#define OUTPUT(name, type, shape, data)                                                            \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data "}"
#define ANSWER(outputs) "{\"model_name\":\"m\",\"id\":\"1\",\"outputs\":[" outputs "]}"

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *body, *output;
        uint32_t n;
        double want[3];
        bool single;
    } cases[] = {
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[0.25, 1e-1]")), NULL, 2, {0.25, 0.1}, true},
        {ANSWER(OUTPUT("p", "FP64", "[2,1]", "[0.25,0.5]")), "p", 2, {0.25, 0.5}, false},
        {ANSWER(OUTPUT("p", "FP32", "[2,2]", "[0.9,0.1, 0.3,0.7]")), NULL, 2, {0.1, 0.7}, true},
        {ANSWER(OUTPUT("p", "FP32", "[2,2]", "[[0.9,0.1],[0.3,0.7]]")), NULL, 2, {0.1, 0.7}, true},
        {ANSWER(OUTPUT("p", "INT64", "[3]", "[ 0 , -7 , 9007199254740993 ]")),
         NULL,
         3,
         {0, -7, 9007199254740993.0},
         false},
        {ANSWER(OUTPUT("label", "INT64", "[1]", "[1]") "," OUTPUT("p", "FP32", "[1]", "[0.5]")),
         "p",
         1,
         {0.5},
         true},
        {ANSWER(OUTPUT("label", "INT64", "[1]", "[1]") "," OUTPUT("p", "FP32", "[1]", "[0.5]")),
         NULL,
         1,
         {1},
         false},
        {MLSERVER, NULL, 2, {3.5, 15}, true},
        {MLSERVER, "proba", 2, {3.5, 15}, false},
        {" {\"outputs\" : [{\"data\":[1.5],\"shape\":[1],\"parameters\":{\"x\":[{}]},"
         "\"datatype\":\"FP32\"}]} ",
         NULL,
         1,
         {1.5},
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got[3];
        bool single = false;
        struct err_text why = {""};
        if (oip_read_scores(str_of(cases[i].body), str_of(cases[i].output), cases[i].n, got,
                            &single, &why) != ERR_OK)
            fail_msg("%zu: %s", i, why.s);
        assert_memory_equal(got, cases[i].want, cases[i].n * sizeof got[0]);
        assert_int_equal(single, cases[i].single);
    }
}

static void no_answers(void **state)
{
    (void)state;
    static const struct {
        const char *body, *why;
    } cases[] = {
        {"", "no JSON object"},
        {"[1]", "no JSON object"},
        {"{\"outputs\":[]", "no JSON object"},
        {"{\"predictions\":[1,2]}", "outputs is missing"},
        {"{\"outputs\":{}}", "outputs is missing"},
        {ANSWER(""), "has no output \"p\""},
        {ANSWER(OUTPUT("q", "FP32", "[2]", "[1,2]")), "has no output \"p\""},
        {ANSWER("7"), "an output is no object"},
        {ANSWER(OUTPUT("p", "BYTES", "[2]", "[\"a\",\"b\"]")), "not a number's: \"BYTES\""},
        {ANSWER("{\"name\":\"p\"}"), "not a number's"},
        {ANSWER(OUTPUT("p", "FP32", "[3]", "[1,2,3]")), "not [2] or [2, columns]: [3]"},
        {ANSWER(OUTPUT("p", "FP32", "[]", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2,0]", "[]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2,-1]", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2,1025]", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2,1000,1000]", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2.0]", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "\"[2]\"", "[1,2]")), "not [2] or"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1]")), "row 1 of its output"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,null]")), "row 1 of its output"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,\"2\"]")), "row 1 of its output"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,1e999]")), "row 1 of its output"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,NaN]")), "no JSON object"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,2,3]")), "more than 2 times 1"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "[1,2,{}]")), "more than 2 times 1"},
        {ANSWER(OUTPUT("p", "FP32", "[2]", "12")), "no data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got[2];
        bool single;
        struct err_text why = {""};
        assert_int_equal(
            oip_read_scores(str_of(cases[i].body), STR_LIT("p"), 2, got, &single, &why),
            ERR_REQUEST_INVALID);
        if (!strstr(why.s, cases[i].why))
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, why.s, cases[i].why);
    }
}

static void errors(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct str s = oip_read_error(STR_LIT("{\"error\":\"no \\\"m\\\"\"}"), &arena);
    assert_true(str_is(s, "no \"m\""));
    assert_true(str_is(oip_read_error(STR_LIT(MLSERVER_ERROR), &arena), "Model nix not found"));
    assert_null(oip_read_error(STR_LIT("{\"error\":7}"), &arena).at);
    assert_null(oip_read_error(STR_LIT("{\"detail\":\"x\"}"), &arena).at);
    assert_null(oip_read_error(STR_LIT("<html>"), &arena).at);
    assert_null(oip_read_error((struct str){NULL, 0}, &arena).at);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),  cmocka_unit_test(requests), cmocka_unit_test(answers),
        cmocka_unit_test(no_answers), cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
