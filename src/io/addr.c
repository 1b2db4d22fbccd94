#include "io/addr.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define ADDR_HOST_MAX 256

static const char *const addr_right = "right is HOST:PORT, [IPv6]:PORT or unix:PATH";

static enum err parse_unix(const char *s, const char *path, struct addr *out, struct err_text *text)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->ss;
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(un->sun_path))
        return err_say(text, ERR_REQUEST_INVALID, "%.200s: a socket path has 1 to %zu bytes", s,
                       sizeof(un->sun_path) - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return ERR_OK;
}

static bool set_v4(const char *host, uint16_t port, struct addr *out)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&out->ss;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return false;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    out->len = sizeof(*in);
    return true;
}

static bool set_v6(const char *host, uint16_t port, struct addr *out)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out->ss;
    if (inet_pton(AF_INET6, host, &in->sin6_addr) != 1)
        return false;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    out->len = sizeof(*in);
    return true;
}

static bool set_by_name(const char *host, uint16_t port, struct addr *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &list) != 0)
        return false;
    memcpy(&out->ss, list->ai_addr, list->ai_addrlen);
    out->len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

enum err addr_parse(const char *s, bool lookup, struct addr *out, struct err_text *text)
{
    char host[ADDR_HOST_MAX];
    uint16_t port;
    *out = (struct addr){0};
    if (strncmp(s, "unix:", 5) == 0)
        return parse_unix(s, s + 5, out, text);
    if (str_to_host_port(str_of(s), host, sizeof(host), &port))
        return err_say(text, ERR_REQUEST_INVALID, "'%.120s' is not an address: %s", s, addr_right);
    const char *name = host[0] == 0 ? "::" : strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (set_v4(name, port, out) || set_v6(name, port, out))
        return ERR_OK;
    if (!lookup)
        return err_say(text, ERR_REQUEST_INVALID, "'%.120s' is not a numeric address", s);
    if (!set_by_name(name, port, out))
        return err_say(text, ERR_REQUEST_INVALID, "the host '%.120s' has no address", name);
    return ERR_OK;
}

static void format_v6(const struct sockaddr_in6 *in, char out[PIPE_ADDR_MAX])
{
    char host[INET6_ADDRSTRLEN];
    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
        inet_ntop(AF_INET, in->sin6_addr.s6_addr + 12, host, sizeof(host));
        snprintf(out, PIPE_ADDR_MAX, "%s:%u", host, (unsigned)ntohs(in->sin6_port));
        return;
    }
    inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
    snprintf(out, PIPE_ADDR_MAX, "[%s]:%u", host, (unsigned)ntohs(in->sin6_port));
}

void addr_format(const struct addr *addr, char out[PIPE_ADDR_MAX])
{
    char host[INET_ADDRSTRLEN];
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->ss;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->ss;
    switch (addr->ss.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(out, PIPE_ADDR_MAX, "%s:%u", host, (unsigned)ntohs(in->sin_port));
        return;
    case AF_INET6:
        format_v6((const struct sockaddr_in6 *)&addr->ss, out);
        return;
    default:
        snprintf(out, PIPE_ADDR_MAX, "unix:%s",
                 addr->len > offsetof(struct sockaddr_un, sun_path) ? un->sun_path : "");
    }
}

uint16_t addr_port(const struct addr *addr)
{
    switch (addr->ss.ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&addr->ss)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&addr->ss)->sin6_port);
    default:
        return 0;
    }
}
