/* sim_internal.h: the parts of the simulated machine, seen from each other; only for io/sim_*.c.
 *
 *      sim_world.c   virtual time, the queue of events, power cuts
 *      sim_loop.c    loops: turns, mail, jobs
 *      sim_net.c     streams and listeners
 *      sim_process.c programs that were started
 *      sim_disk.c    the disk's calls and their faults
 *      sim_tree.c    names and folders
 *      sim_file.c    the bytes of one file: what is durable, what is not yet
 */
#pragma once

#include "base/map.h"
#include "io/loop_internal.h"
#include "io/sim.h"

#include <setjmp.h>

struct sim_disk;
struct sim_net;

/* Something that happens at a virtual time. Embedded; one that is queued can be cancelled. */
struct sim_event {
    struct heap_node node;
    void (*run)(struct sim *sim, struct sim_event *event);
};

struct sim {
    struct sim_conf conf;
    struct rng rng;
    uint64_t now_us;  /* time of the event that runs, or of the last one */
    uint64_t cost_us; /* what the running event has spent since (syncs) */
    int64_t wall_ms;  /* wall clock at virtual time 0 */
    bool running;     /* inside an event */
    bool in_program;  /* which is a turn or a job of this machine */
    struct heap events;
    struct list loops;
    struct list programs;       /* struct sim_program: those that run */
    struct list programs_known; /* struct sim_known */
    uint64_t programs_made;
    struct sim_disk *disk;
    struct sim_net *net;
    jmp_buf *cut_to; /* where a power cut inside a call goes on */
    bool was_cut;
    uint64_t trace;
};

/* The time for the code that runs now: the event's plus what it has spent. */
uint64_t sim_local_us(const struct sim *sim);
uint64_t sim_wall_at(const struct sim *sim, uint64_t mono_us);
void sim_spend(struct sim *sim, uint64_t us);
/* Uniform between half and one and a half of the mean. */
uint64_t sim_draw_us(struct sim *sim, uint64_t mean_us);
/* Events of the same microsecond run in an order drawn from the seed. */
void sim_schedule(struct sim *sim, struct sim_event *event, uint64_t at_us);
void sim_cancel(struct sim *sim, struct sim_event *event);
void sim_trace_add(struct sim *sim, uint64_t what, uint64_t a, uint64_t b);
/* The power goes here and now: does not return to the program. */
_Noreturn void sim_cut(struct sim *sim);

/* ---- loops ---- */

struct sim_loop {
    struct loop loop; /* first */
    struct sim *sim;
    struct loop **set; /* the loops that it can post to, itself among them; owned */
    struct list link;  /* in sim->loops */
    struct sim_event turn;
    uint64_t wake_us;       /* the earliest turn that is asked for; UINT64_MAX: none */
    uint64_t busy_until_us; /* no turn before */
    struct list mails;      /* struct sim_mail, by due time */
    struct list jobs;       /* struct sim_job */
    struct list signals;    /* struct sim_signal */
    struct list streams;    /* struct sim_stream */
    bool in_turn;
    bool outside; /* on another machine, which power cuts do not reach */
    bool stopped;
};

/* Makes sure that the loop takes a turn at at_us or before. */
void sim_loop_wake(struct sim_loop *sl, uint64_t at_us);
/* Delivers to the loop at at_us or soon after. */
void sim_loop_post_at(struct sim_loop *sl, struct env_mail *mail, uint64_t at_us);
/* Frees the loops of the machine (or all of them) with all that waits in them. */
void sim_loops_drop(struct sim *sim, bool outside_too);
/* Frees one, which is not in a turn. */
void sim_loop_end(struct sim_loop *sl);

/* ---- network ---- */

struct sim_net *sim_net_make(struct sim *sim);
void sim_net_free(struct sim_net *net);
/* Before its loop is freed: the peers of its streams see a reset, its listeners are gone. */
void sim_net_drop_loop(struct sim_net *net, struct sim_loop *sl);
/* The three phases of a turn that belong to streams. */
void sim_net_receive(struct sim_loop *sl);
void sim_net_send(struct sim_loop *sl);
void sim_net_close(struct sim_loop *sl);
enum err sim_net_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                        struct listener **out, struct err_text *text);
enum err sim_net_connect(struct loop *loop, const char *addr, const struct pipe_user_ops *user_ops,
                         void *user, struct pipe **out);

/* A port that nobody listens on. */
enum err sim_net_port(struct loop *loop, uint16_t *port);

/* ---- programs ---- */

/* The phase of a turn that belongs to programs that the loop has started. */
void sim_processes_run(struct sim_loop *sl);
/* After the loops of their machine are gone. */
void sim_programs_drop(struct sim *sim, bool outside_too);
void sim_programs_free(struct sim *sim);
enum err sim_process_start(struct loop *loop, const struct process_conf *conf, struct process **out,
                           struct err_text *text);
void sim_process_measure(struct process_measure *m);

/* ---- disk ---- */

struct sim_disk *sim_disk_make(struct sim *sim);
void sim_disk_free(struct sim_disk *d);
struct disk *sim_disk_face(struct sim_disk *d);
/* Reads for the network: no fault, no count. Returns the bytes that are there. */
size_t sim_disk_peek(struct disk_file *f, void *p, size_t n, uint64_t at);
/* Open files and locks go; all that was written stays. */
void sim_disk_kill(struct sim_disk *d);
/* As above, and of what was not synced some is lost. */
void sim_disk_cut(struct sim_disk *d);

#define SIM_PAGE 4096u
#define SIM_SECTOR 512u
#define SIM_SECTORS (SIM_PAGE / SIM_SECTOR)

/* Blocks of SIM_PAGE bytes that files hold, and how many there are. */
struct sim_space {
    uint64_t used, total;
    bool full; /* nothing grows any more */
};

/* The bytes of one file, see sim_file.c. */
struct sim_file {
    struct sim_page **pages; /* by position / SIM_PAGE; NULL: a hole */
    size_t page_count;
    uint64_t size, durable_size;
    struct list writes; /* unsynced changes in their order: struct sim_write */
    uint32_t write_count;
    size_t *changed; /* pages whose durable bytes differ */
    size_t changed_count, changed_cap;
    struct sim_space *space;
};

void sim_file_init(struct sim_file *f, struct sim_space *space);
void sim_file_free(struct sim_file *f);
size_t sim_file_read(const struct sim_file *f, void *p, size_t n, uint64_t at);
/* Returns how many bytes found room: less than n on a full disk. */
size_t sim_file_write(struct sim_file *f, const void *p, size_t n, uint64_t at);
void sim_file_truncate(struct sim_file *f, uint64_t size);
/* False: the disk is full. */
bool sim_file_allocate(struct sim_file *f, uint64_t at, uint64_t n);
void sim_file_sync(struct sim_file *f);
/* A sync that failed: some of the bytes reached the disk, none will be tried again. */
void sim_file_sync_failed(struct sim_file *f, struct rng *rng);
/* What a power cut leaves. */
void sim_file_cut(struct sim_file *f, struct rng *rng);
/* Flips a bit, of what is read and of what is durable. */
void sim_file_flip(struct sim_file *f, uint64_t at, unsigned bit);

/* ---- names and folders, see sim_tree.c ---- */

struct sim_inode {
    struct list link; /* all of the disk, in the order in which they were made */
    struct list doom; /* in sim_tree.doomed */
    unsigned refs;    /* entries, changes that wait, handles */
    bool is_dir;
    bool locked;
    uint64_t id;
    struct map entries; /* a folder's: struct sim_dentry */
    struct sim_file file;
};

struct sim_dentry {
    struct map_node node;
    struct sim_inode *now, *durable; /* what a lookup finds, what a power cut leaves */
    unsigned changes;                /* that name this entry and wait */
    char name[];
};

struct sim_tree {
    struct sim_inode *root;
    struct list inodes;
    struct list changes; /* unsynced: struct sim_change */
    struct list doomed;  /* inodes that nothing refers to */
    struct sim_space *space;
    uint64_t next_id;
};

/* A component of a path. */
struct sim_name {
    const char *at;
    size_t len;
};

void sim_tree_init(struct sim_tree *t, struct sim_space *space);
void sim_tree_free(struct sim_tree *t);
struct sim_inode *sim_inode_make(struct sim_tree *t, bool is_dir);
struct sim_inode *sim_inode_get(struct sim_inode *inode);
/* NULL is allowed. What nothing refers to goes at the next sim_tree_reap. */
void sim_inode_put(struct sim_tree *t, struct sim_inode *inode);
void sim_tree_reap(struct sim_tree *t);
struct sim_dentry *sim_entry_find(const struct sim_inode *dir, struct sim_name name);
struct sim_dentry *sim_entry_make(struct sim_inode *dir, struct sim_name name);
/* The folder of the path's last component, and that component; an empty one: the root itself. */
enum err sim_tree_walk(struct sim_tree *t, const char *path, struct sim_inode **dir,
                       struct sim_name *last);
enum err sim_tree_find(struct sim_tree *t, const char *path, struct sim_inode **out);
/* ERR_IO: it is a file. */
enum err sim_tree_find_dir(struct sim_tree *t, const char *path, struct sim_inode **out);
/* Lookups see the change at once, the disk at a sync. Only `to`: created; only `from`: unlinked. */
void sim_change_add(struct sim_tree *t, struct sim_inode *from_dir, struct sim_dentry *from,
                    struct sim_inode *to_dir, struct sim_dentry *to, struct sim_inode *inode);
/* Makes durable the changes of names in dir; NULL: in all. */
void sim_tree_sync(struct sim_tree *t, const struct sim_inode *dir);
/* What a power cut leaves, of names and of bytes. */
void sim_tree_cut(struct sim_tree *t, struct rng *rng);
