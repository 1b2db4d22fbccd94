/* pool_worker: a worker that does what it is told, good or bad: by its argument as soon as it
 * listens, or by a request whose body has "do":"WORD".
 *
 *     ok      answers 204            crash   writes to address 0        exit    ends with status 3
 *     loop    never answers          leak    takes 8 MiB every 10 ms    flood   prints without end
 *     nap     answers 20 ms later    say     prints a line, and naps
 *     fork    has children that outlive it, if they are let
 *
 * A thread a connection; HTTP/1.1 with Content-Length.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX ((size_t)1 << 20)

static void *leak(void *arg)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    const size_t step = (size_t)8 << 20;
    (void)arg;
    for (;;) {
        char *p = malloc(step);
        if (p)
            memset(p, 1, step);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *flood(void *arg)
{
    (void)arg;
    for (;;)
        puts("a line of a flood, one of very many, and each of them as long as this one is");
    return NULL;
}

static void start(void *(*fn)(void *arg), void *arg)
{
    pthread_t id;
    if (pthread_create(&id, NULL, fn, arg) == 0)
        pthread_detach(id);
}

static void act(const char *what)
{
    if (strcmp(what, "crash") == 0)
        raise(SIGSEGV);
    else if (strcmp(what, "exit") == 0)
        exit(3);
    else if (strcmp(what, "say") == 0)
        puts("said");
    if (strcmp(what, "nap") == 0 || strcmp(what, "say") == 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (strcmp(what, "leak") == 0)
        start(leak, NULL);
    else if (strcmp(what, "flood") == 0)
        start(flood, NULL);
    while (strcmp(what, "loop") == 0)
        ;
    for (int i = 0; strcmp(what, "fork") == 0 && i < 8; i++) {
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            for (;;)
                pause();
        }
    }
}

/* Where the body begins; NULL: not all of the head is there. */
static char *body_of(char *text, size_t *length)
{
    char *end = strstr(text, "\r\n\r\n");
    *length = 0;
    for (char *line = text; end && line && line < end; line = strstr(line, "\r\n")) {
        line += 2 * (line != text);
        if (strncasecmp(line, "content-length:", 15) == 0)
            *length = strtoul(line + 15, NULL, 10);
        if (line == text)
            line++;
    }
    return end ? end + 4 : NULL;
}

static void obey(const char *body)
{
    char word[16] = "";
    const char *at = strstr(body, "\"do\":");
    if (at && sscanf(at, "\"do\": \"%15[a-z]\"", word) == 1)
        act(word);
}

static void *serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    int fd = (int)(long)arg;
    char *text = malloc(REQUEST_MAX + 1);
    size_t n = 0, length;
    for (;;) {
        ssize_t k = recv(fd, text + n, REQUEST_MAX - n, 0);
        if (k <= 0)
            break;
        n += (size_t)k;
        text[n] = '\0';
        char *body = body_of(text, &length);
        if (!body || (size_t)(text + n - body) < length)
            continue;
        obey(body);
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            break;
        n = 0;
    }
    free(text);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *port = getenv("PORT");
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port =
                                         htons((uint16_t)(port ? strtol(port, NULL, 10) : 0)),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (const struct sockaddr *)&addr, sizeof addr) || listen(listener, 64)) {
        perror("pool_worker");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("pool_worker listens");
    if (argc > 1)
        act(argv[1]);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            start(serve, (void *)(long)fd);
    }
}
