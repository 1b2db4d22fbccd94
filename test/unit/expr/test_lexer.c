#include "expect.h"

#include "expr/lexer.h"

/* The kinds of all tokens, read as a parser would: after an operand an operator is expected. */
static void kinds(const char *text, char out[SHOWN_MAX])
{
    struct lexer l = {str_of(text), 0};
    struct token t;
    bool operand = true;
    out[0] = '\0';
    do {
        t = lexer_next(&l, operand);
        operand = !(t.kind >= TOKEN_INTEGER && t.kind <= TOKEN_PATH) && t.kind != TOKEN_CLOSE &&
                  t.kind != TOKEN_TRUE && t.kind != TOKEN_FALSE;
        size_t n = strlen(out);
        snprintf(out + n, SHOWN_MAX - n, "%s%s<%.*s>", n > 0 ? " " : "", token_name(t.kind),
                 (int)t.text.len, t.text.at);
    } while (t.kind != TOKEN_END && t.kind != TOKEN_BAD && t.kind != TOKEN_OPEN_STRING);
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"", "the end<>"},
        {" \t\r\n", "the end<>"},
        {"a1 AND 1a", "a name<a1> AND<AND> a name<1a> the end<>"},
        {"nOt tRuE", "NOT<nOt> TRUE<tRuE> the end<>"},
        {"-1-1", "an integer<-1> '-'<-> an integer<1> the end<>"},
        {"- 1", "'-'<-> an integer<1> the end<>"},
        {"--1", "'-'<-> an integer<-1> the end<>"},
        {"-1a", "'-'<-> a name<1a> the end<>"},
        {"1.5 1.5e3 1.5E-3", "a number<1.5> a number<1.5e3> a number<1.5E-3> the end<>"},
        {"1.5e", "an unknown character<1.5>"},
        {"1.", "an integer<1> an unknown character<.>"},
        {"1e3", "a name<1e3> the end<>"},
        {"'a' \"b\"", "a text<'a'> a text<\"b\"> the end<>"},
        {"'a''b'", "a text<'a''b'> the end<>"},
        {"'a\\'b'", "a text<'a\\'b'> the end<>"},
        {"'a\\", "a text without its closing quote<'a\\>"},
        {"'", "a text without its closing quote<'>"},
        {"<=<>!=>=<>", "'<='<<=> '!='<<>> '!='<!=> '>='<>=> '!='<<>> the end<>"},
        {"!", "an unknown character<!>"},
        {"_a", "an unknown character<_>"},
        {"IS_INT(x)", "a name<IS_INT> '('<(> a name<x> ')'<)> the end<>"},
        {"data.a.b[0]['x y'].c AND", "a data path<data.a.b[0]['x y'].c> AND<AND> the end<>"},
        {"data .a", "a name<data> an unknown character<.>"},
        {"data['a]b'].c", "a data path<data['a]b'].c> the end<>"},
        {"data.a-1", "a data path<data.a> '-'<-> an integer<1> the end<>"},
        {"data2.a", "a name<data2> an unknown character<.>"},
        {"data", "a name<data> the end<>"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[SHOWN_MAX];
        kinds(cases[i].expression, got);
        assert_string_equal(got, cases[i].want);
    }
}

static void test_unquote(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"''", ""},           {"'a'", "a"},           {"'a''b'", "a'b"},
        {"'a\\'b'", "a'b"},   {"'a\\\"b'", "a\\\"b"}, {"\"a\\\"b\"", "a\"b"},
        {"'a\\_b'", "a\\_b"}, {"'\\\\'", "\\\\"},     {"''''", "'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[64];
        size_t n = lexer_unquote(str_of(cases[i].expression), out);
        out[n] = '\0';
        assert_string_equal(out, cases[i].want);
    }
}

static void test_at_open(void **state)
{
    (void)state;
    assert_true(lexer_at_open(&(struct lexer){STR_LIT("  ("), 0}));
    assert_false(lexer_at_open(&(struct lexer){STR_LIT("  x("), 0}));
    assert_false(lexer_at_open(&(struct lexer){STR_LIT(""), 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_unquote),
        cmocka_unit_test(test_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
