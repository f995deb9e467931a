/* Shapley values of the segments, exactly: all 2^M coalitions are scored, and
 *
 *     phi_i = sum over S without i of  |S|! (M - |S| - 1)! / M!  (v(S + i) - v(S))        (Shapley 1953)
 *
 * The truth that the sampling explainers are measured against; feasible for a handful of segments. */
#include "explain/explainer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "explain/game.h"

enum { MOST_PLAYERS = 14 };

static const why_param params[] = {
    WHY_GAME_PARAMS("grid(3,4)", "mean"),
    {0},
};

/* Coalition c is the binary number c. */
static why_status every_coalition(int players, why_masks *m) {
    WHY_TRY(why_masks_create(1 << players, players, m));
    for (int c = 0; c < m->n; c++) m->bits[c] = (uint64_t)c;
    return WHY_OK;
}

/* weight[s] = s! (M - s - 1)! / M! = 1 / (M C(M-1, s)) */
static void shapley_weights(int players, double *weight) {
    double choose = 1;
    for (int s = 0; s < players; s++) {
        weight[s] = 1 / (players * choose);
        choose = choose * (players - 1 - s) / (s + 1);
    }
}

static void shapley_values(int players, const double *value, double *phi) {
    double weight[MOST_PLAYERS];
    shapley_weights(players, weight);
    for (uint32_t i = 0; i < (uint32_t)players; i++) {
        phi[i] = 0;
        for (uint32_t c = 0; c < 1u << players; c++)
            if (!(c >> i & 1)) phi[i] += weight[__builtin_popcount(c)] * (value[c | 1u << i] - value[c]);
    }
}

static double additivity_residual(int players, const double *value, const double *phi) {
    double rest = value[(1 << players) - 1] - value[0];
    for (int i = 0; i < players; i++) rest -= phi[i];
    return rest;
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_game g;
    why_masks m = {0};
    double *value = NULL, phi[MOST_PLAYERS];
    WHY_TRY(why_game_open(r, &g));
    if (g.players > MOST_PLAYERS)
        return why_fail(WHY_ELIMIT, "shap_exact: %d segments are 2^%d coalitions, want at most %d segments", g.players, g.players,
                        MOST_PLAYERS);
    why_status st = every_coalition(g.players, &m);
    if (!st) st = why_alloc((size_t)m.n, sizeof *value, "scores of the coalitions", &value);
    if (!st) st = why_game_values(&g, &m, value);
    if (!st) {
        shapley_values(g.players, value, phi);
        out->residual = additivity_residual(g.players, value, phi);
        out->evaluations = m.n;
        st = why_game_finish(&g, phi, NULL, out);
    }
    free(value);
    why_masks_clear(&m);
    return st;
}

/* Segments unknown: those of the default grid. */
static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)p, (void)h, (void)w;
    return (int64_t)1 << (segments <= 0 || segments > MOST_PLAYERS ? 12 : segments);
}

const why_explainer why_explainer_shap_exact = {
    .name = "shap_exact",
    .help = "Shapley values of at most 14 segments from all coalitions",
    .source = "Shapley 1953; equal to shap 0.49.1 ExactExplainer",
    .flags = WHY_USES_SEGMENTS,
    .output = WHY_PROBABILITY,
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
