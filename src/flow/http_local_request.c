#include "flow/http_local_request.h"

#include "flow/ascii.h"

#include <stdio.h>
#include <string.h>

struct request {
    struct str host; /* of the URL */
    struct str target;
    struct wr *head;
    const char **why;
};

static enum http_outcome refuse(const struct request *r, enum http_outcome outcome, const char *why)
{
    *r->why = why;
    return outcome;
}

/* ---- the URL -------------------------------------------------------------------------------- */

static bool put_addr(char addr[PIPE_ADDR_MAX], const char *before, struct str s, const char *behind)
{
    int n = snprintf(addr, PIPE_ADDR_MAX, "%s%.*s%s", before, (int)s.len, s.at, behind);
    return n > 0 && n < PIPE_ADDR_MAX;
}

static struct str rest_of(struct str s, size_t from)
{
    return (struct str){s.at + from, s.len - from};
}

/* "unix:/run/x.sock:/path": the socket's path ends at a colon, or the URL does. */
static enum http_outcome split_unix(struct request *r, struct str url, char addr[PIPE_ADDR_MAX])
{
    struct str path = rest_of(url, strlen("unix:"));
    const char *colon = memchr(path.at, ':', path.len);
    size_t n = colon ? (size_t)(colon - path.at) : path.len;
    r->host = STR_LIT("localhost");
    r->target = colon ? rest_of(path, n + 1) : STR_LIT("");
    path.len = n;
    if (n == 0 || !put_addr(addr, "unix:", path, ""))
        return refuse(r, HTTP_CALL_BAD, "right is http://unix:/path/of/a/socket:/path");
    return HTTP_ANSWERED;
}

static bool is_port(struct str s)
{
    int64_t n;
    return s.len > 0 && s.at[0] >= '0' && s.at[0] <= '9' && str_to_i64(s, &n) == ERR_OK && n > 0 &&
           n <= 65535;
}

static enum http_outcome split_inet(struct request *r, struct str url, char addr[PIPE_ADDR_MAX])
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    size_t n = 0;
    while (n < url.len && !strchr("/?#", url.at[n]))
        n++;
    r->host = (struct str){url.at, n};
    r->target = rest_of(url, n);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t len = strlen(hosts[i]);
        if (n < len || memcmp(url.at, hosts[i], len) != 0)
            continue;
        if (n == len && put_addr(addr, "", r->host, ":80"))
            return HTTP_ANSWERED;
        if (n > len && url.at[len] == ':' && is_port((struct str){url.at + len + 1, n - len - 1}) &&
            put_addr(addr, "", r->host, ""))
            return HTTP_ANSWERED;
    }
    return refuse(r, HTTP_FORBIDDEN,
                  "only http://127.0.0.1:PORT, http://[::1]:PORT and http://unix:/PATH are called "
                  "without a check of where they lead");
}

static enum http_outcome split_url(struct request *r, const char *url, char addr[PIPE_ADDR_MAX])
{
    struct str s = str_of(url);
    if (!ascii_begins(s, "http://"))
        return refuse(r, HTTP_FORBIDDEN, "the URL must begin with http://");
    s = rest_of(s, strlen("http://"));
    enum http_outcome outcome =
        ascii_begins(s, "unix:") ? split_unix(r, s, addr) : split_inet(r, s, addr);
    const char *fragment = memchr(r->target.at, '#', r->target.len);
    if (fragment)
        r->target.len = (size_t)(fragment - r->target.at);
    return outcome;
}

/* ---- the head ------------------------------------------------------------------------------- */

static void put(const struct request *r, struct str s)
{
    wr_bytes(r->head, s.at, s.len);
}

#define PUT(r, literal) put(r, STR_LIT(literal))

/* Letters, digits, and RFC 9110's tchar. */
static bool is_token(struct str s)
{
    static const bool marks[128] = {
        ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
        ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,  ['~'] = 1};
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.at[i], low = ch | 0x20;
        bool letter = low >= 'a' && low <= 'z', digit = ch >= '0' && ch <= '9';
        if (!letter && !digit && (ch >= 128 || !marks[ch]))
            return false;
    }
    return s.len > 0;
}

static bool is_target(struct str s)
{
    return http_is_text(s) && memchr(s.at, ' ', s.len) == NULL && memchr(s.at, '\t', s.len) == NULL;
}

static bool is_framing(struct str name)
{
    static const char *const names[] = {
        "content-length", "transfer-encoding", "connection", "upgrade", "expect", "trailer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (ascii_is(name, names[i]))
            return true;
    }
    return false;
}

static void put_header(const struct request *r, const struct http_header *h)
{
    uint8_t *to = wr_room(r->head, h->name.len + h->value.len + 4);
    memcpy(to, h->name.at, h->name.len);
    to += h->name.len;
    memcpy(to, ": ", 2);
    if (h->value.len > 0)
        memcpy(to + 2, h->value.at, h->value.len);
    memcpy(to + 2 + h->value.len, "\r\n", 2);
}

static enum http_outcome put_headers(const struct request *r, const struct http_call *call,
                                     bool *host, bool *agent)
{
    if (call->headers_n > HTTP_CALL_HEADERS_MAX)
        return refuse(r, HTTP_CALL_BAD, "more headers than a call may have");
    for (size_t i = 0; i < call->headers_n; i++) {
        const struct http_header *h = &call->headers[i];
        if (!is_token(h->name) || !http_is_text(h->value))
            return refuse(r, HTTP_CALL_BAD,
                          "a header's name or value has a character that it may not");
        if (is_framing(h->name))
            return refuse(r, HTTP_CALL_BAD, "a header that frames the message is not the caller's");
        *host |= ascii_is(h->name, "host");
        *agent |= ascii_is(h->name, "user-agent");
        put_header(r, h);
        if (r->head->len > HTTP_LOCAL_HEAD_BYTES_MAX)
            return refuse(r, HTTP_CALL_BAD, "the headers are larger than 1 MiB");
    }
    return HTTP_ANSWERED;
}

static enum http_outcome put_head(const struct request *r, const struct http_call *call)
{
    bool host = false, agent = false;
    struct str method = str_of(call->method);
    if (!is_token(method) || !is_target(r->target) || !http_is_text(r->host))
        return refuse(r, HTTP_CALL_BAD, "the method or the URL has a character that it may not");
    put(r, method);
    wr_u8(r->head, ' ');
    if (r->target.len == 0 || r->target.at[0] != '/')
        wr_u8(r->head, '/');
    put(r, r->target);
    PUT(r, " HTTP/1.1\r\n");
    enum http_outcome outcome = put_headers(r, call, &host, &agent);
    if (outcome != HTTP_ANSWERED)
        return outcome;
    if (!host) {
        PUT(r, "Host: ");
        put(r, r->host);
        PUT(r, "\r\n");
    }
    if (!agent)
        PUT(r, "User-Agent: weir/" WEIR_VERSION "\r\n");
    if (call->body.at) {
        char text[48];
        int n = snprintf(text, sizeof text, "Content-Length: %zu\r\n", call->body.len);
        put(r, (struct str){text, (size_t)n});
    }
    PUT(r, "\r\n");
    return HTTP_ANSWERED;
}

enum http_outcome http_local_request(const struct http_call *call, char addr[PIPE_ADDR_MAX],
                                     struct wr *head, const char **why)
{
    struct request r = {.head = head, .why = why};
    enum http_outcome outcome = split_url(&r, call->url, addr);
    return outcome == HTTP_ANSWERED ? put_head(&r, call) : outcome;
}
