/* Calls to a scripted server, on real sockets and on simulated ones; and over a pipe that the test
 * holds in its hand. */
#include "../io/world.h"

#include "base/mem.h"
#include "base/str.h"
#include "flow/http_answer.h"
#include "flow/http_local.h"
#include "flow/http_local_request.h"

#include <stdlib.h>
#include <string.h>

/* ---- a server that answers as the script says ------------------------------------------------ */

#define REQUEST_MAX (4 << 20)

struct answer {
    const char *text; /* NULL: nothing */
    size_t n;         /* of it, 0: all */
    bool one_by_one;  /* a byte a turn */
    bool close, reset;
};

struct server_conn {
    struct pipe *pipe;
    char in[65536];
    char *request;
    size_t request_n;
    const char *rest; /* to be sent byte by byte */
    struct env_mail mail;
    bool mailed, closed, close;
};

static struct {
    struct answer script[8];
    unsigned next;
    unsigned accepted, requests, open;
    char last[4096]; /* the last request's first bytes */
    size_t last_n;
    struct listener *listener;
    struct loop *loop;
} server;

static void send_text(struct pipe *p, const char *text, size_t n)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, text, n);
    pipe_send(p, &q);
}

static void send_rest(struct env_mail *mail, struct env *env)
{
    struct server_conn *c = container_of(mail, struct server_conn, mail);
    c->mailed = false;
    if (c->closed) {
        free(c);
        return;
    }
    send_text(c->pipe, c->rest++, 1);
    c->mailed = *c->rest != '\0';
    if (c->mailed)
        env_post(env, env->reactor, &c->mail);
    else if (c->close)
        pipe_close(c->pipe);
}

static void server_answer(struct server_conn *c)
{
    const struct answer *a = &server.script[server.next++ % 8];
    size_t n = a->text ? (a->n ? a->n : strlen(a->text)) : 0;
    server.last_n = c->request_n < sizeof server.last - 1 ? c->request_n : sizeof server.last - 1;
    memcpy(server.last, c->request, server.last_n);
    server.last[server.last_n] = '\0';
    server.requests++;
    c->request_n = 0;
    if (a->one_by_one) {
        c->rest = a->text;
        c->mail.run = send_rest;
        c->mailed = true;
        c->close = a->close;
        env_post(loop_env(server.loop), 0, &c->mail);
        return;
    }
    if (n > 0)
        send_text(c->pipe, a->text, n);
    if (a->close)
        pipe_close(c->pipe);
    else if (a->reset)
        pipe_abort(c->pipe, ERR_CLOSED);
}

static bool is_whole(const struct server_conn *c)
{
    const char *end = memmem(c->request, c->request_n, "\r\n\r\n", 4);
    const char *length = memmem(c->request, c->request_n, "Content-Length: ", 16);
    if (!end)
        return false;
    size_t want = (size_t)(end + 4 - c->request);
    if (length && length < end)
        want += strtoul(length + 16, NULL, 10);
    return c->request_n >= want;
}

static void *server_space(void *user, size_t *cap)
{
    struct server_conn *c = user;
    *cap = sizeof c->in;
    return c->in;
}

static void server_received(void *user, size_t n)
{
    struct server_conn *c = user;
    if (n == 0) {
        pipe_close(c->pipe);
        return;
    }
    assert_true(c->request_n + n <= REQUEST_MAX);
    memcpy(c->request + c->request_n, c->in, n);
    c->request_n += n;
    if (is_whole(c))
        server_answer(c);
}

static void server_closed(void *user, enum err why)
{
    struct server_conn *c = user;
    (void)why;
    server.open--;
    c->closed = true;
    free(c->request);
    if (!c->mailed)
        free(c);
}

static const struct pipe_user_ops server_ops = {
    .space = server_space, .received = server_received, .closed = server_closed};

static bool server_accept(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct server_conn *c = calloc(1, sizeof *c);
    (void)arg;
    (void)loop;
    c->pipe = pipe;
    c->request = malloc(REQUEST_MAX);
    pipe->user_ops = &server_ops;
    pipe->user = c;
    server.accepted++;
    server.open++;
    return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static struct http_local *local;
static struct budget answers;
static char base[PIPE_ADDR_MAX + 16];

struct result {
    struct http_call call;
    struct env_timer wait; /* before it is made */
    char url[256], body[1 << 16];
    char header[128]; /* of x-test */
    size_t answer_n;
    enum http_outcome outcome;
    int status;
    bool over, cut;
    struct result *then; /* made from inside of done */
};

static unsigned left;

static void make_call(struct result *r)
{
    http_call(http_local_client(local), &r->call);
    assert_false(r->over);
}

static void call_done(struct http_call *call)
{
    struct result *r = call->user;
    assert_false(r->over);
    r->over = true;
    r->outcome = call->outcome;
    r->status = call->status;
    r->cut = call->answer_cut;
    r->answer_n = call->answer.len;
    size_t n = call->answer.len < sizeof r->body - 1 ? call->answer.len : sizeof r->body - 1;
    if (n)
        memcpy(r->body, call->answer.at, n);
    struct str header = http_answer_header(call, "x-test");
    if (header.at)
        assert_true(str_copy(r->header, sizeof r->header, header));
    if (r->then)
        make_call(r->then);
    if (--left == 0)
        world_stop();
}

static struct result *result_make(const char *path)
{
    struct result *r = calloc(1, sizeof *r);
    snprintf(r->url, sizeof r->url, "%s%s", base, path);
    r->call = (struct http_call){.method = "POST",
                                 .url = r->url,
                                 .body = STR_LIT("hello"),
                                 .timeout_ms = 600000,
                                 .answer_bytes_max = 1 << 20,
                                 .done = call_done,
                                 .user = r};
    left++;
    return r;
}

/* One after the other: each is made when the one before it is over. */
static void run(struct result *r)
{
    make_call(r);
    world_run();
    assert_true(r->over);
}

static void begin(enum world_kind kind, const struct answer *script, size_t n)
{
    memset(&server, 0, sizeof server);
    memcpy(server.script, script, n * sizeof *script);
    left = 0;
    world_make(kind, 1);
    server.loop = world.loops[0];
    const struct listen_conf conf = {.bind = "127.0.0.1:0", .accept = server_accept};
    assert_int_equal(loop_listen(world.loops, 1, &conf, &server.listener, NULL), ERR_OK);
    snprintf(base, sizeof base, "http://%s", listener_addr(server.listener));
    answers = (struct budget){.max = 8192, .free = 1024};
    local = http_local_make(world.loops[0], &answers);
}

static struct env_timer until_free;

static void look_again(struct env_timer *timer)
{
    if (http_local_busy(local) || server.open > 0)
        env_timer_set(loop_env(world.loops[0]), timer, 1000);
    else
        world_stop();
}

static void finish(void)
{
    http_local_stop(local);
    until_free = (struct env_timer){.fire = look_again};
    env_timer_set(loop_env(world.loops[0]), &until_free, 0);
    world_run();
    http_local_free(local);
    listener_close(server.listener);
    world_free();
}

#define BEGIN(kind, ...)                                                                           \
    begin(kind, (const struct answer[]){__VA_ARGS__},                                              \
          sizeof((const struct answer[]){__VA_ARGS__}) / sizeof(struct answer))

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Test: one \r\n\r\nworld"

static void expect(struct result *r, int status, const char *body)
{
    assert_int_equal(r->outcome, HTTP_ANSWERED);
    assert_int_equal(r->status, status);
    assert_string_equal(r->body, body);
    free(r);
}

static void expect_failed(struct result *r, enum http_outcome outcome)
{
    assert_int_equal(r->outcome, outcome);
    assert_int_equal(r->status, 0);
    assert_true(r->call.error[0] != '\0');
    free(r);
}

/* ---- tests ----------------------------------------------------------------------------------- */

WORLD_DEFINE(test_one_connection_serves_many_calls)
{
    BEGIN(kind, {.text = OK_HELLO}, {.text = OK_HELLO});
    struct result *r = result_make("/enrich?x=1");
    struct http_header headers[] = {{STR_LIT("ce-id"), STR_LIT("7")}};
    r->call.headers = headers;
    r->call.headers_n = 1;
    run(r);
    char want[512];
    snprintf(want, sizeof want,
             "POST /enrich?x=1 HTTP/1.1\r\nce-id: 7\r\nHost: %s\r\n"
             "User-Agent: weir/" WEIR_VERSION "\r\nContent-Length: 5\r\n\r\nhello",
             base + strlen("http://"));
    assert_string_equal(server.last, want);
    assert_string_equal(r->header, "one");
    expect(r, 200, "world");
    r = result_make("");
    run(r);
    expect(r, 200, "world");
    assert_non_null(strstr(server.last, "POST / HTTP/1.1\r\n"));
    assert_int_equal(server.accepted, 1);
    finish();
}

WORLD_DEFINE(test_a_call_from_inside_of_done_uses_the_same_connection)
{
    BEGIN(kind, {.text = OK_HELLO}, {.text = OK_HELLO});
    struct result *first = result_make("/"), *second = result_make("/");
    first->then = second;
    run(first);
    expect(first, 200, "world");
    expect(second, 200, "world");
    assert_int_equal(server.accepted, 1);
    finish();
}

WORLD_DEFINE(test_every_framing_of_a_body)
{
    BEGIN(kind,
          {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX-Test: no\r\n\r\n",
           .one_by_one = true},
          {.text = "HTTP/1.1 204 No Content\r\n\r\n"},
          {.text = "HTTP/1.1 100 Continue\r\nX-Test: no\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
                   "Link: <x>\r\n\r\nHTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
          {.text = "HTTP/1.0 200 OK\r\n\r\nuntil the end", .close = true});
    static const struct {
        const char *method;
        int status;
        const char *body;
    } want[] = {{"POST", 200, "hello!"},
                {"POST", 204, ""},
                {"POST", 200, "ok"},
                {"HEAD", 200, ""},
                {"POST", 200, "until the end"}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct result *r = result_make("/");
        r->call.method = want[i].method;
        run(r);
        assert_string_equal(r->header, "");
        expect(r, want[i].status, want[i].body);
    }
    assert_int_equal(server.accepted, 1);
    finish();
}

WORLD_DEFINE(test_connections_are_not_kept_against_the_peers_will)
{
    BEGIN(kind, {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
          {.text = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
          {.text = OK_HELLO "HTTP/1.1 200 what was not asked"}, {.text = OK_HELLO});
    for (unsigned i = 0; i < 4; i++) {
        struct result *r = result_make("/");
        run(r);
        expect(r, 200, i < 2 ? "" : "world");
        assert_int_equal(server.accepted, i + 1);
    }
    finish();
}

WORLD_DEFINE(test_what_breaks_is_unreachable)
{
    BEGIN(kind, {.close = true}, {.reset = true},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of it", .close = true},
          {.text = "HTTP/1.1 200 OK\r\nContent-Le", .close = true}, {.text = OK_HELLO, .n = 60});
    for (unsigned i = 0; i < 4; i++) {
        struct result *r = result_make("/");
        run(r);
        expect_failed(r, HTTP_UNREACHABLE);
    }
    assert_int_equal(server.requests, 4); /* none was sent again */
    finish();
}

WORLD_DEFINE(test_nobody_listens)
{
    BEGIN(kind, {.text = OK_HELLO});
    struct result *r = result_make("/");
    listener_close(server.listener);
    run(r);
    expect_failed(r, HTTP_UNREACHABLE);
    const struct listen_conf conf = {.bind = "127.0.0.1:0", .accept = server_accept};
    assert_int_equal(loop_listen(world.loops, 1, &conf, &server.listener, NULL), ERR_OK);
    finish();
}

WORLD_DEFINE(test_what_is_no_http)
{
    BEGIN(kind, {.text = "SSH-2.0-OpenSSH_9.2\r\n"},
          {.text = "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
          {.text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
          {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"});
    for (unsigned i = 0; i < 5; i++) {
        struct result *r = result_make("/");
        run(r);
        expect_failed(r, HTTP_ANSWER_BAD);
    }
    finish();
}

static char endless[HTTP_CALL_HEADERS_MAX * 1000];

WORLD_DEFINE(test_heads_are_bounded)
{
    size_t n = (size_t)snprintf(endless, sizeof endless, "HTTP/1.1 200 OK\r\n");
    while (n < 70000)
        n += (size_t)snprintf(endless + n, sizeof endless - n, "X-H%zu: %0100d\r\n", n, 0);
    BEGIN(kind, {.text = endless}, {.text = OK_HELLO});
    answers.max = 1 << 20;
    struct result *r = result_make("/");
    run(r);
    expect_failed(r, HTTP_ANSWER_BAD);
    /* 200 short ones are an answer; the first 128 are told. */
    n = (size_t)snprintf(endless, sizeof endless, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (unsigned i = 0; i < 200; i++)
        n += (size_t)snprintf(endless + n, sizeof endless - n, "X-H%u: %u\r\n", i, i);
    snprintf(endless + n, sizeof endless - n, "\r\nok");
    server.script[1].text = endless;
    r = result_make("/");
    run(r);
    assert_int_equal(r->call.answer_headers_n, HTTP_CALL_HEADERS_MAX);
    expect(r, 200, "ok");
    finish();
}

WORLD_DEFINE(test_a_larger_answer_is_cut)
{
    BEGIN(kind, {.text = OK_HELLO}, {.text = OK_HELLO});
    struct result *r = result_make("/");
    r->call.answer_bytes_max = 3;
    run(r);
    assert_true(r->cut);
    expect(r, 200, "wor");
    r = result_make("/");
    r->call.answer_bytes_max = 5;
    run(r);
    assert_false(r->cut);
    expect(r, 200, "world");
    assert_int_equal(server.accepted, 2);
    finish();
}

WORLD_DEFINE(test_time_is_up)
{
    BEGIN(kind, {.text = NULL}, {.text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"},
          {.text = OK_HELLO});
    for (unsigned i = 0; i < 2; i++) {
        struct result *r = result_make("/");
        r->call.timeout_ms = 20;
        run(r);
        assert_true(r->call.took_us >= 20000);
        expect_failed(r, HTTP_TIMED_OUT);
    }
    struct result *r = result_make("/"); /* not on a connection that still owes an answer */
    run(r);
    expect(r, 200, "world");
    assert_int_equal(server.accepted, 3);
    finish();
}

static struct env_timer cancel_timer;
static struct result *cancelled;

static void cancel_now(struct env_timer *timer)
{
    (void)timer;
    http_cancel(http_local_client(local), &cancelled->call);
    http_cancel(http_local_client(local), &cancelled->call);
    assert_false(cancelled->over);
}

WORLD_DEFINE(test_a_call_is_cancelled)
{
    BEGIN(kind, {.text = NULL});
    cancelled = result_make("/");
    cancel_timer = (struct env_timer){.fire = cancel_now};
    env_timer_set(loop_env(world.loops[0]), &cancel_timer, 1000);
    run(cancelled);
    expect_failed(cancelled, HTTP_CANCELLED);
    cancelled = result_make("/"); /* at once, before anything was sent */
    make_call(cancelled);
    cancel_now(NULL);
    world_run();
    expect_failed(cancelled, HTTP_CANCELLED);
    finish();
}

WORLD_DEFINE(test_a_connection_that_the_peer_closed_is_not_used)
{
    BEGIN(kind, {.text = OK_HELLO, .close = true}, {.text = OK_HELLO});
    struct result *r = result_make("/");
    run(r);
    expect(r, 200, "world");
    until_free = (struct env_timer){.fire = look_again};
    env_timer_set(loop_env(world.loops[0]), &until_free, 0);
    world_run(); /* until the client has seen it, too */
    assert_false(http_local_busy(local));
    r = result_make("/");
    run(r);
    expect(r, 200, "world");
    assert_int_equal(server.accepted, 2);
    finish();
}

static void call_later(struct env_timer *timer)
{
    make_call(container_of(timer, struct result, wait));
}

WORLD_DEFINE(test_idle_connections_end)
{
    if (kind == WORLD_REAL)
        return; /* four seconds */
    BEGIN(kind, {.text = OK_HELLO},
          {.text = "HTTP/1.1 200 OK\r\nKeep-Alive: max=5, timeout=2\r\n"
                   "Content-Length: 0\r\n\r\n"},
          {.text = OK_HELLO});
    struct result *r = result_make("/");
    run(r);
    expect(r, 200, "world");
    until_free = (struct env_timer){.fire = look_again};
    env_timer_set(loop_env(world.loops[0]), &until_free, 0);
    uint64_t before = sim_mono_us(world.sim);
    world_run();
    assert_false(http_local_busy(local));
    assert_true(sim_mono_us(world.sim) - before >= HTTP_LOCAL_IDLE_US);
    r = result_make("/");
    run(r);
    expect(r, 200, "");
    r = result_make("/");
    r->wait.fire = call_later;
    env_timer_set(loop_env(world.loops[0]), &r->wait, 1500000); /* the peer's time is nearly up */
    world_run();
    expect(r, 200, "world");
    assert_int_equal(server.accepted, 3);
    finish();
}

WORLD_DEFINE(test_an_answer_before_the_request_is_whole)
{
    BEGIN(kind, {.text = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"},
          {.text = OK_HELLO});
    char *body = calloc(1, REQUEST_MAX / 2);
    struct result *r = result_make("/");
    r->call.body = (struct str){body, REQUEST_MAX / 2};
    run(r);
    expect(r, 413, "");
    r = result_make("/");
    run(r);
    expect(r, 200, "world");
    free(body);
    finish();
}

WORLD_DEFINE(test_many_at_once)
{
    BEGIN(kind, {.text = OK_HELLO});
    struct result *r[100];
    for (unsigned i = 1; i < 8; i++)
        server.script[i] = server.script[0];
    for (unsigned i = 0; i < 100; i++)
        r[i] = result_make("/");
    for (unsigned round = 0; round < 2; round++) {
        left = 100;
        for (unsigned i = 0; i < 100; i++) {
            r[i]->over = false;
            make_call(r[i]);
        }
        world_run();
    }
    for (unsigned i = 0; i < 100; i++)
        expect(r[i], 200, "world");
    assert_int_equal(server.accepted, 100);
    finish();
}

WORLD_DEFINE(test_calls_that_cannot_be_made)
{
    static const struct {
        const char *url;
        enum http_outcome outcome;
    } bad[] = {{"https://127.0.0.1:1/", HTTP_FORBIDDEN},
               {"http://localhost:1/", HTTP_FORBIDDEN},
               {"http://127.0.0.1.evil.example:1/", HTTP_FORBIDDEN},
               {"http://127.0.0.1:1@evil.example/", HTTP_FORBIDDEN},
               {"http://127.0.0.1:/", HTTP_FORBIDDEN},
               {"http://127.0.0.1:70000/", HTTP_FORBIDDEN},
               {"http://[::1", HTTP_FORBIDDEN},
               {"http://169.254.169.254/", HTTP_FORBIDDEN},
               {"http://unix:", HTTP_CALL_BAD},
               {"http://127.0.0.1:1/a b", HTTP_CALL_BAD},
               {"http://127.0.0.1:1/a\r\nX: y", HTTP_CALL_BAD},
               {"ftp://127.0.0.1/", HTTP_FORBIDDEN},
               {"", HTTP_FORBIDDEN}};
    static const struct http_header headers[] = {{STR_LIT("Content-Length"), STR_LIT("3")},
                                                 {STR_LIT("transfer-encoding"), STR_LIT("x")},
                                                 {STR_LIT("X"), STR_LIT("a\r\nY: b")},
                                                 {STR_LIT("X: y"), STR_LIT("a")},
                                                 {STR_LIT(""), STR_LIT("a")},
                                                 {STR_LIT("Connection"), STR_LIT("close")}};
    BEGIN(kind, {.text = OK_HELLO});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct result *r = result_make("");
        r->call.url = bad[i].url;
        run(r);
        expect_failed(r, bad[i].outcome);
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct result *r = result_make("/");
        r->call.headers = &headers[i];
        r->call.headers_n = 1;
        run(r);
        expect_failed(r, HTTP_CALL_BAD);
    }
    assert_int_equal(server.accepted, 0);
    finish();
}

static void test_urls(void **state)
{
    static const struct {
        const char *url, *addr, *line, *host;
    } good[] = {
        {"http://127.0.0.1", "127.0.0.1:80", "GET / HTTP/1.1\r\n", "Host: 127.0.0.1\r\n"},
        {"http://127.0.0.1:8081?a=b#c", "127.0.0.1:8081", "GET /?a=b HTTP/1.1\r\n",
         "Host: 127.0.0.1:8081\r\n"},
        {"http://[::1]:5/x", "[::1]:5", "GET /x HTTP/1.1\r\n", "Host: [::1]:5\r\n"},
        {"HTTP://unix:/run/w.sock:/p/q", "unix:/run/w.sock", "GET /p/q HTTP/1.1\r\n",
         "Host: localhost\r\n"},
        {"http://unix:/run/w.sock", "unix:/run/w.sock", "GET / HTTP/1.1\r\n",
         "Host: localhost\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct http_call call = {.method = "GET", .url = good[i].url};
        struct wr head = {NULL, 0};
        char addr[PIPE_ADDR_MAX];
        const char *why;
        assert_int_equal(http_local_request(&call, addr, &head, &why), HTTP_ANSWERED);
        wr_u8(&head, 0);
        const char *text = (const char *)head.buf->data;
        assert_string_equal(addr, good[i].addr);
        assert_memory_equal(text, good[i].line, strlen(good[i].line));
        assert_non_null(strstr(text, good[i].host));
        assert_null(strstr(text, "Content-Length"));
        wr_free(&head);
    }
}

/* ---- a pipe in the hand ---------------------------------------------------------------------- */

enum err __real_loop_connect(struct loop *loop, const char *addr,
                             const struct pipe_user_ops *user_ops, void *user, struct pipe **out);
enum err __wrap_loop_connect(struct loop *loop, const char *addr,
                             const struct pipe_user_ops *user_ops, void *user, struct pipe **out);

static struct hand {
    struct pipe pipe;
    bool aborted;
} hands[4];
static unsigned hands_n, hands_max;

static bool hand_send(struct pipe *p, struct chunkq *q)
{
    p->unsent += q->bytes;
    chunkq_clear(q);
    return true;
}

static void hand_nothing(struct pipe *p)
{
    (void)p;
}

static void hand_abort(struct pipe *p, enum err why)
{
    (void)why;
    p->unsent = 0;
    ((struct hand *)p)->aborted = true;
}

enum err __wrap_loop_connect(struct loop *loop, const char *addr,
                             const struct pipe_user_ops *user_ops, void *user, struct pipe **out)
{
    static const struct pipe_ops ops = {hand_send, hand_nothing, hand_nothing, hand_abort};
    if (hands_max == 0)
        return __real_loop_connect(loop, addr, user_ops, user, out);
    if (hands_n == hands_max)
        return ERR_BUSY;
    struct hand *h = &hands[hands_n++];
    *h = (struct hand){.pipe = {.ops = &ops, .user_ops = user_ops, .user = user}};
    *out = &h->pipe;
    return ERR_OK;
}

static void hand_receive(struct hand *h, const char *text)
{
    size_t cap, n = strlen(text);
    void *space = h->pipe.user_ops->space(h->pipe.user, &cap);
    assert_true(n <= cap);
    memcpy(space, text, n);
    h->pipe.user_ops->received(h->pipe.user, n);
}

static void hand_close(struct hand *h)
{
    h->pipe.user_ops->closed(h->pipe.user, ERR_CLOSED);
}

static void hands_begin(unsigned most)
{
    BEGIN(WORLD_SIM, {.text = NULL});
    hands_n = 0;
    hands_max = most;
    left = 100;
}

static void hands_finish(void)
{
    for (unsigned i = 0; i < hands_n; i++) {
        if (!hands[i].aborted)
            http_local_stop(local);
        hand_close(&hands[i]);
    }
    hands_max = 0;
    finish();
}

static struct result *first_call(void)
{
    struct result *r = result_make("/");
    make_call(r);
    hands[0].pipe.unsent = 0; /* it leaves */
    hand_receive(&hands[0], OK_HELLO);
    assert_true(r->over);
    r->over = false;
    return r;
}

/* The peer's end was on its way when the call was begun on a kept connection: nothing of it was
 * sent, so a fresh one is no second call. */
static void test_a_kept_connection_that_ends_before_the_request_leaves(void **state)
{
    (void)state;
    hands_begin(2);
    struct result *r = first_call();
    make_call(r);
    assert_int_equal(hands_n, 1);
    hands[0].pipe.user_ops->received(hands[0].pipe.user, 0);
    assert_true(hands[0].aborted);
    assert_int_equal(hands_n, 2);
    assert_true(hands[1].pipe.unsent > 0);
    hands[1].pipe.unsent = 0;
    hand_receive(&hands[1], OK_HELLO);
    expect(r, 200, "world");
    hands_finish();
}

static void test_a_kept_connection_that_ends_after_the_request_left(void **state)
{
    (void)state;
    hands_begin(2);
    struct result *r = first_call();
    make_call(r);
    hands[0].pipe.unsent = 0;
    hands[0].pipe.user_ops->received(hands[0].pipe.user, 0);
    assert_int_equal(hands_n, 1);
    expect_failed(r, HTTP_UNREACHABLE);
    hands_finish();
}

static void test_no_connection_can_be_begun(void **state)
{
    (void)state;
    hands_begin(1);
    struct result *r = first_call();
    make_call(r);
    struct result *other = result_make("/");
    make_call(other);
    assert_false(other->over); /* never from inside of http_call */
    hands[0].pipe.user_ops->received(hands[0].pipe.user, 0);
    expect_failed(r, HTTP_UNREACHABLE);
    sim_run_until(world.sim, sim_mono_us(world.sim) + 1000);
    expect_failed(other, HTTP_UNREACHABLE);
    hands_finish();
}

/* The request is the caller's memory: what has not left is dropped with the call. */
static void test_what_was_not_sent_goes_with_the_call(void **state)
{
    (void)state;
    hands_begin(1);
    struct result *r = result_make("/");
    make_call(r);
    assert_true(hands[0].pipe.unsent > 0);
    hand_receive(&hands[0], OK_HELLO);
    assert_true(hands[0].aborted);
    expect(r, 200, "world");
    hands_finish();
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void hand_receive_body(struct hand *h, size_t n)
{
    char body[8192];
    memset(body, 'x', n);
    body[n] = '\0';
    hand_receive(h, body);
}

static struct result *call_for(struct hand *h, const char *head)
{
    struct result *r = result_make("/");
    make_call(r);
    h->pipe.unsent = 0;
    hand_receive(h, head);
    return r;
}

/* Both answers are begun; the one that wants more than is left fails, and makes room for the other.
 */
static void test_answers_have_a_budget(void **state)
{
    (void)state;
    hands_begin(2);
    struct result *one = call_for(&hands[0], "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    hand_receive_body(&hands[0], 4000);
    struct result *other = call_for(&hands[1], "HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\n");
    hand_receive_body(&hands[1], 4000);
    assert_int_equal(atomic_load(&answers.held), 2 * (4096 - 1024));
    hand_receive_body(&hands[1], 3000);
    assert_true(hands[1].aborted);
    expect_failed(other, HTTP_NO_ROOM);
    assert_int_equal(atomic_load(&answers.held), 4096 - 1024);
    hand_receive_body(&hands[0], 1000);
    assert_int_equal(one->answer_n, 5000);
    assert_int_equal(one->outcome, HTTP_ANSWERED);
    assert_int_equal(atomic_load(&answers.held), 0);
    free(one);
    hands_finish();
}

/* Heads count, too. */
static void test_a_head_without_room(void **state)
{
    (void)state;
    hands_begin(1);
    struct budget_share others = {.of = &answers};
    struct result *r = call_for(&hands[0], "HTTP/1.1 200 OK\r\nX-One: ");
    assert_true(budget_share_grow(&others, 8192));
    hand_receive_body(&hands[0], 1000);
    assert_false(r->over);
    hand_receive_body(&hands[0], 1100);
    expect_failed(r, HTTP_NO_ROOM);
    budget_share_drop(&others);
    assert_int_equal(atomic_load(&answers.held), 0);
    hands_finish();
}

static void test_little_is_kept_of_an_answer(void **state)
{
    (void)state;
    static struct http_answer a;
    static char text[40000];
    size_t used, n = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200\r\nX: %020000d\r\n", 0);
    n += (size_t)snprintf(text + n, sizeof text - n, "Content-Length: 17000\r\n\r\n%017000d", 0);
    http_answer_begin(&a, false, sizeof text);
    assert_int_equal(http_answer_take(&a, text, n, &used), ANSWER_DONE);
    assert_true(a.body.len == 17000 && a.head.len > 20000);
    http_answer_rest(&a);
    assert_null(a.body.buf);
    assert_null(a.head.buf);
    http_answer_begin(&a, false, sizeof text);
    assert_int_equal(http_answer_take(&a, OK_HELLO, strlen(OK_HELLO), &used), ANSWER_DONE);
    http_answer_rest(&a);
    assert_non_null(a.body.buf);
    http_answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_one_connection_serves_many_calls),
        WORLD_TEST(test_a_call_from_inside_of_done_uses_the_same_connection),
        WORLD_TEST(test_every_framing_of_a_body),
        WORLD_TEST(test_connections_are_not_kept_against_the_peers_will),
        WORLD_TEST(test_what_breaks_is_unreachable),
        WORLD_TEST(test_nobody_listens),
        WORLD_TEST(test_what_is_no_http),
        WORLD_TEST(test_heads_are_bounded),
        WORLD_TEST(test_a_larger_answer_is_cut),
        WORLD_TEST(test_time_is_up),
        WORLD_TEST(test_a_call_is_cancelled),
        WORLD_TEST(test_a_connection_that_the_peer_closed_is_not_used),
        WORLD_TEST(test_idle_connections_end),
        WORLD_TEST(test_an_answer_before_the_request_is_whole),
        WORLD_TEST(test_many_at_once),
        WORLD_TEST(test_calls_that_cannot_be_made),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_a_kept_connection_that_ends_before_the_request_leaves),
        cmocka_unit_test(test_a_kept_connection_that_ends_after_the_request_left),
        cmocka_unit_test(test_no_connection_can_be_begun),
        cmocka_unit_test(test_what_was_not_sent_goes_with_the_call),
        cmocka_unit_test(test_answers_have_a_budget),
        cmocka_unit_test(test_a_head_without_room),
        cmocka_unit_test(test_little_is_kept_of_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
