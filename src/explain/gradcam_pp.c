/* Grad-CAM++ (Chattopadhay 2018): weight_k = sum over positions of alpha_kij ReLU(dy_c/dA_kij), Eq. 5, with
 * alpha = g^2 / (2 g^2 + g^3 sum(A_k)), Eq. 19, where higher derivatives are powers of the first because y is taken through
 * exp. As pytorch-grad-cam: 1e-6 in the denominator, and alpha = 0 where g = 0. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static double weight_of(const float *a, const float *g, size_t n) {
    double sum = 0, weight = 0;
    for (size_t i = 0; i < n; i++) sum += a[i];
    for (size_t i = 0; i < n; i++) {
        double g1 = g[i], g2 = g1 * g1;
        if (g1 > 0) weight += g1 * g2 / (2 * g2 + sum * g2 * g1 + 1e-6);
    }
    return weight;
}

static why_status weigh(const why_cam_view *v, double *x) { return why_cam_weigh_by(v, weight_of, x); }

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

const why_explainer why_explainer_gradcam_pp = {
    .name = "gradcam++",
    .help = "Grad-CAM with weights that favour few strong positions",
    .source = "Chattopadhay 2018; pytorch-grad-cam GradCAMPlusPlus",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain,
};
