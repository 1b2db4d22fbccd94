#include "flow/function_log.h"

#include "base/json.h"
#include "base/mem.h"
#include "flow/function_internal.h"
#include "io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_SOURCE "/functions"
#define TYPE_BEGIN "weir.function."
#define QUOTED_MAX 512

/* ---- data ------------------------------------------------------------------------------------ */

static void put_name(struct wr *w, const char *name)
{
    wr_u8(w, w->len == 0 ? '{' : ',');
    json_write_string(w, str_of(name));
    wr_u8(w, ':');
}

static void put_text(struct wr *w, const char *name, const char *text)
{
    put_name(w, name);
    json_write_string(w, str_of(text));
}

static void put_number(struct wr *w, const char *name, uint64_t n)
{
    put_name(w, name);
    json_write_int(w, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static void begin(struct wr *w, const struct function *f)
{
    *w = (struct wr){0};
    put_text(w, "function", f->name);
}

static void tell(const struct function *f, const char *type, struct wr *w)
{
    char whole[64];
    wr_u8(w, '}');
    snprintf(whole, sizeof whole, TYPE_BEGIN "%s", type);
    if (f->all->log)
        event_log_write(f->all->log, STR_LIT(EVENT_SOURCE), str_of(whole), str_of(f->name),
                        (struct str){(const char *)w->buf->data, w->len});
    wr_free(w);
}

/* ---- functions ------------------------------------------------------------------------------- */

void function_log_scaled(const struct function *f, uint32_t from,
                         const struct function_scale_answer *a,
                         const struct function_scale_seen *seen)
{
    struct wr w;
    const char *reason = function_scale_reason(a->reason);
    env_log(f->all->env, ENV_INFO, "function.scaled",
            "function=%s from=%u to=%u reason=%s waiting=%" PRIu64 " calls=%u", f->name, from,
            a->size, reason, seen->waiting, seen->calls);
    begin(&w, f);
    put_number(&w, "from", from);
    put_number(&w, "to", a->size);
    put_text(&w, "reason", reason);
    put_number(&w, "waiting", seen->waiting);
    put_number(&w, "calls", seen->calls);
    put_number(&w, "target", (uint64_t)function_conf_of(f)->target);
    tell(f, "scaled", &w);
}

void function_log_failing(const struct function *f, bool failing)
{
    struct wr w;
    char quoted[QUOTED_MAX];
    begin(&w, f);
    put_number(&w, "failures", f->stat.failures);
    if (failing) {
        env_log(f->all->env, ENV_ERROR, "function.failing", "function=%s failures=%u error=%s",
                f->name, f->stat.failures, log_quote(quoted, sizeof quoted, f->last_error));
        put_text(&w, "error", f->last_error);
    } else {
        env_log(f->all->env, ENV_INFO, "function.recovered", "function=%s", f->name);
    }
    tell(f, failing ? "failing" : "recovered", &w);
}

/* ---- workers --------------------------------------------------------------------------------- */

void function_log_started(const struct function_worker *k)
{
    struct wr w;
    const struct function *f = k->f;
    env_log(f->all->env, ENV_INFO, "function.worker_started",
            "function=%s worker=%u pid=%" PRId64 " port=%u", f->name, k->number,
            process_id(k->process), (unsigned)k->port);
    begin(&w, f);
    put_number(&w, "worker", k->number);
    put_number(&w, "pid", (uint64_t)process_id(k->process));
    put_number(&w, "port", k->port);
    tell(f, "worker.started", &w);
}

void function_log_ready(const struct function_worker *k)
{
    struct wr w;
    const struct function *f = k->f;
    env_log(f->all->env, ENV_INFO, "function.worker_ready",
            "function=%s worker=%u took_us=%" PRIu64, f->name, k->number,
            k->ready_us - k->started_us);
    begin(&w, f);
    put_number(&w, "worker", k->number);
    put_number(&w, "tookUs", k->ready_us - k->started_us);
    tell(f, "worker.ready", &w);
}

static void put_tail(struct wr *w, const struct function_worker *k)
{
    unsigned n = k->tail_n < FUNCTION_TAIL_LINES ? k->tail_n : FUNCTION_TAIL_LINES;
    put_name(w, "output");
    wr_u8(w, '[');
    for (unsigned i = k->tail_n - n; i < k->tail_n; i++) {
        if (i > k->tail_n - n)
            wr_u8(w, ',');
        json_write_string(w, str_of(k->tail[i % FUNCTION_TAIL_LINES]));
    }
    wr_u8(w, ']');
}

static void put_life(struct wr *w, const struct function_worker *k, const struct process_end *end)
{
    put_number(w, "worker", k->number);
    put_number(w, "livedMs", end->lived_us / 1000);
    put_number(w, "cpuMs", end->cpu_us / 1000);
    put_number(w, "memoryMax", end->resident_max_bytes);
    put_number(w, "calls", k->calls);
}

static void tell_end(const struct function_worker *k, const struct process_end *end,
                     const char *how, uint64_t retry_us)
{
    char quoted[QUOTED_MAX];
    const struct function *f = k->f;
    const char *last = k->tail_n ? k->tail[(k->tail_n - 1) % FUNCTION_TAIL_LINES] : "";
    env_log(f->all->env, ENV_WARN, "function.worker_failed",
            "function=%s worker=%u how=%s %s=%d calls_lost=%u retry_ms=%" PRIu64 " last=%s",
            f->name, k->number, how, end->signalled ? "signal" : "status", end->status, k->slots_n,
            retry_us / 1000, log_quote(quoted, sizeof quoted, last));
}

void function_log_ended(const struct function_worker *k, const struct process_end *end, bool meant,
                        uint64_t retry_us)
{
    struct wr w;
    const struct function *f = k->f;
    begin(&w, f);
    put_life(&w, k, end);
    if (meant) {
        env_log(f->all->env, ENV_INFO, "function.worker_stopped",
                "function=%s worker=%u lived_ms=%" PRIu64 " calls=%" PRIu64, f->name, k->number,
                end->lived_us / 1000, k->calls);
        tell(f, "worker.stopped", &w);
        return;
    }
    put_number(&w, end->signalled ? "signal" : "status", (uint64_t)end->status);
    put_number(&w, "failures", f->stat.failures);
    put_number(&w, "retryMs", retry_us / 1000);
    if (k->killed)
        put_text(&w, "reason", function_kill_name(k->killed));
    if (k->killed == FUNCTION_KILL_MEMORY)
        put_number(&w, "memory", k->resident_bytes);
    put_tail(&w, k);
    tell_end(k, end, k->killed ? function_kill_name(k->killed) : "crash", retry_us);
    tell(f, k->killed ? "worker.killed" : "worker.crashed", &w);
}

void function_log_unstarted(const struct function *f, const char *error, uint64_t retry_us)
{
    struct wr w;
    char quoted[QUOTED_MAX];
    env_log(f->all->env, ENV_WARN, "function.worker_unstarted",
            "function=%s retry_ms=%" PRIu64 " error=%s", f->name, retry_us / 1000,
            log_quote(quoted, sizeof quoted, error));
    begin(&w, f);
    put_text(&w, "error", error);
    put_number(&w, "failures", f->stat.failures);
    put_number(&w, "retryMs", retry_us / 1000);
    tell(f, "worker.crashed", &w);
}

#define SAID_BYTES 900 /* of a line, in a line of the log */

void function_log_said(struct env *env, const char *function, unsigned worker, const char *key,
                       struct str value, struct str text)
{
    char plain[SAID_BYTES / 2 + 1], quoted[SAID_BYTES], about[TOPIC_NAME_MAX + 1];
    bool cut = !str_copy(plain, sizeof plain, text);
    str_put_plain(about, sizeof about, value.at ? value : STR_LIT("-"));
    env_log(env, ENV_INFO, "function.output", "function=%s worker=%u stream=log %s=%s text=%s%s",
            function, worker, key, about, log_quote(quoted, sizeof quoted, plain),
            cut ? " cut=true" : "");
}
