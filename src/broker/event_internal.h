/* event_internal.h: the attributes that CloudEvents defines, as a table, and what values may be.
 * Inside of broker/ only. */
#pragma once

#include "broker/event.h"

enum event_type { EVENT_STRING, EVENT_URI, EVENT_URI_REFERENCE, EVENT_TIMESTAMP };

/* A core attribute other than specversion. */
struct event_core {
    struct str name, header; /* "id", "ce_id" */
    size_t at;               /* of its struct str in struct event */
    enum event_type type;
    bool required;
};
#define EVENT_CORE_COUNT 7
extern const struct event_core event_core[EVENT_CORE_COUNT];
/* NULL: an extension. */
const struct event_core *event_core_find(struct str name);

static inline struct str *event_core_of(struct event *e, const struct event_core *core)
{
    return (struct str *)(void *)((char *)e + core->at);
}

static inline struct str event_core_get(const struct event *e, const struct event_core *core)
{
    return *(const struct str *)(const void *)((const char *)e + core->at);
}

/* Is this text a CloudEvents String: UTF-8 without control characters and noncharacters? */
bool event_text_ok(struct str value);
enum err must_use event_name_check(struct str name, struct err_text *text);
enum err must_use event_value_check(struct str name, enum event_type type, struct str value,
                                    struct err_text *text);
enum err must_use event_required_check(const struct event *e, struct err_text *text);
/* All attributes, and that the required ones are there. */
enum err must_use event_check(const struct event *e, struct err_text *text);
/* Is `value` a traceparent of version 00? */
bool event_trace_ok(struct str value);
/* A copy with a NUL in the arena; at NULL: it is full. */
struct str event_copy(struct arena *arena, const char *text);
/* Walks the members of the object that the cursor stands in front of; stops at the first error. */
typedef enum err event_member_fn(void *arg, struct str name, const struct jr_value *v);
enum err must_use event_members(struct jr *j, struct arena *arena, struct err_text *text,
                                event_member_fn *take, void *arg);
/* What is wrong with the document. */
enum err must_use event_not_json(const struct jr *j, struct err_text *text);
/* Is it text that a JSON string may hold: of a content type that says so, and UTF-8? */
bool event_data_is_text(const struct event *e);
