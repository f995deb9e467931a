/* Kernel SHAP fits an additive game to the scores and leaves the rest as noise. That rest is no noise but interactions,
 * and they are alike in coalitions that are alike: interpolating them from the coalitions scored to all others cuts the
 * error several times at the same budget.
 *
 * Only the odd part of a game matters, o(S) = (v(S) - v(not S)) / 2, one number per pair. With s_i = +-1 for a player in or
 * out, o is a sum over odd sets U of players of f_U * prod of s_i in U, and each term gives its players 2 f_U / |U|. Take
 * the coefficients f_{i} as free and those of larger U as drawn with variance prod of rho_i (Rasmussen and Williams 2006,
 * 2.7: linear part plus Gaussian process). The covariance of o(S) and o(T) is then, with c_i = atanh(rho_i) s_i t_i, the
 * odd half of prod (1 + rho_i s_i t_i), proportional to sinh(sum of c_i). Generalised least squares gives the additive part
 * and the best linear interpolation of the rest, whose Shapley values are known in closed form: for the covariance with
 * one T as a game,
 *
 *     phi_i = t_i rho_i  integral over x from 0 to 1 of  prod_{j != i} (1 + rho_j t_j x) + prod_{j != i} (1 - rho_j t_j x).
 *
 * The full picture is one of the pairs, so the values add up to v(all) - v(0), and additive games are found exactly. rho is
 * chosen by restricted likelihood: first one for all players, then larger for players that matter more. */
#include "explain/kriging.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/wls.h"

/* Gauss-Legendre nodes and weights on [0, 1]: exact for 32 players, and to rounding for more. */
static const double quadrature[][2] = {
    {0.005299532504175031, 0.013576229705877019}, {0.0277124884633837, 0.031126761969323853}, {0.06718439880608412, 0.047579255841246296},
    {0.1222977958224985, 0.062314485627767015},   {0.19106187779867811, 0.07479799440828838}, {0.2709916111713863, 0.08457825969750131},
    {0.35919822461037054, 0.0913017075224618},    {0.4524937450811813, 0.09472530522753429},  {0.5475062549188188, 0.09472530522753429},
    {0.6408017753896295, 0.0913017075224618},     {0.7290083888286136, 0.08457825969750131},  {0.8089381222013219, 0.07479799440828838},
    {0.8777022041775016, 0.062314485627767015},   {0.9328156011939159, 0.047579255841246296}, {0.9722875115366163, 0.031126761969323853},
    {0.994700467495825, 0.013576229705877019},
};
enum { NODES = sizeof quadrature / sizeof *quadrature };

static const double rho_grid[] = {0.05, 0.1, 0.2, 0.35, 0.5, 0.7};
enum { GRID = sizeof rho_grid / sizeof *rho_grid };

struct field {
    const why_coalitions *c;
    int n, players;     /* pairs, the full picture last */
    double *side;       /* n x players: +1 in, -1 out */
    double *odd;        /* n */
    double *p;          /* n x n: the covariance, then what turns scores into coefficients of the interpolation */
    double *gain;       /* n x players: what turns scores into the additive part */
    double *rho, *best; /* players */
    double *part;       /* players: products of one coalition */
    double *phi, *se;   /* the caller's */
};

static void field_clear(struct field *f) {
    free(f->side);
    free(f->odd);
    free(f->p);
    free(f->gain);
    free(f->rho);
    free(f->best);
    free(f->part);
}

static why_status field_create(struct field *f) {
    size_t n = (size_t)f->n, k = (size_t)f->players;
    WHY_TRY(why_alloc(n * k, sizeof *f->side, "coalitions", &f->side));
    WHY_TRY(why_alloc(n, sizeof *f->odd, "scores of the coalitions", &f->odd));
    WHY_TRY(why_alloc(n * n, sizeof *f->p, "covariance of the coalitions", &f->p));
    WHY_TRY(why_alloc(n * k, sizeof *f->gain, "least squares", &f->gain));
    WHY_TRY(why_alloc(k, sizeof *f->rho, "interactions", &f->rho));
    WHY_TRY(why_alloc(k, sizeof *f->best, "interactions", &f->best));
    return why_alloc(k, sizeof *f->part, "interactions", &f->part);
}

static void read_pairs(struct field *f, const double *value, double gap) {
    for (int i = 0; i < f->n; i++) {
        bool full = i == f->n - 1;
        double *side = f->side + (size_t)i * (size_t)f->players;
        for (int k = 0; k < f->players; k++) side[k] = full || why_masks_bit(&f->c->masks, 2 * i, k) ? 1 : -1;
        f->odd[i] = full ? gap / 2 : (value[2 * i] - value[2 * i + 1]) / 2;
    }
}

/* ---------------------------------------------------------------- interpolation */
/* Scaled by the largest product, so that nothing overflows. The ridge is far below any score's rounding; the full picture
 * has none, since its score is met exactly. */
static void fill_covariance(struct field *f) {
    double most = 0;
    for (int k = 0; k < f->players; k++) most += f->part[k] = atanh(f->rho[k]);
    for (int i = 0; i < f->n; i++) {
        const double *s = f->side + (size_t)i * (size_t)f->players;
        for (int j = 0; j <= i; j++) {
            const double *t = f->side + (size_t)j * (size_t)f->players;
            double sum = 0;
            for (int k = 0; k < f->players; k++) sum += f->part[k] * (s[k] * t[k]);
            double v = (exp(sum - most) - exp(-sum - most)) / 2 * (i == j && i < f->n - 1 ? 1 + 1e-10 : 1);
            f->p[(size_t)i * (size_t)f->n + (size_t)j] = f->p[(size_t)j * (size_t)f->n + (size_t)i] = v;
        }
    }
}

static double row_dot(const struct field *f, int i) {
    double sum = 0;
    for (int j = 0; j < f->n; j++) sum += f->p[(size_t)i * (size_t)f->n + (size_t)j] * f->odd[j];
    return sum;
}

/* Minus twice the restricted log likelihood of rho, its scale maximised out. */
static why_status fit(struct field *f, double *surprise) {
    double log_det, quadratic = 0;
    fill_covariance(f);
    WHY_TRY(why_gls(f->p, f->side, f->n, f->players, f->gain, &log_det));
    for (int i = 0; i < f->n; i++) quadratic += f->odd[i] * row_dot(f, i);
    int rest = f->n - f->players;
    *surprise = rest > 0 ? rest * log(fmax(quadratic, 1e-300) / rest) + log_det : 0;
    return WHY_OK;
}

/* ---------------------------------------------------------------- Shapley values */
/* part[i] = Shapley value of player i in the game that is the covariance with pair `u`. */
static void covariance_values(struct field *f, int u) {
    const double *t = f->side + (size_t)u * (size_t)f->players;
    memset(f->part, 0, (size_t)f->players * sizeof *f->part);
    for (int q = 0; q < NODES; q++) {
        double plus = quadrature[q][1], minus = plus, x = quadrature[q][0];
        for (int k = 0; k < f->players; k++) {
            plus *= (1 + f->rho[k] * t[k] * x) / (1 + f->rho[k]);
            minus *= (1 - f->rho[k] * t[k] * x) / (1 + f->rho[k]);
        }
        for (int k = 0; k < f->players; k++)
            f->part[k] += t[k] * f->rho[k] * (plus / (1 + f->rho[k] * t[k] * x) + minus / (1 - f->rho[k] * t[k] * x));
    }
}

/* gain := what a unit of score of pair u adds to the values, n x players: the additive part's share twice, and the
 * interpolation's. */
static why_status find_weights(struct field *f) {
    size_t k = (size_t)f->players;
    double *values;
    WHY_TRY(why_alloc((size_t)f->n * k, sizeof *values, "Shapley values", &values));
    for (int u = 0; u < f->n; u++) {
        covariance_values(f, u);
        memcpy(values + (size_t)u * k, f->part, k * sizeof *values);
    }
    for (size_t i = 0; i < (size_t)f->n; i++) {
        for (size_t j = 0; j < k; j++) f->gain[i * k + j] *= 2;
        for (size_t u = 0; u < (size_t)f->n; u++)
            for (size_t j = 0; j < k; j++) f->gain[i * k + j] += f->p[i * (size_t)f->n + u] * values[u * k + j];
    }
    free(values);
    return WHY_OK;
}

/* phi = sum of weight * score. Leaving pair u out changes phi by weight * (score - its interpolation from the others),
 * and that difference is (P o)_u / P_uu: jackknife over the pairs that were drawn, size by size. */
static void sum_up(struct field *f) {
    const why_wls_draws *d = &f->c->draws;
    memset(f->phi, 0, (size_t)f->players * sizeof *f->phi);
    memset(f->se, 0, (size_t)f->players * sizeof *f->se);
    for (int u = 0; u < f->n; u++) {
        const double *weight = f->gain + (size_t)u * (size_t)f->players;
        int unit = u == f->n - 1 ? -1 : f->c->unit[2 * u];
        double missing = unit < 0 ? 0 : row_dot(f, u) / f->p[(size_t)u * ((size_t)f->n + 1)];
        for (int k = 0; k < f->players; k++) {
            f->phi[k] += weight[k] * f->odd[u];
            if (unit >= 0) f->se[k] += d->left[d->stratum[unit]] * weight[k] * weight[k] * missing * missing;
        }
    }
    for (int k = 0; k < f->players; k++) f->se[k] = sqrt(f->se[k]);
}

static why_status evaluate(struct field *f) {
    double surprise;
    memcpy(f->rho, f->best, (size_t)f->players * sizeof *f->rho);
    WHY_TRY(fit(f, &surprise));
    WHY_TRY(find_weights(f));
    sum_up(f);
    return WHY_OK;
}

/* ---------------------------------------------------------------- how much players interact */
/* rho_i = r * strength_i (NULL: 1) for the r of the grid that is likeliest, if it beats what was found before. */
static why_status search(struct field *f, const double *strength, double *least) {
    for (int i = 0; i < GRID; i++) {
        double surprise;
        for (int k = 0; k < f->players; k++) f->rho[k] = rho_grid[i] * (strength ? strength[k] : 1);
        WHY_TRY(fit(f, &surprise));
        if (surprise >= *least) continue;
        *least = surprise;
        memcpy(f->best, f->rho, (size_t)f->players * sizeof *f->best);
    }
    return WHY_OK;
}

/* Players with large values tend to be in large interactions: the root of the value, relative to the largest. */
static bool strengths(const struct field *f, double *strength) {
    double most = 0;
    for (int k = 0; k < f->players; k++) most = fmax(most, fabs(f->phi[k]));
    for (int k = 0; most > 0 && k < f->players; k++) strength[k] = fmax(0.1, sqrt(fabs(f->phi[k]) / most));
    return most > 0;
}

static why_status run(struct field *f) {
    double least = INFINITY, *strength;
    WHY_TRY(search(f, NULL, &least));
    WHY_TRY(evaluate(f));
    WHY_TRY(why_alloc((size_t)f->players, sizeof *strength, "interactions", &strength));
    why_status st = WHY_OK;
    if (strengths(f, strength)) {
        st = search(f, strength, &least);
        if (!st) st = evaluate(f);
    }
    free(strength);
    return st;
}

why_status why_kriging(const why_coalitions *c, const double *value, double gap, double *phi, double *se) {
    struct field f = {.c = c, .n = c->masks.n / 2 + 1, .players = c->masks.k, .phi = phi, .se = se};
    why_status st = field_create(&f);
    if (!st) {
        read_pairs(&f, value, gap);
        st = run(&f);
    }
    field_clear(&f);
    return st;
}
