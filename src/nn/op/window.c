/* Sliding windows: the geometry that Conv and pooling share. */
#include <limits.h>
#include <string.h>

#include "nn/ops.h"

struct pair {
    int64_t h, w;
};

static why_status read_pair(const why_builder *b, const char *name, struct pair *out) {
    const int64_t *v;
    size_t n;
    *out = (struct pair){1, 1};
    WHY_TRY(why_attr_ints(b, name, &v, &n));
    if (n == 0) return WHY_OK;
    if (n != 2) return why_fail(WHY_EUNSUPPORTED, "%s has %zu entries, want 2: only two-dimensional windows are built", name, n);
    if (v[0] < 1 || v[1] < 1 || v[0] > 4096 || v[1] > 4096)
        return why_fail(WHY_EFORMAT, "%s is %lldx%lld, want 1 to 4096", name, (long long)v[0], (long long)v[1]);
    *out = (struct pair){v[0], v[1]};
    return WHY_OK;
}

static why_status read_pads(const why_builder *b, int64_t pads[4]) {
    const int64_t *v;
    size_t n;
    memset(pads, 0, 4 * sizeof *pads);
    WHY_TRY(why_attr_ints(b, "pads", &v, &n));
    if (n == 0) return WHY_OK;
    if (n != 4) return why_fail(WHY_EUNSUPPORTED, "pads has %zu entries, want 4", n);
    for (int i = 0; i < 4; i++) {
        if (v[i] < 0 || v[i] > 4096) return why_fail(WHY_EFORMAT, "pads has %lld, want 0 to 4096", (long long)v[i]);
        pads[i] = v[i];
    }
    return WHY_OK;
}

/* auto_pad SAME_*: as many outputs as ceil(size / stride); an odd zero goes below (UPPER) or above (LOWER). */
static void same_pads(int64_t size, int64_t extent, int64_t stride, bool lower, int64_t *before, int64_t *after) {
    int64_t out = (size + stride - 1) / stride, total = (out - 1) * stride + extent - size;
    if (total < 0) total = 0;
    *before = lower ? (total + 1) / 2 : total / 2;
    *after = total - *before;
}

/* ceil_mode rounds up, but no window may start in the padding behind (the rule of ONNX and PyTorch). */
static int64_t steps(int64_t size, int64_t before, int64_t after, int64_t extent, int64_t stride, bool ceil_mode) {
    int64_t room = size + before + after - extent;
    if (room < 0) return 0;
    int64_t n = room / stride + 1;
    if (ceil_mode && room % stride && n * stride < size + before) n++;
    return n;
}

why_status why_window_build(const why_builder *b, const why_shape *in, const int64_t kernel[2], bool ceil_mode, why_window *w) {
    struct pair stride, dilation;
    int64_t pads[4];
    const char *auto_pad;
    if (in->rank != 4) return why_fail(WHY_EUNSUPPORTED, "input has %d dimensions, want 4", in->rank);
    if (kernel[0] < 1 || kernel[1] < 1 || kernel[0] > 4096 || kernel[1] > 4096)
        return why_fail(WHY_EFORMAT, "kernel is %lldx%lld, want 1 to 4096", (long long)kernel[0], (long long)kernel[1]);
    WHY_TRY(read_pair(b, "strides", &stride));
    WHY_TRY(read_pair(b, "dilations", &dilation));
    WHY_TRY(read_pads(b, pads));
    WHY_TRY(why_attr_text(b, "auto_pad", &auto_pad));
    int64_t h = in->dim[2], wd = in->dim[3], eh = (kernel[0] - 1) * dilation.h + 1, ew = (kernel[1] - 1) * dilation.w + 1;
    if (in->dim[1] > INT_MAX || h > INT_MAX / 4 || wd > INT_MAX / 4 || eh > INT_MAX / 4 || ew > INT_MAX / 4)
        return why_fail(WHY_ELIMIT, "input %lldx%lldx%lld is too large", (long long)in->dim[1], (long long)h, (long long)wd);
    if (strcmp(auto_pad, "SAME_UPPER") == 0 || strcmp(auto_pad, "SAME_LOWER") == 0) {
        bool lower = strcmp(auto_pad, "SAME_LOWER") == 0;
        same_pads(h, eh, stride.h, lower, &pads[0], &pads[2]);
        same_pads(wd, ew, stride.w, lower, &pads[1], &pads[3]);
    } else if (strcmp(auto_pad, "VALID") == 0) {
        memset(pads, 0, sizeof pads);
    } else if (auto_pad[0] && strcmp(auto_pad, "NOTSET") != 0) {
        return why_fail(WHY_EFORMAT, "auto_pad is '%s', want NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto_pad);
    }
    int64_t oh = steps(h, pads[0], pads[2], eh, stride.h, ceil_mode), ow = steps(wd, pads[1], pads[3], ew, stride.w, ceil_mode);
    if (oh < 1 || ow < 1)
        return why_fail(WHY_EFORMAT, "a window of %lldx%lld does not fit an input of %lldx%lld", (long long)eh, (long long)ew, (long long)h, (long long)wd);
    *w = (why_window){(int)in->dim[1], (int)h,          (int)wd,         (int)oh,      (int)ow,      (int)kernel[0], (int)kernel[1], (int)stride.h,
                      (int)stride.w,   (int)dilation.h, (int)dilation.w, (int)pads[0], (int)pads[1], (int)pads[2],   (int)pads[3]};
    return WHY_OK;
}
