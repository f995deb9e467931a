/* Correlations and orders of two lists of numbers, for metrics of maps and of curves. */
#ifndef WHYPIX_METRIC_CORRELATION_H
#define WHYPIX_METRIC_CORRELATION_H

#include "whypix/metric.h"

bool why_is_constant(const float *v, int n);

/* Undefined: a constant list. n >= 1, all values finite. */
why_value why_pearson_of(const float *a, const float *b, int n);
/* Pearson of twice the average ranks (see why_field). */
why_value why_pearson_of_ranks(const int32_t *a, const int32_t *b, int n);
/* The same from the values. */
why_status why_spearman_of(const float *a, const float *b, int n, why_value *out) WHY_MUST_USE;

/* How two lists order the n (n - 1) / 2 pairs of places. */
typedef struct why_concordance {
    int64_t pairs, tied_a, tied_b, tied_both; /* equal in a; in b; in both */
    int64_t discordant;                       /* opposite orders; the pairs that remain are concordant */
} why_concordance;
/* O(n log n): Knight 1966. */
why_status why_concordance_of(const float *a, const float *b, int n, why_concordance *out) WHY_MUST_USE;

#endif
