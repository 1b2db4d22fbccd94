/* socket.h: a blocking TCP connection, for programs without a loop: the commands. One thread. */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct socket;

/* host: a name or an address. ERR_TIMED_OUT, ERR_CLOSED (refused), ERR_NOT_FOUND (no such host);
 * text says which address and why. Reads and writes wait timeout_ms at most. */
enum err must_use socket_connect(const char *host, const char *port, int timeout_ms,
                                 struct socket **out, struct err_text *text);
void socket_close(struct socket *s);
/* All n bytes, or ERR_TIMED_OUT, ERR_CLOSED. */
enum err must_use socket_send(struct socket *s, const void *p, size_t n);
enum err must_use socket_receive(struct socket *s, void *p, size_t n);
