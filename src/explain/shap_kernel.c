/* Kernel SHAP (Lundberg and Lee 2017, Theorem 2): Shapley values are the solution of a weighted least squares problem over
 * coalitions S of segments, phi = argmin sum of w(S) (v(S) - v(0) - sum of phi over S)^2 with sum of phi = v(all) - v(0),
 * where w(S) = (M-1) / (C(M,|S|) |S| (M-|S|)). Which coalitions are scored is coalitions_*.c's matter. No l1 selection unless
 * asked for: the peer's default, num_features(10), keeps ten segments and zeroes the others. */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/cache.h"
#include "explain/coalitions.h"
#include "explain/game.h"
#include "explain/kriging.h"
#include "explain/l1.h"
#include "explain/until.h"
#include "explain/wls.h"

static const why_param params[] = {
    {"evaluations", WHY_PARAM_INT, "0", 0, 1000000, NULL, "budget, the empty and the full picture included; 0: 2 M + 2050, shap's choice"},
    WHY_GAME_PARAMS("quickshift", "mean"),
    {"sampling", WHY_PARAM_CHOICE, "shap", 0, 0, "shap|tight",
     "shap: as shap 0.49.1; tight: pairs by leverage score, without replacement, interactions interpolated"},
    {"l1_features", WHY_PARAM_INT, "0", 0, 100000, NULL,
     "segments that LARS keeps, the others get 0; 0: all. shap: l1_reg='num_features(k)'"},
    {"l1_alpha", WHY_PARAM_REAL, "0", 0, 1e6, NULL, "keep the segments that a lasso with this penalty keeps; 0: all. shap: l1_reg=alpha"},
    WHY_SHARED_PARAM,
    WHY_UNTIL_PARAM,
    {"reference", WHY_PARAM_BOOL, "false", 0, 0, NULL, "draw what shap 0.49.1 draws after numpy.random.seed(reference_seed)"},
    {"reference_seed", WHY_PARAM_INT, "0", 0, 4294967295.0, NULL, "numpy seed of the reference draws"},
    {0},
};

static bool is_shared(const why_params *p) {
    return strcmp(why_params_text(p, "coalitions"), "shared") == 0 && !why_params_bool(p, "reference");
}

static bool is_tight(const why_params *p) { return strcmp(why_params_text(p, "sampling"), "tight") == 0 && !is_shared(p); }

/* All coalitions, if the budget is as large; empty and full are in it. Tight sampling takes pairs. */
static int64_t budget_of(const why_params *p, int players) {
    int64_t wanted = why_params_int(p, "evaluations"), most = (int64_t)why_coalitions_most(players) + 2;
    if (wanted == 0) wanted = 2 * (int64_t)players + 2050;
    if (is_tight(p)) wanted -= wanted % 2;
    return wanted < most ? wanted : most;
}

/* Interpolation has no coefficients to select. */
static why_status check_selection(const why_params *p) {
    const bool features = why_params_int(p, "l1_features") > 0, alpha = why_params_real(p, "l1_alpha") > 0;
    if (features && alpha) return why_fail(WHY_EARG, "l1_features and l1_alpha: both are given, want one");
    if ((features || alpha) && is_tight(p)) return why_fail(WHY_EARG, "l1_features and l1_alpha: not with tight sampling");
    return WHY_OK;
}

/* A coalition and its complement tell one thing between them, and M - 1 unknowns are left by the sum. */
static why_status check_budget(int64_t budget, int players, bool tight) {
    int64_t least = 2 * (int64_t)players;
    if (tight && budget > WHY_KRIGING_MOST + 2 && budget < why_coalitions_most(players))
        return why_fail(WHY_EARG, "evaluations: got %lld, want at most %d with tight sampling", (long long)budget, WHY_KRIGING_MOST + 2);
    if (budget >= least || players == 1) return WHY_OK;
    return why_fail(WHY_EARG, "evaluations: got %lld, want at least %lld for %d segments", (long long)budget, (long long)least, players);
}

/* With a budget for all coalitions, all of them are scored, whoever else draws some. */
static why_status choose_coalitions(const why_game *g, int budget, why_coalitions *c) {
    const why_request *r = g->r;
    const int players = g->players;
    if (is_shared(r->params) && budget < why_coalitions_most(players))
        return why_coalitions_shared(why_game_shared_stream(g), players, budget, c);
    if (is_tight(r->params)) return why_coalitions_tight(r->stream, players, budget, c);
    const uint32_t seed = (uint32_t)why_params_int(r->params, "reference_seed");
    return why_coalitions_shap(r->stream, why_params_bool(r->params, "reference") ? &seed : NULL, players, budget, c);
}

/* v(0) and v(all). */
static why_status score_ends(const why_game *g, double ends[2]) {
    why_masks m;
    WHY_TRY(why_masks_create(2, g->players, &m));
    why_masks_complement(&m, 1, 0);
    why_status st = why_game_values(g, &m, ends);
    why_masks_clear(&m);
    return st;
}

struct solution {
    double *x, *y, *phi, *se; /* n x M, n, M, M */
    int *used, n_used;        /* segments of the regression, ascending */
};

static void solution_clear(struct solution *s) {
    free(s->x);
    free(s->y);
    free(s->phi);
    free(s->se);
    free(s->used);
}

static why_status solution_create(int n, int players, struct solution *s) {
    size_t k = (size_t)players;
    WHY_TRY(why_alloc((size_t)n * k, sizeof *s->x, "regression rows", &s->x));
    WHY_TRY(why_alloc((size_t)n, sizeof *s->y, "scores of the coalitions", &s->y));
    WHY_TRY(why_alloc(k, sizeof *s->phi, "Shapley values", &s->phi));
    WHY_TRY(why_alloc(k, sizeof *s->se, "standard errors", &s->se));
    return why_alloc(k, sizeof *s->used, "selected segments", &s->used);
}

/* The problem with the sum put in: every coalition against the empty and against the full one (_kernel.py, solve). Weights
 * add up to one there. */
static void augment(const why_coalitions *c, const double *y, double gap, double *x, double *target) {
    const int n = c->masks.n, players = c->masks.k;
    double sum = 0;
    for (int i = 0; i < n; i++) sum += c->weight[i];
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < n; i++) {
            const int size = why_masks_count(&c->masks, i);
            const double root = sqrt(c->weight[i] / sum * (half ? size : players - size));
            for (int k = 0; k < players; k++) *x++ = root * (why_masks_bit(&c->masks, i, k) - half);
            *target++ = root * (y[i] - half * gap);
        }
}

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Ascending, so that the rounding does not depend on the order of selection. */
static why_status select_augmented(const why_params *p, const double *x, const double *target, int n, int players, double *coef, int *used,
                                   int *n_used) {
    const int features = (int)why_params_int(p, "l1_features");
    *n_used = 0;
    if (features > 0) {
        WHY_TRY(why_lars(x, target, n, players, features < players ? features : players, used, n_used));
        qsort(used, (size_t)*n_used, sizeof *used, compare_ints);
        return WHY_OK;
    }
    WHY_TRY(why_lasso(x, target, n, players, why_params_real(p, "l1_alpha"), coef));
    for (int k = 0; k < players; k++)
        if (coef[k] != 0) used[(*n_used)++] = k;
    return WHY_OK;
}

/* Segments that enter the regression. */
static why_status select_segments(const why_game *g, const why_coalitions *c, double gap, struct solution *s) {
    const why_params *p = g->r->params;
    const size_t n = 2 * (size_t)c->masks.n, players = (size_t)g->players;
    double *x, *target = NULL;
    s->n_used = g->players;
    for (int k = 0; k < g->players; k++) s->used[k] = k;
    if (why_params_int(p, "l1_features") == 0 && why_params_real(p, "l1_alpha") <= 0) return WHY_OK;
    WHY_TRY(why_alloc(n * players, sizeof *x, "l1 selection", &x));
    why_status st = why_alloc(n, sizeof *target, "l1 selection", &target);
    if (!st) {
        augment(c, s->y, gap, x, target);
        st = select_augmented(p, x, target, (int)n, g->players, s->phi, s->used, &s->n_used);
    }
    free(x);
    free(target);
    return st;
}

/* Coefficients of the selected segments to their places, backwards: none is overwritten before it is read. */
static void spread(int players, const int *used, int n_used, double *v) {
    for (int k = players - 1, at = n_used - 1; k >= 0; k--) v[k] = at >= 0 && used[at] == k ? v[at--] : 0;
}

/* With every coalition scored there is nothing to interpolate. */
static why_status solve(const why_game *g, const why_coalitions *c, const double ends[2], struct solution *s) {
    const double gap = ends[1] - ends[0];
    double *x = s->x;
    WHY_TRY(why_game_values(g, &c->masks, s->y));
    if (is_tight(g->r->params) && c->draws.units > 0) return why_kriging(c, s->y, gap, s->phi, s->se);
    for (int i = 0; i < c->masks.n; i++) s->y[i] -= ends[0];
    WHY_TRY(select_segments(g, c, gap, s));
    for (int i = 0; i < c->masks.n; i++)
        for (int k = 0; k < s->n_used; k++) *x++ = why_masks_bit(&c->masks, i, s->used[k]);
    if (s->n_used > 0) WHY_TRY(why_wls_with_sum(s->x, s->y, c->weight, c->masks.n, s->n_used, gap, &c->draws, s->phi, s->se));
    spread(g->players, s->used, s->n_used, s->phi);
    spread(g->players, s->used, s->n_used, s->se);
    return WHY_OK;
}

static why_status solve_all(const why_game *g, const why_coalitions *c, struct solution *s, why_explanation *out) {
    double ends[2];
    WHY_TRY(score_ends(g, ends));
    WHY_TRY(solve(g, c, ends, s));
    out->residual = ends[1] - ends[0];
    for (int k = 0; k < g->players; k++) out->residual -= s->phi[k];
    out->ess = c->ess;
    return WHY_OK;
}

/* ---------------------------------------------------------------- explanation */
/* shap's coalitions of a smaller budget need not be among those of a larger one: `seen` counts all that were scored. */
static why_status count_coalitions(const why_params *p, const why_coalitions *c, why_cache *seen, int64_t *n) {
    if (is_shared(p) || is_tight(p)) {
        *n = c->masks.n + 2;
        return WHY_OK;
    }
    for (int i = 0; i < c->masks.n; i++) {
        int row;
        bool fresh;
        WHY_TRY(why_cache_row_of(seen, why_masks_row(&c->masks, i), c->masks.words * sizeof(uint64_t), &row, &fresh));
        *n += fresh;
    }
    return WHY_OK;
}

/* One budget; *end: it was the last. */
static why_status try_budget(const why_game *g, int budget, int most, why_cache *seen, why_explanation *out, bool *end) {
    struct solution s = {0};
    why_coalitions c;
    WHY_TRY(choose_coalitions(g, budget - 2, &c));
    why_status st = solution_create(c.masks.n, g->players, &s);
    if (!st) st = solve_all(g, &c, &s, out);
    if (!st) st = count_coalitions(g->r->params, &c, seen, &out->evaluations);
    if (!st) {
        *end = why_until_reached(g->r->params, budget, most, why_game_se_range(s.phi, s.se, g->players), out);
        if (*end) st = why_game_finish(g, s.phi, s.se, out);
    }
    solution_clear(&s);
    why_coalitions_clear(&c);
    return st;
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_game g;
    why_cache *seen;
    bool end = false;
    WHY_TRY(why_game_open(r, &g));
    WHY_TRY(check_selection(r->params));
    const int64_t most = budget_of(r->params, g.players);
    WHY_TRY(check_budget(most, g.players, is_tight(r->params)));
    WHY_TRY(why_cache_create(1, &seen));
    why_status st = WHY_OK;
    out->evaluations = 2;
    for (int budget = 0; !st && !end;) {
        budget = why_until_next(r->params, budget, 4 * g.players, (int)most);
        st = try_budget(&g, budget, (int)most, seen, out, &end);
    }
    why_cache_destroy(&seen);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w;
    if (segments > 0) return budget_of(p, segments);
    int64_t wanted = why_params_int(p, "evaluations");
    return wanted > 0 ? wanted : 2050;
}

/* shap's sizes that are enumerated change with the budget. */
static const char *budget_kind(const why_params *p) { return is_shared(p) ? "prefix" : is_tight(p) ? "nested" : "replanned"; }

const why_explainer why_explainer_shap_kernel = {
    .name = "shap_kernel",
    .help = "Shapley values of the segments by weighted least squares over coalitions",
    .source = "Lundberg 2017; shap 0.49.1 KernelExplainer; tight: Musco 2025",
    .flags = WHY_USES_SEGMENTS | WHY_STOCHASTIC,
    .output = WHY_PROBABILITY,
    .budget = "evaluations",
    .budget_kind = budget_kind,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
