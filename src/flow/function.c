#include "flow/function_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

uint64_t function_now(const struct function *f)
{
    return env_mono_us(f->all->env);
}

/* ---- one function ---------------------------------------------------------------------------- */

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct str *name = key;
    return str_eq(str_of(container_of_const(node, struct function, node)->name), *name);
}

static struct function *find(const struct functions *all, struct str name)
{
    struct map_node *n = map_find(&all->map, hash_bytes(name.at, name.len), name_eq, &name);
    return n ? container_of(n, struct function, node) : NULL;
}

static bool is_unused(const struct function *f)
{
    return !f->document && list_empty(&f->users) && list_empty(&f->workers);
}

static void function_free(struct function *f)
{
    weir_assert(list_empty(&f->waiting) && list_empty(&f->workers));
    env_timer_stop(f->all->env, &f->work);
    env_timer_stop(f->all->env, &f->later);
    map_remove(&f->all->map, &f->node);
    function_url_put(f->url);
    mem_free(f->partitions);
    mem_free(f);
}

/* User by user from the front: one may leave, or join, from inside of changed(). */
static void tell_users(struct function *f)
{
    struct list told;
    list_init(&told);
    list_move(&told, &f->users);
    while (!list_empty(&told)) {
        struct list *at = list_pop(&told);
        struct function_user *user = container_of(at, struct function_user, link);
        list_push(&f->users, at);
        user->changed(user);
    }
}

/* Slots come first: what they leave is what waits. Then those that new workers may take, or that
 * wait in vain. */
static void function_work(struct function *f)
{
    struct env *env = f->all->env;
    uint64_t look = function_slots_work(f);
    uint64_t pool = function_pool_work(f);
    if (f->tell) {
        f->tell = false;
        tell_users(f);
    }
    if (is_unused(f)) {
        function_free(f);
        return;
    }
    look = pool < look ? pool : look;
    if (look == UINT64_MAX)
        env_timer_stop(env, &f->later);
    else
        env_timer_set(env, &f->later, look > env_mono_us(env) ? look - env_mono_us(env) : 0);
}

static void work(struct env_timer *timer)
{
    function_work(container_of(timer, struct function, work));
}

static void later(struct env_timer *timer)
{
    function_work(container_of(timer, struct function, later));
}

void function_wake(struct function *f, bool tell)
{
    f->tell |= tell;
    if (!env_timer_armed(&f->work))
        env_timer_set(f->all->env, &f->work, 0);
}

static struct function *function_get(struct functions *all, struct str name)
{
    struct function *f = find(all, name);
    if (f)
        return f;
    f = mem_zalloc(1, sizeof *f);
    f->all = all;
    bool whole = str_copy(f->name, sizeof f->name, name);
    weir_assert(whole);
    list_init(&f->users);
    list_init(&f->waiting);
    list_init(&f->workers);
    f->work.fire = work;
    f->later.fire = later;
    f->stat.name = f->name;
    map_insert(&all->map, &f->node, hash_bytes(name.at, name.len));
    return f;
}

/* ---- documents ------------------------------------------------------------------------------- */

static bool texts_equal(const struct spec_texts *a, const struct spec_texts *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = str_eq(a->at[i], b->at[i]);
    return same;
}

static bool maps_equal(const struct spec_map *a, const struct spec_map *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = str_eq(a->at[i].key, b->at[i].key) && str_eq(a->at[i].value, b->at[i].value);
    return same;
}

/* Whether a worker of the one would have been started as one of the other. */
static bool starts_alike(const struct function_conf *a, const struct function_conf *b)
{
    return texts_equal(&a->command, &b->command) && str_eq(a->directory, b->directory) &&
           maps_equal(&a->env, &b->env) && a->protocol == b->protocol &&
           a->output_lines_max == b->output_lines_max;
}

static struct function_url *url_make(struct str text)
{
    if (!text.at)
        return NULL;
    struct function_url *url = mem_alloc(sizeof *url + text.len + 1);
    url->refs = 1;
    memcpy(url->text, text.at, text.len);
    url->text[text.len] = '\0';
    return url;
}

void function_set_document(struct functions *all, struct str name, const struct document *d)
{
    struct function *f = d ? function_get(all, name) : find(all, name);
    if (!f)
        return;
    const struct document *old = f->document;
    if (!old || !d || !starts_alike(&old->conf.function, &d->conf.function)) {
        f->generation++;
        f->stat.failures = 0;
        f->retry_us = 0;
        f->last_error[0] = '\0';
    }
    f->document = d ? document_ref(d) : NULL;
    function_url_put(f->url);
    f->url = d ? url_make(d->conf.function.url) : NULL;
    if (old)
        document_unref(old);
    function_wake(f, true);
}

/* ---- users ----------------------------------------------------------------------------------- */

void function_join(struct functions *all, struct function_user *user)
{
    user->function = function_get(all, user->name);
    user->waiting = 0;
    list_push(&user->function->users, &user->link);
}

void function_leave(struct function_user *user)
{
    struct function *f = user->function;
    list_remove(&user->link);
    user->function = NULL;
    function_wake(f, false);
}

const struct document *function_document(const struct function_user *user)
{
    return user->function->document;
}

void function_waits(struct function_user *user, uint64_t events)
{
    if (user->waiting == events)
        return;
    user->waiting = events;
    function_wake(user->function, false);
}

void function_dropped(struct function_user *user, uint64_t outputs)
{
    user->function->stat.dropped += outputs;
}

uint32_t function_room(const struct function_user *user, uint32_t slots_out)
{
    const struct function *f = user->function;
    if (!f->document || f->all->stopping)
        return 0;
    const struct function_conf *c = function_conf_of(f);
    uint32_t workers = f->url ? 1 : function_pool_count(f, FUNCTION_WORKER_ready);
    uint64_t capacity = (uint64_t)workers * (uint64_t)c->concurrency;
    uint64_t busy = (uint64_t)f->stat.calls + f->waiting_n;
    uint32_t room = capacity > busy ? (uint32_t)(capacity - busy) : 0;
    return room == 0 && slots_out == 0 ? 1 : room;
}

uint64_t function_pause_us(const struct function_user *user)
{
    const struct function *f = user->function;
    uint64_t now = function_now(f);
    bool fails = f->stat.failures >= FUNCTION_FAILING && f->retry_us > now;
    return fails && function_pool_count(f, FUNCTION_WORKER_ready) == 0 ? f->retry_us - now : 0;
}

/* ---- the set --------------------------------------------------------------------------------- */

/* What is there to tell of it, but what its document says. */
static void status_of(const struct function *f, struct function_status *out)
{
    uint64_t now = function_now(f);
    *out = (struct function_status){.has_workers = !f->url,
                                    .starting = function_pool_count(f, FUNCTION_WORKER_starting),
                                    .ready = function_pool_count(f, FUNCTION_WORKER_ready),
                                    .draining = function_pool_count(f, FUNCTION_WORKER_draining),
                                    .wanted = f->stat.wanted,
                                    .calls = f->stat.calls,
                                    .waiting = function_pool_waiting(f),
                                    .failures = f->stat.failures};
    if (f->retry_us > now)
        out->retry_ms = (f->retry_us - now + 999) / 1000;
    (void)str_copy(out->error.s, sizeof out->error.s, str_of(f->last_error));
}

static bool tell(struct function_teller *t, struct str name, struct function_status *out)
{
    const struct functions *all = container_of(t, struct functions, teller);
    const struct function *f = find(all, name);
    if (!f || !f->document)
        return false;
    status_of(f, out);
    return true;
}

struct functions *functions_make(const struct functions_conf *conf)
{
    struct functions *all = mem_zalloc(1, sizeof *all);
    const struct event_log_conf log = {.broker = conf->broker,
                                       .topic = FUNCTION_LOG_TOPIC,
                                       .retention_ms = FUNCTION_LOG_RETENTION_MS,
                                       .lost = "function.not_logged"};
    all->conf = *conf;
    all->env = loop_env(conf->loop);
    all->teller.tell = tell;
    if (conf->broker) {
        all->log = event_log_make(&log);
        broker_function_teller_set(conf->broker, &all->teller);
    }
    all->tick.fire = function_watch_tick;
    all->measure.done = function_watch_measured;
    list_init(&all->watcher.link);
    map_init(&all->map);
    return all;
}

void functions_start(struct functions *all)
{
    function_documents_load(all);
}

static struct function *next_of(const struct functions *all, struct function *f)
{
    struct map_node *n = map_next(&all->map, f ? &f->node : NULL);
    return n ? container_of(n, struct function, node) : NULL;
}

void functions_stop(struct functions *all, bool cut)
{
    all->stopping = true;
    for (struct function *f = next_of(all, NULL); f; f = next_of(all, f)) {
        list_for (it, &f->workers) {
            struct function_worker *w = container_of(it, struct function_worker, link);
            if (cut)
                function_worker_kill(w, FUNCTION_KILL_STOP);
            else
                function_worker_drain(w);
        }
        function_wake(f, false);
    }
}

bool functions_busy(const struct functions *all)
{
    return all->workers > 0 || all->probes > 0 || all->measuring ||
           (all->log && event_log_busy(all->log));
}

void functions_free(struct functions *all)
{
    struct map_node *n;
    weir_assert(!functions_busy(all));
    while ((n = map_next(&all->map, NULL)) != NULL) {
        struct function *f = container_of(n, struct function, node);
        weir_assert(list_empty(&f->users));
        if (f->document)
            document_unref(f->document);
        function_free(f);
    }
    env_timer_stop(all->env, &all->tick);
    list_remove(&all->watcher.link);
    if (all->log) {
        event_log_free(all->log);
        broker_function_teller_set(all->conf.broker, NULL);
    }
    map_free(&all->map);
    mem_free(all);
}

void functions_each(const struct functions *all, function_stat_fn *each, void *arg)
{
    for (struct function *f = next_of(all, NULL); f; f = next_of(all, f)) {
        struct function_stat stat = f->stat;
        if (!f->document)
            continue;
        stat.starting = function_pool_count(f, FUNCTION_WORKER_starting);
        stat.ready = function_pool_count(f, FUNCTION_WORKER_ready);
        stat.draining = function_pool_count(f, FUNCTION_WORKER_draining);
        stat.waiting = function_pool_waiting(f);
        each(arg, &stat);
    }
}
