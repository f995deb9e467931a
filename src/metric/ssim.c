/* Structural similarity (Wang et al. 2004) of two maps as pictures. */
#include <stdlib.h>

#include "base/mem.h"
#include "metric/correlation.h"
#include "metric/metrics.h"

enum { SIDE = 11, HALF = SIDE / 2, PLANES = 5 }; /* the window; means of a, b, aa, bb, ab */
#define SIGMA 1.5
#define K1    0.01
#define K2    0.03

static void make_window(double window[SIDE]) {
    double sum = 0;
    for (int i = 0; i < SIDE; i++) sum += window[i] = exp(-(i - HALF) * (i - HALF) / (2 * SIGMA * SIGMA));
    for (int i = 0; i < SIDE; i++) window[i] /= sum;
}

/* One line of the five planes, weighted down the rows y .. y + 10. line: w x PLANES. */
static void weigh_columns(const why_field *a, const why_field *b, int y, const double window[SIDE], double *line) {
    for (int x = 0; x < a->cols; x++) {
        double sum[PLANES] = {0};
        for (int i = 0; i < SIDE; i++) {
            const int at = (y + i) * a->cols + x;
            const double u = (double)a->v[at], v = (double)b->v[at], each[PLANES] = {u, v, u * u, v * v, u * v};
            for (int k = 0; k < PLANES; k++) sum[k] += window[i] * each[k];
        }
        for (int k = 0; k < PLANES; k++) line[x * PLANES + k] = sum[k];
    }
}

/* SSIM of the window whose columns start at `line` (eq. 13). */
static double ssim_at(const double *line, const double window[SIDE], double c1, double c2) {
    double m[PLANES] = {0};
    for (int i = 0; i < SIDE; i++)
        for (int k = 0; k < PLANES; k++) m[k] += window[i] * line[i * PLANES + k];
    const double va = m[2] - m[0] * m[0], vb = m[3] - m[1] * m[1], cov = m[4] - m[0] * m[1];
    return (2 * m[0] * m[1] + c1) * (2 * cov + c2) / ((m[0] * m[0] + m[1] * m[1] + c1) * (va + vb + c2));
}

/* Largest minus smallest value of both maps. */
static double joint_range(const why_field *a, const why_field *b) {
    const float hi_a = a->v[a->order[0]], hi_b = b->v[b->order[0]], lo_a = a->v[a->order[a->n - 1]], lo_b = b->v[b->order[b->n - 1]];
    return (double)(hi_a > hi_b ? hi_a : hi_b) - (double)(lo_a < lo_b ? lo_a : lo_b);
}

/* Mean over the windows that lie inside the map. */
static why_status ssim(const why_field *a, const why_field *b, const why_params *p, why_value *out) {
    (void)p;
    const double range = joint_range(a, b), c1 = K1 * range * K1 * range, c2 = K2 * range * K2 * range;
    double window[SIDE], sum = 0, *line;
    if (a->rows == 0) return why_give_reason(out, "needs a picture");
    if (a->rows < SIDE || a->cols < SIDE) return why_give_reason(out, "map smaller than the 11 x 11 window");
    if (range <= 0) return why_give_reason(out, "constant map");
    WHY_TRY(why_alloc((size_t)a->cols * PLANES, sizeof *line, "line of windows", &line));
    make_window(window);
    for (int y = 0; y + SIDE <= a->rows; y++) {
        weigh_columns(a, b, y, window, line);
        for (int x = 0; x + SIDE <= a->cols; x++) sum += ssim_at(line + x * PLANES, window, c1, c2);
    }
    free(line);
    return why_give(out, sum / ((double)(a->rows - SIDE + 1) * (a->cols - SIDE + 1)));
}

const why_metric why_metric_ssim = {
    .name = "ssim",
    .help = "structural similarity: Gaussian window 11 x 11, sigma 1.5, joint range, windows inside the map",
    .source = "Wang et al. 2004",
    .kind = WHY_PAIR,
    .better = WHY_BETTER_NONE,
    .flags = WHY_METRIC_PICTURE,
    .lo = -1,
    .hi = 1,
    .pair = ssim,
};
