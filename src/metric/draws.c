/* Does what a map gives to a part of the image predict what the model loses with it? Random parts, or noise, many times. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/correlation.h"
#include "metric/metrics.h"
#include "metric/order.h"
#include "metric/probe.h"

enum { BATCH = 64 }; /* perturbations in memory at once */

/* ---------------------------------------------------------------- parts of a grid (Bhatt et al. 2020; Fel et al. 2021) */
/* Random sets of cells, all of one size. Of each draw: the attribution of the cells that go, and the drop of the score. */
struct parts {
    int rows, cols, chosen, draws, h, w;
    float *mass;     /* of each cell: sum of the map */
    int32_t *cells;  /* shuffled: the first `chosen` go */
    uint64_t *sets;  /* BATCH pixel sets */
    double *y;       /* BATCH scores */
    float *attribution, *drop; /* per draw */
};

static void parts_clear(struct parts *g) {
    free(g->mass);
    free(g->cells);
    free(g->sets);
    free(g->y);
    free(g->attribution);
    free(g->drop);
}

/* `side` cells a side, or as many as there are pixels (0: one each). */
static int cells_of(int64_t side, int pixels) { return side == 0 || side > pixels ? pixels : (int)side; }

static int cell_at(const struct parts *g, int y, int x) {
    return (int)((int64_t)y * g->rows / g->h) * g->cols + (int)((int64_t)x * g->cols / g->w);
}

static void sum_cells(struct parts *g, const float *map) {
    for (int y = 0; y < g->h; y++)
        for (int x = 0; x < g->w; x++) g->mass[cell_at(g, y, x)] += map[y * g->w + x];
}

static why_status parts_make(const why_explanation *e, const why_params *p, struct parts *g) {
    const int64_t side = why_params_int(p, "cells");
    *g = (struct parts){.rows = cells_of(side, e->h), .cols = cells_of(side, e->w), .h = e->h, .w = e->w};
    g->draws = (int)why_params_int(p, "draws");
    const int n = g->rows * g->cols;
    const size_t words = ((size_t)e->h * (size_t)e->w + 63) / 64;
    g->chosen = why_count_of_share(why_params_real(p, "share"), n);
    WHY_TRY(why_alloc((size_t)n, sizeof *g->mass, "cells", &g->mass));
    WHY_TRY(why_alloc((size_t)n, sizeof *g->cells, "cells", &g->cells));
    WHY_TRY(why_alloc(words * BATCH, sizeof *g->sets, "pixel sets", &g->sets));
    WHY_TRY(why_alloc(BATCH, sizeof *g->y, "scores", &g->y));
    WHY_TRY(why_alloc((size_t)g->draws, sizeof *g->attribution, "draws", &g->attribution));
    WHY_TRY(why_alloc((size_t)g->draws, sizeof *g->drop, "draws", &g->drop));
    sum_cells(g, e->map);
    return WHY_OK;
}

/* The cells of a draw to the front: the first steps of a Fisher-Yates shuffle of 0, 1, ... */
static void choose(struct parts *g, why_stream stream, int draw) {
    const int n = g->rows * g->cols;
    why_rng r = why_rng_at(stream, 1 + (uint64_t)draw); /* 0 breaks ties of curves */
    for (int i = 0; i < n; i++) g->cells[i] = i;
    for (int i = 0; i < g->chosen; i++) {
        const int other = i + (int)why_rng_below(&r, (uint32_t)(n - i)), cell = g->cells[other];
        g->cells[other] = g->cells[i];
        g->cells[i] = cell;
    }
}

/* The pixels that a draw leaves, and the attribution of those that go. */
static double mark(struct parts *g, bool *gone, uint64_t *set) {
    double attribution = 0;
    memset(gone, 0, (size_t)g->rows * (size_t)g->cols);
    for (int i = 0; i < g->chosen; i++) {
        gone[g->cells[i]] = true;
        attribution += (double)g->mass[g->cells[i]];
    }
    for (int i = 0; i < g->h * g->w; i++)
        if (!gone[cell_at(g, i / g->w, i % g->w)]) set[i / 64] |= UINT64_C(1) << i % 64;
    return attribution;
}

static why_status run_parts(why_score_input *in, const why_fill *fill, double whole, bool *gone, struct parts *g) {
    const size_t words = ((size_t)g->h * (size_t)g->w + 63) / 64;
    why_perturbation p[BATCH];
    for (int first = 0; first < g->draws; first += BATCH) {
        const int n = g->draws - first < BATCH ? g->draws - first : BATCH;
        memset(g->sets, 0, words * BATCH * sizeof *g->sets);
        for (int i = 0; i < n; i++) {
            choose(g, in->stream, first + i);
            g->attribution[first + i] = (float)mark(g, gone, g->sets + (size_t)i * words);
            p[i] = (why_perturbation){.kind = WHY_SHOW_PIXELS, .fill = fill, .u.pixels = g->sets + (size_t)i * words};
        }
        WHY_TRY(why_probe_run(in, p, n, g->y, NULL));
        for (int i = 0; i < n; i++) g->drop[first + i] = (float)(whole - g->y[i]);
    }
    return WHY_OK;
}

static bool all_finite(const float *v, int n) {
    for (int i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

static why_status correlate(const struct parts *g, bool ranks, why_value *out) {
    if (!all_finite(g->drop, g->draws)) return why_give_reason(out, why_not_finite);
    if (why_is_constant(g->attribution, g->draws)) return why_give_reason(out, "all parts have the same attribution");
    if (why_is_constant(g->drop, g->draws)) return why_give_reason(out, "all parts have the same effect");
    if (ranks) return why_spearman_of(g->attribution, g->drop, g->draws, out);
    *out = why_pearson_of(g->attribution, g->drop, g->draws);
    return WHY_OK;
}

static why_status correlation_of_parts(why_score_input *in, const why_metric *metric, const why_params *p, bool ranks, why_value *out) {
    struct parts g = {0};
    const why_fill *fill;
    double whole;
    bool *gone = NULL;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_fill(in, metric->fill, &fill));
    WHY_TRY(why_probe_whole(in, &whole));
    why_status st = parts_make(in->explanation, p, &g);
    if (!st) st = why_alloc((size_t)g.rows * (size_t)g.cols, sizeof *gone, "cells", &gone);
    if (!st) st = run_parts(in, fill, whole, gone, &g);
    if (!st) st = correlate(&g, ranks, out);
    free(gone);
    parts_clear(&g);
    return st;
}

static why_status faithfulness_correlation(why_score_input *in, const why_params *p, why_value *out) {
    return correlation_of_parts(in, &why_metric_faithfulness_correlation, p, false, out);
}

static why_status mu_fidelity(why_score_input *in, const why_params *p, why_value *out) {
    return correlation_of_parts(in, &why_metric_mu_fidelity, p, true, out);
}

/* ---------------------------------------------------------------- infidelity (Yeh et al. 2019) */
/* One number of noise per pixel, the same in every channel of the normalised image, so that a map that is summed over the
 * channels predicts the change exactly where the model is linear. */
struct noise {
    int pixels, draws;
    double sigma;
    float *rgb;                /* PICTURES of them */
    double *y;                 /* their scores */
    double *predicted, *change; /* per draw: I^T map, f(x) - f(x - I) */
};

enum { PICTURES = 8 }; /* in memory at once */

static void noise_clear(struct noise *z) {
    free(z->rgb);
    free(z->y);
    free(z->predicted);
    free(z->change);
}

static float deviation(const why_preprocess *pre, int c) { return pre->std[pre->bgr ? 2 - c : c] * pre->divisor; }

/* Largest minus smallest value of the normalised image. */
static double range_of(const why_image *im, const why_preprocess *pre) {
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < im->h * im->w; i++)
        for (int c = 0; c < 3; c++) {
            const double v = ((double)im->rgb[3 * i + c] / (double)pre->divisor - (double)pre->mean[pre->bgr ? 2 - c : c]) /
                             (double)pre->std[pre->bgr ? 2 - c : c];
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
    return hi - lo;
}

static why_status noise_make(const why_score_input *in, const why_params *p, struct noise *z) {
    const why_image *im = why_subject_image(in->subject);
    const why_preprocess *pre = why_evaluator_preprocess(why_subject_evaluator(in->subject));
    *z = (struct noise){.pixels = im->h * im->w, .draws = (int)why_params_int(p, "draws")};
    z->sigma = why_params_real(p, "sigma") * range_of(im, pre);
    WHY_TRY(why_alloc((size_t)z->pixels * 3 * PICTURES, sizeof *z->rgb, "noisy pictures", &z->rgb));
    WHY_TRY(why_alloc(PICTURES, sizeof *z->y, "scores", &z->y));
    WHY_TRY(why_alloc((size_t)z->draws, sizeof *z->predicted, "draws", &z->predicted));
    return why_alloc((size_t)z->draws, sizeof *z->change, "draws", &z->change);
}

/* x - I as colours, and I^T map. */
static double draw_noise(const why_score_input *in, const struct noise *z, int draw, float *rgb) {
    const why_image *im = why_subject_image(in->subject);
    const why_preprocess *pre = why_evaluator_preprocess(why_subject_evaluator(in->subject));
    why_rng r = why_rng_at(in->stream, 1 + (uint64_t)draw);
    double predicted = 0;
    for (int i = 0; i < z->pixels; i++) {
        const double noise = z->sigma * why_rng_normal(&r);
        predicted += noise * (double)in->explanation->map[i];
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = (float)((double)im->rgb[3 * i + c] - noise * (double)deviation(pre, c));
    }
    return predicted;
}

static why_status run_noise(why_score_input *in, double whole, struct noise *z) {
    why_perturbation p[PICTURES];
    for (int first = 0; first < z->draws; first += PICTURES) {
        const int n = z->draws - first < PICTURES ? z->draws - first : PICTURES;
        for (int i = 0; i < n; i++) {
            float *rgb = z->rgb + (size_t)i * 3 * (size_t)z->pixels;
            z->predicted[first + i] = draw_noise(in, z, first + i, rgb);
            p[i] = (why_perturbation){.kind = WHY_WHOLE_IMAGE, .u.rgb = rgb};
        }
        WHY_TRY(why_probe_run(in, p, n, z->y, NULL));
        for (int i = 0; i < n; i++) z->change[first + i] = whole - z->y[i];
    }
    return WHY_OK;
}

/* min over b >= 0 of E (b I^T map - change)^2, as a share of E change^2: the best scale b is E(I^T map change) / E(I^T map)^2. A
 * map that points the wrong way has b = 0: all is unexplained. */
static why_status share_unexplained(const struct noise *z, why_value *out) {
    double pp = 0, pc = 0, cc = 0;
    for (int i = 0; i < z->draws; i++) {
        pp += z->predicted[i] * z->predicted[i];
        pc += z->predicted[i] * z->change[i];
        cc += z->change[i] * z->change[i];
    }
    if (!isfinite(cc)) return why_give_reason(out, why_not_finite);
    if (pp <= 0) return why_give_reason(out, "all-zero map");
    if (cc <= 0) return why_give_reason(out, "noise does not change the score");
    const double explained = pc > 0 ? pc / pp * (pc / cc) : 0;
    return why_give(out, explained < 1 ? 1 - explained : 0);
}

static why_status infidelity(why_score_input *in, const why_params *p, why_value *out) {
    struct noise z = {0};
    double whole;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_whole(in, &whole));
    why_status st = noise_make(in, p, &z);
    if (!st) st = run_noise(in, whole, &z);
    if (!st) st = share_unexplained(&z, out);
    noise_clear(&z);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w) {
    (void)h, (void)w;
    return why_params_int(p, "draws");
}

/* ---------------------------------------------------------------- completeness */
/* Sum of the attributions: one per segment where the map is constant on segments, else one per pixel. */
static why_status sum_attributions(const why_explanation *e, double *sum) {
    bool *seen = NULL;
    *sum = 0;
    if (e->segments) WHY_TRY(why_alloc((size_t)e->segments->n, sizeof *seen, "segments", &seen));
    for (int i = 0; i < e->h * e->w; i++) {
        if (seen && seen[e->segments->label[i]]) continue;
        if (seen) seen[e->segments->label[i]] = true;
        *sum += (double)e->map[i];
    }
    free(seen);
    return WHY_OK;
}

/* |Sum map - (f(x) - f(fill))| / |f(x) - f(fill)|, in the output that the method explains. */
static why_status completeness(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    why_perturbation hidden = {.kind = WHY_SHOW_BOXES}; /* no box: nothing is shown */
    double whole, nothing, sum;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_fill(in, why_metric_completeness.fill, &hidden.fill));
    WHY_TRY(why_probe_whole(in, &whole));
    WHY_TRY(why_probe_run(in, &hidden, 1, &nothing, NULL));
    WHY_TRY(sum_attributions(in->explanation, &sum));
    const double change = whole - nothing;
    if (!isfinite(change)) return why_give_reason(out, why_not_finite);
    if (fabs(change) < WHY_LEAST_SCORE) return why_give_reason(out, "the image and the fill differ by less than 1e-4");
    return why_give(out, fabs(sum - change) / fabs(change));
}

static int64_t one_evaluation(const why_params *p, int h, int w) {
    (void)p, (void)h, (void)w;
    return 1;
}

/* ---------------------------------------------------------------- table lines */
static const why_param correlation_params[] = {
    {"cells", WHY_PARAM_INT, "14", 0, 4096, NULL, "cells a side of the grid whose cells are drawn; 0: pixels"},
    {"share", WHY_PARAM_REAL, "0.2", 1e-6, 1, NULL, "share of the cells that go in each draw"},
    {"draws", WHY_PARAM_INT, "100", 2, 1000000, NULL, "random sets"},
    {0},
};

static const why_param fidelity_params[] = {
    {"cells", WHY_PARAM_INT, "9", 0, 4096, NULL, "cells a side of the grid whose cells are drawn; 0: pixels"},
    {"share", WHY_PARAM_REAL, "0.2", 1e-6, 1, NULL, "share of the cells that go in each draw"},
    {"draws", WHY_PARAM_INT, "200", 2, 1000000, NULL, "random sets"},
    {0},
};

static const why_param infidelity_params[] = {
    {"sigma", WHY_PARAM_REAL, "0.2", 1e-6, 100, NULL, "standard deviation of the noise, as a share of the normalised image's range"},
    {"draws", WHY_PARAM_INT, "50", 2, 1000000, NULL, "noisy images"},
    {0},
};

const why_metric why_metric_faithfulness_correlation = {
    .name = "faithfulness_correlation",
    .help = "Pearson correlation, over random parts, of a part's attribution and the drop of the score without it",
    .source = "Bhatt et al. 2020",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL,
    .lo = -1,
    .hi = 1,
    .params = correlation_params,
    .fill = "mean",
    .score = faithfulness_correlation,
    .evaluations = evaluations,
};

const why_metric why_metric_mu_fidelity = {
    .name = "mu_fidelity",
    .help = "the same, by ranks and on a coarser grid",
    .source = "Fel et al. 2021",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL,
    .lo = -1,
    .hi = 1,
    .params = fidelity_params,
    .fill = "zero",
    .score = mu_fidelity,
    .evaluations = evaluations,
};

const why_metric why_metric_infidelity = {
    .name = "infidelity",
    .help = "share of the change of the score under noise that the map, scaled best by a factor that is not negative, does not predict",
    .source = "Yeh et al. 2019, normalised",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .lo = 0,
    .hi = 1,
    .params = infidelity_params,
    .score = infidelity,
    .evaluations = evaluations,
};

const why_metric why_metric_completeness = {
    .name = "completeness",
    .help = "how far the sum of the map is from f(image) - f(fill), relative, in the output that the method explains",
    .source = "Sundararajan et al. 2017",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .flags = WHY_METRIC_FILL | WHY_METRIC_OWN_OUTPUT,
    .fill = "zero",
    .score = completeness,
    .evaluations = one_evaluation,
};
