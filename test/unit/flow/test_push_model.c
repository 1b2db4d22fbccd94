/* Deliveries to models: what is asked of the server, and what becomes of events by each outcome.
 * The broker is real, the ledger and the server are fakes. */
#include "../broker/rig.h"
#include "../check.h"
#include "fake_delivery.h"
#include "fake_http.h"

#include "broker/subscription.h"
#include "flow/endpoint.h"
#include "flow/push.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct fake_http http;
static struct push *push;
static struct model_conf model;
static struct uuid sub;

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

static bool done;

static void subscribed(struct op *op)
{
    struct subscription_put_op *put = container_of(op, struct subscription_put_op, op);
    assert_int_equal(op->err, ERR_OK);
    sub = put->subscription->id;
    subscription_unref(put->subscription);
    done = true;
}

static void subscribe(void)
{
    struct subscription_conf conf;
    subscription_conf_init(&conf);
    conf.topic = STR_LIT("t");
    conf.to_model = STR_LIT("m");
    conf.reply_topic = STR_LIT("out");
    conf.backoff = BACKOFF_FIXED;
    conf.retry_first_ms = 1000;
    struct subscription_put_op put = {
        .op.done = subscribed, .actor = &rig_actor, .name = STR_LIT("s"), .conf = &conf};
    done = false;
    broker_subscription_put(rig.brokers[0], &put);
    run();
    assert_true(done);
}

static void put_over(struct op *op)
{
    struct document_put_op *put = container_of(op, struct document_put_op, op);
    assert_int_equal(op->err, ERR_OK);
    document_unref(put->document);
    done = true;
}

static void put_model(void)
{
    struct document_put_op put = {.op.done = put_over,
                                  .actor = &rig_actor,
                                  .kind = DOCUMENT_MODEL,
                                  .name = STR_LIT("m"),
                                  .conf = &model};
    done = false;
    broker_document_put(rig.brokers[0], &put);
    run();
    assert_true(done);
}

static int setup(void **state)
{
    static struct str features[2] = {{"data.a", 6}, {"data.b", 6}};
    (void)state;
    rig_make(&rig, 1);
    fake_http_init(&http);
    fake_delivery_init(rig_env(&rig, 0));
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    push = push_make(rig.brokers[0], NULL,
                     &(struct push_conf){.http = &http.client, .origin = "weir.example"});
    push_start(push);
    run();
    spec_init(&model_kind, &model);
    model.features = (struct spec_texts){features, 2};
    model.url = STR_LIT("http://server:8000");
    model.server_input = STR_LIT("input-0");
    model.output_field = STR_LIT("score");
    model.timeout_ms = 700;
    model.concurrency = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    push_stop(push, true);
    run();
    assert_false(push_busy(push));
    push_free(push);
    fake_http_free(&http);
    fake_delivery_free();
    rig_free(&rig);
    return 0;
}

static struct fake_message *add(const char *value)
{
    return fake_delivery_add(&sub, value, NULL);
}

static struct fake_call *first_call(void)
{
    struct fake_call *c = fake_http_first(&http);
    assert_non_null(c);
    return c;
}

static void answer(int status, const char *body)
{
    fake_http_answer(&http, first_call(), status, body);
    run();
}

#define SCORES(n, data)                                                                            \
    "{\"model_name\":\"m\",\"outputs\":[{\"name\":\"p\",\"shape\":[" n "],"                        \
    "\"datatype\":\"FP32\",\"data\":[" data "]}]}"

/* ---- the server ---- */

static void scored_by_the_server(void **state)
{
    (void)state;
    put_model();
    subscribe();
    struct fake_message *x = add("{\"a\":1,\"b\":2.5}"), *y = add("{\"a\":null}");
    run();
    struct fake_call *c = first_call();
    assert_string_equal(c->method, "POST");
    assert_string_equal(c->url, "http://server:8000/v2/models/m/infer");
    assert_int_equal(c->call->timeout_ms, 700);
    assert_string_equal(fake_http_header(c, "Content-Type"), "application/json");
    assert_non_null(strstr(c->body, "\"inputs\":[{\"name\":\"input-0\",\"shape\":[2,2],"
                                    "\"datatype\":\"FP32\",\"data\":[1,2.5,null,null]}]"));
    assert_int_equal(x->state, FAKE_ACQUIRED);
    answer(200, SCORES("2", "0.25,0.75"));
    assert_int_equal(x->state, FAKE_ACCEPTED);
    assert_int_equal(y->state, FAKE_ACCEPTED);
    assert_int_equal(fake_delivery.settles, 1);
    assert_string_equal(fake_delivery.outputs,
                        "{\"a\":1,\"b\":2.5,\"score\":0.25} {\"a\":null,\"score\":0.75} ");
    assert_int_equal(atomic_load(&push_stats(push)->events[OUTCOME_DELIVERED]), 2);
}

static void events_without_features(void **state)
{
    (void)state;
    put_model();
    subscribe();
    struct fake_message *x = add("{\"a\":1}"), *bad = add("no JSON"), *y = add("{\"b\":1}");
    run();
    assert_non_null(strstr(first_call()->body, "[1,null,null,1]"));
    answer(200, SCORES("2", "1,2"));
    assert_int_equal(x->state, FAKE_ACCEPTED);
    assert_int_equal(y->state, FAKE_ACCEPTED);
    assert_int_equal(bad->state, FAKE_REJECTED);
    assert_string_equal(bad->reason, "refused");
    assert_non_null(strstr(bad->description, "no JSON object"));
    assert_int_equal(fake_delivery.settles, 1);
    add("[]"); /* alone: nothing is asked */
    run();
    assert_int_equal(http.calls_n, 0);
    assert_int_equal(fake_delivery_count(&sub, FAKE_REJECTED), 2);
}

static void tried_again(void **state)
{
    (void)state;
    put_model();
    subscribe();
    struct fake_message *m = add("{\"a\":1}");
    run();
    answer(500, "{\"error\":\"out of order\"}");
    assert_int_equal(m->state, FAKE_READY);
    assert_int_equal(m->delay_ms, 1000);
    assert_false(m->uncounted);
    assert_string_equal(m->outcome, "Busy");
    advance(1000);
    answer(200, SCORES("2", "1,2")); /* two for one */
    assert_int_equal(m->state, FAKE_READY);
    assert_non_null(strstr(m->description, "the shape of its output"));
    advance(1000);
    answer(200, SCORES("1", "1"));
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* ---- the fallback ---- */

static void scored_by_the_fallback(void **state)
{
    (void)state;
    model.fallback_milli = 250;
    put_model();
    subscribe();
    add("{\"a\":1}");
    run();
    fake_http_fail(&http, first_call(), HTTP_TIMED_OUT);
    run();
    assert_string_equal(fake_delivery.outputs, "{\"a\":1,\"score\":0.25} ");
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), 1);
    assert_int_equal(fake_delivery.settles, 1);
}

static void the_breaker_and_the_return(void **state)
{
    (void)state;
    model.fallback_milli = 250;
    put_model();
    subscribe();
    for (int i = 0; i < ENDPOINT_SERVER_CALLS_MIN; i++) {
        add("{}");
        run();
        answer(500, "");
    }
    add("{}");
    run();
    assert_int_equal(http.calls_n, 0); /* open: nobody asks the server */
    assert_int_equal(fake_delivery_count(&sub, FAKE_ACCEPTED), ENDPOINT_SERVER_CALLS_MIN + 1);
    advance(ENDPOINT_SERVER_OPEN_US / 1000 + 1);
    assert_string_equal(first_call()->method, "GET");
    assert_string_equal(first_call()->url, "http://server:8000/v2/health/ready");
    answer(404, ""); /* not ready: only 200 is */
    add("{}");
    run();
    assert_int_equal(http.calls_n, 0);
    advance(ENDPOINT_SERVER_OPEN_US / 1000 + 1);
    answer(200, "");
    for (int i = 0; i < ENDPOINT_SERVER_PERMITTED; i++) {
        add("{}");
        run();
        answer(200, SCORES("1", "0.5"));
    }
    advance(ENDPOINT_SERVER_RETURN_US / 1000 + 1);
    add("{}");
    run();
    answer(200, SCORES("1", "1"));
    assert_non_null(strstr(fake_delivery.outputs, "{\"score\":0.5} {\"score\":1} "));
    assert_int_equal(fake_delivery_count(&sub, FAKE_READY), 0);
}

/* ---- the settle ---- */

static void one_by_one_after_a_bad_one(void **state)
{
    (void)state;
    model.fallback_milli = 500;
    put_model();
    subscribe();
    add("{\"a\":1}");
    add("{\"a\":2}");
    fake_delivery.settle_err = ERR_MESSAGE_TOO_LARGE;
    fake_delivery.settle_errs_n = 2; /* all together, and the first of them alone */
    run();
    answer(500, ""); /* both */
    answer(500, ""); /* the first */
    answer(500, ""); /* the second */
    assert_int_equal(fake_delivery.messages[0].state, FAKE_REJECTED);
    assert_string_equal(fake_delivery.messages[0].outcome, "PayloadTooLarge");
    assert_int_equal(fake_delivery.messages[1].state, FAKE_ACCEPTED);
    assert_string_equal(fake_delivery.outputs, "{\"a\":2,\"score\":0.5} ");
    assert_int_equal(atomic_load(&push_stats(push)->appended), 1);
}

static void no_topic_for_them(void **state)
{
    (void)state;
    model.fallback_milli = 500;
    put_model();
    subscribe();
    assert_int_equal(rig_delete(&rig, 0, "out"), ERR_OK);
    struct fake_message *m = add("{}");
    run();
    answer(200, SCORES("1", "1"));
    assert_int_equal(m->state, FAKE_READY);
    assert_string_equal(m->outcome, "NotFound");
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    advance(1000);
    answer(200, SCORES("1", "1"));
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

/* ---- the model ---- */

static void waits_for_its_model(void **state)
{
    (void)state;
    subscribe();
    struct fake_message *m = add("{}");
    run();
    assert_int_equal(m->deliveries, 0);
    put_model();
    answer(200, SCORES("1", "1"));
    assert_int_equal(m->state, FAKE_ACCEPTED);
}

static void goes_on_with_a_changed_model(void **state)
{
    (void)state;
    put_model();
    subscribe();
    struct fake_message *m = add("{}");
    run();
    model.server_model = STR_LIT("other");
    put_model(); /* the call under way is cancelled, and made anew */
    assert_string_equal(first_call()->url, "http://server:8000/v2/models/other/infer");
    answer(200, SCORES("1", "1"));
    assert_int_equal(m->state, FAKE_ACCEPTED);
    assert_string_equal(fake_delivery.outputs, "{\"score\":1} ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scored_by_the_server),
        TEST(events_without_features),
        TEST(tried_again),
        TEST(scored_by_the_fallback),
        TEST(the_breaker_and_the_return),
        TEST(one_by_one_after_a_bad_one),
        TEST(no_topic_for_them),
        TEST(waits_for_its_model),
        TEST(goes_on_with_a_changed_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
