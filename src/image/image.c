#include "whypix/image.h"

#include <stdlib.h>

#include "base/mem.h"

why_status why_image_create(int h, int w, why_image *out) {
    *out = (why_image){0};
    if (h < 1 || w < 1) return why_fail(WHY_EARG, "a picture of %d x %d pixels: both sides must be at least 1", w, h);
    WHY_TRY(why_alloc((size_t)h * (size_t)w, 3, "a picture", &out->rgb));
    out->h = h;
    out->w = w;
    return WHY_OK;
}

void why_image_clear(why_image *im) {
    free(im->rgb);
    *im = (why_image){0};
}

void why_segments_clear(why_segments *s) {
    free(s->label);
    *s = (why_segments){0};
}
