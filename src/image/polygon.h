/* Outlines that people drew, as masks. */
#ifndef WHYPIX_IMAGE_POLYGON_H
#define WHYPIX_IMAGE_POLYGON_H

#include <stdint.h>

#include "whypix/status.h"

/* Set the pixels of mask (h x w) whose centres (x + 0.5, y + 0.5) lie inside the closed polygon of n corners, xy = x0 y0 x1 y1 ...,
 * by the even-odd rule; a centre on an edge belongs to the side right of and below it. What lies outside the picture is cut off. */
why_status why_polygon_fill(uint8_t *mask, int h, int w, const double *xy, int n, uint8_t value) WHY_MUST_USE;
/* The same for a circle around (x, y). */
void why_circle_fill(uint8_t *mask, int h, int w, double x, double y, double radius, uint8_t value);

#endif
