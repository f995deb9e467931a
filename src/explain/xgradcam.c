/* XGrad-CAM (Fu 2020, Eq. 10): weight_k = sum over positions of A_kij / sum(A_k) dy_c/dA_kij, the gradient's mean where the
 * channel is active. 1e-7 in the denominator as pytorch-grad-cam. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static double weight_of(const float *a, const float *g, size_t n) {
    double sum = 0, product = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i];
        product += (double)a[i] * g[i];
    }
    return product / (sum + 1e-7);
}

static why_status weigh(const why_cam_view *v, double *x) { return why_cam_weigh_by(v, weight_of, x); }

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

const why_explainer why_explainer_xgradcam = {
    .name = "xgradcam",
    .help = "feature maps weighted by the gradient where they are active",
    .source = "Fu 2020; pytorch-grad-cam XGradCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain,
};
