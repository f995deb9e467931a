/* Orders and top sets of maps, ties treated fairly. */
#ifndef WHYPIX_METRIC_ORDER_H
#define WHYPIX_METRIC_ORDER_H

#include <stdint.h>

#include "whypix/status.h"

/* Indices of v (finite, -0 equal to 0) by falling value; equal values by rising key, then by index. key may be NULL. */
why_status why_order_falling(const float *v, int n, const uint32_t *key, int32_t *order) WHY_MUST_USE;
/* By falling a; where a is equal, by falling b; then by index. */
why_status why_order_falling_both(const float *a, const float *b, int n, int32_t *order) WHY_MUST_USE;
/* Twice the average rank of each value, from 2 (smallest) to 2n; `order` as made above. */
void why_ranks_of_order(const float *v, const int32_t *order, int n, int32_t *rank2);

/* The k largest of n values as a fuzzy set: values above the threshold are members, the tied block shares what is left
 * of k. Index order instead would let two maps agree on pixels that neither of them chose. */
typedef struct why_top {
    float threshold;
    double tied; /* membership of a value equal to the threshold, (k - #above) / #tied */
} why_top;

/* 1 <= k <= n; `order` as made above. */
why_top why_top_of(const float *v, const int32_t *order, int n, int k);

static inline double why_top_member(why_top t, float v) { return v > t.threshold ? 1.0 : v == t.threshold ? t.tied : 0.0; }

/* The same set without fractions, as near to k as whole blocks allow: the tied block is in when more than half of it is,
 * or when nothing stands above it. `largest`: v[order[0]]. */
static inline int why_top_holds(why_top t, float largest, float v) {
    return v > t.threshold || (v == t.threshold && (t.tied > 0.5 || t.threshold == largest));
}

/* ceil(share n), at least 1; the small term keeps 0.07 * 100 = 7.000000000000001 from becoming 8. */
int why_count_of_share(double share, int n);

/* IoU of two sets from Sum a b, Sum a and Sum b. With memberships as probabilities this is the ratio of the expected
 * sizes when each set breaks its ties by its own coin. Both sums 0: NAN. */
static inline double why_expected_iou(double both, double a, double b) { return both / (a + b - both); }

#endif
