/* model.h: a model as a subscription's pusher uses it: its settings, its features' paths, and what
 * was read of its file. How it is got is models.h, how events pass it push_model.c.
 *
 *     event --model_features--> a row of float32 --(model_score, or a server)--> a score
 *     event + score --model_outcome--> the event that comes out
 *
 * A feature is a path into the event's data or an attribute. Numbers are what they are, true is 1
 * and false 0; what is missing, null or anything else is NaN: a missing value.
 *
 * The event that comes out is the one that came in, with the score as the member `output.field` of
 * its data (in place of one that is there), `output.type` as its type if that is set, and the
 * attribute scoredby: who scored it. Its id and source stay: it is the same event, decided on.
 *
 * Immutable, and reference-counted on one reactor.
 */
#pragma once

#include "base/arena.h"
#include "broker/document.h"
#include "broker/event.h"
#include "flow/oip.h"
#include "flow/xgboost.h"

/* Who scored: the attribute scoredby, and a label of metrics. */
#define MODEL_SCORERS(X)                                                                           \
    X(SERVER, "server")                                                                            \
    X(XGBOOST, "xgboost")                                                                          \
    X(FALLBACK, "fallback") /* fallback.score */

enum model_scorer {
#define X(name, text) MODEL_BY_##name,
    MODEL_SCORERS(X)
#undef X
        MODEL_SCORERS_N
};
const char *model_scorer_text(enum model_scorer scorer);

struct model;

/* Takes its own reference to the document, and takes over x (NULL: it has no file). On errors x
 * stays the caller's: ERR_CONFIG_INVALID, text says what does not fit together. */
enum err must_use model_make(const struct document *d, struct xgboost *x, struct model **out,
                             struct err_text *text);
struct model *model_ref(struct model *m);
void model_unref(struct model *m);

const struct model_conf *model_conf(const struct model *m);
uint32_t model_features_n(const struct model *m);
/* Where the server is; false: it has none. */
bool model_target(const struct model *m, struct oip_target *out);
/* Can it score without its server? */
bool model_falls_back(const struct model *m);
/* How many events are scored in one go: of a server what its settings say, in process as many as
 * the loop can spare the time for. */
uint32_t model_batch(const struct model *m);

/* One row. ERR_RECORD_INVALID: the data is no JSON object; text says so. */
enum err must_use model_features(const struct model *m, const struct event *e, float *row,
                                 struct err_text *text);
/* Without a server: by the file, else by the fallback score; false: by neither. */
bool model_score(const struct model *m, const float *rows, uint32_t n, double *scores,
                 enum model_scorer *by);
/* The event that comes out, in the arena and of e's own strings. single: the score is a float32.
 * ERR_RECORD_INVALID: the score is no finite number, or there is no room for another attribute.
 * ERR_MEMORY: the arena is full. */
enum err must_use model_outcome(const struct model *m, const struct event *e, double score,
                                bool single, enum model_scorer by, struct arena *arena,
                                struct event *out, struct err_text *text);
