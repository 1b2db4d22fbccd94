#include "tree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- names ---------------------------------------------------------------------------------- */

static const char *const attributes[] = {"a0", "a1", "a2", "a3", "a4", "a5", "nothere"};
static const char *const texts[] = {"",    "a",   "ab",  "5",  "-3",         "true", "FALSE",
                                    "x y", "b%a", "2.5", "07", "2147483648", "abba", "it's"};

/* Paths, and what stands there. */
static const struct {
    const char *path;
    struct tree_value v;
} members[] = {
    {"data.i", {.type = EXPR_INTEGER, .integer = 5}},
    {"data.big", {.type = EXPR_INTEGER, .integer = 5000000000}},
    {"data.most", {.type = EXPR_INTEGER, .integer = INT64_MAX}},
    {"data.d", {.type = EXPR_DOUBLE, .number = 2.5}},
    {"data.o.whole", {.type = EXPR_DOUBLE, .number = 4}},
    {"data.o.s", {.type = EXPR_STRING, .text = "abba"}},
    {"data.l[1]", {.type = EXPR_STRING, .text = "5"}},
    {"data.l[0]", {.type = EXPR_BOOLEAN, .boolean = true}},
    {"data.l", {.type = EXPR_OTHER, .text = "[true,\"5\"]"}},
    {"data.null", {.type = EXPR_MISSING}},
    {"data.nothere", {.type = EXPR_MISSING}},
};

static const char payload[] = "{\"i\":5,\"big\":5000000000,\"most\":9223372036854775807,\"d\":2.5,"
                              "\"o\":{\"whole\":4.0,\"s\":\"abba\"},\"l\":[true,\"5\"],"
                              "\"null\":null}";

void tree_event(struct event *e, struct random *r)
{
    event_init(e, payload);
    for (size_t i = 0; i + 1 < COUNT_OF(attributes); i++) {
        size_t kind = random_below(r, 8);
        if (kind == 0)
            event_set(e, attributes[i],
                      (struct expr_value){.type = EXPR_BOOLEAN, .boolean = random_below(r, 2)});
        else if (kind == 1)
            event_set(
                e, attributes[i],
                (struct expr_value){.type = EXPR_INTEGER, .integer = (int64_t)random_below(r, 9)});
        else if (kind < 7)
            event_set_text(e, attributes[i], texts[random_below(r, COUNT_OF(texts))]);
    }
}

/* ---- growing -------------------------------------------------------------------------------- */

static const char *const operators[] = {"+", "-",  "*", "/",  "%",   "=",  "!=", "<>",
                                        "<", "<=", ">", ">=", "AND", "OR", "XOR"};

static const struct {
    const char *name;
    size_t least, most;
    enum expr_type type;
} functions[] = {
    {"INT", 1, 1, EXPR_INTEGER},      {"BOOL", 1, 1, EXPR_BOOLEAN},
    {"STRING", 1, 1, EXPR_STRING},    {"IS_INT", 1, 1, EXPR_BOOLEAN},
    {"IS_BOOL", 1, 1, EXPR_BOOLEAN},  {"ABS", 1, 1, EXPR_INTEGER},
    {"LENGTH", 1, 1, EXPR_INTEGER},   {"CONCAT", 0, 3, EXPR_STRING},
    {"CONCAT_WS", 1, 4, EXPR_STRING}, {"UPPER", 1, 1, EXPR_STRING},
    {"LOWER", 1, 1, EXPR_STRING},     {"TRIM", 1, 1, EXPR_STRING},
    {"LEFT", 2, 2, EXPR_STRING},      {"RIGHT", 2, 2, EXPR_STRING},
    {"SUBSTRING", 2, 3, EXPR_STRING},
};

static void grow_leaf(struct tree *t, struct random *r)
{
    static const int64_t integers[] = {0, 1, 2, 3, 5, 7, -1, -3, 46341, INT32_MAX, INT32_MIN};
    static const double decimals[] = {0.5, 2.5, 4.0, -1.25};
    switch (random_below(r, 10)) {
    case 0:
    case 1:
        t->kind = TREE_BOOLEAN;
        t->integer = (int64_t)random_below(r, 2);
        break;
    case 2:
    case 3:
        t->kind = TREE_INTEGER;
        t->integer = integers[random_below(r, COUNT_OF(integers))];
        break;
    case 4:
    case 5:
        t->kind = TREE_STRING;
        snprintf(t->text, sizeof(t->text), "%s", texts[random_below(r, COUNT_OF(texts))]);
        break;
    case 6:
    case 7:
        t->kind = random_below(r, 5) == 0 ? TREE_EXISTS : TREE_ATTRIBUTE;
        t->name = attributes[random_below(r, COUNT_OF(attributes))];
        break;
    case 8:
        t->kind = random_below(r, 5) == 0 ? TREE_EXISTS_PATH : TREE_PATH;
        t->integer = (int64_t)random_below(r, COUNT_OF(members));
        break;
    default:
        t->kind = TREE_DECIMAL;
        t->decimal = decimals[random_below(r, COUNT_OF(decimals))];
        break;
    }
}

static void grow_children(struct tree_forest *f, struct tree *t, struct random *r, unsigned depth,
                          size_t n)
{
    t->n = n;
    for (size_t i = 0; i < n; i++)
        t->child[i] = tree_random(f, r, depth - 1);
}

static void grow_like(struct tree *t, struct random *r)
{
    static const char *const patterns[] = {"a%",  "%a",  "_",     "%",  "", "a_b%",
                                           "%b%", "t%e", "b\\%a", "__", "5"};
    snprintf(t->text, sizeof(t->text), "%s", patterns[random_below(r, COUNT_OF(patterns))]);
}

const struct tree *tree_random(struct tree_forest *f, struct random *r, unsigned depth)
{
    struct tree *t = &f->nodes[f->n++];
    *t = (struct tree){0};
    if (depth == 0 || f->n > TREE_NODES_MAX / 2) {
        grow_leaf(t, r);
        return t;
    }
    size_t kind = random_below(r, 16);
    if (kind == 0 || kind == 1) {
        t->kind = kind == 0 ? TREE_NOT : TREE_NEGATE;
        grow_children(f, t, r, depth, 1);
    } else if (kind == 2) {
        t->kind = random_below(r, 2) ? TREE_LIKE : TREE_NOT_LIKE;
        grow_like(t, r);
        grow_children(f, t, r, depth, 1);
    } else if (kind == 3) {
        t->kind = random_below(r, 2) ? TREE_IN : TREE_NOT_IN;
        grow_children(f, t, r, depth, 2 + random_below(r, TREE_CHILDREN_MAX - 1));
    } else if (kind < 6) {
        size_t i = random_below(r, COUNT_OF(functions));
        t->kind = TREE_CALL;
        t->name = functions[i].name;
        grow_children(f, t, r, depth,
                      functions[i].least +
                          random_below(r, functions[i].most - functions[i].least + 1));
    } else if (kind < 15) {
        t->kind = TREE_BINARY;
        t->name = operators[random_below(r, COUNT_OF(operators))];
        grow_children(f, t, r, depth, 2);
    } else {
        grow_leaf(t, r);
    }
    return t;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* How tightly the outermost operator binds; a prefix or an operand binds tightest. */
static int precedence(const struct tree *t)
{
    if (t->kind == TREE_LIKE || t->kind == TREE_NOT_LIKE || t->kind == TREE_IN ||
        t->kind == TREE_NOT_IN)
        return 5;
    if (t->kind != TREE_BINARY)
        return 6;
    if (strchr("*/%", t->name[0]) != NULL)
        return 4;
    if (strchr("+-", t->name[0]) != NULL)
        return 3;
    return strchr("AOX", t->name[0]) != NULL ? 1 : 2;
}

static void put(char *out, size_t cap, const char *s)
{
    size_t n = strlen(out);
    snprintf(out + n, cap - n, "%s", s);
}

static void put_child(const struct tree *t, int least, bool everywhere, char *out, size_t cap)
{
    bool parens = precedence(t) < least || (everywhere && t->n > 0);
    put(out, cap, parens ? "(" : "");
    tree_print(t, everywhere, out, cap);
    put(out, cap, parens ? ")" : "");
}

static void put_list(const struct tree *t, size_t from, bool everywhere, char *out, size_t cap)
{
    put(out, cap, "(");
    for (size_t i = from; i < t->n; i++) {
        put(out, cap, i > from ? ", " : "");
        put_child(t->child[i], 0, everywhere, out, cap);
    }
    put(out, cap, ")");
}

static void put_string(const char *s, char *out, size_t cap)
{
    put(out, cap, "'");
    for (; *s != '\0'; s++)
        put(out, cap, *s == '\'' ? "\\'" : (const char[2]){*s, '\0'});
    put(out, cap, "'");
}

static void print_leaf(const struct tree *t, char *out, size_t cap)
{
    char s[40];
    if (t->kind == TREE_INTEGER) {
        snprintf(s, sizeof(s), "%lld", (long long)t->integer);
        put(out, cap, s);
    } else if (t->kind == TREE_DECIMAL) {
        snprintf(s, sizeof(s), "%.2f", t->decimal);
        put(out, cap, s);
    } else if (t->kind == TREE_BOOLEAN) {
        put(out, cap, t->integer ? "TRUE" : "false");
    } else if (t->kind == TREE_STRING) {
        put_string(t->text, out, cap);
    } else {
        put(out, cap, t->kind == TREE_EXISTS || t->kind == TREE_EXISTS_PATH ? "EXISTS " : "");
        put(out, cap, t->name != NULL ? t->name : members[t->integer].path);
    }
}

void tree_print(const struct tree *t, bool everywhere, char *out, size_t cap)
{
    switch (t->kind) {
    case TREE_NOT:
    case TREE_NEGATE:
        put(out, cap, t->kind == TREE_NOT ? "NOT " : "- ");
        put_child(t->child[0], 6, everywhere, out, cap);
        break;
    case TREE_BINARY:
        put_child(t->child[0], precedence(t), everywhere, out, cap);
        put(out, cap, " ");
        put(out, cap, t->name);
        put(out, cap, " ");
        put_child(t->child[1], precedence(t) + 1, everywhere, out, cap);
        break;
    case TREE_LIKE:
    case TREE_NOT_LIKE:
        put_child(t->child[0], 5, everywhere, out, cap);
        put(out, cap, t->kind == TREE_LIKE ? " LIKE " : " NOT LIKE ");
        put_string(t->text, out, cap);
        break;
    case TREE_IN:
    case TREE_NOT_IN:
        put_child(t->child[0], 5, everywhere, out, cap);
        put(out, cap, t->kind == TREE_IN ? " IN " : " not in ");
        put_list(t, 1, everywhere, out, cap);
        break;
    case TREE_CALL:
        put(out, cap, t->name);
        put_list(t, 0, everywhere, out, cap);
        break;
    default:
        print_leaf(t, out, cap);
        break;
    }
}

/* ---- evaluating ----------------------------------------------------------------------------- */

static struct tree_value of_boolean(bool b)
{
    return (struct tree_value){.type = EXPR_BOOLEAN, .boolean = b};
}

static struct tree_value of_integer(int64_t i)
{
    return (struct tree_value){.type = EXPR_INTEGER, .integer = i};
}

static struct tree_value of_number(double d)
{
    return (struct tree_value){.type = EXPR_DOUBLE, .number = d};
}

static struct tree_value zero(enum expr_type type, enum expr_error error)
{
    return (struct tree_value){.type = type, .error = error};
}

/* Does it have to do with data, so that integers have 64 bits? */
static bool is_wide(const struct tree *t)
{
    bool wide = t->kind == TREE_PATH || t->kind == TREE_DECIMAL;
    bool passes = t->kind == TREE_NEGATE ||
                  (t->kind == TREE_BINARY && strchr("+-*/%", t->name[0]) != NULL) ||
                  (t->kind == TREE_CALL && (!strcmp(t->name, "INT") || !strcmp(t->name, "ABS")));
    for (size_t i = 0; i < t->n && passes; i++)
        wide = wide || is_wide(t->child[i]);
    return wide;
}

static bool any_wide(const struct tree *t)
{
    bool wide = false;
    for (size_t i = 0; i < t->n; i++)
        wide = wide || is_wide(t->child[i]);
    return wide;
}

static struct tree_value to_text(struct tree_value v)
{
    struct tree_value out = {.type = EXPR_STRING};
    char s[64];
    if (v.type == EXPR_STRING || v.type == EXPR_OTHER)
        snprintf(out.text, sizeof(out.text), "%s", v.text);
    else if (v.type == EXPR_BOOLEAN)
        snprintf(out.text, sizeof(out.text), "%s", v.boolean ? "true" : "false");
    else if (v.type == EXPR_INTEGER)
        snprintf(out.text, sizeof(out.text), "%lld", (long long)v.integer);
    for (int digits = 15; v.type == EXPR_DOUBLE && digits < 18; digits++) {
        snprintf(s, sizeof(s), "%.*g", digits, v.number);
        snprintf(out.text, sizeof(out.text), "%s", s);
        digits = strtod(s, NULL) == v.number ? 18 : digits;
    }
    return out;
}

static struct tree_value to_boolean(struct tree_value v)
{
    if (v.type == EXPR_BOOLEAN)
        return v;
    if (v.type == EXPR_INTEGER)
        return of_boolean(v.integer != 0);
    if (v.type == EXPR_DOUBLE)
        return of_boolean(v.number != 0);
    if (v.type == EXPR_STRING && (!strcasecmp(v.text, "true") || !strcasecmp(v.text, "false")))
        return of_boolean(!strcasecmp(v.text, "true"));
    return zero(EXPR_BOOLEAN, EXPR_ERROR_CAST);
}

/* -?digits.digits, which is all that the texts of trees have of JSON's numbers. */
static bool is_decimal(const char *s)
{
    size_t whole = strspn(s += *s == '-', "0123456789");
    if (whole == 0 || s[whole] != '.' || (s[0] == '0' && whole > 1))
        return false;
    size_t fraction = strspn(s + whole + 1, "0123456789");
    return fraction > 0 && s[whole + 1 + fraction] == '\0';
}

static struct tree_value to_number(struct tree_value v, bool decimal)
{
    char *end;
    if (v.type == EXPR_INTEGER || v.type == EXPR_DOUBLE)
        return v;
    if (v.type == EXPR_BOOLEAN)
        return of_integer(v.boolean);
    if (v.type == EXPR_STRING && v.text[0] != '\0' && v.text[0] != ' ') {
        errno = 0;
        long long i = strtoll(v.text, &end, 10);
        if (*end == '\0' && i >= INT32_MIN && i <= INT32_MAX)
            return of_integer(i);
        const char *digits = v.text + (v.text[0] == '-');
        if (decimal && *end == '\0' && digits[0] != '0') /* JSON has no leading zeros */
            return errno == ERANGE ? of_number(strtod(v.text, NULL)) : of_integer(i);
        if (decimal && is_decimal(v.text))
            return of_number(strtod(v.text, NULL));
    }
    return zero(EXPR_INTEGER, EXPR_ERROR_CAST);
}

static long double wide_number(struct tree_value v)
{
    return v.type == EXPR_INTEGER ? (long double)v.integer : (long double)v.number;
}

static struct tree_value equals(struct tree_value x, struct tree_value y)
{
    if (y.type == EXPR_BOOLEAN) {
        x = to_boolean(x);
        return x.error ? x : of_boolean(x.boolean == y.boolean);
    }
    if (y.type == EXPR_INTEGER || y.type == EXPR_DOUBLE) {
        bool large = y.type == EXPR_INTEGER && (y.integer < INT32_MIN || y.integer > INT32_MAX);
        x = to_number(x, y.type == EXPR_DOUBLE || large);
        return x.error ? zero(EXPR_BOOLEAN, x.error) : of_boolean(wide_number(x) == wide_number(y));
    }
    return of_boolean(strcmp(to_text(x).text, to_text(y).text) == 0);
}

static struct tree_value arithmetic(char op, struct tree_value x, struct tree_value y, bool wide)
{
    __int128 a = x.integer, b = y.integer, i = 0;
    __int128 most = wide ? INT64_MAX : INT32_MAX, least = -most - 1;
    double p = (double)wide_number(x), q = (double)wide_number(y), d = 0;
    if (x.type == EXPR_DOUBLE || y.type == EXPR_DOUBLE) {
        d = op == '+'   ? p + q
            : op == '-' ? p - q
            : op == '*' ? p * q
            : op == '/' ? p / q
                        : fmod(p, q);
        return isfinite(d) ? of_number(d) : zero(EXPR_INTEGER, EXPR_ERROR_MATH);
    }
    if ((op == '/' || op == '%') && b == 0)
        return zero(EXPR_INTEGER, EXPR_ERROR_MATH);
    i = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : op == '/' ? a / b : a % b;
    return i < least || i > most ? zero(EXPR_INTEGER, EXPR_ERROR_MATH) : of_integer((int64_t)i);
}

static struct tree_value binary_numbers(const struct tree *t, struct tree_value x,
                                        struct tree_value y)
{
    bool wide = any_wide(t), order = strchr("<>", t->name[0]) != NULL;
    x = to_number(x, wide);
    if (!x.error)
        y = to_number(y, wide);
    if (x.error || y.error)
        return zero(order ? EXPR_BOOLEAN : EXPR_INTEGER, EXPR_ERROR_CAST);
    if (!order)
        return arithmetic(t->name[0], x, y, wide);
    long double p = wide_number(x), q = wide_number(y);
    bool equal = t->name[1] == '=' && p == q;
    return of_boolean(equal || (t->name[0] == '<' ? p < q : p > q));
}

static struct tree_value binary(const struct tree *t, const struct event *e)
{
    char op = t->name[0];
    bool arithmetic_op = strchr("+-*/%", op) != NULL;
    struct tree_value x = tree_eval(t->child[0], e), y;
    if ((op == 'A' || op == 'O') && !x.error) {
        x = to_boolean(x);
        if (!x.error && x.boolean == (op == 'O'))
            return x;
    }
    y = x.error ? x : tree_eval(t->child[1], e);
    if (x.error || y.error)
        return zero(arithmetic_op ? EXPR_INTEGER : EXPR_BOOLEAN, x.error ? x.error : y.error);
    if (op == 'A' || op == 'O')
        return to_boolean(y);
    if (op == 'X') {
        x = to_boolean(x);
        y = x.error ? x : to_boolean(y);
        return y.error ? zero(EXPR_BOOLEAN, y.error) : of_boolean(x.boolean != y.boolean);
    }
    if (op == '=' || op == '!' || !strcmp(t->name, "<>")) {
        struct tree_value v = equals(x, y);
        return v.error ? zero(EXPR_BOOLEAN, v.error) : of_boolean(v.boolean == (op == '='));
    }
    return binary_numbers(t, x, y);
}

static bool like(const char *s, const char *p)
{
    if (*p == '\0')
        return *s == '\0';
    if (*p == '%')
        return like(s, p + 1) || (*s != '\0' && like(s + 1, p));
    bool escape = *p == '\\' && (p[1] == '%' || p[1] == '_');
    if (*s == '\0' || (*s != p[escape] && (escape || *p != '_')))
        return false;
    return like(s + 1, p + 1 + escape);
}

static struct tree_value in(const struct tree *t, const struct event *e)
{
    struct tree_value x = tree_eval(t->child[0], e);
    for (size_t i = 1; i < t->n && !x.error; i++) {
        struct tree_value y = tree_eval(t->child[i], e);
        struct tree_value same = y.error ? y : equals(y, x);
        if (same.error)
            return zero(EXPR_BOOLEAN, same.error);
        if (same.boolean)
            return of_boolean(true);
    }
    return x.error ? zero(EXPR_BOOLEAN, x.error) : of_boolean(false);
}

static struct tree_value to_whole(struct tree_value v)
{
    v = to_number(v, false);
    if (v.error || v.type == EXPR_INTEGER)
        return v;
    if (!(v.number < 9.2233720368547758e18 && v.number >= -9.2233720368547758e18))
        return zero(EXPR_INTEGER, EXPR_ERROR_CAST);
    return of_integer((int64_t)v.number);
}

static struct tree_value cast_int(struct tree_value v, bool wide)
{
    v = to_whole(v);
    bool fits = wide || (v.integer >= INT32_MIN && v.integer <= INT32_MAX);
    return fits ? v : zero(EXPR_INTEGER, EXPR_ERROR_CAST);
}

static struct tree_value of_part(const char *s, size_t from, size_t n)
{
    struct tree_value v = {.type = EXPR_STRING};
    size_t len = strlen(s), left = from < len ? len - from : 0;
    memcpy(v.text, s + (from < len ? from : len), n < left ? n : left);
    return v;
}

static struct tree_value substring(const char *s, int64_t pos, int64_t n)
{
    int64_t len = (int64_t)strlen(s);
    if (pos > len || pos < -len || n < 0)
        return zero(EXPR_STRING, EXPR_ERROR_FUNCTION_EVALUATION);
    if (pos == 0)
        return zero(EXPR_STRING, EXPR_OK);
    return of_part(s, (size_t)(pos > 0 ? pos - 1 : len + pos), (size_t)n);
}

static struct tree_value side(const char *name, const char *s, int64_t n)
{
    size_t len = strlen(s);
    struct tree_value v = of_part(s, 0, len);
    if (n < 0)
        v.error = EXPR_ERROR_FUNCTION_EVALUATION;
    else if ((size_t)n < len)
        v = of_part(s, !strcmp(name, "LEFT") ? 0 : len - (size_t)n, (size_t)n);
    return v;
}

static struct tree_value join(const struct tree_value *args, size_t n, const char *delimiter)
{
    struct tree_value v = {.type = EXPR_STRING};
    for (size_t i = 0; i < n; i++) {
        put(v.text, sizeof(v.text), i > 0 ? delimiter : "");
        put(v.text, sizeof(v.text), args[i].text);
    }
    return v;
}

static struct tree_value change(const char *name, struct tree_value v)
{
    size_t n = strlen(v.text);
    for (char *c = v.text; *c != '\0'; c++) {
        bool upper = *c >= 'A' && *c <= 'Z', lower = *c >= 'a' && *c <= 'z';
        if ((lower && !strcmp(name, "UPPER")) || (upper && !strcmp(name, "LOWER")))
            *c ^= 32;
    }
    if (!strcmp(name, "TRIM")) {
        while (n > 0 && v.text[n - 1] == ' ')
            v.text[--n] = '\0';
        return of_part(v.text, strspn(v.text, " "), n);
    }
    return v;
}

static struct tree_value absolute(struct tree_value v, bool wide)
{
    int64_t most = wide ? INT64_MAX : INT32_MAX;
    if (v.type == EXPR_DOUBLE)
        return of_number(fabs(v.number));
    if (v.integer >= -most && v.integer <= most)
        return of_integer(v.integer < 0 ? -v.integer : v.integer);
    v = of_integer(most);
    v.error = EXPR_ERROR_MATH;
    return v;
}

static struct tree_value apply(const struct tree *t, struct tree_value *a)
{
    const char *name = t->name;
    bool wide = any_wide(t);
    if (!strcmp(name, "INT"))
        return cast_int(a[0], wide);
    if (!strcmp(name, "BOOL"))
        return to_boolean(a[0]);
    if (!strcmp(name, "STRING"))
        return to_text(a[0]);
    if (!strcmp(name, "IS_INT"))
        return of_boolean(!cast_int(a[0], wide).error);
    if (!strcmp(name, "IS_BOOL"))
        return of_boolean(!to_boolean(a[0]).error);
    if (!strcmp(name, "ABS")) {
        a[0] = to_number(a[0], false);
        return a[0].error ? a[0] : absolute(a[0], wide);
    }
    bool places =
        t->n > 1 && (!strcmp(name, "LEFT") || !strcmp(name, "RIGHT") || !strcmp(name, "SUBSTRING"));
    for (size_t i = 0; i < t->n; i++) {
        a[i] = places && i > 0 ? to_whole(a[i]) : to_text(a[i]);
        if (a[i].error)
            return zero(EXPR_STRING, a[i].error);
    }
    if (!strcmp(name, "LENGTH"))
        return of_integer((int64_t)strlen(a[0].text));
    if (!strcmp(name, "CONCAT"))
        return join(a, t->n, "");
    if (!strcmp(name, "CONCAT_WS"))
        return join(a + 1, t->n - 1, a[0].text);
    if (!strcmp(name, "SUBSTRING"))
        return substring(a[0].text, a[1].integer, t->n == 3 ? a[2].integer : INT64_MAX);
    return places ? side(name, a[0].text, a[1].integer) : change(name, a[0]);
}

static struct tree_value call(const struct tree *t, const struct event *e)
{
    struct tree_value args[TREE_CHILDREN_MAX];
    size_t f = 0;
    while (strcmp(functions[f].name, t->name) != 0)
        f++;
    for (size_t i = 0; i < t->n; i++) {
        args[i] = tree_eval(t->child[i], e);
        if (args[i].error)
            return zero(functions[f].type, args[i].error);
    }
    return apply(t, args);
}

static struct tree_value attribute(const char *name, const struct event *e)
{
    struct tree_value v = {.type = EXPR_MISSING};
    for (size_t i = 0; i < e->n; i++) {
        const struct expr_value *have = &e->attributes[i].value;
        if (!str_is(e->attributes[i].name, name))
            continue;
        v.type = have->type;
        if (v.type == EXPR_STRING)
            snprintf(v.text, sizeof(v.text), "%.*s", (int)have->text.len, have->text.at);
        else if (v.type == EXPR_BOOLEAN)
            v.boolean = have->boolean;
        else
            v.integer = have->integer;
    }
    return v;
}

static struct tree_value must_be_there(struct tree_value v)
{
    return v.type == EXPR_MISSING ? zero(EXPR_BOOLEAN, EXPR_ERROR_MISSING_ATTRIBUTE) : v;
}

static struct tree_value leaf(const struct tree *t, const struct event *e)
{
    struct tree_value v = {.type = EXPR_STRING};
    switch (t->kind) {
    case TREE_BOOLEAN:
        return of_boolean(t->integer != 0);
    case TREE_INTEGER:
        return of_integer(t->integer);
    case TREE_DECIMAL:
        return of_number(t->decimal);
    case TREE_ATTRIBUTE:
        return must_be_there(attribute(t->name, e));
    case TREE_EXISTS:
        return of_boolean(attribute(t->name, e).type != EXPR_MISSING);
    case TREE_PATH:
        return must_be_there(members[t->integer].v);
    case TREE_EXISTS_PATH:
        return of_boolean(members[t->integer].v.type != EXPR_MISSING);
    default:
        snprintf(v.text, sizeof(v.text), "%s", t->text);
        return v;
    }
}

static struct tree_value unary(const struct tree *t, const struct event *e)
{
    enum expr_type type = t->kind == TREE_NEGATE ? EXPR_INTEGER : EXPR_BOOLEAN;
    struct tree_value v = tree_eval(t->child[0], e);
    if (!v.error && t->kind == TREE_NEGATE) {
        v = to_number(v, any_wide(t));
        if (!v.error)
            return arithmetic('-', of_integer(0), v, any_wide(t));
    } else if (!v.error && t->kind == TREE_NOT) {
        v = to_boolean(v);
        v.boolean = !v.boolean;
    } else if (!v.error) {
        v = of_boolean(like(to_text(v).text, t->text) == (t->kind == TREE_LIKE));
    }
    return v.error ? zero(type, v.error) : v;
}

struct tree_value tree_eval(const struct tree *t, const struct event *e)
{
    struct tree_value v;
    switch (t->kind) {
    case TREE_NOT:
    case TREE_NEGATE:
    case TREE_LIKE:
    case TREE_NOT_LIKE:
        return unary(t, e);
    case TREE_BINARY:
        return binary(t, e);
    case TREE_IN:
        return in(t, e);
    case TREE_NOT_IN:
        v = in(t, e);
        v.boolean = !v.error && !v.boolean;
        return v;
    case TREE_CALL:
        return call(t, e);
    default:
        return leaf(t, e);
    }
}
