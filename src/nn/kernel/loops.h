/* The bodies of the portable kernels, inlined once per instruction set: the same C, hence the same bits (no contraction,
 * fixed partial sums), in wider registers. */
#ifndef WHYPIX_NN_LOOPS_H
#define WHYPIX_NN_LOOPS_H

#include <stdint.h>
#include <string.h>

#define WHY_INLINE static inline __attribute__((always_inline))

enum { WHY_LANES = 16 };
typedef float why_lanes __attribute__((vector_size(4 * WHY_LANES)));

WHY_INLINE void why_add_product(why_lanes *sum, const float *w, const float *x) {
    why_lanes a, b;
    memcpy(&a, w, sizeof a);
    memcpy(&b, x, sizeof b);
    *sum += a * b;
}

WHY_INLINE float why_sum_lanes(const why_lanes *v) {
    float s[WHY_LANES];
    memcpy(s, v, sizeof s);
    for (int width = WHY_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}

/* `rows` is 1 or 2: the weights are read once for both. */
WHY_INLINE void why_dot_block(const float *w, const float *x, int64_t stride, int rows, int64_t n, float *y) {
    why_lanes sum[2] = {{0}, {0}};
    int64_t i = 0;
    for (; i + WHY_LANES <= n; i += WHY_LANES)
        for (int r = 0; r < rows; r++) why_add_product(&sum[r], w + i, x + r * stride + i);
    for (int r = 0; r < rows; r++) {
        y[r] = why_sum_lanes(&sum[r]);
        for (int64_t k = i; k < n; k++) y[r] += w[k] * x[r * stride + k];
    }
}

WHY_INLINE void why_dot_rows_body(const float *w, const float *x, int64_t stride, int rows, int64_t n, float *y) {
    int r = 0;
    for (; r + 2 <= rows; r += 2) why_dot_block(w, x + r * stride, stride, 2, n, y + r);
    if (r < rows) why_dot_block(w, x + r * stride, stride, 1, n, y + r);
}

WHY_INLINE void why_axpy_body(int64_t n, float a, const float *restrict x, float *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

WHY_INLINE void why_axpy_gather_body(int64_t n, float a, const float *restrict x, int step, float *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i * step];
}

WHY_INLINE void why_axpy_scatter_body(int64_t n, float a, const float *restrict x, float *restrict y, int step) {
    for (int64_t i = 0; i < n; i++) y[i * step] += a * x[i];
}

/* A table of kernels compiled for `target` (an attribute, or nothing). */
#define WHY_KERNEL_TABLE(table, target)                                                                                         \
    target static void table##_dot_rows(const float *w, const float *x, int64_t stride, int rows, int64_t n, float *y) {         \
        why_dot_rows_body(w, x, stride, rows, n, y);                                                                             \
    }                                                                                                                            \
    target static void table##_axpy(int64_t n, float a, const float *x, float *y) { why_axpy_body(n, a, x, y); }                 \
    target static void table##_axpy_gather(int64_t n, float a, const float *x, int step, float *y) {                             \
        why_axpy_gather_body(n, a, x, step, y);                                                                                  \
    }                                                                                                                            \
    target static void table##_axpy_scatter(int64_t n, float a, const float *x, float *y, int step) {                            \
        why_axpy_scatter_body(n, a, x, y, step);                                                                                 \
    }                                                                                                                            \
    const why_kernels table = {table##_dot_rows, table##_axpy, table##_axpy_gather, table##_axpy_scatter}

#endif
