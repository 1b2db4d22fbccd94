/* resilience4j's rules one by one (test/wire/test_breaker.py compares long random runs with the
 * original), and what is beyond them: restart, probe, return. */
#include "../check.h"

#include "flow/breaker.h"

#include <string.h>

#define S ((uint64_t)1000000)

static unsigned changes;
static enum breaker_state last_from, last_to;

static void changed(struct breaker *b, enum breaker_state from, enum breaker_state to)
{
    (void)b;
    changes++;
    last_from = from;
    last_to = to;
}

static struct breaker_conf conf;
static struct breaker b;

static int setup(void **state)
{
    (void)state;
    changes = 0;
    conf = breaker_conf_default;
    conf.changed = changed;
    conf.window_size = 10;
    conf.calls_min = 5;
    conf.permitted = 3;
    breaker_init(&b, &conf, 1000 * S);
    return 0;
}

/* With what the test has put into conf. */
static void again(void)
{
    breaker_free(&b);
    breaker_init(&b, &conf, 1000 * S);
}

static int teardown(void **state)
{
    (void)state;
    breaker_free(&b);
    return 0;
}

static void calls(unsigned n, bool failed, uint64_t took_us, uint64_t now_us)
{
    for (unsigned i = 0; i < n; i++) {
        assert_true(breaker_acquire(&b, now_us));
        breaker_record(&b, failed, took_us, now_us);
    }
}

static void defaults(void **state)
{
    (void)state;
    const struct breaker_conf *d = &breaker_conf_default;
    assert_int_equal(d->window, BREAKER_BY_COUNT);
    assert_int_equal(d->window_size, 100);
    assert_int_equal(d->calls_min, 100);
    assert_true(d->failure_rate == 50 && d->slow_rate == 100);
    assert_int_equal(d->slow_us, 60 * S);
    assert_int_equal(d->permitted, 10);
    assert_int_equal(d->open_us, 60 * S);
    assert_int_equal(d->half_open_us, 0);
    assert_false(d->probe);
    assert_int_equal(d->return_us, 0);
}

static void no_rate_before_enough_calls(void **state)
{
    (void)state;
    calls(4, true, 0, 1000 * S);
    assert_true(breaker_failure_rate(&b) == -1);
    assert_int_equal(b.state, BREAKER_CLOSED);
    calls(1, true, 0, 1000 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_true(breaker_failure_rate(&b) == 100);
    assert_int_equal(changes, 1);
    assert_int_equal(last_from, BREAKER_CLOSED);
    assert_int_equal(last_to, BREAKER_OPEN);
}

static void trips_at_the_threshold(void **state)
{
    (void)state;
    calls(6, false, 0, 1000 * S);
    calls(4, true, 0, 1000 * S); /* 40 % */
    assert_int_equal(b.state, BREAKER_CLOSED);
    calls(1, true, 0, 1000 * S); /* the first success has left: 5 of 10 */
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void slow_is_longer_than_the_limit(void **state)
{
    (void)state;
    conf.slow_us = 100;
    conf.slow_rate = 50;
    calls(5, false, 100, 1000 * S);
    assert_true(breaker_slow_rate(&b) == 0);
    calls(5, false, 101, 1000 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void counts_never_ask_for_more_than_the_window(void **state)
{
    (void)state;
    conf.calls_min = 1000;
    again();
    calls(9, true, 0, 1000 * S);
    assert_int_equal(b.state, BREAKER_CLOSED);
    calls(1, true, 0, 1000 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void time_window_forgets_by_the_second(void **state)
{
    (void)state;
    conf.window = BREAKER_BY_TIME;
    conf.window_size = 3;
    again();
    calls(4, true, 0, 1000 * S + 900000);
    calls(1, false, 0, 1001 * S);
    assert_int_equal(b.state, BREAKER_OPEN); /* 80 % of five */
    again();
    calls(4, true, 0, 1000 * S + 900000);
    calls(1, false, 0, 1003 * S); /* the second 1000 has left */
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.total.calls, 1);
    calls(1, false, 0, 90000 * S);
    assert_int_equal(b.total.calls, 1);
}

static void opens_again_after_the_wait(void **state)
{
    (void)state;
    calls(5, true, 0, 1000 * S);
    assert_false(breaker_acquire(&b, 1000 * S));
    assert_false(breaker_acquire(&b, 1060 * S)); /* not yet after it */
    assert_int_equal(b.rejected, 2);
    assert_true(breaker_acquire(&b, 1060 * S + 1));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(breaker_acquire(&b, 1060 * S + 1));
    assert_true(breaker_acquire(&b, 1060 * S + 1));
    assert_false(breaker_acquire(&b, 1060 * S + 1));
    breaker_release(&b);
    assert_true(breaker_acquire(&b, 1060 * S + 1));
}

static void trial(bool a, bool second, bool third)
{
    const bool outcomes[] = {a, second, third};
    calls(5, true, 0, 1000 * S);
    for (int i = 0; i < 3; i++)
        assert_true(breaker_acquire(&b, 1061 * S));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(b.state, BREAKER_HALF_OPEN);
        breaker_record(&b, outcomes[i], 0, 1061 * S);
    }
}

static void half_open_decides_when_its_window_is_full(void **state)
{
    (void)state;
    trial(false, true, false);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.total.calls, 0);
    assert_int_equal(b.attempts, 0);
    again();
    trial(true, true, false);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(b.attempts, 2);
}

static void half_open_may_end_by_time(void **state)
{
    (void)state;
    conf.half_open_us = 10 * S;
    calls(5, true, 0, 1000 * S);
    assert_true(breaker_acquire(&b, 1061 * S));
    assert_int_equal(breaker_next_us(&b), 1071 * S);
    breaker_tick(&b, 1071 * S - 1);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    breaker_tick(&b, 1071 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
    conf.half_open_closes = true;
    assert_true(breaker_acquire(&b, 1140 * S));
    breaker_tick(&b, 1150 * S);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void late_outcomes_do_not_judge_an_open_one(void **state)
{
    (void)state;
    calls(5, true, 0, 1000 * S);
    breaker_record(&b, true, 0, 1001 * S);
    breaker_record(&b, false, 0, 1001 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(b.total.calls, 7);
    assert_int_equal(changes, 1);
}

static void states_by_hand(void **state)
{
    (void)state;
    breaker_force(&b, BREAKER_DISABLED, 1000 * S);
    calls(100, true, 0, 1000 * S);
    assert_int_equal(b.total.calls, 0);
    breaker_force(&b, BREAKER_METRICS_ONLY, 1000 * S);
    calls(100, true, 0, 1000 * S);
    assert_true(breaker_failure_rate(&b) == 100);
    assert_int_equal(b.state, BREAKER_METRICS_ONLY);
    breaker_force(&b, BREAKER_FORCED_OPEN, 1000 * S);
    assert_false(breaker_acquire(&b, 999999 * S));
    breaker_record(&b, true, 0, 999999 * S);
    assert_int_equal(b.total.calls, 0);
    breaker_force(&b, BREAKER_FORCED_OPEN, 1000 * S);
    assert_int_equal(changes, 3);
    breaker_force(&b, BREAKER_CLOSED, 1000 * S);
    assert_true(breaker_acquire(&b, 999999 * S));
}

static void time_never_goes_back(void **state)
{
    (void)state;
    calls(5, true, 0, 1000 * S);
    assert_true(breaker_acquire(&b, 1061 * S));
    breaker_record(&b, true, 0, 5 * S);
    assert_int_equal(b.now_us, 1061 * S);
}

static void restored_as_it_was(void **state)
{
    (void)state;
    breaker_restore(&b, BREAKER_OPEN, 4, 990 * S, 1050 * S, 1000 * S);
    assert_int_equal(changes, 0);
    assert_int_equal(b.attempts, 4);
    assert_false(breaker_acquire(&b, 1050 * S));
    assert_true(breaker_acquire(&b, 1050 * S + 1));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    again();
    /* A clock that was wrong cannot keep it open for longer than a wait. */
    breaker_restore(&b, BREAKER_OPEN, 1, 99990 * S, 99999 * S, 1000 * S);
    assert_true(breaker_acquire(&b, 1060 * S + 1));
    again();
    breaker_restore(&b, BREAKER_HALF_OPEN, 1, 990 * S, 0, 1000 * S);
    assert_int_equal(breaker_room(&b, 16, 0, 1000 * S), 3);
    breaker_restore(&b, BREAKER_FORCED_OPEN, 1, 990 * S, 0, 1000 * S);
    assert_false(breaker_acquire(&b, 999999 * S));
}

static void room_by_state(void **state)
{
    (void)state;
    assert_int_equal(breaker_room(&b, 16, 4, 1000 * S), 12);
    assert_int_equal(breaker_room(&b, 16, 17, 1000 * S), 0);
    calls(5, true, 0, 1000 * S);
    assert_int_equal(breaker_room(&b, 16, 4, 1000 * S), 0);
    assert_int_equal(breaker_next_us(&b), 1060 * S + 1);
    assert_int_equal(breaker_room(&b, 16, 0, 1060 * S + 1), 1);
    assert_true(breaker_acquire(&b, 1060 * S + 1));
    assert_int_equal(breaker_room(&b, 16, 1, 1060 * S + 1), 2);
    assert_int_equal(breaker_room(&b, 2, 1, 1060 * S + 1), 1);
    assert_int_equal(breaker_room(&b, 16, 15, 1060 * S + 1), 1);
}

static void traffic_returns_in_steps(void **state)
{
    (void)state;
    conf.return_us = 32 * S;
    trial(false, false, false);
    assert_int_equal(breaker_room(&b, 16, 0, 1061 * S), 1);
    assert_int_equal(breaker_next_us(&b), 1062 * S);
    assert_int_equal(breaker_room(&b, 16, 0, 1069 * S), 4);
    assert_int_equal(breaker_room(&b, 16, 4, 1069 * S), 0);
    assert_int_equal(breaker_room(&b, 16, 4, 1077 * S), 4);
    assert_int_equal(breaker_room(&b, 16, 4, 1093 * S), 12);
    assert_int_equal(breaker_next_us(&b), UINT64_MAX);
}

static void probe_asks_before_a_message_does(void **state)
{
    (void)state;
    conf.probe = true;
    calls(5, true, 0, 1000 * S);
    assert_false(breaker_probe_due(&b, 1060 * S));
    assert_false(breaker_acquire(&b, 1061 * S));
    assert_int_equal(breaker_room(&b, 16, 0, 1061 * S), 0);
    assert_true(breaker_probe_due(&b, 1061 * S));
    assert_false(breaker_probe_due(&b, 1062 * S));
    assert_int_equal(breaker_next_us(&b), UINT64_MAX);
    breaker_probed(&b, false, 1062 * S);
    assert_false(breaker_probe_due(&b, 1122 * S));
    assert_true(breaker_probe_due(&b, 1122 * S + 1));
    breaker_probed(&b, true, 1123 * S);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(breaker_acquire(&b, 1123 * S));
    breaker_probed(&b, true, 1123 * S); /* not awaited */
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
}

static void names(void **state)
{
    (void)state;
    enum breaker_state s;
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "HALF_OPEN");
    assert_true(breaker_state_parse("METRICS_ONLY", 12, &s));
    assert_int_equal(s, BREAKER_METRICS_ONLY);
    assert_false(breaker_state_parse("OPENED", 6, &s));
    assert_false(breaker_state_parse("", 0, &s));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(no_rate_before_enough_calls),
        TEST(trips_at_the_threshold),
        TEST(slow_is_longer_than_the_limit),
        TEST(counts_never_ask_for_more_than_the_window),
        TEST(time_window_forgets_by_the_second),
        TEST(opens_again_after_the_wait),
        TEST(half_open_decides_when_its_window_is_full),
        TEST(half_open_may_end_by_time),
        TEST(late_outcomes_do_not_judge_an_open_one),
        TEST(states_by_hand),
        TEST(time_never_goes_back),
        TEST(restored_as_it_was),
        TEST(room_by_state),
        TEST(traffic_returns_in_steps),
        TEST(probe_asks_before_a_message_does),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
