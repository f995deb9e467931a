/* Nodes of the file -> values and nodes of the network, in one pass: what has only constant inputs is computed now, what
 * does nothing is dropped under its name, everything else gets a shape and the operator's own attributes. */
#include <stdio.h>
#include <string.h>

#include "nn/graph.h"
#include "nn/ops.h"

why_status why_shape_check(const why_shape *s, int64_t *count) {
    *count = 1;
    char text[96];
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0) return why_fail(WHY_EFORMAT, "shape %s has a negative size", why_shape_text(s, 0, text));
    for (int i = 0; i < s->rank; i++) {
        if (__builtin_mul_overflow(*count, s->dim[i], count) || *count > WHY_MAX_ELEMENTS)
            return why_fail(WHY_ELIMIT, "shape %s has more than 2^31 elements", why_shape_text(s, 0, text));
    }
    return WHY_OK;
}

const char *why_shape_text(const why_shape *s, int first, char buf[96]) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = first; i < s->rank && used < 90; i++) {
        int n = snprintf(buf + used, 96 - used, "%s%lld", i > first ? "x" : "", (long long)s->dim[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buf[0] ? buf : "scalar";
}

why_status why_graph_add_value(why_graph *g, const why_value *v, int *id) {
    WHY_TRY(why_grow(&g->values, &g->capacity_values, g->n_values + 1, sizeof *v, "tensors of the model"));
    *id = (int)g->n_values;
    g->values[g->n_values] = *v;
    g->values[g->n_values++].became = WHY_ABSENT;
    return WHY_OK;
}

static const char *node_name(const why_proto_node *p) { return p->name[0] ? p->name : p->out[0]; }

static why_status note_layer(why_graph *g, const why_proto_node *p, int value, int folded_into, int node) {
    WHY_TRY(why_grow(&g->layers, &g->capacity_layers, g->n_layers + 1, sizeof *g->layers, "layers of the model"));
    g->layers[g->n_layers++] = (why_layer_note){node_name(p), p->op_type, p->out[0], value, folded_into, node};
    return WHY_OK;
}

/* Masks, indices and running statistics: they exist, but nothing that whypix runs may read them. */
enum { SECOND_OUTPUT = 1 << 30 };

static why_status name_second_outputs(const why_builder *b) {
    for (int i = 1; i < b->proto->n_out; i++)
        if (b->proto->out[i][0]) WHY_TRY(why_names_put(&b->g->tensors, b->proto->out[i], SECOND_OUTPUT));
    return WHY_OK;
}

static int layer_of(const why_graph *g, int value) {
    int node = g->values[value].producer;
    return node == WHY_ABSENT ? WHY_ABSENT : g->nodes[node].layer;
}

/* ---------------------------------------------------------------- what becomes nothing */
static bool is_transpose_of_input(const why_builder *b) {
    return b->g->input_nhwc && strcmp(b->proto->op_type, "Transpose") == 0 && b->in[0] == b->g->input;
}

static why_status pads_nothing(const why_builder *b, bool *yes) {
    const int64_t *pads;
    size_t n;
    WHY_TRY(why_ints_of(b, "pads", 1, &pads, &n));
    *yes = n > 0;
    for (size_t i = 0; i < n; i++) *yes = *yes && pads[i] == 0;
    return WHY_OK;
}

static why_status does_nothing(const why_builder *b, bool *yes) {
    const char *op = b->proto->op_type;
    *yes = false;
    if (!why_has_input(b, 0)) return WHY_OK;
    if (strcmp(op, "Pad") == 0) return pads_nothing(b, yes);
    *yes = strcmp(op, "Identity") == 0 || strcmp(op, "Dropout") == 0 || strcmp(op, "Cast") == 0 || is_transpose_of_input(b);
    if (strcmp(op, "Cast") == 0 && why_attr_int(b, "to", 1) != 1)
        return why_fail(WHY_EUNSUPPORTED, "a feature map is cast to element type %lld, want float", (long long)why_attr_int(b, "to", 1));
    return WHY_OK;
}

static why_status drop_node(const why_builder *b) {
    why_graph *g = b->g;
    WHY_TRY(why_names_put(&g->tensors, b->proto->out[0], b->in[0]));
    if (g->values[b->in[0]].data) return WHY_OK;
    return note_layer(g, b->proto, b->in[0], layer_of(g, b->in[0]), WHY_ABSENT);
}

/* ---------------------------------------------------------------- what becomes a constant */
static bool all_constant(const why_builder *b) {
    for (int i = 0; i < b->proto->n_in; i++)
        if (b->in[i] != WHY_ABSENT && !b->g->values[b->in[i]].data) return false;
    return true;
}

static why_status fold_node(const why_builder *b) {
    why_value v = {.producer = WHY_ABSENT};
    int64_t count;
    int id;
    WHY_TRY(why_fold(b, &v));
    WHY_TRY(why_shape_check(&v.shape, &count));
    v.name = b->proto->out[0];
    WHY_TRY(why_graph_add_value(b->g, &v, &id));
    return why_names_put(&b->g->tensors, v.name, id);
}

/* ---------------------------------------------------------------- what becomes a node */
static why_status gather_inputs(const why_builder *b, why_node *node) {
    why_graph *g = b->g;
    WHY_TRY(why_take(b, (size_t)b->proto->n_in, sizeof *node->in, &node->in));
    WHY_TRY(why_take(b, (size_t)b->proto->n_in, sizeof *node->size_in, &node->size_in));
    for (int i = 0; i < b->proto->n_in; i++) {
        int v = b->in[i];
        if (v == WHY_ABSENT) continue;
        if (!g->values[v].data) {
            node->size_in[node->n_in] = why_shape_count(&g->values[v].shape);
            node->in[node->n_in++] = v;
        } else if (g->values[v].type == WHY_FLOAT && !g->values[v].counted) {
            int64_t n = why_shape_count(&g->values[v].shape);
            if (!(node->op->flags & WHY_LEARNS) && n < 2) continue; /* a clamp's bound, a scale: set, not learned */
            g->values[v].counted = true;
            node->parameters += n;
        }
    }
    return WHY_OK;
}

static why_status check_output(const why_shape *out, int64_t *count) {
    char text[96];
    WHY_TRY(why_shape_check(out, count));
    if (*count == 0) return why_fail(WHY_EFORMAT, "the output would be empty (%s)", why_shape_text(out, 0, text));
    if (out->rank == 0 || out->dim[0] != 1)
        return why_fail(WHY_EUNSUPPORTED, "the output %s mixes the images of a batch", why_shape_text(out, 0, text));
    return WHY_OK;
}

static why_status add_node(const why_builder *b) {
    why_graph *g = b->g;
    why_node node = {.name = node_name(b->proto), .op = why_op_find(b->proto->op_type), .layer = (int)g->n_layers};
    if (!node.op) return why_fail(WHY_EUNSUPPORTED, "works on constants only, but '%s' depends on the picture", b->proto->in[0]);
    why_shape shape = {0};
    WHY_TRY(node.op->build(b, &node, &shape));
    WHY_TRY(check_output(&shape, &node.size_out));
    WHY_TRY(gather_inputs(b, &node));
    why_value v = {.name = b->proto->out[0], .shape = shape, .producer = (int)g->n_nodes};
    WHY_TRY(why_graph_add_value(g, &v, &node.out));
    WHY_TRY(why_names_put(&g->tensors, v.name, node.out));
    WHY_TRY(why_grow(&g->nodes, &g->capacity_nodes, g->n_nodes + 1, sizeof node, "nodes of the model"));
    g->nodes[g->n_nodes++] = node;
    return note_layer(g, b->proto, node.out, WHY_ABSENT, v.producer);
}

/* ---------------------------------------------------------------- the pass */
static bool written_later(const why_proto_node *nodes, int n, const char *tensor) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < nodes[i].n_out; k++)
            if (strcmp(nodes[i].out[k], tensor) == 0) return true;
    return false;
}

static why_status find_inputs(const why_graph *g, const why_proto_node *nodes, int n, int at, int *in) {
    const why_proto_node *p = &nodes[at];
    for (int i = 0; i < p->n_in; i++) {
        in[i] = p->in[i][0] ? why_names_get(&g->tensors, p->in[i]) : WHY_ABSENT;
        if (!p->in[i][0] || (in[i] >= 0 && in[i] != SECOND_OUTPUT)) continue;
        if (in[i] >= 0) return why_fail(WHY_EUNSUPPORTED, "reads '%s', a second output of its operator", p->in[i]);
        if (written_later(nodes + at, n - at, p->in[i]))
            return why_fail(WHY_EFORMAT, "reads '%s', which is only written later: a cycle, or nodes out of order", p->in[i]);
        return why_fail(WHY_EFORMAT, "reads '%s', which nothing writes", p->in[i]);
    }
    return WHY_OK;
}

static why_status build_node(why_graph *g, const why_proto_node *nodes, int n, int at) {
    const why_proto_node *p = &nodes[at];
    int *in;
    why_builder b = {.g = g, .proto = p};
    WHY_TRY(why_take(&b, (size_t)p->n_in, sizeof *in, &in));
    WHY_TRY(find_inputs(g, nodes, n, at, in));
    b.in = in;
    if (why_names_get(&g->tensors, p->out[0]) >= 0) return why_fail(WHY_EFORMAT, "writes '%s', which is written already", p->out[0]);
    WHY_TRY(name_second_outputs(&b));
    if (strcmp(p->op_type, "Shape") == 0) return fold_node(&b);
    if (all_constant(&b)) {
        if (p->n_in > 0 && (strcmp(p->op_type, "Identity") == 0 || strcmp(p->op_type, "Dropout") == 0)) return drop_node(&b);
        if (!why_fold_knows(p->op_type)) return why_fail(WHY_EUNSUPPORTED, "has only constant inputs");
        return fold_node(&b);
    }
    bool nothing;
    WHY_TRY(does_nothing(&b, &nothing));
    return nothing ? drop_node(&b) : add_node(&b);
}

why_status why_graph_build(why_graph *g, const why_proto_node *nodes, int n, const char *output) {
    for (int i = 0; i < n; i++) {
        why_status st = build_node(g, nodes, n, i);
        if (st) return why_fail_in(st, "%s '%s'", nodes[i].op_type, node_name(&nodes[i]));
    }
    g->logits = why_names_get(&g->tensors, output);
    if (g->logits < 0 || g->logits == SECOND_OUTPUT) return why_fail(WHY_EFORMAT, "no node writes the output '%s'", output);
    if (g->values[g->logits].producer == WHY_ABSENT) return why_fail(WHY_EUNSUPPORTED, "the output '%s' does not depend on the picture", output);
    return WHY_OK;
}
