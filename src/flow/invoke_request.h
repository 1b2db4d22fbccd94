/* invoke_request.h: what a function is called with, of a request.
 *
 *     protocol            methods   posted to its worker, or url
 *     cloudevents         POST      the request's body, fields and query, at the root: a CloudEvent
 *                                   in binary or structured mode, or anything else
 *     cloudevents-batch   POST      the same, of application/cloudevents-batch+json only
 *     azure, httpTrigger  its own   POST /NAME, with the request in JSON (function_azure_http.h)
 *       forwardHttp                 the request as it is, at its own path
 *
 * Beside the fields of the request: Prefer: reply to the first two, as for events; what Azure's
 * host says of itself to the others; traceparent, if there is none; X-Forwarded-For, -Host and
 * -Proto, which say who asked, and how.
 *
 * Pure. Everything points into the arena, the body, the request's body or the function.
 */
#pragma once

#include "base/cursor.h"
#include "broker/document.h"
#include "broker/invoke.h"
#include "flow/function_azure.h"

#define INVOKE_RANDOM_BYTES AZURE_RANDOM_BYTES

struct invoke_call {
    const char *method;
    char *url;
    struct http_header headers[HTTP_CALL_HEADERS_MAX];
    size_t headers_n;
    struct str body;
};

struct invoke_request_conf {
    struct invoke_op *op;
    const struct document *function;
    struct str base; /* the worker's address, or the function's url */
    struct arena *arena;
    struct wr *body; /* for what is made */
    uint64_t now_ms;
    const uint8_t *random; /* INVOKE_RANDOM_BYTES */
};

/* ERR_METHOD, with op->allow; ERR_REQUEST_INVALID: it cannot be called with this; ERR_MEMORY: the
 * arena is full. text says why. */
enum err must_use invoke_request_build(const struct invoke_request_conf *conf,
                                       struct invoke_call *out, struct err_text *text);
/* ce-correlationid, x-correlation-id or x-request-id; at NULL: none of them. */
struct str invoke_request_correlation(const struct invoke_request *r);
/* A field, by its name in lower case; at NULL: there is none. */
struct str invoke_request_field(const struct invoke_request *r, const char *name);
