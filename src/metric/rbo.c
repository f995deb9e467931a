/* Rank-biased overlap (Webber, Moffat and Zobel 2010) of the cells of two maps, largest first. */
#include "metric/metrics.h"

/* A map's tied block at the present depth: places [from, to). */
struct block {
    const why_field *f;
    int from, to;
};

/* How far a cell has come in one list. */
enum stage { AHEAD, INSIDE, PASSED };

/* A cell's rank says where it stands: its block is the one whose places have that average. */
static enum stage stage_of(const struct block *b, int cell) {
    const int rank2 = b->f->rank2[cell], now = 2 * b->f->n - (b->from + b->to - 1);
    return rank2 > now ? PASSED : rank2 == now ? INSIDE : AHEAD;
}

/* Cells by their stage in both lists. */
struct overlap {
    struct block a, b;
    int64_t count[3][3];
};

static void move_cells(struct overlap *o, const struct block *of, const struct block *other, bool swapped, enum stage was, enum stage is) {
    for (int i = of->from; i < of->to; i++) {
        const enum stage there = stage_of(other, of->f->order[i]);
        o->count[swapped ? there : was][swapped ? was : there]--;
        o->count[swapped ? there : is][swapped ? is : there]++;
    }
}

/* On to the block of the next place. */
static void next_block(struct overlap *o, struct block *of, const struct block *other, bool swapped) {
    const why_field *f = of->f;
    move_cells(o, of, other, swapped, INSIDE, PASSED);
    of->from = of->to;
    while (of->to < f->n && f->v[f->order[of->to]] == f->v[f->order[of->from]]) of->to++;
    move_cells(o, of, other, swapped, AHEAD, INSIDE);
}

/* Expected size of the overlap of the first `depth` cells when each list breaks its ties by a coin of its own. */
static double overlap_at(struct overlap *o, int depth) {
    if (depth > o->a.to) next_block(o, &o->a, &o->b, false);
    if (depth > o->b.to) next_block(o, &o->b, &o->a, true);
    const double in_a = (double)(depth - o->a.from) / (o->a.to - o->a.from), in_b = (double)(depth - o->b.from) / (o->b.to - o->b.from);
    return (double)o->count[PASSED][PASSED] + in_b * (double)o->count[PASSED][INSIDE] + in_a * (double)o->count[INSIDE][PASSED] +
           in_a * in_b * (double)o->count[INSIDE][INSIDE];
}

/* Extrapolated (their eq. 30): (1 - p) Sum_d p^(d-1) X_d / d over the depths of the lists, and p^n X_n / n behind them, where the
 * overlap is complete. */
static why_status rbo(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    const double cells = why_params_real(p, "share") * a->n, persistence = cells > 1 ? 1 - 1 / cells : 0;
    struct overlap o = {.a = {.f = a}, .b = {.f = b}, .count = {[AHEAD] = {[AHEAD] = a->n}}};
    double weight = 1, sum = 0;
    for (int depth = 1; depth <= a->n; depth++) {
        sum += (1 - persistence) * weight * overlap_at(&o, depth) / depth;
        weight *= persistence;
    }
    return why_give(out, sum + weight);
}

static const why_param params[] = {
    {"share", WHY_PARAM_REAL, "0.1", 1e-6, 1, NULL, "expected depth of a reader, as a share of the cells: p = 1 - 1 / (share n)"},
    {0},
};

const why_metric why_metric_rbo = {
    .name = "rbo",
    .help = "rank-biased overlap of the cells, largest first, extrapolated; ties by chance",
    .source = "Webber et al. 2010",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .lo = 0,
    .hi = 1,
    .list = "share",
    .params = params,
    .pair = rbo,
};
