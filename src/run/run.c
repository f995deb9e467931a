#include "run/run.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "run/compute.h"
#include "run/desk.h"
#include "run/marker.h"
#include "run/pipeline.h"
#include "run/plan.h"
#include "run/protocol.h"
#include "run/transport_mpi.h"
#include "whypix/version.h"

typedef struct run {
    const why_run_options *o;
    why_patience patience;
    why_run_report report;
    why_world *world;
    char *job_file;
    why_plan *plan;
    why_pipeline *pipeline;     /* of this process's worker, or NULL: */
    why_compute *compute;       /* ... it computes in another process (supervised), */
    bool idle;                  /* ... or there is no worker here (supervised, rank 0) */
    why_queue *queue;           /* end 0: this process's main thread, end 1: its worker */
    why_total_metric *metrics;
    why_totals sent;            /* by this rank's worker */
    why_status worker_status;
    bool everyone, stranded;    /* stranded: the worker hangs in an image and still uses all of this */
    /* rank 0 only */
    why_store *store;
    int64_t run_id, first_shard;
    int *todo;                  /* indices into plan->images */
    int n_todo;
    struct sigaction old_usr1, old_term, old_int;
    double began;
    why_marker marker;
    double marked;
    bool given_up;              /* by the supervisor: another launch may have begun */
    bool again;                 /* workers are missing: another launch would go on */
} run;

/* Workers wait longer for rank 0 than a commit can take that is held up by readers (ten times a minute). */
why_patience why_patience_defaults(void) {
    const why_coordinator_options rules = why_coordinator_defaults(1, 0);
    return (why_patience){.beat = rules.beat_every, .silence = rules.silence, .image = rules.least, .goodbye = rules.goodbye,
                          .rank0 = 900, .start = 1800};
}

/* ---------------------------------------------------------------- signals */
/* The only variable that is not somebody's: a handler has no other way to say anything. Blocking the signals and asking
 * for them would do without, but OpenBLAS starts threads before main() does, and those would not block them. */
static volatile sig_atomic_t drain_signals;

static void on_signal(int signal) {
    (void)signal;
    drain_signals = 1;
}

/* SIGTERM and SIGINT work once: who asks twice does not want to wait. Under mpirun both end in a SIGKILL a second later,
 * too soon to drain, so they keep their effect. SIGUSR1 reaches every rank; those without the coordinator ignore it. */
static void catch_signals(run *r) {
    struct sigaction usr1 = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction once = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    drain_signals = 0;
    sigaction(SIGUSR1, &usr1, &r->old_usr1);
    sigaction(SIGTERM, why_world_launched() ? NULL : &once, &r->old_term);
    sigaction(SIGINT, why_world_launched() ? NULL : &once, &r->old_int);
}

static void release_signals(const run *r) {
    sigaction(SIGUSR1, &r->old_usr1, NULL);
    sigaction(SIGTERM, &r->old_term, NULL);
    sigaction(SIGINT, &r->old_int, NULL);
}

/* ---------------------------------------------------------------- the supervisor's marker (rank 0) */
enum { MARK_EVERY = 2 };

static bool marks(const run *r) { return r->o->marker && why_world_rank(r->world) == 0; }

/* Another launch's token: this one was given up. A marker that cannot be written is no reason to stop a run. */
static void mark(run *r, why_marker_phase phase) {
    why_marker now;
    const double t = why_clock();
    if (!marks(r) || r->given_up || (phase == r->marker.phase && t - r->marked < MARK_EVERY)) return;
    r->given_up = why_marker_read(r->o->marker, &now) != WHY_OK || now.token != r->marker.token;
    if (r->given_up) return;
    r->marked = t;
    r->marker.phase = phase;
    r->marker.beat++;
    if (why_marker_write(r->o->marker, false, &r->marker)) r->marked = t;
}

static why_status begin_marking(run *r) {
    if (!marks(r)) return WHY_OK;
    WHY_TRY(why_marker_read(r->o->marker, &r->marker));
    why_marker_sign(&r->marker);
    mark(r, WHY_MARKER_STARTING);
    return WHY_OK;
}

static void mark_end(run *r, why_status st, int code) {
    r->marker.status = st;
    r->marker.code = code;
    r->marker.again = !st && r->again;
    mark(r, WHY_MARKER_ENDED);
}

static bool drain_asked(void *ctx) {
    return drain_signals != 0 || ((const run *)ctx)->given_up;
}

/* ---------------------------------------------------------------- progress */
static void tell(run *r) {
    if (r->o->report) r->o->report(r->o->ctx, &r->report);
}

static void on_progress(void *ctx, const why_coordinator_view *v) {
    run *r = ctx;
    why_run_report *p = &r->report;
    p->phase = WHY_RUN_GOES_ON;
    p->closed = v->closed;
    p->failed = v->failed;
    p->workers = v->live;
    p->lost = v->lost;
    p->stopping = v->stopping;
    p->trouble = v->trouble;
    p->seconds = why_clock() - r->began;
    p->rate = p->seconds > 0 ? v->closed / p->seconds : 0;
    p->left = v->closed > 0 ? (v->images - v->closed) / p->rate : -1;
    tell(r);
    mark(r, WHY_MARKER_WORKING);
}

/* ---------------------------------------------------------------- what is to be done (rank 0) */
typedef struct known { int64_t id; int index; } known;
typedef struct search { known *images; int n; uint8_t *missing; } search;

static int by_id(const void *a, const void *b) {
    const int64_t x = ((const known *)a)->id, y = ((const known *)b)->id;
    return (x > y) - (x < y);
}

static why_status note_missing(void *ctx, int64_t image_id, int cells) {
    search *s = ctx;
    const known key = {.id = image_id};
    const known *k = bsearch(&key, s->images, (size_t)s->n, sizeof key, by_id);
    (void)cells;
    if (k) s->missing[k->index] = 1;
    return WHY_OK;
}

static why_status first_number(void *ctx, int n, const char *const *values, const char *const *names) {
    (void)n;
    (void)names;
    *(int64_t *)ctx = values[0] ? strtoll(values[0], NULL, 10) : 0;
    return WHY_OK;
}

/* The database may hold cells of other jobs; an image that misses only those has nothing to do here. */
static why_status misses_ours(run *r, int64_t image_id, const uint64_t *ours, bool *yes) {
    uint64_t *cells;
    size_t n;
    *yes = false;
    WHY_TRY(why_store_todo(r->store, image_id, &cells, &n));
    for (size_t i = 0; i < n; i++) *yes = *yes || (cells[i] & ours[i]);
    free(cells);
    return WHY_OK;
}

static why_status keep_ours(run *r, search *s) {
    int64_t cells = 0;
    uint64_t *ours;
    WHY_TRY(why_store_query(r->store, "SELECT count(*) FROM cell", first_number, &cells));
    if (cells == r->plan->n_cells) return WHY_OK;
    WHY_TRY(why_alloc(65536 / 64, sizeof *ours, "cells of the job", &ours));
    for (int i = 0; i < r->plan->n_cells; i++) ours[r->plan->cells[i].id / 64] |= UINT64_C(1) << (r->plan->cells[i].id % 64);
    why_status st = WHY_OK;
    for (int i = 0; !st && i < s->n; i++) {
        bool yes;
        if (!s->missing[i]) continue;
        st = misses_ours(r, r->plan->images[i].id, ours, &yes);
        s->missing[i] = !st && yes;
    }
    free(ours);
    return st;
}

/* Slices are strided, for lists are often sorted by class or size. */
static bool in_part(const why_run_options *o, int64_t i) {
    return (o->limit < 0 || i < o->limit) && (o->slices == 0 || i % o->slices == o->slice);
}

/* In the order of the list, which may be a shuffled one. */
static why_status list_todo(run *r, search *s) {
    for (int i = 0; i < s->n; i++) s->images[i] = (known){r->plan->images[i].id, i};
    qsort(s->images, (size_t)s->n, sizeof *s->images, by_id);
    WHY_TRY(why_store_each_todo(r->store, note_missing, s));
    WHY_TRY(keep_ours(r, s));
    WHY_TRY(why_alloc((size_t)s->n, sizeof *r->todo, "images to do", &r->todo));
    for (int i = 0; i < s->n; i++)
        if (s->missing[i] && in_part(r->o, i)) r->todo[r->n_todo++] = i;
    r->report.todo = r->n_todo;
    return WHY_OK;
}

static why_status find_todo(run *r) {
    search s = {.n = r->plan->n_images};
    why_status st = why_alloc((size_t)s.n, sizeof *s.images, "images of the job", &s.images);
    if (!st) st = why_alloc((size_t)s.n, 1, "images of the job", &s.missing);
    if (!st) st = list_todo(r, &s);
    free(s.images);
    free(s.missing);
    return st;
}

/* ---------------------------------------------------------------- beginning */
static why_status start_run_row(run *r, int64_t job_id) {
    char cpu[64], host[64] = "", text[256], uid[65], started[32];
    struct timespec t;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &utc);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    why_cpu_model(cpu);
    snprintf(text, sizeof text, "%s %ld %lld.%09ld", host, (long)getpid(), (long long)t.tv_sec, t.tv_nsec);
    why_sha256(text, strlen(text), uid);
    snprintf(r->plan->maps_part, sizeof r->plan->maps_part, "%.12s", uid);
    char *job_file = realpath(r->job_file, NULL); /* for a re-run from another folder; NULL is no harm */
    const why_run_row row = {.job_file = job_file, .uid = uid, .started = started, .version = WHYPIX_VERSION, .cpu = cpu, .kernel = why_isa_name(why_cpu_isa()),
                             .precision = "fp32", .slurm = getenv("SLURM_JOB_ID"), .job_id = job_id, .ranks = r->report.ranks, .threads = r->report.threads};
    why_status st = why_store_begin(r->store);
    if (!st) {
        st = why_store_start_run(r->store, &row, &r->run_id);
        if (st) why_store_rollback(r->store);
        else st = why_store_commit(r->store);
    }
    free(job_file);
    return st;
}

/* A re-run must not bring a job into the database that it never held. */
static why_status choose_again(run *r) {
    int64_t job_id, n;
    WHY_TRY(why_store_find_job(r->store, r->plan->uid, &job_id));
    if (job_id == 0)
        return why_fail(WHY_EJOB, "%s: %s does not hold results of this job; did the file change since? Then use 'whypix run'", r->job_file,
                        r->plan->database);
    return why_store_select(r->store, r->o->rerun, &n);
}

static why_status open_database(run *r) {
    int64_t job_id, last_shard = 0;
    if (!r->o->rerun && why_make_dirs_for(r->plan->database)) return why_fail_in(WHY_ESTORE, "%s", r->plan->database);
    WHY_TRY(why_store_open(r->plan->database, &r->store));
    if (r->o->rerun) WHY_TRY(choose_again(r));
    WHY_TRY(why_plan_sync(r->plan, r->store, &job_id));
    WHY_TRY(find_todo(r));
    WHY_TRY(why_store_query(r->store, "SELECT max(id) FROM shard", first_number, &last_shard));
    r->first_shard = last_shard + 1;
    return start_run_row(r, job_id);
}

static why_status copy_text(void *ctx, int n, const char *const *values, const char *const *names) {
    (void)n;
    (void)names;
    why_buf_text(ctx, values[0] ? values[0] : "");
    return WHY_OK;
}

/* Rank 0. The database must be there already: a re-run makes none. */
static why_status last_job_file(run *r) {
    why_store *s;
    why_buf b = {0};
    WHY_TRY(why_store_open_readonly(r->o->database, &s));
    why_status st = WHY_OK;
    if (r->o->job_file) why_buf_text(&b, r->o->job_file);
    else st = why_store_query(s, "SELECT job_file FROM run ORDER BY id DESC LIMIT 1", copy_text, &b);
    why_store_close(&s);
    if (!st) st = why_buf_take(&b, &r->job_file);
    why_buf_clear(&b);
    if (st || access(r->job_file, R_OK) == 0) return st;
    return why_fail(WHY_EFILE, "%s: its job file %s cannot be read here: name it with --job", r->o->database, r->job_file);
}

static why_status find_job_file(run *r) {
    why_buf b = {0};
    if (!r->o->rerun) return why_strdup(r->o->job_file, &r->job_file);
    const bool first = why_world_rank(r->world) == 0;
    why_status st = why_world_agree(r->world, first ? last_job_file(r) : WHY_OK);
    if (!st && first) why_buf_text(&b, r->job_file);
    if (!st) st = why_world_broadcast(r->world, &b);
    if (!st && !first) st = why_buf_take(&b, &r->job_file);
    why_buf_clear(&b);
    return st;
}

static why_status read_job(run *r) {
    WHY_TRY(why_plan_create(r->job_file, &r->plan));
    if (r->o->database) WHY_TRY(why_plan_set_database(r->plan, r->o->database));
    if (r->o->beside) WHY_TRY(why_plan_set_beside(r->plan, r->o->beside));
    why_run_report *p = &r->report;
    p->job = r->plan->name;
    p->database = r->plan->database;
    p->maps_dir = r->plan->maps_dir;
    p->overlays_dir = r->plan->overlays_first > 0 ? r->plan->overlays_dir : NULL;
    p->cells = r->plan->n_cells;
    for (int i = 0; i < r->plan->n_images; i++) p->images += in_part(r->o, i);
    int sharers = why_world_sharers(r->world);
    if (r->o->marker && sharers > 1 && why_world_beside_root(r->world)) sharers--; /* rank 0 only coordinates */
    return r->o->choose_threads(r->o->ctx, r->plan->threads, sharers, &p->threads, &p->threads_from);
}

/* Every rank made the plan by itself; the ids are the database's, which only rank 0 has seen. */
static why_status share_ids(run *r) {
    why_buf ids = {0};
    if (why_world_rank(r->world) == 0) why_plan_ids_write(r->plan, &ids);
    why_status st = why_world_agree(r->world, why_buf_status(&ids));
    if (!st) st = why_world_broadcast(r->world, &ids);
    if (!st && why_world_rank(r->world) != 0) st = why_plan_ids_read(r->plan, ids.data, ids.size);
    why_buf_clear(&ids);
    char *part = r->plan->maps_part; /* the run; from here on the rank, too */
    snprintf(part + strlen(part), sizeof r->plan->maps_part - strlen(part), "-%04d", why_world_rank(r->world));
    return st;
}

static int by_metric_id(const void *a, const void *b) {
    const int64_t x = ((const why_total_metric *)a)->id, y = ((const why_total_metric *)b)->id;
    return (x > y) - (x < y);
}

static why_status start_compute(run *r) {
    why_buf ids = {0};
    why_plan_ids_write(r->plan, &ids);
    why_status st = why_buf_status(&ids);
    const why_compute_order order = {.job_file = r->job_file, .database = r->o->database, .beside = r->o->beside,
                                     .threads = r->report.threads, .ids = &ids};
    if (!st) st = why_compute_start(&order, &r->compute);
    why_buf_clear(&ids);
    return st;
}

static why_status prepare_worker(run *r) {
    const int n = r->plan->n_metrics;
    WHY_TRY(why_alloc((size_t)n, sizeof *r->metrics, "metrics", &r->metrics));
    for (int i = 0; i < n; i++) {
        const why_plan_metric *m = &r->plan->metrics[i];
        r->metrics[i] = (why_total_metric){m->id, m->metric->lo, m->metric->hi};
    }
    qsort(r->metrics, (size_t)n, sizeof *r->metrics, by_metric_id);
    WHY_TRY(why_totals_create(r->metrics, n, &r->sent));
    WHY_TRY(why_queue_create(2, &r->queue));
    r->idle = marks(r);
    if (r->idle || r->o->work) return WHY_OK;
    return r->o->marker ? start_compute(r) : why_pipeline_create(r->plan, r->report.threads, &r->pipeline);
}

/* Each step ends with an agreement, so that no rank waits for another that has given up. */
static why_status begin(run *r) {
    WHY_TRY(why_world_agree(r->world, begin_marking(r)));
    WHY_TRY(why_world_agree(r->world, find_job_file(r)));
    WHY_TRY(why_world_agree(r->world, read_job(r)));
    WHY_TRY(why_world_agree(r->world, why_world_rank(r->world) == 0 ? open_database(r) : WHY_OK));
    WHY_TRY(why_world_agree(r->world, share_ids(r)));
    return why_world_agree(r->world, prepare_worker(r));
}

/* ---------------------------------------------------------------- work */
static why_status run_pipeline(void *ctx, const why_task *task, why_buf *record) { return why_pipeline_image(ctx, task, record); }

static void choose_work(const run *r, why_worker_options *o) {
    o->work = r->o->work ? r->o->work : r->compute ? why_compute_image : run_pipeline;
    o->ctx = r->o->work ? (void *)r->plan : r->compute ? (void *)r->compute : (void *)r->pipeline;
}

static void *work(void *arg) {
    run *r = arg;
    why_worker_options o = {.link = why_queue_end(r->queue, 1), .coordinator = 0, .threads = r->report.threads};
    choose_work(r, &o);
    r->worker_status = why_worker_run(&o, &r->sent);
    return NULL;
}

static why_status coordinate(run *r, why_desk_result *result) {
    why_desk_options o = {.plan = r->plan,
                          .store = r->store,
                          .run_id = r->run_id,
                          .todo = r->todo,
                          .local = r->idle ? NULL : why_queue_end(r->queue, 0),
                          .world = why_world_transport(r->world),
                          .rules = why_coordinator_defaults(why_world_size(r->world), r->n_todo),
                          .metrics = r->metrics,
                          .n_metrics = r->plan->n_metrics,
                          .drain = drain_asked,
                          .progress = on_progress,
                          .ctx = r};
    o.rules.shard = r->plan->shard;
    o.rules.first_shard = r->first_shard;
    o.rules.stop_on_failure = r->plan->on_bad_image_stop;
    o.rules.supervised = r->o->marker != NULL;
    o.rules.beat_every = r->patience.beat;
    o.rules.silence = r->patience.silence;
    o.rules.least = r->patience.image;
    o.rules.goodbye = r->patience.goodbye;
    r->report.phase = WHY_RUN_BEGINS;
    tell(r);
    r->began = why_clock();
    return why_desk_run(&o, result);
}

static void break_off(void *compute) { why_compute_break_off(compute); }

static why_status relay(run *r) {
    const why_relay_options o = {.beat_every = r->patience.beat, .silence = r->patience.rank0,
                                 .break_off = r->compute ? break_off : NULL, .ctx = r->compute};
    const why_status st = why_relay_run(why_queue_end(r->queue, 0), why_world_transport(r->world), &o, &r->everyone);
    if (r->compute && !r->everyone) why_compute_break_off(r->compute); /* nobody waits for its image; it may never end */
    return st;
}

/* The main thread's part while the worker computes. */
static why_status main_part(run *r, why_desk_result *result) {
    if (why_world_rank(r->world) != 0) return relay(r);
    const why_status st = coordinate(r, result);
    r->everyone = result->everyone;
    r->stranded = !result->local_left;
    return st;
}

/* End the worker of this process before it was given anything. */
static why_status dismiss(run *r, why_status why) {
    const why_status st = why_message_send(why_queue_end(r->queue, 0), 1, &(why_message){.type = WHY_MSG_STOP, .flag = 1});
    r->stranded = st != WHY_OK;
    return why;
}

static why_status compute(run *r, why_desk_result *result) {
    pthread_t id;
    const int failed = r->idle ? 0 : pthread_create(&id, NULL, work, r);
    why_status st = why_world_agree(r->world, failed ? why_fail(WHY_ENOMEM, "worker thread: %s", strerror(failed)) : WHY_OK);
    if (!st) st = main_part(r, result);
    else if (!failed && !r->idle) st = dismiss(r, st); /* another rank has none */
    if (!failed && !r->idle && !r->stranded) pthread_join(id, NULL);
    return st;
}

/* ---------------------------------------------------------------- end */
/* What the workers sent must be what was stored, to the last bit. A worker that ended without its acknowledgements does
 * not know what was stored, so then there is nothing to compare. */
static why_status cross_check(run *r, why_status st, const why_totals *applied) {
    WHY_TRY(why_world_agree(r->world, st));
    if (why_world_agree(r->world, r->worker_status)) return WHY_OK;
    WHY_TRY(why_world_merge(r->world, r->sent.parts, 1 + r->sent.n_metrics));
    return why_world_rank(r->world) == 0 ? why_totals_compare(&r->sent, applied) : WHY_OK;
}

static why_status end_run_row(run *r, int code) {
    WHY_TRY(why_store_begin(r->store));
    const why_status st = why_store_end_run(r->store, r->run_id, code <= 1 ? "done" : code == 75 ? "interrupted" : "failed");
    if (st) {
        why_store_rollback(r->store);
        return st;
    }
    return why_store_commit(r->store);
}

static why_status conclude(run *r, const why_desk_result *d, int *exit_code) {
    int64_t failed = 0;
    /* A cell that can never be (the mask of an image without one) is a row, but no failure. */
    WHY_TRY(why_store_query(r->store, "SELECT count(DISTINCT e.image_id) FROM failure f JOIN explanation e ON e.image_id = f.image_id"
                            " AND e.cell_id = ifnull(f.cell_id, e.cell_id) WHERE e.status = 'failed'", first_number, &failed));
    *exit_code = d->exit_code == 0 && failed > 0 ? 1 : d->exit_code;
    WHY_TRY(end_run_row(r, *exit_code));
    on_progress(r, &d->view);
    r->report.phase = WHY_RUN_ENDS;
    r->report.all_failed = (int)failed;
    r->report.trouble = d->trouble;
    r->report.exit_code = *exit_code;
    tell(r);
    return WHY_OK;
}

static why_status run_all(run *r, int *exit_code) {
    why_desk_result d = {0};
    WHY_TRY(begin(r));
    why_status st = compute(r, &d);
    r->again = !st && d.exit_code == 3;
    mark(r, WHY_MARKER_ENDING);
    if (r->everyone) st = cross_check(r, st, &d.applied);
    if (!st && why_world_rank(r->world) == 0) st = conclude(r, &d, exit_code);
    why_totals_clear(&d.applied);
    return st;
}

static void clear(run *r) {
    why_store_close(&r->store);
    if (r->stranded) return;
    why_compute_stop(&r->compute);
    why_pipeline_destroy(&r->pipeline);
    why_queue_destroy(&r->queue);
    why_totals_clear(&r->sent);
    why_plan_destroy(&r->plan);
    free(r->metrics);
    free(r->todo);
    free(r->job_file);
    free(r);
}

why_status why_run(const why_run_options *options, why_run_result *result) {
    run *r;
    *result = (why_run_result){0};
    WHY_TRY(why_alloc(1, sizeof *r, "run", &r)); /* not on the stack: see stranded */
    r->o = options;
    r->everyone = true;
    r->patience = options->patience ? *options->patience : why_patience_defaults();
    catch_signals(r);
    why_status st = why_world_create(&r->world);
    if (!st) {
        result->rank = why_world_rank(r->world);
        r->report.ranks = why_world_size(r->world);
        st = run_all(r, &result->exit_code);
        result->must_exit = !r->everyone;
        mark_end(r, st, result->exit_code);
        why_world_destroy(&r->world, r->everyone);
    }
    release_signals(r);
    clear(r);
    return st;
}
