/* From job to plan: cells, metrics, pairs, ids and hashes; and the plan's dictionaries in a database. */
#include "job_files.h"

#include "base/buf.h"
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

static void refused(const char *text, const char *error) {
    why_plan *p;
    REFUSED(why_plan_create(extend_base(text), &p), error);
    assert_null(p);
}

/* ---------------------------------------------------------------- counts */
static void test_counts(void **state) {
    (void)state;
    why_plan *p = plan_of("");
    assert_int_equal(p->n_images, 4);
    assert_int_equal(p->n_methods, 5);
    assert_int_equal(p->n_cells, 2 * 5);                   /* two targets */
    assert_int_equal(p->n_pairs, 2 * 10);                  /* 5 choose 2 */
    assert_int_equal(p->n_metrics, 4 + 2 + 8 + 2); /* pearson; soft_iou, unsigned only; topk_iou; deletion and sparsity */
    why_plan_cost cost;
    why_plan_cost_of(p, &cost);
    assert_int_equal(cost.explanations, 10);
    assert_int_equal(cost.scores, 20);
    assert_int_equal(cost.pairs, 20 * 14);
    assert_int_equal(cost.predictions, 6);
    assert_true(cost.forwards > 2 * (40 + 30) && cost.shared_forwards > 0);
    why_plan_destroy(&p);
}

static void test_all_pairs(void **state) {
    (void)state;
    why_plan *p = plan_of("targets: [label]\nrepeats: {lime: 3}\nbudgets: {lime: [10, 20], shap: [20]}\nagreement: {pairs: all}\n");
    assert_int_equal(p->n_cells, 3 * 3 + 2 + 1 + 2);
    /* methods 10; lime: 3 repeats at each of 3 budgets (3 x 3), and 2 budgets against the full one per repeat (6); shap: 1 */
    assert_int_equal(p->n_pairs, 10 + 9 + 6 + 1);
    for (int i = 0; i < p->n_pairs; i++) assert_true(p->pairs[i].a < p->pairs[i].b);
    for (int i = 0; i < p->n_cells; i++)
        if (p->cells[i].prefix_of >= 0) {
            const why_plan_cell *c = &p->cells[i], *full = &p->cells[c->prefix_of];
            assert_true(full->budget < 0 && full->repeat == c->repeat && full->method == c->method);
            assert_string_equal(full->draw, c->draw); /* the same stream: a prefix */
            why_params *params;
            OK(why_plan_cell_params(p, i, &params));
            assert_int_equal(why_params_int(params, p->methods[c->method].explainer->budget), c->budget);
            why_params_destroy(&params);
        }
    assert_string_not_equal(p->cells[0].draw, p->cells[3].draw); /* another repeat, another stream */
    why_plan_destroy(&p);
}

static void test_listed_pairs(void **state) {
    (void)state;
    why_plan *p = plan_of(
        "targets: [label]\nrepeats: {lime: 2}\nmatrix: {shap.evaluations: [20, 30]}\nagreement: {pairs: [[shap, lime], [lime, lime]]}\n");
    assert_int_equal(p->n_pairs, 2 + 1); /* lime with both shaps; lime's two repeats */
    why_plan_destroy(&p);
}

static void test_fills(void **state) {
    (void)state;
    why_plan *p = plan_of("fills: [mean, blur]\nagreement: null\n");
    assert_int_equal(p->n_metrics, 3);
    assert_int_equal(p->n_pairs, 0);
    assert_string_equal(p->metrics[0].fill, "mean");
    assert_string_equal(p->metrics[1].fill, "blur(kx=16,ky=16)");
    assert_non_null(strstr(p->metrics[1].canonical, "\"fill\":\"blur(kx=16,ky=16)\""));
    assert_null(p->metrics[2].fill);
    why_plan_destroy(&p);
    p = plan_of("agreement: null\n");
    assert_string_equal(p->metrics[0].fill, "zero"); /* deletion's own */
    why_plan_destroy(&p);
}

static void test_exclude(void **state) {
    (void)state;
    why_plan *p = plan_of("matrix: {lime.samples: [30, 40], exclude: [{lime.samples: 40, targets: predicted}]}\n");
    assert_int_equal(p->n_cells, 2 * 6 - 1);
    why_plan_destroy(&p);
    refused("matrix: {exclude: [{models: net}]}", "every cell is excluded");
}

/* ---------------------------------------------------------------- refused once the models and the list are known */
static void test_refused(void **state) {
    (void)state;
    refused("targets: [\"class:5\"]", "job.yaml:2:11: model 'net': target 'class:5'");
    refused("targets: [\"class:1-class:5\"]", "job.yaml:2:11: model 'net': target 'class:1-class:5'");
    refused("methods: {gradcam: {layer: nowhere}}", "method 'gradcam', model 'net'");
    refused("images: {fit: {resize: 40}}", "fit gives pictures of varying size");
    refused("images: {fit: {resize: 40, crop: 40}}", "fit gives 40 x 40 pictures, the model wants 48 x 48");
    refused("images: {list: gone.csv}", "job.yaml:2:16: ");
    refused("images: {labels: gone.txt}", "job.yaml:2:18: ");
    refused("models: [{name: a, file: gone.onnx, preprocess: none}]", "model 'a': ");
    refused("models: [{name: a, file: base.yaml, preprocess: none}]", "model 'a': ");
    write_text("far.csv", "image,label\n0.png,1\n1.png,7\n");
    refused("images: {list: far.csv, labels: null}", "far.csv:3: image '1.png' has class 7, model 'net' has 5 classes (0 to 4)");
    write_text("few.csv", "image,label\n0.png,frog\n");
    refused("images: {list: few.csv}", "few.csv:2: label 'frog' is not in");
    refused("methods: {many: {explainer: lime}}\nmatrix: {many.samples: [100, 101, 102]}\nrepeats: {lime: 1000, many: 1000}\ntargets: "
            "[\"top:5\", label, predicted, second]\n"
            "budgets: {lime: [2, 3, 4, 5, 6, 7, 8]}\n",
            "more than 65535 cells");
}

/* ---------------------------------------------------------------- hashes */
static void test_hashes(void **state) {
    (void)state;
    why_plan *a = plan_of(""), *b = plan_of("run: {threads: 2}\noutput: {maps: directory, overlays: {first: 2}}\n"),
             *c = plan_of("seed: 8\n");
    assert_string_equal(a->uid, b->uid); /* where and how do not matter */
    assert_string_equal(a->sha, b->sha);
    assert_string_not_equal(a->uid, c->uid);
    assert_string_not_equal(a->sha, c->sha);
    assert_string_equal(a->cells[0].uid, c->cells[0].uid); /* a cell is what it is under any seed */
    assert_int_equal(strlen(a->sha), 64);
    why_plan_destroy(&b);
    b = plan_of("methods: {lime: {samples: 41}}\n");
    assert_string_not_equal(a->cells[0].uid, b->cells[0].uid);
    assert_string_equal(a->cells[1].uid, b->cells[1].uid);
    assert_string_equal(a->cells[0].draw, b->cells[0].draw); /* samples are lime's budget */
    write_text("other.csv", "image,label\n0.png,0\n1.png,1\n2.png,2\n3.png,4\n");
    why_plan_destroy(&b);
    b = plan_of("images: {list: other.csv}\n");
    assert_string_not_equal(a->sha, b->sha);
    why_plan_destroy(&a);
    why_plan_destroy(&b);
    why_plan_destroy(&c);
}

static void test_outputs(void **state) {
    (void)state;
    why_plan *p = plan_of("output: {database: res.v1/a.b.db, maps: directory, overlays: {first: 3, palette: inferno}}\n");
    assert_string_equal(p->maps_dir, "res.v1/a.b-maps");
    assert_string_equal(p->overlays_dir, "res.v1/a.b-overlays");
    OK(why_plan_set_database(p, "res.v1/plain"));
    assert_string_equal(p->maps_dir, "res.v1/plain-maps");
    assert_int_equal(p->palette, WHY_INFERNO);
    why_plan_destroy(&p);
}

static void test_shuffled(void **state) {
    (void)state;
    char text[4096] = "image\n";
    for (int i = 0; i < 50; i++) snprintf(text + strlen(text), 32, "p%d.png\n", i);
    write_text("many.csv", text);
    why_plan *a = plan_of("images: {list: many.csv, order: shuffled}\n"), *b = plan_of("images: {list: many.csv, order: shuffled}\n");
    int moved = 0, seen[50] = {0};
    for (int i = 0; i < 50; i++) {
        assert_string_equal(a->images[i].path, b->images[i].path);
        assert_int_equal(a->images[i].id, i + 1);
        int listed = atoi(a->images[i].path + 1);
        moved += listed != i;
        seen[listed]++;
    }
    for (int i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 40);
    why_plan_destroy(&a);
    why_plan_destroy(&b);
}

/* ---------------------------------------------------------------- with the database */
static int64_t cell_id(const why_plan *p, const char *uid) {
    for (int i = 0; i < p->n_cells; i++)
        if (strcmp(p->cells[i].uid, uid) == 0) return p->cells[i].id;
    return -1;
}

/* A grown job keeps the ids of what it had, and the ids travel as bytes. */
static void test_sync(void **state) {
    (void)state;
    why_store *s;
    int64_t first, second;
    unlink(in_dir("sync.db"));
    OK(why_store_open(in_dir("sync.db"), &s));
    why_plan *small = plan_of("methods: {gradcam: null}\ntargets: [predicted]\n"), *grown = plan_of(""), *twin = plan_of("");
    OK(why_plan_sync(small, s, &first));
    OK(why_plan_sync(grown, s, &second));
    assert_int_not_equal(first, second);
    uint64_t used = 0;
    for (int i = 0; i < small->n_cells; i++) assert_int_equal(cell_id(grown, small->cells[i].uid), small->cells[i].id);
    for (int i = 0; i < grown->n_cells; i++) {
        assert_true(grown->cells[i].id >= 1 && grown->cells[i].id < 64 && !(used >> grown->cells[i].id & 1));
        used |= UINT64_C(1) << grown->cells[i].id;
    }
    int64_t again;
    OK(why_plan_sync(grown, s, &again));
    assert_int_equal(again, second);

    why_buf ids = {0};
    why_plan_ids_write(grown, &ids);
    OK(why_buf_status(&ids));
    assert_int_not_equal(twin->cells[0].id, grown->cells[0].id);
    OK(why_plan_ids_read(twin, ids.data, ids.size));
    for (int i = 0; i < twin->n_cells; i++) assert_int_equal(twin->cells[i].id, grown->cells[i].id);
    for (int i = 0; i < twin->n_metrics; i++) assert_int_equal(twin->metrics[i].id, grown->metrics[i].id);
    REFUSED(why_plan_ids_read(small, ids.data, ids.size), "rank 0 has another plan");
    REFUSED(why_plan_ids_read(twin, ids.data, ids.size - 8), "bytes, want");
    REFUSED(why_plan_ids_read(twin, ids.data, 10), "cut off");
    why_buf_clear(&ids);
    why_plan_destroy(&small);
    why_plan_destroy(&grown);
    why_plan_destroy(&twin);
    why_store_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts), cmocka_unit_test(test_all_pairs), cmocka_unit_test(test_listed_pairs),
        cmocka_unit_test(test_fills),  cmocka_unit_test(test_exclude),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hashes), cmocka_unit_test(test_outputs),   cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_sync),
    };
    return cmocka_run_group_tests(tests, setup, remove_dir);
}
