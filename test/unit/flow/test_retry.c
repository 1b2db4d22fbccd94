/* The schedules to the second, the contracts code by code, probation. */
#include "../check.h"

#include "flow/retry.h"

#include <stdio.h>
#include <string.h>

static const struct retry_policy eventgrid = {.backoff = BACKOFF_EVENTGRID};
static const struct retry_policy namespaces = {.backoff = BACKOFF_EVENTGRID_NAMESPACE};
static const struct retry_policy exponential = {BACKOFF_EXPONENTIAL, 10, 10000, false};

static struct retry_verdict answered(const struct retry_policy *p, uint32_t n, int status)
{
    struct retry_attempt a = {n, HTTP_ANSWERED, status, -1, 0};
    return retry_judge(p, &a);
}

static struct retry_verdict failed(const struct retry_policy *p, uint32_t n, enum http_outcome http)
{
    struct retry_attempt a = {n, http, 0, -1, 0};
    return retry_judge(p, &a);
}

static void check_waits(const struct retry_policy *p, const uint32_t *waits_ms, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct retry_verdict v = answered(p, i + 1, 500);
        assert_int_equal(v.verb, RETRY_AGAIN);
        assert_int_equal(v.wait_ms, waits_ms[i]);
    }
}

static void schedule_of_event_grid(void **state)
{
    (void)state;
    static const uint32_t seconds[] = {10,   30,    60,    300,   600,   1800,
                                       3600, 10800, 21600, 43200, 43200, 43200};
    uint32_t ms[12];
    for (unsigned i = 0; i < 12; i++)
        ms[i] = seconds[i] * 1000;
    check_waits(&eventgrid, ms, 12);
    assert_int_equal(answered(&eventgrid, UINT32_MAX, 500).wait_ms, 43200000);
}

static void schedule_of_namespaces(void **state)
{
    (void)state;
    static const uint32_t ms[] = {0, 10000, 30000, 60000, 300000, 300000, 300000};
    check_waits(&namespaces, ms, 7);
}

static void schedules_of_ones_own(void **state)
{
    (void)state;
    static const uint32_t doubled[] = {10,  20,   40,   80,   160,   320,
                                       640, 1280, 2560, 5120, 10000, 10000};
    check_waits(&exponential, doubled, 12);
    struct retry_policy linear = {BACKOFF_LINEAR, 100, 350, false};
    static const uint32_t added[] = {100, 200, 300, 350, 350};
    check_waits(&linear, added, 5);
    struct retry_policy fixed = {BACKOFF_FIXED, 250, 10000, false};
    static const uint32_t same[] = {250, 250, 250};
    check_waits(&fixed, same, 3);
}

static void waits_do_not_overflow(void **state)
{
    (void)state;
    struct retry_policy p = {BACKOFF_EXPONENTIAL, INT64_MAX / 2, INT64_MAX, false};
    assert_int_equal(answered(&p, 64, 500).wait_ms, UINT32_MAX);
    assert_int_equal(answered(&p, UINT32_MAX, 500).wait_ms, UINT32_MAX);
    p = (struct retry_policy){BACKOFF_LINEAR, INT64_MAX, 5000, false};
    assert_int_equal(answered(&p, UINT32_MAX, 500).wait_ms, 5000);
    p = (struct retry_policy){BACKOFF_FIXED, 0, 0, false};
    assert_int_equal(answered(&p, 1, 500).wait_ms, 0);
    p = (struct retry_policy){BACKOFF_EXPONENTIAL, -1, -1, false};
    assert_int_equal(answered(&p, 9, 500).wait_ms, 0);
}

/* Event Grid waits longer after some answers than its schedule says. */
static void minimum_waits(void **state)
{
    (void)state;
    assert_int_equal(answered(&eventgrid, 1, 408).wait_ms, 120000);
    assert_int_equal(answered(&eventgrid, 3, 408).wait_ms, 120000);
    assert_int_equal(answered(&eventgrid, 4, 408).wait_ms, 300000);
    assert_int_equal(answered(&eventgrid, 1, 503).wait_ms, 30000);
    assert_int_equal(answered(&eventgrid, 3, 503).wait_ms, 60000);
    assert_int_equal(answered(&eventgrid, 1, 404).wait_ms, 10000);
    assert_int_equal(failed(&eventgrid, 1, HTTP_TIMED_OUT).wait_ms, 10000);
}

struct row {
    int status; /* 0: the http outcome instead */
    enum http_outcome http;
    enum retry_verb grid, names, events;
    enum delivery_outcome outcome;
};

#define OK RETRY_DELIVERED
#define AGAIN RETRY_AGAIN
#define NO RETRY_GIVE_UP

/* clang-format off */
static const struct row rows[] = {
    {200, HTTP_ANSWERED,    OK,    OK,    OK,    OUTCOME_DELIVERED},
    {201, HTTP_ANSWERED,    OK,    OK,    OK,    OUTCOME_DELIVERED},
    {202, HTTP_ANSWERED,    OK,    OK,    OK,    OUTCOME_DELIVERED},
    {203, HTTP_ANSWERED,    OK,    OK,    OK,    OUTCOME_DELIVERED},
    {204, HTTP_ANSWERED,    OK,    OK,    OK,    OUTCOME_DELIVERED},
    {100, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_ABORTED},
    {301, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_ABORTED},
    {307, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_ABORTED},
    {400, HTTP_ANSWERED,    NO,    NO,    NO,    OUTCOME_BAD_REQUEST},
    {401, HTTP_ANSWERED,    NO,    NO,    NO,    OUTCOME_UNAUTHORIZED},
    {403, HTTP_ANSWERED,    NO,    NO,    NO,    OUTCOME_FORBIDDEN},
    {404, HTTP_ANSWERED,    AGAIN, NO,    AGAIN, OUTCOME_NOT_FOUND},
    {405, HTTP_ANSWERED,    AGAIN, AGAIN, NO,    OUTCOME_BAD_REQUEST},
    {408, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_TIMED_OUT},
    {409, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_BAD_REQUEST},
    {410, HTTP_ANSWERED,    AGAIN, AGAIN, NO,    OUTCOME_DISABLED},
    {413, HTTP_ANSWERED,    NO,    AGAIN, NO,    OUTCOME_PAYLOAD_TOO_LARGE},
    {414, HTTP_ANSWERED,    AGAIN, NO,    NO,    OUTCOME_PAYLOAD_TOO_LARGE},
    {415, HTTP_ANSWERED,    AGAIN, AGAIN, NO,    OUTCOME_BAD_REQUEST},
    {422, HTTP_ANSWERED,    AGAIN, AGAIN, NO,    OUTCOME_BAD_REQUEST},
    {429, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_BUSY},
    {500, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_BUSY},
    {503, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_BUSY},
    {504, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_TIMED_OUT},
    {507, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_FULL},
    {799, HTTP_ANSWERED,    AGAIN, AGAIN, AGAIN, OUTCOME_BUSY},
    {0,   HTTP_TIMED_OUT,   AGAIN, NO,    AGAIN, OUTCOME_TIMED_OUT},
    {0,   HTTP_UNRESOLVED,  AGAIN, AGAIN, AGAIN, OUTCOME_RESOLUTION_ERROR},
    {0,   HTTP_UNREACHABLE, AGAIN, NO,    AGAIN, OUTCOME_SOCKET_ERROR},
    {0,   HTTP_TLS_FAILED,  AGAIN, NO,    AGAIN, OUTCOME_SOCKET_ERROR},
    {0,   HTTP_FORBIDDEN,   AGAIN, AGAIN, AGAIN, OUTCOME_FORBIDDEN},
    {0,   HTTP_ANSWER_BAD,  AGAIN, NO,    AGAIN, OUTCOME_ABORTED},
    {0,   HTTP_CALL_BAD,    NO,    NO,    NO,    OUTCOME_BAD_REQUEST},
    {0,   HTTP_CANCELLED,   AGAIN, AGAIN, AGAIN, OUTCOME_CANCELED},
    {0,   HTTP_NO_ROOM,     AGAIN, AGAIN, AGAIN, OUTCOME_CANCELED},
};
/* clang-format on */

static void every_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct retry_attempt a = {1, r->http, r->status, -1, 0};
        print_message("%d %d\n", r->status, r->http);
        assert_int_equal(retry_judge(&eventgrid, &a).verb, r->grid);
        assert_int_equal(retry_judge(&namespaces, &a).verb, r->names);
        assert_int_equal(retry_judge(&exponential, &a).verb, r->events);
        assert_int_equal(retry_judge(&eventgrid, &a).outcome, r->outcome);
    }
}

/* Event Grid takes five codes for a success, a CloudEvents endpoint may answer any 2xx. */
static void other_successes(void **state)
{
    (void)state;
    for (int status = 205; status < 300; status++) {
        assert_int_equal(answered(&eventgrid, 1, status).verb, RETRY_AGAIN);
        assert_int_equal(answered(&eventgrid, 1, status).outcome, OUTCOME_ABORTED);
        assert_int_equal(answered(&exponential, 1, status).verb, RETRY_DELIVERED);
    }
}

/* OTLP's specification: these four, and what was not answered. */
static void answers_of_collectors(void **state)
{
    static const struct retry_policy otlp = {BACKOFF_EXPONENTIAL, 10, 10000, true};
    (void)state;
    for (int status = 100; status < 600; status++) {
        enum retry_verb verb = answered(&otlp, 1, status).verb;
        if (status == 429 || status == 502 || status == 503 || status == 504)
            assert_int_equal(verb, RETRY_AGAIN);
        else
            assert_int_equal(verb, status / 100 == 2 ? RETRY_DELIVERED : RETRY_GIVE_UP);
    }
    assert_int_equal(failed(&otlp, 1, HTTP_UNREACHABLE).verb, RETRY_AGAIN);
    assert_int_equal(failed(&otlp, 1, HTTP_TIMED_OUT).verb, RETRY_AGAIN);
    assert_int_equal(failed(&otlp, 1, HTTP_CALL_BAD).verb, RETRY_GIVE_UP);
    assert_int_equal(answered(&otlp, 3, 503).wait_ms, 40);
}

static void jitter_is_small_and_bounded(void **state)
{
    (void)state;
    struct retry_attempt a = {1, HTTP_ANSWERED, 500, -1, UINT32_MAX};
    assert_int_equal(retry_judge(&eventgrid, &a).wait_ms, 11000);
    a.random = UINT32_MAX / 2;
    assert_int_equal(retry_judge(&eventgrid, &a).wait_ms, 10500);
    a = (struct retry_attempt){20, HTTP_ANSWERED, 500, -1, UINT32_MAX};
    assert_int_equal(retry_judge(&eventgrid, &a).wait_ms, 43200000 + RETRY_JITTER_MAX_MS);
    struct retry_policy fixed = {BACKOFF_FIXED, 1000, 1000, false};
    assert_int_equal(retry_judge(&fixed, &a).wait_ms, 1000);
}

static void retry_after(void **state)
{
    (void)state;
    struct retry_attempt a = {1, HTTP_ANSWERED, 503, 45000, 0};
    assert_int_equal(retry_judge(&eventgrid, &a).wait_ms, 45000);
    assert_int_equal(retry_judge(&exponential, &a).wait_ms, 45000);
    a.retry_after_ms = 5000;
    assert_int_equal(retry_judge(&eventgrid, &a).wait_ms, 30000);
    a = (struct retry_attempt){1, HTTP_ANSWERED, 500, 45000, 0};
    assert_int_equal(retry_judge(&exponential, &a).wait_ms, 10);
    a.status = 429;
    assert_int_equal(retry_judge(&exponential, &a).wait_ms, 45000);
}

static void retry_after_values(void **state)
{
    (void)state;
    const uint64_t now = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t ms;
    } values[] = {
        {"120", 120000},
        {"0", 0},
        {"99999999999", RETRY_AFTER_MAX_MS},
        {"9223372036854775807", RETRY_AFTER_MAX_MS},
        {"-1", -1},
        {"", -1},
        {"soon", -1},
        {"1.5", -1},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60000},
        {"Sun Nov  6 08:50:37 1994", 60000},
        {"Sun, 06 Nov 1994 08:49:00 GMT", 0},
        {"Sun, 06 Nov 2094 08:49:37 GMT", RETRY_AFTER_MAX_MS},
        {"Sun, 06 Nov 1994 08:50:37 GMT and more", -1},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_int_equal(outcome_retry_after_ms(str_of(values[i].text), now), values[i].ms);
    assert_int_equal(outcome_retry_after_ms((struct str){NULL, 0}, now), -1);
}

static void note(struct retry_probation *p, enum http_outcome http, int status, int64_t after,
                 uint64_t now)
{
    struct retry_attempt a = {1, http, status, after, 0};
    retry_probation_note(p, &a, outcome_of_call(http, status), now);
}

static void probation_begins_with_the_tenth(void **state)
{
    (void)state;
    struct retry_probation p = {0};
    for (int i = 0; i < 9; i++)
        note(&p, HTTP_ANSWERED, 404, -1, 1000);
    assert_int_equal(retry_probation_left_us(&p, 1000), 0);
    note(&p, HTTP_ANSWERED, 404, -1, 1000);
    assert_int_equal(retry_probation_left_us(&p, 1000), 300000000);
    assert_int_equal(retry_probation_left_us(&p, 300000999), 1);
    assert_int_equal(retry_probation_left_us(&p, 300001000), 0);
    note(&p, HTTP_UNREACHABLE, 0, -1, 300001000);
    assert_int_equal(retry_probation_left_us(&p, 300001000), 30000000);
    note(&p, HTTP_ANSWERED, 200, -1, 300001000);
    assert_int_equal(retry_probation_left_us(&p, 300001000), 0);
    note(&p, HTTP_ANSWERED, 404, -1, 300001000);
    assert_int_equal(retry_probation_left_us(&p, 300001000), 0);
}

/* A message that the endpoint refuses says nothing about the endpoint. */
static void probation_is_not_for_messages(void **state)
{
    (void)state;
    struct retry_probation p = {0};
    for (int i = 0; i < 100; i++)
        note(&p, HTTP_ANSWERED, i % 2 ? 400 : 413, -1, 0);
    assert_int_equal(retry_probation_left_us(&p, 0), 0);
    for (int i = 0; i < 9; i++)
        note(&p, HTTP_ANSWERED, 500, -1, 0);
    note(&p, HTTP_ANSWERED, 400, -1, 0);
    assert_int_equal(retry_probation_left_us(&p, 0), 0);
    note(&p, HTTP_ANSWERED, 500, -1, 0);
    assert_int_equal(retry_probation_left_us(&p, 0), 10000000);
}

static void probation_by_retry_after(void **state)
{
    (void)state;
    struct retry_probation p = {0};
    note(&p, HTTP_ANSWERED, 429, 7000, 0);
    assert_int_equal(retry_probation_left_us(&p, 0), 7000000);
    note(&p, HTTP_ANSWERED, 500, 60000, 0);
    assert_int_equal(retry_probation_left_us(&p, 0), 7000000);
}

static void every_outcome_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        assert_true(strlen(outcome_text((enum delivery_outcome)i)) > 0);
    assert_string_equal(outcome_text(OUTCOME_NOT_FOUND), "NotFound");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_of_event_grid),
        cmocka_unit_test(schedule_of_namespaces),
        cmocka_unit_test(schedules_of_ones_own),
        cmocka_unit_test(waits_do_not_overflow),
        cmocka_unit_test(minimum_waits),
        cmocka_unit_test(every_answer),
        cmocka_unit_test(other_successes),
        cmocka_unit_test(answers_of_collectors),
        cmocka_unit_test(jitter_is_small_and_bounded),
        cmocka_unit_test(retry_after),
        cmocka_unit_test(retry_after_values),
        cmocka_unit_test(probation_begins_with_the_tenth),
        cmocka_unit_test(probation_is_not_for_messages),
        cmocka_unit_test(probation_by_retry_after),
        cmocka_unit_test(every_outcome_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
