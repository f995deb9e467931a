/* How concentrated is one map? Functions of |map| that do not change when the map is scaled. */
#include <stdlib.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"

/* |map| by falling value (owned), and its sum in that order. */
static why_status sorted_magnitudes(const why_explanation *e, float **sorted, double *sum) {
    int n = e->h * e->w;
    float *v = NULL;
    int32_t *order = NULL;
    why_status st = why_alloc((size_t)n, sizeof *v, "magnitudes", &v);
    if (!st) st = why_alloc((size_t)n, sizeof *order, "order", &order);
    if (!st) st = why_alloc((size_t)n, sizeof **sorted, "sorted magnitudes", sorted);
    for (int i = 0; !st && i < n; i++) v[i] = fabsf(e->map[i]);
    if (!st) st = why_order_falling(v, n, NULL, order);
    *sum = 0;
    for (int i = 0; !st && i < n; i++) *sum += (double)((*sorted)[i] = v[order[i]]);
    free(v);
    free(order);
    return st;
}

/* Smallest share of the pixels that holds `mass` of the unit-sum |map|. */
static why_value share_with_mass(const float *sorted, int n, double sum, double mass) {
    double held = 0;
    int k = 0;
    while (k < n && held / sum < mass) held += (double)sorted[k++];
    return why_defined((double)k / n);
}

/* Gini = Sum_i (2 i - n - 1) x_i / (n Sum x), x rising, i from 1 (Hurley and Rickard 2009, eq. 2). */
static why_value gini_of(const float *sorted, int n, double sum) {
    double weighted = 0;
    for (int i = 0; i < n; i++) weighted += (n - 1.0 - 2.0 * i) * (double)sorted[i];
    return why_defined(weighted / (n * sum));
}

static why_status sparsity(why_score_input *in, const why_params *p, why_value *out) {
    const why_explanation *e = in->explanation;
    float *sorted = NULL;
    double sum;
    why_status st = sorted_magnitudes(e, &sorted, &sum);
    if (!st) *out = sum > 0 ? share_with_mass(sorted, e->h * e->w, sum, why_params_real(p, "mass")) : why_undefined("all-zero map");
    free(sorted);
    return st;
}

static why_status gini(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    const why_explanation *e = in->explanation;
    float *sorted = NULL;
    double sum;
    why_status st = sorted_magnitudes(e, &sorted, &sum);
    if (!st) *out = sum > 0 ? gini_of(sorted, e->h * e->w, sum) : why_undefined("all-zero map");
    free(sorted);
    return st;
}

/* - Sum p ln p of p = |map| / Sum |map|. */
static why_status entropy(why_score_input *in, const why_params *p, why_value *out) {
    (void)p;
    const why_explanation *e = in->explanation;
    double sum = 0, h = 0;
    for (int i = 0; i < e->h * e->w; i++) sum += (double)fabsf(e->map[i]);
    if (sum <= 0) return why_give_reason(out, "all-zero map");
    for (int i = 0; i < e->h * e->w; i++) {
        const double q = (double)fabsf(e->map[i]) / sum;
        if (q > 0) h -= q * log(q);
    }
    return why_give(out, h);
}

static why_status effective_complexity(why_score_input *in, const why_params *p, why_value *out) {
    const why_explanation *e = in->explanation;
    const double least = why_params_real(p, "least");
    float largest = 0;
    int above = 0;
    for (int i = 0; i < e->h * e->w; i++) largest = fmaxf(largest, fabsf(e->map[i]));
    if (largest <= 0) return why_give_reason(out, "all-zero map");
    for (int i = 0; i < e->h * e->w; i++) above += (double)fabsf(e->map[i]) > least * (double)largest;
    return why_give(out, (double)above / ((double)e->h * e->w));
}

static const why_param effective_params[] = {
    {"least", WHY_PARAM_REAL, "1e-05", 0, 1, NULL, "a pixel counts above this share of the largest magnitude"},
    {0},
};

const why_metric why_metric_entropy = {
    .name = "entropy",
    .help = "entropy of the unit-sum |map| in nats: 0 on one pixel, ln n spread evenly",
    .source = "Bhatt et al. 2020 (complexity)",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .score = entropy,
};

const why_metric why_metric_effective_complexity = {
    .name = "effective_complexity",
    .help = "share of the pixels whose magnitude is not next to nothing",
    .source = "Nguyen and Martinez 2020, by a threshold",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .lo = 0,
    .hi = 1,
    .params = effective_params,
    .score = effective_complexity,
};

static const why_param sparsity_params[] = {
    {"mass", WHY_PARAM_REAL, "0.9", 1e-6, 1, NULL, "share of the absolute attribution that the pixels must hold"},
    {0},
};

const why_metric why_metric_sparsity = {
    .name = "sparsity",
    .help = "smallest share of the pixels that holds 90 % of the absolute attribution",
    .source = "top-mass share of the unit-sum |map|",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_LOW,
    .lo = 0,
    .hi = 1,
    .params = sparsity_params,
    .score = sparsity,
};

const why_metric why_metric_gini = {
    .name = "gini",
    .help = "Gini index of the absolute attribution: 0 spread evenly, towards 1 on one pixel",
    .source = "Hurley and Rickard 2009; Chalasani et al. 2020",
    .kind = WHY_SCORE,
    .better = WHY_BETTER_HIGH,
    .lo = 0,
    .hi = 1,
    .score = gini,
};
