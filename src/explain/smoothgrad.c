/* SmoothGrad (Smilkov 2017): the mean of the gradient over noisy copies of the normalised image, x + N(0, sigma^2), sigma a
 * share of the image's range. captum's NoiseTunnel defaults (5 draws, sigma 1) are not the paper's; these are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/npy.h"
#include "explain/gradients.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "50", 1, 100000, NULL, "noisy copies"},
    {"sigma", WHY_PARAM_REAL, "0.15", 0, 10, NULL, "standard deviation of the noise, as a share of the normalised image's range"},
    {"noise", WHY_PARAM_TEXT, "", 0, 0, NULL,
     ".npy of the noise itself, samples x channels x rows x columns, added as it is: replays another program's draws"},
    WHY_CHANNELS_PARAM("sum"),
    {0},
};

struct state {
    const why_request *r;
    why_evaluator *ev;
    const why_preprocess *pre;
    int samples, batch, channels, h, w;
    size_t n;              /* pixels */
    double sigma;          /* in units of the normalised image */
    float *given;          /* noise of a file, or NULL */
    float *clean, *rgb;    /* 3*n: the image; batch*3*n: its noisy copies */
    double *sum;           /* channels*n: of gradients */
    double *map, *squares; /* n: sums of each copy's signed map and of its square */
};

/* max - min of the normalised image. */
static why_status range_of(const struct state *s, double *range) {
    size_t size = (size_t)s->channels * s->n;
    float *x, lo, hi;
    WHY_TRY(why_alloc(size, sizeof *x, "normalised image", &x));
    why_normalise(s->pre, s->clean, s->h, s->w, s->channels, x);
    lo = hi = x[0];
    for (size_t i = 1; i < size; i++) lo = fminf(lo, x[i]), hi = fmaxf(hi, x[i]);
    free(x);
    *range = (double)hi - lo;
    return WHY_OK;
}

/* Noise of one plane's pixel on the picture's scale. A model of one channel gets it through all three colours alike: luma
 * weights add up to one. */
static void add_noise(const struct state *s, float *rgb, int plane, size_t pixel, double noise) {
    float step = (float)(noise * s->pre->std[plane] * s->pre->divisor), *at = rgb + 3 * pixel;
    if (s->channels == 3) at[s->pre->bgr ? 2 - plane : plane] += step;
    else at[0] += step, at[1] += step, at[2] += step;
}

static void make_noisy(const struct state *s, int sample, float *rgb) {
    const float *given = s->given ? s->given + (size_t)sample * (size_t)s->channels * s->n : NULL;
    why_rng g = why_rng_at(s->r->stream, (uint64_t)sample);
    memcpy(rgb, s->clean, 3 * s->n * sizeof *rgb);
    for (int c = 0; c < s->channels; c++)
        for (size_t i = 0; i < s->n; i++) add_noise(s, rgb, c, i, given ? *given++ : s->sigma * why_rng_normal(&g));
}

static void add_gradient(struct state *s, const float *g) {
    for (size_t i = 0; i < s->n; i++) {
        double map = 0;
        for (size_t c = 0; c < (size_t)s->channels; c++) {
            s->sum[c * s->n + i] += g[c * s->n + i];
            map += g[c * s->n + i];
        }
        s->map[i] += map;
        s->squares[i] += map * map;
    }
}

static why_status run(struct state *s) {
    why_perturbation p[WHY_GRADIENT_BATCH];
    why_tensor_view g;
    for (int at = 0; at < s->samples; at += s->batch) {
        int now = s->samples - at < s->batch ? s->samples - at : s->batch;
        for (int i = 0; i < now; i++) {
            p[i] = (why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = s->rgb + (size_t)i * 3 * s->n};
            make_noisy(s, at + i, s->rgb + (size_t)i * 3 * s->n);
        }
        WHY_TRY(why_evaluator_gradient(s->ev, "input", p, now, s->r->class_index, s->r->output, WHY_RULE_PLAIN, NULL, &g));
        for (int i = 0; i < now; i++) add_gradient(s, g.data + (size_t)i * (size_t)s->channels * s->n);
    }
    return WHY_OK;
}

/* The largest standard error of a pixel's mean over the range of the map. Of signed sums only: a magnitude of a mean has no
 * such simple one. */
static double standard_error(const struct state *s, const why_explanation *e) {
    if (s->samples < 2 || strcmp(why_params_text(s->r->params, "channels"), "sum") != 0) return NAN;
    double worst = 0, lo = e->map[0], hi = e->map[0], count = s->samples;
    for (size_t i = 0; i < s->n; i++) {
        double mean = s->map[i] / count, variance = fmax(0, s->squares[i] / count - mean * mean) * count / (count - 1);
        worst = fmax(worst, sqrt(variance / count));
        lo = fmin(lo, e->map[i]);
        hi = fmax(hi, e->map[i]);
    }
    return hi > lo ? worst / (hi - lo) : NAN;
}

static why_status read_noise(struct state *s, const char *path) {
    why_shape shape;
    WHY_TRY(why_npy_load_f32(path, &shape, &s->given));
    const int64_t *d = shape.dim;
    if (shape.rank == 4 && d[0] >= s->samples && d[1] == s->channels && d[2] == s->h && d[3] == s->w) return WHY_OK;
    return why_fail(WHY_EARG, "noise '%s': want at least %d x %d x %d x %d values", path, s->samples, s->channels, s->h, s->w);
}

static why_status prepare(struct state *s) {
    const why_image *im = why_subject_image(s->r->subject);
    const char *path = why_params_text(s->r->params, "noise");
    WHY_TRY(why_alloc(3 * s->n, sizeof *s->clean, "image", &s->clean));
    WHY_TRY(why_alloc((size_t)s->batch * 3 * s->n, sizeof *s->rgb, "noisy images", &s->rgb));
    WHY_TRY(why_alloc((size_t)s->channels * s->n, sizeof *s->sum, "mean gradient", &s->sum));
    WHY_TRY(why_alloc(s->n, sizeof *s->map, "map", &s->map));
    WHY_TRY(why_alloc(s->n, sizeof *s->squares, "map", &s->squares));
    for (size_t i = 0; i < 3 * s->n; i++) s->clean[i] = im->rgb[i];
    WHY_TRY(range_of(s, &s->sigma));
    s->sigma *= why_params_real(s->r->params, "sigma");
    return *path ? read_noise(s, path) : WHY_OK;
}

static void clear(struct state *s) {
    free(s->given);
    free(s->clean);
    free(s->rgb);
    free(s->sum);
    free(s->map);
    free(s->squares);
}

static why_status explain(const why_request *r, why_explanation *out) {
    WHY_TRY(why_request_check_class(r));
    why_evaluator *ev = why_subject_evaluator(r->subject);
    struct state s = {.r = r, .ev = ev, .pre = why_evaluator_preprocess(ev), .h = out->h, .w = out->w};
    s.samples = (int)why_params_int(r->params, "samples");
    s.batch = why_gradient_batch(ev);
    s.channels = why_model_get_info(why_evaluator_model(ev))->channels;
    s.n = (size_t)out->h * (size_t)out->w;
    why_status st = prepare(&s);
    if (!st) st = run(&s);
    if (!st) {
        for (size_t i = 0; i < (size_t)s.channels * s.n; i++) s.sum[i] /= s.samples;
        why_fold_channels(r->params, s.sum, s.channels, out);
        out->se_range = standard_error(&s, out);
        out->evaluations = s.samples;
    }
    clear(&s);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_params_int(p, "samples");
}

const why_explainer why_explainer_smoothgrad = {
    .name = "smoothgrad",
    .help = "mean gradient over noisy copies of the image",
    .source = "Smilkov 2017; captum NoiseTunnel of Saliency",
    .flags = WHY_USES_GRADIENT | WHY_STOCHASTIC,
    .output = WHY_LOGIT,
    .budget = "samples",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
