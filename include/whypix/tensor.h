/* Shapes and views of float tensors as they cross public borders: row-major, NCHW for pictures and feature maps. */
#ifndef WHYPIX_TENSOR_H
#define WHYPIX_TENSOR_H

#include <stdint.h>

#define WHY_MAX_RANK 8

typedef struct why_shape {
    int rank;                  /* 0 = scalar */
    int64_t dim[WHY_MAX_RANK]; /* dim[0] outermost; unused ones are 0 */
} why_shape;

/* A borrowed block of floats. */
typedef struct why_tensor_view {
    const float *data;
    why_shape shape;
} why_tensor_view;

/* Number of elements; 1 for a scalar. Shapes that reach this call have been checked to fit an int64_t. */
static inline int64_t why_shape_count(const why_shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

#endif
