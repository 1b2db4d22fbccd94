/* http_transfer.h: one call as one transfer of libcurl: its options, what arrives, and what its end
 * means. Inside of modules/ only; on the thread that owns the handles.
 */
#pragma once

#include "base/arena.h"
#include "base/budget.h"
#include "base/cursor.h"
#include "broker/http_client.h"
#include "modules/curl_module.h"

#define HTTP_TRANSFER_HEADER_BYTES_MAX ((size_t)64 << 10) /* of an answer; the rest is dropped */

struct http_transfer_conf {
    const struct curl_module *curl;
    const char *ca_file, *proxy; /* NULL: none */
    bool private_allowed;
};

struct http_transfer {
    const struct http_transfer_conf *conf;
    const struct http_call *call; /* read only */
    CURL *easy;                   /* the owner's */
    struct curl_slist *headers;
    bool refused, connected; /* an address was refused, a socket was made */
    size_t sent;             /* of the body */
    bool fresh;              /* on a connection of its own */
    /* What arrived. */
    struct arena arena;
    struct http_header answer_headers[HTTP_CALL_HEADERS_MAX];
    size_t answer_headers_n;
    struct wr answer;
    struct budget_share share; /* of the answer */
    bool answer_cut, no_room;
    /* What came of it. */
    enum http_outcome outcome;
    int status;
    uint64_t took_us;
    char error[sizeof(((struct http_call *)0)->error)];
    char curl_error[CURL_ERROR_SIZE];
};

/* Prepares the handle. False: the call cannot be made; outcome and error say why. */
bool http_transfer_begin(struct http_transfer *t, const struct http_transfer_conf *conf,
                         const struct http_call *call, CURL *easy);
/* It ended because a kept connection was dead: true, and the handle is prepared for once more, on a
 * fresh one. By itself libcurl would try one kept connection after the other, and the endpoint
 * might get the same request as often. */
bool http_transfer_again(struct http_transfer *t, CURLcode code);
/* The transfer ended so: fills what came of it. */
void http_transfer_end(struct http_transfer *t, CURLcode code);
/* It did not take place. */
void http_transfer_fail(struct http_transfer *t, enum http_outcome outcome, const char *why);
/* Lends what arrived to the call, until http_transfer_free. */
void http_transfer_tell(struct http_transfer *t, struct http_call *call);
void http_transfer_free(struct http_transfer *t);
