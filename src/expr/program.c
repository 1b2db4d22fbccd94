#include "expr/program.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* Texts, patterns and conditions of a program, each with its rounding up to 16 bytes. */
#define TEXTS_BYTES_MAX ((size_t)4 << 20)
#define TEXTS_BYTES_FIRST 512 /* there may be thousands of filters, most of them short */

static const struct shape {
    int8_t takes, leaves;
} shapes[OP_COUNT] = {
#define X(name, takes, leaves, doc) [OP_##name] = {takes, leaves},
    PROGRAM_OPS(X)
#undef X
};

size_t program_takes(const struct op *op)
{
    return shapes[op->code].takes < 0 ? op->b : (size_t)shapes[op->code].takes;
}

struct expr *program_make(void)
{
    struct expr *e = mem_zalloc(1, sizeof(*e));
    arena_init_small(&e->texts, TEXTS_BYTES_MAX, TEXTS_BYTES_FIRST);
    json_paths_init(&e->paths, EXPR_PATHS_MAX);
    return e;
}

void expr_free(struct expr *e)
{
    if (e == NULL)
        return;
    mem_free(e->ops);
    mem_free(e->constants);
    mem_free(e->likes);
    mem_free(e->tests);
    json_paths_free(&e->paths);
    arena_free(&e->texts);
    mem_free(e);
}

struct str program_text(struct expr *e, struct str text)
{
    char *copy = arena_strndup(&e->texts, text.at, text.len);
    weir_assert(copy != NULL); /* the source is bounded, and so is what is made of it */
    return (struct str){copy, text.len};
}

/* Room for one more at the end of an array. */
static void *grown(void *at, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return at;
    *cap = *cap != 0 ? *cap * 2 : 8;
    return mem_realloc(at, *cap * size);
}

uint32_t program_op(struct expr *e, struct op op)
{
    e->ops = grown(e->ops, e->ops_n, &e->ops_cap, sizeof(e->ops[0]));
    e->ops[e->ops_n] = op;
    return (uint32_t)e->ops_n++;
}

uint32_t program_constant(struct expr *e, struct expr_value v)
{
    if (v.type == EXPR_STRING)
        v.text = program_text(e, v.text);
    e->constants = grown(e->constants, e->constants_n, &e->constants_cap, sizeof(e->constants[0]));
    e->constants[e->constants_n] = v;
    return (uint32_t)e->constants_n++;
}

uint32_t program_like(struct expr *e, struct str pattern)
{
    struct like *like = like_make(&e->texts, pattern);
    weir_assert(like != NULL);
    e->likes = grown(e->likes, e->likes_n, &e->likes_cap, sizeof(struct like *));
    e->likes[e->likes_n] = like;
    return (uint32_t)e->likes_n++;
}

uint32_t program_test(struct expr *e, struct eventgrid_test *test)
{
    e->tests = grown(e->tests, e->tests_n, &e->tests_cap, sizeof(struct eventgrid_test *));
    e->tests[e->tests_n] = test;
    return (uint32_t)e->tests_n++;
}

bool program_attribute(struct expr *e, struct str name, uint32_t *out)
{
    size_t i = 0;
    while (i < e->attributes_n && !str_eq(e->attributes[i], name))
        i++;
    *out = (uint32_t)i;
    if (i < e->attributes_n)
        return true;
    if (i == EXPR_ATTRIBUTES_MAX)
        return false;
    e->attributes[e->attributes_n++] = program_text(e, name);
    return true;
}

bool program_path(struct expr *e, const struct json_path *path, uint32_t *out)
{
    struct json_path copy = *path;
    uint16_t slot;
    for (size_t i = 0; i < copy.n; i++) {
        if (copy.steps[i].key.at != NULL)
            copy.steps[i].key = program_text(e, copy.steps[i].key);
    }
    if (!json_paths_add(&e->paths, &copy, &slot))
        return false;
    *out = slot;
    return true;
}

static bool is_jump(const struct op *op)
{
    return op->code == OP_AND || op->code == OP_OR || op->code == OP_IN_STEP;
}

void program_land(struct expr *e, uint32_t from)
{
    for (size_t i = from; i < e->ops_n; i++) {
        if (is_jump(&e->ops[i]) && e->ops[i].a == PROGRAM_OPEN)
            e->ops[i].a = (uint32_t)e->ops_n;
    }
}

/* An AND that is left with false goes on to what the AND (or BOOLEAN) at its target would do with
 * it, so that a chain is left at once. From the end, so that each target is final. */
static void thread_jumps(struct expr *e)
{
    for (size_t i = e->ops_n; i > 0; i--) {
        struct op *op = &e->ops[i - 1];
        if (op->code != OP_AND && op->code != OP_OR)
            continue;
        while (op->a < e->ops_n) {
            const struct op *target = &e->ops[op->a];
            if (target->code == OP_BOOLEAN)
                op->a++;
            else if (target->code == op->code)
                op->a = target->a;
            else
                break;
        }
    }
}

static void check_operands(const struct expr *e, const struct op *op)
{
    size_t limit = UINT32_MAX;
    switch (op->code) {
    case OP_CONSTANT:
        limit = e->constants_n;
        break;
    case OP_ATTRIBUTE:
    case OP_ATTRIBUTE_IF:
    case OP_EXISTS_ATTRIBUTE:
        limit = e->attributes_n;
        break;
    case OP_DATA:
    case OP_DATA_IF:
    case OP_EXISTS_DATA:
        limit = e->paths.slots;
        break;
    case OP_LIKE:
        limit = e->likes_n;
        break;
    case OP_TEST:
        limit = e->tests_n;
        break;
    case OP_IN_SET:
        weir_assert(op->a + op->b <= e->constants_n);
        break;
    default:
        break;
    }
    weir_assert(op->a < limit);
}

void program_finish(struct expr *e, enum expr_type type)
{
    int depth = 0;
    e->type = type;
    for (size_t i = 0; i < e->ops_n; i++) {
        const struct op *op = &e->ops[i];
        int takes = (int)program_takes(op);
        check_operands(e, op);
        weir_assert(depth >= takes);
        depth += shapes[op->code].leaves - takes;
        weir_assert(depth <= EXPR_STACK_MAX);
        weir_assert(!is_jump(op) || (op->a > i && op->a <= e->ops_n));
    }
    weir_assert(depth == 1);
    thread_jumps(e);
}

bool expr_looks_at_data(const struct expr *e)
{
    for (size_t i = 0; i < e->ops_n; i++) {
        uint8_t code = e->ops[i].code;
        if (code == OP_DATA || code == OP_DATA_IF || code == OP_EXISTS_DATA)
            return true;
    }
    return false;
}

const char *expr_error_name(enum expr_error error)
{
    /* As the tests of the specification write them. */
    static const char *const names[] = {
        [EXPR_OK] = "none",
        [EXPR_ERROR_PARSE] = "parse",
        [EXPR_ERROR_MATH] = "math",
        [EXPR_ERROR_CAST] = "cast",
        [EXPR_ERROR_MISSING_FUNCTION] = "missingFunction",
        [EXPR_ERROR_FUNCTION_EVALUATION] = "functionEvaluation",
        [EXPR_ERROR_MISSING_ATTRIBUTE] = "missingAttribute",
        [EXPR_ERROR_GENERIC] = "generic",
    };
    weir_assert(error <= EXPR_ERROR_GENERIC);
    return names[error];
}
