/* Does the model itself depend on what a map marks? Curves: pixels change sides in the map's order, and the score of the class is
 * read on the way. Every forward goes through the evaluator, so what an earlier curve has read costs nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"
#include "metric/probe.h"

static int pixels_per_step(const why_params *p, int w) {
    const int step = (int)why_params_int(p, "step");
    return step > 0 ? step : w;
}

/* ---------------------------------------------------------------- deletion, insertion (Petsiuk et al. 2018), monotonicity */
/* Trapezoids over the share of the pixels. */
static double area_under(const why_walk *w) {
    double area = 0;
    for (int i = 1; i < w->points; i++) area += (double)(w->count[i] - w->count[i - 1]) / w->n * (w->y[i] + w->y[i - 1]) / 2;
    return area;
}

/* Share of the steps at which the score does not rise. */
static double share_not_rising(const why_walk *w) {
    int n = 0;
    for (int i = 1; i < w->points; i++) n += w->y[i] <= w->y[i - 1];
    return (double)n / (w->points - 1);
}

typedef why_status walk_fn(why_score_input *in, const why_fill *fill, why_walk *w);

/* A walk in steps over all pixels, handed over, and a number from it. */
static why_status full_walk(why_score_input *in, const why_metric *metric, const why_params *p, walk_fn *run,
                            double (*number)(const why_walk *w), why_value *out) {
    const why_fill *fill;
    why_walk w = {0};
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_fill(in, metric->fill, &fill));
    why_status st = why_walk_pixels(in, p, &w);
    if (!st) st = why_walk_steps(&w, pixels_per_step(p, in->explanation->w));
    if (!st) st = run(in, fill, &w);
    if (!st) why_walk_hand(in, &w);
    if (!st) *out = why_walk_is_finite(&w) ? why_defined(number(&w)) : why_undefined(why_not_finite);
    why_walk_clear(&w);
    return st;
}

static why_status deletion(why_score_input *in, const why_params *p, why_value *out) {
    return full_walk(in, &why_metric_deletion, p, why_walk_hide, area_under, out);
}

static why_status insertion(why_score_input *in, const why_params *p, why_value *out) {
    return full_walk(in, &why_metric_insertion, p, why_walk_show, area_under, out);
}

static why_status monotonicity(why_score_input *in, const why_params *p, why_value *out) {
    return full_walk(in, &why_metric_monotonicity, p, why_walk_hide, share_not_rising, out);
}

static int64_t steps_evaluations(const why_params *p, int h, int w) { return why_walk_steps_of(h * w, pixels_per_step(p, w)); }

/* ---------------------------------------------------------------- area over the perturbation curve (Samek et al. 2017) */
/* 1 / (L + 1) Sum_k=0..L (f(x_0) - f(x_k)), eq. 12. */
static double mean_drop(const why_walk *w, double y) {
    double sum = 0;
    for (int i = 0; i < w->points; i++) sum += y - w->y[i];
    return sum / w->points;
}

static int blocks(int pixels, int side) { return (pixels + side - 1) / side; }

/* Squares of `side` pixels, smaller ones at the right and the lower edge. */
static void label_squares(int h, int w, int side, int32_t *label) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) label[y * w + x] = y / side * blocks(w, side) + x / side;
}

static int aopc_points(const why_params *p, int h, int w) {
    const int side = (int)why_params_int(p, "side"), all = blocks(h, side) * blocks(w, side), steps = (int)why_params_int(p, "steps");
    return 1 + (steps < all ? steps : all);
}

static why_status walk_squares(why_score_input *in, const why_params *p, const why_fill *fill, why_walk *w) {
    const why_explanation *e = in->explanation;
    const int side = (int)why_params_int(p, "side");
    int32_t *label = NULL;
    WHY_TRY(why_alloc((size_t)e->h * (size_t)e->w, sizeof *label, "squares", &label));
    label_squares(e->h, e->w, side, label);
    why_status st = why_walk_regions(in, p, label, blocks(e->h, side) * blocks(e->w, side), w);
    if (!st) w->points = aopc_points(p, e->h, e->w); /* the first of them */
    if (!st) st = why_walk_hide(in, fill, w);
    free(label);
    return st;
}

static why_status aopc(why_score_input *in, const why_params *p, why_value *out) {
    const why_fill *fill;
    why_walk w = {0};
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_fill(in, why_metric_aopc.fill, &fill));
    why_status st = walk_squares(in, p, fill, &w);
    if (!st) why_walk_hand(in, &w);
    if (!st) *out = why_walk_is_finite(&w) ? why_defined(mean_drop(&w, w.y[0])) : why_undefined(why_not_finite);
    why_walk_clear(&w);
    return st;
}

static int64_t aopc_evaluations(const why_params *p, int h, int w) { return aopc_points(p, h, w); }

/* ---------------------------------------------------------------- a few shares of the pixels */
static const double fractions[] = {0.01, 0.03, 0.05, 0.1, 0.2};
enum { N_FRACTIONS = sizeof fractions / sizeof *fractions };

/* Scores at some shares of the pixels, from either end of the order, and the score of the whole image. */
static why_status walk_shares(why_score_input *in, const why_params *p, const char *fill_text, const double *share, int n, bool back,
                              why_walk *w) {
    const why_fill *fill;
    WHY_TRY(why_probe_fill(in, fill_text, &fill));
    WHY_TRY(why_walk_pixels(in, p, w));
    if (back) why_walk_turn(w);
    WHY_TRY(why_walk_shares(w, share, n));
    return why_walk_hide(in, fill, w);
}

static why_status aopc_fractions(why_score_input *in, const why_params *p, why_value *out) {
    why_walk w = {0};
    double y;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_whole(in, &y));
    const why_status st = walk_shares(in, p, why_metric_aopc_fractions.fill, fractions, N_FRACTIONS, false, &w);
    if (!st) why_walk_hand(in, &w);
    if (!st) *out = why_walk_is_finite(&w) && isfinite(y) ? why_defined(mean_drop(&w, y)) : why_undefined(why_not_finite);
    why_walk_clear(&w);
    return st;
}

static int64_t fractions_evaluations(const why_params *p, int h, int w) {
    (void)p, (void)h, (void)w;
    return N_FRACTIONS;
}

/* ---------------------------------------------------------------- ROAD (Rong et al. 2022) */
static const double tenths[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, fifths[] = {0.2, 0.4, 0.6, 0.8};

static const double *road_shares(const why_params *p, int *n) {
    const bool fine = strcmp(why_params_text(p, "at"), "10-90") == 0;
    *n = fine ? (int)(sizeof tenths / sizeof *tenths) : (int)(sizeof fifths / sizeof *fifths);
    return fine ? tenths : fifths;
}

enum { MOST = 1, LEAST = 2 };
static int road_ends(const why_params *p) {
    const char *removed = why_params_text(p, "removed");
    return strcmp(removed, "most") == 0 ? MOST : strcmp(removed, "least") == 0 ? LEAST : MOST | LEAST;
}

/* Mean drop as the most relevant go, mean rise as the least relevant go; both: half of their sum, (LeRF - MoRF) / 2. */
static why_status road(why_score_input *in, const why_params *p, why_value *out) {
    int n;
    const double *share = road_shares(p, &n);
    const int ends = road_ends(p);
    char fill[64];
    double y, sum = 0;
    WHY_TRY(why_probe_begin(in));
    WHY_TRY(why_probe_whole(in, &y));
    snprintf(fill, sizeof fill, "noisy_linear(sigma=%.9g)", why_params_real(p, "sigma"));
    for (int end = MOST; end <= LEAST; end++) {
        why_walk w = {0};
        const why_status st = ends & end ? walk_shares(in, NULL, fill, share, n, end == LEAST, &w) : WHY_OK;
        if (!st && ends & end) sum += end == MOST ? mean_drop(&w, y) : -mean_drop(&w, y);
        why_walk_clear(&w);
        if (st) return st;
    }
    return isfinite(sum) ? why_give(out, ends == (MOST | LEAST) ? sum / 2 : sum) : why_give_reason(out, why_not_finite);
}

static int64_t road_evaluations(const why_params *p, int h, int w) {
    int n;
    (void)h, (void)w;
    (void)road_shares(p, &n);
    return road_ends(p) == (MOST | LEAST) ? 2 * n : n;
}

/* ---------------------------------------------------------------- IROF (Rieger and Hansen 2020) */
/* Area over the curve of y_k / y_0 as segments go, over the share of the segments. */
static double area_over(const why_walk *w) {
    double area = 0;
    for (int i = 1; i < w->points; i++) area += 1 - (w->y[i] + w->y[i - 1]) / (2 * w->y[0]);
    return area / (w->points - 1);
}

static why_status irof(why_score_input *in, const why_params *p, why_value *out) {
    char segmenter[64];
    const why_segments *s;
    const why_fill *fill;
    why_walk w = {0};
    WHY_TRY(why_probe_begin(in));
    snprintf(segmenter, sizeof segmenter, "slic(n_segments=%lld)", (long long)why_params_int(p, "segments"));
    WHY_TRY(why_subject_segments(in->subject, segmenter, &s));
    WHY_TRY(why_probe_fill(in, why_metric_irof.fill, &fill));
    why_status st = why_walk_regions(in, p, s->label, s->n, &w);
    if (!st) st = why_walk_hide(in, fill, &w);
    if (!st) why_walk_hand(in, &w);
    if (!st && !why_walk_is_finite(&w)) *out = why_undefined(why_not_finite);
    else if (!st) *out = w.y[0] < WHY_LEAST_SCORE ? why_undefined(why_score_too_small) : why_defined(area_over(&w));
    why_walk_clear(&w);
    return st;
}

static int64_t irof_evaluations(const why_params *p, int h, int w) {
    (void)h, (void)w;
    return why_params_int(p, "segments") + 1;
}

/* ---------------------------------------------------------------- table lines */
static const why_param step_params[] = {
    {"step", WHY_PARAM_INT, "0", 0, 1 << 30, NULL, "pixels per step; 0: one row of the image (RISE's 224 at 224 x 224)"},
    WHY_WALK_PARAMS,
    {0},
};

static const why_param aopc_params[] = {
    {"side", WHY_PARAM_INT, "9", 1, 4096, NULL, "side of the squares that are hidden, pixels"},
    {"steps", WHY_PARAM_INT, "100", 1, 1 << 30, NULL, "squares that are hidden, one after the other; fewer when there are fewer"},
    WHY_WALK_PARAMS,
    {0},
};

static const why_param fraction_params[] = {WHY_WALK_PARAMS, {0}};

static const why_param road_params[] = {
    {"removed", WHY_PARAM_CHOICE, "both", 0, 0, "both|most|least",
     "(LeRF - MoRF) / 2; or the mean drop as the most relevant go; or the mean rise as the least relevant go"},
    {"at", WHY_PARAM_CHOICE, "20-80", 0, 0, "20-80|10-90", "percent of the pixels that go: 20, 40, 60, 80 or 10, 20, ... 90"},
    {"sigma", WHY_PARAM_REAL, "0.01", 0, 10, NULL, "noise on what is painted, in units of the normalised image"},
    {0},
};

static const why_param irof_params[] = {
    {"segments", WHY_PARAM_INT, "100", 2, 100000, NULL, "segments of slic; about so many are made"},
    WHY_WALK_PARAMS,
    {0},
};

const why_metric why_metric_deletion = {
    .name = "deletion",
    .help = "area under the score while the most relevant pixels are replaced first",
    .source = "Petsiuk et al. 2018 (RISE)",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .flags = WHY_METRIC_FILL | WHY_METRIC_CURVE,
    .lo = 0,
    .hi = 1,
    .params = step_params,
    .fill = "zero",
    .score = deletion,
    .evaluations = steps_evaluations,
};

const why_metric why_metric_insertion = {
    .name = "insertion",
    .help = "area under the score while the most relevant pixels appear first",
    .source = "Petsiuk et al. 2018 (RISE)",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL | WHY_METRIC_CURVE,
    .lo = 0,
    .hi = 1,
    .params = step_params,
    .fill = "gaussian(k=11,sigma=5)",
    .score = insertion,
    .evaluations = steps_evaluations,
};

const why_metric why_metric_monotonicity = {
    .name = "monotonicity",
    .help = "share of the steps of the deletion curve at which the score does not rise",
    .source = "Arya et al. 2019, by steps",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL,
    .lo = 0,
    .hi = 1,
    .params = step_params,
    .fill = "zero",
    .score = monotonicity,
    .evaluations = steps_evaluations,
};

const why_metric why_metric_aopc = {
    .name = "aopc",
    .help = "mean drop of the score over the first steps, none and up to 100 squares hidden, by the mean of their pixels",
    .source = "Samek et al. 2017",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL | WHY_METRIC_CURVE,
    .lo = -1,
    .hi = 1,
    .params = aopc_params,
    .fill = "mean",
    .score = aopc,
    .evaluations = aopc_evaluations,
};

const why_metric why_metric_aopc_fractions = {
    .name = "aopc_fractions",
    .help = "mean drop of the score with 1, 3, 5, 10 and 20 % of the pixels hidden",
    .source = "Samek et al. 2017, at a few shares",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL | WHY_METRIC_CURVE,
    .lo = -1,
    .hi = 1,
    .params = fraction_params,
    .fill = "mean",
    .score = aopc_fractions,
    .evaluations = fractions_evaluations,
};

const why_metric why_metric_road = {
    .name = "road",
    .help = "remove and debias: pixels that go are painted from those around them by noisy linear imputation",
    .source = "Rong et al. 2022",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .lo = -1,
    .hi = 1,
    .list = "removed",
    .params = road_params,
    .score = road,
    .evaluations = road_evaluations,
};

const why_metric why_metric_irof = {
    .name = "irof",
    .help = "area over the relative score as the segments with the highest mean are replaced one after the other",
    .source = "Rieger and Hansen 2020",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL | WHY_METRIC_CURVE,
    .params = irof_params,
    .fill = "mean",
    .score = irof,
    .evaluations = irof_evaluations,
};
