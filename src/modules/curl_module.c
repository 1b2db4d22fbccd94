#include "modules/curl_module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define CURL_LIBRARY "libcurl.so.4"

static struct curl_module loaded;
static bool is_loaded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two above */

/* Where each function's pointer stands in the struct, and what it is called in the library. */
static const struct {
    const char *name;
    void *slot;
} symbols[] = {
#define X(name) {"curl_" #name, &loaded.name},
    CURL_MODULE_FUNCTIONS(X)
#undef X
};

static enum err find_symbols(void *library, struct err_text *text)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return err_say(text, ERR_NOT_FOUND,
                           CURL_LIBRARY " has no %s: it is too old, 7.85 or newer is needed "
                                        "(apt-get install libcurl4)",
                           symbols[i].name);
        memcpy(symbols[i].slot, &function, sizeof function);
    }
    return ERR_OK;
}

static enum err load(struct err_text *text)
{
    void *library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_say(text, ERR_NOT_FOUND,
                       "cannot load " CURL_LIBRARY " (apt-get install libcurl4): %s", dlerror());
    enum err err = find_symbols(library, text);
    if (!err && loaded.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        err = err_say(text, ERR_NOT_FOUND, CURL_LIBRARY " cannot be initialised");
    if (err)
        dlclose(library);
    return err;
}

enum err curl_module_load(const struct curl_module **out, struct err_text *text)
{
    enum err err = ERR_OK;
    *out = &loaded;
    pthread_mutex_lock(&lock);
    if (!is_loaded)
        err = load(text);
    is_loaded = !err;
    pthread_mutex_unlock(&lock);
    return err;
}
