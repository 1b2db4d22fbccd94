/* Who waits for messages of a subscription.
 *
 * All receivers of a subscription are known to one reactor, that of its topic's partition 0. It
 * knows, of each partition, about how many messages could be had there (seat->maybe), and sends
 * receivers where there are some: each begins one partition further than the last one, and goes on
 * to others until it has enough or nobody has more. One that got nothing waits, and is the first to
 * be sent when a partition tells that it has something. So partitions and receivers take turns.
 *
 * It also keeps the limit of messages in flight: what the partitions have acquired, as they told,
 * and what takes that are under way may yet acquire, together stay below it.
 *
 * Cancelling crosses reactors as that of a watch does (watch.c): the cancellation travels to the
 * receivers and back by a mail of its own, before or behind the answer; the caller is told when
 * both are home.
 */
#include "broker/access.h"
#include "broker/delivery_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define OWNER_REACTOR_BITS 7

struct seat {
    uint32_t maybe;    /* messages that may be had; at first one, so that somebody asks */
    bool known;        /* it has told */
    uint32_t acquired; /* as it told */
    uint32_t lent;     /* that takes under way may acquire */
    uint64_t holder;   /* of the order: who alone may have them; 0: everybody */
    uint64_t told;     /* how often it told something */
};

struct receivers {
    struct map_node node;
    struct broker *broker;
    struct uuid subscription;
    struct list waiting; /* struct receive, the longest waiting first */
    unsigned receives;   /* all of them, with those that have a take under way */
    struct seat *seats;
    int32_t partitions, next;
    uint32_t in_flight_max;
    bool serving;
    bool gone; /* the subscription is: freed with the last receive */
};

/* The part of an op that stays at home. */
struct acquire_home {
    struct acquire_op *op;
    void (*told)(struct op *op); /* the caller's op.done */
    struct op_cancel cancel;
    struct receive *receive; /* the receivers'; NULL: none (yet, or any more) */
    bool cancel_wanted;      /* the receivers': it came before the op ran */
};

/* The part that is with the receivers. */
struct receive {
    struct list link;
    struct receivers *all;
    struct acquire_home *home;
    struct acquire_op *op;
    struct env_timer timer;
    struct take take;
    int32_t at, tried; /* the partition to try next; how many were tried in this round */
    bool over;         /* does not wait any more */
    bool taking;       /* a take is under way */
    uint64_t asked_at; /* the seat's told + 1, when its one partition was asked; 0: not yet */
    size_t bytes;
};

/* ---- receivers ---- */

static bool receivers_eq(const struct map_node *node, const void *key)
{
    const struct receivers *r = container_of_const(node, struct receivers, node);
    return uuid_eq(r->subscription, *(const struct uuid *)key);
}

static struct receivers *receivers_find(struct deliveries *all, const struct uuid *id)
{
    struct map_node *n = map_find(&all->receivers, uuid_hash(*id), receivers_eq, id);
    return n != NULL ? container_of(n, struct receivers, node) : NULL;
}

/* More seats, for partitions that are new. */
static void seats_grow(struct receivers *r, int32_t partitions)
{
    if (partitions <= r->partitions)
        return;
    r->seats = mem_realloc(r->seats, (size_t)partitions * sizeof(*r->seats));
    for (int32_t i = r->partitions; i < partitions; i++)
        r->seats[i] = (struct seat){.maybe = 1};
    r->partitions = partitions;
}

static struct receivers *receivers_get(struct broker *b, const struct subscription *s)
{
    struct receivers *r = receivers_find(b->deliveries, &s->id);
    const struct topic *t = topics_find_id(&b->topics, &s->topic);
    if (r == NULL) {
        r = mem_zalloc(1, sizeof(*r));
        r->broker = b;
        r->subscription = s->id;
        list_init(&r->waiting);
        map_insert(&b->deliveries->receivers, &r->node, uuid_hash(s->id));
    }
    r->gone = false;
    r->in_flight_max = (uint32_t)s->conf.in_flight_max;
    seats_grow(r, t != NULL ? t->partitions : 1);
    return r;
}

/* The most that one more take may acquire. */
static uint32_t credit(const struct receivers *r)
{
    uint64_t taken = 0;
    if (r->in_flight_max == 0)
        return UINT32_MAX;
    for (int32_t i = 0; i < r->partitions; i++)
        taken += (uint64_t)r->seats[i].acquired + r->seats[i].lent;
    return taken < r->in_flight_max ? r->in_flight_max - (uint32_t)taken : 0;
}

static void receivers_drop(struct deliveries *all, struct receivers *r)
{
    map_remove(&all->receivers, &r->node);
    mem_free(r->seats);
    mem_free(r);
}

/* ---- the end of a receive ---- */

/* The receivers may be gone afterwards. */
static void receive_end(struct receive *v, enum err err)
{
    struct receivers *r = v->all;
    struct broker *b = r->broker;
    struct acquire_op *op = v->op;
    env_timer_stop(b->env, &v->timer);
    list_remove(&v->link);
    v->home->receive = NULL;
    mem_free(v);
    if (--r->receives == 0 && r->gone)
        receivers_drop(b->deliveries, r);
    op_finish(b, &op->op, op->n > 0 ? ERR_OK : err);
}

/* ---- going from partition to partition ---- */

static void receive_go(struct receive *v);

static void take_append(struct receive *v)
{
    struct acquire_op *op = v->op;
    struct take *t = &v->take;
    if (t->n == 0)
        return;
    if (op->n == 0) {
        mem_free(op->messages);
        op->messages = t->messages;
    } else {
        op->messages = mem_realloc(op->messages, (op->n + t->n) * sizeof(*op->messages));
        memcpy(op->messages + op->n, t->messages, t->n * sizeof(*op->messages));
        mem_free(t->messages);
    }
    op->n += t->n;
    v->bytes += t->bytes;
    t->messages = NULL;
}

static void take_session(struct receive *v)
{
    struct acquire_op *op = v->op;
    const struct take *t = &v->take;
    if (t->session_out.at == NULL)
        return;
    char *id = arena_strndup(&op->memory, t->session_out.at, t->session_out.len);
    op->session_out = (struct str){id, t->session_out.len};
    op->session_locked_until_ms = t->session_locked_until_ms;
    mem_free((char *)(uintptr_t)t->session_out.at);
}

static void serve(struct receivers *r);

/* A partition whose ledger is not there (yet) has nothing. */
static void take_done(struct op *base)
{
    struct receive *v = container_of(base, struct receive, take.op);
    struct receivers *r = v->all;
    struct seat *seat = &r->seats[v->take.partition];
    enum err err = base->err;
    seat->lent -= v->take.max;
    seat->known = true;
    seat->maybe = v->take.left;
    seat->holder = v->take.holder;
    seat->acquired = v->take.acquired;
    take_append(v);
    take_session(v);
    v->taking = false;
    r->receives++; /* the receivers stay until they have served */
    if (err != ERR_OK && (err != ERR_NOT_FOUND || r->gone))
        receive_end(v, err);
    else
        receive_go(v);
    serve(r);
    if (--r->receives == 0 && r->gone)
        receivers_drop(r->broker->deliveries, r);
}

static void take_send(struct receive *v, int32_t partition, uint32_t max)
{
    struct acquire_op *op = v->op;
    struct seat *seat = &v->all->seats[partition];
    seat->lent += max;
    seat->maybe -= seat->maybe < max ? seat->maybe : max;
    v->taking = true;
    v->take = (struct take){
        .op.done = take_done,
        .subscription = op->subscription,
        .partition = partition,
        .owner = op->owner,
        .max = max,
        .bytes_max = op->bytes_max > v->bytes ? op->bytes_max - v->bytes : 1,
        .lock_ms = op->lock_ms,
        .settled = op->settled,
        .session = op->session.at != NULL ? op->session : op->session_out,
    };
    take_start(v->all->broker, &v->take);
}

/* One that somebody asks for the first time may have more than he takes: who cannot wait until it
 * has told asks, too. */
static bool seat_may_have(const struct seat *seat, const struct receive *v)
{
    return seat->maybe > 0 || (!seat->known && v->over);
}

/* Of one partition. What it has may be of no use (other sessions), so after having asked once it is
 * asked again only when there is something new; for a session by name once whatever there is. */
static bool receive_asks(struct receive *v)
{
    const struct seat *seat = &v->all->seats[v->op->partition];
    bool first = v->asked_at == 0;
    if (first ? !seat_may_have(seat, v) && v->op->session.at == NULL : seat->told < v->asked_at)
        return false;
    v->asked_at = seat->told + 1;
    return true;
}

static bool seat_has(const struct seat *seat, const struct receive *v)
{
    return seat_may_have(seat, v) && (seat->holder == 0 || seat->holder == v->op->owner);
}

/* The next partition that may have something; -1: none. */
static int32_t receive_next(struct receive *v)
{
    const struct receivers *r = v->all;
    if (v->op->partition >= 0)
        return v->tried++ == 0 && receive_asks(v) ? v->op->partition : -1;
    for (; v->tried < r->partitions; v->tried++) {
        int32_t at = v->at;
        v->at = at + 1 < r->partitions ? at + 1 : 0;
        if (seat_has(&r->seats[at], v)) {
            v->tried++;
            return at;
        }
    }
    return -1;
}

/* Who holds a session that it asked for by name waits for the session's next message. */
static void receive_wait(struct receive *v)
{
    bool served = v->op->n > 0 || (v->op->session.at == NULL && v->op->session_out.at != NULL);
    v->tried = 0;
    if (v->over || served || v->all->gone)
        receive_end(v, v->all->gone ? ERR_NOT_FOUND : ERR_OK);
    else
        list_push(&v->all->waiting, &v->link);
}

static void receive_go(struct receive *v)
{
    uint32_t want = v->op->messages_max - v->op->n, most = credit(v->all);
    bool full = want == 0 || (v->op->n > 0 && v->bytes >= v->op->bytes_max) ||
                (v->op->n > 0 && v->op->session_out.at != NULL); /* that is in one partition */
    int32_t partition = full || most == 0 ? -1 : receive_next(v);
    if (partition < 0)
        receive_wait(v);
    else
        take_send(v, partition, want < most ? want : most);
}

static bool any_seat(const struct receivers *r)
{
    for (int32_t i = 0; i < r->partitions; i++)
        if (r->seats[i].maybe > 0)
            return true;
    return false;
}

/* Sends those who wait to where something may be; those who wait for other partitions stay, in
 * their order. */
static void serve(struct receivers *r)
{
    struct list round;
    if (r->serving || list_empty(&r->waiting))
        return;
    r->serving = true;
    list_init(&round);
    list_move(&round, &r->waiting);
    while (!list_empty(&round) && any_seat(r) && credit(r) > 0) {
        struct receive *v = container_of(list_pop(&round), struct receive, link);
        receive_go(v);
    }
    list_move(&r->waiting, &round);
    r->serving = false;
}

/* ---- a partition has news ---- */

struct news {
    struct op op;
    struct uuid subscription;
    int32_t partition;
    uint32_t available, acquired;
    uint64_t holder;
};

static void news_run(struct broker *b, struct op *op)
{
    const struct news *n = container_of(op, struct news, op);
    struct receivers *r = receivers_find(b->deliveries, &n->subscription);
    if (r != NULL && n->partition < r->partitions) {
        struct seat *seat = &r->seats[n->partition];
        seat->known = true;
        seat->maybe = n->available;
        seat->holder = n->holder;
        seat->acquired = n->acquired;
        seat->told++;
        serve(r);
    }
    op_finish(b, op, ERR_OK);
}

static void news_done(struct op *op)
{
    mem_free(container_of(op, struct news, op));
}

void receivers_tell(struct delivery *d, uint32_t available, uint64_t holder)
{
    struct news *n = mem_zalloc(1, sizeof(*n));
    *n = (struct news){.op = {.run = news_run, .done = news_done},
                       .subscription = d->subscription,
                       .partition = d->index,
                       .available = available,
                       .acquired = d->acquired,
                       .holder = holder};
    op_submit(d->all->broker, broker_shard_of_partition(&d->topic, 0), &n->op);
}

/* ---- the verb ---- */

static void timer_fire(struct env_timer *timer)
{
    struct receive *v = container_of(timer, struct receive, timer);
    v->over = true;
    if (!v->taking)
        receive_end(v, ERR_OK);
}

static void receive_start(struct receivers *r, struct acquire_op *op)
{
    struct receive *v = mem_zalloc(1, sizeof(*v));
    v->all = r;
    v->op = op;
    v->home = op->at;
    v->home->receive = v;
    v->timer.fire = timer_fire;
    r->receives++;
    v->at = r->next;
    r->next = r->next + 1 < r->partitions ? r->next + 1 : 0;
    list_init(&v->link);
    v->over = op->wait_ms == 0 || v->home->cancel_wanted;
    if (!v->over)
        env_timer_set(r->broker->env, &v->timer, (uint64_t)op->wait_ms * 1000);
    receive_go(v);
}

static enum err acquire_check(struct broker *b, struct acquire_op *op,
                              const struct subscription **out)
{
    const struct topic *t;
    if (b->deliveries == NULL || !b->deliveries->open)
        return ERR_COORDINATOR_LOADING;
    *out = broker_subscription_by_id(b, &op->subscription);
    if (*out == NULL || (t = topics_find_id(&b->topics, &(*out)->topic)) == NULL)
        return err_say(&op->text, ERR_NOT_FOUND, "there is no such subscription");
    if (op->messages_max == 0 || op->messages_max > ACQUIRE_MESSAGES_MAX)
        return err_say(&op->text, ERR_REQUEST_INVALID, "ask for 1 to %d messages, not %u",
                       ACQUIRE_MESSAGES_MAX, op->messages_max);
    if (op->partition < -1 || op->partition >= t->partitions)
        return err_say(&op->text, ERR_TOPIC_UNKNOWN, "topic %s has no partition %d", t->name,
                       op->partition);
    if (op->session.len > LEDGER_SESSION_ID_MAX)
        return err_say(&op->text, ERR_REQUEST_INVALID, "a session's id has at most %zu bytes",
                       LEDGER_SESSION_ID_MAX);
    return ERR_OK;
}

/* A session is in the partition of its id, if it is asked for by name. */
static void acquire_run(struct broker *b, struct op *base)
{
    struct acquire_op *op = container_of(base, struct acquire_op, op);
    const struct subscription *s;
    enum err err = acquire_check(b, op, &s);
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    struct receivers *r = receivers_get(b, s);
    if (s->conf.order == ORDER_KEY && op->session.at != NULL && op->partition < 0)
        op->partition = publish_partition_of(op->session, r->partitions);
    receive_start(r, op);
}

static struct acquire_home *home_of(struct op_cancel *c)
{
    return container_of(c, struct acquire_home, cancel);
}

static void home_tell(struct op_cancel *c)
{
    struct acquire_home *home = home_of(c);
    struct acquire_op *op = home->op;
    op->op.done = home->told;
    op->at = NULL;
    mem_free(home);
    op->op.done(&op->op);
}

static void home_done(struct op *base)
{
    struct acquire_home *home = container_of(base, struct acquire_op, op)->at;
    op_cancel_answered(&home->cancel);
}

/* What it has by now is its answer. */
static void receive_cancel(struct broker *owner, struct op_cancel *c)
{
    struct acquire_home *home = home_of(c);
    struct receive *v = home->receive;
    (void)owner;
    home->cancel_wanted = true;
    if (v == NULL)
        return;
    env_timer_stop(v->all->broker->env, &v->timer);
    timer_fire(&v->timer);
}

void broker_acquire(struct broker *b, struct acquire_op *op)
{
    const struct subscription *s;
    struct acquire_home *home = mem_zalloc(1, sizeof(*home));
    home->op = op;
    home->told = op->op.done;
    home->cancel = (struct op_cancel){.take_out = receive_cancel, .tell = home_tell};
    op->at = home;
    op->messages = NULL;
    op->n = 0;
    op->session_out = (struct str){NULL, 0};
    op->session_locked_until_ms = 0;
    op->text.s[0] = '\0';
    arena_init(&op->memory, 2 * LEDGER_SESSION_ID_MAX);
    op->op.done = home_done;
    op->op.run = acquire_run;
    enum err err = acquire_check(b, op, &s);
    if (err == ERR_OK && access_refuses_topic(b, &op->op, op->actor, &s->topic, ACCESS_RECEIVER))
        return;
    if (err == ERR_OK) {
        op_submit(b, broker_shard_of_partition(&s->topic, 0), &op->op);
        return;
    }
    op->op.home = b;
    op_finish(b, &op->op, err);
}

void broker_acquire_cancel(struct broker *b, struct acquire_op *op)
{
    struct acquire_home *home = op->at;
    if (home == NULL)
        return;
    const struct subscription *s = broker_subscription_by_id(b, &op->subscription);
    unsigned shard = s != NULL ? broker_shard_of_partition(&s->topic, 0) : 0;
    op_cancel(b, &home->cancel, broker_reactor_of_shard(b, shard));
}

void acquire_free(struct acquire_op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        message_drop(&op->messages[i]);
    mem_free(op->messages);
    op->messages = NULL;
    op->n = 0;
    arena_free(&op->memory);
}

void message_drop(struct message *m)
{
    records_unref(m->records);
    m->records = NULL;
}

/* A ledger remembers who holds what over a restart. */
uint64_t broker_owner(struct broker *b)
{
    uint64_t incarnation = b->set->conf.incarnation & LEDGER_INCARNATION_MASK;
    weir_assert(b->env->reactor < 1u << OWNER_REACTOR_BITS);
    return (incarnation << OWNER_REACTOR_BITS | b->env->reactor) << 32 | ++b->deliveries->owners;
}

/* ---- subscriptions change ---- */

void receivers_subscription_changed(struct broker *b, const struct subscription *old,
                                    const struct subscription *now)
{
    const struct subscription *s = now != NULL ? now : old;
    struct receivers *r = receivers_find(b->deliveries, &s->id);
    if (r == NULL)
        return;
    if (now != NULL) {
        receivers_get(b, now);
        serve(r);
        return;
    }
    r->gone = true;
    r->receives++;
    while (!list_empty(&r->waiting))
        receive_end(container_of(r->waiting.next, struct receive, link), ERR_NOT_FOUND);
    if (--r->receives == 0)
        receivers_drop(b->deliveries, r);
}

void receivers_free(struct deliveries *all)
{
    struct map_node *n;
    while ((n = map_next(&all->receivers, NULL)) != NULL) {
        struct receivers *r = container_of(n, struct receivers, node);
        struct list *it;
        while ((it = list_pop(&r->waiting)) != NULL) {
            struct receive *v = container_of(it, struct receive, link);
            env_timer_stop(r->broker->env, &v->timer);
            mem_free(v->home);
            mem_free(v);
        }
        receivers_drop(all, r);
    }
    map_free(&all->receivers);
}
