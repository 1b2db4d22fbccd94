/* limits.h: what the system allows this process, and how its heap behaves. */
#pragma once

#include <stdint.h>

/* Raises the soft limit of open files to the hard one; returns it. */
uint64_t limits_raise_files(void);
/* Keeps freed memory of large receive buffers for the next ones instead of giving each back to the
 * kernel and faulting it in again: up to keep_bytes. */
void limits_keep_heap(uint64_t keep_bytes);
