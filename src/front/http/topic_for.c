/* Requests of a connection that come while one of them makes a topic wait for it: what is made in
 * parallel could be found in another order than it was asked for. */
#include "front/http/topic_for.h"

#include "front/http/conn.h"

struct creation {
    struct topic_create_op op;
    struct http_request *rq;
    http_topic_fn *then;
};

enum err http_topic(struct http_request *rq, struct str name, const struct topic **out,
                    struct err_text *text)
{
    enum err err = topic_name_check(name, text);
    *out = err ? NULL : broker_topic(rq->broker, name);
    if (err || *out)
        return err;
    return err_say(text, ERR_TOPIC_UNKNOWN, "there is no topic \"%.*s\"", (int)name.len, name.at);
}

static void created(struct op *op)
{
    struct creation *c = container_of(op, struct creation, op.op);
    const struct topic *made = c->op.topic;
    /* Somebody else was faster; or another topic's name differs in '.' and '_' alone. */
    bool there = op->err == ERR_TOPIC_EXISTS && made && str_is(c->op.name, made->name);
    enum err err = there ? ERR_OK : op->err;
    c->rq->conn->creating--;
    c->then(c->rq, err ? NULL : made, err, &c->op.text);
    topic_unref(made);
}

void http_topic_or_create(struct http_request *rq, struct str name, http_topic_fn *then)
{
    struct err_text text = {""};
    const struct topic *t;
    enum err err = http_topic(rq, name, &t, &text);
    struct creation *c = NULL;
    if (err == ERR_TOPIC_UNKNOWN && broker_conf(rq->broker)->auto_create_topics)
        c = http_alloc(rq, 1, sizeof *c);
    if (!c) {
        then(rq, t, err, &text);
        return;
    }
    rq->conn->creating++;
    c->rq = rq;
    c->then = then;
    c->op = (struct topic_create_op){
        .op.done = created, .actor = &rq->actor, .name = name, .partitions = -1, .replication = -1};
    broker_topic_create(rq->broker, &c->op);
}
