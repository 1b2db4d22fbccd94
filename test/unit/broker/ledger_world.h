/* ledger_world.h: a ledger, its log, and the plain model that it is compared with; see
 * test_ledger_random.c. A check that fails leaves by siglongjmp(ledger_failed). */
#pragma once

#include "../check.h"

#include "ledger_log.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define SPAN 4000 /* offsets */
#define OWNERS 4
#define SESSIONS 5
#define FLIGHT_MAX 4
#define LOCK_MS 1000
#define ATTEMPTS 4
#define TOKENS_OLD 16

struct model_message {
    enum ledger_state state;
    bool doubt, expired, burying, endless;
    uint32_t deliveries;
    uint64_t owner;
    int64_t due, first; /* monotonic; wall */
    struct lock_token token;
    uint32_t written; /* deliveries that the log knows of */
};

/* What a landed change did for good: the order in which these landed tells what a cut keeps. */
struct event {
    size_t at;
    bool rewind;
    bool keep[SPAN];
    int64_t offset;
};

struct doubt {
    int64_t offset;
    struct model_message becomes;
    unsigned lock_no;
};

struct flight {
    struct ledger_change *change;
    struct ledger_take take;
    struct doubt *doubts;
    size_t doubts_n;
    bool rewind, keep, landed, fails, alone, settles, dirty;
    int64_t to;
    int state_session; /* -1 */
    unsigned state;
    unsigned rewinds; /* that had landed when it was taken */
    size_t at;
};

struct model_session {
    bool locked;
    uint64_t owner;
    int64_t due;
    unsigned state, lock_no;
    bool state_doubt;
};

struct step {
    uint8_t verb;
    uint32_t a, b, c;
};

struct world {
    struct ledger *l;
    struct ledger_log log;
    struct ledger_conf conf;
    struct ledger_time now;
    struct model_message m[SPAN];
    int64_t next, log_start, expired_below;
    struct flight flights[FLIGHT_MAX]; /* taken; [0] is the oldest */
    size_t flights_n;
    struct flight open;
    bool rewinding;
    int64_t trim_later;
    unsigned rewinds; /* landed */
    bool gone[OWNERS];
    struct event **events;
    size_t events_n, events_cap;
    size_t durable; /* the log is cut at or behind this */
    struct lock_token old[TOKENS_OLD];
    size_t old_n;
    struct model_session sessions[SESSIONS];
    bool by_session, ordered;
    char why[200];
};

extern sigjmp_buf ledger_failed;

#define CHECK(w, cond, ...)                                                                        \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            snprintf((w)->why, sizeof((w)->why), "line %d: %s", __LINE__, #cond " " __VA_ARGS__);  \
            siglongjmp(ledger_failed, 1);                                                          \
        }                                                                                          \
    } while (0)
#define CHECK_AT(w, offset, cond)                                                                  \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            snprintf((w)->why, sizeof((w)->why), "line %d: offset %lld: %s", __LINE__,             \
                     (long long)(offset), #cond);                                                  \
            siglongjmp(ledger_failed, 1);                                                          \
        }                                                                                          \
    } while (0)

/* ---- ledger_model.c: the model's own ideas, and the comparison ---- */

bool taken_by_filter(int64_t offset);
unsigned session_no(int64_t offset);
struct str session_id(unsigned no);
bool unsettled(const struct model_message *m);
bool is_ready(const struct model_message *m);
uint32_t in_flight(const struct world *w);
/* What becomes of it when it is given back. */
struct model_message released(const struct world *w, int64_t o, int64_t due, bool uncounted);
/* It was given out. */
void acquired(struct world *w, const struct ledger_taken *t, uint64_t owner, uint32_t lock,
              bool counts);
/* With `ordered`: must that owner stop here? */
bool stops(const struct world *w, int64_t o, uint64_t owner);
/* The k-th, from a, of those that f is true for; -1. */
int64_t pick(const struct world *w, uint32_t a, bool (*f)(const struct model_message *m));
bool is_acquired(const struct model_message *m);
bool is_deferred(const struct model_message *m);
bool token_eq(const struct lock_token *a, const struct lock_token *b);
/* One that is good for nothing from now on. */
void token_old(struct world *w, struct lock_token token);
void compare_one(struct world *w, int64_t o);
void compare_counts(struct world *w);
void compare_order(struct world *w);
void compare(struct world *w);

/* ---- ledger_verbs.c, ledger_settles.c, ledger_changes.c ---- */

struct flight *open_change(struct world *w);
void doubt_add(struct world *w, int64_t o, struct model_message becomes);
void session_unlocked(struct world *w, unsigned no);
void trimmed(struct world *w, int64_t to, uint64_t *lost_out, uint64_t *unseen_out);
void flights_forget(struct world *w);

void do_look(struct world *w, const struct step *s);
void do_acquire(struct world *w, const struct step *s);
void do_acquire_session(struct world *w, const struct step *s);
void do_deferred(struct world *w, const struct step *s);
void do_bury(struct world *w, const struct step *s);
void do_settle(struct world *w, const struct step *s);
void do_settle_many(struct world *w, const struct step *s);
void do_accept_any(struct world *w, const struct step *s);
void do_finish(struct world *w, const struct step *s);
void do_settle_badly(struct world *w, const struct step *s);
void do_renew(struct world *w, const struct step *s);
void do_unacquire(struct world *w, const struct step *s);
void do_release_owner(struct world *w, const struct step *s);
void do_claim(struct world *w, const struct step *s);
void do_time(struct world *w, const struct step *s);
void do_expire(struct world *w, const struct step *s);
void do_trim(struct world *w, const struct step *s);
void do_stragglers(struct world *w, const struct step *s);
void do_peek(struct world *w, const struct step *s);
void do_session(struct world *w, const struct step *s);
void do_take(struct world *w, const struct step *s);
void do_done(struct world *w, const struct step *s);
void do_rewind(struct world *w, const struct step *s);
void do_snapshot(struct world *w, const struct step *s);
void do_pack(struct world *w, const struct step *s);
void do_page(struct world *w, const struct step *s);
void do_shadow(struct world *w, const struct step *s);
void do_crash(struct world *w, const struct step *s);
