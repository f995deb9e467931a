/* Pillow's resampling, bit for bit: separable, antialiased (the filter is stretched by the scale when shrinking), two
 * passes with an 8-bit picture between them, weights in 22-bit fixed point. */
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { PRECISION = 32 - 8 - 2 };

/* Weights of output positions [first, first+n): each draws on `count` inputs from `start`. */
struct taps {
    int n, width;
    int *start, *count;
    int32_t *weight; /* n * width */
    double *scratch; /* width */
};

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys (1981) with a = -0.5, evaluated in Pillow's order. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static void taps_clear(struct taps *t) {
    free(t->start);
    free(t->count);
    free(t->weight);
    free(t->scratch);
}

static int32_t to_fixed(double w) { return (int32_t)((w < 0 ? -0.5 : 0.5) + w * (1 << PRECISION)); }

static void fill_tap(struct taps *t, int i, int position, int in, int out, why_filter how) {
    const double scale = (double)in / out, stretch = scale < 1 ? 1 : scale;
    const double support = (how == WHY_BICUBIC ? 2 : 1) * stretch, centre = (position + 0.5) * scale, inverse = 1.0 / stretch;
    int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
    if (lo < 0) lo = 0;
    if (hi > in) hi = in;
    double sum = 0;
    for (int k = 0; k < hi - lo; k++) {
        const double x = (k + lo - centre + 0.5) * inverse;
        t->scratch[k] = how == WHY_BICUBIC ? cubic(x) : triangle(x);
        sum += t->scratch[k];
    }
    for (int k = 0; k < hi - lo; k++) t->weight[(size_t)i * (size_t)t->width + (size_t)k] = to_fixed(sum != 0 ? t->scratch[k] / sum : 0);
    t->start[i] = lo;
    t->count[i] = hi - lo;
}

static why_status taps_create(int in, int out, int first, int n, why_filter how, struct taps *t) {
    const double scale = (double)in / out;
    *t = (struct taps){.n = n, .width = (int)ceil((how == WHY_BICUBIC ? 2 : 1) * (scale < 1 ? 1 : scale)) * 2 + 1};
    why_status st = why_alloc((size_t)n, sizeof *t->start, "resizing weights", &t->start);
    if (!st) st = why_alloc((size_t)n, sizeof *t->count, "resizing weights", &t->count);
    if (!st) st = why_alloc((size_t)n * (size_t)t->width, sizeof *t->weight, "resizing weights", &t->weight);
    if (!st) st = why_alloc((size_t)t->width, sizeof *t->scratch, "resizing weights", &t->scratch);
    for (int i = 0; !st && i < n; i++) fill_tap(t, i, first + i, in, out, how);
    if (st) taps_clear(t);
    return st;
}

static uint8_t clip8(int32_t sum) {
    const int32_t v = sum >> PRECISION;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

/* in: rows of in_w pixels, out: rows of t->n pixels. */
static void pass_across(const uint8_t *in, int rows, int in_w, int channels, const struct taps *t, uint8_t *out) {
    for (int y = 0; y < rows; y++, in += (size_t)in_w * (size_t)channels)
        for (int x = 0; x < t->n; x++) {
            const int32_t *weight = t->weight + (size_t)x * (size_t)t->width;
            for (int c = 0; c < channels; c++) {
                const uint8_t *p = in + (size_t)t->start[x] * (size_t)channels + c;
                int32_t sum = 1 << (PRECISION - 1);
                for (int k = 0; k < t->count[x]; k++) sum += p[(size_t)k * (size_t)channels] * weight[k];
                *out++ = clip8(sum);
            }
        }
}

/* in: rows of `row` bytes, the first of which is row `origin` of the picture. */
static void pass_down(const uint8_t *in, int origin, size_t row, const struct taps *t, uint8_t *out) {
    for (int y = 0; y < t->n; y++) {
        const int32_t *weight = t->weight + (size_t)y * (size_t)t->width;
        const uint8_t *p = in + (size_t)(t->start[y] - origin) * row;
        for (size_t i = 0; i < row; i++) {
            int32_t sum = 1 << (PRECISION - 1);
            for (int k = 0; k < t->count[y]; k++) sum += p[(size_t)k * row + i] * weight[k];
            *out++ = clip8(sum);
        }
    }
}

/* Across first, then down, over the rows that the window needs. A pass at scale 1 has weights 0 and 1: the identity. */
static why_status resample(const uint8_t *in, int h, int w, int channels, const why_window *win, why_filter how, uint8_t *out) {
    struct taps across = {0}, down = {0};
    uint8_t *middle = NULL;
    const size_t row = (size_t)win->w * (size_t)channels;
    why_status st = taps_create(w, win->full_w, win->x0, win->w, how, &across);
    if (!st) st = taps_create(h, win->full_h, win->y0, win->h, how, &down);
    if (!st) {
        const int last = win->h - 1, first_row = down.start[0], rows = down.start[last] + down.count[last] - first_row;
        st = why_alloc((size_t)rows, row, "a resized picture", &middle);
        if (!st) {
            pass_across(in + (size_t)first_row * (size_t)w * (size_t)channels, rows, w, channels, &across, middle);
            pass_down(middle, first_row, row, &down, out);
        }
    }
    free(middle);
    taps_clear(&across);
    taps_clear(&down);
    return st;
}

/* The input column (or row) of every output one: pixel centres, stepped by addition as Pillow's affine scaling does. */
static void nearest_places(int in, int out, int first, int n, int *place) {
    const double step = (double)in / out;
    double at = step * 0.5;
    for (int i = 0; i < first + n; i++, at += step)
        if (i >= first) place[i - first] = (int)at < in ? (int)at : in - 1;
}

static why_status pick_nearest(const uint8_t *in, int h, int w, int channels, const why_window *win, uint8_t *out) {
    int *place;
    const size_t c = (size_t)channels;
    WHY_TRY(why_alloc((size_t)win->w + (size_t)win->h, sizeof *place, "resizing places", &place));
    const int *xs = place, *ys = place + win->w;
    nearest_places(w, win->full_w, win->x0, win->w, place);
    nearest_places(h, win->full_h, win->y0, win->h, place + win->w);
    for (int y = 0; y < win->h; y++)
        for (int x = 0; x < win->w; x++, out += c) memcpy(out, in + c * ((size_t)ys[y] * (size_t)w + (size_t)xs[x]), c);
    free(place);
    return WHY_OK;
}

why_status why_resize_window(const uint8_t *in, int h, int w, int channels, const why_window *win, why_filter how, uint8_t *out) {
    if (how == WHY_NEAREST) return pick_nearest(in, h, w, channels, win, out);
    return resample(in, h, w, channels, win, how, out);
}

why_status why_image_resize(const why_image *in, int h, int w, why_filter how, why_image *out) {
    const why_window win = {.full_h = h, .full_w = w, .h = h, .w = w};
    WHY_TRY(why_image_create(h, w, out));
    why_status st = why_resize_window(in->rgb, in->h, in->w, 3, &win, how, out->rgb);
    if (st) why_image_clear(out);
    return st;
}

/* Left neighbour and weight of the right one, in float as OpenCV has it; beyond the borders the edge value goes on. */
static int linear_place(int i, double scale, int n, float *fraction) {
    const float at = (float)((i + 0.5) * scale - 0.5);
    const int left = (int)floorf(at);
    *fraction = left < 0 || left >= n - 1 ? 0 : at - (float)left;
    return left < 0 ? 0 : left >= n ? n - 1 : left;
}

void why_map_resize(const float *in, int h, int w, float *out, int oh, int ow) {
    const double sy = 1.0 / ((double)oh / h), sx = 1.0 / ((double)ow / w);
    for (int y = 0; y < oh; y++) {
        float fy, fx;
        const int top = linear_place(y, sy, h, &fy);
        const float *a = in + (size_t)top * (size_t)w, *b = top + 1 < h ? a + w : a;
        for (int x = 0; x < ow; x++) {
            const int left = linear_place(x, sx, w, &fx), right = left + 1 < w ? left + 1 : left;
            const float upper = a[left] * (1 - fx) + a[right] * fx, lower = b[left] * (1 - fx) + b[right] * fx;
            *out++ = upper * (1 - fy) + lower * fy;
        }
    }
}
