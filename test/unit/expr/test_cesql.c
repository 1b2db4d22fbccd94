/* Beyond what the conformance suite has (test/wire/test_cesql_tck.py): grammar, precedence, limits,
 * messages, and what weir adds to CESQL. */
#include "expect.h"

#include "base/mem.h"

static const char payload[] =
    "{\"amount\":12.5,\"count\":7,\"big\":5000000000,\"neg\":-3,\"name\":\"Ann \\u00e9\","
    "\"yes\":true,\"no\":false,\"none\":null,\"list\":[10,\"x\",{\"sku\":\"A-1\"}],"
    "\"obj\":{\"id\":\"c1\",\"deep\":{\"n\":1}},\"odd key\":1,\"a.b\":2,\"q'\":3,\"text\":\"42\","
    "\"half\":0.5,\"whole\":4.0,\"huge\":1e300,\"most\":9223372036854775807,\"\\u00fc\":4}";

static void order(struct event *e)
{
    event_init(e, payload);
    event_set_text(e, "specversion", "1.0");
    event_set_text(e, "id", "e-1");
    event_set_text(e, "source", "/shop/eu");
    event_set_text(e, "type", "order.created");
    event_set_text(e, "subject", "orders/42");
    event_set_text(e, "sequence", "5");
    event_set_text(e, "in1", "digits");
    event_set(e, "flag", (struct expr_value){.type = EXPR_BOOLEAN, .boolean = true});
    event_set(e, "num", (struct expr_value){.type = EXPR_INTEGER, .integer = 7});
}

static void check(const struct expect_case *cases, size_t n)
{
    struct event e;
    order(&e);
    expect_cases(cases, n, &e);
}

static void test_precedence(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"1 + 2 * 3", "7"},
        {"2 * 3 + 1", "7"},
        {"10 - 4 - 3", "3"},
        {"100 / 10 / 5", "2"},
        {"7 % 4 * 2", "6"},
        {"1 + 1 = 2", "true"},
        {"1 < 2 = TRUE", "true"},
        {"3 > 2 > 0", "true"},
        {"-2 * 3", "-6"},
        {"- 2 * 3", "-6"},
        {"-num", "-7"},
        {"- -num", "7"},
        {"NOT FALSE = TRUE", "true"},
        {"NOT TRUE = TRUE", "false"},
        {"NOT TRUE LIKE 'fal%'", "true"}, /* NOT binds tighter than LIKE */
        {"-1 IN (-1)", "true"},
        {"1 + 2 IN (2)", "2"}, /* 1 + (2 IN (2)) */
        {"1 + 23 LIKE '2_'", "2"},
        {"FALSE AND FALSE OR TRUE", "true"}, /* one precedence, from the left */
        {"TRUE OR FALSE AND FALSE", "false"},
        {"TRUE XOR TRUE OR TRUE", "true"},
        {"TRUE OR TRUE XOR TRUE", "false"},
        {"1 = 1 AND 2 = 2", "true"},
        {"((((1))))", "1"},
        {"EXISTS subject AND TRUE", "true"},
        {"'x' LIKE 'x' LIKE 'true'", "true"},
        {"1 IN (1) IN (TRUE)", "true"},
        {"NOT NOT TRUE", "true"},
        {"NOT -1", "false"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_words(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"4-1", "3"},
        {"4 -1", "3"},
        {"4+1", "5"},
        {"4 - -1", "5"},
        {"4--1", "5"},
        {"(4)-1", "3"},
        {"num-1", "6"},
        {"num<-1", "false"},
        {"+5", "5"},
        {"-2147483648", "-2147483648"},
        {"2147483647", "2147483647"},
        {"'it''s'", "'it's'"},
        {"\"a\"\"b\"", "'a\"b'"},
        {"'a\\'b'", "'a'b'"},
        {"'a\\\"b'", "'a\\\"b'"},
        {"'a\\\\'", "'a\\\\'"},
        {"''", "''"},
        {"\"it's\"", "'it's'"},
        {"'\xc3\xa9'", "'\xc3\xa9'"},
        {"TYPE = 'order.created'", "true"},
        {"tYpE lIkE 'order.%'", "true"},
        {"in1", "'digits'"},
        {"\t1\r\n+ 1", "2"},
        {"concat ('a', 'b')", "'ab'"},
        {"1!=2", "true"},
        {"1<>1", "false"},
        {"1AND", "false missingAttribute"}, /* a name, as the longest word */
        {"1 <= 1AND 2", "parse: at character 11: \"2\" is not expected; give an operator such as = "
                        "or AND, or the end"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_errors_end_the_evaluation(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"TRUE OR missing", "true"},
        {"missing OR TRUE", "false missingAttribute"},
        {"FALSE AND missing", "false"},
        {"TRUE AND missing", "false missingAttribute"},
        {"missing", "false missingAttribute"},
        {"LENGTH(missing)", "0 missingAttribute"},
        {"CONCAT('a', missing)", "'' missingAttribute"},
        {"1 / 0 = 0", "false math"},
        {"NOT (1 / 0 = 0)", "false math"},
        {"1 / (1 / 0)", "0 math"},
        {"INT('x') + 1", "0 cast"},
        {"LEFT('abc', -1) = 'abc'", "false functionEvaluation"},
        {"1 IN (2, 'x', 1)", "false cast"},
        {"1 IN (1, 'x')", "true"},
        {"1 IN (2, missing)", "false missingAttribute"},
        {"1 IN (1, missing)", "true"},
        {"1 NOT IN (2, missing)", "false missingAttribute"},
        {"missing NOT LIKE 'x'", "false missingAttribute"},
        {"missing IN (1)", "false missingAttribute"},
        {"EXISTS missing", "false"},
        {"EXISTS id AND EXISTS type AND EXISTS source AND EXISTS specversion", "true"},
        {"'abc' = TRUE", "false cast"},
        {"'abc' < 1", "false cast"},
        {"TRUE < 2", "true"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_integers_are_of_32_bits(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"2147483647 + 1", "0 math"},
        {"-2147483648 - 1", "0 math"},
        {"65536 * 65536", "0 math"},
        {"-(-2147483648)", "0 math"},
        {"-2147483648 / -1", "0 math"},
        {"-2147483648 % -1", "0"},
        {"-7 / 2", "-3"},
        {"-7 % 2", "-1"},
        {"7 % -2", "1"},
        {"INT('2147483648')", "0 cast"},
        {"INT('-2147483648')", "-2147483648"},
        {"INT('+5')", "5"},
        {"INT(' 5')", "0 cast"},
        {"INT('')", "0 cast"},
        {"2147483648",
         "parse: at character 1, \"2147483648\": an integer has at most 32 bits, unless it is "
         "compared with data"},
        {"99999999999999999999 = data.x",
         "parse: at character 1, \"99999999999999999999\": an integer has at most 64 bits"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_data_paths(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"data.count", "7"},
        {"data.amount", "12.5"},
        {"data.big", "5000000000"},
        {"data.name", "'Ann \xc3\xa9'"},
        {"data.yes", "true"},
        {"data.none", "false missingAttribute"},
        {"data.nothing", "false missingAttribute"},
        {"data.list[0]", "10"},
        {"data.list[2].sku", "'A-1'"},
        {"data.list[3]", "false missingAttribute"},
        {"data.obj.id = 'c1'", "true"},
        {"data.obj.deep.n + 1", "2"},
        {"data['odd key']", "1"},
        {"data[\"odd key\"]", "1"},
        {"data['a.b']", "2"},
        {"data['q\\'']", "3"},
        {"data[\"q'\"]", "3"},
        {"data.\xc3\xbc", "4"},
        {"data.obj.deep", "{\"n\":1}"},
        {"data.obj.deep = '{\"n\":1}'", "true"},
        {"data.list LIKE '[10,%'", "true"},
        {"data.list + 1", "0 cast"},
        {"data.list = TRUE", "false cast"},
        {"EXISTS data.none", "false"},
        {"EXISTS data.nothing", "false"},
        {"EXISTS data.no", "true"},
        {"EXISTS data.obj.deep", "true"},
        {"NOT EXISTS data.obj.id.x", "true"},
        {"data.yes AND data.count > 5", "true"},
        {"data.no", "false"},
        {"data", "false missingAttribute"}, /* an attribute as any other, for CESQL */
        {"DATA.x", "parse: at character 5: \".\" is not expected; give an operator such as = or "
                   "AND, or the end"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_numbers_of_data(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"data.amount > 12", "true"},
        {"data.amount > 12.5", "false"},
        {"data.amount >= 12.5", "true"},
        {"data.amount = 12.5", "true"},
        {"12.5 = data.amount", "true"},
        {"data.amount = '12.5'", "true"},
        {"data.amount * 2", "25"},
        {"data.big > 2147483647", "true"},
        {"data.big = 5000000000", "true"},
        {"data.big + 5000000000 = 10000000000", "true"},
        {"data.big * data.big", "0 math"},
        {"data.most + 1", "0 math"},
        {"data.most = 9223372036854775807", "true"},
        {"data.most = 9223372036854775806", "false"},
        {"data.most < 9223372036854775807.0", "true"}, /* which is 2^63 */
        {"data.huge * data.huge", "0 math"},
        {"data.count / 2", "3"},
        {"data.count / 2.0", "3.5"},
        {"data.count / 0", "0 math"},
        {"data.amount / 0", "0 math"},
        {"data.amount % 5", "2.5"},
        {"-data.amount", "-12.5"},
        {"-data.big", "-5000000000"},
        {"ABS(data.neg)", "3"},
        {"ABS(-data.amount)", "12.5"},
        {"INT(data.amount)", "12"},
        {"INT(data.big)", "5000000000"},
        {"INT(data.huge)", "0 cast"},
        {"IS_INT(data.huge)", "false"},
        {"IS_INT(data.big)", "true"},
        {"STRING(data.amount)", "'12.5'"},
        {"STRING(data.whole)", "'4'"},
        {"BOOL(data.half)", "true"},
        {"data.whole = 4", "true"},
        {"data.text = 42", "true"},
        {"data.text > 41.5", "true"},
        {"data.text + 1", "43"},
        {"'3000000000' < data.big", "true"},
        {"'5000000000' = data.big", "true"},
        {"LEFT('abcdef', data.amount)", "'abcdef'"},
        {"LEFT('abcdef', data.half)", "''"},
        {"data.count IN (1, 7.0)", "true"},
        {"data.amount IN ('12.5', 1)", "true"},
        {"data.name IN ('Ann \xc3\xa9', 'Bob')", "true"},
        {"1.5", "1.5"},
        {"1.5 + 1", "2.5"},
        {"-1.25e2", "-125"},
        {"+1.5", "1.5"},
        {"0.1 + 0.2", "0.30000000000000004"},
    };
    check(cases, COUNT_OF(cases));
}

static void test_messages(void **state)
{
    (void)state;
#define OPERAND "give an attribute, a value, a data path, a function or '('"
#define OPERATOR "give an operator such as = or AND, or the end"
    static const struct expect_case cases[] = {
        {"", "parse: at the end: something is missing; " OPERAND},
        {"  ", "parse: at the end: something is missing; " OPERAND},
        {"1 +", "parse: at the end: something is missing; " OPERAND},
        {"(1", "parse: at the end: something is missing; give ')'"},
        {"ABS(1", "parse: at the end: something is missing; give ')'"},
        {"1 IN (1", "parse: at the end: something is missing; give ')'"},
        {"ABC(", "parse: at the end: something is missing; " OPERAND},
        {"1)", "parse: at character 2: \")\" is not expected; give an operator, or the end: no "
               "parenthesis is open"},
        {"1, 2", "parse: at character 2: \",\" is not expected; give an operator, or the end"},
        {"(1, 2)", "parse: at character 3: \",\" is not expected; give an operator, or the end"},
        {"1 2", "parse: at character 3: \"2\" is not expected; " OPERATOR},
        {"'\xc3\xa9' ? 1", "parse: at character 5: \"?\" is not expected; " OPERATOR},
        {"= 1", "parse: at character 1: \"=\" is not expected; " OPERAND},
        {"type = 'a", "parse: at character 8: the quote is never closed"},
        {"type == 'a'", "parse: at character 7: \"=\" is not expected; " OPERAND},
        {"x LIKE y", "parse: at character 8: \"y\" is not expected; give the pattern behind LIKE "
                     "as a text in quotes"},
        {"x LIKE", "parse: at the end: something is missing; give the pattern behind LIKE as a "
                   "text in quotes"},
        {"x NOT 1", "parse: at character 7: \"1\" is not expected; give LIKE or IN behind NOT"},
        {"x IN 1", "parse: at character 6: \"1\" is not expected; give '(' and the values behind "
                   "IN"},
        {"x IN ()", "parse: at character 7: \")\" is not expected; " OPERAND},
        {"EXISTS 'x'", "parse: at character 8: \"'x'\" is not expected; give the name of an "
                       "attribute or a data path behind EXISTS"},
        {"my_ext = 1", "parse: at character 1, \"my_ext\": the name of an attribute has letters "
                       "and digits only"},
        {"f1(2)", "parse: at character 1, \"f1\": the name of a function has letters and _ only"},
        {"data.", "parse: at character 6, in the path \"data.\": give a key of letters, digits, _ "
                  "and $; others as in data['odd key']"},
        {"data[x]", "parse: at character 6, in the path \"data[x]\": give an index such as [0], "
                    "or a key in quotes such as ['odd key']"},
        {"data['x'", "parse: at character 9, in the path \"data['x'\": give ']'"},
        {"1.5x", "parse: at character 1: \"1.5\" is not expected; " OPERAND},
        {"\xff", "parse: the expression is not valid UTF-8"},
        {"LENGHT('x')",
         "missingFunction: at character 1: there is no function LENGHT; did you mean LENGTH?"},
        {"LEFT('x')", "missingFunction: at character 1: LEFT takes 2 arguments, not 1"},
        {"SUBSTRING('x')", "missingFunction: at character 1: SUBSTRING takes 2 to 3 arguments, "
                           "not 1"},
        {"abs()", "missingFunction: at character 1: ABS takes 1 argument, not 0"},
        {"frobnicate(1)", "missingFunction: at character 1: there is no function frobnicate"},
        {"FALSE AND nofunc()", "missingFunction: at character 11: there is no function nofunc"},
    };
    check(cases, COUNT_OF(cases));
}

/* `n` times `open`, a middle, `n` times `close`. */
static char *nested(const char *open, const char *middle, const char *close, size_t n)
{
    size_t cap = n * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *s = mem_zalloc(1, cap), *at = s;
    for (size_t i = 0; i < n; i++)
        at += snprintf(at, cap - (size_t)(at - s), "%s", open);
    at += snprintf(at, cap - (size_t)(at - s), "%s", middle);
    for (size_t i = 0; i < n; i++)
        at += snprintf(at, cap - (size_t)(at - s), "%s", close);
    return s;
}

static void check_nested(const char *open, const char *middle, const char *close, size_t n,
                         const char *want)
{
    struct event e;
    char got[SHOWN_MAX];
    char *s = nested(open, middle, close, n);
    order(&e);
    expect_eval(s, &e, got);
    got[strlen(want) < SHOWN_MAX ? strlen(want) : SHOWN_MAX - 1] = '\0';
    assert_string_equal(got, want);
    mem_free(s);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    check_nested("(", "1", ")", 256, "1");
    check_nested("(", "1", ")", 257, "parse: at character 257, \"(\": nested too deeply");
    check_nested("NOT ", "TRUE", "", 256, "true");
    check_nested("NOT ", "TRUE", "", 257, "parse: at character 1025, \"NOT\": nested too deeply");
    check_nested("num + (", "1", ")", 63, "442");
    check_nested("num + (", "1", ")", 64, "parse: at character 449, \"1\": nested too deeply");
    check_nested("ABS(", "num", ")", 256, "7");
    check_nested("num IN (", "7", ")", 63, "false");
    check_nested("num IN (", "7", ")", 64, "parse: at character 513, \"7\": nested too deeply");
    /* AND and OR leave nothing on the stack for their right side, so only parentheses count. */
    check_nested("flag AND (", "TRUE", ")", 127, "true");
    check_nested("flag AND (", "TRUE", ")", 129, "parse: at character 1286");
    check_nested("flag AND ", "TRUE", "", 900, "true");
    check_nested("1 + ", "1", "", 2000, "2001");
    check_nested(" ", "1", "", EXPR_TEXT_MAX - 1, "1");
    check_nested(" ", "1", "", EXPR_TEXT_MAX, "parse: the expression has 8193 bytes; 8192 are");
}

static void test_names_are_bounded(void **state)
{
    (void)state;
    char text[4096] = "TRUE", got[SHOWN_MAX];
    struct event e;
    order(&e);
    for (int i = 0; i < 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " AND NOT EXISTS a%d", i);
    expect_eval(text, &e, got);
    assert_string_equal(got, "true");
    snprintf(text + strlen(text), sizeof(text) - strlen(text), " AND EXISTS a63");
    expect_eval(text, &e, got);
    assert_string_equal(got, "false");
    snprintf(text + strlen(text), sizeof(text) - strlen(text), " AND EXISTS a64");
    expect_eval(text, &e, got);
    assert_non_null(strstr(got, "64 different attributes at most"));
    snprintf(text, sizeof(text), "TRUE");
    for (int i = 0; i < 65; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " AND NOT EXISTS data.p%d", i);
    expect_eval(text, &e, got);
    assert_non_null(strstr(got, "64 different data paths at most"));
}

static void test_texts_that_do_not_fit(void **state)
{
    (void)state;
    static char long_text[EXPR_SCRATCH_BYTES];
    struct event e;
    char got[SHOWN_MAX];
    order(&e);
    memset(long_text, 'x', sizeof(long_text) - 1);
    event_set_text(&e, "long", long_text);
    expect_eval("LENGTH(CONCAT(long, 'y'))", &e, got);
    assert_string_equal(got, "8192");
    expect_eval("LENGTH(CONCAT(long, 'yz'))", &e, got);
    assert_string_equal(got, "0 generic");
    expect_eval("CONCAT(long, 'yz')", &e, got);
    assert_string_equal(got, "'' generic");
    expect_eval("UPPER(long) = UPPER(long)", &e, got);
    assert_string_equal(got, "false generic");
}

static void test_as_a_filter(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool matches, data;
    } cases[] = {
        {"type = 'order.created'", true, false},
        {"type = 'order.deleted'", false, false},
        {"1", false, false}, /* not a Boolean */
        {"'true'", false, false},
        {"missing = 1 OR TRUE", false, false},
        {"data.count = 7", true, true},
        {"TRUE OR data.count = 7", true, false},
        {"EXISTS data.count", true, true},
        {"subject = 'orders/42' AND data.yes", true, true},
    };
    struct event event;
    order(&event);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct expr *e = NULL;
        assert_int_equal(expr_compile_cesql(str_of(cases[i].text), &e, NULL), ERR_OK);
        if (expr_matches(e, &event.source) != cases[i].matches ||
            expr_looks_at_data(e) != cases[i].data)
            fail_msg("%s", cases[i].text);
        expr_free(e);
    }
    struct expr *none = NULL;
    assert_int_equal(expr_compile_cesql(STR_LIT("("), &none, NULL), ERR_REQUEST_INVALID);
    assert_null(none);
    expr_free(NULL);
}

/* The event is asked for what is needed, and once. */
static void test_asks_only_for_what_it_needs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned asked, data_asked;
    } cases[] = {
        {"TRUE", 0, 0},
        {"type = 'x' AND source = 'y'", 1, 0},
        {"type = 'x' OR type = 'y' OR type = 'z'", 1, 0},
        {"data.count = 7 AND data.amount = 12.5 AND data.yes", 0, 1},
        {"type = 'x' AND data.count = 7", 1, 0},
        {"EXISTS id", 0, 0},
        {"EXISTS subject AND subject = 'x'", 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX];
        struct event e;
        order(&e);
        expect_eval(cases[i].text, &e, got);
        if (e.asked != cases[i].asked || e.data_asked != cases[i].data_asked)
            fail_msg("%s: asked %u, data %u", cases[i].text, e.asked, e.data_asked);
    }
}

static void test_payload_that_is_not_json(void **state)
{
    (void)state;
    struct event e;
    char got[SHOWN_MAX];
    event_init(&e, NULL);
    expect_eval("EXISTS data.a", &e, got);
    assert_string_equal(got, "false");
    event_init(&e, "{\"a\":1} x");
    expect_eval("data.a = 1", &e, got);
    assert_string_equal(got, "false missingAttribute");
    event_init(&e, "[{\"a\":1},2]");
    expect_eval("data[0].a + data[1]", &e, got);
    assert_string_equal(got, "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_errors_end_the_evaluation),
        cmocka_unit_test(test_integers_are_of_32_bits),
        cmocka_unit_test(test_data_paths),
        cmocka_unit_test(test_numbers_of_data),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_names_are_bounded),
        cmocka_unit_test(test_texts_that_do_not_fit),
        cmocka_unit_test(test_as_a_filter),
        cmocka_unit_test(test_asks_only_for_what_it_needs),
        cmocka_unit_test(test_payload_that_is_not_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
