/* base64.h: bytes as text and back (RFC 4648, section 4: with padding). Pure; any thread.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters for n bytes, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(n) characters and a NUL. */
void base64_encode(char *out, const void *p, size_t n);
/* False: not base64 (whole groups of four, padding where it is due, no other characters, unused
 * bits zero), or more than cap bytes. */
bool base64_decode(struct str text, void *out, size_t cap, size_t *n);
