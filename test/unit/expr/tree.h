/* tree.h: CESQL expressions as trees, made at random, printed as text, and evaluated in the most
 * obvious way: what the compiler, its folding and the machine are compared with.
 *
 * Nothing here comes from src/expr: casts, functions and LIKE are written once more. Texts are
 * ASCII. Recursive, which trees of a few levels may be.
 */
#pragma once

#include "event.h"
#include "random.h"

#define TREE_NODES_MAX 400
#define TREE_CHILDREN_MAX 4
#define TREE_TEXT_MAX 64

enum tree_kind {
    TREE_BOOLEAN,
    TREE_INTEGER,
    TREE_DECIMAL,
    TREE_STRING,
    TREE_ATTRIBUTE,
    TREE_PATH,
    TREE_EXISTS,
    TREE_EXISTS_PATH,
    TREE_NOT,
    TREE_NEGATE,
    TREE_BINARY, /* `name` is the operator */
    TREE_LIKE,   /* with `text` */
    TREE_NOT_LIKE,
    TREE_IN,
    TREE_NOT_IN,
    TREE_CALL, /* of `name` */
};

struct tree {
    enum tree_kind kind;
    const char *name;
    int64_t integer;
    double decimal;
    char text[TREE_TEXT_MAX];
    size_t n;
    const struct tree *child[TREE_CHILDREN_MAX];
};

struct tree_forest {
    struct tree nodes[TREE_NODES_MAX];
    size_t n;
};

/* A value with the error that it comes with; texts live in the pool. */
struct tree_value {
    enum expr_error error;
    enum expr_type type;
    bool boolean;
    int64_t integer;
    double number;
    char text[4 * TREE_TEXT_MAX];
};

const struct tree *tree_random(struct tree_forest *forest, struct random *r, unsigned depth);
/* The names that trees use, for the event: attributes a0.. and what payload holds. */
void tree_event(struct event *e, struct random *r);
/* Appends the text; parentheses only where they are needed, or everywhere. */
void tree_print(const struct tree *t, bool everywhere, char *out, size_t cap);
struct tree_value tree_eval(const struct tree *t, const struct event *e);
