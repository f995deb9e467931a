/* Windows and clamps: what operators and their kernels both speak of. */
#ifndef WHYPIX_NN_GEOMETRY_H
#define WHYPIX_NN_GEOMETRY_H

#include <stdbool.h>

#include "whypix/status.h"

/* An element-wise clamp fused behind an operator: Relu is [0, inf). Applied as the value is written. */
typedef struct why_clamp {
    bool on;
    float lo, hi;
} why_clamp;

/* The sliding window of a Conv or a pooling. */
typedef struct why_window {
    int channels, ih, iw, oh, ow;
    int kh, kw, sh, sw, dh, dw;
    int pt, pl, pb, pr; /* zeros above, left, below, right; pb and pr after ceil_mode may reach further */
} why_window;

/* Indices k in [*from, *to) with 0 <= start + k * dilation < size. */
static inline void why_window_span(int start, int kernel, int dilation, int size, int *from, int *to) {
    *from = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    int last = (size - 1 - start) / dilation; /* only meaningful when start < size */
    *to = start >= size ? 0 : last + 1 < kernel ? last + 1 : kernel;
    if (*from > *to) *from = *to;
}

#endif
