/* loopback.c: how many bytes a second does a TCP connection on this machine's loopback carry?
 *
 * The mark for fetch: one process sends a file that lies in the page cache, with sendfile, another
 * reads it through one small buffer, as a log server and the sink would with no protocol between
 * them. The sender may be bound to a CPU of its own; the reader stays where it was started.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILE_BYTES = 64 << 20,
    BUFFER = 256 << 10,
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void bind_to_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        die("sched_setaffinity");
}

/* Sends until the reader goes away. */
static void send_forever(int fd)
{
    int file = memfd_create("loopback", MFD_CLOEXEC);
    char *zeros = wire_alloc(NULL, 1 << 20);
    memset(zeros, 0, 1 << 20);
    for (int i = 0; i < FILE_BYTES >> 20; i++)
        if (write(file, zeros, 1 << 20) != 1 << 20)
            die("memfd");
    for (off_t at = 0; sendfile(fd, file, &at, (size_t)(FILE_BYTES - at)) > 0;)
        at = at == FILE_BYTES ? 0 : at;
}

static void connected_pair(int *sender, int *reader)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *reader = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
        connect(*reader, (struct sockaddr *)&addr, len) < 0)
        die("connect");
    *sender = accept(listener, NULL, NULL);
    if (*sender < 0)
        die("accept");
    close(listener);
}

int main(int argc, char **argv)
{
    long seconds = 3, cpu = -1;
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"sender-cpu", required_argument, NULL, 'c'},
                                            {0}};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 's')
            seconds = strtol(optarg, NULL, 10);
        else if (o == 'c')
            cpu = strtol(optarg, NULL, 10);
        if ((o != 's' && o != 'c') || seconds < 1 || cpu > 1023) {
            fputs("usage: loopback [--seconds S] [--sender-cpu N]\n", stderr);
            return 2;
        }
    }
    int sender, reader;
    connected_pair(&sender, &reader);
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        close(reader);
        if (cpu >= 0)
            bind_to_cpu((int)cpu);
        send_forever(sender);
        _exit(0);
    }
    close(sender);
    uint8_t *buffer = wire_alloc(NULL, BUFFER);
    uint64_t bytes = 0, start = wire_now_us(), end = start;
    while (end - start < (uint64_t)seconds * 1000000) {
        ssize_t n = recv(reader, buffer, BUFFER, 0);
        if (n <= 0)
            die("recv");
        bytes += (uint64_t)n;
        end = wire_now_us();
    }
    close(reader);
    waitpid(pid, NULL, 0);
    printf("{\"megabytes_per_second\": %.1f}\n", (double)bytes / (double)(end - start));
    return 0;
}
