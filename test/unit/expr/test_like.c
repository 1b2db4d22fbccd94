#include "expect.h"

#include "expr/like.h"
#include "expr/text.h"

static bool matches(const char *text, const char *pattern, enum expr_error *error)
{
    struct arena arena;
    bool match = false;
    arena_init(&arena, 1 << 20);
    struct like *like = like_make(&arena, str_of(pattern));
    assert_non_null(like);
    *error = like_match(like, str_of(text), &match);
    arena_free(&arena);
    return match;
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool match;
    } cases[] = {
        {"abc", "abc", true},
        {"abc", "abd", false},
        {"abc", "ab", false},
        {"abc", "abcd", false},
        {"", "", true},
        {"a", "", false},
        {"", "%", true},
        {"abc", "%", true},
        {"abc", "%%", true},
        {"abc", "a%", true},
        {"abc", "%c", true},
        {"abc", "%b%", true},
        {"abc", "a%c", true},
        {"abc", "a%b%c", true},
        {"abc", "b%", false},
        {"abc", "%b", false},
        {"aXbXc", "a%X%c", true},
        {"ab", "ab%ab", false},
        {"abab", "ab%ab", true},
        {"aba", "ab%ba", false},
        {"abcabc", "%abc", true},
        {"a", "_", true},
        {"", "_", false},
        {"ab", "_", false},
        {"ab", "__", true},
        {"ab", "_%", true},
        {"ab", "%_", true},
        {"ab", "%_%_%", true},
        {"a", "%_%_%", false},
        {"axc", "a_c", true},
        {"xaxc", "%a_c", true},
        {"xaxcx", "%a_c", false},
        {"xaxcaxd", "%a_c%d", true},
        {"a%c", "a\\%c", true},
        {"abc", "a\\%c", false},
        {"a_c", "a\\_c", true},
        {"abc", "a\\_c", false},
        {"a\\c", "a\\c", true},
        {"a\\", "a\\", true},
        {"\\x", "\\_", false},
        {"\\%", "\\\\%", true},
        {"\\a", "\\\\%", false},
        {"aab", "%ab", true},
        {"aaab", "%a_b", true},
        {"mississippi", "m%iss%ip%", true},
        {"mississippi", "m%iss%iss%iss%", false},
        {"\xc3\xa9", "_", true},
        {"\xc3\xa9", "__", false},
        {"x\xe2\x82\xacy", "x_y", true},
        {"x\xe2\x82\xac", "%_", true},
        {"x\xe2\x82\xacy", "%__", true},
        {"\xc3\xa9", "%\xa9", true}, /* bytes that no valid pattern has */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum expr_error error;
        if (matches(cases[i].text, cases[i].pattern, &error) != cases[i].match || error != EXPR_OK)
            fail_msg("'%s' LIKE '%s'", cases[i].text, cases[i].pattern);
    }
}

/* The definition, without any thought of speed: match[j] of the text's suffix is kept for each
 * place of the pattern, from its end. */
static bool slow_match(const char *text, const char *pattern)
{
    bool row[2][64] = {{false}};
    size_t n = strlen(text), m = strlen(pattern);
    bool *next = row[0], *now = row[1];
    for (size_t j = 0; j <= n; j++)
        next[j] = j == n;
    for (size_t i = m; i-- > 0;) {
        for (size_t j = n + 1; j-- > 0;) {
            if (pattern[i] == '%')
                now[j] = next[j] || (j < n && now[j + 1]);
            else
                now[j] = j < n && (pattern[i] == '_' || pattern[i] == text[j]) && next[j + 1];
        }
        bool *swap = next;
        next = now;
        now = swap;
    }
    return next[0];
}

static void test_random_patterns(void **state)
{
    (void)state;
    uint64_t seed = 7;
    size_t hits = 0;
    for (int round = 0; round < 200000; round++) {
        char text[12] = "", pattern[10] = "";
        enum expr_error error;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t r = seed >> 8;
        for (size_t i = 0, n = r % 10; i < n; i++)
            text[i] = "ab"[(r >> (4 + i)) & 1];
        r = (seed >> 33) * 0x9e3779b97f4a7c15u;
        for (size_t i = 0, n = (seed >> 5) % 8; i < n; i++)
            pattern[i] = "ab%_"[(r >> (20 + 2 * i)) & 3];
        bool want = slow_match(text, pattern);
        hits += want;
        if (matches(text, pattern, &error) != want)
            fail_msg("'%s' LIKE '%s'", text, pattern);
    }
    assert_in_range(hits, 1000, 199000);
}

static void test_steps_are_bounded(void **state)
{
    (void)state;
    static char text[1 << 16], pattern[2048];
    enum expr_error error;
    memset(text, 'a', sizeof(text) - 1);
    pattern[0] = '%';
    memset(pattern + 1, 'a', 2000);
    memcpy(pattern + 2001, "_b%", 4);
    assert_false(matches(text, pattern, &error));
    assert_int_equal(error, EXPR_ERROR_GENERIC);
    pattern[2001] = 'a'; /* without _ it is found, or not, in linear time */
    assert_false(matches(text, pattern, &error));
    assert_int_equal(error, EXPR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_random_patterns),
        cmocka_unit_test(test_steps_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
