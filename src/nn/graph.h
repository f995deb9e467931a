/* The network as whypix runs it: values (tensors) and nodes (operators), in execution order.
 *
 * Shapes are those of one image: dim[0] is the batch and is always 1 here. An operator that would mix images is refused
 * when the model is loaded, so a batch of n is n times the same computation. */
#ifndef WHYPIX_NN_GRAPH_H
#define WHYPIX_NN_GRAPH_H

#include <stdbool.h>

#include "base/file.h"
#include "base/mem.h"
#include "nn/names.h"
#include "nn/onnx_wire.h"
#include "whypix/model.h"
#include "whypix/tensor.h"

#define WHY_MAX_ELEMENTS (INT64_C(1) << 31) /* of one tensor of one image */
#define WHY_MAX_NODES 20000
#define WHY_ABSENT (-1)                      /* an optional input left out */

typedef enum why_type { WHY_FLOAT, WHY_INT } why_type;

typedef struct why_value {
    const char *name;
    why_shape shape;
    why_type type;
    const void *data;  /* NULL: computed at run time; else float[] or int64_t[] by type */
    int producer;      /* node that writes it; WHY_ABSENT for the input and for constants */
    int uses;          /* nodes that read it at run time (twice when a node reads it twice) */
    int became;        /* value that took its place when its node was folded; WHY_ABSENT: none */
    bool counted;      /* a constant that is already in the number of parameters */
} why_value;

/* Attributes of a node of the file. */
typedef struct why_attr {
    const char *name;
    int64_t i;
    float f;
    why_span s, tensor, message; /* `message` is the attribute itself, for its repeated fields */
    bool has_i, has_f, has_tensor;
} why_attr;

/* A node of the file, before it becomes a why_node, a constant or nothing. */
typedef struct why_proto_node {
    const char *name, *op_type, *domain;
    const char **in, **out;
    int n_in, n_out;
    why_attr *attr;
    int n_attr;
} why_proto_node;

struct why_op;

typedef struct why_node {
    const char *name;        /* of the file, or of its output */
    const struct why_op *op;
    int *in, n_in;           /* values read at run time; constants are in `attr` */
    int out;
    int64_t *size_in;        /* elements of one image, per input */
    int64_t size_out;
    void *attr;              /* the operator's own struct: weights, strides ... */
    int64_t parameters, macs;
    bool live;               /* its output reaches the logits */
    int layer;
} why_node;

/* What becomes a why_layer: every node of the file that computes something. */
typedef struct why_layer_note {
    const char *name, *op, *output;
    int value;        /* what its names mean */
    int folded_into;  /* layer, or WHY_ABSENT */
    int node;         /* WHY_ABSENT: dropped (Identity, Dropout) */
} why_layer_note;

typedef struct why_graph {
    why_arena *arena;      /* names, attributes, converted weights */
    why_value *values;
    size_t n_values, capacity_values;
    why_node *nodes;
    size_t n_nodes, capacity_nodes;
    why_layer_note *layers;
    size_t n_layers, capacity_layers;
    why_names tensors;     /* name of the file -> value */
    int input, logits;
    bool input_nhwc;       /* the file's input is NHWC and goes straight into a Transpose to NCHW, which is dropped */
    int64_t batch;         /* the file's batch size, 0 = open */
    int opset;
    bool ends_in_softmax;
} why_graph;

struct why_model {
    why_model_info info;
    char *path;
    why_mapped file;       /* weights are read in place */
    why_graph graph;
    why_layer *layers;
    int n_layers;
    why_names names;       /* layer names and tensor names -> value, the ones users may say */
    int last_conv;         /* value, or WHY_ABSENT */
    const struct why_blocked *blocked; /* kernels of the fast path, for which weights are packed; NULL: portable path only */
};

/* ---------------------------------------------------------------- building (build.c) */
why_status why_graph_add_value(why_graph *g, const why_value *v, int *id) WHY_MUST_USE;
/* The file's nodes to values and nodes, constants folded, shapes inferred. */
why_status why_graph_build(why_graph *g, const why_proto_node *nodes, int n, const char *output) WHY_MUST_USE;
/* Checked number of elements: WHY_EFORMAT for negative sizes, WHY_ELIMIT above WHY_MAX_ELEMENTS. */
why_status why_shape_check(const why_shape *s, int64_t *count) WHY_MUST_USE;
/* "64x56x56", for messages and tables. */
const char *why_shape_text(const why_shape *s, int first, char buf[96]);

/* ---------------------------------------------------------------- loading (onnx_load.c, constant.c) */
why_status why_onnx_load(why_span file, const why_model_options *options, why_graph *g) WHY_MUST_USE;
/* A TensorProto as a constant value (name, shape, type, data); fp32 data are views into the file where aligned. */
why_status why_constant_parse(why_arena *arena, why_span tensor, why_value *out) WHY_MUST_USE;

/* ---------------------------------------------------------------- passes.c */
/* Cut a final Softmax or Sigmoid, drop what does not reach the logits, fold BatchNormalization and biases. */
why_status why_graph_simplify(why_graph *g) WHY_MUST_USE;

/* Weights in the order of the kernels, for every node that has a fast path. */
why_status why_graph_pack(why_graph *g, const struct why_blocked *k) WHY_MUST_USE;

/* Follow `became` to the value that is really computed. */
int why_graph_current(const why_graph *g, int value);

/* ---------------------------------------------------------------- layers.c */
why_status why_model_name_layers(why_model *m) WHY_MUST_USE;
/* The value that a user's name means. */
why_status why_model_value(const why_model *m, const char *name, int *value) WHY_MUST_USE;
/* Without the batch dimension. */
why_shape why_public_shape(const why_shape *s);

#endif
