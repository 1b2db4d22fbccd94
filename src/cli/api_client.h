/* api_client.h: weir's HTTP API, called by commands: one request, one answer, blocking, by libcurl,
 * which is loaded at first use. One thread.
 */
#pragma once

#include "base/cursor.h"
#include "base/err.h"
#include "cli/options.h"

#define API_ANSWER_MAX ((size_t)64 << 20)

/* The options of every command that calls the API; the struct is embedded in the command's own. */
struct api_options {
    const char *server, *user, *ca;
    int64_t timeout_ms;
};

/* Rows of the table of options: member is the struct's in the command's. */
#define API_OPTION_ROWS(type, member)                                                              \
    {"server",                                                                                     \
     "WEIR_SERVER",                                                                                \
     OPTION_TEXT,                                                                                  \
     offsetof(type, member.server),                                                                \
     "http://127.0.0.1:8080",                                                                      \
     "URL",                                                                                        \
     "where weir's HTTP API is: http://, https:// or unix:PATH",                                   \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     0},                                                                                           \
        {"user",                                                                                   \
         "WEIR_USER",                                                                              \
         OPTION_TEXT,                                                                              \
         offsetof(type, member.user),                                                              \
         NULL,                                                                                     \
         "NAME:PASSWORD",                                                                          \
         "who calls; better said by the variable, which others do not see",                        \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         0},                                                                                       \
        {"ca",                                                                                     \
         "WEIR_CA",                                                                                \
         OPTION_TEXT,                                                                              \
         offsetof(type, member.ca),                                                                \
         NULL,                                                                                     \
         "FILE",                                                                                   \
         "PEM: authorities to trust beside https:// instead of the system's",                      \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         0},                                                                                       \
    {                                                                                              \
        "timeout", NULL, OPTION_DURATION, offsetof(type, member.timeout_ms), "60s", "TIME",        \
            "how long an answer may take", 100, 3600000, NULL, 0                                   \
    }

struct api_answer {
    long status;
    struct wr body; /* NUL-terminated */
};

struct api_call {
    const char *method, *path; /* "/api/v1/topics"; what is no letter is already escaped */
    const char *accept;        /* NULL: JSON */
    struct str body;           /* JSON; at NULL: none */
};

/* ERR_OK: there is an answer, whatever its status; api_answer_free. ERR_CLOSED, ERR_TIMED_OUT,
 * ERR_NOT_FOUND (no libcurl), ERR_REQUEST_INVALID: text says what and where. */
enum err must_use api_client_call(const struct api_options *o, const struct api_call *call,
                                  struct api_answer *out, struct err_text *text);
void api_answer_free(struct api_answer *a);
/* Calls, and reads the answer as JSON (an empty body: null). NULL: said why on stderr. */
json_t *api_client_json(const struct api_options *o, const struct api_call *call, long *status);
/* The text of a member of an answer; "": there is none. */
const char *api_text(json_t *object, const char *key);
/* Percent-encodes a path's segment into out. False: it does not fit. */
bool api_escape(struct str segment, char *out, size_t cap);
