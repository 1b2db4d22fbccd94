/* models.h: the models that a reactor's subscriptions use: their files are read, and read again
 * when their documents change.
 *
 *     models_get --(a job reads the file)--> changed(name) --models_get--> the model
 *
 * A file is read on a thread for jobs when somebody first asks for the model, and when its document
 * changes; what is in use meanwhile stays. A file that cannot be read, or is no model, is logged
 * and tried again every MODELS_AGAIN_US; a model with a server does without it for so long, one
 * without waits. Before a document is put, its file is looked at (document_checker): what weir
 * cannot read is refused there.
 *
 * One reactor, but for the counters.
 */
#pragma once

#include "broker/broker.h"
#include "flow/model.h"

#include <stdatomic.h>

#define MODELS_AGAIN_US ((uint64_t)10 * 1000000)

struct disk;
struct loop;
struct models;

struct models_conf {
    struct broker *broker;
    struct loop *loop; /* NULL: files are read at once, on the caller's thread */
    struct disk *disk;
    /* The model of this name came, changed or went. Not from inside of models_get. */
    void (*changed)(void *arg, struct str name);
    void *arg;
};

/* first: reactor 0's, which is made first and freed last; NULL for that itself. */
struct models *models_make(const struct models_conf *conf, struct models *first);
/* No file is read any more. */
void models_stop(struct models *m);
bool models_busy(const struct models *m);
void models_free(struct models *m);

/* A reference, or NULL: there is none of that name, or it is not read yet (`changed` tells). */
struct model *models_get(struct models *m, struct str name);

/* Counted since the start. Any thread may read. */
struct model_stats {
    atomic_uint_fast64_t rows[MODEL_SCORERS_N];
    atomic_uint_fast64_t batches[MODEL_SCORERS_N];
    atomic_uint_fast64_t took_us[MODEL_SCORERS_N]; /* of batches, from features to outcome */
    atomic_uint_fast64_t refused;                  /* events without features, or without a score */
    atomic_bool ready;
};
/* Of this reactor; stays until models_free. */
struct model_stats *models_stats(struct models *m, struct str name);
void model_stats_count(struct model_stats *s, enum model_scorer by, uint32_t rows,
                       uint64_t took_us);

/* The same, of all reactors together. */
struct model_total {
    const char *name;
    uint64_t rows[MODEL_SCORERS_N], batches[MODEL_SCORERS_N], took_us[MODEL_SCORERS_N];
    uint64_t refused;
    bool ready; /* wherever it is used */
};
typedef void model_total_fn(void *arg, const struct model_total *total);
/* By reactor 0's models, on its thread. */
void models_each(const struct models *first, model_total_fn *each, void *arg);
