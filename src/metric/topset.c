/* The disagreement measures of Krishna et al. 2022 on the cells of largest magnitude. Ties are broken by a coin of each map's
 * own, and the expected value is given: index order would make two maps agree on cells that neither of them chose. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/correlation.h"
#include "metric/metrics.h"
#include "metric/order.h"

/* |map|, largest first, and of each cell the places [from, to) that its tied block has there. */
struct ranking {
    float *v;
    int32_t *order, *from, *to;
};

static void ranking_clear(struct ranking *r) {
    free(r->v);
    free(r->order);
    free(r->from);
    free(r->to);
}

/* The falling order of the values falls in magnitude from its front and, where they are negative, from its back. */
static void order_by_magnitude(const why_field *f, const float *v, int32_t *order) {
    int front = 0, back = f->n - 1;
    for (int i = 0; i < f->n; i++) order[i] = v[f->order[front]] >= v[f->order[back]] ? f->order[front++] : f->order[back--];
}

static void find_blocks(struct ranking *r, int n) {
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && r->v[r->order[to]] == r->v[r->order[from]];) to++;
        for (int i = from; i < to; i++) {
            r->from[r->order[i]] = from;
            r->to[r->order[i]] = to;
        }
    }
}

static why_status ranking_make(const why_field *f, struct ranking *r) {
    *r = (struct ranking){0};
    WHY_TRY(why_alloc((size_t)f->n, sizeof *r->v, "magnitudes", &r->v));
    WHY_TRY(why_alloc((size_t)f->n, sizeof *r->order, "order of magnitudes", &r->order));
    WHY_TRY(why_alloc((size_t)f->n, sizeof *r->from, "places", &r->from));
    WHY_TRY(why_alloc((size_t)f->n, sizeof *r->to, "places", &r->to));
    for (int i = 0; i < f->n; i++) r->v[i] = fabsf(f->v[i]);
    order_by_magnitude(f, r->v, r->order);
    find_blocks(r, f->n);
    return WHY_OK;
}

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }

/* Chance that cell i is among the first k. */
static double chance(const struct ranking *r, int i, int k) {
    return r->from[i] >= k ? 0 : r->to[i] <= k ? 1 : (double)(k - r->from[i]) / (r->to[i] - r->from[i]);
}

/* Chance that cell i has the same place in both, among the first k. */
static double same_place(const struct ranking *a, const struct ranking *b, int i, int k) {
    const int common = smaller(k, smaller(a->to[i], b->to[i])) - larger(a->from[i], b->from[i]);
    return common <= 0 ? 0 : common / ((double)(a->to[i] - a->from[i]) * (b->to[i] - b->from[i]));
}

static int sign(float v) { return (v > 0) - (v < 0); }

enum { SAME_SIGN = 1, SAME_RANK = 2 };

/* Share of the k places whose cell is chosen by both, with what `want` asks for besides. */
static double share_agreeing(const why_field *a, const struct ranking *ra, const why_field *b, const struct ranking *rb, int k, int want) {
    double sum = 0;
    for (int i = 0; i < a->n; i++) {
        if ((want & SAME_SIGN) && sign(a->v[i]) != sign(b->v[i])) continue;
        sum += want & SAME_RANK ? same_place(ra, rb, i, k) : chance(ra, i, k) * chance(rb, i, k);
    }
    return sum / k;
}

static why_status agreement(const why_field *a, const why_field *b, const why_params *p, int want, why_value *out) {
    struct ranking ra, rb = {0};
    const int k = why_count_of_share(why_params_real(p, "area"), a->n);
    why_status st = ranking_make(a, &ra);
    if (!st) st = ranking_make(b, &rb);
    if (!st) *out = why_defined(share_agreeing(a, &ra, b, &rb, k, want));
    ranking_clear(&ra);
    ranking_clear(&rb);
    return st;
}

static why_status feature_agreement(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    return agreement(a, b, p, 0, out);
}

static why_status sign_agreement(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    return agreement(a, b, p, SAME_SIGN, out);
}

static why_status rank_agreement(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    return agreement(a, b, p, SAME_RANK, out);
}

static why_status signed_rank_agreement(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    return agreement(a, b, p, SAME_SIGN | SAME_RANK, out);
}

/* ---------------------------------------------------------------- regions */
/* Gather the cells of the union of both top sets at the front of a and b, and count them. */
static int keep_region(float *a, why_top ta, float largest_a, float *b, why_top tb, float largest_b, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (!why_top_holds(ta, largest_a, a[i]) && !why_top_holds(tb, largest_b, b[i])) continue;
        a[kept] = a[i];
        b[kept++] = b[i];
    }
    return kept;
}

/* Equal pairs: a tie in either map counts one half, what a coin would give. */
static why_status share_of_pairs(const float *a, const float *b, int n, why_value *out) {
    why_concordance c;
    WHY_TRY(why_concordance_of(a, b, n, &c));
    const int64_t tied = c.tied_a + c.tied_b - c.tied_both, concordant = c.pairs - tied - c.discordant;
    if (c.pairs == 0) return why_give_reason(out, "fewer than two cells");
    return why_give(out, ((double)concordant + (double)tied / 2) / (double)c.pairs);
}

static why_status pairwise_rank_agreement(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    struct ranking ra, rb = {0};
    const int n = a->n, k = why_count_of_share(why_params_real(p, "area"), n);
    why_status st = ranking_make(a, &ra);
    if (!st) st = ranking_make(b, &rb);
    if (!st) {
        const why_top ta = why_top_of(ra.v, ra.order, n, k), tb = why_top_of(rb.v, rb.order, n, k);
        const int kept = keep_region(ra.v, ta, ra.v[ra.order[0]], rb.v, tb, rb.v[rb.order[0]], n);
        st = share_of_pairs(ra.v, rb.v, kept, out);
    }
    ranking_clear(&ra);
    ranking_clear(&rb);
    return st;
}

static why_status within_region(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    const int n = a->n, k = why_count_of_share(why_params_real(p, "area"), n);
    float *va = NULL, *vb = NULL;
    why_status st = why_alloc((size_t)n, sizeof *va, "region", &va);
    if (!st) st = why_alloc((size_t)n, sizeof *vb, "region", &vb);
    if (!st) {
        memcpy(va, a->v, (size_t)n * sizeof *va);
        memcpy(vb, b->v, (size_t)n * sizeof *vb);
        const why_top ta = why_top_of(a->v, a->order, n, k), tb = why_top_of(b->v, b->order, n, k);
        const int kept = keep_region(va, ta, a->v[a->order[0]], vb, tb, b->v[b->order[0]], n);
        st = why_spearman_of(va, vb, kept, out);
        if (!st && out->why) *out = why_undefined("constant map in the region");
    }
    free(va);
    free(vb);
    return st;
}

/* ---------------------------------------------------------------- signs */
static double mass_of(const why_field *f) {
    double sum = 0;
    for (int i = 0; i < f->n; i++) sum += (double)fabsf(f->v[i]);
    return sum;
}

/* Mean over both maps of the share of its |mass| where the other has the opposite sign. */
static why_status sign_flip(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    const double mass_a = mass_of(a), mass_b = mass_of(b);
    double flipped_a = 0, flipped_b = 0;
    if (mass_a <= 0 || mass_b <= 0) return why_give_reason(out, "all-zero map");
    for (int i = 0; i < a->n; i++) {
        if (sign(a->v[i]) * sign(b->v[i]) >= 0) continue;
        flipped_a += (double)fabsf(a->v[i]);
        flipped_b += (double)fabsf(b->v[i]);
    }
    return why_give(out, (flipped_a / mass_a + flipped_b / mass_b) / 2);
}

/* ---------------------------------------------------------------- table lines */
static const why_param top_params[] = {
    {"area", WHY_PARAM_REAL, "0.1", 1e-6, 1, NULL, "share of the cells that are compared"},
    {0},
};

static const why_param region_params[] = {
    {"area", WHY_PARAM_REAL, "0.2", 1e-6, 1, NULL, "share of the cells that each map brings into the region"},
    {0},
};

#define TOP_METRIC(name_, help_, flags_)                 \
    const why_metric why_metric_##name_ = {              \
        .name = #name_,                                  \
        .help = help_,                                   \
        .source = "Krishna et al. 2022, ties by chance", \
        .kind = WHY_PAIR,                                \
        .better = WHY_BETTER_NONE,                       \
        .flags = flags_,                                 \
        .lo = 0,                                         \
        .hi = 1,                                         \
        .list = "area",                                  \
        .params = top_params,                            \
        .pair = name_,                                   \
    }

TOP_METRIC(feature_agreement, "share of the cells of largest magnitude that both maps have", 0);
TOP_METRIC(sign_agreement, "the same, with the same sign", WHY_METRIC_SIGNED);
TOP_METRIC(rank_agreement, "share of the cells of largest magnitude that have the same place in both maps", 0);
TOP_METRIC(signed_rank_agreement, "the same, with the same sign", WHY_METRIC_SIGNED);
TOP_METRIC(pairwise_rank_agreement, "share of the pairs of cells, in the union of both top sets, that both maps order alike", 0);

const why_metric why_metric_within_region = {
    .name = "within_region",
    .help = "Spearman inside the union of both top sets: do maps that agree where also agree what?",
    .source = "Spearman 1904, on a region",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = -1,
    .hi = 1,
    .list = "area",
    .params = region_params,
    .pair = within_region,
};

const why_metric why_metric_sign_flip = {
    .name = "sign_flip",
    .help = "share of the absolute attribution that has the opposite sign in the other map",
    .source = "mean over both maps",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_SIGNED,
    .lo = 0,
    .hi = 1,
    .pair = sign_flip,
};
