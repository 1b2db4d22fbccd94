/* api_item.c: one document: from the body to the struct of its kind, and what is told of it. */
#include "front/http/api.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/when.h"
#include "spec/json_text.h"

#include <stdio.h>
#include <string.h>

void api_done(struct api_item *item, enum err err)
{
    item->err = err;
    if (err && !item->text.s[0])
        err_say(&item->text, err, "%s", err_meaning(err));
    item->done(item);
}

void api_done_put(struct api_item *item, enum err err, bool created, bool changed)
{
    item->result = created ? "created" : changed ? "configured" : "unchanged";
    api_done(item, err);
}

json_t *api_status(struct uuid id, uint64_t created_ms)
{
    char text[UUID_TEXT_MAX], created[WHEN_TEXT_MAX];
    uuid_format(id, text);
    return json_pack("{s:s, s:s}", "id", text, "created",
                     when_put_datetime((int64_t)created_ms, created));
}

json_t *api_document(const struct api_kind *kind, struct str name, const void *conf, json_t *status)
{
    const void *at = (const char *)conf + kind->labels_at;
    const struct spec_map *labels = kind->labels_at != 0 ? at : NULL;
    json_t *spec = spec_write(kind->spec, conf, false);
    if (labels)
        json_object_del(spec, "labels"); /* they are shown in metadata */
    json_t *document = spec_write_document(kind->spec, name, labels, spec);
    json_decref(spec);
    json_object_set_new(document, "status", status);
    return document;
}

bool api_owns(struct http_request *rq, enum access_kind kind, struct str name)
{
    return (access_roles(rq->broker, &rq->actor, kind, name) & ACCESS_OWNER) != 0;
}

void api_blame(struct api_item *item, const char *field)
{
    item->where = item->doc->place;
    snprintf(item->where.path, sizeof item->where.path, "%s", field);
    unsigned line = spec_document_line(item->doc, field);
    item->where.line = line ? line : item->where.line;
}

/* ---- the body ------------------------------------------------------------------------------- */

bool api_is_yaml(const struct http_request *rq)
{
    return http_accepts(rq, "application/yaml") || http_accepts(rq, "text/yaml") ||
           http_accepts(rq, "application/x-yaml");
}

/* `curl --data-binary @file` says that it sends a form. */
static bool body_is_yaml(const struct http_request *rq)
{
    static const char *const types[] = {"application/yaml", "text/yaml", "application/x-yaml",
                                        "text/plain", "application/x-www-form-urlencoded"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (http_content_is(rq, types[i]))
            return true;
    }
    return !http_field(rq, "content-type").at;
}

enum err api_documents(struct http_request *rq, struct spec_documents *out)
{
    struct str text = {(const char *)rq->body.at, rq->body.len};
    struct str file = http_query(rq, "file");
    const char *name = file.at ? http_text(rq, file) : NULL;
    struct api_item item = {.rq = rq};
    bool json = http_content_is(rq, "application/json");
    *out = (struct spec_documents){0};
    if (!json && !body_is_yaml(rq)) {
        http_answer_problem(rq, 415, "MEDIA_TYPE",
                            "documents are application/yaml or application/json");
        return ERR_REQUEST_INVALID;
    }
    item.err = json ? spec_documents_json(text, name, out, &item.where, &item.text)
                    : spec_documents_yaml(text, name, out, &item.where, &item.text);
    if (!item.err)
        return ERR_OK;
    json_t *errors = json_array();
    json_array_append_new(errors, api_error(&item));
    api_answer_errors(rq, 400, errors);
    return item.err;
}

/* ---- one document --------------------------------------------------------------------------- */

static enum err find_kind(struct api_item *item)
{
    const struct spec_kind *kinds[16];
    weir_assert(api_kinds_n <= sizeof kinds / sizeof kinds[0]);
    for (size_t i = 0; i < api_kinds_n; i++)
        kinds[i] = api_kinds[i].spec;
    const struct spec_kind *found =
        spec_kind_find(kinds, api_kinds_n, item->doc->kind, &item->text);
    api_blame(item, "kind");
    if (!found)
        return ERR_CONFIG_INVALID;
    item->kind = api_kind_of_plural(str_of(found->plural));
    return ERR_OK;
}

enum err api_item_read(struct api_item *item)
{
    struct arena *arena = &item->rq->arena;
    enum err err = find_kind(item);
    if (err)
        return err;
    item->name = item->doc->name;
    if (item->doc->labels.n && item->kind->labels_at == 0) {
        api_blame(item, "metadata.labels");
        return err_say(&item->text, ERR_CONFIG_INVALID, "are not kept for a %s",
                       item->kind->spec->name);
    }
    item->spec = arena_zalloc(arena, 1, item->kind->spec->bytes);
    if (!item->spec)
        return ERR_MEMORY;
    spec_init(item->kind->spec, item->spec);
    item->where.path[0] = '\0';
    err = spec_read(item->kind->spec, item->doc, arena, item->spec, &item->where, &item->text);
    void *labels = (char *)item->spec + item->kind->labels_at;
    if (!err && item->doc->labels.n)
        *(struct spec_map *)labels = item->doc->labels;
    return err;
}

/* ---- what is told --------------------------------------------------------------------------- */

static void set_text(json_t *object, const char *key, struct str s)
{
    if (s.at && s.len)
        json_object_set_new(object, key, json_stringn(s.at, s.len));
}

json_t *api_error(const struct api_item *item)
{
    json_t *error = json_object();
    if (item->kind)
        json_object_set_new(error, "kind", json_string(item->kind->spec->name));
    if (item->doc)
        set_text(error, "name", item->doc->name);
    set_text(error, "file", str_of(item->where.file));
    if (item->where.line)
        json_object_set_new(error, "line", json_integer(item->where.line));
    set_text(error, "field", str_of(item->where.path));
    json_object_set_new(error, "code", json_string(err_name(item->err)));
    json_object_set_new(error, "message", json_string(item->text.s));
    return error;
}

void api_answer_errors(struct http_request *rq, int status, json_t *errors)
{
    json_t *first = json_array_get(errors, 0), *line = json_object_get(first, "line");
    json_t *file = json_object_get(first, "file"), *field = json_object_get(first, "field");
    struct spec_place place = {.file = json_string_value(file),
                               .line = (unsigned)json_integer_value(line)};
    char where[SPEC_PATH_MAX * 2], detail[ERR_TEXT_MAX + sizeof where];
    const char *path = json_string_value(field);
    snprintf(place.path, sizeof place.path, "%s", path ? path : "");
    spec_place_put(&place, where, sizeof where);
    snprintf(detail, sizeof detail, "%s%s%s", where, where[0] ? ": " : "",
             json_string_value(json_object_get(first, "message")));
    json_t *problem = json_pack(
        "{s:s, s:i, s:s, s:s, s:o}", "title", "a document is not right", "status", status, "code",
        json_string_value(json_object_get(first, "code")), "detail", detail, "errors", errors);
    size_t len;
    char *text = json_text(problem, JSON_COMPACT, &len);
    struct wr w;
    wr_init(&w, len + 1);
    wr_bytes(&w, text, len);
    wr_u8(&w, '\n');
    mem_free(text);
    json_decref(problem);
    http_answer_written(rq, status, "application/problem+json", &w);
}
