#define _GNU_SOURCE /* close_range */
#include "run/compute.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/pipeline.h"
#include "run/plan.h"

extern char **environ;

enum { MAX_BODY = 1 << 30 };

/* Both ends are the same program on the same machine, so structures travel as they are. */
typedef struct frame {
    uint32_t status; /* of a reply; then the body is the error's text */
    int32_t threads; /* of the order */
    uint64_t size;   /* of the body: the task of a request, a record in a reply, texts and ids of an order */
} frame;

struct why_compute {
    why_buf order; /* said again to each new process */
    int32_t threads;
    int fd;
    pthread_mutex_t lock; /* of pid: nobody kills a process that was already waited for */
    pid_t pid;            /* 0: none */
    bool broken_off;      /* the process was killed by us */
};

/* ---------------------------------------------------------------- bytes over the socket */
static why_status broken(const char *what) { return why_fail(WHY_EPEER, "compute process: cannot %s: %s", what, strerror(errno)); }

static why_status send_all(int fd, const void *bytes, size_t n) {
    for (const uint8_t *p = bytes; n > 0;) {
        const ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return broken("send");
        p += k;
        n -= (size_t)k;
    }
    return WHY_OK;
}

/* *ended: the other side has closed, before the first byte. */
static why_status receive_all(int fd, void *bytes, size_t n, bool *ended) {
    *ended = false;
    for (uint8_t *p = bytes, *end = p + n; p < end;) {
        const ssize_t k = recv(fd, p, (size_t)(end - p), 0);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return broken("receive");
        if (k == 0 && p == (uint8_t *)bytes) {
            *ended = true;
            return WHY_OK;
        }
        if (k == 0) return why_fail(WHY_EPEER, "compute process: the other side closed within a message");
        p += k;
    }
    return WHY_OK;
}

static why_status send_frame(int fd, frame f, const void *body) {
    WHY_TRY(send_all(fd, &f, sizeof f));
    return send_all(fd, body, f.size);
}

/* The body is owned by the caller and has a NUL behind it. */
static why_status receive_frame(int fd, frame *f, uint8_t **body, bool *ended) {
    *body = NULL;
    WHY_TRY(receive_all(fd, f, sizeof *f, ended));
    if (*ended) return WHY_OK;
    if (f->size > MAX_BODY) return why_fail(WHY_EFORMAT, "compute process: message of %llu bytes", (unsigned long long)f->size);
    WHY_TRY(why_alloc(f->size + 1, 1, "message", body));
    const why_status st = f->size > 0 ? receive_all(fd, *body, f->size, ended) : WHY_OK;
    if (!st && !*ended) return WHY_OK;
    free(*body);
    *body = NULL;
    return st;
}

/* ---------------------------------------------------------------- the rank's side: the process */
static why_status spawn(int fd, pid_t *pid) {
    char parent[24];
    snprintf(parent, sizeof parent, "%lld", (long long)getpid());
    char *argv[] = {"whypix", "compute", parent, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t blocked;
    /* mpirun sends SIGUSR1 to whole process groups; it means the coordinator. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int code = posix_spawn_file_actions_adddup2(&files, fd, WHY_COMPUTE_FD);
    if (!code) code = posix_spawnattr_setsigmask(&attributes, &blocked);
    if (!code) code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (!code) code = posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return code ? why_fail(WHY_EPEER, "compute process: cannot start: %s", strerror(code)) : WHY_OK;
}

static void put_how(int status, char *out, size_t n) {
    static const struct { int number; const char *name; } names[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},   {SIGABRT, "SIGABRT"}, {SIGKILL, "SIGKILL"},
        {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},   {SIGTRAP, "SIGTRAP"}};
    if (!WIFSIGNALED(status)) {
        snprintf(out, n, "exit code %d", WEXITSTATUS(status));
        return;
    }
    snprintf(out, n, "signal %d", WTERMSIG(status));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == WTERMSIG(status)) snprintf(out, n, "%s", names[i].name);
}

/* Take leave of the process, which has closed its end or must go; says how it ended. */
static void bury(why_compute *c, char *how, size_t n) {
    int status = 0;
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    siginfo_t info;
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
    pthread_mutex_lock(&c->lock);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
    c->pid = 0;
    pthread_mutex_unlock(&c->lock);
    put_how(status, how, n);
}

static why_status greet(why_compute *c) {
    frame f;
    uint8_t *text;
    bool ended = false;
    why_status st = send_frame(c->fd, (frame){.threads = c->threads, .size = c->order.size}, c->order.data);
    if (!st) st = receive_frame(c->fd, &f, &text, &ended);
    if (st) return st;
    if (!ended && f.status) st = why_fail((why_status)f.status, "%s", (const char *)text);
    free(text);
    return ended ? why_fail(WHY_EPEER, "compute process: ended before it was ready") : st;
}

static why_status begin(why_compute *c) {
    int ends[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return broken("make a socket");
    const why_status spawned = spawn(ends[1], &pid);
    close(ends[1]);
    c->fd = ends[0];
    if (spawned) return spawned;
    pthread_mutex_lock(&c->lock);
    c->pid = pid;
    c->broken_off = false;
    pthread_mutex_unlock(&c->lock);
    const why_status st = greet(c);
    if (!st) return WHY_OK;
    char how[32];
    why_compute_break_off(c);
    bury(c, how, sizeof how);
    return st;
}

why_status why_compute_start(const why_compute_order *order, why_compute **out) {
    why_compute *c;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *c, "compute process", &c));
    c->fd = -1;
    c->threads = order->threads;
    pthread_mutex_init(&c->lock, NULL);
    const char *texts[] = {order->job_file, order->database ? order->database : "", order->beside ? order->beside : ""};
    for (size_t i = 0; i < 3; i++) why_buf_put(&c->order, texts[i], strlen(texts[i]) + 1);
    why_buf_put(&c->order, order->ids->data, order->ids->size);
    why_status st = why_buf_status(&c->order);
    if (!st) st = begin(c);
    if (st) why_compute_stop(&c);
    *out = c;
    return st;
}

void why_compute_break_off(why_compute *c) {
    pthread_mutex_lock(&c->lock);
    if (c->pid > 0) kill(c->pid, SIGKILL);
    c->broken_off = true;
    pthread_mutex_unlock(&c->lock);
}

void why_compute_stop(why_compute **compute) {
    why_compute *c = *compute;
    char how[32];
    if (!c) return;
    why_compute_break_off(c);
    if (c->pid > 0) bury(c, how, sizeof how);
    if (c->fd >= 0) close(c->fd);
    pthread_mutex_destroy(&c->lock);
    why_buf_clear(&c->order);
    free(c);
    *compute = NULL;
}

/* ---------------------------------------------------------------- the rank's side: images */
/* A process that somebody killed between two images is not that next image's fault. */
static why_status stand_by(why_compute *c) {
    siginfo_t info = {0};
    char how[32];
    const bool gone = c->pid > 0 && waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == c->pid;
    if (gone) bury(c, how, sizeof how);
    return c->pid > 0 ? WHY_OK : begin(c);
}

/* *killed: by SIGKILL, and not by us. */
static why_status try_image(why_compute *c, const why_buf *task, why_buf *record, bool *killed) {
    frame f;
    uint8_t *body = NULL;
    bool ended = false;
    char how[32];
    *killed = false;
    WHY_TRY(stand_by(c));
    why_status st = send_frame(c->fd, (frame){.size = task->size}, task->data);
    if (!st) st = receive_frame(c->fd, &f, &body, &ended);
    if (st || ended) {
        pthread_mutex_lock(&c->lock);
        const bool wanted = c->broken_off;
        pthread_mutex_unlock(&c->lock);
        why_compute_break_off(c); /* of no use any more, however it ended */
        bury(c, how, sizeof how);
        *killed = !wanted && strcmp(how, "SIGKILL") == 0;
        return why_fail(WHY_ECRASH, "%s", how);
    }
    if (f.status) st = why_fail((why_status)f.status, "%s", (const char *)body);
    else why_buf_put(record, body, f.size);
    free(body);
    return st;
}

why_status why_compute_image(void *ctx, const why_task *task, why_buf *record) {
    bool killed;
    why_buf body = {0};
    why_task_put(&body, task);
    why_status st = why_buf_status(&body);
    if (!st) {
        st = try_image(ctx, &body, record, &killed);
        if (killed) st = try_image(ctx, &body, record, &killed);
    }
    why_buf_clear(&body);
    return st;
}

/* ---------------------------------------------------------------- the process's side */
typedef struct office {
    why_plan *plan;
    why_pipeline *pipeline;
} office;

static const char *next_text(const uint8_t **at, const uint8_t *end) {
    const char *text = (const char *)*at;
    const uint8_t *zero = memchr(*at, 0, (size_t)(end - *at));
    *at = zero ? zero + 1 : end;
    return zero ? text : "";
}

static why_status set_up(office *o, int threads, const uint8_t *body, size_t n) {
    const uint8_t *at = body, *end = body + n;
    const char *job_file = next_text(&at, end), *database = next_text(&at, end), *beside = next_text(&at, end);
    WHY_TRY(why_plan_create(job_file, &o->plan));
    if (*database) WHY_TRY(why_plan_set_database(o->plan, database));
    if (*beside) WHY_TRY(why_plan_set_beside(o->plan, beside));
    WHY_TRY(why_plan_ids_read(o->plan, at, (size_t)(end - at)));
    return why_pipeline_create(o->plan, threads, &o->pipeline);
}

static why_status reply(why_status outcome, const why_buf *record) {
    const char *text = why_error_text();
    if (outcome) return send_frame(WHY_COMPUTE_FD, (frame){.status = (uint32_t)outcome, .size = strlen(text)}, text);
    return send_frame(WHY_COMPUTE_FD, (frame){.size = record->size}, record->data);
}

static why_status answer(office *o, const frame *f, const uint8_t *body) {
    why_buf record = {0};
    why_task task;
    size_t at = 0;
    bool more;
    why_status st = why_task_next(body, f->size, &at, &task, &more);
    if (!st && (!more || task.index >= o->plan->n_images)) st = why_fail(WHY_EFORMAT, "compute process: no such image: %d", task.index);
    if (!st) st = why_pipeline_image(o->pipeline, &task, &record);
    if (!st) st = why_buf_status(&record);
    free(task.cells);
    const why_status sent = reply(st, &record);
    why_buf_clear(&record);
    return sent;
}

static why_status serve(office *o) {
    for (bool first = true;; first = false) {
        frame f;
        uint8_t *body;
        bool ended;
        WHY_TRY(receive_frame(WHY_COMPUTE_FD, &f, &body, &ended));
        if (ended) return WHY_OK;
        const why_status st = first ? reply(set_up(o, f.threads, body, f.size), &(why_buf){0}) : answer(o, &f, body);
        free(body);
        if (st) return st;
    }
}

/* The rank's death is ours: a worker that was killed leaves nothing running. Its other files (MPI's) are none of ours. */
why_status why_compute_serve(int64_t parent) {
    office o = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return why_fail(WHY_EARG, "compute is started by 'whypix launch', not by hand");
    close_range(WHY_COMPUTE_FD + 1, ~0U, 0);
    const why_status st = serve(&o);
    why_pipeline_destroy(&o.pipeline);
    why_plan_destroy(&o.plan);
    return st;
}
