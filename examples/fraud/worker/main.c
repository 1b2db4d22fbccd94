/* fraud-worker: a function of the fraud pipeline, called by weir over HTTP.
 *
 *     fraud-worker validate --currencies FILE
 *     fraud-worker card     --topic cards     [--state FOLDER] [--save SECONDS] [--weir HOST:PORT]
 *     fraud-worker terminal --topic terminals [--state FOLDER] [--save SECONDS] [--weir HOST:PORT]
 *
 * A keyed stage writes snapshots into its folder, every 10 seconds by default, and reads what they
 * do not have from weir: at $WEIR_HTTP, which weir sets, or where --weir says.
 *
 * It listens on $HOST:$PORT, where HOST is 127.0.0.1 if it is not given. A call is a POST of
 * CloudEvents, one alone or an array (application/cloudevents-batch+json); the answer is 200 with
 * those that come of them, or 204 where none does. If one of them is no payment the answer is 422,
 * and says why.
 */
#include "partition.h"
#include "http_server.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 1024, SAVE_SECONDS = 10, IDLE_MS = 500 };

struct worker {
    struct place place;
    struct partition *partitions[PARTITIONS_MAX];
    pid_t saving; /* the child that writes a snapshot; 0: none */
    long save_seconds;
    int save_next;
    time_t saved_at;
};

static int is_keyed(const struct worker *w)
{
    return w->place.stage->row_size[0] > 0;
}

static const char *take(struct worker *w, const struct event *e, struct text *out)
{
    if (!is_keyed(w))
        return w->place.stage->take(NULL, e, out);
    if (e->partition < 0 || e->partition >= PARTITIONS_MAX || e->offset < 0)
        return "the event does not say where it is: weirpartition, weiroffset";
    struct partition **p = &w->partitions[e->partition];
    if (*p == NULL)
        *p = partition_make(&w->place, e->partition);
    partition_catch_up(&w->place, *p, e->offset);
    if (e->offset >= (*p)->next)
        (*p)->next = e->offset + 1;
    return w->place.stage->take(&(*p)->keys, e, out);
}

static void refuse(struct http_answer *answer, struct json id, const char *why)
{
    answer->status = 422;
    answer->type = "text/plain";
    answer->body.len = 0;
    text_printf(&answer->body, "%.*s%s%s\n", (int)id.len, id.at ? id.at : "", id.len ? ": " : "",
                why);
}

static void answer(void *arg, const struct http_request *request, struct http_answer *answer)
{
    struct worker *w = arg;
    struct events events;
    if (strcmp(request->method, "POST") != 0)
        return; /* somebody asks whether we are there: 200 */
    struct event e;
    if (!events_read(&events, request->body, request->body_len)) {
        refuse(answer, (struct json){0}, "neither an event nor an array of events");
        return;
    }
    answer->type = "application/cloudevents-batch+json";
    const char *wrong = NULL;
    while (wrong == NULL && events_next(&events, &e)) {
        wrong = take(w, &e, &answer->body);
        if (wrong)
            refuse(answer, e.id, wrong);
    }
    if (answer->status == 200 && answer->body.len)
        text_add(&answer->body, "]", 1);
    else if (answer->status == 200)
        answer->status = 204;
}

/* Every save_seconds the snapshots, one after the other. */
static void idle(void *arg)
{
    struct worker *w = arg;
    if (w->saving && waitpid(w->saving, NULL, WNOHANG) == w->saving)
        w->saving = 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (w->saving || (w->save_next == 0 && now.tv_sec - w->saved_at < w->save_seconds))
        return;
    if (w->save_next == 0)
        w->saved_at = now.tv_sec;
    while (w->save_next < PARTITIONS_MAX && w->saving == 0) {
        struct partition *p = w->partitions[w->save_next++];
        w->saving = p ? partition_save(&w->place, p, 0) : 0;
    }
    w->save_next %= PARTITIONS_MAX;
}

static void save_all(struct worker *w)
{
    if (w->saving)
        waitpid(w->saving, NULL, 0);
    for (int i = 0; i < PARTITIONS_MAX; i++) {
        if (w->partitions[i])
            partition_save(&w->place, w->partitions[i], 1);
    }
}

static _Noreturn void usage(void)
{
    die("usage: fraud-worker validate --currencies FILE\n"
        "       fraud-worker card|terminal --topic NAME [--state FOLDER] [--save SECONDS] "
        "[--weir HOST:PORT]");
}

static const struct stage *stage_of(const char *name)
{
    static const struct stage *const stages[] = {&stage_validate, &stage_card, &stage_terminal};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (name && strcmp(name, stages[i]->name) == 0)
            return stages[i];
    }
    usage();
}

/* Host and port of an address, as weir tells it in WEIR_HTTP. */
static const char *weir_of(const char *url)
{
    static const char scheme[] = "http://";
    if (url == NULL)
        return "127.0.0.1:8080";
    return strncmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : url;
}

/* And those above it. */
static void make_folder(const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            die("cannot make the folder %s: %s", part, strerror(errno));
    }
}

static void parse(struct worker *w, int argc, char **argv)
{
    static const struct option options[] = {
        {"topic", required_argument, NULL, 't'},      {"state", required_argument, NULL, 's'},
        {"save", required_argument, NULL, 'e'},       {"weir", required_argument, NULL, 'w'},
        {"currencies", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    const char *currencies = NULL;
    w->place.stage = stage_of(argc > 1 ? argv[1] : NULL);
    w->place.weir = weir_of(getenv("WEIR_HTTP"));
    w->save_seconds = SAVE_SECONDS;
    for (int c; (c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1;) {
        if (c == 't')
            w->place.topic = optarg;
        else if (c == 's')
            w->place.state = optarg;
        else if (c == 'e')
            w->save_seconds = strtol(optarg, NULL, 10);
        else if (c == 'w')
            w->place.weir = weir_of(optarg);
        else if (c == 'c')
            currencies = optarg;
        else
            usage();
    }
    if (is_keyed(w) ? w->place.topic == NULL : currencies == NULL)
        usage();
    if (currencies)
        validate_currencies(currencies);
    if (w->place.state)
        make_folder(w->place.state);
}

int main(int argc, char **argv)
{
    static struct worker w;
    const char *host = getenv("HOST"), *port = getenv("PORT");
    parse(&w, argc, argv);
    if (port == NULL)
        die("PORT is not set: weir says by it where a function listens");
    const struct http_service service = {
        .arg = &w, .answer = answer, .idle = idle, .idle_ms = IDLE_MS};
    http_serve(host ? host : "127.0.0.1", (uint16_t)strtoul(port, NULL, 10), &service);
    save_all(&w);
    return 0;
}
