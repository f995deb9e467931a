/* Rank 0's desk, relays and workers on threads, with a real database and invented images: what comes out may not depend
 * on the number of workers, on a bad line, on a worker that gives up, or on being interrupted and resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/desk.h"
#include "run/worker.h"
#include "whypix/rng.h"

enum { IMAGES = 40, CELLS = 3, WORKERS = 3, FAILING = 7 /* its picture is bad */, METRIC = 1 };

/* ---------------------------------------------------------------- an invented job */
typedef struct job {
    why_plan plan;
    why_plan_image images[IMAGES];
    why_plan_cell cells[CELLS];
    char path[64];
    why_store *store;
    int todo[IMAGES], n_todo;
} job;

static void put_dictionaries(why_store *s) {
    int64_t id;
    char uid[32];
    assert_int_equal(why_store_begin(s), WHY_OK);
    assert_int_equal(why_store_put_job(s, "job", "invented", "", "sha", &id), WHY_OK);
    why_dict_model model = {
        .id = 1, .uid = "m", .name = "net", .sha256 = "0", .preprocess = "none", .input = "", .classes = 2, .params = 1, .macs = 1};
    assert_int_equal(why_store_put_model(s, &model), WHY_OK);
    why_dict_method method = {.id = 1, .uid = "e", .name = "lime", .explainer = "lime", .params = "{}"};
    assert_int_equal(why_store_put_method(s, &method), WHY_OK);
    why_dict_metric metric = {
        .id = METRIC, .uid = "p", .name = "pearson", .kind = "pair", .params = "{}", .better = "none", .lo = -1, .hi = 1};
    assert_int_equal(why_store_put_metric(s, &metric), WHY_OK);
    for (int c = 1; c <= CELLS; c++) {
        snprintf(uid, sizeof uid, "c%d", c);
        why_dict_cell cell = {.id = c,
                              .uid = uid,
                              .model_id = 1,
                              .method_id = 1,
                              .target = "label",
                              .repeat = c,
                              .budget = -1,
                              .prefix_of = -1,
                              .transform = ""};
        assert_int_equal(why_store_put_cell(s, &cell), WHY_OK);
    }
    for (int i = 1; i <= IMAGES; i++) {
        snprintf(uid, sizeof uid, "i%d", i);
        why_dict_image image = {.id = i, .uid = uid, .path = uid, .label = i % 2};
        assert_int_equal(why_store_put_image(s, &image), WHY_OK);
    }
    assert_int_equal(why_store_commit(s), WHY_OK);
}

static why_status note_todo(void *ctx, int64_t image_id, int missing) {
    job *j = ctx;
    (void)missing;
    j->todo[j->n_todo++] = (int)image_id - 1;
    return WHY_OK;
}

static void open_job(job *j, const char *path) {
    memset(j, 0, sizeof *j);
    snprintf(j->path, sizeof j->path, "%s", path);
    j->plan = (why_plan){.images = j->images, .n_images = IMAGES, .cells = j->cells, .n_cells = CELLS};
    for (int i = 0; i < IMAGES; i++) j->images[i].id = i + 1;
    for (int c = 0; c < CELLS; c++) j->cells[c].id = c + 1;
    assert_int_equal(why_store_open(j->path, &j->store), WHY_OK);
    put_dictionaries(j->store);
    assert_int_equal(why_store_each_todo(j->store, note_todo, j), WHY_OK);
}

static char *temporary(char name[64]) {
    snprintf(name, 64, "/tmp/whypix-run-XXXXXX");
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    unlink(name);
    return name;
}

/* ---------------------------------------------------------------- an invented worker */
typedef struct station {
    int rank;
    why_queue *queue;
    why_transport *world;
    why_totals sent;
    int gives_up_at;     /* image id at which this worker can go on no more; 0: never */
    double resend;
    bool everyone;
    why_status relayed, worked;
    pthread_t worker, relay;
} station;

static atomic_int computed; /* images of the run under way */

static const why_total_metric metrics[] = {{METRIC, -1, 1}};

static double invented(int image, int a, int b) { return sin(image * 12.9898 + a * 78.233 + b * 37.719); }

static void put_explanation(why_buf *b, int image, int cell, bool bad) {
    uint8_t thumb[2000];
    memset(thumb, image, sizeof thumb); /* more than one message for three cells */
    why_row row = {.type = WHY_ROW_EXPLANATION};
    row.u.explanation.image_id = image;
    row.u.explanation.cell_id = cell;
    row.u.explanation.status = bad ? "failed" : "done";
    row.u.explanation.evaluations = 100;
    row.u.explanation.fit = row.u.explanation.vmin = invented(image, cell, 0);
    row.u.explanation.residual = row.u.explanation.se_range = NAN;
    row.u.explanation.vmax = 1;
    row.u.explanation.map = row.u.explanation.map_sha256 = "";
    row.u.explanation.thumb = thumb;
    row.u.explanation.thumb_size = sizeof thumb;
    row.u.explanation.error = bad ? "truncated" : "";
    why_record_put(b, &row);
}

static void put_pairs(why_buf *b, int image) {
    for (int i = 1; i <= CELLS; i++)
        for (int k = i + 1; k <= CELLS; k++) {
            why_row row = {.type = WHY_ROW_PAIR};
            row.u.pair.a = why_explanation_id(image, i);
            row.u.pair.b = why_explanation_id(image, k);
            row.u.pair.metric_id = METRIC;
            row.u.pair.value = image % 5 ? invented(image, i, k) : NAN;
            row.u.pair.why = image % 5 ? "" : "constant map";
            why_record_put(b, &row);
        }
}

static why_status work(void *ctx, const why_task *task, why_buf *record) {
    const station *s = ctx;
    const int image = task->index + 1;
    why_pause(0.0005 * (1 + image % 7));
    if (image == s->gives_up_at) return why_fail(WHY_ENOMEM, "no memory for image %d", image);
    assert_true(task->n_words >= 1 && task->cells[0] == 14); /* bits 1, 2 and 3 */
    if (image == FAILING) {
        why_row row = {.type = WHY_ROW_FAILURE};
        row.u.failure.image_id = image;
        row.u.failure.reason = "truncated";
        why_record_put(record, &row);
    }
    for (int c = 1; c <= CELLS; c++) put_explanation(record, image, c, image == FAILING);
    if (image != FAILING) put_pairs(record, image);
    why_record_finish(record);
    atomic_fetch_add(&computed, 1);
    return WHY_OK;
}

static void *run_worker(void *arg) {
    station *s = arg;
    const why_worker_options o = {
        .link = why_queue_end(s->queue, 1), .threads = 1, .work = work, .ctx = s, .window = 4, .resend = s->resend};
    s->worked = why_worker_run(&o, &s->sent);
    return NULL;
}

static void *run_relay(void *arg) {
    station *s = arg;
    s->relayed = why_relay_run(why_queue_end(s->queue, 0), s->world, &(why_relay_options){.beat_every = 0.05, .silence = 30}, &s->everyone);
    return NULL;
}

/* ---------------------------------------------------------------- a bad line */
typedef struct bad_line { why_transport base; why_transport *good; why_rng rng; } bad_line;

static why_status bad_send(why_transport *t, int to, const uint8_t *bytes, size_t n) {
    bad_line *l = (bad_line *)(void *)t;
    uint8_t copy[WHY_MESSAGE_MAX];
    memcpy(copy, bytes, n);
    const uint32_t luck = why_rng_below(&l->rng, 20);
    if (luck == 0) return WHY_OK;                                        /* lost */
    if (luck == 1) copy[why_rng_below(&l->rng, (uint32_t)n)] ^= 0x10;    /* damaged */
    if (luck == 2 && l->good->send(l->good, to, copy, n)) return WHY_EPEER; /* twice */
    return l->good->send(l->good, to, copy, n);
}

static why_status bad_receive(why_transport *t, double wait_s, uint8_t *bytes, size_t *n, int *from) {
    bad_line *l = (bad_line *)(void *)t;
    return l->good->receive(l->good, wait_s, bytes, n, from);
}

/* ---------------------------------------------------------------- a run */
typedef struct how {
    int workers;
    bool bad_line;       /* of worker 1 */
    int gives_up_at[WORKERS];
    int drain_after;     /* images; 0: never */
} how;

/* With shards of one image the desk, which asks this in every round, cannot be outrun. */
static bool drain(void *ctx) {
    const how *h = ctx;
    return h->drain_after > 0 && atomic_load(&computed) >= h->drain_after;
}

static void start(station *s, why_transport *world, const how *h) {
    assert_int_equal(why_queue_create(2, &s->queue), WHY_OK);
    assert_int_equal(why_totals_create(metrics, 1, &s->sent), WHY_OK);
    s->gives_up_at = h->gives_up_at[s->rank];
    s->resend = h->bad_line ? 0.05 : 5;
    s->world = world;
    assert_int_equal(pthread_create(&s->worker, NULL, run_worker, s), 0);
    if (s->rank > 0) assert_int_equal(pthread_create(&s->relay, NULL, run_relay, s), 0);
}

static void finish(station *s, const why_desk_result *r) {
    if (s->rank > 0) {
        pthread_join(s->relay, NULL);
        assert_int_equal(s->relayed, WHY_OK);
        assert_int_equal(s->everyone, r->everyone);
    }
    pthread_join(s->worker, NULL);
    assert_int_equal(s->worked, WHY_OK);
}

static int run_job(job *j, const how *h) {
    why_queue *world;
    station stations[WORKERS] = {{.rank = 0}, {.rank = 1}, {.rank = 2}};
    assert_int_equal(why_queue_create(h->workers, &world), WHY_OK);
    bad_line line = {.base = {.rank = 1, .size = h->workers, .send = bad_send, .receive = bad_receive},
                     .rng = why_rng_at((why_stream){.key = 5}, 1)};
    for (int w = 0; w < h->workers; w++) {
        why_transport *end = why_queue_end(world, w);
        line.good = w == 1 ? end : line.good;
        start(&stations[w], w == 1 && h->bad_line ? &line.base : end, h);
    }
    how plan = *h;
    atomic_store(&computed, 0);
    why_desk_options o = {.plan = &j->plan,
                          .store = j->store,
                          .run_id = 1,
                          .todo = j->todo,
                          .local = why_queue_end(stations[0].queue, 0),
                          .world = h->workers > 1 ? why_queue_end(world, 0) : NULL,
                          .rules = why_coordinator_defaults(h->workers, j->n_todo),
                          .metrics = metrics,
                          .n_metrics = 1,
                          .drain = drain,
                          
                          .ctx = &plan};
    o.rules.commit_every = 0.02;
    o.rules.goodbye = 2; /* a BYE may be lost, too */
    why_desk_result r;
    const why_run_row row = {.uid = h->drain_after ? "first" : "second", .job_id = 1, .ranks = h->workers, .threads = 1};
    assert_int_equal(why_store_begin(j->store), WHY_OK);
    assert_int_equal(why_store_start_run(j->store, &row, &o.run_id), WHY_OK);
    assert_int_equal(why_store_commit(j->store), WHY_OK);
    if (h->drain_after) o.rules.shard = 1;
    o.rules.first_shard = h->drain_after ? 1 : 1000;
    assert_int_equal(why_desk_run(&o, &r), WHY_OK);
    for (int w = 0; w < h->workers; w++) finish(&stations[w], &r);
    for (int w = 1; w < h->workers; w++)
        for (int k = 0; k < 2; k++) why_moments_merge(&stations[0].sent.parts[k], &stations[w].sent.parts[k]);
    if (!h->bad_line) assert_int_equal(why_totals_compare(&stations[0].sent, &r.applied), WHY_OK);
    for (int w = 0; w < h->workers; w++) {
        why_totals_clear(&stations[w].sent);
        why_queue_destroy(&stations[w].queue);
    }
    why_totals_clear(&r.applied);
    why_queue_destroy(&world);
    return r.exit_code;
}

/* ---------------------------------------------------------------- what is compared */
static why_status put_values(void *ctx, int n, const char *const *values, const char *const *names) {
    (void)names;
    for (int i = 0; i < n; i++) why_buf_printf(ctx, "%s|", values[i] ? values[i] : "NULL");
    why_buf_text(ctx, "\n");
    return WHY_OK;
}

static char *dump(job *j) {
    why_buf b = {0};
    char *text;
    assert_int_equal(
        why_store_query(
            j->store,
            "SELECT id, image_id, cell_id, class, status, evaluations, fit, vmin, hex(thumb), error FROM explanation ORDER BY id;"
            "SELECT * FROM pair ORDER BY a, b, metric_id;"
            "SELECT cell_a, cell_b, metric_id, stratum, n, n_null, mean, sd, hex(exact) FROM summary ORDER BY 1, 2, 3, 4",
            put_values, &b),
        WHY_OK);
    assert_int_equal(why_store_check_summary(j->store), WHY_OK);
    assert_int_equal(why_buf_take(&b, &text), WHY_OK);
    return text;
}

static void close_job(job *j) {
    why_store_close(&j->store);
    unlink(j->path);
}

/* The database after an undisturbed run with one worker. */
static char *expected(void) {
    job j;
    char name[64];
    open_job(&j, temporary(name));
    assert_int_equal(j.n_todo, IMAGES);
    assert_int_equal(run_job(&j, &(how){.workers = 1}), 1); /* image FAILING failed */
    char *text = dump(&j);
    assert_non_null(strstr(text, "failed"));
    close_job(&j);
    return text;
}

static void check_same(const how *h, int code) {
    job j;
    char name[64], *want = expected();
    open_job(&j, temporary(name));
    assert_int_equal(run_job(&j, h), code);
    char *got = dump(&j);
    assert_string_equal(got, want);
    free(got);
    free(want);
    close_job(&j);
}

static void three_workers_write_what_one_writes(void **state) {
    (void)state;
    check_same(&(how){.workers = 3}, 1);
}

static void a_bad_line_loses_nothing(void **state) {
    (void)state;
    check_same(&(how){.workers = 2, .bad_line = true}, 1);
}

static void a_worker_that_gives_up_loses_nothing(void **state) {
    (void)state;
    check_same(&(how){.workers = 3, .gives_up_at = {0, 20, 0}}, 1);
    check_same(&(how){.workers = 2, .gives_up_at = {2, 0}}, 1);
}

static void an_interrupted_run_is_resumed(void **state) {
    (void)state;
    job j;
    char name[64], *want = expected();
    open_job(&j, temporary(name));
    assert_int_equal(run_job(&j, &(how){.workers = 2, .drain_after = 5}), 75);
    why_store_close(&j.store);
    open_job(&j, name);
    assert_in_range(j.n_todo, 1, IMAGES - 5);
    const int code = run_job(&j, &(how){.workers = 3});
    assert_true(code == 0 || code == 1); /* 1 when the bad picture came second */
    char *got = dump(&j);
    assert_string_equal(got, want);
    free(got);
    free(want);
    close_job(&j);
}

/* Nobody can compute image 3: with one worker the run ends, resumable; with three it costs two and goes on. */
static void an_image_nobody_can_compute(void **state) {
    (void)state;
    job j;
    char name[64];
    open_job(&j, temporary(name));
    assert_int_equal(run_job(&j, &(how){.workers = 1, .gives_up_at = {3}}), 3);
    close_job(&j);
    open_job(&j, temporary(name));
    assert_int_equal(run_job(&j, &(how){.workers = 3, .gives_up_at = {3, 3, 3}}), 1);
    why_buf b = {0};
    char *text;
    assert_int_equal(why_store_query(j.store, "SELECT error FROM explanation WHERE image_id = 3", put_values, &b), WHY_OK);
    assert_int_equal(why_buf_take(&b, &text), WHY_OK);
    assert_non_null(strstr(text, "cost 2 workers"));
    assert_non_null(strstr(text, "no memory for image 3"));
    free(text);
    close_job(&j);
}

/* A relay whose rank 0 is silent gives up, and its worker with it. */
static void silence_ends_a_relay(void **state) {
    (void)state;
    why_queue *world;
    station s = {.rank = 1};
    assert_int_equal(why_queue_create(2, &world), WHY_OK);
    assert_int_equal(why_queue_create(2, &s.queue), WHY_OK);
    assert_int_equal(why_totals_create(metrics, 1, &s.sent), WHY_OK);
    assert_int_equal(pthread_create(&s.worker, NULL, run_worker, &s), 0);
    const why_relay_options impatient = {.beat_every = 0.05, .silence = 0.3};
    assert_int_equal(why_relay_run(why_queue_end(s.queue, 0), why_queue_end(world, 1), &impatient, &s.everyone), WHY_EPEER);
    assert_non_null(strstr(why_error_text(), "rank 0 was silent"));
    assert_false(s.everyone);
    pthread_join(s.worker, NULL);
    assert_int_equal(s.worked, WHY_OK);
    why_totals_clear(&s.sent);
    why_queue_destroy(&s.queue);
    why_queue_destroy(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_workers_write_what_one_writes),
        cmocka_unit_test(a_bad_line_loses_nothing),
        cmocka_unit_test(a_worker_that_gives_up_loses_nothing),
        cmocka_unit_test(an_interrupted_run_is_resumed),
        cmocka_unit_test(an_image_nobody_can_compute),
        cmocka_unit_test(silence_ends_a_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
