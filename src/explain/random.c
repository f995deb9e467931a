/* Uniform noise: the floor that every comparison is read against, and the explainer to copy for a new one.
 *
 * How to write an explainer
 *  1. Copy this file to <name>.c. Say in one paragraph what the map means, with the equation and its source.
 *  2. Write `explain`. It gets a request: the subject (image, evaluator, segments), a class, the output to explain, the
 *     parameters, a random stream. It writes out->map (h*w floats, already zero; positive speaks for the class) and what
 *     else it knows: evaluations, fit, residual, note. Call why_request_check_class first if the class matters.
 *  3. Never build a masked image: describe perturbations and hand many at once to why_evaluator_run (see lime.c), or
 *     ask for gradients with why_evaluator_gradient (see gradcam.c).
 *  4. Draw only from r->stream: why_rng_at(r->stream, i) for sample i, so that sample i is the same whatever the
 *     budget, the threads or the rank.
 *  5. Declare parameters in a why_param table; job files, `--set`, `whypix list` and the database read it.
 *  6. Fill in the why_explainer below, declare it in explainer.h, add its line to explainers.c, and test it against a
 *     published implementation in tests/unit/explain/. */
#include "explain/explainer.h"

static why_status explain(const why_request *r, why_explanation *out) {
    for (int y = 0; y < out->h; y++) {
        why_rng g = why_rng_at(r->stream, (uint64_t)y);
        for (int x = 0; x < out->w; x++) out->map[y * out->w + x] = (float)why_rng_uniform(&g);
    }
    return WHY_OK;
}

const why_explainer why_explainer_random = {
    .name = "random",
    .help = "uniform noise, pixel by pixel: a floor",
    .source = "control",
    .flags = WHY_STOCHASTIC | WHY_CONTROL,
    .output = WHY_PROBABILITY,
    .evaluations = why_no_evaluations,
    .explain = explain,
};
