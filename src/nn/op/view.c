/* Flatten, Reshape, Squeeze, Unsqueeze: the same floats under another shape. The plan lets the output share the input's
 * memory where nobody else reads it; elsewhere they are copied. Their shape rules serve constants too (fold.c). */
#include <string.h>

#include "nn/ops.h"

static why_status source(const why_builder *b, const why_value **v) {
    if (!why_has_input(b, 0)) return why_fail(WHY_EFORMAT, "input 0 is missing");
    *v = &b->g->values[b->in[0]];
    return WHY_OK;
}

static why_status build_flatten(const why_builder *b, why_node *node, why_shape *out) {
    (void)node;
    const why_value *v = NULL;
    WHY_TRY(source(b, &v));
    int64_t axis = why_attr_int(b, "axis", 1);
    if (axis < 0) axis += v->shape.rank;
    if (axis < 0 || axis > v->shape.rank) return why_fail(WHY_EFORMAT, "axis %lld of %d dimensions", (long long)axis, v->shape.rank);
    *out = (why_shape){2, {1, 1}};
    for (int i = 0; i < v->shape.rank; i++) out->dim[i >= axis] *= v->shape.dim[i];
    return WHY_OK;
}

static why_status infer_open(const why_shape *in, int open, why_shape *out) {
    int64_t count = why_shape_count(in), rest = 1;
    char got[96], want[96];
    for (int i = 0; i < out->rank; i++)
        if (i != open && (out->dim[i] < 0 || __builtin_mul_overflow(rest, out->dim[i], &rest) || rest > WHY_MAX_ELEMENTS))
            return why_fail(WHY_EFORMAT, "shape %s is out of range", why_shape_text(out, 0, got));
    if (open >= 0 && rest > 0 && count % rest == 0) {
        out->dim[open] = count / rest;
        return WHY_OK;
    }
    if (open < 0 && rest == count) return WHY_OK;
    return why_fail(WHY_EFORMAT, "%s does not fit into shape %s", why_shape_text(in, 0, want), why_shape_text(out, 0, got));
}

/* A file made for one batch size has it in its shapes; here the batch is always 1. */
static bool is_batch(const why_builder *b, const why_value *v, int64_t size) { return !v->data && b->g->batch > 1 && size == b->g->batch; }

static why_status build_reshape(const why_builder *b, why_node *node, why_shape *out) {
    (void)node;
    const why_value *v = NULL;
    const int64_t *dims;
    size_t rank;
    int open = -1;
    WHY_TRY(source(b, &v));
    WHY_TRY(why_ints_of(b, "shape", 1, &dims, &rank));
    if (rank > WHY_MAX_RANK) return why_fail(WHY_EUNSUPPORTED, "%zu dimensions, at most %d are built", rank, WHY_MAX_RANK);
    *out = (why_shape){.rank = (int)rank};
    bool zero_copies = why_attr_int(b, "allowzero", 0) == 0;
    for (int i = 0; i < (int)rank; i++) {
        out->dim[i] = dims[i];
        if (dims[i] == 0 && zero_copies && i >= v->shape.rank) return why_fail(WHY_EFORMAT, "dimension %d is taken from the input, which has %d", i, v->shape.rank);
        if (dims[i] == 0 && zero_copies) out->dim[i] = v->shape.dim[i];
        if (i == 0 && is_batch(b, v, dims[i])) out->dim[i] = 1;
        if (dims[i] != -1) continue;
        if (open >= 0) return why_fail(WHY_EFORMAT, "two dimensions are left open");
        open = i;
    }
    return infer_open(&v->shape, open, out);
}

static why_status build_squeeze(const why_builder *b, why_node *node, why_shape *out) {
    (void)node;
    const why_value *v = NULL;
    const int64_t *axes;
    size_t n;
    unsigned set;
    WHY_TRY(source(b, &v));
    WHY_TRY(why_ints_of(b, "axes", 1, &axes, &n));
    WHY_TRY(why_axes(axes, n, v->shape.rank, &set));
    *out = (why_shape){0};
    for (int i = 0; i < v->shape.rank; i++) {
        bool batch = i == 0 && !v->data;
        bool drop = n ? set >> i & 1 : v->shape.dim[i] == 1 && !batch;
        if (drop && batch) return why_fail(WHY_EUNSUPPORTED, "axis 0 is the batch");
        if (drop && v->shape.dim[i] != 1) return why_fail(WHY_EFORMAT, "axis %d has %lld entries, want 1", i, (long long)v->shape.dim[i]);
        if (!drop) out->dim[out->rank++] = v->shape.dim[i];
    }
    return WHY_OK;
}

static why_status build_unsqueeze(const why_builder *b, why_node *node, why_shape *out) {
    (void)node;
    const why_value *v = NULL;
    const int64_t *axes;
    size_t n;
    unsigned set;
    WHY_TRY(source(b, &v));
    WHY_TRY(why_ints_of(b, "axes", 1, &axes, &n));
    if (n + (size_t)v->shape.rank > WHY_MAX_RANK) return why_fail(WHY_EUNSUPPORTED, "%zu dimensions, at most %d are built", n + (size_t)v->shape.rank, WHY_MAX_RANK);
    int rank = v->shape.rank + (int)n;
    WHY_TRY(why_axes(axes, n, rank, &set));
    *out = (why_shape){.rank = rank};
    for (int i = 0, from = 0; i < rank; i++) out->dim[i] = set >> i & 1 ? 1 : v->shape.dim[from++];
    return WHY_OK;
}

static int pieces(const why_node *n) { return why_even_pieces(n->size_out); }

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    int64_t from, to, at = image * r->node->size_out;
    why_even_piece(r->node->size_out, piece, &from, &to);
    memcpy(r->out + at + from, r->in[0] + at + from, (size_t)(to - from) * sizeof *r->out);
}

static void backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    int64_t from, to, at = image * r->node->size_out;
    why_even_piece(r->node->size_out, piece, &from, &to);
    for (int64_t i = at + from; i < at + to; i++) r->grad_in[0][i] += r->grad_out[i];
}

#define SHARED .flags = WHY_IS_VIEW | WHY_LINEAR, .pieces = pieces, .forward = forward, .back_pieces = pieces, .backward = {backward}

const why_op why_op_flatten = {.name = "Flatten", .build = build_flatten, SHARED};
const why_op why_op_reshape = {.name = "Reshape", .build = build_reshape, SHARED};
const why_op why_op_squeeze = {.name = "Squeeze", .build = build_squeeze, SHARED};
const why_op why_op_unsqueeze = {.name = "Unsqueeze", .build = build_unsqueeze, SHARED};
