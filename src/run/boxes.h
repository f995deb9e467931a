/* Boxes as image lists write them: "x0 y0 x1 y1", more of them behind semicolons. Whole pixels of the picture, counted from 0 at
 * its upper left corner; x1 and y1 are the first ones outside. */
#ifndef WHYPIX_RUN_BOXES_H
#define WHYPIX_RUN_BOXES_H

#include <stdint.h>

#include "whypix/status.h"

/* WHY_EJOB with the text: not four whole numbers, or a box without a pixel. WHY_EFORMAT: a box outside a picture of h x w; INT_MAX
 * when its size is not known yet. */
why_status why_boxes_check(const char *text, int h, int w) WHY_MUST_USE;
/* The picture's pixels that lie in any of them: mask, h x w, owned, 0 or 1. Boxes are cut at the edges of the picture. */
why_status why_boxes_mask(const char *text, int h, int w, uint8_t **mask) WHY_MUST_USE;

#endif
