/* Equal rectangles: the segmentation that knows nothing of the picture, to tell what the others add. */
#include "image/segment.h"

static const why_param params[] = {
    {"rows", WHY_PARAM_INT, "7", 1, 4096, NULL, "rectangles from top to bottom"},
    {"columns", WHY_PARAM_INT, "7", 1, 4096, NULL, "rectangles from left to right"},
    {0},
};

static why_status run(const why_image *im, const why_params *p, uint64_t seed, const double *noise, why_segments *out) {
    const int rows = (int)why_params_int(p, "rows"), columns = (int)why_params_int(p, "columns");
    (void)seed;
    (void)noise;
    *out = (why_segments){0};
    if (rows > im->h || columns > im->w)
        return why_fail(WHY_EARG, "grid: %d x %d segments do not fit into %d x %d pixels", rows, columns, im->h, im->w);
    WHY_TRY(why_segments_create(im->h, im->w, out));
    out->n = rows * columns;
    int32_t *label = out->label;
    for (int64_t y = 0; y < im->h; y++)
        for (int64_t x = 0; x < im->w; x++) *label++ = (int32_t)(y * rows / im->h * columns + x * columns / im->w);
    return WHY_OK;
}

const why_segmenter why_segment_grid = {
    .name = "grid",
    .help = "equal rectangles, whatever is in the picture",
    .source = "whypix",
    .params = params,
    .run = run,
};
