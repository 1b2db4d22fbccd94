/* Deliveries: what is called when, and what becomes of a message by each outcome. The broker is
 * real, the ledger and the endpoints are fakes. */
#include "../broker/rig.h"
#include "../check.h"
#include "fake_delivery.h"
#include "fake_http.h"

#include "base/json.h"
#include "flow/breaker.h"
#include "flow/push.h"
#include "flow/push_validate.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct fake_http http;
static struct push *push;
static struct budget answers;
static struct subscription_conf conf;
static struct uuid sub; /* the last one made */

static void run(void)
{
    bool any = true;
    while (any) {
        rig_run(&rig);
        any = fake_http_run(&http);
        any |= fake_delivery_run();
    }
}

static void advance(uint64_t ms)
{
    fake_advance(&rig.world, ms);
    run();
}

static void start_push(void)
{
    answers = (struct budget){.max = 65536, .free = 4096};
    struct push_conf pc = {.http = &http.client,
                           .answers = &answers,
                           .origin = "weir.example",
                           .validation_url = "http://weir.example/validate"};
    push = push_make(rig.brokers[0], NULL, &pc);
    push_start(push);
    run();
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 1);
    fake_http_init(&http);
    fake_delivery_init(rig_env(&rig, 0));
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    subscription_conf_init(&conf);
    conf.topic = STR_LIT("t");
    conf.url = STR_LIT("http://host/hook");
    conf.retry_first_ms = 1000;
    conf.backoff = BACKOFF_FIXED;
    start_push();
    return 0;
}

static void stop_push(void)
{
    push_stop(push, true);
    run();
    assert_false(push_busy(push));
    push_free(push);
}

static int teardown(void **state)
{
    (void)state;
    stop_push();
    fake_http_free(&http);
    fake_delivery_free();
    rig_free(&rig);
    return 0;
}

static struct err_text put_text;
static enum err put_err;
static bool put_over;

static void put_done(struct op *op)
{
    struct subscription_put_op *put = container_of(op, struct subscription_put_op, op);
    put_err = op->err;
    put_text = put->text;
    put_over = true;
    if (put->subscription)
        sub = put->subscription->id;
    subscription_unref(put->subscription);
}

/* Makes or changes it, by conf. */
static void subscribe(const char *name)
{
    struct subscription_put_op put = {
        .op.done = put_done, .actor = &rig_actor, .name = str_of(name), .conf = &conf};
    put_over = false;
    broker_subscription_put(rig.brokers[0], &put);
    run();
    assert_true(put_over);
    if (put_err)
        print_message("%s\n", put_text.s);
    assert_int_equal(put_err, ERR_OK);
}

static void delete_done(struct op *op)
{
    put_err = op->err;
    put_over = true;
}

static void unsubscribe(const char *name)
{
    struct subscription_delete_op del = {.op.done = delete_done,
                                         .actor = &rig_actor,
                                         .topic = rig_topic_id(&rig, "t"),
                                         .name = str_of(name)};
    put_over = false;
    broker_subscription_delete(rig.brokers[0], &del);
    run();
    assert_true(put_over);
    assert_int_equal(put_err, ERR_OK);
}

static struct fake_message *add(const char *value)
{
    struct fake_message *m = fake_delivery_add(&sub, value, NULL);
    run();
    return m;
}

static struct fake_call *first_call(void)
{
    struct fake_call *c = fake_http_first(&http);
    assert_non_null(c);
    return c;
}

static void answer(int status)
{
    fake_http_answer(&http, first_call(), status, "as it says");
    run();
}

static uint64_t events(enum delivery_outcome outcome)
{
    return atomic_load(&push_stats(push)->events[outcome]);
}

/* ---- one message ---- */

static void delivered_and_accepted(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("hello");
    struct fake_call *c = first_call();
    assert_string_equal(c->method, "POST");
    assert_string_equal(c->url, "http://host/hook");
    assert_string_equal(c->body, "hello");
    assert_string_equal(fake_http_header(c, "weir-delivery"), "1");
    assert_int_equal(m->state, FAKE_ACQUIRED);
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(http.calls_n, 0);
    assert_int_equal(events(OUTCOME_DELIVERED), 1);
    assert_int_equal(atomic_load(&push_stats(push)->under_way), 0);
}

static void again_after_the_wait(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("hello");
    answer(500);
    assert_int_equal(m->state, FAKE_READY);
    assert_int_equal(m->delay_ms, 1000);
    assert_false(m->uncounted);
    assert_string_equal(m->outcome, "Busy");
    advance(999);
    assert_int_equal(http.calls_n, 0);
    advance(1);
    assert_string_equal(fake_http_header(first_call(), "weir-delivery"), "2");
    fake_http_fail(&http, first_call(), HTTP_UNREACHABLE);
    run();
    assert_string_equal(m->outcome, "SocketError");
    advance(1000);
    answer(204);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(http.made_n, 3);
    assert_int_equal(events(OUTCOME_BUSY), 1);
    assert_int_equal(events(OUTCOME_SOCKET_ERROR), 1);
}

/* Event Grid's schedule, to the second: a tenth of jitter at most, and never early. */
static void schedule_of_event_grid(void **state)
{
    (void)state;
    static const uint32_t seconds[] = {10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200};
    conf.backoff = BACKOFF_EVENTGRID;
    conf.attempts = 30;
    subscribe("s");
    struct fake_message *m = add("hello");
    for (int i = 0; i < 10; i++) {
        /* Between two failures others succeed: the endpoint is not on probation. */
        answer(500);
        uint64_t most = (uint64_t)seconds[i] * 100 < 60000 ? seconds[i] * 100 : 60000;
        assert_in_range(m->delay_ms, seconds[i] * 1000, seconds[i] * 1000 + most);
        advance(m->delay_ms - 1);
        assert_int_equal(http.calls_n, 0);
        advance(1);
        if (i == 8)
            break;
    }
    assert_int_equal(m->deliveries, 10);
}

static void last_attempt_is_a_dead_letter(void **state)
{
    (void)state;
    conf.attempts = 2;
    subscribe("s");
    struct fake_message *m = add("hello");
    answer(500);
    assert_int_equal(m->state, FAKE_READY);
    advance(1000);
    answer(500);
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->reason, "max-deliveries");
    assert_string_equal(m->outcome, "Busy");
    assert_string_equal(m->description, "HTTP 500: as it says");
}

/* The next attempt would come too late: it is dead now, and its letter says why it failed. */
static void time_is_over_before_the_next_attempt(void **state)
{
    (void)state;
    conf.ttl_ms = 1500;
    subscribe("s");
    struct fake_message *m = add("hello");
    answer(500);
    assert_int_equal(m->state, FAKE_READY);
    advance(1000);
    answer(503);
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->reason, "expired");
    assert_string_equal(m->outcome, "Busy");
}

/* What has waited for too long is not posted any more. */
static void time_is_over_before_the_first(void **state)
{
    (void)state;
    conf.ttl_ms = 5000;
    conf.concurrency = 1;
    subscribe("s");
    add("first");
    struct fake_message *m = add("second");
    advance(5000);
    answer(200);
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->reason, "expired");
    assert_int_equal(http.made_n, 1);
}

static void refused_for_good(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("hello");
    answer(400);
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->reason, "refused");
    assert_string_equal(m->outcome, "BadRequest");
    assert_string_equal(m->description, "HTTP 400: as it says");
}

static void retry_after_is_waited_for(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("hello");
    add("another");
    fake_http_answer_with(&http, first_call(), 429, "", "retry-after", "30");
    run();
    assert_int_equal(m->delay_ms, 30000);
    answer(200); /* the other was under way */
    add("third");
    assert_int_equal(http.calls_n, 1); /* and its success ended the wait */
}

static void messages_that_cannot_be_posted(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("hello");
    fake_http_fail(&http, first_call(), HTTP_CALL_BAD);
    run();
    assert_int_equal(m->state, FAKE_REJECTED);
    assert_string_equal(m->description, "as the script says");
}

/* ---- many ---- */

static void at_most_concurrency_calls(void **state)
{
    (void)state;
    conf.concurrency = 4;
    subscribe("s");
    for (int i = 0; i < 20; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    for (int left = 20; left > 0; left--) {
        assert_int_equal(http.calls_n, left < 4 ? left : 4);
        answer(200);
    }
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 20);
}

/* While much is held of answers nothing begins, and messages are not held either. */
static void no_calls_without_room_for_answers(void **state)
{
    (void)state;
    struct budget_share held = {.of = &answers};
    subscribe("s");
    assert_true(budget_share_grow(&held, 40000));
    struct fake_message *m = add("x");
    assert_int_equal(http.made_n, 0);
    assert_int_equal(m->state, FAKE_READY);
    budget_share_drop(&held);
    run();
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* It says nothing about the endpoint: its breaker stays, however often that is. */
static void answers_that_have_no_room(void **state)
{
    (void)state;
    conf.attempts = 200;
    subscribe("s");
    struct fake_message *m = add("x");
    for (uint32_t i = 1; i < 150; i++) {
        fake_http_fail(&http, first_call(), HTTP_NO_ROOM);
        run();
        assert_int_equal(m->deliveries, i);
        assert_false(m->uncounted);
        assert_int_equal(m->delay_ms, 1000);
        assert_string_equal(m->outcome, "Canceled");
        advance(1000);
    }
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(events(OUTCOME_CANCELED), 149);
}

/* What was answered is held until it is stored. */
static void replies_are_held_until_they_are_settled(void **state)
{
    (void)state;
    static char body[20000];
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    snprintf(body, sizeof body, "{\"specversion\":\"1.0\",\"type\":\"x\",\"data\":\"%019000d\"}",
             0);
    conf.reply_topic = STR_LIT("out");
    subscribe("s");
    struct fake_message *m = add("x");
    fake_http_answer_with(&http, first_call(), 200, body, "content-type",
                          "application/cloudevents+json");
    assert_int_equal(atomic_load(&answers.held), 32768 - 4096);
    run();
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(fake_delivery.outputs_n, 1);
    assert_int_equal(atomic_load(&answers.held), 0);
}

static void batches_all_or_none(void **state)
{
    (void)state;
    conf.format = FORMAT_EVENTGRID;
    conf.batch_events_max = 3;
    conf.concurrency = 1;
    subscribe("s");
    for (int i = 0; i < 5; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACQUIRED), 3);
    answer(500);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACQUIRED), 2);
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 2);
    advance(1000);
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 5);
    assert_int_equal(events(OUTCOME_DELIVERED), 5);
    assert_int_equal(events(OUTCOME_BUSY), 3);
}

static void slow_endpoints_delay_nobody(void **state)
{
    (void)state;
    conf.url = STR_LIT("http://slow/");
    subscribe("slow");
    for (int i = 0; i < 100; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    assert_int_equal(http.calls_n, 16);
    conf.url = STR_LIT("http://fast/");
    subscribe("fast");
    struct fake_message *m = add("x");
    assert_int_equal(http.calls_n, 17);
    struct fake_call *c = container_of(http.calls.prev, struct fake_call, link);
    assert_string_equal(c->url, "http://fast/");
    fake_http_answer(&http, c, 200, "");
    run();
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* An endpoint that fails is left alone, and no attempt is spent meanwhile. */
static void breaker_opens_and_closes(void **state)
{
    (void)state;
    conf.attempts = 1000000;
    subscribe("s");
    for (int i = 0; i < 120; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    for (int i = 0; i < 1000 && strcmp(first_call()->method, "OPTIONS") != 0; i++) {
        answer(500);
        while (http.calls_n == 0)
            advance(1000);
    }
    unsigned spent = 0;
    for (unsigned i = 0; i < fake_delivery.n; i++)
        spent += fake_delivery.messages[i].deliveries;
    assert_int_equal(events(OUTCOME_BUSY), spent);
    assert_in_range(spent, 100, 115); /* those under way when it opened are known, too */
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACQUIRED), 0);
    assert_int_equal(http.calls_n, 1);
    answer(200);                        /* the probe */
    assert_int_equal(http.calls_n, 10); /* HALF_OPEN */
    for (int i = 0; i < 10; i++)
        answer(200);
    assert_int_equal(http.calls_n, 1); /* CLOSED, and returning */
    for (int i = 0; i < 2000 && fake_delivery_count(&sub, FAKE_ACCEPTED) < 120; i++) {
        if (http.calls_n > 0)
            answer(200);
        else
            advance(1000);
    }
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 120);
}

/* Messages that come when the endpoint must be left alone go back as they were. */
static void come_too_late(void **state)
{
    (void)state;
    subscribe("other");
    struct uuid other = sub;
    subscribe("s");
    fake_delivery.cancel_late = true;
    for (int i = 0; i < 10; i++)
        fake_delivery_add(&other, "x", NULL);
    run();
    struct fake_message *m = fake_delivery_add(&sub, "y", NULL);
    for (int i = 0; i < 10; i++) /* the tenth begins the probation */
        fake_http_answer(&http, first_call(), 500, "");
    run();
    assert_int_equal(http.calls_n, 0);
    assert_int_equal(m->state, FAKE_READY);
    assert_true(m->uncounted);
    assert_int_equal(m->deliveries, 0);
    fake_delivery.cancel_late = false;
    advance(10000);
    assert_int_equal(m->state, FAKE_ACQUIRED);
}

/* ---- settles that fail ---- */

static void settle_is_tried_again(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("x");
    fake_delivery.settle_err = ERR_DISK_FULL;
    fake_delivery.settle_errs_n = 3;
    answer(200);
    assert_int_equal(m->state, FAKE_ACQUIRED);
    assert_int_equal(http.calls_n, 0);
    advance(1000);
    advance(1000);
    assert_int_equal(m->state, FAKE_ACQUIRED);
    advance(1000);
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_int_equal(http.made_n, 1);
}

static void locks_that_are_lost(void **state)
{
    (void)state;
    conf.format = FORMAT_CE_BATCH;
    conf.batch_events_max = 3;
    conf.concurrency = 1;
    subscribe("s");
    for (int i = 0; i < 3; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    fake_delivery.settle_err = ERR_LOCK_LOST;
    fake_delivery.settle_errs_n = 1;
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 2);
    assert_int_equal(http.calls_n, 1); /* the third comes again */
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 3);
}

static void acquiring_is_tried_again(void **state)
{
    (void)state;
    fake_delivery.acquire_err = ERR_BUSY;
    subscribe("s");
    struct fake_message *m = add("x");
    assert_int_equal(http.calls_n, 0);
    fake_delivery.acquire_err = ERR_OK;
    advance(1000);
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* ---- changes ---- */

static void deleted_meanwhile(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("x");
    fake_delivery_add(&sub, "y", NULL);
    unsubscribe("s");
    assert_int_equal(http.calls_n, 0); /* cancelled */
    assert_int_equal(m->state, FAKE_READY);
    assert_true(m->uncounted);
    advance(10000);
    assert_int_equal(http.made_n, 1);
    assert_false(push_busy(push));
}

static void changed_meanwhile(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("x");
    conf.url = STR_LIT("http://elsewhere/");
    subscribe("s");
    run();
    assert_string_equal(first_call()->url, "http://elsewhere/");
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void stops_in_order(void **state)
{
    (void)state;
    conf.concurrency = 2;
    subscribe("s");
    for (int i = 0; i < 5; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    push_stop(push, false);
    run();
    assert_true(push_busy(push));
    answer(200);
    assert_int_equal(http.calls_n, 1); /* nothing begins */
    answer(200);
    assert_false(push_busy(push));
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 2);
    assert_int_equal(fake_delivery_count(&sub, FAKE_READY), 3);
}

static void cut_calls_are_not_counted(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("x");
    push_stop(push, true);
    run();
    assert_false(push_busy(push));
    assert_int_equal(m->state, FAKE_READY);
    assert_true(m->uncounted);
    assert_int_equal(m->deliveries, 0);
}

/* A settle that cannot be written does not hold up the end: the lock brings the message again. */
static void cut_ends_settles_that_fail(void **state)
{
    (void)state;
    subscribe("s");
    struct fake_message *m = add("x");
    fake_delivery.settle_err = ERR_DISK_FULL;
    fake_delivery.settle_errs_n = 100;
    answer(200);
    push_stop(push, false);
    run();
    assert_true(push_busy(push));
    push_stop(push, true);
    run();
    assert_false(push_busy(push));
    assert_int_equal(m->state, FAKE_ACQUIRED);
}

static void pull_subscriptions_are_left_alone(void **state)
{
    (void)state;
    conf.url = (struct str){NULL, 0};
    subscribe("s");
    add("x");
    assert_int_equal(http.made_n, 0);
    assert_int_equal(fake_delivery_count(&sub, FAKE_READY), 1);
}

/* ---- sessions ---- */

static void sessions_in_order(void **state)
{
    (void)state;
    conf.order = ORDER_KEY;
    subscribe("s");
    fake_delivery_add(&sub, "a1", "a");
    fake_delivery_add(&sub, "a2", "a");
    fake_delivery_add(&sub, "b1", "b");
    run();
    assert_int_equal(http.calls_n, 2); /* a1 and b1 */
    assert_string_equal(first_call()->body, "a1");
    answer(500);
    struct fake_message *a1 = &fake_delivery.messages[0], *a2 = &fake_delivery.messages[1];
    assert_false(a1->uncounted);
    assert_int_equal(a1->delay_ms, 1000);
    assert_true(a2->uncounted);
    assert_int_equal(a2->delay_ms, 0);
    assert_string_equal(first_call()->body, "b1");
    answer(200);
    assert_int_equal(http.calls_n, 0); /* a2 waits for a1 */
    advance(1000);
    assert_string_equal(first_call()->body, "a1");
    answer(200);
    assert_string_equal(first_call()->body, "a2");
    answer(200);
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 3);
    assert_int_equal(fake_delivery.sessions_released, 3);
}

static void stops_amid_a_session(void **state)
{
    (void)state;
    conf.order = ORDER_KEY;
    subscribe("s");
    fake_delivery_add(&sub, "a1", "a");
    fake_delivery_add(&sub, "a2", "a");
    run();
    push_stop(push, false);
    run();
    answer(200);
    assert_int_equal(http.calls_n, 0);
    assert_false(push_busy(push));
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 1);
    assert_int_equal(fake_delivery.messages[1].deliveries, 0);
}

/* ---- into topics ---- */

static void subscribe_to_topic(void)
{
    conf.url = (struct str){NULL, 0};
    conf.to_topic = STR_LIT("target");
    assert_int_equal(rig_create(&rig, 0, "target", 1), ERR_OK);
    subscribe("s");
}

static void appended_with_the_settle(void **state)
{
    (void)state;
    subscribe_to_topic();
    for (int i = 0; i < 3; i++)
        fake_delivery_add(&sub, i == 0 ? "x" : i == 1 ? "y" : "z", NULL);
    run();
    assert_int_equal(http.made_n, 0);
    assert_string_equal(fake_delivery.outputs, "x y z ");
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 3);
    assert_int_equal(fake_delivery.settles, 1);
    assert_int_equal(atomic_load(&push_stats(push)->appended), 3);
}

static void one_bad_record_does_not_stop_others(void **state)
{
    (void)state;
    subscribe_to_topic();
    fake_delivery_add(&sub, "x", NULL);
    struct fake_message *large = fake_delivery_add(&sub, "large", NULL);
    fake_delivery_add(&sub, "z", NULL);
    run();
    assert_string_equal(fake_delivery.outputs, "x z ");
    assert_int_equal(large->state, FAKE_REJECTED);
    assert_string_equal(large->outcome, "PayloadTooLarge");
    assert_int_equal(atomic_load(&push_stats(push)->appended), 2);
}

/* All of a batch failed for it: one by one, it goes first, and what follows waits for it. */
static void nothing_overtakes_a_lost_lock(void **state)
{
    (void)state;
    conf.order = ORDER_PARTITION;
    subscribe_to_topic();
    const char *values[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++)
        fake_delivery_add(&sub, values[i], NULL);
    fake_delivery.settle_err = ERR_LOCK_LOST;
    fake_delivery.settle_errs_n = 1;
    run();
    assert_string_equal(fake_delivery.outputs, "x y z ");
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 3);
}

static void no_such_topic(void **state)
{
    (void)state;
    subscribe_to_topic();
    assert_int_equal(rig_delete(&rig, 0, "target"), ERR_OK);
    struct fake_message *m = add("x");
    assert_string_equal(m->outcome, "NotFound");
    assert_int_equal(m->delay_ms, 1000);
    assert_int_equal(rig_create(&rig, 0, "target", 1), ERR_OK);
    advance(1000);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void full_disk_waits(void **state)
{
    (void)state;
    subscribe_to_topic();
    fake_delivery.settle_err = ERR_DISK_FULL;
    fake_delivery.settle_errs_n = 1;
    struct fake_message *m = add("x");
    assert_string_equal(m->outcome, "Full");
    assert_int_equal(m->state, FAKE_READY);
    advance(1000);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* ---- handshakes ---- */

static const struct subscription *subscription_now(void)
{
    return broker_subscription_by_id(rig.brokers[0], &sub);
}

static void check_validation(const char *expected)
{
    assert_true(str_is(subscription_now()->conf.validation, expected));
}

static void subscribe_pending(enum subscription_format format)
{
    conf.format = format;
    conf.validation = STR_LIT("pending:c0de");
    subscribe("s");
}

static void event_grids_handshake(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_EVENTGRID);
    struct fake_message *m = add("x");
    assert_int_equal(http.calls_n, 1);
    struct fake_call *c = first_call();
    assert_string_equal(c->method, "POST");
    assert_string_equal(fake_http_header(c, "aeg-event-type"), "SubscriptionValidation");
    assert_string_equal(fake_http_header(c, "aeg-subscription-name"), "S");
    assert_true(json_valid(str_of(c->body)));
    assert_non_null(strstr(c->body, "\"validationCode\":\"c0de\""));
    assert_non_null(strstr(c->body, "Microsoft.EventGrid.SubscriptionValidationEvent"));
    assert_non_null(strstr(c->body, "http://weir.example/validate?id="));
    assert_int_equal(m->state, FAKE_READY);
    fake_http_answer(&http, c, 200, "{\"validationResponse\": \"c0de\"}");
    run();
    check_validation("done");
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void only_200_counts_for_event_grid(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_EVENTGRID);
    struct fake_message *m = add("x");
    for (int i = 0; i < HANDSHAKE_TRIES; i++) {
        fake_http_answer(&http, first_call(), i == 0 ? 202 : 500,
                         "{\"validationResponse\": \"c0de\"}");
        run();
        advance(HANDSHAKE_AGAIN_MS - 1);
        assert_int_equal(http.calls_n, 0);
        advance(1);
    }
    check_validation("failed");
    advance(24 * 3600 * 1000);
    assert_int_equal(http.made_n, HANDSHAKE_TRIES);
    assert_int_equal(m->state, FAKE_READY);
}

static void owner_confirms_by_hand(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_EVENTGRID);
    struct fake_message *m = add("x");
    fake_http_answer(&http, first_call(), 200, "thanks");
    run();
    advance(HANDSHAKE_MANUAL_MS - 1);
    check_validation("pending:c0de");
    conf.validation = STR_LIT("done"); /* as who serves the URL does */
    subscribe("s");
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void owner_does_not_confirm(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_EVENTGRID);
    fake_http_answer(&http, first_call(), 200, "{\"validationResponse\": \"other\"}");
    run();
    advance(HANDSHAKE_MANUAL_MS);
    check_validation("failed");
}

static void cloudevents_handshake(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_CE_BINARY);
    struct fake_message *m = add("x");
    struct fake_call *c = first_call();
    assert_string_equal(c->method, "OPTIONS");
    assert_string_equal(fake_http_header(c, "WebHook-Request-Origin"), "weir.example");
    fake_http_answer_with(&http, c, 405, "", "webhook-allowed-origin", "*");
    run();
    check_validation("done");
    assert_string_equal(fake_http_header(first_call(), "Origin"), "weir.example");
    answer(200);
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void consent_is_not_the_status(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_CE_BINARY);
    fake_http_answer(&http, first_call(), 200, "");
    run();
    advance(HANDSHAKE_AGAIN_MS);
    fake_http_answer_with(&http, first_call(), 200, "", "webhook-allowed-origin", "other.example");
    run();
    advance(HANDSHAKE_AGAIN_MS);
    fake_http_fail(&http, first_call(), HTTP_TIMED_OUT);
    run();
    check_validation("failed");
}

static void allowed_rate_is_kept(void **state)
{
    (void)state;
    conf.validation = STR_LIT("done:120");
    subscribe("s");
    for (int i = 0; i < 5; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(http.made_n, i + 1);
        answer(200);
        advance(499);
        assert_int_equal(http.made_n, i + 1);
        advance(1);
    }
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 5);
}

static void handshake_of_a_deleted_one(void **state)
{
    (void)state;
    subscribe_pending(FORMAT_EVENTGRID);
    unsubscribe("s");
    assert_int_equal(http.calls_n, 0);
    assert_false(push_busy(push));
}

/* ---- restart ---- */

static void breaker_survives_a_restart(void **state)
{
    (void)state;
    conf.attempts = 1000000;
    subscribe("s");
    for (int i = 0; i < 120; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    for (int i = 0; i < 1000 && events(OUTCOME_BUSY) < 100; i++) {
        if (http.calls_n > 0)
            answer(500);
        else
            advance(1000);
    }
    assert_non_null(rig_topic(&rig, 0, "weir.breakers"));
    advance(20000);
    stop_push();
    fake_http_free(&http);
    fake_http_init(&http);
    rig_restart(&rig);
    fake_delivery.env = rig_env(&rig, 0);
    fake_delivery.releases = 0;
    start_push();
    assert_int_equal(http.made_n, 0);
    assert_int_equal(fake_delivery.releases, 1); /* what a life that was killed may have held */
    advance(39000);
    assert_int_equal(http.made_n, 0);
    advance(1001);
    assert_string_equal(first_call()->method, "OPTIONS");
    answer(200);
    assert_int_equal(http.calls_n, 10);
}

static unsigned shown_n;
static int shown_state;

static void shown(void *arg, const char *endpoint, int state)
{
    (void)arg;
    assert_string_equal(endpoint, "http://host/hook");
    shown_n++;
    shown_state = state;
}

static void breakers_are_shown(void **state)
{
    (void)state;
    conf.attempts = 1000000;
    subscribe("s");
    for (int i = 0; i < 120; i++)
        fake_delivery_add(&sub, "x", NULL);
    run();
    for (int i = 0; i < 1000 && events(OUTCOME_BUSY) < 100; i++) {
        if (http.calls_n > 0)
            answer(500);
        else
            advance(1000);
    }
    shown_n = 0;
    push_breakers(push, shown, NULL);
    assert_int_equal(shown_n, 1);
    assert_int_equal(shown_state, BREAKER_OPEN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivered_and_accepted),
        TEST(again_after_the_wait),
        TEST(schedule_of_event_grid),
        TEST(last_attempt_is_a_dead_letter),
        TEST(time_is_over_before_the_next_attempt),
        TEST(time_is_over_before_the_first),
        TEST(refused_for_good),
        TEST(retry_after_is_waited_for),
        TEST(messages_that_cannot_be_posted),
        TEST(at_most_concurrency_calls),
        TEST(no_calls_without_room_for_answers),
        TEST(answers_that_have_no_room),
        TEST(replies_are_held_until_they_are_settled),
        TEST(batches_all_or_none),
        TEST(slow_endpoints_delay_nobody),
        TEST(breaker_opens_and_closes),
        TEST(come_too_late),
        TEST(settle_is_tried_again),
        TEST(locks_that_are_lost),
        TEST(acquiring_is_tried_again),
        TEST(deleted_meanwhile),
        TEST(changed_meanwhile),
        TEST(stops_in_order),
        TEST(cut_calls_are_not_counted),
        TEST(cut_ends_settles_that_fail),
        TEST(pull_subscriptions_are_left_alone),
        TEST(sessions_in_order),
        TEST(stops_amid_a_session),
        TEST(appended_with_the_settle),
        TEST(one_bad_record_does_not_stop_others),
        TEST(nothing_overtakes_a_lost_lock),
        TEST(no_such_topic),
        TEST(full_disk_waits),
        TEST(event_grids_handshake),
        TEST(only_200_counts_for_event_grid),
        TEST(owner_confirms_by_hand),
        TEST(owner_does_not_confirm),
        TEST(cloudevents_handshake),
        TEST(consent_is_not_the_status),
        TEST(allowed_rate_is_kept),
        TEST(handshake_of_a_deleted_one),
        TEST(breaker_survives_a_restart),
        TEST(breakers_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
