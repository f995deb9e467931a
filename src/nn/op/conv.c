/* Conv: Y[o] = b[o] + sum_c W[o,c] * X[c], in groups. im2col and one matrix product per tile of output rows; 1x1
 * convolutions need no im2col, depthwise ones no product. The tiles are a function of the layer's shape alone. */
#include <limits.h>
#include <string.h>

#include "nn/kernel/kernel.h"
#include "nn/op/conv.h"

/* Columns of one product and channels of one backward product: large enough for OpenBLAS to be fast, small enough for the
 * column matrix to stay in the second-level cache or near it. */
enum { TILE_COLUMNS = 512, TILE_CHANNELS = 16 };

/* ---------------------------------------------------------------- build */
static void choose(struct conv *c) {
    const why_window *w = &c->win;
    bool unit = w->kh == 1 && w->kw == 1 && w->sh == 1 && w->sw == 1 && !w->pt && !w->pl && !w->pb && !w->pr;
    c->algorithm = c->cin == 1 && c->group > 1 ? DEPTHWISE : unit ? POINTWISE : IM2COL;
    int rows = (TILE_COLUMNS + w->ow - 1) / w->ow, count = (w->oh + rows - 1) / rows;
    c->tile_rows = (w->oh + count - 1) / count; /* tiles of equal size rather than a short last one */
    c->tiles = (w->oh + c->tile_rows - 1) / c->tile_rows;
    c->halves = c->tiles == 1 && c->cout >= 128 ? 2 : 1;
    c->blocks = (c->cin + TILE_CHANNELS - 1) / TILE_CHANNELS;
}

static why_status check_weights(const why_builder *b, const why_value *x, const why_value *w, int64_t group) {
    const why_shape *s = &w->shape;
    if (s->rank != 4 || x->shape.rank != 4) return why_fail(WHY_EUNSUPPORTED, "weight has %d dimensions, want 4", s->rank);
    for (int i = 0; i < 4; i++)
        if (s->dim[i] < 1 || s->dim[i] > 1 << 24) return why_fail(WHY_EFORMAT, "weight has a size of %lld", (long long)s->dim[i]);
    if (group < 1 || s->dim[0] % group) return why_fail(WHY_EFORMAT, "group %lld does not divide %lld output channels", (long long)group, (long long)s->dim[0]);
    if (x->shape.dim[1] != s->dim[1] * group)
        return why_fail(WHY_EFORMAT, "input has %lld channels, weight wants %lld", (long long)x->shape.dim[1], (long long)(s->dim[1] * group));
    const int64_t *kernel;
    size_t n;
    WHY_TRY(why_attr_ints(b, "kernel_shape", &kernel, &n));
    if (n && (n != 2 || kernel[0] != s->dim[2] || kernel[1] != s->dim[3]))
        return why_fail(WHY_EFORMAT, "kernel_shape does not match the weight, %lldx%lld", (long long)s->dim[2], (long long)s->dim[3]);
    return WHY_OK;
}

static why_status read_bias(const why_builder *b, int64_t outputs, const float **out) {
    const why_value *bias;
    *out = NULL;
    if (!why_has_input(b, 2)) return WHY_OK;
    WHY_TRY(why_input_floats(b, 2, "bias", &bias));
    if (bias->shape.rank != 1 || bias->shape.dim[0] != outputs)
        return why_fail(WHY_EFORMAT, "bias has %lld values, want %lld", (long long)why_shape_count(&bias->shape), (long long)outputs);
    *out = bias->data;
    return WHY_OK;
}

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x, *w;
    struct conv *c;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_input_floats(b, 1, "weight", &w));
    int64_t group = why_attr_int(b, "group", 1);
    WHY_TRY(check_weights(b, x, w, group));
    WHY_TRY(why_take(b, 1, sizeof *c, &c));
    WHY_TRY(why_window_build(b, &x->shape, w->shape.dim + 2, false, &c->win));
    WHY_TRY(read_bias(b, w->shape.dim[0], &c->b));
    int64_t k = w->shape.dim[1] * w->shape.dim[2] * w->shape.dim[3];
    if (k > 1 << 24 || (int64_t)c->win.oh * c->win.ow > INT_MAX || (int64_t)c->win.ih * c->win.iw > INT_MAX)
        return why_fail(WHY_ELIMIT, "windows of %lld values over %dx%d pixels", (long long)k, c->win.oh, c->win.ow);
    c->group = (int)group;
    c->cin = (int)w->shape.dim[1];
    c->cout = (int)(w->shape.dim[0] / group);
    c->k = (int)k;
    c->w = w->data;
    choose(c);
    *out = (why_shape){4, {1, w->shape.dim[0], c->win.oh, c->win.ow}};
    node->macs = w->shape.dim[0] * c->win.oh * c->win.ow * k;
    node->attr = c;
    return WHY_OK;
}

/* Floats per thread: the column matrix of one tile. */
static size_t scratch(const why_node *node) {
    const struct conv *c = node->attr;
    size_t columns = (size_t)c->tile_rows * (size_t)c->win.ow;
    size_t channels = c->cin < TILE_CHANNELS ? (size_t)c->cin : TILE_CHANNELS;
    size_t forward = (size_t)c->k * columns, backward = channels * (size_t)(c->win.kh * c->win.kw) * columns;
    if (c->algorithm != IM2COL) return 0;
    return forward > backward ? forward : backward;
}

/* ---------------------------------------------------------------- im2col */
/* Output columns [*from, *to) whose tap kx falls inside the row; they read x[ox * sw + kx * dw - pl]. */
static void tap_span(const why_window *w, int kx, int *from, int *to) {
    int shift = kx * w->dw - w->pl;
    *from = shift >= 0 ? 0 : (-shift + w->sw - 1) / w->sw;
    *to = shift >= w->iw ? 0 : (w->iw - 1 - shift) / w->sw + 1;
    if (*to > w->ow) *to = w->ow;
    if (*from > *to) *from = *to;
}

/* Rows (c, ky, kx), columns (oy in [y0, y1), ox). */
static void im2col(const why_window *w, const float *x, int channels, int y0, int y1, float *col) {
    for (int row = 0; row < channels * w->kh * w->kw; row++) {
        int kx = row % w->kw, ky = row / w->kw % w->kh, from, to;
        const float *plane = x + (ptrdiff_t)(row / (w->kh * w->kw)) * w->ih * w->iw;
        tap_span(w, kx, &from, &to);
        for (int oy = y0; oy < y1; oy++, col += w->ow) {
            int iy = oy * w->sh - w->pt + ky * w->dh;
            if (iy < 0 || iy >= w->ih || from == to) {
                memset(col, 0, (size_t)w->ow * sizeof *col);
                continue;
            }
            const float *source = plane + (ptrdiff_t)iy * w->iw + from * w->sw + kx * w->dw - w->pl;
            for (int i = 0; i < from; i++) col[i] = 0;
            if (w->sw == 1) memcpy(col + from, source, (size_t)(to - from) * sizeof *col);
            else
                for (int i = from; i < to; i++, source += w->sw) col[i] = *source;
            for (int i = to; i < w->ow; i++) col[i] = 0;
        }
    }
}

/* The adjoint of im2col: adds to x. */
static void col2im(const why_window *w, const float *col, int channels, int y0, int y1, float *x) {
    for (int row = 0; row < channels * w->kh * w->kw; row++) {
        int kx = row % w->kw, ky = row / w->kw % w->kh, from, to;
        float *plane = x + (ptrdiff_t)(row / (w->kh * w->kw)) * w->ih * w->iw;
        tap_span(w, kx, &from, &to);
        for (int oy = y0; oy < y1; oy++, col += w->ow) {
            int iy = oy * w->sh - w->pt + ky * w->dh;
            if (iy < 0 || iy >= w->ih || from == to) continue;
            float *target = plane + (ptrdiff_t)iy * w->iw + from * w->sw + kx * w->dw - w->pl;
            for (int i = from; i < to; i++) target[(i - from) * w->sw] += col[i];
        }
    }
}

static void fill(float *y, int64_t n, float v) {
    for (int64_t i = 0; i < n; i++) y[i] = v;
}

/* ---------------------------------------------------------------- depthwise */
static void depthwise_row(const why_kernels *kernels, const why_window *w, const float *x, const float *weight, int oy, float *y) {
    for (int ky = 0; ky < w->kh; ky++) {
        int iy = oy * w->sh - w->pt + ky * w->dh;
        if (iy < 0 || iy >= w->ih) continue;
        for (int kx = 0; kx < w->kw; kx++) {
            int from, to;
            tap_span(w, kx, &from, &to);
            const float *row = x + (ptrdiff_t)iy * w->iw + from * w->sw + kx * w->dw - w->pl;
            if (from == to) continue;
            if (w->sw == 1) kernels->axpy(to - from, weight[ky * w->kw + kx], row, y + from);
            else kernels->axpy_gather(to - from, weight[ky * w->kw + kx], row, w->sw, y + from);
        }
    }
}

static void depthwise_forward(const why_call *r, const struct conv *c, int image, int group) {
    const why_window *w = &c->win;
    int64_t plane = (int64_t)w->oh * w->ow;
    const float *x = r->in[0] + image * r->node->size_in[0] + (int64_t)group * w->ih * w->iw;
    for (int m = 0; m < c->cout; m++) {
        int channel = group * c->cout + m;
        float *y = r->out + image * r->node->size_out + channel * plane;
        fill(y, plane, c->b ? c->b[channel] : 0);
        for (int oy = 0; oy < w->oh; oy++) depthwise_row(r->kernels, w, x, c->w + (ptrdiff_t)channel * c->k, oy, y + (ptrdiff_t)oy * w->ow);
        why_clamp_row(r->clamp, y, plane);
    }
}

static void depthwise_back_row(const why_kernels *kernels, const why_window *w, const float *dy, const float *weight, int oy, float *dx) {
    for (int ky = 0; ky < w->kh; ky++) {
        int iy = oy * w->sh - w->pt + ky * w->dh;
        if (iy < 0 || iy >= w->ih) continue;
        for (int kx = 0; kx < w->kw; kx++) {
            int from, to;
            tap_span(w, kx, &from, &to);
            float *row = dx + (ptrdiff_t)iy * w->iw + from * w->sw + kx * w->dw - w->pl;
            if (from == to) continue;
            if (w->sw == 1) kernels->axpy(to - from, weight[ky * w->kw + kx], dy + from, row);
            else kernels->axpy_scatter(to - from, weight[ky * w->kw + kx], dy + from, row, w->sw);
        }
    }
}

static void depthwise_backward(const why_call *r, const struct conv *c, int image, int group) {
    const why_window *w = &c->win;
    int64_t plane = (int64_t)w->oh * w->ow;
    float *dx = r->grad_in[0] + image * r->node->size_in[0] + (int64_t)group * w->ih * w->iw;
    for (int m = 0; m < c->cout; m++) {
        int channel = group * c->cout + m;
        const float *dy = r->grad_out + image * r->node->size_out + channel * plane;
        for (int oy = 0; oy < w->oh; oy++) depthwise_back_row(r->kernels, w, dy + (ptrdiff_t)oy * w->ow, c->w + (ptrdiff_t)channel * c->k, oy, dx);
    }
}

/* ---------------------------------------------------------------- forward */
static int pieces(const why_node *node) {
    const struct conv *c = node->attr;
    return c->algorithm == DEPTHWISE ? c->group : c->group * c->tiles * c->halves;
}

/* Output channels [o0, o1) of the group, output rows [y0, y1). */
struct piece {
    int group, o0, o1, y0, y1;
};

static struct piece piece_of(const struct conv *c, int index) {
    struct piece p;
    int half = index % c->halves, tile = index / c->halves % c->tiles;
    p.group = index / (c->halves * c->tiles);
    p.o0 = half * (c->cout / 2);
    p.o1 = c->halves == 1 || half == 1 ? c->cout : c->cout / 2;
    p.y0 = tile * c->tile_rows;
    p.y1 = p.y0 + c->tile_rows < c->win.oh ? p.y0 + c->tile_rows : c->win.oh;
    return p;
}

static void forward(const why_call *r, int image, int index, int thread) {
    const struct conv *c = r->node->attr;
    if (c->algorithm == DEPTHWISE) {
        depthwise_forward(r, c, image, index);
        return;
    }
    const why_window *w = &c->win;
    const struct piece p = piece_of(c, index);
    int columns = (p.y1 - p.y0) * w->ow, ldb = columns, first = p.group * c->cout + p.o0;
    int64_t plane = (int64_t)w->oh * w->ow;
    const float *x = r->in[0] + image * r->node->size_in[0] + (int64_t)p.group * c->cin * w->ih * w->iw, *col = x + (int64_t)p.y0 * w->ow;
    if (c->algorithm == IM2COL) {
        float *scratch_col = r->scratch + (size_t)thread * r->scratch_stride;
        im2col(w, x, c->cin, p.y0, p.y1, scratch_col);
        col = scratch_col;
    } else {
        ldb = (int)plane;
    }
    float *y = r->out + image * r->node->size_out + first * plane + (int64_t)p.y0 * w->ow;
    for (int o = p.o0; c->b && o < p.o1; o++) fill(y + (o - p.o0) * plane, columns, c->b[p.group * c->cout + o]);
    why_gemm(false, p.o1 - p.o0, columns, c->k, c->w + (ptrdiff_t)first * c->k, c->k, col, ldb, c->b != NULL, y, (int)plane);
    for (int o = p.o0; r->clamp.on && o < p.o1; o++) why_clamp_row(r->clamp, y + (o - p.o0) * plane, columns);
}

/* ---------------------------------------------------------------- backward: dX = col2im(W^T dY) */
static int back_pieces(const why_node *node) {
    const struct conv *c = node->attr;
    return c->algorithm == DEPTHWISE ? c->group : c->group * c->blocks;
}

static void backward(const why_call *r, int image, int index, int thread) {
    const struct conv *c = r->node->attr;
    if (c->algorithm == DEPTHWISE) {
        depthwise_backward(r, c, image, index);
        return;
    }
    const why_window *w = &c->win;
    int group = index / c->blocks, c0 = index % c->blocks * TILE_CHANNELS, n = c->cin - c0 < TILE_CHANNELS ? c->cin - c0 : TILE_CHANNELS;
    int taps = w->kh * w->kw, plane = w->oh * w->ow;
    const float *weight = c->w + (ptrdiff_t)group * c->cout * c->k + c0 * taps;
    const float *dy = r->grad_out + image * r->node->size_out + (int64_t)group * c->cout * plane;
    float *dx = r->grad_in[0] + image * r->node->size_in[0] + (int64_t)(group * c->cin + c0) * w->ih * w->iw;
    if (c->algorithm == POINTWISE) {
        why_gemm(true, n, plane, c->cout, weight, c->k, dy, plane, true, dx, plane);
        return;
    }
    float *col = r->scratch + (size_t)thread * r->scratch_stride;
    for (int y0 = 0; y0 < w->oh; y0 += c->tile_rows) {
        int y1 = y0 + c->tile_rows < w->oh ? y0 + c->tile_rows : w->oh, columns = (y1 - y0) * w->ow;
        why_gemm(true, n * taps, columns, c->cout, weight, c->k, dy + (ptrdiff_t)y0 * w->ow, plane, false, col, columns);
        col2im(w, col, n, y0, y1, dx);
    }
}

/* ---------------------------------------------------------------- for passes.c */
bool why_conv_can_scale(const why_node *conv, int64_t *weights, int64_t *channels) {
    if (conv->op != &why_op_conv) return false;
    const struct conv *c = conv->attr;
    *channels = (int64_t)c->group * c->cout;
    *weights = *channels * c->k;
    return true;
}

/* scale * conv(x) + shift is again a convolution; w and b get its weights. In double: the file's fp32 values are exact. */
void why_conv_scale(why_node *conv, float *w, float *b, const double *scale, const double *shift) {
    struct conv *c = conv->attr;
    for (int o = 0; o < c->group * c->cout; o++) {
        for (int k = 0; k < c->k; k++) w[(ptrdiff_t)o * c->k + k] = (float)((double)c->w[(ptrdiff_t)o * c->k + k] * scale[o]);
        b[o] = (float)((c->b ? (double)c->b[o] * scale[o] : 0.0) + shift[o]);
    }
    c->w = w;
    c->b = b;
}

bool why_conv_is_pointwise(const why_node *conv, int *outputs) {
    if (conv->op != &why_op_conv) return false;
    const struct conv *c = conv->attr;
    *outputs = c->group * c->cout;
    return c->win.kh == 1 && c->win.kw == 1;
}

const why_op why_op_conv = {.name = "Conv",
                            .flags = WHY_LEARNS | WHY_FUSES_CLAMP | WHY_LINEAR,
                            .build = build,
                            .pieces = pieces,
                            .forward = forward,
                            .back_pieces = back_pieces,
                            .backward = {backward},
                            .scratch = scratch,
                            .blocked = &why_conv_blocked};
