/* serve_stop.c: stopping, at SIGTERM or SIGINT, in steps; the timer looks every STOP_LOOK_MS
 * whether one is done:
 *
 *     DRAINING    no more connections and requests; who waits is answered, connections close,
 *                 workers of functions end after their last call, hops that were noted are stored
 *     CUTTING     those that are open after DRAIN_MS are cut
 *     STORING     a checkpoint, and the mark of a clean stop
 *     CLOSING     HTTP connections, until now open for /healthz, close; then the loops stop
 *
 * A failure, and a second signal, end the loops at once and free nothing: the next start recovers.
 */
#include "serve_internal.h"

#include "base/mem.h"
#include "broker/group.h"
#include "broker/hop.h"
#include "io/log.h"

#define DRAIN_MS 1000
#define CUT_MS 1000   /* for requests that are still under way when their connection is gone */
#define CLOSE_MS 1000 /* for the last answers over HTTP */
#define STOP_LOOK_MS 2

static void stop_go(struct serve *s, enum serve_step step, unsigned patience_ms)
{
    s->step = step;
    s->step_until_us = env_mono_us(s->envs[0]) + (uint64_t)patience_ms * 1000;
    env_timer_set(s->envs[0], &s->stop_timer, 0);
}

/* Requests that are answered by this may begin to wait in a group: groups come last. */
static void drain_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    kafka_front_drain(s->kafka, env->reactor, false);
    http_front_stop(s->http, env->reactor, HTTP_DRAIN);
    serve_push_stop(s->push, env->reactor, false);
    serve_invoke_stop(s->invoke, env->reactor, false);
    serve_functions_stop(s->functions, env->reactor, false);
    groups_drain(broker_groups(s->brokers[env->reactor]));
    broker_hops_stop(s->brokers[env->reactor]);
    atomic_fetch_add(&s->drained, 1);
}

static void cut_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    kafka_front_drain(s->kafka, env->reactor, true);
    http_front_stop(s->http, env->reactor, HTTP_CUT);
    serve_push_stop(s->push, env->reactor, true);
    serve_invoke_stop(s->invoke, env->reactor, true);
    serve_functions_stop(s->functions, env->reactor, true);
}

static void close_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    http_front_stop(s->http, env->reactor, HTTP_CLOSE);
}

static void mail_all(struct serve *s, struct serve_mail *mails,
                     void (*run)(struct env_mail *mail, struct env *env))
{
    for (unsigned i = 0; i < s->n; i++) {
        mails[i] = (struct serve_mail){.mail.run = run, .s = s};
        env_post(s->envs[0], i, &mails[i].mail);
    }
}

static void store_closed(void *arg, enum err err)
{
    struct serve *s = arg;
    if (err) {
        serve_fail(s, "serve.stop_failed", err, NULL);
        return;
    }
    log_event(ENV_INFO, "serve.stopped", "clean=true");
    serve_listeners_close(&s->listeners, SERVE_HTTP);
    mail_all(s, s->close_mail, close_reactor);
    stop_go(s, SERVE_CLOSING, CLOSE_MS);
}

static bool nobody_left(const struct serve *s)
{
    struct http_stats h;
    size_t n = 0;
    http_front_stats(s->http, &h);
    for (unsigned i = 0; i < s->n; i++)
        n += loop_streams(s->loops[i]);
    return n == 0 && h.connections == 0;
}

/* Nothing is under way in the broker any more. HTTP connections stay: /healthz is served to the
 * end. */
static bool is_quiet(const struct serve *s)
{
    struct kafka_stats k;
    struct http_stats h;
    if (atomic_load(&s->drained) < s->n)
        return false;
    kafka_front_stats(s->kafka, &k);
    http_front_stats(s->http, &h);
    return k.connections == 0 && h.running == 0 && serve_push_quiet(s->push) &&
           serve_invoke_quiet(s->invoke) && serve_functions_quiet(s->functions) &&
           !broker_hops_busy(s->brokers[0]);
}

static void stop_look(struct env_timer *timer)
{
    struct serve *s = container_of(timer, struct serve, stop_timer);
    bool late = env_mono_us(s->envs[0]) >= s->step_until_us;
    if (s->step == SERVE_CLOSING && (late || nobody_left(s))) {
        s->clean = nobody_left(s);
        serve_stop_loops(s);
    } else if (s->step <= SERVE_CUTTING && is_quiet(s)) {
        s->step = SERVE_STORING;
        embedded_close(s->embedded, store_closed, s);
    } else if (s->step == SERVE_DRAINING && late) {
        mail_all(s, s->cut_mail, cut_reactor);
        stop_go(s, SERVE_CUTTING, CUT_MS);
    } else if (s->step == SERVE_CUTTING && late) {
        serve_fail(s, "serve.stop_failed", ERR_TIMED_OUT, "requests are still under way");
    } else if (s->step != SERVE_STORING) {
        env_timer_set(s->envs[0], timer, STOP_LOOK_MS * 1000);
    }
}

void serve_on_stop(void *arg, int signo)
{
    struct serve *s = arg;
    if (s->step != SERVE_RUNNING) {
        serve_fail(s, "serve.killed", ERR_CLOSED, "a second signal: the next start recovers");
        return;
    }
    log_event(ENV_INFO, "serve.stopping", "signal=%d", signo);
    http_front_set_ready(s->http, false);
    if (!serve_listeners_are_open(&s->listeners,
                                  SERVE_KAFKA)) { /* nothing was served or written yet */
        serve_stop_loops(s);
        return;
    }
    serve_listeners_close(&s->listeners, SERVE_KAFKA);
    s->stop_timer.fire = stop_look;
    mail_all(s, s->drain_mail, drain_reactor);
    stop_go(s, SERVE_DRAINING, DRAIN_MS);
}
