/* Local response normalisation over channels (Krizhevsky 2012): y = x / s^beta with
 * s_c = bias + alpha / size * sum of x^2 over the `size` channels around c. */
#include <math.h>

#include "nn/ops.h"
#include "nn/secant.h"

struct lrn {
    int64_t channels, plane;
    int below, above; /* channels on either side */
    double alpha, beta, bias;
};

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct lrn *p;
    int64_t size = why_attr_int(b, "size", 0);
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank < 3) return why_fail(WHY_EFORMAT, "input has %d dimensions, want 3 or more", x->shape.rank);
    if (size < 1 || size > 1 << 20) return why_fail(WHY_EFORMAT, "size is %lld, want 1 or more", (long long)size);
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    *p = (struct lrn){.channels = x->shape.dim[1],
                      .plane = x->shape.dim[1] ? why_shape_count(&x->shape) / x->shape.dim[1] : 0,
                      .below = (int)((size - 1) / 2),
                      .above = (int)(size / 2),
                      .alpha = (double)why_attr_float(b, "alpha", 1e-4f) / (double)size,
                      .beta = (double)why_attr_float(b, "beta", 0.75f),
                      .bias = (double)why_attr_float(b, "bias", 1)};
    *out = x->shape;
    node->attr = p;
    return WHY_OK;
}

static double denominator(const struct lrn *p, const float *x, int64_t c) {
    int64_t from = c < p->below ? 0 : c - p->below, to = c + p->above < p->channels ? c + p->above : p->channels - 1;
    double sum = 0;
    for (int64_t k = from; k <= to; k++) sum += (double)x[k * p->plane] * (double)x[k * p->plane];
    return p->bias + p->alpha * sum;
}

static int pieces(const why_node *n) { return why_even_pieces(((const struct lrn *)n->attr)->plane); }

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct lrn *p = r->node->attr;
    int64_t from, to;
    why_even_piece(p->plane, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const int64_t at = image * r->node->size_out + i;
        for (int64_t c = 0; c < p->channels; c++)
            r->out[at + c * p->plane] = (float)((double)r->in[0][at + c * p->plane] * pow(denominator(p, r->in[0] + at, c), -p->beta));
    }
}

/* dx_k = dy_k s_k^-beta - 2 alpha beta x_k * sum of dy_c x_c s_c^(-beta-1) over the c whose window holds k. */
static void backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct lrn *p = r->node->attr;
    int64_t from, to;
    why_even_piece(p->plane, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const int64_t at = image * r->node->size_out + i;
        const float *x = r->in[0] + at, *dy = r->grad_out + at;
        float *dx = r->grad_in[0] + at;
        for (int64_t c = 0; c < p->channels; c++) {
            const double s = denominator(p, x, c), g = (double)dy[c * p->plane] * pow(s, -p->beta);
            const double share = 2 * p->alpha * p->beta * g * (double)x[c * p->plane] / s;
            int64_t k0 = c < p->below ? 0 : c - p->below, k1 = c + p->above < p->channels ? c + p->above : p->channels - 1;
            dx[c * p->plane] += (float)g;
            for (int64_t k = k0; k <= k1; k++) dx[k * p->plane] -= (float)(share * (double)x[k * p->plane]);
        }
    }
}

/* DeepLIFT's Rescale rule on the composition of squares, their sum s, v = s^-beta and the product y = x v, whose two factors
 * share evenly (see binary.c). a, b: image 0 and this one; column `i` of the planes. */
static void rescale_column(const struct lrn *p, const float *a, const float *b, const float *dy, float *dx) {
    for (int64_t c = 0; c < p->channels; c++) {
        const double s = denominator(p, a, c), t = denominator(p, b, c), g = (double)dy[c * p->plane] / 2;
        const double x = (double)a[c * p->plane] + (double)b[c * p->plane];
        const double share = g * x * why_secant_power(s, t, -p->beta) * p->alpha;
        int64_t k0 = c < p->below ? 0 : c - p->below, k1 = c + p->above < p->channels ? c + p->above : p->channels - 1;
        dx[c * p->plane] += (float)(g * (pow(s, -p->beta) + pow(t, -p->beta)));
        for (int64_t k = k0; k <= k1; k++) dx[k * p->plane] += (float)(share * ((double)a[k * p->plane] + (double)b[k * p->plane]));
    }
}

static void rescale(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct lrn *p = r->node->attr;
    int64_t from, to;
    why_even_piece(p->plane, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const int64_t at = image * r->node->size_out + i;
        rescale_column(p, r->in[0] + i, r->in[0] + at, r->grad_out + at, r->grad_in[0] + at);
    }
}

const why_op why_op_lrn = {.name = "LRN",
                           .flags = WHY_NEEDS_INPUT,
                           .build = build,
                           .pieces = pieces,
                           .forward = forward,
                           .back_pieces = pieces,
                           .backward = {backward, [WHY_RULE_RESCALE] = rescale}};
