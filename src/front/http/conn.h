/* conn.h: one connection of an HTTP client, and the requests on it. Inside of front/http only.
 *
 * Bytes come into a shared buffer. A head that is whole is parsed in place and becomes a struct
 * http_request; its body is a slice of the same buffer (Content-Length) or gathered (chunked). The
 * connection moves by steps, of which one looks at the bytes that came:
 *
 *     HEAD    a head is awaited             --> BODY, SKIP, FINISH, or HEAD again
 *     BODY    the body of the last request  --> HEAD
 *     SKIP    a body that nobody wants, but that is small enough to keep the connection  --> HEAD
 *     FINISH  no more requests are taken; those taken are answered, then  --> LINGER or CLOSED
 *     LINGER  all is answered; what still comes is dropped until the client has seen the answer
 *             and closes, since closing first would reset the connection under its eyes --> CLOSED
 *     CLOSED  nothing more is sent; the pipe's closed() follows or has come
 *
 * and requests by states: READING --> QUEUED --its turn--> RUNNING --http_answer--> DONE --all
 * before it are sent--> gone, or RUNNING --> STREAMING --> DONE.
 *
 * A client that does not read its answers is not read from either: while more than LOOP_OUTPUT_MAX
 * bytes wait for it, nothing new is taken or started.
 */
#pragma once

#include "auth/password_cache.h"
#include "base/list.h"
#include "front/http/chunked.h"
#include "front/http/head.h"
#include "front/http/http.h"
#include "front/http/request.h"

#include <stdatomic.h>

#define HTTP_RX_BYTES_MIN ((size_t)4 << 10) /* who has sent little yet holds little */
#define HTTP_RX_BYTES_MAX ((size_t)64 << 10)
#define HTTP_PIPELINE_MAX 128 /* requests queued and running */
#define HTTP_AHEAD_MAX 8      /* of them, behind one that nothing runs beside */
#define HTTP_PIPELINE_BYTES_MAX ((size_t)16 << 20) /* of their bodies; one is always allowed */
#define HTTP_SKIP_BYTES_MAX ((uint64_t)256 << 10)  /* of a refused body on a connection kept */
#define HTTP_LINGER_MS 2000
#define HTTP_LINGER_BYTES_MAX ((size_t)64 << 20)
#define HTTP_EMPTY_LINES_MAX 8 /* before a head: some old clients send one behind a body */
#define HTTP_WASTE_BYTES ((size_t)16 << 10)
#define HTTP_RANDOM_BYTES ((size_t)4096)
#define HTTP_SPARES_MAX 256 /* requests kept for the next, with their first arena block */

#define HTTP_CONN_STEPS(S)                                                                         \
    S(HEAD, head) S(BODY, body) S(SKIP, skip) S(FINISH, finish) S(LINGER, linger) S(CLOSED, closed)

enum http_step {
#define S(NAME, name) HTTP_STEP_##NAME,
    HTTP_CONN_STEPS(S)
#undef S
};

/* What the connection's timer waits for. */
enum http_wait {
    HTTP_WAIT_NOTHING,
    HTTP_WAIT_HEAD,
    HTTP_WAIT_BODY,
    HTTP_WAIT_IDLE,
    HTTP_WAIT_UNREAD,
    HTTP_WAIT_LINGER,
};

/* A chunked body on its way in. */
struct http_inflow {
    struct chunked decoder;
    struct wr body;
};

struct http_conn {
    uint32_t magic;
    struct list link; /* front's list of this reactor: the longest idle first */
    struct http_front *front;
    struct http_reactor *reactor;
    struct broker *broker;
    const struct http_listener *listener;
    struct pipe *pipe; /* NULL: the client has gone */
    enum http_step step;
    struct buf *rx;
    size_t rx_from, rx_to; /* unread bytes in rx */
    size_t rx_bytes;       /* room for the next: grows with what comes at once */
    size_t line;           /* of the head that is not whole: see http_head_end */
    unsigned empty_lines;
    struct list requests; /* in order of arrival */
    unsigned requests_n;
    size_t request_bytes;
    unsigned creating; /* topics that requests under way make: others wait, to keep the order */
    struct http_request *reading; /* the last request while its body comes */
    uint64_t skip;                /* bytes */
    size_t lingered;
    bool reading_stopped; /* space() said no */
    bool output_full;     /* pipe_send said no; drained() follows */
    bool running;         /* conn_run is on the stack */
    bool ended;           /* the client has ended its direction */
    bool continue_due;    /* 100 is to be sent for `reading` */
    bool linger_due;      /* a body was refused: do not close under its sender's eyes */
    bool loopback;
    enum http_wait wait;
    struct env_timer timer;
    uint64_t until_us, armed_us; /* monotonic; armed_us: when the timer fires, maybe too early */
    uint64_t queued;             /* bytes given to the pipe so far */
    uint64_t sent;               /* of them, when HTTP_WAIT_UNREAD began */
    char peer[PIPE_ADDR_MAX];
};

/* Written on its reactor, read anywhere: see struct http_stats. */
struct http_counters {
    _Atomic uint64_t connections, requests, running, errors, refused, streams;
};

struct http_reactor {
    struct list conns;
    unsigned conns_n;
    struct http_counters counters;
    size_t held; /* bytes of bodies: see http_conf.bodies_max */
    struct list spares;
    unsigned spares_n;
    bool draining, closed;
    char date[40];
    uint64_t date_s;                   /* Unix seconds that date shows */
    uint8_t random[HTTP_RANDOM_BYTES]; /* for traces, which are no secrets: fetched many at once */
    size_t random_left;
    struct password_cache passwords;
    uint8_t waste[HTTP_WASTE_BYTES];
};

struct http_front {
    struct http_conf conf;
    struct broker **brokers;
    unsigned n;
    struct http_reactor *reactors;
    atomic_bool ready;
};

/* n <= HTTP_RANDOM_BYTES unpredictable bytes, valid until the next call; not for secrets. */
const uint8_t *http_random(struct http_reactor *r, struct env *env, size_t n);
/* By the counter's own reactor. */
void http_count(_Atomic uint64_t *counter, int64_t change);

/* ---- conn.c ---- */

const char *http_step_name(enum http_step step);

bool http_conn_open(struct http_front *front, unsigned reactor, struct pipe *pipe,
                    const struct http_listener *listener);
/* Finishes: takes no more requests, closes when those that it has are answered. */
void http_conn_finish(struct http_conn *conn);
/* Whose bodies were refused are not waited for. */
void http_conn_linger_no_more(struct http_conn *conn);
/* Asks what waits to answer at once. */
void http_conn_cancel(struct http_conn *conn);
/* Moves the connection as far as it goes. May free it. */
void http_conn_run(struct http_conn *conn);
/* What a handler that streams has put into rq->out leaves. False: the output is full. */
bool http_conn_stream(struct http_request *rq);
/* Cuts the connection: the answer that streams cannot be whole. */
void http_conn_cut(struct http_conn *conn);

/* ---- intake.c: a head becomes a request, or a refusal ---- */

/* Parses the head at rx_from, of `bytes`; makes the request and decides what comes next. */
void http_intake_head(struct http_conn *conn, size_t bytes);
/* The body is whole (decoded from chunks): decompresses it and queues the request. */
void http_intake_body(struct http_request *rq, struct slice body);
/* Answers the request that is being read with that, and closes in the end. */
void http_intake_refuse(struct http_conn *conn, struct http_request *rq, int status,
                        const char *code, const char *why);
/* The request holds that many bytes from now on, of those that a reactor may hold. */
void http_intake_hold(struct http_request *rq, size_t bytes);
struct http_request *http_request_make(struct http_conn *conn);
void http_request_free(struct http_request *rq);

/* ---- identify.c, origin.c ---- */

/* Finds out who calls and fills rq->actor. */
enum err must_use http_identify(struct http_request *rq, struct err_text *text);
/* ERR_POLICY: a browser's page of another origin, or of a name that is not ours. Adds what a page
 * that may call is to be told. */
enum err must_use http_origin_check(struct http_request *rq, struct str host,
                                    struct err_text *text);
