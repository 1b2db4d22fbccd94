#include "expr/functions.h"

#include "base/assert.h"
#include "expr/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define ARGS struct expr_value *args, size_t n, bool wide, struct scratch *scratch
#define UNUSED_ARGS (void)args, (void)n, (void)wide, (void)scratch

/* ---- casts ---------------------------------------------------------------------------------- */

static enum expr_error run_int(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    enum expr_error error = value_to_whole(out, scratch);
    if (error == EXPR_OK && !wide && (out->integer < INT32_MIN || out->integer > INT32_MAX)) {
        *out = value_integer(0);
        error = EXPR_ERROR_CAST;
    }
    return error;
}

static enum expr_error run_bool(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    return value_cast(out, EXPR_BOOLEAN, scratch);
}

static enum expr_error run_string(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    return value_cast(out, EXPR_STRING, scratch);
}

static enum expr_error run_is_int(ARGS, struct expr_value *out)
{
    struct expr_value ignored;
    *out = value_boolean(run_int(args, n, wide, scratch, &ignored) == EXPR_OK);
    return EXPR_OK;
}

static enum expr_error run_is_bool(ARGS, struct expr_value *out)
{
    struct expr_value ignored;
    *out = value_boolean(run_bool(args, n, wide, scratch, &ignored) == EXPR_OK);
    return EXPR_OK;
}

/* ---- numbers -------------------------------------------------------------------------------- */

static enum expr_error run_abs(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    if (out->type == EXPR_DOUBLE) {
        out->number = __builtin_fabs(out->number);
        return EXPR_OK;
    }
    int64_t most = wide ? INT64_MAX : INT32_MAX;
    bool fits = out->integer >= -most && out->integer <= most;
    out->integer = fits ? llabs(out->integer) : most;
    return fits ? EXPR_OK : EXPR_ERROR_MATH;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static enum expr_error run_length(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = value_integer((int64_t)text_length(args[0].text));
    return EXPR_OK;
}

/* The texts args[0 .. n - 1] with the delimiter between them. */
static enum expr_error join(const struct expr_value *args, size_t n, struct str delimiter,
                            struct scratch *scratch, struct expr_value *out)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        len += args[i].text.len + (i > 0 ? delimiter.len : 0);
    char *text = scratch_take(scratch, len);
    *out = value_string(STR_LIT(""));
    if (text == NULL)
        return EXPR_ERROR_GENERIC;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && delimiter.len > 0)
            memcpy(text + at, delimiter.at, delimiter.len);
        at += i > 0 ? delimiter.len : 0;
        if (args[i].text.len > 0)
            memcpy(text + at, args[i].text.at, args[i].text.len);
        at += args[i].text.len;
    }
    if (len > 0)
        *out = value_string((struct str){text, len});
    return EXPR_OK;
}

static enum expr_error run_concat(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    return join(args, n, STR_LIT(""), scratch, out);
}

static enum expr_error run_concat_ws(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    return join(args + 1, n - 1, args[0].text, scratch, out);
}

static enum expr_error map_case(struct str s, uint32_t (*map)(uint32_t), struct scratch *scratch,
                                struct expr_value *out)
{
    char c[4];
    *out = value_string((struct str){scratch->at + scratch->used, 0});
    for (size_t i = 0; i < s.len;) {
        size_t n = text_put(c, map(text_next(s, &i)));
        char *at = scratch_take(scratch, n);
        if (at == NULL) {
            *out = value_string(STR_LIT(""));
            return EXPR_ERROR_GENERIC;
        }
        memcpy(at, c, n);
        out->text.len += n;
    }
    return EXPR_OK;
}

static enum expr_error run_lower(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    return map_case(args[0].text, text_lower, scratch, out);
}

static enum expr_error run_upper(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    return map_case(args[0].text, text_upper, scratch, out);
}

static enum expr_error run_trim(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = value_string(text_trim(args[0].text));
    return EXPR_OK;
}

static struct str cut(struct str s, size_t from, size_t chars)
{
    size_t skip = text_bytes(s, from);
    struct str rest = {s.at + skip, s.len - skip};
    return (struct str){rest.at, text_bytes(rest, chars)};
}

static enum expr_error run_left(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    if (args[1].integer < 0)
        return EXPR_ERROR_FUNCTION_EVALUATION;
    out->text = cut(out->text, 0, (size_t)args[1].integer);
    return EXPR_OK;
}

static enum expr_error run_right(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    *out = args[0];
    if (args[1].integer < 0)
        return EXPR_ERROR_FUNCTION_EVALUATION;
    size_t chars = text_length(out->text), want = (size_t)args[1].integer;
    out->text = cut(out->text, want < chars ? chars - want : 0, chars);
    return EXPR_OK;
}

static enum expr_error run_substring(ARGS, struct expr_value *out)
{
    UNUSED_ARGS;
    int64_t pos = args[1].integer, len = n == 3 ? args[2].integer : INT64_MAX;
    int64_t chars = (int64_t)text_length(args[0].text);
    *out = value_string(STR_LIT(""));
    if (pos > chars || pos < -chars || len < 0)
        return EXPR_ERROR_FUNCTION_EVALUATION;
    if (pos != 0)
        out->text = cut(args[0].text, (size_t)(pos > 0 ? pos - 1 : chars + pos), (size_t)len);
    return EXPR_OK;
}

/* ---- the table ------------------------------------------------------------------------------ */

#define ANY FUNCTION_ANY
#define STR FUNCTION_STRING
#define INT FUNCTION_INTEGER
#define NUM FUNCTION_NUMBER

/* clang-format off */
static const struct function functions[] = {
    /* name       arguments               wide   their types      result */
    {"INT",       1, 1,                   true,  {ANY},           EXPR_INTEGER, run_int},
    {"BOOL",      1, 1,                   false, {ANY},           EXPR_BOOLEAN, run_bool},
    {"STRING",    1, 1,                   false, {ANY},           EXPR_STRING,  run_string},
    {"IS_INT",    1, 1,                   false, {ANY},           EXPR_BOOLEAN, run_is_int},
    {"IS_BOOL",   1, 1,                   false, {ANY},           EXPR_BOOLEAN, run_is_bool},
    {"ABS",       1, 1,                   true,  {NUM},           EXPR_INTEGER, run_abs},
    {"LENGTH",    1, 1,                   false, {STR},           EXPR_INTEGER, run_length},
    {"CONCAT",    0, FUNCTION_ARGS_MAX,   false, {STR, STR, STR}, EXPR_STRING,  run_concat},
    {"CONCAT_WS", 1, FUNCTION_ARGS_MAX,   false, {STR, STR, STR}, EXPR_STRING,  run_concat_ws},
    {"LOWER",     1, 1,                   false, {STR},           EXPR_STRING,  run_lower},
    {"UPPER",     1, 1,                   false, {STR},           EXPR_STRING,  run_upper},
    {"TRIM",      1, 1,                   false, {STR},           EXPR_STRING,  run_trim},
    {"LEFT",      2, 2,                   false, {STR, INT},      EXPR_STRING,  run_left},
    {"RIGHT",     2, 2,                   false, {STR, INT},      EXPR_STRING,  run_right},
    {"SUBSTRING", 2, 3,                   false, {STR, INT, INT}, EXPR_STRING,  run_substring},
};
/* clang-format on */

size_t function_count(void)
{
    return COUNT_OF(functions);
}

const struct function *function_at(size_t i)
{
    weir_assert(i < COUNT_OF(functions));
    return &functions[i];
}

static bool is_named(struct str name, const struct function *f)
{
    return strlen(f->name) == name.len && strncasecmp(name.at, f->name, name.len) == 0;
}

bool function_find(struct str name, size_t n, size_t *out, const struct function **near)
{
    char upper[32];
    unsigned least = 3;
    *near = NULL;
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        const struct function *f = &functions[i];
        if (!is_named(name, f))
            continue;
        *near = f;
        *out = i;
        return n >= f->args && n <= f->args_max;
    }
    if (!str_copy(upper, sizeof(upper), name))
        return false;
    for (char *c = upper; *c != '\0'; c++)
        *c = (char)text_upper((uint8_t)*c);
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        unsigned distance = str_distance(str_of(upper), str_of(functions[i].name));
        if (distance < least) {
            least = distance;
            *near = &functions[i];
        }
    }
    return false;
}

static enum expr_error cast_argument(struct expr_value *v, enum function_type type,
                                     struct scratch *scratch)
{
    switch (type) {
    case FUNCTION_ANY:
        return EXPR_OK;
    case FUNCTION_STRING:
        return value_cast(v, EXPR_STRING, scratch);
    case FUNCTION_INTEGER:
        return value_to_whole(v, scratch);
    case FUNCTION_NUMBER:
        return value_cast(v, EXPR_INTEGER, scratch);
    }
    weir_unreachable();
}

enum expr_error function_call(const struct function *f, struct expr_value *args, size_t n,
                              bool wide, struct scratch *scratch, struct expr_value *out)
{
    for (size_t i = 0; i < n; i++) {
        enum expr_error error = cast_argument(&args[i], f->in[i < 3 ? i : 2], scratch);
        if (error != EXPR_OK) {
            *out = value_zero(f->out);
            return error;
        }
    }
    struct expr_value result; /* out may be one of the arguments */
    enum expr_error error = f->run(args, n, wide, scratch, &result);
    *out = result;
    return error;
}
