/* invoke_request.h: what a function is called with, of a request.
 *
 *     protocol            methods   posted to its worker, or url
 *     cloudevents         POST      the request's body, fields and query, at the root: a CloudEvent
 *                                   in binary or structured mode, or anything else
 *     cloudevents-batch   POST      the same, of application/cloudevents-batch+json only
 *
 * Beside the fields of the request: Prefer: reply, as for events; traceparent, if there is none;
 * X-Forwarded-For, -Host and -Proto, which say who asked, and how.
 *
 * Pure. Everything points into the arena or the request's body.
 */
#pragma once

#include "broker/document.h"
#include "broker/invoke.h"

struct invoke_call {
    const char *method;
    char *url;
    struct http_header headers[HTTP_CALL_HEADERS_MAX];
    size_t headers_n;
    struct str body;
};

/* base: the worker's address, or the function's url. ERR_METHOD, with op->allow;
 * ERR_REQUEST_INVALID: it cannot be called with this; ERR_MEMORY: the arena is full. op->text says
 * why. */
enum err must_use invoke_request_build(struct invoke_op *op, const struct document *function,
                                       struct str base, struct arena *arena,
                                       struct invoke_call *out);
/* The request's correlation, for the log: ce-correlationid, x-correlation-id or x-request-id, else
 * its traceparent. */
struct str invoke_request_correlation(const struct invoke_request *r);
