/* With pca.c the only file of this room with BLAS and LAPACK. */
#include "explain/wls.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct work {
    double *mean, *target, *gram; /* k, n, k x k */
};

static void work_clear(struct work *a) {
    free(a->mean);
    free(a->target);
    free(a->gram);
}

static why_status work_create(int n, int k, struct work *a) {
    why_status st = why_alloc((size_t)k, sizeof(double), "column means", &a->mean);
    if (!st) st = why_alloc((size_t)n, sizeof(double), "weighted target", &a->target);
    if (!st) st = why_alloc((size_t)k * (size_t)k, sizeof(double), "normal equations", &a->gram);
    if (st) work_clear(a);
    return st;
}

static double weighted_mean(const double *v, int stride, const double *w, int n) {
    double sum = 0, weight = 0;
    for (int i = 0; i < n; i++) {
        sum += w[i] * v[(size_t)i * (size_t)stride];
        weight += w[i];
    }
    return sum / weight;
}

/* Subtracting the weighted means takes the intercept out of the problem; sqrt(w) takes the weights out. */
static double centre(double *x, const double *y, const double *w, int n, int k, struct work *a) {
    double mean_y = weighted_mean(y, 1, w, n);
    for (int j = 0; j < k; j++) a->mean[j] = weighted_mean(x + j, k, w, n);
    for (int i = 0; i < n; i++) {
        double root = sqrt(w[i]);
        a->target[i] = root * (y[i] - mean_y);
        for (int j = 0; j < k; j++) x[(size_t)i * (size_t)k + (size_t)j] = root * (x[(size_t)i * (size_t)k + (size_t)j] - a->mean[j]);
    }
    return mean_y;
}

/* Rounding leaves a singular matrix tiny positive pivots; the factor's diagonal holds their roots. */
static bool is_singular(const double *factor, int k, double largest) {
    for (int j = 0; j < k; j++) {
        double root = factor[(size_t)j * (size_t)k + (size_t)j];
        if (root * root <= 1e-13 * largest) return true;
    }
    return false;
}

/* (X'X + alpha I) coef = X'y by Cholesky: the matrix is symmetric and, for alpha > 0, positive definite. */
static why_status solve(const char *what, const double *x, int n, int k, double alpha, double *gram, const double *target, double *coef) {
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, k, n, 1.0, x, k, 0.0, gram, k);
    cblas_dgemv(CblasRowMajor, CblasTrans, n, k, 1.0, x, k, target, 1, 0.0, coef, 1);
    double largest = 0;
    for (int j = 0; j < k; j++) largest = fmax(largest, gram[(size_t)j * (size_t)k + (size_t)j] += alpha);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', k, gram, k) != 0 || is_singular(gram, k, largest))
        return why_fail(WHY_EUNDEFINED, "%s: %d columns over %d rows are linearly dependent at alpha %g", what, k, n, alpha);
    if (LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', k, 1, gram, k, coef, 1) != 0)
        return why_fail(WHY_EBUG, "%s: triangular solve refused its arguments", what);
    return WHY_OK;
}

/* 1 - sum of w (y - prediction)^2 / sum of w (y - mean)^2; x and target are centred and weighted. A spread of y within
 * the rounding of its mean is none. */
static double weighted_r2(const double *x, const double *target, const double *w, int n, int k, const double *coef, double mean_y) {
    double rest = 0, total = 0, scale = 0;
    for (int i = 0; i < n; i++) {
        scale += w[i] * mean_y * mean_y;
        double e = target[i] - cblas_ddot(k, x + (size_t)i * (size_t)k, 1, coef, 1);
        rest += e * e;
        total += target[i] * target[i];
    }
    return total > 1e-28 * scale ? 1 - rest / total : NAN;
}

/* ---------------------------------------------------------------- standard errors */
/* Sandwich estimator: a unit's influence on the coefficients is A^-1 (sum of its rows' x * residual), A the matrix of the
 * normal equations, and its share of the fit has pulled its residual to itself by 1 - leverage, which the division by
 * sqrt(1 - leverage) undoes (HC2, MacKinnon and White 1985; a unit's rows are collinear, so leverages add up). */
struct influence {
    double *of; /* units x k */
    double *leverage;
    double *row; /* k */
};

static void influence_clear(struct influence *u) {
    free(u->of);
    free(u->leverage);
    free(u->row);
}

static why_status influence_create(const why_wls_draws *d, int k, struct influence *u) {
    why_status st = why_alloc((size_t)d->units * (size_t)k + 1, sizeof *u->of, "influences", &u->of);
    if (!st) st = why_alloc((size_t)d->units + 1, sizeof *u->leverage, "leverages", &u->leverage);
    if (!st) st = why_alloc((size_t)k, sizeof *u->row, "influences", &u->row);
    return st;
}

/* Scores and leverages of units from weighted rows; `factor` is the Cholesky factor of A. */
static void add_rows(const double *x, const double *target, int n, int k, const double *coef, const double *factor, const why_wls_draws *d,
                     struct influence *u) {
    for (int i = 0; i < n; i++) {
        if (d->unit[i] < 0) continue;
        const double *row = x + (size_t)i * (size_t)k;
        cblas_daxpy(k, target[i] - cblas_ddot(k, row, 1, coef, 1), row, 1, u->of + (size_t)d->unit[i] * (size_t)k, 1);
        memcpy(u->row, row, (size_t)k * sizeof *row);
        cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, k, factor, k, u->row, 1);
        u->leverage[d->unit[i]] += cblas_ddot(k, u->row, 1, u->row, 1);
    }
}

static why_status find_influences(const double *factor, int k, const why_wls_draws *d, struct influence *u) {
    for (int i = 0; i < d->units; i++)
        if (u->leverage[i] < 1 - 1e-9) cblas_dscal(k, 1 / sqrt(1 - u->leverage[i]), u->of + (size_t)i * (size_t)k, 1);
    /* Row-major lower is column-major upper, and units x k by rows is k x units by columns: nothing is transposed. */
    if (d->units > 0 && LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'U', k, d->units, factor, k, u->of, k) != 0)
        return why_fail(WHY_EBUG, "least squares: triangular solve refused its arguments");
    return WHY_OK;
}

/* Column k stands for the coefficient that the sum decides: minus the sum of the others. */
static double influence_on(const double *row, int k, int j) {
    if (j < k) return row[j];
    double sum = 0;
    for (int i = 0; i < k; i++) sum -= row[i];
    return sum;
}

/* Variance of a total over units of one stratum. A unit that was drawn c times is c equal draws. */
static double stratum_variance(const struct influence *u, const why_wls_draws *d, int k, int j, int stratum) {
    double n = 0, sum = 0, squares = 0, left = d->left ? d->left[stratum] : 1;
    for (int i = 0; i < d->units; i++) {
        if (d->stratum && d->stratum[i] != stratum) continue;
        double count = d->count ? d->count[i] : 1, v = influence_on(u->of + (size_t)i * (size_t)k, k, j);
        n += count;
        sum += v;
        squares += v * v / count;
    }
    if (n == 0 || left <= 0) return 0;
    return n > 1 ? left * n / (n - 1) * fmax(0, squares - sum * sum / n) : NAN;
}

static void standard_errors(const struct influence *u, const why_wls_draws *d, int k, int columns, double *se) {
    for (int j = 0; j < columns; j++) {
        double variance = 0;
        for (int s = 0; s < d->strata; s++) variance += stratum_variance(u, d, k, j, s);
        se[j] = sqrt(variance);
    }
}

/* `columns` is k, or k + 1 with a last coefficient that the sum decides. */
static why_status find_errors(const double *x, const struct work *a, int n, int k, const double *coef, const why_wls_draws *d, int columns,
                              double *se) {
    struct influence u = {0};
    why_status st = influence_create(d, k, &u);
    if (!st) {
        add_rows(x, a->target, n, k, coef, a->gram, d, &u);
        st = find_influences(a->gram, k, d, &u);
    }
    if (!st) standard_errors(&u, d, k, columns, se);
    influence_clear(&u);
    return st;
}

/* ---------------------------------------------------------------- the two regressions */
why_status why_wls_ridge(double *x, const double *y, const double *w, int n, int k, double alpha, const why_wls_draws *draws, double *coef,
                         double *se, why_wls_fit *fit) {
    struct work a = {0};
    if (n < 1 || k < 1) return why_fail(WHY_EARG, "ridge: %d rows and %d columns, want at least one of each", n, k);
    WHY_TRY(work_create(n, k, &a));
    double mean_y = centre(x, y, w, n, k, &a);
    why_status st = solve("ridge", x, n, k, alpha, a.gram, a.target, coef);
    if (!st)
        *fit =
            (why_wls_fit){.intercept = mean_y - cblas_ddot(k, coef, 1, a.mean, 1), .r2 = weighted_r2(x, a.target, w, n, k, coef, mean_y)};
    if (!st && draws) st = find_errors(x, &a, n, k, coef, draws, k, se);
    work_clear(&a);
    return st;
}

/* Put coef[last] = sum - (the others) into the problem: y - sum * x[last] against x - x[last]. Rows of x move together. */
static void eliminate_last(double *x, const double *y, const double *w, int n, int k, double sum, double *target) {
    for (int i = 0; i < n; i++) {
        const double *from = x + (size_t)i * (size_t)k;
        double *to = x + (size_t)i * (size_t)(k - 1), root = sqrt(w[i]), last = from[k - 1];
        target[i] = root * (y[i] - sum * last);
        for (int j = 0; j < k - 1; j++) to[j] = root * (from[j] - last);
    }
}

why_status why_wls_with_sum(double *x, const double *y, const double *w, int n, int k, double sum, const why_wls_draws *draws, double *coef,
                            double *se) {
    struct work a = {0};
    coef[k - 1] = sum;
    if (k == 1) {
        if (draws) se[0] = 0;
        return WHY_OK;
    }
    WHY_TRY(work_create(n, k - 1, &a));
    eliminate_last(x, y, w, n, k, sum, a.target);
    why_status st = solve("least squares", x, n, k - 1, 0, a.gram, a.target, coef);
    for (int j = 0; !st && j < k - 1; j++) coef[k - 1] -= coef[j];
    if (!st && draws) st = find_errors(x, &a, n, k - 1, coef, draws, k, se);
    work_clear(&a);
    return st;
}

/* ---------------------------------------------------------------- generalised least squares */
static void mirror_lower(double *a, int n) {
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < i; j++) a[j * (size_t)n + i] = a[i * (size_t)n + j];
}

/* a := a^-1 of a symmetric positive definite matrix; adds log |a| to *log_det. */
static why_status invert(double *a, int n, double *log_det) {
    /* Row-major lower is column-major upper. */
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', n, a, n) != 0)
        return why_fail(WHY_EUNDEFINED, "least squares: a covariance of %d rows is not positive definite", n);
    for (size_t i = 0; i < (size_t)n; i++) *log_det += 2 * log(a[i * (size_t)n + i]);
    if (LAPACKE_dpotri(LAPACK_COL_MAJOR, 'U', n, a, n) != 0) return why_fail(WHY_EBUG, "least squares: inversion refused its arguments");
    mirror_lower(a, n);
    return WHY_OK;
}

/* With c = cov^-1: gain = (x'cx)^-1 x'c, transposed; cov := c - cx gain. Both act on any y. */
static why_status project(double *cov, const double *x, int n, int k, double *cx, double *normal, double *gain, double *log_det) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, k, n, 1.0, cov, n, x, k, 0.0, cx, k);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, k, n, 1.0, x, k, cx, k, 0.0, normal, k);
    double largest = 0;
    for (int j = 0; j < k; j++) largest = fmax(largest, normal[(size_t)j * (size_t)k + (size_t)j]);
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', k, normal, k) != 0 || is_singular(normal, k, largest))
        return why_fail(WHY_EUNDEFINED, "least squares: %d columns over %d rows are linearly dependent", k, n);
    for (size_t j = 0; j < (size_t)k; j++) *log_det += 2 * log(normal[j * (size_t)k + j]);
    memcpy(gain, cx, (size_t)n * (size_t)k * sizeof *gain);
    if (LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'U', k, n, normal, k, gain, k) != 0)
        return why_fail(WHY_EBUG, "least squares: triangular solve refused its arguments");
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, k, -1.0, cx, k, gain, k, 1.0, cov, n);
    return WHY_OK;
}

why_status why_gls(double *cov, const double *x, int n, int k, double *gain, double *log_det) {
    double *cx = NULL, *normal = NULL;
    *log_det = 0;
    why_status st = why_alloc((size_t)n * (size_t)k, sizeof *cx, "generalised least squares", &cx);
    if (!st) st = why_alloc((size_t)k * (size_t)k, sizeof *normal, "normal equations", &normal);
    if (!st) st = invert(cov, n, log_det);
    if (!st) st = project(cov, x, n, k, cx, normal, gain, log_det);
    free(cx);
    free(normal);
    return st;
}
