/* What segmenters share. A segmenter is one file with one why_segmenter and one line in segmenters.c;
 * segment_grid.c is the smallest: start there for your own. */
#ifndef WHYPIX_IMAGE_SEGMENT_H
#define WHYPIX_IMAGE_SEGMENT_H

#include "whypix/image.h"

extern const why_segmenter why_segment_quickshift, why_segment_slic, why_segment_felzenszwalb, why_segment_grid;

/* CIE Lab (D65, 2 degrees) of n sRGB pixels in 0..1, as scikit-image's rgb2lab: planes L, a, b of n each.
 * value[v] is what an 8-bit v stands for (v / 255, or stretched to the picture's own range as SLIC does). */
void why_lab_planes(const uint8_t *rgb, size_t n, const double value[256], double *lab);
/* v / 255 as scikit-image computes it. */
void why_unit_values(double value[256]);

/* An empty segmentation of h x w with memory for labels. */
why_status why_segments_create(int h, int w, why_segments *out) WHY_MUST_USE;

#endif
