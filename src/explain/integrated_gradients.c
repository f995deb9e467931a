/* Integrated gradients (Sundararajan 2017, Eq. 1): (x - x0) * integral over a in [0, 1] of dy/dx at x0 + a (x - x0), by
 * Gauss-Legendre quadrature as captum. The shares of all values add up to y(x) - y(x0): what is missing is the residual. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "explain/gradients.h"

static const why_param params[] = {
    {"steps", WHY_PARAM_INT, "50", 1, 1000, NULL, "points of the Gauss-Legendre rule"},
    {"baseline", WHY_PARAM_TEXT, "zero", 0, 0, NULL, "the picture where the path begins, as a fill: zero, black, mean, blur(kx,ky), ..."},
    WHY_CHANNELS_PARAM("sum"),
    {0},
};

/* The Legendre polynomial of degree n at t, and its derivative, by Bonnet's recursion. */
static double legendre(int n, double t, double *slope) {
    double before = 1, p = t;
    for (int k = 2; k <= n; k++) {
        double next = ((2 * k - 1) * t * p - (k - 1) * before) / k;
        before = p;
        p = next;
    }
    *slope = n * (t * p - before) / (t * t - 1);
    return p;
}

/* The k-th of n nodes and its weight on [0, 1]: a root of the polynomial by Newton's method, from the usual first guess. */
static void gauss_legendre(int n, int k, double *node, double *weight) {
    const double pi = 3.14159265358979323846;
    double t = -cos(pi * (k + 0.75) / (n + 0.5)), slope = 1;
    for (int i = 0; i < 100; i++) {
        double step = legendre(n, t, &slope) / slope;
        t -= step;
        if (fabs(step) < 1e-15) break;
    }
    (void)legendre(n, t, &slope);
    *node = (1 + t) / 2;
    *weight = 1 / ((1 - t * t) * slope * slope);
}

struct path {
    const why_request *r;
    why_evaluator *ev;
    const why_fill *baseline;
    int steps, batch, channels;
    size_t n;                 /* pixels */
    float *soft, *from, *to;  /* batch*n; channels*n each: the two ends as the network sees them */
    double *mean;             /* channels*n: weighted sum of gradients */
};

/* Gradients of `now` points from `at` on, added in the order of the points. */
static why_status add_points(struct path *p, int at, int now, why_perturbation *where) {
    double node, weight[WHY_GRADIENT_BATCH];
    why_tensor_view g;
    for (int i = 0; i < now; i++) {
        gauss_legendre(p->steps, at + i, &node, &weight[i]);
        for (size_t j = 0; j < p->n; j++) p->soft[(size_t)i * p->n + j] = (float)node;
        where[i] = (why_perturbation){.kind = WHY_SOFT_MAP, .fill = p->baseline, .u.soft = p->soft + (size_t)i * p->n};
    }
    WHY_TRY(why_evaluator_gradient(p->ev, "input", where, now, p->r->class_index, p->r->output, WHY_RULE_PLAIN, NULL, &g));
    const size_t size = (size_t)p->channels * p->n;
    for (int i = 0; i < now; i++)
        for (size_t j = 0; j < size; j++) p->mean[j] += weight[i] * g.data[(size_t)i * size + j];
    return WHY_OK;
}

static why_status walk(struct path *p) {
    why_perturbation where[WHY_GRADIENT_BATCH];
    for (int at = 0; at < p->steps; at += p->batch)
        WHY_TRY(add_points(p, at, p->steps - at < p->batch ? p->steps - at : p->batch, where));
    return WHY_OK;
}

/* y(x) - y(x0). */
static why_status rise(const struct path *p, double *out) {
    const why_model_info *info = why_model_get_info(why_evaluator_model(p->ev));
    const why_box all = {0, info->height, 0, info->width, 0, 3};
    const why_perturbation ends[2] = {{.kind = WHY_SHOW_BOXES, .fill = p->baseline},
                                      {.kind = WHY_SHOW_BOXES, .fill = p->baseline, .u.boxes = {&all, 1}}};
    float *logits;
    WHY_TRY(why_alloc(2 * (size_t)info->outputs, sizeof *logits, "scores", &logits));
    why_status st = why_evaluator_run(p->ev, ends, 2, logits);
    *out = why_score(logits + info->outputs, info->outputs, p->r->class_index, p->r->output) -
           why_score(logits, info->outputs, p->r->class_index, p->r->output);
    free(logits);
    return st;
}

/* The two ends, normalised. */
static why_status find_ends(const struct path *p) {
    const why_image *im = why_subject_image(p->r->subject);
    const why_preprocess *pre = why_evaluator_preprocess(p->ev);
    float *rgb;
    WHY_TRY(why_alloc(3 * p->n, sizeof *rgb, "image", &rgb));
    for (size_t i = 0; i < 3 * p->n; i++) rgb[i] = im->rgb[i];
    why_normalise(pre, rgb, im->h, im->w, p->channels, p->to);
    why_normalise(pre, p->baseline->rgb, im->h, im->w, p->channels, p->from);
    free(rgb);
    return WHY_OK;
}

static why_status finish(struct path *p, why_explanation *out) {
    double total, sum = 0;
    WHY_TRY(find_ends(p));
    WHY_TRY(rise(p, &total));
    for (size_t i = 0; i < (size_t)p->channels * p->n; i++) sum += p->mean[i] *= (double)p->to[i] - p->from[i];
    why_fold_channels(p->r->params, p->mean, p->channels, out);
    out->residual = total - sum;
    out->evaluations = p->steps + 2;
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) {
    struct path p = {.r = r, .ev = why_subject_evaluator(r->subject), .n = (size_t)out->h * (size_t)out->w};
    WHY_TRY(why_request_check_class(r));
    WHY_TRY(why_evaluator_fill(p.ev, why_params_text(r->params, "baseline"), NULL, &p.baseline));
    p.steps = (int)why_params_int(r->params, "steps");
    p.batch = why_gradient_batch(p.ev);
    p.channels = why_model_get_info(why_evaluator_model(p.ev))->channels;
    size_t size = (size_t)p.channels * p.n;
    why_status st = why_alloc((size_t)p.batch * p.n, sizeof *p.soft, "points of the path", &p.soft);
    if (!st) st = why_alloc(size, sizeof *p.from, "baseline", &p.from);
    if (!st) st = why_alloc(size, sizeof *p.to, "image", &p.to);
    if (!st) st = why_alloc(size, sizeof *p.mean, "mean gradient", &p.mean);
    if (!st) st = walk(&p);
    if (!st) st = finish(&p, out);
    free(p.soft);
    free(p.from);
    free(p.to);
    free(p.mean);
    return st;
}

/* The points and the two ends. */
static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_params_int(p, "steps") + 2;
}

const why_explainer why_explainer_integrated_gradients = {
    .name = "integrated_gradients",
    .help = "gradients along the straight path from a baseline, times the way",
    .source = "Sundararajan 2017; captum IntegratedGradients",
    .flags = WHY_USES_GRADIENT | WHY_BLENDS,
    .output = WHY_LOGIT,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
