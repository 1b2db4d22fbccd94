/* Subscriptions and assignments of consumers, and bytes that are something else. */
#include "../check.h"

#include "base/cursor.h"
#include "broker/consumer_protocol.h"

#include <string.h>

/* Version, topics of these names; partitions 0 to n-1 each unless n is negative (a subscription);
 * user data. */
static struct str make(struct wr *w, const char *const *names, int32_t count, int32_t n)
{
    wr_init(w, 64);
    wr_i16(w, 3);
    wr_i32(w, count);
    for (int32_t i = 0; i < count; i++) {
        wr_i16(w, (int16_t)strlen(names[i]));
        wr_bytes(w, names[i], strlen(names[i]));
        if (n >= 0)
            wr_i32(w, n);
        for (int32_t k = 0; k < n; k++)
            wr_i32(w, k);
    }
    wr_i32(w, 4);
    wr_bytes(w, "mine", 4);
    return (struct str){(const char *)w->buf->data, w->len};
}

static void test_subscribed(void **state)
{
    (void)state;
    static const char *const names[] = {"orders", "", "pay"};
    struct wr w;
    struct str s = make(&w, names, 3, -1);
    assert_true(consumer_subscribed(s, STR_LIT("orders")));
    assert_true(consumer_subscribed(s, STR_LIT("pay")));
    assert_false(consumer_subscribed(s, STR_LIT("order")));
    assert_false(consumer_subscribed(s, STR_LIT("orderss")));
    assert_false(consumer_subscribed(s, STR_LIT("mine")));
    wr_free(&w);
}

static void test_assigned(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    struct wr w, none;
    struct str s = make(&w, names, 2, 3);
    assert_true(consumer_assigned(s, STR_LIT("a"), 0));
    assert_true(consumer_assigned(s, STR_LIT("b"), 2));
    assert_false(consumer_assigned(s, STR_LIT("b"), 3));
    assert_false(consumer_assigned(s, STR_LIT("c"), 0));
    assert_false(consumer_assigned(make(&none, names, 2, 0), STR_LIT("a"), 0));
    wr_free(&w);
    wr_free(&none);
}

static void test_equal(void **state)
{
    (void)state;
    static const char *const ab[] = {"a", "b"}, *const ba[] = {"b", "a"}, *const aa[] = {"a", "a"};
    struct wr w[4];
    struct str one = make(&w[0], ab, 2, -1), two = make(&w[1], ba, 2, -1);
    struct str three = make(&w[2], aa, 2, -1), four = make(&w[3], ab, 1, -1);
    assert_true(consumer_subscriptions_equal(one, one));
    assert_true(consumer_subscriptions_equal(one, two));
    assert_false(consumer_subscriptions_equal(one, three));
    assert_false(consumer_subscriptions_equal(three, one));
    assert_false(consumer_subscriptions_equal(one, four));
    assert_true(consumer_subscriptions_equal(STR_LIT(""), STR_LIT("xx")));
    for (int i = 0; i < 4; i++)
        wr_free(&w[i]);
}

/* Cut anywhere, and with each byte set to its extremes: no topic that is not there is found, and
 * nothing is read outside (the sanitizer's part). */
static void test_broken(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    struct wr w;
    struct str s = make(&w, names, 2, 2);
    for (size_t n = 0; n < s.len; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, s.at, n);
        assert_false(consumer_assigned((struct str){cut, n}, STR_LIT("c"), 0));
        assert_false(consumer_subscribed((struct str){cut, n}, STR_LIT("c")));
        if (n < 9)
            assert_false(consumer_subscribed((struct str){cut, n}, STR_LIT("a")));
        free(cut);
    }
    for (size_t n = 0; n < s.len; n++) {
        for (int v = 0x7f; v <= 0xff; v += 0x80) {
            char *changed = malloc(s.len);
            memcpy(changed, s.at, s.len);
            changed[n] = (char)v;
            assert_false(consumer_assigned((struct str){changed, s.len}, STR_LIT("c"), 0));
            assert_false(consumer_subscribed((struct str){changed, s.len}, STR_LIT("c")));
            free(changed);
        }
    }
    wr_free(&w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_subscribed),
    cmocka_unit_test(test_assigned),
    cmocka_unit_test(test_equal),
    cmocka_unit_test(test_broken),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
