#include "image/segment.h"

#include <math.h>

#include "base/mem.h"

void why_unit_values(double value[256]) {
    for (int v = 0; v < 256; v++) value[v] = v * (1.0 / 255);
}

why_status why_segments_create(int h, int w, why_segments *out) {
    *out = (why_segments){0};
    WHY_TRY(why_alloc((size_t)h * (size_t)w, sizeof *out->label, "a segmentation", &out->label));
    out->h = h;
    out->w = w;
    return WHY_OK;
}

/* IEC 61966-2-1: sRGB to linear light. */
static double linear_light(double v) { return v > 0.04045 ? pow((v + 0.055) / 1.055, 2.4) : v / 12.92; }

static double lab_curve(double t) { return t > 0.008856 ? cbrt(t) : 7.787 * t + 16.0 / 116; }

/* The rounded constants (4-digit D65 white, .008856, 7.787) are scikit-image's: exact ones would move labels. */
void why_lab_planes(const uint8_t *rgb, size_t n, const double value[256], double *lab) {
    static const double xyz[3][3] = {{0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}};
    static const double white[3] = {0.95047, 1, 1.08883};
    double linear[256], f[3];
    for (int v = 0; v < 256; v++) linear[v] = linear_light(value[v]);
    for (size_t i = 0; i < n; i++) {
        const double r = linear[rgb[3 * i]], g = linear[rgb[3 * i + 1]], b = linear[rgb[3 * i + 2]];
        for (int c = 0; c < 3; c++) f[c] = lab_curve((r * xyz[c][0] + g * xyz[c][1] + b * xyz[c][2]) / white[c]);
        lab[i] = 116 * f[1] - 16;
        lab[n + i] = 500 * (f[0] - f[1]);
        lab[2 * n + i] = 200 * (f[1] - f[2]);
    }
}
