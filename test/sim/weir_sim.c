#include "weir_sim.h"

#include "base/list.h"
#include "base/mem.h"
#include "io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MAX_US (UINT64_C(60) * 1000000)
#define STOP_MAX_US (UINT64_C(60) * 1000000)
#define CLOSE_MAX_MS (2 * LOOP_CLOSE_MAX_MS)

/* ---- words ---------------------------------------------------------------------------------- */

void weir_sim_trace(const struct weir_sim *w, const char *fmt, ...)
{
    if (!w->conf.trace)
        return;
    va_list ap;
    printf("%10" PRIu64 " ", sim_mono_us(w->sim));
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void weir_sim_fail(const struct weir_sim *w, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ", life %u, at %" PRIu64 " us: ", w->conf.seed, w->life,
            sim_mono_us(w->sim));
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    fflush(stderr);
    _exit(1);
}

uint64_t weir_sim_draw(struct weir_sim *w, uint64_t from, uint64_t to)
{
    return from + rng_below(&w->rng, to - from + 1);
}

bool weir_sim_chance(struct weir_sim *w, uint64_t one_in)
{
    return rng_one_in(&w->rng, one_in);
}

static void drop_line(const char *line, size_t len)
{
    (void)line;
    (void)len;
}

static void print_line(const char *line, size_t len)
{
    printf("           | %.*s", (int)len, line);
}

/* ---- making --------------------------------------------------------------------------------- */

void weir_sim_defaults(struct weir_sim_conf *conf, uint64_t seed)
{
    *conf = (struct weir_sim_conf){.seed = seed,
                                   .reactors = 1,
                                   .disk_bytes = UINT64_C(256) << 20,
                                   .journal_first_bytes = 64 << 10,
                                   .journal_file_bytes = 256 << 10,
                                   .journal_bytes = 4 << 20,
                                   .broker = broker_conf_default};
}

void weir_sim_make(struct weir_sim *w, const struct weir_sim_conf *conf)
{
    memset(w, 0, sizeof *w);
    w->conf = *conf;
    w->n = conf->reactors ? conf->reactors : 1;
    log_set_sink(conf->trace ? print_line : drop_line);
    rng_seed(&w->rng, conf->seed ^ UINT64_C(0x776f726b6c6f6164));
    w->sim = sim_make(&(struct sim_conf){
        .seed = conf->seed, .disk_bytes = conf->disk_bytes, .sync_us = conf->sync_us});
    sim_client_loops(w->sim, 1, &w->outside);
}

void weir_sim_free(struct weir_sim *w)
{
    if (w->alive)
        weir_sim_kill(w);
    sim_free(w->sim);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void on_failed(void *arg, enum err err, const char *what)
{
    struct weir_sim *w = arg;
    weir_sim_trace(w, "store failed: %s (%s)", what, err_name(err));
    w->err = err;
    w->ready = false;
    w->settled = true;
    for (unsigned i = 0; i < w->n; i++)
        loop_stop(w->loops[i]);
}

static unsigned reactor_of(void *arg, const struct store_log_id *id)
{
    const struct weir_sim *w = arg;
    return broker_shard_of_partition(&id->topic, (int32_t)id->partition) % w->n;
}

static bool on_accept(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct weir_sim *w = arg;
    return kafka_front_accept(w->kafka, loop_env(loop)->reactor, pipe, NULL);
}

static bool on_accept_http(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct weir_sim *w = arg;
    return http_front_accept(w->http, loop_env(loop)->reactor, pipe, NULL);
}

static void on_loaded(void *arg, enum err err)
{
    struct weir_sim *w = arg;
    struct listen_conf conf = {WEIR_SIM_ADDR, on_accept, w};
    struct listen_conf http = {WEIR_SIM_HTTP, on_accept_http, w};
    if (!err)
        err = loop_listen(w->loops, w->n, &conf, &w->listener, &w->text);
    if (!err)
        err = loop_listen(w->loops, w->n, &http, &w->http_listener, &w->text);
    http_front_set_ready(w->http, err == ERR_OK);
    w->err = err;
    w->ready = err == ERR_OK;
    w->settled = true;
}

static void on_begin(struct env_mail *mail, struct env *env)
{
    struct weir_sim *w = container_of(mail, struct weir_sim, begin);
    (void)env;
    broker_set_load(w->brokers, w->n, on_loaded, w);
}

static void open_parts(void *arg)
{
    struct weir_sim *w = arg;
    struct embedded_conf conf = {.dir = "/data",
                                 .disk = sim_disk(w->sim),
                                 .reactor_of = reactor_of,
                                 .failed = on_failed,
                                 .arg = w,
                                 .journal_first_bytes = w->conf.journal_first_bytes,
                                 .journal_file_bytes = w->conf.journal_file_bytes,
                                 .journal_bytes = w->conf.journal_bytes,
                                 .checkpoint_bytes = w->conf.checkpoint_bytes,
                                 .checkpoint_ms = w->conf.checkpoint_ms,
                                 .files_max = w->conf.files_max,
                                 .retention_ms = w->conf.retention_ms,
                                 .where = w->conf.helper_commits ? COMMIT_HELPER : COMMIT_INLINE};
    w->err = embedded_open(&conf, w->loops, w->n, w->stores, &w->embedded, &w->report, &w->text);
    if (w->err)
        return;
    struct broker_conf bc = w->conf.broker;
    bc.cluster_id = w->report.meta.cluster_id;
    bc.incarnation = w->report.meta.incarnation;
    broker_set_make(&bc, w->n, w->envs, w->stores, w->brokers);
    w->kafka = kafka_front_make(&kafka_conf_default, w->brokers, w->n);
    w->http = http_front_make(&http_conf_default, w->brokers, w->n);
    w->begin.run = on_begin;
    env_post(w->envs[0], 0, &w->begin);
}

enum weir_start weir_sim_start(struct weir_sim *w)
{
    w->life++;
    w->alive = true;
    w->ready = w->settled = false;
    w->err = ERR_OK;
    w->text.s[0] = '\0';
    w->listener = w->http_listener = NULL;
    sim_loops(w->sim, w->n, w->loops);
    for (unsigned i = 0; i < w->n; i++)
        w->envs[i] = loop_env(w->loops[i]);
    bool whole = sim_try(w->sim, open_parts, w);
    if (whole && !w->err)
        (void)sim_run_while_not(w->sim, &w->settled, START_MAX_US);
    if (sim_was_cut(w->sim)) {
        w->alive = w->ready = false;
        weir_sim_trace(w, "the power was cut during the start");
        return WEIR_WAS_CUT;
    }
    if (w->ready) {
        weir_sim_trace(w,
                       "serves: life %u, clean=%d, replayed %" PRIu64 " batches, cut %" PRIu64
                       " bytes, incarnation %" PRIu32,
                       w->life, w->report.clean, w->report.batches, w->report.cut_bytes,
                       w->report.meta.incarnation);
        return WEIR_SERVES;
    }
    if (!w->err)
        weir_sim_fail(w, "the start came to no end within a minute");
    weir_sim_trace(w, "did not start: %s: %s", err_name(w->err), w->text.s);
    weir_sim_kill(w);
    return WEIR_REFUSES;
}

/* ---- end ------------------------------------------------------------------------------------ */

void weir_sim_kill(struct weir_sim *w)
{
    weir_sim_trace(w, "kill -9");
    sim_kill(w->sim);
    w->alive = w->ready = false;
}

void weir_sim_cut(struct weir_sim *w)
{
    weir_sim_trace(w, "power cut");
    sim_power_cut(w->sim);
    w->alive = w->ready = false;
}

static void on_drain(struct env_mail *mail, struct env *env)
{
    struct weir_sim *w = container_of(mail - env->reactor, struct weir_sim, drain[0]);
    kafka_front_drain(w->kafka, env->reactor, true);
    http_front_stop(w->http, env->reactor, HTTP_DRAIN);
    http_front_stop(w->http, env->reactor, HTTP_CUT);
    http_front_stop(w->http, env->reactor, HTTP_CLOSE);
}

static void on_closed(void *arg, enum err err)
{
    struct weir_sim *w = arg;
    w->err = err;
    w->settled = true;
}

static void close_store(struct env_mail *mail, struct env *env)
{
    struct weir_sim *w = container_of(mail, struct weir_sim, begin);
    (void)env;
    embedded_close(w->embedded, on_closed, w);
}

/* Clients that read slowly have their time to take the last answer. False: the power was cut. */
static bool http_gone(struct weir_sim *w)
{
    struct http_stats h;
    for (unsigned i = 0; i < CLOSE_MAX_MS / 10; i++) {
        http_front_stats(w->http, &h);
        if (h.connections == 0)
            return true;
        if (!weir_sim_run(w, 10 * WEIR_SIM_MS))
            return false;
    }
    weir_sim_fail(w, "%u HTTP connections do not end", (unsigned)h.connections);
}

enum err weir_sim_stop(struct weir_sim *w)
{
    weir_sim_trace(w, "an ordinary stop");
    listener_close(w->listener);
    listener_close(w->http_listener);
    w->listener = w->http_listener = NULL;
    for (unsigned i = 0; i < w->n; i++) {
        w->drain[i].run = on_drain;
        env_post(w->envs[0], i, &w->drain[i]);
    }
    w->ready = false;
    if (!weir_sim_run(w, 20 * WEIR_SIM_MS))
        return ERR_CLOSED;
    w->settled = false;
    w->begin.run = close_store;
    env_post(w->envs[0], 0, &w->begin);
    (void)sim_run_while_not(w->sim, &w->settled, STOP_MAX_US);
    if (sim_was_cut(w->sim)) {
        w->alive = false;
        return ERR_CLOSED;
    }
    if (!w->settled)
        weir_sim_fail(w, "the stop came to no end within a minute");
    enum err err = w->err;
    if (!http_gone(w))
        return ERR_CLOSED;
    kafka_front_free(w->kafka);
    http_front_free(w->http);
    broker_set_free(w->brokers, w->n);
    embedded_free(w->embedded);
    sim_kill(w->sim);
    w->alive = false;
    return err;
}

/* ---- time ----------------------------------------------------------------------------------- */

/* False: this life is over. */
static bool still_alive(struct weir_sim *w)
{
    if (sim_was_cut(w->sim)) {
        weir_sim_trace(w, "the power was cut inside of a disk call");
        w->alive = w->ready = false;
    } else if (w->err) {
        weir_sim_kill(w);
    }
    return w->alive;
}

bool weir_sim_run(struct weir_sim *w, uint64_t us)
{
    w->settled = false;
    sim_run_until(w->sim, sim_mono_us(w->sim) + us);
    return still_alive(w);
}

bool weir_sim_run_until(struct weir_sim *w, const bool *flag, uint64_t us)
{
    uint64_t until = sim_mono_us(w->sim) + us;
    while (!*flag && sim_mono_us(w->sim) < until) {
        if (w->err || !sim_run_while_not(w->sim, flag, until - sim_mono_us(w->sim)))
            break;
    }
    return still_alive(w) && *flag;
}
