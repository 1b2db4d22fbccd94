/* push.h: delivery: what subscriptions that name an address or a topic are owed is brought there.
 *
 *     ledger --acquire--> batch --build--> POST --answer--> settle: accept, release, reject
 *                                   ^                          |
 *                                   +---- again, after a while-+
 *
 * One struct push a reactor; each subscription is worked on by one of them: the one that its
 * endpoint's address decides (endpoint.h), so that all who post to an endpoint share its breaker,
 * or any other for deliveries into topics.
 *
 * What holds for each subscription:
 *   - A message is acquired before it is sent and settled after the answer, so a kill at any point
 *     loses nothing: what was not settled is delivered again. What was accepted durably is not.
 *   - At most `concurrency` calls are under way; a slow endpoint takes no call from another.
 *   - While half of what a reactor may hold of answers is held, no more calls begin. An answer that
 *     has no room is a failed attempt, which says nothing about the endpoint.
 *   - Endpoints that fail are left alone: by their breaker, by probation, by Retry-After. Messages
 *     wait in the ledger meanwhile, unacquired: their attempts are not spent, their time is.
 *   - A call is a success, tried again, or given up by the contract of retry.h. A batch is settled
 *     as one: all or none.
 *   - ordering: key. The messages of a session are posted one call after the other; what fails is
 *     tried again before what follows it. ordering: partition. Likewise those of a partition.
 *   - A function is called as an endpoint is, but by a slot of its pool (function.h), which says
 *     which worker, and in its own format and batches. A batch that failed is tried again event by
 *     event. What a worker was called with when it ended is another's at once.
 *   - What is answered goes into topics with the settle, as one atomic group (reply.h).
 *   - A subscription whose validation is pending delivers nothing (push_validate.h).
 *   - Delivery into a topic or queue is one atomic group with its settle: exactly once.
 *
 * Dead letters (delivery.h) get: as reason refused for an answer that is not tried again,
 * else what the ledger says (attempts or time are used up); as description the answer; as outcome
 * the words of outcome.h.
 */
#pragma once

#include "base/budget.h"
#include "broker/broker.h"
#include "broker/http_client.h"
#include "flow/models.h"
#include "flow/outcome.h"

#include <stdatomic.h>

#define PUSH_REASON_REFUSED "refused"
/* As the ledger says them. */
#define PUSH_REASON_ATTEMPTS "max-deliveries"
#define PUSH_REASON_EXPIRED "expired"
#define PUSH_CALLS_MAX 8192 /* under way on a reactor */

struct push;

struct disk;
struct functions;
struct loop;

struct push_conf {
    struct http_client *http;
    struct http_client *local;   /* to workers of this machine (http_local.h); with functions */
    struct functions *functions; /* NULL: none are called */
    struct budget *answers;      /* of both clients: its `eased` becomes push's; NULL: no limit */
    struct loop *loop;           /* for jobs; NULL: files are read at once */
    struct disk *disk;           /* for models' files */
    const char *origin;          /* how weir names itself to endpoints: a DNS name */
    /* Where an Event Grid subscriber that does not answer the validation code by itself may confirm
     * by GET: "<this>?id=<subscription id>&code=<code>". NULL: nowhere. */
    const char *validation_url;
};

/* The texts and the client stay the caller's. first: reactor 0's, which is made first and freed
 * last; NULL for that itself. */
struct push *push_make(struct broker *b, struct push *first, const struct push_conf *conf);
/* Once, when the broker is loaded. */
void push_start(struct push *p);
/* No more deliveries begin. `cut`: calls that are under way are cancelled, and their messages are
 * available again. */
void push_stop(struct push *p, bool cut);
/* Something is under way: push_free must wait. */
bool push_busy(const struct push *p);
void push_free(struct push *p);

/* Counted since the start. Any thread may read. */
#define PUSH_BUCKETS 12
extern const double push_bucket_seconds[PUSH_BUCKETS];

struct push_stats {
    atomic_uint_fast64_t calls[OUTCOME_COUNT];   /* that ended so */
    atomic_uint_fast64_t events[OUTCOME_COUNT];  /* that they carried */
    atomic_uint_fast64_t took[PUSH_BUCKETS + 1]; /* calls by duration; the last: longer */
    atomic_uint_fast64_t took_us;                /* all together */
    atomic_uint_fast64_t appended;               /* events delivered into topics */
    atomic_uint_fast64_t under_way;              /* calls, now */
    atomic_uint_fast64_t replies;                /* events that were answered, and appended */
    atomic_uint_fast64_t replies_dropped;        /* likewise, but no topic was named for them */
};
const struct push_stats *push_stats(const struct push *p);

/* What models have scored, by the push of reactor 0. */
void push_models(const struct push *p, model_total_fn *each, void *arg);

/* Breakers that are not CLOSED, of all reactors, by the push of reactor 0: mail keeps it right.
 * state: enum breaker_state. */
typedef void push_breaker_fn(void *arg, const char *endpoint, int state);
void push_breakers(const struct push *p, push_breaker_fn *each, void *arg);
