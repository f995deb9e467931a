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

/* IoU of the mask and the map's strongest pixels, as many as the mask has. */
static double iou_with_mask(const float *map, int n, why_top top, const uint8_t *mask, int k) {
    double both = 0;
    for (int i = 0; i < n; i++)
        if (mask[i]) both += why_top_member(top, map[i]);
    return why_expected_iou(both, k, k);
}

static why_status mask_iou_area(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    const why_explanation *e = in->explanation;
    int n = e->h * e->w, k;
    const uint8_t *mask = usable_mask(in, &k, out);
    if (!mask) return WHY_OK;
    int32_t *order = NULL;
    why_status st = why_alloc((size_t)n, sizeof *order, "order", &order);
    if (!st) st = why_order_falling(e->map, n, NULL, order);
    if (!st) *out = why_defined(iou_with_mask(e->map, n, why_top_of(e->map, order, n, k), mask, k));
    free(order);
    return st;
}

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

const why_metric why_metric_mask_iou_area = {
    .name = "mask_iou_area",
    .help = "IoU of the ground-truth mask and the map's strongest pixels, as many as the mask has",
    .source = "expected IoU under random tie-breaking",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .flags = WHY_METRIC_MASK,
    .lo = 0,
    .hi = 1,
    .score = mask_iou_area,
};

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
