/* One request is one invocation, in steps:
 *
 *     WAITING --a slot--> CALLING --answered--> STORING --> OVER    (without outputs: at once)
 *        |                   |
 *        |                   +-- broken, late --> OVER
 *        |                   +-- cancelled: it goes on, without an op
 *        +-- cancelled, waited too long --> OVER
 */
#include "flow/invoke_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "flow/invoke_answer.h"

#include <stdio.h>
#include <string.h>

#define INVOCATION_BYTES_MAX ((size_t)16 << 20) /* of what a call and its outputs are made of */
#define INVOCATION_BLOCK_BYTES 4096

/* ---- targets -------------------------------------------------------------------------------- */

static bool name_eq(const struct map_node *node, const void *key)
{
    return str_eq(str_of(container_of_const(node, struct invoke_target, node)->name),
                  *(const struct str *)key);
}

/* Who asks is told when his slot is there; nothing else matters to him. */
static void changed(struct function_user *user)
{
    (void)user;
}

static struct invoke_target *target_get(struct invocations *all, struct str name)
{
    uint64_t hash = hash_bytes(name.at, name.len);
    struct map_node *node = map_find(&all->targets, hash, name_eq, &name);
    if (node)
        return container_of(node, struct invoke_target, node);
    struct invoke_target *t = mem_zalloc(1, sizeof *t);
    bool whole = str_copy(t->name, sizeof t->name, name);
    weir_assert(whole);
    t->all = all;
    t->user.name = str_of(t->name);
    t->user.changed = changed;
    map_insert(&all->targets, &t->node, hash);
    function_join(all->conf.functions, &t->user);
    return t;
}

static void target_put(struct invoke_target *t)
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

/* Who waits has his answer; what goes on has none to give. */
static void answer_op(struct invocation *v, enum err err)
{
    struct invoke_op *op = v->op;
    v->op = NULL;
    if (!op)
        return;
    op->invocation = NULL;
    op->text = v->text;
    if (err == ERR_OK) {
        op->answer = v->answer;
        invoke_init_answer(&v->answer);
    }
    op_finish(v->target->all->conf.broker, &op->op, err);
}

void invocation_end(struct invocation *v, enum err err)
{
    struct invocations *all = v->target->all;
    step_to(v, INVOCATION_OVER);
    answer_op(v, err);
    list_remove(&v->link);
    all->n--;
    target_put(v->target);
    if (v->function)
        document_unref(v->function);
    slice_unref(v->body);
    wr_free(&v->made_body);
    budget_share_drop(&v->share);
    invoke_outputs_free(&v->outputs);
    invoke_free_answer(&v->answer);
    arena_free(&v->arena);
    mem_free(v);
}

/* ---- the call ------------------------------------------------------------------------------- */

static bool is_handler(const struct invocation *v)
{
    const struct function_conf *f = &v->function->conf.function;
    return f->protocol == FUNCTION_AZURE && !f->azure_forward_http;
}

static enum err judge(struct invocation *v)
{
    struct http_call *call = &v->call;
    const char *name = v->target->name;
    switch (call->outcome) {
    case HTTP_ANSWERED:
        return is_handler(v) ? invoke_azure_take(v)
                             : invoke_answer_pass(call, &v->answer, &v->text);
    case HTTP_TIMED_OUT:
        return err_say(&v->text, ERR_TIMED_OUT, "function %s did not answer within limits.time",
                       name);
    case HTTP_NO_ROOM:
        return err_say(&v->text, ERR_BUSY, HTTP_NO_ROOM_TEXT);
    case HTTP_CANCELLED:
        if (!v->lost)
            return ERR_CLOSED;
        return err_say(&v->text, ERR_ANSWER_BAD, "the worker of function %s is gone", name);
    default:
        return err_say(&v->text, ERR_ANSWER_BAD, "function %s gave no answer: %s", name,
                       call->error);
    }
}

static enum function_result result_of(const struct invocation *v)
{
    switch (v->call.outcome) {
    case HTTP_TIMED_OUT:
        return FUNCTION_TIMED_OUT;
    case HTTP_ANSWERED:
    case HTTP_NO_ROOM:
        return FUNCTION_DONE;
    default:
        return FUNCTION_BROKEN;
    }
}

static void called(struct http_call *call)
{
    struct invocation *v = call->user;
    enum err err = judge(v);
    function_give(&v->slot, result_of(v), call->took_us, 1);
    if (err == ERR_OK && v->outputs.n > 0) {
        step_to(v, INVOCATION_STORING);
        invoke_azure_store(v);
        return;
    }
    invocation_end(v, err);
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
    step_to(v, INVOCATION_CALLING);
    v->http = v->slot.worker > 0 ? c->local : c->http;
    v->call = (struct http_call){.method = v->made.method,
                                 .url = v->made.url,
                                 .headers = v->made.headers,
                                 .headers_n = v->made.headers_n,
                                 .body = v->made.body,
                                 .timeout_ms = (uint32_t)v->function->conf.function.time_ms,
                                 .answer_bytes_max = HTTP_CALL_ANSWER_BYTES_MAX,
                                 .done = called,
                                 .user = v};
    http_call(v->http, &v->call);
}

static enum err build(struct invocation *v)
{
    struct env *env = v->target->all->env;
    if (v->function->conf.function.protocol == FUNCTION_AZURE)
        env_random(env, v->random, sizeof v->random);
    const struct invoke_request_conf conf = {.op = v->op,
                                             .function = v->function,
                                             .base = str_of(v->slot.url),
                                             .arena = &v->arena,
                                             .body = &v->made_body,
                                             .now_ms = env_now_ms(env),
                                             .random = v->random};
    return invoke_request_build(&conf, &v->made, &v->text);
}

/* There is a worker, or there will be none. */
static void ready(struct function_slot *slot, enum err err)
{
    struct invocation *v = container_of(slot, struct invocation, slot);
    if (err) {
        v->text = slot->text;
        invocation_end(v, err == ERR_TIMED_OUT ? ERR_BUSY : err);
        return;
    }
    v->function = document_ref(function_document(&v->target->user));
    err = build(v);
    if (err == ERR_OK) {
        call(v);
        return;
    }
    function_give(slot, FUNCTION_UNCALLED, 0, 0);
    invocation_end(v, err);
}

static void late(struct env_timer *timer)
{
    struct invocation *v = container_of(timer, struct invocation, late);
    function_cancel(&v->slot);
    invocation_end(v, err_say(&v->text, ERR_BUSY,
                              "no worker of function %s was free within workers.start",
                              v->target->name));
}

/* ---- the port ------------------------------------------------------------------------------- */

static struct str keep(struct invocation *v, struct str s)
{
    char *at = s.at ? arena_strndup(&v->arena, s.at, s.len) : NULL;
    return (struct str){at, at ? s.len : 0};
}

/* What no event can say is not kept: who sends nonsense in a trace still gets his answer. */
static struct str keep_attribute(struct invocation *v, const char *name, struct str value)
{
    struct event e;
    event_init(&e);
    bool right = value.len > 0 && event_attribute_set(&e, str_of(name), value, NULL) == ERR_OK;
    return keep(v, right ? value : (struct str){NULL, 0});
}

/* What outputs and lines of the log are told of the request, which may go before them. */
static void keep_traces(struct invocation *v, const struct invoke_request *r)
{
    struct str parent = invoke_request_field(r, "traceparent");
    v->correlation = keep_attribute(v, "correlationid", invoke_request_correlation(r));
    v->traceparent = keep_attribute(v, "traceparent", parent);
    v->tracestate = keep_attribute(v, "tracestate", invoke_request_field(r, "tracestate"));
    if (v->traceparent.at == NULL)
        v->traceparent = keep(v, r->traceparent);
    v->slot.correlation = v->correlation.len > 0 ? v->correlation : v->traceparent;
}

static struct invocation *make(struct invoke_target *t, struct invoke_op *op)
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
    v->share.of = t->all->conf.answers;
    arena_init_small(&v->arena, INVOCATION_BYTES_MAX, INVOCATION_BLOCK_BYTES);
    invoke_init_answer(&v->answer);
    keep_traces(v, &op->request);
    list_push(&t->all->under_way, &v->link);
    t->all->n++;
    t->waiting++;
    op->invocation = v;
    return v;
}

/* Is it worth while to wait for a worker? */
static enum err may_wait(struct invoke_target *t, struct invoke_op *op)
{
    struct budget *answers = t->all->conf.answers;
    uint64_t pause_us = function_pause_us(&t->user);
    if (!function_document(&t->user))
        return err_say(&op->text, ERR_NOT_FOUND, "there is no function %s", t->name);
    if (t->waiting >= INVOKE_WAITING_MAX)
        return err_say(&op->text, ERR_THROTTLED, "%d requests wait for function %s already",
                       INVOKE_WAITING_MAX, t->name);
    if (answers && budget_tight(answers))
        return err_say(&op->text, ERR_BUSY, HTTP_NO_ROOM_TEXT);
    if (pause_us == 0)
        return ERR_OK;
    op->retry_ms = (uint32_t)(pause_us / 1000) + 1;
    return err_say(&op->text, ERR_BUSY, "function %s fails: its next worker is not started yet",
                   t->name);
}

static void invoker_call(struct invoker *invoker, struct invoke_op *op)
{
    struct invocations *all = container_of(invoker, struct invocations, invoker);
    struct invoke_target *t = target_get(all, op->function);
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
    if (v->step > INVOCATION_WAITING) {
        answer_op(v, ERR_CLOSED);
        return;
    }
    function_cancel(&v->slot);
    invocation_end(v, ERR_CLOSED);
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
        v->outputs.last = true;
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
