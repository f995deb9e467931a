/* Does one map point at the object? Compared with the ground-truth mask, in the model's frame. */
#include <stdlib.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"

static int mask_pixels(const uint8_t *mask, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) count += mask[i] != 0;
    return count;
}

/* The mask, or NULL with the reason in *out. */
static const uint8_t *usable_mask(const why_score_input *in, int *count, why_value *out) {
    const uint8_t *mask = why_subject_mask(in->subject);
    *count = mask ? mask_pixels(mask, in->explanation->h * in->explanation->w) : 0;
    if (!mask) *out = why_undefined("no mask");
    else if (*count == 0) *out = why_undefined("empty mask");
    return *count ? mask : NULL;
}

/* How many of the map's k strongest pixels lie on the object, ties by chance. */
static why_status strongest_inside(const why_explanation *e, const uint8_t *mask, int k, double *inside) {
    const int n = e->h * e->w;
    int32_t *order;
    WHY_TRY(why_alloc((size_t)n, sizeof *order, "order", &order));
    why_status st = why_order_falling(e->map, n, NULL, order);
    const why_top top = st ? (why_top){0} : why_top_of(e->map, order, n, k);
    *inside = 0;
    for (int i = 0; !st && i < n; i++)
        if (mask[i]) *inside += why_top_member(top, e->map[i]);
    free(order);
    return st;
}

static why_status mask_iou_area(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    double inside;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    WHY_TRY(strongest_inside(in->explanation, mask, area, &inside));
    return why_give(out, why_expected_iou(inside, area, area));
}

#define UPPER_QUARTILE 0.25 /* what lies above the 75th percentile */

static why_status mask_iou_75(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    double inside;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    const int k = why_count_of_share(UPPER_QUARTILE, in->explanation->h * in->explanation->w);
    WHY_TRY(strongest_inside(in->explanation, mask, k, &inside));
    return why_give(out, why_expected_iou(inside, k, area));
}

static why_status relevance_rank(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    double inside;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    WHY_TRY(strongest_inside(in->explanation, mask, area, &inside));
    return why_give(out, inside / area);
}

/* ---------------------------------------------------------------- mass */
/* Sums of the positive and of the negative values, on the object and beside it. */
struct masses {
    double positive[2], negative[2]; /* [1]: on the object */
};

static struct masses masses_of(const why_explanation *e, const uint8_t *mask) {
    struct masses m = {{0}, {0}};
    for (int i = 0; i < e->h * e->w; i++) {
        const int on = mask[i] != 0;
        if (e->map[i] > 0) m.positive[on] += (double)e->map[i];
        else m.negative[on] -= (double)e->map[i];
    }
    return m;
}

static why_status relevance_mass(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    const struct masses m = masses_of(in->explanation, mask);
    const double all = m.positive[0] + m.positive[1];
    return all > 0 ? why_give(out, m.positive[1] / all) : why_give_reason(out, "no positive attribution");
}

static why_status mass_outside(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    const struct masses m = masses_of(in->explanation, mask);
    const double outside = m.positive[0] + m.negative[0], all = outside + m.positive[1] + m.negative[1];
    return all > 0 ? why_give(out, outside / all) : why_give_reason(out, "all-zero map");
}

static why_status positive_share(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    int area;
    const uint8_t *mask = usable_mask(in, &area, out);
    if (!mask) return WHY_OK;
    const struct masses m = masses_of(in->explanation, mask);
    const double inside = m.positive[1] + m.negative[1];
    return inside > 0 ? why_give(out, m.positive[1] / inside) : why_give_reason(out, "no attribution on the object");
}

/* ---------------------------------------------------------------- pointing game */

/* Is an object pixel within `tolerance` (Euclidean) of (y, x)? */
static bool hits(const uint8_t *mask, int h, int w, int y, int x, int tolerance) {
    for (int dy = -tolerance; dy <= tolerance; dy++) {
        if (y + dy < 0 || y + dy >= h) continue;
        for (int dx = -tolerance; dx <= tolerance; dx++)
            if (x + dx >= 0 && x + dx < w && dx * dx + dy * dy <= tolerance * tolerance && mask[(y + dy) * w + x + dx]) return true;
    }
    return false;
}

/* Share of the tied maxima that hit. */
static why_status pointing_game(why_score_input *in, const why_params *p, why_value *out) {
    const why_explanation *e = in->explanation;
    int count, maxima = 0, hit = 0, tolerance = (int)why_params_int(p, "tolerance");
    const uint8_t *mask = usable_mask(in, &count, out);
    if (!mask) return WHY_OK;
    float best = e->map[0];
    for (int i = 1; i < e->h * e->w; i++) best = e->map[i] > best ? e->map[i] : best;
    for (int i = 0; i < e->h * e->w; i++) {
        if (e->map[i] != best) continue;
        maxima++;
        hit += hits(mask, e->h, e->w, i / e->w, i % e->w, tolerance);
    }
    *out = why_defined((double)hit / maxima);
    return WHY_OK;
}

#define MASK_METRIC(name_, better_, help_, source_) \
    const why_metric why_metric_##name_ = {          \
        .name = #name_,                              \
        .help = help_,                               \
        .source = source_,                           \
        .kind = WHY_SCORE,                           \
        .better = better_,                           \
        .flags = WHY_METRIC_MASK,                    \
        .lo = 0,                                     \
        .hi = 1,                                     \
        .score = name_,                              \
    }

MASK_METRIC(mask_iou_area, WHY_BETTER_HIGH, "IoU of the ground-truth mask and the map's strongest pixels, as many as the mask has",
            "expected IoU under random tie-breaking");
MASK_METRIC(mask_iou_75, WHY_BETTER_HIGH, "IoU of the ground-truth mask and the pixels above the map's 75th percentile",
            "expected IoU under random tie-breaking");
MASK_METRIC(relevance_mass, WHY_BETTER_HIGH, "share of the positive attribution that lies on the object", "Arras et al. 2022");
MASK_METRIC(relevance_rank, WHY_BETTER_HIGH,
            "share of the map's strongest pixels, as many as the object has, that lie on it", "Arras et al. 2022");
MASK_METRIC(mass_outside, WHY_BETTER_LOW, "share of the absolute attribution that lies beside the object",
            "energy-based pointing, its complement");
MASK_METRIC(positive_share, WHY_BETTER_HIGH, "share of the absolute attribution on the object that speaks for the class",
            "sign of the mass on the object");

static const why_param pointing_params[] = {
    {"tolerance", WHY_PARAM_INT, "15", 0, 100, NULL, "distance in pixels at which a miss still counts as a hit"},
    {0},
};

const why_metric why_metric_pointing_game = {
    .name = "pointing_game",
    .help = "is the maximum on the object? Share of the tied maxima that are",
    .source = "Zhang et al. 2016",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_MASK,
    .lo = 0,
    .hi = 1,
    .list = "tolerance",
    .params = pointing_params,
    .score = pointing_game,
};
