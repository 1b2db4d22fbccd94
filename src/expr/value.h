/* value.h: the values of an evaluation: how they are cast, compared, read from text and printed.
 *
 * CESQL has three types, Boolean, Integer and String, and casts between all of them (section 3.7).
 * Data paths add numbers beyond 32 bits, doubles, and arrays and objects, which count as the String
 * that is their JSON text. "Number" below is Integer or Double, whichever the value is.
 *
 * Casts work in place. A failed one leaves the target type's zero value, as CESQL wants. Texts that
 * a cast makes are written to the scratch of the evaluation and live as long. Any thread.
 */
#pragma once

#include "expr/expr.h"

#define VALUE_NUMBER_CHARS_MAX 32 /* printed, with the NUL */

/* Room for the texts of one evaluation: taken from the front, given back all at once. */
struct scratch {
    char *at;
    size_t used, cap;
};

/* n bytes; NULL when they are not there, which becomes EXPR_ERROR_GENERIC. */
char *scratch_take(struct scratch *s, size_t n);

static inline struct expr_value value_boolean(bool b)
{
    return (struct expr_value){.type = EXPR_BOOLEAN, .boolean = b};
}

static inline struct expr_value value_integer(int64_t i)
{
    return (struct expr_value){.type = EXPR_INTEGER, .integer = i};
}

static inline struct expr_value value_double(double d)
{
    return (struct expr_value){.type = EXPR_DOUBLE, .number = d};
}

static inline struct expr_value value_string(struct str text)
{
    return (struct expr_value){.type = EXPR_STRING, .text = text};
}

/* false, 0 or "". */
struct expr_value value_zero(enum expr_type type);

/* to: EXPR_BOOLEAN, EXPR_INTEGER (a number: a double stays one), EXPR_DOUBLE (a number as well, but
 * a string may be any decimal number rather than a 32-bit Integer) or EXPR_STRING. Null and missing
 * values do not come here. */
enum expr_error value_cast(struct expr_value *v, enum expr_type to, struct scratch *scratch);
/* A number without its fraction; EXPR_ERROR_CAST if it does not fit 64 bits. */
enum expr_error value_to_whole(struct expr_value *v, struct scratch *scratch);

/* x = y by CESQL's rule: x is cast to the type of y. */
enum expr_error value_equals(struct expr_value *x, struct expr_value y, struct scratch *scratch,
                             bool *equal);
/* -1, 0 or 1 as a is below, equal to or above b, both numbers, exactly: an integer that no double
 * can hold is not equal to its neighbour that one can. NaN, which JSON does not have, is above all.
 */
int value_compare(const struct expr_value *a, const struct expr_value *b);

/* A whole decimal number of 32 bits with an optional sign, and nothing else. */
bool value_read_int32(struct str text, int64_t *out);
/* A number as JSON writes it. An integer that 64 bits do not hold becomes a double. */
bool value_read_number(struct str text, struct expr_value *out);
/* The shortest decimal text that reads back as the same number; returns its length. */
size_t value_print_number(const struct expr_value *v, char out[VALUE_NUMBER_CHARS_MAX]);
