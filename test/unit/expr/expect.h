/* expect.h: expressions and what they come to, as text: `3`, `'abc'`, `true`, `1.5`, `null`, and
 * behind an error its name: `0 math`. For tables of cases.
 */
#pragma once

#include "../check.h"
#include "event.h"

#include "expr/cesql.h"
#include "expr/value.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 512
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static inline void expect_show(const struct expr_value *v, enum expr_error error,
                               char out[SHOWN_MAX])
{
    char number[VALUE_NUMBER_CHARS_MAX];
    size_t n = 0;
    switch (v->type) {
    case EXPR_BOOLEAN:
        snprintf(out, SHOWN_MAX, "%s", v->boolean ? "true" : "false");
        break;
    case EXPR_INTEGER:
    case EXPR_DOUBLE:
        n = value_print_number(v, number);
        snprintf(out, SHOWN_MAX, "%.*s", (int)n, number);
        break;
    case EXPR_STRING:
    case EXPR_OTHER:
        snprintf(out, SHOWN_MAX, "%s%.*s%s", v->type == EXPR_STRING ? "'" : "", (int)v->text.len,
                 v->text.at, v->type == EXPR_STRING ? "'" : "");
        break;
    case EXPR_NULL:
        snprintf(out, SHOWN_MAX, "null");
        break;
    case EXPR_MISSING:
        snprintf(out, SHOWN_MAX, "missing");
        break;
    }
    if (error != EXPR_OK)
        snprintf(out + strlen(out), SHOWN_MAX - strlen(out), " %s", expr_error_name(error));
}

/* The expression over the event; "parse: TEXT" where it does not compile. */
static inline void expect_eval(const char *expression, const struct event *event,
                               char out[SHOWN_MAX])
{
    char scratch[EXPR_SCRATCH_BYTES];
    struct err_text text = {{0}};
    struct expr_value v;
    struct expr *e = NULL;
    enum expr_error error = cesql_compile(str_of(expression), &e, &text);
    if (error != EXPR_OK) {
        snprintf(out, SHOWN_MAX, "%s: %s", expr_error_name(error), text.s);
        return;
    }
    error = expr_eval(e, &event->source, scratch, &v);
    expect_show(&v, error, out);
    expr_free(e);
}

struct expect_case {
    const char *expression, *want;
};

static inline void expect_cases(const struct expect_case *cases, size_t n,
                                const struct event *event)
{
    for (size_t i = 0; i < n; i++) {
        char got[SHOWN_MAX];
        expect_eval(cases[i].expression, event, got);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s\n  is   %s\n  not  %s", cases[i].expression, got, cases[i].want);
    }
}
