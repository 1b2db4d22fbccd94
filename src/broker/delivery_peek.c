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

/* ---- partition after partition ---- */

struct walk {
    struct take take;
    struct broker *broker;
    struct op *op; /* the verb's, answered at the end */
    void **op_at;
    struct message **messages; /* of the verb */
    uint32_t *n;
    /* The next partition's take; false: that was all. */
    bool (*next)(struct walk *w, struct take *out);
    void (*free)(struct walk *w);
};

static void walk_go(struct walk *w, enum err err);

/* What was acquired in other partitions comes back when its lock runs out. */
static void walk_taken(struct op *base)
{
    struct walk *w = container_of(base, struct walk, take.op);
    messages_append(w->messages, w->n, &w->take);
    walk_go(w, base->err);
}

static void walk_go(struct walk *w, enum err err)
{
    struct take take;
    if (err == ERR_OK && w->next(w, &take)) {
        w->take = take;
        w->take.op.done = walk_taken;
        take_start(w->broker, &w->take);
        return;
    }
    struct broker *b = w->broker;
    struct op *op = w->op;
    *w->op_at = NULL;
    w->free(w);
    op_finish(b, op, err);
}

/* ---- peek ---- */

struct peek_walk {
    struct walk walk;
    struct peek_op *op;
    int32_t partition, partitions; /* the next one, and behind the last */
};

static bool peek_next(struct walk *w, struct take *out)
{
    struct peek_walk *p = container_of(w, struct peek_walk, walk);
    const struct peek_op *op = p->op;
    if (p->partition == p->partitions || op->n == op->messages_max)
        return false;
    *out = (struct take){.subscription = op->subscription,
                         .partition = p->partition++,
                         .max = op->messages_max - op->n,
                         .bytes_max = PEEK_BYTES_MAX,
                         .session = op->session,
                         .what = TAKE_PEEK,
                         .from = op->from};
    return true;
}

static void peek_walk_free(struct walk *w)
{
    mem_free(container_of(w, struct peek_walk, walk));
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
    struct peek_walk *p = mem_zalloc(1, sizeof(*p));
    *p = (struct peek_walk){
        .walk = {.broker = b,
                 .op = &op->op,
                 .op_at = &op->at,
                 .messages = &op->messages,
                 .n = &op->n,
                 .next = peek_next,
                 .free = peek_walk_free},
        .op = op,
        .partition = op->partition >= 0 ? op->partition : 0,
        .partitions = op->partition >= 0 ? op->partition + 1 : t->partitions,
    };
    walk_go(&p->walk, ERR_OK);
}

void peek_free(struct peek_op *op)
{
    messages_free(&op->messages, &op->n);
}

/* ---- deferred ---- */

struct deferred_walk {
    struct walk walk;
    struct deferred_op *op;
    int64_t *offsets; /* of the partition being asked */
    bool *asked;
};

static int32_t partition_of(const struct deferred_op *op, uint32_t i)
{
    return op->partitions != NULL ? op->partitions[i] : 0;
}

/* All of the first partition that was not asked yet. */
static bool deferred_next(struct walk *w, struct take *out)
{
    struct deferred_walk *d = container_of(w, struct deferred_walk, walk);
    const struct deferred_op *op = d->op;
    uint32_t n = 0;
    int32_t partition = -1;
    for (uint32_t i = 0; i < op->offsets_n; i++) {
        if (d->asked[i] || (n > 0 && partition_of(op, i) != partition))
            continue;
        partition = partition_of(op, i);
        d->asked[i] = true;
        d->offsets[n++] = op->offsets[i];
    }
    *out = (struct take){.subscription = op->subscription,
                         .partition = partition,
                         .owner = op->owner,
                         .max = n,
                         .bytes_max = SIZE_MAX,
                         .settled = op->settled,
                         .what = TAKE_DEFERRED,
                         .offsets = d->offsets};
    return n > 0;
}

static void deferred_walk_free(struct walk *w)
{
    struct deferred_walk *d = container_of(w, struct deferred_walk, walk);
    mem_free(d->offsets);
    mem_free(d->asked);
    mem_free(d);
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
    struct deferred_walk *d = mem_zalloc(1, sizeof(*d));
    *d = (struct deferred_walk){
        .walk = {.broker = b,
                 .op = &op->op,
                 .op_at = &op->at,
                 .messages = &op->messages,
                 .n = &op->n,
                 .next = deferred_next,
                 .free = deferred_walk_free},
        .op = op,
        .offsets = mem_zalloc(op->offsets_n + 1, sizeof(int64_t)),
        .asked = mem_zalloc(op->offsets_n + 1, sizeof(bool)),
    };
    walk_go(&d->walk, ERR_OK);
}

void deferred_free(struct deferred_op *op)
{
    messages_free(&op->messages, &op->n);
}
