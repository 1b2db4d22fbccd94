/* The commands' connection, against a broker that says what the test wants. */
#include "cli/admin.h"

#include "base/cursor.h"
#include "io/thread.h"

#include "../check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* One connection: takes one request, sends these bytes, closes when the test is over. The place of
 * the correlation id, if any, is filled with that of the request. */
static struct fake_broker {
    int listener, fd;
    uint16_t port;
    const void *bytes;
    size_t n;
    size_t echo_at; /* where the id stands; SIZE_MAX: nowhere */
    uint8_t request[4096];
    size_t request_n;
    struct thread *thread;
} broker;

static void broker_run(void *arg)
{
    struct fake_broker *b = arg;
    uint8_t answer[4096];
    b->fd = accept(b->listener, NULL, NULL);
    ssize_t k = recv(b->fd, b->request, sizeof b->request, 0);
    b->request_n = k > 0 ? (size_t)k : 0;
    memcpy(answer, b->bytes, b->n);
    if (b->echo_at != SIZE_MAX && b->request_n >= 12)
        memcpy(answer + b->echo_at, b->request + 8, 4);
    if (b->n)
        (void)!send(b->fd, answer, b->n, MSG_NOSIGNAL);
    shutdown(b->fd, SHUT_WR);
    /* Until the other side is done. */
    while (recv(b->fd, answer, sizeof answer, 0) > 0)
        continue;
    close(b->fd);
}

static void broker_listen(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    broker.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(broker.listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(broker.listener, 5), 0);
    assert_int_equal(getsockname(broker.listener, (struct sockaddr *)&a, &len), 0);
    broker.port = ntohs(a.sin_port);
}

static void broker_start(const void *bytes, size_t n, size_t echo_at)
{
    broker = (struct fake_broker){.bytes = bytes, .n = n, .echo_at = echo_at};
    broker_listen();
    assert_int_equal(thread_start("fake-broker", broker_run, &broker, &broker.thread), ERR_OK);
}

static void broker_end(void)
{
    thread_join(broker.thread);
    close(broker.listener);
}

static const char *address(const char *before)
{
    static char text[128];
    snprintf(text, sizeof text, "%s127.0.0.1:%u", before, broker.port);
    return text;
}

static struct err_text text;

/* DescribeGroups v5 without groups, whatever comes of it. */
static enum err call(int64_t timeout_ms, struct kafka_describe_groups_response *out)
{
    struct kafka_describe_groups_request in = {0};
    struct admin *a = NULL;
    text.s[0] = 0;
    enum err err = admin_open(address(""), timeout_ms, &a, &text);
    assert_int_equal(err, ERR_OK);
    err = admin_call(a, &admin_describe_groups, &in, out, &text);
    admin_close(a);
    return err;
}

/* Length, correlation id, no tags, throttle time, no groups, no tags. */
static const char empty_answer[] = "\0\0\0\x0b\0\0\0\0\0\0\0\0\0\1\0";
#define EMPTY_N (sizeof empty_answer - 1)

static void a_call_is_answered(void **state)
{
    struct kafka_describe_groups_response out;
    (void)state;
    broker_start(empty_answer, EMPTY_N, 4);
    assert_int_equal(call(30000, &out), ERR_OK);
    assert_int_equal(out.groups_n, 0);
    broker_end();
    /* What was asked: length, key, version, an id, the client's name, tags, body. */
    assert_int_equal(be32_get(broker.request), broker.request_n - 4);
    assert_int_equal(be16_get(broker.request + 4), 15);
    assert_int_equal(be16_get(broker.request + 6), 5);
    assert_memory_equal(broker.request + 12, "\0\4weir\0\1\0\0", 10);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n, echo_at;
        const char *says;
    } rows[] = {
        {empty_answer, EMPTY_N, SIZE_MAX, "makes sense"},        /* another's id */
        {empty_answer, EMPTY_N - 3, 4, "closed the connection"}, /* cut */
        {"", 0, SIZE_MAX, "closed the connection: is it a Kafka port?"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, SIZE_MAX, "makes sense"}, /* 1.2 GB of answer */
        {"\0\0\0\0", 4, SIZE_MAX, "makes sense"},
        {"\0\0\0\x09\0\0\0\0\0\0\0\0\0", 13, 4, "makes sense"}, /* ends before the groups */
    };
    struct kafka_describe_groups_response out;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        broker_start(rows[i].bytes, rows[i].n, rows[i].echo_at);
        assert_int_not_equal(call(30000, &out), ERR_OK);
        broker_end();
        if (!strstr(text.s, rows[i].says))
            fail_msg("%zu: %s", i, text.s);
    }
}

/* Nobody accepts: the kernel takes the connection, no answer comes. */
static void silence_has_an_end(void **state)
{
    struct kafka_describe_groups_response out;
    (void)state;
    broker = (struct fake_broker){0};
    broker_listen();
    assert_int_equal(call(20, &out), ERR_TIMED_OUT);
    assert_non_null(strstr(text.s, "in time"));
    close(broker.listener);
}

static void the_first_that_answers_is_taken(void **state)
{
    struct kafka_describe_groups_request in = {0};
    struct kafka_describe_groups_response out;
    struct admin *a;
    (void)state;
    broker_start(empty_answer, EMPTY_N, 4);
    /* Port 1 of this machine refuses. */
    assert_int_equal(admin_open(address("127.0.0.1:1,"), 30000, &a, &text), ERR_OK);
    assert_int_equal(admin_call(a, &admin_describe_groups, &in, &out, &text), ERR_OK);
    admin_close(a);
    broker_end();
}

static void servers_that_are_none_are_told(void **state)
{
    struct admin *a = NULL;
    (void)state;
    assert_int_equal(admin_open("nowhere", 1000, &a, &text), ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "'nowhere' is not HOST:PORT"));
    assert_int_equal(admin_open("", 1000, &a, &text), ERR_REQUEST_INVALID);
    assert_true(text.s[0]);
    assert_int_equal(admin_open("127.0.0.1:1", 1000, &a, &text), ERR_CLOSED);
    assert_non_null(strstr(text.s, "127.0.0.1:1"));
    assert_null(a);
    admin_close(NULL);
}

static void codes_have_sentences(void **state)
{
    (void)state;
    assert_string_equal(admin_error(0), err_meaning(ERR_OK));
    assert_string_equal(admin_error(3), err_meaning(ERR_TOPIC_UNKNOWN));
    assert_string_equal(admin_error(68), err_meaning(ERR_GROUP_NOT_EMPTY));
    assert_non_null(strstr(admin_error(12345), "does not know"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(silence_has_an_end),
        cmocka_unit_test(the_first_that_answers_is_taken),
        cmocka_unit_test(servers_that_are_none_are_told),
        cmocka_unit_test(codes_have_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
