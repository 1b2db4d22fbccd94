/* Offsets that are ahead of their log.
 *
 * A topic that is not flushed before it acknowledges (weir.flush other than each) loses its tail at
 * a power cut, while a commit of an offset in that tail is on disk. Left alone, that offset would
 * let its consumer skip what is written there next. So before anything is served each offset of
 * such a topic is compared with the log's end, set to it where it is beyond, and written so.
 * Offsets of other topics cannot be ahead by a crash; what a client committed there stays as it is.
 */
#include "broker/group_internal.h"

#include "base/mem.h"

struct clamp_all {
    struct groups *groups;
    size_t left;
    void (*done)(void *arg, enum err err);
    void *arg;
};

struct clamp {
    struct list_op op;
    struct clamp_all *all;
    struct str group, topic; /* owned */
};

static void clamp_less(struct clamp_all *all)
{
    if (--all->left != 0)
        return;
    all->done(all->arg, ERR_OK);
    mem_free(all);
}

static void clamp_stored(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    if (err != ERR_OK)
        env_log(g->groups->env, ENV_WARN, "offsets.clamp", "group=%s error=%s",
                group_text(g->name).s, err_name(err));
}

static void clamp_offset(struct groups *groups, const struct clamp *c)
{
    struct group *g = groups_find(groups, c->group);
    const struct offsets_entry *e =
        g != NULL ? offsets_find(&g->offsets, c->topic, c->op.partition) : NULL;
    if (e == NULL || e->offset <= c->op.offset)
        return;
    env_log(groups->env, ENV_WARN, "offsets.clamp",
            "group=%s topic=%.*s partition=%d offset=%lld end=%lld", group_text(c->group).s,
            (int)c->topic.len, c->topic.at, e->partition, (long long)e->offset,
            (long long)c->op.offset);
    struct offsets_entry now = *e;
    now.offset = c->op.offset;
    struct group_write *w = group_write_make(g, clamp_stored);
    group_write_offset(w, c->topic, &now);
    offsets_set(&g->offsets, c->topic, &c->op.topic, &now);
    group_write_submit(w);
}

static void end_found(struct op *op)
{
    struct clamp *c = container_of(op, struct clamp, op.op);
    struct clamp_all *all = c->all;
    groups_begin(all->groups);
    if (op->err == ERR_OK)
        clamp_offset(all->groups, c);
    groups_end(all->groups);
    group_str_drop(&c->group);
    group_str_drop(&c->topic);
    mem_free(c);
    clamp_less(all);
}

static void clamp_topic(struct clamp_all *all, const struct group *g, const struct offsets_topic *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct clamp *c = mem_zalloc(1, sizeof(*c));
        c->all = all;
        c->group = group_str_keep(g->name);
        c->topic = group_str_keep(t->name);
        c->op = (struct list_op){.op.done = end_found,
                                 .topic = t->id,
                                 .partition = t->entries[i].partition,
                                 .timestamp = LIST_LATEST,
                                 .leader_epoch = -1};
        all->left++;
        broker_list_offset(all->groups->broker, &c->op);
    }
}

static bool may_be_ahead(struct groups *groups, const struct offsets_topic *t)
{
    const struct topic *now = broker_topic(groups->broker, t->name);
    return now != NULL && uuid_eq(now->id, t->id) && now->conf.flush != STORE_FLUSH_EACH;
}

/* An answer at once changes entries in place only, so the walk goes on. */
void groups_clamp(struct groups *groups, void (*done)(void *arg, enum err err), void *arg)
{
    struct clamp_all *all = mem_zalloc(1, sizeof(*all));
    *all = (struct clamp_all){.groups = groups, .left = 1, .done = done, .arg = arg};
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g)) {
        for (struct offsets_topic *t = offsets_next(&g->offsets, NULL); t != NULL;
             t = offsets_next(&g->offsets, t)) {
            if (may_be_ahead(groups, t))
                clamp_topic(all, g, t);
        }
    }
    clamp_less(all);
}
