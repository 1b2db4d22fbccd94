#include "expr/lexer.h"

#include "base/assert.h"
#include "expr/json_path.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The bytes from i on that are letters, digits or '_'. */
static size_t word_bytes(struct str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.len && (is_letter(s.at[i + n]) || is_digit(s.at[i + n]) || s.at[i + n] == '_'))
        n++;
    return n;
}

static size_t digit_bytes(struct str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.len && is_digit(s.at[i + n]))
        n++;
    return n;
}

static struct token cut(struct lexer *l, enum token_kind kind, size_t len)
{
    struct token t = {kind, {l->source.at + l->at, len}};
    l->at += len;
    return t;
}

static void skip_blanks(struct lexer *l)
{
    while (l->at < l->source.len && memchr(" \t\r\n", l->source.at[l->at], 4) != NULL)
        l->at++;
}

bool lexer_at_open(const struct lexer *lexer)
{
    struct lexer ahead = *lexer;
    skip_blanks(&ahead);
    return ahead.at < ahead.source.len && ahead.source.at[ahead.at] == '(';
}

static enum token_kind word_kind(struct str word)
{
    static const struct {
        const char *word;
        enum token_kind kind;
    } keywords[] = {
        {"AND", TOKEN_AND}, {"OR", TOKEN_OR},     {"XOR", TOKEN_XOR},
        {"NOT", TOKEN_NOT}, {"LIKE", TOKEN_LIKE}, {"EXISTS", TOKEN_EXISTS},
        {"IN", TOKEN_IN},   {"TRUE", TOKEN_TRUE}, {"FALSE", TOKEN_FALSE},
    };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strlen(keywords[i].word) == word.len &&
            strncasecmp(word.at, keywords[i].word, word.len) == 0)
            return keywords[i].kind;
    }
    return TOKEN_NAME;
}

static struct token take_word(struct lexer *l)
{
    size_t n = word_bytes(l->source, l->at);
    struct str word = {l->source.at + l->at, n};
    struct str rest = {word.at, l->source.len - l->at};
    if (str_is(word, "data") && n < rest.len && (rest.at[n] == '.' || rest.at[n] == '['))
        return cut(l, TOKEN_PATH, json_path_length(rest));
    return cut(l, word_kind(word), n);
}

/* Digits from `at` on, behind a sign if there is one: an integer, or with a point a decimal number.
 * What has letters behind its digits is a name (attributes may begin with a digit). */
static bool take_number(struct lexer *l, size_t sign, struct token *out)
{
    struct str s = l->source;
    size_t i = l->at + sign, n = digit_bytes(s, i);
    if (n == 0 || n < word_bytes(s, i))
        return false;
    i += n;
    n = i < s.len && s.at[i] == '.' ? digit_bytes(s, i + 1) : 0;
    if (n == 0) {
        *out = cut(l, TOKEN_INTEGER, i - l->at);
        return true;
    }
    i += 1 + n;
    if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
        size_t exponent_sign = i + 1 < s.len && (s.at[i + 1] == '+' || s.at[i + 1] == '-');
        n = digit_bytes(s, i + 1 + exponent_sign);
        i += n > 0 ? 1 + exponent_sign + n : 0;
    }
    *out = cut(l, word_bytes(s, i) == 0 ? TOKEN_DECIMAL : TOKEN_BAD, i - l->at);
    return true;
}

static struct token take_string(struct lexer *l)
{
    struct str s = l->source;
    char quote = s.at[l->at];
    size_t i = l->at + 1;
    while (i < s.len) {
        if (s.at[i] == quote && i + 1 < s.len && s.at[i + 1] == quote)
            i += 2;
        else if (s.at[i] == quote)
            return cut(l, TOKEN_STRING, i + 1 - l->at);
        else
            i += s.at[i] == '\\' ? 2 : 1;
    }
    return cut(l, TOKEN_OPEN_STRING, s.len - l->at);
}

static struct token take_sign(struct lexer *l)
{
    static const struct {
        const char text[3];
        enum token_kind kind;
    } signs[] = {
        {"!=", TOKEN_NOT_EQUAL},     {"<>", TOKEN_NOT_EQUAL}, {"<=", TOKEN_LESS_EQUAL},
        {">=", TOKEN_GREATER_EQUAL}, {"<", TOKEN_LESS},       {">", TOKEN_GREATER},
        {"=", TOKEN_EQUAL},          {"(", TOKEN_OPEN},       {")", TOKEN_CLOSE},
        {",", TOKEN_COMMA},          {"*", TOKEN_STAR},       {"/", TOKEN_SLASH},
        {"%", TOKEN_PERCENT},        {"+", TOKEN_PLUS},       {"-", TOKEN_MINUS},
    };
    size_t left = l->source.len - l->at;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        size_t n = strlen(signs[i].text);
        if (n <= left && memcmp(l->source.at + l->at, signs[i].text, n) == 0)
            return cut(l, signs[i].kind, n);
    }
    size_t n = 1; /* a whole character, for the message */
    while (n < left && ((uint8_t)l->source.at[l->at + n] & 0xc0) == 0x80)
        n++;
    return cut(l, TOKEN_BAD, n);
}

struct token lexer_next(struct lexer *lexer, bool operand_expected)
{
    struct token number;
    skip_blanks(lexer);
    if (lexer->at == lexer->source.len)
        return cut(lexer, TOKEN_END, 0);
    char c = lexer->source.at[lexer->at];
    size_t sign = operand_expected && (c == '+' || c == '-');
    if ((sign != 0 || is_digit(c)) && take_number(lexer, sign, &number))
        return number;
    if (c == '\'' || c == '"')
        return take_string(lexer);
    if (is_letter(c) || is_digit(c))
        return take_word(lexer);
    return take_sign(lexer);
}

const char *token_name(enum token_kind kind)
{
    static const char *const names[TOKEN_COUNT] = {
#define X(name, text) [TOKEN_##name] = text,
        TOKENS(X)
#undef X
    };
    weir_assert(kind < TOKEN_COUNT);
    return names[kind];
}

size_t lexer_unquote(struct str token, char *out)
{
    char quote = token.at[0];
    size_t n = 0;
    for (size_t i = 1; i + 1 < token.len; i++) {
        bool pair = i + 2 < token.len && (token.at[i] == '\\' || token.at[i] == quote);
        if (pair && token.at[i + 1] == quote)
            i++; /* and only the quote is kept */
        else if (pair)
            out[n++] = token.at[i++]; /* a backslash, and what stands behind it as it is */
        out[n++] = token.at[i];
    }
    return n;
}
