#include "store/checkpoint.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/log.h"
#include "store/embedded_internal.h"

#include <string.h>

static struct embedded *embedded_of(struct checkpoint *c)
{
    return container_of(c, struct embedded, checkpoint);
}

static void part_wanted(struct env_mail *mail, struct env *env)
{
    (void)env;
    container_of(mail, struct checkpoint_part, mail)->wanted = true;
}

void checkpoint_start(struct embedded *e, bool clean, checkpoint_done_fn *done, void *arg)
{
    struct checkpoint *c = &e->checkpoint;
    const struct journal *j = &e->writer.journal;
    weir_assert(c->step == CHECKPOINT_IDLE);
    c->step = CHECKPOINT_BEGIN;
    c->parts = e->reactors;
    c->clean = clean;
    c->again = false;
    c->done = done;
    c->done_arg = arg;
    c->sequence = j->next - 1;
    c->file = j->current ? j->current->number : MANIFEST_NO_FILE;
    c->at = j->at;
    c->last_bytes = e->writer.bytes;
    for (unsigned i = 0; i < e->reactors; i++) {
        e->reactor[i].part.mail.run = part_wanted;
        env_post(loop_env(e->loops[0]), i, &e->reactor[i].part.mail);
    }
}

/* --- a reactor's part --- */

static void snapshot_keep(struct store_log *log, struct manifest_log *entry,
                          struct manifest_log *old, struct slice *owned)
{
    *owned = (struct slice){0};
    memset(old, 0, sizeof(*old));
    if (log->events && log->events->snapshot) {
        *owned = log->events->snapshot(log->user);
        entry->snapshot = *owned;
        /* Not next_offset: what the owner was not told of yet is not in its snapshot. */
        entry->snapshot_from = log->end;
    } else if (log->entry.len > 0 && manifest_log_decode(log->entry, old) == ERR_OK) {
        entry->snapshot = old->snapshot;
        entry->snapshot_from = old->snapshot_from;
    }
}

void checkpoint_log_entry(struct store_log *log, const struct plog_state *state)
{
    struct manifest_log old, entry = {.id = log->id, .state = *state};
    struct slice owned;
    snapshot_keep(log, &entry, &old, &owned);
    struct slice encoded = manifest_log_encode(&entry);
    slice_unref(owned);
    manifest_log_free(&old);
    slice_unref(log->entry);
    log->entry = encoded;
}

static void part_logs_sync(struct store_reactor *r)
{
    struct checkpoint_part *p = &r->part;
    struct list *l;
    unsigned dirty = 0;
    list_for (it, &r->dirty_logs)
        dirty++;
    p->count = 0;
    p->syncs = mem_zalloc(dirty, sizeof(*p->syncs));
    p->logs = mem_zalloc(dirty, sizeof(*p->logs));
    while ((l = list_pop(&r->dirty_logs))) {
        struct store_log *log = container_of(l, struct store_log, dirty_link);
        if (log->dead)
            continue;
        if (!log->plog) { /* created: nothing but its name yet */
            weir_assert(log->entry.len == 0);
            checkpoint_log_entry(log, &(struct plog_state){0});
            continue;
        }
        log->sync = plog_sync_begin(log->plog);
        checkpoint_log_entry(log, plog_sync_state(log->sync));
        p->logs[p->count] = log;
        p->syncs[p->count++] = log->sync;
    }
}

static void part_entries(struct store_reactor *r)
{
    struct checkpoint_part *p = &r->part;
    p->entry_count = 0;
    p->entries = mem_zalloc(r->logs.count, sizeof(*p->entries));
    for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n)) {
        const struct store_log *log = container_of(n, struct store_log, node);
        if (!log->dead && log->entry.len > 0)
            p->entries[p->entry_count++] = slice_ref(log->entry);
    }
}

static void sync_start(struct checkpoint *c);

static void part_ready(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct checkpoint_part *p = container_of(mail, struct checkpoint_part, mail);
    struct checkpoint *c = &container_of(p, struct store_reactor, part)->e->checkpoint;
    if (--c->parts == 0)
        sync_start(c);
}

static void barrier_done(struct commit_item *item, enum err err)
{
    (void)err;
    struct store_reactor *r = item->user;
    r->part.mail.run = part_ready;
    env_post(reactor_env(r), 0, &r->part.mail);
}

void checkpoint_part_turn(struct store_reactor *r)
{
    if (!r->part.wanted)
        return;
    r->part.wanted = false;
    part_logs_sync(r);
    part_entries(r);
    struct list items;
    struct commit_item *barrier = reactor_item(r, barrier_done);
    barrier->user = r;
    barrier->sync = true;
    list_init(&items);
    list_push(&items, &barrier->link);
    writer_hand_over(&r->e->writer, r->index, &items);
}

static void part_ended(struct env_mail *mail, struct env *env);

void checkpoint_part_free(struct checkpoint_part *p)
{
    for (uint32_t i = 0; i < p->entry_count; i++)
        slice_unref(p->entries[i]);
    mem_free(p->syncs);
    mem_free(p->logs);
    mem_free(p->entries);
    p->syncs = NULL;
    p->logs = NULL;
    p->entries = NULL;
    p->count = p->entry_count = 0;
}

static void part_end(struct env_mail *mail, struct env *env)
{
    struct checkpoint_part *p = container_of(mail, struct checkpoint_part, mail);
    struct store_reactor *r = container_of(p, struct store_reactor, part);
    for (unsigned i = 0; i < p->count; i++) {
        struct store_log *log = p->logs[i];
        log->sync = NULL;
        log->rooted = log->rooted || (p->synced && plog_sync_state(p->syncs[i])->synced.at > 0);
        plog_sync_end(p->syncs[i], p->synced);
        if (!p->synced && !log->dead)
            reactor_log_touch(log);
    }
    checkpoint_part_free(p);
    reactor_logs_bury(r);
    p->mail.run = part_ended;
    env_post(env, 0, &p->mail);
}

/* --- the work on the helper thread --- */

/* A sync that fails is not tried again, whatever the reason (R8): a full disk, too, has lost
 * pages. */
static enum err sync_verdict(enum err err)
{
    return err ? ERR_IO : ERR_OK;
}

static enum err logs_sync(struct embedded *e)
{
    unsigned files = 0;
    enum err err = ERR_OK;
    for (unsigned i = 0; i < e->reactors; i++) {
        const struct checkpoint_part *p = &e->reactor[i].part;
        for (unsigned k = 0; k < p->count; k++)
            files += plog_sync_files(p->syncs[k]);
    }
    bool all = files > e->conf.sync_files_max;
    for (unsigned i = 0; i < e->reactors && !err; i++) {
        const struct checkpoint_part *p = &e->reactor[i].part;
        for (unsigned k = 0; k < p->count && !err; k++)
            err = all ? plog_sync_write(p->syncs[k]) : plog_sync_run(p->syncs[k]);
    }
    return !err && all ? sync_verdict(disk_sync_all(e->disk, e->dir)) : err;
}

enum err checkpoint_folder_sync(struct embedded *e)
{
#ifdef FAULT_no_dir_sync
    (void)e;
    return ERR_OK;
#else
    struct layout_path path;
    return disk_sync_dir(e->disk, layout_in(&path, e->dir, "logs"));
#endif
}

static enum err write_manifest(struct checkpoint *c)
{
    struct embedded *e = embedded_of(c);
    struct manifest_head head = {.incarnation = e->meta.incarnation,
                                 .clean = c->clean,
                                 .sequence = c->sequence,
                                 .file = c->file,
                                 .at = c->at};
    for (unsigned i = 0; i < e->reactors; i++)
        head.logs += e->reactor[i].part.entry_count;
    struct slice *all = mem_zalloc(head.logs, sizeof(*all));
    uint32_t n = 0;
    for (unsigned i = 0; i < e->reactors; i++) {
        const struct checkpoint_part *p = &e->reactor[i].part;
        if (p->entry_count)
            memcpy(all + n, p->entries, p->entry_count * sizeof(*all));
        n += p->entry_count;
    }
    enum err err = manifest_write(e->disk, e->dir, &head, all);
    mem_free(all);
    return err;
}

static void sync_work(struct loop_job *job)
{
    struct checkpoint *c = container_of(job, struct checkpoint, job);
    struct embedded *e = embedded_of(c);
    c->err = logs_sync(e);
    if (!c->err)
        c->err = sync_verdict(checkpoint_folder_sync(e));
    c->synced = c->err == ERR_OK;
    if (!c->err)
        c->err = write_manifest(c);
}

/* The last part has ended. */
static void part_ended(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct checkpoint_part *p = container_of(mail, struct checkpoint_part, mail);
    struct embedded *e = container_of(p, struct store_reactor, part)->e;
    struct checkpoint *c = &e->checkpoint;
    if (--c->parts > 0)
        return;
    checkpoint_done_fn *done = c->done;
    c->step = CHECKPOINT_IDLE;
    c->done = NULL;
    if (done)
        done(c->done_arg, c->err);
}

static void checkpoint_end(struct checkpoint *c)
{
    struct embedded *e = embedded_of(c);
    c->step = CHECKPOINT_END;
    c->again = c->err != ERR_OK;
    if (!c->err) {
        c->count++;
        writer_recycle(&e->writer, c->sequence);
    } else {
        log_event(ENV_WARN, "store.checkpoint.failed", "error=%s meaning=\"it is tried again\"",
                  err_name(c->err));
    }
    e->writer.held = false;
    c->parts = e->reactors;
    for (unsigned i = 0; i < e->reactors; i++) {
        e->reactor[i].part.synced = c->synced;
        e->reactor[i].part.mail.run = part_end;
        env_post(loop_env(e->loops[0]), i, &e->reactor[i].part.mail);
    }
    writer_run(&e->writer);
}

static void sync_done(struct loop_job *job)
{
    struct checkpoint *c = container_of(job, struct checkpoint, job);
    struct embedded *e = embedded_of(c);
    if (c->err && c->err != ERR_DISK_FULL) {
        embedded_fail(e, c->err, c->synced ? "writing the manifest" : "syncing the logs");
        return;
    }
    checkpoint_end(c);
}

static void sync_start(struct checkpoint *c)
{
    c->step = CHECKPOINT_SYNC;
#ifdef FAULT_recycle_early
    writer_recycle(&embedded_of(c)->writer, c->sequence);
#endif
    c->job.work = sync_work;
    c->job.done = sync_done;
    loop_job_start(embedded_of(c)->loops[0], &c->job);
}

/* --- when --- */

static bool checkpoint_due(const struct embedded *e)
{
    const struct journal *j = &e->writer.journal;
    const struct checkpoint *c = &e->checkpoint;
    uint64_t written = e->writer.bytes - c->last_bytes;
    if (written >= e->conf.checkpoint_bytes)
        return true;
    return (j->grow_err || j->declined) && written > 0 && journal_used(j) > j->total / 2;
}

void checkpoint_tick(struct embedded *e)
{
    const struct journal *j = &e->writer.journal;
    struct checkpoint *c = &e->checkpoint;
    if (c->step == CHECKPOINT_IDLE && !atomic_load(&e->closing) && checkpoint_due(e))
        checkpoint_start(e, false, NULL, NULL);
    e->writer.held = c->step == CHECKPOINT_SYNC && journal_used(j) >= e->conf.journal_bytes;
}

void checkpoint_starved(struct embedded *e)
{
    struct checkpoint *c = &e->checkpoint;
    /* What waits has been written to its segments and cannot be taken back, and a checkpoint's
     * barrier would wait behind it. */
    if (c->step != CHECKPOINT_SYNC)
        embedded_fail(e, ERR_DISK_FULL, "finding room in the journal");
}

static void timer_fire(struct env_timer *timer)
{
    struct checkpoint *c = container_of(timer, struct checkpoint, timer);
    struct embedded *e = embedded_of(c);
    if (atomic_load(&e->closing))
        return;
    if (c->step == CHECKPOINT_IDLE && (c->again || e->writer.bytes != c->last_bytes))
        checkpoint_start(e, false, NULL, NULL);
    env_timer_set(loop_env(e->loops[0]), timer, e->conf.checkpoint_ms * 1000);
}

void checkpoint_init(struct embedded *e)
{
    struct checkpoint *c = &e->checkpoint;
    c->timer.fire = timer_fire;
    env_timer_set(loop_env(e->loops[0]), &c->timer, e->conf.checkpoint_ms * 1000);
}
