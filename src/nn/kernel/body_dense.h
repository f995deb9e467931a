/* Fully connected layers straight from the file's weights [outputs][inputs]: dot products of 4 rows of weights with 3 of inputs
 * at a time, in chunks of inputs that stay in the first-level cache, so that weights leave memory once per batch. A sum is one
 * vector of partial sums in the order of the inputs, whatever rows are beside it. */
#ifndef WHYPIX_NN_BODY_DENSE_H
#define WHYPIX_NN_BODY_DENSE_H

#include "nn/kernel/vec.h"

enum { DENSE_OUTPUTS = 4, DENSE_ROWS = 3, DENSE_CHUNK = 1024, DENSE_BATCH = 96 };

/* Partial sums of one row and DENSE_OUTPUTS outputs. */
struct dense_row {
    vec sum[DENSE_OUTPUTS];
};

VEC_INLINE void dense_tile(const why_dense *d, const int outputs, const int rows, int64_t o, int64_t row, int64_t k0, int64_t k1,
                           struct dense_row *s) {
    vec sum[DENSE_ROWS][DENSE_OUTPUTS];
    const float *w = d->w + o * d->inputs, *x = d->x + row * d->inputs;
    VEC_UNROLL for (int r = 0; r < rows; r++) { VEC_UNROLL for (int i = 0; i < outputs; i++) sum[r][i] = s[r].sum[i]; }
    for (int64_t k = k0; k < k1; k += WHY_WIDTH) {
        vec in[DENSE_ROWS];
        VEC_UNROLL for (int r = 0; r < rows; r++) in[r] = vec_load_any(x + r * d->inputs + k);
        VEC_UNROLL for (int i = 0; i < outputs; i++) {
            const vec weight = vec_load_any(w + i * d->inputs + k);
            VEC_UNROLL for (int r = 0; r < rows; r++) sum[r][i] += weight * in[r];
        }
    }
    VEC_UNROLL for (int r = 0; r < rows; r++) { VEC_UNROLL for (int i = 0; i < outputs; i++) s[r].sum[i] = sum[r][i]; }
}

VEC_INLINE void dense_rows(const why_dense *d, const int outputs, int64_t o, int64_t row, int rows, int64_t k0, int64_t k1,
                           struct dense_row *s) {
    int r = 0;
    for (; r + DENSE_ROWS <= rows; r += DENSE_ROWS) dense_tile(d, outputs, DENSE_ROWS, o, row + r, k0, k1, s + r);
    if (rows - r == 2) dense_tile(d, outputs, 2, o, row + r, k0, k1, s + r);
    if (rows - r == 1) dense_tile(d, outputs, 1, o, row + r, k0, k1, s + r);
}

VEC_INLINE float dense_total(const why_dense *d, vec sum, const float *w, const float *x) {
    _Alignas(64) float lane[WHY_WIDTH];
    vec_store(lane, sum);
    for (int width = WHY_WIDTH / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) lane[i] += lane[i + width];
    for (int64_t k = d->inputs / WHY_WIDTH * WHY_WIDTH; k < d->inputs; k++) lane[0] += w[k] * x[k];
    return lane[0];
}

VEC_INLINE void dense_write(const why_dense *d, const int outputs, int64_t o, int64_t row, int rows, const struct dense_row *s) {
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < outputs; i++) {
            float v = dense_total(d, s[r].sum[i], d->w + (o + i) * d->inputs, d->x + (row + r) * d->inputs);
            if (d->bias) v += d->bias[o + i];
            if (d->clamp.on) v = v < d->clamp.lo ? d->clamp.lo : v > d->clamp.hi ? d->clamp.hi : v;
            d->y[(row + r) * d->outputs + o + i] = v;
        }
}

VEC_INLINE void dense_outputs(const why_dense *d, const int outputs, int64_t o) {
    const int64_t whole = d->inputs / WHY_WIDTH * WHY_WIDTH;
    struct dense_row s[DENSE_BATCH];
    for (int64_t row = 0; row < d->rows; row += DENSE_BATCH) {
        const int rows = (int)(d->rows - row < DENSE_BATCH ? d->rows - row : DENSE_BATCH);
        memset(s, 0, (size_t)rows * sizeof *s);
        for (int64_t k = 0; k < whole; k += DENSE_CHUNK)
            dense_rows(d, outputs, o, row, rows, k, k + DENSE_CHUNK < whole ? k + DENSE_CHUNK : whole, s);
        dense_write(d, outputs, o, row, rows, s);
    }
}

static void dense(const why_dense *d, int64_t o0, int64_t o1) {
    int64_t o = o0;
    for (; o + DENSE_OUTPUTS <= o1; o += DENSE_OUTPUTS) dense_outputs(d, DENSE_OUTPUTS, o);
    for (; o < o1; o++) dense_outputs(d, 1, o);
}

#endif
