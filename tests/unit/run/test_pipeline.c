/* One image from file to record, on the committed net: complete, repeatable, and calm about bad pictures. */
#include "job_files.h"

#include <math.h>

#include "base/buf.h"
#include "base/npy.h"
#include "run/pipeline.h"
#include "store/store.h"

static int setup(void **state) {
    (void)state;
    write_base_job();
    return 0;
}

static why_plan *plan_of(const char *text) {
    why_plan *p;
    OK(why_plan_create(extend_base(text), &p));
    return p;
}

static const uint64_t all_cells[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

static why_task task_of(int index, const uint64_t *cells, size_t n_words) {
    return (why_task){.index = index, .n_words = (uint32_t)n_words, .cells = (uint64_t *)cells};
}

static why_buf image_record(const why_plan *plan, int threads, int index, const uint64_t *cells, size_t n_words) {
    why_pipeline *p;
    why_buf record = {0};
    OK(why_pipeline_create(plan, threads, &p));
    const why_task task = task_of(index, cells, n_words);
    OK(why_pipeline_image(p, &task, &record));
    why_pipeline_destroy(&p);
    OK(why_record_check(record.data, record.size));
    return record;
}

/* Calls fn for every row. */
typedef void row_fn(void *ctx, const why_row *row);
static void each_row(const why_buf *record, row_fn *fn, void *ctx) {
    why_row row;
    bool more = true;
    for (size_t at = 0;;) {
        OK(why_record_next(record->data, record->size, &at, &row, &more));
        if (!more) break;
        fn(ctx, &row);
    }
}

struct counts {
    int of[WHY_ROW_END + 1], failed, undefined;
};

static void count_row(void *ctx, const why_row *row) {
    struct counts *c = ctx;
    c->of[row->type]++;
    if (row->type == WHY_ROW_EXPLANATION) c->failed += strcmp(row->u.explanation.status, "failed") == 0;
    if (row->type == WHY_ROW_SCORE) c->undefined += isnan(row->u.score.value) != 0;
    if (row->type == WHY_ROW_PAIR) {
        assert_true(row->u.pair.a < row->u.pair.b);
        c->undefined += isnan(row->u.pair.value) != 0;
    }
}

static struct counts count(const why_buf *record) {
    struct counts c = {0};
    each_row(record, count_row, &c);
    return c;
}

/* ---------------------------------------------------------------- a good picture */
static void test_complete(void **state) {
    (void)state;
    why_plan *plan = plan_of("");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct counts c = count(&record);
    why_plan_cost cost;
    why_plan_cost_of(plan, &cost);
    assert_int_equal(c.of[WHY_ROW_IMAGE], 1);
    assert_int_equal(c.of[WHY_ROW_PREDICTION], cost.predictions);
    assert_int_equal(c.of[WHY_ROW_EXPLANATION], cost.explanations);
    assert_int_equal(c.of[WHY_ROW_TIMING], cost.explanations);
    assert_int_equal(c.of[WHY_ROW_SCORE], cost.scores);
    assert_int_equal(c.of[WHY_ROW_PAIR], cost.pairs);
    assert_true(c.of[WHY_ROW_CURVE] > 0);
    assert_int_equal(c.of[WHY_ROW_FAILURE], 0);
    assert_int_equal(c.failed, 0);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

/* Rows without their times. */
static void append_row(void *ctx, const why_row *row) {
    why_row copy = *row;
    if (copy.type == WHY_ROW_TIMING) copy.u.timing.wall = copy.u.timing.cpu = 0;
    why_record_put(ctx, &copy);
}

static why_buf timeless(const why_buf *record) {
    why_buf b = {0};
    each_row(record, append_row, &b);
    return b;
}

static void same_bytes(const why_buf *a, const why_buf *b) {
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

static void test_repeatable(void **state) {
    (void)state;
    why_plan *plan = plan_of("repeats: {lime: 2}\nbudgets: {lime: [10, 20]}\nagreement: {pairs: all, grids: [pixel, segments]}\n"),
             *small = plan_of(
                 "run: {batch: 3}\nrepeats: {lime: 2}\nbudgets: {lime: [10, 20]}\nagreement: {pairs: all, grids: [pixel, segments]}\n");
    why_buf one = image_record(plan, 1, 1, all_cells, 4), three = image_record(small, 3, 1, all_cells, 4);
    why_buf a = timeless(&one), b = timeless(&three);
    same_bytes(&a, &b);
    why_buf *const all[] = {&one, &three, &a, &b};
    for (int i = 0; i < 4; i++) why_buf_clear(all[i]);
    why_plan_destroy(&plan);
    why_plan_destroy(&small);
}

/* What has other pictures explained disturbs nothing of this one, and is the same on any number of threads. */
struct rows_up_to {
    int64_t metric_id;
    int explaining;
    why_buf rows;
};

static void keep_row(void *ctx, const why_row *row) {
    struct rows_up_to *r = ctx;
    const bool score = row->type == WHY_ROW_SCORE, curve = row->type == WHY_ROW_CURVE;
    const int64_t id = score ? row->u.score.metric_id : curve ? row->u.curve.metric_id : 0;
    if (id <= r->metric_id) append_row(&r->rows, row);
    else r->explaining += score && !isnan(row->u.score.value);
}

static struct rows_up_to rows_up_to(const why_buf *record, int64_t metric_id) {
    struct rows_up_to r = {.metric_id = metric_id};
    each_row(record, keep_row, &r);
    return r;
}

static void test_explaining_again(void **state) {
    (void)state;
    why_plan *plain = plan_of("scores: [{deletion: {step: 500}}, sparsity]\n");
    why_plan *more = plan_of("scores: [{deletion: {step: 500}}, sparsity, max_sensitivity, avg_sensitivity, {rotation_agreement: 10},"
                             " shift_agreement, brightness_agreement, noise_agreement, random_logit]\n");
    why_buf a = image_record(plain, 1, 0, all_cells, 4), b = image_record(more, 1, 0, all_cells, 4);
    why_buf c = image_record(more, 2, 0, all_cells, 4);
    struct rows_up_to rows = rows_up_to(&b, plain->n_metrics), same = rows_up_to(&a, plain->n_metrics);
    same_bytes(&rows.rows, &same.rows);
    assert_true(rows.explaining >= 6 && same.explaining == 0);
    struct counts counts = count(&b);
    why_plan_cost cost;
    why_plan_cost_of(more, &cost);
    assert_int_equal(counts.of[WHY_ROW_SCORE], cost.scores);
    assert_int_equal(counts.of[WHY_ROW_FAILURE], 0);
    why_buf tb = timeless(&b), tc = timeless(&c);
    same_bytes(&tb, &tc);
    why_buf *const all[] = {&a, &b, &c, &rows.rows, &same.rows, &tb, &tc};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) why_buf_clear(all[i]);
    why_plan_destroy(&plain);
    why_plan_destroy(&more);
}

/* One pipeline for many images: nothing of an image stays behind. */
static void test_no_memory_of_others(void **state) {
    (void)state;
    why_plan *plan = plan_of("");
    why_pipeline *p;
    OK(why_pipeline_create(plan, 1, &p));
    why_buf mixed = {0}, ignored = {0}, alone = image_record(plan, 1, 2, all_cells, 4);
    const why_task third = task_of(2, all_cells, 4), fourth = task_of(3, all_cells, 4);
    OK(why_pipeline_image(p, &fourth, &ignored));
    OK(why_pipeline_image(p, &third, &mixed));
    why_buf a = timeless(&alone), b = timeless(&mixed);
    same_bytes(&a, &b);
    why_buf *const all[] = {&mixed, &ignored, &alone, &a, &b};
    for (int i = 0; i < 5; i++) why_buf_clear(all[i]);
    why_pipeline_destroy(&p);
    why_plan_destroy(&plan);
}

/* ---------------------------------------------------------------- part of the cells */
struct lookup {
    int64_t a, b, metric;
    double value;
    int found, pairs;
};

static void find_pair(void *ctx, const why_row *row) {
    struct lookup *l = ctx;
    if (row->type != WHY_ROW_PAIR) return;
    l->pairs++;
    if (row->u.pair.a != l->a || row->u.pair.b != l->b || row->u.pair.metric_id != l->metric) return;
    l->value = row->u.pair.value;
    l->found++;
}

/* A job that grew by one method: only its rows, with the old maps made again for its pairs. */
static void test_partial(void **state) {
    (void)state;
    why_plan *plan = plan_of("targets: [predicted]\n");
    const uint64_t third = UINT64_C(1) << plan->cells[2].id;
    why_buf full = image_record(plan, 1, 0, all_cells, 4), part = image_record(plan, 1, 0, &third, 1);
    struct counts c = count(&part);
    assert_int_equal(c.of[WHY_ROW_EXPLANATION], 1);
    assert_int_equal(c.of[WHY_ROW_SCORE], 2);
    assert_int_equal(c.of[WHY_ROW_PAIR], 4 * 14); /* with the four other methods */
    struct lookup in_full = {.a = why_explanation_id(1, plan->cells[0].id), .b = why_explanation_id(1, plan->cells[2].id), .metric = 1},
                  in_part = in_full;
    each_row(&full, find_pair, &in_full);
    each_row(&part, find_pair, &in_part);
    assert_int_equal(in_full.found, 1);
    assert_int_equal(in_part.found, 1);
    assert_memory_equal(&in_full.value, &in_part.value, sizeof in_full.value);
    why_buf_clear(&full);
    why_buf_clear(&part);
    why_plan_destroy(&plan);
}

/* ---------------------------------------------------------------- equal targets */
struct maps {
    char hash[64][65];
    int class_index[64], n;
};

static void take_map(void *ctx, const why_row *row) {
    struct maps *m = ctx;
    if (row->type != WHY_ROW_EXPLANATION) return;
    snprintf(m->hash[m->n], 65, "%s", row->u.explanation.map_sha256);
    m->class_index[m->n++] = row->u.explanation.class_index;
}

/* predicted and top:1 are the same class: the same maps, stored for both. */
static void test_equal_targets(void **state) {
    (void)state;
    why_plan *plan = plan_of("targets: [predicted, \"top:1\", second]\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct maps m = {.n = 0};
    each_row(&record, take_map, &m);
    assert_int_equal(m.n, 15);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(m.class_index[i], m.class_index[i + 5]);
        assert_string_equal(m.hash[i], m.hash[i + 5]);
        assert_int_not_equal(m.class_index[i], m.class_index[i + 10]);
    }
    for (int i = 0; i < 3; i++) assert_string_not_equal(m.hash[i], m.hash[i + 10]); /* lime, shap, gradcam depend on the class */
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

/* Why the first, why not the second: maps of their own, stored under the first one's class. */
static void test_contrast(void **state) {
    (void)state;
    why_plan *plan = plan_of("targets: [predicted, second, predicted-second, second-predicted]\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct maps m = {.n = 0};
    each_row(&record, take_map, &m);
    assert_int_equal(m.n, 20);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(m.class_index[i + 10], m.class_index[i]);
        assert_int_equal(m.class_index[i + 15], m.class_index[i + 5]);
    }
    for (int i = 0; i < 3; i++)
        for (int a = i; a < 20; a += 5)
            for (int b = a + 5; b < 20; b += 5) assert_string_not_equal(m.hash[a], m.hash[b]);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

/* ---------------------------------------------------------------- bad pictures */
struct texts {
    char failure[512], error[512];
};

static void take_texts(void *ctx, const why_row *row) {
    struct texts *t = ctx;
    if (row->type == WHY_ROW_FAILURE) snprintf(t->failure, sizeof t->failure, "%s", row->u.failure.reason);
    if (row->type == WHY_ROW_EXPLANATION && *row->u.explanation.error) snprintf(t->error, sizeof t->error, "%s", row->u.explanation.error);
}

static void is_bad(const char *list, int failed, int failures, const char *reason) {
    write_text("bad.csv", list);
    why_plan *plan = plan_of("images: {list: bad.csv}\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct counts c = count(&record);
    struct texts t = {"", ""};
    each_row(&record, take_texts, &t);
    assert_int_equal(c.failed, failed);
    assert_int_equal(c.of[WHY_ROW_EXPLANATION], 10);
    assert_int_equal(c.of[WHY_ROW_FAILURE], failures);
    if (failures && !strstr(t.failure, reason)) fail_msg("'%s' lacks '%s'", t.failure, reason);
    if (!strstr(t.error, reason)) fail_msg("'%s' lacks '%s'", t.error, reason);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

static void test_bad_pictures(void **state) {
    (void)state;
    uint8_t *png;
    size_t size;
    OK(why_read_file(in_dir("0.png"), 1 << 24, &png, &size));
    OK(why_write_file(in_dir("half.png"), png, size / 2));
    free(png);
    write_text("text.png", "not a picture");
    is_bad("image,label\ngone.png,1\n", 10, 1, "gone.png: No such file");
    is_bad("image,label\ntext.png,1\n", 10, 1, "text.png: ");
    is_bad("image,label\nhalf.png,1\n", 10, 1, "half.png: ");
    is_bad("image,label,mask\n0.png,1,1.png\n", 0, 0, "");
    copy_source("tests/golden/image/rgb.png", "small.png");
    is_bad("image,label,mask\n0.png,1,small.png\n", 10, 1, "mask small.png: is 40 x 48, the picture is 72 x 96");
    is_bad("image,label,mask\n0.png,1,none.png\n", 10, 1, "none.png");
    is_bad("image\n0.png\n", 5, 0, "the image list gives no label"); /* predicted still works, and it is nobody's failure */
}

/* An image whose label is the prediction has no contrast of the two. */
static void test_contrast_of_a_class_with_itself(void **state) {
    (void)state;
    char list[64];
    why_plan *plan = plan_of("targets: [predicted]\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct maps m = {.n = 0};
    each_row(&record, take_map, &m);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
    snprintf(list, sizeof list, "image,label\n0.png,%d\n", m.class_index[0]);
    write_text("right.csv", list);
    plan = plan_of("images: {list: right.csv}\ntargets: [label-predicted]\n");
    record = image_record(plan, 1, 0, all_cells, 4);
    struct counts c = count(&record);
    struct texts t = {"", ""};
    each_row(&record, take_texts, &t);
    assert_int_equal(c.failed, 5);
    assert_int_equal(c.of[WHY_ROW_FAILURE], 0);
    snprintf(list, sizeof list, "target 'label-predicted': both are class %d for this image", m.class_index[0]);
    assert_string_equal(t.error, list);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

static void test_mask_control_without_mask(void **state) {
    (void)state;
    why_plan *plan = plan_of("controls: [mask]\ntargets: [predicted]\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct counts c = count(&record);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.of[WHY_ROW_FAILURE], 0);
    assert_int_equal(c.of[WHY_ROW_PAIR], 3 * 14); /* of lime, shap, gradcam */
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

/* Two models, one of which cannot take the picture: the other's rows are all there. */
static void test_one_model_fails(void **state) {
    (void)state;
    why_plan *plan = plan_of("models:\n  - {name: net, file: net.onnx, preprocess: torchvision}\n"
                             "  - {name: strict, file: net.onnx, preprocess: torchvision, fit: none}\ntargets: [predicted]\n");
    why_buf record = image_record(plan, 1, 0, all_cells, 4);
    struct counts c = count(&record);
    struct texts t = {"", ""};
    each_row(&record, take_texts, &t);
    assert_int_equal(c.of[WHY_ROW_EXPLANATION], 10);
    assert_int_equal(c.failed, 5);
    assert_int_equal(c.of[WHY_ROW_FAILURE], 1);
    assert_string_equal(t.failure, "model 'strict': the fitted picture is 72 x 96, the model wants 48 x 48");
    assert_int_equal(c.of[WHY_ROW_PAIR], 10 * 14);
    why_buf_clear(&record);
    why_plan_destroy(&plan);
}

/* ---------------------------------------------------------------- files */
static void check_map(void *ctx, const why_row *row) {
    (void)ctx;
    if (row->type != WHY_ROW_EXPLANATION) return;
    char name[128], hex[65];
    snprintf(name, sizeof name, "out/base-maps/%s", row->u.explanation.map);
    OK(why_sha256_file(in_dir(name), hex));
    assert_string_equal(hex, row->u.explanation.map_sha256);
    why_shape shape;
    float *v, hi = -INFINITY;
    double sum = 0, thumb_sum = 0;
    OK(why_npy_load_f32(in_dir(name), &shape, &v));
    assert_int_equal(shape.dim[0], 48);
    assert_int_equal(shape.dim[1], 48);
    for (int i = 0; i < 48 * 48; i++) {
        sum += (double)v[i] / (48 * 48);
        if (v[i] > hi) hi = v[i];
    }
    free(v);
    assert_true((double)hi == row->u.explanation.vmax);
    assert_int_equal(row->u.explanation.thumb_size, 14 * 14 * 4);
    for (int i = 0; i < 14 * 14; i++) {
        float f;
        memcpy(&f, row->u.explanation.thumb + 4 * i, 4);
        thumb_sum += (double)f / (14 * 14);
    }
    assert_true(fabs(sum - thumb_sum) <= 1e-5 * (fabs(sum) + fabs((double)hi))); /* area means keep the mean */
}

static void test_files(void **state) {
    (void)state;
    why_plan *plan = plan_of("output: {maps: directory, overlays: {first: 1}}\n");
    why_buf first = image_record(plan, 1, 0, all_cells, 4), second = image_record(plan, 1, 1, all_cells, 4);
    each_row(&first, check_map, NULL);
    why_image overlay;
    OK(why_image_load(in_dir("out/base-overlays/000001-net-predicted.png"), NULL, &overlay));
    assert_int_equal(overlay.h, 48);
    assert_int_equal(overlay.w, 4 * 48 + 3 * 4); /* picture, lime, shap, gradcam */
    why_image_clear(&overlay);
    assert_int_equal(access(in_dir("out/base-overlays/000001-net-label.png"), R_OK), 0);
    assert_int_not_equal(access(in_dir("out/base-overlays/000002-net-label.png"), R_OK), 0);
    why_buf_clear(&first);
    why_buf_clear(&second);
    why_plan_destroy(&plan);
}

/* A folder that cannot be made is no fault of the picture. */
static void test_no_room_for_maps(void **state) {
    (void)state;
    char text[4200];
    write_text("file", "x");
    snprintf(text, sizeof text, "output: {database: %s/a.db, maps: directory}\n", in_dir("file"));
    why_plan *plan = plan_of(text);
    why_pipeline *p;
    why_buf record = {0};
    OK(why_pipeline_create(plan, 1, &p));
    const why_task task = task_of(0, all_cells, 4);
    assert_int_equal(why_pipeline_image(p, &task, &record), WHY_EFILE);
    why_buf_clear(&record);
    why_pipeline_destroy(&p);
    why_plan_destroy(&plan);
}

/* ---------------------------------------------------------------- into the database */
static why_status count_todo(void *ctx, int64_t image_id, int missing) {
    (void)image_id;
    *(int *)ctx += missing;
    return WHY_OK;
}

static int todo(why_store *s) {
    int n = 0;
    OK(why_store_each_todo(s, count_todo, &n));
    return n;
}

static void test_into_store(void **state) {
    (void)state;
    why_store *s;
    int64_t job_id, run_id;
    unlink(in_dir("p.db"));
    OK(why_store_open(in_dir("p.db"), &s));
    why_plan *plan = plan_of("");
    OK(why_plan_sync(plan, s, &job_id));
    assert_int_equal(todo(s), 40);
    OK(why_store_start_run(s, &(why_run_row){.uid = "r", .started = "now", .version = "0", .job_id = job_id, .ranks = 1, .threads = 1},
                           &run_id));
    for (int i = 0; i < plan->n_images; i++) {
        why_buf record = image_record(plan, 1, i, all_cells, 4);
        OK(why_store_begin(s));
        OK(why_store_apply(s, run_id, 1, 1, record.data, record.size));
        OK(why_store_commit(s));
        why_buf_clear(&record);
    }
    assert_int_equal(todo(s), 0);
    OK(why_store_check_summary(s));
    why_plan_destroy(&plan);
    why_store_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_explaining_again),
        cmocka_unit_test(test_no_memory_of_others),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_equal_targets), cmocka_unit_test(test_contrast), cmocka_unit_test(test_contrast_of_a_class_with_itself),
        cmocka_unit_test(test_bad_pictures),
        cmocka_unit_test(test_mask_control_without_mask),
        cmocka_unit_test(test_one_model_fails),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_room_for_maps),
        cmocka_unit_test(test_into_store),
    };
    return cmocka_run_group_tests(tests, setup, remove_dir);
}
