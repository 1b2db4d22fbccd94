/* What a handler reads of its request: fields, query, body. */
#include "base/mem.h"
#include "front/http/conn.h"

#include <string.h>

struct str http_field(const struct http_request *rq, const char *name)
{
    return http_fields_get(rq->fields, rq->fields_n, str_of(name));
}

struct str http_query(const struct http_request *rq, const char *name)
{
    return http_fields_get(rq->query, rq->query_n, str_of(name));
}

enum err http_query_int(const struct http_request *rq, const char *name, int64_t min, int64_t max,
                        int64_t *out, struct err_text *text)
{
    struct str value = http_query(rq, name);
    int64_t n;
    if (!value.at)
        return ERR_OK;
    if (str_to_i64(value, &n) || n < min || n > max)
        return err_say(
            text, ERR_REQUEST_INVALID, "%s must be a whole number from %lld to %lld, got \"%.*s\"",
            name, (long long)min, (long long)max, (int)(value.len < 40 ? value.len : 40), value.at);
    *out = n;
    return ERR_OK;
}

static bool is_one_of(struct str name, const char *const *names)
{
    for (; *names; names++) {
        if (str_is(name, *names))
            return true;
    }
    return false;
}

enum err http_query_only(const struct http_request *rq, const char *const *names,
                         struct err_text *text)
{
    for (size_t i = 0; i < rq->query_n; i++) {
        struct str name = rq->query[i].name;
        if (is_one_of(name, names))
            continue;
        char list[160] = "";
        size_t n = 0;
        for (const char *const *k = names; *k && n < sizeof list; k++)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", *k);
        return err_say(text, ERR_REQUEST_INVALID,
                       "there is no parameter \"%.*s\" here; there are %s",
                       (int)(name.len < 40 ? name.len : 40), name.at, *list ? list : "none");
    }
    return ERR_OK;
}

/* The media type without its parameters. */
static struct str media_type(struct str value)
{
    const char *semi = memchr(value.at, ';', value.len);
    size_t n = semi ? (size_t)(semi - value.at) : value.len;
    while (n && (value.at[n - 1] == ' ' || value.at[n - 1] == '\t'))
        n--;
    return (struct str){value.at, n};
}

bool http_content_is(const struct http_request *rq, const char *type)
{
    struct str value = http_field(rq, "content-type");
    return value.len && http_same(media_type(value), str_of(type));
}

bool http_accepts(const struct http_request *rq, const char *type)
{
    struct str item;
    for (size_t i = 0; i < rq->fields_n; i++) {
        if (!str_is(rq->fields[i].name, "accept"))
            continue;
        struct str list = rq->fields[i].value;
        while (http_list_next(&list, &item)) {
            if (http_same(media_type(item), str_of(type)))
                return true;
        }
    }
    return false;
}

/* jansson recurses as deep as its input nests, up to a limit of its own (2048); ours is lower. */
static bool is_too_deep(struct slice json)
{
    unsigned depth = 0;
    bool text = false;
    for (size_t i = 0; i < json.len; i++) {
        uint8_t c = json.at[i];
        if (text) {
            i += c == '\\';
            text = c != '"';
        } else if (c == '"') {
            text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > HTTP_JSON_DEPTH_MAX)
                return true;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return false;
}

enum err http_body_json(struct http_request *rq, json_t **out, struct err_text *text)
{
    json_error_t e;
    *out = NULL;
    if (is_too_deep(rq->body))
        return err_say(text, ERR_REQUEST_INVALID, "the JSON nests deeper than %d levels",
                       HTTP_JSON_DEPTH_MAX);
    *out = json_loadb((const char *)rq->body.at, rq->body.len,
                      JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (*out)
        return ERR_OK;
    if (rq->body.len == 0)
        return err_say(text, ERR_REQUEST_INVALID, "there is no body; JSON is expected");
    return err_say(text, ERR_REQUEST_INVALID, "the body is no JSON: line %d, column %d: %s", e.line,
                   e.column, e.text);
}

void *http_alloc(struct http_request *rq, size_t count, size_t size)
{
    return arena_zalloc(&rq->arena, count, size);
}

char *http_text(struct http_request *rq, struct str s)
{
    return arena_strndup(&rq->arena, s.at, s.len);
}
