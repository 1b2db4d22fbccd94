#include "auth/password.h"

#include "base/secret.h"

static struct password_check *check_of(struct loop_job *job)
{
    return container_of(job, struct password_check, job);
}

static void work(struct loop_job *job)
{
    struct password_check *c = check_of(job);
    c->ok = verifiers_match(c->verifiers, (struct str){c->password, c->password_len});
    secret_clear(c->password, sizeof c->password);
}

static void done(struct loop_job *job)
{
    struct password_check *c = check_of(job);
    c->done(c);
}

void password_check_start(struct env *env, bool threads, struct password_check *check)
{
    check->job = (struct loop_job){.work = work, .done = done};
    if (threads) {
        loop_job_start(loop_of(env), &check->job);
        return;
    }
    work(&check->job);
    done(&check->job);
}
