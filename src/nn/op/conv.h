/* A convolution, as conv.c builds it and conv_blocked.c runs it on the blocked layout. */
#ifndef WHYPIX_NN_CONV_H
#define WHYPIX_NN_CONV_H

#include "nn/ops.h"

enum why_conv_algorithm { POINTWISE, IM2COL, DEPTHWISE };

/* What conv_blocked.c chose and packed. */
struct why_conv_packed {
    const float *w, *bias;     /* bias NULL: none */
    int64_t group_size;        /* floats of w per group */
};

struct conv {
    enum why_conv_algorithm algorithm;
    why_window win;
    int group, cin, cout;      /* channels per group */
    int k;                     /* cin * kh * kw: rows of the column matrix */
    int tile_rows, tiles;      /* output rows per tile; POINTWISE: pixels are one row */
    int halves;                /* the output channels of a lone tile are cut in two, so that two threads find work */
    int blocks;                /* backward: blocks of TILE_CHANNELS input channels per group */
    const float *w, *b;        /* [group * cout][k], [group * cout] or NULL */
    struct why_conv_packed packed;
};

extern const why_blocked_op why_conv_blocked;

#endif
