#include "base/err.h"

#include "../check.h"

#include <stdbool.h>
#include <string.h>

/* Errors of weir's own that Kafka clients know by another error's code. */
static bool shares_kafka_code(enum err err)
{
    return err_kafka(err) == -1 || err == ERR_DISK_FULL || err == ERR_IO || err == ERR_FRAME;
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        enum err e = (enum err)i;
        assert_true(strlen(err_name(e)) > 1);
        assert_true(strlen(err_meaning(e)) > 3);
        assert_true(strlen(err_meaning(e)) < ERR_TEXT_MAX);
        assert_in_range(err_http(e), e == ERR_OK ? 200 : 400, e == ERR_OK ? 200 : 599);
        assert_true(err_kafka(e) >= -1);
        assert_int_equal(err_kafka(e) == 0, e == ERR_OK);
    }
}

static void test_names_and_codes_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(err_name((enum err)i), err_name((enum err)j));
            assert_string_not_equal(err_meaning((enum err)i), err_meaning((enum err)j));
            if (!shares_kafka_code((enum err)i) && !shares_kafka_code((enum err)j))
                assert_int_not_equal(err_kafka((enum err)i), err_kafka((enum err)j));
        }
    }
}

/* From Kafka's published protocol guide, table "Error codes". */
static void test_known_kafka_codes(void **state)
{
    (void)state;
    assert_int_equal(err_kafka(ERR_INTERNAL), -1);
    assert_int_equal(err_kafka(ERR_OFFSET_RANGE), 1);
    assert_int_equal(err_kafka(ERR_CORRUPT), 2);
    assert_int_equal(err_kafka(ERR_TOPIC_UNKNOWN), 3);
    assert_int_equal(err_kafka(ERR_MESSAGE_TOO_LARGE), 10);
    assert_int_equal(err_kafka(ERR_MEMBER_UNKNOWN), 25);
    assert_int_equal(err_kafka(ERR_VERSION_UNSUPPORTED), 35);
    assert_int_equal(err_kafka(ERR_SEQUENCE), 45);
    assert_int_equal(err_kafka(ERR_COMPRESSION), 76);
    assert_int_equal(err_kafka(ERR_RECORD_INVALID), 87);
    assert_int_equal(err_kafka(ERR_TOPIC_ID_UNKNOWN), 100);
    assert_string_equal(err_name(ERR_OFFSET_RANGE), "OFFSET_RANGE");
}

static void test_say(void **state)
{
    (void)state;
    struct err_text text;
    assert_int_equal(err_say(&text, ERR_CONFIG_INVALID, "got %d of %s", 3, "x"),
                     ERR_CONFIG_INVALID);
    assert_string_equal(text.s, "got 3 of x");
    assert_int_equal(err_say(NULL, ERR_IO, "nobody reads %s", "this"), ERR_IO);
}

static void test_say_cuts_long_text(void **state)
{
    (void)state;
    struct err_text text;
    memset(&text, 'z', sizeof(text));
    (void)err_say(&text, ERR_IO, "%0*d", 2 * ERR_TEXT_MAX, 1);
    assert_int_equal(strlen(text.s), ERR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_names_and_codes_are_unique),
        cmocka_unit_test(test_known_kafka_codes),
        cmocka_unit_test(test_say),
        cmocka_unit_test(test_say_cuts_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
