#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "whypix/rng.h"

/* Known answers of philox4x32-10 as Random123 publishes them. */
static void philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t ctr[4], key[2], want[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int k = 0; k < 3; k++) {
        why_rng r = {0};
        memcpy(r.ctr, kat[k].ctr, sizeof r.ctr);
        memcpy(r.key, kat[k].key, sizeof r.key);
        for (int i = 0; i < 4; i++) assert_int_equal(why_rng_u32(&r), kat[k].want[i]);
    }
}

static void the_counter_carries(void **state) {
    (void)state;
    why_rng r = {.ctr = {0xffffffff, 5, 1, 2}};
    for (int i = 0; i < 4; i++) why_rng_u32(&r);
    assert_int_equal(r.ctr[0], 0);
    assert_int_equal(r.ctr[1], 6);
}

static void draws_depend_on_stream_and_sample_only(void **state) {
    (void)state;
    why_stream s = why_stream_of(1, 2, "lime 0");
    why_rng late = why_rng_at(s, 731), early = why_rng_at(s, 0), again = why_rng_at(s, 731);
    why_rng_u32(&early);
    uint32_t x = why_rng_u32(&late);
    assert_int_equal(x, why_rng_u32(&again));
    assert_true(why_stream_of(1, 2, "lime 0").key == s.key);
    assert_true(why_stream_of(2, 1, "lime 0").key != s.key);
    assert_true(why_stream_of(1, 2, "lime 1").key != s.key);
    assert_true(why_stream_of(1, 3, "lime 0").key != s.key);
}

/* SHA-256 of "0000000000000001 0000000000000002 lime 0" (sha256sum), first sixteen digits: must never change, or old
 * databases could not be continued. */
static void stream_keys_are_fixed_for_ever(void **state) {
    (void)state;
    assert_true(why_stream_of(1, 2, "lime 0").key == UINT64_C(0x21fc5469dba69a4d));
}

static void uniform_and_normal_moments(void **state) {
    (void)state;
    why_rng r = why_rng_at(why_stream_of(3, 0, "moments"), 0);
    double u = 0, uu = 0, g = 0, gg = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = why_rng_uniform(&r), z = why_rng_normal(&r);
        assert_true(x >= 0 && x < 1);
        u += x, uu += x * x, g += z, gg += z * z;
    }
    assert_true(fabs(u / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(uu / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(g / N) < 5 / sqrt(N));
    assert_true(fabs(gg / N - 1) < 5 * sqrt(2.0 / N));
}

static void below_is_fair(void **state) {
    (void)state;
    why_rng r = why_rng_at(why_stream_of(3, 0, "below"), 0);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint32_t v = why_rng_below(&r, 7);
        assert_true(v < 7);
        count[v]++;
    }
    for (int k = 0; k < 7; k++) assert_true(abs(count[k] - 10000) < 500); /* 5.4 sigma */
    for (int i = 0; i < 10; i++) assert_int_equal(why_rng_below(&r, 1), 0);
    int high = 0; /* n = 3 * 2^30: a plain remainder would put half of the draws below 2^30 */
    for (int i = 0; i < 30000; i++) high += why_rng_below(&r, 3u << 30) >= 1u << 30;
    assert_true(abs(high - 20000) < 500);
}

/* The C++ standard gives the 10000th number of mt19937 with its default seed. */
static void mt19937_known_answers(void **state) {
    (void)state;
    why_mt19937 g;
    uint32_t v = 0;
    why_mt19937_seed(&g, 5489);
    for (int i = 0; i < 10000; i++) v = why_mt19937_u32(&g);
    assert_int_equal(v, 4123659995u);
}

/* numpy.random.RandomState(seed), numpy 1.24. */
static void mt19937_draws_as_numpy(void **state) {
    (void)state;
    static const uint32_t below_1000[] = {102, 435, 860, 270, 106, 71, 700, 20}, bits[] = {0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0},
                          below_3[] = {2, 1, 2, 2, 0, 1, 0, 0, 2, 0}, raw[] = {327741615, 976413892, 3349725721u, 1369975286};
    why_mt19937 g;
    why_mt19937_seed(&g, 42);
    for (int i = 0; i < 8; i++) assert_int_equal(why_mt19937_below(&g, 1000), below_1000[i]);
    why_mt19937_seed(&g, 0);
    for (int i = 0; i < 16; i++) assert_int_equal(why_mt19937_below(&g, 2), bits[i]);
    why_mt19937_seed(&g, 5);
    assert_int_equal(why_mt19937_below(&g, 1), 0); /* draws nothing */
    for (int i = 0; i < 10; i++) assert_int_equal(why_mt19937_below(&g, 3), below_3[i]);
    why_mt19937_seed(&g, 7);
    for (int i = 0; i < 4; i++) assert_int_equal(why_mt19937_u32(&g), raw[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(the_counter_carries),
        cmocka_unit_test(draws_depend_on_stream_and_sample_only),
        cmocka_unit_test(stream_keys_are_fixed_for_ever),
        cmocka_unit_test(uniform_and_normal_moments),
        cmocka_unit_test(below_is_fair),
        cmocka_unit_test(mt19937_known_answers),
        cmocka_unit_test(mt19937_draws_as_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
