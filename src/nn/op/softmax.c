/* Softmax and LogSoftmax inside a network (a final one is cut off: passes.c). */
#include <math.h>

#include "nn/ops.h"
#include "nn/secant.h"

struct softmax {
    int64_t outer, length, inner; /* element (o, k, i) at (o * length + k) * inner + i */
};

/* Before opset 13 the axis cuts the shape in two and everything behind it is one distribution. */
static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct softmax *p;
    int axis;
    bool old = b->g->opset < 13;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_axis(why_attr_int(b, "axis", old ? 1 : -1), x->shape.rank, &axis));
    if (axis == 0) return why_fail(WHY_EUNSUPPORTED, "axis 0 mixes the images of a batch");
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    *p = (struct softmax){1, 1, 1};
    for (int i = 0; i < x->shape.rank; i++) *(i < axis ? &p->outer : i == axis || old ? &p->length : &p->inner) *= x->shape.dim[i];
    *out = x->shape;
    node->attr = p;
    return WHY_OK;
}

static int pieces(const why_node *n) { return (int)((const struct softmax *)n->attr)->outer; }

/* log of the sum of exponentials, with the maximum taken out. */
static float log_sum(const struct softmax *p, const float *x) {
    float top = x[0];
    double sum = 0;
    for (int64_t k = 1; k < p->length; k++) top = x[k * p->inner] > top ? x[k * p->inner] : top;
    for (int64_t k = 0; k < p->length; k++) sum += exp((double)(x[k * p->inner] - top));
    return top + (float)log(sum);
}

static void run_forward(const why_call *r, int image, int piece, bool logarithm) {
    const struct softmax *p = r->node->attr;
    int64_t at = image * r->node->size_out + piece * p->length * p->inner;
    for (int64_t i = at; i < at + p->inner; i++) {
        const float norm = log_sum(p, r->in[0] + i);
        for (int64_t k = 0; k < p->length; k++) {
            const float v = r->in[0][i + k * p->inner] - norm;
            r->out[i + k * p->inner] = logarithm ? v : expf(v);
        }
    }
}

/* softmax: dx = y * (dy - <y, dy>); log-softmax: dx = dy - exp(y) * sum(dy). */
static void run_backward(const why_call *r, int image, int piece, bool logarithm) {
    const struct softmax *p = r->node->attr;
    int64_t at = image * r->node->size_out + piece * p->length * p->inner;
    for (int64_t i = at; i < at + p->inner; i++) {
        double dot = 0;
        for (int64_t k = i; k < i + p->length * p->inner; k += p->inner) dot += (double)r->grad_out[k] * (logarithm ? 1.0 : (double)r->out[k]);
        for (int64_t k = i; k < i + p->length * p->inner; k += p->inner)
            r->grad_in[0][k] += logarithm ? r->grad_out[k] - expf(r->out[k]) * (float)dot : r->out[k] * (r->grad_out[k] - (float)dot);
    }
}

/* DeepLIFT's Rescale rule on y_k = exp(l_k), l_k = x_k - log(sum of e^x): every step has one argument or is linear, so that
 * what the classes give each other through the sum is complete, too. a, b: image 0 and this one. */
static void run_rescale(const why_call *r, int image, int piece, bool logarithm) {
    const struct softmax *p = r->node->attr;
    const int64_t at = image * r->node->size_out + piece * p->length * p->inner;
    for (int64_t i = at; i < at + p->inner; i++) {
        const float *a = r->in[0] + (i - image * r->node->size_out), *b = r->in[0] + i;
        const why_log_sum s = why_log_sum_of(a, b, p->length, p->inner, -1);
        double sum = 0;
        for (int64_t k = 0; k < p->length * p->inner; k += p->inner) {
            const double g = (double)r->grad_out[i + k] * (logarithm ? 1 : why_secant_exp((double)a[k] - s.a, (double)b[k] - s.b));
            r->grad_in[0][i + k] += (float)g;
            sum += g;
        }
        for (int64_t k = 0; k < p->length * p->inner; k += p->inner)
            r->grad_in[0][i + k] -= (float)(why_log_sum_share(&s, a[k], b[k]) * sum);
    }
}

static void forward(const why_call *r, int image, int piece, int thread) { (void)thread, run_forward(r, image, piece, false); }
static void backward(const why_call *r, int image, int piece, int thread) { (void)thread, run_backward(r, image, piece, false); }
static void log_forward(const why_call *r, int image, int piece, int thread) { (void)thread, run_forward(r, image, piece, true); }
static void log_backward(const why_call *r, int image, int piece, int thread) { (void)thread, run_backward(r, image, piece, true); }
static void rescale(const why_call *r, int image, int piece, int thread) { (void)thread, run_rescale(r, image, piece, false); }
static void log_rescale(const why_call *r, int image, int piece, int thread) { (void)thread, run_rescale(r, image, piece, true); }

#define SHARED .flags = WHY_NEEDS_OUTPUT, .build = build, .pieces = pieces, .back_pieces = pieces

const why_op why_op_softmax = {.name = "Softmax", SHARED, .forward = forward, .backward = {backward, [WHY_RULE_RESCALE] = rescale}};
const why_op why_op_log_softmax = {
    .name = "LogSoftmax", SHARED, .forward = log_forward, .backward = {log_backward, [WHY_RULE_RESCALE] = log_rescale}};
