#include "store_model.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An INTERVAL append is durable after its interval, and the time that syncs may take. */
#define INTERVAL_MS 5
#define INTERVAL_SLACK_US 60000
#define RELAXED_ONE_IN 4 /* groups */

__attribute__((format(printf, 2, 3))) static void wrong(struct player *p, const char *fmt, ...)
{
    va_list ap;
    if (p->wrong)
        return;
    va_start(ap, fmt);
    vsnprintf(p->wrong_text, sizeof(p->wrong_text), fmt, ap);
    va_end(ap);
    p->wrong = p->wrong_text;
}

/* With STORE_TRACE set, what the player does and is told, to find out how it came to be wrong. */
__attribute__((format(printf, 2, 3))) static void trace(const struct player *p, const char *fmt,
                                                        ...)
{
    va_list ap;
    if (!getenv("STORE_TRACE"))
        return;
    va_start(ap, fmt);
    fprintf(stderr, "%8llu ", (unsigned long long)sim_mono_us(p->w.sim));
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* --- batches --- */

static struct model_batch *batch_new(struct player *p, struct model_log *log)
{
    struct model_batch *b = mem_zalloc(1, sizeof(*b));
    size_t bytes = rng_one_in(&p->rng, 20) ? rng_below(&p->rng, 30000) : rng_below(&p->rng, 1500);
    b->tag = p->next_tag++;
    b->n = 1 + (unsigned)rng_below(&p->rng, 3);
    b->bytes = world_batch(b->tag, b->n, bytes / b->n, 1000 + (int64_t)b->tag);
    b->offset = -1;
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 32;
        log->batch = mem_realloc(log->batch, log->cap * sizeof(struct model_batch *));
    }
    log->batch[log->count++] = b;
    return b;
}

static void log_drop_batch(struct model_log *log, const struct model_batch *b)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->batch[i] == b) {
            memmove(log->batch + i, log->batch + i + 1,
                    (log->count - i - 1) * sizeof(struct model_batch *));
            log->count--;
            return;
        }
    }
}

/* --- requests --- */

static void group_done(struct store_group *group, enum err err)
{
    struct model_group *g = container_of(group, struct model_group, group);
    struct player *p = g->player;
    for (unsigned i = 0; i < g->n; i++) {
        struct model_log *log = g->log[i];
        trace(p, "log %u: batch %llu: %s at %lld", log->index, (unsigned long long)g->batch[i]->tag,
              err_name(err), (long long)g->append[i].base_offset);
        struct model_batch *b = g->batch[i];
        if (log->generation != g->generation[i])
            continue;
        if (err) {
            log_drop_batch(log, b);
            continue;
        }
        b->state = MODEL_ACKED;
        b->offset = g->append[i].base_offset;
        b->acked_us = sim_mono_us(p->w.sim);
    }
    if (err == ERR_OK)
        p->acked++;
    else if (err == ERR_DISK_FULL || err == ERR_STORAGE || p->stopping)
        p->refused++;
    else
        wrong(p, "a group was answered with %s", err_name(err));
}

static void group_commit(struct store_world *w, void *arg)
{
    struct model_group *g = arg;
    struct store *s = w->stores[g->group.token];
    g->group.done = group_done;
    store_begin(s, &g->group);
    g->group.done = group_done;
    g->group.relaxed = g->relaxed;
    for (unsigned i = 0; i < g->n; i++)
        store_append(s, &g->group, &g->append[i]);
    store_commit(s, &g->group);
}

/* Runs fn on a reactor, without waiting for it. */
struct errand {
    struct env_mail mail;
    struct player *p;
    world_fn *fn;
    void *arg;
};

static void errand_run(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct errand *e = container_of(mail, struct errand, mail);
    e->fn(&e->p->w, e->arg);
    mem_free(e);
}

static void send(struct player *p, unsigned reactor, world_fn *fn, void *arg)
{
    struct errand *e = mem_alloc(sizeof(*e));
    *e = (struct errand){.mail.run = errand_run, .p = p, .fn = fn, .arg = arg};
    env_post(loop_env(p->w.loops[reactor]), reactor, &e->mail);
}

static bool log_usable(const struct model_log *log)
{
    return log->log && !log->deleting;
}

static struct model_log *log_pick(struct player *p)
{
    struct model_log *log = &p->logs[rng_below(&p->rng, MODEL_LOGS)];
    return log_usable(log) ? log : NULL;
}

static void act_append(struct player *p)
{
    struct model_group *g = mem_zalloc(1, sizeof(*g));
    unsigned want = rng_one_in(&p->rng, 3) ? 1 + (unsigned)rng_below(&p->rng, 4) : 1;
    unsigned from = (unsigned)rng_below(&p->rng, p->w.n);
    g->player = p;
    g->relaxed = rng_one_in(&p->rng, RELAXED_ONE_IN);
    for (unsigned i = 0; i < want; i++) {
        struct model_log *log = log_pick(p);
        if (!log)
            continue;
        if (want == 1)
            from = world_reactor(&p->w, log->id);
        struct model_batch *b = batch_new(p, log);
        g->append[g->n] = (struct store_append){
            .log = log->log, .batch = slice_copy(b->bytes.at, b->bytes.len), .append_ms = 1};
        g->log[g->n] = log;
        g->generation[g->n] = log->generation;
        g->batch[g->n++] = b;
        b->group = g;
        g->durable = g->durable || (log->conf.flush == STORE_FLUSH_EACH && !g->relaxed);
    }
    if (g->n == 0) {
        mem_free(g);
        return;
    }
    bool local = true;
    for (unsigned i = 0; i < g->n; i++)
        local = local && world_reactor(&p->w, g->log[i]->id) == from;
    for (unsigned i = 0; i < g->n; i++)
        g->batch[i]->local = local;
    for (unsigned i = 0; i < g->n; i++)
        trace(p, "log %u: append batch %llu from %u%s", g->log[i]->index,
              (unsigned long long)g->batch[i]->tag, from, g->n > 1 ? " in a group" : "");
    g->next = p->groups;
    p->groups = g;
    g->group.token = from;
    send(p, from, group_commit, g);
}

struct trim {
    struct store_trim op;
    struct player *p;
    struct model_log *log;
    unsigned generation;
};

static void trim_done(struct store_trim *op, enum err err)
{
    struct trim *t = container_of(op, struct trim, op);
    trace(t->p, "log %u: trim to %lld: %s", t->log->index, (long long)op->log_start, err_name(err));
    if (t->log->generation == t->generation) {
        t->log->trimming = false;
        if (!err && op->log_start > t->log->start)
            t->log->start = op->log_start;
    }
    if (err && err != ERR_STORAGE && !t->p->stopping)
        wrong(t->p, "a trim was answered with %s", err_name(err));
    mem_free(t);
}

static void trim_run(struct store_world *w, void *arg)
{
    struct trim *t = arg;
    if (t->log->generation != t->generation || !log_usable(t->log)) {
        mem_free(t);
        return;
    }
    store_trim(w->stores[world_reactor(w, t->log->id)], &t->op);
}

static void act_trim(struct player *p)
{
    struct model_log *log = log_pick(p);
    if (!log || log->trimming || log->end <= log->start)
        return;
    struct trim *t = mem_zalloc(1, sizeof(*t));
    int64_t to = log->start + 1 + (int64_t)rng_below(&p->rng, (uint64_t)(log->end - log->start));
    t->op = (struct store_trim){.log = log->log, .log_start = to, .done = trim_done};
    t->p = p;
    t->log = log;
    t->generation = log->generation;
    log->trimming = true;
    log->start_asked = to;
    trace(p, "log %u: trim to %lld", log->index, (long long)to);
    send(p, world_reactor(&p->w, log->id), trim_run, t);
}

struct removal {
    struct store_delete op;
    struct player *p;
    struct model_log *log;
};

static void log_forget(struct model_log *log)
{
    log->generation++;
    log->log = NULL;
    log->exists = log->creating = log->deleting = log->trimming = false;
    log->start = log->start_asked = log->end = 0;
    log->count = 0;
}

static void remove_done(struct store_delete *op, enum err err)
{
    struct removal *r = container_of(op, struct removal, op);
    trace(r->p, "log %u: remove: %s", r->log->index, err_name(err));
    if (!err)
        log_forget(r->log);
    else if (!r->p->stopping)
        wrong(r->p, "a delete was answered with %s", err_name(err));
    mem_free(r);
}

static void remove_run(struct store_world *w, void *arg)
{
    struct removal *r = arg;
    store_remove(w->stores[world_reactor(w, r->log->id)], &r->op);
}

/* Only when no group is on its way to it: whoever deletes a log sees to that. */
static bool log_quiet(const struct model_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->batch[i]->state == MODEL_PENDING)
            return false;
    }
    return !log->trimming;
}

static void act_remove(struct player *p)
{
    struct model_log *log = log_pick(p);
    if (!log || !log_quiet(log))
        return;
    struct removal *r = mem_zalloc(1, sizeof(*r));
    r->op = (struct store_delete){.log = log->log, .done = remove_done};
    r->p = p;
    r->log = log;
    log->deleting = true;
    trace(p, "log %u: remove", log->index);
    send(p, world_reactor(&p->w, log->id), remove_run, r);
}

static void end_moved(void *user, int64_t end)
{
    struct model_log *log = user;
    log->end = end;
}

static void start_moved(void *user, int64_t start)
{
    struct model_log *log = user;
    if (start > log->start)
        log->start = start;
}

static struct slice snapshot(void *user)
{
    struct model_log *log = user;
    return slice_copy(&log->end, sizeof(log->end));
}

static const struct store_log_events events = {
    .end_moved = end_moved, .start_moved = start_moved, .snapshot = snapshot};

struct opening {
    struct store_open op;
    struct player *p;
    struct model_log *log;
    int64_t seen; /* end of the last batch replayed */
    bool done;
    enum err err;
};

static void open_replay(struct store_open *op, const struct batch_head *head, int64_t append_ms)
{
    struct opening *o = container_of(op, struct opening, op);
    if (append_ms != 1)
        wrong(o->p, "log %u: a batch has append time %lld", o->log->index, (long long)append_ms);
    if (head->base_offset < o->seen)
        wrong(o->p, "log %u: replayed out of order", o->log->index);
    o->seen = batch_next_offset(head);
}

static void open_done(struct store_open *op, enum err err)
{
    struct opening *o = container_of(op, struct opening, op);
    o->err = err;
    o->done = true;
    trace(o->p, "log %u: open: %s", o->log->index, err_name(err));
    if (err) /* creating it may have been done all the same */
        return;
    o->log->creating = false;
    o->log->exists = true;
    o->log->log = op->log;
    o->log->end = op->end;
    if (op->log_start > o->log->start)
        o->log->start = op->log_start;
}

static void open_run(struct store_world *w, void *arg)
{
    struct opening *o = arg;
    store_open(w->stores[world_reactor(w, o->log->id)], &o->op);
}

static struct opening *opening_make(struct player *p, struct model_log *log, bool create)
{
    struct opening *o = mem_zalloc(1, sizeof(*o));
    o->op = (struct store_open){.id = log->id,
                                .conf = log->conf,
                                .create = create,
                                .events = &events,
                                .user = log,
                                .replay = open_replay,
                                .done = open_done};
    o->p = p;
    o->log = log;
    return o;
}

static void act_create(struct player *p)
{
    struct model_log *log = &p->logs[rng_below(&p->rng, MODEL_LOGS)];
    if (log->log || log->creating || log->deleting)
        return;
    log->creating = true;
    trace(p, "log %u: create", log->index);
    send(p, world_reactor(&p->w, log->id), open_run, opening_make(p, log, true));
}

static void checkpoint_run(struct store_world *w, void *arg)
{
    (void)arg;
    embedded_checkpoint(w->embedded, NULL, NULL);
}

void player_act(struct player *p)
{
    uint64_t what = rng_below(&p->rng, 100);
    if (what < 10)
        act_create(p);
    else if (what < 12)
        act_trim(p);
    else if (what < 13)
        act_remove(p);
    else if (what < 15)
        send(p, 0, checkpoint_run, NULL);
    else
        act_append(p);
}

/* --- checks --- */

static struct model_batch *batch_by_tag(const struct model_log *log, uint64_t tag)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->batch[i]->tag == tag)
            return log->batch[i];
    }
    return NULL;
}

/* The tag in a batch's first record. */
static uint64_t tag_of(const struct batch_head *head, const uint8_t *bytes)
{
    struct record_iter it;
    struct record r;
    char text[32] = "";
    record_iter_init(&it, head, bytes + BATCH_HEAD_BYTES, head->bytes - BATCH_HEAD_BYTES);
    if (record_iter_next(&it, &r) || !r.value.at)
        return UINT64_MAX;
    memcpy(text, r.value.at, r.value.len < 31 ? r.value.len : 31);
    return strtoull(text, NULL, 10);
}

/* One batch read back: known, unchanged, in its place. */
static void check_one(struct player *p, struct model_log *log, const struct batch_head *head,
                      const uint8_t *bytes)
{
    struct model_batch *b = batch_by_tag(log, tag_of(head, bytes));
    if (!b || b->found) {
        wrong(p, "log %u: offset %lld holds a batch that was %s", log->index,
              (long long)head->base_offset, b ? "there before" : "never appended");
        return;
    }
    b->found = true;
    /* all but base offset and leader epoch */
    if (head->bytes != b->bytes.len || memcmp(bytes + 8, b->bytes.at + 8, 4) != 0 ||
        memcmp(bytes + 16, b->bytes.at + 16, b->bytes.len - 16) != 0)
        wrong(p, "log %u: batch %llu came back changed", log->index, (unsigned long long)b->tag);
    if (b->offset >= 0 && b->offset != head->base_offset)
        wrong(p, "log %u: batch %llu moved from %lld to %lld", log->index,
              (unsigned long long)b->tag, (long long)b->offset, (long long)head->base_offset);
    b->offset = head->base_offset;
}

static void check_content(struct player *p, struct model_log *log, struct slice all, int64_t start,
                          int64_t end)
{
    int64_t next = -1;
    for (size_t at = 0; at < all.len;) {
        struct batch_head head;
        if (batch_head_read(all.at + at, all.len - at, &head) || head.bytes > all.len - at ||
            !batch_crc_ok(all.at + at, &head)) {
            wrong(p, "log %u: a torn batch at byte %zu", log->index, at);
            return;
        }
        if (next >= 0 ? head.base_offset != next
                      : head.base_offset > start || batch_next_offset(&head) <= start)
            wrong(p, "log %u: batch at %lld, expected %lld", log->index,
                  (long long)head.base_offset, (long long)(next >= 0 ? next : start));
        check_one(p, log, &head, all.at + at);
        next = batch_next_offset(&head);
        at += head.bytes;
    }
    if (all.len > 0 ? next != end : start != end)
        wrong(p, "log %u: ends at %lld, says %lld", log->index, (long long)next, (long long)end);
}

static bool must_be_there(const struct player *p, const struct model_log *log,
                          const struct model_batch *b, enum player_end how, uint64_t ended_us)
{
    (void)p;
    if (b->state == MODEL_KEPT || how == PLAYER_STOP)
        return b->state != MODEL_PENDING;
    if (b->state == MODEL_PENDING)
        return false;
    if (how == PLAYER_KILL || (b->group && b->group->durable))
        return true;
    bool relaxed = log->conf.flush == STORE_FLUSH_EACH;
    uint64_t within_ms = relaxed ? STORE_RELAXED_MS : INTERVAL_MS;
    return (relaxed || log->conf.flush == STORE_FLUSH_INTERVAL) &&
           b->acked_us + within_ms * 1000 + INTERVAL_SLACK_US < ended_us;
}

static void check_presence(struct player *p, struct model_log *log, int64_t start,
                           enum player_end how, uint64_t ended_us)
{
    bool hole = false;
    for (size_t i = 0; i < log->count; i++) {
        struct model_batch *b = log->batch[i];
        bool trimmed = b->offset >= 0 && b->offset + b->n <= start;
        if (!b->found && !trimmed && must_be_there(p, log, b, how, ended_us))
            wrong(p, "log %u: batch %llu, acknowledged at offset %lld, is lost", log->index,
                  (unsigned long long)b->tag, (long long)b->offset);
        if (!b->local || trimmed || start > 0)
            continue;
        if (b->found && hole)
            wrong(p, "log %u: batch %llu is there, an earlier one is not", log->index,
                  (unsigned long long)b->tag);
        hole = hole || !b->found;
    }
}

static void check_groups(struct player *p)
{
    for (const struct model_group *g = p->groups; g; g = g->next) {
        unsigned there = 0, missing = 0;
        for (unsigned i = 0; i < g->n; i++) {
            const struct model_log *log = g->log[i];
            const struct model_batch *b = g->batch[i];
            if (log->generation != g->generation[i] || !log->exists || b->offset == INT64_MIN)
                continue;
            there += b->found;
            /* below a log start nobody can tell */
            missing += !b->found && log->start == 0;
        }
        if (there && missing)
            wrong(p, "a group of %u is there in %u of its logs only", g->n, there);
    }
}

/* What is left becomes the state from which the next life goes on. */
static void settle(struct player *p)
{
    for (unsigned k = 0; k < MODEL_LOGS; k++) {
        struct model_log *log = &p->logs[k];
        size_t kept = 0;
        for (size_t i = 0; i < log->count; i++) {
            struct model_batch *b = log->batch[i];
            if (!b->found)
                continue;
            b->state = MODEL_KEPT;
            b->group = NULL;
            b->local = false;
            log->batch[kept++] = b;
        }
        log->count = kept;
    }
    p->groups = NULL;
}

static void check_log(struct player *p, struct model_log *log, enum player_end how,
                      uint64_t ended_us)
{
    struct slice all;
    struct store_log_stat stat = world_stat(&p->w, log->id, log->log);
    enum err err =
        world_read(&p->w, log->id, log->log, stat.log_start, INT64_MAX, SIZE_MAX, &all, NULL);
    if (err) {
        wrong(p, "log %u: reading: %s", log->index, err_name(err));
        return;
    }
    if (stat.log_start < log->start)
        wrong(p, "log %u: starts at %lld, was trimmed to %lld", log->index,
              (long long)stat.log_start, (long long)log->start);
    if (stat.log_start > log->start && !log->retained &&
        (!log->trimming || stat.log_start > log->start_asked))
        wrong(p, "log %u: starts at %lld, nobody trimmed it so far", log->index,
              (long long)stat.log_start);
    log->start = log->start_asked = stat.log_start;
    log->end = stat.end;
    log->trimming = false;
    for (size_t i = 0; i < log->count; i++)
        log->batch[i]->found = false;
    check_content(p, log, all, stat.log_start, stat.end);
    slice_unref(all);
    check_presence(p, log, stat.log_start, how, ended_us);
}

static void count_log(void *arg, const struct store_log_id *id)
{
    struct player *p = arg;
    for (unsigned k = 0; k < MODEL_LOGS; k++) {
        if (p->logs[k].id.partition == id->partition)
            p->logs[k].exists = true;
    }
}

static bool open_one(struct player *p, struct model_log *log)
{
    struct opening *o = opening_make(p, log, false);
    send(p, world_reactor(&p->w, log->id), open_run, o);
    (void)sim_run_while_not(p->w.sim, &o->done, 60000000);
    if (!o->done || o->err)
        wrong(p, "log %u: open: %s", log->index, o->done ? err_name(o->err) : "no answer");
    return !p->wrong;
}

static void check_all(struct player *p, enum player_end how, uint64_t ended_us)
{
    bool expected[MODEL_LOGS], maybe[MODEL_LOGS];
    for (unsigned k = 0; k < MODEL_LOGS; k++) {
        struct model_log *log = &p->logs[k];
        expected[k] = log->exists;
        maybe[k] = log->creating || log->deleting;
        log->exists = log->creating = log->deleting = false;
        log->log = NULL;
    }
    for (unsigned r = 0; r < p->w.n; r++)
        p->w.stores[r]->ops->each(p->w.stores[r], count_log, p);
    for (unsigned k = 0; k < MODEL_LOGS && !p->wrong; k++) {
        struct model_log *log = &p->logs[k];
        if (log->exists != expected[k] && !maybe[k])
            wrong(p, "log %u %s", k, expected[k] ? "is gone" : "came back");
        else if (!log->exists)
            log_forget(log);
        else if (open_one(p, log))
            check_log(p, log, how, ended_us);
    }
    if (!p->wrong)
        check_groups(p);
    settle(p);
}

/* --- lives --- */

void player_make(struct player *p, uint64_t seed)
{
    static const enum store_flush modes[] = {STORE_FLUSH_EACH, STORE_FLUSH_EACH,
                                             STORE_FLUSH_INTERVAL, STORE_FLUSH_OS};
    memset(p, 0, sizeof(*p));
    p->seed = seed;
    rng_seed(&p->rng, seed * 2 + 1);
    world_make(&p->w, WORLD_SIM, 1 + (unsigned)rng_below(&p->rng, 3), seed);
    struct embedded_conf *c = &p->w.conf;
    c->where = rng_one_in(&p->rng, 2) ? COMMIT_INLINE : COMMIT_HELPER;
    c->journal_first_bytes = (16 + rng_below(&p->rng, 64)) << 10;
    c->journal_file_bytes = (64 + rng_below(&p->rng, 64)) << 10;
    c->journal_bytes = (256 + rng_below(&p->rng, 512)) << 10;
    c->checkpoint_bytes = (32 + rng_below(&p->rng, 300)) << 10;
    c->checkpoint_ms = 5 + rng_below(&p->rng, 100);
    c->retention_ms = 20;
    c->unload_looks = 1 + rng_below(&p->rng, 2);
    c->files_max = 8;
    c->sync_files_max = rng_one_in(&p->rng, 2) ? 1 + rng_below(&p->rng, 6) : 64;
    c->reference_bytes = rng_one_in(&p->rng, 2) ? 1000 + rng_below(&p->rng, 8000) : 0;
    for (unsigned k = 0; k < MODEL_LOGS; k++) {
        struct model_log *log = &p->logs[k];
        log->index = k;
        log->id = world_id(1, k);
        log->conf = world_log_conf;
        log->conf.segment_bytes = (int64_t)(2 + rng_below(&p->rng, 20)) << 10;
        log->conf.flush = modes[rng_below(&p->rng, 4)];
        log->conf.flush_ms = INTERVAL_MS;
        log->conf.delete_delay_ms = 10;
        log->retained = rng_one_in(&p->rng, 5);
        log->conf.retention_bytes = log->retained ? 30000 : -1;
    }
}

void player_free(struct player *p)
{
    world_free(&p->w);
}

bool player_wait(struct player *p, uint64_t us)
{
    sim_run_until(p->w.sim, sim_mono_us(p->w.sim) + us);
    return !sim_was_cut(p->w.sim) && !p->w.failed && !p->wrong;
}

static enum player_end last_end;
static uint64_t last_end_us;

bool player_start(struct player *p, bool cuts)
{
    enum err err;
    while (true) {
        struct sim_disk_faults faults = {0};
        cuts = cuts && !rng_one_in(&p->rng, 3);
        if (cuts)
            faults.cut_after = 1 + (uint32_t)rng_below(&p->rng, 60);
        sim_disk_set_faults(p->w.sim, &faults);
        err = world_start(&p->w);
        if (err != ERR_CLOSED)
            break;
        world_cut(&p->w);
        if (last_end == PLAYER_KILL || last_end == PLAYER_STOP)
            last_end = last_end == PLAYER_STOP ? PLAYER_STOP : PLAYER_CUT;
        p->cuts++;
    }
    sim_disk_set_faults(p->w.sim, &(struct sim_disk_faults){0});
    if (err) {
        wrong(p, "start: %s: %s", err_name(err), p->w.text.s);
        return false;
    }
    p->lives++;
    p->stopping = false;
    trace(p, "start %llu: %llu groups, %llu batches, cut %llu", (unsigned long long)p->lives,
          (unsigned long long)p->w.report.groups, (unsigned long long)p->w.report.batches,
          (unsigned long long)p->w.report.cut_bytes);
    check_all(p, last_end, last_end_us);
    return !p->wrong;
}

bool player_end(struct player *p, enum player_end how)
{
    static const char *const names[] = {"cut", "kill", "stop"};
    trace(p, "%s", names[how]);
    last_end = how;
    last_end_us = p->w.failed ? p->w.failed_us : sim_mono_us(p->w.sim);
    p->stopping = how == PLAYER_STOP;
    if (how == PLAYER_STOP) {
        enum err err = world_stop(&p->w);
        if (err && !p->w.failed)
            wrong(p, "stop: %s", err_name(err));
        return !p->wrong;
    }
    if (how == PLAYER_KILL)
        world_kill(&p->w);
    else
        world_cut(&p->w);
    p->cuts += how == PLAYER_CUT;
    return true;
}
