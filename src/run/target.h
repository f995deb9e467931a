/* Which class of an image is explained: label, predicted, second, top:K (the K-th best class), class:N. */
#ifndef WHYPIX_RUN_TARGET_H
#define WHYPIX_RUN_TARGET_H

#include <stdint.h>

#include "whypix/status.h"

/* Is this text a rule? WHY_EARG names what is wanted. `classes` 0: the range of class:N and top:K is not checked. */
why_status why_target_check(const char *rule, int classes) WHY_MUST_USE;

/* Class order by descending score, ties by index, for one row of raw logits: `order` gets the classes (see why_score:
 * a model with one output has two). */
void why_class_order(const float *logits, int outputs, int classes, int *order);

/* The class that a checked rule names for this image. `order` as above; label < 0: unknown, which `label` cannot use
 * (WHY_EARG). */
why_status why_target_class(const char *rule, const int *order, int classes, int64_t label, int *out) WHY_MUST_USE;

#endif
