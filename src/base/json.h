/* json.h: JSON text (RFC 8259) read in place and written: no tree, no recursion, no allocation.
 *
 * struct jr is a cursor over borrowed text with a sticky error, in the manner of struct rd: walk
 * on, and test at the end. A value that is not entered is skipped whole and checked on the way, and
 * given as its own bytes, so that what is only passed on keeps its digits and its spelling.
 *
 *     jr_init(&j, text);
 *     jr_value(&j, &v);                        one whole value: type and source
 *     or   jr_object(&j); while (jr_member(&j, &name)) jr_value(&j, &v);
 *     or   jr_array(&j);  while (jr_element(&j))       jr_value(&j, &v);
 *     if (!jr_end(&j)) ...                     something was wrong, or follows
 *
 * Strings must be UTF-8 without unpaired surrogates; nesting is limited to JSON_DEPTH_MAX. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 256

enum jr_type { JR_NULL, JR_BOOLEAN, JR_NUMBER, JR_STRING, JR_ARRAY, JR_OBJECT };

struct jr_value {
    enum jr_type type;
    struct str text; /* as in the source; of a string without its quotes */
    bool escaped;    /* a string with escapes: see jr_string */
};

struct jr {
    const char *at, *end;
    const char *from; /* of the whole text, for jr_place */
    const char *bad;  /* what was wrong, in words; NULL: nothing yet */
    bool first;       /* of an object or array that was just entered */
};

void jr_init(struct jr *j, struct str text);
/* The type of the value that comes next, without moving. */
bool jr_peek(struct jr *j, enum jr_type *type);
/* One value, whole; false: there is none that is right. */
bool jr_value(struct jr *j, struct jr_value *out);
/* Enter. What is inside must be walked to its end, by the calls below. */
bool jr_object(struct jr *j);
bool jr_array(struct jr *j);
/* The next member's name, a string; its value comes next. False at the end of the object. */
bool jr_member(struct jr *j, struct jr_value *name);
/* Another element comes next. False at the end of the array. */
bool jr_element(struct jr *j);
/* Nothing was wrong and nothing but white space is left. */
bool jr_end(struct jr *j);
/* The byte at which it went wrong, from 0. */
size_t jr_place(const struct jr *j);

/* The text of a string value: its source where that has no escapes, else decoded in the arena. at
 * NULL: the arena is full. */
struct str jr_string(const struct jr_value *v, struct arena *arena);
/* Is all of it one right JSON value? */
bool json_valid(struct str text);

/* Appends s (at NULL: as "") as a JSON string, quoted. Bytes that are not UTF-8 become U+FFFD. */
void json_write_string(struct wr *w, struct str s);
/* Appends text as it is. */
void json_write_raw(struct wr *w, struct str text);
void json_write_int(struct wr *w, int64_t n);
