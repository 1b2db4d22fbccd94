/* Programs, real ones: what they are given, how their output arrives, how they end, and that
 * nothing of them stays. */
#include "io/process.h"

#include "world.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT_MAX 65536
#define LINES_MAX 1000

/* What was told of one program. */
struct run {
    struct process *p;
    char out[TEXT_MAX], err[TEXT_MAX]; /* lines, each with a newline */
    uint32_t lines, cut, dropped;
    bool held, ended;
    struct process_end end;
    unsigned *left;    /* runs that have not ended; at 0 the world stops */
    const char *until; /* the world stops at this line */
    bool until_held;
};

static const char *const env[] = {"PATH=/usr/bin:/bin", "COLOUR=green", NULL};

static void line(void *user, enum process_stream stream, struct str text, bool cut)
{
    struct run *r = user;
    char *to = stream == PROCESS_OUT ? r->out : r->err;
    size_t n = strlen(to);
    assert_false(r->ended);
    r->lines++;
    r->cut += cut;
    if (n + text.len + 2 < TEXT_MAX)
        snprintf(to + n, TEXT_MAX - n, "%.*s\n", (int)text.len, text.at);
    if (r->until && str_is(text, r->until))
        world_stop();
}

static void dropped(void *user, uint32_t lines, bool held)
{
    struct run *r = user;
    r->dropped += lines;
    r->held |= held;
    if (held && r->until_held)
        world_stop();
}

static void ended(void *user, const struct process_end *end)
{
    struct run *r = user;
    assert_false(r->ended);
    r->ended = true;
    r->end = *end;
    if (--*r->left == 0)
        world_stop();
}

static const struct process_ops ops = {.line = line, .dropped = dropped, .ended = ended};

static enum err start_conf(struct run *r, struct process_conf conf, unsigned *left)
{
    struct err_text text = {""};
    r->left = left;
    conf.ops = &ops;
    conf.user = r;
    if (!conf.env)
        conf.env = env;
    if (!conf.lines_max)
        conf.lines_max = LINES_MAX;
    enum err err = process_start(world.loops[0], &conf, &r->p, &text);
    if (err)
        snprintf(r->err, sizeof r->err, "%s", text.s);
    return err;
}

static enum err start_shell(struct run *r, const char *script, unsigned *left)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return start_conf(r, (struct process_conf){.argv = argv}, left);
}

static struct run *run_make(void)
{
    return calloc(1, sizeof(struct run));
}

static struct run *run_shell(const char *script)
{
    struct run *r = run_make();
    unsigned left = 1;
    world_make(WORLD_REAL, 1);
    assert_int_equal(start_shell(r, script, &left), ERR_OK);
    world_run();
    world_free();
    assert_true(r->ended);
    return r;
}

/* ---- what it is given ------------------------------------------------------------------------ */

static void test_environment(void **state)
{
    (void)state;
    struct run *r = run_shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort");
    assert_string_equal(r->out, "COLOUR=green\nPATH=/usr/bin:/bin\n");
    assert_false(r->end.signalled);
    assert_int_equal(r->end.status, 0);
    free(r);
}

static void test_directory(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    const char *argv[] = {"./told", "a b", NULL};
    world_make(WORLD_REAL, 1);
    int fd = open(world_path("told"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "#!/bin/sh\necho \"$0|$1|$(pwd)\"\n") > 0, 1);
    close(fd);
    struct process_conf conf = {.argv = argv, .directory = world.dir};
    assert_int_equal(start_conf(r, conf, &left), ERR_OK);
    world_run();
    char expect[200];
    snprintf(expect, sizeof expect, "./told|a b|%s\n", world.dir);
    assert_string_equal(r->out, expect);
    world_free();
    free(r);
}

/* Nothing to read, the output, and what `ls` opens itself. */
static void test_descriptors(void **state)
{
    (void)state;
    int open_here[3] = {open("/dev/null", O_RDONLY), open("/etc/passwd", O_RDONLY), dup(0)};
    struct run *r = run_shell("readlink /proc/self/fd/0; cat; ls /proc/self/fd | wc -l; "
                              "ulimit -n; ulimit -c; ulimit -Hc");
    assert_string_equal(r->out, "/dev/null\n4\n1024\n0\n0\n");
    for (unsigned i = 0; i < 3; i++)
        close(open_here[i]);
    free(r);
}

static void test_signals_and_rights(void **state)
{
    (void)state;
    signal(SIGUSR1, SIG_IGN);
    struct run *r = run_shell("grep -E '^(SigBlk|SigIgn|NoNewPrivs)' /proc/self/status; "
                              "cat /proc/self/oom_score_adj");
    signal(SIGUSR1, SIG_DFL);
    assert_string_equal(r->out, "SigBlk:\t0000000000000000\n"
                                "SigIgn:\t0000000000000000\n"
                                "NoNewPrivs:\t1\n"
                                "500\n");
    free(r);
}

static void test_leads_its_group(void **state)
{
    (void)state;
    struct run *r =
        run_shell("set -- $(cat /proc/$$/stat); [ $1 = $5 ] && [ $1 = $6 ] && echo yes");
    assert_string_equal(r->out, "yes\n");
    free(r);
}

/* ---- starts that fail ------------------------------------------------------------------------ */

static void expect_failure(const char *name, const char *directory, enum err expected,
                           const char *says)
{
    struct run *r = run_make();
    unsigned left = 1;
    const char *argv[] = {name, NULL};
    struct process_conf conf = {.argv = argv, .directory = directory};
    assert_int_equal(start_conf(r, conf, &left), expected);
    assert_non_null(strstr(r->err, name));
    if (!strstr(r->err, says))
        fail_msg("'%s' does not say '%s'", r->err, says);
    free(r);
}

static size_t open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_failures(void **state)
{
    (void)state;
    world_make(WORLD_REAL, 1);
    int fd = open(world_path("text"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && write(fd, "hello", 5) == 5);
    close(fd);
    fd = open(world_path("orphan"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0 && dprintf(fd, "#!/nowhere/sh\n") > 0);
    close(fd);
    size_t before = open_files();
    expect_failure("/nowhere/enrich", NULL, ERR_NOT_FOUND, "no such file");
    expect_failure("enrich-nobody-has", NULL, ERR_NOT_FOUND, "no folder of PATH");
    expect_failure("./text", world.dir, ERR_CONFIG_INVALID, "Permission denied");
    expect_failure("./orphan", world.dir, ERR_NOT_FOUND, "interpreter");
    expect_failure("/bin/sh", "/nowhere", ERR_NOT_FOUND, "working directory /nowhere");
    expect_failure("/tmp", NULL, ERR_CONFIG_INVALID, "Permission denied");
    assert_int_equal(open_files(), before);
    world_free();
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* ---- output ---------------------------------------------------------------------------------- */

static void test_streams(void **state)
{
    (void)state;
    struct run *r = run_shell("echo one; echo two >&2; printf 'three\\r\\n\\nfour'");
    assert_string_equal(r->out, "one\nthree\n\nfour\n");
    assert_string_equal(r->err, "two\n");
    assert_int_equal(r->cut, 0);
    free(r);
}

static void test_long_line(void **state)
{
    (void)state;
    struct run *r = run_shell("head -c 20000 /dev/zero | tr '\\0' x; echo; echo next");
    assert_int_equal(r->lines, 2);
    assert_int_equal(r->cut, 1);
    assert_int_equal(strlen(r->out), PROCESS_LINE_MAX + 1 + strlen("next\n"));
    free(r);
}

static void test_line_of_exactly_the_limit(void **state)
{
    (void)state;
    struct run *r = run_shell("head -c 8192 /dev/zero | tr '\\0' x; echo; echo next");
    assert_int_equal(r->lines, 2);
    assert_int_equal(r->cut, 0);
    free(r);
}

static void test_too_many_lines(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    const char *argv[] = {"seq", "5000", NULL};
    world_make(WORLD_REAL, 1);
    struct process_conf conf = {.argv = argv, .lines_max = 10};
    assert_int_equal(start_conf(r, conf, &left), ERR_OK);
    world_run();
    world_free();
    assert_int_equal(r->lines + r->dropped, 5000);
    assert_true(r->lines >= 10);
    free(r);
}

/* It waits in its own writes: one second's worth is read, not what it would like. */
static void test_flood_is_held(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    world_make(WORLD_REAL, 1);
    assert_int_equal(start_shell(r, "exec yes a-line-of-a-flood", &left), ERR_OK);
    r->until_held = true;
    world_run();
    assert_true(r->dropped > 0);
    assert_true((uint64_t)r->dropped * 18 < 2 * (uint64_t)PROCESS_OUTPUT_MAX);
    process_signal(r->p, SIGKILL);
    world_run();
    assert_true(r->ended && r->end.signalled);
    world_free();
    free(r);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void test_status(void **state)
{
    (void)state;
    struct run *r = run_shell("exit 7");
    assert_false(r->end.signalled);
    assert_int_equal(r->end.status, 7);
    assert_true(r->end.resident_max_bytes > 100000);
    free(r);
    r = run_shell("kill -SEGV $$");
    assert_true(r->end.signalled);
    assert_int_equal(r->end.status, SIGSEGV);
    free(r);
    r = run_shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    assert_true(r->end.cpu_us > 0 && r->end.lived_us > 0);
    free(r);
}

static void test_term_can_be_caught(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    world_make(WORLD_REAL, 1);
    r->until = "up";
    assert_int_equal(start_shell(r,
                                 "trap 'echo bye; exit 3' TERM; echo up; "
                                 "while :; do sleep 0.01; done",
                                 &left),
                     ERR_OK);
    world_run();
    process_signal(r->p, SIGTERM);
    world_run();
    assert_string_equal(r->out, "up\nbye\n");
    assert_int_equal(r->end.status, 3);
    world_free();
    free(r);
}

static size_t session_members(int64_t id)
{
    size_t n = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *d;
    while ((d = readdir(proc)) != NULL) {
        char path[300], text[512];
        int session = 0;
        char how = 'Z';
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", d->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t k = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
            close(fd);
        if (k <= 0)
            continue;
        text[k] = 0;
        if (sscanf(strrchr(text, ')'), ") %c %*d %*d %d", &how, &session) == 2)
            n += session == id && how != 'Z' && how != 'X';
    }
    closedir(proc);
    return n;
}

/* Killed, they are gone soon. */
static void expect_session_empty(int64_t id)
{
    const struct timespec t = {.tv_nsec = 1000000};
    for (unsigned i = 0; session_members(id) > 0; i++) {
        assert_true(i < 10000);
        nanosleep(&t, NULL);
    }
}

static void test_group_is_killed(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    world_make(WORLD_REAL, 1);
    r->until = "up";
    const char *bomb = "trap '' TERM; f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; "
                       "sleep 1000; }; f 4 & sleep 0.1; echo up; sleep 1000";
    assert_int_equal(start_shell(r, bomb, &left), ERR_OK);
    world_run();
    int64_t id = process_id(r->p);
    assert_true(session_members(id) > 10);
    process_signal(r->p, SIGKILL);
    world_run();
    expect_session_empty(id);
    world_free();
    free(r);
}

/* Its children do not outlive it, and do not hold up its end. */
static void test_leader_ends_first(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    world_make(WORLD_REAL, 1);
    assert_int_equal(start_shell(r, "sleep 1000 & sleep 1000 & echo done; exit 0", &left), ERR_OK);
    int64_t id = process_id(r->p);
    world_run();
    assert_string_equal(r->out, "done\n");
    assert_int_equal(r->end.status, 0);
    expect_session_empty(id);
    world_free();
    free(r);
}

/* The loop's end is its programs' end. */
static void test_loop_ends_first(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 2;
    world_make(WORLD_REAL, 1);
    assert_int_equal(start_shell(r, "sleep 1000", &left), ERR_OK);
    int64_t id = process_id(r->p);
    world_free();
    assert_true(r->ended && r->end.signalled);
    assert_int_equal(r->end.status, SIGKILL);
    expect_session_empty(id);
    free(r);
}

/* A parent that dies by kill -9 takes its program with it. */
static void test_parent_is_killed(void **state)
{
    (void)state;
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct run *r = run_make();
        unsigned left = 1;
        world_make(WORLD_REAL, 1);
        if (start_shell(r, "exec sleep 1000", &left))
            _exit(1);
        int64_t id = process_id(r->p);
        if (write(told[1], &id, sizeof id) != (ssize_t)sizeof id)
            _exit(1);
        world_run();
        _exit(1);
    }
    int64_t id = 0;
    assert_int_equal(read(told[0], &id, sizeof id), sizeof id);
    assert_int_equal(session_members(id), 1);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    expect_session_empty(id);
    close(told[0]);
    close(told[1]);
}

/* ---- many ------------------------------------------------------------------------------------ */

static void test_thousand_starts(void **state)
{
    (void)state;
    struct run *r = run_make();
    const char *argv[] = {"/bin/true", NULL};
    world_make(WORLD_REAL, 1);
    size_t before = open_files();
    struct timespec a, b;
    double spent = 0;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned left = 1;
        r->ended = false;
        clock_gettime(CLOCK_MONOTONIC, &a);
        assert_int_equal(start_conf(r, (struct process_conf){.argv = argv}, &left), ERR_OK);
        clock_gettime(CLOCK_MONOTONIC, &b);
        spent += (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
        world_run();
        assert_true(r->ended);
        assert_int_equal(r->end.status, 0);
    }
    print_message("a start holds its loop %.0f us, mean of 1,000\n", spent / 1000);
    assert_int_equal(open_files(), before);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    world_free();
    free(r);
}

static void test_many_at_once(void **state)
{
    (void)state;
    struct run *r[50];
    unsigned left = 50;
    world_make(WORLD_REAL, 1);
    for (unsigned i = 0; i < 50; i++) {
        r[i] = run_make();
        assert_int_equal(start_shell(r[i], "echo a; echo b >&2; exit 2", &left), ERR_OK);
    }
    world_run();
    for (unsigned i = 0; i < 50; i++) {
        assert_string_equal(r[i]->out, "a\n");
        assert_string_equal(r[i]->err, "b\n");
        assert_int_equal(r[i]->end.status, 2);
        free(r[i]);
    }
    world_free();
}

/* ---- measuring ------------------------------------------------------------------------------- */

static void measured(struct process_measure *m)
{
    (void)m;
    world_stop();
}

static void test_usage(void **state)
{
    (void)state;
    struct run *r = run_make();
    unsigned left = 1;
    struct process_measure m = {.done = measured};
    world_make(WORLD_REAL, 1);
    r->until = "up";
    assert_int_equal(start_shell(r, "sleep 1000 & echo up; while :; do :; done", &left), ERR_OK);
    assert_int_equal(process_usage(r->p)->measured_us, 0);
    world_run();
    r->until = NULL;
    const struct process_usage *u = process_usage(r->p);
    while (u->cpu_us < 30000) {
        process_measure(world.loops[0], &m);
        world_run();
    }
    assert_true(u->measured_us > 0);
    assert_int_equal(u->processes, 2);
    assert_in_range(u->resident_bytes, 200000, 100000000);
    process_signal(r->p, SIGKILL);
    world_run();
    world_free();
    free(r);
}

static void test_port(void **state)
{
    (void)state;
    uint16_t port = 0;
    char addr[32];
    struct listener *l;
    struct listen_conf conf = {.bind = addr, .accept = (loop_accept_fn *)(uintptr_t)1};
    world_make(WORLD_REAL, 1);
    assert_int_equal(process_port(world.loops[0], &port), ERR_OK);
    assert_true(port > 1023);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
    assert_int_equal(loop_listen(world.loops, 1, &conf, &l, NULL), ERR_OK);
    listener_close(l);
    world_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_signals_and_rights),
        cmocka_unit_test(test_leads_its_group),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_line_of_exactly_the_limit),
        cmocka_unit_test(test_too_many_lines),
        cmocka_unit_test(test_flood_is_held),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_term_can_be_caught),
        cmocka_unit_test(test_group_is_killed),
        cmocka_unit_test(test_leader_ends_first),
        cmocka_unit_test(test_loop_ends_first),
        cmocka_unit_test(test_parent_is_killed),
        cmocka_unit_test(test_thousand_starts),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
