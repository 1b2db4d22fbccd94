/* uri.h: percent-encoding (RFC 3986, 2.1) and queries. Pure; what is decoded lies in the arena,
 * what needs no decoding is the input itself. */
#pragma once

#include "base/arena.h"
#include "front/http/request.h"

/* ERR_REQUEST_INVALID: % without two hexadecimal digits, or an encoded NUL. plus: '+' is a blank,
 * as in queries. */
enum err must_use uri_decode(struct str raw, bool plus, struct arena *arena, struct str *out);

/* "a=1&b=x%20y": at most HTTP_QUERY_MAX pairs; a pair without '=' has an empty value. */
enum err must_use uri_query(struct str raw, struct arena *arena, const struct http_field **out,
                            size_t *n, struct err_text *text);

/* Appends s with everything encoded but letters, digits and "-._~". */
void uri_encode(struct wr *w, struct str s);
