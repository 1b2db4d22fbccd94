/* Describing, listing and deleting groups. */
#include "broker/group_internal.h"

#include "base/mem.h"
#include "broker/spread.h"

#include <stdlib.h>
#include <string.h>

/* ---- describe ----------------------------------------------------------------------------------
 */

static bool describe_member(struct group_describe_op *d, const struct group *g,
                            const struct group_member *m, struct group_member_desc *out)
{
    bool stable = g->state == GROUP_STABLE;
    struct str none = STR_LIT("");
    return group_out_str(&d->op, m->id, &out->member_id) &&
           group_out_str(&d->op, m->instance_id, &out->instance_id) &&
           group_out_str(&d->op, m->client_id, &out->client_id) &&
           group_out_str(&d->op, m->client_host, &out->client_host) &&
           group_out_str(&d->op, stable ? group_member_metadata(m, g->protocol) : none,
                         &out->metadata) &&
           group_out_str(&d->op, m->assignment.at != NULL ? m->assignment : none, &out->assignment);
}

/* Protocol and metadata are told of a stable generation only, as Kafka does. */
static bool describe(struct group_describe_op *d, const struct group *g)
{
    struct str none = STR_LIT("");
    struct group_member_desc *members = arena_zalloc(&d->call.out, g->members_n, sizeof(*members));
    if (members == NULL)
        return false;
    d->state = group_state_text(g->state);
    d->generation = g->generation;
    d->members = members;
    list_for (it, &g->members) {
        if (!describe_member(d, g, group_member_of(it), &members[d->members_n++]))
            return false;
    }
    bool protocol = g->state == GROUP_STABLE && g->protocol.at != NULL;
    return group_out_str(&d->op, g->protocol_type.at != NULL ? g->protocol_type : none,
                         &d->protocol_type) &&
           group_out_str(&d->op, protocol ? g->protocol : none, &d->protocol);
}

static void describe_run(struct groups *groups, struct op *op)
{
    struct group_describe_op *d = container_of(op, struct group_describe_op, op);
    const struct group *g = groups_find(groups, d->group);
    d->state = "Dead";
    d->protocol_type = d->protocol = STR_LIT("");
    d->generation = -1;
    d->members = NULL;
    d->members_n = 0;
    if (g == NULL)
        group_answer(groups, op, ERR_GROUP_UNKNOWN);
    else
        group_answer(groups, op, describe(d, g) ? ERR_OK : ERR_MEMORY);
}

void broker_group_describe(struct broker *b, struct group_describe_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_ANY))
        return;
    group_submit(b, op->group, &op->op, describe_run);
}

/* ---- list --------------------------------------------------------------------------------------
 */

#define LIST_BYTES_MAX ((size_t)256 << 20) /* of one reactor's groups */

/* Each reactor fills its part with what the caller may see; where the op came from they are put
 * together. */
struct group_list_part {
    struct arena memory;
    struct group_listing *listings;
    size_t n;
};

struct group_list {
    struct spread spread;
    struct group_list_op *op;
    struct group_list_part parts[BROKER_REACTORS_MAX];
};

static bool list_str(struct arena *a, struct str s, struct str *out)
{
    char *p = arena_alloc(a, s.len);
    if (p == NULL)
        return false;
    if (s.len != 0)
        memcpy(p, s.at, s.len);
    *out = (struct str){p, s.len};
    return true;
}

static enum err list_part(const struct groups *groups, const struct actor *actor,
                          struct group_list_part *part)
{
    arena_init(&part->memory, LIST_BYTES_MAX);
    part->listings = arena_zalloc(&part->memory, groups->by_name.count, sizeof(*part->listings));
    if (part->listings == NULL)
        return ERR_MEMORY;
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g)) {
        if (access_roles(groups->broker, actor, ACCESS_GROUP, g->name) == 0)
            continue;
        struct group_listing *l = &part->listings[part->n++];
        l->state = group_state_text(g->state);
        if (!list_str(&part->memory, g->name, &l->group) ||
            !list_str(&part->memory, g->protocol_type, &l->protocol_type))
            return ERR_MEMORY;
    }
    return ERR_OK;
}

static void list_step(struct broker *b, struct spread_part *part)
{
    struct group_list *list = container_of(part->spread, struct group_list, spread);
    bool loaded = b->groups != NULL && b->groups->loaded;
    spread_answer(b, part,
                  loaded ? list_part(b->groups, list->op->actor, &list->parts[b->env->reactor])
                         : ERR_COORDINATOR_LOADING);
}

static int listing_order(const void *a, const void *b)
{
    const struct group_listing *x = a, *y = b;
    size_t n = x->group.len < y->group.len ? x->group.len : y->group.len;
    int order = memcmp(x->group.at, y->group.at, n);
    if (order != 0)
        return order;
    return (x->group.len > y->group.len) - (x->group.len < y->group.len);
}

static struct group_listing *list_join(const struct group_list *list, size_t *n)
{
    *n = 0;
    for (unsigned i = 0; i < BROKER_REACTORS_MAX; i++)
        *n += list->parts[i].n;
    struct group_listing *all = mem_alloc(*n * sizeof(*all));
    size_t at = 0;
    for (unsigned i = 0; i < BROKER_REACTORS_MAX; i++) {
        const struct group_list_part *part = &list->parts[i];
        if (part->n != 0)
            memcpy(all + at, part->listings, part->n * sizeof(*all));
        at += part->n;
    }
    if (*n > 1)
        qsort(all, *n, sizeof(*all), listing_order);
    return all;
}

static void list_done(struct spread *spread, struct broker *b, enum err err)
{
    (void)b;
    struct group_list *list = container_of(spread, struct group_list, spread);
    struct group_list_op *op = list->op;
    struct group_listing *all = NULL;
    op->groups_n = 0;
    if (err == ERR_OK)
        all = list_join(list, &op->groups_n);
    op->groups = all;
    op->op.err = err;
    op->op.done(&op->op);
    mem_free(all);
    for (unsigned i = 0; i < BROKER_REACTORS_MAX; i++)
        arena_free(&list->parts[i].memory);
    mem_free(list);
}

void broker_group_list(struct broker *b, struct group_list_op *op)
{
    struct group_list *list = mem_zalloc(1, sizeof(*list));
    list->op = op;
    list->spread.step = list_step;
    list->spread.done = list_done;
    spread_start(b, &list->spread);
}

/* ---- delete ------------------------------------------------------------------------------------
 */

/* What was written before is done before: all that memory holds now is what the records removed.
 * Someone may have joined meanwhile; that group is a new one. */
static void deleted(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    if (err == ERR_OK) {
        group_charge(g, 0, g->offsets.bytes);
        offsets_free(&g->offsets);
        offsets_init(&g->offsets);
        group_keep_drop(g);
        g->stored = false;
    }
    if (err == ERR_OK && g->state == GROUP_EMPTY) {
        group_str_drop(&g->protocol_type);
        g->generation = 0;
        g->state_ms = -1;
    }
    group_answer(g->groups, w->op, group_write_error(err));
}

static bool being_deleted(const struct group *g)
{
    list_for (it, &g->writes) {
        if (container_of(it, struct group_write, link)->done == deleted)
            return true;
    }
    return false;
}

/* Also of the commits that are on their way. */
static void write_offsets_gone(struct group_write *w)
{
    struct group *g = w->group;
    for (struct offsets_topic *t = offsets_next(&g->offsets, NULL); t != NULL;
         t = offsets_next(&g->offsets, t)) {
        for (size_t i = 0; i < t->n; i++)
            group_write_offset_gone(w, t->name, t->entries[i].partition);
    }
    list_for (it, &g->writes) {
        size_t n;
        const struct group_offset *o =
            group_write_offsets(container_of(it, struct group_write, link), &n);
        for (size_t i = 0; i < n; i++) {
            if (o[i].err == ERR_OK)
                group_write_offset_gone(w, o[i].topic, o[i].partition);
        }
    }
}

static void delete_run(struct groups *groups, struct op *op)
{
    struct group_delete_op *d = container_of(op, struct group_delete_op, op);
    struct group *g = groups_find(groups, d->group);
    if (g == NULL || being_deleted(g)) {
        group_answer(groups, op, ERR_GROUP_UNKNOWN);
        return;
    }
    if (g->state != GROUP_EMPTY) {
        group_answer(groups, op, ERR_GROUP_NOT_EMPTY);
        return;
    }
    while (!list_empty(&g->pending))
        group_pending_remove(container_of(g->pending.next, struct group_pending, link));
    struct group_write *w = group_write_make(g, deleted);
    w->op = op;
    write_offsets_gone(w);
    group_write_group_gone(w);
    group_write_submit(w);
}

void broker_group_delete(struct broker *b, struct group_delete_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_OWNER))
        return;
    group_submit(b, op->group, &op->op, delete_run);
}
