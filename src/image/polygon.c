#include "image/polygon.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The first pixel of a row whose centre is at or right of x. */
static int first_pixel(double x, int w) {
    const double at = ceil(x - 0.5);
    return at < 0 ? 0 : at > w ? w : (int)at;
}

static void fill_span(uint8_t *row, int w, double from, double to, uint8_t value) {
    const int a = first_pixel(from, w), b = first_pixel(to, w);
    if (a < b) memset(row + a, value, (size_t)(b - a));
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where the line of centres at height y enters and leaves the polygon, from left to right. */
static int crossings(const double *xy, int n, double y, double *x) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        const double *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % n);
        if ((a[1] <= y) == (b[1] <= y)) continue;
        x[found++] = a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
    }
    qsort(x, (size_t)found, sizeof *x, by_value);
    return found;
}

why_status why_polygon_fill(uint8_t *mask, int h, int w, const double *xy, int n, uint8_t value) {
    double *x;
    WHY_TRY(why_alloc((size_t)n + 1, sizeof *x, "a polygon", &x));
    for (int y = 0; y < h; y++) {
        const int found = crossings(xy, n, y + 0.5, x);
        for (int i = 0; i + 1 < found; i += 2) fill_span(mask + (size_t)y * (size_t)w, w, x[i], x[i + 1], value);
    }
    free(x);
    return WHY_OK;
}

void why_circle_fill(uint8_t *mask, int h, int w, double x, double y, double radius, uint8_t value) {
    for (int row = 0; row < h; row++) {
        const double dy = row + 0.5 - y, half = radius * radius - dy * dy;
        if (half > 0) fill_span(mask + (size_t)row * (size_t)w, w, x - sqrt(half), x + sqrt(half), value);
    }
}
