/* Functions: each step of a worker's life, what is told of it, who gets which call, and what
 * happens to those that misbehave. On a simulated machine, with programs of the test. */
#include "function_rig.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

/* ---- the first worker ------------------------------------------------------------------------ */

static void test_nothing_waits_nothing_runs(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("ok");
    rig_run_ms(1000);
    assert_int_equal(sim_programs(rig.sim), 0);
    assert_int_equal(rig.events_n, 0);
    assert_int_equal(rig.changed, 1);
    assert_int_equal(rig_status().state, FUNCTION_STATE_idle);
    assert_int_equal(function_room(&rig.user, 0), 1);
    assert_int_equal(function_room(&rig.user, 1), 0);
    rig_close();
}

static void test_slot_starts_the_first(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("ok");
    rig_take_ready(0, -1);
    const struct function_slot *slot = &rig.calls[0].slot;
    char port[64];
    snprintf(port, sizeof port, "\nPORT=%s\n", slot->url + strlen("http://127.0.0.1:"));
    assert_non_null(strstr(rig.program_env, port));
    assert_int_equal(slot->worker, 1);
    rig_expect_event("scaled", "{\"function\":\"f\",\"from\":0,\"to\":1,\"reason\":\"calls\","
                               "\"waiting\":0,\"calls\":1,\"target\":100}");
    rig_expect_event("worker.started", "\"worker\":1,\"pid\":");
    rig_expect_event("worker.ready", "\"worker\":1,\"tookUs\":");
    assert_true(rig_now_ms() < 20);
    assert_int_equal(rig_stat().ready, 1);
    assert_int_equal(rig_stat().calls, 1);
    assert_int_equal(rig_status().state, FUNCTION_STATE_running);
    assert_int_equal(rig_status().ready, 1);
    assert_int_equal(rig_status().calls, 1);
    rig_give(0, FUNCTION_DONE);
    assert_int_equal(rig_stat().done, 1);
    assert_int_equal(rig_stat().events, 1);
    assert_int_equal(rig_stat().took.n[3], 1); /* a ms */
    assert_int_equal(rig_stat().took.sum_us, 1000);
    rig_close();
}

static void test_environment(void **state)
{
    static struct spec_pair extra[] = {{STR_LIT("MODE"), STR_LIT("a b=c")},
                                       {STR_LIT("LANG"), STR_LIT("de_DE")}};
    (void)state;
    rig_open(1);
    rig.conf.env = (struct spec_map){extra, 2};
    rig_put("ok");
    rig_take_ready(0, -1);
    char expect[1024];
    snprintf(expect, sizeof expect,
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/\n"
             "LANG=de_DE\nPORT=%s\nK_SERVICE=f\nK_REVISION=f-00001\nK_CONFIGURATION=f\n"
             "WEIR_FUNCTION=f\nWEIR_WORKER=1\nWEIR_HTTP=http://127.0.0.1:8080\n"
             "FUNCTIONS_CUSTOMHANDLER_PORT=-\nFUNCTIONS_HTTPWORKER_PORT=-\n"
             "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=-\nMODE=a b=c\n",
             rig.calls[0].slot.url + strlen("http://127.0.0.1:"));
    assert_string_equal(rig.program_env, expect);
    rig_close();
}

/* A handler of Azure's is ready when it answers GET /, whatever it says. */
static void test_azure_must_answer(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.protocol = FUNCTION_AZURE;
    rig_put("ok");
    rig_take(0, -1);
    rig_run_ms(50);
    struct fake_call *call = fake_http_first(&rig.http);
    assert_non_null(call);
    assert_string_equal(call->method, "GET");
    assert_non_null(strstr(call->url, "/"));
    assert_null(strstr(rig.program_env, "FUNCTIONS_CUSTOMHANDLER_PORT=-"));
    assert_null(strstr(rig.program_env, "FUNCTIONS_HTTPWORKER_PORT=-"));
    assert_null(strstr(rig.program_env, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=-"));
    fake_http_fail(&rig.http, call, HTTP_UNREACHABLE);
    rig_run_ms(50);
    assert_int_equal(rig.calls[0].state, CALL_WAITING);
    call = fake_http_first(&rig.http);
    assert_non_null(call);
    fake_http_answer(&rig.http, call, 404, "");
    rig_run_ms(5);
    assert_int_equal(rig.calls[0].state, CALL_OUT);
    rig_close();
}

static void test_min_are_kept(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 2;
    rig_put("ok");
    rig_run_ms(100);
    assert_int_equal(rig_stat().ready, 2);
    rig_expect_event("scaled", "\"from\":0,\"to\":2,\"reason\":\"minimum\"");
    rig_run_ms(120000);
    assert_int_equal(rig_stat().ready, 2);
    assert_int_equal(rig_stat().started, 2);
    rig_close();
}

static void test_slot_is_cancelled(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("slow");
    rig_take(0, -1);
    rig_run_ms(100);
    assert_int_equal(rig_stat().starting, 1);
    function_cancel(&rig.calls[0].slot);
    rig.calls[0].state = CALL_IDLE;
    rig_run_ms(60000);
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_expect_event("worker.stopped", "\"worker\":1");
    rig_close();
}

/* ---- scaling --------------------------------------------------------------------------------- */

static void test_up_and_down(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("ok");
    function_waits(&rig.user, 300);
    function_waits(&rig.other, 450);
    rig_run_ms(100);
    assert_int_equal(rig_stat().ready, 8);
    assert_int_equal(rig_stat().waiting, 750);
    assert_int_equal(rig_stat().wanted, 8);
    assert_int_equal(function_room(&rig.user, 0), 8);
    assert_true(rig.changed > 1 && rig.other_changed > 1);
    function_waits(&rig.user, 0);
    function_waits(&rig.other, 0);
    rig_run_ms(29000);
    assert_int_equal(rig_stat().ready, 8);
    rig_run_ms(10000);
    assert_int_equal(rig_stat().ready, 0);
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_expect_event("scaled", "\"from\":1,\"to\":0,\"reason\":\"idle\"");
    assert_int_equal(rig_events("scaled"), 5 + 8); /* 4, then one for each that is ready */
    assert_int_equal(rig_events("worker.stopped"), 8);
    assert_int_equal(rig_stat().crashed, 0);
    rig_close();
}

static void test_busy_worker_is_not_stopped(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_max = 2;
    rig_put("ok");
    function_waits(&rig.user, 200);
    rig_take_ready(0, -1);
    rig_take_ready(1, -1);
    assert_int_not_equal(rig.calls[0].slot.worker, rig.calls[1].slot.worker);
    function_waits(&rig.user, 0);
    rig_run_ms(120000);
    assert_int_equal(rig_stat().ready, 2); /* two calls: both are needed */
    rig_give(0, FUNCTION_DONE);
    rig_run_ms(40000);
    assert_int_equal(rig_stat().ready, 1);
    assert_false(rig.calls[1].lost);
    rig_give(1, FUNCTION_DONE);
    rig_run_ms(40000);
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_close();
}

/* ---- who gets it ----------------------------------------------------------------------------- */

static void test_least_busy(void **state)
{
    unsigned per_worker[5] = {0};
    (void)state;
    rig_open(1);
    rig.conf.concurrency = 3;
    rig.conf.workers_min = rig.conf.workers_max = 4;
    rig_put("ok");
    rig_run_ms(100);
    for (unsigned i = 0; i < 12; i++) {
        rig_take(i, -1);
        assert_int_equal(rig.calls[i].state, CALL_OUT); /* from inside */
        per_worker[rig.calls[i].slot.worker]++;
        for (unsigned k = 1; k < 5; k++)
            assert_true(per_worker[k] <= i / 4 + 1);
    }
    assert_int_equal(function_room(&rig.user, 12), 0);
    rig_take(12, -1);
    assert_int_equal(rig.calls[12].state, CALL_WAITING);
    rig_give(3, FUNCTION_DONE);
    rig_run_ms(1);
    assert_int_equal(rig.calls[12].state, CALL_OUT);
    rig_close();
}

static void test_partitions_stay(void **state)
{
    unsigned of[8];
    unsigned per_worker[5] = {0};
    (void)state;
    rig_open(1);
    rig.conf.workers_min = rig.conf.workers_max = 4;
    rig.conf.concurrency = 10;
    rig_put("ok");
    rig_run_ms(100);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned p = 0; p < 8; p++) {
            rig_take_ready(p, (int32_t)p);
            unsigned worker = rig.calls[p].slot.worker;
            if (round == 0)
                per_worker[worker]++;
            else
                assert_int_equal(worker, of[p]);
            of[p] = worker;
            rig_give(p, FUNCTION_DONE);
        }
    }
    for (unsigned k = 1; k < 5; k++)
        assert_int_equal(per_worker[k], 2);
    rig_close();
}

/* Two more workers: each partition that moves had to. */
static void test_few_partitions_move(void **state)
{
    unsigned of[12], moved = 0;
    (void)state;
    rig_open(1);
    rig.conf.workers_min = rig.conf.workers_max = 2;
    rig.conf.concurrency = 20;
    rig_put("ok");
    rig_run_ms(100);
    for (unsigned p = 0; p < 12; p++) {
        rig_take_ready(p, (int32_t)p);
        of[p] = rig.calls[p].slot.worker;
    }
    rig.conf.workers_min = rig.conf.workers_max = 4;
    rig_put("ok");
    rig_run_ms(100);
    assert_int_equal(rig_stat().ready, 4);
    assert_int_equal(rig_stat().started, 4); /* the two went on */
    for (unsigned p = 0; p < 12; p++) {
        rig_take_ready(12 + p, (int32_t)p); /* while the first one's slot is out */
        assert_int_equal(rig.calls[12 + p].slot.worker, of[p]);
        rig_give(p, FUNCTION_DONE);
        rig_give(12 + p, FUNCTION_DONE);
    }
    for (unsigned p = 0; p < 12; p++) {
        rig_take_ready(p, (int32_t)p);
        moved += rig.calls[p].slot.worker != of[p];
        rig_give(p, FUNCTION_DONE);
    }
    assert_int_equal(moved, 6);
    rig_close();
}

static void test_partition_waits_for_its_last_call(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = rig.conf.workers_max = 2;
    rig.conf.concurrency = 4;
    rig_put("ok");
    rig_run_ms(100);
    rig_take_ready(0, 7);
    unsigned first = rig.calls[0].slot.worker;
    rig_crash_program(first);
    rig_run_ms(10);
    assert_true(rig.calls[0].lost);
    rig_take(1, 7);
    rig_run_ms(1000);
    assert_int_equal(rig.calls[1].state, CALL_WAITING); /* its slot has not come back */
    rig_take_ready(2, 8);
    rig_give(0, FUNCTION_BROKEN);
    rig_run_ms(1);
    assert_int_equal(rig.calls[1].state, CALL_OUT);
    assert_int_not_equal(rig.calls[1].slot.worker, first);
    rig_close();
}

/* ---- failures -------------------------------------------------------------------------------- */

static void test_crash_is_told_and_replaced(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("ok");
    rig_take_ready(0, -1);
    rig_run_ms(20000);
    rig_crash_program(1);
    rig_run_ms(5);
    assert_true(rig.calls[0].lost);
    rig_expect_event("worker.crashed", "\"worker\":1,");
    rig_expect_event(
        "worker.crashed",
        "\"calls\":1,\"signal\":11,\"failures\":1,\"retryMs\":100,\"output\":[\"hello\"]}");
    rig_give(0, FUNCTION_BROKEN);
    rig_take(0, -1);
    rig_run_ms(50);
    assert_int_equal(rig.calls[0].state, CALL_WAITING);
    rig_run_ms(100);
    assert_int_equal(rig.calls[0].state, CALL_OUT);
    assert_int_equal(rig.calls[0].slot.worker, 2);
    assert_int_equal(rig_stat().crashed, 1);
    assert_int_equal(rig_stat().broken, 1);
    rig_close();
}

static void test_crash_at_start(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.start_ms = 10000;
    rig_put("crash");
    rig_take(0, -1);
    rig_take(1, 3);
    rig_run_ms(9900);
    assert_int_equal(rig_calls(CALL_WAITING), 2);
    /* two at 0, then one after the other at .1, .3, .7, 1.5, 3.1, 6.3 s */
    assert_int_equal(rig_events("worker.started"), 8);
    assert_int_equal(rig_events("worker.crashed"), 8);
    assert_int_equal(rig_events("failing"), 1);
    assert_int_equal(rig_events("scaled"), 1);
    rig_expect_event("failing", "\"failures\":5,\"error\":\"its worker ended with status 1: cannot "
                                "find my \\\"model\\\"\"");
    rig_expect_event("worker.crashed", "\"status\":1,\"failures\":7,\"retryMs\":6400");
    struct function_status s = rig_status();
    assert_int_equal(s.state, FUNCTION_STATE_backoff);
    assert_int_equal(s.failures, 7);
    assert_in_range(s.retry_ms, 2000, 6400);
    assert_non_null(strstr(s.error.s, "cannot find my"));
    rig_run_ms(200);
    assert_int_equal(rig_calls(CALL_WAITING), 0);
    assert_int_equal(rig.calls[0].err, ERR_TIMED_OUT);
    assert_non_null(strstr(rig.calls[1].slot.text.s, "find my"));
    /* It gets better: by a change, without a wait. */
    rig_put("ok");
    rig_take_ready(0, -1);
    assert_int_equal(rig_stat().failures, 0);
    rig_close();
}

static void test_recovers(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 1;
    rig_put("ok");
    for (unsigned i = 1; i <= 6; i++) {
        while (rig_stat().ready == 0)
            rig_run_ms(1);
        rig_crash_program(i);
        rig_run_ms(5);
    }
    assert_int_equal(rig_stat().failures, 6);
    assert_int_equal(rig_events("failing"), 1);
    while (rig_stat().ready == 0)
        rig_run_ms(1);
    rig_run_ms(9900);
    assert_int_equal(rig_stat().failures, 6);
    rig_run_ms(200);
    assert_int_equal(rig_stat().failures, 0);
    rig_expect_event("recovered", "\"failures\":6");
    rig_close();
}

/* All eight at once are one failure; one start, not eight, looks whether it is over. */
static void test_crash_storm(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 8;
    rig_put("ok");
    rig_run_ms(100);
    for (unsigned i = 1; i <= 8; i++)
        rig_crash_program(i);
    rig_run_ms(50);
    assert_int_equal(rig_stat().crashed, 8);
    assert_int_equal(rig_stat().failures, 1);
    unsigned most = 0;
    while (rig_stat().ready < 8) {
        most = rig_stat().starting > most ? rig_stat().starting : most;
        rig_run_ms(1);
    }
    assert_int_equal(most, 1);
    rig_close();
}

static void test_no_such_program(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.start_ms = 1000;
    rig_put("nowhere");
    rig_take(0, -1);
    rig_run_ms(1100);
    assert_int_equal(rig.calls[0].err, ERR_TIMED_OUT);
    assert_non_null(strstr(rig.calls[0].slot.text.s, "cannot run nowhere"));
    rig_expect_event("worker.crashed", "\"error\":\"cannot run nowhere");
    rig_close();
}

/* Settings without any pause do not make it spin. */
static void test_no_pause(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 2;
    rig.conf.backoff_ms = rig.conf.backoff_max_ms = 0;
    rig.conf.idle_ms = rig.conf.stop_ms = 0;
    rig_put("nowhere");
    rig_run_ms(1000);
    assert_in_range(rig_stat().crashed, 50, 101);
    rig.conf.workers_min = 0;
    rig_put("deaf");
    rig_take_ready(0, -1);
    rig_give(0, FUNCTION_DONE);
    rig_run_ms(10);
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_close();
}

static void test_never_ready(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.start_ms = 500;
    rig_put("never");
    rig_take(0, -1);
    rig_run_ms(700);
    rig_expect_event("worker.killed", "\"reason\":\"start\"");
    assert_int_equal(rig.calls[0].err, ERR_TIMED_OUT);
    assert_int_equal(rig_stat().killed, 1);
    rig_close();
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void test_call_without_end(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.concurrency = 2;
    rig_put("deaf");
    rig_take_ready(0, -1);
    rig_take_ready(1, -1);
    assert_int_equal(rig.calls[1].slot.worker, 1);
    rig_give(0, FUNCTION_TIMED_OUT);
    rig_run_ms(5);
    assert_true(rig.calls[1].lost);
    rig_expect_event("worker.killed", "\"reason\":\"time\"");
    rig_give(1, FUNCTION_BROKEN);
    rig_take_ready(0, -1);
    assert_int_equal(rig.calls[0].slot.worker, 2);
    assert_int_equal(rig_stat().timed_out, 1);
    rig_close();
}

static void test_memory(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 1;
    rig.conf.memory_bytes = 100 << 20;
    rig.uses_bytes = 100 << 20;
    rig_put("busy");
    rig_run_ms(5000);
    assert_int_equal(rig_stat().killed, 0);
    rig.uses_bytes++;
    rig_run_ms(2500);
    rig_expect_event("worker.killed", "\"reason\":\"memory\",\"memory\":104857601,");
    rig_close();
}

static void test_cpu(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 1;
    rig.conf.cpu_milli = 500;
    rig.uses_cpu_milli = 490;
    rig_put("busy");
    rig_run_ms(30000);
    assert_int_equal(rig_stat().killed, 0);
    rig.uses_cpu_milli = 2000; /* above the mean of ten seconds soon, but not at once */
    rig_run_ms(3000);
    assert_int_equal(rig_stat().killed, 1);
    rig_expect_event("worker.killed", "\"reason\":\"cpu\"");
    rig_close();
}

static void test_flood(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 1;
    rig_put("flood");
    rig_run_ms(4500);
    assert_int_equal(rig_stat().killed, 0);
    rig_run_ms(2000);
    rig_expect_event("worker.killed", "\"reason\":\"flood\"");
    rig_close();
}

/* ---- stops and changes ----------------------------------------------------------------------- */

static void test_stop_in_vain(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("deaf");
    rig_take_ready(0, -1);
    rig_give(0, FUNCTION_DONE);
    rig_remove();
    rig_run_ms(4900);
    assert_int_equal(sim_programs(rig.sim), 1);
    rig_run_ms(200);
    assert_int_equal(sim_programs(rig.sim), 0);
    assert_int_equal(rig_events("worker.stopped"), 1);
    assert_int_equal(rig_events("worker.killed"), 0);
    rig_close();
}

static void test_stop_waits_for_calls(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("ok");
    rig_take_ready(0, -1);
    functions_stop(rig.functions, false);
    rig_run_ms(20000);
    assert_int_equal(sim_programs(rig.sim), 1);
    rig_take(1, -1);
    assert_int_equal(rig.calls[1].err, ERR_CLOSED);
    assert_true(functions_busy(rig.functions));
    rig_give(0, FUNCTION_DONE);
    rig_run_ms(10);
    assert_int_equal(sim_programs(rig.sim), 0);
    assert_false(functions_busy(rig.functions));
    rig_close();
}

static void test_cut(void **state)
{
    (void)state;
    rig_open(1);
    rig_put("deaf");
    rig_take_ready(0, -1);
    rig_take(1, -1);
    functions_stop(rig.functions, true);
    rig_run_ms(10);
    assert_int_equal(sim_programs(rig.sim), 0);
    assert_int_equal(rig.calls[1].err, ERR_CLOSED);
    assert_true(rig.calls[0].lost);
    rig_close();
}

static void test_no_function(void **state)
{
    (void)state;
    rig_open(1);
    assert_null(function_document(&rig.user));
    assert_int_equal(function_room(&rig.user, 0), 0);
    rig_take(0, -1);
    assert_int_equal(rig.calls[0].err, ERR_NOT_FOUND);
    rig_put("slow");
    rig_run_ms(1);
    assert_non_null(function_document(&rig.user));
    assert_int_equal(rig.changed, 1);
    rig_take(0, -1);
    rig_run_ms(10);
    rig_remove();
    rig_run_ms(1);
    assert_int_equal(rig.calls[0].err, ERR_NOT_FOUND);
    assert_true(rig.changed >= 2);
    rig_run_ms(100);
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_close();
}

/* New workers first, then the old ones go: there is always one that is ready. */
static void test_new_program(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 3;
    rig_put("ok");
    rig_run_ms(100);
    rig_take_ready(0, -1);
    unsigned old = rig.calls[0].slot.worker;
    rig_put("slow");
    for (unsigned i = 0; i < 1500; i++) {
        rig_run_ms(1);
        assert_in_range(rig_stat().ready, 2, 4);
    }
    assert_int_equal(rig_stat().ready, 3);
    assert_int_equal(rig_stat().draining, 1); /* its call is under way */
    assert_false(rig.calls[0].lost);
    rig_take_ready(1, -1);
    assert_true(rig.calls[1].slot.worker > 3 && old <= 3);
    rig_give(0, FUNCTION_DONE);
    rig_run_ms(10);
    assert_int_equal(rig_stat().draining, 0);
    rig_close();
}

/* What does not start replaces nothing. */
static void test_bad_program(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.workers_min = 2;
    rig_put("ok");
    rig_run_ms(100);
    rig_put("crash");
    rig_run_ms(20000);
    assert_int_equal(rig_stat().ready, 2);
    assert_int_equal(rig_events("failing"), 1);
    rig_take_ready(0, -1);
    rig_put("good");
    rig_run_ms(100);
    assert_int_equal(rig_stat().ready, 2);
    assert_int_equal(rig_stat().failures, 0);
    rig_give(0, FUNCTION_DONE);
    rig_run_ms(100);
    assert_int_equal(rig_stat().draining, 0);
    rig_close();
}

static void test_url(void **state)
{
    (void)state;
    rig_open(1);
    rig.conf.url = STR_LIT("http://elsewhere/f");
    rig.conf.concurrency = 2;
    rig_put(NULL);
    rig_run_ms(1);
    assert_int_equal(function_room(&rig.user, 0), 2);
    rig_take(0, -1);
    rig_take(1, 5);
    rig_take(2, -1);
    assert_int_equal(rig_calls(CALL_OUT), 2);
    assert_string_equal(rig.calls[0].slot.url, "http://elsewhere/f");
    assert_int_equal(rig.calls[0].slot.worker, 0);
    assert_int_equal(rig_status().state, FUNCTION_STATE_running);
    assert_false(rig_status().has_workers);
    rig.conf.url = STR_LIT("http://other/f");
    rig_put(NULL);
    assert_string_equal(rig.calls[0].slot.url, "http://elsewhere/f"); /* until it is given */
    rig_give(0, FUNCTION_TIMED_OUT);
    rig_run_ms(1);
    assert_int_equal(rig.calls[2].state, CALL_OUT);
    assert_string_equal(rig.calls[2].slot.url, "http://other/f");
    assert_int_equal(sim_programs(rig.sim), 0);
    rig_close();
}

/* ---- anything, in any order ------------------------------------------------------------------ */

static void check_partitions(void)
{
    for (unsigned i = 0; i < FUNCTION_RIG_CALLS_MAX; i++) {
        const struct rig_call *a = &rig.calls[i];
        unsigned same = 0;
        for (unsigned k = 0; k < FUNCTION_RIG_CALLS_MAX; k++) {
            const struct rig_call *b = &rig.calls[k];
            if (a->state != CALL_OUT || b->state != CALL_OUT)
                continue;
            same += a->slot.worker == b->slot.worker;
            if (a->slot.partition >= 0 && a->slot.partition == b->slot.partition)
                assert_int_equal(a->slot.worker, b->slot.worker);
        }
        assert_true(same <= 3);
    }
}

static void random_act(struct rng *rng)
{
    static const char *const names[] = {"ok", "good", "slow", "crash"};
    unsigned i = (unsigned)rng_below(rng, FUNCTION_RIG_CALLS_MAX);
    struct rig_call *c = &rig.calls[i];
    int32_t partition = (int32_t)rng_below(rng, 8) - 1;
    uint64_t what = rng_below(rng, 1000);
    if (what < 3) {
        rig.conf.workers_max = 1 + (int64_t)rng_below(rng, 6);
        rig.conf.workers_min = (int64_t)rng_below(rng, 2);
        rig_put(names[rng_below(rng, 4)]);
    } else if (what < 4) {
        rig_remove();
    } else if (what < 20) {
        rig_crash_program((unsigned)rng_below(rng, rig_stat().started + 1));
    } else if (what < 60) {
        function_waits(rng_one_in(rng, 2) ? &rig.user : &rig.other, rng_below(rng, 900));
    } else if (c->state == CALL_IDLE && rng_one_in(rng, 2)) {
        rig_take(i, partition);
    } else if (c->state == CALL_IDLE) {
        rig_take_other(i, partition);
    } else if (c->state == CALL_OUT) {
        rig_give(i, rng_one_in(rng, 100) ? FUNCTION_TIMED_OUT : FUNCTION_DONE);
    } else if (what < 200) {
        function_cancel(&c->slot);
        c->state = CALL_IDLE;
    }
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        rig_open(seed);
        rig.conf.concurrency = 3;
        rig.conf.start_ms = 5000;
        rig.conf.idle_ms = 200;
        rig.conf.backoff_max_ms = 1000;
        rig_put("ok");
        for (unsigned i = 0; i < 3000; i++) {
            random_act(&rng);
            check_partitions();
            if (rng_one_in(&rng, 3))
                rig_run_ms(1 + rng_below(&rng, 5));
            check_partitions();
        }
        /* All come to their end once the program is a good one. */
        rig.conf.workers_max = 4;
        rig_put("good");
        for (unsigned ms = 0; rig_calls(CALL_WAITING) > 0; ms++) {
            assert_true(ms < 20000);
            for (unsigned i = 0; i < FUNCTION_RIG_CALLS_MAX; i++) {
                if (rig.calls[i].state == CALL_OUT)
                    rig_give(i, FUNCTION_DONE);
            }
            rig_run_ms(1);
        }
        rig_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_waits_nothing_runs),
        cmocka_unit_test(test_slot_starts_the_first),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_azure_must_answer),
        cmocka_unit_test(test_min_are_kept),
        cmocka_unit_test(test_slot_is_cancelled),
        cmocka_unit_test(test_up_and_down),
        cmocka_unit_test(test_busy_worker_is_not_stopped),
        cmocka_unit_test(test_least_busy),
        cmocka_unit_test(test_partitions_stay),
        cmocka_unit_test(test_few_partitions_move),
        cmocka_unit_test(test_partition_waits_for_its_last_call),
        cmocka_unit_test(test_crash_is_told_and_replaced),
        cmocka_unit_test(test_crash_at_start),
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_crash_storm),
        cmocka_unit_test(test_no_such_program),
        cmocka_unit_test(test_no_pause),
        cmocka_unit_test(test_never_ready),
        cmocka_unit_test(test_call_without_end),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_stop_in_vain),
        cmocka_unit_test(test_stop_waits_for_calls),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_function),
        cmocka_unit_test(test_new_program),
        cmocka_unit_test(test_bad_program),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
