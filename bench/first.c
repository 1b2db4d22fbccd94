/* first.c: from the start of a server's process to its first acknowledged produce.
 *
 * Starts the command behind `--`, connects in a loop, asks for a topic that does not exist (which
 * creates it), produces one record with acks=all, and prints when each step was reached, in
 * milliseconds since just before the fork. Then the server gets SIGTERM, after 30 s SIGKILL.
 */
#include "raw.h"

#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RETRY_US = 100,
    STOP_SECONDS = 30,
};

/* One batch with one record: no key, a value of 5 bytes. */
static void put_batch(struct wire_out *o)
{
    static const uint8_t record[] = {22, 0, 0, 0, 1, 10, 'f', 'i', 'r', 's', 't', 0};
    size_t at = o->len;
    wire_put64(o, 0);
    wire_put32(o, 0);  /* length, below */
    wire_put32(o, -1); /* leader epoch */
    wire_put8(o, 2);
    wire_put32(o, 0); /* crc, below */
    wire_put16(o, 0); /* attributes */
    wire_put32(o, 0); /* last offset delta */
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    wire_put64(o, now_ms);
    wire_put64(o, now_ms);
    wire_put64(o, -1); /* no producer id */
    wire_put16(o, -1);
    wire_put32(o, -1);
    wire_put32(o, 1);
    wire_put(o, record, sizeof record);
    uint8_t *b = o->p + at;
    size_t bytes = o->len - at;
    wire_patch32(b + WIRE_BATCH_LENGTH_AT, (int64_t)(bytes - WIRE_BATCH_PREFIX));
    wire_patch32(b + WIRE_BATCH_CRC_AT,
                 wire_crc32c(b + WIRE_BATCH_CRC_FROM, bytes - WIRE_BATCH_CRC_FROM));
}

/* The error code of the answer; -1: the connection is gone. */
static int produce(struct raw *r, const char *topic)
{
    struct wire_out batch = {0};
    put_batch(&batch);
    size_t at = wire_request(&r->out, WIRE_PRODUCE, 7, r->correlation++);
    wire_put_str(&r->out, NULL);
    wire_put16(&r->out, -1);
    wire_put32(&r->out, 5000);
    wire_put32(&r->out, 1);
    wire_put_str(&r->out, topic);
    wire_put32(&r->out, 1);
    wire_put32(&r->out, 0);
    wire_put32(&r->out, (int64_t)batch.len);
    wire_put(&r->out, batch.p, batch.len);
    wire_end(&r->out, at, 0);
    free(batch.p);
    struct wire_in in;
    if (!raw_send(r) || !raw_answer(r, &in))
        return -1;
    wire_get32(&in);
    wire_skip_str(&in);
    wire_take(&in, 4 + 4);
    int err = wire_get16(&in);
    return in.bad ? -1 : err;
}

static pid_t start(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int tenths = 0; tenths < STOP_SECONDS * 10; tenths++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        usleep(100000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

enum step {
    CONNECT,
    METADATA,
    PRODUCE,
    DONE,
};

/* One attempt at the step at hand; back to CONNECT when the connection is lost. */
static enum step advance(enum step step, struct raw *r, const char *host, uint16_t port,
                         const char *topic)
{
    if (step == CONNECT)
        return raw_connect(r, host, port) ? METADATA : CONNECT;
    int got = step == METADATA ? raw_metadata(r, topic) : produce(r, topic);
    if (got < 0) {
        raw_close(r);
        return CONNECT;
    }
    if (step == METADATA)
        return got > 0 ? PRODUCE : METADATA;
    return got == 0 ? DONE : METADATA;
}

static void usage(void)
{
    fputs("usage: first --bootstrap HOST:PORT --topic T [--timeout SECONDS] -- COMMAND...\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    char host[64] = "";
    uint16_t port = 0;
    const char *topic = NULL;
    long timeout = 60;
    static const struct option options[] = {{"bootstrap", required_argument, NULL, 'b'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"timeout", required_argument, NULL, 'o'},
                                            {0}};
    for (int o; (o = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (o == 'b')
            raw_address(optarg, host, &port);
        else if (o == 't')
            topic = optarg;
        else if (o == 'o')
            timeout = strtol(optarg, NULL, 10);
        else
            usage();
    }
    if (!port || !topic || timeout < 1 || optind == argc)
        usage();
    uint64_t at_us[DONE + 1] = {0}, begin = wire_now_us();
    uint64_t deadline = begin + (uint64_t)timeout * 1000000;
    pid_t pid = start(argv + optind);
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    struct raw r = {.fd = -1};
    enum step step = CONNECT;
    bool alive = true;
    while (step != DONE && alive && wire_now_us() < deadline) {
        enum step next = advance(step, &r, host, port, topic);
        if (next > step)
            at_us[next] = wire_now_us() - begin;
        else
            usleep(RETRY_US);
        step = next;
        alive = waitpid(pid, NULL, WNOHANG) == 0;
    }
    if (alive)
        stop(pid);
    if (step != DONE) {
        fprintf(stderr, "first: %s\n", alive ? "no acknowledgement in time" : "the server ended");
        return 1;
    }
    printf("{\"connected_ms\": %.3f, \"topic_ms\": %.3f, \"acknowledged_ms\": %.3f}\n",
           (double)at_us[METADATA] / 1e3, (double)at_us[PRODUCE] / 1e3, (double)at_us[DONE] / 1e3);
    return 0;
}
