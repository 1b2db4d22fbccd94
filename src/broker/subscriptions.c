#include "broker/broker_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/subscription_internal.h"

#include <string.h>

struct subscriptions_entry {
    struct map_node node; /* by id */
    const struct subscription *s;
};

/* The subscriptions of one topic, by name in byte order. */
struct subscriptions_topic {
    struct map_node node; /* by id */
    struct uuid id;
    struct subscriptions_entry **sorted;
    size_t n, cap;
};

static void unref(const void *item)
{
    subscription_unref(item);
}

void subscriptions_init(struct subscriptions *s, struct env *env)
{
    *s = (struct subscriptions){0};
    leaving_init(&s->leaving, env, unref);
    map_init(&s->by_id);
    map_init(&s->by_topic);
    list_init(&s->watchers);
}

/* ---- finding ---- */

static bool entry_eq(const struct map_node *node, const void *key)
{
    const struct subscriptions_entry *e =
        container_of_const(node, struct subscriptions_entry, node);
    return uuid_eq(e->s->id, *(const struct uuid *)key);
}

static bool topic_eq(const struct map_node *node, const void *key)
{
    const struct subscriptions_topic *t =
        container_of_const(node, struct subscriptions_topic, node);
    return uuid_eq(t->id, *(const struct uuid *)key);
}

static struct subscriptions_entry *entry_find(const struct subscriptions *s, const struct uuid *id)
{
    struct map_node *n = map_find(&s->by_id, uuid_hash(*id), entry_eq, id);
    return n != NULL ? container_of(n, struct subscriptions_entry, node) : NULL;
}

static struct subscriptions_topic *topic_find(const struct subscriptions *s, const struct uuid *id)
{
    struct map_node *n = map_find(&s->by_topic, uuid_hash(*id), topic_eq, id);
    return n != NULL ? container_of(n, struct subscriptions_topic, node) : NULL;
}

/* As strcmp: of a name that is not NUL-terminated and one that is. */
static int name_cmp(struct str a, const char *b)
{
    size_t n = strlen(b);
    int c = memcmp(a.at, b, a.len < n ? a.len : n);
    return c != 0 ? c : a.len < n ? -1 : a.len > n;
}

/* The first place whose name is not below `name`. */
static size_t sorted_place(const struct subscriptions_topic *t, struct str name)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (name_cmp(name, t->sorted[mid]->s->name) > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct subscription *subscriptions_find_id(const struct subscriptions *s,
                                                 const struct uuid *id)
{
    struct subscriptions_entry *e = entry_find(s, id);
    return e != NULL ? e->s : NULL;
}

const struct subscription *subscriptions_find(const struct subscriptions *s,
                                              const struct uuid *topic, struct str name)
{
    const struct subscriptions_topic *t = topic_find(s, topic);
    size_t at = t != NULL ? sorted_place(t, name) : 0;
    if (t == NULL || at == t->n || !str_is(name, t->sorted[at]->s->name))
        return NULL;
    return t->sorted[at]->s;
}

size_t subscriptions_count(const struct subscriptions *s, const struct uuid *topic)
{
    const struct subscriptions_topic *t = topic_find(s, topic);
    return t != NULL ? t->n : 0;
}

bool subscriptions_wanted(const struct broker *b, const struct subscription *s)
{
    const struct topic *t = topics_find_id(&b->topics, &s->topic);
    return t != NULL && (!s->queue || t->conf.queue);
}

/* ---- changing ---- */

static struct subscriptions_topic *topic_add(struct subscriptions *s, const struct uuid *id)
{
    struct subscriptions_topic *t = mem_zalloc(1, sizeof(*t));
    t->id = *id;
    map_insert(&s->by_topic, &t->node, uuid_hash(*id));
    return t;
}

static void topic_drop(struct subscriptions *s, struct subscriptions_topic *t)
{
    map_remove(&s->by_topic, &t->node);
    mem_free(t->sorted);
    mem_free(t);
}

static void entry_add(struct subscriptions *s, const struct subscription *now)
{
    struct subscriptions_topic *t = topic_find(s, &now->topic);
    struct subscriptions_entry *e = mem_zalloc(1, sizeof(*e));
    if (t == NULL)
        t = topic_add(s, &now->topic);
    if (t->n == t->cap) {
        t->cap = t->cap != 0 ? 2 * t->cap : 4;
        t->sorted = mem_realloc(t->sorted, t->cap * sizeof(struct subscriptions_entry *));
    }
    size_t at = sorted_place(t, str_of(now->name));
    memmove(&t->sorted[at + 1], &t->sorted[at], (t->n - at) * sizeof(struct subscriptions_entry *));
    t->sorted[at] = e;
    t->n++;
    e->s = subscription_ref(now);
    map_insert(&s->by_id, &e->node, uuid_hash(now->id));
}

static void entry_remove(struct subscriptions *s, struct subscriptions_entry *e)
{
    struct subscriptions_topic *t = topic_find(s, &e->s->topic);
    size_t at = sorted_place(t, str_of(e->s->name));
    weir_assert(at < t->n && t->sorted[at] == e);
    t->n--;
    memmove(&t->sorted[at], &t->sorted[at + 1], (t->n - at) * sizeof(struct subscriptions_entry *));
    map_remove(&s->by_id, &e->node);
    if (t->n == 0)
        topic_drop(s, t);
    leaving_add(&s->leaving, e->s);
    mem_free(e);
}

void subscriptions_change(struct broker *b, const struct uuid *id, const struct subscription *now)
{
    struct subscriptions *s = &b->subscriptions;
    struct subscriptions_entry *e = entry_find(s, id);
    const struct subscription *old = e != NULL ? e->s : NULL;
    if (old == NULL && now == NULL)
        return;
    if (old == NULL) {
        entry_add(s, now);
    } else if (now == NULL) {
        entry_remove(s, e);
    } else {
        weir_assert(strcmp(old->name, now->name) == 0 && uuid_eq(old->topic, now->topic));
        e->s = subscription_ref(now);
        leaving_add(&s->leaving, old);
    }
    list_for_safe (it, &s->watchers) {
        struct subscription_watcher *w = container_of(it, struct subscription_watcher, link);
        w->changed(w, b, old, now);
    }
}

static void all_go(struct broker *b, const struct uuid *topic)
{
    struct subscriptions_topic *t;
    while ((t = topic_find(&b->subscriptions, topic)) != NULL) {
        struct uuid id = t->sorted[t->n - 1]->s->id;
        subscriptions_change(b, &id, NULL);
    }
}

void subscriptions_topic_change(struct broker *b, const struct topic *old, const struct topic *now)
{
    if (now == NULL) {
        all_go(b, &old->id);
        return;
    }
    bool there = subscriptions_find_id(&b->subscriptions, &now->id) != NULL;
    if (now->conf.queue && !there) {
        const struct subscription *s = subscription_of_queue(now);
        subscriptions_change(b, &now->id, s);
        subscription_unref(s);
    } else if (!now->conf.queue && there) {
        subscriptions_change(b, &now->id, NULL);
    }
}

void subscriptions_free(struct subscriptions *s)
{
    leaving_free(&s->leaving);
    for (struct map_node *n = map_next(&s->by_topic, NULL), *next; n != NULL; n = next) {
        struct subscriptions_topic *t = container_of(n, struct subscriptions_topic, node);
        next = map_next(&s->by_topic, n);
        for (size_t i = 0; i < t->n; i++) {
            subscription_unref(t->sorted[i]->s);
            mem_free(t->sorted[i]);
        }
        mem_free(t->sorted);
        mem_free(t);
    }
    map_free(&s->by_id);
    map_free(&s->by_topic);
}

/* ---- for others ---- */

const struct subscription *broker_subscription(struct broker *b, const struct uuid *topic,
                                               struct str name)
{
    return subscriptions_find(&b->subscriptions, topic, name);
}

const struct subscription *broker_subscription_by_id(struct broker *b, const struct uuid *id)
{
    return subscriptions_find_id(&b->subscriptions, id);
}

static const struct subscription *next_of_topic(const struct subscriptions_topic *t,
                                                const struct subscription *after)
{
    size_t at = 0;
    if (after != NULL) {
        at = sorted_place(t, str_of(after->name));
        at += at < t->n && strcmp(t->sorted[at]->s->name, after->name) == 0;
    }
    return at < t->n ? t->sorted[at]->s : NULL;
}

/* Of all: topics by name, too. */
static const struct subscription *next_of_all(struct broker *b, const struct subscription *after)
{
    const struct topic *topic = NULL;
    const struct subscription *s = NULL;
    if (after != NULL) {
        topic = topics_find_id(&b->topics, &after->topic);
        const struct subscriptions_topic *t = topic_find(&b->subscriptions, &after->topic);
        s = t != NULL ? next_of_topic(t, after) : NULL;
        if (s != NULL || topic == NULL)
            return s;
    }
    while (s == NULL && (topic = topics_next(&b->topics, topic)) != NULL) {
        const struct subscriptions_topic *t = topic_find(&b->subscriptions, &topic->id);
        s = t != NULL ? next_of_topic(t, NULL) : NULL;
    }
    return s;
}

const struct subscription *broker_subscription_next(struct broker *b, const struct uuid *topic,
                                                    const struct subscription *after)
{
    if (topic == NULL)
        return next_of_all(b, after);
    const struct subscriptions_topic *t = topic_find(&b->subscriptions, topic);
    return t != NULL ? next_of_topic(t, after) : NULL;
}

void broker_subscription_watch(struct broker *b, struct subscription_watcher *w)
{
    list_push(&b->subscriptions.watchers, &w->link);
}
