/* api_grant.c: the kind AccessGrant. Who may change one, the Owner of what it is on, sees it. */
#include "front/http/api.h"

#include "broker/access_resource.h"

struct grant_item {
    struct access_op op;
    struct api_item *item;
};

/* ---- seeing --------------------------------------------------------------------------------- */

static bool sees(struct http_request *rq, const struct access_item *item)
{
    return api_owns(rq, item->grant.kind, str_of(item->grant.on)) ||
           api_owns(rq, ACCESS_CLUSTER, STR_LIT(""));
}

const void *api_grant_find(struct http_request *rq, struct str name)
{
    const struct access_item *item = access_find(rq->broker, ACCESS_GRANT, name);
    return item && sees(rq, item) ? item : NULL;
}

const void *api_grant_next(struct http_request *rq, const void *after)
{
    const struct access_item *item = access_next(rq->broker, ACCESS_GRANT, after);
    while (item && !sees(rq, item))
        item = access_next(rq->broker, ACCESS_GRANT, item);
    return item;
}

struct str api_grant_name(struct http_request *rq, const void *thing)
{
    (void)rq;
    return str_of(((const struct access_item *)thing)->name);
}

json_t *api_grant_show(struct http_request *rq, const void *thing)
{
    const struct access_item *item = thing;
    struct grant_spec spec;
    if (grant_spec_of(&item->grant, &rq->arena, &spec))
        return NULL;
    json_t *json = spec_write(&grant_kind, &spec, false);
    json_t *document = spec_write_document(&grant_kind, str_of(item->name), NULL, json);
    json_decref(json);
    return document;
}

/* ---- apply, delete -------------------------------------------------------------------------- */

static void done(struct op *base)
{
    struct grant_item *gi = container_of(base, struct grant_item, op.op);
    struct api_item *item = gi->item;
    item->text = gi->op.text;
    access_unref(gi->op.item);
    if (item->remove)
        api_done(item, base->err);
    else
        api_done_put(item, base->err, gi->op.created, gi->op.changed);
}

static struct grant_item *make(struct api_item *item, enum access_act act)
{
    struct grant_item *gi = http_alloc(item->rq, 1, sizeof *gi);
    item->result = "deleted";
    if (!gi) {
        api_done(item, ERR_MEMORY);
        return NULL;
    }
    gi->item = item;
    gi->op = (struct access_op){.op.done = done,
                                .actor = &item->rq->actor,
                                .what = ACCESS_GRANT,
                                .act = act,
                                .name = item->name,
                                .validate_only = item->dry_run};
    return gi;
}

void api_grant_apply(struct api_item *item)
{
    struct http_request *rq = item->rq;
    const struct access_item *was = api_grant_find(rq, item->name);
    struct grant_spec before;
    struct grant_item *gi = make(item, ACCESS_PUT);
    if (!gi)
        return;
    if (was && grant_spec_of(&was->grant, &rq->arena, &before)) {
        api_done(item, ERR_MEMORY);
        return;
    }
    grant_spec_grant(item->spec, &gi->op.grant);
    if (!was || !spec_equal(&grant_kind, &before, item->spec))
        item->changes = spec_changes(&grant_kind, was ? &before : NULL, item->spec);
    broker_access_change(rq->broker, &gi->op);
}

void api_grant_remove(struct api_item *item)
{
    struct grant_item *gi = make(item, ACCESS_DELETE);
    if (gi)
        broker_access_change(item->rq->broker, &gi->op);
}
