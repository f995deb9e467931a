#include "image/filter.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "whypix/image.h"

/* ... c b | a b c d | c b a ...: the edge is not repeated (OpenCV's BORDER_REFLECT_101), any distance outside. */
static int reflect_101(int i, int n) {
    if (n == 1) return 0;
    const int period = 2 * n - 2;
    i = ((i % period) + period) % period;
    return i < n ? i : period - i;
}

/* ... b a | a b c d | d c ...: the edge is repeated (scipy's "reflect"). */
static int reflect_edge(int i, int n) {
    const int period = 2 * n;
    i = ((i % period) + period) % period;
    return i < n ? i : period - 1 - i;
}

/* ------------------------------------------------------------------ box */

/* OpenCV divides small windows (area up to 256) in 23-bit fixed point, and larger ones in float, halves to even (the last
 * few values of its rows, short of a vector, in double: there a tie may fall the other way). */
enum { MEAN_SHIFT = 23 };

struct mean_rule {
    int area;
    uint32_t multiplier, delta;
};

static struct mean_rule mean_rule_of(int area) {
    const double exact = (double)(1 << MEAN_SHIFT) / area, whole = floor(exact);
    const bool down = exact - whole < 0.5;
    return (struct mean_rule){.area = area, .multiplier = (uint32_t)whole + (down ? 0 : 1), .delta = (uint32_t)(area / 2 + (down ? 1 : 0))};
}

static uint8_t mean_of(const struct mean_rule *m, int64_t sum) {
    if (m->area == 1) return (uint8_t)sum;
    if (m->area <= 256) return (uint8_t)(((uint32_t)sum + m->delta) * m->multiplier >> MEAN_SHIFT);
    const float v = rintf((float)sum * (float)(1.0 / m->area));
    return v > 255 ? 255 : (uint8_t)v;
}

/* Sums over [x - kx/2, x - kx/2 + kx) of one row of RGB pixels. */
static void sum_row(const uint8_t *in, int w, int kx, int32_t *out) {
    for (int c = 0; c < 3; c++) {
        int32_t sum = 0;
        for (int k = 0; k < kx; k++) sum += in[3 * reflect_101(k - kx / 2, w) + c];
        for (int x = 0; x < w; x++) {
            out[3 * x + c] = sum;
            sum += in[3 * reflect_101(x - kx / 2 + kx, w) + c] - in[3 * reflect_101(x - kx / 2, w) + c];
        }
    }
}

static void add_row(int64_t *sums, const int32_t *row, size_t n, int sign) {
    for (size_t i = 0; i < n; i++) sums[i] += sign * (int64_t)row[i];
}

why_status why_box_blur(const uint8_t *in, int h, int w, int kx, int ky, uint8_t *out) {
    enum { LARGEST = 1 << 14 };
    if (kx < 1 || ky < 1 || kx > LARGEST || ky > LARGEST)
        return why_fail(WHY_EARG, "blur of %d x %d pixels: a window of 1 to %d is wanted", kx, ky, LARGEST);
    const size_t row = (size_t)w * 3;
    int32_t *across;
    int64_t *sums;
    WHY_TRY(why_alloc((size_t)h * row, sizeof *across, "a blurred picture", &across));
    why_status st = why_alloc(row, sizeof *sums, "a blurred picture", &sums);
    if (!st) {
        const struct mean_rule rule = mean_rule_of(kx * ky);
        for (int y = 0; y < h; y++) sum_row(in + (size_t)y * row, w, kx, across + (size_t)y * row);
        for (int k = 0; k < ky; k++) add_row(sums, across + (size_t)reflect_101(k - ky / 2, h) * row, row, 1);
        for (int y = 0; y < h; y++) {
            for (size_t i = 0; i < row; i++) *out++ = mean_of(&rule, sums[i]);
            add_row(sums, across + (size_t)reflect_101(y - ky / 2 + ky, h) * row, row, 1);
            add_row(sums, across + (size_t)reflect_101(y - ky / 2, h) * row, row, -1);
        }
    }
    free(sums);
    free(across);
    return st;
}

/* ------------------------------------------------------------------ Gaussian */

static void gaussian_weights(int radius, double sigma, double *weight) {
    double sum = 0;
    for (int i = -radius; i <= radius; i++) sum += weight[i + radius] = exp(-0.5 / (sigma * sigma) * i * i);
    for (int i = 0; i <= 2 * radius; i++) weight[i] /= sum;
}

/* RISE (Petsiuk et al. 2018) makes its kernel by filtering a k x k picture of one lit pixel with scipy, so what falls
 * outside the window is mirrored back into it: heavier at the rim than a cut-off Gaussian. */
static why_status rise_kernel(int k, double sigma, double *kernel) {
    const int radius = (int)(4 * sigma + 0.5);
    double *weight;
    WHY_TRY(why_alloc((size_t)radius * 2 + 1, sizeof *weight, "Gaussian weights", &weight));
    gaussian_weights(radius, sigma, weight);
    for (int i = 0; i < k; i++) kernel[i] = 0;
    for (int i = 0; i < k; i++)
        for (int d = -radius; d <= radius; d++)
            if (reflect_edge(i + d, k) == k / 2) kernel[i] += weight[d + radius];
    free(weight);
    return WHY_OK;
}

/* out[i] = sum over d of kernel[d] * in[i + d - k/2], along lines of n values `step` apart. */
static void convolve_line(const double *in, double *out, int n, size_t step, const double *kernel, int k, bool zero_pad) {
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int d = 0; d < k; d++) {
            const int j = i + d - k / 2;
            if (j >= 0 && j < n) sum += kernel[d] * in[(size_t)j * step];
            else if (!zero_pad) sum += kernel[d] * in[(size_t)reflect_101(j, n) * step];
        }
        out[(size_t)i * step] = sum;
    }
}

why_status why_gaussian_blur(const float *in, int h, int w, int k, double sigma, bool zero_pad, float *out) {
    enum { LARGEST = 1023 };
    if (k < 1 || k % 2 == 0 || k > LARGEST || !(sigma > 0) || sigma > LARGEST)
        return why_fail(WHY_EARG, "Gaussian blur of k = %d, sigma = %g: an odd k up to %d and a positive sigma are wanted", k, sigma,
                        LARGEST);
    const size_t n = (size_t)h * (size_t)w * 3, row = (size_t)w * 3;
    double *a;
    WHY_TRY(why_alloc(2 * n + (size_t)k, sizeof *a, "a blurred picture", &a));
    double *b = a + n, *kernel = b + n;
    why_status st = WHY_OK;
    if (zero_pad) st = rise_kernel(k, sigma, kernel);
    else gaussian_weights(k / 2, sigma, kernel);
    if (!st) {
        for (size_t i = 0; i < n; i++) a[i] = (double)in[i];
        for (size_t i = 0; i < row; i++) convolve_line(a + i, b + i, h, row, kernel, k, zero_pad);
        for (int y = 0; y < h; y++)
            for (size_t c = 0; c < 3; c++) convolve_line(b + (size_t)y * row + c, a + (size_t)y * row + c, w, 3, kernel, k, zero_pad);
        for (size_t i = 0; i < n; i++) out[i] = (float)a[i];
    }
    free(a);
    return st;
}

/* weight points at the middle. Pairs of equal weight are added first, as scipy does for symmetric filters. */
static void smooth_line(double *line, int n, size_t step, const double *weight, int radius, double *copy) {
    for (int i = 0; i < n; i++) copy[i] = line[(size_t)i * step];
    for (int i = 0; i < n; i++) {
        double sum = copy[i] * weight[0];
        for (int d = -radius; d < 0; d++) sum += (copy[reflect_edge(i + d, n)] + copy[reflect_edge(i - d, n)]) * weight[d];
        line[(size_t)i * step] = sum;
    }
}

why_status why_smooth_plane(double *plane, int h, int w, double sigma) {
    const int radius = (int)(4 * sigma + 0.5);
    if (radius == 0) return WHY_OK;
    double *weight;
    WHY_TRY(why_alloc((size_t)radius * 2 + 1 + (size_t)(h > w ? h : w), sizeof *weight, "Gaussian weights", &weight));
    double *copy = weight + 2 * radius + 1;
    gaussian_weights(radius, sigma, weight);
    for (int x = 0; x < w; x++) smooth_line(plane + x, h, (size_t)w, weight + radius, radius, copy);
    for (int y = 0; y < h; y++) smooth_line(plane + (size_t)y * (size_t)w, w, 1, weight + radius, radius, copy);
    free(weight);
    return WHY_OK;
}
