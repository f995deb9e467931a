#include "image/synth_texture.h"

#include <math.h>

double why_synth_between(why_rng *r, double lo, double hi) { return lo + (hi - lo) * why_rng_uniform(r); }

void why_synth_direction(why_rng *r, double *c, double *s) {
    double x, y, d;
    do {
        x = why_synth_between(r, -1, 1);
        y = why_synth_between(r, -1, 1);
        d = x * x + y * y;
    } while (d > 1 || d < 1e-4);
    *c = x / sqrt(d);
    *s = y / sqrt(d);
}

/* ---------------------------------------------------------------- patterns */
/* Without SSE4.1 floor() is a call, and this is the innermost loop; arguments are small here. */
static int whole(double v) {
    int i = (int)v;
    return i - (v < i);
}
static double clamp(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }
static double sharpen(double v, double slope) { return clamp((v - .5) * slope + .5); }
static double wave(double v) { return fabs(2 * (v - whole(v)) - 1); } /* a triangle wave of period 1 */

static double lattice_at(const synth_texture *t, int i, int j) {
    return t->lattice[(unsigned)i % SYNTH_LATTICE][(unsigned)j % SYNTH_LATTICE] / 255.0;
}

/* Value noise: lattice values, joined by a cubic step. */
static double noise(const synth_texture *t, double u, double v) {
    int i = whole(v), j = whole(u);
    double a = u - j, b = v - i;
    a = a * a * (3 - 2 * a);
    b = b * b * (3 - 2 * b);
    double top = lattice_at(t, i, j) + a * (lattice_at(t, i, j + 1) - lattice_at(t, i, j));
    double low = lattice_at(t, i + 1, j) + a * (lattice_at(t, i + 1, j + 1) - lattice_at(t, i + 1, j));
    return top + b * (low - top);
}

static double octaves(const synth_texture *t, double u, double v) {
    return (4 * noise(t, u, v) + 2 * noise(t, 2 * u + 7.3, 2 * v + 1.7) + noise(t, 4 * u + 3.1, 4 * v + 9.2)) / 7;
}

static double cloud(const synth_texture *t, double u, double v) { return sharpen(octaves(t, u, v), 2); }
static double blobs(const synth_texture *t, double u, double v) { return sharpen(noise(t, u, v), 8); }
static double stripes(const synth_texture *t, double u, double v) { return sharpen(wave(u + .7 * noise(t, .4 * u, .4 * v)), 5); }
static double checks(const synth_texture *t, double u, double v) {
    (void)t;
    return clamp(.5 + 20 * (wave(u) - .5) * (wave(v) - .5));
}
static double shade(const synth_texture *t, double u, double v) { return clamp(.8 * wave(u) + .4 * octaves(t, 6 * u, 6 * v) - .1); }

static double dots(const synth_texture *t, double u, double v) {
    double a = u - whole(u) - .5, b = v - whole(v) - .5;
    (void)t;
    return clamp(.5 + (.3 - sqrt(a * a + b * b)) * 8);
}

/* A mosaic: the grey of the nearest point of a jittered grid. */
static double cells(const synth_texture *t, double u, double v) {
    int i0 = whole(v), j0 = whole(u);
    double nearest = 9, grey = 0;
    for (int i = i0 - 1; i <= i0 + 1; i++)
        for (int j = j0 - 1; j <= j0 + 1; j++) {
            double a = j + lattice_at(t, i, j) - u, b = i + lattice_at(t, i + 11, j + 5) - v, d = a * a + b * b;
            if (d >= nearest) continue;
            nearest = d;
            grey = lattice_at(t, i + 17, j + 23);
        }
    return grey;
}

static const synth_pattern patterns[] = {
    {"cloud", 4, 9, cloud},  {"stripes", 4, 10, stripes}, {"checks", 3, 7, checks}, {"blobs", 5, 11, blobs},
    {"shade", .5, 1, shade}, {"cells", 6, 12, cells},     {"dots", 6, 12, dots},
};
enum { N_PATTERNS = sizeof patterns / sizeof *patterns };

/* ---------------------------------------------------------------- a texture */
static double distance(const double a[3], const double b[3]) {
    double d = 0;
    for (int k = 0; k < 3; k++) d += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(d);
}

void why_synth_texture_recolour(synth_texture *t, double lo, double hi, why_rng *r) {
    double d;
    do {
        for (int k = 0; k < 3; k++) {
            t->a[k] = why_synth_between(r, .04, .96);
            t->b[k] = clamp(t->a[k] + why_synth_between(r, -hi, hi));
        }
        d = distance(t->a, t->b);
    } while (d < lo || d > hi);
}

void why_synth_texture_draw(synth_texture *t, double lo, double hi, why_rng *r) {
    t->pattern = &patterns[why_rng_below(r, N_PATTERNS)];
    t->frequency = why_synth_between(r, t->pattern->slowest, t->pattern->fastest);
    why_synth_direction(r, &t->c, &t->s);
    t->shift_u = why_synth_between(r, 0, SYNTH_LATTICE);
    t->shift_v = why_synth_between(r, 0, SYNTH_LATTICE);
    for (int i = 0; i < SYNTH_LATTICE; i++)
        for (int j = 0; j < SYNTH_LATTICE; j++) t->lattice[i][j] = (uint8_t)(why_rng_u32(r) >> 24);
    why_synth_texture_recolour(t, lo, hi, r);
}

double why_synth_texture_distance(const synth_texture *p, const synth_texture *q) {
    double a[3], b[3];
    for (int k = 0; k < 3; k++) {
        a[k] = .5 * (p->a[k] + p->b[k]);
        b[k] = .5 * (q->a[k] + q->b[k]);
    }
    return distance(a, b);
}

void why_synth_texture_at(const synth_texture *t, double x, double y, double rgb[3]) {
    double u = (t->c * x + t->s * y) * t->frequency + t->shift_u, v = (t->c * y - t->s * x) * t->frequency + t->shift_v;
    double mix = t->pattern->at(t, u, v);
    for (int k = 0; k < 3; k++) rgb[k] = t->a[k] + mix * (t->b[k] - t->a[k]);
}
