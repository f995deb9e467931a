/* Transpose of everything but the batch. */
#include "nn/ops.h"

struct transpose {
    int rank;
    int64_t dim[WHY_MAX_RANK], stride[WHY_MAX_RANK]; /* of the output; strides into the input */
};

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct transpose *p;
    const int64_t *perm;
    size_t n;
    unsigned set;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_attr_ints(b, "perm", &perm, &n));
    int rank = x->shape.rank;
    if (n != (size_t)rank) return why_fail(n ? WHY_EFORMAT : WHY_EUNSUPPORTED, "perm has %zu entries, the input %d dimensions", n, rank);
    WHY_TRY(why_axes(perm, n, rank, &set));
    if (perm[0] != 0) return why_fail(WHY_EUNSUPPORTED, "perm moves the batch");
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    int64_t stride[WHY_MAX_RANK], step = 1;
    for (int i = rank - 1; i >= 0; i--) stride[i] = step, step *= x->shape.dim[i];
    *out = (why_shape){.rank = rank};
    p->rank = rank;
    for (int i = 0; i < rank; i++) {
        int from = (int)(perm[i] < 0 ? perm[i] + rank : perm[i]);
        p->dim[i] = out->dim[i] = x->shape.dim[from];
        p->stride[i] = stride[from];
    }
    node->attr = p;
    return WHY_OK;
}

static int64_t source(const struct transpose *p, int64_t at) {
    int64_t from = 0;
    for (int i = p->rank - 1; i >= 0; i--) from += at % p->dim[i] * p->stride[i], at /= p->dim[i];
    return from;
}

static int pieces(const why_node *n) { return why_even_pieces(n->size_out); }

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    int64_t from, to, base = image * r->node->size_out;
    why_even_piece(r->node->size_out, piece, &from, &to);
    for (int64_t i = from; i < to; i++) r->out[base + i] = r->in[0][base + source(r->node->attr, i)];
}

static void backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    int64_t from, to, base = image * r->node->size_out;
    why_even_piece(r->node->size_out, piece, &from, &to);
    for (int64_t i = from; i < to; i++) r->grad_in[0][base + source(r->node->attr, i)] += r->grad_out[base + i];
}

const why_op why_op_transpose = {.name = "Transpose", .flags = WHY_LINEAR, .build = build, .pieces = pieces, .forward = forward, .back_pieces = pieces, .backward = {backward}};
