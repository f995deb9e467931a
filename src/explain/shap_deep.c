/* Deep SHAP (Lundberg 2017, Section 4.2): DeepLIFT's shares against every picture of a background set, averaged. They add up
 * to y(x) minus the mean of y over the background. */
#include <stddef.h>

#include "explain/deep.h"

static const why_param params[] = {
    {"background", WHY_PARAM_TEXT, "zero+mean+blur(16,16)", 0, 0, NULL, WHY_BACKGROUND_HELP},
    WHY_CHANNELS_PARAM("sum"),
    {0},
};

static why_status explain(const why_request *r, why_explanation *out) {
    why_background b;
    WHY_TRY(why_background_open(r, why_params_text(r->params, "background"), &b));
    why_status st = why_deep_explain(r, &b, out);
    why_background_clear(&b);
    return st;
}

/* Pairs of the image and a reference. */
static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_background_count(why_params_text(p, "background"));
}

const why_explainer why_explainer_shap_deep = {
    .name = "shap_deep",
    .help = "DeepLIFT's shares, averaged over a background set",
    .source = "Lundberg 2017, Section 4.2; shap DeepExplainer with every window of a maximum counted",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
