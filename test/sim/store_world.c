#include "store_world.h"

#include "base/mem.h"
#include "remote_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct store_log_conf world_log_conf = {.flush = STORE_FLUSH_EACH,
                                              .segment_bytes = 16 << 10,
                                              .segment_ms = INT64_MAX,
                                              .retention_ms = -1,
                                              .retention_bytes = -1,
                                              .delete_delay_ms = 1000,
                                              .index_interval_bytes = 512};

static unsigned reactor_of(void *arg, const struct store_log_id *id)
{
    const struct store_world *w = arg;
    return id->partition % w->n;
}

static void on_failed(void *arg, enum err err, const char *what)
{
    struct store_world *w = arg;
    (void)what;
    w->failed = err;
    w->failed_us = w->sim ? sim_mono_us(w->sim) : 0;
    pthread_mutex_lock(&w->mutex);
    w->done = true;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

void world_make(struct store_world *w, enum world_kind kind, unsigned reactors, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->kind = kind;
    w->n = reactors;
    w->seed = seed;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->cond, NULL);
    if (kind == WORLD_REAL) {
        w->disk = disk_real();
        snprintf(w->dir, sizeof(w->dir), "/tmp/weir-store-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
    } else {
        w->sim = sim_make(&(struct sim_conf){.seed = seed, .disk_bytes = (uint64_t)64 << 20});
        w->disk = sim_disk(w->sim);
        snprintf(w->dir, sizeof(w->dir), "/data");
    }
    w->conf = (struct embedded_conf){.dir = w->dir,
                                     .disk = w->disk,
                                     .reactor_of = reactor_of,
                                     .failed = on_failed,
                                     .arg = w,
                                     .journal_first_bytes = 64 << 10,
                                     .journal_file_bytes = 256 << 10,
                                     .journal_bytes = 4 << 20,
                                     .reserve_bytes = 64 << 10,
                                     .where = kind == WORLD_REAL ? COMMIT_AUTO : COMMIT_INLINE};
}

static void *thread_run(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void start_in_sim(void *arg)
{
    struct store_world *w = arg;
    enum err err =
        embedded_open(&w->conf, w->loops, w->n, w->stores, &w->embedded, &w->report, &w->text);
    w->failed = err;
}

enum err world_start(struct store_world *w)
{
    enum err err;
    w->failed = ERR_OK;
    w->embedded = NULL;
    memset(&w->text, 0, sizeof(w->text));
    if (w->kind == WORLD_REAL) {
        assert_int_equal(loop_set_make(w->n, w->loops), ERR_OK);
        err =
            embedded_open(&w->conf, w->loops, w->n, w->stores, &w->embedded, &w->report, &w->text);
        for (unsigned i = 0; i < w->n && !err; i++)
            assert_int_equal(pthread_create(&w->threads[i], NULL, thread_run, w->loops[i]), 0);
        if (err)
            loop_set_free(w->n, w->loops);
    } else {
        sim_loops(w->sim, w->n, w->loops);
        if (w->kind == WORLD_REMOTE) {
            if (!w->remote)
                w->remote = remote_make(w->sim);
            remote_attach(w->remote, w->loops, w->n, w->stores);
            err = ERR_OK;
        } else {
            err = sim_try(w->sim, start_in_sim, w) ? w->failed : ERR_CLOSED;
            w->failed = ERR_OK;
        }
    }
    w->running = !err;
    return err;
}

/* --- calls --- */

void world_done(struct store_world *w)
{
    pthread_mutex_lock(&w->mutex);
    w->done = true;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

struct call {
    struct env_mail mail;
    struct store_world *w;
    world_fn *fn;
    void *arg;
};

static void call_run(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct call *c = container_of(mail, struct call, mail);
    struct call copy = *c;
    mem_free(c);
    copy.fn(copy.w, copy.arg);
}

bool world_call(struct store_world *w, unsigned reactor, world_fn *fn, void *arg)
{
    struct call *c = mem_alloc(sizeof(*c));
    *c = (struct call){.mail.run = call_run, .w = w, .fn = fn, .arg = arg};
    w->done = false;
    env_post(loop_env(w->loops[reactor]), reactor, &c->mail);
    if (w->kind != WORLD_REAL)
        return sim_run_while_not(w->sim, &w->done, 600 * UINT64_C(1000000)) && !w->failed;
    pthread_mutex_lock(&w->mutex);
    while (!w->done)
        pthread_cond_wait(&w->cond, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    return !w->failed;
}

/* --- ends --- */

struct closing {
    enum err err;
    struct store_world *w;
};

static void close_done(void *arg, enum err err)
{
    struct closing *c = arg;
    c->err = err;
    world_done(c->w);
}

static void close_run(struct store_world *w, void *arg)
{
    embedded_close(w->embedded, close_done, arg);
}

static void loops_end(struct store_world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        loop_stop(w->loops[i]);
    for (unsigned i = 0; i < w->n; i++)
        pthread_join(w->threads[i], NULL);
}

enum err world_stop(struct store_world *w)
{
    struct closing c = {.err = ERR_CLOSED, .w = w};
    w->running = false;
    if (w->kind == WORLD_REMOTE) {
        sim_kill(w->sim);
        return ERR_OK;
    }
    if (!w->failed)
        (void)world_call(w, 0, close_run, &c);
    if (w->kind == WORLD_REAL)
        loops_end(w);
    embedded_free(w->embedded);
    if (w->kind == WORLD_REAL)
        loop_set_free(w->n, w->loops);
    else
        sim_kill(w->sim);
    return c.err;
}

void world_leave(struct store_world *w)
{
    assert_int_equal(w->kind, WORLD_REAL);
    w->running = false;
    loops_end(w);
    embedded_free(w->embedded);
    loop_set_free(w->n, w->loops);
}

void world_kill(struct store_world *w)
{
    assert_int_not_equal(w->kind, WORLD_REAL);
    w->running = false;
    sim_kill(w->sim);
}

void world_cut(struct store_world *w)
{
    assert_int_not_equal(w->kind, WORLD_REAL);
    w->running = false;
    sim_power_cut(w->sim);
}

static void remove_all(const char *dir)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

void world_free(struct store_world *w)
{
    if (w->running)
        (void)world_stop(w);
    if (w->remote)
        remote_free(w->remote);
    if (w->kind == WORLD_REAL)
        remove_all(w->dir);
    else
        sim_free(w->sim);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->cond);
}

/* --- the port's calls, waited for --- */

struct store_log_id world_id(unsigned topic, uint32_t partition)
{
    struct store_log_id id = {.partition = partition};
    memset(id.topic.b, 0x11, sizeof(id.topic.b));
    id.topic.b[15] = (uint8_t)topic;
    id.topic.b[14] = (uint8_t)(topic >> 8);
    return id;
}

unsigned world_reactor(const struct store_world *w, struct store_log_id id)
{
    return id.partition % w->n;
}

struct slice world_batch(uint64_t tag, unsigned n, size_t bytes, int64_t timestamp)
{
    struct batch_builder b;
    char *value = mem_alloc(bytes + 32);
    batch_begin(&b, 0);
    for (unsigned i = 0; i < n; i++) {
        memset(value, 'a' + (int)((tag + i) % 26), bytes + 32);
        int k = snprintf(value, bytes + 32, "%llu/%u", (unsigned long long)tag, i);
        value[k] = '.';
        batch_add(&b, timestamp + i, (struct str){0}, (struct str){value, bytes > 24 ? bytes : 24},
                  NULL, 0);
    }
    mem_free(value);
    return batch_end(&b);
}

struct waiting {
    struct store_world *w;
    enum err err;
    union {
        struct store_open *open;
        struct store_group group;
        struct store_read read;
        struct store_find *find;
        struct store_trim trim;
        struct store_delete remove;
    };
    struct store *store;
    struct store_append *appends;
    unsigned n;
    struct store_log *log;
    struct store_log_stat stat;
};

static void waited(struct waiting *x, enum err err)
{
    x->err = err;
    world_done(x->w);
}

/* store_open has no place for it: one open at a time. */
static struct waiting *opening;

static void open_done(struct store_open *op, enum err err)
{
    (void)op;
    waited(opening, err);
}

static void open_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_open(x->store, x->open);
}

enum err world_open(struct store_world *w, struct store_open *op, struct store_log_id id,
                    const struct store_log_conf *conf, bool create)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .open = op, .err = ERR_CLOSED};
    op->id = id;
    op->conf = *conf;
    op->create = create;
    op->done = open_done;
    opening = &x;
    (void)world_call(w, r, open_run, &x);
    return x.err;
}

struct store_log *world_log(struct store_world *w, struct store_log_id id,
                            const struct store_log_conf *conf)
{
    struct store_open op = {0};
    assert_int_equal(world_open(w, &op, id, conf, true), ERR_OK);
    return op.log;
}

static void close_log_run(struct store_world *w, void *arg)
{
    struct waiting *x = arg;
    store_close(x->store, x->log);
    world_done(w);
}

void world_close(struct store_world *w, struct store_log *log, struct store_log_id id)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .log = log};
    assert_true(world_call(w, r, close_log_run, &x));
}

static void group_done(struct store_group *group, enum err err)
{
    waited(container_of(group, struct waiting, group), err);
}

static void group_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_begin(x->store, &x->group);
    x->group.done = group_done;
    for (unsigned i = 0; i < x->n; i++)
        store_append(x->store, &x->group, &x->appends[i]);
    store_commit(x->store, &x->group);
}

enum err world_group(struct store_world *w, unsigned from, struct store_append *appends, unsigned n)
{
    struct waiting x = {
        .w = w, .store = w->stores[from], .appends = appends, .n = n, .err = ERR_CLOSED};
    (void)world_call(w, from, group_run, &x);
    return x.err;
}

int64_t world_append(struct store_world *w, struct store_log_id id, struct store_log *log,
                     struct slice batch, int64_t append_ms)
{
    struct store_append a = {.log = log, .batch = batch, .append_ms = append_ms};
    enum err err = world_group(w, world_reactor(w, id), &a, 1);
    return err ? -1 - (int64_t)err : a.base_offset;
}

struct slice world_bytes(struct chunkq *q)
{
    struct buf *b = buf_make(q->bytes + 1);
    size_t at = 0;
    for (const struct chunk *c = q->head; c; c = c->next) {
        if (c->file) {
            size_t got;
            struct disk_file *f = container_of(c->file, struct disk_file, ref);
            assert_int_equal(disk_read(f, b->data + at, c->len, c->at, &got), ERR_OK);
            assert_int_equal(got, c->len);
        } else {
            memcpy(b->data + at, c->slice.at, c->len);
        }
        at += c->len;
    }
    chunkq_clear(q);
    return (struct slice){b, b->data, at};
}

static void read_done(struct store_read *op, enum err err)
{
    waited(container_of(op, struct waiting, read), err);
}

static void read_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_read(x->store, &x->read);
}

enum err world_read(struct store_world *w, struct store_log_id id, struct store_log *log,
                    int64_t from, int64_t limit, size_t max, struct slice *out, int64_t *next)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .err = ERR_CLOSED};
    x.read = (struct store_read){.log = log,
                                 .from = from,
                                 .limit = limit,
                                 .bytes_max = max,
                                 .min_one = true,
                                 .done = read_done};
    (void)world_call(w, r, read_run, &x);
    if (x.err)
        return x.err;
    *out = world_bytes(&x.read.out);
    if (next)
        *next = x.read.next_offset;
    return ERR_OK;
}

static struct waiting *finding;

static void find_done(struct store_find *op, enum err err)
{
    (void)op;
    waited(finding, err);
}

static void find_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_find(x->store, x->find);
}

enum err world_find(struct store_world *w, struct store_log_id id, struct store_find *op)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .find = op, .err = ERR_CLOSED};
    op->done = find_done;
    finding = &x;
    (void)world_call(w, r, find_run, &x);
    return x.err;
}

static void trim_done(struct store_trim *op, enum err err)
{
    waited(container_of(op, struct waiting, trim), err);
}

static void trim_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_trim(x->store, &x->trim);
}

enum err world_trim(struct store_world *w, struct store_log_id id, struct store_log *log,
                    int64_t start)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .err = ERR_CLOSED};
    x.trim = (struct store_trim){.log = log, .log_start = start, .done = trim_done};
    (void)world_call(w, r, trim_run, &x);
    return x.err;
}

static void remove_done(struct store_delete *op, enum err err)
{
    waited(container_of(op, struct waiting, remove), err);
}

static void remove_run(struct store_world *w, void *arg)
{
    (void)w;
    struct waiting *x = arg;
    store_remove(x->store, &x->remove);
}

enum err world_remove(struct store_world *w, struct store_log_id id, struct store_log *log)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .err = ERR_CLOSED};
    x.remove = (struct store_delete){.log = log, .done = remove_done};
    (void)world_call(w, r, remove_run, &x);
    return x.err;
}

static void stat_run(struct store_world *w, void *arg)
{
    struct waiting *x = arg;
    store_stat(x->store, x->log, &x->stat);
    world_done(w);
}

struct store_log_stat world_stat(struct store_world *w, struct store_log_id id,
                                 struct store_log *log)
{
    unsigned r = world_reactor(w, id);
    struct waiting x = {.w = w, .store = w->stores[r], .log = log};
    assert_true(world_call(w, r, stat_run, &x));
    return x.stat;
}
