/* http_local.h: calls to HTTP servers of this machine: broker/http_client.h on the reactor's own
 * loop, without a thread, a library or a lookup in between. Functions' workers are called so.
 *
 *     http://127.0.0.1:8081/path     http://[::1]:8081/path     http://unix:/run/x.sock:/path
 *
 * Any other host, and https, is HTTP_FORBIDDEN: these addresses need no check of where they lead,
 * which is modules/http_curl.h's.
 *
 * HTTP/1.1 with one call a connection at a time. Connections are kept per address and used again,
 * the last one first, while the peer's Keep-Alive and HTTP_LOCAL_IDLE_US allow. A call is sent
 * once: what breaks is HTTP_UNREACHABLE, as nobody knows what the server did; only a kept
 * connection that turns out to be closed before anything was sent on it is replaced. The answer
 * counts as soon as it is whole, even if the request has not left; then the connection is not kept.
 *
 * Headers are sent as given, and Host, Content-Length and User-Agent where they are not. What
 * frames a message (Content-Length, Transfer-Encoding, Connection, Upgrade, Expect, Trailer) is not
 * the caller's: HTTP_CALL_BAD. The body is borrowed until done.
 *
 * At most HTTP_LOCAL_CONNECTIONS_MAX; more calls are HTTP_UNREACHABLE. Answers are of the reactor's
 * budget, whose refusal is HTTP_NO_ROOM. One reactor.
 */
#pragma once

#include "base/budget.h"
#include "broker/http_client.h"
#include "io/loop.h"

#define HTTP_LOCAL_CONNECTIONS_MAX 8192
#define HTTP_LOCAL_IDLE_US ((uint64_t)4 * 1000000) /* common servers close after five seconds */

struct http_local;

/* answers: borrowed; NULL: no limit but each answer's own. */
struct http_local *http_local_make(struct loop *loop, struct budget *answers);
struct http_client *http_local_client(struct http_local *l);
/* No connection is kept from here on; calls go on. */
void http_local_stop(struct http_local *l);
/* Calls or connections are there: http_local_free must wait. */
bool http_local_busy(const struct http_local *l);
void http_local_free(struct http_local *l);
