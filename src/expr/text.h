/* text.h: characters of texts: UTF-8, upper and lower case, white space.
 *
 * A character is a code point. A byte that is no part of well-formed UTF-8 (attributes may hold
 * anything) counts as a character of its own and stays as it is. Any thread.
 */
#pragma once

#include "base/str.h"

/* The character at s.at[*i]; *i moves behind it. *i < s.len. A stray byte is 0x80 to 0xff beyond
 * TEXT_STRAY. */
#define TEXT_STRAY 0x110000u
uint32_t text_next(struct str s, size_t *i);
/* Writes the character, at most 4 bytes; returns how many. */
size_t text_put(char *out, uint32_t c);

size_t text_length(struct str s);
/* The bytes that the first n characters take; all of them where there are fewer. */
size_t text_bytes(struct str s, size_t n);
/* s without White_Space of Unicode at its ends. */
struct str text_trim(struct str s);

/* Unicode's simple mappings: one character to one. */
uint32_t text_upper(uint32_t c);
uint32_t text_lower(uint32_t c);

/* Whether a equals b, or a's beginning does, when neither minds upper and lower case. *used: the
 * bytes of a that were b. */
bool text_begins_nocase(struct str a, struct str b, size_t *used);
bool text_equals_nocase(struct str a, struct str b);
bool text_ends_nocase(struct str a, struct str b);
bool text_contains_nocase(struct str a, struct str b);
