/* lexer.h: the words of a CESQL expression.
 *
 * Keywords, names of attributes and names of functions know no upper and lower case (section 2).
 * The sign of an integer belongs to it where an operand is expected, so that -2147483648 can be
 * written and 4-1 is 3; who reads tells the lexer which is the case. Two kinds of words are weir's
 * own, and no CESQL expression contains them: decimal numbers and data paths.
 */
#pragma once

#include "base/str.h"

/* kind, how it is called in messages; those in capitals are keywords. */
#define TOKENS(X)                                                                                  \
    X(END, "the end")                                                                              \
    X(BAD, "an unknown character")                                                                 \
    X(OPEN_STRING, "a text without its closing quote")                                             \
    X(INTEGER, "an integer")                                                                       \
    X(DECIMAL, "a number")                                                                         \
    X(STRING, "a text")                                                                            \
    X(NAME, "a name")                                                                              \
    X(PATH, "a data path")                                                                         \
    X(AND, "AND")                                                                                  \
    X(OR, "OR")                                                                                    \
    X(XOR, "XOR")                                                                                  \
    X(NOT, "NOT")                                                                                  \
    X(LIKE, "LIKE")                                                                                \
    X(EXISTS, "EXISTS")                                                                            \
    X(IN, "IN")                                                                                    \
    X(TRUE, "TRUE")                                                                                \
    X(FALSE, "FALSE")                                                                              \
    X(OPEN, "'('")                                                                                 \
    X(CLOSE, "')'")                                                                                \
    X(COMMA, "','")                                                                                \
    X(STAR, "'*'")                                                                                 \
    X(SLASH, "'/'")                                                                                \
    X(PERCENT, "'%'")                                                                              \
    X(PLUS, "'+'")                                                                                 \
    X(MINUS, "'-'")                                                                                \
    X(EQUAL, "'='")                                                                                \
    X(NOT_EQUAL, "'!='")                                                                           \
    X(LESS, "'<'")                                                                                 \
    X(LESS_EQUAL, "'<='")                                                                          \
    X(GREATER, "'>'")                                                                              \
    X(GREATER_EQUAL, "'>='")

enum token_kind {
#define X(name, text) TOKEN_##name,
    TOKENS(X)
#undef X
        TOKEN_COUNT
};

struct token {
    enum token_kind kind;
    struct str text; /* as it stands in the source */
};

struct lexer {
    struct str source;
    size_t at;
};

struct token lexer_next(struct lexer *lexer, bool operand_expected);
/* Does an opening parenthesis follow? */
bool lexer_at_open(const struct lexer *lexer);
const char *token_name(enum token_kind kind);

/* The text between the quotes of a TOKEN_STRING: the same quote inside of it, doubled or behind a
 * backslash, is one quote; any other backslash stays. out has room for token.len bytes; returns the
 * length. */
size_t lexer_unquote(struct str token, char *out);
