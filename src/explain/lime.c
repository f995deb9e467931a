/* LIME for images (Ribeiro 2016, as lime 0.2): switch segments on and off at random, ask the model, and fit a weighted
 * ridge regression of the score on the on/off bits; a segment's value is its coefficient.
 *
 * Mask 0 shows everything, the others draw every bit with probability 1/2. A mask's distance is the cosine distance to
 * mask 0, 1 - sqrt(on/K), and its weight sqrt(exp(-distance^2 / width^2)).
 *
 * Which masks come together is free, and balanced ones tell more than independent ones (masks_balanced.c). Shared ones come
 * from another distribution q, uniform over sizes, and count 2^-K / q times as much; that leaves out the empty and the full
 * mask, which are added with what a draw would have given them. */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/coalitions.h"
#include "explain/game.h"
#include "explain/until.h"
#include "explain/wls.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "1000", 2, 100000, NULL, "masks, the first one shows everything"},
    WHY_GAME_PARAMS("quickshift", "segment_mean"),
    {"sampling", WHY_PARAM_CHOICE, "balanced", 0, 0, "balanced|independent",
     "balanced: complements, and any two segments independent in every block; independent: as lime"},
    WHY_SHARED_PARAM,
    WHY_UNTIL_PARAM,
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

static bool is(const why_request *r, const char *name, const char *value) { return strcmp(why_params_text(r->params, name), value) == 0; }

static bool is_shared(const why_request *r) {
    return is(r, "coalitions", "shared") && !why_params_bool(r->params, "reference") && !*why_params_text(r->params, "masks");
}

/* The full and the empty picture, then what all share. */
static why_status shared_masks(const why_game *g, int samples, why_masks *m) {
    WHY_TRY(why_masks_create(samples, g->players, m));
    why_masks_complement(m, 0, 1);
    const why_status st = why_masks_by_size(why_game_shared_stream(g), 2, m);
    if (st) why_masks_clear(m);
    return st;
}

/* The random draws, a peer's draws, or a file. */
static why_status make_masks(const why_game *g, why_masks *m) {
    const why_request *r = g->r;
    int samples = (int)why_params_int(r->params, "samples");
    const char *file = why_params_text(r->params, "masks");
    if (file[0]) return why_masks_read(file, samples, g->players, m);
    if (why_params_bool(r->params, "reference"))
        return why_masks_reference((uint32_t)why_params_int(r->params, "reference_seed"), samples, g->players, m);
    if (is_shared(r)) return shared_masks(g, samples, m);
    if (is(r, "sampling", "balanced")) return why_masks_balanced(r->stream, samples, g->players, m);
    return why_masks_draw(r->stream, samples, g->players, m);
}

/* ---------------------------------------------------------------- fit */
struct regression {
    const why_masks *m;
    int n;               /* masks that are scored */
    double *y;           /* their scores */
    double *kernel;      /* weights of the masks by distance */
    double *w;           /* and in the regression */
    double *x;           /* masks x segments, rewritten for every fit */
    double *coef, *se;   /* of the segments in `used` */
    int *unit;           /* what was drawn together; the first mask was not drawn */
    int units;
    int *used, n_used;   /* segments that enter the fit */
    double *phi, *error; /* of all segments */
};

static void regression_clear(struct regression *g) {
    free(g->y);
    free(g->kernel);
    free(g->w);
    free(g->x);
    free(g->coef);
    free(g->se);
    free(g->unit);
    free(g->used);
    free(g->phi);
    free(g->error);
}

/* Rows of pairs follow the rows that are not drawn. */
static void number_units(const why_request *r, struct regression *g) {
    const bool own = why_params_bool(r->params, "reference") || *why_params_text(r->params, "masks");
    const bool paired = !own && (is_shared(r) || is(r, "sampling", "balanced"));
    const int first = is_shared(r) ? 2 : 1;
    for (int i = 0; i < g->m->n; i++) g->unit[i] = i < first ? -1 : paired ? (i - first) / 2 : i - first;
}

static why_status regression_create(const why_request *r, const why_masks *m, struct regression *g) {
    const double width = why_params_real(r->params, "width");
    size_t n = (size_t)m->n, k = (size_t)m->k;
    g->m = m;
    WHY_TRY(why_alloc(n, sizeof *g->y, "scores of the masks", &g->y));
    WHY_TRY(why_alloc(n, sizeof *g->kernel, "weights of the masks", &g->kernel));
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
        g->kernel[i] = sqrt(exp(-distance * distance / (width * width)));
    }
    number_units(r, g);
    return WHY_OK;
}

/* Shared draws: 2^-K / q for the masks drawn, n - 2 where LIME has n - 1; and in place of the draws that would have been empty
 * or full, these two themselves. */
static void reweight(struct regression *g) {
    const int k = g->m->k, draws = g->n - 1;
    const double end = draws * ldexp(1, -k);
    g->w[0] *= 1 + end;
    g->w[1] *= end;
    for (int i = 2; i < g->n; i++)
        g->w[i] *= (k - 1) * why_choose(k, why_masks_count(g->m, i)) * ldexp(1, -k) * draws / (draws - 1.0);
}

/* Kish 1965. */
static double effective_size(const double *w, int n) {
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += w[i], squares += w[i] * w[i];
    return squares > 0 ? sum * sum / squares : NAN;
}

/* The weights of the first n masks. */
static void use_masks(const why_request *r, int n, struct regression *g, why_explanation *out) {
    g->n = n;
    memcpy(g->w, g->kernel, (size_t)n * sizeof *g->w);
    g->units = g->unit[n - 1] + 1;
    if (!is_shared(r)) return;
    reweight(g);
    out->ess = effective_size(g->w + 2, n - 2);
}

/* Ridge regression on the segments in use. */
static why_status fit(struct regression *g, double alpha, bool errors, why_wls_fit *f) {
    const why_wls_draws draws = {.unit = g->unit, .units = g->units, .strata = 1};
    double *x = g->x;
    for (int i = 0; i < g->n; i++)
        for (int j = 0; j < g->n_used; j++) *x++ = why_masks_bit(g->m, i, g->used[j]);
    return why_wls_ridge(g->x, g->y, g->w, g->n, g->n_used, alpha, errors ? &draws : NULL, g->coef, g->se, f);
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
static why_status fit_selected(const why_request *r, struct regression *g, why_explanation *out) {
    const size_t k = (size_t)g->m->k;
    why_wls_fit f;
    WHY_TRY(select_segments(r, g));
    WHY_TRY(fit(g, why_params_real(r->params, "alpha"), true, &f));
    memset(g->phi, 0, k * sizeof *g->phi);
    memset(g->error, 0, k * sizeof *g->error);
    for (int j = 0; j < g->n_used; j++) {
        g->phi[g->used[j]] = g->coef[j];
        g->error[g->used[j]] = g->se[j];
    }
    out->fit = f.r2;
    out->evaluations = g->n;
    return WHY_OK;
}

/* The first look at the errors is after four masks per segment: below, the fit follows its masks too closely to doubt them. */
static why_status explain_masks(const why_game *game, struct regression *g, why_explanation *out) {
    const why_request *r = game->r;
    for (int n = 0, last = 0;; last = n) {
        n = why_until_next(r->params, n, 4 * g->m->k + (is_shared(r) ? 4 : 3), g->m->n);
        WHY_TRY(why_game_values_of(game, g->m, last, n, g->y));
        use_masks(r, n, g, out);
        WHY_TRY(fit_selected(r, g, out));
        if (why_until_reached(r->params, n, g->m->n, why_game_se_range(g->phi, g->error, g->m->k), out)) break;
    }
    return why_game_finish(game, g->phi, g->error, out);
}

static why_status explain(const why_request *r, why_explanation *out) {
    why_game game;
    why_masks m = {0};
    struct regression g = {0};
    WHY_TRY(why_game_open(r, &game));
    why_status st = make_masks(&game, &m);
    if (!st) st = regression_create(r, &m, &g);
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
