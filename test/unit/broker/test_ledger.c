/* The ledger verb by verb, as tables of steps; what its memory costs; what its records look like to
 * who may not trust them. */
#include "../check.h"

#include "ledger_log.h"
#include "ledger_steps.h"

#include "base/mem.h"

#include <string.h>

static const struct ledger_steps_conf plain = {.lock_ms = 1000, .attempts = 3};

static const struct ledger_time now = {1000, 1767225600000};
static const struct ledger_conf conf = {.incarnation = 1, .lock_ms = 1000};

#define CHECK_STEPS(conf, steps) ledger_steps_check(conf, steps, sizeof(steps) / sizeof(steps[0]))

static void test_look(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"state", "floor 0 next 0:"},
        {"skip 5; state", "floor 5 next 5:"}, /* nothing to remember */
        {"look 5 8; look 10 12; state", "floor 5 next 12: 5-7r 10-11r"},
        {"look 11 12", "OFFSET_RANGE"},
        {"skip 3000; state", "floor 5 next 3000: 5-7r 10-11r"},
        {"look 3001 3002; state", "floor 5 next 3002: 5-7r 10-11r 3001r"},
        {"write; restart; state", "floor 5 next 3002: 5-7r 10-11r 3001r"},
    };
    CHECK_STEPS(&plain, steps);
    static const struct ledger_steps_conf small = {.lock_ms = 1000, .window_max = 3};
    static const struct ledger_step full[] = {
        {"look 0 4; state", "BUSY; floor 0 next 3: 0-2r"},
        {"acquire a 1; accept 0; look 3 4; write; look 3 4; state",
         "0; BUSY; floor 1 next 4: 1-3r"},
    };
    CHECK_STEPS(&small, full);
}

static void test_acquire(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 6; acquire a 2; acquire b 2", "0 1; 2 3"},
        {"release 1; write; acquire c 3", "1:2 4 5"}, /* released ones first */
        {"acquire c 3", ""},
        {"holders", "a=1 b=2 c=3"},
        {"wait 999; state", "floor 0 next 6: 0a 1a2 2-5a"},
        {"wait 1; state", "floor 0 next 6: 0r 1r2 2-5r"}, /* locks are over */
        {"acquire a 9", "0:2 1:3 2:2 3:2 4:2 5:2"},
        {"accept old:0", "LOCK_LOST"},
        {"acquire a 9 50; unacquire 0; state", "floor 0 next 6: 0r 1a3 2-5a2"},
    };
    CHECK_STEPS(&plain, steps);
    static const struct ledger_steps_conf few = {.lock_ms = 1000, .in_flight_max = 3};
    static const struct ledger_step limit[] = {
        {"look 0 9; acquire a 2; acquire b 2; acquire b 1", "0 1; 2"},
        {"accept 0; acquire b 1", ""}, /* in doubt counts */
        {"write; acquire b 2", "3"},
    };
    CHECK_STEPS(&few, limit);
}

static void test_settle(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 8; acquire a 8", "0 1 2 3 4 5 6 7"},
        {"accept 0; accept 0; release 0; state", "LOCK_LOST; LOCK_LOST; floor 0 next 8: 0s 1-7a"},
        {"fail; state", "floor 0 next 8: 0-7a"}, /* as if it had not been asked for */
        {"accept 0; write; state", "floor 1 next 8: 1-7a"},
        {"accept 0", "LOCK_LOST"},
        {"reject 1; defer 2; release 3 500; release 4 0 uncounted; write; state",
         "floor 2 next 8: 2d 3w 4r 5-7a"},
        {"accept b:5; accept a:5; accept any:6; write; state",
         "LOCK_LOST; floor 2 next 8: 2d 3w 4r 7a"},
        {"accept any:2; write; state", "floor 3 next 8: 3w 4r 7a"},
        {"wait 500; acquire b 2", "3:2 4"},
        {"renew 3; wait 900; renew 3; wait 900; state", "floor 3 next 8: 3a2 4r 7r"},
        {"take; release 3; take; land 1 fail; land 0 ok; state", "floor 3 next 8: 3a2 4r 7r"},
        {"restart; state; accept 3; write; state",
         "floor 3 next 8: 3a2 4r 7r; floor 4 next 8: 4r 7r"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_deferred(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 4; acquire a 4; defer 1 2; write", "0 1 2 3"},
        {"deferred b 0; deferred b 1; accept 1; write; state",
         "NOT_FOUND; 1:2; floor 0 next 4: 0a 2d 3a"},
        {"restart; deferred b 2; state", "2:2; floor 0 next 4: 0a 2a2 3a"},
        {"wait 1000; state", "floor 0 next 4: 0r 2r2 3r"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_dead(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 2; acquire a 1; wait 1000; acquire a 1; wait 1000; acquire a 1; wait 1000",
         "0; 0:2; 0:3"},
        {"state; acquire a 1", "floor 0 next 2: 0x3 1r; 1"},
        {"bury z 9; state", "0:3; floor 0 next 2: 0a3 1a"},
        {"accept z:0", "LOCK_LOST"},                    /* by its token alone */
        {"wait 1000; state", "floor 0 next 2: 0x3 1r"}, /* the grave was not dug */
        {"write; restart; bury z 9; reject 0; write; state", "0:3; floor 1 next 2: 1r"},
        {"look 2 9; acquire b 2; expire 4; state", "1:2 2; floor 1 next 9: 1a2 2a 3x 4-8r"},
        {"expire1 6; expire1 6; expire1 1; state",
         "NOT_FOUND; NOT_FOUND; floor 1 next 9: 1a2 2a 3x 4-5r 6x 7-8r"},
        {"release 1; write; state", "floor 1 next 9: 1x2 2a 3x 4-5r 6x 7-8r"},
        {"bury z 2", "1:2 3:0 expired expired"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_claim(void **state)
{
    (void)state;
    static const struct ledger_steps_conf redis = {.lock_ms = 0};
    static const struct ledger_step steps[] = {
        {"look 0 5; acquire a 3; wait 100000; state", "0 1 2; floor 0 next 5: 0-2a 3-4r"},
        {"claim b 0 idle=100001; claim b 0 idle=100000; holders", "BUSY; 0:2; a=2 b=1"},
        {"accept old:0; claim b 1 count=-2; claim b 2 count=9", "LOCK_LOST; 1; 2:9"},
        {"claim c 3; claim c 3 force; claim c 9 force", "NOT_FOUND; 3; NOT_FOUND"},
        {"accept b:1; claim c 1; write; claim c 1", "BUSY; NOT_FOUND"},
        {"write; restart; holders; claim d 0 idle=1", "b=2 c=1; BUSY"},
        {"wait 1; claim d 0 idle=1; holders", "0:3; b=1 c=1 d=1"},
    };
    CHECK_STEPS(&redis, steps);
}

static void test_owner_gone(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 4; acquire a 2; acquire b 2; accept 0; owner a; state",
         "0 1; 2 3; floor 0 next 4: 0s 1r 2-3a"},
        {"fail; state", "floor 0 next 4: 0-1r 2-3a"}, /* nobody is there to settle it */
        {"owner b uncounted; acquire c 4", "0:2 1:2 2 3"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_trim(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 4; acquire a 2; trim 3; state", "0 1; 3/0; floor 3 next 4: 3r"},
        {"accept 0; trim 10; state; trim 10", "LOCK_LOST; 1/6; floor 10 next 10:; 0/0"},
        {"look 10 14; acquire a 2; accept 10; trim 12; state; fail; state",
         "10 11; 1/0; floor 10 next 14: 10s 12-13r; floor 12 next 14: 12-13r"},
        {"write; restart; state", "floor 12 next 14: 12-13r"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_rewind(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 9; acquire a 6; accept 0-3; write", "0 1 2 3 4 5"},
        {"rewind 2; acquire a 1; look 9 10; accept 4; write; state", "BUSY; BUSY; floor 2 next 2:"},
        {"accept 4", "LOCK_LOST"},
        {"look 2 9; acquire b 9; restart; state", "2 3 4 5 6 7 8; floor 2 next 2:"},
        {"look 2 9; acquire b 5; accept 2-4; defer 5; write", "2 3 4 5 6"},
        {"rewind 4 keep; fail; state", "floor 5 next 9: 5d 6a 7-8r"},
        {"rewind 4 keep; write; state", "floor 4 next 4:"},
        {"look 4 9; state", "floor 4 next 9: 4r 5d 6a 7-8r"}, /* what was pending stays */
        {"rewind 8 keep; write; state", "floor 5 next 8: 5d 6a"},
        {"accept 6; write; restart; state; look 8 9; state",
         "floor 5 next 8: 5d; floor 5 next 9: 5d 8r"},
        /* A settle that is under way when all starts again. */
        {"acquire c 1; accept 8; take; rewind 0; take alone; land 1 ok; land 0 ok; state",
         "8; floor 0 next 0:"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_clamp(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 20; acquire a 12; accept 3-5; accept 10 11; defer 6; write",
         "0 1 2 3 4 5 6 7 8 9 10 11"},
        {"restart; clamp 8; write; state", "floor 0 next 8: 0-2a 6d 7a"},
        {"look 8 12; write; restart; state", "floor 0 next 12: 0-2a 6d 7a 8-11r"},
        {"accept 2; accept 9", "LOCK_LOST"},
    };
    CHECK_STEPS(&plain, steps);
}

/* What the random test meets too seldom. */
static void test_crash(void **state)
{
    (void)state;
    /* A page is done with, its head's record fails; its own are trimmed. */
    static const struct ledger_step gone[] = {
        {"look 0 2100; acquire a 2100; write; accept 0-1023; accept 1030; write", ""},
        {"fail; snapshot; mark; cut; state", "floor 1024 next 2100: 1024-1029a 1031-2099a"},
        {"accept 1100-2047; write; accept 1024-1029; write; accept 1031-1099; write", ""},
        {"snapshot; take; snapshot; snapshot; land 0 fail; snapshot; restart; state",
         "floor 2048 next 2100: 2048-2099a"},
    };
    CHECK_STEPS(&plain, gone);
    /* A hole: page 1 is done with, page 0 is not. */
    static const struct ledger_step hole[] = {
        {"look 0 3000; acquire a 3000; write; accept 1000-2100; write; state",
         "floor 0 next 3000: 0-999a 2101-2999a"},
        {"write; snapshot; snapshot; restart; state", "floor 0 next 3000: 0-999a 2101-2999a"},
        {"snapshot; pack; restart; state", "floor 0 next 3000: 0-999a 2101-2999a"},
    };
    CHECK_STEPS(&plain, hole);
    /* A head that fails is told again, but not what a rewind has made void. */
    static const struct ledger_step across[] = {
        {"look 0 2100; acquire a 2100; write; accept 1000-2050; write", ""},
        {"take; rewind 0; take alone; land 1 ok; land 0 fail; state", "floor 0 next 0:"},
        {"look 0 2100; write; restart; state", "floor 0 next 2100: 0-2099r"},
    };
    CHECK_STEPS(&plain, across);
    /* An older record lands behind a change taken alone. */
    static const struct ledger_step alone[] = {
        {"look 0 3; acquire a 3; take; release 0 700; defer 1; accept 2; take alone; land 1 ok",
         "0 1 2"},
        {"land 0 ok; state", "floor 0 next 3: 0w 1d"},
        {"write; restart; state", "floor 0 next 3: 0w 1d"},
    };
    CHECK_STEPS(&plain, alone);
    /* What lies before was lost, what lies behind is known. */
    static const struct ledger_step island[] = {
        {"look 0 9; acquire a 9; accept 0; take alone; write; land 0 fail; restart; state",
         "0 1 2 3 4 5 6 7 8; floor 0 next 0:"},
        {"accept 1-8; write; state; pack; state", "floor 0 next 0:; floor 0 next 0:"},
        {"look 0 9; state; write; restart; state", "floor 0 next 9: 0r; floor 0 next 9: 0r"},
    };
    CHECK_STEPS(&plain, island);
    /* A power cut takes an acquisition back: its token is void, for ever. */
    static const struct ledger_step tokens[] = {
        {"look 0 2; write; mark; acquire a 2; write; cut; state", "0 1; floor 0 next 2: 0-1r"},
        {"acquire b 2; accept old:0 old:1; accept 0 1; write; state",
         "0 1; LOCK_LOST LOCK_LOST; floor 2 next 2:"},
    };
    CHECK_STEPS(&plain, tokens);
    static const struct ledger_step clocks[] = {
        {"look 0 2; acquire a 1; release 0 600; acquire a 1; write; clock -50000; restart; wait "
         "599",
         "0; 1"},
        {"state; wait 1; state", "floor 0 next 2: 0w 1a; floor 0 next 2: 0r 1a"},
        {"wait 399; state; wait 1; state", "floor 0 next 2: 0r 1a; floor 0 next 2: 0-1r"},
        {"acquire a 1; write; clock 50000; restart; wait 0; state", "0:2; floor 0 next 2: 0r2 1r"},
    };
    CHECK_STEPS(&plain, clocks);
}

static void test_pack(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 2; acquire a 2; accept 0 1; write; pack; state; write; restart; state",
         "0 1; floor 2 next 2:; floor 2 next 2:"},
        {"look 2 1500; acquire a 4; release 2; release 3 400; defer 4; accept 5; write; pack",
         "2 3 4 5"},
        {"snapshot; wait 400; state", "floor 2 next 1500: 2-3r 4d 6-1499r"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_stragglers(void **state)
{
    (void)state;
    static const struct ledger_step steps[] = {
        {"look 0 3000; acquire a 3000; accept 0-6; accept 8-1499; accept 1501-2999; write", ""},
        {"stragglers 3000 2; stragglers 3000 1; stragglers 1500 1; stragglers 7 9", "7 1500; 7"},
        {"accept any:7 any:1500; write; state", "floor 3000 next 3000:"},
    };
    CHECK_STEPS(&plain, steps);
}

static void test_sessions(void **state)
{
    (void)state;
    static const struct ledger_steps_conf keyed = {
        .lock_ms = 1000, .attempts = 9, .sessions = true};
    static const struct ledger_step steps[] = {
        {"look 0 2 s; look 2 4 t; look 4 6 s; sessions", "s=4 t=2, 2 ready"},
        {"lock a *; lock b s; lock b *; lock c *", "s; SESSION_LOCKED; t; NOT_FOUND"},
        {"get a s 2; get b s 2; get b t 1; get a s 9", "0 1; 2; 4 5"},
        {"release 1; write; get a s 9", "1:2"},
        {"release 0 500; write; get a s 9; release 1; write; get a s 9", ""}, /* order */
        {"wait 500; get a s 9", "0:2 1:3"},
        {"accept 0; hold a s; wait 999; hold a s; wait 999; sessions", "s=4* t=2, 1 ready"},
        {"write; unlock b t; unlock a s; sessions", "LOCK_LOST; s=3 t=2, 2 ready"},
        {"accept 1; lock c *; get c t 1", "LOCK_LOST; t; 2:2"},
        {"put c t hello; show c t; write; show c t; put a t x", "hello; SESSION_LOCKED"},
        {"put c t no; fail; show c t; accept 2; write; get c t 2; accept 3; write", "hello; 3"},
        {"restart; sessions; show c t", "s=3 t=0*, 1 ready; hello"},
        {"unlock c t; sessions; lock d t; put d t; write; sessions",
         "s=3 t=0, 1 ready; t; s=3 t=0*, 1 ready"},
        {"unlock d t; write; sessions; restart; sessions", "s=3, 1 ready; s=3, 1 ready"},
        {"lock e new; sessions; unlock e new; write; sessions",
         "new; s=3 new=0*, 1 ready; s=3, 1 ready"},
    };
    CHECK_STEPS(&keyed, steps);
    static const struct ledger_step lost[] = {
        {"look 0 3 s; lock a s; get a s 2; accept 0; wait 1000; sessions; lock b s; lock b *",
         "s; 0 1; s=3, 0 ready; SESSION_LOCKED; NOT_FOUND"}, /* 0 may come back */
        {"fail; sessions; lock b s; get b s 9", "s=3, 1 ready; s; 0:2 1:2 2"},
        {"expire1 0; expire1 2; accept 0; wait 1000; lock c s; write; lock c *; get c s 9; state",
         "NOT_FOUND; NOT_FOUND; SESSION_LOCKED; s; 1:3 2:2; floor 1 next 3: 1a3 2a2"},
        {"rewind 0; write; write; sessions; state", "0 ready; floor 0 next 0:"},
    };
    CHECK_STEPS(&keyed, lost);
}

/* A head's snapshot is written while the settles that end a page are under way, so it does not
 * know; then that page, which lives on until a head tells of its end, must keep what it knows. */
static void test_gone_page(void **state)
{
    (void)state;
    struct ledger_log log = {.n = 0};
    struct ledger_conf own = conf;
    own.forget = ledger_log_forget;
    own.user = &log;
    struct ledger *l = ledger_make(&own, 0);
    struct ledger_take take;
    for (unsigned i = 0; i < 2; i++) {
        struct ledger_change *c = ledger_change_make(l);
        if (i == 0)
            assert_int_equal(ledger_add_range(l, 0, LEDGER_PAGE + 9), ERR_OK);
        for (int64_t o = 0; o < LEDGER_PAGE && i == 1; o++)
            assert_int_equal(ledger_accept(c, (struct ledger_ref){o, LEDGER_BY_OFFSET, 0}), ERR_OK);
        ledger_take(c, false, now, &take);
        ledger_log_begin(&log, &take);
        ledger_log_land(&log, &take);
        for (size_t k = 0; k < log.entities_n && i == 1; k++) /* the head: pages are held up */
            ledger_log_snapshot_of(&log, log.entities[k], now);
        ledger_log_end(&log, &take);
        ledger_done(c, ERR_OK, now);
    }
    for (size_t k = 0; k < log.entities_n; k++) {
        if (ledger_entity_next(l, NULL) != log.entities[k])
            ledger_log_snapshot_of(&log, log.entities[k], now);
    }
    assert_true(log.records[0].at > 1); /* the settles' own record is trimmed */
    ledger_free(l);
    l = ledger_log_fold(&log, &own, 0, log.end, now, true);
    assert_int_equal(ledger_floor(l), LEDGER_PAGE);
    assert_int_equal(ledger_next(l), LEDGER_PAGE + 9);
    ledger_free(l);
    ledger_log_free(&log);
}

/* ---- memory ---- */

static void write_all(struct ledger *l, struct ledger_change *c)
{
    struct ledger_take take;
    ledger_take(c, false, now, &take);
    ledger_done(c, ERR_OK, now);
    while (ledger_changed(l)) { /* what the end of the first has brought about */
        c = ledger_change_make(l);
        ledger_take(c, false, now, &take);
        ledger_done(c, ERR_OK, now);
    }
}

static size_t bytes_of(const struct ledger *l)
{
    struct ledger_stat s;
    ledger_stat(l, &s);
    return s.bytes;
}

static void acquire_all(struct ledger *l, uint32_t n)
{
    struct ledger_taken *t = mem_alloc(n * sizeof(*t));
    assert_int_equal(ledger_add_range(l, ledger_next(l), n), ERR_OK);
    assert_int_equal(ledger_acquire(l, 1, 0, now, t, n), n);
    mem_free(t);
    write_all(l, ledger_change_make(l));
}

static void accept_some(struct ledger *l, int64_t from, int64_t to, int64_t step)
{
    struct ledger_change *c = ledger_change_make(l);
    for (int64_t o = from; o < to; o += step)
        assert_int_equal(ledger_accept(c, (struct ledger_ref){o, LEDGER_BY_OFFSET, 0}), ERR_OK);
    write_all(l, c);
}

static void test_memory(void **state)
{
    (void)state;
    struct ledger *l = ledger_make(&conf, 0);
    assert_true(bytes_of(l) <= LEDGER_EMPTY_BYTES);
    acquire_all(l, 200000);
    assert_true(bytes_of(l) <= 200000 * 25 + 4096);
    accept_some(l, 0, 200000, 2); /* every second: as long as pages are thick */
    assert_true(bytes_of(l) <= 100000 * 32);
    accept_some(l, 1, 200000, 2);
    ledger_pack(l, now);
    write_all(l, ledger_change_make(l));
    assert_true(bytes_of(l) <= LEDGER_EMPTY_BYTES);
    /* One message in flight, or a few deferred ones: what a page costs. */
    acquire_all(l, 1);
    assert_true(bytes_of(l) <= LEDGER_EMPTY_BYTES + 1600);
    accept_some(l, 200000, 200001, 1);
    ledger_free(l);
}

static void test_memory_sessions(void **state)
{
    (void)state;
    struct ledger_conf by_session = conf;
    by_session.sessions = true;
    struct ledger *l = ledger_make(&by_session, 0);
    assert_true(bytes_of(l) <= LEDGER_EMPTY_BYTES + 256);
    for (int64_t o = 0; o < 100000; o++)
        assert_int_equal(ledger_add(l, o, o % 2 ? STR_LIT("odd") : STR_LIT("even")), ERR_OK);
    assert_true(bytes_of(l) <= 100000 * 32);
    ledger_free(l);
}

/* ---- records ---- */

static enum err fold_bytes(const char *key, size_t key_n, const char *value, size_t value_n)
{
    struct ledger *l = ledger_make(&conf, 0);
    struct ledger_key k;
    struct ledger_entity *e;
    enum err err = ERR_NOT_FOUND;
    if (ledger_key_read((struct str){key, key_n}, &k))
        err = ledger_fold(l, &k, (struct str){value, value_n}, now, &e);
    if (err == ERR_OK)
        ledger_folded(l, now);
    ledger_free(l);
    return err;
}

static void test_records_bad(void **state)
{
    (void)state;
    char head[32], page[22] = "P";
    size_t n = ledger_key_head(&conf, (uint8_t *)head);
    memcpy(page + 1, head + 1, 20);
#define HEAD(v) fold_bytes(head, n, v, sizeof(v) - 1)
#define PAGE(v) fold_bytes(page, 22, v, sizeof(v) - 1)
    assert_int_equal(HEAD("\1\1\5\0"), ERR_OK);
    assert_int_equal(HEAD("\2\1\5\0"), ERR_FORMAT_NEWER);
    assert_int_equal(HEAD("\0\1\5\0"), ERR_CORRUPT);
    assert_int_equal(HEAD("\1\0\5\0"), ERR_CORRUPT);  /* no epoch */
    assert_int_equal(HEAD("\1\1\5"), ERR_CORRUPT);    /* cut */
    assert_int_equal(HEAD("\1\1\5\0x"), ERR_CORRUPT); /* too long */
    assert_int_equal(HEAD("\1\1\5\1\0\0"), ERR_CORRUPT);
    assert_int_equal(PAGE("\1\1\1\0\0\0"), ERR_OK);
    assert_int_equal(PAGE("\1\1\1\0\0\1\0"), ERR_OK);
    assert_int_equal(PAGE("\1\1\1\0\0\2\0"), ERR_CORRUPT); /* acquired needs more */
    assert_int_equal(PAGE("\1\1\1\0\0\5\0"), ERR_CORRUPT); /* no such state */
    assert_int_equal(PAGE("\1\1\1\xff\7\0\0"), ERR_OK);    /* the last index */
    assert_int_equal(PAGE("\1\1\1\xff\7\1\0"), ERR_CORRUPT);
    assert_int_equal(fold_bytes(page, 21, "", 0), ERR_NOT_FOUND);
    assert_int_equal(fold_bytes("Q", 1, "", 0), ERR_NOT_FOUND);
}

/* A batch of 100 settles is a few bytes. */
static void test_records_small(void **state)
{
    (void)state;
    struct ledger *l = ledger_make(&conf, 0);
    acquire_all(l, 1000);
    struct ledger_change *c = ledger_change_make(l);
    struct ledger_take take;
    for (int64_t o = 300; o < 400; o++)
        assert_int_equal(ledger_accept(c, (struct ledger_ref){o, LEDGER_BY_OWNER, 1}), ERR_OK);
    assert_true(ledger_take(c, false, now, &take));
    assert_true(take.settles && take.n == 1);
    assert_true(take.records[0].key.len <= 32 && take.records[0].value.len <= 16);
    ledger_done(c, ERR_OK, now);
    ledger_free(l);
}

/* Given back after the ledger is gone. */
static void test_change_outlives(void **state)
{
    (void)state;
    struct ledger *l = ledger_make(&conf, 0);
    struct ledger_take take;
    acquire_all(l, 3);
    struct ledger_change *c = ledger_change_make(l);
    assert_int_equal(ledger_accept(c, (struct ledger_ref){1, LEDGER_BY_OFFSET, 0}), ERR_OK);
    ledger_take(c, false, now, &take);
    ledger_free(l);
    ledger_done(c, ERR_OK, now);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_look),
    cmocka_unit_test(test_acquire),
    cmocka_unit_test(test_settle),
    cmocka_unit_test(test_deferred),
    cmocka_unit_test(test_dead),
    cmocka_unit_test(test_claim),
    cmocka_unit_test(test_owner_gone),
    cmocka_unit_test(test_trim),
    cmocka_unit_test(test_rewind),
    cmocka_unit_test(test_clamp),
    cmocka_unit_test(test_crash),
    cmocka_unit_test(test_pack),
    cmocka_unit_test(test_stragglers),
    cmocka_unit_test(test_sessions),
    cmocka_unit_test(test_gone_page),
    cmocka_unit_test(test_memory),
    cmocka_unit_test(test_memory_sessions),
    cmocka_unit_test(test_records_bad),
    cmocka_unit_test(test_records_small),
    cmocka_unit_test(test_change_outlives),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
