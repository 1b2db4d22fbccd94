/* http.h: the operator's port: GET and HEAD of /healthz, /readyz and /metrics over HTTP/1.1.
 *
 * /healthz  200 while the loop turns
 * /readyz   200 once clients are served, else 503
 * /metrics  Prometheus text format 0.0.4 (metrics.h); 503 until clients are served
 *
 * Requests are parsed by http_parser; keep-alive and pipelining work. Refused, and the connection
 * closed: other methods (405), a head above OPS_HTTP_HEAD_MAX (431), a target above
 * OPS_HTTP_TARGET_MAX (414), a body (413), what is no request (400). With more than
 * OPS_HTTP_CONNECTIONS_MAX connections the one that has been quiet for longest is closed, so that
 * idle ones do not keep a probe out; twice as many are never there. One reactor.
 */
#pragma once

#include "base/pipe.h"
#include "broker/broker.h"

#include <stdbool.h>

#define OPS_HTTP_HEAD_MAX ((size_t)16 << 10)
#define OPS_HTTP_TARGET_MAX 255
#define OPS_HTTP_CONNECTIONS_MAX 100

struct ops_http;

/* Writes the metrics that the caller knows (store, fronts, process); may be NULL. */
typedef void ops_extra_fn(void *arg, struct wr *w);

struct ops_http *ops_http_make(struct broker *broker, ops_extra_fn *extra, void *arg);
/* Call when ops_http_open says 0. */
void ops_http_free(struct ops_http *http);
void ops_http_set_ready(struct ops_http *http, bool ready);
bool ops_http_accept(struct ops_http *http, struct pipe *pipe);
/* No more connections; those that are open close after the answer that is on its way. */
void ops_http_close(struct ops_http *http);
/* Connections, with those that have gone while their answer was being gathered. */
unsigned ops_http_open(const struct ops_http *http);
