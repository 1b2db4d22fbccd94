#include "remote_store.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define DELAY_MAX_US 5000
#define GAP_ONE_IN 4

struct remote_batch {
    int64_t base, next;
    int64_t append_ms;
    struct batch_head head;
    struct slice bytes; /* own copy */
};

/* A log in the cluster. */
struct remote_log {
    struct list link;
    struct store_log_id id;
    struct remote_batch *batch;
    size_t count, cap;
    int64_t start, end;
};

/* A log opened on one handle. */
struct store_log {
    struct list link;
    struct remote_log *in; /* NULL: deleted */
    const struct store_log_events *events;
    void *user;
    uint64_t due_append, due_read; /* calls of one kind are answered in order */
};

struct remote_store {
    struct store store; /* first */
    struct remote *remote;
    struct env *env;
    uint64_t epoch;
    struct list logs;
    struct remote_store *next;
};

struct remote {
    struct sim *sim;
    struct rng rng;
    struct list logs;
    uint64_t epoch;
    int32_t leader_epoch;
    struct remote_store *handles; /* all there ever were */
};

/* A call on its way. */
struct remote_op {
    struct env_timer timer;
    struct remote_store *s;
    void (*run)(struct remote_op *op, bool owner);
    void *arg;
};

static struct remote_store *handle_of(struct store *s)
{
    return container_of(s, struct remote_store, store);
}

static void op_fire(struct env_timer *timer)
{
    struct remote_op *op = container_of(timer, struct remote_op, timer);
    op->run(op, op->s->epoch == op->s->remote->epoch);
    mem_free(op);
}

static uint64_t op_due(struct remote_store *s)
{
    return env_mono_us(s->env) + 1 + rng_below(&s->remote->rng, DELAY_MAX_US);
}

static void op_send_at(struct remote_store *s, void (*run)(struct remote_op *, bool), void *arg,
                       uint64_t due)
{
    struct remote_op *op = mem_zalloc(1, sizeof(*op));
    op->s = s;
    op->run = run;
    op->arg = arg;
    op->timer.fire = op_fire;
    env_timer_set(s->env, &op->timer, due - env_mono_us(s->env));
}

/* In order behind *last. */
static void op_send(struct remote_store *s, void (*run)(struct remote_op *, bool), void *arg,
                    uint64_t *last)
{
    uint64_t due = op_due(s);
    if (last) {
        due = due < *last ? *last : due;
        *last = due;
    }
    op_send_at(s, run, arg, due);
}

static struct remote_log *log_find(struct remote *remote, const struct store_log_id *id)
{
    list_for (it, &remote->logs) {
        struct remote_log *log = container_of(it, struct remote_log, link);
        if (uuid_eq(log->id.topic, id->topic) && log->id.partition == id->partition)
            return log;
    }
    return NULL;
}

/* --- open, close --- */

static struct store_log *handle_open(struct remote_store *s, struct remote_log *in,
                                     struct store_open *op)
{
    struct store_log *log = mem_zalloc(1, sizeof(*log));
    log->in = in;
    log->events = op->events;
    log->user = op->user;
    list_push(&s->logs, &log->link);
    return log;
}

static bool open_already(const struct remote_store *s, const struct remote_log *in)
{
    list_for (it, &s->logs) {
        if (container_of(it, struct store_log, link)->in == in)
            return true;
    }
    return false;
}

static void open_run(struct remote_op *x, bool owner)
{
    struct store_open *op = x->arg;
    struct remote_log *in = log_find(x->s->remote, &op->id);
    op->log = NULL;
    if (!owner || (!in && !op->create) || (in && open_already(x->s, in))) {
        op->done(op, !owner ? ERR_NOT_LEADER : in ? ERR_EXISTS : ERR_NOT_FOUND);
        return;
    }
    if (!in) {
        in = mem_zalloc(1, sizeof(*in));
        in->id = op->id;
        list_push(&x->s->remote->logs, &in->link);
    }
    for (size_t i = 0; i < in->count && op->replay; i++) {
        if (in->batch[i].next > in->start)
            op->replay(op, &in->batch[i].head, in->batch[i].append_ms);
    }
    op->log = handle_open(x->s, in, op);
    op->log_start = in->start;
    op->end = in->end;
    op->done(op, ERR_OK);
}

static void remote_open(struct store *s, struct store_open *op)
{
    op_send(handle_of(s), open_run, op, NULL);
}

static void remote_close(struct store *s, struct store_log *log)
{
    (void)s;
    list_remove(&log->link);
    mem_free(log);
}

static void remote_configure(struct store *s, struct store_log *log,
                             const struct store_log_conf *conf)
{
    (void)s;
    (void)log;
    (void)conf;
}

/* --- groups --- */

static void remote_append(struct store *s, struct store_group *group, struct store_append *append)
{
    (void)s;
    append->next = NULL;
    append->base_offset = -1;
    if (group->tail)
        group->tail->next = append;
    else
        group->head = append;
    group->tail = append;
}

static void apply(struct remote *remote, struct store_append *a)
{
    struct remote_log *log = a->log->in;
    if (!log)
        return;
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 16;
        log->batch = mem_realloc(log->batch, log->cap * sizeof(*log->batch));
    }
    if (rng_one_in(&remote->rng, GAP_ONE_IN)) /* a control record of theirs, an aborted batch */
        log->end += (int64_t)(1 + rng_below(&remote->rng, 3));
    uint8_t *bytes = (uint8_t *)(uintptr_t)a->batch.at;
    struct remote_batch *b = &log->batch[log->count++];
    batch_set_offset(bytes, log->end);
    batch_set_leader_epoch(bytes, remote->leader_epoch);
    weir_assert(batch_head_read(bytes, a->batch.len, &b->head) == ERR_OK);
    b->base = log->end;
    b->next = log->end = batch_next_offset(&b->head);
    b->append_ms = a->append_ms;
    b->bytes = slice_copy(bytes, a->batch.len);
    a->base_offset = b->base;
}

static void commit_run(struct remote_op *x, bool owner)
{
    struct store_group *group = x->arg;
    /* Ownership lost on the way: it was done or it was not. */
    if (owner || rng_one_in(&x->s->remote->rng, 2)) {
        for (struct store_append *a = group->head; a; a = a->next)
            apply(x->s->remote, a);
    }
    for (struct store_append *a = group->head; a && owner; a = a->next) {
        if (a->log->in && a->log->events && a->log->events->end_moved)
            a->log->events->end_moved(a->log->user, a->log->in->end);
    }
    group->done(group, owner ? ERR_OK : ERR_NOT_LEADER);
}

static void remote_commit(struct store *s, struct store_group *group)
{
    struct remote_store *h = handle_of(s);
    uint64_t due = op_due(h);
    for (struct store_append *a = group->head; a; a = a->next)
        due = due < a->log->due_append ? a->log->due_append : due;
    for (struct store_append *a = group->head; a; a = a->next)
        a->log->due_append = due;
    op_send_at(h, commit_run, group, due);
}

static void remote_abort(struct store *s, struct store_group *group)
{
    (void)s;
    group->head = group->tail = NULL;
}

/* --- reads --- */

static enum err read_now(struct remote_log *log, struct store_read *op)
{
    if (op->from < log->start || op->from > log->end)
        return ERR_OFFSET_RANGE;
    size_t bytes = 0;
    unsigned n = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct remote_batch *b = &log->batch[i];
        if (b->next <= op->from)
            continue;
        if (b->next > op->limit ||
            (bytes + b->bytes.len > op->bytes_max && (bytes || !op->min_one)))
            break;
        bytes += b->bytes.len;
        chunkq_add_slice(&op->out, slice_ref(b->bytes));
        op->next_offset = b->next;
        if (op->append_ms && n < op->append_ms_max)
            op->append_ms[n++] = b->append_ms;
    }
    return ERR_OK;
}

static void read_run(struct remote_op *x, bool owner)
{
    struct store_read *op = x->arg;
    chunkq_init(&op->out);
    op->next_offset = op->from;
    enum err err = ERR_NOT_LEADER;
    if (owner)
        err = op->log->in ? read_now(op->log->in, op) : ERR_NOT_FOUND;
    op->done(op, err);
}

static void remote_read(struct store *s, struct store_read *op)
{
    op_send(handle_of(s), read_run, op, &op->log->due_read);
}

static bool record_wanted(const struct store_find *op, const struct record *r)
{
    if (r->offset >= op->limit)
        return false;
    return op->what == STORE_FIND_TIME ? op->offset < 0 && r->timestamp >= op->ts
                                       : r->timestamp > op->timestamp;
}

static void find_in_batch(const struct remote_log *log, const struct remote_batch *b,
                          struct store_find *op)
{
    struct record_iter it;
    struct record r;
    record_iter_init(&it, &b->head, b->bytes.at + BATCH_HEAD_BYTES,
                     b->bytes.len - BATCH_HEAD_BYTES);
    while (record_iter_next(&it, &r) == ERR_OK) {
        if (r.offset < log->start || !record_wanted(op, &r))
            continue;
        op->offset = r.offset;
        op->timestamp = r.timestamp;
        op->found_epoch = b->head.leader_epoch;
    }
}

static void find_epoch(const struct remote_log *log, struct store_find *op)
{
    op->found_epoch = -1;
    for (size_t i = 0; i < log->count; i++) {
        const struct remote_batch *b = &log->batch[i];
        if (b->head.leader_epoch > op->epoch)
            break;
        op->found_epoch = b->head.leader_epoch;
        op->offset = i + 1 < log->count ? log->batch[i + 1].base : log->end;
    }
}

static void find_run(struct remote_op *x, bool owner)
{
    struct store_find *op = x->arg;
    struct remote_log *log = op->log->in;
    op->offset = op->timestamp = op->found_epoch = -1;
    if (!owner || !log) {
        op->done(op, owner ? ERR_NOT_FOUND : ERR_NOT_LEADER);
        return;
    }
    if (op->what == STORE_FIND_EPOCH) {
        find_epoch(log, op);
    } else {
        for (size_t i = 0; i < log->count; i++)
            find_in_batch(log, &log->batch[i], op);
    }
    op->done(op, ERR_OK);
}

static void remote_find(struct store *s, struct store_find *op)
{
    op_send(handle_of(s), find_run, op, &op->log->due_read);
}

/* --- trim, remove, the rest --- */

/* The cluster's own retention, which is not simulated. */
static void remote_retain(struct store *s, struct store_log *log, int64_t from)
{
    (void)s;
    (void)log;
    (void)from;
}

static void trim_run(struct remote_op *x, bool owner)
{
    struct store_trim *op = x->arg;
    struct remote_log *log = op->log->in;
    if (owner && log && op->log_start <= log->end) {
        if (op->log_start > log->start)
            log->start = op->log_start;
        op->done(op, ERR_OK);
        return;
    }
    op->done(op, owner && log ? ERR_OFFSET_RANGE : ERR_NOT_LEADER);
}

static void remote_trim(struct store *s, struct store_trim *op)
{
    op_send(handle_of(s), trim_run, op, &op->log->due_append);
}

static void log_free(struct remote_log *log)
{
    list_remove(&log->link);
    for (size_t i = 0; i < log->count; i++)
        slice_unref(log->batch[i].bytes);
    mem_free(log->batch);
    mem_free(log);
}

static void remove_run(struct remote_op *x, bool owner)
{
    struct store_delete *op = x->arg;
    struct store_log *log = op->log;
    if (owner && log->in)
        log_free(log->in);
    op->done(op, owner ? ERR_OK : ERR_NOT_LEADER);
    list_remove(&log->link);
    mem_free(log);
}

static void remote_remove(struct store *s, struct store_delete *op)
{
    op_send(handle_of(s), remove_run, op, &op->log->due_append);
}

static void remote_stat(struct store *s, struct store_log *log, struct store_log_stat *out)
{
    *out = (struct store_log_stat){.log_start = log->in ? log->in->start : 0,
                                   .end = log->in ? log->in->end : 0,
                                   .segments = 1,
                                   .leader_epoch = handle_of(s)->remote->leader_epoch};
    for (size_t i = 0; log->in && i < log->in->count; i++)
        out->bytes += log->in->batch[i].bytes.len;
}

static void remote_each(struct store *s, void (*fn)(void *arg, const struct store_log_id *id),
                        void *arg)
{
    struct remote_store *h = handle_of(s);
    list_for (it, &h->remote->logs) {
        const struct remote_log *log = container_of(it, struct remote_log, link);
        if (log->id.partition % h->env->reactors == h->env->reactor)
            fn(arg, &log->id);
    }
}

static const struct store_ops remote_ops = {
    .open = remote_open,
    .close = remote_close,
    .configure = remote_configure,
    .append = remote_append,
    .commit = remote_commit,
    .abort = remote_abort,
    .read = remote_read,
    .find = remote_find,
    .retain = remote_retain,
    .trim = remote_trim,
    .remove = remote_remove,
    .stat = remote_stat,
    .each = remote_each,
};

struct remote *remote_make(struct sim *sim)
{
    struct remote *remote = mem_zalloc(1, sizeof(*remote));
    remote->sim = sim;
    rng_seed(&remote->rng, rng_next(sim_rng(sim)));
    list_init(&remote->logs);
    return remote;
}

static void handle_free(struct remote_store *s)
{
    while (!list_empty(&s->logs)) {
        struct list *l = list_pop(&s->logs);
        mem_free(container_of(l, struct store_log, link));
    }
    mem_free(s);
}

void remote_free(struct remote *remote)
{
    for (struct remote_store *next, *s = remote->handles; s; s = next) {
        next = s->next;
        handle_free(s);
    }
    while (!list_empty(&remote->logs))
        log_free(container_of(remote->logs.next, struct remote_log, link));
    mem_free(remote);
}

void remote_lose(struct remote *remote)
{
    remote->epoch++;
}

void remote_attach(struct remote *remote, struct loop **loops, unsigned n, struct store **stores)
{
    remote->epoch++;
    remote->leader_epoch++;
    for (unsigned i = 0; i < n; i++) {
        struct remote_store *s = mem_zalloc(1, sizeof(*s));
        s->store = (struct store){&remote_ops, STORE_RAW_BATCHES | STORE_APPEND_TIME};
        s->remote = remote;
        s->env = loop_env(loops[i]);
        s->epoch = remote->epoch;
        list_init(&s->logs);
        s->next = remote->handles;
        remote->handles = s;
        stores[i] = &s->store;
    }
}
