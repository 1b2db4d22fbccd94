/* addr.h: socket addresses and their text: "127.0.0.1:9092", "[::1]:9092", "unix:/run/x.sock". */
#pragma once

#include "base/err.h"
#include "base/pipe.h"

#include <stdbool.h>
#include <sys/socket.h>

struct addr {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* An empty host is every address of this machine. Names are looked up if `lookup`, which may
 * block; "localhost" is 127.0.0.1 without one. ERR_REQUEST_INVALID: text says why. */
enum err must_use addr_parse(const char *s, bool lookup, struct addr *out, struct err_text *text);
/* An IPv4 address that came over IPv6 is shown as IPv4. A nameless unix socket: "unix:". */
void addr_format(const struct addr *addr, char out[PIPE_ADDR_MAX]);
/* 0: not an internet address. */
uint16_t addr_port(const struct addr *addr);

/* "pid 123 (java)": the process that listens on the port, where /proc lets us see it. */
bool addr_port_owner(uint16_t port, char *out, size_t cap);
