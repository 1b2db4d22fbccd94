/* json_scan.h: what a set of paths names in a JSON document, found in one pass and without a tree.
 *
 * The whole document is read and must be JSON as RFC 8259 has it: valid UTF-8, no control
 * characters in strings, nothing behind the value, at most JSON_SCAN_DEPTH_MAX containers inside
 * each other. In a document that is not, no path is there, so what is found never depends on which
 * paths were asked for. Of members of one name the last one counts, as for nearly all consumers of
 * JSON: a filter must not see another value than the receiver.
 *
 * A slot refers to the document and is made a value when it is asked for. No allocation, no
 * recursion. Any thread.
 */
#pragma once

#include "expr/json_path.h"
#include "expr/value.h"

#define JSON_SCAN_DEPTH_MAX 128
#define JSON_NUMBER_CHARS_MAX 1024

enum json_kind {
    SLOT_MISSING,
    SLOT_NULL,
    SLOT_TRUE,
    SLOT_FALSE,
    SLOT_NUMBER,
    SLOT_STRING,  /* raw: without the quotes, and without escapes */
    SLOT_ESCAPED, /* raw: without the quotes, with escapes */
    SLOT_ARRAY,
    SLOT_OBJECT,
};

struct json_slot {
    enum json_kind kind;
    struct str raw;
};

/* Fills slots[0 .. paths->slots - 1]. False: the document is not JSON, or not there (at == NULL);
 * all are missing. */
bool json_scan(struct str document, const struct json_paths *paths, struct json_slot *slots);

/* EXPR_MISSING, EXPR_NULL and arrays and objects (EXPR_OTHER, their text) are values as well.
 * EXPR_ERROR_GENERIC: the scratch has no room for a string without its escapes. */
enum expr_error json_value(const struct json_slot *slot, struct scratch *scratch,
                           struct expr_value *out);

/* The elements of an array that json_scan has found: array is its text, *at begins with 0. False
 * behind the last one. */
bool json_next_element(struct str array, size_t *at, struct json_slot *out);
