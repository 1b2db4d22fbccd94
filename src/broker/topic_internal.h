/* topic_internal.h: making topics, and their records in the catalog. Inside of broker/ only. */
#pragma once

#include "base/cursor.h"
#include "broker/topic.h"

/* Every setting as text fits, with its NUL. */
#define TOPIC_CONF_VALUE_MAX 64

/* A topic with one reference and default settings; the name must have been checked. Change it only
 * before it is shared. */
struct topic *topic_make(struct uuid id, struct str name, int32_t partitions);
struct topic *topic_copy(const struct topic *t);

/* The value of a topic's record in __weir_catalog. */
void topic_encode(const struct topic *t, struct wr *w);
/* ERR_CORRUPT; ERR_FORMAT_NEWER; ERR_CONFIG_INVALID: a setting that this program does not know. */
enum err must_use topic_decode(struct uuid id, struct str value, struct topic **out,
                               struct err_text *text);
