/* Scores and their derivatives with respect to raw logits. */
#ifndef WHYPIX_EXPLAIN_OUTPUT_H
#define WHYPIX_EXPLAIN_OUTPUT_H

#include "whypix/evaluate.h"

/* d why_score / d logits: `outputs` values. */
void why_score_seed(const float *logits, int outputs, int class_index, why_output output, float *seed);

#endif
