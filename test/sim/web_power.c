/* web_power: HTTP clients on a whole broker in the simulated machine, under power cuts.
 *
 *     web_power [--seeds N] [--from SEED]
 *     web_power --seed N [--trace]
 *
 * Publishers keep a few requests under way each, on a network that delays and cuts; some read their
 * answers slowly, some break off amid a request, one sends nonsense. A follower reads the topic by
 * server-sent events and resumes by the last id that it saw. The broker has several lives, each
 * ended by a power cut, kill -9, or in order. Then:
 *
 *   - every event that was answered 202 stands where Weir-Offset said, with its bytes;
 *   - the events of one connection that were answered are in the order in which they were sent;
 *   - the follower saw every offset once, in order, without a gap, over all lives, and what it saw
 *     is what is stored.
 *
 * Seeds run in child processes, since what a dead program had allocated is not freed. A failure
 * names its seed.
 */
#include "weir_sim.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUBLISHERS 4
#define UNDER_WAY_MAX 8
#define EVENTS_MAX 20000
#define LIVES 4
#define RX_BYTES ((size_t)256 << 10)
#define SECOND UINT64_C(1000000)

struct web;

/* An HTTP client's connection that comes back. */
struct user {
    struct web *web;
    struct pipe *pipe;
    struct env_timer timer;
    char rx[RX_BYTES];
    size_t rx_len;
    bool slow, stopped;
    /* a publisher: the numbers of events that are under way, in order */
    uint32_t sent[UNDER_WAY_MAX];
    unsigned under_way;
    int64_t last_offset; /* on this connection */
    /* the follower */
    char last_id[200];
    bool nonsense, follows;
};

struct web {
    struct weir_sim w;
    struct user publishers[PUBLISHERS], follower, vandal;
    uint32_t next;               /* number of the next event */
    int64_t acked[EVENTS_MAX];   /* offset of each event; -1: not answered */
    uint32_t stored[EVENTS_MAX]; /* number of the event at each offset, as the follower saw it */
    int64_t followed;            /* offsets below are seen */
    uint64_t answers, cuts;
    uint32_t limit; /* events of the lives so far: each has its share */
    bool quiet;     /* no new events */
};

static struct env *outside(struct web *web)
{
    return loop_env(web->w.outside);
}

static void user_send(struct user *u, const char *text, size_t n)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, text, n);
    (void)pipe_send(u->pipe, &q);
}

/* ---- publishers ----------------------------------------------------------------------------- */

static void publish_one(struct user *u)
{
    struct web *web = u->web;
    char text[300], body[20];
    uint32_t number = web->next++;
    weir_assert(number < EVENTS_MAX);
    int body_len = snprintf(body, sizeof body, "event %u.", number);
    int n = snprintf(text, sizeof text,
                     "POST /topics/web HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\n"
                     "ce-id: %u\r\nce-type: t\r\nce-source: /sim\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     number, body_len, body);
    web->acked[number] = -1;
    u->sent[u->under_way++] = number;
    if (weir_sim_chance(&web->w, 200)) { /* breaks off amid the request */
        user_send(u, text, (size_t)weir_sim_draw(&web->w, 1, (uint64_t)n - 1));
        pipe_close(u->pipe);
        u->stopped = true;
        return;
    }
    user_send(u, text, (size_t)n);
}

static void publish_more(struct user *u)
{
    unsigned most = 1 + (unsigned)weir_sim_draw(&u->web->w, 0, UNDER_WAY_MAX - 1);
    while (u->under_way < most && !u->stopped && !u->web->quiet && u->web->next < u->web->limit)
        publish_one(u);
}

static void take_answer(struct user *u, int status, const char *head)
{
    struct web *web = u->web;
    const char *offset = strstr(head, "Weir-Offset: ");
    web->answers++;
    if (u->nonsense)
        return;
    if (u->under_way == 0)
        weir_sim_fail(&web->w, "an answer to nothing: %s", head);
    uint32_t number = u->sent[0];
    memmove(u->sent, u->sent + 1, --u->under_way * sizeof *u->sent);
    if (status == 503)
        return;
    if (status != 202 || !offset)
        weir_sim_fail(&web->w, "event %u is answered: %s", number, head);
    web->acked[number] = strtoll(offset + 13, NULL, 10);
    if (web->acked[number] <= u->last_offset)
        weir_sim_fail(&web->w, "event %u stands at %" PRId64 ", the one before it at %" PRId64,
                      number, web->acked[number], u->last_offset);
    u->last_offset = web->acked[number];
}

/* Bytes of the first answer; 0: it is not whole. */
static size_t answer_take(struct user *u, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    const char *length = end ? memmem(p, (size_t)(end - p), "Content-Length: ", 16) : NULL;
    int status;
    if (!end)
        return 0;
    char *head = mem_strndup(p, (size_t)(end - p));
    size_t whole = (size_t)(end - p) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
    if (sscanf(head, "HTTP/1.1 %d ", &status) != 1)
        weir_sim_fail(&u->web->w, "no answer: %s", head);
    if (whole <= n)
        take_answer(u, status, head);
    mem_free(head);
    return whole <= n ? whole : 0;
}

/* ---- the follower --------------------------------------------------------------------------- */

static void follow(struct user *u)
{
    char text[400];
    int n =
        snprintf(text, sizeof text,
                 "GET /topics/web%s HTTP/1.1\r\nHost: localhost\r\n"
                 "Accept: text/event-stream\r\n%s%s%s\r\n",
                 u->last_id[0] ? "" : "?offset=earliest", u->last_id[0] ? "Last-Event-ID: " : "",
                 u->last_id, u->last_id[0] ? "\r\n" : "");
    user_send(u, text, (size_t)n);
}

static void saw(struct user *u, const char *block, size_t n)
{
    struct web *web = u->web;
    const char *offset = memmem(block, n, "\"weiroffset\":\"", 14);
    const char *data = memmem(block, n, "\"data\":\"event ", 14);
    const char *id = memmem(block, n, "\nid: ", 5);
    if (!offset)
        return; /* a heartbeat, the head, or weir.error at the end of a life */
    if (!data || !id)
        weir_sim_fail(&web->w, "an event without data or id: %.*s", (int)n, block);
    int64_t at = strtoll(offset + 14, NULL, 10);
    if (at != web->followed)
        weir_sim_fail(&web->w, "the follower sees offset %" PRId64 " after %" PRId64, at,
                      web->followed - 1);
    web->stored[web->followed++] = (uint32_t)strtoul(data + 14, NULL, 10);
    size_t len = strcspn(id + 5, "\n\r");
    snprintf(u->last_id, sizeof u->last_id, "%.*s", (int)len, id + 5);
}

/* Whole blocks of the stream; the sizes of chunks between them are no field of an event. */
static size_t stream_take(struct user *u, const char *p, size_t n)
{
    size_t done = 0;
    for (const char *end; (end = memmem(p + done, n - done, "\n\n", 2));) {
        saw(u, p + done, (size_t)(end - p) + 2 - done);
        done = (size_t)(end - p) + 2;
    }
    return done;
}

/* ---- connections ---------------------------------------------------------------------------- */

static void vandalise(struct user *u)
{
    char text[300];
    size_t n = (size_t)weir_sim_draw(&u->web->w, 1, sizeof text);
    for (size_t i = 0; i < n; i++)
        text[i] = "GET /topics/web HTTP/1.1\r\n:\x80 0a"[weir_sim_draw(&u->web->w, 0, 30)];
    user_send(u, text, n);
}

static void *user_space(void *user, size_t *cap)
{
    struct user *u = user;
    *cap = RX_BYTES - u->rx_len;
    if (u->slow && weir_sim_chance(&u->web->w, 3)) {
        env_timer_set(outside(u->web), &u->timer, weir_sim_draw(&u->web->w, 100, 20000));
        return NULL;
    }
    return *cap ? u->rx + u->rx_len : NULL;
}

static void user_received(void *user, size_t n)
{
    struct user *u = user;
    if (n == 0) {
        pipe_close(u->pipe);
        return;
    }
    u->rx_len += n;
    size_t from = 0, took;
    if (u->follows) {
        from = stream_take(u, u->rx, u->rx_len);
    } else {
        while ((took = answer_take(u, u->rx + from, u->rx_len - from)))
            from += took;
    }
    memmove(u->rx, u->rx + from, u->rx_len - from);
    u->rx_len -= from;
    if (!u->follows && !u->nonsense)
        publish_more(u);
}

static void user_closed(void *user, enum err why)
{
    struct user *u = user;
    (void)why;
    u->pipe = NULL;
    u->under_way = 0; /* what was not answered is there or not */
    env_timer_set(outside(u->web), &u->timer, weir_sim_draw(&u->web->w, 1000, 20000));
}

static const struct pipe_user_ops user_ops = {
    .space = user_space, .received = user_received, .closed = user_closed};

static void user_connect(struct user *u)
{
    enum err err = loop_connect(u->web->w.outside, WEIR_SIM_HTTP, &user_ops, u, &u->pipe);
    weir_assert(!err);
    u->rx_len = 0;
    u->last_offset = -1;
    u->stopped = false;
    if (u->follows)
        follow(u);
    else if (u->nonsense)
        vandalise(u);
    else
        publish_more(u);
}

/* Time to come back, to read on, or to go away for no reason. */
static void user_timer(struct env_timer *timer)
{
    struct user *u = container_of(timer, struct user, timer);
    if (!u->pipe)
        user_connect(u);
    else if (weir_sim_chance(&u->web->w, 20))
        pipe_abort(u->pipe, ERR_CLOSED);
    else
        pipe_resume(u->pipe);
}

static void user_start(struct web *web, struct user *u)
{
    u->web = web;
    u->timer.fire = user_timer;
    user_connect(u);
}

/* ---- one seed ------------------------------------------------------------------------------- */

static void judge(struct web *web)
{
    for (uint32_t i = 0; i < web->next; i++) {
        int64_t at = web->acked[i];
        if (at < 0)
            continue;
        if (at >= web->followed)
            weir_sim_fail(&web->w, "event %u was answered with %" PRId64 " and is not there", i,
                          at);
        if (web->stored[at] != i)
            weir_sim_fail(&web->w, "event %u was answered with %" PRId64 ", where event %u is", i,
                          at, web->stored[at]);
    }
}

static void end_life(struct web *web)
{
    struct weir_sim *w = &web->w;
    switch (weir_sim_draw(w, 0, 3)) {
    case 0:
        weir_sim_kill(w);
        break;
    case 1:
        if (weir_sim_stop(w) == ERR_OK)
            break;
        __attribute__((fallthrough));
    default:
        weir_sim_cut(w);
        web->cuts++;
    }
}

static void run_seed(uint64_t seed, bool trace)
{
    static struct web web;
    struct weir_sim_conf conf;
    weir_sim_defaults(&conf, seed);
    conf.trace = trace;
    conf.reactors = 1 + seed % 2;
    conf.helper_commits = seed % 3 == 0;
    conf.sync_us = 50 + (uint32_t)(seed % 400);
    weir_sim_make(&web.w, &conf);
    for (int life = 0; life < LIVES; life++) {
        web.limit = (uint32_t)(life + 1) * (EVENTS_MAX / LIVES);
        if (weir_sim_start(&web.w) != WEIR_SERVES)
            weir_sim_fail(&web.w, "it does not start: %s", web.w.text.s);
        if (life == 0) {
            for (int i = 0; i < PUBLISHERS; i++) {
                web.publishers[i].slow = i == 0;
                user_start(&web, &web.publishers[i]);
            }
            web.vandal.nonsense = web.follower.follows = web.follower.slow = true;
            user_start(&web, &web.vandal);
            user_start(&web, &web.follower);
        }
        web.quiet = life == LIVES - 1;
        (void)weir_sim_run(&web.w, web.quiet ? 5 * SECOND : weir_sim_draw(&web.w, 20000, 500000));
        if (!web.quiet)
            end_life(&web);
    }
    judge(&web);
    if (web.answers < 20 || web.followed < 10)
        weir_sim_fail(&web.w, "nothing happened: %" PRIu64 " answers, %" PRId64 " followed",
                      web.answers, web.followed);
    printf("seed %" PRIu64 ": %u events, %" PRIu64 " answers, %" PRId64 " stored, %" PRIu64
           " power cuts\n",
           seed, web.next, web.answers, web.followed, web.cuts);
    fflush(stdout);
}

static bool run_child(uint64_t seed, bool trace)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        run_seed(seed, trace);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    if (status)
        fprintf(stderr, "seed %" PRIu64 " FAILED, status %d\n", seed, status);
    return status == 0;
}

static uint64_t number(const char *s)
{
    char *end;
    uint64_t n = strtoull(s, &end, 10);
    if (end == s || *end) {
        fprintf(stderr, "web_power: '%s' is no number\n", s);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 150, from = 1;
    bool trace = false, good = true;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--trace")) {
            trace = true;
        } else if (i + 1 < argc && !strcmp(argv[i], "--seeds")) {
            seeds = number(argv[++i]);
        } else if (i + 1 < argc && !strcmp(argv[i], "--from")) {
            from = number(argv[++i]);
        } else if (i + 1 < argc && !strcmp(argv[i], "--seed")) {
            from = number(argv[++i]);
            seeds = 1;
        } else {
            fputs("usage: web_power [--seeds N] [--from SEED] | --seed N [--trace]\n", stderr);
            return 2;
        }
    }
    for (uint64_t seed = from; seed < from + seeds; seed++)
        good &= run_child(seed, trace);
    return good ? 0 : 1;
}
