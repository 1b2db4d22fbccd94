/* invoke.h: functions called by requests: the port broker/invoke.h, on the pools of function.h.
 *
 *     the port's call --> a slot of the function's pool --> the worker is called --> its answer is
 *                         (a worker starts, if there is none)                        the op's
 *
 * What is posted to the worker, by the function's protocol, is invoke_request.h's, what of its
 * answer goes back is invoke_answer.h's.
 *
 * Requests wait for a worker as events do, up to INVOKE_WAITING_MAX a function, for workers.start
 * at most; while a function fails (FUNCTION_FAILING times in a row) and pauses before the next
 * start, they do not wait but are told when to come back. Each counts as a call in what decides how
 * many workers there are. A call ends at limits.time: as with events, the worker is ended then.
 *
 * A call that has begun is not taken back when its caller goes: the worker is busy with it either
 * way, and only its answer, or its time, says until when.
 *
 * One struct a reactor; functions of other reactors are none of its own.
 */
#pragma once

#include "base/budget.h"
#include "broker/broker.h"
#include "flow/function.h"

struct invocations;

struct invocations_conf {
    struct broker *broker;
    struct functions *functions;
    struct http_client *local; /* workers */
    struct http_client *http;  /* urls */
    struct budget *answers;    /* of both clients; NULL: no limit */
};

/* The broker's invoker from then on, until it is freed. */
struct invocations *invocations_make(const struct invocations_conf *conf);
/* Calls under way are cancelled. */
void invocations_cut(struct invocations *all);
bool invocations_busy(const struct invocations *all);
/* When it is not busy; the functions are there yet. */
void invocations_free(struct invocations *all);
