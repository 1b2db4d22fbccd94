/* Simulated programs: as process.h promises of real ones, and what only a simulation can do. */
#include "io/process.h"
#include "io/sim.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

#define LINES_MAX 1000

static struct sim *sim;
static struct loop *loop;

struct run {
    struct process *p;
    char text[4096];
    uint32_t lines, dropped;
    bool held, ended;
    struct process_end end;
};

static void line(void *user, enum process_stream stream, struct str text, bool cut)
{
    struct run *r = user;
    size_t n = strlen(r->text);
    (void)cut;
    r->lines++;
    if (n + text.len + 4 < sizeof r->text)
        snprintf(r->text + n, sizeof r->text - n, "%c%.*s\n", stream == PROCESS_ERR ? '!' : '.',
                 (int)text.len, text.at);
}

static void dropped(void *user, uint32_t lines, bool held)
{
    struct run *r = user;
    r->dropped += lines;
    r->held |= held;
}

static void ended(void *user, const struct process_end *end)
{
    struct run *r = user;
    r->ended = true;
    r->end = *end;
}

static const struct process_ops ops = {.line = line, .dropped = dropped, .ended = ended};

static enum err start(struct run *r, const char *name)
{
    const char *argv[] = {name, "-x", NULL};
    const char *env[] = {"PORT=7000", "PORTS=1", NULL};
    struct err_text text;
    const struct process_conf conf = {
        .argv = argv, .env = env, .lines_max = LINES_MAX, .ops = &ops, .user = r};
    *r = (struct run){0};
    return process_start(loop, &conf, &r->p, &text);
}

static void open_world(void)
{
    sim = sim_make(&(struct sim_conf){.seed = 7});
    sim_loops(sim, 1, &loop);
}

static void run_until_ended(const struct run *r)
{
    assert_true(sim_run_while_not(sim, &r->ended, UINT64_C(60000000)));
}

/* ---- a program that prints and ends ---- */

static void told_main(struct sim_program *g)
{
    char text[100];
    snprintf(text, sizeof text, "%s %s %s %d\n", sim_program_argv(g)[0], sim_program_argv(g)[1],
             sim_program_env(g, "PORT"), sim_program_env(g, "POR") == NULL);
    assert_true(sim_program_print(g, false, text));
    assert_true(sim_program_print(g, true, "no newline"));
    sim_program_uses(g, 5 << 20, 1234);
    sim_program_exit(g, 4);
}

static const struct sim_program_ops told_ops = {.main = told_main};

static void test_prints_and_ends(void **state)
{
    struct run r;
    (void)state;
    open_world();
    sim_program_add(sim, "told", &told_ops);
    assert_int_equal(start(&r, "nobody"), ERR_NOT_FOUND);
    assert_int_equal(start(&r, "told"), ERR_OK);
    assert_int_equal(sim_programs(sim), 1);
    run_until_ended(&r);
    assert_string_equal(r.text, ".told -x 7000 1\n!no newline\n");
    assert_false(r.end.signalled);
    assert_int_equal(r.end.status, 4);
    assert_int_equal(r.end.cpu_us, 1234);
    assert_int_equal(r.end.resident_max_bytes, 5 << 20);
    assert_true(r.end.lived_us > 0);
    assert_int_equal(sim_programs(sim), 0);
    sim_free(sim);
}

/* ---- a program that listens ---- */

struct echo {
    struct listener *l;
    struct pipe *pipe;
    uint8_t in[64];
};

static void *echo_space(void *user, size_t *cap)
{
    struct echo *e = user;
    *cap = sizeof e->in;
    return e->in;
}

static void echo_received(void *user, size_t n)
{
    struct echo *e = user;
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, e->in, n);
    if (n)
        pipe_send(e->pipe, &q);
}

static void echo_closed(void *user, enum err why)
{
    (void)why;
    ((struct echo *)user)->pipe = NULL;
}

static const struct pipe_user_ops echo_user_ops = {
    .space = echo_space, .received = echo_received, .closed = echo_closed};

static bool echo_accept(void *arg, struct loop *at, struct pipe *pipe)
{
    struct echo *e = arg;
    (void)at;
    e->pipe = pipe;
    pipe->user_ops = &echo_user_ops;
    pipe->user = e;
    return true;
}

static void echo_main(struct sim_program *g)
{
    struct echo *e = calloc(1, sizeof *e);
    struct loop *own = sim_program_loop(g);
    char bind[64];
    snprintf(bind, sizeof bind, "127.0.0.1:%s", sim_program_env(g, "PORT"));
    *sim_program_user(g) = e;
    const struct listen_conf conf = {.bind = bind, .accept = echo_accept, .arg = e};
    if (loop_listen(&own, 1, &conf, &e->l, NULL))
        sim_program_exit(g, 98);
}

static void echo_gone(struct sim_program *g)
{
    free(*sim_program_user(g));
}

static const struct sim_program_ops echo_ops = {.main = echo_main, .gone = echo_gone};

/* The starter's end of a connection to it. */
struct talk {
    uint8_t in[64];
    size_t n;
    bool got, closed;
};

static void *talk_space(void *user, size_t *cap)
{
    struct talk *t = user;
    *cap = sizeof t->in - t->n;
    return t->in + t->n;
}

static void talk_received(void *user, size_t n)
{
    struct talk *t = user;
    t->n += n;
    t->got = t->n > 0;
}

static void talk_closed(void *user, enum err why)
{
    (void)why;
    ((struct talk *)user)->closed = true;
}

static const struct pipe_user_ops talk_ops = {
    .space = talk_space, .received = talk_received, .closed = talk_closed};

static bool talk_once(struct talk *t)
{
    struct pipe *pipe;
    struct chunkq q;
    *t = (struct talk){0};
    assert_int_equal(loop_connect(loop, "127.0.0.1:7000", &talk_ops, t, &pipe), ERR_OK);
    chunkq_init(&q);
    chunkq_add_copy(&q, "hi", 2);
    pipe_send(pipe, &q);
    const bool *until = &t->got;
    while (!t->got && !t->closed)
        assert_true(sim_step(sim));
    return *until;
}

static void test_listens_until_killed(void **state)
{
    struct run r;
    struct talk t;
    (void)state;
    open_world();
    sim_program_add(sim, "echo", &echo_ops);
    assert_int_equal(start(&r, "echo"), ERR_OK);
    assert_false(talk_once(&t)); /* it does not listen yet */
    sim_run_until(sim, sim_mono_us(sim) + 10000);
    assert_true(talk_once(&t));
    assert_memory_equal(t.in, "hi", 2);
    process_signal(r.p, SIGKILL);
    run_until_ended(&r);
    assert_true(r.end.signalled);
    assert_int_equal(r.end.status, SIGKILL);
    while (!t.closed)
        assert_true(sim_step(sim));
    assert_false(talk_once(&t));
    /* Its port is free again. */
    assert_int_equal(start(&r, "echo"), ERR_OK);
    sim_run_until(sim, sim_mono_us(sim) + 10000);
    assert_true(talk_once(&t));
    sim_free(sim);
}

/* A kill of weir, and a power cut, end what it started. */
static void test_dies_with_its_starter(void **state)
{
    struct run r;
    (void)state;
    for (unsigned cut = 0; cut < 2; cut++) {
        open_world();
        sim_program_add(sim, "echo", &echo_ops);
        assert_int_equal(start(&r, "echo"), ERR_OK);
        sim_run_until(sim, sim_mono_us(sim) + 10000);
        assert_int_equal(sim_programs(sim), 1);
        if (cut)
            sim_power_cut(sim);
        else
            sim_kill(sim);
        assert_int_equal(sim_programs(sim), 0);
        sim_loops(sim, 1, &loop);
        assert_int_equal(start(&r, "echo"), ERR_OK);
        sim_run_until(sim, sim_mono_us(sim) + 10000);
        assert_int_equal(sim_programs(sim), 1);
        sim_free(sim);
    }
}

/* ---- signals ---- */

static void polite_main(struct sim_program *g)
{
    (void)g;
}

static void polite_signal(struct sim_program *g, int signo)
{
    char text[32];
    snprintf(text, sizeof text, "signal %d\n", signo);
    sim_program_print(g, false, text);
    if (signo == SIGTERM)
        sim_program_exit(g, 0);
}

static const struct sim_program_ops polite_ops = {.main = polite_main, .signal = polite_signal};
static const struct sim_program_ops deaf_ops = {.main = polite_main};

static void test_signals(void **state)
{
    struct run r;
    (void)state;
    open_world();
    sim_program_add(sim, "polite", &polite_ops);
    sim_program_add(sim, "plain", &deaf_ops);
    assert_int_equal(start(&r, "polite"), ERR_OK);
    process_signal(r.p, SIGHUP);
    sim_run_until(sim, sim_mono_us(sim) + 10000);
    process_signal(r.p, SIGTERM);
    run_until_ended(&r);
    assert_string_equal(r.text, ".signal 1\n.signal 15\n");
    assert_false(r.end.signalled);
    assert_int_equal(start(&r, "plain"), ERR_OK);
    process_signal(r.p, SIGTERM);
    run_until_ended(&r);
    assert_true(r.end.signalled);
    assert_int_equal(r.end.status, SIGTERM);
    sim_free(sim);
}

/* ---- output without end ---- */

struct flood {
    struct sim_program *g;
    struct env_timer timer;
    uint64_t printed;
};

static void flood_fire(struct env_timer *timer)
{
    struct flood *f = container_of(timer, struct flood, timer);
    while (
        sim_program_print(f->g, false, "a line of a flood, as long as lines are on the average\n"))
        f->printed++;
    env_timer_set(loop_env(sim_program_loop(f->g)), timer, 100);
}

static void flood_main(struct sim_program *g)
{
    struct flood *f = calloc(1, sizeof *f);
    *sim_program_user(g) = f;
    f->g = g;
    f->timer.fire = flood_fire;
    flood_fire(&f->timer);
}

static const struct sim_program_ops flood_ops = {.main = flood_main, .gone = echo_gone};

static void test_flood_is_held(void **state)
{
    struct run r;
    (void)state;
    open_world();
    sim_program_add(sim, "flood", &flood_ops);
    assert_int_equal(start(&r, "flood"), ERR_OK);
    sim_run_until(sim, UINT64_C(3500000));
    assert_true(r.held);
    assert_in_range(r.lines, 3 * LINES_MAX, 4 * LINES_MAX);
    assert_in_range(r.dropped, 3 * PROCESS_OUTPUT_MAX / 60, 4 * PROCESS_OUTPUT_MAX / 50);
    process_signal(r.p, SIGKILL);
    run_until_ended(&r);
    sim_free(sim);
}

/* ---- any output, in any pieces ---- */

#define MESS_BYTES 60000

static char mess[MESS_BYTES + 1];

/* Mostly short lines, some of about the limit, some far beyond it; of what lines are made of. */
static void mess_make(struct rng *rng)
{
    size_t n = 0;
    while (n < MESS_BYTES) {
        size_t len = rng_below(rng, 40);
        if (rng_one_in(rng, 20))
            len = PROCESS_LINE_MAX - 3 + rng_below(rng, 6);
        else if (rng_one_in(rng, 40))
            len = 2 * PROCESS_LINE_MAX + rng_below(rng, 5000);
        for (; len > 0 && n < MESS_BYTES; len--)
            mess[n++] = "ab \r"[rng_below(rng, 4)];
        if (n < MESS_BYTES)
            mess[n++] = '\n';
    }
    mess[MESS_BYTES] = '\0';
}

static void mess_main(struct sim_program *g)
{
    struct rng rng;
    char piece[4000];
    rng_seed(&rng, strlen(sim_program_argv(g)[1]));
    for (size_t at = 0; at < MESS_BYTES;) {
        size_t n = 1 + rng_below(&rng, sizeof piece - 1);
        n = n < MESS_BYTES - at ? n : MESS_BYTES - at;
        memcpy(piece, mess + at, n);
        piece[n] = '\0';
        assert_true(sim_program_print(g, false, piece));
        at += n;
    }
    sim_program_exit(g, 0);
}

static const struct sim_program_ops mess_ops = {.main = mess_main};

/* The lines of mess that come next: where the walk is, and whether it is amid a long one. */
static const char *mess_at;

static void expect_line(void *user, enum process_stream stream, struct str text, bool cut)
{
    struct run *r = user;
    (void)stream;
    size_t len = strcspn(mess_at, "\n");
    size_t shown = len;
    if (len > 0 && len <= PROCESS_LINE_MAX && mess_at[len - 1] == '\r')
        shown--;
    assert_int_equal(cut, len > PROCESS_LINE_MAX);
    assert_int_equal(text.len, cut ? PROCESS_LINE_MAX : shown);
    assert_memory_equal(text.at, mess_at, text.len);
    mess_at += len + (mess_at[len] == '\n');
    r->lines++;
}

static const struct process_ops expect_ops = {
    .line = expect_line, .dropped = dropped, .ended = ended};

static void test_any_output(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const char *argv[] = {"mess", "-x", NULL}, *env[] = {NULL};
        struct rng rng;
        struct run r = {0};
        open_world();
        rng_seed(&rng, seed);
        mess_make(&rng);
        mess_at = mess;
        sim_program_add(sim, "mess", &mess_ops);
        const struct process_conf conf = {
            .argv = argv, .env = env, .lines_max = UINT32_MAX, .ops = &expect_ops, .user = &r};
        assert_int_equal(process_start(loop, &conf, &r.p, NULL), ERR_OK);
        run_until_ended(&r);
        assert_int_equal(*mess_at, '\0');
        assert_true(r.lines > 10);
        sim_free(sim);
    }
}

/* ---- measuring ---- */

static bool measured_done;

static void measured(struct process_measure *m)
{
    (void)m;
    measured_done = true;
}

static void uses_main(struct sim_program *g)
{
    sim_program_uses(g, 42 << 20, 1000);
}

static const struct sim_program_ops uses_ops = {.main = uses_main};

static void test_usage(void **state)
{
    struct run r[3];
    struct process_measure m = {.done = measured};
    (void)state;
    open_world();
    sim_program_add(sim, "uses", &uses_ops);
    sim_program_add(sim, "plain", &deaf_ops);
    assert_int_equal(start(&r[0], "plain"), ERR_OK);
    assert_int_equal(start(&r[1], "uses"), ERR_OK);
    sim_run_until(sim, sim_mono_us(sim) + 10000);
    process_measure(loop, &m);
    assert_int_equal(start(&r[2], "uses"), ERR_OK); /* not measured this time */
    measured_done = false;
    assert_true(sim_run_while_not(sim, &measured_done, 1000000));
    assert_int_equal(process_usage(r[0].p)->resident_bytes, 0);
    assert_int_equal(process_usage(r[1].p)->resident_bytes, 42 << 20);
    assert_int_equal(process_usage(r[1].p)->cpu_us, 1000);
    assert_true(process_usage(r[0].p)->measured_us > 0);
    assert_int_equal(process_usage(r[2].p)->measured_us, 0);
    sim_free(sim);
}

static void test_ports_differ(void **state)
{
    uint16_t a, b;
    (void)state;
    open_world();
    assert_int_equal(process_port(loop, &a), ERR_OK);
    assert_int_equal(process_port(loop, &b), ERR_OK);
    assert_int_not_equal(a, b);
    sim_free(sim);
}

static uint64_t trace_of_a_run(void)
{
    struct run r;
    open_world();
    sim_program_add(sim, "told", &told_ops);
    assert_int_equal(start(&r, "told"), ERR_OK);
    run_until_ended(&r);
    uint64_t trace = sim_trace(sim);
    sim_free(sim);
    return trace;
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    assert_true(trace_of_a_run() == trace_of_a_run());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prints_and_ends),
        cmocka_unit_test(test_listens_until_killed),
        cmocka_unit_test(test_dies_with_its_starter),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_flood_is_held),
        cmocka_unit_test(test_any_output),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_ports_differ),
        cmocka_unit_test(test_same_seed_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
