/* Every operator: forward against a plain double-precision definition, backward against central differences. */
#include "onnx_writer.h"

enum { BATCH = 2 };

/* A network of one operator under test: x (N x 3 x h x w) -> ... -> "y" -> Flatten. */
struct net {
    why_model *m;
    why_session *s;
    int64_t in, out; /* elements per image */
    float *x, *y;
};

static struct net open_net(struct onnx *o) {
    struct net t;
    onnx_node(o, "Flatten", "y", "scores");
    t.m = onnx_load(o, "scores");
    const why_model_info *i = why_model_get_info(t.m);
    const char *const grad[] = {"input"};
    const why_session_options so = {.max_batch = BATCH, .grad_to = grad, .n_grad_to = 1};
    OK(why_session_create(t.m, &so, &t.s));
    t.in = (int64_t)i->channels * i->height * i->width;
    t.out = i->outputs;
    t.x = malloc((size_t)(BATCH * t.in) * sizeof *t.x);
    t.y = malloc((size_t)(BATCH * t.out) * sizeof *t.y);
    fill_values(t.x, BATCH * t.in, 1);
    OK(why_session_forward(t.s, t.x, BATCH));
    memcpy(t.y, why_session_logits(t.s), (size_t)(BATCH * t.out) * sizeof *t.y);
    return t;
}

static void close_net(struct net *t) {
    why_session_destroy(&t->s);
    why_model_destroy(&t->m);
    free(t->x);
    free(t->y);
}

static double weighted(const struct net *t, const float *seed, int image) {
    const float *y = why_session_logits(t->s);
    double sum = 0;
    for (int64_t i = 0; i < t->out; i++) sum += (double)seed[image * t->out + i] * (double)y[image * t->out + i];
    return sum;
}

/* d<seed, y>/dx by central differences of width `eps` at up to 40 places of each image. */
static void check_gradient_at(struct net *t, float eps) {
    float *seed = malloc((size_t)(BATCH * t->out) * sizeof *seed), *x = malloc((size_t)(BATCH * t->in) * sizeof *x);
    float *got = malloc((size_t)(BATCH * t->in) * sizeof *got);
    fill_values(seed, BATCH * t->out, 7);
    OK(why_session_forward(t->s, t->x, BATCH));
    OK(why_session_backward(t->s, seed, WHY_RULE_PLAIN));
    memcpy(got, why_session_gradient(t->s, 0).data, (size_t)(BATCH * t->in) * sizeof *got);
    int64_t step = t->in > 40 ? t->in / 40 : 1;
    for (int image = 0; image < BATCH; image++)
        for (int64_t k = 0; k < t->in; k += step) {
            const int64_t at = image * t->in + k;
            double f[2];
            for (int side = 0; side < 2; side++) {
                memcpy(x, t->x, (size_t)(BATCH * t->in) * sizeof *x);
                x[at] += side ? -eps : eps;
                OK(why_session_forward(t->s, x, BATCH));
                f[side] = weighted(t, seed, image);
            }
            float hi = t->x[at] + eps, lo = t->x[at] - eps;
            double want = (f[0] - f[1]) / ((double)hi - (double)lo), e = fabs(want - (double)got[at]);
            if (!(e <= 5e-3 * fmax(1, fabs(want)))) fail_msg("gradient at %lld: got %g, differences give %g", (long long)at, (double)got[at], want);
        }
    free(seed);
    free(x);
    free(got);
}

/* Linear operators want a wide step (no curvature, less rounding), maxima one below the distance of two inputs. */
static void check_linear_gradient(struct net *t) { check_gradient_at(t, 0.1f); }
static void check_gradient(struct net *t) { check_gradient_at(t, fminf(4e-3f, 0.9f / (float)(BATCH * t->in))); }

static void check_value(const struct net *t, int64_t at, double want) {
    double got = (double)t->y[at];
    if (!(fabs(got - want) <= 1e-5 * fmax(1, fabs(want)))) fail_msg("output %lld: got %.9g, want %.9g", (long long)at, got, want);
}

/* ---------------------------------------------------------------- Conv */
struct window_case {
    int c, h, w, o, kh, kw, sh, sw, dh, dw, pads[4], group;
    const char *auto_pad;
};

static const struct window_case conv_cases[] = {
    {3, 8, 8, 4, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 1, ""},
    {3, 9, 7, 4, 3, 3, 2, 2, 1, 1, {0, 0, 1, 1}, 1, ""},            /* asymmetric */
    {3, 8, 10, 5, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, 1, ""},           /* pointwise */
    {3, 9, 9, 5, 1, 1, 2, 2, 1, 1, {0, 0, 0, 0}, 1, ""},            /* pointwise with stride */
    {3, 6, 6, 5, 1, 1, 1, 1, 1, 1, {1, 1, 1, 1}, 1, ""},            /* pointwise with pads (SqueezeNet's classifier) */
    {3, 11, 9, 4, 3, 2, 1, 1, 2, 3, {2, 3, 1, 0}, 1, ""},           /* dilated */
    {3, 7, 5, 2, 7, 5, 1, 1, 1, 1, {0, 0, 0, 0}, 1, ""},            /* a window as large as the picture */
    {3, 2, 2, 3, 5, 5, 1, 1, 1, 1, {3, 3, 3, 3}, 1, ""},            /* most taps outside */
    {3, 3, 3, 2, 3, 3, 1, 1, 1, 1, {4, 4, 4, 4}, 1, ""},            /* some windows wholly outside */
    {3, 8, 8, 3, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 3, ""},            /* depthwise */
    {3, 9, 8, 6, 3, 3, 2, 2, 1, 1, {0, 0, 1, 1}, 3, ""},            /* depthwise, two outputs per channel */
    {3, 9, 9, 3, 3, 3, 1, 2, 2, 1, {2, 1, 2, 1}, 3, ""},
    {12, 4, 5, 8, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 2, ""},           /* grouped */
    {12, 4, 5, 6, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, 3, ""},
    {48, 3, 2, 130, 2, 2, 1, 1, 1, 1, {1, 1, 0, 0}, 1, ""},         /* lone tile cut in two, several channel blocks */
    {3, 9, 8, 4, 3, 3, 2, 2, 1, 1, {0, 0, 0, 0}, 1, "SAME_UPPER"},
    {3, 9, 8, 4, 4, 4, 2, 3, 1, 1, {0, 0, 0, 0}, 1, "SAME_LOWER"},
    {3, 9, 8, 4, 3, 3, 2, 2, 1, 1, {0, 0, 0, 0}, 1, "VALID"},
    {3, 40, 60, 2, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 1, ""},          /* several tiles */
};

/* Sizes and pads that auto_pad stands for. */
static void resolve(struct window_case *k, int *oh, int *ow, bool ceil_mode) {
    int size[2] = {k->h, k->w}, kernel[2] = {(k->kh - 1) * k->dh + 1, (k->kw - 1) * k->dw + 1}, stride[2] = {k->sh, k->sw}, out[2];
    for (int i = 0; i < 2; i++) {
        if (strncmp(k->auto_pad, "SAME", 4) == 0) {
            out[i] = (size[i] + stride[i] - 1) / stride[i];
            int total = (out[i] - 1) * stride[i] + kernel[i] - size[i];
            if (total < 0) total = 0;
            k->pads[i] = strcmp(k->auto_pad, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
            k->pads[i + 2] = total - k->pads[i];
        } else {
            double room = (double)(size[i] + k->pads[i] + k->pads[i + 2] - kernel[i]) / stride[i];
            out[i] = (int)(ceil_mode ? ceil(room) : floor(room)) + 1;
            if (ceil_mode && (out[i] - 1) * stride[i] >= size[i] + k->pads[i]) out[i]--;
        }
    }
    *oh = out[0];
    *ow = out[1];
}

static void window_attrs(struct onnx *o, const struct window_case *k) {
    attr_ints(o, "kernel_shape", 2, k->kh, k->kw);
    attr_ints(o, "strides", 2, k->sh, k->sw);
    attr_ints(o, "dilations", 2, k->dh, k->dw);
    if (k->auto_pad[0]) attr_text(o, "auto_pad", k->auto_pad);
    else attr_ints(o, "pads", 4, k->pads[0], k->pads[1], k->pads[2], k->pads[3]);
}

/* x as N x c x h x w, by way of an input of three channels. */
static const char *reshaped(struct onnx *o, int opset, int c, int h, int w) {
    if (c == 3) {
        onnx_begin(o, opset, 3, h, w);
        return "x";
    }
    assert_int_equal(c * h * w % 3, 0);
    onnx_begin(o, opset, 3, c * h * w / 3, 1);
    onnx_ints(o, "cube", 4, 0, c, h, w);
    onnx_node(o, "Reshape", "x,cube", "x4");
    return "x4";
}

static double conv_at(const struct window_case *k, const float *x, const float *w, int o, int oy, int ox) {
    int cin = k->c / k->group, group = o / (k->o / k->group);
    double sum = 0;
    for (int c = 0; c < cin; c++)
        for (int ky = 0; ky < k->kh; ky++)
            for (int kx = 0; kx < k->kw; kx++) {
                int iy = oy * k->sh + ky * k->dh - k->pads[0], ix = ox * k->sw + kx * k->dw - k->pads[1];
                if (iy < 0 || ix < 0 || iy >= k->h || ix >= k->w) continue;
                sum += (double)x[((group * cin + c) * k->h + iy) * k->w + ix] * (double)w[((o * cin + c) * k->kh + ky) * k->kw + kx];
            }
    return sum;
}

static void check_conv(struct window_case k, bool bias, bool relu) {
    struct onnx o;
    char inputs[32];
    float w[32768], b[256];
    int cin = k.c / k.group, oh, ow;
    assert_true(k.o * cin * k.kh * k.kw <= 32768);
    fill_values(w, k.o * cin * k.kh * k.kw, 3);
    fill_values(b, k.o, 4);
    snprintf(inputs, sizeof inputs, "%s,w%s", reshaped(&o, 13, k.c, k.h, k.w), bias ? ",b" : "");
    onnx_floats(&o, "w", w, 4, k.o, cin, k.kh, k.kw);
    onnx_floats(&o, "b", b, 1, k.o);
    window_attrs(&o, &k);
    attr_int(&o, "group", k.group);
    onnx_node(&o, "Conv", inputs, relu ? "pre" : "y");
    if (relu) onnx_node(&o, "Relu", "pre", "y");
    resolve(&k, &oh, &ow, false);
    struct net t = open_net(&o);
    assert_int_equal(t.out, k.o * oh * ow);
    for (int n = 0, at = 0; n < BATCH; n++)
        for (int c = 0; c < k.o; c++)
            for (int y = 0; y < oh; y++)
                for (int x = 0; x < ow; x++, at++) {
                    double want = conv_at(&k, t.x + n * t.in, w, c, y, x) + (bias ? (double)b[c] : 0);
                    check_value(&t, at, relu && want < 0 ? 0 : want);
                }
    if (!relu) check_linear_gradient(&t); /* a kink of a sum may lie anywhere */
    close_net(&t);
}

static void conv(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++) {
        print_message("Conv case %zu\n", i);
        check_conv(conv_cases[i], i % 2 == 0, false);
        check_conv(conv_cases[i], i % 2 == 1, true);
    }
}

/* ---------------------------------------------------------------- pooling */
static const struct pool_case {
    struct window_case k;
    int ceil_mode, count_include_pad;
} pool_cases[] = {
    {{3, 8, 8, 0, 2, 2, 2, 2, 1, 1, {0, 0, 0, 0}, 1, ""}, 0, 0},
    {{3, 9, 7, 0, 3, 3, 2, 2, 1, 1, {1, 1, 1, 1}, 1, ""}, 0, 0},
    {{3, 9, 7, 0, 3, 3, 2, 2, 1, 1, {1, 1, 1, 1}, 1, ""}, 0, 1},
    {{3, 8, 6, 0, 3, 3, 2, 2, 1, 1, {0, 0, 0, 0}, 1, ""}, 1, 0}, /* SqueezeNet */
    {{3, 8, 6, 0, 3, 3, 2, 2, 1, 1, {0, 0, 0, 0}, 1, ""}, 1, 1},
    {{3, 8, 7, 0, 3, 2, 3, 2, 1, 1, {1, 0, 0, 1}, 1, ""}, 1, 1},
    {{3, 5, 5, 0, 2, 2, 4, 4, 1, 1, {1, 1, 1, 1}, 1, ""}, 1, 0}, /* a last window would start in the padding */
    {{3, 9, 8, 0, 3, 3, 2, 2, 1, 1, {0, 0, 0, 0}, 1, "SAME_UPPER"}, 0, 0},
    {{3, 9, 8, 0, 2, 4, 2, 3, 1, 1, {0, 0, 0, 0}, 1, "SAME_LOWER"}, 0, 0},
    {{3, 9, 9, 0, 3, 3, 1, 1, 1, 1, {0, 0, 0, 0}, 1, "VALID"}, 0, 0},
    {{3, 1, 1, 0, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, 1, ""}, 0, 0},
};

static double pool_at(const struct pool_case *p, const float *x, bool maximum, int oy, int ox) {
    const struct window_case *k = &p->k;
    double sum = 0, top = -INFINITY;
    int n = 0;
    for (int ky = 0; ky < k->kh; ky++)
        for (int kx = 0; kx < k->kw; kx++) {
            int iy = oy * k->sh + ky * k->dh - k->pads[0], ix = ox * k->sw + kx * k->dw - k->pads[1];
            bool inside = iy >= 0 && ix >= 0 && iy < k->h && ix < k->w;
            bool padding = iy >= -k->pads[0] && ix >= -k->pads[1] && iy < k->h + k->pads[2] && ix < k->w + k->pads[3];
            n += inside || (p->count_include_pad && padding);
            if (!inside) continue;
            sum += (double)x[iy * k->w + ix];
            top = fmax(top, (double)x[iy * k->w + ix]);
        }
    return maximum ? top : sum / n;
}

static void check_pool(struct pool_case p, bool maximum) {
    struct onnx o;
    int oh, ow;
    onnx_begin(&o, 13, 3, p.k.h, p.k.w);
    window_attrs(&o, &p.k);
    attr_int(&o, "ceil_mode", p.ceil_mode);
    if (!maximum) attr_int(&o, "count_include_pad", p.count_include_pad);
    onnx_node(&o, maximum ? "MaxPool" : "AveragePool", "x", "y");
    resolve(&p.k, &oh, &ow, p.ceil_mode);
    struct net t = open_net(&o);
    assert_int_equal(t.out, 3 * oh * ow);
    for (int n = 0, at = 0; n < BATCH * 3; n++)
        for (int y = 0; y < oh; y++)
            for (int x = 0; x < ow; x++, at++) check_value(&t, at, pool_at(&p, t.x + n * p.k.h * p.k.w, maximum, y, x));
    check_gradient(&t);
    close_net(&t);
}

static void pooling(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pool_cases / sizeof *pool_cases; i++) {
        print_message("pool case %zu\n", i);
        check_pool(pool_cases[i], true);
        check_pool(pool_cases[i], false);
    }
}

static void max_pool_gives_ties_to_the_first(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 2, 2);
    attr_ints(&o, "kernel_shape", 2, 2, 2);
    onnx_node(&o, "MaxPool", "x", "y");
    struct net t = open_net(&o);
    float seed[6] = {1, 2, 3, 4, 5, 6};
    for (int i = 0; i < 24; i++) t.x[i] = i % 4 == 0 ? 0.5f : 1.0f; /* the maximum stands at places 1, 2 and 3 */
    OK(why_session_forward(t.s, t.x, BATCH));
    OK(why_session_backward(t.s, seed, WHY_RULE_PLAIN));
    const float *g = why_session_gradient(t.s, 0).data;
    for (int i = 0; i < 24; i++) assert_true(g[i] == (i % 4 == 1 ? seed[i / 4] : 0));
    close_net(&t);
}

/* The gradient goes to the first of the largest, whatever the window: by hand, on values of few levels with some NaN. */
static void max_pool_gradients_go_to_the_first_of_the_largest(void **state) {
    (void)state;
    static const struct {
        int h, w, kh, kw, sh, sw, dh, dw, top, left, bottom, right;
    } cases[] = {{9, 11, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, {8, 8, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0},  {7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                 {9, 9, 2, 3, 1, 2, 3, 2, 1, 2, 0, 1},  {5, 6, 4, 4, 1, 1, 1, 1, 3, 3, 3, 3},  {3, 700, 3, 3, 2, 2, 1, 1, 0, 1, 1, 0},
                 {2, 600, 2, 530, 1, 7, 1, 1, 0, 0, 0, 0}, {1, 5, 1, 2, 1, 3, 1, 1, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int h = cases[i].h, w = cases[i].w;
        struct onnx o;
        onnx_begin(&o, 13, 3, h, w);
        attr_ints(&o, "kernel_shape", 2, cases[i].kh, cases[i].kw);
        attr_ints(&o, "strides", 2, cases[i].sh, cases[i].sw);
        attr_ints(&o, "dilations", 2, cases[i].dh, cases[i].dw);
        attr_ints(&o, "pads", 4, cases[i].top, cases[i].left, cases[i].bottom, cases[i].right);
        onnx_node(&o, "MaxPool", "x", "y");
        struct net t = open_net(&o);
        const int oh = (h + cases[i].top + cases[i].bottom - (cases[i].kh - 1) * cases[i].dh - 1) / cases[i].sh + 1, ow = t.out / (3 * oh);
        float *seed = malloc((size_t)(BATCH * t.out) * sizeof *seed), *want = calloc((size_t)(BATCH * 3 * h * w), sizeof *want);
        for (int k = 0; k < BATCH * 3 * h * w; k++) t.x[k] = k * 7919 % 53 == 0 ? NAN : (float)(k * 31 % 17 % 4);
        for (int k = 0; k < BATCH * t.out; k++) seed[k] = (float)(k % 13 - 6);
        for (int k = 0; k < BATCH * t.out; k++) {
            const int plane = k / (oh * ow) * h * w, oy = k / ow % oh, ox = k % ow;
            int best = -1;
            for (int a = 0; a < cases[i].kh * cases[i].kw; a++) {
                const int y = oy * cases[i].sh - cases[i].top + a / cases[i].kw * cases[i].dh;
                const int x = ox * cases[i].sw - cases[i].left + a % cases[i].kw * cases[i].dw, at = plane + y * w + x;
                if (y < 0 || x < 0 || y >= h || x >= w) continue;
                if (best < 0 || t.x[at] > t.x[best] || (isnan(t.x[at]) && !isnan(t.x[best]))) best = at;
            }
            if (best >= 0) want[best] += seed[k];
        }
        OK(why_session_forward(t.s, t.x, BATCH));
        OK(why_session_backward(t.s, seed, WHY_RULE_PLAIN));
        assert_memory_equal(why_session_gradient(t.s, 0).data, want, (size_t)(BATCH * 3 * h * w) * sizeof *want);
        free(seed);
        free(want);
        close_net(&t);
    }
}

static void nan_goes_through(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 4, 4);
    attr_ints(&o, "kernel_shape", 2, 2, 2);
    attr_ints(&o, "strides", 2, 2, 2);
    onnx_node(&o, "MaxPool", "x", "m");
    onnx_node(&o, "Relu", "m", "y");
    struct net t = open_net(&o);
    t.x[5] = NAN;
    OK(why_session_forward(t.s, t.x, BATCH));
    assert_true(isnan(why_session_logits(t.s)[0]));
    assert_false(isnan(why_session_logits(t.s)[1]));
    close_net(&t);
}

/* ---------------------------------------------------------------- element-wise */
static double relu(double x) { return fmax(0, x); }
static double clip(double x) { return fmin(0.75, fmax(-0.5, x)); }
static double leaky(double x) { return x > 0 ? x : 0.2 * x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void check_function(struct onnx *o, double (*f)(double)) {
    struct net t = open_net(o);
    assert_int_equal(t.in, t.out);
    for (int64_t i = 0; i < BATCH * t.out; i++) check_value(&t, i, f((double)t.x[i]));
    check_gradient_at(&t, 1e-3f);
    close_net(&t);
}

static void activations(void **state) {
    (void)state;
    const float lo = -0.5f, hi = 0.75f;
    static const struct {
        const char *op;
        double (*f)(double);
    } plain[] = {{"Relu", relu}, {"Tanh", tanh}, {"Sigmoid", sigmoid}, {"LeakyRelu", leaky}};
    struct onnx o;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const float one = 1;
        onnx_begin(&o, 13, 3, 5, 7);
        onnx_floats(&o, "one", &one, 0);
        if (plain[i].f == leaky) attr_float(&o, "alpha", 0.2f);
        onnx_node(&o, plain[i].op, "x", "f");
        onnx_node(&o, "Mul", "f,one", "y"); /* a final Sigmoid would be cut off */
        check_function(&o, plain[i].f);
    }
    onnx_begin(&o, 7, 3, 5, 7); /* bounds as attributes before opset 11 */
    attr_float(&o, "min", lo);
    attr_float(&o, "max", hi);
    onnx_node(&o, "Clip", "x", "y");
    check_function(&o, clip);
    onnx_begin(&o, 13, 3, 5, 7);
    onnx_floats(&o, "lo", &lo, 0);
    onnx_floats(&o, "hi", &hi, 0);
    onnx_node(&o, "Clip", "x,lo,hi", "y");
    check_function(&o, clip);
    onnx_begin(&o, 13, 3, 5, 7); /* no lower bound */
    onnx_floats(&o, "hi", &hi, 0);
    onnx_node(&o, "Clip", "x,,hi", "y");
    struct net t = open_net(&o);
    for (int64_t i = 0; i < BATCH * t.out; i++) check_value(&t, i, fmin(0.75, (double)t.x[i]));
    close_net(&t);
}

static void large_arguments_stay_finite(void **state) {
    (void)state;
    struct onnx o;
    const float one = 1;
    onnx_begin(&o, 13, 1, 1, 2);
    onnx_floats(&o, "one", &one, 0);
    onnx_node(&o, "Sigmoid", "x", "f");
    onnx_node(&o, "Mul", "f,one", "y");
    struct net t = open_net(&o);
    const float x[4] = {-500, 500, -90, 20};
    OK(why_session_forward(t.s, x, BATCH));
    const float *y = why_session_logits(t.s);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] > 0 && y[2] < 1e-38f && y[3] > 0.999f);
    close_net(&t);
}

/* ---------------------------------------------------------------- broadcasting */
static double apply(char op, double a, double b) { return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b; }

/* x (3 x 4 x 5) with a constant of the given shape, on either side. */
static void check_constant(const char *name, char op, int rank, const int *dims, bool left) {
    struct onnx o;
    float c[60];
    int stride[3] = {0}, n = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int axis = i + 3 - rank;
        if (axis >= 0 && dims[i] > 1) stride[axis] = n;
        n *= dims[i];
    }
    for (int i = 0; i < n; i++) c[i] = 1.5f + 0.25f * (float)i;
    onnx_begin(&o, 13, 3, 4, 5);
    int64_t wide[8];
    for (int i = 0; i < rank; i++) wide[i] = dims[i];
    put_tensor(&o, "c", 1, c, sizeof *c, rank, wide);
    onnx_node(&o, "Sigmoid", "x", "p"); /* positive, so that division by it is smooth */
    onnx_node(&o, name, left ? "c,p" : "p,c", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 60; i++) {
        int k = i % 60;
        double p = sigmoid((double)t.x[i]), v = (double)c[k / 20 * stride[0] + k / 5 % 4 * stride[1] + k % 5 * stride[2]];
        check_value(&t, i, left ? apply(op, v, p) : apply(op, p, v));
    }
    check_gradient(&t);
    close_net(&t);
}

static void constants_broadcast(void **state) {
    (void)state;
    static const struct {
        int rank, dims[4];
    } shapes[] = {{0, {0}}, {1, {1}}, {1, {5}}, {2, {4, 1}}, {2, {4, 5}}, {3, {3, 1, 1}}, {4, {1, 3, 1, 5}}, {4, {1, 3, 4, 5}}, {4, {1, 1, 4, 1}}};
    static const char *const names[] = {"Add", "Sub", "Mul", "Div"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int k = 0; k < 4; k++)
            for (int left = 0; left < 2; left++) check_constant(names[k], "+-*/"[k], shapes[i].rank, shapes[i].dims, left);
}

static void two_feature_maps(void **state) {
    (void)state;
    static const char *const names[] = {"Add", "Sub", "Mul", "Div"};
    for (int k = 0; k < 4; k++)
        for (int squeezed = 0; squeezed < 2; squeezed++) { /* N x 3 x 1 x 1 against N x 3 x 4 x 5, as squeeze-and-excite has it */
            struct onnx o;
            onnx_begin(&o, 13, 3, 4, 5);
            onnx_node(&o, "Sigmoid", "x", "p");
            if (squeezed) onnx_node(&o, "GlobalAveragePool", "p", "q");
            onnx_node(&o, names[k], squeezed ? "x,q" : "x,p", "y");
            struct net t = open_net(&o);
            for (int i = 0; i < BATCH * 60; i++) {
                double p = sigmoid((double)t.x[i]), mean = 0;
                for (int j = 0; j < 20; j++) mean += sigmoid((double)t.x[i / 20 * 20 + j]) / 20;
                check_value(&t, i, apply("+-*/"[k], (double)t.x[i], squeezed ? mean : p));
            }
            check_gradient(&t);
            close_net(&t);
        }
}

static void same_tensor_twice(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 3, 3);
    onnx_node(&o, "Mul", "x,x", "s");
    attr_int(&o, "axis", 1);
    onnx_node(&o, "Concat", "s,x,s", "c");
    onnx_node(&o, "Add", "c,c", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 81; i++) {
        int image = i / 81, part = i % 81 / 27;
        double x = (double)t.x[image * 27 + i % 27];
        check_value(&t, i, 2 * (part == 1 ? x : x * x));
    }
    check_gradient(&t);
    close_net(&t);
}

/* ---------------------------------------------------------------- Gemm, MatMul */
static void check_gemm(int outputs, int inputs_h, bool transposed, float alpha, float beta, int bias) {
    struct onnx o;
    int k = 3 * inputs_h;
    float *w = malloc((size_t)(outputs * k) * sizeof *w), *c = malloc((size_t)outputs * sizeof *c);
    fill_values(w, outputs * k, 5);
    fill_values(c, outputs, 6);
    onnx_begin(&o, 13, 3, inputs_h, 1);
    if (transposed) onnx_floats(&o, "w", w, 2, outputs, k);
    else onnx_floats(&o, "w", w, 2, k, outputs);
    if (bias == 1) onnx_floats(&o, "c", c, 1, outputs);
    if (bias == 2) onnx_floats(&o, "c", c, 2, 1, 1);
    onnx_node(&o, "Flatten", "x", "flat");
    attr_int(&o, "transB", transposed);
    attr_float(&o, "alpha", alpha);
    attr_float(&o, "beta", beta);
    onnx_node(&o, "Gemm", bias ? "flat,w,c" : "flat,w", "y");
    struct net t = open_net(&o);
    assert_int_equal(t.out, outputs);
    for (int i = 0; i < BATCH * outputs; i++) {
        double sum = 0;
        for (int j = 0; j < k; j++) sum += (double)t.x[i / outputs * k + j] * (double)(transposed ? w[i % outputs * k + j] : w[j * outputs + i % outputs]);
        check_value(&t, i, (double)alpha * sum + (bias ? (double)beta * (double)c[bias == 1 ? i % outputs : 0] : 0));
    }
    check_linear_gradient(&t);
    close_net(&t);
    free(w);
    free(c);
}

static void gemm(void **state) {
    (void)state;
    check_gemm(10, 7, true, 1, 1, 1);
    check_gemm(10, 7, false, 1, 1, 1);
    check_gemm(1, 1, true, 0.5f, 2, 1);
    check_gemm(33, 16, true, 2, 0.5f, 2);
    check_gemm(65, 400, false, 1, 1, 0);
}

static void matmul_takes_a_bias(void **state) {
    (void)state;
    float w[12 * 5], c[5];
    fill_values(w, 60, 5);
    fill_values(c, 5, 6);
    for (int high = 0; high < 2; high++) { /* N x 12 or N x 2 x 6 x 12 */
        struct onnx o;
        onnx_begin(&o, 13, 3, high ? 48 : 4, 1);
        onnx_floats(&o, "w", w, 2, 12, 5);
        onnx_floats(&o, "c", c, 1, 5);
        if (high) onnx_ints(&o, "s", 4, 0, 2, 6, 12);
        else onnx_ints(&o, "s", 2, 0, 12);
        onnx_node(&o, "Reshape", "x,s", "r");
        onnx_node(&o, "MatMul", "r,w", "m");
        onnx_node(&o, "Add", "c,m", "y");
        struct net t = open_net(&o);
        for (int64_t i = 0; i < BATCH * t.out; i++) {
            double sum = (double)c[i % 5];
            for (int j = 0; j < 12; j++) sum += (double)t.x[i / 5 * 12 + j] * (double)w[j * 5 + i % 5];
            check_value(&t, i, sum);
        }
        int n;
        const why_layer *layers = why_model_layers(t.m, &n);
        assert_string_equal(layers[2].op, "Add");
        assert_string_equal(layers[2].folded_into, "MatMul_1");
        check_gradient(&t);
        close_net(&t);
    }
}

/* ---------------------------------------------------------------- normalisation */
static void batchnorm(void **state) {
    (void)state;
    const float gamma[4] = {1.5f, -0.5f, 2, 1}, beta[4] = {0.25f, 1, -1, 0}, mean[4] = {0.5f, -0.25f, 0, 1}, var[4] = {0.5f, 2, 1e-3f, 1};
    float w[12];
    fill_values(w, 12, 3);
    for (int after_conv = 0; after_conv < 3; after_conv++) { /* alone; folded into Conv; Conv read by others too */
        struct onnx o;
        onnx_begin(&o, 13, 3, 3, 5);
        onnx_floats(&o, "g", gamma, 1, after_conv ? 4 : 3);
        onnx_floats(&o, "b", beta, 1, after_conv ? 4 : 3);
        onnx_floats(&o, "m", mean, 1, after_conv ? 4 : 3);
        onnx_floats(&o, "v", var, 1, after_conv ? 4 : 3);
        onnx_floats(&o, "w", w, 4, 4, 3, 1, 1);
        if (after_conv) onnx_node(&o, "Conv", "x,w", "c");
        attr_float(&o, "epsilon", 1e-3f);
        onnx_node(&o, "BatchNormalization", after_conv ? "c,g,b,m,v" : "x,g,b,m,v", after_conv == 2 ? "n" : "y");
        if (after_conv == 2) onnx_node(&o, "Add", "n,c", "y");
        struct net t = open_net(&o);
        int channels = after_conv ? 4 : 3;
        for (int i = 0; i < BATCH * channels * 15; i++) {
            int c = i / 15 % channels, n = i / 15 / channels;
            double x = after_conv ? 0 : (double)t.x[i], scale = (double)gamma[c] / sqrt((double)var[c] + (double)1e-3f);
            for (int k = 0; after_conv && k < 3; k++) x += (double)w[c * 3 + k] * (double)t.x[(n * 3 + k) * 15 + i % 15];
            check_value(&t, i, (x - (double)mean[c]) * scale + (double)beta[c] + (after_conv == 2 ? x : 0));
        }
        check_gradient(&t);
        close_net(&t);
    }
}

static void check_softmax(const char *op, int opset, int axis, int outer, int length, int inner) {
    struct onnx o;
    float c[60];
    fill_values(c, 60, 8);
    onnx_begin(&o, opset, 3, 4, 5);
    onnx_floats(&o, "c", c, 3, 3, 4, 5);
    attr_int(&o, "axis", axis);
    onnx_node(&o, op, "x", "s");
    onnx_node(&o, "Mul", "s,c", "y"); /* a final Softmax would be cut off */
    struct net t = open_net(&o);
    assert_int_equal(outer * length * inner, 60);
    for (int i = 0; i < BATCH * 60; i++) {
        int first = i / (length * inner) * length * inner + i % inner;
        double sum = 0;
        for (int k = 0; k < length; k++) sum += exp((double)t.x[first + k * inner]);
        double y = exp((double)t.x[i]) / sum;
        check_value(&t, i, (double)c[i % 60] * (strcmp(op, "Softmax") == 0 ? y : log(y)));
    }
    check_gradient(&t);
    close_net(&t);
}

static void softmax(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax"};
    for (int i = 0; i < 2; i++) {
        check_softmax(ops[i], 13, 1, 1, 3, 20);
        check_softmax(ops[i], 13, -1, 12, 5, 1);
        check_softmax(ops[i], 11, 1, 1, 60, 1); /* before opset 13: everything behind the axis */
        check_softmax(ops[i], 11, 2, 3, 20, 1);
    }
}

static void local_response_normalisation(void **state) {
    (void)state;
    for (int size = 1; size < 6; size++) {
        struct onnx o;
        const char *x4 = reshaped(&o, 13, 6, 2, 3);
        attr_int(&o, "size", size);
        attr_float(&o, "alpha", 0.3f);
        attr_float(&o, "beta", 0.75f);
        attr_float(&o, "bias", 2);
        onnx_node(&o, "LRN", x4, "y");
        struct net t = open_net(&o);
        for (int i = 0; i < BATCH * 36; i++) {
            int c = i / 6 % 6;
            double sum = 0;
            for (int k = c - (size - 1) / 2; k <= c + size / 2; k++)
                if (k >= 0 && k < 6) sum += pow((double)t.x[i + (k - c) * 6], 2);
            check_value(&t, i, (double)t.x[i] / pow(2 + (double)0.3f / size * sum, 0.75));
        }
        check_gradient(&t);
        close_net(&t);
    }
}

/* ---------------------------------------------------------------- shapes */
static void transpose_and_views(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 4, 5);
    attr_ints(&o, "perm", 4, 0, 2, 3, 1);
    onnx_node(&o, "Transpose", "x", "t");
    onnx_ints(&o, "axes", 1, 2);
    onnx_node(&o, "Unsqueeze", "t,axes", "u");
    onnx_node(&o, "Squeeze", "u,axes", "q");
    onnx_ints(&o, "shape", 3, 0, -1, 5);
    onnx_node(&o, "Reshape", "q,shape", "r");
    onnx_node(&o, "Add", "r,r", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 60; i++) {
        int k = i % 60, c = k % 3, w = k / 3 % 5, h = k / 15;
        check_value(&t, i, 2 * (double)t.x[i / 60 * 60 + c * 20 + h * 5 + w]);
    }
    check_gradient(&t);
    close_net(&t);
}

/* The input is read by a view and by another operator: the view must not share its memory. */
static void a_view_beside_another_reader(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 2, 2);
    onnx_ints(&o, "shape", 4, 0, 3, 4, 1);
    onnx_node(&o, "Reshape", "x,shape", "r");
    onnx_node(&o, "Sigmoid", "x", "s");
    onnx_node(&o, "Reshape", "s,shape", "t");
    onnx_node(&o, "Mul", "r,t", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 12; i++) check_value(&t, i, (double)t.x[i] * sigmoid((double)t.x[i]));
    check_gradient(&t);
    close_net(&t);
}

static void check_pad(const char *mode, int opset) {
    struct onnx o;
    const float value = 0.375f;
    const int before[2] = {1, 2}, after[2] = {3, 0}, h = 4, w = 5, oh = 8, ow = 7;
    onnx_begin(&o, opset, 3, h, w);
    attr_text(&o, "mode", mode);
    if (opset < 11) {
        attr_float(&o, "value", value);
        attr_ints(&o, "pads", 8, 0, 0, before[0], before[1], 0, 0, after[0], after[1]);
    } else {
        onnx_ints(&o, "pads", 8, 0, 0, before[0], before[1], 0, 0, after[0], after[1]);
        onnx_floats(&o, "value", &value, 0);
    }
    onnx_node(&o, "Pad", opset < 11 ? "x" : "x,pads,value", "y");
    struct net t = open_net(&o);
    assert_int_equal(t.out, 3 * oh * ow);
    for (int i = 0; i < BATCH * 3 * oh * ow; i++) {
        int y = i / ow % oh - before[0], x = i % ow - before[1], plane = i / (oh * ow);
        bool inside = y >= 0 && y < h && x >= 0 && x < w;
        if (mode[0] == 'e') y = y < 0 ? 0 : y >= h ? h - 1 : y, x = x < 0 ? 0 : x >= w ? w - 1 : x;
        if (mode[0] == 'r') y = y < 0 ? -y : y >= h ? 2 * h - 2 - y : y, x = x < 0 ? -x : x >= w ? 2 * w - 2 - x : x;
        check_value(&t, i, inside || mode[0] != 'c' ? (double)t.x[plane * h * w + y * w + x] : (double)value);
    }
    check_gradient(&t);
    close_net(&t);
}

static void pad(void **state) {
    (void)state;
    check_pad("constant", 9);
    check_pad("constant", 13);
    check_pad("reflect", 13);
    check_pad("edge", 13);
}

/* Which axes of 3 x 4 x 5 are summed over; `mean` divides. */
static void check_reduce(const char *op, int opset, int n_axes, const int *axes, int keep, int length) {
    struct onnx o;
    onnx_begin(&o, opset, 3, 4, 5);
    bool as_input = opset >= 18 || (opset >= 13 && strcmp(op, "ReduceSum") == 0);
    if (n_axes && !as_input) attr_list(&o, "axes", n_axes, axes);
    if (n_axes && as_input && n_axes == 1) onnx_ints(&o, "axes", 1, axes[0]);
    if (n_axes && as_input && n_axes == 2) onnx_ints(&o, "axes", 2, axes[0], axes[1]);
    if (n_axes) attr_int(&o, "keepdims", keep);
    onnx_node(&o, op, n_axes && as_input ? "x,axes" : "x", "y");
    struct net t = open_net(&o);
    assert_int_equal(t.out, 60 / length);
    for (int i = 0; i < BATCH * t.out; i++) {
        double sum = 0;
        for (int k = 0; k < 60; k++) { /* the output element of input element k */
            int c = k / 20, y = k / 5 % 4, x = k % 5, to = length == 20 ? c : length == 5 ? k / 5 : length == 3 ? y * 5 + x : length == 12 ? x : c * 5 + x;
            if (to == i % t.out) sum += (double)t.x[i / t.out * 60 + k];
        }
        check_value(&t, i, strcmp(op, "ReduceSum") == 0 ? sum : sum / length);
    }
    check_gradient(&t);
    close_net(&t);
}

static void reductions(void **state) {
    (void)state;
    check_reduce("GlobalAveragePool", 13, 0, NULL, 1, 20);
    for (int keep = 0; keep < 2; keep++) {
        check_reduce("ReduceMean", 13, 2, (const int[]){2, 3}, keep, 20);
        check_reduce("ReduceMean", 18, 2, (const int[]){-1, -2}, keep, 20);
        check_reduce("ReduceMean", 13, 1, (const int[]){3}, keep, 5);
        check_reduce("ReduceSum", 13, 1, (const int[]){1}, keep, 3);
        check_reduce("ReduceSum", 11, 2, (const int[]){1, 2}, keep, 12);
        check_reduce("ReduceSum", 13, 1, (const int[]){2}, keep, 4);
    }
}

static void global_max_pool(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 4, 5);
    onnx_node(&o, "GlobalMaxPool", "x", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 3; i++) {
        double top = -INFINITY;
        for (int k = 0; k < 20; k++) top = fmax(top, (double)t.x[i * 20 + k]);
        check_value(&t, i, top);
    }
    check_gradient(&t);
    close_net(&t);
}

static void concat(void **state) {
    (void)state;
    for (int axis = 1; axis < 4; axis++) {
        struct onnx o;
        onnx_begin(&o, 13, 3, 4, 5);
        onnx_node(&o, "Sigmoid", "x", "s");
        attr_int(&o, "axis", axis == 3 ? -1 : axis);
        onnx_node(&o, "Concat", "x,s", "y");
        struct net t = open_net(&o);
        int run = axis == 1 ? 60 : axis == 2 ? 20 : 5;
        for (int i = 0; i < BATCH * 120; i++) {
            double x = (double)t.x[i / (2 * run) * run + i % run];
            check_value(&t, i, i / run % 2 ? sigmoid(x) : x);
        }
        check_gradient(&t);
        close_net(&t);
    }
}

/* ---------------------------------------------------------------- refusals */
static void begin_conv(struct onnx *o) {
    static const float w[27] = {0};
    onnx_begin(o, 13, 3, 8, 8);
    onnx_floats(o, "w", w, 4, 1, 3, 3, 3);
}

static void bad_operators_are_refused(void **state) {
    (void)state;
    struct onnx o;
    begin_conv(&o);
    attr_int(&o, "group", 2);
    onnx_node(&o, "Conv", "x,w", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "Conv 'Conv_0': group 2 does not divide 1 output channels");
    begin_conv(&o);
    attr_ints(&o, "strides", 2, 0, 1);
    onnx_node(&o, "Conv", "x,w", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "strides is 0x1");
    begin_conv(&o);
    attr_ints(&o, "pads", 4, -1, 0, 0, 0);
    onnx_node(&o, "Conv", "x,w", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "pads has -1");
    begin_conv(&o);
    attr_ints(&o, "dilations", 2, 5, 5);
    onnx_node(&o, "Conv", "x,w", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "a window of 11x11 does not fit an input of 8x8");
    begin_conv(&o);
    onnx_node(&o, "Conv", "x,x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "depends on the picture");
    onnx_begin(&o, 13, 3, 8, 8);
    attr_int(&o, "axis", 0);
    onnx_node(&o, "Concat", "x,x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "axis 0 joins the images");
    onnx_begin(&o, 13, 3, 8, 8);
    onnx_ints(&o, "s", 2, -1, 8);
    onnx_node(&o, "Reshape", "x,s", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "mixes the images of a batch");
    onnx_begin(&o, 13, 3, 8, 8);
    onnx_ints(&o, "s", 2, 0, 100);
    onnx_node(&o, "Reshape", "x,s", "y");
    onnx_refused(&o, "y", WHY_EFORMAT, "does not fit into shape");
    onnx_begin(&o, 13, 3, 8, 8);
    attr_ints(&o, "perm", 4, 1, 0, 2, 3);
    onnx_node(&o, "Transpose", "x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "perm moves the batch");
    onnx_begin(&o, 13, 3, 8, 8);
    onnx_node(&o, "Relu", "x", "y");
    onnx_refused(&o, "y", WHY_EUNSUPPORTED, "output 'y' is 3x8x8 per picture, want one row of class scores");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv),
        cmocka_unit_test(pooling),
        cmocka_unit_test(max_pool_gives_ties_to_the_first),
        cmocka_unit_test(max_pool_gradients_go_to_the_first_of_the_largest),
        cmocka_unit_test(nan_goes_through),
        cmocka_unit_test(activations),
        cmocka_unit_test(large_arguments_stay_finite),
        cmocka_unit_test(constants_broadcast),
        cmocka_unit_test(two_feature_maps),
        cmocka_unit_test(same_tensor_twice),
        cmocka_unit_test(gemm),
        cmocka_unit_test(matmul_takes_a_bias),
        cmocka_unit_test(batchnorm),
        cmocka_unit_test(softmax),
        cmocka_unit_test(local_response_normalisation),
        cmocka_unit_test(transpose_and_views),
        cmocka_unit_test(a_view_beside_another_reader),
        cmocka_unit_test(pad),
        cmocka_unit_test(reductions),
        cmocka_unit_test(global_max_pool),
        cmocka_unit_test(concat),
        cmocka_unit_test(bad_operators_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
