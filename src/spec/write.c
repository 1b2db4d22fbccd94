/* write.c: the struct of a kind -> its canonical JSON, and what differs between two. */
#include "spec/spec_internal.h"

#include "base/mem.h"

#include <string.h>

static json_t *write_fields(const struct spec_field *fields, size_t n, const void *base,
                            bool secrets);

bool spec_is_secret(const struct spec_field *field, const struct spec_field *fields, size_t n,
                    const void *base)
{
    if (field->secret || !field->secret_if)
        return field->secret;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(fields[i].path, field->secret_if))
            return *(const bool *)spec_at_const(&fields[i], base);
    }
    return true;
}

/* The tables' depth bounds the recursion. */
static json_t *write_value(const struct spec_field *field, const void *base, bool secrets)
{
    if (field->type != SPEC_LIST)
        return spec_value_write(field, base);
    const struct spec_list *list = spec_at_const(field, base);
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++) {
        const void *element = (const char *)list->at + i * field->element_bytes;
        json_array_append_new(array,
                              write_fields(field->fields, field->fields_n, element, secrets));
    }
    return array;
}

/* The object of the group, made where it is not there yet; borrowed. */
static json_t *open_group(json_t *root, struct str group)
{
    json_t *at = root;
    for (size_t from = 0; from < group.len;) {
        const char *word = group.at + from;
        const char *dot = memchr(word, '.', group.len - from);
        size_t len = dot ? (size_t)(dot - word) : group.len - from;
        json_t *inner = json_object_getn(at, word, len);
        if (!inner) {
            inner = json_object();
            json_object_setn_new(at, word, len, inner);
        }
        at = inner;
        from += len + 1;
    }
    return at;
}

static json_t *write_fields(const struct spec_field *fields, size_t n, const void *base,
                            bool secrets)
{
    json_t *root = json_object();
    for (size_t i = 0; i < n; i++) {
        const struct spec_field *field = &fields[i];
        if (!field->required && spec_value_is_default(field, base))
            continue;
        if (!secrets && spec_is_secret(field, fields, n, base))
            continue;
        json_t *value = write_value(field, base, secrets);
        struct str group = spec_group_of(field);
        const char *word = field->path + group.len + (group.len != 0);
        if (value)
            json_object_set_new(open_group(root, group), word, value);
    }
    return root;
}

json_t *spec_write(const struct spec_kind *kind, const void *value, bool secrets)
{
    return write_fields(kind->fields, kind->n, value, secrets);
}

json_t *spec_write_document(const struct spec_kind *kind, struct str name,
                            const struct spec_map *labels, json_t *spec)
{
    json_t *document = json_object(), *metadata = json_object();
    json_object_set_new(document, "apiVersion", json_string(SPEC_API_VERSION));
    json_object_set_new(document, "kind", json_string(kind->name));
    json_object_set_new(metadata, "name", json_stringn(name.at, name.len));
    if (labels && labels->n) {
        json_t *object = json_object();
        for (size_t i = 0; i < labels->n; i++)
            json_object_setn_new(object, labels->at[i].key.at, labels->at[i].key.len,
                                 json_stringn(labels->at[i].value.at, labels->at[i].value.len));
        json_object_set_new(metadata, "labels", object);
    }
    json_object_set_new(document, "metadata", metadata);
    json_object_set(document, "spec", spec);
    return document;
}

/* ---- differences ---------------------------------------------------------------------------- */

static bool same_value(const struct spec_field *field, const void *a, const void *b)
{
    json_t *was = write_value(field, a, true), *now = write_value(field, b, true);
    bool same = was && now ? json_equal(was, now) : was == now;
    json_decref(was);
    json_decref(now);
    return same;
}

bool spec_equal(const struct spec_kind *kind, const void *a, const void *b)
{
    for (size_t i = 0; i < kind->n; i++) {
        if (!same_value(&kind->fields[i], a, b))
            return false;
    }
    return true;
}

const struct spec_field *spec_given(const struct spec_kind *kind, const void *value,
                                    const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < kind->n; i++) {
        const struct spec_field *field = &kind->fields[i];
        char behind = strncmp(field->path, path, len) ? 'x' : field->path[len];
        if ((!behind || behind == '.') && !spec_value_is_default(field, value))
            return field;
    }
    return NULL;
}

const struct spec_field *spec_fixed_change(const struct spec_kind *kind, const void *a,
                                           const void *b)
{
    for (size_t i = 0; i < kind->n; i++) {
        if (kind->fields[i].fixed && !same_value(&kind->fields[i], a, b))
            return &kind->fields[i];
    }
    return NULL;
}

static json_t *shown(const struct spec_kind *kind, const struct spec_field *field, const void *base)
{
    if (!field->dflt && !field->required && spec_value_is_default(field, base))
        return json_null(); /* not said */
    if (spec_is_secret(field, kind->fields, kind->n, base))
        return json_string("(secret)");
    json_t *value = write_value(field, base, false);
    return value ? value : json_null();
}

json_t *spec_changes(const struct spec_kind *kind, const void *a, const void *b)
{
    json_t *changes = json_array();
    void *dflt = a ? NULL : mem_zalloc(1, kind->bytes);
    if (dflt)
        spec_init(kind, dflt);
    for (size_t i = 0; i < kind->n; i++) {
        const struct spec_field *field = &kind->fields[i];
        const void *was = a ? a : dflt;
        if (same_value(field, was, b))
            continue;
        json_t *change = json_object();
        json_object_set_new(change, "field", json_string(field->path));
        json_object_set_new(change, "was", shown(kind, field, was));
        json_object_set_new(change, "now", shown(kind, field, b));
        json_array_append_new(changes, change);
    }
    mem_free(dflt);
    return changes;
}
