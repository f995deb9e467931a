/* Guided backpropagation (Springenberg 2015): the gradient, except that a ReLU lets nothing negative back. It looks sharp
 * because it half reconstructs the image (Nie 2018) and hardly depends on the upper layers' weights (Adebayo 2018): here for
 * comparison. */
#include "explain/gradients.h"

static const why_param params[] = {WHY_CHANNELS_PARAM("sum"), {0}};

static why_status explain(const why_request *r, why_explanation *out) { return why_gradient_explain(r, WHY_RULE_GUIDED, false, out); }

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
