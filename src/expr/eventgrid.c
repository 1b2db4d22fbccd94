#include "expr/eventgrid.h"

#include "base/assert.h"
#include "expr/program.h"
#include "expr/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NONE SIZE_MAX
#define FIELD_CHARS_SHOWN 40

struct build {
    struct expr *e;
    struct err_text *text;
    bool arrays;
    size_t conditions, values;
    /* Where it is, for messages: advancedFilters[filter].field[element]. */
    size_t filter, element;
    const char *field;
};

static struct str str_of_json(const json_t *s)
{
    return (struct str){json_string_value(s), json_string_length(s)};
}

static void move_to(struct build *b, const char *field, size_t element)
{
    b->field = field;
    b->element = element;
}

static enum err wrong(struct build *b, const char *right)
{
    char filter[48] = "", element[24] = "";
    if (b->filter != NONE)
        snprintf(filter, sizeof(filter), "advancedFilters[%zu]%s", b->filter,
                 b->field[0] != '\0' ? "." : "");
    if (b->element != NONE)
        snprintf(element, sizeof(element), "[%zu]", b->element);
    struct str field = str_of(b->field); /* any text, where it is one that should not be there */
    return err_say(b->text, ERR_REQUEST_INVALID, "filter.%s%.*s%s: %s", filter,
                   (int)text_bytes(field, FIELD_CHARS_SHOWN), field.at, element, right);
}

/* ---- conditions ----------------------------------------------------------------------------- */

static void add_condition(struct build *b, struct op load, struct eventgrid_test *test)
{
    if (b->conditions++ > 0)
        program_op(b->e, (struct op){.code = OP_AND, .a = PROGRAM_OPEN});
    program_op(b->e, load);
    program_op(b->e, (struct op){.code = OP_TEST, .a = program_test(b->e, test)});
}

static struct eventgrid_test *make_test(struct build *b, enum eventgrid_operator op, size_t n)
{
    struct arena *arena = &b->e->texts;
    struct eventgrid_test *test = arena_zalloc(arena, 1, sizeof(*test));
    struct expr_value *values = arena_zalloc(arena, 2 * n, sizeof(values[0]));
    weir_assert(test != NULL && values != NULL);
    *test = (struct eventgrid_test){op, b->arrays, false, n, values, values + n};
    return test;
}

static enum err load_attribute(struct build *b, struct str name, struct op *out)
{
    uint32_t a;
    if (!program_attribute(b->e, name, &a))
        return wrong(b, "a filter looks at 64 different attributes at most");
    *out = (struct op){.code = OP_ATTRIBUTE_IF, .a = a};
    return ERR_OK;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Attributes of Event Grid's schema under their names in CloudEvents. */
static struct str attribute_name(struct str key)
{
    static const struct {
        const char *eventgrid, *cloudevents;
    } names[] = {{"topic", "source"}, {"eventtype", "type"}, {"eventtime", "time"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_is(key, names[i].eventgrid))
            return str_of(names[i].cloudevents);
    }
    return key;
}

#define RIGHT_KEY                                                                                  \
    "must be id, topic, subject, eventType, dataVersion, the name of a CloudEvents attribute, or " \
    "data.x.y for a member of the data"

static bool is_data_key(struct str key)
{
    return key.len >= 4 && strncasecmp(key.at, "data", 4) == 0 &&
           (key.len == 4 || key.at[4] == '.');
}

static enum err load_data(struct build *b, struct str key, struct op *out)
{
    struct json_path path = {0};
    uint32_t a;
    for (size_t i = 4; i < key.len;) {
        const char *from = key.at + i + 1;
        const char *dot = memchr(from, '.', key.len - i - 1);
        size_t n = dot != NULL ? (size_t)(dot - from) : key.len - i - 1;
        if (n == 0)
            return wrong(b, "a name is missing between the dots");
        if (path.n == JSON_PATH_STEPS_MAX)
            return wrong(b, "a key has at most 32 levels below data");
        path.steps[path.n++].key = (struct str){from, n};
        i += 1 + n;
    }
    if (!program_path(b->e, &path, &a))
        return wrong(b, "a filter looks at 64 different data keys at most");
    *out = (struct op){.code = OP_DATA_IF, .a = a};
    return ERR_OK;
}

static enum err load_key(struct build *b, struct str key, struct op *out)
{
    char name[64];
    if (is_data_key(key))
        return load_data(b, key, out);
    if (key.len == 0 || key.len > sizeof(name))
        return wrong(b, RIGHT_KEY);
    for (size_t i = 0; i < key.len; i++) {
        char c = key.at[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return wrong(b, RIGHT_KEY);
        name[i] = c;
    }
    return load_attribute(b, attribute_name((struct str){name, key.len}), out);
}

/* ---- values --------------------------------------------------------------------------------- */

static bool read_number(const json_t *v, struct expr_value *out)
{
    if (json_is_integer(v))
        *out = value_integer(json_integer_value(v));
    else if (json_is_real(v))
        *out = value_double(json_real_value(v));
    return json_is_number(v);
}

static enum err read_text(struct build *b, const json_t *v, struct expr_value *out)
{
    if (!json_is_string(v))
        return wrong(b, "must be a string");
    struct str s = str_of_json(v);
    if (text_length(s) > EVENTGRID_STRING_CHARS_MAX)
        return wrong(b, "must be a string of at most 512 characters");
    *out = value_string(program_text(b->e, s));
    return ERR_OK;
}

static enum err read_range(struct build *b, const json_t *v, struct expr_value *low,
                           struct expr_value *high)
{
    if (!json_is_array(v) || json_array_size(v) != 2 || !read_number(json_array_get(v, 0), low) ||
        !read_number(json_array_get(v, 1), high))
        return wrong(b, "must be a pair of numbers [from, to]");
    if (value_compare(low, high) > 0)
        return wrong(b, "the first number of a range must not be above the second");
    return ERR_OK;
}

static enum err read_value(struct build *b, struct eventgrid_test *test, size_t i, const json_t *v)
{
    const struct eventgrid_operator_row *row = eventgrid_operator_row(test->op);
    if (row->form == FORM_RANGES)
        return read_range(b, v, &test->values[i], &test->high[i]);
    if (row->type == EXPR_STRING)
        return read_text(b, v, &test->values[i]);
    if (row->type == EXPR_BOOLEAN) {
        if (!json_is_boolean(v))
            return wrong(b, "must be true or false");
        test->values[i] = value_boolean(json_is_true(v));
        return ERR_OK;
    }
    return read_number(v, &test->values[i]) ? ERR_OK : wrong(b, "must be a number");
}

static enum err read_values(struct build *b, struct eventgrid_test *test, const json_t *values)
{
    for (size_t i = 0; i < test->n; i++) {
        b->element = i;
        enum err err = read_value(b, test, i, json_array_get(values, i));
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- one advanced filter -------------------------------------------------------------------- */

static enum err find_operator(struct build *b, const json_t *name, enum eventgrid_operator *out)
{
    char right[160];
    struct str s = json_is_string(name) ? str_of_json(name) : STR_LIT("");
    unsigned least = UINT32_MAX;
    enum eventgrid_operator near = 0;
    move_to(b, "operatorType", NONE);
    for (unsigned op = 0; op < EVENTGRID_OPERATOR_COUNT; op++) {
        const char *known = eventgrid_operator_row(op)->name;
        *out = op;
        if (strlen(known) == s.len && strncasecmp(known, s.at, s.len) == 0)
            return ERR_OK;
        unsigned distance = str_distance(s, str_of(known));
        if (distance < least) {
            least = distance;
            near = op;
        }
    }
    snprintf(right, sizeof(right), "%s%s",
             s.len == 0 ? "must be one of Event Grid's operators, such as "
                        : "there is no such operator; the nearest is ",
             eventgrid_operator_row(near)->name);
    return wrong(b, right);
}

/* The values of the filter: one, an array of them, or none. */
static enum err take_values(struct build *b, const json_t *filter, enum eventgrid_operator op,
                            struct eventgrid_test **out)
{
    const struct eventgrid_operator_row *row = eventgrid_operator_row(op);
    const json_t *value = json_object_get(filter, "value");
    const json_t *values = json_object_get(filter, "values");
    size_t n = row->form == FORM_NONE ? 0 : row->form == FORM_VALUE ? 1 : json_array_size(values);
    move_to(b, row->form == FORM_VALUE ? "value" : "values", NONE);
    if (row->form == FORM_NONE && (value != NULL || values != NULL))
        return wrong(b, "this operator takes no values");
    if (row->form != FORM_NONE && n == 0)
        return wrong(b, "must be an array of one value at least");
    b->values += n;
    if (b->values > EVENTGRID_VALUES_MAX)
        return wrong(b, "a subscription's filters have at most 25 values, all together");
    *out = make_test(b, op, n);
    return row->form == FORM_VALUE ? read_value(b, *out, 0, value) : read_values(b, *out, values);
}

static enum err check_fields(struct build *b, const json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        move_to(b, key, NONE);
        if (known[i] == NULL)
            return wrong(b, "there is no such field");
    }
    return ERR_OK;
}

static enum err add_advanced(struct build *b, const json_t *filter)
{
    static const char *const known[] = {"operatorType", "key", "value", "values", NULL};
    const json_t *key = json_object_get(filter, "key");
    enum eventgrid_operator op = 0;
    struct eventgrid_test *test = NULL;
    struct op load = {0};
    move_to(b, "", NONE);
    if (!json_is_object(filter))
        return wrong(b, "must be an object with operatorType, key and value or values");
    enum err err = check_fields(b, filter, known);
    if (err == ERR_OK)
        err = find_operator(b, json_object_get(filter, "operatorType"), &op);
    if (err != ERR_OK)
        return err;
    move_to(b, "key", NONE);
    err = json_is_string(key) ? load_key(b, str_of_json(key), &load) : wrong(b, RIGHT_KEY);
    if (err == ERR_OK)
        err = take_values(b, filter, op, &test);
    if (err == ERR_OK)
        add_condition(b, load, test);
    return err;
}

static enum err add_advanced_filters(struct build *b, const json_t *filters)
{
    size_t n = json_array_size(filters);
    move_to(b, "advancedFilters", NONE);
    if (filters == NULL || json_is_null(filters))
        return ERR_OK;
    if (!json_is_array(filters))
        return wrong(b, "must be an array");
    if (n > EVENTGRID_FILTERS_MAX)
        return wrong(b, "a subscription has at most 25 advanced filters");
    for (size_t i = 0; i < n; i++) {
        b->filter = i;
        enum err err = add_advanced(b, json_array_get(filters, i));
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- the simple filters --------------------------------------------------------------------- */

static enum err read_switch(struct build *b, const json_t *filter, const char *name, bool *out)
{
    const json_t *v = json_object_get(filter, name);
    *out = json_is_true(v);
    move_to(b, name, NONE);
    if (v != NULL && !json_is_null(v) && !json_is_boolean(v))
        return wrong(b, "must be true or false");
    return ERR_OK;
}

/* ["All"], once the way to ask for everything, an empty list and no list are the same. */
static enum err add_event_types(struct build *b, const json_t *types)
{
    struct op load;
    size_t n = json_array_size(types);
    move_to(b, "includedEventTypes", NONE);
    if (types != NULL && !json_is_null(types) && !json_is_array(types))
        return wrong(b, "must be an array of event types");
    if (n == 0 || (n == 1 && json_is_string(json_array_get(types, 0)) &&
                   strcasecmp(json_string_value(json_array_get(types, 0)), "All") == 0))
        return ERR_OK;
    struct eventgrid_test *test = make_test(b, EVENTGRID_StringIn, n);
    enum err err = read_values(b, test, types);
    if (err == ERR_OK)
        err = load_attribute(b, STR_LIT("type"), &load);
    if (err == ERR_OK)
        add_condition(b, load, test);
    return err;
}

static enum err add_subject(struct build *b, const json_t *filter, const char *name,
                            enum eventgrid_operator op, bool exact_case)
{
    const json_t *v = json_object_get(filter, name);
    struct op load;
    move_to(b, name, NONE);
    if (v == NULL || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0))
        return ERR_OK;
    struct eventgrid_test *test = make_test(b, op, 1);
    test->exact_case = exact_case;
    enum err err = read_text(b, v, &test->values[0]);
    if (err == ERR_OK)
        err = load_attribute(b, STR_LIT("subject"), &load);
    if (err == ERR_OK)
        add_condition(b, load, test);
    return err;
}

static enum err build(struct build *b, const json_t *filter)
{
    static const char *const known[] = {
        "includedEventTypes",
        "subjectBeginsWith",
        "subjectEndsWith",
        "isSubjectCaseSensitive",
        "advancedFilters",
        "enableAdvancedFilteringOnArrays",
        NULL,
    };
    bool exact_case = false;
    enum err err = check_fields(b, filter, known);
    if (err == ERR_OK)
        err = read_switch(b, filter, "isSubjectCaseSensitive", &exact_case);
    if (err == ERR_OK)
        err = read_switch(b, filter, "enableAdvancedFilteringOnArrays", &b->arrays);
    if (err == ERR_OK)
        err = add_event_types(b, json_object_get(filter, "includedEventTypes"));
    if (err == ERR_OK)
        err = add_subject(b, filter, "subjectBeginsWith", EVENTGRID_StringBeginsWith, exact_case);
    if (err == ERR_OK)
        err = add_subject(b, filter, "subjectEndsWith", EVENTGRID_StringEndsWith, exact_case);
    if (err == ERR_OK)
        err = add_advanced_filters(b, json_object_get(filter, "advancedFilters"));
    return err;
}

static enum err load_json(struct str json, json_t **out, struct err_text *text)
{
    json_error_t error;
    if (json.len > EXPR_EVENTGRID_BYTES_MAX)
        return err_say(text, ERR_REQUEST_INVALID, "filter: has %zu bytes; %zu are the most",
                       json.len, EXPR_EVENTGRID_BYTES_MAX);
    *out = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out == NULL)
        return err_say(text, ERR_REQUEST_INVALID, "filter: is not JSON: line %d, column %d: %.100s",
                       error.line, error.column, error.text);
    if (json_is_object(*out))
        return ERR_OK;
    json_decref(*out);
    return err_say(text, ERR_REQUEST_INVALID, "filter: must be an object");
}

enum err expr_compile_eventgrid(struct str json, struct expr **out, struct err_text *text)
{
    json_t *filter = NULL;
    enum err err = load_json(json, &filter, text);
    if (err != ERR_OK)
        return err;
    struct build b = {
        .e = program_make(), .text = text, .filter = NONE, .element = NONE, .field = ""};
    err = build(&b, filter);
    json_decref(filter);
    if (err != ERR_OK) {
        expr_free(b.e);
        return err;
    }
    if (b.conditions == 0) {
        uint32_t a = program_constant(b.e, value_boolean(true));
        program_op(b.e, (struct op){.code = OP_CONSTANT, .a = a});
    }
    program_land(b.e, 0);
    program_finish(b.e, EXPR_BOOLEAN);
    *out = b.e;
    return ERR_OK;
}
