/* From a picture to the model's frame: torchvision's Resize and CenterCrop. Both are one window of one resizing. */
#include "whypix/image.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "image/resize.h"

static const char *const filter_names[] = {[WHY_NEAREST] = "nearest", [WHY_BILINEAR] = "bilinear", [WHY_BICUBIC] = "bicubic"};

why_status why_fit_canonical(const why_fit *fit, char **out) {
    why_buf b = {0};
    why_buf_text(&b, "{");
    if (fit->resize_h > 0) {
        why_buf_text(&b, "\"resize\":");
        if (fit->resize_w > 0) why_buf_printf(&b, "[%d,%d]", fit->resize_h, fit->resize_w);
        else why_buf_printf(&b, "%d", fit->resize_h);
        why_buf_printf(&b, ",\"how\":\"%s\"", filter_names[fit->how]);
    }
    if (fit->crop > 0) why_buf_printf(&b, "%s\"crop\":%d", fit->resize_h > 0 ? "," : "", fit->crop);
    why_buf_text(&b, "}");
    return why_buf_take(&b, out);
}

/* round(d / 2) with halves to even, as Python rounds. */
static int half_to_even(int d) { return d % 2 == 0 ? d / 2 : (d / 2) % 2 == 0 ? d / 2 : d / 2 + 1; }

/* The frame and where the window of the resized picture lies in it. */
struct frame {
    int h, w, top, left;
    why_window win;
};

static why_status resized_size(int h, int w, const why_fit *fit, int *full_h, int *full_w) {
    *full_h = fit->resize_h > 0 ? fit->resize_h : h;
    *full_w = fit->resize_h > 0 ? fit->resize_w : w;
    if (*full_w > 0) return WHY_OK;
    const int64_t longer = (int64_t)fit->resize_h * (h > w ? h : w) / (h > w ? w : h);
    if (longer > INT_MAX) return why_fail(WHY_ELIMIT, "a picture of %d x %d pixels is too narrow to be resized", w, h);
    *full_h = h > w ? (int)longer : fit->resize_h;
    *full_w = h > w ? fit->resize_h : (int)longer;
    return WHY_OK;
}

/* One axis of the centre crop: a picture smaller than the crop is padded, the odd pixel after it. */
static void crop_axis(int full, int crop, int *frame, int *pad, int *from, int *count) {
    *frame = crop > 0 ? crop : full;
    *pad = *frame > full ? (*frame - full) / 2 : 0;
    *from = *frame < full ? half_to_even(full - *frame) : 0;
    *count = *frame < full ? *frame : full;
}

static why_status plan_frame(int h, int w, const why_fit *fit, struct frame *f) {
    const int64_t most = 1 << 28;
    if (fit->resize_h < 0 || fit->resize_w < 0 || fit->crop < 0 || (fit->resize_w > 0 && fit->resize_h == 0))
        return why_fail(WHY_EARG, "fit: resize %d x %d, crop %d: sizes must be positive, or 0 for none", fit->resize_w, fit->resize_h,
                        fit->crop);
    *f = (struct frame){0};
    WHY_TRY(resized_size(h, w, fit, &f->win.full_h, &f->win.full_w));
    crop_axis(f->win.full_h, fit->crop, &f->h, &f->top, &f->win.y0, &f->win.h);
    crop_axis(f->win.full_w, fit->crop, &f->w, &f->left, &f->win.x0, &f->win.w);
    if ((int64_t)f->h * f->w > most)
        return why_fail(WHY_ELIMIT, "fit: the picture becomes %d x %d, at most %lld pixels are made", f->w, f->h, (long long)most);
    return WHY_OK;
}

/* out: f->h * f->w * channels, zeroed. */
static why_status fill_frame(const uint8_t *in, int h, int w, int channels, const struct frame *f, why_filter how, uint8_t *out) {
    if (f->h == f->win.h && f->w == f->win.w) return why_resize_window(in, h, w, channels, &f->win, how, out);
    const size_t row = (size_t)f->win.w * (size_t)channels;
    uint8_t *part;
    WHY_TRY(why_alloc((size_t)f->win.h, row, "a resized picture", &part));
    why_status st = why_resize_window(in, h, w, channels, &f->win, how, part);
    for (int y = 0; !st && y < f->win.h; y++)
        memcpy(out + ((size_t)(f->top + y) * (size_t)f->w + (size_t)f->left) * (size_t)channels, part + (size_t)y * row, row);
    free(part);
    return st;
}

why_status why_image_fit(const why_image *in, const why_fit *fit, why_image *out) {
    struct frame f;
    *out = (why_image){0};
    WHY_TRY(plan_frame(in->h, in->w, fit, &f));
    WHY_TRY(why_image_create(f.h, f.w, out));
    why_status st = fill_frame(in->rgb, in->h, in->w, 3, &f, fit->how, out->rgb);
    if (st) why_image_clear(out);
    return st;
}

why_status why_mask_fit(const uint8_t *mask, int h, int w, const why_fit *fit, uint8_t **out, int *oh, int *ow) {
    struct frame f;
    *out = NULL;
    WHY_TRY(plan_frame(h, w, fit, &f));
    WHY_TRY(why_alloc((size_t)f.h, (size_t)f.w, "a mask", out));
    why_status st = fill_frame(mask, h, w, 1, &f, WHY_NEAREST, *out);
    if (st) {
        free(*out);
        *out = NULL;
        return st;
    }
    *oh = f.h;
    *ow = f.w;
    return WHY_OK;
}
