/* The commands' blocking connection, against a listener of the test's own. */
#include "io/socket.h"

#include "io/thread.h"

#include "../check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MANY ((size_t)4 << 20)

static int listener;
static char port[8];
static struct err_text text;

static int setup(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    (void)state;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    snprintf(port, sizeof port, "%u", ntohs(a.sin_port));
    text.s[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(listener);
    return 0;
}

static struct socket *connected(int timeout_ms)
{
    struct socket *s = NULL;
    assert_int_equal(socket_connect("127.0.0.1", port, timeout_ms, &s, &text), ERR_OK);
    return s;
}

/* Sends back what comes, in small pieces, until the other side ends. */
static void echo(void *arg)
{
    char bytes[1000];
    int fd = accept(listener, NULL, NULL);
    ssize_t n;
    (void)arg;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        (void)!send(fd, bytes, (size_t)n, MSG_NOSIGNAL);
    close(fd);
}

static void all_bytes_arrive(void **state)
{
    static char sent[100000], got[100000];
    struct thread *t;
    (void)state;
    assert_int_equal(thread_start("echo", echo, NULL, &t), ERR_OK);
    struct socket *s = connected(30000);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7);
    assert_int_equal(socket_send(s, sent, sizeof sent), ERR_OK);
    assert_int_equal(socket_receive(s, got, 1), ERR_OK);
    assert_int_equal(socket_receive(s, got + 1, sizeof got - 1), ERR_OK);
    assert_memory_equal(sent, got, sizeof sent);
    socket_close(s);
    thread_join(t);
}

static void an_end_is_closed(void **state)
{
    char byte[2];
    (void)state;
    struct socket *s = connected(30000);
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    close(fd);
    assert_int_equal(socket_receive(s, byte, 2), ERR_CLOSED); /* one came, two were wanted */
    socket_close(s);
}

/* A peer that has reset the connection: an error of the call, not a signal. */
static void sending_to_nobody_is_closed(void **state)
{
    static const char bytes[65536];
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    enum err err = ERR_OK;
    (void)state;
    struct socket *s = connected(30000);
    int fd = accept(listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    for (size_t n = 0; n < MANY && err == ERR_OK; n += sizeof bytes)
        err = socket_send(s, bytes, sizeof bytes);
    assert_int_equal(err, ERR_CLOSED);
    socket_close(s);
}

static void silence_times_out(void **state)
{
    char byte;
    (void)state;
    struct socket *s = connected(10);
    assert_int_equal(socket_receive(s, &byte, 1), ERR_TIMED_OUT);
    socket_close(s);
}

/* Nobody reads: what the kernel holds is full at some time. */
static void a_full_pipe_times_out(void **state)
{
    static const char bytes[65536];
    enum err err = ERR_OK;
    (void)state;
    struct socket *s = connected(10);
    for (size_t n = 0; n < 64 * MANY && err == ERR_OK; n += sizeof bytes)
        err = socket_send(s, bytes, sizeof bytes);
    assert_int_equal(err, ERR_TIMED_OUT);
    socket_close(s);
}

static void a_refused_connection_is_told(void **state)
{
    struct socket *s = NULL;
    (void)state;
    close(listener);
    assert_int_equal(socket_connect("127.0.0.1", port, 1000, &s, &text), ERR_CLOSED);
    assert_non_null(strstr(text.s, "127.0.0.1"));
    assert_non_null(strstr(text.s, port));
    assert_non_null(strstr(text.s, "is the broker running?"));
    assert_null(s);
}

static void what_is_no_port_is_told(void **state)
{
    struct socket *s = NULL;
    (void)state;
    assert_int_equal(socket_connect("127.0.0.1", "no port", 1000, &s, &text), ERR_NOT_FOUND);
    assert_true(text.s[0]);
    assert_null(s);
    socket_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(all_bytes_arrive),
        TEST(an_end_is_closed),
        TEST(sending_to_nobody_is_closed),
        TEST(silence_times_out),
        TEST(a_full_pipe_times_out),
        TEST(a_refused_connection_is_told),
        TEST(what_is_no_port_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
