/* THE operator table. */
#include "nn/ops.h"

#include <string.h>

const why_op *const why_ops[] = {
    &why_op_add,
    &why_op_average_pool,
    &why_op_batch_normalization,
    &why_op_clip,
    &why_op_concat,
    &why_op_conv,
    &why_op_div,
    &why_op_flatten,
    &why_op_gemm,
    &why_op_global_average_pool,
    &why_op_global_max_pool,
    &why_op_leaky_relu,
    &why_op_log_softmax,
    &why_op_lrn,
    &why_op_matmul,
    &why_op_max_pool,
    &why_op_mul,
    &why_op_pad,
    &why_op_reduce_mean,
    &why_op_reduce_sum,
    &why_op_relu,
    &why_op_reshape,
    &why_op_sigmoid,
    &why_op_softmax,
    &why_op_squeeze,
    &why_op_sub,
    &why_op_tanh,
    &why_op_transpose,
    &why_op_unsqueeze,
    NULL,
};

why_piece_fn *why_op_backward(const why_op *op, why_rule rule) {
    if (op->backward[rule]) return op->backward[rule];
    return rule == WHY_RULE_RESCALE && !(op->flags & WHY_LINEAR) ? NULL : op->backward[WHY_RULE_PLAIN];
}

const why_op *why_op_find(const char *name) {
    for (const why_op *const *op = why_ops; *op; op++)
        if (strcmp((*op)->name, name) == 0) return *op;
    return NULL;
}
