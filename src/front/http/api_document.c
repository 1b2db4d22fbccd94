/* api_document.c: the kinds Function and Model. They are the cluster Owner's, who alone sees them,
 * too: their commands, variables and addresses are nobody else's business. */
#include "front/http/api.h"

#include "broker/document.h"

#include <string.h>

struct document_item {
    union {
        struct document_put_op put;
        struct document_delete_op remove;
    } op;
    struct api_item *item;
};

/* ---- seeing --------------------------------------------------------------------------------- */

static bool sees(struct http_request *rq)
{
    return api_owns(rq, ACCESS_CLUSTER, STR_LIT(""));
}

static const void *find(struct http_request *rq, enum document_kind kind, struct str name)
{
    return sees(rq) ? broker_document(rq->broker, kind, name) : NULL;
}

static const void *next(struct http_request *rq, enum document_kind kind, const void *after)
{
    return sees(rq) ? broker_document_next(rq->broker, kind, after) : NULL;
}

static struct str name_of(const struct document *d)
{
    return str_of(d->name);
}

static json_t *show(const struct document *d)
{
    const struct api_kind *kind = api_kind_of_plural(str_of(document_spec(d->kind)->plural));
    return api_document(kind, str_of(d->name), &d->conf, api_status(d->id, d->created_ms));
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void put_done(struct op *base)
{
    struct document_item *di = container_of(base, struct document_item, op.put.op);
    struct api_item *item = di->item;
    item->text = di->op.put.text;
    if (base->err == ERR_POLICY)
        api_blame(item, "spec.command");
    document_unref(di->op.put.document);
    api_done_put(item, base->err, di->op.put.created, di->op.put.changed);
}

static void apply(struct api_item *item, enum document_kind kind)
{
    struct http_request *rq = item->rq;
    struct document_item *di = http_alloc(rq, 1, sizeof *di);
    const struct document *was = find(rq, kind, item->doc->name);
    if (!di) {
        api_done(item, ERR_MEMORY);
        return;
    }
    if (!was || !spec_equal(item->kind->spec, &was->conf, item->spec))
        item->changes = spec_changes(item->kind->spec, was ? &was->conf : NULL, item->spec);
    di->item = item;
    di->op.put = (struct document_put_op){.op.done = put_done,
                                          .actor = &rq->actor,
                                          .kind = kind,
                                          .name = item->doc->name,
                                          .conf = item->spec,
                                          .validate_only = item->dry_run};
    broker_document_put(rq->broker, &di->op.put);
}

/* ---- delete --------------------------------------------------------------------------------- */

static void remove_done(struct op *base)
{
    struct document_item *di = container_of(base, struct document_item, op.remove.op);
    di->item->text = di->op.remove.text;
    api_done(di->item, base->err);
}

/* Who may not see it is told that, rather than that there is none. */
static void withdraw(struct api_item *item, enum document_kind kind)
{
    struct http_request *rq = item->rq;
    struct document_item *di = http_alloc(rq, 1, sizeof *di);
    bool there = find(rq, kind, item->name) != NULL;
    item->result = "deleted";
    if (!di || (item->dry_run && sees(rq))) {
        api_done(item, !di ? ERR_MEMORY : there ? ERR_OK : ERR_NOT_FOUND);
        return;
    }
    di->item = item;
    di->op.remove = (struct document_delete_op){
        .op.done = remove_done, .actor = &rq->actor, .kind = kind, .name = item->name};
    broker_document_delete(rq->broker, &di->op.remove);
}

/* ---- the verbs of both ---------------------------------------------------------------------- */

#define KIND(word, kind)                                                                           \
    void api_##word##_apply(struct api_item *item)                                                 \
    {                                                                                              \
        apply(item, kind);                                                                         \
    }                                                                                              \
    void api_##word##_remove(struct api_item *item)                                                \
    {                                                                                              \
        withdraw(item, kind);                                                                      \
    }                                                                                              \
    const void *api_##word##_find(struct http_request *rq, struct str name)                        \
    {                                                                                              \
        return find(rq, kind, name);                                                               \
    }                                                                                              \
    const void *api_##word##_next(struct http_request *rq, const void *after)                      \
    {                                                                                              \
        return next(rq, kind, after);                                                              \
    }                                                                                              \
    json_t *api_##word##_show(struct http_request *rq, const void *thing)                          \
    {                                                                                              \
        (void)rq;                                                                                  \
        return show(thing);                                                                        \
    }                                                                                              \
    struct str api_##word##_name(struct http_request *rq, const void *thing)                       \
    {                                                                                              \
        (void)rq;                                                                                  \
        return name_of(thing);                                                                     \
    }

KIND(function, DOCUMENT_FUNCTION)
KIND(model, DOCUMENT_MODEL)
