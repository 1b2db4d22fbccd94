/* Deliveries to functions, and what is answered: slots, calls, replies in the settle, what becomes
 * of a batch that fails, of partitions' order, of workers that go. The broker is real; the ledger,
 * the workers and their pool are fakes. */
#include "../broker/rig.h"
#include "../check.h"
#include "fake_delivery.h"
#include "fake_functions.h"
#include "fake_http.h"

#include "broker/subscription.h"
#include "flow/push.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct fake_http http, local;
static struct push *push;
static struct subscription_conf conf;
static struct uuid sub;

static void run(void)
{
    bool any = true;
    while (any) {
        rig_run(&rig);
        any = fake_http_run(&http);
        any |= fake_http_run(&local);
        any |= fake_delivery_run();
        any |= fake_functions_run();
    }
}

static void advance(uint64_t ms)
{
    fake_advance(&rig.world, ms);
    run();
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 1);
    fake_http_init(&http);
    fake_http_init(&local);
    fake_functions_init("enrich");
    fake_delivery_init(rig_env(&rig, 0));
    assert_int_equal(rig_create(&rig, 0, "t", 3), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    subscription_conf_init(&conf);
    conf.topic = STR_LIT("t");
    conf.to_function = STR_LIT("enrich");
    conf.retry_first_ms = 1000;
    conf.backoff = BACKOFF_FIXED;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS_BATCH;
    fake_functions.doc.conf.function.batch_events_max = 3;
    struct push_conf pc = {.http = &http.client,
                           .local = &local.client,
                           .functions = (struct functions *)&fake_functions,
                           .origin = "weir.example"};
    push = push_make(rig.brokers[0], NULL, &pc);
    push_start(push);
    run();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    push_stop(push, true);
    run();
    assert_false(push_busy(push));
    assert_int_equal(fake_functions.out_n, 0);
    assert_int_equal(fake_functions.taken, fake_functions.given);
    push_free(push);
    fake_http_free(&http);
    fake_http_free(&local);
    fake_delivery_free();
    rig_free(&rig);
    return 0;
}

static enum err put_err;

static void put_done(struct op *op)
{
    struct subscription_put_op *put = container_of(op, struct subscription_put_op, op);
    put_err = op->err;
    if (put_err)
        print_message("%s\n", put->text.s);
    if (put->subscription)
        sub = put->subscription->id;
    subscription_unref(put->subscription);
}

static void subscribe(void)
{
    struct subscription_put_op put = {
        .op.done = put_done, .actor = &rig_actor, .name = STR_LIT("s"), .conf = &conf};
    put_err = ERR_INTERNAL;
    broker_subscription_put(rig.brokers[0], &put);
    run();
    assert_int_equal(put_err, ERR_OK);
}

static struct fake_message *add(const char *value)
{
    return fake_delivery_add(&sub, value, NULL);
}

static struct fake_call *call_of(struct fake_http *h)
{
    struct fake_call *c = fake_http_first(h);
    assert_non_null(c);
    return c;
}

static void answer_with(int status, const char *type, const char *body)
{
    fake_http_answer_with(&local, call_of(&local), status, body, "content-type", type);
    run();
}

static void answer(int status)
{
    answer_with(status, "text/plain", "as it says");
}

#define BATCH "application/cloudevents-batch+json"
#define EVENT(data) "{\"specversion\":\"1.0\",\"type\":\"scored\",\"data\":\"" data "\"}"

/* ---- slots and batches ---- */

static void a_batch_is_a_call_of_a_worker(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m[4];
    for (unsigned i = 0; i < 4; i++)
        m[i] = add("v");
    run();
    assert_int_equal(http.made_n, 0);
    assert_int_equal(local.calls_n, 1);
    struct fake_call *c = call_of(&local);
    assert_string_equal(c->url, "http://127.0.0.1:41234");
    assert_string_equal(fake_http_header(c, "Content-Type"), BATCH "; charset=utf-8");
    assert_string_equal(fake_http_header(c, "Prefer"), "");
    answer(200);
    assert_int_equal(m[2]->state, FAKE_ACCEPTED);
    assert_int_equal(fake_functions.last, FUNCTION_DONE);
    assert_int_equal(fake_functions.last_events, 3);
    assert_int_equal(m[3]->state, FAKE_ACQUIRED);
    answer(204);
    assert_int_equal(m[3]->state, FAKE_ACCEPTED);
    assert_int_equal(fake_functions.given, 2);
}

/* A subscription may ask for less than the function takes, not for more. */
static void a_subscription_asks_for_smaller_batches(void **state)
{
    (void)state;
    conf.batch_events_max = 2;
    subscribe();
    for (unsigned i = 0; i < 3; i++)
        add("v");
    run();
    answer(200);
    assert_int_equal(fake_functions.last_events, 2);
    answer(200);
    assert_int_equal(fake_functions.last_events, 1);
    conf.batch_events_max = 5000;
    subscribe();
    for (unsigned i = 0; i < 4; i++)
        add("v");
    run();
    answer(200);
    assert_int_equal(fake_functions.last_events, 3);
    answer(200);
    assert_int_equal(fake_functions.last_events, 1);
}

static void calls_wait_for_workers(void **state)
{
    (void)state;
    fake_functions.workers = 0;
    subscribe();
    struct fake_message *m = add("v");
    run();
    assert_int_equal(local.made_n, 0);
    assert_int_equal(fake_functions.taken, 1); /* which starts a worker */
    fake_functions.workers = 1;
    run();
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void no_worker_can_be_had(void **state)
{
    (void)state;
    fake_functions.workers = 0;
    subscribe();
    struct fake_message *m = add("v");
    run();
    fake_functions_fail(ERR_TIMED_OUT);
    fake_functions.given++; /* there is nothing to give */
    run();
    assert_int_equal(m->state, FAKE_READY);
    assert_int_equal(m->deliveries, 0); /* its attempts are not spent */
    assert_int_equal(fake_functions.taken, 1);
    fake_functions.workers = 1;
    advance(1000);
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void as_many_calls_as_there_is_room(void **state)
{
    (void)state;
    fake_functions.workers = 4;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    for (unsigned i = 0; i < 10; i++)
        add("v");
    run();
    assert_int_equal(local.calls_n, 4);
    for (unsigned i = 0; i < 10; i++)
        answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 10);
}

static void the_pool_is_told_what_waits(void **state)
{
    (void)state;
    subscribe();
    for (unsigned i = 0; i < 9; i++)
        add("v");
    run();
    advance(200); /* the real ledger has none: only what is in hand counts here */
    assert_true(fake_functions.user->waiting > 0);
    for (unsigned i = 0; i < 3; i++)
        answer(200);
    advance(300);
    assert_int_equal(fake_functions.user->waiting, 0);
}

static void a_function_that_is_not_there(void **state)
{
    (void)state;
    fake_functions.there = false;
    subscribe();
    struct fake_message *m = add("v");
    run();
    assert_int_equal(m->state, FAKE_READY);
    fake_functions_change(true);
    run();
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(fake_functions.joins, 2);
}

static void a_change_of_the_function_lets_calls_end(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m = add("v");
    run();
    fake_functions_change(false);
    run();
    assert_int_equal(local.calls_n, 1);
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(fake_functions.joins, 2);
}

/* ---- failures ---- */

static void a_batch_that_fails_goes_event_by_event(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m[3];
    for (unsigned i = 0; i < 3; i++)
        m[i] = add(i == 1 ? "poison" : "good");
    run();
    answer(400); /* for one of them */
    for (unsigned i = 0; i < 3; i++) {
        struct fake_call *c = call_of(&local);
        answer(strstr(c->body, "poison") ? 400 : 200);
    }
    assert_int_equal(local.made_n, 4);
    assert_int_equal(m[0]->state, FAKE_ACCEPTED);
    assert_int_equal(m[1]->state, FAKE_REJECTED);
    assert_string_equal(m[1]->reason, "refused");
    assert_int_equal(m[2]->state, FAKE_ACCEPTED);
}

static void a_worker_that_goes_costs_an_attempt_and_no_time(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m = add("v");
    run();
    fake_http_fail(&local, call_of(&local), HTTP_UNREACHABLE);
    run();
    assert_int_equal(fake_functions.last, FUNCTION_BROKEN);
    assert_int_equal(m->deliveries, 2);
    assert_int_equal(local.calls_n, 1); /* at once */
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void a_worker_that_is_gone_is_not_waited_for(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m = add("v");
    run();
    struct function_slot *slot = fake_functions_first();
    slot->lost(slot);
    run();
    assert_int_equal(m->deliveries, 2);
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void a_call_that_takes_too_long(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m = add("v");
    run();
    fake_http_fail(&local, call_of(&local), HTTP_TIMED_OUT);
    run();
    assert_int_equal(fake_functions.last, FUNCTION_TIMED_OUT);
    assert_int_equal(m->delay_ms, 1000);
    assert_string_equal(m->outcome, "TimedOut");
}

static void a_function_elsewhere(void **state)
{
    (void)state;
    fake_functions.doc.conf.function.url = STR_LIT("http://host/function");
    subscribe();
    struct fake_message *m = add("v");
    run();
    assert_int_equal(local.made_n, 0);
    assert_string_equal(call_of(&http)->url, "http://host/function");
    fake_http_answer(&http, call_of(&http), 503, "");
    run();
    assert_int_equal(m->delay_ms, 1000);
    advance(1000);
    fake_http_answer(&http, call_of(&http), 200, "");
    run();
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* ---- order ---- */

static void partitions_keep_their_order(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    fake_functions.workers = 8;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    struct fake_message *m[4];
    for (unsigned i = 0; i < 4; i++) {
        m[i] = add(i == 0 ? "first" : i == 3 ? "other" : "next");
        m[i]->partition = i == 3;
    }
    run();
    assert_int_equal(local.calls_n, 2); /* one a partition */
    assert_int_equal(fake_functions_first()->partition, 0);
    struct fake_call *first = call_of(&local);
    assert_string_equal(first->body, "first");
    fake_http_answer(&local, first, 500, "");
    run();
    assert_int_equal(m[1]->state, FAKE_READY); /* not before the first one */
    assert_int_equal(m[1]->deliveries, 0);
    assert_int_equal(local.calls_n, 1);
    answer(200);
    assert_int_equal(m[3]->state, FAKE_ACCEPTED);
    advance(1000);
    assert_string_equal(call_of(&local)->body, "first");
    for (unsigned i = 0; i < 3; i++)
        answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 4);
}

/* There is a message for the worker that is free, and one for whoever ends meanwhile. */
static void messages_are_acquired_for_calls_that_end(void **state)
{
    (void)state;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    fake_functions.workers = 3;
    subscribe();
    add("first");
    add("second");
    run();
    assert_int_equal(local.calls_n, 2);
    assert_int_equal(fake_delivery.acquires_n, 1);
    assert_int_equal(fake_delivery.acquires[0]->messages_max, 3);
    answer(200);
    answer(200);
}

/* What was acquired ahead goes back before anything else is acquired. */
static void nothing_acquired_ahead_overtakes(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    struct fake_message *first = add("first");
    run();
    struct fake_message *second = add("second"); /* while the first is being called for */
    run();
    assert_int_equal(second->state, FAKE_ACQUIRED);
    assert_int_equal(local.calls_n, 1);
    answer(500);
    assert_int_equal(first->deliveries, 1);
    assert_int_equal(second->state, FAKE_READY);
    assert_int_equal(local.calls_n, 0);
    advance(1000);
    assert_string_equal(call_of(&local)->body, "first");
    answer(200);
    assert_string_equal(call_of(&local)->body, "second");
    answer(200);
}

/* Nor when no worker could be had for what stands before it, while other partitions go on. */
static void nothing_overtakes_what_no_worker_takes(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    add("other")->partition = 1;
    run();
    struct fake_message *first = add("first"); /* the worker is busy */
    run();
    struct fake_message *second = add("second");
    run();
    assert_int_equal(second->state, FAKE_ACQUIRED);
    fake_functions_fail(ERR_TIMED_OUT);
    fake_functions.given++;
    run();
    assert_int_equal(first->state, FAKE_READY);
    assert_int_equal(second->state, FAKE_READY);
    answer(200);
    advance(1000);
    assert_string_equal(call_of(&local)->body, "first");
    answer(200);
    assert_string_equal(call_of(&local)->body, "second");
    answer(200);
}

/* What the settings of before have under way ends before the new ones begin. */
static void nothing_overtakes_a_change(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    add("first");
    run();
    add("second");
    run();
    add("third");
    conf.attempts++;
    subscribe();
    assert_string_equal(call_of(&local)->body, "first");
    answer(200);
    assert_string_equal(call_of(&local)->body, "second");
    answer(200);
    assert_string_equal(call_of(&local)->body, "third");
    answer(200);
}

/* What follows waits for a message whose reply was not stored. */
static void nothing_overtakes_a_lock_that_was_lost(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    conf.reply_topic = STR_LIT("out");
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    struct fake_message *first = add("first"), *second = add("second");
    run();
    fake_delivery.settle_err = ERR_LOCK_LOST;
    fake_delivery.settle_errs_n = 1;
    answer_with(200, BATCH, "[" EVENT("x") "]");
    assert_int_equal(first->deliveries, 2);
    assert_int_equal(second->deliveries, 1); /* its attempts are not spent */
    assert_string_equal(call_of(&local)->body, "first");
    answer_with(200, BATCH, "[" EVENT("y") "]");
    assert_string_equal(call_of(&local)->body, "second");
    answer_with(200, BATCH, "[" EVENT("z") "]");
    assert_string_equal(fake_delivery.outputs, "\"y\" \"z\" ");
}

/* Likewise without a reply: neither what is in the lane, nor what was acquired behind it. */
static void nothing_overtakes_a_lock_that_ran_out(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    fake_functions.doc.conf.function.protocol = FUNCTION_CLOUDEVENTS;
    subscribe();
    add("first");
    struct fake_message *second = add("second");
    run();
    struct fake_message *ahead = add("ahead");
    run();
    assert_int_equal(ahead->state, FAKE_ACQUIRED);
    fake_delivery.settle_err = ERR_LOCK_LOST;
    fake_delivery.settle_errs_n = 1;
    answer(200);
    assert_int_equal(second->deliveries, 1); /* its attempts are not spent */
    assert_string_equal(call_of(&local)->body, "first");
    answer(200);
    assert_string_equal(call_of(&local)->body, "second");
    answer(200);
    assert_string_equal(call_of(&local)->body, "ahead");
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 3);
}

/* ---- replies ---- */

static void replies_are_stored_with_the_settle(void **state)
{
    (void)state;
    conf.reply_topic = STR_LIT("out");
    subscribe();
    struct fake_message *a = add("a"), *b = add("b");
    run();
    assert_string_equal(fake_http_header(call_of(&local), "Prefer"), "reply");
    answer_with(200, BATCH, "[" EVENT("x") "," EVENT("y") "]");
    assert_int_equal(a->state, FAKE_ACCEPTED);
    assert_int_equal(b->state, FAKE_ACCEPTED);
    assert_int_equal(fake_delivery.settles, 1);
    assert_string_equal(fake_delivery.outputs, "\"x\" \"y\" ");
    assert_int_equal(push_stats(push)->replies, 2);
}

static void an_endpoint_may_answer_too(void **state)
{
    (void)state;
    conf.to_function = (struct str){NULL, 0};
    conf.url = STR_LIT("http://host/hook");
    conf.reply_topic = STR_LIT("out");
    subscribe();
    struct fake_message *m = add("a");
    run();
    assert_string_equal(fake_http_header(call_of(&http), "Prefer"), "reply");
    fake_http_answer_with(&http, call_of(&http), 200, EVENT("x"), "content-type",
                          "application/cloudevents+json");
    run();
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_string_equal(fake_delivery.outputs, "\"x\" ");
}

static void an_answer_that_is_no_event_is_a_failed_call(void **state)
{
    (void)state;
    conf.reply_topic = STR_LIT("out");
    conf.attempts = 2;
    subscribe();
    struct fake_message *m = add("a");
    run();
    answer_with(200, BATCH, "[{]");
    assert_int_equal(m->state, FAKE_READY);
    assert_string_equal(m->outcome, "Aborted");
    assert_non_null(strstr(m->description, "JSON"));
    advance(1000);
    answer_with(200, BATCH, "[{]");
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->reason, "max-deliveries");
    assert_int_equal(fake_delivery.outputs_n, 0);
}

/* It was made with the subscription; one that somebody deleted is there again by the next try. */
static void a_reply_whose_topic_is_gone(void **state)
{
    struct reply_route route = {.topic = STR_LIT("elsewhere")};
    (void)state;
    conf.reply_topic = STR_LIT("nowhere");
    conf.routes = (struct spec_list){&route, 1};
    subscribe();
    run();
    assert_non_null(rig_topic(&rig, 0, "elsewhere"));
    assert_non_null(rig_topic(&rig, 0, "nowhere"));
    conf.routes = (struct spec_list){NULL, 0};
    subscribe();
    assert_int_equal(rig_delete(&rig, 0, "nowhere"), ERR_OK);
    struct fake_message *m = add("a");
    run();
    answer_with(200, BATCH, "[" EVENT("x") "]");
    assert_int_equal(m->state, FAKE_READY);
    assert_int_equal(m->delay_ms, 1000);
    assert_string_equal(m->outcome, "NotFound");
    assert_non_null(strstr(m->description, "nowhere"));
    run();
    assert_non_null(rig_topic(&rig, 0, "nowhere"));
    advance(1000);
    answer_with(200, BATCH, "[" EVENT("x") "]");
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* The fake refuses outputs that begin so. */
#define LARGE                                                                                      \
    "{\"specversion\":\"1.0\",\"type\":\"t\",\"datacontenttype\":\"text/plain\","                  \
    "\"data\":\"large\"}"

static void a_reply_that_its_topic_does_not_take(void **state)
{
    (void)state;
    conf.reply_topic = STR_LIT("out");
    conf.attempts = 2;
    subscribe();
    struct fake_message *m = add("a");
    run();
    answer_with(200, BATCH, "[" LARGE "]");
    assert_int_equal(m->state, FAKE_READY);
    assert_string_equal(m->outcome, "PayloadTooLarge");
    advance(1000);
    answer_with(200, BATCH, "[" LARGE "]");
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_non_null(strstr(m->description, "not stored"));
}

static void a_lock_that_was_lost_takes_the_replies_with_it(void **state)
{
    (void)state;
    conf.reply_topic = STR_LIT("out");
    subscribe();
    struct fake_message *a = add("a"), *b = add("b");
    run();
    fake_delivery.settle_err = ERR_LOCK_LOST;
    fake_delivery.settle_errs_n = 1;
    answer_with(200, BATCH, "[" EVENT("x") "," EVENT("y") "]");
    assert_int_equal(fake_delivery.outputs_n, 0);
    assert_int_equal(a->deliveries, 2);
    assert_int_equal(b->deliveries, 2);
    while (local.calls_n > 0)
        answer_with(200, BATCH, "[" EVENT("z") "]");
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 2);
    assert_int_equal(fake_delivery.outputs_n, 2);
}

static void a_copy_that_is_being_stored_is_waited_for(void **state)
{
    (void)state;
    conf.reply_topic = STR_LIT("out");
    subscribe();
    struct fake_message *m = add("a");
    run();
    fake_delivery.settle_err = ERR_BUSY;
    fake_delivery.settle_errs_n = 1;
    answer_with(200, BATCH, "[" EVENT("x") "]");
    assert_int_equal(m->state, FAKE_ACQUIRED);
    advance(20);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(local.made_n, 1);
    assert_string_equal(fake_delivery.outputs, "\"x\" ");
}

static void what_no_route_takes_is_counted(void **state)
{
    (void)state;
    struct reply_route route = {STR_LIT("type = 'other'"), STR_LIT("out")};
    conf.routes = (struct spec_list){.at = &route, .n = 1};
    subscribe();
    struct fake_message *m = add("a");
    run();
    answer_with(200, BATCH, "[" EVENT("x") "]");
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(fake_delivery.outputs_n, 0);
    assert_int_equal(push_stats(push)->replies_dropped, 1);
}

/* ---- custom handlers of Azure Functions ---- */

static struct function_output bindings[] = {{STR_LIT("out"), STR_LIT("out")},
                                            {STR_LIT("late"), STR_LIT("late")}};

static struct fake_message *azure(void)
{
    struct function_conf *f = &fake_functions.doc.conf.function;
    f->protocol = FUNCTION_AZURE;
    f->batch_events_max = 64;
    f->azure_function = STR_LIT("Score");
    f->azure_out = (struct spec_list){bindings, 2};
    conf.attempts = 5;
    subscribe();
    struct fake_message *m = add("v");
    run();
    assert_string_equal(call_of(&local)->url, "http://127.0.0.1:41234/Score");
    assert_string_equal(fake_http_header(call_of(&local), "User-Agent"),
                        "Azure-Functions-Host/4.0.0");
    return m;
}

static void outputs_of_a_handler_are_of_the_settle(void **state)
{
    (void)state;
    struct fake_message *m = azure();
    answer_with(200, "application/json",
                "{\"Outputs\":{\"out\":[\"x\",\"y\"],\"none\":1},\"ReturnValue\":2}");
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(fake_delivery.settles, 1);
    assert_string_equal(fake_delivery.outputs, "x y ");
    assert_int_equal(push_stats(push)->replies, 2);
    assert_int_equal(push_stats(push)->replies_dropped, 2);
}

static void a_handler_that_answers_nonsense_has_failed(void **state)
{
    (void)state;
    struct fake_message *m = azure();
    answer_with(200, "text/plain", "done");
    assert_int_equal(m->state, FAKE_READY);
    assert_non_null(strstr(m->description, "the handler's answer is none"));
    advance(1000);
    answer_with(404, "application/json", "{\"Outputs\":{\"out\":\"x\"}}");
    assert_int_equal(m->state, FAKE_READY);
    advance(1000);
    answer_with(200, "application/json", "{\"Outputs\":{\"late\":\"x\"}}");
    assert_int_equal(m->state, FAKE_READY);
    assert_non_null(strstr(m->description, "late"));
    assert_int_equal(fake_delivery.outputs_n, 0);
    assert_non_null(rig_topic(&rig, 0, "late"));
    advance(1000);
    answer_with(200, "application/json", "{\"Outputs\":{\"late\":\"x\"}}");
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_string_equal(fake_delivery.outputs, "x ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_a_call_of_a_worker),
        TEST(a_subscription_asks_for_smaller_batches),
        TEST(calls_wait_for_workers),
        TEST(no_worker_can_be_had),
        TEST(as_many_calls_as_there_is_room),
        TEST(the_pool_is_told_what_waits),
        TEST(a_function_that_is_not_there),
        TEST(a_change_of_the_function_lets_calls_end),
        TEST(a_batch_that_fails_goes_event_by_event),
        TEST(a_worker_that_goes_costs_an_attempt_and_no_time),
        TEST(a_worker_that_is_gone_is_not_waited_for),
        TEST(a_call_that_takes_too_long),
        TEST(a_function_elsewhere),
        TEST(partitions_keep_their_order),
        TEST(messages_are_acquired_for_calls_that_end),
        TEST(nothing_acquired_ahead_overtakes),
        TEST(nothing_overtakes_what_no_worker_takes),
        TEST(nothing_overtakes_a_change),
        TEST(nothing_overtakes_a_lock_that_was_lost),
        TEST(nothing_overtakes_a_lock_that_ran_out),
        TEST(replies_are_stored_with_the_settle),
        TEST(an_endpoint_may_answer_too),
        TEST(an_answer_that_is_no_event_is_a_failed_call),
        TEST(a_reply_whose_topic_is_gone),
        TEST(a_reply_that_its_topic_does_not_take),
        TEST(a_lock_that_was_lost_takes_the_replies_with_it),
        TEST(a_copy_that_is_being_stored_is_waited_for),
        TEST(what_no_route_takes_is_counted),
        TEST(outputs_of_a_handler_are_of_the_settle),
        TEST(a_handler_that_answers_nonsense_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
