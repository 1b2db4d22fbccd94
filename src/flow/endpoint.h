/* endpoint.h: an address that weir posts to: whether it may be called now, and how often at once.
 *
 * All subscriptions that post to one address share its circuit breaker (breaker.h), whose state is
 * theirs together, and its probation (retry.h). They live on one reactor, which the address decides
 * (endpoint_reactor), so nothing here is shared between threads. The address is the URL without
 * user, query and fragment: those hold secrets, and say nothing about who answers.
 *
 *     room?  -> begin (a permit) -> call -> end (how it went) or abandon (it was not made)
 *
 * While the breaker is OPEN and its wait is over, the endpoint is asked by an OPTIONS request,
 * which carries no event: only an answer that is neither 429 nor 5xx lets messages try it again.
 *
 * An endpoint that says when it is ready (a model server) is asked that instead, by GET, and only
 * 200 is a yes. It has a fallback, and its calls carry many events: so its breaker opens after few
 * of them, waits ENDPOINT_SERVER_OPEN_US, and lets traffic return within ENDPOINT_SERVER_RETURN_US;
 * it has no probation but what a Retry-After asks for.
 *
 * An endpoint lives while somebody uses it or its breaker is not CLOSED. One reactor.
 */
#pragma once

#include "base/map.h"
#include "broker/env.h"
#include "flow/breaker.h"
#include "flow/retry.h"

#define ENDPOINT_KEY_MAX 2048
#define ENDPOINT_PROBE_MS 10000
#define ENDPOINT_RETURN_US ((uint64_t)30 * 1000000)
#define ENDPOINT_SERVER_WINDOW 20 /* calls */
#define ENDPOINT_SERVER_CALLS_MIN 5
#define ENDPOINT_SERVER_PERMITTED 5
#define ENDPOINT_SERVER_OPEN_US ((uint64_t)5 * 1000000)
#define ENDPOINT_SERVER_RETURN_US ((uint64_t)10 * 1000000)

struct endpoint;

/* Embedded by who posts; told whenever there may be more room than before, or none any more. */
struct endpoint_user {
    struct list link;
    struct endpoint *endpoint; /* NULL: not joined */
    const char *ready;         /* where it says whether it is: "/v2/health/ready"; else NULL */
    void (*changed)(struct endpoint_user *user);
};

struct endpoints;

/* A breaker changed, or (from == to) came back so from a former life: for the log and for metrics.
 * Inside of the call that caused it. */
typedef void endpoint_changed_fn(void *arg, struct endpoint *e, enum breaker_state from,
                                 enum breaker_state to);

struct endpoints_conf {
    struct env *env;
    struct http_client *http;
    const char *origin; /* of probes: WebHook-Request-Origin */
    endpoint_changed_fn *changed;
    void *arg;
};

struct endpoints *endpoints_make(const struct endpoints_conf *conf);
/* Nobody uses one any more, and probes are over (endpoints_stop). */
void endpoints_free(struct endpoints *set);
/* No more probes; those that are under way are cancelled. */
void endpoints_stop(struct endpoints *set);
/* Probes that are under way. */
unsigned endpoints_busy(const struct endpoints *set);

/* "https://host:443/path" of a URL, in out; false: it is too long or no URL. */
bool endpoint_key(struct str url, char out[ENDPOINT_KEY_MAX]);
/* Of n reactors. */
unsigned endpoint_reactor(struct str url, unsigned n);

/* As the log of breakers tells of a former life (times in wall clock ms). */
void endpoint_restore(struct endpoints *set, const char *key, enum breaker_state state,
                      uint32_t attempts, uint64_t since_ms, uint64_t retry_ms);

/* The URL is one (endpoint_key). */
void endpoint_join(struct endpoints *set, struct str url, struct endpoint_user *user);
void endpoint_leave(struct endpoint_user *user);

/* How many more calls may begin for somebody with `under_way` of at most `most`. */
uint32_t endpoint_room(struct endpoint *e, uint32_t most, uint32_t under_way);
/* False: not now. */
bool endpoint_begin(struct endpoint *e);
void endpoint_abandon(struct endpoint *e);
void endpoint_end(struct endpoint *e, const struct retry_attempt *attempt,
                  enum delivery_outcome outcome, uint64_t took_us);

const char *endpoint_name(const struct endpoint *e); /* its key */
const struct breaker *endpoint_breaker(const struct endpoint *e);
/* A breaker's monotonic time in wall clock ms. */
uint64_t endpoint_wall_ms(const struct endpoint *e, uint64_t mono_us);
