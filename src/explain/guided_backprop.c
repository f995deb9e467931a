/* Guided backpropagation (Springenberg 2015): the gradient, except that a ReLU lets nothing negative back. It looks sharp
 * because it half reconstructs the image (Nie 2018) and hardly depends on the upper layers' weights (Adebayo 2018): here for
 * comparison. */
#include <stdlib.h>

#include "base/mem.h"
#include "explain/gradients.h"

static const why_param params[] = {WHY_CHANNELS_PARAM("sum"), {0}};

static why_status explain(const why_request *r, why_explanation *out) {
    const float *g;
    int channels;
    double *v;
    WHY_TRY(why_input_gradient(r, WHY_RULE_GUIDED, NULL, &g, &channels));
    size_t n = (size_t)channels * (size_t)out->h * (size_t)out->w;
    WHY_TRY(why_alloc(n, sizeof *v, "gradient", &v));
    for (size_t i = 0; i < n; i++) v[i] = g[i];
    why_fold_channels(r->params, v, channels, out);
    out->evaluations = 1;
    free(v);
    return WHY_OK;
}

const why_explainer why_explainer_guided_backprop = {
    .name = "guided_backprop",
    .help = "gradient that drops negative parts at every ReLU",
    .source = "Springenberg 2015; captum GuidedBackprop",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_one_evaluation,
    .explain = explain,
};
