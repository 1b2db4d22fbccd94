/* The settings of a function, as one table (spec/spec.h). */
#include "broker/function_conf.h"

#include "broker/conf_check.h"
#include "broker/function_route.h"
#include "broker/topic.h"

#include <string.h>

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)
#define EVENTS_MAX 5000
#define URL_BYTES_MAX 2048
#define PATH_BYTES_MAX 4095 /* PATH_MAX, but for its NUL */
#define AZURE_NAME_MAX 127  /* Azure's own limit */

static const char *const protocols[] = {"cloudevents", "cloudevents-batch", "azure", NULL};
static const char *const triggers[] = {"eventGridTrigger",
                                       "serviceBusTrigger",
                                       "eventHubTrigger",
                                       "queueTrigger",
                                       "kafkaTrigger",
                                       "httpTrigger",
                                       NULL};

/* ---- checks of single fields ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A letter, or one of `also` everywhere; digits not in front. */
static bool is_word(struct str s, const char *also)
{
    for (size_t i = 0; i < s.len; i++) {
        bool digit = s.at[i] >= '0' && s.at[i] <= '9';
        if (!is_letter(s.at[i]) && strchr(also, s.at[i]) == NULL && !(digit && i > 0))
            return false;
    }
    return s.len > 0;
}

static enum err check_command(const struct spec_field *field, const void *value,
                              struct err_text *text)
{
    (void)field;
    const struct spec_texts *argv = value;
    if (argv->n > 0 && argv->at[0].len > 0)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must be a program and its arguments");
}

static enum err check_env(const struct spec_field *field, const void *value, struct err_text *text)
{
    (void)field;
    const struct spec_map *env = value;
    for (size_t i = 0; i < env->n; i++) {
        struct str key = env->at[i].key;
        int shown = (int)(key.len < 64 ? key.len : 64);
        if (!is_word(key, "_"))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must have names of letters, digits and _; \"%.*s\" is none", shown,
                           key.at);
        if (str_is(key, "PORT"))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must not name PORT: weir chooses where a worker listens");
    }
    return ERR_OK;
}

static enum err check_azure_name(const struct spec_field *field, const void *value,
                                 struct err_text *text)
{
    (void)field;
    const struct str *name = value;
    if (name->at == NULL || (name->len <= AZURE_NAME_MAX && is_word(*name, "_-")))
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID,
                   "must be 1 to %d letters, digits, _ and -, with no digit in front",
                   AZURE_NAME_MAX);
}

static enum err check_output(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    const struct str *name = value;
    return str_is(*name, "$return") ? ERR_OK : check_azure_name(field, value, text);
}

static enum err check_methods(const struct spec_field *field, const void *value,
                              struct err_text *text)
{
    (void)field;
    const struct spec_texts *methods = value;
    for (size_t i = 0; i < methods->n; i++) {
        if (!function_method_is(methods->at[i]))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must be of get, post, put, patch, delete and head; %.32s is none",
                           methods->at[i].at);
    }
    return ERR_OK;
}

static enum err check_route(const struct spec_field *field, const void *value,
                            struct err_text *text)
{
    (void)field;
    const struct str *route = value;
    return route->at == NULL ? ERR_OK : function_route_check(*route, text);
}

static enum err check_memory(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    (void)field;
    const int64_t *bytes = value;
    if (*bytes == 0 || *bytes >= (int64_t)1 << 20)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must be 0, for no limit, or at least 1MiB");
}

/* ---- and of what they say together ---- */

/* What is about processes of weir's, where there are none. */
static enum err check_elsewhere(const struct function_conf *c, const char **field,
                                struct err_text *text)
{
    static const char *const own[] = {
        "directory",       "env",           "workers.min",   "workers.max",
        "workers.target",  "workers.idle",  "workers.start", "workers.stop",
        "workers.restart", "limits.memory", "limits.cpu",    "limits.output"};
    for (size_t i = 0; c->url.at != NULL && i < sizeof(own) / sizeof(own[0]); i++) {
        const struct spec_field *given = spec_given(&function_kind, c, own[i]);
        if (given == NULL)
            continue;
        *field = given->path;
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be set with url: weir runs no workers of this function");
    }
    return ERR_OK;
}

static enum err check_protocol(const struct function_conf *c, const char **field,
                               struct err_text *text)
{
    const struct spec_field *azure = spec_given(&function_kind, c, "azure");
    const struct spec_field *batch = spec_given(&function_kind, c, "batch");
    if (azure != NULL && c->protocol != FUNCTION_AZURE) {
        *field = azure->path;
        return err_say(text, ERR_CONFIG_INVALID, "must be set only if protocol is azure");
    }
    if (batch != NULL && c->protocol == FUNCTION_CLOUDEVENTS) {
        *field = batch->path;
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be set where a call has one event: protocol must be "
                       "cloudevents-batch, or azure");
    }
    return ERR_OK;
}

/* What is about requests, where there are none, and what a call with one has not. */
static enum err check_http(const struct function_conf *c, const char **field, struct err_text *text)
{
    static const char *const own[] = {"azure.trigger.methods", "azure.trigger.route",
                                      "azure.response", "azure.forwardHttp"};
    const struct spec_field *batch = spec_given(&function_kind, c, "batch");
    for (size_t i = 0; !function_takes_requests(c) && i < sizeof(own) / sizeof(own[0]); i++) {
        *field = own[i];
        if (spec_given(&function_kind, c, own[i]) != NULL)
            return err_say(text, ERR_CONFIG_INVALID,
                           "must be set only if azure.trigger.type is httpTrigger");
    }
    if (function_takes_requests(c) && batch != NULL) {
        *field = batch->path;
        return err_say(text, ERR_CONFIG_INVALID, "must not be set: a request comes alone");
    }
    *field = "azure.outputs";
    if (c->azure_forward_http && c->azure_out.n > 0)
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be set with forwardHttp: what answers a request that is passed on "
                       "has no outputs");
    return ERR_OK;
}

static enum err check_outputs(const struct function_conf *c, const char **field,
                              struct err_text *text)
{
    const struct function_output *out = c->azure_out.at;
    *field = "azure.outputs";
    for (size_t i = 0; i < c->azure_out.n; i++) {
        if (function_takes_requests(c) && str_eq(out[i].name, c->azure_response))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must not name %.*s, which is azure.response: it goes to who asked",
                           (int)out[i].name.len, out[i].name.at);
        for (size_t j = 0; j < i; j++) {
            if (str_eq(out[i].name, out[j].name))
                return err_say(text, ERR_CONFIG_INVALID, "must not name %.*s twice",
                               (int)out[i].name.len, out[i].name.at);
        }
    }
    return ERR_OK;
}

static enum err conf_check(void *value, struct arena *arena, const char **field,
                           struct err_text *text)
{
    const struct function_conf *c = value;
    (void)arena;
    *field = c->command.n > 0 ? "url" : "command";
    if (c->command.n > 0 && c->url.at != NULL)
        return err_say(text, ERR_CONFIG_INVALID,
                       "must not be set beside command: a function is one or the other");
    if (c->command.n == 0 && c->url.at == NULL)
        return err_say(text, ERR_CONFIG_INVALID,
                       "is missing: give the command that weir runs, or the url of what is there");
    *field = "workers.min";
    if (c->workers_min > c->workers_max)
        return err_say(text, ERR_CONFIG_INVALID, "must not be more than workers.max");
    *field = "workers.restart.max";
    if (c->backoff_max_ms < c->backoff_ms)
        return err_say(text, ERR_CONFIG_INVALID, "must not be less than workers.restart.first");
    enum err err = check_elsewhere(c, field, text);
    if (err == ERR_OK)
        err = check_protocol(c, field, text);
    if (err == ERR_OK)
        err = check_http(c, field, text);
    return err == ERR_OK ? check_outputs(c, field, text) : err;
}

/* ---- the table ---- */

#define AT(field) offsetof(struct function_conf, field)
#define OUTPUT(field) offsetof(struct function_output, field)

static const struct spec_field output_fields[] = {
    {.path = "name",
     .type = SPEC_TEXT,
     .offset = OUTPUT(name),
     .max = AZURE_NAME_MAX,
     .required = true,
     .check = check_output,
     .doc = "The binding's name in Outputs, or $return."},
    {.path = "topic",
     .type = SPEC_TEXT,
     .offset = OUTPUT(topic),
     .max = TOPIC_NAME_MAX,
     .required = true,
     .check = conf_check_name,
     .doc = "The topic or queue that it is published into."},
};

static const struct spec_field fields[] = {
    {.path = "command",
     .type = SPEC_TEXTS,
     .offset = AT(command),
     .check = check_command,
     .doc = "The program that weir runs as a worker, and its arguments: no shell is between. It "
            "serves HTTP on 127.0.0.1, at the port in the variable PORT."},
    {.path = "url",
     .type = SPEC_TEXT,
     .offset = AT(url),
     .max = URL_BYTES_MAX,
     .check = conf_check_url,
     .doc = "Instead of a command: where the function is served by somebody else."},
    {.path = "directory",
     .type = SPEC_TEXT,
     .offset = AT(directory),
     .max = PATH_BYTES_MAX,
     .doc = "The folder in which the command runs. If not set: the one in which weir was started."},
    {.path = "env",
     .type = SPEC_MAP,
     .offset = AT(env),
     .check = check_env,
     .doc = "Variables of the command's environment. It has a few others (PATH, HOME, PORT), and "
            "nothing of weir's own."},
    {.path = "protocol",
     .type = SPEC_CHOICE,
     .offset = AT(protocol),
     .dflt = "cloudevents",
     .choices = protocols,
     .doc = "What a call looks like: one CloudEvent over HTTP, a batch of them, or that of Azure "
            "Functions' custom handlers."},
    {.path = "batch.events",
     .type = SPEC_INT,
     .offset = AT(batch_events_max),
     .dflt = "64",
     .min = 1,
     .max = EVENTS_MAX,
     .doc = "How many events one call carries at most, where the protocol has batches."},
    {.path = "batch.bytes",
     .type = SPEC_SIZE,
     .offset = AT(batch_bytes),
     .dflt = "256KiB",
     .min = 1024,
     .max = (int64_t)16 << 20,
     .doc = "How large such a call should be at most; a single larger event is called alone."},
    {.path = "workers.min",
     .type = SPEC_INT,
     .offset = AT(workers_min),
     .dflt = "0",
     .min = 0,
     .max = FUNCTION_WORKERS_MAX,
     .doc = "How many workers run even if there is nothing to do."},
    {.path = "workers.max",
     .type = SPEC_INT,
     .offset = AT(workers_max),
     .dflt = "8",
     .min = 1,
     .max = FUNCTION_WORKERS_MAX,
     .doc = "How many run at most."},
    {.path = "workers.target",
     .type = SPEC_INT,
     .offset = AT(target),
     .dflt = "100",
     .min = 1,
     .max = 1000000000,
     .doc = "How many events may wait for each worker, before another is started."},
    {.path = "workers.concurrency",
     .type = SPEC_INT,
     .offset = AT(concurrency),
     .dflt = "1",
     .min = 1,
     .max = FUNCTION_CONCURRENCY_MAX,
     .doc = "How many calls one worker, or the url, gets at once."},
    {.path = "workers.idle",
     .type = SPEC_DURATION,
     .offset = AT(idle_ms),
     .dflt = "30s",
     .min = 0,
     .max = 365 * DAY_MS,
     .doc = "A worker without a call for so long is stopped."},
    {.path = "workers.start",
     .type = SPEC_DURATION,
     .offset = AT(start_ms),
     .dflt = "30s",
     .min = 10,
     .max = HOUR_MS,
     .doc = "A worker that takes no call so long after its start is stopped as broken."},
    {.path = "workers.stop",
     .type = SPEC_DURATION,
     .offset = AT(stop_ms),
     .dflt = "5s",
     .min = 0,
     .max = HOUR_MS,
     .doc = "How long a worker may take to end after SIGTERM, before it is killed."},
    {.path = "workers.restart.first",
     .type = SPEC_DURATION,
     .offset = AT(backoff_ms),
     .dflt = "100ms",
     .min = 0,
     .max = DAY_MS,
     .doc = "How long after a crash the next worker is started; doubles with each further one."},
    {.path = "workers.restart.max",
     .type = SPEC_DURATION,
     .offset = AT(backoff_max_ms),
     .dflt = "30s",
     .min = 0,
     .max = DAY_MS,
     .doc = "The longest such time."},
    {.path = "limits.time",
     .type = SPEC_DURATION,
     .offset = AT(time_ms),
     .dflt = "30s",
     .min = 10,
     .max = DAY_MS,
     .doc = "How long one call may take. A worker that takes longer is killed, and what it was "
            "called with is tried again."},
    {.path = "limits.memory",
     .type = SPEC_SIZE,
     .offset = AT(memory_bytes),
     .dflt = "0",
     .min = 0,
     .max = (int64_t)1 << 50,
     .check = check_memory,
     .doc = "How much memory a worker may have, before it is killed; 0: no limit."},
    {.path = "limits.cpu",
     .type = SPEC_DECIMAL,
     .offset = AT(cpu_milli),
     .dflt = "0",
     .min = 0,
     .max = 1024000,
     .doc = "How many cores a worker may use over ten seconds, such as 1.5; 0: no limit."},
    {.path = "limits.output",
     .type = SPEC_INT,
     .offset = AT(output_lines_max),
     .dflt = "1000",
     .min = 0,
     .max = 1000000,
     .doc = "How many lines of its output are logged in a second; further ones are counted."},
    {.path = "azure.function",
     .type = SPEC_TEXT,
     .offset = AT(azure_function),
     .max = AZURE_NAME_MAX,
     .check = check_azure_name,
     .doc = "The function's name in the app, and so the path of a call. If not set: the "
            "resource's."},
    {.path = "azure.trigger.name",
     .type = SPEC_TEXT,
     .offset = AT(azure_trigger),
     .dflt = "event",
     .max = AZURE_NAME_MAX,
     .check = check_azure_name,
     .doc = "The trigger binding's name in function.json."},
    {.path = "azure.trigger.type",
     .type = SPEC_CHOICE,
     .offset = AT(azure_trigger_type),
     .dflt = "eventGridTrigger",
     .choices = triggers,
     .doc = "Its type there. With httpTrigger it is called with requests, not with events."},
    {.path = "azure.trigger.methods",
     .type = SPEC_TEXTS,
     .offset = AT(azure_methods),
     .check = check_methods,
     .doc = "An HTTP trigger's methods, of get, post, put, patch, delete and head. If not set: all "
            "of them."},
    {.path = "azure.trigger.route",
     .type = SPEC_TEXT,
     .offset = AT(azure_route),
     .max = FUNCTION_ROUTE_MAX,
     .check = check_route,
     .doc = "An HTTP trigger's route behind /api/, such as products/{category}/{id?}. If not set: "
            "the function's name."},
    {.path = "azure.response",
     .type = SPEC_TEXT,
     .offset = AT(azure_response),
     .dflt = "res",
     .max = AZURE_NAME_MAX,
     .check = check_output,
     .doc = "The name of an HTTP trigger's output binding of type http, or $return."},
    {.path = "azure.forwardHttp",
     .type = SPEC_BOOLEAN,
     .offset = AT(azure_forward_http),
     .doc = "An HTTP trigger's request is passed on as it is: enableForwardingHttpRequest in "
            "host.json."},
    {.path = "azure.outputs",
     .type = SPEC_LIST,
     .offset = AT(azure_out),
     .fields = output_fields,
     .fields_n = sizeof(output_fields) / sizeof(output_fields[0]),
     .element_bytes = sizeof(struct function_output),
     .doc = "The output bindings of function.json. What is put into one that is not named here is "
            "dropped, and counted."},
    {.path = "labels", .type = SPEC_MAP, .offset = AT(labels), .doc = "Words to find it by."},
};

const struct spec_kind function_kind = {
    .name = "Function",
    .plural = "functions",
    .doc = "A program that is called with events: as many workers as there is work for, down to "
           "none, or a service that is there.",
    .fields = fields,
    .n = sizeof(fields) / sizeof(fields[0]),
    .bytes = sizeof(struct function_conf),
    .check = conf_check,
};
