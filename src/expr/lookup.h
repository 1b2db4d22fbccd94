/* lookup.h: what the programs that run over one event have found out about it so far.
 *
 * An attribute is asked for once, and the payload is scanned once, for all paths together, when the
 * first of them is needed. Whoever evaluates provides the room: one program that of its own names,
 * a set that of the names of all its programs. Lives on the stack of one evaluation.
 */
#pragma once

#include "expr/json_scan.h"
#include "expr/program.h"

struct lookup {
    const struct expr_source *source;
    const struct str *names;
    struct expr_value *attributes; /* valid where the bit in `loaded` is set */
    uint64_t *loaded;
    const struct json_paths *paths;
    struct json_slot *slots; /* valid when scanned */
    bool scanned;
};

/* The value, EXPR_MISSING if it is not there. */
const struct expr_value *lookup_attribute(struct lookup *l, size_t i);
const struct json_slot *lookup_path(struct lookup *l, size_t i);
