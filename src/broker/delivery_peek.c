/* Looking at messages without taking them, and taking deferred ones: takes of one partition after
 * the other. */
#include "broker/access.h"
#include "broker/delivery_internal.h"

#include "base/mem.h"

#include <string.h>

static void messages_append(struct message **all, uint32_t *n, struct take *t)
{
    if (t->n == 0)
        return;
    *all = mem_realloc(*all, (*n + t->n) * sizeof(**all));
    memcpy(*all + *n, t->messages, t->n * sizeof(**all));
    *n += t->n;
    mem_free(t->messages);
    t->messages = NULL;
}

static void messages_free(struct message **all, uint32_t *n)
{
    for (uint32_t i = 0; i < *n; i++)
        message_drop(&(*all)[i]);
    mem_free(*all);
    *all = NULL;
    *n = 0;
}

static enum err check_ready(const struct broker *b, const struct subscription *s)
{
    if (b->deliveries == NULL || !b->deliveries->open)
        return ERR_COORDINATOR_LOADING;
    return s != NULL ? ERR_OK : ERR_NOT_FOUND;
}

/* Answers the op with the error, or because the caller may not; false: it goes on. */
static bool refused(struct broker *b, struct op *op, enum err err, const struct actor *actor,
                    const struct subscription *s)
{
    if (err == ERR_OK)
        return access_refuses_topic(b, op, actor, &s->topic, ACCESS_RECEIVER);
    op_finish(b, op, err);
    return true;
}

/* ---- peek ---- */

struct peek_call {
    struct peek_op *op;
    struct broker *broker;
    struct take take;
    int32_t partition, partitions; /* the next one, and behind the last */
};

static void peek_next(struct peek_call *c);

static void peek_end(struct peek_call *c, enum err err)
{
    struct peek_op *op = c->op;
    struct broker *b = c->broker;
    mem_free(c);
    op->at = NULL;
    op_finish(b, &op->op, err);
}

static void peek_taken(struct op *base)
{
    struct peek_call *c = container_of(base, struct peek_call, take.op);
    messages_append(&c->op->messages, &c->op->n, &c->take);
    if (base->err != ERR_OK)
        peek_end(c, base->err);
    else
        peek_next(c);
}

static void peek_next(struct peek_call *c)
{
    struct peek_op *op = c->op;
    if (c->partition == c->partitions || op->n == op->messages_max) {
        peek_end(c, ERR_OK);
        return;
    }
    c->take = (struct take){.op.done = peek_taken,
                            .subscription = op->subscription,
                            .partition = c->partition++,
                            .max = op->messages_max - op->n,
                            .bytes_max = PEEK_BYTES_MAX,
                            .session = op->session,
                            .what = TAKE_PEEK,
                            .from = op->from};
    take_start(c->broker, &c->take);
}

void broker_peek(struct broker *b, struct peek_op *op)
{
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    op->messages = NULL;
    op->n = 0;
    op->at = NULL;
    op->op.home = b;
    enum err err = check_ready(b, s);
    const struct topic *t = err == ERR_OK ? topics_find_id(&b->topics, &s->topic) : NULL;
    if (err == ERR_OK && (op->messages_max == 0 || op->messages_max > ACQUIRE_MESSAGES_MAX))
        err = ERR_REQUEST_INVALID;
    if (err == ERR_OK && (op->partition < -1 || op->partition >= t->partitions))
        err = ERR_TOPIC_UNKNOWN;
    if (refused(b, &op->op, err, op->actor, s))
        return;
    struct peek_call *c = mem_zalloc(1, sizeof(*c));
    c->op = op;
    c->broker = b;
    c->partition = op->partition >= 0 ? op->partition : 0;
    c->partitions = op->partition >= 0 ? op->partition + 1 : t->partitions;
    peek_next(c);
}

void peek_free(struct peek_op *op)
{
    messages_free(&op->messages, &op->n);
}

/* ---- deferred ---- */

struct deferred_call {
    struct deferred_op *op;
    struct broker *broker;
    struct take take;
    int64_t *offsets; /* of the partition being asked */
    uint32_t n;       /* asked for so far */
    bool *asked;
};

static void deferred_next(struct deferred_call *c);

static void deferred_end(struct deferred_call *c, enum err err)
{
    struct deferred_op *op = c->op;
    struct broker *b = c->broker;
    mem_free(c->offsets);
    mem_free(c->asked);
    mem_free(c);
    op->at = NULL;
    op_finish(b, &op->op, err);
}

/* What was acquired in other partitions comes back when its lock runs out. */
static void deferred_taken(struct op *base)
{
    struct deferred_call *c = container_of(base, struct deferred_call, take.op);
    messages_append(&c->op->messages, &c->op->n, &c->take);
    if (base->err != ERR_OK)
        deferred_end(c, base->err);
    else
        deferred_next(c);
}

static int32_t partition_of(const struct deferred_op *op, uint32_t i)
{
    return op->partitions != NULL ? op->partitions[i] : 0;
}

/* All of the first partition that was not asked yet. */
static void deferred_next(struct deferred_call *c)
{
    struct deferred_op *op = c->op;
    uint32_t n = 0;
    int32_t partition = -1;
    for (uint32_t i = 0; i < op->offsets_n; i++) {
        if (c->asked[i] || (n > 0 && partition_of(op, i) != partition))
            continue;
        partition = partition_of(op, i);
        c->asked[i] = true;
        c->offsets[n++] = op->offsets[i];
    }
    if (n == 0) {
        deferred_end(c, ERR_OK);
        return;
    }
    c->take = (struct take){.op.done = deferred_taken,
                            .subscription = op->subscription,
                            .partition = partition,
                            .owner = op->owner,
                            .max = n,
                            .bytes_max = SIZE_MAX,
                            .settled = op->settled,
                            .what = TAKE_DEFERRED,
                            .offsets = c->offsets};
    take_start(c->broker, &c->take);
}

void broker_receive_deferred(struct broker *b, struct deferred_op *op)
{
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    op->messages = NULL;
    op->n = 0;
    op->at = NULL;
    op->op.home = b;
    enum err err = check_ready(b, s);
    if (err == ERR_OK && op->offsets_n > ACQUIRE_MESSAGES_MAX)
        err = ERR_REQUEST_INVALID;
    if (refused(b, &op->op, err, op->actor, s))
        return;
    struct deferred_call *c = mem_zalloc(1, sizeof(*c));
    c->op = op;
    c->broker = b;
    c->offsets = mem_zalloc(op->offsets_n + 1, sizeof(*c->offsets));
    c->asked = mem_zalloc(op->offsets_n + 1, sizeof(*c->asked));
    deferred_next(c);
}

void deferred_free(struct deferred_op *op)
{
    messages_free(&op->messages, &op->n);
}
