/* http_server.h: the server side of HTTP/1.1, as far as a function needs it: one thread,
 * connections that are kept, one request of each at a time, bodies with a Content-Length.
 *
 * Requests that are not understood are answered 400, 411 or 413, and their connection is closed.
 */
#pragma once

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_HEAD_BYTES_MAX ((size_t)32 << 10)
#define HTTP_BODY_BYTES_MAX ((size_t)16 << 20)
#define HTTP_CONNECTIONS_MAX 256

struct http_request {
    const char *method, *path, *type; /* type: of the content, "" if not said */
    const char *body;
    size_t body_len;
};

struct http_answer {
    int status;       /* 200 */
    const char *type; /* of the content: "text/plain" */
    struct text body;
};

struct http_service {
    void *arg;
    void (*answer)(void *arg, const struct http_request *request, struct http_answer *answer);
    void (*idle)(void *arg); /* between requests, at least each `idle_ms` */
    int idle_ms;
};

/* Serves on host (an address) and port until SIGTERM or SIGINT comes; then returns, with no request
 * half answered. */
void http_serve(const char *host, uint16_t port, const struct http_service *service);
