/* ledger.h: what one subscription has done with the messages of one partition.
 *
 * A pure state machine: it knows offsets, never payloads; it makes records, and folds them back,
 * but writes nothing; time comes with the call. Its owner (delivery*.c) reads the log, applies the
 * filter, writes the records, answers receivers.
 *
 *        settled | d s s a s d a a s r r r |  not looked at: costs nothing, whatever its length
 *                ^ floor                   ^ next            s settled or skipped, a acquired,
 *                                                            d deferred, r ready
 *
 * Below the floor all is settled. What lies from `next` on has not been looked at. Between them is
 * the window, in pages of LEDGER_PAGE offsets with 24 bytes (28 with sessions) for each that is not
 * settled, and about one more for its share of the page. A page of which all is settled is dropped;
 * one with much settled gives back what it does not need, as soon as that matters to the ledger as
 * a whole (a page costs 0.8 KB beside its messages; a packed one less: ledger_pack). A ledger
 * without messages in its window costs LEDGER_EMPTY_BYTES at most.
 *
 * How the owner drives it, in one turn of its loop:
 *
 *     receiver asks     ledger_ready(l) too few? Read records at ledger_next(l), and tell each that
 *                       the filter takes by ledger_add; offsets left out (filtered, gaps of the
 *                       log) count as skipped; at the end of what was read ledger_skip(l, end).
 *                       Then ledger_acquire: offsets and tokens. Read payloads.
 *     receiver settles  ledger_accept ... into the turn's change
 *     timer             at ledger_due: ledger_step, again while it says so
 *     end of the turn   ledger_take: records, one or none for each page, head and session; write
 *                       them; ledger_done when they are. Messages leave, settles are answered.
 *
 * Two kinds of changes:
 *   - mere ones (add, skip, acquire, claim, renew, expiry, release of an owner, trim) happen in
 *     memory at once. If their record is lost, what was acquired is available again.
 *   - settles (accept, reject, release, defer, session state, rewind) are *in doubt* until
 *     ledger_done: nobody else can touch the message meanwhile (ERR_LOCK_LOST), and on an error
 *     everything is as if they had not been asked for: the receiver has its lock still, if its time
 *     is not up, is told the error, and may try again. So memory and log agree after a full disk.
 *
 * What the fold of the records promises, in any order of the changes' success and failure, and
 * wherever the log was cut by a power failure: what was settled (ledger_done with ERR_OK) does not
 * come back; what was not settled is not lost; after all records, all is as it was.
 *   It holds because records state absolute things, settled is final (until a rewind, which begins
 * a new epoch), and what no record tells counts as not looked at. Hence no order or atomicity
 * between different entities is needed, nor between a change taken alone and any other; of those
 * not taken alone, the records of one entity must be written in the order of ledger_take.
 *
 * Tokens: {partition, offset, stamp of the acquisition mixed with the subscription}. Stamps never
 * repeat: they hold the process's incarnation. A token is good after a restart, as its acquisition
 * was recorded; one whose acquisition was lost by a power cut never matches anything again.
 *
 * Due times are monotonic in memory; records hold what is left at a wall clock time. A restart
 * shortens no lock, and a clock that was set back prolongs none beyond what was left.
 *
 * One reactor, the partition's. No call looks at more than LEDGER_STEP_PAGES pages, but for those
 * that say so: trim, folded, pack, the end of a rewind (50 ms for ten million messages). With
 * sessions, the end of a lock looks at all messages of the session, the release of an owner at all
 * sessions.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "broker/lock_token.h"
#include "broker/statelog.h"

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_PAGE 1024       /* offsets */
#define LEDGER_EMPTY_BYTES 640 /* of a ledger without messages in its window */
#define LEDGER_STEP_PAGES 8    /* that one call of ledger_step and the like looks at */
#define LEDGER_OFFSET_MAX ((int64_t)1 << 48)
#define LEDGER_PARTITIONS_MAX 65536
#define LEDGER_OWNERS_MAX ((1u << 22) - 1)   /* with something acquired at once; of sessions too */
#define LEDGER_DELIVERIES_MAX 65535u         /* counts stop there */
#define LEDGER_SESSION_ID_MAX ((size_t)1024) /* bytes */
#define LEDGER_WINDOW_MAX 100000000u         /* unsettled messages */

struct ledger;

struct ledger_time {
    int64_t mono_ms; /* >= 1 */
    int64_t wall_ms; /* Unix */
};

struct ledger_conf {
    struct uuid subscription;
    int32_t partition;
    uint32_t incarnation;   /* of the process: greater than in any earlier life; 24 bits count */
    uint32_t lock_ms;       /* 0: acquired until settled or claimed (Redis) */
    uint32_t attempts;      /* deliveries; thereafter the message is dead. 0: no limit */
    uint32_t in_flight_max; /* acquired at once; 0: no limit */
    uint32_t window_max;    /* unsettled at once; 0: LEDGER_WINDOW_MAX */
    bool sessions;          /* ORDER_KEY */
    bool ordered;           /* ORDER_PARTITION */
    /* Before the ledger frees an entity: statelog_forget. NULL: nobody needs to know. */
    void (*forget)(void *user, struct statelog_entity *entity);
    void *user;
};

/* Starts at `start`: that is floor and next. Unless records are folded in, its head is a change of
 * its own: ledger_take. */
struct ledger *ledger_make(const struct ledger_conf *conf, int64_t start);
/* Calls no forget. Changes that were taken may be given back afterwards (ledger_done does nothing
 * then but free them). NULL is allowed. */
void ledger_free(struct ledger *l);
/* Calls forget for every entity: before ledger_free of one that ends while its state log goes on.
 */
void ledger_forget(struct ledger *l);
/* lock_ms, attempts, in_flight_max, window_max as of now on. */
void ledger_set_conf(struct ledger *l, const struct ledger_conf *conf);
const struct ledger_conf *ledger_conf(const struct ledger *l);

/* ---- looking at the log ---- */

int64_t ledger_floor(const struct ledger *l); /* all below is settled for good */
/* The first unsettled one at or above `from`; next if there is none. */
int64_t ledger_first(const struct ledger *l, int64_t from);
/* The owner has copies of what is unsettled below `below` (stragglers.h): the log may lose it.
 * Trims leave it as it is, and a rewind to before it makes it available again. */
void ledger_set_kept(struct ledger *l, int64_t below);
int64_t ledger_kept(const struct ledger *l);
int64_t ledger_next(const struct ledger *l);
/* How many more ledger_add takes. */
uint32_t ledger_room(const struct ledger *l);

/* A record that the filter takes, at `offset` >= next; what lies between is skipped. Then next is
 * offset + 1. One that is known (after a seek or a crash) keeps its state. With sessions, `session`
 * is its session's id (empty is an id, too). ERR_BUSY: no room, or a rewind is under way;
 * ERR_OFFSET_RANGE, ERR_REQUEST_INVALID: offset or session id out of range. */
enum err must_use ledger_add(struct ledger *l, int64_t offset, struct str session);
/* `n` records in a row; not with sessions. */
enum err must_use ledger_add_range(struct ledger *l, int64_t offset, uint32_t n);
/* Nothing that matters below `to`: next is at least that. ERR_BUSY: a rewind is under way. */
enum err must_use ledger_skip(struct ledger *l, int64_t to);

/* ---- acquiring ---- */

struct ledger_taken {
    int64_t offset;
    struct lock_token token;
    uint32_t deliveries;     /* this one included */
    bool expired;            /* ledger_acquire_dead: its time to live was up, not its attempts */
    int64_t first_ms;        /* of its first delivery, wall clock */
    int64_t locked_until_ms; /* wall clock; INT64_MAX: no end */
};

/* Messages that wait to be acquired: those looked at, not those delayed. */
uint32_t ledger_ready(const struct ledger *l);
/* The first n ready in offset order (so released ones before new ones), as many as the in-flight
 * limit allows. lock_ms 0: the subscription's. Returns how many; out has room for n. Not with
 * sessions. Expire by ledger_step first.
 *   Ordered: only up to the first that is delayed, being settled, or acquired by another owner; so
 * an owner may go on behind what it holds itself, or is settling for good. What is dead or deferred
 * holds up nobody. */
size_t ledger_acquire(struct ledger *l, uint64_t owner, uint32_t lock_ms, struct ledger_time now,
                      struct ledger_taken *out, size_t n);
/* Ordered: what could be acquired now. */
struct ledger_order {
    uint32_t ready;
    bool held; /* by that owner alone, who holds all that lies before */
    uint64_t owner;
    bool open; /* and what has not been looked at yet, too */
};
void ledger_order(const struct ledger *l, struct ledger_order *out);
/* One by its place. ERR_NOT_FOUND: it is not deferred (with sessions, or not of the one that this
 * owner holds). */
enum err must_use ledger_acquire_deferred(struct ledger *l, uint64_t owner, int64_t offset,
                                          uint32_t lock_ms, struct ledger_time now,
                                          struct ledger_taken *out);
/* Dead ones, whose attempts or time are used up: nobody gets them but who buries them (writes the
 * dead letter and rejects them in one change). Not counted as deliveries. If that fails and the
 * lock runs out, they are dead again. Looks at LEDGER_STEP_PAGES from *at on (0 first; the offset
 * to go on from; INT64_MAX: seen all). */
size_t ledger_acquire_dead(struct ledger *l, uint64_t owner, uint32_t lock_ms,
                           struct ledger_time now, int64_t *at, struct ledger_taken *out, size_t n);

/* Names what to settle: a token, or an offset that `owner` holds, or that anybody holds. */
struct ledger_ref {
    int64_t offset;
    enum { LEDGER_BY_STAMP, LEDGER_BY_OWNER, LEDGER_BY_OFFSET } by;
    uint64_t value; /* stamp or owner */
};
struct ledger_ref ledger_ref(const struct ledger *l, const struct lock_token *token);
/* From a token alone, to find its ledger. */
int32_t lock_token_partition(const struct lock_token *token);
int64_t lock_token_offset(const struct lock_token *token);

/* Takes a message from whoever holds it (or, `force`, takes an unsettled one that nobody holds).
 * XCLAIM, XAUTOCLAIM. ERR_NOT_FOUND: it is not acquired (or settled); ERR_BUSY: not idle so long,
 * or being settled. */
struct ledger_claim {
    uint64_t owner;
    int64_t offset;
    uint32_t idle_min_ms;
    uint32_t lock_ms;   /* 0: the subscription's */
    uint32_t idle_ms;   /* that it has afterwards, where locks have no end */
    int32_t deliveries; /* >= 0: this count afterwards (RETRYCOUNT); -1: one more; -2: as it was */
    bool force;
};
enum err must_use ledger_claim(struct ledger *l, const struct ledger_claim *claim,
                               struct ledger_time now, struct ledger_taken *out);

/* Makes available what owner holds, as if locks had run out (or, uncounted, had not been taken).
 * Looks at LEDGER_STEP_PAGES from *at on; at INT64_MAX it is done. */
void ledger_release_owner(struct ledger *l, uint64_t owner, bool uncounted, struct ledger_time now,
                          int64_t *at);
/* The acquisition did not take place: its record could not be written, its payload not be read, or
 * nobody is there to get it. ERR_LOCK_LOST. */
enum err must_use ledger_unacquire(struct ledger *l, struct ledger_ref ref, struct ledger_time now);
/* ERR_LOCK_LOST: not, or not any more, this acquisition's. Not with sessions (the session's lock is
 * what counts). */
enum err must_use ledger_renew(struct ledger *l, struct ledger_ref ref, uint32_t lock_ms,
                               struct ledger_time now, int64_t *locked_until_ms);

/* ---- settling ---- */

/* What is written together; from ledger_change_make to ledger_done. The settles of one change are
 * done or not done together. */
struct ledger_change;
struct ledger_change *ledger_change_make(struct ledger *l);
/* Not taken yet: everything in it is undone. */
void ledger_change_cancel(struct ledger_change *c);

/* All say ERR_LOCK_LOST if ref does not name what is acquired and not being settled already. With
 * LEDGER_BY_OFFSET, accept and reject take any unsettled message. */
enum err must_use ledger_accept(struct ledger_change *c, struct ledger_ref ref);
enum err must_use ledger_reject(struct ledger_change *c, struct ledger_ref ref);
/* Available again in delay_ms. If its attempts are used up, it is dead (ask ledger_get first, to
 * write the dead letter at once and reject). */
enum err must_use ledger_release(struct ledger_change *c, struct ledger_ref ref, uint32_t delay_ms,
                                 bool uncounted, struct ledger_time now);
enum err must_use ledger_defer(struct ledger_change *c, struct ledger_ref ref);

/* ---- records ---- */

/* An entity of a state log: the head, a page, a session. */
struct ledger_entity {
    struct statelog_entity log; /* the owner's */
    struct ledger *ledger;      /* private from here */
    uint8_t kind;
};
/* The kind of an entity that the owner keeps in the same state log; none of a ledger's. */
#define LEDGER_ENTITY_OWNERS 255

/* At most 32 bytes, but for sessions', which end with the session's id. Owned by the change. */
struct ledger_record {
    struct ledger_entity *entity;
    struct str key, value; /* value.at NULL: gone */
};

struct ledger_take {
    const struct ledger_record *records; /* valid until ledger_done. One an entity, two of a session
                                            next to each other */
    size_t n;
    bool settles; /* must be durable before anything is answered; else a relaxed write will do */
    bool atomic;  /* more than one entity, and all of it in one group (of a seek) */
};

/* Something mere waits to be written. */
bool ledger_changed(const struct ledger *l);
/* Closes c: the records of its settles and, unless `alone`, of all mere changes since the last
 * call. Of a change taken alone, records may be written in any order with other changes'. False:
 * there is nothing to write, ledger_done must be called all the same. */
bool ledger_take(struct ledger_change *c, bool alone, struct ledger_time now,
                 struct ledger_take *out);
/* What was taken is written, or (an error) none of it is: settles are undone, mere changes told
 * once more by the next change. Frees c. */
void ledger_done(struct ledger_change *c, enum err err, struct ledger_time now);

/* All that have something to tell, in no particular order: at NULL first; NULL: no more. For tools
 * and tests: a state log knows its entities. */
struct ledger_entity *ledger_entity_next(struct ledger *l, struct ledger_entity *after);
/* For statelog: the whole entity, as records with key and value. What is in doubt is as before. */
void ledger_snapshot(struct ledger_entity *e, struct ledger_time now, struct batch_builder *out);

struct ledger_key {
    struct uuid subscription;
    int32_t partition;
    uint8_t kind;
    int64_t page;
    int64_t offset;
    struct str session;
};
/* False: no ledger's key. */
bool ledger_key_read(struct str key, struct ledger_key *out);
bool ledger_key_is_head(const struct ledger_key *key);
/* The key of the head, whose tombstone ends the whole ledger (key_bytes_max 32). */
size_t ledger_key_head(const struct ledger_conf *conf, uint8_t out[32]);
/* The key of the owner's copy of a message, and whether it is one: its offset, else -1. What is
 * behind it is not for ledger_fold. */
size_t ledger_key_copy(const struct ledger_conf *conf, int64_t offset, uint8_t out[32]);
int64_t ledger_key_is_copy(const struct ledger_key *key);

/* At load, on a ledger just made, for each of its records in order. *entity: whose record it is;
 * NULL: nobody's (any more). value.at NULL on the head: the ledger is gone; the caller frees it.
 * ERR_CORRUPT: not a record that this code writes, the ledger is only good for ledger_free;
 * ERR_FORMAT_NEWER. */
enum err must_use ledger_fold(struct ledger *l, const struct ledger_key *key, struct str value,
                              struct ledger_time now, struct ledger_entity **entity);
/* After the last record: counts, locks, floor and next are right from here on. Looks at all. */
void ledger_folded(struct ledger *l, struct ledger_time now);

/* ---- time ---- */

/* When ledger_step has something to do next, on the monotonic clock; INT64_MAX: never. */
int64_t ledger_due(const struct ledger *l);
/* Locks whose end has come are given back, delays end. Looks at LEDGER_STEP_PAGES pages at most;
 * true: there is more to do now. */
bool ledger_step(struct ledger *l, struct ledger_time now);
/* Time to live: what is unsettled below `below` is dead, but for what is acquired (it is dead when
 * it comes back unsettled). LEDGER_STEP_PAGES pages a call; true: call again. */
bool ledger_expire(struct ledger *l, int64_t below);
/* One message with a time to live of its own. ERR_NOT_FOUND: not one that waits. */
enum err must_use ledger_expire_one(struct ledger *l, int64_t offset);
/* The log begins at log_start now: what was below is gone, whoever held it, but for what the owner
 * has copies of. Returns how many unsettled ones that were; *unseen: offsets that were not looked
 * at. Looks at all below. While a rewind is under way nothing happens before that is done, and 0 is
 * returned. */
uint64_t ledger_trim(struct ledger *l, int64_t log_start, uint64_t *unseen);

/* The ledger starts again at `to`, or at the log's start if that is behind it. With `keep`, what is
 * acquired, deferred or delayed now stays as it is (XGROUP SETID), else nothing does: tokens are
 * void. Done at ledger_done; until then all verbs that change something say ERR_BUSY. ERR_BUSY:
 * another one is under way, or with keep, more than LEDGER_KEEP_MAX messages to keep. */
#define LEDGER_KEEP_MAX 10000u
enum err must_use ledger_rewind(struct ledger_change *c, int64_t to, bool keep);

/* The log has lost what lay from `end` on, below next, and will give these offsets again: they are
 * not looked at, as if they had never been; what lies below stays as it is. At the end of the load,
 * before anything is appended or acquired; in effect when ledger_done says that it is written. */
enum err must_use ledger_clamp(struct ledger_change *c, int64_t end);

/* ---- looking at the ledger ---- */

enum ledger_state {
    LEDGER_SETTLED, /* or skipped, or below the floor */
    LEDGER_AVAILABLE,
    LEDGER_ACQUIRED, /* or being settled */
    LEDGER_DEFERRED,
    LEDGER_DEAD,
    LEDGER_UNSEEN, /* not looked at */
};

struct ledger_message {
    int64_t offset;
    enum ledger_state state;
    bool settling; /* a settle of it is in doubt */
    bool expired, burying;
    uint32_t deliveries;
    uint64_t owner;     /* ACQUIRED */
    int64_t first_ms;   /* of its first delivery, wall clock; 0: none yet */
    int64_t due_ms;     /* wall clock: when the lock ends (INT64_MAX: not), or the delay; 0: none */
    int64_t idle_ms;    /* ACQUIRED: since delivery (with locks that end: since the last renewal) */
    struct str session; /* valid until the next change */
};
void ledger_get(const struct ledger *l, int64_t offset, struct ledger_time now,
                struct ledger_message *out);
/* The first unsettled one at or above `from` and below next; false: there is none. Peek; XPENDING
 * with owner and idle_min_ms looked at by the caller. */
bool ledger_peek(const struct ledger *l, int64_t from, struct ledger_time now,
                 struct ledger_message *out);
/* Those who hold something: at 0 first. *at becomes the next call's; false: no more. */
struct ledger_holder {
    uint64_t owner;
    uint32_t acquired;
};
bool ledger_holders(const struct ledger *l, uint32_t *at, struct ledger_holder *out);
uint32_t ledger_held(const struct ledger *l, uint64_t owner);
/* Which few offsets hold the floor below `target`: returns their number and writes them, lowest
 * first; 0: none or more than max. The owner may copy them, and then ledger_set_kept. */
size_t ledger_stragglers(const struct ledger *l, int64_t target, int64_t *out, size_t max);

struct ledger_stat {
    uint32_t ready, delayed, acquired, deferred, dead; /* their sum: unsettled */
    uint32_t in_doubt;                                 /* of acquired */
    uint32_t sessions;
    uint32_t pages;
    size_t bytes; /* of memory, as asked from the heap */
    /* Since this process has the ledger: */
    uint64_t delivered, accepted, released, rejected, lock_expired, expired, skipped;
};
void ledger_stat(const struct ledger *l, struct ledger_stat *out);
/* Pages that nothing is acquired of become their snapshot's bytes, until they are needed; an empty
 * page in which next lies is dropped. For a ledger that has been idle. Not with sessions. */
void ledger_pack(struct ledger *l, struct ledger_time now);

/* ---- leaving memory, and coming back ----
 *
 * A ledger at rest is all that its records say, but for its past: what counts in this process
 * alone. So its owner may write them all, keep the past, free the ledger, and later fold one anew
 * from them (ledger_fold, ledger_folded), which is the same again when its past is given back. Its
 * due times are exact if ledger_fold is told a wall clock that has gone on as the monotonic one
 * has. Not kept: in which order sessions wait. */

/* Nothing is acquired, dead, locked or in doubt; nothing is under way, or waits to be written. */
bool ledger_rests(const struct ledger *l);
/* Of a ledger at rest: the records of all its entities. */
void ledger_snapshot_all(struct ledger *l, struct ledger_time now, struct batch_builder *out);

struct ledger_past {
    uint64_t stamp; /* the last one given: tokens of this process do not come again */
    int64_t kept, expired_below;
    uint64_t delivered, accepted, released, rejected, lock_expired, expired, skipped;
};
void ledger_past(const struct ledger *l, struct ledger_past *out);
/* On one that was folded, before anything else. */
void ledger_resume(struct ledger *l, const struct ledger_past *past);

/* ---- sessions ----
 *
 * A session is there while it has messages, a lock or a state. Its messages are acquired by who
 * holds its lock, in order: while one is delayed, or its release in doubt, those behind it wait;
 * acquired, deferred and dead ones do not hold up the others. Messages have no lock of their own:
 * they are released when the session's runs out or is released. */

struct ledger_session {
    struct str id; /* valid until the next change */
    bool locked;
    uint64_t owner;          /* locked */
    int64_t locked_until_ms; /* wall clock */
    uint32_t messages;       /* unsettled */
    size_t state_bytes;
};

/* Locks a session: id.at NULL: the one that has waited longest of those with a message to give and
 * no lock; else this one, with messages or not. ERR_SESSION_LOCKED: another owner's, or its last
 * owner's settles are in doubt (if they fail, their messages come first); ERR_NOT_FOUND: none is
 * free; ERR_REQUEST_INVALID: id too long; ERR_BUSY. An owner may hold several; locking once more
 * what it holds renews it. lock_ms 0: the subscription's. */
enum err must_use ledger_session_lock(struct ledger *l, uint64_t owner, struct str id,
                                      uint32_t lock_ms, struct ledger_time now,
                                      struct ledger_session *out);
/* For these, ERR_SESSION_LOCKED: another owner holds it; ERR_LOCK_LOST: nobody does. */
size_t ledger_session_acquire(struct ledger *l, uint64_t owner, struct str id,
                              struct ledger_time now, struct ledger_taken *out, size_t n);
enum err must_use ledger_session_renew(struct ledger *l, uint64_t owner, struct str id,
                                       uint32_t lock_ms, struct ledger_time now,
                                       int64_t *locked_until_ms);
/* What was acquired of it is available again. */
enum err must_use ledger_session_release(struct ledger *l, uint64_t owner, struct str id,
                                         struct ledger_time now);
/* The state; at NULL: none. Borrowed until the next change. */
enum err must_use ledger_session_state(const struct ledger *l, uint64_t owner, struct str id,
                                       struct slice *out);
/* In doubt until ledger_done. The caller has checked the size. Takes a reference. at NULL: none.
 * ERR_BUSY: the last one is in doubt still. */
enum err must_use ledger_session_set_state(struct ledger_change *c, uint64_t owner, struct str id,
                                           struct slice state);
/* Sessions with an acquirable message and no lock. */
uint32_t ledger_sessions_ready(const struct ledger *l);
/* Whether the next of them has come back: a holder was given the message that it begins with.
 * Then others that the ledger does not know yet may have waited for longer. */
bool ledger_session_returns(struct ledger *l);
/* All, in no particular but a stable order: at 0 first; false: no more. */
bool ledger_sessions(const struct ledger *l, uint32_t *at, struct ledger_time now,
                     struct ledger_session *out);
