/* function_azure_http.h: an HTTP trigger of Azure Functions: the request as its handler is told of
 * it, and what it answers as the answer to who asked.
 *
 *     {"Data": {"<azure.trigger.name>": {"Url", "Method", "Query": {k: v}, "Headers": {K: [v]},
 *                                        "Params": {k: v}, "Identities": [...], "Body": "..."}},
 *      "Metadata": {"sys": {MethodName, UtcNow, RandGuid}}}
 *
 * Names of Headers are written as Go and ASP.NET do ("Content-Type"). A name that comes several
 * times in Query has its values with commas between. Body is the text of the body, in base64 where
 * it is of application/octet-stream or multipart/...; there is none without a body.
 *
 * The answer is read by azure_answer_read; the value of the binding azure.response is
 *
 *     {"statusCode" or "status": 201 or "201", "headers": {k: v or [v]}, "body": anything}
 *
 * in names of any case, each of which may be missing (200, none, no body). A text is a body of
 * text/plain, all other JSON one of application/json, unless the headers say otherwise. $return may
 * be such an object with a body, or is the body itself. No answer is 204.
 *
 * Pure.
 */
#pragma once

#include "broker/document.h"
#include "broker/invoke.h"
#include "flow/function_azure.h"

struct azure_http_request {
    const struct invoke_request *request;
    const struct actor *actor;
    const struct document *function;
    uint64_t now_ms;
    const uint8_t *random; /* AZURE_RANDOM_BYTES; the first 16 are the invocation's id */
    struct arena *arena;
};
/* Appends the body of the call. ERR_MEMORY: the arena is full. */
enum err must_use azure_http_write(const struct azure_http_request *r, struct wr *out);

/* value: of the binding; its text points into what was answered. returned: it is of $return. The
 * answer keeps nothing of it. ERR_ANSWER_BAD: it is none; text says why. */
enum err must_use azure_http_answer(const struct jr_value *value, bool returned,
                                    struct invoke_answer *out, struct err_text *text);
