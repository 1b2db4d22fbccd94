/* serve_reload.c: SIGHUP: certificates and the file of options are read again. What is marked live
 * takes effect; what else has changed is named: it needs a restart. A file that is wrong changes
 * nothing.
 */
#include "serve_internal.h"

#include "base/mem.h"
#include "io/log.h"

#include <string.h>

static bool same_listeners(const struct serve_options *a, const struct serve_options *b)
{
    return spec_equal(serve_option_set.file_kind, a, b);
}

/* Logs what differs; the live values of `now` replace those of s. */
static void compare(struct serve *s, const struct serve_options *now)
{
    for (size_t i = 0; i < serve_option_set.n; i++) {
        const struct option *o = &serve_option_set.options[i];
        if (option_equal(o, &s->options, now))
            continue;
        if (o->flags & OPTION_LIVE)
            log_event(ENV_INFO, "serve.option_changed", "option=%s", o->name);
        else
            log_event(ENV_WARN, "serve.restart_needed", "option=%s", o->name);
    }
    if (!same_listeners(&s->options, now))
        log_event(ENV_WARN, "serve.restart_needed", "option=listeners");
}

static void take_live(struct serve *s, const struct serve_options *now)
{
    struct broker_conf conf = *broker_conf(s->brokers[0]);
    s->options.log_level = now->log_level;
    s->options.auto_create = now->auto_create;
    s->options.partitions = now->partitions;
    s->options.group_delay_ms = now->group_delay_ms;
    s->options.hops = now->hops;
    s->options.scrub = now->scrub;
    embedded_set_scrub(s->embedded, (uint64_t)now->scrub);
    log_set_level((enum env_level)now->log_level);
    serve_broker_conf(now, &conf);
    broker_set_conf(s->brokers[0], &conf);
}

void serve_on_reload(void *arg, int signo)
{
    struct serve *s = arg;
    struct serve_options now = {0};
    struct err_text why = {""};
    char quoted[512];
    size_t args_n;
    bool help;
    (void)signo;
    enum err err =
        options_parse(&serve_option_set, s->argc, s->argv, &now, NULL, &args_n, &help, &why);
    if (err) {
        log_event(ENV_ERROR, "serve.reload_failed", "why=%s",
                  log_quote(quoted, sizeof quoted, why.s));
    } else {
        compare(s, &now);
        take_live(s, &now);
        log_event(ENV_INFO, "serve.reloaded", "config=%s",
                  now.config ? log_quote(quoted, sizeof quoted, now.config) : "none");
    }
    options_free(&serve_option_set, &now);
    serve_listeners_reload(&s->listeners);
}
