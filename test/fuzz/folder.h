/* folder.h: the files of a folder in memory, to be changed and laid on a simulated disk.
 *
 * A folder is taken once from a disk on which the program really ran; each input is a list of
 * changes to a copy of it. That way short inputs reach what stands behind magic numbers and CRCs,
 * which the target makes right again where it says so. Files are in order of their paths.
 */
#pragma once

#include "io/disk.h"

#include "base/cursor.h"

#define FOLDER_FILES_MAX 64
#define FOLDER_PATH_MAX 160
#define FOLDER_FILE_BYTES_MAX ((size_t)1 << 20)

struct folder_file {
    char path[FOLDER_PATH_MAX];
    bool is_dir, gone;
    uint8_t *p;
    size_t n;
};

struct folder {
    struct folder_file files[FOLDER_FILES_MAX];
    size_t n;
};

/* Everything below path, and path itself. */
void folder_take(struct folder *f, struct disk *disk, const char *path);
void folder_copy(struct folder *to, const struct folder *from);
void folder_free(struct folder *f);
/* Onto a disk that has none of it. */
void folder_lay(const struct folder *f, struct disk *disk);
/* The file whose path ends so; NULL: there is none. */
struct folder_file *folder_find(struct folder *f, const char *end);

/* One change, read from the input:
 *
 *     file 1  what 1  at 3  n 1 ...
 *
 *     0 overwrite with the n bytes that follow   4 the file goes away
 *     1 put n bytes in between                   5 the file n takes its bytes from this one
 *     2 take n bytes out                         6 n zeros at the end
 *     3 cut off at `at`                          7 add (signed) n to the 4-byte number there
 *
 * `at` counts from the end of the file when it is beyond it. */
void folder_change(struct folder *f, struct rd *in);
