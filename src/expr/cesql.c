#include "expr/cesql.h"

#include "base/assert.h"
#include "expr/fold.h"
#include "expr/functions.h"
#include "expr/lexer.h"
#include "expr/program.h"
#include "expr/text.h"

#include <string.h>

/* Code from op `start` on that leaves one value. */
struct operand {
    uint32_t start;
    enum expr_type type; /* EXPR_MISSING: known only when it is evaluated */
    bool wide;
};

enum wait {
    WAIT_PREFIX, /* NOT, - */
    WAIT_BINARY,
    WAIT_PAREN,
    WAIT_CALL,
    WAIT_SET, /* of IN */
};

struct waiting {
    enum wait wait;
    enum token_kind token;
    struct str text; /* in the source: for messages, and the name of the function */
    uint32_t start;  /* AND, OR: of the left side; WAIT_SET: behind the left side */
    uint16_t n;      /* arguments or elements so far */
    bool negated;    /* NOT IN */
    bool varies;     /* WAIT_SET: an element is not constant */
    bool decided;    /* AND, OR: the left side is constant and decides */
    bool wide;       /* WAIT_CALL: an argument is */
};

struct compile {
    struct expr *e;
    struct lexer lexer;
    struct token token; /* at hand */
    struct operand operands[EXPR_STACK_MAX];
    size_t operands_n;
    struct waiting waiting[CESQL_NESTING_MAX];
    size_t waiting_n;
    struct str wide_literal; /* the first integer beyond 32 bits */
    bool names_data;
    enum expr_error error;
    struct err_text *text;
};

/* What may come next, or that it is over. */
enum step { STEP_OPERAND, STEP_OPERATOR, STEP_DONE, STEP_FAILED };

/* ---- errors --------------------------------------------------------------------------------- */

#define SHOWN_BYTES_MAX 40

static size_t character_of(const struct compile *c, const char *at)
{
    struct str before = {c->lexer.source.at, (size_t)(at - c->lexer.source.at)};
    return text_length(before) + 1;
}

static int shown(struct str s)
{
    size_t n = s.len < SHOWN_BYTES_MAX ? s.len : SHOWN_BYTES_MAX;
    while (n > 0 && n < s.len && ((uint8_t)s.at[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static enum step fail(struct compile *c, struct str at, const char *what)
{
    c->error = EXPR_ERROR_PARSE;
    err_say(c->text, ERR_REQUEST_INVALID, "at character %zu, \"%.*s\": %s", character_of(c, at.at),
            shown(at), at.at, what);
    return STEP_FAILED;
}

/* The token at hand does not fit. */
static enum step unexpected(struct compile *c, const char *right)
{
    struct str t = c->token.text;
    c->error = EXPR_ERROR_PARSE;
    if (c->token.kind == TOKEN_END)
        err_say(c->text, ERR_REQUEST_INVALID, "at the end: something is missing; give %s", right);
    else if (c->token.kind == TOKEN_OPEN_STRING)
        err_say(c->text, ERR_REQUEST_INVALID, "at character %zu: the quote is never closed",
                character_of(c, t.at));
    else
        err_say(c->text, ERR_REQUEST_INVALID, "at character %zu: \"%.*s\" is not expected; give %s",
                character_of(c, t.at), shown(t), t.at, right);
    return STEP_FAILED;
}

static enum step no_function(struct compile *c, const struct waiting *call,
                             const struct function *near)
{
    size_t at = character_of(c, call->text.at);
    int len = shown(call->text);
    bool known = near != NULL && call->text.len == strlen(near->name) &&
                 strncasecmp(call->text.at, near->name, call->text.len) == 0;
    c->error = EXPR_ERROR_MISSING_FUNCTION;
    if (known && near->args == near->args_max)
        err_say(c->text, ERR_REQUEST_INVALID, "at character %zu: %s takes %u argument%s, not %u",
                at, near->name, near->args, near->args == 1 ? "" : "s", call->n);
    else if (known)
        err_say(c->text, ERR_REQUEST_INVALID,
                "at character %zu: %s takes %u to %u arguments, not %u", at, near->name, near->args,
                near->args_max, call->n);
    else if (near != NULL)
        err_say(c->text, ERR_REQUEST_INVALID,
                "at character %zu: there is no function %.*s; did you mean %s?", at, len,
                call->text.at, near->name);
    else
        err_say(c->text, ERR_REQUEST_INVALID, "at character %zu: there is no function %.*s", at,
                len, call->text.at);
    return STEP_FAILED;
}

/* ---- operands ------------------------------------------------------------------------------- */

static enum step push_operand(struct compile *c, struct operand operand)
{
    if (c->operands_n == EXPR_STACK_MAX)
        return fail(c, c->token.text, "nested too deeply: at most 64 values may wait at once");
    c->operands[c->operands_n++] = operand;
    return STEP_OPERATOR;
}

static struct operand pop_operand(struct compile *c)
{
    weir_assert(c->operands_n > 0);
    return c->operands[--c->operands_n];
}

/* An op that takes n operands and leaves a value of the type. */
static enum step emit(struct compile *c, size_t n, struct op op, enum expr_type type, bool wide)
{
    struct operand result = {(uint32_t)c->e->ops_n, type, wide};
    for (size_t i = 0; i < n; i++)
        result.start = pop_operand(c).start;
    program_op(c->e, op);
    if (n > 0)
        fold(c->e, result.start);
    return push_operand(c, result);
}

static enum step push_constant(struct compile *c, struct expr_value v, bool wide)
{
    uint32_t a = program_constant(c->e, v);
    return emit(c, 0, (struct op){.code = OP_CONSTANT, .a = a}, v.type, wide);
}

static enum step take_integer(struct compile *c)
{
    int64_t v;
    struct str text = c->token.text;
    if (str_to_i64(text, &v) != ERR_OK)
        return fail(c, text, "an integer has at most 64 bits");
    bool wide = v < INT32_MIN || v > INT32_MAX;
    if (wide && c->wide_literal.at == NULL)
        c->wide_literal = text;
    return push_constant(c, value_integer(v), wide);
}

static enum step take_decimal(struct compile *c)
{
    struct str text = c->token.text;
    struct expr_value v;
    if (text.at[0] == '+')
        text = (struct str){text.at + 1, text.len - 1};
    if (!value_read_number(text, &v))
        return fail(c, c->token.text, "a number is written as 12.5 or 1.25e3");
    return push_constant(c, v, true);
}

static enum step take_string(struct compile *c)
{
    struct str text = c->token.text;
    char *copy = arena_alloc(&c->e->texts, text.len);
    weir_assert(copy != NULL);
    size_t n = lexer_unquote(text, copy);
    return push_constant(c, value_string((struct str){copy, n}), false);
}

/* The name in lower case, as attributes are written. False: it is no attribute's name. */
static bool add_attribute(struct compile *c, uint32_t *out)
{
    char name[EXPR_TEXT_MAX];
    struct str text = c->token.text;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '_') {
            fail(c, text, "the name of an attribute has letters and digits only");
            return false;
        }
        name[i] = (char)text_lower((uint8_t)text.at[i]);
    }
    if (program_attribute(c->e, (struct str){name, text.len}, out))
        return true;
    fail(c, text, "an expression looks at 64 different attributes at most");
    return false;
}

static bool add_path(struct compile *c, uint32_t *out)
{
    struct json_path path;
    struct str text = c->token.text;
    const char *right = NULL;
    size_t at = 0;
    c->names_data = true;
    if (json_path_parse(text, &c->e->texts, &path, &at, &right) != ERR_OK) {
        c->error = EXPR_ERROR_PARSE;
        err_say(c->text, ERR_REQUEST_INVALID, "at character %zu, in the path \"%.*s\": give %s",
                character_of(c, text.at + at), shown(text), text.at, right);
        return false;
    }
    if (program_path(c->e, &path, out))
        return true;
    fail(c, text, "an expression looks at 64 different data paths at most");
    return false;
}

static enum step take_attribute(struct compile *c)
{
    uint32_t a;
    if (!add_attribute(c, &a))
        return STEP_FAILED;
    return emit(c, 0, (struct op){.code = OP_ATTRIBUTE, .a = a}, EXPR_MISSING, false);
}

static enum step take_path(struct compile *c)
{
    uint32_t a;
    if (!add_path(c, &a))
        return STEP_FAILED;
    return emit(c, 0, (struct op){.code = OP_DATA, .a = a}, EXPR_MISSING, true);
}

/* The attributes that every event has (CloudEvents 1.0): EXISTS is true for them without a look. */
static bool is_required(struct str name)
{
    return str_is(name, "id") || str_is(name, "source") || str_is(name, "type") ||
           str_is(name, "specversion");
}

static enum step take_exists(struct compile *c)
{
    uint32_t a;
    c->token = lexer_next(&c->lexer, true);
    if (c->token.kind == TOKEN_PATH) {
        if (!add_path(c, &a))
            return STEP_FAILED;
        return emit(c, 0, (struct op){.code = OP_EXISTS_DATA, .a = a}, EXPR_BOOLEAN, false);
    }
    if (c->token.kind != TOKEN_NAME)
        return unexpected(c, "the name of an attribute or a data path behind EXISTS");
    if (!add_attribute(c, &a))
        return STEP_FAILED;
    if (is_required(c->e->attributes[a]))
        return push_constant(c, value_boolean(true), false);
    return emit(c, 0, (struct op){.code = OP_EXISTS_ATTRIBUTE, .a = a}, EXPR_BOOLEAN, false);
}

/* ---- what waits ----------------------------------------------------------------------------- */

static enum step wait_for(struct compile *c, struct waiting w)
{
    if (c->waiting_n == CESQL_NESTING_MAX)
        return fail(c, c->token.text, "nested too deeply: at most 256 operators may wait at once");
    c->waiting[c->waiting_n++] = w;
    return STEP_OPERAND;
}

static struct waiting *top_waiting(struct compile *c)
{
    return c->waiting_n > 0 ? &c->waiting[c->waiting_n - 1] : NULL;
}

struct binary {
    uint8_t precedence; /* higher binds tighter; 0: no binary operator */
    enum program_op op;
    enum expr_type type;
};

static struct binary binary_of(enum token_kind kind)
{
    static const struct binary table[TOKEN_COUNT] = {
        [TOKEN_STAR] = {4, OP_MULTIPLY, EXPR_INTEGER},
        [TOKEN_SLASH] = {4, OP_DIVIDE, EXPR_INTEGER},
        [TOKEN_PERCENT] = {4, OP_MODULO, EXPR_INTEGER},
        [TOKEN_PLUS] = {3, OP_ADD, EXPR_INTEGER},
        [TOKEN_MINUS] = {3, OP_SUBTRACT, EXPR_INTEGER},
        [TOKEN_EQUAL] = {2, OP_EQUAL, EXPR_BOOLEAN},
        [TOKEN_NOT_EQUAL] = {2, OP_NOT_EQUAL, EXPR_BOOLEAN},
        [TOKEN_LESS] = {2, OP_LESS, EXPR_BOOLEAN},
        [TOKEN_LESS_EQUAL] = {2, OP_LESS_EQUAL, EXPR_BOOLEAN},
        [TOKEN_GREATER] = {2, OP_GREATER, EXPR_BOOLEAN},
        [TOKEN_GREATER_EQUAL] = {2, OP_GREATER_EQUAL, EXPR_BOOLEAN},
        [TOKEN_AND] = {1, OP_AND, EXPR_BOOLEAN},
        [TOKEN_OR] = {1, OP_OR, EXPR_BOOLEAN},
        [TOKEN_XOR] = {1, OP_XOR, EXPR_BOOLEAN},
    };
    return table[kind];
}

static enum step reduce_prefix(struct compile *c, const struct waiting *w)
{
    bool wide = c->operands[c->operands_n - 1].wide;
    if (w->token == TOKEN_NOT)
        return emit(c, 1, (struct op){.code = OP_NOT}, EXPR_BOOLEAN, false);
    return emit(c, 1, (struct op){.code = OP_NEGATE, .flags = wide ? PROGRAM_WIDE : 0},
                EXPR_INTEGER, wide);
}

/* The right side of AND or OR is there. Its left side has been left on the stack and tested by a
 * jump, or was constant: then it is gone, or decides and what came behind it goes. */
static enum step reduce_logic(struct compile *c, const struct waiting *w)
{
    struct expr *e = c->e;
    struct operand right = c->operands[c->operands_n - 1];
    if (right.type != EXPR_BOOLEAN)
        emit(c, 1, (struct op){.code = OP_BOOLEAN}, EXPR_BOOLEAN, false);
    if (w->decided)
        e->ops_n = w->start + 1;
    else
        program_land(e, w->start);
    c->operands[c->operands_n - 1] = (struct operand){w->start, EXPR_BOOLEAN, false};
    return STEP_OPERATOR;
}

static enum step reduce_binary(struct compile *c, const struct waiting *w)
{
    struct binary b = binary_of(w->token);
    if (b.op == OP_AND || b.op == OP_OR)
        return reduce_logic(c, w);
    bool wide = c->operands[c->operands_n - 1].wide || c->operands[c->operands_n - 2].wide;
    struct op op = {.code = (uint8_t)b.op, .flags = wide ? PROGRAM_WIDE : 0};
    return emit(c, 2, op, b.type, wide && b.type == EXPR_INTEGER);
}

/* Completes prefixes, and binary operators that bind at least as tightly. */
static bool reduce(struct compile *c, uint8_t precedence)
{
    for (;;) {
        const struct waiting *w = top_waiting(c);
        enum step step = STEP_OPERATOR;
        if (w == NULL || w->wait > WAIT_BINARY)
            return true;
        if (w->wait == WAIT_BINARY && binary_of(w->token).precedence < precedence)
            return true;
        c->waiting_n--;
        step = w->wait == WAIT_PREFIX ? reduce_prefix(c, w) : reduce_binary(c, w);
        if (step == STEP_FAILED)
            return false;
    }
}

#define ANY_PRECEDENCE 1
#define ONLY_PREFIXES UINT8_MAX

/* AND or OR behind its left side, which is taken from the stack by the jump. A constant one needs
 * none: see reduce_logic. */
static enum step begin_logic(struct compile *c, struct waiting w)
{
    struct expr *e = c->e;
    bool is_and = w.token == TOKEN_AND;
    struct operand left = c->operands[c->operands_n - 1];
    w.start = left.start;
    if (left.type != EXPR_BOOLEAN && fold_is_constant(e, left.start))
        emit(c, 1, (struct op){.code = OP_BOOLEAN}, EXPR_BOOLEAN, false);
    left = pop_operand(c);
    const struct op *op = &e->ops[left.start];
    bool constant = fold_is_constant(e, left.start) && e->constants[op->a].type == EXPR_BOOLEAN;
    if (!constant)
        program_op(e, (struct op){.code = is_and ? OP_AND : OP_OR, .a = PROGRAM_OPEN});
    else if (e->constants[op->a].boolean != is_and)
        w.decided = true;
    else
        e->ops_n = left.start;
    return wait_for(c, w);
}

static enum step take_binary(struct compile *c)
{
    struct waiting w = {.wait = WAIT_BINARY, .token = c->token.kind, .text = c->token.text};
    if (!reduce(c, binary_of(w.token).precedence))
        return STEP_FAILED;
    if (w.token == TOKEN_AND || w.token == TOKEN_OR)
        return begin_logic(c, w);
    return wait_for(c, w);
}

/* ---- LIKE and IN ---------------------------------------------------------------------------- */

static enum step negate_if(struct compile *c, bool negated)
{
    if (negated)
        return emit(c, 1, (struct op){.code = OP_NOT}, EXPR_BOOLEAN, false);
    return STEP_OPERATOR;
}

static enum step take_like(struct compile *c, bool negated)
{
    char pattern[EXPR_TEXT_MAX];
    c->token = lexer_next(&c->lexer, true);
    if (c->token.kind != TOKEN_STRING)
        return unexpected(c, "the pattern behind LIKE as a text in quotes");
    if (!reduce(c, ONLY_PREFIXES))
        return STEP_FAILED;
    struct str text = {pattern, lexer_unquote(c->token.text, pattern)};
    struct op op = {.code = OP_LIKE, .a = program_like(c->e, text)};
    emit(c, 1, op, EXPR_BOOLEAN, false);
    return negate_if(c, negated);
}

static enum step take_in(struct compile *c, bool negated)
{
    struct waiting w = {.wait = WAIT_SET, .text = c->token.text, .negated = negated};
    c->token = lexer_next(&c->lexer, true);
    if (c->token.kind != TOKEN_OPEN)
        return unexpected(c, "'(' and the values behind IN");
    if (!reduce(c, ONLY_PREFIXES))
        return STEP_FAILED;
    w.start = (uint32_t)c->e->ops_n;
    return wait_for(c, w);
}

static enum step take_not(struct compile *c)
{
    c->token = lexer_next(&c->lexer, true);
    if (c->token.kind == TOKEN_LIKE)
        return take_like(c, true);
    if (c->token.kind == TOKEN_IN)
        return take_in(c, true);
    return unexpected(c, "LIKE or IN behind NOT");
}

/* The element of a set that has just been read is compared with what stands below it. */
static void end_element(struct compile *c, struct waiting *set)
{
    struct operand element = pop_operand(c);
    if (!fold_is_constant(c->e, element.start))
        set->varies = true;
    program_op(c->e, (struct op){.code = OP_IN_STEP, .a = PROGRAM_OPEN});
}

/* The elements, all constant, moved out of the code into a row of constants. */
static uint32_t gather_set(struct compile *c, const struct waiting *set)
{
    struct expr *e = c->e;
    uint32_t first = (uint32_t)e->constants_n;
    for (uint32_t i = 0; i < set->n; i++)
        program_constant(e, e->constants[e->ops[set->start + 2 * i].a]);
    e->ops_n = set->start;
    return first;
}

static enum step end_set(struct compile *c, const struct waiting *set)
{
    if (set->varies) {
        struct operand x = pop_operand(c);
        program_op(c->e, (struct op){.code = OP_IN_NONE});
        program_land(c->e, set->start);
        push_operand(c, (struct operand){x.start, EXPR_BOOLEAN, false});
    } else {
        struct op op = {.code = OP_IN_SET, .a = gather_set(c, set), .b = set->n};
        emit(c, 1, op, EXPR_BOOLEAN, false);
    }
    return negate_if(c, set->negated);
}

/* ---- calls and parentheses ------------------------------------------------------------------ */

static enum step end_call(struct compile *c, const struct waiting *call)
{
    const struct function *near;
    size_t f;
    if (!function_find(call->text, call->n, &f, &near))
        return no_function(c, call, near);
    const struct function *function = function_at(f);
    struct op op = {
        .code = OP_CALL, .flags = call->wide ? PROGRAM_WIDE : 0, .a = (uint32_t)f, .b = call->n};
    return emit(c, call->n, op, function->out, function->wide && call->wide);
}

static enum step take_call(struct compile *c)
{
    struct waiting w = {.wait = WAIT_CALL, .text = c->token.text};
    for (size_t i = 0; i < w.text.len; i++) {
        if (w.text.at[i] >= '0' && w.text.at[i] <= '9')
            return fail(c, w.text, "the name of a function has letters and _ only");
    }
    c->token = lexer_next(&c->lexer, true); /* the parenthesis */
    struct lexer ahead = c->lexer;
    if (lexer_next(&ahead, true).kind != TOKEN_CLOSE)
        return wait_for(c, w);
    c->lexer = ahead;
    return end_call(c, &w);
}

/* The argument or element before a comma or a closing parenthesis is complete. */
static void end_item(struct compile *c, struct waiting *w)
{
    if (w->wait == WAIT_SET)
        end_element(c, w);
    else if (w->wait == WAIT_CALL)
        w->wide = w->wide || c->operands[c->operands_n - 1].wide;
    w->n++;
}

static enum step take_comma(struct compile *c)
{
    if (!reduce(c, ANY_PRECEDENCE))
        return STEP_FAILED;
    struct waiting *w = top_waiting(c);
    if (w == NULL || (w->wait != WAIT_CALL && w->wait != WAIT_SET))
        return unexpected(c, "an operator, or the end");
    end_item(c, w);
    return STEP_OPERAND;
}

static enum step take_close(struct compile *c)
{
    if (!reduce(c, ANY_PRECEDENCE))
        return STEP_FAILED;
    struct waiting *w = top_waiting(c);
    if (w == NULL)
        return unexpected(c, "an operator, or the end: no parenthesis is open");
    end_item(c, w);
    c->waiting_n--;
    return w->wait == WAIT_CALL  ? end_call(c, w)
           : w->wait == WAIT_SET ? end_set(c, w)
                                 : STEP_OPERATOR;
}

static enum step take_end(struct compile *c)
{
    if (!reduce(c, ANY_PRECEDENCE))
        return STEP_FAILED;
    const struct waiting *w = top_waiting(c);
    if (w != NULL)
        return unexpected(c, "')'");
    if (c->wide_literal.at != NULL && !c->names_data)
        return fail(c, c->wide_literal,
                    "an integer has at most 32 bits, unless it is compared with data");
    return STEP_DONE;
}

/* ---- the two states ------------------------------------------------------------------------- */

static enum step take_prefix(struct compile *c)
{
    return wait_for(
        c, (struct waiting){.wait = WAIT_PREFIX, .token = c->token.kind, .text = c->token.text});
}

static enum step read_operand(struct compile *c)
{
    switch (c->token.kind) {
    case TOKEN_INTEGER:
        return take_integer(c);
    case TOKEN_DECIMAL:
        return take_decimal(c);
    case TOKEN_STRING:
        return take_string(c);
    case TOKEN_TRUE:
    case TOKEN_FALSE:
        return push_constant(c, value_boolean(c->token.kind == TOKEN_TRUE), false);
    case TOKEN_NAME:
        return lexer_at_open(&c->lexer) ? take_call(c) : take_attribute(c);
    case TOKEN_PATH:
        return take_path(c);
    case TOKEN_EXISTS:
        return take_exists(c);
    case TOKEN_NOT:
    case TOKEN_MINUS:
        return take_prefix(c);
    case TOKEN_OPEN:
        return wait_for(c, (struct waiting){.wait = WAIT_PAREN, .text = c->token.text});
    default:
        return unexpected(c, "an attribute, a value, a data path, a function or '('");
    }
}

static enum step read_operator(struct compile *c)
{
    switch (c->token.kind) {
    case TOKEN_LIKE:
        return take_like(c, false);
    case TOKEN_IN:
        return take_in(c, false);
    case TOKEN_NOT:
        return take_not(c);
    case TOKEN_COMMA:
        return take_comma(c);
    case TOKEN_CLOSE:
        return take_close(c);
    case TOKEN_END:
        return take_end(c);
    default:
        if (binary_of(c->token.kind).precedence > 0)
            return take_binary(c);
        return unexpected(c, "an operator such as = or AND, or the end");
    }
}

static enum step check_source(struct compile *c)
{
    struct str source = c->lexer.source;
    c->error = EXPR_ERROR_PARSE;
    if (source.len > EXPR_TEXT_MAX)
        err_say(c->text, ERR_REQUEST_INVALID, "the expression has %zu bytes; %zu are the most",
                source.len, EXPR_TEXT_MAX);
    else if (!utf8_valid(source.at, source.len))
        err_say(c->text, ERR_REQUEST_INVALID, "the expression is not valid UTF-8");
    else
        return STEP_OPERAND;
    return STEP_FAILED;
}

static bool compile(struct compile *c)
{
    enum step step = check_source(c);
    while (step == STEP_OPERAND || step == STEP_OPERATOR) {
        c->token = lexer_next(&c->lexer, step == STEP_OPERAND);
        step = step == STEP_OPERAND ? read_operand(c) : read_operator(c);
    }
    return step == STEP_DONE;
}

enum expr_error cesql_compile(struct str source, struct expr **out, struct err_text *text)
{
    struct compile c; /* its stacks are not cleared: what is read was written before */
    c.e = program_make();
    c.lexer = (struct lexer){source, 0};
    c.operands_n = c.waiting_n = 0;
    c.wide_literal = (struct str){NULL, 0};
    c.names_data = false;
    c.text = text;
    if (!compile(&c)) {
        expr_free(c.e);
        return c.error;
    }
    weir_assert(c.operands_n == 1);
    program_finish(c.e, c.operands[0].type);
    *out = c.e;
    return EXPR_OK;
}

enum err expr_compile_cesql(struct str source, struct expr **out, struct err_text *text)
{
    return cesql_compile(source, out, text) == EXPR_OK ? ERR_OK : ERR_REQUEST_INVALID;
}
