/* guard.h: what an event must have for a program to match, where an index can look that up: one
 * attribute equal to one of some texts.
 *
 * A guard is a member of the chain of ANDs that is the whole program: CESQL's `type = 'a'` or
 * `type IN ('a', 'b')`, or a StringIn of Event Grid on an attribute. Where it does not hold, the
 * program is false or an error, so that a filter need not be evaluated.
 */
#pragma once

#include "expr/program.h"

struct guard {
    uint32_t attribute;
    const struct expr_value *texts; /* in the program */
    size_t n;
    bool nocase; /* compared as Event Grid does */
    bool whole;  /* the program is nothing else: where the guard holds, it matches */
};

bool guard_find(const struct expr *e, struct guard *out);
