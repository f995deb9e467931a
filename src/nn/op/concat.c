/* Concat along one axis: every input is `outer` runs that land side by side. */
#include <string.h>

#include "nn/ops.h"

struct concat {
    int64_t outer;
    int64_t *run; /* floats of one run, per input */
    int64_t total;
    int axis;
    int64_t plane; /* of an entry along the axis */
};

static why_status check_shape(const why_builder *b, int i, int axis, const why_shape *first) {
    const why_value *v;
    char got[96], want[96];
    WHY_TRY(why_input(b, i, &v));
    bool fits = v->shape.rank == first->rank;
    for (int d = 0; fits && d < first->rank; d++) fits = d == axis || v->shape.dim[d] == first->dim[d];
    if (fits) return WHY_OK;
    return why_fail(WHY_EFORMAT, "input %d is %s, input 0 is %s", i, why_shape_text(&v->shape, 0, got), why_shape_text(first, 0, want));
}

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *first;
    struct concat *p;
    int axis;
    WHY_TRY(why_input(b, 0, &first));
    WHY_TRY(why_axis(why_attr_int(b, "axis", 1), first->shape.rank, &axis));
    if (axis == 0) return why_fail(WHY_EUNSUPPORTED, "axis 0 joins the images of a batch");
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    WHY_TRY(why_take(b, (size_t)b->proto->n_in, sizeof *p->run, &p->run));
    *out = first->shape;
    out->dim[axis] = 0;
    p->outer = 1;
    p->axis = axis;
    p->plane = 1;
    for (int d = axis + 1; d < first->shape.rank; d++) p->plane *= first->shape.dim[d];
    for (int d = 0; d < axis; d++) p->outer *= first->shape.dim[d];
    for (int i = 0; i < b->proto->n_in; i++) {
        WHY_TRY(check_shape(b, i, axis, &first->shape));
        const why_shape *s = &b->g->values[b->in[i]].shape;
        p->run[i] = why_shape_count(s) / p->outer;
        p->total += p->run[i];
        out->dim[axis] += s->dim[axis];
    }
    node->attr = p;
    return WHY_OK;
}

/* One piece per input. */
static int pieces(const why_node *n) { return n->n_in; }

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct concat *p = r->node->attr;
    float *y = r->out + image * r->node->size_out;
    for (int i = 0; i < piece; i++) y += p->run[i];
    const float *x = r->in[piece] + image * r->node->size_in[piece];
    for (int64_t o = 0; o < p->outer; o++) memcpy(y + o * p->total, x + o * p->run[piece], (size_t)p->run[piece] * sizeof *y);
}

/* The same tensor may be joined twice, so the inputs of one image are done in order. */
static void backward(const why_call *r, int image, int piece, int thread) {
    (void)piece, (void)thread;
    const struct concat *p = r->node->attr;
    const float *dy = r->grad_out + image * r->node->size_out;
    for (int i = 0; i < r->node->n_in; dy += p->run[i++]) {
        if (!r->grad_in[i]) continue;
        float *dx = r->grad_in[i] + image * r->node->size_in[i];
        for (int64_t o = 0; o < p->outer; o++)
            for (int64_t k = 0; k < p->run[i]; k++) dx[o * p->run[i] + k] += dy[o * p->total + k];
    }
}

/* ---------------------------------------------------------------- on the blocked layout */
/* Joined along channels, where every input but the last is of whole blocks. The plan lets inputs be written where they belong
 * (in = NULL); what is left is copied, one piece per image and input. */
static bool blocked_fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    const struct concat *p = n->attr;
    if (!why_is_map(&g->values[n->out].shape) || p->axis != 1) return false;
    for (int i = 0; i < n->n_in; i++) {
        const why_shape *s = &g->values[n->in[i]].shape;
        if (!why_is_map(s) || (i + 1 < n->n_in && s->dim[1] % k->width)) return false;
    }
    return true;
}

static int blocked_pieces(const why_call *r) { return r->n * r->node->n_in; }

static void blocked_forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct concat *p = r->node->attr;
    const int input = piece % r->node->n_in;
    image = piece / r->node->n_in;
    if (!r->in[input]) return;
    const int width = r->blocked->width;
    const int64_t size = (int64_t)why_blocks(p->run[input] / p->plane, width) * width * p->plane;
    float *y = r->out + image * r->out_image;
    for (int i = 0; i < input; i++) y += p->run[i];
    memcpy(y, r->in[input] + image * r->in_image[input], (size_t)size * sizeof *y);
}

static const why_blocked_op blocked = {.fits = blocked_fits, .follows = true, .pieces = blocked_pieces, .forward = blocked_forward};

const why_op why_op_concat = {.name = "Concat", .flags = WHY_LINEAR, .build = build, .pieces = pieces, .forward = forward, .backward = {backward}, .blocked = &blocked};
