/* A small experiment with made-up numbers: two models, six cells each, five metrics, and a record per image. Every value is a
 * function of its key, so that any way of applying the records must leave the same tables. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "store/store.h"

enum { MODELS = 2, METHODS = 4, CELLS_PER_MODEL = 6, CELLS = MODELS * CELLS_PER_MODEL, METRICS = 5 };
enum { LIME = 1, SHAP, GRADCAM, LIME_AGAIN, LIME_50, RANDOM };           /* cells of the first model; +6: of the second */
enum { PEARSON = 1, SOFT_IOU_MEAN, DELETION, MASK_IOU_AREA, SPARSITY };  /* metrics */

#define OK(call) \
    do { \
        why_status ok_status_ = (call); \
        if (ok_status_) fail_msg("%s: %s: %s", #call, why_status_name(ok_status_), why_error_text()); \
    } while (0)
#define REFUSED(call, code, text) \
    do { \
        assert_int_equal(call, code); \
        if (!strstr(why_error_text(), text)) fail_msg("%s: '%s' lacks '%s'", #call, why_error_text(), text); \
    } while (0)

/* ---------------------------------------------------------------- files */
static inline void temp_path(char path[4096], const char *name) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, 4096, "%s/whypix-store-%ld-%s.db", dir && *dir ? dir : "/tmp", (long)getpid(), name);
    unlink(path);
}

/* Change a database behind the store's back. */
static inline void meddle(const char *path, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* ---------------------------------------------------------------- plan */
static inline const char *uid(char kind, int64_t i) {
    static char text[4][65];
    static int turn;
    char key[32], *out = text[turn++ % 4];
    snprintf(key, sizeof key, "%c%lld", kind, (long long)i);
    why_sha256(key, strlen(key), out);
    return out;
}

static inline void put_images(why_store *s, int n) {
    for (int i = 1; i <= n; i++) {
        char path[32];
        snprintf(path, sizeof path, "pictures/%03d.png", i);
        why_dict_image row = {i, uid('i', i), path, i % 5 == 0 ? -1 : i % 3, i % 2 ? "left" : "right", "test", "mask.png", NULL};
        OK(why_store_put_image(s, &row));
        assert_int_equal(row.id, i);
    }
}

static inline void put_metrics(why_store *s) {
    why_dict_metric rows[METRICS] = {
        {PEARSON, NULL, "pearson", "pair", "positive", "pixel", "{}", "high", -1, 1},
        {SOFT_IOU_MEAN, NULL, "soft_iou_mean", "pair", "positive", "pixel", "{}", "high", 0, 1},
        {DELETION, NULL, "deletion", "score", NULL, NULL, "{\"fill\":\"mean\"}", "low", 0, 1},
        {MASK_IOU_AREA, NULL, "mask_iou_area", "score", NULL, NULL, "{}", "high", 0, 1},
        {SPARSITY, NULL, "sparsity", "score", NULL, NULL, "{}", "none", 0, 0},
    };
    for (int i = 0; i < METRICS; i++) {
        rows[i].uid = uid('q', i);
        OK(why_store_put_metric(s, &rows[i]));
    }
}

static inline void put_cells(why_store *s, int per_model) {
    static const struct {
        int method, repeat, budget, prefix_of;
    } cells[CELLS_PER_MODEL] = {{1, 0, -1, -1}, {2, 0, -1, -1}, {3, 0, -1, -1}, {1, 1, -1, -1}, {1, 0, 50, 1}, {4, 0, -1, -1}};
    for (int m = 0; m < MODELS; m++)
        for (int c = 0; c < per_model; c++) {
            int64_t id = m * CELLS_PER_MODEL + c + 1, prefix = cells[c].prefix_of < 0 ? -1 : m * CELLS_PER_MODEL + cells[c].prefix_of;
            why_dict_cell row = {id, uid('c', id), m + 1, cells[c].method, "label", cells[c].repeat, cells[c].budget, prefix, "",
                                 cells[c].budget < 0 ? NULL : "prefix"};
            OK(why_store_put_cell(s, &row));
            assert_int_equal(row.id, id);
        }
}

/* Dictionaries of a plan over `images` images and the first `per_model` cells of each model, in a transaction of its own. */
static inline void put_plan(why_store *s, int images, int per_model) {
    static const char *const models[] = {"vgg", "resnet"}, *const methods[] = {"lime", "shap", "gradcam", "random"};
    static const char *const explainers[] = {"lime", "shap_partition", "gradcam", "random"};
    int64_t job;
    OK(why_store_begin(s));
    OK(why_store_put_job(s, uid('j', 1), "made-up", "whypix: 1\n", "plan", &job));
    put_images(s, images);
    for (int i = 0; i < MODELS; i++) {
        why_dict_model row = {i + 1, uid('m', i), models[i], uid('h', i), "torchvision", "input 1x3x224x224", 10, 1000, 50000};
        OK(why_store_put_model(s, &row));
    }
    for (int i = 0; i < METHODS; i++) {
        why_dict_method row = {i + 1, uid('d', i), methods[i], explainers[i], "{\"samples\":100}"};
        OK(why_store_put_method(s, &row));
    }
    put_metrics(s);
    put_cells(s, per_model);
    OK(why_store_commit(s));
}

/* ---------------------------------------------------------------- records */
static inline double made_up(int64_t a, int64_t b, int64_t metric) {
    uint64_t x = (uint64_t)a * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)b * UINT64_C(0xd1342543de82ef95) + (uint64_t)metric * 77;
    x ^= x >> 31;
    return (double)(x * UINT64_C(0xbf58476d1ce4e5b9) >> 11) * 0x1p-53;
}

static inline void put_score(why_buf *b, int64_t explanation, int64_t metric) {
    double v = metric == SPARSITY ? 100 * made_up(explanation, 0, metric) - 50 : made_up(explanation, 0, metric);
    if (metric == MASK_IOU_AREA && (explanation >> 16) % 4 == 3)
        why_record_put(b, &(why_row){.type = WHY_ROW_SCORE, .u.score = {explanation, metric, NAN, "empty mask"}});
    else why_record_put(b, &(why_row){.type = WHY_ROW_SCORE, .u.score = {explanation, metric, v, ""}});
}

static inline void put_explained(why_buf *b, int64_t image, int64_t cell) {
    uint8_t thumb[14 * 14 * 4];
    const int64_t id = why_explanation_id(image, cell);
    for (size_t i = 0; i < sizeof thumb; i++) thumb[i] = (uint8_t)(i * (size_t)cell);
    why_record_put(b, &(why_row){.type = WHY_ROW_EXPLANATION,
                                 .u.explanation = {image, cell, 1, "done", 100 * cell, 0.5, NAN, 0.125, 40, -1, made_up(id, 0, 0), "budget", "", "", "", thumb,
                                                   sizeof thumb, ""}});
    for (int64_t metric = DELETION; metric <= SPARSITY; metric++) put_score(b, id, metric);
    for (int step = 0; step < 3; step++)
        why_record_put(b, &(why_row){.type = WHY_ROW_CURVE, .u.curve = {id, DELETION, step, step / 2.0, made_up(id, step, DELETION)}});
    why_record_put(b, &(why_row){.type = WHY_ROW_TIMING, .u.timing = {id, 0.25 * (double)cell, 0.2}});
}

static inline void put_pairs(why_buf *b, int64_t image, int64_t first_cell, int per_model) {
    static const int pairs[][2] = {{LIME, SHAP}, {LIME, GRADCAM}, {SHAP, GRADCAM}, {LIME, LIME_AGAIN}, {LIME, LIME_50}, {LIME, RANDOM}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int64_t metric = PEARSON; metric <= SOFT_IOU_MEAN && pairs[i][1] <= per_model; metric++) {
            int64_t x = why_explanation_id(image, first_cell + pairs[i][0]), y = why_explanation_id(image, first_cell + pairs[i][1]);
            bool undefined = metric == PEARSON && (image % 7 == 3 || (first_cell > 0 && pairs[i][1] == RANDOM)); /* the last one always */
            why_record_put(b, &(why_row){.type = WHY_ROW_PAIR, .u.pair = {x, y, metric, undefined ? NAN : made_up(x, y, metric), undefined ? "constant map" : ""}});
        }
}

/* The finished record of one image; owned. The first model is right on even images, the second on every image. */
static inline why_buf make_record(int64_t image, int per_model) {
    why_buf b = {0};
    for (int m = 0; m < MODELS; m++) put_pairs(&b, image, m * CELLS_PER_MODEL, per_model); /* before what they refer to */
    why_record_put(&b, &(why_row){.type = WHY_ROW_IMAGE, .u.image = {image, uid('s', image), 640, 480}});
    for (int m = 0; m < MODELS; m++) {
        int32_t top = (int32_t)(image % 3 + (m == 0 && image % 2));
        why_record_put(&b, &(why_row){.type = WHY_ROW_PREDICTION, .u.prediction = {image, m + 1, 0, top, 4.5, 0.95}});
        why_record_put(&b, &(why_row){.type = WHY_ROW_PREDICTION, .u.prediction = {image, m + 1, -1, (int32_t)(image % 3), 2.5, 0.05}});
        for (int c = 1; c <= per_model; c++) put_explained(&b, image, m * CELLS_PER_MODEL + c);
    }
    why_record_finish(&b);
    assert_int_equal(why_buf_status(&b), WHY_OK);
    return b;
}

static inline why_buf make_failure(int64_t image, int per_model) {
    why_buf b = {0};
    for (int m = 0; m < MODELS; m++)
        for (int c = 1; c <= per_model; c++)
            why_record_put(&b, &(why_row){.type = WHY_ROW_EXPLANATION,
                                          .u.explanation = {image, m * CELLS_PER_MODEL + c, -1, "failed", 0, NAN, NAN, NAN, NAN, NAN, NAN, "", "", "", "",
                                                            NULL, 0, "not a picture"}});
    why_record_put(&b, &(why_row){.type = WHY_ROW_FAILURE, .u.failure = {image, 0, "not a picture"}});
    why_record_finish(&b);
    return b;
}

static inline void apply_record(why_store *s, why_buf b) {
    OK(why_store_apply(s, 1, 1, 1, b.data, b.size));
    why_buf_clear(&b);
}

static inline void apply_images(why_store *s, int first, int last, int per_model) {
    OK(why_store_begin(s));
    for (int i = first; i <= last; i++) apply_record(s, make_record(i, per_model));
    OK(why_store_commit(s));
}

/* ---------------------------------------------------------------- reading */
static inline why_status keep_text(void *ctx, int n, const char *const *values, const char *const *names) {
    (void)names;
    for (int i = 0; i < n; i++) why_buf_printf(ctx, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    why_buf_text(ctx, "\n");
    return WHY_OK;
}

static inline char *finished_text(why_buf *b) {
    why_buf_put(b, "", 1);
    assert_int_equal(why_buf_status(b), WHY_OK);
    return (char *)b->data;
}

/* Rows as lines, columns by '|'; owned. */
static inline char *ask(why_store *s, const char *sql) {
    why_buf b = {0};
    OK(why_store_query(s, sql, keep_text, &b));
    return finished_text(&b);
}

static inline void assert_answer(why_store *s, const char *sql, const char *want) {
    char *got = ask(s, sql);
    if (strcmp(got, want) != 0) fail_msg("%s\ngot:  %swant: %s", sql, got, want);
    free(got);
}

/* Every row of every table that must not depend on time and ranks, in the tables' own order; owned. */
static inline char *dump(why_store *s) {
    char *queries = ask(s, "SELECT 'SELECT '''||m.name||''','||group_concat('quote('||c.name||')')||' FROM '||m.name FROM sqlite_schema m, pragma_table_info(m.name) c"
                           " WHERE m.type = 'table' AND m.name NOT IN('run','shard','failure','timing','superseded') GROUP BY m.name");
    why_buf b = {0};
    assert_non_null(strstr(queries, "summary"));
    for (char *rest = queries, *line; (line = strtok_r(rest, "\n", &rest));) OK(why_store_query(s, line, keep_text, &b));
    free(queries);
    return finished_text(&b);
}

static inline void assert_same_dump(why_store *a, why_store *b) {
    char *x = dump(a), *y = dump(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
}

#endif
