/* A CESQL expression and a JSON document, both hostile.
 *
 * The input is the expression, a NUL, and the document. What must hold: compiling ends with a
 * program or with a reason; a program evaluates within its bounds, to the same each time and in a
 * set with others as alone; texts that come out lie in the scratch, the event or the program.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "expr/cesql.h"

struct event {
    struct expr_source source;
    struct str data;
};

static void attribute(const struct expr_source *source, struct str name, struct expr_value *out)
{
    (void)source;
    *out = (struct expr_value){.type = EXPR_MISSING};
    if (name.len == 1 && name.at[0] == 'i')
        *out = (struct expr_value){.type = EXPR_INTEGER, .integer = -7};
    else if (name.len == 1 && name.at[0] == 'b')
        *out = (struct expr_value){.type = EXPR_BOOLEAN, .boolean = true};
    else if (str_is(name, "type"))
        *out = (struct expr_value){.type = EXPR_STRING, .text = STR_LIT("a.b")};
    else if (str_is(name, "s"))
        *out = (struct expr_value){.type = EXPR_STRING, .text = STR_LIT("5\xc3\xa9\xff")};
}

static struct str data(const struct expr_source *source)
{
    return ((const struct event *)source)->data;
}

static void touch(struct str s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < s.len; i++)
        sum += (uint8_t)s.at[i];
    volatile unsigned seen = sum; /* every byte is there to be read */
    (void)seen;
}

static bool same(const struct expr_value *a, const struct expr_value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == EXPR_STRING || a->type == EXPR_OTHER)
        return a->text.len == b->text.len &&
               (a->text.len == 0 || memcmp(a->text.at, b->text.at, a->text.len) == 0);
    if (a->type == EXPR_BOOLEAN)
        return a->boolean == b->boolean;
    return a->integer == b->integer; /* or a double's bits */
}

static void evaluate(const struct expr *e, const struct event *event)
{
    static char one[EXPR_SCRATCH_BYTES], two[EXPR_SCRATCH_BYTES];
    struct expr_value v, w;
    enum expr_error error = expr_eval(e, &event->source, one, &v);
    weir_assert(error != EXPR_ERROR_PARSE && error != EXPR_ERROR_MISSING_FUNCTION);
    weir_assert(v.type != EXPR_MISSING && v.type != EXPR_NULL);
    if (v.type == EXPR_STRING || v.type == EXPR_OTHER)
        touch(v.text);
    weir_assert(expr_eval(e, &event->source, two, &w) == error && same(&v, &w));
    bool matches = error == EXPR_OK && v.type == EXPR_BOOLEAN && v.boolean;
    weir_assert(expr_matches(e, &event->source) == matches);
    const struct expr *both[] = {e, NULL, e};
    struct expr_set *set = expr_set_make(both, 3);
    uint64_t hits = 0;
    expr_set_match(set, &event->source, &hits);
    weir_assert(hits == (matches ? 7u : 2u));
    expr_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(input, 0, size) : NULL;
    size_t n = nul != NULL ? (size_t)(nul - input) : size;
    struct event event = {{attribute, data}, {NULL, 0}};
    struct err_text text = {{0}};
    struct expr *e = NULL;
    if (nul != NULL)
        event.data = (struct str){(const char *)nul + 1, size - n - 1};
    enum expr_error error = cesql_compile((struct str){(const char *)input, n}, &e, &text);
    weir_assert(memchr(text.s, 0, sizeof text.s));
    if (error != EXPR_OK) {
        weir_assert(e == NULL && text.s[0] != 0 && utf8_valid(text.s, strlen(text.s)));
        return 0;
    }
    evaluate(e, &event);
    (void)expr_looks_at_data(e);
    expr_free(e);
    return 0;
}
