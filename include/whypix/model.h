/* A CNN from an ONNX file, and sessions that run it forward and backward on the CPU.
 *
 * why_model is immutable and may be shared by threads; a why_session belongs to one thread at a time. Public tensors
 * are NCHW fp32; what layout the kernels use is private to src/nn. */
#ifndef WHYPIX_MODEL_H
#define WHYPIX_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/pool.h"
#include "whypix/status.h"
#include "whypix/tensor.h"

typedef struct why_model why_model;
typedef struct why_session why_session;

typedef struct why_model_options {
    int height, width; /* input size for models whose file leaves it open; 0 = the file's, else 224 */
} why_model_options;

typedef struct why_model_info {
    const char *path;   /* as given */
    char sha256[65];    /* of the file, lower-case hex: equal to `sha256sum` */
    int channels, height, width; /* of the input */
    int outputs;        /* columns of the logits */
    int classes;        /* outputs, or 2 for a model with one output (scores -s, +s; p(1) = sigmoid(s)) */
    int64_t parameters; /* learned values, as the file has them: weights, biases, BatchNormalization scale, bias, mean and variance not counted twice */
    int64_t macs;       /* multiply-accumulates of one image's forward pass (Conv, Gemm, MatMul) */
    int opset;
    bool ends_in_softmax; /* the file ends in Softmax, LogSoftmax or Sigmoid: logits are taken before it */
} why_model_info;

/* One layer as users name it. Names are views that live as long as the model. */
typedef struct why_layer {
    const char *name;   /* ONNX node name, or its output's name when the node has none */
    const char *output; /* ONNX name of its first output tensor */
    const char *op;     /* Conv, Relu, ... */
    why_shape shape;    /* of one image's output, without the batch dimension */
    int64_t parameters, macs;
    bool cam;           /* usable for Grad-CAM: a feature map C x H x W with a gradient path to the logits */
    const char *folded_into; /* NULL, or the layer that computes it (BatchNormalization into Conv): the name still resolves to that layer */
} why_layer;

/* Load and check a model. Nothing is computed yet.
 * WHY_EFILE (missing, unreadable), WHY_EFORMAT (not ONNX, truncated, inconsistent), WHY_EUNSUPPORTED (lists *every*
 * missing operator), WHY_ELIMIT (shapes beyond memory). `options` may be NULL. */
why_status why_model_load(const char *path, const why_model_options *options, why_model **out) WHY_MUST_USE;
void why_model_destroy(why_model **m);
const why_model_info *why_model_get_info(const why_model *m);

/* Layers in execution order, the folded ones included. The array lives as long as the model. */
const why_layer *why_model_layers(const why_model *m, int *n);

/* Resolve a layer: a node or tensor name of the file, or "last_conv" = the last feature map with side > 1 before the
 * classifier head (pooling and padding right before it belong to the head, so VGG's is the ReLU of its last
 * convolution; a 1x1 Conv with as many channels as classes, followed by activation and global pooling only, is itself
 * the head). "input" is the model's input. The result is the canonical tensor name (a view).
 * WHY_EARG names the nearest layer. */
why_status why_model_resolve(const why_model *m, const char *name, const char **tensor) WHY_MUST_USE;

/* Text for people: one aligned line per layer and totals. Owned string. */
why_status why_model_describe(const why_model *m, char **text) WHY_MUST_USE;

/* How operators pass gradients back. The rule is looked up per operator in its table line; PLAIN is the derivative. */
typedef enum why_rule {
    WHY_RULE_PLAIN,
    WHY_RULE_GUIDED,  /* guided backpropagation (Springenberg 2015): Relu also drops negative gradients; other operators as PLAIN */
    WHY_RULE_RESCALE, /* DeepLIFT's Rescale rule (Shrikumar 2017) between pairs of images, complete over every operator */
    WHY_RULE_COUNT
} why_rule;

typedef struct why_session_options {
    int max_batch;              /* >= 1; larger inputs are refused */
    why_pool *pool;             /* borrowed; NULL = this thread only */
    const char *const *keep;    /* names (see why_model_resolve) whose values stay readable after forward */
    int n_keep;
    const char *const *grad_to; /* names whose gradients backward() leaves; "input" allowed */
    int n_grad_to;
    bool timed;         /* keep the time of every step for why_session_step */
    const char *resume; /* NULL, or the name of a tensor that why_session_resume may replace; not together with grad_to */
    why_rule rule;      /* what backward will be asked for; 0: WHY_RULE_PLAIN and WHY_RULE_GUIDED, which need the same */
} why_session_options;

/* Memory is planned and taken here; forward and backward allocate nothing. With grad_to, every activation that the
 * backward pass needs is kept too (it stops at the deepest name asked for). The model must outlive the session.
 * WHY_EUNSUPPORTED names an operator on the way that has nothing to pass back under the rule. */
why_status why_session_create(const why_model *m, const why_session_options *options, why_session **out) WHY_MUST_USE;
void why_session_destroy(why_session **s);
int64_t why_session_bytes(const why_session *s); /* planned memory, weights apart */

/* Run n <= max_batch images, x = n x C x H x W. A sample's logits do not depend, to the last bit, on n, on its place
 * in the batch or on the number of threads. */
why_status why_session_forward(why_session *s, const float *x, int n) WHY_MUST_USE;

/* One step of the forward pass, as the plan has it. */
typedef struct why_step_info {
    const char *layer;     /* name of the node, or of the tensor that is converted from one layout to the other */
    const char *op;        /* Conv, Relu, ... */
    const char *algorithm; /* how it is computed: winograd, product, stem, depthwise, blocked, portable, ... */
    why_shape shape;       /* of one image's output, without the batch dimension */
    int64_t macs;          /* multiply-accumulates of one image, as a plain sum counts them */
    int group;             /* images that go through it at a time */
    double seconds;        /* of all forward passes so far; 0 without options.timed */
} why_step_info;
int why_session_steps(const why_session *s);
/* i in [0, why_session_steps). The names live as long as the model. */
why_step_info why_session_step(const why_session *s, int i);
/* The most multiply-adds per second that one core reaches in registers with the vectors of the fast path, measured now; 0: there is no
 * fast path on this CPU. */
double why_model_peak(const why_model *m);

/* Put other values (n x its shape, n of the last forward) in place of the tensor that the session may resume from, and run
 * again only what depends on it; all else stays as the last forward left it. May be repeated. */
why_status why_session_resume(why_session *s, const float *values) WHY_MUST_USE;
/* The tensor that why_session_resume replaces: what forward computed, or the last replacement. A view. */
why_tensor_view why_session_resumed(const why_session *s);

/* n x outputs, before any final Softmax or Sigmoid. A view, valid until the next forward. */
const float *why_session_logits(const why_session *s);

/* The i-th kept tensor, n x its shape. A view, valid until the next forward. */
why_tensor_view why_session_kept(const why_session *s, int i);

/* d(sum of seed * logits)/d(name) for every name of grad_to, after a forward; seed = n x outputs.
 *
 * WHY_RULE_RESCALE passes DeepLIFT's multipliers back instead: image 0 of the batch is the one explained, image i its i-th
 * reference, and place i of every gradient (and row i of seed) belongs to the pair of both. For the input, or any tensor t
 * that all paths to the logits go through,
 *     sum of multipliers_i * (t_0 - t_i) = sum of seed_i * (logits_0 - logits_i)
 * up to rounding. Place 0 pairs image 0 with itself: its multipliers are the derivative. */
why_status why_session_backward(why_session *s, const float *seed, why_rule rule) WHY_MUST_USE;
why_tensor_view why_session_gradient(const why_session *s, int i);

#endif
