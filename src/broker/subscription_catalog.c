#include "broker/subscription_catalog_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define EXPIRY_US ((uint64_t)10 * 1000 * 1000)

/* ---- entries ---- */

static bool id_eq(const struct map_node *node, const void *key)
{
    return uuid_eq(container_of_const(node, struct subscription_entry, node)->id,
                   *(const struct uuid *)key);
}

static struct subscription_entry *entry_of(struct map_node *node)
{
    return container_of(node, struct subscription_entry, node);
}

struct subscription_entry *subscription_entry_find(const struct subscription_catalog *c,
                                                   const struct uuid *id)
{
    struct map_node *n = map_find(&c->by_id, uuid_hash(*id), id_eq, id);
    return n != NULL ? entry_of(n) : NULL;
}

struct subscription_entry *subscription_entry_named(const struct subscription_catalog *c,
                                                    const struct uuid *topic, struct str name)
{
    const struct subscription *s = subscriptions_find(&c->broker->subscriptions, topic, name);
    if (s != NULL)
        return subscription_entry_find(c, &s->id);
    for (struct map_node *n = map_next(&c->by_id, NULL); n != NULL; n = map_next(&c->by_id, n)) {
        struct subscription_entry *e = entry_of(n);
        if (e->busy && uuid_eq(e->topic, *topic) && str_is(name, e->name))
            return e;
    }
    return NULL;
}

struct subscription_entry *subscription_entry_add(struct subscription_catalog *c,
                                                  const struct uuid *id, const struct uuid *topic,
                                                  struct str name)
{
    struct subscription_entry *e = mem_zalloc(1, sizeof(*e));
    e->entity.kind = &subscription_catalog_kind;
    e->id = *id;
    e->topic = *topic;
    bool whole = str_copy(e->name, sizeof(e->name), name);
    weir_assert(whole);
    op_queue_init(&e->waiting);
    map_insert(&c->by_id, &e->node, uuid_hash(*id));
    return e;
}

static void entry_drop(struct subscription_catalog *c, struct subscription_entry *e)
{
    catalog_forget(c->broker->catalog, &e->entity);
    map_remove(&c->by_id, &e->node);
    subscription_unref(e->s);
    mem_free(e);
}

void subscription_entry_wait(struct subscription_entry *e, struct op *op)
{
    op_queue_push(&e->waiting, op);
}

void subscription_entry_leave(struct subscription_catalog *c, struct subscription_entry *e)
{
    struct op_queue waiting = e->waiting;
    e->busy = false;
    op_queue_init(&e->waiting);
    if (e->s == NULL)
        entry_drop(c, e);
    op_queue_run(&waiting, c->broker);
}

/* ---- records ---- */

static void add_record(struct broker *b, struct batch_builder *out, const struct uuid *id,
                       const struct subscription *s)
{
    struct str key = {(const char *)id->b, sizeof(id->b)};
    char *text = s != NULL ? subscription_encode(s) : NULL;
    catalog_add_record(b->catalog, out, &subscription_catalog_kind, key,
                       text != NULL ? str_of(text) : (struct str){NULL, 0});
    mem_free(text);
}

static enum err kind_apply(struct broker *b, struct str key, struct str value,
                           struct catalog_entity **out, struct err_text *text)
{
    struct subscription_catalog *c = b->subscription_catalog;
    const struct subscription *s;
    struct uuid id;
    if (key.len != sizeof(id.b))
        return err_say(text, ERR_CORRUPT, "a subscription's key of %zu bytes", key.len);
    memcpy(id.b, key.at, sizeof(id.b));
    struct subscription_entry *e = subscription_entry_find(c, &id);
    if (value.at == NULL) {
        if (e != NULL)
            entry_drop(c, e);
        return ERR_OK;
    }
    enum err err = subscription_decode(id, value, &s, text);
    if (err != ERR_OK)
        return err;
    if (e == NULL)
        e = subscription_entry_add(c, &id, &s->topic, str_of(s->name));
    subscription_unref(e->s);
    e->s = s;
    *out = &e->entity;
    return ERR_OK;
}

static void kind_snapshot(struct broker *b, struct catalog_entity *entity,
                          struct batch_builder *out)
{
    struct subscription_entry *e = container_of(entity, struct subscription_entry, entity);
    if (e->s != NULL)
        add_record(b, out, &e->id, e->s);
}

const struct catalog_kind subscription_catalog_kind = {SUBSCRIPTION_KEY_FORMAT, kind_apply,
                                                       kind_snapshot};

/* ---- a change ---- */

static struct subscription_change *change_of(struct spread *s)
{
    return container_of(s, struct subscription_change, spread);
}

static void change_end(struct subscription_change *ch, enum err err)
{
    struct subscription_catalog *c = ch->catalog;
    struct subscription_entry *e = ch->entry;
    ch->finish(ch, err);
    subscription_unref(ch->now);
    mem_free(ch);
    subscription_entry_leave(c, e);
}

/* On a reactor that has seen the topic go, its subscriptions have gone with it; and so has the
 * built-in one where the topic is no queue any more, or there is another one again. */
static void step_install(struct broker *b, struct spread_part *part)
{
    struct subscription_change *ch = change_of(part->spread);
    bool built_in = uuid_eq(ch->entry->id, ch->entry->topic);
    if (ch->now != NULL ? subscriptions_wanted(b, ch->now) : !built_in)
        subscriptions_change(b, &ch->entry->id, ch->now);
    spread_answer(b, part, ERR_OK);
}

/* What was put while its topic was being deleted goes, too. */
static void installed(struct spread *s, struct broker *b, enum err err)
{
    struct subscription_change *ch = change_of(s);
    struct subscription_catalog *c = ch->catalog;
    struct uuid topic = ch->entry->topic;
    bool gone = topics_find_id(&b->topics, &topic) == NULL;
    change_end(ch, gone ? ERR_TOPIC_UNKNOWN : err);
    if (gone)
        subscription_catalog_clean(c, &topic);
}

static void written(struct statelog_append *a, enum err err)
{
    struct subscription_change *ch = container_of(a, struct subscription_change, append);
    struct subscription_entry *e = ch->entry;
    struct broker *b = ch->catalog->broker;
    if (err != ERR_OK) {
        change_end(ch, err);
        return;
    }
    env_log(b->env, ENV_INFO, "subscription.change", "subscription=%s change=%s", e->name,
            ch->now == NULL ? "deleted"
            : e->s == NULL  ? "created"
                            : "changed");
    subscription_unref(e->s);
    e->s = ch->now != NULL ? subscription_ref(ch->now) : NULL;
    ch->spread.step = step_install;
    ch->spread.done = installed;
    spread_start(b, &ch->spread);
}

void subscription_change_start(struct subscription_catalog *c, struct subscription_entry *e,
                               const struct subscription *now,
                               void (*finish)(struct subscription_change *ch, enum err err),
                               void *arg)
{
    struct subscription_change *ch = mem_zalloc(1, sizeof(*ch));
    struct batch_builder b;
    weir_assert(e->busy);
    ch->catalog = c;
    ch->entry = e;
    ch->now = now;
    ch->finish = finish;
    ch->arg = arg;
    ch->append.done = written;
    batch_begin(&b, 0);
    add_record(c->broker, &b, &e->id, now);
    catalog_write(c->broker->catalog, &ch->append, &b, &e->entity);
}

/* ---- those that nobody deletes ---- */

static void nobody_waits(struct subscription_change *ch, enum err err)
{
    if (err != ERR_OK) /* the next start, or change of the topic, tries again */
        env_log(ch->catalog->broker->env, ENV_WARN, "subscription.delete",
                "subscription=%s error=%s", ch->entry->name, err_name(err));
}

static void entry_delete(struct subscription_catalog *c, struct subscription_entry *e)
{
    e->busy = true;
    subscription_change_start(c, e, NULL, nobody_waits, NULL);
}

/* A change may complete inside of its start, and takes entries out: begin again behind each. */
static void delete_those(struct subscription_catalog *c,
                         bool (*which)(const struct subscription_entry *e, const void *arg),
                         const void *arg)
{
    struct map_node *n = map_next(&c->by_id, NULL);
    while (n != NULL) {
        struct subscription_entry *e = entry_of(n);
        bool goes = !e->busy && which(e, arg);
        if (goes)
            entry_delete(c, e);
        n = goes ? map_next(&c->by_id, NULL) : map_next(&c->by_id, n);
    }
}

struct clean {
    const struct broker *broker;
    const struct uuid *topic;
};

static bool unwanted(const struct subscription_entry *e, const void *arg)
{
    const struct clean *c = arg;
    return (c->topic == NULL || uuid_eq(e->topic, *c->topic)) &&
           !subscriptions_wanted(c->broker, e->s);
}

void subscription_catalog_clean(struct subscription_catalog *c, const struct uuid *topic)
{
    delete_those(c, unwanted, &(struct clean){c->broker, topic});
    if (topic == NULL)
        env_timer_set(c->broker->env, &c->expiry, EXPIRY_US);
}

void subscription_catalog_each(struct subscription_catalog *c,
                               void (*fn)(void *arg, const struct subscription *s), void *arg)
{
    for (struct map_node *n = map_next(&c->by_id, NULL); n != NULL; n = map_next(&c->by_id, n))
        if (entry_of(n)->s != NULL)
            fn(arg, entry_of(n)->s);
}

static bool expired(const struct subscription_entry *e, const void *arg)
{
    const struct subscription_conf *conf = &e->s->conf;
    return !e->s->queue && conf->expires_ms >= 0 && conf->expires_ms <= *(const int64_t *)arg;
}

static void expiry_fire(struct env_timer *timer)
{
    struct subscription_catalog *c = container_of(timer, struct subscription_catalog, expiry);
    int64_t now = (int64_t)env_now_ms(c->broker->env);
    delete_those(c, expired, &now);
    env_timer_set(c->broker->env, timer, EXPIRY_US);
}

/* ---- life ---- */

struct subscription_catalog *subscription_catalog_make(struct broker *b)
{
    struct subscription_catalog *c = mem_zalloc(1, sizeof(*c));
    c->broker = b;
    c->expiry.fire = expiry_fire;
    map_init(&c->by_id);
    return c;
}

void subscription_catalog_free(struct subscription_catalog *c)
{
    if (c == NULL)
        return;
    env_timer_stop(c->broker->env, &c->expiry);
    for (struct map_node *n = map_next(&c->by_id, NULL), *next; n != NULL; n = next) {
        next = map_next(&c->by_id, n);
        subscription_unref(entry_of(n)->s);
        mem_free(entry_of(n));
    }
    map_free(&c->by_id);
    mem_free(c);
}
