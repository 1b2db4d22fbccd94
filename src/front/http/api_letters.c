#include "front/http/api_letters.h"

#include "broker/access.h"

#define ATTEMPTS_MAX 1000000 /* looking at a letter is no attempt */

/* ---- what peek and redrive begin with ------------------------------------------------------- */

void letters_end(struct letters *l)
{
    topic_unref(l->topic);
    expr_free(l->filter);
    l->topic = NULL;
    l->filter = NULL;
}

struct event_place letters_place(const struct letters *l, const struct message *m)
{
    return (struct event_place){.topic_name = l->topic->name,
                                .topic = l->topic->id,
                                .partition = m->partition,
                                .offset = m->offset};
}

static enum err read_request(struct letters *l, const char *const *names, struct err_text *text)
{
    struct http_request *rq = l->rq;
    struct str filter = http_query(rq, "filter");
    const struct topic *t = broker_topic(rq->broker, rq->params[0]);
    enum err err = http_query_only(rq, names, text);
    if (!err)
        err = access_check(rq->broker, &rq->actor, ACCESS_TOPIC, rq->params[0], ACCESS_OWNER);
    if (!err && !t)
        err = err_say(text, ERR_TOPIC_UNKNOWN, "there is no topic %.*s",
                      (int)(rq->params[0].len < 200 ? rq->params[0].len : 200), rq->params[0].at);
    l->limit = LETTERS_LIMIT;
    if (!err)
        err = http_query_int(rq, "limit", 1, LETTERS_LIMIT_MAX, &l->limit, text);
    if (!err && filter.at)
        err = expr_compile_cesql(filter, &l->filter, text);
    if (!err)
        l->topic = topic_ref(t);
    return err;
}

static void refuse(struct letters *l, enum err err, const struct err_text *text)
{
    letters_end(l);
    http_answer_error(l->rq, err, text);
}

static void put_done(struct op *base)
{
    struct letters *l = container_of(base, struct letters, put.op);
    if (base->err) {
        refuse(l, base->err, &l->put.text);
        return;
    }
    l->subscription = l->put.subscription->id;
    subscription_unref(l->put.subscription);
    l->begun(l);
}

void letters_begin(struct letters *l, struct http_request *rq, const char *const *names,
                   void (*begun)(struct letters *l))
{
    struct err_text text = {""};
    l->rq = rq;
    l->begun = begun;
    rq->state = l;
    enum err err = read_request(l, names, &text);
    if (err) {
        refuse(l, err, &text);
        return;
    }
    const struct subscription *s =
        broker_subscription(rq->broker, &l->topic->id, STR_LIT(LETTERS_SUBSCRIPTION));
    if (s) {
        l->subscription = s->id;
        begun(l);
        return;
    }
    subscription_conf_init(&l->conf);
    l->conf.topic = str_of(l->topic->name);
    l->conf.start = START_EARLIEST;
    l->conf.attempts = ATTEMPTS_MAX;
    l->conf.ttl_ms = -1; /* a letter waits until somebody deals with it */
    l->put = (struct subscription_put_op){.op.done = put_done,
                                          .actor = &rq->actor,
                                          .name = STR_LIT(LETTERS_SUBSCRIPTION),
                                          .conf = &l->conf};
    broker_subscription_put(rq->broker, &l->put);
}
