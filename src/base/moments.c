#include "base/moments.h"

#include <math.h>
#include <string.h>

/* Quantised values have |q| <= 2^62; with n < 2^63 the sum stays below 2^125 and the sum of squares below 2^187. */
#define RANGE 1073741824.0 /* 2^30 */
#define UNIT  4294967296.0 /* 2^32 */

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

void why_moments_clear(why_moments *m) { *m = (why_moments){0}; }

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

static int bin_of(double x, double lo, double hi) {
    double t = lo < hi ? (x - lo) / (hi - lo) : (x / (1.0 + fabs(x)) + 1.0) / 2.0;
    return (int)clamp(floor(t * WHY_MOMENTS_BINS), 0, WHY_MOMENTS_BINS - 1);
}

/* a += b over n little-endian words, modulo 2^(64 n). */
static void add_words(uint64_t *a, const uint64_t *b, int n) {
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        u128 s = (u128)a[i] + b[i] + carry;
        a[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
}

static void subtract_words(uint64_t *a, const uint64_t *b, int n) {
    uint64_t borrow = 0;
    for (int i = 0; i < n; i++) {
        u128 d = (u128)a[i] - b[i] - borrow;
        a[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
}

/* out[na + nb] = a * b, unsigned. */
static void multiply_words(const uint64_t *a, int na, const uint64_t *b, int nb, uint64_t *out) {
    memset(out, 0, (size_t)(na + nb) * sizeof *out);
    for (int i = 0; i < na; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < nb; j++) {
            u128 t = (u128)a[i] * b[j] + out[i + j] + carry;
            out[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        out[i + nb] = carry;
    }
}

static int64_t quantise(double x) { return (int64_t)nearbyint(clamp(x, -RANGE, RANGE) * UNIT); }

/* q as a two-word and its square as a four-word number. */
static void widen(int64_t q, uint64_t value[2], uint64_t squared[4]) {
    const uint64_t magnitude = q < 0 ? (uint64_t)-q : (uint64_t)q;
    const u128 square = (u128)magnitude * magnitude;
    value[0] = (uint64_t)q;
    value[1] = q < 0 ? UINT64_MAX : 0;
    squared[0] = (uint64_t)square;
    squared[1] = (uint64_t)(square >> 64);
    squared[2] = squared[3] = 0;
}

void why_moments_add(why_moments *m, double x, double lo, double hi) {
    if (isnan(x)) {
        why_moments_add_null(m);
        return;
    }
    uint64_t value[2], squared[4];
    const int64_t q = quantise(x);
    widen(q, value, squared);
    add_words(m->sum, value, 2);
    add_words(m->sum2, squared, 4);
    if (m->n == 0 || q < m->lo) m->lo = q;
    if (m->n == 0 || q > m->hi) m->hi = q;
    m->n++;
    m->bin[bin_of(clamp(x, -RANGE, RANGE), lo, hi)]++;
}

bool why_moments_remove(why_moments *m, double x, double lo, double hi) {
    if (isnan(x)) {
        m->n_null--;
        return false;
    }
    uint64_t value[2], squared[4];
    const int64_t q = quantise(x);
    widen(q, value, squared);
    subtract_words(m->sum, value, 2);
    subtract_words(m->sum2, squared, 4);
    m->n--;
    m->bin[bin_of(clamp(x, -RANGE, RANGE), lo, hi)]--;
    if (m->n == 0) m->lo = m->hi = 0;
    return m->n > 0 && (q == m->lo || q == m->hi);
}

void why_moments_bound(why_moments *m, double smallest, double largest) {
    m->lo = quantise(smallest);
    m->hi = quantise(largest);
}

void why_moments_add_null(why_moments *m) { m->n_null++; }

void why_moments_merge(why_moments *m, const why_moments *other) {
    m->n_null += other->n_null;
    if (other->n == 0) return;
    if (m->n == 0 || other->lo < m->lo) m->lo = other->lo;
    if (m->n == 0 || other->hi > m->hi) m->hi = other->hi;
    m->n += other->n;
    add_words(m->sum, other->sum, 2);
    add_words(m->sum2, other->sum2, 4);
    for (int i = 0; i < WHY_MOMENTS_BINS; i++) m->bin[i] += other->bin[i];
}

static i128 signed_sum(const why_moments *m) { return (i128)((u128)m->sum[1] << 64 | m->sum[0]); }

double why_moments_mean(const why_moments *m) {
    if (m->n == 0) return NAN;
    i128 sum = signed_sum(m), whole = sum / m->n, rest = sum % m->n;
    return ((double)(int64_t)whole + (double)(int64_t)rest / (double)m->n) / UNIT;
}

/* The value of a 256-bit number, within one part in 2^52. */
static double to_double(const uint64_t w[4]) {
    double v = 0;
    for (int i = 3; i >= 0; i--) v += ldexp((double)w[i], 64 * i);
    return v;
}

/* s^2 = (n Sum q^2 - (Sum q)^2) / (n (n - 1)); the numerator is exact, so that equal values give exactly 0. */
double why_moments_sd(const why_moments *m) {
    if (m->n < 2) return NAN;
    i128 sum = signed_sum(m);
    u128 magnitude = sum < 0 ? -(u128)sum : (u128)sum;
    uint64_t n = (uint64_t)m->n, s[2] = {(uint64_t)magnitude, (uint64_t)(magnitude >> 64)}, numerator[5], squared[4];
    multiply_words(m->sum2, 4, &n, 1, numerator);
    multiply_words(s, 2, s, 2, squared);
    subtract_words(numerator, squared, 4);
    return sqrt(to_double(numerator) / (double)n / (double)(n - 1)) / UNIT;
}

double why_moments_lo(const why_moments *m) { return m->n ? (double)m->lo / UNIT : NAN; }
double why_moments_hi(const why_moments *m) { return m->n ? (double)m->hi / UNIT : NAN; }

/* ---------------------------------------------------------------- bytes */
static uint8_t *put_word(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++) *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

static uint64_t get_word(const uint8_t **p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)*(*p)++ << 8 * i;
    return v;
}

void why_moments_write(const why_moments *m, uint8_t out[WHY_MOMENTS_BYTES]) {
    uint8_t *p = put_word(put_word(out, (uint64_t)m->n), (uint64_t)m->n_null);
    for (int i = 0; i < 2; i++) p = put_word(p, m->sum[i]);
    for (int i = 0; i < 4; i++) p = put_word(p, m->sum2[i]);
    p = put_word(put_word(p, (uint64_t)m->lo), (uint64_t)m->hi);
    for (int i = 0; i < WHY_MOMENTS_BINS; i++) p = put_word(p, (uint64_t)m->bin[i]);
}

why_status why_moments_read(const uint8_t *bytes, size_t n, why_moments *out) {
    why_moments_clear(out);
    if (n != WHY_MOMENTS_BYTES) return why_fail(WHY_EFORMAT, "moments: got %zu bytes, want %d", n, WHY_MOMENTS_BYTES);
    const uint8_t *p = bytes;
    why_moments m;
    m.n = (int64_t)get_word(&p);
    m.n_null = (int64_t)get_word(&p);
    for (int i = 0; i < 2; i++) m.sum[i] = get_word(&p);
    for (int i = 0; i < 4; i++) m.sum2[i] = get_word(&p);
    m.lo = (int64_t)get_word(&p);
    m.hi = (int64_t)get_word(&p);
    int64_t binned = 0;
    bool negative = m.n < 0 || m.n_null < 0, overflow = false;
    for (int i = 0; i < WHY_MOMENTS_BINS; i++) {
        m.bin[i] = (int64_t)get_word(&p);
        negative |= m.bin[i] < 0;
        overflow |= __builtin_add_overflow(binned, m.bin[i], &binned);
    }
    if (negative || overflow || binned != m.n)
        return why_fail(WHY_EFORMAT, "moments: %lld values, but the histogram holds %lld", (long long)m.n, (long long)binned);
    *out = m;
    return WHY_OK;
}
