/* cesql_eval: evaluates CESQL expressions for test/wire/test_cesql_tck.py.
 *
 * A line of stdin is {"expression": text, "event": {name: value}}, a line of stdout what came of
 * it: {"error": name, "result": value, "text": why it does not compile}. Both are JSON. An
 * expression that does not compile is answered with false and its error.
 */
#include "event.h"

#include "expr/cesql.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct expr_value value_of(const json_t *v)
{
    if (json_is_boolean(v))
        return (struct expr_value){.type = EXPR_BOOLEAN, .boolean = json_is_true(v)};
    if (json_is_integer(v))
        return (struct expr_value){.type = EXPR_INTEGER, .integer = json_integer_value(v)};
    return (struct expr_value){.type = EXPR_STRING,
                               .text = {json_string_value(v), json_string_length(v)}};
}

static json_t *json_of(const struct expr_value *v)
{
    switch (v->type) {
    case EXPR_BOOLEAN:
        return json_boolean(v->boolean);
    case EXPR_INTEGER:
        return json_integer(v->integer);
    case EXPR_DOUBLE:
        return json_real(v->number);
    default:
        return json_stringn(v->text.at, v->text.len);
    }
}

static void answer(json_t *question)
{
    const json_t *expression = json_object_get(question, "expression");
    struct expr_value out = {.type = EXPR_BOOLEAN};
    char scratch[EXPR_SCRATCH_BYTES];
    struct event event;
    struct err_text text = {{0}};
    struct expr *e = NULL;
    const char *key;
    json_t *value;
    event_init(&event, NULL);
    json_object_foreach(json_object_get(question, "event"), key, value)
    {
        event_set(&event, key, value_of(value));
    }
    struct str source = {json_string_value(expression), json_string_length(expression)};
    enum expr_error error = cesql_compile(source, &e, &text);
    if (error == EXPR_OK)
        error = expr_eval(e, &event.source, scratch, &out);
    json_t *a = json_pack("{s:s, s:o, s:s}", "error", expr_error_name(error), "result",
                          json_of(&out), "text", text.s);
    json_dumpf(a, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    fflush(stdout);
    json_decref(a);
    expr_free(e);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        json_error_t error;
        json_t *question = json_loads(line, 0, &error);
        if (question == NULL) {
            fprintf(stderr, "cesql_eval: %s\n", error.text);
            return 1;
        }
        answer(question);
        json_decref(question);
    }
    free(line);
    return 0;
}
