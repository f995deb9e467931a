#include "whypix/image.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* What a map's values are drawn as: value * scale + shift in [0, 1]. */
struct range {
    double scale, shift;
    bool signed_;
};

/* Not-a-numbers count as zero; so do, without a sign in the palette, negative values. */
static double shown(float v, bool signed_) { return isfinite(v) && (signed_ || v > 0) ? (double)v : 0; }

static struct range range_of(const float *map, size_t n, bool signed_) {
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        const double v = shown(map[i], signed_);
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    if (signed_) {
        const double largest = fmax(-lo, hi);
        return (struct range){.scale = largest > 0 ? 0.5 / largest : 0, .shift = 0.5, .signed_ = true};
    }
    const double scale = hi > lo ? 1 / (hi - lo) : 0;
    return (struct range){.scale = scale, .shift = -lo * scale};
}

why_status why_overlay(const why_image *im, const float *map, why_palette p, double alpha, why_image *out) {
    const size_t n = (size_t)im->h * (size_t)im->w;
    const struct range r = range_of(map, n, p == WHY_DIVERGING);
    *out = (why_image){0};
    if (!(alpha >= 0 && alpha <= 1)) return why_fail(WHY_EARG, "overlay: alpha is %g, 0 to 1 is wanted", alpha);
    WHY_TRY(why_image_create(im->h, im->w, out));
    for (size_t i = 0; i < n; i++) {
        const uint8_t *from = im->rgb + 3 * i;
        const double grey = 0.299 * from[0] + 0.587 * from[1] + 0.114 * from[2];
        uint8_t colour[3];
        why_palette_colour(p, shown(map[i], r.signed_) * r.scale + r.shift, colour);
        for (int c = 0; c < 3; c++) out->rgb[3 * i + (size_t)c] = (uint8_t)(alpha * colour[c] + (1 - alpha) * grey + 0.5);
    }
    return WHY_OK;
}

why_status why_panel(const why_image *const *parts, int n, int gap, why_image *out) {
    int64_t width = 0;
    *out = (why_image){0};
    if (n < 1 || gap < 0) return why_fail(WHY_EARG, "panel: %d pictures with a gap of %d pixels", n, gap);
    for (int i = 0; i < n; i++) {
        if (parts[i]->h != parts[0]->h)
            return why_fail(WHY_EARG, "panel: picture %d is %d pixels high, the first %d", i + 1, parts[i]->h, parts[0]->h);
        width += parts[i]->w + (i > 0 ? gap : 0);
    }
    if (width > INT_MAX) return why_fail(WHY_ELIMIT, "panel: %lld pixels wide", (long long)width);
    WHY_TRY(why_image_create(parts[0]->h, (int)width, out));
    memset(out->rgb, 255, (size_t)out->h * (size_t)out->w * 3);
    size_t left = 0;
    for (int i = 0; i < n; i++) {
        const size_t row = (size_t)parts[i]->w * 3;
        for (size_t y = 0; y < (size_t)out->h; y++) memcpy(out->rgb + (y * (size_t)out->w + left) * 3, parts[i]->rgb + y * row, row);
        left += (size_t)parts[i]->w + (size_t)gap;
    }
    return WHY_OK;
}

static void put_at(const why_image *part, size_t top, size_t left, why_image *sheet) {
    const size_t row = (size_t)part->w * 3;
    for (size_t y = 0; y < (size_t)part->h; y++) memcpy(sheet->rgb + ((top + y) * (size_t)sheet->w + left) * 3, part->rgb + y * row, row);
}

why_status why_sheet(const why_image *const *parts, int rows, int columns, int gap, why_image *out) {
    int64_t h = 0, w = 0;
    *out = (why_image){0};
    if (rows < 1 || columns < 1 || gap < 0)
        return why_fail(WHY_EARG, "sheet: %d x %d pictures with a gap of %d pixels", rows, columns, gap);
    for (int i = 0; i < rows * columns; i++) {
        if (parts[i] && parts[i]->h > h) h = parts[i]->h;
        if (parts[i] && parts[i]->w > w) w = parts[i]->w;
    }
    if (h == 0) return why_fail(WHY_EARG, "sheet: none of its %d pictures is there", rows * columns);
    const int64_t height = rows * (h + gap) - gap, width = columns * (w + gap) - gap;
    if (height > INT_MAX || width > INT_MAX || height * width > INT_MAX)
        return why_fail(WHY_ELIMIT, "sheet: %lld x %lld pixels", (long long)width, (long long)height);
    WHY_TRY(why_image_create((int)height, (int)width, out));
    memset(out->rgb, 255, (size_t)out->h * (size_t)out->w * 3);
    for (int i = 0; i < rows * columns; i++)
        if (parts[i]) put_at(parts[i], (size_t)(i / columns * (h + gap)), (size_t)(i % columns * (w + gap)), out);
    return WHY_OK;
}
