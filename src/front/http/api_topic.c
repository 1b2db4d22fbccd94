/* api_topic.c: the kind Topic. */
#include "front/http/api.h"

#include "broker/access.h"
#include "broker/topic_resource.h"

#include <string.h>

union topic_op {
    struct topic_create_op create;
    struct topic_configure_op configure;
    struct topic_delete_op remove;
};

struct topic_item {
    union topic_op op;
    struct access_op keys;
    struct api_item *item;
    bool created, changed;
};

/* ---- seeing --------------------------------------------------------------------------------- */

static bool sees(struct http_request *rq, const struct topic *t)
{
    return !t->internal && access_roles(rq->broker, &rq->actor, ACCESS_TOPIC, str_of(t->name)) != 0;
}

const void *api_topic_find(struct http_request *rq, struct str name)
{
    const struct topic *t = broker_topic(rq->broker, name);
    return t && sees(rq, t) ? t : NULL;
}

const void *api_topic_next(struct http_request *rq, const void *after)
{
    const struct topic *t = broker_topic_next(rq->broker, after);
    while (t && !sees(rq, t))
        t = broker_topic_next(rq->broker, t);
    return t;
}

struct str api_topic_name(struct http_request *rq, const void *thing)
{
    (void)rq;
    return str_of(((const struct topic *)thing)->name);
}

json_t *api_topic_show(struct http_request *rq, const void *thing)
{
    const struct topic *t = thing;
    struct topic_spec spec;
    if (topic_spec_of(t, &rq->arena, &spec))
        return NULL;
    json_t *json = spec_write(&topic_kind, &spec, false);
    json_t *document = spec_write_document(&topic_kind, str_of(t->name), NULL, json);
    json_decref(json);
    json_object_set_new(document, "status", api_status(t->id, t->created_ms));
    return document;
}

/* ---- access keys ---------------------------------------------------------------------------- */

static void finish(struct topic_item *ti, enum err err)
{
    api_done_put(ti->item, err, ti->created, ti->changed);
}

static void keys_done(struct op *base)
{
    struct topic_item *ti = container_of(base, struct topic_item, keys.op);
    ti->changed |= ti->keys.changed;
    ti->item->text = ti->keys.text;
    access_unref(ti->keys.item);
    finish(ti, base->err);
}

/* Keys that the document says; without `keys` in it they stay as they are. */
static void put_keys(struct topic_item *ti)
{
    struct api_item *item = ti->item;
    const struct topic_spec *spec = item->spec;
    bool said = json_is_object(json_object_get(item->doc->spec, "keys"));
    if (!said || (item->dry_run && ti->created)) {
        finish(ti, ERR_OK);
        return;
    }
    ti->keys = (struct access_op){.op.done = keys_done,
                                  .actor = &item->rq->actor,
                                  .what = ACCESS_KEYS,
                                  .act = ACCESS_PUT,
                                  .name = item->name,
                                  .validate_only = item->dry_run,
                                  .keys = {spec->keys[0], spec->keys[1]}};
    broker_access_change(item->rq->broker, &ti->keys);
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void topic_done(struct topic_item *ti, enum err err, const struct err_text *text)
{
    ti->item->text = *text;
    if (err == ERR_PARTITIONS_INVALID)
        api_blame(ti->item, "spec.partitions");
    if (err)
        finish(ti, err);
    else
        put_keys(ti);
}

static void create_done(struct op *base)
{
    struct topic_item *ti = container_of(base, struct topic_item, op.create.op);
    topic_unref(ti->op.create.topic);
    ti->created = true;
    topic_done(ti, base->err, &ti->op.create.text);
}

static void configure_done(struct op *base)
{
    struct topic_item *ti = container_of(base, struct topic_item, op.configure.op);
    ti->changed = true;
    topic_done(ti, base->err, &ti->op.configure.text);
}

static void create(struct topic_item *ti, const struct topic_setting *settings, size_t n)
{
    struct api_item *item = ti->item;
    const struct topic_spec *spec = item->spec;
    ti->op.create =
        (struct topic_create_op){.op.done = create_done,
                                 .actor = &item->rq->actor,
                                 .name = item->name,
                                 .partitions = spec->partitions ? (int32_t)spec->partitions : -1,
                                 .replication = 1,
                                 .settings = settings,
                                 .settings_n = n,
                                 .validate_only = item->dry_run};
    broker_topic_create(item->rq->broker, &ti->op.create);
}

static void configure(struct topic_item *ti, const struct topic_setting *settings, size_t n)
{
    struct api_item *item = ti->item;
    const struct topic_spec *spec = item->spec;
    ti->op.configure = (struct topic_configure_op){.op.done = configure_done,
                                                   .actor = &item->rq->actor,
                                                   .name = item->name,
                                                   .partitions = (int32_t)spec->partitions,
                                                   .settings = settings,
                                                   .settings_n = n,
                                                   .replace = true,
                                                   .validate_only = item->dry_run};
    broker_topic_configure(item->rq->broker, &ti->op.configure);
}

/* What differs from the topic that is there, if there is one and the caller may see it. Keys are
 * not compared: nobody is told whether a key is right. */
static enum err compare(struct api_item *item, const struct topic *t, bool *same)
{
    struct topic_spec was, now = *(struct topic_spec *)item->spec;
    enum err err = t ? topic_spec_of(t, &item->rq->arena, &was) : ERR_OK;
    if (err)
        return err;
    now.keys[0] = now.keys[1] = (struct str){NULL, 0};
    if (t && now.partitions == 0)
        now.partitions = was.partitions;
    *same = t && spec_equal(&topic_kind, &was, &now);
    item->changes = *same ? NULL : spec_changes(&topic_kind, t ? &was : NULL, &now);
    return ERR_OK;
}

void api_topic_apply(struct api_item *item)
{
    struct http_request *rq = item->rq;
    const struct topic *t = broker_topic(rq->broker, item->name);
    struct topic_item *ti = http_alloc(rq, 1, sizeof *ti);
    size_t n = 0;
    bool same = false;
    const struct topic_setting *settings =
        ti ? topic_spec_settings(item->spec, &rq->arena, &n) : NULL;
    enum err err =
        settings ? access_check(rq->broker, &rq->actor, ACCESS_TOPIC, item->name, ACCESS_OWNER)
                 : ERR_MEMORY;
    if (!err)
        err = compare(item, t, &same);
    if (err) {
        api_done(item, err);
        return;
    }
    ti->item = item;
    if (same)
        put_keys(ti);
    else if (t)
        configure(ti, settings, n);
    else
        create(ti, settings, n);
}

/* ---- delete --------------------------------------------------------------------------------- */

static void remove_done(struct op *base)
{
    struct topic_item *ti = container_of(base, struct topic_item, op.remove.op);
    topic_unref(ti->op.remove.topic);
    ti->item->text = ti->op.remove.text;
    ti->item->result = "deleted";
    api_done(ti->item, base->err);
}

void api_topic_remove(struct api_item *item)
{
    struct http_request *rq = item->rq;
    struct topic_item *ti = http_alloc(rq, 1, sizeof *ti);
    if (!ti) {
        api_done(item, ERR_MEMORY);
        return;
    }
    item->result = "deleted";
    if (item->dry_run) {
        api_done(item, api_topic_find(rq, item->name) ? ERR_OK : ERR_TOPIC_UNKNOWN);
        return;
    }
    ti->item = item;
    ti->op.remove =
        (struct topic_delete_op){.op.done = remove_done, .actor = &rq->actor, .name = item->name};
    broker_topic_delete(rq->broker, &ti->op.remove);
}
