#include "whypix/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metric/metrics.h"
#include "metric/order.h"

static const char *const policies[] = {[WHY_POSITIVE] = "positive", [WHY_SIGNED] = "signed", [WHY_ABSOLUTE] = "absolute"};
enum { N_POLICIES = sizeof policies / sizeof *policies };

why_status why_policy_parse(const char *text, why_policy *out) {
    for (int i = 0; i < N_POLICIES; i++)
        if (strcmp(text, policies[i]) == 0) {
            *out = (why_policy)i;
            return WHY_OK;
        }
    return why_fail(WHY_EARG, "policy: got '%s', want positive, signed or absolute", text);
}

const char *why_policy_name(why_policy p) { return policies[p]; }

why_status why_grid_parse(const char *text, why_grid *out) {
    *out = (why_grid){0};
    if (strcmp(text, "pixel") == 0) {
        out->kind = WHY_GRID_PIXEL;
        return WHY_OK;
    }
    if (strcmp(text, "segments") == 0) {
        out->kind = WHY_GRID_SEGMENTS;
        return WHY_OK;
    }
    char *x, *end;
    long rows = strtol(text, &x, 10), cols = *x == 'x' ? strtol(x + 1, &end, 10) : 0;
    if (*x != 'x' || *end || rows < 1 || cols < 1 || rows > 4096 || cols > 4096)
        return why_fail(WHY_EARG, "grid: got '%s', want pixel, segments or RxC (as 14x14) of 1 to 4096 cells", text);
    *out = (why_grid){.kind = WHY_GRID_CELLS, .rows = (int)rows, .cols = (int)cols};
    return WHY_OK;
}

/* ---------------------------------------------------------------- policy */
static float under_policy(float v, why_policy policy) {
    switch (policy) {
    case WHY_POSITIVE: return v > 0 ? v : 0;
    case WHY_ABSOLUTE: return fabsf(v);
    case WHY_SIGNED: break;
    }
    return v;
}

/* (v - min) / (max - min) in double, so that no range of float values overflows. */
static void min_max(float *v, int n) {
    float lo = v[0], hi = v[0];
    for (int i = 1; i < n; i++) {
        if (v[i] < lo) lo = v[i];
        if (v[i] > hi) hi = v[i];
    }
    double range = (double)hi - lo;
    for (int i = 0; i < n; i++) v[i] = range > 0 ? (float)(((double)v[i] - lo) / range) : 0;
}

static why_status apply_policy(const float *map, int n, why_policy policy, float *v) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(map[i])) return why_fail(WHY_EFORMAT, "map: value %d of %d is %g, want a finite number", i, n, (double)map[i]);
        v[i] = under_policy(map[i], policy);
    }
    if (policy != WHY_SIGNED) min_max(v, n);
    return WHY_OK;
}

/* ---------------------------------------------------------------- grid */
static void segment_means(const float *v, const why_segments *s, double *sum, int32_t *count, float *mean) {
    int64_t n = (int64_t)s->h * s->w;
    for (int64_t i = 0; i < n; i++) {
        sum[s->label[i]] += (double)v[i];
        count[s->label[i]]++;
    }
    for (int k = 0; k < s->n; k++) mean[k] = count[k] ? (float)(sum[k] / count[k]) : 0;
}

static why_status means_of_segments(const float *v, const why_segments *s, float **mean) {
    double *sum = NULL;
    int32_t *count = NULL;
    why_status st = why_alloc((size_t)s->n, sizeof *sum, "segment sums", &sum);
    if (!st) st = why_alloc((size_t)s->n, sizeof *count, "segment sizes", &count);
    if (!st) st = why_alloc((size_t)s->n, sizeof **mean, "segment means", mean);
    if (!st) segment_means(v, s, sum, count, *mean);
    free(sum);
    free(count);
    return st;
}

/* Length of the overlap of pixel i (of n) and cell c (of m) on a line of n*m units: exact for any n and m. */
static int64_t overlap(int64_t i, int64_t n, int64_t c, int64_t m) {
    int64_t lo = i * m > c * n ? i * m : c * n, hi = (i + 1) * m < (c + 1) * n ? (i + 1) * m : (c + 1) * n;
    return hi - lo;
}

/* Mean over the cell's area; a pixel on its border counts by the part inside. */
static float cell_mean(const float *v, int h, int w, int r, int rows, int c, int cols) {
    double sum = 0;
    for (int64_t y = (int64_t)r * h / rows; y * rows < (int64_t)(r + 1) * h; y++) {
        double line = 0;
        for (int64_t x = (int64_t)c * w / cols; x * cols < (int64_t)(c + 1) * w; x++)
            line += (double)overlap(x, w, c, cols) * (double)v[y * w + x];
        sum += (double)overlap(y, h, r, rows) * line;
    }
    return (float)(sum / ((double)h * w));
}

void why_cell_means(const float *v, int h, int w, int rows, int cols, float *out) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) out[r * cols + c] = cell_mean(v, h, w, r, rows, c, cols);
}

static why_status to_cells(const float *v, int h, int w, const why_grid *g, float **out) {
    WHY_TRY(why_alloc((size_t)g->rows * (size_t)g->cols, sizeof **out, "grid", out));
    why_cell_means(v, h, w, g->rows, g->cols, *out);
    return WHY_OK;
}

/* Replace the h x w values of `f` by those of the grid. */
static why_status apply_grid(why_field *f, int h, int w, const why_grid *g, const why_segments *grid_segments) {
    float *cells = NULL;
    if (g->kind == WHY_GRID_PIXEL) return WHY_OK;
    why_status st = g->kind == WHY_GRID_CELLS ? to_cells(f->v, h, w, g, &cells) : means_of_segments(f->v, grid_segments, &cells);
    if (st) {
        free(cells);
        return st;
    }
    free(f->v);
    f->v = cells;
    f->rows = g->kind == WHY_GRID_CELLS ? g->rows : 0;
    f->cols = g->kind == WHY_GRID_CELLS ? g->cols : 0;
    f->n = g->kind == WHY_GRID_CELLS ? g->rows * g->cols : grid_segments->n;
    return WHY_OK;
}

static why_status rank_field(why_field *f) {
    WHY_TRY(why_alloc((size_t)f->n, sizeof *f->order, "order of a map", &f->order));
    WHY_TRY(why_alloc((size_t)f->n, sizeof *f->rank2, "ranks of a map", &f->rank2));
    WHY_TRY(why_order_falling(f->v, f->n, NULL, f->order));
    why_ranks_of_order(f->v, f->order, f->n, f->rank2);
    return WHY_OK;
}

static why_status check_size(const char *what, const why_segments *s, int h, int w) {
    if (!s || (s->h == h && s->w == w && s->n > 0)) return WHY_OK;
    return why_fail(WHY_EBUG, "%s: %d segments on %d x %d, the map has %d x %d", what, s->n, s->h, s->w, h, w);
}

static why_status check(int h, int w, const why_segments *own, const why_grid *grid, const why_segments *grid_segments) {
    if (h < 1 || w < 1 || (int64_t)h * w > INT32_MAX / 2) return why_fail(WHY_ELIMIT, "map: got %d x %d pixels, want 1 to 2^30", h, w);
    if (grid->kind == WHY_GRID_SEGMENTS && !grid_segments) return why_fail(WHY_EBUG, "grid 'segments': no segmentation given");
    WHY_TRY(check_size("segments of a map", own, h, w));
    return grid->kind == WHY_GRID_SEGMENTS ? check_size("grid 'segments'", grid_segments, h, w) : WHY_OK;
}

why_status why_field_make(const float *map, int h, int w, const why_segments *own_segments, why_policy policy, const why_grid *grid,
                          const why_segments *grid_segments, why_field *out) {
    *out = (why_field){0};
    WHY_TRY(check(h, w, own_segments, grid, grid_segments));
    *out = (why_field){.n = h * w, .rows = h, .cols = w, .segments = own_segments};
    why_status st = why_alloc((size_t)out->n, sizeof *out->v, "map", &out->v);
    if (!st) st = apply_policy(map, out->n, policy, out->v);
    if (!st && own_segments) st = means_of_segments(out->v, own_segments, &out->segment_mean);
    if (!st) st = apply_grid(out, h, w, grid, grid_segments);
    if (!st) st = rank_field(out);
    if (st) why_field_clear(out);
    return st;
}

void why_field_clear(why_field *f) {
    free(f->v);
    free(f->order);
    free(f->rank2);
    free(f->segment_mean);
    *f = (why_field){0};
}
