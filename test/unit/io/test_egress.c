/* Which addresses weir connects to on a user's word. */
#include "../check.h"

#include "io/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const struct {
    const char *host;
    enum egress class;
} literals[] = {
    {"8.8.8.8", EGRESS_PUBLIC},
    {"172.15.255.255", EGRESS_PUBLIC},
    {"172.32.0.0", EGRESS_PUBLIC},
    {"100.63.255.255", EGRESS_PUBLIC},
    {"2606:4700::1111", EGRESS_PUBLIC},
    {"127.0.0.1", EGRESS_PRIVATE},
    {"127.255.255.254", EGRESS_PRIVATE},
    {"10.0.0.1", EGRESS_PRIVATE},
    {"172.16.0.0", EGRESS_PRIVATE},
    {"172.31.255.255", EGRESS_PRIVATE},
    {"192.168.1.1", EGRESS_PRIVATE},
    {"100.64.0.1", EGRESS_PRIVATE},
    {"198.19.0.1", EGRESS_PRIVATE},
    {"::1", EGRESS_PRIVATE},
    {"[::1]", EGRESS_PRIVATE},
    {"fc00::1", EGRESS_PRIVATE},
    {"fdff::1", EGRESS_PRIVATE},
    {"0.0.0.0", EGRESS_NEVER},
    {"0.1.2.3", EGRESS_NEVER},
    {"169.254.169.254", EGRESS_NEVER},
    {"169.254.0.1", EGRESS_NEVER},
    {"100.100.100.200", EGRESS_NEVER},
    {"192.0.0.192", EGRESS_NEVER},
    {"168.63.129.16", EGRESS_NEVER},
    {"224.0.0.1", EGRESS_NEVER},
    {"240.0.0.1", EGRESS_NEVER},
    {"255.255.255.255", EGRESS_NEVER},
    {"::", EGRESS_NEVER},
    {"fe80::1", EGRESS_NEVER},
    {"[fe80::1%25eth0]", EGRESS_NEVER},
    {"febf::1", EGRESS_NEVER},
    {"ff02::1", EGRESS_NEVER},
    {"fd00:ec2::254", EGRESS_NEVER},
    {"fd20:ce::254", EGRESS_NEVER},
    /* IPv4 inside of IPv6 */
    {"::ffff:169.254.169.254", EGRESS_NEVER},
    {"::ffff:10.1.2.3", EGRESS_PRIVATE},
    {"::ffff:8.8.8.8", EGRESS_PUBLIC},
    {"64:ff9b::a9fe:a9fe", EGRESS_NEVER},
    {"64:ff9b::808:808", EGRESS_PUBLIC},
    {"2002:a9fe:a9fe::1", EGRESS_NEVER},
    {"2002:7f00:1::1", EGRESS_PRIVATE},
    {"::169.254.169.254", EGRESS_NEVER},
    {"2001::1", EGRESS_NEVER},
};

static void every_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        enum egress class;
        print_message("%s\n", literals[i].host);
        assert_true(egress_of_literal(literals[i].host, &class));
        assert_int_equal(class, literals[i].class);
    }
}

static void names_are_no_literals(void **state)
{
    (void)state;
    static const char *const names[] = {
        "localhost", "example.com",
        "",          "[",
        "[]",        "1.2.3",
        "1.2.3.4.5", "10.0.0.1.example.com",
        "::1::2",    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum egress class;
        assert_false(egress_of_literal(names[i], &class));
    }
}

static void socket_addresses(void **state)
{
    (void)state;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET, "169.254.169.254", &v4.sin_addr), 1);
    assert_int_equal(egress_of((struct sockaddr *)&v4), EGRESS_NEVER);
    assert_int_equal(inet_pton(AF_INET, "93.184.216.34", &v4.sin_addr), 1);
    assert_int_equal(egress_of((struct sockaddr *)&v4), EGRESS_PUBLIC);
    assert_int_equal(inet_pton(AF_INET6, "fd12::1", &v6.sin6_addr), 1);
    assert_int_equal(egress_of((struct sockaddr *)&v6), EGRESS_PRIVATE);
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_int_equal(egress_of(&other), EGRESS_NEVER);
}

static void sockets_close_on_exec(void **state)
{
    (void)state;
    int fd = egress_socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range),
        cmocka_unit_test(names_are_no_literals),
        cmocka_unit_test(socket_addresses),
        cmocka_unit_test(sockets_close_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
