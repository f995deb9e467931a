/* Shapley values by permutations (shap 0.49.1, _permutation.py; Castro 2009, antithetic pairs after Mitchell 2022): the
 * segments join the picture one by one in a random order and then leave it again in the same order. Joining, a segment is
 * worth what the score gains; leaving, what it loses: that is the same order walked backwards. Each walk of 2M + 1
 * evaluations adds up to f(full) - f(empty) twice, so the mean does exactly. */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "explain/game.h"
#include "explain/until.h"

static const why_param params[] = {
    {"evaluations", WHY_PARAM_INT, "500", 3, 10000000, NULL, "budget; every permutation of M segments takes 2 M + 1"},
    WHY_GAME_PARAMS("quickshift", "mean"),
    WHY_UNTIL_PARAM,
    {"reference", WHY_PARAM_BOOL, "false", 0, 0, NULL, "shuffle as shap 0.49.1 does after numpy.random.seed(reference_seed)"},
    {"reference_seed", WHY_PARAM_INT, "0", 0, 4294967295.0, NULL, "numpy seed of the reference permutations"},
    {0},
};

struct walks {
    int players, n;
    int *order;                       /* n x players */
    double *value;                    /* of one walk */
    double *sum, *squares, *phi, *se; /* players; of the walks' means of joining and leaving */
};

static void walks_clear(struct walks *w) {
    free(w->order);
    free(w->value);
    free(w->sum);
    free(w->squares);
    free(w->phi);
    free(w->se);
}

static why_status walks_create(int players, int n, struct walks *w) {
    size_t k = (size_t)players;
    w->players = players;
    w->n = n;
    WHY_TRY(why_alloc((size_t)n * k, sizeof *w->order, "permutations", &w->order));
    WHY_TRY(why_alloc(2 * k + 1, sizeof *w->value, "scores of a permutation", &w->value));
    WHY_TRY(why_alloc(k, sizeof *w->sum, "Shapley values", &w->sum));
    WHY_TRY(why_alloc(k, sizeof *w->squares, "Shapley values", &w->squares));
    WHY_TRY(why_alloc(k, sizeof *w->phi, "Shapley values", &w->phi));
    return why_alloc(k, sizeof *w->se, "standard errors", &w->se);
}

/* ---------------------------------------------------------------- orders */
static void swap(int *a, int *b) {
    int t = *a;
    *a = *b;
    *b = t;
}

/* Fisher-Yates from the end, as numpy's. Permutation i is a function of (stream, i): a shorter run is a prefix. */
static void shuffle(why_stream stream, int i, int players, int *order) {
    why_rng g = why_rng_at(stream, (uint64_t)i);
    for (int k = 0; k < players; k++) order[k] = k;
    for (int k = players - 1; k > 0; k--) swap(&order[k], &order[why_rng_below(&g, (uint32_t)k + 1)]);
}

/* The peer shuffles what the last shuffle left. */
static void shuffle_as_shap(uint32_t seed, struct walks *w) {
    why_mt19937 g;
    why_mt19937_seed(&g, seed);
    for (int i = 0; i < w->n; i++) {
        int *order = w->order + (size_t)i * (size_t)w->players;
        for (int k = 0; k < w->players; k++) order[k] = i == 0 ? k : order[k - w->players];
        for (int k = w->players - 1; k > 0; k--) swap(&order[k], &order[why_mt19937_below(&g, (uint32_t)k + 1)]);
    }
}

static void draw_orders(const why_request *r, struct walks *w) {
    if (why_params_bool(r->params, "reference")) {
        shuffle_as_shap((uint32_t)why_params_int(r->params, "reference_seed"), w);
        return;
    }
    for (int i = 0; i < w->n; i++) shuffle(r->stream, i, w->players, w->order + (size_t)i * (size_t)w->players);
}

/* ---------------------------------------------------------------- walks */
/* Coalitions of a walk: row t has the t players that joined first, row M + t lacks the t that left first. */
static void walk(const int *order, why_masks *m) {
    for (int t = 1; t <= m->k; t++) {
        why_masks_copy(m, t, t - 1);
        why_masks_set(m, t, order[t - 1]);
    }
    for (int t = 1; t <= m->k; t++) why_masks_complement(m, m->k + t, t);
}

static void add_walk(const int *order, struct walks *w) {
    for (int t = 0; t < w->players; t++) {
        const double *v = w->value;
        double gain = v[t + 1] - v[t], loss = v[w->players + t] - v[w->players + t + 1], mean = (gain + loss) / 2;
        w->sum[order[t]] += mean;
        w->squares[order[t]] += mean * mean;
    }
}

/* Walks `from` to `to` - 1. */
static why_status run(const why_game *g, why_masks *m, int from, int to, struct walks *w, double *gap) {
    for (int i = from; i < to; i++) {
        const int *order = w->order + (size_t)i * (size_t)w->players;
        walk(order, m);
        WHY_TRY(why_game_values(g, m, w->value));
        add_walk(order, w);
    }
    *gap = w->value[w->players] - w->value[0];
    return WHY_OK;
}

/* Means of n walks, their standard errors (one walk tells of none), and what the means leave of f(full) - f(empty). */
static double summarise(struct walks *w, int n, double gap) {
    for (int k = 0; k < w->players; k++) {
        w->phi[k] = w->sum[k] / n;
        double variance = fmax(0, w->squares[k] / n - w->phi[k] * w->phi[k]) / (n - 1);
        w->se[k] = n > 1 ? sqrt(variance) : NAN;
        gap -= w->phi[k];
    }
    return gap;
}

/* A standard error from fewer walks is mostly luck. */
enum { LEAST_WALKS = 5 };

static why_status run_until_precise(const why_game *g, why_masks *m, struct walks *w, why_explanation *out) {
    const why_params *p = g->r->params;
    double gap;
    for (int n = 0, last = 0;; last = n) {
        n = why_until_next(p, n, LEAST_WALKS, w->n);
        WHY_TRY(run(g, m, last, n, w, &gap));
        out->residual = summarise(w, n, gap);
        out->evaluations = (int64_t)n * m->n;
        if (why_until_reached(p, n, w->n, why_game_se_range(w->phi, w->se, w->players), out)) break;
    }
    return why_game_finish(g, w->phi, w->se, out);
}

static why_status explain_walks(const why_game *g, int n, why_explanation *out) {
    struct walks w = {0};
    why_masks m = {0};
    why_status st = walks_create(g->players, n, &w);
    if (!st) st = why_masks_create(2 * g->players + 1, g->players, &m);
    if (!st) {
        draw_orders(g->r, &w);
        st = run_until_precise(g, &m, &w, out);
    }
    why_masks_clear(&m);
    walks_clear(&w);
    return st;
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_game g;
    WHY_TRY(why_game_open(r, &g));
    int64_t budget = why_params_int(r->params, "evaluations"), each = 2 * (int64_t)g.players + 1;
    if (budget < each)
        return why_fail(WHY_EARG, "evaluations: got %lld, want at least %lld, one permutation of %d segments", (long long)budget,
                        (long long)each, g.players);
    return explain_walks(&g, (int)(budget / each), out);
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w;
    int64_t budget = why_params_int(p, "evaluations"), each = 2 * (int64_t)segments + 1;
    return segments > 0 ? budget / each * each : budget;
}

const why_explainer why_explainer_shap_permutation = {
    .name = "shap_permutation",
    .help = "Shapley values of the segments from random orders, each walked forward and backward",
    .source = "Castro 2009; shap 0.49.1 PermutationExplainer",
    .flags = WHY_USES_SEGMENTS | WHY_STOCHASTIC,
    .output = WHY_PROBABILITY,
    .budget = "evaluations",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
