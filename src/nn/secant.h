/* Secants: (f(a) - f(b)) / (a - b), and the derivative where a = b. They are the multipliers of DeepLIFT's Rescale rule
 * (Shrikumar 2017, Section 3.4; arXiv:1704.02685).
 *
 * Peers switch to the derivative when |a - b| < 1e-6 or so, and lose completeness by it. Here the threshold is zero: a and b
 * are given numbers, their difference has one rounding, and each formula is arranged so that nothing else cancels. Only
 * a = b itself has no secant. */
#ifndef WHYPIX_NN_SECANT_H
#define WHYPIX_NN_SECANT_H

#include <math.h>
#include <stdint.h>

/* e^top (1 - e^-|d|) / |d|: seen from the larger end, nothing overflows that is not itself too large. */
static inline double why_secant_exp(double a, double b) {
    const double top = fmax(a, b), d = fabs(a - b);
    return d > 0 ? exp(top) * -expm1(-d) / d : exp(top);
}

/* Near 0 tanh is exact to its last bits; far out an error of 1e-16 meets a difference of at least 6e-8 |a| (of floats). */
static inline double why_secant_tanh(double a, double b) {
    const double t = tanh(a);
    return a != b ? (t - tanh(b)) / (a - b) : 1 - t * t;
}

/* sigmoid(x) = 1/2 + tanh(x/2) / 2, without the 1/2 that would swallow small arguments. */
static inline double why_secant_sigmoid(double a, double b) { return why_secant_tanh(a / 2, b / 2) / 4; }

/* x^p for a, b > 0: b^p ((a/b)^p - 1) / (a - b). */
static inline double why_secant_power(double a, double b, double p) {
    const double d = a - b;
    return d != 0 ? pow(b, p) * expm1(p * log1p(d / b)) / d : p * pow(b, p - 1);
}

/* The Rescale rule on L(x) = log(sum of e^x_k), as the composition of exponentials, their sum and the logarithm:
 * L(a) - L(b) = sum of share_k (a_k - b_k). Two vectors whose k-th elements are `step` floats apart. */
typedef struct why_log_sum {
    double a, b;          /* L(a), L(b) */
    double shift, factor; /* of the shares */
} why_log_sum;

/* left_out: an index that is not summed; -1: none. */
why_log_sum why_log_sum_of(const float *a, const float *b, int64_t n, int64_t step, int64_t left_out);

static inline double why_log_sum_share(const why_log_sum *s, float a, float b) {
    return s->factor * why_secant_exp((double)a - s->shift, (double)b - s->shift);
}

#endif
