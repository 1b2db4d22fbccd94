#include "flow/models.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/disk.h"
#include "io/loop.h"

#include <string.h>

#define PATH_BYTES_MAX 4096

/* A model that somebody asked for. Stays, since its counters do. */
struct entry {
    struct list link;
    struct models *set;
    struct model *model;           /* NULL: not read (yet), or gone */
    const struct document *wanted; /* whose file was or is read; NULL: gone */
    bool reading, failed;
    struct model_stats *stats;
    char name[TOPIC_NAME_MAX + 1];
};

/* On its way to reactor 0, and then in its list. */
struct told {
    struct env_mail mail;
    struct list link;
    struct models *first;
    struct model_stats stats;
    char name[TOPIC_NAME_MAX + 1];
};

/* One file that is being read. */
struct reading {
    struct loop_job job;
    struct models *set;
    const struct document *d;
    struct entry *entry; /* NULL: for the checker */
    char path[PATH_BYTES_MAX];
    struct xgboost *x;
    enum err err;
    struct err_text text;
};

struct models {
    struct models_conf conf;
    struct env *env;
    struct models *first; /* reactor 0's */
    struct list entries;
    struct list stats; /* of all reactors; on reactor 0 */
    struct document_watcher watcher;
    struct document_checker checker;
    struct env_timer again;
    unsigned readings;
    bool stopping, asked; /* asked: models_get is on the stack */
};

/* ---- counters ------------------------------------------------------------------------------- */

static void stats_arrived(struct env_mail *mail, struct env *env)
{
    struct told *t = container_of(mail, struct told, mail);
    (void)env;
    list_push(&t->first->stats, &t->link);
}

static struct model_stats *stats_make(struct models *m, const char *name)
{
    struct told *t = mem_zalloc(1, sizeof(*t));
    bool whole = str_copy(t->name, sizeof(t->name), str_of(name));
    weir_assert(whole);
    list_init(&t->link);
    t->first = m->first;
    t->mail.run = stats_arrived;
    env_post(m->env, 0, &t->mail);
    return &t->stats;
}

static void stats_free(struct model_stats *stats)
{
    struct told *t = container_of(stats, struct told, stats);
    list_remove(&t->link);
    mem_free(t);
}

static void add(atomic_uint_fast64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void model_stats_count(struct model_stats *s, enum model_scorer by, uint32_t rows, uint64_t took_us)
{
    add(&s->rows[by], rows);
    add(&s->batches[by], 1);
    add(&s->took_us[by], took_us);
}

static void total_add(struct model_total *to, const struct model_stats *s)
{
    for (unsigned i = 0; i < MODEL_SCORERS_N; i++) {
        to->rows[i] += atomic_load_explicit(&s->rows[i], memory_order_relaxed);
        to->batches[i] += atomic_load_explicit(&s->batches[i], memory_order_relaxed);
        to->took_us[i] += atomic_load_explicit(&s->took_us[i], memory_order_relaxed);
    }
    to->refused += atomic_load_explicit(&s->refused, memory_order_relaxed);
    to->ready = to->ready && atomic_load_explicit(&s->ready, memory_order_relaxed);
}

/* Of the blocks of one name the first in the list speaks for all. */
static bool is_first(const struct models *m, const struct told *t)
{
    list_for (it, &m->stats) {
        const struct told *other = container_of(it, struct told, link);
        if (strcmp(other->name, t->name) == 0)
            return other == t;
    }
    return false;
}

void models_each(const struct models *first, model_total_fn *each, void *arg)
{
    list_for (it, &first->stats) {
        const struct told *t = container_of(it, struct told, link);
        struct model_total total = {.name = t->name, .ready = true};
        if (!is_first(first, t))
            continue;
        list_for (jt, &first->stats) {
            const struct told *same = container_of(jt, struct told, link);
            if (strcmp(same->name, t->name) == 0)
                total_add(&total, &same->stats);
        }
        each(arg, &total);
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

/* On a thread for jobs. */
static void read_file(struct loop_job *job)
{
    struct reading *r = container_of(job, struct reading, job);
    struct buf *buf;
    size_t n;
    enum err err = disk_read_file(r->set->conf.disk, r->path, XGBOOST_BYTES_MAX, &buf, &n);
    if (err != ERR_OK) {
        r->err = err_say(&r->text, ERR_CONFIG_INVALID, "spec.xgboost.file %s: %s", r->path,
                         err == ERR_NOT_FOUND           ? "there is no such file"
                         : err == ERR_MESSAGE_TOO_LARGE ? "it is too large"
                                                        : "it cannot be read");
        return;
    }
    struct err_text why = {""};
    r->err = xgboost_read((struct str){(const char *)buf->data, n}, &r->x, &why);
    if (r->err != ERR_OK)
        r->err = err_say(&r->text, ERR_CONFIG_INVALID, "spec.xgboost.file %s: %s", r->path, why.s);
    buf_unref(buf);
}

static void read_over(struct loop_job *job);

static void read_start(struct models *m, const struct document *d, struct entry *entry)
{
    struct reading *r = mem_zalloc(1, sizeof(*r));
    r->set = m;
    r->d = document_ref(d);
    r->entry = entry;
    r->job.work = read_file;
    r->job.done = read_over;
    m->readings++;
    struct str file = d->conf.model.file;
    if (!str_copy(r->path, sizeof(r->path), file))
        r->err = err_say(&r->text, ERR_CONFIG_INVALID, "spec.xgboost.file is too long");
    bool needed = r->err == ERR_OK && file.at != NULL;
    if (needed && m->conf.loop != NULL) {
        loop_job_start(m->conf.loop, &r->job);
        return;
    }
    if (needed)
        read_file(&r->job);
    read_over(&r->job);
}

/* ---- entries -------------------------------------------------------------------------------- */

static struct entry *find(struct models *m, struct str name)
{
    list_for (it, &m->entries) {
        struct entry *e = container_of(it, struct entry, link);
        if (str_is(name, e->name))
            return e;
    }
    return NULL;
}

static struct entry *entry_of(struct models *m, struct str name)
{
    struct entry *e = find(m, name);
    if (e != NULL)
        return e;
    e = mem_zalloc(1, sizeof(*e));
    bool whole = str_copy(e->name, sizeof(e->name), name);
    weir_assert(whole);
    e->set = m;
    e->stats = stats_make(m, e->name);
    list_push(&m->entries, &e->link);
    return e;
}

/* Reads what its document says now. A reading that is under way is followed by another. */
static void entry_read(struct entry *e)
{
    struct models *m = e->set;
    const struct document *d = broker_document(m->conf.broker, DOCUMENT_MODEL, str_of(e->name));
    if (e->reading || m->stopping)
        return;
    document_unref(e->wanted);
    e->wanted = d != NULL ? document_ref(d) : NULL;
    if (d == NULL)
        return;
    e->reading = true;
    read_start(m, d, e);
}

static void tell(struct models *m, const char *name)
{
    if (!m->asked && !m->stopping)
        m->conf.changed(m->conf.arg, str_of(name));
}

static void entry_set(struct entry *e, struct model *model)
{
    model_unref(e->model);
    e->model = model;
    atomic_store_explicit(&e->stats->ready, model != NULL, memory_order_relaxed);
    tell(e->set, e->name);
}

/* Without its file it scores by its server or fallback, if it has one. */
static void entry_failed(struct entry *e, struct reading *r)
{
    struct models *m = e->set;
    struct err_text why;
    struct model *bare = NULL;
    env_log(m->env, ENV_WARN, "model.not_read", "model=%s why=\"%s\"", e->name, r->text.s);
    e->failed = true;
    if (!env_timer_armed(&m->again))
        env_timer_set(m->env, &m->again, MODELS_AGAIN_US);
    const struct model_conf *c = &r->d->conf.model;
    bool can = c->url.at != NULL || c->fallback_milli != SPEC_UNSET;
    if (e->model == NULL && can && model_make(r->d, NULL, &bare, &why) == ERR_OK)
        entry_set(e, bare);
}

static void entry_over(struct entry *e, struct reading *r)
{
    struct model *model = NULL;
    e->reading = false;
    if (e->wanted == NULL ||
        broker_document(e->set->conf.broker, DOCUMENT_MODEL, str_of(e->name)) != r->d) {
        entry_read(e); /* it changed meanwhile */
        return;
    }
    if (r->err == ERR_OK)
        r->err = model_make(r->d, r->x, &model, &r->text);
    e->failed = r->err != ERR_OK;
    if (e->failed) {
        entry_failed(e, r);
        return;
    }
    r->x = NULL;
    env_log(e->set->env, ENV_INFO, "model.ready", "model=%s features=%u file=\"%s\"", e->name,
            model_features_n(model), r->path);
    entry_set(e, model);
}

/* ---- the checker ---------------------------------------------------------------------------- */

static void check(struct document_checker *checker, const struct document *d)
{
    struct models *m = container_of(checker, struct models, checker);
    if (m->stopping)
        broker_document_checked(m->conf.broker, ERR_LEADER_NOT_AVAILABLE, "weir is stopping");
    else
        read_start(m, d, NULL);
}

static void checked(struct reading *r)
{
    struct model *model;
    if (r->err == ERR_OK)
        r->err = model_make(r->d, r->x, &model, &r->text);
    if (r->err == ERR_OK) {
        r->x = NULL;
        model_unref(model);
    }
    broker_document_checked(r->set->conf.broker, r->err, r->text.s);
}

static void read_over(struct loop_job *job)
{
    struct reading *r = container_of(job, struct reading, job);
    struct models *m = r->set;
    m->readings--;
    if (r->entry == NULL)
        checked(r);
    else
        entry_over(r->entry, r);
    xgboost_free(r->x);
    document_unref(r->d);
    mem_free(r);
}

/* ---- what is asked -------------------------------------------------------------------------- */

struct model *models_get(struct models *m, struct str name)
{
    struct entry *e = entry_of(m, name);
    m->asked = true;
    if (e->model == NULL && !e->reading && !e->failed)
        entry_read(e);
    m->asked = false;
    return e->model != NULL ? model_ref(e->model) : NULL;
}

struct model_stats *models_stats(struct models *m, struct str name)
{
    return entry_of(m, name)->stats;
}

static void changed(struct document_watcher *w, struct broker *b, const struct document *old,
                    const struct document *now)
{
    struct models *m = container_of(w, struct models, watcher);
    const struct document *d = now != NULL ? now : old;
    (void)b;
    if (d->kind != DOCUMENT_MODEL)
        return;
    struct entry *e = find(m, str_of(d->name));
    if (e == NULL) { /* it may be this reactor's from now on */
        tell(m, d->name);
        return;
    }
    e->failed = false;
    if (now != NULL) {
        entry_read(e);
    } else {
        document_unref(e->wanted);
        e->wanted = NULL;
        entry_set(e, NULL);
    }
}

static void again(struct env_timer *timer)
{
    struct models *m = container_of(timer, struct models, again);
    list_for (it, &m->entries) {
        struct entry *e = container_of(it, struct entry, link);
        if (e->failed)
            entry_read(e);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

struct models *models_make(const struct models_conf *conf, struct models *first)
{
    struct models *m = mem_zalloc(1, sizeof(*m));
    m->conf = *conf;
    m->env = broker_env(conf->broker);
    m->first = first != NULL ? first : m;
    weir_assert((first == NULL) == (m->env->reactor == 0));
    list_init(&m->entries);
    list_init(&m->stats);
    m->again.fire = again;
    m->watcher.changed = changed;
    broker_document_watch(conf->broker, &m->watcher);
    m->checker = (struct document_checker){.kind = DOCUMENT_MODEL, .check = check};
    if (first == NULL)
        broker_document_checker_add(conf->broker, &m->checker);
    return m;
}

void models_stop(struct models *m)
{
    m->stopping = true;
    env_timer_stop(m->env, &m->again);
}

bool models_busy(const struct models *m)
{
    return m->readings > 0;
}

void models_free(struct models *m)
{
    weir_assert(m->readings == 0);
    env_timer_stop(m->env, &m->again);
    list_remove(&m->watcher.link);
    if (m->first == m)
        broker_document_checker_remove(&m->checker);
    list_for_safe (it, &m->entries) {
        struct entry *e = container_of(it, struct entry, link);
        model_unref(e->model);
        document_unref(e->wanted);
        stats_free(e->stats);
        mem_free(e);
    }
    mem_free(m);
}
