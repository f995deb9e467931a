/* DeepLIFT's Rescale rule: every operator's rule alone against a closed form, and what must hold for any network: completeness
 * between pairs of images, and the derivative where a pair is one image twice. */
#include "onnx_writer.h"

#include "nn/ops.h"
#include "nn/secant.h"

enum { BATCH = 4 }; /* the image explained and three references */

/* A network x -> "y" -> Flatten, with a session of the rule and one of plain gradients. */
struct net {
    why_model *m;
    why_session *s, *plain;
    int64_t in, out; /* elements per image */
    float *x, *seed;
};

static why_session *open_session(const why_model *m, why_rule rule, int batch, why_pool *pool) {
    const char *const grad[] = {"input"};
    why_session *s;
    const why_session_options so = {.max_batch = batch, .grad_to = grad, .n_grad_to = 1, .pool = pool, .rule = rule};
    OK(why_session_create(m, &so, &s));
    return s;
}

static struct net open_net(struct onnx *o) {
    struct net t;
    onnx_node(o, "Flatten", "y", "scores");
    t.m = onnx_load(o, "scores");
    const why_model_info *i = why_model_get_info(t.m);
    t.s = open_session(t.m, WHY_RULE_RESCALE, BATCH, NULL);
    t.plain = open_session(t.m, WHY_RULE_PLAIN, BATCH, NULL);
    t.in = (int64_t)i->channels * i->height * i->width;
    t.out = i->outputs;
    t.x = malloc((size_t)(BATCH * t.in) * sizeof *t.x);
    t.seed = malloc((size_t)(BATCH * t.out) * sizeof *t.seed);
    fill_values(t.x, BATCH * t.in, 1);
    fill_values(t.seed, BATCH * t.out, 7);
    return t;
}

static void close_net(struct net *t) {
    why_session_destroy(&t->s);
    why_session_destroy(&t->plain);
    why_model_destroy(&t->m);
    free(t->x);
    free(t->seed);
}

static const float *multipliers(const struct net *t) {
    OK(why_session_forward(t->s, t->x, BATCH));
    OK(why_session_backward(t->s, t->seed, WHY_RULE_RESCALE));
    return why_session_gradient(t->s, 0).data;
}

/* |credits - change| over the sum of all |credits| and the size of the outputs: what rounding scales with. */
static double incompleteness(const struct net *t, const float *m, int reference) {
    const float *y = why_session_logits(t->s);
    double credit = 0, change = 0, size = 1e-30;
    for (int64_t k = 0; k < t->in; k++) {
        const double c = (double)m[reference * t->in + k] * ((double)t->x[k] - (double)t->x[reference * t->in + k]);
        credit += c;
        size += fabs(c);
    }
    for (int64_t k = 0; k < t->out; k++) {
        const double g = (double)t->seed[reference * t->out + k], a = (double)y[k], b = (double)y[reference * t->out + k];
        change += g * (a - b);
        size += fabs(g) * (fabs(a) + fabs(b));
    }
    return fabs(credit - change) / size;
}

/* Place 0 holds the derivative at image 0, which a plain session knows, up to slopes of 1e-7 that it takes for flat. */
static double difference_from_gradient(const struct net *t, const float *m) {
    OK(why_session_forward(t->plain, t->x, 1));
    OK(why_session_backward(t->plain, t->seed, WHY_RULE_PLAIN));
    const float *g = why_session_gradient(t->plain, 0).data;
    double worst = 0, size = 0.1;
    for (int64_t k = 0; k < t->in; k++) {
        worst = fmax(worst, fabs((double)m[k] - (double)g[k]));
        size = fmax(size, fabs((double)g[k]));
    }
    return worst / size;
}

static void check_properties(const struct net *t, const char *what) {
    const float *m = multipliers(t);
    double worst = 0, limit = difference_from_gradient(t, m);
    for (int i = 1; i < BATCH; i++) worst = fmax(worst, incompleteness(t, m, i));
    if (!(worst <= 2e-6)) fail_msg("%s: credits miss the change by %g of their size", what, worst);
    if (!(limit <= 1e-5)) fail_msg("%s: place 0 differs from the derivative by %g", what, limit);
}

/* ---------------------------------------------------------------- the table */
static void nothing(const why_call *c, int image, int piece, int thread) { (void)c, (void)image, (void)piece, (void)thread; }

static void no_operator_falls_back_in_silence(void **state) {
    (void)state;
    for (const why_op *const *op = why_ops; *op; op++) {
        const bool linear = (*op)->flags & WHY_LINEAR, own = (*op)->backward[WHY_RULE_RESCALE];
        if (linear == own) fail_msg("%s: want either WHY_LINEAR or a Rescale rule", (*op)->name);
        assert_ptr_equal(why_op_backward(*op, WHY_RULE_RESCALE), (*op)->backward[linear ? WHY_RULE_PLAIN : WHY_RULE_RESCALE]);
    }
    const why_op bent = {.name = "Bent", .backward = {nothing}};
    const why_op straight = {.name = "Straight", .flags = WHY_LINEAR, .backward = {nothing}};
    assert_null(why_op_backward(&bent, WHY_RULE_RESCALE));
    assert_ptr_equal(why_op_backward(&bent, WHY_RULE_GUIDED), nothing);
    assert_ptr_equal(why_op_backward(&straight, WHY_RULE_RESCALE), nothing);
}

/* ---------------------------------------------------------------- functions of one number */
static double relu(double x) { return fmax(0, x); }
static double clip(double x) { return fmin(0.75, fmax(-0.5, x)); }
static double leaky(double x) { return x > 0 ? x : (double)0.2f * x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static const struct function {
    const char *op;
    double (*f)(double);
} functions[] = {{"Relu", relu}, {"Clip", clip}, {"LeakyRelu", leaky}, {"Sigmoid", sigmoid}, {"Tanh", tanh}};

static struct net open_function(const struct function *f) {
    const float one = 1, lo = -0.5f, hi = 0.75f;
    struct onnx o;
    onnx_begin(&o, 13, 3, 5, 7);
    onnx_floats(&o, "one", &one, 0);
    onnx_floats(&o, "lo", &lo, 0);
    onnx_floats(&o, "hi", &hi, 0);
    if (f->f == leaky) attr_float(&o, "alpha", 0.2f);
    onnx_node(&o, f->op, f->f == clip ? "x,lo,hi" : "x", "f");
    onnx_node(&o, "Mul", "f,one", "y"); /* a final Sigmoid would be cut off */
    return open_net(&o);
}

static void secants_of_functions(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        struct net t = open_function(&functions[k]);
        const float *m = multipliers(&t);
        for (int64_t i = t.in; i < BATCH * t.in; i++) {
            const double a = (double)t.x[i % t.in], b = (double)t.x[i], got = (double)m[i];
            const double want = (double)t.seed[i] * (functions[k].f(a) - functions[k].f(b)) / (a - b);
            if (!(fabs(got - want) <= 3e-7 * fmax(1, fabs(want))))
                fail_msg("%s(%g, %g): got %.9g, want %.9g", functions[k].op, a, b, got, want);
        }
        check_properties(&t, functions[k].op);
        close_net(&t);
    }
}

/* Neighbouring floats, at every size and across the kinks: the multiplier stays between the slopes on both sides, and near
 * them. (With a threshold it would be one side's slope where the pair straddles a kink.) */
static void secants_of_neighbours(void **state) {
    (void)state;
    static const float at[] = {0.3f, -0.3f, 1e-3f, -1e-12f, 1e-30f, 0.75f, -0.5f, 1.9f, -7.5f, 20, -40, 0};
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        struct net t = open_function(&functions[k]);
        for (int64_t i = 0; i < BATCH * t.in; i++) {
            const float a = at[i % t.in % 12];
            t.x[i] = i < t.in ? a : i < 2 * t.in ? nextafterf(a, 100) : i < 3 * t.in ? nextafterf(a, -100) : a;
            t.seed[i] = 1;
        }
        const float *m = multipliers(&t);
        for (int64_t i = 0; i < BATCH * t.in; i++) {
            const double a = (double)t.x[i % t.in], b = (double)t.x[i], h = 1e-4 * fmax(1e-3, fabs(a));
            const double left = (functions[k].f(fmin(a, b)) - functions[k].f(fmin(a, b) - h)) / h;
            const double right = (functions[k].f(fmax(a, b) + h) - functions[k].f(fmax(a, b))) / h, got = (double)m[i];
            const bool fine = got >= fmin(left, right) - 1e-4 && got <= fmax(left, right) + 1e-4;
            if (!fine) fail_msg("%s(%g, %+g): got %.9g, slopes are %.9g and %.9g", functions[k].op, a, b - a, got, left, right);
        }
        close_net(&t);
    }
}

/* The double-precision pieces, relative to the derivative in the middle. */
static void secants_keep_their_digits(void **state) {
    (void)state;
    for (double d = 1e-300; d < 1e-4; d *= 997) {
        assert_true(fabs(why_secant_exp(-3, -3 + d) / exp(-3 + d / 2) - 1) < 1e-8);
        assert_true(fabs(why_secant_sigmoid(d, -d) - 0.25) < 1e-8);
        assert_true(fabs(why_secant_tanh(d, 0) - 1) < 1e-8);
        const double mid = 2 + d / 2;
        assert_true(fabs(why_secant_power(2 + d, 2, -0.75) / (-0.75 * pow(mid, -1.75)) - 1) < 1e-8);
    }
    assert_true(why_secant_exp(-2000, 0) == 1.0 / 2000);
    const float a[3] = {800, -3, 1}, b[3] = {-900, 2, 1e-3f}; /* sums hundreds of magnitudes apart */
    const why_log_sum s = why_log_sum_of(a, b, 3, 1, -1);
    double sum = 0;
    for (int k = 0; k < 3; k++) sum += why_log_sum_share(&s, a[k], b[k]) * ((double)a[k] - (double)b[k]);
    assert_true(fabs(sum - (s.a - s.b)) < 1e-9);
    assert_true(fabs(s.a - 800) < 1e-9);
    const why_log_sum two = why_log_sum_of(a, b, 3, 1, 0);
    assert_true(fabs(two.a - log(exp(-3) + exp(1))) < 1e-12);
}

/* ---------------------------------------------------------------- products and quotients */
static void begin_pair(struct onnx *o) {
    float half[3] = {0.5f, 2.5f, 1.25f};
    onnx_begin(o, 13, 3, 4, 5);
    onnx_floats(o, "half", half, 3, 3, 1, 1);
    onnx_node(o, "Sigmoid", "x", "s"); /* positive */
}

static void products(void **state) {
    (void)state;
    struct onnx o;
    begin_pair(&o);
    onnx_node(&o, "Mul", "x,x", "y"); /* x^2: the secant is a + b */
    struct net t = open_net(&o);
    const float *m = multipliers(&t);
    for (int64_t i = t.in; i < BATCH * t.in; i++) {
        const double want = (double)t.seed[i] * ((double)t.x[i % t.in] + (double)t.x[i]);
        assert_true(fabs((double)m[i] - want) < 1e-6);
    }
    check_properties(&t, "x * x");
    close_net(&t);
    static const char *const cases[][2] = {{"Mul", "x,s"}, {"Div", "x,s"}, {"Mul", "half,s"}, {"Div", "s,half"}, {"Div", "half,s"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        begin_pair(&o);
        onnx_node(&o, cases[k][0], cases[k][1], "y");
        t = open_net(&o);
        check_properties(&t, cases[k][1]);
        close_net(&t);
    }
}

/* A product with x * t(y): what x gets is its change times the mean of both t. */
static void factors_share_evenly(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 1, 2);
    attr_ints(&o, "axes", 1, 3);
    onnx_node(&o, "ReduceMean", "x", "mean"); /* 3 x 1 x 1, broadcast back */
    onnx_node(&o, "Mul", "x,mean", "y");
    struct net t = open_net(&o);
    const float *m = multipliers(&t);
    for (int i = 1; i < BATCH; i++)
        for (int c = 0; c < 3; c++) {
            const float *a = t.x + 2 * c, *b = t.x + i * t.in + 2 * c, *g = t.seed + i * t.out + 2 * c;
            const double sum = (double)a[0] + (double)a[1] + (double)b[0] + (double)b[1];
            for (int k = 0; k < 2; k++) {
                double want = (double)g[k] * sum / 4;
                for (int j = 0; j < 2; j++) want += (double)g[j] * ((double)a[j] + (double)b[j]) / 4;
                assert_true(fabs((double)m[i * t.in + 2 * c + k] - want) < 1e-6);
            }
        }
    check_properties(&t, "x * mean(x)");
    close_net(&t);
}

/* ---------------------------------------------------------------- maxima */
struct pooling {
    int h, w, kh, kw, sh, sw, pad;
};

/* The definition, window by window in double precision: the place of both maxima, or of the larger one, gets the change. */
static void expected_of_pool(const struct pooling *p, const float *a, const float *b, const float *g, int oh, int ow, double *credit) {
    for (int i = 0; i < p->h * p->w; i++) credit[i] = 0;
    for (int o = 0; o < oh * ow; o++) {
        int best[2] = {-1, -1};
        for (int k = 0; k < p->kh * p->kw; k++) {
            const int y = o / ow * p->sh - p->pad + k / p->kw, x = o % ow * p->sw - p->pad + k % p->kw, at = y * p->w + x;
            if (y < 0 || x < 0 || y >= p->h || x >= p->w) continue;
            if (best[0] < 0 || a[at] > a[best[0]]) best[0] = at;
            if (best[1] < 0 || b[at] > b[best[1]]) best[1] = at;
        }
        const double change = (double)a[best[0]] - (double)b[best[1]];
        const int at = b[best[0]] == b[best[1]] ? 0 : a[best[0]] == a[best[1]] ? 1 : change < 0;
        credit[best[at]] += (double)g[o] * change;
    }
}

static void check_pool(struct pooling p) {
    struct onnx o;
    const int oh = (p.h + 2 * p.pad - p.kh) / p.sh + 1, ow = (p.w + 2 * p.pad - p.kw) / p.sw + 1;
    const bool global = p.kh == p.h && p.kw == p.w;
    double *credit = malloc((size_t)(p.h * p.w) * sizeof *credit);
    onnx_begin(&o, 13, 3, p.h, p.w);
    if (!global) {
        attr_ints(&o, "kernel_shape", 2, p.kh, p.kw);
        attr_ints(&o, "strides", 2, p.sh, p.sw);
        attr_ints(&o, "pads", 4, p.pad, p.pad, p.pad, p.pad);
    }
    onnx_node(&o, global ? "GlobalMaxPool" : "MaxPool", "x", "y");
    struct net t = open_net(&o);
    assert_int_equal(t.out, 3 * oh * ow);
    const float *m = multipliers(&t);
    for (int i = 3; i < BATCH * 3; i++) { /* planes of the references */
        const float *a = t.x + i % 3 * p.h * p.w, *b = t.x + i * p.h * p.w;
        expected_of_pool(&p, a, b, t.seed + i * oh * ow, oh, ow, credit);
        for (int k = 0; k < p.h * p.w; k++) {
            const double got = (double)m[i * p.h * p.w + k] * ((double)a[k] - (double)b[k]);
            if (!(fabs(got - credit[k]) < 1e-5)) fail_msg("plane %d, place %d: got %g, want %g", i, k, got, credit[k]);
        }
    }
    check_properties(&t, "a maximum");
    close_net(&t);
    free(credit);
}

static void maxima(void **state) {
    (void)state;
    static const struct pooling cases[] = {
        {8, 8, 2, 2, 2, 2, 0}, {9, 7, 3, 3, 2, 2, 1}, {8, 9, 3, 3, 1, 1, 0},
        {7, 7, 5, 3, 1, 2, 1}, {5, 6, 5, 6, 1, 1, 0}, {6, 6, 1, 1, 2, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_pool(cases[i]);
}

/* Two windows of 3 over 5 places that share their winner. shap 0.49 and captum keep one of the two credits. */
static void overlapping_windows_add_up(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 1, 5);
    attr_ints(&o, "kernel_shape", 2, 1, 3);
    attr_ints(&o, "strides", 2, 1, 2);
    onnx_node(&o, "MaxPool", "x", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 15; i++) t.x[i] = i < 15 && i % 5 == 2 ? 3 : 0;
    for (int i = 0; i < BATCH * 6; i++) t.seed[i] = 1;
    const float *m = multipliers(&t);
    for (int i = 15; i < BATCH * 15; i++) assert_true(m[i] == (i % 5 == 2 ? 2.0f : 0.0f)); /* both windows rose by 3, over 3 */
    close_net(&t);
}

/* A flat reference has its maximum everywhere, and so also where the image has its own: captum's DeepLIFT agrees. */
static void a_flat_reference(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 1, 4);
    onnx_node(&o, "GlobalMaxPool", "x", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 3; i++) t.seed[i] = 1;
    for (int turn = 0; turn < 4; turn++) { /* flat, and flat up to rounding; then the image is the flat one */
        for (int i = 0; i < BATCH * 12; i++) t.x[i] = i < 12 ? -1.0f - (float)((i + 2) % 4) : 5; /* -3 -4 -1 -2, all below 5 */
        for (int i = 12; turn % 2 && i < BATCH * 12; i++) t.x[i] += 5e-7f * (float)(i % 5);
        for (int i = 0; turn > 1 && i < 12; i++) {
            const float image = t.x[i];
            t.x[i] = t.x[12 + i];
            for (int k = 1; k < BATCH; k++) t.x[12 * k + i] = image;
        }
        const float *m = multipliers(&t);
        for (int i = turn > 1 ? 12 : 0; i < BATCH * 12; i++) assert_true(fabsf(m[i] - (i % 4 == 2 ? 1.0f : 0.0f)) < 1e-6f);
        if (turn < 2) check_properties(&t, "a flat reference");
    }
    close_net(&t);
}

/* Equal maxima at other places: nothing changed, so nobody is credited, not even where the derivative points. */
static void a_maximum_that_moved(void **state) {
    (void)state;
    struct onnx o;
    onnx_begin(&o, 13, 3, 1, 2);
    onnx_node(&o, "GlobalMaxPool", "x", "y");
    struct net t = open_net(&o);
    for (int i = 0; i < BATCH * 6; i++) t.x[i] = i % 2 == (i < 6) ? 1 : -1; /* (-1, 1) against (1, -1) */
    const float *m = multipliers(&t);
    for (int i = 6; i < BATCH * 6; i++) assert_true(m[i] == 0);
    check_properties(&t, "a maximum that moved");
    close_net(&t);
}

/* ---------------------------------------------------------------- normalisations */
static struct net open_normalisation(const char *op) {
    const float one = 1;
    struct onnx o;
    onnx_begin(&o, 13, 3, 3, 4);
    onnx_floats(&o, "one", &one, 0);
    if (*op == 'L' && op[1] == 'R') {
        attr_int(&o, "size", 3);
        attr_float(&o, "alpha", 0.9f);
        attr_float(&o, "bias", 0.7f);
    } else {
        attr_int(&o, "axis", 1);
    }
    onnx_node(&o, op, "x", "n");
    onnx_node(&o, "Mul", "n,one", "y");
    return open_net(&o);
}

/* Where one input alone changed, completeness leaves no choice: its multiplier is the secant of every output. */
static void one_input_changed(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax"};
    for (int k = 0; k < 2; k++) {
        struct net t = open_normalisation(ops[k]);
        for (int i = 1; i < BATCH; i++) {
            memcpy(t.x + i * t.in, t.x, (size_t)t.in * sizeof *t.x);
            for (int place = 0; place < 12; place++) t.x[i * t.in + 12 * (i - 1) + place] += 0.8f; /* one channel at every place */
        }
        const float *m = multipliers(&t), *y = why_session_logits(t.s);
        for (int i = 1; i < BATCH; i++)
            for (int place = 0; place < 12; place++) {
                double change = 0;
                const int64_t at = 12 * (i - 1) + place;
                for (int c = 0; c < 3; c++) {
                    const int64_t v = 12 * c + place;
                    change += (double)t.seed[i * t.out + v] * ((double)y[v] - (double)y[i * t.out + v]);
                }
                const double want = change / ((double)t.x[at] - (double)t.x[i * t.in + at]);
                assert_true(fabs((double)m[i * t.in + at] - want) < 3e-6);
            }
        close_net(&t);
    }
}

static void normalisations(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax", "LRN"};
    for (int k = 0; k < 3; k++) {
        struct net t = open_normalisation(ops[k]);
        check_properties(&t, ops[k]);
        for (int64_t i = 0; i < BATCH * t.in; i++) t.x[i] *= 60; /* probabilities of 0 and 1 */
        const float *m = multipliers(&t);
        for (int64_t i = 0; i < BATCH * t.in; i++) assert_true(isfinite(m[i]));
        for (int i = 1; i < BATCH; i++) assert_true(incompleteness(&t, m, i) < 2e-6);
        close_net(&t);
    }
}

/* Size 1: y = x (bias + alpha x^2)^-beta, one number in and one out. */
static void response_of_one_channel(void **state) {
    (void)state;
    const float one = 1;
    struct onnx o;
    onnx_begin(&o, 13, 3, 3, 4);
    onnx_floats(&o, "one", &one, 0);
    attr_int(&o, "size", 1);
    attr_float(&o, "alpha", 2.0f);
    onnx_node(&o, "LRN", "x", "n");
    onnx_node(&o, "Mul", "n,one", "y");
    struct net t = open_net(&o);
    const float *m = multipliers(&t);
    for (int64_t i = t.in; i < BATCH * t.in; i++) {
        const double a = (double)t.x[i % t.in], b = (double)t.x[i];
        const double want = (double)t.seed[i] * (a * pow(1 + 2 * a * a, -0.75) - b * pow(1 + 2 * b * b, -0.75)) / (a - b);
        assert_true(fabs((double)m[i] - want) < 1e-6);
    }
    check_properties(&t, "LRN of one channel");
    close_net(&t);
}

/* ---------------------------------------------------------------- networks */
static uint32_t roll(uint32_t *s, uint32_t n) {
    *s = *s * 1664525u + 1013904223u;
    return (*s >> 10) % n;
}

/* A random chain of blocks over 6 channels, each with a join: residual Add, Concat, a product, or an activation read twice. */
static void write_block(struct onnx *o, int b, uint32_t *s, const char *in, char *out) {
    static const char *const bends[] = {"Relu", "Relu", "LeakyRelu", "Sigmoid", "Tanh"};
    char conv[32], bn[32], bend[32], text[96];
    snprintf(conv, sizeof conv, "c%d", b);
    snprintf(bn, sizeof bn, "n%d", b);
    snprintf(bend, sizeof bend, "a%d", b);
    snprintf(out, 32, "o%d", b);
    snprintf(text, sizeof text, "%s,w%u,b%u", in, roll(s, 4), roll(s, 2));
    attr_ints(o, "pads", 4, 1, 1, 1, 1);
    onnx_node(o, "Conv", text, conv);
    snprintf(text, sizeof text, "%s,g,b1,b0,v", roll(s, 2) ? conv : in); /* after the Conv, or as in DenseNet beside it */
    onnx_node(o, "BatchNormalization", text, bn);
    onnx_node(o, bends[roll(s, 5)], bn, bend);
    switch (roll(s, 5)) {
    case 0: snprintf(text, sizeof text, "%s,%s", bend, in), onnx_node(o, "Add", text, out); break;
    case 1: snprintf(text, sizeof text, "%s,%s", bend, conv), onnx_node(o, "Mul", text, out); break;
    case 2:
        snprintf(text, sizeof text, "%s,%s,%s", bend, conv, bend);
        snprintf(bn, sizeof bn, "j%d", b);
        attr_int(o, "axis", 1);
        onnx_node(o, "Concat", text, bn);
        snprintf(text, sizeof text, "%s,wide", bn);
        onnx_node(o, "Conv", text, out);
        break;
    case 3:
        snprintf(bn, sizeof bn, "l%d", b);
        attr_int(o, "size", 3);
        onnx_node(o, "LRN", bend, bn);
        snprintf(text, sizeof text, "%s,%s", bn, conv);
        onnx_node(o, "Sub", text, out);
        break;
    default: snprintf(text, sizeof text, "%s,%s", bend, bend), onnx_node(o, "Add", text, out);
    }
}

static void write_random(struct onnx *o, uint32_t seed) {
    static float w[8192];
    const float v[6] = {1, 0.5f, 2, 1, 3, 0.7f};
    char in[32] = "r0", out[32];
    uint32_t s = seed * 747796405u + 1;
    fill_values(w, 8192, seed);
    for (int i = 0; i < 8192; i++) w[i] *= 0.3f;
    onnx_begin(o, 13, 3, 17, 15);
    onnx_floats(o, "stem", w, 4, 6, 3, 3, 3);
    for (int i = 0; i < 4; i++) onnx_floats(o, (const char *[]){"w0", "w1", "w2", "w3"}[i], w + 200 + 400 * i, 4, 6, 6, 3, 3);
    onnx_floats(o, "wide", w + 3000, 4, 6, 18, 1, 1);
    onnx_floats(o, "b0", w + 4000, 1, 6);
    onnx_floats(o, "b1", w + 4010, 1, 6);
    onnx_floats(o, "g", v, 1, 6);
    onnx_floats(o, "v", v, 1, 6);
    onnx_floats(o, "fc", w + 4020, 2, 6, 5);
    onnx_node(o, "Conv", "x,stem,b0", "c");
    onnx_node(o, "Relu", "c", "r");
    attr_ints(o, "kernel_shape", 2, 3, 3);
    attr_ints(o, "strides", 2, 2, 2);
    attr_ints(o, "pads", 4, 1, 1, 1, 1);
    onnx_node(o, "MaxPool", "r", "r0"); /* overlapping, as in ResNet */
    for (int b = 1, blocks = 2 + (int)roll(&s, 3); b <= blocks; b++) {
        write_block(o, b, &s, in, out);
        snprintf(in, sizeof in, "%.31s", out);
    }
    attr_ints(o, "kernel_shape", 2, 3, 3);
    attr_ints(o, "strides", 2, 1, 1);
    onnx_node(o, roll(&s, 2) ? "MaxPool" : "AveragePool", in, "p");
    onnx_node(o, roll(&s, 2) ? "GlobalMaxPool" : "GlobalAveragePool", "p", "gap");
    onnx_node(o, "Flatten", "gap", "flat");
    onnx_node(o, "MatMul", "flat,fc", "y");
}

static void random_networks_are_complete(void **state) {
    (void)state;
    double worst = 0;
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct onnx o;
        char what[32];
        write_random(&o, seed);
        struct net t = open_net(&o);
        snprintf(what, sizeof what, "network %u", seed);
        const float *m = multipliers(&t);
        for (int i = 1; i < BATCH; i++) worst = fmax(worst, incompleteness(&t, m, i));
        check_properties(&t, what);
        close_net(&t);
    }
    print_message("  completeness of 40 random networks: worst %.1e of the credits\n", worst);
}

/* A reference that comes near: the multipliers become the derivative, here by a smooth network. */
static void near_references_give_the_gradient(void **state) {
    (void)state;
    struct onnx o;
    begin_pair(&o);
    attr_int(&o, "size", 3);
    onnx_node(&o, "LRN", "s", "n");
    onnx_node(&o, "Tanh", "n", "t");
    onnx_node(&o, "Mul", "t,x", "u");
    attr_int(&o, "axis", 1);
    onnx_node(&o, "Softmax", "u", "v");
    onnx_node(&o, "Div", "v,s", "y");
    struct net t = open_net(&o);
    double last = HUGE_VAL;
    for (float step = 0.1f; step > 1e-4f; step *= 0.1f) {
        for (int64_t i = t.in; i < BATCH * t.in; i++) t.x[i] = t.x[i % t.in] + step * t.x[(7 * i) % t.in];
        for (int64_t i = t.out; i < BATCH * t.out; i++) t.seed[i] = t.seed[i % t.out];
        const float *m = multipliers(&t);
        double worst = 0;
        for (int64_t i = t.in; i < BATCH * t.in; i++) worst = fmax(worst, fabs((double)m[i] - (double)m[i % t.in]));
        assert_true(worst < 0.2 * last); /* first order in the step */
        last = worst;
    }
    close_net(&t);
}

/* The multipliers of a pair do not depend on what else is in the batch or on threads, to the last bit. */
static void pairs_are_independent(void **state) {
    (void)state;
    struct onnx o;
    write_random(&o, 5);
    struct net t = open_net(&o);
    why_pool *pool;
    OK(why_pool_create(2, &pool));
    why_session *two = open_session(t.m, WHY_RULE_RESCALE, 2, pool);
    float *m = malloc((size_t)(BATCH * t.in) * sizeof *m), *x = malloc((size_t)(2 * t.in) * sizeof *x), seed[10];
    memcpy(m, multipliers(&t), (size_t)(BATCH * t.in) * sizeof *m);
    for (int i = 1; i < BATCH; i++) {
        memcpy(x, t.x, (size_t)t.in * sizeof *x);
        memcpy(x + t.in, t.x + i * t.in, (size_t)t.in * sizeof *x);
        memcpy(seed, t.seed, 5 * sizeof *seed);
        memcpy(seed + 5, t.seed + 5 * i, 5 * sizeof *seed);
        OK(why_session_forward(two, x, 2));
        OK(why_session_backward(two, seed, WHY_RULE_RESCALE));
        assert_memory_equal(why_session_gradient(two, 0).data, m, (size_t)t.in * sizeof *m);
        assert_memory_equal(why_session_gradient(two, 0).data + t.in, m + i * t.in, (size_t)t.in * sizeof *m);
    }
    why_session_destroy(&two);
    why_pool_destroy(&pool);
    free(m);
    free(x);
    close_net(&t);
}

static void a_session_keeps_to_its_rule(void **state) {
    (void)state;
    struct onnx o;
    why_session *s;
    const char *const grad[] = {"input"};
    begin_pair(&o);
    onnx_node(&o, "Relu", "s", "y");
    struct net t = open_net(&o);
    OK(why_session_forward(t.s, t.x, BATCH));
    OK(why_session_forward(t.plain, t.x, BATCH));
    assert_int_equal(why_session_backward(t.s, t.seed, WHY_RULE_PLAIN), WHY_EARG);
    assert_non_null(strstr(why_error_text(), "made for rule 2"));
    assert_int_equal(why_session_backward(t.plain, t.seed, WHY_RULE_RESCALE), WHY_EARG);
    OK(why_session_backward(t.plain, t.seed, WHY_RULE_GUIDED));
    const why_session_options so = {.max_batch = 1, .grad_to = grad, .n_grad_to = 1, .rule = (why_rule)9};
    assert_int_equal(why_session_create(t.m, &so, &s), WHY_EARG);
    assert_null(s);
    close_net(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operator_falls_back_in_silence),
        cmocka_unit_test(secants_of_functions),
        cmocka_unit_test(secants_of_neighbours),
        cmocka_unit_test(secants_keep_their_digits),
        cmocka_unit_test(products),
        cmocka_unit_test(factors_share_evenly),
        cmocka_unit_test(maxima),
        cmocka_unit_test(overlapping_windows_add_up),
        cmocka_unit_test(a_flat_reference),
        cmocka_unit_test(a_maximum_that_moved),
        cmocka_unit_test(one_input_changed),
        cmocka_unit_test(normalisations),
        cmocka_unit_test(response_of_one_channel),
        cmocka_unit_test(random_networks_are_complete),
        cmocka_unit_test(near_references_give_the_gradient),
        cmocka_unit_test(pairs_are_independent),
        cmocka_unit_test(a_session_keeps_to_its_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
