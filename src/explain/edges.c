/* Sobel magnitude of the grey image: what an "explanation" looks like that never saw the model (Adebayo 2018 compare
 * saliency maps with an edge detector). */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>

/* ITU-R 601 luma, 16-bit fixed point. */
static int luma(const why_image *im, int y, int x) {
    const uint8_t *p = im->rgb + 3 * ((size_t)y * (size_t)im->w + (size_t)x);
    return (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 0x8000) >> 16;
}

/* Mirror without repeating the border pixel: -1 -> 1, n -> n - 2. */
static int reflect(int i, int n) {
    if (n == 1) return 0;
    return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

static float sobel(const why_image *im, int y, int x) {
    int gx = 0, gy = 0;
    for (int d = -1; d <= 1; d++) {
        int weight = 2 - abs(d);
        gx += weight * (luma(im, reflect(y + d, im->h), reflect(x + 1, im->w)) - luma(im, reflect(y + d, im->h), reflect(x - 1, im->w)));
        gy += weight * (luma(im, reflect(y + 1, im->h), reflect(x + d, im->w)) - luma(im, reflect(y - 1, im->h), reflect(x + d, im->w)));
    }
    return (float)hypot(gx, gy);
}

static why_status explain(const why_request *r, why_explanation *out) {
    const why_image *im = why_subject_image(r->subject);
    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < out->w; x++) out->map[y * out->w + x] = sobel(im, y, x);
    out->note = why_explanation_zero_note(out);
    return WHY_OK;
}

const why_explainer why_explainer_edges = {
    .name = "edges",
    .help = "Sobel magnitude of the grey image: a floor that knows the image, not the model",
    .source = "control; Adebayo 2018",
    .flags = WHY_CONTROL,
    .output = WHY_PROBABILITY,
    .evaluations = why_no_evaluations,
    .explain = explain,
};
