/* Weighted ridge regression against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "explain/wls.h"
#include "whypix/rng.h"

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.17g, want %.17g", got, want);
}

/* y = 2 + 3 a - b exactly: found at alpha 0 whatever the weights, with R2 = 1. */
static void exact_line(void **state) {
    (void)state;
    double x[] = {0, 0, 1, 0, 0, 1, 1, 1, 2, 5}, y[5], w[] = {1, .5, 2, .25, 7}, coef[2];
    for (int i = 0; i < 5; i++) y[i] = 2 + 3 * x[2 * i] - x[2 * i + 1];
    why_wls_fit f;
    assert_int_equal(why_wls_ridge(x, y, w, 5, 2, 0, NULL, coef, NULL, &f), WHY_OK);
    near(coef[0], 3, 1e-12);
    near(coef[1], -1, 1e-12);
    near(f.intercept, 2, 1e-12);
    near(f.r2, 1, 1e-12);
}

/* One column: coef = Sxy / (Sxx + alpha) with weighted, centred sums; the intercept carries no penalty. */
static void one_column(void **state) {
    (void)state;
    double x[] = {1, 2, 4, 8}, y[] = {3, 1, 4, 1.5}, w[] = {1, 2, .5, .25}, coef, alpha = 0.7;
    double sw = 0, mx = 0, my = 0, sxx = 0, sxy = 0, syy = 0, rest = 0;
    for (int i = 0; i < 4; i++) sw += w[i], mx += w[i] * x[i], my += w[i] * y[i];
    mx /= sw, my /= sw;
    for (int i = 0; i < 4; i++)
        sxx += w[i] * (x[i] - mx) * (x[i] - mx), sxy += w[i] * (x[i] - mx) * (y[i] - my), syy += w[i] * (y[i] - my) * (y[i] - my);
    double want = sxy / (sxx + alpha), b = my - want * mx;
    for (int i = 0; i < 4; i++) rest += w[i] * (y[i] - b - want * x[i]) * (y[i] - b - want * x[i]);
    why_wls_fit f;
    assert_int_equal(why_wls_ridge(x, y, w, 4, 1, alpha, NULL, &coef, NULL, &f), WHY_OK);
    near(coef, want, 1e-14);
    near(f.intercept, b, 1e-14);
    near(f.r2, 1 - rest / syy, 1e-14);
}

/* A weight of 2 is the row twice; a weight of 0 is no row. */
static void weights_are_counts(void **state) {
    (void)state;
    enum { K = 3 };
    double a[5 * K], b[5 * K], ya[5], yb[5], wa[] = {1, 2, 1, 1, 0}, wb[] = {1, 1, 1, 1, 1}, ca[K], cb[K];
    why_rng g = why_rng_at((why_stream){3}, 0);
    for (int i = 0; i < 5 * K; i++) a[i] = why_rng_normal(&g);
    for (int i = 0; i < 5; i++) ya[i] = why_rng_normal(&g);
    const int from[] = {0, 1, 1, 2, 3};
    for (int i = 0; i < 5; i++) {
        memcpy(b + i * K, a + from[i] * K, K * sizeof *a);
        yb[i] = ya[from[i]];
    }
    why_wls_fit fa, fb;
    assert_int_equal(why_wls_ridge(a, ya, wa, 5, K, 1, NULL, ca, NULL, &fa), WHY_OK);
    assert_int_equal(why_wls_ridge(b, yb, wb, 5, K, 1, NULL, cb, NULL, &fb), WHY_OK);
    for (int k = 0; k < K; k++) near(ca[k], cb[k], 1e-13);
    near(fa.intercept, fb.intercept, 1e-13);
    near(fa.r2, fb.r2, 1e-13);
}

/* The solution is where the gradient of the penalised sum is zero. */
static void gradient_vanishes(void **state) {
    (void)state;
    enum { N = 60, K = 40 };
    static double x[N * K], kept[N * K], y[N], w[N], coef[K];
    why_rng g = why_rng_at((why_stream){4}, 0);
    for (int i = 0; i < N * K; i++) kept[i] = x[i] = why_rng_u32(&g) & 1;
    for (int i = 0; i < N; i++) y[i] = why_rng_uniform(&g), w[i] = why_rng_uniform(&g);
    why_wls_fit f;
    assert_int_equal(why_wls_ridge(x, y, w, N, K, 1, NULL, coef, NULL, &f), WHY_OK);
    double error[N], sum = 0;
    for (int i = 0; i < N; i++) {
        error[i] = y[i] - f.intercept;
        for (int k = 0; k < K; k++) error[i] -= kept[i * K + k] * coef[k];
        sum += w[i] * error[i];
    }
    near(sum, 0, 1e-12);
    for (int k = 0; k < K; k++) {
        double slope = -coef[k];
        for (int i = 0; i < N; i++) slope += w[i] * error[i] * kept[i * K + k];
        near(slope, 0, 1e-12);
    }
}

/* Standard errors from the draws: a residual spread that is known gives the textbook's, and a fit without residuals none. */
static void standard_errors(void **state) {
    (void)state;
    enum { N = 4000 };
    static double x[N], y[N], w[N];
    static int unit[N];
    double coef, se, exact = 0;
    why_wls_fit f;
    why_rng g = why_rng_at((why_stream){5}, 0);
    for (int i = 0; i < N; i++) {
        x[i] = why_rng_normal(&g);
        y[i] = 2 * x[i] + 0.3 * why_rng_normal(&g);
        w[i] = 1;
        unit[i] = i;
    }
    why_wls_draws d = {.unit = unit, .units = N, .strata = 1};
    assert_int_equal(why_wls_ridge(x, y, w, N, 1, 0, &d, &coef, &se, &f), WHY_OK);
    near(se, 0.3 / sqrt(N), 0.1 * 0.3 / sqrt(N));
    for (int i = 0; i < N; i++) x[i] = i % 7, y[i] = 3 - x[i];
    assert_int_equal(why_wls_ridge(x, y, w, N, 1, 0, &d, &coef, &exact, &f), WHY_OK);
    near(exact, 0, 1e-14);
    const double all = 0; /* nothing of the population is left to draw */
    d.left = &all;
    for (int i = 0; i < N; i++) x[i] = why_rng_normal(&g), y[i] = why_rng_normal(&g);
    assert_int_equal(why_wls_ridge(x, y, w, N, 1, 0, &d, &coef, &se, &f), WHY_OK);
    near(se, 0, 0);
}

/* An additive game is found exactly, its sum kept to the last bit; rows of two units know nothing of a third player. */
static void given_sum(void **state) {
    (void)state;
    const double game[] = {0.5, -2, 1.25};
    double x[] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1}, y[5], w[] = {1, 2, .5, 1, 3}, coef[3];
    for (int i = 0; i < 5; i++) y[i] = x[3 * i] * game[0] + x[3 * i + 1] * game[1] + x[3 * i + 2] * game[2];
    assert_int_equal(why_wls_with_sum(x, y, w, 5, 3, -0.25, NULL, coef, NULL), WHY_OK);
    for (int k = 0; k < 3; k++) near(coef[k], game[k], 1e-14);
    near(coef[0] + coef[1] + coef[2], -0.25, 1e-15);
    double few[] = {1, 0, 0, 0, 1, 1};
    assert_int_equal(why_wls_with_sum(few, y, w, 2, 3, 1, NULL, coef, NULL), WHY_EUNDEFINED);
    assert_int_equal(why_wls_with_sum(few, y, w, 1, 1, 7, NULL, coef, NULL), WHY_OK);
    near(coef[0], 7, 0);
}

/* With independent rows of unequal variance, generalised least squares is weighted least squares; P annihilates x. */
static void generalised(void **state) {
    (void)state;
    double x[] = {1, 2, 1, 4, 1, 5, 1, 9}, cov[16] = {0}, y[] = {3, 1, 4, 1}, w[] = {1, .5, 2, .25}, gain[8], log_det, slope,
           rows[] = {2, 4, 5, 9};
    why_wls_fit f;
    double expect = 0;
    for (int i = 0; i < 4; i++) {
        cov[5 * i] = 1 / w[i];
        expect -= log(w[i]);
    }
    assert_int_equal(why_gls(cov, x, 4, 2, gain, &log_det), WHY_OK);
    assert_int_equal(why_wls_ridge(rows, y, w, 4, 1, 0, NULL, &slope, NULL, &f), WHY_OK);
    double coef[2] = {0}, sw = 0, sx = 0, sxx = 0;
    for (int i = 0; i < 4; i++) {
        sw += w[i], sx += w[i] * x[2 * i + 1], sxx += w[i] * x[2 * i + 1] * x[2 * i + 1];
        for (int k = 0; k < 2; k++) coef[k] += gain[2 * i + k] * y[i];
    }
    near(coef[0], f.intercept, 1e-12);
    near(coef[1], slope, 1e-12);
    near(log_det, expect + log(sw * sxx - sx * sx), 1e-12);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++)
            near(cov[4 * i] * x[k] + cov[4 * i + 1] * x[2 + k] + cov[4 * i + 2] * x[4 + k] + cov[4 * i + 3] * x[6 + k], 0, 1e-12);
    double singular[4] = {1, 1, 1, 1}, column[] = {1, 0};
    assert_int_equal(why_gls(singular, column, 2, 1, gain, &log_det), WHY_EUNDEFINED);
}

static void undefined(void **state) {
    (void)state;
    double x[] = {1, 1, 0, 0, 1, 1}, copy[6], y[] = {.1, .1, .1}, w[] = {1, 1, 1}, coef[2];
    why_wls_fit f;
    memcpy(copy, x, sizeof x);
    assert_int_equal(why_wls_ridge(copy, y, w, 3, 2, 0, NULL, coef, NULL, &f), WHY_EUNDEFINED);
    assert_non_null(strstr(why_error_text(), "linearly dependent"));
    assert_int_equal(why_wls_ridge(x, y, w, 3, 2, 1, NULL, coef, NULL, &f), WHY_OK);
    assert_true(isnan(f.r2)); /* a constant y has no variance to explain */
    near(f.intercept, .1, 1e-15);
    assert_int_equal(why_wls_ridge(x, y, w, 0, 2, 1, NULL, coef, NULL, &f), WHY_EARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_line),        cmocka_unit_test(one_column),      cmocka_unit_test(weights_are_counts),
        cmocka_unit_test(gradient_vanishes), cmocka_unit_test(standard_errors), cmocka_unit_test(given_sum),
        cmocka_unit_test(generalised),       cmocka_unit_test(undefined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
