/* fake_functions.h: a pool of workers in the hand of a test, in place of that of function.h (linked
 * with --wrap): which workers there are, who waits for one, how each call went. */
#pragma once

#include "flow/function.h"

struct fake_functions {
    struct document doc; /* a function of that name, if there */
    bool there;
    unsigned workers;    /* that are ready; each takes one call */
    struct list waiting; /* slots */
    struct list out;
    unsigned out_n, taken, given;
    enum function_result last; /* of what was given last */
    uint32_t last_events;
    uint64_t pause_us, dropped;
    struct function_user *user; /* the one that joined */
    unsigned joins;
};
extern struct fake_functions fake_functions;

void fake_functions_init(const char *name);
/* Gives slots that wait to workers that are free; true if there was any. */
bool fake_functions_run(void);
/* The oldest slot that is out. */
struct function_slot *fake_functions_first(void);
/* What waits ends so. */
void fake_functions_fail(enum err err);
/* Another document, or none. */
void fake_functions_change(bool there);
