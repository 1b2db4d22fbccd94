/* The truth about users, grants and keys, on reactor 0: the fold of a state log of their own, which
 * is nobody's topic, and the changes to it.
 *
 * Record: key = format (1 byte: 1), what (1 byte), name; value = access_item_encode, null: deleted.
 * One statelog entity an item.
 *
 * Changes are rare and their checks look at each other's outcome (is there an Owner left?), so that
 * they go one at a time:
 *
 *     check against reactor 0's copy -> write -> every reactor changes its copy -> answer -> next
 *
 * When a topic is deleted its keys go with it, by a change of the broker's own.
 */
#include "broker/access_internal.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/secret.h"
#include "broker/spread.h"
#include "broker/statelog.h"

#include <string.h>

#define KEY_FORMAT 1
#define KEY_HEAD 2
#define KEY_RANDOM_BYTES 32

struct access_entry {
    struct statelog_entity entity;
    struct map_node node; /* by what and name */
    enum access_what what;
    char name[ACCESS_NAME_MAX + 1];
    const struct access_item *item; /* as it is durable; own reference; NULL: is being made */
};

struct access_log {
    struct broker *broker;
    struct statelog *log;
    struct map entries;
    bool busy;    /* a change is on its way */
    bool running; /* run_waiting is on the stack */
    struct op_queue waiting;
    struct topic_watcher watcher;
    enum err load_err;
    access_loaded_fn *loaded;
    void *arg;
};

/* One change on its way. */
struct access_change {
    struct access_log *log;
    struct access_entry *entry;
    const struct access_item *old, *now; /* own references; NULL: none */
    struct statelog_append append;
    struct spread spread;
    struct access_op *op;
};

/* ---- entries ---- */

struct entry_key {
    enum access_what what;
    struct str name;
};

static uint64_t entry_hash(const struct entry_key *key)
{
    return hash_bytes(key->name.at, key->name.len) ^ hash_u64(key->what);
}

static bool entry_eq(const struct map_node *node, const void *arg)
{
    const struct access_entry *e = container_of_const(node, struct access_entry, node);
    const struct entry_key *key = arg;
    return e->what == key->what && str_is(key->name, e->name);
}

static struct access_entry *entry_find(const struct access_log *log, enum access_what what,
                                       struct str name)
{
    struct entry_key key = {what, name};
    struct map_node *n = map_find(&log->entries, entry_hash(&key), entry_eq, &key);
    return n != NULL ? container_of(n, struct access_entry, node) : NULL;
}

static struct access_entry *entry_add(struct access_log *log, enum access_what what,
                                      struct str name)
{
    struct entry_key key = {what, name};
    struct access_entry *e = mem_zalloc(1, sizeof(*e));
    bool whole = str_copy(e->name, sizeof(e->name), name);
    weir_assert(whole);
    e->what = what;
    map_insert(&log->entries, &e->node, entry_hash(&key));
    return e;
}

static void entry_remove(struct access_log *log, struct access_entry *e)
{
    statelog_forget(log->log, &e->entity);
    map_remove(&log->entries, &e->node);
    access_unref(e->item);
    mem_free(e);
}

/* ---- load ---- */

static void load_fail(struct access_log *log, enum err err)
{
    if (log->load_err == ERR_OK)
        log->load_err = err;
    env_log(log->broker->env, ENV_ERROR, "access.record", "error=%s", err_name(err));
}

static struct statelog_entity *load_item(struct access_log *log, struct entry_key key,
                                         struct str value)
{
    struct access_item *item;
    enum err err = access_item_decode(key.what, key.name, value, &item);
    if (err != ERR_OK) {
        load_fail(log, err);
        return NULL;
    }
    struct access_entry *e = entry_find(log, key.what, key.name);
    if (e == NULL)
        e = entry_add(log, key.what, key.name);
    access_unref(e->item);
    e->item = item;
    return &e->entity;
}

static struct statelog_entity *log_apply(void *user, struct str key, struct str value,
                                         int64_t timestamp)
{
    struct access_log *log = user;
    (void)timestamp;
    if (key.len <= KEY_HEAD || key.at[0] != KEY_FORMAT || (uint8_t)key.at[1] >= ACCESS_WHATS) {
        load_fail(log, ERR_FORMAT_NEWER);
        return NULL;
    }
    struct entry_key k = {(enum access_what)key.at[1], {key.at + KEY_HEAD, key.len - KEY_HEAD}};
    if (value.at != NULL)
        return load_item(log, k, value);
    struct access_entry *e = entry_find(log, k.what, k.name);
    if (e != NULL)
        entry_remove(log, e);
    return NULL;
}

/* The record of an item; NULL: of its deletion. */
static void add_record(struct access_log *log, struct batch_builder *b,
                       const struct access_entry *e, const struct access_item *item)
{
    char key[KEY_HEAD + ACCESS_NAME_MAX];
    size_t n = strlen(e->name);
    struct str value = {NULL, 0};
    struct wr w;
    key[0] = KEY_FORMAT;
    key[1] = (char)e->what;
    memcpy(key + KEY_HEAD, e->name, n);
    wr_init(&w, 512);
    if (item != NULL) {
        access_item_encode(item, &w);
        value = (struct str){(const char *)w.buf->data, w.len};
    }
    batch_add(b, (int64_t)env_now_ms(log->broker->env), (struct str){key, KEY_HEAD + n}, value,
              NULL, 0);
    if (w.buf != NULL)
        secret_clear(w.buf->data, w.len);
    wr_free(&w);
}

static void log_snapshot(void *user, struct statelog_entity *entity, struct batch_builder *out)
{
    struct access_entry *e = container_of(entity, struct access_entry, entity);
    if (e->item != NULL)
        add_record(user, out, e, e->item);
}

static const struct statelog_ops log_ops = {log_apply, log_snapshot};

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now);

static void log_loaded(void *user, struct statelog *statelog, enum err err)
{
    struct access_log *log = user;
    log->log = statelog;
    log->loaded(log->arg, err != ERR_OK ? err : log->load_err);
}

struct access_log *access_log_open(struct broker *b, access_loaded_fn *loaded, void *arg)
{
    struct access_log *log = mem_zalloc(1, sizeof(*log));
    log->broker = b;
    log->loaded = loaded;
    log->arg = arg;
    op_queue_init(&log->waiting);
    log->watcher.changed = topic_changed;
    map_init(&log->entries);
    broker_topic_watch(b, &log->watcher);
    b->access_log = log;
    struct statelog_conf conf = {
        .store = b->store,
        .env = b->env,
        .topic = topic_state_id(TOPIC_STATE_ACCESS),
        .ops = &log_ops,
        .user = log,
        .loaded = log_loaded,
        .vital = true, /* shutting somebody out must not wait for room */
    };
    statelog_open(&conf, &log->log);
    return log;
}

void access_log_free(struct access_log *log)
{
    if (log == NULL)
        return;
    statelog_free(log->log);
    list_remove(&log->watcher.link);
    for (struct map_node *n = map_next(&log->entries, NULL), *next; n != NULL; n = next) {
        next = map_next(&log->entries, n);
        struct access_entry *e = container_of(n, struct access_entry, node);
        access_unref(e->item);
        mem_free(e);
    }
    map_free(&log->entries);
    mem_free(log);
}

struct statelog *access_log_of(struct access_log *log)
{
    return log->log;
}

void access_log_each(struct access_log *log, void (*fn)(void *arg, const struct access_item *item),
                     void *arg)
{
    for (struct map_node *n = map_next(&log->entries, NULL); n != NULL;
         n = map_next(&log->entries, n))
        fn(arg, container_of(n, struct access_entry, node)->item);
}

/* ---- the steps of a change ---- */

/* Those that fail at once make room for the next. */
static void run_waiting(struct access_log *log)
{
    if (log->running)
        return;
    log->running = true;
    for (struct op *op; !log->busy && (op = op_queue_pop(&log->waiting)) != NULL;)
        op->run(log->broker, op);
    log->running = false;
}

static void answer(struct access_log *log, struct access_op *op, enum err err)
{
    op_finish(log->broker, &op->op, err);
    run_waiting(log);
}

static void change_end(struct access_change *ch, enum err err)
{
    struct access_log *log = ch->log;
    struct access_op *op = ch->op;
    log->busy = false;
    if (ch->entry->item == NULL)
        entry_remove(log, ch->entry);
    if (err == ERR_OK && ch->now != NULL)
        op->item = access_ref(ch->now);
    access_unref(ch->old);
    access_unref(ch->now);
    mem_free(ch);
    answer(log, op, err);
}

static void step_install(struct broker *b, struct spread_part *part)
{
    struct access_change *ch = container_of(part->spread, struct access_change, spread);
    access_copy_change(b->access, ch->old, ch->now);
    spread_answer(b, part, ERR_OK);
}

static void installed(struct spread *s, struct broker *b, enum err err)
{
    (void)b;
    change_end(container_of(s, struct access_change, spread), err);
}

static void written(struct statelog_append *a, enum err err)
{
    static const char *const whats[] = {"user", "grant", "keys"};
    struct access_change *ch = container_of(a, struct access_change, append);
    struct access_entry *e = ch->entry;
    const struct actor *actor = ch->op->actor;
    if (err != ERR_OK) {
        change_end(ch, err);
        return;
    }
    access_unref(e->item);
    e->item = ch->now != NULL ? access_ref(ch->now) : NULL;
    env_log(ch->log->broker->env, ENV_INFO, "access.change",
            "what=%s name=\"%s\" change=%s by=\"%s\"", whats[e->what], e->name,
            ch->old == NULL   ? "created"
            : ch->now == NULL ? "deleted"
                              : "changed",
            actor != NULL ? actor->principal : "");
    ch->spread.step = step_install;
    ch->spread.done = installed;
    spread_start(ch->log->broker, &ch->spread);
}

/* Takes over the reference to now. */
static void change_start(struct access_log *log, struct access_op *op,
                         const struct access_item *old, const struct access_item *now)
{
    struct access_change *ch = mem_zalloc(1, sizeof(*ch));
    struct batch_builder b;
    log->busy = true;
    ch->log = log;
    ch->op = op;
    ch->old = old != NULL ? access_ref(old) : NULL;
    ch->now = now;
    ch->entry = entry_find(log, op->what, op->name);
    if (ch->entry == NULL)
        ch->entry = entry_add(log, op->what, op->name);
    batch_begin(&b, 0);
    add_record(log, &b, ch->entry, now);
    ch->append.done = written;
    statelog_write(log->log, &ch->append, &b, &ch->entry->entity);
}

/* ---- what an op asks for ---- */

static enum err make_user(struct access_op *op, const struct access_item *old,
                          struct access_item *now)
{
    unsigned left = 0;
    for (unsigned i = 0; i < VERIFIER_HASHES; i++) {
        struct verifier *v = &now->user.verifiers[i];
        if (op->act == ACCESS_CHANGE && op->drop[i] && (old == NULL || v->iterations == 0))
            return err_say(&op->text, ERR_SCRAM_UNKNOWN, "user %s has no such credential",
                           now->name);
        if (op->verifiers[i].iterations != 0 || op->act == ACCESS_PUT || op->drop[i])
            *v = op->verifiers[i];
        v->hash = i + 1;
        left += v->iterations != 0;
    }
    if (left == 0 && op->act == ACCESS_CHANGE && old != NULL)
        op->act = ACCESS_DELETE;
    return ERR_OK;
}

static void random_key(struct broker *b, char out[ACCESS_KEY_MAX + 1])
{
    uint8_t bytes[KEY_RANDOM_BYTES];
    env_random(b->env, bytes, sizeof(bytes));
    base64_encode(out, bytes, sizeof(bytes));
    secret_clear(bytes, sizeof(bytes));
}

static enum err make_keys(struct broker *b, struct access_op *op, struct access_item *now)
{
    if (topics_find(&b->topics, op->name) == NULL)
        return ERR_TOPIC_UNKNOWN;
    for (unsigned i = 0; i < 2; i++) {
        char *key = now->keys.key[i];
        if (op->make_key[i])
            random_key(b, key);
        else if (op->keys[i].len > ACCESS_KEY_MAX)
            return err_say(&op->text, ERR_CONFIG_INVALID, "access key %u is longer than %d", i + 1,
                           ACCESS_KEY_MAX);
        else if (op->keys[i].at != NULL || op->act == ACCESS_PUT)
            (void)str_copy(key, sizeof(now->keys.key[i]), op->keys[i]);
    }
    return ERR_OK;
}

/* What the item will be: *out NULL if nothing is left of it. */
static enum err make_item(struct broker *b, struct access_op *op, const struct access_item *old,
                          struct access_item **out)
{
    enum err err = ERR_OK;
    struct access_item *now = old != NULL && op->act == ACCESS_CHANGE
                                  ? access_item_copy(old)
                                  : access_item_make(op->what, op->name);
    if (op->what == ACCESS_USER)
        err = make_user(op, old, now);
    else if (op->what == ACCESS_KEYS)
        err = make_keys(b, op, now);
    else
        now->grant = op->grant;
    if (err == ERR_OK && op->act != ACCESS_DELETE)
        err = access_item_check(now, &op->text);
    if (err != ERR_OK || op->act == ACCESS_DELETE) {
        access_unref(now);
        now = NULL;
    }
    *out = now;
    return err;
}

/* The Owner of what a grant is on may give it and take it. */
static enum err may_grant(struct broker *b, const struct access_op *op,
                          const struct access_grant *g)
{
    enum access_kind kind = g->prefix ? ACCESS_CLUSTER : g->kind;
    return access_check(b, op->actor, kind, str_of(g->on), ACCESS_OWNER);
}

static enum err may_change(struct broker *b, const struct access_op *op,
                           const struct access_item *old)
{
    enum err err = ERR_OK;
    if (op->what == ACCESS_KEYS)
        return access_check(b, op->actor, ACCESS_TOPIC, op->name, ACCESS_OWNER);
    if (op->what == ACCESS_USER || (old == NULL && op->act == ACCESS_DELETE))
        return access_check(b, op->actor, ACCESS_CLUSTER, op->name, ACCESS_OWNER);
    if (old != NULL)
        err = may_grant(b, op, &old->grant);
    if (err == ERR_OK && op->act != ACCESS_DELETE)
        err = may_grant(b, op, &op->grant);
    return err;
}

static enum err check_owners(struct broker *b, struct access_op *op, const struct access_item *old,
                             const struct access_item *now)
{
    if (op->what == ACCESS_KEYS || access_owner_left(b->access, old, now))
        return ERR_OK;
#ifdef FAULT_locked_out
    return ERR_OK;
#endif
    return err_say(
        &op->text, ERR_POLICY,
        "that would leave the cluster granted, but to no Owner who can log in: make the "
        "user first, then grant him Owner on the cluster, and take it from nobody before "
        "another has it");
}

/* On ERR_OK: *old is what there is (NULL: nothing), *now what there will be (own reference). */
static enum err change_check(struct broker *b, struct access_op *op, const struct access_item **old,
                             struct access_item **now)
{
    enum err err = access_name_check(op->what, op->name, &op->text);
    if (err != ERR_OK)
        return err;
    *old = access_copy_find(b->access, op->what, op->name);
    err = may_change(b, op, *old);
    if (err == ERR_OK && *old == NULL && op->act == ACCESS_DELETE)
        err = ERR_NOT_FOUND;
    if (err == ERR_OK && op->act != ACCESS_DELETE)
        err = make_item(b, op, *old, now);
    if (err == ERR_OK && *old == NULL && b->access->items >= ACCESS_ITEMS_MAX)
        err = err_say(&op->text, ERR_POLICY, "%d users, grants and keys are the most",
                      ACCESS_ITEMS_MAX);
    return err == ERR_OK ? check_owners(b, op, *old, *now) : err;
}

static void change_run(struct broker *b, struct op *base)
{
    struct access_op *op = container_of(base, struct access_op, op);
    struct access_log *log = b->access_log;
    const struct access_item *old = NULL;
    struct access_item *now = NULL;
    if (!b->loaded) {
        op_finish(b, base, ERR_COORDINATOR_LOADING);
        return;
    }
    if (log->busy) {
        op_queue_push(&log->waiting, base);
        return;
    }
    enum err err = change_check(b, op, &old, &now);
    op->created = err == ERR_OK && old == NULL;
    op->changed = err == ERR_OK && (old == NULL || now == NULL || !access_item_eq(old, now));
    if (err == ERR_OK && op->changed && !op->validate_only) {
        change_start(log, op, old, now);
        return;
    }
    if (err == ERR_OK && !op->validate_only && old != NULL)
        op->item = access_ref(old);
    access_unref(now);
    answer(log, op, err);
}

void broker_access_change(struct broker *b, struct access_op *op)
{
    op->item = NULL;
    op->created = op->changed = false;
    op->text.s[0] = '\0';
    op->op.run = change_run;
    op_submit(b, 0, &op->op);
}

/* ---- keys go with their topic ---- */

struct forget_keys {
    struct access_op op;
    char topic[TOPIC_NAME_MAX + 1];
};

static void keys_forgotten(struct op *op)
{
    mem_free(container_of(op, struct forget_keys, op.op));
}

static void forget_keys(struct broker *b, const char *topic)
{
    struct forget_keys *f = mem_zalloc(1, sizeof(*f));
    (void)str_copy(f->topic, sizeof(f->topic), str_of(topic));
    f->op.what = ACCESS_KEYS;
    f->op.act = ACCESS_DELETE;
    f->op.name = str_of(f->topic);
    f->op.op.done = keys_forgotten;
    broker_access_change(b, &f->op);
}

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now)
{
    (void)w;
    if (now == NULL && access_copy_find(b->access, ACCESS_KEYS, str_of(old->name)) != NULL)
        forget_keys(b, old->name);
}

/* What a crash left between deleting a topic and its keys. */
void access_log_sweep(struct broker *b)
{
    const struct access_list *keys = &b->access->lists[ACCESS_KEYS];
    for (size_t i = 0, n; i < keys->n; i += keys->n == n) {
        n = keys->n;
        if (topics_find(&b->topics, str_of(keys->at[i]->name)) == NULL)
            forget_keys(b, keys->at[i]->name);
    }
}
