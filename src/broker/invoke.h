/* invoke.h: calling a function with a request, and the port behind it: whoever makes functions work
 * (flow/invoke.h) answers.
 *
 *     front (reactor A)              broker                     invoker (the function's reactor)
 *     broker_invoke(b, op)   may he? is there one? --mail-->    ops->call(op): a worker is found or
 *                                                               started, called, its answer read
 *     op->done(op)           <-----------------mail---------    op_finish(b, op, err)
 *
 * Needs Sender on the function (access.h). A request is whole before the call, and so is an answer:
 * nothing streams.
 *
 * Errors, beside those of access.h: ERR_NOT_FOUND: no such function; ERR_METHOD,
 * ERR_REQUEST_INVALID, ERR_MEMORY: it cannot be called with this; ERR_THROTTLED: too many requests
 * wait for it already; ERR_BUSY: no worker was free in time, or none is to be had just now;
 * ERR_TIMED_OUT: its time was over; ERR_ANSWER_BAD: it broke, or its answer is none; ERR_CLOSED:
 * cancelled, or weir stops.
 *
 * Who submits keeps the op and all that it borrows valid until done.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "broker/actor.h"
#include "broker/http_client.h"
#include "broker/op.h"

#define INVOKE_ALLOW_MAX 64
#define INVOKE_WAITING_MAX 1000 /* requests that wait for a worker of one function */
/* Of an answer's headers. More are ERR_ANSWER_BAD. */
#define INVOKE_ANSWER_HEAD_BYTES_MAX ((size_t)128 << 10)

struct invoke_request {
    const char *method;                /* "POST" */
    struct str url;                    /* whole: "http://localhost:8080/api/orders?n=1" */
    struct str host, path;             /* of it, as the client wrote them */
    struct str raw_query;              /* of it: "n=1"; at NULL: none */
    const struct http_header *headers; /* names in lower case; without the host */
    size_t headers_n;
    const struct http_header *query, *params; /* decoded; of the query, of a route's template */
    size_t query_n, params_n;
    struct slice body;      /* borrowed; len 0: none */
    struct str traceparent; /* for what has none of its own */
    const char *peer;       /* who asked: an address */
};

/* status is 200 to 599. */
struct invoke_answer {
    int status;
    struct http_header *headers; /* NUL-terminated; names in lower case, none frames a message */
    size_t headers_n;
    struct slice body; /* a reference */
    struct arena memory;
};

struct invoke_op {
    struct op op;
    const struct actor *actor;
    struct str function; /* the resource's name */
    struct invoke_request request;
    /* out */
    struct invoke_answer answer;  /* with ERR_OK; invoke_free in any case */
    uint32_t retry_ms;            /* ERR_THROTTLED, ERR_BUSY: when to try again; 0: nobody knows */
    char allow[INVOKE_ALLOW_MAX]; /* ERR_METHOD: those that are taken, "GET, POST" */
    struct err_text text;
    /* private */
    void (*told)(struct op *op); /* the caller's op.done */
    struct op_cancel cancel;
    void *invocation; /* the invoker's own, on its reactor; NULL: over */
};

void broker_invoke(struct broker *b, struct invoke_op *op);
/* From where it was submitted: done follows at once, with ERR_CLOSED unless the answer is on its
 * way. A call that has begun is not taken back: the function does what it does, what it publishes
 * is stored, and its answer is nobody's. */
void broker_invoke_cancel(struct broker *b, struct invoke_op *op);
/* What it holds; it is empty then, and may hold another. */
void invoke_free_answer(struct invoke_answer *answer);
/* After done: what the answer holds. */
void invoke_free(struct invoke_op *op);
/* Empty. */
void invoke_init_answer(struct invoke_answer *answer);
/* Is a field of this name, in lower case, about one connection, or the framing on it, and not of
 * the message (RFC 9110, 7.6.1)? connection: the message's field Connection; at NULL: none. */
bool invoke_is_hop(struct str name, struct str connection);
/* Whose reactor a function of the name lives on, of n. */
unsigned function_reactor(struct str name, unsigned n);

/* ---- the port ---- */

struct invoker;
struct invoker_ops {
    /* op_finish(b, &op->op, err) follows, possibly from inside. */
    void (*call)(struct invoker *invoker, struct invoke_op *op);
    /* Of one that is not finished: op_finish comes from inside. */
    void (*cancel)(struct invoker *invoker, struct invoke_op *op);
};

/* One a reactor. */
struct invoker {
    const struct invoker_ops *ops;
};

/* NULL: there is none any more; calls are ERR_CLOSED. */
void broker_set_invoker(struct broker *b, struct invoker *invoker);
