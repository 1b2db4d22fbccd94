/* sim_http.h: broker/http_client.h in the simulated machine: calls take virtual time, and an
 * endpoint outside of it, which outlives the program, says how they end. */
#pragma once

#include "base/cursor.h"
#include "broker/env.h"
#include "broker/http_client.h"

/* What the endpoint does with a call that has arrived. */
struct sim_answer {
    enum http_outcome outcome;
    int status;
    uint64_t after_us; /* until the caller knows */
    const char *type;  /* Content-Type of the body */
    struct wr body;    /* moves to the call */
};

/* At the instant at which the request arrives. */
typedef struct sim_answer sim_endpoint_fn(void *arg, const struct http_call *call);
/* At the instant at which the caller is told, before it is. */
typedef void sim_answered_fn(void *arg, const struct http_call *call);

struct sim_http {
    struct http_client client; /* first */
    struct env *env;
    sim_endpoint_fn *endpoint;
    sim_answered_fn *answered;
    void *arg;
    uint64_t way_us; /* of a request */
};

/* One for a reactor of one life; a call that is under way when the machine dies is gone with it. */
void sim_http_init(struct sim_http *h, struct env *env, sim_endpoint_fn *endpoint,
                   sim_answered_fn *answered, void *arg);
