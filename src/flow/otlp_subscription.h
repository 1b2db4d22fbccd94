/* otlp_subscription.h: keeps the subscription OTLP_SUBSCRIPTION of weir.hops as the options of
 * `weir serve` want it: with an endpoint, hops are posted there as traces (otlp.h), by a
 * subscription like any other: in batches, tried again, behind a breaker, over restarts. Without
 * one it is deleted, so that nothing waits for a collector that is not there.
 *
 * weir.hops is made with the first hop: then the subscription is, too. On reactor 0.
 */
#pragma once

#include "base/err.h"
#include "broker/broker.h"

#define OTLP_SUBSCRIPTION "weir.otlp"
#define OTLP_SPANS 512 /* of one call */
#define OTLP_HEADERS_MAX 16

struct otlp_conf {
    const char *endpoint; /* "http://collector:4318"; NULL or "": none */
    const char *service;  /* the resource's service.name */
    const char *headers;  /* "key=value,key=value", values percent-encoded; NULL: none */
};

struct otlp_subscription;

/* ERR_CONFIG_INVALID: text says what is wrong. The conf's texts are copied. */
enum err must_use otlp_subscription_make(struct broker *b, const struct otlp_conf *conf,
                                         struct otlp_subscription **out, struct err_text *text);
/* Once, when the broker is loaded. */
void otlp_subscription_start(struct otlp_subscription *o);
/* When the reactor does not run any more. NULL is allowed. */
void otlp_subscription_free(struct otlp_subscription *o);
