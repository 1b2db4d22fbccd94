#include "modules/http_curl.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/mailbox.h"
#include "io/thread.h"
#include "modules/http_transfer.h"

#include <stdatomic.h>
#include <string.h>

#define HTTP_CURL_MAGIC 0x68747063u
#define IDLE_HANDLES_MAX 64
#define KEPT_CONNECTIONS_MAX 256L
#define POLL_MS 60000 /* libcurl's own timers make it shorter */

enum thread_state { THREAD_NONE, THREAD_STARTING, THREAD_RUNNING };

struct http_curl {
    struct http_client client; /* first */
    uint32_t magic;
    struct http_curl_conf conf;
    struct list jobs; /* all that are not answered */
    enum thread_state state;
    struct thread *thread;
    struct env_mail failing; /* the thread could not be started */
    bool is_failing;
    /* Shared with the thread. */
    struct mailbox box;
    atomic_bool woken, stop;
    atomic_bool wakes; /* there is a transfer set that can be woken: set before stop is asked */
    struct env_mail started; /* posted by the thread, once */
    enum err start_err;      /* before it is */
    struct err_text start_text;
    /* The thread's. */
    struct http_transfer_conf transfer_conf;
    CURLM *multi;
    CURL *idle[IDLE_HANDLES_MAX];
    unsigned idle_n;
    struct list active; /* by http_job.active */
};

/* One call. Two mails may be on their way at once: it goes when neither is. */
struct http_job {
    struct list link;
    struct http_curl *c;
    struct http_call *call;
    bool sent, answered, cancelling;
    struct env_mail mail, cancel;
    /* The thread's, while it has it. */
    struct list active; /* linked while libcurl works on it */
    struct http_transfer transfer;
};

static struct http_curl *curl_of(struct http_client *client)
{
    struct http_curl *c = container_of(client, struct http_curl, client);
    weir_check(c, HTTP_CURL_MAGIC);
    return c;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void job_arrived(struct env_mail *mail, struct env *env);

static void post_back(struct http_curl *c, struct env_mail *mail)
{
    env_post(c->conf.env, c->conf.env->reactor, mail);
}

static void job_ended(struct http_job *job)
{
    job->mail.run = job_arrived;
    post_back(job->c, &job->mail);
}

static CURL *take_handle(struct http_curl *c)
{
    return c->idle_n > 0 ? c->idle[--c->idle_n] : c->transfer_conf.curl->easy_init();
}

/* Its options go, its place among the kept connections stays. */
static void give_handle(struct http_curl *c, CURL *easy)
{
    const struct curl_module *curl = c->transfer_conf.curl;
    if (c->idle_n == IDLE_HANDLES_MAX) {
        curl->easy_cleanup(easy);
        return;
    }
    curl->easy_reset(easy);
    c->idle[c->idle_n++] = easy;
}

static void job_begin(struct env_mail *mail, struct env *env)
{
    struct http_job *job = container_of(mail, struct http_job, mail);
    struct http_curl *c = job->c;
    const struct curl_module *curl = c->transfer_conf.curl;
    (void)env;
    CURL *easy = take_handle(c);
    if (!easy) {
        http_transfer_fail(&job->transfer, HTTP_UNREACHABLE, "no memory for a transfer");
        job_ended(job);
        return;
    }
    bool ok = http_transfer_begin(&job->transfer, &c->transfer_conf, job->call, easy);
    if (ok && (curl->easy_setopt(easy, CURLOPT_PRIVATE, (void *)job) != CURLE_OK ||
               curl->multi_add_handle(c->multi, easy) != CURLM_OK)) {
        http_transfer_fail(&job->transfer, HTTP_UNREACHABLE, "libcurl does not take the call");
        ok = false;
    }
    if (ok) {
        list_push(&c->active, &job->active);
        return;
    }
    give_handle(c, easy);
    job_ended(job);
}

static void job_leave(struct http_job *job)
{
    struct http_curl *c = job->c;
    c->transfer_conf.curl->multi_remove_handle(c->multi, job->transfer.easy);
    list_remove(&job->active);
    give_handle(c, job->transfer.easy);
}

static void cancel_arrived(struct env_mail *mail, struct env *env);

static void job_cancel(struct env_mail *mail, struct env *env)
{
    struct http_job *job = container_of(mail, struct http_job, cancel);
    (void)env;
    if (list_linked(&job->active)) {
        job_leave(job);
        http_transfer_fail(&job->transfer, HTTP_CANCELLED, "cancelled");
        job_ended(job);
    }
    job->cancel.run = cancel_arrived;
    post_back(job->c, &job->cancel);
}

static void take_mails(struct http_curl *c)
{
    atomic_store(&c->woken, false);
    struct env_mail *mail = mailbox_take(&c->box);
    while (mail) {
        struct env_mail *next = mail->next;
        mail->run(mail, NULL);
        mail = next;
    }
}

static void job_over(struct http_job *job, CURLcode code)
{
    const struct curl_module *curl = job->c->transfer_conf.curl;
    CURL *easy = job->transfer.easy;
    if (http_transfer_again(&job->transfer, code)) {
        curl->multi_remove_handle(job->c->multi, easy);
        if (curl->multi_add_handle(job->c->multi, easy) == CURLM_OK)
            return;
    }
    http_transfer_end(&job->transfer, code);
    job_leave(job);
    job_ended(job);
}

static void take_results(struct http_curl *c)
{
    const struct curl_module *curl = c->transfer_conf.curl;
    CURLMsg *m;
    int left;
    while ((m = curl->multi_info_read(c->multi, &left))) {
        void *user = NULL;
        CURLcode code = m->data.result; /* m goes with the handle */
        (void)curl->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &user);
        job_over(user, code);
    }
}

static void run_transfers(struct http_curl *c)
{
    const struct curl_module *curl = c->transfer_conf.curl;
    int running;
    while (!atomic_load(&c->stop)) {
        take_mails(c);
        (void)curl->multi_perform(c->multi, &running);
        take_results(c);
        (void)curl->multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
    }
}

static void end_transfers(struct http_curl *c)
{
    const struct curl_module *curl = c->transfer_conf.curl;
    list_for_safe (it, &c->active)
        job_leave(container_of(it, struct http_job, active));
    while (c->idle_n > 0)
        curl->easy_cleanup(c->idle[--c->idle_n]);
    curl->multi_cleanup(c->multi);
}

static enum err begin_transfers(struct http_curl *c)
{
    enum err err = curl_module_load(&c->transfer_conf.curl, &c->start_text);
    if (err)
        return err;
    const struct curl_module *curl = c->transfer_conf.curl;
    c->multi = curl->multi_init();
    if (!c->multi)
        return err_say(&c->start_text, ERR_MEMORY, "libcurl has no memory");
    (void)curl->multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS_MAX);
    atomic_store(&c->wakes, true);
    return ERR_OK;
}

static void thread_main(void *arg)
{
    struct http_curl *c = arg;
    c->start_err = begin_transfers(c);
    bool ok = !c->start_err;
    post_back(c, &c->started);
    if (!ok)
        return; /* nothing of c may be touched any more */
    run_transfers(c);
    end_transfers(c);
}

/* ---- the reactor ---------------------------------------------------------------------------- */

static void wake(struct http_curl *c, struct env_mail *mail)
{
    mailbox_put(&c->box, mail);
    if (!atomic_exchange(&c->woken, true))
        c->transfer_conf.curl->multi_wakeup(c->multi);
}

static void job_send(struct http_job *job)
{
    job->sent = true;
    job->mail.run = job_begin;
    wake(job->c, &job->mail);
}

static void job_free_if_done(struct http_job *job)
{
    if (!job->answered || job->cancelling)
        return;
    list_remove(&job->link);
    http_transfer_free(&job->transfer);
    mem_free(job);
}

static void job_answer(struct http_job *job)
{
    struct http_call *call = job->call;
    job->answered = true;
    http_transfer_tell(&job->transfer, call);
    call->private = NULL;
    call->done(call);
    job_free_if_done(job);
}

static void job_arrived(struct env_mail *mail, struct env *env)
{
    (void)env;
    job_answer(container_of(mail, struct http_job, mail));
}

static void cancel_arrived(struct env_mail *mail, struct env *env)
{
    struct http_job *job = container_of(mail, struct http_job, cancel);
    (void)env;
    job->cancelling = false;
    job_free_if_done(job);
}

/* Those that wait for the thread, answered in the order of their calls. What done() calls waits
 * behind them, for another attempt to start. */
static void fail_waiting(struct http_curl *c, const char *why)
{
    struct list waiting = LIST_INIT(waiting);
    list_for_safe (it, &c->jobs) {
        if (!container_of(it, struct http_job, link)->sent) {
            list_remove(it);
            list_push(&waiting, it);
        }
    }
    while (!list_empty(&waiting)) {
        struct http_job *job = container_of(list_pop(&waiting), struct http_job, link);
        http_transfer_fail(&job->transfer, HTTP_UNREACHABLE, why);
        job_answer(job);
    }
}

static void send_waiting(struct http_curl *c)
{
    list_for (it, &c->jobs) {
        struct http_job *job = container_of(it, struct http_job, link);
        if (!job->sent)
            job_send(job);
    }
}

static void thread_started(struct env_mail *mail, struct env *env)
{
    struct http_curl *c = container_of(mail, struct http_curl, started);
    (void)env;
    if (!c->start_err) {
        c->state = THREAD_RUNNING;
        send_waiting(c);
        return;
    }
    thread_join(c->thread);
    c->state = THREAD_NONE;
    fail_waiting(c, c->start_text.s);
}

static void thread_not_started(struct env_mail *mail, struct env *env)
{
    struct http_curl *c = container_of(mail, struct http_curl, failing);
    (void)env;
    c->is_failing = false;
    fail_waiting(c, "no thread could be started for outgoing calls");
}

static void start(struct http_curl *c)
{
    c->started.run = thread_started;
    c->failing.run = thread_not_started;
    if (!thread_start("weir-http", thread_main, c, &c->thread)) {
        c->state = THREAD_STARTING;
    } else if (!c->is_failing) {
        c->is_failing = true;
        post_back(c, &c->failing);
    }
}

static void do_call(struct http_client *client, struct http_call *call)
{
    struct http_curl *c = curl_of(client);
    struct http_job *job = mem_zalloc(1, sizeof *job);
    job->c = c;
    job->call = call;
    list_init(&job->active);
    job->transfer.share.of = c->conf.answers;
    call->private = job;
    list_push(&c->jobs, &job->link);
    if (c->state == THREAD_NONE)
        start(c);
    else if (c->state == THREAD_RUNNING)
        job_send(job);
}

static void cancel_waiting(struct env_mail *mail, struct env *env)
{
    struct http_job *job = container_of(mail, struct http_job, cancel);
    job->cancelling = false;
    (void)env;
    if (job->answered) {
        job_free_if_done(job);
    } else if (job->sent) { /* the thread has started meanwhile */
        job->cancelling = true;
        job->cancel.run = job_cancel;
        wake(job->c, &job->cancel);
    } else {
        http_transfer_fail(&job->transfer, HTTP_CANCELLED, "cancelled");
        job_answer(job);
    }
}

static void do_cancel(struct http_client *client, struct http_call *call)
{
    struct http_curl *c = curl_of(client);
    struct http_job *job = call->private;
    if (!job || job->cancelling)
        return;
    job->cancelling = true;
    job->cancel.run = job->sent ? job_cancel : cancel_waiting;
    if (job->sent)
        wake(c, &job->cancel);
    else
        post_back(c, &job->cancel);
}

static const struct http_client_ops ops = {.call = do_call, .cancel = do_cancel};

struct http_client *http_curl_make(const struct http_curl_conf *conf)
{
    struct http_curl *c = mem_zalloc(1, sizeof *c);
    c->client.ops = &ops;
    c->magic = HTTP_CURL_MAGIC;
    c->conf = *conf;
    c->transfer_conf = (struct http_transfer_conf){
        .ca_file = conf->ca_file, .proxy = conf->proxy, .private_allowed = conf->private_allowed};
    list_init(&c->jobs);
    list_init(&c->active);
    mailbox_init(&c->box);
    return &c->client;
}

void http_curl_stop(struct http_client *client)
{
    struct http_curl *c = curl_of(client);
    /* The thread may be starting: it either sees this or can be woken. */
    atomic_store(&c->stop, true);
    if (atomic_load(&c->wakes))
        c->transfer_conf.curl->multi_wakeup(c->multi);
    if (c->state != THREAD_NONE)
        thread_join(c->thread);
    c->state = THREAD_NONE;
}

void http_curl_free(struct http_client *client)
{
    struct http_curl *c = curl_of(client);
    weir_assert(c->state == THREAD_NONE);
    list_for_safe (it, &c->jobs) {
        struct http_job *job = container_of(it, struct http_job, link);
        list_remove(&job->link);
        http_transfer_free(&job->transfer);
        mem_free(job);
    }
    c->magic = 0;
    mem_free(c);
}
