/* Eigen-CAM (Muhammad 2020) and its variant on gradient x activation: the feature map's positions projected on their first
 * principal component (channels centred, as pytorch-grad-cam). Eigen-CAM knows no class: every class gets the same map.
 * The component's sign, arbitrary in the peer, is the one that rises with the channels' sum (pca.h). */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_LAYER, WHY_CAM_RELU, WHY_CAM_AUG, {0}};

static why_status activations(const why_cam_view *v, double *x) {
    for (size_t i = 0; i < v->channels * v->positions; i++) x[i] = v->act[i];
    return WHY_OK;
}

static why_status gradients_too(const why_cam_view *v, double *x) {
    for (size_t i = 0; i < v->channels * v->positions; i++) x[i] = (double)v->grad[i] * v->act[i];
    return WHY_OK;
}

static why_status explain_eigen(const why_request *r, why_explanation *out) { return why_cam_explain(r, activations, true, out); }
static why_status explain_eigengrad(const why_request *r, why_explanation *out) { return why_cam_explain(r, gradients_too, true, out); }

const why_explainer why_explainer_eigencam = {
    .name = "eigencam",
    .help = "first principal component of the feature maps; the same for every class",
    .source = "Muhammad 2020; pytorch-grad-cam EigenCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain_eigen,
};

const why_explainer why_explainer_eigengradcam = {
    .name = "eigengradcam",
    .help = "first principal component of gradient times activation",
    .source = "pytorch-grad-cam EigenGradCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain_eigengrad,
};
