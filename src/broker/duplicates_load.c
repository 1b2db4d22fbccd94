/* Building the memory of message ids from the log: first the place from which on batches were
 * appended within the window, by halving, then all batches from there on. */
#include "broker/partition.h"

#include "base/mem.h"

#define LOAD_BYTES ((size_t)1 << 20)
#define LOAD_BATCHES 1024

struct load {
    struct partition *p;
    struct store_read read;
    int64_t lo, hi; /* the place lies within; lo == hi: found, and read from there on */
    int64_t end, since_ms;
    bool reading, again;
    enum err err;
    duplicates_loaded_fn *done;
    void *arg;
    int64_t append_ms[LOAD_BATCHES];
};

static void load_end(struct load *l)
{
    duplicates_loaded_fn *done = l->done;
    void *arg = l->arg;
    enum err err = l->err;
    mem_free(l);
    done(arg, err);
}

/* The one batch that was read: behind it, or before it? A time that is not known counts. */
static enum err halve(struct load *l)
{
    struct batch_head head;
    struct chunk *c = l->read.out.head;
    if (c == NULL) {
        l->hi = l->lo;
        return ERR_OK;
    }
    if (batch_head_read(c->slice.at, c->slice.len, &head) != ERR_OK)
        return ERR_CORRUPT;
    if (l->append_ms[0] >= 0 && l->append_ms[0] < l->since_ms)
        l->lo = batch_next_offset(&head);
    else
        l->hi = head.base_offset > l->lo ? head.base_offset : l->lo;
    l->lo = l->lo < l->hi ? l->lo : l->hi;
    return ERR_OK;
}

static enum err note(struct load *l)
{
    struct batch_head head;
    unsigned n = 0;
    for (struct chunk *c = l->read.out.head; c != NULL; c = c->next) {
        struct slice s = c->slice;
        for (; s.len > 0 && n < LOAD_BATCHES; n++) {
            if (batch_head_read(s.at, s.len, &head) != ERR_OK || head.bytes > s.len)
                return ERR_CORRUPT;
            int64_t ms = l->append_ms[n] >= 0 ? l->append_ms[n] : head.max_timestamp;
#ifdef FAULT_copies_forgotten
            ms = INT64_MIN;
#endif
            if (ms >= l->since_ms)
                duplicates_note_batch(l->p->duplicates, slice_sub(s, 0, head.bytes), ms);
            l->lo = batch_next_offset(&head);
            s = slice_sub(s, head.bytes, s.len - head.bytes);
        }
    }
    l->hi = l->lo;
    return ERR_OK;
}

static void load_run(struct load *l);

static void load_read(struct store_read *read, enum err err)
{
    struct load *l = container_of(read, struct load, read);
    int64_t before = l->lo;
    bool searching = l->lo < l->hi;
    if (err == ERR_OK)
        err = searching ? halve(l) : note(l);
    if (err == ERR_OK && !searching && l->lo <= before)
        err = ERR_CORRUPT; /* nothing came, yet the end is not reached */
    chunkq_clear(&read->out);
    l->err = err;
    l->again = true;
    if (!l->reading)
        load_run(l);
}

static void load_step(struct load *l)
{
    bool searching = l->lo < l->hi;
    for (unsigned i = 0; i < LOAD_BATCHES; i++)
        l->append_ms[i] = -1;
    l->read = (struct store_read){
        .log = l->p->log,
        .from = searching ? l->lo + (l->hi - l->lo) / 2 : l->lo,
        .limit = l->end,
        .bytes_max = searching ? 1 : LOAD_BYTES,
        .min_one = true,
        .in_memory = true,
        .append_ms = l->append_ms,
        .append_ms_max = LOAD_BATCHES,
        .done = load_read,
    };
    chunkq_init(&l->read.out);
    store_read(l->p->broker->store, &l->read);
}

/* A loop, not a recursion: a store may answer from inside of the call. */
static void load_run(struct load *l)
{
    do {
        if (l->err != ERR_OK || (l->lo >= l->hi && l->lo >= l->end)) {
            load_end(l);
            return;
        }
        l->reading = true;
        l->again = false;
        load_step(l);
        l->reading = false;
    } while (l->again);
}

void duplicates_load(struct partition *p, duplicates_loaded_fn *done, void *arg)
{
    struct load *l = mem_zalloc(1, sizeof(*l));
    int64_t now_ms = (int64_t)env_now_ms(p->broker->env);
    l->p = p;
    l->lo = p->log_start;
    l->hi = l->end = p->end;
    l->since_ms = now_ms - p->topic->conf.duplicates_window_ms;
    l->done = done;
    l->arg = arg;
    load_run(l);
}
