/* What the holder of a session does with it. */
#include "broker/access.h"
#include "broker/delivery_internal.h"

#include "base/mem.h"

/* A session is in the partition of its id, unless who published its messages chose otherwise: then
 * the partitions are asked one after the other, until one has it for this owner. */
struct session_call {
    struct op op; /* travels */
    struct session_op *user;
    struct broker *broker;
    struct uuid topic;
    int32_t first, tried, partitions;
    struct delivery *d;
    struct delivery_call call;
    bool locked; /* another owner holds one of this name */
};

static struct session_call *call_of(struct op *op)
{
    return container_of(op, struct session_call, op);
}

static void answer(struct session_call *c, enum err err)
{
    struct broker *b = c->d->all->broker;
    delivery_leave(c->d);
    op_finish(b, &c->op, err);
}

static void written(struct delivery_call *call, enum err err)
{
    answer(container_of(call, struct session_call, call), err);
}

static enum err set_state(struct session_call *c)
{
    struct session_op *op = c->user;
    struct slice state = {NULL, NULL, 0};
    if (op->state.at != NULL)
        state = slice_copy(op->state.at, op->state.len);
    enum err err = ledger_session_set_state(delivery_change(c->d), op->owner, op->session, state);
    slice_unref(state);
    return err;
}

static enum err get_state(struct session_call *c)
{
    struct session_op *op = c->user;
    struct slice state;
    enum err err = ledger_session_state(c->d->ledger, op->owner, op->session, &state);
    if (err == ERR_OK && state.at != NULL)
        op->state_out = slice_copy(state.at, state.len);
    return err;
}

static enum err run_verb(struct session_call *c)
{
    struct session_op *op = c->user;
    struct ledger *l = c->d->ledger;
    struct ledger_time now = delivery_now(c->d->all);
    switch (op->verb) {
    case SESSION_RENEW:
        return ledger_session_renew(l, op->owner, op->session, 0, now, &op->locked_until_ms);
    case SESSION_RELEASE:
        return ledger_session_release(l, op->owner, op->session, now);
    case SESSION_GET_STATE:
        return get_state(c);
    case SESSION_SET_STATE:
        return set_state(c);
    }
    return ERR_REQUEST_INVALID;
}

static void session_run(struct broker *b, struct op *op)
{
    struct session_call *c = call_of(op);
    int32_t partition = (c->first + c->tried) % c->partitions;
    enum err err;
    struct delivery *d = delivery_get(b, op, &c->user->subscription, partition, &err);
    if (d == NULL) {
        if (err != ERR_OK)
            op_finish(b, op, err);
        return;
    }
    c->d = d;
    delivery_enter(d);
    err = run_verb(c);
    if (err != ERR_OK || c->user->verb == SESSION_GET_STATE) {
        answer(c, err);
        return;
    }
    c->call.written = written;
    delivery_tell(c->d, &c->call);
}

static void ask(struct session_call *c)
{
    int32_t partition = (c->first + c->tried) % c->partitions;
    op_submit(c->broker, broker_shard_of_partition(&c->topic, partition), &c->op);
}

static void session_done(struct op *op)
{
    struct session_call *c = call_of(op);
    struct session_op *user = c->user;
    struct broker *b = c->broker;
    enum err err = op->err;
    bool elsewhere = err == ERR_LOCK_LOST || err == ERR_SESSION_LOCKED;
    c->locked = c->locked || err == ERR_SESSION_LOCKED;
    if (elsewhere && ++c->tried < c->partitions) {
        ask(c);
        return;
    }
    if (elsewhere && c->locked)
        err = ERR_SESSION_LOCKED;
    mem_free(c);
    user->at = NULL;
    op_finish(b, &user->op, err);
}

static enum err session_check(struct broker *b, const struct session_op *op,
                              const struct subscription *s)
{
    if (b->deliveries == NULL || !b->deliveries->open)
        return ERR_COORDINATOR_LOADING;
    if (s == NULL)
        return ERR_NOT_FOUND;
    if (s->conf.order != ORDER_KEY || op->session.at == NULL ||
        op->session.len > LEDGER_SESSION_ID_MAX ||
        (op->verb == SESSION_SET_STATE && op->state.len > SESSION_STATE_MAX))
        return ERR_REQUEST_INVALID;
    return ERR_OK;
}

void broker_session(struct broker *b, struct session_op *op)
{
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    op->state_out = (struct slice){NULL, NULL, 0};
    op->locked_until_ms = 0;
    op->at = NULL;
    op->op.home = b;
    enum err err = session_check(b, op, s);
    if (err != ERR_OK) {
        op_finish(b, &op->op, err);
        return;
    }
    if (access_refuses_topic(b, &op->op, op->actor, &s->topic, ACCESS_RECEIVER))
        return;
    struct session_call *c = mem_zalloc(1, sizeof(*c));
    c->op.run = session_run;
    c->op.done = session_done;
    c->user = op;
    c->broker = b;
    c->topic = s->topic;
    c->partitions = topics_find_id(&b->topics, &s->topic)->partitions;
    c->first = publish_partition_of(op->session, c->partitions);
    ask(c);
}
