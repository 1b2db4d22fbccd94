/* invoke_answer.h: what of a function's answer goes back to who asked.
 *
 * With the CloudEvents protocols all of it: status, header fields, body; but for the fields that
 * are of the connection to the worker (RFC 9110, 7.6.1), and Date, which is of the answer that
 * leaves.
 *
 * Pure.
 */
#pragma once

#include "broker/invoke.h"

/* Is a field of this name, in lower case, of the answer itself, and not of a connection? See
 * invoke_is_hop. */
bool invoke_answer_passes(struct str name, struct str connection);
/* Of a call that was answered. ERR_ANSWER_BAD: it is larger than HTTP_CALL_ANSWER_BYTES_MAX, has no
 * status of 200 to 599, or more of a head than is passed on; text says which. */
enum err must_use invoke_answer_pass(const struct http_call *call, struct invoke_answer *out,
                                     struct err_text *text);
