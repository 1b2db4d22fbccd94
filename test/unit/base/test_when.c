/* Times from text and into it. */
#include "base/when.h"

#include "../check.h"

#define DAY INT64_C(86400000)

static void dates_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00", 0},
        {"1970-01-01T00:00:00.123", 123},
        {"1970-01-01T00:00:00.5", 500},
        {"1970-01-01T00:00:00.12399", 123},
        {"1970-01-02T00:00:01Z", DAY + 1000},
        {"1970-01-01T02:30:00+02:30", 0},
        {"1970-01-01T02:30:00.250+0230", 250},
        {"1969-12-31T22:00:00-02:00", 0},
        {"2024-02-29T12:00:00.000", INT64_C(1709208000000)},
        {"2026-01-01T00:00:00Z", INT64_C(1767225600000)},
        {"2026-01-01t00:00:00z", INT64_C(1767225600000)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        assert_true(when_datetime(str_of(rows[i].text), &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void other_texts_are_no_dates(void **state)
{
    static const char *const rows[] = {"",
                                       "now",
                                       "2026-01-01",
                                       "2026-01-01 00:00:00",
                                       "2026-13-01T00:00:00",
                                       "2026-02-29T00:00:00",
                                       "1900-02-29T00:00:00",
                                       "2026-04-31T00:00:00",
                                       "0000-01-01T00:00:00",
                                       "2026-1-01T00:00:00",
                                       "+026-01-01T00:00:00",
                                       "2026-01-01T00:00:61",
                                       "2026-01-01T25:00:00",
                                       "2026-01-01T00:00:00.",
                                       "2026-01-01T00:00:00 ",
                                       "2026-01-01T00:00:00x",
                                       "2026-01-01T00:00:00+2",
                                       "2026-01-01T00:00:00+24:00",
                                       "2026-01-01T00:00:00+02:60",
                                       "2026-01-01T00:00:00+0a:00",
                                       "2026-01-01T00:00:00Zz"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        assert_false(when_datetime(str_of(rows[i]), &ms));
        assert_int_equal(ms, -7);
    }
}

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"PT0S", 0},
        {"P1D", DAY},
        {"PT2H", 7200000},
        {"PT30M", 1800000},
        {"PT10.5S", 10500},
        {"PT0.001S", 1},
        {"P2DT3H4M5.006S", 2 * DAY + 11045006},
        {"PT1H30S", 3630000},
        {"2h", 7200000},
        {"500ms", 500},
        {"1000", 1000},
        {"-1", -1},
        {"P2W", 14 * DAY},
        {"P1W1DT1S", 8 * DAY + 1000},
        {"1h30m", 5400000},
        {"1d2h3m4s5ms", DAY + 7384005},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        assert_true(when_duration(str_of(rows[i].text), &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void other_texts_are_no_durations(void **state)
{
    static const char *const rows[] = {
        "",       "P",      "PT",    "P1",   "PT1", "P1H",   "PT1D",  "PT1S2M",
        "PT1H1H", "PT1.5H", "PT.5S", "P1DT", "p1d", "PT1Sx", "PT-1S", "P9999999999999999D",
        "soon",   "30m1h",  "1h1h",  "1h5",  "s",   "5 s",   "P1D1W", "1S"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        if (when_duration(str_of(rows[i]), &ms))
            fail_msg("%s", rows[i]);
        assert_int_equal(ms, -7);
    }
}

/* What is written is read again as the same. */
static void assert_datetime(int64_t ms, const char *text)
{
    char out[WHEN_TEXT_MAX];
    int64_t again = -7;
    assert_string_equal(when_put_datetime(ms, out), text);
    assert_true(when_datetime(str_of(out), &again));
    assert_int_equal(again, ms);
}

static void dates_are_written(void **state)
{
    (void)state;
    assert_datetime(0, "1970-01-01T00:00:00Z");
    assert_datetime(-1, "1969-12-31T23:59:59.999Z");
    assert_datetime(INT64_C(1709208000500), "2024-02-29T12:00:00.500Z");
    assert_datetime(INT64_C(-62135596800000), "0001-01-01T00:00:00Z");
    assert_datetime(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
    for (int64_t days = -1000000; days < 3000000; days += 997) {
        char out[WHEN_TEXT_MAX];
        int64_t again, ms = days * DAY / 2 + 1;
        assert_true(when_datetime(str_of(when_put_datetime(ms, out)), &again));
        if (ms >= INT64_C(-62135596800000) && ms <= INT64_C(253402300799999))
            assert_int_equal(again, ms);
    }
    char out[WHEN_TEXT_MAX];
    assert_string_equal(when_put_datetime(INT64_MAX, out), "9999-12-31T23:59:59.999Z");
    assert_string_equal(when_put_datetime(INT64_MIN, out), "0001-01-01T00:00:00Z");
}

static void durations_are_written(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"0ms", 0},
                {"1ms", 1},
                {"1500ms", 1500},
                {"90s", 90000},
                {"2h", 7200000},
                {"7d", 7 * DAY},
                {"25h", DAY + 3600000},
                {"30m", 1800000},
                {"60000001ms", 60000001}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[WHEN_TEXT_MAX];
        int64_t again = -7;
        assert_string_equal(when_put_duration(rows[i].ms, out), rows[i].text);
        assert_true(when_duration(str_of(out), &again));
        assert_int_equal(again, rows[i].ms);
    }
}

static void ms_with_decimals_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {{"0", 0},
                {"1767225600000", INT64_C(1767225600000000)},
                {"1767225600000.125", INT64_C(1767225600000125)},
                {"1767225600000.5", INT64_C(1767225600000500)},
                {"1767225600000.0009", INT64_C(1767225600000000)},
                {"4102444800000", INT64_C(4102444800000000)},
                {"4102444800001", -7},
                {"-1", -7},
                {"", -7},
                {".5", -7},
                {"soon", -7}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us = -7;
        assert_int_equal(when_us_of_ms(str_of(rows[i].text), &us), rows[i].us != -7);
        assert_int_equal(us, rows[i].us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(other_texts_are_no_dates),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(other_texts_are_no_durations),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(durations_are_written),
        cmocka_unit_test(ms_with_decimals_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
