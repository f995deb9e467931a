#include "explain/l1.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* x'x (k x k) and x'y (k), of centred columns if asked for. */
static void products(const double *x, const double *y, int n, int k, bool centred, double *gram, double *xy) {
    const double rows = n;
    double *mean = gram + (size_t)k * (size_t)k, mean_y = 0; /* k more numbers: see the callers */
    memset(gram, 0, (size_t)k * ((size_t)k + 1) * sizeof *gram);
    memset(xy, 0, (size_t)k * sizeof *xy);
    for (int i = 0; i < n; i++) {
        const double *row = x + (size_t)i * (size_t)k;
        mean_y += y[i] / rows;
        for (int a = 0; a < k; a++) {
            mean[a] += row[a] / rows;
            xy[a] += row[a] * y[i];
            for (int b = 0; b <= a; b++) gram[(size_t)a * (size_t)k + (size_t)b] += row[a] * row[b];
        }
    }
    for (int a = 0; a < k; a++) {
        if (centred) xy[a] -= rows * mean[a] * mean_y;
        for (int b = 0; b <= a; b++) {
            double *v = &gram[(size_t)a * (size_t)k + (size_t)b];
            if (centred) *v -= rows * mean[a] * mean[b];
            gram[(size_t)b * (size_t)k + (size_t)a] = *v;
        }
    }
}

/* ---------------------------------------------------------------- least angle regression */
struct lars {
    int k, n_active, *active;
    double *gram, *c;       /* k x k (and k); correlations with what is left of y */
    double *factor, *w, *a; /* k x k: Cholesky factor of the active columns; their weights in the equiangular direction; x'direction */
};

static bool is_active(const struct lars *l, int column) {
    for (int i = 0; i < l->n_active; i++)
        if (l->active[i] == column) return true;
    return false;
}

/* The column outside that is most correlated with what is left; k: there is none. */
static int next_column(const struct lars *l, double *correlation) {
    int best = l->k;
    *correlation = 0;
    for (int j = 0; j < l->k; j++)
        if (!is_active(l, j) && fabs(l->c[j]) > *correlation) *correlation = fabs(l->c[best = j]);
    return best;
}

/* One row more of the factor. False: the column is a combination of those before. */
static bool extend(struct lars *l, int column) {
    const size_t k = (size_t)l->k, m = (size_t)l->n_active;
    double *row = l->factor + m * k, rest = l->gram[(size_t)column * k + (size_t)column];
    const double whole = rest;
    for (size_t i = 0; i < m; i++) {
        row[i] = l->gram[(size_t)column * k + (size_t)l->active[i]];
        for (size_t j = 0; j < i; j++) row[i] -= row[j] * l->factor[i * k + j];
        row[i] /= l->factor[i * k + i];
        rest -= row[i] * row[i];
    }
    if (rest <= 1e-12 * whole) return false;
    row[m] = sqrt(rest);
    l->active[l->n_active++] = column;
    return true;
}

/* w := (active'active)^-1 signs, scaled so that the direction has length 1; returns what correlation it has with each. */
static double equiangular(struct lars *l) {
    const size_t k = (size_t)l->k;
    const int m = l->n_active;
    double length = 0;
    for (int i = 0; i < m; i++) {
        l->w[i] = l->c[l->active[i]] < 0 ? -1 : 1;
        for (int j = 0; j < i; j++) l->w[i] -= l->factor[(size_t)i * k + (size_t)j] * l->w[j];
        l->w[i] /= l->factor[(size_t)i * k + (size_t)i];
        length += l->w[i] * l->w[i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int j = i + 1; j < m; j++) l->w[i] -= l->factor[(size_t)j * k + (size_t)i] * l->w[j];
        l->w[i] /= l->factor[(size_t)i * k + (size_t)i];
    }
    const double scale = 1 / sqrt(length);
    for (int i = 0; i < m; i++) l->w[i] *= scale;
    return scale;
}

/* As far as to where a column outside is as correlated as those inside. */
static void advance(struct lars *l, double correlation) {
    const double each = equiangular(l);
    double step = correlation / each;
    for (int j = 0; j < l->k; j++) {
        l->a[j] = 0;
        for (int i = 0; i < l->n_active; i++) l->a[j] += l->gram[(size_t)j * (size_t)l->k + (size_t)l->active[i]] * l->w[i];
        if (is_active(l, j)) continue;
        const double below = (correlation - l->c[j]) / (each - l->a[j]), above = (correlation + l->c[j]) / (each + l->a[j]);
        if (below > 0) step = fmin(step, below);
        if (above > 0) step = fmin(step, above);
    }
    for (int j = 0; j < l->k; j++) l->c[j] -= step * l->a[j];
}

static void run_lars(struct lars *l, int n, int steps) {
    for (int i = 0; i < steps; i++) {
        double correlation;
        const int column = next_column(l, &correlation);
        if (column == l->k || correlation / n <= 1.1920929e-07 || !extend(l, column)) return;
        advance(l, correlation);
    }
}

why_status why_lars(const double *x, const double *y, int n, int k, int steps, int *active, int *n_active) {
    struct lars l = {.k = k, .active = active};
    const size_t size = (size_t)k;
    why_status st = why_alloc(size * (size + 1), sizeof *l.gram, "l1 selection", &l.gram);
    if (!st) st = why_alloc(size, sizeof *l.c, "l1 selection", &l.c);
    if (!st) st = why_alloc(size * size, sizeof *l.factor, "l1 selection", &l.factor);
    if (!st) st = why_alloc(size, sizeof *l.w, "l1 selection", &l.w);
    if (!st) st = why_alloc(size, sizeof *l.a, "l1 selection", &l.a);
    if (!st) {
        products(x, y, n, k, false, l.gram, l.c);
        run_lars(&l, n, steps);
        *n_active = l.n_active;
    }
    free(l.gram);
    free(l.c);
    free(l.factor);
    free(l.w);
    free(l.a);
    return st;
}

/* ---------------------------------------------------------------- lasso */
enum { MOST_SWEEPS = 100000 };

/* Coordinate descent (Friedman 2010) until no coefficient moves; returns the largest move of one sweep. */
static double sweep(const double *gram, const double *xy, int k, double threshold, double *coef) {
    double largest = 0;
    for (int j = 0; j < k; j++) {
        const double *row = gram + (size_t)j * (size_t)k, old = coef[j];
        double c = xy[j] + row[j] * old;
        for (int i = 0; i < k; i++) c -= row[i] * coef[i];
        coef[j] = row[j] > 0 ? copysign(fmax(0, fabs(c) - threshold), c) / row[j] : 0;
        largest = fmax(largest, fabs(coef[j] - old));
    }
    return largest;
}

static double largest_of(const double *v, int n) {
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(v[i]));
    return most;
}

why_status why_lasso(const double *x, const double *y, int n, int k, double alpha, double *coef) {
    double *gram, *xy = NULL;
    const size_t size = (size_t)k;
    WHY_TRY(why_alloc(size * (size + 1), sizeof *gram, "l1 selection", &gram));
    why_status st = why_alloc(size, sizeof *xy, "l1 selection", &xy);
    if (!st) {
        products(x, y, n, k, true, gram, xy);
        memset(coef, 0, size * sizeof *coef);
        for (int i = 0; i < MOST_SWEEPS; i++)
            if (sweep(gram, xy, k, alpha * n, coef) <= 1e-12 * largest_of(coef, k)) break;
    }
    free(gram);
    free(xy);
    return st;
}
