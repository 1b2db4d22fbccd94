/* ledger.c: how fast a ledger is in memory, and what it holds: the numbers of DESIGN's targets that
 * need no disk.
 *
 *     pairs      acquire and settle, with look, records and their end, by batches of 1 and 100; a
 *                turn of the loop is 100 messages, or 1 (each with records of its own)
 *     backlog    MESSAGES unsettled, acquired by turns of 100: memory for each, the size of the
 *                snapshot, and how long its fold takes
 *     random     the same with each third message settled at random places
 *
 * Rates and times are of CPU time. Prints one JSON object. */
#include "wire.h"

#include "base/random.h"
#include "broker/ledger.h"

#define PAIRS 10000000
#define TURN 100

static struct ledger_time now = {1000000, 1767225600000};

static const struct ledger_conf conf = {
    .subscription = {{1, 2, 3, 4}},
    .incarnation = 1,
    .lock_ms = 60000,
    .attempts = 10,
};

/* Of this process's CPU time: it waits for nothing, and others may share the core. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static double seconds_since(uint64_t start_us)
{
    return (double)(cpu_us() - start_us) / 1e6;
}

static uint64_t record_bytes;

static void written(struct ledger *l, struct ledger_change *c)
{
    struct ledger_take take;
    (void)l;
    ledger_take(c, false, now, &take);
    for (size_t i = 0; i < take.n; i++)
        record_bytes += take.records[i].key.len + take.records[i].value.len;
    ledger_done(c, ERR_OK, now);
}

static void expect(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "ledger: %s\n", what);
    exit(1);
}

/* `turn` messages in batches of `batch`, then what they changed is written. */
static void turn_run(struct ledger *l, unsigned turn, unsigned batch)
{
    struct ledger_taken taken[TURN];
    struct ledger_change *c = ledger_change_make(l);
    for (unsigned done = 0; done < turn; done += batch) {
        enum err err = ledger_add_range(l, ledger_next(l), batch);
        size_t n = ledger_acquire(l, 7, 0, now, taken, batch);
        expect(err == ERR_OK && n == batch, "not acquired");
        for (unsigned i = 0; i < batch; i++)
            expect(ledger_accept(c, ledger_ref(l, &taken[i].token)) == ERR_OK, "not settled");
    }
    written(l, c);
}

static double pairs_per_second(unsigned turn, unsigned batch, double *bytes_each)
{
    struct ledger *l = ledger_make(&conf, 0);
    record_bytes = 0;
    uint64_t start = cpu_us();
    for (unsigned i = 0; i < PAIRS / turn; i++)
        turn_run(l, turn, batch);
    double rate = PAIRS / seconds_since(start);
    *bytes_each = (double)record_bytes / PAIRS;
    expect(ledger_floor(l) == PAIRS, "not all settled");
    ledger_free(l);
    return rate;
}

static struct ledger *backlog_make(unsigned messages)
{
    struct ledger *l = ledger_make(&conf, 0);
    struct ledger_taken taken[TURN];
    for (unsigned i = 0; i < messages / TURN; i++) {
        struct ledger_change *c = ledger_change_make(l);
        expect(ledger_add_range(l, ledger_next(l), TURN) == ERR_OK, "not added");
        expect(ledger_acquire(l, 7, 0, now, taken, TURN) == TURN, "not acquired");
        now.mono_ms += i % 4 == 0;
        now.wall_ms += i % 4 == 0;
        written(l, c);
    }
    return l;
}

/* Whole pages only differ by what is settled in them. */
static void third_settled(struct ledger *l, unsigned messages)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < messages / 3; i += TURN) {
        struct ledger_change *c = ledger_change_make(l);
        for (unsigned k = 0; k < TURN; k++) {
            int64_t offset = (int64_t)rng_below(&rng, messages);
            enum err err = ledger_accept(c, (struct ledger_ref){offset, LEDGER_BY_OFFSET, 0});
            expect(err == ERR_OK || err == ERR_LOCK_LOST, "not settled");
        }
        written(l, c);
    }
}

struct snapshot {
    struct slice *batches;
    size_t n, cap, bytes;
};

/* Page by page, as a state log would write them. */
static void snapshot_add(struct snapshot *s, struct ledger_entity *e)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    ledger_snapshot(e, now, &b);
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 1024 : s->cap * 2;
        s->batches = wire_alloc(s->batches, s->cap * sizeof(*s->batches));
    }
    s->batches[s->n] = batch_end(&b);
    s->bytes += s->batches[s->n++].len;
}

static void snapshot_make(struct ledger *l, struct snapshot *s)
{
    struct ledger_entity *e = NULL;
    while ((e = ledger_entity_next(l, e)) != NULL)
        snapshot_add(s, e);
}

static struct ledger *fold(const struct snapshot *s)
{
    struct ledger *l = ledger_make(&conf, 0);
    for (size_t i = 0; i < s->n; i++) {
        struct batch_head head;
        struct record_iter it;
        struct record r;
        expect(batch_head_read(s->batches[i].at, s->batches[i].len, &head) == ERR_OK, "no batch");
        record_iter_init(&it, &head, s->batches[i].at + BATCH_HEAD_BYTES,
                         s->batches[i].len - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &r) == ERR_OK) {
            struct ledger_key key;
            struct ledger_entity *e;
            expect(ledger_key_read(r.key, &key), "no key");
            expect(ledger_fold(l, &key, r.value, now, &e) == ERR_OK, "not folded");
        }
    }
    ledger_folded(l, now);
    return l;
}

static void backlog(const char *name, unsigned messages, bool random)
{
    struct ledger *l = backlog_make(messages);
    struct snapshot s = {.n = 0};
    struct ledger_stat before, after;
    if (random)
        third_settled(l, messages);
    ledger_stat(l, &before);
    snapshot_make(l, &s);
    ledger_free(l);
    uint64_t start = cpu_us();
    l = fold(&s);
    double seconds = seconds_since(start);
    ledger_stat(l, &after);
    expect(after.acquired == before.acquired, "the fold has lost some");
    printf(", \"%s\": {\"unsettled\": %u, \"bytes_each\": %.2f, \"snapshot_bytes_each\": %.2f, "
           "\"fold_seconds\": %.3f, \"bytes_each_after_fold\": %.2f}",
           name, before.acquired, (double)before.bytes / before.acquired,
           (double)s.bytes / before.acquired, seconds, (double)after.bytes / after.acquired);
    ledger_free(l);
    for (size_t i = 0; i < s.n; i++)
        slice_unref(s.batches[i]);
    free(s.batches);
}

int main(int argc, char **argv)
{
    unsigned messages = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000000;
    double bytes, rate = pairs_per_second(TURN, 100, &bytes);
    if (argc > 2 || messages < 1000) {
        fputs("usage: ledger [MESSAGES >= 1000]\n", stderr);
        return 2;
    }
    printf("{\"pairs_per_second_by_100\": %.0f, \"record_bytes_each_by_100\": %.2f", rate, bytes);
    rate = pairs_per_second(TURN, 1, &bytes);
    printf(", \"pairs_per_second_by_1\": %.0f", rate);
    rate = pairs_per_second(1, 1, &bytes);
    printf(", \"pairs_per_second_by_1_in_turns_of_1\": %.0f, \"record_bytes_each_in_turns_of_1\": "
           "%.2f",
           rate, bytes);
    struct ledger *l = ledger_make(&conf, 0);
    struct ledger_stat s;
    ledger_stat(l, &s);
    ledger_free(l);
    printf(", \"empty_ledger_bytes\": %zu", s.bytes);
    backlog("backlog", messages, false);
    backlog("random", messages, true);
    puts("}");
    return 0;
}
