/* 7 x 7 uniform noise, bilinearly enlarged: as smooth as a map from a last convolution, and as empty as noise. Independent
 * smooth maps correlate far more by chance than independent pixels do, so this is the floor that matters for CAMs. */
#include "explain/explainer.h"

enum { SIDE = 7 };

static why_status explain(const why_request *r, why_explanation *out) {
    float noise[SIDE * SIDE];
    why_rng g = why_rng_at(r->stream, 0);
    for (int i = 0; i < SIDE * SIDE; i++) noise[i] = (float)why_rng_uniform(&g);
    why_map_resize(noise, SIDE, SIDE, out->map, out->h, out->w);
    return WHY_OK;
}

const why_explainer why_explainer_random_smooth = {
    .name = "random_smooth",
    .help = "7 x 7 noise enlarged bilinearly: a floor as smooth as a CAM",
    .source = "control",
    .flags = WHY_STOCHASTIC | WHY_CONTROL,
    .output = WHY_PROBABILITY,
    .evaluations = why_no_evaluations,
    .explain = explain,
};
