/* embedded_ops.h: the embedded store's table of calls, and the pieces of it that run elsewhere too.
 * Private to the embedded store; on the log's reactor. */
#pragma once

#include "store/embedded_internal.h"

extern const struct store_ops embedded_ops;

/* Gives every append of the list (all of this reactor's logs) its offset and place and submits the
 * item that carries them; relaxed: done when written. */
void embedded_group_part(struct store_reactor *r, struct commit_item *item,
                         struct store_append *appends, bool relaxed);
/* Commits a group whose logs belong to several reactors (spread.c). */
void embedded_group_spread(struct store_reactor *r, struct store_group *group);
/* A deleted log's folder is gone: frees it, and opens what waited for that. */
void embedded_log_gone(struct store_log *log);
