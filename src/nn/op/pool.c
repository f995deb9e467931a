/* MaxPool, AveragePool and the global maximum. (The global average is a reduction: reduce.c.) */
#include <math.h>
#include <stddef.h>

#include "nn/ops.h"

struct pool {
    why_window win;
    bool count_include_pad;
};

/* ---------------------------------------------------------------- build */
static why_status build_window(const why_builder *b, why_node *node, why_shape *out, bool average) {
    const why_value *x;
    struct pool *p;
    const int64_t *kernel;
    size_t n;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    WHY_TRY(why_attr_ints(b, "kernel_shape", &kernel, &n));
    if (n != 2) return why_fail(n ? WHY_EUNSUPPORTED : WHY_EFORMAT, "kernel_shape has %zu entries, want 2", n);
    WHY_TRY(why_window_build(b, &x->shape, kernel, why_attr_int(b, "ceil_mode", 0) != 0, &p->win));
    p->count_include_pad = average && why_attr_int(b, "count_include_pad", 0) != 0;
    *out = (why_shape){4, {1, x->shape.dim[1], p->win.oh, p->win.ow}};
    node->attr = p;
    return WHY_OK;
}

static why_status build_max(const why_builder *b, why_node *node, why_shape *out) { return build_window(b, node, out, false); }
static why_status build_average(const why_builder *b, why_node *node, why_shape *out) { return build_window(b, node, out, true); }

static why_status build_global(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct pool *p;
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank != 4) return why_fail(WHY_EUNSUPPORTED, "input has %d dimensions, want 4", x->shape.rank);
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    int h = (int)x->shape.dim[2], w = (int)x->shape.dim[3];
    p->win = (why_window){.channels = (int)x->shape.dim[1], .ih = h, .iw = w, .oh = 1, .ow = 1, .kh = h, .kw = w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    *out = (why_shape){4, {1, x->shape.dim[1], 1, 1}};
    node->attr = p;
    return WHY_OK;
}

/* ---------------------------------------------------------------- one window */
static int64_t in_plane(const why_window *w) { return (int64_t)w->ih * w->iw; }

struct taps {
    int y0, x0;         /* of the window's first tap, may lie outside */
    int ky0, ky1, kx0, kx1; /* taps inside the picture */
};

static struct taps taps_of(const why_window *w, int oy, int ox) {
    struct taps t = {.y0 = oy * w->sh - w->pt, .x0 = ox * w->sw - w->pl};
    why_window_span(t.y0, w->kh, w->dh, w->ih, &t.ky0, &t.ky1);
    why_window_span(t.x0, w->kw, w->dw, w->iw, &t.kx0, &t.kx1);
    return t;
}

/* Place of the first maximum in window order, as PyTorch; NaN counts as larger than anything. -1: no tap inside. */
static int64_t place_of_max(const why_window *w, const float *x, const struct taps *t) {
    int64_t best = -1;
    for (int ky = t->ky0; ky < t->ky1; ky++)
        for (int kx = t->kx0; kx < t->kx1; kx++) {
            int64_t at = (int64_t)(t->y0 + ky * w->dh) * w->iw + t->x0 + kx * w->dw;
            if (best < 0 || x[at] > x[best] || (isnan(x[at]) && !isnan(x[best]))) best = at;
        }
    return best;
}

/* The same for windows ox .. ox + n - 1 of row oy at once, in loops plain enough for vectors: their maxima, tap by tap, and then,
 * from the last tap to the first, where these stand. at: NOWHERE for windows without a tap inside. */
enum { WINDOWS = 256, NOWHERE = -1 };
struct maxima {
    int n;
    float value[WINDOWS];
    int32_t at[WINDOWS];
};

/* Windows whose tap kx is inside: i from .. to - 1; x0: its column for i = 0. */
struct inside {
    int x0, from, to;
};

static struct inside inside_of(const why_window *w, int ox, int n, int kx) {
    struct inside s = {.x0 = ox * w->sw - w->pl + kx * w->dw};
    const int last = w->iw - 1 - s.x0;
    s.from = s.x0 < 0 ? (-s.x0 + w->sw - 1) / w->sw : 0;
    s.to = last < 0 ? 0 : last / w->sw + 1 < n ? last / w->sw + 1 : n;
    return s;
}

static inline void raise(const float *restrict row, struct inside s, int stride, float *restrict value) {
    for (int i = s.from; i < s.to; i++) {
        const float v = row[s.x0 + i * stride];
        value[i] = ((v > value[i]) | (v != v)) ? v : value[i];
    }
}

static inline void locate(const float *restrict row, int32_t place, struct inside s, int stride, const float *restrict value,
                          int32_t *restrict at) {
    for (int i = s.from; i < s.to; i++) {
        const float v = row[s.x0 + i * stride];
        at[i] = ((v == value[i]) | (v != v)) ? place + s.x0 + i * stride : at[i];
    }
}

static inline void find_places(const why_window *w, const float *x, int oy, int ox, int stride, struct maxima *m) {
    const int y0 = oy * w->sh - w->pt;
    int ky0, ky1;
    why_window_span(y0, w->kh, w->dh, w->ih, &ky0, &ky1);
    for (int i = 0; i < m->n; i++) m->value[i] = -INFINITY, m->at[i] = NOWHERE;
    for (int ky = ky0; ky < ky1; ky++)
        for (int kx = 0; kx < w->kw; kx++)
            raise(x + (ptrdiff_t)(y0 + ky * w->dh) * w->iw, inside_of(w, ox, m->n, kx), stride, m->value);
    for (int ky = ky1 - 1; ky >= ky0; ky--)
        for (int kx = w->kw - 1; kx >= 0; kx--) {
            const int32_t place = (y0 + ky * w->dh) * w->iw;
            locate(x + place, place, inside_of(w, ox, m->n, kx), stride, m->value, m->at);
        }
}

/* Strides that a compiler knows are faster. */
static void places_of_max(const why_window *w, const float *x, int oy, int ox, struct maxima *m) {
    m->n = w->ow - ox < WINDOWS ? w->ow - ox : WINDOWS;
    if (w->sw == 1) find_places(w, x, oy, ox, 1, m);
    else if (w->sw == 2) find_places(w, x, oy, ox, 2, m);
    else find_places(w, x, oy, ox, w->sw, m);
}

/* A few large windows have nothing to gain. */
static bool fits_in_rows(const why_window *w) { return w->ow >= 4 && in_plane(w) < INT32_MAX; }

static float average(const why_window *w, const float *x, const struct taps *t, float inverse) {
    float sum = 0;
    for (int ky = t->ky0; ky < t->ky1; ky++)
        for (int kx = t->kx0; kx < t->kx1; kx++) sum += x[(int64_t)(t->y0 + ky * w->dh) * w->iw + t->x0 + kx * w->dw];
    return sum * inverse;
}

/* Padding counts when the file says so, except what ceil_mode adds beyond it. */
static float inverse_count(const struct pool *p, const struct taps *t) {
    const why_window *w = &p->win;
    int n = (t->ky1 - t->ky0) * (t->kx1 - t->kx0);
    if (p->count_include_pad) {
        int ky0, ky1, kx0, kx1;
        why_window_span(t->y0 + w->pt, w->kh, w->dh, w->ih + w->pt + w->pb, &ky0, &ky1);
        why_window_span(t->x0 + w->pl, w->kw, w->dw, w->iw + w->pl + w->pr, &kx0, &kx1);
        n = (ky1 - ky0) * (kx1 - kx0);
    }
    return n > 0 ? 1.0f / (float)n : 0.0f;
}

/* ---------------------------------------------------------------- pieces: some planes each */

static int pieces(const why_node *node) {
    const struct pool *p = node->attr;
    return why_plane_pieces(p->win.channels, in_plane(&p->win));
}

/* The columns that windows of one output row see, with -inf outside the picture. */
static int row_width(const why_window *w) { return (w->ow - 1) * w->sw + (w->kw - 1) * w->dw + 1; }
static size_t max_scratch(const why_node *n) { return (size_t)row_width(&((const struct pool *)n->attr)->win); }

/* NaN wins. Without short-circuits, so that compilers make vectors of it. */
static inline float larger(float a, float b) { return ((b > a) | (b != b)) ? b : a; }

/* A maximum needs no order: first down the columns of a window, then along the row. */
static void max_row(const why_window *window, const float *restrict x, int oy, float *restrict tall, float *restrict y) {
    const why_window copy = *window, *w = &copy; /* in registers, whatever y points to */
    struct taps t = taps_of(w, oy, 0);
    int width = row_width(w), from = w->pl < width ? w->pl : width, to = w->pl + w->iw < width ? w->pl + w->iw : width;
    for (int i = 0; i < width; i++) tall[i] = -INFINITY;
    for (int ky = t.ky0; ky < t.ky1; ky++) {
        const float *row = x + (ptrdiff_t)(t.y0 + ky * w->dh) * w->iw;
        for (int i = from; i < to; i++) tall[i] = larger(tall[i], row[i - w->pl]);
    }
    for (int ox = 0; ox < w->ow; ox++) y[ox] = tall[ox * w->sw];
    for (int kx = 1; kx < w->kw; kx++)
        for (int ox = 0; ox < w->ow; ox++) y[ox] = larger(y[ox], tall[ox * w->sw + kx * w->dw]);
}

static void max_forward(const why_call *r, int image, int piece, int thread) {
    float *tall = r->scratch + (size_t)thread * r->scratch_stride;
    const why_window *w = &((const struct pool *)r->node->attr)->win;
    int64_t from, to;
    why_plane_piece(w->channels, in_plane(w), piece, &from, &to);
    float *y = r->out + image * r->node->size_out + from * w->oh * w->ow;
    for (int64_t c = from; c < to; c++) {
        const float *x = r->in[0] + image * r->node->size_in[0] + c * in_plane(w);
        for (int oy = 0; oy < w->oh; oy++, y += w->ow) max_row(w, x, oy, tall, y);
    }
}

static void back_by_rows(const why_window *w, const float *x, const float *dy, float *dx) {
    struct maxima m;
    for (int oy = 0; oy < w->oh; oy++)
        for (int ox = 0; ox < w->ow; ox += m.n, dy += m.n) {
            places_of_max(w, x, oy, ox, &m);
            for (int i = 0; i < m.n; i++)
                if (m.at[i] != NOWHERE) dx[m.at[i]] += dy[i];
        }
}

static void back_by_windows(const why_window *w, const float *x, const float *dy, float *dx) {
    for (int oy = 0; oy < w->oh; oy++)
        for (int ox = 0; ox < w->ow; ox++, dy++) {
            const struct taps t = taps_of(w, oy, ox);
            const int64_t at = place_of_max(w, x, &t);
            if (at >= 0) dx[at] += *dy;
        }
}

static void max_backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const why_window *w = &((const struct pool *)r->node->attr)->win;
    int64_t from, to;
    why_plane_piece(w->channels, in_plane(w), piece, &from, &to);
    const float *dy = r->grad_out + image * r->node->size_out + from * w->oh * w->ow;
    for (int64_t c = from; c < to; c++, dy += w->oh * w->ow) {
        const int64_t plane = image * r->node->size_in[0] + c * in_plane(w);
        if (fits_in_rows(w)) back_by_rows(w, r->in[0] + plane, dy, r->grad_in[0] + plane);
        else back_by_windows(w, r->in[0] + plane, dy, r->grad_in[0] + plane);
    }
}

/* DeepLIFT on a maximum: what it changed by, a - b, is credited to the place where the larger of both stands. That place
 * changed by at least as much in the same direction, so the quotient lies in [0, 1] and the credits of overlapping windows add
 * up to the whole. (Peers keep one window per place and lose the others'.)
 *
 * A flat picture has its maximum everywhere, up to rounding, which must not choose the place: of those nearly as high as the
 * larger maximum, it is the first where the other picture is highest. Where both stand at one place it is thus that one, and its
 * multiplier is 1. */
static bool nearly(float low, float high) { return high - low <= fabsf(high) * 0x1p-17f; }

static int64_t place_of_change(const why_window *w, const struct taps *t, const float *larger, int64_t top, const float *other) {
    int64_t best = -1;
    for (int ky = t->ky0; ky < t->ky1; ky++)
        for (int kx = t->kx0; kx < t->kx1; kx++) {
            int64_t at = (int64_t)(t->y0 + ky * w->dh) * w->iw + t->x0 + kx * w->dw;
            if (nearly(larger[at], larger[top]) && (best < 0 || other[at] > other[best])) best = at;
        }
    return best < 0 ? top : best; /* nothing is near to NaN */
}

/* One window of image 0 (a) and this one (b). */
static void rescale_window(const why_window *w, const struct taps *t, const float *a, const float *b, float dy, float *dx) {
    const int64_t i = place_of_max(w, a, t), k = place_of_max(w, b, t);
    if (i < 0) return;
    const float change = a[i] - b[k];
    const int64_t at = change < 0 ? place_of_change(w, t, b, k, a) : place_of_change(w, t, a, i, b);
    if (nearly(a[at], a[i]) && nearly(b[at], b[k])) dx[at] += dy;
    else dx[at] += dy * (change / (a[at] - b[at]));
}

static void max_rescale(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const why_window *w = &((const struct pool *)r->node->attr)->win;
    int64_t from, to;
    why_plane_piece(w->channels, in_plane(w), piece, &from, &to);
    const float *dy = r->grad_out + image * r->node->size_out + from * w->oh * w->ow;
    for (int64_t c = from; c < to; c++) {
        const float *a = r->in[0] + c * in_plane(w), *b = a + image * r->node->size_in[0];
        float *dx = r->grad_in[0] + image * r->node->size_in[0] + c * in_plane(w);
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++, dy++) {
                struct taps t = taps_of(w, oy, ox);
                rescale_window(w, &t, a, b, *dy, dx);
            }
    }
}

static void average_forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct pool *p = r->node->attr;
    const why_window *w = &p->win;
    int64_t from, to;
    why_plane_piece(w->channels, in_plane(w), piece, &from, &to);
    float *y = r->out + image * r->node->size_out + from * w->oh * w->ow;
    for (int64_t c = from; c < to; c++) {
        const float *x = r->in[0] + image * r->node->size_in[0] + c * in_plane(w);
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++) {
                struct taps t = taps_of(w, oy, ox);
                *y++ = average(w, x, &t, inverse_count(p, &t));
            }
    }
}

static void average_backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct pool *p = r->node->attr;
    const why_window *w = &p->win;
    int64_t from, to;
    why_plane_piece(w->channels, in_plane(w), piece, &from, &to);
    const float *dy = r->grad_out + image * r->node->size_out + from * w->oh * w->ow;
    for (int64_t c = from; c < to; c++) {
        float *dx = r->grad_in[0] + image * r->node->size_in[0] + c * in_plane(w);
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++, dy++) {
                struct taps t = taps_of(w, oy, ox);
                float share = *dy * inverse_count(p, &t);
                for (int ky = t.ky0; ky < t.ky1; ky++)
                    for (int kx = t.kx0; kx < t.kx1; kx++) dx[(int64_t)(t.y0 + ky * w->dh) * w->iw + t.x0 + kx * w->dw] += share;
            }
    }
}

/* ---------------------------------------------------------------- on the blocked layout: a piece is a block */
/* A window outside the picture would be -inf in the lanes that fill a block up, which are to be finite. */
static bool blocked_fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    (void)k;
    const why_window *w = &((const struct pool *)n->attr)->win;
    return why_is_map(&g->values[n->out].shape) && w->pt < w->kh && w->pl < w->kw && w->pb < w->kh && w->pr < w->kw && w->dh == 1 && w->dw == 1;
}

static int blocked_pieces(const why_call *r) {
    return r->n * why_blocks(((const struct pool *)r->node->attr)->win.channels, r->blocked->width);
}

static why_planes block_of(const why_call *r, int piece) {
    const struct pool *p = r->node->attr;
    const int width = r->blocked->width, blocks = why_blocks(p->win.channels, width), image = piece / blocks, block = piece % blocks;
    return (why_planes){.win = p->win,
                        .x = r->in[0] + image * r->in_image[0] + block * in_plane(&p->win) * width,
                        .y = r->out + image * r->out_image + (int64_t)block * p->win.oh * p->win.ow * width,
                        .include_pad = p->count_include_pad};
}

static void blocked_max(const why_call *r, int image, int piece, int thread) {
    (void)image, (void)thread;
    const why_planes p = block_of(r, piece);
    r->blocked->max_pool(&p, 0, p.win.oh);
}

static void blocked_average(const why_call *r, int image, int piece, int thread) {
    (void)image, (void)thread;
    const why_planes p = block_of(r, piece);
    r->blocked->average_pool(&p, 0, p.win.oh);
}

static const why_blocked_op max_in_blocks = {.fits = blocked_fits, .follows = true, .pieces = blocked_pieces, .forward = blocked_max};
static const why_blocked_op average_in_blocks = {.fits = blocked_fits, .follows = true, .pieces = blocked_pieces, .forward = blocked_average};

#define MAXIMUM                                                                                                                  \
    .flags = WHY_NEEDS_INPUT | WHY_POOLS, .pieces = pieces, .forward = max_forward, .back_pieces = pieces,                        \
    .backward = {max_backward, [WHY_RULE_RESCALE] = max_rescale}, .scratch = max_scratch, .blocked = &max_in_blocks

const why_op why_op_max_pool = {.name = "MaxPool", .build = build_max, MAXIMUM};
const why_op why_op_global_max_pool = {.name = "GlobalMaxPool", .build = build_global, MAXIMUM};
const why_op why_op_average_pool = {.name = "AveragePool",
                                    .build = build_average,
                                    .flags = WHY_POOLS | WHY_LINEAR,
                                    .pieces = pieces,
                                    .forward = average_forward,
                                    .back_pieces = pieces,
                                    .backward = {average_backward},
                                    .blocked = &average_in_blocks};
