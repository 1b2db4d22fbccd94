/* Functions called by requests: who may, which reactor's invoker is asked, and that an op and its
 * cancellation meet in every order. */
#include "broker/invoke.h"

#include "broker/access.h"
#include "broker/document.h"
#include "rig.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

#define REACTORS 2

static struct rig rig;

/* One a reactor: keeps what it was asked. */
struct fake_invoker {
    struct invoker invoker;
    struct broker *b;
    struct invoke_op *asked;
    unsigned calls, cancels;
};
static struct fake_invoker invokers[REACTORS];

static void fake_call(struct invoker *invoker, struct invoke_op *op)
{
    struct fake_invoker *f = container_of(invoker, struct fake_invoker, invoker);
    f->calls++;
    f->asked = op;
    op->invocation = f;
}

static void fake_finish(struct fake_invoker *f, enum err err)
{
    struct invoke_op *op = f->asked;
    f->asked = NULL;
    op->invocation = NULL;
    op_finish(f->b, &op->op, err);
}

static void fake_cancel(struct invoker *invoker, struct invoke_op *op)
{
    struct fake_invoker *f = container_of(invoker, struct fake_invoker, invoker);
    f->cancels++;
    assert_ptr_equal(f->asked, op);
    fake_finish(f, ERR_CLOSED);
}

static const struct invoker_ops fake_ops = {fake_call, fake_cancel};

static void put_done(struct op *op)
{
    document_unref(container_of(op, struct document_put_op, op)->document);
}

static void put(const char *name)
{
    struct function_conf conf;
    spec_init(&function_kind, &conf);
    conf.url = STR_LIT("http://127.0.0.1:1");
    struct document_put_op op = {.op.done = put_done,
                                 .actor = &rig_actor,
                                 .kind = DOCUMENT_FUNCTION,
                                 .name = str_of(name),
                                 .conf = &conf};
    broker_document_put(rig.brokers[0], &op);
    rig_run(&rig);
    assert_int_equal(op.op.err, ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, REACTORS);
    for (unsigned i = 0; i < REACTORS; i++) {
        invokers[i] = (struct fake_invoker){.invoker.ops = &fake_ops, .b = rig.brokers[i]};
        broker_set_invoker(rig.brokers[i], &invokers[i].invoker);
    }
    put("f");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

struct call {
    struct invoke_op op;
    unsigned done;
};

static void done(struct op *op)
{
    container_of(op, struct call, op.op)->done++;
}

static void start(struct call *c, unsigned from, const char *name, const struct actor *actor)
{
    *c = (struct call){.op = {.op.done = done, .actor = actor, .function = str_of(name)}};
    broker_invoke(rig.brokers[from], &c->op);
}

static void ended(struct call *c, enum err err)
{
    assert_int_equal(c->done, 1);
    assert_int_equal(c->op.op.err, err);
    invoke_free(&c->op);
}

static unsigned owner(void)
{
    return function_reactor(STR_LIT("f"), REACTORS);
}

static void it_goes_to_the_functions_reactor_and_back(void **state)
{
    struct call c;
    (void)state;
    for (unsigned from = 0; from < REACTORS; from++) {
        start(&c, from, "f", &rig_actor);
        rig_run(&rig);
        assert_int_equal(c.done, 0);
        c.op.answer.status = 200;
        c.op.answer.body = slice_copy("yes", 3);
        fake_finish(&invokers[owner()], ERR_OK);
        rig_run(&rig);
        ended(&c, ERR_OK);
    }
    assert_int_equal(invokers[owner()].calls, REACTORS);
    assert_int_equal(invokers[1 - owner()].calls, 0);
}

static void what_cannot_be_called_is_not_asked(void **state)
{
    struct call c;
    (void)state;
    start(&c, 0, "g", &rig_actor);
    ended(&c, ERR_NOT_FOUND);
    assert_non_null(strstr(c.op.text.s, "no function g"));
    static const struct actor key = {.principal = "Key:f/1", .address = "here"};
    start(&c, 0, "f", &key);
    ended(&c, ERR_FUNCTION_DENIED);
    assert_int_equal(invokers[0].calls + invokers[1].calls, 0);
    broker_set_invoker(rig.brokers[owner()], NULL);
    start(&c, 1 - owner(), "f", &rig_actor);
    rig_run(&rig);
    ended(&c, ERR_CLOSED);
}

static void cancelled_calls_end_once(void **state)
{
    struct call c;
    (void)state;
    for (unsigned from = 0; from < REACTORS; from++) {
        start(&c, from, "f", &rig_actor);
        rig_run(&rig);
        broker_invoke_cancel(rig.brokers[from], &c.op);
        broker_invoke_cancel(rig.brokers[from], &c.op);
        rig_run(&rig);
        ended(&c, ERR_CLOSED);
        broker_invoke_cancel(rig.brokers[from], &c.op);
    }
    assert_int_equal(invokers[owner()].cancels, REACTORS);
}

/* Before it has come to its reactor; and when the answer is on its way home. */
static void a_cancellation_may_cross_the_call(void **state)
{
    struct call c;
    unsigned from = 1 - owner();
    (void)state;
    start(&c, from, "f", &rig_actor);
    broker_invoke_cancel(rig.brokers[from], &c.op);
    rig_run(&rig);
    ended(&c, ERR_CLOSED);
    assert_int_equal(invokers[owner()].cancels, 1);
    start(&c, from, "f", &rig_actor);
    rig_run(&rig);
    fake_finish(&invokers[owner()], ERR_OK);
    broker_invoke_cancel(rig.brokers[from], &c.op);
    assert_int_equal(c.done, 0);
    rig_run(&rig);
    ended(&c, ERR_OK);
    assert_int_equal(invokers[owner()].cancels, 1); /* there was nothing left */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_to_the_functions_reactor_and_back),
        TEST(what_cannot_be_called_is_not_asked),
        TEST(cancelled_calls_end_once),
        TEST(a_cancellation_may_cross_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
