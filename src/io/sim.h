/* sim.h: the simulated twin of the world: loops, clock, disk and network from one seed.
 *
 * A struct sim is a machine in memory. Programs under test get its loops and its disk and cannot
 * tell them from the real ones; a test drives virtual time and injects faults. Everything that
 * happens follows from the seed and the calls made: the same seed gives the same run, byte for
 * byte. Single thread: the loops of a set take turns in an order drawn from the seed.
 *
 * Power cut: sim_power_cut ends the machine's life: loops and streams are gone without a call, open
 * files are gone, and of the disk remains what was synced plus, drawn at random for each unsynced
 * write by 512-byte sectors: lost, kept or torn; unsynced names (create, rename, unlink) are kept
 * or lost in any combination that a file system without ordered metadata may leave. kill -9
 * (sim_kill) keeps all that was written, which a later power cut may still take. The size of a file
 * is drawn apart from its bytes: bytes that a kept size promises and a lost write owed are zeros.
 *
 * What the dead program had allocated is not freed: run many lives in a child process, without
 * AddressSanitizer's leak check. Its open files answer ERR_IO, and disk_close frees them.
 *
 * Time: a turn, a job and a delivery are events. What happens in one happens at its instant, except
 * that each sync moves the clock for its own loop or job (sim_mono_us), not for the others.
 * Paths begin at the root, which is always there and durable; ".." is not known.
 */
#pragma once

#include "base/random.h"
#include "io/disk.h"
#include "io/loop.h"

struct sim;

struct sim_conf {
    uint64_t seed;
    uint64_t start_ms;     /* wall clock at the beginning; 0: 2026-01-01 */
    uint64_t disk_bytes;   /* size of the disk; 0: 1 GiB */
    uint32_t sync_us;      /* mean virtual duration of a sync; 0: 200 */
    uint32_t net_delay_us; /* mean one-way delay; 0: 50 */
};

/* Fixes hash_seed for the process. */
struct sim *sim_make(const struct sim_conf *conf);
void sim_free(struct sim *sim);
struct rng *sim_rng(struct sim *sim);

/* A set of n loops on this machine, as loop_set_make; they run inside of sim_run. The functions of
 * loop.h work on them (loop_run excepted). */
void sim_loops(struct sim *sim, unsigned n, struct loop **loops);
/* A set on another machine: clients that outlive a power cut and see their streams reset. They
 * have no disk. */
void sim_client_loops(struct sim *sim, unsigned n, struct loop **loops);
/* Calls what loop_on_signal registered, in a later turn. */
void sim_signal(struct loop *loop, int signo);
struct disk *sim_disk(struct sim *sim);
uint64_t sim_mono_us(const struct sim *sim);

/* Runs turns until no event is due before virtual time `until_us` and sets the clock to it. */
void sim_run_until(struct sim *sim, uint64_t until_us);
/* Runs until *flag is set; false when nothing is left to happen within limit_us from now. */
bool sim_run_while_not(struct sim *sim, const bool *flag, uint64_t limit_us);
/* One event or turn; false: nothing will ever happen again. */
bool sim_step(struct sim *sim);
/* Moves the wall clock only. */
void sim_wall_jump(struct sim *sim, int64_t ms);

/* Neither is called from inside the program. Both switch the disk's faults off. */
void sim_power_cut(struct sim *sim);
void sim_kill(struct sim *sim);
/* The program ends itself here, as by exit: as sim_kill, but from inside of an event or of sim_try,
 * to which the run call then answers as to a cut. */
_Noreturn void sim_exit(struct sim *sim);
/* Whether the program runs now: a turn or a job of this machine's loops, or sim_try's function;
 * not the network, nor another machine. */
bool sim_in_program(const struct sim *sim);
/* Runs fn, which may make disk calls outside of any loop (a start, a recovery). False: a power cut
 * (cut_after) ended it on the way. */
bool sim_try(struct sim *sim, void (*fn)(void *arg), void *arg);
/* A hash over all that has happened: equal for equal runs. */
uint64_t sim_trace(const struct sim *sim);

/* Disk faults. Counters count calls of the named kinds from now on; 0 switches a fault off. */
struct sim_disk_faults {
    uint32_t fail_write_after; /* the n-th writev from now fails with ERR_IO, once */
    uint32_t fail_sync_after;  /* the n-th sync fails with ERR_IO, once; its bytes may be lost */
    uint32_t fail_rename_after;
    uint32_t fail_any_after; /* the n-th call of any kind */
    uint32_t full_after;     /* from the n-th write on, every growth fails with ERR_DISK_FULL */
    uint32_t flip_one_in;    /* a read returns a flipped bit once in n reads */
    uint32_t cut_after;      /* the n-th write, sync or rename does not return: power cut there.
                              * sim_step then answers false and sim_was_cut is true */
};
void sim_disk_set_faults(struct sim *sim, const struct sim_disk_faults *faults);
/* Whether the last sim_step, sim_run_* or sim_try ended so. */
bool sim_was_cut(const struct sim *sim);
/* How many writes, syncs, renames were made so far: the bound for the counters above. */
uint64_t sim_disk_calls(const struct sim *sim);
/* Flips one bit of a stored file, as bit rot does. */
enum err must_use sim_disk_corrupt(struct sim *sim, const char *path, uint64_t at);

/* Network faults, per direction and stream, drawn from the seed. */
struct sim_net_faults {
    uint32_t delay_max_us; /* extra delay, uniform */
    uint32_t cut_one_in;   /* a delivery ends the stream with a reset once in n */
    uint32_t short_one_in; /* a delivery hands over only a random part first, once in n */
};
void sim_net_set_faults(struct sim *sim, const struct sim_net_faults *faults);

/* Programs. What process_start (process.h) runs on a simulated machine is what a test has named: a
 * function, called on a loop of its own on the same machine, on which it may listen, connect and
 * arm timers. When it ends its streams are reset and its listeners gone. */
struct sim_program;
struct sim_program_ops {
    void (*main)(struct sim_program *g);
    /* Optional: a signal that can be caught. Without it each ends the program. */
    void (*signal)(struct sim_program *g, int signo);
    /* Optional, the last call: it frees what is the program's. Its loop is gone, its streams are
     * without a call. */
    void (*gone)(struct sim_program *g);
};
/* name: argv[0]; ops stay the caller's. */
void sim_program_add(struct sim *sim, const char *name, const struct sim_program_ops *ops);
/* How many run, on all machines. */
size_t sim_programs(const struct sim *sim);

struct loop *sim_program_loop(struct sim_program *g);
const char *const *sim_program_argv(const struct sim_program *g);
/* NULL: not in its environment. */
const char *sim_program_env(const struct sim_program *g, const char *name);
/* The program's own. */
void **sim_program_user(struct sim_program *g);
/* To its stdout, or stderr. False: the pipe is full, and took nothing. */
bool sim_program_print(struct sim_program *g, bool err, const char *text);
/* It ends after what runs now. */
void sim_program_exit(struct sim_program *g, int status);
void sim_program_crash(struct sim_program *g, int signo);
/* What it uses from now on, and has used of CPU. */
void sim_program_uses(struct sim_program *g, uint64_t resident_bytes, uint64_t cpu_us);
