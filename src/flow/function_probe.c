/* Is a worker ready? A port that takes a connection is, but for Azure's handlers, which must answer
 * a request (any answer to GET / will do: Azure Functions' host asks so).
 *
 * Tries begin close together, since a native program listens within a few milliseconds, and become
 * rarer as time goes by.
 */
#include "flow/function_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define PAUSE_US UINT64_C(1000)
#define PAUSE_MAX_US UINT64_C(50000)
#define PAUSE_GROWS 16 /* by so much of the time that went by */
#define ANSWER_MS 1000

struct function_probe {
    struct functions *all;
    void (*done)(void *arg); /* NULL: dropped */
    void *arg;
    uint64_t since_us;
    struct env_timer again;
    struct pipe *pipe;
    struct http_call call;
    bool by_http, calling, stands;
    char waste[64]; /* what it says unasked */
    char addr[FUNCTION_URL_MAX], url[FUNCTION_URL_MAX];
};

static void free_unused(struct function_probe *p)
{
    if (p->done || p->pipe || p->calling)
        return;
    p->all->probes--;
    mem_free(p);
}

static void tried(struct function_probe *p, bool answered)
{
    struct env *env = p->all->env;
    if (p->done && answered) {
        void (*done)(void *arg) = p->done;
        p->done = NULL;
        done(p->arg);
    } else if (p->done) {
        uint64_t pause = PAUSE_US + (env_mono_us(env) - p->since_us) / PAUSE_GROWS;
        env_timer_set(env, &p->again, pause < PAUSE_MAX_US ? pause : PAUSE_MAX_US);
    }
    free_unused(p);
}

/* ---- by a connection ------------------------------------------------------------------------- */

static void *pipe_space(void *user, size_t *cap)
{
    struct function_probe *p = user;
    *cap = sizeof p->waste;
    return p->waste;
}

static void pipe_received(void *user, size_t n)
{
    struct function_probe *p = user;
    if (n == 0)
        pipe_close(p->pipe);
}

static void pipe_opened(void *user)
{
    struct function_probe *p = user;
    /* A port of connections may connect to itself. */
    p->stands = strcmp(p->pipe->local, p->pipe->peer) != 0;
    pipe_close(p->pipe);
}

static void pipe_closed(void *user, enum err why)
{
    struct function_probe *p = user;
    (void)why;
    p->pipe = NULL;
    tried(p, p->stands);
}

static const struct pipe_user_ops pipe_ops = {
    .space = pipe_space, .received = pipe_received, .opened = pipe_opened, .closed = pipe_closed};

/* ---- by a request ---------------------------------------------------------------------------- */

static void called(struct http_call *call)
{
    struct function_probe *p = call->user;
    p->calling = false;
    tried(p, call->outcome == HTTP_ANSWERED);
}

static void try(struct env_timer *timer)
{
    struct function_probe *p = container_of(timer, struct function_probe, again);
    if (p->by_http) {
        p->call = (struct http_call){
            .method = "GET", .url = p->url, .timeout_ms = ANSWER_MS, .done = called, .user = p};
        p->calling = true;
        http_call(p->all->conf.http, &p->call);
    } else {
        p->stands = false;
        if (loop_connect(p->all->conf.loop, p->addr, &pipe_ops, p, &p->pipe))
            tried(p, false);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

struct function_probe *function_probe_start(struct function *f, uint16_t port,
                                            void (*done)(void *arg), void *arg)
{
    struct function_probe *p = mem_zalloc(1, sizeof *p);
    *p = (struct function_probe){.all = f->all,
                                 .done = done,
                                 .arg = arg,
                                 .since_us = function_now(f),
                                 .again.fire = try,
                                 .by_http = function_conf_of(f)->protocol == FUNCTION_AZURE};
    snprintf(p->addr, sizeof p->addr, "127.0.0.1:%u", (unsigned)port);
    snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u/", (unsigned)port);
    f->all->probes++;
    env_timer_set(f->all->env, &p->again, PAUSE_US);
    return p;
}

void function_probe_drop(struct function_probe *p)
{
    p->done = NULL;
    env_timer_stop(p->all->env, &p->again);
    if (p->pipe)
        pipe_abort(p->pipe, ERR_CLOSED);
    if (p->calling)
        http_cancel(p->all->conf.http, &p->call);
    free_unused(p);
}
