/* http_load.c: publishes 1 KB CloudEvents over HTTP as fast as it can, or shows how fast a server
 * answers them: N connections that are kept, each with D requests under way.
 *
 *     http_load --server HOST:PORT --path /topics/t [--connections 16] [--depth 1] [--seconds 5]
 *               [--size 1024] [--warmup 1]
 *
 * Requests are binary-mode CloudEvents that differ in nothing; answers are cut by Content-Length
 * and must be 2xx. Prints one line of JSON: answers a second, and the times from the sending of a
 * request to the end of its answer (a request that is sent behind others on its connection waits
 * for them). It shares no code with weir but raw.h's address.
 */
#include "raw.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1000, DEPTH_MAX = 256, BUCKETS = 1 << 16, BUCKET_US = 10 };

struct link {
    int fd;
    char in[64 << 10];
    size_t in_len;
    size_t to_send; /* bytes of requests that are due and were not taken by the socket */
    uint64_t sent_us[DEPTH_MAX];
    unsigned first, under_way;
};

struct load {
    char *requests; /* the request DEPTH_MAX times, so that many leave in one call */
    size_t request_len;
    int connections, depth;
    struct link *links;
    bool counting;
    uint64_t answers;
    uint64_t buckets[BUCKETS];
};

static void die(const char *why)
{
    fprintf(stderr, "http_load: %s\n", why);
    exit(1);
}

static void make_request(struct load *l, const char *host, const char *path, int size)
{
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: %s\r\nce-specversion: 1.0\r\n"
                     "ce-id: 6f1d2c1a-5f5c-4a83-9f0e-0a6c6a6f4d11\r\nce-type: order.created\r\n"
                     "ce-source: /shop/checkout\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\n\r\n",
                     path, host, size);
    l->request_len = (size_t)n + (size_t)size;
    l->requests = wire_alloc(NULL, l->request_len * DEPTH_MAX);
    for (int i = 0; i < DEPTH_MAX; i++) {
        char *at = l->requests + l->request_len * (size_t)i;
        memcpy(at, head, (size_t)n);
        memset(at + n, ' ', (size_t)size);
        at[n] = '[';
        at[l->request_len - 1] = ']';
    }
}

static void link_send(struct load *l, struct link *k)
{
    while (k->to_send) {
        size_t rest = k->to_send % l->request_len; /* of the one that was sent in part */
        size_t from = rest ? l->request_len - rest : 0;
        size_t most = l->request_len * DEPTH_MAX - from;
        ssize_t n = send(k->fd, l->requests + from, k->to_send < most ? k->to_send : most,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("the server has closed a connection");
        k->to_send -= (size_t)n;
    }
}

static void link_fill(struct load *l, struct link *k)
{
    uint64_t now = wire_now_us();
    while (k->under_way < (unsigned)l->depth) {
        k->sent_us[(k->first + k->under_way++) % DEPTH_MAX] = now;
        k->to_send += l->request_len;
    }
    link_send(l, k);
}

static void count(struct load *l, uint64_t took_us)
{
    uint64_t bucket = took_us / BUCKET_US;
    if (!l->counting)
        return;
    l->answers++;
    l->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* Bytes of the first answer; 0: it is not whole. */
static size_t answer_bytes(const char *p, size_t n)
{
    static const char name[] = "Content-Length: ";
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (n < 12 || memcmp(p, "HTTP/1.1 2", 10) != 0) {
        fprintf(stderr, "%.*s\n", (int)(n < 600 ? n : 600), p);
        die("an answer is not 2xx");
    }
    const char *length = memmem(p, (size_t)(end - p), name, sizeof name - 1);
    size_t body = length ? strtoul(length + sizeof name - 1, NULL, 10) : 0;
    size_t whole = (size_t)(end - p) + 4 + body;
    return whole <= n ? whole : 0;
}

/* False: the socket has no more for now. */
static bool link_receive(struct load *l, struct link *k)
{
    ssize_t n = recv(k->fd, k->in + k->in_len, sizeof k->in - k->in_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        die("the server has closed a connection");
    k->in_len += (size_t)n;
    uint64_t now = wire_now_us();
    size_t at = 0;
    for (size_t whole; (whole = answer_bytes(k->in + at, k->in_len - at)); at += whole) {
        count(l, now - k->sent_us[k->first]);
        k->first = (k->first + 1) % DEPTH_MAX;
        k->under_way--;
    }
    memmove(k->in, k->in + at, k->in_len - at);
    k->in_len -= at;
    link_fill(l, k);
    return true;
}

static void run(struct load *l, int epoll, double seconds)
{
    struct epoll_event events[256];
    uint64_t until = wire_now_us() + (uint64_t)(seconds * 1e6);
    while (wire_now_us() < until) {
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct link *k = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                link_send(l, k);
            while (events[i].events & ~(uint32_t)EPOLLOUT && link_receive(l, k))
                ;
        }
    }
}

static void connect_all(struct load *l, const char *host, uint16_t port, int epoll)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
        die("the address is not an IPv4 address");
    l->links = wire_alloc(NULL, sizeof *l->links * (size_t)l->connections);
    for (int i = 0; i < l->connections; i++) {
        struct link *k = &l->links[i];
        int one = 1;
        memset(k, 0, sizeof *k);
        k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(k->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
            die("cannot connect");
        setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = k};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, k->fd, &e) != 0)
            die("epoll_ctl failed");
        link_fill(l, k);
    }
}

static double quantile_ms(const struct load *l, double q)
{
    uint64_t seen = 0, want = (uint64_t)((double)l->answers * q);
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += l->buckets[i];
        if (seen > want)
            return ((double)i + 0.5) * BUCKET_US / 1000;
    }
    return 0;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int number(const char *s, int max)
{
    char *end;
    long v = strtol(s, &end, 10);
    if (end == s || *end || v < 1 || v > max) {
        fprintf(stderr, "http_load: '%s' is not a number from 1 to %d\n", s, max);
        exit(2);
    }
    return (int)v;
}

static void usage(void)
{
    fputs("usage: http_load --server HOST:PORT --path PATH [--connections 16] [--depth 1]\n"
          "                 [--seconds 5] [--warmup 1] [--size 1024]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct load l = {.connections = 16, .depth = 1};
    char host[64] = "";
    const char *path = NULL;
    uint16_t port = 0;
    int seconds = 5, warmup = 1, size = 1024;
    static const struct option options[] = {
        {"server", required_argument, NULL, 'b'},      {"path", required_argument, NULL, 'p'},
        {"connections", required_argument, NULL, 'c'}, {"depth", required_argument, NULL, 'd'},
        {"seconds", required_argument, NULL, 's'},     {"warmup", required_argument, NULL, 'w'},
        {"size", required_argument, NULL, 'z'},        {0}};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'b')
            raw_address(optarg, host, &port);
        else if (o == 'p')
            path = optarg;
        else if (o == 'c')
            l.connections = number(optarg, CONNECTIONS_MAX);
        else if (o == 'd')
            l.depth = number(optarg, DEPTH_MAX);
        else if (o == 's')
            seconds = number(optarg, 3600);
        else if (o == 'w')
            warmup = number(optarg, 3600);
        else if (o == 'z')
            size = number(optarg, 1 << 20);
        else
            usage();
    }
    if (!port || !path || optind != argc || size < 2)
        usage();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    make_request(&l, host, path, size);
    connect_all(&l, host, port, epoll);
    run(&l, epoll, warmup);
    l.counting = true;
    double cpu = cpu_seconds();
    uint64_t start = wire_now_us();
    run(&l, epoll, seconds);
    double took = (double)(wire_now_us() - start) / 1e6;
    printf("{\"records\": %llu, \"records_per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"client_cpu_seconds\": %.3f}\n",
           (unsigned long long)l.answers, (double)l.answers / took, quantile_ms(&l, 0.5),
           quantile_ms(&l, 0.99), cpu_seconds() - cpu);
    return l.answers ? 0 : 1;
}
