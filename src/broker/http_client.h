/* http_client.h: the port through which weir calls HTTP endpoints. Implemented by modules/ with
 * libcurl, and by a fake in tests.
 *
 * One struct http_client a reactor; calls are made and answered on it. A call's struct and all
 * that it borrows are the caller's and stay valid until done, which comes exactly once, never from
 * inside http_call. Nobody waits for anybody: each call has its own time limit, and a slow host
 * holds nothing but its own calls. Redirects are not followed: a 3xx is an answer like another.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/plain.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CALL_HEADERS_MAX 128
#define HTTP_CALL_ANSWER_BYTES_MAX ((size_t)8 << 20)
/* Answers that a reactor holds at once (base/budget.h), heads and bodies: of calls under way,
 * whoever makes them, and of those whose replies are not stored yet. */
#define HTTP_ANSWERS_BYTES_MAX ((size_t)64 << 20)
#define HTTP_ANSWERS_BYTES_FREE ((size_t)8 << 10) /* each: what is not for replies is less */

enum http_outcome {
    HTTP_ANSWERED,    /* status is the endpoint's */
    HTTP_TIMED_OUT,   /* nothing, or not all, came in time */
    HTTP_UNRESOLVED,  /* the name has no address */
    HTTP_UNREACHABLE, /* refused, reset, no route, closed before an answer */
    HTTP_TLS_FAILED,  /* handshake or certificate */
    HTTP_FORBIDDEN,   /* the address, after resolution, is never a destination */
    HTTP_ANSWER_BAD,  /* no HTTP */
    HTTP_CALL_BAD, /* the URL is none of http(s), or a header has a line break: nothing was sent */
    HTTP_CANCELLED,
    HTTP_NO_ROOM, /* it was being answered, and weir holds as much of answers as it may */
};

#define HTTP_NO_ROOM_TEXT "weir has no room for the answer: too many large ones are under way"

struct http_header {
    struct str name, value;
};

/* What may stand in a header's value, or a name: no line break, nothing else that is no text. */
static inline bool http_is_text(struct str s)
{
    size_t i = plain_bytes(s, 0x7f, 0x7f); /* mostly all */
    for (; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.at[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            return false;
    }
    return true;
}

struct http_client;

struct http_call {
    const char *method; /* "POST" */
    const char *url;
    const struct http_header *headers;
    size_t headers_n;
    struct str body; /* at NULL: none */
    uint32_t timeout_ms;
    size_t answer_bytes_max; /* of the body, up to HTTP_CALL_ANSWER_BYTES_MAX: no more is read */
    void (*done)(struct http_call *call);
    void *user;
    /* out, valid inside of done */
    enum http_outcome outcome;
    int status;
    const struct http_header *answer_headers; /* names in lower case */
    size_t answer_headers_n;                  /* at most HTTP_CALL_HEADERS_MAX: the first */
    struct str answer;
    bool answer_cut; /* there was more of it */
    uint64_t took_us;
    char error[128]; /* for a person; empty with HTTP_ANSWERED */
    void *private;
};

struct http_client_ops {
    void (*call)(struct http_client *c, struct http_call *call);
    void (*cancel)(struct http_client *c, struct http_call *call);
};

struct http_client {
    const struct http_client_ops *ops;
};

static inline void http_call(struct http_client *c, struct http_call *call)
{
    c->ops->call(c, call);
}

/* A header of the answer, by its name in lower case; at NULL: there is none. Inside of done. */
static inline struct str http_answer_header(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->answer_headers_n; i++) {
        if (str_is(call->answer_headers[i].name, name))
            return call->answer_headers[i].value;
    }
    return (struct str){NULL, 0};
}

/* done follows with HTTP_CANCELLED, unless it is on its way already. */
static inline void http_cancel(struct http_client *c, struct http_call *call)
{
    c->ops->cancel(c, call);
}
