/* LIME for images (Ribeiro 2016, as lime 0.2): switch segments on and off at random, ask the model, and fit a weighted
 * ridge regression of the score on the on/off bits; a segment's value is its coefficient.
 *
 * Mask 0 shows everything, the others draw every bit with probability 1/2. A mask's distance is the cosine distance to
 * mask 0, 1 - sqrt(on/K), and its weight sqrt(exp(-distance^2 / width^2)). */
#include "explain/explainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/npy.h"
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

/* n masks of k bits, `words` words each. */
struct masks {
    int n, k;
    size_t words;
    uint64_t *bits;
};

static uint64_t *row_of(const struct masks *m, int i) { return m->bits + (size_t)i * m->words; }
static void set_bit(uint64_t *row, int k) { row[k / 64] |= (uint64_t)1 << k % 64; }
static bool get_bit(const uint64_t *row, int k) { return row[k / 64] >> k % 64 & 1; }

static why_status masks_create(int n, int k, struct masks *m) {
    *m = (struct masks){.n = n, .k = k, .words = ((size_t)k + 63) / 64};
    return why_alloc((size_t)n * m->words, sizeof *m->bits, "masks", &m->bits);
}

/* ---------------------------------------------------------------- masks */
static void draw_masks(why_stream stream, struct masks *m) {
    for (int k = 0; k < m->k; k++) set_bit(row_of(m, 0), k);
    for (int i = 1; i < m->n; i++) {
        why_rng g = why_rng_at(stream, (uint64_t)i);
        uint32_t bits = 0;
        for (int k = 0; k < m->k; k++, bits >>= 1) {
            if (k % 32 == 0) bits = why_rng_u32(&g);
            if (bits & 1) set_bit(row_of(m, i), k);
        }
    }
}

/* lime draws the segmenter's seed first, then one number per bit, row by row, and overwrites row 0. numpy's
 * randint(0, 2) keeps the lowest bit of each 32-bit output. */
static void draw_reference_masks(uint32_t seed, struct masks *m) {
    why_mt19937 g;
    why_mt19937_seed(&g, seed);
    (void)why_mt19937_below(&g, 1000);
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->k; k++)
            if ((why_mt19937_u32(&g) & 1) || i == 0) set_bit(row_of(m, i), k);
}

static why_status check_mask_file(const why_shape *shape, int k) {
    if (shape->rank != 2) return why_fail(WHY_EFORMAT, "%d dimensions, want 2: masks x segments", shape->rank);
    if (shape->dim[1] != k) return why_fail(WHY_EARG, "%lld columns, there are %d segments", (long long)shape->dim[1], k);
    if (shape->dim[0] < 2) return why_fail(WHY_EARG, "%lld masks, want at least 2", (long long)shape->dim[0]);
    return WHY_OK;
}

static why_status take_mask_values(const int32_t *v, struct masks *m) {
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->k; k++, v++) {
            if (*v != 0 && *v != 1) return why_fail(WHY_EFORMAT, "row %d, column %d: got %d, want 0 or 1", i, k, *v);
            if (i == 0 && *v == 0) return why_fail(WHY_EFORMAT, "row 0 hides segment %d: the first mask shows everything", k);
            if (*v) set_bit(row_of(m, i), k);
        }
    return WHY_OK;
}

/* The file's first `samples` masks, or all of them when it has fewer. */
static why_status read_masks(const char *path, int samples, int k, struct masks *m) {
    why_shape shape;
    int32_t *v;
    WHY_TRY(why_npy_load_i32(path, &shape, &v));
    why_status st = check_mask_file(&shape, k);
    if (!st) st = masks_create(shape.dim[0] < samples ? (int)shape.dim[0] : samples, k, m);
    if (!st) st = take_mask_values(v, m);
    free(v);
    return st ? why_fail_in(st, "masks '%s'", path) : WHY_OK;
}

static why_status make_masks(const why_request *r, int k, struct masks *m) {
    int samples = (int)why_params_int(r->params, "samples");
    const char *file = why_params_text(r->params, "masks");
    if (file[0]) return read_masks(file, samples, k, m);
    WHY_TRY(masks_create(samples, k, m));
    if (why_params_bool(r->params, "reference")) draw_reference_masks((uint32_t)why_params_int(r->params, "reference_seed"), m);
    else draw_masks(r->stream, m);
    return WHY_OK;
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

static void describe(const struct masks *m, const why_segments *segments, const why_fill *fill, why_perturbation *p) {
    for (int i = 0; i < m->n; i++)
        p[i] = (why_perturbation){.kind = WHY_SHOW_SEGMENTS, .fill = fill, .u.segments = {.segments = segments, .on = row_of(m, i)}};
}

/* y: m->n scores of the class. */
static why_status score(const why_request *r, const why_segments *segments, const struct masks *m, double *y) {
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
static double weight_of(const struct masks *m, int i, double width) {
    int on = 0;
    for (size_t j = 0; j < m->words; j++) on += __builtin_popcountll(row_of(m, i)[j]);
    double distance = 1 - sqrt((double)on / m->k); /* 1 for the empty mask, as sklearn has it */
    return sqrt(exp(-distance * distance / (width * width)));
}

static void regression_rows(const struct masks *m, double width, double *x, double *w) {
    for (int i = 0; i < m->n; i++) {
        w[i] = weight_of(m, i, width);
        for (int k = 0; k < m->k; k++) *x++ = get_bit(row_of(m, i), k);
    }
}

static why_status fit(const why_request *r, const struct masks *m, const double *y, double *coef, why_explanation *out) {
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

static why_status explain_masks(const why_request *r, const why_segments *segments, const struct masks *m, why_explanation *out) {
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
    struct masks m = {0};
    WHY_TRY(why_request_check_class(r));
    WHY_TRY(find_segments(r, &segments));
    why_status st = make_masks(r, segments->n, &m);
    if (!st) st = explain_masks(r, segments, &m, out);
    free(m.bits);
    if (st) return st;
    out->segments = segments;
    out->evaluations = m.n;
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
