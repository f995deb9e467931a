#include "image/segment_kernel.h"

#include <string.h>

/* exp(x) for x in [-700, 0], within 1 ulp or so of libm's, in operations that compilers vectorise: x = k ln 2 + r,
 * e^r by its series to r^13/13! (|r| <= ln 2 / 2: the remainder is below 2^-56), 2^k through the exponent bits.
 * Only correctly rounded operations, so that every CPU path gives the same bits. */
static inline double exp_negative(double x) {
    const double log2e = 1.4426950408889634, ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    const double shifter = 0x1.8p52;
    const double shifted = x * log2e + shifter, k = shifted - shifter;
    const double r = (x - k * ln2_hi) - k * ln2_lo;
    /* Estrin's scheme: four short chains instead of one long one. */
    const double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const double s0 = (1.0 + r) + (0.5 + r * (1.0 / 6)) * r2;
    const double s4 = (1.0 / 24 + r * (1.0 / 120)) + (1.0 / 720 + r * (1.0 / 5040)) * r2;
    const double s8 = (1.0 / 40320 + r * (1.0 / 362880)) + (1.0 / 3628800 + r * (1.0 / 39916800)) * r2;
    const double s12 = 1.0 / 479001600 + r * (1.0 / 6227020800.0);
    double s = (s0 + s4 * r4) + (s8 + s12 * r4) * r8;
    uint64_t bits, power;
    memcpy(&bits, &s, sizeof bits);
    memcpy(&power, &shifted, sizeof power);
    bits += power << 52; /* the low bits of `shifted` are k */
    memcpy(&s, &bits, sizeof s);
    return s;
}

static inline __attribute__((always_inline)) void kernel_row_body(const double *restrict a, const double *restrict b, size_t plane, int n,
                                                                  double d2, double scale, double *restrict out) {
    for (int i = 0; i < n; i++) {
        const double u = a[i] - b[i], v = a[plane + i] - b[plane + i], t = a[2 * plane + i] - b[2 * plane + i];
        const double x = (u * u + v * v + t * t + d2) * scale;
        out[i] = x < -700 ? -700 : x;
    }
    for (int i = 0; i < n; i++) out[i] = exp_negative(out[i]); /* apart from the clamp, or compilers make it a branch */
}

static void kernel_row(const double *a, const double *b, size_t plane, int n, double d2, double scale, double *out) {
    kernel_row_body(a, b, plane, n, d2, scale, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void kernel_row_avx2(const double *a, const double *b, size_t plane, int n, double d2, double scale,
                                                            double *out) {
    kernel_row_body(a, b, plane, n, d2, scale, out);
}
#endif

why_kernel_row *why_kernel_row_for(why_isa isa) {
#if defined(__x86_64__)
    if (isa >= WHY_ISA_AVX2) return kernel_row_avx2;
#endif
    (void)isa;
    return kernel_row;
}
