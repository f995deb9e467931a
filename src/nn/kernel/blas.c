#include <cblas.h>

#include "nn/kernel/kernel.h"

/* Parallelism is over images and tiles: a thread of OpenBLAS's own would fight for the same cores, and would cut the sums
 * elsewhere. Set before main, because the call is not safe beside running products. */
__attribute__((constructor)) static void one_thread(void) { openblas_set_num_threads(1); }

void why_gemm(bool transpose_a, int m, int n, int k, const float *a, int lda, const float *b, int ldb, bool add, float *c, int ldc) {
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, CblasNoTrans, m, n, k, 1.0f, a, lda, b, ldb, add ? 1.0f : 0.0f, c, ldc);
}
