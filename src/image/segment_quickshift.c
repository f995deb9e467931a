/* Quickshift (Vedaldi and Soatto, 2008): every pixel's density under a Gaussian kernel over colour and place; every
 * pixel hangs on its nearest neighbour of higher density; links longer than max_dist are cut and the trees are the
 * segments. Labels equal scikit-image 0.19's when its tie-breaking noise is injected. */
#include "image/segment.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "image/filter.h"
#include "image/segment_kernel.h"
#include "whypix/rng.h"

static const why_param params[] = {
    {"kernel_size", WHY_PARAM_REAL, "4", 1, 64, NULL, "width of the density's Gaussian, pixels; larger = fewer segments"},
    {"max_dist", WHY_PARAM_REAL, "200", 0, 1e6, NULL, "longest link that is kept; larger = fewer segments"},
    {"ratio", WHY_PARAM_REAL, "0.2", 0, 100, NULL, "weight of colour against place"},
    {"sigma", WHY_PARAM_REAL, "0", 0, 64, NULL, "Gaussian smoothing beforehand, pixels"},
    {0},
};

/* A place in the window and its squared distance from the middle. */
struct offset {
    int dy, dx, d2;
};

struct quickshift {
    int h, w, reach, n_offsets;
    double scale, max_dist; /* exponent = scale * squared distance */
    double *lab;            /* planes L, a, b of h*w, times ratio */
    double *density;
    double *row;            /* w: one row of kernel values */
    struct offset *offsets; /* the window without its middle, nearest first */
    int32_t *parent;
};

/* ------------------------------------------------------------------ density */

/* The kernel is symmetric, so each pair is computed once, from its upper (or left) pixel, and added to both. */
static void add_densities(struct quickshift *q) {
    why_kernel_row *const kernel = why_kernel_row_for(why_cpu_isa());
    const size_t w = (size_t)q->w, plane = (size_t)q->h * w;
    for (size_t i = 0; i < plane; i++) q->density[i] += 1; /* the pixel itself */
    for (int y = 0; y < q->h; y++)
        for (int dy = 0; dy <= q->reach && y + dy < q->h; dy++)
            for (int dx = dy == 0 ? 1 : -q->reach; dx <= q->reach; dx++) {
                const int x0 = dx < 0 ? -dx : 0, n = q->w - abs(dx);
                if (n <= 0) continue;
                const size_t from = (size_t)y * w + (size_t)x0, to = (size_t)(y + dy) * w + (size_t)(x0 + dx);
                kernel(q->lab + from, q->lab + to, plane, n, (double)(dy * dy + dx * dx), q->scale, q->row);
                for (int i = 0; i < n; i++) q->density[from + (size_t)i] += q->row[i];
                for (int i = 0; i < n; i++) q->density[to + (size_t)i] += q->row[i];
            }
}

/* ------------------------------------------------------------------ links */

static int by_distance(const void *a, const void *b) {
    const struct offset *p = a, *q = b;
    if (p->d2 != q->d2) return p->d2 < q->d2 ? -1 : 1;
    return p->dy != q->dy ? (p->dy < q->dy ? -1 : 1) : (p->dx > q->dx) - (p->dx < q->dx);
}

static void list_offsets(struct quickshift *q) {
    q->n_offsets = 0;
    for (int dy = -q->reach; dy <= q->reach; dy++)
        for (int dx = -q->reach; dx <= q->reach; dx++)
            if (dy || dx) q->offsets[q->n_offsets++] = (struct offset){dy, dx, dy * dy + dx * dx};
    qsort(q->offsets, (size_t)q->n_offsets, sizeof *q->offsets, by_distance);
}

/* Squared distance in colour and place, added in scikit-image's order: ties must be ties here too. */
static double distance2(const struct quickshift *q, size_t a, size_t b, const struct offset *o) {
    const size_t plane = (size_t)q->h * (size_t)q->w;
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        const double t = q->lab[(size_t)c * plane + a] - q->lab[(size_t)c * plane + b];
        sum += t * t;
    }
    sum += (double)(o->dy * o->dy);
    return sum + (double)(o->dx * o->dx);
}

/* The nearest pixel of strictly higher density; among equals the first in raster order. Offsets come nearest first and
 * colour only adds to the distance, so the search ends where place alone is farther than the best found. */
static int32_t find_parent(const struct quickshift *q, int y, int x) {
    const size_t self = (size_t)y * (size_t)q->w + (size_t)x;
    size_t best = self;
    double closest = DBL_MAX;
    for (int i = 0; i < q->n_offsets && q->offsets[i].d2 <= closest; i++) {
        const struct offset *o = &q->offsets[i];
        const int oy = y + o->dy, ox = x + o->dx;
        if (oy < 0 || oy >= q->h || ox < 0 || ox >= q->w) continue;
        const size_t other = (size_t)oy * (size_t)q->w + (size_t)ox;
        if (!(q->density[other] > q->density[self])) continue;
        const double d2 = distance2(q, self, other, o);
        if (d2 < closest || (d2 == closest && other < best)) {
            closest = d2;
            best = other;
        }
    }
    return (int32_t)(sqrt(closest) > q->max_dist ? self : best);
}

/* Parents are denser than their children, so following them ends at a root; roots are numbered in raster order. */
static void label_trees(const struct quickshift *q, why_segments *out) {
    const int32_t n = q->h * q->w;
    for (int32_t i = 0; i < n; i++) out->label[i] = q->parent[i] == i ? out->n++ : -1;
    for (int32_t i = 0; i < n; i++) {
        int32_t root = i;
        while (out->label[root] < 0) root = q->parent[root];
        const int32_t label = out->label[root];
        for (int32_t k = i; out->label[k] < 0; k = q->parent[k]) out->label[k] = label;
    }
}

/* ------------------------------------------------------------------ the segmenter */

static void quickshift_clear(struct quickshift *q) {
    free(q->lab);
    free(q->density);
    free(q->row);
    free(q->offsets);
    free(q->parent);
}

static why_status quickshift_create(const why_image *im, const why_params *p, struct quickshift *q) {
    const double kernel = why_params_real(p, "kernel_size");
    const size_t n = (size_t)im->h * (size_t)im->w;
    *q = (struct quickshift){.h = im->h, .w = im->w, .reach = (int)ceil(3 * kernel), .scale = -0.5 / (kernel * kernel)};
    q->max_dist = why_params_real(p, "max_dist");
    if (n > INT32_MAX) return why_fail(WHY_ELIMIT, "quickshift: %d x %d pixels are too many", im->w, im->h);
    const size_t side = (size_t)q->reach * 2 + 1;
    why_status st = why_alloc(3 * n, sizeof *q->lab, "quickshift", &q->lab);
    if (!st) st = why_alloc(n, sizeof *q->density, "quickshift", &q->density);
    if (!st) st = why_alloc((size_t)im->w, sizeof *q->row, "quickshift", &q->row);
    if (!st) st = why_alloc(side * side, sizeof *q->offsets, "quickshift", &q->offsets);
    if (!st) st = why_alloc(n, sizeof *q->parent, "quickshift", &q->parent);
    return st;
}

static why_status prepare_colours(const why_image *im, const why_params *p, struct quickshift *q) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    const double sigma = why_params_real(p, "sigma"), ratio = why_params_real(p, "ratio");
    double value[256];
    why_unit_values(value);
    why_lab_planes(im->rgb, n, value, q->lab);
    for (size_t c = 0; c < 3; c++) WHY_TRY(why_smooth_plane(q->lab + c * n, im->h, im->w, sigma));
    for (size_t i = 0; i < 3 * n; i++) q->lab[i] *= ratio;
    return WHY_OK;
}

/* Equal densities (flat areas) would leave every pixel a root: N(0, 1e-5) noise breaks the ties. One sample per row. */
static void start_densities(struct quickshift *q, uint64_t seed, const double *noise) {
    const why_stream stream = why_stream_of(seed, 0, "quickshift");
    const size_t w = (size_t)q->w;
    if (noise) memcpy(q->density, noise, (size_t)q->h * w * sizeof *noise);
    for (int y = 0; y < q->h && !noise; y++) {
        why_rng r = why_rng_at(stream, (uint64_t)y);
        for (size_t x = 0; x < w; x++) q->density[(size_t)y * w + x] = 1e-5 * why_rng_normal(&r);
    }
}

static why_status run(const why_image *im, const why_params *p, uint64_t seed, const double *noise, why_segments *out) {
    struct quickshift q;
    *out = (why_segments){0};
    why_status st = quickshift_create(im, p, &q);
    if (!st) st = prepare_colours(im, p, &q);
    if (!st) st = why_segments_create(im->h, im->w, out);
    if (!st) {
        start_densities(&q, seed, noise);
        add_densities(&q);
        list_offsets(&q);
        for (int y = 0; y < q.h; y++)
            for (int x = 0; x < q.w; x++) q.parent[(size_t)y * (size_t)q.w + (size_t)x] = find_parent(&q, y, x);
        label_trees(&q, out);
    }
    quickshift_clear(&q);
    return st;
}

const why_segmenter why_segment_quickshift = {
    .name = "quickshift",
    .help = "mode seeking over colour and place; LIME's default",
    .source = "Vedaldi and Soatto 2008; scikit-image 0.19",
    .params = params,
    .run = run,
};
