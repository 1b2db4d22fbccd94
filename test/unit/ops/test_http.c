/* The operator's port: requests in any pieces, one after the other on a connection, refused ones,
 * and clients that go away. */
#include "ops/http.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"
#include "ops/metrics.h"

#include "../broker/rig.h"
#include "../check.h"

#include <stdio.h>
#include <string.h>

#define CLIENTS_MAX 256

struct client {
    struct pipe pipe;
    char got[1 << 16]; /* NUL-terminated */
    size_t n;
    bool paused, closing, gone;
};

static struct rig rig;
static struct ops_http *http;
static struct client *clients[CLIENTS_MAX];
static unsigned clients_n;

/* ---- the pipe ------------------------------------------------------------------------------- */

static struct client *client_of(struct pipe *p)
{
    return container_of(p, struct client, pipe);
}

static bool fake_send(struct pipe *p, struct chunkq *q)
{
    struct client *c = client_of(p);
    for (struct chunk *k = q->head; k && !c->closing; k = k->next) {
        assert_true(c->n + k->slice.len < sizeof c->got);
        memcpy(c->got + c->n, k->slice.at, k->slice.len);
        c->n += k->slice.len;
    }
    chunkq_clear(q);
    return true;
}

static void fake_resume(struct pipe *p)
{
    client_of(p)->paused = false;
}

static void fake_close(struct pipe *p)
{
    client_of(p)->closing = true;
}

static void fake_abort(struct pipe *p, enum err why)
{
    (void)why;
    client_of(p)->closing = true;
}

static const struct pipe_ops fake_ops = {fake_send, fake_resume, fake_close, fake_abort};

static void run(void)
{
    rig_run(&rig);
    for (unsigned i = 0; i < clients_n; i++) {
        struct client *c = clients[i];
        if (!c->closing || c->gone)
            continue;
        c->gone = true;
        c->pipe.user_ops->closed(c->pipe.user, ERR_OK);
    }
}

static void extra(void *arg, struct wr *w)
{
    (void)arg;
    metrics_line(w, "extra");
    metrics_value(w, 1);
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 2);
    http = ops_http_make(rig.brokers[0], extra, NULL);
    ops_http_set_ready(http, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_defer(&rig, false);
    for (unsigned i = 0; i < clients_n; i++)
        clients[i]->closing = true;
    run();
    assert_int_equal(ops_http_open(http), 0);
    ops_http_free(http);
    rig_free(&rig);
    while (clients_n)
        mem_free(clients[--clients_n]);
    return 0;
}

static struct client *open_one(void)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    assert_true(clients_n < CLIENTS_MAX);
    c->pipe.ops = &fake_ops;
    clients[clients_n++] = c;
    c->gone = c->closing = !ops_http_accept(http, &c->pipe);
    return c;
}

/* Hands over what is taken, without moving anything else; returns how much that was. */
static size_t push(struct client *c, const char *p, size_t n)
{
    size_t done = 0;
    while (done < n && !c->closing && !c->paused) {
        size_t cap;
        void *space = c->pipe.user_ops->space(c->pipe.user, &cap);
        if (!space) {
            c->paused = true;
            break;
        }
        cap = cap < n - done ? cap : n - done;
        memcpy(space, p + done, cap);
        done += cap;
        c->pipe.user_ops->received(c->pipe.user, cap);
    }
    return done;
}

static void say(struct client *c, const char *text)
{
    (void)push(c, text, strlen(text));
    run();
}

static void end(struct client *c)
{
    if (!c->closing)
        c->pipe.user_ops->received(c->pipe.user, 0);
    run();
}

/* The next answer's status; its head and body are checked for their form and taken. */
static int status_of(struct client *c, const char *body_has)
{
    int status;
    size_t body;
    char *head_end = strstr(c->got, "\r\n\r\n");
    assert_non_null(head_end);
    assert_int_equal(sscanf(c->got, "HTTP/1.1 %d ", &status), 1);
    const char *length = strstr(c->got, "Content-Length: ");
    assert_true(length && length < head_end);
    assert_int_equal(sscanf(length, "Content-Length: %zu", &body), 1);
    size_t whole = (size_t)(head_end + 4 - c->got) + (body_has ? body : 0);
    assert_true(whole <= c->n);
    if (body_has && *body_has)
        assert_non_null(
            memmem(head_end, whole - (size_t)(head_end - c->got), body_has, strlen(body_has)));
    memmove(c->got, c->got + whole, c->n - whole + 1);
    c->n -= whole;
    return status;
}

static int ask(const char *request, const char *body_has)
{
    struct client *c = open_one();
    say(c, request);
    int status = status_of(c, body_has);
    assert_int_equal(c->n, 0);
    return status;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- requests ------------------------------------------------------------------------------- */

static void the_three_paths_are_served(void **state)
{
    (void)state;
    assert_int_equal(ask(GET("/healthz"), "ok"), 200);
    assert_int_equal(ask(GET("/readyz"), "ready"), 200);
    assert_int_equal(ask(GET("/metrics"), "kafka_brokers 1"), 200);
    assert_int_equal(ask(GET("/metrics"), "extra 1"), 200);
    assert_int_equal(ask(GET("/metrics?x=1"), "extra 1"), 200);
    assert_int_equal(ask(GET("/"), "/metrics"), 404);
    assert_int_equal(ask(GET("/healthz/"), ""), 404);
    assert_int_equal(ask(GET("/health"), ""), 404);
}

static void readiness_is_told(void **state)
{
    (void)state;
    ops_http_set_ready(http, false);
    assert_int_equal(ask(GET("/healthz"), "ok"), 200);
    assert_int_equal(ask(GET("/readyz"), "starting or stopping"), 503);
    assert_int_equal(ask(GET("/metrics"), ""), 503);
    ops_http_set_ready(http, true);
    assert_int_equal(ask(GET("/readyz"), "ready"), 200);
}

static void head_has_no_body(void **state)
{
    (void)state;
    assert_int_equal(ask("HEAD /healthz HTTP/1.1\r\n\r\n", NULL), 200);
    assert_int_equal(ask("HEAD /metrics HTTP/1.1\r\n\r\n", NULL), 200);
    assert_int_equal(ask("HEAD /nowhere HTTP/1.1\r\n\r\n", NULL), 404);
}

static void requests_come_in_single_bytes(void **state)
{
    const char *text = GET("/healthz");
    struct client *c = open_one();
    (void)state;
    for (size_t i = 0; text[i]; i++) {
        assert_int_equal(c->n, 0);
        (void)push(c, text + i, 1);
    }
    assert_int_equal(status_of(c, "ok"), 200);
}

static void a_connection_is_kept(void **state)
{
    struct client *c = open_one();
    (void)state;
    for (int i = 0; i < 5; i++) {
        say(c, i % 2 ? GET("/metrics") : GET("/readyz"));
        assert_int_equal(status_of(c, ""), 200);
        assert_false(c->closing);
    }
    say(c, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_int_equal(status_of(c, "ok"), 200);
    assert_true(c->gone);
    c = open_one();
    say(c, "GET /healthz HTTP/1.0\r\n\r\n");
    assert_int_equal(status_of(c, "ok"), 200);
    assert_true(c->gone);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct client *c = open_one();
    (void)state;
    say(c, GET("/healthz") GET("/metrics") GET("/nowhere")
               GET("/metrics") "HEAD /readyz HTTP/1.1\r\n\r\n" GET("/readyz"));
    assert_int_equal(status_of(c, "ok"), 200);
    assert_int_equal(status_of(c, "extra 1"), 200);
    assert_int_equal(status_of(c, "there are"), 404);
    assert_int_equal(status_of(c, "extra 1"), 200);
    assert_int_equal(status_of(c, NULL), 200);
    assert_int_equal(status_of(c, "ready"), 200);
    assert_int_equal(c->n, 0);
}

/* More than fits behind a page that is being gathered: reading goes on when the page is there. */
static void reading_goes_on_after_a_page(void **state)
{
    struct client *c = open_one();
    size_t asked = 1, n = strlen(GET("/healthz"));
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    rig_defer(&rig, true);
    (void)push(c, GET("/metrics"), strlen(GET("/metrics")));
    assert_int_equal(c->n, 0);
    while (!c->paused)
        asked += push(c, GET("/healthz"), n) == n;
    rig_defer(&rig, false);
    run();
    assert_false(c->paused);
    assert_int_equal(status_of(c, "extra 1"), 200);
    for (size_t i = 1; i < asked; i++)
        assert_int_equal(status_of(c, "ok"), 200);
}

static void pieces_of_any_size(void **state)
{
    static const char *const requests[] = {GET("/healthz"), GET("/metrics"), GET("/x"),
                                           "HEAD /metrics HTTP/1.1\r\nA: b\r\n\r\n"};
    static const int statuses[] = {200, 200, 404, 200};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 5);
    for (unsigned round = 0; round < 20; round++) {
        struct client *c = open_one();
        size_t order[20];
        char text[2048] = "";
        for (size_t i = 0; i < 20; i++) {
            order[i] = rng_below(&rng, 4);
            strncat(text, requests[order[i]], sizeof text - strlen(text) - 1);
        }
        for (size_t at = 0, n = strlen(text); at < n;) {
            size_t piece = 1 + rng_below(&rng, 60);
            at += push(c, text + at, piece < n - at ? piece : n - at);
            if (rng_below(&rng, 3) == 0)
                run();
        }
        run();
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(status_of(c, order[i] == 3 ? NULL : ""), statuses[order[i]]);
        assert_int_equal(c->n, 0);
    }
}

/* ---- refused -------------------------------------------------------------------------------- */

static void refused(const char *request, int status)
{
    struct client *c = open_one();
    say(c, request);
    assert_non_null(strstr(c->got, "Connection: close"));
    assert_int_equal(status_of(c, ""), status);
    assert_int_equal(c->n, 0);
    assert_true(c->gone);
}

static void other_methods_are_refused(void **state)
{
    struct client *c = open_one();
    (void)state;
    refused("POST /metrics HTTP/1.1\r\n\r\n", 405);
    refused("DELETE /healthz HTTP/1.1\r\n\r\n", 405);
    refused("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405);
    refused("PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405);
    refused("CONNECT a:1 HTTP/1.1\r\n\r\n", 405);
    say(c, "OPTIONS / HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(c->got, "Allow: GET, HEAD\r\n"));
}

static void bodies_are_refused(void **state)
{
    (void)state;
    refused("GET /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 413);
    refused("GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413);
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "ok"), 200);
}

static void an_upgrade_is_not_made(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                         "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                         "ok"),
                     200);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
    refused("hello\r\n\r\n", 400);
    refused("GET /healthz\r\n\r\n", 400);
    refused("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n", 400);
}

static void large_heads_are_refused(void **state)
{
    static char text[3 * OPS_HTTP_HEAD_MAX];
    (void)state;
    snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\n\r\n", OPS_HTTP_TARGET_MAX - 1, 0);
    assert_int_equal(ask(text, ""), 404);
    snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\n\r\n", OPS_HTTP_TARGET_MAX, 0);
    refused(text, 414);
    snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nA: %0*d\r\n\r\n",
             (int)OPS_HTTP_HEAD_MAX - 100, 0);
    assert_int_equal(ask(text, "ok"), 200);
    snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nA: %0*d\r\n\r\n",
             (int)OPS_HTTP_HEAD_MAX + 10, 0);
    refused(text, 431);
    /* It never ends. */
    struct client *c = open_one();
    say(c, "GET /healthz HTTP/1.1\r\n");
    for (int i = 0; i < 5000 && !c->closing; i++)
        say(c, "Some-Header: with a value\r\n");
    assert_int_equal(status_of(c, ""), 431);
    assert_true(c->gone);
}

/* ---- going away ----------------------------------------------------------------------------- */

static void a_client_that_ends_its_direction_is_answered(void **state)
{
    struct client *c = open_one();
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    rig_defer(&rig, true);
    (void)push(c, GET("/metrics") GET("/healthz"), strlen(GET("/metrics") GET("/healthz")));
    c->pipe.user_ops->received(c->pipe.user, 0);
    assert_false(c->closing);
    rig_defer(&rig, false);
    run();
    assert_int_equal(status_of(c, "extra 1"), 200);
    assert_int_equal(status_of(c, "ok"), 200);
    assert_true(c->gone);

    c = open_one();
    end(c);
    assert_true(c->gone);
    c = open_one();
    say(c, "GET /heal");
    end(c);
    assert_true(c->gone);
    assert_int_equal(c->n, 0);
}

static void a_client_may_go_while_its_page_is_gathered(void **state)
{
    struct client *c = open_one();
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    rig_defer(&rig, true);
    (void)push(c, GET("/metrics"), strlen(GET("/metrics")));
    c->closing = c->gone = true;
    c->pipe.user_ops->closed(c->pipe.user, ERR_CLOSED);
    assert_int_equal(ops_http_open(http), 1);
    rig_defer(&rig, false);
    run();
    assert_int_equal(ops_http_open(http), 0);
    assert_int_equal(c->n, 0);
}

static void the_quietest_makes_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OPS_HTTP_CONNECTIONS_MAX; i++)
        (void)open_one();
    say(clients[0], GET("/healthz"));
    struct client *late = open_one();
    run();
    assert_false(clients[0]->gone);
    assert_true(clients[1]->gone);
    assert_false(clients[2]->gone);
    say(late, GET("/healthz"));
    assert_int_equal(status_of(late, "ok"), 200);
    assert_int_equal(ops_http_open(http), OPS_HTTP_CONNECTIONS_MAX);
}

static void there_is_an_end_to_connections(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    rig_defer(&rig, true); /* whose pages are being gathered are not closed for others */
    for (unsigned i = 0; i < 2 * OPS_HTTP_CONNECTIONS_MAX; i++) {
        struct client *c = open_one();
        assert_false(c->gone);
        (void)push(c, GET("/metrics"), strlen(GET("/metrics")));
    }
    assert_true(open_one()->gone);
    rig_defer(&rig, false);
    run();
    assert_int_equal(status_of(clients[0], "extra 1"), 200);
}

static void closing_the_port_ends_all(void **state)
{
    struct client *idle = open_one(), *busy = open_one();
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    rig_defer(&rig, true);
    (void)push(busy, GET("/metrics"), strlen(GET("/metrics")));
    ops_http_close(http);
    assert_true(idle->closing);
    assert_false(busy->closing);
    assert_true(open_one()->gone);
    rig_defer(&rig, false);
    run();
    assert_int_equal(status_of(busy, "extra 1"), 200);
    assert_true(busy->gone);
    assert_int_equal(ops_http_open(http), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(the_three_paths_are_served),
        TEST(readiness_is_told),
        TEST(head_has_no_body),
        TEST(requests_come_in_single_bytes),
        TEST(a_connection_is_kept),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(reading_goes_on_after_a_page),
        TEST(pieces_of_any_size),
        TEST(other_methods_are_refused),
        TEST(bodies_are_refused),
        TEST(an_upgrade_is_not_made),
        TEST(what_is_no_request_is_refused),
        TEST(large_heads_are_refused),
        TEST(a_client_that_ends_its_direction_is_answered),
        TEST(a_client_may_go_while_its_page_is_gathered),
        TEST(the_quietest_makes_room),
        TEST(there_is_an_end_to_connections),
        TEST(closing_the_port_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
