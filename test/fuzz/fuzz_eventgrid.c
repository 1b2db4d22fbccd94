/* An Event Grid filter object and the data of an event, both hostile.
 *
 * The input is the filter, a NUL, and the document. What must hold: compiling ends with a program
 * or with a reason that begins with the place; a program is true or false, to the same in a set as
 * alone.
 */
#include "fuzz.h"

#include "expr/expr.h"

struct event {
    struct expr_source source;
    struct str data;
};

static void attribute(const struct expr_source *source, struct str name, struct expr_value *out)
{
    (void)source;
    *out = (struct expr_value){.type = EXPR_MISSING};
    if (str_is(name, "type"))
        *out = (struct expr_value){.type = EXPR_STRING, .text = STR_LIT("Order.Created")};
    else if (str_is(name, "subject"))
        *out = (struct expr_value){.type = EXPR_STRING, .text = STR_LIT("/\xc3\x84/\xff")};
    else if (str_is(name, "n"))
        *out = (struct expr_value){.type = EXPR_INTEGER, .integer = 3};
}

static struct str data(const struct expr_source *source)
{
    return ((const struct event *)source)->data;
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
    if (expr_compile_eventgrid((struct str){(const char *)input, n}, &e, &text) != ERR_OK) {
        weir_assert(e == NULL && strncmp(text.s, "filter", 6) == 0);
        return 0;
    }
    struct expr_value v;
    enum expr_error error = expr_eval(e, &event.source, NULL, &v);
    weir_assert(v.type == EXPR_BOOLEAN);
    weir_assert(error == EXPR_OK || (error == EXPR_ERROR_GENERIC && !v.boolean));
    bool matches = error == EXPR_OK && v.boolean;
    const struct expr *both[] = {e, e};
    struct expr_set *set = expr_set_make(both, 2);
    uint64_t hits = 0;
    expr_set_match(set, &event.source, &hits);
    weir_assert(hits == (matches ? 3u : 0u));
    expr_set_free(set);
    expr_free(e);
    return 0;
}
