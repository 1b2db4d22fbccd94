/* What a custom handler answers, as events and lines of the log. */
#include "flow/function_azure.h"

#include "flow/ascii.h"

static enum err bad(struct azure_answer *a, const char *what)
{
    return err_say(&a->text, ERR_RECORD_INVALID, "the handler's answer is none: %s", what);
}

/* ---- events ---------------------------------------------------------------------------------- */

enum shape { SHAPE_DATA, SHAPE_CLOUDEVENT, SHAPE_EVENTGRID };

/* By what only they must have: specversion (CloudEvents 3.1), eventType beside an id. */
static enum shape shape_of(struct str object)
{
    struct jr j;
    struct jr_value name, value;
    bool type = false, id = false;
    jr_init(&j, object);
    (void)jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &value)) {
        if (str_is(name.text, "specversion"))
            return SHAPE_CLOUDEVENT;
        type |= str_is(name.text, "eventType");
        id |= str_is(name.text, "id");
    }
    return type && id ? SHAPE_EVENTGRID : SHAPE_DATA;
}

static enum err set_type(struct azure_answer *a, struct event *e, bool json)
{
    struct str type = json ? STR_LIT("application/json") : STR_LIT("text/plain");
    e->type = STR_LIT(AZURE_OUTPUT_TYPE);
    return event_attribute_set(e, STR_LIT("datacontenttype"), type, &a->text);
}

static enum err of_text(struct azure_answer *a, const struct jr_value *v, struct event *e)
{
    e->data = jr_string(v, a->arena);
    if (e->data.at == NULL)
        return ERR_MEMORY;
    bool open = e->data.len > 0 && (e->data.at[0] == '{' || e->data.at[0] == '[');
    return set_type(a, e, open && json_valid(e->data));
}

static enum err of_value(struct azure_answer *a, const struct jr_value *v, struct event *e)
{
    enum shape shape = v->type == JR_OBJECT ? shape_of(v->text) : SHAPE_DATA;
    event_init(e);
    if (shape == SHAPE_CLOUDEVENT)
        return event_of_json_partial(v->text, a->arena, e, &a->text);
    if (shape == SHAPE_EVENTGRID)
        return event_of_eventgrid(v->text, a->source, a->arena, e, &a->text);
    if (v->type == JR_STRING)
        return of_text(a, v, e);
    e->data = v->text;
    return set_type(a, e, true);
}

static enum err give(struct azure_answer *a, const struct jr_value *v, struct str topic)
{
    struct event e;
    enum err err = of_value(a, v, &e);
    return err == ERR_OK ? a->event(a->arg, &e, topic) : err;
}

static enum err give_all(struct azure_answer *a, const struct jr_value *v, struct str topic)
{
    struct jr j;
    struct jr_value element;
    enum err err = ERR_OK;
    if (v->type != JR_ARRAY)
        return give(a, v, topic);
    jr_init(&j, v->text);
    (void)jr_array(&j);
    while (err == ERR_OK && jr_element(&j) && jr_value(&j, &element)) {
        if (element.type != JR_NULL)
            err = give(a, &element, topic);
    }
    return err;
}

/* ---- bindings -------------------------------------------------------------------------------- */

/* Who names no binding for the answer returns it, unless the binding has one. */
static enum err answer_with(struct azure_answer *a, const struct jr_value *v)
{
    if (a->response.type != JR_NULL)
        return ERR_OK;
    a->response = *v;
    a->returned = true;
    return ERR_OK;
}

static enum err put_out(struct azure_answer *a, struct str name, const struct jr_value *v)
{
    const struct function_output *out = a->conf->azure_out.at;
    if (v->type == JR_NULL)
        return ERR_OK;
    if (function_takes_requests(a->conf) && str_eq(name, a->conf->azure_response)) {
        a->response = *v;
        a->returned = str_is(name, "$return");
        return ERR_OK;
    }
    for (size_t i = 0; i < a->conf->azure_out.n; i++) {
        if (str_eq(out[i].name, name))
            return give_all(a, v, out[i].topic);
    }
    if (str_is(name, "$return") && function_takes_requests(a->conf))
        return answer_with(a, v);
    if (str_is(name, "$return"))
        return give_all(a, v, (struct str){NULL, 0});
    a->dropped++;
    return ERR_OK;
}

static enum err read_outputs(struct azure_answer *a, const struct jr_value *v)
{
    struct jr j;
    struct jr_value name, value;
    enum err err = ERR_OK;
    if (v->type == JR_NULL)
        return ERR_OK;
    if (v->type != JR_OBJECT)
        return bad(a, "Outputs must be an object of bindings");
    jr_init(&j, v->text);
    (void)jr_object(&j);
    while (err == ERR_OK && jr_member(&j, &name) && jr_value(&j, &value)) {
        struct str binding = jr_string(&name, a->arena);
        err = binding.at != NULL ? put_out(a, binding, &value) : ERR_MEMORY;
    }
    return err;
}

static enum err read_return(struct azure_answer *a, const struct jr_value *v)
{
    return put_out(a, STR_LIT("$return"), v);
}

static enum err read_logs(struct azure_answer *a, const struct jr_value *v)
{
    struct jr j;
    struct jr_value element;
    if (v->type == JR_NULL)
        return ERR_OK;
    if (v->type != JR_ARRAY)
        return bad(a, "Logs must be an array of lines");
    jr_init(&j, v->text);
    (void)jr_array(&j);
    while (jr_element(&j) && jr_value(&j, &element)) {
        struct str text = element.type == JR_STRING ? jr_string(&element, a->arena) : element.text;
        if (text.at == NULL)
            return ERR_MEMORY;
        if (a->lines++ < a->conf->output_lines_max)
            a->line(a->arg, text);
        else
            a->lines_dropped++;
    }
    return ERR_OK;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static const struct member {
    const char *name; /* in lower case */
    enum err (*read)(struct azure_answer *a, const struct jr_value *v);
} members[] = {{"logs", read_logs}, {"outputs", read_outputs}, {"returnvalue", read_return}};

static enum err read_member(struct azure_answer *a, struct str name, const struct jr_value *v)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (ascii_is(name, members[i].name))
            return members[i].read(a, v);
    }
    return ERR_OK; /* res, invocationId: handlers add what they like */
}

enum err azure_answer_read(struct azure_answer *a, struct str body)
{
    struct jr j;
    struct jr_value name, value;
    enum err err = ERR_OK;
    a->lines = a->lines_dropped = a->dropped = 0;
    a->text.s[0] = '\0';
    a->response = (struct jr_value){.type = JR_NULL};
    a->returned = false;
    jr_init(&j, body);
    if (!json_valid(body) || !jr_object(&j))
        return bad(a, "it must be a JSON object with Outputs, Logs and ReturnValue");
    while (err == ERR_OK && jr_member(&j, &name) && jr_value(&j, &value))
        err = read_member(a, name.text, &value);
    return err;
}
