#include "serve_invoke.h"

#include "base/mem.h"
#include "flow/invoke.h"

#include <stdatomic.h>

#define LOOK_US 2000 /* whether all has ended, in a stop */

struct serve_invoke_one {
    struct env *env;
    struct invocations *invocations;
    struct env_timer look;
    atomic_bool quiet; /* when it was last looked at, in a stop */
};

struct serve_invoke {
    unsigned n;
    struct serve_invoke_one at[SERVE_THREADS_MAX];
};

static void look(struct env_timer *timer)
{
    struct serve_invoke_one *one = container_of(timer, struct serve_invoke_one, look);
    atomic_store(&one->quiet, !invocations_busy(one->invocations));
    env_timer_set(one->env, timer, LOOK_US);
}

struct serve_invoke *serve_invoke_make(struct serve_functions *functions, struct serve_push *push,
                                       struct budget *answers, struct broker **brokers, unsigned n)
{
    struct serve_invoke *si = mem_zalloc(1, sizeof *si);
    si->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct invocations_conf conf = {.broker = brokers[i],
                                        .functions = serve_functions_at(functions, i),
                                        .local = serve_functions_http(functions, i),
                                        .http = serve_push_http(push, i),
                                        .answers = &answers[i]};
        si->at[i].env = broker_env(brokers[i]);
        si->at[i].invocations = invocations_make(&conf);
        si->at[i].look.fire = look;
    }
    return si;
}

void serve_invoke_stop(struct serve_invoke *si, unsigned reactor, bool cut)
{
    struct serve_invoke_one *one = &si->at[reactor];
    if (cut)
        invocations_cut(one->invocations);
    if (!env_timer_armed(&one->look))
        env_timer_set(one->env, &one->look, 0);
}

bool serve_invoke_quiet(const struct serve_invoke *si)
{
    bool quiet = true;
    for (unsigned i = 0; i < si->n; i++)
        quiet = quiet && atomic_load(&si->at[i].quiet);
    return quiet;
}

void serve_invoke_free(struct serve_invoke *si)
{
    for (unsigned i = si->n; i-- > 0;) {
        env_timer_stop(si->at[i].env, &si->at[i].look);
        invocations_free(si->at[i].invocations);
    }
    mem_free(si);
}
