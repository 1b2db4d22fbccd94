/* kind.h: a kind with a field of every type, for the tests of the interpreter. */
#pragma once

#include "spec/spec.h"

#include "../check.h"

#include <string.h>

struct extra {
    struct str name, value;
    bool secret;
};

struct thing {
    struct str title, password, json, derived;
    bool on, present;
    int64_t count, wait_ms, bytes, time_ms, colour, limit_ms, level, share;
    struct spec_texts tags;
    struct spec_map config;
    struct spec_list extras;
};

enum { RED, GREEN, BLUE };

static const char *const colours[] = {"red", "green", "blue", NULL};

#define AT(member) offsetof(struct extra, member)
static const struct spec_field extra_fields[] = {
    {.path = "name", .type = SPEC_TEXT, .offset = AT(name), .doc = "its name", .required = true},
    {.path = "value",
     .type = SPEC_TEXT,
     .offset = AT(value),
     .doc = "its value",
     .secret_if = "secret"},
    {.path = "secret", .type = SPEC_BOOLEAN, .offset = AT(secret), .doc = "is it one?"},
};
#undef AT

static enum err check_title(const struct spec_field *field, const void *value,
                            struct err_text *text)
{
    const struct str *title = value;
    (void)field;
    if (title->len && title->at[0] == 'x')
        return err_say(text, ERR_CONFIG_INVALID, "must not begin with x");
    return ERR_OK;
}

static enum err check_thing(void *value, struct arena *arena, const char **field,
                            struct err_text *text)
{
    struct thing *thing = value;
    thing->derived = (struct str){arena_copy(arena, thing->title.at, thing->title.len), 1};
    if (thing->count == 13 && thing->colour == RED) {
        *field = "nested.deep.count";
        return err_say(text, ERR_CONFIG_INVALID, "must not be 13 where colour is red");
    }
    return ERR_OK;
}

#define AT(member) offsetof(struct thing, member)
static const struct spec_field thing_fields[] = {
    {.path = "title",
     .type = SPEC_TEXT,
     .offset = AT(title),
     .max = 20,
     .doc = "a title",
     .required = true,
     .check = check_title},
    {.path = "password", .type = SPEC_TEXT, .offset = AT(password), .doc = "a|b", .secret = true},
    {.path = "on", .type = SPEC_BOOLEAN, .offset = AT(on), .dflt = "true", .doc = "a switch"},
    {.path = "nested.deep.count",
     .type = SPEC_INT,
     .offset = AT(count),
     .dflt = "7",
     .min = -5,
     .max = 100,
     .doc = "a number"},
    {.path = "nested.wait",
     .type = SPEC_DURATION,
     .offset = AT(wait_ms),
     .dflt = "30s",
     .min = 0,
     .max = 86400000,
     .doc = "a wait"},
    {.path = "limit",
     .type = SPEC_DURATION,
     .offset = AT(limit_ms),
     .dflt = "none",
     .min = -1,
     .max = INT64_MAX,
     .doc = "a limit"},
    {.path = "bytes",
     .type = SPEC_SIZE,
     .offset = AT(bytes),
     .dflt = "1KiB",
     .min = 1,
     .max = INT64_MAX,
     .doc = "a size"},
    {.path = "time", .type = SPEC_TIME, .offset = AT(time_ms), .doc = "a time"},
    {.path = "colour",
     .type = SPEC_CHOICE,
     .offset = AT(colour),
     .dflt = "green",
     .choices = colours,
     .doc = "a colour",
     .fixed = true},
    {.path = "level", .type = SPEC_INT, .offset = AT(level), .doc = "a level"},
    {.path = "share",
     .type = SPEC_DECIMAL,
     .offset = AT(share),
     .min = -2000,
     .max = 64500,
     .doc = "a share"},
    {.path = "tags", .type = SPEC_TEXTS, .offset = AT(tags), .doc = "tags"},
    {.path = "config", .type = SPEC_MAP, .offset = AT(config), .doc = "settings"},
    {.path = "extras",
     .type = SPEC_LIST,
     .offset = AT(extras),
     .doc = "more",
     .fields = extra_fields,
     .fields_n = sizeof extra_fields / sizeof extra_fields[0],
     .element_bytes = sizeof(struct extra)},
    {.path = "json", .type = SPEC_JSON, .offset = AT(json), .doc = "anything"},
    {.path = "present", .type = SPEC_PRESENT, .offset = AT(present), .doc = "there or not"},
};
#undef AT

static const struct spec_kind thing_kind = {.name = "Thing",
                                            .plural = "things",
                                            .doc = "A thing.",
                                            .fields = thing_fields,
                                            .n = sizeof thing_fields / sizeof thing_fields[0],
                                            .bytes = sizeof(struct thing),
                                            .check = check_thing};
