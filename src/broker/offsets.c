#include "broker/offsets.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

void offsets_init(struct offsets *o)
{
    *o = (struct offsets){0};
    map_init(&o->topics);
}

void offsets_free(struct offsets *o)
{
    struct offsets_topic *t;
    while ((t = offsets_next(o, NULL)) != NULL)
        offsets_topic_remove(o, t);
    map_free(&o->topics);
}

size_t offsets_entry_bytes(struct str topic, struct str metadata)
{
    return sizeof(struct offsets_topic) + topic.len + 2 * sizeof(struct offsets_entry) +
           metadata.len;
}

/* ---- topics ------------------------------------------------------------------------------------
 */

static bool topic_eq(const struct map_node *node, const void *key)
{
    const struct str *name = key;
    return str_eq(container_of_const(node, struct offsets_topic, node)->name, *name);
}

struct offsets_topic *offsets_topic_find(const struct offsets *o, struct str name)
{
    struct map_node *n = map_find(&o->topics, hash_bytes(name.at, name.len), topic_eq, &name);
    return n != NULL ? container_of(n, struct offsets_topic, node) : NULL;
}

static size_t topic_bytes(const struct offsets_topic *t)
{
    return sizeof(*t) + t->name.len;
}

static struct offsets_topic *topic_add(struct offsets *o, struct str name, const struct uuid *id)
{
    struct offsets_topic *t = mem_zalloc(1, sizeof(*t) + name.len);
    char *copy = (char *)(t + 1);
    memcpy(copy, name.at, name.len);
    t->name = (struct str){copy, name.len};
    t->id = *id;
    map_insert(&o->topics, &t->node, hash_bytes(name.at, name.len));
    o->bytes += topic_bytes(t);
    return t;
}

static size_t entry_bytes(const struct offsets_entry *e)
{
    return sizeof(*e) + e->metadata.len;
}

static void entry_clear(struct offsets *o, struct offsets_entry *e)
{
    o->bytes -= entry_bytes(e);
    o->count--;
    mem_free((void *)e->metadata.at);
}

void offsets_topic_remove(struct offsets *o, struct offsets_topic *t)
{
    for (size_t i = 0; i < t->n; i++)
        entry_clear(o, &t->entries[i]);
    o->bytes -= topic_bytes(t);
    map_remove(&o->topics, &t->node);
    mem_free(t->entries);
    mem_free(t);
}

struct offsets_topic *offsets_next(const struct offsets *o, const struct offsets_topic *t)
{
    struct map_node *n = map_next(&o->topics, t != NULL ? &t->node : NULL);
    return n != NULL ? container_of(n, struct offsets_topic, node) : NULL;
}

/* ---- entries -----------------------------------------------------------------------------------
 */

/* The first place whose partition is not below. */
static size_t entry_place(const struct offsets_topic *t, int32_t partition)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->entries[mid].partition < partition)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool entry_at(const struct offsets_topic *t, size_t place, int32_t partition)
{
    return place < t->n && t->entries[place].partition == partition;
}

const struct offsets_entry *offsets_find(const struct offsets *o, struct str topic,
                                         int32_t partition)
{
    const struct offsets_topic *t = offsets_topic_find(o, topic);
    if (t == NULL)
        return NULL;
    size_t place = entry_place(t, partition);
    return entry_at(t, place, partition) ? &t->entries[place] : NULL;
}

static void entry_insert(struct offsets_topic *t, size_t place)
{
    if (t->n == t->cap) {
        t->cap = t->cap != 0 ? 2 * t->cap : 1;
        t->entries = mem_realloc(t->entries, t->cap * sizeof(*t->entries));
    }
    memmove(&t->entries[place + 1], &t->entries[place], (t->n - place) * sizeof(*t->entries));
    t->n++;
}

void offsets_set(struct offsets *o, struct str topic, const struct uuid *id,
                 const struct offsets_entry *entry)
{
    struct offsets_topic *t = offsets_topic_find(o, topic);
    struct offsets_entry kept = *entry; /* copied first: it may be what is replaced */
    kept.metadata = (struct str){NULL, 0};
    if (entry->metadata.len != 0)
        kept.metadata =
            (struct str){mem_strndup(entry->metadata.at, entry->metadata.len), entry->metadata.len};
    if (t != NULL && !uuid_eq(t->id, *id)) {
        offsets_topic_remove(o, t);
        t = NULL;
    }
    if (t == NULL)
        t = topic_add(o, topic, id);
    size_t place = entry_place(t, kept.partition);
    if (entry_at(t, place, kept.partition))
        entry_clear(o, &t->entries[place]);
    else
        entry_insert(t, place);
    t->entries[place] = kept;
    o->bytes += entry_bytes(&kept);
    o->count++;
}

void offsets_remove(struct offsets *o, struct str topic, int32_t partition)
{
    struct offsets_topic *t = offsets_topic_find(o, topic);
    if (t == NULL)
        return;
    size_t place = entry_place(t, partition);
    if (!entry_at(t, place, partition))
        return;
    entry_clear(o, &t->entries[place]);
    t->n--;
    memmove(&t->entries[place], &t->entries[place + 1], (t->n - place) * sizeof(*t->entries));
    if (t->n == 0)
        offsets_topic_remove(o, t);
}
