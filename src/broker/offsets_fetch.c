/* OffsetFetch for one group: what has been committed, as far as it is durable. Nothing is ever
 * pending here (there are no transactions over offsets), so require_stable asks for what is so. */
#include "broker/group_internal.h"

static struct group_fetch_op *fetch_of(struct op *op)
{
    return container_of(op, struct group_fetch_op, op);
}

static bool may_see(struct groups *groups, const struct group_fetch_op *f, struct str topic)
{
    return access_roles(groups->broker, f->actor, ACCESS_TOPIC, topic) != 0;
}

/* Offsets of a topic that was deleted are not told, also while they are still being dropped. */
static const struct topic *present(struct groups *groups, const struct offsets_topic *t)
{
    const struct topic *now = broker_topic(groups->broker, t->name);
    return now != NULL && uuid_eq(now->id, t->id) ? now : NULL;
}

static bool fill(struct group_fetch_op *f, struct group_offset *o, const struct offsets_entry *e)
{
    o->partition = e->partition;
    o->offset = e->offset;
    o->leader_epoch = e->leader_epoch;
    o->commit_ms = e->commit_ms;
    o->metadata = STR_LIT("");
    return e->metadata.at == NULL || group_out_str(&f->op, e->metadata, &o->metadata);
}

static bool fetch_asked(struct groups *groups, const struct group *g, struct group_fetch_op *f)
{
    for (size_t i = 0; i < f->offsets_n; i++) {
        struct group_offset *o = &f->offsets[i];
        o->offset = o->leader_epoch = -1;
        o->metadata = STR_LIT("");
        if (o->err == ERR_OK && !may_see(groups, f, o->topic))
            o->err = ERR_TOPIC_DENIED;
        if (o->err != ERR_OK)
            continue;
        struct offsets_topic *t = g != NULL ? offsets_topic_find(&g->offsets, o->topic) : NULL;
        if (t == NULL || present(groups, t) == NULL)
            continue;
        o->topic_id = t->id;
        const struct offsets_entry *e = offsets_find(&g->offsets, o->topic, o->partition);
        if (e != NULL && !fill(f, o, e))
            return false;
    }
    return true;
}

static bool fill_topic(struct group_fetch_op *f, const struct offsets_topic *t)
{
    struct str name;
    if (!group_out_str(&f->op, t->name, &name))
        return false;
    for (size_t i = 0; i < t->n; i++) {
        struct group_offset *o = &f->offsets[f->offsets_n++];
        *o = (struct group_offset){.topic = name, .topic_id = t->id};
        if (!fill(f, o, &t->entries[i]))
            return false;
    }
    return true;
}

static bool fetch_all(struct groups *groups, const struct group *g, struct group_fetch_op *f)
{
    f->offsets = NULL;
    f->offsets_n = 0;
    if (g == NULL)
        return true;
    f->offsets = arena_zalloc(&f->call.out, g->offsets.count, sizeof(*f->offsets));
    if (f->offsets == NULL)
        return false;
    for (struct offsets_topic *t = offsets_next(&g->offsets, NULL); t != NULL;
         t = offsets_next(&g->offsets, t)) {
        if (present(groups, t) != NULL && may_see(groups, f, t->name) && !fill_topic(f, t))
            return false;
    }
    return true;
}

static void fetch_run(struct groups *groups, struct op *op)
{
    struct group_fetch_op *f = fetch_of(op);
    const struct group *g = groups_find(groups, f->group);
    bool ok = f->all ? fetch_all(groups, g, f) : fetch_asked(groups, g, f);
    group_answer(groups, op, ok ? ERR_OK : ERR_MEMORY);
}

void broker_group_fetch(struct broker *b, struct group_fetch_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_ANY))
        return;
    group_submit(b, op->group, &op->op, fetch_run);
}
