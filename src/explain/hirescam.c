/* HiResCAM (Draelos 2020): sum over k of dy_c/dA_k * A_k, position by position. Before a single linear layer this is each
 * position's exact share of the score. */
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

static why_status weigh(const why_cam_view *v, double *x) {
    for (size_t i = 0; i < v->channels * v->positions; i++) x[i] = (double)v->grad[i] * v->act[i];
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

const why_explainer why_explainer_hirescam = {
    .name = "hirescam",
    .help = "gradient times activation, position by position",
    .source = "Draelos 2020; pytorch-grad-cam HiResCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = why_cam_evaluations,
    .explain = explain,
};
