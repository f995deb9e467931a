#include "whypix/model.h"

#include <stdlib.h>

#include "nn/graph.h"
#include "nn/kernel/blocked.h"

static void fill_info(why_model *m) {
    const why_graph *g = &m->graph;
    const why_shape *in = &g->values[g->input].shape;
    why_model_info *i = &m->info;
    i->path = m->path;
    i->channels = (int)in->dim[1];
    i->height = (int)in->dim[2];
    i->width = (int)in->dim[3];
    i->outputs = (int)why_shape_count(&g->values[g->logits].shape);
    i->classes = i->outputs == 1 ? 2 : i->outputs;
    i->opset = g->opset;
    i->ends_in_softmax = g->ends_in_softmax;
}

static why_status load(why_model *m, const why_model_options *options) {
    WHY_TRY(why_map_open(m->path, &m->file));
    WHY_TRY(why_arena_create(1 << 16, &m->graph.arena));
    WHY_TRY(why_onnx_load((why_span){m->file.data, m->file.size}, options, &m->graph));
    WHY_TRY(why_graph_simplify(&m->graph));
    WHY_TRY(why_blocked_of_cpu(&m->blocked));
    if (m->blocked) WHY_TRY(why_graph_pack(&m->graph, m->blocked));
    WHY_TRY(why_model_name_layers(m));
    fill_info(m);
    why_sha256(m->file.data, m->file.size, m->info.sha256);
    return WHY_OK;
}

why_status why_model_load(const char *path, const why_model_options *options, why_model **out) {
    why_model *m;
    *out = NULL;
    WHY_TRY(why_alloc(1, sizeof *m, "model", &m));
    why_status st = why_strdup(path, &m->path);
    if (!st) st = load(m, options);
    if (st) {
        why_model_destroy(&m);
        return why_fail_in(st, "model '%s'", path);
    }
    *out = m;
    return WHY_OK;
}

void why_model_destroy(why_model **model) {
    why_model *m = *model;
    if (!m) return;
    free(m->graph.values);
    free(m->graph.nodes);
    free(m->graph.layers);
    why_names_clear(&m->graph.tensors);
    why_names_clear(&m->names);
    why_arena_destroy(&m->graph.arena);
    why_map_close(&m->file);
    free(m->layers);
    free(m->path);
    free(m);
    *model = NULL;
}

const why_model_info *why_model_get_info(const why_model *m) { return &m->info; }

const why_layer *why_model_layers(const why_model *m, int *n) {
    *n = m->n_layers;
    return m->layers;
}
