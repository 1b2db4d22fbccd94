#include "expr/value.h"

#include "base/assert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits of a decimal number that are read: more than decide between two doubles (767). */
#define NUMBER_CHARS_MAX 1100

char *scratch_take(struct scratch *s, size_t n)
{
    if (n > s->cap - s->used)
        return NULL;
    char *p = s->at + s->used;
    s->used += n;
    return p;
}

struct expr_value value_zero(enum expr_type type)
{
    if (type == EXPR_INTEGER || type == EXPR_DOUBLE)
        return value_integer(0);
    if (type == EXPR_STRING)
        return value_string(STR_LIT(""));
    return value_boolean(false);
}

/* ---- numbers and text ----------------------------------------------------------------------- */

bool value_read_int32(struct str text, int64_t *out)
{
    int64_t v;
    if (str_to_i64(text, &v) != ERR_OK || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = v;
    return true;
}

static size_t digits_at(struct str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.len && s.at[i + n] >= '0' && s.at[i + n] <= '9')
        n++;
    return n;
}

/* Checks JSON's grammar of numbers; *whole says that there is neither fraction nor exponent. */
static bool is_number(struct str s, bool *whole)
{
    size_t i = s.len != 0 && s.at[0] == '-' ? 1 : 0;
    size_t n = digits_at(s, i);
    if (n == 0 || (n > 1 && s.at[i] == '0'))
        return false;
    i += n;
    *whole = i == s.len;
    if (i < s.len && s.at[i] == '.') {
        n = digits_at(s, i + 1);
        if (n == 0)
            return false;
        i += 1 + n;
    }
    if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
        i++;
        if (i < s.len && (s.at[i] == '+' || s.at[i] == '-'))
            i++;
        n = digits_at(s, i);
        if (n == 0)
            return false;
        i += n;
    }
    return i == s.len;
}

/* Exact where both the digits and the power of ten are exact doubles (Clinger 1990): what nearly
 * all prices and measures are. s has the form digits.digits. */
static bool read_short_decimal(struct str s, double *out)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11};
    bool negative = s.at[0] == '-';
    uint64_t digits = 0;
    size_t fraction = 0, point = s.len;
    if (s.len > 17)
        return false;
    for (size_t i = negative ? 1 : 0; i < s.len; i++) {
        if (s.at[i] == '.')
            point = i;
        else if (s.at[i] >= '0' && s.at[i] <= '9')
            digits = digits * 10 + (uint64_t)(s.at[i] - '0');
        else
            return false;
    }
    if (point < s.len)
        fraction = s.len - point - 1;
    if (digits > (uint64_t)1 << 53 || fraction >= sizeof(powers) / sizeof(powers[0]))
        return false;
    double v = (double)digits / powers[fraction];
    *out = negative ? -v : v;
    return true;
}

bool value_read_number(struct str text, struct expr_value *out)
{
    bool whole = false;
    int64_t integer;
    double number;
    char copy[NUMBER_CHARS_MAX];
    if (!is_number(text, &whole))
        return false;
    if (whole && str_to_i64(text, &integer) == ERR_OK) {
        *out = value_integer(integer);
        return true;
    }
    if (!read_short_decimal(text, &number)) {
        if (!str_copy(copy, sizeof(copy), text))
            return false;
        number = strtod(copy, NULL);
    }
    *out = value_double(number);
    return true;
}

size_t value_print_number(const struct expr_value *v, char out[VALUE_NUMBER_CHARS_MAX])
{
    int n = 0;
    if (v->type == EXPR_INTEGER)
        return (size_t)snprintf(out, VALUE_NUMBER_CHARS_MAX, "%" PRId64, v->integer);
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, VALUE_NUMBER_CHARS_MAX, "%.*g", digits, v->number);
        if (strtod(out, NULL) == v->number)
            break;
    }
    return (size_t)n;
}

/* ---- comparison ----------------------------------------------------------------------------- */

static int compare_doubles(double a, double b)
{
    return a < b ? -1 : a == b ? 0 : 1;
}

/* 2^63, the first double that no int64_t reaches. */
#define TWO_TO_63 9223372036854775808.0

static int compare_mixed(int64_t i, double d)
{
    if (!(d < TWO_TO_63)) /* NaN too */
        return -1;
    if (d < -TWO_TO_63)
        return 1;
    int64_t whole = (int64_t)d;
    if (i != whole)
        return i < whole ? -1 : 1;
    return compare_doubles(0, d - (double)whole);
}

int value_compare(const struct expr_value *a, const struct expr_value *b)
{
    if (a->type == EXPR_INTEGER && b->type == EXPR_INTEGER)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (a->type == EXPR_INTEGER)
        return compare_mixed(a->integer, b->number);
    if (b->type == EXPR_INTEGER)
        return -compare_mixed(b->integer, a->number);
    return compare_doubles(a->number, b->number);
}

/* ---- casts ---------------------------------------------------------------------------------- */

static enum expr_error fail(struct expr_value *v, enum expr_type type, enum expr_error error)
{
    *v = value_zero(type);
    return error;
}

static enum expr_error number_to_string(struct expr_value *v, struct scratch *scratch)
{
    char text[VALUE_NUMBER_CHARS_MAX];
    size_t n = value_print_number(v, text);
    char *at = scratch_take(scratch, n);
    if (at == NULL)
        return fail(v, EXPR_STRING, EXPR_ERROR_GENERIC);
    memcpy(at, text, n);
    *v = value_string((struct str){at, n});
    return EXPR_OK;
}

static enum expr_error to_string(struct expr_value *v, struct scratch *scratch)
{
    switch (v->type) {
    case EXPR_STRING:
        return EXPR_OK;
    case EXPR_OTHER:
        v->type = EXPR_STRING;
        return EXPR_OK;
    case EXPR_BOOLEAN:
        *v = value_string(v->boolean ? STR_LIT("true") : STR_LIT("false"));
        return EXPR_OK;
    case EXPR_INTEGER:
    case EXPR_DOUBLE:
        return number_to_string(v, scratch);
    case EXPR_MISSING:
    case EXPR_NULL:
        break;
    }
    weir_unreachable();
}

static bool is_word(struct str s, const char *word, size_t len)
{
    return s.len == len && strncasecmp(s.at, word, len) == 0;
}

static enum expr_error to_boolean(struct expr_value *v)
{
    switch (v->type) {
    case EXPR_BOOLEAN:
        return EXPR_OK;
    case EXPR_INTEGER:
        *v = value_boolean(v->integer != 0);
        return EXPR_OK;
    case EXPR_DOUBLE:
        *v = value_boolean(v->number != 0);
        return EXPR_OK;
    case EXPR_STRING:
        if (!is_word(v->text, "true", 4) && !is_word(v->text, "false", 5))
            break;
        *v = value_boolean(v->text.len == 4);
        return EXPR_OK;
    default:
        break;
    }
    return fail(v, EXPR_BOOLEAN, EXPR_ERROR_CAST);
}

static enum expr_error to_number(struct expr_value *v, bool decimal)
{
    int64_t i;
    switch (v->type) {
    case EXPR_INTEGER:
    case EXPR_DOUBLE:
        return EXPR_OK;
    case EXPR_BOOLEAN:
        *v = value_integer(v->boolean);
        return EXPR_OK;
    case EXPR_STRING:
        if (value_read_int32(v->text, &i))
            *v = value_integer(i);
        else if (!decimal || !value_read_number(v->text, v))
            break;
        return EXPR_OK;
    default:
        break;
    }
    return fail(v, EXPR_INTEGER, EXPR_ERROR_CAST);
}

enum expr_error value_cast(struct expr_value *v, enum expr_type to, struct scratch *scratch)
{
    if (to == EXPR_BOOLEAN)
        return to_boolean(v);
    if (to == EXPR_INTEGER || to == EXPR_DOUBLE)
        return to_number(v, to == EXPR_DOUBLE);
    return to_string(v, scratch);
}

enum expr_error value_to_whole(struct expr_value *v, struct scratch *scratch)
{
    enum expr_error error = value_cast(v, EXPR_INTEGER, scratch);
    if (error != EXPR_OK || v->type == EXPR_INTEGER)
        return error;
    if (!(v->number < TWO_TO_63) || v->number < -TWO_TO_63)
        return fail(v, EXPR_INTEGER, EXPR_ERROR_CAST);
    *v = value_integer((int64_t)v->number);
    return EXPR_OK;
}

static bool texts_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

enum expr_error value_equals(struct expr_value *x, struct expr_value y, struct scratch *scratch,
                             bool *equal)
{
    bool wide = y.type == EXPR_INTEGER && (y.integer < INT32_MIN || y.integer > INT32_MAX);
    enum expr_error error = value_cast(x, wide ? EXPR_DOUBLE : y.type, scratch);
    *equal = false;
    if (error != EXPR_OK)
        return error;
    if (y.type == EXPR_BOOLEAN)
        *equal = x->boolean == y.boolean;
    else if (y.type == EXPR_INTEGER || y.type == EXPR_DOUBLE)
        *equal = value_compare(x, &y) == 0;
    else
        *equal = texts_equal(x->text, y.text);
    return EXPR_OK;
}
