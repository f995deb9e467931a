/* Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, arXiv:1509.09308, Section 4.1):
 *
 *     Y = A^T [ sum over inputs of (G g G^T) * (B^T d B) ] A
 *
 * for 6x6 inputs d, 3x3 weights g and 4x4 outputs Y. The polynomials behind it (Cook-Toom) are evaluated at 0, +-a, +-b and
 * infinity with a = 1/sqrt(2), b = sqrt(2): nearly five times as exact as the usual +-1, +-2, because all powers that occur
 * stay near 1. The 36 products over inputs are matrix products over tiles (body_product.h). */
#ifndef WHYPIX_NN_BODY_WINOGRAD_H
#define WHYPIX_NN_BODY_WINOGRAD_H

#include "nn/kernel/body_product.h"

#define WINO_A 0.70710678118654752f
#define WINO_B 1.41421356237309505f
enum { WINO_IN = 6 };

/* B^T d. Row of point p: the coefficients of the product of (x - q) over the other finite points q. a^2 = 1/2, b^2 = 2, so
 * a^2 + b^2 = 5/2 and a^2 b^2 = 1. */
VEC_INLINE void wino_input(const vec d[WINO_IN], vec o[WINO_IN]) {
    const vec a = vec_all(WINO_A), b = vec_all(WINO_B);
    const vec even_a = d[4] - 2.0f * d[2], odd_a = a * (d[3] - 2.0f * d[1]);
    const vec even_b = d[4] - 0.5f * d[2], odd_b = b * (d[3] - 0.5f * d[1]);
    o[0] = (d[0] + d[4]) - 2.5f * d[2];
    o[1] = even_a + odd_a;
    o[2] = even_a - odd_a;
    o[3] = even_b + odd_b;
    o[4] = even_b - odd_b;
    o[5] = (d[1] + d[5]) - 2.5f * d[3];
}

/* A^T m: row j holds the points' j-th powers, infinity only the highest. */
VEC_INLINE void wino_output(const vec m[WINO_IN], vec o[WHY_TILE]) {
    const vec sum_a = m[1] + m[2], dif_a = WINO_A * (m[1] - m[2]), sum_b = m[3] + m[4], dif_b = WINO_B * (m[3] - m[4]);
    o[0] = m[0] + (sum_a + sum_b);
    o[1] = dif_a + dif_b;
    o[2] = 0.5f * sum_a + 2.0f * sum_b;
    o[3] = (0.5f * dif_a + 2.0f * dif_b) + m[5];
}

/* d: 6x6 pixels of one block, rows `row` floats apart; point k goes to v + k * next. */
VEC_INLINE void wino_input_tile(const float *d, ptrdiff_t row, float *v, ptrdiff_t next) {
    vec half[WINO_IN][WINO_IN]; /* [point of the columns][x] */
    VEC_UNROLL for (int x = 0; x < WINO_IN; x++) {
        vec in[WINO_IN], out[WINO_IN];
        VEC_UNROLL for (int y = 0; y < WINO_IN; y++) in[y] = vec_load(d + y * row + x * WHY_WIDTH);
        wino_input(in, out);
        VEC_UNROLL for (int y = 0; y < WINO_IN; y++) half[y][x] = out[y];
    }
    VEC_UNROLL for (int y = 0; y < WINO_IN; y++) {
        vec out[WINO_IN];
        wino_input(half[y], out);
        VEC_UNROLL for (int x = 0; x < WINO_IN; x++) vec_store(v + (y * WINO_IN + x) * next, out[x]);
    }
}

/* A tile that reaches over the border: a copy with zeros. */
static void wino_patch(const why_window *w, const float *x, int y0, int x0, float *patch) {
    for (int i = 0; i < WINO_IN; i++)
        for (int j = 0; j < WINO_IN; j++) {
            const int y = y0 + i, c = x0 + j;
            const bool inside = y >= 0 && y < w->ih && c >= 0 && c < w->iw;
            vec_store(patch + (i * WINO_IN + j) * WHY_WIDTH, inside ? vec_load(x + ((ptrdiff_t)y * w->iw + c) * WHY_WIDTH) : (vec){0});
        }
}

struct wino_place {
    int64_t image;
    int y, x; /* of the first output */
};

VEC_INLINE struct wino_place wino_place(const why_winograd *w, int64_t tile) {
    const int64_t each = (int64_t)w->tiles_x * w->tiles_y;
    const int in = (int)(tile % each);
    return (struct wino_place){tile / each, in / w->tiles_x * WHY_TILE, in % w->tiles_x * WHY_TILE};
}

static void wino_inputs(const why_winograd *w, int64_t t0, int tiles, float *v) {
    const why_window *g = &w->win;
    const ptrdiff_t plane = (ptrdiff_t)g->ih * g->iw * WHY_WIDTH, next = why_winograd_row(w->in_blocks, tiles, WHY_WIDTH);
    _Alignas(64) float patch[WHY_POINTS * WHY_WIDTH];
    for (int t = 0; t < tiles; t++) {
        const struct wino_place p = wino_place(w, t0 + t);
        const int y0 = p.y - g->pt, x0 = p.x - g->pl;
        const bool inside = y0 >= 0 && x0 >= 0 && y0 + WINO_IN <= g->ih && x0 + WINO_IN <= g->iw;
        const float *x = w->x + p.image * w->x_image;
        for (int b = 0; b < w->in_blocks; b++, x += plane) {
            float *to = v + ((ptrdiff_t)b * tiles + t) * WHY_WIDTH;
            if (inside) {
                wino_input_tile(x + ((ptrdiff_t)y0 * g->iw + x0) * WHY_WIDTH, (ptrdiff_t)g->iw * WHY_WIDTH, to, next);
                continue;
            }
            wino_patch(g, x, y0, x0, patch);
            wino_input_tile(patch, WINO_IN * WHY_WIDTH, to, next);
        }
    }
}

static void wino_products(const why_winograd *w, int tiles, int from, int to, const float *v, float *m) {
    const int64_t next_v = why_winograd_row(w->in_blocks, tiles, WHY_WIDTH), next_m = why_winograd_row(to - from, tiles, WHY_WIDTH);
    const int64_t matrix = (int64_t)w->in_blocks * w->out_blocks * WHY_WIDTH * WHY_WIDTH;
    for (int k = 0; k < WHY_POINTS; k++) {
        const ptrdiff_t block = (ptrdiff_t)tiles * WHY_WIDTH;
        const why_product p = {.x = v + k * next_v,
                               .x_block = block,
                               .blocks = w->in_blocks,
                               .w = w->u + k * matrix,
                               .from = from,
                               .to = to,
                               .pixels = tiles,
                               .y = m + k * next_m - from * block,
                               .y_block = block};
        multiply(&p);
    }
}

/* The 4x4 outputs of one tile and block, before they are finished. */
VEC_INLINE void wino_output_tile(const float *m, ptrdiff_t next, vec y[WHY_TILE][WHY_TILE]) {
    vec half[WINO_IN][WHY_TILE]; /* [point of the rows][output column] */
    VEC_UNROLL for (int i = 0; i < WINO_IN; i++) {
        vec in[WINO_IN];
        VEC_UNROLL for (int j = 0; j < WINO_IN; j++) in[j] = vec_load(m + (i * WINO_IN + j) * next);
        wino_output(in, half[i]);
    }
    VEC_UNROLL for (int j = 0; j < WHY_TILE; j++) {
        vec in[WINO_IN], out[WHY_TILE];
        VEC_UNROLL for (int i = 0; i < WINO_IN; i++) in[i] = half[i][j];
        wino_output(in, out);
        VEC_UNROLL for (int i = 0; i < WHY_TILE; i++) y[i][j] = out[i];
    }
}

VEC_INLINE void wino_write(const why_winograd *w, const struct finish *f, vec bias, vec y[WHY_TILE][WHY_TILE], const struct wino_place p,
                           int block) {
    const why_window *g = &w->win;
    const int rows = g->oh - p.y < WHY_TILE ? g->oh - p.y : WHY_TILE, columns = g->ow - p.x < WHY_TILE ? g->ow - p.x : WHY_TILE;
    const ptrdiff_t in_block = ((ptrdiff_t)p.y * g->ow + p.x) * WHY_WIDTH, row = (ptrdiff_t)g->ow * WHY_WIDTH;
    float *to = w->y + p.image * w->y_image + (ptrdiff_t)block * g->oh * row + in_block;
    const float *add = f->add ? f->add + p.image * w->add_image + block * w->finish.add_block + in_block : NULL;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            vec_store(to + i * row + j * WHY_WIDTH, finish_one(f, y[i][j], bias, add ? add + i * row + j * WHY_WIDTH : NULL));
}

static void wino_outputs(const why_winograd *w, int64_t t0, int tiles, int from, int to, const float *m) {
    const ptrdiff_t next = why_winograd_row(to - from, tiles, WHY_WIDTH);
    const struct finish f = finish_begin(&w->finish);
    for (int b = from; b < to; b++) {
        const vec bias = finish_bias(&f, b);
        for (int t = 0; t < tiles; t++) {
            vec y[WHY_TILE][WHY_TILE];
            wino_output_tile(m + ((ptrdiff_t)(b - from) * tiles + t) * WHY_WIDTH, next, y);
            wino_write(w, &f, bias, y, wino_place(w, t0 + t), b);
        }
    }
}

static void winograd(const why_winograd *w, int64_t t0, int64_t t1, int from, int to, float *scratch) {
    const int tiles = (int)(t1 - t0);
    float *m = scratch + WHY_POINTS * why_winograd_row(w->in_blocks, tiles, WHY_WIDTH);
    wino_inputs(w, t0, tiles, scratch);
    wino_products(w, tiles, from, to, scratch, m);
    wino_outputs(w, t0, tiles, from, to, m);
}

#endif
