/* tree_yaml.c: trees from YAML, from libyaml's events. A stack of at most SPEC_DEPTH_MAX open
 * containers takes the place of recursion.
 */
#include "spec/tree_internal.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A list or an object that is not closed yet. */
struct open {
    json_t *value;
    struct spec_lines *lines;
    struct str key; /* of the value that comes next, in an object; at NULL: it is a key's turn */
    unsigned key_line;
};

struct build {
    struct spec_trees *out;
    struct open stack[SPEC_DEPTH_MAX];
    size_t depth, values;
    json_t *root; /* of the present document; NULL: nothing yet */
    struct spec_lines *root_lines;
    size_t begin;   /* of the document, in characters */
    unsigned *line; /* of what is wrong */
    struct err_text *wrong;
};

#define WRONG(b, event, ...)                                                                       \
    (*(b)->line = line_of(event), err_say((b)->wrong, ERR_CONFIG_INVALID, __VA_ARGS__))

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

/* ---- scalars -------------------------------------------------------------------------------- */

static bool is_word(struct str s, const char *lower, const char *title, const char *upper)
{
    return str_is(s, lower) || str_is(s, title) || str_is(s, upper);
}

static size_t digits_at(struct str s, size_t from)
{
    size_t n = 0;
    while (from + n < s.len && s.at[from + n] >= '0' && s.at[from + n] <= '9')
        n++;
    return n;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?     (YAML 1.2, 10.3.2)
 * A whole number that is too large for one is not made a float, which would change it. */
static bool is_float(struct str s)
{
    size_t i = s.len && (s.at[0] == '-' || s.at[0] == '+');
    size_t whole = digits_at(s, i), part = 0;
    i += whole;
    if (i == s.len)
        return false;
    if (i < s.len && s.at[i] == '.') {
        part = digits_at(s, ++i);
        i += part;
    }
    if (whole + part == 0)
        return false;
    if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
        i++;
        i += i < s.len && (s.at[i] == '-' || s.at[i] == '+');
        size_t exponent = digits_at(s, i);
        if (exponent == 0)
            return false;
        i += exponent;
    }
    return i == s.len;
}

/* What the text means if it is not quoted. Numbers that do not fit stay text, which then is said
 * to be no number where one is wanted. */
static json_t *plain_value(struct str s)
{
    int64_t whole;
    char copy[64];
    if (s.len == 0 || str_is(s, "~") || is_word(s, "null", "Null", "NULL"))
        return json_null();
    if (is_word(s, "true", "True", "TRUE"))
        return json_true();
    if (is_word(s, "false", "False", "FALSE"))
        return json_false();
    if (str_to_i64(s, &whole) == ERR_OK)
        return json_integer(whole);
    if (is_float(s) && str_copy(copy, sizeof copy, s)) {
        json_t *real = json_real(strtod(copy, NULL));
        if (real)
            return real;
    }
    return json_stringn(s.at, s.len);
}

static enum err scalar_of(struct build *b, const yaml_event_t *event, json_t **out)
{
    struct str s = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const char *tag = (const char *)event->data.scalar.tag;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (tag && strcmp(tag, YAML_STR_TAG) != 0)
        return WRONG(b, event, "has the tag %.64s; tags are not supported", tag);
    if (memchr(s.at, 0, s.len))
        return WRONG(b, event, "has a NUL character");
    *out = quoted || tag ? json_stringn(s.at, s.len) : plain_value(s);
    return *out ? ERR_OK : WRONG(b, event, "is not text in UTF-8");
}

/* ---- putting values into what is open ------------------------------------------------------- */

static struct spec_lines *lines_make(struct build *b, struct str key, unsigned line)
{
    struct spec_lines *lines = arena_zalloc(&b->out->memory, 1, sizeof *lines);
    if (lines)
        *lines = (struct spec_lines){.key = key, .line = line};
    return lines;
}

static void lines_put(struct spec_lines *parent, struct spec_lines *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

/* Takes the value, a new reference. */
static enum err put(struct build *b, const yaml_event_t *event, json_t *value,
                    struct spec_lines **out)
{
    struct open *in = b->depth ? &b->stack[b->depth - 1] : NULL;
    bool object = in && json_is_object(in->value);
    struct spec_lines *lines = lines_make(b, object ? in->key : (struct str){NULL, 0},
                                          object ? in->key_line : line_of(event));
    if (!lines) {
        json_decref(value);
        return ERR_MEMORY;
    }
    *out = lines;
    if (!in) {
        b->root = value;
        b->root_lines = lines;
        return ERR_OK;
    }
    lines_put(in->lines, lines);
    if (object)
        json_object_setn_new(in->value, in->key.at, in->key.len, value);
    else
        json_array_append_new(in->value, value);
    in->key = (struct str){NULL, 0};
    return ERR_OK;
}

static bool wants_key(const struct build *b)
{
    const struct open *in = b->depth ? &b->stack[b->depth - 1] : NULL;
    return in && json_is_object(in->value) && !in->key.at;
}

static enum err take_key(struct build *b, const yaml_event_t *event)
{
    struct open *in = &b->stack[b->depth - 1];
    struct str key = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (memchr(key.at, 0, key.len) || !utf8_valid(key.at, key.len))
        return WRONG(b, event, "a key is not text in UTF-8");
    if (json_object_getn(in->value, key.at, key.len))
        return WRONG(b, event, "the key %.64s comes twice", key.at);
    in->key = (struct str){arena_strndup(&b->out->memory, key.at, key.len), key.len};
    in->key_line = line_of(event);
    return in->key.at ? ERR_OK : ERR_MEMORY;
}

static enum err take_scalar(struct build *b, const yaml_event_t *event)
{
    struct spec_lines *lines;
    json_t *value;
    if (wants_key(b))
        return take_key(b, event);
    enum err err = scalar_of(b, event, &value);
    return err ? err : put(b, event, value, &lines);
}

static enum err take_begin(struct build *b, const yaml_event_t *event, const yaml_char_t *tag,
                           json_t *value)
{
    enum err err = ERR_OK;
    struct spec_lines *lines = NULL;
    if (wants_key(b))
        err = WRONG(b, event, "a key is a list or an object; keys are text");
    else if (tag)
        err = WRONG(b, event, "has the tag %.64s; tags are not supported", (const char *)tag);
    else if (b->depth == SPEC_DEPTH_MAX)
        err = WRONG(b, event, "has values inside of more than %d others", SPEC_DEPTH_MAX);
    if (err) {
        json_decref(value);
        return err;
    }
    err = put(b, event, value, &lines);
    if (!err)
        b->stack[b->depth++] = (struct open){.value = value, .lines = lines};
    return err;
}

/* ---- events --------------------------------------------------------------------------------- */

static enum err take_document(struct build *b, const yaml_event_t *event)
{
    json_t *root = b->root;
    b->root = NULL;
    if (json_is_null(root)) { /* nothing between two lines of --- */
        json_decref(root);
        return ERR_OK;
    }
    if (event->end_mark.index - b->begin > SPEC_DOCUMENT_BYTES_MAX ||
        b->out->n == SPEC_DOCUMENTS_MAX) {
        json_decref(root);
        return WRONG(b, event, "there are more than %d documents, or one has more than %zu bytes",
                     SPEC_DOCUMENTS_MAX, SPEC_DOCUMENT_BYTES_MAX);
    }
    b->out->at[b->out->n++] =
        (struct spec_tree){.root = root, .lines = b->root_lines, .line = b->root_lines->line};
    return ERR_OK;
}

static enum err refuse_anchor(struct build *b, const yaml_event_t *event)
{
    const yaml_char_t *anchor =
        event->type == YAML_ALIAS_EVENT            ? event->data.alias.anchor
        : event->type == YAML_SCALAR_EVENT         ? event->data.scalar.anchor
        : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
        : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                                                   : NULL;
    if (!anchor)
        return ERR_OK;
    return WRONG(b, event, "%s%.64s: anchors and aliases are not supported; write it out",
                 event->type == YAML_ALIAS_EVENT ? "*" : "&", (const char *)anchor);
}

static enum err take_event(struct build *b, const yaml_event_t *event)
{
    enum err err = refuse_anchor(b, event);
    if (err)
        return err;
    if (++b->values > 2 * SPEC_VALUES_MAX) /* keys are events too */
        return WRONG(b, event, "there are more than %d values", SPEC_VALUES_MAX);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        b->begin = event->start_mark.index;
        return ERR_OK;
    case YAML_DOCUMENT_END_EVENT:
        return take_document(b, event);
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_MAPPING_START_EVENT:
        return take_begin(b, event, event->data.mapping_start.tag, json_object());
    case YAML_SEQUENCE_START_EVENT:
        return take_begin(b, event, event->data.sequence_start.tag, json_array());
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return ERR_OK;
    default: /* the stream's begin and end */
        return ERR_OK;
    }
}

static enum err syntax_error(const struct build *b, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    *b->line = (unsigned)parser->problem_mark.line + 1;
    if (parser->error == YAML_MEMORY_ERROR)
        return ERR_MEMORY;
    return err_say(b->wrong, ERR_CONFIG_INVALID, "is not YAML: %s%s%s", problem,
                   parser->context ? ", " : "", parser->context ? parser->context : "");
}

static enum err take_events(struct build *b, yaml_parser_t *parser)
{
    enum err err = ERR_OK;
    for (bool end = false; !err && !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return syntax_error(b, parser);
        err = take_event(b, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return err;
}

enum err spec_trees_yaml(struct str text, struct spec_trees *out, unsigned *line,
                         struct err_text *wrong)
{
    struct build b = {.out = out, .line = line, .wrong = wrong};
    yaml_parser_t parser;
    *out = (struct spec_trees){0};
    *line = 0;
    enum err err = spec_trees_check_size(text, wrong);
    if (!err)
        err = spec_trees_init(out, SPEC_DOCUMENTS_MAX);
    if (err)
        return err;
    if (!yaml_parser_initialize(&parser)) {
        spec_trees_free(out);
        return ERR_MEMORY;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.at ? text.at : ""),
                                 text.len);
    err = take_events(&b, &parser);
    yaml_parser_delete(&parser);
    if (err) {
        json_decref(b.root);
        spec_trees_free(out);
    }
    return err;
}
