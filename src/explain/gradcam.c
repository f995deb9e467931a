/* Grad-CAM (Selvaraju 2017, Eq. 1 and 2): alpha_k = mean over positions of dy_c/dA_k; map = ReLU(sum over k of alpha_k A_k),
 * enlarged bilinearly to the image. The map keeps its scale: whoever compares or draws it normalises. Of several layers or
 * copies the normalised maps are averaged, as in pytorch-grad-cam. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static double weight_of(const float *a, const float *g, size_t n) {
    double sum = 0;
    (void)a;
    for (size_t i = 0; i < n; i++) sum += g[i];
    return sum / (double)n;
}

static why_status weigh(const why_cam_view *v, double *x) { return why_cam_weigh_by(v, weight_of, x); }

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

const why_explainer why_explainer_gradcam = {
    .name = "gradcam",
    .help = "feature maps of one layer, weighted by their mean gradient",
    .source = "Selvaraju 2017; pytorch-grad-cam GradCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain,
};
