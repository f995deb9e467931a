/* The only file of this room with BLAS and LAPACK. */
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
static why_status solve(const double *x, int n, int k, double alpha, double *gram, const double *target, double *coef) {
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, k, n, 1.0, x, k, 0.0, gram, k);
    cblas_dgemv(CblasRowMajor, CblasTrans, n, k, 1.0, x, k, target, 1, 0.0, coef, 1);
    double largest = 0;
    for (int j = 0; j < k; j++) largest = fmax(largest, gram[(size_t)j * (size_t)k + (size_t)j] += alpha);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', k, gram, k) != 0 || is_singular(gram, k, largest))
        return why_fail(WHY_EUNDEFINED, "ridge: %d columns over %d rows are linearly dependent at alpha %g", k, n, alpha);
    if (LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', k, 1, gram, k, coef, 1) != 0)
        return why_fail(WHY_EBUG, "ridge: triangular solve refused its arguments");
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

why_status why_wls_ridge(double *x, const double *y, const double *w, int n, int k, double alpha, double *coef, why_wls_fit *fit) {
    struct work a = {0};
    if (n < 1 || k < 1) return why_fail(WHY_EARG, "ridge: %d rows and %d columns, want at least one of each", n, k);
    WHY_TRY(work_create(n, k, &a));
    double mean_y = centre(x, y, w, n, k, &a);
    why_status st = solve(x, n, k, alpha, a.gram, a.target, coef);
    if (!st)
        *fit =
            (why_wls_fit){.intercept = mean_y - cblas_ddot(k, coef, 1, a.mean, 1), .r2 = weighted_r2(x, a.target, w, n, k, coef, mean_y)};
    work_clear(&a);
    return st;
}
