/* plog_files.h: the open files of one reactor's logs, the least recently used closed first.
 *
 * Who wants a file keeps a slot for it (a struct plog_fd pointer, NULL: not open), at an address
 * that does not change while the file is open: closing an old file empties its slot. A file that
 * is handed out stays open until the next call here at least; who needs it longer takes a reference
 * of its own (file_ref_get). One thread.
 */
#pragma once

#include "base/list.h"
#include "io/disk.h"
#include "store/plog.h"

struct plog_fd {
    struct list link;
    struct disk_file *file;
    struct plog_fd **slot;
};

struct plog_files {
    struct list used; /* the most recent last */
    unsigned open, max;
};

/* NULL: not open, open it and call plog_files_add. */
struct disk_file *plog_files_get(struct plog_files *files, struct plog_fd **slot);
/* Takes over the caller's reference. May close another file. */
void plog_files_add(struct plog_files *files, struct plog_fd **slot, struct disk_file *file);
/* Closes, if open. */
void plog_files_drop(struct plog_files *files, struct plog_fd **slot);
