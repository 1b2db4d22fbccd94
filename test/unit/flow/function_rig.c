#include "function_rig.h"

#include "../check.h"

#include "base/mem.h"
#include "flow/event_log.h"
#include "io/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct function_rig rig;

/* ---- documents, in place of the broker's ----------------------------------------------------- */

static struct document_watcher *watcher;
static struct function_teller *teller;
static struct document *document; /* of "f" */

const struct document *__wrap_document_ref(const struct document *d);
void __wrap_document_unref(const struct document *d);
const struct document *__wrap_broker_document_next(struct broker *b, enum document_kind kind,
                                                   const struct document *after);
void __wrap_broker_document_watch(struct broker *b, struct document_watcher *w);
void __wrap_broker_function_teller_set(struct broker *b, struct function_teller *t);

const struct document *__wrap_document_ref(const struct document *d)
{
    atomic_fetch_add(&((struct document *)(uintptr_t)d)->refs, 1);
    return d;
}

void __wrap_document_unref(const struct document *d)
{
    struct document *own = (struct document *)(uintptr_t)d;
    if (atomic_fetch_sub(&own->refs, 1) == 1)
        free(own);
}

const struct document *__wrap_broker_document_next(struct broker *b, enum document_kind kind,
                                                   const struct document *after)
{
    (void)b;
    assert_int_equal(kind, DOCUMENT_FUNCTION);
    return after ? NULL : document;
}

void __wrap_broker_document_watch(struct broker *b, struct document_watcher *w)
{
    (void)b;
    watcher = w;
}

void __wrap_broker_function_teller_set(struct broker *b, struct function_teller *t)
{
    (void)b;
    teller = t;
}

struct function_status rig_status(void)
{
    struct function_status s;
    assert_true(teller->tell(teller, STR_LIT("f"), &s));
    assert_false(teller->tell(teller, STR_LIT("g"), &s));
    assert_true(teller->tell(teller, STR_LIT("f"), &s));
    s.state = function_state_of(&s);
    return s;
}

static void document_is(struct document *now)
{
    struct document *old = document;
    document = now;
    if (watcher && (old || now))
        watcher->changed(watcher, NULL, old, now);
    if (old)
        __wrap_document_unref(old);
}

struct made {
    struct document d; /* first */
    struct str argv[1];
};

void rig_put(const char *program)
{
    struct made *m = calloc(1, sizeof *m);
    struct document *d = &m->d;
    atomic_init(&d->refs, 1);
    d->kind = DOCUMENT_FUNCTION;
    snprintf(d->name, sizeof d->name, "f");
    m->argv[0] = str_of(program);
    d->conf.function = rig.conf;
    if (program)
        d->conf.function.command = (struct spec_texts){m->argv, 1};
    document_is(d);
}

void rig_remove(void)
{
    document_is(NULL);
}

/* ---- events, in place of the log ------------------------------------------------------------- */

struct event_log *__wrap_event_log_make(const struct event_log_conf *conf);
void __wrap_event_log_free(struct event_log *log);
bool __wrap_event_log_busy(const struct event_log *log);
void __wrap_event_log_write(struct event_log *log, struct str source, struct str type,
                            struct str subject, struct str data);

struct event_log *__wrap_event_log_make(const struct event_log_conf *conf)
{
    assert_string_equal(conf->topic, "weir.functions");
    return (struct event_log *)&rig;
}

void __wrap_event_log_free(struct event_log *log)
{
    (void)log;
}

bool __wrap_event_log_busy(const struct event_log *log)
{
    (void)log;
    return false;
}

void __wrap_event_log_write(struct event_log *log, struct str source, struct str type,
                            struct str subject, struct str data)
{
    (void)log;
    assert_true(str_is(source, "/functions"));
    assert_true(str_is(subject, "f"));
    assert_true(rig.events_n < FUNCTION_RIG_EVENTS_MAX);
    size_t cap = type.len + data.len + 2;
    char *text = malloc(cap);
    snprintf(text, cap, "%.*s %.*s", (int)type.len, type.at, (int)data.len, data.at);
    rig.events[rig.events_n++] = text;
}

static bool is_of_type(const char *event, const char *type)
{
    static const char begin[] = "weir.function.";
    size_t n = strlen(type);
    return strncmp(event, begin, sizeof begin - 1) == 0 &&
           strncmp(event + sizeof begin - 1, type, n) == 0 && event[sizeof begin - 1 + n] == ' ';
}

unsigned rig_events(const char *type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < rig.events_n; i++)
        n += is_of_type(rig.events[i], type);
    return n;
}

const char *rig_event(const char *type)
{
    for (unsigned i = rig.events_n; i-- > 0;) {
        if (is_of_type(rig.events[i], type))
            return strchr(rig.events[i], ' ') + 1;
    }
    return "";
}

void rig_expect_event(const char *type, const char *contains)
{
    if (!strstr(rig_event(type), contains))
        fail_msg("%s: '%s' has no '%s'", type, rig_event(type), contains);
}

/* ---- programs -------------------------------------------------------------------------------- */

struct worker {
    struct sim_program *g;
    struct listener *l;
    struct env_timer timer;
    struct list link; /* in workers */
    unsigned number;
    uint64_t cpu_us;
};

static struct list workers;

static bool turn_away(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg, (void)loop, (void)pipe;
    return false;
}

static struct worker *worker_make(struct sim_program *g, void (*fire)(struct env_timer *timer))
{
    struct worker *w = calloc(1, sizeof *w);
    *sim_program_user(g) = w;
    w->g = g;
    w->timer.fire = fire;
    w->number = (unsigned)strtoul(sim_program_env(g, "WEIR_WORKER"), NULL, 10);
    list_push(&workers, &w->link);
    return w;
}

static void worker_gone(struct sim_program *g)
{
    struct worker *w = *sim_program_user(g);
    if (w)
        list_remove(&w->link);
    free(w);
}

static void worker_listen(struct worker *w)
{
    struct loop *own = sim_program_loop(w->g);
    char bind[64];
    snprintf(bind, sizeof bind, "127.0.0.1:%s", sim_program_env(w->g, "PORT"));
    const struct listen_conf conf = {.bind = bind, .accept = turn_away};
    assert_int_equal(loop_listen(&own, 1, &conf, &w->l, NULL), ERR_OK);
}

static void later_listen(struct env_timer *timer)
{
    worker_listen(container_of(timer, struct worker, timer));
}

static void ok_main(struct sim_program *g)
{
    static const char *const names[] = {"PATH",
                                        "HOME",
                                        "LANG",
                                        "PORT",
                                        "K_SERVICE",
                                        "K_REVISION",
                                        "K_CONFIGURATION",
                                        "WEIR_FUNCTION",
                                        "WEIR_WORKER",
                                        "WEIR_HTTP",
                                        "FUNCTIONS_CUSTOMHANDLER_PORT",
                                        "FUNCTIONS_HTTPWORKER_PORT",
                                        "FUNCTIONS_CUSTOMHANDLER_WORKER_ID",
                                        "MODE"};
    size_t n = 0;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = sim_program_env(g, names[i]);
        n += (size_t)snprintf(rig.program_env + n, sizeof rig.program_env - n, "%s=%s\n", names[i],
                              value ? value : "-");
    }
    sim_program_print(g, true, "hello\n");
    worker_listen(worker_make(g, later_listen));
}

/* Ready after a second. */
static void slow_main(struct sim_program *g)
{
    struct worker *w = worker_make(g, later_listen);
    env_timer_set(loop_env(sim_program_loop(g)), &w->timer, 1000000);
}

static void crash_main(struct sim_program *g)
{
    sim_program_print(g, true, "cannot find my \"model\"\n");
    sim_program_exit(g, 1);
}

static void never_main(struct sim_program *g)
{
    (void)g;
}

static void deaf_signal(struct sim_program *g, int signo)
{
    (void)g, (void)signo;
}

static void busy_fire(struct env_timer *timer)
{
    struct worker *w = container_of(timer, struct worker, timer);
    w->cpu_us += 100 * rig.uses_cpu_milli;
    sim_program_uses(w->g, rig.uses_bytes, w->cpu_us);
    env_timer_set(loop_env(sim_program_loop(w->g)), timer, 100000);
}

static void busy_main(struct sim_program *g)
{
    struct worker *w = worker_make(g, busy_fire);
    worker_listen(w);
    busy_fire(&w->timer);
}

static void flood_fire(struct env_timer *timer)
{
    struct worker *w = container_of(timer, struct worker, timer);
    while (sim_program_print(w->g, false, "yet another line of far too many, all of them long\n"))
        ;
    env_timer_set(loop_env(sim_program_loop(w->g)), timer, 1000);
}

static void flood_main(struct sim_program *g)
{
    struct worker *w = worker_make(g, flood_fire);
    worker_listen(w);
    flood_fire(&w->timer);
}

static const struct {
    const char *name;
    struct sim_program_ops ops;
} programs[] = {
    {"ok", {.main = ok_main, .gone = worker_gone}},
    {"good", {.main = ok_main, .gone = worker_gone}},
    {"slow", {.main = slow_main, .gone = worker_gone}},
    {"crash", {.main = crash_main}},
    {"never", {.main = never_main}},
    {"deaf", {.main = ok_main, .signal = deaf_signal, .gone = worker_gone}},
    {"busy", {.main = busy_main, .gone = worker_gone}},
    {"flood", {.main = flood_main, .gone = worker_gone}},
};

void rig_crash_program(unsigned worker)
{
    list_for (it, &workers) {
        struct worker *w = container_of(it, struct worker, link);
        if (w->number == worker) {
            sim_program_crash(w->g, SIGSEGV);
            return;
        }
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void ready(struct function_slot *slot, enum err err)
{
    struct rig_call *c = container_of(slot, struct rig_call, slot);
    assert_int_equal(c->state, CALL_WAITING);
    c->err = err;
    c->lost = false;
    c->state = err ? CALL_IDLE : CALL_OUT;
}

static void lost(struct function_slot *slot)
{
    struct rig_call *c = container_of(slot, struct rig_call, slot);
    assert_int_equal(c->state, CALL_OUT);
    assert_false(c->lost);
    c->lost = true;
}

static void take(struct function_user *user, unsigned i, int32_t partition)
{
    struct rig_call *c = &rig.calls[i];
    assert_int_equal(c->state, CALL_IDLE);
    c->slot =
        (struct function_slot){.user = user, .partition = partition, .ready = ready, .lost = lost};
    c->state = CALL_WAITING;
    function_take(&c->slot);
}

void rig_take(unsigned i, int32_t partition)
{
    take(&rig.user, i, partition);
}

void rig_take_other(unsigned i, int32_t partition)
{
    take(&rig.other, i, partition);
}

void rig_take_ready(unsigned i, int32_t partition)
{
    rig_take(i, partition);
    for (unsigned ms = 0; rig.calls[i].state == CALL_WAITING; ms++) {
        assert_true(ms < 100000);
        rig_run_ms(1);
    }
    assert_int_equal(rig.calls[i].err, ERR_OK);
}

void rig_give(unsigned i, enum function_result result)
{
    assert_int_equal(rig.calls[i].state, CALL_OUT);
    rig.calls[i].state = CALL_IDLE;
    function_give(&rig.calls[i].slot, result, 1000, 1);
}

unsigned rig_calls(enum rig_call_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FUNCTION_RIG_CALLS_MAX; i++)
        n += rig.calls[i].state == state;
    return n;
}

/* ---- world ----------------------------------------------------------------------------------- */

static void changed(struct function_user *user)
{
    if (user == &rig.user)
        rig.changed++;
    else
        rig.other_changed++;
}

static void quiet(const char *text, size_t len)
{
    (void)text, (void)len;
}

void rig_run_ms(uint64_t ms)
{
    uint64_t until = sim_mono_us(rig.sim) + ms * 1000;
    while (sim_mono_us(rig.sim) < until) {
        sim_run_until(rig.sim,
                      sim_mono_us(rig.sim) + 1000 < until ? sim_mono_us(rig.sim) + 1000 : until);
        fake_http_run(&rig.http);
    }
}

uint64_t rig_now_ms(void)
{
    return sim_mono_us(rig.sim) / 1000;
}

static void keep_stat(void *arg, const struct function_stat *stat)
{
    *(struct function_stat *)arg = *stat;
}

struct function_stat rig_stat(void)
{
    struct function_stat stat = {0};
    functions_each(rig.functions, keep_stat, &stat);
    return stat;
}

void rig_open(uint64_t seed)
{
    log_set_sink(quiet);
    rig = (struct function_rig){.sim = sim_make(&(struct sim_conf){.seed = seed})};
    list_init(&workers);
    watcher = NULL;
    document = NULL;
    sim_loops(rig.sim, 1, &rig.loop);
    fake_http_init(&rig.http);
    for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++)
        sim_program_add(rig.sim, programs[i].name, &programs[i].ops);
    rig.conf = (struct function_conf){.batch_events_max = 64,
                                      .time_ms = 30000,
                                      .workers_max = 8,
                                      .target = 100,
                                      .concurrency = 1,
                                      .idle_ms = 30000,
                                      .start_ms = 30000,
                                      .backoff_ms = 100,
                                      .backoff_max_ms = 30000,
                                      .stop_ms = 5000,
                                      .output_lines_max = 1000};
    const struct functions_conf conf = {.broker = (struct broker *)&rig,
                                        .loop = rig.loop,
                                        .commands = true,
                                        .http = &rig.http.client,
                                        .weir_http = "http://127.0.0.1:8080"};
    rig.functions = functions_make(&conf);
    functions_start(rig.functions);
    rig.user = (struct function_user){.name = STR_LIT("f"), .changed = changed};
    rig.other = rig.user;
    function_join(rig.functions, &rig.user);
    function_join(rig.functions, &rig.other);
}

void rig_close(void)
{
    functions_stop(rig.functions, false);
    rig_run_ms(1);
    for (unsigned i = 0; i < FUNCTION_RIG_CALLS_MAX; i++) {
        if (rig.calls[i].state == CALL_OUT)
            rig_give(i, FUNCTION_DONE);
    }
    assert_int_equal(rig_calls(CALL_WAITING), 0);
    for (unsigned i = 0; functions_busy(rig.functions); i++) {
        assert_true(i < 10000);
        rig_run_ms(1);
    }
    assert_int_equal(sim_programs(rig.sim), 0);
    function_leave(&rig.user);
    function_leave(&rig.other);
    functions_free(rig.functions);
    watcher = NULL;
    if (document)
        document_is(NULL);
    fake_http_free(&rig.http);
    sim_free(rig.sim);
    for (unsigned i = 0; i < rig.events_n; i++)
        free(rig.events[i]);
    log_set_sink(NULL);
}
