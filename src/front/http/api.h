/* api.h: the resources under /api/v1: declared by documents (spec/spec.h), kept by the broker.
 *
 *     POST   /api/v1/apply                documents, in YAML or JSON: each is made, changed, or
 *     POST   /api/v1/delete               left alone; or deleted. ?dryRun=true: only said
 *     GET    /api/v1/topics               a page of them: ?limit=, ?after=NAME
 *     GET    /api/v1/topics/NAME          a document, with its status; PUT, DELETE
 *     GET    /api/v1/subscriptions/TOPIC/NAME
 *     POST   /api/v1/subscriptions/TOPIC/NAME:rewind?to=TIME   (api_rewind.c)
 *     GET    /api/v1/schema               JSON schema of all kinds
 *
 * All documents of a request are read before the first is applied: if one is wrong, all that are
 * wrong are told and nothing is done. Then they are applied one after the other, in the order of
 * the kinds (topics, functions and models before subscriptions), each whole or not at all. The
 * answer has a row for each.
 *
 * A kind is a row of api_kinds (api_kinds.c) and a file with its verbs. Inside of front/http only.
 */
#pragma once

#include "broker/access.h"
#include "front/http/request.h"
#include "spec/spec.h"

#define API_BODY_MAX ((size_t)4 << 20)
#define API_PAGE 1000 /* of a listing, unless ?limit= says otherwise */
#define API_PAGE_MAX 10000

struct api_kind;

/* One document on its way. apply and remove end by api_done, then or later. */
struct api_item {
    struct http_request *rq;
    const struct api_kind *kind;
    const struct spec_document *doc;
    struct str name; /* of the document; of a subscription with its topic, "orders/fraud" */
    void *spec;      /* the struct of the kind; NULL for remove */
    bool dry_run;
    bool remove;
    void *op; /* of the verb */
    /* Out. */
    enum err err;
    struct err_text text;
    struct spec_place where; /* of what is wrong; an empty path: of all */
    const char *result;      /* "created" "configured" "unchanged" "deleted"; set when err is OK */
    json_t *changes;         /* fields that differ; NULL: none */
    void (*done)(struct api_item *item);
};

void api_done(struct api_item *item, enum err err);
/* The field that err is about: "spec.partitions". Before api_done. */
void api_blame(struct api_item *item, const char *field);
/* As api_done, for a verb's op: created or changed as the verb found it. */
void api_done_put(struct api_item *item, enum err err, bool created, bool changed);

/* "status" of a document: what weir says of the thing, not its declarer. A new reference. */
json_t *api_status(struct uuid id, uint64_t created_ms);

/* The document of a thing, its labels in metadata, with that status, whose reference it takes. */
json_t *api_document(const struct api_kind *kind, struct str name, const void *conf,
                     json_t *status);

struct api_kind {
    const struct spec_kind *spec;
    void (*apply)(struct api_item *item);
    void (*remove)(struct api_item *item);
    /* From the reactor's copy; NULL: none, or none that the caller may see. */
    const void *(*find)(struct http_request *rq, struct str name);
    const void *(*next)(struct http_request *rq, const void *after);
    /* A new reference; NULL: no memory. */
    json_t *(*show)(struct http_request *rq, const void *thing);
    /* Of the thing that show takes; of the arena. */
    struct str (*name)(struct http_request *rq, const void *thing);
    /* Optional: adds to documents that show made what another reactor knows; then `then`. */
    void (*tell)(struct http_request *rq, json_t *documents, void (*then)(struct http_request *rq));
    size_t labels_at; /* in the kind's struct: metadata.labels, struct spec_map; 0: not kept */
    bool named_below; /* names have two parts: "orders/fraud" */
};

#define API_ROUTES 14
extern const struct http_route api_routes[API_ROUTES];

/* May the caller do what is the cluster's Owner's? For listings: nothing is logged. */
bool api_owns(struct http_request *rq, enum access_kind kind, struct str name);

extern const struct api_kind api_kinds[];
extern const size_t api_kinds_n;
/* JSON schema of all kinds. A new reference. */
json_t *api_schema(void);
/* By "topics"; NULL: none. */
const struct api_kind *api_kind_of_plural(struct str plural);

/* Reads a document into the struct of its kind: item->kind, name and spec. ERR_CONFIG_INVALID:
 * where and text say what is wrong. */
enum err must_use api_item_read(struct api_item *item);

/* The documents of the body. ERR_CONFIG_INVALID and the like: has been answered. */
enum err must_use api_documents(struct http_request *rq, struct spec_documents *out);
/* Answers 400 with the place: {"status", "title", "detail", "errors": [{file, line, field, ...}]}.
 * Takes the errors' reference. */
void api_answer_errors(struct http_request *rq, int status, json_t *errors);
json_t *api_error(const struct api_item *item);
bool api_is_yaml(const struct http_request *rq);

/* The kinds' verbs, one file a kind. */
#define API_KIND_DECLARE(kind)                                                                     \
    void api_##kind##_apply(struct api_item *item);                                                \
    void api_##kind##_remove(struct api_item *item);                                               \
    const void *api_##kind##_find(struct http_request *rq, struct str name);                       \
    const void *api_##kind##_next(struct http_request *rq, const void *after);                     \
    json_t *api_##kind##_show(struct http_request *rq, const void *thing);                         \
    struct str api_##kind##_name(struct http_request *rq, const void *thing);
void api_function_tell(struct http_request *rq, json_t *documents,
                       void (*then)(struct http_request *rq));
API_KIND_DECLARE(topic)
API_KIND_DECLARE(function)
API_KIND_DECLARE(model)
API_KIND_DECLARE(subscription)
API_KIND_DECLARE(user)
API_KIND_DECLARE(grant)
