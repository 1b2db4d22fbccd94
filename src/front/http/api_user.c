/* api_user.c: the kind User. Of a password only verifiers are kept, which take some ms to make:
 * that is done beside the loop.
 */
#include "front/http/api.h"

#include "auth/password.h"
#include "broker/access_resource.h"
#include "front/http/conn.h"

#include <string.h>

struct user_item {
    struct access_op op;
    struct password_make make;
    struct api_item *item;
};

/* ---- seeing --------------------------------------------------------------------------------- */

static bool sees(struct http_request *rq)
{
    return api_owns(rq, ACCESS_CLUSTER, STR_LIT(""));
}

const void *api_user_find(struct http_request *rq, struct str name)
{
    return sees(rq) ? access_find(rq->broker, ACCESS_USER, name) : NULL;
}

const void *api_user_next(struct http_request *rq, const void *after)
{
    return sees(rq) ? access_next(rq->broker, ACCESS_USER, after) : NULL;
}

struct str api_user_name(struct http_request *rq, const void *thing)
{
    (void)rq;
    return str_of(((const struct access_item *)thing)->name);
}

json_t *api_user_show(struct http_request *rq, const void *thing)
{
    const struct access_item *user = thing;
    json_t *spec = json_object(), *mechanisms = json_array();
    (void)rq;
    for (unsigned i = 0; i < VERIFIER_HASHES; i++) {
        if (user->user.verifiers[i].iterations)
            json_array_append_new(mechanisms,
                                  json_string(scram_mechanism((enum verifier_hash)(i + 1))));
    }
    json_t *document = spec_write_document(&user_kind, str_of(user->name), NULL, spec);
    json_decref(spec);
    json_object_set_new(document, "status", json_pack("{s:o}", "mechanisms", mechanisms));
    return document;
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void put_done(struct op *base)
{
    struct user_item *ui = container_of(base, struct user_item, op.op);
    struct api_item *item = ui->item;
    item->text = ui->op.text;
    access_unref(ui->op.item);
    if (!base->err && (ui->op.created || ui->op.changed))
        item->changes = spec_changes(&user_kind, NULL, item->spec);
    api_done_put(item, base->err, ui->op.created, ui->op.changed);
}

static void put(struct user_item *ui, const struct verifier verifiers[VERIFIER_HASHES])
{
    struct api_item *item = ui->item;
    ui->op = (struct access_op){.op.done = put_done,
                                .actor = &item->rq->actor,
                                .what = ACCESS_USER,
                                .act = ACCESS_PUT,
                                .name = item->name,
                                .validate_only = item->dry_run};
    memcpy(ui->op.verifiers, verifiers, sizeof ui->op.verifiers);
    broker_access_change(item->rq->broker, &ui->op);
}

static void made(struct password_make *make)
{
    struct user_item *ui = container_of(make, struct user_item, make);
    if (make->same)
        api_done_put(ui->item, ERR_OK, false, false);
    else
        put(ui, make->verifiers);
}

static void hash_password(struct user_item *ui, const struct access_item *was, struct str password)
{
    struct http_request *rq = ui->item->rq;
    struct env *env = broker_env(rq->broker);
    struct password_make *make = &ui->make;
    memcpy(make->password, password.at, password.len);
    make->password_len = password.len;
    env_random(env, make->salts, sizeof make->salts);
    if (was)
        memcpy(make->verifiers, was->user.verifiers, sizeof make->verifiers);
    make->done = made;
    password_make_start(env, rq->conn->front->conf.password_threads, make);
}

/* The caller must be told that it may not before it is told whether a password is the same. */
void api_user_apply(struct api_item *item)
{
    struct http_request *rq = item->rq;
    const struct user_spec *spec = item->spec;
    const struct access_item *was = access_find(rq->broker, ACCESS_USER, item->name);
    struct user_item *ui = http_alloc(rq, 1, sizeof *ui);
    struct verifier verifiers[VERIFIER_HASHES];
    enum err err =
        ui ? access_check(rq->broker, &rq->actor, ACCESS_CLUSTER, STR_LIT(""), ACCESS_OWNER)
           : ERR_MEMORY;
    if (!err && !was && !spec->password.at && !spec->verifiers.n) {
        api_blame(item, "spec.password");
        err = err_say(&item->text, ERR_CONFIG_INVALID, "is missing: the user is new");
    }
    if (err) {
        api_done(item, err);
        return;
    }
    ui->item = item;
    user_spec_verifiers(spec, verifiers);
    if (spec->password.at)
        hash_password(ui, was, spec->password);
    else if (spec->verifiers.n)
        put(ui, verifiers);
    else
        api_done_put(item, ERR_OK, false, false);
}

/* ---- delete --------------------------------------------------------------------------------- */

static void remove_done(struct op *base)
{
    struct user_item *ui = container_of(base, struct user_item, op.op);
    ui->item->text = ui->op.text;
    api_done(ui->item, base->err);
}

void api_user_remove(struct api_item *item)
{
    struct user_item *ui = http_alloc(item->rq, 1, sizeof *ui);
    item->result = "deleted";
    if (!ui) {
        api_done(item, ERR_MEMORY);
        return;
    }
    ui->item = item;
    ui->op = (struct access_op){.op.done = remove_done,
                                .actor = &item->rq->actor,
                                .what = ACCESS_USER,
                                .act = ACCESS_DELETE,
                                .name = item->name,
                                .validate_only = item->dry_run};
    broker_access_change(item->rq->broker, &ui->op);
}
