#include "broker/catalog_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/document_internal.h"
#include "broker/partition.h"
#include "broker/subscription_catalog.h"
#include "broker/subscription_internal.h"
#include "broker/topic_internal.h"

#include <string.h>

#define TOPIC_KEY_FORMAT 1
#define KEY_BYTES_MAX 256

static const struct catalog_kind topic_kind;

static const struct catalog_kind *const kinds[] = {&topic_kind, &subscription_catalog_kind,
                                                   &document_catalog_kind};

/* ---- entries ---- */

static char name_folded(char c)
{
    return c == '.' ? '_' : c;
}

static uint64_t name_hash(struct str name)
{
    char folded[TOPIC_NAME_MAX];
    weir_assert(name.len <= sizeof(folded));
    for (size_t i = 0; i < name.len; i++)
        folded[i] = name_folded(name.at[i]);
    return hash_bytes(folded, name.len);
}

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct catalog_entry *e =
        container_of((struct map_node *)node, struct catalog_entry, by_name);
    const struct str *name = key;
    if (strlen(e->name) != name->len)
        return false;
    for (size_t i = 0; i < name->len; i++)
        if (name_folded(e->name[i]) != name_folded(name->at[i]))
            return false;
    return true;
}

static bool id_eq(const struct map_node *node, const void *key)
{
    const struct catalog_entry *e =
        container_of((struct map_node *)node, struct catalog_entry, by_id);
    return uuid_eq(e->id, *(const struct uuid *)key);
}

/* Also one whose name merely collides. */
struct catalog_entry *catalog_find(const struct catalog *c, struct str name)
{
    if (name.len > TOPIC_NAME_MAX)
        return NULL;
    struct map_node *n = map_find(&c->by_name, name_hash(name), name_eq, &name);
    return n != NULL ? container_of(n, struct catalog_entry, by_name) : NULL;
}

struct catalog_entry *catalog_find_id(const struct catalog *c, const struct uuid *id)
{
    struct map_node *n = map_find(&c->by_id, uuid_hash(*id), id_eq, id);
    return n != NULL ? container_of(n, struct catalog_entry, by_id) : NULL;
}

struct catalog_entry *catalog_add(struct catalog *c, const struct topic *t)
{
    struct catalog_entry *e = mem_zalloc(1, sizeof(*e));
    struct str name = str_of(t->name);
    bool whole = str_copy(e->name, sizeof(e->name), name);
    weir_assert(whole);
    e->id = t->id;
    e->entity.kind = &topic_kind;
    op_queue_init(&e->waiting);
    map_insert(&c->by_name, &e->by_name, name_hash(name));
    map_insert(&c->by_id, &e->by_id, uuid_hash(t->id));
    return e;
}

static void entry_remove(struct catalog *c, struct catalog_entry *e)
{
    catalog_forget(c, &e->entity);
    map_remove(&c->by_name, &e->by_name);
    map_remove(&c->by_id, &e->by_id);
    topic_unref(e->topic);
    mem_free(e);
}

void catalog_wait(struct catalog_entry *e, struct op *op)
{
    op_queue_push(&e->waiting, op);
}

/* ---- load ---- */

static void load_fail(struct catalog *c, enum err err, const char *text)
{
    if (c->load_err == ERR_OK)
        c->load_err = err;
    env_log(c->broker->env, ENV_ERROR, "catalog.record", "error=%s text=\"%s\"", err_name(err),
            text);
}

static void load_gone(struct catalog *c, struct catalog_entry *e)
{
    c->partitions -= e->topic->partitions;
    entry_remove(c, e);
}

static enum err load_topic(struct catalog *c, const struct uuid *id, struct str value,
                           struct catalog_entity **out, struct err_text *text)
{
    struct topic *t;
    enum err err = topic_decode(*id, value, &t, text);
    if (err != ERR_OK)
        return err;
    struct catalog_entry *e = catalog_find_id(c, id);
    if (e == NULL && catalog_find(c, str_of(t->name)) != NULL) {
        topic_unref(t);
        return err_say(text, ERR_CORRUPT, "two topics of one name");
    }
    if (e == NULL)
        e = catalog_add(c, t);
    if (e->topic != NULL)
        c->partitions -= e->topic->partitions;
    c->partitions += t->partitions;
    topic_unref(e->topic);
    e->topic = t;
    *out = &e->entity;
    return ERR_OK;
}

static enum err topic_apply(struct broker *b, struct str key, struct str value,
                            struct catalog_entity **out, struct err_text *text)
{
    struct catalog *c = b->catalog;
    struct uuid id;
    if (key.len != sizeof(id.b))
        return err_say(text, ERR_CORRUPT, "a topic's key of %zu bytes", key.len);
    memcpy(id.b, key.at, sizeof(id.b));
    if (value.at != NULL)
        return load_topic(c, &id, value, out, text);
    struct catalog_entry *e = catalog_find_id(c, &id);
    if (e != NULL)
        load_gone(c, e);
    return ERR_OK;
}

void catalog_add_record(struct catalog *c, struct batch_builder *b, const struct catalog_kind *kind,
                        struct str key, struct str value)
{
    char whole[KEY_BYTES_MAX];
    weir_assert(key.len < sizeof(whole));
    whole[0] = (char)kind->format;
    memcpy(whole + 1, key.at, key.len);
    batch_add(b, (int64_t)env_now_ms(c->broker->env), (struct str){whole, key.len + 1}, value, NULL,
              0);
}

/* The record of a topic; NULL: of its deletion. */
static void add_topic(struct catalog *c, struct batch_builder *b, const struct uuid *id,
                      const struct topic *t)
{
    struct wr w;
    struct str value = {NULL, 0};
    wr_init(&w, 128);
    if (t != NULL) {
        topic_encode(t, &w);
        value = (struct str){(const char *)w.buf->data, w.len};
    }
    catalog_add_record(c, b, &topic_kind, (struct str){(const char *)id->b, sizeof(id->b)}, value);
    wr_free(&w);
}

static void topic_snapshot(struct broker *b, struct catalog_entity *entity,
                           struct batch_builder *out)
{
    struct catalog_entry *e = container_of(entity, struct catalog_entry, entity);
    if (e->topic != NULL)
        add_topic(b->catalog, out, &e->id, e->topic);
}

static const struct catalog_kind topic_kind = {TOPIC_KEY_FORMAT, topic_apply, topic_snapshot};

static const struct catalog_kind *kind_find(struct str key)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (key.len > 0 && (uint8_t)key.at[0] == kinds[i]->format)
            return kinds[i];
    return NULL;
}

static struct statelog_entity *catalog_apply(void *user, struct str key, struct str value,
                                             int64_t timestamp)
{
    struct catalog *c = user;
    struct catalog_entity *e = NULL;
    struct err_text text = {""};
    const struct catalog_kind *kind = kind_find(key);
    (void)timestamp;
    if (kind == NULL) {
        load_fail(c, ERR_FORMAT_NEWER, "a key of a kind that is not known");
        return NULL;
    }
    key = (struct str){key.at + 1, key.len - 1};
    enum err err = kind->apply(c->broker, key, value, &e, &text);
    if (err != ERR_OK)
        load_fail(c, err, text.s);
    return e != NULL ? &e->entity : NULL;
}

static void catalog_snapshot(void *user, struct statelog_entity *entity, struct batch_builder *out)
{
    struct catalog *c = user;
    struct catalog_entity *e = container_of(entity, struct catalog_entity, entity);
    e->kind->snapshot(c->broker, e, out);
}

void catalog_write(struct catalog *c, struct statelog_append *a, struct batch_builder *b,
                   struct catalog_entity *entity)
{
    statelog_write(c->log, a, b, &entity->entity);
}

void catalog_forget(struct catalog *c, struct catalog_entity *entity)
{
    statelog_forget(c->log, &entity->entity);
}

bool catalog_topic_wait(struct catalog *c, const struct uuid *id, struct op *op)
{
    struct catalog_entry *e = catalog_find_id(c, id);
    if (e == NULL || !e->busy)
        return false;
    catalog_wait(e, op);
    return true;
}

static const struct statelog_ops log_ops = {catalog_apply, catalog_snapshot};

static void log_loaded(void *user, struct statelog *log, enum err err)
{
    struct catalog *c = user;
    c->log = log;
    c->loaded(c->arg, err != ERR_OK ? err : c->load_err);
}

struct catalog *catalog_open(struct broker *b, catalog_loaded_fn *loaded, void *arg)
{
    struct catalog *c = mem_zalloc(1, sizeof(*c));
    c->broker = b;
    c->loaded = loaded;
    c->arg = arg;
    map_init(&c->by_name);
    map_init(&c->by_id);
    b->catalog = c;
    b->subscription_catalog = subscription_catalog_make(b);
    b->document_catalog = document_catalog_make(b);
    struct statelog_conf conf = {
        .store = b->store,
        .env = b->env,
        .broker = b,
        .topic = topic_state_id(TOPIC_STATE_CATALOG),
        .ops = &log_ops,
        .user = c,
        .loaded = log_loaded,
        .vital = true, /* a delete is how room is made */
    };
    statelog_open(&conf, &c->log);
    return c;
}

void catalog_free(struct catalog *c)
{
    if (c == NULL)
        return;
    statelog_free(c->log);
    subscription_catalog_free(c->broker->subscription_catalog);
    document_catalog_free(c->broker->document_catalog);
    struct map_node *n = map_next(&c->by_id, NULL);
    while (n != NULL) {
        struct catalog_entry *e = container_of(n, struct catalog_entry, by_id);
        n = map_next(&c->by_id, n);
        topic_unref(e->topic);
        mem_free(e);
    }
    map_free(&c->by_name);
    map_free(&c->by_id);
    mem_free(c);
}

void catalog_each(struct catalog *c, void (*fn)(void *arg, const struct topic *t), void *arg)
{
    for (struct map_node *n = map_next(&c->by_id, NULL); n != NULL; n = map_next(&c->by_id, n))
        fn(arg, container_of(n, struct catalog_entry, by_id)->topic);
}

/* ---- the steps of a change ---- */

static struct catalog_change *change_of(struct spread *s)
{
    return container_of(s, struct catalog_change, spread);
}

/* Takes over the references to old and now. */
struct catalog_change *
catalog_change_make(struct catalog *c, struct catalog_entry *e, const struct topic *old,
                    const struct topic *now, struct op *op,
                    void (*finish)(struct catalog_change *ch, struct broker *b, enum err err))
{
    struct catalog_change *ch = mem_zalloc(1, sizeof(*ch));
    weir_assert(!e->busy);
    e->busy = true;
    ch->catalog = c;
    ch->entry = e;
    ch->old = old;
    ch->now = now;
    ch->op = op;
    ch->finish = finish;
    return ch;
}

/* The last step: the verb answers, and who waited for the entry goes on. */
static void change_end(struct catalog_change *ch, enum err err)
{
    struct catalog *c = ch->catalog;
    struct catalog_entry *e = ch->entry;
    struct broker *b = c->broker;
    struct op_queue waiting = e->waiting;
    e->busy = false;
    op_queue_init(&e->waiting);
    if (e->topic == NULL)
        entry_remove(c, e);
    ch->finish(ch, b, err);
    topic_unref(ch->old);
    topic_unref(ch->now);
    mem_free(ch);
    op_queue_run(&waiting, b);
}

static void tell_watchers(struct broker *b, const struct topic *old, const struct topic *now)
{
    list_for_safe (it, &b->topics.watchers) {
        struct topic_watcher *w = container_of(it, struct topic_watcher, link);
        w->changed(w, b, old, now);
    }
}

static void step_install(struct broker *b, struct spread_part *part)
{
    struct catalog_change *ch = change_of(part->spread);
    topics_change(&b->topics, ch->old, ch->now);
    subscriptions_topic_change(b, ch->old, ch->now);
    if (ch->now != NULL)
        partitions_change(b, ch->now);
    else
        partitions_remove(b, &ch->old->id, 0, ch->old->partitions);
    tell_watchers(b, ch->old, ch->now);
    spread_answer(b, part, ERR_OK);
}

static void installed(struct spread *s, struct broker *b, enum err err)
{
    struct catalog_change *ch = change_of(s);
    if (ch->old != NULL)
        subscription_catalog_clean(b->subscription_catalog, &ch->old->id);
    change_end(ch, err);
}

static void step_undo(struct broker *b, struct spread_part *part)
{
    struct catalog_change *ch = change_of(part->spread);
    partitions_remove(b, &ch->now->id, ch->open_from, ch->open_to);
    spread_answer(b, part, ERR_OK);
}

static void undone(struct spread *s, struct broker *b, enum err err)
{
    struct catalog_change *ch = change_of(s);
    (void)b;
    (void)err;
    ch->catalog->partitions -= ch->open_to - ch->open_from;
    change_end(ch, ch->err);
}

static void change_undo(struct catalog_change *ch, enum err err)
{
    ch->err = err;
    ch->spread.step = step_undo;
    ch->spread.done = undone;
    spread_start(ch->catalog->broker, &ch->spread);
}

static void written(struct statelog_append *a, enum err err)
{
    struct catalog_change *ch = container_of(a, struct catalog_change, append);
    struct catalog *c = ch->catalog;
    if (err != ERR_OK && ch->open_from < ch->open_to) {
        change_undo(ch, err);
        return;
    }
    if (err != ERR_OK) {
        change_end(ch, err);
        return;
    }
    topic_unref(ch->entry->topic);
    ch->entry->topic = ch->now != NULL ? topic_ref(ch->now) : NULL;
    if (ch->now == NULL)
        c->partitions -= ch->old->partitions;
    const struct topic *t = ch->now != NULL ? ch->now : ch->old;
    env_log(c->broker->env, ENV_INFO, "topic.change", "topic=%s change=%s partitions=%d", t->name,
            ch->old == NULL   ? "created"
            : ch->now == NULL ? "deleted"
                              : "changed",
            t->partitions);
    ch->spread.step = step_install;
    ch->spread.done = installed;
    spread_start(c->broker, &ch->spread);
}

void catalog_change_write(struct catalog_change *ch)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    add_topic(ch->catalog, &b, &ch->entry->id, ch->now);
    ch->append.done = written;
    catalog_write(ch->catalog, &ch->append, &b, &ch->entry->entity);
}

static void part_opened(void *arg, struct broker *b, enum err err)
{
    spread_answer(b, arg, err);
}

static void step_open(struct broker *b, struct spread_part *part)
{
    struct catalog_change *ch = change_of(part->spread);
    partitions_open(b, ch->now, ch->open_from, ch->open_to, part_opened, part);
}

static void opened(struct spread *s, struct broker *b, enum err err)
{
    struct catalog_change *ch = change_of(s);
    (void)b;
    if (err != ERR_OK)
        change_undo(ch, err);
    else
        catalog_change_write(ch);
}

/* Opens the logs of partitions from..to-1, then writes. */
void catalog_change_open(struct catalog_change *ch, int32_t from, int32_t to)
{
    ch->open_from = from;
    ch->open_to = to;
    ch->catalog->partitions += to - from;
    ch->spread.step = step_open;
    ch->spread.done = opened;
    spread_start(ch->catalog->broker, &ch->spread);
}
