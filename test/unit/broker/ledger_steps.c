#include "ledger_steps.h"

#include "../check.h"
#include "ledger_log.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define OFFSETS 5000
#define WORDS_MAX 12
#define TAKEN_MAX 8
#define TEXT_MAX 60000

struct taken {
    struct ledger_change *change;
    struct ledger_take take;
};

struct run {
    struct ledger *l;
    struct ledger_log log;
    struct ledger_conf conf;
    struct ledger_time now;
    struct ledger_change *open;
    struct taken taken[TAKEN_MAX];
    size_t taken_n;
    size_t mark;
    struct lock_token tokens[OFFSETS], before[OFFSETS];
    char text[TEXT_MAX];
    size_t len;
    char *words[WORDS_MAX];
    size_t words_n;
};

__attribute__((format(printf, 2, 3))) static void say(struct run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(r->text + r->len, TEXT_MAX - r->len, fmt, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < TEXT_MAX - r->len);
    r->len += (size_t)n;
}

static void say_err(struct run *r, enum err err)
{
    if (err != ERR_OK)
        say(r, "%s%s", r->len != 0 ? " " : "", err_name(err));
}

static long number(const struct run *r, size_t i)
{
    return i < r->words_n ? strtol(r->words[i], NULL, 10) : 0;
}

static uint64_t owner(const struct run *r, size_t i)
{
    assert_true(i < r->words_n);
    return (uint64_t)r->words[i][0];
}

static bool has(const struct run *r, const char *word)
{
    for (size_t i = 1; i < r->words_n; i++) {
        if (strcmp(r->words[i], word) == 0)
            return true;
    }
    return false;
}

/* NAME=N; otherwise if it is not there. */
static long option(const struct run *r, const char *name, long otherwise)
{
    size_t n = strlen(name);
    for (size_t i = 1; i < r->words_n; i++) {
        if (strncmp(r->words[i], name, n) == 0 && r->words[i][n] == '=')
            return strtol(r->words[i] + n + 1, NULL, 10);
    }
    return otherwise;
}

static struct str word(const struct run *r, size_t i)
{
    return i < r->words_n ? str_of(r->words[i]) : (struct str){NULL, 0};
}

static struct ledger_change *open_change(struct run *r)
{
    if (r->open == NULL)
        r->open = ledger_change_make(r->l);
    return r->open;
}

static void got(struct run *r, const struct ledger_taken *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        say(r, "%s%lld", r->len != 0 ? " " : "", (long long)t[i].offset);
        if (t[i].deliveries != 1)
            say(r, ":%u", t[i].deliveries);
        r->before[t[i].offset] = r->tokens[t[i].offset];
        r->tokens[t[i].offset] = t[i].token;
    }
}

/* ---- settling ---- */

static enum err settle_one(struct run *r, const char *verb, struct ledger_ref ref)
{
    struct ledger_change *c = open_change(r);
    int64_t until;
    if (strcmp(verb, "accept") == 0)
        return ledger_accept(c, ref);
    if (strcmp(verb, "reject") == 0)
        return ledger_reject(c, ref);
    if (strcmp(verb, "defer") == 0)
        return ledger_defer(c, ref);
    if (strcmp(verb, "renew") == 0)
        return ledger_renew(r->l, ref, (uint32_t)number(r, 2), r->now, &until);
    if (strcmp(verb, "unacquire") == 0)
        return ledger_unacquire(r->l, ref, r->now);
    return ledger_release(c, ref, (uint32_t)number(r, 2), has(r, "uncounted"), r->now);
}

static struct ledger_ref ref_of(struct run *r, const char *text, int64_t *last)
{
    const char *colon = strchr(text, ':');
    char *end;
    int64_t first = strtol(colon != NULL ? colon + 1 : text, &end, 10);
    *last = *end == '-' ? strtol(end + 1, NULL, 10) : first;
    assert_true(first >= 0 && *last < OFFSETS);
    if (strncmp(text, "old:", 4) == 0)
        return ledger_ref(r->l, &r->before[first]);
    if (strncmp(text, "any:", 4) == 0)
        return (struct ledger_ref){first, LEDGER_BY_OFFSET, 0};
    if (colon != NULL)
        return (struct ledger_ref){first, LEDGER_BY_OWNER, (uint64_t)text[0]};
    return ledger_ref(r->l, &r->tokens[first]);
}

static void do_settle(struct run *r)
{
    bool many = strcmp(r->words[0], "release") != 0 && strcmp(r->words[0], "renew") != 0;
    for (size_t i = 1; i < (many ? r->words_n : 2); i++) {
        int64_t last;
        struct ledger_ref ref = ref_of(r, r->words[i], &last);
        enum err err = settle_one(r, r->words[0], ref);
        for (int64_t o = ref.offset + 1; o <= last && err == ERR_OK; o++)
            err = settle_one(r, r->words[0], ledger_ref(r->l, &r->tokens[o]));
        say_err(r, err);
    }
}

/* ---- writing ---- */

static void do_take(struct run *r, bool alone)
{
    assert_true(r->taken_n < TAKEN_MAX);
    struct taken *t = &r->taken[r->taken_n++];
    t->change = open_change(r);
    ledger_take(t->change, alone, r->now, &t->take);
    r->open = NULL;
}

static void do_land(struct run *r, size_t i, bool ok)
{
    assert_true(i < r->taken_n);
    struct taken t = r->taken[i];
    r->taken_n--;
    memmove(&r->taken[i], &r->taken[i + 1], (r->taken_n - i) * sizeof(t));
    if (ok) {
        ledger_log_begin(&r->log, &t.take);
        ledger_log_land(&r->log, &t.take);
        ledger_log_end(&r->log, &t.take);
    }
    ledger_done(t.change, ok ? ERR_OK : ERR_DISK_FULL, r->now);
}

static void do_restart(struct run *r, size_t cut)
{
    ledger_free(r->l);
    for (size_t i = 0; i < r->taken_n; i++)
        ledger_done(r->taken[i].change, ERR_CLOSED, r->now);
    r->taken_n = 0;
    r->open = NULL;
    r->conf.incarnation++;
    r->now.mono_ms = 5000;
    r->l = ledger_log_fold(&r->log, &r->conf, 0, cut, r->now, true);
}

static void do_snapshot(struct run *r)
{
    for (size_t i = r->log.entities_n; i > 0; i--)
        ledger_log_snapshot(&r->log, r->now);
}

static void do_wait(struct run *r, long ms)
{
    r->now.mono_ms += ms;
    r->now.wall_ms += ms;
    while (ledger_step(r->l, r->now))
        ;
}

/* ---- state ---- */

static void message_text(const struct ledger_message *m, char *out, size_t cap)
{
    static const char letters[] = {[LEDGER_AVAILABLE] = 'r',
                                   [LEDGER_ACQUIRED] = 'a',
                                   [LEDGER_DEFERRED] = 'd',
                                   [LEDGER_DEAD] = 'x'};
    char c = letters[m->state];
    if (m->state == LEDGER_AVAILABLE && m->due_ms != 0)
        c = 'w';
    if (m->settling)
        c = 's';
    if (m->deliveries > 1)
        snprintf(out, cap, "%c%u", c, m->deliveries);
    else
        snprintf(out, cap, "%c", c);
}

static void run_text(struct run *r, int64_t from, int64_t to, const char *what)
{
    if (to > from + 1)
        say(r, " %lld-%lld%s", (long long)from, (long long)to - 1, what);
    else if (to == from + 1)
        say(r, " %lld%s", (long long)from, what);
}

static void do_state(struct run *r)
{
    struct ledger_message m;
    char what[16] = "", now[16];
    int64_t from = 0, to = 0;
    say(r, "floor %lld next %lld:", (long long)ledger_floor(r->l), (long long)ledger_next(r->l));
    while (ledger_peek(r->l, to, r->now, &m)) {
        message_text(&m, now, sizeof(now));
        if (m.offset != to || strcmp(what, now) != 0) {
            run_text(r, from, to, what);
            from = m.offset;
            memcpy(what, now, sizeof(what));
        }
        to = m.offset + 1;
    }
    run_text(r, from, to, what);
}

/* ---- the other verbs ---- */

static void do_look(struct run *r)
{
    struct str session = word(r, 3);
    enum err err = ERR_OK;
    for (int64_t o = number(r, 1); o < number(r, 2) && err == ERR_OK; o++)
        err = ledger_add(r->l, o, session);
    say_err(r, err);
}

static void do_acquire(struct run *r)
{
    struct ledger_taken t[OFFSETS];
    size_t n = (size_t)number(r, 2);
    got(r, t, ledger_acquire(r->l, owner(r, 1), (uint32_t)number(r, 3), r->now, t, n));
    if (n > 20) /* where they are, `state` tells */
        r->len = 0;
}

static void do_one(struct run *r)
{
    struct ledger_taken t;
    enum err err;
    if (strcmp(r->words[0], "deferred") == 0) {
        err = ledger_acquire_deferred(r->l, owner(r, 1), number(r, 2), 0, r->now, &t);
    } else {
        struct ledger_claim claim = {.owner = owner(r, 1),
                                     .offset = number(r, 2),
                                     .idle_min_ms = (uint32_t)option(r, "idle", 0),
                                     .deliveries = (int32_t)option(r, "count", -1),
                                     .force = has(r, "force")};
        err = ledger_claim(r->l, &claim, r->now, &t);
    }
    say_err(r, err);
    got(r, &t, err == ERR_OK);
}

static void do_bury(struct run *r)
{
    struct ledger_taken t[64];
    int64_t at = 0;
    size_t n = ledger_acquire_dead(r->l, owner(r, 1), 0, r->now, &at, t, (size_t)number(r, 2));
    got(r, t, n);
    for (size_t i = 0; i < n && t[i].expired; i++)
        say(r, " expired");
}

static void do_time_to_live(struct run *r)
{
    uint64_t unseen, lost;
    if (strcmp(r->words[0], "expire1") == 0) {
        say_err(r, ledger_expire_one(r->l, number(r, 1)));
    } else if (strcmp(r->words[0], "expire") == 0) {
        while (ledger_expire(r->l, number(r, 1)))
            ;
    } else {
        lost = ledger_trim(r->l, number(r, 1), &unseen);
        say(r, "%llu/%llu", (unsigned long long)lost, (unsigned long long)unseen);
    }
}

static void do_owner(struct run *r)
{
    for (int64_t at = 0; at != INT64_MAX;)
        ledger_release_owner(r->l, owner(r, 1), has(r, "uncounted"), r->now, &at);
}

static void do_rewind(struct run *r)
{
    if (strcmp(r->words[0], "clamp") == 0)
        say_err(r, ledger_clamp(open_change(r), number(r, 1)));
    else
        say_err(r, ledger_rewind(open_change(r), number(r, 1), has(r, "keep")));
}

static void do_stragglers(struct run *r)
{
    int64_t out[64];
    size_t n = ledger_stragglers(r->l, number(r, 1), out, (size_t)number(r, 2));
    for (size_t i = 0; i < n; i++)
        say(r, "%s%lld", i != 0 ? " " : "", (long long)out[i]);
}

static void do_holders(struct run *r)
{
    struct ledger_holder h;
    for (uint32_t at = 0; ledger_holders(r->l, &at, &h);)
        say(r, "%s%c=%u", r->len != 0 ? " " : "", (char)h.owner, h.acquired);
}

/* ---- sessions ---- */

static void do_lock(struct run *r)
{
    struct ledger_session s;
    struct str id = word(r, 2);
    if (str_is(id, "*"))
        id = (struct str){NULL, 0};
    enum err err = ledger_session_lock(r->l, owner(r, 1), id, (uint32_t)number(r, 3), r->now, &s);
    say_err(r, err);
    if (err == ERR_OK)
        say(r, "%.*s", (int)s.id.len, s.id.at);
}

static void do_session(struct run *r)
{
    struct ledger_taken t[64];
    struct slice state = {NULL, NULL, 0};
    int64_t until;
    uint64_t who = owner(r, 1);
    struct str id = word(r, 2);
    const char *verb = r->words[0];
    if (strcmp(verb, "get") == 0) {
        got(r, t, ledger_session_acquire(r->l, who, id, r->now, t, (size_t)number(r, 3)));
    } else if (strcmp(verb, "unlock") == 0) {
        say_err(r, ledger_session_release(r->l, who, id, r->now));
    } else if (strcmp(verb, "hold") == 0) {
        say_err(r, ledger_session_renew(r->l, who, id, 0, r->now, &until));
    } else if (strcmp(verb, "put") == 0) {
        if (r->words_n > 3)
            state = slice_copy(r->words[3], strlen(r->words[3]));
        say_err(r, ledger_session_set_state(open_change(r), who, id, state));
        slice_unref(state);
    } else {
        say_err(r, ledger_session_state(r->l, who, id, &state));
        if (state.at != NULL)
            say(r, "%.*s", (int)state.len, (const char *)state.at);
    }
}

static void do_sessions(struct run *r)
{
    struct ledger_session s;
    for (uint32_t at = 0; ledger_sessions(r->l, &at, r->now, &s);)
        say(r, "%s%.*s=%u%s", r->len != 0 ? " " : "", (int)s.id.len, s.id.at, s.messages,
            s.locked ? "*" : "");
    say(r, "%s%u ready", r->len != 0 ? ", " : "", ledger_sessions_ready(r->l));
}

/* ---- steps ---- */

static void do_write(struct run *r)
{
    do_take(r, has(r, "alone"));
    do_land(r, r->taken_n - 1, strcmp(r->words[0], "fail") != 0);
}

static void do_skip(struct run *r)
{
    say_err(r, ledger_skip(r->l, number(r, 1)));
}

static void do_rest(struct run *r)
{
    const char *verb = r->words[0];
    if (strcmp(verb, "take") == 0)
        do_take(r, has(r, "alone"));
    else if (strcmp(verb, "land") == 0)
        do_land(r, (size_t)number(r, 1), has(r, "ok"));
    else if (strcmp(verb, "restart") == 0)
        do_restart(r, r->log.end);
    else if (strcmp(verb, "cut") == 0)
        do_restart(r, r->mark);
    else if (strcmp(verb, "mark") == 0)
        r->mark = r->log.end;
    else if (strcmp(verb, "wait") == 0)
        do_wait(r, number(r, 1));
    else if (strcmp(verb, "clock") == 0)
        r->now.wall_ms += number(r, 1);
    else if (strcmp(verb, "pack") == 0)
        ledger_pack(r->l, r->now);
    else
        fail_msg("no such verb: %s", verb);
}

static const struct {
    const char *verb;
    void (*run)(struct run *r);
} verbs[] = {
    {"look", do_look},
    {"skip", do_skip},
    {"acquire", do_acquire},
    {"accept", do_settle},
    {"reject", do_settle},
    {"defer", do_settle},
    {"release", do_settle},
    {"renew", do_settle},
    {"unacquire", do_settle},
    {"deferred", do_one},
    {"claim", do_one},
    {"bury", do_bury},
    {"owner", do_owner},
    {"expire", do_time_to_live},
    {"expire1", do_time_to_live},
    {"trim", do_time_to_live},
    {"rewind", do_rewind},
    {"clamp", do_rewind},
    {"stragglers", do_stragglers},
    {"holders", do_holders},
    {"lock", do_lock},
    {"get", do_session},
    {"unlock", do_session},
    {"hold", do_session},
    {"put", do_session},
    {"show", do_session},
    {"sessions", do_sessions},
    {"write", do_write},
    {"fail", do_write},
    {"snapshot", do_snapshot},
    {"state", do_state},
};

static void do_words(struct run *r, char *what)
{
    char *save = NULL;
    r->words_n = 0;
    for (char *w = strtok_r(what, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        assert_true(r->words_n < WORDS_MAX);
        r->words[r->words_n++] = w;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].verb, r->words[0]) == 0) {
            verbs[i].run(r);
            return;
        }
    }
    do_rest(r);
}

static void step_run(struct run *r, const struct ledger_step *step, size_t i)
{
    char what[TEXT_MAX], all[TEXT_MAX] = "", *save = NULL;
    snprintf(what, sizeof(what), "%s", step->what);
    for (char *one = strtok_r(what, ";", &save); one != NULL; one = strtok_r(NULL, ";", &save)) {
        r->len = 0;
        r->text[0] = '\0';
        do_words(r, one);
        r->text[r->len] = '\0';
        if (r->len == 0)
            continue;
        size_t n = strlen(all);
        assert_true(n + r->len + 3 < sizeof(all));
        memcpy(all + n, "; ", n != 0 ? 2 : 0);
        memcpy(all + n + (n != 0 ? 2 : 0), r->text, r->len + 1);
    }
    if (strcmp(all, step->want) != 0)
        fail_msg("step %zu \"%s\"\n    gives \"%s\"\n    not   \"%s\"", i, step->what, all,
                 step->want);
}

void ledger_steps_check(const struct ledger_steps_conf *conf, const struct ledger_step *steps,
                        size_t n)
{
    struct run *r = mem_zalloc(1, sizeof(*r));
    r->conf = (struct ledger_conf){.subscription = {{7}},
                                   .partition = 3,
                                   .incarnation = 1,
                                   .lock_ms = conf->lock_ms,
                                   .attempts = conf->attempts,
                                   .in_flight_max = conf->in_flight_max,
                                   .window_max = conf->window_max,
                                   .sessions = conf->sessions,
                                   .forget = ledger_log_forget,
                                   .user = &r->log};
    r->now = (struct ledger_time){1000, 1767225600000};
    r->l = ledger_make(&r->conf, 0);
    for (size_t i = 0; i < n; i++)
        step_run(r, &steps[i], i);
    if (r->open != NULL)
        ledger_change_cancel(r->open);
    while (r->taken_n != 0)
        do_land(r, 0, false);
    ledger_free(r->l);
    ledger_log_free(&r->log);
    mem_free(r);
}
