/* Kernels for the blocked layout, in which the fast path keeps feature maps: channels in blocks of `width`, the lanes of one
 * vector register, and each block as its pixels one after the other,
 *
 *     element (c, y, x) of a C x H x W map lies at ((c / width * H + y) * W + x) * width + c % width.
 *
 * So a pixel's neighbours in a vector are channels, which all meet the same weights' row: no shuffles, and any window costs
 * the same. Channels are filled up to whole blocks with zeros, and weights too.
 *
 * The bodies (body_*.h) are written once, for vectors of WHY_WIDTH lanes, and compiled per instruction set. Every output is
 * one chain of fused multiply-adds in a fixed order, so its bits do not depend on the tile that it was computed in. */
#ifndef WHYPIX_NN_BLOCKED_H
#define WHYPIX_NN_BLOCKED_H

#include <stddef.h>
#include <stdint.h>

#include "nn/kernel/geometry.h"

/* What happens to a sum before it is written: + bias, + another map (of a residual connection), clamped. */
typedef struct why_finish {
    const float *bias;   /* whole blocks; NULL: none */
    const float *add;    /* at the same pixel as the output; NULL: none */
    ptrdiff_t add_block; /* floats from one of its blocks to the next */
    why_clamp clamp;
} why_finish;

/* y[o][p] = sum over b, c of x[b][p][c] * w[b][c][o]: a matrix product on the blocked layout. */
typedef struct why_product {
    const float *x;
    ptrdiff_t x_block; /* floats from one block of inputs to the next */
    int blocks;        /* of inputs */
    const float *w;    /* as why_pack_product leaves them */
    int from, to;      /* blocks of outputs; `from` is even, `to` too unless it is the last */
    int pixels;        /* they lie one after the other */
    float *y;
    ptrdiff_t y_block;
    const why_finish *finish; /* NULL: the bare sums */
} why_product;

/* A 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3): 36 products instead of 144 per 4x4 outputs. */
typedef struct why_winograd {
    why_window win;
    int in_blocks, out_blocks;
    int tiles_x, tiles_y; /* tiles of 4x4 outputs in one image */
    const float *x, *u;   /* u: 36 matrices as why_pack_winograd leaves them */
    float *y;
    int64_t x_image, y_image, add_image; /* floats from one image to the next */
    why_finish finish;
} why_winograd;

/* A convolution of few channels in the plain layout (the first layer): the vectors run over outputs alone. */
typedef struct why_stem {
    why_window win;
    int out_blocks;
    const float *x, *w; /* w: as why_pack_product with every weight a block of one channel */
    float *y;
    ptrdiff_t y_block;
    why_finish finish;
} why_stem;

/* One block of a depthwise convolution, of pooling or of scaling. */
typedef struct why_planes {
    why_window win;
    const float *x, *w; /* w: [kh][kw][width] */
    float *y;
    bool include_pad; /* average: zeros outside the picture count as pixels */
    why_finish finish;
} why_planes;

/* Rows of fully connected layers: y[r][o] = <w[o], x[r]> + bias[o], clamped; plain layout. */
typedef struct why_dense {
    const float *w, *bias; /* [outputs][inputs]; bias NULL: none */
    int64_t inputs, outputs;
    const float *x;
    int64_t rows;
    float *y;
    why_clamp clamp;
} why_dense;

/* One variant of all of them. */
typedef struct why_blocked {
    int width;  /* lanes: channels of a block */
    int pixels; /* of the register tile; tiles of work are multiples of it */
    void (*multiply)(const why_product *p);
    /* Columns of a convolution for output pixels [from, to): col[block][tap][pixel][lane]. */
    void (*gather)(const why_window *w, const float *x, int blocks, int from, int to, float *col);
    /* Tiles [t0, t1), counted over the images, and output blocks [from, to) (bounds as in why_product). */
    void (*winograd)(const why_winograd *w, int64_t t0, int64_t t1, int from, int to, float *scratch);
    void (*stem)(const why_stem *s, int y0, int y1, float *scratch);
    void (*depthwise)(const why_planes *p, int y0, int y1);
    void (*max_pool)(const why_planes *p, int y0, int y1);
    void (*average_pool)(const why_planes *p, int y0, int y1);
    /* Mean over n pixels of one block; `channels` of it are written. */
    void (*mean)(const float *x, int64_t n, int channels, float *y);
    /* y = scale * x + shift, clamped, n pixels of one block. */
    void (*scale)(const float *x, const float *scale, const float *shift, why_clamp clamp, int64_t n, float *y);
    /* `channels` <= width planes to one block and back, pixels [from, to) of `plane`. */
    void (*to_block)(const float *x, int64_t plane, int channels, int64_t from, int64_t to, float *y);
    void (*to_planes)(const float *x, int64_t plane, int channels, int64_t from, int64_t to, float *y);
    /* Outputs [o0, o1), at most WHY_DENSE_OUTPUTS of them. */
    void (*dense)(const why_dense *d, int64_t o0, int64_t o1);
    /* WHY_CHAINS independent chains of `steps` multiply-adds each, in registers: what the others are measured by. */
    float (*chains)(int64_t steps);
} why_blocked;

enum { WHY_CHAINS = 12 };
enum { WHY_POINTS = 36, WHY_TILE = 4, WHY_DENSE_OUTPUTS = 32 };

static inline int why_blocks(int64_t channels, int width) { return (int)((channels + width - 1) / width); }

/* Floats of scratch for t tiles: the transformed inputs and the products. Rows are kept off multiples of 4 KiB, which would
 * all fall into one set of the first-level cache. */
static inline int64_t why_winograd_row(int blocks, int64_t tiles, int width) { return blocks * tiles * width + 2 * width; }
static inline int64_t why_winograd_scratch(int in_blocks, int out_blocks, int64_t tiles, int width) {
    return WHY_POINTS * (why_winograd_row(in_blocks, tiles, width) + why_winograd_row(out_blocks, tiles, width));
}
/* Floats of scratch for `rows` output rows of a stem: the input rows with their padding. */
static inline int64_t why_stem_scratch(const why_window *w, int rows) {
    return (int64_t)w->channels * ((rows - 1) * w->sh + w->kh) * ((w->ow - 1) * w->sw + w->kw);
}

/* ---------------------------------------------------------------- packing of weights (pack.c) */
/* w[outputs][inputs][taps] to pairs of output blocks [pair][input block][tap][lane of inputs][2 * width outputs]; an odd last
 * block is alone. `lanes` input channels make a block: width, or 1 for a stem. */
void why_pack_product(const float *w, int outputs, int inputs, int taps, int width, int lanes, float *out);
static inline int64_t why_packed_product(int outputs, int inputs, int taps, int width, int lanes) {
    return (int64_t)why_blocks(outputs, width) * width * why_blocks(inputs, lanes) * lanes * taps;
}
/* w[outputs][inputs][3][3] to 36 transformed matrices, each packed as above. */
void why_pack_winograd(const float *w, int outputs, int inputs, int width, float *out);

/* ---------------------------------------------------------------- variants */
/* The best variant for this CPU; NULL: it has none, and the portable path is taken. WHY_EARG: $WHYPIX_CPU is no CPU class. */
why_status why_blocked_of_cpu(const why_blocked **out) WHY_MUST_USE;
#if defined(__x86_64__)
extern const why_blocked why_blocked_avx2, why_blocked_avx512;
#endif

#endif
