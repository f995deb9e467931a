/* Each explainer's own properties, on the committed tiny net; agreement with the peers is test_parity.c's. */
#include "scene.h"

#include "base/mem.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE };

static double sum_of(const float *map) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++) sum += map[i];
    return sum;
}

static const char *golden_file(const char *name, char path[4096]) {
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/explain/%s.npy", name);
    return test_source(relative, path);
}

/* ---------------------------------------------------------------- table */
static void table(void **state) {
    (void)state;
    for (int i = 0; why_explainers[i]; i++) {
        const why_explainer *e = why_explainers[i];
        why_params *p;
        assert_ptr_equal(why_explainer_find(e->name), e);
        assert_non_null(e->help);
        assert_non_null(e->source);
        TRY(why_params_create(e->params, &p));
        bool fixed = e->budget && why_params_int(p, e->budget) > 0; /* 0: depends on the segments */
        const int besides = strcmp(e->name, "shap_gradient") == 0 ? 3 : 0; /* scores of the references, for the residual */
        if (fixed) assert_int_equal(e->evaluations(p, SIDE, SIDE, 0), why_params_int(p, e->budget) + besides);
        if (e->flags & WHY_USES_SEGMENTS) assert_true(why_params_has(p, "segmenter"));
        why_params_destroy(&p);
    }
    assert_null(why_explainer_find("lim"));
}

/* What a plan expects is what is spent. */
static void evaluations_as_planned(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 8, 1);
    const why_box middle = {12, 36, 12, 36, 0, 3};
    uint8_t mask[PIXELS] = {0};
    for (int y = middle.y0; y < middle.y1; y++) memset(mask + y * SIDE + middle.x0, 1, 24);
    why_subject_destroy(&s.subject);
    TRY(why_subject_create(s.ev, &s.image, mask, 1, 2, &s.subject));
    for (int i = 0; why_explainers[i]; i++) {
        const why_explainer *e = why_explainers[i];
        why_params *p;
        TRY(why_params_create(e->params, &p));
        if (strcmp(e->name, "lime") == 0) TRY(why_params_set(p, "samples", "40"));
        int64_t asked = why_evaluator_asked(s.ev);
        why_explanation x;
        TRY(why_explanation_create(SIDE, SIDE, &x));
        why_request r = {s.subject, 1, e->output, p, why_subject_stream(s.subject, e->name), 0};
        TRY(e->explain(&r, &x));
        bool by_channel = strcmp(e->name, "scorecam") == 0 || strcmp(e->name, "ablationcam") == 0; /* a plan knows no layers' sizes */
        if (!by_channel) assert_int_equal(x.evaluations, e->evaluations(p, SIDE, SIDE, x.segments ? x.segments->n : 0));
        assert_int_equal(why_evaluator_asked(s.ev) - asked, x.evaluations);
        why_explanation_clear(&x);
        why_params_destroy(&p);
    }
    scene_close(&s);
}

/* ---------------------------------------------------------------- lime */
#define QUICK "segments", golden_file("lime_q100_segments", path)

static void lime_reference_mode(void **state) {
    (void)state;
    scene s;
    char path[4096], masks[4096];
    scene_open(&s, 8, 1);
    why_explanation a = scene_explain(&s, "lime", 1, SETTINGS(QUICK, "masks", golden_file("lime_q100_masks", masks)));
    why_explanation b = scene_explain(&s, "lime", 1, SETTINGS(QUICK, "samples", "100", "reference", "true", "reference_seed", "0"));
    why_explanation c = scene_explain(&s, "lime", 1, SETTINGS(QUICK, "samples", "100", "reference", "true", "reference_seed", "1"));
    assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
    assert_memory_not_equal(a.map, c.map, PIXELS * sizeof *a.map);
    assert_true(a.fit > 0.3 && a.fit <= 1);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    why_explanation_clear(&c);
    scene_close(&s);
}

/* Classes share their masks: the second one costs no forward pass. Threads and batch leave no trace. */
static void lime_is_deterministic(void **state) {
    (void)state;
    scene s, t;
    char path[4096];
    scene_open(&s, 1, 1);
    scene_open(&t, 16, 2);
    why_explanation a = scene_explain(&s, "lime", 1, SETTINGS(QUICK, "samples", "60"));
    int64_t forwards = why_evaluator_forwards(s.ev);
    why_explanation other = scene_explain(&s, "lime", 0, SETTINGS(QUICK, "samples", "60"));
    assert_int_equal(why_evaluator_forwards(s.ev), forwards);
    why_explanation prefix = scene_explain(&s, "lime", 1, SETTINGS(QUICK, "samples", "30"));
    assert_int_equal(why_evaluator_forwards(s.ev), forwards); /* a smaller budget is a prefix of the larger */
    why_explanation b = scene_explain(&t, "lime", 1, SETTINGS(QUICK, "samples", "60"));
    assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
    assert_memory_not_equal(a.map, other.map, PIXELS * sizeof *a.map);
    assert_memory_not_equal(a.map, prefix.map, PIXELS * sizeof *a.map);
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    why_explanation_clear(&other);
    why_explanation_clear(&prefix);
    scene_close(&s);
    scene_close(&t);
}

static void save_labels(const char *path, int h, int w, int32_t (*label)(int)) {
    int32_t *v = malloc(sizeof *v * (size_t)(h * w));
    for (int i = 0; i < h * w; i++) v[i] = label(i);
    TRY(why_npy_save_i32(path, &(why_shape){2, {h, w}}, v));
    free(v);
}
static int32_t halves(int i) { return i % SIDE >= SIDE / 2; }
static int32_t with_hole(int i) { return i % SIDE >= SIDE / 2 ? 2 : 0; }
static int32_t negative(int i) { return i - 1; }
static int32_t huge(int i) { return i ? 0 : 1 << 30; }

static void assert_refused(const scene *s, const char *explainer, int class_index, const char *const *settings, why_status status,
                           const char *text) {
    why_explanation e;
    assert_int_equal(scene_try(s, explainer, class_index, settings, &e), status);
    if (!strstr(why_error_text(), text)) fail_msg("'%s' does not say '%s'", why_error_text(), text);
}

static void lime_segments(void **state) {
    (void)state;
    scene s;
    char path[] = "/tmp/whypix-labels-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    scene_open(&s, 8, 1);
    save_labels(path, SIDE, SIDE, with_hole);
    assert_refused(&s, "lime", 1, SETTINGS("segments", path), WHY_EFORMAT, "label 1 has no pixel");
    save_labels(path, SIDE, SIDE, negative);
    assert_refused(&s, "lime", 1, SETTINGS("segments", path), WHY_EFORMAT, "label -1: labels start at 0");
    save_labels(path, SIDE, SIDE, huge);
    assert_refused(&s, "lime", 1, SETTINGS("segments", path), WHY_EFORMAT, "there are only 2304 pixels");
    save_labels(path, SIDE, SIDE / 2, halves);
    assert_refused(&s, "lime", 1, SETTINGS("segments", path), WHY_EARG, "48 x 24 labels, the image is 48 x 48");
    save_labels(path, SIDE, SIDE, halves);
    why_explanation e = scene_explain(&s, "lime", 1, SETTINGS("segments", path, "samples", "20", "fill", "black"));
    assert_string_equal(e.note, "fewer than 5 segments");
    assert_int_equal(e.segments->n, 2);
    assert_true(e.map[0] == e.map[SIDE / 2 - 1] && e.map[0] != e.map[SIDE / 2]);
    why_explanation_clear(&e);
    unlink(path);
    assert_refused(&s, "lime", 1, SETTINGS("segments", "/nonexistent/s.npy"), WHY_EFILE, "/nonexistent/s.npy");
    assert_refused(&s, "lime", 1, SETTINGS("segmenter", "quickshft"), WHY_EARG, "quickshift");
    assert_refused(&s, "lime", 5, NULL, WHY_EARG, "class: got 5, the model has classes 0 to 4");
    assert_refused(&s, "lime", -1, NULL, WHY_EARG, "class: got -1");
    assert_refused(&s, "lime", 0, SETTINGS("fill", "pink"), WHY_EARG, "fill 'pink' is unknown");
    scene_close(&s);
}

/* One segmentation per text, whatever its spelling. */
static void shared_segments(void **state) {
    (void)state;
    scene s;
    const why_segments *a, *b, *c;
    scene_open(&s, 2, 1);
    TRY(why_subject_segments(s.subject, "slic", &a));
    TRY(why_subject_segments(s.subject, " slic()", &b));
    TRY(why_subject_segments(s.subject, "quickshift(kernel_size=2)", &c));
    assert_ptr_equal(a, b);
    assert_true(a != c);
    why_explanation e = scene_explain(&s, "lime", 1, SETTINGS("segmenter", "slic", "samples", "20"));
    assert_ptr_equal(e.segments, a);
    why_explanation_clear(&e);
    scene_close(&s);
}

/* ---------------------------------------------------------------- partition SHAP */
/* Whatever the budget, the values add up to f(full) - f(empty). */
static void efficiency(void **state) {
    (void)state;
    static const char *const budgets[] = {"2", "3", "4", "57", "400"};
    scene s;
    const float *original;
    const why_fill *fill;
    float empty[8];
    scene_open(&s, 16, 1);
    TRY(why_evaluator_original(s.ev, &original));
    TRY(why_evaluator_fill(s.ev, "blur(9,9)", NULL, &fill));
    TRY(why_evaluator_run(s.ev, &(why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill}, 1, empty));
    for (int c = 0; c < 3; c++) {
        double gap = why_score(original, 5, c, WHY_PROBABILITY) - why_score(empty, 5, c, WHY_PROBABILITY);
        for (int i = 0; i < 5; i++) {
            why_explanation e = scene_explain(&s, "shap_partition", c, SETTINGS("evaluations", budgets[i], "masker", "blur(9,9)"));
            assert_true(fabs(sum_of(e.map) - gap) < 1e-6);
            assert_true(fabs(e.residual - (gap - sum_of(e.map))) < 1e-12);
            assert_true(e.evaluations - atoi(budgets[i]) == atoi(budgets[i]) % 2); /* nodes cost two */
            why_explanation_clear(&e);
        }
    }
    scene_close(&s);
}

/* Two evaluations: nothing is known but the whole. Four: the halves' Shapley values, rows first. */
static void first_split(void **state) {
    (void)state;
    scene s;
    const float *full;
    const why_fill *fill;
    const why_box top = {0, SIDE / 2, 0, SIDE, 0, 3}, bottom = {SIDE / 2, SIDE, 0, SIDE, 0, 3};
    float logits[3 * 8];
    scene_open(&s, 4, 1);
    TRY(why_evaluator_original(s.ev, &full));
    TRY(why_evaluator_fill(s.ev, "zero", NULL, &fill));
    const why_perturbation p[] = {{.kind = WHY_SHOW_BOXES, .fill = fill},
                                  {.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&top, 1}},
                                  {.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {&bottom, 1}}};
    TRY(why_evaluator_run(s.ev, p, 3, logits));
    double f00 = why_score(logits, 5, 1, WHY_PROBABILITY), f10 = why_score(logits + 5, 5, 1, WHY_PROBABILITY);
    double f01 = why_score(logits + 10, 5, 1, WHY_PROBABILITY), f11 = why_score(full, 5, 1, WHY_PROBABILITY);
    why_explanation a = scene_explain(&s, "shap_partition", 1, SETTINGS("evaluations", "2", "masker", "zero"));
    why_explanation b = scene_explain(&s, "shap_partition", 1, SETTINGS("evaluations", "4", "masker", "zero"));
    double upper = ((f10 - f00) + (f11 - f01)) / 2, lower = ((f01 - f00) + (f11 - f10)) / 2;
    for (int i = 0; i < PIXELS; i++) {
        assert_true(fabs(a.map[i] - (f11 - f00) / PIXELS) < 1e-9);
        assert_true(fabs(b.map[i] - (i < PIXELS / 2 ? upper : lower) * 2 / PIXELS) < 1e-9);
    }
    why_explanation_clear(&a);
    why_explanation_clear(&b);
    assert_refused(&s, "shap_partition", 1, SETTINGS("masker", "segment_mean"), WHY_EARG, "made from segments");
    assert_refused(&s, "shap_partition", 9, NULL, WHY_EARG, "class: got 9");
    scene_close(&s);
}

/* ---------------------------------------------------------------- Grad-CAM */
static void gradcam(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 2, 1);
    int negative_values = 0, positive_values = 0;
    for (int c = 0; c < 5; c++) {
        why_explanation plain = scene_explain(&s, "gradcam", c, SETTINGS("layer", "/6/Conv", "relu", "false"));
        why_explanation e = scene_explain(&s, "gradcam", c, SETTINGS("layer", "/6/Conv"));
        bool zero = true;
        for (int i = 0; i < PIXELS; i++) {
            assert_true(e.map[i] >= 0);
            negative_values += plain.map[i] < 0;
            positive_values += plain.map[i] > 0;
            zero = zero && e.map[i] == 0;
        }
        if (zero) assert_string_equal(e.note, "all-zero map");
        else assert_null(e.note);
        assert_true(isnan(e.fit) && isnan(e.residual));
        why_explanation_clear(&e);
        why_explanation_clear(&plain);
    }
    assert_true(negative_values > 0 && positive_values > 0);
    assert_refused(&s, "gradcam", 0, SETTINGS("layer", "/6/Cnv"), WHY_EARG, "/6/Conv");
    assert_refused(&s, "gradcam", 0, SETTINGS("layer", "/10/Gemm"), WHY_EARG, "/10/Gemm");
    assert_refused(&s, "gradcam", 7, NULL, WHY_EARG, "class: got 7");
    scene_close(&s);
}

/* ---------------------------------------------------------------- controls */
static void noise(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 1, 1);
    const char *const names[] = {"random", "random_smooth"};
    for (int i = 0; i < 2; i++) {
        const why_explainer *x = why_explainer_find(names[i]);
        why_explanation a = scene_explain(&s, names[i], 0, NULL), b = scene_explain(&s, names[i], 3, NULL), c;
        TRY(why_explanation_create(SIDE, SIDE, &c));
        TRY(x->explain(&(why_request){.subject = s.subject, .stream = why_subject_stream(s.subject, "another repeat")}, &c));
        assert_memory_equal(a.map, b.map, PIXELS * sizeof *a.map);
        assert_memory_not_equal(a.map, c.map, PIXELS * sizeof *a.map);
        double mean = sum_of(a.map) / PIXELS, roughness = 0;
        for (int k = 0; k < PIXELS; k++) assert_true(a.map[k] >= 0 && a.map[k] < 1);
        for (int k = 1; k < PIXELS; k++) roughness += fabs((double)a.map[k] - a.map[k - 1]) / PIXELS;
        assert_true(fabs(mean - 0.5) < (i ? 0.25 : 0.03));
        assert_true(i ? roughness < 0.1 : fabs(roughness - 1.0 / 3) < 0.03); /* E|U - V| = 1/3 */
        why_explanation_clear(&a);
        why_explanation_clear(&b);
        why_explanation_clear(&c);
    }
    scene_close(&s);
}

static void center(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 1, 1);
    why_explanation e = scene_explain(&s, "center", 0, NULL);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double r2 = (y - 23.5) * (y - 23.5) + (x - 23.5) * (x - 23.5);
            assert_true(fabs(e.map[y * SIDE + x] - exp(-r2 / 288)) < 1e-7); /* sigma 12 */
        }
    why_explanation_clear(&e);
    scene_close(&s);
}

/* A grey step of 100 gives 4 * 100 on both sides of it, at the border too; a flat picture gives nothing. */
static void edges(void **state) {
    (void)state;
    scene s;
    scene_open(&s, 1, 1);
    for (int flat = 0; flat < 2; flat++) {
        for (int i = 0; i < 3 * PIXELS; i++) s.image.rgb[i] = (uint8_t)(!flat && i / 3 % SIDE >= 20 ? 150 : 50);
        why_explanation e = scene_explain(&s, "edges", 0, NULL);
        for (int i = 0; i < PIXELS; i++) assert_true(e.map[i] == (!flat && (i % SIDE == 19 || i % SIDE == 20) ? 400.0f : 0.0f));
        if (flat) assert_string_equal(e.note, "all-zero map");
        why_explanation_clear(&e);
    }
    scene_close(&s);
}

static void mask(void **state) {
    (void)state;
    scene s;
    uint8_t truth[PIXELS];
    scene_open(&s, 1, 1);
    assert_refused(&s, "mask", 0, NULL, WHY_EUNDEFINED, "no ground-truth mask");
    for (int i = 0; i < PIXELS; i++) truth[i] = (uint8_t)(i % 5 == 0 ? 255 : 0);
    why_subject_destroy(&s.subject);
    TRY(why_subject_create(s.ev, &s.image, truth, 1, 1, &s.subject));
    why_explanation e = scene_explain(&s, "mask", 0, NULL);
    for (int i = 0; i < PIXELS; i++) assert_true(e.map[i] == (i % 5 == 0));
    why_explanation_clear(&e);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(evaluations_as_planned),
        cmocka_unit_test(lime_reference_mode),
        cmocka_unit_test(lime_is_deterministic),
        cmocka_unit_test(lime_segments),
        cmocka_unit_test(shared_segments),
        cmocka_unit_test(efficiency),
        cmocka_unit_test(first_split),
        cmocka_unit_test(gradcam),
        cmocka_unit_test(noise),
        cmocka_unit_test(center),
        cmocka_unit_test(edges),
        cmocka_unit_test(mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
