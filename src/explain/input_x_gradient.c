/* Input times gradient (Shrikumar 2016): x * dy/dx of the normalised image; a first-order guess of what setting a value to
 * zero would take from the score. */
#include "explain/gradients.h"

static const why_param params[] = {WHY_CHANNELS_PARAM("sum"), {0}};

static why_status explain(const why_request *r, why_explanation *out) { return why_gradient_explain(r, WHY_RULE_PLAIN, true, out); }

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
