/* The verbs that change subscriptions: they check, find out where a new one starts, and start a
 * change (subscription_catalog.h). One that meets a change of the same name, or of its topic, on
 * its way waits for it and runs again.
 */
#include "broker/access.h"
#include "broker/subscription_catalog_internal.h"

#include "base/mem.h"

#include <string.h>

/* ---- put ---- */

struct put;

/* Where a new subscription starts in one partition. */
struct put_start {
    struct list_op list;
    struct put *put;
};

/* A put that has been checked, on its way. */
struct put {
    struct subscription_put_op *op;
    struct broker *broker;
    struct subscription_entry *entry;
    struct subscription_parts parts;
    struct put_start *starts; /* one a partition */
    int32_t left;             /* to be answered; counts the loop itself, too */
    enum err err;
    int64_t *from; /* as parts.from */
};

static struct subscription_put_op *put_of(struct op *op)
{
    return container_of(op, struct subscription_put_op, op);
}

static void put_end(struct put *p, enum err err)
{
    struct subscription_put_op *op = p->op;
    struct broker *b = p->broker;
    if (err != ERR_OK) {
        subscription_unref(op->subscription);
        op->subscription = NULL;
        op->created = op->changed = false;
    }
    json_decref(p->parts.spec);
    mem_free(p->starts);
    mem_free(p->from);
    mem_free(p);
    op_finish(b, &op->op, err);
}

static void put_finish(struct subscription_change *ch, enum err err)
{
    put_end(ch->arg, err);
}

static void put_fail(struct put *p, enum err err)
{
    struct subscription_catalog *c = p->broker->subscription_catalog;
    struct subscription_entry *e = p->entry;
    put_end(p, err);
    subscription_entry_leave(c, e);
}

/* Everything about it is known: makes it and writes it. */
static void put_write(struct put *p)
{
    const struct subscription *now;
    enum err err = subscription_make(&p->parts, &now, &p->op->text);
    if (err != ERR_OK) {
        put_fail(p, err);
        return;
    }
    p->op->subscription = subscription_ref(now);
    subscription_change_start(p->broker->subscription_catalog, p->entry, now, put_finish, p);
}

static void put_less(struct put *p, enum err err)
{
    if (p->err == ERR_OK)
        p->err = err;
    if (--p->left != 0)
        return;
    if (p->err == ERR_OK)
        put_write(p);
    else
        put_fail(p, p->err);
}

/* A time after all records: what comes from now on. */
static void start_found(struct op *op)
{
    struct put_start *s = container_of(op, struct put_start, list.op);
    struct put *p = s->put;
    if (op->err == ERR_OK && s->list.offset < 0) {
        s->list.timestamp = LIST_LATEST;
        broker_list_offset(p->broker, &s->list);
        return;
    }
    p->from[s->list.partition] = s->list.offset;
    put_less(p, op->err);
}

static void put_find_starts(struct put *p, const struct subscription_conf *conf, int32_t partitions)
{
    p->from = mem_zalloc((size_t)partitions, sizeof(*p->from));
    p->starts = mem_zalloc((size_t)partitions, sizeof(*p->starts));
    p->parts.from = p->from;
    p->parts.from_n = partitions;
    p->left = partitions + 1;
    for (int32_t i = 0; i < partitions; i++) {
        p->starts[i] = (struct put_start){
            .list = {.op.done = start_found,
                     .actor = p->op->actor,
                     .topic = p->parts.topic,
                     .partition = i,
                     .timestamp = conf->start == START_TIME ? conf->start_ms : LIST_LATEST,
                     .leader_epoch = -1},
            .put = p};
        broker_list_offset(p->broker, &p->starts[i].list);
    }
    put_less(p, ERR_OK);
}

/* Makes it once for the checks; the caller's reference. */
static enum err put_check_conf(struct subscription_put_op *op, const struct topic *topic,
                               const struct subscription *old, const struct subscription **out)
{
    json_t *spec = spec_write(&subscription_kind, op->conf, true);
    enum err err =
        subscription_make(&(struct subscription_parts){.topic = topic->id,
                                                       .topic_name = str_of(topic->name),
                                                       .name = op->name,
                                                       .queue = old != NULL && old->queue,
                                                       .spec = spec},
                          out, &op->text);
    json_decref(spec);
    if (err != ERR_OK || old == NULL)
        return err;
    const struct spec_field *f = spec_fixed_change(&subscription_kind, &old->conf, &(*out)->conf);
    if (f == NULL)
        return ERR_OK;
    subscription_unref(*out);
    *out = NULL;
    return err_say(&op->text, ERR_CONFIG_INVALID,
                   "%s cannot be changed: delete the subscription and make it anew", f->path);
}

static enum err put_check_name(const struct broker *b, struct subscription_put_op *op,
                               const struct topic *topic, const struct subscription *old)
{
    if (topic_name_check(op->name, NULL) != ERR_OK)
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "a subscription's name has 1 to %d characters of a-z A-Z 0-9 . _ -",
                       SUBSCRIPTION_NAME_MAX);
    if (op->expected != NULL && old != op->expected)
        return err_say(&op->text, ERR_BUSY, "subscription %.*s has changed meanwhile",
                       (int)op->name.len, op->name.at);
    if (old != NULL)
        return op->create_only
                   ? err_say(&op->text, ERR_EXISTS, "subscription %s of topic %s exists", old->name,
                             topic->name)
                   : ERR_OK;
    if (op->update_only)
        return err_say(&op->text, ERR_NOT_FOUND, "topic %s has no subscription %.*s", topic->name,
                       (int)op->name.len, op->name.at);
    if (str_is(op->name, topic->name))
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "the name of the topic is for the built-in subscription of a queue");
    if (subscriptions_count(&b->subscriptions, &topic->id) >= SUBSCRIPTIONS_PER_TOPIC_MAX)
        return err_say(&op->text, ERR_REQUEST_INVALID, "topic %s has %d subscriptions: no more fit",
                       topic->name, SUBSCRIPTIONS_PER_TOPIC_MAX);
    return ERR_OK;
}

static struct subscription_entry *put_entry(struct broker *b, const struct put *p)
{
    struct subscription_entry *e = subscription_entry_find(b->subscription_catalog, &p->parts.id);
    if (e == NULL)
        e = subscription_entry_add(b->subscription_catalog, &p->parts.id, &p->parts.topic,
                                   p->op->name);
    e->busy = true;
    return e;
}

static void put_start(struct broker *b, struct subscription_put_op *op, const struct topic *topic,
                      const struct subscription *old)
{
    struct put *p = mem_zalloc(1, sizeof(*p));
    uint8_t random[16];
    env_random(b->env, random, sizeof(random));
    p->op = op;
    p->broker = b;
    p->parts = (struct subscription_parts){
        .id = old != NULL ? old->id : uuid_from_random(random),
        .topic = topic->id,
        .topic_name = str_of(topic->name),
        .name = op->name,
        .queue = old != NULL && old->queue,
        .created_ms = old != NULL ? old->created_ms : env_now_ms(b->env),
        .spec = spec_write(&subscription_kind, op->conf, true),
    };
    op->created = old == NULL;
    op->changed = true;
    p->entry = put_entry(b, p);
    if (old == NULL && op->conf->start != START_EARLIEST) {
        put_find_starts(p, op->conf, topic->partitions);
        return;
    }
    if (old != NULL && old->from_n > 0) {
        p->from = mem_zalloc((size_t)old->from_n, sizeof(*p->from));
        memcpy(p->from, old->from, (size_t)old->from_n * sizeof(*p->from));
        p->parts.from = p->from;
        p->parts.from_n = old->from_n;
    }
    put_write(p);
}

static enum err put_check(struct broker *b, struct subscription_put_op *op,
                          const struct topic **topic, const struct subscription **old)
{
    if (!b->loaded)
        return ERR_LEADER_NOT_AVAILABLE;
    *topic = op->conf->topic.at != NULL ? topics_find(&b->topics, op->conf->topic) : NULL;
    if (*topic == NULL)
        return err_say(&op->text, ERR_TOPIC_UNKNOWN, "there is no topic %.*s",
                       (int)op->conf->topic.len,
                       op->conf->topic.at != NULL ? op->conf->topic.at : "");
    if ((*topic)->internal)
        return err_say(&op->text, ERR_TOPIC_INVALID,
                       "topic %s is internal: nobody subscribes to it", (*topic)->name);
    *old = subscriptions_find(&b->subscriptions, &(*topic)->id, op->name);
    return put_check_name(b, op, *topic, *old);
}

/* True: another change comes first. */
static bool put_waits(struct broker *b, struct subscription_put_op *op)
{
    const struct topic *t = b->loaded ? topics_find(&b->topics, op->conf->topic) : NULL;
    if (t == NULL)
        return false;
    if (catalog_topic_wait(b->catalog, &t->id, &op->op))
        return true;
    struct subscription_entry *e =
        subscription_entry_named(b->subscription_catalog, &t->id, op->name);
    if (e == NULL || !e->busy)
        return false;
    subscription_entry_wait(e, &op->op);
    return true;
}

static void put_run(struct broker *b, struct op *base)
{
    struct subscription_put_op *op = put_of(base);
    const struct topic *topic = NULL;
    const struct subscription *old = NULL, *now = NULL;
    if (put_waits(b, op))
        return;
    enum err err = put_check(b, op, &topic, &old);
    if (err == ERR_OK)
        err = put_check_conf(op, topic, old, &now);
    bool same =
        err == ERR_OK && old != NULL && spec_equal(&subscription_kind, &old->conf, &now->conf);
    if (err == ERR_OK && (same || op->validate_only)) {
        op->created = old == NULL;
        op->changed = !same;
        op->subscription = subscription_ref(same ? old : now);
    }
    subscription_unref(now);
    if (err != ERR_OK || same || op->validate_only)
        op_finish(b, base, err);
    else
        put_start(b, op, topic, old);
}

static bool put_refused_to(struct broker *b, struct subscription_put_op *op, struct str topic)
{
    return topic.len != 0 &&
           access_refuses(b, &op->op, op->actor, ACCESS_TOPIC, topic, ACCESS_SENDER);
}

/* The topic's Owner subscribes to it, and may let events go only where he could send them. What is
 * run with them is the cluster's. */
static bool put_refused(struct broker *b, struct subscription_put_op *op)
{
    const struct subscription_conf *c = op->conf;
    const struct reply_route *routes = c->routes.at;
    if ((c->to_function.len != 0 || c->to_model.len != 0) &&
        access_refuses(b, &op->op, op->actor, ACCESS_CLUSTER, op->name, ACCESS_OWNER))
        return true;
    const struct str to[] = {c->to_topic, c->to_queue, c->dead_letter, c->reply_topic};
    if (access_refuses(b, &op->op, op->actor, ACCESS_TOPIC, c->topic, ACCESS_OWNER))
        return true;
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        if (put_refused_to(b, op, to[i]))
            return true;
    }
    for (size_t i = 0; i < c->routes.n; i++) {
        if (put_refused_to(b, op, routes[i].topic))
            return true;
    }
    return false;
}

void broker_subscription_put(struct broker *b, struct subscription_put_op *op)
{
    op->subscription = NULL;
    op->created = op->changed = false;
    op->text.s[0] = '\0';
    op->op.run = put_run;
    if (put_refused(b, op))
        return;
    op_submit(b, 0, &op->op);
}

/* ---- delete ---- */

static void delete_finish(struct subscription_change *ch, enum err err)
{
    op_finish(ch->catalog->broker, ch->arg, err);
}

static enum err delete_check(struct broker *b, struct subscription_delete_op *op,
                             const struct subscription **out)
{
    *out = NULL;
    if (!b->loaded)
        return ERR_LEADER_NOT_AVAILABLE;
    const struct topic *t = topics_find_id(&b->topics, &op->topic);
    if (t == NULL)
        return ERR_TOPIC_UNKNOWN;
    *out = subscriptions_find(&b->subscriptions, &op->topic, op->name);
    if (*out == NULL)
        return err_say(&op->text, ERR_NOT_FOUND, "topic %s has no subscription %.*s", t->name,
                       (int)op->name.len, op->name.at);
    if ((*out)->queue)
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "subscription %s is a queue's own: it goes with the topic", (*out)->name);
    return ERR_OK;
}

static void delete_run(struct broker *b, struct op *base)
{
    struct subscription_delete_op *op = container_of(base, struct subscription_delete_op, op);
    struct subscription_catalog *c = b->subscription_catalog;
    const struct subscription *s;
    struct subscription_entry *e =
        b->loaded ? subscription_entry_named(c, &op->topic, op->name) : NULL;
    if (e != NULL && e->busy) {
        subscription_entry_wait(e, base);
        return;
    }
    enum err err = delete_check(b, op, &s);
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    e->busy = true;
    subscription_change_start(c, e, NULL, delete_finish, base);
}

void broker_subscription_delete(struct broker *b, struct subscription_delete_op *op)
{
    op->text.s[0] = '\0';
    op->op.run = delete_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_OWNER))
        return;
    op_submit(b, 0, &op->op);
}
