/* RISE (Petsiuk 2018): the picture is seen through N random soft masks, and a pixel's value is the mean score of what was
 * seen, weighted by how much of the pixel was:  S(x) = 1/(N p) sum_i f(I * M_i) M_i(x)     (Eq. 6).
 *
 * A mask is a grid of cells x cells bits, each on with probability p, enlarged bilinearly to one cell more than the
 * picture, of which a window with a random offset is cut. Enlarging follows the published code (scikit-image's resize with
 * mode 'reflect'): pixel centres, and beyond the outermost centres the grid is mirrored. */
#include "explain/explainer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "explain/until.h"

static const why_param params[] = {
    {"samples", WHY_PARAM_INT, "4000", 2, 1000000, NULL, "masks"},
    {"cells", WHY_PARAM_INT, "7", 2, 64, NULL, "bits along a side of a mask"},
    {"p", WHY_PARAM_REAL, "0.5", 1e-3, 0.999, NULL, "probability that a bit is on"},
    {"fill", WHY_PARAM_TEXT, "zero", 0, 0, NULL, "what hidden parts show; zero is the published code's"},
    WHY_UNTIL_PARAM,
    {"reference", WHY_PARAM_BOOL, "false", 0, 0, NULL, "draw the masks of the published code after numpy.random.seed(reference_seed)"},
    {"reference_seed", WHY_PARAM_INT, "0", 0, 4294967295.0, NULL, "numpy seed of the reference masks"},
    {0},
};

/* Masks made and scored at a time. */
enum { BLOCK = 64 };

struct mask {
    int dy, dx; /* offset of the window */
};

struct rise {
    const why_request *r;
    const why_fill *fill;
    int h, w, cells, cell_h, cell_w, n, outputs;
    double p;
    uint8_t *bits;      /* n x cells x cells */
    struct mask *masks; /* n */
    float *soft;        /* BLOCK x h x w */
    why_perturbation *views;
    float *logits;
    double *sum, *squares; /* h x w: of score * mask */
    double *se;            /* h x w */
};

static void rise_clear(struct rise *s) {
    free(s->bits);
    free(s->masks);
    free(s->soft);
    free(s->views);
    free(s->logits);
    free(s->sum);
    free(s->squares);
    free(s->se);
}

static why_status rise_create(struct rise *s) {
    size_t pixels = (size_t)s->h * (size_t)s->w, n = (size_t)s->n;
    WHY_TRY(why_alloc(n * (size_t)s->cells * (size_t)s->cells, 1, "grids of masks", &s->bits));
    WHY_TRY(why_alloc(n, sizeof *s->masks, "masks", &s->masks));
    WHY_TRY(why_alloc(BLOCK * pixels, sizeof *s->soft, "masks", &s->soft));
    WHY_TRY(why_alloc(BLOCK, sizeof *s->views, "masks", &s->views));
    WHY_TRY(why_alloc(BLOCK * (size_t)s->outputs, sizeof *s->logits, "scores of the masks", &s->logits));
    WHY_TRY(why_alloc(pixels, sizeof *s->sum, "map", &s->sum));
    WHY_TRY(why_alloc(pixels, sizeof *s->squares, "map", &s->squares));
    return why_alloc(pixels, sizeof *s->se, "standard errors", &s->se);
}

/* ---------------------------------------------------------------- draws */
/* Mask i is a function of (stream, i): a shorter run is a prefix. */
static void draw(struct rise *s) {
    size_t bits = (size_t)s->cells * (size_t)s->cells;
    for (int i = 0; i < s->n; i++) {
        why_rng g = why_rng_at(s->r->stream, (uint64_t)i);
        for (size_t k = 0; k < bits; k++) s->bits[(size_t)i * bits + k] = why_rng_uniform(&g) < s->p;
        s->masks[i].dy = (int)why_rng_below(&g, (uint32_t)s->cell_h);
        s->masks[i].dx = (int)why_rng_below(&g, (uint32_t)s->cell_w);
    }
}

/* All grids first, then all offsets. */
static void draw_as_published(uint32_t seed, struct rise *s) {
    why_mt19937 g;
    why_mt19937_seed(&g, seed);
    for (size_t k = 0; k < (size_t)s->n * (size_t)s->cells * (size_t)s->cells; k++) s->bits[k] = why_mt19937_uniform(&g) < s->p;
    for (int i = 0; i < s->n; i++) {
        s->masks[i].dy = (int)why_mt19937_below(&g, (uint32_t)s->cell_h);
        s->masks[i].dx = (int)why_mt19937_below(&g, (uint32_t)s->cell_w);
    }
}

/* ---------------------------------------------------------------- masks */
/* Where pixel i of the enlarged side reads the grid: between cells *lo and *lo + 1. */
static double read_at(int i, int cells, int cell, int *lo) {
    double at = (i + 0.5) * cells / ((cells + 1) * cell) - 0.5;
    if (at < 0) at = -at;
    if (at > cells - 1) at = 2 * (cells - 1) - at;
    *lo = at >= cells - 1 ? cells - 2 : (int)at;
    return at - *lo;
}

static void enlarge(const struct rise *s, int i, float *soft) {
    const uint8_t *bits = s->bits + (size_t)i * (size_t)s->cells * (size_t)s->cells;
    for (int y = 0; y < s->h; y++) {
        int top, left;
        double fy = read_at(y + s->masks[i].dy, s->cells, s->cell_h, &top);
        const uint8_t *a = bits + (size_t)top * (size_t)s->cells, *b = a + s->cells;
        for (int x = 0; x < s->w; x++) {
            double fx = read_at(x + s->masks[i].dx, s->cells, s->cell_w, &left);
            double upper = a[left] * (1 - fx) + a[left + 1] * fx, lower = b[left] * (1 - fx) + b[left + 1] * fx;
            soft[(size_t)y * (size_t)s->w + (size_t)x] = (float)(upper * (1 - fy) + lower * fy);
        }
    }
}

/* ---------------------------------------------------------------- sums */
static void add(struct rise *s, const float *soft, double score) {
    for (size_t i = 0; i < (size_t)s->h * (size_t)s->w; i++) {
        double v = score * soft[i];
        s->sum[i] += v;
        s->squares[i] += v * v;
    }
}

static why_status run_block(struct rise *s, int first, int n) {
    size_t pixels = (size_t)s->h * (size_t)s->w;
    for (int i = 0; i < n; i++) {
        enlarge(s, first + i, s->soft + (size_t)i * pixels);
        s->views[i] = (why_perturbation){.kind = WHY_SOFT_MAP, .fill = s->fill, .u.soft = s->soft + (size_t)i * pixels};
    }
    WHY_TRY(why_evaluator_run(why_subject_evaluator(s->r->subject), s->views, n, s->logits));
    for (int i = 0; i < n; i++)
        add(s, s->soft + (size_t)i * pixels,
            why_score(s->logits + (size_t)i * (size_t)s->outputs, s->outputs, s->r->class_index, s->r->output));
    return WHY_OK;
}

/* Means over n p; the standard error of a pixel is that of a mean of n. */
static void summarise(const struct rise *s, double n, why_explanation *out) {
    double worst = 0, lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < (size_t)s->h * (size_t)s->w; i++) {
        double mean = s->sum[i] / n, variance = fmax(0, s->squares[i] / n - mean * mean) / (n - 1);
        out->map[i] = (float)(mean / s->p);
        s->se[i] = sqrt(variance) / s->p;
        lo = fmin(lo, mean);
        hi = fmax(hi, mean);
        worst = fmax(worst, sqrt(variance));
    }
    out->se_range = hi > lo ? worst / (hi - lo) : NAN;
    out->evaluations = (int64_t)n;
}

static why_status finish(const struct rise *s, why_explanation *out) {
    const size_t pixels = (size_t)s->h * (size_t)s->w;
    WHY_TRY(why_alloc(pixels, sizeof *out->se, "standard errors", &out->se));
    for (size_t i = 0; i < pixels; i++) out->se[i] = (float)s->se[i];
    out->note = why_explanation_zero_note(out);
    return WHY_OK;
}

enum { LEAST_MASKS = 128 };

static why_status run(struct rise *s, why_explanation *out) {
    if (why_params_bool(s->r->params, "reference")) draw_as_published((uint32_t)why_params_int(s->r->params, "reference_seed"), s);
    else draw(s);
    for (int n = 0, i = 0;;) {
        n = why_until_next(s->r->params, n, LEAST_MASKS, s->n);
        for (int end; i < n; i = end) {
            end = n - i < BLOCK ? n : i + BLOCK;
            WHY_TRY(run_block(s, i, end - i));
        }
        summarise(s, n, out);
        if (why_until_reached(s->r->params, n, s->n, out->se_range, out)) return finish(s, out);
    }
}

static why_status explain(const why_request *r, why_explanation *out) {
    WHY_TRY(why_request_check_class(r));
    why_evaluator *ev = why_subject_evaluator(r->subject);
    struct rise s = {.r = r, .h = out->h, .w = out->w, .outputs = why_model_get_info(why_evaluator_model(ev))->outputs};
    s.n = (int)why_params_int(r->params, "samples");
    s.cells = (int)why_params_int(r->params, "cells");
    s.p = why_params_real(r->params, "p");
    s.cell_h = (s.h + s.cells - 1) / s.cells;
    s.cell_w = (s.w + s.cells - 1) / s.cells;
    WHY_TRY(why_evaluator_fill(ev, why_params_text(r->params, "fill"), NULL, &s.fill));
    why_status st = rise_create(&s);
    if (!st) st = run(&s, out);
    rise_clear(&s);
    return st;
}

static int64_t evaluations(const why_params *p, int h, int w, int segments) {
    (void)h, (void)w, (void)segments;
    return why_params_int(p, "samples");
}

const why_explainer why_explainer_rise = {
    .name = "rise",
    .help = "mean of random soft masks, weighted by the score of what they show",
    .source = "Petsiuk 2018",
    .flags = WHY_STOCHASTIC | WHY_BLENDS,
    .output = WHY_PROBABILITY,
    .budget = "samples",
    .params = params,
    .evaluations = evaluations,
    .explain = explain,
};
