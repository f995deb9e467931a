/* The operators: one line of THE table each (ops.c), one file or part of a file under op/ each.
 *
 * To add one: write build, forward and backward in op/NAME.c after the pattern of op/softmax.c, declare the table line at
 * the bottom of this file and list it in ops.c. Say whether it is WHY_LINEAR; if it is not, give it a Rescale rule, or
 * DeepLIFT refuses models that have it. */
#ifndef WHYPIX_NN_OPS_H
#define WHYPIX_NN_OPS_H

#include "nn/graph.h"
#include "nn/kernel/blocked.h"

/* What an operator sees while the graph is built. Errors need not name the node: the caller puts it in front. */
typedef struct why_builder {
    why_graph *g;
    const why_proto_node *proto;
    const int *in; /* proto->n_in values, WHY_ABSENT for those left out */
} why_builder;

/* One operator over one batch. Tensors are n images back to back, each of node->size_in[i] or size_out floats. */
typedef struct why_call {
    const why_node *node;
    int n;
    const float *const *in; /* forward; backward only what the operator's flags ask for, else undefined */
    float *out;             /* forward: written; backward: as left by forward when flags ask for it */
    why_clamp clamp;        /* only for operators with WHY_FUSES_CLAMP */
    const float *grad_out;
    float *const *grad_in;  /* added to; NULL: nobody wants this one */
    const struct why_kernels *kernels;
    float *scratch;         /* op->scratch floats per thread, scratch_stride apart */
    size_t scratch_stride;

    /* Only for steps in the blocked layout (why_blocked_op), where an image may be a part of a larger one. */
    const why_blocked *blocked;           /* the kernels of this CPU; NULL: it has none (set for plain steps, too) */
    const int64_t *in_image;              /* floats from one image to the next, per input */
    int64_t out_image;
    const float *add;                     /* another map to be added to the output, before the clamp; NULL: none */
    int64_t add_image;
    int threads;
} why_call;

/* One fixed piece of the work. Its result depends on (image, piece) only: that makes logits independent of the batch and
 * of the threads. Pieces of one image never write the same float. */
typedef void why_piece_fn(const why_call *c, int image, int piece, int thread);

enum {
    WHY_NEEDS_INPUT = 1,   /* backward reads in[] */
    WHY_NEEDS_OUTPUT = 2,  /* backward reads out */
    WHY_IS_VIEW = 4,       /* the same floats under another shape */
    WHY_WHOLE_BATCH = 8,   /* a piece is a part of every image (image = 0): weights are read once per batch */
    WHY_FUSES_CLAMP = 16,  /* honours call.clamp */
    WHY_LEARNS = 32,       /* every constant of it counts as parameters */
    WHY_POOLS = 64,        /* a spatial pooling, for finding the classifier head */
    WHY_LINEAR = 128       /* linear up to a constant in what is computed at run time: every rule is the derivative */
};

/* How an operator runs on the blocked layout (kernel/blocked.h). */
typedef struct why_blocked_op {
    bool (*fits)(const why_graph *g, const why_node *n, const why_blocked *k);
    bool follows;                                 /* only where an input is in blocks already: it is not worth a conversion */
    bool adds;                                    /* honours call.add */
    bool (*reads_plain)(const why_node *n);       /* its input is plain; NULL: no */
    bool writes_plain;
    /* Weights in the kernels' order, once per model; NULL: it has none. */
    why_status (*pack)(const why_builder *b, why_node *n, const why_blocked *k);
    int (*pieces)(const why_call *c);             /* of all call.n images, for call.threads; none may change the result */
    why_piece_fn *forward;                        /* image = 0 */
    size_t (*scratch)(const why_node *n, const why_blocked *k); /* NULL: 0 */
    const char *(*algorithm)(const why_node *n, const why_blocked *k); /* for people; NULL: "blocked" */
} why_blocked_op;

typedef struct why_op {
    const char *name;
    unsigned flags;
    /* Check inputs and attributes, fill node->attr (and node->macs), and give the output's shape (dim[0] = 1). */
    why_status (*build)(const why_builder *b, why_node *node, why_shape *out);
    int (*pieces)(const why_node *n);      /* NULL: 1 */
    why_piece_fn *forward;
    int (*back_pieces)(const why_node *n); /* NULL: 1 */
    /* [GUIDED] NULL: as PLAIN. [RESCALE] NULL: as PLAIN for operators with WHY_LINEAR, and not to be had for the others.
     * A Rescale rule reads in[] of its image and of image 0, whatever the flags say of PLAIN, and never `out`. */
    why_piece_fn *backward[WHY_RULE_COUNT];
    size_t (*scratch)(const why_node *n);  /* NULL: 0 */
    /* The clamp that this operator is, for fusing it behind another one; NULL or false: it is none. */
    bool (*as_clamp)(const why_node *n, why_clamp *out);
    const why_blocked_op *blocked; /* NULL: plain layout only */
} why_op;

/* What the operator does under a rule; NULL: it has none. */
why_piece_fn *why_op_backward(const why_op *op, why_rule rule);
const why_op *why_op_find(const char *name);
extern const why_op *const why_ops[]; /* NULL-terminated */

/* ---------------------------------------------------------------- fold.c: arithmetic on constants while loading */
bool why_fold_knows(const char *op_type);
/* Compute a node all of whose inputs are constants (Shape: any input). */
why_status why_fold(const why_builder *b, why_value *out) WHY_MUST_USE;

/* ---------------------------------------------------------------- helpers for build (builder.c) */
const why_attr *why_attr_find(const why_proto_node *p, const char *name);
int64_t why_attr_int(const why_builder *b, const char *name, int64_t otherwise);
float why_attr_float(const why_builder *b, const char *name, float otherwise);
/* "" when absent. */
why_status why_attr_text(const why_builder *b, const char *name, const char **out) WHY_MUST_USE;
/* *n = 0 when absent. */
why_status why_attr_ints(const why_builder *b, const char *name, const int64_t **out, size_t *n) WHY_MUST_USE;

bool why_has_input(const why_builder *b, int i);
/* The i-th input, which must be there and computed at run time. */
why_status why_input(const why_builder *b, int i, const why_value **out) WHY_MUST_USE;
/* The i-th input as constant floats or ints. WHY_EUNSUPPORTED when it is computed at run time. */
why_status why_input_floats(const why_builder *b, int i, const char *what, const why_value **out) WHY_MUST_USE;
why_status why_input_ints(const why_builder *b, int i, const char *what, const int64_t **out, size_t *n) WHY_MUST_USE;
/* A list that is an attribute up to some opset and an input since; *n = 0 when neither is there. */
why_status why_ints_of(const why_builder *b, const char *attr, int input, const int64_t **out, size_t *n) WHY_MUST_USE;
/* Axes in [0, rank), as a bit set. Axis 0 is the batch: refused by the message of the caller's choice. */
why_status why_axes(const int64_t *axes, size_t n, int rank, unsigned *set) WHY_MUST_USE;
why_status why_axis(int64_t axis, int rank, int *out) WHY_MUST_USE;
/* Zeroed memory that lives as long as the model. */
why_status why_take(const why_builder *b, size_t count, size_t size, void *out_pointer) WHY_MUST_USE;

/* Pieces of about 16 thousand floats, for element-wise work. */
enum { WHY_PIECE = 16384 };
int why_even_pieces(int64_t count);
void why_even_piece(int64_t count, int piece, int64_t *from, int64_t *to);
/* Pieces of whole planes (channels) of about that size. */
int why_plane_pieces(int64_t planes, int64_t plane_size);
void why_plane_piece(int64_t planes, int64_t plane_size, int piece, int64_t *from, int64_t *to);

static inline float why_clamped(float x, why_clamp c) { return x < c.lo ? c.lo : x > c.hi ? c.hi : x; }
void why_clamp_row(why_clamp c, float *x, int64_t n);

/* ---------------------------------------------------------------- windows of Conv and pooling (op/window.c) */
/* Reads strides, dilations, pads, auto_pad and ceil_mode; the kernel's size is given. */
why_status why_window_build(const why_builder *b, const why_shape *in, const int64_t kernel[2], bool ceil_mode, why_window *w) WHY_MUST_USE;

/* ---------------------------------------------------------------- the blocked layout (blocked.c) */
/* A feature map of one image, 1 x C x H x W: the shape of every value in blocks. */
bool why_is_map(const why_shape *s);
static inline int64_t why_map_plane(const why_shape *s) { return s->dim[2] * s->dim[3]; }
/* Floats of one image in blocks. */
int64_t why_blocked_size(const why_shape *s, int width);
/* Element-wise operators whose inputs and output have one shape of whole blocks: their plain forward in any order of elements. */
extern const why_blocked_op why_blocked_elementwise;
int why_elementwise_pieces(const why_call *c);
void why_elementwise_forward(const why_call *c, int image, int piece, int thread);

/* Operators that passes fold into: their bias and scale. */
void why_conv_scale(why_node *conv, float *w, float *b, const double *scale, const double *shift);
bool why_conv_can_scale(const why_node *conv, int64_t *weights, int64_t *channels);
bool why_gemm_takes_bias(const why_node *node, int64_t *outputs);
void why_gemm_set_bias(why_node *node, const float *bias);
bool why_conv_is_pointwise(const why_node *conv, int *outputs);
void why_batchnorm_affine(const why_node *bn, const double **scale, const double **shift);
/* The constant operand of Add when it is one number per output of the last axis (n of them); NULL else. */
const float *why_add_constant(const why_node *add, int64_t n);

extern const why_op why_op_add, why_op_average_pool, why_op_batch_normalization, why_op_clip, why_op_concat, why_op_conv, why_op_div,
    why_op_flatten, why_op_gemm, why_op_global_average_pool, why_op_global_max_pool, why_op_leaky_relu, why_op_log_softmax, why_op_lrn,
    why_op_matmul, why_op_max_pool, why_op_mul, why_op_pad, why_op_reduce_mean, why_op_reduce_sum, why_op_relu, why_op_reshape,
    why_op_sigmoid, why_op_softmax, why_op_squeeze, why_op_sub, why_op_tanh, why_op_transpose, why_op_unsqueeze;

#endif
