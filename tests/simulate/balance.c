/* balance: does the coordinator keep ten thousand workers busy? Virtual workers with measured costs per image against
 * the real coordinator; a share of them dies every hour. Prints how much of the workers' time went into images, and
 * what the coordinator itself needed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run/coordinator.h"
#include "whypix/rng.h"

/* Seconds of computing per image, relative to the mean: 64 images of two runs with LIME, KernelSHAP and Grad-CAM. */
static const double costs[] = {
    0.752, 0.792, 0.799, 0.816, 0.833, 0.836, 0.839, 0.859, 0.878, 0.884, 0.894, 0.898, 0.899, 0.906, 0.909, 0.947,
    0.950, 0.952, 0.953, 0.958, 0.960, 0.973, 0.980, 0.995, 1.006, 1.012, 1.041, 1.064, 1.074, 1.078, 1.086, 1.089,
    1.131, 1.182, 1.222, 1.226, 1.245, 1.269, 1.331, 1.481, 0.761, 0.769, 0.774, 0.781, 0.816, 0.821, 0.826, 0.837,
    0.852, 0.867, 0.876, 0.876, 0.888, 0.907, 0.912, 0.914, 0.998, 1.054, 1.105, 1.204, 1.215, 1.215, 1.332, 2.400,
};
#define LATENCY 0.01 /* seconds of a message */
#define ROUND   0.01 /* seconds between two ticks: what the desk hears in that time is one batch */

typedef enum kind { HELLO, ARRIVAL, IMAGE_DONE, STOPPED, DEATH, BEATS } kind;
typedef struct event { double at; kind kind; int worker; int64_t shard; int first, n; } event;
typedef struct piece { int64_t shard; int next, end; } piece; /* images of a shard that wait */

typedef struct virtual_worker { piece queue[4]; int n, dead; double busy, died; bool computing, stopping; } virtual_worker;

typedef struct farm {
    why_coordinator *c;
    why_rng rng;
    event *heap; size_t n_heap, capacity;
    virtual_worker *workers; int n_workers;
    uint8_t *done; int images, stored;
    double mean, now, useful, last_stored;
    long events, shards;
    bool finished;
} farm;

/* ---------------------------------------------------------------- events */
static void put(farm *f, event e) {
    if (f->n_heap == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 1024;
        f->heap = realloc(f->heap, f->capacity * sizeof *f->heap);
        if (!f->heap) abort();
    }
    size_t i = f->n_heap++;
    for (; i > 0 && e.at < f->heap[(i - 1) / 2].at; i = (i - 1) / 2) f->heap[i] = f->heap[(i - 1) / 2];
    f->heap[i] = e;
}

static event take(farm *f) {
    const event top = f->heap[0], last = f->heap[--f->n_heap];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < f->n_heap; i = k) {
        if (k + 1 < f->n_heap && f->heap[k + 1].at < f->heap[k].at) k++;
        if (f->heap[k].at >= last.at) break;
        f->heap[i] = f->heap[k];
    }
    f->heap[i] = last;
    return top;
}

/* ---------------------------------------------------------------- workers */
static void begin_next(farm *f, int index) {
    virtual_worker *w = &f->workers[index];
    if (w->computing || w->n == 0) return;
    piece *p = &w->queue[0];
    const double cost = f->mean * costs[why_rng_below(&f->rng, sizeof costs / sizeof *costs)];
    put(f, (event){.at = f->now + cost, .kind = IMAGE_DONE, .worker = index, .shard = p->shard, .first = p->next});
    w->computing = true;
    w->busy = f->now;
    if (++p->next == p->end) memmove(w->queue, w->queue + 1, (size_t)--w->n * sizeof *w->queue);
}

static void arrive(farm *f, const event *e) {
    virtual_worker *w = &f->workers[e->worker];
    if (w->n == 4) abort(); /* never more than two shards ahead */
    w->queue[w->n++] = (piece){e->shard, e->first, e->first + e->n};
    begin_next(f, e->worker);
}

static void store(farm *f, int image) {
    if (f->done[image]++) abort(); /* twice */
    f->stored++;
    f->last_stored = f->now;
}

static void perform(farm *f, const why_action *a) {
    if (a->type == WHY_ACTION_STORE) store(f, a->image);
    if (a->type == WHY_ACTION_FAIL_IMAGE) store(f, a->image);
    if (a->type == WHY_ACTION_FINISH) f->finished = true;
    if (a->type == WHY_ACTION_STOP) put(f, (event){.at = f->now + LATENCY, .kind = STOPPED, .worker = a->worker});
    if (a->type != WHY_ACTION_SEND_SHARD) return;
    f->shards++;
    put(f, (event){.at = f->now + LATENCY, .kind = ARRIVAL, .worker = a->worker, .shard = a->shard, .first = a->first, .n = a->n});
}

static void happen(farm *f, why_event e) {
    e.now = f->now;
    f->events++;
    if (why_coordinator_handle(f->c, &e)) abort();
    for (why_action a; why_coordinator_next(f->c, &a);) perform(f, &a);
}

static void image_done(farm *f, const event *e) {
    virtual_worker *w = &f->workers[e->worker];
    w->computing = false;
    if (!f->done[e->first]) f->useful += f->now - w->busy;
    happen(f, (why_event){.type = WHY_EVENT_RESULT, .worker = e->worker, .shard = e->shard, .image = e->first, .wall = f->now - w->busy});
    begin_next(f, e->worker);
    if (w->stopping && !w->computing) happen(f, (why_event){.type = WHY_EVENT_BYE, .worker = e->worker});
}

static void stopped(farm *f, int index) {
    virtual_worker *w = &f->workers[index];
    w->stopping = true;
    w->n = 0;
    if (!w->computing) happen(f, (why_event){.type = WHY_EVENT_BYE, .worker = index});
}

static void beat_all(farm *f) {
    for (int w = 0; w < f->n_workers; w++)
        if (!f->workers[w].dead) happen(f, (why_event){.type = WHY_EVENT_BEAT, .worker = w});
    put(f, (event){.at = f->now + 15, .kind = BEATS});
}

static void live(farm *f, const event *e) {
    if (e->kind != BEATS && f->workers[e->worker].dead) return;
    switch (e->kind) {
    case HELLO: happen(f, (why_event){.type = WHY_EVENT_HELLO, .worker = e->worker}); break;
    case ARRIVAL: arrive(f, e); break;
    case IMAGE_DONE: image_done(f, e); break;
    case STOPPED: stopped(f, e->worker); break;
    case DEATH:
        f->workers[e->worker].dead = 1;
        f->workers[e->worker].died = f->now;
        break;
    case BEATS: beat_all(f); break;
    }
}

/* ---------------------------------------------------------------- a run */
static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Deaths are a Poisson process: a worker's lifetime is exponential. */
static void populate(farm *f, double lost_per_hour) {
    for (int w = 0; w < f->n_workers; w++) {
        put(f, (event){.at = why_rng_uniform(&f->rng), .kind = HELLO, .worker = w});
        if (lost_per_hour > 0) put(f, (event){.at = -log(1 - why_rng_uniform(&f->rng)) * 3600 / lost_per_hour, .kind = DEATH, .worker = w});
    }
    put(f, (event){.at = 15, .kind = BEATS});
}

static void run(farm *f) {
    for (double tick = 0; !f->finished;) {
        if (f->heap[0].at <= tick) {
            const event e = take(f);
            f->now = e.at;
            live(f, &e);
            continue;
        }
        f->now = tick;
        happen(f, (why_event){.type = WHY_EVENT_TICK});
        tick = fmax(tick + ROUND, fmin(f->heap[0].at, tick + 0.5));
    }
}

/* Time of all workers until the run ends, the dead ones' until they died. */
static double worker_seconds(const farm *f) {
    double sum = 0;
    for (int w = 0; w < f->n_workers; w++) sum += f->workers[w].dead ? f->workers[w].died : f->now;
    return sum;
}

static int farm_run(int workers, int images, double mean, double lost_per_hour) {
    farm f = {.rng = why_rng_at((why_stream){.key = 0xba1a}, 1), .n_workers = workers, .images = images, .mean = mean};
    why_coordinator_options o = why_coordinator_defaults(workers, images);
    f.workers = calloc((size_t)workers, sizeof *f.workers);
    f.done = calloc((size_t)images, 1);
    if (!f.workers || !f.done || why_coordinator_create(&o, &f.c)) abort();
    populate(&f, lost_per_hour);
    const double before = cpu();
    run(&f);
    const double spent = cpu() - before, efficiency = 100 * f.useful / worker_seconds(&f);
    int lost = 0;
    for (int w = 0; w < workers; w++) lost += f.workers[w].dead;
    printf("%d workers (%d lost), %d images of %.0f s: last record after %.0f s, end after %.0f s, efficiency %.1f %%; %ld shards; %ld events, %.2f us of CPU each\n", workers, lost, images, mean,
           f.last_stored, f.now, efficiency, f.shards, f.events, 1e6 * spent / (double)f.events);
    why_coordinator_destroy(&f.c);
    free(f.heap);
    free(f.workers);
    free(f.done);
    return efficiency >= 95 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: balance WORKERS IMAGES MEAN_SECONDS LOST_PERCENT_PER_HOUR\n"), 2;
    return farm_run(atoi(argv[1]), atoi(argv[2]), atof(argv[3]), atof(argv[4]) / 100);
}
