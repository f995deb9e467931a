/* GlobalAveragePool, ReduceMean, ReduceSum over neighbouring axes. Sums run in double: a plane's mean then does not depend
 * on how a faster loop would group it. */
#include "nn/ops.h"

struct reduce {
    int64_t outer, length, inner; /* element (o, k, i) at (o * length + k) * inner + i; k is summed over */
    float factor;
};

static why_status lay_out(const why_builder *b, const why_shape *s, unsigned axes, bool keep, bool mean, why_node *node, why_shape *out) {
    struct reduce *p;
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    *p = (struct reduce){1, 1, 1, 1};
    if (axes & 1) return why_fail(WHY_EUNSUPPORTED, "axis 0 mixes the images of a batch");
    bool begun = false, over = false;
    *out = (why_shape){0};
    for (int i = 0; i < s->rank; i++) {
        bool in = axes >> i & 1;
        if (in && over) return why_fail(WHY_EUNSUPPORTED, "the axes are not neighbours");
        over = over || (begun && !in);
        begun = begun || in;
        *(in ? &p->length : begun ? &p->inner : &p->outer) *= s->dim[i];
        if (!in) out->dim[out->rank++] = s->dim[i];
        else if (keep) out->dim[out->rank++] = 1;
    }
    if (mean && p->length > 0) p->factor = 1.0f / (float)p->length;
    node->attr = p;
    return WHY_OK;
}

static why_status build_global(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank < 3) return why_fail(WHY_EFORMAT, "input has %d dimensions, want 3 or more", x->shape.rank);
    return lay_out(b, &x->shape, (1u << x->shape.rank) - 4, true, true, node, out);
}

static why_status build_axes(const why_builder *b, bool mean, why_node *node, why_shape *out) {
    const why_value *x;
    const int64_t *axes;
    size_t n;
    unsigned set;
    WHY_TRY(why_input(b, 0, &x));
    WHY_TRY(why_ints_of(b, "axes", 1, &axes, &n));
    if (n == 0) return why_fail(WHY_EUNSUPPORTED, "without axes it mixes the images of a batch");
    WHY_TRY(why_axes(axes, n, x->shape.rank, &set));
    return lay_out(b, &x->shape, set, why_attr_int(b, "keepdims", 1) != 0, mean, node, out);
}

static why_status build_mean(const why_builder *b, why_node *node, why_shape *out) { return build_axes(b, true, node, out); }
static why_status build_sum(const why_builder *b, why_node *node, why_shape *out) { return build_axes(b, false, node, out); }

static int pieces(const why_node *n) {
    const struct reduce *p = n->attr;
    return why_plane_pieces(p->outer, p->length * p->inner);
}

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct reduce *p = r->node->attr;
    int64_t from, to;
    why_plane_piece(p->outer, p->length * p->inner, piece, &from, &to);
    for (int64_t o = from; o < to; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            const float *x = r->in[0] + image * r->node->size_in[0] + o * p->length * p->inner + i;
            double sum = 0;
            for (int64_t k = 0; k < p->length; k++) sum += x[k * p->inner];
            r->out[image * r->node->size_out + o * p->inner + i] = (float)(sum * p->factor);
        }
}

static void backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct reduce *p = r->node->attr;
    int64_t from, to;
    why_plane_piece(p->outer, p->length * p->inner, piece, &from, &to);
    for (int64_t o = from; o < to; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            const float share = r->grad_out[image * r->node->size_out + o * p->inner + i] * p->factor;
            float *dx = r->grad_in[0] + image * r->node->size_in[0] + o * p->length * p->inner + i;
            for (int64_t k = 0; k < p->length; k++) dx[k * p->inner] += share;
        }
}

/* ---------------------------------------------------------------- on the blocked layout: the mean of every plane, one by one */
static bool blocked_fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    (void)k;
    const why_shape *s = &g->values[n->in[0]].shape;
    const struct reduce *p = n->attr;
    return why_is_map(s) && p->inner == 1 && p->outer == s->dim[1] && p->length == why_map_plane(s);
}

static int blocked_pieces(const why_call *r) { return r->n * why_blocks(((const struct reduce *)r->node->attr)->outer, r->blocked->width); }

static void blocked_forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct reduce *p = r->node->attr;
    const int width = r->blocked->width, blocks = why_blocks(p->outer, width), block = piece % blocks;
    const int64_t first = (int64_t)block * width, left = p->outer - first;
    image = piece / blocks;
    r->blocked->mean(r->in[0] + image * r->in_image[0] + first * p->length, p->length, left < width ? (int)left : width,
                     r->out + image * r->out_image + first);
}

static const why_blocked_op blocked_mean = {.fits = blocked_fits, .follows = true, .writes_plain = true, .pieces = blocked_pieces,
                                            .forward = blocked_forward};

#define SHARED .pieces = pieces, .forward = forward, .back_pieces = pieces, .backward = {backward}

const why_op why_op_global_average_pool = {.name = "GlobalAveragePool", .flags = WHY_POOLS | WHY_LINEAR, .build = build_global, .blocked = &blocked_mean, SHARED};
const why_op why_op_reduce_mean = {.name = "ReduceMean", .flags = WHY_POOLS | WHY_LINEAR, .build = build_mean, .blocked = &blocked_mean, SHARED};
const why_op why_op_reduce_sum = {.name = "ReduceSum", .flags = WHY_LINEAR, .build = build_sum, SHARED};
