/* api_apply.c: POST /api/v1/apply and /api/v1/delete: all documents are read, then applied one
 * after the other.
 *
 *     read all --some are wrong--> 400, nothing is done
 *        |
 *     next --> item's verb --> done --> next ...  --> 200, or the status of the first that failed
 *
 * A verb may be done before it returns: the loop goes on instead of calling itself.
 */
#include "front/http/api.h"
#include "front/http/verbs.h"

#include "base/assert.h"

#include <stdlib.h>

struct apply {
    struct http_request *rq;
    struct spec_documents docs;
    struct api_item *items;
    struct api_item **order; /* in which they are applied */
    size_t n, next;
    bool running, waiting;
};

static struct apply *apply_of(struct api_item *item)
{
    return item->rq->state;
}

/* ---- answers -------------------------------------------------------------------------------- */

static json_t *row_of(struct api_item *item)
{
    json_t *row = item->err ? api_error(item) : json_object();
    json_object_set_new(row, "kind", json_string(item->kind->spec->name));
    json_object_set_new(row, "name", json_stringn(item->name.at, item->name.len));
    json_object_set_new(row, "result", json_string(item->err ? "failed" : item->result));
    if (item->changes && !item->err)
        json_object_set(row, "changes", item->changes);
    return row;
}

static void answer(struct apply *a)
{
    struct http_request *rq = a->rq;
    json_t *rows = json_array();
    int status = 200;
    bool dry_run = a->n && a->items[0].dry_run;
    for (size_t i = 0; i < a->n; i++) {
        struct api_item *item = &a->items[i];
        if (item->err && status == 200)
            status = err_http(item->err);
        json_array_append_new(rows, row_of(item));
        json_decref(item->changes);
    }
    spec_documents_free(&a->docs);
    http_answer_json(rq, status, json_pack("{s:b, s:o}", "dryRun", dry_run, "results", rows));
}

/* ---- one after the other -------------------------------------------------------------------- */

static void go(struct apply *a)
{
    if (a->running)
        return;
    a->running = true;
    while (!a->waiting && a->next < a->n) {
        struct api_item *item = a->order[a->next++];
        a->waiting = true;
        (item->remove ? item->kind->remove : item->kind->apply)(item);
    }
    a->running = false;
    if (!a->waiting)
        answer(a);
}

/* A dry run has not made the topics that come before: what asks for one of them is taken. */
static bool would_exist(const struct apply *a, const struct api_item *item)
{
    json_t *topic = json_object_get(item->doc->spec, "topic");
    struct str name = {json_string_value(topic), json_string_length(topic)};
    for (size_t i = 0; i + 1 < a->next && name.at; i++) {
        const struct api_item *before = a->order[i];
        if (!before->err && before->kind == &api_kinds[0] && str_eq(before->name, name))
            return true;
    }
    return false;
}

static void one_done(struct api_item *item)
{
    struct apply *a = apply_of(item);
    if (item->dry_run && item->err == ERR_TOPIC_UNKNOWN && would_exist(a, item)) {
        item->err = ERR_OK;
        item->result = item->remove ? "deleted" : "created";
    }
    a->waiting = false;
    go(a);
}

/* In the order of the table of kinds, for deletions backwards; documents of a kind as given. */
static int by_kind(const void *x, const void *y)
{
    const struct api_item *a = *(struct api_item *const *)x, *b = *(struct api_item *const *)y;
    if (a->kind != b->kind)
        return (a->kind < b->kind) != a->remove ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The name under which the kind's verbs know it. */
static enum err full_name(struct api_item *item)
{
    json_t *topic = json_object_get(item->doc->spec, "topic");
    if (!item->kind->named_below || !json_is_string(topic))
        return ERR_OK;
    size_t len = json_string_length(topic) + 1 + item->doc->name.len;
    char *name = http_alloc(item->rq, len + 1, 1);
    if (!name)
        return ERR_MEMORY;
    snprintf(name, len + 1, "%s/%s", json_string_value(topic), item->doc->name.at);
    item->name = (struct str){name, len};
    return ERR_OK;
}

static json_t *read_all(struct apply *a, bool remove, bool dry_run)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < a->n; i++) {
        struct api_item *item = &a->items[i];
        *item = (struct api_item){.rq = a->rq,
                                  .doc = &a->docs.at[i],
                                  .dry_run = dry_run,
                                  .remove = remove,
                                  .done = one_done};
        a->order[i] = item;
        item->err = api_item_read(item);
        if (!item->err)
            item->err = full_name(item);
        if (!item->err)
            continue;
        json_t *error = api_error(item);
        json_object_set_new(error, "document", json_integer((json_int_t)i));
        json_array_append_new(errors, error);
    }
    return errors;
}

static enum err take_dry_run(struct http_request *rq, bool *out)
{
    static const char *const names[] = {"dryRun", "file", NULL};
    struct err_text text = {""};
    struct str dry = http_query(rq, "dryRun");
    enum err err = http_query_only(rq, names, &text);
    *out = dry.at && !str_is(dry, "false");
    if (!err && dry.at && dry.len && !str_is(dry, "true") && !str_is(dry, "false"))
        err = err_say(&text, ERR_REQUEST_INVALID, "dryRun must be true or false");
    if (err)
        http_answer_error(rq, err, &text);
    return err;
}

static void run(struct http_request *rq, bool remove)
{
    struct apply *a = http_alloc(rq, 1, sizeof *a);
    bool dry_run;
    if (!a) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    a->rq = rq;
    if (take_dry_run(rq, &dry_run) || api_documents(rq, &a->docs))
        return;
    a->n = a->docs.n;
    a->items = http_alloc(rq, a->n, sizeof *a->items);
    a->order = http_alloc(rq, a->n, sizeof *a->order);
    if (!a->items || !a->order) {
        spec_documents_free(&a->docs);
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    json_t *errors = read_all(a, remove, dry_run);
    if (json_array_size(errors)) {
        spec_documents_free(&a->docs);
        api_answer_errors(rq, 400, errors);
        return;
    }
    json_decref(errors);
    qsort(a->order, a->n, sizeof *a->order, by_kind);
    rq->state = a;
    go(a);
}

void http_api_apply(struct http_request *rq)
{
    run(rq, false);
}

void http_api_delete(struct http_request *rq)
{
    run(rq, true);
}
