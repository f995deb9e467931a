#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/moments.h"
#include "whypix/rng.h"

enum { N = 500 };

static void some_values(double x[N], const char *use) {
    why_rng r = why_rng_at(why_stream_of(1, 1, use), 0);
    for (int i = 0; i < N; i++) x[i] = why_rng_normal(&r) * (i % 50 == 0 ? 1e6 : 1) - 0.3;
}

static void assert_same(const why_moments *a, const why_moments *b) {
    uint8_t x[WHY_MOMENTS_BYTES], y[WHY_MOMENTS_BYTES];
    why_moments_write(a, x);
    why_moments_write(b, y);
    assert_memory_equal(x, y, sizeof x);
}

/* Shuffle, cut into parts (some empty), sum the parts, merge them in another order: always the same bytes. */
static void order_and_partition_do_not_matter(void **state) {
    (void)state;
    double x[N];
    why_moments all = {0};
    some_values(x, "partition");
    for (int i = 0; i < N; i++) why_moments_add(&all, x[i], 0, 0);
    for (int k = 0; k < 3; k++) why_moments_add_null(&all);
    for (uint64_t trial = 0; trial < 50; trial++) {
        why_rng r = why_rng_at(why_stream_of(1, 1, "trial"), trial);
        why_moments part[8] = {0}, merged = {0};
        for (uint32_t i = N - 1; i > 0; i--) {
            uint32_t j = why_rng_below(&r, i + 1);
            double swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
        for (int i = 0; i < N; i++) why_moments_add(&part[why_rng_below(&r, 7)], x[i], 0, 0); /* part 7 stays empty */
        for (int k = 0; k < 3; k++) why_moments_add_null(&part[why_rng_below(&r, 8)]);
        for (int k = 0; k < 8; k++) why_moments_merge(&merged, &part[(k * 3 + (int)trial) % 8]);
        assert_same(&merged, &all);
    }
}

static void mean_and_sd_against_long_double(void **state) {
    (void)state;
    double x[N];
    why_moments m = {0};
    long double sum = 0, squares = 0, lo = INFINITY, hi = -INFINITY;
    some_values(x, "long double");
    for (int i = 0; i < N; i++) {
        long double q = nearbyintl((long double)x[i] * 4294967296.0L) / 4294967296.0L;
        why_moments_add(&m, x[i], 0, 0);
        sum += q;
        lo = q < lo ? q : lo;
        hi = q > hi ? q : hi;
    }
    for (int i = 0; i < N; i++) {
        long double d = nearbyintl((long double)x[i] * 4294967296.0L) / 4294967296.0L - sum / N;
        squares += d * d;
    }
    assert_true(fabsl((long double)why_moments_mean(&m) - sum / N) <= 1e-15L * fabsl(sum / N));
    assert_true(fabsl((long double)why_moments_sd(&m) / sqrtl(squares / (N - 1)) - 1) < 1e-15L);
    assert_true((long double)why_moments_lo(&m) == lo && (long double)why_moments_hi(&m) == hi);
}

/* 1/8, -1/4, 5/2: mean 19/24, variance = (1/64 + 1/16 + 25/4 - 3 (19/24)^2) / 2 = 427/192 (by fractions). */
static void small_set_by_fractions(void **state) {
    (void)state;
    why_moments m = {0};
    why_moments_add(&m, 0.125, -1, 3);
    why_moments_add(&m, -0.25, -1, 3);
    why_moments_add(&m, 2.5, -1, 3);
    assert_true(fabs(why_moments_mean(&m) - 19.0 / 24) < 1e-16);
    assert_true(fabs(why_moments_sd(&m) - sqrt(427.0 / 192)) < 1e-15);
}

static void negative_sums(void **state) {
    (void)state;
    why_moments m = {0};
    for (int i = 0; i < 1000; i++) why_moments_add(&m, -1e9, 0, 0);
    assert_true(why_moments_mean(&m) == -1e9);
    assert_true(why_moments_sd(&m) == 0);
    why_moments_add(&m, 1e9, 0, 0);
    assert_true(fabs(why_moments_mean(&m) / (-999e9 / 1001) - 1) < 1e-15);
}

static void equal_values_have_no_spread(void **state) {
    (void)state;
    why_moments m = {0};
    for (int i = 0; i < 12345; i++) why_moments_add(&m, 0.1, 0, 1);
    assert_true(why_moments_sd(&m) == 0);
    assert_true(fabs(why_moments_mean(&m) - 0.1) < 1.2e-10); /* half a unit of 2^-32 */
}

static void values_beyond_the_range_are_clamped(void **state) {
    (void)state;
    why_moments m = {0};
    why_moments_add(&m, INFINITY, 0, 0);
    why_moments_add(&m, -1e300, 0, 0);
    assert_true(why_moments_hi(&m) == 1073741824.0 && why_moments_lo(&m) == -1073741824.0);
    assert_true(why_moments_mean(&m) == 0);
    assert_true(fabs(why_moments_sd(&m) / (1073741824.0 * sqrt(2)) - 1) < 1e-15);
    why_moments_add(&m, NAN, 0, 0);
    assert_int_equal(m.n, 2);
    assert_int_equal(m.n_null, 1);
}

/* 2^60 copies by doubling: the sums must hold what the header states. */
static void the_stated_range_does_not_overflow(void **state) {
    (void)state;
    why_moments m = {0};
    why_moments_add(&m, -INFINITY, 0, 0);
    for (int i = 0; i < 62; i++) {
        why_moments copy = m;
        why_moments_merge(&m, &copy);
    }
    assert_true(m.n == INT64_C(1) << 62);
    assert_true(why_moments_mean(&m) == -1073741824.0);
    assert_true(why_moments_sd(&m) == 0);
}

static void nothing_has_no_moments(void **state) {
    (void)state;
    why_moments m = {0};
    why_moments_add_null(&m);
    assert_true(isnan(why_moments_mean(&m)) && isnan(why_moments_sd(&m)) && isnan(why_moments_lo(&m)) && isnan(why_moments_hi(&m)));
    why_moments_add(&m, 2, 0, 1);
    assert_true(why_moments_mean(&m) == 2 && isnan(why_moments_sd(&m)));
    why_moments_clear(&m);
    assert_int_equal(m.n_null, 0);
}

static int only_bin(double x, double lo, double hi) {
    why_moments m = {0};
    why_moments_add(&m, x, lo, hi);
    for (int i = 0; i < WHY_MOMENTS_BINS; i++)
        if (m.bin[i]) return i;
    return -1;
}

static void bins_are_half_open_and_end_bins_take_the_rest(void **state) {
    (void)state;
    assert_int_equal(only_bin(0, 0, 1), 0);
    assert_int_equal(only_bin(1, 0, 1), 63);
    assert_int_equal(only_bin(0.5, 0, 1), 32);
    assert_int_equal(only_bin(nextafter(0.5, 0), 0, 1), 31);
    assert_int_equal(only_bin(-7, 0, 1), 0);
    assert_int_equal(only_bin(7, 0, 1), 63);
    assert_int_equal(only_bin(0, -1, 1), 32);
    assert_int_equal(only_bin(0, 0, 0), 32);    /* x / (1 + |x|) = 0 */
    assert_int_equal(only_bin(1, 0, 0), 48);    /* 1/2 */
    assert_int_equal(only_bin(-3, 0, 0), 8);    /* -3/4 */
    assert_int_equal(only_bin(1e300, 0, 0), 63);
}

static void bytes_round_trip(void **state) {
    (void)state;
    double x[N];
    why_moments m = {0}, back;
    uint8_t bytes[WHY_MOMENTS_BYTES];
    some_values(x, "bytes");
    for (int i = 0; i < N; i++) why_moments_add(&m, x[i], -1, 1);
    why_moments_write(&m, bytes);
    assert_int_equal(bytes[0], N & 255); /* little-endian, n first */
    assert_int_equal(bytes[1], N >> 8);
    assert_int_equal(why_moments_read(bytes, sizeof bytes, &back), WHY_OK);
    assert_same(&m, &back);
}

static void damaged_bytes_are_refused(void **state) {
    (void)state;
    why_moments m = {0}, back;
    uint8_t bytes[WHY_MOMENTS_BYTES];
    why_moments_add(&m, 1, 0, 1);
    why_moments_write(&m, bytes);
    assert_int_equal(why_moments_read(bytes, sizeof bytes - 1, &back), WHY_EFORMAT);
    bytes[0] = 2; /* two values, one binned */
    assert_int_equal(why_moments_read(bytes, sizeof bytes, &back), WHY_EFORMAT);
    assert_non_null(strstr(why_error_text(), "2 values, but the histogram holds 1"));
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(why_moments_read(bytes, sizeof bytes, &back), WHY_EFORMAT);
    assert_int_equal(back.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_partition_do_not_matter),
        cmocka_unit_test(mean_and_sd_against_long_double),
        cmocka_unit_test(small_set_by_fractions),
        cmocka_unit_test(negative_sums),
        cmocka_unit_test(equal_values_have_no_spread),
        cmocka_unit_test(values_beyond_the_range_are_clamped),
        cmocka_unit_test(the_stated_range_does_not_overflow),
        cmocka_unit_test(nothing_has_no_moments),
        cmocka_unit_test(bins_are_half_open_and_end_bins_take_the_rest),
        cmocka_unit_test(bytes_round_trip),
        cmocka_unit_test(damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
