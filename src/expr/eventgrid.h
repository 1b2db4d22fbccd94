/* eventgrid.h: Event Grid's filters (the `filter` object of an event subscription, api version
 * 2022-06-15) as programs: one condition an advanced filter, all of them joined by AND.
 *
 * What Event Grid's documentation says about them, as one rule:
 *
 *   A condition looks at the values at its key: the one value, or, with
 *   enableAdvancedFilteringOnArrays, the elements of an array. Values of another type than the
 *   operator's do not count; null is no value. If none is left, only NumberNotIn, StringNotIn and
 *   IsNullOrUndefined match. Else a positive operator matches if it holds for one of the values
 *   with one of the filter's values, and a Not operator if its positive twin does not.
 *
 * Texts are compared without regard to case, as .NET's OrdinalIgnoreCase does it; the case of the
 * subject counts with isSubjectCaseSensitive.
 */
#pragma once

#include "expr/value.h"

#define EVENTGRID_FILTERS_MAX 25
#define EVENTGRID_VALUES_MAX 25 /* of all filters together */
#define EVENTGRID_STRING_CHARS_MAX 512

/* What the filter gives: one value (`value`), several (`values`), pairs of numbers, or nothing. */
enum eventgrid_form { FORM_VALUE, FORM_VALUES, FORM_RANGES, FORM_NONE };

enum eventgrid_base {
    BASE_EQUAL,
    BASE_LESS,
    BASE_LESS_EQUAL,
    BASE_GREATER,
    BASE_GREATER_EQUAL,
    BASE_RANGE,
    BASE_BEGINS,
    BASE_ENDS,
    BASE_CONTAINS,
    BASE_NULL,
};

/* name, what is compared and how, what the filter gives, is it a Not operator, does it match where
 * there is no value. */
#define EVENTGRID_OPERATORS(X)                                                                     \
    X(NumberIn, EXPR_DOUBLE, BASE_EQUAL, FORM_VALUES, false, false)                                \
    X(NumberNotIn, EXPR_DOUBLE, BASE_EQUAL, FORM_VALUES, true, true)                               \
    X(NumberLessThan, EXPR_DOUBLE, BASE_LESS, FORM_VALUE, false, false)                            \
    X(NumberGreaterThan, EXPR_DOUBLE, BASE_GREATER, FORM_VALUE, false, false)                      \
    X(NumberLessThanOrEquals, EXPR_DOUBLE, BASE_LESS_EQUAL, FORM_VALUE, false, false)              \
    X(NumberGreaterThanOrEquals, EXPR_DOUBLE, BASE_GREATER_EQUAL, FORM_VALUE, false, false)        \
    X(NumberInRange, EXPR_DOUBLE, BASE_RANGE, FORM_RANGES, false, false)                           \
    X(NumberNotInRange, EXPR_DOUBLE, BASE_RANGE, FORM_RANGES, true, false)                         \
    X(BoolEquals, EXPR_BOOLEAN, BASE_EQUAL, FORM_VALUE, false, false)                              \
    X(StringIn, EXPR_STRING, BASE_EQUAL, FORM_VALUES, false, false)                                \
    X(StringNotIn, EXPR_STRING, BASE_EQUAL, FORM_VALUES, true, true)                               \
    X(StringBeginsWith, EXPR_STRING, BASE_BEGINS, FORM_VALUES, false, false)                       \
    X(StringEndsWith, EXPR_STRING, BASE_ENDS, FORM_VALUES, false, false)                           \
    X(StringContains, EXPR_STRING, BASE_CONTAINS, FORM_VALUES, false, false)                       \
    X(StringNotBeginsWith, EXPR_STRING, BASE_BEGINS, FORM_VALUES, true, false)                     \
    X(StringNotEndsWith, EXPR_STRING, BASE_ENDS, FORM_VALUES, true, false)                         \
    X(StringNotContains, EXPR_STRING, BASE_CONTAINS, FORM_VALUES, true, false)                     \
    X(IsNullOrUndefined, EXPR_NULL, BASE_NULL, FORM_NONE, false, true)                             \
    X(IsNotNull, EXPR_NULL, BASE_NULL, FORM_NONE, true, false)

enum eventgrid_operator {
#define X(name, type, base, form, negative, missing) EVENTGRID_##name,
    EVENTGRID_OPERATORS(X)
#undef X
        EVENTGRID_OPERATOR_COUNT
};

struct eventgrid_operator_row {
    const char *name;
    enum expr_type type;
    enum eventgrid_base base;
    enum eventgrid_form form;
    bool negative, missing;
};

const struct eventgrid_operator_row *eventgrid_operator_row(enum eventgrid_operator op);

/* One condition: what the value at its key is compared with. values[i], and for ranges high[i]. */
struct eventgrid_test {
    enum eventgrid_operator op;
    bool arrays;     /* elements of an array count */
    bool exact_case; /* of the subject */
    size_t n;
    struct expr_value *values, *high;
};

/* args[0], which may be missing or null, becomes the answer. EXPR_ERROR_GENERIC: an element of an
 * array has more escapes than the scratch has room. */
enum expr_error eventgrid_test_run(const struct eventgrid_test *test, struct expr_value *args,
                                   struct scratch *scratch);
