/* The first principal component of vectors that lie side by side. */
#ifndef WHYPIX_EXPLAIN_PCA_H
#define WHYPIX_EXPLAIN_PCA_H

#include <stddef.h>

#include "whypix/status.h"

/* x: channels x positions, overwritten: each channel is centred over the positions. out: what the first right singular
 * vector v of x' (positions x channels) makes of every position, x'v. A singular vector's sign is arbitrary; here it is the
 * one with sum(v) >= 0, which is to say that the projection rises with the sum over channels (their scalar product over
 * positions is sigma^2 sum(v)). */
why_status why_first_component(double *x, size_t channels, size_t positions, double *out) WHY_MUST_USE;

#endif
