/* head.h: the head of a request: bytes -> method, target, fields, and what they say of the body.
 *
 * Strict, so that no proxy before weir and weir itself can see two different requests in the same
 * bytes (RFC 9112, 11.2): refused are bare CR and LF, folded lines, blanks before a colon, a
 * Content-Length beside a Transfer-Encoding or twice, any transfer coding but `chunked`, and
 * anything but exactly one Host. Pure; the strings point into the head, whose field names become
 * lower case in place.
 */
#pragma once

#include "front/http/request.h"

enum http_coding { CODING_IDENTITY, CODING_GZIP, CODING_UNKNOWN };

struct http_head {
    enum method method;
    struct str target;      /* as it came */
    struct str path, query; /* of it, without "?" */
    struct str host;        /* of an absolute target, else of Host; empty with HTTP/1.0 only */
    const struct http_field *fields;
    size_t fields_n;
    uint64_t length; /* of the body, 0: none or chunked */
    enum http_coding coding;
    bool chunked, http10, keep_alive, expects_continue, wants_gzip;
};

/* Looks for the end of the head at p. *line: where the line begins that is not whole yet; 0 at
 * first, kept by the caller between calls as more bytes come. *end: behind the empty line, 0: more
 * is needed. ERR_FRAME: a line does not end in CR LF, or is folded. */
enum err must_use http_head_end(const char *p, size_t n, size_t *line, size_t *end,
                                struct err_text *text);

/* Parses the head of n bytes. 0, or the status to refuse it with; then text says why. */
int must_use http_head_parse(char *p, size_t n, struct arena *arena, struct http_head *out,
                             struct err_text *text);

/* The value of the first field of that name; at NULL: none. */
struct str http_fields_get(const struct http_field *fields, size_t n, struct str name);
/* Walks a comma-separated list: the next element without blanks around it; false at the end. */
bool http_list_next(struct str *rest, struct str *out);
/* Where the text begins in s; NULL: nowhere. */
const char *http_find(struct str s, const char *what);
/* ASCII letters in any case. */
bool http_same(struct str a, struct str b);
