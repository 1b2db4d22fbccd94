#include "broker/subscription_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "spec/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUBSCRIPTION_MAGIC 0x73756273u
#define RECORD_VERSION 1
#define DEAD_SUFFIX ".dead"

const struct subscription *subscription_ref(const struct subscription *s)
{
    weir_check(s, SUBSCRIPTION_MAGIC);
    atomic_fetch_add_explicit(&((struct subscription *)s)->refs, 1, memory_order_relaxed);
    return s;
}

static void subscription_free(struct subscription *s)
{
    expr_free((struct expr *)s->filter);
    expr_free((struct expr *)s->filter_too);
    for (size_t i = 0; s->routes && i < s->conf.routes.n; i++)
        expr_free((struct expr *)s->routes[i]);
    arena_free(&s->texts);
    s->magic = 0;
    mem_free(s);
}

void subscription_unref(const struct subscription *s)
{
    if (s == NULL)
        return;
    weir_check(s, SUBSCRIPTION_MAGIC);
    struct subscription *own = (struct subscription *)s;
    if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
        subscription_free(own);
}

int64_t subscription_from(const struct subscription *s, int32_t partition)
{
    return partition < s->from_n ? s->from[partition] : 0;
}

/* ---- making ---- */

static int64_t ttl_of(const struct subscription *s)
{
    if (s->conf.ttl_ms != 0)
        return s->conf.ttl_ms;
    if (s->queue)
        return -1;
    return s->conf.deliver == DELIVER_PULL ? SUBSCRIPTION_TTL_PULL_MS : SUBSCRIPTION_TTL_PUSH_MS;
}

static enum err compile(struct subscription *s, struct err_text *text)
{
    struct expr *e;
    enum err err = ERR_OK;
    if (s->conf.filter.at != NULL && (err = expr_compile_cesql(s->conf.filter, &e, text)) == ERR_OK)
        s->filter = e;
    if (err != ERR_OK || s->conf.eventgrid.at == NULL)
        return err;
    err = expr_compile_eventgrid(s->conf.eventgrid, &e, text);
    if (err == ERR_OK && s->filter == NULL)
        s->filter = e;
    else if (err == ERR_OK)
        s->filter_too = e;
    return err;
}

static enum err compile_routes(struct subscription *s, struct err_text *text)
{
    const struct reply_route *routes = s->conf.routes.at;
    size_t n = s->conf.routes.n;
    if (n == 0)
        return ERR_OK;
    s->routes = arena_zalloc(&s->texts, n, sizeof(const struct expr *));
    if (!s->routes)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct expr *e;
        if (routes[i].filter.at == NULL)
            continue;
        enum err err = expr_compile_cesql(routes[i].filter, &e, text);
        if (err != ERR_OK)
            return err;
        s->routes[i] = e;
    }
    return ERR_OK;
}

static enum err read_spec(struct subscription *s, json_t *spec, struct err_text *text)
{
    struct spec_document doc = spec_document_of(&subscription_kind, str_of(s->name), spec);
    struct spec_place where = {0};
    struct err_text wrong = {""};
    spec_init(&subscription_kind, &s->conf);
    enum err err = spec_read(&subscription_kind, &doc, &s->texts, &s->conf, &where, &wrong);
    if (err == ERR_OK)
        err = compile(s, &wrong);
    if (err == ERR_OK)
        err = compile_routes(s, &wrong);
    if (err != ERR_OK)
        return err_say(text, err, "%s %s", where.path, wrong.s);
    return ERR_OK;
}

enum err subscription_make(const struct subscription_parts *parts, const struct subscription **out,
                           struct err_text *text)
{
    struct subscription *s = mem_zalloc(1, sizeof(*s));
    atomic_init(&s->refs, 1);
    s->magic = SUBSCRIPTION_MAGIC;
    s->id = parts->id;
    s->topic = parts->topic;
    bool whole = str_copy(s->name, sizeof(s->name), parts->name) &&
                 str_copy(s->topic_name, sizeof(s->topic_name), parts->topic_name);
    weir_assert(whole);
    s->queue = parts->queue;
    s->created_ms = parts->created_ms;
    size_t from_bytes = (size_t)parts->from_n * sizeof(int64_t);
    arena_init(&s->texts, SUBSCRIPTION_BYTES_MAX + from_bytes);
    if (from_bytes > 0)
        s->from = arena_copy(&s->texts, parts->from, from_bytes);
    s->from_n = parts->from_n;
    enum err err = read_spec(s, parts->spec, text);
    if (err != ERR_OK) {
        subscription_free(s);
        return err;
    }
    s->ttl_ms = ttl_of(s);
    *out = s;
    return ERR_OK;
}

const struct subscription *subscription_of_queue(const struct topic *t)
{
    char dead[TOPIC_NAME_MAX + sizeof(DEAD_SUFFIX)];
    const struct subscription *s;
    snprintf(dead, sizeof(dead), "%s%s", t->name, DEAD_SUFFIX);
    json_t *spec = json_pack("{s:s, s:s}", "topic", t->name, "start", "earliest");
    if (strlen(dead) <= TOPIC_NAME_MAX)
        json_object_set_new(spec, "deadLetter", json_string(dead));
    enum err err = subscription_make(&(struct subscription_parts){.id = t->id,
                                                                  .topic = t->id,
                                                                  .topic_name = str_of(t->name),
                                                                  .name = str_of(t->name),
                                                                  .queue = true,
                                                                  .created_ms = t->created_ms,
                                                                  .spec = spec},
                                     &s, NULL);
    weir_assert(err == ERR_OK);
    json_decref(spec);
    return s;
}

/* ---- records ---- */

char *subscription_encode(const struct subscription *s)
{
    char topic[UUID_TEXT_MAX];
    uuid_format(s->topic, topic);
    json_t *o =
        json_pack("{s:i, s:s, s:s, s:b, s:I, s:o}", "version", RECORD_VERSION, "name", s->name,
                  "topic", topic, "queue", (int)s->queue, "created", (json_int_t)s->created_ms,
                  "spec", spec_write(&subscription_kind, &s->conf, true));
    json_t *from = json_array();
    for (int32_t i = 0; i < s->from_n; i++)
        json_array_append_new(from, json_integer(s->from[i]));
    json_object_set_new(o, "from", from);
    char *text = json_text(o, JSON_COMPACT | JSON_PRESERVE_ORDER, NULL);
    weir_assert(text != NULL);
    json_decref(o);
    return text;
}

struct fields {
    const char *name, *topic, *topic_name;
    int version, queue;
    json_int_t created;
    json_t *spec, *from;
};

static bool fields_read(json_t *o, struct fields *f)
{
    return json_unpack(o, "{s:i, s:s, s:s, s:b, s:I, s:o, s:o}", "version", &f->version, "name",
                       &f->name, "topic", &f->topic, "queue", &f->queue, "created", &f->created,
                       "spec", &f->spec, "from", &f->from) == 0 &&
           json_unpack(f->spec, "{s:s}", "topic", &f->topic_name) == 0 && json_is_array(f->from) &&
           topic_name_check(str_of(f->name), NULL) == ERR_OK &&
           topic_name_check(str_of(f->topic_name), NULL) == ERR_OK;
}

static enum err fields_make(const struct fields *f, struct uuid id, const struct subscription **out,
                            struct err_text *text)
{
    struct uuid topic;
    enum err err = uuid_parse(f->topic, &topic);
    if (err != ERR_OK)
        return ERR_CORRUPT;
    size_t n = json_array_size(f->from);
    int64_t *from = mem_zalloc(n + 1, sizeof(*from));
    for (size_t i = 0; i < n; i++)
        from[i] = json_integer_value(json_array_get(f->from, i));
    err = subscription_make(&(struct subscription_parts){.id = id,
                                                         .topic = topic,
                                                         .topic_name = str_of(f->topic_name),
                                                         .name = str_of(f->name),
                                                         .queue = f->queue != 0,
                                                         .created_ms = (uint64_t)f->created,
                                                         .from = from,
                                                         .from_n = (int32_t)n,
                                                         .spec = f->spec},
                            out, text);
    mem_free(from);
    return err;
}

enum err subscription_decode(struct uuid id, struct str value, const struct subscription **out,
                             struct err_text *text)
{
    struct fields f;
    json_t *o = json_loadb(value.at, value.len, JSON_REJECT_DUPLICATES, NULL);
    enum err err;
    if (o == NULL || !fields_read(o, &f))
        err = err_say(text, ERR_CORRUPT, "the catalog holds a record that is no subscription");
    else if (f.version > RECORD_VERSION)
        err = err_say(text, ERR_FORMAT_NEWER,
                      "the catalog holds a subscription in format %d: %d is known", f.version,
                      RECORD_VERSION);
    else
        err = fields_make(&f, id, out, text);
    json_decref(o);
    return err;
}
