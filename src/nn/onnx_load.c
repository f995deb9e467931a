/* ModelProto -> nodes of the file, constants and the input; then build.c makes the network of them. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "nn/graph.h"
#include "nn/ops.h"

enum { OLDEST_OPSET = 7, NEWEST_OPSET = 21 };

struct loader {
    why_graph *g;
    why_span graph;
    why_proto_node *nodes;
    int n_nodes, n_inputs, n_outputs;
    const char *output;
    why_value input;
    int64_t dims[4];      /* of the input, 0 = open */
    why_buf missing;
};

/* ---------------------------------------------------------------- model */
static why_status read_opset(why_arena *arena, why_span m, int *opset) {
    const char *domain = "";
    uint64_t version = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) break;
        if (f.number == 1) WHY_TRY(why_wire_text(arena, f.bytes, &domain));
        if (f.number == 2) version = f.value;
    }
    if (domain[0] && strcmp(domain, "ai.onnx") != 0) return WHY_OK;
    if (version < OLDEST_OPSET || version > NEWEST_OPSET)
        return why_fail(WHY_EUNSUPPORTED, "opset %llu, want %d to %d", (unsigned long long)version, OLDEST_OPSET, NEWEST_OPSET);
    *opset = (int)version;
    return WHY_OK;
}

static why_status read_model(struct loader *l, why_span m) {
    if (m.size == 0) return why_fail(WHY_EFORMAT, "the file is empty, want an ONNX model");
    bool has_version = false; /* ModelProto begins with its ir_version */
    for (why_field f;;) {
        why_status st = why_wire_next(&m, &f);
        if (st) return why_fail_in(st, has_version ? "truncated or damaged ONNX file" : "not an ONNX file");
        if (f.number == 0) break;
        if (f.number == 1 && f.type == WHY_WIRE_VARINT) has_version = true;
        if (f.number == 7 && f.type == WHY_WIRE_BYTES) l->graph = f.bytes;
        if (f.number != 8 || f.type != WHY_WIRE_BYTES) continue;
        WHY_TRY(read_opset(l->g->arena, f.bytes, &l->g->opset));
    }
    if (!l->graph.data) return why_fail(WHY_EFORMAT, "not an ONNX file: it holds no graph");
    if (l->g->opset == 0) return why_fail(WHY_EFORMAT, "the file names no opset of the standard operators");
    return WHY_OK;
}

/* ---------------------------------------------------------------- nodes */
static why_status read_attribute(why_arena *arena, why_span m, why_attr *a) {
    *a = (why_attr){.name = "", .message = m};
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) return WHY_OK;
        uint32_t word = (uint32_t)f.value;
        switch (f.number) {
        case 1: WHY_TRY(why_wire_text(arena, f.bytes, &a->name)); break;
        case 2: memcpy(&a->f, &word, sizeof word); a->has_f = true; break;
        case 3: memcpy(&a->i, &f.value, sizeof a->i); a->has_i = true; break;
        case 4: a->s = f.bytes; break;
        case 5: a->tensor = f.bytes; a->has_tensor = true; break;
        default: break;
        }
    }
}

static why_status count_fields(why_span m, uint32_t number, int *n) {
    *n = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) return WHY_OK;
        if (f.number != number) continue;
        if (f.type != WHY_WIRE_BYTES) return why_fail(WHY_EFORMAT, "field %u has wire type %d", number, (int)f.type);
        ++*n;
    }
}

static why_status read_node(why_arena *arena, why_span m, why_proto_node *p) {
    *p = (why_proto_node){.name = "", .op_type = "", .domain = ""};
    int n_in, n_out, n_attr;
    WHY_TRY(count_fields(m, 1, &n_in));
    WHY_TRY(count_fields(m, 2, &n_out));
    WHY_TRY(count_fields(m, 5, &n_attr));
    p->in = why_arena_take(arena, (size_t)n_in * sizeof *p->in);
    p->out = why_arena_take(arena, (size_t)n_out * sizeof *p->out);
    p->attr = why_arena_take(arena, (size_t)n_attr * sizeof *p->attr);
    if (!p->in || !p->out || !p->attr) return WHY_ENOMEM;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        switch (f.number) {
        case 0: return WHY_OK;
        case 1: WHY_TRY(why_wire_text(arena, f.bytes, &p->in[p->n_in++])); break;
        case 2: WHY_TRY(why_wire_text(arena, f.bytes, &p->out[p->n_out++])); break;
        case 3: WHY_TRY(why_wire_text(arena, f.bytes, &p->name)); break;
        case 4: WHY_TRY(why_wire_text(arena, f.bytes, &p->op_type)); break;
        case 5: WHY_TRY(read_attribute(arena, f.bytes, &p->attr[p->n_attr++])); break;
        case 7: WHY_TRY(why_wire_text(arena, f.bytes, &p->domain)); break;
        default: break;
        }
    }
}

static why_status read_nodes(struct loader *l) {
    int n;
    WHY_TRY(count_fields(l->graph, 1, &n));
    if (n == 0) return why_fail(WHY_EFORMAT, "the graph has no nodes");
    if (n > WHY_MAX_NODES) return why_fail(WHY_ELIMIT, "%d nodes, at most %d are taken", n, WHY_MAX_NODES);
    l->nodes = why_arena_take(l->g->arena, (size_t)n * sizeof *l->nodes);
    if (!l->nodes) return WHY_ENOMEM;
    why_span m = l->graph;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) return WHY_OK;
        if (f.number != 1) continue;
        why_status st = read_node(l->g->arena, f.bytes, &l->nodes[l->n_nodes++]);
        if (st) return why_fail_in(st, "node %d", l->n_nodes);
        if (l->nodes[l->n_nodes - 1].n_out == 0) return why_fail(WHY_EFORMAT, "node %d writes nothing", l->n_nodes);
    }
}

static bool is_known(const why_proto_node *p) {
    bool standard = p->domain[0] == 0 || strcmp(p->domain, "ai.onnx") == 0;
    return standard && (why_op_find(p->op_type) || why_fold_knows(p->op_type));
}

static const char *name_of(const why_proto_node *p) { return p->name[0] ? p->name : p->out[0]; }

/* Every operator that is missing, once, with the first node that wants it. */
static why_status check_operators(struct loader *l) {
    int missing = 0;
    why_names seen = {0};
    why_status st = WHY_OK;
    for (int i = 0; !st && i < l->n_nodes; i++) {
        const why_proto_node *p = &l->nodes[i];
        if (is_known(p) || why_names_get(&seen, p->op_type) >= 0) continue;
        st = why_names_put(&seen, p->op_type, i);
        bool foreign = p->domain[0] && strcmp(p->domain, "ai.onnx") != 0;
        why_buf_printf(&l->missing, "%s%s%s%s (node '%s')", missing++ ? ", " : "", foreign ? p->domain : "", foreign ? "." : "", p->op_type,
                       name_of(p));
    }
    why_names_clear(&seen);
    if (st || missing == 0) return st;
    WHY_TRY(why_buf_status(&l->missing));
    return why_fail(WHY_EUNSUPPORTED, "operators not supported: %.*s", (int)l->missing.size, (const char *)l->missing.data);
}

/* ---------------------------------------------------------------- initializers, input, output */
static why_status read_initializers(struct loader *l) {
    why_span m = l->graph;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) return WHY_OK;
        if (f.number == 15) return why_fail(WHY_EUNSUPPORTED, "sparse initializers");
        if (f.number != 5) continue;
        why_value v;
        int id;
        WHY_TRY(why_constant_parse(l->g->arena, f.bytes, &v));
        WHY_TRY(why_graph_add_value(l->g, &v, &id));
        WHY_TRY(why_names_put(&l->g->tensors, v.name, id));
    }
}

/* ValueInfoProto.type.tensor_type of `info`, and the value's name. */
static why_status read_value_info(why_arena *arena, why_span info, const char **name, why_span *tensor_type) {
    *name = "";
    *tensor_type = (why_span){0};
    why_span type = {0};
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&info, &f));
        if (f.number == 0) break;
        if (f.number == 1) WHY_TRY(why_wire_text(arena, f.bytes, name));
        if (f.number == 2) type = f.bytes;
    }
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&type, &f));
        if (f.number == 0) return WHY_OK;
        if (f.number == 1) *tensor_type = f.bytes;
    }
}

static why_status read_dimension(why_span dimension, int64_t *out) {
    *out = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&dimension, &f));
        if (f.number == 0) return WHY_OK;
        if (f.number == 1) memcpy(out, &f.value, sizeof *out);
    }
}

/* Symbolic, absent, zero and negative sizes all mean "open". */
static why_status read_input(struct loader *l, why_span tensor_type) {
    why_span shape = {0};
    uint64_t type = 1;
    int rank = 0;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&tensor_type, &f));
        if (f.number == 0) break;
        if (f.number == 1) type = f.value;
        if (f.number == 2) shape = f.bytes;
    }
    if (type != 1) return why_fail(WHY_EUNSUPPORTED, "input '%s' has element type %d, want float", l->input.name, (int)type);
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&shape, &f));
        if (f.number == 0) break;
        if (f.number != 1) continue;
        if (rank < 4) WHY_TRY(read_dimension(f.bytes, &l->dims[rank]));
        rank++;
    }
    if (rank != 4) return why_fail(WHY_EUNSUPPORTED, "input '%s' has %d dimensions, want 4: pictures N x C x H x W", l->input.name, rank);
    for (int i = 0; i < 4; i++)
        if (l->dims[i] < 0) l->dims[i] = 0;
    return WHY_OK;
}

static why_status read_inputs(struct loader *l) {
    why_span m = l->graph, tensor_type;
    const char *name;
    for (why_field f;;) {
        WHY_TRY(why_wire_next(&m, &f));
        if (f.number == 0) break;
        if (f.number != 11 && f.number != 12) continue;
        WHY_TRY(read_value_info(l->g->arena, f.bytes, &name, &tensor_type));
        if (f.number == 12) {
            if (l->n_outputs++ == 0) l->output = name;
            continue;
        }
        if (why_names_get(&l->g->tensors, name) >= 0) continue; /* before IR 4 every initializer was listed as an input too */
        if (l->n_inputs++ > 0) return why_fail(WHY_EUNSUPPORTED, "several inputs ('%s', '%s'), want one picture", l->input.name, name);
        l->input = (why_value){.name = name, .producer = WHY_ABSENT};
        WHY_TRY(read_input(l, tensor_type));
    }
    if (l->n_inputs == 0) return why_fail(WHY_EFORMAT, "the graph has no input");
    if (l->n_outputs == 0) return why_fail(WHY_EFORMAT, "the graph has no output");
    if (l->n_outputs > 1) return why_fail(WHY_EUNSUPPORTED, "%d outputs, want one row of class scores", l->n_outputs);
    return WHY_OK;
}

/* tf2onnx leaves the input N x H x W x C and puts a Transpose behind it. */
static bool goes_to_nchw(const struct loader *l) {
    if (l->dims[1] == 1 || l->dims[1] == 3 || (l->dims[3] != 1 && l->dims[3] != 3)) return false;
    static const int64_t want[4] = {0, 3, 1, 2};
    bool found = false;
    for (int i = 0; i < l->n_nodes; i++) {
        const why_proto_node *p = &l->nodes[i];
        for (int k = 0; k < p->n_in; k++) {
            if (strcmp(p->in[k], l->input.name) != 0) continue;
            why_builder b = {.g = l->g, .proto = p};
            const int64_t *perm;
            size_t n;
            if (strcmp(p->op_type, "Transpose") != 0 || why_attr_ints(&b, "perm", &perm, &n) || n != 4 || memcmp(perm, want, sizeof want) != 0)
                return false;
            found = true;
        }
    }
    return found;
}

static why_status add_input(struct loader *l, const why_model_options *o) {
    why_graph *g = l->g;
    const int64_t *d = l->dims;
    g->batch = d[0];
    g->input_nhwc = goes_to_nchw(l);
    int64_t c = g->input_nhwc ? d[3] : d[1], h = g->input_nhwc ? d[1] : d[2], w = g->input_nhwc ? d[2] : d[3];
    if (c == 0) c = 3;
    if (h == 0) h = o && o->height > 0 ? o->height : 224;
    if (w == 0) w = o && o->width > 0 ? o->width : 224;
    if (c != 1 && c != 3)
        return why_fail(WHY_EUNSUPPORTED, "input '%s' is N x %lld x %lld x %lld, want 1 or 3 channels first", l->input.name, (long long)d[1],
                        (long long)d[2], (long long)d[3]);
    if (h > INT16_MAX || w > INT16_MAX)
        return why_fail(WHY_ELIMIT, "input '%s' is %lld x %lld pixels, at most %d x %d are taken", l->input.name, (long long)h, (long long)w, INT16_MAX,
                        INT16_MAX);
    l->input.shape = (why_shape){4, {1, c, h, w}};
    WHY_TRY(why_graph_add_value(g, &l->input, &g->input));
    return why_names_put(&g->tensors, l->input.name, g->input);
}

static why_status load(struct loader *l, why_span file, const why_model_options *options) {
    WHY_TRY(read_model(l, file));
    WHY_TRY(read_nodes(l));
    WHY_TRY(check_operators(l));
    WHY_TRY(read_initializers(l));
    WHY_TRY(read_inputs(l));
    WHY_TRY(add_input(l, options));
    return why_graph_build(l->g, l->nodes, l->n_nodes, l->output);
}

why_status why_onnx_load(why_span file, const why_model_options *options, why_graph *g) {
    struct loader l = {.g = g};
    why_status st = load(&l, file, options);
    why_buf_clear(&l.missing);
    return st;
}
