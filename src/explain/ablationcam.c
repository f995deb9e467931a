/* Ablation-CAM (Desai 2020, Eq. 3): a channel's weight is what the score loses when the channel is set to zero, y - y_k.
 * The paper divides by y. That changes only the scale, except for y < 0, where it would turn the map upside down, so it is
 * not done. pytorch-grad-cam sets channels of layers with negative values not to zero but to min - 1e7, and lower still
 * with each channel of a batch; here, as in the paper, zero is zero. */
#include <stdlib.h>

#include "base/mem.h"
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

/* The picture's own score. */
static why_status score(const why_cam_view *v, int outputs, float *logits, double *y) {
    why_evaluator *ev = why_subject_evaluator(v->request->subject);
    const why_perturbation whole = {.kind = WHY_WHOLE_IMAGE, .u.rgb = v->rgb};
    WHY_TRY(why_evaluator_run(ev, v->picture ? v->picture : &whole, 1, logits));
    *y = why_score(logits, outputs, v->request->class_index, v->request->output);
    return WHY_OK;
}

static why_status drops(const why_cam_view *v, int outputs, float *logits, double *weight) {
    double y;
    WHY_TRY(score(v, outputs, logits, &y));
    WHY_TRY(why_evaluator_ablate(why_subject_evaluator(v->request->subject), v->layer, v->picture, logits));
    for (size_t k = 0; k < v->channels; k++)
        weight[k] = y - why_score(logits + k * (size_t)outputs, outputs, v->request->class_index, v->request->output);
    return WHY_OK;
}

static why_status weigh(const why_cam_view *v, double *x) {
    const int outputs = why_model_get_info(why_evaluator_model(why_subject_evaluator(v->request->subject)))->outputs;
    float *logits;
    double *weight = NULL;
    WHY_TRY(why_alloc(v->channels * (size_t)outputs, sizeof *logits, "scores of the channels", &logits));
    why_status st = why_alloc(v->channels, sizeof *weight, "weights of the channels", &weight);
    if (!st) st = drops(v, outputs, logits, weight);
    if (!st) why_cam_weigh(v, weight, x);
    free(logits);
    free(weight);
    return st;
}

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

/* Per feature map: its gradient pass, the whole picture and every channel. */
static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_cam_views(p) * (2 + WHY_CAM_USUAL_CHANNELS);
}

const why_explainer why_explainer_ablationcam = {
    .name = "ablationcam",
    .help = "feature maps weighted by what the score loses without each",
    .source = "Desai 2020; pytorch-grad-cam AblationCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
