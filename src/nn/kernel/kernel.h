/* The inner loops, behind plain C signatures. blas.c is the only file that knows OpenBLAS; reference.c is portable C that
 * every later variant is compared with. All of them sum in an order that depends on the sizes given and on nothing else. */
#ifndef WHYPIX_NN_KERNEL_H
#define WHYPIX_NN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* C (m x n, row stride ldc) = [transposed] A * B + (add ? C : 0), row-major. A is m x k (lda), or k x m when transposed.
 * OpenBLAS gives other bits for other m, n, k, so callers fix those per layer. */
void why_gemm(bool transpose_a, int m, int n, int k, const float *a, int lda, const float *b, int ldb, bool add, float *c, int ldc);

typedef struct why_kernels {
    /* y[r] = <w, x + r * stride> for r < rows; 16 partial sums per row in a fixed order, whatever the number of rows. */
    void (*dot_rows)(const float *w, const float *x, int64_t stride, int rows, int64_t n, float *y);
    /* y[i] += a * x[i] */
    void (*axpy)(int64_t n, float a, const float *x, float *y);
    /* y[i] += a * x[i * step] */
    void (*axpy_gather)(int64_t n, float a, const float *x, int step, float *y);
    /* y[i * step] += a * x[i] */
    void (*axpy_scatter)(int64_t n, float a, const float *x, float *y, int step);
} why_kernels;

/* Variants of this CPU (base/cpu.h); every one gives the same bits as the reference. */
const why_kernels *why_kernels_of_cpu(void);
extern const why_kernels why_kernels_reference;
#if defined(__x86_64__)
extern const why_kernels why_kernels_avx2;
#endif

#endif
