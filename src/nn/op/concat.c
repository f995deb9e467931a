/* Concat along one axis: every input is `outer` runs that land side by side. */
#include <string.h>

#include "nn/ops.h"

struct concat {
    int64_t outer;
    int64_t *run; /* floats of one run, per input */
    int64_t total;
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

const why_op why_op_concat = {.name = "Concat", .flags = WHY_LINEAR, .build = build, .pieces = pieces, .forward = forward, .backward = {backward}};
