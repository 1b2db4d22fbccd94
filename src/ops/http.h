/* http.h: the operator's port: GET /healthz, /readyz and /metrics over HTTP/1.1.
 *
 * /healthz  200 while the loop turns
 * /readyz   200 once clients are served, else 503
 * /metrics  Prometheus text format 0.0.4 (metrics.h)
 *
 * Requests are parsed by http_parser; keep-alive and pipelining work; a request's head is limited
 * to OPS_HTTP_HEAD_MAX and a body is not taken. One reactor.
 */
#pragma once

#include "base/pipe.h"
#include "broker/broker.h"

#include <stdbool.h>

#define OPS_HTTP_HEAD_MAX ((size_t)16 << 10)
#define OPS_HTTP_CONNECTIONS_MAX 100

struct ops_http;

/* Writes the metrics that the caller knows (store, fronts, process); may be NULL. */
typedef void ops_extra_fn(void *arg, struct wr *w);

struct ops_http *ops_http_make(struct broker *broker, ops_extra_fn *extra, void *arg);
void ops_http_free(struct ops_http *http);
void ops_http_set_ready(struct ops_http *http, bool ready);
bool ops_http_accept(struct ops_http *http, struct pipe *pipe);
