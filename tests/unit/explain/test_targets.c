/* Several classes of one image, and contrasts of two, on the committed tiny net: one set of forwards serves them all. */
#include "scene.h"

enum { A = 1, B = 2 };

static int contrast(const scene *s, int a, int b) { return why_contrast(why_model_get_info(s->model)->classes, a, b); }

/* Evaluations that the network really made. */
static int64_t forwards_of(const scene *s, const char *explainer, int class_index, const char *const *settings) {
    const int64_t before = why_evaluator_forwards(s->ev);
    why_explanation e = scene_explain(s, explainer, class_index, settings);
    why_explanation_clear(&e);
    return why_evaluator_forwards(s->ev) - before;
}

typedef struct method {
    const char *name, *setting[9];
    bool shares; /* its evaluations do not depend on the class */
} method;

#define GRID "segmenter", "grid(rows=3,columns=3)"
static const method linear[] = {
    {"lime", {"samples", "60", GRID, NULL}, true},
    {"shap_kernel", {"evaluations", "80", GRID, NULL}, true},
    {"shap_permutation", {"evaluations", "57", GRID, NULL}, true},
    {"shap_exact", {GRID, NULL}, true},
    {"shap_partition", {"evaluations", "60", "priority", "all", NULL}, true},
    {"occlusion", {NULL}, true},
    {"rise", {"samples", "100", NULL}, true},
    {"input_x_gradient", {NULL}, false},
    {"integrated_gradients", {"steps", "8", NULL}, false},
    {"gradcam", {"relu", "false", NULL}, false},
    {"hirescam", {"relu", "false", NULL}, false},
};

/* What is linear in the scores makes of a difference the difference of two maps. */
static void a_contrast_is_a_difference(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof linear / sizeof *linear; m++) {
        scene s;
        scene_open(&s, 8, 1);
        const method *x = &linear[m];
        why_explanation a = scene_explain(&s, x->name, A, x->setting), b = scene_explain(&s, x->name, B, x->setting);
        why_explanation d = scene_explain(&s, x->name, contrast(&s, A, B), x->setting);
        float lo = d.map[0], hi = d.map[0];
        double worst = 0;
        for (int i = 0; i < d.h * d.w; i++) {
            worst = fmax(worst, fabs((double)a.map[i] - b.map[i] - d.map[i]));
            lo = fminf(lo, d.map[i]), hi = fmaxf(hi, d.map[i]);
        }
        printf("  %-22s |a - b - contrast| %.1e of the range\n", linear[m].name, worst / (hi - lo));
        assert_true(hi > lo);
        assert_true(worst <= 1e-5 * (hi - lo));
        assert_int_equal(d.evaluations, a.evaluations);
        why_explanation_clear(&a);
        why_explanation_clear(&b);
        why_explanation_clear(&d);
        scene_close(&s);
    }
}

/* The second class and the contrast find every score where the first class left it. */
static void one_set_of_forwards_serves_all(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof linear / sizeof *linear; m++) {
        if (!linear[m].shares) continue;
        scene s;
        scene_open(&s, 8, 1);
        const int64_t first = forwards_of(&s, linear[m].name, A, linear[m].setting);
        printf("  %-22s %lld forwards for one class, as many for three targets\n", linear[m].name, (long long)first);
        assert_true(first > 8);
        assert_int_equal(forwards_of(&s, linear[m].name, B, linear[m].setting), 0);
        assert_int_equal(forwards_of(&s, linear[m].name, contrast(&s, A, B), linear[m].setting), 0);
        scene_close(&s);
    }
}

/* A saliency map is a magnitude, a class activation map is clipped: no difference, but the gradient of one. */
static void a_contrast_of_gradients_is_the_gradient_of_the_difference(void **state) {
    (void)state;
    scene s;
    why_tensor_view g;
    scene_open(&s, 2, 1);
    const size_t n = 3 * (size_t)s.image.h * (size_t)s.image.w;
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, A, WHY_LOGIT, WHY_RULE_PLAIN, NULL, &g));
    memcpy(a, g.data, n * sizeof *a);
    TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, B, WHY_LOGIT, WHY_RULE_PLAIN, NULL, &g));
    memcpy(b, g.data, n * sizeof *b);
    for (size_t i = 0; i < n; i++) a[i] -= b[i];
    TRY(why_evaluator_gradient(s.ev, "input", NULL, 1, contrast(&s, A, B), WHY_LOGIT, WHY_RULE_PLAIN, NULL, &g));
    assert_true(compare(g.data, a, n).error < 1e-5);
    why_explanation e = scene_explain(&s, "saliency", contrast(&s, A, B), NULL);
    for (size_t i = 0; i < n / 3; i++) {
        const double want = fabs(a[i]) + fabs(a[n / 3 + i]) + fabs(a[2 * n / 3 + i]);
        assert_true(fabs(e.map[i] - want) <= 1e-5 * fabs(want) + 1e-7);
    }
    why_explanation_clear(&e);
    free(a);
    free(b);
    scene_close(&s);
}

static void refusals(void **state) {
    (void)state;
    scene s;
    why_explanation e;
    scene_open(&s, 2, 1);
    const int classes = why_model_get_info(s.model)->classes;
    assert_int_equal(scene_try(&s, "gradcam", contrast(&s, A, A), NULL, &e), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "contrast of 1 with 1"));
    assert_int_equal(scene_try(&s, "lime", contrast(&s, classes, A), NULL, &e), WHY_EARG);
    assert_int_equal(scene_try(&s, "lime", -1, NULL, &e), WHY_EARG);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_contrast_is_a_difference),
        cmocka_unit_test(one_set_of_forwards_serves_all),
        cmocka_unit_test(a_contrast_of_gradients_is_the_gradient_of_the_difference),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
