/* http_curl.h: broker/http_client.h by libcurl.
 *
 *      reactor                              the client's own thread
 *      http_call    -- mailbox, wakeup -->  curl_multi: resolves, connects, sends, receives
 *      done         <------- mail --------  what came of it
 *
 * One client a reactor, made and called on it. Its thread starts with the first call and loads
 * libcurl there (curl_module.h); where that fails, calls fail with the reason, and the next one
 * tries again. Connections are kept and reused; HTTP/2 where TLS agrees on it. Certificates are
 * checked against the system's authorities or ca_file. A call over a kept connection that turns out
 * to be dead, without a byte of an answer, is made once more over a fresh one, and no more.
 * Nothing is taken from the environment: no proxy, no netrc.
 *
 * Addresses (io/egress.h) are checked when a socket is made for them, so after resolution, and an
 * address in the URL's text before that, so that a proxy does not reach it either. With a proxy
 * names are the proxy's to resolve, and to check.
 */
#pragma once

#include "base/budget.h"
#include "base/err.h"
#include "broker/env.h"
#include "broker/http_client.h"

#include <stdbool.h>

struct http_curl_conf {
    struct env *env;
    struct budget *answers; /* of the reactor's (broker/http_client.h); NULL: no limit */
    const char *ca_file;    /* PEM; NULL: the system's authorities */
    const char *proxy;      /* "http://HOST:PORT"; NULL: none */
    bool private_allowed;   /* private addresses and loopback */
};

/* The budget and the texts of the conf stay the caller's, and valid. */
struct http_client *http_curl_make(const struct http_curl_conf *conf);
/* Ends the thread, on the reactor's thread or when its loop will not turn again. Calls that are
 * under way are not answered any more, and none may be made. Before the loop is freed. */
void http_curl_stop(struct http_client *c);
/* After http_curl_stop, and after the loop is freed: its mail may be ours. */
void http_curl_free(struct http_client *c);
