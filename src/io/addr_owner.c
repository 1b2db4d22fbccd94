/* Who listens on a port: /proc/net/tcp tells the socket's inode, /proc/PID/fd who holds it.
 *
 *     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid timeout inode
 *      0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0       0 24680
 *
 * Only for the text of an error: whatever cannot be read is skipped.
 */
#include "io/addr.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TCP_STATE_LISTEN 0x0a

/* The inode of the socket that listens on the port; 0: none. */
static unsigned long listener_inode(const char *table, uint16_t port)
{
    FILE *f = fopen(table, "re");
    if (!f)
        return 0;
    char line[512];
    unsigned long inode = 0;
    while (!inode && fgets(line, sizeof(line), f)) {
        unsigned local, state;
        unsigned long found;
        int n =
            sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu",
                   &local, &state, &found);
        if (n == 3 && local == port && state == TCP_STATE_LISTEN)
            inode = found;
    }
    fclose(f);
    return inode;
}

static bool process_holds(const char *pid, unsigned long inode)
{
    char path[300], want[64], link[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    snprintf(want, sizeof(want), "socket:[%lu]", inode);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool holds = false;
    const struct dirent *entry;
    while (!holds && (entry = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
        if (n <= 0)
            continue;
        link[n] = 0;
        holds = strcmp(link, want) == 0;
    }
    closedir(dir);
    return holds;
}

static void process_name(const char *pid, char *out, size_t cap)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    out[0] = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fgets(out, (int)cap, f))
        out[strcspn(out, "\n")] = 0;
    fclose(f);
}

static bool inode_owner(unsigned long inode, char *out, size_t cap)
{
    DIR *dir = opendir("/proc");
    if (!dir)
        return false;
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !process_holds(entry->d_name, inode))
            continue;
        char name[64];
        process_name(entry->d_name, name, sizeof(name));
        snprintf(out, cap, "pid %.20s (%s)", entry->d_name, name);
        found = true;
    }
    closedir(dir);
    return found;
}

bool addr_port_owner(uint16_t port, char *out, size_t cap)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned long inode = listener_inode(tables[i], port);
        if (inode && inode_owner(inode, out, cap))
            return true;
    }
    return false;
}
