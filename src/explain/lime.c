/* LIME for images (Ribeiro 2016, as lime 0.2): switch segments on and off at random, ask the model, and fit a weighted
 * ridge regression of the score on the on/off bits; a segment's value is its coefficient.
 *
 * Mask 0 shows everything, the others draw every bit with probability 1/2. A mask's distance is the cosine distance to
 * mask 0, 1 - sqrt(on/K), and its weight sqrt(exp(-distance^2 / width^2)). */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/game.h"
#include "explain/wls.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "1000", 2, 100000, NULL, "masks, the first one shows everything"},
    WHY_GAME_PARAMS("quickshift", "segment_mean"),
    {"width", WHY_PARAM_REAL, "0.25", 1e-3, 1e3, NULL, "width of the distance kernel"},
    {"alpha", WHY_PARAM_REAL, "1", 0, 1e6, NULL, "ridge penalty of the coefficients, not of the intercept"},
    {"selection", WHY_PARAM_CHOICE, "none", 0, 0, "none|highest_weights|forward_selection",
     "which segments enter the fit; none: all of them"},
    {"features", WHY_PARAM_INT, "10", 1, 100000, NULL, "how many segments a selection keeps; the others get 0"},
    {"reference", WHY_PARAM_BOOL, "false", 0, 0, NULL, "draw the masks that lime 0.2 draws with random_state = reference_seed"},
    {"reference_seed", WHY_PARAM_INT, "0", 0, 4294967295.0, NULL, "numpy seed of the reference masks"},
    {"masks", WHY_PARAM_TEXT, "", 0, 0, NULL, "rows of 0/1, one column per segment, from an .npy file instead of draws"},
    {0},
};

/* The random draws, a peer's draws, or a file. */
static why_status make_masks(const why_request *r, int k, why_masks *m) {
    int samples = (int)why_params_int(r->params, "samples");
    const char *file = why_params_text(r->params, "masks");
    if (file[0]) return why_masks_read(file, samples, k, m);
    if (why_params_bool(r->params, "reference"))
        return why_masks_reference((uint32_t)why_params_int(r->params, "reference_seed"), samples, k, m);
    return why_masks_draw(r->stream, samples, k, m);
}

/* ---------------------------------------------------------------- fit */
struct regression {
    const why_masks *m;
    double *y, *w;       /* scores and weights of the masks */
    double *x;           /* masks x segments, rewritten for every fit */
    double *coef, *se;   /* of the segments in `used` */
    int *unit;           /* every mask but the first is drawn on its own */
    int *used, n_used;   /* segments that enter the fit */
    double *phi, *error; /* of all segments */
};

static void regression_clear(struct regression *g) {
    free(g->y);
    free(g->w);
    free(g->x);
    free(g->coef);
    free(g->se);
    free(g->unit);
    free(g->used);
    free(g->phi);
    free(g->error);
}

static why_status regression_create(const why_masks *m, double width, struct regression *g) {
    size_t n = (size_t)m->n, k = (size_t)m->k;
    g->m = m;
    WHY_TRY(why_alloc(n, sizeof *g->y, "scores of the masks", &g->y));
    WHY_TRY(why_alloc(n, sizeof *g->w, "regression weights", &g->w));
    WHY_TRY(why_alloc(n * k, sizeof *g->x, "regression rows", &g->x));
    WHY_TRY(why_alloc(k, sizeof *g->coef, "coefficients", &g->coef));
    WHY_TRY(why_alloc(k, sizeof *g->se, "standard errors", &g->se));
    WHY_TRY(why_alloc(n, sizeof *g->unit, "regression rows", &g->unit));
    WHY_TRY(why_alloc(k, sizeof *g->used, "selected segments", &g->used));
    WHY_TRY(why_alloc(k, sizeof *g->phi, "coefficients", &g->phi));
    WHY_TRY(why_alloc(k, sizeof *g->error, "standard errors", &g->error));
    for (int i = 0; i < m->n; i++) {
        double distance = why_masks_distance(m, i);
        g->w[i] = sqrt(exp(-distance * distance / (width * width)));
        g->unit[i] = i - 1;
    }
    return WHY_OK;
}

/* Ridge regression on the segments in use. */
static why_status fit(struct regression *g, double alpha, bool errors, why_wls_fit *f) {
    const why_wls_draws draws = {.unit = g->unit, .units = g->m->n - 1, .strata = 1};
    double *x = g->x;
    for (int i = 0; i < g->m->n; i++)
        for (int j = 0; j < g->n_used; j++) *x++ = why_masks_bit(g->m, i, g->used[j]);
    return why_wls_ridge(g->x, g->y, g->w, g->m->n, g->n_used, alpha, errors ? &draws : NULL, g->coef, g->se, f);
}

/* ---------------------------------------------------------------- selection */
static void use_all(struct regression *g) {
    g->n_used = g->m->k;
    for (int k = 0; k < g->n_used; k++) g->used[k] = k;
}

/* Largest coefficients, by absolute value, of a ridge regression on all segments with alpha = 0.01 (lime 0.2). */
static why_status select_highest(struct regression *g, int features) {
    why_wls_fit f;
    use_all(g);
    WHY_TRY(fit(g, 0.01, false, &f));
    for (int n = 0; n < features; n++) {
        int best = n;
        for (int k = n + 1; k < g->m->k; k++)
            if (fabs(g->coef[g->used[k]]) > fabs(g->coef[g->used[best]])) best = k;
        int chosen = g->used[best]; /* the others keep their order: of equals the first is taken */
        memmove(g->used + n + 1, g->used + n, (size_t)(best - n) * sizeof *g->used);
        g->used[n] = chosen;
    }
    g->n_used = features;
    return WHY_OK;
}

static bool is_used(const struct regression *g, int n, int segment) {
    for (int i = 0; i < n; i++)
        if (g->used[i] == segment) return true;
    return false;
}

/* One segment after the other, each time the one that raises R^2 of an unpenalised fit the most. A segment that is a
 * combination of those chosen (masks too few) adds nothing and cannot be fitted. */
static why_status select_forward(struct regression *g, int features) {
    for (int n = 0; n < features; n++) {
        int best = -1;
        double highest = -INFINITY;
        g->n_used = n + 1;
        for (int k = 0; k < g->m->k; k++) {
            why_wls_fit f;
            if (is_used(g, n, k)) continue;
            g->used[n] = k;
            why_status st = fit(g, 0, false, &f);
            if (st && st != WHY_EUNDEFINED) return st;
            if (!st && f.r2 > highest) best = k, highest = f.r2;
        }
        g->n_used = n;
        if (best < 0) break;
        g->used[g->n_used++] = best;
    }
    if (g->n_used == 0) use_all(g); /* scores that never change: every choice is as good */
    return WHY_OK;
}

static why_status select_segments(const why_request *r, struct regression *g) {
    const char *how = why_params_text(r->params, "selection");
    int features = (int)why_params_int(r->params, "features");
    if (features > g->m->k) features = g->m->k;
    if (strcmp(how, "highest_weights") == 0) return select_highest(g, features);
    if (strcmp(how, "forward_selection") == 0) return select_forward(g, features);
    use_all(g);
    return WHY_OK;
}

/* ---------------------------------------------------------------- explanation */
static why_status explain_masks(const why_game *game, struct regression *g, why_explanation *out) {
    why_wls_fit f;
    WHY_TRY(why_game_values(game, g->m, g->y));
    WHY_TRY(select_segments(game->r, g));
    WHY_TRY(fit(g, why_params_real(game->r->params, "alpha"), true, &f));
    for (int j = 0; j < g->n_used; j++) {
        g->phi[g->used[j]] = g->coef[j];
        g->error[g->used[j]] = g->se[j];
    }
    out->fit = f.r2;
    out->evaluations = g->m->n;
    why_game_finish(game, g->phi, g->error, out);
    return WHY_OK;
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_game game;
    why_masks m = {0};
    struct regression g = {0};
    WHY_TRY(why_game_open(r, &game));
    why_status st = make_masks(r, game.players, &m);
    if (!st) st = regression_create(&m, why_params_real(r->params, "width"), &g);
    if (!st) st = explain_masks(&game, &g, out);
    regression_clear(&g);
    why_masks_clear(&m);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_params_int(p, "samples");
}

const why_explainer why_explainer_lime = {
    .name = "lime",
    .help = "weighted ridge regression of the score on segments switched on and off",
    .source = "Ribeiro 2016; lime 0.2",
    .flags = WHY_USES_SEGMENTS | WHY_STOCHASTIC,
    .output = WHY_PROBABILITY,
    .budget = "samples",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
