/* One request is one invocation, in steps:
 *
 *     WAITING --a slot--> CALLING --answered, broken, late--> over
 *        |                   |
 *        +-- cancelled       +-- cancelled: it goes on, without an op
 *        +-- waits too long
 */
#include "flow/invoke.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "flow/invoke_answer.h"
#include "flow/invoke_request.h"

#include <stdio.h>
#include <string.h>

#define INVOCATION_BYTES_MAX ((size_t)1 << 20) /* of what is made of the request's head */
#define INVOCATION_BLOCK_BYTES 4096

struct invocations {
    struct invoker invoker;
    struct invocations_conf conf;
    struct env *env;
    struct map targets;
    struct list under_way; /* struct invocation */
    size_t n;
};

/* A function that is being called, as a user of its pool. */
struct target {
    struct map_node node;
    struct invocations *all;
    struct function_user user;
    unsigned invocations, waiting;
    char name[TOPIC_NAME_MAX + 1];
};

#define INVOCATION_STEPS(S) S(WAITING) S(CALLING) S(OVER)
enum invocation_step {
#define S(name) INVOCATION_##name,
    INVOCATION_STEPS(S)
#undef S
};

struct invocation {
    struct list link;
    struct target *target;
    struct invoke_op *op; /* NULL: nobody waits for the answer any more */
    enum invocation_step step;
    struct function_slot slot;
    struct env_timer late; /* it waits in vain */
    struct slice body;     /* the request's, with a reference */
    struct invoke_call made;
    struct http_call call;
    struct http_client *http;
    bool lost; /* its worker */
    struct arena arena;
};

/* ---- targets -------------------------------------------------------------------------------- */

static bool name_eq(const struct map_node *node, const void *key)
{
    return str_eq(str_of(container_of_const(node, struct target, node)->name),
                  *(const struct str *)key);
}

/* Who asks is told when his slot is there; nothing else matters to him. */
static void changed(struct function_user *user)
{
    (void)user;
}

static struct target *target_get(struct invocations *all, struct str name)
{
    uint64_t hash = hash_bytes(name.at, name.len);
    struct map_node *node = map_find(&all->targets, hash, name_eq, &name);
    if (node)
        return container_of(node, struct target, node);
    struct target *t = mem_zalloc(1, sizeof *t);
    bool whole = str_copy(t->name, sizeof t->name, name);
    weir_assert(whole);
    t->all = all;
    t->user.name = str_of(t->name);
    t->user.changed = changed;
    map_insert(&all->targets, &t->node, hash);
    function_join(all->conf.functions, &t->user);
    return t;
}

static void target_put(struct target *t)
{
    if (--t->invocations > 0)
        return;
    function_leave(&t->user);
    map_remove(&t->all->targets, &t->node);
    mem_free(t);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void step_to(struct invocation *v, enum invocation_step step)
{
    weir_assert(step > v->step);
    if (v->step == INVOCATION_WAITING) {
        env_timer_stop(v->target->all->env, &v->late);
        v->target->waiting--;
    }
    v->step = step;
}

static void finish(struct invocation *v, enum err err)
{
    struct invoke_op *op = v->op;
    v->op = NULL;
    if (!op)
        return;
    op->invocation = NULL;
    op_finish(v->target->all->conf.broker, &op->op, err);
}

static void end(struct invocation *v, enum err err)
{
    struct invocations *all = v->target->all;
    step_to(v, INVOCATION_OVER);
    finish(v, err);
    list_remove(&v->link);
    all->n--;
    target_put(v->target);
    slice_unref(v->body);
    arena_free(&v->arena);
    mem_free(v);
}

/* ---- the call ------------------------------------------------------------------------------- */

static enum err judge(struct invocation *v)
{
    struct http_call *call = &v->call;
    struct err_text *text = &v->op->text;
    const char *name = v->target->name;
    switch (call->outcome) {
    case HTTP_ANSWERED:
        return invoke_answer_pass(v->op, call);
    case HTTP_TIMED_OUT:
        return err_say(text, ERR_TIMED_OUT, "function %s did not answer within limits.time", name);
    case HTTP_CANCELLED:
        if (!v->lost)
            return ERR_CLOSED;
        return err_say(text, ERR_ANSWER_BAD, "the worker of function %s is gone", name);
    default:
        return err_say(text, ERR_ANSWER_BAD, "function %s gave no answer: %s", name, call->error);
    }
}

static enum function_result result_of(const struct invocation *v)
{
    switch (v->call.outcome) {
    case HTTP_TIMED_OUT:
        return FUNCTION_TIMED_OUT;
    case HTTP_ANSWERED:
        return FUNCTION_DONE;
    default:
        return FUNCTION_BROKEN;
    }
}

static void called(struct http_call *call)
{
    struct invocation *v = call->user;
    enum err err = v->op ? judge(v) : ERR_OK;
    function_give(&v->slot, result_of(v), call->took_us, 1);
    end(v, err);
}

/* Its worker is gone, whatever still holds the connection. */
static void lost(struct function_slot *slot)
{
    struct invocation *v = container_of(slot, struct invocation, slot);
    v->lost = true;
    http_cancel(v->http, &v->call);
}

static void call(struct invocation *v)
{
    const struct invocations_conf *c = &v->target->all->conf;
    const struct function_conf *f = &function_document(&v->target->user)->conf.function;
    step_to(v, INVOCATION_CALLING);
    v->http = v->slot.worker > 0 ? c->local : c->http;
    v->call = (struct http_call){.method = v->made.method,
                                 .url = v->made.url,
                                 .headers = v->made.headers,
                                 .headers_n = v->made.headers_n,
                                 .body = v->made.body,
                                 .timeout_ms = (uint32_t)f->time_ms,
                                 .answer_bytes_max = HTTP_CALL_ANSWER_BYTES_MAX,
                                 .done = called,
                                 .user = v};
    http_call(v->http, &v->call);
}

static enum err no_worker(struct invocation *v, enum err err)
{
    v->op->text = v->slot.text;
    return err == ERR_TIMED_OUT ? ERR_BUSY : err;
}

/* There is a worker, or there will be none. */
static void ready(struct function_slot *slot, enum err err)
{
    struct invocation *v = container_of(slot, struct invocation, slot);
    if (err) {
        end(v, no_worker(v, err));
        return;
    }
    err = invoke_request_build(v->op, function_document(&v->target->user), str_of(slot->url),
                               &v->arena, &v->made);
    if (err == ERR_OK) {
        call(v);
        return;
    }
    function_give(slot, FUNCTION_UNCALLED, 0, 0);
    end(v, err);
}

static void late(struct env_timer *timer)
{
    struct invocation *v = container_of(timer, struct invocation, late);
    function_cancel(&v->slot);
    end(v, err_say(&v->op->text, ERR_BUSY, "no worker of function %s was free within workers.start",
                   v->target->name));
}

/* ---- the port ------------------------------------------------------------------------------- */

static struct invocation *make(struct target *t, struct invoke_op *op)
{
    struct invocation *v = mem_zalloc(1, sizeof *v);
    v->target = t;
    v->op = op;
    v->body = slice_ref(op->request.body);
    v->late.fire = late;
    v->slot.user = &t->user;
    v->slot.partition = -1;
    v->slot.ready = ready;
    v->slot.lost = lost;
    arena_init_small(&v->arena, INVOCATION_BYTES_MAX, INVOCATION_BLOCK_BYTES);
    struct str correlation = invoke_request_correlation(&op->request);
    v->slot.correlation.at = arena_strndup(&v->arena, correlation.at, correlation.len);
    v->slot.correlation.len = v->slot.correlation.at ? correlation.len : 0;
    list_push(&t->all->under_way, &v->link);
    t->all->n++;
    t->waiting++;
    op->invocation = v;
    return v;
}

/* Is it worth while to wait for a worker? */
static enum err may_wait(struct target *t, struct invoke_op *op)
{
    uint64_t pause_us = function_pause_us(&t->user);
    if (!function_document(&t->user))
        return err_say(&op->text, ERR_NOT_FOUND, "there is no function %s", t->name);
    if (t->waiting >= INVOKE_WAITING_MAX)
        return err_say(&op->text, ERR_THROTTLED, "%d requests wait for function %s already",
                       INVOKE_WAITING_MAX, t->name);
    if (pause_us == 0)
        return ERR_OK;
    op->retry_ms = (uint32_t)(pause_us / 1000) + 1;
    return err_say(&op->text, ERR_BUSY, "function %s fails: its next worker is not started yet",
                   t->name);
}

static void invoker_call(struct invoker *invoker, struct invoke_op *op)
{
    struct invocations *all = container_of(invoker, struct invocations, invoker);
    struct target *t = target_get(all, op->function);
    t->invocations++;
    enum err err = may_wait(t, op);
    if (err) {
        target_put(t);
        op_finish(all->conf.broker, &op->op, err);
        return;
    }
    const struct function_conf *f = &function_document(&t->user)->conf.function;
    struct invocation *v = make(t, op);
    env_timer_set(all->env, &v->late, (uint64_t)f->start_ms * 1000);
    function_take(&v->slot);
}

static void invoker_cancel(struct invoker *invoker, struct invoke_op *op)
{
    struct invocation *v = op->invocation;
    (void)invoker;
    if (v->step == INVOCATION_WAITING) {
        function_cancel(&v->slot);
        end(v, ERR_CLOSED);
    } else {
        finish(v, ERR_CLOSED);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

struct invocations *invocations_make(const struct invocations_conf *conf)
{
    static const struct invoker_ops ops = {invoker_call, invoker_cancel};
    struct invocations *all = mem_zalloc(1, sizeof *all);
    all->invoker.ops = &ops;
    all->conf = *conf;
    all->env = broker_env(conf->broker);
    map_init(&all->targets);
    list_init(&all->under_way);
    broker_set_invoker(conf->broker, &all->invoker);
    return all;
}

void invocations_cut(struct invocations *all)
{
    list_for (it, &all->under_way) {
        struct invocation *v = container_of(it, struct invocation, link);
        if (v->step == INVOCATION_CALLING)
            http_cancel(v->http, &v->call);
    }
}

bool invocations_busy(const struct invocations *all)
{
    return all->n > 0;
}

void invocations_free(struct invocations *all)
{
    weir_assert(!invocations_busy(all));
    broker_set_invoker(all->conf.broker, NULL);
    map_free(&all->targets);
    mem_free(all);
}
