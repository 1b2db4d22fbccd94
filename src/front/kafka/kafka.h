/* kafka.h: the Kafka front: connections that speak Kafka's protocol and call the broker's verbs.
 *
 * One struct kafka_front for all its listeners; connections are accepted on any reactor and stay
 * there. A connection is a byte machine (base/pipe.h): it can be driven by a socket, a simulation,
 * a fuzzer.
 */
#pragma once

#include "base/pipe.h"
#include "broker/broker.h"

#define KAFKA_FRAME_MAX_DEFAULT ((size_t)100 << 20)         /* socket.request.max.bytes */
#define KAFKA_REQUEST_MEMORY_MAX_DEFAULT ((size_t)64 << 20) /* decoded, with its answer */

struct kafka_conf {
    size_t frame_max;
    size_t request_memory_max;
    int64_t sasl_session_ms; /* connections.max.reauth.ms: authenticated again by then; 0: never */
    bool password_threads;   /* the reactors are loops: passwords are checked on their threads */
    /* group.min/max.session.timeout.ms and the like are the broker's */
};
extern const struct kafka_conf kafka_conf_default;

/* What a connection's listener means for it. */
struct kafka_listener {
    /* What clients are told to connect to; empty host: the address that each one has reached. */
    char advertised_host[256];
    uint16_t advertised_port; /* 0: the port that the client has reached */
    bool tls;                 /* what comes in over it nobody else has read */
    bool authenticate;        /* nothing is served before a client has authenticated */
};

struct kafka_front;

/* brokers[reactor]; conf is copied. */
struct kafka_front *kafka_front_make(const struct kafka_conf *conf, struct broker **brokers,
                                     unsigned n);
/* Call when all its connections have been closed. */
void kafka_front_free(struct kafka_front *front);
/* A fresh pipe on reactor `reactor`; sets the pipe's user. The listener is borrowed until the front
 * is freed; NULL: one that says nothing. False: the front is draining. */
bool kafka_front_accept(struct kafka_front *front, unsigned reactor, struct pipe *pipe,
                        const struct kafka_listener *listener);
/* Stops, on the reactor: no more connections and no more requests; fetches that wait are answered
 * with what is there, and each connection is closed once it has its answers, or (force) at once. */
void kafka_front_drain(struct kafka_front *front, unsigned reactor, bool force);

/* Of all reactors together. Any thread. */
struct kafka_stats {
    uint64_t connections; /* open, or gone with requests still under way */
    uint64_t requests;    /* finished */
    uint64_t errors;      /* connections closed because of what came in over them */
    uint64_t fetch_waits; /* fetches that wait for records now */
};
void kafka_front_stats(const struct kafka_front *front, struct kafka_stats *out);
