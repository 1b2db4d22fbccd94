/* The conditions of Event Grid's filters at work; eventgrid.c compiles them. */
#include "expr/eventgrid.h"

#include "base/assert.h"
#include "expr/json_scan.h"
#include "expr/text.h"

#include <string.h>

const struct eventgrid_operator_row *eventgrid_operator_row(enum eventgrid_operator op)
{
    static const struct eventgrid_operator_row rows[] = {
#define X(name, type, base, form, negative, missing) {#name, type, base, form, negative, missing},
        EVENTGRID_OPERATORS(X)
#undef X
    };
    weir_assert(op < EVENTGRID_OPERATOR_COUNT);
    return &rows[op];
}

static bool same_text(struct str a, struct str b, bool exact_case)
{
    return exact_case ? str_eq(a, b) : text_equals_nocase(a, b);
}

static bool text_begins(struct str a, struct str b, bool exact_case)
{
    size_t used;
    if (!exact_case)
        return text_begins_nocase(a, b, &used);
    return a.len >= b.len && str_eq((struct str){a.at, b.len}, b);
}

static bool text_ends(struct str a, struct str b, bool exact_case)
{
    if (!exact_case)
        return text_ends_nocase(a, b);
    return a.len >= b.len && str_eq((struct str){a.at + (a.len - b.len), b.len}, b);
}

static bool text_holds(const struct eventgrid_test *t, enum eventgrid_base base, struct str v,
                       struct str want)
{
    switch (base) {
    case BASE_EQUAL:
        return same_text(v, want, t->exact_case);
    case BASE_BEGINS:
        return text_begins(v, want, t->exact_case);
    case BASE_ENDS:
        return text_ends(v, want, t->exact_case);
    default:
        return text_contains_nocase(v, want);
    }
}

static bool number_holds(const struct eventgrid_test *t, enum eventgrid_base base,
                         const struct expr_value *v, size_t i)
{
    int order = value_compare(v, &t->values[i]);
    switch (base) {
    case BASE_EQUAL:
        return order == 0;
    case BASE_LESS:
        return order < 0;
    case BASE_LESS_EQUAL:
        return order <= 0;
    case BASE_GREATER:
        return order > 0;
    case BASE_GREATER_EQUAL:
        return order >= 0;
    default:
        return order >= 0 && value_compare(v, &t->high[i]) <= 0;
    }
}

/* Does the positive operator hold for this value, which is of its type? */
static bool holds(const struct eventgrid_test *t, const struct expr_value *v)
{
    const struct eventgrid_operator_row *row = eventgrid_operator_row(t->op);
    bool found = row->base == BASE_NULL; /* there is a value: IsNotNull says so below */
    for (size_t i = 0; i < t->n && !found; i++) {
        if (row->type == EXPR_STRING)
            found = text_holds(t, row->base, v->text, t->values[i].text);
        else if (row->type == EXPR_BOOLEAN)
            found = v->boolean == t->values[i].boolean;
        else
            found = number_holds(t, row->base, v, i);
    }
    return found;
}

static bool counts(const struct eventgrid_operator_row *row, enum expr_type type)
{
    if (type == EXPR_MISSING || type == EXPR_NULL)
        return false;
    if (row->type == EXPR_DOUBLE)
        return type == EXPR_DOUBLE || type == EXPR_INTEGER;
    return row->type == EXPR_NULL || type == row->type;
}

/* What the values at the key came to. */
struct tally {
    bool any;  /* one counted */
    bool held; /* for one the positive operator did */
};

static void tally_value(const struct eventgrid_test *t, const struct expr_value *v,
                        struct tally *tally)
{
    if (!counts(eventgrid_operator_row(t->op), v->type))
        return;
    tally->any = true;
    tally->held = tally->held || holds(t, v);
}

static enum expr_error tally_elements(const struct eventgrid_test *t, struct str array,
                                      struct scratch *scratch, struct tally *tally)
{
    struct json_slot slot;
    size_t at = 0;
    while (!tally->held && json_next_element(array, &at, &slot)) {
        struct expr_value v;
        size_t used = scratch->used;
        enum expr_error error = json_value(&slot, scratch, &v);
        if (error != EXPR_OK)
            return error;
        tally_value(t, &v, tally);
        scratch->used = used;
    }
    return EXPR_OK;
}

enum expr_error eventgrid_test_run(const struct eventgrid_test *test, struct expr_value *args,
                                   struct scratch *scratch)
{
    const struct eventgrid_operator_row *row = eventgrid_operator_row(test->op);
    struct expr_value v = args[0];
    struct tally tally = {false, false};
    enum expr_error error = EXPR_OK;
    bool array = v.type == EXPR_OTHER && v.text.at[0] == '[';
    if (array && test->arrays && row->base != BASE_NULL)
        error = tally_elements(test, v.text, scratch, &tally);
    else
        tally_value(test, &v, &tally);
    bool match = !tally.any               ? row->missing
                 : row->base == BASE_NULL ? row->negative
                                          : tally.held != row->negative;
    args[0] = value_boolean(error == EXPR_OK && match);
    return error;
}
