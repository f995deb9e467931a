/* Orders and top sets of maps, ties treated fairly. */
#ifndef WHYPIX_METRIC_ORDER_H
#define WHYPIX_METRIC_ORDER_H

#include <stdint.h>

#include "whypix/status.h"

/* Indices of v (finite, -0 equal to 0) by falling value; equal values by rising key, then by index. key may be NULL. */
why_status why_order_falling(const float *v, int n, const uint32_t *key, int32_t *order) WHY_MUST_USE;

/* The k largest of n values as a fuzzy set: values above the threshold are members, the tied block shares what is left
 * of k. Index order instead would let two maps agree on pixels that neither of them chose. */
typedef struct why_top {
    float threshold;
    double tied; /* membership of a value equal to the threshold, (k - #above) / #tied */
} why_top;

/* 1 <= k <= n; `order` as made above. */
why_top why_top_of(const float *v, const int32_t *order, int n, int k);

static inline double why_top_member(why_top t, float v) { return v > t.threshold ? 1.0 : v == t.threshold ? t.tied : 0.0; }

/* IoU of two sets from Sum a b, Sum a and Sum b. With memberships as probabilities this is the ratio of the expected
 * sizes when each set breaks its ties by its own coin. Both sums 0: NAN. */
static inline double why_expected_iou(double both, double a, double b) { return both / (a + b - both); }

#endif
