#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void raw_address(const char *s, char host[64], uint16_t *port)
{
    const char *colon = strrchr(s, ':');
    char *end;
    unsigned long n = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || *end || n < 1 || n > UINT16_MAX || colon - s > 63) {
        fprintf(stderr, "'%s' is not HOST:PORT\n", s);
        exit(2);
    }
    snprintf(host, 64, "%.*s", (int)(colon - s), s);
    if (!strcmp(host, "localhost"))
        snprintf(host, 64, "127.0.0.1");
    *port = (uint16_t)n;
}

bool raw_connect(struct raw *r, const char *host, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        fprintf(stderr, "'%s' is not an IPv4 address\n", host);
        exit(2);
    }
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    r->at = r->len = r->out.len = 0;
    if (!r->buf)
        r->buf = wire_alloc(NULL, RAW_BUFFER);
    int one = 1;
    struct timeval patience = {.tv_sec = 30};
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(r->fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return true;
    raw_close(r);
    return false;
}

void raw_close(struct raw *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

bool raw_send(struct raw *r)
{
    size_t sent = 0;
    while (sent < r->out.len) {
        ssize_t n = send(r->fd, r->out.p + sent, r->out.len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    r->out.len = 0;
    return true;
}

const uint8_t *raw_peek(struct raw *r, size_t n)
{
    if (n > RAW_BUFFER)
        return NULL;
    if (RAW_BUFFER - r->at < n || r->at == r->len) {
        memmove(r->buf, r->buf + r->at, r->len - r->at);
        r->len -= r->at;
        r->at = 0;
    }
    while (r->len - r->at < n) {
        ssize_t got = recv(r->fd, r->buf + r->len, RAW_BUFFER - r->len, 0);
        if (got <= 0)
            return NULL;
        r->len += (size_t)got;
    }
    return r->buf + r->at;
}

bool raw_skip(struct raw *r, size_t n)
{
    while (n) {
        if (r->at == r->len && !raw_peek(r, 1))
            return false;
        size_t held = r->len - r->at, step = n < held ? n : held;
        r->at += step;
        n -= step;
    }
    return true;
}

bool raw_answer(struct raw *r, struct wire_in *in)
{
    const uint8_t *p = raw_peek(r, 4);
    size_t size = p ? wire_load32(p) : 0;
    p = size >= 4 ? raw_peek(r, 4 + size) : NULL;
    if (!p)
        return false;
    r->at += 4 + size;
    *in = (struct wire_in){p + 8, p + 4 + size, false};
    return true;
}

int raw_metadata(struct raw *r, const char *topic)
{
    size_t at = wire_request(&r->out, WIRE_METADATA, 4, r->correlation++);
    wire_put32(&r->out, 1);
    wire_put_str(&r->out, topic);
    wire_put8(&r->out, 1);
    wire_end(&r->out, at, 0);
    struct wire_in in;
    if (!raw_send(r) || !raw_answer(r, &in))
        return -1;
    wire_get32(&in);
    for (int32_t n = wire_get32(&in); n > 0 && !in.bad; n--) {
        wire_get32(&in);
        wire_skip_str(&in);
        wire_get32(&in);
        wire_skip_str(&in);
    }
    wire_skip_str(&in);
    wire_get32(&in);
    int32_t topics = wire_get32(&in);
    int err = wire_get16(&in);
    wire_skip_str(&in);
    wire_get8(&in);
    int32_t partitions = wire_get32(&in);
    int part_err = wire_get16(&in);
    wire_get32(&in);
    int32_t leader = wire_get32(&in);
    bool ready = !in.bad && topics == 1 && !err && partitions > 0 && !part_err && leader >= 0;
    return ready ? partitions : 0;
}

int64_t raw_list_offset(struct raw *r, const char *topic, int32_t partition, int64_t timestamp)
{
    size_t at = wire_request(&r->out, WIRE_LIST_OFFSETS, 2, r->correlation++);
    wire_put32(&r->out, -1);
    wire_put8(&r->out, 0);
    wire_put32(&r->out, 1);
    wire_put_str(&r->out, topic);
    wire_put32(&r->out, 1);
    wire_put32(&r->out, partition);
    wire_put64(&r->out, timestamp);
    wire_end(&r->out, at, 0);
    struct wire_in in;
    if (!raw_send(r) || !raw_answer(r, &in))
        return -1;
    wire_take(&in, 4 + 4);
    wire_skip_str(&in);
    wire_take(&in, 4 + 4);
    int err = wire_get16(&in);
    wire_get64(&in);
    int64_t offset = wire_get64(&in);
    return in.bad || err ? -1 : offset;
}
