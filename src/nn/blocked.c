/* What operators share on the blocked layout. */
#include "nn/ops.h"

bool why_is_map(const why_shape *s) { return s->rank == 4 && why_shape_count(s) > 0; }

int64_t why_blocked_size(const why_shape *s, int width) { return (int64_t)why_blocks(s->dim[1], width) * width * why_map_plane(s); }

/* ---------------------------------------------------------------- element by element */
/* Whole blocks only: what a function makes of the zeros that fill a block up might not be zero. */
static bool fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    const why_shape *s = &g->values[n->out].shape;
    if (!why_is_map(s) || s->dim[1] % k->width) return false;
    for (int i = 0; i < n->n_in; i++)
        for (int d = 0; d < 4; d++)
            if (g->values[n->in[i]].shape.rank != 4 || g->values[n->in[i]].shape.dim[d] != s->dim[d]) return false;
    return true;
}

int why_elementwise_pieces(const why_call *c) { return c->n * c->node->op->pieces(c->node); }

void why_elementwise_forward(const why_call *c, int image, int piece, int thread) {
    enum { OPERANDS = 2 };
    const int each = c->node->op->pieces(c->node);
    const float *in[OPERANDS] = {NULL, NULL};
    image = piece / each;
    for (int i = 0; i < c->node->n_in && i < OPERANDS; i++) in[i] = c->in[i] + image * c->in_image[i];
    why_call one = *c;
    one.in = in;
    one.out = c->out + image * c->out_image;
    c->node->op->forward(&one, 0, piece % each, thread);
}

const why_blocked_op why_blocked_elementwise = {
    .fits = fits, .follows = true, .pieces = why_elementwise_pieces, .forward = why_elementwise_forward};

/* ---------------------------------------------------------------- weights */
why_status why_graph_pack(why_graph *g, const why_blocked *k) {
    const why_builder b = {.g = g};
    for (size_t i = 0; i < g->n_nodes; i++) {
        why_node *n = &g->nodes[i];
        const why_blocked_op *op = n->op->blocked;
        if (!n->live || !op || !op->pack || !op->fits(g, n, k)) continue;
        why_status st = op->pack(&b, n, k);
        if (st) return why_fail_in(st, "%s '%s'", n->op->name, n->name);
    }
    return WHY_OK;
}
