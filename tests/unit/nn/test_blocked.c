/* The kernels of the blocked layout: every variant that this machine runs, and the wide one compiled for it, on edge shapes
 * and random data against direct sums in double; and that a result's bits do not depend on how the work is cut. */
#include "data.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "nn/kernel/blocked.h"

extern const why_blocked wide_variant; /* wide_variant.c */

static uint32_t draws = 1;
static float draw(void) {
    draws = draws * 1664525u + 1013904223u;
    return (float)(int32_t)draws / 2147483648.0f;
}

static float *floats(int64_t n) {
    float *x;
    OK(why_alloc((size_t)n, sizeof *x, "test", &x));
    return x;
}

static float *random_floats(int64_t n) {
    float *x = floats(n);
    for (int64_t i = 0; i < n; i++) x[i] = draw();
    return x;
}

/* What is beside the output must stay as it is. */
enum { GUARD = 64 };
static float *guarded(int64_t n) {
    float *x = floats(n + GUARD);
    for (int64_t i = 0; i < n + GUARD; i++) x[i] = 1e9f;
    return x;
}
static void check_guard(const float *x, int64_t n) {
    for (int i = 0; i < GUARD; i++) assert_true(x[n + i] == 1e9f);
}

/* ---------------------------------------------------------------- a convolution in every form */
struct conv {
    why_window win;
    int in, out;      /* channels */
    float *x, *w, *b; /* plain */
    float *add;       /* plain, like the output; NULL: none */
    why_clamp clamp;
};

static why_window window(int in, int h, int w, int k, int stride, int pad, int dilation) {
    const int extent = (k - 1) * dilation + 1;
    return (why_window){in,
                        h,
                        w,
                        (h + 2 * pad - extent) / stride + 1,
                        (w + 2 * pad - extent) / stride + 1,
                        k,
                        k,
                        stride,
                        stride,
                        dilation,
                        dilation,
                        pad,
                        pad,
                        pad,
                        pad};
}

static struct conv make(why_window win, int out, bool with_add, int per_group) {
    const int64_t plane = (int64_t)win.oh * win.ow;
    struct conv c = {.win = win, .in = win.channels, .out = out};
    c.x = random_floats((int64_t)win.channels * win.ih * win.iw);
    c.w = random_floats((int64_t)out * per_group * win.kh * win.kw);
    c.b = random_floats(out);
    if (with_add) c.add = random_floats(out * plane), c.clamp = (why_clamp){true, -0.5f, 1.5f};
    return c;
}

static void destroy(struct conv *c) { free(c->x), free(c->w), free(c->b), free(c->add); }

/* One output in double, and the sum of its terms' sizes. */
static double direct(const struct conv *c, int per_group, int o, int oy, int ox, double *size) {
    const why_window *w = &c->win;
    const int first = per_group == c->in ? 0 : o * per_group; /* all inputs, or one group per output */
    double sum = (double)c->b[o];
    *size = fabs(sum);
    for (int i = 0; i < per_group; i++)
        for (int ky = 0; ky < w->kh; ky++)
            for (int kx = 0; kx < w->kw; kx++) {
                const int y = oy * w->sh - w->pt + ky * w->dh, x = ox * w->sw - w->pl + kx * w->dw;
                if (y < 0 || y >= w->ih || x < 0 || x >= w->iw) continue;
                const double t = (double)c->w[((o * per_group + i) * w->kh + ky) * w->kw + kx] *
                                 (double)c->x[((int64_t)(first + i) * w->ih + y) * w->iw + x];
                sum += t;
                *size += fabs(t);
            }
    const double other = c->add ? (double)c->add[((int64_t)o * w->oh + oy) * w->ow + ox] : 0;
    sum += other;
    *size += fabs(other);
    return !c->clamp.on ? sum : sum < (double)c->clamp.lo ? (double)c->clamp.lo : sum > (double)c->clamp.hi ? (double)c->clamp.hi : sum;
}

/* y in blocks against the direct sums; `limit` in units of the terms' sum of sizes. */
static void compare(const why_blocked *k, const struct conv *c, int per_group, const float *y, double limit, const char *what) {
    const why_window *w = &c->win;
    for (int o = 0; o < c->out; o++)
        for (int at = 0; at < w->oh * w->ow; at++) {
            double size;
            const double want = direct(c, per_group, o, at / w->ow, at % w->ow, &size);
            const double got = (double)y[((int64_t)(o / k->width) * w->oh * w->ow + at) * k->width + o % k->width];
            if (!(fabs(got - want) <= limit * size))
                fail_msg("%s, %d lanes, %d -> %d, %dx%d by %d stride %d: output %d at %d is %.9g, want %.9g (%.3g of the terms)", what,
                         k->width, c->in, c->out, w->ih, w->iw, w->kh, w->sh, o, at, got, want, fabs(got - want) / size);
        }
}

static float *to_blocks(const why_blocked *k, const float *x, int channels, int64_t plane) {
    float *y = guarded(why_blocks(channels, k->width) * k->width * plane);
    for (int b = 0; b < why_blocks(channels, k->width); b++) {
        const int left = channels - b * k->width;
        k->to_block(x + b * k->width * plane, plane, left < k->width ? left : k->width, 0, plane, y + b * k->width * plane);
    }
    check_guard(y, why_blocks(channels, k->width) * k->width * plane);
    return y;
}

static float *padded(const float *b, int n, int width) {
    float *p = floats(why_blocks(n, width) * width);
    memcpy(p, b, (size_t)n * sizeof *b);
    return p;
}

/* Everything that one form needs, in blocks. */
struct blocked_conv {
    float *x, *w, *b, *add, *y, *scratch;
    int in, out; /* blocks */
    int64_t plane, size;
    why_finish finish;
};

static struct blocked_conv in_blocks(const why_blocked *k, const struct conv *c, int64_t weights, int64_t scratch) {
    const int64_t plane = (int64_t)c->win.oh * c->win.ow;
    struct blocked_conv r = {.in = why_blocks(c->in, k->width), .out = why_blocks(c->out, k->width), .plane = plane * k->width};
    r.size = r.out * r.plane;
    r.x = to_blocks(k, c->x, c->in, (int64_t)c->win.ih * c->win.iw);
    r.add = c->add ? to_blocks(k, c->add, c->out, plane) : NULL;
    r.w = floats(weights);
    r.b = padded(c->b, c->out, k->width);
    r.y = guarded(r.size);
    r.scratch = guarded(scratch);
    r.finish = (why_finish){.bias = r.b, .add = r.add, .add_block = r.plane, .clamp = c->clamp};
    return r;
}

static void release(struct blocked_conv *r) { free(r->x), free(r->w), free(r->b), free(r->add), free(r->y), free(r->scratch); }

/* ---------------------------------------------------------------- products: 1x1 in place, windows gathered */
static void run_product(const why_blocked *k, const struct conv *c, int tile, const struct blocked_conv *r) {
    const why_window *w = &c->win;
    const int pixels = w->oh * w->ow, taps = w->kh * w->kw;
    for (int from = 0; from < pixels; from += tile) {
        const int to = from + tile < pixels ? from + tile : pixels;
        why_finish finish = r->finish;
        if (finish.add) finish.add += from * k->width;
        k->gather(w, r->x, r->in, from, to, r->scratch);
        for (int o = 0; o < r->out; o += 4) { /* shared out in pairs of pairs */
            const why_product p = {.x = r->scratch,
                                   .x_block = (ptrdiff_t)(to - from) * k->width,
                                   .blocks = r->in * taps,
                                   .w = r->w,
                                   .from = o,
                                   .to = o + 4 < r->out ? o + 4 : r->out,
                                   .pixels = to - from,
                                   .y = r->y + from * k->width,
                                   .y_block = r->plane,
                                   .finish = &finish};
            k->multiply(&p);
        }
    }
}

static void check_product(const why_blocked *k, why_window win, int out, bool add) {
    struct conv c = make(win, out, add, win.channels);
    const int taps = win.kh * win.kw, pixels = win.oh * win.ow;
    const int64_t scratch = (int64_t)why_blocks(c.in, k->width) * k->width * taps * pixels;
    struct blocked_conv r = in_blocks(k, &c, why_packed_product(out, c.in, taps, k->width, k->width), scratch);
    why_pack_product(c.w, out, c.in, taps, k->width, k->width, r.w);
    run_product(k, &c, pixels, &r);
    check_guard(r.y, r.size);
    check_guard(r.scratch, scratch);
    compare(k, &c, c.in, r.y, 1e-6, "product");
    float *whole = r.y;
    for (int tile = 1; tile <= pixels; tile = tile * 3 + 1) { /* the same bits, however it is cut */
        r.y = guarded(r.size);
        run_product(k, &c, tile, &r);
        assert_memory_equal(whole, r.y, (size_t)r.size * sizeof(float));
        free(r.y);
    }
    r.y = whole;
    release(&r);
    destroy(&c);
}

static void products(const why_blocked *k) {
    static const int sides[][2] = {{1, 1}, {7, 7}, {5, 13}, {14, 6}};
    static const int channels[][2] = {{1, 1}, {8, 16}, {17, 5}, {24, 40}, {3, 33}, {64, 7}};
    for (int s = 0; s < 4; s++)
        for (int c = 0; c < 6; c++)
            check_product(k, window(channels[c][0], sides[s][0], sides[s][1], 1, 1, 0, 1), channels[c][1], (s + c) % 2);
    check_product(k, window(16, 9, 11, 3, 2, 1, 1), 24, true);
    check_product(k, window(20, 9, 9, 3, 1, 2, 2), 9, false);
    check_product(k, window(8, 12, 10, 5, 1, 2, 1), 8, false);
    check_product(k, window(8, 8, 8, 1, 2, 0, 1), 8, false);
    check_product(k, window(2, 3, 3, 7, 1, 3, 1), 20, true);
}

/* ---------------------------------------------------------------- Winograd */

static void run_winograd(const why_blocked *k, const struct conv *c, const struct blocked_conv *r, int images, int tiles, int outputs) {
    const int x = (c->win.ow + 3) / 4, y = (c->win.oh + 3) / 4;
    const int64_t all = (int64_t)images * x * y;
    const why_winograd w = {.win = c->win,
                            .in_blocks = r->in,
                            .out_blocks = r->out,
                            .tiles_x = x,
                            .tiles_y = y,
                            .x = r->x,
                            .u = r->w,
                            .y = r->y,
                            .x_image = (int64_t)r->in * k->width * c->win.ih * c->win.iw,
                            .y_image = r->size,
                            .add_image = r->size,
                            .finish = r->finish};
    for (int64_t t = 0; t < all; t += tiles)
        for (int o = 0; o < r->out; o += outputs)
            k->winograd(&w, t, t + tiles < all ? t + tiles : all, o, o + outputs < r->out ? o + outputs : r->out, r->scratch);
}

static void check_winograd(const why_blocked *k, int in, int out, int h, int wd, int pad, bool add) {
    struct conv c = make(window(in, h, wd, 3, 1, pad, 1), out, add, in);
    const int tiles = (c.win.ow + 3) / 4 * ((c.win.oh + 3) / 4);
    const int64_t scratch = why_winograd_scratch(why_blocks(in, k->width), why_blocks(out, k->width), tiles, k->width);
    struct blocked_conv r = in_blocks(k, &c, WHY_POINTS * why_packed_product(out, in, 1, k->width, k->width), scratch);
    why_pack_winograd(c.w, out, in, k->width, r.w);
    run_winograd(k, &c, &r, 1, tiles, r.out);
    check_guard(r.y, r.size);
    check_guard(r.scratch, scratch);
    compare(k, &c, in, r.y, 1e-5, "winograd");
    float *whole = r.y;
    r.y = guarded(r.size);
    run_winograd(k, &c, &r, 1, 1, 2);
    assert_memory_equal(whole, r.y, (size_t)r.size * sizeof(float));
    free(r.y);
    r.y = whole;
    release(&r);
    destroy(&c);
}

static void winograds(const why_blocked *k) {
    static const int sides[][2] = {{4, 4}, {7, 7}, {14, 14}, {5, 9}, {3, 3}, {13, 6}};
    for (int s = 0; s < 6; s++) {
        check_winograd(k, 16, 16, sides[s][0], sides[s][1], 1, s % 2);
        check_winograd(k, 24, 40, sides[s][0], sides[s][1], 1, s % 2 == 0);
        if (s != 4) check_winograd(k, 17, 33, sides[s][0], sides[s][1], 0, false);
    }
    check_winograd(k, 19, 8, 6, 5, 2, true);
}

/* Accuracy as the plan relies on it: activations behind a Relu, weights of He's variance. */
static float normal(void) {
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += draw();
    return sum / 2;
}

static void check_accuracy(const why_blocked *k) {
    enum { IN = 128, OUT = 16, SIDE = 16 };
    struct conv c = make(window(IN, SIDE, SIDE, 3, 1, 1, 1), OUT, false, IN);
    for (int i = 0; i < IN * SIDE * SIDE; i++) c.x[i] = fmaxf(0, normal());
    for (int i = 0; i < OUT * IN * 9; i++) c.w[i] = normal() * sqrtf(2.0f / (IN * 9));
    memset(c.b, 0, OUT * sizeof(float));
    struct blocked_conv r = in_blocks(k, &c, WHY_POINTS * why_packed_product(OUT, IN, 1, k->width, k->width),
                                      why_winograd_scratch(why_blocks(IN, k->width), why_blocks(OUT, k->width), 16, k->width));
    why_pack_winograd(c.w, OUT, IN, k->width, r.w);
    run_winograd(k, &c, &r, 1, 16, r.out);
    double worst = 0, square = 0, size;
    for (int o = 0; o < OUT; o++)
        for (int at = 0; at < SIDE * SIDE; at++) {
            const double want = direct(&c, IN, o, at / SIDE, at % SIDE, &size);
            const double e = fabs((double)r.y[((int64_t)(o / k->width) * SIDE * SIDE + at) * k->width + o % k->width] - want);
            worst = e > worst ? e : worst;
            square += want * want / (OUT * SIDE * SIDE);
        }
    print_message("F(4x4, 3x3), %d lanes: %.2g of the outputs' root mean square\n", k->width, worst / sqrt(square));
    assert_true(worst / sqrt(square) < 1.4e-5);
    release(&r);
    destroy(&c);
}

/* ---------------------------------------------------------------- the first layer, depthwise */
static void check_stem(const why_blocked *k, why_window win, int out, bool add) {
    struct conv c = make(win, out, add, win.channels);
    const int taps = win.kh * win.kw;
    const int64_t scratch = why_stem_scratch(&win, win.oh);
    struct blocked_conv r = in_blocks(k, &c, why_packed_product(out, c.in * taps, 1, k->width, 1), scratch);
    why_pack_product(c.w, out, c.in * taps, 1, k->width, 1, r.w);
    const why_stem s = {.win = win, .out_blocks = r.out, .x = c.x, .w = r.w, .y = r.y, .y_block = r.plane, .finish = r.finish};
    k->stem(&s, 0, win.oh, r.scratch);
    check_guard(r.y, r.size);
    check_guard(r.scratch, scratch);
    compare(k, &c, c.in, r.y, 1e-6, "stem");
    why_stem cut = s;
    cut.y = guarded(r.size);
    for (int y = 0; y < win.oh; y++) k->stem(&cut, y, y + 1, r.scratch);
    assert_memory_equal(cut.y, r.y, (size_t)r.size * sizeof(float));
    free(cut.y);
    release(&r);
    destroy(&c);
}

static void stems(const why_blocked *k) {
    check_stem(k, window(3, 30, 23, 7, 2, 3, 1), 20, false);
    check_stem(k, window(3, 9, 17, 3, 1, 1, 1), 64, true);
    check_stem(k, window(1, 6, 5, 5, 1, 0, 1), 3, false);
    check_stem(k, window(4, 11, 11, 11, 4, 2, 1), 16, false);
    check_stem(k, window(2, 4, 2, 1, 3, 0, 1), 7, true);
}

static void check_depthwise(const why_blocked *k, why_window win, bool add) {
    struct conv c = make(win, win.channels, add, 1);
    const int taps = win.kh * win.kw;
    struct blocked_conv r = in_blocks(k, &c, (int64_t)why_blocks(c.out, k->width) * k->width * taps, 1);
    for (int o = 0; o < c.out; o++)
        for (int t = 0; t < taps; t++) r.w[((o / k->width) * taps + t) * k->width + o % k->width] = c.w[o * taps + t];
    for (int b = 0; b < r.out; b++) {
        why_planes p = {.win = win,
                        .x = r.x + (int64_t)b * win.ih * win.iw * k->width,
                        .w = r.w + b * taps * k->width,
                        .y = r.y + b * r.plane,
                        .finish = r.finish};
        p.finish.bias += b * k->width;
        if (p.finish.add) p.finish.add += b * r.plane;
        k->depthwise(&p, 0, win.oh / 2);
        k->depthwise(&p, win.oh / 2, win.oh);
    }
    check_guard(r.y, r.size);
    compare(k, &c, 1, r.y, 1e-6, "depthwise");
    release(&r);
    destroy(&c);
}

static void depthwises(const why_blocked *k) {
    check_depthwise(k, window(24, 14, 14, 3, 1, 1, 1), false);
    check_depthwise(k, window(17, 9, 13, 3, 2, 1, 1), true);
    check_depthwise(k, window(8, 7, 21, 5, 1, 2, 1), false);
    check_depthwise(k, window(16, 12, 12, 3, 1, 2, 2), true);
    check_depthwise(k, window(3, 2, 1, 3, 1, 1, 1), false);
}

/* ---------------------------------------------------------------- pooling, means, scaling, dense rows */
static void pools(const why_blocked *k) {
    const why_window w = window(1, 9, 11, 3, 2, 1, 1);
    float *x = random_floats((int64_t)w.ih * w.iw * k->width), *top = guarded(w.oh * w.ow * k->width),
          *mean = guarded(w.oh * w.ow * k->width);
    x[5 * k->width + 1] = NAN;
    for (int pad = 0; pad < 2; pad++) {
        why_planes p = {.win = w, .x = x, .y = top, .include_pad = pad};
        k->max_pool(&p, 0, w.oh);
        p.y = mean;
        k->average_pool(&p, 0, w.oh);
        for (int at = 0; at < w.oh * w.ow * k->width; at++) {
            const int lane = at % k->width, oy = at / k->width / w.ow, ox = at / k->width % w.ow;
            double best = -INFINITY, sum = 0;
            int n = 0;
            for (int y = oy * 2 - 1; y < oy * 2 + 2; y++)
                for (int c = ox * 2 - 1; c < ox * 2 + 2; c++) {
                    if (y < 0 || y >= w.ih || c < 0 || c >= w.iw) continue;
                    const double v = (double)x[(y * w.iw + c) * k->width + lane];
                    best = v > best || isnan(v) ? v : best;
                    sum += v;
                    n++;
                }
            const double average = sum / (pad ? 9 : n);
            if (isnan(sum)) assert_true(isnan(top[at]) && isnan(mean[at]));
            else assert_true((double)top[at] == best && fabs((double)mean[at] - average) < 1e-6);
        }
    }
    check_guard(top, w.oh * w.ow * k->width);
    check_guard(mean, w.oh * w.ow * k->width);
    free(x), free(top), free(mean);
}

static void means_and_scales(const why_blocked *k) {
    enum { N = 49 };
    float *x = random_floats(N * k->width), *a = random_floats(k->width), *b = random_floats(k->width), *y = guarded(N * k->width), m[64];
    m[3] = 7;
    for (int n = 1; n <= N; n += 8) {
        k->mean(x, n, 3, m);
        assert_true(m[3] == 7);
        for (int c = 0; c < 3; c++) {
            double want = 0;
            for (int i = 0; i < n; i++) want += (double)x[i * k->width + c] / n;
            assert_true(fabs((double)m[c] - want) < 1e-6);
        }
    }
    k->scale(x, a, b, (why_clamp){true, 0, 0.6f}, N, y);
    check_guard(y, N * k->width);
    for (int i = 0; i < N * k->width; i++) {
        const double v = (double)a[i % k->width] * (double)x[i] + (double)b[i % k->width];
        assert_true(fabs((double)y[i] - fmin(fmax(v, 0), (double)0.6f)) < 1e-6);
    }
    free(x), free(a), free(b), free(y);
}

static void check_dense(const why_blocked *k, int inputs, int outputs, int rows, bool clamped) {
    float *w = random_floats((int64_t)inputs * outputs), *b = random_floats(outputs), *x = random_floats((int64_t)inputs * rows);
    float *y = guarded((int64_t)outputs * rows), *alone = guarded(outputs);
    why_dense d = {.w = w, .bias = b, .inputs = inputs, .outputs = outputs, .x = x, .rows = rows, .y = y, .clamp = {clamped, 0, 1e30f}};
    for (int o = 0; o < outputs; o += WHY_DENSE_OUTPUTS) k->dense(&d, o, o + WHY_DENSE_OUTPUTS < outputs ? o + WHY_DENSE_OUTPUTS : outputs);
    check_guard(y, (int64_t)outputs * rows);
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < outputs; o++) {
            double want = (double)b[o], size = fabs(want);
            for (int i = 0; i < inputs; i++) {
                const double t = (double)w[(int64_t)o * inputs + i] * (double)x[(int64_t)r * inputs + i];
                want += t;
                size += fabs(t);
            }
            if (clamped && want < 0) want = 0;
            assert_true(fabs((double)y[r * outputs + o] - want) <= 1e-6 * size);
        }
    d.rows = 1;
    d.x = x + (int64_t)(rows - 1) * inputs; /* a row alone has the same bits */
    d.y = alone;
    k->dense(&d, 0, outputs < WHY_DENSE_OUTPUTS ? outputs : WHY_DENSE_OUTPUTS);
    assert_memory_equal(alone, y + (int64_t)(rows - 1) * outputs,
                        (size_t)(outputs < WHY_DENSE_OUTPUTS ? outputs : WHY_DENSE_OUTPUTS) * sizeof(float));
    free(w), free(b), free(x), free(y), free(alone);
}

static void denses(const why_blocked *k) {
    check_dense(k, 1, 1, 1, false);
    check_dense(k, 17, 5, 4, true);
    check_dense(k, 2500, 35, 3, false);
    check_dense(k, 64, 9, 100, true);
    check_dense(k, 1024, 4, 2, false);
}

static void round_trip(const why_blocked *k) {
    enum { PLANE = 37, CHANNELS = 21 };
    float *x = random_floats(PLANE * CHANNELS), *blocks = to_blocks(k, x, CHANNELS, PLANE), *back = guarded(PLANE * CHANNELS);
    for (int c = 0; c < CHANNELS; c += k->width)
        k->to_planes(blocks + c * PLANE, PLANE, CHANNELS - c < k->width ? CHANNELS - c : k->width, 0, PLANE, back + c * PLANE);
    assert_memory_equal(x, back, PLANE * CHANNELS * sizeof(float));
    check_guard(back, PLANE * CHANNELS);
    for (int i = 0; i < PLANE; i++)
        for (int c = CHANNELS; c < why_blocks(CHANNELS, k->width) * k->width; c++)
            assert_true(blocks[((int64_t)(c / k->width) * PLANE + i) * k->width + c % k->width] == 0);
    free(x), free(blocks), free(back);
}

/* ---------------------------------------------------------------- variants */
static void on_all(void (*check)(const why_blocked *)) {
    const why_blocked *own;
    OK(why_blocked_of_cpu(&own));
    if (!own) {
        print_message("skipped: this CPU has only the portable path\n");
        skip();
    }
    check(own);
    if (own->width != 8) check(&why_blocked_avx2);
    if (own->width != wide_variant.width) check(&wide_variant);
}

static void test_products(void **s) { (void)s, on_all(products); }
static void test_winograd(void **s) { (void)s, on_all(winograds); }
static void test_accuracy(void **s) { (void)s, on_all(check_accuracy); }
static void test_stems(void **s) { (void)s, on_all(stems); }
static void test_depthwise(void **s) { (void)s, on_all(depthwises); }
static void test_pools(void **s) { (void)s, on_all(pools); }
static void test_means_and_scales(void **s) { (void)s, on_all(means_and_scales); }
static void test_dense(void **s) { (void)s, on_all(denses); }
static void test_round_trip(void **s) { (void)s, on_all(round_trip); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_products),
        cmocka_unit_test(test_winograd),   cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_stems),      cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_pools),      cmocka_unit_test(test_means_and_scales),
        cmocka_unit_test(test_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
