/* What was answered becomes outputs of the settle: one atomic group, or nothing of it. */
#include "flow/function_azure.h"
#include "flow/function_log.h"
#include "flow/push_internal.h"
#include "flow/reply_topics.h"
#include "io/log.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_US ((uint64_t)20000)
#define TRIES 50

static const struct topic *topic_of(void *arg, struct str name)
{
    return broker_topic(arg, name);
}

/* "/functions/enrich", "/subscriptions/payments/fraud-check" */
static struct str source_of(struct push_lane *lane)
{
    const struct subscription *s = lane->p->s;
    char text[2 * TOPIC_NAME_MAX + 64];
    int n = lane->p->how.function
                ? snprintf(text, sizeof text, "/functions/%s", lane->p->how.function->name)
                : snprintf(text, sizeof text, "/subscriptions/%s/%s", s->topic_name, s->name);
    return (struct str){arena_strndup(&lane->arena, text, (size_t)n), (size_t)n};
}

void push_reply_begin(struct push_lane *lane)
{
    reply_begin(&lane->reply, &(struct reply_conf){.s = lane->p->s,
                                                   .messages = push_lane_message(lane, 0),
                                                   .messages_n = lane->n,
                                                   .source = source_of(lane),
                                                   .arena = &lane->arena,
                                                   .topic = topic_of,
                                                   .arg = lane->p->push->b});
}

/* ---- custom handlers of Azure Functions ------------------------------------------------------ */

static enum err azure_event(void *arg, struct event *e, struct str topic)
{
    struct push_lane *lane = arg;
    uint32_t cause = lane->n == 1 ? 0 : REPLY_NO_CAUSE;
    if (topic.at != NULL)
        return reply_add_to(&lane->reply, e, cause, topic);
    if (lane->p->how.reply)
        return reply_add(&lane->reply, e, cause);
    lane->reply.dropped++;
    return ERR_OK;
}

static void azure_line(void *arg, struct str text)
{
    const struct push_lane *lane = arg;
    function_log_said(lane->p->push->env, lane->p->how.function->name, lane->slot.worker,
                      "subscription", str_of(lane->p->s->name), text);
}

static void make_outputs(const struct push_lane *lane)
{
    const struct spec_list *outputs = &lane->p->how.function->conf.function.azure_out;
    const struct function_output *out = outputs->at;
    for (size_t i = 0; i < outputs->n; i++)
        reply_topic_make(lane->p->push->b, out[i].topic);
}

static enum err take_azure(struct push_lane *lane)
{
    struct str answer = lane->call.answer;
    struct azure_answer a = {.conf = &lane->p->how.function->conf.function,
                             .arena = &lane->arena,
                             .source = lane->reply.conf.source,
                             .event = azure_event,
                             .line = azure_line,
                             .arg = lane};
    if (lane->call.answer_cut)
        return err_say(&lane->reply.text, ERR_MESSAGE_TOO_LARGE,
                       "the handler's answer is larger than %zu bytes", answer.len);
    answer.at = arena_strndup(&lane->arena, answer.at ? answer.at : "", answer.len);
    if (answer.at == NULL)
        return err_say(&lane->reply.text, ERR_MEMORY, "the handler's answer is too large");
    enum err err = azure_answer_read(&a, answer);
    if (err == ERR_TOPIC_UNKNOWN)
        make_outputs(lane);
    lane->reply.dropped += a.dropped;
    if (a.text.s[0] != '\0')
        lane->reply.text = a.text;
    if (err != ERR_OK && lane->reply.text.s[0] == '\0')
        (void)err_say(&lane->reply.text, err, "%s", err_meaning(err));
    if (a.lines_dropped > 0)
        env_log(lane->p->push->env, ENV_WARN, "function.output_dropped",
                "function=%s worker=%u lines=%u held=false", lane->p->how.function->name,
                lane->slot.worker, a.lines_dropped);
    return err;
}

enum err push_reply_take(struct push_lane *lane)
{
    push_reply_begin(lane);
    budget_share_claim(&lane->answer, lane->call.answer.len);
    enum err err = ERR_OK;
    if (lane->p->how.azure)
        err = take_azure(lane);
    else if (lane->p->how.reply)
        err = reply_read(&lane->reply, &lane->call);
    if (err == ERR_TOPIC_UNKNOWN) /* by the next attempt it is there */
        reply_topics_make(lane->p->push->b, lane->p->s);
    return err;
}

void push_reply_settled(struct push_lane *lane)
{
    struct push_stats *stats = &lane->p->push->stats;
    if (!lane->delivered || pusher_to_topic(lane->p) || pusher_to_model(lane->p))
        return;
    atomic_fetch_add_explicit(&stats->replies, lane->settle.outputs_n, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->replies_dropped, lane->reply.dropped, memory_order_relaxed);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* Somebody else has some of them by now: what was answered for all is nobody's, and where order
 * counts what follows waits for it. The next settle drops those that are lost. */
static void release_others(struct push_lane *lane)
{
    uint32_t n = lane->n;
    if (pusher_chained(lane->p))
        lane->n = lane->end - lane->from;
    push_lane_items(lane, lane->n);
    for (uint32_t i = 0; i < n; i++)
        lane->items[i].uncounted = false;
    lane->settle.outputs_n = 0;
    lane->delivered = false;
    lane->stream->failed = true;
    push_lane_settle(lane);
}

void push_reply_failed(struct push_lane *lane, enum err err)
{
    const char *said = lane->settle.text.s[0] ? lane->settle.text.s : err_meaning(err);
    char text[ERR_TEXT_MAX + 32];
    int n = snprintf(text, sizeof text, "the reply was not stored: %s", said);
    struct str why = {arena_strndup(&lane->arena, text, (size_t)n), (size_t)n};
    if (why.at == NULL)
        why = STR_LIT("the reply was not stored");
    if (err == ERR_BUSY && ++lane->tries < TRIES) { /* a copy of a reply is being stored */
        push_lane_settle_again(lane, AGAIN_US);
        return;
    }
    env_log(lane->p->push->env, ENV_WARN, "push.reply_not_stored",
            "subscription=%s messages=%u replies=%zu error=%s why=\"%s\"", lane->p->s->name,
            lane->n, lane->settle.outputs_n, err_name(err), said);
    if (err == ERR_LOCK_LOST)
        release_others(lane);
    else
        push_lane_not_stored(lane, outcome_of_append(err), false, why);
}
