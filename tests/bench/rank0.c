/* rank0: what rank 0 can take. Workers that compute nothing send records of 150 rows through the real protocol to the
 * real desk, coordinator and database: images per second, memory, and the share of a core that rank 0's thread needs. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "run/desk.h"
#include "run/worker.h"

enum { WORKERS = 4, CELLS = 10, METRICS = 8, SCORES = 5 /* of a cell, the first metrics */, PAIR_METRICS = 2, ROWS = 5 + 2 * CELLS + SCORES * CELLS + 75 };
_Static_assert(SCORES + PAIR_METRICS < METRICS, "metric ids");

typedef struct bench {
    why_plan plan;
    why_plan_image *images;
    why_plan_cell cells[CELLS];
    why_total_metric metrics[METRICS];
    why_store *store;
    why_queue *world;
    int *todo, n;
    double pause;              /* of a worker for an image */
} bench;

typedef struct station { bench *b; int rank; why_totals sent; pthread_t thread; } station;

static void must(why_status st) {
    if (!st) return;
    fprintf(stderr, "rank0: %s\n", why_error_text());
    exit(1);
}

static void *must_get(size_t count, size_t size) {
    void *p = calloc(count, size);
    if (!p) abort();
    return p;
}

/* ---------------------------------------------------------------- the job */
static void put_cells(bench *b) {
    char uid[32];
    why_dict_model model = {.id = 1, .uid = "m", .name = "net", .sha256 = "0", .preprocess = "none", .input = "", .classes = 1000, .params = 1, .macs = 1};
    why_dict_method method = {.id = 1, .uid = "e", .name = "lime", .explainer = "lime", .params = "{}"};
    must(why_store_put_model(b->store, &model));
    must(why_store_put_method(b->store, &method));
    for (int c = 1; c <= CELLS; c++) {
        snprintf(uid, sizeof uid, "c%d", c);
        why_dict_cell cell = {.id = c, .uid = uid, .model_id = 1, .method_id = 1, .target = "label", .repeat = c, .budget = -1, .prefix_of = -1, .transform = ""};
        must(why_store_put_cell(b->store, &cell));
        b->cells[c - 1].id = c;
    }
    for (int m = 1; m <= METRICS; m++) {
        snprintf(uid, sizeof uid, "m%d", m);
        why_dict_metric metric = {.id = m, .uid = uid, .name = uid, .kind = m <= SCORES ? "score" : "pair", .params = "{}", .better = "none", .lo = -1, .hi = 1};
        must(why_store_put_metric(b->store, &metric));
        b->metrics[m - 1] = (why_total_metric){m, -1, 1};
    }
}

static void open_job(bench *b, const char *path) {
    int64_t id;
    char uid[32];
    must(why_store_open(path, &b->store));
    must(why_store_begin(b->store));
    must(why_store_put_job(b->store, "job", "invented", "", "sha", &id));
    put_cells(b);
    for (int i = 1; i <= b->n; i++) {
        snprintf(uid, sizeof uid, "image-%d.png", i);
        why_dict_image image = {.id = i, .uid = uid, .path = uid, .label = i % 1000};
        must(why_store_put_image(b->store, &image));
        b->images[i - 1].id = i;
        b->todo[i - 1] = i - 1;
    }
    must(why_store_start_run(b->store, &(why_run_row){.uid = "run", .job_id = 1, .ranks = WORKERS + 1, .threads = 1}, &id));
    must(why_store_commit(b->store));
    b->plan = (why_plan){.images = b->images, .n_images = b->n, .cells = b->cells, .n_cells = CELLS};
}

/* ---------------------------------------------------------------- records */
static double invented(int image, int a, int b) { return sin(image * 12.9898 + a * 78.233 + b * 37.719); }

static void put_predictions(why_buf *record, int image) {
    for (int k = 0; k < 5; k++) {
        why_row row = {.type = WHY_ROW_PREDICTION};
        row.u.prediction.image_id = image;
        row.u.prediction.model_id = 1;
        row.u.prediction.rank = k;
        row.u.prediction.class_index = (image + k) % 1000;
        row.u.prediction.logit = 10 - k;
        row.u.prediction.prob = 0.5 / (k + 1);
        why_record_put(record, &row);
    }
}

static void put_cell(why_buf *record, int image, int cell) {
    uint8_t thumb[14 * 14 * 4];
    memset(thumb, image, sizeof thumb);
    why_row row = {.type = WHY_ROW_EXPLANATION};
    row.u.explanation.image_id = image;
    row.u.explanation.cell_id = cell;
    row.u.explanation.status = "done";
    row.u.explanation.evaluations = 1000;
    row.u.explanation.fit = row.u.explanation.vmin = invented(image, cell, 0);
    row.u.explanation.residual = row.u.explanation.se_range = NAN;
    row.u.explanation.vmax = 1;
    row.u.explanation.map = "00/00000001.npy";
    row.u.explanation.map_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    row.u.explanation.thumb = thumb;
    row.u.explanation.thumb_size = sizeof thumb;
    row.u.explanation.error = "";
    why_record_put(record, &row);
    row = (why_row){.type = WHY_ROW_TIMING};
    row.u.timing.explanation_id = why_explanation_id(image, cell);
    row.u.timing.wall = row.u.timing.cpu = 0.1;
    why_record_put(record, &row);
    for (int m = 1; m <= SCORES; m++) {
        row = (why_row){.type = WHY_ROW_SCORE};
        row.u.score.explanation_id = why_explanation_id(image, cell);
        row.u.score.metric_id = m;
        row.u.score.value = invented(image, cell, m);
        row.u.score.why = "";
        why_record_put(record, &row);
    }
}

static void put_pair(why_buf *record, int image, int a, int b, int metric) {
    why_row row = {.type = WHY_ROW_PAIR};
    row.u.pair.a = why_explanation_id(image, a);
    row.u.pair.b = why_explanation_id(image, b);
    row.u.pair.metric_id = metric;
    row.u.pair.value = invented(image, a, b + metric);
    row.u.pair.why = "";
    why_record_put(record, &row);
}

static why_status work(void *ctx, const why_task *task, why_buf *record) {
    const station *s = ctx;
    const int image = task->index + 1;
    if (s->b->pause > 0) why_pause(s->b->pause);
    put_predictions(record, image);
    for (int c = 1; c <= CELLS; c++) put_cell(record, image, c);
    int left = ROWS - 5 - 2 * CELLS - SCORES * CELLS;
    for (int m = SCORES + 1; m <= SCORES + PAIR_METRICS; m++)
        for (int a = 1; a <= CELLS; a++)
            for (int b = a + 1; b <= CELLS && left > 0; b++, left--) put_pair(record, image, a, b, m);
    why_record_finish(record);
    return why_buf_status(record);
}

/* ---------------------------------------------------------------- the run */
/* Four stand for many: they do not wait for acknowledgements. */
static void *run_worker(void *arg) {
    station *s = arg;
    const why_worker_options o = {.link = why_queue_end(s->b->world, s->rank), .threads = 1, .work = work, .ctx = s, .window = 1 << 20};
    must(why_worker_run(&o, &s->sent));
    return NULL;
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const bench *b, double wall, double cpu) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%d images of %d rows from %d workers in %.1f s: %.0f images/s; rank 0's thread used %.1f %% of a core; %.0f MB at most\n", b->n, ROWS, WORKERS, wall,
           b->n / wall, 100 * cpu / wall, (double)usage.ru_maxrss / 1024);
}

static int run(bench *b) {
    station stations[WORKERS + 1];
    why_desk_result result;
    must(why_queue_create(WORKERS + 1, &b->world));
    for (int w = 1; w <= WORKERS; w++) {
        stations[w] = (station){.b = b, .rank = w};
        must(why_totals_create(b->metrics, METRICS, &stations[w].sent));
        if (pthread_create(&stations[w].thread, NULL, run_worker, &stations[w])) abort();
    }
    const why_desk_options o = {.plan = &b->plan, .store = b->store, .run_id = 1, .todo = b->todo, .world = why_queue_end(b->world, 0),
                                .rules = why_coordinator_defaults(WORKERS + 1, b->n), .metrics = b->metrics, .n_metrics = METRICS};
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    must(why_desk_run(&o, &result));
    report(b, seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
    for (int w = 1; w <= WORKERS; w++) {
        pthread_join(stations[w].thread, NULL);
        for (int k = 0; w > 1 && k <= METRICS; k++) why_moments_merge(&stations[1].sent.parts[k], &stations[w].sent.parts[k]);
    }
    must(why_totals_compare(&stations[1].sent, &result.applied));
    must(why_store_check_summary(b->store));
    for (int w = 1; w <= WORKERS; w++) why_totals_clear(&stations[w].sent);
    why_totals_clear(&result.applied);
    why_queue_destroy(&b->world);
    return result.exit_code;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: rank0 DATABASE IMAGES [IMAGES_PER_SECOND]   the database must not exist\n"), 2;
    bench b = {.n = atoi(argv[2]), .pause = argc > 3 ? WORKERS / atof(argv[3]) : 0};
    if (b.n < 1 || access(argv[1], F_OK) == 0) return fprintf(stderr, "rank0: nothing to do, or %s exists\n", argv[1]), 2;
    b.images = must_get((size_t)b.n, sizeof *b.images);
    b.todo = must_get((size_t)b.n, sizeof *b.todo);
    open_job(&b, argv[1]);
    const int code = run(&b);
    why_store_close(&b.store);
    free(b.images);
    free(b.todo);
    return code;
}
