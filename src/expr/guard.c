#include "expr/guard.h"

#include "expr/eventgrid.h"

static bool are_texts(const struct expr_value *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].type != EXPR_STRING)
            return false;
    }
    return n > 0;
}

/* The n ops from `op` on: one of the three forms? */
static bool is_guard(const struct expr *e, const struct op *op, size_t n, struct guard *out)
{
    *out = (struct guard){.attribute = op->a};
    if (n == 3 && op[0].code == OP_ATTRIBUTE && op[1].code == OP_CONSTANT &&
        op[2].code == OP_EQUAL) {
        out->texts = &e->constants[op[1].a];
        out->n = 1;
    } else if (n == 2 && op[0].code == OP_ATTRIBUTE && op[1].code == OP_IN_SET) {
        out->texts = &e->constants[op[1].a];
        out->n = op[1].b;
    } else if (n == 2 && op[0].code == OP_ATTRIBUTE_IF && op[1].code == OP_TEST &&
               e->tests[op[1].a]->op == EVENTGRID_StringIn) {
        out->texts = e->tests[op[1].a]->values;
        out->n = e->tests[op[1].a]->n;
        out->nocase = true;
    }
    return are_texts(out->texts, out->n);
}

/* An op that may leave the program with what it has found. */
static bool is_exit(const struct expr *e, const struct op *op)
{
    bool jump = op->code == OP_AND || op->code == OP_OR || op->code == OP_IN_STEP;
    return jump && op->a == e->ops_n;
}

bool guard_find(const struct expr *e, struct guard *out)
{
    size_t start = 0;
    for (size_t i = 0; i <= e->ops_n; i++) {
        if (i < e->ops_n && !is_exit(e, &e->ops[i]))
            continue;
        if (i < e->ops_n && e->ops[i].code != OP_AND)
            return false; /* true may come from here on without what follows */
        if (is_guard(e, &e->ops[start], i - start, out)) {
            out->whole = start == 0 && i == e->ops_n;
            return true;
        }
        start = i + 1;
    }
    return false;
}
