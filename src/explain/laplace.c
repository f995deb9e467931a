/* The system s_i x_i - Sum_j w_ij x_j = 0 over the neighbours j of each hidden pixel i, with w = 1/6 (direct) and 1/12 (diagonal)
 * and s_i = Sum_j w_ij, is symmetric, and positive definite as soon as one pixel is shown: conjugate gradients, preconditioned
 * by symmetric successive over-relaxation (Axelsson 1972). Planes have a border of zeros, so that no neighbour needs a test. */
#include "explain/laplace.h"

#include <math.h>
#include <string.h>

#define DIRECT   (1.0 / 6)
#define DIAGONAL (1.0 / 12)
#define OMEGA    1.7 /* 1.4 to 1.9 differ by a third at 224 x 224 */

enum { PLANES = 5, CHANNELS = 3 };

/* The channels share the matrix, and their chains of additions hide each other's delays. */
typedef struct colour {
    double c[CHANNELS];
} colour;

struct laplace {
    int hidden;   /* pixels */
    int stride;   /* of a plane: w + 2 */
    size_t plane; /* (h + 2) * (w + 2) */
    colour *x, *r, *z, *p, *q;
    double *sum; /* s_i of each hidden pixel */
    int32_t *at; /* its place in a plane, rising */
};

static size_t plane_of(int h, int w) { return ((size_t)h + 2) * ((size_t)w + 2); }

size_t why_laplace_scratch(int h, int w) {
    const size_t n = (size_t)h * (size_t)w;
    return PLANES * plane_of(h, w) * sizeof(colour) + n * (sizeof(double) + sizeof(int32_t));
}

/* 1 inside, less where neighbours are outside. */
static double weight_sum(int y, int x, int h, int w) {
    const int rows = (y > 0) + (y + 1 < h), cols = (x > 0) + (x + 1 < w);
    return (rows + cols) * DIRECT + rows * cols * DIAGONAL;
}

static struct laplace set_up(const uint8_t *shown, int h, int w, void *scratch) {
    struct laplace s = {.stride = w + 2, .plane = plane_of(h, w), .x = scratch};
    s.r = s.x + s.plane;
    s.z = s.r + s.plane;
    s.p = s.z + s.plane;
    s.q = s.p + s.plane;
    s.sum = (double *)(s.q + s.plane);
    s.at = (int32_t *)(void *)(s.sum + (size_t)h * (size_t)w);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            if (shown[(size_t)y * (size_t)w + (size_t)x]) continue;
            s.sum[s.hidden] = weight_sum(y, x, h, w);
            s.at[s.hidden++] = (y + 1) * s.stride + x + 1;
        }
    return s;
}

/* Weighted neighbours before and behind a pixel in raster order. */
static double before(const colour *v, int stride, int c) {
    return DIRECT * (v[-1].c[c] + v[-stride].c[c]) + DIAGONAL * (v[-stride - 1].c[c] + v[-stride + 1].c[c]);
}
static double behind(const colour *v, int stride, int c) {
    return DIRECT * (v[1].c[c] + v[stride].c[c]) + DIAGONAL * (v[stride - 1].c[c] + v[stride + 1].c[c]);
}

/* out = A v on the hidden pixels. */
static void multiply(const struct laplace *s, const colour *v, colour *out) {
    for (int k = 0; k < s->hidden; k++) {
        const colour *at = v + s->at[k];
        colour *to = &out[s->at[k]];
        for (int c = 0; c < CHANNELS; c++) to->c[c] = s->sum[k] * at->c[c] - before(at, s->stride, c) - behind(at, s->stride, c);
    }
}

/* z = M^-1 r, up to a factor, which conjugate gradients do not notice: (D/o + L) (D/o)^-1 (D/o + U) z = r. */
static void precondition(const struct laplace *s) {
    for (int k = 0; k < s->hidden; k++) {
        const int i = s->at[k];
        const double scale = OMEGA / s->sum[k];
        for (int c = 0; c < CHANNELS; c++) s->z[i].c[c] = (s->r[i].c[c] + before(s->z + i, s->stride, c)) * scale;
    }
    for (int k = s->hidden - 1; k >= 0; k--) {
        const int i = s->at[k];
        const double scale = OMEGA / s->sum[k];
        for (int c = 0; c < CHANNELS; c++) s->z[i].c[c] += behind(s->z + i, s->stride, c) * scale;
    }
}

static colour dot(const struct laplace *s, const colour *a, const colour *b) {
    colour sum = {{0}};
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) sum.c[c] += a[s->at[k]].c[c] * b[s->at[k]].c[c];
    return sum;
}

/* Largest |x_i - mean of its neighbours|. */
static double residual(const struct laplace *s) {
    double most = 0;
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) {
            const double r = fabs(s->r[s->at[k]].c[c]) / s->sum[k];
            most = r > most ? r : most;
        }
    return most;
}

/* p = z + beta p, with beta = rz / last; a channel that is solved already has last = 0. */
static void turn(const struct laplace *s, colour rz, colour last) {
    colour beta;
    for (int c = 0; c < CHANNELS; c++) beta.c[c] = last.c[c] > 0 ? rz.c[c] / last.c[c] : 0;
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) s->p[s->at[k]].c[c] = s->z[s->at[k]].c[c] + beta.c[c] * s->p[s->at[k]].c[c];
}

static void advance(const struct laplace *s, colour rz, colour pq) {
    colour alpha;
    for (int c = 0; c < CHANNELS; c++) alpha.c[c] = pq.c[c] > 0 ? rz.c[c] / pq.c[c] : 0;
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) {
            s->x[s->at[k]].c[c] += alpha.c[c] * s->p[s->at[k]].c[c];
            s->r[s->at[k]].c[c] -= alpha.c[c] * s->q[s->at[k]].c[c];
        }
}

/* x holds the shown pixels and a guess. In exact arithmetic there are as many steps as unknowns at most. */
static void solve(const struct laplace *s) {
    colour last = {{0}};
    memset(s->z, 0, s->plane * sizeof *s->z);
    memset(s->p, 0, s->plane * sizeof *s->p);
    multiply(s, s->x, s->r);
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) s->r[s->at[k]].c[c] *= -1;
    for (int n = 0; n < s->hidden + 10 && residual(s) > WHY_LAPLACE_RESIDUAL; n++) {
        precondition(s);
        const colour rz = dot(s, s->r, s->z);
        turn(s, rz, last);
        multiply(s, s->p, s->q);
        advance(s, rz, dot(s, s->p, s->q));
        last = rz;
    }
}

/* The shown pixels into x; their mean is the guess for the rest. */
static void load(const struct laplace *s, const uint8_t *shown, int h, int w, const float *rgb) {
    colour sum = {{0}};
    memset(s->x, 0, s->plane * sizeof *s->x);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t i = (size_t)y * (size_t)w + (size_t)x;
            colour *to = &s->x[(y + 1) * s->stride + x + 1];
            for (int c = 0; shown[i] && c < CHANNELS; c++) sum.c[c] += to->c[c] = (double)rgb[3 * i + (size_t)c];
        }
    for (int k = 0; k < s->hidden; k++)
        for (int c = 0; c < CHANNELS; c++) s->x[s->at[k]].c[c] = sum.c[c] / (h * w - s->hidden);
}

void why_laplace(const uint8_t *shown, int h, int w, void *scratch, float *rgb) {
    const struct laplace s = set_up(shown, h, w, scratch);
    load(&s, shown, h, w, rgb);
    solve(&s);
    for (int k = 0; k < s.hidden; k++) {
        const int y = s.at[k] / s.stride - 1, x = s.at[k] % s.stride - 1;
        for (int c = 0; c < CHANNELS; c++) rgb[3 * (y * w + x) + c] = (float)s.x[s.at[k]].c[c];
    }
}
