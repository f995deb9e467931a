/* LIME for images (Ribeiro 2016, as lime 0.2): switch segments on and off at random, ask the model, and fit a weighted
 * ridge regression of the score on the on/off bits; a segment's value is its coefficient.
 *
 * Mask 0 shows everything, the others draw every bit with probability 1/2. A mask's distance is the cosine distance to
 * mask 0, 1 - sqrt(on/K), and its weight sqrt(exp(-distance^2 / width^2)). */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "explain/masks.h"
#include "explain/wls.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "1000", 2, 100000, NULL, "masks, the first one shows everything"},
    {"segmenter", WHY_PARAM_TEXT, "quickshift", 0, 0, NULL, "how the picture is cut, e.g. slic(n_segments=50)"},
    {"fill", WHY_PARAM_TEXT, "segment_mean", 0, 0, NULL, "what hidden segments show; black is lime's hide_color=0"},
    {"width", WHY_PARAM_REAL, "0.25", 1e-3, 1e3, NULL, "width of the distance kernel"},
    {"alpha", WHY_PARAM_REAL, "1", 0, 1e6, NULL, "ridge penalty of the coefficients, not of the intercept"},
    {"selection", WHY_PARAM_CHOICE, "none", 0, 0, "none", "segments that enter the fit: all of them"},
    {"reference", WHY_PARAM_BOOL, "false", 0, 0, NULL, "draw the masks that lime 0.2 draws with random_state = reference_seed"},
    {"reference_seed", WHY_PARAM_INT, "0", 0, 4294967295.0, NULL, "numpy seed of the reference masks"},
    {"segments", WHY_PARAM_TEXT, "", 0, 0, NULL, "H x W labels from an .npy file instead of the segmenter"},
    {"masks", WHY_PARAM_TEXT, "", 0, 0, NULL, "rows of 0/1, one column per segment, from an .npy file instead of draws"},
    {0},
};

/* The random draws, a peer's draws, or a file. */
static why_status make_masks(const why_request *r, int k, why_masks *m) {
    int samples = (int)why_params_int(r->params, "samples");
    const char *file = why_params_text(r->params, "masks");
    if (file[0]) return why_masks_read(file, samples, k, m);
    if (why_params_bool(r->params, "reference"))
        return why_masks_reference((uint32_t)why_params_int(r->params, "reference_seed"), samples, k, m);
    return why_masks_draw(r->stream, samples, k, m);
}

/* ---------------------------------------------------------------- scores */
static why_status find_segments(const why_request *r, const why_segments **out) {
    const char *file = why_params_text(r->params, "segments");
    if (!file[0]) return why_subject_segments(r->subject, why_params_text(r->params, "segmenter"), out);
    why_buf b = {0};
    char *text;
    why_buf_printf(&b, "file(%s)", file);
    WHY_TRY(why_buf_take(&b, &text));
    why_status st = why_subject_segments(r->subject, text, out);
    free(text);
    return st;
}

static void describe(const why_masks *m, const why_segments *segments, const why_fill *fill, why_perturbation *p) {
    for (int i = 0; i < m->n; i++)
        p[i] = (why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {.segments = segments, .on = why_masks_row(m, i)}};
}

/* y: m->n scores of the class. */
static why_status score(const why_request *r, const why_segments *segments, const why_masks *m, double *y) {
    why_evaluator *ev = why_subject_evaluator(r->subject);
    int outputs = why_model_get_info(why_evaluator_model(ev))->outputs;
    const why_fill *fill;
    why_perturbation *p = NULL;
    float *logits = NULL;
    WHY_TRY(why_evaluator_fill(ev, why_params_text(r->params, "fill"), segments, &fill));
    why_status st = why_alloc((size_t)m->n, sizeof *p, "perturbations", &p);
    if (!st) st = why_alloc((size_t)m->n * (size_t)outputs, sizeof *logits, "scores of the masks", &logits);
    if (!st) {
        describe(m, segments, fill, p);
        st = why_evaluator_run(ev, p, m->n, logits);
    }
    for (int i = 0; !st && i < m->n; i++) y[i] = why_score(logits + (size_t)i * (size_t)outputs, outputs, r->class_index, r->output);
    free(p);
    free(logits);
    return st;
}

/* ---------------------------------------------------------------- fit */
static void regression_rows(const why_masks *m, double width, double *x, double *w) {
    for (int i = 0; i < m->n; i++) {
        double distance = why_masks_distance(m, i);
        w[i] = sqrt(exp(-distance * distance / (width * width)));
        for (int k = 0; k < m->k; k++) *x++ = why_masks_bit(m, i, k);
    }
}

static why_status fit(const why_request *r, const why_masks *m, const double *y, double *coef, why_explanation *out) {
    double *x = NULL, *w = NULL;
    why_wls_fit f;
    why_status st = why_alloc((size_t)m->n * (size_t)m->k, sizeof *x, "regression rows", &x);
    if (!st) st = why_alloc((size_t)m->n, sizeof *w, "regression weights", &w);
    if (!st) {
        regression_rows(m, why_params_real(r->params, "width"), x, w);
        st = why_wls_ridge(x, y, w, m->n, m->k, why_params_real(r->params, "alpha"), coef, &f);
    }
    if (!st) out->fit = f.r2;
    free(x);
    free(w);
    return st;
}

static const char *note_of(const why_segments *segments, const why_explanation *e) {
    return segments->n < 5 ? "fewer than 5 segments" : why_explanation_zero_note(e);
}

static why_status explain_masks(const why_request *r, const why_segments *segments, const why_masks *m, why_explanation *out) {
    double *y = NULL, *coef = NULL;
    why_status st = why_alloc((size_t)m->n, sizeof *y, "scores of the masks", &y);
    if (!st) st = why_alloc((size_t)m->k, sizeof *coef, "coefficients", &coef);
    if (!st) st = score(r, segments, m, y);
    if (!st) st = fit(r, m, y, coef, out);
    for (size_t i = 0; !st && i < (size_t)out->h * (size_t)out->w; i++) out->map[i] = (float)coef[segments->label[i]];
    free(y);
    free(coef);
    return st;
}

static why_status explain(const why_request *r, why_explanation *out) {
    const why_segments *segments;
    why_masks m = {0};
    WHY_TRY(why_request_check_class(r));
    WHY_TRY(find_segments(r, &segments));
    why_status st = make_masks(r, segments->n, &m);
    if (!st) st = explain_masks(r, segments, &m, out);
    int n = m.n;
    why_masks_clear(&m);
    if (st) return st;
    out->segments = segments;
    out->evaluations = n;
    out->note = note_of(segments, out);
    return WHY_OK;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_params_int(p, "samples");
}

const why_explainer why_explainer_lime = {
    .name = "lime",
    .help = "weighted ridge regression of the score on segments switched on and off",
    .source = "Ribeiro 2016; lime 0.2",
    .flags = WHY_USES_SEGMENTS | WHY_STOCHASTIC,
    .output = WHY_PROBABILITY,
    .budget = "samples",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
