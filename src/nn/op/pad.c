/* Pad with a constant, by reflection or with the border's value. (Pads of all zeros are dropped: build.c.) */
#include <string.h>

#include "nn/ops.h"

enum mode { CONSTANT, REFLECT, EDGE };

struct pad {
    enum mode mode;
    int rank;
    int64_t in[WHY_MAX_RANK], out[WHY_MAX_RANK], before[WHY_MAX_RANK];
    float value;
};

static why_status read_mode(const why_builder *b, struct pad *p) {
    const char *mode;
    WHY_TRY(why_attr_text(b, "mode", &mode));
    if (strcmp(mode, "") == 0 || strcmp(mode, "constant") == 0) p->mode = CONSTANT;
    else if (strcmp(mode, "reflect") == 0) p->mode = REFLECT;
    else if (strcmp(mode, "edge") == 0) p->mode = EDGE;
    else return why_fail(WHY_EUNSUPPORTED, "mode '%s', want constant, reflect or edge", mode);
    p->value = why_attr_float(b, "value", 0);
    if (!why_has_input(b, 2)) return WHY_OK;
    const why_value *v;
    WHY_TRY(why_input_floats(b, 2, "value", &v));
    if (why_shape_count(&v->shape) != 1) return why_fail(WHY_EFORMAT, "value: want one number");
    memcpy(&p->value, v->data, sizeof p->value);
    return WHY_OK;
}

static why_status set_size(struct pad *p, int i, int64_t size, int64_t before, int64_t after) {
    if (before < -size || after < -size || before > 1 << 20 || after > 1 << 20 || (i == 0 && (before || after)))
        return why_fail(WHY_EUNSUPPORTED, "pads %lld and %lld on axis %d of %lld entries", (long long)before, (long long)after, i, (long long)size);
    if (p->mode == REFLECT && (before >= size || after >= size))
        return why_fail(WHY_EFORMAT, "reflects %lld and %lld of %lld entries", (long long)before, (long long)after, (long long)size);
    p->in[i] = size;
    p->before[i] = before;
    p->out[i] = size + before + after;
    return WHY_OK;
}

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct pad *p;
    const int64_t *pads;
    size_t n;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_ints_of(b, "pads", 1, &pads, &n));
    if (why_has_input(b, 3)) return why_fail(WHY_EUNSUPPORTED, "a list of axes");
    if (n != 2 * (size_t)x->shape.rank) return why_fail(WHY_EFORMAT, "pads has %zu entries, want %d", n, 2 * x->shape.rank);
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    WHY_TRY(read_mode(b, p));
    p->rank = x->shape.rank;
    *out = x->shape;
    for (int i = 0; i < p->rank; i++) {
        WHY_TRY(set_size(p, i, x->shape.dim[i], pads[i], pads[i + p->rank]));
        out->dim[i] = p->out[i];
    }
    node->attr = p;
    return WHY_OK;
}

/* Where an output coordinate reads along one axis; -1: the constant. */
static int64_t fold_back(const struct pad *p, int axis, int64_t at) {
    int64_t n = p->in[axis];
    at -= p->before[axis];
    if (at >= 0 && at < n) return at;
    if (p->mode == CONSTANT) return -1;
    if (p->mode == EDGE) return at < 0 ? 0 : n - 1;
    return at < 0 ? -at : 2 * (n - 1) - at;
}

static int64_t source(const struct pad *p, int64_t at) {
    int64_t from = 0, stride = 1;
    for (int i = p->rank - 1; i >= 0; i--) {
        int64_t k = fold_back(p, i, at % p->out[i]);
        if (k < 0) return -1;
        from += k * stride;
        stride *= p->in[i];
        at /= p->out[i];
    }
    return from;
}

static int pieces(const why_node *n) { return why_even_pieces(n->size_out); }

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct pad *p = r->node->attr;
    int64_t from, to;
    why_even_piece(r->node->size_out, piece, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t k = source(p, i);
        r->out[image * r->node->size_out + i] = k < 0 ? p->value : r->in[0][image * r->node->size_in[0] + k];
    }
}

/* Reflected and repeated borders give their gradients to the same place: one piece per image. */
static void backward(const why_call *r, int image, int piece, int thread) {
    (void)piece, (void)thread;
    for (int64_t i = 0; i < r->node->size_out; i++) {
        int64_t k = source(r->node->attr, i);
        if (k >= 0) r->grad_in[0][image * r->node->size_in[0] + k] += r->grad_out[image * r->node->size_out + i];
    }
}

const why_op why_op_pad = {.name = "Pad", .flags = WHY_LINEAR, .build = build, .pieces = pieces, .forward = forward, .backward = {backward}};
