/* Functions called by requests: waiting, calling, storing what is put out; callers and workers that
 * go in each step. The broker is real; workers, their pool and their answers are fakes. */
#include "flow/invoke.h"

#include "../broker/rig.h"
#include "../check.h"
#include "fake_functions.h"
#include "fake_http.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct fake_http http, local;
static struct invocations *all;
static struct budget answers;

#define CONF (fake_functions.doc.conf.function)

static void run(void)
{
    bool any = true;
    while (any) {
        rig_run(&rig);
        any = fake_http_run(&http);
        any |= fake_http_run(&local);
        any |= fake_functions_run();
    }
}

static void put_done(struct op *op)
{
    document_unref(container_of(op, struct document_put_op, op)->document);
}

/* So that the broker knows of it; what it is like the fake says. */
static void put(void)
{
    struct function_conf conf;
    spec_init(&function_kind, &conf);
    conf.url = STR_LIT("http://host");
    struct document_put_op op = {.op.done = put_done,
                                 .actor = &rig_actor,
                                 .kind = DOCUMENT_FUNCTION,
                                 .name = STR_LIT("f"),
                                 .conf = &conf};
    broker_document_put(rig.brokers[0], &op);
    rig_run(&rig);
    assert_int_equal(op.op.err, ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 1);
    fake_http_init(&http);
    fake_http_init(&local);
    fake_functions_init("f");
    answers = (struct budget){.max = 1 << 20, .free = 10};
    put();
    const struct invocations_conf conf = {.broker = rig.brokers[0],
                                          .functions = (struct functions *)&fake_functions,
                                          .local = &local.client,
                                          .http = &http.client,
                                          .answers = &answers};
    all = invocations_make(&conf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    run();
    assert_false(invocations_busy(all));
    assert_int_equal(answers.held, 0);
    assert_int_equal(fake_functions.out_n, 0);
    invocations_free(all);
    fake_http_free(&http);
    fake_http_free(&local);
    rig_free(&rig);
    return 0;
}

/* ---- calls ---- */

struct call {
    struct invoke_op op;
    unsigned done;
};

static void done(struct op *op)
{
    container_of(op, struct call, op.op)->done++;
}

/* In the fields about traces. */
static const struct http_header nonsense[] = {{STR_LIT("traceparent"), STR_LIT("\xff")},
                                              {STR_LIT("tracestate"), STR_LIT("\x01")},
                                              {STR_LIT("x-request-id"), STR_LIT("\xff")}};
static bool with_nonsense;

static void start(struct call *c)
{
    *c = (struct call){
        .op = {.op.done = done,
               .actor = &rig_actor,
               .function = STR_LIT("f"),
               .request = {.method = "POST",
                           .url = STR_LIT("http://h/functions/f"),
                           .host = STR_LIT("h"),
                           .path = STR_LIT("/functions/f"),
                           .traceparent = STR_LIT("00-0af7651916cd43dd8448eb211c80319c-"
                                                  "b7ad6b7169203331-01"),
                           .peer = "127.0.0.1:9"}}};
    if (with_nonsense) {
        c->op.request.headers = nonsense;
        c->op.request.headers_n = 3;
    }
    broker_invoke(rig.brokers[0], &c->op);
    run();
}

static void ended(struct call *c, enum err err, const char *why)
{
    run();
    assert_int_equal(c->done, 1);
    assert_int_equal(c->op.op.err, err);
    if (strstr(c->op.text.s, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", c->op.text.s, why);
    invoke_free(&c->op);
}

static struct fake_call *called(void)
{
    struct fake_call *c = fake_http_first(&local);
    assert_non_null(c);
    return c;
}

static void an_answer_is_passed_on(void **state)
{
    struct call c;
    (void)state;
    start(&c);
    assert_string_equal(called()->method, "POST");
    assert_string_equal(called()->url, "http://127.0.0.1:41234");
    assert_string_equal(fake_http_header(called(), "prefer"), "reply");
    assert_string_equal(fake_http_header(called(), "x-forwarded-for"), "127.0.0.1:9");
    fake_http_answer_with(&local, called(), 302, "there", "location", "/x");
    run();
    assert_int_equal(c.op.answer.status, 302);
    assert_string_equal(c.op.answer.headers[0].value.at, "/x");
    assert_memory_equal(c.op.answer.body.at, "there", 5);
    ended(&c, ERR_OK, "");
    assert_int_equal(fake_functions.last, FUNCTION_DONE);
}

static void a_url_is_called_by_the_other_client(void **state)
{
    struct call c;
    (void)state;
    CONF.url = STR_LIT("http://host/function");
    start(&c);
    assert_non_null(fake_http_first(&http));
    fake_http_answer(&http, fake_http_first(&http), 200, "");
    ended(&c, ERR_OK, "");
}

static void what_breaks_is_told(void **state)
{
    static const struct {
        enum http_outcome outcome;
        enum err err;
        enum function_result result;
    } rows[] = {{HTTP_TIMED_OUT, ERR_TIMED_OUT, FUNCTION_TIMED_OUT},
                {HTTP_UNREACHABLE, ERR_ANSWER_BAD, FUNCTION_BROKEN},
                {HTTP_ANSWER_BAD, ERR_ANSWER_BAD, FUNCTION_BROKEN},
                {HTTP_NO_ROOM, ERR_BUSY, FUNCTION_DONE}};
    struct call c;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start(&c);
        fake_http_fail(&local, called(), rows[i].outcome);
        ended(&c, rows[i].err, "");
        assert_int_equal(fake_functions.last, rows[i].result);
    }
    start(&c);
    fake_functions_first()->lost(fake_functions_first());
    ended(&c, ERR_ANSWER_BAD, "the worker of function f is gone");
    start(&c);
    fake_http_answer(&local, called(), 600, "");
    ended(&c, ERR_ANSWER_BAD, "status 600");
}

static void who_waits_in_vain_is_told(void **state)
{
    struct call c;
    (void)state;
    fake_functions.workers = 0;
    CONF.start_ms = 5000;
    start(&c);
    fake_advance(&rig.world, 4999);
    run();
    assert_int_equal(c.done, 0);
    fake_advance(&rig.world, 1);
    ended(&c, ERR_BUSY, "was free within workers.start");
    start(&c);
    fake_functions_fail(ERR_TIMED_OUT);
    ended(&c, ERR_BUSY, "");
    start(&c);
    fake_functions_fail(ERR_CLOSED);
    ended(&c, ERR_CLOSED, "");
    fake_functions.pause_us = 2500000;
    start(&c);
    assert_int_equal(c.op.retry_ms, 2501);
    ended(&c, ERR_BUSY, "f fails");
    fake_functions.pause_us = 0;
    struct budget_share share = {.of = &answers};
    budget_share_claim(&share, answers.max);
    start(&c);
    ended(&c, ERR_BUSY, "no room");
    budget_share_drop(&share);
    fake_functions.there = false;
    start(&c);
    ended(&c, ERR_NOT_FOUND, "no function f");
    fake_functions.there = true;
}

static void only_so_many_wait(void **state)
{
    static struct call calls[INVOKE_WAITING_MAX];
    struct call more;
    (void)state;
    fake_functions.workers = 0;
    for (size_t i = 0; i < INVOKE_WAITING_MAX; i++)
        start(&calls[i]);
    start(&more);
    ended(&more, ERR_THROTTLED, "1000 requests wait");
    for (size_t i = 0; i < INVOKE_WAITING_MAX; i++) {
        broker_invoke_cancel(rig.brokers[0], &calls[i].op);
        ended(&calls[i], ERR_CLOSED, "");
    }
    assert_true(list_empty(&fake_functions.waiting));
}

/* A call that has begun goes on, and its worker is not free before it has answered. */
static void who_goes_is_not_waited_for(void **state)
{
    struct call c;
    (void)state;
    start(&c);
    broker_invoke_cancel(rig.brokers[0], &c.op);
    ended(&c, ERR_CLOSED, "");
    assert_int_equal(fake_functions.out_n, 1);
    assert_true(invocations_busy(all));
    fake_http_answer(&local, called(), 200, "too late");
    assert_int_equal(fake_functions.out_n, 0);
    assert_int_equal(fake_functions.last, FUNCTION_DONE);
    start(&c);
    invocations_cut(all);
    ended(&c, ERR_CLOSED, "");
}

/* ---- handlers ---- */

static struct function_output outputs[] = {{STR_LIT("out"), STR_LIT("out")},
                                           {STR_LIT("two"), STR_LIT("two")}};

static void be_handler(void)
{
    CONF.protocol = FUNCTION_AZURE;
    CONF.azure_trigger_type = TRIGGER_HTTP;
    CONF.azure_trigger = STR_LIT("req");
    CONF.azure_response = STR_LIT("res");
    CONF.azure_out = (struct spec_list){outputs, 2};
}

static int64_t end_of(const char *topic)
{
    struct uuid id = rig_topic_id(&rig, topic);
    return rig_list(&rig, 0, &id, 0, LIST_LATEST);
}

#define PUT_OUT                                                                                    \
    "{\"Outputs\":{\"res\":{\"status\":201},\"out\":[1,2],\"two\":{\"n\":1},\"none\":1}}"

static void outputs_are_stored_before_the_answer(void **state)
{
    struct call c;
    (void)state;
    be_handler();
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "two", 1), ERR_OK);
    start(&c);
    assert_string_equal(called()->url, "http://127.0.0.1:41234/f");
    assert_string_equal(fake_http_header(called(), "traceparent"),
                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_string_equal(fake_http_header(called(), "x-forwarded-host"), "h");
    rig_defer(&rig, true);
    fake_http_answer(&local, called(), 200, PUT_OUT);
    assert_int_equal(fake_functions.out_n, 0); /* the worker is free for others meanwhile */
    assert_int_equal(c.done, 0);
    assert_true(answers.held >= strlen(PUT_OUT) - answers.free);
    rig_defer(&rig, false);
    run();
    assert_int_equal(c.op.answer.status, 201);
    ended(&c, ERR_OK, "");
    assert_int_equal(end_of("out"), 2);
    assert_int_equal(end_of("two"), 1);
    assert_int_equal(fake_functions.dropped, 1);
}

/* Who asked has gone: what was put out is stored all the same. A topic that is missing is made. */
static void outputs_outlive_who_asked(void **state)
{
    struct call c;
    (void)state;
    be_handler();
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    with_nonsense = true;
    start(&c);
    with_nonsense = false;
    fake_http_answer(&local, called(), 200, PUT_OUT);
    assert_int_equal(c.done, 0);
    broker_invoke_cancel(rig.brokers[0], &c.op);
    ended(&c, ERR_CLOSED, "");
    fake_advance(&rig.world, 20);
    run();
    assert_int_equal(end_of("out"), 2);
    assert_int_equal(end_of("two"), 1);
}

static void what_cannot_be_stored_fails_whole(void **state)
{
    struct call c;
    (void)state;
    be_handler();
    outputs[1].topic = STR_LIT("no topic's name");
    assert_int_equal(rig_create(&rig, 0, "out", 1), ERR_OK);
    start(&c);
    fake_http_answer(&local, called(), 200, PUT_OUT);
    for (int i = 0; i < 50 && c.done == 0; i++) {
        fake_advance(&rig.world, 20);
        run();
    }
    ended(&c, ERR_ANSWER_BAD, "does not exist");
    assert_int_equal(end_of("out"), 0);
    outputs[1].topic = STR_LIT("two");
    start(&c);
    fake_http_answer(&local, called(), 500, PUT_OUT);
    ended(&c, ERR_ANSWER_BAD, "status 500");
    start(&c);
    fake_http_answer(&local, called(), 200, "{\"Outputs\":{\"out\":[1],\"res\":{\"status\":99}}}");
    ended(&c, ERR_ANSWER_BAD, "status must be");
    start(&c);
    fake_http_answer(&local, called(), 200, "{\"Outputs\":{\"out\":{\"specversion\":\"9\"}}}");
    ended(&c, ERR_ANSWER_BAD, "cannot be taken");
    assert_int_equal(end_of("out"), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_passed_on),
        TEST(a_url_is_called_by_the_other_client),
        TEST(what_breaks_is_told),
        TEST(who_waits_in_vain_is_told),
        TEST(only_so_many_wait),
        TEST(who_goes_is_not_waited_for),
        TEST(outputs_are_stored_before_the_answer),
        TEST(outputs_outlive_who_asked),
        TEST(what_cannot_be_stored_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
