/* simulate: many random schedules of the real desk, coordinator, protocol, relays and workers in an invented cluster.
 * After every schedule each image must have ended once, as done (with the one right record) or given up for good reason.
 * The first violation ends the program with its seed; `simulate --seed K --trace` shows that schedule again. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

world *the_world;

void tell(const world *w, const char *fmt, ...) {
    va_list args;
    if (!w->trace) return;
    printf("%2d %9.4f  ", w->launch, fibers_now(w->fibers));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void violated(const world *w, const char *condition, const char *fmt, ...) {
    va_list args;
    fflush(stdout);
    fprintf(stderr, "seed %llu, launch %d, t = %.4f: ", (unsigned long long)w->seed, w->launch, fibers_now(w->fibers));
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n  want: %s\n  again: simulate --seed %llu --trace\n", condition, (unsigned long long)w->seed);
    exit(1);
}

/* ---------------------------------------------------------------- one schedule */
typedef struct tally { long schedules, launches, given_up, images; unsigned long long messages; long happened[FAULT_KINDS]; } tally;

static void draw(world *w) {
    w->n_images = 1 + below(w, MAX_IMAGES);
    w->n_ranks = 1 + below(w, MAX_RANKS);
    w->latency = chance(w, 0.5) ? 0.3 : 0.002;
    w->twice = chance(w, 0.2) ? 0.1 : 0;
    w->reorder = chance(w, 0.2);
    w->poison = chance(w, 0.2) ? below(w, w->n_images) : -1;
    w->poison_left = w->poison < 0 ? 0 : 1 + below(w, 4);
    w->venom = (const fault_kind[]){FAULT_CRASH, FAULT_GIVE_UP, FAULT_COMPUTE_DIES}[below(w, 3)];
    w->apart = w->n_ranks > 1 && chance(w, 0.4);
    w->one_host = chance(w, 0.3);
    w->separate = chance(w, 0.5);
    w->quorum = chance(w, 0.3);
    w->plan = (why_plan){.images = w->images, .n_images = w->n_images, .cells = w->cells, .n_cells = CELLS};
    for (int i = 0; i < w->n_images; i++) w->images[i].id = i + 1;
    for (int c = 0; c < CELLS; c++) w->cells[c].id = c + 1;
}

/* A job from its first launch to its last. */
static void run_schedule(world *w) {
    draw(w);
    do {
        EXPECT(w, w->launch < FAULTY_LAUNCHES + 12, "%d launches were not enough", w->launch);
        launch(w, ++w->launch <= FAULTY_LAUNCHES);
    } while (!ledger_complete(w));
}

static void add(tally *t, const world *w) {
    t->schedules++;
    t->launches += w->launch;
    t->images += w->n_images;
    t->messages += w->messages;
    for (int i = 0; i < w->n_images; i++) t->given_up += w->db.image[i] == GIVEN_UP;
    for (int k = 0; k < FAULT_KINDS; k++) t->happened[k] += w->happened[k];
}

static void schedule(uint64_t seed, bool trace, fibers *f, const why_buf *records, tally *t) {
    world *w = calloc(1, sizeof *w);
    if (!w) abort();
    w->seed = seed;
    w->trace = trace;
    w->fibers = f;
    w->records = records;
    w->rng = why_rng_at((why_stream){.key = 0x51a7e}, seed);
    the_world = w;
    run_schedule(w);
    add(t, w);
    free(w->notes);
    free(w);
}

static void print(const tally *t, double seconds) {
    static const char *const texts[] = {
#define FAULT_TEXT(kind, text) text,
        FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
    };
    printf("%ld schedules of %ld launches, %ld images (%ld given up), %llu messages in %.1f s\n", t->schedules, t->launches, t->images, t->given_up, t->messages, seconds);
    for (int k = 0; k < FAULT_KINDS; k++) printf("%9ld  %s\n", t->happened[k], texts[k]);
}

static double seconds_since(const struct timespec *t0) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - t0->tv_sec) + 1e-9 * (double)(t.tv_nsec - t0->tv_nsec);
}

int main(int argc, char **argv) {
    uint64_t first = 1, runs = 1000;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) trace = true;
        else if (strcmp(argv[i], "--seed") == 0 && ++i) first = strtoull(value, NULL, 10), runs = 1;
        else if (strcmp(argv[i], "--from") == 0 && ++i) first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0 && ++i) runs = strtoull(value, NULL, 10);
        else return fprintf(stderr, "usage: simulate [--from SEED] [--runs N] | --seed SEED [--trace]\n"), 2;
    }
    struct timespec t0;
    why_buf records[MAX_IMAGES] = {0};
    tally t = {0};
    fibers *f = fibers_create();
    if (!f) abort();
    clock_gettime(CLOCK_MONOTONIC, &t0);
    make_records(records);
    for (uint64_t k = 0; k < runs; k++) schedule(first + k, trace, f, records, &t);
    print(&t, seconds_since(&t0));
    for (int i = 0; i < MAX_IMAGES; i++) why_buf_clear(&records[i]);
    fibers_destroy(f);
    return 0;
}
