/* Exact reductions: n, sum and sum of squares of values quantised to 2^-32 as wide integers, and a fixed histogram.
 * Merging is integer addition, so any order, any number of ranks, restarts and database merges agree to the bit. */
#ifndef WHYPIX_BASE_MOMENTS_H
#define WHYPIX_BASE_MOMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whypix/status.h"

#define WHY_MOMENTS_BINS 64

typedef struct why_moments {
    int64_t n, n_null;       /* values, undefined ones */
    uint64_t sum[2];         /* two's complement, units of 2^-32, little-endian words */
    uint64_t sum2[4];        /* units of 2^-64 */
    int64_t lo, hi;          /* smallest and largest quantised value; 0 when n == 0 */
    int64_t bin[WHY_MOMENTS_BINS];
} why_moments;

void why_moments_clear(why_moments *m);
/* Stated range: |x| is clamped to 2^30, and up to 2^63 - 1 values fit without overflow; NAN counts as undefined.
 * [lo, hi] only chooses the bin (values outside go to the end bins); lo == hi: unbounded metric, x/(1+|x|) is binned
 * over [-1, 1]. */
void why_moments_add(why_moments *m, double x, double lo, double hi);
void why_moments_add_null(why_moments *m);
/* Take back a value (NAN: an undefined one) that was added with the same lo and hi. True: it was the smallest or the largest
 * of several, so that lo and hi are not known any more: set them with why_moments_bound. */
bool why_moments_remove(why_moments *m, double x, double lo, double hi);
void why_moments_bound(why_moments *m, double smallest, double largest);
void why_moments_merge(why_moments *m, const why_moments *other);
/* Of the quantised values, within a few units in the last place; NAN when n == 0. */
double why_moments_mean(const why_moments *m);
double why_moments_sd(const why_moments *m);   /* n - 1 in the denominator; NAN when n < 2 */
double why_moments_lo(const why_moments *m);
double why_moments_hi(const why_moments *m);

/* Little-endian bytes for the database and for messages. */
enum { WHY_MOMENTS_BYTES = 8 * (2 + 2 + 4 + 2 + WHY_MOMENTS_BINS) };
void why_moments_write(const why_moments *m, uint8_t out[WHY_MOMENTS_BYTES]);
why_status why_moments_read(const uint8_t *bytes, size_t n, why_moments *out) WHY_MUST_USE;

#endif
