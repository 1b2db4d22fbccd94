/* The verbs that change topics: they check, and start a change of the catalog (catalog.h). One that
 * meets a change of the same name on its way waits for it and runs again.
 */
#include "broker/catalog_internal.h"

#include "broker/access.h"
#include "broker/topic_internal.h"

#include <inttypes.h>

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

/* Finds a topic that the actor may change. ERR_BUSY is never told: the op waits. */
static enum err find_to_change(struct broker *b, const struct actor *actor, struct str name,
                               struct catalog_entry **out, struct err_text *text)
{
    enum err err = check_loaded(b);
    if (err == ERR_OK)
        err = access_check(b, actor, ACCESS_TOPIC, name, ACCESS_OWNER);
    if (err != ERR_OK)
        return err;
    const struct topic *t = topics_find(&b->topics, name);
    if (t != NULL && t->internal)
        return err_say(text, ERR_TOPIC_INVALID, "topic %s is internal: it cannot be changed",
                       t->name);
    struct catalog_entry *e = catalog_find(b->catalog, name);
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

static void create_finish(struct catalog_change *ch, struct broker *b, enum err err)
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
    if (err == ERR_OK)
        err = access_check(b, op->actor, ACCESS_TOPIC, op->name, ACCESS_OWNER);
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
static enum err create_check_name(struct catalog *c, struct topic_create_op *op,
                                  struct catalog_entry **out)
{
    struct catalog_entry *e = catalog_find(c, op->name);
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
    struct catalog_entry *e = catalog_add(b->catalog, t);
    struct catalog_change *ch = catalog_change_make(b->catalog, e, NULL, t, &op->op, create_finish);
    catalog_change_open(ch, 0, t->partitions);
}

static void create_run(struct broker *b, struct op *base)
{
    struct topic_create_op *op = create_of(base);
    struct catalog_entry *e = NULL;
    enum err err = create_check(b, op);
    if (err == ERR_OK)
        err = create_check_name(b->catalog, op, &e);
    if (err == ERR_BUSY)
        catalog_wait(e, base);
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

static void delete_finish(struct catalog_change *ch, struct broker *b, enum err err)
{
    struct topic_delete_op *op = container_of(ch->op, struct topic_delete_op, op);
    if (err == ERR_OK)
        op->topic = topic_ref(ch->old);
    op_finish(b, ch->op, err);
}

static void delete_run(struct broker *b, struct op *base)
{
    struct topic_delete_op *op = container_of(base, struct topic_delete_op, op);
    struct catalog_entry *e = NULL;
    struct str name = op->name;
    if (name.at == NULL && b->loaded) {
        e = catalog_find_id(b->catalog, &op->id);
        const struct topic *t = topics_find_id(&b->topics, &op->id);
        if (e == NULL && t == NULL) {
            op_finish(b, base, ERR_TOPIC_ID_UNKNOWN);
            return;
        }
        name = str_of(e != NULL ? e->name : t->name);
    }
    enum err err = find_to_change(b, op->actor, name, &e, &op->text);
    if (err == ERR_BUSY) {
        catalog_wait(e, base);
    } else if (err != ERR_OK) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        catalog_change_write(catalog_change_make(b->catalog, e, old, NULL, base, delete_finish));
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

static void simple_finish(struct catalog_change *ch, struct broker *b, enum err err)
{
    op_finish(b, ch->op, err);
}

static enum err check_growth(struct broker *b, const struct catalog_entry *e, int32_t wanted,
                             struct err_text *text)
{
    int32_t has = e->topic->partitions;
    if (wanted <= has)
        return err_say(text, ERR_PARTITIONS_INVALID,
                       "topic %s has %d partitions: give a larger number than that, not %d",
                       e->name, has, wanted);
    return check_room(b->catalog, wanted - has, text);
}

static enum err grow_check(struct broker *b, struct topic_grow_op *op, struct catalog_entry **e)
{
    enum err err = find_to_change(b, op->actor, op->name, e, &op->text);
    return err == ERR_OK ? check_growth(b, *e, op->partitions, &op->text) : err;
}

/* Of more partitions than it had. */
static void start_growth(struct broker *b, struct catalog_entry *e, const struct topic *old,
                         struct topic *now, struct op *base)
{
    now->generation++;
    catalog_change_open(catalog_change_make(b->catalog, e, old, now, base, simple_finish),
                        old->partitions, now->partitions);
}

static void grow_run(struct broker *b, struct op *base)
{
    struct topic_grow_op *op = container_of(base, struct topic_grow_op, op);
    struct catalog_entry *e = NULL;
    enum err err = grow_check(b, op, &e);
    if (err == ERR_BUSY) {
        catalog_wait(e, base);
    } else if (err != ERR_OK || op->validate_only) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        struct topic *now = topic_copy(old);
        now->partitions = op->partitions;
        start_growth(b, e, old, now, base);
    }
}

void broker_topic_grow(struct broker *b, struct topic_grow_op *op)
{
    op->text.s[0] = '\0';
    op->op.run = grow_run;
    op_submit(b, 0, &op->op);
}

/* configure */

static enum err configure_check(struct broker *b, struct topic_configure_op *op,
                                struct catalog_entry **e, struct topic_conf *conf)
{
    enum err err = find_to_change(b, op->actor, op->name, e, &op->text);
    if (err != ERR_OK)
        return err;
    if (op->replace)
        topic_conf_default(conf);
    else
        *conf = (*e)->topic->conf;
    err = apply_settings(conf, op->settings, op->settings_n, &op->text);
    if (err == ERR_OK && op->partitions != 0 && op->partitions != (*e)->topic->partitions)
        err = check_growth(b, *e, op->partitions, &op->text);
    return err;
}

static void configure_run(struct broker *b, struct op *base)
{
    struct topic_configure_op *op = container_of(base, struct topic_configure_op, op);
    struct catalog_entry *e = NULL;
    struct topic_conf conf;
    enum err err = configure_check(b, op, &e, &conf);
    if (err == ERR_BUSY) {
        catalog_wait(e, base);
    } else if (err != ERR_OK || op->validate_only) {
        op_finish(b, base, err);
    } else {
        const struct topic *old = topic_ref(e->topic);
        struct topic *now = topic_copy(old);
        now->conf = conf;
        if (op->partitions > old->partitions) {
            now->partitions = op->partitions;
            start_growth(b, e, old, now, base);
            return;
        }
        catalog_change_write(catalog_change_make(b->catalog, e, old, now, base, simple_finish));
    }
}

void broker_topic_configure(struct broker *b, struct topic_configure_op *op)
{
    op->text.s[0] = '\0';
    op->op.run = configure_run;
    op_submit(b, 0, &op->op);
}
