/* Score-CAM (Wang 2020): each channel, enlarged to the image and brought to [0, 1], masks the image; softmax over the scores
 * of the masked images gives the weights. As pytorch-grad-cam: enlarged with the corners aligned, 1e-8 in the denominator,
 * the mask multiplies the normalised image (so black is the mean colour), and the softmax is over all channels' scores. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "explain/cam.h"

static const why_param params[] = {WHY_CAM_PARAMS, {0}};

/* Masked copies made at a time. */
enum { MASKS = 16 };

struct masked {
    float *mask, *rgb, *logits; /* h*w; MASKS*h*w*3; MASKS*outputs */
    int h, w, outputs;
};

/* Where pixel i of `to` lies among `from` samples when first and last fall on each other (align_corners). */
static void locate(int i, int from, int to, int *below, int *above, float *part) {
    float at = to > 1 ? (float)i * ((float)(from - 1) / (float)(to - 1)) : 0;
    *below = (int)at < from - 1 ? (int)at : from - 1;
    *above = *below < from - 1 ? *below + 1 : *below;
    *part = at - (float)*below;
}

static void enlarge(const float *a, int h, int w, const struct masked *m) {
    for (int y = 0; y < m->h; y++) {
        int y0, y1, x0, x1;
        float v, u;
        locate(y, h, m->h, &y0, &y1, &v);
        for (int x = 0; x < m->w; x++) {
            locate(x, w, m->w, &x0, &x1, &u);
            float top = a[y0 * w + x0] * (1 - u) + a[y0 * w + x1] * u, bottom = a[y1 * w + x0] * (1 - u) + a[y1 * w + x1] * u;
            m->mask[y * m->w + x] = top * (1 - v) + bottom * v;
        }
    }
}

static void to_unit(float *mask, size_t n) {
    float lo = mask[0], hi = mask[0];
    for (size_t i = 1; i < n; i++) lo = fminf(lo, mask[i]), hi = fmaxf(hi, mask[i]);
    for (size_t i = 0; i < n; i++) mask[i] = (mask[i] - lo) / (hi - lo + 1e-8f);
}

static void make_masked(const why_cam_view *v, size_t channel, const struct masked *m, float *rgb) {
    size_t n = (size_t)m->h * (size_t)m->w;
    enlarge(v->act + channel * v->positions, v->h, v->w, m);
    to_unit(m->mask, n);
    for (size_t i = 0; i < 3 * n; i++) rgb[i] = v->zero[i] + m->mask[i / 3] * (v->rgb[i] - v->zero[i]);
}

static why_status score_channels(const why_cam_view *v, const struct masked *m, double *score) {
    size_t size = 3 * (size_t)m->h * (size_t)m->w;
    why_perturbation p[MASKS];
    for (size_t at = 0; at < v->channels; at += MASKS) {
        size_t n = v->channels - at < MASKS ? v->channels - at : MASKS;
        for (size_t i = 0; i < n; i++) {
            make_masked(v, at + i, m, m->rgb + i * size);
            p[i] = (why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = m->rgb + i * size};
        }
        WHY_TRY(why_evaluator_run(why_subject_evaluator(v->request->subject), p, (int)n, m->logits));
        for (size_t i = 0; i < n; i++)
            score[at + i] = why_score(m->logits + i * (size_t)m->outputs, m->outputs, v->request->class_index, v->request->output);
    }
    return WHY_OK;
}

static void softmax(double *v, size_t n) {
    double top = v[0], sum = 0;
    for (size_t i = 1; i < n; i++) top = fmax(top, v[i]);
    for (size_t i = 0; i < n; i++) sum += v[i] = exp(v[i] - top);
    for (size_t i = 0; i < n; i++) v[i] /= sum;
}

static why_status weigh(const why_cam_view *v, double *x) {
    const why_image *im = why_subject_image(v->request->subject);
    struct masked m = {.h = im->h, .w = im->w};
    m.outputs = why_model_get_info(why_evaluator_model(why_subject_evaluator(v->request->subject)))->outputs;
    size_t n = (size_t)im->h * (size_t)im->w;
    double *weight = NULL;
    why_status st = why_alloc(n, sizeof *m.mask, "mask", &m.mask);
    if (!st) st = why_alloc(MASKS * 3 * n, sizeof *m.rgb, "masked images", &m.rgb);
    if (!st) st = why_alloc(MASKS * (size_t)m.outputs, sizeof *m.logits, "scores of the masks", &m.logits);
    if (!st) st = why_alloc(v->channels, sizeof *weight, "weights of the channels", &weight);
    if (!st) st = score_channels(v, &m, weight);
    if (!st) {
        softmax(weight, v->channels);
        why_cam_weigh(v, weight, x);
    }
    free(m.mask);
    free(m.rgb);
    free(m.logits);
    free(weight);
    return st;
}

static why_status explain(const why_request *r, why_explanation *out) { return why_cam_explain(r, weigh, false, out); }

/* Per feature map: its gradient pass and every channel. */
static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_cam_views(p) * (1 + WHY_CAM_USUAL_CHANNELS);
}

const why_explainer why_explainer_scorecam = {
    .name = "scorecam",
    .help = "feature maps weighted by the score of the image seen through each",
    .source = "Wang 2020; pytorch-grad-cam ScoreCAM",
    .flags = WHY_USES_GRADIENT,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
