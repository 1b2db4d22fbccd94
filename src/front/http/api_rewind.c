/* POST /api/v1/subscriptions/TOPIC/NAME:rewind?to=...[&partition=N]: a subscription delivers again
 * from a time (RFC 3339), from `earliest` or `latest`, or, in one partition, from an offset. What
 * is with receivers now loses its lock. Needs the topic's Owner. */
#include "front/http/api.h"
#include "front/http/verbs.h"

#include "base/assert.h"
#include "base/when.h"
#include "broker/delivery.h"
#include "broker/subscription.h"

struct rewinding {
    struct rewind_op op;
    struct http_request *rq;
};

static void rewound(struct op *op)
{
    struct rewinding *r = container_of(op, struct rewinding, op.op);
    if (op->err)
        http_answer_error(r->rq, op->err, NULL);
    else
        http_answer_empty(r->rq, 204);
}

static enum err read_to(struct rewinding *r, struct err_text *text)
{
    struct str to = http_query(r->rq, "to");
    struct rewind_op *op = &r->op;
    op->time_ms = -1;
    if (to.at && str_is(to, "earliest"))
        op->offset = LIST_EARLIEST;
    else if (to.at && str_is(to, "latest"))
        op->offset = LIST_LATEST;
    else if (!to.at || (str_to_i64(to, &op->offset) && !when_datetime(to, &op->time_ms)))
        return err_say(text, ERR_REQUEST_INVALID,
                       "to must be earliest, latest, a time such as 2026-03-01T14:00:00Z, or an "
                       "offset");
    else if (op->time_ms < 0 && (op->offset < 0 || op->partition < 0))
        return err_say(text, ERR_REQUEST_INVALID,
                       "an offset is 0 or more, and of one partition: say partition, too");
    return ERR_OK;
}

static enum err read_request(struct rewinding *r, struct err_text *text)
{
    static const char *const names[] = {"to", "partition", NULL};
    struct http_request *rq = r->rq;
    int64_t partition = -1;
    enum err err = http_query_only(rq, names, text);
    if (!err)
        err = http_query_int(rq, "partition", 0, INT32_MAX, &partition, text);
    r->op.partition = (int32_t)partition;
    return err ? err : read_to(r, text);
}

/* NULL: none, or none whose topic the caller may see. */
static const struct subscription *find(struct http_request *rq)
{
    const struct topic *t = broker_topic(rq->broker, rq->params[0]);
    if (!t || !access_roles(rq->broker, &rq->actor, ACCESS_TOPIC, rq->params[0]))
        return NULL;
    return broker_subscription(rq->broker, &t->id, rq->params[1]);
}

void http_api_rewind(struct http_request *rq)
{
    struct err_text text = {""};
    struct rewinding *r = http_alloc(rq, 1, sizeof *r);
    if (!r) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    r->rq = rq;
    enum err err = read_request(r, &text);
    const struct subscription *s = err ? NULL : find(rq);
    if (!err && !s)
        err = err_say(&text, ERR_NOT_FOUND, "there is no such subscription");
    if (err) {
        http_answer_error(rq, err, &text);
        return;
    }
    r->op.op.done = rewound;
    r->op.actor = &rq->actor;
    r->op.subscription = s->id;
    broker_rewind(rq->broker, &r->op);
}
