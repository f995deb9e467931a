/* Which class of an image is explained: label, predicted, second, top:K (the K-th best class), class:N; or a contrast of two of
 * these, RULE-RULE: why the first, why not the second. */
#ifndef WHYPIX_RUN_TARGET_H
#define WHYPIX_RUN_TARGET_H

#include <stdint.h>

#include "whypix/status.h"

/* Is this text a rule? WHY_EARG names what is wanted. `classes` 0: the range of class:N and top:K is not checked. */
why_status why_target_check(const char *rule, int classes) WHY_MUST_USE;

/* How a checked rule is written: class:007 is class:7. */
enum { WHY_TARGET_TEXT = 64 };
why_status why_target_canonical(const char *rule, char out[WHY_TARGET_TEXT]) WHY_MUST_USE;

/* Class order by descending score, ties by index, for one row of raw logits: `order` gets the classes (see why_score:
 * a model with one output has two). */
void why_class_order(const float *logits, int outputs, int classes, int *order);

/* The class that a checked rule names for this image (for a contrast, its number: see why_contrast). `order` as above. WHY_EARG:
 * this image has no such class, because its label is unknown (< 0) or both sides of a contrast are one class. */
why_status why_target_class(const char *rule, const int *order, int classes, int64_t label, int *out) WHY_MUST_USE;

#endif
