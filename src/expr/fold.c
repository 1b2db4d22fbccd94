#include "expr/fold.h"

#include "expr/vm.h"

bool fold_is_constant(const struct expr *e, uint32_t start)
{
    return e->ops_n == start + 1 && e->ops[start].code == OP_CONSTANT;
}

static bool operands_are_constant(const struct expr *e, uint32_t start, size_t n)
{
    if (e->ops_n != start + n + 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (e->ops[start + i].code != OP_CONSTANT)
            return false;
    }
    return true;
}

void fold(struct expr *e, uint32_t start)
{
    struct op op = e->ops[e->ops_n - 1];
    struct expr_value args[EXPR_STACK_MAX];
    char texts[EXPR_SCRATCH_BYTES];
    struct scratch scratch = {texts, 0, sizeof(texts)};
    size_t n = program_takes(&op);
    if (!operands_are_constant(e, start, n))
        return;
    for (size_t i = 0; i < n; i++)
        args[i] = e->constants[e->ops[start + i].a];
    if (vm_operator(e, &op, args, &scratch) != EXPR_OK)
        return;
    e->ops_n = start;
    program_op(e, (struct op){.code = OP_CONSTANT, .a = program_constant(e, args[0])});
}
