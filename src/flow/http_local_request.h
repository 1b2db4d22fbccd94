/* http_local_request.h: the head of a request that http_local.h sends, and where it goes: URL,
 * method and headers of a call -> address and bytes. Pure.
 */
#pragma once

#include "base/cursor.h"
#include "base/pipe.h"
#include "broker/http_client.h"

#define HTTP_LOCAL_HEAD_BYTES_MAX ((size_t)1 << 20)

/* HTTP_ANSWERED: all is right, addr ("127.0.0.1:80", "unix:/run/x.sock") and head are set; else
 * what the call ends with, and why. */
enum http_outcome http_local_request(const struct http_call *call, char addr[PIPE_ADDR_MAX],
                                     struct wr *head, const char **why);
