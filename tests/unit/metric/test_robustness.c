/* Metrics that have other pictures explained, with explanations that are known in closed form. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "linear.h"

/* A method whose map is the grey of the picture: it moves with it. Or one that is deaf to the picture; or one for classes. */
enum method { GREY, DEAF, BY_CLASS };

struct stub {
    enum method method;
    int other_from; /* from this call on, another class is on top */
    int calls, last_class;
};

static float grey(const why_image *im, int i) { return (float)(im->rgb[3 * i] + im->rgb[3 * i + 1] + im->rgb[3 * i + 2]); }

static float value_of(enum method method, const why_image *im, int i, int class_index) {
    if (method == GREY) return grey(im, i);
    return method == DEAF ? (float)((uint32_t)i * 2654435761U >> 12) : (float)(class_index == CLASS ? i : -i);
}

/* The scores of the image, or with another class on top. */
static void give_logits(bool other, float logits[CLASSES]) {
    const float *seen;
    int top = 0;
    assert_int_equal(why_evaluator_original(b.ev, &seen), WHY_OK);
    for (int c = 0; c < CLASSES; c++) {
        logits[c] = seen[c];
        top = seen[c] > seen[top] ? c : top;
    }
    if (other) logits[(top + 1) % CLASSES] = logits[top] + 1;
}

static why_status stub_explain(void *ctx, const why_image *picture, int class_index, why_explanation *out, float *logits) {
    struct stub *s = ctx;
    s->last_class = class_index;
    give_logits(s->calls++ >= s->other_from, logits);
    WHY_TRY(why_explanation_create(H, W, out));
    out->evaluations = 5;
    for (int i = 0; i < N; i++) out->map[i] = value_of(s->method, picture, i, class_index);
    return WHY_OK;
}

static int steps[64];
static struct points points;

static void keep(void *ctx, int step, double x, double y, double logit) {
    (void)ctx;
    assert_true(isfinite(logit));
    steps[points.n] = step;
    points.x[points.n] = x;
    points.y[points.n++] = y;
}

static why_value measure(const why_metric *m, struct stub *s, const char *set, int64_t *evaluations) {
    why_params *p;
    why_value v = {.value = NAN, .why = "not set"};
    float map[N], *saved = b.e.map;
    why_score_input in = {.subject = b.subject, .class_index = CLASS, .explanation = &b.e, .curve = keep,
                          .explain = s ? stub_explain : NULL, .explain_ctx = s, .stream = why_subject_stream(b.subject, "ties")};
    for (int i = 0; s && i < N; i++) map[i] = value_of(s->method, &b.image, i, CLASS);
    b.e.map = map;
    points.n = 0;
    assert_int_equal(why_params_create(m->params, &p), WHY_OK);
    set_all(p, set);
    if (m->score(&in, p, &v)) fail_msg("%s", why_error_text());
    if (evaluations) *evaluations = in.evaluations;
    why_params_destroy(&p);
    b.e.map = saved;
    return v;
}

static struct stub method(enum method m) { return (struct stub){.method = m, .other_from = 1000}; }

static void maps_that_move_with_the_picture_agree(void **state) {
    (void)state;
    struct stub s = method(GREY), deaf = method(DEAF);
    assert_true(measure(&why_metric_rotation_agreement, &s, "degrees=180", NULL).value > 1 - 1e-9);
    assert_true(measure(&why_metric_shift_agreement, &s, "pixels=3", NULL).value > 1 - 1e-9);
    assert_true(measure(&why_metric_shift_agreement, &s, "pixels=-5", NULL).value > 1 - 1e-9);
    assert_true(fabs(measure(&why_metric_rotation_agreement, &deaf, "degrees=180", NULL).value) < 0.5);
    assert_true(measure(&why_metric_brightness_agreement, &s, "factor=0.5", NULL).value > 0.999); /* rounding makes ties */
    assert_true(measure(&why_metric_brightness_agreement, &deaf, NULL, NULL).value > 1 - 1e-9);
    const double slight = measure(&why_metric_noise_agreement, &s, "sigma=0.02", NULL).value;
    assert_true(slight < 1 && slight > measure(&why_metric_noise_agreement, &s, "sigma=0.2", NULL).value);
    assert_string_equal(measure(&why_metric_shift_agreement, &s, "pixels=20", NULL).why, "nothing of the picture is left");
}

/* A turn about the centre by 30 degrees and back: the smooth map of a smooth picture survives two interpolations. */
static void any_angle_is_brought_back(void **state) {
    (void)state;
    struct stub s = method(GREY);
    uint8_t saved[3 * N];
    memcpy(saved, b.image.rgb, sizeof saved);
    for (int i = 0; i < 3 * N; i++) b.image.rgb[i] = (uint8_t)(5 * (i / 3 % W) + 7 * (i / 3 / W));
    const double there = measure(&why_metric_rotation_agreement, &s, "degrees=30", NULL).value;
    memcpy(b.image.rgb, saved, sizeof saved);
    assert_true(there > 0.995);
}

static void sensitivity_of_grey_and_of_the_deaf(void **state) {
    (void)state;
    struct stub s = method(GREY), deaf = method(DEAF);
    int64_t evaluations;
    double size = 0, sum = 0, most = 0;
    for (int i = 0; i < N; i++) size += (double)grey(&b.image, i) * (double)grey(&b.image, i) / N;
    const double max = measure(&why_metric_max_sensitivity, &s, NULL, &evaluations).value;
    const double avg = measure(&why_metric_avg_sensitivity, &s, NULL, NULL).value;
    assert_true(evaluations == 10 * 5);
    assert_int_equal(points.n, 10);
    for (int i = 0; i < 10; i++) {
        sum += points.y[i];
        most = points.y[i] > most ? points.y[i] : most;
        assert_true(points.x[i] == 0 && steps[i] == i);
    }
    assert_true(fabs(avg - sum / 10) < 1e-12 && fabs(max - most) < 1e-12 && max > avg);
    /* r = 0.02 is 2.55 of 255 here: three channels of uniform noise, and of rounding, have variance 3 (2.55^2 / 3 + 1 / 12) */
    assert_true(fabs(avg / sqrt(3 * (2.55 * 2.55 / 3 + 1.0 / 12) / size) - 1) < 0.05);
    assert_true(measure(&why_metric_max_sensitivity, &deaf, NULL, NULL).value == 0);
}

static void only_kept_predictions_count(void **state) {
    (void)state;
    struct stub half = {.method = GREY, .other_from = 4}, never = {.method = GREY};
    assert_null(measure(&why_metric_avg_sensitivity, &half, NULL, NULL).why);
    assert_int_equal(points.n, 4);
    assert_string_equal(measure(&why_metric_max_sensitivity, &never, NULL, NULL).why, "the prediction changed");
    assert_string_equal(measure(&why_metric_shift_agreement, &never, NULL, NULL).why, "the prediction changed");
    assert_int_equal(points.n, 1); /* told all the same */
    assert_true(points.y[0] > 1 - 1e-9 && points.x[0] < 0);
    assert_null(measure(&why_metric_shift_agreement, &never, "kept=false", NULL).why);
    assert_int_equal(never.last_class, CLASS);
    assert_null(measure(&why_metric_shift_agreement, &never, "class=new", NULL).why);
    assert_int_equal(never.last_class, -1);
}

static void another_class_has_another_map(void **state) {
    (void)state;
    struct stub s = method(BY_CLASS), deaf = method(DEAF);
    assert_true(measure(&why_metric_random_logit, &s, NULL, NULL).value < -1 + 1e-9);
    assert_true(s.last_class != CLASS && s.last_class >= 0 && s.last_class < CLASSES);
    assert_true(measure(&why_metric_random_logit, &deaf, NULL, NULL).value > 1 - 1e-9);
}

static void controls_explain_nothing(void **state) {
    (void)state;
    assert_string_equal(measure(&why_metric_max_sensitivity, NULL, NULL, NULL).why, "a control explains no picture");
    assert_string_equal(measure(&why_metric_rotation_agreement, NULL, NULL, NULL).why, "a control explains no picture");
    assert_string_equal(measure(&why_metric_random_logit, NULL, NULL, NULL).why, "a control explains no picture");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_that_move_with_the_picture_agree),
        cmocka_unit_test(any_angle_is_brought_back),
        cmocka_unit_test(sensitivity_of_grey_and_of_the_deaf),
        cmocka_unit_test(only_kept_predictions_count),
        cmocka_unit_test(another_class_has_another_map),
        cmocka_unit_test(controls_explain_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
