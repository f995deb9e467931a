/* BatchNormalization at inference: y = scale_c * x + shift_c. Mostly folded into the Conv before it (passes.c); DenseNet
 * has it in front of Conv, where it stays an operator. */
#include <math.h>

#include "nn/kernel/kernel.h"
#include "nn/ops.h"

struct batchnorm {
    int64_t channels, plane;
    const double *scale, *shift;
    const float *packed_scale, *packed_shift; /* of whole blocks */
};

static why_status per_channel(const why_builder *b, int input, const char *what, int64_t channels, const float **out) {
    const why_value *v;
    WHY_TRY(why_input_floats(b, input, what, &v));
    if (why_shape_count(&v->shape) != channels)
        return why_fail(WHY_EFORMAT, "%s has %lld values, the input %lld channels", what, (long long)why_shape_count(&v->shape), (long long)channels);
    *out = v->data;
    return WHY_OK;
}

static why_status build(const why_builder *b, why_node *node, why_shape *out) {
    const why_value *x;
    struct batchnorm *p;
    const float *gamma = NULL, *beta = NULL, *mean = NULL, *variance = NULL;
    double *scale, *shift;
    WHY_TRY(why_input(b, 0, &x));
    if (x->shape.rank < 2) return why_fail(WHY_EFORMAT, "input has %d dimensions, want 2 or more", x->shape.rank);
    if (why_attr_int(b, "training_mode", 0)) return why_fail(WHY_EUNSUPPORTED, "training_mode=1: export the model for inference");
    int64_t channels = x->shape.dim[1];
    WHY_TRY(per_channel(b, 1, "scale", channels, &gamma));
    WHY_TRY(per_channel(b, 2, "bias", channels, &beta));
    WHY_TRY(per_channel(b, 3, "mean", channels, &mean));
    WHY_TRY(per_channel(b, 4, "variance", channels, &variance));
    WHY_TRY(why_take(b, 1, sizeof *p, &p));
    WHY_TRY(why_take(b, (size_t)channels, sizeof *scale, &scale));
    WHY_TRY(why_take(b, (size_t)channels, sizeof *shift, &shift));
    double epsilon = (double)why_attr_float(b, "epsilon", 1e-5f);
    for (int64_t c = 0; c < channels; c++) {
        scale[c] = gamma[c] / sqrt(variance[c] + epsilon);
        shift[c] = beta[c] - mean[c] * scale[c];
    }
    *p = (struct batchnorm){.channels = channels, .plane = channels > 0 ? why_shape_count(&x->shape) / channels : 0, .scale = scale, .shift = shift};
    *out = x->shape;
    node->attr = p;
    return WHY_OK;
}

static int pieces(const why_node *n) {
    const struct batchnorm *p = n->attr;
    return why_plane_pieces(p->channels, p->plane);
}

static void forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct batchnorm *p = r->node->attr;
    int64_t from, to;
    why_plane_piece(p->channels, p->plane, piece, &from, &to);
    for (int64_t c = from; c < to; c++) {
        const float scale = (float)p->scale[c], shift = (float)p->shift[c];
        const float *x = r->in[0] + image * r->node->size_in[0] + c * p->plane;
        float *y = r->out + image * r->node->size_out + c * p->plane;
        for (int64_t i = 0; i < p->plane; i++) y[i] = x[i] * scale + shift;
        why_clamp_row(r->clamp, y, p->plane);
    }
}

static void backward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct batchnorm *p = r->node->attr;
    int64_t from, to;
    why_plane_piece(p->channels, p->plane, piece, &from, &to);
    for (int64_t c = from; c < to; c++) {
        const int64_t at = image * r->node->size_in[0] + c * p->plane;
        r->kernels->axpy(p->plane, (float)p->scale[c], r->grad_out + at, r->grad_in[0] + at);
    }
}

void why_batchnorm_affine(const why_node *bn, const double **scale, const double **shift) {
    const struct batchnorm *p = bn->attr;
    *scale = p->scale;
    *shift = p->shift;
}

/* ---------------------------------------------------------------- on the blocked layout: a piece is a block */
static bool blocked_fits(const why_graph *g, const why_node *n, const why_blocked *k) {
    (void)k;
    return why_is_map(&g->values[n->out].shape);
}

static why_status pack(const why_builder *b, why_node *n, const why_blocked *k) {
    struct batchnorm *p = n->attr;
    float *scale, *shift;
    const size_t size = (size_t)why_blocks(p->channels, k->width) * (size_t)k->width;
    WHY_TRY(why_take(b, size, sizeof *scale, &scale));
    WHY_TRY(why_take(b, size, sizeof *shift, &shift));
    for (int64_t c = 0; c < p->channels; c++) {
        scale[c] = (float)p->scale[c];
        shift[c] = (float)p->shift[c];
    }
    p->packed_scale = scale;
    p->packed_shift = shift;
    return WHY_OK;
}

static int blocked_pieces(const why_call *r) { return r->n * why_blocks(((const struct batchnorm *)r->node->attr)->channels, r->blocked->width); }

static void blocked_forward(const why_call *r, int image, int piece, int thread) {
    (void)thread;
    const struct batchnorm *p = r->node->attr;
    const int width = r->blocked->width, blocks = why_blocks(p->channels, width), block = piece % blocks;
    const int64_t at = block * p->plane * width;
    image = piece / blocks;
    r->blocked->scale(r->in[0] + image * r->in_image[0] + at, p->packed_scale + (ptrdiff_t)block * width, p->packed_shift + (ptrdiff_t)block * width,
                      r->clamp, p->plane, r->out + image * r->out_image + at);
}

static const why_blocked_op blocked = {.fits = blocked_fits, .follows = true, .pack = pack, .pieces = blocked_pieces, .forward = blocked_forward};

const why_op why_op_batch_normalization = {.name = "BatchNormalization",
                                           .flags = WHY_LEARNS | WHY_FUSES_CLAMP | WHY_LINEAR,
                                           .build = build,
                                           .pieces = pieces,
                                           .forward = forward,
                                           .back_pieces = pieces,
                                           .backward = {backward},
                                           .blocked = &blocked};
