/* yaml.c: a JSON value as YAML, in block style: what `weir get -o yaml` prints. A stack of open
 * containers takes the place of recursion.
 */
#include "spec/spec.h"

#include "base/assert.h"
#include "base/mem.h"
#include "spec/json_text.h"

#include <string.h>

#define INDENT 2
/* Deeper than any document that was read, for the metadata and status around it. */
#define DEPTH_MAX (SPEC_DEPTH_MAX + 8)

struct open {
    json_t *value;
    void *iter;   /* of an object */
    size_t index; /* of a list */
    unsigned indent;
};

static void put(struct wr *out, const char *s)
{
    wr_bytes(out, s, strlen(s));
}

static void put_indent(struct wr *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        wr_u8(out, ' ');
}

/* ---- scalars -------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Words that YAML 1.1 or 1.2 take for something else than text. */
static bool is_reserved(struct str s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == s.len && strncasecmp(words[i], s.at, s.len) == 0)
            return true;
    }
    return false;
}

/* "30s", "10GiB", "7d": digits and a unit, which no YAML takes for a number. */
static bool is_measure(struct str s)
{
    size_t i = 0;
    while (i < s.len && is_digit(s.at[i]))
        i++;
    if (i == 0 || i == s.len || s.at[i] == 'e' || s.at[i] == 'E' || s.at[0] == '0')
        return false;
    while (i < s.len && is_letter(s.at[i]))
        i++;
    return i == s.len;
}

/* A letter, then letters, digits and what is no sign of YAML's inside of a word. */
static bool is_plain_word(struct str s)
{
    if (s.len == 0 || !is_letter(s.at[0]) || is_reserved(s))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if (!is_letter(s.at[i]) && !is_digit(s.at[i]) && !strchr("_-./", s.at[i]))
            return false;
    }
    return true;
}

static void put_json(json_t *value, struct wr *out)
{
    size_t len;
    char *text = json_text(value, JSON_ENCODE_ANY, &len);
    wr_bytes(out, text, len);
    mem_free(text);
}

static void put_text(struct str s, struct wr *out)
{
    if (is_plain_word(s) || is_measure(s)) {
        wr_bytes(out, s.at, s.len);
        return;
    }
    json_t *text = json_stringn(s.at, s.len); /* JSON's strings are YAML's in double quotes */
    put_json(text, out);
    json_decref(text);
}

/* A scalar, or a container with nothing in it. */
static bool put_leaf(json_t *value, struct wr *out)
{
    if (json_is_string(value))
        put_text((struct str){json_string_value(value), json_string_length(value)}, out);
    else if (json_object_size(value) || json_array_size(value))
        return false;
    else
        put_json(value, out);
    return true;
}

/* ---- containers ----------------------------------------------------------------------------- */

/* The next value in what is open, with its key or dash written; NULL: there are no more. The first
 * one of a list's element stands on the dash's line. */
static json_t *next_value(struct open *in, bool on_line, struct wr *out)
{
    json_t *value;
    if (json_is_array(in->value)) {
        value = json_array_get(in->value, in->index++);
    } else {
        in->iter =
            in->iter ? json_object_iter_next(in->value, in->iter) : json_object_iter(in->value);
        value = in->iter ? json_object_iter_value(in->iter) : NULL;
    }
    if (!value)
        return NULL;
    put_indent(out, on_line ? 0 : in->indent);
    if (json_is_array(in->value)) {
        put(out, "-");
    } else {
        const char *key = json_object_iter_key(in->iter);
        put_text((struct str){key, json_object_iter_key_len(in->iter)}, out);
        put(out, ":");
    }
    return value;
}

void spec_put_yaml(json_t *document, struct wr *out)
{
    struct open stack[DEPTH_MAX] = {{.value = document}};
    size_t depth = 1;
    bool on_line = false;
    put(out, "---\n");
    if (put_leaf(document, out)) {
        put(out, "\n");
        return;
    }
    while (depth != 0) {
        struct open *in = &stack[depth - 1];
        json_t *value = next_value(in, on_line, out);
        bool dash = json_is_array(in->value);
        on_line = false;
        if (!value) {
            depth--;
            continue;
        }
        wr_u8(out, ' ');
        if (put_leaf(value, out)) {
            put(out, "\n");
            continue;
        }
        weir_assert(depth < DEPTH_MAX);
        on_line = dash; /* "- a: 1" */
        if (!on_line)
            out->buf->data[out->len - 1] = '\n'; /* where the space was */
        stack[depth++] = (struct open){.value = value, .indent = in->indent + INDENT};
    }
}
