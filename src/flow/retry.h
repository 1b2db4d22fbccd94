/* retry.h: what becomes of a delivery that an endpoint did not take: given up, or tried again after
 * how long. Pure: the same question has the same answer; chance comes in as a number.
 *
 * The contract, which answers are a success and which are not tried again, follows the schedule:
 *
 *     backoff              success      not tried again
 *     eventgrid            200 .. 204   400 401 403 413
 *     eventgrid-namespace  200 .. 204   400 401 403 404 414, a time-out, a connection that failed
 *     all others           2xx          4xx but for 404 408 409 429 (Knative's data plane)
 *     (format otlp)        2xx          any status but 429 502 503 504 (OTLP's specification)
 *
 * The schedule, for the wait after the n-th attempt:
 *
 *     eventgrid            10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h, then every 12 h; at
 *                          least 2 m after a 408, 30 s after a 503
 *     eventgrid-namespace  at once, 10 s, 30 s, 1 m, 5 m, then every 5 m
 *     exponential          first * 2^(n-1), linear: first * n, fixed: first; at most `max`
 *
 * To each wait but a fixed one comes a random part of up to a tenth, at most RETRY_JITTER_MAX_MS,
 * so that what failed together does not come back together. A Retry-After that came with a 429 or
 * 503 is waited for if it is longer (the schedule's own maximum does not shorten it).
 *
 * How often is tried in all, and for how long, is the ledger's: delivery.h.
 */
#pragma once

#include "broker/subscription.h"
#include "flow/outcome.h"

#define RETRY_JITTER_MAX_MS 60000

struct retry_policy {
    enum subscription_backoff backoff;
    int64_t first_ms, max_ms; /* exponential, linear, fixed */
    bool otlp;                /* the contract is OTLP's */
};

/* How an attempt ended. */
struct retry_attempt {
    uint32_t n; /* 1: the first */
    enum http_outcome http;
    int status;
    int64_t retry_after_ms; /* -1: not told */
    uint32_t random;        /* any 32 bits: the jitter */
};

enum retry_verb { RETRY_DELIVERED, RETRY_AGAIN, RETRY_GIVE_UP };

struct retry_verdict {
    enum retry_verb verb;
    uint32_t wait_ms; /* RETRY_AGAIN */
    enum delivery_outcome outcome;
};

struct retry_verdict retry_judge(const struct retry_policy *policy,
                                 const struct retry_attempt *attempt);

/* Probation: after RETRY_PROBATION_FAILURES failures of an endpoint in a row no delivery is tried
 * for as long as Event Grid does for that failure (outcome.h), and for as long as a Retry-After of
 * a 429 or 503 says, whatever the number of failures. The first success ends it. */
#define RETRY_PROBATION_FAILURES 10

struct retry_probation {
    uint32_t failures;
    uint64_t until_us; /* monotonic; 0: never was */
};

void retry_probation_note(struct retry_probation *p, const struct retry_attempt *attempt,
                          enum delivery_outcome outcome, uint64_t now_us);
/* How long deliveries have to wait; 0: not at all. */
uint64_t retry_probation_left_us(const struct retry_probation *p, uint64_t now_us);
