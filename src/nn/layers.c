/* How users see the network: layers, their names, the one that Grad-CAM takes. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "nn/graph.h"
#include "nn/ops.h"
#include "whypix/param.h"

why_shape why_public_shape(const why_shape *s) {
    why_shape out = {.rank = s->rank > 0 ? s->rank - 1 : 0};
    for (int i = 0; i < out.rank; i++) out.dim[i] = s->dim[i + 1];
    return out;
}

static bool is_feature_map(const why_shape *s) { return s->rank == 4 && (s->dim[2] > 1 || s->dim[3] > 1); }

/* ---------------------------------------------------------------- the layer for Grad-CAM */
static const why_node *producer(const why_graph *g, int value) {
    int n = g->values[value].producer;
    return n == WHY_ABSENT ? NULL : &g->nodes[n];
}

static bool is_activation(const why_op *op) { return op->as_clamp || op == &why_op_leaky_relu || op == &why_op_sigmoid || op == &why_op_tanh; }

/* Operators of a head that only pools what a 1x1 Conv has already made one map per class. */
static bool only_pools(const why_op *op) { return is_activation(op) || (op->flags & (WHY_POOLS | WHY_IS_VIEW)); }

/* Back from the logits to the first feature map; *plain: nothing on the way has weights. */
static int last_feature_map(const why_graph *g, bool *plain) {
    int v = g->logits;
    *plain = true;
    for (const why_node *n = producer(g, v); n && !is_feature_map(&g->values[v].shape); n = producer(g, v)) {
        *plain = *plain && only_pools(n->op);
        v = n->in[0];
    }
    return v;
}

/* A head may begin with pooling or padding of the last feature map (VGG, AlexNet): the layer meant is the one before. */
static int before_pooling(const why_graph *g, int v) {
    for (const why_node *n = producer(g, v); n && ((n->op->flags & WHY_POOLS) || n->op == &why_op_pad); n = producer(g, v)) v = n->in[0];
    return v;
}

/* SqueezeNet: 1x1 Conv to the classes, activation, global pooling. That Conv is the classifier. */
static int before_class_maps(const why_graph *g, int v) {
    int outputs, at = v;
    const why_node *n = producer(g, at);
    while (n && is_activation(n->op)) n = producer(g, at = n->in[0]);
    if (!n || !why_conv_is_pointwise(n, &outputs) || outputs != why_shape_count(&g->values[g->logits].shape)) return v;
    return n->in[0];
}

static int find_last_conv(const why_graph *g) {
    bool plain;
    int v = before_pooling(g, last_feature_map(g, &plain));
    if (plain) v = before_class_maps(g, v);
    return v != g->input && is_feature_map(&g->values[v].shape) ? v : WHY_ABSENT;
}

/* ---------------------------------------------------------------- the list of layers */
static const why_layer_note *computing_layer(const why_graph *g, const why_layer_note *note) {
    while (note->folded_into != WHY_ABSENT) note = &g->layers[note->folded_into];
    return note;
}

/* Does the logits' computation contain it? */
static bool is_listed(const why_graph *g, const why_layer_note *note) {
    const why_layer_note *by = computing_layer(g, note);
    return by->node == WHY_ABSENT ? by->value == g->input : g->nodes[by->node].live;
}

static void describe_layer(const why_graph *g, const why_layer_note *note, why_layer *out) {
    const why_layer_note *by = computing_layer(g, note);
    const why_value *v = &g->values[why_graph_current(g, note->value)];
    *out = (why_layer){.name = note->name, .output = note->output, .op = note->op, .shape = why_public_shape(&v->shape)};
    out->cam = is_feature_map(&v->shape) && v->producer != WHY_ABSENT;
    if (note->node != WHY_ABSENT) {
        out->parameters = g->nodes[note->node].parameters;
        out->macs = g->nodes[note->node].macs;
        if (by != note) out->folded_into = by->name;
    } else {
        out->folded_into = by->node == WHY_ABSENT ? "input" : by->name;
    }
}

static why_status put_name(why_model *m, const char *name, int value) {
    return why_names_get(&m->names, name) >= 0 ? WHY_OK : why_names_put(&m->names, name, value);
}

why_status why_model_name_layers(why_model *m) {
    const why_graph *g = &m->graph;
    WHY_TRY(why_alloc(g->n_layers, sizeof *m->layers, "layers of the model", &m->layers));
    WHY_TRY(put_name(m, g->values[g->input].name, g->input));
    for (size_t i = 0; i < g->n_layers; i++) {
        const why_layer_note *note = &g->layers[i];
        if (!is_listed(g, note)) continue;
        describe_layer(g, note, &m->layers[m->n_layers]);
        m->info.parameters += m->layers[m->n_layers].parameters;
        m->info.macs += m->layers[m->n_layers++].macs;
        WHY_TRY(put_name(m, note->output, why_graph_current(g, note->value)));
    }
    for (size_t i = 0; i < g->n_layers; i++) /* a tensor's name wins over a node's */
        if (is_listed(g, &g->layers[i])) WHY_TRY(put_name(m, g->layers[i].name, why_graph_current(g, g->layers[i].value)));
    m->last_conv = find_last_conv(g);
    return WHY_OK;
}

/* ---------------------------------------------------------------- resolving */
static why_status unknown(const why_model *m, const char *name) {
    const char **all;
    size_t n = 0;
    WHY_TRY(why_alloc(2 * (size_t)m->n_layers + 2, sizeof *all, "names of layers", &all));
    for (int i = 0; i < m->n_layers; i++) {
        all[n++] = m->layers[i].name;
        all[n++] = m->layers[i].output;
    }
    all[n++] = "last_conv";
    all[n++] = "input";
    const char *near = why_nearest(name, all, n);
    free(all);
    if (near) return why_fail(WHY_EARG, "the model has no layer '%s': did you mean '%s'?", name, near);
    return why_fail(WHY_EARG, "the model has no layer '%s' (whypix model lists them)", name);
}

why_status why_model_value(const why_model *m, const char *name, int *value) {
    *value = strcmp(name, "input") == 0 ? m->graph.input : strcmp(name, "last_conv") == 0 ? m->last_conv : why_names_get(&m->names, name);
    if (*value >= 0) return WHY_OK;
    if (strcmp(name, "last_conv") == 0) return why_fail(WHY_EARG, "the model has no feature map with side > 1: name a layer");
    return unknown(m, name);
}

why_status why_model_resolve(const why_model *m, const char *name, const char **tensor) {
    int v;
    *tensor = NULL;
    WHY_TRY(why_model_value(m, name, &v));
    *tensor = m->graph.values[v].name;
    return WHY_OK;
}

/* ---------------------------------------------------------------- the table for people */
static int longest(const why_model *m, size_t at) {
    size_t n = 5;
    for (int i = 0; i < m->n_layers; i++) {
        const char *text;
        memcpy(&text, (const char *)&m->layers[i] + at, sizeof text);
        if (strlen(text) > n) n = strlen(text);
    }
    return (int)n;
}

/* "20 Conv, 17 Relu, 8 Add, 1 Gemm", in order of appearance: convolutions, fully connected layers, residual additions at a glance. */
static void put_operators(const why_model *m, why_buf *b) {
    for (int k = 0; k < m->n_layers; k++) {
        int n = 0, earlier = 0;
        for (int j = 0; j < m->n_layers; j++) {
            const bool same = strcmp(m->layers[j].op, m->layers[k].op) == 0;
            n += same;
            earlier += same && j < k;
        }
        if (earlier == 0) why_buf_printf(b, "%s%d %s", k ? ", " : "", n, m->layers[k].op);
    }
    why_buf_text(b, "\n");
}

why_status why_model_describe(const why_model *m, char **text) {
    const why_model_info *i = &m->info;
    const int name = longest(m, offsetof(why_layer, name)), op = longest(m, offsetof(why_layer, op));
    const char *last = m->last_conv == WHY_ABSENT ? NULL : m->graph.values[m->last_conv].name;
    why_buf b = {0};
    char shape[96];
    why_buf_printf(&b, "%s\nsha256 %s\ninput %dx%dx%d, %d outputs%s, opset %d\n\n", i->path, i->sha256, i->channels, i->height, i->width, i->outputs,
                   i->ends_in_softmax ? " (taken before the final softmax or sigmoid)" : "", i->opset);
    why_buf_printf(&b, "%-*s  %-*s  %14s  %11s  %12s  %s\n", name, "layer", op, "op", "output", "parameters", "MACs", "");
    for (int k = 0; k < m->n_layers; k++) {
        const why_layer *l = &m->layers[k];
        bool is_last = last && strcmp(l->output, last) == 0;
        why_buf_printf(&b, "%-*s  %-*s  %14s  %11" PRId64 "  %12" PRId64 "  %s%s%s%s\n", name, l->name, op, l->op, why_shape_text(&l->shape, 0, shape),
                       l->parameters, l->macs, l->cam ? "cam" : "", is_last ? ", last_conv" : "", l->folded_into ? " in " : "",
                       l->folded_into ? l->folded_into : "");
    }
    why_buf_printf(&b, "\n%d layers, %" PRId64 " parameters, %" PRId64 " multiply-accumulates per picture\n", m->n_layers, i->parameters, i->macs);
    put_operators(m, &b);
    why_buf_printf(&b, "cam = usable as --layer for Grad-CAM; last_conv = %s\n", last ? last : "none");
    why_status st = why_buf_take(&b, text);
    why_buf_clear(&b);
    return st;
}
