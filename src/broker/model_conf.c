/* The settings of a model, as one table (spec/spec.h). */
#include "broker/model_conf.h"

#include "broker/conf_check.h"
#include "expr/json_path.h"

#include <string.h>

#define EVENTS_MAX 5000
#define CONCURRENCY_MAX 1000
#define URL_BYTES_MAX 2048
#define PATH_BYTES_MAX 4095
#define NAME_BYTES_MAX 256
#define FEATURE_BYTES_MAX 256
#define SCORE_MAX 1000000000 /* thousandths */

static const char *const missings[] = {"null", "NaN", NULL};

/* ---- checks of single fields ---- */

/* A path as filters have it (data.a, data.items[0].price, data['odd key']), or an attribute. */
static bool is_feature(struct str path)
{
    static const struct str data = {"data", 4};
    struct json_path parsed;
    struct arena keys;
    size_t at;
    const char *right;
    if (path.len == 0 || path.len > FEATURE_BYTES_MAX)
        return false;
    bool in_data = path.len > data.len && memcmp(path.at, data.at, data.len) == 0 &&
                   (path.at[data.len] == '.' || path.at[data.len] == '[');
    if (in_data) {
        arena_init_small(&keys, FEATURE_BYTES_MAX * 2, 64);
        enum err err = json_path_parse(path, &keys, &parsed, &at, &right);
        arena_free(&keys);
        return err == ERR_OK;
    }
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

static enum err check_features(const struct spec_field *field, const void *value,
                               struct err_text *text)
{
    (void)field;
    const struct spec_texts *features = value;
    if (features->n == 0)
        return err_say(text, ERR_CONFIG_INVALID, "must name at least one feature");
    for (size_t i = 0; i < features->n; i++) {
        struct str path = features->at[i];
        if (!is_feature(path))
            return err_say(text, ERR_CONFIG_INVALID,
                           "must be paths such as data.amount, or attributes; \"%.*s\" is none",
                           (int)(path.len < 64 ? path.len : 64), path.at);
    }
    return ERR_OK;
}

/* Behind it comes the protocol's own path. */
static enum err check_server(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    const struct str *url = value;
    if (url->at == NULL)
        return ERR_OK;
    enum err err = conf_check_url(field, value, text);
    const char *host = err == ERR_OK ? memchr(url->at, '/', url->len) : NULL;
    size_t rest = host != NULL ? url->len - (size_t)(host + 2 - url->at) : 0;
    if (err == ERR_OK && (memchr(host + 2, '/', rest) != NULL || memchr(host + 2, '?', rest)))
        return err_say(text, ERR_CONFIG_INVALID,
                       "must end with the host and port, as in http://triton:8000");
    return err;
}

static enum err check_member(const struct spec_field *field, const void *value,
                             struct err_text *text)
{
    (void)field;
    const struct str *name = value;
    if (name->len > 0 && memchr(name->at, '.', name->len) == NULL)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must be the name of a member of data, without dots");
}

/* ---- and of what they say together ---- */

static enum err conf_check(void *value, struct arena *arena, const char **field,
                           struct err_text *text)
{
    const struct model_conf *c = value;
    (void)arena;
    *field = "xgboost.file";
    if (c->file.at == NULL && c->url.at == NULL)
        return err_say(text, ERR_CONFIG_INVALID,
                       "is missing: give the model's file, or server.url, or both");
    const struct spec_field *server =
        c->url.at == NULL ? spec_given(&model_kind, c, "server") : NULL;
    if (server == NULL)
        return ERR_OK;
    *field = server->path;
    return err_say(text, ERR_CONFIG_INVALID, "must not be set without server.url");
}

/* ---- the table ---- */

#define AT(field) offsetof(struct model_conf, field)

static const struct spec_field fields[] = {
    {.path = "features",
     .type = SPEC_TEXTS,
     .offset = AT(features),
     .required = true,
     .check = check_features,
     .doc = "What the model looks at, in its order: paths into the event's data, such as "
            "data.amount. One that is missing, or no number, counts as missing."},
    {.path = "xgboost.file",
     .type = SPEC_TEXT,
     .offset = AT(file),
     .max = PATH_BYTES_MAX,
     .doc = "A model as XGBoost saves it as JSON, scored by weir itself. With a server too: what "
            "scores while the server does not answer. A relative path begins where weir was "
            "started."},
    {.path = "server.url",
     .type = SPEC_TEXT,
     .offset = AT(url),
     .max = URL_BYTES_MAX,
     .check = check_server,
     .doc = "A model server that speaks the Open Inference Protocol v2 (KServe, Triton, MLServer), "
            "as http://host:port."},
    {.path = "server.model",
     .type = SPEC_TEXT,
     .offset = AT(server_model),
     .max = NAME_BYTES_MAX,
     .doc = "The model's name there. If not set: the resource's."},
    {.path = "server.version",
     .type = SPEC_TEXT,
     .offset = AT(server_version),
     .max = NAME_BYTES_MAX,
     .doc = "Its version there. If not set: the server chooses."},
    {.path = "server.input",
     .type = SPEC_TEXT,
     .offset = AT(server_input),
     .dflt = "input-0",
     .max = NAME_BYTES_MAX,
     .doc = "The name of the tensor with the features."},
    {.path = "server.output",
     .type = SPEC_TEXT,
     .offset = AT(server_output),
     .max = NAME_BYTES_MAX,
     .doc = "The name of the tensor with the scores. If not set: the answer's first."},
    {.path = "server.missing",
     .type = SPEC_CHOICE,
     .offset = AT(missing),
     .dflt = "null",
     .choices = missings,
     .doc = "How a missing value is written: null, as servers in Python read it (KServe, "
            "MLServer), or NaN, which is no JSON, but what Triton reads."},
    {.path = "server.timeout",
     .type = SPEC_DURATION,
     .offset = AT(timeout_ms),
     .dflt = "1s",
     .min = 1,
     .max = 3600 * 1000,
     .doc = "How long one call may take."},
    {.path = "server.batch",
     .type = SPEC_INT,
     .offset = AT(batch_events_max),
     .dflt = "64",
     .min = 1,
     .max = EVENTS_MAX,
     .doc = "How many events one call scores at most."},
    {.path = "server.concurrency",
     .type = SPEC_INT,
     .offset = AT(concurrency),
     .dflt = "4",
     .min = 1,
     .max = CONCURRENCY_MAX,
     .doc = "How many calls are made at once."},
    {.path = "fallback.score",
     .type = SPEC_DECIMAL,
     .offset = AT(fallback_milli),
     .min = -SCORE_MAX,
     .max = SCORE_MAX,
     .doc = "The score of events that neither server nor file can score. If not set, they are "
            "tried again."},
    {.path = "output.type",
     .type = SPEC_TEXT,
     .offset = AT(output_type),
     .max = NAME_BYTES_MAX,
     .doc = "The type of the event that comes out: the one that went in, with its score. If not "
            "set: as it was."},
    {.path = "output.field",
     .type = SPEC_TEXT,
     .offset = AT(output_field),
     .dflt = "score",
     .max = NAME_BYTES_MAX,
     .check = check_member,
     .doc = "The member of its data that holds the score."},
    {.path = "labels", .type = SPEC_MAP, .offset = AT(labels), .doc = "Words to find it by."},
};

const struct spec_kind model_kind = {
    .name = "Model",
    .plural = "models",
    .doc = "Scores events: in weir itself, or by a model server.",
    .fields = fields,
    .n = sizeof(fields) / sizeof(fields[0]),
    .bytes = sizeof(struct model_conf),
    .check = conf_check,
};
