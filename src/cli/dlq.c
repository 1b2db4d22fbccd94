/* dlq.c: `weir dlq VERB`: dead letters, over weir's HTTP API. */
#include "cli/api_client.h"
#include "cli/cli.h"

#include "base/mem.h"
#include "base/when.h"
#include "spec/json_text.h"

#include <stdio.h>
#include <string.h>

#define DONE 0
#define FAILED 1
#define USED_WRONGLY 2
#define PATH_BYTES ((size_t)32 << 10)
#define AT_ONCE 1000 /* letters in one request */

enum output { OUTPUT_TEXT, OUTPUT_JSON };
static const char *const outputs[] = {"text", "json", NULL};

struct dlq_options {
    struct api_options api;
    const char *filter, *to;
    int64_t limit, output;
};

#define AT(member) offsetof(struct dlq_options, member)

static const struct option table[] = {
    {"filter", NULL, OPTION_TEXT, AT(filter), NULL, "CESQL",
     "show, redrive: only these; beside the event's attributes and data there are "
     "deadletterreason, deadletteroutcome, deadlettertopic and deadlettersubscription",
     0, 0, NULL, 0},
    {"limit", NULL, OPTION_INT, AT(limit), "0", "N",
     "show: how many (0: 100); redrive: at most so many (0: all)", 0, INT32_MAX, NULL, 0},
    {"to", NULL, OPTION_TEXT, AT(to), NULL, "TOPIC",
     "redrive: to this topic instead of where each came from", 0, 0, NULL, 0},
    {"output", NULL, OPTION_CHOICE, AT(output), "text", "FORM", "how it is printed", 0, 0, outputs,
     0},
    API_OPTION_ROWS(struct dlq_options, api)};

static const char *const shorts[] = {"o:output", NULL};

static const struct option_set set = {
    .usage = "weir dlq list|show|redrive [TOPIC] [options]",
    .about = "Lists the topics that hold dead letters, shows the letters of one that wait, or\n"
             "redrives them: each is appended to the topic that it came from, and waits no more.\n"
             "It is a new message there, for all who read that topic.",
    .example = "weir dlq redrive payments.dead --filter \"deadletterreason = 'max-deliveries'\"",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "the verb; for show and redrive the dead-letter topic",
    .args_min = 1,
    .args_max = 2,
    .shorts = shorts};

/* ---- calls ---------------------------------------------------------------------------------- */

static bool add_parameter(char *path, const char *name, const char *value)
{
    size_t used = strlen(path);
    used += (size_t)snprintf(path + used, PATH_BYTES - used, "&%s=", name);
    return used < PATH_BYTES && api_escape(str_of(value), path + used, PATH_BYTES - used);
}

/* NULL: said why. */
static json_t *call(const struct dlq_options *o, const char *method, const char *path)
{
    long status = 0;
    struct api_call c = {.method = method, .path = path};
    json_t *answer = api_client_json(&o->api, &c, &status);
    if (!answer || status == 200 || json_object_get(answer, "redriven"))
        return answer;
    const char *detail = api_text(answer, "detail");
    fprintf(stderr, "weir: the server answers %ld%s%s\n", status, *detail ? ": " : "", detail);
    json_decref(answer);
    return NULL;
}

/* "/api/v1/deadletters/TOPIC:verb?limit=N&filter=..."; NULL: it is too long, which was said. */
static char *make_path(const struct dlq_options *o, const char *topic, const char *verb,
                       int64_t limit)
{
    char *path = mem_alloc(PATH_BYTES), name[1024] = "";
    bool fits = api_escape(str_of(topic), name, sizeof name);
    snprintf(path, PATH_BYTES, "/api/v1/deadletters/%s:%s?limit=%lld", name, verb,
             (long long)limit);
    if (fits && o->filter)
        fits = add_parameter(path, "filter", o->filter);
    if (fits && o->to)
        fits = add_parameter(path, "to", o->to);
    if (fits)
        return path;
    fprintf(stderr, "weir: the name or the filter is too long\n");
    mem_free(path);
    return NULL;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static int print_json(json_t *json)
{
    json_text_print(json, JSON_INDENT(2));
    return DONE;
}

static int print_topics(json_t *items)
{
    size_t i, j;
    json_t *item, *from;
    printf("%-32s  %8s  %s\n", "TOPIC", "WAITING", "SUBSCRIPTIONS");
    json_array_foreach(items, i, item)
    {
        printf("%-32s  %8lld  ", api_text(item, "topic"),
               (long long)json_integer_value(json_object_get(item, "waiting")));
        json_array_foreach(json_object_get(item, "subscriptions"), j, from) printf(
            "%s%s/%s", j ? ", " : "", api_text(from, "topic"), api_text(from, "subscription"));
        printf("\n");
    }
    return DONE;
}

static int list(const struct dlq_options *o)
{
    json_t *answer = call(o, "GET", "/api/v1/deadletters");
    if (!answer)
        return FAILED;
    json_t *items = json_object_get(answer, "items");
    int rc = o->output == OUTPUT_JSON ? print_json(items) : print_topics(items);
    json_decref(answer);
    return rc;
}

static void print_time(const char *label, json_t *ms)
{
    char text[WHEN_TEXT_MAX];
    if (json_is_integer(ms))
        printf("  %s: %s\n", label, when_put_datetime(json_integer_value(ms), text));
}

static void print_line(const char *label, const char *text)
{
    if (*text)
        printf("  %s: %s\n", label, text);
}

static void print_letter(json_t *l)
{
    printf("%lld/%lld\n", (long long)json_integer_value(json_object_get(l, "partition")),
           (long long)json_integer_value(json_object_get(l, "offset")));
    print_line("reason", api_text(l, "reason"));
    print_line("description", api_text(l, "description"));
    print_line("outcome", api_text(l, "outcome"));
    if (json_object_get(l, "topic"))
        printf("  from: %s/%lld/%lld for %s, delivered %lld times\n", api_text(l, "topic"),
               (long long)json_integer_value(json_object_get(l, "topicPartition")),
               (long long)json_integer_value(json_object_get(l, "topicOffset")),
               api_text(l, "subscription"),
               (long long)json_integer_value(json_object_get(l, "deliveries")));
    print_time("first", json_object_get(l, "firstDeliveryMs"));
    print_time("last", json_object_get(l, "lastDeliveryMs"));
    char *event = json_text(json_object_get(l, "event"), JSON_COMPACT, NULL);
    print_line("event", event ? event : "");
    mem_free(event);
}

static int print_letters(json_t *answer)
{
    size_t i;
    json_t *letter;
    json_array_foreach(json_object_get(answer, "items"), i, letter) print_letter(letter);
    if (json_is_true(json_object_get(answer, "more")))
        printf("there are more: --limit N\n");
    return DONE;
}

static int show(const struct dlq_options *o, const char *topic)
{
    int64_t limit = o->limit == 0 ? 100 : o->limit < AT_ONCE ? o->limit : AT_ONCE;
    char *path = make_path(o, topic, "peek", limit);
    json_t *answer = path ? call(o, "POST", path) : NULL;
    mem_free(path);
    if (!answer)
        return FAILED;
    int rc = o->output == OUTPUT_JSON ? print_json(json_object_get(answer, "items"))
                                      : print_letters(answer);
    json_decref(answer);
    return rc;
}

/* One request; adds what it did. False: that was all, or it failed (*rc). */
static bool redrive_some(const struct dlq_options *o, const char *topic, int64_t most,
                         int64_t *redriven, int64_t *homeless, int *rc)
{
    char *path = make_path(o, topic, "redrive", most < AT_ONCE ? most : AT_ONCE);
    json_t *answer = path ? call(o, "POST", path) : NULL;
    mem_free(path);
    if (!answer) {
        *rc = FAILED;
        return false;
    }
    int64_t n = json_integer_value(json_object_get(answer, "redriven"));
    bool more = json_is_true(json_object_get(answer, "more"));
    *redriven += n;
    *homeless = json_integer_value(json_object_get(answer, "homeless"));
    if (json_object_get(answer, "error")) {
        fprintf(stderr, "weir: %s\n", api_text(answer, "error"));
        *rc = FAILED;
        more = false;
    }
    json_decref(answer);
    return more && n > 0;
}

static int redrive(const struct dlq_options *o, const char *topic)
{
    int64_t redriven = 0, homeless = 0, most = o->limit ? o->limit : INT64_MAX;
    int rc = DONE;
    while (redriven < most && redrive_some(o, topic, most - redriven, &redriven, &homeless, &rc))
        ;
    if (o->output == OUTPUT_JSON)
        printf("{\"redriven\": %lld, \"homeless\": %lld}\n", (long long)redriven,
               (long long)homeless);
    else
        printf("redrove %lld\n", (long long)redriven);
    if (homeless)
        fprintf(stderr, "%lld wait on: the topic that they came from is gone; see --to\n",
                (long long)homeless);
    return rc;
}

int cli_dlq(int argc, char **argv)
{
    struct dlq_options o = {0};
    const char *args[2] = {NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    bool lists = !strcmp(args[0], "list"), shows = !strcmp(args[0], "show");
    bool redrives = !strcmp(args[0], "redrive");
    const char *wrong = !lists && !shows && !redrives
                            ? "the verb must be one of list, show, redrive"
                        : lists == (n == 2) ? "show and redrive take the dead-letter topic"
                        : o.to && !redrives ? "--to is for redrive"
                                            : NULL;
    if (wrong) {
        fprintf(stderr, "weir dlq: %s\n", wrong);
        return USED_WRONGLY;
    }
    return lists ? list(&o) : shows ? show(&o, args[1]) : redrive(&o, args[1]);
}
