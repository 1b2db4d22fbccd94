/* What processes use, by /proc/PID/stat (proc(5)): one walk for all of them, each process that is
 * there added to the one that leads its session.
 */
#include "io/process_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STAT_BYTES 1024

/* The fields behind the name, by their numbers in proc(5). */
enum stat_field {
    STAT_STATE = 3,
    STAT_SESSION = 6,
    STAT_UTIME = 14,
    STAT_STIME,
    STAT_CUTIME,
    STAT_CSTIME,
    STAT_RSS = 24,
    STAT_FIELDS
};

static bool stat_read(const char *pid, char *text, size_t cap)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, cap - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* The name may hold anything, blanks and brackets too: fields are counted from its end. */
static bool stat_parse(const char *text, int64_t field[STAT_FIELDS])
{
    const char *at = strrchr(text, ')');
    memset(field, 0, STAT_FIELDS * sizeof *field);
    if (!at)
        return false;
    at++;
    for (int i = STAT_STATE; i < STAT_FIELDS; i++) {
        at += strspn(at, " ");
        size_t n = strcspn(at, " ");
        if (n == 0)
            return false;
        if (i != STAT_STATE && str_to_i64((struct str){at, n}, &field[i]))
            field[i] = 0;
        at += n;
    }
    return true;
}

static void add(struct process_measure *m, const int64_t field[STAT_FIELDS])
{
    struct process_measured *found = process_measured_find(m, field[STAT_SESSION]);
    if (!found)
        return;
    int64_t ticks = field[STAT_UTIME] + field[STAT_STIME] + field[STAT_CUTIME] + field[STAT_CSTIME];
    found->usage.processes++;
    found->usage.resident_bytes += (uint64_t)field[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
    found->usage.cpu_us += (uint64_t)ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

void process_measure_proc(struct process_measure *m)
{
    char text[STAT_BYTES];
    int64_t field[STAT_FIELDS];
    DIR *proc = m->n > 0 ? opendir("/proc") : NULL;
    if (!proc)
        return;
    const struct dirent *d;
    while ((d = readdir(proc)) != NULL) {
        if (d->d_name[0] < '1' || d->d_name[0] > '9')
            continue;
        if (stat_read(d->d_name, text, sizeof text) && stat_parse(text, field))
            add(m, field);
    }
    closedir(proc);
}
