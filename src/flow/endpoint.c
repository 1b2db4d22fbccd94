#include "flow/endpoint.h"

#include "base/assert.h"
#include "base/mem.h"
#include "flow/ascii.h"

#include <stdio.h>
#include <string.h>

struct endpoints {
    struct endpoints_conf conf;
    struct breaker_conf breaker_conf, server_conf;
    struct map map; /* by key */
    bool stopping;
    unsigned probes_n;
};

struct endpoint {
    struct map_node node;
    struct endpoints *set;
    char *key, *url; /* url: of who joined last, for the probe */
    struct breaker breaker;
    struct retry_probation probation;
    struct list users;
    struct env_timer timer;
    struct http_call probe;
    struct http_header probe_header;
    const char *ready;
    bool probing;
    unsigned telling; /* inside of tell_users: stays */
};

/* ---- keys ----------------------------------------------------------------------------------- */

/* "scheme://" of at most 8 letters; 0: there is none. */
static size_t scheme_bytes(struct str url)
{
    return ascii_begins(url, "http://") ? 7 : ascii_begins(url, "https://") ? 8 : 0;
}

static size_t until(struct str s, size_t from, const char *any)
{
    size_t i = from;
    while (i < s.len && !strchr(any, s.at[i]))
        i++;
    return i;
}

bool endpoint_key(struct str url, char out[ENDPOINT_KEY_MAX])
{
    size_t host = scheme_bytes(url), scheme = host;
    if (host == 0 || url.len >= ENDPOINT_KEY_MAX - 1 || memchr(url.at, '\0', url.len))
        return false;
    size_t path = until(url, host, "/?#"), end = until(url, path, "?#");
    for (size_t i = host; i < path; i++) {
        if (url.at[i] == '@')
            host = i + 1;
    }
    size_t n = 0;
    for (size_t i = 0; i < scheme; i++)
        out[n++] = ascii_lower(url.at[i]);
    for (size_t i = host; i < path; i++)
        out[n++] = ascii_lower(url.at[i]);
    memcpy(out + n, url.at + path, end - path);
    n += end - path;
    if (end == path)
        out[n++] = '/';
    out[n] = '\0';
    return host < path;
}

unsigned endpoint_reactor(struct str url, unsigned n)
{
    char key[ENDPOINT_KEY_MAX];
    if (!endpoint_key(url, key))
        return 0;
    return (unsigned)(hash_bytes(key, strlen(key)) % n);
}

/* ---- the set -------------------------------------------------------------------------------- */

static uint64_t now_us(const struct endpoint *e)
{
    return env_mono_us(e->set->conf.env);
}

static void breaker_changed(struct breaker *b, enum breaker_state from, enum breaker_state to)
{
    struct endpoint *e = container_of(b, struct endpoint, breaker);
    struct endpoints *set = e->set;
    env_log(set->conf.env, to == BREAKER_CLOSED ? ENV_INFO : ENV_WARN, "breaker.changed",
            "endpoint=%s from=%s to=%s failure_rate=%.1f slow_rate=%.1f", e->key,
            breaker_state_name(from), breaker_state_name(to), (double)breaker_failure_rate(b),
            (double)breaker_slow_rate(b));
    if (set->conf.changed)
        set->conf.changed(set->conf.arg, e, from, to);
}

struct endpoints *endpoints_make(const struct endpoints_conf *conf)
{
    struct endpoints *set = mem_zalloc(1, sizeof *set);
    set->conf = *conf;
    set->breaker_conf = breaker_conf_default;
    set->breaker_conf.changed = breaker_changed;
    set->breaker_conf.probe = true;
    set->breaker_conf.return_us = ENDPOINT_RETURN_US;
    set->server_conf = set->breaker_conf;
    set->server_conf.window_size = ENDPOINT_SERVER_WINDOW;
    set->server_conf.calls_min = ENDPOINT_SERVER_CALLS_MIN;
    set->server_conf.permitted = ENDPOINT_SERVER_PERMITTED;
    set->server_conf.open_us = ENDPOINT_SERVER_OPEN_US;
    set->server_conf.return_us = ENDPOINT_SERVER_RETURN_US;
    map_init(&set->map);
    return set;
}

static bool key_eq(const struct map_node *node, const void *key)
{
    return !strcmp(container_of_const(node, struct endpoint, node)->key, key);
}

static struct endpoint *find(struct endpoints *set, const char *key)
{
    struct map_node *n = map_find(&set->map, hash_bytes(key, strlen(key)), key_eq, key);
    return n ? container_of(n, struct endpoint, node) : NULL;
}

static void timer_fired(struct env_timer *timer);

static struct endpoint *make(struct endpoints *set, const char *key,
                             const struct breaker_conf *conf)
{
    struct endpoint *e = mem_zalloc(1, sizeof *e);
    e->set = set;
    e->key = mem_strdup(key);
    e->timer.fire = timer_fired;
    list_init(&e->users);
    breaker_init(&e->breaker, conf, now_us(e));
    map_insert(&set->map, &e->node, hash_bytes(key, strlen(key)));
    return e;
}

static void drop(struct endpoint *e)
{
    env_timer_stop(e->set->conf.env, &e->timer);
    map_remove(&e->set->map, &e->node);
    breaker_free(&e->breaker);
    mem_free(e->url);
    mem_free(e->key);
    mem_free(e);
}

static void drop_if_unused(struct endpoint *e)
{
    bool used = !list_empty(&e->users) || e->probing || e->telling > 0;
    if (!used && e->breaker.state == BREAKER_CLOSED)
        drop(e);
}

void endpoints_free(struct endpoints *set)
{
    weir_assert(set->probes_n == 0);
    for (struct map_node *n = map_next(&set->map, NULL), *next; n; n = next) {
        next = map_next(&set->map, n);
        drop(container_of(n, struct endpoint, node));
    }
    map_free(&set->map);
    mem_free(set);
}

void endpoints_stop(struct endpoints *set)
{
    set->stopping = true;
    for (struct map_node *n = map_next(&set->map, NULL); n; n = map_next(&set->map, n)) {
        struct endpoint *e = container_of(n, struct endpoint, node);
        if (e->probing)
            http_cancel(set->conf.http, &e->probe);
    }
}

unsigned endpoints_busy(const struct endpoints *set)
{
    return set->probes_n;
}

/* Of probes. */
static char *url_of(struct str url, const char *ready)
{
    while (ready && url.len > 0 && url.at[url.len - 1] == '/')
        url.len--;
    size_t more = ready ? strlen(ready) : 0;
    char *out = mem_alloc(url.len + more + 1);
    memcpy(out, url.at, url.len);
    if (more > 0)
        memcpy(out + url.len, ready, more);
    out[url.len + more] = '\0';
    return out;
}

void endpoint_join(struct endpoints *set, struct str url, struct endpoint_user *user)
{
    char key[ENDPOINT_KEY_MAX];
    bool ok = endpoint_key(url, key);
    weir_assert(ok && user->endpoint == NULL);
    struct endpoint *e = find(set, key);
    const struct breaker_conf *conf = user->ready ? &set->server_conf : &set->breaker_conf;
    e = e ? e : make(set, key, conf);
    e->breaker.conf = conf; /* one that came back out of the log did not know */
    if (!e->probing) {
        mem_free(e->url);
        e->url = url_of(url, user->ready);
        e->ready = user->ready;
    }
    list_push(&e->users, &user->link);
    user->endpoint = e;
    if (!env_timer_armed(&e->timer))
        env_timer_set(set->conf.env, &e->timer, 0);
}

void endpoint_leave(struct endpoint_user *user)
{
    struct endpoint *e = user->endpoint;
    if (!e)
        return;
    list_remove(&user->link);
    user->endpoint = NULL;
    drop_if_unused(e);
}

/* ---- what time does ------------------------------------------------------------------------- */

/* A user may leave, and others with it, when it is told. */
static void tell_users(struct endpoint *e)
{
    struct list told = LIST_INIT(told);
    e->telling++;
    while (!list_empty(&e->users)) {
        struct list *it = list_pop(&e->users);
        list_push(&told, it);
        struct endpoint_user *user = container_of(it, struct endpoint_user, link);
        user->changed(user);
    }
    list_move(&e->users, &told);
    e->telling--;
}

static void arm(struct endpoint *e)
{
    uint64_t next = breaker_next_us(&e->breaker), now = now_us(e);
    uint64_t left = retry_probation_left_us(&e->probation, now);
    if (left > 0 && now + left < next)
        next = now + left;
    if (next == UINT64_MAX)
        env_timer_stop(e->set->conf.env, &e->timer);
    else
        env_timer_set(e->set->conf.env, &e->timer, next > now ? next - now : 0);
}

static void probe_done(struct http_call *call)
{
    struct endpoint *e = container_of(call, struct endpoint, probe);
    bool answered = call->outcome == HTTP_ANSWERED && call->status < 500 && call->status != 429;
    if (e->ready)
        answered = call->outcome == HTTP_ANSWERED && call->status == 200;
    e->probing = false;
    e->set->probes_n--;
    breaker_probed(&e->breaker, answered, now_us(e));
    arm(e);
    tell_users(e);
    drop_if_unused(e);
}

static void probe(struct endpoint *e)
{
    e->probing = true;
    e->set->probes_n++;
    e->probe_header =
        (struct http_header){STR_LIT("WebHook-Request-Origin"), str_of(e->set->conf.origin)};
    e->probe = (struct http_call){.method = e->ready ? "GET" : "OPTIONS",
                                  .url = e->url,
                                  .headers = &e->probe_header,
                                  .headers_n = 1,
                                  .timeout_ms = ENDPOINT_PROBE_MS,
                                  .done = probe_done};
    http_call(e->set->conf.http, &e->probe);
}

static void timer_fired(struct env_timer *timer)
{
    struct endpoint *e = container_of(timer, struct endpoint, timer);
    breaker_tick(&e->breaker, now_us(e));
    bool asked = !e->set->stopping && !list_empty(&e->users);
    if (asked && breaker_probe_due(&e->breaker, now_us(e)))
        probe(e);
    /* An open one that nobody uses waits for a user. */
    if (asked || e->breaker.state != BREAKER_OPEN)
        arm(e);
    tell_users(e);
    drop_if_unused(e);
}

/* ---- calls ---------------------------------------------------------------------------------- */

uint32_t endpoint_room(struct endpoint *e, uint32_t most, uint32_t under_way)
{
    if (retry_probation_left_us(&e->probation, now_us(e)) > 0)
        return 0;
    return breaker_room(&e->breaker, most, under_way, now_us(e));
}

bool endpoint_begin(struct endpoint *e)
{
    if (retry_probation_left_us(&e->probation, now_us(e)) > 0)
        return false;
    return breaker_acquire(&e->breaker, now_us(e));
}

void endpoint_abandon(struct endpoint *e)
{
    breaker_release(&e->breaker);
}

void endpoint_end(struct endpoint *e, const struct retry_attempt *attempt,
                  enum delivery_outcome outcome, uint64_t took_us)
{
    enum breaker_state before = e->breaker.state;
    uint64_t waited = e->probation.until_us;
    if (e->ready)
        e->probation.failures = 0;
    retry_probation_note(&e->probation, attempt, outcome, now_us(e));
    breaker_record(&e->breaker, outcome_is_endpoints(outcome), took_us, now_us(e));
    if (e->breaker.state != before || e->probation.until_us != waited) {
        arm(e);
        tell_users(e);
    }
}

/* ---- for the log and metrics ---------------------------------------------------------------- */

const char *endpoint_name(const struct endpoint *e)
{
    return e->key;
}

const struct breaker *endpoint_breaker(const struct endpoint *e)
{
    return &e->breaker;
}

uint64_t endpoint_wall_ms(const struct endpoint *e, uint64_t mono_us)
{
    const struct env *env = e->set->conf.env;
    int64_t away_us = (int64_t)mono_us - (int64_t)env_mono_us(env);
    return (uint64_t)((int64_t)env_now_ms(env) + away_us / 1000);
}

/* A wall clock time in the reactor's monotonic one; one before its beginning is 0. */
static uint64_t mono_of_wall(const struct endpoints *set, uint64_t wall_ms)
{
    int64_t away_ms = (int64_t)wall_ms - (int64_t)env_now_ms(set->conf.env);
    int64_t us = (int64_t)env_mono_us(set->conf.env) + away_ms * 1000;
    return us > 0 ? (uint64_t)us : 0;
}

void endpoint_restore(struct endpoints *set, const char *key, enum breaker_state state,
                      uint32_t attempts, uint64_t since_ms, uint64_t retry_ms)
{
    struct endpoint *e = find(set, key);
    if (!e && state == BREAKER_CLOSED)
        return;
    e = e ? e : make(set, key, &set->breaker_conf);
    breaker_restore(&e->breaker, state, attempts, mono_of_wall(set, since_ms),
                    mono_of_wall(set, retry_ms), now_us(e));
    if (set->conf.changed)
        set->conf.changed(set->conf.arg, e, state, state);
    arm(e);
    drop_if_unused(e);
}
