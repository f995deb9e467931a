/* LayerCAM (Jiang 2021, Eq. 6 and 7): sum over k of ReLU(dy_c/dA_k) * A_k, position by position; meant for early layers too. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static why_status weigh(const why_cam_view *v, double *x) {
    for (size_t i = 0; i < v->channels * v->positions; i++) x[i] = v->grad[i] > 0 ? (double)v->grad[i] * v->act[i] : 0;
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

const why_explainer why_explainer_layercam = {
    .name = "layercam",
    .help = "positive gradient times activation, position by position",
    .source = "Jiang 2021; pytorch-grad-cam LayerCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain,
};
