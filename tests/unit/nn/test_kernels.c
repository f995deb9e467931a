/* Kernels: every variant gives the reference's bits; a row's dot product does not depend on its neighbours. */
#include "data.h"

#include "base/cpu.h"
#include "nn/kernel/kernel.h"

static uint32_t state_of_draws = 1;
static float draw(void) {
    state_of_draws = state_of_draws * 1664525u + 1013904223u;
    uint32_t kind = state_of_draws >> 28;
    float v = (float)(int32_t)state_of_draws / 2147483648.0f;
    return kind == 0 ? 0.0f : kind == 1 ? -0.0f : kind == 2 ? v * 1e-38f : kind == 3 ? v * 1e18f : v;
}

static void same_bits(const why_kernels *a, const why_kernels *b) {
    enum { N = 300, ROWS = 7 };
    static float w[N], x[ROWS * N], y1[2 * N], y2[2 * N];
    for (int n = 0; n < 140; n += n < 40 ? 1 : 17)
        for (int rows = 1; rows <= ROWS; rows++) {
            for (int i = 0; i < N; i++) w[i] = draw();
            for (int i = 0; i < ROWS * N; i++) x[i] = draw();
            for (int i = 0; i < 2 * N; i++) y1[i] = y2[i] = draw();
            a->dot_rows(w, x, N, rows, n, y1);
            b->dot_rows(w, x, N, rows, n, y2);
            a->axpy(n, w[0], x, y1 + 10);
            b->axpy(n, w[0], x, y2 + 10);
            a->axpy_gather(n, w[1], x, 2, y1 + 20);
            b->axpy_gather(n, w[1], x, 2, y2 + 20);
            a->axpy_scatter(n, w[2], x, y1 + 30, 2);
            b->axpy_scatter(n, w[2], x, y2 + 30, 2);
            assert_memory_equal(y1, y2, sizeof y1);
        }
}

static void variants_equal_the_reference(void **state) {
    (void)state;
    same_bits(&why_kernels_reference, why_kernels_of_cpu());
#if defined(__x86_64__)
    if (why_cpu_isa() < WHY_ISA_AVX2) {
        print_message("skipped: this CPU has no AVX2\n");
        skip();
    }
    same_bits(&why_kernels_reference, &why_kernels_avx2);
#endif
}

static void rows_do_not_depend_on_each_other(void **state) {
    (void)state;
    static float w[100], x[9 * 100];
    float together[9], alone;
    const why_kernels *k = why_kernels_of_cpu();
    for (int i = 0; i < 100; i++) w[i] = draw();
    for (int i = 0; i < 900; i++) x[i] = draw();
    k->dot_rows(w, x, 100, 9, 100, together);
    for (int r = 0; r < 9; r++) {
        k->dot_rows(w, x + r * 100, 100, 1, 100, &alone);
        assert_memory_equal(&alone, &together[r], sizeof alone);
    }
}

static void gemm_multiplies(void **state) {
    (void)state;
    enum { M = 5, N = 7, K = 3 };
    float a[M * K], at[K * M], b[K * (N + 1)], c[M * (N + 2)], d[M * (N + 2)];
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++) a[i * K + k] = at[k * M + i] = (float)(i - 2 * k);
    for (int i = 0; i < K * (N + 1); i++) b[i] = (float)(i % 11) - 5;
    for (int i = 0; i < M * (N + 2); i++) c[i] = d[i] = (float)i;
    why_gemm(false, M, N, K, a, K, b, N + 1, true, c, N + 2);
    why_gemm(true, M, N, K, at, M, b, N + 1, false, d, N + 2);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N + 2; j++) {
            float sum = 0;
            for (int k = 0; k < K && j < N; k++) sum += a[i * K + k] * b[k * (N + 1) + j];
            float old = (float)(i * (N + 2) + j);
            assert_true(c[i * (N + 2) + j] == (j < N ? old + sum : old)); /* small whole numbers are exact */
            assert_true(d[i * (N + 2) + j] == (j < N ? sum : old));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_equal_the_reference),
        cmocka_unit_test(rows_do_not_depend_on_each_other),
        cmocka_unit_test(gemm_multiplies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
