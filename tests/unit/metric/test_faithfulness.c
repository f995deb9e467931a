/* Curves and drops on a linear model (tests/golden/metric/linear.onnx), where the score of any perturbed image is a
 * weighted sum that the test works out from the weights, the image and the fill. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "linear.h"

/* ---------------------------------------------------------------- deletion and insertion */
static void check_curve(const struct job *j, const char *fill_text, int step) {
    float fill[3 * N];
    double share[N], area = 0, last_x = 0, last_y = 0;
    struct points got;
    int64_t evaluations;
    bool insertion = j->metric == &why_metric_insertion;
    why_value v = run(j, &got, &evaluations);
    fill_of(fill_text, fill);
    int n = 0;
    for (int k = 0;; k += step, n++) {
        if (k > N) k = N;
        for (int i = 0; i < N; i++) share[i] = (place(b.e.map, i) < k) == insertion;
        double x = (double)k / N, y = expected_score(share, fill, j->output);
        assert_true(n < got.n && got.x[n] == x);
        if (fabs(got.logit[n] - expected_score(share, fill, WHY_LOGIT)) > 1e-4) fail_msg("point %d: logit %.9g", n, got.logit[n]);
        if (fabs(got.y[n] - y) > 2e-5) fail_msg("%s, point %d: got %.9g, want %.9g", j->metric->name, n, got.y[n], y);
        if (n > 0) area += (x - last_x) * (y + last_y) / 2;
        last_x = x;
        last_y = y;
        if (k == N) break;
    }
    assert_int_equal(got.n, n + 1);
    assert_int_equal(evaluations, n + 1);
    assert_null(v.why);
    assert_true(fabs(v.value - area) < 2e-5);
}

static void curves_have_their_closed_form(void **state) {
    (void)state;
    const why_metric *const metrics[] = {&why_metric_deletion, &why_metric_insertion};
    for (int m = 0; m < 2; m++) {
        check_curve(&(struct job){.metric = metrics[m]}, m ? "gaussian(k=11,sigma=5)" : "zero", W); /* the defaults */
        check_curve(&(struct job){.metric = metrics[m], .fill = "mean", .step = "37"}, "mean", 37);  /* an uneven last step */
        check_curve(&(struct job){.metric = metrics[m], .fill = "black", .step = "1073741824"}, "black", N);
        check_curve(&(struct job){.metric = metrics[m], .fill = "mean", .output = WHY_LOGIT}, "mean", W);
    }
    check_curve(&(struct job){.metric = &why_metric_deletion, .step = "1"}, "zero", 1); /* more points than are run at once */
}

/* Most-relevant-first by signed value: an explanation that *is* the contribution to the logit gives the lowest deletion
 * curve of all orders, its negative the highest. */
static void the_true_contributions_win(void **state) {
    (void)state;
    float fill[3 * N], *saved = b.e.map, truth[N];
    const struct job j = {.metric = &why_metric_deletion, .fill = "mean", .output = WHY_LOGIT};
    fill_of("mean", fill);
    for (int i = 0; i < N; i++) {
        truth[i] = 0;
        for (int k = i; k < 3 * N; k += N) truth[i] += b.weight[CLASS * 3 * N + k] * (b.x[k] - fill[k]);
    }
    double other = run(&j, NULL, NULL).value;
    b.e.map = truth;
    double best = run(&j, NULL, NULL).value;
    for (int i = 0; i < N; i++) truth[i] = -truth[i];
    double worst = run(&j, NULL, NULL).value;
    b.e.map = saved;
    assert_true(best < other && other < worst);
}

static void ties_are_broken_by_the_stream(void **state) {
    (void)state;
    float *saved = b.e.map, zero[N] = {0};
    struct points first, again, other;
    b.e.map = zero;
    double v = run(&(struct job){.metric = &why_metric_deletion, .use = "a"}, &first, NULL).value;
    assert_true(run(&(struct job){.metric = &why_metric_deletion, .use = "a"}, &again, NULL).value == v);
    run(&(struct job){.metric = &why_metric_deletion, .use = "b"}, &other, NULL);
    b.e.map = saved;
    assert_memory_equal(first.y, again.y, (size_t)first.n * sizeof *first.y);
    assert_memory_not_equal(first.y, other.y, (size_t)first.n * sizeof *first.y);
    assert_true(first.y[0] == other.y[0] && first.y[first.n - 1] == other.y[other.n - 1]);
}

static void deletion_and_insertion_meet(void **state) {
    (void)state;
    struct points deleted, inserted;
    run(&(struct job){.metric = &why_metric_deletion, .fill = "mean"}, &deleted, NULL);
    run(&(struct job){.metric = &why_metric_insertion, .fill = "mean"}, &inserted, NULL);
    assert_true(deleted.y[0] == inserted.y[inserted.n - 1]);
    assert_true(deleted.y[deleted.n - 1] == inserted.y[0]);
}

/* ---------------------------------------------------------------- image x map */
static void drops_have_their_closed_form(void **state) {
    (void)state;
    static const char *const fills[] = {NULL, "black", "mean"};
    for (int f = 0; f < 3; f++) {
        float fill[3 * N];
        double share[N], whole[N], top = 0;
        fill_of(fills[f] ? fills[f] : "zero", fill);
        for (int i = 0; i < N; i++) top = (double)b.e.map[i] > top ? (double)b.e.map[i] : top;
        for (int i = 0; i < N; i++) share[i] = b.e.map[i] > 0 ? (double)b.e.map[i] / top : 0, whole[i] = 1;
        double y = expected_score(whole, fill, WHY_PROBABILITY), o = expected_score(share, fill, WHY_PROBABILITY);
        why_value drop = run(&(struct job){.metric = &why_metric_average_drop, .fill = fills[f]}, NULL, NULL);
        why_value rise = run(&(struct job){.metric = &why_metric_increase, .fill = fills[f]}, NULL, NULL);
        assert_true(fabs(y - o) > 1e-3); /* else the test shows nothing */
        assert_true(drop.why == NULL && fabs(drop.value - (y > o ? (y - o) / y : 0)) < 1e-4);
        assert_true(rise.why == NULL && rise.value == (o > y));
    }
}

/* A map that shows only what speaks for the class raises the score; one that shows the rest lowers it. */
static void both_signs_of_the_drop_occur(void **state) {
    (void)state;
    float fill[3 * N], *saved = b.e.map, map[N];
    fill_of("zero", fill);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < N; i++) {
            double c = 0;
            for (int k = i; k < 3 * N; k += N) c += (double)b.weight[CLASS * 3 * N + k] * ((double)b.x[k] - (double)fill[k]);
            map[i] = c * sign > 0;
        }
        b.e.map = map;
        why_value drop = run(&(struct job){.metric = &why_metric_average_drop}, NULL, NULL);
        why_value rise = run(&(struct job){.metric = &why_metric_increase}, NULL, NULL);
        b.e.map = saved;
        assert_true(rise.value == (sign > 0));
        assert_true(sign > 0 ? drop.value == 0 : drop.value > 0.05);
    }
}

static void a_fill_painted_from_shown_pixels_has_curves_and_no_drop(void **state) {
    (void)state;
    why_value drop = run(&(struct job){.metric = &why_metric_average_drop, .fill = "inpaint_telea"}, NULL, NULL);
    why_value rise = run(&(struct job){.metric = &why_metric_increase, .fill = "inpaint_telea"}, NULL, NULL);
    assert_non_null(strstr(drop.why, "painted from the pixels that are shown"));
    assert_non_null(rise.why);
    assert_null(run(&(struct job){.metric = &why_metric_deletion, .fill = "inpaint_telea"}, NULL, NULL).why);
}

static void a_score_near_zero_has_no_drop(void **state) {
    (void)state;
    const float *logits;
    assert_int_equal(why_evaluator_original(b.ev, &logits), WHY_OK);
    int losing = 0; /* a class with a negative logit: as a logit score it is below every threshold */
    for (int c = 0; c < CLASSES; c++)
        if (logits[c] < 0) losing = c;
    assert_true(logits[losing] < 0);
    why_value v;
    why_score_input in = {.subject = b.subject, .class_index = losing, .output = WHY_LOGIT, .explanation = &b.e};
    assert_int_equal(why_metric_average_drop.score(&in, NULL, &v), WHY_OK);
    assert_string_equal(v.why, "score of the whole image below 1e-4");
    assert_int_equal(why_metric_increase.score(&in, NULL, &v), WHY_OK);
    assert_non_null(v.why);
}

/* ---------------------------------------------------------------- errors */
static void misuse_is_an_error(void **state) {
    (void)state;
    float small[4] = {0};
    why_explanation e = {.h = 2, .w = 2, .map = small};
    why_score_input in = {.subject = b.subject, .class_index = CLASS, .explanation = &e};
    why_value v;
    why_params *p;
    assert_int_equal(why_params_create(why_metric_deletion.params, &p), WHY_OK);
    assert_int_equal(why_metric_deletion.score(&in, p, &v), WHY_EBUG);
    assert_int_equal(why_metric_average_drop.score(&in, NULL, &v), WHY_EBUG);
    in.explanation = &b.e;
    in.fill = "plaid";
    assert_int_equal(why_metric_deletion.score(&in, p, &v), WHY_EARG);
    assert_int_equal(why_metric_increase.score(&in, NULL, &v), WHY_EARG);
    why_params_destroy(&p);
}

/* ---------------------------------------------------------------- optional: a real network and photograph */
/* The same order with ties broken by index, as the reference has it, in values without ties. */
static float *places_of(const float *map, int n) {
    int32_t *order;
    float *places;
    assert_int_equal(why_alloc((size_t)n, sizeof *order, "order", &order), WHY_OK);
    assert_int_equal(why_alloc((size_t)n, sizeof *places, "places", &places), WHY_OK);
    assert_int_equal(why_order_falling(map, n, NULL, order), WHY_OK);
    for (int i = 0; i < n; i++) places[order[i]] = (float)(n - i);
    free(order);
    return places;
}

/* Grad-CAM of SqueezeNet 1.1 on a photograph, black fill, 32 steps; the areas and the drop are PyTorch's. */
static void real_curves(const char *model_path, const char *image_path, const char *map_path) {
    const struct bench saved = b;
    why_npy image;
    why_shape shape;
    assert_int_equal(why_model_load(model_path, NULL, &b.model), WHY_OK);
    const why_evaluator_options options = {.model = b.model, .preprocess = why_preprocess_find("torchvision"), .max_batch = 8};
    assert_int_equal(why_evaluator_create(&options, &b.ev), WHY_OK);
    assert_int_equal(why_npy_load(image_path, &image), WHY_OK);
    b.image = (why_image){.h = 224, .w = 224, .rgb = image.data};
    b.e = (why_explanation){.h = 224, .w = 224};
    assert_int_equal(why_npy_load_f32(map_path, &shape, &b.e.map), WHY_OK);
    assert_int_equal(why_subject_create(b.ev, &b.image, NULL, 1, 2, &b.subject), WHY_OK);
    why_explanation untied = {.h = 224, .w = 224, .map = places_of(b.e.map, 224 * 224)};

    static const struct {
        const why_metric *metric;
        double want;
    } cases[] = {{&why_metric_deletion, 0.007381016}, {&why_metric_insertion, 0.061424603}, {&why_metric_average_drop, 0.594159179}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        why_params *p;
        why_value v;
        bool curve = cases[i].metric->flags & WHY_METRIC_CURVE;
        why_score_input in = {.subject = b.subject, .class_index = 285, .explanation = curve ? &untied : &b.e, .fill = "black"};
        assert_int_equal(why_params_create(cases[i].metric->params, &p), WHY_OK);
        if (curve) assert_int_equal(why_params_set(p, "step", "1568"), WHY_OK);
        assert_int_equal(cases[i].metric->score(&in, p, &v), WHY_OK);
        /* Both networks are fp32: logits of about 20 carry 2e-6 of rounding each, and a drop divides two probabilities. */
        if (fabs(v.value - cases[i].want) > 5e-6) fail_msg("%s: got %.9g, want %.9g", cases[i].metric->name, v.value, cases[i].want);
        why_params_destroy(&p);
    }
    why_subject_destroy(&b.subject);
    why_evaluator_destroy(&b.ev);
    why_model_destroy(&b.model);
    why_explanation_clear(&untied);
    why_explanation_clear(&b.e);
    why_npy_clear(&image);
    b = saved;
}

static void curves_as_pytorch(void **state) {
    (void)state;
    char model[4096], image[4096], map[4096];
    if (!test_data("models/squeezenet1_1.onnx", model) || !test_data("fixtures/squeezenet_tabby/image_u8.npy", image) ||
        !test_data("fixtures/squeezenet_tabby/gradcam.npy", map)) skip();
    real_curves(model, image, map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_have_their_closed_form),
        cmocka_unit_test(the_true_contributions_win),
        cmocka_unit_test(ties_are_broken_by_the_stream),
        cmocka_unit_test(deletion_and_insertion_meet),
        cmocka_unit_test(drops_have_their_closed_form),
        cmocka_unit_test(both_signs_of_the_drop_occur),
        cmocka_unit_test(a_fill_painted_from_shown_pixels_has_curves_and_no_drop),
        cmocka_unit_test(a_score_near_zero_has_no_drop),
        cmocka_unit_test(misuse_is_an_error),
        cmocka_unit_test(curves_as_pytorch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
