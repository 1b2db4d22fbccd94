/* http_answer.h: an HTTP/1.1 answer as it arrives: bytes in any pieces -> status, headers, body.
 *
 *     http_answer_begin -> http_answer_take, as bytes come -> ANSWER_DONE, _CUT, _BAD
 *                          http_answer_end, when the peer has closed its side
 *
 * The grammar is http_parser's (RFC 9112). A body is framed by Content-Length, by chunks (their
 * trailers are dropped), or by the end of the connection. Answers before the real one (100 Continue
 * and other 1xx) are skipped; 101 is none that was asked for. No more of a body than asked for is
 * kept, and no more of a head than HTTP_ANSWER_HEAD_BYTES_MAX is read. Whoever has a budget of
 * answers sets share.of before the begin; what has no room in it is ANSWER_NO_ROOM.
 *
 * Pure. What it tells points into its own memory, until the next begin, rest or free.
 */
#pragma once

#include "base/budget.h"
#include "base/cursor.h"
#include "broker/http_client.h"

#include <http_parser.h>

#define HTTP_ANSWER_HEAD_BYTES_MAX ((size_t)64 << 10)

enum answer_state {
    ANSWER_MORE, /* is to come */
    ANSWER_DONE,
    ANSWER_CUT,   /* there is more of the body than is wanted; nothing else can be read here */
    ANSWER_SHORT, /* the connection ended before it was whole */
    ANSWER_BAD,   /* no HTTP/1.x; error says why */
    ANSWER_NO_ROOM,
};

struct http_answer_field {
    uint32_t name_at, name_n, value_at, value_n; /* in head */
};

struct http_answer {
    http_parser parser;
    enum answer_state state;
    struct wr head, body;
    struct budget_share share; /* of both */
    struct http_answer_field fields[HTTP_CALL_HEADERS_MAX];
    struct http_header headers[HTTP_CALL_HEADERS_MAX]; /* when it is done */
    size_t fields_n;                                   /* may be more than are kept */
    size_t head_bytes, body_max;
    bool in_value, headers_over, no_body, keep_alive;
    uint32_t keep_alive_s; /* "Keep-Alive: timeout=": how long the peer keeps an idle connection */
    const char *error;
};

/* Zeroed memory is one that has not begun. no_body: of HEAD. body_max: bytes. */
void http_answer_begin(struct http_answer *a, bool no_body, size_t body_max);
/* How many of the n bytes belong to the answer is in *used. */
enum answer_state http_answer_take(struct http_answer *a, const void *p, size_t n, size_t *used);
enum answer_state http_answer_end(struct http_answer *a);
/* Of one that is DONE or CUT: status, headers, body, answer_cut. */
void http_answer_tell(struct http_answer *a, struct http_call *call);
/* What it told is not needed any more: its memory goes, but for a little for the next one. */
void http_answer_rest(struct http_answer *a);
void http_answer_free(struct http_answer *a);
