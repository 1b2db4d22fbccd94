#include "base/json.h"

#include "base/assert.h"
#include "base/plain.h"

#include <string.h>

static bool fail(struct jr *j, const char *why)
{
    if (j->bad == NULL)
        j->bad = why;
    j->end = j->at;
    return false;
}

static inline void skip_space(struct jr *j)
{
    while (j->at < j->end && (unsigned char)*j->at <= ' ' &&
           (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

/* The next character that is no white space; 0 at the end. */
static inline char look(struct jr *j)
{
    skip_space(j);
    return j->at < j->end ? *j->at : '\0';
}

static inline bool take(struct jr *j, char c)
{
    if (look(j) != c)
        return false;
    j->at++;
    return true;
}

void jr_init(struct jr *j, struct str text)
{
    const char *from = text.at != NULL ? text.at : "";
    *j = (struct jr){.at = from, .end = from + text.len, .from = from};
}

size_t jr_place(const struct jr *j)
{
    return (size_t)(j->at - j->from);
}

bool jr_end(struct jr *j)
{
    if (j->bad != NULL)
        return false;
    skip_space(j);
    return j->at == j->end || fail(j, "something follows the value");
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at p, which are there; -1: they are none. */
static int32_t hex4(const char *p)
{
    int32_t n = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        n = n << 4 | d;
    }
    return n;
}

/* The code point of the escape \u.... at p (or of the pair there), and the bytes it takes; -1: it
 * is not one. */
static int32_t escape_point(const char *p, const char *end, size_t *n)
{
    int32_t high = end - p >= 6 ? hex4(p + 2) : -1;
    *n = 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return -1;
    int32_t low = hex4(p + 8);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *n = 12;
    return 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
}

/* Behind a backslash; moves behind the escape. */
static bool skip_escape(struct jr *j)
{
    size_t n = 2;
    if (j->end - j->at < 2)
        return fail(j, "a string does not end");
    if (j->at[1] == 'u' && escape_point(j->at, j->end, &n) < 0)
        return fail(j, "an escape in a string is not right");
    if (j->at[1] != 'u' && (j->at[1] == '\0' || strchr("\"\\/bfnrt", j->at[1]) == NULL))
        return fail(j, "an escape in a string is not right");
    j->at += n;
    return true;
}

/* How many bytes at the beginning need no looking at: ASCII that is not escaped. */
static inline size_t unescaped_bytes(struct str s)
{
    return plain_bytes(s, '"', '\\');
}

/* To the quote at the end, or what is wrong before it. */
static bool skip_text(struct jr *j, bool *escaped, bool *ascii)
{
    for (;;) {
        j->at += unescaped_bytes((struct str){j->at, (size_t)(j->end - j->at)});
        if (j->at == j->end)
            return fail(j, "a string does not end");
        unsigned char c = (unsigned char)*j->at;
        if (c == '"')
            return true;
        if (c < 0x20)
            return fail(j, "a string has a control character, which must be escaped");
        if (c == '\\' && !skip_escape(j))
            return false;
        *escaped |= c == '\\';
        *ascii &= c == '\\';
        while (c != '\\' && j->at < j->end && (*j->at & 0x80))
            j->at++;
    }
}

/* The quote is next; moves behind the other one. */
static bool skip_string(struct jr *j, bool *escaped)
{
    const char *from = ++j->at;
    bool ascii = true;
    *escaped = false;
    if (!skip_text(j, escaped, &ascii))
        return false;
    if (!ascii && !utf8_valid(from, (size_t)(j->at - from)))
        return fail(j, "a string is not UTF-8");
    j->at++;
    return true;
}

static bool read_string(struct jr *j, struct jr_value *out)
{
    const char *from = j->at + 1;
    bool escaped;
    if (!skip_string(j, &escaped))
        return false;
    *out = (struct jr_value){JR_STRING, {from, (size_t)(j->at - 1 - from)}, escaped};
    return true;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* The escape at p, decoded to `to`; returns its bytes in the source. */
static size_t decode_escape(const char *p, const char *end, char **to)
{
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    const char *known = strchr(from, p[1]);
    size_t n = 2;
    if (p[1] == 'u')
        *to = put_utf8(*to, (uint32_t)escape_point(p, end, &n));
    else
        *(*to)++ = known != NULL ? into[known - from] : p[1];
    return n;
}

struct str jr_string(const struct jr_value *v, struct arena *arena)
{
    weir_assert(v->type == JR_STRING);
    if (!v->escaped)
        return v->text;
    char *out = arena_alloc(arena, v->text.len), *to = out;
    const char *p = v->text.at, *end = p + v->text.len;
    if (out == NULL)
        return (struct str){NULL, 0};
    while (p < end) {
        if (*p == '\\')
            p += decode_escape(p, end, &to);
        else
            *to++ = *p++;
    }
    return (struct str){out, (size_t)(to - out)};
}

/* ---- other scalars ---- */

static bool read_word(struct jr *j, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return fail(j, "this is no JSON value");
    j->at += n;
    return true;
}

static size_t skip_digits(struct jr *j)
{
    const char *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return (size_t)(j->at - from);
}

static bool read_number(struct jr *j)
{
    if (*j->at == '-')
        j->at++;
    const char *whole = j->at;
    size_t digits = skip_digits(j);
    bool ok = digits == 1 || (digits > 1 && *whole != '0');
    if (ok && j->at < j->end && *j->at == '.') {
        j->at++;
        ok = skip_digits(j) > 0;
    }
    if (ok && j->at < j->end && (*j->at | 0x20) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        ok = skip_digits(j) > 0;
    }
    return ok || fail(j, "a number is not written right");
}

/* ---- values ---- */

/* The type of what begins so, + 1; 0: no value does. */
static const uint8_t types[256] = {
    ['{'] = JR_OBJECT + 1,  ['['] = JR_ARRAY + 1,  ['"'] = JR_STRING + 1, ['t'] = JR_BOOLEAN + 1,
    ['f'] = JR_BOOLEAN + 1, ['n'] = JR_NULL + 1,   ['-'] = JR_NUMBER + 1, ['0'] = JR_NUMBER + 1,
    ['1'] = JR_NUMBER + 1,  ['2'] = JR_NUMBER + 1, ['3'] = JR_NUMBER + 1, ['4'] = JR_NUMBER + 1,
    ['5'] = JR_NUMBER + 1,  ['6'] = JR_NUMBER + 1, ['7'] = JR_NUMBER + 1, ['8'] = JR_NUMBER + 1,
    ['9'] = JR_NUMBER + 1,
};

bool jr_peek(struct jr *j, enum jr_type *type)
{
    unsigned found = types[(unsigned char)look(j)];
    *type = (enum jr_type)(found - 1);
    return found != 0 || fail(j, "a value is missing");
}

/* A number, or one of the three words. */
static bool skip_plain(struct jr *j, enum jr_type type)
{
    if (type == JR_NUMBER)
        return read_number(j);
    return read_word(j, type == JR_NULL ? "null" : *j->at == 't' ? "true" : "false");
}

static bool read_scalar(struct jr *j, enum jr_type type, struct jr_value *out)
{
    const char *from = j->at;
    if (type == JR_STRING)
        return read_string(j, out);
    bool ok = skip_plain(j, type);
    *out = (struct jr_value){type, {from, (size_t)(j->at - from)}, false};
    return ok;
}

bool jr_object(struct jr *j)
{
    if (!take(j, '{'))
        return fail(j, "an object is missing");
    j->first = true;
    return true;
}

bool jr_array(struct jr *j)
{
    if (!take(j, '['))
        return fail(j, "an array is missing");
    j->first = true;
    return true;
}

/* Another item of what ends with `close`? */
static bool next_item(struct jr *j, char close)
{
    char c = look(j);
    bool first = j->first;
    j->first = false;
    j->at += c == close || (c == ',' && !first);
    if (c == close)
        return false;
    if (first || c == ',')
        return j->bad == NULL;
    return fail(j, close == '}' ? "a comma or } is missing" : "a comma or ] is missing");
}

/* Another member follows: its name is next. */
static bool next_name(struct jr *j)
{
    return next_item(j, '}') && (look(j) == '"' || fail(j, "a member's name is missing"));
}

static bool take_colon(struct jr *j)
{
    return take(j, ':') || fail(j, "a colon is missing");
}

bool jr_member(struct jr *j, struct jr_value *name)
{
    return next_name(j) && read_string(j, name) && take_colon(j);
}

static bool skip_name(struct jr *j)
{
    bool escaped;
    return next_name(j) && skip_string(j, &escaped) && take_colon(j);
}

bool jr_element(struct jr *j)
{
    return next_item(j, ']');
}

/* The containers that a skipped value is in, a bit each: is it an object? */
struct nest {
    uint64_t bits[JSON_DEPTH_MAX / 64];
    unsigned depth;
};

static bool nest_enter(struct jr *j, struct nest *n, bool object)
{
    if (n->depth == JSON_DEPTH_MAX)
        return fail(j, "arrays and objects are nested too deeply");
    uint64_t bit = (uint64_t)1 << (n->depth % 64);
    uint64_t *word = &n->bits[n->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    n->depth++;
    return object ? jr_object(j) : jr_array(j);
}

static bool nest_is_object(const struct nest *n)
{
    unsigned top = n->depth - 1;
    return (n->bits[top / 64] >> (top % 64) & 1) != 0;
}

/* To the next value of the innermost container, leaving those that end. False at the end of all,
 * or when something was wrong. */
static bool nest_next(struct jr *j, struct nest *n)
{
    while (n->depth > 0 && j->bad == NULL) {
        if (nest_is_object(n) ? skip_name(j) : jr_element(j))
            return true;
        n->depth--;
    }
    return false;
}

static bool skip_container(struct jr *j, enum jr_type type)
{
    struct nest nest = {.depth = 0};
    bool escaped;
    nest_enter(j, &nest, type == JR_OBJECT);
    while (nest_next(j, &nest)) {
        if (!jr_peek(j, &type))
            return false;
        if (type == JR_OBJECT || type == JR_ARRAY)
            nest_enter(j, &nest, type == JR_OBJECT);
        else if (type == JR_STRING)
            skip_string(j, &escaped);
        else
            skip_plain(j, type);
    }
    j->first = false;
    return j->bad == NULL;
}

bool jr_value(struct jr *j, struct jr_value *out)
{
    enum jr_type type;
    if (!jr_peek(j, &type))
        return false;
    if (type != JR_OBJECT && type != JR_ARRAY)
        return read_scalar(j, type, out);
    const char *from = j->at;
    bool ok = skip_container(j, type);
    *out = (struct jr_value){type, {from, (size_t)(j->at - from)}, false};
    return ok;
}

bool json_valid(struct str text)
{
    struct jr j;
    struct jr_value v;
    jr_init(&j, text);
    return jr_value(&j, &v) && jr_end(&j);
}

/* ---- writing ---- */

void json_write_raw(struct wr *w, struct str text)
{
    if (text.len > 0)
        wr_bytes(w, text.at, text.len);
}

void json_write_int(struct wr *w, int64_t n)
{
    char text[20], *end = text + sizeof(text), *at = end;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        *--at = '-';
    wr_bytes(w, at, (size_t)(end - at));
}

static void write_escape(struct wr *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef", from[] = "\b\f\n\r\t\"\\", into[] = "bfnrt\"\\";
    const char *known = c != '\0' ? strchr(from, c) : NULL;
    wr_u8(w, '\\');
    if (known != NULL) {
        wr_u8(w, (uint8_t)into[known - from]);
        return;
    }
    wr_bytes(w, "u00", 3);
    wr_u8(w, (uint8_t)hex[c >> 4]);
    wr_u8(w, (uint8_t)hex[c & 15]);
}

/* The bytes of the UTF-8 character at p; 0: there is none. */
static size_t utf8_bytes(const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return len <= n && utf8_valid(p, len) ? len : 0;
}

void json_write_string(struct wr *w, struct str s)
{
    if (s.at == NULL)
        s = STR_LIT("");
    if (unescaped_bytes(s) == s.len) {
        uint8_t *to = wr_room(w, s.len + 2);
        to[0] = to[s.len + 1] = '"';
        memcpy(to + 1, s.at, s.len);
        return;
    }
    bool known_utf8 = utf8_valid(s.at, s.len);
    size_t from = 0;
    wr_u8(w, '"');
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.at[i];
        bool escape = c < 0x20 || c == '"' || c == '\\';
        size_t n = known_utf8 || c < 0x80 ? 1 : utf8_bytes(s.at + i, s.len - i);
        if (!escape && n > 0) {
            i += n;
            continue;
        }
        json_write_raw(w, (struct str){s.at + from, i - from});
        if (escape)
            write_escape(w, c);
        else
            wr_bytes(w, "\xef\xbf\xbd", 3);
        from = ++i;
    }
    json_write_raw(w, (struct str){s.at + from, s.len - from});
    wr_u8(w, '"');
}
