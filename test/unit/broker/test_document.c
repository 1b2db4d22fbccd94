/* Functions and models: what is refused, and their life over restarts and on all reactors. */
#include "../check.h"

#include "base/mem.h"
#include "broker/access.h"
#include "broker/document.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void op_done(struct op *op)
{
    op->done = NULL; /* so that the caller sees it */
}

/* A spec as the struct of its kind. */
struct conf {
    union {
        struct function_conf function;
        struct model_conf model;
    };
    struct arena arena;
};

static enum err conf_read(struct conf *c, enum document_kind kind, const char *spec,
                          struct err_text *text)
{
    const struct spec_kind *k = document_spec(kind);
    struct spec_place where = {0};
    struct err_text wrong = {""};
    json_error_t bad;
    json_t *json = json_loads(spec, JSON_REJECT_DUPLICATES, &bad);
    assert_non_null(json);
    struct spec_document doc = spec_document_of(k, STR_LIT("x"), json);
    arena_init(&c->arena, DOCUMENT_BYTES_MAX);
    spec_init(k, c);
    enum err err = spec_read(k, &doc, &c->arena, c, &where, &wrong);
    snprintf(text->s, sizeof(text->s), "%s %s", where.path, wrong.s);
    json_decref(json);
    return err;
}

static struct conf conf_of(enum document_kind kind, const char *spec)
{
    struct conf c;
    struct err_text text;
    assert_int_equal(conf_read(&c, kind, spec, &text), ERR_OK);
    return c;
}

static enum err put_from(unsigned from, struct document_put_op *op)
{
    op->op.done = op_done;
    if (op->actor == NULL)
        op->actor = &rig_actor;
    broker_document_put(rig.brokers[from], op);
    rig_run(&rig);
    assert_null(op->op.done);
    return op->op.err;
}

static enum err put(enum document_kind kind, const char *name, const char *spec)
{
    struct conf c = conf_of(kind, spec);
    struct document_put_op op = {.kind = kind, .name = str_of(name), .conf = &c};
    enum err err = put_from(1 % rig.n, &op);
    document_unref(op.document);
    arena_free(&c.arena);
    return err;
}

static enum err del(enum document_kind kind, const char *name, struct err_text *text)
{
    struct document_delete_op op = {
        .op.done = op_done, .actor = &rig_actor, .kind = kind, .name = str_of(name)};
    broker_document_delete(rig.brokers[rig.n - 1], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    if (text != NULL)
        *text = op.text;
    return op.op.err;
}

static const struct document *find(unsigned reactor, enum document_kind kind, const char *name)
{
    return broker_document(rig.brokers[reactor], kind, str_of(name));
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

/* ---- what they may be ---- */

#define FEATURES "\"features\": [\"data.amount\"]"

static const struct {
    enum document_kind kind;
    const char *spec, *wrong; /* NULL: is right */
} specs[] = {
    {DOCUMENT_FUNCTION, "{\"command\": [\"./f\"]}", NULL},
    {DOCUMENT_FUNCTION, "{\"url\": \"http://f.default.svc/in\"}", NULL},
    {DOCUMENT_FUNCTION, "{\"url\": \"https://f\", \"workers\": {\"concurrency\": 4}}", NULL},
    {DOCUMENT_FUNCTION, "{}", "spec.command is missing: give the command"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"url\": \"http://f\"}",
     "spec.url must not be set"},
    {DOCUMENT_FUNCTION, "{\"command\": []}", "spec.command must be a program"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"\"]}", "spec.command must be a program"},
    {DOCUMENT_FUNCTION, "{\"url\": \"ftp://f\"}", "spec.url must begin with https://"},
    {DOCUMENT_FUNCTION, "{\"url\": \"http://f\", \"limits\": {\"memory\": \"1GiB\"}}",
     "spec.limits.memory must not be set with url"},
    {DOCUMENT_FUNCTION, "{\"url\": \"http://f\", \"workers\": {\"restart\": {\"first\": \"2s\"}}}",
     "spec.workers.restart.first must not be set with url"},
    {DOCUMENT_FUNCTION, "{\"url\": \"http://f\", \"limits\": {\"time\": \"2s\"}}", NULL},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"workers\": {\"min\": 3, \"max\": 2}}",
     "spec.workers.min must not be more"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"workers\": {\"max\": 201}}",
     "spec.workers.max must be a whole number from 1 to 200"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"workers\": {\"restart\": {\"first\": \"1m\"}}}",
     "spec.workers.restart.max must not be less"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"batch\": {\"events\": 2}}",
     "spec.batch.events must not be set where a call has one event"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"cloudevents-batch\", \"batch\": {\"events\": 2}}",
     NULL},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"protocol\": \"cloudevent\"}",
     "spec.protocol has no choice \"cloudevent\"; did you mean cloudevents?"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"azure\": {\"trigger\": {\"name\": \"e\"}}}",
     "spec.azure.trigger.name must be set only if protocol is azure"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"batch\": {\"events\": 9}, \"azure\": "
     "{\"trigger\": {\"name\": \"e\", \"type\": \"queueTrigger\"}, \"outputs\": [{\"name\": "
     "\"$return\", \"topic\": \"t\"}, {\"name\": \"out\", \"topic\": \"u\"}]}}",
     NULL},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"outputs\": [{\"name\": \"a\", "
     "\"topic\": \"t\"}, {\"name\": \"a\", \"topic\": \"u\"}]}}",
     "spec.azure.outputs must not name a twice"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"outputs\": [{\"name\": \"a "
     "b\", "
     "\"topic\": \"t\"}]}}",
     "spec.azure.outputs[0].name must be 1 to 127 letters"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"forwardHttp\": true}}",
     "spec.azure.forwardHttp must be set only if azure.trigger.type"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"queueTrigger\", \"methods\": [\"get\"]}}}",
     "spec.azure.trigger.methods must be set only if azure.trigger.type"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"httpTrigger\", \"methods\": [\"GET\", \"fetch\"]}}}",
     "spec.azure.trigger.methods must be of get, post, put, patch, delete and head; fetch is none"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"httpTrigger\", \"route\": \"a/{b}c\"}}}",
     "spec.azure.trigger.route must have a {parameter} as the whole"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"httpTrigger\"}, \"outputs\": [{\"name\": \"res\", \"topic\": \"t\"}]}}",
     "spec.azure.outputs must not name res, which is azure.response"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"httpTrigger\"}, \"outputs\": [{\"name\": \"o\", \"topic\": \"t\"}], \"forwardHttp\": "
     "true}}",
     "spec.azure.outputs must not be set with forwardHttp"},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"azure\": {\"trigger\": {\"type\": "
     "\"httpTrigger\", \"route\": \"a/{b?}\", \"methods\": [\"get\"]}, \"response\": \"$return\", "
     "\"outputs\": [{\"name\": \"res\", \"topic\": \"t\"}]}}",
     NULL},
    {DOCUMENT_FUNCTION,
     "{\"command\": [\"f\"], \"protocol\": \"azure\", \"batch\": {\"events\": 2}, \"azure\": "
     "{\"trigger\": {\"type\": \"httpTrigger\"}}}",
     "spec.batch.events must not be set: a request comes alone"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"env\": {\"1A\": \"x\"}}",
     "spec.env must have names of letters"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"env\": {\"PORT\": 1}}",
     "spec.env must not name PORT"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"env\": {\"_A1\": \"x\", \"B\": 2}}", NULL},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"limits\": {\"memory\": \"64KiB\"}}",
     "spec.limits.memory must be 0, for no limit, or at least 1MiB"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"limits\": {\"cpu\": 1.2345}}",
     "spec.limits.cpu must be a number of at most three decimals from 0 to 1024"},
    {DOCUMENT_FUNCTION, "{\"command\": [\"f\"], \"timeout\": \"1s\"}", "there is no such field"},

    {DOCUMENT_MODEL, "{" FEATURES ", \"xgboost\": {\"file\": \"m.json\"}}", NULL},
    {DOCUMENT_MODEL, "{" FEATURES ", \"server\": {\"url\": \"http://triton:8000\"}}", NULL},
    {DOCUMENT_MODEL,
     "{\"features\": [\"data.a.b\", \"subject\"], \"server\": {\"url\": \"https://t/\"}}",
     "spec.server.url must end with the host and port"},
    {DOCUMENT_MODEL, "{" FEATURES "}", "spec.xgboost.file is missing"},
    {DOCUMENT_MODEL, "{\"xgboost\": {\"file\": \"m.json\"}}", "spec.features is missing"},
    {DOCUMENT_MODEL, "{\"features\": [], \"xgboost\": {\"file\": \"m.json\"}}",
     "spec.features must name at least one"},
    {DOCUMENT_MODEL, "{\"features\": [\"data..a\"], \"xgboost\": {\"file\": \"m.json\"}}",
     "\"data..a\" is none"},
    {DOCUMENT_MODEL, "{\"features\": [\"data.\"], \"xgboost\": {\"file\": \"m.json\"}}",
     "\"data.\" is none"},
    {DOCUMENT_MODEL, "{\"features\": [\"data.a.\"], \"xgboost\": {\"file\": \"m.json\"}}",
     "\"data.a.\" is none"},
    {DOCUMENT_MODEL,
     "{" FEATURES ", \"xgboost\": {\"file\": \"m\"}, \"server\": {\"model\": \"x\"}}",
     "spec.server.model must not be set without server.url"},
    {DOCUMENT_MODEL,
     "{" FEATURES ", \"xgboost\": {\"file\": \"m\"}, \"output\": {\"field\": \"a.b\"}}",
     "spec.output.field must be the name of a member"},
    {DOCUMENT_MODEL,
     "{" FEATURES ", \"xgboost\": {\"file\": \"m\"}, \"fallback\": {\"score\": \"x\"}}",
     "spec.fallback.score must be a number"},
};

static void test_specs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct conf c;
        struct err_text text;
        enum err err = conf_read(&c, specs[i].kind, specs[i].spec, &text);
        arena_free(&c.arena);
        if (err != (specs[i].wrong != NULL ? ERR_CONFIG_INVALID : ERR_OK) ||
            (specs[i].wrong != NULL && strstr(text.s, specs[i].wrong) == NULL))
            fail_msg("%s: %s %s", specs[i].spec, err_name(err), text.s);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"./f\", \"-v\"]}"), ERR_OK);
    assert_int_equal(put(DOCUMENT_MODEL, "f", "{" FEATURES ", \"xgboost\": {\"file\": \"m\"}}"),
                     ERR_OK);
    for (unsigned i = 0; i < rig.n; i++) {
        const struct document *f = find(i, DOCUMENT_FUNCTION, "f");
        assert_non_null(f);
        assert_string_equal(f->name, "f");
        assert_int_equal(f->conf.function.command.n, 2);
        assert_true(str_is(f->conf.function.command.at[1], "-v"));
        assert_int_equal(f->conf.function.batch_events_max, 64);
        assert_int_equal(f->conf.function.workers_max, 8);
        assert_int_equal(f->conf.function.backoff_max_ms, 30000);
        assert_int_equal(f->conf.function.cpu_milli, 0);
        assert_true(str_is(f->conf.function.azure_trigger, "event"));
        assert_null(f->conf.function.directory.at);
        const struct document *m = find(i, DOCUMENT_MODEL, "f");
        assert_non_null(m);
        assert_true(str_is(m->conf.model.features.at[0], "data.amount"));
        assert_true(str_is(m->conf.model.output_field, "score"));
        assert_true(m->conf.model.fallback_milli == SPEC_UNSET);
    }
}

static void test_decimals(void **state)
{
    (void)state;
    assert_int_equal(
        put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"], \"limits\": {\"cpu\": \"250m\"}}"),
        ERR_OK);
    assert_int_equal(find(0, DOCUMENT_FUNCTION, "f")->conf.function.cpu_milli, 250);
    assert_int_equal(put(DOCUMENT_MODEL, "m",
                         "{" FEATURES
                         ", \"xgboost\": {\"file\": \"m\"}, \"fallback\": {\"score\": -0.5}}"),
                     ERR_OK);
    assert_int_equal(find(0, DOCUMENT_MODEL, "m")->conf.model.fallback_milli, -500);
}

/* ---- their life ---- */

static void test_change(void **state)
{
    (void)state;
    struct conf c = conf_of(DOCUMENT_FUNCTION, "{\"command\": [\"f\"]}");
    struct document_put_op op = {.kind = DOCUMENT_FUNCTION, .name = STR_LIT("f"), .conf = &c};
    op.update_only = true;
    assert_int_equal(put_from(1, &op), ERR_NOT_FOUND);
    assert_null(op.document);
    op.update_only = false;
    assert_int_equal(put_from(0, &op), ERR_OK);
    assert_true(op.created && op.changed);
    struct uuid id = op.document->id;
    uint64_t created_ms = op.document->created_ms;
    document_unref(op.document);
    fake_advance(&rig.world, 5000);
    assert_int_equal(put_from(2, &op), ERR_OK); /* the same again */
    assert_true(!op.created && !op.changed);
    document_unref(op.document);
    c.function.target = 7;
    op.validate_only = true;
    assert_int_equal(put_from(2, &op), ERR_OK);
    assert_true(!op.created && op.changed);
    assert_int_equal(op.document->conf.function.target, 7);
    document_unref(op.document);
    assert_int_equal(find(1, DOCUMENT_FUNCTION, "f")->conf.function.target, 100);
    op.validate_only = false;
    assert_int_equal(put_from(2, &op), ERR_OK);
    assert_true(uuid_eq(op.document->id, id));
    assert_true(op.document->created_ms == created_ms);
    document_unref(op.document);
    for (unsigned i = 0; i < rig.n; i++)
        assert_int_equal(find(i, DOCUMENT_FUNCTION, "f")->conf.function.target, 7);
    op.create_only = true;
    assert_int_equal(put_from(2, &op), ERR_EXISTS);
    op.name = STR_LIT("a b");
    assert_int_equal(put_from(2, &op), ERR_REQUEST_INVALID);
    op.name = (struct str){NULL, 0};
    assert_int_equal(put_from(2, &op), ERR_REQUEST_INVALID);
    arena_free(&c.arena);
}

static void test_delete(void **state)
{
    (void)state;
    struct err_text text;
    assert_int_equal(del(DOCUMENT_MODEL, "m", &text), ERR_NOT_FOUND);
    assert_string_equal(text.s, "there is no Model m");
    assert_int_equal(put(DOCUMENT_FUNCTION, "m", "{\"command\": [\"f\"]}"), ERR_OK);
    assert_int_equal(del(DOCUMENT_MODEL, "m", NULL), ERR_NOT_FOUND);
    struct uuid id = find(0, DOCUMENT_FUNCTION, "m")->id;
    assert_int_equal(del(DOCUMENT_FUNCTION, "m", NULL), ERR_OK);
    for (unsigned i = 0; i < rig.n; i++)
        assert_null(find(i, DOCUMENT_FUNCTION, "m"));
    rig_restart(&rig);
    assert_null(find(0, DOCUMENT_FUNCTION, "m"));
    assert_int_equal(put(DOCUMENT_FUNCTION, "m", "{\"command\": [\"f\"]}"), ERR_OK);
    assert_false(uuid_eq(find(0, DOCUMENT_FUNCTION, "m")->id, id));
}

static void test_order(void **state)
{
    (void)state;
    static const char *const names[] = {"m", "a", "z", "m.2", "b"};
    static const char *const sorted[] = {"a", "b", "m", "m.2", "z"};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(put(DOCUMENT_FUNCTION, names[i], "{\"command\": [\"f\"]}"), ERR_OK);
    for (unsigned round = 0; round < 2; round++) {
        const struct document *d = NULL;
        for (unsigned i = 0; i < 5; i++) {
            d = broker_document_next(rig.brokers[2], DOCUMENT_FUNCTION, d);
            assert_non_null(d);
            assert_string_equal(d->name, sorted[i]);
        }
        assert_null(broker_document_next(rig.brokers[2], DOCUMENT_FUNCTION, d));
        assert_null(broker_document_next(rig.brokers[2], DOCUMENT_MODEL, NULL));
        rig_restart(&rig);
    }
}

/* ---- a checker ---- */

struct judge {
    struct document_checker checker;
    const struct document *asked; /* not answered yet */
    enum err err;
    bool later;
    unsigned n;
};

static void judge_check(struct document_checker *checker, const struct document *d)
{
    struct judge *j = container_of(checker, struct judge, checker);
    j->n++;
    j->asked = j->later ? d : NULL;
    if (!j->later)
        broker_document_checked(rig.brokers[0], j->err, "the file is none");
}

#define MODEL_SPEC(file) "{\"features\": [\"data.a\"], \"xgboost\": {\"file\": \"" file "\"}}"

static void test_checker(void **state)
{
    (void)state;
    struct judge j = {.checker = {.kind = DOCUMENT_MODEL, .check = judge_check}};
    struct conf c = conf_of(DOCUMENT_MODEL, MODEL_SPEC("a"));
    struct document_put_op op = {.kind = DOCUMENT_MODEL, .name = STR_LIT("m"), .conf = &c};
    broker_document_checker_add(rig.brokers[0], &j.checker);
    j.err = ERR_CONFIG_INVALID;
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_string_equal(op.text.s, "the file is none");
    assert_true(!op.created && !op.changed && op.document == NULL);
    op.validate_only = true;
    assert_int_equal(put_from(2, &op), ERR_CONFIG_INVALID);
    assert_null(find(0, DOCUMENT_MODEL, "m"));
    j.err = ERR_OK;
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"]}"), ERR_OK);
    assert_int_equal(j.n, 2); /* other kinds are none of its business */
    assert_int_equal(put(DOCUMENT_MODEL, "m", MODEL_SPEC("a")), ERR_OK);
    assert_non_null(find(2, DOCUMENT_MODEL, "m"));
    assert_int_equal(put(DOCUMENT_MODEL, "m", MODEL_SPEC("a")), ERR_OK);
    assert_int_equal(j.n, 3); /* nor what stays as it was */
    broker_document_checker_remove(&j.checker);
    assert_int_equal(put(DOCUMENT_MODEL, "m", MODEL_SPEC("b")), ERR_OK);
    assert_int_equal(j.n, 3);
    arena_free(&c.arena);
}

/* What comes meanwhile waits. */
static void test_slow_checker(void **state)
{
    (void)state;
    struct judge j = {.checker = {.kind = DOCUMENT_MODEL, .check = judge_check}, .later = true};
    struct conf c = conf_of(DOCUMENT_MODEL, MODEL_SPEC("a"));
    struct conf f = conf_of(DOCUMENT_FUNCTION, "{\"command\": [\"f\"]}");
    struct document_put_op op = {.op.done = op_done,
                                 .actor = &rig_actor,
                                 .kind = DOCUMENT_MODEL,
                                 .name = STR_LIT("m"),
                                 .conf = &c};
    struct document_put_op next = {.op.done = op_done,
                                   .actor = &rig_actor,
                                   .kind = DOCUMENT_FUNCTION,
                                   .name = STR_LIT("f"),
                                   .conf = &f};
    broker_document_checker_add(rig.brokers[0], &j.checker);
    broker_document_put(rig.brokers[1], &op);
    rig_run(&rig);
    broker_document_put(rig.brokers[2], &next);
    rig_run(&rig);
    assert_non_null(j.asked);
    assert_string_equal(j.asked->name, "m");
    assert_true(op.op.done != NULL && next.op.done != NULL);
    assert_null(find(0, DOCUMENT_FUNCTION, "f"));
    broker_document_checked(rig.brokers[0], ERR_OK, "");
    rig_run(&rig);
    assert_true(op.op.done == NULL && next.op.done == NULL);
    assert_int_equal(op.op.err, ERR_OK);
    assert_int_equal(next.op.err, ERR_OK);
    assert_true(op.created && find(1, DOCUMENT_MODEL, "m") != NULL);
    assert_non_null(find(1, DOCUMENT_FUNCTION, "f"));
    document_unref(op.document);
    document_unref(next.document);
    broker_document_checker_remove(&j.checker);
    arena_free(&c.arena);
    arena_free(&f.arena);
}

struct seen {
    struct document_watcher watcher;
    unsigned created, changed, deleted;
};

static void watch_changed(struct document_watcher *w, struct broker *b, const struct document *old,
                          const struct document *now)
{
    struct seen *seen = container_of(w, struct seen, watcher);
    assert_ptr_equal(broker_document(b, DOCUMENT_FUNCTION, STR_LIT("f")), now);
    seen->created += old == NULL;
    seen->deleted += now == NULL;
    seen->changed += old != NULL && now != NULL;
}

/* Told once a change; what left stays valid until the turn is over. */
static void test_watch(void **state)
{
    (void)state;
    struct seen seen = {.watcher.changed = watch_changed};
    broker_document_watch(rig.brokers[2], &seen.watcher);
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"]}"), ERR_OK);
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"]}"), ERR_OK);
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"g\"]}"), ERR_OK);
    assert_int_equal(del(DOCUMENT_FUNCTION, "f", NULL), ERR_OK);
    assert_int_equal(seen.created, 1);
    assert_int_equal(seen.changed, 1);
    assert_int_equal(seen.deleted, 1);
    list_remove(&seen.watcher.link);
}

static void test_disk_full(void **state)
{
    (void)state;
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"]}"), ERR_DISK_FULL);
    assert_null(find(0, DOCUMENT_FUNCTION, "f"));
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"command\": [\"f\"]}"), ERR_OK);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(del(DOCUMENT_FUNCTION, "f", NULL), ERR_DISK_FULL);
    assert_non_null(find(0, DOCUMENT_FUNCTION, "f"));
    assert_int_equal(del(DOCUMENT_FUNCTION, "f", NULL), ERR_OK);
}

/* ---- who may ---- */

static void grant_cluster(const char *user)
{
    struct access_op op = {.op.done = op_done,
                           .actor = NULL,
                           .what = ACCESS_USER,
                           .act = ACCESS_PUT,
                           .name = str_of(user)};
    op.verifiers[0] = (struct verifier){
        .hash = VERIFIER_SHA_256, .iterations = 4096, .salt_len = 3, .salt = "abc"};
    broker_access_change(rig.brokers[0], &op);
    rig_run(&rig);
    assert_int_equal(op.op.err, ERR_OK);
    access_unref(op.item);
    op = (struct access_op){.op.done = op_done,
                            .what = ACCESS_GRANT,
                            .act = ACCESS_PUT,
                            .name = STR_LIT("g"),
                            .grant = {.roles = ACCESS_OWNER, .kind = ACCESS_CLUSTER}};
    snprintf(op.grant.principal, sizeof(op.grant.principal), "User:%s", user);
    broker_access_change(rig.brokers[0], &op);
    rig_run(&rig);
    assert_int_equal(op.op.err, ERR_OK);
    access_unref(op.item);
}

static void test_owner(void **state)
{
    (void)state;
    struct conf c = conf_of(DOCUMENT_FUNCTION, "{\"url\": \"http://f\"}");
    struct document_put_op op = {.kind = DOCUMENT_FUNCTION, .name = STR_LIT("f"), .conf = &c};
    struct actor key = {.principal = "Key:f/1", .address = "127.0.0.1:1"};
    op.actor = &key;
    assert_int_equal(put_from(1, &op), ERR_CLUSTER_DENIED);
    grant_cluster("alice");
    op.actor = NULL;
    assert_int_equal(put_from(1, &op), ERR_CLUSTER_DENIED);
    assert_int_equal(del(DOCUMENT_FUNCTION, "f", NULL), ERR_CLUSTER_DENIED);
    struct actor alice = {.principal = "User:alice", .address = "127.0.0.1:1"};
    op.actor = &alice;
    assert_int_equal(put_from(1, &op), ERR_OK);
    document_unref(op.document);
    arena_free(&c.arena);
}

/* Where commands are off only those functions may be put that are elsewhere; what was put before
 * stays. */
static void test_commands_off(void **state)
{
    (void)state;
    assert_int_equal(put(DOCUMENT_FUNCTION, "old", "{\"command\": [\"f\"]}"), ERR_OK);
    rig.conf.commands = false;
    rig_restart(&rig);
    assert_non_null(find(0, DOCUMENT_FUNCTION, "old"));
    struct conf c = conf_of(DOCUMENT_FUNCTION, "{\"command\": [\"f\"]}");
    struct document_put_op op = {.kind = DOCUMENT_FUNCTION, .name = STR_LIT("f"), .conf = &c};
    assert_int_equal(put_from(1, &op), ERR_POLICY);
    assert_non_null(strstr(op.text.s, "--commands on"));
    assert_null(find(0, DOCUMENT_FUNCTION, "f"));
    arena_free(&c.arena);
    assert_int_equal(put(DOCUMENT_FUNCTION, "f", "{\"url\": \"http://f\"}"), ERR_OK);
    assert_int_equal(del(DOCUMENT_FUNCTION, "old", NULL), ERR_OK);
}

/* ---- many at once ---- */

#define NAMES 6
#define OPS 12

struct model {
    int64_t target[DOCUMENT_KINDS][NAMES]; /* 0: not there */
};

struct flight {
    struct document_put_op put;
    struct document_delete_op del;
    struct conf conf;
    bool is_put;
    unsigned name;
    enum document_kind kind;
    struct flight *next_done; /* in the order of answers */
};

static struct flight *answered;

static void note(struct flight *f)
{
    f->next_done = answered;
    answered = f;
}

static void put_done(struct op *op)
{
    note(container_of(op, struct flight, put.op));
}

static void del_done(struct op *op)
{
    note(container_of(op, struct flight, del.op));
}

static char names[NAMES][8];

static void start(struct flight *f, unsigned from)
{
    *f = (struct flight){.is_put = rng_below(&rig.world.rng, 3) != 0,
                         .kind = rng_below(&rig.world.rng, 2) ? DOCUMENT_MODEL : DOCUMENT_FUNCTION,
                         .name = (unsigned)rng_below(&rig.world.rng, NAMES)};
    struct str name = str_of(names[f->name]);
    if (!f->is_put) {
        f->del = (struct document_delete_op){
            .op.done = del_done, .actor = &rig_actor, .kind = f->kind, .name = name};
        broker_document_delete(rig.brokers[from], &f->del);
        return;
    }
    f->conf = conf_of(f->kind, f->kind == DOCUMENT_MODEL ? "{" FEATURES
                                                           ", \"server\": {\"url\": \"http://m\"}}"
                                                         : "{\"command\": [\"f\"]}");
    int64_t n = 1 + (int64_t)rng_below(&rig.world.rng, 50);
    *(f->kind == DOCUMENT_MODEL ? &f->conf.model.timeout_ms : &f->conf.function.target) = n;
    f->put = (struct document_put_op){
        .op.done = put_done, .actor = &rig_actor, .kind = f->kind, .name = name, .conf = &f->conf};
    broker_document_put(rig.brokers[from], &f->put);
}

static int64_t number_of(const struct document *d)
{
    return d == NULL                   ? 0
           : d->kind == DOCUMENT_MODEL ? d->conf.model.timeout_ms
                                       : d->conf.function.target;
}

static void fold(struct model *m, struct flight *f)
{
    int64_t *at = &m->target[f->kind][f->name];
    if (!f->is_put) {
        assert_int_equal(f->del.op.err, *at != 0 ? ERR_OK : ERR_NOT_FOUND);
        *at = 0;
        return;
    }
    assert_int_equal(f->put.op.err, ERR_OK);
    assert_int_equal(f->put.created, *at == 0);
    *at = number_of(f->put.document);
    document_unref(f->put.document);
    arena_free(&f->conf.arena);
}

static void check_all(const struct model *m)
{
    for (unsigned r = 0; r < rig.n; r++)
        for (unsigned kind = 0; kind < DOCUMENT_KINDS; kind++)
            for (unsigned i = 0; i < NAMES; i++)
                assert_int_equal(number_of(find(r, (enum document_kind)kind, names[i])),
                                 m->target[kind][i]);
}

/* Many at once, from a reactor that sees the answers in the order in which they were given: what
 * was answered last is what every reactor has, and what is there after a restart. */
static void test_random(void **state)
{
    (void)state;
    struct model m = {0};
    struct flight *flights = mem_zalloc(OPS, sizeof(*flights));
    for (unsigned i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof(names[i]), "n%u", i);
    for (unsigned round = 0; round < 300; round++) {
        unsigned n = 1 + (unsigned)rng_below(&rig.world.rng, OPS);
        unsigned from = (unsigned)rng_below(&rig.world.rng, rig.n);
        answered = NULL;
        rig_defer(&rig, true);
        for (unsigned i = 0; i < n; i++) {
            start(&flights[i], from);
            if (rng_below(&rig.world.rng, 2))
                fake_deliver(&rig.world, (unsigned)rng_below(&rig.world.rng, rig.n));
            if (rng_below(&rig.world.rng, 3) == 0)
                fake_store_step(rig.stores[0]);
        }
        rig_run(&rig);
        rig_defer(&rig, false);
        struct flight *order[OPS];
        unsigned done = 0;
        for (struct flight *f = answered; f != NULL; f = f->next_done)
            order[done++] = f;
        assert_int_equal(done, n);
        while (done > 0)
            fold(&m, order[--done]);
        check_all(&m);
        if (round % 20 == 19) {
            rig_restart(&rig);
            check_all(&m);
        }
    }
    mem_free(flights);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),
        TEST(test_defaults),
        TEST(test_decimals),
        TEST(test_change),
        TEST(test_delete),
        TEST(test_order),
        TEST(test_checker),
        TEST(test_slow_checker),
        TEST(test_watch),
        TEST(test_disk_full),
        TEST(test_owner),
        TEST(test_commands_off),
        TEST(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
