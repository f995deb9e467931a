/* Saliency (Simonyan 2013): the gradient of the score with respect to the normalised image. A pixel gets the sum of its
 * channels' magnitudes, as captum's `abs` and most users have it; Simonyan's own is channels: max_abs, and channels: sum
 * keeps the sign. */
#include "explain/gradients.h"

static const why_param params[] = {WHY_CHANNELS_PARAM("abs_sum"), {0}};

static why_status explain(const why_request *r, why_explanation *out) { return why_gradient_explain(r, WHY_RULE_PLAIN, false, out); }

const why_explainer why_explainer_saliency = {
    .name = "saliency",
    .help = "magnitude of the gradient at every pixel",
    .source = "Simonyan 2013; captum Saliency",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_one_evaluation,
    .explain = explain,
};
