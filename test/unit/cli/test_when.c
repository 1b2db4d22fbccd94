/* Times as Kafka's tools take them. */
#include "cli/when.h"

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
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        assert_true(when_datetime(rows[i].text, &ms));
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
        assert_false(when_datetime(rows[i], &ms));
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
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        assert_true(when_duration(rows[i].text, &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void other_texts_are_no_durations(void **state)
{
    static const char *const rows[] = {
        "",       "P",      "PT",    "P1",   "PT1", "P1H",   "PT1D",  "PT1S2M",
        "PT1H1H", "PT1.5H", "PT.5S", "P1DT", "p1d", "PT1Sx", "PT-1S", "P9999999999999999D",
        "soon"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -7;
        if (when_duration(rows[i], &ms))
            fail_msg("%s", rows[i]);
        assert_int_equal(ms, -7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(other_texts_are_no_dates),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(other_texts_are_no_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
