#include "io/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range {
    const char *prefix;
    unsigned bits;
    enum egress class;
};

/* The first that fits decides. Sources: IANA's special-purpose address registries; the clouds'
 * documentation of their metadata services. */
static const struct range v4_ranges[] = {
    {"0.0.0.0", 8, EGRESS_NEVER},          {"127.0.0.0", 8, EGRESS_PRIVATE},
    {"169.254.0.0", 16, EGRESS_NEVER},     /* link-local; AWS, Azure, Google: 169.254.169.254 */
    {"100.100.100.200", 32, EGRESS_NEVER}, /* Alibaba's metadata */
    {"192.0.0.192", 32, EGRESS_NEVER},     /* Oracle's */
    {"168.63.129.16", 32, EGRESS_NEVER},   /* Azure's wire server */
    {"10.0.0.0", 8, EGRESS_PRIVATE},       {"172.16.0.0", 12, EGRESS_PRIVATE},
    {"192.168.0.0", 16, EGRESS_PRIVATE},   {"100.64.0.0", 10, EGRESS_PRIVATE},
    {"192.0.0.0", 24, EGRESS_PRIVATE},     {"198.18.0.0", 15, EGRESS_PRIVATE},
    {"224.0.0.0", 4, EGRESS_NEVER},        {"240.0.0.0", 4, EGRESS_NEVER},
};

static const struct range v6_ranges[] = {
    {"::1", 128, EGRESS_PRIVATE},         {"::", 128, EGRESS_NEVER},
    {"fd00:ec2::254", 128, EGRESS_NEVER}, /* AWS's metadata */
    {"fd20:ce::254", 128, EGRESS_NEVER},  /* Google's */
    {"fe80::", 10, EGRESS_NEVER},         {"fec0::", 10, EGRESS_PRIVATE},
    {"fc00::", 7, EGRESS_PRIVATE},        {"100::", 64, EGRESS_NEVER},
    {"2001::", 32, EGRESS_NEVER}, /* Teredo: the IPv4 address is hidden in it */
    {"ff00::", 8, EGRESS_NEVER},
};

/* Where an IPv6 address holds an IPv4 one. */
static const struct {
    const char *prefix;
    unsigned bits, at;
} v6_wraps[] = {
    {"::ffff:0:0", 96, 12},  {"::ffff:0:0:0", 96, 12}, {"64:ff9b::", 96, 12},
    {"64:ff9b:1::", 48, 12}, {"2002::", 16, 2},        {"::", 96, 12},
};

static bool has_prefix(const uint8_t *address, int family, const char *prefix, unsigned bits)
{
    uint8_t p[16] = {0};
    if (inet_pton(family, prefix, p) != 1)
        return false;
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, p, whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ p[whole]) & (0xff << (8 - rest))) == 0;
}

static enum egress of_v4(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof v4_ranges / sizeof v4_ranges[0]; i++) {
        const struct range *r = &v4_ranges[i];
        if (has_prefix(address, AF_INET, r->prefix, r->bits))
            return r->class;
    }
    return EGRESS_PUBLIC;
}

static enum egress of_v6(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof v6_ranges / sizeof v6_ranges[0]; i++) {
        const struct range *r = &v6_ranges[i];
        if (has_prefix(address, AF_INET6, r->prefix, r->bits))
            return r->class;
    }
    for (size_t i = 0; i < sizeof v6_wraps / sizeof v6_wraps[0]; i++) {
        if (has_prefix(address, AF_INET6, v6_wraps[i].prefix, v6_wraps[i].bits))
            return of_v4(address + v6_wraps[i].at);
    }
    return EGRESS_PUBLIC;
}

enum egress egress_of(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return of_v4((const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr);
    if (sa->sa_family == AF_INET6)
        return of_v6((const uint8_t *)&((const struct sockaddr_in6 *)sa)->sin6_addr);
    return EGRESS_NEVER;
}

bool egress_of_literal(const char *host, enum egress *out)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];
    size_t n = strlen(host);
    bool brackets = n >= 2 && host[0] == '[' && host[n - 1] == ']';
    const char *from = brackets ? host + 1 : host;
    n = strcspn(from, "]%"); /* a zone is not the address's */
    if (n >= sizeof text)
        return false;
    memcpy(text, from, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, address) == 1)
        *out = of_v4(address);
    else if (inet_pton(AF_INET6, text, address) == 1)
        *out = of_v6(address);
    else
        return false;
    return true;
}

int egress_socket(int family, int type, int protocol)
{
    return socket(family, type | SOCK_CLOEXEC, protocol);
}
