#include "store/embedded.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "store/embedded_ops.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

void embedded_fail(struct embedded *e, enum err err, const char *what)
{
    if (atomic_exchange(&e->failed, true))
        return;
    log_event(ENV_ERROR, "store.failed", "error=%s doing=\"%s\" meaning=\"%s\"", err_name(err),
              what, "nothing is acknowledged from now on; a restart recovers");
    if (e->conf.failed)
        e->conf.failed(e->conf.arg, err, what);
}

/* --- logs of a reactor --- */

static bool log_eq(const struct map_node *node, const void *key)
{
    return layout_id_eq(&container_of(node, struct store_log, node)->id, key);
}

struct store_log *reactor_log(struct store_reactor *r, const struct store_log_id *id)
{
    struct map_node *n = map_find(&r->logs, layout_id_hash(id), log_eq, id);
    return n ? container_of(n, struct store_log, node) : NULL;
}

struct store_log *reactor_log_add(struct store_reactor *r, const struct store_log_id *id,
                                  struct slice entry)
{
    struct store_log *log = mem_zalloc(1, sizeof(*log));
    log->magic = STORE_LOG_MAGIC;
    log->reactor = r;
    log->id = *id;
    log->entry = entry;
    log->retain_from = INT64_MAX;
    list_init(&log->turn_link);
    list_init(&log->dirty_link);
    list_init(&log->moved_link);
    map_insert(&r->logs, &log->node, layout_id_hash(id));
    return log;
}

void reactor_log_free(struct store_log *log)
{
    map_remove(&log->reactor->logs, &log->node);
    list_remove(&log->turn_link);
    list_remove(&log->dirty_link);
    if (log->plog)
        plog_close(log->plog);
    slice_unref(log->entry);
    log->magic = 0;
    mem_free(log);
}

static enum err entry_decode(const struct store_log *log, struct manifest_log *known,
                             struct err_text *text)
{
    *known = (struct manifest_log){0};
    if (log->entry.len == 0 || manifest_log_decode(log->entry, known) == ERR_OK)
        return ERR_OK;
    return err_say(text, ERR_CORRUPT,
                   "%s/manifest has a damaged entry: restore the data folder from a backup",
                   log->reactor->e->dir);
}

enum err reactor_log_know(struct store_log *log, struct err_text *text)
{
    struct manifest_log known;
    if (log->plog)
        return ERR_OK;
    enum err err = entry_decode(log, &known, text);
    if (err)
        return err;
    log->start = known.state.log_start;
    log->end = known.state.next_offset;
    plog_state_size(&known.state, &log->bytes, &log->segments);
    manifest_log_free(&known);
    return ERR_OK;
}

enum err reactor_log_load(struct store_log *log, struct err_text *text)
{
    if (log->plog)
        return ERR_OK;
    struct embedded *e = log->reactor->e;
    struct manifest_log known;
    struct layout_path path;
    enum err err = entry_decode(log, &known, text);
    if (!err)
        err = plog_open(e->disk, layout_log(&path, e->dir, &log->id), &log->conf,
                        log->entry.len > 0 ? &known.state : NULL, &log->plog, text);
    log->rooted = log->entry.len > 0 && known.state.synced.at > 0;
    manifest_log_free(&known);
    if (err)
        return err;
    plog_use_files(log->plog, log->reactor->files);
    log->start = plog_start(log->plog);
    log->end = plog_next_offset(log->plog);
    return ERR_OK;
}

enum err reactor_log_need(struct store_log *log)
{
    struct err_text text = {""};
    char quoted[512];
    log->idle_looks = 0;
    if (log->plog || log->dead)
        return ERR_OK;
    enum err err = reactor_log_load(log, &text);
    if (err)
        log_event(ENV_ERROR, "store.log", "error=%s why=%s", err_name(err),
                  log_quote(quoted, sizeof(quoted), text.s[0] ? text.s : err_meaning(err)));
    return err;
}

void reactor_log_unload(struct store_log *log)
{
    if (list_linked(&log->turn_link) || list_linked(&log->dirty_link) || log->sync ||
        !plog_idle(log->plog))
        return;
    log->bytes = plog_bytes(log->plog);
    log->segments = plog_segments(log->plog);
    plog_close(log->plog);
    log->plog = NULL;
}

void reactor_log_touch(struct store_log *log)
{
    if (!list_linked(&log->dirty_link))
        list_push(&log->reactor->dirty_logs, &log->dirty_link);
}

/* --- deleted logs --- */

struct burial {
    struct loop_job job;
    struct embedded *e;
    struct store_log *log;
    struct layout_path path;
    enum err err;
};

static void burial_work(struct loop_job *job)
{
    struct burial *b = container_of(job, struct burial, job);
    b->err = plog_remove(b->e->disk, b->path.s);
}

static void burial_done(struct loop_job *job)
{
    struct burial *b = container_of(job, struct burial, job);
    if (b->err && b->err != ERR_NOT_FOUND)
        log_event(ENV_WARN, "store.delete", "path=%s error=%s again=\"at the next start\"",
                  b->path.s, err_name(b->err));
    atomic_fetch_sub(&b->e->burials, 1);
    embedded_log_gone(b->log);
    mem_free(b);
}

void reactor_log_bury(struct store_log *log)
{
    struct store_reactor *r = log->reactor;
    list_remove(&log->dirty_link);
    if (log->sync) { /* a checkpoint works on its files */
        list_push(&r->dead_logs, &log->dirty_link);
        return;
    }
    struct burial *b = mem_zalloc(1, sizeof(*b));
    b->e = r->e;
    b->log = log;
    b->job.work = burial_work;
    b->job.done = burial_done;
    layout_log(&b->path, r->e->dir, &log->id);
    if (log->plog)
        plog_close(log->plog);
    log->plog = NULL;
    atomic_fetch_add(&r->e->burials, 1);
    loop_job_start(r->loop, &b->job);
}

void reactor_logs_bury(struct store_reactor *r)
{
    struct list dead, *l;
    list_init(&dead);
    list_move(&dead, &r->dead_logs);
    while ((l = list_pop(&dead)))
        reactor_log_bury(container_of(l, struct store_log, dirty_link));
}

/* --- open --- */

static void interval_done(struct commit_item *item, enum err err)
{
    (void)item;
    (void)err;
}

/* A barrier that wants a sync: what was written without one becomes durable. */
static void interval_fire(struct env_timer *timer)
{
    struct store_reactor *r = container_of(timer, struct store_reactor, interval);
    if (atomic_load(&r->e->failed) || atomic_load(&r->e->closing))
        return;
    struct commit_item *item = reactor_item(r, interval_done);
    item->sync = true;
    reactor_submit(r, item);
}

static void reactor_init(struct embedded *e, unsigned i)
{
    struct store_reactor *r = &e->reactor[i];
    r->store =
        (struct store){&embedded_ops, STORE_RAW_BATCHES | STORE_APPEND_TIME | STORE_EXACT_COUNTS};
    r->e = e;
    r->loop = e->loops[i];
    r->index = i;
    map_init(&r->logs);
    r->files = plog_files_make((unsigned)(e->conf.files_max / e->reactors));
    list_init(&r->turn_logs);
    list_init(&r->turn_items);
    list_init(&r->dirty_logs);
    list_init(&r->dead_logs);
    r->interval.fire = interval_fire;
    r->hook.run = reactor_turn_end;
}

static void name_other(void *arg, const char *name, bool is_dir)
{
    bool *other = arg;
    (void)is_dir;
    if (strcmp(name, "lock") != 0 && strcmp(name, "meta.tmp") != 0 &&
        strcmp(name, "lost+found") != 0)
        *other = true;
}

static enum err meta_create(struct embedded *e, struct err_text *text)
{
    bool other = false;
    enum err err = disk_list(e->disk, e->dir, name_other, &other);
    if (err)
        return err_say(text, err, "listing %s: %s", e->dir, err_meaning(err));
    if (other)
        return err_say(text, ERR_EXISTS,
                       "%s holds other files and no weir data: choose an empty or a new folder",
                       e->dir);
    uint8_t random[16];
    env_random(loop_env(e->loops[0]), random, sizeof(random));
    e->meta = (struct meta){.cluster_id = uuid_from_random(random), .shards = META_SHARDS};
    struct layout_path parent;
    err = disk_sync_dir(e->disk, layout_parent(&parent, e->dir));
    return err ? err_say(text, err, "syncing %s: %s", parent.s, err_meaning(err)) : ERR_OK;
}

/* Folder, lock and meta: from here on the folder is ours and this incarnation is its own. */
static enum err folder_take(struct embedded *e, bool *created, struct err_text *text)
{
    struct layout_path path;
    enum err err = disk_mkdir(e->disk, e->dir);
    if (err && err != ERR_EXISTS)
        return err_say(text, err, "making %s: %s", e->dir, err_meaning(err));
    err = disk_lock(e->disk, layout_in(&path, e->dir, "lock"), &e->lock);
    if (err == ERR_LOCKED)
        return err_say(text, err,
                       "another process serves %s: stop it, or choose another data folder", e->dir);
    if (err)
        return err_say(text, err, "locking %s: %s", path.s, err_meaning(err));
    err = meta_read(e->disk, e->dir, true, &e->meta, text);
    *created = err == ERR_NOT_FOUND;
    if (*created)
        err = meta_create(e, text);
    if (err)
        return err;
    e->meta.incarnation++;
    err = meta_write(e->disk, e->dir, &e->meta);
    if (err)
        return err_say(text, err, "writing %s/meta: %s", e->dir, err_meaning(err));
    return ERR_OK;
}

static enum err folders_make(struct embedded *e, struct err_text *text)
{
    static const char *const names[] = {"journal", "logs"};
    struct layout_path path;
    bool made = false;
    for (unsigned i = 0; i < 2; i++) {
        enum err err = disk_mkdir(e->disk, layout_in(&path, e->dir, names[i]));
        made = made || !err;
        if (err && err != ERR_EXISTS)
            return err_say(text, err, "making %s: %s", path.s, err_meaning(err));
    }
    enum err err = made ? disk_sync_dir(e->disk, e->dir) : ERR_OK;
    return err ? err_say(text, err, "syncing %s: %s", e->dir, err_meaning(err)) : ERR_OK;
}

static uint64_t or_default(uint64_t v, uint64_t def)
{
    return v ? v : def;
}

static struct embedded *embedded_make(const struct embedded_conf *conf, struct loop **loops,
                                      unsigned n)
{
    struct embedded *e = mem_zalloc(1, sizeof(*e));
    struct embedded_conf *c = &e->conf;
    *c = *conf;
    c->journal_first_bytes = or_default(c->journal_first_bytes, MIB);
    c->journal_file_bytes = or_default(c->journal_file_bytes, 64 * MIB);
    c->journal_bytes = or_default(c->journal_bytes, 1024 * MIB);
    c->checkpoint_bytes = or_default(c->checkpoint_bytes, c->journal_bytes / 4);
    c->checkpoint_ms = or_default(c->checkpoint_ms, 60000);
    c->reference_bytes = or_default(c->reference_bytes, MIB / 2);
    c->reserve_bytes = or_default(c->reserve_bytes, 16 * MIB);
    c->files_max = or_default(c->files_max, 512);
    c->sync_files_max = or_default(c->sync_files_max, 64);
    c->retention_ms = or_default(c->retention_ms, 30000);
    c->scrub_after_ms = or_default(c->scrub_after_ms, 600000);
    c->unload_looks = or_default(c->unload_looks, 10);
    e->dir = mem_strdup(conf->dir);
    c->dir = e->dir;
    e->disk = conf->disk;
    e->reactors = n;
    e->loops = mem_zalloc(n, sizeof(struct loop *));
    memcpy(e->loops, loops, n * sizeof(struct loop *));
    e->reactor = mem_zalloc(n, sizeof(*e->reactor));
    for (unsigned i = 0; i < n; i++)
        reactor_init(e, i);
    return e;
}

static void writer_failed(void *arg, enum err err, const char *what)
{
    embedded_fail(arg, err, what);
}

static void writer_starved(void *arg)
{
    checkpoint_starved(arg);
}

static enum err writer_start(struct embedded *e, uint64_t next_sequence, struct err_text *text)
{
    struct journal_conf conf = {.disk = e->disk,
                                .dir = e->dir,
                                .first_bytes = e->conf.journal_first_bytes,
                                .file_bytes = e->conf.journal_file_bytes,
                                .total_bytes = e->conf.journal_bytes,
                                .reserve_bytes = e->conf.reserve_bytes,
                                .incarnation = e->meta.incarnation,
                                .next_sequence = next_sequence};
    struct writer_ops ops = {reactor_complete, writer_failed, writer_starved, e};
    env_random(loop_env(e->loops[0]), &conf.salt, sizeof(conf.salt));
    enum err err = writer_open(&e->writer, &conf, &ops, e->loops, e->reactors, e->conf.where);
    if (err)
        return err_say(text, err, "opening the journal in %s: %s", e->dir, err_meaning(err));
    e->writer_open = true;
    return ERR_OK;
}

static enum err embedded_start(struct embedded *e, struct embedded_report *report,
                               struct err_text *text)
{
    uint64_t next_sequence;
    enum err err = folder_take(e, &report->created, text);
    if (!err)
        err = folders_make(e, text);
    if (!err)
        err = recovery_run(e, report, &next_sequence, text);
    if (!err)
        err = writer_start(e, next_sequence, text);
    return err;
}

enum err embedded_open(const struct embedded_conf *conf, struct loop **loops, unsigned n,
                       struct store **stores, struct embedded **out, struct embedded_report *report,
                       struct err_text *text)
{
    uint64_t from = clock_mono_us();
    memset(report, 0, sizeof(*report));
    if (strlen(conf->dir) > LAYOUT_DIR_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "the data folder's path has more than %d bytes",
                       LAYOUT_DIR_MAX);
    struct embedded *e = embedded_make(conf, loops, n);
    enum err err = embedded_start(e, report, text);
    if (err) {
        embedded_free(e);
        return err;
    }
    for (unsigned i = 0; i < n; i++) {
        struct store_reactor *r = &e->reactor[i];
        stores[i] = &r->store;
        report->logs += r->logs.count;
        loop_hook_add(r->loop, &r->hook);
        retention_init(r);
        scrub_init(r);
    }
    checkpoint_init(e);
    e->hooked = true;
    report->meta = e->meta;
    report->took_us = clock_mono_us() - from;
    *out = e;
    return ERR_OK;
}

/* --- close --- */

static void close_done(void *arg, enum err err)
{
    struct embedded *e = arg;
    e->closed(e->closed_arg, err);
}

/* Everything that was submitted before closing began is durable now, and nothing was since. Parts
 * of groups over several reactors may have been on their way; they arrived before the second
 * round's mail. */
static void close_drained(void *arg, enum err err)
{
    struct embedded *e = arg;
    if (err) {
        close_done(e, err);
    } else if (++e->close_rounds < 2 && e->reactors > 1) {
        checkpoint_start(e, false, close_drained, e);
    } else {
        weir_assert(writer_idle(&e->writer));
        checkpoint_start(e, true, close_done, e);
    }
}

static void close_poll(struct env_timer *timer)
{
    struct embedded *e = container_of(timer, struct embedded, close_timer);
    if (atomic_load(&e->failed))
        close_done(e, ERR_STORAGE);
    else if (e->checkpoint.step == CHECKPOINT_IDLE && atomic_load(&e->burials) == 0)
        checkpoint_start(e, false, close_drained, e);
    else
        env_timer_set(loop_env(e->loops[0]), timer, 1000);
}

void embedded_close(struct embedded *e, embedded_closed_fn *done, void *arg)
{
    atomic_store(&e->closing, true);
    e->closed = done;
    e->closed_arg = arg;
    if (atomic_load(&e->failed)) {
        done(arg, ERR_STORAGE);
        return;
    }
    e->close_timer.fire = close_poll;
    close_poll(&e->close_timer);
}

/* What is under way without a clean close, and will never end. */
static void reactor_abandon(struct embedded *e, struct store_reactor *r)
{
    struct list items, *at;
    list_init(&items);
    if (e->writer_open)
        writer_abandon(&e->writer, r->index, &items);
    list_move(&items, &r->turn_items);
    while ((at = list_pop(&items)))
        reactor_item_free(r, container_of(at, struct commit_item, link));
    checkpoint_part_free(&r->part);
    for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n)) {
        struct store_log *log = container_of(n, struct store_log, node);
        if (log->plog)
            plog_abandon(log->plog);
        log->plog = NULL;
    }
}

static void reactor_free(struct embedded *e, struct store_reactor *r)
{
    struct map_node *n;
    struct commit_item *item;
    struct commit_frame *frame;
    if (e->hooked) {
        loop_hook_remove(r->loop, &r->hook);
        env_timer_stop(reactor_env(r), &r->interval);
        env_timer_stop(reactor_env(r), &r->retention.timer);
        env_timer_stop(reactor_env(r), &r->scrub.timer);
    }
    reactor_abandon(e, r);
    scrub_free(r);
    while ((n = map_next(&r->logs, NULL)))
        reactor_log_free(container_of(n, struct store_log, node));
    map_free(&r->logs);
    plog_files_free(r->files);
    while ((item = r->items)) {
        r->items = item->user;
        mem_free(item);
    }
    while ((frame = r->frames)) {
        r->frames = frame->next;
        mem_free(frame);
    }
}

/* First of all nothing runs any more: a journal file may still be made in advance, and whoever gets
 * the lock after us takes it for a spare and writes to it. */
void embedded_free(struct embedded *e)
{
    if (e->hooked) {
        loop_set_quiet(e->reactors, e->loops);
        env_timer_stop(loop_env(e->loops[0]), &e->checkpoint.timer);
        env_timer_stop(loop_env(e->loops[0]), &e->close_timer);
    }
    for (unsigned i = 0; i < e->reactors; i++)
        reactor_free(e, &e->reactor[i]);
    if (e->writer_open)
        writer_close(&e->writer);
    disk_close(e->lock);
    mem_free(e->reactor);
    mem_free(e->loops);
    mem_free(e->dir);
    mem_free(e);
}

void embedded_checkpoint(struct embedded *e, embedded_closed_fn *done, void *arg)
{
    if (e->checkpoint.step == CHECKPOINT_IDLE && !atomic_load(&e->closing))
        checkpoint_start(e, false, done, arg);
    else if (done)
        done(arg, ERR_BUSY);
}

void embedded_stat(const struct embedded *e, struct embedded_stat *out)
{
    const struct writer *w = &e->writer;
    *out = (struct embedded_stat){.groups = w->groups,
                                  .syncs = w->syncs,
                                  .journal_bytes = w->journal.total,
                                  .journal_used = journal_used(&w->journal),
                                  .checkpoints = e->checkpoint.count,
                                  .commit_us = w->average_us,
                                  .scrub_passes = atomic_load(&e->scrub.passes),
                                  .scrub_bytes = atomic_load(&e->scrub.bytes),
                                  .scrub_faults = atomic_load(&e->scrub.faults)};
}

void embedded_set_scrub(struct embedded *e, uint64_t bytes_a_second)
{
    atomic_store(&e->scrub.rate, bytes_a_second);
}
