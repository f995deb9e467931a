/* DeepLIFT (Shrikumar 2017), Rescale rule: each operator hands its change from a baseline on to its inputs in proportion to
 * theirs, so that the shares of all pixels add up to y(x) - y(x0). The rules are the operators' (src/nn/op); they hold for
 * overlapping windows, activations that are read twice, sums and joints, where captum and shap 0.49 lose track. */
#include <stddef.h>

#include "explain/deep.h"

static const why_param params[] = {
    {"baseline", WHY_PARAM_TEXT, "zero", 0, 0, NULL,
     "the picture that the image is compared with, as a fill: zero, mean, blur(kx,ky), ..."},
    WHY_CHANNELS_PARAM("sum"),
    {0},
};

static why_status explain(const why_request *r, why_explanation *out) {
    why_background b;
    const char *text = why_params_text(r->params, "baseline");
    WHY_TRY(why_baseline_check(text));
    WHY_TRY(why_background_open(r, text, &b));
    why_status st = why_deep_explain(r, &b, out);
    why_background_clear(&b);
    return st;
}

const why_explainer why_explainer_deeplift = {
    .name = "deeplift",
    .help = "change from a baseline, credited layer by layer (Rescale rule)",
    .source = "Shrikumar 2017; captum DeepLift",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_one_evaluation,
    .explain = explain,
};
