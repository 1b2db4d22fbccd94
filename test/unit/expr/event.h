/* event.h: an event for tests of expressions: a list of attributes and a payload, as a source that
 * counts how often it is asked.
 */
#pragma once

#include "expr/expr.h"

#define EVENT_ATTRIBUTES_MAX 300

struct event {
    struct expr_source source; /* first */
    struct {
        struct str name;
        struct expr_value value;
    } attributes[EVENT_ATTRIBUTES_MAX];
    size_t n;
    struct str data;
    unsigned asked, data_asked;
};

static inline void event_attribute(const struct expr_source *source, struct str name,
                                   struct expr_value *out)
{
    struct event *e = (struct event *)(uintptr_t)source;
    e->asked++;
    out->type = EXPR_MISSING;
    for (size_t i = 0; i < e->n; i++) {
        if (str_eq(e->attributes[i].name, name))
            *out = e->attributes[i].value;
    }
}

static inline struct str event_data(const struct expr_source *source)
{
    struct event *e = (struct event *)(uintptr_t)source;
    e->data_asked++;
    return e->data;
}

static inline void event_init(struct event *e, const char *data)
{
    *e = (struct event){.source = {event_attribute, event_data}};
    e->data = str_of(data);
}

static inline void event_set(struct event *e, const char *name, struct expr_value v)
{
    e->attributes[e->n].name = str_of(name);
    e->attributes[e->n++].value = v;
}

static inline void event_set_text(struct event *e, const char *name, const char *text)
{
    event_set(e, name, (struct expr_value){.type = EXPR_STRING, .text = str_of(text)});
}
