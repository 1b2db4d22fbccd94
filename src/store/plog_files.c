#include "store/plog_files.h"

#include "base/assert.h"
#include "base/mem.h"

struct plog_files *plog_files_make(unsigned max)
{
    weir_assert(max > 0);
    struct plog_files *files = mem_zalloc(1, sizeof *files);
    list_init(&files->used);
    files->max = max;
    return files;
}

void plog_files_free(struct plog_files *files)
{
    if (!files)
        return;
    weir_assert(files->open == 0);
    mem_free(files);
}

struct disk_file *plog_files_get(struct plog_files *files, struct plog_fd **slot)
{
    struct plog_fd *fd = *slot;
    if (!fd)
        return NULL;
    if (files->used.prev != &fd->link) {
        list_remove(&fd->link);
        list_push(&files->used, &fd->link);
    }
    return fd->file;
}

void plog_files_add(struct plog_files *files, struct plog_fd **slot, struct disk_file *file)
{
    weir_assert(!*slot);
    if (files->open == files->max)
        plog_files_drop(files, container_of(files->used.next, struct plog_fd, link)->slot);
    struct plog_fd *fd = mem_alloc(sizeof *fd);
    fd->file = file;
    fd->slot = slot;
    list_push(&files->used, &fd->link);
    *slot = fd;
    files->open++;
}

void plog_files_drop(struct plog_files *files, struct plog_fd **slot)
{
    struct plog_fd *fd = *slot;
    if (!fd)
        return;
    list_remove(&fd->link);
    *slot = NULL;
    files->open--;
    disk_close(fd->file);
    mem_free(fd);
}
