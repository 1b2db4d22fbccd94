/* kill_sessions: sessions over kill -9, on the real disk.
 *
 *     kill_sessions [--kills N] [--seed N]
 *
 * A process (session_process.c) publishes to sessions and receives from them until it is killed;
 * then another one goes on with the same folder. What it tells of its requests is checked here:
 *
 *   - a session is one receiver's until that leaves it or its lock is over, over kill -9 too;
 *   - its messages come in order: none before the ones in front of it are settled, or held by the
 *     same receiver;
 *   - what was accepted does not come back, what was not is there at the end;
 *   - counts rise by one; one that nobody saw belongs to a receive that a kill cut off;
 *   - tokens are good until the lock is over, in the next process too;
 *   - the session's state is what was last set.
 */
#include "session_note.h"

#include "base/random.h"
#include "io/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 20
#define NOTES_MIN 200 /* of a life */
#define NOTES_MAX 2000
#define DRAIN_US (UINT64_C(60) * 1000000)
#define LOCK_US (LOCK_MS * UINT64_C(1000))
#define ROUNDING_US 5000 /* weir counts whole milliseconds; a restart takes the wall clock's */

enum trying { TRY_NOTHING, TRY_ACCEPT, TRY_RELEASE };

struct known {
    bool sent, seen, settled;
    bool doubtful; /* an accept was cut off by a kill */
    bool held;     /* by `hold` */
    enum trying trying;
    uint32_t deliveries;
    uint32_t lost_at; /* takes that were cut off, when it was seen last */
    uint32_t hold;
    struct lock_token token;
};

struct session {
    struct known m[NUMBERS_MAX];
    uint32_t sending;  /* the last one that was published */
    uint32_t settled;  /* all up to here are, or were never stored */
    uint32_t highest;  /* that was seen */
    uint32_t hold;     /* counts them */
    uint32_t receiver; /* whose hold it is */
    uint32_t life;
    uint64_t begun_us; /* its lock, not before */
    bool left;
    uint32_t state, state_maybe, state_trying; /* 0: none */
};

static struct session sessions[SESSIONS];
static struct {
    bool asks;
    uint32_t session; /* that it asks for by name */
    uint64_t at_us;
} takes[RECEIVERS];
static uint32_t life, lost_takes;
static uint64_t seed, deliveries_n, settled_n, former_n;

static _Noreturn void fail(const struct note *n, const char *what)
{
    const struct session *s = &sessions[n->session % SESSIONS];
    fprintf(stderr,
            "seed %" PRIu64 ", life %u, at %" PRIu64 " us: %s: receiver %u, session %u, message %u,"
            " delivery %u, %s; hold %u of receiver %u since %" PRIu64 " us\n",
            seed, life, n->at_us, what, n->receiver, n->session, n->number, n->deliveries,
            err_name(n->err), s->hold, s->receiver, s->begun_us);
    exit(1);
}

static void check(bool right, const struct note *n, const char *what)
{
    if (!right)
        fail(n, what);
}

static bool lock_over(const struct session *s, uint64_t at_us)
{
    return at_us + ROUNDING_US >= s->begun_us + LOCK_US;
}

/* ---- publishing ---- */

static void on_send(struct session *s, const struct note *n)
{
    s->sending = n->number;
}

static void on_sent(struct session *s, const struct note *n)
{
    check(n->err == ERR_OK, n, "not published");
    s->m[n->number].sent = true;
}

/* ---- receiving ---- */

static void on_take(const struct note *n)
{
    takes[n->receiver].asks = true;
    takes[n->receiver].session = n->session;
    takes[n->receiver].at_us = n->at_us;
}

static void on_taken(struct session *s, const struct note *n)
{
    bool goes_on = takes[n->receiver].session == n->session && s->receiver == n->receiver &&
                   s->life == life && !s->left;
    if (!goes_on) {
        check(s->hold == 0 || s->left || lock_over(s, n->at_us), n, "two hold the session");
        s->hold++;
        s->receiver = n->receiver;
        s->life = life;
        s->left = false;
    }
    s->begun_us = takes[n->receiver].at_us;
}

/* What stands before it is done, or with the same receiver. */
static void check_order(const struct session *s, const struct note *n)
{
    for (uint32_t i = s->settled + 1; i < n->number; i++) {
        const struct known *m = &s->m[i];
        bool unknown = !m->sent && !m->seen;
        if (m->settled || m->doubtful || unknown || (m->held && m->hold == s->hold))
            continue;
        fprintf(stderr, "message %u: seen %d, held %d by hold %u, trying %d, delivery %u\n", i,
                m->seen, m->held, m->hold, (int)m->trying, m->deliveries);
        fail(n, "before one that was to come first");
    }
}

static void check_count(const struct known *m, const struct note *n)
{
    check(n->deliveries > m->deliveries, n, "the count went down");
    check(n->deliveries - m->deliveries - 1 <= lost_takes - m->lost_at, n, "counts are left out");
}

static void on_message(struct session *s, const struct note *n)
{
    struct known *m = &s->m[n->number];
    check(n->number > 0 && n->number <= s->sending, n, "never published");
    check(!m->settled, n, "it came back");
    check(m->seen || n->number > s->highest, n, "later than one that stands behind it");
    check_order(s, n);
    check_count(m, n);
    m->seen = m->held = true;
    m->doubtful = false;
    m->hold = s->hold;
    m->token = n->token;
    m->deliveries = n->deliveries;
    m->lost_at = lost_takes;
    if (n->number > s->highest)
        s->highest = n->number;
    deliveries_n++;
}

/* ---- settling ---- */

static void on_settle(struct session *s, const struct note *n)
{
    s->m[n->number].trying = n->verb == SETTLE_ACCEPT ? TRY_ACCEPT : TRY_RELEASE;
}

static bool is_former(const struct session *s, const struct note *n)
{
    const struct known *m = &s->m[n->number];
    return memcmp(&m->token, &n->token, sizeof(m->token)) != 0 || m->hold != s->hold;
}

static void settle_taken(struct session *s, const struct note *n)
{
    struct known *m = &s->m[n->number];
    check(!m->settled, n, "settled twice");
    check(memcmp(&m->token, &n->token, sizeof(m->token)) == 0, n, "a former token was taken");
    m->held = false;
    if (n->verb != SETTLE_ACCEPT)
        return;
    m->settled = true;
    settled_n++;
    former_n += n->receiver == RECEIVERS;
    while (s->settled < s->sending && s->m[s->settled + 1].settled)
        s->settled++;
}

static void on_settled(struct session *s, const struct note *n)
{
    struct known *m = &s->m[n->number];
    m->trying = TRY_NOTHING;
    if (n->err == ERR_OK) {
        settle_taken(s, n);
        return;
    }
    bool over = is_former(s, n) || lock_over(s, n->at_us);
    check(n->err == ERR_LOCK_LOST, n, "not settled");
    check(over || m->doubtful, n, "a good token was refused");
    if (!over) /* the accept that was cut off was durable */
        m->settled = true;
}

/* ---- the session ---- */

static void on_state(struct session *s, const struct note *n)
{
    check(n->number == s->state || (s->state_maybe != 0 && n->number == s->state_maybe), n,
          "not the state that was set");
    s->state = n->number;
    s->state_maybe = 0;
}

/* The lock ran out; somebody else may have it by now. */
static bool is_lost(enum err err)
{
    return err == ERR_LOCK_LOST || err == ERR_SESSION_LOCKED;
}

static void on_was_set(struct session *s, const struct note *n)
{
    check(n->err == ERR_OK || (is_lost(n->err) && lock_over(s, n->at_us)), n, "not set");
    if (n->err == ERR_OK)
        s->state = n->number;
    s->state_trying = 0;
}

static void on_left(struct session *s, const struct note *n)
{
    check(n->err == ERR_OK || (is_lost(n->err) && lock_over(s, n->at_us)), n, "not left");
}

static void on_leave(struct session *s, const struct note *n)
{
    if (s->receiver == n->receiver && s->life == life)
        s->left = true;
}

static void on_note(const struct note *n)
{
    struct session *s = n->session < SESSIONS ? &sessions[n->session] : NULL;
    switch (n->kind) {
    case NOTE_SEND:
        on_send(s, n);
        break;
    case NOTE_SENT:
        on_sent(s, n);
        break;
    case NOTE_TAKE:
        on_take(n);
        break;
    case NOTE_TAKEN:
        takes[n->receiver].asks = false;
        if (s != NULL)
            on_taken(s, n);
        break;
    case NOTE_MESSAGE:
        on_message(s, n);
        break;
    case NOTE_STATE:
        on_state(s, n);
        break;
    case NOTE_SETTLE:
        on_settle(s, n);
        break;
    case NOTE_SETTLED:
        on_settled(s, n);
        break;
    case NOTE_SET:
        s->state_trying = n->number;
        break;
    case NOTE_WAS_SET:
        on_was_set(s, n);
        break;
    case NOTE_LEAVE:
        on_leave(s, n);
        break;
    case NOTE_LEFT:
        on_left(s, n);
        break;
    }
}

/* ---- lives ---- */

/* What was under way when it was killed: may have happened, or not. */
static void cut_off(void)
{
    for (unsigned i = 0; i < RECEIVERS; i++) {
        lost_takes += takes[i].asks;
        takes[i].asks = false;
    }
    for (unsigned k = 0; k < SESSIONS; k++) {
        struct session *s = &sessions[k];
        if (s->state_trying != 0)
            s->state_maybe = s->state_trying;
        s->state_trying = 0;
        for (uint32_t i = s->settled + 1; i <= s->sending; i++) {
            struct known *m = &s->m[i];
            m->doubtful |= m->trying == TRY_ACCEPT;
            m->held &= m->trying != TRY_RELEASE;
            m->trying = TRY_NOTHING;
        }
    }
}

static void give_held(struct session_life *l)
{
    l->held_n = 0;
    for (uint32_t k = 0; k < SESSIONS; k++) {
        const struct session *s = &sessions[k];
        l->next_number[k] = s->sending + 1;
        for (uint32_t i = s->settled + 1; i <= s->highest && l->held_n < HELD_MAX; i++) {
            const struct known *m = &s->m[i];
            if (m->held && m->hold == s->hold && !s->left)
                l->held[l->held_n++] = (struct note){.session = k, .number = i, .token = m->token};
        }
    }
}

static pid_t start(struct session_life *l, int *in)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        l->out = ends[1];
        session_process(l);
    }
    close(ends[1]);
    *in = ends[0];
    return pid;
}

static bool read_note(int in, struct note *n)
{
    size_t got = 0;
    while (got < sizeof(*n)) {
        ssize_t k = read(in, (char *)n + got, sizeof(*n) - got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        got += (size_t)k;
    }
    return true;
}

static uint32_t unsettled(void)
{
    uint32_t left = 0;
    for (unsigned k = 0; k < SESSIONS; k++) {
        const struct session *s = &sessions[k];
        for (uint32_t i = s->settled + 1; i <= s->sending; i++)
            left += (s->m[i].sent || s->m[i].seen) && !s->m[i].settled && !s->m[i].doubtful;
    }
    return left;
}

/* Until so many notes came, or (draining) all is settled. */
static void live(struct session_life *l, uint64_t notes)
{
    int in;
    struct note n;
    uint64_t until = clock_mono_us() + DRAIN_US;
    life++;
    give_held(l);
    pid_t pid = start(l, &in);
    for (uint64_t i = 0; l->draining ? unsettled() > 0 : i < notes; i++) {
        if (!read_note(in, &n) || (l->draining && clock_mono_us() > until)) {
            fprintf(stderr, "seed %" PRIu64 ", life %u: %u messages are left\n", seed, life,
                    unsettled());
            exit(1);
        }
        on_note(&n);
    }
    kill(pid, SIGKILL);
    while (read_note(in, &n))
        on_note(&n);
    close(in);
    waitpid(pid, NULL, 0);
    cut_off();
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

int main(int argc, char **argv)
{
    static struct session_life l;
    char dir[] = "/tmp/weir-sessions-XXXXXX", command[64];
    struct rng rng;
    uint64_t kills = option(argc, argv, "--kills", KILLS);
    seed = option(argc, argv, "--seed", clock_mono_us());
    rng_seed(&rng, seed);
    if (mkdtemp(dir) == NULL)
        return 2;
    l.dir = dir;
    for (uint64_t i = 0; i < kills; i++) {
        l.seed = rng_next(&rng);
        live(&l, NOTES_MIN + rng_below(&rng, NOTES_MAX - NOTES_MIN));
    }
    l.draining = true;
    live(&l, 0);
    printf("%" PRIu64 " kills: %" PRIu64 " deliveries, %" PRIu64 " settled, %" PRIu64
           " of them by tokens of a killed process\n",
           kills, deliveries_n, settled_n, former_n);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 2;
}
