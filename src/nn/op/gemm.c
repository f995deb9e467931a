/* Gemm and MatMul with constant weights: y = alpha * W x + beta * c for every row x. Own dot products rather than BLAS: a
 * row's sum is the same whatever the batch, and the weights, which are the cost here, are read once per batch. */
#include <limits.h>
#include <string.h>

#include "nn/kernel/kernel.h"
#include "nn/ops.h"

enum { OUTPUTS_PER_PIECE = 32, INPUTS_PER_PIECE = 1024, ROWS_AT_ONCE = 64 };

struct gemm {
    int64_t outputs, inputs, rows; /* rows of one image: 1, more for MatMul on higher ranks */
    const float *w, *bias;         /* [outputs][inputs], [outputs] or NULL */
};

/* ---------------------------------------------------------------- build */
/* Weights as [outputs][inputs], times alpha: the file's own when they are that already. */
static why_status arrange(const why_builder *b, const why_value *v, bool transposed, float alpha, struct gemm *g) {
    const float *w = v->data;
    g->w = w;
    if (transposed && alpha == 1.0f) return WHY_OK;
    float *own;
    WHY_TRY(why_take(b, (size_t)(g->outputs * g->inputs), sizeof *own, &own));
    for (int64_t o = 0; o < g->outputs; o++)
        for (int64_t k = 0; k < g->inputs; k++) own[o * g->inputs + k] = alpha * (transposed ? w[o * g->inputs + k] : w[k * g->outputs + o]);
    g->w = own;
    return WHY_OK;
}

static why_status read_bias(const why_builder *b, float beta, struct gemm *g) {
    const why_value *c;
    if (!why_has_input(b, 2)) return WHY_OK;
    WHY_TRY(why_input_floats(b, 2, "bias", &c));
    int64_t n = why_shape_count(&c->shape);
    int last = c->shape.rank - 1;
    if (n != 1 && (n != g->outputs || c->shape.dim[last] != n))
        return why_fail(WHY_EFORMAT, "bias has %lld values, want %lld", (long long)n, (long long)g->outputs);
    float *own;
    WHY_TRY(why_take(b, (size_t)g->outputs, sizeof *own, &own));
    for (int64_t o = 0; o < g->outputs; o++) own[o] = beta * ((const float *)c->data)[n == 1 ? 0 : o];
    g->bias = own;
    return WHY_OK;
}

static why_status finish(const why_builder *b, const why_value *x, bool transposed, float alpha, why_node *node, struct gemm **out) {
    const why_value *w;
    struct gemm *g;
    WHY_TRY(why_input_floats(b, 1, "weight", &w));
    if (w->shape.rank != 2) return why_fail(WHY_EUNSUPPORTED, "weight has %d dimensions, want 2", w->shape.rank);
    WHY_TRY(why_take(b, 1, sizeof *g, &g));
    g->outputs = w->shape.dim[transposed ? 0 : 1];
    g->inputs = w->shape.dim[transposed ? 1 : 0];
    int64_t got = x->shape.dim[x->shape.rank - 1];
    if (got != g->inputs) return why_fail(WHY_EFORMAT, "input has %lld columns, weight wants %lld", (long long)got, (long long)g->inputs);
    if (g->inputs < 1) return why_fail(WHY_EFORMAT, "weight is empty");
    g->rows = why_shape_count(&x->shape) / g->inputs;
    WHY_TRY(arrange(b, w, transposed, alpha, g));
    node->macs = g->rows * g->outputs * g->inputs;
    node->attr = *out = g;
    return WHY_OK;
}

static why_status build_gemm(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct gemm *g;
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank != 2) return why_fail(WHY_EFORMAT, "input has %d dimensions, want 2", x->shape.rank);
    if (why_attr_int(b, "transA", 0)) return why_fail(WHY_EUNSUPPORTED, "transA=1 mixes the images of a batch");
    WHY_TRY(finish(b, x, why_attr_int(b, "transB", 0) != 0, why_attr_float(b, "alpha", 1), node, &g));
    WHY_TRY(read_bias(b, why_attr_float(b, "beta", 1), g));
    *out = (why_shape){2, {1, g->outputs}};
    return WHY_OK;
}

static why_status build_matmul(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct gemm *g;
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank < 2) return why_fail(WHY_EFORMAT, "input has %d dimensions, want 2 or more", x->shape.rank);
    WHY_TRY(finish(b, x, false, 1, node, &g));
    *out = x->shape;
    out->dim[out->rank - 1] = g->outputs;
    return WHY_OK;
}

/* ---------------------------------------------------------------- forward: a block of outputs for every row of the batch */
static int pieces(const why_node *node) {
    const struct gemm *g = node->attr;
    return (int)((g->outputs + OUTPUTS_PER_PIECE - 1) / OUTPUTS_PER_PIECE);
}

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)image, (void)thread;
    const struct gemm *g = r->node->attr;
    int64_t o0 = (int64_t)piece * OUTPUTS_PER_PIECE, o1 = o0 + OUTPUTS_PER_PIECE < g->outputs ? o0 + OUTPUTS_PER_PIECE : g->outputs;
    int64_t rows = g->rows * r->n;
    if (r->blocked) {
        const why_dense d = {.w = g->w, .bias = g->bias, .inputs = g->inputs, .outputs = g->outputs, .x = r->in[0], .rows = rows, .y = r->out,
                             .clamp = r->clamp};
        r->blocked->dense(&d, o0, o1);
        return;
    }
    float y[ROWS_AT_ONCE];
    for (int64_t r0 = 0; r0 < rows; r0 += ROWS_AT_ONCE) {
        int m = (int)(rows - r0 < ROWS_AT_ONCE ? rows - r0 : ROWS_AT_ONCE);
        for (int64_t o = o0; o < o1; o++) {
            r->kernels->dot_rows(g->w + o * g->inputs, r->in[0] + r0 * g->inputs, g->inputs, m, g->inputs, y);
            for (int i = 0; i < m; i++) {
                float v = g->bias ? y[i] + g->bias[o] : y[i];
                r->out[(r0 + i) * g->outputs + o] = r->clamp.on ? why_clamped(v, r->clamp) : v;
            }
        }
    }
}

/* ---------------------------------------------------------------- backward: dx = W^T dy, a block of inputs for every row */
static int back_pieces(const why_node *node) {
    const struct gemm *g = node->attr;
    return (int)((g->inputs + INPUTS_PER_PIECE - 1) / INPUTS_PER_PIECE);
}

static void backward(const why_call *r, int image, int piece, int thread) {
    (void)image, (void)thread;
    const struct gemm *g = r->node->attr;
    int64_t k0 = (int64_t)piece * INPUTS_PER_PIECE, n = g->inputs - k0 < INPUTS_PER_PIECE ? g->inputs - k0 : INPUTS_PER_PIECE;
    for (int64_t o = 0; o < g->outputs; o++)
        for (int64_t i = 0; i < g->rows * r->n; i++) {
            float dy = r->grad_out[i * g->outputs + o];
            if (dy != 0) r->kernels->axpy(n, dy, g->w + o * g->inputs + k0, r->grad_in[0] + i * g->inputs + k0); /* a class seed is one-hot */
        }
}

/* ---------------------------------------------------------------- for passes.c */
bool why_gemm_takes_bias(const why_node *node, int64_t *outputs) {
    if (node->op != &why_op_gemm && node->op != &why_op_matmul) return false;
    const struct gemm *g = node->attr;
    *outputs = g->outputs;
    return g->bias == NULL;
}

void why_gemm_set_bias(why_node *node, const float *bias) { ((struct gemm *)node->attr)->bias = bias; }

#define SHARED                                                                                                                  \
    .flags = WHY_LEARNS | WHY_WHOLE_BATCH | WHY_FUSES_CLAMP | WHY_LINEAR, .pieces = pieces, .forward = forward,               \
    .back_pieces = back_pieces, .backward = {backward}

const why_op why_op_gemm = {.name = "Gemm", .build = build_gemm, SHARED};
const why_op why_op_matmul = {.name = "MatMul", .build = build_matmul, SHARED};
