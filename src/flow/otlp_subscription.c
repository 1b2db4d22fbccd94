#include "flow/otlp_subscription.h"

#include "base/arena.h"
#include "base/mem.h"
#include "broker/env.h"
#include "broker/hop.h"
#include "broker/subscription.h"
#include "flow/otlp.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_MAX ((size_t)64 << 10)
#define AGAIN_US ((uint64_t)5000000)
#define BATCH_BYTES ((int64_t)1 << 20)
#define ATTEMPTS 1000000 /* its ttl ends it */

struct otlp_subscription {
    struct broker *b;
    struct arena arena; /* of the texts */
    struct subscription_conf conf;
    struct spec_pair label;
    struct delivery_property headers[OTLP_HEADERS_MAX];
    bool wanted, started, under_way, changed; /* the topic, meanwhile */
    struct topic_watcher watcher;
    struct env_timer again;
    struct subscription_put_op put;
    struct subscription_delete_op remove;
};

/* ---- the settings --------------------------------------------------------------------------- */

static struct str copy(struct otlp_subscription *o, const char *text, size_t n)
{
    return (struct str){arena_strndup(&o->arena, text, n), n};
}

static enum err set_url(struct otlp_subscription *o, const char *endpoint, struct err_text *text)
{
    size_t n = strlen(endpoint);
    if (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)
        return err_say(text, ERR_CONFIG_INVALID,
                       "the OTLP endpoint is an address like http://collector:4318, not %s",
                       endpoint);
    while (n > 0 && endpoint[n - 1] == '/')
        n--;
    size_t path = sizeof OTLP_PATH - 1;
    bool whole = n > path && memcmp(endpoint + n - path, OTLP_PATH, path) == 0;
    char *url = arena_zalloc(&o->arena, 1, n + path + 1);
    if (url == NULL)
        return ERR_MEMORY;
    memcpy(url, endpoint, n);
    if (!whole)
        memcpy(url + n, OTLP_PATH, path);
    o->conf.url = str_of(url);
    return ERR_OK;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* In place. A percent sign that begins nothing stays. */
static size_t percent_decode(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        bool coded =
            p[i] == '%' && i + 2 < n && hex_value(p[i + 1]) >= 0 && hex_value(p[i + 2]) >= 0;
        unsigned value =
            coded ? (unsigned)hex_value(p[i + 1]) << 4 | (unsigned)hex_value(p[i + 2]) : 0;
        p[out++] = coded ? (char)(uint8_t)value : p[i];
        i += coded ? 2 : 0;
    }
    return out;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
            return false;
    return s.len > 0;
}

static struct str trim(struct str s)
{
    while (s.len > 0 && s.at[0] == ' ')
        s = (struct str){s.at + 1, s.len - 1};
    while (s.len > 0 && s.at[s.len - 1] == ' ')
        s.len--;
    return s;
}

static enum err add_header(struct otlp_subscription *o, struct str one, struct err_text *text)
{
    const char *equals = memchr(one.at, '=', one.len);
    struct delivery_property *p = &o->headers[o->conf.properties.n];
    if (equals == NULL || o->conf.properties.n == OTLP_HEADERS_MAX)
        return err_say(text, ERR_CONFIG_INVALID,
                       "the OTLP headers are at most %d of key=value, with commas between them",
                       OTLP_HEADERS_MAX);
    struct str name = trim((struct str){one.at, (size_t)(equals - one.at)});
    struct str value = trim((struct str){equals + 1, (size_t)(one.at + one.len - equals - 1)});
    char *decoded = arena_strndup(&o->arena, value.at, value.len);
    p->name = copy(o, name.at, name.len);
    if (decoded == NULL || p->name.at == NULL)
        return err_say(text, ERR_CONFIG_INVALID, "the OTLP headers have more than %zu bytes",
                       MEMORY_MAX);
    p->value = (struct str){decoded, percent_decode(decoded, value.len)};
    p->secret = true;
    if (!is_plain(p->name) || !is_plain(p->value))
        return err_say(text, ERR_CONFIG_INVALID,
                       "an OTLP header has no name, or no value of one line");
    o->conf.properties.n++;
    return ERR_OK;
}

static enum err add_headers(struct otlp_subscription *o, const char *headers, struct err_text *text)
{
    enum err err = ERR_OK;
    o->conf.properties.at = o->headers;
    for (const char *p = headers; p != NULL && *p != '\0' && err == ERR_OK;) {
        size_t n = strcspn(p, ",");
        struct str one = trim((struct str){p, n});
        if (one.len > 0)
            err = add_header(o, one, text);
        p += n + (p[n] == ',');
    }
    return err;
}

static enum err set_conf(struct otlp_subscription *o, const struct otlp_conf *conf,
                         struct err_text *text)
{
    const char *service = conf->service != NULL && *conf->service != '\0' ? conf->service : "weir";
    struct subscription_conf *c = &o->conf;
    subscription_conf_init(c);
    c->topic = STR_LIT(HOP_TOPIC);
    c->format = FORMAT_OTLP;
    c->batch_events_max = OTLP_SPANS;
    c->batch_bytes = BATCH_BYTES;
    c->timeout_ms = 10000;
    c->concurrency = 2;
    c->attempts = ATTEMPTS;
    c->retry_first_ms = 1000;
    c->retry_max_ms = 60000;
    o->label = (struct spec_pair){STR_LIT("service.name"), copy(o, service, strlen(service))};
    c->labels = (struct spec_map){&o->label, 1};
    enum err err = set_url(o, conf->endpoint, text);
    return err == ERR_OK ? add_headers(o, conf->headers, text) : err;
}

/* ---- the subscription ----------------------------------------------------------------------- */

static void keep(struct otlp_subscription *o);

static void again(struct env_timer *timer)
{
    keep(container_of(timer, struct otlp_subscription, again));
}

static void ended(struct otlp_subscription *o, enum err err, const char *why)
{
    struct env *env = broker_env(o->b);
    bool failed = err != ERR_OK && err != ERR_NOT_FOUND, changed = o->changed;
    o->under_way = o->changed = false;
    if (failed && !changed)
        env_log(env, ENV_WARN, "otlp.subscription", "error=%s why=\"%s\"", err_name(err), why);
    if (failed || changed)
        env_timer_set(env, &o->again, changed ? 0 : AGAIN_US);
}

static void put_done(struct op *op)
{
    struct otlp_subscription *o = container_of(op, struct otlp_subscription, put.op);
    if (o->put.subscription != NULL)
        subscription_unref(o->put.subscription);
    ended(o, op->err, o->put.text.s);
}

static void removed(struct op *op)
{
    struct otlp_subscription *o = container_of(op, struct otlp_subscription, remove.op);
    ended(o, op->err, o->remove.text.s);
}

/* As it should be: there, or not. */
static void keep(struct otlp_subscription *o)
{
    struct str name = STR_LIT(OTLP_SUBSCRIPTION);
    const struct topic *t = broker_topic(o->b, STR_LIT(HOP_TOPIC));
    o->changed = o->under_way;
    if (t == NULL || o->under_way)
        return;
    if (o->wanted) {
        o->put = (struct subscription_put_op){.op.done = put_done, .name = name, .conf = &o->conf};
        o->under_way = true;
        broker_subscription_put(o->b, &o->put);
    } else if (broker_subscription(o->b, &t->id, name) != NULL) {
        o->remove =
            (struct subscription_delete_op){.op.done = removed, .topic = t->id, .name = name};
        o->under_way = true;
        broker_subscription_delete(o->b, &o->remove);
    }
}

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now)
{
    struct otlp_subscription *o = container_of(w, struct otlp_subscription, watcher);
    bool made = old == NULL && now != NULL && strcmp(now->name, HOP_TOPIC) == 0;
    (void)b;
    if (!o->started || !made)
        return;
    env_timer_set(broker_env(o->b), &o->again, 0); /* not from inside of what tells of it */
}

enum err otlp_subscription_make(struct broker *b, const struct otlp_conf *conf,
                                struct otlp_subscription **out, struct err_text *text)
{
    struct otlp_subscription *o = mem_zalloc(1, sizeof *o);
    enum err err = ERR_OK;
    o->b = b;
    o->wanted = conf->endpoint != NULL && *conf->endpoint != '\0';
    arena_init(&o->arena, MEMORY_MAX);
    if (o->wanted)
        err = set_conf(o, conf, text);
    if (err != ERR_OK) {
        otlp_subscription_free(o);
        return err;
    }
    o->again.fire = again;
    o->watcher.changed = topic_changed;
    broker_topic_watch(b, &o->watcher);
    *out = o;
    return ERR_OK;
}

void otlp_subscription_start(struct otlp_subscription *o)
{
    o->started = true;
    keep(o);
}

void otlp_subscription_free(struct otlp_subscription *o)
{
    if (o == NULL)
        return;
    arena_free(&o->arena);
    mem_free(o);
}
