/* program.h: what expressions compile to: instructions for a small stack machine.
 *
 * An instruction is eight bytes: an opcode and two operands. It takes values from the stack and
 * leaves one there (the table says how many). Jumps go forward only, so a program takes at most as
 * many steps as it has instructions. The first error ends it: CESQL's "fail fast" mode, in which
 * the whole then has the zero value of its type.
 *
 *     type = 'a' AND data.n > 5
 *
 *     0 ATTRIBUTE 0 type        2 EQUAL             4 DATA 0 data.n     6 GREATER
 *     1 CONSTANT 0 'a'          3 AND 7             5 CONSTANT 1 5      7
 *
 * What a program refers to (constants, names, paths, patterns) stands beside it, its texts in its
 * own arena. It is written by a compiler, which calls program_finish, and is immutable then. Memory
 * is bounded by EXPR_TEXT_MAX and EXPR_EVENTGRID_BYTES_MAX.
 */
#pragma once

#include "base/arena.h"
#include "expr/json_path.h"
#include "expr/like.h"
#include "expr/value.h"

#define EXPR_ATTRIBUTES_MAX 64 /* different ones in a program */
#define EXPR_PATHS_MAX 64

#define PROGRAM_WIDE 1 /* flag: numbers come from `data`, whose integers have 64 bits */

/* name, values taken (-1: as many as b says), values left, what it does with its operands a, b. */
#define PROGRAM_OPS(X)                                                                             \
    X(CONSTANT, 0, 1, "constant a")                                                                \
    X(ATTRIBUTE, 0, 1, "attribute a; an error if it is missing")                                   \
    X(ATTRIBUTE_IF, 0, 1, "attribute a or a missing value")                                        \
    X(DATA, 0, 1, "path a; an error if it is missing or null")                                     \
    X(DATA_IF, 0, 1, "path a, a missing value or null")                                            \
    X(EXISTS_ATTRIBUTE, 0, 1, "whether attribute a is there")                                      \
    X(EXISTS_DATA, 0, 1, "whether path a is there and not null")                                   \
    X(NOT, 1, 1, "")                                                                               \
    X(NEGATE, 1, 1, "")                                                                            \
    X(BOOLEAN, 1, 1, "cast")                                                                       \
    X(ADD, 2, 1, "")                                                                               \
    X(SUBTRACT, 2, 1, "")                                                                          \
    X(MULTIPLY, 2, 1, "")                                                                          \
    X(DIVIDE, 2, 1, "")                                                                            \
    X(MODULO, 2, 1, "")                                                                            \
    X(EQUAL, 2, 1, "")                                                                             \
    X(NOT_EQUAL, 2, 1, "")                                                                         \
    X(LESS, 2, 1, "")                                                                              \
    X(LESS_EQUAL, 2, 1, "")                                                                        \
    X(GREATER, 2, 1, "")                                                                           \
    X(GREATER_EQUAL, 2, 1, "")                                                                     \
    X(XOR, 2, 1, "")                                                                               \
    X(AND, 1, 0, "cast to Boolean; if false, leave it and go to a")                                \
    X(OR, 1, 0, "cast to Boolean; if true, leave it and go to a")                                  \
    X(LIKE, 1, 1, "match with pattern a")                                                          \
    X(IN_STEP, 2, 1, "if the top is equal to what is below: leave true, go to a; else drop it")    \
    X(IN_NONE, 1, 1, "false")                                                                      \
    X(IN_SET, 1, 1, "whether one of b constants from a on is equal")                               \
    X(CALL, -1, 1, "function a with b arguments")                                                  \
    X(TEST, 1, 1, "Event Grid's condition a")

enum program_op {
#define X(name, takes, leaves, doc) OP_##name,
    PROGRAM_OPS(X)
#undef X
        OP_COUNT
};

struct op {
    uint8_t code;
    uint8_t flags;
    uint16_t b;
    uint32_t a;
};

/* How many values the op takes from the stack. */
size_t program_takes(const struct op *op);

struct eventgrid_test;

struct expr {
    struct op *ops;
    size_t ops_n, ops_cap;
    struct expr_value *constants;
    size_t constants_n, constants_cap;
    struct like **likes;
    size_t likes_n, likes_cap;
    struct eventgrid_test **tests;
    size_t tests_n, tests_cap;
    struct str attributes[EXPR_ATTRIBUTES_MAX];
    size_t attributes_n;
    struct json_paths paths;
    enum expr_type
        type; /* of the result, as far as it is known before: it decides the zero value */
    struct arena texts;
};

struct expr *program_make(void);
/* A copy of the text in the program's arena. */
struct str program_text(struct expr *e, struct str text);

/* Append; the index of what was appended, or, where that is there already, of that. */
uint32_t program_op(struct expr *e, struct op op);
uint32_t program_constant(struct expr *e, struct expr_value v); /* copies its text */
uint32_t program_like(struct expr *e, struct str pattern);
uint32_t program_test(struct expr *e, struct eventgrid_test *test); /* in the program's arena */
/* False: there are EXPR_ATTRIBUTES_MAX, or EXPR_PATHS_MAX, others. Names and keys are copied. */
bool program_attribute(struct expr *e, struct str name, uint32_t *out);
bool program_path(struct expr *e, const struct json_path *path, uint32_t *out);

/* Puts the present end into the jumps from op `from` on that await it (a == PROGRAM_OPEN). */
#define PROGRAM_OPEN UINT32_MAX
void program_land(struct expr *e, uint32_t from);
/* The program is whole: jumps that lead to jumps of their kind are made one, and what a compiler
 * may get wrong is asserted: jumps, operands, the depth of the stack. */
void program_finish(struct expr *e, enum expr_type type);
