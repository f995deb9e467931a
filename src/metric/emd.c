/* Earth mover's distance: how far the mass of one map has to be carried to make the other. Area means on 8 x 8 cells, unit mass,
 * Euclidean distance, solved exactly by successive shortest paths. */
#include <stdlib.h>
#include <string.h>

#include "metric/metrics.h"

enum { SIDE = 8, CELLS = SIDE * SIDE };
#define UNITS 1099511627776.0 /* 2^40 units of mass: in whole numbers the search ends, and the rounding is far below any digit shown */

/* Masses as whole numbers that sum to UNITS; what rounding leaves over goes to the largest. */
static bool in_units(const float mean[CELLS], int64_t mass[CELLS]) {
    double sum = 0;
    int64_t left = (int64_t)UNITS;
    int largest = 0;
    for (int i = 0; i < CELLS; i++) sum += (double)mean[i];
    if (sum <= 0) return false;
    for (int i = 0; i < CELLS; i++) {
        mass[i] = (int64_t)((double)mean[i] / sum * UNITS);
        left -= mass[i];
        if (mean[i] > mean[largest]) largest = i;
    }
    mass[largest] += left;
    return true;
}

/* The transport: excess[i] > 0 has mass to give, < 0 wants it. carried[i][j] is what goes from i to j. */
struct transport {
    int64_t excess[CELLS], carried[CELLS][CELLS];
    bool gives[CELLS];
    double potential[CELLS];
};

/* Between centres, as a share of the way from corner to corner. */
static double distance(int i, int j) {
    const double dy = i / SIDE - j / SIDE, dx = i % SIDE - j % SIDE;
    return sqrt(dy * dy + dx * dx) / ((SIDE - 1) * sqrt(2.0));
}

/* Cost of one unit more from i to j: forth from givers to takers, back where something is carried already. */
static double cost(const struct transport *t, int i, int j) {
    if (t->gives[i] && !t->gives[j]) return distance(i, j);
    return !t->gives[i] && t->gives[j] && t->carried[j][i] > 0 ? -distance(i, j) : INFINITY;
}

static int nearest_open(const double *way, const bool *closed) {
    int best = -1;
    for (int i = 0; i < CELLS; i++)
        if (!closed[i] && isfinite(way[i]) && (best < 0 || way[i] < way[best])) best = i;
    return best;
}

/* Dijkstra on costs reduced by the potentials, from all cells that still have something to give. Ends at the nearest cell that
 * still wants: its number, or -1; `from` is the tree. */
static int shortest_way(struct transport *t, int from[CELLS]) {
    double way[CELLS];
    bool closed[CELLS] = {false};
    int end = -1;
    for (int i = 0; i < CELLS; i++) {
        way[i] = t->gives[i] && t->excess[i] > 0 ? 0 : INFINITY;
        from[i] = -1;
    }
    for (int i; end < 0 && (i = nearest_open(way, closed)) >= 0;) {
        closed[i] = true;
        if (!t->gives[i] && t->excess[i] < 0) end = i;
        for (int j = 0; end < 0 && j < CELLS; j++) {
            const double step = cost(t, i, j);
            if (closed[j] || !isfinite(step)) continue;
            const double reduced = step + t->potential[i] - t->potential[j], through = way[i] + (reduced > 0 ? reduced : 0);
            if (through >= way[j]) continue;
            way[j] = through;
            from[j] = i;
        }
    }
    for (int i = 0; end >= 0 && i < CELLS; i++) t->potential[i] += closed[i] && way[i] < way[end] ? way[i] : way[end];
    return end;
}

/* As much as the way to `end` can bear. */
static void carry(struct transport *t, const int from[CELLS], int end) {
    int64_t much = -t->excess[end];
    int start = end;
    for (; from[start] >= 0; start = from[start])
        if (t->gives[start] && t->carried[start][from[start]] < much) much = t->carried[start][from[start]];
    if (t->excess[start] < much) much = t->excess[start];
    t->excess[start] -= much;
    t->excess[end] += much;
    for (int j = end; from[j] >= 0; j = from[j]) {
        if (t->gives[j]) t->carried[j][from[j]] -= much;
        else t->carried[from[j]][j] += much;
    }
}

/* What a cell has in both maps stays where it is, which is best under any metric. */
static double solve(struct transport *t, const int64_t a[CELLS], const int64_t b[CELLS]) {
    int from[CELLS];
    double work = 0;
    memset(t, 0, sizeof *t);
    for (int i = 0; i < CELLS; i++) {
        t->excess[i] = a[i] - b[i];
        t->gives[i] = t->excess[i] > 0;
    }
    for (int end; (end = shortest_way(t, from)) >= 0;) carry(t, from, end);
    for (int i = 0; i < CELLS; i++)
        for (int j = 0; j < CELLS; j++) work += (double)t->carried[i][j] * distance(i, j);
    return work / UNITS;
}

static why_status emd(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    float mean_a[CELLS], mean_b[CELLS];
    int64_t mass_a[CELLS], mass_b[CELLS];
    struct transport t;
    if (a->rows < SIDE || a->cols < SIDE) return why_give_reason(out, "needs a picture of 8 x 8 cells or more");
    if (a->v[a->order[a->n - 1]] < 0 || b->v[b->order[b->n - 1]] < 0) return why_give_reason(out, "negative values");
    why_cell_means(a->v, a->rows, a->cols, SIDE, SIDE, mean_a);
    why_cell_means(b->v, b->rows, b->cols, SIDE, SIDE, mean_b);
    if (!in_units(mean_a, mass_a) || !in_units(mean_b, mass_b)) return why_give_reason(out, "all-zero map");
    return why_give(out, solve(&t, mass_a, mass_b));
}

const why_metric why_metric_emd = {
    .name = "emd",
    .help = "earth mover's distance of the unit masses on 8 x 8 cells; 1 is from corner to corner",
    .source = "Rubner et al. 2000, exact",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_UNSIGNED | WHY_METRIC_PIXEL_ONLY,
    .lo = 0,
    .hi = 1,
    .pair = emd,
};
