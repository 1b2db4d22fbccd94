/* function_rig.h: functions on a simulated machine: their workers are programs of the test, their
 * documents are made here (the program is linked with --wrap for those, and for the event log),
 * calls take as long as the test likes. */
#pragma once

#include "broker/function_status.h"
#include "flow/function.h"
#include "io/sim.h"

#include "fake_http.h"

#define FUNCTION_RIG_CALLS_MAX 64
#define FUNCTION_RIG_EVENTS_MAX 4000

enum rig_call_state { CALL_IDLE, CALL_WAITING, CALL_OUT };

struct rig_call {
    struct function_slot slot;
    enum rig_call_state state;
    enum err err; /* of the last ready() */
    bool lost;
};

struct function_rig {
    struct sim *sim;
    struct loop *loop;
    struct functions *functions;
    struct fake_http http;
    struct function_user user, other; /* of "f" */
    unsigned changed, other_changed;
    struct rig_call calls[FUNCTION_RIG_CALLS_MAX];
    struct function_conf conf; /* of "f", for rig_put */
    /* What was written to weir.functions: "TYPE {data}". */
    char *events[FUNCTION_RIG_EVENTS_MAX];
    unsigned events_n;
    /* What programs met, by their last start. */
    char program_env[8192];
    uint64_t uses_bytes, uses_cpu_milli; /* "busy": from now on */
};
extern struct function_rig rig;

void rig_open(uint64_t seed);
/* Stops all in order, and checks that nothing is left. */
void rig_close(void);
/* The document of "f": rig.conf with argv {program}. */
void rig_put(const char *program);
void rig_remove(void);
void rig_run_ms(uint64_t ms);
uint64_t rig_now_ms(void);
struct function_stat rig_stat(void);
struct function_status rig_status(void);

/* Slot i of the user (or of the other). */
void rig_take(unsigned i, int32_t partition);
void rig_take_other(unsigned i, int32_t partition);
void rig_give(unsigned i, enum function_result result);
/* Runs until the call has a worker. */
void rig_take_ready(unsigned i, int32_t partition);
unsigned rig_calls(enum rig_call_state state);

/* How many events of the type, and the last one's data ("": none). */
unsigned rig_events(const char *type);
const char *rig_event(const char *type);
void rig_expect_event(const char *type, const char *contains);
/* Ends a worker's program by a signal. */
void rig_crash_program(unsigned worker);
