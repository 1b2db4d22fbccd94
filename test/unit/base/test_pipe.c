/* The header is all of the module: each call must reach the carrier's function of that name. */
#include "base/pipe.h"

#include "../check.h"

struct carrier {
    struct pipe pipe;
    const char *called;
    enum err why;
};

static bool carrier_send(struct pipe *p, struct chunkq *q)
{
    ((struct carrier *)p)->called = "send";
    p->unsent += q->bytes;
    chunkq_clear(q);
    return p->unsent < 10;
}

static void carrier_resume(struct pipe *p)
{
    ((struct carrier *)p)->called = "resume";
}

static void carrier_close(struct pipe *p)
{
    ((struct carrier *)p)->called = "close";
}

static void carrier_abort(struct pipe *p, enum err why)
{
    ((struct carrier *)p)->called = "abort";
    ((struct carrier *)p)->why = why;
}

static void test_calls_reach_the_carrier(void **state)
{
    (void)state;
    static const struct pipe_ops ops = {carrier_send, carrier_resume, carrier_close, carrier_abort};
    struct carrier c = {.pipe = {.ops = &ops}};
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, "12345", 5);
    assert_true(pipe_send(&c.pipe, &q));
    chunkq_add_copy(&q, "12345", 5);
    assert_false(pipe_send(&c.pipe, &q));
    assert_string_equal(c.called, "send");
    pipe_resume(&c.pipe);
    assert_string_equal(c.called, "resume");
    pipe_close(&c.pipe);
    assert_string_equal(c.called, "close");
    pipe_abort(&c.pipe, ERR_FRAME);
    assert_string_equal(c.called, "abort");
    assert_int_equal(c.why, ERR_FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_reach_the_carrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
