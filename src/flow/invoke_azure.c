/* What a custom handler answers to a request: the HTTP answer for who asked, events for topics.
 *
 * Outputs are stored before who asked is answered, all or none of them. A topic that is not there
 * is made; who asked waits for that, too.
 */
#include "flow/invoke_internal.h"

#include "base/mem.h"
#include "flow/function_azure_http.h"
#include "flow/function_log.h"
#include "flow/reply.h"
#include "flow/reply_topics.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_US ((uint64_t)20000)
#define TRIES 50
#define ID_BYTES (AZURE_GUID_TEXT_MAX + 16)

/* ---- reading -------------------------------------------------------------------------------- */

static enum err kept(struct invocation *v, const char *text, struct str *out)
{
    *out = (struct str){arena_strndup(&v->arena, text, strlen(text)), strlen(text)};
    return out->at != NULL ? ERR_OK : ERR_MEMORY;
}

static enum err inherit(struct event *e, struct str name, struct str value)
{
    if (value.len == 0 || event_extension(e, name).at != NULL)
        return ERR_OK;
    return event_extension_set(e, name, value);
}

/* What an output does not say of itself. */
static enum err fill(struct invocation *v, struct event *e)
{
    char guid[AZURE_GUID_TEXT_MAX], id[ID_BYTES];
    bool traced = event_extension(e, STR_LIT("traceparent")).at != NULL;
    snprintf(id, sizeof id, "%s/%zu", azure_guid(v->random, guid), v->outputs.n);
    if (e->source.at == NULL)
        e->source = v->outputs.source;
    enum err err = e->id.at != NULL ? ERR_OK : kept(v, id, &e->id);
    if (err == ERR_OK && !traced)
        err = inherit(e, STR_LIT("traceparent"), v->traceparent);
    if (err == ERR_OK && !traced)
        err = inherit(e, STR_LIT("tracestate"), v->tracestate);
    return err == ERR_OK ? inherit(e, STR_LIT("correlationid"), v->correlation) : err;
}

static struct publish_op *output_add(struct invoke_outputs *o, struct str topic)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 4;
        o->at = mem_realloc(o->at, o->cap * sizeof *o->at);
        o->topics = mem_realloc(o->topics, o->cap * sizeof *o->topics);
    }
    o->topics[o->n] = topic;
    struct publish_op *op = &o->at[o->n++];
    *op = (struct publish_op){.partition = -1};
    return op;
}

static enum err take_event(void *arg, struct event *e, struct str topic)
{
    static const uint8_t no_random[24]; /* it has a traceparent */
    struct invocation *v = arg;
    if (v->outputs.n == REPLY_EVENTS_MAX)
        return err_say(&v->text, ERR_MESSAGE_TOO_LARGE, "there are more than %d events in it",
                       REPLY_EVENTS_MAX);
    enum err err = fill(v, e);
    if (err != ERR_OK)
        return err;
    struct publish_op *op = output_add(&v->outputs, topic);
    return event_to_record(e, no_random, &v->arena, &op->record, &v->text);
}

static void take_line(void *arg, struct str text)
{
    struct invocation *v = arg;
    function_log_said(v->target->all->env, v->target->name, v->slot.worker, "correlation",
                      v->slot.correlation, text);
}

static enum err not_taken(struct invocation *v, enum err err, const char *why)
{
    struct err_text was = v->text;
    v->outputs.n = 0;
    return err_say(&v->text, ERR_ANSWER_BAD, "the handler's answer cannot be taken: %s",
                   was.s[0]      ? was.s
                   : why && *why ? why
                                 : err_meaning(err));
}

/* Names of topics are the document's, which v holds. */
static enum err read_answer(struct invocation *v, struct str text)
{
    char source[TOPIC_NAME_MAX + 16];
    snprintf(source, sizeof source, "/functions/%s", v->target->name);
    enum err err = kept(v, source, &v->outputs.source);
    if (err != ERR_OK)
        return err;
    struct azure_answer a = {.conf = &v->function->conf.function,
                             .arena = &v->arena,
                             .source = v->outputs.source,
                             .event = take_event,
                             .line = take_line,
                             .arg = v};
    err = azure_answer_read(&a, text);
    if (err != ERR_OK)
        return not_taken(v, err, a.text.s);
    function_dropped(&v->target->user, a.dropped);
    if (a.lines_dropped > 0)
        env_log(v->target->all->env, ENV_WARN, "function.output_dropped",
                "function=%s worker=%u lines=%u held=false", v->target->name, v->slot.worker,
                a.lines_dropped);
    err = azure_http_answer(&a.response, a.returned, &v->answer, &v->text);
    return err == ERR_OK ? err : not_taken(v, err, NULL);
}

enum err invoke_azure_take(struct invocation *v)
{
    const struct http_call *call = &v->call;
    if (call->answer_cut)
        return err_say(&v->text, ERR_ANSWER_BAD, "the handler's answer is larger than %zu bytes",
                       call->answer.len);
    if (call->status < 200 || call->status > 299)
        return err_say(&v->text, ERR_ANSWER_BAD, "the handler failed with status %d", call->status);
    /* Outputs point into it, and the call's own goes with the call. */
    struct str text = {
        arena_strndup(&v->arena, call->answer.at ? call->answer.at : "", call->answer.len),
        call->answer.len};
    budget_share_claim(&v->share, text.len);
    if (text.at == NULL)
        return not_taken(v, ERR_MEMORY, NULL);
    return read_answer(v, text);
}

/* ---- storing -------------------------------------------------------------------------------- */

void invoke_outputs_free(struct invoke_outputs *o)
{
    mem_free(o->at);
    mem_free(o->topics);
}

static void again(struct env_timer *timer)
{
    invoke_azure_store(container_of(timer, struct invocation, outputs.again));
}

/* Another try will do, or none any more. */
static void store_again(struct invocation *v, enum err err, const char *why)
{
    struct env *env = v->target->all->env;
    bool passes = err == ERR_TOPIC_UNKNOWN || err == ERR_BUSY || err == ERR_LEADER_NOT_AVAILABLE;
    if (passes && !v->outputs.last && ++v->outputs.tries < TRIES) {
        v->outputs.again.fire = again;
        env_timer_set(env, &v->outputs.again, AGAIN_US);
        return;
    }
    env_log(env, ENV_WARN, "function.outputs_not_stored", "function=%s outputs=%zu error=%s",
            v->target->name, v->outputs.n, err_name(err));
    invoke_free_answer(&v->answer);
    (void)err_say(&v->text, err, "what function %s put out was not stored: %s", v->target->name,
                  why[0] ? why : err_meaning(err));
    invocation_end(v, err == ERR_TOPIC_UNKNOWN ? ERR_ANSWER_BAD : err);
}

static void stored(struct publish_all *all, enum err err)
{
    struct invocation *v = container_of(all, struct invocation, outputs.all);
    if (err == ERR_OK)
        invocation_end(v, ERR_OK);
    else
        store_again(v, err, all->text.s);
}

/* False: one is missing; it is being made. */
static bool find_topics(struct invocation *v)
{
    struct broker *b = v->target->all->conf.broker;
    bool all = true;
    for (size_t i = 0; i < v->outputs.n; i++) {
        const struct topic *t = broker_topic(b, v->outputs.topics[i]);
        if (t != NULL)
            v->outputs.at[i].topic = t->id;
        else
            reply_topic_make(b, v->outputs.topics[i]);
        all = all && t != NULL;
    }
    return all;
}

void invoke_azure_store(struct invocation *v)
{
    struct invoke_outputs *o = &v->outputs;
    if (!find_topics(v)) {
        store_again(v, ERR_TOPIC_UNKNOWN, "its topic does not exist");
        return;
    }
    o->all.outputs = o->at;
    o->all.outputs_n = o->n;
    o->all.done = stored;
    broker_publish_all(v->target->all->conf.broker, &o->all);
}
