#include "weir_client.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>
#include <unistd.h>

#define CLIENT_PAUSE_US (5 * WEIR_SIM_MS)
#define CLIENT_ARENA_MAX ((size_t)64 << 20)
#define CLIENT_RX_BYTES ((size_t)64 << 10)

struct call {
    struct list link;
    const struct kafka_api *api;
    int16_t version;
    int32_t id;
    client_answer_fn *fn;
    void *arg;
};

static void client_connect(struct client *c);

/* ---- requests ------------------------------------------------------------------------------- */

void client_send_raw(struct client *c, const void *p, size_t n)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, p, n);
    (void)pipe_send(c->pipe, &q);
}

static void call_push(struct client *c, const struct kafka_api *api, int16_t version, int32_t id,
                      client_answer_fn *fn, void *arg)
{
    struct call *call = mem_zalloc(1, sizeof *call);
    *call = (struct call){.api = api, .version = version, .id = id, .fn = fn, .arg = arg};
    list_push(&c->calls, &call->link);
    c->waiting++;
}

static void call_send(struct client *c, int16_t key, int16_t version, const void *request,
                      client_answer_fn *fn, void *arg)
{
    const struct kafka_api *api = kafka_api_find(key);
    weir_assert(api && c->pipe);
    bool flexible = version >= api->flexible_from;
    struct wr w;
    wr_init(&w, 512);
    wr_i32(&w, 0);
    wr_i16(&w, key);
    wr_i16(&w, version);
    wr_i32(&w, ++c->next_id);
    wire_put_str(&w, false, str_of(c->name), true);
    if (flexible)
        wire_put_no_tags(&w);
    wire_encode(api->request, version, flexible, request, &w);
    wr_patch_i32(&w, 0, (int32_t)w.len - 4);
    if (fn)
        call_push(c, api, version, c->next_id, fn, arg);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_slice(&q, wr_take(&w));
    (void)pipe_send(c->pipe, &q);
}

void client_call(struct client *c, int16_t key, int16_t version, const void *request,
                 client_answer_fn *fn, void *arg)
{
    weir_assert(c->is_up);
    call_send(c, key, version, request, fn, arg);
}

int16_t client_version(struct weir_sim *w, int16_t key, int16_t from)
{
    const struct kafka_api *api = kafka_api_find(key);
    int16_t min = api->min > from ? api->min : from;
    return (int16_t)weir_sim_draw(w, (uint64_t)min, (uint64_t)api->max);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer(struct client *c, const uint8_t *at, size_t n)
{
    struct list *l = list_pop(&c->calls);
    if (!l)
        weir_sim_fail(c->w, "%s: an answer of %zu bytes to nothing that was asked", c->name, n);
    struct call call = *container_of(l, struct call, link);
    mem_free(container_of(l, struct call, link));
    c->waiting--;
    c->answer_bytes = n + 4;
    c->answered_us = sim_mono_us(c->w->sim);
    struct rd r;
    arena_reset(&c->arena);
    const void *copy = arena_copy(&c->arena, at, n);
    if (!copy) /* an allocation of the test itself was made to fail */
        _exit(WEIR_SIM_NOT_OURS);
    rd_init(&r, copy, n);
    int32_t id = rd_i32(&r);
    if (id != call.id)
        weir_sim_fail(c->w, "%s: the answer to %s has correlation id %d, the next is %d", c->name,
                      call.api->name, id, call.id);
    bool flexible = call.version >= call.api->flexible_from;
    if (flexible && call.api->key != 18)
        wire_skip_tags(&r);
    void *out = arena_zalloc(&c->arena, 1, call.api->response->size);
    enum err err = wire_decode(call.api->response, call.version, flexible, &r, &c->arena, out);
    if (err || rd_left(&r))
        weir_sim_fail(c->w, "%s: the answer to %s v%d of %zu bytes does not decode: %s, %zu left",
                      c->name, call.api->name, call.version, n, err_name(err), rd_left(&r));
    call.fn(call.arg, out);
}

static void *client_space(void *user, size_t *cap)
{
    struct client *c = user;
    if (c->reading_stopped)
        return NULL;
    size_t need = c->rx_len >= 4 ? 4 + (size_t)be32_get(c->rx) : 0;
    if (need < c->rx_len + CLIENT_RX_BYTES)
        need = c->rx_len + CLIENT_RX_BYTES;
    if (c->rx_cap < need) {
        c->rx_cap = need;
        c->rx = mem_realloc(c->rx, need);
    }
    *cap = c->rx_cap - c->rx_len;
    return c->rx + c->rx_len;
}

static void client_received(void *user, size_t n)
{
    struct client *c = user;
    if (n == 0 && c->pipe) {
        pipe_close(c->pipe);
        return;
    }
    c->rx_len += n;
    size_t from = 0;
    while (c->rx_len - from >= 4 && c->pipe) {
        size_t bytes = be32_get(c->rx + from);
        if (bytes > INT32_MAX)
            weir_sim_fail(c->w, "%s: an answer with length %zu", c->name, bytes);
        if (c->rx_len - from - 4 < bytes)
            break;
        answer(c, c->rx + from + 4, bytes);
        from += 4 + bytes;
    }
    memmove(c->rx, c->rx + from, c->rx_len - from);
    c->rx_len -= from;
}

static void calls_lost(struct client *c)
{
    struct list lost, *l;
    list_init(&lost);
    list_move(&lost, &c->calls);
    c->waiting = 0;
    while ((l = list_pop(&lost))) {
        struct call call = *container_of(l, struct call, link);
        mem_free(container_of(l, struct call, link));
        if (!c->stopped)
            call.fn(call.arg, NULL);
    }
}

static void client_closed(void *user, enum err why)
{
    struct client *c = user;
    (void)why;
    bool was_up = c->told_up;
    c->pipe = NULL;
    c->is_up = c->told_up = false;
    c->rx_len = 0;
    calls_lost(c);
    if (c->stopped)
        return;
    if (was_up && c->down)
        c->down(c);
    env_timer_set(loop_env(c->w->outside), &c->retry, c->pause_us);
}

static const struct pipe_user_ops client_ops = {
    .space = client_space, .received = client_received, .closed = client_closed};

/* ---- life ----------------------------------------------------------------------------------- */

static void on_versions(void *arg, const void *response)
{
    struct client *c = arg;
    const struct kafka_api_versions_response *r = response;
    if (!r)
        return;
    if (r->error_code || r->api_keys_n < 10)
        weir_sim_fail(c->w, "%s: ApiVersions: error %d, %d rows", c->name, r->error_code,
                      r->api_keys_n);
    c->is_up = c->told_up = true;
    c->connects++;
    if (c->up)
        c->up(c);
}

static void client_connect(struct client *c)
{
    struct kafka_api_versions_request rq = {STR_LIT("sim"), STR_LIT("1")};
    enum err err = loop_connect(c->w->outside, WEIR_SIM_ADDR, &client_ops, c, &c->pipe);
    weir_assert(!err);
    call_send(c, 18, 3, &rq, on_versions, c);
}

static void on_retry(struct env_timer *timer)
{
    client_connect(container_of(timer, struct client, retry));
}

void client_start(struct client *c, struct weir_sim *w)
{
    c->w = w;
    if (!c->pause_us)
        c->pause_us = CLIENT_PAUSE_US;
    list_init(&c->calls);
    arena_init(&c->arena, CLIENT_ARENA_MAX);
    c->retry.fire = on_retry;
    client_connect(c);
}

void client_stop(struct client *c)
{
    c->stopped = true;
    c->is_up = false;
    env_timer_stop(loop_env(c->w->outside), &c->retry);
    if (c->pipe)
        pipe_abort(c->pipe, ERR_CLOSED);
    calls_lost(c);
}

void client_break(struct client *c)
{
    c->is_up = false;
    if (c->pipe)
        pipe_abort(c->pipe, ERR_CLOSED);
}

void client_read_on(struct client *c)
{
    c->reading_stopped = false;
    if (c->pipe)
        pipe_resume(c->pipe);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void on_asked(void *arg, const void *response)
{
    struct client *c = arg;
    c->asked_response = response;
    c->asked = true;
}

const void *client_ask(struct client *c, int16_t key, int16_t version, const void *request,
                       uint64_t us)
{
    if (!c->is_up)
        return NULL;
    c->asked = false;
    c->asked_response = NULL;
    client_call(c, key, version, request, on_asked, c);
    (void)weir_sim_run_until(c->w, &c->asked, us);
    return c->asked ? c->asked_response : NULL;
}

bool client_wait_up(struct client *c, uint64_t us)
{
    return c->is_up || weir_sim_run_until(c->w, &c->is_up, us);
}
