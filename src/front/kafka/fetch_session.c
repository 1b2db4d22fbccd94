#include "front/kafka/fetch_session.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

struct fetch_sessions {
    struct env *env;
    struct map by_id;
    struct list lru; /* least recently used first */
    size_t count;
    size_t bytes; /* of the partitions of all sessions, kept or not */
};

struct fetch_sessions *fetch_sessions_make(struct env *env)
{
    struct fetch_sessions *s = mem_zalloc(1, sizeof *s);
    s->env = env;
    map_init(&s->by_id);
    list_init(&s->lru);
    return s;
}

static struct fetch_session *session_of_lru(struct list *l)
{
    return container_of(l, struct fetch_session, lru);
}

void fetch_sessions_free(struct fetch_sessions *s)
{
    while (!list_empty(&s->lru))
        fetch_session_close(s, session_of_lru(s->lru.next));
    map_free(&s->by_id);
    mem_free(s);
}

size_t fetch_sessions_count(const struct fetch_sessions *s)
{
    return s->count;
}

static bool session_eq(const struct map_node *node, const void *key)
{
    const struct fetch_session *f = container_of_const(node, struct fetch_session, node);
    return f->id == *(const int32_t *)key;
}

static struct fetch_session *session_find(struct fetch_sessions *s, int32_t id)
{
    struct map_node *n = map_find(&s->by_id, hash_u64((uint64_t)id), session_eq, &id);
    return n ? container_of(n, struct fetch_session, node) : NULL;
}

/* ---- partitions ----------------------------------------------------------------------------- */

struct part_key {
    struct uuid topic;
    struct str name;
    int32_t partition;
};

static uint64_t key_hash(const struct part_key *k)
{
    uint64_t h = k->name.at ? hash_bytes(k->name.at, k->name.len) : uuid_hash(k->topic);
    return hash_u64(h ^ (uint64_t)(uint32_t)k->partition);
}

static bool key_eq(const struct map_node *node, const void *key)
{
    const struct fetch_partition *p = container_of_const(node, struct fetch_partition, node);
    const struct part_key *k = key;
    if (p->partition != k->partition || (p->name.at != NULL) != (k->name.at != NULL))
        return false;
    return p->name.at ? str_eq(p->name, k->name) : uuid_eq(p->topic, k->topic);
}

static struct fetch_partition *part_find(struct fetch_session *f, const struct part_key *k)
{
    struct map_node *n = map_find(&f->by_key, key_hash(k), key_eq, k);
    return n ? container_of(n, struct fetch_partition, node) : NULL;
}

static size_t part_bytes(struct str name)
{
    return sizeof(struct fetch_partition) + name.len;
}

static void part_drop(struct fetch_sessions *s, struct fetch_session *f, struct fetch_partition *p)
{
    list_remove(&p->link);
    map_remove(&f->by_key, &p->node);
    f->count--;
    s->bytes -= part_bytes(p->name);
    mem_free((char *)p->name.at);
    mem_free(p);
}

struct fetch_partition *fetch_session_put(struct fetch_sessions *s, struct fetch_session *f,
                                          struct str name, const struct uuid *topic,
                                          int32_t partition)
{
    struct part_key k = {*topic, name, partition};
    struct fetch_partition *p = part_find(f, &k);
    if (p)
        return p;
    if (f->count >= FETCH_SESSION_PARTITIONS_MAX ||
        s->bytes + part_bytes(name) > FETCH_SESSIONS_BYTES_MAX)
        return NULL;
    p = mem_zalloc(1, sizeof *p);
    p->topic = *topic;
    if (name.at)
        p->name = (struct str){mem_strndup(name.at, name.len), name.len};
    p->partition = partition;
    p->high_watermark_sent = p->log_start_sent = -1;
    list_push(&f->partitions, &p->link);
    map_insert(&f->by_key, &p->node, key_hash(&k));
    f->count++;
    s->bytes += part_bytes(name);
    return p;
}

void fetch_session_forget(struct fetch_sessions *s, struct fetch_session *f, struct str name,
                          const struct uuid *topic, int32_t partition)
{
    struct part_key k = {*topic, name, partition};
    struct fetch_partition *p = part_find(f, &k);
    if (p)
        part_drop(s, f, p);
}

void fetch_session_answered(struct fetch_session *f, struct fetch_partition *p)
{
    list_remove(&p->link);
    list_push(&f->partitions, &p->link);
}

/* ---- sessions ------------------------------------------------------------------------------- */

void fetch_session_close(struct fetch_sessions *s, struct fetch_session *f)
{
    if (f->users) {
        f->closing = true;
        return;
    }
    while (!list_empty(&f->partitions))
        part_drop(s, f, container_of(f->partitions.next, struct fetch_partition, link));
    map_free(&f->by_key);
    if (f->id) {
        map_remove(&s->by_id, &f->node);
        s->count--;
    }
    list_remove(&f->lru);
    mem_free(f);
}

/* Room for one more, if need be by closing the least recently used one that is idle. */
static bool make_room(struct fetch_sessions *s)
{
    if (s->count < FETCH_SESSIONS_MAX && s->bytes < FETCH_SESSIONS_BYTES_MAX / 2)
        return true;
    list_for (l, &s->lru) {
        struct fetch_session *f = session_of_lru(l);
        if (f->users)
            continue;
        if (env_mono_us(s->env) - f->used_us < (uint64_t)FETCH_SESSION_IDLE_MS * 1000)
            return false;
        fetch_session_close(s, f);
        return true;
    }
    return false;
}

static int32_t fresh_id(struct fetch_sessions *s)
{
    int32_t id;
    do {
        env_random(s->env, &id, sizeof id);
        id &= INT32_MAX;
    } while (!id || session_find(s, id));
    return id;
}

static struct fetch_session *session_make(struct fetch_sessions *s, bool kept, bool by_id)
{
    struct fetch_session *f = mem_zalloc(1, sizeof *f);
    list_init(&f->lru);
    list_init(&f->partitions);
    map_init(&f->by_key);
    f->topics_by_id = by_id;
    if (kept && make_room(s)) {
        f->id = fresh_id(s);
        f->epoch = 1;
        map_insert(&s->by_id, &f->node, hash_u64((uint64_t)f->id));
        list_push(&s->lru, &f->lru);
        s->count++;
    }
    return f;
}

static struct fetch_session *session_use(struct fetch_sessions *s, struct fetch_session *f)
{
    f->users++;
    f->used_us = env_mono_us(s->env);
    if (f->id) {
        list_remove(&f->lru);
        list_push(&s->lru, &f->lru);
    }
    return f;
}

enum err fetch_session_enter(struct fetch_sessions *s, int32_t id, int32_t epoch, bool by_id,
                             struct fetch_session **out)
{
    struct fetch_session *f = id ? session_find(s, id) : NULL;
    if (epoch <= 0) { /* -1: none, 0: a new one */
        if (f)
            fetch_session_close(s, f);
        *out = session_use(s, session_make(s, epoch == 0, by_id));
        (*out)->full = true;
        return ERR_OK;
    }
    if (!f)
        return ERR_FETCH_SESSION_UNKNOWN;
    if (f->epoch != epoch || f->users)
        return ERR_FETCH_SESSION_EPOCH;
    if (f->topics_by_id != by_id)
        return ERR_FETCH_SESSION_TOPIC_ID;
    f->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
    f->full = false;
    *out = session_use(s, f);
    return ERR_OK;
}

void fetch_session_leave(struct fetch_sessions *s, struct fetch_session *f)
{
    weir_assert(f->users == 1);
    f->users = 0;
    if (!f->id || f->closing)
        fetch_session_close(s, f);
}
