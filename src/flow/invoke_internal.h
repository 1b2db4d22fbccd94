/* invoke_internal.h: one invocation, as invoke.c, which leads it, and invoke_azure.c, which reads a
 * handler's answer and stores its outputs, share it.
 */
#pragma once

#include "base/arena.h"
#include "base/budget.h"
#include "base/map.h"
#include "broker/event.h"
#include "broker/invoke.h"
#include "broker/publish.h"
#include "flow/invoke.h"
#include "flow/invoke_request.h"

struct invocations {
    struct invoker invoker;
    struct invocations_conf conf;
    struct env *env;
    struct map targets;
    struct list under_way; /* struct invocation */
    size_t n;
};

/* A function that is being called, as a user of its pool. */
struct invoke_target {
    struct map_node node;
    struct invocations *all;
    struct function_user user;
    unsigned invocations, waiting;
    char name[TOPIC_NAME_MAX + 1];
};

#define INVOCATION_STEPS(S) S(WAITING) S(CALLING) S(STORING) S(OVER)
enum invocation_step {
#define S(name) INVOCATION_##name,
    INVOCATION_STEPS(S)
#undef S
};

/* What a handler's outputs become, until they are stored. */
struct invoke_outputs {
    struct publish_op *at; /* topics are found when they are stored */
    struct str *topics;    /* one each */
    struct str source;     /* of those that do not say */
    size_t n, cap;
    unsigned tries;
    bool last; /* no other try */
    struct env_timer again;
    struct publish_all all;
};

struct invocation {
    struct list link;
    struct invoke_target *target;
    struct invoke_op *op; /* NULL: nobody waits for the answer any more */
    enum invocation_step step;
    struct function_slot slot;
    struct env_timer late; /* it waits in vain */
    struct arena arena;
    struct str correlation, traceparent, tracestate;
    struct slice body; /* the request's, with a reference */
    /* while it is called, and after */
    const struct document *function; /* as it is called; a reference */
    uint8_t random[INVOKE_RANDOM_BYTES];
    struct wr made_body;
    struct invoke_call made;
    struct http_call call;
    struct http_client *http;
    bool lost;                 /* its worker */
    struct budget_share share; /* of the answer, while outputs are in it */
    struct invoke_outputs outputs;
    struct invoke_answer answer;
    struct err_text text;
};

/* ---- invoke.c ---- */

/* The last step: the op is answered, and v is gone. */
void invocation_end(struct invocation *v, enum err err);

/* ---- invoke_azure.c ---- */

/* A handler's answer: what is for who asked, into v->answer; outputs; lines of the log.
 * ERR_ANSWER_BAD: v->text says why. */
enum err must_use invoke_azure_take(struct invocation *v);
/* The outputs, of which there are some: ends v when they are stored, or cannot be. */
void invoke_azure_store(struct invocation *v);
void invoke_outputs_free(struct invoke_outputs *o);
