/* http.h: the HTTP front: an HTTP/1.1 server whose requests call the broker's verbs.
 *
 * One struct http_front for all its listeners; connections are accepted on any reactor and stay
 * there. A connection is a byte machine (base/pipe.h): it can be driven by a socket, TLS over one,
 * a simulation, a fuzzer. What a request does is a row in a table of routes (request.h) and a
 * handler, one file a noun; conn.h has the life of a connection.
 *
 * Limits, beside those of the configuration: a head is at most HTTP_HEAD_BYTES_MAX (431), with at
 * most HTTP_FIELDS_MAX fields (431) and a target of HTTP_TARGET_BYTES_MAX (414). A head must be
 * whole within HTTP_HEAD_MS of its first byte, a body within HTTP_BODY_MS and the time that it
 * takes at HTTP_BODY_RATE; a client that is late is answered 408. A connection without a request is
 * closed after HTTP_IDLE_MS, and one that does not read its answer after HTTP_UNREAD_MS.
 */
#pragma once

#include "base/pipe.h"
#include "broker/broker.h"

#include <stdbool.h>

#define HTTP_HEAD_BYTES_MAX ((size_t)32 << 10)
#define HTTP_TARGET_BYTES_MAX ((size_t)8 << 10)
#define HTTP_FIELDS_MAX 256
#define HTTP_HEAD_MS 10000
#define HTTP_BODY_MS 30000
#define HTTP_BODY_RATE ((size_t)8 << 10) /* bytes a second */
#define HTTP_IDLE_MS 75000
#define HTTP_UNREAD_MS 60000

/* Where owners of Event Grid endpoints confirm a subscription by hand (flow/push.h). */
#define HTTP_VALIDATION_PATH "/eventsubscriptions/validate"

#define HTTP_BODY_MAX_DEFAULT ((size_t)1 << 20)
#define HTTP_BODIES_MAX_DEFAULT ((size_t)256 << 20)
#define HTTP_CONNECTIONS_MAX_DEFAULT 10000
#define HTTP_HOSTS_MAX 64

typedef void http_page_fn(void *arg, struct slice page);

struct http_conf {
    size_t body_max;          /* of one request, decompressed too; a route may say less or more */
    size_t bodies_max;        /* of all that a reactor holds at once; beyond it: 503 */
    unsigned connections_max; /* a reactor; the one that has been idle longest makes room */
    /* Names by which browsers may reach a listener on loopback, beside addresses and localhost:
     * anything else in Host is how a page of another origin gets here (DNS rebinding). */
    const char *hosts[HTTP_HOSTS_MAX];
    unsigned hosts_n;
    /* Origins ("https://app.example") whose pages may use this server from a browser (CORS). */
    const char *origins[HTTP_HOSTS_MAX];
    unsigned origins_n;
    bool password_threads; /* the reactors are loops: passwords are hashed on their threads */
    /* The page of /metrics: calls done with it (whose reference is done's) on the broker's
     * reactor, perhaps from inside. NULL: 404. */
    void (*metrics)(void *arg, struct broker *b, http_page_fn *done, void *done_arg);
    void *arg;
};
extern const struct http_conf http_conf_default;

/* What a connection's listener means for it. */
struct http_listener {
    bool tls;          /* what comes in over it nobody else has read */
    bool authenticate; /* a request without a known credential is 401, but to HTTP_PUBLIC routes */
};

struct http_front;

/* brokers[reactor]; conf is copied, its texts are the caller's. */
struct http_front *http_front_make(const struct http_conf *conf, struct broker **brokers,
                                   unsigned n);
/* Call when http_front_stats shows no connections. */
void http_front_free(struct http_front *front);
/* Before that only /healthz and /readyz are answered, everything else with 503. Any thread. */
void http_front_set_ready(struct http_front *front, bool ready);
/* A fresh pipe on reactor `reactor`; sets the pipe's user. The listener is borrowed until the front
 * is freed; NULL: one that says nothing. False: too many, or closing. */
bool http_front_accept(struct http_front *front, unsigned reactor, struct pipe *pipe,
                       const struct http_listener *listener);

/* Stopping, on the reactor, in this order. HTTP_DRAIN: who waits is answered, connections close
 * after the answers that are on their way, new requests are answered 503 except for /healthz and
 * /readyz. HTTP_CUT: connections whose requests are still under way are cut. HTTP_CLOSE: no more
 * connections, and those that are open close. */
enum http_stop { HTTP_DRAIN, HTTP_CUT, HTTP_CLOSE };
void http_front_stop(struct http_front *front, unsigned reactor, enum http_stop how);

/* Of all reactors together. Any thread. */
struct http_stats {
    uint64_t connections; /* open, or gone with requests still under way */
    uint64_t requests;    /* answered */
    uint64_t running;     /* under way in the broker: wait for 0 before the store is closed */
    uint64_t errors;      /* connections closed because of what came in over them */
    uint64_t refused;     /* connections not taken: too many */
    uint64_t streams;     /* answers that go on: server-sent events */
};
void http_front_stats(const struct http_front *front, struct http_stats *out);
