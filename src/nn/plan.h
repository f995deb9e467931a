/* What a session runs and where its tensors live: a function of the model, the batch size and the names that are kept. */
#ifndef WHYPIX_NN_PLAN_H
#define WHYPIX_NN_PLAN_H

#include "nn/graph.h"
#include "nn/ops.h"

typedef enum why_step_kind {
    WHY_STEP_PLAIN,     /* op->forward */
    WHY_STEP_BLOCKED,   /* op->blocked->forward */
    WHY_STEP_TO_BLOCKS, /* value `out` from plain to blocks */
    WHY_STEP_TO_PLAIN   /* and back */
} why_step_kind;

typedef struct why_step {
    why_step_kind kind;
    int node, out;   /* `out` is that of the last operator fused behind */
    int add;         /* another value, added to the output before the clamp; WHY_ABSENT: none */
    why_clamp clamp;
    int pieces;      /* WHY_STEP_PLAIN: of one image */
    bool resumes;    /* depends on the value that the session may resume from */
} why_step;

/* Steps [from, to) run for `group` images after the other. */
typedef struct why_range {
    int from, to, group;
} why_range;

typedef struct why_back_step {
    int node, pieces;
    bool *first;     /* per input: this is the first gradient that arrives there, so it starts from zero */
} why_back_step;

/* Memory of one value. Views share the memory of what they view (`root`). */
typedef struct why_slot {
    int root;
    bool kept;              /* readable after forward */
    bool target;            /* its gradient is readable after backward */
    bool wants_gradient;    /* lies between a target and the logits */
    int64_t at, grad_at;    /* in floats; -1: not in memory */
    bool local, block_local; /* holds one group of images at a time */

    /* The same value in blocks: a part of the images of `block_root`, from float block_shift of each on. */
    int block_root;
    int64_t block_shift, block_at, block_image; /* block_image: floats of one image of the root */
} why_slot;

typedef struct why_session_plan {
    int max_batch;
    why_rule rule;
    why_slot *slots;        /* per value of the graph */
    why_step *steps;
    int n_steps;
    why_range *ranges;
    int n_ranges;
    why_back_step *back;
    int n_back, max_inputs;
    int64_t floats;         /* of the one block that holds all tensors */
    size_t scratch;         /* floats per thread */
    why_arena *arena;
} why_session_plan;

/* What a session is for, in values of the graph. */
typedef struct why_session_wish {
    int max_batch;
    const int *keep, *grad;
    int n_keep, n_grad;
    int resume; /* WHY_ABSENT: none */
    why_rule rule;
} why_session_wish;

why_status why_session_plan_create(const why_model *m, const why_session_wish *wish, why_session_plan **out) WHY_MUST_USE;
void why_session_plan_destroy(why_session_plan **p);

#endif
