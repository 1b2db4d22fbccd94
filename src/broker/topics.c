#include "broker/topics.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

static void unref(const void *item)
{
    topic_unref(item);
}

void topics_init(struct topics *t, struct env *env)
{
    *t = (struct topics){0};
    leaving_init(&t->leaving, env, unref);
    map_init(&t->by_name);
    map_init(&t->by_id);
    list_init(&t->watchers);
}

void topics_free(struct topics *t)
{
    leaving_free(&t->leaving);
    for (size_t i = 0; i < t->count; i++) {
        topic_unref(t->sorted[i]->topic);
        mem_free(t->sorted[i]);
    }
    mem_free(t->sorted);
    map_free(&t->by_name);
    map_free(&t->by_id);
}

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct topics_entry *e =
        container_of((struct map_node *)node, struct topics_entry, by_name);
    return str_is(*(const struct str *)key, e->topic->name);
}

static bool id_eq(const struct map_node *node, const void *key)
{
    const struct topics_entry *e =
        container_of((struct map_node *)node, struct topics_entry, by_id);
    return uuid_eq(e->topic->id, *(const struct uuid *)key);
}

static struct topics_entry *entry_find(const struct topics *t, struct str name)
{
    struct map_node *n = map_find(&t->by_name, hash_bytes(name.at, name.len), name_eq, &name);
    return n != NULL ? container_of(n, struct topics_entry, by_name) : NULL;
}

const struct topic *topics_find(const struct topics *t, struct str name)
{
    struct topics_entry *e = entry_find(t, name);
    return e != NULL ? e->topic : NULL;
}

const struct topic *topics_find_id(const struct topics *t, const struct uuid *id)
{
    struct map_node *n = map_find(&t->by_id, uuid_hash(*id), id_eq, id);
    return n != NULL ? container_of(n, struct topics_entry, by_id)->topic : NULL;
}

/* The first place whose name is not below `name`. */
static size_t sorted_place(const struct topics *t, const char *name)
{
    size_t lo = 0, hi = t->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(t->sorted[mid]->topic->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct topic *topics_next(const struct topics *t, const struct topic *after)
{
    size_t i = 0;
    if (after != NULL) {
        i = sorted_place(t, after->name);
        if (i < t->count && strcmp(t->sorted[i]->topic->name, after->name) == 0)
            i++;
    }
    return i < t->count ? t->sorted[i]->topic : NULL;
}

static void topics_add(struct topics *t, const struct topic *now)
{
    struct topics_entry *e = mem_zalloc(1, sizeof(*e));
    size_t at = sorted_place(t, now->name);
    e->topic = topic_ref(now);
    map_insert(&t->by_name, &e->by_name, hash_bytes(now->name, strlen(now->name)));
    map_insert(&t->by_id, &e->by_id, uuid_hash(now->id));
    if (t->count == t->cap) {
        t->cap = t->cap != 0 ? 2 * t->cap : 16;
        t->sorted = mem_realloc(t->sorted, t->cap * sizeof(struct topics_entry *));
    }
    memmove(&t->sorted[at + 1], &t->sorted[at], (t->count - at) * sizeof(struct topics_entry *));
    t->sorted[at] = e;
    t->count++;
}

static void topics_remove(struct topics *t, struct topics_entry *e)
{
    size_t at = sorted_place(t, e->topic->name);
    weir_assert(at < t->count && t->sorted[at] == e);
    t->count--;
    memmove(&t->sorted[at], &t->sorted[at + 1], (t->count - at) * sizeof(struct topics_entry *));
    map_remove(&t->by_name, &e->by_name);
    map_remove(&t->by_id, &e->by_id);
    leaving_add(&t->leaving, e->topic);
    mem_free(e);
}

void topics_change(struct topics *t, const struct topic *old, const struct topic *now)
{
    if (old == NULL) {
        topics_add(t, now);
        return;
    }
    struct topics_entry *e = entry_find(t, str_of(old->name));
    weir_assert(e != NULL && e->topic == old);
    if (now == NULL) {
        topics_remove(t, e);
        return;
    }
    weir_assert(uuid_eq(old->id, now->id));
    e->topic = topic_ref(now);
    leaving_add(&t->leaving, old);
}
