/* Scores and their derivatives with respect to raw logits. */
#ifndef WHYPIX_EXPLAIN_OUTPUT_H
#define WHYPIX_EXPLAIN_OUTPUT_H

#include "whypix/evaluate.h"

/* The scores of all outputs at once (one output: of class 1), in linear time: why_score's, up to rounding. */
void why_scores(const float *logits, int outputs, why_output output, double *scores);

/* d why_score / d logits: `outputs` values. */
void why_score_seed(const float *logits, int outputs, int class_index, why_output output, float *seed);
/* The same between two rows: sum of seed * (a - b) = score(a) - score(b), by DeepLIFT's Rescale rule on the steps from logits
 * to the score; the derivative where a = b. */
void why_score_multipliers(const float *a, const float *b, int outputs, int class_index, why_output output, float *seed);

#endif
