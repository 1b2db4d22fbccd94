#include "flow/model.h"

#include "base/assert.h"
#include "base/json.h"
#include "base/mem.h"
#include "expr/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXTS_BYTES_MAX ((size_t)256 << 10)
#define BATCH_MAX 500 /* rows scored in process in one go */
#define BATCH_MIN 16
/* Steps of walks in one go: about two milliseconds of the loop's time. */
#define BATCH_STEPS 1500000u
#define SCORE_CHARS 32

/* A feature's place: a slot of the scan, or an attribute of the event. */
struct feature {
    uint16_t slot; /* JSON_NONE: attribute */
    struct str attribute;
};

struct model {
    unsigned refs;
    const struct document *d;
    struct xgboost *x;
    struct json_paths paths;
    struct feature *features;
    uint32_t features_n;
    struct str member; /* "score": with its colon, as it stands in JSON */
    struct arena texts;
};

const char *model_scorer_text(enum model_scorer scorer)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MODEL_SCORERS(X)
#undef X
    };
    return texts[scorer];
}

/* ---- making --------------------------------------------------------------------------------- */

static bool is_data_path(struct str path)
{
    return path.len > 5 && memcmp(path.at, "data", 4) == 0 &&
           (path.at[4] == '.' || path.at[4] == '[');
}

static enum err add_feature(struct model *m, struct str path, struct err_text *text)
{
    struct feature *f = &m->features[m->features_n++];
    struct json_path parsed;
    const char *right = NULL;
    size_t at = 0;
    *f = (struct feature){JSON_NONE, path};
    if (!is_data_path(path))
        return ERR_OK;
    if (json_path_parse(path, &m->texts, &parsed, &at, &right) != ERR_OK)
        return err_say(text, ERR_CONFIG_INVALID, "features: in \"%.*s\" at character %zu: %s",
                       (int)path.len, path.at, at + 1, right);
    bool added = json_paths_add(&m->paths, &parsed, &f->slot);
    weir_assert(added);
    return ERR_OK;
}

static enum err add_features(struct model *m, struct err_text *text)
{
    const struct spec_texts *paths = &m->d->conf.model.features;
    enum err err = ERR_OK;
    if (paths->n > MODEL_FEATURES_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "features has %zu paths; %d are the most",
                       paths->n, MODEL_FEATURES_MAX);
    m->features = mem_zalloc(paths->n, sizeof(*m->features));
    for (size_t i = 0; err == ERR_OK && i < paths->n; i++)
        err = add_feature(m, paths->at[i], text);
    if (err != ERR_OK || m->x == NULL)
        return err;
    uint32_t wanted = xgboost_about(m->x).features;
    if (wanted != m->features_n)
        return err_say(text, ERR_CONFIG_INVALID,
                       "xgboost.file has a model of %u features, but features names %u", wanted,
                       m->features_n);
    return ERR_OK;
}

static void make_member(struct model *m)
{
    struct wr w = {0};
    json_write_string(&w, m->d->conf.model.output_field);
    json_write_raw(&w, STR_LIT(":"));
    struct slice s = wr_take(&w);
    m->member = (struct str){arena_strndup(&m->texts, (const char *)s.at, s.len), s.len};
    weir_assert(m->member.at != NULL);
    slice_unref(s);
}

enum err model_make(const struct document *d, struct xgboost *x, struct model **out,
                    struct err_text *text)
{
    struct model *m = mem_zalloc(1, sizeof(*m));
    weir_assert(d->kind == DOCUMENT_MODEL);
    m->refs = 1;
    m->d = document_ref(d);
    m->x = x;
    json_paths_init(&m->paths, MODEL_FEATURES_MAX);
    arena_init_small(&m->texts, TEXTS_BYTES_MAX, 1024);
    make_member(m);
    enum err err = add_features(m, text);
    if (err != ERR_OK) {
        m->x = NULL;
        model_unref(m);
        return err;
    }
    *out = m;
    return ERR_OK;
}

struct model *model_ref(struct model *m)
{
    m->refs++;
    return m;
}

void model_unref(struct model *m)
{
    if (m == NULL || --m->refs > 0)
        return;
    xgboost_free(m->x);
    json_paths_free(&m->paths);
    arena_free(&m->texts);
    mem_free(m->features);
    document_unref(m->d);
    mem_free(m);
}

/* ---- what it is ----------------------------------------------------------------------------- */

const struct model_conf *model_conf(const struct model *m)
{
    return &m->d->conf.model;
}

uint32_t model_features_n(const struct model *m)
{
    return m->features_n;
}

bool model_target(const struct model *m, struct oip_target *out)
{
    const struct model_conf *c = &m->d->conf.model;
    if (c->url.at == NULL)
        return false;
    *out = (struct oip_target){.url = c->url,
                               .model = c->server_model.at != NULL ? c->server_model
                                                                   : str_of(m->d->name),
                               .version = c->server_version};
    return true;
}

bool model_falls_back(const struct model *m)
{
    return m->x != NULL || m->d->conf.model.fallback_milli != SPEC_UNSET;
}

uint32_t model_batch(const struct model *m)
{
    const struct model_conf *c = &m->d->conf.model;
    if (c->url.at != NULL)
        return (uint32_t)c->batch_events_max;
    if (m->x == NULL)
        return BATCH_MAX;
    struct xgboost_about a = xgboost_about(m->x);
    uint32_t steps = a.trees * (a.depth + 1), n = steps > 0 ? BATCH_STEPS / steps : BATCH_MAX;
    return n < BATCH_MIN ? BATCH_MIN : n > BATCH_MAX ? BATCH_MAX : n;
}

/* ---- features ------------------------------------------------------------------------------- */

static float number_of(struct str s)
{
    char copy[JSON_NUMBER_CHARS_MAX + 1], *end;
    if (s.len == 0 || !str_copy(copy, sizeof(copy), s))
        return NAN;
    double x = strtod(copy, &end);
    return *end == '\0' ? (float)x : NAN;
}

/* An attribute is text; one that JSON would take for a number is one. */
static float attribute_of(const struct event *e, struct str name)
{
    static const struct {
        const char *name;
        size_t at;
    } own[] = {{"id", offsetof(struct event, id)},
               {"source", offsetof(struct event, source)},
               {"type", offsetof(struct event, type)},
               {"subject", offsetof(struct event, subject)},
               {"time", offsetof(struct event, time)}};
    struct str value = event_extension(e, name);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (str_is(name, own[i].name))
            value = *(const struct str *)(const void *)((const char *)e + own[i].at);
    }
    bool number = value.at != NULL && value.len > 0 && json_valid(value) &&
                  (value.at[0] == '-' || (value.at[0] >= '0' && value.at[0] <= '9'));
    return number ? number_of(value) : NAN;
}

static float slot_number(const struct json_slot *slot)
{
    switch (slot->kind) {
    case SLOT_NUMBER:
        return number_of(slot->raw);
    case SLOT_TRUE:
        return 1;
    case SLOT_FALSE:
        return 0;
    default:
        return NAN;
    }
}

static bool is_object(struct str data)
{
    size_t i = 0;
    while (i < data.len && strchr(" \t\r\n", data.at[i]) != NULL)
        i++;
    return i < data.len && data.at[i] == '{';
}

enum err model_features(const struct model *m, const struct event *e, float *row,
                        struct err_text *text)
{
    struct json_slot slots[MODEL_FEATURES_MAX];
    if (e->data.at == NULL || !is_object(e->data) || !json_scan(e->data, &m->paths, slots))
        return err_say(text, ERR_RECORD_INVALID,
                       "its data is no JSON object, so it has no features");
    for (uint32_t i = 0; i < m->features_n; i++) {
        const struct feature *f = &m->features[i];
        row[i] =
            f->slot != JSON_NONE ? slot_number(&slots[f->slot]) : attribute_of(e, f->attribute);
    }
    return ERR_OK;
}

/* ---- scores --------------------------------------------------------------------------------- */

bool model_score(const struct model *m, const float *rows, uint32_t n, double *scores,
                 enum model_scorer *by)
{
    float some[64];
    int64_t milli = m->d->conf.model.fallback_milli;
    *by = m->x != NULL ? MODEL_BY_XGBOOST : MODEL_BY_FALLBACK;
    if (!model_falls_back(m))
        return false;
    for (uint32_t from = 0; from < n;) {
        uint32_t k = n - from < 64 ? n - from : 64;
        if (m->x != NULL)
            xgboost_score(m->x, rows + (size_t)from * m->features_n, k, some);
        for (uint32_t i = 0; i < k; i++)
            scores[from + i] = m->x != NULL ? (double)some[i] : (double)milli / 1000;
        from += k;
    }
    return true;
}

/* ---- the event that comes out --------------------------------------------------------------- */

/* The fewest digits that are read as the same number. */
static size_t put_score(char out[SCORE_CHARS], double score, bool single)
{
    int n = 0;
    for (int digits = single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
        n = snprintf(out, SCORE_CHARS, "%.*g", digits, score);
        if (single ? strtof(out, NULL) == (float)score : strtod(out, NULL) == score)
            break;
    }
    return (size_t)n;
}

static char *put(char *to, struct str s)
{
    memcpy(to, s.at, s.len);
    return to + s.len;
}

/* The members of the object but `field`, as they stand, each with a comma behind it. */
static char *put_members(char *to, struct str object, struct str field, struct arena *arena)
{
    struct jr j;
    struct jr_value name, v;
    jr_init(&j, object);
    jr_object(&j);
    while (jr_member(&j, &name)) {
        const char *from = name.text.at - 1; /* its quote */
        bool whole = jr_value(&j, &v);
        struct str known = name.escaped ? jr_string(&name, arena) : name.text;
        if (known.at == NULL || !whole)
            return NULL;
        if (str_eq(known, field))
            continue;
        to = put(to, (struct str){from, (size_t)(j.at - from)});
        *to++ = ',';
    }
    return jr_end(&j) ? to : NULL;
}

static enum err put_data(const struct model *m, const struct event *e, struct str score,
                         struct arena *arena, struct event *out)
{
    size_t most = e->data.len + m->member.len + score.len + 3;
    char *data = arena_alloc(arena, most), *to = data;
    if (data == NULL)
        return ERR_MEMORY;
    *to++ = '{';
    to = put_members(to, e->data, m->d->conf.model.output_field, arena);
    if (to == NULL)
        return ERR_RECORD_INVALID;
    to = put(put(to, m->member), score);
    *to++ = '}';
    out->data = (struct str){data, (size_t)(to - data)};
    out->data_is_json = true;
    if (!event_type_is_json(e->datacontenttype))
        out->datacontenttype = STR_LIT("application/json");
    return ERR_OK;
}

enum err model_outcome(const struct model *m, const struct event *e, double score, bool single,
                       enum model_scorer by, struct arena *arena, struct event *out,
                       struct err_text *text)
{
    const struct model_conf *c = &m->d->conf.model;
    char digits[SCORE_CHARS];
    if (!isfinite(score))
        return err_say(text, ERR_RECORD_INVALID, "its score is no finite number");
    *out = *e;
    size_t n = put_score(digits, score, single);
    enum err err = put_data(m, e, (struct str){digits, n}, arena, out);
    if (err != ERR_OK)
        return err_say(text, err, "its score cannot be put into its data: %s",
                       err == ERR_MEMORY ? "there is no room" : "that is no JSON object");
    if (c->output_type.at != NULL)
        out->type = c->output_type;
    if (event_extension_set(out, STR_LIT("scoredby"), str_of(model_scorer_text(by))) != ERR_OK)
        return err_say(text, ERR_RECORD_INVALID, "it has no room for the attribute scoredby");
    return ERR_OK;
}
