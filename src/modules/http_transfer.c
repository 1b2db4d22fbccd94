#include "modules/http_transfer.h"

#include "io/egress.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONNECT_MS_MAX 10000
#define HEADER_LINE_MAX ((size_t)16 << 10) /* of a call */

/* ---- the request ---------------------------------------------------------------------------- */

static bool fail(struct http_transfer *t, enum http_outcome outcome, const char *why)
{
    http_transfer_fail(t, outcome, why);
    return false;
}

void http_transfer_fail(struct http_transfer *t, enum http_outcome outcome, const char *why)
{
    t->outcome = outcome;
    t->status = 0;
    (void)str_copy(t->error, sizeof t->error, str_of(why));
}

static const char *refusal(const struct http_transfer *t, enum egress class)
{
    if (class == EGRESS_NEVER)
        return "link-local, metadata, multicast and reserved addresses are never a destination";
    if (class == EGRESS_PRIVATE && !t->conf->private_allowed)
        return "private addresses and loopback are not a destination here (--egress-private)";
    return NULL;
}

static bool check_host(struct http_transfer *t, CURLU *url)
{
    const struct curl_module *c = t->conf->curl;
    char *host = NULL;
    enum egress class;
    if (c->url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return fail(t, HTTP_CALL_BAD, "the URL has no host");
    const char *why = egress_of_literal(host, &class) ? refusal(t, class) : NULL;
    c->free(host);
    return why ? fail(t, HTTP_FORBIDDEN, why) : true;
}

static bool check_scheme(struct http_transfer *t, CURLU *url)
{
    const struct curl_module *c = t->conf->curl;
    char *scheme = NULL;
    if (c->url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return fail(t, HTTP_CALL_BAD, "the URL has no scheme: right is http:// or https://");
    bool ok = !strcasecmp(scheme, "http") || !strcasecmp(scheme, "https");
    c->free(scheme);
    return ok ? true : fail(t, HTTP_CALL_BAD, "the URL's scheme must be http or https");
}

static bool check_url(struct http_transfer *t)
{
    const struct curl_module *c = t->conf->curl;
    CURLU *url = c->url();
    if (!url)
        return fail(t, HTTP_UNREACHABLE, "no memory");
    bool ok = c->url_set(url, CURLUPART_URL, t->call->url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    ok = ok ? check_scheme(t, url) && check_host(t, url) : fail(t, HTTP_CALL_BAD, "not a URL");
    c->url_cleanup(url);
    return ok;
}

static bool add_line(struct http_transfer *t, const char *line)
{
    struct curl_slist *list = t->conf->curl->slist_append(t->headers, line);
    if (!list)
        return fail(t, HTTP_UNREACHABLE, "no memory");
    t->headers = list;
    return true;
}

static bool add_header(struct http_transfer *t, const struct http_header *h)
{
    char line[HEADER_LINE_MAX];
    bool named = h->name.len > 0 && !memchr(h->name.at, ':', h->name.len);
    if (!named || !http_is_text(h->name) || !http_is_text(h->value))
        return fail(t, HTTP_CALL_BAD, "a header's name or value has a character that it may not");
    if (h->name.len + h->value.len + 3 > sizeof line)
        return fail(t, HTTP_CALL_BAD, "a header is longer than 16 KiB");
    /* "Name;" is libcurl's way to send a header without a value. */
    snprintf(line, sizeof line, h->value.len > 0 ? "%.*s: %.*s" : "%.*s;%.*s", (int)h->name.len,
             h->name.at, (int)h->value.len, h->value.len > 0 ? h->value.at : "");
    return add_line(t, line);
}

static bool has_content_type(const struct http_call *call)
{
    for (size_t i = 0; i < call->headers_n; i++) {
        struct str name = call->headers[i].name;
        if (name.len == 12 && !strncasecmp(name.at, "content-type", 12))
            return true;
    }
    return false;
}

static bool add_headers(struct http_transfer *t)
{
    if (t->call->headers_n > HTTP_CALL_HEADERS_MAX)
        return fail(t, HTTP_CALL_BAD, "more headers than a call may have");
    for (size_t i = 0; i < t->call->headers_n; i++) {
        if (!add_header(t, &t->call->headers[i]))
            return false;
    }
    /* What libcurl would add by itself: a type that is not the caller's, and the question whether
     * the body is wanted, which costs a round trip, or a second. */
    return (has_content_type(t->call) || add_line(t, "Content-Type:")) && add_line(t, "Expect:");
}

/* ---- what arrives --------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_transfer *t = user;
    (void)purpose;
    enum egress class = egress_of(&address->addr);
    bool to_proxy = t->conf->proxy && class == EGRESS_PRIVATE;
    if (!to_proxy && refusal(t, class)) {
        t->refused = true;
        (void)str_copy(t->error, sizeof t->error, str_of(refusal(t, class)));
        return CURL_SOCKET_BAD;
    }
    t->connected = true;
    return egress_socket(address->family, address->socktype, address->protocol);
}

static struct str trimmed(const char *at, size_t n)
{
    while (n > 0 && strchr(" \t\r\n", at[n - 1]))
        n--;
    while (n > 0 && strchr(" \t", *at)) {
        at++;
        n--;
    }
    return (struct str){at, n};
}

/* Of n bytes more, of head or body. False: there is no room, and the transfer is to end. */
static bool hold(struct http_transfer *t, size_t n)
{
    t->no_room = !budget_share_grow(&t->share, t->arena.used + t->answer.len + n);
    return !t->no_room;
}

/* A copy, in lower case where it is a name; at NULL: no room. */
static struct str keep(struct http_transfer *t, struct str s, bool lower)
{
    char *p = arena_strndup(&t->arena, s.at, s.len);
    for (size_t i = 0; p && lower && i < s.len; i++)
        p[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + ('a' - 'A')) : p[i];
    return (struct str){p, p ? s.len : 0};
}

/* Each answer begins with its status line; only the last one is the answer (100 Continue). */
static size_t header_line(char *at, size_t size, size_t n, void *user)
{
    struct http_transfer *t = user;
    size_t bytes = size * n;
    const char *colon = memchr(at, ':', bytes);
    if (bytes > 5 && !memcmp(at, "HTTP/", 5)) {
        t->answer_headers_n = 0;
        arena_reset(&t->arena);
        return bytes;
    }
    if (!colon || t->answer_headers_n == HTTP_CALL_HEADERS_MAX)
        return bytes;
    if (!hold(t, bytes))
        return 0;
    size_t name_n = (size_t)(colon - at);
    struct http_header h = {keep(t, trimmed(at, name_n), true),
                            keep(t, trimmed(colon + 1, bytes - name_n - 1), false)};
    if (h.name.at && h.value.at)
        t->answer_headers[t->answer_headers_n++] = h;
    return bytes;
}

static size_t answer_limit(const struct http_call *call)
{
    size_t most = HTTP_CALL_ANSWER_BYTES_MAX;
    return call->answer_bytes_max < most ? call->answer_bytes_max : most;
}

/* Fewer bytes than were given end the transfer with CURLE_WRITE_ERROR. */
static size_t body_part(char *at, size_t size, size_t n, void *user)
{
    struct http_transfer *t = user;
    size_t bytes = size * n, room = answer_limit(t->call) - t->answer.len;
    size_t take = bytes < room ? bytes : room;
    if (!hold(t, take))
        return 0;
    if (take > 0)
        wr_bytes(&t->answer, at, take);
    t->answer_cut = t->answer_cut || take < bytes;
    return take;
}

/* libcurl asks for the body in parts, and cannot go back: so it cannot send a request again. */
static size_t body_out(char *out, size_t size, size_t n, void *user)
{
    struct http_transfer *t = user;
    size_t left = t->call->body.len - t->sent, most = size * n;
    size_t take = left < most ? left : most;
    memcpy(out, t->call->body.at + t->sent, take);
    t->sent += take;
    return take;
}

/* ---- options -------------------------------------------------------------------------------- */

/* An option that libcurl does not take would be a check that is not made: none may fail. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (c->easy_setopt(e, option, value) != CURLE_OK)                                          \
            return fail(t, HTTP_UNREACHABLE, "libcurl does not know " #option);                    \
    } while (0)

static bool set_connection(struct http_transfer *t, CURL *e)
{
    const struct curl_module *c = t->conf->curl;
    long timeout = t->call->timeout_ms > 0 ? (long)t->call->timeout_ms : 1;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, (void *)t);
    SET(CURLOPT_PROXY, t->conf->proxy ? t->conf->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (t->conf->ca_file)
        SET(CURLOPT_CAINFO, t->conf->ca_file);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, timeout);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS_MAX ? timeout : (long)CONNECT_MS_MAX);
    return true;
}

static bool set_request(struct http_transfer *t, CURL *e)
{
    const struct curl_module *c = t->conf->curl;
    SET(CURLOPT_URL, t->call->url);
    if (t->call->body.at) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->call->body.len);
        SET(CURLOPT_READFUNCTION, body_out);
        SET(CURLOPT_READDATA, (void *)t);
        /* Where there is nothing to go back in, only a fresh connection is sent to once. */
        SET(CURLOPT_FRESH_CONNECT, t->call->body.len == 0 ? 1L : 0L);
    } else if (!strcmp(t->call->method, "HEAD")) {
        SET(CURLOPT_NOBODY, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, t->call->method);
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
    SET(CURLOPT_HEADERFUNCTION, header_line);
    SET(CURLOPT_HEADERDATA, (void *)t);
    SET(CURLOPT_WRITEFUNCTION, body_part);
    SET(CURLOPT_WRITEDATA, (void *)t);
    SET(CURLOPT_ERRORBUFFER, t->curl_error);
    return true;
}

bool http_transfer_begin(struct http_transfer *t, const struct http_transfer_conf *conf,
                         const struct http_call *call, CURL *easy)
{
    t->conf = conf;
    t->call = call;
    t->easy = easy;
    arena_init(&t->arena, HTTP_TRANSFER_HEADER_BYTES_MAX);
    return check_url(t) && add_headers(t) && set_connection(t, easy) && set_request(t, easy);
}

bool http_transfer_again(struct http_transfer *t, CURLcode code)
{
    const struct curl_module *c = t->conf->curl;
    curl_off_t took_us = 0;
    if (code != CURLE_SEND_FAIL_REWIND || t->fresh)
        return false;
    (void)c->easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &took_us);
    long left = (long)t->call->timeout_ms - (long)(took_us / 1000);
    t->fresh = true;
    t->sent = 0;
    return left > 0 && c->easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           c->easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, left) == CURLE_OK;
}

/* ---- its end -------------------------------------------------------------------------------- */

static const struct {
    CURLcode code;
    enum http_outcome outcome;
} ends[] = {
    {CURLE_OPERATION_TIMEDOUT, HTTP_TIMED_OUT},
    {CURLE_COULDNT_RESOLVE_HOST, HTTP_UNRESOLVED},
    {CURLE_COULDNT_RESOLVE_PROXY, HTTP_UNRESOLVED},
    {CURLE_SSL_CONNECT_ERROR, HTTP_TLS_FAILED},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS_FAILED},
    {CURLE_SSL_CERTPROBLEM, HTTP_TLS_FAILED},
    {CURLE_SSL_CIPHER, HTTP_TLS_FAILED},
    {CURLE_SSL_CACERT_BADFILE, HTTP_TLS_FAILED},
    {CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS_FAILED},
    {CURLE_SSL_ISSUER_ERROR, HTTP_TLS_FAILED},
    {CURLE_WEIRD_SERVER_REPLY, HTTP_ANSWER_BAD},
    {CURLE_UNSUPPORTED_PROTOCOL, HTTP_ANSWER_BAD}, /* an answer in HTTP/0.9 */
    {CURLE_BAD_CONTENT_ENCODING, HTTP_ANSWER_BAD},
    {CURLE_URL_MALFORMAT, HTTP_CALL_BAD},
};

static enum http_outcome outcome_of(const struct http_transfer *t, CURLcode code)
{
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->answer_cut))
        return HTTP_ANSWERED;
    if (code == CURLE_WRITE_ERROR && t->no_room)
        return HTTP_NO_ROOM;
    if (code == CURLE_COULDNT_CONNECT && t->refused && !t->connected)
        return HTTP_FORBIDDEN;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i].code == code)
            return ends[i].outcome;
    }
    return HTTP_UNREACHABLE;
}

void http_transfer_end(struct http_transfer *t, CURLcode code)
{
    const struct curl_module *c = t->conf->curl;
    long status = 0;
    curl_off_t took_us = 0;
    t->outcome = outcome_of(t, code);
    (void)c->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)c->easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &took_us);
    t->took_us = took_us > 0 ? (uint64_t)took_us : 0;
    if (t->outcome == HTTP_ANSWERED) {
        t->status = (int)status;
        t->error[0] = '\0';
    } else if (t->outcome == HTTP_NO_ROOM) {
        (void)str_copy(t->error, sizeof t->error, STR_LIT(HTTP_NO_ROOM_TEXT));
    } else if (t->outcome != HTTP_FORBIDDEN) {
        const char *why = t->curl_error[0] ? t->curl_error : c->easy_strerror(code);
        (void)str_copy(t->error, sizeof t->error, str_of(why));
    }
}

void http_transfer_tell(struct http_transfer *t, struct http_call *call)
{
    bool answered = t->outcome == HTTP_ANSWERED;
    call->outcome = t->outcome;
    call->status = t->status;
    call->answer_headers = t->answer_headers;
    call->answer_headers_n = answered ? t->answer_headers_n : 0;
    call->answer = (struct str){NULL, 0};
    if (answered && t->answer.buf)
        call->answer = (struct str){(const char *)t->answer.buf->data, t->answer.len};
    call->answer_cut = answered && t->answer_cut;
    call->took_us = t->took_us;
    memcpy(call->error, t->error, sizeof call->error);
}

void http_transfer_free(struct http_transfer *t)
{
    if (t->headers)
        t->conf->curl->slist_free_all(t->headers);
    t->headers = NULL;
    arena_free(&t->arena);
    wr_free(&t->answer);
    budget_share_drop(&t->share);
}
