#include "metric/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/order.h"

const char why_not_finite[] = "the model's output is not finite";
const char why_score_too_small[] = "score of the whole image below 1e-4";

why_status why_probe_begin(why_score_input *in) {
    const why_image *im = why_subject_image(in->subject);
    const why_explanation *e = in->explanation;
    in->evaluations = 0;
    if (e->h == im->h && e->w == im->w) return WHY_OK;
    return why_fail(WHY_EBUG, "map of %d x %d pixels, the image has %d x %d", e->h, e->w, im->h, im->w);
}

why_status why_probe_fill(const why_score_input *in, const char *initial, const why_fill **fill) {
    return why_evaluator_fill(why_subject_evaluator(in->subject), in->fill ? in->fill : initial, in->explanation->segments, fill);
}

int why_probe_outputs(const why_score_input *in) {
    return why_model_get_info(why_evaluator_model(why_subject_evaluator(in->subject)))->outputs;
}

double why_probe_score(const why_score_input *in, const float *logits) {
    return why_score(logits, why_probe_outputs(in), in->class_index, in->output);
}

why_status why_probe_whole(const why_score_input *in, double *y) {
    const float *logits;
    WHY_TRY(why_evaluator_original(why_subject_evaluator(in->subject), &logits));
    *y = why_probe_score(in, logits);
    return WHY_OK;
}

why_status why_probe_run(why_score_input *in, const why_perturbation *p, int n, double *y, double *logit) {
    const size_t outputs = (size_t)why_probe_outputs(in);
    float *logits;
    WHY_TRY(why_alloc(outputs * (size_t)n, sizeof *logits, "logits", &logits));
    const why_status st = why_evaluator_run(why_subject_evaluator(in->subject), p, n, logits);
    for (int i = 0; !st && i < n; i++) {
        const float *row = logits + (size_t)i * outputs;
        y[i] = why_probe_score(in, row);
        if (logit) logit[i] = why_score(row, (int)outputs, in->class_index, WHY_LOGIT);
    }
    in->evaluations += n;
    free(logits);
    return st;
}

/* ---------------------------------------------------------------- orders */
static bool is(const why_params *p, const char *name, const char *choice) {
    return p && why_params_has(p, name) && strcmp(why_params_text(p, name), choice) == 0;
}

static why_status tie_keys(why_stream stream, int n, uint32_t **key) {
    WHY_TRY(why_alloc((size_t)n, sizeof **key, "tie keys", key));
    why_rng rng = why_rng_at(stream, 0);
    for (int i = 0; i < n; i++) (*key)[i] = why_rng_u32(&rng);
    return WHY_OK;
}

static void reverse(int32_t *order, int n) {
    for (int i = 0, j = n - 1; i < j; i++, j--) {
        const int32_t last = order[j];
        order[j] = order[i];
        order[i] = last;
    }
}

/* Places of v by the walk's parameters; turns v into magnitudes when they count. */
static why_status order_values(const why_score_input *in, const why_params *p, float *v, int n, int32_t *order) {
    uint32_t *key = NULL;
    for (int i = 0; is(p, "order", "absolute") && i < n; i++) v[i] = fabsf(v[i]);
    why_status st = tie_keys(in->stream, n, &key);
    if (!st) st = why_order_falling(v, n, key, order);
    if (!st && is(p, "first", "least")) reverse(order, n);
    free(key);
    return st;
}

why_status why_walk_pixels(const why_score_input *in, const why_params *p, why_walk *w) {
    const why_explanation *e = in->explanation;
    float *v = NULL;
    *w = (why_walk){.n = e->h * e->w};
    WHY_TRY(why_alloc((size_t)w->n, sizeof *w->order, "order of a curve", &w->order));
    WHY_TRY(why_alloc((size_t)w->n, sizeof *v, "values of a curve", &v));
    memcpy(v, e->map, (size_t)w->n * sizeof *v);
    const why_status st = order_values(in, p, v, w->n, w->order);
    free(v);
    return st;
}

void why_walk_turn(why_walk *w) { reverse(w->order, w->n); }

/* ---------------------------------------------------------------- regions */
/* The regions of a walk: their sizes, means and order. */
struct regions {
    int n;
    int32_t *size, *order, *start;
    double *sum;
    float *mean;
};

static void regions_clear(struct regions *r) {
    free(r->size);
    free(r->order);
    free(r->start);
    free(r->sum);
    free(r->mean);
}

static why_status regions_make(const why_score_input *in, const why_params *p, const int32_t *label, int n, struct regions *r) {
    const why_explanation *e = in->explanation;
    const bool absolute = is(p, "order", "absolute");
    *r = (struct regions){.n = n};
    WHY_TRY(why_alloc((size_t)n, sizeof *r->size, "regions", &r->size));
    WHY_TRY(why_alloc((size_t)n, sizeof *r->order, "regions", &r->order));
    WHY_TRY(why_alloc((size_t)n, sizeof *r->start, "regions", &r->start));
    WHY_TRY(why_alloc((size_t)n, sizeof *r->sum, "regions", &r->sum));
    WHY_TRY(why_alloc((size_t)n, sizeof *r->mean, "regions", &r->mean));
    for (int i = 0; i < e->h * e->w; i++) {
        r->sum[label[i]] += absolute ? (double)fabsf(e->map[i]) : (double)e->map[i];
        r->size[label[i]]++;
    }
    for (int k = 0; k < n; k++) r->mean[k] = r->size[k] ? (float)(r->sum[k] / r->size[k]) : 0;
    return order_values(in, p, r->mean, n, r->order);
}

/* The pixels region by region, and the number of them at the end of each. */
static void lay_out(struct regions *r, const int32_t *label, why_walk *w) {
    int at = 0;
    for (int k = 0; k < r->n; k++) {
        w->count[k] = at;
        r->start[r->order[k]] = at;
        at += r->size[r->order[k]];
    }
    w->count[r->n] = at;
    for (int i = 0; i < w->n; i++) w->order[r->start[label[i]]++] = i;
}

static why_status make_points(why_walk *w, int points) {
    w->points = points;
    WHY_TRY(why_alloc((size_t)points, sizeof *w->count, "points of a curve", &w->count));
    WHY_TRY(why_alloc((size_t)points, sizeof *w->y, "points of a curve", &w->y));
    return why_alloc((size_t)points, sizeof *w->logit, "points of a curve", &w->logit);
}

why_status why_walk_regions(const why_score_input *in, const why_params *p, const int32_t *label, int regions, why_walk *w) {
    struct regions r = {0};
    *w = (why_walk){.n = in->explanation->h * in->explanation->w};
    WHY_TRY(why_alloc((size_t)w->n, sizeof *w->order, "order of a curve", &w->order));
    WHY_TRY(make_points(w, regions + 1));
    const why_status st = regions_make(in, p, label, regions, &r);
    if (!st) lay_out(&r, label, w);
    regions_clear(&r);
    return st;
}

/* ---------------------------------------------------------------- points */
int why_walk_steps_of(int n, int step) { return (n + step - 1) / step + 1; }

why_status why_walk_steps(why_walk *w, int step) {
    WHY_TRY(make_points(w, why_walk_steps_of(w->n, step)));
    for (int i = 0; i < w->points; i++) {
        const int64_t k = (int64_t)i * step;
        w->count[i] = k < w->n ? (int32_t)k : w->n;
    }
    return WHY_OK;
}

why_status why_walk_shares(why_walk *w, const double *share, int n) {
    WHY_TRY(make_points(w, n));
    for (int i = 0; i < n; i++) w->count[i] = why_count_of_share(share[i], w->n);
    return WHY_OK;
}

/* ---------------------------------------------------------------- scores */
enum { SETS = 256 }; /* pixel sets in memory at once */

static void flip(uint64_t *set, int32_t pixel) { set[pixel / 64] ^= UINT64_C(1) << pixel % 64; }

/* Scores of points first .. first + n - 1. shown: the set of the point before, kept up to date. sets: room for n. */
static why_status run_points(why_score_input *in, const why_fill *fill, why_walk *w, int first, int n, uint64_t *shown, uint64_t *sets) {
    const size_t words = ((size_t)w->n + 63) / 64;
    why_perturbation p[SETS];
    for (int i = 0; i < n; i++) {
        for (int k = first + i > 0 ? w->count[first + i - 1] : 0; k < w->count[first + i]; k++) flip(shown, w->order[k]);
        memcpy(sets + (size_t)i * words, shown, words * sizeof *sets);
        p[i] = (why_perturbation){.kind = WHY_SHOW_PIXELS, .fill = fill, .u.pixels = sets + (size_t)i * words};
    }
    return why_probe_run(in, p, n, w->y + first, w->logit + first);
}

static why_status run_walk(why_score_input *in, const why_fill *fill, bool hide, why_walk *w) {
    const size_t words = ((size_t)w->n + 63) / 64;
    uint64_t *shown = NULL, *sets = NULL;
    why_status st = why_alloc(words, sizeof *shown, "pixel set", &shown);
    if (!st) st = why_alloc(words * SETS, sizeof *sets, "pixel sets", &sets);
    for (int i = 0; !st && hide && i < w->n; i++) flip(shown, i);
    for (int first = 0; !st && first < w->points; first += SETS)
        st = run_points(in, fill, w, first, w->points - first < SETS ? w->points - first : SETS, shown, sets);
    free(shown);
    free(sets);
    return st;
}

why_status why_walk_hide(why_score_input *in, const why_fill *fill, why_walk *w) { return run_walk(in, fill, true, w); }
why_status why_walk_show(why_score_input *in, const why_fill *fill, why_walk *w) { return run_walk(in, fill, false, w); }

void why_walk_hand(const why_score_input *in, const why_walk *w) {
    for (int i = 0; in->curve && i < w->points; i++) in->curve(in->curve_ctx, i, (double)w->count[i] / w->n, w->y[i], w->logit[i]);
}

bool why_walk_is_finite(const why_walk *w) {
    for (int i = 0; i < w->points; i++)
        if (!isfinite(w->y[i])) return false;
    return true;
}

void why_walk_clear(why_walk *w) {
    free(w->order);
    free(w->count);
    free(w->y);
    free(w->logit);
    *w = (why_walk){0};
}
