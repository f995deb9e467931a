#include "nn/secant.h"

static double largest(const float *x, int64_t n, int64_t step, int64_t left_out) {
    double top = -INFINITY;
    for (int64_t k = 0; k < n; k++)
        if (k != left_out) top = fmax(top, (double)x[k * step]);
    return top;
}

static double sum_of(const float *x, int64_t n, int64_t step, int64_t left_out, double shift) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        if (k != left_out) sum += exp((double)x[k * step] - shift);
    return sum;
}

/* log(a) - log(b) over a - b = d, for sums that may differ by hundreds of magnitudes: then their logarithms are known better. */
static double secant_log(double a, double b, double d, double log_a, double log_b) {
    if (d == 0) return 1 / a;
    if (fabs(d) > 0.5 * fmax(a, b)) return (log_a - log_b) / d;
    return (a > b ? -log1p(-d / a) : log1p(d / b)) / d;
}

why_log_sum why_log_sum_of(const float *a, const float *b, int64_t n, int64_t step, int64_t left_out) {
    const double top_a = largest(a, n, step, left_out), top_b = largest(b, n, step, left_out);
    why_log_sum s = {.a = top_a + log(sum_of(a, n, step, left_out, top_a)),
                     .b = top_b + log(sum_of(b, n, step, left_out, top_b)),
                     .shift = fmax(top_a, top_b),
                     .factor = 1};
    double d = 0;
    for (int64_t k = 0; k < n; k++)
        if (k != left_out) d += why_log_sum_share(&s, a[k * step], b[k * step]) * ((double)a[k * step] - b[k * step]);
    s.factor = secant_log(sum_of(a, n, step, left_out, s.shift), sum_of(b, n, step, left_out, s.shift), d, s.a, s.b);
    return s;
}
