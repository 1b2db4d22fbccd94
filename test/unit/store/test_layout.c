#include "store/layout.h"

#include "../check.h"

#include <string.h>

static void test_log_names(void **state)
{
    (void)state;
    struct store_log_id id = {.partition = 4294967295u}, back;
    char name[LAYOUT_LOG_NAME_MAX];
    for (unsigned i = 0; i < 16; i++)
        id.topic.b[i] = (uint8_t)(0xf0 + i);
    layout_log_name(name, &id);
    assert_int_equal(strlen(name), 22 + 1 + 10);
    assert_true(layout_log_parse(name, &back));
    assert_true(layout_id_eq(&id, &back));
    static const char *const bad[] = {"",
                                      "x",
                                      "lost+found",
                                      "AAAAAAAAAAAAAAAAAAAAAA-",
                                      "AAAAAAAAAAAAAAAAAAAAAA-01",
                                      "AAAAAAAAAAAAAAAAAAAAAA-1x",
                                      "AAAAAAAAAAAAAAAAAAAAAA_1",
                                      "AAAAAAAAAAAAAAAAAAAAAA--1",
                                      "AAAAAAAAAAAAAAAAAAAAAA-4294967296"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(layout_log_parse(bad[i], &back));
    assert_true(layout_log_parse("AAAAAAAAAAAAAAAAAAAAAA-0", &back));
}

static void test_journal_names(void **state)
{
    (void)state;
    struct layout_path path;
    uint32_t number;
    assert_string_equal(layout_journal(&path, "d", 42), "d/journal/00000042.wj");
    assert_true(layout_journal_parse("00000042.wj", &number));
    assert_int_equal(number, 42);
    assert_false(layout_journal_parse("42.wj", &number));
    assert_false(layout_journal_parse("00000042.wj.tmp", &number));
    assert_false(layout_journal_parse("0000004x.wj", &number));
}

static void test_parent(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"data", "."},          {"./data", "."}, {"/data", "/"},   {"/srv/weir", "/srv"},
        {"/srv/weir/", "/srv"}, {"a//b", "a"},   {"a/b/c", "a/b"},
    };
    struct layout_path path;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(layout_parent(&path, cases[i][0]), cases[i][1]);
}

static void test_ids(void **state)
{
    (void)state;
    struct store_log_id a = {.topic = {{1}}, .partition = 1}, b = a;
    assert_true(layout_id_eq(&a, &b));
    assert_int_equal(layout_id_hash(&a), layout_id_hash(&b));
    b.partition = 2;
    assert_false(layout_id_eq(&a, &b));
    b = a;
    b.topic.b[15] = 1;
    assert_false(layout_id_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_names),
        cmocka_unit_test(test_journal_names),
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
