/* Resizing of which only a window is wanted: a centre crop of a 6000 x 3 picture must not cost a 512000 x 256 one. */
#ifndef WHYPIX_IMAGE_RESIZE_H
#define WHYPIX_IMAGE_RESIZE_H

#include "whypix/image.h"

/* rows [y0, y0+h) and columns [x0, x0+w) of a picture resized to full_h x full_w */
typedef struct why_window {
    int full_h, full_w, y0, x0, h, w;
} why_window;

/* `channels` interleaved 8-bit planes; out: win->h * win->w * channels. */
why_status why_resize_window(const uint8_t *in, int h, int w, int channels, const why_window *win, why_filter how,
                             uint8_t *out) WHY_MUST_USE;

#endif
