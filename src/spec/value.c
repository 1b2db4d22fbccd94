/* value.c: one value of a field, by its type. */
#include "spec/spec_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/when.h"
#include "spec/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NONE "none" /* how -1 is written where it means that there is no limit */
#define AS(type, field, base) (*(type *)spec_at(field, base))
#define AS_CONST(type, field, base) (*(const type *)spec_at_const(field, base))

/* ---- what a value may be -------------------------------------------------------------------- */

static bool is_bounded(const struct spec_field *field)
{
    return field->min != 0 || field->max != 0;
}

static bool has_none(const struct spec_field *field)
{
    return (field->type == SPEC_DURATION || field->type == SPEC_SIZE) && field->min == -1;
}

static const char *number_put(const struct spec_field *field, int64_t n, char out[WHEN_TEXT_MAX]);

static void bounds_put(const struct spec_field *field, const char *what, char *out, size_t cap)
{
    char least[WHEN_TEXT_MAX], most[WHEN_TEXT_MAX];
    const char *none = has_none(field) ? ", or " NONE : "";
    int64_t min = has_none(field) ? 0 : field->min;
    number_put(field, min, least);
    number_put(field, field->max, most);
    if (!is_bounded(field))
        snprintf(out, cap, "%s", what);
    else if (field->max == INT64_MAX && min == INT64_MIN)
        snprintf(out, cap, "%s%s", what, none);
    else if (field->max == INT64_MAX)
        snprintf(out, cap, "%s, at least %s%s", what, least, none);
    else
        snprintf(out, cap, "%s from %s to %s%s", what, least, most, none);
}

static void choices_put(const struct spec_field *field, char *out, size_t cap)
{
    size_t used = (size_t)snprintf(out, cap, "one of");
    for (size_t i = 0; field->choices[i] && used < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s %s", i ? "," : "", field->choices[i]);
}

void spec_value_form(const struct spec_field *field, char *out, size_t cap)
{
    switch (field->type) {
    case SPEC_TEXT:
        if (field->max > 0)
            snprintf(out, cap, "text of at most %" PRId64 " bytes", field->max);
        else
            snprintf(out, cap, "text");
        return;
    case SPEC_BOOLEAN:
        snprintf(out, cap, "true or false");
        return;
    case SPEC_INT:
        bounds_put(field, "a whole number", out, cap);
        return;
    case SPEC_DURATION:
        bounds_put(field, "a duration such as 30s or PT30S", out, cap);
        return;
    case SPEC_SIZE:
        bounds_put(field, "a size such as 64KiB or 10GiB", out, cap);
        return;
    case SPEC_TIME:
        snprintf(out, cap, "a time such as 2026-03-01T12:00:00Z");
        return;
    case SPEC_DECIMAL:
        bounds_put(field, "a number of at most three decimals", out, cap);
        return;
    case SPEC_CHOICE:
        choices_put(field, out, cap);
        return;
    case SPEC_TEXTS:
        snprintf(out, cap, "a list of texts, at most %d", SPEC_LIST_MAX);
        return;
    case SPEC_MAP:
        snprintf(out, cap, "an object of texts, at most %d", SPEC_LIST_MAX);
        return;
    case SPEC_LIST:
        snprintf(out, cap, "a list of objects, at most %d", SPEC_LIST_MAX);
        return;
    case SPEC_JSON:
        snprintf(out, cap, "any value");
        return;
    case SPEC_PRESENT:
        snprintf(out, cap, "{}, or nothing");
        return;
    }
    weir_unreachable();
}

/* ---- numbers as text ------------------------------------------------------------------------ */

static const char *size_put(int64_t n, char out[WHEN_TEXT_MAX])
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; unit < 4 && n != 0 && n % 1024 == 0; unit++)
        n /= 1024;
    snprintf(out, WHEN_TEXT_MAX, "%" PRId64 "%s", n, units[unit]);
    return out;
}

/* "1.5"; "-0.25"; "2". */
static const char *decimal_put(int64_t n, char out[WHEN_TEXT_MAX])
{
    uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
    int len = snprintf(out, WHEN_TEXT_MAX, "%s%" PRIu64 ".%03u", n < 0 ? "-" : "", size / 1000,
                       (unsigned)(size % 1000));
    while (out[len - 1] == '0')
        out[--len] = '\0';
    if (out[len - 1] == '.')
        out[len - 1] = '\0';
    return out;
}

static const char *number_put(const struct spec_field *field, int64_t n, char out[WHEN_TEXT_MAX])
{
    if (has_none(field) && n == -1)
        snprintf(out, WHEN_TEXT_MAX, NONE);
    else if (field->type == SPEC_DURATION)
        when_put_duration(n, out);
    else if (field->type == SPEC_SIZE)
        size_put(n, out);
    else if (field->type == SPEC_DECIMAL)
        decimal_put(n, out);
    else
        snprintf(out, WHEN_TEXT_MAX, "%" PRId64, n);
    return out;
}

/* ---- from text ------------------------------------------------------------------------------ */

static enum err must_be(const struct spec_field *field, struct err_text *text)
{
    char form[160];
    spec_value_form(field, form, sizeof form);
    return err_say(text, ERR_CONFIG_INVALID, "must be %s", form);
}

/* As above, with what it was, unless that is a secret. */
static enum err must_be_not(const struct spec_field *field, struct str given, struct err_text *text)
{
    char form[160];
    if (field->secret || field->secret_if)
        return must_be(field, text);
    spec_value_form(field, form, sizeof form);
    return err_say(text, ERR_CONFIG_INVALID, "must be %s; it is \"%.*s\"", form,
                   (int)(given.len < 64 ? given.len : 64), given.at);
}

static bool is_within(const struct spec_field *field, int64_t n)
{
    return !is_bounded(field) || (n >= field->min && n <= field->max);
}

/* The digits behind a dot, at most three, as thousandths. */
static bool thousandths(struct str s, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < 3; i++) {
        char c = i < s.len ? s.at[i] : '0';
        if (c < '0' || c > '9')
            return false;
        *out = *out * 10 + (c - '0');
    }
    return s.len >= 1 && s.len <= 3;
}

/* "1.5"; also "1500m", Kubernetes' way. */
static bool decimal_of_text(struct str s, int64_t *out)
{
    const char *dot = s.len > 0 ? memchr(s.at, '.', s.len) : NULL;
    size_t whole = dot ? (size_t)(dot - s.at) : s.len;
    int64_t part = 0;
    if (s.len > 1 && s.at[s.len - 1] == 'm')
        return str_to_i64((struct str){s.at, s.len - 1}, out) == ERR_OK && *out != SPEC_UNSET;
    if (str_to_i64((struct str){s.at, whole}, out) != ERR_OK ||
        __builtin_mul_overflow(*out, 1000, out))
        return false;
    if (dot && !thousandths((struct str){dot + 1, s.len - whole - 1}, &part))
        return false;
    return !__builtin_add_overflow(*out, s.at[0] == '-' ? -part : part, out);
}

/* INT, DURATION, SIZE, TIME, DECIMAL. */
static bool number_of_text(const struct spec_field *field, struct str s, int64_t *out)
{
    if (has_none(field) && str_is(s, NONE)) {
        *out = -1;
        return true;
    }
    switch (field->type) {
    case SPEC_INT:
        return str_to_i64(s, out) == ERR_OK;
    case SPEC_DURATION:
        return when_duration(s, out);
    case SPEC_SIZE:
        return str_to_size(s, out) == ERR_OK;
    case SPEC_DECIMAL:
        return decimal_of_text(s, out);
    default:
        return when_datetime(s, out);
    }
}

static enum err read_choice(const struct spec_field *field, struct str s, void *base,
                            struct err_text *text)
{
    struct str_nearest near;
    str_nearest_init(&near, s);
    for (int64_t i = 0; field->choices[i]; i++) {
        if (str_is(s, field->choices[i])) {
            AS(int64_t, field, base) = i;
            return ERR_OK;
        }
        str_nearest_offer(&near, str_of(field->choices[i]));
    }
    if (!near.best.at)
        return must_be_not(field, s, text);
    return err_say(text, ERR_CONFIG_INVALID, "has no choice \"%.*s\"; did you mean %s?",
                   (int)(s.len < 64 ? s.len : 64), s.at, near.best.at);
}

static enum err read_number_text(const struct spec_field *field, struct str s, void *base,
                                 struct err_text *text)
{
    int64_t n;
    if (!number_of_text(field, s, &n) || !is_within(field, n))
        return must_be_not(field, s, text);
    AS(int64_t, field, base) = n;
    return ERR_OK;
}

/* ---- from JSON ------------------------------------------------------------------------------ */

static struct str str_of_json(json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

static enum err keep_text(struct str s, struct arena *arena, struct str *out)
{
    *out = (struct str){arena_strndup(arena, s.at, s.len), s.len};
    return out->at ? ERR_OK : ERR_MEMORY;
}

static enum err read_text(const struct spec_field *field, json_t *json, struct arena *arena,
                          void *base, struct err_text *text)
{
    if (json_is_number(json) || json_is_boolean(json))
        return err_say(text, ERR_CONFIG_INVALID, "must be text: put it in quotes");
    if (!json_is_string(json))
        return must_be(field, text);
    struct str s = str_of_json(json);
    if (field->max > 0 && s.len > (size_t)field->max)
        return must_be(field, text);
    return keep_text(s, arena, &AS(struct str, field, base));
}

/* 0.1 is none of the numbers that a double holds, but its nearest is told by 15 digits. */
static enum err read_decimal(const struct spec_field *field, json_t *json, void *base,
                             struct err_text *text)
{
    char given[32];
    snprintf(given, sizeof given, "%.15g", json_number_value(json));
    return read_number_text(field, str_of(given), base, text);
}

static enum err read_number(const struct spec_field *field, json_t *json, void *base,
                            struct err_text *text)
{
    char given[32];
    if (field->type == SPEC_DECIMAL && json_is_number(json))
        return read_decimal(field, json, base, text);
    if (json_is_string(json) && field->type != SPEC_INT)
        return read_number_text(field, str_of_json(json), base, text);
    if (json_is_string(json))
        return must_be_not(field, str_of_json(json), text);
    if (!json_is_integer(json) || field->type == SPEC_TIME)
        return must_be(field, text);
    int64_t n = json_integer_value(json);
    snprintf(given, sizeof given, "%" PRId64, n);
    if (!is_within(field, n))
        return must_be_not(field, str_of(given), text);
    AS(int64_t, field, base) = n;
    return ERR_OK;
}

static enum err read_texts(const struct spec_field *field, json_t *json, struct arena *arena,
                           void *base, struct err_text *text)
{
    struct spec_texts *texts = &AS(struct spec_texts, field, base);
    size_t n = json_array_size(json);
    if (!json_is_array(json) || n > SPEC_LIST_MAX)
        return must_be(field, text);
    *texts = (struct spec_texts){arena_zalloc(arena, n, sizeof *texts->at), n};
    enum err err = texts->at ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < n && !err; i++) {
        json_t *element = json_array_get(json, i);
        if (!json_is_string(element))
            return must_be(field, text);
        err = keep_text(str_of_json(element), arena, &texts->at[i]);
    }
    return err;
}

static size_t number_text(const json_t *json, char *out, size_t cap)
{
    size_t len;
    char *text = json_text(json, JSON_ENCODE_ANY, &len);
    snprintf(out, cap, "%s", text);
    mem_free(text);
    return len;
}

/* The text of a value in a map; false: it is a list or an object. */
static bool scalar_text(json_t *json, char *number, size_t cap, struct str *out)
{
    *out = (struct str){number, 0};
    if (json_is_string(json))
        *out = str_of_json(json);
    else if (json_is_boolean(json))
        *out = json_is_true(json) ? STR_LIT("true") : STR_LIT("false");
    else if (json_is_number(json))
        out->len = number_text(json, number, cap);
    else
        return false;
    return out->len < cap || json_is_string(json);
}

static enum err read_map(const struct spec_field *field, json_t *json, struct arena *arena,
                         void *base, struct err_text *text)
{
    struct spec_map *map = &AS(struct spec_map, field, base);
    size_t n = json_object_size(json), i = 0;
    const char *key;
    json_t *value;
    if (!json_is_object(json) || n > SPEC_LIST_MAX)
        return must_be(field, text);
    *map = (struct spec_map){arena_zalloc(arena, n, sizeof *map->at), n};
    enum err err = map->at ? ERR_OK : ERR_MEMORY;
    json_object_foreach(json, key, value)
    {
        char number[64];
        struct str s;
        if (!err && !scalar_text(value, number, sizeof number, &s))
            err =
                err_say(text, ERR_CONFIG_INVALID, "must be an object of texts; %.64s is none", key);
        if (!err)
            err = keep_text(str_of(key), arena, &map->at[i].key);
        if (!err)
            err = keep_text(s, arena, &map->at[i++].value);
    }
    return err;
}

static enum err read_json(const struct spec_field *field, json_t *json, struct arena *arena,
                          void *base)
{
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY;
    size_t len;
    char *text = json_text(json, flags, &len), *at = arena_strndup(arena, text, len);
    mem_free(text);
    AS(struct str, field, base) = (struct str){at, len};
    return at ? ERR_OK : ERR_MEMORY;
}

enum err spec_value_read(const struct spec_field *field, json_t *json, struct arena *arena,
                         void *base, struct err_text *text)
{
    switch (field->type) {
    case SPEC_TEXT:
        return read_text(field, json, arena, base, text);
    case SPEC_BOOLEAN:
        if (!json_is_boolean(json))
            return must_be(field, text);
        AS(bool, field, base) = json_is_true(json);
        return ERR_OK;
    case SPEC_INT:
    case SPEC_DURATION:
    case SPEC_SIZE:
    case SPEC_TIME:
    case SPEC_DECIMAL:
        return read_number(field, json, base, text);
    case SPEC_CHOICE:
        return json_is_string(json) ? read_choice(field, str_of_json(json), base, text)
                                    : must_be(field, text);
    case SPEC_TEXTS:
        return read_texts(field, json, arena, base, text);
    case SPEC_MAP:
        return read_map(field, json, arena, base, text);
    case SPEC_JSON:
        return read_json(field, json, arena, base);
    case SPEC_PRESENT:
        if (!json_is_object(json) || json_object_size(json))
            return must_be(field, text);
        AS(bool, field, base) = true;
        return ERR_OK;
    case SPEC_LIST:
        break;
    }
    weir_unreachable();
}

/* ---- defaults ------------------------------------------------------------------------------- */

static int64_t unset_number(const struct spec_field *field)
{
    return field->type == SPEC_TIME ? -1 : field->type == SPEC_DECIMAL ? SPEC_UNSET : 0;
}

void spec_value_default(const struct spec_field *field, void *base)
{
    struct err_text text = {""};
    enum err err = ERR_OK;
    const char *dflt = field->dflt;
    switch (field->type) {
    case SPEC_TEXT:
    case SPEC_JSON:
        AS(struct str, field, base) = str_of(dflt);
        break;
    case SPEC_BOOLEAN:
    case SPEC_PRESENT:
        AS(bool, field, base) = dflt && !strcmp(dflt, "true");
        break;
    case SPEC_INT:
    case SPEC_DURATION:
    case SPEC_SIZE:
    case SPEC_TIME:
    case SPEC_DECIMAL:
        AS(int64_t, field, base) = unset_number(field);
        if (dflt)
            err = read_number_text(field, str_of(dflt), base, &text);
        break;
    case SPEC_CHOICE:
        AS(int64_t, field, base) = 0;
        if (dflt)
            err = read_choice(field, str_of(dflt), base, &text);
        break;
    case SPEC_TEXTS:
        AS(struct spec_texts, field, base) = (struct spec_texts){0};
        break;
    case SPEC_MAP:
        AS(struct spec_map, field, base) = (struct spec_map){0};
        break;
    case SPEC_LIST:
        AS(struct spec_list, field, base) = (struct spec_list){0};
        break;
    }
    weir_assert(err == ERR_OK); /* a default of the table that its own row refuses */
}

void spec_fields_default(const struct spec_field *fields, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++)
        spec_value_default(&fields[i], base);
}

bool spec_value_is_default(const struct spec_field *field, const void *base)
{
    _Alignas(16) char other[sizeof(struct spec_map)];
    struct spec_field moved = *field;
    moved.offset = 0;
    spec_value_default(&moved, other);
    switch (field->type) {
    case SPEC_TEXT:
    case SPEC_JSON:
        return str_eq(AS_CONST(struct str, field, base), AS_CONST(struct str, &moved, other));
    case SPEC_BOOLEAN:
    case SPEC_PRESENT:
        return AS_CONST(bool, field, base) == AS_CONST(bool, &moved, other);
    case SPEC_INT:
    case SPEC_DURATION:
    case SPEC_SIZE:
    case SPEC_TIME:
    case SPEC_DECIMAL:
    case SPEC_CHOICE:
        return AS_CONST(int64_t, field, base) == AS_CONST(int64_t, &moved, other);
    case SPEC_TEXTS:
        return AS_CONST(struct spec_texts, field, base).n == 0;
    case SPEC_MAP:
        return AS_CONST(struct spec_map, field, base).n == 0;
    case SPEC_LIST:
        return AS_CONST(struct spec_list, field, base).n == 0;
    }
    weir_unreachable();
}

/* ---- to JSON -------------------------------------------------------------------------------- */

static json_t *text_json(struct str s)
{
    return s.at ? json_stringn(s.at, s.len) : NULL;
}

static json_t *texts_json(const struct spec_texts *texts)
{
    json_t *array = json_array();
    for (size_t i = 0; i < texts->n; i++)
        json_array_append_new(array, text_json(texts->at[i]));
    return array;
}

static json_t *map_json(const struct spec_map *map)
{
    json_t *object = json_object();
    for (size_t i = 0; i < map->n; i++)
        json_object_setn_new(object, map->at[i].key.at, map->at[i].key.len,
                             text_json(map->at[i].value));
    return object;
}

static json_t *number_json(const struct spec_field *field, int64_t n)
{
    char out[WHEN_TEXT_MAX];
    if (field->type == SPEC_INT)
        return json_integer(n);
    if (field->type == SPEC_DECIMAL && n == SPEC_UNSET)
        return NULL;
    if (field->type != SPEC_TIME)
        return json_string(number_put(field, n, out));
    return n == -1 ? NULL : json_string(when_put_datetime(n, out));
}

json_t *spec_value_write(const struct spec_field *field, const void *base)
{
    struct str s;
    switch (field->type) {
    case SPEC_TEXT:
        return text_json(AS_CONST(struct str, field, base));
    case SPEC_JSON:
        s = AS_CONST(struct str, field, base);
        return s.at ? json_loadb(s.at, s.len, JSON_DECODE_ANY, NULL) : NULL;
    case SPEC_BOOLEAN:
        return json_boolean(AS_CONST(bool, field, base));
    case SPEC_PRESENT:
        return AS_CONST(bool, field, base) ? json_object() : NULL;
    case SPEC_INT:
    case SPEC_DURATION:
    case SPEC_SIZE:
    case SPEC_TIME:
    case SPEC_DECIMAL:
        return number_json(field, AS_CONST(int64_t, field, base));
    case SPEC_CHOICE:
        return json_string(field->choices[AS_CONST(int64_t, field, base)]);
    case SPEC_TEXTS:
        return texts_json(&AS_CONST(struct spec_texts, field, base));
    case SPEC_MAP:
        return map_json(&AS_CONST(struct spec_map, field, base));
    case SPEC_LIST:
        break;
    }
    weir_unreachable();
}
