#include "explain/pca.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void centre(double *x, size_t channels, size_t positions) {
    for (size_t k = 0; k < channels; k++, x += positions) {
        double mean = 0;
        for (size_t i = 0; i < positions; i++) mean += x[i];
        mean /= (double)positions;
        for (size_t i = 0; i < positions; i++) x[i] -= mean;
    }
}

/* The eigenvector of the largest eigenvalue of the symmetric n x n matrix (its lower triangle; overwritten). */
static why_status top_eigenvector(double *gram, int n, double *value, double *vector) {
    lapack_int found = 0, *failed;
    double *values;
    WHY_TRY(why_alloc((size_t)n, sizeof *values, "eigenvalues", &values));
    why_status st = why_alloc((size_t)n, sizeof *failed, "eigenvalues", &failed);
    if (!st) {
        lapack_int info =
            LAPACKE_dsyevx(LAPACK_ROW_MAJOR, 'V', 'I', 'L', n, gram, n, 0, 0, n, n, 0, &found, values, vector, 1, failed);
        if (info != 0 || found != 1)
            st = why_fail(WHY_EUNDEFINED, "principal component: none found among %d (LAPACK says %d)", n, (int)info);
        *value = values[0];
        free(failed);
    }
    free(values);
    return st;
}

/* Of XX' and X'X the smaller one is enough: with X'X u = s^2 u over positions, x'v is s u; else v itself is found. */
static why_status project(const double *x, int channels, int positions, double *gram, double *vector, double *out) {
    const int by_position = positions <= channels, n = by_position ? positions : channels, other = by_position ? channels : positions;
    double value;
    cblas_dsyrk(CblasRowMajor, CblasLower, by_position ? CblasTrans : CblasNoTrans, n, other, 1.0, x, positions, 0.0, gram, n);
    WHY_TRY(top_eigenvector(gram, n, &value, vector));
    if (by_position)
        for (int i = 0; i < positions; i++) out[i] = sqrt(fmax(value, 0)) * vector[i];
    else cblas_dgemv(CblasRowMajor, CblasTrans, channels, positions, 1.0, x, positions, vector, 1, 0.0, out, 1);
    return WHY_OK;
}

static void fix_sign(const double *x, size_t channels, size_t positions, double *out) {
    double product = 0;
    for (size_t k = 0; k < channels; k++)
        for (size_t i = 0; i < positions; i++) product += x[k * positions + i] * out[i];
    for (size_t i = 0; product < 0 && i < positions; i++) out[i] = -out[i];
}

why_status why_first_component(double *x, size_t channels, size_t positions, double *out) {
    size_t n = positions <= channels ? positions : channels;
    double *gram, *vector = NULL;
    centre(x, channels, positions);
    WHY_TRY(why_alloc(n * n, sizeof *gram, "Gram matrix", &gram));
    why_status st = why_alloc(n, sizeof *vector, "principal component", &vector);
    if (!st) st = project(x, (int)channels, (int)positions, gram, vector, out);
    if (!st) fix_sign(x, channels, positions, out);
    free(gram);
    free(vector);
    return st;
}
