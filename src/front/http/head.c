/* The whole head is in memory when it is parsed, so http_parser sees it in one piece and its
 * callbacks give whole strings. It checks the grammar; what is stricter here is checked before
 * (lines) and after (fields).
 */
#include "front/http/head.h"

#include "base/assert.h"
#include "front/http/http.h"

#include <http_parser.h>
#include <string.h>

struct parse {
    struct http_head *head;
    struct http_field *fields;
    size_t fields_max;
    bool too_many;
};

/* ---- lines ---------------------------------------------------------------------------------- */

static bool is_folded(const char *p, size_t n, size_t line)
{
    return line && line < n && (p[line] == ' ' || p[line] == '\t');
}

enum err http_head_end(const char *p, size_t n, size_t *line, size_t *end, struct err_text *text)
{
    *end = 0;
    for (;;) {
        if (is_folded(p, n, *line))
            return err_say(text, ERR_FRAME,
                           "a header line begins with a blank: folded lines are "
                           "not taken (RFC 9112, 5.2)");
        const char *lf = memchr(p + *line, '\n', n - *line);
        if (!lf)
            return ERR_OK;
        size_t at = (size_t)(lf - p);
        if (at == *line || p[at - 1] != '\r')
            return err_say(text, ERR_FRAME, "a line of the head ends in LF alone; CR LF is right");
        if (at - 1 == *line) {
            *end = at + 1;
            return ERR_OK;
        }
        *line = at + 1;
    }
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    return lines;
}

/* ---- http_parser ---------------------------------------------------------------------------- */

static int on_url(http_parser *parser, const char *at, size_t n)
{
    struct parse *p = parser->data;
    p->head->target = (struct str){at, n};
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t n)
{
    struct parse *p = parser->data;
    p->too_many = p->head->fields_n == p->fields_max;
    if (p->too_many)
        return 1;
    p->fields[p->head->fields_n++] = (struct http_field){{at, n}, STR_LIT("")};
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t n)
{
    struct parse *p = parser->data;
    weir_assert(p->head->fields_n > 0);
    while (n && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    p->fields[p->head->fields_n - 1].value = (struct str){at, n};
    return 0;
}

/* No body follows as far as the parser is concerned. */
static int on_headers_complete(http_parser *parser)
{
    (void)parser;
    return 1;
}

static const http_parser_settings settings = {.on_url = on_url,
                                              .on_header_field = on_field,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_headers_complete};

static enum method method_of(unsigned method)
{
    switch (method) {
    case HTTP_GET:
        return METHOD_GET;
    case HTTP_HEAD:
        return METHOD_HEAD;
    case HTTP_POST:
        return METHOD_POST;
    case HTTP_PUT:
        return METHOD_PUT;
    case HTTP_PATCH:
        return METHOD_PATCH;
    case HTTP_DELETE:
        return METHOD_DELETE;
    case HTTP_OPTIONS:
        return METHOD_OPTIONS;
    default:
        return METHOD_OTHER;
    }
}

static int refuse_parsed(const http_parser *parser, const struct parse *p, struct err_text *text)
{
    enum http_errno e = HTTP_PARSER_ERRNO(parser);
    err_say(text, ERR_FRAME, "the bytes are no HTTP/1.1 request: %s", http_errno_description(e));
    if (p->too_many) {
        err_say(text, ERR_FRAME, "the head has more than %d fields", HTTP_FIELDS_MAX);
        return 431;
    }
    return e == HPE_INVALID_METHOD ? 501 : e == HPE_INVALID_VERSION ? 505 : 400;
}

/* http_parser takes more than one blank between the parts of the first line. */
static bool has_single_blanks(const char *at, size_t n, const struct http_head *head)
{
    const char *end = memchr(at, '\r', n);
    const char *target = head->target.at;
    if (!end || !target || target - at < 2)
        return false;
    return target[-2] != ' ' && target + head->target.len + strlen(" HTTP/1.1") == end;
}

static int run_parser(const char *at, size_t n, struct parse *p, struct err_text *text)
{
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = p;
    size_t used = http_parser_execute(&parser, &settings, at, n);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || used != n)
        return refuse_parsed(&parser, p, text);
    struct http_head *head = p->head;
    if (parser.http_major != 1 || parser.http_minor > 1) {
        err_say(text, ERR_FRAME, "HTTP/%u.%u is not served here; HTTP/1.1 is", parser.http_major,
                parser.http_minor);
        return 505;
    }
    if (!has_single_blanks(at, n, head)) {
        err_say(text, ERR_FRAME, "one blank stands before and behind the target");
        return 400;
    }
    head->method = method_of(parser.method);
    head->http10 = parser.http_minor == 0;
    head->keep_alive = http_should_keep_alive(&parser) != 0;
    return 0;
}

/* ---- fields --------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

const char *http_find(struct str s, const char *what)
{
    return s.at ? memmem(s.at, s.len, what, strlen(what)) : NULL;
}

bool http_same(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

struct str http_fields_get(const struct http_field *fields, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(fields[i].name, name))
            return fields[i].value;
    }
    return (struct str){0};
}

static struct str trim(struct str s)
{
    while (s.len && (*s.at == ' ' || *s.at == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool http_list_next(struct str *rest, struct str *out)
{
    while (rest->len) {
        const char *comma = memchr(rest->at, ',', rest->len);
        size_t n = comma ? (size_t)(comma - rest->at) : rest->len;
        *out = trim((struct str){rest->at, n});
        n += comma != NULL;
        rest->at += n;
        rest->len -= n;
        if (out->len)
            return true;
    }
    return false;
}

/* RFC 9110, 5.6.2. */
static bool is_tchar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool name_lower(char *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_tchar(at[i]))
            return false;
        at[i] = lower(at[i]);
    }
    return n > 0;
}

/* Does a list like "gzip;q=0.8, br" name the coding, with a weight that is not 0? */
static bool list_wants(struct str list, const char *coding)
{
    struct str item;
    while (http_list_next(&list, &item)) {
        const char *semi = memchr(item.at, ';', item.len);
        struct str name = trim((struct str){item.at, semi ? (size_t)(semi - item.at) : item.len});
        struct str rest = {item.at + name.len, item.len - name.len};
        bool none = http_find(rest, "q=0") && !http_find(rest, "q=0.");
        if (http_same(name, str_of(coding)))
            return !none;
    }
    return false;
}

struct framing {
    unsigned hosts, lengths, codings;
};

/* Of every field of every request: no strlen. */
#define NAMED(f, literal)                                                                          \
    ((f)->name.len == sizeof(literal) - 1 && !memcmp((f)->name.at, literal, sizeof(literal) - 1))

static int take_field(struct http_head *h, const struct http_field *f, struct framing *seen,
                      struct err_text *text)
{
    int64_t n;
    if (NAMED(f, "host")) {
        seen->hosts++;
        h->host = f->value;
    } else if (NAMED(f, "content-length")) {
        seen->lengths++;
        if (f->value.len == 0 || f->value.at[0] < '0' || f->value.at[0] > '9' ||
            str_to_i64(f->value, &n)) {
            err_say(text, ERR_FRAME, "Content-Length must be a number of bytes");
            return 400;
        }
        h->length = (uint64_t)n;
    } else if (NAMED(f, "transfer-encoding")) {
        seen->codings++;
        h->chunked = http_same(f->value, STR_LIT("chunked"));
        if (!h->chunked) {
            err_say(text, ERR_FRAME, "the only Transfer-Encoding taken is chunked");
            return 501;
        }
    } else if (NAMED(f, "expect")) {
        h->expects_continue = http_same(f->value, STR_LIT("100-continue"));
        if (!h->expects_continue) {
            err_say(text, ERR_FRAME, "the only expectation met is 100-continue");
            return 417;
        }
    } else if (NAMED(f, "content-encoding")) {
        bool gzip = http_same(f->value, STR_LIT("gzip")) || http_same(f->value, STR_LIT("x-gzip"));
        bool none = f->value.len == 0 || http_same(f->value, STR_LIT("identity"));
        h->coding = gzip ? CODING_GZIP : none ? h->coding : CODING_UNKNOWN;
    } else if (NAMED(f, "accept-encoding")) {
        h->wants_gzip |= list_wants(f->value, "gzip");
    }
    return 0;
}

static int check_framing(const struct http_head *h, const struct framing *seen,
                         struct err_text *text)
{
    const char *why = NULL;
    if (seen->lengths > 1 || seen->codings > 1 || (seen->lengths && seen->codings))
        why = "one Content-Length or one Transfer-Encoding says where a body ends, not two of them";
    else if (h->chunked && h->http10)
        why = "HTTP/1.0 has no Transfer-Encoding";
    else if (seen->hosts > 1 || (seen->hosts == 0 && !h->http10))
        why = "a request has exactly one Host";
    if (!why)
        return 0;
    err_say(text, ERR_FRAME, "%s", why);
    return 400;
}

static int check_fields(struct http_head *h, struct http_field *fields, struct err_text *text)
{
    struct framing seen = {0};
    for (size_t i = 0; i < h->fields_n; i++) {
        struct http_field *f = &fields[i];
        char *name = (char *)(uintptr_t)f->name.at; /* in the head, which is ours to change */
        if (!name_lower(name, f->name.len)) {
            err_say(text, ERR_FRAME, "a field's name has a character that none may have");
            return 400;
        }
        int status = take_field(h, f, &seen, text);
        if (status)
            return status;
    }
    return check_framing(h, &seen, text);
}

/* ---- target --------------------------------------------------------------------------------- */

/* "/path?query", or "http://host/path?query" as for a proxy, or "*". */
static int split_target(struct http_head *h, struct err_text *text)
{
    struct str t = h->target;
    if (t.len > HTTP_TARGET_BYTES_MAX) {
        err_say(text, ERR_FRAME, "the target has %zu bytes; %zu are the most", t.len,
                HTTP_TARGET_BYTES_MAX);
        return 414;
    }
    const char *authority = http_find(t, "://");
    if (t.len && t.at[0] != '/' && authority) {
        authority += 3;
        size_t left = t.len - (size_t)(authority - t.at);
        size_t n = 0;
        while (n < left && authority[n] != '/' && authority[n] != '?')
            n++;
        h->host = (struct str){authority, n};
        t = (struct str){authority + n, left - n};
        if (t.len == 0)
            t = STR_LIT("/");
    }
    bool star = str_is(t, "*") && h->method == METHOD_OPTIONS;
    if (t.len == 0 || (t.at[0] != '/' && !star) || memchr(t.at, '#', t.len)) {
        err_say(text, ERR_FRAME, "the target must be a path like /topics/orders");
        return 400;
    }
    const char *mark = memchr(t.at, '?', t.len);
    h->path = (struct str){t.at, mark ? (size_t)(mark - t.at) : t.len};
    h->query = mark ? (struct str){mark + 1, t.len - h->path.len - 1} : (struct str){0};
    return 0;
}

int http_head_parse(char *p, size_t n, struct arena *arena, struct http_head *out,
                    struct err_text *text)
{
    *out = (struct http_head){0};
    size_t lines = count_lines(p, n); /* the first and the last are no fields */
    struct parse parse = {.head = out, .fields_max = lines < 2 ? 0 : lines - 2};
    if (parse.fields_max > HTTP_FIELDS_MAX)
        parse.fields_max = HTTP_FIELDS_MAX;
    parse.fields = arena_alloc(arena, parse.fields_max * sizeof *parse.fields);
    if (!parse.fields) {
        err_say(text, ERR_MEMORY, "%s", err_meaning(ERR_MEMORY));
        return 503;
    }
    out->fields = parse.fields;
    int status = run_parser(p, n, &parse, text);
    if (!status)
        status = check_fields(out, parse.fields, text);
    if (!status)
        status = split_target(out, text);
    return status;
}
