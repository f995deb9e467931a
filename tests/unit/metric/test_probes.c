/* Metrics that ask a linear model, in closed form. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "linear.h"

/* ---------------------------------------------------------------- what the model says without some pixels */
static const why_fill_kind *kind_of(const char *name) {
    for (int i = 0; why_fill_kinds[i]; i++)
        if (strcmp(why_fill_kinds[i]->name, name) == 0) return why_fill_kinds[i];
    fail_msg("no fill '%s'", name);
    return NULL;
}

/* The normalised picture that ROAD paints. */
static void painted(const bool *hidden, float x[3 * N]) {
    const why_fill_kind *kind = kind_of("noisy_linear");
    uint8_t shown[N];
    float rgb[3 * N];
    why_params *p;
    void *scratch;
    for (int i = 0; i < N; i++) shown[i] = !hidden[i];
    assert_int_equal(why_params_create(kind->params, &p), WHY_OK);
    assert_int_equal(why_alloc(kind->remake_scratch(H, W, p), 1, "scratch", &scratch), WHY_OK);
    kind->remake(&b.image, why_evaluator_preprocess(b.ev), shown, p, scratch, rgb);
    normalise(rgb, x);
    free(scratch);
    why_params_destroy(&p);
}

/* fill NULL: noisy_linear. */
static double without(const bool *hidden, const char *fill, why_output output) {
    float x[3 * N];
    double share[N];
    if (fill) fill_of(fill, x);
    else painted(hidden, x);
    for (int i = 0; i < N; i++) share[i] = !hidden[i];
    return expected_score(share, x, output);
}

static double whole(why_output output) {
    const bool none[N] = {false};
    return without(none, "zero", output);
}

static double without_top(int from, int to, const char *fill, why_output output) {
    bool hidden[N];
    for (int i = 0; i < N; i++) hidden[i] = place(b.e.map, i) >= from && place(b.e.map, i) < to;
    return without(hidden, fill, output);
}

static void assert_near(const char *what, why_value got, double want, double tolerance) {
    if (got.why || !(fabs(got.value - want) <= tolerance))
        fail_msg("%s: got %.9g (%s), want %.9g", what, got.value, got.why ? got.why : "", want);
}

/* What each pixel gives to the logit, against a fill. */
static void contributions(const char *fill, float truth[N]) {
    float x[3 * N];
    fill_of(fill, x);
    for (int i = 0; i < N; i++) {
        double c = 0;
        for (int k = i; k < 3 * N; k += N) c += (double)b.weight[CLASS * 3 * N + k] * ((double)b.x[k] - (double)x[k]);
        truth[i] = (float)c;
    }
}

/* ---------------------------------------------------------------- curves */
/* By magnitude: as the map of magnitudes. From the other end: as the negative map. */
static void orders_and_ends(void **state) {
    (void)state;
    float other[N], *saved = b.e.map;
    static struct points a, c;
    for (int least = 0; least < 2; least++) {
        run(&(struct job){.metric = &why_metric_deletion, .set = least ? "first=least" : "order=absolute"}, &a, NULL);
        for (int i = 0; i < N; i++) other[i] = least ? -saved[i] : fabsf(saved[i]);
        b.e.map = other;
        run(&(struct job){.metric = &why_metric_deletion}, &c, NULL);
        b.e.map = saved;
        assert_int_equal(a.n, c.n);
        assert_memory_equal(a.y, c.y, (size_t)a.n * sizeof *a.y);
    }
}

/* Ties: the way from the least relevant is the way from the most relevant, backwards. */
static void ends_meet_in_ties(void **state) {
    (void)state;
    float zero[N] = {0}, *saved = b.e.map;
    static struct points a, c;
    b.e.map = zero;
    run(&(struct job){.metric = &why_metric_deletion, .fill = "mean"}, &a, NULL);
    run(&(struct job){.metric = &why_metric_insertion, .fill = "mean", .set = "first=least"}, &c, NULL);
    b.e.map = saved;
    for (int i = 0; i < a.n; i++) assert_true(a.y[i] == c.y[a.n - 1 - i]);
}

static void monotone_while_it_hides_what_speaks_for(void **state) {
    (void)state;
    float truth[N], *saved = b.e.map;
    int rising = 0;
    contributions("mean", truth);
    for (int i = 0; i < N; i++) rising += truth[i] < 0;
    b.e.map = truth;
    why_value v = run(&(struct job){.metric = &why_metric_monotonicity, .fill = "mean", .step = "1", .output = WHY_LOGIT}, NULL, NULL);
    b.e.map = saved;
    assert_near("monotonicity", v, 1 - (double)rising / N, 3.0 / N); /* steps that fp32 cannot tell from none */
}

/* Mean of the 5 x 5 square (less at the edges) that pixel i lies in. */
static double square_mean(int i) {
    double sum = 0;
    int n = 0;
    for (int j = 0; j < N; j++)
        if (j / W / 5 == i / W / 5 && j % W / 5 == i % W / 5) sum += (double)b.e.map[j], n++;
    return sum / n;
}

static void aopc_has_its_closed_form(void **state) {
    (void)state;
    const char *const fill = "blur(kx=5,ky=5)";
    double mean[N], sum = 0;
    bool hidden[N] = {false};
    static struct points got;
    const double y = whole(WHY_PROBABILITY);
    for (int i = 0; i < N; i++) mean[i] = square_mean(i);
    why_value v = run(&(struct job){.metric = &why_metric_aopc, .fill = fill, .set = "side=5 steps=7"}, &got, NULL);
    assert_int_equal(got.n, 8);
    for (int k = 1; k <= 7; k++) {
        double best = -INFINITY;
        for (int i = 0; i < N; i++) best = !hidden[i] && mean[i] > best ? mean[i] : best;
        for (int i = 0; i < N; i++) hidden[i] = hidden[i] || mean[i] >= best;
        const double now = without(hidden, fill, WHY_PROBABILITY);
        assert_true(fabs(got.y[k] - now) < 2e-5);
        sum += y - now;
    }
    assert_near("aopc", v, sum / 8, 2e-5);
    run(&(struct job){.metric = &why_metric_aopc, .set = "side=6 steps=100"}, &got, NULL);
    assert_int_equal(got.n, 1 + 3 * 4); /* there are no more squares */
    assert_true(got.x[got.n - 1] == 1);
}

static void fractions_have_their_closed_form(void **state) {
    (void)state;
    static const int pixels[] = {4, 11, 18, 36, 72}; /* ceil of 1, 3, 5, 10, 20 % of 360 */
    double sum = 0;
    static struct points got;
    for (int i = 0; i < 5; i++) sum += whole(WHY_PROBABILITY) - without_top(0, pixels[i], "mean", WHY_PROBABILITY);
    assert_near("aopc_fractions", run(&(struct job){.metric = &why_metric_aopc_fractions}, &got, NULL), sum / 5, 2e-5);
    for (int i = 0; i < 5; i++) assert_true(got.x[i] == (double)pixels[i] / N);
}

static void road_has_its_closed_form(void **state) {
    (void)state;
    const double y = whole(WHY_PROBABILITY);
    double most = 0, least = 0;
    for (int fifth = 1; fifth < 5; fifth++) {
        most += (y - without_top(0, fifth * N / 5, NULL, WHY_PROBABILITY)) / 4;
        least += (without_top(N - fifth * N / 5, N, NULL, WHY_PROBABILITY) - y) / 4;
    }
    assert_true(fabs(most) > 1e-3 && fabs(least) > 1e-3);
    assert_near("most", run(&(struct job){.metric = &why_metric_road, .set = "removed=most"}, NULL, NULL), most, 2e-5);
    assert_near("least", run(&(struct job){.metric = &why_metric_road, .set = "removed=least"}, NULL, NULL), least, 2e-5);
    assert_near("both", run(&(struct job){.metric = &why_metric_road}, NULL, NULL), (most + least) / 2, 2e-5);
    int64_t evaluations;
    run(&(struct job){.metric = &why_metric_road, .set = "at=10-90"}, NULL, &evaluations);
    assert_true(evaluations == 18);
}

static void irof_has_its_closed_form(void **state) {
    (void)state;
    const why_segments *s;
    assert_int_equal(why_subject_segments(b.subject, "slic(n_segments=12)", &s), WHY_OK);
    assert_true(s->n > 4 && s->n < 100);
    double mean[100] = {0}, area = 0, y = whole(WHY_PROBABILITY), last = 1;
    int size[100] = {0};
    bool gone[100] = {false}, hidden[N];
    for (int i = 0; i < N; i++) mean[s->label[i]] += (double)b.e.map[i], size[s->label[i]]++;
    for (int k = 0; k < s->n; k++) mean[k] /= size[k];
    for (int step = 0; step < s->n; step++) {
        int best = -1;
        for (int k = 0; k < s->n; k++)
            if (!gone[k] && (best < 0 || mean[k] > mean[best])) best = k;
        gone[best] = true;
        for (int i = 0; i < N; i++) hidden[i] = gone[s->label[i]];
        const double now = without(hidden, "mean", WHY_PROBABILITY) / y;
        area += (1 - (now + last) / 2) / s->n;
        last = now;
    }
    assert_near("irof", run(&(struct job){.metric = &why_metric_irof, .set = "segments=12"}, NULL, NULL), area, 1e-4);
}

/* The true contributions drop the logit faster than any other map, by every measure. */
static void the_true_contributions_win_everywhere(void **state) {
    (void)state;
    static const struct job jobs[] = {{.metric = &why_metric_aopc, .set = "side=1 steps=100", .fill = "mean", .output = WHY_LOGIT},
                                      {.metric = &why_metric_aopc_fractions, .fill = "mean", .output = WHY_LOGIT}};
    float truth[N], *saved = b.e.map;
    contributions("mean", truth);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        b.e.map = saved;
        const double other = run(&jobs[i], NULL, NULL).value;
        b.e.map = truth;
        assert_true(run(&jobs[i], NULL, NULL).value > other);
    }
    b.e.map = saved;
}

/* ---------------------------------------------------------------- image x map */
static void gains_and_hidden_subjects_have_their_closed_form(void **state) {
    (void)state;
    float fill[3 * N];
    double shown[N], rest[N], top = 0;
    fill_of("zero", fill);
    for (int i = 0; i < N; i++) top = (double)b.e.map[i] > top ? (double)b.e.map[i] : top;
    for (int i = 0; i < N; i++) {
        shown[i] = b.e.map[i] > 0 ? (double)b.e.map[i] / top : 0;
        rest[i] = 1 - shown[i];
    }
    const double y = whole(WHY_PROBABILITY);
    const double o = expected_score(shown, fill, WHY_PROBABILITY), s = expected_score(rest, fill, WHY_PROBABILITY);
    assert_near("gain", run(&(struct job){.metric = &why_metric_average_gain}, NULL, NULL), o > y ? (o - y) / (1 - y) : 0, 1e-4);
    assert_near("drop s", run(&(struct job){.metric = &why_metric_average_drop_s}, NULL, NULL), y > s ? (y - s) / y : 0, 1e-4);
    assert_near("increase s", run(&(struct job){.metric = &why_metric_increase_s}, NULL, NULL), s > y, 0);
}

/* ---------------------------------------------------------------- draws */
static void parts_of_the_truth_correlate(void **state) {
    (void)state;
    float truth[N], zero[N] = {0}, *saved = b.e.map;
    const struct job f = {.metric = &why_metric_faithfulness_correlation, .fill = "mean", .output = WHY_LOGIT};
    const struct job pixels = {
        .metric = &why_metric_faithfulness_correlation, .fill = "mean", .output = WHY_LOGIT, .set = "cells=0 share=0.05"};
    const struct job mu = {.metric = &why_metric_mu_fidelity, .fill = "mean", .output = WHY_LOGIT};
    assert_true(fabs(run(&f, NULL, NULL).value) < 0.4); /* another map: four standard errors */
    assert_true(fabs(run(&mu, NULL, NULL).value) < 0.3);
    contributions("mean", truth);
    b.e.map = truth;
    assert_near("faithfulness_correlation", run(&f, NULL, NULL), 1, 1e-6);
    assert_near("of pixels", run(&pixels, NULL, NULL), 1, 1e-6);
    assert_near("mu_fidelity", run(&mu, NULL, NULL), 1, 1e-4);
    for (int i = 0; i < N; i++) truth[i] = -truth[i];
    assert_near("of the negative", run(&f, NULL, NULL), -1, 1e-6);
    b.e.map = zero;
    assert_string_equal(run(&f, NULL, NULL).why, "all parts have the same attribution");
    b.e.map = saved;
}

/* The gradient of a linear model predicts every change; the wrong sign, nothing. */
static void the_gradient_has_no_infidelity(void **state) {
    (void)state;
    float gradient[N], zero[N] = {0}, *saved = b.e.map;
    const struct job j = {.metric = &why_metric_infidelity, .output = WHY_LOGIT};
    assert_true(run(&j, NULL, NULL).value > 0.8);
    for (int i = 0; i < N; i++) {
        gradient[i] = 0;
        for (int k = i; k < 3 * N; k += N) gradient[i] += b.weight[CLASS * 3 * N + k];
    }
    b.e.map = gradient;
    assert_near("infidelity", run(&j, NULL, NULL), 0, 1e-6);
    for (int i = 0; i < N; i++) gradient[i] *= -3;
    assert_near("of the negative", run(&j, NULL, NULL), 1, 0);
    b.e.map = zero;
    assert_string_equal(run(&j, NULL, NULL).why, "all-zero map");
    b.e.map = saved;
}

/* Sums to the difference, whether it is written on pixels or on segments. */
static void the_truth_is_complete(void **state) {
    (void)state;
    const why_segments *s;
    const struct job j = {.metric = &why_metric_completeness, .fill = "mean", .output = WHY_LOGIT};
    float truth[N], coefficient[N] = {0}, *saved = b.e.map;
    contributions("mean", truth);
    b.e.map = truth;
    assert_near("completeness", run(&j, NULL, NULL), 0, 1e-5);
    assert_int_equal(why_subject_segments(b.subject, "slic(n_segments=12)", &s), WHY_OK);
    for (int i = 0; i < N; i++) coefficient[s->label[i]] += truth[i];
    for (int i = 0; i < N; i++) truth[i] = coefficient[s->label[i]];
    b.e.segments = s;
    assert_near("of segments", run(&j, NULL, NULL), 0, 1e-5);
    for (int i = 0; i < N; i++) truth[i] *= 1.5f;
    assert_near("of half too much", run(&j, NULL, NULL), 0.5, 1e-5);
    b.e.segments = NULL;
    b.e.map = saved;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_and_ends),
        cmocka_unit_test(ends_meet_in_ties),
        cmocka_unit_test(monotone_while_it_hides_what_speaks_for),
        cmocka_unit_test(aopc_has_its_closed_form),
        cmocka_unit_test(fractions_have_their_closed_form),
        cmocka_unit_test(road_has_its_closed_form),
        cmocka_unit_test(irof_has_its_closed_form),
        cmocka_unit_test(the_true_contributions_win_everywhere),
        cmocka_unit_test(gains_and_hidden_subjects_have_their_closed_form),
        cmocka_unit_test(parts_of_the_truth_correlate),
        cmocka_unit_test(the_gradient_has_no_infidelity),
        cmocka_unit_test(the_truth_is_complete),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
