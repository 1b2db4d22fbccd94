/* server.h: the sockets of the servers that weir is measured with: 127.0.0.1, one thread, epoll. */
#pragma once

#include <stdint.h>

/* Listens, without blocking; port 0: any free one. -1: errno says why. */
int server_listen(uint16_t port);
/* The port of a socket that listens. */
uint16_t server_port(int listener);
/* The next connection, without blocking and without delay; -1: there is none. */
int server_accept(int listener);
