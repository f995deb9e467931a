/* Input times gradient (Shrikumar 2016): x * dy/dx of the normalised image; a first-order guess of what setting a value to
 * zero would take from the score. */
#include <stdlib.h>

#include "base/mem.h"
#include "explain/gradients.h"

static const why_param params[] = {WHY_CHANNELS_PARAM("sum"), {0}};

static why_status explain(const why_request *r, why_explanation *out) {
    const float *x, *g;
    int channels;
    double *v;
    WHY_TRY(why_input_gradient(r, WHY_RULE_PLAIN, &x, &g, &channels));
    size_t n = (size_t)channels * (size_t)out->h * (size_t)out->w;
    WHY_TRY(why_alloc(n, sizeof *v, "gradient", &v));
    for (size_t i = 0; i < n; i++) v[i] = (double)x[i] * g[i];
    why_fold_channels(r->params, v, channels, out);
    out->evaluations = 1;
    free(v);
    return WHY_OK;
}

const why_explainer why_explainer_input_x_gradient = {
    .name = "input_x_gradient",
    .help = "input times gradient",
    .source = "Shrikumar 2016; captum InputXGradient",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_one_evaluation,
    .explain = explain,
};
