#include "flow/push.h"

#include "base/assert.h"
#include "base/mem.h"
#include "flow/push_internal.h"

#include <string.h>

const double push_bucket_seconds[PUSH_BUCKETS] = {.005, .01, .025, .05, .1, .25,
                                                  .5,   1,   2.5,  5,   10, 30};

/* ---- whose work a subscription is ----------------------------------------------------------- */

/* A model's server decides as an address does: who post to it share its breaker. */
static unsigned model_reactor(const struct push *p, const struct subscription *s, unsigned n)
{
    const struct document *d = broker_document(p->b, DOCUMENT_MODEL, s->conf.target);
    struct str url = d ? d->conf.model.url : (struct str){NULL, 0};
    return url.at ? endpoint_reactor(url, n) : (unsigned)(uuid_hash(s->id) % n);
}

/* The reactor that works on it, of n; n: none. */
static unsigned reactor_of(const struct push *p, const struct subscription *s, unsigned n)
{
    char key[ENDPOINT_KEY_MAX];
    switch ((enum subscription_deliver)s->conf.deliver) {
    case DELIVER_TOPIC:
        return (unsigned)(uuid_hash(s->id) % n);
    case DELIVER_URL:
        return endpoint_key(s->conf.target, key) ? endpoint_reactor(s->conf.target, n) : n;
    case DELIVER_FUNCTION:
        return p->conf.functions ? function_reactor(s->conf.target, n) : n;
    case DELIVER_MODEL:
        return model_reactor(p, s, n);
    case DELIVER_PULL:
        break;
    }
    return n;
}

static bool is_mine(const struct push *p, const struct subscription *s)
{
    return reactor_of(p, s, p->env->reactors) == p->env->reactor;
}

static struct pusher *find(const struct push *p, const struct subscription *s)
{
    list_for (it, &p->pushers) {
        struct pusher *pusher = container_of(it, struct pusher, link);
        if (!pusher->leaving && uuid_eq(pusher->s->id, s->id))
            return pusher;
    }
    return NULL;
}

void push_begin(struct push *p, const struct subscription *s, bool first)
{
    if (is_mine(p, s) && !p->stopping)
        pusher_pump(pusher_make(p, s, first));
}

/* One that is leaving does not begin anew with settings that are gone. */
static void forget(const struct push *p, const struct subscription *s)
{
    list_for (it, &p->pushers) {
        struct pusher *pusher = container_of(it, struct pusher, link);
        if (uuid_eq(pusher->s->id, s->id))
            pusher->again_after = false;
    }
}

void push_pump(struct push *push)
{
    list_for_safe (it, &push->pushers)
        pusher_pump(container_of(it, struct pusher, link));
}

/* From inside of the end of a call: what follows from it is for the next turn. */
static void answers_eased(void *arg)
{
    struct push *p = arg;
    env_timer_set(p->env, &p->ease, 0);
}

static void ease(struct env_timer *timer)
{
    push_pump(container_of(timer, struct push, ease));
}

/* A change makes a new pusher: what is under way goes on, or ends, with the old settings. */
static void changed(struct subscription_watcher *w, struct broker *b,
                    const struct subscription *old, const struct subscription *now)
{
    struct push *p = container_of(w, struct push, watcher);
    (void)b;
    if (!p->started)
        return;
    struct pusher *pusher = old ? find(p, old) : NULL;
    if (old)
        forget(p, old);
    if (pusher)
        pusher_leave(pusher, true);
    if (now)
        push_begin(p, now, false);
}

/* What scores, or who posts to its server, is another one now. */
static void model_changed(void *arg, struct str name)
{
    struct push *p = arg;
    const struct subscription *s = NULL;
    while (p->started && (s = broker_subscription_next(p->b, NULL, s))) {
        if (s->conf.deliver != DELIVER_MODEL || !str_eq(s->conf.target, name))
            continue;
        struct pusher *pusher = find(p, s);
        if (pusher)
            pusher_leave(pusher, true);
        push_begin(p, s, false);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static void breaker_changed(void *arg, struct endpoint *e, enum breaker_state from,
                            enum breaker_state to)
{
    struct push *p = arg;
    push_mirror_tell(p, endpoint_name(e), to);
    if (from != to)
        breaker_log_write(p->log, e, from, to);
}

struct push *push_make(struct broker *b, struct push *first, const struct push_conf *conf)
{
    struct push *p = mem_zalloc(1, sizeof *p);
    p->b = b;
    p->env = broker_env(b);
    p->conf = *conf;
    p->log = breaker_log_make(b);
    p->endpoints = endpoints_make(&(struct endpoints_conf){.env = p->env,
                                                           .http = conf->http,
                                                           .origin = conf->origin,
                                                           .changed = breaker_changed,
                                                           .arg = p});
    p->models = models_make(&(struct models_conf){.broker = b,
                                                  .loop = conf->loop,
                                                  .disk = conf->disk,
                                                  .changed = model_changed,
                                                  .arg = p},
                            first ? first->models : NULL);
    list_init(&p->pushers);
    weir_assert((first == NULL) == (p->env->reactor == 0));
    p->first = first ? first : p;
    p->mirror = first ? NULL : push_mirror_make();
    p->ease.fire = ease;
    if (p->conf.answers) {
        p->conf.answers->eased = answers_eased;
        p->conf.answers->arg = p;
    }
    p->watcher.changed = changed;
    broker_subscription_watch(b, &p->watcher);
    return p;
}

static void breakers_loaded(void *arg)
{
    struct push *p = arg;
    const struct subscription *s = NULL;
    p->started = true;
    while ((s = broker_subscription_next(p->b, NULL, s)))
        push_begin(p, s, true);
}

void push_start(struct push *p)
{
    breaker_log_load(p->log, p->endpoints, breakers_loaded, p);
}

void push_stop(struct push *p, bool cut)
{
    p->stopping = true;
    p->cut = p->cut || cut;
    endpoints_stop(p->endpoints);
    models_stop(p->models);
    list_for_safe (it, &p->pushers)
        pusher_stop(container_of(it, struct pusher, link), cut);
}

bool push_busy(const struct push *p)
{
    list_for (it, &p->pushers) {
        if (pusher_busy(container_of(it, struct pusher, link)))
            return true;
    }
    return endpoints_busy(p->endpoints) > 0 || models_busy(p->models) || breaker_log_busy(p->log);
}

void push_free(struct push *p)
{
    weir_assert(!push_busy(p));
    list_remove(&p->watcher.link);
    env_timer_stop(p->env, &p->ease);
    if (p->conf.answers)
        p->conf.answers->eased = NULL;
    list_for_safe (it, &p->pushers)
        pusher_free(container_of(it, struct pusher, link));
    endpoints_free(p->endpoints);
    models_free(p->models);
    breaker_log_free(p->log);
    if (p->mirror)
        push_mirror_free(p->mirror);
    mem_free(p);
}

void push_models(const struct push *p, model_total_fn *each, void *arg)
{
    models_each(p->models, each, arg);
}

const struct push_stats *push_stats(const struct push *p)
{
    return &p->stats;
}
