/* scrub.h: reads what is stored again and again, slowly, to find bit rot before a reader does.
 *
 *     pass      all logs of a reactor, one after the other; a day after one has begun the next one
 *               does, the first some minutes after the start
 *     log       what its manifest entry covers: batches and their CRCs, sidecars, indexes
 *               (plog_check); what is newer was just written and stands in the journal
 *     step      some of it, on a helper thread; then a pause, so that all reactors together read
 *               no more than the rate
 *
 * A fault goes to the process's log with file and place, and is counted; nothing is repaired:
 * indexes are built anew when they are used, and a batch whose bytes are wrong can only come from a
 * backup. A log that was trimmed or deleted meanwhile is left; the next pass sees what it holds
 * then. Reads go through the page cache: what is in memory is believed to be what is on disk.
 *
 * Thread: the reactor's, but for the step and scrub_rate.
 */
#pragma once

#include "broker/env.h"
#include "broker/store.h"
#include "io/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCRUB_PASS_MS 86400000
#define SCRUB_STEP_BYTES (1 << 20)
#define SCRUB_PAUSE_US 2000 /* at least, after a step */
#define SCRUB_LOOK_MS 30000 /* how often it looks whether there is something to do */

struct store_reactor;
struct plog_check;

/* The process's: what the reactors have found. */
struct scrub_total {
    _Atomic uint64_t rate; /* bytes a second, of all reactors; 0: nothing is read */
    _Atomic uint64_t passes, bytes, faults;
};

/* What a step found, told on the reactor if it still concerns anybody. */
struct scrub_found {
    uint64_t faults;
    struct err_text first;
};

struct scrub {
    struct env_timer timer;
    struct loop_job job;
    uint64_t pass_due_us;
    struct store_log_id *ids; /* of the pass; NULL: none is under way */
    size_t count, next;
    struct plog_check *check; /* of a log; NULL: none */
    struct store_log_id id;
    int64_t start;       /* of that log when its check began */
    uint64_t read_bytes; /* by the step */
    enum err err;
    bool done; /* the log's last step */
    struct scrub_found found;
};

void scrub_init(struct store_reactor *r);
/* No step runs any more. */
void scrub_free(struct store_reactor *r);
