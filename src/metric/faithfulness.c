/* Does the model itself depend on what a map marks? Parts of the image are replaced by a fill and the score of the
 * class is read again; every forward goes through the evaluator. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"

static why_status find_fill(const why_score_input *in, const why_metric *metric, const why_fill **fill) {
    const char *text = in->fill ? in->fill : metric->fill;
    return why_evaluator_fill(why_subject_evaluator(in->subject), text, in->explanation->segments, fill);
}

static int outputs_of(const why_score_input *in) {
    return why_model_get_info(why_evaluator_model(why_subject_evaluator(in->subject)))->outputs;
}

static double score_of(const why_score_input *in, const float *logits) {
    return why_score(logits, outputs_of(in), in->class_index, in->output);
}

/* A map of another size than the image is a programmer's error of the caller. */
static why_status check_frame(const why_score_input *in) {
    const why_image *im = why_subject_image(in->subject);
    const why_explanation *e = in->explanation;
    if (e->h == im->h && e->w == im->w) return WHY_OK;
    return why_fail(WHY_EBUG, "map of %d x %d pixels, the image has %d x %d", e->h, e->w, im->h, im->w);
}

/* ---------------------------------------------------------------- deletion and insertion (Petsiuk et al. 2018) */
enum { SETS = 256 }; /* pixel sets in memory at once */

/* A curve while it is computed: `shown` is the pixel set of the next point. */
struct curve {
    why_score_input *in;
    const why_fill *fill;
    int n, step, points;     /* pixels, pixels per step, points of the curve */
    int words;               /* of one pixel set */
    int32_t *order;          /* most relevant first, ties by their random keys */
    uint64_t *shown, *sets;  /* one set; SETS of them */
    float *logits;           /* SETS x outputs */
    double area, last_x, last_y;
};

static int pixels_per_step(const why_params *p, int w) {
    int step = (int)why_params_int(p, "step");
    return step > 0 ? step : w;
}

static int points_of(int n, int step) { return (n + step - 1) / step + 1; }

/* Equal values are ordered by keys of the stream, so that index order manufactures nothing. */
static why_status tie_keys(why_stream stream, int n, uint32_t **key) {
    WHY_TRY(why_alloc((size_t)n, sizeof **key, "tie keys", key));
    why_rng rng = why_rng_at(stream, 0);
    for (int i = 0; i < n; i++) (*key)[i] = why_rng_u32(&rng);
    return WHY_OK;
}

static void flip(uint64_t *set, int32_t pixel) { set[pixel / 64] ^= UINT64_C(1) << pixel % 64; }

static why_status curve_create(why_score_input *in, const why_metric *metric, const why_params *p, struct curve *c) {
    const why_explanation *e = in->explanation;
    int n = e->h * e->w, step = pixels_per_step(p, e->w);
    uint32_t *key = NULL;
    *c = (struct curve){.in = in, .n = n, .step = step, .points = points_of(n, step), .words = (n + 63) / 64};
    WHY_TRY(check_frame(in));
    WHY_TRY(find_fill(in, metric, &c->fill));
    WHY_TRY(why_alloc((size_t)n, sizeof *c->order, "order of a curve", &c->order));
    WHY_TRY(why_alloc((size_t)c->words, sizeof *c->shown, "pixel set", &c->shown));
    WHY_TRY(why_alloc((size_t)c->words * SETS, sizeof *c->sets, "pixel sets", &c->sets));
    WHY_TRY(why_alloc((size_t)outputs_of(in) * SETS, sizeof *c->logits, "logits of a curve", &c->logits));
    why_status st = tie_keys(in->stream, n, &key);
    if (!st) st = why_order_falling(e->map, n, key, c->order);
    free(key);
    return st;
}

static void curve_clear(struct curve *c) {
    free(c->order);
    free(c->shown);
    free(c->sets);
    free(c->logits);
}

static int pixels_at(const struct curve *c, int point) {
    int64_t k = (int64_t)point * c->step;
    return k < c->n ? (int)k : c->n;
}

/* Logits of points first .. first + count - 1. Deletion and insertion differ only in the set they start from: the
 * pixels of each step change sides. */
static why_status run_points(struct curve *c, int first, int count) {
    why_perturbation p[SETS];
    for (int i = 0; i < count; i++) {
        uint64_t *set = c->sets + (size_t)i * (size_t)c->words;
        memcpy(set, c->shown, (size_t)c->words * sizeof *set);
        p[i] = (why_perturbation){.kind = WHY_SHOW_PIXELS, .fill = c->fill, .u.pixels = set};
        for (int k = pixels_at(c, first + i); k < pixels_at(c, first + i + 1); k++) flip(c->shown, c->order[k]);
    }
    c->in->evaluations += count;
    return why_evaluator_run(why_subject_evaluator(c->in->subject), p, count, c->logits);
}

/* Hand a point over and add the trapezoid from the last one (point 0 has none: both x are 0). */
static void add_point(struct curve *c, int point, double y) {
    double x = (double)pixels_at(c, point) / c->n;
    if (c->in->curve) c->in->curve(c->in->curve_ctx, point, x, y);
    c->area += (x - c->last_x) * (y + c->last_y) / 2;
    c->last_x = x;
    c->last_y = y;
}

static why_status run_curve(struct curve *c, why_value *out) {
    int outputs = outputs_of(c->in);
    for (int first = 0; first < c->points; first += SETS) {
        int count = c->points - first < SETS ? c->points - first : SETS;
        WHY_TRY(run_points(c, first, count));
        for (int i = 0; i < count; i++) add_point(c, first + i, score_of(c->in, c->logits + (size_t)i * (size_t)outputs));
    }
    *out = isfinite(c->area) ? why_defined(c->area) : why_undefined("the model's output is not finite");
    return WHY_OK;
}

static why_status deletion(why_score_input *in, const why_params *p, why_value *out) {
    struct curve c;
    in->evaluations = 0;
    why_status st = curve_create(in, &why_metric_deletion, p, &c);
    for (int i = 0; !st && i < c.n; i++) flip(c.shown, i);
    if (!st) st = run_curve(&c, out);
    curve_clear(&c);
    return st;
}

static why_status insertion(why_score_input *in, const why_params *p, why_value *out) {
    struct curve c;
    in->evaluations = 0;
    why_status st = curve_create(in, &why_metric_insertion, p, &c);
    if (!st) st = run_curve(&c, out);
    curve_clear(&c);
    return st;
}

static int64_t curve_evaluations(const why_params *p, int h, int w) { return points_of(h * w, pixels_per_step(p, w)); }

/* ---------------------------------------------------------------- image x map (Chattopadhyay et al. 2018) */
#define LEAST_SCORE 1e-4 /* below it a relative drop says nothing */

static const char *reason_against(double y, double o) {
    if (!isfinite(y) || !isfinite(o)) return "the model's output is not finite";
    return y < LEAST_SCORE ? "score of the whole image below 1e-4" : NULL;
}

/* Y, the score of the whole image, and O, that of image * map + fill * (1 - map). *why: these are no basis for a comparison. */
static why_status soft_scores(why_score_input *in, const why_metric *metric, double *y, double *o, const char **why) {
    static const why_grid pixel = {.kind = WHY_GRID_PIXEL};
    const why_explanation *e = in->explanation;
    why_evaluator *ev = why_subject_evaluator(in->subject);
    why_perturbation p = {.kind = WHY_SOFT_MAP};
    why_field soft = {0};
    float *masked = NULL;
    const float *whole;
    in->evaluations = 1;
    WHY_TRY(check_frame(in));
    WHY_TRY(find_fill(in, metric, &p.fill));
    *why = "the fill is painted from the pixels that are shown, and a soft map shows all of them in part";
    if (!p.fill->local) return WHY_OK;
    WHY_TRY(why_evaluator_original(ev, &whole));
    *y = score_of(in, whole);
    why_status st = why_alloc((size_t)outputs_of(in), sizeof *masked, "logits", &masked);
    if (!st) st = why_field_make(e->map, e->h, e->w, NULL, WHY_POSITIVE, &pixel, NULL, &soft);
    p.u.soft = soft.v;
    if (!st) st = why_evaluator_run(ev, &p, 1, masked);
    if (!st) *o = score_of(in, masked);
    if (!st) *why = reason_against(*y, *o);
    why_field_clear(&soft);
    free(masked);
    return st;
}

static why_status average_drop(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    double y = NAN, o = NAN;
    const char *why;
    WHY_TRY(soft_scores(in, &why_metric_average_drop, &y, &o, &why));
    *out = why ? why_undefined(why) : why_defined(y > o ? (y - o) / y : 0);
    return WHY_OK;
}

static why_status increase(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    double y = NAN, o = NAN;
    const char *why;
    WHY_TRY(soft_scores(in, &why_metric_increase, &y, &o, &why));
    *out = why ? why_undefined(why) : why_defined(o > y);
    return WHY_OK;
}

static int64_t one_evaluation(const why_params *p, int h, int w) {
    (void)p, (void)h, (void)w;
    return 1;
}

/* ---------------------------------------------------------------- table lines */
static const why_param curve_params[] = {
    {"step", WHY_PARAM_INT, "0", 0, 1 << 30, NULL, "pixels per step; 0: one row of the image (RISE's 224 at 224 x 224)"},
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
    .params = curve_params,
    .fill = "zero",
    .score = deletion,
    .evaluations = curve_evaluations,
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
    .params = curve_params,
    .fill = "gaussian(k=11,sigma=5)",
    .score = insertion,
    .evaluations = curve_evaluations,
};

const why_metric why_metric_average_drop = {
    .name = "average_drop",
    .help = "relative loss of the score when the image is multiplied by the positive map",
    .source = "Chattopadhyay et al. 2018 (Grad-CAM++)",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .flags = WHY_METRIC_FILL,
    .lo = 0,
    .hi = 1,
    .fill = "zero",
    .score = average_drop,
    .evaluations = one_evaluation,
};

const why_metric why_metric_increase = {
    .name = "increase",
    .help = "1 when the score grows as the image is multiplied by the positive map, else 0",
    .source = "Chattopadhyay et al. 2018 (Grad-CAM++)",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_FILL,
    .lo = 0,
    .hi = 1,
    .fill = "zero",
    .score = increase,
    .evaluations = one_evaluation,
};
