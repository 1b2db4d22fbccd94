/* api_resource.c: GET, PUT and DELETE of one resource, GET of a page of them, and the schema. */
#include "front/http/api.h"
#include "front/http/verbs.h"

#include <stdio.h>
#include <string.h>

/* One resource that is put or deleted. */
struct one {
    struct api_item item;
    struct spec_documents docs;
};

/* ---- names ---------------------------------------------------------------------------------- */

/* The kind of /api/v1/{}/...; NULL: answered. */
static const struct api_kind *kind_of(struct http_request *rq)
{
    const struct api_kind *kind = api_kind_of_plural(rq->params[0]);
    struct str_nearest near;
    if (kind && kind->named_below == (rq->params_n == 3))
        return kind;
    str_nearest_init(&near, rq->params[0]);
    for (size_t i = 0; i < api_kinds_n; i++)
        str_nearest_offer(&near, str_of(api_kinds[i].spec->plural));
    if (kind)
        http_answer_problem(rq, 404, "NOT_FOUND", "a %s is at /api/v1/%s/%s", kind->spec->name,
                            kind->spec->plural, kind->named_below ? "TOPIC/NAME" : "NAME");
    else
        http_answer_problem(rq, 404, "NOT_FOUND", "there is no such kind%s%s%s",
                            near.best.at ? "; did you mean " : "", near.best.at ? near.best.at : "",
                            near.best.at ? "?" : "");
    return NULL;
}

/* "orders/fraud" of the path's last two parts, or its last; at NULL: no memory. */
static struct str name_of(struct http_request *rq)
{
    struct str above = rq->params[1], below = rq->params[2];
    if (rq->params_n < 3)
        return above;
    size_t len = above.len + 1 + below.len;
    char *name = http_alloc(rq, len + 1, 1);
    if (!name)
        return (struct str){NULL, 0};
    memcpy(name, above.at, above.len);
    name[above.len] = '/';
    memcpy(name + above.len + 1, below.at, below.len);
    return (struct str){name, len};
}

/* ---- GET ------------------------------------------------------------------------------------ */

/* What is answered, once all is known of it: the request's state from then on. */
struct shown {
    const struct api_kind *kind;
    json_t *documents; /* an array */
    int status;
    bool page; /* of them; else it is one */
    bool more; /* behind `last` */
    struct str last;
};

static void answer_yaml(struct http_request *rq, const struct shown *shown)
{
    struct wr w;
    size_t i;
    json_t *document;
    wr_init(&w, 0);
    json_array_foreach(shown->documents, i, document) spec_put_yaml(document, &w);
    http_answer_written(rq, shown->status, "application/yaml", &w);
}

static void answer_json(struct http_request *rq, const struct shown *shown)
{
    char list[64];
    if (!shown->page) {
        http_answer_json(rq, shown->status, json_incref(json_array_get(shown->documents, 0)));
        return;
    }
    json_t *next = shown->more ? json_stringn(shown->last.at, shown->last.len) : json_null();
    snprintf(list, sizeof list, "%sList", shown->kind->spec->name);
    http_answer_json(rq, shown->status,
                     json_pack("{s:s, s:s, s:O, s:o}", "apiVersion", SPEC_API_VERSION, "kind", list,
                               "items", shown->documents, "next", next));
}

/* The request, and `shown` with it, may be gone behind the answer. */
static void answer_shown(struct http_request *rq)
{
    const struct shown *shown = rq->state;
    json_t *documents = shown->documents;
    if (api_is_yaml(rq))
        answer_yaml(rq, shown);
    else
        answer_json(rq, shown);
    json_decref(documents);
}

static void show(struct http_request *rq, const struct shown *what)
{
    struct shown *shown = arena_copy(&rq->arena, what, sizeof *what);
    if (!shown) {
        json_decref(what->documents);
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    rq->state = shown;
    if (shown->kind->tell)
        shown->kind->tell(rq, shown->documents, answer_shown);
    else
        answer_shown(rq);
}

static void answer_document(struct http_request *rq, const struct api_kind *kind, int status,
                            const void *thing)
{
    json_t *document = kind->show(rq, thing);
    if (!document) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    show(rq,
         &(struct shown){.kind = kind, .documents = json_pack("[o]", document), .status = status});
}

void http_api_get(struct http_request *rq)
{
    const struct api_kind *kind = kind_of(rq);
    if (!kind)
        return;
    struct str name = name_of(rq);
    const void *thing = name.at ? kind->find(rq, name) : NULL;
    if (!name.at)
        http_answer_error(rq, ERR_MEMORY, NULL);
    else if (!thing)
        http_answer_problem(rq, 404, "NOT_FOUND", "there is no %s %.*s", kind->spec->name,
                            (int)(name.len < 200 ? name.len : 200), name.at);
    else
        answer_document(rq, kind, 200, thing);
}

static int compare(struct str a, struct str b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Things come in the order of their names. */
static enum err fill_page(struct http_request *rq, const struct api_kind *kind, int64_t limit,
                          struct shown *page)
{
    struct str after = http_query(rq, "after");
    for (const void *t = kind->next(rq, NULL); t; t = kind->next(rq, t)) {
        struct str name = kind->name(rq, t);
        if (!name.at)
            return ERR_MEMORY;
        if (after.at && compare(name, after) <= 0)
            continue;
        if ((int64_t)json_array_size(page->documents) == limit) {
            page->more = true;
            return ERR_OK;
        }
        json_t *document = kind->show(rq, t);
        if (!document)
            return ERR_MEMORY;
        json_array_append_new(page->documents, document);
        page->last = name;
    }
    return ERR_OK;
}

void http_api_list(struct http_request *rq)
{
    static const char *const names[] = {"limit", "after", NULL};
    const struct api_kind *kind = api_kind_of_plural(rq->params[0]);
    struct shown page = {.kind = kind, .status = 200, .page = true};
    struct err_text text = {""};
    int64_t limit = API_PAGE;
    if (!kind) {
        kind_of(rq);
        return;
    }
    enum err err = http_query_only(rq, names, &text);
    if (!err)
        err = http_query_int(rq, "limit", 1, API_PAGE_MAX, &limit, &text);
    if (!err) {
        page.documents = json_array();
        err = fill_page(rq, kind, limit, &page);
    }
    if (err) {
        json_decref(page.documents);
        http_answer_error(rq, err, &text);
        return;
    }
    show(rq, &page);
}

void http_api_schema(struct http_request *rq)
{
    http_answer_json(rq, 200, api_schema());
}

/* ---- PUT, DELETE ---------------------------------------------------------------------------- */

static void put_done(struct api_item *item)
{
    struct one *one = item->rq->state;
    struct http_request *rq = item->rq;
    const void *thing = NULL;
    json_decref(item->changes);
    spec_documents_free(&one->docs);
    if (!item->err)
        thing = item->kind->find(rq, item->name);
    if (item->err) {
        http_answer_error(rq, item->err, &item->text);
    } else if (!thing) { /* somebody deleted it meanwhile */
        http_answer_error(rq, ERR_NOT_FOUND, NULL);
    } else {
        int status = !strcmp(item->result, "created") ? 201 : 200;
        answer_document(rq, item->kind, status, thing);
    }
}

static enum err refuse(struct api_item *item, const char *path, const char *what)
{
    api_blame(item, path);
    return err_say(&item->text, ERR_CONFIG_INVALID, "%s", what);
}

/* The document must be of what the path names. */
static enum err check_path(struct api_item *item, const struct api_kind *kind)
{
    struct http_request *rq = item->rq;
    json_t *topic = json_object_get(item->doc->spec, "topic");
    struct str above = {json_string_value(topic), json_string_length(topic)};
    if (item->kind != kind)
        return refuse(item, "kind", "must be the kind that the path names");
    if (!str_eq(item->doc->name, rq->params[rq->params_n - 1]))
        return refuse(item, "metadata.name", "must be the name that the path has");
    if (kind->named_below && !str_eq(above, rq->params[1]))
        return refuse(item, "spec.topic", "must be the topic that the path has");
    return ERR_OK;
}

static enum err read_one(struct one *one, const struct api_kind *kind)
{
    struct api_item *item = &one->item;
    if (one->docs.n != 1)
        return err_say(&item->text, ERR_CONFIG_INVALID, "one document is wanted here, not %zu",
                       one->docs.n);
    item->doc = one->docs.at;
    enum err err = api_item_read(item);
    return err ? err : check_path(item, kind);
}

void http_api_put(struct http_request *rq)
{
    const struct api_kind *kind = kind_of(rq);
    struct one *one = kind ? http_alloc(rq, 1, sizeof *one) : NULL;
    if (!kind)
        return;
    if (!one) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    struct api_item *item = &one->item;
    *item = (struct api_item){.rq = rq, .done = put_done};
    rq->state = one;
    if (api_documents(rq, &one->docs))
        return;
    item->err = read_one(one, kind);
    item->name = name_of(rq);
    if (!item->err && item->name.at) {
        kind->apply(item);
        return;
    }
    json_t *errors = json_array();
    json_array_append_new(errors, api_error(item));
    spec_documents_free(&one->docs);
    api_answer_errors(rq, item->err ? err_http(item->err) : 503, errors);
}

static void delete_done(struct api_item *item)
{
    if (item->err)
        http_answer_error(item->rq, item->err, &item->text);
    else
        http_answer_empty(item->rq, 204);
}

void http_api_remove(struct http_request *rq)
{
    const struct api_kind *kind = kind_of(rq);
    struct api_item *item = kind ? http_alloc(rq, 1, sizeof *item) : NULL;
    if (!kind)
        return;
    struct str name = name_of(rq);
    if (!item || !name.at) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    *item = (struct api_item){
        .rq = rq, .kind = kind, .name = name, .remove = true, .done = delete_done};
    kind->remove(item);
}
