/* curl_module.h: libcurl, loaded at first use.
 *
 * weir does not link libcurl: it brings some thirty libraries with it, which a broker that calls
 * nobody should not carry. Its headers are used at build time only. After curl_module_load every
 * function stands in one struct under its own name without the prefix curl_: c->easy_init() is
 * curl_easy_init().
 *
 * Any thread; what is returned is read-only and never unloaded. Loading blocks for some ms.
 * Source: libcurl 7.88's curl.h.
 */
#pragma once

#include "base/err.h"

#include <curl/curl.h>

#define CURL_MODULE_FUNCTIONS(X)                                                                   \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_perform)                                                                                \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_cleanup)                                                                                \
    X(easy_strerror)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(url)                                                                                         \
    X(url_set)                                                                                     \
    X(url_get)                                                                                     \
    X(url_cleanup)                                                                                 \
    X(free)                                                                                        \
    X(multi_init)                                                                                  \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_wakeup)                                                                                \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)

struct curl_module {
#define X(name) __typeof__(curl_##name) *name;
    CURL_MODULE_FUNCTIONS(X)
#undef X
};

/* ERR_NOT_FOUND: the library, or one of its functions, is not there; the text names the Debian
 * package. Asked again it looks again. */
enum err curl_module_load(const struct curl_module **out, struct err_text *text) must_use;
