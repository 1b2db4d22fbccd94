/* egress.h: where weir itself may connect to, for those who do it on a user's word.
 *
 * A user names a URL and weir posts to it from inside of the network: without a check that user
 * could reach what only weir should reach. Every address is of one class:
 *
 *     NEVER    link-local (169.254/16, fe80::/10) and other addresses where clouds serve their
 *              machines' credentials and settings; unspecified, multicast, reserved, broadcast
 *     PRIVATE  loopback, RFC 1918, carrier-grade NAT, unique local, benchmarks
 *     PUBLIC   all others
 *
 * An IPv4 address inside of an IPv6 one (mapped, compatible, NAT64, 6to4) has the class of the
 * IPv4 address. The check belongs to the moment of connecting, on the address itself: a name may
 * resolve to another one a moment later. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

enum egress { EGRESS_PUBLIC, EGRESS_PRIVATE, EGRESS_NEVER };

/* Of an IPv4 or IPv6 address; of any other family: EGRESS_NEVER. */
enum egress egress_of(const struct sockaddr *sa);
/* Of a host that is an address in text, with or without brackets; false: it is a name. */
bool egress_of_literal(const char *host, enum egress *out);
/* A fresh socket that is closed on exec, -1: none. */
int egress_socket(int family, int type, int protocol);
