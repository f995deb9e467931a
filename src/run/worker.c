#include "run/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/protocol.h"

enum { REMEMBERED = 16 };

typedef struct job { why_task task; int64_t shard; int attempt; } job;

/* A record that is not yet acknowledged. */
typedef struct parcel {
    why_message head;
    why_buf record;
    double due, patience; /* when to send it again */
} parcel;

typedef struct worker {
    const why_worker_options *o;
    why_totals *totals;
    job *jobs;       size_t n_jobs, next_job, jobs_capacity; /* a queue: taken from the front */
    parcel *parcels; size_t n_parcels, parcels_capacity;
    why_assembly work;
    int64_t recent[REMEMBERED]; size_t n_recent; /* the last shards, a ring */
    double resend;
    size_t window;
    bool stopping, abandon;
} worker;

static why_status say(worker *w, const why_message *m) { return why_message_send(w->o->link, w->o->coordinator, m); }

/* ---------------------------------------------------------------- what the coordinator says */
/* Move the waiting jobs to the front, so that the queue does not grow over the run. */
static void close_ranks(worker *w) {
    w->n_jobs -= w->next_job;
    if (w->n_jobs > 0) memmove(w->jobs, w->jobs + w->next_job, w->n_jobs * sizeof *w->jobs);
    w->next_job = 0;
}

/* A shard that comes twice is computed once: its acknowledgements must be counted once, too. */
static bool is_new(worker *w, int64_t shard) {
    for (size_t i = 0; i < w->n_recent && i < REMEMBERED; i++)
        if (w->recent[i] == shard) return false;
    w->recent[w->n_recent++ % REMEMBERED] = shard;
    return true;
}

static why_status on_work(worker *w, const why_message *m) {
    bool complete, more = true;
    WHY_TRY(why_assembly_add(&w->work, m, &complete));
    if (!complete) return WHY_OK;
    if (!is_new(w, m->shard)) {
        why_assembly_clear(&w->work);
        return WHY_OK;
    }
    close_ranks(w);
    why_status st = WHY_OK;
    for (size_t at = 0; !st && more;) {
        job j = {.shard = m->shard, .attempt = m->attempt};
        st = why_task_next(w->work.bytes, w->work.head.total, &at, &j.task, &more);
        if (st || !more) break;
        st = why_grow(&w->jobs, &w->jobs_capacity, w->n_jobs + 1, sizeof *w->jobs, "images to explain");
        if (st) free(j.task.cells);
        else w->jobs[w->n_jobs++] = j;
    }
    why_assembly_clear(&w->work);
    return st;
}

/* Drop what has not been begun: of one shard, or of all (shard < 0). */
static void drop_jobs(worker *w, int64_t shard) {
    size_t kept = 0;
    for (size_t i = w->next_job; i < w->n_jobs; i++) {
        if (shard >= 0 && w->jobs[i].shard != shard) w->jobs[kept++] = w->jobs[i];
        else free(w->jobs[i].task.cells);
    }
    w->next_job = 0;
    w->n_jobs = kept;
}

static why_status on_ack(worker *w, const why_message *m) {
    for (size_t i = 0; i < w->n_parcels; i++) {
        parcel *p = &w->parcels[i];
        if (p->head.shard != m->shard || p->head.image != m->image) continue;
        const why_status st = m->flag ? why_totals_add(w->totals, p->record.data, p->record.size) : WHY_OK;
        why_buf_clear(&p->record);
        memmove(p, p + 1, (--w->n_parcels - i) * sizeof *p);
        return st;
    }
    return WHY_OK; /* an acknowledgement that came twice */
}

static why_status obey(worker *w, const why_message *m) {
    switch (m->type) {
    case WHY_MSG_WORK: return w->stopping ? WHY_OK : on_work(w, m);
    case WHY_MSG_ACK: return on_ack(w, m);
    case WHY_MSG_FORGET: drop_jobs(w, m->shard); return WHY_OK;
    case WHY_MSG_STOP:
        w->stopping = true;
        w->abandon = m->flag;
        drop_jobs(w, -1);
        return WHY_OK;
    default: return WHY_OK;
    }
}

/* Everything that has come; waits up to wait_s for the first. What does not check is dropped: see protocol.h. */
static why_status listen(worker *w, double wait_s) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    for (;; wait_s = 0) {
        size_t n;
        int from;
        why_message m;
        WHY_TRY(w->o->link->receive(w->o->link, wait_s, bytes, &n, &from));
        if (n == 0) return WHY_OK;
        if (why_message_decode(bytes, n, &m) == WHY_OK) WHY_TRY(obey(w, &m));
    }
}

/* ---------------------------------------------------------------- what the worker says */
static why_status hello(worker *w) {
    char host[64] = "";
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    return say(w, &(why_message){.type = WHY_MSG_HELLO, .pid = getpid(), .threads = w->o->threads, .data = (const uint8_t *)host,
                                 .size = (uint32_t)strlen(host)});
}

static why_status send_parcel(worker *w, parcel *p) {
    p->due = why_clock() + p->patience;
    p->patience *= 2;
    return why_body_send(w->o->link, w->o->coordinator, &p->head, p->record.data, p->record.size);
}

/* This worker cannot go on: say so, with the image that it was at and the reason. */
static why_status give_up(worker *w, int image) {
    const char *text = why_error_text();
    drop_jobs(w, -1);
    return say(w, &(why_message){.type = WHY_MSG_ERROR, .image = image, .data = (const uint8_t *)text, .size = (uint32_t)strlen(text)});
}

/* The image killed the process that computes for this worker. The next image gets a new one; the coordinator decides what
 * becomes of this. */
static why_status report_crash(worker *w, const job *j) {
    const char *how = why_error_text();
    return say(w, &(why_message){.type = WHY_MSG_CRASH, .shard = j->shard, .image = j->task.image, .data = (const uint8_t *)how,
                                 .size = (uint32_t)strlen(how)});
}

static why_status compute(worker *w, const job *j) {
    why_buf record = {0};
    const double t0 = why_clock();
    why_status st = w->o->work(w->o->ctx, &j->task, &record);
    if (!st) st = why_buf_status(&record);
    if (!st) st = why_grow(&w->parcels, &w->parcels_capacity, w->n_parcels + 1, sizeof *w->parcels, "records on their way");
    if (st) {
        why_buf_clear(&record);
        return st == WHY_ECRASH ? report_crash(w, j) : give_up(w, j->task.image); /* and wait for STOP */
    }
    parcel *p = &w->parcels[w->n_parcels++];
    *p = (parcel){
        .head = {.type = WHY_MSG_RESULT, .shard = j->shard, .image = j->task.image, .attempt = j->attempt, .wall = why_clock() - t0},
        .record = record,
        .patience = w->resend};
    return send_parcel(w, p);
}

static why_status compute_next(worker *w) {
    job j = w->jobs[w->next_job++];
    if (w->next_job == w->n_jobs) w->next_job = w->n_jobs = 0;
    const why_status st = compute(w, &j);
    free(j.task.cells);
    return st;
}

static why_status send_overdue(worker *w) {
    const double now = why_clock();
    for (size_t i = 0; i < w->n_parcels; i++)
        if (w->parcels[i].due <= now) WHY_TRY(send_parcel(w, &w->parcels[i]));
    return WHY_OK;
}

static why_status serve(worker *w) {
    WHY_TRY(hello(w));
    for (;;) {
        const bool may_compute = w->next_job < w->n_jobs && w->n_parcels < w->window;
        WHY_TRY(listen(w, may_compute ? 0 : 0.25));
        WHY_TRY(send_overdue(w));
        if (w->stopping && (w->n_parcels == 0 || w->abandon)) return say(w, &(why_message){.type = WHY_MSG_BYE});
        if (w->next_job < w->n_jobs && w->n_parcels < w->window) WHY_TRY(compute_next(w));
    }
}

why_status why_worker_run(const why_worker_options *options, why_totals *totals) {
    worker w = {.o = options, .totals = totals, .resend = options->resend > 0 ? options->resend : 20,
                .window = options->window > 0 ? (size_t)options->window : 64};
    const why_status st = serve(&w);
    if (st && (give_up(&w, INT32_MAX) || say(&w, &(why_message){.type = WHY_MSG_BYE}))) w.stopping = true; /* no one can be told */
    drop_jobs(&w, -1);
    for (size_t i = 0; i < w.n_parcels; i++) why_buf_clear(&w.parcels[i].record);
    why_assembly_clear(&w.work);
    free(w.jobs);
    free(w.parcels);
    return st;
}

/* ---------------------------------------------------------------- relay */
typedef struct relay {
    why_transport *queue, *world;
    const why_relay_options *o;
    double heard, beaten;
    int64_t broken_off; /* shard, 0: none yet */
    bool closed, everyone;
} relay;

/* Once per shard: told twice, it would hit the image that came after. */
static void break_off(relay *r, int64_t shard) {
    if (r->o->break_off && shard != r->broken_off) r->o->break_off(r->o->ctx);
    r->broken_off = shard;
}

/* What rank 0 says goes to the worker, but for CLOSE, which is for us. */
static why_status from_world(relay *r, int *moved) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    while (!r->closed) {
        size_t n;
        int sender;
        why_message m;
        WHY_TRY(r->world->receive(r->world, 0, bytes, &n, &sender));
        if (n == 0) return WHY_OK;
        ++*moved;
        r->heard = why_clock();
        const bool good = why_message_decode(bytes, n, &m) == WHY_OK;
        r->closed = good && m.type == WHY_MSG_CLOSE;
        if (good && m.type == WHY_MSG_FORGET && m.flag) break_off(r, m.shard);
        if (r->closed) r->everyone = m.flag;
        else WHY_TRY(r->queue->send(r->queue, 1, bytes, n));
    }
    return WHY_OK;
}

static why_status from_worker(relay *r, int *moved) {
    uint8_t bytes[WHY_MESSAGE_MAX];
    for (;;) {
        size_t n;
        int sender;
        WHY_TRY(r->queue->receive(r->queue, 0, bytes, &n, &sender));
        if (n == 0) return WHY_OK;
        ++*moved;
        WHY_TRY(r->world->send(r->world, 0, bytes, n));
    }
}

static why_status keep_in_touch(relay *r) {
    const double now = why_clock();
    if (now - r->heard > r->o->silence) return why_fail(WHY_EPEER, "rank 0 was silent for %.0f s", now - r->heard);
    if (now - r->beaten < r->o->beat_every) return WHY_OK;
    r->beaten = now;
    return why_message_send(r->world, 0, &(why_message){.type = WHY_MSG_BEAT});
}

static why_status relay_all(relay *r) {
    for (int idle = 0; !r->closed;) {
        int moved = 0;
        WHY_TRY(from_world(r, &moved));
        WHY_TRY(from_worker(r, &moved));
        WHY_TRY(keep_in_touch(r));
        if (moved) idle = 0;
        else why_pause(why_backoff(&idle));
    }
    return WHY_OK;
}

why_status why_relay_run(why_transport *queue, why_transport *world, const why_relay_options *options, bool *everyone) {
    relay r = {.queue = queue, .world = world, .o = options, .heard = why_clock(), .beaten = why_clock()};
    const why_status st = relay_all(&r);
    *everyone = r.everyone;
    if (st || !r.everyone) WHY_TRY(why_message_send(queue, 1, &(why_message){.type = WHY_MSG_STOP, .flag = 1}));
    return st;
}
