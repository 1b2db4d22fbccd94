/* Runs a fuzz target once for every file of the folders and files that are named: what a build
 * without libFuzzer has for a main. The name of each file is printed before it runs, so that the
 * last one names the culprit. An empty folder is a failure: it would be a test that tests nothing.
 */
#include "base/mem.h"
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX ((size_t)16 << 20)

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die("open", path);
    uint8_t *p = mem_alloc(INPUT_BYTES_MAX);
    size_t n = fread(p, 1, INPUT_BYTES_MAX, f);
    if (ferror(f) || !feof(f))
        die("read", path);
    fclose(f);
    printf("%s, %zu bytes\n", path, n);
    fflush(stdout);
    /* Of the input's own size, for AddressSanitizer to see what goes beyond. */
    p = mem_realloc(p, n ? n : 1);
    (void)LLVMFuzzerTestOneInput(p, n);
    mem_free(p);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static unsigned run_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_shown, by_name);
    if (n < 0)
        die("list", path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        run_file(file);
        free(entries[i]);
    }
    free(entries);
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    unsigned ran = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st))
            die("stat", argv[i]);
        if (S_ISDIR(st.st_mode)) {
            unsigned n = run_folder(argv[i]);
            if (n == 0) {
                fprintf(stderr, "%s is empty\n", argv[i]);
                return 1;
            }
            ran += n;
        } else {
            run_file(argv[i]);
            ran++;
        }
    }
    printf("%u inputs\n", ran);
    return ran ? 0 : 1;
}
