#include "broker/function_route.h"

#include "broker/broker_internal.h"
#include "broker/document_internal.h"
#include "broker/invoke.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool same(struct str a, struct str b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

/* ---- methods ---- */

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

bool function_method_is(struct str method)
{
    for (size_t i = 0; i < METHODS; i++) {
        if (same(method, str_of(methods[i])))
            return true;
    }
    return false;
}

bool function_takes_method(const struct function_conf *f, const char *method)
{
    for (size_t i = 0; i < f->azure_methods.n; i++) {
        if (same(f->azure_methods.at[i], str_of(method)))
            return true;
    }
    return f->azure_methods.n == 0;
}

void function_methods_put(const struct function_conf *f, char *out, size_t cap)
{
    for (size_t i = 0; i < METHODS; i++) {
        size_t n = strlen(out);
        if (function_takes_method(f, methods[i]) && strstr(out, methods[i]) == NULL)
            snprintf(out + n, cap - n, "%s%s", n > 0 ? ", " : "", methods[i]);
    }
}

/* ---- templates ---- */

/* In the order of what rules. */
enum part_kind { PART_LITERAL = 1, PART_CONSTRAINED, PART_ANY, PART_REST };

struct part {
    enum part_kind kind;
    struct str name, constraint; /* name: a literal's text */
    bool optional;
};

static bool is_int(struct str s)
{
    int64_t n;
    return str_to_i64(s, &n) == ERR_OK && n >= INT32_MIN && n <= INT32_MAX;
}

static bool is_alpha(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (((unsigned char)s.at[i] | 0x20u) - 'a' >= 26u)
            return false;
    }
    return true;
}

static bool is_guid(struct str s)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.at[i] != '-' : memchr(hex, s.at[i], sizeof(hex) - 1) == NULL)
            return false;
    }
    return s.len == 36;
}

static const struct {
    const char *name;
    bool (*holds)(struct str s);
} constraints[] = {{"int", is_int}, {"alpha", is_alpha}, {"guid", is_guid}};
#define CONSTRAINTS (sizeof(constraints) / sizeof(constraints[0]))

static size_t constraint_of(struct str name)
{
    size_t i = 0;
    while (i < CONSTRAINTS && !str_is(name, constraints[i].name))
        i++;
    return i;
}

/* Cuts the first segment off; false: it is the last. */
static bool take_segment(struct str *route, struct str *out)
{
    const char *slash = route->len > 0 ? memchr(route->at, '/', route->len) : NULL;
    *out = (struct str){route->at, slash != NULL ? (size_t)(slash - route->at) : route->len};
    size_t cut = out->len + (slash != NULL);
    *route = (struct str){route->at + cut, route->len - cut};
    return slash != NULL;
}

/* Of a segment that was checked. */
static struct part part_of(struct str s)
{
    struct part p = {.kind = PART_LITERAL, .name = s};
    if (s.len < 2 || s.at[0] != '{')
        return p;
    p.kind = PART_ANY;
    p.name = (struct str){s.at + 1, s.len - 2};
    for (; p.name.len > 0 && p.name.at[0] == '*'; p.name.at++, p.name.len--)
        p.kind = PART_REST;
    p.optional = p.name.len > 0 && p.name.at[p.name.len - 1] == '?';
    p.name.len -= p.optional;
    const char *colon = p.name.len > 0 ? memchr(p.name.at, ':', p.name.len) : NULL;
    if (colon == NULL)
        return p;
    size_t n = (size_t)(colon - p.name.at);
    p.constraint = (struct str){colon + 1, p.name.len - n - 1};
    p.name.len = n;
    p.kind = PART_CONSTRAINED;
    return p;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool digit = s.at[i] >= '0' && s.at[i] <= '9';
        if (s.at[i] != '_' && !(digit && i > 0) && !is_alpha((struct str){s.at + i, 1}))
            return false;
    }
    return s.len > 0;
}

static enum err check_literal(struct str s, bool first, struct err_text *text)
{
    if (s.len == 0)
        return err_say(text, ERR_CONFIG_INVALID,
                       "must be segments with one / between, and none in front or at the end");
    if (memchr(s.at, '{', s.len) != NULL || memchr(s.at, '}', s.len) != NULL)
        return err_say(text, ERR_CONFIG_INVALID,
                       "must have a {parameter} as the whole of a segment");
    if (first && same(s, STR_LIT("v1")))
        return err_say(text, ERR_CONFIG_INVALID, "must not begin with v1, which is weir's own");
    return ERR_OK;
}

static enum err check_parameter(const struct part *p, bool last, struct err_text *text)
{
    if (!is_name(p->name))
        return err_say(text, ERR_CONFIG_INVALID,
                       "must have parameters as {name}, {name:int}, {name?} or {*name}");
    if ((p->optional || p->kind == PART_REST) && !last)
        return err_say(text, ERR_CONFIG_INVALID, "must have {name?} and {*name} at its end only");
    if (p->constraint.at != NULL && constraint_of(p->constraint) == CONSTRAINTS)
        return err_say(text, ERR_CONFIG_INVALID, "must have no constraint but int, alpha and guid");
    return ERR_OK;
}

static enum err check_segment(struct str s, bool first, bool last, struct str *name,
                              struct err_text *text)
{
    bool parameter = s.len >= 2 && s.at[0] == '{' && s.at[s.len - 1] == '}';
    struct part p = part_of(s);
    *name = parameter ? p.name : (struct str){NULL, 0};
    return parameter ? check_parameter(&p, last, text) : check_literal(s, first, text);
}

enum err function_route_check(struct str route, struct err_text *text)
{
    struct str names[FUNCTION_ROUTE_SEGMENTS], s;
    size_t n = 0;
    for (bool more = true; more; n++) {
        if (n == FUNCTION_ROUTE_SEGMENTS)
            return err_say(text, ERR_CONFIG_INVALID, "must have at most %d segments",
                           FUNCTION_ROUTE_SEGMENTS);
        more = take_segment(&route, &s);
        enum err err = check_segment(s, n == 0, !more, &names[n], text);
        if (err != ERR_OK)
            return err;
        for (size_t i = 0; names[n].at != NULL && i < n; i++) {
            if (names[i].at != NULL && same(names[i], names[n]))
                return err_say(text, ERR_CONFIG_INVALID, "must not name %.*s twice",
                               (int)names[n].len, names[n].at);
        }
    }
    return ERR_OK;
}

/* ---- matching ---- */

struct path {
    const struct str *at;
    size_t n;
};

static struct str rest_of(const struct path *path, size_t i)
{
    const struct str *last = &path->at[path->n - 1];
    return (struct str){path->at[i].at, (size_t)(last->at + last->len - path->at[i].at)};
}

static bool takes(const struct part *p, struct str segment)
{
    if (segment.len == 0)
        return false;
    if (p->kind == PART_LITERAL)
        return same(p->name, segment);
    return p->kind != PART_CONSTRAINED || constraints[constraint_of(p->constraint)].holds(segment);
}

/* The rank of what matched, smaller is better; 0: it does not match. */
static uint64_t match(struct str route, const struct path *path, struct function_match *out)
{
    uint64_t rank = 0;
    size_t i = 0, ranked = 0;
    struct str s;
    out->params_n = 0;
    for (bool more = true; more; ranked++) {
        more = take_segment(&route, &s);
        struct part p = part_of(s);
        rank = rank * 5 + p.kind;
        bool there = i < path->n;
        if (!there && (p.optional || p.kind == PART_REST))
            continue;
        if (!there || (p.kind != PART_REST && !takes(&p, path->at[i])))
            return 0;
        if (p.kind != PART_LITERAL)
            out->params[out->params_n++] =
                (struct http_header){p.name, p.kind == PART_REST ? rest_of(path, i) : path->at[i]};
        i = p.kind == PART_REST ? path->n : i + 1;
    }
    for (; ranked < FUNCTION_ROUTE_SEGMENTS; ranked++)
        rank *= 5;
    return i == path->n ? rank : 0;
}

static struct str route_of(const struct document *d)
{
    const struct function_conf *f = &d->conf.function;
    if (f->azure_route.at != NULL)
        return f->azure_route;
    return f->azure_function.at != NULL ? f->azure_function : str_of(d->name);
}

enum err function_route_find(struct broker *b, const struct str *segments, size_t segments_n,
                             const char *method, struct function_match *out, char *allow)
{
    const struct document_list *all = &b->documents.requested;
    const struct path path = {segments, segments_n};
    struct function_match m;
    uint64_t best = 0;
    allow[0] = '\0';
    out->function = NULL;
    for (size_t i = 0; i < all->n && segments_n > 0; i++) {
        uint64_t rank = match(route_of(all->at[i]), &path, &m);
        if (rank == 0)
            continue;
        m.function = all->at[i];
        function_methods_put(&m.function->conf.function, allow, INVOKE_ALLOW_MAX);
        if (function_takes_method(&m.function->conf.function, method) && (!best || rank < best)) {
            best = rank;
            *out = m;
        }
    }
    return out->function != NULL ? ERR_OK : allow[0] != '\0' ? ERR_METHOD : ERR_NOT_FOUND;
}
