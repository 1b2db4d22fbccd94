/* The way to a function's reactor and back. Cancelling crosses reactors as it does for watches: the
 * caller is told when both the answer and the cancellation's mail are home (watch.c). */
#include "broker/invoke.h"

#include "base/assert.h"
#include "broker/access.h"
#include "broker/broker_internal.h"
#include "broker/document_internal.h"

#include <string.h>
#include <strings.h>

#define ANSWER_BLOCK_BYTES 1024

unsigned function_reactor(struct str name, unsigned n)
{
    return function_shard(name) % n;
}

void broker_set_invoker(struct broker *b, struct invoker *invoker)
{
    b->invoker = invoker;
}

static struct invoke_op *invoke_of(struct op *op)
{
    return container_of(op, struct invoke_op, op);
}

static void tell(struct op_cancel *c)
{
    struct invoke_op *i = container_of(c, struct invoke_op, cancel);
    i->op.done = i->told;
    i->op.done(&i->op);
}

static void answered(struct op *op)
{
    op_cancel_answered(&invoke_of(op)->cancel);
}

static void take_out(struct broker *owner, struct op_cancel *c)
{
    struct invoke_op *i = container_of(c, struct invoke_op, cancel);
    if (i->invocation != NULL)
        owner->invoker->ops->cancel(owner->invoker, i);
}

static void run(struct broker *owner, struct op *op)
{
    struct invoke_op *i = invoke_of(op);
    if (owner->invoker == NULL)
        op_finish(owner, op, ERR_CLOSED);
    else
        owner->invoker->ops->call(owner->invoker, i);
}

static unsigned owner_of(const struct invoke_op *i)
{
    return function_reactor(i->function, i->op.home->env->reactors);
}

static enum err check(struct broker *b, struct invoke_op *i)
{
    enum err err = access_check(b, i->actor, ACCESS_FUNCTION, i->function, ACCESS_SENDER);
    if (err == ERR_OK && documents_find(&b->documents, DOCUMENT_FUNCTION, i->function) == NULL)
        err = err_say(&i->text, ERR_NOT_FOUND, "there is no function %.*s",
                      (int)(i->function.len < 128 ? i->function.len : 128), i->function.at);
    return err;
}

void broker_invoke(struct broker *b, struct invoke_op *i)
{
    i->op.home = b;
    i->op.run = run;
    i->told = i->op.done;
    i->op.done = answered;
    i->cancel = (struct op_cancel){.take_out = take_out, .tell = tell};
    i->invocation = NULL;
    i->retry_ms = 0;
    i->text.s[0] = '\0';
    invoke_init_answer(&i->answer);
    enum err err = check(b, i);
    if (err == ERR_OK)
        op_submit_to(b, owner_of(i), &i->op);
    else
        op_finish(b, &i->op, err);
}

void broker_invoke_cancel(struct broker *b, struct invoke_op *i)
{
    weir_assert(i->op.home == b);
    op_cancel(b, &i->cancel, owner_of(i));
}

/* ---- fields ---- */

/* Does a list, "close, X-Own", hold it? */
static bool lists(struct str list, struct str name)
{
    for (size_t i = 0; i + name.len <= list.len; i++) {
        size_t end = i + name.len;
        bool begins = i == 0 || strchr(", \t", list.at[i - 1]) != NULL;
        bool ends = end == list.len || strchr(", \t", list.at[end]) != NULL;
        if (begins && ends && strncasecmp(list.at + i, name.at, name.len) == 0)
            return true;
    }
    return false;
}

bool invoke_is_hop(struct str name, struct str connection)
{
    static const char *const own[] = {"connection",
                                      "content-length",
                                      "expect",
                                      "keep-alive",
                                      "proxy-authenticate",
                                      "te",
                                      "proxy-connection",
                                      "proxy-authorization",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (str_is(name, own[i]))
            return true;
    }
    return connection.len > 0 && lists(connection, name);
}

/* ---- answers ---- */

void invoke_init_answer(struct invoke_answer *answer)
{
    *answer = (struct invoke_answer){.status = 0};
    arena_init_small(&answer->memory, INVOKE_ANSWER_HEAD_BYTES_MAX, ANSWER_BLOCK_BYTES);
}

void invoke_free_answer(struct invoke_answer *answer)
{
    slice_unref(answer->body);
    arena_free(&answer->memory);
    invoke_init_answer(answer);
}

void invoke_free(struct invoke_op *i)
{
    invoke_free_answer(&i->answer);
}
