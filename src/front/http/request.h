/* request.h: what a handler sees of a request, and how it answers. Inside of front/http only.
 *
 * A handler is a row in a table of routes (routes.c) and a function. It reads the request, calls
 * the broker, and answers exactly once with one of the http_answer functions, then or later.
 * Answering is its last act: the request, its arena and all that it borrows are gone afterwards.
 * The client may have gone by then; answering is still right and costs nothing.
 *
 *     POST /topics/orders?partition=3        params[0] "orders", http_query(rq, "partition") "3"
 *          |
 *     head --> route --> body --> run --> http_answer      or  http_stream_begin, _send ..., _end
 *
 * Requests of one connection run one at a time, in order, except that those of routes with
 * HTTP_BESIDE may run beside such ones before them (pipelined publishing shares one fsync); answers
 * leave in the order of the requests in any case.
 *
 * Everything is called on the connection's reactor, rq->broker is that reactor's.
 */
#pragma once

#include "base/arena.h"
#include "base/chunk.h"
#include "base/cursor.h"
#include "broker/actor.h"
#include "broker/broker.h"

#include <jansson.h>

#define HTTP_PARAMS_MAX 8
#define HTTP_QUERY_MAX 64 /* pairs in a query; more are a 400 */
#define HTTP_REQUEST_MEMORY_MAX ((size_t)64 << 20)
#define HTTP_JSON_DEPTH_MAX 64

struct http_request;

enum method {
    METHOD_GET = 1,
    METHOD_HEAD = 2, /* served by GET's row; the body is left out */
    METHOD_POST = 4,
    METHOD_PUT = 8,
    METHOD_PATCH = 16,
    METHOD_DELETE = 32,
    METHOD_OPTIONS = 64, /* answered with Allow where no row takes it */
    METHOD_OTHER = 128,
};

enum http_route_flag {
    HTTP_BODY = 1,     /* takes a body; without it one that is not empty is 413 */
    HTTP_BESIDE = 2,   /* may run beside others of its kind */
    HTTP_EARLY = 4,    /* also served before the broker is ready and while it stops */
    HTTP_PUBLIC = 8,   /* needs no credential, and no Host or Origin is refused */
    HTTP_NO_CASE = 16, /* the pattern's literals match in any case (Azure's resource paths) */
    HTTP_ELSE = 32     /* only for paths that no row before has, whatever the method */
};

/* Writes an error's body in the shape that the clients of a protocol expect; returns its content
 * type. code: err_name, or a word of HTTP's; detail: what was wrong and what would be right. */
typedef const char *http_problem_fn(struct wr *w, int status, const char *code, const char *detail);

/* A row. The first that matches rules, so the particular stand before the general.
 *
 *     "/topics/{}/eventsubscriptions/{}:receive"     {}: one segment, or what of it precedes the
 *                                                    literal behind; never empty, takes no ':'
 *     "/{*}/providers/Microsoft.EventGrid/topics/{}" {*}: one or more segments, once a pattern
 */
struct http_route {
    unsigned methods; /* enum method */
    unsigned flags;
    const char *pattern;
    void (*run)(struct http_request *rq);
    size_t body_max;          /* 0: the front's */
    http_problem_fn *problem; /* NULL: application/problem+json, RFC 9457 */
};

struct http_routes {
    const struct http_route *at;
    size_t n;
};

/* A header field or a pair of the query. Field names are in lower case. */
struct http_field {
    struct str name, value;
};

enum http_request_state {
    HTTP_READING, /* the body is on its way */
    HTTP_QUEUED,
    HTTP_RUNNING,
    HTTP_STREAMING, /* its head has left, more follows */
    HTTP_DONE,
};

struct http_request {
    struct broker *broker;
    enum method method;
    const struct http_route *route;     /* NULL: refused before one was found */
    struct str target, path;            /* as they came, percent-encoded */
    struct str params[HTTP_PARAMS_MAX]; /* decoded; {*} as it came */
    unsigned params_n;
    const struct http_field *fields, *query;
    size_t fields_n, query_n;
    struct slice body;  /* decompressed; len 0: none. The request's reference */
    struct actor actor; /* the principal by identify.c */
    struct arena arena; /* http_alloc */
    void *state;        /* the handler's own */
    /* Set by a handler that waits: stop waiting and answer with what is there, since the client
     * has gone or the broker stops. Called while it runs, perhaps more than once. */
    void (*cancel)(struct http_request *rq);
    /* Set by a handler that streams: http_stream_send said false, now there is room again. */
    void (*drained)(struct http_request *rq);

    /* private: conn.h */
    struct list link;
    struct http_conn *conn;
    enum http_request_state run_state;
    struct slice head;
    struct chunkq out;
    struct wr answer_fields;    /* http_header */
    struct http_inflow *inflow; /* a chunked body's */
    size_t length;              /* of a body that is announced by Content-Length */
    size_t held;                /* bytes that count against bodies_max */
    bool keep_alive, http10, chunked, gzipped, wants_gzip, counted, chunking;
};

/* ---- reading -------------------------------------------------------------------------------- */

/* The value of the (first) field; name in lower case. at NULL: there is none. */
struct str http_field(const struct http_request *rq, const char *name);
/* The (first) value of the query's parameter, decoded; "" for "?name"; at NULL: not there. */
struct str http_query(const struct http_request *rq, const char *name);
/* A whole number of the query within [min, max]; *out is left alone if it is not there.
 * ERR_REQUEST_INVALID with the reason. */
enum err must_use http_query_int(const struct http_request *rq, const char *name, int64_t min,
                                 int64_t max, int64_t *out, struct err_text *text);
/* The first parameter that is none of the names: a client's typing error must not be ignored.
 * ERR_REQUEST_INVALID names it and those that there are. names ends with NULL. */
enum err must_use http_query_only(const struct http_request *rq, const char *const *names,
                                  struct err_text *text);
/* Does the Content-Type have this media type ("application/json"), whatever its parameters? */
bool http_content_is(const struct http_request *rq, const char *type);
/* Does the Accept field name this type itself, not by a wildcard? */
bool http_accepts(const struct http_request *rq, const char *type);
/* The body as JSON, a new reference. ERR_REQUEST_INVALID says where it is none. */
enum err must_use http_body_json(struct http_request *rq, json_t **out, struct err_text *text);
/* count zeroed elements that live as long as the request; NULL: it may take no more memory, answer
 * ERR_MEMORY. */
void *http_alloc(struct http_request *rq, size_t count, size_t size);
/* A NUL-terminated copy; NULL as above. */
char *http_text(struct http_request *rq, struct str s);

/* ---- answering ------------------------------------------------------------------------------ */

/* Adds a field to the answer that follows. A value with control characters is left out whole. */
__attribute__((format(printf, 3, 4))) void http_header(struct http_request *rq, const char *name,
                                                       const char *fmt, ...);
/* Content-Length, Date, Connection, Server and compression are added. content_type may be NULL.
 * Takes the body's reference. */
void http_answer(struct http_request *rq, int status, const char *content_type, struct slice body);
/* The same, taking the chunks (file ranges too: those leave by sendfile). */
void http_answer_chunks(struct http_request *rq, int status, const char *content_type,
                        struct chunkq *body);
/* What the writer holds. */
void http_answer_written(struct http_request *rq, int status, const char *content_type,
                         struct wr *body);
void http_answer_text(struct http_request *rq, int status, const char *text);
/* Takes the reference. */
void http_answer_json(struct http_request *rq, int status, json_t *json);
void http_answer_empty(struct http_request *rq, int status);
/* The error's status in err.h; text (may be NULL or empty) says what was wrong and what would be
 * right. Retry-After is added where trying again helps. */
void http_answer_error(struct http_request *rq, enum err err, const struct err_text *text);
/* For what err.h has no row for: code is a word like "MEDIA_TYPE". */
__attribute__((format(printf, 4, 5))) void
http_answer_problem(struct http_request *rq, int status, const char *code, const char *fmt, ...);

/* An answer that goes on: chunked (until close for HTTP/1.0), with what http_header added. */
void http_stream_begin(struct http_request *rq, int status, const char *content_type);
/* Takes the chunks (q is empty afterwards). False: the client reads too slowly; send no more until
 * rq->drained. After the client has gone it is true, and costs nothing. */
bool http_stream_send(struct http_request *rq, struct chunkq *q);
/* Ends it: the handler's last act. whole false: the client must see that something is missing
 * (the connection is cut instead of ended). */
void http_stream_end(struct http_request *rq, bool whole);

/* ---- text into a writer; JSON: base/json.h --------------------------------------------------- */

void wr_text(struct wr *w, const char *s);
__attribute__((format(printf, 2, 0))) void wr_vprintf(struct wr *w, const char *fmt, va_list args);
__attribute__((format(printf, 2, 3))) void wr_printf(struct wr *w, const char *fmt, ...);
