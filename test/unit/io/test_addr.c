#include "io/addr.h"

#include "../check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void check_same(const char *s)
{
    struct addr addr;
    char out[PIPE_ADDR_MAX];
    assert_int_equal(addr_parse(s, false, &addr, NULL), ERR_OK);
    addr_format(&addr, out);
    assert_string_equal(out, s);
}

static void test_round_trip(void **state)
{
    (void)state;
    check_same("127.0.0.1:9092");
    check_same("0.0.0.0:0");
    check_same("255.255.255.255:65535");
    check_same("[::1]:9092");
    check_same("[::]:1");
    check_same("[fe80::1:2]:9092");
    check_same("unix:/run/weir.sock");
    check_same("unix:relative");
}

static void test_other_forms(void **state)
{
    (void)state;
    struct addr addr;
    char out[PIPE_ADDR_MAX];
    assert_int_equal(addr_parse(":80", false, &addr, NULL), ERR_OK);
    addr_format(&addr, out);
    assert_string_equal(out, "[::]:80");
    assert_int_equal(addr_port(&addr), 80);
    assert_int_equal(addr_parse("localhost:81", false, &addr, NULL), ERR_OK);
    addr_format(&addr, out);
    assert_string_equal(out, "127.0.0.1:81");
    assert_int_equal(addr_parse("[::ffff:10.1.2.3]:82", false, &addr, NULL), ERR_OK);
    addr_format(&addr, out);
    assert_string_equal(out, "10.1.2.3:82");
    assert_int_equal(addr_parse("unix:/x", false, &addr, NULL), ERR_OK);
    assert_int_equal(addr_port(&addr), 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "host",          "127.0.0.1",  "127.0.0.1:", "1.2.3:4",
        "1.2.3.4:-1", "1.2.3.4:65536", "[::1]",      "[::1:9092",  "[::g]:9092",
        "unix:",      "name:9092",     "1.2.3.4:80 "};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr addr;
        struct err_text text = {{0}};
        assert_int_equal(addr_parse(bad[i], false, &addr, &text), ERR_REQUEST_INVALID);
        assert_true(strlen(text.s) > 10);
        assert_non_null(strstr(text.s, bad[i]));
    }
}

static void test_long_unix_path(void **state)
{
    (void)state;
    char s[300] = "unix:";
    struct addr addr;
    memset(s + 5, 'p', 107);
    assert_int_equal(addr_parse(s, false, &addr, NULL), ERR_OK);
    memset(s + 5, 'p', 108);
    assert_int_equal(addr_parse(s, false, &addr, NULL), ERR_REQUEST_INVALID);
}

/* This process, seen through /proc. */
static void test_owner(void **state)
{
    (void)state;
    struct addr addr;
    char owner[64], want[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(addr_parse("127.0.0.1:0", false, &addr, NULL), ERR_OK);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr.ss, addr.len), 0);
    assert_int_equal(listen(fd, 1), 0);
    addr.len = sizeof(addr.ss);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr.ss, &addr.len), 0);
    assert_true(addr_port_owner(addr_port(&addr), owner, sizeof(owner)));
    snprintf(want, sizeof(want), "pid %d (test_io_addr", (int)getpid());
    assert_int_equal(strncmp(owner, want, strlen(want)), 0);
    close(fd);
    assert_false(addr_port_owner(0, owner, sizeof(owner)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_long_unix_path),
        cmocka_unit_test(test_owner),
    };
    return cmocka_run_group_tests_name("io/addr", tests, NULL, NULL);
}
