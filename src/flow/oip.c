#include "flow/oip.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_CHARS_MAX 64
#define SHAPE_MAX 8           /* dimensions of a tensor */
#define SHOWN 48              /* characters of what is quoted in errors */
#define WHOLE_MAX 16777216.0f /* floats below are written as whole numbers, if they are */

#define FAIL(text, ...) err_say(text, ERR_REQUEST_INVALID, __VA_ARGS__)
#define QUOTED(s) (int)((s).len < SHOWN ? (s).len : SHOWN), (s).at

/* ---- addresses ------------------------------------------------------------------------------ */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* As one segment of a path (RFC 3986 3.3). */
static char *put_segment(char *to, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (is_unreserved(s.at[i])) {
            *to++ = s.at[i];
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    return to;
}

static char *put(char *to, struct str s)
{
    memcpy(to, s.at, s.len);
    return to + s.len;
}

static char *model_url(const struct oip_target *t, const char *verb, struct arena *arena)
{
    static const struct str models = {"/v2/models/", 11}, versions = {"/versions/", 10};
    struct str url = t->url;
    while (url.len > 0 && url.at[url.len - 1] == '/')
        url.len--;
    size_t most = url.len + 3 * (t->model.len + t->version.len) + models.len + versions.len +
                  strlen(verb) + 1;
    char *out = arena_alloc(arena, most), *to = out;
    if (out == NULL)
        return NULL;
    if (url.len > 0)
        to = put(to, url);
    to = put_segment(put(to, models), t->model);
    if (t->version.at != NULL)
        to = put_segment(put(to, versions), t->version);
    *put(to, str_of(verb)) = '\0';
    return out;
}

char *oip_infer_url(const struct oip_target *t, struct arena *arena)
{
    return model_url(t, "/infer", arena);
}

char *oip_ready_url(const struct oip_target *t, struct arena *arena)
{
    return model_url(t, "/ready", arena);
}

/* ---- the request ---------------------------------------------------------------------------- */

static void write_float(struct wr *w, float x, bool nan_is_null)
{
    char text[NUMBER_CHARS_MAX];
    int n;
    if (!isfinite(x)) { /* beyond what a float is: as good as missing */
        json_write_raw(w, nan_is_null ? STR_LIT("null") : STR_LIT("NaN"));
    } else if (fabsf(x) < WHOLE_MAX && x == (float)(int32_t)x) {
        json_write_int(w, (int32_t)x);
    } else {
        n = snprintf(text, sizeof(text), "%.9g", (double)x);
        json_write_raw(w, (struct str){text, (size_t)n});
    }
}

static void write_tensor(struct wr *w, const struct oip_request *r)
{
    json_write_raw(w, STR_LIT("{\"name\":"));
    json_write_string(w, r->input);
    json_write_raw(w, STR_LIT(",\"shape\":["));
    json_write_int(w, r->n);
    json_write_raw(w, STR_LIT(","));
    json_write_int(w, r->features);
    json_write_raw(w, STR_LIT("],\"datatype\":\"FP32\",\"data\":["));
    for (size_t i = 0; i < (size_t)r->n * r->features; i++) {
        if (i > 0)
            json_write_raw(w, STR_LIT(","));
        write_float(w, r->rows[i], r->nan_is_null);
    }
    json_write_raw(w, STR_LIT("]}"));
}

void oip_write_request(const struct oip_request *r, struct wr *out)
{
    json_write_raw(out, STR_LIT("{\"id\":"));
    json_write_string(out, r->id);
    json_write_raw(out, STR_LIT(",\"inputs\":["));
    write_tensor(out, r);
    json_write_raw(out, STR_LIT("]"));
    if (r->output.at != NULL) {
        json_write_raw(out, STR_LIT(",\"outputs\":[{\"name\":"));
        json_write_string(out, r->output);
        json_write_raw(out, STR_LIT("}]"));
    }
    json_write_raw(out, STR_LIT("}"));
}

/* ---- the answer ----------------------------------------------------------------------------- */

struct tensor {
    struct jr_value name, datatype, shape, data; /* text.at NULL: not there */
};

/* The members of an object that one knows; duplicates: the last one counts. */
static bool read_members(struct str object, const char *const *names, struct jr_value *values,
                         size_t n)
{
    struct jr j;
    struct jr_value name, v;
    jr_init(&j, object);
    bool ok = jr_object(&j);
    while (ok && jr_member(&j, &name)) {
        ok = jr_value(&j, &v);
        for (size_t i = 0; ok && i < n; i++) {
            if (str_is(name.text, names[i]))
                values[i] = v;
        }
    }
    return ok && jr_end(&j);
}

static enum err find_tensor(struct str outputs, struct str name, struct tensor *out,
                            struct err_text *text)
{
    static const char *const names[] = {"name", "datatype", "shape", "data"};
    struct jr j;
    struct jr_value v;
    jr_init(&j, outputs);
    bool ok = jr_array(&j);
    while (ok && jr_element(&j) && jr_value(&j, &v)) {
        struct jr_value at[4] = {{.text = {NULL, 0}}};
        if (v.type != JR_OBJECT || !read_members(v.text, names, at, 4))
            return FAIL(text, "an output is no object");
        *out = (struct tensor){at[0], at[1], at[2], at[3]};
        if (name.at == NULL || (at[0].type == JR_STRING && str_eq(at[0].text, name)))
            return ERR_OK;
    }
    if (name.at == NULL)
        return FAIL(text, "it has no output");
    return FAIL(text, "it has no output \"%.*s\"", QUOTED(name));
}

/* FP32 "FP32", ... -> its values are floats, or less; false: its values are no numbers. */
static bool is_number_type(struct str datatype, bool *single)
{
    static const struct {
        const char *name;
        bool single;
    } types[] = {{"FP32", true},    {"FP64", false},   {"FP16", true},   {"BF16", true},
                 {"INT64", false},  {"INT32", false},  {"INT16", true},  {"INT8", true},
                 {"UINT64", false}, {"UINT32", false}, {"UINT16", true}, {"UINT8", true}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (str_is(datatype, types[i].name)) {
            *single = types[i].single;
            return true;
        }
    }
    return false;
}

/* How many columns a tensor of n rows has; 0: its shape is another one. */
static uint32_t columns_of(struct str shape, uint32_t n)
{
    struct jr j;
    struct jr_value v;
    int64_t size, columns = 1;
    unsigned i = 0;
    jr_init(&j, shape);
    bool ok = jr_array(&j);
    while (ok && jr_element(&j)) {
        ok = jr_value(&j, &v) && v.type == JR_NUMBER && str_to_i64(v.text, &size) == ERR_OK &&
             i < SHAPE_MAX && size >= 1 && (i == 0 ? size == n : size <= OIP_COLUMNS_MAX);
        if (ok && i++ > 0)
            columns *= size;
        ok = ok && columns <= OIP_COLUMNS_MAX;
    }
    return ok && jr_end(&j) && i > 0 ? (uint32_t)columns : 0;
}

/* The next number of an array of numbers, or of arrays of them, which is JSON. */
static bool next_number(struct str data, size_t *at, double *out)
{
    char copy[NUMBER_CHARS_MAX], *end;
    while (*at < data.len && strchr("[], \t\r\n", data.at[*at]) != NULL)
        ++*at;
    size_t from = *at;
    while (*at < data.len && strchr("[], \t\r\n", data.at[*at]) == NULL)
        ++*at;
    struct str s = {data.at + from, *at - from};
    if (s.len == 0 || !str_copy(copy, sizeof(copy), s))
        return false;
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static enum err read_data(struct str data, uint32_t n, uint32_t columns, double *scores,
                          struct err_text *text)
{
    size_t at = 0;
    double x = 0, more;
    for (uint32_t row = 0; row < n; row++) {
        for (uint32_t i = 0; i < columns; i++) {
            if (!next_number(data, &at, &x))
                return FAIL(text, "row %u of its output is no number, or is missing", row);
        }
        scores[row] = x;
    }
    if (next_number(data, &at, &more) || at < data.len)
        return FAIL(text, "its output has more than %u times %u numbers", n, columns);
    return ERR_OK;
}

enum err oip_read_scores(struct str body, struct str output, uint32_t n, double *scores,
                         bool *single, struct err_text *text)
{
    static const char *const names[] = {"outputs"};
    struct jr_value outputs = {.text = {NULL, 0}};
    struct tensor t = {.name.text = {NULL, 0}};
    if (!read_members(body, names, &outputs, 1))
        return FAIL(text, "it is no JSON object");
    if (outputs.text.at == NULL || outputs.type != JR_ARRAY)
        return FAIL(text, "outputs is missing");
    enum err err = find_tensor(outputs.text, output, &t, text);
    if (err != ERR_OK)
        return err;
    if (t.datatype.text.at == NULL || !is_number_type(t.datatype.text, single))
        return FAIL(text, "the datatype of its output is not a number's: \"%.*s\"",
                    QUOTED(t.datatype.text));
    uint32_t columns = t.shape.type == JR_ARRAY ? columns_of(t.shape.text, n) : 0;
    if (columns == 0)
        return FAIL(text, "the shape of its output is not [%u] or [%u, columns]: %.*s", n, n,
                    QUOTED(t.shape.text));
    if (t.data.text.at == NULL || t.data.type != JR_ARRAY)
        return FAIL(text, "its output has no data");
    return read_data(t.data.text, n, columns, scores, text);
}

struct str oip_read_error(struct str body, struct arena *arena)
{
    static const char *const names[] = {"error"};
    struct jr_value error = {.text = {NULL, 0}};
    if (!read_members(body, names, &error, 1) || error.text.at == NULL || error.type != JR_STRING)
        return (struct str){NULL, 0};
    return jr_string(&error, arena);
}
