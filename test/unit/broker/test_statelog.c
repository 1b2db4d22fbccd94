/* State logs: random changes against a map, with the process dying at any point and coming back. */
#include "../check.h"

#include "base/mem.h"
#include "broker/statelog.h"
#include "fake_env.h"
#include "fake_store.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define ENTITIES 12
#define KEYS 4 /* of one entity */
#define IN_FLIGHT 64

static const struct store_log_id log_id = {{{7}}, 3};

/* An entity is a row of KEYS values, 0: not there. */
struct row {
    struct statelog_entity entity;
    uint32_t values[KEYS];
    bool there; /* some value is not 0, or a write is under way */
};

/* One that is paged out, or on its way there or back. */
struct paged {
    struct statelog_entity entity;
    struct statelog_append append;
    struct statelog_load load;
    struct fixture *f;
    unsigned of;
    uint64_t order; /* of the changes there had been */
    bool out, loading;
};

struct fixture;

struct change {
    struct statelog_append append;
    struct store_group group; /* of a join */
    enum err group_err;
    bool joins;
    struct fixture *f;
    struct row *row, *other_row;
    struct statelog_entity *entities[2];
    unsigned entity, key;
    unsigned other; /* entity that the change is about, too; ENTITIES: none */
    uint32_t value;
    bool under_way;
    uint64_t order; /* of submission */
};

struct fixture {
    struct fake_world world;
    struct fake_disk *disk;
    struct fake_store *store;
    struct statelog *log;
    struct rng rng;
    struct row *rows[ENTITIES]; /* NULL: gone, or paged out */
    struct paged *paged[ENTITIES];
    enum err paged_err;
    uint64_t last_order[ENTITIES]; /* of a change about it */
    uint64_t slack;
    bool loaded;
    enum err load_err;
    bool apply_at_once; /* to memory when submitted, not when durable */
    uint32_t next_value;
    uint64_t order, last_done[ENTITIES];
    unsigned snapshots;
    /* What was acknowledged, per value, and what was submitted after it. */
    uint32_t acked[ENTITIES][KEYS];
    struct change changes[IN_FLIGHT];
};

static struct str key_of(unsigned entity, unsigned key, char out[16])
{
    int n = snprintf(out, 16, "%u.%u", entity, key);
    return (struct str){out, (size_t)n};
}

static struct row *row_get(struct fixture *f, unsigned entity)
{
    if (f->rows[entity] == NULL)
        f->rows[entity] = mem_zalloc(1, sizeof(struct row));
    return f->rows[entity];
}

static bool row_empty(const struct row *r)
{
    for (unsigned k = 0; k < KEYS; k++)
        if (r->values[k] != 0)
            return false;
    return true;
}

static void row_set(struct fixture *f, unsigned entity, unsigned key, uint32_t value)
{
    row_get(f, entity)->values[key] = value;
}

static struct statelog_entity *apply(void *user, struct str key, struct str value, int64_t ts)
{
    struct fixture *f = user;
    char text[16];
    unsigned entity, k;
    (void)ts;
    assert_true(str_copy(text, sizeof(text), key));
    assert_int_equal(sscanf(text, "%u.%u", &entity, &k), 2);
    uint32_t v = 0;
    if (value.at != NULL) {
        assert_int_equal(value.len, 4);
        memcpy(&v, value.at, 4);
    }
    row_set(f, entity, k, v);
    return &f->rows[entity]->entity;
}

static void add(struct batch_builder *b, unsigned entity, unsigned key, uint32_t value)
{
    char text[16];
    struct str v = {(const char *)&value, 4};
    batch_add(b, 1, key_of(entity, key, text), value != 0 ? v : (struct str){NULL, 0}, NULL, 0);
}

static void snapshot(void *user, struct statelog_entity *e, struct batch_builder *out)
{
    struct fixture *f = user;
    f->snapshots++;
    for (unsigned i = 0; i < ENTITIES; i++) {
        if (f->rows[i] == NULL || &f->rows[i]->entity != e)
            continue;
        for (unsigned k = 0; k < KEYS; k++)
            if (f->rows[i]->values[k] != 0)
                add(out, i, k, f->rows[i]->values[k]);
        return;
    }
    fail();
}

static const struct statelog_ops ops = {apply, snapshot};

static void loaded(void *user, struct statelog *log, enum err err)
{
    struct fixture *f = user;
    f->log = log;
    f->loaded = true;
    f->load_err = err;
}

static void boot(struct fixture *f)
{
    fake_world_make(&f->world, 1);
    f->store = fake_store_make(f->disk, &f->world.envs[0].env, NULL);
    f->loaded = false;
    struct statelog_conf conf = {
        .store = fake_store_port(f->store),
        .env = &f->world.envs[0].env,
        .topic = log_id.topic,
        .partition = log_id.partition,
        .ops = &ops,
        .user = f,
        .loaded = loaded,
        .slack_bytes = f->slack,
    };
    statelog_open(&conf, &f->log);
    fake_store_run(f->store);
    assert_true(f->loaded);
}

static void setup(struct fixture *f, uint64_t seed, uint64_t slack)
{
    memset(f, 0, sizeof(*f));
    rng_seed(&f->rng, seed);
    f->disk = fake_disk_make();
    f->slack = slack;
    boot(f);
    assert_int_equal(f->load_err, ERR_OK);
}

static void forget_memory(struct fixture *f)
{
    for (unsigned i = 0; i < ENTITIES; i++) {
        mem_free(f->rows[i]);
        mem_free(f->paged[i]);
        f->rows[i] = NULL;
        f->paged[i] = NULL;
    }
}

static void end(struct fixture *f, unsigned keep)
{
    fake_disk_crash(f->disk, keep);
    statelog_free(f->log);
    fake_store_free(f->store);
    fake_world_free(&f->world);
    forget_memory(f);
}

static void teardown(struct fixture *f)
{
    end(f, 0);
    fake_disk_free(f->disk);
}

static void drop_if_gone(struct fixture *f, unsigned entity)
{
    struct row *row = f->rows[entity];
    bool held = f->apply_at_once || !row_empty(row) || row->entity.pending > 0;
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        const struct change *c = &f->changes[i];
        held |= c->under_way && (c->row == row || c->other_row == row);
    }
    if (held)
        return;
    statelog_forget(f->log, &row->entity);
    mem_free(row);
    f->rows[entity] = NULL;
}

static void done_entity(struct fixture *f, const struct change *c, unsigned entity, enum err err)
{
    assert_true(c->joins || c->order > f->last_done[entity]); /* in order, per entity */
    if (!c->joins)
        f->last_done[entity] = c->order;
    if (err != ERR_OK)
        return;
    f->acked[entity][c->key] = c->value;
    if (!f->apply_at_once)
        row_set(f, entity, c->key, c->value);
    drop_if_gone(f, entity);
}

static void done(struct statelog_append *a, enum err err)
{
    struct change *c = container_of(a, struct change, append);
    struct fixture *f = c->f;
    assert_true(c->under_way);
    c->under_way = false;
    done_entity(f, c, c->entity, err);
    if (c->other < ENTITIES)
        done_entity(f, c, c->other, err);
}

/* A join, in a group of its own. */
static void join_done(struct store_group *group, enum err err)
{
    struct change *c = container_of(group, struct change, group);
    statelog_joined(&c->append, err);
}

static void join_ready(struct statelog_append *a, enum err err)
{
    struct change *c = container_of(a, struct change, append);
    struct store *store = fake_store_port(c->f->store);
    if (err != ERR_OK) {
        done(a, err);
        return;
    }
    store_begin(store, &c->group);
    c->group.done = join_done;
    store_append(store, &c->group, &a->append);
    store_commit(store, &c->group);
}

static void join_hold(struct statelog_append *a, enum err err)
{
    (void)a;
    assert_int_equal(err, ERR_OK);
}

static void join_tell_nobody(struct store_group *group, enum err err)
{
    (void)group;
    assert_int_equal(err, ERR_OK);
}

static struct change *change_free(struct fixture *f)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        if (!f->changes[i].under_way)
            return &f->changes[i];
    return NULL;
}

/* other: an entity that the same change is about, or ENTITIES. */
static bool submit_as(struct fixture *f, unsigned entity, unsigned other, unsigned key,
                      uint32_t value, bool joins)
{
    struct change *c = change_free(f);
    struct batch_builder b;
    if (c == NULL)
        return false;
    *c = (struct change){.append.done = done,
                         .f = f,
                         .row = row_get(f, entity),
                         .other_row = other < ENTITIES ? row_get(f, other) : NULL,
                         .entity = entity,
                         .other = other,
                         .key = key,
                         .value = value,
                         .under_way = true,
                         .joins = joins,
                         .order = ++f->order};
    size_t n = other < ENTITIES && other != entity ? 2 : 1;
    f->last_order[entity] = f->order;
    if (n > 1)
        f->last_order[other] = f->order;
    c->entities[0] = &c->row->entity;
    c->entities[1] = n > 1 ? &c->other_row->entity : NULL;
    batch_begin(&b, 0);
    for (size_t i = 0; i < n; i++) {
        add(&b, i == 0 ? entity : other, key, value);
        if (f->apply_at_once)
            row_set(f, i == 0 ? entity : other, key, value);
    }
    c->other = n > 1 ? other : ENTITIES;
    if (joins)
        statelog_join(f->log, &c->append, &b, c->entities, n, join_ready);
    else
        statelog_write_all(f->log, &c->append, &b, c->entities, n);
    return true;
}

static bool submit(struct fixture *f, unsigned entity, unsigned key, uint32_t value)
{
    return submit_as(f, entity, ENTITIES, key, value, false);
}

/* ---- paging ---- */

static bool is_out(const struct fixture *f, unsigned entity)
{
    return entity < ENTITIES && f->paged[entity] != NULL && f->paged[entity]->out;
}

static bool has_changes(const struct fixture *f, unsigned entity)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        if (f->changes[i].under_way &&
            (f->changes[i].entity == entity || f->changes[i].other == entity))
            return true;
    return false;
}

static void paged_drop(struct paged *p)
{
    statelog_forget(p->f->log, &p->entity);
    p->f->paged[p->of] = NULL;
    mem_free(p);
}

/* Whatever was changed meanwhile stays in memory. */
static void page_out_done(struct statelog_append *a, enum err err)
{
    struct paged *p = container_of(a, struct paged, append);
    struct fixture *f = p->f;
    if (err != ERR_OK || f->last_order[p->of] != p->order) {
        paged_drop(p);
        return;
    }
    p->out = true;
    statelog_forget(f->log, &f->rows[p->of]->entity);
    mem_free(f->rows[p->of]);
    f->rows[p->of] = NULL;
}

static bool page_out(struct fixture *f, unsigned entity)
{
    struct batch_builder b;
    if (f->rows[entity] == NULL || f->paged[entity] != NULL || row_empty(f->rows[entity]) ||
        has_changes(f, entity))
        return false;
    struct paged *p = f->paged[entity] = mem_zalloc(1, sizeof(*p));
    p->f = f;
    p->of = entity;
    p->order = f->last_order[entity];
    p->entity.chunk = true;
    p->append.done = page_out_done;
    batch_begin(&b, 0);
    for (unsigned k = 0; k < KEYS; k++)
        if (f->rows[entity]->values[k] != 0)
            add(&b, entity, k, f->rows[entity]->values[k]);
    statelog_write(f->log, &p->append, &b, &p->entity);
    return true;
}

static void page_in_done(struct statelog_load *load, enum err err)
{
    struct paged *p = container_of(load, struct paged, load);
    struct fixture *f = p->f;
    assert_int_equal(load->read.from, p->entity.since); /* what lies before may be trimmed */
    p->loading = false;
    f->paged_err = err != ERR_OK ? err : statelog_load_apply(load);
    if (f->paged_err == ERR_OK)
        paged_drop(p);
}

static void page_in(struct fixture *f, unsigned entity)
{
    struct paged *p = f->paged[entity];
    if (!is_out(f, entity) || p->loading)
        return;
    p->loading = true;
    p->load.done = page_in_done;
    statelog_load(f->log, &p->load, &p->entity);
}

static void page_in_all(struct fixture *f)
{
    for (unsigned i = 0; i < ENTITIES; i++)
        page_in(f, i);
    fake_store_run(f->store);
}

static void submit_random(struct fixture *f)
{
    unsigned entity = (unsigned)rng_below(&f->rng, ENTITIES);
    if (rng_one_in(&f->rng, 4)) {
        page_out(f, entity);
        return;
    }
    if (rng_one_in(&f->rng, 2))
        entity = 0; /* a busy one */
    uint32_t value = rng_one_in(&f->rng, 4) ? 0 : ++f->next_value;
    unsigned other = rng_one_in(&f->rng, 3) ? (unsigned)rng_below(&f->rng, ENTITIES) : ENTITIES;
    if (is_out(f, entity) || is_out(f, other)) {
        page_in(f, is_out(f, entity) ? entity : other);
        return;
    }
    submit_as(f, entity, other, (unsigned)rng_below(&f->rng, KEYS), value, rng_one_in(&f->rng, 4));
}

/* Memory and what was acknowledged are the same, with nothing under way. */
static void check_memory(struct fixture *f)
{
    for (unsigned i = 0; i < ENTITIES; i++)
        for (unsigned k = 0; k < KEYS; k++)
            assert_int_equal(f->rows[i] != NULL ? f->rows[i]->values[k] : 0, f->acked[i][k]);
}

static void test_empty(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 0);
    assert_false(fake_disk_has(f.disk, &log_id)); /* nothing is made for nothing */
    assert_int_equal(statelog_end(f.log), 0);
    teardown(&f);
}

static void test_first_writes(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 0);
    fake_store_defer(f.store, true);
    for (unsigned i = 0; i < 5; i++)
        assert_true(submit(&f, i, 0, i + 1)); /* while the log is being made */
    fake_store_run(f.store);
    assert_int_equal(statelog_end(f.log), 5);
    check_memory(&f);
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    teardown(&f);
}

static void test_cannot_be_made(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 0);
    fake_disk_fail(f.disk, FAKE_OPEN, 1, 1, ERR_DISK_FULL);
    assert_true(submit(&f, 0, 0, 1));
    assert_int_equal(f.acked[0][0], 0);
    assert_true(submit(&f, 0, 0, 2));
    assert_int_equal(f.acked[0][0], 2);
    teardown(&f);
}

/* The log stays within a few times of what is alive, however much is written. */
static void test_stays_short(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 4096);
    for (unsigned i = 0; i < 20000; i++)
        assert_true(submit(&f, i % ENTITIES, i / ENTITIES % KEYS, i + 1));
    assert_true(f.snapshots > ENTITIES);
    assert_true(statelog_start(f.log) > 15000);
    assert_true(fake_disk_bytes(f.disk, &log_id) < 5 * 4096);
    check_memory(&f);
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    teardown(&f);
}

/* Snapshots must not cost more than the changes: a large state is not rewritten for a small slack.
 */
static void test_cost(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 1);
    unsigned n = 20000;
    for (unsigned i = 0; i < n; i++)
        assert_true(submit(&f, i % ENTITIES, i % KEYS, i + 1));
    assert_true(f.snapshots <= n + ENTITIES); /* each about as large as a change here */
    teardown(&f);
}

/* One that always has a write under way is snapshotted nevertheless. */
static void test_busy(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 2000);
    fake_store_defer(f.store, true);
    for (unsigned i = 0; i < 5000; i++) {
        submit(&f, 0, i % KEYS, i + 1);
        submit(&f, 0, (i + 1) % KEYS, i + 1);
        fake_store_step(f.store);
        fake_store_step(f.store);
        if (i > 0)
            assert_true(f.rows[0]->entity.pending + f.rows[0]->entity.held > 0 || i < 3);
    }
    assert_true(f.snapshots > 10);
    assert_true(statelog_start(f.log) > 9000);
    fake_store_run(f.store);
    check_memory(&f);
    teardown(&f);
}

/* All is deleted: nothing needs to be kept. */
static void test_all_gone(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 1000);
    for (unsigned i = 0; i < ENTITIES; i++)
        assert_true(submit(&f, i, 0, 1));
    for (unsigned round = 0; round < 100; round++)
        for (unsigned i = 0; i < ENTITIES; i++)
            assert_true(submit(&f, i, 0, round % 2 == 0 ? 0 : 5) || true);
    for (unsigned i = 0; i < ENTITIES; i++)
        assert_true(submit(&f, i, 0, 0));
    for (unsigned i = 0; i < ENTITIES; i++)
        assert_null(f.rows[i]);
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    assert_true(fake_disk_bytes(f.disk, &log_id) < 4000);
    teardown(&f);
}

static void test_failed_snapshot_and_trim(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 1000);
    unsigned failed = 0;
    for (unsigned i = 0; i < 5000; i++) {
        if (i % 50 == 0)
            fake_disk_fail(f.disk, i % 100 == 0 ? FAKE_COMMIT : FAKE_TRIM, 2, 1, ERR_DISK_FULL);
        uint32_t before = f.acked[i % ENTITIES][0];
        submit(&f, i % ENTITIES, 0, i + 1);
        failed += f.acked[i % ENTITIES][0] == before;
    }
    assert_true(failed < 60);
    check_memory(&f);
    assert_true(fake_disk_bytes(f.disk, &log_id) < 10000);
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    teardown(&f);
}

/* After a death the log says, of each value, what was acknowledged last, or one of those that were
 * on their way behind it; and then goes on from there. */
static void check_after_crash(struct fixture *f, const struct change *changes)
{
    for (unsigned i = 0; i < ENTITIES; i++) {
        for (unsigned k = 0; k < KEYS; k++) {
            uint32_t v = f->rows[i] != NULL ? f->rows[i]->values[k] : 0;
            bool right = v == f->acked[i][k];
            for (unsigned c = 0; c < IN_FLIGHT; c++)
                right |= changes[c].under_way &&
                         (changes[c].entity == i || changes[c].other == i) && changes[c].key == k &&
                         changes[c].value == v;
            assert_true(right);
            f->acked[i][k] = v;
        }
    }
}

static void random_run(uint64_t seed, bool apply_at_once)
{
    struct fixture f;
    struct change changes[IN_FLIGHT];
    setup(&f, seed, 200 + 100 * (seed % 7));
    f.apply_at_once = apply_at_once;
    for (unsigned life = 0; life < 6; life++) {
        fake_store_defer(f.store, true);
        unsigned steps = 1 + (unsigned)rng_below(&f.rng, 300);
        rig_lose_memory(true); /* of what will be under way */
        for (unsigned i = 0; i < steps; i++) {
            if (rng_one_in(&f.rng, 2))
                submit_random(&f);
            else
                fake_store_step(f.store);
        }
        if (rng_one_in(&f.rng, 4)) { /* quiet: then memory is what was acknowledged */
            fake_store_run(f.store);
            page_in_all(&f);
            check_memory(&f);
        }
        rig_lose_memory(false);
        memcpy(changes, f.changes, sizeof(changes));
        end(&f, (unsigned)rng_below(&f.rng, fake_disk_under_way(f.disk) + 1));
        memset(f.changes, 0, sizeof(f.changes));
        memset(f.last_done, 0, sizeof(f.last_done));
        boot(&f);
        assert_int_equal(f.load_err, ERR_OK);
        check_after_crash(&f, changes);
        for (unsigned i = 0; i < ENTITIES; i++) /* what is empty is not kept by this user */
            if (f.rows[i] != NULL && row_empty(f.rows[i]) && !apply_at_once) {
                statelog_forget(f.log, &f.rows[i]->entity);
                mem_free(f.rows[i]);
                f.rows[i] = NULL;
            }
    }
    teardown(&f);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++)
        random_run(seed, seed % 2 == 1);
}

static void test_load_fails(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 0);
    assert_true(submit(&f, 0, 0, 1));
    end(&f, 0);
    fake_disk_fail(f.disk, FAKE_READ, 1, 1, ERR_IO);
    boot(&f);
    assert_int_equal(f.load_err, ERR_IO);
    end(&f, 0);
    fake_disk_fail(f.disk, FAKE_OPEN, 1, 1, ERR_CORRUPT);
    boot(&f);
    assert_int_equal(f.load_err, ERR_CORRUPT);
    end(&f, 0);
    fake_disk_damage(f.disk, &log_id, 0, BATCH_HEAD_BYTES); /* the first record's length */
    boot(&f);
    assert_int_equal(f.load_err, ERR_CORRUPT);
    teardown(&f);
}

/* Of two entities one joins, and its end is told only after the log was written over many times:
 * nothing of it may have been trimmed. */
static void test_join_told_late(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 500);
    struct change *c = &f.changes[IN_FLIGHT - 1];
    struct batch_builder b;
    assert_true(submit(&f, 1, 0, 1));
    *c = (struct change){
        .f = &f, .row = row_get(&f, 0), .other = ENTITIES, .under_way = true, .joins = true};
    batch_begin(&b, 0);
    add(&b, 0, 0, 77);
    c->entities[0] = &c->row->entity;
    statelog_join(f.log, &c->append, &b, c->entities, 1, join_hold);
    struct store *store = fake_store_port(f.store);
    store_begin(store, &c->group);
    c->group.done = join_tell_nobody;
    store_append(store, &c->group, &c->append.append);
    store_commit(store, &c->group);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(submit(&f, 1, i % KEYS, i + 1));
    assert_true(statelog_start(f.log) <= 1);
    row_set(&f, 0, 0, 77);
    f.acked[0][0] = 77;
    statelog_joined(&c->append, ERR_OK);
    c->under_way = false;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(submit(&f, 1, i % KEYS, i + 1));
    assert_true(statelog_start(f.log) > 1000);
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    teardown(&f);
}

/* One is forgotten while its snapshot is on its way: the others go on. */
static void test_forget_in_snapshot(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 300);
    unsigned forgotten = 0;
    for (unsigned i = 0; i < 400; i++) {
        fake_store_defer(f.store, true);
        assert_true(submit(&f, i % 3, i % KEYS, i + 1));
        unsigned before = f.snapshots;
        fake_store_step(f.store);
        struct row *row = f.rows[i % 3];
        if (f.snapshots > before && row != NULL && row->entity.pending == 1) {
            statelog_forget(f.log, &row->entity);
            forgotten++;
        }
        fake_store_run(f.store);
        fake_store_defer(f.store, false);
    }
    assert_true(forgotten > 10);
    check_memory(&f);
    teardown(&f);
}

static void fill(struct fixture *f, unsigned entity, uint32_t value)
{
    for (unsigned k = 0; k < KEYS; k++)
        assert_true(submit(f, entity, k, value + k));
}

/* All others are written over and over. */
static void others(struct fixture *f, unsigned entity, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(submit(f, (entity + 1 + i % (ENTITIES - 1)) % ENTITIES, i % KEYS, i + 1));
}

/* What is paged out moves with the log, unasked, and is as it was when it is loaded; its place can
 * be trimmed thereafter. */
static void test_chunk(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 2000);
    fill(&f, 3, 100);
    assert_true(page_out(&f, 3));
    assert_null(f.rows[3]);
    others(&f, 3, 5000);
    assert_true(statelog_start(f.log) > 4000);
    int64_t since = f.paged[3]->entity.since;
    assert_true(since > 4000);
    page_in(&f, 3);
    assert_int_equal(f.paged_err, ERR_OK);
    assert_int_equal(f.rows[3]->entity.since, since);
    check_memory(&f);
    others(&f, 3, 5000);
    assert_true(statelog_start(f.log) > since);
    assert_true(page_out(&f, 3));
    end(&f, 0);
    boot(&f);
    check_memory(&f);
    teardown(&f);
}

/* What cannot be read is there still, and holds the log until it can. */
static void test_chunk_unreadable(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 1000);
    fill(&f, 3, 100);
    assert_true(page_out(&f, 3));
    fake_disk_fail(f.disk, FAKE_READ, 1, 1, ERR_IO);
    page_in(&f, 3);
    assert_int_equal(f.paged_err, ERR_IO);
    assert_true(is_out(&f, 3));
    fake_disk_fail(f.disk, FAKE_READ, 1, 1000, ERR_IO);
    others(&f, 3, 2000);
    assert_true(statelog_start(f.log) <= f.paged[3]->entity.since);
    assert_true(statelog_start(f.log) < 100);
    fake_disk_fail(f.disk, FAKE_READ, 1, 0, ERR_OK);
    others(&f, 3, 2000);
    assert_true(statelog_start(f.log) > 2000);
    page_in(&f, 3);
    assert_int_equal(f.paged_err, ERR_OK);
    check_memory(&f);
    teardown(&f);
}

static void test_chunk_damaged(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, 1 << 20);
    fill(&f, 3, 100);
    assert_true(page_out(&f, 3));
    size_t last = fake_disk_batches(f.disk, &log_id) - 1;
    fake_disk_damage(f.disk, &log_id, last, fake_disk_batch(f.disk, &log_id, last).len - 1);
    page_in(&f, 3);
    assert_int_equal(f.paged_err, ERR_CORRUPT);
    assert_true(is_out(&f, 3));
    teardown(&f);
}

/* Steps until the chunk of entity 3 is being copied; `written`: until that is being written. */
static void step_to_copy(struct fixture *f, bool written)
{
    fake_store_defer(f->store, true);
    while (f->paged[3]->entity.pending == 0) {
        assert_true(submit(f, 1, 0, ++f->next_value));
        fake_store_step(f->store);
    }
    while (written && fake_disk_under_way(f->disk) == 0)
        fake_store_step(f->store);
}

/* It is asked for while it is copied, before and behind that. */
static void test_chunk_loaded_in_copy(void **state)
{
    (void)state;
    for (unsigned written = 0; written < 2; written++) {
        struct fixture f;
        setup(&f, 1, 1000);
        fill(&f, 3, 100);
        assert_true(page_out(&f, 3));
        step_to_copy(&f, written);
        page_in(&f, 3);
        assert_true(is_out(&f, 3));
        fake_store_run(f.store);
        assert_false(is_out(&f, 3));
        check_memory(&f);
        fake_store_defer(f.store, false);
        others(&f, 3, 2000);
        assert_true(statelog_start(f.log) > 1000);
        check_memory(&f);
        teardown(&f);
    }
}

/* It ends while it is copied, and does not come back. */
static void test_chunk_ends_in_copy(void **state)
{
    (void)state;
    for (unsigned written = 0; written < 2; written++) {
        struct fixture f;
        setup(&f, 1, 1000);
        fill(&f, 3, 100);
        assert_true(page_out(&f, 3));
        step_to_copy(&f, written);
        paged_drop(f.paged[3]);
        for (unsigned k = 0; k < KEYS; k++)
            assert_true(submit(&f, 3, k, 0));
        fake_store_run(f.store);
        assert_null(f.rows[3]);
        end(&f, 0);
        boot(&f);
        assert_true(f.rows[3] == NULL || row_empty(f.rows[3]));
        teardown(&f);
    }
}

/* A long log is read in parts, whether the store answers at once or later. */
static void test_long_load(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1, (uint64_t)1 << 40);
    for (unsigned i = 0; i < 30000; i++)
        assert_true(submit(&f, i % ENTITIES, i % KEYS, i + 1));
    assert_true(fake_disk_bytes(f.disk, &log_id) > (size_t)2 << 20);
    end(&f, 0);
    boot(&f);
    assert_int_equal(f.load_err, ERR_OK);
    check_memory(&f);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_first_writes),
        cmocka_unit_test(test_cannot_be_made),
        cmocka_unit_test(test_stays_short),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_all_gone),
        cmocka_unit_test(test_failed_snapshot_and_trim),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_load_fails),
        cmocka_unit_test(test_long_load),
        cmocka_unit_test(test_join_told_late),
        cmocka_unit_test(test_forget_in_snapshot),
        cmocka_unit_test(test_chunk),
        cmocka_unit_test(test_chunk_unreadable),
        cmocka_unit_test(test_chunk_damaged),
        cmocka_unit_test(test_chunk_loaded_in_copy),
        cmocka_unit_test(test_chunk_ends_in_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
