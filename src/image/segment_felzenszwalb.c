/* Felzenszwalb and Huttenlocher (2004): pixels are joined along the edges between eight neighbours, cheapest first, while
 * an edge costs less than the dearest edge inside either side plus scale / size. Then sides of fewer than min_size pixels
 * are joined to whatever is cheapest. Labels equal scikit-image 0.19's; edges of equal cost come in the order in which it
 * lists them (its own sort is not stable, so that on flat areas it may join in another order). */
#include "image/segment.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "image/filter.h"

static const why_param params[] = {
    {"scale", WHY_PARAM_REAL, "100", 0, 1e6, NULL, "larger = larger segments"},
    {"sigma", WHY_PARAM_REAL, "0.8", 0, 64, NULL, "Gaussian smoothing beforehand, pixels"},
    {"min_size", WHY_PARAM_INT, "20", 0, 1000000000, NULL, "smallest segment, pixels"},
    {0},
};

struct edge {
    double cost;
    int32_t index; /* in the order listed: breaks ties */
    int32_t a, b;  /* pixels */
};

struct forest {
    int h, w;
    double *rgb; /* planes */
    struct edge *edges;
    int32_t n_edges;
    int32_t *parent, *size;
    double *inside; /* cost of the dearest edge within a tree */
};

static void forest_clear(struct forest *f) {
    free(f->rgb);
    free(f->edges);
    free(f->parent);
    free(f->size);
    free(f->inside);
}

static why_status forest_create(int h, int w, struct forest *f) {
    const size_t n = (size_t)h * (size_t)w;
    *f = (struct forest){.h = h, .w = w};
    if (n > INT32_MAX / 4) return why_fail(WHY_ELIMIT, "felzenszwalb: %d x %d pixels are too many", w, h);
    why_status st = why_alloc(3 * n, sizeof *f->rgb, "felzenszwalb", &f->rgb);
    if (!st) st = why_alloc(4 * n, sizeof *f->edges, "felzenszwalb", &f->edges);
    if (!st) st = why_alloc(n, sizeof *f->parent, "felzenszwalb", &f->parent);
    if (!st) st = why_alloc(n, sizeof *f->size, "felzenszwalb", &f->size);
    if (!st) st = why_alloc(n, sizeof *f->inside, "felzenszwalb", &f->inside);
    return st;
}

/* ------------------------------------------------------------------ edges */

static why_status smooth_colours(const why_image *im, double sigma, struct forest *f) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    double value[256];
    why_unit_values(value);
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) f->rgb[c * n + i] = value[im->rgb[3 * i + c]];
        WHY_TRY(why_smooth_plane(f->rgb + c * n, im->h, im->w, sigma));
    }
    return WHY_OK;
}

static void add_edge(struct forest *f, int32_t a, int32_t b) {
    const size_t plane = (size_t)f->h * (size_t)f->w;
    double sum = 0;
    for (size_t c = 0; c < 3; c++) {
        const double t = f->rgb[c * plane + (size_t)a] - f->rgb[c * plane + (size_t)b];
        sum += t * t;
    }
    f->edges[f->n_edges] = (struct edge){sqrt(sum), f->n_edges, a, b};
    f->n_edges++;
}

/* To the right, down, down right, up right: scikit-image's order, direction by direction. */
static void list_edges(struct forest *f) {
    static const int step[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
    for (int d = 0; d < 4; d++)
        for (int y = 0; y + step[d][0] < f->h; y++)
            for (int x = step[d][1] < 0 ? 1 : 0; x < f->w && x + step[d][1] < f->w; x++)
                add_edge(f, y * f->w + x, (y + step[d][0]) * f->w + x + step[d][1]);
}

static int by_cost(const void *a, const void *b) {
    const struct edge *p = a, *q = b;
    if (p->cost != q->cost) return p->cost < q->cost ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

/* ------------------------------------------------------------------ trees */

static int32_t root_of(struct forest *f, int32_t i) {
    while (f->parent[i] != i) i = f->parent[i] = f->parent[f->parent[i]];
    return i;
}

/* The pixel that comes first in the picture is the root. */
static int32_t join(struct forest *f, int32_t a, int32_t b) {
    const int32_t root = a < b ? a : b;
    f->parent[a] = f->parent[b] = root;
    f->size[root] = f->size[a] + f->size[b];
    return root;
}

/* scikit-image keeps the bounds in single precision. */
static float bound(const struct forest *f, int32_t root, double scale) { return (float)(f->inside[root] + scale / f->size[root]); }

static void join_similar(struct forest *f, double scale) {
    for (int32_t i = 0; i < f->n_edges; i++) {
        const int32_t a = root_of(f, f->edges[i].a), b = root_of(f, f->edges[i].b);
        if (a == b) continue;
        if (f->edges[i].cost < fminf(bound(f, a, scale), bound(f, b, scale))) f->inside[join(f, a, b)] = f->edges[i].cost;
    }
}

static void join_small(struct forest *f, int64_t min_size) {
    for (int32_t i = 0; i < f->n_edges; i++) {
        const int32_t a = root_of(f, f->edges[i].a), b = root_of(f, f->edges[i].b);
        if (a != b && (f->size[a] < min_size || f->size[b] < min_size)) join(f, a, b);
    }
}

/* Roots come first in their trees, so one pass numbers them and the rest. */
static void label_trees(struct forest *f, why_segments *out) {
    for (int32_t i = 0; i < f->h * f->w; i++) {
        const int32_t root = root_of(f, i);
        out->label[i] = root == i ? out->n++ : out->label[root];
    }
}

static why_status run(const why_image *im, const why_params *p, uint64_t seed, const double *noise, why_segments *out) {
    struct forest f;
    (void)seed;
    (void)noise;
    *out = (why_segments){0};
    why_status st = forest_create(im->h, im->w, &f);
    if (!st) st = smooth_colours(im, why_params_real(p, "sigma"), &f);
    if (!st) st = why_segments_create(im->h, im->w, out);
    if (!st) {
        for (int32_t i = 0; i < im->h * im->w; i++) f.parent[i] = i, f.size[i] = 1;
        list_edges(&f);
        qsort(f.edges, (size_t)f.n_edges, sizeof *f.edges, by_cost);
        join_similar(&f, why_params_real(p, "scale") / 255);
        join_small(&f, why_params_int(p, "min_size"));
        label_trees(&f, out);
    }
    forest_clear(&f);
    return st;
}

const why_segmenter why_segment_felzenszwalb = {
    .name = "felzenszwalb",
    .help = "joins pixels along cheap edges until the edges are dearer than those inside",
    .source = "Felzenszwalb 2004; scikit-image 0.19",
    .params = params,
    .run = run,
};
