/* Endpoints: their names, and how breaker, probation and probe decide about calls. */
#include "../broker/fake_env.h"
#include "../check.h"
#include "fake_http.h"

#include "flow/endpoint.h"

#include <string.h>

#define MINUTE 60000

static struct fake_world world;
static struct fake_http http;
static struct endpoints *set;
static struct endpoint_user one, two;
static unsigned told_one, told_two, changes;
static enum breaker_state last_to;

static void on_one(struct endpoint_user *user)
{
    assert_ptr_equal(user, &one);
    told_one++;
}

static void on_two(struct endpoint_user *user)
{
    assert_ptr_equal(user, &two);
    told_two++;
}

static void on_change(void *arg, struct endpoint *e, enum breaker_state from, enum breaker_state to)
{
    (void)e;
    assert_ptr_equal(arg, &world);
    changes += from != to;
    last_to = to;
}

static int setup(void **state)
{
    (void)state;
    fake_world_make(&world, 1);
    fake_http_init(&http);
    told_one = told_two = changes = 0;
    one = (struct endpoint_user){.changed = on_one};
    two = (struct endpoint_user){.changed = on_two};
    set = endpoints_make(&(struct endpoints_conf){.env = &world.envs[0].env,
                                                  .http = &http.client,
                                                  .origin = "weir.example",
                                                  .changed = on_change,
                                                  .arg = &world});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    endpoint_leave(&one);
    endpoint_leave(&two);
    endpoints_stop(set);
    fake_http_run(&http);
    endpoints_free(set);
    fake_http_free(&http);
    fake_world_free(&world);
    return 0;
}

static void keys(void **state)
{
    (void)state;
    static const struct {
        const char *url, *key;
    } rows[] = {
        {"http://example.com", "http://example.com/"},
        {"HTTPS://Example.COM/Path/X?code=secret#part", "https://example.com/Path/X"},
        {"http://user:pass@host:8080/a", "http://host:8080/a"},
        {"http://a@b@host/x", "http://host/x"},
        {"http://host?x=http://other/", "http://host/"},
        {"http://[::1]:80/x", "http://[::1]:80/x"},
        {"http://host/a@b", "http://host/a@b"},
        {"ftp://host/", NULL},
        {"http://", NULL},
        {"http:///path", NULL},
        {"http://user@/path", NULL},
        {"", NULL},
    };
    char key[ENDPOINT_KEY_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].url);
        assert_int_equal(endpoint_key(str_of(rows[i].url), key), rows[i].key != NULL);
        if (rows[i].key)
            assert_string_equal(key, rows[i].key);
    }
    char longest[ENDPOINT_KEY_MAX + 8] = "http://";
    memset(longest + 7, 'a', ENDPOINT_KEY_MAX - 9);
    assert_true(endpoint_key((struct str){longest, ENDPOINT_KEY_MAX - 2}, key));
    assert_false(endpoint_key((struct str){longest, ENDPOINT_KEY_MAX - 1}, key));
}

static void same_reactor_for_the_same_endpoint(void **state)
{
    (void)state;
    unsigned r = endpoint_reactor(STR_LIT("http://host/a?x=1"), 7);
    assert_int_equal(endpoint_reactor(STR_LIT("http://HOST/a?x=2"), 7), r);
    assert_true(r < 7);
    assert_int_equal(endpoint_reactor(STR_LIT("nonsense"), 7), 0);
}

/* n calls that end so, as one user makes them. */
static void calls(unsigned n, enum http_outcome outcome, int status)
{
    for (unsigned i = 0; i < n; i++) {
        struct retry_attempt a = {1, outcome, status, -1, 0};
        if (endpoint_begin(one.endpoint))
            endpoint_end(one.endpoint, &a, outcome_of_call(outcome, status), 1000);
    }
}

static void shared_by_its_users(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a?x=1"), &one);
    endpoint_join(set, STR_LIT("http://host/a?x=2"), &two);
    assert_ptr_equal(one.endpoint, two.endpoint);
    assert_string_equal(endpoint_name(one.endpoint), "http://host/a");
    assert_int_equal(endpoint_room(one.endpoint, 16, 3), 13);
}

/* Ten failures in a row: nobody calls for as long as the kind of the last one says. */
static void probation_stops_all(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    endpoint_join(set, STR_LIT("http://host/a"), &two);
    fake_advance(&world, 1);
    told_one = told_two = 0;
    calls(9, HTTP_ANSWERED, 500);
    assert_int_equal(endpoint_room(two.endpoint, 16, 0), 16);
    calls(1, HTTP_UNREACHABLE, 0);
    assert_int_equal(endpoint_room(two.endpoint, 16, 0), 0);
    assert_false(endpoint_begin(two.endpoint));
    assert_true(told_one > 0 && told_two > 0);
    told_two = 0;
    fake_advance(&world, 29999);
    assert_int_equal(told_two, 0);
    fake_advance(&world, 1);
    assert_true(told_two > 0);
    assert_int_equal(endpoint_room(two.endpoint, 16, 0), 16);
}

/* Until its breaker opens, each failure is followed by a probation: time passes. */
static void open_it(void)
{
    for (int i = 0; i < 200 && endpoint_breaker(one.endpoint)->state == BREAKER_CLOSED; i++) {
        calls(1, HTTP_ANSWERED, 500);
        fake_advance(&world, 10000);
    }
    assert_int_equal(endpoint_breaker(one.endpoint)->state, BREAKER_OPEN);
}

static void probe_is_asked_first(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a?key=1"), &one);
    open_it();
    assert_int_equal(changes, 1);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 0);
    assert_null(fake_http_first(&http));
    fake_advance(&world, MINUTE);
    struct fake_call *c = fake_http_first(&http);
    assert_non_null(c);
    assert_string_equal(c->method, "OPTIONS");
    assert_string_equal(c->url, "http://host/a?key=1");
    assert_string_equal(fake_http_header(c, "WebHook-Request-Origin"), "weir.example");
    assert_int_equal(c->body_n, 0);
    told_one = 0;
    fake_http_answer(&http, c, 503, "");
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 0);
    fake_advance(&world, MINUTE - 1);
    assert_null(fake_http_first(&http));
    fake_advance(&world, 2);
    told_one = 0;
    fake_http_answer(&http, fake_http_first(&http), 404, ""); /* it is there, at least */
    assert_int_equal(endpoint_breaker(one.endpoint)->state, BREAKER_HALF_OPEN);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 10);
    assert_true(told_one > 0);
}

static void returns_by_and_by(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    open_it();
    fake_advance(&world, MINUTE);
    fake_http_answer(&http, fake_http_first(&http), 200, "");
    calls(10, HTTP_ANSWERED, 200);
    assert_int_equal(endpoint_breaker(one.endpoint)->state, BREAKER_CLOSED);
    assert_int_equal(last_to, BREAKER_CLOSED);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 1);
    told_one = 0;
    fake_advance(&world, 15000);
    assert_true(told_one > 0);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 8);
    fake_advance(&world, 15000);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 16);
}

/* An open breaker outlives its users, and asks nobody as long as there are none. */
static void open_breaker_stays(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    open_it();
    endpoint_leave(&one);
    fake_advance(&world, 10 * MINUTE);
    assert_null(fake_http_first(&http));
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    assert_int_equal(endpoint_breaker(one.endpoint)->state, BREAKER_OPEN);
    fake_advance(&world, 1);
    assert_non_null(fake_http_first(&http));
}

static void leaves_while_it_is_told(struct endpoint_user *user)
{
    endpoint_leave(user);
}

static void users_may_leave_when_told(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    endpoint_join(set, STR_LIT("http://host/a"), &two);
    one.changed = two.changed = leaves_while_it_is_told;
    fake_advance(&world, 1);
    assert_null(one.endpoint);
    assert_null(two.endpoint);
}

static void restored(void **state)
{
    (void)state;
    uint64_t now = world.envs[0].env.now_ms;
    endpoint_restore(set, "http://host/a", BREAKER_OPEN, 3, now - 20000, now + 40000);
    endpoint_restore(set, "http://host/b", BREAKER_CLOSED, 0, now, 0);
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    endpoint_join(set, STR_LIT("http://host/b"), &two);
    assert_int_equal(changes, 0);
    assert_int_equal(endpoint_room(two.endpoint, 16, 0), 16);
    assert_int_equal(endpoint_room(one.endpoint, 16, 0), 0);
    assert_int_equal(endpoint_breaker(one.endpoint)->attempts, 3);
    assert_int_equal(endpoint_wall_ms(one.endpoint, endpoint_breaker(one.endpoint)->retry_us),
                     now + 40000);
    fake_advance(&world, 40001);
    assert_non_null(fake_http_first(&http));
    /* What came later in the log counts. */
    endpoint_restore(set, "http://host/c", BREAKER_FORCED_OPEN, 0, now, 0);
    endpoint_restore(set, "http://host/c", BREAKER_CLOSED, 0, now, 0);
    endpoint_leave(&two);
    endpoint_join(set, STR_LIT("http://host/c"), &two);
    assert_int_equal(endpoint_room(two.endpoint, 16, 0), 16);
}

static void abandoned_permits_come_back(void **state)
{
    (void)state;
    endpoint_join(set, STR_LIT("http://host/a"), &one);
    open_it();
    fake_advance(&world, MINUTE);
    fake_http_answer(&http, fake_http_first(&http), 200, "");
    for (int i = 0; i < 10; i++)
        assert_true(endpoint_begin(one.endpoint));
    assert_false(endpoint_begin(one.endpoint));
    endpoint_abandon(one.endpoint);
    assert_true(endpoint_begin(one.endpoint));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys),
        TEST(same_reactor_for_the_same_endpoint),
        TEST(shared_by_its_users),
        TEST(probation_stops_all),
        TEST(probe_is_asked_first),
        TEST(returns_by_and_by),
        TEST(open_breaker_stays),
        TEST(users_may_leave_when_told),
        TEST(restored),
        TEST(abandoned_permits_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
