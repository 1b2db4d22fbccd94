/* spec_internal.h: one value of a field: from JSON and from text into its struct, and out again.
 * Internal to the folder. */
#pragma once

#include "spec/spec.h"

/* The field's place in its struct. */
static inline void *spec_at(const struct spec_field *field, void *base)
{
    return (char *)base + field->offset;
}

static inline const void *spec_at_const(const struct spec_field *field, const void *base)
{
    return (const char *)base + field->offset;
}

/* Sets every field of the table in base, which is zeroed memory or was filled before. */
void spec_fields_default(const struct spec_field *fields, size_t n, void *base);
void spec_value_default(const struct spec_field *field, void *base);
bool spec_value_is_default(const struct spec_field *field, const void *base);

/* Every type but SPEC_LIST. ERR_CONFIG_INVALID: text says what it must be, in words that follow
 * the field's name; ERR_MEMORY. */
enum err must_use spec_value_read(const struct spec_field *field, json_t *json, struct arena *arena,
                                  void *base, struct err_text *text);
/* Every type but SPEC_LIST. A new reference; NULL: not set. */
json_t *spec_value_write(const struct spec_field *field, const void *base);

/* What a value of the field may be: "a duration such as 30s or PT30S, from 1s to 7d". */
void spec_value_form(const struct spec_field *field, char *out, size_t cap);

/* The secret fields of the object at base: does this one belong to them? */
bool spec_is_secret(const struct spec_field *field, const struct spec_field *fields, size_t n,
                    const void *base);

/* The part of the field's path before its last dot; empty: none. */
struct str spec_group_of(const struct spec_field *field);
