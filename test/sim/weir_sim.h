/* weir_sim.h: the whole broker in the simulated machine: loops, disk, embedded store, brokers and
 * the fronts, wired as serve.c wires them; and around it a place for clients.
 *
 * A struct weir_sim is one machine with many lives: start, run, end by one of weir_sim_stop, _kill,
 * _cut (or by a disk fault that cuts the power), start again on the same disk. Clients live
 * outside, on weir_sim.outside, and see their streams reset. What a dead program had allocated is
 * not freed: run many lives in a child process that ends by _exit.
 *
 * A check that fails ends the process by weir_sim_fail, which says the seed.
 */
#pragma once

#include "broker/broker.h"
#include "front/http/http.h"
#include "front/kafka/kafka.h"
#include "io/sim.h"
#include "store/embedded.h"

#define WEIR_SIM_REACTORS_MAX 4
#define WEIR_SIM_ADDR "127.0.0.1:9092"
#define WEIR_SIM_HTTP "127.0.0.1:8080"
#define WEIR_SIM_NOT_OURS 4        /* exit status: what failed was the test's, not the broker's */
#define WEIR_SIM_MS UINT64_C(1000) /* virtual time is in us */

struct weir_sim_conf {
    uint64_t seed;
    unsigned reactors; /* 0: 1 */
    uint64_t disk_bytes;
    uint32_t sync_us;
    bool helper_commits; /* journal writes on a helper thread instead of inline */
    bool trace;          /* print what happens */
    /* Sizes and times of embedded_conf; 0: small ones, so that files change often. */
    uint64_t journal_first_bytes, journal_file_bytes, journal_bytes, checkpoint_bytes;
    uint64_t checkpoint_ms, files_max, retention_ms;
    struct broker_conf broker; /* cluster id and incarnation are filled in */
};

struct weir_sim {
    struct weir_sim_conf conf;
    struct sim *sim;
    struct rng rng; /* for the workload: its own, so that a change there leaves the machine alone */
    struct loop *outside;
    unsigned n;
    struct loop *loops[WEIR_SIM_REACTORS_MAX];
    struct env *envs[WEIR_SIM_REACTORS_MAX];
    struct store *stores[WEIR_SIM_REACTORS_MAX];
    struct broker *brokers[WEIR_SIM_REACTORS_MAX];
    struct embedded *embedded;
    struct kafka_front *kafka;
    struct http_front *http;
    struct listener *listener, *http_listener;
    struct embedded_report report;
    struct err_text text;
    bool alive;        /* loops exist */
    bool settled;      /* the start, or a stop, came to its end */
    bool ready;        /* it serves */
    bool memory_fails; /* set by a test: any answer may be an error now */
    enum err err;      /* why the start or the store failed */
    unsigned life;     /* starts so far */
    struct env_mail begin, drain[WEIR_SIM_REACTORS_MAX];
};

/* The defaults above, with 1 reactor. */
void weir_sim_defaults(struct weir_sim_conf *conf, uint64_t seed);
void weir_sim_make(struct weir_sim *w, const struct weir_sim_conf *conf);
void weir_sim_free(struct weir_sim *w);

enum weir_start {
    WEIR_SERVES,
    WEIR_REFUSES, /* w->err and w->text say why; the process is gone */
    WEIR_WAS_CUT  /* a disk fault cut the power on the way */
};
enum weir_start weir_sim_start(struct weir_sim *w);

/* SIGTERM: drains, closes the store, frees everything. ERR_OK: a clean stop; ERR_CLOSED: the power
 * was cut on the way. */
enum err weir_sim_stop(struct weir_sim *w);
void weir_sim_kill(struct weir_sim *w);
void weir_sim_cut(struct weir_sim *w);

/* Runs us of virtual time, or until the life ends: false. Then the power was cut by a disk fault
 * (w->alive is false), or the store has failed and the process has stopped (killed here). */
bool weir_sim_run(struct weir_sim *w, uint64_t us);
/* The same until *flag; false also when us are over. */
bool weir_sim_run_until(struct weir_sim *w, const bool *flag, uint64_t us);

/* Number in [from, to] from the workload's generator; true once in n. */
uint64_t weir_sim_draw(struct weir_sim *w, uint64_t from, uint64_t to);
bool weir_sim_chance(struct weir_sim *w, uint64_t one_in);

__attribute__((format(printf, 2, 3))) void weir_sim_trace(const struct weir_sim *w, const char *fmt,
                                                          ...);
/* Ends this process with status 1. */
__attribute__((format(printf, 2, 3))) _Noreturn void weir_sim_fail(const struct weir_sim *w,
                                                                   const char *fmt, ...);
