/* Occlusion (Zeiler and Fergus 2014): a window slides over the picture, and what hiding it costs the class is credited
 * to its pixels; a pixel's value is the mean over the windows that cover it, as in captum. The last windows of a row or
 * column are cut at the border, so that every pixel is covered. */
#include "explain/explainer.h"

#include <stdlib.h>

#include "base/mem.h"

static const why_param params[] = {
    {"window", WHY_PARAM_INT, "16", 1, 4096, NULL, "side of the window in pixels"},
    {"stride", WHY_PARAM_INT, "8", 1, 4096, NULL, "pixels from one window to the next, at most the window"},
    {"fill", WHY_PARAM_TEXT, "mean", 0, 0, NULL, "what the window shows; zero is captum's baseline 0"},
    {0},
};

/* Places of a window along a side: the last one is the first that reaches the border. */
static int places(int side, int window, int stride) { return side <= window ? 1 : (side - window + stride - 1) / stride + 1; }

static int least(int a, int b) { return a < b ? a : b; }

struct sweep {
    const why_request *r;
    int h, w, window, stride, columns, n;
    why_box *boxes; /* n x 4: what stays visible around each window */
    why_perturbation *p;
    float *logits;
    double *sum;
    int *covered; /* h*w */
};

static void sweep_clear(struct sweep *s) {
    free(s->boxes);
    free(s->p);
    free(s->logits);
    free(s->sum);
    free(s->covered);
}

/* One perturbation more than windows: the last one hides nothing. */
static why_status sweep_create(struct sweep *s, int outputs) {
    size_t n = (size_t)s->n + 1, pixels = (size_t)s->h * (size_t)s->w;
    WHY_TRY(why_alloc(4 * n, sizeof *s->boxes, "windows", &s->boxes));
    WHY_TRY(why_alloc(n, sizeof *s->p, "windows", &s->p));
    WHY_TRY(why_alloc(n * (size_t)outputs, sizeof *s->logits, "scores of the windows", &s->logits));
    WHY_TRY(why_alloc(pixels, sizeof *s->sum, "map", &s->sum));
    return why_alloc(pixels, sizeof *s->covered, "map", &s->covered);
}

static why_box window_at(const struct sweep *s, int i) {
    int y = i / s->columns * s->stride, x = i % s->columns * s->stride;
    return (why_box){y, least(y + s->window, s->h), x, least(x + s->window, s->w), 0, 3};
}

/* All but the window: above, below, left and right of it. */
static void around(const struct sweep *s, why_box b, why_box out[4]) {
    out[0] = (why_box){0, b.y0, 0, s->w, 0, 3};
    out[1] = (why_box){b.y1, s->h, 0, s->w, 0, 3};
    out[2] = (why_box){b.y0, b.y1, 0, b.x0, 0, 3};
    out[3] = (why_box){b.y0, b.y1, b.x1, s->w, 0, 3};
}

static void describe(struct sweep *s, const why_fill *fill) {
    for (int i = 0; i <= s->n; i++) {
        why_box *boxes = s->boxes + 4 * (size_t)i;
        if (i < s->n) around(s, window_at(s, i), boxes);
        else boxes[0] = (why_box){0, s->h, 0, s->w, 0, 3};
        s->p[i] = (why_perturbation){.kind = WHY_SHOW_BOXES, .fill = fill, .u.boxes = {.box = boxes, .n = i < s->n ? 4 : 1}};
    }
}

static void credit(struct sweep *s, why_box b, double cost) {
    for (int y = b.y0; y < b.y1; y++)
        for (int x = b.x0; x < b.x1; x++) {
            s->sum[(size_t)y * (size_t)s->w + (size_t)x] += cost;
            s->covered[(size_t)y * (size_t)s->w + (size_t)x]++;
        }
}

static why_status run(struct sweep *s, why_evaluator *ev, int outputs, why_explanation *out) {
    const why_fill *fill;
    WHY_TRY(why_evaluator_fill(ev, why_params_text(s->r->params, "fill"), NULL, &fill));
    describe(s, fill);
    WHY_TRY(why_evaluator_run(ev, s->p, s->n + 1, s->logits));
    double whole = why_score(s->logits + (size_t)s->n * (size_t)outputs, outputs, s->r->class_index, s->r->output);
    for (int i = 0; i < s->n; i++)
        credit(s, window_at(s, i), whole - why_score(s->logits + (size_t)i * (size_t)outputs, outputs, s->r->class_index, s->r->output));
    for (size_t i = 0; i < (size_t)s->h * (size_t)s->w; i++) out->map[i] = (float)(s->sum[i] / s->covered[i]);
    out->evaluations = s->n + 1;
    out->note = why_explanation_zero_note(out);
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) {
    WHY_TRY(why_request_check_class(r));
    why_evaluator *ev = why_subject_evaluator(r->subject);
    int outputs = why_model_get_info(why_evaluator_model(ev))->outputs;
    struct sweep s = {.r = r, .h = out->h, .w = out->w};
    s.window = (int)why_params_int(r->params, "window");
    s.stride = (int)why_params_int(r->params, "stride");
    if (s.stride > s.window)
        return why_fail(WHY_EARG, "occlusion: a stride of %d leaves pixels between windows of %d uncovered", s.stride, s.window);
    s.columns = places(s.w, s.window, s.stride);
    s.n = places(s.h, s.window, s.stride) * s.columns;
    why_status st = sweep_create(&s, outputs);
    if (!st) st = run(&s, ev, outputs, out);
    sweep_clear(&s);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)segments;
    int window = (int)why_params_int(p, "window"), stride = (int)why_params_int(p, "stride");
    return (int64_t)places(h, window, stride) * places(w, window, stride) + 1;
}

const why_explainer why_explainer_occlusion = {
    .name = "occlusion",
    .help = "what hiding a sliding window costs the class, averaged over the windows of a pixel",
    .source = "Zeiler 2014; captum Occlusion",
    .output = WHY_PROBABILITY,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
