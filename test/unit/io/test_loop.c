#include "world.h"

#include "base/mem.h"
#include "io/log.h"

#include <sched.h>
#include <string.h>

/* ---- timers ---- */

struct note_timer {
    struct env_timer timer;
    char mark;
};

static char notes[64];

static void note(char mark)
{
    size_t n = strlen(notes);
    if (n + 1 < sizeof(notes)) {
        notes[n] = mark;
        notes[n + 1] = 0;
    }
}

static void note_fire(struct env_timer *timer)
{
    note(container_of(timer, struct note_timer, timer)->mark);
}

static void stop_fire(struct env_timer *timer)
{
    (void)timer;
    world_stop();
}

static void timer_at(struct note_timer *t, char mark, uint64_t delay_us)
{
    *t = (struct note_timer){.timer = {.fire = note_fire}, .mark = mark};
    env_timer_set(loop_env(world.loops[0]), &t->timer, delay_us);
}

WORLD_DEFINE(test_timers)
{
    world_make(kind, 1);
    struct env *env = loop_env(world.loops[0]);
    struct note_timer t[5];
    struct env_timer stop = {.fire = stop_fire};
    notes[0] = 0;
    timer_at(&t[0], 'd', 20000);
    timer_at(&t[1], 'b', 10000);
    timer_at(&t[2], 'c', 10000);
    timer_at(&t[3], 'a', 0);
    timer_at(&t[4], 'x', 15000);
    env_timer_set(env, &stop, 30000);
    assert_true(env_timer_armed(&t[4].timer));
    env_timer_stop(env, &t[4].timer);
    env_timer_stop(env, &t[4].timer);
    assert_false(env_timer_armed(&t[4].timer));
    env_timer_set(env, &t[3].timer, 25000);
    uint64_t begin = env_mono_us(env);
    world_run();
    assert_string_equal(notes, "bcda");
    assert_true(env_mono_us(env) - begin >= 30000);
    assert_true(env_now_ms(env) > UINT64_C(1700000000000));
    world_free();
}

struct again {
    struct env_timer timer;
    unsigned count;
    unsigned turns;
    struct loop_hook hook;
};

static void again_fire(struct env_timer *timer)
{
    struct again *a = container_of(timer, struct again, timer);
    if (++a->count == 5)
        world_stop();
    env_timer_set(loop_env(world.loops[0]), timer, 0);
}

static void again_turn(struct loop_hook *hook)
{
    container_of(hook, struct again, hook)->turns++;
}

/* A timer that arms itself again at once does not hold up its turn. */
WORLD_DEFINE(test_timer_rearmed_in_fire)
{
    world_make(kind, 1);
    struct again a = {.timer.fire = again_fire, .hook.run = again_turn};
    loop_hook_add(world.loops[0], &a.hook);
    env_timer_set(loop_env(world.loops[0]), &a.timer, 0);
    world_run();
    assert_int_equal(a.count, 5);
    assert_true(a.turns >= 4);
    world_free();
}

/* ---- hooks ---- */

struct mark_hook {
    struct loop_hook hook;
    char mark;
    struct mark_hook *removes;
};

static void mark_run(struct loop_hook *hook)
{
    struct mark_hook *h = container_of(hook, struct mark_hook, hook);
    note(h->mark);
    if (h->removes)
        loop_hook_remove(world.loops[0], &h->removes->hook);
    h->removes = NULL;
}

static void stop_hook(struct loop_hook *hook)
{
    (void)hook;
    world_stop();
}

static void nothing(struct env_timer *timer)
{
    (void)timer;
}

WORLD_DEFINE(test_hooks)
{
    world_make(kind, 1);
    struct loop *loop = world.loops[0];
    struct mark_hook h[4];
    notes[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        h[i] = (struct mark_hook){.hook.run = mark_run, .mark = (char)('a' + i)};
        loop_hook_add(loop, &h[i].hook);
    }
    h[0].removes = &h[1];
    h[2].removes = &h[2];
    struct loop_hook stop = {.run = stop_hook};
    loop_hook_add(loop, &stop);
    struct env_timer soon = {.fire = nothing};
    env_timer_set(loop_env(loop), &soon, 0);
    world_run();
    assert_string_equal(notes, "acd");
    notes[0] = 0;
    env_timer_set(loop_env(loop), &soon, 0);
    world_run();
    assert_string_equal(notes, "ad");
    world_free();
}

/* ---- mail ---- */

#define BALLS 4u
#define BOUNCES 2000u

struct ball {
    struct env_mail mail;
    unsigned bounces;
};

static atomic_uint balls_left;

static void ball_run(struct env_mail *mail, struct env *env)
{
    struct ball *b = container_of(mail, struct ball, mail);
    assert_true(loop_of(env) == world.loops[env->reactor]);
    if (++b->bounces == BOUNCES) {
        if (atomic_fetch_sub(&balls_left, 1) == 1)
            world_stop();
        return;
    }
    env_post(env, (env->reactor + 1) % env->reactors, mail);
}

WORLD_DEFINE(test_mail_between_loops)
{
    world_make(kind, 2);
    struct ball balls[BALLS];
    atomic_init(&balls_left, BALLS);
    for (unsigned i = 0; i < BALLS; i++) {
        balls[i] = (struct ball){.mail.run = ball_run};
        env_post(loop_env(world.loops[0]), i % 2, &balls[i].mail);
    }
    world_run();
    for (unsigned i = 0; i < BALLS; i++)
        assert_int_equal(balls[i].bounces, BOUNCES);
    world_free();
}

#define FLOOD 5000u

struct numbered {
    struct env_mail mail;
    unsigned number;
};

static struct numbered flood[FLOOD];
static unsigned flood_next;

static void numbered_run(struct env_mail *mail, struct env *env)
{
    struct numbered *m = container_of(mail, struct numbered, mail);
    assert_int_equal(env->reactor, 1);
    assert_int_equal(m->number, flood_next);
    if (++flood_next == FLOOD)
        world_stop();
}

static void flood_run(struct env_mail *mail, struct env *env)
{
    (void)mail;
    for (unsigned i = 0; i < FLOOD; i++) {
        flood[i] = (struct numbered){.mail.run = numbered_run, .number = i};
        env_post(env, 1, &flood[i].mail);
    }
}

WORLD_DEFINE(test_mail_order)
{
    world_make(kind, 2);
    flood_next = 0;
    struct env_mail start = {.run = flood_run};
    env_post(loop_env(world.loops[0]), 0, &start);
    world_run();
    assert_int_equal(flood_next, FLOOD);
    world_free();
}

struct own {
    struct env_mail mail;
    unsigned depth, runs;
};

static void own_run(struct env_mail *mail, struct env *env)
{
    struct own *o = container_of(mail, struct own, mail);
    assert_int_equal(o->depth, 0);
    o->depth++;
    if (++o->runs == 100)
        world_stop();
    else
        env_post(env, env->reactor, mail);
    o->depth--;
}

/* A mail to oneself never runs inside the post, and no turn waits for it. */
WORLD_DEFINE(test_mail_to_self)
{
    world_make(kind, 1);
    struct own o = {.mail.run = own_run};
    env_post(loop_env(world.loops[0]), 0, &o.mail);
    world_run();
    assert_int_equal(o.runs, 100);
    world_free();
}

/* ---- jobs ---- */

#define JOBS 50u

struct sum_job {
    struct loop_job job;
    unsigned n;
    uint64_t sum;
    pthread_t worked_on;
};

static unsigned jobs_done;

static void sum_work(struct loop_job *job)
{
    struct sum_job *s = container_of(job, struct sum_job, job);
    for (unsigned i = 1; i <= s->n; i++)
        s->sum += i;
    s->worked_on = pthread_self();
}

static void sum_done(struct loop_job *job)
{
    struct sum_job *s = container_of(job, struct sum_job, job);
    assert_int_equal(s->sum, (uint64_t)s->n * (s->n + 1) / 2);
    if (world.kind == WORLD_REAL)
        assert_false(pthread_equal(s->worked_on, pthread_self()));
    if (++jobs_done == JOBS)
        world_stop();
}

WORLD_DEFINE(test_jobs)
{
    world_make(kind, 1);
    struct sum_job jobs[JOBS];
    jobs_done = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = (struct sum_job){.job = {.work = sum_work, .done = sum_done}, .n = i * 1000};
        loop_job_start(world.loops[0], &jobs[i].job);
    }
    world_run();
    assert_int_equal(jobs_done, JOBS);
    world_free();
}

/* Jobs that wait while both threads are busy, a mail, and then the end: those that began are waited
 * for, nothing else runs, and what all of it was part of may be freed. */
struct slow_job {
    struct loop_job job;
    atomic_bool *began;
    struct env_mail mail;
};

static atomic_uint slow_ended, slow_told;

static void slow_work(struct loop_job *job)
{
    struct slow_job *s = container_of(job, struct slow_job, job);
    atomic_store(s->began, true);
    for (unsigned i = 0; i < 20; i++)
        sched_yield();
    atomic_fetch_add(&slow_ended, 1);
}

static void slow_done(struct loop_job *job)
{
    (void)job;
    atomic_fetch_add(&slow_told, 1);
}

static void slow_mail(struct env_mail *mail, struct env *env)
{
    (void)mail;
    (void)env;
    atomic_fetch_add(&slow_told, 1);
}

WORLD_DEFINE(test_quiet)
{
    world_make(kind, 2);
    atomic_bool began[JOBS] = {false};
    struct slow_job *jobs = mem_zalloc(JOBS, sizeof(*jobs));
    atomic_store(&slow_ended, 0);
    atomic_store(&slow_told, 0);
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = (struct slow_job){.job = {.work = slow_work, .done = slow_done},
                                    .began = &began[i],
                                    .mail.run = slow_mail};
        loop_job_start(world.loops[i % 2], &jobs[i].job);
        env_post(loop_env(world.loops[0]), i % 2, &jobs[i].mail);
    }
    while (kind == WORLD_REAL && !atomic_load(&began[0]))
        sched_yield();
    loop_set_quiet(2, world.loops);
    mem_free(jobs);
    unsigned n = 0;
    for (unsigned i = 0; i < JOBS; i++)
        n += atomic_load(&began[i]);
    assert_int_equal(atomic_load(&slow_ended), n);
    assert_int_equal(atomic_load(&slow_told), 0);
    world_free();
}

/* ---- the rest ---- */

WORLD_DEFINE(test_random)
{
    world_make(kind, 1);
    uint8_t a[64] = {0}, b[64] = {0};
    env_random(loop_env(world.loops[0]), a, sizeof(a));
    env_random(loop_env(world.loops[0]), b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    world_free();
}

static char logged[256];

static void keep_line(const char *line, size_t len)
{
    snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
}

WORLD_DEFINE(test_log)
{
    world_make(kind, 1);
    log_set_sink(keep_line);
    env_log(loop_env(world.loops[0]), ENV_WARN, "a.b", "n=%d", 7);
    log_set_sink(NULL);
    assert_non_null(strstr(logged, "Z WARN a.b n=7\n"));
    if (kind == WORLD_SIM)
        assert_non_null(strstr(logged, "2026-01-01T00:00:00.000Z"));
    world_free();
}

static void on_signal(void *arg, int signo)
{
    assert_int_equal(signo, SIGUSR1);
    ++*(unsigned *)arg;
    world_stop();
}

WORLD_DEFINE(test_signal)
{
    world_make(kind, 1);
    unsigned seen = 0;
    assert_int_equal(loop_on_signal(world.loops[0], SIGUSR1, on_signal, &seen), ERR_OK);
    if (kind == WORLD_SIM)
        sim_signal(world.loops[0], SIGUSR1);
    else
        kill(getpid(), SIGUSR1);
    world_run();
    assert_int_equal(seen, 1);
    world_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_timers),     WORLD_TEST(test_timer_rearmed_in_fire),
        WORLD_TEST(test_hooks),      WORLD_TEST(test_mail_between_loops),
        WORLD_TEST(test_mail_order), WORLD_TEST(test_mail_to_self),
        WORLD_TEST(test_jobs),       WORLD_TEST(test_quiet),
        WORLD_TEST(test_random),     WORLD_TEST(test_log),
        WORLD_TEST(test_signal),
    };
    return cmocka_run_group_tests_name("io/loop", tests, NULL, NULL);
}
