/* Connections: requests in any pieces, one after the other, refused ones, late ones, clients that
 * go away or do not read, and the end. */
#include "http_rig.h"

#include "base/random.h"
#include "base/mem.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

static struct web web;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define POST_HEAD(path, n) "POST " path " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " #n "\r\n"

/* /metrics: a page that is gathered later where the test says so. */
static struct {
    http_page_fn *done;
    void *arg;
} pages[WEBS_MAX * 4];
static unsigned pages_n;
static bool pages_late;

static void answer_pages(void)
{
    for (unsigned i = 0; i < pages_n; i++)
        pages[i].done(pages[i].arg, slice_copy("page", 4));
    pages_n = 0;
}

static void gather(void *arg, struct broker *b, http_page_fn *done, void *done_arg)
{
    (void)arg, (void)b;
    pages[pages_n].done = done;
    pages[pages_n++].arg = done_arg;
    if (!pages_late)
        answer_pages();
}

static int setup(void **state)
{
    struct http_conf conf = http_conf_default;
    (void)state;
    conf.metrics = gather;
    conf.connections_max = 8;
    conf.hosts[conf.hosts_n++] = "weir.example";
    conf.origins[conf.origins_n++] = "https://app.example";
    pages_late = false;
    pages_n = 0;
    web_make(&web, 2, &conf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    answer_pages();
    web_free(&web);
    return 0;
}

static int ask(const char *request, const char *body_has)
{
    struct web_answer a = web_ask(&web, request);
    if (*body_has)
        assert_non_null(strstr(a.body, body_has));
    return a.status;
}

static int next(struct web_client *c)
{
    struct web_answer a;
    return web_answer(c, false, &a) ? a.status : 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void the_three_paths_are_served(void **state)
{
    (void)state;
    assert_int_equal(ask(GET("/healthz"), "ok"), 200);
    assert_int_equal(ask(GET("/readyz"), "ready"), 200);
    assert_int_equal(ask(GET("/metrics"), "page"), 200);
    assert_int_equal(ask(GET("/metrics?x=1"), "page"), 200);
    assert_int_equal(ask(GET("/"), "NOT_FOUND"), 404);
    assert_int_equal(ask(GET("/healthz/"), ""), 404);
    assert_int_equal(ask("GET http://localhost/healthz HTTP/1.1\r\nHost: x\r\n\r\n", "ok"), 200);
}

static void readiness_is_told(void **state)
{
    (void)state;
    http_front_set_ready(web.http, false);
    assert_int_equal(ask(GET("/healthz"), "ok"), 200);
    assert_int_equal(ask(GET("/readyz"), "starting or stopping"), 503);
    struct web_answer a = web_ask(&web, GET("/metrics"));
    assert_int_equal(a.status, 503);
    assert_string_equal(web_field(&web, &a, "Retry-After"), "1");
}

static void head_has_no_body(void **state)
{
    struct web_answer a = web_ask(&web, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    (void)state;
    assert_int_equal(a.status, 200);
    assert_string_equal(web_field(&web, &a, "Content-Length"), "3");
    a = web_ask(&web, "HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(a.status, 404);
}

static void an_answer_says_what_it_is(void **state)
{
    struct web_answer a = web_ask(&web, GET("/healthz"));
    (void)state;
    assert_string_equal(web_field(&web, &a, "Date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_string_equal(web_field(&web, &a, "Content-Type"), "text/plain; charset=utf-8");
    assert_null(web_field(&web, &a, "Connection"));
    a = web_ask(&web, GET("/nowhere"));
    assert_string_equal(web_field(&web, &a, "Content-Type"), "application/problem+json");
}

static void requests_come_in_single_bytes(void **state)
{
    static const char text[] = "\r\n" POST_HEAD("/nowhere", 5) "\r\nhello" GET("/healthz");
    struct web_client *c = web_open(&web, 0);
    (void)state;
    for (size_t i = 0; text[i]; i++)
        assert_int_equal(web_push(c, text + i, 1), 1);
    assert_int_equal(next(c), 404);
    assert_int_equal(next(c), 200);
    assert_int_equal(c->taken, c->got.len);
}

static void a_connection_is_kept_or_not(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    for (int i = 0; i < 5; i++) {
        web_say(c, i % 2 ? GET("/metrics") : GET("/readyz"));
        assert_int_equal(next(c), 200);
        assert_false(c->closing);
    }
    web_say(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_int_equal(next(c), 200);
    assert_true(c->gone);
    c = web_open(&web, 0);
    web_say(c, "GET /healthz HTTP/1.0\r\n\r\n" GET("/healthz"));
    assert_int_equal(next(c), 200);
    assert_int_equal(next(c), 0);
    assert_true(c->gone);
    c = web_open(&web, 0);
    web_say(c, "GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_int_equal(next(c), 200);
    assert_false(c->closing);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    pages_late = true;
    web_say(c, GET("/healthz") GET("/metrics") GET("/nowhere"));
    assert_int_equal(next(c), 200);
    assert_int_equal(next(c), 0);
    assert_int_equal(web_stats(&web).running, 1);
    answer_pages();
    assert_int_equal(next(c), 200);
    assert_int_equal(next(c), 404);
    assert_int_equal(web_stats(&web).running, 0);
    assert_int_equal(web_stats(&web).requests, 3);
}

/* More requests than are taken behind one that waits: reading goes on when it is answered. */
static void reading_stops_and_goes_on(void **state)
{
    struct web_client *c = web_open(&web, 0);
    size_t asked = 1, n = strlen(GET("/healthz"));
    (void)state;
    pages_late = true;
    (void)web_push(c, GET("/metrics"), strlen(GET("/metrics")));
    while (!c->paused && asked < 10000)
        asked += web_push(c, GET("/healthz"), n) == n;
    assert_true(asked >= HTTP_AHEAD_MAX && asked < 10000);
    answer_pages();
    web_run(&web);
    assert_false(c->paused);
    for (size_t i = 0; i < asked; i++)
        assert_int_equal(next(c), 200);
}

static void pieces_of_any_size(void **state)
{
    static const char *const requests[] = {
        GET("/healthz"), GET("/metrics"), GET("/x"), POST_HEAD("/x", 11) "\r\nhello world",
        "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"};
    static const int statuses[] = {200, 200, 404, 404, 404};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 5);
    for (unsigned round = 0; round < 40; round++) {
        struct web_client *c = web_open(&web, round % 2);
        size_t order[20];
        char text[4096] = "";
        for (size_t i = 0; i < 20; i++) {
            order[i] = rng_below(&rng, 5);
            strncat(text, requests[order[i]], sizeof text - strlen(text) - 1);
        }
        for (size_t at = 0, n = strlen(text); at < n;) {
            size_t piece = 1 + rng_below(&rng, 60);
            at += web_push(c, text + at, piece < n - at ? piece : n - at);
            if (rng_below(&rng, 3) == 0)
                web_run(&web);
        }
        web_run(&web);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(next(c), statuses[order[i]]);
        assert_int_equal(c->taken, c->got.len);
        web_break(c);
    }
}

/* ---- refused -------------------------------------------------------------------------------- */

static void refused(const char *request, int status)
{
    struct web_client *c = web_open(&web, 0);
    struct web_answer a;
    web_say(c, request);
    assert_true(web_answer(c, false, &a));
    assert_int_equal(a.status, status);
    assert_true(a.close);
    assert_int_equal(c->taken, c->got.len);
    assert_false(c->closing); /* it lingers, until the client has seen the answer */
    web_end(c);
    assert_true(c->gone);
}

static void other_methods_are_refused(void **state)
{
    struct web_answer a = web_ask(&web, POST_HEAD("/metrics", 3) "\r\nabc");
    (void)state;
    assert_int_equal(a.status, 405);
    assert_false(a.close);
    assert_string_equal(web_field(&web, &a, "Allow"), "GET, HEAD, OPTIONS");
    a = web_ask(&web, "OPTIONS /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(a.status, 204);
    assert_string_equal(web_field(&web, &a, "Allow"), "GET, HEAD, OPTIONS");
    assert_int_equal(ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", ""), 204);
    assert_int_equal(ask("TRACE /x HTTP/1.1\r\nHost: localhost\r\n\r\n", ""), 404);
    refused("BREW /x HTTP/1.1\r\nHost: localhost\r\n\r\n", 501);
}

static void unwanted_bodies_are_skipped_or_end_it(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    web_say(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello" GET(
                   "/healthz"));
    assert_int_equal(next(c), 413);
    assert_int_equal(next(c), 200);
    refused("GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 413);
    refused(POST_HEAD("/x", 900000) "\r\n", 404);
    refused(POST_HEAD("/x", 5) "Expect: 100-continue\r\n\r\n", 404);
}

static void an_upgrade_is_not_made(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n"
                         "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                         "ok"),
                     200);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    refused("hello\r\n\r\n", 501);
    refused("\x16\x03\x01\x02\r\n\r\n", 501);
    refused("GET /healthz HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400);
    refused("GET /healthz HTTP/1.1\nHost: localhost\n\n", 400);
    refused("GET /healthz HTTP/1.1\r\n\r\n", 400);
    assert_int_equal(ask(GET("/healthz?a=%zz"), "hexadecimal"), 400);
}

static void large_heads_are_refused(void **state)
{
    static char text[3 * HTTP_HEAD_BYTES_MAX];
    (void)state;
    snprintf(text, sizeof text, "GET /%0*d", (int)HTTP_HEAD_BYTES_MAX, 0);
    refused(text, 414);
    snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: %0*d\r\n\r\n",
             (int)HTTP_HEAD_BYTES_MAX - 100, 0);
    assert_int_equal(ask(text, "ok"), 200);
    snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: %0*d\r\n\r\n",
             (int)HTTP_HEAD_BYTES_MAX, 0);
    refused(text, 431);
    /* It never ends. */
    struct web_client *c = web_open(&web, 0);
    web_say(c, "GET /healthz HTTP/1.1\r\n");
    for (int i = 0; i < 5000 && c->taken == 0; i++) {
        web_say(c, "Some-Header: with a value\r\n");
        (void)next(c);
    }
    assert_true(c->taken > 0);
    assert_int_equal(web_stats(&web).errors, 3);
}

/* A page in a browser may not use weir: neither by its own name for our address, nor across. */
static void pages_of_others_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n", "rebinding"), 403);
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n", ""), 403);
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: weir.example\r\n\r\n", ""), 404);
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: WEIR.example.:8080\r\n\r\n", ""), 404);
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", ""), 404);
    assert_int_equal(ask("GET /x HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", ""), 403);
#define FROM(more) "GET /x HTTP/1.1\r\nHost: localhost:8080\r\n" more "\r\n\r\n"
    assert_int_equal(ask(FROM("Origin: http://evil.example"), "another origin"), 403);
    assert_int_equal(ask(FROM("Origin: null"), ""), 403);
    assert_int_equal(ask(FROM("Origin: http://localhost:9090"), ""), 403);
    assert_int_equal(ask(FROM("Origin: http://localhost:8080"), ""), 404);
    assert_int_equal(ask(FROM("Origin: eventgrid.azure.net"), ""), 404);
    assert_int_equal(ask(FROM("Sec-Fetch-Site: cross-site"), ""), 403);
    assert_int_equal(ask(FROM("Sec-Fetch-Site: same-origin"), ""), 404);
    assert_int_equal(ask(FROM("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate"), ""), 404);
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", "ok"), 200);
}

/* But for origins that are named. */
static void invited_pages_are_told(void **state)
{
    struct web_answer a = web_ask(&web, FROM("Origin: https://app.example"));
    (void)state;
    assert_int_equal(a.status, 404);
    assert_string_equal(web_field(&web, &a, "Access-Control-Allow-Origin"), "https://app.example");
    assert_string_equal(web_field(&web, &a, "Access-Control-Expose-Headers"), "*");
    a = web_ask(&web, "OPTIONS /metrics HTTP/1.1\r\nHost: localhost\r\n"
                      "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n"
                      "Access-Control-Request-Headers: ce-id\r\n\r\n");
    assert_int_equal(a.status, 204);
    a = web_ask(&web, "OPTIONS /x HTTP/1.1\r\nHost: localhost\r\n"
                      "Origin: https://app.example.evil\r\n\r\n");
    assert_int_equal(a.status, 403);
    assert_null(web_field(&web, &a, "Access-Control-Allow-Origin"));
}

static void preflight_is_answered(void **state)
{
    struct web_answer a =
        web_ask(&web, "OPTIONS /topics/x HTTP/1.1\r\nHost: localhost\r\n"
                      "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"
                      "Access-Control-Request-Headers: ce-id, ce-type\r\n\r\n");
    (void)state;
    assert_int_equal(a.status, 204);
    assert_string_equal(web_field(&web, &a, "Access-Control-Allow-Origin"), "https://app.example");
    assert_string_equal(web_field(&web, &a, "Access-Control-Allow-Headers"), "ce-id, ce-type");
    assert_non_null(strstr(web_field(&web, &a, "Access-Control-Allow-Methods"), "POST"));
}

/* ---- time ----------------------------------------------------------------------------------- */

static void pass(uint64_t ms)
{
    fake_advance(&web.rig.world, ms);
    web_run(&web);
}

static void a_slow_head_is_refused(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    web_say(c, GET("/healthz") "GET /he");
    assert_int_equal(next(c), 200);
    pass(HTTP_HEAD_MS / 2);
    web_say(c, "althz ");
    pass(HTTP_HEAD_MS / 2 - 1);
    assert_int_equal(next(c), 0);
    pass(1);
    assert_int_equal(next(c), 408);
    pass(HTTP_LINGER_MS);
    assert_true(c->gone);
}

/* Each head has its own time, however many there are on the connection. */
static void heads_have_their_own_time(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    for (int i = 0; i < 10; i++) {
        web_say(c, "GET /healthz HT");
        pass(HTTP_HEAD_MS - 1);
        web_say(c, "TP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(next(c), 200);
    }
}

static void an_idle_connection_is_closed(void **state)
{
    struct web_client *c = web_open(&web, 0), *fresh = web_open(&web, 0);
    (void)state;
    web_say(c, GET("/healthz"));
    pass(HTTP_IDLE_MS - 1);
    web_say(c, GET("/healthz"));
    assert_false(fresh->gone);
    pass(1);
    assert_true(fresh->gone);
    assert_int_equal(fresh->got.len, 0);
    pass(HTTP_IDLE_MS - 2);
    assert_false(c->gone);
    pass(1);
    assert_true(c->gone);
}

static void who_does_not_read_is_cut(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    c->output_max = (size_t)1 << 20;
    web_say(c, GET("/healthz"));
    assert_true(c->pipe.unsent > 0);
    pass(HTTP_UNREAD_MS - 1);
    assert_false(c->gone);
    c->pipe.unsent--; /* a byte has left */
    pass(1);
    assert_false(c->gone);
    pass(HTTP_UNREAD_MS);
    assert_true(c->aborted);
}

static void output_that_is_full_stops_input(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    c->output_max = 10;
    web_say(c, GET("/healthz"));
    assert_int_equal(web_push(c, GET("/healthz"), 5), 0);
    assert_true(c->paused);
    assert_int_equal(next(c), 200);
    web_drain(c);
    assert_false(c->paused);
    web_say(c, GET("/healthz"));
    assert_int_equal(next(c), 200);
}

/* ---- going away ----------------------------------------------------------------------------- */

static void a_client_that_ends_its_direction_is_answered(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    pages_late = true;
    (void)web_push(c, GET("/metrics") GET("/healthz"), strlen(GET("/metrics") GET("/healthz")));
    web_end(c);
    assert_false(c->closing);
    answer_pages();
    web_run(&web);
    assert_int_equal(next(c), 200);
    assert_int_equal(next(c), 200);
    assert_true(c->gone);
    c = web_open(&web, 0);
    web_end(c);
    assert_true(c->gone);
    c = web_open(&web, 0);
    web_say(c, "GET /heal");
    web_end(c);
    assert_true(c->gone);
    assert_int_equal(c->got.len, 0);
}

static void a_client_may_go_while_its_page_is_gathered(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    pages_late = true;
    (void)web_push(c, GET("/metrics") GET("/metrics"), 2 * strlen(GET("/metrics")));
    web_break(c);
    assert_int_equal(web_stats(&web).connections, 1);
    assert_int_equal(pages_n, 1);
    answer_pages();
    assert_int_equal(web_stats(&web).connections, 0);
    assert_int_equal(c->got.len, 0);
}

static void the_longest_idle_makes_room(void **state)
{
    struct web_client *c[9];
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        c[i] = web_open(&web, 0);
    web_say(c[0], GET("/healthz"));
    c[8] = web_open(&web, 0);
    web_run(&web);
    assert_false(c[0]->gone);
    assert_true(c[1]->gone);
    assert_false(c[2]->gone);
    web_say(c[8], GET("/healthz"));
    assert_int_equal(next(c[8]), 200);
    assert_int_equal(web_stats(&web).connections, 8);
    assert_false(web_open(&web, 1)->gone); /* another reactor has its own */
}

static void the_busy_do_not_make_room(void **state)
{
    (void)state;
    pages_late = true;
    for (unsigned i = 0; i < 8; i++)
        web_say(web_open(&web, 0), GET("/metrics"));
    assert_true(web_open(&web, 0)->gone);
    assert_int_equal(web_stats(&web).refused, 1);
    answer_pages();
}

/* ---- the end -------------------------------------------------------------------------------- */

static void draining_ends_all_but_health(void **state)
{
    struct web_client *idle = web_open(&web, 0), *busy = web_open(&web, 0);
    (void)state;
    pages_late = true;
    (void)web_push(busy, GET("/metrics"), strlen(GET("/metrics")));
    http_front_stop(web.http, 0, HTTP_DRAIN);
    web_run(&web);
    assert_true(idle->gone);
    assert_false(busy->closing);
    assert_int_equal(ask(GET("/healthz"), "ok"), 200);
    assert_int_equal(ask(GET("/readyz"), "stopping"), 503);
    assert_int_equal(ask(GET("/metrics"), "NOT_READY"), 503);
    answer_pages();
    web_run(&web);
    struct web_answer a;
    assert_true(web_answer(busy, false, &a) && a.status == 200 && a.close);
    assert_true(busy->gone);
    struct web_client *late = web_open(&web, 0);
    http_front_stop(web.http, 0, HTTP_CLOSE);
    web_run(&web);
    assert_true(late->gone);
    assert_true(web_open(&web, 0)->gone);
    assert_int_equal(web_stats(&web).connections, 0);
}

static void closing_does_not_linger(void **state)
{
    struct web_client *c = web_open(&web, 0);
    (void)state;
    web_say(c, POST_HEAD("/x", 900000) "\r\n");
    assert_int_equal(next(c), 404);
    assert_false(c->closing);
    http_front_stop(web.http, 0, HTTP_CLOSE);
    assert_true(c->closing);
}

static void cutting_ends_what_is_under_way(void **state)
{
    struct web_client *busy = web_open(&web, 0), *idle = web_open(&web, 0);
    (void)state;
    pages_late = true;
    web_say(busy, GET("/metrics"));
    http_front_stop(web.http, 0, HTTP_CUT);
    web_run(&web);
    assert_true(busy->aborted && !idle->gone);
    assert_int_equal(web_stats(&web).running, 1);
    answer_pages();
    assert_int_equal(web_stats(&web).running, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(the_three_paths_are_served),
        TEST(readiness_is_told),
        TEST(head_has_no_body),
        TEST(an_answer_says_what_it_is),
        TEST(requests_come_in_single_bytes),
        TEST(a_connection_is_kept_or_not),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(reading_stops_and_goes_on),
        TEST(pieces_of_any_size),
        TEST(other_methods_are_refused),
        TEST(unwanted_bodies_are_skipped_or_end_it),
        TEST(an_upgrade_is_not_made),
        TEST(what_is_no_request_is_refused),
        TEST(large_heads_are_refused),
        TEST(pages_of_others_are_refused),
        TEST(invited_pages_are_told),
        TEST(preflight_is_answered),
        TEST(a_slow_head_is_refused),
        TEST(heads_have_their_own_time),
        TEST(an_idle_connection_is_closed),
        TEST(who_does_not_read_is_cut),
        TEST(output_that_is_full_stops_input),
        TEST(a_client_that_ends_its_direction_is_answered),
        TEST(a_client_may_go_while_its_page_is_gathered),
        TEST(the_longest_idle_makes_room),
        TEST(the_busy_do_not_make_room),
        TEST(draining_ends_all_but_health),
        TEST(closing_does_not_linger),
        TEST(cutting_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
