/* schema.c: the tables as JSON schema (draft 2020-12), and as rows of documentation.
 *
 * The schema is for editors and for those who check before they apply: it accepts whatever
 * spec_read accepts but for the checks that are code, and refuses unknown fields.
 */
#include "spec/spec_internal.h"

#include "base/assert.h"
#include "base/when.h"

#include <stdio.h>
#include <string.h>

#define DURATION_PATTERN                                                                           \
    "^(?!$)(?!.*[PT]$)([0-9]+|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?|"                \
    "P([0-9]+W)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+([.][0-9]+)?S)?)?)$"
#define SIZE_PATTERN "^[0-9]+([KMGT]i?)?B?$"
#define DECIMAL_PATTERN "^-?[0-9]+([.][0-9]{1,3}|m)?$"

static json_t *object_schema(const struct spec_field *fields, size_t n);

/* ---- one field ------------------------------------------------------------------------------ */

static void put_bounds(json_t *schema, const struct spec_field *field)
{
    if (field->min == 0 && field->max == 0)
        return;
    if (field->min != INT64_MIN)
        json_object_set_new(schema, "minimum", json_integer(field->min));
    if (field->max != INT64_MAX)
        json_object_set_new(schema, "maximum", json_integer(field->max));
}

/* A number of the base unit, or text with one. */
static json_t *measure_schema(const struct spec_field *field, const char *pattern)
{
    json_t *number = json_pack("{s:s}", "type", "integer");
    json_t *text = json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
    json_t *forms = json_pack("[o, o]", text, number);
    put_bounds(number, field);
    if (field->min == -1)
        json_array_append_new(forms, json_pack("{s:s}", "const", "none"));
    return json_pack("{s:o}", "anyOf", forms);
}

static json_t *choice_schema(const struct spec_field *field)
{
    json_t *choices = json_array();
    for (size_t i = 0; field->choices[i]; i++)
        json_array_append_new(choices, json_string(field->choices[i]));
    return json_pack("{s:o}", "enum", choices);
}

static json_t *text_schema(const struct spec_field *field)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    if (field->max > 0)
        json_object_set_new(schema, "maxLength", json_integer(field->max));
    return schema;
}

static json_t *bounded_list(json_t *element)
{
    return json_pack("{s:s, s:o, s:i}", "type", "array", "items", element, "maxItems",
                     SPEC_LIST_MAX);
}

static json_t *map_schema(void)
{
    return json_pack("{s:s, s:{s:[s,s,s]}, s:i}", "type", "object", "additionalProperties", "type",
                     "string", "number", "boolean", "maxProperties", SPEC_LIST_MAX);
}

static json_t *int_schema(const struct spec_field *field)
{
    json_t *schema = json_pack("{s:s}", "type", "integer");
    put_bounds(schema, field);
    return schema;
}

static json_t *decimal_schema(const struct spec_field *field)
{
    json_t *number = json_pack("{s:s}", "type", "number");
    if (field->min != 0 || field->max != 0) {
        json_object_set_new(number, "minimum", json_real((double)field->min / 1000));
        json_object_set_new(number, "maximum", json_real((double)field->max / 1000));
    }
    return json_pack("{s:[{s:s, s:s}, o]}", "anyOf", "type", "string", "pattern", DECIMAL_PATTERN,
                     number);
}

static json_t *value_schema(const struct spec_field *field)
{
    switch (field->type) {
    case SPEC_TEXT:
        return text_schema(field);
    case SPEC_BOOLEAN:
        return json_pack("{s:s}", "type", "boolean");
    case SPEC_INT:
        return int_schema(field);
    case SPEC_DURATION:
        return measure_schema(field, DURATION_PATTERN);
    case SPEC_SIZE:
        return measure_schema(field, SIZE_PATTERN);
    case SPEC_TIME:
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    case SPEC_DECIMAL:
        return decimal_schema(field);
    case SPEC_CHOICE:
        return choice_schema(field);
    case SPEC_TEXTS:
        return bounded_list(json_pack("{s:s}", "type", "string"));
    case SPEC_MAP:
        return map_schema();
    case SPEC_LIST:
        return bounded_list(object_schema(field->fields, field->fields_n));
    case SPEC_JSON:
        return json_object();
    case SPEC_PRESENT:
        return json_pack("{s:s, s:i}", "type", "object", "maxProperties", 0);
    }
    weir_unreachable();
}

/* The default as it would be written. */
static json_t *default_json(const struct spec_field *field)
{
    _Alignas(16) char value[sizeof(struct spec_map)];
    struct spec_field moved = *field;
    if (!field->dflt || field->type == SPEC_LIST)
        return NULL;
    moved.offset = 0;
    spec_value_default(&moved, value);
    return spec_value_write(&moved, value);
}

/* A value that is null is one that is not given. */
static json_t *field_schema(const struct spec_field *field)
{
    json_t *inner = value_schema(field), *dflt = default_json(field);
    json_t *schema = field->type == SPEC_JSON || field->required
                         ? inner
                         : json_pack("{s:[o, {s:s}]}", "anyOf", inner, "type", "null");
    json_object_set_new(schema, "description", json_string(field->doc));
    if (dflt)
        json_object_set_new(schema, "default", dflt);
    if (field->secret)
        json_object_set_new(schema, "writeOnly", json_true());
    return schema;
}

/* ---- objects -------------------------------------------------------------------------------- */

static json_t *empty_object(void)
{
    return json_pack("{s:s, s:{}, s:b}", "type", "object", "properties", "additionalProperties", 0);
}

/* The schema of a group of fields in its parent's, made where it is not there yet. */
static json_t *open_group(json_t *root, const struct spec_field *field)
{
    struct str group = spec_group_of(field);
    json_t *at = root;
    for (size_t from = 0; from < group.len;) {
        const char *word = group.at + from;
        const char *dot = memchr(word, '.', group.len - from);
        size_t len = dot ? (size_t)(dot - word) : group.len - from;
        json_t *properties = json_object_get(at, "properties");
        at = json_object_getn(properties, word, len);
        if (!at) {
            at = empty_object();
            json_object_set_new(at, "type", json_pack("[s, s]", "object", "null"));
            json_object_setn_new(properties, word, len, at);
        }
        from += len + 1;
    }
    return at;
}

static void require(json_t *object, const char *word, size_t len)
{
    json_t *required = json_object_get(object, "required");
    if (!required) {
        required = json_array();
        json_object_set_new(object, "required", required);
    }
    json_array_append_new(required, json_stringn(word, len));
}

static json_t *object_schema(const struct spec_field *fields, size_t n)
{
    json_t *root = empty_object();
    for (size_t i = 0; i < n; i++) {
        const struct spec_field *field = &fields[i];
        json_t *object = open_group(root, field);
        const char *dot = strrchr(field->path, '.');
        const char *word = dot ? dot + 1 : field->path;
        json_object_set_new(json_object_get(object, "properties"), word, field_schema(field));
        if (field->required)
            require(object, word, strlen(word));
        if (field->required && dot) /* and the group that it is in */
            require(root, field->path, strcspn(field->path, "."));
    }
    return root;
}

static bool has_required(const struct spec_kind *kind)
{
    for (size_t i = 0; i < kind->n; i++) {
        if (kind->fields[i].required)
            return true;
    }
    return false;
}

static json_t *kind_schema(const struct spec_kind *kind)
{
    json_t *schema = json_pack("{s:s, s:{s:o}}", "description", kind->doc, "properties", "spec",
                               object_schema(kind->fields, kind->n));
    if (has_required(kind))
        require(schema, "spec", 4);
    return schema;
}

static json_t *metadata_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s, s:i, s:i}, s:{s:s, s:{s:s}, s:i}}, s:[s], s:b}", "type",
                     "object", "properties", "name", "type", "string", "minLength", 1, "maxLength",
                     SPEC_NAME_MAX, "labels", "type", "object", "additionalProperties", "type",
                     "string", "maxProperties", SPEC_LIST_MAX, "required", "name",
                     "additionalProperties", 0);
}

/* One `if` a kind, so that an editor's complaint is about the kind that was meant. */
static json_t *kind_condition(const struct spec_kind *kind)
{
    char ref[64];
    snprintf(ref, sizeof ref, "#/$defs/%s", kind->name);
    return json_pack("{s:{s:{s:{s:s}}}, s:{s:s}}", "if", "properties", "kind", "const", kind->name,
                     "then", "$ref", ref);
}

json_t *spec_schema(const struct spec_kind *const *kinds, size_t n)
{
    json_t *names = json_array(), *conditions = json_array(), *defs = json_object();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(names, json_string(kinds[i]->name));
        json_array_append_new(conditions, kind_condition(kinds[i]));
        json_object_set_new(defs, kinds[i]->name, kind_schema(kinds[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:{s:{s:s}, s:{s:o}, s:o, s:{}, s:{}}, s:[s,s,s], s:b, s:o, "
                     "s:o}",
                     "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                     "weir resources", "type", "object", "properties", "apiVersion", "const",
                     SPEC_API_VERSION, "kind", "enum", names, "metadata", metadata_schema(), "spec",
                     "status", "required", "apiVersion", "kind", "metadata", "additionalProperties",
                     0, "allOf", conditions, "$defs", defs);
}

/* ---- documentation -------------------------------------------------------------------------- */

static void put(struct wr *out, const char *s)
{
    wr_bytes(out, s, strlen(s));
}

/* Text in a table's cell: a bar would end it. */
static void put_cell(struct wr *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            wr_u8(out, '\\');
        wr_u8(out, (uint8_t)*s);
    }
}

static void put_row(const struct spec_field *field, const char *prefix, struct wr *out)
{
    char form[160];
    spec_value_form(field, form, sizeof form);
    put(out, "| `");
    put(out, prefix);
    put(out, field->path);
    put(out, field->type == SPEC_LIST ? "[]` | " : "` | ");
    put_cell(out, form);
    put(out, field->dflt ? " | `" : " | ");
    put_cell(out, field->dflt ? field->dflt : field->required ? "required" : "");
    put(out, field->dflt ? "` | " : " | ");
    put_cell(out, field->doc);
    put(out, field->fixed ? " Fixed once it is there." : "");
    put(out, field->secret ? " Never shown." : "");
    put(out, " |\n");
}

void spec_put_docs(const struct spec_kind *kind, struct wr *out)
{
    put(out, "| field | what it may be | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < kind->n; i++) {
        const struct spec_field *field = &kind->fields[i];
        char prefix[SPEC_PATH_MAX];
        put_row(field, "", out);
        snprintf(prefix, sizeof prefix, "%s[].", field->path);
        for (size_t j = 0; field->type == SPEC_LIST && j < field->fields_n; j++)
            put_row(&field->fields[j], prefix, out);
    }
}
