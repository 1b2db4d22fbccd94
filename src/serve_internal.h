/* serve_internal.h: the running process, as serve.c, serve_stop.c and serve_reload.c share it. */
#pragma once

#include "broker/broker.h"
#include "flow/otlp_subscription.h"
#include "io/thread.h"
#include "serve_functions.h"
#include "serve_invoke.h"
#include "serve_listeners.h"
#include "serve_metrics.h"
#include "serve_push.h"
#include "store/embedded.h"

#include <stdatomic.h>

enum serve_step {
    SERVE_RUNNING,
    SERVE_DRAINING,
    SERVE_CUTTING,
    SERVE_STORING,
    SERVE_CLOSING,
};

struct serve_mail {
    struct env_mail mail;
    struct serve *s;
};

#define SERVE_URL_MAX 256

struct serve {
    int argc; /* of the start, for a reload */
    char **argv;
    struct serve_options options;
    unsigned n;
    struct loop *loops[SERVE_THREADS_MAX]; /* NULL: not made */
    struct env *envs[SERVE_THREADS_MAX];
    struct store *stores[SERVE_THREADS_MAX];
    struct broker *brokers[SERVE_THREADS_MAX];
    struct thread *threads[SERVE_THREADS_MAX];
    struct embedded *embedded;
    struct kafka_front *kafka;
    struct http_front *http;
    char validation_url[SERVE_URL_MAX];       /* the default of that option */
    char weir_http[SERVE_URL_MAX];            /* "": none that workers may use */
    struct budget answers[SERVE_THREADS_MAX]; /* of all who call over HTTP */
    struct serve_functions *functions;
    struct serve_push *push;
    struct serve_invoke *invoke;
    struct otlp_subscription *otlp;
    struct serve_metrics metrics;
    struct serve_listeners listeners;
    struct env_mail begin;
    enum serve_step step;
    uint64_t step_until_us;
    struct env_timer stop_timer;
    struct serve_mail drain_mail[SERVE_THREADS_MAX], cut_mail[SERVE_THREADS_MAX],
        close_mail[SERVE_THREADS_MAX];
    atomic_uint drained; /* reactors that begin nothing any more */
    bool clean;          /* everything has ended in order */
    atomic_int status;
};

/* Ends the loops at once, with the reason in the log. Any thread. */
void serve_fail(struct serve *s, const char *event, enum err err, const char *why);
void serve_stop_loops(struct serve *s);

/* serve_stop.c: SIGTERM, SIGINT. */
void serve_on_stop(void *arg, int signo);
/* serve_reload.c: SIGHUP. */
void serve_on_reload(void *arg, int signo);
/* What of the options a broker is told, at the start and by a reload. */
void serve_broker_conf(const struct serve_options *o, struct broker_conf *conf);
