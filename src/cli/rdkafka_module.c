#include "cli/rdkafka_module.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define RDKAFKA_LIBRARY "librdkafka.so.1"

static struct rdkafka loaded;
static bool is_loaded;

/* Where each function's pointer stands in the struct, and what it is called in the library. */
static const struct {
    const char *name;
    void *slot;
} symbols[] = {
#define X(name) {"rd_kafka_" #name, &loaded.name},
    RDKAFKA_FUNCTIONS(X)
#undef X
};

enum err rdkafka_load(const struct rdkafka **out, struct err_text *text)
{
    *out = &loaded;
    if (is_loaded)
        return ERR_OK;
    void *library = dlopen(RDKAFKA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_say(text, ERR_NOT_FOUND,
                       "cannot load " RDKAFKA_LIBRARY " (apt-get install librdkafka1): %s",
                       dlerror());
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function) {
            dlclose(library);
            return err_say(text, ERR_NOT_FOUND,
                           RDKAFKA_LIBRARY " has no %s: it is too old, 2.0 or newer is needed "
                                           "(apt-get install librdkafka1)",
                           symbols[i].name);
        }
        memcpy(symbols[i].slot, &function, sizeof function);
    }
    is_loaded = true;
    return ERR_OK;
}
