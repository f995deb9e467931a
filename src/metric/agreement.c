/* Do two maps agree? Each metric is a function of two fields of one size, already brought under a policy and a grid. */
#include "metric/correlation.h"
#include "metric/metrics.h"
#include "metric/order.h"

static bool has_negative(const why_field *f) { return f->v[f->order[f->n - 1]] < 0; }

/* ---------------------------------------------------------------- correlations */
static why_status pearson(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    *out = why_pearson_of(a->v, b->v, a->n);
    return WHY_OK;
}

static why_status spearman(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    *out = why_pearson_of_ranks(a->rank2, b->rank2, a->n);
    return WHY_OK;
}

/* tau_b = (C - D) / sqrt((pairs - tied in a)(pairs - tied in b)); C + D = pairs - tied in a or b. */
static why_status kendall_tau_b(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    why_concordance c;
    WHY_TRY(why_concordance_of(a->v, b->v, a->n, &c));
    const int64_t in_a = c.pairs - c.tied_a, in_b = c.pairs - c.tied_b, ordered = in_a - c.tied_b + c.tied_both;
    if (in_a == 0 || in_b == 0) return why_give_reason(out, "constant map");
    return why_give(out, (double)(ordered - 2 * c.discordant) / (sqrt((double)in_a) * sqrt((double)in_b)));
}

static why_status cosine(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    double aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < a->n; i++) {
        aa += (double)a->v[i] * (double)a->v[i];
        bb += (double)b->v[i] * (double)b->v[i];
        ab += (double)a->v[i] * (double)b->v[i];
    }
    if (aa <= 0 || bb <= 0) return why_give_reason(out, "all-zero map");
    double c = ab / (sqrt(aa) * sqrt(bb));
    return why_give(out, c > 1 ? 1 : c < -1 ? -1 : c);
}

/* ---------------------------------------------------------------- soft IoU */
static double smaller(double x, double y) { return x < y ? x : y; }
static double larger(double x, double y) { return x > y ? x : y; }

/* Weighted Jaccard: Sum min(a, b) / Sum max(a, b) over values >= 0. */
static why_status soft_iou(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    if (has_negative(a) || has_negative(b)) return why_give_reason(out, "negative values");
    double both = 0, either = 0;
    for (int i = 0; i < a->n; i++) {
        both += smaller((double)a->v[i], (double)b->v[i]);
        either += larger((double)a->v[i], (double)b->v[i]);
    }
    return either > 0 ? why_give(out, both / either) : why_give_reason(out, "empty union");
}

/* Mean of min / max over the places where not both are 0. */
static why_status soft_iou_mean(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    if (has_negative(a) || has_negative(b)) return why_give_reason(out, "negative values");
    double sum = 0;
    int n = 0;
    for (int i = 0; i < a->n; i++) {
        double either = larger((double)a->v[i], (double)b->v[i]);
        if (either <= 0) continue;
        sum += smaller((double)a->v[i], (double)b->v[i]) / either;
        n++;
    }
    return n ? why_give(out, sum / n) : why_give_reason(out, "empty union");
}

/* ---------------------------------------------------------------- IoU of top sets */
static double iou_of_tops(const why_field *a, why_top ta, const why_field *b, why_top tb) {
    double both = 0, sum_a = 0, sum_b = 0;
    for (int i = 0; i < a->n; i++) {
        double x = why_top_member(ta, a->v[i]), y = why_top_member(tb, b->v[i]);
        both += x * y;
        sum_a += x;
        sum_b += y;
    }
    return why_expected_iou(both, sum_a, sum_b);
}

static why_status topk_iou(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    int k = why_count_of_share(why_params_real(p, "area"), a->n);
    return why_give(out, iou_of_tops(a, why_top_of(a->v, a->order, a->n, k), b, why_top_of(b->v, b->order, b->n, k)));
}

/* ---------------------------------------------------------------- IoU of masks of segments */
enum { BEST_SEGMENTS = 5 }; /* what lime's get_image_and_mask shows by default */

/* The largest segment mean below `limit`, and how many segments have it; 0 when there is none. */
static int next_best(const why_field *f, float limit, float *best) {
    int count = 0;
    for (int k = 0; k < f->segments->n; k++) {
        float v = f->segment_mean[k];
        if (v >= limit) continue;
        if (count == 0 || v > *best) {
            *best = v;
            count = 0;
        }
        count += v == *best;
    }
    return count;
}

/* The five best positive segments: those above a threshold, and the segments tied at it in equal parts. */
static why_top best_segments(const why_field *f) {
    why_top top = {.threshold = INFINITY};
    for (int left = BEST_SEGMENTS; left > 0;) {
        float best = 0;
        int count = next_best(f, top.threshold, &best);
        if (count == 0 || best <= 0) break;
        top = (why_top){.threshold = best, .tied = count <= left ? 1.0 : (double)left / count};
        left -= count;
    }
    return top;
}

/* Membership of pixel i in a map's mask. */
static double in_mask(const why_field *f, why_top top, int i) {
    return why_top_member(top, f->segments ? f->segment_mean[f->segments->label[i]] : f->v[i]);
}

static double mask_area(const why_field *f, why_top top) {
    double area = 0;
    for (int i = 0; i < f->n; i++) area += in_mask(f, top, i);
    return area;
}

/* A map without segments keeps its strongest pixels, as many as the other map's mask has. */
static why_top top_of_area(const why_field *f, double area) {
    int k = (int)floor(area + 0.5);
    return k < 1 ? (why_top){.threshold = INFINITY} : why_top_of(f->v, f->order, f->n, k > f->n ? f->n : k);
}

static bool on_pixels(const why_field *f) { return !f->segments || (f->rows == f->segments->h && f->cols == f->segments->w); }

static why_status mask_iou(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    if (!a->segments && !b->segments) return why_give_reason(out, "no map of segments in the pair");
    if (!on_pixels(a) || !on_pixels(b)) return why_give_reason(out, "needs the pixel grid");
    why_top ta = a->segments ? best_segments(a) : (why_top){0}, tb = b->segments ? best_segments(b) : (why_top){0};
    if (!a->segments) ta = top_of_area(a, mask_area(b, tb));
    if (!b->segments) tb = top_of_area(b, mask_area(a, ta));
    double both = 0, sum_a = 0, sum_b = 0;
    for (int i = 0; i < a->n; i++) {
        double x = in_mask(a, ta, i), y = in_mask(b, tb, i);
        both += x * y;
        sum_a += x;
        sum_b += y;
    }
    return sum_a + sum_b > 0 ? why_give(out, why_expected_iou(both, sum_a, sum_b)) : why_give_reason(out, "empty union");
}

/* ---------------------------------------------------------------- table lines */
const why_metric why_metric_pearson = {
    .name = "pearson",
    .help = "linear correlation of the two maps",
    .source = "Pearson 1895",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = -1,
    .hi = 1,
    .pair = pearson,
};

const why_metric why_metric_spearman = {
    .name = "spearman",
    .help = "correlation of the average ranks",
    .source = "Spearman 1904",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = -1,
    .hi = 1,
    .pair = spearman,
};

const why_metric why_metric_kendall_tau_b = {
    .name = "kendall_tau_b",
    .help = "concordant minus discordant pairs of places, corrected for ties",
    .source = "Kendall 1945; Knight 1966",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = -1,
    .hi = 1,
    .pair = kendall_tau_b,
};

const why_metric why_metric_cosine = {
    .name = "cosine",
    .help = "cosine of the angle between the two maps",
    .source = "a correlation about zero",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = -1,
    .hi = 1,
    .pair = cosine,
};

const why_metric why_metric_soft_iou = {
    .name = "soft_iou",
    .help = "weighted Jaccard: sum of minima over sum of maxima",
    .source = "Ruzicka 1958",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_UNSIGNED,
    .lo = 0,
    .hi = 1,
    .pair = soft_iou,
};

const why_metric why_metric_soft_iou_mean = {
    .name = "soft_iou_mean",
    .help = "mean of minimum over maximum, places where both are 0 left out",
    .source = "the literal reading of a mean of per-pixel ratios",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_UNSIGNED,
    .lo = 0,
    .hi = 1,
    .pair = soft_iou_mean,
};

const why_metric why_metric_mask_iou = {
    .name = "mask_iou",
    .help = "IoU of the five best positive segments; a map without segments keeps as many of its strongest pixels",
    .source = "lime's get_image_and_mask; ties shared",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_PIXEL_ONLY,
    .lo = 0,
    .hi = 1,
    .pair = mask_iou,
};

static const why_param topk_params[] = {
    {"area", WHY_PARAM_REAL, "0.2", 1e-6, 1, NULL, "share of the cells that are kept"},
    {0},
};

const why_metric why_metric_topk_iou = {
    .name = "topk_iou",
    .help = "IoU of the strongest cells; a tied block shares its places, so ties alone make no agreement",
    .source = "expected IoU under random tie-breaking",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = 0,
    .hi = 1,
    .list = "area",
    .params = topk_params,
    .pair = topk_iou,
};
