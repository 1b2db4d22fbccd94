/* A pattern is matched from both ends: what precedes {*} from the left, what follows it from the
 * right, and {*} takes the segments in between. Without {*} everything is matched from the left.
 */
#include "front/http/route.h"

#include <string.h>

struct matcher {
    struct str pattern, path;
    bool no_case;
    struct route_match *out;
};

static bool same(const struct matcher *m, struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    return m->no_case ? !strncasecmp(a.at, b.at, a.len) : !memcmp(a.at, b.at, a.len);
}

/* The first segment, with the slash before it. */
static struct str first_segment(struct str s)
{
    const char *end = s.len > 1 ? memchr(s.at + 1, '/', s.len - 1) : NULL;
    return (struct str){s.at, end ? (size_t)(end - s.at) : s.len};
}

static struct str last_segment(struct str s)
{
    size_t n = 1;
    while (n < s.len && s.at[s.len - n] != '/')
        n++;
    return (struct str){s.at + s.len - n, n};
}

static bool add_param(struct route_match *out, struct str value, bool any)
{
    if (value.len == 0 || out->params_n == HTTP_PARAMS_MAX)
        return false;
    if (!any && memchr(value.at, ':', value.len))
        return false;
    out->params[out->params_n++] = value;
    return true;
}

/* "/literal", "/{}" or "/{}:verb" against one segment. */
static bool match_segment(const struct matcher *m, struct str pattern, struct str segment)
{
    if (pattern.len < 3 || memcmp(pattern.at, "/{}", 3) != 0)
        return same(m, pattern, segment);
    struct str suffix = {pattern.at + 3, pattern.len - 3};
    if (segment.len < 1 + suffix.len)
        return false;
    struct str tail = {segment.at + segment.len - suffix.len, suffix.len};
    struct str value = {segment.at + 1, segment.len - 1 - suffix.len};
    return same(m, suffix, tail) && add_param(m->out, value, false);
}

static void drop_first(struct str *s, size_t n)
{
    s->at += n;
    s->len -= n;
}

/* Segment by segment up to the pattern's end or its {*}. */
static bool match_left(struct matcher *m)
{
    while (m->pattern.len) {
        struct str p = first_segment(m->pattern), s = first_segment(m->path);
        if (str_is(p, "/{*}"))
            return true;
        if (s.len == 0 || !match_segment(m, p, s))
            return false;
        drop_first(&m->pattern, p.len);
        drop_first(&m->path, s.len);
    }
    return m->path.len == 0;
}

/* What stands behind {*}: parameters are found from the right, and put in the pattern's order. */
static bool match_right(struct matcher *m)
{
    struct route_match tail = {0};
    struct route_match *out = m->out;
    m->out = &tail;
    for (struct str p; p = last_segment(m->pattern), !str_is(p, "/{*}");) {
        struct str s = last_segment(m->path);
        if (s.len == 0 || m->path.len == 0 || !match_segment(m, p, s))
            return false;
        m->pattern.len -= p.len;
        m->path.len -= s.len;
    }
    m->out = out;
    if (m->path.len < 2 || out->params_n + 1 + tail.params_n > HTTP_PARAMS_MAX)
        return false;
    add_param(out, (struct str){m->path.at + 1, m->path.len - 1}, true);
    while (tail.params_n)
        out->params[out->params_n++] = tail.params[--tail.params_n];
    return true;
}

bool route_match(const char *pattern, bool no_case, struct str path, struct route_match *out)
{
    struct matcher m = {str_of(pattern), path, no_case, out};
    out->params_n = 0;
    return match_left(&m) && (m.pattern.len == 0 || match_right(&m));
}

void route_find(const struct http_routes *tables, size_t n, enum method method, struct str path,
                struct route_match *out, unsigned *allowed)
{
    *allowed = 0;
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct http_route *r = &tables[t].at[i];
            unsigned methods = r->methods & METHOD_GET ? r->methods | METHOD_HEAD : r->methods;
            if ((methods & method) == 0 && (*allowed & methods) == methods)
                continue;
            if ((r->flags & HTTP_ELSE) && *allowed)
                continue;
            if (!route_match(r->pattern, r->flags & HTTP_NO_CASE, path, out))
                continue;
            out->route = r;
            if (methods & method)
                return;
            *allowed |= methods;
        }
    }
    out->route = NULL;
}
