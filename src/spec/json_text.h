/* json_text.h: a tree of JSON as text, for people, files and logs.
 *
 * jansson writes a number with a fraction so that it reads back equal, but always with 17 digits:
 * 57.159999999999997 for 57.16. Here it has as few digits as that needs.
 *
 * Any thread.
 */
#pragma once

#include <jansson.h>

/* As json_dumps writes it with these flags, ended by a zero byte; mem_free. NULL: there is none.
 * len may be NULL. */
char *json_text(const json_t *json, size_t flags, size_t *len);
/* A line, or lines, on the standard output. */
void json_text_print(const json_t *json, size_t flags);
