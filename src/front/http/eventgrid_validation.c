/* GET /eventsubscriptions/validate?id=...&code=...: the link in a validation event, by which the
 * owner of an endpoint that does not answer with the code itself says that it wants deliveries. Who
 * knows the code may: it was sent to the endpoint alone. */
#include "front/http/eventgrid.h"

#include "base/assert.h"
#include "base/secret.h"

#include <string.h>

#define PENDING "pending:"

struct confirming {
    struct http_request *rq;
    struct subscription_conf conf;
    struct subscription_put_op put;
    const struct subscription *s; /* a reference: conf's texts are its */
};

static void refuse(struct http_request *rq)
{
    http_answer_problem(rq, 404, "NotFound",
                        "no event subscription waits for this code: it was validated already, "
                        "changed, or the ten minutes for it are over");
}

static bool code_is(const struct subscription *s, struct str code)
{
    const size_t n = sizeof PENDING - 1;
    struct str v = s->conf.validation;
    bool pending = v.at && v.len > n && !strncmp(v.at, PENDING, n);
    return pending && v.len == n + code.len && secret_eq(v.at + n, code.at, code.len);
}

static void confirmed(struct op *op)
{
    struct confirming *c = container_of(op, struct confirming, put.op);
    if (c->put.subscription)
        subscription_unref(c->put.subscription);
    subscription_unref(c->s);
    if (op->err == ERR_BUSY || op->err == ERR_NOT_FOUND)
        refuse(c->rq);
    else if (op->err)
        http_answer_error(c->rq, op->err, &c->put.text);
    else
        http_answer_text(c->rq, 200, "The event subscription is validated: events will come.\n");
}

void eventgrid_validate(struct http_request *rq)
{
    struct uuid id;
    char *text = http_text(rq, http_query(rq, "id"));
    struct confirming *c = http_alloc(rq, 1, sizeof *c);
    if (!text || !c) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    const struct subscription *s =
        uuid_parse(text, &id) ? NULL : broker_subscription_by_id(rq->broker, &id);
    if (!s || !code_is(s, http_query(rq, "code"))) {
        refuse(rq);
        return;
    }
    c->rq = rq;
    c->s = subscription_ref(s);
    c->conf = s->conf;
    c->conf.validation = STR_LIT("done");
    /* On behalf of the broker: the code is what authorises. */
    c->put = (struct subscription_put_op){.op.done = confirmed,
                                          .actor = NULL,
                                          .name = str_of(s->name),
                                          .conf = &c->conf,
                                          .update_only = true,
                                          .expected = s};
    broker_subscription_put(rq->broker, &c->put);
}
