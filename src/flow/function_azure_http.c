#include "flow/function_azure_http.h"

#include "base/base64.h"
#include "broker/access.h"
#include "flow/ascii.h"
#include "flow/invoke_answer.h"

#include <string.h>

/* ---- the request ----------------------------------------------------------------------------- */

static void put_name(struct wr *w, bool first, struct str name)
{
    if (!first)
        wr_u8(w, ',');
    json_write_string(w, name);
    wr_u8(w, ':');
}

static void put_member(struct wr *w, const char *name, struct str value)
{
    put_name(w, false, str_of(name));
    json_write_string(w, value);
}

static bool is_first(const struct http_header *pairs, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (str_eq(pairs[j].name, pairs[i].name))
            return false;
    }
    return true;
}

/* Values of one name, the i-th is the first of them, with commas between. */
static struct str joined(const struct http_header *pairs, size_t n, size_t i, struct arena *arena)
{
    size_t len = 0;
    for (size_t j = i; j < n; j++)
        len += str_eq(pairs[j].name, pairs[i].name) ? pairs[j].value.len + 1 : 0;
    char *text = arena_alloc(arena, len), *to = text;
    for (size_t j = i; j < n && text != NULL; j++) {
        if (!str_eq(pairs[j].name, pairs[i].name))
            continue;
        if (to > text)
            *to++ = ',';
        memcpy(to, pairs[j].value.at, pairs[j].value.len);
        to += pairs[j].value.len;
    }
    return (struct str){text, len - 1};
}

static enum err put_pairs(struct wr *w, const char *name, const struct http_header *pairs, size_t n,
                          struct arena *arena)
{
    bool first = true;
    put_name(w, false, str_of(name));
    wr_u8(w, '{');
    for (size_t i = 0; i < n; i++) {
        if (!is_first(pairs, i))
            continue;
        struct str value = joined(pairs, n, i, arena);
        if (value.at == NULL)
            return ERR_MEMORY;
        put_name(w, first, pairs[i].name);
        json_write_string(w, value);
        first = false;
    }
    wr_u8(w, '}');
    return ERR_OK;
}

/* "content-type" -> "Content-Type" */
static struct str titled(struct str name, struct arena *arena)
{
    char *text = arena_strndup(arena, name.at, name.len);
    for (size_t i = 0; text != NULL && i < name.len; i++) {
        if (i == 0 || text[i - 1] == '-')
            text[i] = ascii_upper(text[i]);
    }
    return (struct str){text, name.len};
}

static enum err put_headers(const struct azure_http_request *r, struct wr *w)
{
    const struct invoke_request *q = r->request;
    put_name(w, false, STR_LIT("Headers"));
    wr_u8(w, '{');
    put_name(w, true, STR_LIT("Host"));
    wr_u8(w, '[');
    json_write_string(w, q->host);
    wr_u8(w, ']');
    for (size_t i = 0; i < q->headers_n; i++) {
        struct str name = titled(q->headers[i].name, r->arena);
        if (name.at == NULL)
            return ERR_MEMORY;
        if (!is_first(q->headers, i))
            continue;
        put_name(w, false, name);
        for (size_t j = i; j < q->headers_n; j++) {
            if (!str_eq(q->headers[j].name, q->headers[i].name))
                continue;
            wr_u8(w, j == i ? '[' : ',');
            json_write_string(w, q->headers[j].value);
        }
        wr_u8(w, ']');
    }
    wr_u8(w, '}');
    return ERR_OK;
}

static void put_identities(const struct azure_http_request *r, struct wr *w)
{
    bool known = strcmp(r->actor->principal, ACCESS_ANONYMOUS) != 0;
    put_name(w, false, STR_LIT("Identities"));
    json_write_raw(w, STR_LIT("[{\"IsAuthenticated\":"));
    json_write_raw(w, known ? STR_LIT("true") : STR_LIT("false"));
    if (known)
        put_member(w, "Name", str_of(r->actor->principal));
    json_write_raw(w, STR_LIT("}]"));
}

static bool is_binary(const struct invoke_request *q)
{
    for (size_t i = 0; i < q->headers_n; i++) {
        if (str_is(q->headers[i].name, "content-type"))
            return ascii_begins(q->headers[i].value, "application/octet-stream") ||
                   ascii_begins(q->headers[i].value, "multipart/");
    }
    return false;
}

static void put_body(const struct invoke_request *q, struct wr *w)
{
    size_t n = q->body.len;
    if (n == 0)
        return;
    put_name(w, false, STR_LIT("Body"));
    if (!is_binary(q)) {
        json_write_string(w, (struct str){(const char *)q->body.at, n});
        return;
    }
    size_t len = BASE64_LEN(n);
    wr_u8(w, '"');
    base64_encode((char *)wr_room(w, len + 1), q->body.at, n);
    w->len--; /* its NUL */
    wr_u8(w, '"');
}

enum err azure_http_write(const struct azure_http_request *r, struct wr *out)
{
    const struct invoke_request *q = r->request;
    json_write_raw(out, STR_LIT("{\"Data\":{"));
    put_name(out, true, r->function->conf.function.azure_trigger);
    wr_u8(out, '{');
    put_name(out, true, STR_LIT("Url"));
    json_write_string(out, q->url);
    put_member(out, "Method", str_of(q->method));
    enum err err = put_pairs(out, "Query", q->query, q->query_n, r->arena);
    if (err == ERR_OK)
        err = put_headers(r, out);
    if (err == ERR_OK)
        err = put_pairs(out, "Params", q->params, q->params_n, r->arena);
    put_identities(r, out);
    put_body(q, out);
    json_write_raw(out, STR_LIT("}},\"Metadata\":{"));
    azure_sys_write(r->function, r->now_ms, r->random, out);
    json_write_raw(out, STR_LIT("}}"));
    return err;
}

/* ---- the answer ------------------------------------------------------------------------------ */

struct reading {
    struct invoke_answer *out;
    struct err_text *text;
    struct jr_value body;
    bool has_body;
};

static enum err bad(struct reading *r, const char *what)
{
    return err_say(r->text, ERR_ANSWER_BAD, "the handler's HTTP answer is none: %s", what);
}

static enum err read_status(struct reading *r, const struct jr_value *v)
{
    int64_t n;
    if (v->type == JR_NULL)
        return ERR_OK;
    if ((v->type != JR_NUMBER && v->type != JR_STRING) || str_to_i64(v->text, &n) != ERR_OK ||
        n < 200 || n > 599)
        return bad(r, "its status must be a number from 200 to 599");
    r->out->status = (int)n;
    return ERR_OK;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool word = (s.at[i] >= '0' && s.at[i] <= '9') ||
                    (ascii_lower(s.at[i]) >= 'a' && ascii_lower(s.at[i]) <= 'z');
        if (!word && (s.at[i] == '\0' || strchr("!#$%&'*+-.^_`|~", s.at[i]) == NULL))
            return false;
    }
    return s.len > 0;
}

static enum err add_header(struct reading *r, struct str name, const struct jr_value *v)
{
    struct invoke_answer *a = r->out;
    struct str value = v->type == JR_STRING ? jr_string(v, &a->memory) : v->text;
    if (v->type == JR_NULL || !invoke_answer_passes(name, (struct str){NULL, 0}))
        return ERR_OK;
    if (v->type == JR_OBJECT || v->type == JR_ARRAY || value.at == NULL || !http_is_text(value))
        return bad(r, "a header's value must be a text");
    if (a->headers_n == HTTP_CALL_HEADERS_MAX)
        return bad(r, "it has too many headers");
    value.at = arena_strndup(&a->memory, value.at, value.len);
    if (value.at == NULL)
        return bad(r, "its headers are too large");
    a->headers[a->headers_n++] = (struct http_header){name, value};
    return ERR_OK;
}

static enum err add_headers(struct reading *r, struct str name, const struct jr_value *v)
{
    struct jr j;
    struct jr_value element;
    enum err err = ERR_OK;
    if (v->type != JR_ARRAY)
        return add_header(r, name, v);
    jr_init(&j, v->text);
    (void)jr_array(&j);
    while (err == ERR_OK && jr_element(&j) && jr_value(&j, &element))
        err = add_header(r, name, &element);
    return err;
}

/* In lower case, as answers have them. */
static struct str header_name(struct reading *r, const struct jr_value *v)
{
    struct str raw = jr_string(v, &r->out->memory);
    char *text =
        raw.at != NULL && is_token(raw) ? arena_strndup(&r->out->memory, raw.at, raw.len) : NULL;
    for (char *at = text; at != NULL && *at != '\0'; at++)
        *at = ascii_lower(*at);
    return (struct str){text, raw.len};
}

static enum err read_headers(struct reading *r, const struct jr_value *v)
{
    struct jr j;
    struct jr_value name, value;
    enum err err = ERR_OK;
    if (v->type == JR_NULL)
        return ERR_OK;
    if (v->type != JR_OBJECT)
        return bad(r, "its headers must be an object");
    jr_init(&j, v->text);
    (void)jr_object(&j);
    while (err == ERR_OK && jr_member(&j, &name) && jr_value(&j, &value)) {
        struct str key = header_name(r, &name);
        err = key.at != NULL ? add_headers(r, key, &value) : bad(r, "a header's name is none");
    }
    return err;
}

static enum err read_body(struct reading *r, const struct jr_value *v)
{
    r->body = *v;
    r->has_body = true;
    return ERR_OK;
}

static const struct member {
    const char *name; /* in lower case */
    enum err (*read)(struct reading *r, const struct jr_value *v);
} members[] = {{"statuscode", read_status},
               {"status", read_status},
               {"headers", read_headers},
               {"body", read_body}};

static enum err read_object(struct reading *r, struct str object)
{
    struct jr j;
    struct jr_value name, value;
    enum err err = ERR_OK;
    jr_init(&j, object);
    (void)jr_object(&j);
    while (err == ERR_OK && jr_member(&j, &name) && jr_value(&j, &value)) {
        for (size_t i = 0; err == ERR_OK && i < sizeof members / sizeof members[0]; i++) {
            if (ascii_is(name.text, members[i].name))
                err = members[i].read(r, &value);
        }
    }
    return err;
}

static bool has_type(const struct invoke_answer *a)
{
    for (size_t i = 0; i < a->headers_n; i++) {
        if (str_is(a->headers[i].name, "content-type"))
            return true;
    }
    return false;
}

static enum err set_body(struct reading *r)
{
    struct invoke_answer *a = r->out;
    const struct jr_value *v = &r->body;
    struct arena scratch;
    if (!r->has_body || v->type == JR_NULL)
        return ERR_OK;
    arena_init(&scratch, v->text.len + 64);
    struct str text = v->type == JR_STRING ? jr_string(v, &scratch) : v->text;
    if (text.len > 0 && text.at != NULL)
        a->body = slice_copy(text.at, text.len);
    arena_free(&scratch);
    if (text.at == NULL)
        return bad(r, "its body is too large");
    if (!has_type(a) && a->headers_n < HTTP_CALL_HEADERS_MAX)
        a->headers[a->headers_n++] =
            (struct http_header){STR_LIT("content-type"),
                                 v->type == JR_STRING ? STR_LIT("text/plain; charset=utf-8")
                                                      : STR_LIT("application/json; charset=utf-8")};
    return ERR_OK;
}

static bool is_answer(const struct jr_value *v)
{
    struct jr j;
    struct jr_value name, value;
    jr_init(&j, v->text);
    if (v->type != JR_OBJECT || !jr_object(&j))
        return false;
    while (jr_member(&j, &name) && jr_value(&j, &value)) {
        if (ascii_is(name.text, "body"))
            return true;
    }
    return false;
}

enum err azure_http_answer(const struct jr_value *value, bool returned, struct invoke_answer *out,
                           struct err_text *text)
{
    struct reading r = {.out = out, .text = text};
    enum err err = ERR_OK;
    bool whole = returned && !is_answer(value);
    out->status = value->type == JR_NULL ? 204 : 200;
    out->headers = arena_zalloc(&out->memory, HTTP_CALL_HEADERS_MAX, sizeof *out->headers);
    if (out->headers == NULL)
        return ERR_MEMORY;
    if (value->type == JR_OBJECT && !whole)
        err = read_object(&r, value->text);
    else
        err = read_body(&r, value);
    return err == ERR_OK ? set_body(&r) : err;
}
