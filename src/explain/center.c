/* A Gaussian in the middle, sigma a quarter of the shorter side: photographers centre their subject, and a map that does
 * no better than this has found nothing. */
#include "explain/explainer.h"

#include <math.h>

static why_status explain(const why_request *r, why_explanation *out) {
    (void)r;
    double sigma = (out->h < out->w ? out->h : out->w) / 4.0, cy = (out->h - 1) / 2.0, cx = (out->w - 1) / 2.0;
    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < out->w; x++) {
            double d2 = (y - cy) * (y - cy) + (x - cx) * (x - cx);
            out->map[y * out->w + x] = (float)exp(-d2 / (2 * sigma * sigma));
        }
    return WHY_OK;
}

const why_explainer why_explainer_center = {
    .name = "center",
    .help = "a Gaussian in the middle, sigma = side/4: a floor that knows photography",
    .source = "control",
    .flags = WHY_CONTROL,
    .output = WHY_PROBABILITY,
    .evaluations = why_no_evaluations,
    .explain = explain,
};
