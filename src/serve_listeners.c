#include "serve_listeners.h"

#include "base/assert.h"
#include "io/disk.h"
#include "io/log.h"

#include <stdio.h>
#include <string.h>

static bool accept_one(void *arg, struct loop *loop, struct pipe *carrier)
{
    struct serve_listener *l = arg;
    unsigned reactor = loop_env(loop)->reactor;
    struct pipe *pipe = l->tls ? tls_accept(l->tls, loop_env(loop), carrier) : carrier;
    bool taken = l->protocol == SERVE_KAFKA
                     ? kafka_front_accept(l->all->kafka, reactor, pipe, &l->kafka)
                     : http_front_accept(l->all->http, reactor, pipe, &l->http);
    if (!taken && l->tls)
        tls_drop(pipe);
    return taken;
}

static enum err make_tls(const struct serve_listener_conf *conf, struct serve_listener *l,
                         struct err_text *text)
{
    struct tls_conf tls = {.disk = disk_real(),
                           .certificate = conf->certificate.at,
                           .key = conf->key.at,
                           .client_ca = conf->client_ca.at,
                           .client_required = conf->client_required};
    struct err_text why = {""};
    enum err err = conf->certificate.at ? tls_context_make(&tls, &l->tls, &why) : ERR_OK;
    return err ? err_say(text, err, "listener %s: %s", l->name, why.s) : ERR_OK;
}

static enum err make_one(const struct serve_listener_conf *conf, struct serve_listener *l,
                         struct err_text *text)
{
    l->protocol = (enum serve_protocol)conf->protocol;
    str_copy(l->name, sizeof l->name, conf->name);
    str_copy(l->bind, sizeof l->bind, conf->bind);
    l->authenticate = conf->authentication == SERVE_AUTH_REQUIRED;
    l->kafka = (struct kafka_listener){.tls = conf->certificate.at != NULL,
                                       .authenticate = l->authenticate};
    l->http = (struct http_listener){.tls = conf->certificate.at != NULL,
                                     .authenticate = l->authenticate};
    if (conf->advertised.at) {
        enum err err = str_to_host_port(conf->advertised, l->kafka.advertised_host,
                                        sizeof l->kafka.advertised_host, &l->kafka.advertised_port);
        weir_assert(err == ERR_OK); /* serve_options_listeners has looked */
    }
    return make_tls(conf, l, text);
}

enum err serve_listeners_make(const struct serve_options *o, struct serve_listeners *out,
                              struct err_text *text)
{
    struct serve_listener_conf confs[SERVE_LISTENERS_MAX] = {0};
    size_t n = 0;
    enum err err = serve_options_listeners(o, confs, &n, text);
    for (size_t i = 0; i < n && !err; i++) {
        out->at[i].all = out;
        err = make_one(&confs[i], &out->at[i], text);
        out->n = i + 1;
    }
    return err;
}

enum err serve_listeners_open(struct serve_listeners *l, enum serve_protocol protocol,
                              struct loop **loops, unsigned n, struct err_text *text)
{
    for (size_t i = 0; i < l->n; i++) {
        struct serve_listener *one = &l->at[i];
        struct listen_conf conf = {one->bind, accept_one, one};
        struct err_text why = {""};
        if (one->protocol != protocol)
            continue;
        enum err err = loop_listen(loops, n, &conf, &one->listener, &why);
        if (err)
            return err_say(text, err, "listener %s: %s", one->name,
                           why.s[0] ? why.s : err_meaning(err));
        log_event(ENV_INFO, "serve.listening", "name=%s protocol=%s address=%s tls=%s auth=%s",
                  one->name, protocol == SERVE_KAFKA ? "kafka" : "http",
                  listener_addr(one->listener), one->tls ? "true" : "false",
                  one->authenticate ? "required" : "optional");
    }
    return ERR_OK;
}

bool serve_listeners_are_open(const struct serve_listeners *l, enum serve_protocol protocol)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->at[i].protocol == protocol && l->at[i].listener)
            return true;
    }
    return false;
}

void serve_listeners_close(struct serve_listeners *l, enum serve_protocol protocol)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->at[i].protocol != protocol || !l->at[i].listener)
            continue;
        listener_close(l->at[i].listener);
        l->at[i].listener = NULL;
    }
}

const char *serve_listeners_put(const struct serve_listeners *l, enum serve_protocol protocol,
                                char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < l->n && used < cap; i++) {
        if (l->at[i].protocol == protocol && l->at[i].listener)
            used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? "," : "",
                                     listener_addr(l->at[i].listener));
    }
    return out;
}

const char *serve_listeners_url(const struct serve_listeners *l, char *out, size_t cap)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct serve_listener *one = &l->at[i];
        const char *addr = one->listener ? listener_addr(one->listener) : "";
        bool own = *addr && strncmp(addr, "unix:", 5) && strncmp(addr, "0.0.0.0:", 8) &&
                   strncmp(addr, "[::]:", 5);
        if (one->protocol != SERVE_HTTP || !own)
            continue;
        snprintf(out, cap, "%s://%s", one->tls ? "https" : "http", addr);
        return out;
    }
    return NULL;
}

void serve_listeners_reload(struct serve_listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct err_text why = {""};
        char quoted[512];
        if (!l->at[i].tls)
            continue;
        enum err err = tls_context_reload(l->at[i].tls, &why);
        if (err)
            log_event(ENV_ERROR, "serve.tls_kept", "listener=%s why=%s", l->at[i].name,
                      log_quote(quoted, sizeof quoted, why.s));
        else
            log_event(ENV_INFO, "serve.tls_loaded", "listener=%s expires_ms=%lld", l->at[i].name,
                      (long long)tls_context_expires_ms(l->at[i].tls));
    }
}

void serve_listeners_free(struct serve_listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->at[i].tls)
            tls_context_free(l->at[i].tls);
    }
}
