/* Each byte at each place of texts around the vector's length, against one look at a time. */
#include "base/plain.h"

#include "../check.h"

static size_t one_by_one(struct str s, char a, char b)
{
    size_t n = 0;
    while (n < s.len && (unsigned char)s.at[n] >= 0x20 && (unsigned char)s.at[n] < 0x80 &&
           s.at[n] != a && s.at[n] != b)
        n++;
    return n;
}

static void each_byte_at_each_place(void **state)
{
    char text[3 * PLAIN_STEP];
    (void)state;
    for (size_t len = 0; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'x', sizeof text);
                text[at] = (char)byte;
                struct str s = {text, len};
                assert_int_equal(plain_bytes(s, '"', '\\'), one_by_one(s, '"', '\\'));
                assert_int_equal(plain_bytes(s, 0x7f, 0x7f), one_by_one(s, 0x7f, 0x7f));
            }
        }
    }
}

static void of_two_the_first(void **state)
{
    char text[2 * PLAIN_STEP];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        for (size_t k = i; k < sizeof text; k++) {
            memset(text, 'x', sizeof text);
            text[i] = '"';
            text[k] = '\n';
            assert_int_equal(plain_bytes((struct str){text, sizeof text}, '"', '\\'), i);
        }
    }
    assert_int_equal(plain_bytes((struct str){NULL, 0}, '"', '\\'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_at_each_place),
        cmocka_unit_test(of_two_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
