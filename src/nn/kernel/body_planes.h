/* What runs block by block: the first layer, depthwise convolutions, pooling, scaling, and the way in and out of the layout. */
#ifndef WHYPIX_NN_BODY_PLANES_H
#define WHYPIX_NN_BODY_PLANES_H

#include <math.h>

#include "nn/kernel/body_product.h"

/* ---------------------------------------------------------------- the first layer */
/* The input rows of output rows [y0, y1) with their padding, so that no tap needs a test. */
static void stem_rows(const why_stem *s, int y0, int y1, float *rows) {
    const why_window *w = &s->win;
    const int height = (y1 - y0 - 1) * w->sh + w->kh, width = (w->ow - 1) * w->sw + w->kw;
    int copied = w->iw < width - w->pl ? w->iw : width - w->pl;
    for (int c = 0; c < w->channels; c++)
        for (int i = 0; i < height; i++, rows += width) {
            const int y = y0 * w->sh - w->pt + i;
            memset(rows, 0, (size_t)width * sizeof *rows);
            if (y >= 0 && y < w->ih && copied > 0)
                memcpy(rows + w->pl, s->x + ((ptrdiff_t)c * w->ih + y) * w->iw, (size_t)copied * sizeof *rows);
        }
}

VEC_INLINE void stem_tile(const why_stem *s, const int vectors, const int pixels, const float *rows, ptrdiff_t plane, int block,
                          ptrdiff_t at) {
    const why_window *w = &s->win;
    const ptrdiff_t width = (ptrdiff_t)(w->ow - 1) * w->sw + w->kw;
    const float *u = s->w + (ptrdiff_t)block * w->channels * w->kh * w->kw * WHY_WIDTH;
    struct tile t;
    tile_clear(&t, vectors, pixels);
    for (int c = 0; c < w->channels; c++)
        for (int ky = 0; ky < w->kh; ky++) u = tile_add(&t, vectors, pixels, rows + c * plane + ky * width, w->sw, w->kw, u);
    tile_finish(&t, vectors, pixels, &s->finish, s->finish.add ? s->finish.add + at * WHY_WIDTH : NULL, block, s->y + at * WHY_WIDTH,
                s->y_block);
}

VEC_INLINE void stem_row(const why_stem *s, const int vectors, const float *rows, ptrdiff_t plane, int block, int oy) {
    for (int ox = 0; ox < s->win.ow;) {
        const int n = next_part(s->win.ow - ox, WHY_PIXELS);
#define STEM_TILE(n) stem_tile(s, vectors, n, rows + (ptrdiff_t)ox * s->win.sw, plane, block, (ptrdiff_t)oy * s->win.ow + ox)
        FOR_PIXELS(n, STEM_TILE)
#undef STEM_TILE
        ox += n;
    }
}

static void stem(const why_stem *s, int y0, int y1, float *scratch) {
    const why_window *w = &s->win;
    const ptrdiff_t width = (ptrdiff_t)(w->ow - 1) * w->sw + w->kw, plane = ((ptrdiff_t)(y1 - y0 - 1) * w->sh + w->kh) * width;
    stem_rows(s, y0, y1, scratch);
    for (int b = 0; b < s->out_blocks; b += 2)
        for (int y = y0; y < y1; y++) {
            const float *rows = scratch + (ptrdiff_t)(y - y0) * w->sh * width;
            if (b + 1 < s->out_blocks) stem_row(s, 2, rows, plane, b, y);
            else stem_row(s, 1, rows, plane, b, y);
        }
}

/* ---------------------------------------------------------------- depthwise */
struct taps {
    int y, x;               /* of the window's first tap, may lie outside */
    int ky0, ky1, kx0, kx1; /* taps inside the picture */
};

VEC_INLINE struct taps taps_at(const why_window *w, int oy, int ox) {
    struct taps t = {.y = oy * w->sh - w->pt, .x = ox * w->sw - w->pl};
    why_window_span(t.y, w->kh, w->dh, w->ih, &t.ky0, &t.ky1);
    why_window_span(t.x, w->kw, w->dw, w->iw, &t.kx0, &t.kx1);
    return t;
}

VEC_INLINE const float *pixel(const why_planes *p, int y, int x) { return p->x + ((ptrdiff_t)y * p->win.iw + x) * WHY_WIDTH; }

/* `n` neighbours that see the same taps. */
VEC_INLINE void depthwise_tile(const why_planes *p, const struct finish *f, vec bias, const int n, const struct taps *t, ptrdiff_t at) {
    const why_window *w = &p->win;
    vec sum[4];
    VEC_UNROLL for (int i = 0; i < n; i++) sum[i] = (vec){0};
    for (int ky = t->ky0; ky < t->ky1; ky++)
        for (int kx = t->kx0; kx < t->kx1; kx++) {
            const vec weight = vec_load(p->w + (ky * w->kw + kx) * WHY_WIDTH);
            const float *x = pixel(p, t->y + ky * w->dh, t->x + kx * w->dw);
            VEC_UNROLL for (int i = 0; i < n; i++) sum[i] += weight * vec_load(x + (ptrdiff_t)i * w->sw * WHY_WIDTH);
        }
    VEC_UNROLL for (int i = 0; i < n; i++) {
        const ptrdiff_t to = (at + i) * WHY_WIDTH;
        vec_store(p->y + to, finish_one(f, sum[i], bias, f->add ? f->add + to : NULL));
    }
}

static void depthwise(const why_planes *p, int y0, int y1) {
    const why_window *w = &p->win;
    const struct finish f = finish_begin(&p->finish);
    const vec bias = finish_bias(&f, 0);
    for (int oy = y0; oy < y1; oy++)
        for (int ox = 0; ox < w->ow;) {
            const ptrdiff_t at = (ptrdiff_t)oy * w->ow + ox;
            const struct taps t = taps_at(w, oy, ox), last = taps_at(w, oy, ox + 3);
            const bool four = ox + 4 <= w->ow && t.kx0 == 0 && t.kx1 == w->kw && last.kx0 == 0 && last.kx1 == w->kw;
            if (four) depthwise_tile(p, &f, bias, 4, &t, at);
            else depthwise_tile(p, &f, bias, 1, &t, at);
            ox += four ? 4 : 1;
        }
}

/* ---------------------------------------------------------------- pooling */
static void max_pool(const why_planes *p, int y0, int y1) {
    const why_window *w = &p->win;
    for (int oy = y0; oy < y1; oy++)
        for (int ox = 0; ox < w->ow; ox++) {
            const struct taps t = taps_at(w, oy, ox);
            vec best = vec_all(-INFINITY);
            for (int ky = t.ky0; ky < t.ky1; ky++)
                for (int kx = t.kx0; kx < t.kx1; kx++) best = vec_larger(best, vec_load(pixel(p, t.y + ky * w->dh, t.x + kx * w->dw)));
            vec_store(p->y + ((ptrdiff_t)oy * w->ow + ox) * WHY_WIDTH, best);
        }
}

/* Padding counts when the file says so, except what ceil_mode adds beyond it. */
static int pooled_pixels(const why_planes *p, const struct taps *t) {
    const why_window *w = &p->win;
    int ky0 = t->ky0, ky1 = t->ky1, kx0 = t->kx0, kx1 = t->kx1;
    if (p->include_pad) {
        why_window_span(t->y + w->pt, w->kh, w->dh, w->ih + w->pt + w->pb, &ky0, &ky1);
        why_window_span(t->x + w->pl, w->kw, w->dw, w->iw + w->pl + w->pr, &kx0, &kx1);
    }
    return (ky1 - ky0) * (kx1 - kx0);
}

static void average_pool(const why_planes *p, int y0, int y1) {
    const why_window *w = &p->win;
    for (int oy = y0; oy < y1; oy++)
        for (int ox = 0; ox < w->ow; ox++) {
            const struct taps t = taps_at(w, oy, ox);
            const int n = pooled_pixels(p, &t);
            vec sum = {0};
            for (int ky = t.ky0; ky < t.ky1; ky++)
                for (int kx = t.kx0; kx < t.kx1; kx++) sum += vec_load(pixel(p, t.y + ky * w->dh, t.x + kx * w->dw));
            vec_store(p->y + ((ptrdiff_t)oy * w->ow + ox) * WHY_WIDTH, sum * (n > 0 ? 1.0f / (float)n : 0.0f));
        }
}

/* Four sums side by side hide the latency of the additions; they are few, so that single precision loses nothing. */
static void mean(const float *x, int64_t n, int channels, float *y) {
    vec sum[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += vec_load(x + (i + k) * WHY_WIDTH);
    for (; i < n; i++) sum[0] += vec_load(x + i * WHY_WIDTH);
    _Alignas(64) float all[WHY_WIDTH];
    vec_store(all, ((sum[0] + sum[1]) + (sum[2] + sum[3])) * (1.0f / (float)n));
    memcpy(y, all, (size_t)channels * sizeof *y);
}

/* ---------------------------------------------------------------- pixel by pixel */
static void scale(const float *x, const float *factor, const float *shift, why_clamp clamp, int64_t n, float *y) {
    const vec a = vec_load(factor), b = vec_load(shift), lo = vec_all(clamp.lo), hi = vec_all(clamp.hi);
    for (int64_t i = 0; i < n * WHY_WIDTH; i += WHY_WIDTH) {
        const vec v = a * vec_load(x + i) + b;
        vec_store(y + i, clamp.on ? vec_clamp(v, lo, hi) : v);
    }
}

static void to_block(const float *x, int64_t plane, int channels, int64_t from, int64_t to, float *y) {
    for (int64_t i = from; i < to; i++)
        for (int c = 0; c < WHY_WIDTH; c++) y[i * WHY_WIDTH + c] = c < channels ? x[c * plane + i] : 0.0f;
}

static void to_planes(const float *x, int64_t plane, int channels, int64_t from, int64_t to, float *y) {
    for (int c = 0; c < channels; c++)
        for (int64_t i = from; i < to; i++) y[c * plane + i] = x[i * WHY_WIDTH + c];
}

#endif
