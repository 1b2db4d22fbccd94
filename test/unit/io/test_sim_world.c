#include "io/sim.h"

#include "base/mem.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

/* A small durable server and a client that retries, in one machine and beside it.
 *
 * The client sends numbers, one byte each, and waits for each to come back. The server appends the
 * byte to its file, syncs at the end of the turn, then answers. So a number that came back must be
 * in the file after any power cut. */

struct server {
    struct loop *loop;
    struct loop_hook hook;
    struct listener *listener;
    struct pipe *pipe;
    struct disk_file *f;
    uint64_t end;
    uint8_t in[4096];
    uint8_t owed[4096]; /* answers that wait for the sync */
    size_t owed_count;
};

struct client {
    struct loop *loop;
    struct pipe *pipe;
    struct env_timer retry;
    uint8_t in[64];
    unsigned acked; /* numbers that came back */
    unsigned wanted;
    unsigned connects, losses;
    bool done;
};

static struct sim *sim;

static void send_bytes(struct pipe *p, const void *bytes, size_t n)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, bytes, n);
    pipe_send(p, &q);
}

static void *server_space(void *user, size_t *cap)
{
    struct server *s = user;
    *cap = sizeof(s->in);
    return s->in;
}

static void server_received(void *user, size_t n)
{
    struct server *s = user;
    if (n == 0) {
        pipe_close(s->pipe);
        return;
    }
    assert_int_equal(disk_write(s->f, s->in, n, s->end), ERR_OK);
    s->end += n;
    assert_true(s->owed_count + n <= sizeof(s->owed));
    memcpy(s->owed + s->owed_count, s->in, n);
    s->owed_count += n;
}

static void server_closed(void *user, enum err why)
{
    (void)why;
    ((struct server *)user)->pipe = NULL;
}

static const struct pipe_user_ops server_ops = {
    .space = server_space, .received = server_received, .closed = server_closed};

static bool server_accept(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct server *s = arg;
    (void)loop;
    if (s->pipe)
        return false;
    s->pipe = pipe;
    pipe->user_ops = &server_ops;
    pipe->user = s;
    return true;
}

static void server_turn_end(struct loop_hook *hook)
{
    struct server *s = container_of(hook, struct server, hook);
    if (s->owed_count == 0)
        return;
    assert_int_equal(disk_sync(s->f), ERR_OK);
    if (s->pipe)
        send_bytes(s->pipe, s->owed, s->owed_count);
    s->owed_count = 0;
}

/* Starts the server on what the disk holds; disk calls may be cut. */
static void server_start(void *arg)
{
    struct server *s = arg;
    struct disk *disk = sim_disk(sim);
    assert_int_equal(disk_open(disk, "/log", DISK_READ | DISK_WRITE | DISK_CREATE, &s->f), ERR_OK);
    assert_int_equal(disk_size(s->f, &s->end), ERR_OK);
    assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
    sim_loops(sim, 1, &s->loop);
    s->hook.run = server_turn_end;
    loop_hook_add(s->loop, &s->hook);
    const struct listen_conf conf = {.bind = "0.0.0.0:9092", .accept = server_accept, .arg = s};
    assert_int_equal(loop_listen(&s->loop, 1, &conf, &s->listener, NULL), ERR_OK);
}

static void *client_space(void *user, size_t *cap)
{
    struct client *c = user;
    *cap = sizeof(c->in);
    return c->in;
}

static void client_send(struct client *c)
{
    uint8_t number = (uint8_t)(c->acked + 1);
    send_bytes(c->pipe, &number, 1);
}

static void client_received(void *user, size_t n)
{
    struct client *c = user;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(c->in[i], (uint8_t)(c->acked + 1));
        c->acked++;
    }
    c->done = c->acked >= c->wanted;
    if (n == 0 || c->done)
        pipe_close(c->pipe);
    else
        client_send(c);
}

static void client_closed(void *user, enum err why)
{
    struct client *c = user;
    (void)why;
    c->pipe = NULL;
    c->losses++;
    if (!c->done)
        env_timer_set(loop_env(c->loop), &c->retry, 1000);
}

static const struct pipe_user_ops client_ops = {
    .space = client_space, .received = client_received, .closed = client_closed};

static void client_connect(struct env_timer *timer)
{
    struct client *c = container_of(timer, struct client, retry);
    c->connects++;
    assert_int_equal(loop_connect(c->loop, "10.0.0.1:9092", &client_ops, c, &c->pipe), ERR_OK);
    client_send(c);
}

static void client_start(struct client *c, unsigned wanted)
{
    *c = (struct client){.wanted = wanted, .retry.fire = client_connect};
    sim_client_loops(sim, 1, &c->loop);
    env_timer_set(loop_env(c->loop), &c->retry, 0);
}

/* Every acknowledged number is in the file, in order; retries may have stored one twice. */
static void check_log(unsigned acked)
{
    struct disk_file *f;
    enum err e = disk_open(sim_disk(sim), "/log", DISK_READ, &f);
    if (e == ERR_NOT_FOUND && acked == 0)
        return;
    assert_int_equal(e, ERR_OK);
    uint8_t bytes[4096];
    size_t n;
    assert_int_equal(disk_read(f, bytes, sizeof(bytes), 0, &n), ERR_OK);
    unsigned next = 1;
    for (size_t i = 0; i < n && next <= acked; i++)
        next += bytes[i] == (uint8_t)next;
    assert_int_equal(next, acked + 1);
    disk_close(f);
}

static struct server *server_make(void)
{
    /* One a life: what a dead server held stays as it was. */
    static struct server servers[64];
    static unsigned turn;
    struct server *s = &servers[turn++ % 64];
    *s = (struct server){0};
    return s;
}

/* Lives with a power cut after `cut_after` calls each, until the client has what it wants. */
static uint64_t run_lives(uint64_t seed, uint32_t cut_after, unsigned *cuts)
{
    struct client c;
    sim = sim_make(&(struct sim_conf){.seed = seed, .disk_bytes = 1 << 20});
    client_start(&c, 20);
    *cuts = 0;
    while (!c.done) {
        struct server *s = server_make();
        sim_disk_set_faults(sim, &(struct sim_disk_faults){.cut_after = cut_after});
        bool lives = sim_try(sim, server_start, s);
        if (lives)
            sim_run_while_not(sim, &c.done, 1000000);
        if (sim_was_cut(sim))
            ++*cuts;
        check_log(c.acked);
        disk_close(s->f);
    }
    uint64_t trace = sim_trace(sim) ^ sim_mono_us(sim);
    assert_int_equal(c.acked, 20);
    sim_free(sim);
    return trace;
}

static void test_acked_survives_power_cuts(void **state)
{
    (void)state;
    unsigned all = 0;
    for (uint32_t cut_after = 4; cut_after < 24; cut_after++) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            unsigned cuts;
            run_lives(seed, cut_after, &cuts);
            all += cuts;
        }
    }
    assert_true(all > 200);
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned cuts, again, other;
        uint64_t trace = run_lives(seed, 7, &cuts);
        assert_true(run_lives(seed, 7, &again) == trace);
        assert_int_equal(cuts, again);
        assert_true(run_lives(seed + 100, 7, &other) != trace);
    }
}

static void test_kill(void **state)
{
    (void)state;
    struct client c;
    sim = sim_make(&(struct sim_conf){.seed = 5});
    client_start(&c, 100);
    for (unsigned life = 0; !c.done; life++) {
        struct server *s = server_make();
        server_start(s);
        sim_run_while_not(sim, &c.done, 3000);
        disk_close(s->f);
        sim_kill(sim);
        assert_int_equal(disk_open(sim_disk(sim), "/log", DISK_READ, &s->f), ERR_OK);
        disk_close(s->f);
        check_log(c.acked);
        assert_true(life < 100);
    }
    assert_true(c.connects > 3);
    sim_free(sim);
}

/* Resets, delays and short deliveries: the client gets through, in order. */
static void test_bad_network(void **state)
{
    (void)state;
    struct client c;
    sim = sim_make(&(struct sim_conf){.seed = 6});
    const struct sim_net_faults faults = {
        .delay_max_us = 5000, .cut_one_in = 10, .short_one_in = 2};
    sim_net_set_faults(sim, &faults);
    struct server *s = server_make();
    server_start(s);
    client_start(&c, 200);
    assert_true(sim_run_while_not(sim, &c.done, 60000000));
    assert_true(c.losses > 10);
    check_log(c.acked);
    disk_close(s->f);
    sim_free(sim);
}

/* Bytes that were sent at once, each in a delivery of its own: of a connection that breaks on the
 * way a beginning arrives, without a gap. */

static uint8_t flood_in[64];
static unsigned flood_got;
static bool flood_over;

static void *flood_space(void *user, size_t *cap)
{
    (void)user;
    *cap = sizeof(flood_in);
    return flood_in;
}

static void flood_received(void *user, size_t n)
{
    (void)user;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(flood_in[i], (uint8_t)flood_got++);
}

static void flood_closed(void *user, enum err why)
{
    (void)user;
    (void)why;
    flood_over = true;
}

static const struct pipe_user_ops flood_ops = {
    .space = flood_space, .received = flood_received, .closed = flood_closed};

static bool flood_accept(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)arg;
    (void)loop;
    pipe->user_ops = &flood_ops;
    return true;
}

static const struct pipe_user_ops quiet_ops = {
    .space = flood_space, .received = flood_received, .closed = server_closed};

static void test_broken_stream_has_no_gap(void **state)
{
    (void)state;
    unsigned broken = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct loop *inside, *outside;
        struct listener *l;
        struct pipe *pipe;
        struct server unused = {0};
        uint8_t bytes[200];
        sim = sim_make(&(struct sim_conf){.seed = seed});
        sim_net_set_faults(sim, &(struct sim_net_faults){1000, 20, 1});
        sim_loops(sim, 1, &inside);
        sim_client_loops(sim, 1, &outside);
        const struct listen_conf conf = {.bind = "0.0.0.0:9092", .accept = flood_accept};
        assert_int_equal(loop_listen(&inside, 1, &conf, &l, NULL), ERR_OK);
        assert_int_equal(loop_connect(outside, "10.0.0.1:9092", &quiet_ops, &unused, &pipe),
                         ERR_OK);
        for (unsigned i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)i;
        flood_got = 0;
        flood_over = false;
        send_bytes(pipe, bytes, sizeof(bytes));
        sim_run_until(sim, 1000000);
        assert_true(flood_over || flood_got == sizeof(bytes));
        broken += flood_got < sizeof(bytes);
        sim_free(sim);
    }
    assert_true(broken > 10 && broken < 50);
}

/* ---- time ---- */

static uint64_t fired_at;
static bool fired;

static void fire(struct env_timer *timer)
{
    (void)timer;
    fired_at = sim_mono_us(sim);
    fired = true;
}

static void test_time(void **state)
{
    (void)state;
    struct loop *loop;
    sim = sim_make(&(struct sim_conf){.seed = 1, .start_ms = 5000});
    sim_loops(sim, 1, &loop);
    struct env *env = loop_env(loop);
    assert_int_equal(env_now_ms(env), 5000);
    struct env_timer timer = {.fire = fire};
    fired = false;
    env_timer_set(env, &timer, 10 * UINT64_C(3600000000));
    sim_run_until(sim, 1000);
    assert_int_equal(sim_mono_us(sim), 1000);
    assert_false(fired);
    assert_false(sim_run_while_not(sim, &fired, 1000));
    assert_true(sim_run_while_not(sim, &fired, UINT64_MAX));
    assert_true(fired_at >= 10 * UINT64_C(3600000000));
    assert_true(fired_at < 10 * UINT64_C(3600000000) + 1000);
    assert_int_equal(env_now_ms(env), 5000 + fired_at / 1000);
    sim_wall_jump(sim, -3000);
    env_timer_set(env, &timer, 0);
    fired = false;
    assert_true(sim_run_while_not(sim, &fired, 1000));
    assert_int_equal(env_now_ms(env), 2000 + env_mono_us(env) / 1000);
    assert_false(sim_step(sim));
    sim_free(sim);
}

/* A sync takes its time from its own loop, not from the other. */

struct sync_timer {
    struct env_timer timer;
    struct disk_file *f;
    uint64_t before, after;
    uint64_t next_turn; /* when the loop had time again */
    struct env_mail mail;
    struct env *env;
};

static void next_turn(struct env_mail *mail, struct env *env)
{
    struct sync_timer *t = container_of(mail, struct sync_timer, mail);
    t->next_turn = env_mono_us(env);
    fired = t->next_turn > 0;
}

static void sync_fire(struct env_timer *timer)
{
    struct sync_timer *t = container_of(timer, struct sync_timer, timer);
    t->before = sim_mono_us(sim);
    env_post(t->env, t->env->reactor, &t->mail);
    assert_int_equal(disk_sync(t->f), ERR_OK);
    t->after = sim_mono_us(sim);
}

static void test_sync_takes_time(void **state)
{
    (void)state;
    struct loop *loops[2];
    sim = sim_make(&(struct sim_conf){.seed = 1, .sync_us = 10000});
    sim_loops(sim, 2, loops);
    struct sync_timer t = {.timer.fire = sync_fire, .mail.run = next_turn};
    assert_int_equal(disk_open(sim_disk(sim), "/a", DISK_WRITE | DISK_CREATE, &t.f), ERR_OK);
    t.env = loop_env(loops[0]);
    fired = false;
    env_timer_set(t.env, &t.timer, 100);
    struct env_timer other = {.fire = fire};
    env_timer_set(loop_env(loops[1]), &other, 200);
    sim_run_until(sim, 1000000);
    assert_true(t.after - t.before >= 5000 && t.after - t.before <= 15000);
    assert_true(t.next_turn >= t.after);
    assert_true(fired_at >= 200 && fired_at < 1000);
    disk_close(t.f);
    sim_free(sim);
}

/* ---- cuts in jobs ---- */

struct sync_job {
    struct loop_job job;
    struct disk_file *f;
    bool done;
};

static void sync_work(struct loop_job *job)
{
    struct sync_job *j = container_of(job, struct sync_job, job);
    assert_int_equal(disk_sync(j->f), ERR_OK);
}

static void sync_done(struct loop_job *job)
{
    container_of(job, struct sync_job, job)->done = true;
}

static void test_cut_in_a_job(void **state)
{
    (void)state;
    struct loop *loop;
    sim = sim_make(&(struct sim_conf){.seed = 1});
    sim_loops(sim, 1, &loop);
    struct sync_job j = {.job = {.work = sync_work, .done = sync_done}};
    assert_int_equal(disk_open(sim_disk(sim), "/a", DISK_WRITE | DISK_CREATE, &j.f), ERR_OK);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.cut_after = 2});
    loop_job_start(loop, &j.job);
    assert_true(sim_run_while_not(sim, &j.done, 1000000));
    j.done = false;
    loop_job_start(loop, &j.job);
    assert_false(sim_run_while_not(sim, &j.done, 1000000));
    assert_true(sim_was_cut(sim));
    assert_false(sim_step(sim));
    assert_false(sim_was_cut(sim) && j.done);
    disk_close(j.f);
    sim_free(sim);
}

/* Two loops that become ready at the same time do not always run in the same order. */

static unsigned first_seen;

static void see_first(struct env_mail *mail, struct env *env)
{
    (void)mail;
    if (first_seen == 0)
        first_seen = env->reactor + 1;
}

static void test_order_of_loops_is_drawn(void **state)
{
    (void)state;
    unsigned firsts[3] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct loop *loops[2];
        sim = sim_make(&(struct sim_conf){.seed = seed});
        sim_loops(sim, 2, loops);
        struct env_mail mails[2] = {{.run = see_first}, {.run = see_first}};
        first_seen = 0;
        env_post(loop_env(loops[0]), 0, &mails[0]);
        env_post(loop_env(loops[0]), 1, &mails[1]);
        sim_run_until(sim, 1000);
        firsts[first_seen]++;
        sim_free(sim);
    }
    assert_true(firsts[0] == 0 && firsts[1] > 10 && firsts[2] > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acked_survives_power_cuts),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_bad_network),
        cmocka_unit_test(test_broken_stream_has_no_gap),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_sync_takes_time),
        cmocka_unit_test(test_cut_in_a_job),
        cmocka_unit_test(test_order_of_loops_is_drawn),
    };
    return cmocka_run_group_tests_name("io/sim_world", tests, NULL, NULL);
}
