/* Rewrites of the finished graph. None changes what the logits are; what disappears keeps its name (value.became). */
#include "nn/graph.h"
#include "nn/ops.h"

int why_graph_current(const why_graph *g, int value) {
    while (g->values[value].became != WHY_ABSENT) value = g->values[value].became;
    return value;
}

static why_node *producer(const why_graph *g, int value) {
    int node = g->values[value].producer;
    return node == WHY_ABSENT ? NULL : &g->nodes[node];
}

/* ---------------------------------------------------------------- the end of the network */
static bool makes_probabilities(const why_op *op) { return op == &why_op_softmax || op == &why_op_log_softmax || op == &why_op_sigmoid; }

/* Scores are wanted before Softmax or Sigmoid, whatever reshaping comes behind it. */
static void cut_softmax(why_graph *g) {
    const why_node *n = producer(g, g->logits);
    while (n && (n->op->flags & WHY_IS_VIEW)) n = producer(g, n->in[0]);
    if (!n || !makes_probabilities(n->op)) return;
    g->logits = n->in[0];
    g->ends_in_softmax = true;
}

static why_status check_logits(const why_graph *g) {
    const why_value *v = &g->values[g->logits];
    int wide = 0;
    char text[96];
    if (v->producer == WHY_ABSENT) return why_fail(WHY_EUNSUPPORTED, "the class scores are the picture itself");
    for (int i = 0; i < v->shape.rank; i++) wide += v->shape.dim[i] > 1;
    if (wide <= 1 && why_shape_count(&v->shape) <= INT16_MAX * 32) return WHY_OK;
    return why_fail(WHY_EUNSUPPORTED, "output '%s' is %s per picture, want one row of class scores", v->name, why_shape_text(&v->shape, 1, text));
}

/* Liveness and the number of readers, from the logits backwards. */
static void mark_live(why_graph *g) {
    for (size_t i = 0; i < g->n_values; i++) g->values[i].uses = 0;
    for (size_t i = g->n_nodes; i-- > 0;) {
        why_node *n = &g->nodes[i];
        n->live = n->out == g->logits || g->values[n->out].uses > 0;
        for (int k = 0; n->live && k < n->n_in; k++) g->values[n->in[k]].uses++;
    }
}

/* ---------------------------------------------------------------- folding a node into the one before it */
/* The node that alone feeds `n`, when nobody else reads its output. */
static why_node *sole_feeder(const why_graph *g, const why_node *n) {
    if (n->n_in != 1 || g->values[n->in[0]].uses != 1 || n->in[0] == g->logits) return NULL;
    return producer(g, n->in[0]);
}

/* `into` now computes what `n` did. */
static void take_over(why_graph *g, why_node *into, why_node *n) {
    g->values[into->out].became = n->out;
    g->values[into->out].uses = 0;
    g->values[n->out].producer = (int)(into - g->nodes);
    into->out = n->out;
    g->layers[n->layer].folded_into = into->layer;
    n->live = false;
}

static why_status fold_batchnorm(why_graph *g, why_node *n) {
    why_node *conv = n->op == &why_op_batch_normalization ? sole_feeder(g, n) : NULL;
    int64_t weights, channels;
    const double *scale, *shift;
    const why_builder b = {.g = g};
    float *w, *bias;
    if (!conv || !why_conv_can_scale(conv, &weights, &channels)) return WHY_OK;
    WHY_TRY(why_take(&b, (size_t)weights, sizeof *w, &w));
    WHY_TRY(why_take(&b, (size_t)channels, sizeof *bias, &bias));
    why_batchnorm_affine(n, &scale, &shift);
    why_conv_scale(conv, w, bias, scale, shift);
    take_over(g, conv, n);
    return WHY_OK;
}

static void fold_bias(why_graph *g, why_node *n) {
    why_node *gemm = n->op == &why_op_add ? sole_feeder(g, n) : NULL;
    int64_t outputs;
    if (!gemm || !why_gemm_takes_bias(gemm, &outputs) || n->size_out != gemm->size_out) return;
    const float *bias = why_add_constant(n, outputs);
    if (!bias) return;
    why_gemm_set_bias(gemm, bias);
    take_over(g, gemm, n);
}

why_status why_graph_simplify(why_graph *g) {
    cut_softmax(g);
    WHY_TRY(check_logits(g));
    mark_live(g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i].live) continue;
        WHY_TRY(fold_batchnorm(g, &g->nodes[i]));
        fold_bias(g, &g->nodes[i]);
    }
    return WHY_OK;
}
