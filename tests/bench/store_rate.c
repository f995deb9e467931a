/* How fast rank 0 can store: store_rate DB IMAGES [FIRST LAST] fills DB with made-up records of 150 rows each for images
 * FIRST..LAST of IMAGES, commits once a second as a run does, and prints results/s and the peak of memory. Two calls with other
 * ranges make parts to merge. Not a test: what is measured is said in analysis/README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "store/store.h"

enum { CELLS = 10, SCORES = 5, PAIR_METRICS = 8, PAIRS = 9, PREDICTIONS = 7 };
enum { ROWS = 1 + PREDICTIONS + 2 * CELLS + CELLS * SCORES + PAIRS * PAIR_METRICS };
_Static_assert(ROWS == 150, "the size of a record");

static double at(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void) { return at(CLOCK_MONOTONIC); }

static const char *uid(char out[65], char kind, int i) {
    char key[32];
    snprintf(key, sizeof key, "%c%d", kind, i);
    why_sha256(key, strlen(key), out);
    return out;
}

/* ---------------------------------------------------------------- dictionaries */
static why_status put_images(why_store *s, int n) {
    char key[65], path[64];
    for (int i = 1; i <= n; i++) {
        snprintf(path, sizeof path, "images/ILSVRC2012_val_%08d.JPEG", i);
        why_dict_image row = {i, uid(key, 'i', i), path, i % 1000, NULL, "val", NULL, NULL};
        WHY_TRY(why_store_put_image(s, &row));
    }
    return WHY_OK;
}

static why_status put_others(why_store *s) {
    char key[65], sha[65], name[16];
    why_dict_model model = {1, uid(key, 'm', 1), "vgg16", uid(sha, 'h', 1), "torchvision", "224x224", 1000, 138357544, 15470264320};
    WHY_TRY(why_store_put_model(s, &model));
    for (int i = 1; i <= SCORES + PAIR_METRICS; i++) {
        snprintf(name, sizeof name, "metric%d", i);
        why_dict_metric row = {i, uid(key, 'q', i), name, i <= SCORES ? "score" : "pair", NULL, NULL, "{}", "high", -1, 1};
        WHY_TRY(why_store_put_metric(s, &row));
    }
    for (int i = 1; i <= CELLS; i++) {
        snprintf(name, sizeof name, "method%d", i);
        why_dict_method method = {i, uid(key, 'd', i), name, name, "{}"};
        WHY_TRY(why_store_put_method(s, &method));
        why_dict_cell cell = {i, uid(key, 'c', i), 1, i, "label", 0, -1, -1, "", NULL};
        WHY_TRY(why_store_put_cell(s, &cell));
    }
    return WHY_OK;
}

static why_status put_plan(why_store *s, int images) {
    char key[65];
    int64_t job;
    WHY_TRY(why_store_begin(s));
    WHY_TRY(why_store_put_job(s, uid(key, 'j', 1), "made-up", "whypix: 1\n", "plan", &job));
    WHY_TRY(put_images(s, images));
    WHY_TRY(put_others(s));
    return why_store_commit(s);
}

/* ---------------------------------------------------------------- records */
static double made_up(int64_t a, int64_t b) {
    uint64_t x = (uint64_t)a * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)b * UINT64_C(0xd1342543de82ef95);
    x ^= x >> 31;
    return (double)(x * UINT64_C(0xbf58476d1ce4e5b9) >> 11) * 0x1p-53;
}

static void put_explanation(why_buf *b, int64_t image, int cell) {
    uint8_t thumb[14 * 14 * 4];
    char map[32], sha[65];
    const int64_t id = why_explanation_id(image, cell);
    for (size_t i = 0; i < sizeof thumb; i++) thumb[i] = (uint8_t)(255 * made_up(id, (int64_t)i));
    snprintf(map, sizeof map, "%lld/%d.npy", (long long)image, cell);
    why_row row = {.type = WHY_ROW_EXPLANATION};
    row.u.explanation.image_id = image;
    row.u.explanation.cell_id = cell;
    row.u.explanation.class_index = (int32_t)(image % 1000);
    row.u.explanation.status = "done";
    row.u.explanation.evaluations = 100;
    row.u.explanation.fit = made_up(id, 1);
    row.u.explanation.residual = made_up(id, 2);
    row.u.explanation.vmin = -made_up(id, 3);
    row.u.explanation.vmax = made_up(id, 4);
    row.u.explanation.map = map;
    row.u.explanation.map_sha256 = uid(sha, 'x', (int)id);
    row.u.explanation.thumb = thumb;
    row.u.explanation.thumb_size = sizeof thumb;
    row.u.explanation.error = "";
    why_record_put(b, &row);
    why_record_put(b, &(why_row){.type = WHY_ROW_TIMING, .u.timing = {id, 0.25, 0.2}});
    for (int m = 1; m <= SCORES; m++) why_record_put(b, &(why_row){.type = WHY_ROW_SCORE, .u.score = {id, m, made_up(id, m), ""}});
}

static void make_record(why_buf *b, int64_t image) {
    char sha[65];
    why_record_put(b, &(why_row){.type = WHY_ROW_IMAGE, .u.image = {image, uid(sha, 's', (int)image), 500, 375}});
    for (int32_t rank = -1; rank < PREDICTIONS - 1; rank++)
        why_record_put(b, &(why_row){.type = WHY_ROW_PREDICTION,
                                     .u.prediction = {image, 1, rank, (int32_t)((image + rank) % 1000), made_up(image, rank), 0.1}});
    for (int c = 1; c <= CELLS; c++) put_explanation(b, image, c);
    for (int p = 1; p <= PAIRS; p++)
        for (int m = SCORES + 1; m <= SCORES + PAIR_METRICS; m++) {
            const int64_t x = why_explanation_id(image, p), y = why_explanation_id(image, p + 1);
            why_record_put(b, &(why_row){.type = WHY_ROW_PAIR, .u.pair = {x, y, m, made_up(x, m), ""}});
        }
    why_record_finish(b);
}

/* The records are made in advance, a few thousand at a time: their making is not what is measured. */
enum { AHEAD = 2000 };

typedef struct rate {
    double stored, committed; /* seconds in the store; when the last commit was */
    double cpu;               /* of the former, on the processor: the rest is waiting for the disk and for others' programs */
    int64_t shard;
} rate;

static why_status store_some(why_store *s, why_buf *records, int n, rate *r) {
    const double t0 = now(), cpu0 = at(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < n; i++) {
        WHY_TRY(why_store_apply(s, 1, r->shard, 1, records[i].data, records[i].size));
        if (r->stored + now() - t0 - r->committed < 1) continue;
        WHY_TRY(why_store_commit(s));
        r->committed = r->stored + now() - t0;
        WHY_TRY(why_store_begin(s));
    }
    r->stored += now() - t0;
    r->cpu += at(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    return WHY_OK;
}

static why_status fill(why_store *s, int first, int last, rate *r) {
    static why_buf records[AHEAD];
    WHY_TRY(why_store_begin(s));
    for (int done = first; done <= last; done += AHEAD) {
        const int n = last - done + 1 < AHEAD ? last - done + 1 : AHEAD;
        for (int i = 0; i < n; i++) make_record(&records[i], done + i);
        const why_status st = store_some(s, records, n, r);
        for (int i = 0; i < n; i++) why_buf_clear(&records[i]);
        if (st) return st;
    }
    const double t0 = now();
    WHY_TRY(why_store_commit(s));
    r->stored += now() - t0;
    return WHY_OK;
}

static why_status run(const char *path, int images, int first, int last, rate *r) {
    why_store *s;
    WHY_TRY(why_store_open(path, &s));
    why_status st = put_plan(s, images);
    if (!st) st = fill(s, first, last, r);
    why_store_close(&s);
    return st;
}

int main(int argc, char **argv) {
    rate r = {.shard = 1};
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: store_rate DB IMAGES [FIRST LAST]\n");
        return 2;
    }
    const int images = atoi(argv[2]), first = argc == 5 ? atoi(argv[3]) : 1, last = argc == 5 ? atoi(argv[4]) : images;
    if (run(argv[1], images, first, last, &r)) {
        fprintf(stderr, "store_rate: %s\n", why_error_text());
        return 1;
    }
    struct rusage use;
    struct stat file;
    getrusage(RUSAGE_SELF, &use);
    if (stat(argv[1], &file) != 0) return 1;
    const double n = last - first + 1;
    printf("%.0f results of %d rows in %.1f s (%.1f s of processor): %.0f results/s, %.0f rows/s; peak memory %.0f MB, database %.0f MB\n", n, ROWS, r.stored, r.cpu,
           n / r.stored, n * ROWS / r.stored, (double)use.ru_maxrss / 1024, (double)file.st_size / 1e6);
    return 0;
}
