/* The ten outlines, and where one lies in a picture. */
#ifndef WHYPIX_IMAGE_SYNTH_SHAPE_H
#define WHYPIX_IMAGE_SYNTH_SHAPE_H

#include <stdbool.h>

#include "image/synth.h"

/* An outline around (0, 0) of its own plane: a polygon of n corners, or a test. */
typedef struct synth_shape {
    const char *name;
    double area, reach; /* of its plane: surface, and greatest distance from (0, 0) */
    int n;
    const double (*corner)[2];
    bool (*inside)(double u, double v);
} synth_shape;

extern const synth_shape why_synth_shapes[WHY_SYNTH_CLASSES]; /* THE table: line i is class i */

/* From the picture's plane, [0, 1] x [0, 1], to a shape's own: rotate by -(c, s) around (x, y), divide by the half axes. */
typedef struct synth_place {
    double x, y, c, s, half_u, half_v;
    double reach; /* nothing of the shape lies farther from (x, y) */
} synth_place;

/* The point in the shape's plane; false when it is out of reach. Here, because every sub-sample asks it of every piece. */
static inline bool synth_local(const synth_place *at, double x, double y, double *u, double *v) {
    double dx = x - at->x, dy = y - at->y;
    if (dx * dx + dy * dy > at->reach * at->reach) return false;
    *u = (at->c * dx + at->s * dy) / at->half_u;
    *v = (at->c * dy - at->s * dx) / at->half_v;
    return true;
}

bool why_synth_in_polygon(const double (*corner)[2], int n, double u, double v);
bool why_synth_in_shape(const synth_shape *shape, double u, double v);

#endif
