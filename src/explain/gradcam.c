/* Grad-CAM (Selvaraju 2017, Eq. 1 and 2): alpha_k = mean over positions of dy_c/dA_k; map = ReLU(sum over k of alpha_k A_k),
 * enlarged bilinearly to the image. The map keeps its scale: whoever compares or draws it normalises. */
#include "explain/explainer.h"

#include <stdlib.h>

#include "base/mem.h"

static const why_param params[] = {
    {"layer", WHY_PARAM_TEXT, "last_conv", 0, 0, NULL,
     "a feature map by node or tensor name; last_conv: the last one before the classifier head"},
    {"relu", WHY_PARAM_BOOL, "true", 0, 0, NULL, "keep only what speaks for the class"},
    {0},
};

/* low: h*w of the feature map. Sums run in double over a fixed order. */
static why_status weigh_channels(const float *a, const float *g, int64_t channels, size_t positions, bool relu, float *low) {
    double *sum;
    WHY_TRY(why_alloc(positions, sizeof *sum, "class activation map", &sum));
    for (int64_t k = 0; k < channels; k++, a += positions, g += positions) {
        double alpha = 0;
        for (size_t i = 0; i < positions; i++) alpha += g[i];
        alpha /= (double)positions;
        for (size_t i = 0; i < positions; i++) sum[i] += alpha * a[i];
    }
    for (size_t i = 0; i < positions; i++) low[i] = (float)(relu && sum[i] < 0 ? 0 : sum[i]);
    free(sum);
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) {
    WHY_TRY(why_request_check_class(r));
    const char *layer = why_params_text(r->params, "layer");
    why_tensor_view act, grad;
    WHY_TRY(
        why_evaluator_gradient(why_subject_evaluator(r->subject), layer, NULL, 1, r->class_index, r->output, WHY_RULE_PLAIN, &act, &grad));
    const int64_t *d = act.shape.dim;
    if (act.shape.rank != 4) return why_fail(WHY_EARG, "layer '%s': its output is a vector, Grad-CAM wants a feature map", layer);
    float *low;
    WHY_TRY(why_alloc((size_t)(d[2] * d[3]), sizeof *low, "class activation map", &low));
    why_status st = weigh_channels(act.data, grad.data, d[1], (size_t)(d[2] * d[3]), why_params_bool(r->params, "relu"), low);
    if (!st) why_map_resize(low, (int)d[2], (int)d[3], out->map, out->h, out->w);
    free(low);
    out->evaluations = 1;
    out->note = why_explanation_zero_note(out);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)p, (void)h, (void)w, (void)segments;
    return 1;
}

const why_explainer why_explainer_gradcam = {
    .name = "gradcam",
    .help = "feature maps of one layer, weighted by their mean gradient",
    .source = "Selvaraju 2017",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
