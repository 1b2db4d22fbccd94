#include "cli/api_client.h"

#include "modules/curl_module.h"

#include <stdio.h>
#include <string.h>

#define URL_MAX 2048
#define SET(c, easy, option, value) (void)(c)->easy_setopt(easy, option, value)

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~", c) != NULL;
}

bool api_escape(struct str segment, char *out, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0; i < segment.len && used + 4 < cap; i++) {
        char c = segment.at[i];
        if (c && is_unreserved(c))
            out[used++] = c;
        else
            used += (size_t)snprintf(out + used, cap - used, "%%%02X", (unsigned char)c);
    }
    if (used + 4 >= cap)
        return false;
    out[used] = '\0';
    return true;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
    struct api_answer *a = arg;
    if (size * n > API_ANSWER_MAX - a->body.len)
        return 0;
    wr_bytes(&a->body, data, size * n);
    return size * n;
}

/* The address, and the path of a unix socket if it is one. */
static enum err set_url(const struct curl_module *c, CURL *easy, const struct api_options *o,
                        const char *path, struct err_text *text)
{
    char url[URL_MAX];
    bool local = !strncmp(o->server, "unix:", 5);
    size_t len = strlen(o->server);
    if (!local && strncmp(o->server, "http://", 7) != 0 && strncmp(o->server, "https://", 8) != 0)
        return err_say(text, ERR_REQUEST_INVALID,
                       "--server must be http://HOST:PORT, https://HOST:PORT or unix:PATH, not %s",
                       o->server);
    while (len && o->server[len - 1] == '/')
        len--;
    snprintf(url, sizeof url, "%.*s%s", local ? 16 : (int)len,
             local ? "http://localhost" : o->server, path);
    if (local)
        SET(c, easy, CURLOPT_UNIX_SOCKET_PATH, o->server + 5);
    SET(c, easy, CURLOPT_URL, url);
    return ERR_OK;
}

static enum err outcome(const struct curl_module *c, CURLcode code, const struct api_options *o,
                        struct err_text *text)
{
    if (code == CURLE_OK)
        return ERR_OK;
    enum err err = code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMED_OUT : ERR_CLOSED;
    const char *hint = code == CURLE_COULDNT_CONNECT ? " (is weir running? see --server)" : "";
    return err_say(text, err, "%s: %s%s", o->server, c->easy_strerror(code), hint);
}

static enum err perform(const struct curl_module *c, CURL *easy, const struct api_options *o,
                        const struct api_call *call, struct api_answer *out, struct err_text *text)
{
    char accept[64];
    struct curl_slist *fields = NULL;
    snprintf(accept, sizeof accept, "Accept: %s", call->accept ? call->accept : "application/json");
    fields = c->slist_append(fields, accept);
    if (call->body.at) {
        fields = c->slist_append(fields, "Content-Type: application/json");
        SET(c, easy, CURLOPT_POSTFIELDS, call->body.at);
        SET(c, easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    SET(c, easy, CURLOPT_CUSTOMREQUEST, call->method);
    SET(c, easy, CURLOPT_HTTPHEADER, fields);
    SET(c, easy, CURLOPT_WRITEFUNCTION, take_body);
    SET(c, easy, CURLOPT_WRITEDATA, out);
    SET(c, easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    SET(c, easy, CURLOPT_ACCEPT_ENCODING, "");
    SET(c, easy, CURLOPT_NOPROXY, "*");
    SET(c, easy, CURLOPT_NOSIGNAL, 1L);
    if (o->user)
        SET(c, easy, CURLOPT_USERPWD, o->user);
    if (o->ca)
        SET(c, easy, CURLOPT_CAINFO, o->ca);
    enum err err = outcome(c, c->easy_perform(easy), o, text);
    c->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &out->status);
    c->slist_free_all(fields);
    return err;
}

enum err api_client_call(const struct api_options *o, const struct api_call *call,
                         struct api_answer *out, struct err_text *text)
{
    const struct curl_module *c;
    *out = (struct api_answer){0};
    enum err err = curl_module_load(&c, text);
    if (err)
        return err;
    CURL *easy = c->easy_init();
    if (!easy)
        return ERR_MEMORY;
    wr_init(&out->body, 0);
    err = set_url(c, easy, o, call->path, text);
    if (!err)
        err = perform(c, easy, o, call, out, text);
    c->easy_cleanup(easy);
    wr_u8(&out->body, 0);
    out->body.len--;
    if (err)
        api_answer_free(out);
    return err;
}

void api_answer_free(struct api_answer *a)
{
    wr_free(&a->body);
}

const char *api_text(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_t *api_client_json(const struct api_options *o, const struct api_call *call, long *status)
{
    struct err_text text = {""};
    struct api_answer answer;
    enum err err = api_client_call(o, call, &answer, &text);
    if (err) {
        fprintf(stderr, "weir: %s\n", text.s[0] ? text.s : err_meaning(err));
        return NULL;
    }
    *status = answer.status;
    json_t *json = answer.body.len ? json_loadb((char *)answer.body.buf->data, answer.body.len,
                                                JSON_DECODE_ANY, NULL)
                                   : json_null();
    if (!json)
        fprintf(stderr, "weir: what answers at %s is not weir: status %ld\n", o->server, *status);
    api_answer_free(&answer);
    return json;
}
