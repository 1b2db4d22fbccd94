/* The truth about documents, on reactor 0: their records in __weir_catalog, and the verbs that
 * change them.
 *
 *     put        check -> (ask the checker) -> write -> every reactor changes its copy
 *     delete     write -> every reactor drops it from its copy
 *                                                             and then the verb is answered
 *
 * Documents change seldom: one change at a time, the others wait for it in the order of arrival.
 */
#include "broker/access.h"
#include "broker/broker_internal.h"
#include "broker/document_internal.h"
#include "broker/spread.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define KEY_BYTES (1 + sizeof(struct uuid)) /* kind, id */

/* One with a record, or one that is being made. */
struct document_entry {
    struct catalog_entity entity;
    struct map_node node; /* by id */
    enum document_kind kind;
    struct uuid id;
    const struct document *d; /* as its record says; NULL: has none */
};

struct document_catalog {
    struct broker *broker;
    struct map by_id;
    bool busy;    /* a change is under way */
    bool running; /* run_waiting is on the stack */
    struct op_queue waiting;
    struct document_put_op *checked; /* whose document `making` the checker looks at */
    const struct document *making;
};

/* The one change on its way. */
struct document_change {
    struct document_catalog *catalog;
    struct document_entry *entry;
    const struct document *now; /* own reference; NULL: deleted */
    struct statelog_append append;
    struct spread spread;
    struct op *op;
    const struct document **out; /* where a put tells what it made; NULL: nowhere */
    char name[TOPIC_NAME_MAX + 1];
};

/* ---- entries ---- */

static bool id_eq(const struct map_node *node, const void *key)
{
    return uuid_eq(container_of_const(node, struct document_entry, node)->id,
                   *(const struct uuid *)key);
}

static struct document_entry *entry_find(const struct document_catalog *c, const struct uuid *id)
{
    struct map_node *n = map_find(&c->by_id, uuid_hash(*id), id_eq, id);
    return n != NULL ? container_of(n, struct document_entry, node) : NULL;
}

static struct document_entry *entry_add(struct document_catalog *c, enum document_kind kind,
                                        const struct uuid *id)
{
    struct document_entry *e = mem_zalloc(1, sizeof(*e));
    e->entity.kind = &document_catalog_kind;
    e->kind = kind;
    e->id = *id;
    map_insert(&c->by_id, &e->node, uuid_hash(*id));
    return e;
}

static void entry_drop(struct document_catalog *c, struct document_entry *e)
{
    catalog_forget(c->broker->catalog, &e->entity);
    map_remove(&c->by_id, &e->node);
    document_unref(e->d);
    mem_free(e);
}

/* ---- records ---- */

static void add_record(struct broker *b, struct batch_builder *out, const struct document_entry *e,
                       const struct document *d)
{
    char key[KEY_BYTES];
    char *text = d != NULL ? document_encode(d) : NULL;
    key[0] = (char)e->kind;
    memcpy(key + 1, e->id.b, sizeof(e->id.b));
    catalog_add_record(b->catalog, out, &document_catalog_kind, (struct str){key, sizeof(key)},
                       text != NULL ? str_of(text) : (struct str){NULL, 0});
    mem_free(text);
}

static enum err kind_apply(struct broker *b, struct str key, struct str value,
                           struct catalog_entity **out, struct err_text *text)
{
    struct document_catalog *c = b->document_catalog;
    const struct document *d;
    struct uuid id;
    if (key.len != KEY_BYTES)
        return err_say(text, ERR_CORRUPT, "a document's key of %zu bytes", key.len);
    enum document_kind kind = (enum document_kind)(uint8_t)key.at[0];
    if (kind >= DOCUMENT_KINDS)
        return err_say(text, ERR_FORMAT_NEWER, "a document of a kind that is not known");
    memcpy(id.b, key.at + 1, sizeof(id.b));
    struct document_entry *e = entry_find(c, &id);
    if (value.at == NULL) {
        if (e != NULL)
            entry_drop(c, e);
        return ERR_OK;
    }
    enum err err = document_decode(kind, id, value, &d, text);
    if (err != ERR_OK)
        return err;
    if (e == NULL)
        e = entry_add(c, kind, &id);
    document_unref(e->d);
    e->d = d;
    *out = &e->entity;
    return ERR_OK;
}

static void kind_snapshot(struct broker *b, struct catalog_entity *entity,
                          struct batch_builder *out)
{
    struct document_entry *e = container_of(entity, struct document_entry, entity);
    if (e->d != NULL)
        add_record(b, out, e, e->d);
}

const struct catalog_kind document_catalog_kind = {DOCUMENT_KEY_FORMAT, kind_apply, kind_snapshot};

/* ---- a change ---- */

static struct document_change *change_of(struct spread *s)
{
    return container_of(s, struct document_change, spread);
}

/* Those that fail at once make room for the next. */
static void run_waiting(struct document_catalog *c)
{
    if (c->running)
        return;
    c->running = true;
    for (struct op *op; !c->busy && (op = op_queue_pop(&c->waiting)) != NULL;)
        op->run(c->broker, op);
    c->running = false;
}

static void change_end(struct document_change *ch, enum err err)
{
    struct document_catalog *c = ch->catalog;
    struct op *op = ch->op;
    if (err == ERR_OK && ch->out != NULL)
        *ch->out = document_ref(ch->now);
    if (ch->entry->d == NULL)
        entry_drop(c, ch->entry);
    document_unref(ch->now);
    mem_free(ch);
    c->busy = false;
    op_finish(c->broker, op, err);
    run_waiting(c);
}

static void step_install(struct broker *b, struct spread_part *part)
{
    struct document_change *ch = change_of(part->spread);
    documents_change(b, ch->entry->kind, str_of(ch->name), ch->now);
    spread_answer(b, part, ERR_OK);
}

static void installed(struct spread *s, struct broker *b, enum err err)
{
    (void)b;
    change_end(change_of(s), err);
}

static void written(struct statelog_append *a, enum err err)
{
    struct document_change *ch = container_of(a, struct document_change, append);
    struct document_entry *e = ch->entry;
    struct broker *b = ch->catalog->broker;
    if (err != ERR_OK) {
        change_end(ch, err);
        return;
    }
    env_log(b->env, ENV_INFO, "document.change", "kind=%s name=%s change=%s",
            document_spec(e->kind)->name, ch->name,
            ch->now == NULL ? "deleted"
            : e->d == NULL  ? "created"
                            : "changed");
    document_unref(e->d);
    e->d = ch->now != NULL ? document_ref(ch->now) : NULL;
    ch->spread.step = step_install;
    ch->spread.done = installed;
    spread_start(b, &ch->spread);
}

/* Writes the change and spreads it. Takes over the reference to now. */
static void change_start(struct document_catalog *c, struct document_entry *e,
                         const struct document *now, struct op *op, struct str name,
                         const struct document **out)
{
    struct document_change *ch = mem_zalloc(1, sizeof(*ch));
    struct batch_builder b;
    weir_assert(!c->busy);
    c->busy = true;
    ch->catalog = c;
    ch->entry = e;
    ch->now = now;
    ch->op = op;
    ch->out = out;
    ch->append.done = written;
    bool whole = str_copy(ch->name, sizeof(ch->name), name);
    weir_assert(whole);
    batch_begin(&b, 0);
    add_record(c->broker, &b, e, now);
    catalog_write(c->broker->catalog, &ch->append, &b, &e->entity);
}

/* True: the op waits, or is answered: nothing is loaded yet. */
static bool waits(struct broker *b, struct op *op)
{
    struct document_catalog *c = b->document_catalog;
    if (!b->loaded) {
        op_finish(b, op, ERR_LEADER_NOT_AVAILABLE);
        return true;
    }
    if (c->busy)
        op_queue_push(&c->waiting, op);
    return c->busy;
}

/* ---- put ---- */

static enum err put_check_name(struct broker *b, struct document_put_op *op,
                               const struct document *old)
{
    const char *kind = document_spec(op->kind)->name;
    if (topic_name_check(op->name, NULL) != ERR_OK)
        return err_say(&op->text, ERR_REQUEST_INVALID,
                       "the name of a %s has 1 to %d characters of a-z A-Z 0-9 . _ -", kind,
                       TOPIC_NAME_MAX);
    if (old != NULL)
        return op->create_only ? err_say(&op->text, ERR_EXISTS, "%s %s exists", kind, old->name)
                               : ERR_OK;
    if (op->update_only)
        return err_say(&op->text, ERR_NOT_FOUND, "there is no %s %.*s", kind, (int)op->name.len,
                       op->name.at);
    if (b->documents.lists[op->kind].n >= DOCUMENTS_MAX)
        return err_say(&op->text, ERR_POLICY, "%d of a kind are the most", DOCUMENTS_MAX);
    return ERR_OK;
}

/* What weir would run is told to it by those only whom its operator means (docs/security.md). */
static enum err put_check_command(struct broker *b, struct document_put_op *op,
                                  const struct document *now)
{
    if (now->kind != DOCUMENT_FUNCTION || now->conf.function.command.n == 0 ||
        broker_conf(b)->commands)
        return ERR_OK;
    return err_say(&op->text, ERR_POLICY,
                   "spec.command must not be set: this weir runs no commands, as it can be reached "
                   "from other machines; start it with --commands on if it shall, or give url");
}

static enum err put_make(struct broker *b, struct document_put_op *op, const struct document *old,
                         const struct document **out)
{
    uint8_t random[16];
    env_random(b->env, random, sizeof(random));
    struct document_parts parts = {
        .kind = op->kind,
        .id = old != NULL ? old->id : uuid_from_random(random),
        .name = op->name,
        .created_ms = old != NULL ? old->created_ms : env_now_ms(b->env),
        .spec = spec_write(document_spec(op->kind), op->conf, true),
    };
    enum err err = document_make(&parts, out, &op->text);
    json_decref(parts.spec);
    return err;
}

static void put_start(struct broker *b, struct document_put_op *op, const struct document *now)
{
    struct document_catalog *c = b->document_catalog;
    struct document_entry *e = entry_find(c, &now->id);
    if (e == NULL)
        e = entry_add(c, now->kind, &now->id);
    change_start(c, e, now, &op->op, op->name, &op->document);
}

/* It is right, or the same as before: written, or answered. Takes over the reference. */
static void put_go(struct broker *b, struct document_put_op *op, const struct document *now)
{
    if (op->changed && !op->validate_only) {
        put_start(b, op, now);
        return;
    }
    const struct document *old = documents_find(&b->documents, op->kind, op->name);
    op->document = document_ref(op->changed ? now : old);
    document_unref(now);
    op_finish(b, &op->op, ERR_OK);
}

static struct document_checker *checker_of(const struct broker *b, enum document_kind kind)
{
    list_for (it, &b->documents.checkers) {
        struct document_checker *checker = container_of(it, struct document_checker, link);
        if (checker->kind == kind)
            return checker;
    }
    return NULL;
}

void broker_document_checked(struct broker *b, enum err err, const char *why)
{
    struct document_catalog *c = b->document_catalog;
    struct document_put_op *op = c->checked;
    const struct document *now = c->making;
    weir_assert(op != NULL && c->busy);
    c->checked = NULL;
    c->making = NULL;
    c->busy = false;
    if (err == ERR_OK) {
        put_go(b, op, now);
    } else {
        op->created = op->changed = false;
        document_unref(now);
        op_finish(b, &op->op, err_say(&op->text, err, "%s", why));
    }
    run_waiting(c);
}

static void put_ask(struct broker *b, struct document_put_op *op, const struct document *now)
{
    struct document_catalog *c = b->document_catalog;
    struct document_checker *checker = op->changed ? checker_of(b, op->kind) : NULL;
    if (checker == NULL) {
        put_go(b, op, now);
        return;
    }
    c->busy = true;
    c->checked = op;
    c->making = now;
    checker->check(checker, now);
}

static void put_run(struct broker *b, struct op *base)
{
    struct document_put_op *op = container_of(base, struct document_put_op, op);
    const struct document *now = NULL;
    if (waits(b, base))
        return;
    const struct document *old = documents_find(&b->documents, op->kind, op->name);
    enum err err = put_check_name(b, op, old);
    if (err == ERR_OK)
        err = put_make(b, op, old, &now);
    if (err == ERR_OK)
        err = put_check_command(b, op, now);
    if (err != ERR_OK) {
        document_unref(now);
        op_finish(b, base, err);
        return;
    }
    op->created = old == NULL;
    op->changed = old == NULL || !spec_equal(document_spec(op->kind), &old->conf, &now->conf);
    put_ask(b, op, now);
}

void broker_document_put(struct broker *b, struct document_put_op *op)
{
    weir_assert(op->kind < DOCUMENT_KINDS);
    op->document = NULL;
    op->created = op->changed = false;
    op->text.s[0] = '\0';
    op->op.run = put_run;
    if (access_refuses(b, &op->op, op->actor, ACCESS_CLUSTER, op->name, ACCESS_OWNER))
        return;
    op_submit(b, 0, &op->op);
}

void broker_document_checker_add(struct broker *b, struct document_checker *checker)
{
    weir_assert(checker_of(b, checker->kind) == NULL);
    list_push(&b->documents.checkers, &checker->link);
}

void broker_document_checker_remove(struct document_checker *checker)
{
    list_remove(&checker->link);
}

/* ---- delete ---- */

static void delete_run(struct broker *b, struct op *base)
{
    struct document_delete_op *op = container_of(base, struct document_delete_op, op);
    if (waits(b, base))
        return;
    const struct document *old = documents_find(&b->documents, op->kind, op->name);
    if (old == NULL) {
        err_say(&op->text, ERR_NOT_FOUND, "there is no %s %.*s", document_spec(op->kind)->name,
                (int)op->name.len, op->name.at);
        op_finish(b, base, ERR_NOT_FOUND);
        return;
    }
    struct document_catalog *c = b->document_catalog;
    change_start(c, entry_find(c, &old->id), NULL, base, op->name, NULL);
}

void broker_document_delete(struct broker *b, struct document_delete_op *op)
{
    weir_assert(op->kind < DOCUMENT_KINDS);
    op->text.s[0] = '\0';
    op->op.run = delete_run;
    if (access_refuses(b, &op->op, op->actor, ACCESS_CLUSTER, op->name, ACCESS_OWNER))
        return;
    op_submit(b, 0, &op->op);
}

/* ---- life ---- */

struct document_catalog *document_catalog_make(struct broker *b)
{
    struct document_catalog *c = mem_zalloc(1, sizeof(*c));
    c->broker = b;
    map_init(&c->by_id);
    op_queue_init(&c->waiting);
    return c;
}

void document_catalog_free(struct document_catalog *c)
{
    if (c == NULL)
        return;
    for (struct map_node *n = map_next(&c->by_id, NULL), *next; n != NULL; n = next) {
        struct document_entry *e = container_of(n, struct document_entry, node);
        next = map_next(&c->by_id, n);
        document_unref(e->d);
        mem_free(e);
    }
    map_free(&c->by_id);
    mem_free(c);
}

void document_catalog_each(struct document_catalog *c,
                           void (*fn)(void *arg, const struct document *d), void *arg)
{
    for (struct map_node *n = map_next(&c->by_id, NULL); n != NULL; n = map_next(&c->by_id, n)) {
        const struct document *d = container_of(n, struct document_entry, node)->d;
        if (d != NULL)
            fn(arg, d);
    }
}
