/* Calls on real sockets, to a server that does as its script says. Nothing here measures time. */
#include "../check.h"

#include "base/mem.h"
#include "http_script.h"
#include "io/loop.h"
#include "modules/http_curl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CALLS_MAX 8
#define LONG_MS 20000 /* a limit that is not reached */

struct one {
    struct http_call call; /* first */
    char url[256];
    bool done;
    enum http_outcome outcome;
    int status;
    char answer[8192], error[128];
    size_t answer_n;
    bool answer_cut;
    struct {
        char name[64], value[256];
    } headers[HTTP_CALL_HEADERS_MAX];
    size_t headers_n;
};

static struct loop *loop;
static struct http_client *client, *former;
static struct one ones[CALLS_MAX];
static unsigned calls, done_n, cancel_from;
static bool one_after_the_other;
static struct env_mail begin_mail;
static struct one *stop_at; /* the loop ends with this answer instead of the last */

static void begin_next(void);

static void copy_text(char *out, size_t cap, struct str s)
{
    assert_true(s.at == NULL || str_copy(out, cap, s));
}

static void on_done(struct http_call *call)
{
    struct one *o = (struct one *)call;
    assert_false(o->done);
    o->done = true;
    o->outcome = call->outcome;
    o->status = call->status;
    o->answer_n = call->answer.len;
    o->answer_cut = call->answer_cut;
    copy_text(o->answer, sizeof o->answer, call->answer);
    memcpy(o->error, call->error, sizeof o->error);
    o->headers_n = call->answer_headers_n;
    for (size_t i = 0; i < o->headers_n; i++) {
        copy_text(o->headers[i].name, sizeof o->headers[i].name, call->answer_headers[i].name);
        copy_text(o->headers[i].value, sizeof o->headers[i].value, call->answer_headers[i].value);
    }
    if (++done_n == calls || o == stop_at)
        loop_stop(loop);
    else if (one_after_the_other)
        begin_next();
}

static void begin_next(void)
{
    http_call(client, &ones[done_n].call);
}

static void begin(struct env_mail *mail, struct env *env)
{
    (void)mail;
    (void)env;
    for (unsigned i = 0; i < (one_after_the_other ? 1 : calls); i++) {
        http_call(client, &ones[i].call);
        assert_false(ones[i].done); /* never from inside */
    }
    for (unsigned i = cancel_from; i < calls; i++) {
        http_cancel(client, &ones[i].call);
        http_cancel(client, &ones[i].call);
        assert_false(ones[i].done);
    }
}

static void make_client(const struct http_curl_conf *more)
{
    if (client) {
        http_curl_stop(client);
        former = client;
    }
    struct http_curl_conf conf = more ? *more : (struct http_curl_conf){.private_allowed = true};
    conf.env = loop_env(loop);
    client = http_curl_make(&conf);
}

static int setup(void **state)
{
    (void)state;
    calls = done_n = 0;
    stop_at = NULL;
    cancel_from = CALLS_MAX + 1;
    one_after_the_other = false;
    memset(ones, 0, sizeof ones);
    assert_int_equal(loop_set_make(1, &loop), ERR_OK);
    client = NULL;
    make_client(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_curl_stop(client);
    loop_set_free(1, &loop);
    http_curl_free(client);
    if (former)
        http_curl_free(former);
    former = NULL;
    return 0;
}

static struct one *add(const char *method, const char *url)
{
    struct one *o = &ones[calls++];
    snprintf(o->url, sizeof o->url, "%s", url);
    o->call = (struct http_call){.method = method,
                                 .url = o->url,
                                 .timeout_ms = LONG_MS,
                                 .answer_bytes_max = sizeof o->answer - 1,
                                 .done = on_done};
    return o;
}

static struct one *add_to(const struct http_script *s, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", http_script_port(s), path);
    struct one *o = add("POST", url);
    o->call.body = STR_LIT("hello");
    return o;
}

static void run(void)
{
    begin_mail.run = begin;
    env_post(loop_env(loop), 0, &begin_mail);
    loop_run(loop);
    assert_int_equal(done_n, calls);
}

#define START(steps) http_script_start(steps, sizeof(steps) / sizeof(steps)[0])
#define ANSWER(status, more) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n" more "\r\n"

static void one_call(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Mixed-Case:  a value \r\nEmpty:\r\n\r\nbody", 0,
         THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    struct one *o = add_to(s, "/hook?a=b");
    struct http_header headers[] = {{STR_LIT("Content-Type"), STR_LIT("text/plain")},
                                    {STR_LIT("ce-id"), STR_LIT("1")},
                                    {STR_LIT("X-Empty"), STR_LIT("")}};
    o->call.headers = headers;
    o->call.headers_n = 3;
    run();
    http_script_end(s);
    assert_int_equal(o->outcome, HTTP_ANSWERED);
    assert_int_equal(o->status, 200);
    assert_string_equal(o->answer, "body");
    assert_string_equal(o->error, "");
    assert_int_equal(o->headers_n, 3);
    assert_string_equal(o->headers[1].name, "x-mixed-case");
    assert_string_equal(o->headers[1].value, "a value");
    assert_string_equal(o->headers[2].value, "");
    const char *request = http_script_request(s, 0);
    assert_non_null(strstr(request, "POST /hook?a=b HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(request, "ce-id: 1\r\n"));
    assert_non_null(strstr(request, "X-Empty:\r\n"));
    assert_non_null(strstr(request, "User-Agent: weir/"));
    assert_null(strstr(request, "Expect"));
    assert_null(strstr(request, "Accept-Encoding"));
    assert_string_equal(strstr(request, "\r\n\r\n") + 4, "hello");
    http_script_free(s);
}

static void every_class_of_status(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {ANSWER("204 No Content", ""), 0, THEN_CLOSE, false},
        {ANSWER("302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n"), 0, THEN_CLOSE, false},
        {ANSWER("404 Not Found", ""), 0, THEN_CLOSE, false},
        {ANSWER("503 Busy", "Retry-After: 7\r\n"), 0, THEN_CLOSE, false},
        {ANSWER("799 Own", ""), 0, THEN_CLOSE, false}};
    static const int expected[] = {204, 302, 404, 503, 799};
    struct http_script *s = START(steps);
    for (int i = 0; i < 5; i++)
        add_to(s, "/");
    one_after_the_other = true;
    run();
    http_script_end(s);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ones[i].outcome, HTTP_ANSWERED);
        assert_int_equal(ones[i].status, expected[i]);
    }
    assert_string_equal(ones[3].headers[1].name, "retry-after");
    http_script_free(s);
}

static void connections_are_reused(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {{ANSWER("200 OK", ""), 0, THEN_NEXT, false},
                                                    {ANSWER("200 OK", ""), 0, THEN_NEXT, false},
                                                    {ANSWER("200 OK", ""), 0, THEN_NEXT, false}};
    struct http_script *s = START(steps);
    for (int i = 0; i < 3; i++)
        add_to(s, "/");
    one_after_the_other = true;
    run();
    http_script_end(s);
    assert_int_equal(http_script_connections(s), 1);
    http_script_free(s);
}

/* The connection is kept, and ends when it is used again: the call is made once more, on a fresh
 * one, and not a third time. */
static void dead_connections_are_replaced_once(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {ANSWER("200 OK", ""), 0, THEN_NEXT, false},
        {NULL, 0, THEN_RESET, false},
        {ANSWER("201 Created", ""), 0, THEN_NEXT, false},
        {NULL, 0, THEN_CLOSE, false},
        {NULL, 0, THEN_RESET, false}};
    struct http_script *s = START(steps);
    for (int i = 0; i < 3; i++)
        add_to(s, "/");
    one_after_the_other = true;
    run();
    http_script_end(s);
    assert_int_equal(ones[0].status, 200);
    assert_int_equal(ones[1].status, 201);
    assert_int_equal(ones[2].outcome, HTTP_UNREACHABLE);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(strstr(http_script_request(s, i), "\r\n\r\n") + 4, "hello");
    assert_null(strstr(http_script_request(s, 0), "Content-Type"));
    http_script_free(s);
}

static void continue_is_not_the_answer(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {"HTTP/1.1 100 Continue\r\nX-First: 1\r\n\r\n"
         "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nX-Second: 2\r\n\r\n",
         0, THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    struct one *o = add_to(s, "/");
    run();
    http_script_end(s);
    assert_int_equal(o->status, 201);
    assert_int_equal(o->headers_n, 2);
    assert_string_equal(o->headers[1].name, "x-second");
    http_script_free(s);
}

static void chunked_answer(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 0,
         THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    struct one *o = add_to(s, "/");
    run();
    http_script_end(s);
    assert_string_equal(o->answer, "abcde");
    assert_false(o->answer_cut);
    http_script_free(s);
}

static void long_answers_are_cut(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", 0, THEN_CLOSE, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n0123456789", 0, THEN_HOLD, false}};
    struct http_script *s = START(steps);
    add_to(s, "/")->call.answer_bytes_max = 10;
    add_to(s, "/")->call.answer_bytes_max = 4;
    one_after_the_other = true;
    run();
    http_script_end(s);
    assert_string_equal(ones[0].answer, "0123456789");
    assert_false(ones[0].answer_cut);
    assert_int_equal(ones[1].outcome, HTTP_ANSWERED);
    assert_int_equal(ones[1].status, 200);
    assert_string_equal(ones[1].answer, "0123");
    assert_true(ones[1].answer_cut);
    http_script_free(s);
}

/* The first is too large for it, in however many pieces it comes; the second finds room beside what
 * the first still holds. */
static void answers_have_a_budget(void **state)
{
    (void)state;
    static char large[3000], small[1200];
    static struct budget answers = {.max = 2048, .free = 512}; /* the client's to the teardown */
    snprintf(large, sizeof large, "HTTP/1.1 200 OK\r\nContent-Length: 2200\r\n\r\n%02200d", 0);
    snprintf(small, sizeof small, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n%01000d", 0);
    const struct http_script_step steps[] = {{large, 0, THEN_CLOSE, false},
                                             {small, 0, THEN_CLOSE, false}};
    make_client(&(struct http_curl_conf){.private_allowed = true, .answers = &answers});
    struct http_script *s = START(steps);
    add_to(s, "/")->call.answer_bytes_max = 4000;
    add_to(s, "/")->call.answer_bytes_max = 4000;
    one_after_the_other = true;
    run();
    http_script_end(s);
    assert_int_equal(ones[0].outcome, HTTP_NO_ROOM);
    assert_string_equal(ones[0].error, HTTP_NO_ROOM_TEXT);
    assert_int_equal(ones[1].outcome, HTTP_ANSWERED);
    assert_int_equal(strlen(ones[1].answer), 1000);
    http_script_free(s);
    assert_int_equal(atomic_load(&answers.held), 0);
}

static void many_headers_are_bounded(void **state)
{
    (void)state;
    char answer[16384] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    for (int i = 0; i < 200; i++) {
        size_t n = strlen(answer);
        snprintf(answer + n, sizeof answer - n, "X-%d: %d\r\n", i, i);
    }
    size_t n = strlen(answer);
    snprintf(answer + n, sizeof answer - n, "\r\n");
    const struct http_script_step steps[] = {{answer, 0, THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    struct one *o = add_to(s, "/");
    run();
    http_script_end(s);
    assert_int_equal(o->status, 200);
    assert_int_equal(o->headers_n, HTTP_CALL_HEADERS_MAX);
    http_script_free(s);
}

static void no_answer(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {NULL, 0, THEN_CLOSE, false},
        {NULL, 0, THEN_RESET, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012", 0, THEN_CLOSE, false},
        {"SSH-2.0-OpenSSH_9.2\r\n", 0, THEN_CLOSE, false},
        {"HTTP/1.1 2", 0, THEN_RESET, false}};
    static const enum http_outcome expected[] = {
        HTTP_UNREACHABLE, HTTP_UNREACHABLE, HTTP_UNREACHABLE, HTTP_ANSWER_BAD, HTTP_UNREACHABLE};
    struct http_script *s = START(steps);
    for (int i = 0; i < 5; i++)
        add_to(s, "/");
    one_after_the_other = true;
    run();
    http_script_end(s);
    for (int i = 0; i < 5; i++) {
        print_message("%d: %s\n", i, ones[i].error);
        assert_int_equal(ones[i].outcome, expected[i]);
        assert_int_equal(ones[i].status, 0);
        assert_true(ones[i].error[0] != '\0');
    }
    http_script_free(s);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct http_script *s = http_script_start(NULL, 0);
    struct one *o = add_to(s, "/");
    http_script_end(s); /* the port is free again */
    run();
    assert_int_equal(o->outcome, HTTP_UNREACHABLE);
    http_script_free(s);
}

static void time_limits(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {NULL, 0, THEN_HOLD, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012", 0, THEN_HOLD, false}};
    struct http_script *s = START(steps);
    add_to(s, "/")->call.timeout_ms = 30;
    add_to(s, "/")->call.timeout_ms = 30;
    one_after_the_other = true;
    run();
    http_script_end(s);
    assert_int_equal(ones[0].outcome, HTTP_TIMED_OUT);
    assert_int_equal(ones[1].outcome, HTTP_TIMED_OUT);
    http_script_free(s);
}

/* The slow one is asked first and never answers. */
static void slow_hosts_hold_nobody(void **state)
{
    (void)state;
    static const struct http_script_step slow_steps[] = {{NULL, 0, THEN_HOLD, false}};
    static const struct http_script_step fast_steps[] = {
        {ANSWER("200 OK", ""), 0, THEN_CLOSE, false}};
    struct http_script *slow = START(slow_steps), *fast = START(fast_steps);
    add_to(slow, "/");
    stop_at = add_to(fast, "/");
    begin_mail.run = begin;
    env_post(loop_env(loop), 0, &begin_mail);
    loop_run(loop);
    assert_int_equal(ones[1].status, 200);
    assert_false(ones[0].done);
    make_client(NULL);
    http_script_end(slow);
    http_script_end(fast);
    http_script_free(slow);
    http_script_free(fast);
}

static void cancelled(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        add("GET", "http://127.0.0.1:1/");
    cancel_from = 0;
    run(); /* before the thread runs */
    for (int i = 0; i < 4; i++)
        assert_true(ones[i].outcome == HTTP_CANCELLED || ones[i].outcome == HTTP_UNREACHABLE);
}

static void cancelled_under_way(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {{ANSWER("200 OK", ""), 0, THEN_CLOSE, false},
                                                    {NULL, 0, THEN_HOLD, false}};
    struct http_script *s = START(steps);
    add_to(s, "/");
    run();
    assert_int_equal(ones[0].status, 200);
    add_to(s, "/");
    http_call(client, &ones[1].call);
    http_cancel(client, &ones[1].call);
    loop_run(loop);
    assert_int_equal(ones[1].outcome, HTTP_CANCELLED);
    http_script_end(s);
    http_script_free(s);
}

static void freed_under_way(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {{NULL, 0, THEN_HOLD, false}};
    struct http_script *s = START(steps);
    struct one *o = add_to(s, "/");
    http_call(client, &o->call);
    make_client(NULL);
    assert_false(o->done);
    http_script_end(s);
    http_script_free(s);
}

static void never_destinations(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://169.254.169.254/latest/meta-data/",
                                       "http://[fe80::1]/",
                                       "https://0.0.0.0/",
                                       "http://0xa9fea9fe/",
                                       "http://[::ffff:169.254.169.254]/",
                                       "http://100.100.100.200/",
                                       "http://2852039166/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        add("GET", urls[i]);
    run();
    for (unsigned i = 0; i < calls; i++) {
        print_message("%s\n", urls[i]);
        assert_int_equal(ones[i].outcome, HTTP_FORBIDDEN);
        assert_non_null(strstr(ones[i].error, "never"));
    }
}

/* "localhost" is a name: it is refused after it was resolved. */
static void private_ones_by_option(void **state)
{
    (void)state;
    struct http_curl_conf conf = {.private_allowed = false};
    make_client(&conf);
    add("GET", "http://127.0.0.1:1/");
    add("GET", "http://localhost:1/");
    add("GET", "http://10.1.2.3/");
    add("GET", "http://[::1]:1/");
    run();
    for (unsigned i = 0; i < calls; i++) {
        assert_int_equal(ones[i].outcome, HTTP_FORBIDDEN);
        assert_non_null(strstr(ones[i].error, "--egress-private"));
    }
}

static void unknown_names(void **state)
{
    (void)state;
    struct one *o = add("GET", "http://bad..name/");
    run();
    assert_int_equal(o->outcome, HTTP_UNRESOLVED);
}

static void bad_calls(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "", "nonsense", "ftp://example.com/", "file:///etc/passwd", "http://", "gopher://x/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        add("GET", urls[i]);
    run();
    for (unsigned i = 0; i < calls; i++) {
        print_message("%s: %s\n", urls[i], ones[i].error);
        assert_int_equal(ones[i].outcome, HTTP_CALL_BAD);
    }
}

static void headers_cannot_break_out(void **state)
{
    (void)state;
    static const struct http_header bad[] = {{STR_LIT("a"), STR_LIT("x\r\nHost: evil")},
                                             {STR_LIT("a"), STR_LIT("x\ny")},
                                             {STR_LIT("a\r\nb"), STR_LIT("x")},
                                             {STR_LIT("a"), {"x\0y", 3}},
                                             {STR_LIT(""), STR_LIT("x")},
                                             {STR_LIT("a:b"), STR_LIT("x")}};
    for (int i = 0; i < 6; i++) {
        struct one *o = add("GET", "http://127.0.0.1:1/");
        o->call.headers = &bad[i];
        o->call.headers_n = 1;
    }
    run();
    for (int i = 0; i < 6; i++)
        assert_int_equal(ones[i].outcome, HTTP_CALL_BAD);
}

static void https_to_what_is_none(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {
        {ANSWER("400 Bad Request", ""), 0, THEN_HOLD, true}};
    struct http_script *s = START(steps);
    char url[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_script_port(s));
    struct one *o = add("GET", url);
    run();
    http_script_end(s);
    assert_int_equal(o->outcome, HTTP_TLS_FAILED);
    http_script_free(s);
}

static void without_its_authorities(void **state)
{
    (void)state;
    struct http_curl_conf conf = {.private_allowed = true, .ca_file = "/nonexistent/ca.pem"};
    make_client(&conf);
    struct one *o = add("GET", "https://127.0.0.1:1/");
    run();
    assert_true(o->outcome == HTTP_TLS_FAILED || o->outcome == HTTP_UNREACHABLE);
}

static void environment_has_no_say(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {{ANSWER("200 OK", ""), 0, THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct one *o = add_to(s, "/");
    run();
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    http_script_end(s);
    assert_int_equal(o->status, 200);
    http_script_free(s);
}

static void by_proxy(void **state)
{
    (void)state;
    static const struct http_script_step steps[] = {{ANSWER("200 OK", ""), 0, THEN_CLOSE, false}};
    struct http_script *s = START(steps);
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", http_script_port(s));
    struct http_curl_conf conf = {.proxy = proxy};
    make_client(&conf);
    struct one *o = add("GET", "http://hooks.example/x");
    struct one *metadata = add("GET", "http://169.254.169.254/");
    run();
    http_script_end(s);
    assert_int_equal(o->status, 200);
    assert_non_null(strstr(http_script_request(s, 0), "GET http://hooks.example/x HTTP/1.1\r\n"));
    assert_int_equal(metadata->outcome, HTTP_FORBIDDEN);
    http_script_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_call),
        TEST(every_class_of_status),
        TEST(connections_are_reused),
        TEST(dead_connections_are_replaced_once),
        TEST(continue_is_not_the_answer),
        TEST(chunked_answer),
        TEST(long_answers_are_cut),
        TEST(answers_have_a_budget),
        TEST(many_headers_are_bounded),
        TEST(no_answer),
        TEST(nobody_listens),
        TEST(time_limits),
        TEST(slow_hosts_hold_nobody),
        TEST(cancelled),
        TEST(cancelled_under_way),
        TEST(freed_under_way),
        TEST(never_destinations),
        TEST(private_ones_by_option),
        TEST(unknown_names),
        TEST(bad_calls),
        TEST(headers_cannot_break_out),
        TEST(https_to_what_is_none),
        TEST(without_its_authorities),
        TEST(environment_has_no_say),
        TEST(by_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
