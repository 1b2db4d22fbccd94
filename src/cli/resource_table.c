#include "cli/resource_table.h"

#include "base/str.h"

#include <string.h>

#define COLUMNS_MAX 8
#define CELL_MAX 64  /* characters of a cell */
#define LAST_MAX 256 /* and of a line's last */

struct column {
    const char *title;
    const char *paths; /* where the value is: the first of "a.b|c" that is there */
    const char *other; /* where none is */
};

struct table {
    const char *plural;
    struct column columns[COLUMNS_MAX];
};

static const struct table tables[] = {
    {"topics",
     {{"PARTITIONS", "spec.partitions", ""},
      {"RETENTION", "spec.retention.time", "default"},
      {"SIZE", "spec.retention.size", "none"},
      {"FLUSH", "spec.flush", "each"},
      {"QUEUE", "spec.queue", "no"},
      {"CREATED", "status.created", ""}}},
    {"subscriptions",
     {{"DELIVER",
       "spec.deliver.url|spec.deliver.topic|spec.deliver.queue|spec.deliver.function|"
       "spec.deliver.model",
       "pull"},
      {"ATTEMPTS", "spec.retry.attempts", "10"},
      {"DEAD LETTER", "spec.deadLetter", "none"},
      {"CREATED", "status.created", ""},
      {"FILTER", "spec.filter|spec.eventGridFilter", ""}}},
    {"functions",
     {{"RUNS", "spec.url|spec.command", ""},
      {"PROTOCOL", "spec.protocol", "cloudevents"},
      {"STATE", "status.state", "unknown"},
      {"READY", "status.workers.ready", "-"},
      {"STARTING", "status.workers.starting", "-"},
      {"MAX", "spec.workers.max", "8"},
      {"WAITING", "status.waiting", ""},
      {"ERROR", "status.error", ""}}},
    {"models",
     {{"SERVER", "spec.server.url", "-"},
      {"FILE", "spec.xgboost.file", "-"},
      {"FEATURES", "spec.features", ""},
      {"CREATED", "status.created", ""}}},
    {"users", {{"MECHANISMS", "status.mechanisms", ""}}},
    {"accessgrants",
     {{"PRINCIPAL", "spec.principal", ""},
      {"ROLES", "spec.roles", ""},
      {"TOPIC", "spec.topic", "-"},
      {"GROUP", "spec.group", "-"},
      {"CLUSTER", "spec.cluster", "no"}}},
};
#define TABLES (sizeof tables / sizeof tables[0])

const char *const resource_plurals[] = {"topics", "functions",    "models", "subscriptions",
                                        "users",  "accessgrants", NULL};

const char *resource_plural(const char *word)
{
    for (size_t i = 0; resource_plurals[i]; i++) {
        size_t len = strlen(resource_plurals[i]);
        bool one = strlen(word) == len - 1 && !strncasecmp(word, resource_plurals[i], len - 1);
        if (one || !strcasecmp(word, resource_plurals[i]))
            return resource_plurals[i];
    }
    return NULL;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static json_t *at_path(json_t *document, const char *path, size_t len)
{
    json_t *at = document;
    for (size_t from = 0; from < len && at;) {
        size_t word = strcspn(path + from, ".|");
        word = word < len - from ? word : len - from;
        at = json_object_getn(at, path + from, word);
        from += word + 1;
    }
    return at;
}

/* The words of a list with commas between. */
static void list_text(json_t *list, char *out, size_t cap)
{
    size_t i, used = 0;
    json_t *value;
    out[0] = '\0';
    json_array_foreach(list, i, value)
    {
        if (used < cap && json_is_string(value))
            used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? "," : "",
                                     json_string_value(value));
    }
}

static void value_text(json_t *value, char *out, size_t cap)
{
    if (json_is_string(value))
        snprintf(out, cap, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, cap, "%lld", (long long)json_integer_value(value));
    else if (json_is_array(value))
        list_text(value, out, cap);
    else /* an object that is there, or true */
        snprintf(out, cap, "%s", json_is_false(value) ? "no" : "yes");
}

static void cell_text(json_t *document, const struct column *c, char *out, size_t cap)
{
    for (const char *path = c->paths; *path; path += path[strcspn(path, "|")] == '|') {
        size_t len = strcspn(path, "|");
        json_t *value = at_path(document, path, len);
        if (value) {
            value_text(value, out, cap);
            return;
        }
        path += len;
    }
    snprintf(out, cap, "%s", c->other);
}

const char *resource_name(json_t *document, char *out, size_t cap)
{
    const char *kind = json_string_value(json_object_get(document, "kind"));
    const char *name = json_string_value(at_path(document, "metadata.name", 13));
    const char *topic = json_string_value(at_path(document, "spec.topic", 10));
    bool below = kind && !strcmp(kind, "Subscription") && topic;
    snprintf(out, cap, "%s%s%s", below ? topic : "", below ? "/" : "", name ? name : "");
    return out;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void widen(size_t *width, const char *text)
{
    size_t len = strlen(text);
    *width = len > *width ? len : *width;
}

static void put_cell(const char *text, size_t width, bool last, FILE *to)
{
    if (last)
        fprintf(to, "%s\n", text);
    else
        fprintf(to, "%-*s  ", (int)width, text);
}

static size_t columns_of(const struct table *t)
{
    size_t n = 0;
    while (n < COLUMNS_MAX && t->columns[n].title)
        n++;
    return n;
}

static void print(const struct table *t, json_t *documents, FILE *to)
{
    size_t widths[COLUMNS_MAX + 1] = {4}, n = columns_of(t), i;
    char name[600], cell[LAST_MAX];
    json_t *document;
    for (size_t c = 0; c < n; c++)
        widths[c + 1] = strlen(t->columns[c].title);
    json_array_foreach(documents, i, document)
    {
        widen(&widths[0], resource_name(document, name, sizeof name));
        for (size_t c = 0; c < n; c++) {
            cell_text(document, &t->columns[c], cell, CELL_MAX);
            widen(&widths[c + 1], cell);
        }
    }
    put_cell("NAME", widths[0], n == 0, to);
    for (size_t c = 0; c < n; c++)
        put_cell(t->columns[c].title, widths[c + 1], c + 1 == n, to);
    json_array_foreach(documents, i, document)
    {
        put_cell(resource_name(document, name, sizeof name), widths[0], n == 0, to);
        for (size_t c = 0; c < n; c++) {
            cell_text(document, &t->columns[c], cell, c + 1 == n ? LAST_MAX : CELL_MAX);
            put_cell(cell, widths[c + 1], c + 1 == n, to);
        }
    }
}

void resource_table_print(const char *plural, json_t *documents, FILE *to)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (!strcmp(tables[i].plural, plural))
            print(&tables[i], documents, to);
    }
}
