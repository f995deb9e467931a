/* What explainers by input gradients share. The input is the normalised one, C x h x w. */
#ifndef WHYPIX_EXPLAIN_GRADIENTS_H
#define WHYPIX_EXPLAIN_GRADIENTS_H

#include "explain/explainer.h"

/* A map has one number per pixel, a gradient one per channel. */
#define WHY_CHANNELS_PARAM(initial)                                                                                      \
    {"channels", WHY_PARAM_CHOICE, initial, 0, 0, "sum|abs_sum|max_abs",                                                 \
     "what a pixel gets from its channels: sum (signed), sum of magnitudes, largest magnitude"}

/* v: C*h*w. Folded as the parameter `channels` says. */
void why_fold_channels(const why_params *p, const double *v, int channels, why_explanation *out);

/* x (may be NULL) and g: the input and d output / d input of the image as it is. Views, valid until the next gradient. */
why_status why_input_gradient(const why_request *r, why_rule rule, const float **x, const float **g, int *channels) WHY_MUST_USE;

/* The map of that gradient, or of input times gradient. */
why_status why_gradient_explain(const why_request *r, why_rule rule, bool times_input, why_explanation *out) WHY_MUST_USE;

/* One gradient: the cost of the simplest of them. */
int64_t why_one_evaluation(const why_params *p, int h, int w, int segments);

/* Gradients asked for at a time: each keeps all activations of its image, so this bounds memory, and changes no result. */
enum { WHY_GRADIENT_BATCH = 8 };
int why_gradient_batch(const why_evaluator *ev); /* at most that, and what the evaluator takes */

#endif
