/* Element-wise functions of one tensor: Relu, Clip, LeakyRelu, Sigmoid, Tanh. Backward reads the output where it tells
 * the derivative, so that the input need not be kept. */
#include <math.h>
#include <string.h>

#include "nn/ops.h"
#include "nn/secant.h"

struct activation {
    float lo, hi, slope;
};

/* ---------------------------------------------------------------- build */
static why_status build_plain(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct activation *a;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_take(b, 1, sizeof *a, &a));
    *a = (struct activation){0, INFINITY, why_attr_float(b, "alpha", 0.01f)};
    *out = x->shape;
    node->attr = a;
    return WHY_OK;
}

static why_status read_bound(const why_builder *b, int input, const char *attr, float *bound) {
    const why_value *v;
    *bound = why_attr_float(b, attr, *bound);
    if (!why_has_input(b, input)) return WHY_OK;
    WHY_TRY(why_input_floats(b, input, attr, &v));
    if (why_shape_count(&v->shape) != 1) return why_fail(WHY_EFORMAT, "%s has %lld values, want 1", attr, (long long)why_shape_count(&v->shape));
    memcpy(bound, v->data, sizeof *bound);
    return WHY_OK;
}

static why_status build_clip(const why_builder *b, why_node *node, why_shape *out) {
    WHY_TRY(build_plain(b, node, out));
    struct activation *a = node->attr;
    a->lo = -INFINITY;
    WHY_TRY(read_bound(b, 1, "min", &a->lo));
    return read_bound(b, 2, "max", &a->hi);
}

static bool as_clamp(const why_node *n, why_clamp *out) {
    const struct activation *a = n->attr;
    *out = (why_clamp){true, a->lo, a->hi};
    return true;
}

/* ---------------------------------------------------------------- one formula each; `at` is this image's piece */
struct range {
    int64_t at, n;
};

static struct range range_of(const why_call *r, int image, int piece) {
    int64_t from, to;
    why_even_piece(r->node->size_out, piece, &from, &to);
    return (struct range){image * r->node->size_out + from, to - from};
}

static int pieces(const why_node *n) { return why_even_pieces(n->size_out); }

#define FORWARD(name, formula)                                                        \
    static void name(const why_call *r, int image, int piece, int thread) {            \
        (void)thread;                                                                  \
        const struct activation a = *(const struct activation *)r->node->attr;         \
        const struct range e = range_of(r, image, piece);                              \
        for (int64_t i = e.at; i < e.at + e.n; i++) {                                  \
            const float x = r->in[0][i];                                               \
            r->out[i] = formula;                                                       \
        }                                                                              \
        (void)a;                                                                       \
    }

/* `given` is the tensor that tells the derivative: the input x or the output y. */
#define BACKWARD(name, given, formula)                                                 \
    static void name(const why_call *r, int image, int piece, int thread) {             \
        (void)thread;                                                                   \
        const struct activation a = *(const struct activation *)r->node->attr;          \
        const struct range e = range_of(r, image, piece);                               \
        for (int64_t i = e.at; i < e.at + e.n; i++) {                                   \
            const float v = given[i];                                                   \
            r->grad_in[0][i] += r->grad_out[i] * (formula);                             \
        }                                                                               \
        (void)a;                                                                        \
    }

static inline float clamped(float x, struct activation a) { return x < a.lo ? a.lo : x > a.hi ? a.hi : x; }
static inline float leaky(float x, struct activation a) { return x > 0 ? x : a.slope * x; }

FORWARD(clamp_forward, clamped(x, a))
FORWARD(leaky_forward, leaky(x, a))
FORWARD(sigmoid_forward, x >= 0 ? 1 / (1 + expf(-x)) : expf(x) / (1 + expf(x)))
FORWARD(tanh_forward, tanhf(x))

/* DeepLIFT's Rescale rule: a and b are the input of image 0 and of this one. */
#define RESCALE(name, formula)                                                         \
    static void name(const why_call *r, int image, int piece, int thread) {             \
        (void)thread;                                                                   \
        const struct activation p = *(const struct activation *)r->node->attr;          \
        const struct range e = range_of(r, image, piece);                               \
        const int64_t back = image * r->node->size_out;                                 \
        for (int64_t i = e.at; i < e.at + e.n; i++) {                                   \
            const float a = r->in[0][i - back], b = r->in[0][i];                        \
            r->grad_in[0][i] += r->grad_out[i] * (formula);                             \
        }                                                                               \
        (void)p;                                                                        \
    }

/* At the bounds themselves the derivative is 0, as PyTorch has it for ReLU and ReLU6. */
BACKWARD(clamp_backward, r->out, v > a.lo && v < a.hi ? 1.0f : 0.0f)
/* Springenberg 2015, Section 3.4: what is negative on the way forward or on the way back stops here. Only at Relu, as captum
 * has it: its hooks sit on torch.nn.ReLU, so clips (ReLU6) and leaky ones keep their derivative. */
BACKWARD(guided_backward, r->out, v > 0 && r->grad_out[i] > 0 ? 1.0f : 0.0f)
BACKWARD(leaky_backward, r->in[0], v > 0 ? 1.0f : a.slope)
BACKWARD(sigmoid_backward, r->out, v *(1 - v))
BACKWARD(tanh_backward, r->out, 1 - v * v)

/* On one piece of a piecewise linear function its slope; across a kink both differences are larger than what was rounded. */
RESCALE(clamp_rescale, a == b ? (a > p.lo && a < p.hi ? 1.0f : 0.0f) : (clamped(a, p) - clamped(b, p)) / (a - b))
RESCALE(leaky_rescale, (a > 0) == (b > 0) ? (a > 0 ? 1.0f : p.slope) : (leaky(a, p) - leaky(b, p)) / (a - b))
RESCALE(sigmoid_rescale, (float)why_secant_sigmoid((double)a, (double)b))
RESCALE(tanh_rescale, (float)why_secant_tanh((double)a, (double)b))

#define SHARED(forward_fn, needs, ...) \
    .flags = needs, .pieces = pieces, .forward = forward_fn, .back_pieces = pieces, .backward = {__VA_ARGS__}, .blocked = &why_blocked_elementwise

const why_op why_op_relu = {.name = "Relu", .build = build_plain, .as_clamp = as_clamp,
                            SHARED(clamp_forward, WHY_NEEDS_OUTPUT, clamp_backward, guided_backward, clamp_rescale)};
const why_op why_op_clip = {.name = "Clip", .build = build_clip, .as_clamp = as_clamp,
                            SHARED(clamp_forward, WHY_NEEDS_OUTPUT, clamp_backward, NULL, clamp_rescale)};
const why_op why_op_leaky_relu = {.name = "LeakyRelu", .build = build_plain,
                                  SHARED(leaky_forward, WHY_NEEDS_INPUT, leaky_backward, NULL, leaky_rescale)};
const why_op why_op_sigmoid = {.name = "Sigmoid", .build = build_plain,
                               SHARED(sigmoid_forward, WHY_NEEDS_OUTPUT, sigmoid_backward, NULL, sigmoid_rescale)};
const why_op why_op_tanh = {.name = "Tanh", .build = build_plain,
                            SHARED(tanh_forward, WHY_NEEDS_OUTPUT, tanh_backward, NULL, tanh_rescale)};
