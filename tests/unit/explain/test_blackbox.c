/* Explainers that only ask for scores, over segments, windows and soft masks: against the peers (references made by
 * tests/golden/make_blackbox.py, and the larger fixtures where they are) and against what must hold. */
#include "scene.h"

#include "explain/coalitions.h"
#include "explain/masks.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE, TARGET = 1, MOST = 64 };

static const char *golden_file(const char *name, char path[4096]) {
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/explain/%s.npy", name);
    return test_source(relative, path);
}

static float *load_golden(const char *name, why_shape *shape) {
    char path[4096];
    float *v;
    TRY(why_npy_load_f32(golden_file(name, path), shape, &v));
    return v;
}

static void assert_close(const char *what, const float *got, const float *want, size_t n) {
    closeness c = compare(got, want, n);
    printf("  %-44s r %.7f, |difference| %.1e of the range\n", what, c.pearson, c.error);
    assert_true(c.pearson >= 0.9999);
    assert_true(c.error <= 1e-3);
}

/* Values of the segments. */
static void values_of(const why_explanation *e, float *phi) {
    for (int i = 0; i < e->h * e->w; i++) phi[e->segments->label[i]] = e->map[i];
}

static void assert_values(const char *what, const why_explanation *e, const char *golden) {
    float phi[MOST];
    why_shape shape;
    float *want = load_golden(golden, &shape);
    assert_int_equal(why_shape_count(&shape), e->segments->n);
    values_of(e, phi);
    assert_close(what, phi, want, (size_t)e->segments->n);
    free(want);
}

static void assert_refused(const scene *s, const char *explainer, const char *const *settings, const char *text) {
    why_explanation e;
    why_status st = scene_try(s, explainer, TARGET, settings, &e);
    if (!st) why_explanation_clear(&e);
    assert_int_not_equal(st, WHY_OK);
    if (!strstr(why_error_text(), text)) fail_msg("'%s' does not say '%s'", why_error_text(), text);
}

/* v(all) - v(none) under a segment explainer's fill. */
static double gap(const scene *s, const char *text) {
    const why_fill *fill;
    const float *full;
    float empty[8];
    TRY(why_evaluator_original(s->ev, &full));
    double all = why_score(full, scene_outputs(s), TARGET, WHY_PROBABILITY);
    TRY(why_evaluator_fill(s->ev, text, NULL, &fill));
    TRY(why_evaluator_run(s->ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill}, 1, empty));
    return all - why_score(empty, scene_outputs(s), TARGET, WHY_PROBABILITY);
}

static double sum_of_values(const why_explanation *e) {
    float phi[MOST];
    double sum = 0;
    values_of(e, phi);
    for (int k = 0; k < e->segments->n; k++) sum += phi[k];
    return sum;
}

/* ---------------------------------------------------------------- parity */
static void exact_is_shaps(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    why_explanation e = scene_explain(&s, "shap_exact", TARGET, NULL);
    assert_values("shap_exact, grid", &e, "exact_grid_phi");
    assert_int_equal(e.evaluations, 4096);
    assert_true(fabs(e.residual) < 1e-12);
    why_explanation_clear(&e);
    scene_close(&s);
}

static void permutation_is_shaps(void **state) {
    (void)state;
    scene s;
    char path[4096];
    scene_open(&s, 16, 1);
    why_explanation a =
        scene_explain(&s, "shap_permutation", TARGET,
                      SETTINGS("segments", golden_file("lime_slic100_segments", path), "evaluations", "205", "reference", "true"));
    assert_values("shap_permutation, slic, 5 permutations", &a, "permutation_slic5_phi");
    why_explanation b = scene_explain(&s, "shap_permutation", TARGET,
                                      SETTINGS("segmenter", "grid(3,4)", "evaluations", "75", "reference", "true", "reference_seed", "7"));
    assert_values("shap_permutation, grid, 3 permutations", &b, "permutation_grid3_phi");
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    scene_close(&s);
}

/* The coalitions and their weights that the peer draws from a seed. */
static void check_coalitions(const char *tag, uint32_t seed) {
    char name[64];
    why_shape shape, same;
    why_coalitions c;
    snprintf(name, sizeof name, "kernel_%s_masks", tag);
    float *masks = load_golden(name, &shape);
    snprintf(name, sizeof name, "kernel_%s_weights", tag);
    float *weights = load_golden(name, &same);
    TRY(why_coalitions_shap((why_stream){0}, &seed, (int)shape.dim[1], (int)shape.dim[0], &c));
    assert_int_equal(c.masks.n, shape.dim[0]);
    for (int i = 0; i < c.masks.n; i++) {
        for (int k = 0; k < c.masks.k; k++) assert_int_equal(why_masks_bit(&c.masks, i, k), masks[i * c.masks.k + k]);
        assert_true(fabs(c.weight[i] - weights[i]) <= 1e-6 * weights[i]);
    }
    why_coalitions_clear(&c);
    free(masks);
    free(weights);
}

static void kernel_is_shaps(void **state) {
    (void)state;
    static const struct {
        const char *tag, *evaluations, *seed;
    } cases[] = {{"slic150", "152", "0"}, {"grid400", "402", "3"}, {"grid90", "92", "5"}};
    scene s;
    char path[4096];
    scene_open(&s, 16, 1);
    for (int i = 0; i < 3; i++) {
        char name[64];
        const char *segments = cases[i].tag[0] == 's' ? golden_file("lime_slic100_segments", path) : "";
        why_explanation e = scene_explain(&s, "shap_kernel", TARGET,
                                          SETTINGS("segments", segments, "segmenter", "grid(3,4)", "evaluations", cases[i].evaluations,
                                                   "reference", "true", "reference_seed", cases[i].seed));
        snprintf(name, sizeof name, "kernel_%s_phi", cases[i].tag);
        assert_values(name, &e, name);
        assert_true(fabs(e.residual) < 1e-12);
        why_explanation_clear(&e);
        check_coalitions(cases[i].tag, (uint32_t)atoi(cases[i].seed));
    }
    scene_close(&s);
}

/* Its l1_reg: LARS keeps k segments, or a lasso some. */
static void l1_is_shaps(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"features5", "l1_features", "5"}, {"features10", "l1_features", "10"}, {"alpha", "l1_alpha", "1e-3"}};
    scene s;
    char path[4096];
    scene_open(&s, 16, 1);
    for (int i = 0; i < 3; i++) {
        char name[64];
        float phi[MOST];
        int kept = 0;
        why_explanation e = scene_explain(&s, "shap_kernel", TARGET,
                                          SETTINGS("segments", golden_file("lime_slic100_segments", path), "evaluations", "152", "reference",
                                                   "true", "reference_seed", "0", cases[i][1], cases[i][2]));
        snprintf(name, sizeof name, "kernel_l1_%s_phi", cases[i][0]);
        assert_values(name, &e, name);
        values_of(&e, phi);
        for (int k = 0; k < e.segments->n; k++) kept += phi[k] != 0;
        if (i < 2) assert_int_equal(kept, atoi(cases[i][2]));
        else assert_in_range(kept, 2, e.segments->n - 1);
        assert_true(fabs(e.residual) < 1e-12);
        why_explanation_clear(&e);
    }
    assert_refused(&s, "shap_kernel", SETTINGS("segmenter", "grid(3,4)", "l1_features", "3", "l1_alpha", ".1"), "both are given");
    assert_refused(&s, "shap_kernel", SETTINGS("segmenter", "grid(3,4)", "l1_features", "3", "sampling", "tight"),
                   "not with tight sampling");
    scene_close(&s);
}

static void occlusion_is_captums(void **state) {
    (void)state;
    scene s;
    why_shape shape;
    scene_open(&s, 16, 1);
    static const struct { const char *name, *window, *stride; } cases[] = {{"occlusion_16_8", "16", "8"}, {"occlusion_10_7", "10", "7"}};
    for (int i = 0; i < 2; i++) {
        float *want = load_golden(cases[i].name, &shape);
        why_explanation e =
            scene_explain(&s, "occlusion", TARGET, SETTINGS("window", cases[i].window, "stride", cases[i].stride, "fill", "zero"));
        assert_close(cases[i].name, e.map, want, PIXELS);
        why_explanation_clear(&e);
        free(want);
    }
    scene_close(&s);
}

static void rise_is_published(void **state) {
    (void)state;
    scene s;
    why_shape shape;
    scene_open(&s, 16, 1);
    static const struct {
        const char *name, *samples, *cells, *p, *seed;
    } cases[] = {{"rise_60_7", "60", "7", "0.5", "0"}, {"rise_30_5", "30", "5", "0.1", "2"}};
    for (int i = 0; i < 2; i++) {
        float *want = load_golden(cases[i].name, &shape);
        why_explanation e = scene_explain(&s, "rise", TARGET,
                                          SETTINGS("samples", cases[i].samples, "cells", cases[i].cells, "p", cases[i].p, "reference",
                                                   "true", "reference_seed", cases[i].seed));
        assert_close(cases[i].name, e.map, want, PIXELS);
        why_explanation_clear(&e);
        free(want);
    }
    scene_close(&s);
}

static void selection_is_limes(void **state) {
    (void)state;
    scene s;
    char segments[4096], masks[4096];
    scene_open(&s, 16, 1);
    static const struct {
        const char *name, *selection, *features;
    } cases[] = {{"lime_highest_weights_8", "highest_weights", "8"}, {"lime_forward_selection_5", "forward_selection", "5"}};
    for (int i = 0; i < 2; i++) {
        why_explanation e = scene_explain(&s, "lime", TARGET,
                                          SETTINGS("segments", golden_file("lime_slic100_segments", segments), "masks",
                                                   golden_file("lime_slic100_masks", masks), "fill", "black", "selection",
                                                   cases[i].selection, "features", cases[i].features));
        assert_values(cases[i].name, &e, cases[i].name);
        float phi[MOST];
        int kept = 0;
        values_of(&e, phi);
        for (int k = 0; k < e.segments->n; k++) kept += phi[k] != 0;
        assert_int_equal(kept, atoi(cases[i].features));
        why_explanation_clear(&e);
    }
    scene_close(&s);
}

/* ---------------------------------------------------------------- fixtures */
typedef struct fixture {
    const char *dir, *model, *window, *stride;
    int target;
} fixture;

static const fixture fixtures[] = {
    {"fixtures/tinyvgg_pug", "fixtures/tinyvgg_pug/model.onnx", "8", "4", 4},
    {"fixtures/tinyresnet_zebra", "fixtures/tinyresnet_zebra/model.onnx", "8", "4", 1},
    {"fixtures/tinydense_espresso", "fixtures/tinydense_espresso/model.onnx", "8", "4", 3},
    {"fixtures/squeezenet_tabby", "models/squeezenet1_1.onnx", "32", "16", 285},
};

static float *load_fixture(const fixture *f, const char *name, char path[4096], why_shape *shape) {
    char relative[512];
    float *v;
    snprintf(relative, sizeof relative, "%s/%s.npy", f->dir, name);
    assert_true(test_data(relative, path));
    TRY(why_npy_load_f32(path, shape, &v));
    return v;
}

static void check_fixture(const fixture *f) {
    scene s;
    char path[4096], model[4096], what[128];
    float phi[MOST];
    why_shape shape;
    assert_true(test_data(f->model, model));
    free(load_fixture(f, "image_u8", path, &shape));
    scene_open_with(&s, model, path, 10, 1);
    float *want = load_fixture(f, "shap_k200_noreg_phi", path, &shape);
    free(load_fixture(f, "lime_slic100_segments", path, &shape));
    why_explanation e = scene_explain(&s, "shap_kernel", f->target, SETTINGS("segments", path, "evaluations", "202", "reference", "true"));
    values_of(&e, phi);
    snprintf(what, sizeof what, "shap_kernel, %s", f->dir);
    assert_close(what, phi, want, (size_t)e.segments->n);
    why_explanation_clear(&e);
    free(want);
    want = load_fixture(f, "occlusion", path, &shape);
    /* The peer explains the logit of all channels at once: each holds the whole. */
    const why_explainer *x = why_explainer_find("occlusion");
    why_params *p;
    TRY(why_params_create(x->params, &p));
    TRY(why_params_set(p, "window", f->window));
    TRY(why_params_set(p, "stride", f->stride));
    TRY(why_params_set(p, "fill", "zero"));
    TRY(why_explanation_create(s.image.h, s.image.w, &e));
    TRY(x->explain(&(why_request){.subject = s.subject, .class_index = f->target, .output = WHY_LOGIT, .params = p}, &e));
    snprintf(what, sizeof what, "occlusion, %s", f->dir);
    assert_close(what, e.map, want, (size_t)e.h * (size_t)e.w);
    why_explanation_clear(&e);
    why_params_destroy(&p);
    free(want);
    scene_close(&s);
}

static void fixtures_are_met(void **state) {
    (void)state;
    char path[4096];
    if (!test_data("fixtures", path)) skip();
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) check_fixture(&fixtures[i]);
}

/* ---------------------------------------------------------------- Shapley values */
/* All coalitions in the budget: kernel SHAP is exact, whichever way they are listed. */
static void enumerated_is_exact(void **state) {
    (void)state;
    static const char *const grids[] = {"grid(1,1)", "grid(1,2)", "grid(1,3)", "grid(2,2)", "grid(1,5)", "grid(2,3)", "grid(3,3)"};
    static const char *const samplings[] = {"shap", "tight"};
    scene s;
    scene_open(&s, 16, 1);
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        why_explanation want = scene_explain(&s, "shap_exact", TARGET, SETTINGS("segmenter", grids[i]));
        for (int k = 0; k < 2; k++) {
            why_explanation e = scene_explain(&s, "shap_kernel", TARGET, SETTINGS("segmenter", grids[i], "sampling", samplings[k]));
            for (int p = 0; p < PIXELS; p++) assert_true(fabs(e.map[p] - want.map[p]) < 1e-6);
            assert_int_equal(e.evaluations, want.evaluations);
            if (want.segments->n > 1) assert_true(e.se_range < 1e-6);
            why_explanation_clear(&e);
        }
        why_explanation_clear(&want);
    }
    scene_close(&s);
}

static const char *const shapley[][8] = {
    {"shap_kernel", "evaluations", "60"},
    {"shap_kernel", "evaluations", "61", "sampling", "tight"},
    {"shap_kernel", "evaluations", "300", "sampling", "tight"},
    {"shap_permutation", "evaluations", "60"},
    {"shap_permutation", "evaluations", "300"},
    {"shap_exact"},
};

/* Whatever the budget, the values add up to v(all) - v(none). */
static void values_add_up(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    double want = gap(&s, "mean");
    for (size_t i = 0; i < sizeof shapley / sizeof *shapley; i++) {
        const char *settings[10] = {"segmenter", "grid(3,4)"};
        for (int k = 1; k < 8 && shapley[i][k]; k++) settings[k + 1] = shapley[i][k];
        why_explanation e = scene_explain(&s, shapley[i][0], TARGET, settings);
        assert_true(fabs(sum_of_values(&e) - want) < 1e-6);
        if (!(fabs(e.residual) < 1e-9)) fail_msg("%s: %g is missing", shapley[i][0], e.residual);
        why_explanation_clear(&e);
    }
    scene_close(&s);
}

/* A budget that is met to the evaluation, and errors that name what is wanted. */
static void budgets(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    why_explanation e = scene_explain(&s, "shap_permutation", TARGET, SETTINGS("segmenter", "grid(3,4)", "evaluations", "99"));
    assert_int_equal(e.evaluations, 75); /* three permutations of 25 */
    why_explanation_clear(&e);
    e = scene_explain(&s, "shap_kernel", TARGET, SETTINGS("segmenter", "grid(3,4)", "evaluations", "99"));
    assert_int_equal(e.evaluations, 99);
    why_explanation_clear(&e);
    e = scene_explain(&s, "shap_kernel", TARGET, SETTINGS("segmenter", "grid(3,4)", "evaluations", "99", "sampling", "tight"));
    assert_int_equal(e.evaluations, 98); /* pairs */
    why_explanation_clear(&e);
    assert_refused(&s, "shap_permutation", SETTINGS("segmenter", "grid(3,4)", "evaluations", "24"), "want at least 25");
    assert_refused(&s, "shap_kernel", SETTINGS("segmenter", "grid(3,4)", "evaluations", "23"), "want at least 24 for 12 segments");
    assert_refused(&s, "shap_exact", SETTINGS("segmenter", "grid(3,5)"), "at most 14 segments");
    assert_refused(&s, "shap_kernel", SETTINGS("fill", "pink"), "fill 'pink' is unknown");
    assert_refused(&s, "occlusion", SETTINGS("window", "4", "stride", "5"), "uncovered");
    scene_close(&s);
}

/* ---------------------------------------------------------------- standard errors */
/* Over many streams, the spread of the values is what the standard errors say, in the mean: the ratio of the two. */
static double error_ratio(const scene *s, const char *explainer, const char *const *settings, int repeats) {
    double sum[PIXELS] = {0}, squares[PIXELS] = {0}, claimed = 0, worst = 0;
    const why_explainer *x = why_explainer_find(explainer);
    why_params *p;
    TRY(why_params_create(x->params, &p));
    for (; settings[0]; settings += 2) TRY(why_params_set(p, settings[0], settings[1]));
    for (int i = 0; i < repeats; i++) {
        char use[32];
        why_explanation e;
        snprintf(use, sizeof use, "repeat %d", i);
        TRY(why_explanation_create(SIDE, SIDE, &e));
        TRY(x->explain(&(why_request){s->subject, TARGET, WHY_PROBABILITY, p, why_subject_stream(s->subject, use), 0}, &e));
        double lo = INFINITY, hi = -INFINITY;
        for (int k = 0; k < PIXELS; k++) {
            sum[k] += e.map[k];
            squares[k] += (double)e.map[k] * e.map[k];
            lo = fmin(lo, e.map[k]);
            hi = fmax(hi, e.map[k]);
        }
        claimed += e.se_range * (hi - lo) / repeats;
        why_explanation_clear(&e);
    }
    for (int k = 0; k < PIXELS; k++)
        worst = fmax(worst, sqrt(fmax(0, squares[k] / repeats - sum[k] / repeats * sum[k] / repeats) * repeats / (repeats - 1)));
    why_params_destroy(&p);
    printf("  %-20s largest standard error: claimed %.5f, seen %.5f\n", explainer, claimed, worst);
    return claimed / worst;
}

static void standard_errors_are_honest(void **state) {
    (void)state;
    static const char *const cases[][10] = {
        {"lime", "segmenter", "grid(3,4)", "samples", "150"},
        {"shap_permutation", "segmenter", "grid(3,4)", "evaluations", "200"},
        {"shap_kernel", "segmenter", "grid(3,4)", "evaluations", "200"},
        {"shap_kernel", "segmenter", "grid(3,4)", "evaluations", "200", "sampling", "tight"},
        {"rise", "samples", "120"},
    };
    scene s;
    scene_open(&s, 16, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ratio = error_ratio(&s, cases[i][0], cases[i] + 1, i == 4 ? 30 : 60);
        assert_true(ratio > 0.6 && ratio < 1.7);
    }
    scene_close(&s);
}

/* At one budget, tight sampling comes nearer to the truth than shap's. */
static void tight_is_tighter(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 16, 1);
    why_explanation want = scene_explain(&s, "shap_exact", TARGET, NULL);
    static const char *const samplings[] = {"shap", "tight"};
    double rmse[2] = {0};
    for (int k = 0; k < 2; k++) {
        const why_explainer *x = why_explainer_find("shap_kernel");
        why_params *p;
        TRY(why_params_create(x->params, &p));
        TRY(why_params_set(p, "segmenter", "grid(3,4)"));
        TRY(why_params_set(p, "evaluations", "402"));
        TRY(why_params_set(p, "sampling", samplings[k]));
        for (int i = 0; i < 20; i++) {
            why_explanation e;
            TRY(why_explanation_create(SIDE, SIDE, &e));
            TRY(x->explain(&(why_request){s.subject, TARGET, WHY_PROBABILITY, p, {(uint64_t)i}, 0}, &e));
            for (int j = 0; j < PIXELS; j++) rmse[k] += pow(e.map[j] - want.map[j], 2);
            why_explanation_clear(&e);
        }
        why_params_destroy(&p);
    }
    printf("  RMSE to the exact values at 402 of 4096 evaluations: shap's %.2f times tight's\n", sqrt(rmse[0] / rmse[1]));
    assert_true(rmse[0] > 2 * 2 * rmse[1]);
    why_explanation_clear(&want);
    scene_close(&s);
}

/* ---------------------------------------------------------------- windows and soft masks */
/* One window over everything: the whole is lost, and every pixel is charged with it. */
static void occlusion_of_everything(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 4, 1);
    why_explanation e = scene_explain(&s, "occlusion", TARGET, SETTINGS("window", "48", "stride", "48", "fill", "mean"));
    double want = gap(&s, "mean");
    assert_int_equal(e.evaluations, 2);
    for (int i = 0; i < PIXELS; i++) assert_true(fabs(e.map[i] - want) < 1e-6);
    why_explanation_clear(&e);
    scene_close(&s);
}

/* Another budget, batch or number of threads shares its draws. */
static void draws_are_prefixes(void **state) {
    (void)state;
    scene s, t;
    scene_open(&s, 1, 1);
    scene_open(&t, 16, 2);
    static const char *const cases[][3] = {
        {"rise", "samples", "70"}, {"shap_permutation", "evaluations", "400"}, {"shap_kernel", "evaluations", "400"}};
    for (int i = 0; i < 3; i++) {
        why_explanation a = scene_explain(&s, cases[i][0], TARGET, SETTINGS(cases[i][1], cases[i][2]));
        why_explanation b = scene_explain(&t, cases[i][0], TARGET, SETTINGS(cases[i][1], cases[i][2]));
        assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
        why_explanation_clear(&a);
        why_explanation_clear(&b);
    }
    int64_t forwards = why_evaluator_forwards(s.ev);
    why_explanation a = scene_explain(&s, "rise", TARGET, SETTINGS("samples", "40"));
    why_explanation b = scene_explain(&s, "shap_permutation", TARGET, SETTINGS("evaluations", "200"));
    assert_int_equal(why_evaluator_forwards(s.ev), forwards);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    scene_close(&s);
    scene_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_is_shaps),          cmocka_unit_test(permutation_is_shaps),
        cmocka_unit_test(kernel_is_shaps),         cmocka_unit_test(l1_is_shaps),
        cmocka_unit_test(occlusion_is_captums),
        cmocka_unit_test(rise_is_published),       cmocka_unit_test(selection_is_limes),
        cmocka_unit_test(fixtures_are_met),        cmocka_unit_test(enumerated_is_exact),
        cmocka_unit_test(values_add_up),           cmocka_unit_test(budgets),
        cmocka_unit_test(tight_is_tighter),        cmocka_unit_test(standard_errors_are_honest),
        cmocka_unit_test(occlusion_of_everything), cmocka_unit_test(draws_are_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
