/* Who may not use weir from a browser. Programs send neither Origin nor Sec-Fetch-Site, and reach a
 * loopback listener by an address or as localhost; so this costs them nothing.
 *
 * - DNS rebinding: a page of evil.example, whose name its owner points to 127.0.0.1 after it was
 *   loaded, is of the same origin as weir for the browser, but its requests say Host: evil.example.
 * - Cross-site requests: a page of another origin can send simple requests without asking first,
 *   which say Origin, or Sec-Fetch-Site where they have no Origin. The CloudEvents webhook protocol
 *   uses Origin too, but with a DNS name where browsers have a URL.
 *
 * Pages of origins that are named (http_conf.origins) may; they are told so in the fields of CORS
 * (WHATWG Fetch, 3.2), before a request that is not simple in the answer to OPTIONS.
 */
#include "front/http/conn.h"

#include <string.h>

/* Host without its port: "[::1]:80" -> "[::1]". */
static struct str host_name(struct str host)
{
    const char *end = NULL;
    if (host.len && host.at[0] == '[')
        end = memchr(host.at, ']', host.len);
    if (end)
        return (struct str){host.at, (size_t)(end - host.at) + 1};
    end = memchr(host.at, ':', host.len);
    return (struct str){host.at, end ? (size_t)(end - host.at) : host.len};
}

static bool is_address(struct str name)
{
    bool dots = name.len > 0;
    if (name.len && name.at[0] == '[')
        return true;
    for (size_t i = 0; i < name.len; i++)
        dots &= name.at[i] == '.' || (name.at[i] >= '0' && name.at[i] <= '9');
    return dots;
}

static bool is_ours(const struct http_conf *conf, struct str name)
{
    if (name.len && name.at[name.len - 1] == '.')
        name.len--;
    if (is_address(name) || http_same(name, STR_LIT("localhost")))
        return true;
    for (unsigned i = 0; i < conf->hosts_n; i++) {
        if (http_same(name, str_of(conf->hosts[i])))
            return true;
    }
    return false;
}

/* Is "scheme://host:port" of this very server? */
static bool same_origin(struct str origin, struct str host)
{
    const char *colon = http_find(origin, "://");
    if (!colon)
        return false;
    size_t skip = (size_t)(colon - origin.at) + 3;
    return http_same((struct str){origin.at + skip, origin.len - skip}, host);
}

static bool is_invited(const struct http_conf *conf, struct str origin)
{
    for (unsigned i = 0; i < conf->origins_n; i++) {
        if (http_same(origin, str_of(conf->origins[i])))
            return true;
    }
    return false;
}

static bool is_foreign_page(const struct http_request *rq, struct str host)
{
    struct str origin = http_field(rq, "origin");
    struct str site = http_field(rq, "sec-fetch-site");
    bool url = http_find(origin, "://") != NULL;
    if (url || str_is(origin, "null"))
        return !same_origin(origin, host);
    bool foreign = str_is(site, "cross-site") || str_is(site, "same-site");
    bool looks_only = str_is(http_field(rq, "sec-fetch-mode"), "navigate") &&
                      rq->method == METHOD_GET; /* somebody follows a link */
    return foreign && !looks_only;
}

#define METHODS "GET, HEAD, POST, PUT, PATCH, DELETE"

/* Lets the browser show the answer to the page that asked. */
static void welcome(struct http_request *rq, struct str origin)
{
    struct str wanted = http_field(rq, "access-control-request-headers");
    http_header(rq, "Access-Control-Allow-Origin", "%.*s", (int)origin.len, origin.at);
    http_header(rq, "Vary", "Origin");
    if (rq->method != METHOD_OPTIONS) {
        http_header(rq, "Access-Control-Expose-Headers", "*");
        return;
    }
    http_header(rq, "Access-Control-Allow-Methods", METHODS);
    http_header(rq, "Access-Control-Max-Age", "600");
    if (wanted.len)
        http_header(rq, "Access-Control-Allow-Headers", "%.*s", (int)wanted.len, wanted.at);
}

enum err http_origin_check(struct http_request *rq, struct str host, struct err_text *text)
{
    const struct http_conn *conn = rq->conn;
    struct str origin = http_field(rq, "origin");
    if (host.len && conn->loopback && !is_ours(&conn->front->conf, host_name(host)))
        return err_say(text, ERR_POLICY,
                       "Host is %.*s, but a listener on loopback is reached by an address, as "
                       "localhost or by a name of --http-host: this keeps web pages out (DNS "
                       "rebinding)",
                       (int)(host.len < 100 ? host.len : 100), host.at);
    if (origin.len && is_invited(&conn->front->conf, origin))
        welcome(rq, origin);
    else if (is_foreign_page(rq, host))
        return err_say(text, ERR_POLICY,
                       "the request is of a web page of another origin, which may not use weir "
                       "unless --http-origin names it");
    return ERR_OK;
}
