/* functions.h: CESQL's functions (section 3.5 and the casts) as one table.
 *
 * A function is found by its name, which knows no case, and its number of arguments. Arguments come
 * cast to the types that the row names. A function that fails still leaves a value of its type.
 */
#pragma once

#include "expr/value.h"

enum function_type {
    FUNCTION_ANY,
    FUNCTION_STRING,
    FUNCTION_INTEGER, /* a whole number */
    FUNCTION_NUMBER,  /* a double stays one */
};

struct function {
    const char *name;
    uint8_t args, args_max;
    bool wide;                /* with a wide argument, so is the result (program.h) */
    enum function_type in[3]; /* of further arguments: the last one's */
    enum expr_type out;
    /* wide: the integers are of 64 bits. */
    enum expr_error (*run)(struct expr_value *args, size_t n, bool wide, struct scratch *scratch,
                           struct expr_value *out);
};

#define FUNCTION_ARGS_MAX 48 /* that CONCAT takes; EXPR_STACK_MAX bounds them too */

size_t function_count(void);
const struct function *function_at(size_t i);
/* The function of this name with n arguments; false: there is none. *near is then a function of
 * that name, or the name most like it, or NULL. */
bool function_find(struct str name, size_t n, size_t *out, const struct function **near);
/* out may be args. */
enum expr_error function_call(const struct function *f, struct expr_value *args, size_t n,
                              bool wide, struct scratch *scratch, struct expr_value *out);
