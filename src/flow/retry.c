#include "flow/retry.h"

#include "base/assert.h"

#define SECOND 1000u
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* The last wait of a schedule goes on for ever. */
static const uint32_t eventgrid_waits[] = {10 * SECOND, 30 * SECOND, 1 * MINUTE, 5 * MINUTE,
                                           10 * MINUTE, 30 * MINUTE, 1 * HOUR,   3 * HOUR,
                                           6 * HOUR,    12 * HOUR};
static const uint32_t namespace_waits[] = {0, 10 * SECOND, 30 * SECOND, 1 * MINUTE, 5 * MINUTE};

#define WAIT_OF(waits, n)                                                                          \
    (waits)[((n) <= sizeof(waits) / sizeof(waits)[0] ? (n) : sizeof(waits) / sizeof(waits)[0]) - 1]

/* ---- contracts ------------------------------------------------------------------------------ */

/* What most contracts say alike: a request that cannot be made never will be, who does not answer
 * is asked again, 200 to `most` is success. False: the status is the contract's own matter. */
static bool is_plain(const struct retry_attempt *a, int most, enum retry_verb *verb)
{
    if (a->http == HTTP_CALL_BAD)
        *verb = RETRY_GIVE_UP;
    else if (a->http != HTTP_ANSWERED)
        *verb = RETRY_AGAIN;
    else if (a->status >= 200 && a->status <= most)
        *verb = RETRY_DELIVERED;
    else
        return false;
    return true;
}

static enum retry_verb eventgrid_verb(const struct retry_attempt *a)
{
    enum retry_verb verb;
    if (is_plain(a, 204, &verb))
        return verb;
    bool final = a->status == 400 || a->status == 401 || a->status == 403 || a->status == 413;
    return final ? RETRY_GIVE_UP : RETRY_AGAIN;
}

static enum retry_verb namespace_verb(const struct retry_attempt *a)
{
    if (a->http == HTTP_CANCELLED || a->http == HTTP_NO_ROOM)
        return RETRY_AGAIN; /* weir's own doing */
    if (a->http != HTTP_ANSWERED) {
        bool again = a->http == HTTP_UNRESOLVED || a->http == HTTP_FORBIDDEN;
        return again ? RETRY_AGAIN : RETRY_GIVE_UP;
    }
    if (a->status >= 200 && a->status <= 204)
        return RETRY_DELIVERED;
    switch (a->status) {
    case 400:
    case 401:
    case 403:
    case 404:
    case 414:
        return RETRY_GIVE_UP;
    }
    return RETRY_AGAIN;
}

static enum retry_verb cloudevents_verb(const struct retry_attempt *a)
{
    enum retry_verb verb;
    if (is_plain(a, 299, &verb))
        return verb;
    switch (a->status) {
    case 404:
    case 408:
    case 409:
    case 429:
        return RETRY_AGAIN;
    }
    return a->status >= 400 && a->status < 500 ? RETRY_GIVE_UP : RETRY_AGAIN;
}

/* A part that was refused (partial_success) is an answer of 200: it is never sent again. */
static enum retry_verb otlp_verb(const struct retry_attempt *a)
{
    enum retry_verb verb;
    if (is_plain(a, 299, &verb))
        return verb;
    bool again = a->status == 429 || (a->status >= 502 && a->status <= 504);
    return again ? RETRY_AGAIN : RETRY_GIVE_UP;
}

/* ---- schedules ------------------------------------------------------------------------------ */

static uint64_t eventgrid_wait(const struct retry_attempt *a)
{
    uint64_t wait = WAIT_OF(eventgrid_waits, a->n);
    uint64_t least = a->http != HTTP_ANSWERED ? 0
                     : a->status == 408       ? 2 * MINUTE
                     : a->status == 503       ? 30 * SECOND
                                              : 0;
    return wait > least ? wait : least;
}

/* first * factor, no more than max and never an overflow. */
static uint64_t times(int64_t first, uint64_t factor, int64_t max)
{
    uint64_t f = first > 0 ? (uint64_t)first : 0, m = max > 0 ? (uint64_t)max : 0;
    if (f == 0 || factor == 0)
        return 0;
    return factor > m / f ? m : f * factor;
}

static uint64_t scheduled_wait(const struct retry_policy *p, const struct retry_attempt *a)
{
    switch (p->backoff) {
    case BACKOFF_EVENTGRID:
        return eventgrid_wait(a);
    case BACKOFF_EVENTGRID_NAMESPACE:
        return WAIT_OF(namespace_waits, a->n);
    case BACKOFF_LINEAR:
        return times(p->first_ms, a->n, p->max_ms);
    case BACKOFF_FIXED:
        return times(p->first_ms, 1, p->max_ms);
    case BACKOFF_EXPONENTIAL:
        break;
    }
    return times(p->first_ms, a->n <= 63 ? (uint64_t)1 << (a->n - 1) : UINT64_MAX, p->max_ms);
}

static uint64_t jitter(uint64_t wait, uint32_t random)
{
    uint64_t most = wait / 10 < RETRY_JITTER_MAX_MS ? wait / 10 : RETRY_JITTER_MAX_MS;
    return (most + 1) * random >> 32;
}

static bool has_retry_after(const struct retry_attempt *a)
{
    return a->http == HTTP_ANSWERED && (a->status == 429 || a->status == 503) &&
           a->retry_after_ms > 0;
}

static uint32_t wait_ms(const struct retry_policy *p, const struct retry_attempt *a)
{
    uint64_t wait = scheduled_wait(p, a);
    if (has_retry_after(a) && (uint64_t)a->retry_after_ms > wait)
        wait = (uint64_t)a->retry_after_ms;
    if (p->backoff != BACKOFF_FIXED)
        wait += jitter(wait, a->random);
    return wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX;
}

struct retry_verdict retry_judge(const struct retry_policy *policy,
                                 const struct retry_attempt *attempt)
{
    weir_assert(attempt->n >= 1);
    struct retry_verdict v = {.outcome = outcome_of_call(attempt->http, attempt->status)};
    v.verb = policy->otlp                                     ? otlp_verb(attempt)
             : policy->backoff == BACKOFF_EVENTGRID           ? eventgrid_verb(attempt)
             : policy->backoff == BACKOFF_EVENTGRID_NAMESPACE ? namespace_verb(attempt)
                                                              : cloudevents_verb(attempt);
    if (v.verb != RETRY_DELIVERED && v.outcome == OUTCOME_DELIVERED)
        v.outcome = OUTCOME_ABORTED; /* a 2xx that Event Grid does not take for a success */
    if (v.verb == RETRY_AGAIN)
        v.wait_ms = wait_ms(policy, attempt);
    return v;
}

/* ---- probation ------------------------------------------------------------------------------ */

void retry_probation_note(struct retry_probation *p, const struct retry_attempt *attempt,
                          enum delivery_outcome outcome, uint64_t now_us)
{
    uint64_t wait_ms = 0;
    if (!outcome_is_endpoints(outcome)) {
        if (outcome == OUTCOME_DELIVERED)
            *p = (struct retry_probation){0};
        return;
    }
    p->failures++;
    if (p->failures >= RETRY_PROBATION_FAILURES)
        wait_ms = outcome_probation_ms(outcome);
    if (has_retry_after(attempt) && (uint64_t)attempt->retry_after_ms > wait_ms)
        wait_ms = (uint64_t)attempt->retry_after_ms;
    uint64_t until = now_us + wait_ms * 1000;
    if (wait_ms && until > p->until_us)
        p->until_us = until;
}

uint64_t retry_probation_left_us(const struct retry_probation *p, uint64_t now_us)
{
    return p->until_us > now_us ? p->until_us - now_us : 0;
}
