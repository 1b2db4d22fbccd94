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

static struct password_make *make_of(struct loop_job *job)
{
    return container_of(job, struct password_make, job);
}

static bool is_same(const struct password_make *m, struct str password)
{
    for (unsigned i = 0; i < VERIFIER_HASHES; i++) {
        if (m->verifiers[i].iterations == 0 || !verifier_matches(&m->verifiers[i], password))
            return false;
    }
    return true;
}

static void make_work(struct loop_job *job)
{
    struct password_make *m = make_of(job);
    struct str password = {m->password, m->password_len};
    m->same = is_same(m, password);
    for (unsigned i = 0; i < VERIFIER_HASHES && !m->same; i++)
        verifier_make(&m->verifiers[i], (enum verifier_hash)(i + 1), password, m->salts[i],
                      SCRAM_ITERATIONS_DEFAULT);
    secret_clear(m->password, sizeof m->password);
}

static void make_done(struct loop_job *job)
{
    struct password_make *m = make_of(job);
    m->done(m);
}

void password_make_start(struct env *env, bool threads, struct password_make *make)
{
    make->job = (struct loop_job){.work = make_work, .done = make_done};
    if (threads) {
        loop_job_start(loop_of(env), &make->job);
        return;
    }
    make_work(&make->job);
    make_done(&make->job);
}
