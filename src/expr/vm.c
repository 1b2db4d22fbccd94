#include "expr/vm.h"

#include "base/assert.h"
#include "expr/eventgrid.h"
#include "expr/functions.h"

#include <math.h>

/* ---- arithmetic ----------------------------------------------------------------------------- */

/* False: it does not fit 64 bits. */
static bool integer_result(enum program_op op, int64_t x, int64_t y, int64_t *out)
{
    switch (op) {
    case OP_ADD:
        return !__builtin_add_overflow(x, y, out);
    case OP_SUBTRACT:
        return !__builtin_sub_overflow(x, y, out);
    case OP_MULTIPLY:
        return !__builtin_mul_overflow(x, y, out);
    case OP_DIVIDE:
        if (y == 0 || (y == -1 && x == INT64_MIN))
            return false;
        *out = x / y;
        return true;
    case OP_MODULO:
        if (y == 0)
            return false;
        *out = y == -1 ? 0 : x % y;
        return true;
    default:
        weir_unreachable();
    }
}

static double as_double(const struct expr_value *v)
{
    return v->type == EXPR_DOUBLE ? v->number : (double)v->integer;
}

/* False: it is no number, or beyond the largest one. */
static bool double_result(enum program_op op, double x, double y, double *out)
{
    switch (op) {
    case OP_ADD:
        *out = x + y;
        break;
    case OP_SUBTRACT:
        *out = x - y;
        break;
    case OP_MULTIPLY:
        *out = x * y;
        break;
    case OP_DIVIDE:
        *out = x / y;
        break;
    case OP_MODULO:
        *out = fmod(x, y);
        break;
    default:
        weir_unreachable();
    }
    return isfinite(*out);
}

static enum expr_error arithmetic(enum program_op op, bool wide, struct expr_value *args)
{
    int64_t i;
    double d;
    if (args[0].type == EXPR_INTEGER && args[1].type == EXPR_INTEGER) {
        bool fits = integer_result(op, args[0].integer, args[1].integer, &i) &&
                    (wide || (i >= INT32_MIN && i <= INT32_MAX));
        args[0] = value_integer(fits ? i : 0);
        return fits ? EXPR_OK : EXPR_ERROR_MATH;
    }
    if (!double_result(op, as_double(&args[0]), as_double(&args[1]), &d)) {
        args[0] = value_integer(0);
        return EXPR_ERROR_MATH;
    }
    args[0] = value_double(d);
    return EXPR_OK;
}

static bool compares(enum program_op op, int order)
{
    switch (op) {
    case OP_LESS:
        return order < 0;
    case OP_LESS_EQUAL:
        return order <= 0;
    case OP_GREATER:
        return order > 0;
    default:
        return order >= 0;
    }
}

/* An operator on two numbers. Where they come from data, texts are cast as JSON's numbers. */
static enum expr_error numeric(const struct op *op, struct expr_value *args)
{
    bool wide = (op->flags & PROGRAM_WIDE) != 0, order = op->code >= OP_LESS;
    for (int i = 0; i < 2; i++) {
        enum expr_error error = value_cast(&args[i], wide ? EXPR_DOUBLE : EXPR_INTEGER, NULL);
        if (error != EXPR_OK) {
            args[0] = value_zero(order ? EXPR_BOOLEAN : EXPR_INTEGER);
            return error;
        }
    }
    if (!order)
        return arithmetic(op->code, wide, args);
    args[0] = value_boolean(compares(op->code, value_compare(&args[0], &args[1])));
    return EXPR_OK;
}

static enum expr_error negate(const struct op *op, struct expr_value *args)
{
    struct expr_value pair[2] = {value_integer(0), args[0]};
    struct op subtract = {.code = OP_SUBTRACT, .flags = op->flags};
    enum expr_error error = numeric(&subtract, pair);
    args[0] = pair[0];
    return error;
}

/* ---- everything else ------------------------------------------------------------------------ */

static enum expr_error equal(const struct op *op, struct expr_value *args, struct scratch *scratch)
{
    bool same;
    enum expr_error error = value_equals(&args[0], args[1], scratch, &same);
    args[0] = value_boolean(error == EXPR_OK && same == (op->code == OP_EQUAL));
    return error;
}

static enum expr_error logic_not(struct expr_value *args)
{
    enum expr_error error = value_cast(&args[0], EXPR_BOOLEAN, NULL);
    args[0].boolean = error == EXPR_OK && !args[0].boolean;
    return error;
}

static enum expr_error logic_xor(struct expr_value *args)
{
    enum expr_error error = value_cast(&args[0], EXPR_BOOLEAN, NULL);
    if (error == EXPR_OK)
        error = value_cast(&args[1], EXPR_BOOLEAN, NULL);
    args[0] = value_boolean(error == EXPR_OK && args[0].boolean != args[1].boolean);
    return error;
}

static enum expr_error like(const struct expr *e, const struct op *op, struct expr_value *args,
                            struct scratch *scratch)
{
    bool match = false;
    enum expr_error error = value_cast(&args[0], EXPR_STRING, scratch);
    if (error == EXPR_OK)
        error = like_match(e->likes[op->a], args[0].text, &match);
    args[0] = value_boolean(error == EXPR_OK && match);
    return error;
}

static enum expr_error in_set(const struct expr *e, const struct op *op, struct expr_value *args,
                              struct scratch *scratch)
{
    struct expr_value x = args[0];
    bool same = false;
    enum expr_error error = EXPR_OK;
    for (size_t i = 0; i < op->b && !same && error == EXPR_OK; i++) {
        struct expr_value element = e->constants[op->a + i];
        size_t used = scratch->used;
        error = value_equals(&element, x, scratch, &same);
        scratch->used = used;
    }
    args[0] = value_boolean(error == EXPR_OK && same);
    return error;
}

enum expr_error vm_operator(const struct expr *e, const struct op *op, struct expr_value *args,
                            struct scratch *scratch)
{
    switch ((enum program_op)op->code) {
    case OP_NOT:
        return logic_not(args);
    case OP_NEGATE:
        return negate(op, args);
    case OP_BOOLEAN:
        return value_cast(&args[0], EXPR_BOOLEAN, scratch);
    case OP_ADD:
    case OP_SUBTRACT:
    case OP_MULTIPLY:
    case OP_DIVIDE:
    case OP_MODULO:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
        return numeric(op, args);
    case OP_EQUAL:
    case OP_NOT_EQUAL:
        return equal(op, args, scratch);
    case OP_XOR:
        return logic_xor(args);
    case OP_LIKE:
        return like(e, op, args, scratch);
    case OP_IN_SET:
        return in_set(e, op, args, scratch);
    case OP_CALL:
        return function_call(function_at(op->a), args, op->b, (op->flags & PROGRAM_WIDE) != 0,
                             scratch, &args[0]);
    case OP_TEST:
        return eventgrid_test_run(e->tests[op->a], args, scratch);
    default:
        weir_unreachable();
    }
}

/* ---- running -------------------------------------------------------------------------------- */

struct vm {
    const struct expr *e;
    struct lookup *lookup;
    const uint16_t *attribute_at, *path_at;
    struct scratch *scratch;
};

static const struct expr_value *attribute(const struct vm *vm, uint32_t a)
{
    return lookup_attribute(vm->lookup, vm->attribute_at != NULL ? vm->attribute_at[a] : a);
}

static const struct json_slot *path(const struct vm *vm, uint32_t a)
{
    return lookup_path(vm->lookup, vm->path_at != NULL ? vm->path_at[a] : a);
}

static bool is_there(enum expr_type type)
{
    return type != EXPR_MISSING && type != EXPR_NULL;
}

/* Ops that push what the event holds. */
static enum expr_error load(const struct vm *vm, const struct op *op, struct expr_value *out)
{
    enum expr_error error = EXPR_OK;
    switch (op->code) {
    case OP_ATTRIBUTE:
    case OP_ATTRIBUTE_IF:
        *out = *attribute(vm, op->a);
        break;
    case OP_EXISTS_ATTRIBUTE:
        *out = value_boolean(is_there(attribute(vm, op->a)->type));
        return EXPR_OK;
    case OP_EXISTS_DATA:
        *out = value_boolean(path(vm, op->a)->kind > SLOT_NULL);
        return EXPR_OK;
    default:
        error = json_value(path(vm, op->a), vm->scratch, out);
        break;
    }
    bool must = op->code == OP_ATTRIBUTE || op->code == OP_DATA;
    if (error == EXPR_OK && must && !is_there(out->type))
        error = EXPR_ERROR_MISSING_ATTRIBUTE;
    if (error != EXPR_OK)
        *out = value_boolean(false);
    return error;
}

enum expr_error vm_run(const struct expr *e, struct lookup *lookup, const uint16_t *attribute_at,
                       const uint16_t *path_at, struct scratch *scratch, struct expr_value *out)
{
    const struct vm vm = {e, lookup, attribute_at, path_at, scratch};
    struct expr_value stack[EXPR_STACK_MAX], *top = stack; /* behind the last value */
    enum expr_error error = EXPR_OK;
    size_t pc = 0;
    bool same;
    while (pc < e->ops_n && error == EXPR_OK) {
        const struct op *op = &e->ops[pc++];
        switch (op->code) {
        case OP_CONSTANT:
            *top++ = e->constants[op->a];
            break;
        case OP_ATTRIBUTE:
        case OP_ATTRIBUTE_IF:
        case OP_DATA:
        case OP_DATA_IF:
        case OP_EXISTS_ATTRIBUTE:
        case OP_EXISTS_DATA:
            error = load(&vm, op, top++);
            break;
        case OP_AND:
        case OP_OR:
            error = value_cast(&top[-1], EXPR_BOOLEAN, scratch);
            if (error == EXPR_OK && top[-1].boolean == (op->code == OP_OR))
                pc = op->a;
            else
                top--;
            break;
        case OP_IN_STEP:
            error = value_equals(&top[-1], top[-2], scratch, &same);
            top--;
            if (error == EXPR_OK && same) {
                top[-1] = value_boolean(true);
                pc = op->a;
            }
            break;
        case OP_IN_NONE:
            top[-1] = value_boolean(false);
            break;
        default:
            top -= program_takes(op);
            error = vm_operator(e, op, top++, scratch);
            break;
        }
    }
    /* An error of the last op leaves what that op makes of it; any other, the zero value. */
    *out = error == EXPR_OK || pc == e->ops_n ? top[-1] : value_zero(e->type);
    return error;
}
