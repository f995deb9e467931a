/* SLIC (Achanta et al. 2012): k-means over colour and place, each centre looking only around itself, then small and
 * cut-off pieces join a neighbour. Labels equal scikit-image 0.19's with start_label = 0. */
#include "image/segment.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "image/filter.h"

static const why_param params[] = {
    {"n_segments", WHY_PARAM_INT, "50", 1, 1000000, NULL, "segments wanted; about so many are made"},
    {"compactness", WHY_PARAM_REAL, "10", 1e-6, 1e6, NULL, "weight of place against colour; larger = squarer"},
    {"sigma", WHY_PARAM_REAL, "1", 0, 64, NULL, "Gaussian smoothing beforehand, pixels"},
    {"iterations", WHY_PARAM_INT, "10", 1, 1000, NULL, "rounds of k-means"},
    {"zero", WHY_PARAM_BOOL, "false", 0, 0, NULL, "SLICO: each segment finds its own compactness"},
    {"connected", WHY_PARAM_BOOL, "true", 0, 0, NULL, "join pieces that are small or cut off"},
    {0},
};

struct centre {
    double y, x, lab[3];
    double farthest; /* SLICO: largest squared colour distance so far */
    int64_t n;       /* pixels; an empty centre stays empty */
};

struct slic {
    int h, w;
    double *lab; /* planes, divided by compactness */
    double *distance;
    int32_t *label;
    struct centre *centres;
    int n_centres;
    int step_y, step_x; /* of the grid of as many centres as were made */
    double place_weight;
    bool zero;
};

/* ------------------------------------------------------------------ the grid of first centres */

struct grid {
    int start[2], step[2]; /* y, x */
};

/* scikit-image's regular_grid for a volume of 1 x h x w: about n points, equally spaced, rounded steps; an axis
 * shorter than the common step gets one point. It begins with cubic cells, hence the depth of 1. */
static struct grid regular_grid(int h, int w, double n) {
    const double area = (double)h * w;
    const int shorter = h < w ? h : w, longer = h < w ? w : h;
    if (area <= n) return (struct grid){.step = {1, 1}};
    double step[2] = {sqrt(area / n), sqrt(area / n)}; /* shorter axis, longer axis */
    if (shorter < step[0]) {
        step[0] = shorter;
        step[1] = longer / n;
    }
    const int y = h <= w ? 0 : 1;
    struct grid g;
    for (int axis = 0; axis < 2; axis++) {
        const double s = step[axis == 0 ? y : 1 - y];
        g.start[axis] = (int)floor(s / 2);
        g.step[axis] = (int)rint(s);
    }
    return g;
}

static int points(int size, int start, int step) { return start < size ? (size - 1 - start) / step + 1 : 0; }

static why_status place_centres(struct slic *s, int wanted) {
    const struct grid g = regular_grid(s->h, s->w, wanted);
    const int ny = points(s->h, g.start[0], g.step[0]), nx = points(s->w, g.start[1], g.step[1]);
    const double step = g.step[0] > g.step[1] ? g.step[0] : g.step[1];
    s->place_weight = 1.0 / (step * step);
    WHY_TRY(why_alloc((size_t)ny * (size_t)nx, sizeof *s->centres, "SLIC centres", &s->centres));
    for (int i = 0; i < ny; i++)
        for (int k = 0; k < nx; k++)
            s->centres[s->n_centres++] =
                (struct centre){.y = g.start[0] + i * g.step[0], .x = g.start[1] + k * g.step[1], .farthest = 1, .n = 1};
    const struct grid window = regular_grid(s->h, s->w, s->n_centres);
    s->step_y = window.step[0];
    s->step_x = window.step[1];
    return WHY_OK;
}

/* ------------------------------------------------------------------ k-means */

static int low_edge(double centre, int step) { return centre - 2 * step > 0 ? (int)(centre - 2 * step) : 0; }

static int high_edge(double centre, int step, int size) { return centre + 2 * step + 1 < size ? (int)(centre + 2 * step + 1) : size; }

static double colour_distance(const struct slic *s, size_t i, const struct centre *c) {
    const size_t plane = (size_t)s->h * (size_t)s->w;
    double sum = 0;
    for (size_t k = 0; k < 3; k++) {
        const double t = s->lab[k * plane + i] - c->lab[k];
        sum += t * t;
    }
    return sum;
}

static void claim_pixels(struct slic *s, int which) {
    const struct centre *c = &s->centres[which];
    const int x0 = low_edge(c->x, s->step_x), x1 = high_edge(c->x, s->step_x, s->w);
    const int y1 = high_edge(c->y, s->step_y, s->h);
    for (int y = low_edge(c->y, s->step_y); y < y1; y++)
        for (int x = x0; x < x1; x++) {
            const size_t i = (size_t)y * (size_t)s->w + (size_t)x;
            const double dy = c->y - y, dx = c->x - x;
            double d = (dy * dy + dx * dx) * s->place_weight;
            d += s->zero ? colour_distance(s, i, c) / c->farthest : colour_distance(s, i, c);
            if (d < s->distance[i]) {
                s->distance[i] = d;
                s->label[i] = which;
            }
        }
}

static void assign_pixels(struct slic *s) {
    const size_t n = (size_t)s->h * (size_t)s->w;
    for (size_t i = 0; i < n; i++) s->distance[i] = DBL_MAX;
    for (int k = 0; k < s->n_centres; k++)
        if (s->centres[k].n > 0) claim_pixels(s, k);
}

static void move_centres(struct slic *s) {
    const size_t plane = (size_t)s->h * (size_t)s->w;
    for (int k = 0; k < s->n_centres; k++) s->centres[k] = (struct centre){.farthest = s->centres[k].farthest};
    size_t i = 0;
    for (int y = 0; y < s->h; y++)
        for (int x = 0; x < s->w; x++, i++) {
            if (s->label[i] < 0) continue;
            struct centre *c = &s->centres[s->label[i]];
            c->n++;
            c->y += y;
            c->x += x;
            for (size_t k = 0; k < 3; k++) c->lab[k] += s->lab[k * plane + i];
        }
    for (int k = 0; k < s->n_centres; k++) {
        struct centre *c = &s->centres[k];
        if (c->n == 0) continue;
        c->y /= (double)c->n;
        c->x /= (double)c->n;
        for (int j = 0; j < 3; j++) c->lab[j] /= (double)c->n;
    }
}

static void widen_colours(struct slic *s) {
    const size_t n = (size_t)s->h * (size_t)s->w;
    for (size_t i = 0; i < n; i++) {
        if (s->label[i] < 0) continue;
        struct centre *c = &s->centres[s->label[i]];
        const double d = colour_distance(s, i, c);
        if (d > c->farthest) c->farthest = d;
    }
}

static void cluster(struct slic *s, int iterations) {
    const size_t n = (size_t)s->h * (size_t)s->w;
    for (size_t i = 0; i < n; i++) s->label[i] = -1;
    for (int i = 0; i < iterations; i++) {
        assign_pixels(s);
        move_centres(s);
        if (s->zero) widen_colours(s);
    }
}

/* ------------------------------------------------------------------ connected pieces */

struct joining {
    int h, w, largest; /* pieces stop growing at `largest` pixels */
    const int32_t *from;
    int32_t *to;      /* -1 = not reached yet */
    int32_t *members; /* `largest` pixel numbers */
};

/* Grow the piece of `start` under the new number `label`. Returns its size; *beside = a neighbour's new number, the
 * last one met, or `label` when there is none. */
static int grow_piece(struct joining *j, int32_t start, int32_t label, int32_t *beside) {
    static const int step[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
    int size = 1;
    *beside = label;
    j->to[start] = label;
    j->members[0] = start;
    for (int visited = 0; visited < size && size < j->largest; visited++) {
        const int y = j->members[visited] / j->w, x = j->members[visited] % j->w;
        for (int i = 0; i < 4 && size < j->largest; i++) {
            const int ny = y + step[i][0], nx = x + step[i][1];
            if (ny < 0 || ny >= j->h || nx < 0 || nx >= j->w) continue;
            const int32_t next = ny * j->w + nx;
            if (j->from[next] == j->from[start] && j->to[next] < 0) {
                j->to[next] = label;
                j->members[size++] = next;
            } else if (j->to[next] >= 0 && j->to[next] != label) {
                *beside = j->to[next];
            }
        }
    }
    return size;
}

/* Pieces below half the usual size join a neighbour; ones above three times are cut. scikit-image's factors. */
static why_status join_pieces(const struct slic *s, why_segments *out) {
    const int32_t n = s->h * s->w;
    const double usual = (double)n / s->n_centres;
    const int smallest = (int)(0.5 * usual);
    struct joining j = {.h = s->h, .w = s->w, .largest = (int)(3 * usual), .from = s->label, .to = out->label};
    WHY_TRY(why_alloc((size_t)j.largest, sizeof *j.members, "SLIC pieces", &j.members));
    for (int32_t i = 0; i < n; i++) j.to[i] = -1;
    int32_t label = 0, beside;
    for (int32_t i = 0; i < n; i++) {
        if (j.to[i] >= 0 || j.from[i] < 0) continue;
        const int size = grow_piece(&j, i, label, &beside);
        if (size >= smallest) label++;
        else for (int k = 0; k < size; k++) j.to[j.members[k]] = beside;
    }
    free(j.members);
    return WHY_OK;
}

/* Number the labels in use 0..n-1, keeping their order. Pixels that no centre reached (-1) become segment 0's. */
static why_status compact_labels(const int32_t *from, why_segments *out) {
    const size_t n = (size_t)out->h * (size_t)out->w;
    int32_t *number, largest = 0;
    for (size_t i = 0; i < n; i++) largest = from[i] > largest ? from[i] : largest;
    WHY_TRY(why_alloc((size_t)largest + 1, sizeof *number, "SLIC labels", &number));
    for (size_t i = 0; i < n; i++) number[from[i] < 0 ? 0 : from[i]] = 1;
    for (int32_t k = 0; k <= largest; k++) number[k] = number[k] ? out->n++ : -1;
    for (size_t i = 0; i < n; i++) out->label[i] = number[from[i] < 0 ? 0 : from[i]];
    free(number);
    return WHY_OK;
}

/* ------------------------------------------------------------------ the segmenter */

/* SLIC stretches the picture's values to 0..1 before anything else. */
static void stretched_values(const why_image *im, double value[256]) {
    const size_t n = (size_t)im->h * (size_t)im->w * 3;
    uint8_t lo = 255, hi = 0;
    for (size_t i = 0; i < n; i++) {
        lo = im->rgb[i] < lo ? im->rgb[i] : lo;
        hi = im->rgb[i] > hi ? im->rgb[i] : hi;
    }
    why_unit_values(value);
    const double base = value[lo], range = value[hi] - base;
    for (int v = 0; v < 256; v++) value[v] = v < lo || v > hi ? 0 : range > 0 ? (value[v] - base) / range : value[v] - base;
}

static why_status prepare_colours(const why_image *im, const why_params *p, struct slic *s) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    const double sigma = why_params_real(p, "sigma"), ratio = 1.0 / why_params_real(p, "compactness");
    double value[256];
    stretched_values(im, value);
    why_lab_planes(im->rgb, n, value, s->lab);
    for (size_t c = 0; c < 3; c++) WHY_TRY(why_smooth_plane(s->lab + c * n, im->h, im->w, sigma));
    for (size_t i = 0; i < 3 * n; i++) s->lab[i] *= ratio;
    return WHY_OK;
}

static why_status slic_create(const why_image *im, const why_params *p, struct slic *s) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    *s = (struct slic){.h = im->h, .w = im->w, .zero = why_params_bool(p, "zero")};
    if (n > INT32_MAX) return why_fail(WHY_ELIMIT, "slic: %d x %d pixels are too many", im->w, im->h);
    why_status st = why_alloc(3 * n, sizeof *s->lab, "SLIC", &s->lab);
    if (!st) st = why_alloc(n, sizeof *s->distance, "SLIC", &s->distance);
    if (!st) st = why_alloc(n, sizeof *s->label, "SLIC", &s->label);
    if (!st) st = place_centres(s, (int)why_params_int(p, "n_segments"));
    return st;
}

static why_status run(const why_image *im, const why_params *p, uint64_t seed, const double *noise, why_segments *out) {
    struct slic s;
    (void)seed;
    (void)noise;
    *out = (why_segments){0};
    why_status st = slic_create(im, p, &s);
    if (!st) st = prepare_colours(im, p, &s);
    if (!st) st = why_segments_create(im->h, im->w, out);
    if (!st) {
        cluster(&s, (int)why_params_int(p, "iterations"));
        const bool join = why_params_bool(p, "connected");
        if (join) st = join_pieces(&s, out);
        if (!st) st = compact_labels(join ? out->label : s.label, out);
    }
    if (st) why_segments_clear(out);
    free(s.lab);
    free(s.distance);
    free(s.label);
    free(s.centres);
    return st;
}

const why_segmenter why_segment_slic = {
    .name = "slic",
    .help = "k-means over colour and place, compact segments of like size",
    .source = "Achanta et al. 2012; scikit-image 0.19",
    .params = params,
    .run = run,
};
