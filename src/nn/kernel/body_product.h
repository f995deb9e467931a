/* The register tile: WHY_PIXELS pixels times two blocks of outputs, over all inputs. Two loads of weights and one broadcast
 * per pixel feed 2 * WHY_PIXELS independent chains of fused multiply-adds, enough to hide their latency. */
#ifndef WHYPIX_NN_BODY_PRODUCT_H
#define WHYPIX_NN_BODY_PRODUCT_H

#include "nn/kernel/vec.h"

struct tile {
    vec sum[2][WHY_PIXELS];
};

/* x: pixels `step` floats apart, n inputs side by side in each. */
VEC_INLINE const float *tile_add(struct tile *t, const int vectors, const int pixels, const float *x, ptrdiff_t step, const int n,
                                 const float *w) {
    for (int c = 0; c < n; c++, w += vectors * WHY_WIDTH) {
        const vec w0 = vec_load(w), w1 = vectors == 2 ? vec_load(w + WHY_WIDTH) : w0;
        VEC_UNROLL for (int p = 0; p < pixels; p++) {
            const vec a = vec_all(x[p * step + c]);
            t->sum[0][p] += a * w0;
            if (vectors == 2) t->sum[1][p] += a * w1;
        }
    }
    return w;
}

VEC_INLINE void tile_clear(struct tile *t, const int vectors, const int pixels) {
    for (int v = 0; v < vectors; v++) {
        VEC_UNROLL for (int p = 0; p < pixels; p++) t->sum[v][p] = (vec){0};
    }
}

VEC_INLINE void tile_write(const struct tile *t, const int vectors, const int pixels, float *y, ptrdiff_t y_block) {
    for (int v = 0; v < vectors; v++) {
        VEC_UNROLL for (int p = 0; p < pixels; p++) vec_store(y + v * y_block + p * WHY_WIDTH, t->sum[v][p]);
    }
}

/* y and f->add point to the tile's first pixel in block 0 of the outputs. */
VEC_INLINE void tile_finish(const struct tile *t, const int vectors, const int pixels, const why_finish *f, const float *add, int block,
                            float *y, ptrdiff_t y_block) {
    const struct finish e = finish_begin(f);
    for (int v = 0; v < vectors; v++) {
        const vec bias = finish_bias(&e, block + v);
        float *to = y + (block + v) * y_block;
        const float *other = add ? add + (block + v) * f->add_block : NULL;
        VEC_UNROLL for (int p = 0; p < pixels; p++)
            vec_store(to + p * WHY_WIDTH, finish_one(&e, t->sum[v][p], bias, other ? other + p * WHY_WIDTH : NULL));
    }
}

VEC_INLINE void product_tile(const why_product *p, const int vectors, const int pixels, const float *w, int block, int at) {
    struct tile t;
    const float *x = p->x + (ptrdiff_t)at * WHY_WIDTH;
    tile_clear(&t, vectors, pixels);
    for (int b = 0; b < p->blocks; b++) w = tile_add(&t, vectors, pixels, x + b * p->x_block, WHY_WIDTH, WHY_WIDTH, w);
    float *y = p->y + (ptrdiff_t)at * WHY_WIDTH;
    if (!p->finish) tile_write(&t, vectors, pixels, y + block * p->y_block, p->y_block);
    else
        tile_finish(&t, vectors, pixels, p->finish, p->finish->add ? p->finish->add + (ptrdiff_t)at * WHY_WIDTH : NULL, block, y,
                    p->y_block);
}

/* CALL(n) for the constant n that `pixels` is. */
#define FOR_PIXELS(pixels, CALL)                                                                                                           \
    switch (pixels) {                                                                                                                      \
        FOR_PIXELS_CASE(1, CALL)                                                                                                           \
        FOR_PIXELS_CASE(2, CALL) FOR_PIXELS_CASE(3, CALL) FOR_PIXELS_CASE(4, CALL) FOR_PIXELS_CASE(5, CALL) FOR_PIXELS_CASE(6, CALL)       \
            FOR_PIXELS_CASE(7, CALL) FOR_PIXELS_CASE(8, CALL) FOR_PIXELS_CASE(9, CALL) FOR_PIXELS_CASE(10, CALL) FOR_PIXELS_CASE(11, CALL) \
                FOR_PIXELS_CASE(12, CALL) FOR_PIXELS_CASE(13, CALL) FOR_PIXELS_CASE(14, CALL)                                              \
    }
#define FOR_PIXELS_CASE(n, CALL)                                                                                                           \
    case n:                                                                                                                                \
        if (n <= WHY_PIXELS) CALL((n <= WHY_PIXELS ? n : 1));                                                                              \
        break;

VEC_INLINE void product_row(const why_product *p, const int vectors, const float *w, int block) {
    for (int at = 0; at < p->pixels;) {
        const int n = next_part(p->pixels - at, WHY_PIXELS);
#define PRODUCT_TILE(n) product_tile(p, vectors, n, w, block, at)
        FOR_PIXELS(n, PRODUCT_TILE)
#undef PRODUCT_TILE
        at += n;
    }
}

static void multiply(const why_product *p) {
    const ptrdiff_t size = (ptrdiff_t)p->blocks * WHY_WIDTH * WHY_WIDTH;
    for (int o = p->from; o < p->to; o += 2) {
        if (o + 1 < p->to) product_row(p, 2, p->w + o * size, o);
        else product_row(p, 1, p->w + o * size, o);
    }
}

/* ---------------------------------------------------------------- convolutions as products */
VEC_INLINE void gather_pixel(const why_window *w, const float *x, int from, int to, int at, float *col) {
    const int oy = at / w->ow, ox = at % w->ow, y0 = oy * w->sh - w->pt, x0 = ox * w->sw - w->pl;
    col += (ptrdiff_t)(at - from) * WHY_WIDTH;
    for (int ky = 0; ky < w->kh; ky++)
        for (int kx = 0; kx < w->kw; kx++, col += (ptrdiff_t)(to - from) * WHY_WIDTH) {
            const int y = y0 + ky * w->dh, c = x0 + kx * w->dw;
            const bool inside = y >= 0 && y < w->ih && c >= 0 && c < w->iw;
            vec_store(col, inside ? vec_load(x + ((ptrdiff_t)y * w->iw + c) * WHY_WIDTH) : (vec){0});
        }
}

static void gather(const why_window *w, const float *x, int blocks, int from, int to, float *col) {
    const ptrdiff_t plane = (ptrdiff_t)w->ih * w->iw * WHY_WIDTH, column = (ptrdiff_t)w->kh * w->kw * (to - from) * WHY_WIDTH;
    for (int b = 0; b < blocks; b++)
        for (int at = from; at < to; at++) gather_pixel(w, x + b * plane, from, to, at, col + b * column);
}

#endif
