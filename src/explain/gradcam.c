/* Grad-CAM (Selvaraju 2017, Eq. 1 and 2): alpha_k = mean over positions of dy_c/dA_k; map = ReLU(sum over k of alpha_k A_k),
 * enlarged bilinearly to the image. The map keeps its scale: whoever compares or draws it normalises. Of several layers or
 * copies the normalised maps are averaged, as in pytorch-grad-cam. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static why_status weigh(const why_cam_view *v, double *x) {
    for (size_t k = 0; k < v->channels; k++) {
        const float *a = v->act + k * v->positions, *g = v->grad + k * v->positions;
        double alpha = 0;
        for (size_t i = 0; i < v->positions; i++) alpha += g[i];
        alpha /= (double)v->positions;
        for (size_t i = 0; i < v->positions; i++) x[k * v->positions + i] = alpha * a[i];
    }
    return WHY_OK;
}

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
