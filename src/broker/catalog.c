#include "broker/catalog.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/partition.h"
#include "broker/spread.h"
#include "broker/statelog.h"
#include "broker/topic_internal.h"

#include <inttypes.h>
#include <string.h>

#define KEY_FORMAT 1
#define KEY_BYTES 17

/* A topic, or the name of one that is being created. */
struct entry {
    struct statelog_entity entity;
    struct map_node by_name; /* by the name with '_' for '.', in which names must differ */
    struct map_node by_id;
    struct uuid id;
    char name[TOPIC_NAME_MAX + 1];
    const struct topic *topic; /* as it is durable; NULL while being created */
    bool busy;
    struct env_mail *waiting, **waiting_end; /* ops, by their mail */
};

struct catalog {
    struct broker *broker;
    struct statelog *log;
    struct map by_name, by_id;
    int64_t partitions; /* of all topics, those being created included */
    enum err load_err;
    catalog_loaded_fn *loaded;
    void *arg;
};

/* One change on its way. */
struct change {
    struct catalog *catalog;
    struct entry *entry;
    const struct topic *old, *now; /* own references; NULL: none */
    int32_t open_from, open_to;    /* partitions whose logs the change opens */
    struct statelog_append append;
    struct spread spread;
    enum err err; /* why it is being undone */
    /* The verb's end: copies what it tells, and answers. */
    void (*finish)(struct change *ch, struct broker *b, enum err err);
    struct op *op;
};

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
    const struct entry *e = container_of((struct map_node *)node, struct entry, by_name);
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
    const struct entry *e = container_of((struct map_node *)node, struct entry, by_id);
    return uuid_eq(e->id, *(const struct uuid *)key);
}

/* Also one whose name merely collides. */
static struct entry *entry_find(const struct catalog *c, struct str name)
{
    if (name.len > TOPIC_NAME_MAX)
        return NULL;
    struct map_node *n = map_find(&c->by_name, name_hash(name), name_eq, &name);
    return n != NULL ? container_of(n, struct entry, by_name) : NULL;
}

static struct entry *entry_find_id(const struct catalog *c, const struct uuid *id)
{
    struct map_node *n = map_find(&c->by_id, uuid_hash(*id), id_eq, id);
    return n != NULL ? container_of(n, struct entry, by_id) : NULL;
}

static struct entry *entry_add(struct catalog *c, const struct topic *t)
{
    struct entry *e = mem_zalloc(1, sizeof(*e));
    struct str name = str_of(t->name);
    bool whole = str_copy(e->name, sizeof(e->name), name);
    weir_assert(whole);
    e->id = t->id;
    e->waiting_end = &e->waiting;
    map_insert(&c->by_name, &e->by_name, name_hash(name));
    map_insert(&c->by_id, &e->by_id, uuid_hash(t->id));
    return e;
}

static void entry_remove(struct catalog *c, struct entry *e)
{
    statelog_forget(c->log, &e->entity);
    map_remove(&c->by_name, &e->by_name);
    map_remove(&c->by_id, &e->by_id);
    topic_unref(e->topic);
    mem_free(e);
}

static void entry_wait(struct entry *e, struct op *op)
{
    op->mail.next = NULL;
    *e->waiting_end = &op->mail;
    e->waiting_end = &op->mail.next;
}

/* The first runs again now; what it leaves undecided waits on, in the order of arrival. */
static void run_again(struct broker *b, struct env_mail *waiting)
{
    while (waiting != NULL) {
        struct op *op = container_of(waiting, struct op, mail);
        waiting = waiting->next;
        op->run(b, op);
    }
}

/* ---- load ---- */

static void key_make(const struct uuid *id, char key[KEY_BYTES])
{
    key[0] = KEY_FORMAT;
    memcpy(key + 1, id->b, sizeof(id->b));
}

static void load_fail(struct catalog *c, enum err err, const char *text)
{
    if (c->load_err == ERR_OK)
        c->load_err = err;
    env_log(c->broker->env, ENV_ERROR, "catalog.record", "error=%s text=\"%s\"", err_name(err),
            text);
}

static void load_gone(struct catalog *c, struct entry *e)
{
    c->partitions -= e->topic->partitions;
    entry_remove(c, e);
}

static struct statelog_entity *load_topic(struct catalog *c, const struct uuid *id,
                                          struct str value)
{
    struct topic *t;
    struct err_text text;
    enum err err = topic_decode(*id, value, &t, &text);
    if (err != ERR_OK) {
        load_fail(c, err, text.s);
        return NULL;
    }
    struct entry *e = entry_find_id(c, id);
    if (e == NULL && entry_find(c, str_of(t->name)) != NULL) {
        load_fail(c, ERR_CORRUPT, "two topics of one name");
        topic_unref(t);
        return NULL;
    }
    if (e == NULL)
        e = entry_add(c, t);
    if (e->topic != NULL)
        c->partitions -= e->topic->partitions;
    c->partitions += t->partitions;
    topic_unref(e->topic);
    e->topic = t;
    return &e->entity;
}

static struct statelog_entity *catalog_apply(void *user, struct str key, struct str value,
                                             int64_t timestamp)
{
    struct catalog *c = user;
    struct uuid id;
    (void)timestamp;
    if (key.len != KEY_BYTES || key.at[0] != KEY_FORMAT) {
        load_fail(c, ERR_FORMAT_NEWER, "a key of a kind that is not known");
        return NULL;
    }
    memcpy(id.b, key.at + 1, sizeof(id.b));
    if (value.at != NULL)
        return load_topic(c, &id, value);
    struct entry *e = entry_find_id(c, &id);
    if (e != NULL)
        load_gone(c, e);
    return NULL;
}

/* The record of a topic; NULL: of its deletion. */
static void add_record(struct catalog *c, struct batch_builder *b, const struct uuid *id,
                       const struct topic *t)
{
    char key[KEY_BYTES];
    struct wr w;
    struct str value = {NULL, 0};
    key_make(id, key);
    wr_init(&w, 128);
    if (t != NULL) {
        topic_encode(t, &w);
        value = (struct str){(const char *)w.buf->data, w.len};
    }
    batch_add(b, (int64_t)env_now_ms(c->broker->env), (struct str){key, KEY_BYTES}, value, NULL, 0);
    wr_free(&w);
}

static void catalog_snapshot(void *user, struct statelog_entity *entity, struct batch_builder *out)
{
    struct entry *e = container_of(entity, struct entry, entity);
    if (e->topic != NULL)
        add_record(user, out, &e->id, e->topic);
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
    struct statelog_conf conf = {
        .store = b->store,
        .env = b->env,
        .broker = b,
        .topic = topic_state_id(TOPIC_STATE_CATALOG),
        .ops = &log_ops,
        .user = c,
        .loaded = log_loaded,
    };
    statelog_open(&conf, &c->log);
    return c;
}

void catalog_free(struct catalog *c)
{
    if (c == NULL)
        return;
    statelog_free(c->log);
    struct map_node *n = map_next(&c->by_id, NULL);
    while (n != NULL) {
        struct entry *e = container_of(n, struct entry, by_id);
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
        fn(arg, container_of(n, struct entry, by_id)->topic);
}

/* ---- the steps of a change ---- */

static struct change *change_of(struct spread *s)
{
    return container_of(s, struct change, spread);
}

/* Takes over the references to old and now. */
static struct change *change_make(struct catalog *c, struct entry *e, const struct topic *old,
                                  const struct topic *now, struct op *op,
                                  void (*finish)(struct change *ch, struct broker *b, enum err err))
{
    struct change *ch = mem_zalloc(1, sizeof(*ch));
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
static void change_end(struct change *ch, enum err err)
{
    struct catalog *c = ch->catalog;
    struct entry *e = ch->entry;
    struct broker *b = c->broker;
    struct env_mail *waiting = e->waiting;
    e->busy = false;
    e->waiting = NULL;
    e->waiting_end = &e->waiting;
    if (e->topic == NULL)
        entry_remove(c, e);
    ch->finish(ch, b, err);
    topic_unref(ch->old);
    topic_unref(ch->now);
    mem_free(ch);
    run_again(b, waiting);
}

static void tell_watchers(struct broker *b, const struct topic *old, const struct topic *now)
{
    list_for_safe(it, &b->topics.watchers)
    {
        struct topic_watcher *w = container_of(it, struct topic_watcher, link);
        w->changed(w, b, old, now);
    }
}

static void step_install(struct broker *b, struct spread_part *part)
{
    struct change *ch = change_of(part->spread);
    topics_change(&b->topics, ch->old, ch->now);
    if (ch->now != NULL)
        partitions_change(b, ch->now);
    else
        partitions_remove(b, &ch->old->id, 0, ch->old->partitions);
    tell_watchers(b, ch->old, ch->now);
    spread_answer(b, part, ERR_OK);
}

static void installed(struct spread *s, struct broker *b, enum err err)
{
    (void)b;
    change_end(change_of(s), err);
}

static void step_undo(struct broker *b, struct spread_part *part)
{
    struct change *ch = change_of(part->spread);
    partitions_remove(b, &ch->now->id, ch->open_from, ch->open_to);
    spread_answer(b, part, ERR_OK);
}

static void undone(struct spread *s, struct broker *b, enum err err)
{
    struct change *ch = change_of(s);
    (void)b;
    (void)err;
    ch->catalog->partitions -= ch->open_to - ch->open_from;
    change_end(ch, ch->err);
}

static void change_undo(struct change *ch, enum err err)
{
    ch->err = err;
    ch->spread.step = step_undo;
    ch->spread.done = undone;
    spread_start(ch->catalog->broker, &ch->spread);
}

static void written(struct statelog_append *a, enum err err)
{
    struct change *ch = container_of(a, struct change, append);
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

static void change_write(struct change *ch)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    add_record(ch->catalog, &b, &ch->entry->id, ch->now);
    ch->append.done = written;
    statelog_write(ch->catalog->log, &ch->append, &b, &ch->entry->entity);
}

static void part_opened(void *arg, struct broker *b, enum err err)
{
    spread_answer(b, arg, err);
}

static void step_open(struct broker *b, struct spread_part *part)
{
    struct change *ch = change_of(part->spread);
    partitions_open(b, ch->now, ch->open_from, ch->open_to, part_opened, part);
}

static void opened(struct spread *s, struct broker *b, enum err err)
{
    struct change *ch = change_of(s);
    (void)b;
    if (err != ERR_OK)
        change_undo(ch, err);
    else
        change_write(ch);
}

/* Opens the logs of partitions from..to-1, then writes. */
static void change_open(struct change *ch, int32_t from, int32_t to)
{
    ch->open_from = from;
    ch->open_to = to;
    ch->catalog->partitions += to - from;
    ch->spread.step = step_open;
    ch->spread.done = opened;
    spread_start(ch->catalog->broker, &ch->spread);
}

/* ---- verbs ---- */

static enum err apply_settings(struct topic_conf *conf, const struct topic_setting *settings,
                               size_t n, struct err_text *text)
{
    if (n > TOPIC_CONFIGS_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "%zu settings in one request: %d are the most", n,
                       TOPIC_CONFIGS_MAX);
    enum err err = ERR_OK;
    for (size_t i = 0; i < n && err == ERR_OK; i++)
        err = topic_conf_set(conf, settings[i], text);
    return err;
}

static enum err check_room(const struct catalog *c, int32_t more, struct err_text *text)
{
    if (c->partitions + more <= BROKER_PARTITIONS_MAX)
        return ERR_OK;
    return err_say(text, ERR_PARTITIONS_INVALID,
                   "there are %" PRId64 " partitions: %d more would pass the limit of %d",
                   c->partitions, more, BROKER_PARTITIONS_MAX);
}

static enum err check_loaded(const struct broker *b)
{
    return b->loaded ? ERR_OK : ERR_LEADER_NOT_AVAILABLE;
}

/* Finds a topic that a client may change. ERR_BUSY is never told: the op waits. */
static enum err find_to_change(struct broker *b, struct str name, struct entry **out,
                               struct err_text *text)
{
    enum err err = check_loaded(b);
    if (err != ERR_OK)
        return err;
    const struct topic *t = topics_find(&b->topics, name);
    if (t != NULL && t->internal)
        return err_say(text, ERR_TOPIC_INVALID, "topic %s is internal: it cannot be changed",
                       t->name);
    struct entry *e = entry_find(b->catalog, name);
    if (e != NULL && !str_is(name, e->name))
        e = NULL;
    *out = e;
    if (e == NULL)
        return ERR_TOPIC_UNKNOWN;
    return e->busy ? ERR_BUSY : ERR_OK;
}

/* create */

static struct topic_create_op *create_of(struct op *op)
{
    return container_of(op, struct topic_create_op, op);
}

static void create_finish(struct change *ch, struct broker *b, enum err err)
{
    struct topic_create_op *op = create_of(ch->op);
    if (err == ERR_OK)
        op->topic = topic_ref(ch->now);
    op_finish(b, ch->op, err);
}

static enum err create_check(struct broker *b, struct topic_create_op *op)
{
    enum err err = check_loaded(b);
    if (err == ERR_OK)
        err = topic_name_check(op->name, &op->text);
    if (err != ERR_OK)
        return err;
    if (op->name.len >= 2 && op->name.at[0] == '_' && op->name.at[1] == '_')
        return err_say(&op->text, ERR_TOPIC_INVALID,
                       "topic names that begin with \"__\" are for internal topics");
    if (op->replication != 1 && op->replication != -1)
        return err_say(&op->text, ERR_REPLICATION_INVALID,
                       "replication factor %d: this broker is one node, give 1 or -1",
                       op->replication);
    op->partitions_out = op->partitions == -1 ? b->set->conf.default_partitions : op->partitions;
    if (op->partitions_out < 1)
        return err_say(&op->text, ERR_PARTITIONS_INVALID,
                       "%d partitions: give at least 1, or -1 for the default", op->partitions);
    topic_conf_default(&op->conf);
    return apply_settings(&op->conf, op->settings, op->settings_n, &op->text);
}

/* ERR_BUSY: wait for the entry. */
static enum err create_check_name(struct catalog *c, struct topic_create_op *op, struct entry **out)
{
    struct entry *e = entry_find(c, op->name);
    *out = e;
    if (e == NULL)
        return check_room(c, op->partitions_out, &op->text);
    if (e->busy)
        return ERR_BUSY;
    if (!str_is(op->name, e->name))
        return err_say(&op->text, ERR_TOPIC_INVALID,
                       "topic %.*s collides with topic %s: names must differ in more than '.' "
                       "and '_'",
                       (int)op->name.len, op->name.at, e->name);
    op->topic = topic_ref(e->topic);
    return err_say(&op->text, ERR_TOPIC_EXISTS, "topic %s exists", e->name);
}

static void create_start(struct broker *b, struct topic_create_op *op)
{
    uint8_t random[16];
    env_random(b->env, random, sizeof(random));
    struct topic *t = topic_make(uuid_from_random(random), op->name, op->partitions_out);
    t->conf = op->conf;
    t->created_ms = env_now_ms(b->env);
    struct entry *e = entry_add(b->catalog, t);
    struct change *ch = change_make(b->catalog, e, NULL, t, &op->op, create_finish);
    change_open(ch, 0, t->partitions);
}

static void create_run(struct broker *b, struct op *base)
{
    struct topic_create_op *op = create_of(base);
    struct entry *e = NULL;
    enum err err = create_check(b, op);
    if (err == ERR_OK)
        err = create_check_name(b->catalog, op, &e);
    if (err == ERR_BUSY)
        entry_wait(e, base);
    else if (err != ERR_OK || op->validate_only)
        op_finish(b, base, err);
    else
        create_start(b, op);
}

void broker_topic_create(struct broker *b, struct topic_create_op *op)
{
    op->topic = NULL;
    op->text.s[0] = '\0';
    op->partitions_out = 0;
    op->op.run = create_run;
    op_submit(b, 0, &op->op);
}

/* delete */

static void delete_finish(struct change *ch, struct broker *b, enum err err)
{
    struct topic_delete_op *op = container_of(ch->op, struct topic_delete_op, op);
    if (err == ERR_OK)
        op->topic = topic_ref(ch->old);
    op_finish(b, ch->op, err);
}

static void delete_run(struct broker *b, struct op *base)
{
    struct topic_delete_op *op = container_of(base, struct topic_delete_op, op);
    struct entry *e = NULL;
    struct str name = op->name;
    if (name.at == NULL && b->loaded) {
        e = entry_find_id(b->catalog, &op->id);
        const struct topic *t = topics_find_id(&b->topics, &op->id);
        if (e == NULL && t == NULL) {
            op_finish(b, base, ERR_TOPIC_ID_UNKNOWN);
            return;
        }
        name = str_of(e != NULL ? e->name : t->name);
    }
    enum err err = find_to_change(b, name, &e, &op->text);
    if (err == ERR_BUSY) {
        entry_wait(e, base);
    } else if (err != ERR_OK) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        change_write(change_make(b->catalog, e, old, NULL, base, delete_finish));
    }
}

void broker_topic_delete(struct broker *b, struct topic_delete_op *op)
{
    op->topic = NULL;
    op->text.s[0] = '\0';
    op->op.run = delete_run;
    op_submit(b, 0, &op->op);
}

/* grow */

static void simple_finish(struct change *ch, struct broker *b, enum err err)
{
    op_finish(b, ch->op, err);
}

static enum err grow_check(struct broker *b, struct topic_grow_op *op, struct entry **e)
{
    enum err err = find_to_change(b, op->name, e, &op->text);
    if (err != ERR_OK)
        return err;
    int32_t has = (*e)->topic->partitions;
    if (op->partitions <= has)
        return err_say(&op->text, ERR_PARTITIONS_INVALID,
                       "topic %s has %d partitions: give a larger number than that, not %d",
                       (*e)->name, has, op->partitions);
    return check_room(b->catalog, op->partitions - has, &op->text);
}

static void grow_run(struct broker *b, struct op *base)
{
    struct topic_grow_op *op = container_of(base, struct topic_grow_op, op);
    struct entry *e = NULL;
    enum err err = grow_check(b, op, &e);
    if (err == ERR_BUSY) {
        entry_wait(e, base);
    } else if (err != ERR_OK || op->validate_only) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        struct topic *now = topic_copy(old);
        now->partitions = op->partitions;
        now->generation++;
        change_open(change_make(b->catalog, e, old, now, base, simple_finish), old->partitions,
                    now->partitions);
    }
}

void broker_topic_grow(struct broker *b, struct topic_grow_op *op)
{
    op->text.s[0] = '\0';
    op->op.run = grow_run;
    op_submit(b, 0, &op->op);
}

/* configure */

static void configure_run(struct broker *b, struct op *base)
{
    struct topic_configure_op *op = container_of(base, struct topic_configure_op, op);
    struct entry *e = NULL;
    struct topic_conf conf;
    enum err err = find_to_change(b, op->name, &e, &op->text);
    if (err == ERR_OK) {
        conf = e->topic->conf;
        err = apply_settings(&conf, op->settings, op->settings_n, &op->text);
    }
    if (err == ERR_BUSY) {
        entry_wait(e, base);
    } else if (err != ERR_OK || op->validate_only) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        struct topic *now = topic_copy(old);
        now->conf = conf;
        change_write(change_make(b->catalog, e, old, now, base, simple_finish));
    }
}

void broker_topic_configure(struct broker *b, struct topic_configure_op *op)
{
    op->text.s[0] = '\0';
    op->op.run = configure_run;
    op_submit(b, 0, &op->op);
}
